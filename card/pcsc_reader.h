// PC/SC readers: the machine's pcscd, its readers coming and going, and the cards in them.
//
// Every PC/SC return code becomes one of our errors in one table (pcsc_reader.cpp). A card that never answers does not
// hang the program: commands run on a thread of the connection, and after `answer_timeout` the caller gets
// `card_unresponsive` and the connection is of no further use.
//
// A connection may keep a transaction for a moment when transactions follow each other closely (keep_transaction): the
// next one is then the same one still, nobody else has had the card, and what was read and set in it holds. It is fair
// to other programs, which pcscd lets look for a free card ten times a second: a lone transaction is not kept, none is
// kept for longer than a second, after which the card is left free long enough for everybody who waits to find it so,
// and where another program is met none is kept for a while.
#pragma once

#include <chrono>
#include <memory>

#include "card/reader.h"

namespace karta::card {

struct PcscOptions {
  /// Longest wait for one answer. RSA-4096 key generation on a slow chip takes the better part of a minute.
  std::chrono::milliseconds answer_timeout{90'000};
  /// Longest wait for another program to end its transaction.
  std::chrono::milliseconds busy_timeout{10'000};
  /// How closely transactions follow each other for the later ones to be kept, and how long they are kept idle; zero:
  /// every one ends with its end().
  std::chrono::milliseconds keep_transaction{0};
  /// Keep all other programs off the card for the life of the connection (personalisation).
  bool exclusive = false;
};

/// The readers of pcscd. list() and connect() each find pcscd afresh, so it may stop and start in between.
/// Usable from several threads.
class PcscReaders final : public ReaderList {
 public:
  explicit PcscReaders(PcscOptions options = {}) : options_(options) {}
  Result<std::vector<ReaderInfo>> list() override;
  Result<std::unique_ptr<CardConnection>> connect(std::string_view name) override;

 private:
  PcscOptions options_;
};

struct ReaderEvent {
  enum class Kind : std::uint8_t {
    pcscd_started,  ///< or found running at the beginning
    pcscd_stopped,
    reader_added,
    reader_removed,
    card_inserted,
    card_removed,
    card_mute,  ///< inserted, but does not answer to reset
  };
  Kind kind;
  std::string reader;  ///< empty for pcscd's own
  Bytes atr;           ///< card_inserted only
};

std::string_view to_string(ReaderEvent::Kind kind);

/// Watches readers and cards come and go, through stops and starts of pcscd. The first events tell what is there.
/// next() belongs to one thread; stop() may be called from any, also from a signal handler's self-pipe reader.
class ReaderWatch {
 public:
  ReaderWatch();
  ~ReaderWatch();
  ReaderWatch(const ReaderWatch&) = delete;
  ReaderWatch& operator=(const ReaderWatch&) = delete;

  /// Waits for changes, at most `timeout`. Empty: nothing happened, or stop() was called.
  Result<std::vector<ReaderEvent>> next(std::chrono::milliseconds timeout);
  /// Makes next() return at once, now and later.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace karta::card
