#include "firmware-sim/link/control.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

namespace karta::sim {
namespace {

// Longer lines are no commands of ours: paths have at most 4,096 octets.
constexpr std::size_t kMaxLineBytes = 8192;

struct VerbRow {
  std::string_view word;
  ControlVerb verb;
};
constexpr auto kVerbs = std::to_array<VerbRow>({
    {"insert", ControlVerb::insert},
    {"remove", ControlVerb::remove},
    {"swap", ControlVerb::swap},
    {"reset", ControlVerb::reset},
    {"cut-power", ControlVerb::cut_power},
    {"status", ControlVerb::status},
    {"quit", ControlVerb::quit},
});

constexpr std::string_view kUsage =
    "say: insert [CARD], remove [CARD], swap [CARD] IMAGE, reset [CARD], cut-power [CARD] [command=N] [write=N], "
    "status, quit";

std::string_view word_of(LinkState state) {
  switch (state) {
    case LinkState::mute:
      return "mute: its memory is damaged";
    case LinkState::removed:
      return "out of the reader";
    case LinkState::waiting:
      return "waiting for the reader";
    case LinkState::connected:
      return "in the reader, not noticed yet";
    case LinkState::usable:
      return "in the reader";
  }
  return "";
}

// The next word of `line`, which it is taken from.
std::string_view take_word(std::string_view& line) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!line.empty() && blank(line.front())) line.remove_prefix(1);
  std::size_t end = 0;
  while (end < line.size() && !blank(line[end])) ++end;
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

template <class Number>
bool read_number(std::string_view digits, Number& out) {
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  return !digits.empty() && error == std::errc() && end == digits.data() + digits.size();
}

Result<sockaddr_un> socket_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(ErrorKind::usage, "the control socket's path \"" + path + "\" is too long",
                "give one of at most " + std::to_string(sizeof address.sun_path - 1) + " octets");
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

bool write_all(int file, std::string_view text) {
  while (!text.empty()) {
    // A socket's other end may be gone; standard output is a plain file to write to.
    ssize_t written = ::send(file, text.data(), text.size(), MSG_NOSIGNAL);
    if (written < 0 && errno == ENOTSOCK) written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

Result<ControlCommand> parse_control(std::string_view line) {
  const std::string_view word = take_word(line);
  const auto row = std::find_if(kVerbs.begin(), kVerbs.end(), [&](const VerbRow& each) { return each.word == word; });
  if (row == kVerbs.end()) {
    return fail(ErrorKind::usage, "unknown command \"" + std::string(word) + "\"", std::string(kUsage));
  }
  ControlCommand command{.verb = row->verb, .card = 1, .image = {}, .cut = {}};
  std::string_view rest = line;
  if (std::string_view digits = take_word(rest); read_number(digits, command.card)) line = rest;
  if (command.verb == ControlVerb::swap) {
    // The rest of the line: a path may have blanks in it.
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t')) line.remove_prefix(1);
    while (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) return fail(ErrorKind::usage, "swap needs the image of the other card", std::string(kUsage));
    command.image = line;
    return command;
  }
  while (true) {
    const std::string_view option = take_word(line);
    if (option.empty()) return command;
    const std::size_t equals = option.find('=');
    const std::string_view name = option.substr(0, equals);
    const std::string_view value = equals == std::string_view::npos ? std::string_view() : option.substr(equals + 1);
    const bool known = command.verb == ControlVerb::cut_power &&
                       ((name == "command" && read_number(value, command.cut.command) && command.cut.command > 0) ||
                        (name == "write" && read_number(value, command.cut.write)));
    if (!known) {
      return fail(ErrorKind::usage, std::string(word) + " does not take \"" + std::string(option) + "\"",
                  std::string(kUsage));
    }
  }
}

Error mute_card(unsigned card) {
  return {ErrorKind::card_unresponsive, "card " + std::to_string(card) + " does not start: its memory is damaged",
          "restore its image from a copy, or make another card"};
}

Result<std::string> CardFarm::obey(const ControlCommand& command) {
  if (command.verb == ControlVerb::quit) return std::string();
  if (command.verb == ControlVerb::status) {
    std::string text;
    for (std::size_t i = 0; i < links_.size(); ++i) {
      text += "card " + std::to_string(i + 1) + ": " + links_[i]->address().name() + ", " +
              std::string(word_of(links_[i]->state())) + ", " + std::to_string(links_[i]->commands()) + " commands\n";
    }
    return text;
  }
  if (command.card < 1 || command.card > links_.size()) {
    return fail(ErrorKind::usage, "there is no card " + std::to_string(command.card),
                "the cards here are 1 to " + std::to_string(links_.size()));
  }
  ReaderLink& link = card(command.card);
  const auto await = [&](LinkState state) -> Result<std::string> {
    if (link.wait_for(state, patience)) return std::string();
    if (link.state() == LinkState::mute) return fail(mute_card(command.card));
    if (state == LinkState::removed) {
      return fail(ErrorKind::card_busy, "card " + std::to_string(command.card) + " is still busy with a command");
    }
    return fail(ErrorKind::no_reader,
                "card " + std::to_string(command.card) + " is at " + link.address().name() +
                    ", but the reader has not taken notice of it",
                "is pcscd running with virtual readers, and is the slot free? see karta-sim setup-readers --help");
  };
  switch (command.verb) {
    case ControlVerb::insert:
      link.insert();
      return await(LinkState::usable);
    case ControlVerb::remove:
      link.remove();
      return await(LinkState::removed);
    case ControlVerb::swap:
      link.swap(TRY(loader_(command.image)));
      return await(LinkState::usable);
    case ControlVerb::reset:
      link.reset_card();
      return std::string();
    case ControlVerb::cut_power:
      link.cut_power_at(command.cut);
      return std::string();
    case ControlVerb::status:
    case ControlVerb::quit:
      break;
  }
  return std::string();
}

Result<std::unique_ptr<ControlDoor>> ControlDoor::open(const std::string& path, CardFarm& farm,
                                                       std::function<void()> on_quit) {
  if (path == "-") return std::unique_ptr<ControlDoor>(new ControlDoor(path, -1, farm, std::move(on_quit)));
  const sockaddr_un address = TRY(socket_address(path));
  const int listening = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listening < 0) return fail(ErrorKind::io, std::string("cannot make a control socket: ") + std::strerror(errno));
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  // A socket that a killed simulator left behind refuses connections and may be replaced; a live one, or any other kind
  // of file, may not.
  struct stat existing {};
  if (::lstat(path.c_str(), &existing) == 0) {
    if (!S_ISSOCK(existing.st_mode) || ::connect(listening, generic, sizeof address) == 0) {
      ::close(listening);
      return fail(ErrorKind::already_exists, "\"" + path + "\" is in use", "give another path for the control socket");
    }
    ::unlink(path.c_str());
  }
  const mode_t before = ::umask(0077);
  const bool bound = ::bind(listening, generic, sizeof address) == 0 && ::listen(listening, 8) == 0;
  const int code = errno;
  ::umask(before);
  if (!bound) {
    ::close(listening);
    return fail(ErrorKind::io, "cannot listen at \"" + path + "\": " + std::strerror(code));
  }
  return std::unique_ptr<ControlDoor>(new ControlDoor(path, listening, farm, std::move(on_quit)));
}

ControlDoor::ControlDoor(std::string path, int listening, CardFarm& farm, std::function<void()> on_quit)
    : path_(std::move(path)),
      listening_(listening),
      farm_(farm),
      on_quit_(std::move(on_quit)),
      stop_(::eventfd(0, EFD_CLOEXEC)) {
  KARTA_CHECK(stop_ >= 0);
  thread_ = std::thread([this] { run(); });
}

ControlDoor::~ControlDoor() {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_, &one, sizeof one);
  thread_.join();
  ::close(stop_);
  if (listening_ >= 0) {
    ::close(listening_);
    ::unlink(path_.c_str());
  }
}

void ControlDoor::run() {
  if (listening_ < 0) return converse(STDIN_FILENO, STDOUT_FILENO);
  std::array<pollfd, 2> waiting = {pollfd{.fd = listening_, .events = POLLIN, .revents = 0},
                                   pollfd{.fd = stop_, .events = POLLIN, .revents = 0}};
  for (;;) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) return;
    if (waiting[0].revents == 0) continue;
    const int client = ::accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) continue;
    converse(client, client);
    ::close(client);
  }
}

// Commands from `in` until it ends, answers to `out`.
void ControlDoor::converse(int in, int out) {
  std::string pending;
  std::array<pollfd, 2> waiting = {pollfd{.fd = in, .events = POLLIN, .revents = 0},
                                   pollfd{.fd = stop_, .events = POLLIN, .revents = 0}};
  for (;;) {
    if (::poll(waiting.data(), waiting.size(), -1) < 0 && errno != EINTR) return;
    if (waiting[1].revents != 0) return;
    if (waiting[0].revents == 0) continue;
    std::array<char, 1024> piece{};
    const ssize_t got = ::read(in, piece.data(), piece.size());
    if (got <= 0) return;
    pending.append(piece.data(), static_cast<std::size_t>(got));
    std::size_t end = 0;
    while ((end = pending.find('\n')) != std::string::npos) {
      const std::string line = pending.substr(0, end);
      pending.erase(0, end + 1);
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      const auto command = parse_control(line);
      const Result<std::string> answer = command ? farm_.obey(*command) : fail(command.error());
      std::string text;
      if (answer) {
        text = *answer + "ok\n";
      } else {
        text = "error: " + answer.error().message;
        if (!answer.error().next_step().empty()) text += " (" + std::string(answer.error().next_step()) + ")";
        text += '\n';
      }
      if (!write_all(out, text)) return;
      if (command && command->verb == ControlVerb::quit) {
        on_quit_();
        return;
      }
    }
    if (pending.size() > kMaxLineBytes) {
      write_all(out, "error: a command is one line of at most 8192 octets\n");
      return;
    }
  }
}

Result<std::string> ask_control(const std::string& path, const std::string& line) {
  const sockaddr_un address = TRY(socket_address(path));
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return fail(ErrorKind::io, std::string("cannot make a socket: ") + std::strerror(errno));
  const std::unique_ptr<const int, void (*)(const int*)> closing(&socket, [](const int* file) { ::close(*file); });
  if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return fail(ErrorKind::not_found, "no simulator listens at \"" + path + "\"",
                "start one with: karta-sim run IMAGE --control " + path);
  }
  if (!write_all(socket, line + "\n")) return fail(ErrorKind::io, "the simulator has gone");
  ::shutdown(socket, SHUT_WR);
  std::string answer;
  std::array<char, 1024> piece{};
  for (;;) {
    const ssize_t got = ::read(socket, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    answer.append(piece.data(), static_cast<std::size_t>(got));
  }
  constexpr std::string_view kOk = "ok\n";
  constexpr std::string_view kError = "error: ";
  if (answer.ends_with(kOk)) return answer.substr(0, answer.size() - kOk.size());
  if (answer.starts_with(kError)) {
    return fail(ErrorKind::usage, answer.substr(kError.size(), answer.find('\n') - kError.size()));
  }
  return fail(ErrorKind::io, "the simulator has gone");
}

}  // namespace karta::sim
