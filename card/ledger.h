// Ledger: counters, a product and a journal on a card, opened and committed under keys of that ledger alone; the
// terminal's side of docs/transactions.md.
//
//   auto info = TRY(select_ledger(channel, kTransitAid));                      // command 1
//   auto ledger = TRY(LedgerSession::open(channel, keys, info, LedgerKey::debit));   // command 2
//   auto receipt = TRY(ledger.commit({counters, entry}, keep));                // command 3: open the gate on this
//   ledger.ratify();                                                           // off the critical path
//
// The lost answer. Before COMMIT is sent the terminal keeps a PendingCommit. Where commit() fails and phase() says
// `lost`, nobody knows whether the card wrote; when the card comes again settle() tells, from what OPEN shows.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "card/transaction_keys.h"

namespace karta::card {

inline constexpr std::size_t kMostLedgerCounters = 8, kMostLedgerEntry = 40, kMostLedgerProduct = 160;

/// What SELECT tells of a ledger (A5 of the FCI).
struct LedgerInfo {
  Bytes serial;  ///< eight octets
  std::uint8_t debit_version = 0, credit_version = 0;
  std::uint16_t product_version = 0;
  LedgerShape shape;
  std::size_t product_octets = 0;

  /// From the answer of SELECT with FCI, `6F {.. A5 {80 81 82 83}}`. Fails with `not_found` where no ledger is shown,
  /// `card_unresponsive` on a wrong shape.
  static Result<LedgerInfo> parse(ByteView fci);
};
/// One command: SELECT by name with FCI.
Result<LedgerInfo> select_ledger(Channel& channel, ByteView aid);

/// What OPEN shows.
struct LedgerState {
  bool ratified = true;        ///< the last commit's answer is known to have arrived; true while there was none
  bool last_credit = false;    ///< it was a credit
  std::uint32_t sequence = 0;  ///< commits so far
  std::uint16_t product_version = 0;
  std::vector<std::uint32_t> counters;
  Bytes product;
  Bytes last_entry, last_code;  ///< zeros before the first commit

  /// From the plain of OPEN's answer. Fails with `card_unresponsive` on another length.
  static Result<LedgerState> parse(ByteView plain, const LedgerInfo& info);
};

struct LedgerChange {
  std::vector<std::uint32_t> counters;  ///< new values, as many as there are
  Bytes entry;                          ///< unique: it names the terminal and the terminal's own running number
};

struct LedgerReceipt {
  std::uint32_t sequence = 0;
  Bytes code;    ///< settlement code, for the back office
  Bytes answer;  ///< as the card gave it: proof for who has the keys
};

/// What a terminal keeps, durably, before it sends COMMIT, until it knows.
struct PendingCommit {
  Bytes serial;
  LedgerKey kind = LedgerKey::debit;
  std::uint32_t sequence = 0;  ///< before the commit
  LedgerChange change;

  /// Lines of words, for a journal file.
  std::string to_text() const;
  static Result<PendingCommit> from_text(std::string_view text);
};
/// Called before COMMIT goes out; where it fails nothing is sent.
using KeepPending = std::function<Status(const PendingCommit&)>;

/// What became of a commit whose answer was lost.
enum class Settlement : std::uint8_t {
  written,      ///< do not commit again; `state.last_code` is its settlement code
  not_written,  ///< commit again
  superseded,   ///< later commits hide it: the back office decides, by its sequence
  other_card,   ///< this is another ledger
};
std::string_view name_of(Settlement settlement);
Settlement settle(const PendingCommit& pending, const LedgerInfo& info, const LedgerState& state);

enum class LedgerPhase : std::uint8_t {
  opened,     ///< nothing sent yet
  refused,    ///< the card answered no: nothing was written
  lost,       ///< COMMIT was sent and no answer that proves anything came
  committed,  ///< written and receipted
  ratified,   ///< and the card knows that we know
};
std::string_view name_of(LedgerPhase phase);

class LedgerSession {
 public:
  /// OPEN: one command. The ledger's DF is current. Fails with `card_insecure` where the card has not the key (a clone,
  /// a stranger's card); `keys` and `channel` must outlive the session.
  static Result<LedgerSession> open(Channel& channel, TransactionKeys& keys, const LedgerInfo& info, LedgerKey kind);

  const LedgerInfo& info() const { return info_; }
  const LedgerState& state() const { return state_; }
  LedgerPhase phase() const { return phase_; }
  /// True where commits before this one are unconfirmed: compare with what is pending.
  bool has_unconfirmed() const { return !state_.ratified; }

  /// COMMIT: one command. On success the deed is done; on failure phase() says `refused` or `lost`. Fails with `usage`
  /// before anything is sent where the change does not fit the ledger, or a debit would raise a counter.
  Result<LedgerReceipt> commit(const LedgerChange& change, const KeepPending& keep = {});
  /// RATIFY: one command, directly behind commit(). A failure costs nothing but that the next OPEN says "not ratified".
  Status ratify();

 private:
  LedgerSession(Channel& channel, TransactionKeys& keys, LedgerInfo info, LedgerState state, LedgerKey kind)
      : channel_(&channel), keys_(&keys), info_(std::move(info)), state_(std::move(state)), kind_(kind) {}

  Channel* channel_;
  TransactionKeys* keys_;
  LedgerInfo info_;
  LedgerState state_;
  LedgerKey kind_;
  LedgerPhase phase_ = LedgerPhase::opened;
  Bytes ratification_;
};

/// How an application lays out its ledger: so many octets of product, and so many more for each counter.
struct LedgerLayout {
  std::size_t product_head = 0, product_slot = 0, entry_octets = 0;

  /// How many counters a ledger has whose products and counters are so many octets; nothing where none has.
  std::optional<std::size_t> counters_in(std::size_t octets) const;
};

/// The card-signed form: what the card says, and its signature.
struct LedgerStatement {
  Bytes product;
  std::vector<std::uint32_t> counters;
  std::uint32_t sequence = 0;
  std::uint16_t product_version = 0;
  Bytes signed_octets;  ///< "KTXP" || nonce || serial || product || counters || sequence || product version
  Bytes signature;      ///< r || s
};

/// INTERNAL AUTHENTICATE: one command; the signature is not checked here. `coordinate_octets` of the card's curve.
Result<LedgerStatement> sign_statement(Channel& channel, ByteView serial, const LedgerLayout& layout, ByteView nonce,
                                       std::size_t coordinate_octets = 32);

/// READ BINARY of a selected ledger, where a rule lets: product, counters, sequence.
struct LedgerContent {
  Bytes product;
  std::vector<std::uint32_t> counters;
  std::uint32_t sequence = 0;
  std::vector<Bytes> journal;  ///< the newest first
};
/// By short identifier in the current DF; two commands (READ BINARY, READ RECORD).
Result<LedgerContent> read_ledger(Channel& channel, std::uint8_t short_id, const LedgerLayout& layout);

}  // namespace karta::card
