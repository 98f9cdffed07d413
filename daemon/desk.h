// ReaderDesk: one reader and the card in it, as a mode works with them. It lives on the reader's own thread: nothing
// but give_up() is called from another one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "card/channel.h"
#include "daemon/services.h"
#include "daemon/timeline.h"

namespace karta::daemon {

/// The card for the length of one verb: connected, other programs kept away, every command timed. Members refer to each
/// other: held by pointer.
class CardUse {
 public:
  CardUse(const CardUse&) = delete;
  CardUse& operator=(const CardUse&) = delete;

  /// Plain commands; secure channels are opened over it.
  card::Channel& channel() { return channel_; }
  TimedConnection& connection() { return timed_; }
  Timeline& timeline() { return timed_.timeline(); }

 private:
  friend class ReaderDesk;
  CardUse(card::CardConnection& connection, TimedConnection::SteadyClock::time_point deadline, const SteadyNow& now)
      : timed_(connection, deadline, now), channel_(timed_) {}

  TimedConnection timed_;
  std::optional<card::Transaction> transaction_;
  card::PlainChannel channel_;
};

/// An error met in what a card said, as callers are told of it: garbage is a card that does not answer, no request of
/// theirs that is malformed or too long.
Error said_by_card(Error error);

class ReaderDesk {
 public:
  ReaderDesk(std::string reader, ReaderConfig config, const Services& services, card::ReaderList& readers);
  ~ReaderDesk();
  ReaderDesk(const ReaderDesk&) = delete;
  ReaderDesk& operator=(const ReaderDesk&) = delete;

  const std::string& reader() const { return reader_; }
  const ReaderConfig& config() const { return config_; }
  const Services& services() const { return services_; }

  /// The card in the reader. Verbs that follow each other find the connection of the one before, and on it what that
  /// one has selected. Fails with no_card, no_reader, card_busy (another program), card_unresponsive (mute, or not in
  /// time), no_pcscd.
  Result<std::unique_ptr<CardUse>> use_card();
  /// The last use_card() found another program at the card.
  bool found_busy() const { return found_busy_; }
  /// Connected to a card: no other program can have it for itself.
  bool holds_card() const { return connection_ != nullptr; }
  /// Forgets the connection: after a card was removed, answered garbage, or is not worked on any more.
  void drop_card();

  /// The card was in the reader when the reader came to this program: laid there before, and perhaps worked on before.
  bool found_lying() const { return found_lying_; }
  /// By who runs the desk, before it tells modes of a card.
  void set_found_lying(bool lying) { found_lying_ = lying; }

  /// Waits, but not where the reader is given up meanwhile: then false, at once.
  bool pause(std::chrono::milliseconds time);
  /// Nobody pauses here any more. From any thread.
  void give_up();

  /// An event "progress": {reader, verb, step}; for desks that show what is going on.
  void progress(std::string_view verb, std::string_view step);

 private:
  Result<std::unique_ptr<CardUse>> use_card_once_or_twice();

  std::string reader_;
  ReaderConfig config_;
  const Services& services_;
  card::ReaderList& readers_;
  std::unique_ptr<card::CardConnection> connection_;
  std::mutex mutex_;  // of the two below
  std::condition_variable woken_;
  bool given_up_ = false;
  bool found_busy_ = false;
  bool found_lying_ = false;
};

}  // namespace karta::daemon
