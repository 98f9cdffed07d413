#include "tests/kartad/farm/farm_process.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "tests/kartad/farm/farm_wire.h"

extern char** environ;

namespace karta::test {

FarmDaemon::FarmDaemon(const std::filesystem::path& config, std::vector<std::string> readers)
    : readers_(std::move(readers)), gates_(readers_.size()) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  control_ = ends[0];
  // Beyond what is open here, so that no number is in its own way.
  constexpr int kTheirs = 500;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], kTheirs);
  std::vector<std::string> words = {std::string(KARTA_BINARY_DIR) + "/test/farm_daemon", config.string(),
                                    std::to_string(kTheirs)};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  EXPECT_EQ(::posix_spawn(&child_, argv[0], &actions, nullptr, argv.data(), environ), 0) << argv[0];
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  listener_ = std::thread([this] { listen(); });
}

FarmDaemon::~FarmDaemon() {
  kill();
  listener_.join();
  ::close(control_);
}

bool FarmDaemon::kill() {
  if (killed_.exchange(true)) return false;
  ::kill(child_, SIGKILL);
  int status = 0;
  ::waitpid(child_, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << "the daemon ended by itself: " << status;
  return true;
}

bool FarmDaemon::await_up() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kFarmPatience, [this] { return up_ || ended_; }) && up_;
}

bool FarmDaemon::await(unsigned gate, const std::function<bool(const Gate&)>& what) {
  bool ended = false, came = false;
  {
    std::unique_lock lock(mutex_);
    came = changed_.wait_for(lock, kFarmPatience, [&] { return ended_ || what(gates_.at(gate)); });
    ended = ended_;
  }
  if (ended) kill();  // which tells whether somebody did
  return came;
}

FarmDaemon::Gate FarmDaemon::gate(unsigned which) const {
  const std::lock_guard lock(mutex_);
  return gates_.at(which);
}

void FarmDaemon::forget_taps(unsigned gate) {
  const std::lock_guard lock(mutex_);
  gates_.at(gate).taps = 0;
}

void FarmDaemon::poke() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

void FarmDaemon::tell(char letter, unsigned gate) {
  const std::lock_guard lock(telling_);
  send_message(control_, letter, as_bytes(readers_.at(gate)));
}

void FarmDaemon::listen() {
  while (const auto message = receive_message(control_)) take(message->letter, message->text());
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

void FarmDaemon::take(char letter, const std::string& words) {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
  if (letter == 'U') {
    up_ = true;
    return;
  }
  const std::size_t bar = words.find('|');
  const auto found = std::find(readers_.begin(), readers_.end(), words.substr(0, bar));
  if (found == readers_.end()) return;
  Gate& gate = gates_.at(static_cast<std::size_t>(found - readers_.begin()));
  const std::string word = words.substr(bar + 1);
  if (letter == 'D') {
    const std::size_t second = word.find('|');
    gate.taps += 1;
    gate.decision = word.substr(0, second);
    gate.settled = word.substr(second + 1) == "settled";
    return;
  }
  // A reader that comes back quickly has two threads for a moment.
  if (word == "in") gate.threads += 1;
  if (word == "out") gate.threads -= 1;
  if (word == "begin") gate.at_work += 1;
  if (word == "end") gate.at_work -= 1;
  gate.card = word == "begin" || (gate.card && word != "card-out" && word != "out" && word != "in");
}

void FarmPcscd::restart(bool crash) {
  if (crash) {
    std::ifstream file("/run/karta-private-pcscd/pid");
    pid_t pid = 0;
    ASSERT_TRUE(file >> pid && pid > 1) << "no pcscd of our own";
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
  }
  const char* const tool = std::getenv("KARTA_PRIVATE_PCSCD");
  ASSERT_NE(tool, nullptr);
  std::string program = tool, word = "restart";
  char* const argv[] = {program.data(), word.data(), nullptr};
  ASSERT_EQ(::posix_spawn(&restarting_, argv[0], nullptr, nullptr, argv, environ), 0) << program;
}

void FarmPcscd::await_back() {
  int status = 0;
  ASSERT_EQ(::waitpid(restarting_, &status, 0), restarting_);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "pcscd does not come back";
}

}  // namespace karta::test
