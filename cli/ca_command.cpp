// karta ca: certification authorities: roots and issuing CAs, certificates from requests, revocation, CRLs, OCSP
// answers, time-stamps, trust lists, renewal and roll-over; every key ceremony leaves a written record.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/random.h"
#include "card/terminal_store.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/operator.h"
#include "cli/secret_input.h"
#include "cli/signing_key.h"
#include "crypto/cms/timestamp.h"
#include "crypto/digest.h"
#include "crypto/pem.h"
#include "crypto/pkcs11_key.h"
#include "crypto/trust_list.h"
#include "crypto/x509/authority.h"
#include "crypto/x509/csr.h"
#include "identity/certificate_ledger.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

namespace fs = std::filesystem;
using crypto::Authority;

constexpr std::size_t kMostKeyFile = 64 * 1024;
constexpr std::size_t kShortestPassphrase = 8;

struct Arguments {
  std::string folder;  ///< the issuing centre's
  std::string ca;
  std::string issuer;
  std::string subject;
  std::string profile;
  std::string key_type = "p384";
  std::string key;
  std::string certificate;
  std::string file;
  std::string out;
  std::string key_out;
  std::string reason = "unspecified";
  std::string policy;
  std::string name;
  std::string only;
  std::vector<std::string> alternative_names;
  std::vector<std::string> participants;
  std::vector<std::string> entries;
  std::uint64_t hours = 0;
  std::uint64_t days = 0;
  std::uint64_t sequence = 0;
  bool delta = false;
  bool json = false;
  SecretOptions secret;
};

Status write_output(const std::string& path, ByteView octets, mode_t mode = 0644) {
  return write_new_file(path, octets, mode);
}

Result<crypto::KeyType> key_type(const std::string& name) {
  const auto type = crypto::find_key_type(name);
  if (type) return *type;
  return fail(ErrorKind::usage, "\"" + name + "\" is no key type", "p256, p384, p521, rsa-3072, rsa-4096 or ed25519");
}

/// A profile by the name of a built-in one, or a file.
Result<crypto::CertificateProfile> load_profile(const std::string& name_or_file) {
  for (const crypto::BuiltInProfile& one : crypto::built_in_profiles()) {
    if (one.name == name_or_file) return crypto::CertificateProfile::from_toml(one.text, name_or_file + ".toml");
  }
  auto text = read_file(name_or_file, crypto::kMostProfileOctets);
  if (!text && text.error().kind == ErrorKind::not_found) {
    return fail(ErrorKind::not_found, "there is no profile \"" + name_or_file + "\"",
                "the name of one that comes with karta (karta ca profiles), or a file");
  }
  const Bytes octets = TRY(std::move(text));
  return crypto::CertificateProfile::from_toml(as_text(octets), name_or_file);
}

constexpr std::string_view kCentrePrefix = "centre:";

/// "centre:root" and "centre:issuing" are the issuing centre's own, in --dir; anything else is an authority's folder.
Result<Authority> open_authority(const Arguments& given, const std::string& named) {
  if (!named.starts_with(kCentrePrefix)) return Authority::open(named);
  const std::string ca = named.substr(kCentrePrefix.size());
  if (ca != "root" && ca != "issuing") {
    return fail(ErrorKind::usage, "a centre has no authority \"" + ca + "\"", "centre:root or centre:issuing");
  }
  const issuing::CentreConfig centre = TRY(issuing::load_centre_config(given.folder));
  const issuing::CertificateAuthorityConfig& files = ca == "root" ? centre.root : centre.issuing;
  crypto::AuthorityConfig config;
  config.name = centre.name + ", " + ca;
  config.key = fs::absolute(files.key).string();
  config.certificate = fs::absolute(files.certificate).string();
  const fs::path folder = centre.folder / "authorities" / ca;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(ErrorKind::io, "cannot create \"" + folder.string() + "\": " + error.message());
  // What the centre's authorities issued and revoked stands in the registry, where the cards' certificates are.
  static const SystemClock clock;
  const Bytes certificate_file = TRY(read_file(files.certificate, crypto::Certificate::kMostOctets));
  const auto certificate = TRY(crypto::Certificate::from_file_octets(certificate_file));
  auto ledger = TRY(identity::open_certificate_ledger(centre.database, certificate.subject().to_text(),
                                                      {.actor = operator_name(), .reason = "karta ca"}, clock));
  return Authority::open(folder, std::move(config), std::move(ledger));
}

Result<std::unique_ptr<crypto::Signer>> open_key(const Authority& authority, SecretInput& input) {
  const std::string key =
      crypto::is_pkcs11_uri(authority.config().key) ? authority.config().key : authority.key_path().string();
  auto signer =
      TRY(open_signer(key, "\"" + authority.certificate().subject().display() + "\"", authority.chain(), input));
  if (!equal(signer->public_key().spki(), authority.certificate().spki())) {
    return fail(ErrorKind::configuration, "the key is not that of the authority's certificate");
  }
  return signer;
}

/// A key made anew: encrypted PEM to be kept, or none for one in a token.
struct NewKey {
  std::unique_ptr<crypto::Signer> signer;
  std::string pem;
};
Result<NewKey> make_key(const std::string& where, crypto::KeyType type, const std::string& whose, SecretInput& input) {
  NewKey out;
  if (crypto::is_pkcs11_uri(where)) {
    const crypto::Pkcs11Uri uri = TRY(crypto::Pkcs11Uri::parse(where));
    const SecretBytes pin =
        TRY(input.ask({"The key of " + whose + " is made in a PKCS #11 token.", "token PIN", "", false}));
    out.signer = TRY(crypto::Pkcs11Signer::generate(uri, pin, type));
    return out;
  }
  const SecretBytes passphrase = TRY(
      input.ask({"A passphrase for the new key of " + whose + ".", "passphrase (at least 8 characters)", "", true}));
  if (passphrase.size() < kShortestPassphrase) {
    return fail(ErrorKind::usage, "the passphrase is too short", "take at least 8 characters, better a sentence");
  }
  crypto::PrivateKey key = TRY(crypto::PrivateKey::generate(type));
  out.pem = TRY(key.to_encrypted_pem(passphrase));
  out.signer = std::make_unique<crypto::SoftwareSigner>(std::move(key));
  return out;
}

/// A new key of an issuing centre's authority. All its keys are under one passphrase: it must open the old one too.
Result<NewKey> make_key_of_centre(const fs::path& old_key, crypto::KeyType type, const std::string& whose,
                                  SecretInput& input) {
  const Bytes old_pem = TRY(read_file(old_key, kMostKeyFile));
  const SecretBytes passphrase =
      TRY(input.ask({"The new key of " + whose + ", under the centre's passphrase.", "passphrase", "", false}));
  if (const auto opened = crypto::PrivateKey::from_encrypted_pem(as_text(old_pem), passphrase); !opened) {
    return fail(ErrorKind::wrong_pin, "this is not the centre's passphrase", "all keys of a centre are under one");
  }
  NewKey out;
  crypto::PrivateKey key = TRY(crypto::PrivateKey::generate(type));
  out.pem = TRY(key.to_encrypted_pem(passphrase));
  out.signer = std::make_unique<crypto::SoftwareSigner>(std::move(key));
  return out;
}

/// The written record of a key ceremony: what was made, by whom, when, and what to compare.
std::string ceremony_record(const std::string& deed, const crypto::Certificate& certificate, const std::string& key,
                            const std::vector<std::string>& participants,
                            const std::vector<crypto::Certificate>& others) {
  const auto public_key = certificate.public_key();
  std::string out = "RECORD OF A KEY CEREMONY\n\n";
  const auto row = [&](const std::string& what, const std::string& value) {
    out += what + std::string(what.size() < 22 ? 22 - what.size() : 1, ' ') + value + "\n";
  };
  row("what was done", deed);
  row("when", format_time(SystemClock().now()));
  row("by", operator_name());
  row("program", std::string("karta ") + KARTA_VERSION);
  row("key", (public_key ? public_key->type_name() : "?") + ", " +
                 (crypto::is_pkcs11_uri(key) ? "made in the token " + key : std::string("in an encrypted file")));
  row("subject", certificate.subject().to_text());
  row("issuer", certificate.issuer().to_text());
  row("serial number", to_hex_upper(certificate.serial(), ":"));
  row("valid", format_time(certificate.not_before()) + " to " + format_time(certificate.not_after()));
  row("SHA-256 certificate", to_hex_upper(certificate.fingerprint(), ":"));
  row("SHA-256 public key", to_hex_upper(crypto::digest(crypto::Hash::sha256, certificate.spki()), ":"));
  for (const crypto::Certificate& one : others) {
    row("also issued", one.subject().to_text() + ", SHA-256 " + to_hex_upper(one.fingerprint(), ":"));
  }
  out += "\nThose present compared the digests above with those on the screen and sign:\n";
  for (const std::string& name : participants) out += "\n  " + name + "   ______________________\n";
  if (participants.empty()) out += "\n  ______________________\n";
  return out;
}

void show_new_authority(const fs::path& folder, const crypto::Certificate& certificate) {
  say("\"" + certificate.subject().display() + "\" is ready in " + folder.string() + ":");
  say("  certificate.pem  valid to " + format_time(certificate.not_after()));
  say("  SHA-256  " + to_hex_upper(certificate.fingerprint(), ":"));
  say("  ceremony.txt     the record, for those present to sign");
}

crypto::CertificateRequest request_for(const crypto::Name& subject, const crypto::PublicKey& key,
                                       std::vector<crypto::GeneralName> names = {}) {
  return crypto::CertificateRequest{subject, key, {}, {}, {}, {}, std::move(names)};
}

Result<int> run_init(const Arguments& given) {
  const SystemClock clock;
  SystemRandom random;
  const crypto::KeyType type = TRY(key_type(given.key_type));
  const crypto::Name subject = TRY(crypto::name_from_text(given.subject));
  const bool root = given.issuer.empty();
  const auto profile = TRY(load_profile(!given.profile.empty() ? given.profile : root ? "root-ca" : "issuing-ca"));
  std::error_code ignored;
  if (fs::exists(given.ca, ignored)) {
    return fail(ErrorKind::already_exists, "\"" + given.ca + "\" is there already");
  }
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  // The issuer's secret first: a key made before a wrong passphrase shows would be made in vain.
  std::optional<Authority> issuer;
  std::unique_ptr<crypto::Signer> issuer_signer;
  if (!root) {
    issuer = TRY(open_authority(given, given.issuer));
    issuer_signer = TRY(open_key(*issuer, *input));
  }
  NewKey key = TRY(make_key(given.key, type, "\"" + subject.display() + "\"", *input));
  const crypto::CertificateRequest request = request_for(subject, key.signer->public_key());
  const crypto::Certificate certificate = root ? TRY(crypto::self_signed(profile, request, *key.signer, clock, random))
                                               : TRY(issuer->issue(profile, request, *issuer_signer, clock, random));
  std::vector<crypto::Certificate> chain;
  if (issuer) {
    for (const Bytes& der : issuer->chain()) chain.push_back(TRY(crypto::Certificate::from_der(der)));
  }
  crypto::AuthorityConfig config;
  config.name = subject.display();
  if (key.pem.empty()) config.key = given.key;
  TRY(Authority::create(given.ca, config, certificate, chain, key.pem));
  const std::string record = ceremony_record(root ? "a root was made" : "an issuing CA was made", certificate,
                                             given.key, given.participants, {});
  TRY(write_output((fs::path(given.ca) / "ceremony.txt").string(), as_bytes(record)));
  show_new_authority(given.ca, certificate);
  return 0;
}

Result<int> run_request(const Arguments& given) {
  const crypto::KeyType type = TRY(key_type(given.key_type));
  const crypto::Name subject = TRY(crypto::name_from_text(given.subject));
  std::vector<crypto::GeneralName> names;
  for (const std::string& word : given.alternative_names) names.push_back(TRY(crypto::general_name_from_text(word)));
  if (given.key.empty() == given.key_out.empty()) {
    return fail(ErrorKind::usage, "one of --key and --key-out is needed",
                "--key-out FILE makes a new key there; --key is a key that is there, or a PKCS #11 URI");
  }
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  std::unique_ptr<crypto::Signer> signer;
  if (!given.key.empty()) {
    signer = TRY(open_signer(given.key, "the request", {}, *input));
  } else {
    NewKey made = TRY(make_key(given.key_out, type, "the request", *input));
    if (!made.pem.empty()) TRY(write_output(given.key_out, as_bytes(made.pem), 0600));
    signer = std::move(made.signer);
  }
  const Bytes der = TRY(crypto::sign_certification_request(subject, names, *signer));
  const std::string pem = crypto::to_pem("CERTIFICATE REQUEST", der);
  TRY(write_output(given.out, as_bytes(pem)));
  say("the request is in \"" + given.out + "\"");
  return 0;
}

Result<int> run_issue(const Arguments& given) {
  const SystemClock clock;
  SystemRandom random;
  const Bytes octets = TRY(read_file(given.file, crypto::CertificationRequest::kMostOctets));
  const auto asked = TRY(crypto::CertificationRequest::from_file_octets(octets));
  auto profile = TRY(load_profile(given.profile));
  if (given.days != 0) {
    if (given.days > profile.validity_days) {
      return fail(ErrorKind::usage, "the profile allows " + std::to_string(profile.validity_days) + " days");
    }
    profile.validity_days = static_cast<unsigned>(given.days);
  }
  const crypto::Name subject = given.subject.empty() ? asked.subject : TRY(crypto::name_from_text(given.subject));
  std::vector<crypto::GeneralName> names = asked.subject_alternative_names;
  if (!given.alternative_names.empty()) {
    names.clear();
    for (const std::string& word : given.alternative_names) names.push_back(TRY(crypto::general_name_from_text(word)));
  }
  Authority authority = TRY(open_authority(given, given.ca));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const auto signer = TRY(open_key(authority, *input));
  std::error_code ignored;
  if (!given.out.empty() && fs::exists(given.out, ignored)) {
    return fail(ErrorKind::already_exists, "\"" + given.out + "\" is there already");
  }
  const auto request = request_for(subject, asked.public_key, std::move(names));
  const crypto::Certificate certificate = TRY(authority.issue(profile, request, *signer, clock, random));
  if (given.out.empty()) {
    print(certificate.to_pem());
  } else {
    TRY(write_output(given.out, as_bytes(certificate.to_pem())));
  }
  say("issued " + certificate.subject().to_text() + ", serial " + to_hex_upper(certificate.serial()));
  return 0;
}

Result<int> run_revoke(const Arguments& given) {
  const auto reason = crypto::find_crl_reason(given.reason);
  if (!reason) {
    return fail(ErrorKind::usage, "\"" + given.reason + "\" is no reason",
                "unspecified, keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation, "
                "certificateHold, removeFromCRL, privilegeWithdrawn");
  }
  Authority authority = TRY(open_authority(given, given.ca));
  std::error_code ignored;
  Bytes serial;
  if (fs::is_regular_file(given.file, ignored)) {
    const Bytes octets = TRY(read_file(given.file, crypto::Certificate::kMostOctets));
    const auto certificate = TRY(crypto::Certificate::from_file_octets(octets));
    if (!(certificate.issuer() == authority.certificate().subject())) {
      return fail(ErrorKind::usage, "\"" + given.file + "\" was not issued by this authority");
    }
    serial = certificate.serial();
  } else {
    auto parsed = from_hex(given.file);
    if (!parsed || parsed->empty()) {
      return fail(ErrorKind::usage, "\"" + given.file + "\" is neither a certificate nor a serial number");
    }
    serial = std::move(*parsed);
  }
  TRY(authority.revoke(serial, *reason, SystemClock()));
  say(*reason == crypto::CrlReason::remove_from_crl ? "released; the next CRL says so"
                                                    : "revoked; the next CRL says so: karta ca crl");
  return 0;
}

Result<int> run_crl(const Arguments& given) {
  Authority authority = TRY(open_authority(given, given.ca));
  crypto::CrlPlan plan;
  plan.delta = given.delta;
  if (!given.only.empty() && given.only != "ca" && given.only != "user") {
    return fail(ErrorKind::usage, "\"" + given.only + "\" is no part of the certificates", "ca or user");
  }
  if (!given.only.empty()) plan.ca_certificates = given.only == "ca";
  if (given.hours != 0) plan.hours = given.hours;
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const auto signer = TRY(open_key(authority, *input));
  const crypto::Crl crl = TRY(authority.issue_crl(plan, *signer, SystemClock()));
  if (!given.out.empty()) TRY(write_output(given.out, crl.der()));
  say(std::string(given.delta ? "delta " : "") + "CRL with " + std::to_string(crl.entries().size()) +
      " entries, the next is due at " + format_time(*crl.next_update()));
  return 0;
}

Result<int> run_list(const Arguments& given) {
  const Authority authority = TRY(open_authority(given, given.ca));
  Json document = json_document("karta.ca.list/1");
  document["authority"] = authority.certificate().subject().to_text();
  document["certificates"] = Json::array();
  TRY(authority.for_each_issued([&](const crypto::IssuedCertificate& one) -> Status {
    if (given.json) {
      Json row{{"serial", to_hex(one.serial)}, {"subject", one.subject}, {"profile", one.profile}};
      row["not_after"] = one.not_after == Time{} ? Json() : Json(format_time(one.not_after));
      row["revoked_at"] = one.revoked_at ? Json(format_time(*one.revoked_at)) : Json();
      if (one.revoked_at) row["reason"] = crypto::name_of(one.reason);
      document["certificates"].push_back(std::move(row));
      return {};
    }
    print(to_hex_upper(one.serial) + "  " + (one.subject.empty() ? "(issued elsewhere)" : one.subject) +
          (one.profile.empty() ? "" : "  " + one.profile) +
          (one.revoked_at
               ? "  revoked " + format_time(*one.revoked_at) + " (" + std::string(crypto::name_of(one.reason)) + ")"
               : ""));
    return {};
  }));
  if (given.json) print_json(document);
  return 0;
}

Result<int> run_renew(const Arguments& given, bool new_key) {
  const SystemClock clock;
  SystemRandom random;
  Authority authority = TRY(open_authority(given, given.ca));
  const crypto::Certificate old = authority.certificate();
  const bool root = old.self_issued();
  const bool of_centre = given.ca.starts_with(kCentrePrefix);
  const bool in_token = crypto::is_pkcs11_uri(authority.config().key);
  if (new_key && in_token != crypto::is_pkcs11_uri(given.key)) {
    return fail(
        ErrorKind::usage,
        in_token ? "the key is in a token: where is the new one to be made?" : "the key is in a file, and stays there",
        in_token ? "--key pkcs11:token=...;object=ANOTHER-LABEL" : "leave --key out");
  }
  if (root != given.issuer.empty()) {
    return fail(ErrorKind::usage, root ? "a root has no issuer" : "--issuer is needed: who signs the new certificate");
  }
  const auto profile = TRY(load_profile(!given.profile.empty() ? given.profile : root ? "root-ca" : "issuing-ca"));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  std::optional<Authority> issuer;
  std::unique_ptr<crypto::Signer> issuer_signer;
  if (!root) {
    issuer = TRY(open_authority(given, given.issuer));
    issuer_signer = TRY(open_key(*issuer, *input));
  }
  const auto old_signer = TRY(open_key(authority, *input));
  NewKey made;
  if (new_key) {
    const auto old_key = TRY(old.public_key());
    const std::string whose = "\"" + old.subject().display() + "\"";
    const auto type = old_key.type().value_or(crypto::KeyType::p384);
    if (of_centre) {
      made = TRY(make_key_of_centre(authority.key_path(), type, whose, *input));
    } else {
      made = TRY(make_key(given.key, type, whose, *input));
    }
  }
  crypto::Signer& signer = new_key ? *made.signer : *old_signer;
  const crypto::CertificateRequest request = request_for(old.subject(), signer.public_key());
  const crypto::Certificate certificate = root ? TRY(crypto::self_signed(profile, request, signer, clock, random))
                                               : TRY(issuer->issue(profile, request, *issuer_signer, clock, random));
  std::vector<crypto::Certificate> links;
  if (new_key) {
    const auto made_links = TRY(crypto::roll_over_links(profile, old, *old_signer, certificate, signer, clock, random));
    links = {made_links.old_with_new, made_links.new_with_old};
  }
  const std::string uri = new_key && in_token ? given.key : "";
  TRY(authority.replace(certificate, {.pem = made.pem, .uri = uri}, links, clock));
  const std::string record = ceremony_record(new_key ? "the key of a CA was rolled over" : "a CA was renewed",
                                             certificate, authority.config().key, given.participants, links);
  const std::string file = (authority.folder() / ("ceremony-" + to_hex(certificate.serial()) + ".txt")).string();
  TRY(write_output(file, as_bytes(record)));
  say(std::string(new_key ? "rolled over" : "renewed") + ": valid to " + format_time(certificate.not_after()));
  say("  SHA-256  " + to_hex_upper(certificate.fingerprint(), ":"));
  if (new_key) say("  roll-over.pem carries trust from the old key to the new, and back");
  return 0;
}

/// A service's own key and certificate (--key, --certificate); without them the authority's own.
Result<std::unique_ptr<crypto::Signer>> open_service_key(const Arguments& given, SecretInput& input) {
  const Bytes octets = TRY(read_file(given.certificate, 16 * crypto::Certificate::kMostOctets));
  std::vector<Bytes> chain;
  for (const crypto::Certificate& one : TRY(crypto::Certificate::many_from_file_octets(octets))) {
    chain.push_back(one.der());
  }
  return open_signer(given.key, "the service", std::move(chain), input);
}

Result<int> run_ocsp(const Arguments& given) {
  const SystemClock clock;
  const Authority authority = TRY(open_authority(given, given.ca));
  if (given.key.empty() != given.certificate.empty()) {
    return fail(ErrorKind::usage, "--key and --certificate go together");
  }
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const auto signer = given.key.empty() ? TRY(open_key(authority, *input)) : TRY(open_service_key(given, *input));
  crypto::OcspResponder::Options options;
  if (given.hours != 0) options.validity = std::chrono::hours(given.hours);
  auto responder = TRY(crypto::OcspResponder::create(
      authority.certificate(), *signer, [&](ByteView serial) { return authority.state_of(serial); }, clock, options));
  if (!given.file.empty()) {
    const Bytes request = TRY(read_file(given.file, crypto::OcspRequest::kMostOctets));
    TRY(write_output(given.out, responder.answer(request)));
    return 0;
  }
  // Beforehand, for every certificate: a folder of files any web server can hand out.
  std::error_code error;
  fs::create_directories(given.out, error);
  if (error) return fail(ErrorKind::io, "cannot create \"" + given.out + "\": " + error.message());
  Progress progress("answers", 0);
  std::uint64_t done = 0;
  TRY(authority.for_each_issued([&](const crypto::IssuedCertificate& one) -> Status {
    Bytes serial = one.serial;
    if (!serial.empty() && (serial[0] & 0x80) != 0) serial.insert(serial.begin(), 0);
    const Bytes answer = TRY(responder.pre_produce(serial));
    const fs::path file = fs::path(given.out) / (to_hex_upper(one.serial) + ".ocsp");
    fs::remove(file, error);
    TRY(write_output(file.string(), answer));
    progress.at(++done);
    return {};
  }));
  return 0;
}

Result<int> run_timestamp(const Arguments& given) {
  const SystemClock clock;
  SystemRandom random;
  const Bytes request = TRY(read_file(given.file, crypto::TimeStampRequest::kMostOctets));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const auto signer = TRY(open_service_key(given, *input));
  crypto::TimeStampAuthority::Options options;
  options.policy = given.policy;
  options.verify_tokens = true;
  auto authority = TRY(crypto::TimeStampAuthority::create(*signer, options, clock, random));
  const Bytes answer = authority.answer(request);
  TRY(write_output(given.out, answer));
  const auto response = TRY(crypto::TimeStampResponse::from_der(answer));
  if (!response.token) {
    warn("refused: " + (response.failure ? std::string(crypto::name_of(*response.failure)) : std::string("no reason")));
  }
  return 0;
}

Result<int> run_profiles(const Arguments& given) {
  for (const crypto::BuiltInProfile& one : crypto::built_in_profiles()) {
    if (!given.out.empty()) {
      std::error_code error;
      fs::create_directories(given.out, error);
      const fs::path file = fs::path(given.out) / (std::string(one.name) + ".toml");
      TRY(write_output(file.string(), as_bytes(one.text)));
      continue;
    }
    const auto profile = TRY(crypto::CertificateProfile::from_toml(one.text, one.name));
    print(std::string(one.name) + std::string(18 - std::min<std::size_t>(17, one.name.size()), ' ') +
          profile.description);
  }
  return 0;
}

Result<int> run_trust_list(const Arguments& given) {
  const SystemClock clock;
  crypto::TrustList list;
  list.sequence = given.sequence;
  list.issued_at = clock.now();
  list.next_update = list.issued_at + std::chrono::hours(24 * (given.days == 0 ? 30 : given.days));
  for (const std::string& word : given.entries) {
    const std::size_t equals = word.find('=');
    const auto service = crypto::find_trust_service(word.substr(0, equals));
    if (!service || equals == std::string::npos) {
      return fail(ErrorKind::usage, "\"" + word + "\" is no entry",
                  "SERVICE=FILE: qualified-ca, unqualified-ca, time-stamp, document-signer, cvca or log");
    }
    crypto::TrustEntry entry;
    entry.service = *service;
    const std::string file = word.substr(equals + 1);
    const Bytes octets = TRY(read_file(file, crypto::Certificate::kMostOctets));
    if (entry.service == crypto::TrustService::cvca) {
      // An authority, a link, or a verifier that an authority has certified for another region.
      const card::CvCertificate certificate = TRY(card::read_cv_certificate(file));
      entry.certificate = certificate.octets();
      entry.name = certificate.holder();
      entry.from = std::chrono::sys_days(certificate.content().effective);
      entry.until = std::chrono::sys_days(certificate.content().expiration) + std::chrono::days(1);
    } else {
      const auto certificate = TRY(crypto::Certificate::from_file_octets(octets));
      entry.certificate = certificate.der();
      entry.name = certificate.subject().display();
      entry.from = certificate.not_before();
      entry.until = certificate.not_after();
    }
    list.entries.push_back(std::move(entry));
  }
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const auto signer = TRY(open_service_key(given, *input));
  const Bytes signed_list = TRY(crypto::sign_trust_list(list, *signer));
  TRY(write_output(given.out, signed_list));
  say("trust list " + std::to_string(list.sequence) + " with " + std::to_string(list.entries.size()) +
      " entries, the next is due at " + format_time(list.next_update));
  return 0;
}

using Verb = Result<int> (*)(const Arguments&);

/// A verb with its own arguments.
std::shared_ptr<Arguments> add_verb(CLI::App& noun, Run& chosen, const char* name, const char* what, Verb verb,
                                    CLI::App*& command) {
  auto arguments = std::make_shared<Arguments>();
  command = noun.add_subcommand(name, what);
  on_call(*command, chosen, [arguments, verb] { return verb(*arguments); });
  return arguments;
}

void add_authority(CLI::App& command, Arguments& arguments) {
  command
      .add_option("ca", arguments.ca, "the authority's folder; centre:root or centre:issuing: of the centre in --dir")
      ->required();
  add_centre_option(command, arguments.folder);
}

}  // namespace

void add_ca(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("ca", "Certification authorities: certificates, revocation, CRLs, services");
  noun.require_subcommand(1);
  CLI::App* command = nullptr;

  auto init = add_verb(noun, chosen, "init", "Make a root, or an issuing CA under one; leaves a record of the ceremony",
                       run_init, command);
  command->add_option("folder", init->ca, "a folder that does not exist yet")->required();
  command->add_option("--subject", init->subject, "its name: \"CN=Test Root,O=Test,C=XX\"")->required();
  command->add_option("--issuer", init->issuer, "the CA that signs it: a folder, or centre:root; none: a root");
  command->add_option("--profile", init->profile, "root-ca, issuing-ca, or a file");
  command
      ->add_option("--key-type", init->key_type,
                   "p256, p384, p521, rsa-3072, rsa-4096, ed25519, gost-256-b, gost-512-a, ...")
      ->capture_default_str();
  command->add_option("--key", init->key, "a PKCS #11 URI: the key is made in that token; none: an encrypted file");
  command->add_option("--participant", init->participants, "who is present, for the record; may be repeated");
  add_centre_option(*command, init->folder);
  add_passphrase_options(*command, init->secret);
  command->footer("Example: karta ca init root --subject \"CN=Test Root,O=Test,C=XX\" --participant \"Operator A\"");

  auto request = add_verb(noun, chosen, "request", "Make a certification request (PKCS #10)", run_request, command);
  command->add_option("--subject", request->subject, "\"CN=host.example,O=Test,C=XX\"")->required();
  command->add_option("--san", request->alternative_names, "dns:HOST, email:MAILBOX, uri:URI, ip:ADDRESS; repeatable");
  command->add_option("--key", request->key, "a key that is there: a file or a PKCS #11 URI");
  command->add_option("--key-out", request->key_out, "make a new key: a file that is not there, or a PKCS #11 URI");
  command->add_option("--key-type", request->key_type, "of a new key")->capture_default_str();
  command->add_option("--out", request->out, "the request")->required();
  add_passphrase_options(*command, request->secret);

  auto issue = add_verb(noun, chosen, "issue", "Issue a certificate for a request", run_issue, command);
  add_authority(*command, *issue);
  command->add_option("--request", issue->file, "the request, PEM or DER")->required();
  command->add_option("--profile", issue->profile, "a name of `karta ca profiles`, or a file")->required();
  command->add_option("--subject", issue->subject, "instead of the request's");
  command->add_option("--san", issue->alternative_names, "instead of the request's; repeatable");
  command->add_option("--days", issue->days, "fewer than the profile's");
  command->add_option("--out", issue->out, "the certificate; standard output where it is not given");
  add_passphrase_options(*command, issue->secret);

  auto revoke =
      add_verb(noun, chosen, "revoke", "Revoke a certificate, put it on hold, release it", run_revoke, command);
  add_authority(*command, *revoke);
  command->add_option("certificate", revoke->file, "a certificate file, or a serial number in hexadecimal")->required();
  command->add_option("--reason", revoke->reason, "keyCompromise, superseded, certificateHold, removeFromCRL, ...")
      ->capture_default_str();

  auto crl = add_verb(noun, chosen, "crl", "Sign the next CRL, complete or delta", run_crl, command);
  add_authority(*command, *crl);
  command->add_flag("--delta", crl->delta, "what changed since the last complete one");
  command->add_option("--only", crl->only, "a partition: ca or user");
  command->add_option("--hours", crl->hours, "until the next is due");
  command->add_option("--out", crl->out, "a copy, DER");
  add_passphrase_options(*command, crl->secret);

  auto list = add_verb(noun, chosen, "list", "What the authority issued and revoked", run_list, command);
  add_authority(*command, *list);
  command->add_flag("--json", list->json, "as karta.ca.list/1");

  for (const bool new_key : {false, true}) {
    auto renew = add_verb(noun, chosen, new_key ? "roll-over" : "renew",
                          new_key ? "A new key for a CA, with the certificates that carry trust across"
                                  : "A new certificate, the same key",
                          new_key ? Verb([](const Arguments& given) { return run_renew(given, true); })
                                  : Verb([](const Arguments& given) { return run_renew(given, false); }),
                          command);
    add_authority(*command, *renew);
    if (new_key) command->add_option("--key", renew->key, "where a key in a token gets its successor: a PKCS #11 URI");
    command->add_option("--issuer", renew->issuer, "the CA that signs it; none for a root");
    command->add_option("--profile", renew->profile, "root-ca, issuing-ca, or a file");
    command->add_option("--participant", renew->participants, "who is present, for the record; may be repeated");
    add_passphrase_options(*command, renew->secret);
  }

  auto ocsp = add_verb(noun, chosen, "ocsp", "Answer an OCSP request, or make answers for all certificates beforehand",
                       run_ocsp, command);
  add_authority(*command, *ocsp);
  command->add_option("--request", ocsp->file, "a request, DER; none: answers for all certificates");
  command->add_option("--key", ocsp->key, "a responder's key: a file or a PKCS #11 URI; none: the authority's");
  command->add_option("--certificate", ocsp->certificate, "that responder's certificate");
  command->add_option("--hours", ocsp->hours, "how long an answer serves; default: 1");
  command->add_option("--out", ocsp->out, "the answer, or the folder for all of them")->required();
  add_passphrase_options(*command, ocsp->secret);

  auto stamp = add_verb(noun, chosen, "timestamp", "Answer a time-stamp request (RFC 3161)", run_timestamp, command);
  command->add_option("request", stamp->file, "a request, DER")->required();
  command->add_option("--key", stamp->key, "the time-stamp authority's key: a file or a PKCS #11 URI")->required();
  command->add_option("--certificate", stamp->certificate, "its certificate, and those above it")->required();
  command->add_option("--policy", stamp->policy, "the OID of its policy")->required();
  command->add_option("--out", stamp->out, "the answer, DER")->required();
  add_passphrase_options(*command, stamp->secret);

  auto trust = add_verb(noun, chosen, "trust-list", "Sign a trust list (karta.trust-list/1)", run_trust_list, command);
  command->add_option("entry", trust->entries, "SERVICE=FILE: qualified-ca=ca.pem, time-stamp=tsa.pem, ...")
      ->required();
  command->add_option("--sequence", trust->sequence, "its number: larger than the last one's")->required();
  command->add_option("--key", trust->key, "the signing key: a file or a PKCS #11 URI")->required();
  command->add_option("--certificate", trust->certificate, "its certificate (document-signer), and those above it")
      ->required();
  command->add_option("--days", trust->days, "until the next is due; default: 30");
  command->add_option("--out", trust->out, "the list, DER")->required();
  add_passphrase_options(*command, trust->secret);

  auto profiles =
      add_verb(noun, chosen, "profiles", "The certificate profiles that come with karta", run_profiles, command);
  command->add_option("--write", profiles->out, "write them into this folder, to change");
}

}  // namespace karta::cli
