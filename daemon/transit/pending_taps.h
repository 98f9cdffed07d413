// PendingTaps: the commits of this terminal whose outcome it does not know, by ledger, and the running numbers of its
// gates; both as the journal tells them.
//
// A commit becomes pending with its intent, which is on disk before COMMIT is sent, and ends with its tap or settled
// record. What a program that was killed left behind is found in its journal; whether the gate had opened for it is
// asked of the gate's output.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

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
  static Result<std::unique_ptr<PendingTaps>> load(identity::Journal& journal, const LastOpened& last_opened);

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
  mutable std::mutex mutex_;
  std::map<Bytes, card::PendingTap> taps_;
  std::uint32_t next_ = 1;
};

}  // namespace karta::daemon
