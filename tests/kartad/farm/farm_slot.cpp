#include "tests/kartad/farm/farm_slot.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <array>
#include <cstdio>
#include <utility>

#include "firmware-sim/link/reader_address.h"

namespace karta::test {
namespace {

int listen_at(const std::string& name) {
  const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto [address, length] = farm_address(name);
  EXPECT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), length), 0) << name;
  EXPECT_EQ(::listen(socket, 4), 0) << name;
  return socket;
}

}  // namespace

FarmSlot::FarmSlot(unsigned reader) : wake_(::eventfd(0, EFD_CLOEXEC)) {
  // As tools/private-pcscd writes it into the device name.
  std::array<char, 16> port{};
  std::snprintf(port.data(), port.size(), "0x%X",
                static_cast<unsigned>(sim::kFirstReaderPort + sim::kSlotsPerReader * reader));
  news_listener_ = listen_at(kFarmNews + port.data());
  commands_listener_ = listen_at(kFarmCommands + port.data());
  thread_ = std::thread([this] { run(); });
}

FarmSlot::~FarmSlot() {
  const std::uint64_t one = 1;
  EXPECT_EQ(::write(wake_, &one, sizeof one), static_cast<ssize_t>(sizeof one));
  thread_.join();
  for (const int socket : {news_listener_, commands_listener_, wake_, news_, commands_}) {
    if (socket >= 0) ::close(socket);
  }
}

void FarmSlot::insert(sim::SoftCard& chip, Exchange exchange) {
  const std::lock_guard lock(mutex_);
  chip.set_interface(os::Interface::contactless);
  chip.power_off();
  chip_ = &chip;
  exchange_ = std::move(exchange);
  if (news_ >= 0) send_message(news_, 'I', {});
}

void FarmSlot::remove() {
  const std::lock_guard lock(mutex_);
  take_out();
  exchange_ = nullptr;
}

void FarmSlot::take_out() {
  if (chip_ == nullptr) return;
  chip_->power_off();
  chip_ = nullptr;
  if (news_ >= 0) send_message(news_, 'R', {});
}

void FarmSlot::run() {
  for (;;) {
    std::array<pollfd, 4> all = {pollfd{wake_, POLLIN, 0}, pollfd{news_listener_, POLLIN, 0},
                                 pollfd{commands_listener_, POLLIN, 0}, pollfd{commands_, POLLIN, 0}};
    if (::poll(all.data(), all.size(), -1) < 0) continue;
    if (all[0].revents != 0) return;
    // What was said on the connection of before comes first: a pcscd that was killed may have left a command.
    if (all[3].revents != 0) {
      serve();
      continue;
    }
    const std::lock_guard lock(mutex_);
    if (all[1].revents != 0) {
      if (news_ >= 0) ::close(news_);
      news_ = ::accept4(news_listener_, nullptr, nullptr, SOCK_CLOEXEC);
      send_message(news_, chip_ != nullptr ? 'I' : 'R', {});
    }
    if (all[2].revents != 0) {
      if (commands_ >= 0) ::close(commands_);
      commands_ = ::accept4(commands_listener_, nullptr, nullptr, SOCK_CLOEXEC);
    }
  }
}

void FarmSlot::serve() {
  const auto message = receive_message(commands_);
  const std::lock_guard lock(mutex_);
  if (message) {
    answer(*message);
    return;
  }
  // pcscd is gone, and the field with it.
  if (chip_ != nullptr) chip_->power_off();
  ::close(commands_);
  commands_ = -1;
}

void FarmSlot::answer(const FarmMessage& message) {
  if (chip_ == nullptr) {
    send_message(commands_, 'G', {});
    return;
  }
  switch (message.letter) {
    case 'O':
      chip_->power_off();
      send_message(commands_, 'A', {});
      return;
    case 'U':
      chip_->power_on();
      break;
    case 'Z':
      chip_->reset();
      break;
    default: {
      const auto said = exchange_(message.octets);
      if (!said) take_out();  // told before the answer that never comes: who asks why it did not finds it gone
      send_message(commands_, said ? 'A' : 'G', said ? ByteView(*said) : ByteView());
      return;
    }
  }
  send_message(commands_, 'A', chip_->atr());
}

}  // namespace karta::test
