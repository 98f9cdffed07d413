// What a damaged journal keeps, and how it says what it lost.
#include <gmock/gmock.h>

#include <fstream>

#include "identity/journal/journal_testing.h"
#include "service/database.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using testing::HasSubstr;

class DamagedJournal : public JournalTest {
 protected:
  /// 300 records, cleanly closed unless `dirty` (then as after a kill: the log is not folded in).
  void fill(int count = 300) {
    const auto journal = open();
    for (int i = 0; i < count; ++i) must(journal->append("tap", "{\"n\":" + std::to_string(i + 1) + "}"));
  }
  /// Makes the next start walk everything again.
  void forget_what_was_checked() {
    service::Database database = must(service::Database::open(path().string()));
    must(database.execute("UPDATE journal SET checked_number = 0"));
  }
  void expect_mended(std::uint64_t first_lost_at_least, std::uint64_t acknowledged) {
    const auto journal = open();
    ASSERT_TRUE(journal->damage());
    EXPECT_GE(journal->damage()->from, first_lost_at_least);
    EXPECT_EQ(journal->damage()->to, acknowledged);
    EXPECT_TRUE(std::filesystem::exists(folder_ / journal->damage()->file)) << journal->damage()->file;
    const auto last = must(journal->pages(acknowledged, 10));
    ASSERT_FALSE(last.empty());
    EXPECT_EQ(last.front().kind, kDamageKind);
    EXPECT_EQ(last.front().number, acknowledged + 1) << "a number acknowledged is never given again";
    EXPECT_EQ(must(journal->append("tap", "{}")).number, acknowledged + 2);
    const auto report = must(journal->verify());
    EXPECT_TRUE(report.whole());
    ASSERT_EQ(report.damages.size(), 1u);
    EXPECT_EQ(report.damages.front().to, acknowledged);
  }
};

TEST_F(DamagedJournal, ARecordChangedBehindItsBackCutsOffTheEnd) {
  fill();
  forget_what_was_checked();
  {
    service::Database database = must(service::Database::open(path().string()));
    must(database.execute("UPDATE record SET body = '{\"n\":0}' WHERE number = 290"));
    const auto report = must(must(JournalReader::open(path())).verify());
    ASSERT_FALSE(report.whole());
    EXPECT_EQ(report.findings.front().number, 290u);
  }
  expect_mended(290, 300);
}

TEST_F(DamagedJournal, VerifyFindsAChangeBeforeWhatAStartWalks) {
  fill();
  {
    service::Database database = must(service::Database::open(path().string()));
    must(database.execute("UPDATE record SET time = time + 1 WHERE number = 17"));
    must(database.execute("DELETE FROM record WHERE number = 40"));
  }
  const auto journal = open();
  const auto report = must(journal->verify());
  ASSERT_EQ(report.findings.size(), 2u);
  EXPECT_EQ(report.findings[0].number, 17u);
  EXPECT_EQ(report.findings[1].number, 41u);
}

TEST_F(DamagedJournal, ATruncatedFileKeepsWhatCanBeRead) {
  fill();
  const auto size = std::filesystem::file_size(path());
  std::filesystem::resize_file(path(), size - 3 * 4096);
  expect_mended(1, 300);
}

TEST_F(DamagedJournal, GarbageAtTheEndOfTheFile) {
  fill();
  const auto size = std::filesystem::file_size(path());
  {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size) - 4096);
    file << std::string(4096, '\x5A');
  }
  expect_mended(200, 300);
}

TEST_F(DamagedJournal, AFileThatIsNoDatabaseAnyMore) {
  fill();
  {
    std::ofstream file(path(), std::ios::binary | std::ios::trunc);
    file << std::string(20'000, 'x');
  }
  expect_mended(1, 300);
}

TEST_F(DamagedJournal, AFileThatIsGone) {
  fill();
  std::filesystem::remove(path());
  const auto journal = open();
  ASSERT_TRUE(journal->damage());
  EXPECT_EQ(journal->damage()->from, 1u);
  EXPECT_EQ(journal->damage()->to, 300u);
  EXPECT_EQ(must(journal->append("tap", "{}")).number, 302u);
  EXPECT_TRUE(must(journal->verify()).whole());
}

TEST_F(DamagedJournal, RecordsCutAwayAreMissedByVerify) {
  fill();
  {
    service::Database database = must(service::Database::open(path().string()));
    must(database.execute("DELETE FROM record WHERE number > 295"));
  }
  const auto report = must(must(JournalReader::open(path())).verify());
  ASSERT_FALSE(report.whole());
  EXPECT_THAT(report.findings.front().words, HasSubstr("300 were acknowledged and are gone"));
  const auto journal = open();
  ASSERT_TRUE(journal->damage());
  EXPECT_EQ(journal->damage()->from, 296u);
  EXPECT_EQ(must(journal->append("tap", "{}")).number, 302u);
}

TEST_F(DamagedJournal, AStoppedMendingGoesOn) {
  fill();
  // As after a crash between two steps: the whole part stands ready, the old log is put aside already.
  std::filesystem::copy_file(path(), folder_ / "journal.mending");
  const auto journal = open();
  ASSERT_TRUE(journal->damage());
  EXPECT_EQ(journal->damage()->file, "journal.damaged-1");
  EXPECT_EQ(must(journal->verify()).records, 301u);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "journal.mending"));
}

}  // namespace
}  // namespace karta::identity
