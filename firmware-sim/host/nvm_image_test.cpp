#include "firmware-sim/host/nvm_image.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace karta::sim {
namespace {

namespace files = std::filesystem;

class NvmImageFile : public testing::Test {
 protected:
  NvmImageFile() {
    std::string name = (files::temp_directory_path() / "karta-nvm-XXXXXX").string();
    folder = ::mkdtemp(name.data());
  }
  ~NvmImageFile() override { files::remove_all(folder); }

  void make() {
    auto image = NvmImage::create(path(), label);
    ASSERT_TRUE(image) << image.error().message;
    ASSERT_TRUE(image->publish());
  }
  std::string path() const { return (folder / "a.card").string(); }
  ErrorKind open_error() const {
    const auto image = NvmImage::open(path());
    EXPECT_FALSE(image);
    if (image) return ErrorKind::internal;
    EXPECT_FALSE(image.error().message.empty());
    EXPECT_FALSE(image.error().next_step().empty());
    return image.error().kind;
  }
  void patch(std::streamoff at, char octet) const {
    std::fstream file(path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file.put(octet);
  }

  files::path folder;
  const ImageLabel label{.serial = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, .contactless = true};
};

TEST(NvmImage, ErasesToOnesAndWritesFromOneToZeroOnly) {
  NvmImage image = NvmImage::in_memory({});
  EXPECT_TRUE(std::ranges::all_of(image.page(3), [](std::uint8_t octet) { return octet == 0xFF; }));
  EXPECT_TRUE(image.write(3, 10, Bytes{0xF0, 0x0F}));
  EXPECT_EQ(image.page(3)[10], 0xF0);
  EXPECT_TRUE(image.write(3, 10, Bytes{0x30}));
  EXPECT_FALSE(image.write(3, 10, Bytes{0xC0})) << "a cell cannot go back to 1";
  EXPECT_EQ(image.page(3)[10], 0x00);
  EXPECT_TRUE(image.erase(3));
  EXPECT_EQ(image.page(3)[10], 0xFF);
  EXPECT_EQ(image.erase_count(3), 1u);
  EXPECT_EQ(image.erase_count(2), 0u);
}

TEST(NvmImage, TearsInTheMiddle) {
  NvmImage image = NvmImage::in_memory({});
  EXPECT_FALSE(image.write(0, 0, Bytes(8, 0x00), 4));
  EXPECT_EQ(image.page(0)[3], 0x00);
  EXPECT_NE(image.page(0)[4], 0x00) << "half programmed";
  EXPECT_NE(image.page(0)[4], 0xFF) << "half programmed";
  EXPECT_EQ(image.page(0)[5], 0xFF);
  EXPECT_TRUE(image.write(1, 0, Bytes(256, 0x11)));
  EXPECT_FALSE(image.erase(1, 128));
  EXPECT_EQ(image.page(1)[127], 0xFF);
  EXPECT_EQ(image.page(1)[128], 0x11);
}

TEST(NvmImage, WearsOut) {
  NvmImage image = NvmImage::in_memory({});
  for (std::uint32_t i = 0; i < kNvmEndurance; ++i) ASSERT_TRUE(image.erase(7));
  ASSERT_TRUE(image.write(7, 0, Bytes{0x00}));
  EXPECT_FALSE(image.erase(7));
  EXPECT_EQ(image.page(7)[0], 0x00);
  EXPECT_EQ(image.highest_erase_count(), kNvmEndurance);
  EXPECT_TRUE(image.erase(8));
}

TEST_F(NvmImageFile, KeepsContentLabelAndWearAcrossRestarts) {
  make();
  {
    auto image = NvmImage::open(path());
    ASSERT_TRUE(image) << image.error().message;
    EXPECT_TRUE(image->erase(383));
    EXPECT_TRUE(image->write(383, 255, Bytes{0x5A}));
  }
  const auto image = NvmImage::open(path());
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(image->page(383)[255], 0x5A);
  EXPECT_EQ(image->erase_count(383), 1u);
  EXPECT_EQ(image->label().serial, label.serial);
  EXPECT_TRUE(image->label().contactless);
}

TEST_F(NvmImageFile, HasWhatAKilledProcessWroteLast) {
  make();
  const pid_t child = ::fork();
  if (child == 0) {
    auto image = NvmImage::open(path());
    if (image) image->write(0, 0, Bytes{1, 2, 3});
    ::raise(SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto image = NvmImage::open(path());
  ASSERT_TRUE(image) << image.error().message;
  EXPECT_EQ(to_bytes(image->page(0).first(4)), (Bytes{1, 2, 3, 0xFF}));
}

TEST_F(NvmImageFile, IsNeverInTwoReadersAtOnce) {
  make();
  auto first = NvmImage::open(path());
  ASSERT_TRUE(first);
  EXPECT_EQ(open_error(), ErrorKind::busy);
  first = fail(ErrorKind::io, "");  // closes it
  EXPECT_TRUE(NvmImage::open(path()));
}

TEST_F(NvmImageFile, IsNeverOverwritten) {
  make();
  const auto again = NvmImage::create(path(), label);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::already_exists);
}

TEST_F(NvmImageFile, LeavesNothingBehindUnlessPublished) {
  { ASSERT_TRUE(NvmImage::create(path(), label)); }
  EXPECT_TRUE(files::is_empty(folder));
  auto late = NvmImage::create(path(), label);
  ASSERT_TRUE(late);
  std::ofstream(path()) << "somebody else's";
  const Status published = late->publish();
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().kind, ErrorKind::already_exists);
  EXPECT_EQ(files::file_size(path()), 15u);
}

TEST_F(NvmImageFile, SaysWhatIsWrongWithFilesThatAreNone) {
  EXPECT_EQ(open_error(), ErrorKind::not_found);
  std::ofstream(path()) << "%PDF-1.7";
  EXPECT_EQ(open_error(), ErrorKind::malformed);
  files::remove(path());
  files::create_directory(path());
  EXPECT_FALSE(NvmImage::open(path()));
}

TEST_F(NvmImageFile, NoticesDamage) {
  make();
  const auto size = files::file_size(path());
  files::resize_file(path(), size - 1);
  EXPECT_EQ(open_error(), ErrorKind::malformed);
  files::resize_file(path(), size + 1);
  EXPECT_EQ(open_error(), ErrorKind::malformed);
  files::resize_file(path(), 20);
  EXPECT_EQ(open_error(), ErrorKind::malformed);
  files::resize_file(path(), 0);
  EXPECT_EQ(open_error(), ErrorKind::malformed);
  files::remove(path());
  make();
  patch(30, 'x');  // in the serial number
  EXPECT_EQ(open_error(), ErrorKind::malformed);
  files::remove(path());
  make();
  patch(11, 2);  // the version
  EXPECT_EQ(open_error(), ErrorKind::unsupported);
}

}  // namespace
}  // namespace karta::sim
