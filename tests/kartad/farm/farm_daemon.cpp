// farm_daemon: kartad in transit mode, whose readers are sockets to the farm: the process that is killed.
//
//   farm_daemon CONFIG CONTROL-FD READER-FD...
#include <poll.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "crypto/testing.h"
#include "daemon/daemon.h"
#include "daemon/transit/transit_mode.h"
#include "tests/kartad/farm/farm_wire.h"

namespace karta::test {
namespace {

using card::ReaderEvent;

class SocketCard final : public card::CardConnection {
 public:
  SocketCard(int socket, std::string reader) : socket_(socket), reader_(std::move(reader)) {}
  Result<Bytes> transmit(ByteView command) override { return ask('C', command); }
  ByteView atr() const override { return atr_; }
  Status reset() override {
    session_ += 1;
    const auto answered = ask('Z', {});
    return answered ? Status() : Status(fail(answered.error()));
  }
  Status begin() override {
    if (depth_++ == 0) transactions_ += 1;
    return {};
  }
  void end() override { depth_ -= 1; }
  std::uint64_t transaction() const override { return depth_ > 0 ? transactions_ : 0; }
  unsigned session() const override { return session_; }
  std::string_view reader_name() const override { return reader_; }

 private:
  Result<Bytes> ask(char letter, ByteView octets) {
    if (!send_message(socket_, letter, octets)) std::_Exit(0);  // the farm is gone
    auto answer = receive_message(socket_);
    if (!answer) std::_Exit(0);
    if (answer->letter == 'L') return fail(ErrorKind::no_reader, "the reader is gone");
    if (answer->letter == 'G') return fail(ErrorKind::card_removed, "the card was taken out");
    return std::move(answer->octets);
  }
  int socket_;
  std::string reader_;
  Bytes atr_{0x3B, 0x80, 0x80, 0x01, 0x01};
  unsigned session_ = 0, depth_ = 0;
  std::uint64_t transactions_ = 0;
};

class SocketReaders final : public daemon::ReaderSource, public card::ReaderList {
 public:
  SocketReaders(int control, std::vector<int> sockets) : control_(control) {
    for (std::size_t i = 0; i < sockets.size(); ++i) readers_["Gate " + std::to_string(i)] = {sockets[i], false};
    for (const auto& [name, one] : readers_) first_.push_back({ReaderEvent::Kind::reader_added, name, {}});
  }
  card::ReaderList& readers() override { return *this; }
  Result<std::vector<ReaderEvent>> next(std::chrono::milliseconds timeout) override {
    if (!first_.empty()) return std::exchange(first_, {});
    if (!back_.empty()) return std::exchange(back_, {});
    std::vector<ReaderEvent> events;
    pollfd one{control_, POLLIN, 0};
    if (stopped_ || ::poll(&one, 1, static_cast<int>(timeout.count())) <= 0) return events;
    const auto message = receive_message(control_);
    if (!message) std::_Exit(0);
    const std::string name = message->text();
    const std::lock_guard lock(mutex_);
    if (message->letter == 'P') {
      events.push_back({ReaderEvent::Kind::pcscd_stopped, {}, {}});
      back_.push_back({ReaderEvent::Kind::pcscd_started, {}, {}});
      for (auto& [each, its] : readers_) {
        its.card = false;
        back_.push_back({ReaderEvent::Kind::reader_added, each, {}});
      }
      return events;
    }
    Reader& reader = readers_.at(name);
    using Kind = ReaderEvent::Kind;
    reader.card = message->letter == 'I';
    const Kind kind = message->letter == 'I'   ? Kind::card_inserted
                      : message->letter == 'R' ? Kind::card_removed
                      : message->letter == 'X' ? Kind::reader_removed
                                               : Kind::reader_added;
    events.push_back({kind, name, {}});
    return events;
  }
  void stop() override { stopped_ = true; }
  Result<std::vector<card::ReaderInfo>> list() override { return std::vector<card::ReaderInfo>{}; }
  Result<std::unique_ptr<card::CardConnection>> connect(std::string_view name) override {
    const std::lock_guard lock(mutex_);
    const auto found = readers_.find(std::string(name));
    if (found == readers_.end()) return fail(ErrorKind::no_reader, "there is no such reader");
    if (!found->second.card) return fail(ErrorKind::no_card, "the reader is empty");
    return std::unique_ptr<card::CardConnection>(std::make_unique<SocketCard>(found->second.socket, found->first));
  }

 private:
  struct Reader {
    int socket = -1;
    bool card = false;
  };
  int control_;
  std::mutex mutex_;
  std::map<std::string, Reader> readers_;
  std::vector<ReaderEvent> first_, back_;  // told at first; told once pcscd is back
  std::atomic<bool> stopped_{false};
};

int run(int count, char** words) {
  const std::string config = words[1];
  const int control = std::atoi(words[2]);
  std::vector<int> sockets;
  for (int i = 3; i < count; ++i) sockets.push_back(std::atoi(words[i]));
  const FixedClock clock(crypto::testing::test_time());
  SystemRandom random;
  daemon::ModeRow modes[] = {{"transit", daemon::read_transit}};
  daemon::Environment environment{
      .clock = clock,
      .random = random,
      .make_readers = [&](const daemon::DaemonConfig&) -> std::unique_ptr<daemon::ReaderSource> {
        return std::make_unique<SocketReaders>(control, sockets);
      },
      .modes = modes,
      .open_rules = daemon::transit_rules_opener()};
  auto started = daemon::Daemon::start(config, environment);
  if (!started) {
    std::fprintf(stderr, "error: %s\n", started.error().message.c_str());
    return 70;
  }
  std::mutex telling;
  (*started)->events().listen(0, [&](const daemon::Event& event) {
    if (event.kind != "tap") return true;
    const auto data = nlohmann::json::parse(event.data);
    const std::string words_of = data.at("reader").get<std::string>() + "|" + data.at("decision").get<std::string>();
    const std::lock_guard lock(telling);
    send_message(control, 'D', as_bytes(words_of));
    return true;
  });
  {
    const std::lock_guard lock(telling);
    send_message(control, 'U', {});
  }
  for (;;) ::pause();
}

}  // namespace
}  // namespace karta::test

int main(int argc, char** argv) { return argc < 4 ? 64 : karta::test::run(argc, argv); }
