// What the tests of journals share: a folder with a journal, and a clock and an uptime of the test's own.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "crypto/testing.h"
#include "identity/journal/journal.h"

namespace karta::identity {

inline const Time kStart{std::chrono::seconds(1'790'000'000)};

class JournalTest : public testing::Test {
 protected:
  std::unique_ptr<Journal> open(const std::string& terminal = "0123456789abcdef") {
    JournalOptions options;
    options.uptime = [this] { return up_; };
    return crypto::testing::must(Journal::open(path(), terminal, clock_, options));
  }
  std::filesystem::path path() const { return folder_ / "journal"; }
  void pass(std::chrono::seconds time) {
    clock_.advance(time);
    up_ += time;
  }
  std::vector<JournalRecord> all(const Journal& journal) { return crypto::testing::must(journal.pages(0, 10'000)); }

  crypto::testing::TemporaryFolder folder_;
  FixedClock clock_{kStart};
  std::chrono::seconds up_{5000};
};

}  // namespace karta::identity
