// PendingTaps: the commits of this terminal whose outcome it does not know, by ledger, and the running numbers of its
// gates; both as the journal tells them.
//
// A commit becomes pending with its intent, which is on disk before COMMIT is sent, and ends with its tap or settled
// record. What a program that was killed left behind is found in its journal; whether the gate had opened for it is
// asked of the gate's output.
//
// What is pending is written into the journal whole when the program begins and twice a day: the journal is pruned one
// day, and of what stood before the newest set nothing is needed.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>

#include "card/tap_record.h"
#include "identity/journal/journal.h"

namespace karta::daemon {

/// Usable from several threads.
class PendingTaps {
 public:
  /// The number of a gate's newest opening, where its output can tell.
  using LastOpened = std::function<std::optional<std::uint32_t>(std::uint32_t gate)>;

  /// Reads the journal as far back as needed and writes what is pending into it. Fails as the journal does, malformed
  /// where a record of a tap is none.
  static Result<std::unique_ptr<PendingTaps>> load(identity::Journal& journal, const LastOpened& last_opened, Time now);

  /// A gate holds it from the card's first word to the last record: a set in the middle of a tap would be no state that
  /// ever was.
  using AtWork = std::shared_lock<std::shared_mutex>;
  AtWork at_work() { return AtWork(working_); }
  /// A record of a tap waits for room in the journal: until it is written (-1) there are no new sets.
  void add_unwritten(int records) { unwritten_ += records; }
  /// Writes a set where the last one is kSetEvery old, no gate is at work, and nothing is unwritten; else does nothing.
  Status refresh(identity::Journal& journal, Time now);
  /// Half of the shortest time a journal keeps its records.
  static constexpr std::chrono::hours kSetEvery{12};

  /// What the gate opened for last; nothing where it is not known.
  std::optional<card::NewestTap> newest(std::uint32_t gate) const;
  void set_newest(card::NewestTap tap);

  std::optional<card::PendingTap> find(ByteView serial) const;
  /// Its intent is on disk; takes the place of what was pending for the ledger.
  void keep(card::PendingTap tap);
  /// The gate has opened for it; its record is not written yet.
  void set_opened(ByteView serial);
  void drop(ByteView serial);
  std::size_t count() const;

  /// Never the same twice, through restarts, where it is used with a record.
  std::uint32_t take_number();

 private:
  PendingTaps() = default;
  Status write_set(identity::Journal& journal, Time now);

  std::shared_mutex working_;  // before mutex_
  std::atomic<int> unwritten_ = 0;
  Time written_{};  // when the last set was; refresh() and load() only

  mutable std::mutex mutex_;  // of all below
  std::map<Bytes, card::PendingTap> taps_;
  std::map<std::uint32_t, card::NewestTap> newest_;  // by gate
  std::uint32_t next_ = 1;
};

}  // namespace karta::daemon
