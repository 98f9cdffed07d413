#include "card/transit.h"

#include <algorithm>
#include <array>

#include "base/be32.h"
#include "card/file.h"
#include "card/iso7816.h"
#include "card/whole_file.h"
#include "crypto/x509/path.h"

namespace karta::card {
namespace {

constexpr std::string_view kSubject = "transit ";
constexpr std::uint8_t kLayout = 1, kReduced = 0x01;
constexpr std::string_view kKinds[] = {"none", "period", "trips", "purse"};
constexpr std::string_view kReasons[] = {"open",  "no-product", "not-valid", "wrong-zone", "used-up",
                                         "quota", "pass-back",  "no-entry",  "stopped",    "unknown-card"};
constexpr std::uint8_t kMostZone = Gate::kZones - 1, kMostSlot = kMostLedgerCounters - 1;
constexpr std::size_t kMostCertificateOctets = 2048, kStatusIndexOctets = 5;
constexpr LedgerLayout kLayoutOfLedger{TransitPass::kHeadOctets, TransitPass::kProductOctets, TransitEntry::kOctets};
// In what order products are used: what costs nothing first.
constexpr ProductKind kOrder[] = {ProductKind::period, ProductKind::trips, ProductKind::purse};

bool all_zero(ByteView octets) {
  return std::all_of(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet == 0; });
}

tl::unexpected<Error> broken(const char* what) {
  return fail(ErrorKind::malformed, std::string(what) + " on the card is not in order");
}

/// The day of service a gate counts `time` to.
std::chrono::sys_days day_of(Time time, const Gate& gate) {
  return std::chrono::floor<std::chrono::days>(time + std::chrono::seconds(gate.day_offset_seconds));
}

}  // namespace

std::string_view name_of(ProductKind kind) { return kKinds[static_cast<std::size_t>(kind)]; }

std::optional<ProductKind> find_product_kind(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kKinds); ++i) {
    if (kKinds[i] == name) return static_cast<ProductKind>(i);
  }
  return std::nullopt;
}

std::string_view name_of(TapReason reason) { return kReasons[static_cast<std::size_t>(reason)]; }

// Pass -------------------------------------------------------------------------------------------

// 01 || status index (5) || concession (1) || until (2), then for each product: kind (1) || zones (2) || from (2) ||
// until (2)
Result<Bytes> TransitPass::encode() const {
  if (products.empty() || products.size() > kMostLedgerCounters) {
    return fail(ErrorKind::usage, "a ledger has 1 to 8 products");
  }
  if (status_index > kMostStatusIndex) return fail(ErrorKind::usage, "a status index of more than 40 bits");
  Bytes out{kLayout, static_cast<std::uint8_t>(status_index >> 32)};
  append_be32(out, static_cast<std::uint32_t>(status_index));
  out.push_back(concession);
  append_be16(out, TRY(day_number(concession_until)));
  for (const TransitProduct& product : products) {
    if (product.empty()) {
      out.insert(out.end(), kProductOctets, 0x00);
      continue;
    }
    out.push_back(static_cast<std::uint8_t>(product.kind));
    append_be16(out, product.zones);
    append_be16(out, TRY(day_number(product.from)));
    append_be16(out, TRY(day_number(product.until)));
  }
  return out;
}

Result<TransitPass> TransitPass::parse(ByteView product, std::size_t count) {
  constexpr const char* kWhat = "transit product";
  if (product.size() != octets(count)) return broken(kWhat);
  TransitPass pass;
  pass.products.resize(count);
  if (all_zero(product)) return pass;
  Cursor cursor(product);
  const std::uint8_t layout = TRY(cursor.u8());
  if (layout != kLayout) return broken(kWhat);
  for (const std::uint8_t octet : TRY(cursor.take(kStatusIndexOctets))) {
    pass.status_index = pass.status_index << 8 | octet;
  }
  pass.concession = TRY(cursor.u8());
  const std::uint16_t concession_until = TRY(cursor.be16());
  pass.concession_until = day_of_number(concession_until);
  for (TransitProduct& one : pass.products) {
    const ByteView octets = TRY(cursor.take(kProductOctets));
    if (octets[0] >= std::size(kKinds)) return broken(kWhat);
    one.kind = static_cast<ProductKind>(octets[0]);
    if (one.empty()) {
      if (!all_zero(octets)) return broken(kWhat);
      continue;
    }
    one.zones = load_be16(octets.subspan(1));
    one.from = day_of_number(load_be16(octets.subspan(3)));
    one.until = day_of_number(load_be16(octets.subspan(5)));
  }
  return pass;
}

// event (1) || terminal (4) || number (4) || moment (4) || zone, slot (a nibble each) || flags (1)
//   || rides under the concession this day (1), this month (1) || spent this day (3)
Bytes TransitEntry::encode() const {
  Bytes out{static_cast<std::uint8_t>(event)};
  out.reserve(kOctets);
  append_be32(out, terminal);
  append_be32(out, number);
  append_be32(out, moment);
  out.push_back(static_cast<std::uint8_t>(zone << 4 | slot));
  out.push_back(reduced ? kReduced : 0x00);
  out.push_back(concession_day);
  out.push_back(concession_month);
  out.push_back(static_cast<std::uint8_t>(spent_day >> 16));
  append_be16(out, static_cast<std::uint16_t>(spent_day));
  return out;
}

Result<TransitEntry> TransitEntry::parse(ByteView octets) {
  if (octets.size() != kOctets || octets[0] > static_cast<std::uint8_t>(Event::sale) ||
      (octets[13] & 0x0F) > kMostSlot || octets[14] > kReduced) {
    return broken("journal entry");
  }
  TransitEntry entry;
  entry.event = static_cast<Event>(octets[0]);
  entry.terminal = load_be32(octets.subspan(1));
  entry.number = load_be32(octets.subspan(5));
  entry.moment = load_be32(octets.subspan(9));
  entry.slot = octets[13] & 0x0F;
  entry.zone = static_cast<std::uint8_t>(octets[13] >> 4);
  entry.reduced = octets[14] == kReduced;
  entry.concession_day = octets[15];
  entry.concession_month = octets[16];
  entry.spent_day = static_cast<std::uint32_t>(octets[17]) << 16 | load_be16(octets.subspan(18));
  return entry;
}

// Deciding ---------------------------------------------------------------------------------------

namespace {

using std::chrono::sys_days;

/// What the day and the month have had before this ride, by the card's newest entry. A clock that was set back keeps
/// the sums: nobody rides for less by it.
struct RunningSums {
  std::uint8_t concession_day = 0, concession_month = 0;
  std::uint32_t spent_day = 0;
};
RunningSums sums_of(const TransitEntry& last, const Gate& gate, sys_days today) {
  RunningSums sums;
  if (last.event == TransitEntry::Event::none) return sums;
  const sys_days then = day_of(time_of_moment(last.moment), gate);
  const std::chrono::year_month_day a(then), b(today);
  if (then >= today) {
    sums.concession_day = last.concession_day;
    sums.spent_day = last.spent_day;
  }
  if (a.year() / a.month() >= b.year() / b.month()) sums.concession_month = last.concession_month;
  return sums;
}

struct Judgement {
  TapReason reason = TapReason::no_product;
  std::size_t slot = 0;
  std::uint32_t price = 0;  // off the slot's counter
  bool reduced = false;
};

/// What a card's concession gives here and now.
enum class Concession : std::uint8_t { none, good, exhausted };

Concession concession_of(const TransitPass& pass, const Gate& gate, const RunningSums* sums, sys_days today) {
  if (pass.concession == 0 || !is_valid_on({}, pass.concession_until, today)) return Concession::none;
  if (pass.concession >= gate.concessions.size()) return Concession::none;
  const ConcessionTerms& terms = gate.concessions[pass.concession];
  if (!terms.honoured) return Concession::none;
  if (gate.event == TransitEntry::Event::exit) return Concession::good;  // the ride was counted where it began
  // Without the card's sums nobody knows how many rides are left.
  if (sums == nullptr && (terms.rides_day != 0 || terms.rides_month != 0)) return Concession::exhausted;
  if (terms.rides_day != 0 && sums->concession_day >= terms.rides_day) return Concession::exhausted;
  if (terms.rides_month != 0 && sums->concession_month >= terms.rides_month) return Concession::exhausted;
  return Concession::good;
}

/// The pass that comes with the concession: it lasts as long, and stands first.
bool is_of_concession(const TransitPass& pass, std::size_t slot) {
  return slot == 0 && pass.concession != 0 && pass.products[0].kind == ProductKind::period &&
         pass.products[0].until == pass.concession_until;
}

/// `last`: the newest entry; null in the card-signed form, which shows none.
Judgement judge(const TransitPass& pass, const std::vector<std::uint32_t>& counters, const Gate& gate,
                const TransitEntry* last, const RunningSums* sums, std::uint8_t kinds, sys_days today) {
  const Concession concession = concession_of(pass, gate, sums, today);
  const bool exit = gate.event == TransitEntry::Event::exit;
  Judgement best;
  for (const ProductKind kind : kOrder) {
    if ((kinds >> static_cast<unsigned>(kind) & 1) == 0) continue;
    for (std::size_t slot = 0; slot < pass.products.size(); ++slot) {
      const TransitProduct& product = pass.products[slot];
      if (product.kind != kind || (exit && last != nullptr && slot != last->slot)) continue;
      // The reason told is that of the product that came closest.
      const auto no = [&](TapReason reason) { best.reason = std::max(best.reason, reason); };
      if (!is_valid_on(product.from, product.until, today)) {
        no(TapReason::not_valid);
        continue;
      }
      if ((product.zones >> gate.zone & 1) == 0) {
        no(TapReason::wrong_zone);
        continue;
      }
      const bool of_concession = is_of_concession(pass, slot);
      if (of_concession && concession != Concession::good) {
        no(concession == Concession::exhausted ? TapReason::quota : TapReason::not_valid);
        continue;
      }
      Judgement good{TapReason::open, slot, 0, of_concession};
      if (kind == ProductKind::trips) good.price = exit ? 0 : 1;
      if (kind == ProductKind::purse) {
        good.reduced = concession == Concession::good;
        const Fare fare =
            exit ? gate.supplements[last != nullptr ? last->zone : 0] : Fare{gate.fare, gate.reduced_fare};
        good.price = good.reduced ? fare.reduced : fare.full;
        const std::uint32_t cap = good.reduced ? gate.day_cap.reduced : gate.day_cap.full;
        if (cap != 0 && sums != nullptr) {
          good.price = std::min(good.price, cap > sums->spent_day ? cap - sums->spent_day : 0);
        }
      }
      if (counters[slot] < good.price) {
        no(TapReason::used_up);
        continue;
      }
      return good;
    }
  }
  return best;
}

Status check_gate(const Gate& gate) {
  if (gate.zone > kMostZone) return fail(ErrorKind::usage, "zones are numbered 0 to 15");
  if (gate.event != TransitEntry::Event::entry && gate.event != TransitEntry::Event::exit) {
    return fail(ErrorKind::usage, "a gate lets in or out");
  }
  return {};
}

tl::unexpected<Error> not_laid_out() {
  return fail(ErrorKind::card_unresponsive, "the card's transit product is not laid out as karta does it");
}

std::uint8_t counted_up(std::uint8_t sum) { return sum == 0xFF ? sum : static_cast<std::uint8_t>(sum + 1); }

}  // namespace

Result<TapDecision> decide_tap(const LedgerState& state, const Gate& gate, std::uint32_t number, Time now) {
  TRY(check_gate(gate));
  const auto pass = TransitPass::parse(state.product, state.counters.size());
  const auto last = TransitEntry::parse(state.last_entry);
  if (!pass || !last) return not_laid_out();
  TapDecision decision;
  const std::uint32_t moment = moment_number(now);
  const sys_days today = day_of(now, gate);
  const bool exit = gate.event == TransitEntry::Event::exit;
  // A card handed back over the barrier: the same gate, a moment ago. A clock that was set back makes no exception.
  if (gate.pass_back_seconds != 0 && last->event == gate.event && last->terminal == gate.terminal &&
      moment < std::uint64_t{last->moment} + gate.pass_back_seconds) {
    decision.reason = TapReason::pass_back;
    return decision;
  }
  if (exit && (last->event != TransitEntry::Event::entry || last->slot >= pass->products.size())) {
    decision.reason = TapReason::no_entry;
    return decision;
  }
  const RunningSums sums = sums_of(*last, gate, today);
  const Judgement judgement = judge(*pass, state.counters, gate, &*last, &sums, gate.kinds, today);
  decision.reason = judgement.reason;
  if (decision.reason != TapReason::open) return decision;
  TransitEntry& entry = decision.entry;
  entry.event = gate.event;
  entry.terminal = gate.terminal;
  entry.number = number;
  entry.moment = moment;
  entry.slot = static_cast<std::uint8_t>(judgement.slot);
  entry.zone = gate.zone;
  entry.reduced = judgement.reduced;
  const bool counts = judgement.reduced && !exit;
  entry.concession_day = counts ? counted_up(sums.concession_day) : sums.concession_day;
  entry.concession_month = counts ? counted_up(sums.concession_month) : sums.concession_month;
  const bool purse = pass->products[judgement.slot].kind == ProductKind::purse;
  entry.spent_day = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(std::uint64_t{sums.spent_day} + (purse ? judgement.price : 0), TransitEntry::kMostSpent));
  decision.change = {state.counters, entry.encode()};
  decision.change.counters[judgement.slot] -= judgement.price;
  return decision;
}

Result<TapReason> decide_signed_tap(const LedgerStatement& statement, std::size_t products, const Gate& gate,
                                    Time now) {
  TRY(check_gate(gate));
  const auto pass = TransitPass::parse(statement.product, products);
  if (!pass || statement.counters.size() != products) return not_laid_out();
  return judge(*pass, statement.counters, gate, nullptr, nullptr, gate.signed_kinds, day_of(now, gate)).reason;
}

// Tap --------------------------------------------------------------------------------------------

Status Tap::open() {
  session_.reset();
  const LedgerInfo info = TRY(select_ledger(channel_, kTransitAid));
  session_.emplace(TRY(LedgerSession::open(channel_, keys_, info, LedgerKey::debit)));
  return {};
}

Result<TapOutcome> Tap::decide(std::uint32_t number, Time now, const KeepPending& keep, const PendingCommit* pending,
                               const StatusCheck& status) {
  if (!session_) return fail(ErrorKind::internal, "a tap is decided after it was opened");
  const LedgerState& state = session_->state();
  const auto pass = TransitPass::parse(state.product, state.counters.size());
  if (!pass) return not_laid_out();
  TapOutcome outcome;
  outcome.counters = state.counters;
  outcome.status_index = pass->status_index;
  const TapReason standing = status ? status(pass->status_index) : TapReason::open;
  if (pending != nullptr && settle(*pending, session_->info(), state) == Settlement::written) {
    // The answer was lost, the trip was not: it has been paid for.
    outcome.reason = standing;
    outcome.settled = true;
    outcome.entry = TRY(TransitEntry::parse(state.last_entry));
    outcome.receipt = LedgerReceipt{state.sequence, state.last_code, {}};
    return outcome;
  }
  outcome.reason = standing;
  if (standing != TapReason::open) return outcome;
  const TapDecision decision = TRY(decide_tap(state, gate_, number, now));
  outcome.reason = decision.reason;
  if (decision.reason != TapReason::open) return outcome;
  outcome.receipt = TRY(session_->commit(decision.change, keep));
  outcome.entry = decision.entry;
  outcome.counters = decision.change.counters;
  return outcome;
}

Result<TapOutcome> Tap::run(std::uint32_t number, Time now, const KeepPending& keep, const PendingCommit* pending,
                            const StatusCheck& status) {
  TRY(open());
  return decide(number, now, keep, pending, status);
}

Status Tap::ratify() {
  if (!session_) return fail(ErrorKind::internal, "nothing is committed that could be ratified");
  return session_->ratify();
}

namespace {

Result<Bytes> serial_in(std::string_view subject) {
  if (subject.starts_with(kSubject)) {
    const auto serial = from_hex(subject.substr(kSubject.size()));
    // Written as we write it, so that one ledger has one name.
    if (serial && serial->size() == kLedgerSerialOctets && transit_subject(*serial) == subject) return *serial;
  }
  return fail(ErrorKind::untrusted,
              "the certificate of the transit key is for something else: \"" + std::string(subject) + "\"");
}

}  // namespace

Result<Bytes> verify_transit_certificate(const crypto::Certificate& certificate,
                                         const std::vector<crypto::Certificate>& anchors, Time at) {
  const auto path = crypto::verify_path(certificate, {}, anchors, at, crypto::Purpose::any);
  if (!path.ok()) return fail(ErrorKind::untrusted, "the certificate of the card's transit key: " + path.reason);
  // The same authority certifies citizens: the name says that this key is a ledger's, and which one's.
  return serial_in(certificate.subject().display());
}

Result<SignedTapOutcome> run_signed_tap(Channel& channel, const std::vector<crypto::Certificate>& anchors,
                                        const Gate& gate, Time now, RandomSource& random,
                                        const SignedStatusCheck& status) {
  // Without FCI: the certificate names the ledger, and the statement's length its shape.
  TRY(channel.run(select_application(kTransitAid, SelectReturn::nothing), "select the transit application"));
  const Bytes der = TRY(read_whole_file(channel, kTransitCertificateShortId, kMostCertificateOctets,
                                        "the certificate of the card's transit key"));
  auto certificate = TRY(crypto::Certificate::from_der(der));
  Bytes serial = TRY(verify_transit_certificate(certificate, anchors, now));
  const crypto::PublicKey key = TRY(certificate.public_key());
  if (key.family() != crypto::KeyFamily::ec) return fail(ErrorKind::unsupported, "a transit key on no curve");
  const std::size_t coordinate = (key.bits() + 7u) / 8u;
  LedgerStatement statement =
      TRY(sign_statement(channel, serial, kLayoutOfLedger, random.bytes(kTransactionNonceOctets), coordinate));
  const Bytes signature = TRY(crypto::encode_ecdsa_signature(statement.signature));
  TRY(key.verify(crypto::AlgorithmId::ecdsa_sha256, statement.signed_octets, signature));
  const auto pass = TransitPass::parse(statement.product, statement.counters.size());
  if (!pass) return not_laid_out();
  if (const auto named = certificate.status_index(); named && *named != pass->status_index) {
    return fail(ErrorKind::untrusted, "the card's product and its certificate name different cards");
  }
  TapReason reason = status ? status(certificate, pass->status_index) : TapReason::open;
  if (reason == TapReason::open) reason = TRY(decide_signed_tap(statement, statement.counters.size(), gate, now));
  return SignedTapOutcome{reason, std::move(serial), pass->status_index, std::move(statement), std::move(certificate)};
}

std::string transit_subject(ByteView serial) { return std::string(kSubject) + to_hex_upper(serial); }

Result<LedgerChange> sale(const LedgerState& state, std::uint8_t slot, std::uint32_t amount, TransitEntry entry,
                          std::int32_t day_offset_seconds) {
  if (slot >= state.counters.size()) return fail(ErrorKind::usage, "the card has no such product");
  if (state.counters[slot] > 0xFFFFFFFF - amount) return fail(ErrorKind::limit, "the counter cannot hold that much");
  LedgerChange change{state.counters, {}};
  change.counters[slot] += amount;
  if (const auto last = TransitEntry::parse(state.last_entry)) {
    Gate office;
    office.day_offset_seconds = day_offset_seconds;
    const RunningSums sums = sums_of(*last, office, day_of(time_of_moment(entry.moment), office));
    entry.concession_day = sums.concession_day;
    entry.concession_month = sums.concession_month;
    entry.spent_day = sums.spent_day;
  }
  entry.event = TransitEntry::Event::sale;
  entry.slot = slot;
  change.entry = entry.encode();
  return change;
}

// TransitApplication -----------------------------------------------------------------------------

Result<TransitApplication> TransitApplication::open(Channel& channel) {
  LedgerInfo info = TRY(select_ledger(channel, kTransitAid));
  return TransitApplication(channel, std::move(info));
}

Result<LedgerSession> TransitApplication::open_for_travel(TransactionKeys& keys) {
  return LedgerSession::open(*channel_, keys, info_, LedgerKey::debit);
}

Result<LedgerSession> TransitApplication::open_for_sale(TransactionKeys& keys) {
  return LedgerSession::open(*channel_, keys, info_, LedgerKey::credit);
}

Result<TransitApplication::Reading> TransitApplication::read() {
  LedgerContent ledger = TRY(read_ledger(*channel_, kTransitLedgerShortId, kLayoutOfLedger));
  Reading reading;
  reading.pass = TRY(TransitPass::parse(ledger.product, ledger.counters.size()));
  reading.counters = std::move(ledger.counters);
  reading.sequence = ledger.sequence;
  for (const Bytes& octets : ledger.journal) reading.journal.push_back(TRY(TransitEntry::parse(octets)));
  return reading;
}

Status TransitApplication::write_pass(const TransitPass& pass) {
  const Bytes product = TRY(pass.encode());
  if (product.size() != info_.product_octets) {
    return fail(ErrorKind::usage, "the card has another number of products");
  }
  TRY(channel_->run(select_file(kTransitLedger, SelectReturn::nothing), "select the transit ledger"));
  return update_selected(*channel_, product);
}

}  // namespace karta::card
