#include "card/terminal_store.h"

#include <algorithm>

#include "base/der.h"
#include "base/file.h"

namespace karta::card {
namespace {

namespace fs = std::filesystem;
using std::chrono::days;

constexpr std::string_view kCvcaMnemonic = "KCVCA", kDvMnemonic = "KDV";
constexpr std::size_t kMostKeyFileOctets = 64 * 1024, kSequenceDigits = 5, kMostFiles = 100'000;
constexpr mode_t kPublicMode = 0644, kPrivateMode = 0600;

// Country and mnemonic of a reference; its last five characters are the sequence number.
std::string line_of(const std::string& holder) {
  return holder.size() > kSequenceDigits ? holder.substr(0, holder.size() - kSequenceDigits) : holder;
}
bool is_line(const std::string& holder, std::string_view mnemonic) {
  const std::string line = line_of(holder);
  return line.size() == mnemonic.size() + 2 && std::string_view(line).substr(2) == mnemonic;
}

CvDate later(CvDate from, unsigned count) { return CvDate(std::chrono::sys_days(from) + days(count)); }

// A certificate does not outlive the one above it.
CvDate no_later(CvDate wanted, CvDate issuer) { return std::min(wanted, issuer); }

// Of this authority's own: others it has certified are foreign, or not official.
bool is_own_dv(const CvCertificate& certificate) { return certificate.chat().role == HolderRole::domestic_dv; }

Result<crypto::AlgorithmId> algorithm_of(const crypto::PublicKey& key) {
  for (const crypto::AlgorithmId id : crypto::algorithms_of(key)) {
    if (find_cv_algorithm(id) != nullptr) return id;
  }
  return fail(ErrorKind::unsupported, "cards verify no signature of a " + key.type_name() + " key",
              "an elliptic curve: p256, p384, brainpoolP256r1, ...");
}

template <class Predicate>
const CvCertificate* newest(const std::vector<CvCertificate>& all, Predicate fits) {
  const CvCertificate* best = nullptr;
  for (const CvCertificate& one : all) {
    if (fits(one) && (best == nullptr || best->holder() < one.holder())) best = &one;
  }
  return best;
}

// The sector extension's content: 80 hash
Bytes sector_extension(const SectorKey& sector, const CvAlgorithm& algorithm) {
  return make_tlv(0x80, sector.hash(row_of(algorithm.algorithm).hash));
}

}  // namespace

Result<CvCertificate> read_cv_certificate(const fs::path& file) {
  Bytes octets = TRY(read_file(file, 2 * kMostCvOctets));
  if (!octets.empty() && octets.front() == '7') {
    std::string text(as_text(octets));
    std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
    octets = TRY(from_hex(text));
  }
  auto certificate = CvCertificate::parse(octets);
  if (!certificate) {
    Error error = std::move(certificate).error();
    error.message = "\"" + file.string() + "\": " + error.message;
    return fail(std::move(error));
  }
  return certificate;
}

Status TerminalStore::save(const CvCertificate& certificate, const std::string& name) const {
  return write_new_file(folder_ / (name + std::string(kCvSuffix)), certificate.octets(), kPublicMode);
}

Status TerminalStore::save_key(const crypto::PrivateKey& key, const std::string& holder, const CvIssueOptions& options,
                               const SecretBytes& passphrase) const {
  const std::string pem = TRY(key.to_encrypted_pem(passphrase, options.key_file_iterations));
  return write_new_file(folder_ / (holder + ".key.pem"), as_bytes(pem), kPrivateMode);
}

Result<std::unique_ptr<crypto::SoftwareSigner>> TerminalStore::key_of(const std::string& holder,
                                                                      const SecretBytes& passphrase) const {
  const Bytes pem = TRY(read_file(folder_ / (holder + ".key.pem"), kMostKeyFileOctets));
  crypto::PrivateKey key = TRY(crypto::PrivateKey::from_encrypted_pem(as_text(pem), passphrase));
  return std::make_unique<crypto::SoftwareSigner>(std::move(key));
}

Result<std::vector<CvCertificate>> TerminalStore::all() const {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator entry(folder_, error), end; !error && entry != end; entry.increment(error)) {
    if (entry->path().extension() == kCvSuffix) files.push_back(entry->path());
    if (files.size() > kMostFiles) return fail(ErrorKind::limit, "\"" + folder_.string() + "\" holds too many files");
  }
  if (error) {
    return fail(ErrorKind::not_found, "cannot read the terminals' folder \"" + folder_.string() + "\"",
                "karta init makes one; --terminals names another");
  }
  std::sort(files.begin(), files.end());
  std::vector<CvCertificate> certificates;
  for (const fs::path& file : files) {
    CvCertificate certificate = TRY(read_cv_certificate(file));
    certificates.push_back(std::move(certificate));
  }
  return certificates;
}

Result<std::vector<CvCertificate>> TerminalStore::anchors() const {
  std::vector<CvCertificate> certificates = TRY(all());
  std::erase_if(certificates,
                [](const CvCertificate& one) { return one.chat().role != HolderRole::cvca || !one.self_signed(); });
  return certificates;
}

Result<CvCertificate> TerminalStore::authority() const {
  const auto certificates = TRY(anchors());
  const CvCertificate* const best = newest(certificates, [](const CvCertificate&) { return true; });
  if (best == nullptr) return fail(ErrorKind::not_found, "\"" + folder_.string() + "\" holds no CVCA");
  return *best;
}

Result<CvCertificate> TerminalStore::verifier() const {
  const auto certificates = TRY(all());
  const CvCertificate* const best = newest(certificates, is_own_dv);
  if (best == nullptr) return fail(ErrorKind::not_found, "\"" + folder_.string() + "\" holds no document verifier");
  return *best;
}

Result<std::string> TerminalStore::next_holder(std::string_view country, std::string_view mnemonic) const {
  const std::string line = std::string(country) + std::string(mnemonic);
  unsigned highest = 0;
  if (fs::exists(folder_)) {
    for (const CvCertificate& one : TRY(all())) {
      if (line_of(one.holder()) != line) continue;
      const std::string sequence = one.holder().substr(line.size());
      if (std::all_of(sequence.begin(), sequence.end(), [](char c) { return c >= '0' && c <= '9'; })) {
        highest = std::max(highest, static_cast<unsigned>(std::stoul(sequence)));
      }
    }
  }
  if (highest >= 99'999) return fail(ErrorKind::limit, "the sequence numbers of " + line + " are used up");
  std::string number = std::to_string(highest + 1);
  number.insert(0, kSequenceDigits - number.size(), '0');
  std::string holder = line + number;
  TRY(check_cv_reference(holder));
  return holder;
}

Status TerminalStore::create(std::string_view country, const CvIssueOptions& options, const SecretBytes& passphrase,
                             CvDate today) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) return fail(ErrorKind::io, "cannot make \"" + folder_.string() + "\": " + error.message());
  crypto::PrivateKey key = TRY(crypto::PrivateKey::generate(options.key));
  const crypto::AlgorithmId algorithm = TRY(algorithm_of(key.public_key()));
  CvContent content;
  content.holder = TRY(next_holder(country, kCvcaMnemonic));
  content.authority = content.holder;
  content.public_key = TRY(cv_public_key_of(key.public_key(), algorithm, true));
  content.chat = {TerminalType::authentication_terminal, HolderRole::cvca,
                  named_rights(TerminalType::authentication_terminal)};
  content.extensions.push_back({std::string(kSectorRightsOid), encode_sector_rights(all_sector_rights())});
  content.effective = today;
  content.expiration = later(today, options.days == 0 ? kCvcaDays : options.days);
  TRY(save_key(key, content.holder, options, passphrase));
  crypto::SoftwareSigner signer(std::move(key));
  const CvCertificate authority = TRY(sign_cv_certificate(content, signer, algorithm));
  TRY(save(authority, content.holder));
  CvIssueOptions below = options;
  below.days = 0;
  TRY(issue_verifier(below, passphrase, today));
  return {};
}

Result<CvCertificate> TerminalStore::issue_verifier(const CvIssueOptions& options, const SecretBytes& passphrase,
                                                    CvDate today) {
  const CvCertificate above = TRY(authority());
  if (above.expired(today)) {
    return fail(ErrorKind::untrusted, "the authority \"" + above.holder() + "\" has expired",
                "karta cv link makes its successor, which cards accept");
  }
  const auto signer = TRY(key_of(above.holder(), passphrase));
  const auto anchor = TRY(CvTrust::of(above));
  // Below an authority every key is on its curve.
  const crypto::KeyType type = anchor.key.type().value_or(options.key);
  crypto::PrivateKey key = TRY(crypto::PrivateKey::generate(type));
  CvContent content;
  content.authority = above.holder();
  content.holder = TRY(next_holder(std::string_view(above.holder()).substr(0, 2), kDvMnemonic));
  const crypto::AlgorithmId algorithm = TRY(algorithm_of(key.public_key()));
  content.public_key = TRY(cv_public_key_of(key.public_key(), algorithm, false));
  content.chat = {above.chat().type, HolderRole::domestic_dv, above.chat().rights};
  content.extensions.push_back({std::string(kSectorRightsOid), encode_sector_rights(above.sector_rights())});
  content.effective = today;
  content.expiration = no_later(later(today, options.days == 0 ? kDvDays : options.days), above.content().expiration);
  CvCertificate made = TRY(sign_cv_certificate(content, *signer, anchor.algorithm));
  TRY(save_key(key, content.holder, options, passphrase));
  TRY(save(made, content.holder));
  return made;
}

Result<CvCertificate> TerminalStore::issue_verifier(const CvRequest& request, std::optional<Rights> rights,
                                                    const CvIssueOptions& options, const SecretBytes& passphrase,
                                                    CvDate today) {
  TRY(check_cv_reference(request.holder));
  const CvCertificate above = TRY(authority());
  if (above.expired(today)) {
    return fail(ErrorKind::untrusted, "the authority \"" + above.holder() + "\" has expired",
                "karta cv link makes its successor, which cards accept");
  }
  if (request.public_key.curve != above.content().public_key.curve) {
    return fail(ErrorKind::usage, "the request's key is on another curve than the authority's");
  }
  for (const CvCertificate& one : TRY(all())) {
    if (one.holder() != request.holder) continue;
    return fail(ErrorKind::already_exists, "\"" + request.holder + "\" has a certificate already",
                "verifiers of two regions need references of their own: countries, or names, that differ");
  }
  const auto signer = TRY(key_of(above.holder(), passphrase));
  CvContent content;
  content.authority = above.holder();
  content.holder = request.holder;
  content.public_key = request.public_key;
  content.public_key.curve.reset();
  content.chat = {above.chat().type, HolderRole::foreign_dv, rights.value_or(above.chat().rights)};
  const SectorRights in_sectors = options.sector_rights.value_or(rights ? SectorRights{0} : above.sector_rights());
  if (in_sectors != 0) {
    content.extensions.push_back({std::string(kSectorRightsOid), encode_sector_rights(in_sectors)});
  }
  content.effective = today;
  content.expiration = no_later(later(today, options.days == 0 ? kDvDays : options.days), above.content().expiration);
  CvCertificate made = TRY(sign_cv_certificate(content, *signer, above.content().public_key.algorithm->algorithm));
  TRY(save(made, content.holder));
  return made;
}

Result<UnlockedVerifier> TerminalStore::unlock_verifier(const SecretBytes& passphrase,
                                                        std::unique_ptr<crypto::Signer> signer) const {
  const CvCertificate own = TRY(verifier());
  auto way = TRY(way_to(own));
  UnlockedVerifier out{own, std::move(way), std::move(signer)};
  if (!out.signer) out.signer = TRY(key_of(own.holder(), passphrase));
  const auto authorities = TRY(anchors());
  const CvCertificate* const above =
      newest(authorities, [&](const CvCertificate& one) { return one.holder() == own.authority(); });
  const auto key =
      TRY(own.content().public_key.key(above == nullptr ? std::nullopt : above->content().public_key.curve));
  if (!(key == out.signer->public_key())) {
    return fail(ErrorKind::configuration, "the key is not that of the verifier \"" + own.holder() + "\"");
  }
  return out;
}

Result<CvCertificate> sign_terminal(const UnlockedVerifier& verifier, const TerminalGrant& grant) {
  const CvCertificate& above = verifier.certificate;
  if (above.expired(grant.effective)) {
    return fail(ErrorKind::untrusted, "the verifier \"" + above.holder() + "\" has expired",
                "karta cv issue dv makes a new one");
  }
  if (grant.key.curve && *grant.key.curve != verifier.signer->public_key().type()) {
    return fail(ErrorKind::usage, "the terminal's key is on another curve than the authority's");
  }
  CvContent content;
  content.authority = above.holder();
  content.holder = grant.holder;
  content.public_key = grant.key;
  content.public_key.curve.reset();
  content.chat = {above.chat().type, HolderRole::terminal, grant.rights};
  if (grant.sector_rights != 0) {
    content.extensions.push_back({std::string(kSectorRightsOid), encode_sector_rights(grant.sector_rights)});
  }
  content.effective = grant.effective;
  content.expiration = no_later(grant.expiration, above.content().expiration);
  if (grant.sector) {
    content.extensions.push_back({std::string(kCvSectorOid), sector_extension(*grant.sector, *grant.key.algorithm)});
  }
  return sign_cv_certificate(content, *verifier.signer, above.content().public_key.algorithm->algorithm);
}

Result<CvCertificate> TerminalStore::grant(const CvPublicKey& key, std::string holder, const TerminalRole& role,
                                           std::optional<Rights> rights, const CvIssueOptions& options,
                                           const SecretBytes& passphrase, CvDate today) {
  const UnlockedVerifier above = TRY(unlock_verifier(passphrase));
  TerminalGrant wanted;
  wanted.key = key;
  wanted.holder = std::move(holder);
  wanted.rights = rights.value_or(role.rights);
  // Rights named one by one replace all of the role's.
  wanted.sector_rights = options.sector_rights.value_or(rights ? SectorRights{0} : role.sector_rights);
  wanted.effective = today;
  wanted.expiration = later(today, options.days == 0 ? kTerminalDays : options.days);
  if (!role.sector.empty()) wanted.sector = TRY(make_sector(role.sector, options, passphrase));
  CvCertificate made = TRY(sign_terminal(above, wanted));
  TRY(save(made, made.holder()));
  return made;
}

Result<CvCertificate> TerminalStore::issue_terminal(const TerminalRole& role, std::optional<Rights> rights,
                                                    const CvIssueOptions& options, const SecretBytes& passphrase,
                                                    CvDate today) {
  const auto anchors_of = TRY(authority());
  const auto anchor = TRY(CvTrust::of(anchors_of));
  crypto::PrivateKey key = TRY(crypto::PrivateKey::generate(anchor.key.type().value_or(options.key)));
  const crypto::AlgorithmId algorithm = TRY(algorithm_of(key.public_key()));
  const CvPublicKey public_key = TRY(cv_public_key_of(key.public_key(), algorithm, false));
  std::string holder = TRY(next_holder(std::string_view(anchors_of.holder()).substr(0, 2), role.holder));
  CvCertificate made = TRY(grant(public_key, holder, role, rights, options, passphrase, today));
  TRY(save_key(key, holder, options, passphrase));
  return made;
}

Result<CvCertificate> TerminalStore::issue_terminal(const CvRequest& request, const TerminalRole& role,
                                                    std::optional<Rights> rights, const CvIssueOptions& options,
                                                    const SecretBytes& passphrase, CvDate today) {
  TRY(check_cv_reference(request.holder));
  const auto above = TRY(authority());
  if (request.public_key.curve != above.content().public_key.curve) {
    return fail(ErrorKind::usage, "the request's key is on another curve than the authority's");
  }
  for (const CvCertificate& one : TRY(all())) {
    if (one.holder() == request.holder) {
      return fail(ErrorKind::already_exists, "\"" + request.holder + "\" has a certificate already",
                  "a renewal has the next sequence number");
    }
  }
  return grant(request.public_key, request.holder, role, rights, options, passphrase, today);
}

Result<TerminalStore::Rollover> TerminalStore::roll_over(const CvIssueOptions& options, const SecretBytes& passphrase,
                                                         CvDate today) {
  const CvCertificate old = TRY(authority());
  const auto old_signer = TRY(key_of(old.holder(), passphrase));
  crypto::PrivateKey key = TRY(crypto::PrivateKey::generate(options.key));
  const crypto::AlgorithmId algorithm = TRY(algorithm_of(key.public_key()));
  CvContent content;
  content.holder = TRY(next_holder(std::string_view(old.holder()).substr(0, 2), kCvcaMnemonic));
  content.public_key = TRY(cv_public_key_of(key.public_key(), algorithm, true));
  content.chat = old.chat();
  content.extensions.push_back({std::string(kSectorRightsOid), encode_sector_rights(all_sector_rights())});
  content.effective = today;
  content.expiration = later(today, options.days == 0 ? kCvcaDays : options.days);
  content.authority = old.holder();
  const CvCertificate link =
      TRY(sign_cv_certificate(content, *old_signer, old.content().public_key.algorithm->algorithm));
  TRY(save_key(key, content.holder, options, passphrase));
  crypto::SoftwareSigner signer(std::move(key));
  content.authority = content.holder;
  const CvCertificate own = TRY(sign_cv_certificate(content, signer, algorithm));
  TRY(save(link, old.holder() + "-" + content.holder));
  TRY(save(own, content.holder));
  return Rollover{own, link};
}

Result<std::vector<CvCertificate>> TerminalStore::chain(const TerminalRole& role) const {
  const auto certificates = TRY(all());
  const CvCertificate* const terminal = newest(certificates, [&](const CvCertificate& one) {
    return one.chat().role == HolderRole::terminal && is_line(one.holder(), role.holder);
  });
  if (terminal == nullptr) {
    return fail(ErrorKind::not_found,
                "\"" + folder_.string() + "\" holds no certificate for \"" + std::string(role.name) + "\"",
                "make one: karta cv issue " + std::string(role.name));
  }
  return way_to(*terminal);
}

Result<std::vector<CvCertificate>> TerminalStore::way_to(const CvCertificate& last) const {
  const auto certificates = TRY(all());
  std::vector<CvCertificate> upwards = {last};
  // Up through the verifier to the authority, then link by link to the oldest.
  while (upwards.size() < kMostFiles) {
    const std::string& wanted = upwards.back().authority();
    const auto above = std::find_if(certificates.begin(), certificates.end(), [&](const CvCertificate& one) {
      return one.holder() == wanted && !one.self_signed() &&
             std::find(upwards.begin(), upwards.end(), one) == upwards.end();
    });
    if (above == certificates.end()) break;
    upwards.push_back(*above);
  }
  return std::vector<CvCertificate>(upwards.rbegin(), upwards.rend());
}

Result<UnlockedTerminal> TerminalStore::unlock(const TerminalRole& role, const SecretBytes& passphrase) const {
  UnlockedTerminal terminal;
  terminal.credentials.chain = TRY(chain(role));
  terminal.signer = TRY(key_of(terminal.credentials.terminal().holder(), passphrase));
  terminal.credentials.signer = terminal.signer.get();
  return terminal;
}

Result<SectorKey> TerminalStore::sector(std::string_view name) const {
  const Bytes spki = TRY(read_file(folder_ / ("sector-" + std::string(name) + ".pub"), kMostKeyFileOctets));
  const auto key = TRY(crypto::PublicKey::from_spki(spki));
  return SectorKey{&kRestrictedIdSuites.front(), to_bytes(key.key_octets())};
}

Result<SectorKey> TerminalStore::make_sector(std::string_view name, const CvIssueOptions& options,
                                             const SecretBytes& passphrase) {
  auto known = sector(name);
  if (known || known.error().kind != ErrorKind::not_found) return known;
  const crypto::PrivateKey key = TRY(crypto::PrivateKey::generate(kSectorCurve));
  TRY(save_key(key, "sector-" + std::string(name), options, passphrase));
  TRY(write_new_file(folder_ / ("sector-" + std::string(name) + ".pub"), key.public_key().spki(), kPublicMode));
  return sector(name);
}

}  // namespace karta::card
