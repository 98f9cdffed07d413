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
constexpr std::string_view kReasons[] = {"open", "no-product", "not-valid", "wrong-zone", "used-up", "pass-back"};
constexpr std::uint8_t kMostZone = 15;
constexpr std::size_t kMostCertificateOctets = 2048;
constexpr LedgerLayout kLayoutOfLedger{4, TransitPass::kProductOctets, TransitEntry::kOctets};
// In what order products are used: what costs nothing first.
constexpr ProductKind kOrder[] = {ProductKind::period, ProductKind::trips, ProductKind::purse};

bool all_zero(ByteView octets) {
  return std::all_of(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet == 0; });
}

tl::unexpected<Error> broken(const char* what) {
  return fail(ErrorKind::malformed, std::string(what) + " on the card is not in order");
}

std::chrono::year_month_day day_of(Time time) { return std::chrono::floor<std::chrono::days>(time); }

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

// 01 || concession (1) || until (2), then for each product: kind (1) || zones (2) || from (2) || until (2)
Result<Bytes> TransitPass::encode() const {
  if (products.empty() || products.size() > kMostLedgerCounters) {
    return fail(ErrorKind::usage, "a ledger has 1 to 8 products");
  }
  Bytes out{kLayout, concession};
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

// event (1) || terminal (4) || number (4) || moment (4) || slot (1) || zone (1) || flags (1)
Bytes TransitEntry::encode() const {
  Bytes out{static_cast<std::uint8_t>(event)};
  append_be32(out, terminal);
  append_be32(out, number);
  append_be32(out, moment);
  out.push_back(slot);
  out.push_back(zone);
  out.push_back(reduced ? kReduced : 0x00);
  return out;
}

Result<TransitEntry> TransitEntry::parse(ByteView octets) {
  if (octets.size() != kOctets || octets[0] > static_cast<std::uint8_t>(Event::sale) || octets[14] > kMostZone ||
      octets[15] > kReduced) {
    return broken("journal entry");
  }
  TransitEntry entry;
  entry.event = static_cast<Event>(octets[0]);
  entry.terminal = load_be32(octets.subspan(1));
  entry.number = load_be32(octets.subspan(5));
  entry.moment = load_be32(octets.subspan(9));
  entry.slot = octets[13];
  entry.zone = octets[14];
  entry.reduced = octets[15] == kReduced;
  return entry;
}

// Deciding ---------------------------------------------------------------------------------------

namespace {

struct Judgement {
  TapReason reason = TapReason::no_product;
  std::size_t slot = 0;
  std::uint32_t left = 0;  // of the slot's counter, afterwards
  bool reduced = false;
};

Judgement judge(const TransitPass& pass, const std::vector<std::uint32_t>& counters, const Gate& gate, Time now) {
  const auto today = day_of(now);
  const bool reduced = pass.concession != 0 && is_valid_on({}, pass.concession_until, today);
  Judgement best;
  for (const ProductKind kind : kOrder) {
    for (std::size_t slot = 0; slot < pass.products.size(); ++slot) {
      const TransitProduct& product = pass.products[slot];
      if (product.kind != kind) continue;
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
      const std::uint32_t price = kind == ProductKind::period  ? 0
                                  : kind == ProductKind::trips ? 1
                                  : reduced                    ? gate.reduced_fare
                                                               : gate.fare;
      if (counters[slot] < price) {
        no(TapReason::used_up);
        continue;
      }
      return {TapReason::open, slot, counters[slot] - price, kind == ProductKind::purse && reduced};
    }
  }
  return best;
}

}  // namespace

Result<TapDecision> decide_tap(const LedgerState& state, const Gate& gate, std::uint32_t number, Time now) {
  if (gate.zone > kMostZone) return fail(ErrorKind::usage, "zones are numbered 0 to 15");
  const auto pass = TransitPass::parse(state.product, state.counters.size());
  const auto last = TransitEntry::parse(state.last_entry);
  if (!pass || !last) {
    return fail(ErrorKind::card_unresponsive, "the card's transit product is not laid out as karta does it");
  }
  TapDecision decision;
  const std::uint32_t moment = moment_number(now);
  // A card handed back over the barrier: the same gate, a moment ago. A clock that was set back makes no exception.
  if (gate.pass_back_seconds != 0 && last->event == TransitEntry::Event::entry && last->terminal == gate.terminal &&
      moment < std::uint64_t{last->moment} + gate.pass_back_seconds) {
    decision.reason = TapReason::pass_back;
    return decision;
  }
  const Judgement judgement = judge(*pass, state.counters, gate, now);
  decision.reason = judgement.reason;
  if (decision.reason != TapReason::open) return decision;
  TransitEntry& entry = decision.entry;
  entry.event = TransitEntry::Event::entry;
  entry.terminal = gate.terminal;
  entry.number = number;
  entry.moment = moment;
  entry.slot = static_cast<std::uint8_t>(judgement.slot);
  entry.zone = gate.zone;
  entry.reduced = judgement.reduced;
  decision.change = {state.counters, entry.encode()};
  decision.change.counters[judgement.slot] = judgement.left;
  return decision;
}

Result<TapReason> decide_signed_tap(const LedgerStatement& statement, std::size_t products, const Gate& gate,
                                    Time now) {
  if (gate.zone > kMostZone) return fail(ErrorKind::usage, "zones are numbered 0 to 15");
  const auto pass = TransitPass::parse(statement.product, products);
  if (!pass || statement.counters.size() != products) {
    return fail(ErrorKind::card_unresponsive, "the card's transit product is not laid out as karta does it");
  }
  return judge(*pass, statement.counters, gate, now).reason;
}

// Tap --------------------------------------------------------------------------------------------

Result<TapOutcome> Tap::run(std::uint32_t number, Time now, const KeepPending& keep, const PendingCommit* pending) {
  session_.reset();
  const LedgerInfo info = TRY(select_ledger(channel_, kTransitAid));
  session_.emplace(TRY(LedgerSession::open(channel_, keys_, info, LedgerKey::debit)));
  const LedgerState& state = session_->state();
  TapOutcome outcome;
  outcome.counters = state.counters;
  if (pending != nullptr && settle(*pending, info, state) == Settlement::written) {
    // The answer was lost, the trip was not: it has been paid for.
    outcome.reason = TapReason::open;
    outcome.settled = true;
    outcome.entry = TRY(TransitEntry::parse(state.last_entry));
    outcome.receipt = LedgerReceipt{state.sequence, state.last_code, {}};
    return outcome;
  }
  const TapDecision decision = TRY(decide_tap(state, gate_, number, now));
  outcome.reason = decision.reason;
  if (decision.reason != TapReason::open) return outcome;
  outcome.receipt = TRY(session_->commit(decision.change, keep));
  outcome.entry = decision.entry;
  outcome.counters = decision.change.counters;
  return outcome;
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

Result<SignedTapOutcome> run_signed_tap(Channel& channel, const std::vector<crypto::Certificate>& anchors,
                                        const Gate& gate, Time now, RandomSource& random) {
  // Without FCI: the certificate names the ledger, and the statement's length its shape.
  TRY(channel.run(select_application(kTransitAid, SelectReturn::nothing), "select the transit application"));
  const Bytes der = TRY(read_whole_file(channel, kTransitCertificateShortId, kMostCertificateOctets,
                                        "the certificate of the card's transit key"));
  auto certificate = TRY(crypto::Certificate::from_der(der));
  const auto path = crypto::verify_path(certificate, {}, anchors, now, crypto::Purpose::any);
  if (!path.ok()) return fail(ErrorKind::untrusted, "the certificate of the card's transit key: " + path.reason);
  // The same authority certifies citizens: the name says that this key is a ledger's, and which one's.
  const Bytes serial = TRY(serial_in(certificate.subject().display()));
  const crypto::PublicKey key = TRY(certificate.public_key());
  if (key.family() != crypto::KeyFamily::ec) return fail(ErrorKind::unsupported, "a transit key on no curve");
  const std::size_t coordinate = (key.bits() + 7u) / 8u;
  LedgerStatement statement =
      TRY(sign_statement(channel, serial, kLayoutOfLedger, random.bytes(kTransactionNonceOctets), coordinate));
  const Bytes signature = TRY(crypto::encode_ecdsa_signature(statement.signature));
  TRY(key.verify(crypto::AlgorithmId::ecdsa_sha256, statement.signed_octets, signature));
  const TapReason reason = TRY(decide_signed_tap(statement, statement.counters.size(), gate, now));
  return SignedTapOutcome{reason, std::move(statement), std::move(certificate)};
}

std::string transit_subject(ByteView serial) { return std::string(kSubject) + to_hex_upper(serial); }

Result<LedgerChange> sale(const LedgerState& state, std::uint8_t slot, std::uint32_t amount, TransitEntry entry) {
  if (slot >= state.counters.size()) return fail(ErrorKind::usage, "the card has no such product");
  if (state.counters[slot] > 0xFFFFFFFF - amount) return fail(ErrorKind::limit, "the counter cannot hold that much");
  LedgerChange change{state.counters, {}};
  change.counters[slot] += amount;
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
