// farm_daemon: kartad in transit mode behind pcscd, the process that is killed. It says what its readers' threads do,
// and loses a reader when told: pcscd unplugs none of the serial kind.
//
//   farm_daemon CONFIG CONTROL-FD
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "crypto/testing.h"
#include "daemon/daemon.h"
#include "daemon/transit/transit_mode.h"
#include "tests/kartad/farm/farm_wire.h"

namespace karta::test {
namespace {

using card::ReaderEvent;

int control = -1;
std::mutex telling;

void tell(char letter, const std::string& words) {
  const std::lock_guard lock(telling);
  send_message(control, letter, as_bytes(words));
}

/// Connections die with the reader they were made at.
class LosableConnection final : public card::CardConnection {
 public:
  LosableConnection(std::unique_ptr<card::CardConnection> inner, std::shared_ptr<std::atomic<bool>> lost)
      : inner_(std::move(inner)), lost_(std::move(lost)) {}
  Result<Bytes> transmit(ByteView command) override {
    TRY(there());
    auto answer = inner_->transmit(command);
    TRY(there());
    return answer;
  }
  ByteView atr() const override { return inner_->atr(); }
  Status reset() override {
    TRY(there());
    return inner_->reset();
  }
  Status begin() override {
    TRY(there());
    return inner_->begin();
  }
  void end() override { inner_->end(); }
  void let_go() override { inner_->let_go(); }
  std::uint64_t transaction() const override { return inner_->transaction(); }
  unsigned session() const override { return inner_->session(); }
  std::string_view reader_name() const override { return inner_->reader_name(); }

 private:
  Status there() const {
    if (*lost_) return fail(ErrorKind::no_reader, "the reader is gone");
    return {};
  }
  std::unique_ptr<card::CardConnection> inner_;
  std::shared_ptr<std::atomic<bool>> lost_;
};

/// pcscd's readers, of which each can be unplugged and plugged in again.
class LosableReaders final : public daemon::ReaderSource, public card::ReaderList {
 public:
  LosableReaders() : pcsc_(card::PcscOptions{}) {
    watch_ = std::thread([this] {
      while (!stopped_) {
        const auto events = pcsc_.next(std::chrono::seconds(1));
        if (events) {
          pass(*events);
        } else {
          pass_error(events.error());
        }
      }
    });
    // It waits for the farm, which may be silent until this process ends.
    std::thread([this] { obey(); }).detach();
  }
  ~LosableReaders() override {
    stop();
    watch_.join();
  }
  card::ReaderList& readers() override { return *this; }
  Result<std::vector<ReaderEvent>> next(std::chrono::milliseconds timeout) override {
    std::unique_lock lock(mutex_);
    wake_.wait_for(lock, timeout, [this] { return stopped_ || error_ || !events_.empty(); });
    if (events_.empty() && error_) {
      Error error = std::move(*error_);
      error_.reset();
      wake_.notify_all();
      return fail(std::move(error));
    }
    return std::exchange(events_, {});
  }
  void stop() override {
    stopped_ = true;
    pcsc_.stop();
    const std::lock_guard lock(mutex_);
    wake_.notify_all();
  }
  Result<std::vector<card::ReaderInfo>> list() override { return pcsc_.readers().list(); }
  Result<std::unique_ptr<card::CardConnection>> connect(std::string_view name) override {
    std::shared_ptr<std::atomic<bool>> lost;
    {
      const std::lock_guard lock(mutex_);
      lost = known_[std::string(name)].lost;
    }
    if (*lost) return fail(ErrorKind::no_reader, "there is no such reader");
    auto inner = TRY(pcsc_.readers().connect(name));
    return std::unique_ptr<card::CardConnection>(std::make_unique<LosableConnection>(std::move(inner), lost));
  }

 private:
  struct Known {
    bool there = false, card = false;  // as pcscd has it
    Bytes atr = {};
    std::shared_ptr<std::atomic<bool>> lost = std::make_shared<std::atomic<bool>>(false);
  };
  using Kind = ReaderEvent::Kind;

  void pass(const std::vector<ReaderEvent>& events) {
    const std::lock_guard lock(mutex_);
    for (const ReaderEvent& event : events) {
      if (!event.reader.empty()) {
        Known& known = known_[event.reader];
        if (event.kind == Kind::reader_added) known.there = true;
        if (event.kind == Kind::reader_removed) known.there = false;
        known.card = event.kind == Kind::card_inserted;
        known.atr = event.atr;
        if (*known.lost) continue;
      }
      events_.push_back(event);
    }
    wake_.notify_all();
  }
  /// Returns when it has been told.
  void pass_error(const Error& error) {
    std::unique_lock lock(mutex_);
    error_ = error;
    wake_.notify_all();
    wake_.wait(lock, [this] { return stopped_ || !error_; });
  }
  void obey() {
    while (const auto message = receive_message(control)) {
      const std::lock_guard lock(mutex_);
      const std::string name = message->text();
      Known& known = known_[name];
      if (message->letter == 'X' && !*known.lost) {
        *known.lost = true;
        if (!known.there) continue;
        if (known.card) events_.push_back({Kind::card_removed, name, {}});
        events_.push_back({Kind::reader_removed, name, {}});
      } else if (message->letter == 'B' && *known.lost) {
        known.lost = std::make_shared<std::atomic<bool>>(false);  // connections of before stay dead
        if (!known.there) continue;
        events_.push_back({Kind::reader_added, name, {}});
        if (known.card) events_.push_back({Kind::card_inserted, name, known.atr});
      }
      wake_.notify_all();
    }
    std::_Exit(0);  // the farm is gone
  }

  daemon::PcscReaderSource pcsc_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, Known> known_;
  std::vector<ReaderEvent> events_;
  std::optional<Error> error_;
  std::atomic<bool> stopped_{false};
  std::thread watch_;
};

/// The transit mode, and what it is called for.
class ToldMode final : public daemon::Mode {
 public:
  explicit ToldMode(std::unique_ptr<daemon::Mode> inner) : inner_(std::move(inner)) {}
  std::string_view name() const override { return inner_->name(); }
  std::span<const daemon::Route> routes() const override { return inner_->routes(); }
  Result<daemon::Reply> run(const daemon::Call& call, daemon::ReaderDesk& desk) override {
    return inner_->run(call, desk);
  }
  Result<daemon::Reply> answer(const daemon::Call& call) override { return inner_->answer(call); }
  void reader_in(daemon::ReaderDesk& desk) override {
    inner_->reader_in(desk);
    tell('E', desk.reader() + "|in");
  }
  void card_in(daemon::ReaderDesk& desk) override {
    tell('E', desk.reader() + "|begin");
    inner_->card_in(desk);
    tell('E', desk.reader() + "|end");
  }
  void card_out(daemon::ReaderDesk& desk) override {
    inner_->card_out(desk);
    tell('E', desk.reader() + "|card-out");
  }
  void reader_out(daemon::ReaderDesk& desk) override {
    inner_->reader_out(desk);
    tell('E', desk.reader() + "|out");
  }
  daemon::Json status() const override { return inner_->status(); }
  void tick() override { inner_->tick(); }

 private:
  std::unique_ptr<daemon::Mode> inner_;
};

Result<daemon::ModePlan> read_told_transit(service::ConfigTable& table) {
  auto plan = TRY(daemon::read_transit(table));
  return daemon::ModePlan(
      [plan = std::move(plan)](const daemon::Services& services) -> Result<std::unique_ptr<daemon::Mode>> {
        auto inner = TRY(plan(services));
        return std::unique_ptr<daemon::Mode>(std::make_unique<ToldMode>(std::move(inner)));
      });
}

int run(const char* config) {
  const FixedClock clock(crypto::testing::test_time());
  SystemRandom random;
  const daemon::ModeRow modes[] = {{"transit", read_told_transit}};
  const daemon::Environment environment{
      .clock = clock,
      .random = random,
      .make_readers = [](const daemon::DaemonConfig&) -> std::unique_ptr<daemon::ReaderSource> {
        return std::make_unique<LosableReaders>();
      },
      .modes = modes,
      .open_rules = daemon::transit_rules_opener()};
  const auto started = daemon::Daemon::start(config, environment);
  if (!started) {
    std::fprintf(stderr, "error: %s\n", started.error().message.c_str());
    return 70;
  }
  (*started)->events().listen(0, [](const daemon::Event& event) {
    if (event.kind != "tap") return true;
    const auto data = nlohmann::json::parse(event.data);
    tell('D', data.at("reader").get<std::string>() + "|" + data.at("decision").get<std::string>() + "|" +
                  (data.at("settled").get<bool>() ? "settled" : ""));
    return true;
  });
  tell('U', "");
  for (;;) ::pause();
}

}  // namespace
}  // namespace karta::test

int main(int argc, char** argv) {
  if (argc != 3) return 64;
  karta::test::control = std::atoi(argv[2]);
  return karta::test::run(argv[1]);
}
