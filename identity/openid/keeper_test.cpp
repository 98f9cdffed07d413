// What the provider does by itself: neither of its threads waits for the other.
#include "identity/openid/keeper.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "identity/openid/openid_test.h"
#include "service/database_testing.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using testing::HasSubstr;
using testing::Not;

/// Portals' address where connections are taken by the kernel and nobody ever says a word.
class SilentPortals {
 public:
  SilentPortals() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(socket_, 64), 0);
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
  }
  ~SilentPortals() { close(); }
  std::string url(const std::string& path) const { return "https://127.0.0.1:" + std::to_string(port_) + path; }
  /// Waits until somebody has called.
  bool called() const {
    pollfd one{socket_, POLLIN, 0};
    return ::poll(&one, 1, 60'000) == 1;
  }
  /// From now on, whoever waits hears that there is nobody.
  void close() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
  }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

TEST_F(OpenidTest, TheKeeperDeletesWhatIsOverWhilePortalsKeepItsSenderWaiting) {
  // Each of them costs the sender seconds: it is at work for longer than a round of the other thread takes.
  constexpr int kPortals = 8;
  SilentPortals portals;
  config.logout_any_address = true;
  for (int i = 0; i < kPortals; ++i) {
    const std::string id = "silent-" + std::to_string(i);
    add_client(id, R"(,"scope":"openid profile","backchannel_logout_uri":")" + portals.url("/" + id) + "\"");
    ASSERT_EQ(token(code({}, id), {}, id).status, 200);
  }
  end_session("session-1");
  ASSERT_EQ(count("openid_logouts"), kPortals);

  auto keeper = must(OpenidKeeper::start(config, keys, service::test_database_url(folder / "registry.sqlite"), writes,
                                         clock, metrics));
  ASSERT_TRUE(portals.called());
  push();
  must(database->execute("UPDATE openid_requests SET expires_at = 1"));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (count("openid_requests") > 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(count("openid_requests"), 0);
  EXPECT_THAT(metrics.text(),
              Not(HasSubstr(R"(karta_openid_logouts_total{outcome="failed"} )" + std::to_string(kPortals))))
      << "the sender was through before: this says nothing";
  portals.close();
  keeper.reset();
}

}  // namespace
}  // namespace karta::identity
