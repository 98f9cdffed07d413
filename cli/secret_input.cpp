#include "cli/secret_input.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <clocale>
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

/// The signals that would end the program, turned into octets of a pipe for its lifetime. Handlers and not a mask,
/// since masks are each thread's own and the PC/SC library may have started threads. One at a time in a process.
class HeldSignals {
 public:
  HeldSignals() {
    if (pipe2(ends_, O_CLOEXEC | O_NONBLOCK) != 0) {
      ends_[0] = ends_[1] = -1;
      return;
    }
    write_end_ = ends_[1];
    for (std::size_t i = 0; i < kSignals.size(); ++i) {
      struct sigaction held {};
      held.sa_handler = note;
      held.sa_flags = SA_RESTART;
      sigaction(kSignals[i], nullptr, &before_[i]);
      if (before_[i].sa_handler != SIG_IGN) sigaction(kSignals[i], &held, nullptr);
    }
  }
  ~HeldSignals() {
    if (ends_[0] < 0) return;
    for (std::size_t i = 0; i < kSignals.size(); ++i) sigaction(kSignals[i], &before_[i], nullptr);
    // Control-C was taken as the answer "no". Anything else does now what it would have done.
    for (std::uint8_t number = 0; read(ends_[0], &number, 1) == 1;) {
      if (number != SIGINT) raise(number);
    }
    write_end_ = -1;
    close(ends_[0]);
    close(ends_[1]);
  }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

  /// Waits until `terminal` has a line (false) or a signal has come (true).
  bool come_before_a_line(int terminal) const {
    pollfd waited[2] = {{terminal, POLLIN, 0}, {ends_[0], POLLIN, 0}};
    while (poll(waited, 2, -1) < 0) {
      if (errno != EINTR) return false;
    }
    return (waited[1].revents & POLLIN) != 0;
  }

 private:
  static constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP, SIGQUIT};

  static void note(int signal) {
    const int kept = errno;
    const auto number = static_cast<std::uint8_t>(signal);
    if (write(write_end_, &number, 1) != 1) {
      // The pipe is full of signals: one of them will do.
    }
    errno = kept;
  }

  static inline volatile int write_end_ = -1;
  int ends_[2];
  std::array<struct sigaction, kSignals.size()> before_{};
};

/// Turns echo off for its lifetime.
class SilentTerminal {
 public:
  explicit SilentTerminal(int terminal) : terminal_(terminal) {
    active_ = tcgetattr(terminal, &before_) == 0;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    silent.c_cc[VSUSP] = _POSIX_VDISABLE;  // a program stopped in the middle of a PIN helps nobody
    if (active_) tcsetattr(terminal, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() {
    if (active_) tcsetattr(terminal_, TCSAFLUSH, &before_);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

 private:
  int terminal_;
  bool active_ = false;
  termios before_{};
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
    auto secret = typed(terminal);
    // The end of the line was not echoed where the person broke off.
    if (!secret && secret.error().kind == ErrorKind::cancelled) (void)write_all(terminal, "\n");
    return secret;
  }

  static Result<SecretBytes> typed(int terminal) {
    const HeldSignals signals;  // ends after `silent`: echo is back before a signal does its work
    const SilentTerminal silent(terminal);
    if (signals.come_before_a_line(terminal)) return fail(ErrorKind::cancelled, "cancelled");
    auto [any, secret] = TRY(read_line(terminal, kLongestSecret));
    if (!any || secret.empty()) return fail(ErrorKind::cancelled, "cancelled");
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

  /// Reads up to OK or ERR; the data line, if one came, is the secret. `repeated` is set where the program says that it
  /// had the secret typed twice.
  static Result<SecretBytes> reply(int from, bool* repeated = nullptr) {
    SecretBytes data;
    for (;;) {
      auto [any, line] = TRY(read_line(from, 1024));
      if (!any) return fail(ErrorKind::cancelled, "the pin-entry program ended without an answer");
      const std::string_view text = line.expose_secret_text();
      if (text.starts_with("D "))
        data = unescaped(line.expose_secret().subspan(2));
      else if (text.starts_with("S PIN_REPEATED") && repeated != nullptr)
        *repeated = true;
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
    const char* const terminal = ttyname(STDERR_FILENO);
    const char* const type = std::getenv("TERM");
    const char* const locale = std::setlocale(LC_CTYPE, nullptr);
    if (terminal != nullptr) {
      TRY(option(from, to, "ttyname", terminal));
      TRY(option(from, to, "ttytype", type == nullptr ? "dumb" : type));
    }
    if (locale != nullptr) TRY(option(from, to, "lc-ctype", locale));
    TRY(order(from, to, "SETTITLE karta"));
    TRY(order(from, to, "SETDESC " + escaped(description)));
    if (request.repeat) {
      // Not every kind knows it; whether it was done shows in the answer.
      TRY(write_all(to, "SETREPEAT the same again\n"));
      (void)reply(from);
    }
    bool repeated = false;
    SecretBytes secret = TRY(get_pin(from, to, request.prompt, &repeated));
    if (request.repeat && !repeated) {
      const SecretBytes second = TRY(get_pin(from, to, "the same again", nullptr));
      if (!secret.equals(second.expose_secret())) {
        return fail(ErrorKind::cancelled, "the two differ", "nothing was changed: start again");
      }
    }
    TRY(write_all(to, "BYE\n"));
    return secret;
  }

  static Status option(int from, int to, const char* name, const std::string& value) {
    TRY(write_all(to, std::string("OPTION ") + name + "=" + escaped(value) + "\n"));
    (void)reply(from);
    return {};
  }

  static Status order(int from, int to, const std::string& line) {
    TRY(write_all(to, line + "\n"));
    TRY(reply(from));
    return {};
  }

  static Result<SecretBytes> get_pin(int from, int to, const std::string& prompt, bool* repeated) {
    TRY(order(from, to, "SETPROMPT " + escaped(prompt)));
    TRY(write_all(to, "GETPIN\n"));
    SecretBytes secret = TRY(reply(from, repeated));
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
