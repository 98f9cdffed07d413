// TestReader plays vpcd for tests: it waits for a card on a loopback address of its own, as the driver does, and sends
// lengths and bodies in two segments. TestCard is a card whose commands a test can hold up.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <future>
#include <optional>

#include "base/bytes.h"
#include "firmware-sim/host/card_device.h"
#include "firmware-sim/link/reader_address.h"

namespace karta::sim {

constexpr std::chrono::milliseconds kTestPatience{20'000};

class TestReader {
 public:
  TestReader() {
    static std::atomic<unsigned> count{0};
    const unsigned id = static_cast<unsigned>(::getpid()) * 16 + count++;
    // Far from the ports of a real pcscd, on an address that no other test run has.
    address.reader = 1000;
    address.host = "127." + std::to_string(64 + (id >> 16) % 128) + "." + std::to_string((id >> 8) & 255) + "." +
                   std::to_string(1 + (id & 255) % 254);
  }
  ~TestReader() {
    eject();
    stop();
  }

  void start() {
    listening_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(listening_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(address.port());
    ASSERT_EQ(::inet_pton(AF_INET, address.host.c_str(), &at.sin_addr), 1);
    ASSERT_EQ(::bind(listening_, reinterpret_cast<const sockaddr*>(&at), sizeof at), 0);
    ASSERT_EQ(::listen(listening_, 0), 0);
  }
  void stop() {
    if (listening_ >= 0) ::close(listening_);
    listening_ = -1;
  }

  /// Waits for the card.
  bool accept() {
    if (!readable(listening_)) return false;
    card_ = ::accept(listening_, nullptr, nullptr);
    return card_ >= 0;
  }
  void eject() {
    if (card_ >= 0) ::close(card_);
    card_ = -1;
  }

  void send(ByteView payload) {
    Bytes length;
    append_be16(length, static_cast<std::uint16_t>(payload.size()));
    EXPECT_EQ(::send(card_, length.data(), length.size(), MSG_NOSIGNAL), 2);
    if (!payload.empty()) {
      EXPECT_EQ(::send(card_, payload.data(), payload.size(), MSG_NOSIGNAL), static_cast<ssize_t>(payload.size()));
    }
  }
  void control(std::uint8_t octet) { send(Bytes{octet}); }

  /// As pcscd does when it has found a card.
  void switch_on() {
    control(1);
    EXPECT_TRUE(ask(Bytes{4}));
  }

  /// The next frame from the card; nothing if the card has gone.
  std::optional<Bytes> receive() {
    const auto length = exactly(2);
    if (!length) return std::nullopt;
    return exactly(load_be16(*length));
  }
  std::optional<Bytes> ask(ByteView payload) {
    send(payload);
    return receive();
  }

  ReaderAddress address;

 private:
  static bool readable(int file) {
    pollfd waiting{.fd = file, .events = POLLIN, .revents = 0};
    return ::poll(&waiting, 1, static_cast<int>(kTestPatience.count())) > 0;
  }
  std::optional<Bytes> exactly(std::size_t count) {
    Bytes out(count);
    std::size_t have = 0;
    while (have < count) {
      if (!readable(card_)) return std::nullopt;
      const ssize_t got = ::recv(card_, out.data() + have, count - have, 0);
      if (got <= 0) return std::nullopt;
      have += static_cast<std::size_t>(got);
    }
    return out;
  }

  int listening_ = -1;
  int card_ = -1;
};

/// What a TestCard has seen; outlives it.
struct TestCardLog {
  std::atomic<int> power_ons{0}, power_offs{0}, resets{0}, commands{0};
  std::atomic<bool> gone{false};
  std::atomic<bool> broken{false};  ///< set by the test: the card starts no more
};

/// Answers each command with itself and 9000, the ATR is 3B and `name`.
class TestCard final : public CardDevice {
 public:
  TestCard(std::uint8_t name, TestCardLog& log) : atr_{0x3B, name}, log_(log) {}
  ~TestCard() override { log_.gone = true; }
  void power_on() override { ++log_.power_ons; }
  void power_off() override { ++log_.power_offs; }
  void reset() override { ++log_.resets; }
  ByteView atr() override { return log_.broken ? ByteView() : ByteView(atr_); }
  ByteView process(ByteView command) override {
    ++log_.commands;
    if (begun != nullptr) begun->set_value();
    if (release.valid()) release.wait();
    if (cut_.command != 0 && --cut_.command == 0) return {};
    response_ = concat({command, Bytes{0x90, 0x00}});
    return response_;
  }
  void cut_power_at(PowerCut cut) override { cut_ = cut; }

  std::promise<void>* begun = nullptr;  ///< told when a command begins
  std::shared_future<void> release;     ///< a command waits for it

 private:
  const Bytes atr_;
  TestCardLog& log_;
  Bytes response_;
  PowerCut cut_{.command = 0, .write = 0};
};

}  // namespace karta::sim
