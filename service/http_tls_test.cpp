// Both ends of mutual TLS, and what else the client sends and reads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "service/http_client.h"
#include "service/later_response.h"
#include "service/response_stream.h"
#include "service/test_certificates.h"
#include "service/test_handler.h"
#include "service/test_socket.h"

namespace karta::service {
namespace {

using testing::HasSubstr;

class HttpTlsTest : public testing::Test {
 protected:
  HttpServer start(ClientCertificates mode, const std::string& roots) {
    HttpServerOptions options;
    options.listen = {"127.0.0.1:0"};
    TestCertificate own = servers_.certify({.name = "server", .alternative_name = "IP:127.0.0.1"});
    auto tls = std::make_shared<HttpTls>();
    tls->certificates_pem = own.pem;
    tls->private_key = std::move(own.key);
    tls->client_certificates = mode;
    tls->client_roots_pem = roots;
    options.tls = tls;
    options.on_failed_handshake = [this](std::string_view peer, std::string_view reason) {
      const std::lock_guard lock(mutex_);
      reasons_ += std::string(peer) + ": " + std::string(reason) + "\n";
    };
    auto server = start_server(std::move(options), [this](const HttpRequest& request) {
      const std::lock_guard lock(mutex_);
      seen_ = to_bytes(request.client_certificate);
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

  TestAuthority servers_{"servers' authority"};
  TestAuthority terminals_{"terminals' authority"};
  TestAuthority others_{"somebody else's authority"};
  std::string where_;
  std::mutex mutex_;
  Bytes seen_;
  std::string reasons_;
};

TEST_F(HttpTlsTest, ClientsCertificatesAreAskedForAndVerified) {
  const TestCertificate good = terminals_.certify({.name = "terminal", .extended_key_usage = "clientAuth"});
  const TestCertificate unlimited = terminals_.certify({.name = "terminal without uses"});
  const TestCertificate expired = terminals_.certify({.name = "late", .not_before = -7200, .not_after = -60});
  const TestCertificate early = terminals_.certify({.name = "early", .not_before = 600});
  const TestCertificate foreign = others_.certify({.name = "terminal", .extended_key_usage = "clientAuth"});
  const TestCertificate server_only = terminals_.certify({.name = "server", .extended_key_usage = "serverAuth"});
  TestCertificate stolen = terminals_.certify({.name = "terminal"});
  stolen.key = others_.certify({.name = "thief"}).key;

  enum class Outcome : std::uint8_t { anonymous, known, refused };
  using enum Outcome;
  struct Case {
    const char* what;
    const TestCertificate* own;
    Outcome none, optional, required;
    const char* reason;
  };
  const std::vector<Case> cases = {
      {"good", &good, anonymous, known, known, ""},
      {"without limits to its use", &unlimited, anonymous, known, known, ""},
      {"missing", nullptr, anonymous, anonymous, refused, "peer did not return a certificate"},
      {"expired", &expired, anonymous, refused, refused, "certificate has expired"},
      {"early", &early, anonymous, refused, refused, "certificate is not yet valid"},
      {"foreign root", &foreign, anonymous, refused, refused, "unable to get local issuer certificate"},
      {"for servers", &server_only, anonymous, refused, refused, "purpose"},
  };
  for (const ClientCertificates mode :
       {ClientCertificates::none, ClientCertificates::optional, ClientCertificates::required}) {
    const HttpServer server = start(mode, terminals_.pem());
    for (const Case& one : cases) {
      SCOPED_TRACE(std::string(one.what) + ", mode " + std::to_string(static_cast<int>(mode)));
      const Outcome expected = mode == ClientCertificates::none       ? one.none
                               : mode == ClientCertificates::optional ? one.optional
                                                                      : one.required;
      {
        const std::lock_guard lock(mutex_);
        reasons_.clear();
        seen_ = {1};
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
