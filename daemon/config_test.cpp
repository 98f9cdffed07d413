// kartad's configuration: what is taken, and that whatever is off is told with its line and key.
#include "daemon/config.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

#include "daemon/mode.h"

namespace karta::daemon {
namespace {

Result<ModePlan> read_nothing(service::ConfigTable&) {
  return ModePlan(
      [](const Services&) -> Result<std::unique_ptr<Mode>> { return fail(ErrorKind::internal, "not made"); });
}
constexpr ModeRow kModes[] = {{"clinic", read_nothing}, {"transit", read_nothing}};

const std::string kHead = "schema = \"karta.kartad/1\"\nstate = \"state\"\n[server]\nlisten = [\"unix:/run/x\"]\n";

std::string head_of(const std::string& listen) {
  return "schema = \"karta.kartad/1\"\nstate = \"s\"\n[server]\nlisten = [\"" + listen + "\"]\n[clinic]\n";
}

Result<DaemonConfig> parse(const std::string& text) {
  return parse_daemon_config(text, "/etc/karta/kartad.toml", kModes);
}

TEST(DaemonConfig, TakesWhatItIsGiven) {
  const auto config = parse(kHead +
                            "[[caller]]\nname = \"a\"\nuid = 7\nverbs = [\"visit\"]\n"
                            "[[reader]]\nname = \"Gate * 0?\"\nmodes = [\"transit\"]\ngate = 9\nzone = 2\n"
                            "[[reader]]\nname = \"*\"\nmodes = [\"clinic\"]\n"
                            "[policy.visit]\nstop_list_hours = 5\nbeyond = \"warn\"\n"
                            "[clinic]\n[transit]\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->state, "/etc/karta/state");
  EXPECT_EQ(config->journal.file, "/etc/karta/state/journal.sqlite");
  EXPECT_EQ(config->callers[0].uid, 7u);
  EXPECT_EQ(config->reader("Gate Reader 01")->gate, 9u);
  EXPECT_EQ(config->reader("Gate Reader 010")->gate, 0u);
  EXPECT_EQ(config->policy("visit").stop_list, std::chrono::hours(5));
  EXPECT_EQ(config->policy("visit").beyond, StalePolicy::Beyond::warn);
  EXPECT_EQ(config->policy("redeem").stop_list, std::chrono::hours(72));
  EXPECT_EQ(config->modes.size(), 2u);
  EXPECT_EQ(config->socket_mode, 0660u);
}

TEST(DaemonConfig, TellsTheDayOfThePlaceItStandsAt) {
  using namespace std::chrono_literals;
  const Time evening = std::chrono::sys_days(2026y / 3 / 28) + 21h;
  const auto east = parse("utc_offset_minutes = 180\n" + kHead + "[clinic]\n");
  ASSERT_TRUE(east) << east.error().message;
  EXPECT_EQ(east->day_of(evening), 2026y / 3 / 29);
  EXPECT_EQ(east->day_of(evening - 1s), 2026y / 3 / 28);
  const auto west = parse("utc_offset_minutes = -120\n" + kHead + "[clinic]\n");
  ASSERT_TRUE(west) << west.error().message;
  EXPECT_EQ(west->day_of(evening + 4h), 2026y / 3 / 28);
  // Where nothing is said, the machine's clock counts, its summer time too.
  const char* const before = std::getenv("TZ");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("TZ", "WINTER-2SUMMER-3,M3.5.0/3,M10.5.0/4", 1);
  ::tzset();
  const auto local = parse(kHead + "[clinic]\n");
  ASSERT_TRUE(local) << local.error().message;
  EXPECT_EQ(local->day_of(evening), 2026y / 3 / 28);
  EXPECT_EQ(local->day_of(evening + 24h), 2026y / 3 / 30);
  if (before == nullptr) {
    ::unsetenv("TZ");
  } else {
    ::setenv("TZ", kept.c_str(), 1);
  }
  ::tzset();
}

TEST(DaemonConfig, TellsLineAndKeyOfWhatIsOff) {
  struct Row {
    std::string text, words;
  };
  const Row rows[] = {
      {"schema = \"karta.kartad/2\"\n", "schema"},
      {"schema = \"karta.kartad/1\"\n", "\"state\" is missing"},
      {kHead, "there is nothing to do"},
      {"utc_offset_minutes = 900\n" + kHead, "\"utc_offset_minutes\""},
      {kHead + "[clinic]\nsurprise = 1\n", "kartad.toml:6: unknown key \"clinic.surprise\""},
      {"schema = \"karta.kartad/1\"\nstate = \"s\"\n[server]\nlisten = [\"0.0.0.0:80\"]\n[clinic]\n",
       "kartad.toml:4: \"server.listen\" must be local"},
      {kHead + "[clinic]\n[[caller]]\nname = \"a\"\nverbs = [\"visit\"]\n", "\"caller.uid\" is missing"},
      {kHead + "[clinic]\n[[caller]]\nname = \"a\"\nuid = 1\n", "\"caller.verbs\" is missing"},
      {kHead + "[clinic]\n[[caller]]\nname = \"a\"\ntoken_sha256 = \"00\"\nverbs = [\"visit\"]\n", "64 hexadecimal"},
      {kHead + "[clinic]\n[[caller]]\nname = \"a\"\nuid = 1\nverbs = [\"*\"]\n[[caller]]\nname = \"a\"\nuid = 2\nverbs "
               "= [\"*\"]\n",
       "another [[caller]]"},
      {kHead + "[clinic]\n[[reader]]\nname = \"*\"\nmodes = [\"barber\"]\n", "\"barber\", which is no mode"},
      {kHead + "[clinic]\n[[reader]]\nname = \"*\"\nmodes = [\"transit\"]\n", "there is no [transit]"},
      {kHead + "[clinic]\n[[terminal]]\nrole = \"barber\"\nfolder = \"t\"\npassphrase_file = \"p\"\n", "is no role"},
      {kHead + "[clinic]\n[[terminal]]\nrole = \"clinic\"\nfolder = \"t\"\n", "passphrase_file"},
      {kHead + "[clinic]\n[[terminal]]\nrole = \"clinic\"\nfolder = \"t\"\npassphrase_file = \"p\"\nkey = \"x\"\n",
       "terminal.key"},
      {kHead + "[clinic]\n[policy.visit]\nbeyond = \"hope\"\n", "\"policy.visit.beyond\" must be"},
      {kHead + "[clinic]\n[policy.barber]\n", "policy.barber"},
      {kHead + "socket_mode = \"0888\"\n[clinic]\n", "server.socket_mode"},
      {kHead + "[clinic]\n[authority]\nurl = \"ftp://x\"\n", "authority.url"},
      {kHead + "[clinic]\n[authority]\nurl = \"http://identity.example\"\n", "authority.url"},
      {kHead + "[clinic]\n[authority]\nurl = \"http://127.0.0.1.evil.example\"\n", "authority.url"},
      {kHead + "[clinic]\n[[caller]]\nname = \"a\"\nuid = 1\nverbs = [\"visit\", \"vist\"]\n",
       "kartad.toml:9: \"caller.verbs\" names \"vist\", which is no verb"},
      {head_of("127.evil.example:80"), "kartad.toml:4: \"server.listen\" must be local"},
      {head_of("127.0.0.1"), "\"server.listen\" must be local"},
      {head_of("127.0.0.1:65536"), "\"server.listen\" must be local"},
      {head_of("unix:"), "\"server.listen\" must be local"},
      {kHead + "[clinic]\n[pages]\n", "\"pages\""},
  };
  for (const Row& row : rows) {
    const auto config = parse(row.text);
    ASSERT_FALSE(config) << row.text;
    EXPECT_EQ(config.error().kind, ErrorKind::configuration) << row.text;
    EXPECT_NE(config.error().message.find(row.words), std::string::npos) << row.text << "\n" << config.error().message;
  }
}

TEST(DaemonConfig, AddressesArePathsOfTheFilesFolderOrLoopback) {
  for (const auto& [given, meant] : {std::pair("unix:kartad.sock", "unix:/etc/karta/kartad.sock"),
                                     {"unix:/run/x", "unix:/run/x"},
                                     {"127.0.0.1:0", "127.0.0.1:0"},
                                     {"127.1.2.3:8470", "127.1.2.3:8470"},
                                     {"[::1]:8470", "[::1]:8470"},
                                     {"systemd:api", "systemd:api"}}) {
    const auto config = parse(head_of(given));
    ASSERT_TRUE(config) << given << ": " << config.error().message;
    EXPECT_EQ(config->listen, std::vector<std::string>{meant});
  }
  for (const char* const url :
       {"https://identity.example", "http://127.0.0.1:9", "http://localhost", "http://[::1]:8080/"})
    EXPECT_TRUE(parse(kHead + "[clinic]\n[authority]\nurl = \"" + url + "\"\n")) << url;
}

TEST(Pattern, FitsAsAShellsWould) {
  EXPECT_TRUE(fits_pattern("*", ""));
  EXPECT_TRUE(fits_pattern("a*b?d*", "axxbcd"));
  EXPECT_TRUE(fits_pattern("**x", "axbx"));
  EXPECT_FALSE(fits_pattern("a*b", "axbx"));
  EXPECT_FALSE(fits_pattern("?", ""));
  EXPECT_FALSE(fits_pattern("", "a"));
  // A pattern made to be slow is not.
  EXPECT_FALSE(fits_pattern("*a*a*a*a*a*a*a*a*b", std::string(2000, 'a')));
}

}  // namespace
}  // namespace karta::daemon
