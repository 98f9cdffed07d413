#include "firmware-sim/link/reader_setup.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "firmware-sim/link/reader_address.h"

namespace karta::sim {
namespace {

namespace files = std::filesystem;

class ReaderSetupFolder : public testing::Test {
 protected:
  ReaderSetupFolder() {
    std::string name = (files::temp_directory_path() / "karta-readers-XXXXXX").string();
    folder = ::mkdtemp(name.data());
    std::ofstream(driver()) << "a driver";
  }
  ~ReaderSetupFolder() override { files::remove_all(folder); }
  std::string driver() const { return (folder / "driver.so").string(); }
  files::path folder;
};

TEST_F(ReaderSetupFolder, GivesEachEntryItsOwnPortAndDriverFile) {
  const std::string target = (folder / "conf").string();
  for (int times = 0; times < 2; ++times) {
    const auto setup = set_up_readers(target, 3, driver());
    ASSERT_TRUE(setup) << setup.error().message;
    EXPECT_THAT(setup->reader_names, testing::SizeIs(6));
    EXPECT_EQ(setup->reader_names[0], "Karta Virtual Reader 1 00 00");
    EXPECT_EQ(setup->reader_names[5], "Karta Virtual Reader 3 00 01");
    std::ifstream in(setup->configuration);
    std::set<std::string> names, ports, libraries;
    for (std::string line; std::getline(in, line);) {
      if (line.starts_with("FRIENDLYNAME")) names.insert(line);
      if (line.starts_with("CHANNELID")) ports.insert(line);
      if (line.starts_with("LIBPATH ")) libraries.insert(line.substr(8));
    }
    EXPECT_THAT(names, testing::SizeIs(3));
    EXPECT_THAT(ports, testing::ElementsAre("CHANNELID 0x8C7B", "CHANNELID 0x8C7D", "CHANNELID 0x8C7F"));
    ASSERT_THAT(libraries, testing::SizeIs(3));
    for (const std::string& library : libraries) {
      EXPECT_TRUE(files::path(library).is_absolute());
      EXPECT_EQ(files::file_size(library), 8u);
    }
  }
}

TEST_F(ReaderSetupFolder, SaysWhatIsMissing) {
  const auto no_driver = set_up_readers(folder.string(), 1, (folder / "none.so").string());
  ASSERT_FALSE(no_driver);
  EXPECT_EQ(no_driver.error().kind, ErrorKind::not_found);
  EXPECT_THAT(no_driver.error().hint, testing::HasSubstr("vsmartcard-vpcd"));
  for (unsigned readers : {0u, 9u}) {
    const auto refused = set_up_readers(folder.string(), readers, driver());
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().kind, ErrorKind::usage);
  }
}

TEST(ReaderAddress, KnowsThePortsOfItsSlots) {
  EXPECT_EQ(parse_reader_address("1")->port(), 35963);
  EXPECT_EQ(parse_reader_address("1:1")->port(), 35964);
  EXPECT_EQ(parse_reader_address("8:1")->port(), 35978);
  for (const char* bad : {"", "0", "9", "1:2", "1:", ":1", "x", "1 ", "-1", "1:1:1"}) {
    EXPECT_FALSE(parse_reader_address(bad)) << bad;
  }
}

}  // namespace
}  // namespace karta::sim
