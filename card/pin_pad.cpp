#include "card/pin_pad.h"

#include <array>

#include "base/cursor.h"
#include "card/iso7816.h"

namespace karta::card {
namespace {

constexpr std::uint8_t kFeatureVerifyPinDirect = 0x06, kFeatureModifyPinDirect = 0x07;
constexpr std::size_t kControlCodeOctets = 4;

// Seconds, until the first key and between keys: people look for their letter.
constexpr std::uint8_t kFirstKey = 30, kNextKey = 30;
// bmFormatString: bit 7 units are octets, position 0, bit 2 clear: from the left, bits 1-0 = 2: ASCII.
constexpr std::uint8_t kFormatAscii = 0x82;
// bmPINBlockString: no length within the block; a block of eight octets.
constexpr std::uint8_t kFieldOctets = 8;
constexpr std::uint8_t kNoLengthInserted = 0x00;
// bEntryValidationCondition: the validation key ends the entry.
constexpr std::uint8_t kValidationKey = 0x02;
constexpr std::uint16_t kEnglish = 0x0409;
// bConfirmPIN: bit 0 the new one twice, bit 1 the present one first.
constexpr std::uint8_t kConfirmAndCurrent = 0x03;

void append_le16(Bytes& out, std::uint16_t value) {
  out.push_back(static_cast<std::uint8_t>(value));
  out.push_back(static_cast<std::uint8_t>(value >> 8));
}
void append_le32(Bytes& out, std::uint32_t value) {
  append_le16(out, static_cast<std::uint16_t>(value));
  append_le16(out, static_cast<std::uint16_t>(value >> 16));
}

// wPINMaxExtraDigit: the least in the upper octet, the most in the lower.
std::uint16_t digits(PinPadLimits limits) { return static_cast<std::uint16_t>(limits.least << 8 | limits.most); }

void append_command(Bytes& out, std::uint8_t instruction, std::uint8_t reference, std::size_t fields) {
  const std::size_t octets = fields * kFieldOctets;
  append_le32(out, static_cast<std::uint32_t>(5 + octets));
  append(out, Bytes{0x00, instruction, 0x00, reference, static_cast<std::uint8_t>(octets)});
  out.insert(out.end(), octets, 0xFF);
}

Bytes modify_structure(std::uint8_t instruction, std::uint8_t reference, PinPadLimits limits) {
  constexpr std::uint8_t kOldAt = 0, kNewAt = kFieldOctets, kMessages = 3;
  Bytes out = {kFirstKey, kNextKey, kFormatAscii, kFieldOctets, kNoLengthInserted, kOldAt, kNewAt};
  append_le16(out, digits(limits));
  append(out, Bytes{kConfirmAndCurrent, kValidationKey, kMessages});
  append_le16(out, kEnglish);
  append(out, Bytes{0, 1, 2});  // bMsgIndex: which message before which entry
  append(out, Bytes{0, 0, 0});  // bTeoPrologue
  append_command(out, instruction, reference, 2);
  return out;
}

struct PadRow {
  StatusWord status;
  ErrorKind kind;
  std::string_view message;
};
constexpr auto kPadRows = std::to_array<PadRow>({
    {{0x6400}, ErrorKind::cancelled, "nothing was typed at the reader's PIN pad in time"},
    {{0x6401}, ErrorKind::cancelled, "PIN entry was cancelled at the reader"},
    {{0x6402}, ErrorKind::pin_rejected, "the new PIN was typed in two different ways"},
    {{0x6403}, ErrorKind::pin_rejected, "the PIN typed at the reader is too short or too long"},
});

}  // namespace

Result<PinPadFeatures> parse_features(ByteView answer) {
  PinPadFeatures features;
  for (Cursor cursor(answer); !cursor.empty();) {
    const std::uint8_t tag = TRY(cursor.u8());
    const std::uint8_t octets = TRY(cursor.u8());
    const ByteView value = TRY(cursor.take(octets));
    if (octets != kControlCodeOctets) return fail(ErrorKind::malformed, "a reader feature that is no control code");
    const std::uint32_t code = static_cast<std::uint32_t>(load_be16(value)) << 16 | load_be16(value.subspan(2));
    if (tag == kFeatureVerifyPinDirect) features.verify_direct = code;
    if (tag == kFeatureModifyPinDirect) features.modify_direct = code;
  }
  return features;
}

Bytes verify_structure(std::uint8_t reference, PinPadLimits limits) {
  constexpr std::uint8_t kMessages = 1;
  Bytes out = {kFirstKey, kNextKey, kFormatAscii, kFieldOctets, kNoLengthInserted};
  append_le16(out, digits(limits));
  append(out, Bytes{kValidationKey, kMessages});
  append_le16(out, kEnglish);
  out.push_back(0);             // bMsgIndex
  append(out, Bytes{0, 0, 0});  // bTeoPrologue
  append_command(out, 0x20, reference, 1);
  return out;
}

Bytes change_structure(std::uint8_t reference, PinPadLimits limits) {
  return modify_structure(0x24, reference, limits);
}

Bytes unblock_structure(std::uint8_t reference, PinPadLimits limits) {
  return modify_structure(0x2C, reference, limits);
}

std::optional<Error> pad_error(StatusWord status) {
  for (const PadRow& row : kPadRows) {
    if (row.status == status) return Error{row.kind, std::string(row.message), {}};
  }
  return {};
}

}  // namespace karta::card
