#include "service/tcp_peer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "service/http_client.h"
#include "service/http_server.h"

namespace karta::service {
namespace {

constexpr std::string_view kTable =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    "   0: 0100007F:2117 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 11 1 0 100 0 0 10 0\n"
    "   1: 0100007F:2117 0100007F:C001 01 00000000:00000000 00:00000000 00000000  1000        0 12 1 0 20 4 30 10 -1\n"
    "   2: 0100007F:C001 0100007F:2117 01 00000000:00000000 00:00000000 00000000  1001        0 13 1 0 20 4 30 10 -1\n"
    "   3: 0100007F:C002 0100007F:2117 06 00000000:00000000 03:00000800 00000000     0        0 0 3 0\n";

TEST(TcpPeer, TheOwnerOfTheCallersEndIsNamed) {
  EXPECT_EQ(find_peer_uid(kTable, {"127.0.0.1", 0xC001, "127.0.0.1", 0x2117}), 1001u);
  // Ports the other way round, another port, a connection that has ended, no address.
  EXPECT_EQ(find_peer_uid(kTable, {"127.0.0.1", 0x2117, "127.0.0.1", 0xC001}), 1000u);
  EXPECT_FALSE(find_peer_uid(kTable, {"127.0.0.1", 0xC003, "127.0.0.1", 0x2117}));
  EXPECT_FALSE(find_peer_uid(kTable, {"127.0.0.1", 0xC002, "127.0.0.1", 0x2117}));
  EXPECT_FALSE(find_peer_uid(kTable, {"127.0.0.2", 0xC001, "127.0.0.1", 0x2117}));
  EXPECT_FALSE(find_peer_uid(kTable, {"nowhere", 0xC001, "127.0.0.1", 0x2117}));
  EXPECT_FALSE(find_peer_uid(kTable.substr(0, kTable.size() / 3), {"127.0.0.1", 0xC001, "127.0.0.1", 0x2117}));
}

TEST(TcpPeer, Ipv6AndMappedAddressesAreFound) {
  constexpr std::string_view v6 =
      "head\n 0: 00000000000000000000000001000000:C001 00000000000000000000000001000000:2117 01 0:0 0:0 0  7 0 1\n"
      " 1: 0000000000000000FFFF00000100007F:C002 0000000000000000FFFF00000100007F:2117 01 0:0 0:0 0  8 0 1\n";
  EXPECT_EQ(find_peer_uid(v6, {"::1", 0xC001, "::1", 0x2117}), 7u);
  EXPECT_EQ(find_peer_uid(v6, {"127.0.0.1", 0xC002, "127.0.0.1", 0x2117}, true), 8u);
  EXPECT_FALSE(find_peer_uid(v6, {"127.0.0.1", 0xC002, "127.0.0.1", 0x2117}));
}

TEST(TcpPeer, AServerSeesItsOwnUserAndTurnsOthersAway) {
  struct Greeter final : HttpHandler {
    HttpResponse handle(const HttpRequest&) override { return HttpResponse::text(200, "hello"); }
  };
  const auto make = [](std::size_t) -> Result<std::unique_ptr<HttpHandler>> { return std::make_unique<Greeter>(); };
  HttpServerOptions options;
  options.listen = {"127.0.0.1:0"};
  options.admit = is_own_user;
  auto own = HttpServer::start(options, make);
  ASSERT_TRUE(own);
  HttpClient client({.any_address = true});
  const auto reply = client.get("http://" + own->addresses().front() + "/");
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->status, 200);

  std::string room;
  options.admit = [&](const TcpConnection& connection) {
    room = room_of_user(connection);
    return true;
  };
  auto asking = HttpServer::start(options, make);
  ASSERT_TRUE(asking);
  ASSERT_TRUE(client.get("http://" + asking->addresses().front() + "/"));
  EXPECT_EQ(room, "uid " + std::to_string(::geteuid()));
  EXPECT_EQ(room_of_user({"127.0.0.1", 1, "127.0.0.1", 2}), "");

  // The same question with another answer: the connection is closed before a request is read.
  options.admit = [](const TcpConnection& connection) { return uid_of_peer(connection) == 4'000'000'000u; };
  auto others = HttpServer::start(options, make);
  ASSERT_TRUE(others);
  EXPECT_FALSE(client.get("http://" + others->addresses().front() + "/"));
  EXPECT_EQ(others->counts().refused_connections, 1u);
  EXPECT_EQ(others->counts().requests, 0u);
}

}  // namespace
}  // namespace karta::service
