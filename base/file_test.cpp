#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace karta {
namespace {

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("karta-file-test-" + std::to_string(getpid()));
};

TEST_F(FileTest, WrittenOnceReadBackNeverOverwritten) {
  const auto path = folder_ / "a";
  ASSERT_TRUE(write_new_file(path, as_bytes("first"), 0600));
  EXPECT_EQ(write_new_file(path, as_bytes("second"), 0600).error().kind, ErrorKind::already_exists);
  EXPECT_EQ(as_text(*read_file(path, 100)), "first");
  struct stat about {};
  ASSERT_EQ(stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777u, 0600u);
  // Nothing else is left in the folder.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, ErrorsSayWhich) {
  EXPECT_EQ(read_file(folder_ / "none", 10).error().kind, ErrorKind::not_found);
  EXPECT_EQ(read_file(folder_, 10).error().kind, ErrorKind::io);
  ASSERT_TRUE(write_new_file(folder_ / "b", Bytes(11, 'x'), 0644));
  EXPECT_EQ(read_file(folder_ / "b", 10).error().kind, ErrorKind::limit);
  EXPECT_EQ(read_file(folder_ / "b", 11)->size(), 11u);
  EXPECT_EQ(write_new_file(folder_ / "no" / "such", as_bytes("x"), 0600).error().kind, ErrorKind::not_found);
}

TEST_F(FileTest, ANewFileTakesThePlaceOfTheOldOneOrIsGone) {
  const auto path = folder_ / "c";
  ASSERT_TRUE(write_new_file(path, as_bytes("old"), 0644));
  {
    auto abandoned = NewFile::create(path, 0644);
    ASSERT_TRUE(abandoned);
    ASSERT_TRUE(abandoned->write(as_bytes("half")));
  }
  EXPECT_EQ(as_text(*read_file(path, 100)), "old");
  auto file = NewFile::create(path, 0644);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->write(as_bytes("bit ")));
  ASSERT_TRUE(file->write(as_bytes("by bit")));
  EXPECT_EQ(as_text(*read_file(path, 100)), "old");
  ASSERT_TRUE(file->commit_over());
  EXPECT_EQ(as_text(*read_file(path, 100)), "bit by bit");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1);
}

TEST_F(FileTest, ReplacingIsOneStepAndClosesWhatWasOpened) {
  const auto path = folder_ / "d";
  struct stat about {};
  ASSERT_TRUE(replace_file(path, as_bytes("first"), 0600)) << "nothing was there";
  ASSERT_EQ(chmod(path.c_str(), 0644), 0);
  // Whoever has the old one open goes on reading it: it was not written into.
  const int before = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(before, 0);
  ASSERT_TRUE(replace_file(path, as_bytes("the second"), 0600));
  char seen[16] = {};
  EXPECT_EQ(read(before, seen, sizeof seen), 5);
  EXPECT_STREQ(seen, "first");
  close(before);
  EXPECT_EQ(as_text(*read_file(path, 100)), "the second");
  ASSERT_EQ(stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777u, 0600u);
  // What is in the way stays, and no draft beside it.
  std::filesystem::create_directories(folder_ / "e" / "inside");
  EXPECT_FALSE(replace_file(folder_ / "e", as_bytes("x"), 0600));
  EXPECT_TRUE(std::filesystem::is_directory(folder_ / "e" / "inside"));
  EXPECT_EQ(replace_file(folder_ / "no" / "such", as_bytes("x"), 0600).error().kind, ErrorKind::not_found);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 2);
  EXPECT_TRUE(sync_folder_of("here")) << "the folder we are in";
  EXPECT_EQ(sync_folder_of(folder_ / "no" / "such").error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace karta
