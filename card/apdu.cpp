#include "card/apdu.h"

#include "base/secret.h"

namespace karta::card {

CommandApdu::~CommandApdu() {
  if (sensitive) wipe(data);
}

// ISO 7816-4 §5.1 table 1: Lc is absent, one octet, or 00 and two; Le absent, one octet, or two (three without Lc).
Result<Bytes> CommandApdu::encode() const {
  if (data.size() > kExtendedData) {
    return fail(ErrorKind::limit, "a command of " + std::to_string(data.size()) + " data octets fits no APDU");
  }
  if (le && (*le == 0 || *le > kExtendedResponse)) {
    return fail(ErrorKind::limit, "an answer of " + std::to_string(*le) + " octets fits no APDU");
  }
  Bytes out;
  out.reserve(encoded_size(*this));
  out.assign({cla, ins, p1, p2});
  if (fits_short()) {
    if (!data.empty()) {
      out.push_back(static_cast<std::uint8_t>(data.size()));
      append(out, data);
    }
    if (le) out.push_back(static_cast<std::uint8_t>(*le));  // 256 is 00
    return out;
  }
  out.push_back(0x00);
  if (!data.empty()) {
    append_be16(out, static_cast<std::uint16_t>(data.size()));
    append(out, data);
  }
  if (le) append_be16(out, static_cast<std::uint16_t>(*le));  // 65,536 is 0000
  return out;
}

std::size_t encoded_size(const CommandApdu& command) {
  std::size_t size = 4 + command.data.size();
  if (command.fits_short()) return size + (command.data.empty() ? 0 : 1) + (command.le ? 1 : 0);
  return size + 1 + (command.data.empty() ? 0 : 2) + (command.le ? 2 : 0);
}

Result<ResponseApdu> ResponseApdu::parse(ByteView octets) {
  if (octets.size() < 2) {
    return fail(ErrorKind::card_unresponsive,
                "the card answered " + std::to_string(octets.size()) + " octets where a status word is the least");
  }
  if (octets.size() > kExtendedResponse + 2) {
    return fail(ErrorKind::card_unresponsive, "the card answered more than any APDU holds");
  }
  const StatusWord status{load_be16(octets.last(2))};
  // ISO 7816-4 §5.6: values outside 6XXX and 9XXX, and 60XX, are invalid.
  if ((status.sw1() & 0xF0) != 0x60 && (status.sw1() & 0xF0) != 0x90) {
    return fail(ErrorKind::card_unresponsive, "the card answered with no status word (" + to_string(status) + ")");
  }
  if (status.sw1() == 0x60) {
    return fail(ErrorKind::card_unresponsive, "the card answered with a procedure byte (" + to_string(status) + ")");
  }
  return ResponseApdu{to_bytes(octets.first(octets.size() - 2)), status};
}

}  // namespace karta::card
