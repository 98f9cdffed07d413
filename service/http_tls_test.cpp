// Both ends of mutual TLS, and what else the client sends and reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/ssl.h>

#include <csignal>
#include <mutex>
#include <optional>

#include "service/http_client.h"
#include "service/later_response.h"
#include "service/response_stream.h"
#include "service/test_certificates.h"
#include "service/test_handler.h"
#include "service/test_socket.h"

namespace karta::service {
namespace {

using testing::HasSubstr;

/// A key pair that does not belong together: the public half of `shown`, the private one of `used` (both P-256).
EVP_PKEY* mismatched(const TestCertificate& shown, const TestCertificate& used) {
  const auto read = [](const TestCertificate& one) {
    const std::uint8_t* at = one.key.expose_secret().data();
    return d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(one.key.size()));
  };
  EVP_PKEY *const a = read(shown), *const b = read(used);
  std::array<std::uint8_t, 65> point{};
  std::size_t size = 0;
  EVP_PKEY_get_octet_string_param(a, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(), &size);
  BIGNUM* scalar = nullptr;
  EVP_PKEY_get_bn_param(b, OSSL_PKEY_PARAM_PRIV_KEY, &scalar);
  OSSL_PARAM_BLD* const parts = OSSL_PARAM_BLD_new();
  OSSL_PARAM_BLD_push_utf8_string(parts, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0);
  OSSL_PARAM_BLD_push_octet_string(parts, OSSL_PKEY_PARAM_PUB_KEY, point.data(), size);
  OSSL_PARAM_BLD_push_BN(parts, OSSL_PKEY_PARAM_PRIV_KEY, scalar);
  OSSL_PARAM* const all = OSSL_PARAM_BLD_to_param(parts);
  EVP_PKEY_CTX* const making = EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr);
  EVP_PKEY* out = nullptr;
  EVP_PKEY_fromdata_init(making);
  EVP_PKEY_fromdata(making, &out, EVP_PKEY_KEYPAIR, all);
  EVP_PKEY_CTX_free(making);
  OSSL_PARAM_free(all);
  OSSL_PARAM_BLD_free(parts);
  BN_free(scalar);
  EVP_PKEY_free(a);
  EVP_PKEY_free(b);
  return out;
}

/// True if the server at `where` answers a client that shows `shown`, and above it that once more `above` times, and
/// signs with the key of `used`.
bool is_served(const std::string& where, int version, const TestCertificate& shown, const TestCertificate& used,
               int above = 0) {
  std::signal(SIGPIPE, SIG_IGN);  // the server may be gone while the client still writes
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
  const std::uint8_t* at = shown.der.data();
  X509* const certificate = d2i_X509(nullptr, &at, static_cast<long>(shown.der.size()));
  EVP_PKEY* const key = mismatched(shown, used);
  EXPECT_EQ(SSL_CTX_use_certificate(context, certificate), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context, key), 1);  // the halves it looks at fit
  for (int i = 0; i < above; ++i) EXPECT_EQ(SSL_CTX_add1_chain_cert(context, certificate), 1);
  BIO* const connection = BIO_new_ssl_connect(context);
  BIO_set_conn_hostname(connection, where.c_str());
  std::string answer(12, ' ');
  const bool served = BIO_puts(connection, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") > 0 &&
                      BIO_read(connection, answer.data(), 12) == 12 && answer == "HTTP/1.1 200";
  BIO_free_all(connection);
  EVP_PKEY_free(key);
  X509_free(certificate);
  SSL_CTX_free(context);
  return served;
}

/// The issuers whose certificates the server at `where` asks for; nothing where it asks for none.
std::optional<std::vector<std::string>> asked_for(const std::string& where, int version) {
  using Names = std::optional<std::vector<std::string>>;
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, version);
  SSL_CTX_set_max_proto_version(context, version);
  Names out;
  SSL_CTX_set_cert_cb(
      context,
      [](SSL* connection, void* told) {
        auto& names = static_cast<Names*>(told)->emplace();
        const auto* const issuers = SSL_get0_peer_CA_list(connection);
        for (int i = 0; i < sk_X509_NAME_num(issuers); ++i) {
          char text[256] = {};
          X509_NAME_oneline(sk_X509_NAME_value(issuers, i), text, sizeof text);
          names.emplace_back(text);
        }
        return 1;
      },
      &out);
  BIO* const connection = BIO_new_ssl_connect(context);
  BIO_set_conn_hostname(connection, where.c_str());
  EXPECT_EQ(BIO_do_handshake(connection), 1);
  BIO_free_all(connection);
  SSL_CTX_free(context);
  return out;
}

/// A connection to a server of TLS that is open, and what the server has shown there.
class OpenConnection {
 public:
  explicit OpenConnection(const std::string& where) {
    BIO_set_conn_hostname(connection_, where.c_str());
    EXPECT_EQ(BIO_do_handshake(connection_), 1);
  }
  OpenConnection(const OpenConnection&) = delete;
  ~OpenConnection() {
    BIO_free_all(connection_);
    SSL_CTX_free(context_);
  }
  Bytes shown() {
    SSL* connection = nullptr;
    BIO_get_ssl(connection_, &connection);
    X509* const certificate = SSL_get1_peer_certificate(connection);
    unsigned char* octets = nullptr;
    const int size = i2d_X509(certificate, &octets);
    Bytes out(octets, octets + std::max(size, 0));
    OPENSSL_free(octets);
    X509_free(certificate);
    return out;
  }
  bool is_served() {
    std::string answer(12, ' ');
    return BIO_puts(connection_, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") > 0 &&
           BIO_read(connection_, answer.data(), 12) == 12 && answer == "HTTP/1.1 200";
  }

 private:
  SSL_CTX* const context_ = SSL_CTX_new(TLS_client_method());
  BIO* const connection_ = BIO_new_ssl_connect(context_);
};

class HttpTlsTest : public testing::Test {
 protected:
  HttpServer start(ClientCertificates mode, const std::string& roots, bool names_roots = true) {
    HttpServerOptions options;
    options.listen = {"127.0.0.1:0"};
    TestCertificate own = servers_.certify({.name = "server", .alternative_name = "IP:127.0.0.1"});
    auto tls = std::make_shared<HttpTls>();
    tls->certificates_pem = own.pem;
    tls->private_key = std::move(own.key);
    tls->client_certificates = mode;
    tls->client_roots_pem = roots;
    tls->names_client_roots = names_roots;
    options.tls = tls;
    options.on_failed_handshake = [this](std::string_view peer, std::string_view reason) {
      const std::lock_guard lock(mutex_);
      reasons_ += std::string(peer) + ": " + std::string(reason) + "\n";
    };
    auto server = start_server(std::move(options), [this](const HttpRequest& request) {
      const std::lock_guard lock(mutex_);
      seen_ = to_bytes(request.client_certificate);
      shown_ = to_bytes(request.shown_certificate);
      return HttpResponse::text(200, "served");
    });
    EXPECT_TRUE(server) << server.error().message;
    where_ = "https://" + server->addresses().front() + "/";
    return std::move(*server);
  }
  HttpClientOptions options() const {
    HttpClientOptions out;
    out.any_address = true;
    out.certificates_pem = servers_.pem();
    return out;
  }
  HttpClient client(const TestCertificate* own) const {
    HttpClientOptions out = options();
    if (own != nullptr) {
      out.identity = std::make_shared<HttpIdentity>(HttpIdentity{own->pem, own->key.clone()});
    }
    return HttpClient(std::move(out));
  }
  std::string reasons() {
    const std::lock_guard lock(mutex_);
    return reasons_;
  }
  Bytes seen() {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  Bytes shown() {
    const std::lock_guard lock(mutex_);
    return shown_;
  }

  TestAuthority servers_{"servers' authority"};
  TestAuthority terminals_{"terminals' authority"};
  TestAuthority others_{"somebody else's authority"};
  std::string where_;
  std::mutex mutex_;
  Bytes seen_, shown_;
  std::string reasons_;
};

TEST_F(HttpTlsTest, ACertificateIsRenewedWhileConnectionsGoOn) {
  auto server = start(ClientCertificates::required, terminals_.pem());
  const TestCertificate terminal = terminals_.certify({.name = "terminal", .extended_key_usage = "clientAuth"});
  const TestCertificate other = others_.certify({.name = "other", .extended_key_usage = "clientAuth"});
  TestCertificate renewed = servers_.certify({.name = "server", .alternative_name = "IP:127.0.0.1"});
  HttpTls tls;
  tls.certificates_pem = renewed.pem;
  tls.private_key = std::move(renewed.key);
  tls.client_certificates = ClientCertificates::required;
  tls.client_roots_pem = others_.pem();
  EXPECT_TRUE(client(&terminal).get(where_));
  const auto change = server.prepare_tls(tls);
  ASSERT_TRUE(change) << change.error().message;
  EXPECT_TRUE(client(&terminal).get(where_)) << "until it is said, nothing changes";
  (*change)();
  EXPECT_FALSE(client(&terminal).get(where_));
  EXPECT_TRUE(client(&other).get(where_));
  tls.certificates_pem = "no certificate";
  const auto refused = server.prepare_tls(tls);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::configuration);
  EXPECT_TRUE(client(&other).get(where_));
}

TEST_F(HttpTlsTest, AnOpenConnectionOutlivesTheCertificateItBeganWith) {
  auto server = start(ClientCertificates::none, "");
  const std::string where = server.addresses().front();
  TestCertificate renewed = servers_.certify({.name = "server", .alternative_name = "IP:127.0.0.1"});
  HttpTls tls;
  tls.certificates_pem = renewed.pem;
  tls.private_key = std::move(renewed.key);
  OpenConnection before(where);
  EXPECT_NE(before.shown(), renewed.der);
  const auto change = server.prepare_tls(tls);
  ASSERT_TRUE(change);
  (*change)();
  OpenConnection after(where);
  EXPECT_EQ(after.shown(), renewed.der);
  EXPECT_TRUE(after.is_served());
  EXPECT_TRUE(before.is_served());
}

TEST_F(HttpTlsTest, ClientsCertificatesAreAskedForAndVerified) {
  const TestCertificate good = terminals_.certify({.name = "terminal", .extended_key_usage = "clientAuth"});
  const TestCertificate unlimited = terminals_.certify({.name = "terminal without uses"});
  const TestCertificate expired = terminals_.certify({.name = "late", .not_before = -7200, .not_after = -60});
  const TestCertificate early = terminals_.certify({.name = "early", .not_before = 600});
  const TestCertificate foreign = others_.certify({.name = "terminal", .extended_key_usage = "clientAuth"});
  const TestCertificate server_only = terminals_.certify({.name = "server", .extended_key_usage = "serverAuth"});
  TestCertificate stolen = terminals_.certify({.name = "terminal"});
  stolen.key = others_.certify({.name = "thief"}).key;

  // doubted: served, and the handler is shown the certificate as one that is not good.
  enum class Outcome : std::uint8_t { anonymous, known, refused, doubted };
  using enum Outcome;
  struct Case {
    const char* what;
    const TestCertificate* own;
    Outcome none, optional, required, any;
    const char* reason;
  };
  const std::vector<Case> cases = {
      {"good", &good, anonymous, known, known, known, ""},
      {"without limits to its use", &unlimited, anonymous, known, known, known, ""},
      {"missing", nullptr, anonymous, anonymous, refused, anonymous, "peer did not return a certificate"},
      {"expired", &expired, anonymous, refused, refused, doubted, "certificate has expired"},
      {"early", &early, anonymous, refused, refused, doubted, "certificate is not yet valid"},
      {"foreign root", &foreign, anonymous, refused, refused, doubted, "unable to get local issuer certificate"},
      {"for servers", &server_only, anonymous, refused, refused, doubted, "purpose"},
  };
  for (const ClientCertificates mode : {ClientCertificates::none, ClientCertificates::optional,
                                        ClientCertificates::required, ClientCertificates::any}) {
    const HttpServer server = start(mode, terminals_.pem());
    for (const Case& one : cases) {
      SCOPED_TRACE(std::string(one.what) + ", mode " + std::to_string(static_cast<int>(mode)));
      const Outcome expected = mode == ClientCertificates::none       ? one.none
                               : mode == ClientCertificates::optional ? one.optional
                               : mode == ClientCertificates::required ? one.required
                                                                      : one.any;
      {
        const std::lock_guard lock(mutex_);
        reasons_.clear();
        seen_ = shown_ = {1};
      }
      const std::uint64_t failed = server.counts().failed_handshakes;
      const auto reply = client(one.own).get(where_);
      if (expected == refused) {
        ASSERT_FALSE(reply);
        EXPECT_EQ(reply.error().kind, ErrorKind::untrusted) << reply.error().message;
        EXPECT_TRUE(becomes_true([&] { return server.counts().failed_handshakes == failed + 1; }));
        EXPECT_TRUE(becomes_true([&] { return !reasons().empty(); }));
        EXPECT_THAT(reasons(), testing::AllOf(testing::StartsWith("127.0.0.1: "), HasSubstr(one.reason)));
        EXPECT_EQ(seen(), Bytes{1});  // no handler saw it
        continue;
      }
      ASSERT_TRUE(reply) << reply.error().message;
      EXPECT_EQ(seen(), expected == known ? one.own->der : Bytes{});
      EXPECT_EQ(shown(), expected == anonymous ? Bytes{} : one.own->der);
      EXPECT_EQ(server.counts().failed_handshakes, failed);
    }
    // A certificate with another's key is an identity that cannot be used; no handshake is begun with it.
    const auto reply = client(&stolen).get(where_);
    ASSERT_FALSE(reply);
    EXPECT_EQ(reply.error().kind, ErrorKind::configuration) << reply.error().message;
  }
}

TEST_F(HttpTlsTest, AnIssuingAuthorityIsAnchorEnoughAndRootsAreNeeded) {
  const HttpServer server = start(ClientCertificates::required, others_.pem() + terminals_.pem());
  const TestCertificate good = terminals_.certify({.name = "terminal"});
  EXPECT_TRUE(client(&good).get(where_));
  HttpServerOptions bad;
  bad.listen = {"127.0.0.1:0"};
  TestCertificate own = servers_.certify({.name = "server"});
  auto tls = std::make_shared<HttpTls>();
  tls->certificates_pem = own.pem;
  tls->private_key = std::move(own.key);
  tls->client_certificates = ClientCertificates::optional;
  bad.tls = tls;
  const auto none = start_server(std::move(bad), [](const HttpRequest&) { return HttpResponse{}; });
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::configuration);
}

TEST_F(HttpTlsTest, AConnectionDoesNotOutliveItsCertificate) {
  const HttpServer server = start(ClientCertificates::required, terminals_.pem());
  const TestCertificate brief = terminals_.certify({.name = "terminal", .not_after = 2});
  HttpClient terminal = client(&brief);
  const auto first = terminal.get(where_);
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_EQ(first->status, 200);
  int status = 200;
  EXPECT_TRUE(becomes_true([&] {
    const auto reply = terminal.get(where_);
    status = reply ? reply->status : 0;
    return status != 200;
  }));
  EXPECT_EQ(status, 403);
  EXPECT_EQ(server.counts().connections, 1u);
  EXPECT_FALSE(terminal.get(where_));  // and no new one begins
}

TEST_F(HttpTlsTest, WhereAnyIsTakenAGoodOneThatEndsIsNoGoodOneAnyMore) {
  const HttpServer server = start(ClientCertificates::any, terminals_.pem());
  const TestCertificate brief = terminals_.certify({.name = "citizen", .not_after = 2});
  HttpClient citizen = client(&brief);
  ASSERT_TRUE(citizen.get(where_));
  EXPECT_EQ(seen(), brief.der);
  EXPECT_TRUE(becomes_true([&] { return citizen.get(where_) && seen().empty(); }));
  EXPECT_EQ(shown(), brief.der);
  EXPECT_EQ(server.counts().connections, 1u);
  // Whoever brings it to a connection of his own gets no further with it.
  ASSERT_TRUE(client(&brief).get(where_));
  EXPECT_TRUE(seen().empty());
}

// The handshake is what proves the key: a client that says so without having it ends there, whatever is taken.
TEST_F(HttpTlsTest, WhereAnyIsTakenTheKeyIsProvedAllTheSame) {
  const HttpServer server = start(ClientCertificates::any, terminals_.pem());
  const TestCertificate good = terminals_.certify({.name = "citizen"});
  const TestCertificate thief = others_.certify({.name = "thief"});
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    for (const bool own : {true, false}) {
      {
        const std::lock_guard lock(mutex_);
        shown_ = {1};
      }
      EXPECT_EQ(is_served(server.addresses().front(), version, good, own ? good : thief), own) << version;
      EXPECT_EQ(shown(), own ? good.der : Bytes{1});
    }
  }
}

// What a client shows stays in memory as long as its connection.
TEST_F(HttpTlsTest, AClientThatShowsManyCertificatesEndsItsHandshake) {
  const TestCertificate good = terminals_.certify({.name = "citizen"});
  // Together less than what OpenSSL takes by itself (100 KiB), and more than 24 KiB.
  const int many = static_cast<int>(50 * 1024 / good.der.size());
  for (const ClientCertificates mode :
       {ClientCertificates::optional, ClientCertificates::required, ClientCertificates::any}) {
    const HttpServer server = start(mode, terminals_.pem());
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      SCOPED_TRACE("mode " + std::to_string(static_cast<int>(mode)) + ", version " + std::to_string(version));
      const auto served = [&](int above) { return is_served(server.addresses().front(), version, good, good, above); };
      const std::uint64_t failed = server.counts().failed_handshakes;
      EXPECT_TRUE(served(0));
      EXPECT_TRUE(served(9));
      EXPECT_EQ(server.counts().failed_handshakes, failed);
      EXPECT_FALSE(served(many));
      EXPECT_TRUE(becomes_true([&] { return server.counts().failed_handshakes == failed + 1; }));
      if (mode != ClientCertificates::any) continue;
      // Few octets each are many certificates: of those none vouches for, ten are enough.
      EXPECT_FALSE(served(10));
      EXPECT_TRUE(becomes_true([&] { return server.counts().failed_handshakes == failed + 2; }));
    }
  }
}

TEST_F(HttpTlsTest, RootsAreNamedToClientsOrNot) {
  const TestCertificate good = terminals_.certify({.name = "terminal"});
  const TestCertificate foreign = others_.certify({.name = "terminal"});
  for (const bool named : {true, false}) {
    SCOPED_TRACE(named);
    const HttpServer server = start(ClientCertificates::any, terminals_.pem() + servers_.pem(), named);
    const std::vector<std::string> expected =
        named ? std::vector<std::string>{"/CN=terminals' authority", "/CN=servers' authority"}
              : std::vector<std::string>{};
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
      const auto names = asked_for(server.addresses().front(), version);
      ASSERT_TRUE(names) << "certificates are asked for all the same";
      EXPECT_EQ(*names, expected);
    }
    // Whose are good is judged by them, named or not.
    ASSERT_TRUE(client(&good).get(where_));
    EXPECT_EQ(seen(), good.der);
    ASSERT_TRUE(client(&foreign).get(where_));
    EXPECT_EQ(seen(), Bytes{});
    EXPECT_EQ(shown(), foreign.der);
  }
}

TEST_F(HttpTlsTest, TheServersCertificateIsVerified) {
  const HttpServer server = start(ClientCertificates::none, "");
  HttpClientOptions other = options();
  other.certificates_pem = others_.pem();
  const auto reply = HttpClient(std::move(other)).get(where_);
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().kind, ErrorKind::untrusted);
  std::string by_name = where_;
  by_name.replace(by_name.find("127.0.0.1"), 9, "localhost");  // no name of the certificate
  EXPECT_EQ(HttpClient(options()).get(by_name).error().kind, ErrorKind::untrusted);
}

TEST_F(HttpTlsTest, LaterAnswersComeOverTlsToo) {
  HttpServerOptions with;
  with.listen = {"127.0.0.1:0"};
  TestCertificate own = servers_.certify({.name = "server", .alternative_name = "IP:127.0.0.1"});
  auto tls = std::make_shared<HttpTls>();
  tls->certificates_pem = own.pem;
  tls->private_key = std::move(own.key);
  with.tls = tls;
  std::vector<std::thread> workers;
  const auto server = start_server(std::move(with), [&](const HttpRequest& request) {
    if (request.path == "/stream") {
      auto stream = std::make_shared<ResponseStream>();
      workers.emplace_back([stream] {
        for (int i = 0; i < 100; ++i) stream->write("piece " + std::to_string(i) + "\n");
      });
      return HttpResponse::stream(stream, "text/plain");
    }
    auto promise = std::make_shared<LaterResponse>();
    workers.emplace_back([promise] { promise->send(HttpResponse::text(200, "late")); });
    return HttpResponse::later(promise);
  });
  ASSERT_TRUE(server);
  HttpClient asking(options());
  const std::string where = "https://" + server->addresses().front();
  for (int i = 0; i < 20; ++i) {
    const auto reply = asking.get(where + "/later");
    ASSERT_TRUE(reply) << reply.error().message;
    EXPECT_EQ(as_text(reply->body), "late\n");
    const auto stream = asking.get(where + "/stream");
    ASSERT_TRUE(stream) << stream.error().message;
    EXPECT_THAT(std::string(as_text(stream->body)), testing::EndsWith("piece 99\n"));
  }
  EXPECT_EQ(server->counts().connections, 1u);
  for (std::thread& one : workers) one.join();
}

class HttpExchangeTest : public testing::Test {
 protected:
  HttpExchangeTest() {
    HttpServerOptions options;
    options.listen = {"127.0.0.1:0"};
    auto server = start_server(std::move(options), [this](const HttpRequest& request) {
      if (request.path == "/move") {
        HttpResponse out = HttpResponse::text(303, "elsewhere");
        out.fields = "Location: /list\r\nX-Mark: first\r\n";
        return out;
      }
      if (request.path == "/busy") {
        HttpResponse out = HttpResponse::text(503, "later");
        out.fields = "Retry-After: " + retry_after_ + "\r\n";
        return out;
      }
      if (request.path == "/fields") {
        HttpResponse out = HttpResponse::text(200, "many");
        for (int i = 0; i < 300; ++i) out.fields += "X-" + std::to_string(i) + ": y\r\n";
        return out;
      }
      constexpr std::string_view kTag = "\"7\"";
      HttpResponse out;
      out.media_type = "text/plain";
      out.fields = "ETag: \"7\"\r\n";
      if (request.field("If-None-Match") == kTag) {
        out.status = 304;
        return out;
      }
      if (request.method == HttpMethod::del) {
        out.status = 204;
        return out;
      }
      const std::string text = std::to_string(static_cast<int>(request.method)) + " " +
                               std::string(request.field("Idempotency-Key")) + " " + std::string(request.media_type()) +
                               " " + std::string(as_text(request.body));
      out.body = to_bytes(as_bytes(text));
      return out;
    });
    EXPECT_TRUE(server);
    where_ = "http://" + server->addresses().front();
    server_.emplace(std::move(*server));
    HttpClientOptions local;
    local.any_address = true;
    client_ = HttpClient(local);
  }
  static std::string text_of(const Result<HttpReply>& reply) {
    return reply ? std::to_string(reply->status) + " " + std::string(as_text(reply->body)) : reply.error().message;
  }
  static std::string number(HttpMethod method) { return std::to_string(static_cast<int>(method)); }

  std::string where_;
  std::string retry_after_;
  std::optional<HttpServer> server_;
  HttpClient client_;
};

TEST_F(HttpExchangeTest, SendsEveryMethodWithFields) {
  const std::vector<HttpHeader> key = {{"Idempotency-Key", "k 1"}, {"X-Empty", ""}};
  EXPECT_EQ(text_of(client_.get(where_ + "/a", key)), "200 " + number(HttpMethod::get) + " k 1  ");
  EXPECT_EQ(text_of(client_.post(where_ + "/a", "a/b", as_bytes("body"), key)),
            "200 " + number(HttpMethod::post) + " k 1 a/b body");
  EXPECT_EQ(text_of(client_.put(where_ + "/a", "a/b", as_bytes("body"), key)),
            "200 " + number(HttpMethod::put) + " k 1 a/b body");
  EXPECT_EQ(text_of(client_.del(where_ + "/a", key)), "204 ");
  EXPECT_EQ(text_of(client_.get(where_ + "/a")), "200 " + number(HttpMethod::get) + "   ");  // nothing is left over
  EXPECT_EQ(server_->counts().connections, 1u);
}

TEST_F(HttpExchangeTest, ReadsFieldsOfTheLastReply) {
  const auto first = client_.get(where_ + "/list");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->field("etag"), "\"7\"");
  EXPECT_EQ(first->field("X-None"), "");
  const auto again = client_.get(where_ + "/list", {{"If-None-Match", std::string(first->field("ETag"))}});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->status, 304);
  EXPECT_TRUE(again->body.empty());
  const auto moved = client_.get(where_ + "/move");
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->status, 200);
  EXPECT_EQ(moved->field("X-Mark"), "");
  EXPECT_EQ(client_.get(where_ + "/fields").error().kind, ErrorKind::limit);
}

TEST_F(HttpExchangeTest, AnIdentityIsNotShownElsewhere) {
  const TestAuthority authority("authority");
  TestCertificate own = authority.certify({.name = "terminal"});
  HttpClientOptions options;
  options.any_address = true;
  options.identity = std::make_shared<HttpIdentity>(HttpIdentity{own.pem, std::move(own.key)});
  const auto moved = HttpClient(options).get(where_ + "/move");
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->status, 303);
  EXPECT_EQ(moved->field("location"), "/list");
}

TEST_F(HttpExchangeTest, WhenToComeAgain) {
  using std::chrono::seconds;
  const std::vector<std::pair<const char*, int>> cases = {
      {"7", 7}, {"0", 0}, {"86400", 86400}, {"86401", 30}, {"", 30}, {"-1", 30}, {"Sun, 06 Nov 1994 08:49:37 GMT", 30},
  };
  for (const auto& [text, expected] : cases) {
    retry_after_ = text;
    const auto reply = client_.get(where_ + "/busy");
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->status, 503);
    EXPECT_EQ(reply->retry_after(seconds(30)), seconds(expected)) << text;
  }
}

TEST_F(HttpExchangeTest, FieldsCannotSmuggleLines) {
  const std::vector<HttpHeader> bad = {{"X-A", "b\r\nX-C: d"}, {"X-A\r\nX-B", "c"}, {"", "x"},
                                       {"X A", "x"},           {"X:", "x"},         {"X-A", std::string("a\0b", 3)}};
  for (const HttpHeader& one : bad) {
    EXPECT_EQ(client_.get(where_ + "/a", {one}).error().kind, ErrorKind::usage) << one.name;
  }
  EXPECT_EQ(server_->counts().requests, 0u);
}

}  // namespace
}  // namespace karta::service
