#include "service/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "service/http_client.h"
#include "service/test_socket.h"

namespace karta::service {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

/// A gate the test opens: a handler waits behind it, so that "in flight" is a fact and not a matter of luck.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return open_; });
  }
  void await_waiting() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(20), [&] { return waiting_ > 0; });
  }
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool open_ = false;
};

class Echo final : public HttpHandler {
 public:
  explicit Echo(std::string word, Gate* gate = nullptr) : word_(std::move(word)), gate_(gate) {}
  HttpResponse handle(const HttpRequest& request) override {
    if (request.path == "/throw") throw std::runtime_error("a fault");
    if (request.path == "/wait") gate_->pass();
    HttpResponse out;
    out.media_type = "text/plain";
    if (request.path == "/large") {
      out.shared_body = std::make_shared<const Bytes>(std::size_t{1} << 20, std::uint8_t{'x'});
      return out;
    }
    if (request.path == "/secret") {
      auto body = std::make_shared<const SecretBytes>(SecretBytes::copy_of(std::string_view("told once")));
      secret = body;
      out.secret_body = std::move(body);
      return out;
    }
    const std::string text = word_ + " " + std::string(request.path) + "?" + std::string(request.query) + " " +
                             std::string(request.field("x-test")) + " " + std::string(as_text(request.body));
    out.body = to_bytes(as_bytes(text));
    return out;
  }

  inline static std::weak_ptr<const SecretBytes> secret;  ///< told last

 private:
  std::string word_;
  Gate* gate_;
};

class HttpServerTest : public testing::Test {
 protected:
  HttpServer start(HttpLimits limits = {}, std::size_t workers = 1) {
    HttpServerOptions options;
    options.limits = limits;
    options.workers = workers;
    return start(std::move(options));
  }
  HttpServer start(HttpServerOptions options) {
    options.listen = {"127.0.0.1:0"};
    auto server = HttpServer::start(std::move(options), factory("first"));
    EXPECT_TRUE(server) << server.error().message;
    where_ = server->addresses().front();
    return std::move(*server);
  }
  HttpServer::HandlerFactory factory(std::string word) {
    return [this, word](std::size_t) -> Result<std::unique_ptr<HttpHandler>> {
      return std::make_unique<Echo>(word, &gate_);
    };
  }
  TestSocket connect(const char* from = nullptr) const { return TestSocket(where_, from); }

  Gate gate_;
  std::string where_;
};

constexpr std::string_view kGet = "GET /a?b HTTP/1.1\r\nHost: x\r\nX-Test: one\r\n\r\n";

// It is wiped when it goes, and goes when it is told: no copy of it stays with the connection.
TEST_F(HttpServerTest, ASecretBodyIsLetGoOfWithItsAnswer) {
  const HttpServer server = start();
  TestSocket socket = connect();
  ASSERT_TRUE(socket.send("GET /secret HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_THAT(socket.response(),
              testing::AllOf(HasSubstr("Content-Length: 9\r\n"), testing::EndsWith("\r\n\r\ntold once")));
  ASSERT_TRUE(socket.send(kGet));
  EXPECT_THAT(socket.response(), testing::Not(HasSubstr("told once")));
  EXPECT_TRUE(Echo::secret.expired());
}

TEST_F(HttpServerTest, KeepsTheConnectionAndAnswersPipelinedRequestsInOrder) {
  const HttpServer server = start();
  TestSocket socket = connect();
  ASSERT_TRUE(socket.send(kGet));
  const std::string first = socket.response();
  EXPECT_THAT(first, StartsWith("HTTP/1.1 200 OK\r\nDate: "));
  EXPECT_THAT(first, HasSubstr("first /a?b one "));
  EXPECT_THAT(first, testing::Not(HasSubstr("Connection: close")));
  ASSERT_TRUE(
      socket.send("POST /1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabcGET /2 HTTP/1.1\r\nHost: x\r\n\r\n"
                  "HEAD /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  EXPECT_THAT(socket.response(), HasSubstr("first /1?  abc"));
  EXPECT_THAT(socket.response(), HasSubstr("first /2"));
  // HEAD: as GET, without the body.
  EXPECT_TRUE(socket.ends());
  EXPECT_THAT(socket.response(), testing::AllOf(HasSubstr("Content-Length: 11"), testing::EndsWith("\r\n\r\n")));
  EXPECT_EQ(server.counts().requests, 4u);
}

TEST_F(HttpServerTest, ReadsRequestsHoweverTheyAreCut) {
  const HttpServer server = start();
  TestSocket socket = connect();
  for (const char c : kGet) ASSERT_TRUE(socket.send(std::string_view(&c, 1)));
  EXPECT_THAT(socket.response(), HasSubstr("first /a?b one"));
  ASSERT_TRUE(
      socket.send("POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"));
  EXPECT_THAT(socket.response(), HasSubstr("abcde"));
  ASSERT_TRUE(socket.send("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"));
  EXPECT_THAT(socket.response(), StartsWith("HTTP/1.1 100 Continue"));
  ASSERT_TRUE(socket.send("abc"));
  EXPECT_THAT(socket.response(), HasSubstr("first /e?  abc"));
}

TEST_F(HttpServerTest, RefusesWhatIsBrokenOrTooLarge) {
  const HttpServer server = start({.header_octets = 2048, .body_octets = 1000});
  struct Case {
    std::string request;
    const char* status;
  };
  const std::vector<Case> cases = {
      {"NONSENSE\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},                        // no Host
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},  // two
      {"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "400"},     // a proxy's form
      {"GET / HTTP/3.7\r\nHost: x\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", "413"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"},
      {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {"GET /" + std::string(3000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", "431"},
      {"GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(3000, 'a') + "\r\n\r\n", "431"},
  };
  for (const Case& one : cases) {
    TestSocket socket = connect();
    ASSERT_TRUE(socket.send(one.request));
    const std::string answer = socket.response();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + std::string(one.status))) << one.request.substr(0, 80);
    EXPECT_THAT(answer, HasSubstr("Connection: close"));
    EXPECT_TRUE(socket.ends());
  }
  EXPECT_EQ(server.counts().bad_requests, cases.size());
}

TEST_F(HttpServerTest, AFaultOfTheHandlerIsOneRequests) {
  const HttpServer server = start();
  TestSocket socket = connect();
  ASSERT_TRUE(socket.send("GET /throw HTTP/1.1\r\nHost: x\r\n\r\n"));
  EXPECT_THAT(socket.response(), StartsWith("HTTP/1.1 500"));
  ASSERT_TRUE(socket.send(kGet));
  EXPECT_THAT(socket.response(), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, SlowClientsLoseTheirConnectionAndHoldUpNobody) {
  const HttpServer server = start({.request_time = std::chrono::seconds(1), .idle_time = std::chrono::seconds(1)});
  std::vector<TestSocket> slow;
  for (int i = 0; i < 20; ++i) {
    slow.push_back(connect());
    ASSERT_TRUE(slow.back().send("GET / HTTP/1.1\r\nHost: x\r\nX-"));
  }
  TestSocket other = connect();
  ASSERT_TRUE(other.send(kGet));
  EXPECT_THAT(other.response(), StartsWith("HTTP/1.1 200"));
  for (TestSocket& one : slow) EXPECT_TRUE(one.ends());
  EXPECT_THAT(slow.front().response(), StartsWith("HTTP/1.1 408"));
  EXPECT_EQ(server.counts().timed_out, 20u);
  // One that is idle after its answer goes without a word, and is no offender.
  EXPECT_TRUE(other.ends());
  EXPECT_EQ(server.counts().timed_out, 20u);
}

TEST_F(HttpServerTest, AClientThatReadsNothingDoesNotKeepItsAnswer) {
  const HttpServer server = start({.answer_time = std::chrono::seconds(1)});
  TestSocket socket = connect();
  std::string many;
  for (int i = 0; i < 40; ++i) many += "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_TRUE(socket.send(many));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (server.counts().timed_out == 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(server.counts().timed_out, 1u);
  EXPECT_LT(server.counts().requests, 40u);
}

TEST_F(HttpServerTest, ConnectionsAreBoundedByAddressAndInAll) {
  const HttpServer server = start({.connections = 6, .connections_per_address = 4});
  std::vector<TestSocket> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(connect());
    ASSERT_TRUE(all.back().send(kGet));
    EXPECT_THAT(all.back().response(), StartsWith("HTTP/1.1 200"));
  }
  TestSocket fifth = connect();
  EXPECT_THAT(fifth.response(), testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: ")));
  EXPECT_TRUE(fifth.ends());
  // Another address is served still, up to the bound of all.
  for (int i = 0; i < 2; ++i) {
    all.push_back(connect("127.0.0.2"));
    ASSERT_TRUE(all.back().send(kGet));
    EXPECT_THAT(all.back().response(), StartsWith("HTTP/1.1 200"));
  }
  TestSocket last = connect("127.0.0.3");
  EXPECT_THAT(last.response(), StartsWith("HTTP/1.1 503"));
  EXPECT_EQ(server.counts().refused_connections, 2u);
}

// Every user of a machine comes from 127.0.0.1: one that takes all its connections leaves the others theirs.
TEST_F(HttpServerTest, AFullAddressLeavesRoomForEachOfItsUsers) {
  std::atomic<int> asked{0};
  std::string whose = "of one";
  HttpServerOptions options;
  options.limits = {.connections = 8, .connections_per_address = 2};
  options.room_of = [&](const TcpConnection& connection) {
    EXPECT_EQ(connection.peer_address, "127.0.0.1");
    asked += 1;
    return whose;
  };
  const HttpServer server = start(std::move(options));
  std::vector<TestSocket> all;
  const auto comes_in = [&] {
    all.push_back(connect());
    return all.back().send(kGet) && all.back().response().starts_with("HTTP/1.1 200");
  };
  EXPECT_TRUE(comes_in());
  EXPECT_TRUE(comes_in());
  EXPECT_EQ(asked, 0) << "nobody is looked up while there is room";
  EXPECT_TRUE(comes_in());
  EXPECT_TRUE(comes_in());
  EXPECT_FALSE(comes_in()) << "a room has as many as an address";
  whose = "of another";
  EXPECT_TRUE(comes_in());
  whose = "";
  EXPECT_FALSE(comes_in());
  EXPECT_EQ(server.counts().refused_connections, 2u);
}

TEST_F(HttpServerTest, RateIsBoundedByAddress) {
  const HttpServer server = start({.requests_per_second = 3});
  // Together: on a busy machine one after the other could take as long as they may.
  std::string many;
  for (int i = 0; i < 50; ++i) many += kGet;
  TestSocket socket = connect();
  ASSERT_TRUE(socket.send(many));
  int served = 0;
  std::string answer = socket.response();
  for (; answer.starts_with("HTTP/1.1 200"); answer = socket.response()) ++served;
  EXPECT_GE(served, 3);
  EXPECT_THAT(answer, testing::AllOf(StartsWith("HTTP/1.1 429"), HasSubstr("Retry-After: ")));
  TestSocket other = connect("127.0.0.2");
  ASSERT_TRUE(other.send(kGet));
  EXPECT_THAT(other.response(), StartsWith("HTTP/1.1 200"));
}

TEST_F(HttpServerTest, StopFinishesWhatHasArrived) {
  std::optional<HttpServer> server(start());
  TestSocket busy = connect(), idle = connect();
  ASSERT_TRUE(idle.send(kGet));
  EXPECT_THAT(idle.response(), StartsWith("HTTP/1.1 200"));
  ASSERT_TRUE(busy.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\nGET /behind HTTP/1.1\r\nHost: x\r\n\r\n"));
  gate_.await_waiting();
  std::thread stopper([&] { server->stop(); });
  gate_.open();
  EXPECT_THAT(busy.response(), HasSubstr("first /wait"));
  EXPECT_THAT(busy.response(), HasSubstr("first /behind"));
  stopper.join();
  EXPECT_TRUE(busy.ends());
  EXPECT_TRUE(idle.ends());
  EXPECT_FALSE(connect().connected());
}

TEST_F(HttpServerTest, HandlersAreReplacedWhileConnectionsStay) {
  HttpServer server = start({}, 2);
  TestSocket socket = connect();
  ASSERT_TRUE(socket.send(kGet));
  EXPECT_THAT(socket.response(), HasSubstr("first "));
  const auto failing = [](std::size_t) -> Result<std::unique_ptr<HttpHandler>> { return fail(ErrorKind::io, "no"); };
  EXPECT_FALSE(server.replace_handlers(failing));
  ASSERT_TRUE(socket.send(kGet));
  EXPECT_THAT(socket.response(), HasSubstr("first "));
  ASSERT_TRUE(server.replace_handlers(factory("second")));
  ASSERT_TRUE(socket.send(kGet));
  EXPECT_THAT(socket.response(), HasSubstr("second "));
}

TEST_F(HttpServerTest, PreparedHandlersTakeOverWhenToldAndNotBefore) {
  HttpServer server = start({}, 2);
  TestSocket socket = connect();
  const auto second = server.prepare_handlers(factory("second"));
  ASSERT_TRUE(second);
  {
    const auto never = server.prepare_handlers(factory("third"));
    ASSERT_TRUE(never);
  }
  ASSERT_TRUE(socket.send(kGet));
  EXPECT_THAT(socket.response(), HasSubstr("first "));
  (*second)();
  ASSERT_TRUE(socket.send(kGet));
  EXPECT_THAT(socket.response(), HasSubstr("second "));
}

TEST_F(HttpServerTest, AddressesAreChecked) {
  const HttpServer server = start();
  const auto error_of = [&](std::string listen) {
    HttpServerOptions options;
    options.listen = {std::move(listen)};
    auto other = HttpServer::start(std::move(options), factory("x"));
    return other ? ErrorKind::internal : other.error().kind;
  };
  EXPECT_EQ(error_of(where_), ErrorKind::already_exists);
  for (const char* text :
       {"", "127.0.0.1", "localhost:80", "127.0.0.1:99999", "::1:80", "127.0.0.1:x", "unix:relative"}) {
    EXPECT_EQ(error_of(text), ErrorKind::configuration) << text;
  }
  EXPECT_EQ(error_of("192.0.2.1:80"), ErrorKind::io);  // not an address of this machine
}

TEST_F(HttpServerTest, SpeaksOverALocalSocket) {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("karta-http-" + std::to_string(getpid()))).string();
  for (int i = 0; i < 2; ++i) {  // the second time over the file of the first
    HttpServerOptions options;
    options.listen = {"unix:" + path};
    auto server = HttpServer::start(std::move(options), factory("local"));
    ASSERT_TRUE(server) << server.error().message;
    EXPECT_TRUE(std::filesystem::is_socket(path));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
}

TEST(HttpMessage, TextsAreReadStrictly) {
  EXPECT_EQ(decode_percent("a%2Fb%2b").value(), "a/b+");
  for (const char* text : {"%", "%2", "%zz", "a%"}) EXPECT_FALSE(decode_percent(text)) << text;
  EXPECT_EQ(http_date(784111777), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
}

class HttpClientTest : public HttpServerTest {
 protected:
  static HttpClientOptions local() {
    HttpClientOptions options;
    options.any_address = true;
    return options;
  }
};

TEST_F(HttpClientTest, GetsAndPosts) {
  const HttpServer server = start();
  HttpClient client(local());
  const auto got = client.get("http://" + where_ + "/x?y");
  ASSERT_TRUE(got) << got.error().message;
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->media_type, "text/plain");
  EXPECT_EQ(as_text(got->body), "first /x?y  ");
  const auto posted = client.post("http://" + where_ + "/p", "application/x", as_bytes("octets"));
  ASSERT_TRUE(posted);
  EXPECT_EQ(as_text(posted->body), "first /p?  octets");
  EXPECT_EQ(server.counts().connections, 1u);  // kept
}

TEST_F(HttpClientTest, RefusesPrivateAddressesUnlessTold) {
  const HttpServer server = start();
  HttpClient client;
  EXPECT_EQ(client.get("http://" + where_ + "/").error().kind, ErrorKind::not_permitted);
  const std::string port = where_.substr(where_.rfind(':'));
  EXPECT_EQ(client.get("http://localhost" + port + "/").error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(client.get("http://[::ffff:127.0.0.1]" + port + "/").error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(server.counts().connections, 0u);
}

TEST_F(HttpClientTest, TakesHttpAndHttpsOnly) {
  HttpClient client(local());
  for (const char* url : {"", "file:///etc/passwd", "ftp://x/", "ldap://x/", "http:/x", "gopher://x", "http://a b/",
                          "http://user:secret@x/", "http://user@x/"}) {
    EXPECT_EQ(client.get(url).error().kind, ErrorKind::usage) << url;
  }
}

TEST_F(HttpClientTest, BoundsSizeAndTime) {
  const HttpServer server = start({}, 2);
  HttpClientOptions options = local();
  options.most_octets = 1000;
  options.total_time = std::chrono::seconds(1);
  HttpClient client(options);
  EXPECT_EQ(client.get("http://" + where_ + "/large").error().kind, ErrorKind::limit);
  EXPECT_EQ(client.get("http://" + where_ + "/wait").error().kind, ErrorKind::io);
  gate_.open();
}

}  // namespace
}  // namespace karta::service
