#include "issuing/centre.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <future>

#include "base/file.h"
#include "card/terminal_store.h"
#include "crypto/pem.h"
#include "crypto/x509/issue.h"
#include "issuing/default_profiles.h"
#include "service/database.h"

namespace karta::issuing {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostKeyFile = 64 * 1024;
/// AES-128, as the shipped profile has it.
constexpr std::size_t kTransactionMasterOctets = 16;

Status make_folder(const fs::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0) return {};
  const int number = errno;
  return fail(number == EEXIST ? ErrorKind::already_exists : ErrorKind::io,
              "cannot create \"" + path.string() + "\": " + std::strerror(number));
}

Status make_parents(const fs::path& folder, const fs::path& file) {
  fs::path at = folder;
  for (const fs::path& part : fs::relative(file.parent_path(), folder)) {
    at /= part;
    if (!fs::exists(at)) TRY(make_folder(at, 0700));
  }
  return {};
}

/// `folder` from the root on, without a slash at its end.
fs::path target_of(const fs::path& folder) {
  std::error_code ignored;
  const fs::path whole = fs::absolute(folder, ignored).lexically_normal();
  return whole.has_filename() ? whole : whole.parent_path();
}

Result<crypto::CertificateProfile> default_certificate_profile(std::string_view name) {
  for (const DefaultCertificateProfile& profile : default_certificate_profiles()) {
    if (profile.name == name) {
      return crypto::CertificateProfile::from_toml(profile.text, std::string(name) + ".toml");
    }
  }
  return fail(ErrorKind::internal, "no default certificate profile \"" + std::string(name) + "\"");
}

Result<crypto::Name> authority_name(const CentreOptions& options, std::string_view what) {
  return crypto::NameBuilder()
      .add("C", options.country)
      .add("O", options.name)
      .add("CN", options.name + " " + std::string(what))
      .build();
}

Status write_key(const fs::path& path, const crypto::PrivateKey& key, const SecretBytes& passphrase,
                 std::uint32_t iterations) {
  const std::string pem = TRY(key.to_encrypted_pem(passphrase, iterations));
  return write_new_file(path, as_bytes(pem), 0600);
}

Status make_authorities(const CentreConfig& config, const CentreOptions& options, const SecretBytes& passphrase,
                        const Clock& clock, RandomSource& random) {
  auto root_key = TRY(crypto::PrivateKey::generate(options.root_key));
  auto issuing_key = TRY(crypto::PrivateKey::generate(options.issuing_key));
  TRY(write_key(config.root.key, root_key, passphrase, options.key_file_iterations));
  TRY(write_key(config.issuing.key, issuing_key, passphrase, options.key_file_iterations));

  auto document_key = TRY(crypto::PrivateKey::generate(crypto::KeyType::p256));
  TRY(write_key(config.document_signer.key, document_key, passphrase, options.key_file_iterations));

  const crypto::PublicKey issuing_public = issuing_key.public_key();
  crypto::SoftwareSigner root_signer(std::move(root_key));
  const auto request = [](crypto::Name subject, const crypto::PublicKey& key) {
    return crypto::CertificateRequest{std::move(subject), key, {}, {}, {}, {}, {}};
  };
  const auto root_profile = TRY(default_certificate_profile("root"));
  const auto root_request = request(TRY(authority_name(options, "Root CA")), root_signer.public_key());
  const auto root = TRY(crypto::self_signed(root_profile, root_request, root_signer, clock, random));
  const auto issuing_profile = TRY(default_certificate_profile("issuing"));
  const auto issuing_request = request(TRY(authority_name(options, "Issuing CA")), issuing_public);
  const auto issuing =
      TRY(crypto::issue_certificate(issuing_profile, issuing_request, root, root_signer, clock, random));
  // By the root itself: a terminal has the card's word and the root, and nothing in between.
  const auto document_profile = TRY(default_certificate_profile("document-signer"));
  const auto document_request = request(TRY(authority_name(options, "Documents")), document_key.public_key());
  const auto document =
      TRY(crypto::issue_certificate(document_profile, document_request, root, root_signer, clock, random));
  TRY(write_new_file(config.document_signer.certificate, as_bytes(document.to_pem()), 0644));
  TRY(write_new_file(config.root.certificate, as_bytes(root.to_pem()), 0644));
  TRY(write_new_file(config.issuing.certificate, as_bytes(issuing.to_pem()), 0644));
  return {};
}

/// Beside the cards' master key.
fs::path transaction_masters_file(const CentreConfig& config) {
  return config.card_master.parent_path() / "transactions.key.pem";
}

/// The cards' master key, and the authority of the terminals that read them.
Status make_card_side(const CentreConfig& config, const CentreOptions& options, const SecretBytes& passphrase,
                      const Clock& clock, RandomSource& random) {
  const SecretBytes master = random.secret(card::kMasterKeyOctets);
  const std::string sealed = TRY(card::seal_master_key(master, passphrase, options.key_file_iterations, random));
  TRY(write_new_file(config.card_master, as_bytes(sealed), 0600));
  card::TransactionMasters transactions;
  for (const char* application : {"health", "transit"}) {
    transactions[application] = card::generate_ledger_masters(kTransactionMasterOctets, random);
  }
  const std::string masters =
      TRY(card::seal_transaction_masters(transactions, passphrase, options.key_file_iterations, random));
  TRY(write_new_file(transaction_masters_file(config), as_bytes(masters), 0600));
  return card::TerminalStore(config.terminals)
      .create(options.country,
              {.key = crypto::KeyType::p256, .days = 0, .key_file_iterations = options.key_file_iterations}, passphrase,
              card::cv_date_of(clock.now()));
}

Status fill_centre(const fs::path& draft, const CentreOptions& options, const SecretBytes& passphrase,
                   const Clock& clock, RandomSource& random) {
  const std::string text = default_centre_config(options.name, options.country, options.database);
  TRY(write_new_file(draft / kCentreFile, as_bytes(text), 0644));
  const CentreConfig config = TRY(load_centre_config(draft));
  for (const fs::path& file :
       {config.root.key, config.root.certificate, config.issuing.key, config.issuing.certificate,
        config.document_signer.key, config.document_signer.certificate, config.card_master, config.card_profiles / "x",
        config.certificate_profiles / "x", config.letters / "x", config.work / "x"}) {
    TRY(make_parents(draft, file));
  }
  for (const DefaultCertificateProfile& profile : default_certificate_profiles()) {
    const fs::path path = config.certificate_profiles / (std::string(profile.name) + ".toml");
    TRY(write_new_file(path, as_bytes(profile.text), 0644));
  }
  TRY(write_new_file(config.card_profiles / "citizen.toml", as_bytes(card::citizen_profile_toml()), 0644));
  TRY(make_authorities(config, options, passphrase, clock, random));
  TRY(make_card_side(config, options, passphrase, clock, random));
  TRY(identity::Registry::create(config.database, clock, random));
  return {};
}

Result<crypto::Certificate> load_certificate(const fs::path& path) {
  const Bytes octets = TRY(read_file(path, crypto::Certificate::kMostOctets));
  return crypto::Certificate::from_file_octets(octets);
}

/// Profile names come from command lines: they must not lead out of the folder.
Status check_profile_name(std::string_view name) {
  bool good = !name.empty() && name.size() <= 64;
  for (const char c : name) {
    good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_');
  }
  if (good) return {};
  return fail(ErrorKind::usage, "\"" + std::string(name) + "\" is no profile name",
              "letters, digits, - and _: the name of the file without \".toml\"");
}

}  // namespace

Status check_new_centre(const fs::path& folder, const CentreOptions& options) {
  if (folder.empty()) return fail(ErrorKind::usage, "the folder has no name");
  std::error_code error;
  if (fs::exists(folder, error) && !(fs::is_directory(folder, error) && fs::is_empty(folder, error))) {
    return fail(ErrorKind::already_exists, "\"" + folder.string() + "\" is there and not empty",
                "name a folder that does not exist yet");
  }
  const fs::path parent = target_of(folder).parent_path();
  if (!fs::is_directory(parent, error)) {
    return fail(ErrorKind::not_found, "there is no folder \"" + parent.string() + "\" to make the centre in");
  }
  if (!is_country_code(options.country)) {
    return fail(ErrorKind::usage, "\"" + options.country + "\" is no country", "two capital letters, ISO 3166-1");
  }
  if (!options.database.empty() && !service::is_postgresql(options.database)) {
    return fail(ErrorKind::usage, "\"" + options.database + "\" names no database server",
                "write postgresql://user@host/database; a registry in a file stands in the centre's folder");
  }
  for (const char* const what : {"Root CA", "Issuing CA", "Documents"}) {
    if (options.name.empty() || !authority_name(options, what)) {
      return fail(ErrorKind::usage, "\"" + options.name + "\" cannot name a certificate authority",
                  "1 to 53 characters of UTF-8 without control characters: \"NAME Issuing CA\" has at most 64");
    }
  }
  return {};
}

Status create_centre(const fs::path& folder, const CentreOptions& options, const SecretBytes& passphrase,
                     const Clock& clock, RandomSource& random) {
  if (passphrase.size() < kShortestPassphrase) {
    return fail(ErrorKind::usage, "the passphrase is too short",
                "it protects every key of the centre: take at least " + std::to_string(kShortestPassphrase) +
                    " characters, better a sentence");
  }
  TRY(check_new_centre(folder, options));
  std::error_code error;
  const fs::path target = target_of(folder);
  fs::path draft = target;
  draft += ".part" + std::to_string(::getpid());
  TRY(make_folder(draft, 0700));
  Status made = fill_centre(draft, options, passphrase, clock, random);
  if (made) {
    fs::rename(draft, target, error);  // replaces an empty folder, never a full one
    if (error) made = fail(ErrorKind::io, "cannot create \"" + folder.string() + "\": " + error.message());
  }
  if (!made) fs::remove_all(draft, error);
  return made;
}

Result<Centre> Centre::open(const fs::path& folder, const Clock& clock, RandomSource& random) {
  CentreConfig config = TRY(load_centre_config(folder));
  auto root = TRY(load_certificate(config.root.certificate));
  auto issuing = TRY(load_certificate(config.issuing.certificate));
  auto registry = TRY(identity::Registry::open(config.database, clock, random));
  return Centre(std::move(config), std::move(root), std::move(issuing), std::move(registry));
}

namespace {

/// The hint of a passphrase that does not open `file`.
Error wrong_passphrase(Error error, const fs::path& file) {
  if (error.kind != ErrorKind::wrong_pin) return error;
  return {ErrorKind::wrong_pin, "the passphrase does not open \"" + file.filename().string() + "\"",
          "it was chosen at `karta init`; tries are not counted"};
}

Result<std::unique_ptr<crypto::Signer>> unlock_signer(const fs::path& file, const SecretBytes& passphrase,
                                                      std::vector<Bytes> chain) {
  const Bytes pem = TRY(read_file(file, kMostKeyFile));
  auto key = crypto::PrivateKey::from_encrypted_pem(as_text(pem), passphrase);
  if (!key) return fail(wrong_passphrase(std::move(key).error(), file));
  std::unique_ptr<crypto::Signer> signer = std::make_unique<crypto::SoftwareSigner>(std::move(*key), std::move(chain));
  return signer;
}

}  // namespace

Result<std::unique_ptr<crypto::Signer>> Centre::unlock_issuing_ca(const SecretBytes& passphrase) const {
  return unlock_signer(config_.issuing.key, passphrase, {issuing_.der(), root_.der()});
}

Result<SecretBytes> Centre::unlock_card_master(const SecretBytes& passphrase) const {
  const Bytes pem = TRY(read_file(config_.card_master, kMostKeyFile));
  auto master = card::open_master_key(as_text(pem), passphrase);
  if (!master) return fail(wrong_passphrase(std::move(master).error(), config_.card_master));
  return master;
}

Result<card::TransactionMasters> Centre::unlock_transaction_masters(const SecretBytes& passphrase) const {
  const fs::path path = transaction_masters_file(config_);
  const Bytes pem = TRY(read_file(path, kMostKeyFile));
  auto masters = card::open_transaction_masters(as_text(pem), passphrase);
  if (!masters) return fail(wrong_passphrase(std::move(masters).error(), path));
  return masters;
}

Result<IssuingKeys> Centre::unlock(const SecretBytes& passphrase) const {
  const auto document = TRY(load_certificate(config_.document_signer.certificate));
  // Each file has a slow key derivation of its own: side by side they take the time of one.
  auto ca = std::async(std::launch::async, [&] { return unlock_issuing_ca(passphrase); });
  auto signer = std::async(std::launch::async,
                           [&] { return unlock_signer(config_.document_signer.key, passphrase, {document.der()}); });
  auto masters = std::async(std::launch::async, [&] { return unlock_transaction_masters(passphrase); });
  auto master = unlock_card_master(passphrase);
  auto opened_ca = ca.get();
  auto opened_signer = signer.get();
  auto opened_masters = masters.get();
  IssuingKeys keys;
  keys.ca = TRY(std::move(opened_ca));
  keys.document_signer = TRY(std::move(opened_signer));
  keys.card_master = TRY(std::move(master));
  // A centre of an earlier release issues cards without ledgers only.
  if (opened_masters || opened_masters.error().kind != ErrorKind::not_found) {
    keys.transactions = TRY(std::move(opened_masters));
  }
  return keys;
}

Result<Bytes> Centre::terminal_trust_anchor() const {
  return TRY(card::TerminalStore(config_.terminals).authority()).octets();
}

Result<crypto::CertificateProfile> Centre::certificate_profile(std::string_view name) const {
  TRY(check_profile_name(name));
  const fs::path path = config_.certificate_profiles / (std::string(name) + ".toml");
  const Bytes text = TRY(read_file(path, crypto::kMostProfileOctets));
  return crypto::CertificateProfile::from_toml(as_text(text), path.string());
}

Result<card::CardProfile> Centre::card_profile(std::string_view name) const {
  TRY(check_profile_name(name));
  return card::read_profile((config_.card_profiles / (std::string(name) + ".toml")).string());
}

}  // namespace karta::issuing
