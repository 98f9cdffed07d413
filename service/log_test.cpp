#include "service/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <sstream>
#include <thread>

namespace karta::service {
namespace {

TEST(LogTest, ALineStaysALine) {
  set_up_log({.level = LogLevel::info, .for_journal = true});
  testing::internal::CaptureStderr();
  log_warning("a name\nand \x7f more");
  log(LogLevel::debug, "below the level");
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "<4>a name\\x0aand \\x7f more\n");
}

// As on SIGHUP: a configuration is read anew while every thread goes on logging. ThreadSanitizer sees more than the
// lines do.
TEST(LogTest, IsSetUpAnewWhileOthersLog) {
  constexpr int kLines = 300;
  const LogOptions options{.level = LogLevel::info, .for_journal = true};
  set_up_log(options);
  testing::internal::CaptureStderr();
  std::array<std::thread, 2> others;
  for (std::thread& one : others) {
    one = std::thread([] {
      for (int i = 0; i < kLines; ++i) log_info("a word");
    });
  }
  for (int i = 0; i < kLines; ++i) set_up_log(options);
  for (std::thread& one : others) one.join();
  std::istringstream text(testing::internal::GetCapturedStderr());
  int lines = 0;
  for (std::string line; std::getline(text, line); ++lines) EXPECT_EQ(line, "<6>a word");
  EXPECT_EQ(lines, 2 * kLines);
}

}  // namespace
}  // namespace karta::service
