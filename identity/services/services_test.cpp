// The services of karta-identity in process: what each route answers, and what a configuration may not be.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "crypto/cms/timestamp.h"
#include "crypto/pem.h"
#include "crypto/trust_list.h"
#include "identity/services/ledgers.h"
#include "identity/services/services_testing.h"

namespace karta::identity {
namespace {

using crypto::OcspCertificateStatus;
using crypto::OcspResponse;
using crypto::testing::must;
using service::HttpResponse;
using testing::HasSubstr;
using testing::Not;

class ServicesTest : public testing::Test {
 protected:
  ServicesTest() : fixture_(clock_) {
    fixture_.register_serial(1);
    fixture_.register_serial(2);
    handler_ = fixture_.handler();
  }

  HttpResponse ask(const std::string& wire) { return response_to(*handler_, wire); }
  HttpResponse ask_ocsp(ByteView request) { return ask(post("/ocsp", "application/ocsp-request", request)); }
  OcspResponse ocsp(ByteView request) { return must(OcspResponse::from_der(ask_ocsp(request).content())); }
  OcspCertificateStatus status(std::uint8_t serial, ByteView nonce = {}) {
    const OcspResponse answer = ocsp(fixture_.ocsp_request(serial, nonce));
    EXPECT_TRUE(answer.successful());
    return answer.singles().front().state.status;
  }
  static std::string text(const HttpResponse& response) { return std::string(as_text(response.content())); }

  FixedClock clock_{*parse_time("2026-11-22T06:00:00Z")};
  ServicesFixture fixture_;
  std::unique_ptr<service::HttpHandler> handler_;
};

TEST_F(ServicesTest, OcspAnswersByPostAndGet) {
  EXPECT_EQ(status(1), OcspCertificateStatus::good);
  EXPECT_EQ(status(99), OcspCertificateStatus::unknown);
  const Bytes nonce(16, 0xAB);
  const Bytes request = fixture_.ocsp_request(1, nonce);
  EXPECT_EQ(ocsp(request).nonce(), nonce);
  const HttpResponse posted = ask_ocsp(request);
  EXPECT_EQ(posted.media_type, "application/ocsp-response");
  EXPECT_THAT(posted.fields, HasSubstr("no-store"));
  // RFC 6960 A.1, in the escapes of different clients.
  const std::string plain = to_base64(fixture_.ocsp_request(1));
  std::string escaped;
  for (const char c : plain) {
    escaped += c == '/' ? "%2F" : c == '+' ? "%2b" : c == '=' ? "%3D" : std::string(1, c);
  }
  for (const std::string& path : {plain, escaped}) {
    const HttpResponse got = ask(get("/ocsp/" + path));
    EXPECT_EQ(got.status, 200) << path;
    EXPECT_THAT(got.fields,
                testing::AllOf(HasSubstr("Cache-Control: public, no-transform, must-revalidate, max-age=300"),
                               HasSubstr("ETag: \""), HasSubstr("Expires: "), HasSubstr("Last-Modified: ")));
    EXPECT_TRUE(must(OcspResponse::from_der(got.content())).successful());
    const std::size_t etag = got.fields.find("ETag: ") + 6;
    const std::string tag = got.fields.substr(etag, got.fields.find('\r', etag) - etag);
    EXPECT_EQ(ask(get("/ocsp/" + path, "If-None-Match: " + tag + "\r\n")).status, 304);
  }
  // One of another authority, and nonsense.
  crypto::OcspRequest foreign;
  foreign.certificates.push_back(crypto::cert_id_of(Bytes{1}, fixture_.ca));
  foreign.certificates.front().issuer_key_hash[0] ^= 1;
  EXPECT_EQ(ocsp(foreign.to_der()).status(), crypto::OcspResponseStatus::unauthorized);
  EXPECT_EQ(ocsp(as_bytes("nonsense")).status(), crypto::OcspResponseStatus::malformed_request);
  EXPECT_EQ(ask(get("/ocsp/%%%")).status, 400);
  EXPECT_EQ(ask(get("/ocsp")).status, 400);
  EXPECT_EQ(ask(post("/ocsp", "text/plain", request)).status, 415);
  EXPECT_EQ(ask("DELETE /ocsp HTTP/1.1\r\nHost: x\r\n\r\n").status, 405);
}

TEST_F(ServicesTest, AKeptAnswerNeverOutlivesARevocation) {
  const Bytes request = fixture_.ocsp_request(1);
  const Bytes first = to_bytes(ask_ocsp(request).content());
  EXPECT_EQ(to_bytes(ask_ocsp(request).content()), first);  // kept: signed once
  EXPECT_EQ(status(2), OcspCertificateStatus::good);
  // Another program revokes the other certificate, then this one.
  fixture_.revoke(2, crypto::CrlReason::superseded);
  EXPECT_EQ(status(2), OcspCertificateStatus::revoked);
  EXPECT_EQ(status(1), OcspCertificateStatus::good);
  fixture_.revoke(1, crypto::CrlReason::certificate_hold);
  EXPECT_EQ(status(1), OcspCertificateStatus::revoked);
  fixture_.revoke(1, crypto::CrlReason::remove_from_crl);
  EXPECT_EQ(status(1), OcspCertificateStatus::good);
  // "unknown" is not kept: the certificate may be registered a moment later.
  EXPECT_EQ(status(50), OcspCertificateStatus::unknown);
  fixture_.register_serial(50);
  EXPECT_EQ(status(50), OcspCertificateStatus::good);
}

TEST_F(ServicesTest, AKeptAnswerIsRenewedInTime) {
  const Bytes request = fixture_.ocsp_request(1);
  const OcspResponse first = ocsp(request);
  EXPECT_EQ(*first.singles().front().next_update - first.singles().front().this_update, std::chrono::minutes(60));
  clock_.advance(std::chrono::minutes(29));
  EXPECT_EQ(ocsp(request).der(), first.der());
  clock_.advance(std::chrono::minutes(1));
  EXPECT_EQ(ocsp(request).produced_at(), clock_.now());
}

TEST_F(ServicesTest, ListsFollowTheLedger) {
  const HttpResponse got = ask(get("/crl/issuing.crl"));
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.media_type, "application/pkix-crl");
  EXPECT_THAT(got.fields, testing::AllOf(HasSubstr("ETag: "), HasSubstr("Cache-Control: public, max-age=3600")));
  const crypto::Crl crl = must(crypto::Crl::from_der(got.content()));
  EXPECT_EQ(number_of(crl), 1u);
  EXPECT_EQ(ask(get("/crl/issuing/delta.crl")).status, 404);
  fixture_.revoke(1, crypto::CrlReason::superseded);
  const auto ledger =
      must(open_ledger(fixture_.config.authorities.front(), fixture_.config.database, fixture_.ca, clock_));
  must(ledger->issue_crl({.delta = true, .hours = 1}, fixture_.ca, fixture_.ca_signer));
  const crypto::Crl delta = must(crypto::Crl::from_der(ask(get("/crl/issuing/delta.crl")).content()));
  EXPECT_EQ(delta.entries().size(), 1u);
  must(ledger->issue_crl({.hours = 1}, fixture_.ca, fixture_.ca_signer));
  EXPECT_EQ(number_of(must(crypto::Crl::from_der(ask(get("/crl/issuing.crl")).content()))), 3u);
  for (const char* path : {"/crl/", "/crl/issuing", "/crl/other.crl", "/crl/issuing.crl/x", "/crl/issuing/user.crl"}) {
    EXPECT_EQ(ask(get(path)).status, 404) << path;
  }
  EXPECT_EQ(ask(post("/crl/issuing.crl", "x/y", {})).status, 405);
  EXPECT_EQ(to_bytes(ask(get("/ca/issuing.cer")).content()), fixture_.ca.der());
}

TEST_F(ServicesTest, TimeStampsAreOverWhatWasAsked) {
  const crypto::TimeStampRequest request{.imprint = crypto::imprint_of(crypto::Hash::sha256, as_bytes("content")),
                                         .nonce = Bytes{0x41, 0x42}};
  const HttpResponse got = ask(post("/tsa", "application/timestamp-query", request.to_der()));
  EXPECT_EQ(got.media_type, "application/timestamp-reply");
  const auto answer = must(crypto::TimeStampResponse::from_der(got.content()));
  const auto token = must(crypto::token_of(request, answer));
  EXPECT_EQ(token.info().time, clock_.now());
  EXPECT_EQ(token.info().policy, "2.999.3");
  EXPECT_TRUE(crypto::verify_token_signature(token, {}));
  const HttpResponse refused = ask(post("/tsa", "application/timestamp-query", as_bytes("x")));
  EXPECT_FALSE(must(crypto::TimeStampResponse::from_der(refused.content())).token);
  EXPECT_EQ(ask(get("/tsa")).status, 405);
  EXPECT_EQ(ask(post("/tsa", "application/ocsp-request", request.to_der())).status, 415);
}

TEST_F(ServicesTest, TheTrustListIsHandedOutWholeOrNotAtAll) {
  EXPECT_EQ(ask(get("/trust-list")).status, 503);
  EXPECT_EQ(ask(get("/healthz")).status, 503);
  EXPECT_THAT(text(ask(get("/healthz"))), HasSubstr("trust list: missing"));
  Publisher publisher = must(Publisher::create(fixture_.config, clock_, fixture_.shelves));
  const HttpResponse got = ask(get("/trust-list"));
  ASSERT_EQ(got.status, 200);
  const auto list = must(crypto::open_trust_list(got.content(), {fixture_.ca}, clock_.now()));
  EXPECT_EQ(list.sequence, 7u);
  EXPECT_EQ(ask(get("/healthz")).status, 200);
  // A file that is no list, or broken: what was published before stays.
  std::ofstream(fixture_.folder / "trust.p7m", std::ios::trunc) << "nonsense";
  publisher.tick();
  EXPECT_EQ(to_bytes(ask(get("/trust-list")).content()), to_bytes(got.content()));
  clock_.advance(std::chrono::hours(24 * 31));
  EXPECT_EQ(ask(get("/trust-list")).status, 200);
  EXPECT_THAT(text(ask(get("/healthz"))), testing::AllOf(HasSubstr("trust list: stale"), HasSubstr("CRL is stale")));
}

TEST_F(ServicesTest, ThePublisherMakesListsInTimeAndAfterRevocations) {
  const SecretBytes passphrase = SecretBytes::copy_of(std::string_view("a passphrase"));
  must(write_new_file(
      fixture_.folder / "ca.key",
      as_bytes(
          must(must(crypto::PrivateKey::from_der(fixture_.ca_key.expose_secret())).to_encrypted_pem(passphrase, 1000))),
      0600));
  std::string text = fixture_.config_text();
  text.replace(text.find("[ca.crl]\n"), 9,
               "[ca.crl]\nkey = \"ca.key\"\npassphrase_file = \"passphrase\"\nvalidity_hours = 24\ndelta_hours = 2\n"
               "partitions = true\nafter_revocation_seconds = 60\n");
  fixture_.config = must(parse_server_config(text, fixture_.folder / "identity.toml"));
  Publisher publisher = must(Publisher::create(fixture_.config, clock_, fixture_.shelves));
  const auto number = [&](const std::string& path) -> std::uint64_t {
    const HttpResponse got = ask(get(path));
    return got.status == 200 ? number_of(must(crypto::Crl::from_der(got.content()))) : 0;
  };
  publisher.tick();
  EXPECT_EQ(number("/crl/issuing.crl"), 1u);  // the one that was there
  EXPECT_EQ(number("/crl/issuing/delta.crl"), 2u);
  EXPECT_EQ(number("/crl/issuing/ca.crl"), 3u);
  EXPECT_EQ(number("/crl/issuing/user.crl"), 4u);
  clock_.advance(std::chrono::minutes(10));
  publisher.tick();
  EXPECT_EQ(number("/crl/issuing/delta.crl"), 2u);  // nothing happened
  fixture_.revoke(1, crypto::CrlReason::key_compromise);
  publisher.tick();
  EXPECT_EQ(number("/crl/issuing/delta.crl"), 5u);
  EXPECT_EQ(number("/crl/issuing.crl"), 1u);
  fixture_.revoke(2, crypto::CrlReason::key_compromise);
  publisher.tick();
  EXPECT_EQ(number("/crl/issuing/delta.crl"), 5u);  // not at once again
  clock_.advance(std::chrono::seconds(60));
  publisher.tick();
  EXPECT_EQ(number("/crl/issuing/delta.crl"), 6u);
  EXPECT_EQ(must(crypto::Crl::from_der(ask(get("/crl/issuing/delta.crl")).content())).entries().size(), 2u);
  clock_.advance(std::chrono::hours(18));
  publisher.tick();
  EXPECT_EQ(number("/crl/issuing.crl"), 7u);
  EXPECT_EQ(must(crypto::Crl::from_der(ask(get("/crl/issuing.crl")).content())).entries().size(), 2u);
}

TEST_F(ServicesTest, MetricsAreForThoseWhoMayReadThem) {
  status(1);
  EXPECT_EQ(ask(get("/metrics")).status, 404);  // from 192.0.2.1
  fixture_.config.metrics_allow = {"192.0.2.1"};
  handler_ = fixture_.handler();
  const HttpResponse got = ask(get("/metrics"));
  EXPECT_EQ(got.status, 200);
  EXPECT_THAT(text(got), testing::AllOf(HasSubstr("karta_ocsp_answers_total{source=\"signed\"} 1"),
                                        HasSubstr("karta_requests_total{route=\"/ocsp\"} 1")));
}

TEST_F(ServicesTest, OtherPathsLeadNowhere) {
  EXPECT_EQ(ask(get("/")).status, 404);
  EXPECT_EQ(ask(get("/ocspx")).status, 404);
  EXPECT_EQ(ask(get("/healthzz")).status, 404);
}

// Thirty ways to get a configuration wrong, and the place each is found at.
TEST_F(ServicesTest, AWrongConfigurationIsNamedByLineAndKey) {
  struct Case {
    const char* from;
    const char* to;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"schema = \"karta.identity/1\"", "schema = \"karta.identity/2\"", "identity.toml:1: \"schema\" must be"},
      {"[server]\n", "[sever]\n", "\"server\" is missing"},
      {"listen = [\"127.0.0.1:0\"]", "", "identity.toml:3: \"server.listen\" is missing"},
      {"listen = [\"127.0.0.1:0\"]", "listen = [80]", "identity.toml:4: \"server.listen\" must be a list of texts"},
      {"listen = [\"127.0.0.1:0\"]", "listen = [\"unix:/x\", \"0.0.0.0\"]",
       "identity.toml:4: \"server.listen\" holds \"0.0.0.0\", which is no address to listen at"},
      {"listen = [\"127.0.0.1:0\"]", "listen = \"id.example:443\"", "which is no address to listen at"},
      {"listen = [\"127.0.0.1:0\"]", "listen = \"127.0.0.1:70000\"", "which is no address to listen at"},
      {"listen = [\"127.0.0.1:0\"]", "listen = \"unix:x\"", "which is no address to listen at"},
      {"listen = [\"127.0.0.1:0\"]", "listen = \"127.0.0.1:80\"\nworkers = 0",
       "identity.toml:5: \"server.workers\" must be a number from 1 to 256"},
      {"listen = [\"127.0.0.1:0\"]", "listen = \"127.0.0.1:80\"\nworker = 1",
       "identity.toml:5: unknown key \"server.worker\""},
      {"listen = [\"127.0.0.1:0\"]", "listen = \"127.0.0.1:80\"\nproxy_protocol_from = [\"10.0.0.0/8\", \"balancer\"]",
       "identity.toml:5: \"server.proxy_protocol_from\" names balancers: \"balancer\" is no address and no network"},
      {"listen = [\"127.0.0.1:0\"]", "listen = \"127.0.0.1:80\"\nproxy_protocol_from = [\"10.0.0.1/8\"]",
       "has bits behind its length"},
      {"listen = [\"127.0.0.1:0\"]", "listen = \"127.0.0.1:80\"\nproxy_protocol_from = [\"::/0\"]",
       "lets everybody claim any address"},
      {"listen = [\"127.0.0.1:0\"]", "listen = \"127.0.0.1:80\"\nproxy_protocol_from = [10]",
       "identity.toml:5: \"server.proxy_protocol_from\" must be a list of texts"},
      {"listen = [\"127.0.0.1:0\"]", "listen = \"unix:/x\"\nproxy_protocol_from = \"10.0.0.0/8\"",
       "\"server.proxy_protocol_from\" is of no use: local sockets"},
      {"database = \"registry.sqlite\"\n", "", "\"ca.authority\" is missing"},
      {"database = \"registry.sqlite\"", "database = 1", "identity.toml:2: \"database\" must be a text"},
      {"name = \"issuing\"", "name = \"Issuing CA\"", "identity.toml:6: \"ca.name\" must be small letters"},
      {"name = \"issuing\"\n", "", "\"ca.name\" is missing"},
      {"certificate = \"ca.pem\"\n", "", "\"ca.certificate\" is missing"},
      {"key = \"ocsp.key\"\n", "", "\"ca.ocsp.key\" is missing"},
      {"passphrase_file = \"passphrase\"\n[ca.crl]", "[ca.crl]", "needs one of \"passphrase_file\" and \"credential\""},
      {"[ca.crl]", "credential = \"x\"\n[ca.crl]", "\"ca.ocsp.credential\" needs one of"},
      {"[ca.crl]", "validity_minutes = 10\nmax_age_seconds = 301\n[ca.crl]",
       "\"ca.ocsp.max_age_seconds\" must be at most half"},
      {"[ca.crl]", "[ca.crl]\nvalidity_hours = 5\ndelta_hours = 5", "\"ca.crl.delta_hours\" must be less"},
      {"[ca.crl]", "[ca.crls]", "unknown key \"ca.crls\""},
      {"policy = \"2.999.3\"", "policy = \"two\"", "\"time_stamp.policy\" must be an object identifier"},
      {"policy = \"2.999.3\"\n", "", "\"time_stamp.policy\" is missing"},
      {"roots = [\"ca.pem\"]", "roots = []", "\"trust_list.roots\" is missing"},
      {"[trust_list]", "[[ca]]\nname = \"issuing\"\ncertificate = \"x\"\n[trust_list]",
       "\"ca.name\" is that of another"},
      {"[trust_list]", "[log]\nlevel = \"loud\"\n[trust_list]", "\"log.level\" must be debug"},
      {"[trust_list]", "[limits]\nbody_octets = 10\n[trust_list]", "\"limits.body_octets\" must be a number from 1024"},
      {"[trust_list]", "[tls]\nkey = \"pkcs11:x\"\ncertificate = \"x\"\npassphrase_file = \"x\"\n[trust_list]",
       "\"tls.key\" must be a file"},
      {"[trust_list]", "[trust_list", "identity.toml:18: "},
  };
  for (const Case& one : cases) {
    std::string text = fixture_.config_text();
    const std::size_t at = text.find(one.from);
    ASSERT_NE(at, std::string::npos) << one.from;
    text.replace(at, std::string_view(one.from).size(), one.to);
    const auto parsed = parse_server_config(text, "identity.toml");
    ASSERT_FALSE(parsed) << one.to;
    EXPECT_EQ(parsed.error().kind, ErrorKind::configuration);
    EXPECT_THAT(parsed.error().message, HasSubstr(one.message));
  }
}

TEST_F(ServicesTest, TheRootsOfTheListenerForCertificatesAreNamedOrNot) {
  must(write_new_file(fixture_.folder / "openid.secret", as_bytes("0123456789abcdef0123456789abcdef\n"), 0600));
  const auto parsed = [&](const std::string& listener) {
    return parse_server_config(fixture_.config_text() + R"(
[tls]
key = "ocsp.key"
certificate = "ocsp.pem"
passphrase_file = "passphrase"
[openid]
issuer = "https://id.example"
secret_file = "openid.secret"
)" + listener + R"(
[[openid.key]]
key = "ocsp.key"
passphrase_file = "passphrase"
)",
                               fixture_.folder / "identity.toml");
  };
  const std::string listener =
      "mtls_listen = [\"127.0.0.1:0\"]\nmtls_address = \"https://mtls.example\"\nmtls_roots = [\"ca.pem\"]\n";
  const auto named = [&](const std::string& more) {
    const auto tls = mtls_of(*must(open_service_keys(must(parsed(listener + more)))));
    EXPECT_THAT(tls->client_roots_pem, HasSubstr("BEGIN CERTIFICATE"));
    return tls->names_client_roots;
  };
  EXPECT_TRUE(named(""));
  EXPECT_TRUE(named("mtls_names_roots = true\n"));
  EXPECT_FALSE(named("mtls_names_roots = false\n"));
  const auto message_of = [&](const std::string& text) {
    const auto config = parsed(text);
    return config ? std::string() : config.error().message;
  };
  EXPECT_THAT(message_of(listener + "mtls_names_roots = 0\n"), HasSubstr("\"openid.mtls_names_roots\" must be"));
  EXPECT_THAT(message_of("mtls_names_roots = false\n"), HasSubstr("\"openid.mtls_names_roots\" is of no use without"));
  // Balancers are named listener by listener.
  const auto balanced = must(parsed(listener + "mtls_proxy_protocol_from = [\"192.0.2.0/24\", \"::1\"]\n"));
  EXPECT_EQ(balanced.openid->mtls_proxy_protocol_from.size(), 2u);
  EXPECT_TRUE(balanced.proxy_protocol_from.empty());
  EXPECT_THAT(message_of(listener + "mtls_proxy_protocol_from = [\"mtls\"]\n"),
              HasSubstr("\"openid.mtls_proxy_protocol_from\" names balancers"));
  EXPECT_THAT(message_of("mtls_proxy_protocol_from = [\"::1\"]\n"),
              HasSubstr("\"openid.mtls_proxy_protocol_from\" is of no use without"));
}

TEST_F(ServicesTest, BrowsersAreHeldToTlsAndTheBareAddressLeadsToTheCitizensPage) {
  must(write_new_file(fixture_.folder / "a.secret", as_bytes("0123456789abcdef0123456789abcdef\n"), 0600));
  const auto answers = [&](const std::string& issuer, const std::string& more, const std::string& path) {
    const auto config = must(parse_server_config(fixture_.config_text() + R"(
[openid]
issuer = ")" + issuer + R"("
secret_file = "a.secret"
[[openid.key]]
key = "ocsp.key"
passphrase_file = "passphrase"
)" + more,
                                                 fixture_.folder / "identity.toml"));
    const auto keys = must(open_service_keys(config));
    const auto handler = must(make_service_handler(config, *keys, {clock_, fixture_.metrics, fixture_.shelves}));
    return response_to(*handler, get(path));
  };
  constexpr const char* kMetadata = "/.well-known/openid-configuration";
  const auto policy = HasSubstr("Strict-Transport-Security: max-age=31536000\r\n");
  EXPECT_THAT(answers("https://id.example:8443", "", kMetadata).fields, policy);
  EXPECT_THAT(answers("https://localhost:8443", "", kMetadata).fields, Not(policy));
  EXPECT_THAT(answers("https://id.localhost", "", kMetadata).fields, Not(policy));
  EXPECT_EQ(answers("https://id.example", "", "/").status, 404) << "nobody logs in here";
  const std::string login = "[login]\nsecret_file = \"a.secret\"\n[login.codes]\n";
  const auto bare = answers("https://id.example", login, "/");
  EXPECT_EQ(bare.status, 303);
  EXPECT_THAT(bare.fields, HasSubstr("Location: /me\r\n"));
  EXPECT_THAT(bare.fields, policy);
  EXPECT_THAT(answers("https://id.example", login, "/me").fields, policy);
}

TEST(ServerConfigTest, TheExamplesAreTaken) {
  // What the unit brings.
  ::setenv("CREDENTIALS_DIRECTORY", "/run/credentials/karta-identity.service", 1);
  unsigned seen = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(KARTA_SOURCE_DIR) / "docs" / "examples")) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("identity") || !name.ends_with(".toml")) continue;
    const auto config = parse_server_config(as_text(must(read_file(entry.path(), 1 << 16))), entry.path());
    EXPECT_TRUE(config) << name << ": " << (config ? "" : config.error().message);
    ++seen;
  }
  ::unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_GE(seen, 3u);
}

TEST_F(ServicesTest, KeysThatDoNotFitAreFoundAtTheStart) {
  const auto error_of = [&](const char* from, const char* to) {
    std::string text = fixture_.config_text();
    text.replace(text.find(from), std::string_view(from).size(), to);
    const auto config = must(parse_server_config(text, fixture_.folder / "identity.toml"));
    const auto keys = open_service_keys(config);
    if (!keys) return keys.error();
    const auto handler = make_service_handler(config, **keys, {clock_, fixture_.metrics, fixture_.shelves});
    return handler ? Error{} : handler.error();
  };
  EXPECT_THAT(error_of("\"ocsp.key\"", "\"stranger.key\"").message, HasSubstr("is not that of"));
  EXPECT_EQ(error_of("\"ocsp.key\"", "\"none.key\"").kind, ErrorKind::not_found);
  // As other servers keep theirs: the file is named, and what to do with it.
  must(write_new_file(fixture_.folder / "plain.key",
                      as_bytes(crypto::to_pem("PRIVATE KEY", fixture_.ca_key.expose_secret())), 0600));
  const Error plain = error_of("\"ocsp.key\"", "\"plain.key\"");
  EXPECT_THAT(plain.message, HasSubstr("plain.key"));
  EXPECT_THAT(plain.hint, HasSubstr("openssl pkcs8 -topk8"));
  EXPECT_EQ(error_of("certificate = \"ocsp.pem\"", "certificate = \"none\"").kind, ErrorKind::not_found);
  // A time-stamp authority's key answers no OCSP requests, and the other way round.
  EXPECT_EQ(
      error_of("key = \"ocsp.key\"\ncertificate = \"ocsp.pem\"", "key = \"tsa.key\"\ncertificate = \"tsa.pem\"").kind,
      ErrorKind::not_permitted);
  EXPECT_EQ(
      error_of("key = \"tsa.key\"\ncertificate = \"tsa.pem\"", "key = \"ocsp.key\"\ncertificate = \"ocsp.pem\"").kind,
      ErrorKind::not_permitted);
  must(write_new_file(fixture_.folder / "wrong", as_bytes("wrong\n"), 0600));
  EXPECT_EQ(error_of("passphrase_file = \"passphrase\"", "passphrase_file = \"wrong\"").kind, ErrorKind::wrong_pin);
  must(write_new_file(fixture_.folder / "open", as_bytes("a passphrase\n"), 0644));
  ::chmod((fixture_.folder / "open").c_str(), 0644);
  EXPECT_EQ(error_of("passphrase_file = \"passphrase\"", "passphrase_file = \"open\"").kind, ErrorKind::not_permitted);
  EXPECT_EQ(error_of("database = \"registry.sqlite\"", "database = \"none.sqlite\"").kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace karta::identity
