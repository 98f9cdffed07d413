#include "issuing/centre_config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace karta::issuing {
namespace {

class CentreConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* const info = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::temp_directory_path() / ("karta-config-" + std::to_string(getpid()) + info->name());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& text) { std::ofstream(folder_ / kCentreFile) << text; }
  std::string fault() {
    const auto config = load_centre_config(folder_);
    return config ? "" : config.error().message;
  }
  std::filesystem::path folder_;
};

TEST_F(CentreConfigTest, TheDefaultFileReadsBack) {
  write(default_centre_config("Made \"Up\" Centre", "XX"));
  const auto config = load_centre_config(folder_);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->name, "Made \"Up\" Centre");
  EXPECT_EQ(config->database, folder_ / "registry.sqlite");
  EXPECT_EQ(config->issuing.key, folder_ / "keys/issuing.key.pem");
}

TEST_F(CentreConfigTest, AbsolutePathsStay) {
  std::string text = default_centre_config("A", "XX");
  text.replace(text.find("registry.sqlite"), 15, "/var/lib/r.db");
  write(text);
  EXPECT_EQ(load_centre_config(folder_)->database, "/var/lib/r.db");
}

TEST_F(CentreConfigTest, ADatabaseThatIsNoFileStaysAsItIsWritten) {
  write(default_centre_config("A", "XX", "postgresql://karta@db.example/karta?sslmode=verify-full"));
  const auto config = load_centre_config(folder_);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->database, "postgresql://karta@db.example/karta?sslmode=verify-full");
}

TEST_F(CentreConfigTest, FaultsNameLineAndKey) {
  EXPECT_EQ(load_centre_config(folder_).error().kind, ErrorKind::not_found);
  write("[centre]\nname = \"A\"\ncuontry = \"XX\"\n");
  EXPECT_EQ(fault(), "karta.toml line 3: unknown key \"centre.cuontry\"");
  write("[centre]\nname = 7\n");
  EXPECT_EQ(fault(), "karta.toml line 2: \"centre.name\" must be a text, not empty");
  write("[zentrum]\n");
  EXPECT_EQ(fault(), "karta.toml line 1: unknown section \"zentrum\"");
  write("[centre\n");
  EXPECT_NE(fault().find("karta.toml line 1"), std::string::npos);
  write("[centre]\nname = \"A\"\n");
  EXPECT_NE(fault().find("\"centre.country\" is missing"), std::string::npos);
  write(default_centre_config("A", "xx"));
  EXPECT_NE(fault().find("two capital letters"), std::string::npos);
}

}  // namespace
}  // namespace karta::issuing
