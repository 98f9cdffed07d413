#include "cli/secret_input.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

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

/// A program of the test's own, in place of a pin-entry program.
class PinEntryScript {
 public:
  explicit PinEntryScript(const std::string& lines) {
    path_ = std::filesystem::temp_directory_path() / ("karta-pinentry-script-" + std::to_string(getpid()));
    std::ofstream(path_) << "#!/bin/sh\n" << lines;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_all);
  }
  ~PinEntryScript() { std::filesystem::remove(path_); }
  PinEntryScript(const PinEntryScript&) = delete;
  PinEntryScript& operator=(const PinEntryScript&) = delete;
  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Answers GETPIN with `first`, and every later one with `then`.
std::string answers(const std::string& first, const std::string& then) {
  return "n=0\necho OK\nwhile read -r line; do\n  case \"$line\" in\n    SETREPEAT*) echo 'ERR 1 unknown' ;;\n"
         "    GETPIN) n=$((n+1)); if [ $n = 1 ]; then " +
         first + "; else " + then + "; fi ;;\n    BYE) echo OK; exit ;;\n    *) echo OK ;;\n  esac\ndone\n";
}

TEST(SecretInput, NewSecretIsTypedTwiceInAPinEntryProgram) {
  const SecretRequest request{"", "new PIN1", "", true};
  const auto ask = [&](const std::string& script) {
    const PinEntryScript program(script);
    return make_secret_input(-1, program.path())->ask(request);
  };
  EXPECT_TRUE(ask(answers("echo 'D 135790'; echo OK", "echo 'D 135790'; echo OK"))->equals(as_bytes("135790")));
  const auto differing = ask(answers("echo 'D 135790'; echo OK", "echo 'D 135791'; echo OK"));
  ASSERT_FALSE(differing);
  EXPECT_EQ(differing.error().kind, ErrorKind::cancelled);
  // One that repeats by itself says so, and is not asked again.
  EXPECT_TRUE(ask(answers("echo 'D 135790'; echo 'S PIN_REPEATED'; echo OK", "echo 'ERR 1 asked again'"))
                  ->equals(as_bytes("135790")));
}

/// A person at a terminal: a child process has the terminal, the test types.
class Person {
 public:
  /// The child asks once and ends with 0 (it was "135790"), 1 (something else), or 100 and the error's kind.
  explicit Person(bool repeat) {
    child_ = forkpty(&keyboard_, nullptr, nullptr, nullptr);
    if (child_ != 0) return;
    std::thread([] { pause(); }).detach();  // as a library may have: signals could come to it
    const auto answer = make_secret_input(-1, "")->ask({"", "PIN1", "", repeat});
    termios now{};
    tcgetattr(STDIN_FILENO, &now);
    if ((now.c_lflag & ECHO) == 0) _exit(99);
    if (!answer) _exit(100 + static_cast<int>(answer.error().kind));
    _exit(answer->equals(as_bytes("135790")) ? 0 : 1);
  }
  ~Person() {
    if (child_ > 0) kill(child_, SIGKILL);
    close(keyboard_);
  }
  Person(const Person&) = delete;
  Person& operator=(const Person&) = delete;

  /// Reads the screen until `words` stand on it and echo is off, so that what is typed next is for the prompt.
  bool sees(const std::string& words) {
    for (;;) {
      if (seen_.find(words) != std::string::npos) {
        seen_.erase(0, seen_.find(words) + words.size());
        break;
      }
      if (!read_some()) return false;
    }
    for (int i = 0; i < 20'000; ++i) {
      termios now{};
      if (tcgetattr(keyboard_, &now) == 0 && (now.c_lflag & ECHO) == 0) return true;
      poll(nullptr, 0, 1);  // no event tells of a terminal's flags
    }
    return false;
  }
  void types(std::string_view text) {
    ASSERT_EQ(write(keyboard_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void gets(int signal) { kill(child_, signal); }
  /// The child's exit code, or minus the signal that ended it.
  int ends() {
    while (read_some()) {
    }
    int status = 0;
    waitpid(child_, &status, 0);
    child_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  const std::string& screen() const { return seen_; }

 private:
  bool read_some() {
    pollfd waited{keyboard_, POLLIN, 0};
    if (poll(&waited, 1, 20'000) != 1) return false;
    char buffer[256];
    const ssize_t got = read(keyboard_, buffer, sizeof buffer);
    if (got <= 0) return false;  // EIO: the child has closed the terminal
    seen_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  pid_t child_ = -1;
  int keyboard_ = -1;
  std::string seen_;
};

TEST(SecretInput, TerminalTakesALineWithoutShowingIt) {
  Person person(true);
  ASSERT_TRUE(person.sees("PIN1: "));
  person.types("135790\n");
  ASSERT_TRUE(person.sees("the same again: "));
  person.types("135791\n");
  ASSERT_TRUE(person.sees("The two differ. Once more."));
  ASSERT_TRUE(person.sees("PIN1: "));
  person.types("135790\n");
  ASSERT_TRUE(person.sees("the same again: "));
  person.types("135790\n");
  EXPECT_EQ(person.ends(), 0);
  EXPECT_EQ(person.screen().find("1357"), std::string::npos);
}

TEST(SecretInput, ControlCAtThePromptCancelsAtOnceAndEchoIsBack) {
  Person person(false);
  ASSERT_TRUE(person.sees("PIN1: "));
  person.types("13\x03");  // no line end
  EXPECT_EQ(person.ends(), 100 + static_cast<int>(ErrorKind::cancelled));
}

TEST(SecretInput, EndOfInputAndAnEmptyLineCancel) {
  for (const char* const typed : {"\x04", "\n"}) {
    Person person(false);
    ASSERT_TRUE(person.sees("PIN1: "));
    person.types(typed);
    EXPECT_EQ(person.ends(), 100 + static_cast<int>(ErrorKind::cancelled));
  }
}

TEST(SecretInput, AProgramToldToEndDoesSoAtThePrompt) {
  Person person(false);
  ASSERT_TRUE(person.sees("PIN1: "));
  person.gets(SIGTERM);
  EXPECT_EQ(person.ends(), -SIGTERM);
}

}  // namespace
}  // namespace karta::cli
