// karta verify: finds out by itself what a file is, and says whether its signatures hold.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>
#include <utility>

#include "base/file.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/secret_input.h"
#include "cli/signature_file.h"
#include "cli/verify_output.h"
#include "crypto/cms/stream.h"
#include "crypto/content.h"
#include "crypto/digest.h"
#include "crypto/trust_list.h"
#include "crypto/validation/etsi_report.h"
#include "crypto/validation/verify_pdf.h"
#include "identity/online_sources.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;

/// Signature files up to this are read whole; larger ones, which hold their content, stream by.
constexpr std::size_t kMostInMemory = std::size_t{16} << 20;
/// In memory whatever their size, for there is no streaming them: PEM.
constexpr std::size_t kMostSignatureFile = std::size_t{1} << 30;

struct Arguments {
  std::vector<std::string> files;
  std::string content;
  std::vector<std::string> anchors;
  std::vector<std::string> intermediates;
  std::string trust_list;
  std::string folder;
  std::string at;
  std::string extract;
  std::vector<std::string> revocation;
  std::string policy;
  int document_password = -1;
  unsigned jobs = 0;
  bool fetch = false, any_address = false;
  bool json = false, etsi = false;
};

/// The network, for one thread at a time.
class Fetcher {
 public:
  explicit Fetcher(identity::OnlineOptions options) : source_(std::move(options)) {}

  /// What is to be had about the paths in `report`, added to `evidence`; true if there was anything.
  bool fetch(const crypto::Report& report, const std::vector<crypto::Certificate>& known,
             crypto::ValidationEvidence& evidence) {
    const std::lock_guard lock(mutex_);
    const auto amount = [&] { return evidence.certificates.size() + evidence.crls.size() + evidence.ocsp.size(); };
    const std::size_t before = amount();
    for (const crypto::SignatureReport& signature : report.signatures) {
      if (signature.chain.empty()) continue;
      const std::vector<crypto::Certificate> chain = up_from(signature.chain, known, evidence);
      for (std::size_t i = 0; i + 1 < chain.size(); ++i) ask(chain[i], chain[i + 1], evidence);
    }
    return amount() != before;
  }
  const std::vector<std::string>& troubles() const { return source_.troubles(); }

 private:
  static constexpr std::size_t kMostChain = 16;  // real ones have two to five

  /// `chain` as far up as it goes, by what is known and by what its certificates say where to fetch: each of them but
  /// the last is to be asked about.
  std::vector<crypto::Certificate> up_from(std::vector<crypto::Certificate> chain,
                                           const std::vector<crypto::Certificate>& known,
                                           crypto::ValidationEvidence& evidence) {
    while (chain.size() < kMostChain && !chain.back().self_issued()) {
      const auto issued = [&](const crypto::Certificate& one) {
        if (!(one.subject() == chain.back().issuer())) return false;
        const auto key = one.public_key();
        return key && crypto::verify_certificate_signature(chain.back(), *key);
      };
      const crypto::Certificate* issuer = nullptr;
      for (const auto* list : {&known, &std::as_const(evidence.certificates)}) {
        const auto found = std::find_if(list->begin(), list->end(), issued);
        if (issuer == nullptr && found != list->end()) issuer = &*found;
      }
      if (issuer != nullptr) {
        chain.push_back(*issuer);
        continue;
      }
      auto fetched = source_.issuers_of(chain.back());
      const auto found = std::find_if(fetched.begin(), fetched.end(), issued);
      if (found == fetched.end()) break;
      evidence.certificates.push_back(*found);
      chain.push_back(std::move(*found));
    }
    return chain;
  }

  void ask(const crypto::Certificate& certificate, const crypto::Certificate& issuer,
           crypto::ValidationEvidence& evidence) {
    const auto found = source_.about(certificate, issuer);
    if (!found) return;  // troubles() says why
    for (const auto* list : {&found->crls, &found->ocsp}) {
      for (const Bytes& one : *list) (void)evidence.add_revocation(one);
    }
  }

  std::mutex mutex_;
  identity::OnlineRevocation source_;
};

/// What every document is judged by.
struct Standard {
  crypto::TrustMaterial trust;
  crypto::ValidationEvidence evidence;
  crypto::ValidationPolicy policy;
  std::optional<crypto::PathVerifier> paths;
  std::unique_ptr<Fetcher> fetcher;
  SecretBytes document_password;
  Time at{};

  crypto::ValidateOptions options(const crypto::ValidationEvidence& known) const {
    crypto::ValidateOptions out;
    out.at = at;
    out.policy = &policy;
    out.evidence = &known;
    out.paths = &*paths;
    return out;
  }

  /// Judges, and where the network may be asked and there is something to ask for, judges again.
  template <class Judge>
  Result<crypto::Report> judge(Judge judge_with) const {
    crypto::Report report = TRY(judge_with(options(evidence)));
    if (fetcher == nullptr) return report;
    crypto::ValidationEvidence more = evidence;
    std::vector<crypto::Certificate> known = trust.anchors;
    known.insert(known.end(), trust.intermediates.begin(), trust.intermediates.end());
    if (!fetcher->fetch(report, known, more)) return report;
    return judge_with(options(more));
  }
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

/// What the centre's authorities were before they were renewed or rolled over, and the links between: documents signed
/// then lead to the present root by way of these.
Status add_earlier(std::vector<crypto::Certificate>& out, const fs::path& centre) {
  std::error_code error;
  for (const char* ca : {"root", "issuing"}) {
    const fs::path folder = centre / "authorities" / ca;
    std::vector<std::string> files;
    if (fs::exists(folder / "roll-over.pem", error)) files.push_back((folder / "roll-over.pem").string());
    for (fs::recursive_directory_iterator one(folder / "earlier", error), end; !error && one != end;
         one.increment(error)) {
      // earlier/N/: a certificate, the links of its time, a key.
      const std::string name = one->path().filename().string();
      if (name == "roll-over.pem" || name.find(".crt") != std::string::npos || name == "certificate.pem") {
        files.push_back(one->path().string());
      }
    }
    for (const std::string& file : files) {
      const Bytes octets = TRY(read_file(file, 16u << 20));
      // A renewal under the same key leaves no links.
      const auto certificates = crypto::Certificate::many_from_file_octets(octets);
      if (certificates) out.insert(out.end(), certificates->begin(), certificates->end());
    }
  }
  return {};
}

/// Anchors given on the command line; otherwise the root of the issuing centre, where there is one. With a trust list
/// they are what the list is held against, and the list says whom to trust.
Result<crypto::TrustMaterial> load_trust(const Arguments& given, Time at) {
  crypto::TrustMaterial trust;
  TRY(add_certificates(trust.anchors, given.anchors));
  TRY(add_certificates(trust.intermediates, given.intermediates));
  if (given.anchors.empty() && fs::exists(fs::path(given.folder) / issuing::kCentreFile)) {
    const auto config = TRY(issuing::load_centre_config(given.folder));
    TRY(add_certificates(trust.anchors, {config.root.certificate.string()}));
    TRY(add_certificates(trust.intermediates, {config.issuing.certificate.string()}));
    TRY(add_earlier(trust.intermediates, config.folder));
  }
  if (given.trust_list.empty()) return trust;
  const Bytes octets = TRY(read_file(given.trust_list, 2 * crypto::TrustList::kMostOctets));
  const crypto::TrustList list = TRY(crypto::open_trust_list(octets, trust.anchors, at));
  crypto::TrustMaterial out = crypto::trust_material(list, at);
  out.intermediates = std::move(trust.intermediates);
  return out;
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

/// A signature file of any size: a small one in memory, a large one streamed.
Result<crypto::Report> judge_signature(const fs::path& signature, bool pem, crypto::ContentSource* content,
                                       const crypto::TrustMaterial& trust, const crypto::ValidateOptions& options) {
  std::error_code ignored;
  const bool small = fs::file_size(signature, ignored) <= kMostInMemory && !ignored;
  if (small || pem) {
    const Bytes file = TRY(read_file(signature, kMostSignatureFile));
    const auto octets = crypto::cms_of_file(file);
    return octets ? crypto::verify_cms(*octets, content, trust, options) : crypto::unreadable_cms(octets.error());
  }
  auto file = TRY(crypto::FileContent::open(signature));
  const auto stream = crypto::SignedDataStream::read(file);
  if (stream) return crypto::verify_cms(stream->data(), content, trust, options);
  if (stream.error().kind == ErrorKind::io) return fail(stream.error());
  return crypto::unreadable_cms(stream.error());
}

Status verify_signature_file(Verified& verified, const fs::path& signature, bool pem,
                             const std::optional<fs::path>& content, bool content_is_explicit,
                             const Standard& standard) {
  verified.format = "CMS";
  verified.report = TRY(standard.judge([&](const crypto::ValidateOptions& options) -> Result<crypto::Report> {
    // Enveloping or detached shows only when it is read. A content merely lying beside an enveloping signature is not
    // its business; one the caller named is, and is refused there.
    if (!content_is_explicit) {
      crypto::Report report = TRY(judge_signature(signature, pem, nullptr, standard.trust, options));
      if (!content || report.enveloping) return report;
    }
    if (!content) return judge_signature(signature, pem, nullptr, standard.trust, options);
    auto beside = TRY(crypto::FileContent::open(*content));
    return judge_signature(signature, pem, &beside, standard.trust, options);
  }));
  verified.outcome = outcome_of(*verified.report);
  return {};
}

/// A PDF with signatures of its own; false if it has none.
Result<bool> verify_document(Verified& verified, const fs::path& path, const Standard& standard) {
  const auto file = crypto::PdfFile::open_file(path, standard.document_password);
  if (!file) {
    // The password and the disk are the caller's business, a broken file is a finding.
    if (file.error().kind == ErrorKind::not_permitted || file.error().kind == ErrorKind::io) return fail(file.error());
    verified.report = crypto::unreadable_pdf(file.error());
    verified.format = "PDF";
    verified.outcome = Outcome::unreadable;
    return true;
  }
  crypto::Report report = TRY(standard.judge([&](const crypto::ValidateOptions& options) -> Result<crypto::Report> {
    return crypto::verify_pdf(*file, standard.trust, options);
  }));
  if (report.signatures.empty()) return false;
  verified.format = "PDF";
  verified.outcome = outcome_of(report);
  verified.report = std::move(report);
  return true;
}

Status verify_into(Verified& verified, const Arguments& given, const Standard& standard) {
  const fs::path file = verified.file;
  const crypto::FileKind kind = TRY(kind_of_file(file));
  if (is_cms(kind)) {
    return verify_signature_file(verified, file, kind == crypto::FileKind::cms_pem, content_beside(file, given.content),
                                 !given.content.empty(), standard);
  }
  verified.format = crypto::describe(kind);
  for (const char* suffix : {".p7s", ".sig"}) {
    fs::path signature = file;
    signature += suffix;
    std::error_code ignored;
    if (!fs::exists(signature, ignored)) continue;
    verified.signature_file = signature;
    const crypto::FileKind its_kind = TRY(kind_of_file(signature));
    return verify_signature_file(verified, signature, its_kind == crypto::FileKind::cms_pem, file, true, standard);
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

Result<Standard> load_standard(const Arguments& given) {
  Standard out;
  out.at = given.at.empty() ? SystemClock().now() : TRY(parse_time(given.at));
  out.trust = TRY(load_trust(given, out.at));
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
  if (given.fetch) out.fetcher = std::make_unique<Fetcher>(identity::OnlineOptions{.any_address = given.any_address});
  return out;
}

/// Judges the files on all cores and hands them on in their order. At most kMostAhead wait to be handed on, so that
/// memory does not grow with the number of files.
class InOrder {
 public:
  InOrder(const Arguments& given, const Standard& standard) : given_(given), standard_(standard) {}

  template <class Take>
  void run(Take take) {
    const std::size_t files = given_.files.size();
    const unsigned cores = given_.jobs != 0 ? given_.jobs : std::max(1u, std::thread::hardware_concurrency());
    const std::size_t workers = std::min<std::size_t>(cores, files);
    if (workers <= 1) {
      for (const std::string& file : given_.files) take(verify_one(file, given_, standard_));
      return;
    }
    done_.resize(files);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < workers; ++i) threads.emplace_back([this] { work(); });
    for (std::size_t i = 0; i < files; ++i) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return done_[i].has_value(); });
      Verified next = std::move(*done_[i]);
      done_[i].reset();
      taken_ = i + 1;
      lock.unlock();
      changed_.notify_all();
      take(std::move(next));
    }
    for (std::thread& one : threads) one.join();
  }

 private:
  static constexpr std::size_t kMostAhead = 256;

  void work() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return next_ >= given_.files.size() || next_ < taken_ + kMostAhead; });
      if (next_ >= given_.files.size()) return;
      const std::size_t mine = next_++;
      lock.unlock();
      Verified verified = verify_one(given_.files[mine], given_, standard_);
      lock.lock();
      done_[mine] = std::move(verified);
      lock.unlock();
      changed_.notify_all();
    }
  }

  const Arguments& given_;
  const Standard& standard_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::optional<Verified>> done_;
  std::size_t next_ = 0, taken_ = 0;
};

Status check_arguments(const Arguments& given) {
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
  return {};
}

/// Writes the content of an enveloping signature that passed; it streams, whatever its size.
Status extract_content(const Arguments& given, const Verified& verified) {
  if (verified.outcome != Outcome::passed) {
    warn("nothing was extracted: only content whose signature passes is");
    return {};
  }
  if (!verified.report->enveloping) {
    warn("nothing was extracted: the signature does not hold its content, which lies beside it");
    return {};
  }
  const crypto::FileKind kind = TRY(kind_of_file(verified.file));
  std::optional<Bytes> unwrapped;  // what PEM held
  std::optional<crypto::FileContent> file;
  std::optional<crypto::MemoryContent> memory;
  crypto::ContentSource* source = nullptr;
  if (kind == crypto::FileKind::cms_pem) {
    const Bytes octets = TRY(read_file(verified.file, kMostSignatureFile));
    unwrapped = TRY(crypto::cms_of_file(octets));
    source = &memory.emplace(*unwrapped);
  } else {
    file.emplace(TRY(crypto::FileContent::open(verified.file)));
    source = &*file;
  }
  auto inside = TRY(crypto::EnvelopedContent::open(*source));
  auto out = TRY(NewFile::create(given.extract, 0644));
  // The file is read a second time: what is written must be what was judged.
  const crypto::SignatureReport& judged = verified.report->signatures.front();
  const auto hash = crypto::find_hash(judged.digest);
  if (!hash) return fail(ErrorKind::internal, "a passing signature over an unknown digest");
  crypto::Hasher hasher(*hash);
  Bytes buffer(65'536);
  while (const std::size_t count = TRY(inside.read(buffer))) {
    hasher.update(ByteView(buffer).first(count));
    TRY(out.write(ByteView(buffer).first(count)));
  }
  if (hasher.finish() != judged.content_digest) {
    return fail(ErrorKind::invalid_signature, "the file was changed while it was judged: nothing was extracted");
  }
  TRY(out.commit());
  say("the signed content is in \"" + given.extract + "\"");
  return {};
}

Result<int> run(const Arguments& given) {
  TRY(check_arguments(given));
  const Standard standard = TRY(load_standard(given));
  Outcome worst = Outcome::passed;
  Json document;
  if (given.json) {
    document = json_document("karta.verify/1");
    document["validated_at"] = format_time(standard.at);
    document["documents"] = Json::array();
  }
  std::vector<Verified> kept;  // for the XML report, and for --extract
  InOrder(given, standard).run([&](Verified verified) {
    worst = worse(verified.outcome, worst);
    if (given.json) {
      document["documents"].push_back(json_of(verified));
    } else if (!given.etsi) {
      print_text(verified);
    } else if (!verified.report) {
      say(verified.file + ": " + verified.reason);
    }
    if (given.etsi || !given.extract.empty()) kept.push_back(std::move(verified));
  });
  if (given.json) print_json(document);
  if (given.etsi) {
    std::vector<crypto::JudgedDocument> documents;
    for (const Verified& one : kept) documents.push_back({one.file, one.report ? &*one.report : nullptr});
    std::string xml = crypto::etsi_report(documents, standard.at, standard.policy);
    xml.pop_back();  // print() ends the line
    print(xml);
  }
  if (!given.extract.empty()) TRY(extract_content(given, kept.front()));
  if (standard.fetcher != nullptr) {
    for (const std::string& one : standard.fetcher->troubles()) warn(one);
  }
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
  command
      .add_option("--trust-list", arguments->trust_list, "whom to trust (karta.trust-list/1), held against the anchors")
      ->check(CLI::ExistingFile);
  command.add_option("--revocation", arguments->revocation, "CRLs and OCSP answers to use; may be repeated")
      ->check(CLI::ExistingFile);
  command.add_flag(
      "--fetch", arguments->fetch,
      "ask the network: OCSP, CRLs and issuers from the URLs in certificates; without it nothing is fetched");
  command.add_flag("--any-address", arguments->any_address,
                   "with --fetch: follow those URLs to private addresses and this machine too");
  command.add_option("--policy", arguments->policy, "a karta.validation-policy/1 file: algorithms and their last days")
      ->check(CLI::ExistingFile);
  command.add_option("--document-password-fd", arguments->document_password,
                     "read the password of an encrypted PDF from this file descriptor, one line");
  add_centre_option(command, arguments->folder);
  command.add_option("--at", arguments->at, "the moment to validate at (2026-11-21T08:30:00Z); default: now");
  command.add_option("--extract", arguments->extract,
                     "write the content of a passing enveloping signature to this file");
  command.add_option("--jobs", arguments->jobs, "files judged at a time; default: one a core")
      ->check(CLI::Range(1u, 1024u));
  CLI::Option* const json = command.add_flag("--json", arguments->json, "as karta.verify/1");
  command.add_flag("--etsi", arguments->etsi, "as the XML report of ETSI TS 119 102-2")->excludes(json);
  command.footer(
      "Exit code: 0 passed, 1 failed, 2 indeterminate, 3 no signature, 4 unreadable; the worst of several files "
      "counts.\n"
      "Without --anchor the root of the issuing centre in --dir is trusted.");
  on_call(command, chosen, [arguments] { return run(*arguments); });
}

}  // namespace karta::cli
