#include "firmware-sim/link/reader_address.h"

#include <charconv>

namespace karta::sim {

std::string ReaderAddress::name() const { return "reader " + std::to_string(reader) + " slot " + std::to_string(slot); }

Result<ReaderAddress> parse_reader_address(std::string_view text) {
  ReaderAddress address;
  const auto number = [](std::string_view digits, unsigned& out) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out);
    return error == std::errc() && end == digits.data() + digits.size();
  };
  const std::size_t colon = text.find(':');
  const bool read = number(text.substr(0, colon), address.reader) &&
                    (colon == std::string_view::npos || number(text.substr(colon + 1), address.slot));
  if (!read || address.reader < 1 || address.reader > kMaxReaders || address.slot >= kSlotsPerReader) {
    return fail(ErrorKind::usage, "\"" + std::string(text) + "\" is no reader",
                "give a number from 1 to " + std::to_string(kMaxReaders) + ", and :1 for its second slot");
  }
  return address;
}

}  // namespace karta::sim
