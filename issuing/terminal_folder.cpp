#include "issuing/terminal_folder.h"

#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "crypto/pem.h"
#include "crypto/x509/certificate.h"
#include "crypto/x509/csr.h"

namespace karta::issuing {
namespace {

namespace fs = std::filesystem;
using card::CvCertificate;
using card::HolderRole;
using crypto::PrivateKey;
using nlohmann::json;

constexpr std::string_view kSchema = "karta.terminal/1";
constexpr std::size_t kMostFile = 256 * 1024;
constexpr std::string_view kPendingCv = "pending.cv.key.pem", kPendingTls = "pending.tls.key.pem";
constexpr std::string_view kFacts = "terminal.json", kTls = "tls.pem";
constexpr std::string_view kSealedLabel = "ENCRYPTED PRIVATE KEY";

/// The end of a certificate's last day.
Time end_of(card::CvDate day) { return std::chrono::sys_days(day) + std::chrono::days(1) - std::chrono::seconds(1); }

Result<crypto::AlgorithmId> cv_algorithm_of(const crypto::PublicKey& key) {
  for (const crypto::AlgorithmId id : crypto::algorithms_of(key)) {
    if (card::find_cv_algorithm(id) != nullptr) return id;
  }
  return fail(ErrorKind::unsupported, "cards verify no signature of a " + key.type_name() + " key",
              "an elliptic curve: p256, p384, brainpoolP256r1, ...");
}

bool is_terminal(const CvCertificate& certificate) { return certificate.chat().role == HolderRole::terminal; }

/// Country and mnemonic of a reference; its last five characters are the sequence number.
std::string_view line_of(std::string_view holder) {
  return holder.substr(0, holder.size() - std::min<std::size_t>(5, holder.size()));
}

struct Document {
  TerminalFacts facts;
  std::string holder;
};

Result<Document> read_document(const fs::path& folder) {
  const Bytes octets = TRY(read_file(folder / kFacts, kMostFile));
  const json value = json::parse(as_text(octets), nullptr, false);
  const auto text = [&](const char* key) -> std::string {
    const auto found = value.find(key);
    return found != value.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const auto bad = [&](std::string_view what) {
    return fail(ErrorKind::malformed, "\"" + (folder / kFacts).string() + "\": " + std::string(what),
                "enrol the terminal anew: karta terminal enrol");
  };
  if (!value.is_object() || text("schema") != kSchema) return bad("no terminal's facts");
  Document document;
  document.facts.terminal = text("terminal");
  document.facts.name = text("name");
  document.facts.role = text("role");
  document.holder = text("holder");
  if (document.facts.terminal.empty() || document.holder.empty()) return bad("no id, or no holder");
  for (const auto& [key, place] : {std::pair{"from", &document.facts.from},
                                   {"cv_until", &document.facts.cv_until},
                                   {"tls_until", &document.facts.tls_until},
                                   {"renew_after", &document.facts.renew_after}}) {
    const auto time = parse_time(text(key));
    if (!time) return bad(std::string("\"") + key + "\" is no time");
    *place = *time;
  }
  return document;
}

/// The terminal's present certificate: the one terminal.json names; else the newest of the role's line.
Result<CvCertificate> present(const fs::path& folder, const std::vector<CvCertificate>& all,
                              const card::TerminalRole& role) {
  const auto document = read_document(folder);
  if (!document && document.error().kind != ErrorKind::not_found) return fail(document.error());
  const CvCertificate* best = nullptr;
  for (const CvCertificate& one : all) {
    if (!is_terminal(one)) continue;
    if (document) {
      if (one.holder() == document->holder) best = &one;
      continue;
    }
    const std::string_view line = line_of(one.holder());
    if (line.size() == role.holder.size() + 2 && line.substr(2) == role.holder &&
        (best == nullptr || best->holder() < one.holder()))
      best = &one;
  }
  if (best == nullptr) {
    return fail(ErrorKind::not_found,
                "\"" + folder.string() + "\" holds no certificate of a terminal for \"" + std::string(role.name) + "\"",
                "karta terminal enrol, or karta cv issue");
  }
  return *best;
}

/// Up through the verifier to the authority, then link by link; returned from above.
std::vector<CvCertificate> chain_of(const std::vector<CvCertificate>& all, const CvCertificate& terminal) {
  std::vector<CvCertificate> upwards = {terminal};
  while (true) {
    const std::string wanted = upwards.back().authority();
    const auto above = std::find_if(all.begin(), all.end(), [&](const CvCertificate& one) {
      return one.holder() == wanted && !one.self_signed() &&
             std::find(upwards.begin(), upwards.end(), one) == upwards.end();
    });
    if (above == all.end()) break;
    upwards.push_back(*above);
  }
  return {upwards.rbegin(), upwards.rend()};
}

Result<PrivateKey> open_key(const fs::path& path, const SecretBytes& passphrase) {
  const Bytes pem = TRY(read_file(path, kMostFile));
  return PrivateKey::from_encrypted_pem(as_text(pem), passphrase);
}

/// The key in `path`, or a new one put there.
Result<PrivateKey> pending_key(const fs::path& path, crypto::KeyType type, const SecretBytes& passphrase,
                               std::uint32_t iterations) {
  auto found = open_key(path, passphrase);
  if (found && found->public_key().type() == type) return found;
  if (!found && found.error().kind != ErrorKind::not_found) return found;
  PrivateKey key = TRY(PrivateKey::generate(type));
  const std::string pem = TRY(key.to_encrypted_pem(passphrase, iterations));
  TRY(replace_file(path, as_bytes(pem), 0600));
  return key;
}

}  // namespace

bool is_for(const CvCertificate& certificate, const crypto::PublicKey& key) {
  const card::CvPublicKey& named = certificate.content().public_key;
  if (!named.point.empty()) return equal(named.point, key.key_octets());
  return equal(named.modulus, key.modulus()) && equal(named.exponent, key.exponent());
}

Result<TerminalFacts> TerminalFolder::facts(std::string_view role) const {
  auto document = read_document(folder_);
  if (document) return std::move(document->facts);
  if (document.error().kind != ErrorKind::not_found) return fail(std::move(document).error());
  const card::TerminalRole* const row = card::find_terminal_role(role);
  if (row == nullptr) return fail(ErrorKind::usage, "there is no terminal's role \"" + std::string(role) + "\"");
  const auto all = TRY(card::TerminalStore(folder_).all());
  const CvCertificate terminal = TRY(present(folder_, all, *row));
  TerminalFacts facts;
  facts.role = std::string(role);
  facts.from = std::chrono::sys_days(terminal.content().effective);
  facts.cv_until = end_of(terminal.content().expiration);
  facts.renew_after = facts.from + (facts.cv_until - facts.from) * 2 / 3;
  return facts;
}

Result<TerminalFolder::Order> TerminalFolder::order(const card::TerminalRole& role, crypto::KeyType type,
                                                    const SecretBytes& passphrase, crypto::Signer* cv_key,
                                                    crypto::Signer* present_key, std::uint32_t iterations) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return fail(ErrorKind::io, "cannot make \"" + folder_.string() + "\": " + error.message());
  std::optional<CvCertificate> now;
  const auto all = TRY(card::TerminalStore(folder_).all());
  if (auto found = present(folder_, all, role)) {
    now = std::move(*found);
  } else if (found.error().kind != ErrorKind::not_found) {
    return fail(found.error());
  }

  Order out;
  std::unique_ptr<crypto::SoftwareSigner> made;
  if (cv_key == nullptr) {
    if (now && present_key != nullptr) type = present_key->public_key().type().value_or(type);
    made =
        std::make_unique<crypto::SoftwareSigner>(TRY(pending_key(folder_ / kPendingCv, type, passphrase, iterations)));
    cv_key = made.get();
  }
  out.cv_in_file = made != nullptr;
  const crypto::AlgorithmId algorithm = TRY(cv_algorithm_of(cv_key->public_key()));
  // A wish: the authority gives the reference.
  const std::string holder = now ? now->holder() : "XX" + std::string(role.holder) + "00000";
  out.order.cv_request =
      TRY(card::make_cv_request(now ? now->authority() : std::string(), holder, {}, *cv_key, algorithm));
  if (now && present_key != nullptr && made != nullptr) {
    const crypto::AlgorithmId present_algorithm = TRY(cv_algorithm_of(present_key->public_key()));
    out.order.cv_request =
        TRY(card::countersign_cv_request(out.order.cv_request, now->holder(), *present_key, present_algorithm));
  }
  PrivateKey tls_key = TRY(pending_key(folder_ / kPendingTls, crypto::KeyType::p256, passphrase, iterations));
  crypto::SoftwareSigner tls(std::move(tls_key));
  const crypto::Name subject = TRY(crypto::NameBuilder().add("CN", "terminal").build());
  out.order.tls_request = TRY(crypto::sign_certification_request(subject, {}, tls));
  return out;
}

Status TerminalFolder::take(const identity::TerminalCertificates& given, const Order& order, Time now,
                            const SecretBytes& passphrase) {
  const auto wrong = [](std::string_view what) {
    return fail(ErrorKind::untrusted, "the authority's answer does not fit what was asked: " + std::string(what));
  };
  // All is looked at before anything is written.
  const CvCertificate terminal = TRY(CvCertificate::parse(given.cv_certificate));
  if (!is_terminal(terminal)) return wrong("no terminal's certificate");
  const auto request = TRY(card::CvRequest::parse(order.order.cv_request));
  const card::CvPublicKey& asked = request.public_key;
  const card::CvPublicKey& named = terminal.content().public_key;
  if (!equal(asked.point, named.point) || !equal(asked.modulus, named.modulus) ||
      !equal(asked.exponent, named.exponent))
    return wrong("a CV certificate for another key");
  std::vector<CvCertificate> above;
  for (const Bytes& octets : given.cv_above) {
    CvCertificate one = TRY(CvCertificate::parse(octets));
    above.push_back(std::move(one));
  }
  if (std::none_of(above.begin(), above.end(), [&](const auto& one) { return one.holder() == terminal.authority(); }))
    return wrong("the verifier's certificate is missing");
  if (given.tls_certificates.empty()) return wrong("no TLS certificate");
  const crypto::Certificate tls = TRY(crypto::Certificate::from_der(given.tls_certificates.front()));
  const PrivateKey tls_key = TRY(open_key(folder_ / kPendingTls, passphrase));
  if (!equal(tls.spki(), tls_key.public_key().spki())) return wrong("a TLS certificate for another key");

  // Keys first, by another name beside the pending one: whatever stops this, it can be done again.
  if (order.cv_in_file) {
    const fs::path key = folder_ / (terminal.holder() + ".key.pem");
    const PrivateKey cv_key = TRY(open_key(folder_ / kPendingCv, passphrase));
    if (!is_for(terminal, cv_key.public_key())) return wrong("a CV certificate for another key");
    const Bytes sealed = TRY(read_file(folder_ / kPendingCv, kMostFile));
    TRY(replace_file(key, sealed, 0600));
  }
  const Bytes sealed = TRY(read_file(folder_ / kPendingTls, kMostFile));
  const std::string tls_file = given.tls_pem() + std::string(as_text(sealed));
  TRY(replace_file(folder_ / kTls, as_bytes(tls_file), 0600));
  for (const CvCertificate& one : above) {
    const std::string name = one.link() ? one.authority() + "-" + one.holder() : one.holder();
    TRY(replace_file(folder_ / (name + std::string(card::kCvSuffix)), one.octets(), 0644));
  }
  TRY(replace_file(folder_ / (terminal.holder() + std::string(card::kCvSuffix)), terminal.octets(), 0644));
  const json document = {{"schema", kSchema},
                         {"terminal", given.terminal},
                         {"name", given.name},
                         {"role", given.role},
                         {"holder", terminal.holder()},
                         {"from", format_time(now)},
                         {"cv_until", format_time(given.cv_until)},
                         {"tls_until", format_time(given.tls_until)},
                         {"renew_after", format_time(given.renew_after)}};
  const std::string text = document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  TRY(replace_file(folder_ / kFacts, as_bytes(text), 0644));
  ::unlink((folder_ / kPendingCv).c_str());
  ::unlink((folder_ / kPendingTls).c_str());

  // Keys nobody can use any more.
  const auto all = card::TerminalStore(folder_).all();
  if (!all) return {};
  for (const CvCertificate& one : *all) {
    if (!is_terminal(one) || one.holder() == terminal.holder() || line_of(one.holder()) != line_of(terminal.holder()) ||
        !one.expired(card::cv_date_of(now)))
      continue;
    ::unlink((folder_ / (one.holder() + ".key.pem")).c_str());
    ::unlink((folder_ / (one.holder() + std::string(card::kCvSuffix))).c_str());
  }
  return {};
}

Result<std::vector<CvCertificate>> TerminalFolder::chain(const card::TerminalRole& role) const {
  const auto all = TRY(card::TerminalStore(folder_).all());
  const CvCertificate terminal = TRY(present(folder_, all, role));
  return chain_of(all, terminal);
}

Result<card::UnlockedTerminal> TerminalFolder::unlock(const card::TerminalRole& role,
                                                      const SecretBytes& passphrase) const {
  card::UnlockedTerminal out;
  out.credentials.chain = TRY(chain(role));
  const CvCertificate& terminal = out.credentials.terminal();
  PrivateKey key = TRY(open_key(folder_ / (terminal.holder() + ".key.pem"), passphrase));
  if (!is_for(terminal, key.public_key()))
    return fail(ErrorKind::configuration, "the key file of \"" + terminal.holder() + "\" is another key's");
  out.signer = std::make_unique<crypto::SoftwareSigner>(std::move(key));
  out.credentials.signer = out.signer.get();
  return out;
}

Result<identity::TlsIdentity> TerminalFolder::tls(const SecretBytes& passphrase) const {
  auto pem = read_file(folder_ / kTls, kMostFile);
  if (!pem) {
    if (pem.error().kind == ErrorKind::not_found)
      return fail(ErrorKind::not_found, "\"" + folder_.string() + "\" holds no TLS certificate of a terminal",
                  "enrol the terminal: karta terminal enrol");
    return fail(std::move(pem).error());
  }
  identity::TlsIdentity out;
  const auto blocks = TRY(crypto::parse_pem(as_text(*pem)));
  std::optional<PrivateKey> key;
  for (const crypto::PemBlock& block : blocks) {
    if (block.label == "CERTIFICATE") {
      out.certificates_pem += crypto::to_pem(block.label, block.der);
    } else if (block.label == kSealedLabel) {
      PrivateKey opened = TRY(PrivateKey::from_encrypted_pem(crypto::to_pem(block.label, block.der), passphrase));
      key.emplace(std::move(opened));
    }
  }
  if (!key || out.certificates_pem.empty())
    return fail(ErrorKind::malformed, "\"" + (folder_ / kTls).string() + "\" holds no certificate with its key");
  out.private_key = key->expose_secret_der();
  return out;
}

}  // namespace karta::issuing
