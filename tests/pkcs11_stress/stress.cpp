// pkcs11_stress MODE OPTIONS: treats a PKCS #11 module as badly as programs and people do. Every signature is verified.
//
//   sign      threads sign at once, in one part and in parts
//   events    threads sign while --event is run --rounds times (a card pulled and put back, pcscd restarted): calls
//             may fail with what the standard has for it, none hangs, and every thread signs again afterwards
//   fork      children are forked in mid-session: stale handles, a new C_Initialize, an exit without a word
//   load      the module is loaded and unloaded; processes end without C_Finalize, and under threads that sign
//   wait      a thread in C_WaitForSlotEvent is told of a card pulled and put back; C_Finalize ends its wait
//   bench     time from dlopen to the first signature, and of --rounds more; JSON on standard output
//
// Options: --module FILE --token LABEL --pin PIN --key ID=PUBLIC.pem (hexadecimal ID; more than one for more keys)
//   --slot-index N (instead of --token: no question for token labels) --threads N --rounds N --limit MILLISECONDS
//   (longest call, time of pcscd not counted) --whole-limit MILLISECONDS (longest call, all counted) --own-locks
//   --event COMMAND (shell; may be given twice: for "wait", out and in)
// Exit code: 0, or 1 after a line that begins with "FAULT".
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <random>
#include <thread>

#include "tests/pkcs11_stress/module.h"
#include "tests/pkcs11_stress/pcsc_time.h"
#include "tests/pkcs11_stress/public_key.h"
#include "tests/pkcs11_stress/watchdog.h"

namespace karta::pkcs11_stress {
namespace {

using std::chrono::milliseconds;

// Longest wait for something that must come: a thread's next signature after an event, a child's end.
constexpr std::chrono::seconds patience{30};
constexpr unsigned child_seconds = 60;
constexpr milliseconds look_again{20};
// ThreadSanitizer does not survive new threads in the child of a program with threads.
#ifdef __SANITIZE_THREAD__
constexpr bool children_may_start = false;
#else
constexpr bool children_may_start = true;
#endif

struct Options {
  std::string mode, module, token, pin;
  std::deque<Target> targets;
  std::deque<PublicKey> keys;  // of the targets, in their order
  std::optional<std::size_t> slot_index;
  std::size_t threads = 16;
  int rounds = 20;
  Limits limits;
  Locking locking = Locking::operating_system;
  std::vector<std::string> events;
};

[[noreturn]] void usage(const std::string& why) {
  std::fprintf(stderr, "error: %s\nhint: the first lines of stress.cpp say what there is\n", why.c_str());
  std::exit(64);
}

Octets from_hex(const std::string& hex) {
  Octets octets;
  for (std::size_t at = 0; at + 1 < hex.size(); at += 2) {
    octets.push_back(static_cast<unsigned char>(std::stoul(hex.substr(at, 2), nullptr, 16)));
  }
  return octets;
}

Options parse(int count, char** words) {
  Options options;
  if (count < 2) usage("no mode given");
  options.mode = words[1];
  std::vector<std::string> keys;
  for (int at = 2; at < count; ++at) {
    const std::string word = words[at];
    if (word == "--own-locks") {
      options.locking = Locking::callbacks;
      continue;
    }
    if (at + 1 >= count) usage(word + " wants a value");
    const std::string value = words[++at];
    if (word == "--module") {
      options.module = value;
    } else if (word == "--token") {
      options.token = value;
    } else if (word == "--pin") {
      options.pin = value;
    } else if (word == "--key") {
      keys.push_back(value);
    } else if (word == "--slot-index") {
      options.slot_index = std::stoul(value);
    } else if (word == "--threads") {
      options.threads = std::stoul(value);
    } else if (word == "--rounds") {
      options.rounds = std::stoi(value);
    } else if (word == "--limit") {
      options.limits.own = milliseconds(std::stol(value));
    } else if (word == "--whole-limit") {
      options.limits.whole = milliseconds(std::stol(value));
    } else if (word == "--event") {
      options.events.push_back(value);
    } else {
      usage("unknown option " + word);
    }
  }
  for (const std::string& key : keys) {
    const std::size_t equals = key.find('=');
    if (equals == std::string::npos) usage("--key takes ID=FILE");
    options.keys.emplace_back(key.substr(equals + 1));
    options.targets.push_back({options.token, options.pin, from_hex(key.substr(0, equals)), options.keys.back().rsa()});
  }
  if (options.module.empty() || options.targets.empty()) usage("--module and --key are wanted");
  return options;
}

void must(CK_RV rv, const char* what) {
  if (rv != CKR_OK) fault(std::string(what) + ": " + name_of(rv));
}

CK_SLOT_ID slot_that_is_there(const Module& module, const Options& options) {
  if (options.slot_index) {
    const std::vector<CK_SLOT_ID> slots = module.slots();
    if (slots.size() <= *options.slot_index) fault("too few slots");
    return slots[*options.slot_index];
  }
  const auto slot = module.slot_of(options.token);
  if (!slot) fault("no token \"" + options.token + "\"");
  return *slot;
}

Octets some_text(std::minstd_rand& random) {
  Octets text(1 + random() % 3'000);
  for (unsigned char& octet : text) octet = static_cast<unsigned char>(random());
  return text;
}

/// What a call may say while its card or pcscd is away, or has just come back.
bool says_away(CK_RV rv) {
  constexpr CK_RV away[] = {
      CKR_DEVICE_REMOVED,     CKR_TOKEN_NOT_PRESENT,    CKR_SESSION_HANDLE_INVALID,   CKR_SESSION_CLOSED,
      CKR_USER_NOT_LOGGED_IN, CKR_KEY_HANDLE_INVALID,   CKR_OBJECT_HANDLE_INVALID,    CKR_DEVICE_ERROR,
      CKR_SLOT_ID_INVALID,    CKR_TOKEN_NOT_RECOGNIZED, CKR_OPERATION_NOT_INITIALIZED};
  return std::find(std::begin(away), std::end(away), rv) != std::end(away);
}

void check(const Options& options, std::size_t which, const Octets& text, const Octets& signature) {
  if (!options.keys[which].verifies(text, signature)) fault("a wrong signature was given as a good one");
}

/// Threads that sign until told to stop.
class Workers {
 public:
  Workers(const Module& module, const Options& options, bool card_may_go)
      : module_(module),
        options_(options),
        card_may_go_(card_may_go),
        watchdog_(options.threads, options.limits),
        done_(options.threads) {
    const CK_SLOT_ID slot = slot_that_is_there(module, options);
    for (std::size_t lane = 0; lane < options.threads; ++lane) {
      threads_.emplace_back([this, lane, slot] { run(lane, slot); });
    }
  }
  ~Workers() { stop(); }
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  /// Returns when every thread has made `more` signatures from now on.
  void wait_for_all(int more, const std::string& after) {
    std::unique_lock lock(mutex_);
    std::vector<int> goal;
    for (const int done : done_) goal.push_back(done + more);
    const bool reached = progress_.wait_for(lock, patience, [&] {
      for (std::size_t lane = 0; lane < done_.size(); ++lane) {
        if (done_[lane] < goal[lane]) return false;
      }
      return true;
    });
    if (reached) return;
    std::string who;
    for (std::size_t lane = 0; lane < done_.size(); ++lane) {
      if (done_[lane] < goal[lane]) who += " " + std::to_string(lane) + " (last: " + name_of(last_[lane]) + ")";
    }
    fault("after " + after + " these threads sign no more:" + who);
  }
  /// From now on calls may fail as they like: the module is being closed under them.
  void expect_the_end() { ending_ = true; }
  Watchdog& watchdog() { return watchdog_; }
  int signatures() {
    const std::lock_guard lock(mutex_);
    int all = 0;
    for (const int done : done_) all += done;
    return all;
  }
  int failures() const { return failures_; }

 private:
  void run(std::size_t lane, CK_SLOT_ID slot) {
    std::minstd_rand random(static_cast<unsigned>(lane + 1));
    const std::size_t which = lane % options_.targets.size();
    Client client(module_, options_.targets[which]);
    Octets signature;
    while (!stopping_) {
      CK_RV rv = CKR_OK;
      const char* what = "C_OpenSession, C_Login, C_FindObjects";
      if (!client.ready()) rv = watchdog_.watch(lane, what, [&] { return client.open(slot); });
      if (rv == CKR_OK && !client.ready()) rv = CKR_OBJECT_HANDLE_INVALID;  // no such key, for now
      if (rv == CKR_OK) {
        what = "C_Sign";
        const Octets text = some_text(random);
        rv = watchdog_.watch(lane, what, [&] { return client.sign(text, random() % 2 == 0, signature); });
        // With the end near OpenSSL may be cleaned up already: the check would crash, and not the module.
        if (rv == CKR_OK && !ending_) check(options_, which, text, signature);
      }
      if (rv == CKR_OK) {
        const std::lock_guard lock(mutex_);
        ++done_[lane];
        last_[lane] = rv;
        progress_.notify_all();
        continue;
      }
      if (ending_) return;
      if (!card_may_go_ || !says_away(rv)) fault(std::string(what) + ": " + name_of(rv));
      ++failures_;
      watchdog_.watch(lane, "C_CloseSession", [&] {
        client.close();
        return true;
      });
      std::unique_lock lock(mutex_);
      last_[lane] = rv;
      progress_.wait_for(lock, look_again);
    }
    client.close();
  }

  const Module& module_;
  const Options& options_;
  const bool card_may_go_;
  Watchdog watchdog_;
  std::mutex mutex_;
  std::condition_variable progress_;
  std::vector<int> done_;
  std::vector<CK_RV> last_ = std::vector<CK_RV>(done_.size(), CKR_OK);
  std::atomic<int> failures_{0};
  std::atomic<bool> stopping_{false}, ending_{false};
  std::vector<std::thread> threads_;
};

void run_command(const std::string& command) {
  if (std::system(command.c_str()) != 0) fault("this failed: " + command);
}

void mode_sign(const Options& options) {
  const Module module(options.module);
  must(module.initialize(options.locking), "C_Initialize");
  {
    Workers workers(module, options, false);
    workers.wait_for_all(options.rounds, "the start");
    workers.stop();
    std::printf("%d signatures by %zu threads, %s\n", workers.signatures(), options.threads,
                workers.watchdog().longest().c_str());
  }
  must(module->C_Finalize(nullptr), "C_Finalize");
}

void mode_events(const Options& options) {
  const Module module(options.module);
  must(module.initialize(options.locking), "C_Initialize");
  {
    Workers workers(module, options, true);
    workers.wait_for_all(1, "the start");
    for (int round = 1; round <= options.rounds; ++round) {
      for (const std::string& event : options.events) {
        run_command(event);
        workers.watchdog().event();
      }
      workers.wait_for_all(1, "event " + std::to_string(round));
    }
    workers.stop();
    if (workers.failures() == 0) fault("no call has noticed any event: this test has shown nothing");
    std::printf("%d events, %d signatures, %d calls refused, %s\n", options.rounds, workers.signatures(),
                workers.failures(), workers.watchdog().longest().c_str());
  }
  must(module->C_Finalize(nullptr), "C_Finalize");
}

void sign_once(const Module& module, const Options& options, int times) {
  const CK_SLOT_ID slot = slot_that_is_there(module, options);
  std::minstd_rand random(7);
  Client client(module, options.targets[0]);
  must(client.open(slot), "C_OpenSession, C_Login, C_FindObjects");
  if (!client.ready()) fault("the key is not there");
  for (int i = 0; i < times; ++i) {
    const Octets text = some_text(random);
    Octets signature;
    must(client.sign(text, i % 2 == 1, signature), "C_Sign");
    check(options, 0, text, signature);
  }
}

/// What a child process does in the middle of its parent's session; ends it.
[[noreturn]] void be_a_child(int kind, const Module& module, const Options& options, Client& parents) {
  alarm(child_seconds);
  switch (kind) {
    case 0: {  // the parent's session, then a start of its own
      Octets signature;
      if (parents.sign({1, 2, 3}, false, signature) == CKR_OK) fault("a child signs in its parent's session");
      parents.forget();
      if (!children_may_start) _exit(0);
      must(module.initialize(options.locking), "C_Initialize in a child");
      sign_once(module, options, 3);
      must(module->C_Finalize(nullptr), "C_Finalize in a child");
      _exit(0);
    }
    case 1:  // no word
      parents.forget();
      std::exit(0);
    case 2:  // a start, and no end
      parents.forget();
      if (!children_may_start) _exit(0);
      must(module.initialize(options.locking), "C_Initialize in a child");
      sign_once(module, options, 1);
      std::exit(0);
    default: {  // never initialized here
      parents.forget();
      const CK_RV rv = module->C_Finalize(nullptr);
      if (rv != CKR_CRYPTOKI_NOT_INITIALIZED) fault("C_Finalize in a fresh child: " + name_of(rv));
      _exit(0);
    }
  }
}

void wait_for_child(pid_t child, const std::string& what) {
  int status = 0;
  if (waitpid(child, &status, 0) != child) fault("waitpid");
  if (WIFSIGNALED(status)) fault(what + " was ended by signal " + std::to_string(WTERMSIG(status)));
  if (WEXITSTATUS(status) != 0) fault(what + " ended with " + std::to_string(WEXITSTATUS(status)));
}

void mode_fork(const Options& options) {
  const Module module(options.module);
  must(module.initialize(options.locking), "C_Initialize");
  {
    Client own(module, options.targets[0]);
    must(own.open(slot_that_is_there(module, options)), "C_OpenSession, C_Login, C_FindObjects");
    Workers workers(module, options, false);
    for (int round = 0; round < options.rounds; ++round) {
      workers.wait_for_all(1, "a fork");
      std::fflush(stdout);
      const int kind = round % 4;
      const pid_t child = fork();
      if (child < 0) fault("fork");
      if (child == 0) be_a_child(kind, module, options, own);
      wait_for_child(child, "child " + std::to_string(round) + " of kind " + std::to_string(kind));
    }
    workers.wait_for_all(1, "the last fork");
    Octets signature;
    const Octets text = {1, 2, 3};
    must(own.sign(text, false, signature), "C_Sign in a session older than all children");
    check(options, 0, text, signature);
    workers.stop();
    std::printf("%d children, %d signatures of the parent, %s\n", options.rounds, workers.signatures(),
                workers.watchdog().longest().c_str());
  }
  must(module->C_Finalize(nullptr), "C_Finalize");
}

void mode_load(const Options& options) {
  for (int round = 0; round < options.rounds; ++round) {
    const Module module(options.module);
    must(module.initialize(options.locking), "C_Initialize");
    sign_once(module, options, 1);
    must(module->C_Finalize(nullptr), "C_Finalize");
  }
  for (int round = 0; round < options.rounds; ++round) {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child < 0) fault("fork");
    if (child == 0) {
      alarm(child_seconds);
      if (round % 3 == 0) {
        {
          const Module module(options.module);
          must(module.initialize(options.locking), "C_Initialize");
          sign_once(module, options, 1);
        }  // unloaded without C_Finalize, which programs forget
        std::exit(0);
      }
      // Nothing of these is ever destroyed: the process ends under its threads, as programs do.
      auto* const module = new Module(options.module);
      must(module->initialize(options.locking), "C_Initialize");
      auto* const workers = new Workers(*module, options, true);
      workers->wait_for_all(1, "the start");
      workers->expect_the_end();
      workers->wait_for_all(1, "the last check of a signature");
      if (round % 3 == 1) std::exit(0);
      (*module)->C_Finalize(nullptr);  // under threads that sign: the standard leaves open what they are told
      _exit(0);
    }
    wait_for_child(child, "a process that ends badly");
  }
  std::printf("%d times loaded and unloaded, %d processes ended badly\n", options.rounds, options.rounds);
}

void mode_wait(const Options& options) {
  if (options.events.size() != 2) usage("\"wait\" wants --event twice: out, in");
  const Module module(options.module);
  must(module.initialize(options.locking), "C_Initialize");
  const CK_SLOT_ID slot = slot_that_is_there(module, options);
  CK_SLOT_ID told = 0;
  for (CK_RV rv = CKR_OK; rv != CKR_NO_EVENT;) {  // what has happened before
    rv = module->C_WaitForSlotEvent(CKF_DONT_BLOCK, &told, nullptr);
    if (rv != CKR_OK && rv != CKR_NO_EVENT) fault("C_WaitForSlotEvent: " + name_of(rv));
  }
  std::mutex mutex;
  std::condition_variable changed;
  int seen = 0;
  bool ended = false;
  std::thread waiter([&] {
    for (;;) {
      CK_SLOT_ID which = 0;
      const CK_RV rv = module->C_WaitForSlotEvent(0, &which, nullptr);
      const std::lock_guard lock(mutex);
      if (rv == CKR_CRYPTOKI_NOT_INITIALIZED) {
        ended = true;
        changed.notify_all();
        return;
      }
      if (rv != CKR_OK) fault("C_WaitForSlotEvent: " + name_of(rv));
      seen += which == slot ? 1 : 0;
      changed.notify_all();
    }
  });
  for (int round = 0; round < options.rounds; ++round) {
    for (const std::string& event : options.events) {
      std::unique_lock lock(mutex);
      const int before = seen;
      lock.unlock();
      run_command(event);
      lock.lock();
      if (!changed.wait_for(lock, patience, [&] { return seen > before; })) fault("no word of: " + event);
    }
    // After "in" the token is there.
    if (module.slot_of(options.token) != slot) fault("the token is not in its slot again");
  }
  must(module->C_Finalize(nullptr), "C_Finalize");
  {
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, patience, [&] { return ended; })) fault("C_Finalize does not end C_WaitForSlotEvent");
  }
  waiter.join();
  std::printf("%d events told, and C_Finalize ended the wait\n", seen);
}

void mode_bench(const Options& options) {
  using clock = std::chrono::steady_clock;
  const auto microseconds = [](clock::duration time) {
    return static_cast<long long>(std::chrono::duration_cast<std::chrono::microseconds>(time).count());
  };
  const Octets text(100, 'x');
  Octets signature;
  const auto start = clock::now();
  const Module module(options.module);
  must(module.initialize(options.locking), "C_Initialize");
  const CK_SLOT_ID slot = slot_that_is_there(module, options);
  Client client(module, options.targets[0]);
  must(client.open(slot), "C_OpenSession, C_Login, C_FindObjects");
  if (!client.ready()) fault("the key is not there");
  must(client.sign(text, false, signature), "C_Sign");
  const auto first = clock::now();
  check(options, 0, text, signature);
  const std::uint64_t calls_before = pcsc_calls();
  const auto warm = clock::now();
  for (int round = 0; round < options.rounds; ++round) must(client.sign(text, false, signature), "C_Sign");
  const auto end = clock::now();
  const std::uint64_t calls = pcsc_calls() - calls_before;
  check(options, 0, text, signature);
  client.close();
  must(module->C_Finalize(nullptr), "C_Finalize");
  std::printf("{\"cold_us\":%lld,\"rounds\":%d,\"warm_us\":%lld,\"pcsc_calls\":%llu}\n", microseconds(first - start),
              options.rounds, microseconds(end - warm), static_cast<unsigned long long>(calls));
}

}  // namespace
}  // namespace karta::pkcs11_stress

int main(int count, char** words) {
  using namespace karta::pkcs11_stress;
  constexpr std::pair<const char*, void (*)(const Options&)> modes[] = {
      {"sign", mode_sign}, {"events", mode_events}, {"fork", mode_fork},
      {"load", mode_load}, {"wait", mode_wait},     {"bench", mode_bench},
  };
  const Options options = parse(count, words);
  for (const auto& [name, run] : modes) {
    if (options.mode != name) continue;
    run(options);
    return 0;
  }
  usage("no mode \"" + options.mode + "\"");
}
