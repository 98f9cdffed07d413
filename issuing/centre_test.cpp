#include "issuing/centre.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/x509/path.h"

namespace karta::issuing {
namespace {

namespace fs = std::filesystem;

class CentreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.name = "Made-up Centre";
    options_.key_file_iterations = 1000;
  }
  void TearDown() override { fs::remove_all(folder_); }

  fs::path folder_ = fs::temp_directory_path() / ("karta-centre-test-" + std::to_string(getpid()));
  FixedClock clock_{*parse_time("2026-11-21T12:00:00Z")};
  SystemRandom random_;
  CentreOptions options_;
  SecretBytes passphrase_ = SecretBytes::copy_of("correct horse");
};

TEST_F(CentreTest, MadeWholeAndOpenedAgain) {
  const Status made = create_centre(folder_, options_, passphrase_, clock_, random_);
  ASSERT_TRUE(made) << made.error().message;
  auto centre = Centre::open(folder_, clock_, random_);
  ASSERT_TRUE(centre) << centre.error().message;
  EXPECT_TRUE(crypto::verify_path(centre->issuing(), {}, {centre->root()}, clock_.now(), crypto::Purpose::any).ok());
  EXPECT_TRUE(centre->unlock_issuing_ca(passphrase_));
  EXPECT_EQ(centre->unlock_issuing_ca(SecretBytes::copy_of("wrong")).error().kind, ErrorKind::wrong_pin);
  for (const char* name : {"root", "issuing", "citizen-aut", "citizen-sig", "citizen-qes", "citizen-enc"}) {
    EXPECT_TRUE(centre->certificate_profile(name)) << name;
  }
  const auto profile = centre->card_profile("citizen");
  ASSERT_TRUE(profile) << profile.error().message;
  for (const card::KeyProfile& key : profile->keys) EXPECT_TRUE(centre->certificate_profile(key.certificate_profile));
  struct stat about {};
  ASSERT_EQ(stat(centre->config().root.key.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777u, 0600u);
}

TEST_F(CentreTest, NeverOverwritesAndLeavesNothingBehind) {
  EXPECT_EQ(create_centre(folder_, options_, SecretBytes::copy_of("short"), clock_, random_).error().kind,
            ErrorKind::usage);
  EXPECT_FALSE(fs::exists(folder_));
  options_.country = "Russia";
  EXPECT_FALSE(create_centre(folder_, options_, passphrase_, clock_, random_));
  for (const auto& entry : fs::directory_iterator(folder_.parent_path())) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(folder_.filename().string())) << entry.path();
  }
  options_.country = "XX";
  fs::create_directories(folder_ / "something");
  EXPECT_EQ(create_centre(folder_, options_, passphrase_, clock_, random_).error().kind, ErrorKind::already_exists);
}

TEST_F(CentreTest, WrongNamesAreFoundBeforeAnythingIsAskedOrMade) {
  const auto kind = [&](const fs::path& folder) { return check_new_centre(folder, options_).error().kind; };
  EXPECT_EQ(kind(""), ErrorKind::usage);
  EXPECT_EQ(kind(folder_ / "missing" / "centre"), ErrorKind::not_found);
  EXPECT_TRUE(check_new_centre(folder_, options_));
  EXPECT_TRUE(check_new_centre(folder_.string() + "/", options_));
  options_.country = "xx";
  EXPECT_EQ(kind(folder_), ErrorKind::usage);
  options_.country = "XX";
  for (const std::string& name :
       {std::string(), std::string(54, 'x'), std::string("two\nlines"), std::string("\xff")}) {
    options_.name = name;
    EXPECT_EQ(kind(folder_), ErrorKind::usage) << name;
  }
  options_.name = std::string(53, 'x');
  EXPECT_TRUE(create_centre(folder_.string() + "/", options_, passphrase_, clock_, random_));
}

TEST_F(CentreTest, ProfileNamesStayInTheirFolder) {
  ASSERT_TRUE(create_centre(folder_, options_, passphrase_, clock_, random_));
  auto centre = *Centre::open(folder_, clock_, random_);
  EXPECT_EQ(centre.certificate_profile("../certificate/root").error().kind, ErrorKind::usage);
  EXPECT_EQ(centre.card_profile("").error().kind, ErrorKind::usage);
  EXPECT_EQ(centre.certificate_profile("none").error().kind, ErrorKind::not_found);
}

}  // namespace
}  // namespace karta::issuing
