// Transit: the transit application of a citizen card: concession, products with zones and validity, trips and value in
// counters, a journal of taps. Layouts: docs/applications.md.
//
// No personal datum is in a gate's path: the ledger's serial, the status index and the product are all a gate learns,
// and that only with the keys of OPEN (or, in the card-signed form, what the operator chose to let everybody read).
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "card/card_time.h"
#include "card/ledger.h"
#include "crypto/x509/certificate.h"

namespace karta::card {

inline constexpr std::uint8_t kTransitAid[] = {0xF0, 0x4B, 0x41, 0x52, 0x54, 0x41, 0x03};
inline constexpr std::uint16_t kTransitDf = 0xD103;
inline constexpr std::uint16_t kTransitLedger = 0x0103, kEfTransitCertificate = 0x0104, kTransitSigningKey = 0x00E4;
inline constexpr std::uint8_t kTransitLedgerShortId = 0x03, kTransitCertificateShortId = 0x04;

enum class ProductKind : std::uint8_t {
  none = 0,
  period = 1,  ///< travels as often as wanted; its counter stays
  trips = 2,   ///< the counter holds the trips left
  purse = 3,   ///< the counter holds money in the smallest unit
};
/// "period", "trips", "purse", "none"
std::string_view name_of(ProductKind kind);
std::optional<ProductKind> find_product_kind(std::string_view name);

struct TransitProduct {
  ProductKind kind = ProductKind::none;
  std::uint16_t zones = 0;  ///< bit n: zone n, 0 to 15
  CardDay from, until;
  bool empty() const { return kind == ProductKind::none; }
  friend bool operator==(const TransitProduct&, const TransitProduct&) = default;
};

/// Status indexes on a card are five octets.
inline constexpr std::uint64_t kMostStatusIndex = (std::uint64_t{1} << 40) - 1;

/// The ledger's product.
struct TransitPass {
  std::uint64_t status_index = 0;        ///< by which stop-lists name the card; the same as in its certificates
  std::uint8_t concession = 0;           ///< number of the ground in the registry; 0: none
  CardDay concession_until;              ///< the last day; open: without end
  std::vector<TransitProduct> products;  ///< as many as counters

  static constexpr std::size_t kHeadOctets = 9, kProductOctets = 7;
  static std::size_t octets(std::size_t products) { return kHeadOctets + products * kProductOctets; }
  Result<Bytes> encode() const;
  static Result<TransitPass> parse(ByteView product, std::size_t products);
  friend bool operator==(const TransitPass&, const TransitPass&) = default;
};

struct TransitEntry {
  enum class Event : std::uint8_t { none = 0, entry = 1, exit = 2, inspection = 3, sale = 4 };
  Event event = Event::none;
  std::uint32_t terminal = 0;  ///< the gate
  std::uint32_t number = 0;    ///< its own running number
  std::uint32_t moment = 0;
  std::uint8_t slot = 0, zone = 0;
  bool reduced = false;  ///< a concession was used: its pass, or its fare
  // Running sums, so that the newest entry, which OPEN shows, is enough to judge by.
  std::uint8_t concession_day = 0, concession_month = 0;  ///< rides under the concession, this one included
  std::uint32_t spent_day = 0;                            ///< off purses this day, this ride included
  static constexpr std::size_t kOctets = 20;
  static constexpr std::uint32_t kMostSpent = 0xFFFFFF;
  Bytes encode() const;
  static Result<TransitEntry> parse(ByteView entry);
  friend bool operator==(const TransitEntry&, const TransitEntry&) = default;
};

/// What a ride costs off a purse, in its smallest unit.
struct Fare {
  std::uint32_t full = 0, reduced = 0;
  friend bool operator==(const Fare&, const Fare&) = default;
};
/// What a ground of concession is good for. Limits of 0: none.
struct ConcessionTerms {
  bool honoured = true;
  std::uint8_t rides_day = 0, rides_month = 0;
  friend bool operator==(const ConcessionTerms&, const ConcessionTerms&) = default;
};

/// A gate: where and what it is, and its rules, all that deciding needs in one value (transit_rules.h makes it of a
/// file).
struct Gate {
  static constexpr std::size_t kZones = 16, kGrounds = 32;
  static constexpr std::uint8_t kAllKinds = 0xFF;

  std::uint32_t terminal = 0;
  std::uint8_t zone = 0;
  std::uint32_t fare = 0, reduced_fare = 0;  ///< for purses, in the smallest unit
  std::uint32_t pass_back_seconds = 0;       ///< an entry at the same gate within this is refused; 0: no such rule
  TransitEntry::Event event = TransitEntry::Event::entry;  ///< or exit: then fares are the supplements below
  std::array<Fare, kZones> supplements = {};               ///< exit: by the zone entered
  std::array<ConcessionTerms, kGrounds> concessions = {};  ///< by ground; those beyond are not honoured
  Fare day_cap = {};                                       ///< most that a day costs off a purse; 0: no cap
  std::int32_t day_offset_seconds = 0;                     ///< added to UTC it tells the day of service
  std::uint8_t kinds = kAllKinds;                          ///< bit n: products of ProductKind n are taken
  std::uint8_t signed_kinds = kAllKinds;                   ///< the same in the card-signed form
};

/// Why a gate opens or does not.
enum class TapReason : std::uint8_t {
  open,
  no_product,
  not_valid,
  wrong_zone,
  used_up,
  quota,  ///< the concession's rides of the day or month are taken
  pass_back,
  no_entry,      ///< at an exit: the card did not come in
  stopped,       ///< on the stop-list
  unknown_card,  ///< of no batch the stop-list knows
};
/// "open", "no-product", "not-valid", "wrong-zone", "used-up", "quota", "pass-back", "no-entry", "stopped",
/// "unknown-card"
std::string_view name_of(TapReason reason);

struct TapDecision {
  TapReason reason = TapReason::no_product;
  LedgerChange change;  ///< only where `reason` is open
  TransitEntry entry;
};
/// Judges a card by what it says of itself. Products are tried in order: passes, then trips, then purses. Fails with
/// `card_unresponsive` on a product that breaks its layout.
Result<TapDecision> decide_tap(const LedgerState& state, const Gate& gate, std::uint32_t number, Time now);
/// The same for the card-signed form: a reason, and nothing to change. What only a counted entry tells (rides of a
/// concession with a quota, the day's cap) is not taken.
Result<TapReason> decide_signed_tap(const LedgerStatement& statement, std::size_t products, const Gate& gate, Time now);

/// A tap that has been receipted, or refused with a reason.
struct TapOutcome {
  TapReason reason = TapReason::no_product;
  TransitEntry entry;
  std::vector<std::uint32_t> counters;  ///< as they are now
  std::optional<LedgerReceipt> receipt;
  bool settled = false;  ///< a commit of before, whose answer had been lost, was found written: nothing was taken now
  std::optional<std::uint64_t> status_index;  ///< as the card says; nothing where the card was not heard out
};

/// Judges a card by its status index, once the card has proved to be what it says: `open`, `stopped` or `unknown_card`.
using StatusCheck = std::function<TapReason(std::uint64_t status_index)>;
/// The same in the card-signed form, where the certificate tells whose card it is.
using SignedStatusCheck = std::function<TapReason(const crypto::Certificate& certificate, std::uint64_t status_index)>;

/// One card at a gate, from selection to receipt.
class Tap {
 public:
  /// `pending`: a commit of this gate (or one it was told of) whose outcome is not known; may be null.
  Tap(Channel& channel, TransactionKeys& keys, const Gate& gate) : channel_(channel), keys_(keys), gate_(gate) {}
  /// Three commands: SELECT, OPEN, COMMIT; two where the card is refused or an earlier commit is settled. Where it
  /// fails, session() tells in which phase.
  Result<TapOutcome> run(std::uint32_t number, Time now, const KeepPending& keep = {},
                         const PendingCommit* pending = nullptr, const StatusCheck& status = {});
  /// The same in two: the first two commands, after which session() tells what the card shows; then the rest, in which
  /// `pending` may be chosen by that. What has been waited for in between is the caller's to judge.
  Status open();
  Result<TapOutcome> decide(std::uint32_t number, Time now, const KeepPending& keep = {},
                            const PendingCommit* pending = nullptr, const StatusCheck& status = {});
  /// One command, after the gate has opened.
  Status ratify();
  /// Nothing before OPEN was answered.
  const LedgerSession* session() const { return session_ ? &*session_ : nullptr; }

 private:
  Channel& channel_;
  TransactionKeys& keys_;
  Gate gate_;
  std::optional<LedgerSession> session_;
};

/// The card-signed form: SELECT, certificate (READ BINARY), INTERNAL AUTHENTICATE; no secret in the gate, no write.
struct SignedTapOutcome {
  TapReason reason = TapReason::no_product;
  Bytes serial;                    ///< the ledger's
  std::uint64_t status_index = 0;  ///< signed by the card; its certificate, where it names one, names the same
  LedgerStatement statement;
  crypto::Certificate certificate;
};
/// `anchors` have signed the certificates of cards (the issuing CA). Fails with `untrusted`, `invalid_signature`.
Result<SignedTapOutcome> run_signed_tap(Channel& channel, const std::vector<crypto::Certificate>& anchors,
                                        const Gate& gate, Time now, RandomSource& random,
                                        const SignedStatusCheck& status = {});

/// The serial of the ledger whose key `certificate` certifies: it is one of a transit ledger, with a path to `anchors`
/// at `at`. Fails with `untrusted`.
Result<Bytes> verify_transit_certificate(const crypto::Certificate& certificate,
                                         const std::vector<crypto::Certificate>& anchors, Time at);

/// The name in that certificate: "transit " and the ledger's serial. It says nothing about chip or person.
std::string transit_subject(ByteView serial);

/// What selling changes: adds to a product's counter, or puts a product into a slot (which is written with
/// write_pass() before). Credit key. The running sums of the newest entry are carried on, as far as they are
/// of the same day of service and month (`day_offset_seconds` as in Gate).
Result<LedgerChange> sale(const LedgerState& state, std::uint8_t slot, std::uint32_t amount, TransitEntry entry,
                          std::int32_t day_offset_seconds = 0);

class TransitApplication {
 public:
  /// SELECT with FCI. One command.
  static Result<TransitApplication> open(Channel& channel);
  const LedgerInfo& ledger() const { return info_; }
  Result<LedgerSession> open_for_travel(TransactionKeys& keys);
  Result<LedgerSession> open_for_sale(TransactionKeys& keys);
  struct Reading {
    TransitPass pass;
    std::vector<std::uint32_t> counters;
    std::uint32_t sequence = 0;
    std::vector<TransitEntry> journal;
  };
  /// With the right to read transit products. Two commands.
  Result<Reading> read();
  /// UPDATE BINARY of the product: in the issuer's session, or with the right to sell. Two commands.
  Status write_pass(const TransitPass& pass);

 private:
  TransitApplication(Channel& channel, LedgerInfo info) : channel_(&channel), info_(std::move(info)) {}
  Channel* channel_;
  LedgerInfo info_;
};

}  // namespace karta::card
