// TransitGate: one gate: a card comes, is judged, pays, and the gate opens, or says why it does not.
//
// What is on disk before what (docs/transit.md):
//   the intent      before COMMIT is sent: whatever happens then, somebody knows that it may have been written
//   the gate opens  on the card's receipt, with no disk in between
//   RATIFY          behind the open gate: from now on the card says itself that its answer arrived
//   the tap         behind that: gate, number, counters, the card's settlement code
//   a settlement    before the gate opens for it
// Killed anywhere in between, the next tap of that card finds the commit by what OPEN shows, and whether the gate had
// opened for it by the gate's output or by RATIFY: nothing is taken twice, nothing is free.
#pragma once

#include <array>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "card/channel.h"
#include "daemon/key_ring.h"
#include "daemon/timeline.h"
#include "daemon/transit/gate_output.h"
#include "daemon/transit/gate_reason.h"
#include "daemon/transit/pending_taps.h"

namespace karta::daemon {

/// What a gate goes by at one moment: rules, stop-list, whom to trust. Immutable.
struct GateTerms {
  card::Gate gate;
  std::optional<GateReason> closed = {};  ///< nobody passes now, and why
  /// The card lay there before this program knew of the reader: it may have paid for this very laying-on.
  bool found_lying = false;
  card::StatusCheck status = {};
  card::SignedStatusCheck signed_status = {};
  std::vector<crypto::Certificate> anchors = {};  ///< card-signed taps are taken from cards they certified; may be none
  bool anchors_too_old = false;                   ///< and none for now: the trust list that names them is past its time
  /// The longest a card of this place takes to answer OPEN, way and reader included; 0: no bound.
  std::chrono::microseconds longest_open{0};
};

struct GateResult {
  GateReason reason = GateReason::unresponsive;
  std::uint32_t number = 0;  ///< the gate's own, where something is recorded under one
  bool settled = false;      ///< for a trip taken before
  bool card_signed = false;
  std::optional<card::TransitEntry> entry = {};  ///< counted form, where the gate opened
  std::vector<std::uint32_t> counters = {};
  std::optional<std::uint64_t> status_index = {};
  std::string problem = {};  ///< words for the log; empty: nothing went wrong
  bool open() const { return reason == GateReason::open; }
};

/// What a gate stands on; all outlive it.
struct GateServices {
  identity::Journal& journal;
  PendingTaps& pending;
  GateOutput& output;
  const Clock& clock;
  RandomSource& random;
  KeyRing* keys = nullptr;  ///< null: card-signed taps only
};

/// Used by its reader's thread; counts() by any.
class TransitGate {
 public:
  TransitGate(std::uint32_t gate, GateServices services) : gate_(gate), services_(services) {}

  /// One card, from SELECT to RATIFY. `timeline`: the connection's below `channel`; null: answers are not timed.
  GateResult tap(card::Channel& channel, const Timeline* timeline, const GateTerms& terms);

  struct Counts {
    std::uint64_t opened = 0, settled = 0;
    std::map<std::string, std::uint64_t, std::less<>> refused;  ///< by reason
  };
  Counts counts() const;

 private:
  std::optional<GateResult> counted(card::Channel& channel, const Timeline* timeline, const GateTerms& terms);
  GateResult card_signed(card::Channel& channel, const Timeline* timeline, const GateTerms& terms);
  GateResult refuse(GateReason reason, GateResult result, ByteView ledger = {});
  bool write_down_the_unwritten();
  void write_later(std::string_view kind, std::string body);
  /// The newest of all openings here was for this card.
  bool was_last(const card::LedgerInfo& info, const card::LedgerState& state, const GateTerms& terms) const;
  Status record(std::string_view kind, const card::TapRecord& record);
  bool is_too_slow(const Timeline* timeline, std::uint8_t ins, const GateTerms& terms) const;

  std::uint32_t gate_;
  GateServices services_;
  std::deque<std::pair<std::string_view, std::string>> unwritten_;  // kind, body: tried again before each tap
  std::map<Bytes, Time> passed_;                                    // card-signed: by ledger, for pass-back

  mutable std::mutex mutex_;
  std::array<std::uint64_t, 32> by_reason_{};
  std::uint64_t settled_ = 0;
};

}  // namespace karta::daemon
