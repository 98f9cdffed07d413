// farm_reader: a driver of pcscd's (IFD handler 3.0): a contactless reader with one slot whose cards are in another
// process. vpcd's cannot be told of a card, only asked, which pcscd does every 400 ms: too slow for thousands of taps.
// This one wakes pcscd, as drivers of real readers do.
//
// It connects to two abstract Unix sockets named after the port in its device name (tools/private-pcscd writes
// "/dev/null:0x8C7B"): farm_slot.h is the other side, farm_wire.h says what passes. One reader a copy of the file.
extern "C" {
#pragma GCC visibility push(default)
#include <ifdhandler.h>
#pragma GCC visibility pop
}

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <chrono>
#include <mutex>

#include "tests/kartad/farm/farm_wire.h"

namespace {

using karta::test::connect_to_farm;
using karta::test::kFarmCommands;
using karta::test::kFarmNews;
using karta::test::receive_message;
using karta::test::send_message;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

class FarmReader {
 public:
  void open(const std::string& device) {
    const std::lock_guard lock(mutex_);
    port_ = device.substr(device.rfind(':') + 1);
    connect();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    lose();
  }
  /// What is told of comes one by one, one for each wait(): pcscd's thread that watches the reader misses no absence
  /// between two cards, though others of its threads look, too.
  bool present() {
    const std::lock_guard lock(mutex_);
    if (news_ < 0) connect();
    if (news_ < 0) return false;
    pollfd one{news_, POLLIN, 0};
    if (looking_ && ::poll(&one, 1, 0) > 0) {
      looking_ = false;
      if (const auto message = receive_message(news_)) {
        present_ = message->letter == 'I';
      } else {
        lose();
      }
    }
    return present_;
  }
  /// Returns when there is something to look at, or the time is over.
  void wait(milliseconds timeout) {
    constexpr milliseconds kRetry{20};
    const auto until = steady_clock::now() + timeout;
    int news = -1;
    for (;;) {
      {
        const std::lock_guard lock(mutex_);
        looking_ = true;
        if (news_ < 0) connect();
        news = news_;
      }
      const auto left = std::chrono::duration_cast<milliseconds>(until - steady_clock::now());
      if (left.count() <= 0) return;
      pollfd both[2] = {{wake_, POLLIN, 0}, {news, POLLIN, 0}};
      const auto slice = news < 0 ? std::min(left, kRetry) : left;
      if (::poll(both, 2, static_cast<int>(slice.count())) <= 0) continue;
      if (both[0].revents != 0) {
        std::uint64_t count = 0;
        [[maybe_unused]] const ssize_t got = ::read(wake_, &count, sizeof count);
      }
      return;
    }
  }
  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
  }
  /// Empty: there is no card, or it was taken out.
  karta::Bytes ask(char letter, karta::ByteView octets) {
    const std::lock_guard lock(mutex_);
    if (commands_ < 0 || !send_message(commands_, letter, octets)) return {};
    auto answer = receive_message(commands_);
    if (!answer || answer->letter != 'A') return {};
    return std::move(answer->octets);
  }

 private:
  void connect() {
    const int news = connect_to_farm(kFarmNews + port_);
    if (news < 0) return;
    const int commands = connect_to_farm(kFarmCommands + port_);
    if (commands < 0) {
      ::close(news);
      return;
    }
    news_ = news;
    commands_ = commands;
  }
  void lose() {
    if (news_ >= 0) ::close(news_);
    if (commands_ >= 0) ::close(commands_);
    news_ = commands_ = -1;
    present_ = false;
  }

  std::mutex mutex_;
  std::string port_;
  int news_ = -1, commands_ = -1;
  bool present_ = false, looking_ = true;
  const int wake_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
};

FarmReader& reader() {
  static FarmReader one;
  return one;
}

RESPONSECODE wait_for_news(DWORD, int timeout) {
  reader().wait(milliseconds(timeout));
  return IFD_SUCCESS;
}
RESPONSECODE stop_waiting(DWORD) {
  reader().wake();
  return IFD_SUCCESS;
}

template <class Value>
RESPONSECODE give(Value value, PDWORD length, PUCHAR out) {
  if (*length < sizeof value) return IFD_ERROR_INSUFFICIENT_BUFFER;
  std::memcpy(out, &value, sizeof value);
  *length = sizeof value;
  return IFD_SUCCESS;
}

}  // namespace

RESPONSECODE IFDHCreateChannelByName(DWORD, LPSTR device) {
  reader().open(device);
  return IFD_SUCCESS;
}
RESPONSECODE IFDHCreateChannel(DWORD, DWORD) { return IFD_NOT_SUPPORTED; }
RESPONSECODE IFDHCloseChannel(DWORD) {
  reader().close();
  return IFD_SUCCESS;
}
RESPONSECODE IFDHGetCapabilities(DWORD, DWORD tag, PDWORD length, PUCHAR value) {
  switch (tag) {
    case TAG_IFD_SIMULTANEOUS_ACCESS:
    case TAG_IFD_SLOTS_NUMBER:
      return give(UCHAR{1}, length, value);
    case TAG_IFD_POLLING_THREAD_KILLABLE:
      return give(UCHAR{0}, length, value);
    case TAG_IFD_POLLING_THREAD_WITH_TIMEOUT:
      return give(&wait_for_news, length, value);
    case TAG_IFD_STOP_POLLING_THREAD:
      return give(&stop_waiting, length, value);
    default:
      return IFD_ERROR_TAG;
  }
}
RESPONSECODE IFDHSetCapabilities(DWORD, DWORD, DWORD, PUCHAR) { return IFD_ERROR_TAG; }
RESPONSECODE IFDHSetProtocolParameters(DWORD, DWORD, UCHAR, UCHAR, UCHAR, UCHAR) { return IFD_SUCCESS; }
RESPONSECODE IFDHPowerICC(DWORD, DWORD action, PUCHAR atr, PDWORD atr_length) {
  if (action == IFD_POWER_DOWN) {
    (void)reader().ask('O', {});
    return IFD_SUCCESS;
  }
  const karta::Bytes answer = reader().ask(action == IFD_RESET ? 'Z' : 'U', {});
  if (answer.empty() || answer.size() > MAX_ATR_SIZE) return IFD_ERROR_POWER_ACTION;
  std::copy(answer.begin(), answer.end(), atr);
  *atr_length = answer.size();
  return IFD_SUCCESS;
}
RESPONSECODE IFDHTransmitToICC(DWORD, SCARD_IO_HEADER, PUCHAR command, DWORD command_length, PUCHAR answer,
                               PDWORD answer_length, PSCARD_IO_HEADER) {
  const karta::Bytes got = reader().ask('C', {command, command_length});
  if (got.empty() || got.size() > *answer_length) {
    *answer_length = 0;
    return IFD_COMMUNICATION_ERROR;
  }
  std::copy(got.begin(), got.end(), answer);
  *answer_length = got.size();
  return IFD_SUCCESS;
}
RESPONSECODE IFDHICCPresence(DWORD) { return reader().present() ? IFD_ICC_PRESENT : IFD_ICC_NOT_PRESENT; }
RESPONSECODE IFDHControl(DWORD, DWORD, PUCHAR, DWORD, PUCHAR, DWORD, LPDWORD returned) {
  if (returned != nullptr) *returned = 0;
  return IFD_NOT_SUPPORTED;
}
