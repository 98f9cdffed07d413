// PC/SC readers through a real pcscd: run inside tools/private-pcscd, whose first reader waits for its card on port
// 35963. The card here is a few lines that do what no good card does.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "card/channel.h"
#include "card/iso7816.h"
#include "card/pcsc_reader.h"

namespace karta::card {
namespace {

using namespace std::chrono_literals;

const Bytes kAtr = {0x3B, 0x8A, 0x80, 0x01, 'K', 'a', 'r', 't', 'a', 'O', 's', 'E', 'I', 'D', 0x32};
constexpr auto kDeadline = 20s;

// A card in the first virtual reader; `answer` makes the response, an empty one pulls the card out.
class OddCard {
 public:
  explicit OddCard(std::function<Bytes(ByteView)> answer) : answer_(std::move(answer)) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(35963);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ADD_FAILURE() << "no vpcd";
    thread_ = std::thread([this] { run(); });
  }
  ~OddCard() {
    if (!pulled_) ::shutdown(socket_, SHUT_RDWR);
    thread_.join();
    if (!pulled_) ::close(socket_);
    wait_until_gone();
  }

 private:
  // The next test must not take this card for its own.
  static void wait_until_gone() {
    ReaderWatch watch;
    std::set<std::string> with_card;
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    do {
      const auto events = watch.next(std::chrono::seconds(1));
      if (!events) return;
      for (const ReaderEvent& event : *events) {
        if (event.kind == ReaderEvent::Kind::card_inserted) with_card.insert(event.reader);
        if (event.kind == ReaderEvent::Kind::card_removed) with_card.erase(event.reader);
      }
    } while (!with_card.empty() && std::chrono::steady_clock::now() < deadline);
  }

  bool receive(MutableByteView out) {
    while (!out.empty()) {
      int one = 1;
      setsockopt(socket_, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
      const ssize_t n = ::recv(socket_, out.data(), out.size(), 0);
      if (n <= 0) return false;
      out = out.subspan(static_cast<std::size_t>(n));
    }
    return true;
  }
  void run() {
    for (;;) {
      Bytes header(2);
      if (!receive(header)) return;
      Bytes message(load_be16(header));
      if (!receive(message)) return;
      Bytes reply;
      if (message.size() == 1) {
        if (message[0] != 0x04) continue;
        reply = kAtr;
      } else {
        reply = answer_(message);
        if (reply.empty()) {
          ::close(socket_);
          pulled_ = true;
          return;
        }
      }
      Bytes frame;
      append_be16(frame, static_cast<std::uint16_t>(reply.size()));
      append(frame, reply);
      if (::send(socket_, frame.data(), frame.size(), MSG_NOSIGNAL) < 0) return;
    }
  }

  std::function<Bytes(ByteView)> answer_;
  int socket_ = -1;
  std::atomic<bool> pulled_{false};
  std::thread thread_;
};

// Waits on events, never on time: the reader with the card in it.
std::string reader_with_card() {
  ReaderWatch watch;
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  while (std::chrono::steady_clock::now() < deadline) {
    const auto events = watch.next(1s);
    if (!events) break;
    for (const ReaderEvent& event : *events) {
      if (event.kind == ReaderEvent::Kind::card_inserted) return event.reader;
    }
  }
  ADD_FAILURE() << "no card was seen";
  return "";
}

const Bytes kCommand = {0x00, 0xB0, 0x00, 0x00, 0x00};
Bytes fine(ByteView) { return {0x90, 0x00}; }

TEST(PcscReaders, AnEmptyReaderIsNoCard) {
  PcscReaders readers;
  const auto all = readers.list();
  ASSERT_TRUE(all) << all.error().message;
  ASSERT_FALSE(all->empty());
  const auto connection = readers.connect(all->back().name);
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().kind, ErrorKind::no_card) << connection.error().message;
  EXPECT_EQ(readers.connect("No Such Reader").error().kind, ErrorKind::no_reader);
}

TEST(PcscReaders, ExchangesAndTellsTheAtr) {
  OddCard card(fine);
  PcscReaders readers;
  auto connection = readers.connect(reader_with_card());
  ASSERT_TRUE(connection) << connection.error().message;
  EXPECT_TRUE(equal((*connection)->atr(), kAtr));
  const auto answer = (*connection)->transmit(kCommand);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(*answer, (Bytes{0x90, 0x00}));
}

TEST(PcscReaders, ACardThatNeverAnswersDoesNotHangTheProgram) {
  std::mutex mutex;
  std::condition_variable released;
  bool let_go = false;
  std::string reader;
  {
    OddCard card([&](ByteView) {
      std::unique_lock lock(mutex);
      released.wait(lock, [&] { return let_go; });
      return Bytes{0x90, 0x00};
    });
    reader = reader_with_card();
    PcscOptions options;
    options.answer_timeout = 300ms;
    auto connection = PcscReaders(options).connect(reader);
    ASSERT_TRUE(connection) << connection.error().message;
    const auto answer = (*connection)->transmit(kCommand);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().kind, ErrorKind::card_unresponsive) << answer.error().message;
    // The connection is of no further use and says so at once.
    EXPECT_EQ((*connection)->transmit(kCommand).error().kind, ErrorKind::card_unresponsive);
    connection->reset();
    {
      const std::lock_guard lock(mutex);
      let_go = true;
    }
    released.notify_all();
  }
  // The program goes on with the next card.
  OddCard good(fine);
  auto again = PcscReaders().connect(reader_with_card());
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_TRUE((*again)->transmit(kCommand));
}

TEST(PcscReaders, ACardPulledOutInMidCommandIsToldAsSuch) {
  OddCard card([](ByteView) { return Bytes(); });
  auto connection = PcscReaders().connect(reader_with_card());
  ASSERT_TRUE(connection) << connection.error().message;
  const auto answer = (*connection)->transmit(kCommand);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::card_removed) << answer.error().message;
}

TEST(PcscReaders, ACardHeldByAnotherProgramIsBusy) {
  OddCard card(fine);
  const std::string reader = reader_with_card();
  PcscOptions alone;
  alone.exclusive = true;
  auto first = PcscReaders(alone).connect(reader);
  ASSERT_TRUE(first) << first.error().message;
  const auto second = PcscReaders().connect(reader);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::card_busy) << second.error().message;
  first->reset();
  EXPECT_TRUE(PcscReaders().connect(reader)) << "a connection let go is free at once";
}

TEST(PcscReaders, ATransactionHeldTooLongIsBusyAndNothingIsLeftBehind) {
  OddCard card(fine);
  const std::string reader = reader_with_card();
  auto first = PcscReaders().connect(reader);
  PcscOptions hurried;
  hurried.busy_timeout = 300ms;
  auto second = PcscReaders(hurried).connect(reader);
  ASSERT_TRUE(first && second);
  ASSERT_TRUE((*first)->begin());
  ASSERT_TRUE((*first)->begin());
  const Status busy = (*second)->begin();
  ASSERT_FALSE(busy);
  EXPECT_EQ(busy.error().kind, ErrorKind::card_busy) << busy.error().message;
  (*first)->end();
  EXPECT_TRUE((*first)->transmit(kCommand)) << "nested: still ours";
  (*first)->end();
  second->reset();
  auto third = PcscReaders().connect(reader);
  ASSERT_TRUE(third);
  EXPECT_TRUE((*third)->begin()) << "the abandoned wait must not keep the card";
  (*third)->end();
}

TEST(PcscReaders, AnotherProgramsResetIsTakenUpAtTheNextTransaction) {
  OddCard card(fine);
  const std::string reader = reader_with_card();
  auto first = PcscReaders().connect(reader);
  auto second = PcscReaders().connect(reader);
  ASSERT_TRUE(first && second);
  const unsigned session = (*first)->session();
  const Status reset = (*second)->reset();
  ASSERT_TRUE(reset) << reset.error().message;
  ASSERT_TRUE((*first)->begin());
  EXPECT_NE((*first)->session(), session);
  EXPECT_TRUE((*first)->transmit(kCommand));
  (*first)->end();
}

// Keeping transactions. Where a kept one must last, the moment is an hour: no test depends on who is quick.
PcscOptions keeping(std::chrono::milliseconds moment) {
  PcscOptions options;
  options.keep_transaction = moment;
  return options;
}
// The number of one transaction with one command in it.
std::uint64_t use_once(CardConnection& connection) {
  const Status begun = connection.begin();
  EXPECT_TRUE(begun) << begun.error().message;
  const std::uint64_t number = connection.transaction();
  EXPECT_TRUE(connection.transmit(kCommand));
  connection.end();
  EXPECT_EQ(connection.transaction(), 0u) << "kept or not, the caller's is over";
  return number;
}
// Until a transaction is kept: one that has met another program, or a machine busy enough to look like one, is not.
std::uint64_t use_until_kept(CardConnection& connection) {
  const auto deadline = std::chrono::steady_clock::now() + kDeadline;
  std::uint64_t last = use_once(connection);
  while (std::chrono::steady_clock::now() < deadline) {
    const std::uint64_t number = use_once(connection);
    if (number == last) return number;
    last = number;
  }
  ADD_FAILURE() << "no transaction was kept";
  return 0;
}
// Another program gets the card within `patience`.
bool others_get(const std::string& reader, std::chrono::milliseconds patience = 10s) {
  PcscOptions options;
  options.busy_timeout = patience;
  auto other = PcscReaders(options).connect(reader);
  if (!other || !(*other)->begin()) return false;
  (*other)->end();
  return true;
}

TEST(KeptTransactions, ALoneOneIsNotKept) {
  OddCard card(fine);
  const std::string reader = reader_with_card();
  auto mine = PcscReaders(keeping(1h)).connect(reader);
  ASSERT_TRUE(mine);
  use_once(**mine);
  EXPECT_TRUE(others_get(reader));
}

TEST(KeptTransactions, ThoseThatFollowCloselyAreOneUntilLetGo) {
  OddCard card(fine);
  const std::string reader = reader_with_card();
  auto mine = PcscReaders(keeping(1h)).connect(reader);
  ASSERT_TRUE(mine);
  const std::uint64_t kept = use_until_kept(**mine);
  EXPECT_FALSE(others_get(reader, 300ms)) << "the same number means that nobody else has had the card";
  EXPECT_EQ(use_once(**mine), kept);
  (*mine)->let_go();
  EXPECT_TRUE(others_get(reader));
  EXPECT_NE(use_once(**mine), kept);
}

TEST(KeptTransactions, AreNotKeptWithoutBeingAsked) {
  OddCard card(fine);
  const std::string reader = reader_with_card();
  auto mine = PcscReaders().connect(reader);
  ASSERT_TRUE(mine);
  std::set<std::uint64_t> numbers;
  for (int i = 0; i < 5; ++i) numbers.insert(use_once(**mine));
  EXPECT_EQ(numbers.size(), 5u);
  EXPECT_TRUE(others_get(reader));
}

TEST(KeptTransactions, GoByThemselvesWhenNobodyComes) {
  OddCard card(fine);
  const std::string reader = reader_with_card();
  auto mine = PcscReaders(keeping(20ms)).connect(reader);
  ASSERT_TRUE(mine);
  use_until_kept(**mine);
  EXPECT_TRUE(others_get(reader));
}

TEST(KeptTransactions, EndWithTheConnection) {
  OddCard card(fine);
  const std::string reader = reader_with_card();
  auto mine = PcscReaders(keeping(1h)).connect(reader);
  ASSERT_TRUE(mine);
  use_until_kept(**mine);
  mine->reset();
  EXPECT_TRUE(others_get(reader));
}

TEST(KeptTransactions, StarveNobody) {
  OddCard card(fine);
  const std::string reader = reader_with_card();
  auto mine = PcscReaders(keeping(1h)).connect(reader);
  ASSERT_TRUE(mine);
  use_until_kept(**mine);
  std::atomic<bool> over{false}, served{false};
  std::thread waiting([&] {
    served = others_get(reader, kDeadline);
    over = true;
  });
  // No pause between two uses: the other program's turn has to be given to it.
  while (!over) use_once(**mine);
  waiting.join();
  EXPECT_TRUE(served);
}

TEST(KeptTransactions, ACardPulledMeanwhileIsToldAsSuch) {
  auto card = std::make_unique<OddCard>(fine);
  const std::string reader = reader_with_card();
  auto mine = PcscReaders(keeping(1h)).connect(reader);
  ASSERT_TRUE(mine);
  use_until_kept(**mine);
  card.reset();
  OddCard next(fine);
  ASSERT_EQ(reader_with_card(), reader);
  ASSERT_TRUE((*mine)->begin()) << "kept: nobody has looked";
  const auto answer = (*mine)->transmit(kCommand);
  ASSERT_FALSE(answer) << "the command of one card must not reach the next";
  EXPECT_EQ(answer.error().kind, ErrorKind::card_removed) << answer.error().message;
  (*mine)->end();
  EXPECT_EQ((*mine)->begin().error().kind, ErrorKind::card_removed) << "and after a failure nothing is kept";
}

TEST(ReaderWatches, StopWakesTheWaiter) {
  ReaderWatch watch;
  std::thread stopper([&] { watch.stop(); });
  for (;;) {
    const auto events = watch.next(20s);
    ASSERT_TRUE(events);
    if (events->empty()) break;
  }
  stopper.join();
}

TEST(ReaderWatches, SeeACardComeAndGo) {
  ReaderWatch watch;
  std::vector<ReaderEvent::Kind> seen;
  const auto wait_for = [&](ReaderEvent::Kind wanted) {
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (std::chrono::steady_clock::now() < deadline) {
      const auto events = watch.next(1s);
      if (!events) return false;
      for (const ReaderEvent& event : *events) {
        if (event.kind == wanted) return true;
      }
    }
    return false;
  };
  EXPECT_TRUE(wait_for(ReaderEvent::Kind::pcscd_started));
  {
    OddCard card(fine);
    EXPECT_TRUE(wait_for(ReaderEvent::Kind::card_inserted));
  }
  EXPECT_TRUE(wait_for(ReaderEvent::Kind::card_removed));
}

}  // namespace
}  // namespace karta::card
