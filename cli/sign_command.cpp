// karta-sign FILE...: signs PDF documents as PAdES and anything else as CAdES, with the card's everyday or qualified
// key.
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/secret_input.h"
#include "cli/sign_services.h"
#include "cli/signature_file.h"
#include "cli/signing_key.h"
#include "crypto/ades/cades.h"
#include "crypto/ades/pades.h"
#include "crypto/cms/sign.h"
#include "crypto/cms/signed_data.h"
#include "crypto/pdf/stamp.h"
#include "crypto/pem.h"
#include "crypto/x509/certificate.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;

/// What is done with each file.
enum class Deed { sign, add, raise, counter_sign, join };

struct Arguments {
  std::vector<std::string> files;
  KeyArguments key;
  std::string folder;
  std::string content;
  std::string format = "auto";
  std::string level;
  std::string algorithm;
  std::string visible;
  std::string reason, place, field;
  std::string qr;
  std::string join;
  std::size_t signer = 0;  // the one to be counter-signed, counted from 1; 0: the only one
  unsigned certify = 0;
  int document_password = -1;
  bool enveloping = false;
  bool add = false, raise = false, renew = false, counter_sign = false;
  bool json = false;
  ServiceArguments services;

  Deed deed() const {
    if (add) return Deed::add;
    if (raise || renew) return Deed::raise;
    if (counter_sign) return Deed::counter_sign;
    return join.empty() ? Deed::sign : Deed::join;
  }
  bool needs_key() const { return deed() != Deed::raise && deed() != Deed::join; }
};

struct Job {
  std::string file;                 ///< as it was named
  fs::path input;                   ///< a document, or a file with a signature
  std::optional<fs::path> content;  ///< of a detached signature there is already
  fs::path output;
  bool over = false;  ///< `output` takes the place of what is there
  bool pdf = false;
  std::optional<Error> error;
  bool done = false;
};

/// Everything that can be wrong with a file is found before the card or a PIN is asked for.
Status check_output(Job& job, std::set<fs::path>& outputs, const std::string& hint) {
  std::error_code ignored;
  if ((!job.over && fs::exists(fs::symlink_status(job.output, ignored))) ||
      !outputs.insert(fs::absolute(job.output).lexically_normal()).second) {
    return fail(ErrorKind::already_exists, "\"" + job.output.string() + "\" is there already", hint);
  }
  const fs::path folder = job.output.has_parent_path() ? job.output.parent_path() : fs::path(".");
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return fail(errno == EROFS || errno == EACCES ? ErrorKind::not_permitted : ErrorKind::io,
                "cannot write to \"" + folder.string() + "\": " + std::strerror(errno),
                "name a folder for the signatures: --output-dir FOLDER");
  }
  return {};
}

fs::path placed(const fs::path& file, const Arguments& given) {
  return given.folder.empty() ? file : fs::path(given.folder) / file.filename();
}

Result<Job> check_new_signature(const std::string& file, const Arguments& given, std::set<fs::path>& outputs) {
  Job job;
  job.file = file;
  job.input = file;
  // A pipe is opened once, when it is read: whoever writes into it would find it closed.
  std::error_code ignored;
  if (!fs::is_fifo(job.input, ignored)) TRY(crypto::FileContent::open(job.input));  // there, readable, no folder
  if (given.format != "cades" && !given.enveloping && fs::is_regular_file(job.input, ignored)) {
    job.pdf = TRY(kind_of_file(job.input)) == crypto::FileKind::pdf;
  }
  if (given.format == "pades" && !job.pdf) return fail(ErrorKind::unsupported, "this is no PDF document");
  job.output = placed(job.input, given);
  if (job.pdf) {
    job.output.replace_filename(job.input.stem().string() + "-signed" + job.input.extension().string());
  } else {
    job.output += given.enveloping ? ".p7m" : ".p7s";
  }
  TRY(check_output(job, outputs,
                   job.pdf ? "move it away first: karta-sign never overwrites"
                           : "`karta-sign --add` puts your signature beside those in it; nothing is overwritten"));
  return job;
}

Result<Job> check_signed_file(const std::string& file, const Arguments& given, std::set<fs::path>& outputs) {
  Job job;
  job.file = file;
  job.input = file;
  const crypto::FileKind kind = TRY(kind_of_file(job.input));
  if (is_cms(kind)) {
    job.content = content_beside(job.input, given.content);
  } else {
    std::error_code ignored;
    bool found = false;
    for (const char* const suffix : {".p7s", ".sig"}) {
      fs::path beside = job.input;
      beside += suffix;
      if (found || !fs::is_regular_file(beside, ignored)) continue;
      found = true;
      job.content = job.input;
      job.input = beside;
    }
    job.pdf = !found && kind == crypto::FileKind::pdf;
    if (!found && !job.pdf) {
      return fail(ErrorKind::not_found, "there is no signature: neither in the file, nor beside it in \"" +
                                            job.input.filename().string() + ".p7s\"");
    }
  }
  if (job.pdf && (given.deed() == Deed::counter_sign || given.deed() == Deed::join)) {
    return fail(ErrorKind::unsupported, "this is not done with PDF documents",
                "a further signature of a PDF signs those before it: karta-sign --add");
  }
  job.output = placed(job.input, given);
  // What is there stays, octet for octet, in what takes its place.
  job.over = given.folder.empty();
  TRY(check_output(job, outputs, "choose another folder: karta-sign never overwrites"));
  return job;
}

Result<Job> check_job(const std::string& file, const Arguments& given, std::set<fs::path>& outputs) {
  return given.deed() == Deed::sign ? check_new_signature(file, given, outputs)
                                    : check_signed_file(file, given, outputs);
}

// "page,x,y,width,height" in points from the lower left corner
Result<crypto::pdf::Placement> parse_placement(const std::string& text) {
  std::vector<double> numbers;
  std::size_t at = 0;
  while (at <= text.size() && numbers.size() < 6) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, comma - at);
    char* end = nullptr;
    numbers.push_back(std::strtod(part.c_str(), &end));
    if (part.empty() || *end != 0 || part.find_first_not_of("0123456789.") != std::string::npos) numbers.resize(6);
    at = comma + 1;
  }
  if (numbers.size() != 5 || numbers[0] < 1 ||
      numbers[0] != static_cast<double>(static_cast<std::size_t>(numbers[0]))) {
    return fail(ErrorKind::usage, "\"" + text + "\" is no place on a page",
                "give page,x,y,width,height in points from the lower left corner: --visible 1,300,40,240,80");
  }
  return crypto::pdf::Placement{static_cast<std::size_t>(numbers[0]), numbers[1], numbers[2], numbers[3], numbers[4]};
}

struct Signing {
  crypto::SignatureLevel level = crypto::SignatureLevel::b_b;
  std::optional<crypto::AlgorithmId> algorithm;  // absent: the key's first one
  SignServices services;
  std::optional<crypto::pdf::Placement> visible;
  SecretBytes document_password;
};

crypto::pdf::Stamp stamp_of(const Arguments& given, const crypto::Certificate& certificate, Time time) {
  crypto::pdf::Stamp out;
  out.title = "Документ подписан электронной подписью";
  out.lines.push_back("Владелец: " + certificate.subject().display());
  out.lines.push_back("Сертификат: " + to_hex_upper(certificate.serial()));
  out.lines.push_back("Действителен: с " + format_time(certificate.not_before()).substr(0, 10) + " по " +
                      format_time(certificate.not_after()).substr(0, 10));
  out.lines.push_back("Подписан: " + format_time(time));
  if (!given.reason.empty()) out.lines.push_back("Основание: " + given.reason);
  if (!given.place.empty()) out.lines.push_back("Место: " + given.place);
  out.qr = given.qr;
  return out;
}

Status save_document(const crypto::PdfFile& file, const Job& job) {
  if (!job.over) return file.save_as(job.output);
  NewFile out = TRY(NewFile::create(job.output, 0644));
  TRY(out.write(file.octets()));
  return out.commit_over();
}

Status sign_document(SigningKey& key, const Job& job, const Arguments& given, const Signing& signing) {
  auto file = TRY(crypto::PdfFile::open_file(job.input, signing.document_password));
  crypto::PadesOptions options;
  options.level = signing.level;
  options.algorithm = signing.algorithm;
  options.request.time = SystemClock().now();
  options.request.name = key.certificate().subject().display();
  options.request.reason = given.reason;
  options.request.place = given.place;
  options.request.field = given.field;
  options.request.visible = signing.visible;
  options.request.appearance = crypto::pdf::draw_stamp(stamp_of(given, key.certificate(), options.request.time));
  if (given.certify != 0) options.request.certify = given.certify;
  TRY(crypto::sign_pades(file, key.signer(), options, signing.services.services));
  return save_document(file, job);
}

Status raise_document(const Job& job, const Signing& signing) {
  auto file = TRY(crypto::PdfFile::open_file(job.input, signing.document_password));
  TRY(crypto::raise_pades(file, signing.level, signing.services.services));
  return save_document(file, job);
}

Status sign_content(SigningKey& key, const Job& job, const Arguments& given, const Signing& signing) {
  auto content = TRY(crypto::FileContent::open(job.input));
  if (given.enveloping) {
    const fs::path folder = job.output.has_parent_path() ? job.output.parent_path() : fs::path(".");
    content = TRY(readable_twice(std::move(content), folder));
  }
  const crypto::SignatureServices& services = signing.services.services;
  crypto::CmsSignOptions options;
  options.algorithm = signing.algorithm;
  auto one = TRY(crypto::CmsSigning::prepare(key.signer(), options));
  return sign_into(job.output, one, content, given.enveloping, {{services.hash}},
                   [&](const Bytes& signature, const crypto::ContentDigests& digests) {
                     return crypto::raise_cms_digest(signature, digests.function(), signing.level, services);
                   });
}

/// Which signer is to be counter-signed.
Result<std::size_t> position_of(const Bytes& signature, std::size_t wanted) {
  const auto data = TRY(crypto::SignedData::parse(signature));
  if (wanted == 0 && data.signers.size() == 1) return std::size_t{0};
  if (wanted >= 1 && wanted <= data.signers.size()) return wanted - 1;
  return fail(ErrorKind::usage, "the file has " + std::to_string(data.signers.size()) + " signers",
              "say which one: --signer N, counted from 1");
}

/// Works on a CMS signature that is there already.
Status change_signature(SigningKey* key, const Job& job, const Arguments& given, const Signing& signing) {
  auto file = TRY(SignatureFile::open(job.input, job.content));
  const crypto::SignatureServices& services = signing.services.services;
  const bool raises = given.deed() == Deed::raise;
  std::optional<crypto::CmsSigning> another;
  if (given.deed() == Deed::add) {
    crypto::CmsSignOptions options;
    options.algorithm = signing.algorithm;
    another = TRY(crypto::CmsSigning::prepare(key->signer(), options));
  }
  // Only an archive time-stamp reaches as far as the content.
  if (file.has_content() || !raises || signing.level == crypto::SignatureLevel::b_lta) {
    std::vector<crypto::Hash> hashes = {services.hash};
    if (another) hashes.push_back(another->hash());
    TRY(file.check(hashes));
  }
  switch (given.deed()) {
    case Deed::add: {
      const Bytes added = TRY(another->sign(*file.digests().find(another->hash()), SystemClock().now()));
      file.replace_signature(TRY(crypto::join_cms(file.signature(), added)));
      break;
    }
    case Deed::counter_sign: {
      const std::size_t position = TRY(position_of(file.signature(), given.signer));
      file.replace_signature(
          TRY(crypto::counter_sign_cms(file.signature(), position, key->signer(), SystemClock().now())));
      break;
    }
    case Deed::join: {
      auto other = TRY(SignatureFile::open(given.join, file.enveloping() ? std::nullopt : job.content));
      TRY(other.check({{services.hash}}));
      if (*other.digests().find(services.hash) != *file.digests().find(services.hash)) {
        return fail(ErrorKind::usage, "\"" + given.join + "\" signs another content");
      }
      file.replace_signature(TRY(crypto::join_cms(file.signature(), other.signature())));
      break;
    }
    case Deed::sign:
    case Deed::raise:
      break;
  }
  if (signing.level != crypto::SignatureLevel::b_b) {
    const crypto::DigestOf digest = file.hashed() ? file.digests().function() : crypto::DigestOf{};
    file.replace_signature(TRY(crypto::raise_cms_digest(file.signature(), digest, signing.level, services)));
  }
  return file.write(job.output, job.over);
}

Status do_job(SigningKey* key, const Job& job, const Arguments& given, const Signing& signing) {
  if (job.pdf) {
    return given.deed() == Deed::raise ? raise_document(job, signing) : sign_document(*key, job, given, signing);
  }
  return given.deed() == Deed::sign ? sign_content(*key, job, given, signing)
                                    : change_signature(key, job, given, signing);
}

/// What was asked for, made of words; the services, opened.
Result<Signing> prepare(const Arguments& given) {
  Signing out;
  out.services = TRY(open_services(given.services));
  const auto& services = out.services.services;
  const std::string wanted = given.renew ? "B-LTA" : given.level;
  if (given.deed() == Deed::join || given.deed() == Deed::counter_sign) {
    // What is only added to stays at the level it has, unless another one is asked for.
    if (wanted.empty()) return out;
  }
  if (wanted.empty()) {
    out.level = services.timestamps == nullptr   ? crypto::SignatureLevel::b_b
                : services.revocation == nullptr ? crypto::SignatureLevel::b_t
                                                 : crypto::SignatureLevel::b_lt;
    if (given.deed() == Deed::raise && out.level == crypto::SignatureLevel::b_b) {
      return fail(ErrorKind::usage, "there is nothing to raise a signature with",
                  "name a time-stamp service, and revocation data for B-LT: karta-sign --help");
    }
    if (out.level != crypto::SignatureLevel::b_lt && !given.json) {
      say("signing at level " + std::string(crypto::name_of(out.level)) + ": no " +
          (services.timestamps == nullptr ? "time-stamp service" : "revocation data") + " was given");
    }
  } else {
    const auto level = crypto::find_signature_level(wanted);
    if (!level) return fail(ErrorKind::usage, "\"" + wanted + "\" is no level: B-B, B-T, B-LT or B-LTA");
    out.level = *level;
    if (*level >= crypto::SignatureLevel::b_t && services.timestamps == nullptr) {
      return fail(ErrorKind::usage, "level " + wanted + " needs a time-stamp service", "name one: --timestamp-url URL");
    }
    if (*level >= crypto::SignatureLevel::b_lt && services.revocation == nullptr) {
      return fail(ErrorKind::usage, "level " + wanted + " needs revocation data", "give CRLs: --revocation FILE");
    }
  }
  if (!given.algorithm.empty()) {
    out.algorithm = crypto::find_algorithm(given.algorithm);
    if (!out.algorithm) {
      return fail(ErrorKind::usage, "\"" + given.algorithm + "\" is no algorithm",
                  "rsa-pss-sha256, ecdsa-sha384 and the like; left out, the key's own default");
    }
  }
  if (!given.visible.empty()) out.visible = TRY(parse_placement(given.visible));
  if (given.document_password >= 0) {
    const auto input = make_secret_input(given.document_password, "");
    out.document_password =
        TRY(input->ask({.title = "Encrypted document", .prompt = "Password of the document", .warning = {}}));
  }
  return out;
}

/// Errors of the card end the run: the next file would meet the same one. Errors of a file concern that file.
bool ends_the_run(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::already_exists:
    case ErrorKind::not_found:
    case ErrorKind::not_permitted:
    case ErrorKind::invalid_signature:
    case ErrorKind::io:
    case ErrorKind::limit:
    case ErrorKind::malformed:
    case ErrorKind::unsupported:
      return false;
    default:
      return true;
  }
}

std::string_view name_of(Deed deed) {
  switch (deed) {
    case Deed::sign:
      return "sign";
    case Deed::add:
      return "add";
    case Deed::raise:
      return "raise";
    case Deed::counter_sign:
      return "counter-sign";
    case Deed::join:
      break;
  }
  return "join";
}

void print_results(const std::vector<Job>& jobs, const Arguments& given, const std::string& signer,
                   crypto::SignatureLevel level) {
  if (given.json) {
    Json document = json_document("karta.sign/1");
    document["deed"] = name_of(given.deed());
    if (given.needs_key()) document["key"] = given.key.key;
    document["level"] = crypto::name_of(level);
    if (!signer.empty()) document["signer"] = signer;
    document["files"] = Json::array();
    for (const Job& job : jobs) {
      Json row{{"file", job.file}, {"format", job.pdf ? "PAdES" : "CAdES"}, {"signed", job.done}};
      if (job.done) row["output"] = job.output.string();
      if (job.error) row["error"] = {{"kind", row_of(job.error->kind).name}, {"message", job.error->message}};
      document["files"].push_back(std::move(row));
    }
    print_json(document);
    return;
  }
  for (const Job& job : jobs) {
    if (job.done) print(job.output.string());
  }
}

Result<int> run(const Arguments& given) {
  if (given.add + (given.raise || given.renew) + given.counter_sign + !given.join.empty() > 1) {
    return fail(ErrorKind::usage, "--add, --raise, --counter-sign and --join are done one at a time");
  }
  if ((!given.content.empty() || !given.join.empty()) && given.files.size() != 1) {
    return fail(ErrorKind::usage, "--content and --join go with one file");
  }
  std::vector<Job> jobs;
  std::set<fs::path> outputs;
  int code = 0;
  const Signing signing = TRY(prepare(given));
  for (const std::string& file : given.files) {
    auto job = check_job(file, given, outputs);
    if (job) {
      jobs.push_back(std::move(*job));
    } else {
      Job& refused = jobs.emplace_back();
      refused.file = file;
      refused.error = job.error();
      code = report(file, job.error());
    }
  }

  std::string signer_name;
  if (std::any_of(jobs.begin(), jobs.end(), [](const Job& job) { return !job.error; })) {
    std::unique_ptr<SigningKey> key;
    if (given.needs_key()) {
      key = TRY(SigningKey::open(given.key));
      signer_name = key->certificate().subject().to_text();
      if (!given.json) {
        say("signing as " + key->certificate().subject().display() +
            (given.key.of_card() ? ", " + given.key.key + " key" : std::string()));
      }
    }
    std::optional<Progress> progress;
    if (jobs.size() > 1 && !given.json) progress.emplace("files", jobs.size());
    std::uint64_t reached = 0;
    for (Job& job : jobs) {
      if (progress) progress->at(reached++);
      if (job.error) continue;
      if (key != nullptr) key->set_subject(fs::path(job.file).filename().string());
      const Status done = do_job(key.get(), job, given, signing);
      job.done = done.has_value();
      if (done) continue;
      job.error = done.error();
      code = report(job.file, *job.error);
      if (ends_the_run(job.error->kind)) break;
    }
    if (progress) progress->at(reached);
  }
  print_results(jobs, given, signer_name, signing.level);
  return code;
}

}  // namespace

void add_sign(CLI::App& app, Run& chosen) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("file", arguments->files, "what to sign")->required();
  add_key_options(app, arguments->key);
  app.add_option("--level", arguments->level,
                 "B-B, B-T, B-LT or B-LTA (default: as high as --timestamp-program and --revocation allow, to B-LT)");
  app.add_option("--algorithm", arguments->algorithm,
                 "the signature algorithm, rsa-pss-sha256 for one (default: the key's own)");
  app.add_option("--format", arguments->format, "auto: PDF documents as PAdES, anything else as CAdES")
      ->check(CLI::IsMember({"auto", "cades", "pades"}))
      ->capture_default_str();
  app.add_option("--visible", arguments->visible,
                 "draw the signature on a PDF: page,x,y,width,height in points from the lower left corner");
  app.add_option("--reason", arguments->reason, "why it is signed (PDF)");
  app.add_option("--place", arguments->place, "where it is signed (PDF)");
  app.add_option("--field", arguments->field, "sign into this empty signature field (PDF)");
  app.add_option("--qr", arguments->qr, "a QR code with this text in the visible signature (PDF)");
  app.add_option("--certify", arguments->certify,
                 "certify the PDF: allow afterwards 1 nothing, 2 forms and signatures, 3 annotations too")
      ->check(CLI::Range(1, 3));
  app.add_option("--document-password-fd", arguments->document_password,
                 "read the password of an encrypted PDF from this file descriptor, one line");
  app.add_flag("--enveloping", arguments->enveloping, "put the content into the signature, PDF or not: FILE.p7m");
  app.add_option("--output-dir", arguments->folder, "write signatures here (default: beside each file)")
      ->check(CLI::ExistingDirectory);
  app.add_flag("--add", arguments->add, "sign what is signed already: add a signer to FILE.p7s, FILE.p7m or a PDF");
  app.add_flag("--raise", arguments->raise, "raise the signatures of FILE, one's own or foreign, to --level; no key");
  app.add_flag("--renew", arguments->renew, "raise to B-LTA, once more if it is that: a new archive time-stamp");
  app.add_flag("--counter-sign", arguments->counter_sign, "sign a signature of FILE.p7s or FILE.p7m");
  app.add_option("--signer", arguments->signer, "which signature is counter-signed, counted from 1");
  app.add_option("--join", arguments->join, "take over the signers of this signature of the same content")
      ->check(CLI::ExistingFile);
  app.add_option("--content", arguments->content, "what a detached signature signs (default: FILE without .p7s)")
      ->check(CLI::ExistingFile);
  add_service_options(app, arguments->services);
  app.add_flag("--json", arguments->json, "as karta.sign/1");
  app.footer(
      "Writes NAME-signed.pdf for a PDF, FILE.p7s beside anything else, and overwrites nothing. --add, --raise, "
      "--renew,\n"
      "--counter-sign and --join put the signature in place of the one there was, which is still in it; with\n"
      "--output-dir they leave it alone. Check with: karta verify FILE");
  on_call(app, chosen, [arguments] { return run(*arguments); });
}

}  // namespace karta::cli
