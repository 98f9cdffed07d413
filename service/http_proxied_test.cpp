// Connections that a balancer passes on with a PROXY header.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <atomic>
#include <csignal>
#include <mutex>

#include "service/test_certificates.h"
#include "service/test_handler.h"
#include "service/test_socket.h"

namespace karta::service {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr const char* kBalancer = "127.0.0.9";

/// A header of version 1 for a client.
std::string line(const std::string& client) { return "PROXY TCP4 " + client + " 192.0.2.200 40000 443\r\n"; }

/// A header of version 2 for a client of IPv4, with `more` octets behind the addresses.
std::string binary(const std::string& client, std::size_t more = 0) {
  std::string out("\r\n\r\n\0\r\nQUIT\n\x21\x11", 14);
  out += {static_cast<char>((12 + more) >> 8), static_cast<char>(12 + more)};
  in_addr address{};
  EXPECT_EQ(inet_pton(AF_INET, client.c_str(), &address), 1);
  out.append(reinterpret_cast<const char*>(&address), 4);
  out += std::string("\xC0\x00\x02\xC8\x9C\x40\x01\xBB", 8);
  return out + std::string(more, '\x16');  // as if TLS began there
}

const std::string kOwn("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16);

class ProxiedTest : public testing::Test {
 protected:
  /// Answers with the address it sees. Believes 127.0.0.9 and 127.0.0.128/25.
  HttpServer start(HttpServerOptions options = {}) {
    options.listen = {"127.0.0.1:0"};
    for (const char* text : {kBalancer, "127.0.0.128/25"})
      options.proxy_protocol_from.push_back(*Network::from_text(text));
    options.on_bad_proxy_header = [this](std::string_view balancer, std::string_view reason) {
      const std::lock_guard lock(mutex_);
      told_.push_back(std::string(balancer) + ": " + std::string(reason));
    };
    auto server = start_server(std::move(options), [](const HttpRequest& request) {
      return HttpResponse::text(200, "for " + std::string(request.peer));
    });
    EXPECT_TRUE(server) << server.error().message;
    where_ = server->addresses().front();
    return std::move(*server);
  }
  TestSocket connect(const char* from = kBalancer) const { return TestSocket(where_, from); }
  std::vector<std::string> told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  /// What a connection that begins with `octets` is answered to a request.
  std::string ask(const std::string& octets, const char* from = kBalancer) const {
    TestSocket socket = connect(from);
    EXPECT_TRUE(socket.send(octets + std::string(kGet)));
    return socket.response();
  }

  std::string where_;
  std::mutex mutex_;
  std::vector<std::string> told_;
};

TEST_F(ProxiedTest, TheClientIsWhoTheBalancerSays) {
  const HttpServer server = start();
  EXPECT_THAT(ask(binary("192.0.2.1")), HasSubstr("for 192.0.2.1"));
  EXPECT_THAT(ask(line("192.0.2.2")), HasSubstr("for 192.0.2.2"));
  EXPECT_THAT(ask("PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n"), HasSubstr("for 2001:db8::1"));
  EXPECT_THAT(ask(binary("192.0.2.3"), "127.0.0.200"), HasSubstr("for 192.0.2.3")) << "a network of balancers";
  EXPECT_THAT(ask("", "127.0.0.8"), HasSubstr("for 127.0.0.8")) << "others come as they are";
  EXPECT_TRUE(told().empty());
}

TEST_F(ProxiedTest, TheAddressStaysForTheWholeConnection) {
  const HttpServer server = start();
  TestSocket socket = connect();
  ASSERT_TRUE(socket.send(binary("192.0.2.1") + std::string(kGet) + std::string(kGet)));
  EXPECT_THAT(socket.response(), HasSubstr("for 192.0.2.1"));
  EXPECT_THAT(socket.response(), HasSubstr("for 192.0.2.1"));
  // A second header is no HTTP.
  ASSERT_TRUE(socket.send(line("192.0.2.2") + std::string(kGet)));
  EXPECT_THAT(socket.response(), StartsWith("HTTP/1.1 400"));
}

// What anybody may connect from is nobody's to name another address.
TEST_F(ProxiedTest, AHeaderFromAnybodyElseIsNoHttp) {
  const HttpServer server = start();
  EXPECT_THAT(ask(line("192.0.2.1"), "127.0.0.8"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask(binary("192.0.2.1"), "127.0.0.127"), StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(server.counts().bad_requests, 2u);
  EXPECT_EQ(server.counts().bad_proxy_headers, 0u);
}

TEST_F(ProxiedTest, WithoutAHeaderABalancerIsNotServed) {
  const HttpServer server = start();
  const std::pair<std::string, const char*> wrong[] = {
      {"", "no PROXY header"},
      {"\x16\x03\x01", "no PROXY header"},
      {"PROXY TCP4 192.0.2.1\r\n", "addresses that are none"},
      {"PROXY UNKNOWN " + std::string(100, 'x'), "more than 107"},
      {std::string("\r\n\r\n\0\r\nQUIT\n\x31\x11\0\0", 16), "another version"},
      {std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0b", 16), "shorter than"},
  };
  for (const auto& [octets, why] : wrong) {
    TestSocket socket = connect();
    ASSERT_TRUE(socket.send(octets + std::string(kGet)));
    EXPECT_TRUE(socket.ends()) << why;
    EXPECT_EQ(socket.response(0), "") << why << ": not one octet of an answer";
    ASSERT_THAT(told(), testing::Not(testing::IsEmpty()));
    EXPECT_THAT(told().back(), HasSubstr(why));
    EXPECT_THAT(told().back(), StartsWith("127.0.0.9: "));
  }
  EXPECT_EQ(server.counts().bad_proxy_headers, std::size(wrong));
  EXPECT_EQ(server.counts().requests, 0u);
  EXPECT_TRUE(becomes_true([&] { return server.counts().open_connections == 0; }));
}

TEST_F(ProxiedTest, AHeaderMayComeOctetByOctet) {
  const HttpServer server = start();
  for (const std::string& header : {binary("192.0.2.1", 3), line("192.0.2.1")}) {
    TestSocket socket = connect();
    for (const char octet : header + std::string(kGet)) ASSERT_TRUE(socket.send({&octet, 1}));
    EXPECT_THAT(socket.response(), HasSubstr("for 192.0.2.1"));
  }
}

TEST_F(ProxiedTest, WhatFollowsTheAddressesIsSkippedHoweverLong) {
  const HttpServer server = start();
  for (const std::size_t more : {1u, 95u, 508u, 20'000u, 65'523u}) {
    EXPECT_THAT(ask(binary("192.0.2.1", more)), HasSubstr("for 192.0.2.1")) << more;
  }
}

TEST_F(ProxiedTest, WhoSendsHalfAHeaderAndGoesIsTold) {
  const HttpServer server = start();
  std::size_t count = 0;
  for (const std::string& header : {binary("192.0.2.1", 100), line("192.0.2.1")}) {
    for (const std::size_t size : {std::size_t{1}, std::size_t{14}, std::size_t{27}, header.size() - 1}) {
      TestSocket socket = connect();
      ASSERT_TRUE(socket.send(header.substr(0, size)));
      socket.end_sending();
      EXPECT_TRUE(socket.ends()) << size;
      ++count;
      EXPECT_EQ(server.counts().bad_proxy_headers, count) << size;
      EXPECT_THAT(told().back(), HasSubstr("ended within the header"));
    }
  }
}

TEST_F(ProxiedTest, WhoDawdlesOverAHeaderIsSentAway) {
  HttpServerOptions options;
  options.limits.proxy_header_time = std::chrono::seconds(2);
  const HttpServer server = start(std::move(options));
  TestSocket good = connect();
  ASSERT_TRUE(good.send(binary("192.0.2.1") + std::string(kGet)));
  EXPECT_THAT(good.response(), HasSubstr("for 192.0.2.1"));
  TestSocket own = connect();
  ASSERT_TRUE(own.send(kOwn));
  TestSocket slow = connect();
  ASSERT_TRUE(slow.send("PROXY TCP4 "));
  TestSocket endless = connect();
  ASSERT_TRUE(endless.send(binary("192.0.2.1", 60'000).substr(0, 1000)));
  TestSocket silent = connect();
  std::vector<TestSocket*> all{&slow, &silent, &endless, &own};
  for (TestSocket* one : all) EXPECT_TRUE(one->ends());
  // A balancer that tries the server and stays is no offender.
  EXPECT_EQ(server.counts().bad_proxy_headers, 3u);
  EXPECT_EQ(server.counts().timed_out, 3u);
  EXPECT_THAT(told(), testing::Each(HasSubstr("not whole in time")));
  ASSERT_TRUE(good.send(kGet));
  EXPECT_THAT(good.response(), HasSubstr("for 192.0.2.1")) << "once it is there, other limits count";
}

// Balancers try servers: by LOCAL; with version 1 in their own name; or by a connection without a word.
TEST_F(ProxiedTest, ABalancerMayTryTheServer) {
  const HttpServer server = start();
  for (const std::string& octets : {std::string(), kOwn, line(kBalancer)}) {
    TestSocket socket = connect();
    ASSERT_TRUE(socket.send(octets));
    socket.end_sending();
    EXPECT_TRUE(socket.ends());
  }
  EXPECT_THAT(ask(kOwn), HasSubstr("for 127.0.0.9")) << "its own requests are its own";
  EXPECT_THAT(ask(line(kBalancer)), HasSubstr("for 127.0.0.9"));
  EXPECT_EQ(server.counts().bad_proxy_headers, 0u);
  EXPECT_TRUE(told().empty());
}

TEST_F(ProxiedTest, AClientItCannotNameIsTheBalancers) {
  const HttpServer server = start();
  EXPECT_THAT(ask("PROXY UNKNOWN\r\n"), HasSubstr("for 127.0.0.9"));
  EXPECT_THAT(ask(std::string("\r\n\r\n\0\r\nQUIT\n\x21\0\0\0", 16)), HasSubstr("for 127.0.0.9"));
  EXPECT_THAT(ask(std::string("\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8", 16) + std::string(216, '/')),
              HasSubstr("for 127.0.0.9"));
}

TEST_F(ProxiedTest, LimitsAreTheClientsAndNotTheBalancers) {
  HttpServerOptions options;
  options.limits.connections_per_address = 2;
  const HttpServer server = start(std::move(options));
  std::vector<TestSocket> all;
  const auto comes_in = [&](const std::string& client) {
    all.push_back(connect());
    return all.back().send(binary(client) + std::string(kGet)) && all.back().response().starts_with("HTTP/1.1 200");
  };
  for (int client = 1; client <= 10; ++client) {
    EXPECT_TRUE(comes_in("192.0.2." + std::to_string(client)));
    EXPECT_TRUE(comes_in("192.0.2." + std::to_string(client))) << "ten have come from the balancer";
  }
  TestSocket third = connect();
  ASSERT_TRUE(third.send(binary("192.0.2.1") + std::string(kGet)));
  EXPECT_THAT(third.response(), testing::AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: ")));
  EXPECT_TRUE(third.ends());
  EXPECT_EQ(server.counts().refused_connections, 1u);
  // The same client by another way is the same client, and a place that is given up is free.
  TestSocket again = connect("127.0.0.200");
  ASSERT_TRUE(again.send(line("192.0.2.1") + std::string(kGet)));
  EXPECT_THAT(again.response(), StartsWith("HTTP/1.1 503"));
  const auto open = server.counts().open_connections;
  all.front().close();
  EXPECT_TRUE(becomes_true([&] { return server.counts().open_connections < open; }));
  EXPECT_TRUE(comes_in("192.0.2.1"));
}

TEST_F(ProxiedTest, RatesAreTheClientsToo) {
  HttpServerOptions options;
  options.limits.requests_per_second = 3;
  const HttpServer server = start(std::move(options));
  int served = 0, limited = 0;
  for (int i = 0; i < 10; ++i) {
    const std::string answer = ask(binary("192.0.2.1"));
    served += answer.starts_with("HTTP/1.1 200") ? 1 : 0;
    limited += answer.starts_with("HTTP/1.1 429") ? 1 : 0;
  }
  EXPECT_EQ(served + limited, 10);
  EXPECT_GE(limited, 1);
  EXPECT_THAT(ask(binary("192.0.2.2")), StartsWith("HTTP/1.1 200"));
}

TEST_F(ProxiedTest, ThoseThatWaitForTheirHeaderTakeHalfThePlaces) {
  HttpServerOptions options;
  options.limits.connections = 6;
  const HttpServer server = start(std::move(options));
  std::vector<TestSocket> waiting;
  for (int i = 0; i < 3; ++i) waiting.push_back(connect());
  ASSERT_TRUE(becomes_true([&] { return server.counts().open_connections == 3; }));
  TestSocket fourth = connect();
  EXPECT_THAT(fourth.response(), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(ask("", "127.0.0.8"), HasSubstr("for 127.0.0.8")) << "the other half is free for who comes by himself";
  // Each that has told its client makes room for the next.
  ASSERT_TRUE(waiting[0].send(binary("192.0.2.1") + std::string(kGet)));
  EXPECT_THAT(waiting[0].response(), HasSubstr("for 192.0.2.1"));
  EXPECT_THAT(ask(binary("192.0.2.2")), HasSubstr("for 192.0.2.2"));
  EXPECT_EQ(server.counts().refused_connections, 1u);
}

TEST_F(ProxiedTest, AServerThatStopsWaitsForNoHeader) {
  HttpServerOptions options;
  options.limits.proxy_header_time = options.limits.stop_time = std::chrono::hours(1);
  std::optional<HttpServer> server(start(std::move(options)));
  TestSocket silent = connect(), half = connect();
  ASSERT_TRUE(half.send("PROXY TCP4 "));
  ASSERT_TRUE(becomes_true([&] { return server->counts().open_connections == 2; }));
  server->stop();
  EXPECT_TRUE(silent.ends());
  EXPECT_TRUE(half.ends());
  EXPECT_EQ(server->counts().bad_proxy_headers, 0u);
}

/// A client of TLS behind a balancer: what it is answered, or nothing where there is no handshake.
std::string ask_by_tls(TestSocket& socket, const std::string& header) {
  std::signal(SIGPIPE, SIG_IGN);
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  SSL* const connection = SSL_new(context);
  BIO* const in = BIO_new(BIO_s_mem());
  BIO* const out = BIO_new(BIO_s_mem());
  SSL_set_bio(connection, in, out);
  SSL_set_connect_state(connection);
  SSL_do_handshake(connection);
  // Header and ClientHello in one piece: nothing of the second may be lost with the first.
  std::string pending = header;
  std::string answer;
  std::array<char, 4096> piece{};
  bool asked = false;
  for (int round = 0; round < 100 && answer.find("\r\n\r\n") == std::string::npos; ++round) {
    for (int size = 0; (size = BIO_read(out, piece.data(), piece.size())) > 0;)
      pending.append(piece.data(), static_cast<std::size_t>(size));
    if (!pending.empty() && !socket.send(pending)) break;
    pending.clear();
    const std::string arrived = socket.some();
    if (arrived.empty()) break;
    BIO_write(in, arrived.data(), static_cast<int>(arrived.size()));
    if (!SSL_is_init_finished(connection)) SSL_do_handshake(connection);
    if (SSL_is_init_finished(connection) && !asked)
      asked = SSL_write(connection, kGet.data(), static_cast<int>(kGet.size())) > 0;
    for (int size = 0; asked && (size = SSL_read(connection, piece.data(), piece.size())) > 0;)
      answer.append(piece.data(), static_cast<std::size_t>(size));
  }
  SSL_free(connection);
  SSL_CTX_free(context);
  return answer;
}

TEST_F(ProxiedTest, TlsBeginsBehindTheHeader) {
  const TestAuthority authority("CN=test");
  const TestCertificate own = authority.certify({.name = "server"});
  auto tls = std::make_shared<HttpTls>();
  tls->certificates_pem = own.pem;
  tls->private_key = own.key.clone();
  HttpServerOptions options;
  options.tls = tls;
  std::atomic<int> failed{0};
  std::string failed_peer;
  options.on_failed_handshake = [&](std::string_view peer, std::string_view) {
    failed_peer = peer;
    failed += 1;
  };
  const HttpServer server = start(std::move(options));
  const auto ask_tls = [&](const std::string& header, const char* from = kBalancer) {
    TestSocket socket = connect(from);
    return ask_by_tls(socket, header);
  };
  EXPECT_THAT(ask_tls("", "127.0.0.8"), HasSubstr("for 127.0.0.8"));
  EXPECT_THAT(ask_tls(binary("192.0.2.1")), HasSubstr("for 192.0.2.1"));
  EXPECT_THAT(ask_tls(binary("192.0.2.1", 30'000)), HasSubstr("for 192.0.2.1"));
  EXPECT_THAT(ask_tls(line("192.0.2.2")), HasSubstr("for 192.0.2.2"));
  EXPECT_THAT(ask_tls("PROXY UNKNOWN\r\n"), HasSubstr("for 127.0.0.9"));
  EXPECT_EQ(failed, 0);
  // A header from anybody else is no TLS; and the handshake of whom a balancer names fails in his name.
  EXPECT_EQ(ask_tls(binary("192.0.2.1"), "127.0.0.8"), "");
  EXPECT_TRUE(becomes_true([&] { return failed == 1; }));
  EXPECT_EQ(failed_peer, "127.0.0.8");
  TestSocket garbage = connect();
  ASSERT_TRUE(garbage.send(binary("192.0.2.3") + std::string(kGet)));
  EXPECT_TRUE(garbage.ends());
  EXPECT_TRUE(becomes_true([&] { return failed == 2; }));
  EXPECT_EQ(failed_peer, "192.0.2.3");
  // One that only tries whether somebody is there has failed at nothing.
  TestSocket trying = connect();
  ASSERT_TRUE(trying.send(kOwn));
  trying.end_sending();
  EXPECT_TRUE(trying.ends());
  EXPECT_EQ(server.counts().failed_handshakes, 2u);
  EXPECT_EQ(server.counts().bad_proxy_headers, 0u);
}

}  // namespace
}  // namespace karta::service
