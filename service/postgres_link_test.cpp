// Servers that are found, refused, silent or there again.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <vector>

#include "service/postgres_testing.h"

namespace karta::service {
namespace {

using testing::HasSubstr;
using testing::Not;

using PostgresLinkTest = PostgresTest;

TEST_F(PostgresLinkTest, UrlsAreReadAndAPasswordInOneIsRefused) {
  const auto secret = Database::open("postgresql://karta:geheim@127.0.0.1/karta");
  ASSERT_FALSE(secret);
  EXPECT_EQ(secret.error().kind, ErrorKind::usage);
  EXPECT_THAT(secret.error().message + secret.error().hint, Not(HasSubstr("geheim")));
  EXPECT_THAT(secret.error().hint, HasSubstr("passfile"));
  const auto nonsense = Database::open("postgresql://karta@/karta?nonsense=1");
  ASSERT_FALSE(nonsense);
  EXPECT_EQ(nonsense.error().kind, ErrorKind::usage);
  const auto missing = Database::open(missing_database_url(""));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_THAT(missing.error().hint, HasSubstr("createdb"));
  const auto nowhere = Database::open("postgresql://karta@/karta?host=/nowhere");
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().kind, ErrorKind::io);
  const auto taken = Database::open(url_, {.open = DatabaseOptions::Open::create});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().kind, ErrorKind::already_exists);
}

TEST_F(PostgresLinkTest, ADatabaseThatSortsOtherwiseIsRefused) {
  Database database = open();
  ASSERT_TRUE(database.execute("CREATE DATABASE sorted TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"));
  std::string url = test_postgres();
  url.replace(url.find("/karta?"), 7, "/sorted?");
  const auto sorted = Database::open(url);
  ASSERT_FALSE(sorted);
  EXPECT_EQ(sorted.error().kind, ErrorKind::configuration);
  EXPECT_THAT(sorted.error().hint, HasSubstr("--locale=C"));
  ASSERT_TRUE(database.execute("DROP DATABASE sorted"));
}

TEST_F(PostgresLinkTest, AServerThatTakesConnectionsAndSaysNothingIsGivenUp) {
  // A socket that listens and is never looked at.
  const int listening = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(listening, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(::bind(listening, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(listening, 5), 0);
  ASSERT_EQ(::getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size), 0);
  const auto silent = Database::open("postgresql://karta@127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/k");
  ASSERT_FALSE(silent);
  EXPECT_EQ(silent.error().kind, ErrorKind::io);
  ::close(listening);
}

/// The server's folder of sockets under a name of its own, so that another one can be put in its place.
class PostgresReached : public PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (IsSkipped()) return;
    std::string made = std::filesystem::temp_directory_path() / "karta-pg-XXXXXX";
    ASSERT_NE(::mkdtemp(made.data()), nullptr);
    folder_ = made;
    const std::size_t from = url_.find("?host=") + 6, end = url_.find('&', from);
    servers_ = url_.substr(from, end - from);
    show(servers_);
    url_.replace(from, end - from, (folder_ / "now").string());
  }
  void TearDown() override {
    if (listening_ >= 0) ::close(listening_);
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  void show(const std::filesystem::path& target) {
    std::filesystem::create_symlink(target, folder_ / "next");
    std::filesystem::rename(folder_ / "next", folder_ / "now");
  }
  /// From here on whoever connects is listened to by nobody.
  void silence() {
    std::filesystem::create_directory(folder_ / "silent");
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_ / "silent" / ".s.PGSQL.5432";
    ASSERT_LT(path.size(), sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    listening_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ASSERT_EQ(::bind(listening_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listening_, 50), 0);
    show(folder_ / "silent");
  }
  int attempts() const {
    int out = 0;
    for (int one = 0; (one = ::accept(listening_, nullptr, nullptr)) >= 0; ++out) ::close(one);
    return out;
  }

  std::filesystem::path folder_, servers_;
  int listening_ = -1;
};

TEST_F(PostgresReached, OneConnectionAsksASilentServerForAllAndAllGoOnWhenItIsThere) {
  std::vector<Database> databases;
  for (int i = 0; i < 3; ++i) databases.push_back(open());
  std::vector<std::int64_t> pids;
  for (Database& one : databases) pids.push_back(pid_of(one));
  for (const std::int64_t pid : pids) end(pid);
  silence();
  for (int round = 0; round < 3; ++round) {
    for (Database& one : databases) {
      const auto done = one.execute("INSERT INTO t VALUES (1)");
      ASSERT_FALSE(done);
      EXPECT_EQ(done.error().kind, ErrorKind::io);
    }
  }
  EXPECT_EQ(attempts(), 1);
  // Whoever reaches it tells the others.
  show(servers_);
  Database fresh = open();
  for (Database& one : databases) EXPECT_EQ(ask(one, "SELECT count(*) FROM t"), 0);
}

}  // namespace
}  // namespace karta::service
