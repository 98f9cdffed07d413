#include "service/later_response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <mutex>
#include <thread>

#include "service/response_stream.h"
#include "service/test_handler.h"
#include "service/test_socket.h"

namespace karta::service {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string get(std::string_view path) { return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n"; }

/// Promises and streams that the handler gave away, for the test to keep its own time with.
class Kept {
 public:
  HttpResponse handle(const HttpRequest& request) {
    if (request.path.starts_with("/later")) {
      auto promise = std::make_shared<LaterResponse>();
      const std::lock_guard lock(mutex_);
      promises_.push_back(promise);
      return HttpResponse::later(promise);
    }
    if (request.path == "/stream") {
      auto stream = std::make_shared<ResponseStream>(64 * 1024);
      HttpResponse out = HttpResponse::stream(stream, "text/event-stream");
      out.fields = "Cache-Control: no-store\r\n";
      const std::lock_guard lock(mutex_);
      streams_.push_back(stream);
      return out;
    }
    if (request.path == "/early") {
      const auto promise = std::make_shared<LaterResponse>();
      promise->send(HttpResponse::text(200, "early"));
      return HttpResponse::later(promise);
    }
    if (request.path == "/nested") {
      const auto inner = std::make_shared<LaterResponse>();
      const auto outer = std::make_shared<LaterResponse>();
      outer->send(HttpResponse::later(inner));
      return HttpResponse::later(outer);
    }
    if (request.path == "/dropped") return HttpResponse::later(std::make_shared<LaterResponse>());
    return HttpResponse::text(200, "now " + std::string(request.path));
  }
  template <class T>
  std::shared_ptr<T> take(std::deque<std::shared_ptr<T>>& from) {
    std::shared_ptr<T> out;
    const bool there = becomes_true([&] {
      const std::lock_guard lock(mutex_);
      if (from.empty()) return false;
      out = from.front();
      from.pop_front();
      return true;
    });
    EXPECT_TRUE(there) << "no request reached the handler";
    return out != nullptr ? out : std::make_shared<T>();
  }
  std::shared_ptr<LaterResponse> promise() { return take(promises_); }
  std::shared_ptr<ResponseStream> stream() { return take(streams_); }

 private:
  std::mutex mutex_;
  std::deque<std::shared_ptr<LaterResponse>> promises_;
  std::deque<std::shared_ptr<ResponseStream>> streams_;
};

class LaterResponseTest : public testing::Test {
 protected:
  HttpServer start(HttpLimits limits = {}) {
    HttpServerOptions options;
    options.listen = {"127.0.0.1:0"};
    options.limits = limits;
    options.workers = 2;
    auto server =
        start_server(std::move(options), [this](const HttpRequest& request) { return kept_.handle(request); });
    EXPECT_TRUE(server) << server.error().message;
    where_ = server->addresses().front();
    return std::move(*server);
  }
  TestSocket asked(std::string_view path) const {
    TestSocket socket(where_);
    EXPECT_TRUE(socket.send(get(path)));
    return socket;
  }

  Kept kept_;
  std::string where_;
};

TEST_F(LaterResponseTest, IsGivenByAnotherThread) {
  const HttpServer server = start();
  TestSocket socket = asked("/later");
  const auto promise = kept_.promise();
  EXPECT_FALSE(promise->gone());
  // The handler gives it away before the server counts it.
  EXPECT_TRUE(becomes_true([&] { return server.counts().open_later == 1; }));
  bool sent = false, again = true;
  std::thread([&] {
    sent = promise->send(HttpResponse::text(201, "late"));
    again = promise->send(HttpResponse::text(200, "twice"));
  }).join();
  EXPECT_TRUE(sent);
  EXPECT_FALSE(again);
  EXPECT_THAT(socket.response(), testing::AllOf(StartsWith("HTTP/1.1 201 Created"), HasSubstr("late")));
  EXPECT_EQ(server.counts().open_later, 0u);
  // The connection lives on.
  ASSERT_TRUE(socket.send(get("/a")));
  EXPECT_THAT(socket.response(), HasSubstr("now /a"));
  EXPECT_EQ(server.counts().connections, 1u);
}

TEST_F(LaterResponseTest, MayComeBeforeTheHandlerReturns) {
  const HttpServer server = start();
  EXPECT_THAT(asked("/early").response(), HasSubstr("early"));
}

TEST_F(LaterResponseTest, UnansweredOrAnsweredByAnotherPromiseIs500) {
  const HttpServer server = start();
  EXPECT_THAT(asked("/dropped").response(), StartsWith("HTTP/1.1 500"));
  EXPECT_THAT(asked("/nested").response(), StartsWith("HTTP/1.1 500"));
  TestSocket socket = asked("/later");
  kept_.promise().reset();
  EXPECT_THAT(socket.response(), StartsWith("HTTP/1.1 500"));
}

TEST_F(LaterResponseTest, PipelinedRequestsKeepTheirOrder) {
  const HttpServer server = start();
  struct Case {
    std::string together;  // sent with the first request
    std::string after;     // sent while its answer is awaited
  };
  const std::vector<Case> cases = {
      {get("/1") + get("/2"), ""},
      {"", get("/1") + get("/2")},
      {get("/1"), get("/2")},
      {get("/1").substr(0, 9), get("/1").substr(9) + get("/2")},
      {get("/1") + get("/2").substr(0, 20), get("/2").substr(20)},
  };
  for (const Case& one : cases) {
    TestSocket socket(where_);
    ASSERT_TRUE(socket.send(get("/later") + one.together));
    const auto promise = kept_.promise();
    ASSERT_TRUE(socket.send(one.after));
    EXPECT_TRUE(promise->send(HttpResponse::text(200, "late")));
    EXPECT_THAT(socket.response(), HasSubstr("late"));
    EXPECT_THAT(socket.response(), HasSubstr("now /1"));
    EXPECT_THAT(socket.response(), HasSubstr("now /2"));
  }
  // Later ones behind each other, and more requests than are read ahead.
  TestSocket socket(where_);
  std::string many;
  for (int i = 0; i < 2000; ++i) many += get("/" + std::to_string(i));
  std::thread sender([&] { EXPECT_TRUE(socket.send(get("/later1") + get("/later2") + many)); });
  kept_.promise()->send(HttpResponse::text(200, "first"));
  EXPECT_THAT(socket.response(), HasSubstr("first"));
  kept_.promise()->send(HttpResponse::text(200, "second"));
  EXPECT_THAT(socket.response(), HasSubstr("second"));
  for (int i = 0; i < 2000; ++i) ASSERT_THAT(socket.response(), HasSubstr("now /" + std::to_string(i) + "\n"));
  sender.join();
}

TEST_F(LaterResponseTest, TellsThatTheClientLeft) {
  const HttpServer server = start();
  TestSocket socket = asked("/later");
  const auto promise = kept_.promise();
  std::atomic<int> told{0};
  promise->on_gone([&] { ++told; });
  socket.close();
  EXPECT_TRUE(becomes_true([&] { return told == 1; }));
  EXPECT_TRUE(promise->gone());
  EXPECT_FALSE(promise->send(HttpResponse::text(200, "to nobody")));
  promise->on_gone([&] { ++told; });  // at once
  EXPECT_EQ(told, 2);
  EXPECT_TRUE(becomes_true([&] { return server.counts().open_connections == 0; }));
  EXPECT_EQ(server.counts().open_later, 0u);
}

TEST_F(LaterResponseTest, AnAnswerTakenIsNoLoss) {
  const HttpServer server = start();
  TestSocket socket = asked("/later");
  const auto promise = kept_.promise();
  std::atomic<int> told{0};
  promise->on_gone([&] { ++told; });
  EXPECT_TRUE(promise->send(HttpResponse::text(200, "taken")));
  EXPECT_THAT(socket.response(), HasSubstr("taken"));
  socket.close();
  EXPECT_TRUE(becomes_true([&] { return server.counts().open_connections == 0; }));
  EXPECT_EQ(told, 0);
}

TEST_F(LaterResponseTest, IsAwaitedForItsTimeOnly) {
  const HttpServer server = start({.later_time = std::chrono::seconds(1)});
  TestSocket socket = asked("/later");
  const auto promise = kept_.promise();
  const std::string answer = socket.response();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 504"));
  EXPECT_TRUE(promise->gone());
  EXPECT_TRUE(socket.ends());
  EXPECT_EQ(server.counts().open_later, 0u);
}

TEST_F(LaterResponseTest, SlowHandlersDoNotTripTheTimesOfRequests) {
  const HttpServer server = start({.request_time = std::chrono::seconds(1),
                                   .answer_time = std::chrono::seconds(1),
                                   .idle_time = std::chrono::seconds(1),
                                   .later_time = std::chrono::seconds(60)});
  TestSocket socket = asked("/later");
  const auto promise = kept_.promise();
  TestSocket idle(where_);
  ASSERT_TRUE(idle.send(get("/x")));
  EXPECT_TRUE(idle.ends());  // the idle one is gone, by which the waiting one's other times are over too
  EXPECT_TRUE(promise->send(HttpResponse::text(200, "late")));
  EXPECT_THAT(socket.response(), HasSubstr("late"));
}

TEST_F(LaterResponseTest, AsManyAreOpenAsMayBe) {
  const HttpServer server = start({.later_responses = 2});
  TestSocket first = asked("/later"), second = asked("/later");
  const auto one = kept_.promise(), two = kept_.promise();
  TestSocket third = asked("/later");
  EXPECT_THAT(third.response(), testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: ")));
  EXPECT_TRUE(kept_.promise()->gone());
  one->send(HttpResponse::text(200, "one"));
  two->send(HttpResponse::text(200, "two"));
  EXPECT_THAT(first.response() + second.response(), testing::AllOf(HasSubstr("one"), HasSubstr("two")));
  ASSERT_TRUE(third.send(get("/later")));
  kept_.promise()->send(HttpResponse::text(200, "three"));
  EXPECT_THAT(third.response(), HasSubstr("three"));
}

TEST_F(LaterResponseTest, StopWaitsForIt) {
  std::optional<HttpServer> server(start());
  TestSocket socket = asked("/later");
  const auto promise = kept_.promise();
  std::thread stopper([&] { server->stop(); });
  EXPECT_TRUE(becomes_true([&] { return !TestSocket(where_).connected(); }));
  EXPECT_TRUE(promise->send(HttpResponse::text(200, "in the end")));
  EXPECT_THAT(socket.response(), testing::AllOf(HasSubstr("in the end"), HasSubstr("Connection: close")));
  stopper.join();
}

TEST_F(LaterResponseTest, StopDoesNotWaitForEver) {
  std::shared_ptr<LaterResponse> promise, other;
  std::shared_ptr<ResponseStream> stream;
  std::atomic<int> told{0};
  {
    std::optional<HttpServer> server(start({.stop_time = std::chrono::seconds(0)}));
    TestSocket socket = asked("/later"), second = asked("/later"), third = asked("/stream");
    promise = kept_.promise();
    other = kept_.promise();
    stream = kept_.stream();
    promise->on_gone([&] { ++told; });
    server->stop();
    EXPECT_TRUE(promise->gone());
    EXPECT_EQ(told, 1);
  }
  // The server is no more; those who hold promises of it may use them still.
  EXPECT_FALSE(promise->send(HttpResponse::text(200, "late")));
  EXPECT_FALSE(other->send(HttpResponse::text(200, "late")));
  EXPECT_FALSE(stream->write("late"));
}

TEST_F(LaterResponseTest, ServersGoWhileOthersAnswer) {
  for (int round = 0; round < 50; ++round) {
    std::vector<std::shared_ptr<LaterResponse>> promises;
    std::thread answering;
    {
      std::optional<HttpServer> server(start({.stop_time = std::chrono::seconds(0)}));
      std::vector<TestSocket> sockets;
      for (int i = 0; i < 8; ++i) sockets.push_back(asked("/later"));
      for (int i = 0; i < 8; ++i) promises.push_back(kept_.promise());
      answering = std::thread([&] {
        for (const auto& one : promises) one->send(HttpResponse::text(200, "x"));
      });
      if (round % 2 == 0) server->stop();
    }
    answering.join();
  }
}

using ResponseStreamTest = LaterResponseTest;

TEST_F(ResponseStreamTest, ArrivesAsItIsWrittenAndTheConnectionLivesOn) {
  const HttpServer server = start();
  TestSocket socket = asked("/stream");
  const auto stream = kept_.stream();
  const std::string head = socket.until("\r\n\r\n");
  EXPECT_THAT(head, testing::AllOf(StartsWith("HTTP/1.1 200 OK"), HasSubstr("Content-Type: text/event-stream\r\n"),
                                   HasSubstr("Cache-Control: no-store\r\n"), HasSubstr("Transfer-Encoding: chunked"),
                                   testing::Not(HasSubstr("Content-Length"))));
  EXPECT_TRUE(stream->write("id: 1\ndata: card-in\n\n"));
  EXPECT_EQ(socket.until("card-in\n\n\r\n"), "15\r\nid: 1\ndata: card-in\n\n\r\n");
  EXPECT_TRUE(stream->write(""));  // writes nothing, least of all an end
  EXPECT_TRUE(stream->write("second"));
  EXPECT_EQ(socket.until("second\r\n"), "6\r\nsecond\r\n");
  EXPECT_EQ(server.counts().open_streams, 1u);
  EXPECT_TRUE(stream->write("last"));
  stream->close();
  EXPECT_FALSE(stream->write("after the end"));
  EXPECT_EQ(socket.until("0\r\n\r\n"), "4\r\nlast\r\n0\r\n\r\n");
  ASSERT_TRUE(socket.send(get("/a")));
  EXPECT_THAT(socket.response(), HasSubstr("now /a"));
  EXPECT_EQ(server.counts().open_streams, 0u);
}

TEST_F(ResponseStreamTest, OldClientsGetItToTheEndOfTheConnection) {
  const HttpServer server = start();
  TestSocket socket(where_);
  ASSERT_TRUE(socket.send("GET /stream HTTP/1.0\r\n\r\n"));
  const auto stream = kept_.stream();
  stream->write("plain");
  stream->close();
  EXPECT_TRUE(socket.ends());
  EXPECT_THAT(socket.until("plain"),
              testing::AllOf(HasSubstr("Connection: close\r\n\r\nplain"), testing::Not(HasSubstr("chunked"))));
}

TEST_F(ResponseStreamTest, HeadIsTheHeadAlone) {
  const HttpServer server = start();
  TestSocket socket(where_);
  ASSERT_TRUE(socket.send("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n" + get("/a")));
  const auto stream = kept_.stream();
  EXPECT_THAT(socket.until("\r\n\r\n"), HasSubstr("text/event-stream"));
  EXPECT_THAT(socket.response(), testing::AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("now /a")));
  EXPECT_TRUE(stream->gone());
}

TEST_F(ResponseStreamTest, ASlowReaderIsCutAndMissesNothingInSilence) {
  const HttpServer server = start();
  TestSocket slow = asked("/stream");
  const auto stream = kept_.stream();
  TestSocket quick = asked("/stream");
  const auto other = kept_.stream();
  std::atomic<bool> told{false};
  stream->on_gone([&] { told = true; });
  // It reads nothing: the kernel's buffers fill, then ours, and that is the end.
  const std::string piece(16 * 1024, 'x');
  bool refused = false;
  for (int i = 0; i < 100'000 && !refused; ++i) refused = !stream->write(piece);
  EXPECT_TRUE(refused);
  EXPECT_FALSE(stream->write("y"));
  EXPECT_FALSE(told && !stream->gone());
  // Others are served meanwhile.
  EXPECT_TRUE(other->write("quick"));
  EXPECT_THAT(quick.until("quick\r\n"), HasSubstr("5\r\nquick\r\n"));
  // What it finds when it reads at last ends without the mark of an end.
  EXPECT_TRUE(slow.ends());
  EXPECT_THAT(slow.until("0\r\n\r\n"), testing::Not(testing::EndsWith("0\r\n\r\n")));
  EXPECT_TRUE(becomes_true([&] { return told.load(); }));
}

TEST_F(ResponseStreamTest, AReaderThatStallsIsCutWhenItsTimeIsOver) {
  const HttpServer server = start({.answer_time = std::chrono::seconds(1)});
  TestSocket slow = asked("/stream");
  const auto stream = kept_.stream();
  EXPECT_TRUE(becomes_true([&] {
    stream->write(std::string(32 * 1024, 'x'));
    return stream->gone();
  }));
  EXPECT_TRUE(becomes_true([&] { return server.counts().open_streams == 0; }));
}

TEST_F(ResponseStreamTest, TellsThatTheClientLeft) {
  const HttpServer server = start();
  TestSocket socket = asked("/stream");
  const auto stream = kept_.stream();
  std::atomic<int> told{0};
  stream->on_gone([&] { ++told; });
  socket.close();
  EXPECT_TRUE(becomes_true([&] { return told == 1; }));
  EXPECT_FALSE(stream->write("x"));
  EXPECT_TRUE(becomes_true([&] { return server.counts().open_connections == 0; }));
}

TEST_F(ResponseStreamTest, AsManyAreOpenAsMayBe) {
  const HttpServer server = start({.streams = 1});
  TestSocket first = asked("/stream");
  const auto stream = kept_.stream();
  TestSocket second = asked("/stream");
  EXPECT_THAT(second.response(), StartsWith("HTTP/1.1 503"));
  EXPECT_TRUE(kept_.stream()->gone());
}

TEST_F(ResponseStreamTest, StopEndsIt) {
  std::optional<HttpServer> server(start());
  TestSocket socket = asked("/stream");
  const auto stream = kept_.stream();
  EXPECT_TRUE(stream->write("last words"));
  std::thread stopper([&] { server->stop(); });
  EXPECT_THAT(socket.until("0\r\n\r\n"), HasSubstr("last words\r\n0\r\n\r\n"));
  EXPECT_TRUE(socket.ends());
  stopper.join();
  EXPECT_TRUE(stream->gone());
}

TEST_F(ResponseStreamTest, ManyThreadsWriteToMany) {
  const HttpServer server = start();
  constexpr int kThreads = 4, kPieces = 500;
  TestSocket socket = asked("/stream");
  const auto stream = kept_.stream();
  std::vector<std::thread> threads;
  std::string all;
  std::thread reader([&] { all = socket.until("0\r\n\r\n"); });
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int k = 0; k < kPieces; ++k) stream->write("[" + std::to_string(i) + "." + std::to_string(k) + "]");
    });
  }
  for (std::thread& one : threads) one.join();
  stream->close();
  reader.join();
  // Without the chunks' own lines each thread's pieces are all there, in order.
  std::string body;
  std::size_t at = all.find("\r\n\r\n") + 4;
  while (at < all.size()) {
    const std::size_t line = all.find("\r\n", at);
    ASSERT_NE(line, std::string::npos);
    const std::size_t size = std::stoul(all.substr(at, line - at), nullptr, 16);
    body += all.substr(line + 2, size);
    at = line + 2 + size + 2;
  }
  for (int i = 0; i < kThreads; ++i) {
    std::size_t from = 0;
    for (int k = 0; k < kPieces; ++k) {
      from = body.find("[" + std::to_string(i) + "." + std::to_string(k) + "]", from);
      ASSERT_NE(from, std::string::npos) << i << "." << k;
    }
  }
}

}  // namespace
}  // namespace karta::service
