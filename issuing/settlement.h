// Settlement: what gates say they took, held against what cards wrote: the back office's view of journals.
//
// Journals come as chains of records (identity/journal), from as many terminals as there are. Every counted tap bears
// the card's settlement code, which no gate can make; a ledger's sequence goes up by one with every commit. So an
// invented tap has a wrong code, a dropped one leaves a gap, a doubled one stands there twice. docs/transit.md.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "card/tap_record.h"
#include "card/transaction_keys.h"
#include "crypto/x509/certificate.h"
#include "identity/journal/record.h"

namespace karta::issuing {

enum class SettlementFindingKind : std::uint8_t {
  broken_chain,  ///< a record was changed, or records are missing, or there are two histories
  malformed,     ///< a record of a tap that is none
  invented,      ///< a code or signature the card did not make
  doubled,       ///< one commit, two openings
  dropped,       ///< the card wrote a commit no journal tells of
  wrong_amount,  ///< another sum than the card's counters show
  not_opened,    ///< paid, and the gate stayed closed: to be given back
  unseen_sale,   ///< the card's counters went up: somebody sold, and no journal tells of it
  unproven,      ///< an intent without an end: perhaps paid, the card has not been seen since
};
/// "broken-chain", "malformed", "invented", "doubled", "dropped", "wrong-amount", "not-opened",
/// "unseen-sale", "unproven"
std::string_view name_of(SettlementFindingKind kind);
/// What nobody may have done; the last three happen to honest gates.
bool is_fault(SettlementFindingKind kind);

struct SettlementFinding {
  SettlementFindingKind kind = SettlementFindingKind::malformed;
  std::string terminal;      ///< whose journal; empty where several
  std::uint64_t record = 0;  ///< its number; 0: none
  Bytes ledger;              ///< empty: none
  std::uint32_t sequence = 0, gate = 0, number = 0;
  std::string words;
};

struct SettlementTotals {
  std::uint64_t taps = 0, periods = 0, trips = 0, purse = 0;  ///< purse: money; the others: rides
  std::uint64_t card_signed = 0, settled = 0, reduced = 0;
};

struct SettlementReport {
  std::uint64_t journals = 0, records = 0;
  std::uint64_t ledgers = 0;
  std::uint64_t commits = 0;          ///< proven by codes
  std::uint64_t codes_unchecked = 0;  ///< no settlement keys, or no anchors of signed taps, were given
  std::map<std::uint32_t, SettlementTotals> gates;
  SettlementTotals all;
  std::vector<SettlementFinding> findings;
  std::uint64_t count(SettlementFindingKind kind) const;
  bool faultless() const;
};

class Settlement {
 public:
  /// `keys`: with a settlement master; null: codes are not checked. `anchors`: of card-signed taps; empty: their
  /// signatures are checked, not whose they are. All outlive it.
  explicit Settlement(card::TransactionKeys* keys, std::vector<crypto::Certificate> anchors = {});
  ~Settlement();

  /// Records of `terminal`'s journal, in their order, a page after the other. `pages` of several terminals may mix.
  /// Fails as computing codes does: a module that was pulled out.
  Status add(const std::string& terminal, const std::vector<identity::JournalRecord>& records);
  /// All are in.
  SettlementReport finish();

  struct Commit;
  struct Ledger;

 private:
  Status add_record(const std::string& terminal, const identity::JournalRecord& record);
  Status add_counted(const std::string& terminal, const identity::JournalRecord& record, const card::TapRecord& tap);
  Status add_signed(const std::string& terminal, const identity::JournalRecord& record, const card::TapRecord& tap);
  Result<bool> proven(const card::TapRecord& tap, std::uint32_t sequence, bool credit,
                      const std::vector<std::uint32_t>& counters, ByteView entry, ByteView code);
  void judge_gap(const Bytes& serial, const Ledger& ledger, const Commit& before, std::uint32_t from,
                 const Commit& after, std::uint32_t to);
  void find(SettlementFindingKind kind, const std::string& terminal, std::uint64_t record, const card::TapRecord* tap,
            std::string words);

  card::TransactionKeys* keys_;
  std::vector<crypto::Certificate> anchors_;
  std::map<std::string, identity::JournalPosition> chains_;
  std::map<Bytes, Ledger> ledgers_;
  std::map<Bytes, std::string> statements_;  // signed octets, by whom
  SettlementReport report_;
};

}  // namespace karta::issuing
