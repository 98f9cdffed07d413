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
#include "base/random.h"
#include "card/card_signer.h"
#include "cli/card_session.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/prompt_pins.h"
#include "cli/sign_services.h"
#include "crypto/ades/cades.h"
#include "crypto/ades/pades.h"
#include "crypto/cms/sign.h"
#include "crypto/pdf/stamp.h"
#include "crypto/pem.h"
#include "crypto/x509/certificate.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;

struct Arguments {
  std::vector<std::string> files;
  std::string key = "everyday";
  std::string reader;
  std::string folder;
  std::string format = "auto";
  std::string level;
  std::string visible;
  std::string reason, place, field;
  std::string qr;
  unsigned certify = 0;
  int document_password = -1;
  bool enveloping = false;
  bool json = false;
  SecretOptions secret;
  ServiceArguments services;
};

/// A PDF is held in memory: parsed once, and written out with its update behind it.
constexpr std::size_t kMostDocument = std::size_t{1} << 30;

struct Job {
  std::string file;
  fs::path output;
  bool pdf = false;
  std::optional<Error> error;
  bool done = false;
};

Result<bool> is_pdf(const std::string& file) {
  auto content = TRY(crypto::FileContent::open(file));
  Bytes head(512);
  std::size_t size = 0;
  while (size < head.size()) {
    const std::size_t got = TRY(content.read(MutableByteView(head).subspan(size)));
    if (got == 0) break;
    size += got;
  }
  return crypto::sniff(ByteView(head).first(size)) == crypto::FileKind::pdf;
}

/// Everything that can be wrong with a file is found before the card or a PIN is asked for.
Result<Job> check_job(const std::string& file, const Arguments& given, std::set<fs::path>& outputs) {
  const fs::path input(file);
  Job job{file, {}, false, {}, false};
  // Looked into for PDFs only: a pipe can be read once.
  TRY(crypto::FileContent::open(input));  // there, readable, no folder
  std::error_code ignored;
  if (given.format != "cades" && fs::is_regular_file(input, ignored)) job.pdf = TRY(is_pdf(file));
  if (given.format == "pades" && !job.pdf) return fail(ErrorKind::unsupported, "this is no PDF document");
  if (given.enveloping) job.pdf = false;
  fs::path output = given.folder.empty() ? input : fs::path(given.folder) / input.filename();
  if (job.pdf) {
    output.replace_filename(input.stem().string() + "-signed" + input.extension().string());
  } else {
    output += given.enveloping ? ".p7m" : ".p7s";
  }
  if (fs::exists(fs::symlink_status(output, ignored)) ||
      !outputs.insert(fs::absolute(output).lexically_normal()).second) {
    return fail(ErrorKind::already_exists, "\"" + output.string() + "\" is there already",
                "move it away first: karta-sign never overwrites");
  }
  const fs::path folder = output.has_parent_path() ? output.parent_path() : fs::path(".");
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return fail(errno == EROFS || errno == EACCES ? ErrorKind::not_permitted : ErrorKind::io,
                "cannot write to \"" + folder.string() + "\": " + std::strerror(errno),
                "name a folder for the signatures: --output-dir FOLDER");
  }
  job.output = std::move(output);
  return job;
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

Result<Bytes> sign_document(crypto::Signer& signer, const crypto::Certificate& certificate, const Job& job,
                            const Arguments& given, const Signing& signing) {
  Bytes octets = TRY(read_file(job.file, kMostDocument));
  const auto file = TRY(crypto::PdfFile::open(std::move(octets), signing.document_password));
  crypto::PadesOptions options;
  options.level = signing.level;
  options.request.time = SystemClock().now();
  options.request.name = certificate.subject().display();
  options.request.reason = given.reason;
  options.request.place = given.place;
  options.request.field = given.field;
  options.request.visible = signing.visible;
  options.request.appearance = crypto::pdf::draw_stamp(stamp_of(given, certificate, options.request.time));
  if (given.certify != 0) options.request.certify = given.certify;
  return crypto::sign_pades(file, signer, options, signing.services.services);
}

Result<Bytes> sign_content(crypto::Signer& signer, const Job& job, const Arguments& given, const Signing& signing) {
  auto content = TRY(crypto::FileContent::open(job.file));
  crypto::CmsSignOptions options;
  options.form = given.enveloping ? crypto::CmsForm::enveloping : crypto::CmsForm::detached;
  options.signing_time = SystemClock().now();
  const Bytes basic = TRY(crypto::sign_cms(signer, content, options));
  if (signing.level == crypto::SignatureLevel::b_b) return basic;
  if (!given.enveloping && signing.level == crypto::SignatureLevel::b_lta && !content.rewind()) {
    return fail(ErrorKind::usage, "level B-LTA reads the content twice, which a pipe cannot");
  }
  return crypto::raise_cms(basic, given.enveloping ? nullptr : &content, signing.level, signing.services.services);
}

Status sign_one(crypto::Signer& signer, const crypto::Certificate& certificate, const Job& job, const Arguments& given,
                const Signing& signing) {
  const Bytes signature = job.pdf ? TRY(sign_document(signer, certificate, job, given, signing))
                                  : TRY(sign_content(signer, job, given, signing));
  return write_new_file(job.output, signature, 0644);
}

/// What was asked for, made of words; the services, opened.
Result<Signing> prepare(const Arguments& given) {
  Signing out;
  out.services = TRY(open_services(given.services));
  const auto& services = out.services.services;
  if (given.level.empty()) {
    out.level = services.timestamps == nullptr   ? crypto::SignatureLevel::b_b
                : services.revocation == nullptr ? crypto::SignatureLevel::b_t
                                                 : crypto::SignatureLevel::b_lt;
    if (out.level != crypto::SignatureLevel::b_lt && !given.json) {
      say("signing at level " + std::string(crypto::name_of(out.level)) + ": no " +
          (services.timestamps == nullptr ? "time-stamp service" : "revocation data") + " was given");
    }
  } else {
    const auto level = crypto::find_signature_level(given.level);
    if (!level) return fail(ErrorKind::usage, "\"" + given.level + "\" is no level: B-B, B-T, B-LT or B-LTA");
    out.level = *level;
    if (*level >= crypto::SignatureLevel::b_t && services.timestamps == nullptr) {
      return fail(ErrorKind::usage, "level " + given.level + " needs a time-stamp service",
                  "name one: --timestamp-program 'curl -sf -H \"Content-Type: application/timestamp-query\" "
                  "--data-binary @- URL'");
    }
    if (*level >= crypto::SignatureLevel::b_lt && services.revocation == nullptr) {
      return fail(ErrorKind::usage, "level " + given.level + " needs revocation data", "give CRLs: --revocation FILE");
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
    case ErrorKind::io:
    case ErrorKind::limit:
    case ErrorKind::malformed:
    case ErrorKind::unsupported:
      return false;
    default:
      return true;
  }
}

void print_results(const std::vector<Job>& jobs, const Arguments& given, const std::string& signer,
                   crypto::SignatureLevel level) {
  if (given.json) {
    Json document = json_document("karta.sign/1");
    document["key"] = given.key;
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
  std::vector<Job> jobs;
  std::set<fs::path> outputs;
  int code = 0;
  const Signing signing = TRY(prepare(given));
  for (const std::string& file : given.files) {
    auto job = check_job(file, given, outputs);
    if (job) {
      jobs.push_back(std::move(*job));
    } else {
      jobs.push_back({file, {}, false, job.error(), false});
      code = report(file, job.error());
    }
  }

  std::string signer_name;
  if (std::any_of(jobs.begin(), jobs.end(), [](const Job& job) { return !job.error; })) {
    auto session = TRY(CardSession::open_issued(given.reader));
    card::ESignApplication& esign = session->esign();
    const card::KeyRole role = given.key == "qualified" ? card::KeyRole::qualified : card::KeyRole::signature;
    const card::CardKey key = TRY(esign.key(role));
    const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
    PromptPins pins(*input, given.secret.descriptor >= 0);
    SystemRandom random;
    auto signer = TRY(card::CardSigner::make(esign, key, pins, random));
    const auto certificate = TRY(crypto::Certificate::from_der(signer.certificate_chain().front()));
    signer_name = certificate.subject().to_text();
    if (!given.json) say("signing as " + certificate.subject().display() + ", " + given.key + " key");
    std::optional<Progress> progress;
    if (jobs.size() > 1 && !given.json) progress.emplace("files", jobs.size());
    std::uint64_t reached = 0;
    for (Job& job : jobs) {
      if (progress) progress->at(reached++);
      if (job.error) continue;
      signer.set_subject(fs::path(job.file).filename().string());
      const Status signed_it = sign_one(signer, certificate, job, given, signing);
      job.done = signed_it.has_value();
      if (signed_it) continue;
      job.error = signed_it.error();
      code = report(job.file, *job.error);
      if (ends_the_run(job.error->kind)) break;
    }
  }
  print_results(jobs, given, signer_name, signing.level);
  return code;
}

}  // namespace

void add_sign(CLI::App& app, Run& chosen) {
  auto arguments = std::make_shared<Arguments>();
  app.add_option("file", arguments->files, "what to sign")->required();
  app.add_option("--key", arguments->key, "everyday (PIN1, asked once) or qualified (PIN2, asked for each file)")
      ->check(CLI::IsMember({"everyday", "qualified"}))
      ->capture_default_str();
  app.add_option("--level", arguments->level,
                 "B-B, B-T, B-LT or B-LTA (default: as high as --timestamp-program and --revocation allow, to B-LT)");
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
  add_service_options(app, arguments->services);
  add_reader_option(app, arguments->reader);
  add_pin_options(app, arguments->secret, "PIN1 once, or PIN2 for each file");
  app.add_flag("--json", arguments->json, "as karta.sign/1");
  app.footer("Writes NAME-signed.pdf for a PDF, FILE.p7s beside anything else. Check it with: karta verify FILE");
  on_call(app, chosen, [arguments] { return run(*arguments); });
}

}  // namespace karta::cli
