#include "cli/secret_input.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace karta::cli {
namespace {

/// A pipe holding `text`, its writing end closed.
int pipe_with(std::string_view text) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  EXPECT_EQ(write(ends[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  close(ends[1]);
  return ends[0];
}

TEST(SecretInput, DescriptorGivesOneLineAtATime) {
  const int descriptor = pipe_with("123456\r\n98765\nlast");
  const auto input = make_secret_input(descriptor, "");
  EXPECT_TRUE(input->ask({"", "PIN1", ""})->equals(as_bytes("123456")));
  EXPECT_TRUE(input->ask({"", "PIN2", ""})->equals(as_bytes("98765")));
  EXPECT_TRUE(input->ask({"", "PUK", ""})->equals(as_bytes("last")));
  const auto none = input->ask({"", "PIN3", ""});
  EXPECT_EQ(none.error().kind, ErrorKind::cancelled);
  EXPECT_NE(none.error().message.find("PIN3"), std::string::npos);
  close(descriptor);
}

TEST(SecretInput, DescriptorRefusesALineWithoutEnd) {
  const int descriptor = pipe_with(std::string(300, '1'));
  EXPECT_EQ(make_secret_input(descriptor, "")->ask({"", "PIN", ""}).error().kind, ErrorKind::limit);
  close(descriptor);
}

/// A pin-entry program of the test's own, answering GETPIN with `answer`.
class PinEntry {
 public:
  explicit PinEntry(const std::string& answer) {
    path_ = std::filesystem::temp_directory_path() / ("karta-pinentry-" + std::to_string(getpid()));
    std::ofstream out(path_);
    out << "#!/bin/sh\necho 'OK ready'\nwhile read -r line; do\n  case \"$line\" in\n    GETPIN) " << answer
        << " ;;\n    BYE) echo OK; exit 0 ;;\n    *) echo OK ;;\n  esac\ndone\n";
    out.close();
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
  }
  ~PinEntry() { std::filesystem::remove(path_); }
  PinEntry(const PinEntry&) = delete;
  PinEntry& operator=(const PinEntry&) = delete;
  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

TEST(SecretInput, PinEntryProgramIsAsked) {
  const PinEntry program("echo 'D 12%2556'; echo OK");
  EXPECT_TRUE(
      make_secret_input(-1, program.path())->ask({"sign\nthis", "PIN1", "1 try left"})->equals(as_bytes("12%56")));
}

TEST(SecretInput, PinEntryProgramMayRefuse) {
  const PinEntry program("echo 'ERR 83886179 cancelled'");
  EXPECT_EQ(make_secret_input(-1, program.path())->ask({"", "PIN1", ""}).error().kind, ErrorKind::cancelled);
}

TEST(SecretInput, MissingPinEntryProgramIsNamed) {
  const auto answer = make_secret_input(-1, "/nonexistent/pinentry")->ask({"", "PIN1", ""});
  EXPECT_EQ(answer.error().kind, ErrorKind::not_found);
  EXPECT_NE(answer.error().message.find("/nonexistent/pinentry"), std::string::npos);
}

}  // namespace
}  // namespace karta::cli
