// The addresses kartad listens at: whoever comes by any of them is counted, and a reload opens none to others.
#include <gmock/gmock.h>

#include "daemon/citizen/citizen_mode.h"
#include "service/test_socket.h"
#include "tests/kartad/daemon_fixture.h"

namespace karta::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class DoorsTest : public ::testing::Test {
 protected:
  DoorsTest() { kartad.modes.push_back({"citizen", daemon::read_citizen, true}); }
  void write_citizen_config() {
    kartad.folder.write("kartad.toml",
                        "schema = \"karta.kartad/1\"\nstate = \"state\"\n[server]\nlisten = [\"127.0.0.1:0\"]\n"
                        "[citizen]\n[[citizen.provider]]\nissuer = \"https://id.example\"\nroots = [\"root.der\"]\n");
  }
  /// Waits until /metrics shows as many connections open, the one that asks perhaps among them; it is measured once a
  /// second.
  testing::AssertionResult open_connections_are(std::size_t count) {
    const std::string name = "\nkartad_connections_open ";
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    std::string text;
    do {
      text = kartad.get("/metrics").text;
      const std::size_t at = text.find(name);
      const std::size_t found = at == std::string::npos ? 0 : std::stoul(text.substr(at + name.size()));
      if (found == count || found == count + 1) return testing::AssertionSuccess();
    } while (std::chrono::steady_clock::now() < deadline);
    return testing::AssertionFailure() << "not " << count << " connections:\n" << text;
  }

  TestDaemon kartad;
};

TEST_F(DoorsTest, ConnectionsAtEachAddressAreCounted) {
  const std::string local = "unix:" + (kartad.folder / "door").string();
  const Bytes text = kartad.folder.read("kartad.toml");
  std::string toml(as_text(text));
  const std::string one = "listen = [\"127.0.0.1:0\"]";
  toml.replace(toml.find(one), one.size(), "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\", \"" + local + "\"]");
  kartad.folder.write("kartad.toml", toml);
  const Status started = kartad.start();
  ASSERT_TRUE(started) << started.error().message;
  const std::vector<std::string> doors = kartad.running().addresses();
  ASSERT_EQ(doors.size(), 3u);
  constexpr std::size_t kOfEach = 5;
  std::vector<service::TestSocket> visitors;
  for (const std::string& door : doors) {
    for (std::size_t i = 0; i < kOfEach; ++i) {
      visitors.emplace_back(door);
      ASSERT_TRUE(visitors.back().connected()) << door;
    }
    EXPECT_TRUE(open_connections_are(visitors.size())) << door;
  }
  visitors.clear();
  EXPECT_TRUE(open_connections_are(0));
}

TEST_F(DoorsTest, AReloadIntoCitizenModeIsRefusedAndAllGoesOn) {
  ASSERT_TRUE(kartad.start());
  write_citizen_config();
  const Status taken = kartad.running().reload();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::configuration);
  EXPECT_THAT(taken.error().message, HasSubstr("citizen mode begins and ends with a restart only"));
  const auto status = kartad.get("/v1/status");
  EXPECT_EQ(status.status, 200);
  EXPECT_THAT(status.text, Not(HasSubstr("citizen")));
  // What is right again is taken.
  kartad.write_config();
  EXPECT_TRUE(kartad.running().reload());
}

TEST_F(DoorsTest, AReloadOutOfCitizenModeIsRefusedAndAllGoesOn) {
  write_citizen_config();
  const Status started = kartad.start();
  ASSERT_TRUE(started) << started.error().message;
  kartad.write_config();
  const Status taken = kartad.running().reload();
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::configuration);
  EXPECT_THAT(taken.error().message, HasSubstr("citizen mode begins and ends with a restart only"));
  EXPECT_EQ(kartad.get("/agent", "").status, 200);
}

}  // namespace
}  // namespace karta::test
