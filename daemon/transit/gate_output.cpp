#include "daemon/transit/gate_output.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "base/bytes.h"
#include "base/descriptor.h"

extern char** environ;

namespace karta::daemon {
namespace {

namespace fs = std::filesystem;

tl::unexpected<Error> broken(const std::string& what, int fault) {
  return fail(ErrorKind::io, "the gate's output " + what + ": " + std::strerror(fault));
}

}  // namespace

Result<std::unique_ptr<GateOutput>> FileOutput::make(fs::path path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) == 0 && S_ISFIFO(found.st_mode)) {
    return std::unique_ptr<GateOutput>(new FileOutput(std::move(path)));  // who reads it may come later
  }
  const Descriptor file(::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640));
  if (file.get() < 0) return broken("\"" + path.string() + "\" cannot be written", errno);
  return std::unique_ptr<GateOutput>(new FileOutput(std::move(path)));
}

Status FileOutput::open(const GateOpening& opening) {
  const std::string line = "open " + std::to_string(opening.gate) + " " + std::to_string(opening.number) + " " +
                           format_time(opening.at) + "\n";
  // One write: lines of several gates do not mix, and a crash leaves a whole line or none.
  const Descriptor file(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640));
  if (file.get() < 0) return broken("\"" + path_.string() + "\" cannot be written", errno);
  const ssize_t written = ::write(file.get(), line.data(), line.size());
  if (written < 0) return broken("\"" + path_.string() + "\" cannot be written", errno);
  if (static_cast<std::size_t>(written) != line.size()) return broken("took half a line", ENOSPC);
  return {};
}

std::optional<std::uint32_t> FileOutput::last_opened(std::uint32_t gate) const {
  constexpr off_t kEnd = 64 * 1024;  // some 1,600 openings
  const Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat found {};
  if (file.get() < 0 || ::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) return std::nullopt;
  const off_t from = found.st_size > kEnd ? found.st_size - kEnd : 0;
  std::string text(static_cast<std::size_t>(found.st_size - from), '\0');
  const ssize_t got = ::pread(file.get(), text.data(), text.size(), from);
  if (got < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(got));
  const std::string wanted = "open " + std::to_string(gate) + " ";
  // A gate that stands nowhere in the end of a long file cannot be told of; in a whole file it never opened.
  std::optional<std::uint32_t> last = from == 0 ? std::optional<std::uint32_t>(0) : std::nullopt;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    if (!line.starts_with(wanted)) continue;
    std::uint32_t number = 0;
    const auto [stop, fault] = std::from_chars(line.data() + wanted.size(), line.data() + line.size(), number);
    if (fault == std::errc() && stop != line.data() + wanted.size()) last = std::max(last.value_or(0), number);
  }
  return last;
}

/// Waits for the programs started, so that none stays behind as a zombie.
struct CommandOutput::Reaper {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<pid_t> running;
  bool stopping = false;
  std::atomic<int> count{0};
  std::thread thread;

  Reaper() : thread([this] { run(); }) {}
  void run() {
    constexpr std::chrono::milliseconds kLook{20};
    std::unique_lock lock(mutex);
    while (!stopping) {
      if (running.empty()) {
        wake.wait(lock, [this] { return stopping || !running.empty(); });
        continue;
      }
      std::erase_if(running, [this](pid_t child) {
        const bool ended = ::waitpid(child, nullptr, WNOHANG) != 0;
        if (ended) count.fetch_sub(1);
        return ended;
      });
      wake.wait_for(lock, kLook, [this] { return stopping; });
    }
  }
  ~Reaper() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    thread.join();
  }
};

CommandOutput::CommandOutput(std::vector<std::string> arguments)
    : arguments_(std::move(arguments)), reaper_(std::make_unique<Reaper>()) {}
CommandOutput::~CommandOutput() = default;

Status CommandOutput::open(const GateOpening& opening) {
  const auto replace = [](std::string& text, std::string_view name, const std::string& value) {
    for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + value.size())) {
      text.replace(at, name.size(), value);
    }
  };
  std::vector<std::string> words = arguments_;
  for (std::string& word : words) {
    replace(word, "{gate}", std::to_string(opening.gate));
    replace(word, "{number}", std::to_string(opening.number));
  }
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  if (reaper_->count.fetch_add(1) >= kMostRunning) {
    reaper_->count.fetch_sub(1);
    return broken("\"" + arguments_.front() + "\" does not end", EAGAIN);
  }
  // Descriptors of the daemon are closed on exec; standard input is nobody's.
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  // The daemon's threads block signals: a program begins with none blocked.
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  pid_t child = 0;
  const int fault = ::posix_spawn(&child, argv[0], &actions, &attributes, argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  if (fault != 0) {
    reaper_->count.fetch_sub(1);
    return broken("\"" + arguments_.front() + "\" cannot be run", fault);
  }
  {
    const std::lock_guard lock(reaper_->mutex);
    reaper_->running.push_back(child);
  }
  reaper_->wake.notify_one();
  return {};
}

}  // namespace karta::daemon
