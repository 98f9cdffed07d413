// TapRecord: what a terminal's journal says of a tap, or of any commit to a ledger: the bodies of the kinds tap-intent,
// tap, settled and refusal (docs/transit.md), written by gates and read by who settles.
//
// No name and no number of a person: the ledger's serial, the card's status index, what was taken and the card's code.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "card/transit.h"

namespace karta::card {

/// Kinds of journal records.
inline constexpr std::string_view kTapIntentKind = "tap-intent", kTapKind = "tap", kSettledKind = "settled",
                                  kRefusalKind = "refusal", kPendingKind = "tap-pending";

/// What a gate knows of an opening that its journal does not tell.
enum class GateOpened : std::uint8_t {
  no,       ///< it stayed closed: the answer was lost
  yes,      ///< it opened, and the record of it is missing
  unknown,  ///< the program ended in between
};
/// "no", "yes", "unknown"
std::string_view name_of(GateOpened opened);

/// What became of a commit nobody had the answer to.
enum class TapSettlement : std::uint8_t {
  written,
  superseded,  ///< later commits hide it: by the ledger's numbers it was paid
};
/// "written", "superseded"
std::string_view name_of(TapSettlement settlement);

/// A commit of somebody's, as OPEN shows it.
struct SeenCommit {
  std::uint32_t sequence = 0;
  bool credit = false;
  std::vector<std::uint32_t> counters;
  Bytes entry, code;
  friend bool operator==(const SeenCommit&, const SeenCommit&) = default;
};

struct TapRecord {
  enum class Form : std::uint8_t { counted, card_signed };

  Form form = Form::counted;
  std::uint32_t gate = 0, number = 0;         ///< who writes this, and its running number
  Bytes ledger;                               ///< serial
  std::optional<std::uint64_t> status_index;  ///< as the card said

  // Counted: the commit.
  LedgerKey kind = LedgerKey::debit;
  std::uint32_t sequence = 0;               ///< after the commit
  LedgerChange change;                      ///< what was, or was to be, written
  Bytes code;                               ///< settlement code; empty in an intent
  ProductKind product = ProductKind::none;  ///< what was ridden on
  std::uint32_t taken = 0;                  ///< off its counter: trips, or money

  // Counted: what OPEN showed of the commit before, where that was not ratified: evidence for who made it.
  using Seen = SeenCommit;
  std::optional<Seen> seen;

  // Settled: what became of an earlier commit; whether this gate opens for it now; whether its gate had opened before.
  std::optional<TapSettlement> settlement;
  bool opens = false, opened = false;

  // Card-signed: the statement with its signature (r || s) and the certificate, DER.
  Bytes statement, signature, certificate;

  /// Canonical JSON: sorted keys, no blanks.
  std::string to_json() const;
  /// The product and what is taken, from what OPEN showed and the entry.
  void price(const LedgerState& before, const TransitEntry& entry);
  /// Unknown keys are left alone: journals outlive programs. Fails with `malformed`.
  static Result<TapRecord> from_json(std::string_view body);
};

/// Why a gate stayed closed, in the journal.
struct GateRefusal {
  std::uint32_t gate = 0;
  std::string reason;  ///< "stopped"
  Bytes ledger;        ///< empty where the card did not get so far
  std::optional<std::uint64_t> status_index;
  std::optional<std::uint32_t> number;  ///< of the intent whose answer was lost

  std::string to_json() const;
  static Result<GateRefusal> from_json(std::string_view body);
};

/// A commit whose outcome a journal does not tell.
struct PendingTap {
  std::uint32_t gate = 0, number = 0;  ///< who made it
  GateOpened opened = GateOpened::unknown;
  PendingCommit commit;
};
/// The newest tap a gate has opened for.
struct NewestTap {
  std::uint32_t gate = 0, number = 0;
  Bytes ledger;
};
/// All of them, the next running number, and what each gate opened for last: written when a program begins and now and
/// then behind that, so that the next one need not read the journal from its beginning. Where they are many they take
/// several records, one directly behind the other.
struct PendingTaps {
  static constexpr std::size_t kMostInOne = 100;

  std::vector<PendingTap> taps;
  std::vector<NewestTap> newest = {};  ///< in the first part; at most kMostInOne gates
  std::uint32_t next_number = 1;
  std::uint32_t part = 1, parts = 1;

  std::string to_json() const;
  static Result<PendingTaps> from_json(std::string_view body);
};

}  // namespace karta::card
