#include "card/chat.h"

#include "base/der.h"

namespace karta::card {
namespace {

constexpr Tag kChat = 0x7F4C, kDiscretionaryData = 0x53;

constexpr TerminalType kAt = TerminalType::authentication_terminal, kIs = TerminalType::inspection_system,
                       kSt = TerminalType::signature_terminal;

// TR-03110-4 §2.2.3.2 (authentication terminals), §2.2.3.1 (inspection systems), §2.2.3.3 (signature terminals).
constexpr auto kRights = std::to_array<RightRow>({
    {kIs, 0, "read-fingerprints", "read the fingerprints"},
    {kIs, 1, "read-iris", "read the iris"},
    {kIs, 5, "read-eid", "read the identity application"},
    {kAt, 0, "age-verification", "ask whether the holder has reached an age"},
    {kAt, 1, "community-verification", "ask whether the holder lives in a community"},
    {kAt, 2, "restricted-identification", "get the sector's pseudonym"},
    {kAt, 3, "privileged", "privileged terminal"},
    {kAt, 4, "can-allowed", "work with the CAN instead of the PIN"},
    {kAt, 5, "pin-management", "activate, deactivate and unblock the PIN"},
    {kAt, 6, "install-certificate", "install a certificate"},
    {kAt, 7, "install-qualified-certificate", "install a qualified certificate"},
    {kAt, 8, "read-dg1", "read the document type"},
    {kAt, 9, "read-dg2", "read the issuing state"},
    {kAt, 10, "read-dg3", "read the date of expiry"},
    {kAt, 11, "read-dg4", "read the given names"},
    {kAt, 12, "read-dg5", "read the family names"},
    {kAt, 13, "read-dg6", "read the patronymic"},
    {kAt, 14, "read-dg7", "read the academic title"},
    {kAt, 15, "read-dg8", "read the date of birth"},
    {kAt, 16, "read-dg9", "read the place of birth"},
    {kAt, 17, "read-dg10", "read the nationality"},
    {kAt, 18, "read-dg11", "read the sex"},
    {kAt, 19, "read-dg12", "read the national numbers"},
    {kAt, 20, "read-dg13", "read the birth name"},
    {kAt, 21, "read-dg14", "read the portrait"},
    {kAt, 22, "read-dg15", "read the date of issue"},
    {kAt, 23, "read-dg16", "read the insurance number"},
    {kAt, 24, "read-dg17", "read the place of residence"},
    {kAt, 25, "read-dg18", "read the community"},
    {kAt, 26, "read-dg19", "read the taxpayer number"},
    {kAt, 27, "read-dg20", "read data group 20"},
    {kAt, 28, "read-dg21", "read data group 21"},
    {kAt, 29, "read-dg22", "read data group 22"},
    {kAt, 32, "write-dg22", "write data group 22"},
    {kAt, 33, "write-dg21", "write data group 21"},
    {kAt, 34, "write-dg20", "write data group 20"},
    {kAt, 35, "write-dg19", "write the taxpayer number"},
    {kAt, 36, "write-dg18", "write the community"},
    {kAt, 37, "write-dg17", "write the place of residence"},
    {kSt, 0, "sign", "make signatures"},
    {kSt, 1, "sign-qualified", "make qualified signatures"},
});

constexpr bool bits_match_formulas() {
  for (const RightRow& row : kRights) {
    if (row.type != kAt || row.bit < 8) continue;
    bool known = false;
    for (unsigned group = 1; group <= 22; ++group) {
      if (right_to_read(group) == row.bit) known = true;
      if (group >= 17 && right_to_write(group) == row.bit) known = true;
    }
    if (!known) return false;
  }
  return right_to_read(1) == 8 && right_to_read(21) == 28 && right_to_write(17) == 37 && right_to_write(21) == 33;
}
static_assert(bits_match_formulas(), "bit numbers of data groups");

}  // namespace

std::string_view name_of(HolderRole role) {
  constexpr std::string_view kNames[] = {"terminal", "foreign-dv", "domestic-dv", "cvca"};
  return kNames[static_cast<std::size_t>(role)];
}

std::span<const RightRow> right_rows() { return kRights; }

const RightRow* find_right(TerminalType type, std::string_view name) {
  for (const RightRow& row : kRights) {
    if (row.type == type && row.name == name) return &row;
  }
  return nullptr;
}

std::vector<std::string> names_of(TerminalType type, Rights rights) {
  std::vector<std::string> names;
  for (unsigned bit = 0; bit < 64; ++bit) {
    if ((rights & right_bit(bit)) == 0) continue;
    std::string name = "bit-" + std::to_string(bit);
    for (const RightRow& row : kRights) {
      if (row.type == type && row.bit == bit) name = row.name;
    }
    names.push_back(std::move(name));
  }
  return names;
}

Rights named_rights(TerminalType type) {
  Rights rights = 0;
  for (const RightRow& row : kRights) {
    if (row.type == type) rights |= right_bit(row.bit);
  }
  return rights;
}

// 7F4C { 06 id-IS|id-AT|id-ST, 53 discretionary data }
Result<Chat> Chat::parse(ByteView whole) {
  TlvCursor cursor(whole, TlvLimits::der());
  const Tlv outer = TRY(cursor.expect(kChat));
  TRY(cursor.finish());
  return parse_content(outer.value);
}

Result<Chat> Chat::parse_content(ByteView content) {
  der::Reader reader(content);
  const ByteView oid = TRY(reader.oid());
  const Tlv data = TRY(reader.expect(kDiscretionaryData));
  TRY(reader.finish());
  const std::string dotted = der::oid_to_text(oid);
  for (const TerminalTypeRow& row : kTerminalTypes) {
    if (row.oid != dotted) continue;
    if (data.value.size() != row.octets) {
      return fail(ErrorKind::malformed, "a CHAT of type " + std::string(row.name) + " has " +
                                            std::to_string(data.value.size()) + " octets of rights, not " +
                                            std::to_string(row.octets));
    }
    std::uint64_t bits = 0;
    for (const std::uint8_t octet : data.value) bits = bits << 8 | octet;
    return Chat{row.type, static_cast<HolderRole>(bits >> (row.octets * 8 - 2)), bits & all_rights(row.type)};
  }
  return fail(ErrorKind::unsupported, "a CHAT of the unknown terminal type " + dotted);
}

Bytes Chat::bits() const {
  const unsigned octets = row_of(type).octets;
  const std::uint64_t all = (rights & all_rights(type)) | static_cast<std::uint64_t>(role) << (octets * 8 - 2);
  Bytes out;
  for (unsigned at = octets; at > 0; --at) out.push_back(static_cast<std::uint8_t>(all >> (at - 1) * 8));
  return out;
}

Bytes Chat::encode() const {
  return make_tlv(kChat, {der::oid(row_of(type).oid), make_tlv(kDiscretionaryData, bits())});
}

}  // namespace karta::card
