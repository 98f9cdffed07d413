#include "cli/secret_input.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

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

/// Turns echo off for its lifetime. Signals that would end or stop the program wait meanwhile, so that echo is always
/// put back first; `interrupted` tells that one has come.
class SilentTerminal {
 public:
  explicit SilentTerminal(int terminal) : terminal_(terminal) {
    sigset_t held;
    sigemptyset(&held);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) sigaddset(&held, signal);
    pthread_sigmask(SIG_BLOCK, &held, &signals_);
    arrived_ = signalfd(-1, &held, SFD_CLOEXEC | SFD_NONBLOCK);
    active_ = tcgetattr(terminal, &before_) == 0;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    silent.c_cc[VSUSP] = _POSIX_VDISABLE;  // a program stopped in the middle of a PIN helps nobody
    if (active_) tcsetattr(terminal, TCSAFLUSH, &silent);
  }
  ~SilentTerminal() {
    if (active_) tcsetattr(terminal_, TCSAFLUSH, &before_);
    if (arrived_ >= 0) close(arrived_);
    pthread_sigmask(SIG_SETMASK, &signals_, nullptr);
  }
  SilentTerminal(const SilentTerminal&) = delete;
  SilentTerminal& operator=(const SilentTerminal&) = delete;

  /// Waits until a line is typed (false), or a signal came (true). Control-C is taken as the answer "no"; other signals
  /// stay pending and do what they do once echo is back.
  bool interrupted() const {
    pollfd waited[2] = {{terminal_, POLLIN, 0}, {arrived_, POLLIN, 0}};
    for (;;) {
      const int ready = poll(waited, arrived_ >= 0 ? 2 : 1, -1);
      if (ready < 0 && errno == EINTR) continue;
      if (ready < 0 || (waited[1].revents & POLLIN) == 0) return false;
      sigset_t interrupt;
      sigemptyset(&interrupt);
      sigaddset(&interrupt, SIGINT);
      const timespec at_once{0, 0};
      sigtimedwait(&interrupt, nullptr, &at_once);
      return true;
    }
  }

 private:
  int terminal_;
  int arrived_ = -1;
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
    auto secret = typed(terminal);
    // The end of the line was not echoed where the person broke off.
    if (!secret && secret.error().kind == ErrorKind::cancelled) (void)write_all(terminal, "\n");
    return secret;
  }

  static Result<SecretBytes> typed(int terminal) {
    const SilentTerminal silent(terminal);
    if (silent.interrupted()) return fail(ErrorKind::cancelled, "cancelled");
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
