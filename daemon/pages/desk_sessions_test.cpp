#include "daemon/pages/desk_sessions.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

namespace karta::daemon {
namespace {

namespace fs = std::filesystem;

class DeskSessionsTest : public testing::Test {
 protected:
  DeskSessionsTest() {
    std::string name = (fs::temp_directory_path() / "karta-desk-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~DeskSessionsTest() override { fs::remove_all(folder_); }

  DeskSessionOptions options() const {
    return {.file = folder_ / "sessions", .link_file = folder_ / "link", .address = "http://127.0.0.1:8470"};
  }
  std::unique_ptr<DeskSessions> open() {
    auto out = DeskSessions::create(options(), clock_, random_);
    EXPECT_TRUE(out) << out.error().message;
    return out ? std::move(*out) : nullptr;
  }
  /// The code in the link that is good now.
  std::string code() const {
    const auto content = read_file(folder_ / "link", 1000);
    const std::string text(content ? as_text(*content) : "");
    EXPECT_TRUE(text.starts_with("http://127.0.0.1:8470/login#")) << text;
    EXPECT_TRUE(text.ends_with('\n'));
    const auto hash = text.find('#');
    return hash == std::string::npos ? "" : text.substr(hash + 1, text.size() - hash - 2);
  }

  fs::path folder_;
  FixedClock clock_{Time(std::chrono::seconds(1'780'000'000))};
  SeededRandom random_{7};
};

TEST_F(DeskSessionsTest, ALinkIsGoodOnceAndTheNextOneIsThere) {
  const auto sessions = open();
  ASSERT_TRUE(sessions);
  const std::string first = code();
  const auto session = sessions->log_in(first);
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_TRUE(sessions->valid(session->cookie, session->key));
  const auto again = sessions->log_in(first);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::not_permitted);
  ASSERT_NE(code(), first);
  const auto other = sessions->log_in(code());
  ASSERT_TRUE(other);
  EXPECT_TRUE(sessions->valid(other->cookie, other->key));
  EXPECT_TRUE(sessions->valid(session->cookie, session->key));
}

TEST_F(DeskSessionsTest, OnlyTheOwnerReadsTheLinkAndTheSessions) {
  const auto sessions = open();
  ASSERT_TRUE(sessions && sessions->log_in(code()));
  for (const char* const name : {"link", "sessions"}) {
    struct stat info {};
    ASSERT_EQ(::stat((folder_ / name).c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << name;
  }
}

TEST_F(DeskSessionsTest, AGroupReadsTheLinkWhereItIsNamed) {
  auto with_group = options();
  with_group.link_group = ::getgid();
  ASSERT_TRUE(DeskSessions::create(with_group, clock_, random_));
  struct stat info {};
  ASSERT_EQ(::stat((folder_ / "link").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640u);
  EXPECT_EQ(info.st_gid, ::getgid());
}

TEST_F(DeskSessionsTest, HalfASessionIsNone) {
  const auto sessions = open();
  ASSERT_TRUE(sessions);
  const auto session = sessions->log_in(code());
  const auto other = sessions->log_in(code());
  ASSERT_TRUE(session && other);
  EXPECT_FALSE(sessions->valid(session->cookie, ""));
  EXPECT_FALSE(sessions->valid("", session->key));
  EXPECT_FALSE(sessions->valid(session->cookie, other->key));
  EXPECT_FALSE(sessions->valid(session->key, session->cookie));
  EXPECT_FALSE(sessions->valid("", ""));
}

TEST_F(DeskSessionsTest, ASessionEndsByItselfAndByLogOut) {
  const auto sessions = open();
  ASSERT_TRUE(sessions);
  const auto session = sessions->log_in(code());
  ASSERT_TRUE(session);
  clock_.advance(std::chrono::hours(12) - std::chrono::seconds(1));
  EXPECT_TRUE(sessions->valid(session->cookie, session->key));
  clock_.advance(std::chrono::seconds(1));
  EXPECT_FALSE(sessions->valid(session->cookie, session->key));

  const auto next = sessions->log_in(code());
  ASSERT_TRUE(next);
  ASSERT_TRUE(sessions->log_out(next->cookie, "not its key"));
  EXPECT_TRUE(sessions->valid(next->cookie, next->key));
  ASSERT_TRUE(sessions->log_out(next->cookie, next->key));
  EXPECT_FALSE(sessions->valid(next->cookie, next->key));
}

TEST_F(DeskSessionsTest, AClockThatWentFarBackLengthensNothing) {
  const auto sessions = open();
  ASSERT_TRUE(sessions);
  const auto session = sessions->log_in(code());
  ASSERT_TRUE(session);
  clock_.advance(-std::chrono::minutes(30));
  EXPECT_TRUE(sessions->valid(session->cookie, session->key));
  clock_.advance(-std::chrono::hours(24));
  EXPECT_FALSE(sessions->valid(session->cookie, session->key));
}

TEST_F(DeskSessionsTest, ARestartSendsNobodyHome) {
  auto sessions = open();
  ASSERT_TRUE(sessions);
  const auto session = sessions->log_in(code());
  const auto gone = sessions->log_in(code());
  ASSERT_TRUE(session && gone);
  ASSERT_TRUE(sessions->log_out(gone->cookie, gone->key));
  const std::string unused = code();
  sessions = open();
  ASSERT_TRUE(sessions);
  EXPECT_TRUE(sessions->valid(session->cookie, session->key));
  EXPECT_FALSE(sessions->valid(gone->cookie, gone->key));
  EXPECT_FALSE(sessions->log_in(unused)) << "a link of before the restart";
  // The file gives nobody a session: it holds hashes.
  const auto content = read_file(folder_ / "sessions", 100'000);
  ASSERT_TRUE(content);
  EXPECT_EQ(as_text(*content).find(session->cookie), std::string_view::npos);
  EXPECT_EQ(as_text(*content).find(session->key), std::string_view::npos);
}

TEST_F(DeskSessionsTest, TheOldestSessionGivesWay) {
  const auto sessions = open();
  ASSERT_TRUE(sessions);
  const auto first = sessions->log_in(code());
  ASSERT_TRUE(first);
  for (std::size_t i = 1; i < DeskSessions::kMostSessions; ++i) {
    clock_.advance(std::chrono::seconds(1));
    ASSERT_TRUE(sessions->log_in(code()));
  }
  EXPECT_TRUE(sessions->valid(first->cookie, first->key));
  clock_.advance(std::chrono::seconds(1));
  ASSERT_TRUE(sessions->log_in(code()));
  EXPECT_FALSE(sessions->valid(first->cookie, first->key));
}

TEST_F(DeskSessionsTest, AFolderThatIsNotThereFails) {
  auto elsewhere = options();
  elsewhere.link_file = folder_ / "missing" / "link";
  const auto sessions = DeskSessions::create(elsewhere, clock_, random_);
  ASSERT_FALSE(sessions);
}

}  // namespace
}  // namespace karta::daemon
