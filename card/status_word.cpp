#include "card/status_word.h"

#include <array>

namespace karta::card {
namespace {

// ISO 7816-4:2013 tables 5 and 6; the more specific rows first, the last fits everything.
constexpr auto kRows = std::to_array<StatusWordRow>({
    {0x9000, 0xFFFF, ErrorKind::internal, "done", ""},
    {0x6100, 0xFF00, ErrorKind::card_unresponsive, "done, more of the answer is waiting", ""},
    {0x6281, 0xFFFF, ErrorKind::card_refused, "part of the answer may be corrupted", ""},
    {0x6282, 0xFFFF, ErrorKind::card_refused, "end of file before the octets asked for", ""},
    {0x6283, 0xFFFF, ErrorKind::card_refused, "deactivated", ""},
    {0x6285, 0xFFFF, ErrorKind::card_refused, "terminated", "this card or file is at the end of its life"},
    {0x6200, 0xFF00, ErrorKind::card_refused, "warning, nothing was changed", ""},
    {0x63C0, 0xFFFF, ErrorKind::pin_blocked, "wrong, and no try is left", ""},
    {0x63C0, 0xFFF0, ErrorKind::wrong_pin, "wrong, some tries are left", ""},
    {0x6300, 0xFFFF, ErrorKind::wrong_pin, "wrong reference data", ""},
    {0x6300, 0xFF00, ErrorKind::card_refused, "warning, something was changed", ""},
    {0x6400, 0xFF00, ErrorKind::card_refused, "execution error, nothing was changed", ""},
    {0x6581, 0xFFFF, ErrorKind::card_refused, "memory failure", "the card is worn or damaged: replace it"},
    {0x6500, 0xFF00, ErrorKind::card_refused, "execution error, something was changed", ""},
    {0x6600, 0xFF00, ErrorKind::card_refused, "security-related fault", ""},
    {0x6700, 0xFFFF, ErrorKind::card_refused, "wrong length", ""},
    {0x6881, 0xFFFF, ErrorKind::card_refused, "logical channel not supported", ""},
    {0x6882, 0xFFFF, ErrorKind::card_refused, "secure messaging not supported", ""},
    {0x6883, 0xFFFF, ErrorKind::card_refused, "last command of the chain expected", ""},
    {0x6884, 0xFFFF, ErrorKind::card_refused, "command chaining not supported", ""},
    {0x6800, 0xFF00, ErrorKind::card_refused, "function of the class byte not supported", ""},
    {0x6981, 0xFFFF, ErrorKind::card_refused, "command does not fit the file's structure", ""},
    {0x6982, 0xFFFF, ErrorKind::not_permitted, "security status not satisfied",
     "the card wants a PIN or another right first"},
    {0x6983, 0xFFFF, ErrorKind::pin_blocked, "authentication method blocked", ""},
    {0x6984, 0xFFFF, ErrorKind::card_refused, "reference data not usable", ""},
    {0x6985, 0xFFFF, ErrorKind::not_permitted, "conditions of use not satisfied", ""},
    {0x6986, 0xFFFF, ErrorKind::card_refused, "no file selected", ""},
    {0x6987, 0xFFFF, ErrorKind::card_refused, "secure messaging objects missing", ""},
    {0x6988, 0xFFFF, ErrorKind::card_refused, "secure messaging objects wrong", ""},
    {0x6900, 0xFF00, ErrorKind::card_refused, "command not allowed", ""},
    {0x6A80, 0xFFFF, ErrorKind::card_refused, "wrong data", ""},
    {0x6A81, 0xFFFF, ErrorKind::unsupported, "function not supported", ""},
    {0x6A82, 0xFFFF, ErrorKind::not_found, "file or application not found", ""},
    {0x6A83, 0xFFFF, ErrorKind::not_found, "record not found", ""},
    {0x6A84, 0xFFFF, ErrorKind::limit, "not enough memory on the card", ""},
    {0x6A85, 0xFFFF, ErrorKind::card_refused, "length does not fit the structure of the data", ""},
    {0x6A86, 0xFFFF, ErrorKind::card_refused, "wrong parameters P1-P2", ""},
    {0x6A87, 0xFFFF, ErrorKind::card_refused, "length does not fit P1-P2", ""},
    {0x6A88, 0xFFFF, ErrorKind::not_found, "referenced data not found", ""},
    {0x6A89, 0xFFFF, ErrorKind::already_exists, "file exists already", ""},
    {0x6A8A, 0xFFFF, ErrorKind::already_exists, "application exists already", ""},
    {0x6A00, 0xFF00, ErrorKind::card_refused, "wrong parameters", ""},
    {0x6B00, 0xFFFF, ErrorKind::card_refused, "offset outside the file", ""},
    {0x6C00, 0xFF00, ErrorKind::card_unresponsive, "wrong Le, the right one is told", ""},
    {0x6D00, 0xFFFF, ErrorKind::unsupported, "instruction not supported", ""},
    {0x6E00, 0xFFFF, ErrorKind::unsupported, "class not supported", ""},
    {0x6F00, 0xFF00, ErrorKind::card_refused, "no precise diagnosis", ""},
    {0x0000, 0x0000, ErrorKind::card_refused, "a status word of the card's own", ""},
});

}  // namespace

std::span<const StatusWordRow> status_words() { return kRows; }

const StatusWordRow& row_of(StatusWord status) {
  for (const StatusWordRow& row : kRows) {
    if ((status.value & row.mask) == row.value) return row;
  }
  return kRows.back();
}

std::string to_string(StatusWord status) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string text;
  for (int shift = 12; shift >= 0; shift -= 4) text.push_back(kDigits[status.value >> shift & 0xF]);
  return text;
}

Error error_of(StatusWord status, std::string_view deed) {
  const StatusWordRow& row = row_of(status);
  std::string message = "could not ";
  message.append(deed).append(": ");
  if (const auto tries = status.remaining_tries(); tries && *tries > 0) {
    message.append("wrong, " + std::to_string(*tries) + (*tries == 1 ? " try is left" : " tries are left"));
  } else {
    message.append(row.meaning);
  }
  message.append(" (" + to_string(status) + ")");
  return Error{row.kind, std::move(message), std::string(row.hint)};
}

}  // namespace karta::card
