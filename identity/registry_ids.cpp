// The ids of citizens and cards as text.
#include <array>

#include "identity/registry_rows.h"

namespace karta::identity {
namespace {

using detail::raw;

std::string format_key(std::int64_t key) {
  std::array<std::uint8_t, 8> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    octets[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(key) >> (56 - 8 * i));
  }
  return to_hex(octets);
}

Result<std::int64_t> parse_key(std::string_view text, const char* what) {
  const auto octets = from_hex(text);
  if (!octets || text.size() != 16 || octets->size() != 8 || octets->front() >= 0x80) {
    return fail(ErrorKind::usage, "\"" + std::string(text) + "\" is no " + what + " id",
                "an id is 16 hexadecimal digits, as the registry printed it");
  }
  std::uint64_t key = 0;
  for (const std::uint8_t octet : *octets) key = key << 8 | octet;
  return static_cast<std::int64_t>(key);
}

}  // namespace

std::string format_id(CitizenId id) { return format_key(raw(id)); }
std::string format_id(CardId id) { return format_key(raw(id)); }
Result<CitizenId> parse_citizen_id(std::string_view text) { return CitizenId{TRY(parse_key(text, "citizen"))}; }
Result<CardId> parse_card_id(std::string_view text) { return CardId{TRY(parse_key(text, "card"))}; }

}  // namespace karta::identity
