#include "cli/secret_input.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace karta::cli {
namespace {

constexpr std::size_t kLongestSecret = 256;

/// One line of `descriptor`, octet by octet: reading ahead would swallow the next secret, or the next program's input.
/// The first half of the result tells whether anything, even an empty line, was there.
Result<std::pair<bool, SecretBytes>> read_line(int descriptor, std::size_t longest) {
  SecretBytes buffer(longest);
  std::size_t size = 0;
  bool any = false;
  for (;;) {
    std::uint8_t octet = 0;
    const ssize_t got = read(descriptor, &octet, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(ErrorKind::io, std::string("cannot read the secret: ") + std::strerror(errno));
    if (got == 0) break;
    any = true;
    if (octet == '\n') break;
    if (size == longest)
      return fail(ErrorKind::limit, "the secret is longer than " + std::to_string(longest) + " octets");
    buffer.expose_secret_mutable()[size++] = octet;
  }
  if (size > 0 && buffer.expose_secret()[size - 1] == '\r') --size;
  return std::pair(any, SecretBytes::copy_of(buffer.expose_secret().first(size)));
}

Status write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t put = write(descriptor, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return fail(ErrorKind::io, std::string("cannot write: ") + std::strerror(errno));
    text.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

class DescriptorInput final : public SecretInput {
 public:
  explicit DescriptorInput(int descriptor) : descriptor_(descriptor) {}

  Result<SecretBytes> ask(const SecretRequest& request) override {
    auto [any, secret] = TRY(read_line(descriptor_, kLongestSecret));
    if (!any) {
      return fail(ErrorKind::cancelled,
                  "file descriptor " + std::to_string(descriptor_) + " has no line for \"" + request.prompt + "\"",
                  "give one line for each secret the command asks, in its order");
    }
    return std::move(secret);
  }

 private:
  int descriptor_;
};

/// Turns echo off for its lifetime, and back on even when the person interrupts.
class SilentTerminal {
 public:
  explicit SilentTerminal(int terminal) : terminal_(terminal) {
    sigset_t stop;
    sigemptyset(&stop);
    for (const int signal : {SIGINT, SIGTERM, SIGTSTP, SIGHUP, SIGQUIT}) sigaddset(&stop, signal);
    sigprocmask(SIG_BLOCK, &stop, &signals_);
    active_ = tcgetattr(terminal, &before_) == 0;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
    silent.c_lflag |= ECHONL;
    if (active_) tcsetattr(terminal, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() {
    if (active_) tcsetattr(terminal_, TCSAFLUSH, &before_);
    sigprocmask(SIG_SETMASK, &signals_, nullptr);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  int terminal_;
  bool active_ = false;
  termios before_{};
  sigset_t signals_{};
};

class TerminalInput final : public SecretInput {
 public:
  Result<SecretBytes> ask(const SecretRequest& request) override {
    const int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) {
      return fail(
          ErrorKind::usage, "\"" + request.prompt + "\" is needed and there is no terminal to ask on",
          "give it through a file descriptor (--pin-fd, --passphrase-fd) or a pin-entry program (--pin-program)");
    }
    auto answer = ask_on(terminal, request);
    close(terminal);
    return answer;
  }

 private:
  static Result<SecretBytes> ask_on(int terminal, const SecretRequest& request) {
    std::string lead;
    if (!request.title.empty()) lead += request.title + "\n";
    if (!request.warning.empty()) lead += request.warning + "\n";
    TRY(write_all(terminal, lead));
    for (;;) {
      SecretBytes first = TRY(one(terminal, request.prompt + ": "));
      if (!request.repeat) return first;
      const SecretBytes second = TRY(one(terminal, "the same again: "));
      if (first.equals(second.expose_secret())) return first;
      TRY(write_all(terminal, "The two differ. Once more.\n"));
    }
  }

  static Result<SecretBytes> one(int terminal, const std::string& prompt) {
    TRY(write_all(terminal, prompt));
    const SilentTerminal silent(terminal);
    auto [any, secret] = TRY(read_line(terminal, kLongestSecret));
    // ISIG is off while the secret is typed, so control-C arrives as a character.
    const ByteView typed = secret.expose_secret();
    const bool interrupted = std::find(typed.begin(), typed.end(), 3) != typed.end();
    if (!any || interrupted || secret.empty()) return fail(ErrorKind::cancelled, "cancelled");
    return std::move(secret);
  }
};

/// GnuPG's pinentry and its kin: commands on its standard input, "D <data>" and "OK" or "ERR" on its output.
class ProgramInput final : public SecretInput {
 public:
  explicit ProgramInput(std::string program) : program_(std::move(program)) {}

  Result<SecretBytes> ask(const SecretRequest& request) override {
    int to_child[2], from_child[2];
    if (pipe2(to_child, O_CLOEXEC) != 0) return fail(ErrorKind::io, "cannot make a pipe");
    if (pipe2(from_child, O_CLOEXEC) != 0) {
      close(to_child[0]);
      close(to_child[1]);
      return fail(ErrorKind::io, "cannot make a pipe");
    }
    const pid_t child = fork();
    if (child == 0) {
      dup2(to_child[0], STDIN_FILENO);
      dup2(from_child[1], STDOUT_FILENO);
      execlp(program_.c_str(), program_.c_str(), static_cast<char*>(nullptr));
      _exit(127);
    }
    close(to_child[0]);
    close(from_child[1]);
    auto answer = child < 0 ? Result<SecretBytes>(fail(ErrorKind::io, "cannot start \"" + program_ + "\""))
                            : converse(from_child[0], to_child[1], request);
    close(to_child[1]);
    close(from_child[0]);
    if (child > 0) {
      int status = 0;
      while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
      }
      if (!answer && WIFEXITED(status) && WEXITSTATUS(status) == 127) {
        return fail(ErrorKind::not_found, "cannot start the pin-entry program \"" + program_ + "\"",
                    "install one (Debian: pinentry-curses, pinentry-gtk2), or leave --pin-program away");
      }
    }
    return answer;
  }

 private:
  /// Assuan escapes: percent, carriage return and line feed.
  static std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
      if (c == '%')
        out += "%25";
      else if (c == '\n')
        out += "%0A";
      else if (c == '\r')
        out += "%0D";
      else
        out += c;
    }
    return out;
  }

  static SecretBytes unescaped(ByteView text) {
    const auto value = [](std::uint8_t c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
    SecretBytes out(text.size());
    std::size_t size = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      std::uint8_t octet = text[i];
      if (octet == '%' && i + 2 < text.size()) {
        octet = static_cast<std::uint8_t>(value(text[i + 1]) << 4 | value(text[i + 2]));
        i += 2;
      }
      out.expose_secret_mutable()[size++] = octet;
    }
    return SecretBytes::copy_of(out.expose_secret().first(size));
  }

  /// Reads up to OK or ERR; the data line, if one came, is the secret.
  static Result<SecretBytes> reply(int from) {
    SecretBytes data;
    for (;;) {
      auto [any, line] = TRY(read_line(from, 1024));
      if (!any) return fail(ErrorKind::cancelled, "the pin-entry program ended without an answer");
      const std::string_view text = line.expose_secret_text();
      if (text.starts_with("D "))
        data = unescaped(line.expose_secret().subspan(2));
      else if (text == "OK" || text.starts_with("OK "))
        return data;
      else if (text.starts_with("ERR"))
        return fail(ErrorKind::cancelled, "cancelled in the pin-entry program");
    }
  }

  static Result<SecretBytes> converse(int from, int to, const SecretRequest& request) {
    // A program that ends early must not end us.
    signal(SIGPIPE, SIG_IGN);
    TRY(reply(from));  // its greeting
    const std::string description = request.warning.empty() ? request.title : request.title + "\n" + request.warning;
    // The curses and tty kinds draw on the terminal they are told of; others refuse the option, which is no harm.
    if (const char* const terminal = ttyname(STDERR_FILENO); terminal != nullptr) {
      TRY(write_all(to, "OPTION ttyname=" + std::string(terminal) + "\n"));
      (void)reply(from);
      const char* const type = std::getenv("TERM");
      TRY(write_all(to, "OPTION ttytype=" + std::string(type == nullptr ? "dumb" : type) + "\n"));
      (void)reply(from);
    }
    const std::string lines[] = {"SETTITLE karta", "SETDESC " + escaped(description),
                                 "SETPROMPT " + escaped(request.prompt),
                                 request.repeat ? "SETREPEAT the same again" : "NOP"};
    for (const std::string& line : lines) {
      TRY(write_all(to, line + "\n"));
      TRY(reply(from));
    }
    TRY(write_all(to, "GETPIN\n"));
    SecretBytes secret = TRY(reply(from));
    TRY(write_all(to, "BYE\n"));
    if (secret.empty()) return fail(ErrorKind::cancelled, "cancelled in the pin-entry program");
    return secret;
  }

  std::string program_;
};

}  // namespace

std::unique_ptr<SecretInput> make_secret_input(int descriptor, const std::string& program) {
  if (descriptor >= 0) return std::make_unique<DescriptorInput>(descriptor);
  if (!program.empty()) return std::make_unique<ProgramInput>(program);
  return std::make_unique<TerminalInput>();
}

}  // namespace karta::cli
