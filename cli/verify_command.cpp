// karta verify: finds out by itself what a file is, and says whether its signatures hold.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/secret_input.h"
#include "crypto/content.h"
#include "crypto/pem.h"
#include "crypto/validation/verify_pdf.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;

/// What one document came to; also the exit code. With several files the worst counts, in this order: unreadable, no
/// signature, failed, indeterminate, passed.
enum class Outcome { passed = 0, failed = 1, indeterminate = 2, no_signature = 3, unreadable = 4 };

constexpr int badness(Outcome outcome) {
  switch (outcome) {
    case Outcome::passed:
      return 0;
    case Outcome::indeterminate:
      return 1;
    case Outcome::failed:
      return 2;
    case Outcome::no_signature:
      return 3;
    case Outcome::unreadable:
      break;
  }
  return 4;
}

/// A signature is read whole (the enveloped content with it); contents beside it are streamed and not limited.
constexpr std::size_t kMostSignatureFile = std::size_t{1} << 30;

struct Arguments {
  std::vector<std::string> files;
  std::string content;
  std::vector<std::string> anchors;
  std::vector<std::string> intermediates;
  std::string folder;
  std::string at;
  std::string extract;
  std::vector<std::string> revocation;
  std::string policy;
  int document_password = -1;
  bool json = false;
};

/// What every document is judged by.
struct Standard {
  crypto::TrustMaterial trust;
  crypto::ValidationEvidence evidence;
  crypto::ValidationPolicy policy;
  std::optional<crypto::PathVerifier> paths;
  SecretBytes document_password;
  Time at{};
  bool keep_content = false;

  crypto::ValidateOptions options() const {
    crypto::ValidateOptions out;
    out.at = at;
    out.keep_content = keep_content;
    out.policy = &policy;
    out.evidence = &evidence;
    out.paths = &*paths;
    return out;
  }
};

struct Verified {
  Outcome outcome = Outcome::unreadable;
  std::string file;
  std::string signature_file;  ///< where the signature was found, if not in `file`
  std::string format = "unknown";
  std::string reason;  ///< where there is no report
  std::optional<crypto::Report> report;
};

Status add_certificates(std::vector<crypto::Certificate>& out, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    const Bytes octets = TRY(read_file(file, 16u << 20));
    auto certificates = crypto::Certificate::many_from_file_octets(octets);
    if (!certificates) return fail(certificates.error().kind, "\"" + file + "\": " + certificates.error().message);
    out.insert(out.end(), certificates->begin(), certificates->end());
  }
  return {};
}

/// Anchors given on the command line; otherwise the root of the issuing centre, where there is one.
Result<crypto::TrustMaterial> load_trust(const Arguments& given) {
  crypto::TrustMaterial trust;
  TRY(add_certificates(trust.anchors, given.anchors));
  TRY(add_certificates(trust.intermediates, given.intermediates));
  if (given.anchors.empty() && fs::exists(fs::path(given.folder) / issuing::kCentreFile)) {
    const auto config = TRY(issuing::load_centre_config(given.folder));
    TRY(add_certificates(trust.anchors, {config.root.certificate.string()}));
    TRY(add_certificates(trust.intermediates, {config.issuing.certificate.string()}));
  }
  return trust;
}

Outcome outcome_of(const crypto::Report& report) {
  const bool unparsable = !report.signatures.empty() &&
                          std::all_of(report.signatures.begin(), report.signatures.end(), [](const auto& signature) {
                            return signature.integrity == crypto::Integrity::unparsable;
                          });
  if (unparsable) return Outcome::unreadable;
  switch (report.verdict) {
    case crypto::Verdict::total_passed:
      return Outcome::passed;
    case crypto::Verdict::indeterminate:
      return Outcome::indeterminate;
    case crypto::Verdict::total_failed:
      break;
  }
  return Outcome::failed;
}

bool is_cms(crypto::FileKind kind) { return kind == crypto::FileKind::cms_der || kind == crypto::FileKind::cms_pem; }

Result<crypto::FileKind> kind_of(const fs::path& file) {
  auto content = TRY(crypto::FileContent::open(file));
  Bytes head(512);
  std::size_t size = 0;
  while (size < head.size()) {
    const std::size_t got = TRY(content.read(MutableByteView(head).subspan(size)));
    if (got == 0) break;
    size += got;
  }
  return crypto::sniff(ByteView(head).first(size));
}

/// The content a detached signature file belongs to: named by the caller, or lying beside it under the same name.
std::optional<fs::path> content_beside(const fs::path& signature, const std::string& given) {
  if (!given.empty()) return given;
  for (const std::string_view suffix : {".p7s", ".sig", ".p7m", ".cms"}) {
    if (signature.extension() != suffix) continue;
    fs::path content = signature;
    content.replace_extension();
    std::error_code ignored;
    if (fs::is_regular_file(content, ignored)) return content;
  }
  return std::nullopt;
}

Status verify_signature_file(Verified& verified, const fs::path& signature, const std::optional<fs::path>& content,
                             bool content_is_explicit, const Standard& standard) {
  const Bytes file = TRY(read_file(signature, kMostSignatureFile));
  const crypto::ValidateOptions options = standard.options();
  verified.format = "CMS";
  const auto octets = crypto::cms_of_file(file);
  if (!octets) {
    verified.reason = octets.error().message;
    return {};
  }
  // Enveloping or detached shows only when it is read. A content merely lying beside an enveloping signature is not its
  // business; one the caller named is, and is refused there.
  if (!content_is_explicit) verified.report = crypto::verify_cms(*octets, nullptr, standard.trust, options);
  if (content && (content_is_explicit || !verified.report->enveloping)) {
    auto beside = TRY(crypto::FileContent::open(*content));
    verified.report = crypto::verify_cms(*octets, &beside, standard.trust, options);
  }
  verified.outcome = outcome_of(*verified.report);
  return {};
}

/// A PDF with signatures of its own; false if it has none.
Result<bool> verify_document(Verified& verified, const fs::path& path, const Standard& standard) {
  Bytes octets = TRY(read_file(path, kMostSignatureFile));
  const auto file = crypto::PdfFile::open(std::move(octets), standard.document_password);
  if (!file) {
    // The password is the caller's business, a broken file is a finding.
    if (file.error().kind == ErrorKind::not_permitted) return fail(file.error());
    verified.report = crypto::unreadable_pdf(file.error());
    verified.format = "PDF";
    verified.outcome = Outcome::unreadable;
    return true;
  }
  crypto::Report report = crypto::verify_pdf(*file, standard.trust, standard.options());
  if (report.signatures.empty()) return false;
  verified.format = "PDF";
  verified.outcome = outcome_of(report);
  verified.report = std::move(report);
  return true;
}

Status verify_into(Verified& verified, const Arguments& given, const Standard& standard) {
  const fs::path file = verified.file;
  const crypto::FileKind kind = TRY(kind_of(file));
  if (is_cms(kind)) {
    return verify_signature_file(verified, file, content_beside(file, given.content), !given.content.empty(), standard);
  }
  verified.format = crypto::describe(kind);
  for (const char* suffix : {".p7s", ".sig"}) {
    fs::path signature = file;
    signature += suffix;
    std::error_code ignored;
    if (!fs::exists(signature, ignored)) continue;
    verified.signature_file = signature;
    return verify_signature_file(verified, signature, file, true, standard);
  }
  if (kind == crypto::FileKind::pdf && TRY(verify_document(verified, file, standard))) return {};
  verified.outcome = Outcome::no_signature;
  verified.reason = "no signature: the file holds none karta can read, and there is no \"" + file.filename().string() +
                    ".p7s\" beside it";
  return {};
}

Verified verify_one(const std::string& file, const Arguments& given, const Standard& standard) {
  Verified verified;
  verified.file = file;
  const Status done = verify_into(verified, given, standard);
  if (!done) {
    verified.outcome = Outcome::unreadable;
    verified.reason = done.error().message;
    verified.report.reset();
  }
  return verified;
}

std::string_view name_of(Outcome outcome) {
  switch (outcome) {
    case Outcome::passed:
      return "TOTAL-PASSED";
    case Outcome::failed:
      return "TOTAL-FAILED";
    case Outcome::indeterminate:
      return "INDETERMINATE";
    case Outcome::no_signature:
      return "NO-SIGNATURE";
    case Outcome::unreadable:
      break;
  }
  return "UNREADABLE";
}

Json json_of(const crypto::SignatureReport& signature) {
  Json out{{"signer", signature.signer},
           {"level", signature.level},
           {"verdict", crypto::name_of(signature.verdict)},
           {"sub_indication", crypto::name_of(signature.sub_indication)},
           {"integrity", crypto::name_of(signature.integrity)},
           {"algorithm", signature.algorithm},
           {"digest", signature.digest},
           {"key", signature.key}};
  out["role"] = crypto::name_of(signature.role);
  const auto time = [](const std::optional<Time>& one) { return one ? Json(format_time(*one)) : Json(); };
  out["claimed_time"] = time(signature.claimed_signing_time);
  out["best_time"] = time(signature.best_signature_time);
  if (!signature.field.empty()) out["field"] = signature.field;
  if (signature.changes_after) {
    out["changes_after"] = crypto::name_of(*signature.changes_after);
    out["changes"] = Json::array();
    for (const crypto::ChangedObject& one : signature.changes) {
      out["changes"].push_back({{"object", one.object},
                                {"kind", one.kind},
                                {"what", one.what},
                                {"revision", one.revision},
                                {"allowed", one.allowed}});
    }
  }
  out["findings"] = Json::array();
  for (const crypto::Finding& finding : signature.findings) {
    Json row{{"severity", crypto::name_of(finding.severity)}, {"code", finding.code}, {"message", finding.message}};
    if (finding.offset) row["offset"] = *finding.offset;
    out["findings"].push_back(std::move(row));
  }
  return out;
}

Json json_of(const Verified& verified) {
  Json out{{"file", verified.file}, {"format", verified.format}, {"verdict", name_of(verified.outcome)}};
  if (!verified.signature_file.empty()) out["signature_file"] = verified.signature_file;
  if (!verified.reason.empty()) out["reason"] = verified.reason;
  const crypto::Integrity worst = verified.report                           ? verified.report->integrity()
                                  : verified.outcome == Outcome::unreadable ? crypto::Integrity::unparsable
                                                                            : crypto::Integrity::unchecked;
  out["integrity"] = crypto::name_of(worst);
  out["signatures"] = Json::array();
  if (verified.report) {
    out["enveloping"] = verified.report->enveloping;
    for (const auto& signature : verified.report->signatures) out["signatures"].push_back(json_of(signature));
  }
  return out;
}

void print_text(const Verified& verified) {
  print(verified.file + ": " + std::string(name_of(verified.outcome)));
  if (!verified.signature_file.empty()) print("  signature in " + verified.signature_file);
  if (!verified.reason.empty()) print("  " + verified.reason);
  if (!verified.report) return;
  for (const crypto::SignatureReport& signature : verified.report->signatures) {
    std::string verdict(crypto::name_of(signature.verdict));
    if (signature.sub_indication != crypto::SubIndication::none) {
      verdict += " (" + std::string(crypto::name_of(signature.sub_indication)) + ")";
    }
    const std::string deed = signature.role == crypto::SignatureRole::timestamp           ? ", time-stamped by "
                             : signature.role == crypto::SignatureRole::counter_signature ? ", counter-signed by "
                                                                                          : ", signed by ";
    print("  " + verdict + (signature.signer_display.empty() ? "" : deed + signature.signer_display));
    if (!signature.signer.empty()) print("    " + signature.signer);
    print("    " + signature.level + ", " + signature.algorithm + ", key " + signature.key +
          (signature.claimed_signing_time ? ", says it was made " + format_time(*signature.claimed_signing_time) : ""));
    if (signature.best_signature_time) {
      print("    proven to exist at " + format_time(*signature.best_signature_time));
    }
    print("    content and signature: " + std::string(crypto::name_of(signature.integrity)));
    if (signature.changes_after) {
      print("    changes after signing: " + std::string(crypto::name_of(*signature.changes_after)));
      for (const crypto::ChangedObject& one : signature.changes) {
        print(std::string("      ") + (one.allowed ? "allowed" : "NOT ALLOWED") + ": " + one.what + " (object " +
              one.object + ")");
      }
    }
    for (const crypto::Finding& finding : signature.findings) {
      print("    " + std::string(crypto::name_of(finding.severity)) + ": " + finding.message + " [" + finding.code +
            (finding.offset ? ", octet " + std::to_string(*finding.offset) : "") + "]");
    }
  }
}

Result<Standard> load_standard(const Arguments& given) {
  Standard out;
  out.trust = TRY(load_trust(given));
  for (const std::string& file : given.revocation) {
    const Bytes octets = TRY(read_file(file, crypto::Crl::kMostOctets));
    if (const Status read = out.evidence.add_revocation(octets); !read) {
      return fail(ErrorKind::malformed, "\"" + file + "\" is neither a CRL nor an OCSP answer");
    }
  }
  if (!given.policy.empty()) {
    const Bytes text = TRY(read_file(given.policy, crypto::kMostPolicyOctets));
    out.policy = TRY(crypto::ValidationPolicy::from_toml(as_text(text), given.policy));
  }
  if (given.document_password >= 0) {
    const auto input = make_secret_input(given.document_password, "");
    out.document_password =
        TRY(input->ask({.title = "Encrypted document", .prompt = "Password of the document", .warning = {}}));
  }
  out.paths.emplace(out.trust.anchors, out.trust.intermediates);
  out.at = given.at.empty() ? SystemClock().now() : TRY(parse_time(given.at));
  out.keep_content = !given.extract.empty();
  return out;
}

Result<int> run(const Arguments& given) {
  if (!given.content.empty() && given.files.size() != 1) {
    return fail(ErrorKind::usage, "--content goes with one signature file");
  }
  if (!given.extract.empty() && given.files.size() != 1) {
    return fail(ErrorKind::usage, "--extract goes with one signature file");
  }
  std::error_code ignored;
  if (!given.extract.empty() && fs::exists(fs::symlink_status(given.extract, ignored))) {
    return fail(ErrorKind::already_exists, "\"" + given.extract + "\" is there already");
  }
  const Standard standard = TRY(load_standard(given));
  const Time at = standard.at;
  Outcome worst = Outcome::passed;
  Json document = json_document("karta.verify/1");
  document["validated_at"] = format_time(at);
  document["documents"] = Json::array();
  for (const std::string& file : given.files) {
    const Verified verified = verify_one(file, given, standard);
    if (badness(verified.outcome) > badness(worst)) worst = verified.outcome;
    if (given.json) {
      document["documents"].push_back(json_of(verified));
    } else {
      print_text(verified);
    }
    if (given.extract.empty()) continue;
    if (verified.outcome == Outcome::passed && verified.report->content) {
      TRY(write_new_file(given.extract, *verified.report->content, 0644));
      say("the signed content is in \"" + given.extract + "\"");
    } else if (verified.outcome == Outcome::passed) {
      warn("nothing was extracted: the signature does not hold its content, which lies beside it");
    } else {
      warn("nothing was extracted: only content whose signature passes is");
    }
  }
  if (given.json) print_json(document);
  if (standard.trust.anchors.empty() && !given.json) {
    say("hint: no root to trust was given: --anchor ROOT.pem, or --dir of an issuing centre");
  }
  return static_cast<int>(worst);
}

}  // namespace

void add_verify(CLI::App& app, Run& chosen) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App& command = *app.add_subcommand("verify", "Check signatures, whatever the file is");
  command
      .add_option("file", arguments->files, "signed PDF documents, signature files, or files with FILE.p7s beside them")
      ->required();
  command.add_option("--content", arguments->content, "what a detached signature signs (default: FILE without .p7s)");
  command.add_option("--anchor", arguments->anchors, "certificates to trust, PEM or DER; may be repeated");
  command.add_option("--intermediate", arguments->intermediates, "further certificates for the path; may be repeated");
  command.add_option("--revocation", arguments->revocation, "CRLs and OCSP answers to use; may be repeated")
      ->check(CLI::ExistingFile);
  command.add_option("--policy", arguments->policy, "a karta.validation-policy/1 file: algorithms and their last days")
      ->check(CLI::ExistingFile);
  command.add_option("--document-password-fd", arguments->document_password,
                     "read the password of an encrypted PDF from this file descriptor, one line");
  add_centre_option(command, arguments->folder);
  command.add_option("--at", arguments->at, "the moment to validate at (2026-11-21T08:30:00Z); default: now");
  command.add_option("--extract", arguments->extract,
                     "write the content of a passing enveloping signature to this file");
  command.add_flag("--json", arguments->json, "as karta.verify/1");
  command.footer(
      "Exit code: 0 passed, 1 failed, 2 indeterminate, 3 no signature, 4 unreadable; the worst of several files "
      "counts.\n"
      "Without --anchor the root of the issuing centre in --dir is trusted.");
  on_call(command, chosen, [arguments] { return run(*arguments); });
}

}  // namespace karta::cli
