#include "card/pin.h"

#include <algorithm>
#include <array>

namespace karta::card {
namespace {

constexpr auto kRules = std::to_array<PinRules>({
    {.kind = PinKind::pin1, .name = "PIN1", .min_digits = 6, .max_digits = 8, .transport_digits = 5, .tries = 3},
    {.kind = PinKind::pin2, .name = "PIN2", .min_digits = 6, .max_digits = 8, .transport_digits = 5, .tries = 3},
    {.kind = PinKind::puk, .name = "PUK", .min_digits = 10, .max_digits = 10, .transport_digits = 0, .tries = 10},
    {.kind = PinKind::can, .name = "CAN", .min_digits = 6, .max_digits = 6, .transport_digits = 0, .tries = 0},
});

// A card karta did not issue may have shorter ones (MyEID: 4 to 8 digits, PUK of 8).
constexpr std::size_t kShortestPresented = 4;

bool all_digits(ByteView octets) {
  return std::all_of(octets.begin(), octets.end(), [](std::uint8_t octet) { return octet >= '0' && octet <= '9'; });
}

// True if each digit is `step` more than the one before: 111111 (0), 123456 (1), 987654 (-1).
bool is_run(ByteView digits, int step) {
  for (std::size_t i = 1; i < digits.size(); ++i) {
    if (digits[i] - digits[i - 1] != step) return false;
  }
  return true;
}

}  // namespace

const PinRules& rules_of(PinKind kind) {
  for (const PinRules& rules : kRules) {
    if (rules.kind == kind) return rules;
  }
  return kRules.front();
}

Status check_new_pin(PinKind kind, const SecretBytes& pin) {
  const PinRules& rules = rules_of(kind);
  const ByteView octets = pin.expose_secret();
  const std::string name(rules.name);
  if (!all_digits(octets)) return fail(ErrorKind::pin_rejected, "the new " + name + " has something other than digits");
  if (octets.size() < rules.min_digits || octets.size() > rules.max_digits) {
    const std::string range = rules.min_digits == rules.max_digits
                                  ? std::to_string(rules.min_digits)
                                  : std::to_string(rules.min_digits) + " to " + std::to_string(rules.max_digits);
    return fail(ErrorKind::pin_rejected, "the new " + name + " must have " + range + " digits");
  }
  if (kind != PinKind::puk && kind != PinKind::can && (is_run(octets, 0) || is_run(octets, 1) || is_run(octets, -1))) {
    return fail(ErrorKind::pin_rejected, "the new " + name + " is too easy to guess",
                "do not take the same digit throughout, or digits in a row");
  }
  return {};
}

Status check_presented_pin(PinKind kind, const SecretBytes& pin) {
  const PinRules& rules = rules_of(kind);
  const ByteView octets = pin.expose_secret();
  const std::string name(rules.name);
  if (octets.empty()) return fail(ErrorKind::pin_rejected, "no " + name + " was given");
  if (!all_digits(octets)) return fail(ErrorKind::pin_rejected, "a " + name + " has digits only");
  const std::size_t least = kind == PinKind::puk || kind == PinKind::can ? rules.min_digits : kShortestPresented;
  // A blank card has eight-digit PUKs.
  const bool short_puk = kind == PinKind::puk && octets.size() == 8;
  if (!short_puk && (octets.size() < least || octets.size() > rules.max_digits)) {
    return fail(ErrorKind::pin_rejected, "no " + name + " has " + std::to_string(octets.size()) + " digits");
  }
  return {};
}

SecretBytes pin_field(const SecretBytes& pin) {
  constexpr std::size_t kFieldOctets = 8;
  SecretBytes field(kFieldOctets);
  const MutableByteView out = field.expose_secret_mutable();
  std::fill(out.begin(), out.end(), std::uint8_t{0xFF});
  const ByteView digits = pin.expose_secret();
  std::copy_n(digits.begin(), std::min(digits.size(), kFieldOctets), out.begin());
  return field;
}

}  // namespace karta::card
