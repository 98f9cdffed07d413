#include "card/ledger.h"

#include <charconv>

#include "base/be32.h"
#include "base/tlv.h"
#include "card/iso7816.h"

namespace karta::card {
namespace {

constexpr Tag kFci = 0x6F, kProprietary = 0xA5;
constexpr std::string_view kPendingSchema = "karta.pending-commit/1";
constexpr std::size_t kStateHead = 1 + 4 + 2;
constexpr std::uint8_t kRatified = 0x01, kLastCredit = 0x02;
constexpr StatusWord kSwVerificationFailed{0x6300}, kSwNoRecord{0x6A83};
constexpr std::uint8_t kStatement[] = {'K', 'T', 'X', 'P'};

std::vector<std::uint32_t> counters_of(ByteView octets) {
  std::vector<std::uint32_t> counters;
  for (std::size_t at = 0; at + 4 <= octets.size(); at += 4) counters.push_back(load_be32(octets.subspan(at)));
  return counters;
}

Bytes octets_of(const std::vector<std::uint32_t>& counters) {
  Bytes octets;
  for (const std::uint32_t counter : counters) append_be32(octets, counter);
  return octets;
}

tl::unexpected<Error> no_ledger() {
  return fail(ErrorKind::not_found, "the card shows no ledger here",
              "a card without the application, or one that shows it to terminals with a right only");
}

}  // namespace

// LedgerInfo -------------------------------------------------------------------------------------

// 6F {.. A5 { 80 08 serial, 81 02 key versions, 82 02 product version, 83 03 counters, entry, product octets }}
Result<LedgerInfo> LedgerInfo::parse(ByteView fci) {
  const auto outer = TRY(find_tlv(fci, kFci));
  if (!outer) return no_ledger();
  const auto proprietary = TRY(find_tlv(outer->value, kProprietary));
  if (!proprietary) return no_ledger();
  const auto serial = TRY(find_tlv(proprietary->value, 0x80));
  const auto versions = TRY(find_tlv(proprietary->value, 0x81));
  const auto product = TRY(find_tlv(proprietary->value, 0x82));
  const auto shape = TRY(find_tlv(proprietary->value, 0x83));
  if (!serial && !shape) return no_ledger();
  if (!serial || serial->value.size() != kLedgerSerialOctets || !versions || versions->value.size() != 2 || !product ||
      product->value.size() != 2 || !shape || shape->value.size() != 3) {
    return fail(ErrorKind::card_unresponsive, "what the card says of its ledger is not in order");
  }
  LedgerInfo info;
  info.serial = to_bytes(serial->value);
  info.debit_version = versions->value[0];
  info.credit_version = versions->value[1];
  info.product_version = load_be16(product->value);
  info.shape = {shape->value[0], shape->value[1]};
  info.product_octets = shape->value[2];
  if (info.shape.counters == 0 || info.shape.counters > kMostLedgerCounters || info.shape.entry_octets == 0 ||
      info.shape.entry_octets > kMostLedgerEntry || info.product_octets > kMostLedgerProduct) {
    return fail(ErrorKind::card_unresponsive, "a ledger of a shape no card has");
  }
  return info;
}

Result<LedgerInfo> select_ledger(Channel& channel, ByteView aid) {
  const Bytes fci = TRY(channel.run({0x00, 0xA4, 0x04, 0x00, to_bytes(aid), kShortResponse}, "select the application"));
  return LedgerInfo::parse(fci);
}

// LedgerState ------------------------------------------------------------------------------------

Result<LedgerState> LedgerState::parse(ByteView plain, const LedgerInfo& info) {
  const LedgerShape& shape = info.shape;
  if (plain.size() !=
      kStateHead + shape.counter_octets() + info.product_octets + shape.entry_octets + kSettlementCodeOctets) {
    return fail(ErrorKind::card_unresponsive, "OPEN shows " + std::to_string(plain.size()) + " octets of ledger");
  }
  Cursor cursor(plain);
  LedgerState state;
  const std::uint8_t flags = TRY(cursor.u8());
  state.ratified = (flags & kRatified) != 0;
  state.last_credit = (flags & kLastCredit) != 0;
  state.sequence = load_be32(TRY(cursor.take(4)));
  state.product_version = TRY(cursor.be16());
  state.counters = counters_of(TRY(cursor.take(shape.counter_octets())));
  state.product = to_bytes(TRY(cursor.take(info.product_octets)));
  state.last_entry = to_bytes(TRY(cursor.take(shape.entry_octets)));
  state.last_code = to_bytes(TRY(cursor.take(kSettlementCodeOctets)));
  return state;
}

// PendingCommit ----------------------------------------------------------------------------------

std::string PendingCommit::to_text() const {
  std::string text(kPendingSchema);
  text += "\nserial " + to_hex(serial) + "\nkind " + std::string(name_of(kind)) + "\nsequence " +
          std::to_string(sequence) + "\ncounters";
  for (const std::uint32_t counter : change.counters) text += " " + std::to_string(counter);
  return text + "\nentry " + to_hex(change.entry) + "\n";
}

Result<PendingCommit> PendingCommit::from_text(std::string_view text) {
  const auto malformed = [] { return fail(ErrorKind::malformed, "not a pending commit"); };
  const auto line = [&](std::string_view word) -> Result<std::string_view> {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) return malformed();
    std::string_view whole = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (!whole.starts_with(word)) return malformed();
    whole.remove_prefix(word.size());
    if (whole.empty()) return whole;
    if (whole.front() != ' ') return malformed();
    return whole.substr(1);
  };
  const auto number = [&](std::string_view digits) -> Result<std::uint32_t> {
    std::uint32_t value = 0;
    const auto [end, fault] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (fault != std::errc() || end != digits.data() + digits.size()) return malformed();
    return value;
  };
  const std::string_view nothing = TRY(line(kPendingSchema));
  if (!nothing.empty()) return malformed();
  PendingCommit pending;
  const std::string_view serial = TRY(line("serial"));
  pending.serial = TRY(from_hex(serial));
  const std::string_view kind = TRY(line("kind"));
  if (kind != name_of(LedgerKey::debit) && kind != name_of(LedgerKey::credit)) return malformed();
  pending.kind = kind == name_of(LedgerKey::debit) ? LedgerKey::debit : LedgerKey::credit;
  const std::string_view sequence = TRY(line("sequence"));
  pending.sequence = TRY(number(sequence));
  std::string_view counters = TRY(line("counters"));
  while (!counters.empty()) {
    const std::string_view one = counters.substr(0, counters.find(' '));
    counters.remove_prefix(std::min(counters.size(), one.size() + 1));
    if (pending.change.counters.size() == kMostLedgerCounters) return malformed();
    pending.change.counters.push_back(TRY(number(one)));
  }
  const std::string_view entry = TRY(line("entry"));
  pending.change.entry = TRY(from_hex(entry));
  if (!text.empty() || pending.serial.size() != kLedgerSerialOctets || pending.change.counters.empty() ||
      pending.change.entry.size() > kMostLedgerEntry) {
    return malformed();
  }
  return pending;
}

std::string_view name_of(Settlement settlement) {
  constexpr std::string_view kNames[] = {"written", "not-written", "superseded", "other-card"};
  return kNames[static_cast<std::size_t>(settlement)];
}

Settlement settle(const PendingCommit& pending, const LedgerInfo& info, const LedgerState& state) {
  if (pending.serial != info.serial) return Settlement::other_card;
  // Sequences only go up: fewer commits than there were is another ledger under the same serial.
  if (state.sequence < pending.sequence) return Settlement::other_card;
  if (state.sequence == pending.sequence) return Settlement::not_written;
  if (state.sequence - pending.sequence > 1) return Settlement::superseded;
  return state.last_entry == pending.change.entry ? Settlement::written : Settlement::not_written;
}

std::string_view name_of(LedgerPhase phase) {
  constexpr std::string_view kNames[] = {"opened", "refused", "lost", "committed", "ratified"};
  return kNames[static_cast<std::size_t>(phase)];
}

// LedgerSession ----------------------------------------------------------------------------------

// 80 32 kind 00 nonce
Result<LedgerSession> LedgerSession::open(Channel& channel, TransactionKeys& keys, const LedgerInfo& info,
                                          LedgerKey kind) {
  Bytes nonce = TRY(keys.prepare(kind, info.serial));
  const Bytes answer = TRY(channel.run(
      {0x80, 0x32, static_cast<std::uint8_t>(kind), 0x00, std::move(nonce), kShortResponse}, "open the ledger"));
  // Garbage is the card's, not the keys' that would be asked of it.
  if (answer.size() <= kTransactionNonceOctets + kTransactionMacOctets) {
    return fail(ErrorKind::card_unresponsive, "an answer to OPEN of " + std::to_string(answer.size()) + " octets");
  }
  const Bytes plain = TRY(keys.check(info.shape, answer));
  LedgerState state = TRY(LedgerState::parse(plain, info));
  return LedgerSession(channel, keys, info, std::move(state), kind);
}

// 80 34 00 00 counters entry mac
Result<LedgerReceipt> LedgerSession::commit(const LedgerChange& change, const KeepPending& keep) {
  if (phase_ != LedgerPhase::opened) return fail(ErrorKind::internal, "one opening, one commit");
  if (change.counters.size() != info_.shape.counters || change.entry.size() != info_.shape.entry_octets) {
    return fail(ErrorKind::usage, "a change of another shape than the ledger's");
  }
  for (std::size_t i = 0; i < change.counters.size(); ++i) {
    if (kind_ == LedgerKey::debit && change.counters[i] > state_.counters[i]) {
      return fail(ErrorKind::usage, "a debit raises no counter");
    }
  }
  const Bytes counters = octets_of(change.counters);
  const Bytes mac = TRY(keys_->authorise(concat({counters, change.entry})));
  if (keep) TRY(keep({info_.serial, kind_, state_.sequence, change}));
  // Whatever ends it from here on, only an answer of the card's tells that nothing was written.
  phase_ = LedgerPhase::lost;
  const ResponseApdu answer =
      TRY(channel_->transmit({0x80, 0x34, 0x00, 0x00, concat({counters, change.entry, mac}), kShortResponse}));
  if (!answer.status.ok()) {
    // A status word has no checksum over contactless in plain: "no" may be forged. Then settle() finds it written.
    if (answer.status == kSwVerificationFailed || answer.status == kSwConditions) phase_ = LedgerPhase::refused;
    return fail(error_of(answer.status, "commit to the ledger"));
  }
  if (answer.data.size() != kCommitAnswerOctets) {
    return fail(ErrorKind::card_unresponsive,
                "an answer to COMMIT of " + std::to_string(answer.data.size()) + " octets");
  }
  ratification_ = TRY(keys_->confirm(answer.data));
  LedgerReceipt receipt;
  receipt.sequence = load_be32(answer.data);
  receipt.code = to_bytes(ByteView(answer.data).subspan(4, kSettlementCodeOctets));
  receipt.answer = answer.data;
  if (receipt.sequence != state_.sequence + 1) {
    return fail(ErrorKind::card_insecure, "the receipt's sequence does not follow the one the card showed");
  }
  phase_ = LedgerPhase::committed;
  return receipt;
}

// 80 36 00 00 mac
Status LedgerSession::ratify() {
  if (phase_ != LedgerPhase::committed) return fail(ErrorKind::internal, "nothing is committed that could be ratified");
  TRY(channel_->run({0x80, 0x36, 0x00, 0x00, ratification_}, "ratify the commit"));
  phase_ = LedgerPhase::ratified;
  return {};
}

std::optional<std::size_t> LedgerLayout::counters_in(std::size_t octets) const {
  if (octets < product_head) return std::nullopt;
  const std::size_t slot = product_slot + 4, count = (octets - product_head) / slot;
  if (count == 0 || count > kMostLedgerCounters || octets != product_head + count * slot) return std::nullopt;
  return count;
}

// 00 88 00 00 nonce
Result<LedgerStatement> sign_statement(Channel& channel, ByteView serial, const LedgerLayout& layout, ByteView nonce,
                                       std::size_t coordinate_octets) {
  constexpr std::size_t kTail = 4 + 2;  // sequence, product version
  const Bytes answer =
      TRY(channel.run({0x00, 0x88, 0x00, 0x00, to_bytes(nonce), kShortResponse}, "have the card sign its ledger"));
  const std::size_t around = kTail + 2 * coordinate_octets;
  const auto count = answer.size() < around ? std::nullopt : layout.counters_in(answer.size() - around);
  if (!count) {
    return fail(ErrorKind::card_unresponsive, "a statement of " + std::to_string(answer.size()) + " octets");
  }
  const std::size_t counters = *count * 4, product = layout.product_head + *count * layout.product_slot;
  Cursor cursor(answer);
  LedgerStatement statement;
  const ByteView said = TRY(cursor.take(product + counters + kTail));
  statement.product = to_bytes(said.first(product));
  statement.counters = counters_of(said.subspan(product, counters));
  statement.sequence = load_be32(said.subspan(product + counters));
  statement.product_version = load_be16(said.last(2));
  statement.signature = to_bytes(cursor.rest());
  statement.signed_octets = concat({kStatement, nonce, serial, said});
  return statement;
}

// 00 B0 80+id 00: product, counters, sequence; 00 B2 01 id|5: entries
Result<LedgerContent> read_ledger(Channel& channel, std::uint8_t short_id, const LedgerLayout& layout) {
  constexpr std::size_t kSequenceOctets = 4;
  const Bytes content = TRY(channel.run(read_binary_short_id(short_id, kShortResponse), "read the ledger"));
  const auto count =
      content.size() < kSequenceOctets ? std::nullopt : layout.counters_in(content.size() - kSequenceOctets);
  if (!count) {
    return fail(ErrorKind::card_unresponsive, "a ledger of " + std::to_string(content.size()) + " octets");
  }
  LedgerContent ledger;
  const ByteView view(content);
  ledger.product = to_bytes(view.first(layout.product_head + *count * layout.product_slot));
  ledger.counters = counters_of(view.subspan(ledger.product.size(), *count * 4));
  ledger.sequence = load_be32(view.last(kSequenceOctets));
  const auto short_reference = static_cast<std::uint8_t>(short_id << 3 | 0x05);
  const ResponseApdu records = TRY(channel.transmit({0x00, 0xB2, 0x01, short_reference, {}, kExtendedResponse}));
  if (records.status == kSwNoRecord) return ledger;  // no entry yet
  if (!records.status.ok() && !records.status.warning()) return fail(error_of(records.status, "read the journal"));
  if (records.data.size() % layout.entry_octets != 0) {
    return fail(ErrorKind::card_unresponsive, "a journal of broken entries");
  }
  for (std::size_t at = 0; at < records.data.size(); at += layout.entry_octets) {
    ledger.journal.push_back(to_bytes(ByteView(records.data).subspan(at, layout.entry_octets)));
  }
  return ledger;
}

}  // namespace karta::card
