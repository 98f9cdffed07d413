#include "identity/services/services_testing.h"

#include <sys/stat.h>

#include "base/file.h"
#include "crypto/trust_list.h"
#include "crypto/x509/authority.h"
#include "identity/certificate_ledger.h"
#include "service/database_testing.h"
#include "service/http_message.h"

namespace karta::identity {
namespace {

using crypto::testing::must;

crypto::CertificateProfile built_in(std::string_view name) {
  for (const crypto::BuiltInProfile& one : crypto::built_in_profiles()) {
    if (one.name == name) return must(crypto::CertificateProfile::from_toml(one.text, std::string(name) + ".toml"));
  }
  std::abort();
}

crypto::CertificateRequest request(const std::string& name, const crypto::PublicKey& key) {
  return {must(crypto::name_from_text(name)), key, {}, {}, {}, {}, {}};
}

}  // namespace

ServicesFixture::ServicesFixture(const Clock& given_clock)
    : database(service::test_database_url(folder / "registry.sqlite")),
      clock(given_clock),
      ca_key(must(crypto::PrivateKey::generate(crypto::KeyType::p256)).expose_secret_der()),
      ca_signer(must(crypto::PrivateKey::from_der(ca_key.expose_secret()))),
      ca([&] {
        SystemRandom random;
        return must(crypto::self_signed(built_in("root-ca"), request("CN=Test CA,O=Test,C=XX", ca_signer.public_key()),
                                        ca_signer, clock, random));
      }()) {
  SystemRandom random;
  const auto write = [&](const std::string& name, std::string_view text, mode_t mode = 0600) {
    must(write_new_file(folder / name, as_bytes(text), mode));
  };
  const SecretBytes passphrase = SecretBytes::copy_of(std::string_view("a passphrase"));
  constexpr std::uint32_t kFewIterations = 1000;
  write("passphrase", "a passphrase\n");
  write("ca.pem", ca.to_pem());
  const auto service = [&](const std::string& name, std::string_view profile) {
    auto key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    write(name + ".key", must(key.to_encrypted_pem(passphrase, kFewIterations)));
    const std::string subject = "CN=Test " + name + ",O=Test,C=XX";
    const auto certificate = must(
        crypto::issue_certificate(built_in(profile), request(subject, key.public_key()), ca, ca_signer, clock, random));
    write(name + ".pem", certificate.to_pem() + ca.to_pem());
    crypto::SoftwareSigner signer(std::move(key), {certificate.der(), ca.der()});
    return signer;
  };
  service("ocsp", "ocsp");
  service("tsa", "tsa");
  crypto::SoftwareSigner documents = service("documents", "document-signer");
  {
    auto copy = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    write("stranger.key", must(copy.to_encrypted_pem(passphrase, kFewIterations)));
  }
  crypto::TrustList list;
  list.sequence = 7;
  list.issued_at = clock.now();
  list.next_update = clock.now() + std::chrono::hours(24 * 30);
  list.entries.push_back(
      {crypto::TrustService::qualified_ca, "Test CA", "", ca.der(), ca.not_before(), ca.not_after()});
  const Bytes signed_list = must(crypto::sign_trust_list(list, documents));
  must(write_new_file(folder / "trust.p7m", signed_list, 0644));
  must(Registry::create(database, clock, random));
  {
    const auto ledger =
        must(open_certificate_ledger(database, ca.subject().to_text(), {.actor = "test", .reason = "test"}, clock));
    must(ledger->issue_crl({.hours = 24}, ca, ca_signer));
  }
  config = must(parse_server_config(config_text(), folder / "identity.toml"));
  keys = must(open_service_keys(config));
}

std::string ServicesFixture::config_text(const std::string& more) const {
  const std::string registry = service::test_postgres() != nullptr ? database : "registry.sqlite";
  return "schema = \"karta.identity/1\"\ndatabase = \"" + registry + R"("
[server]
listen = ["127.0.0.1:0"]
[[ca]]
name = "issuing"
certificate = "ca.pem"
[ca.ocsp]
key = "ocsp.key"
certificate = "ocsp.pem"
passphrase_file = "passphrase"
[ca.crl]
[time_stamp]
key = "tsa.key"
certificate = "tsa.pem"
passphrase_file = "passphrase"
policy = "2.999.3"
[trust_list]
file = "trust.p7m"
roots = ["ca.pem"]
)" + more;
}

void ServicesFixture::register_serial(std::uint8_t serial) const {
  // The tables take what a registry takes: a row; the certificate itself is nobody's concern here.
  auto tables = must(service::Database::open(database));
  const Bytes octets = {serial};
  must(
      tables.execute("INSERT INTO issued_certificates (issuer, serial, subject, profile, der, is_ca, issued_at, "
                     "not_after) VALUES ($1, $2, 'CN=Test', 'test', $2, 0, 0, 4000000000)",
                     {ca.subject().to_text(), octets}));
}

void ServicesFixture::register_certificate(const crypto::Certificate& certificate) const {
  const auto ledger =
      must(open_certificate_ledger(database, ca.subject().to_text(), {.actor = "test", .reason = "test"}, clock));
  must(ledger->add(certificate, "test"));
}

void ServicesFixture::revoke(std::uint8_t serial, crypto::CrlReason reason) const {
  const auto ledger =
      must(open_certificate_ledger(database, ca.subject().to_text(), {.actor = "test", .reason = "test"}, clock));
  must(ledger->revoke(Bytes{serial}, reason));
}

Bytes ServicesFixture::ocsp_request(std::uint8_t serial, ByteView nonce) const {
  crypto::OcspRequest out;
  out.certificates.push_back(crypto::cert_id_of(Bytes{serial}, ca));
  out.nonce = to_bytes(nonce);
  return out.to_der();
}

std::unique_ptr<service::HttpHandler> ServicesFixture::handler() {
  return must(make_service_handler(config, *keys, {clock, metrics, shelves}));
}

service::HttpResponse response_to(service::HttpHandler& handler, const std::string& wire) {
  service::HttpResponse out;
  must(service::with_parsed_request(as_bytes(wire),
                                    [&](const service::HttpRequest& request) { out = handler.handle(request); }));
  return out;
}

std::string post(const std::string& path, const std::string& type, ByteView body) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Type: " + type +
         "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(as_text(body));
}

std::string get(const std::string& path, const std::string& fields) {
  return "GET " + path + " HTTP/1.1\r\nHost: x\r\n" + fields + "\r\n";
}

}  // namespace karta::identity
