#include "card/health.h"

#include <algorithm>
#include <array>

#include "base/be32.h"
#include "base/der.h"
#include "card/file.h"
#include "card/iso7816.h"

namespace karta::card {
namespace {

constexpr std::uint8_t kLayout = 1;
constexpr std::size_t kEnpDigits = 16, kMostInsurer = 80, kMostCode = 16, kMostTelephone = 24, kMedicineOctets = 8,
                      kTerminalOctets = 8;
constexpr std::size_t kMostRecordOctets = 1024;
constexpr LedgerLayout kLayoutOfLedger{1, Entitlements::kSlotOctets, HealthEntry::kOctets};

constexpr std::string_view kBloodGroups[] = {"unknown", "O-", "O+", "A-", "A+", "B-", "B+", "AB-", "AB+"};

bool all_zero(ByteView octets) {
  return std::all_of(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet == 0; });
}

tl::unexpected<Error> broken(const char* what) {
  return fail(ErrorKind::malformed, std::string(what) + " on the card is not in order");
}
tl::unexpected<Error> nothing_written(const char* what) {
  return fail(ErrorKind::not_found, "the card holds no " + std::string(what) + " yet");
}

// Zeros behind what was read are the file's room.
Status finish(Cursor& cursor, const char* what) {
  if (all_zero(cursor.rest())) return {};
  return broken(what);
}

tl::unexpected<Error> not_shown() {
  return fail(ErrorKind::not_permitted, "the card does not show its ledger to this terminal",
              "the terminal's certificates need the right redeem-entitlements");
}

bool is_text(ByteView octets) {
  return std::none_of(octets.begin(), octets.end(), [](std::uint8_t c) { return c < 0x20 || c == 0x7F; });
}

}  // namespace

// Insurance --------------------------------------------------------------------------------------

// 01 || ENP (8, two digits an octet) || from (2) || until (2) || n (1) || insurer (n)
Result<Bytes> InsuranceRecord::encode() const {
  const bool digits =
      enp.size() == kEnpDigits && std::all_of(enp.begin(), enp.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return fail(ErrorKind::usage, "an insurance number has 16 digits");
  if (insurer.size() > kMostInsurer || !is_text(as_bytes(insurer))) {
    return fail(ErrorKind::usage, "an insurer's name has at most 80 octets on a card");
  }
  Bytes out{kLayout};
  for (std::size_t i = 0; i < kEnpDigits; i += 2) {
    out.push_back(static_cast<std::uint8_t>((enp[i] - '0') << 4 | (enp[i + 1] - '0')));
  }
  append_be16(out, TRY(day_number(from)));
  append_be16(out, TRY(day_number(until)));
  out.push_back(static_cast<std::uint8_t>(insurer.size()));
  append(out, as_bytes(insurer));
  return out;
}

Result<InsuranceRecord> InsuranceRecord::parse(ByteView file) {
  constexpr const char* kWhat = "insurance record";
  if (all_zero(file)) return nothing_written(kWhat);
  Cursor cursor(file);
  const std::uint8_t layout = TRY(cursor.u8());
  if (layout != kLayout) return broken(kWhat);
  InsuranceRecord record;
  for (const std::uint8_t octet : TRY(cursor.take(kEnpDigits / 2))) {
    if (octet >> 4 > 9 || (octet & 0x0F) > 9) return broken(kWhat);
    record.enp.push_back(static_cast<char>('0' + (octet >> 4)));
    record.enp.push_back(static_cast<char>('0' + (octet & 0x0F)));
  }
  const std::uint16_t from = TRY(cursor.be16()), until = TRY(cursor.be16());
  record.from = day_of_number(from);
  record.until = day_of_number(until);
  const std::uint8_t octets = TRY(cursor.u8());
  if (octets > kMostInsurer) return broken(kWhat);
  const ByteView insurer = TRY(cursor.take(octets));
  if (!is_text(insurer)) return broken(kWhat);
  record.insurer = std::string(as_text(insurer));
  TRY(finish(cursor, kWhat));
  return record;
}

// Emergency data ---------------------------------------------------------------------------------

std::string_view name_of(BloodGroup group) { return kBloodGroups[static_cast<std::size_t>(group)]; }

std::optional<BloodGroup> find_blood_group(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kBloodGroups); ++i) {
    if (kBloodGroups[i] == name) return static_cast<BloodGroup>(i);
  }
  return std::nullopt;
}

// 7E { 80 01 layout, 81 01 blood group, A2 { 0C words, 0C code }.. allergies, A3 {..}.. conditions,
//      A4 { 0C name, 0C telephone }.. contacts }
Result<Bytes> EmergencyData::encode() const {
  if (allergies.size() > kMostFindings || conditions.size() > kMostFindings || contacts.size() > kMostContacts) {
    return fail(ErrorKind::usage, "a card holds at most 16 allergies, 16 conditions and 4 contacts");
  }
  Bytes content = make_tlv(0x80, Bytes{kLayout});
  append_tlv(content, 0x81, Bytes{static_cast<std::uint8_t>(blood_group)});
  const auto pair = [&](Tag tag, std::string_view first, std::string_view second, std::size_t most) -> Status {
    if (first.empty() || first.size() > kMostFindingText || second.size() > most || !is_text(as_bytes(first)) ||
        !is_text(as_bytes(second))) {
      return fail(ErrorKind::usage, "an entry of the emergency data is empty, too long or no text");
    }
    append(content, make_tlv(tag, {der::utf8(first), der::utf8(second)}));
    return {};
  };
  for (const Finding& one : allergies) TRY(pair(0xA2, one.words, one.code, kMostCode));
  for (const Finding& one : conditions) TRY(pair(0xA3, one.words, one.code, kMostCode));
  for (const Contact& one : contacts) TRY(pair(0xA4, one.name, one.telephone, kMostTelephone));
  return make_tlv(0x7E, content);
}

Result<EmergencyData> EmergencyData::parse(ByteView file) {
  constexpr const char* kWhat = "emergency data";
  if (all_zero(file)) return nothing_written(kWhat);
  if (file.size() > kMostRecordOctets) return broken(kWhat);
  TlvCursor outer(file,
                  {.tag_octets = 1, .value_octets = kMostRecordOctets, .shortest_length = true, .skip_padding = false});
  const Tlv whole = TRY(outer.expect(0x7E));
  if (!all_zero(file.subspan(outer.offset()))) return broken(kWhat);
  TlvCursor inner(whole.value, TlvLimits::der());
  const Tlv layout = TRY(inner.expect(0x80)), group = TRY(inner.expect(0x81));
  if (layout.value.size() != 1 || layout.value[0] != kLayout || group.value.size() != 1 ||
      group.value[0] >= std::size(kBloodGroups)) {
    return broken(kWhat);
  }
  EmergencyData data;
  data.blood_group = static_cast<BloodGroup>(group.value[0]);
  Tag before = 0;
  while (!inner.done()) {
    const Tlv entry = TRY(inner.next());
    if (entry.tag < before || entry.tag < 0xA2 || entry.tag > 0xA4) return broken(kWhat);
    before = entry.tag;
    TlvCursor pair(entry.value, TlvLimits::der());
    const Tlv first = TRY(pair.expect(der::kUtf8String)), second = TRY(pair.expect(der::kUtf8String));
    TRY(pair.finish());
    const std::size_t most = entry.tag == 0xA4 ? kMostTelephone : kMostCode;
    if (first.value.empty() || first.value.size() > kMostFindingText || second.value.size() > most ||
        !is_text(first.value) || !is_text(second.value)) {
      return broken(kWhat);
    }
    const std::string words(as_text(first.value)), more(as_text(second.value));
    if (entry.tag == 0xA4) {
      if (data.contacts.size() == kMostContacts) return broken(kWhat);
      data.contacts.push_back({words, more});
    } else {
      auto& list = entry.tag == 0xA2 ? data.allergies : data.conditions;
      if (list.size() == kMostFindings) return broken(kWhat);
      list.push_back({words, more});
    }
  }
  return data;
}

// Entitlements -----------------------------------------------------------------------------------

namespace {

bool is_medicine(std::string_view code) {
  return !code.empty() && code.size() <= kMedicineOctets &&
         std::all_of(code.begin(), code.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

}  // namespace

// 01, then for each slot: medicine (8, ATC code, zeros behind) || package (4) || from (2) || until (2)
Result<Bytes> Entitlements::encode() const {
  if (slots.empty() || slots.size() > kMostLedgerCounters) return fail(ErrorKind::usage, "a ledger has 1 to 8 slots");
  Bytes out{kLayout};
  for (const Entitlement& slot : slots) {
    if (slot.empty()) {
      out.insert(out.end(), kSlotOctets, 0x00);
      continue;
    }
    if (!is_medicine(slot.medicine)) {
      return fail(ErrorKind::usage, "a medicine's code is 1 to 8 capital letters and digits (ATC)");
    }
    Bytes medicine = to_bytes(as_bytes(slot.medicine));
    medicine.resize(kMedicineOctets, 0x00);
    append(out, medicine);
    append_be32(out, slot.package);
    append_be16(out, TRY(day_number(slot.from)));
    append_be16(out, TRY(day_number(slot.until)));
  }
  return out;
}

Result<Entitlements> Entitlements::parse(ByteView product, std::size_t slots) {
  constexpr const char* kWhat = "list of entitlements";
  if (product.size() != octets(slots)) return broken(kWhat);
  Entitlements all;
  all.slots.resize(slots);
  if (all_zero(product)) return all;
  Cursor cursor(product);
  if (TRY(cursor.u8()) != kLayout) return broken(kWhat);
  for (Entitlement& slot : all.slots) {
    const ByteView octets = TRY(cursor.take(kSlotOctets));
    if (all_zero(octets)) continue;
    std::string_view medicine = as_text(octets.first(kMedicineOctets));
    medicine = medicine.substr(0, medicine.find('\0'));
    if (!is_medicine(medicine) || !all_zero(octets.subspan(medicine.size(), kMedicineOctets - medicine.size()))) {
      return broken(kWhat);
    }
    slot.medicine = std::string(medicine);
    slot.package = load_be32(octets.subspan(kMedicineOctets));
    slot.from = day_of_number(load_be16(octets.subspan(12)));
    slot.until = day_of_number(load_be16(octets.subspan(14)));
  }
  return all;
}

// deed (1) || terminal (8) || number (4) || moment (4) || slot (1) || packages (1) || prescription (4) || 00
Bytes HealthEntry::encode() const {
  KARTA_CHECK(terminal.size() == kTerminalOctets);
  Bytes out{static_cast<std::uint8_t>(deed)};
  append(out, terminal);
  append_be32(out, number);
  append_be32(out, moment);
  out.push_back(slot);
  out.push_back(packages);
  append_be32(out, prescription);
  out.push_back(0x00);
  return out;
}

Result<HealthEntry> HealthEntry::parse(ByteView octets) {
  if (octets.size() != kOctets || octets[0] > static_cast<std::uint8_t>(Deed::granted) || octets[kOctets - 1] != 0) {
    return broken("journal entry");
  }
  HealthEntry entry;
  entry.deed = static_cast<Deed>(octets[0]);
  entry.terminal = to_bytes(octets.subspan(1, kTerminalOctets));
  entry.number = load_be32(octets.subspan(9));
  entry.moment = load_be32(octets.subspan(13));
  entry.slot = octets[17];
  entry.packages = octets[18];
  entry.prescription = load_be32(octets.subspan(19));
  return entry;
}

// HealthApplication ------------------------------------------------------------------------------

namespace {

// The most that secure messaging gives back in one block of 256 octets, the largest of ISO 14443-4: 224 with the
// padding, 18 octets of data objects, the status word, the block's own three. Most people's emergency data are no
// longer; room behind them is not read.
constexpr std::size_t kFirstRead = 223;

// Of the data object that `file` begins with, its header included; nothing where no header is there (X.690 §8.1.3).
std::optional<std::size_t> object_octets(ByteView file) {
  Cursor cursor(file);
  const auto tag = cursor.u8(), length = cursor.u8();
  if (!tag || !length || *tag == 0) return std::nullopt;
  if (*length < 0x80) return cursor.offset() + *length;
  std::size_t value = 0;
  if (*length != 0x81 && *length != 0x82) return std::nullopt;
  for (unsigned octets = *length & 0x7F; octets != 0; --octets) {
    const auto next = cursor.u8();
    if (!next) return std::nullopt;
    value = value << 8 | *next;
  }
  return cursor.offset() + value;
}

}  // namespace

Result<HealthApplication> HealthApplication::open(Channel& channel) {
  const Bytes fci =
      TRY(channel.run({0x00, 0xA4, 0x04, 0x00, to_bytes(kHealthAid), kShortResponse}, "select the health application"));
  auto info = LedgerInfo::parse(fci);
  // A terminal that may not redeem is not shown the ledger; it reads what it may all the same.
  if (!info && info.error().kind == ErrorKind::not_found) return HealthApplication(channel, LedgerInfo{});
  if (!info) return fail(std::move(info).error());
  return HealthApplication(channel, std::move(*info));
}

Result<HealthApplication> HealthApplication::open_records(Channel& channel) {
  TRY(channel.run(select_application(kHealthAid, SelectReturn::nothing), "select the health application"));
  return HealthApplication(channel, LedgerInfo{});
}

Result<InsuranceRecord> HealthApplication::insurance() {
  const Bytes file =
      TRY(channel_->run(read_binary_short_id(kInsuranceShortId, kShortResponse), "read the insurance record"));
  return InsuranceRecord::parse(file);
}

Result<EmergencyData> HealthApplication::emergency() {
  Bytes file = TRY(channel_->run(read_binary_short_id(kEmergencyShortId, kFirstRead), "read emergency data"));
  const std::size_t whole = std::min(object_octets(file).value_or(0), kMostRecordOctets);
  while (file.size() < whole) {
    const std::size_t step = std::min(whole - file.size(), channel_->limits().response_data);
    const Bytes more = TRY(channel_->run(read_binary(file.size(), step), "read emergency data"));
    if (more.empty()) break;
    append(file, more);
  }
  return EmergencyData::parse(file);
}

Status HealthApplication::write_file(std::uint16_t file, Bytes content, const char* what) {
  const Bytes answer = TRY(channel_->run(select_file(file, SelectReturn::control_parameters), what));
  const FileControl control = TRY(FileControl::parse(answer));
  if (content.size() > control.size) {
    return fail(ErrorKind::limit, std::string(what) + ": the file holds " + std::to_string(control.size) +
                                      " octets, not " + std::to_string(content.size()));
  }
  content.resize(control.size, 0x00);  // nothing of the old one stays
  return update_selected(*channel_, content);
}

Status HealthApplication::write_insurance(const InsuranceRecord& record) {
  Bytes content = TRY(record.encode());
  return write_file(kEfInsurance, std::move(content), "write the insurance record");
}

Status HealthApplication::write_emergency(const EmergencyData& data) {
  Bytes content = TRY(data.encode());
  return write_file(kEfEmergency, std::move(content), "write emergency data");
}

Status HealthApplication::write_entitlements(const Entitlements& all) {
  const Bytes product = TRY(all.encode());
  TRY(channel_->run(select_file(kEfLedger, SelectReturn::nothing), "select the ledger of entitlements"));
  return update_selected(*channel_, product);
}

Result<HealthApplication::EntitlementReading> HealthApplication::entitlements() {
  const LedgerContent ledger = TRY(read_ledger(*channel_, kLedgerShortId, kLayoutOfLedger));
  const Entitlements all = TRY(Entitlements::parse(ledger.product, ledger.counters.size()));
  EntitlementReading reading;
  for (std::size_t i = 0; i < all.slots.size(); ++i) reading.slots.push_back({all.slots[i], ledger.counters[i]});
  for (const Bytes& octets : ledger.journal) reading.journal.push_back(TRY(HealthEntry::parse(octets)));
  return reading;
}

Result<LedgerSession> HealthApplication::open_for_redeeming(TransactionKeys& keys) {
  if (info_.serial.empty()) return not_shown();
  return LedgerSession::open(*channel_, keys, info_, LedgerKey::debit);
}

Result<LedgerSession> HealthApplication::open_for_granting(TransactionKeys& keys) {
  if (info_.serial.empty()) return not_shown();
  return LedgerSession::open(*channel_, keys, info_, LedgerKey::credit);
}

// Redeeming --------------------------------------------------------------------------------------

std::optional<std::uint8_t> find_entitlement(const LedgerState& state, std::string_view medicine, std::uint32_t package,
                                             std::chrono::year_month_day day) {
  const auto all = Entitlements::parse(state.product, state.counters.size());
  if (!all) return std::nullopt;
  for (std::size_t i = 0; i < all->slots.size(); ++i) {
    const Entitlement& slot = all->slots[i];
    if (slot.empty() || slot.medicine != medicine || (package != 0 && slot.package != package)) continue;
    if (state.counters[i] > 0 && is_valid_on(slot.from, slot.until, day)) return static_cast<std::uint8_t>(i);
  }
  return std::nullopt;
}

Result<std::uint8_t> slot_for(const Entitlements& all, const std::vector<std::uint32_t>& counters,
                              const Entitlement& wanted) {
  for (const bool same : {true, false}) {
    for (std::size_t i = 0; i < all.slots.size(); ++i) {
      if (same ? all.slots[i] == wanted : counters[i] == 0) return static_cast<std::uint8_t>(i);
    }
  }
  return fail(ErrorKind::limit, "every place for entitlements on the card is in use");
}

Result<LedgerChange> grant(const LedgerState& state, std::uint8_t slot, std::uint8_t packages, HealthEntry entry) {
  const Entitlements all = TRY(Entitlements::parse(state.product, state.counters.size()));
  if (slot >= all.slots.size() || all.slots[slot].empty() || packages == 0) {
    return fail(ErrorKind::not_permitted, "the card has no such entitlement");
  }
  if (state.counters[slot] > 0xFFFFFFFF - packages) return fail(ErrorKind::limit, "the counter holds no more");
  LedgerChange change{state.counters, {}};
  change.counters[slot] += packages;
  entry.deed = HealthEntry::Deed::granted;
  entry.slot = slot;
  entry.packages = packages;
  change.entry = entry.encode();
  return change;
}

Result<LedgerChange> redemption(const LedgerState& state, std::uint8_t slot, std::uint8_t packages,
                                std::chrono::year_month_day day, HealthEntry entry) {
  const Entitlements all = TRY(Entitlements::parse(state.product, state.counters.size()));
  if (slot >= all.slots.size() || all.slots[slot].empty() || packages == 0) {
    return fail(ErrorKind::not_permitted, "the card has no such entitlement");
  }
  if (!is_valid_on(all.slots[slot].from, all.slots[slot].until, day)) {
    return fail(ErrorKind::not_permitted, "the entitlement to " + all.slots[slot].medicine + " is not valid today");
  }
  if (state.counters[slot] < packages) {
    return fail(ErrorKind::not_permitted, "of " + all.slots[slot].medicine + " " +
                                              std::to_string(state.counters[slot]) + " packages are left, not " +
                                              std::to_string(packages));
  }
  LedgerChange change{state.counters, {}};
  change.counters[slot] -= packages;
  entry.deed = HealthEntry::Deed::redeemed;
  entry.slot = slot;
  entry.packages = packages;
  change.entry = entry.encode();
  return change;
}

}  // namespace karta::card
