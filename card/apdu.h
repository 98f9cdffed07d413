// APDU: the command and response of ISO 7816-4 §5, as values.
//
// A CommandApdu says what is asked; encode() makes the octets of the four cases, short or extended (§5.1). A
// ResponseApdu is the answer with its status word taken apart.
#pragma once

#include <optional>

#include "base/bytes.h"
#include "card/status_word.h"

namespace karta::card {

inline constexpr std::size_t kShortData = 255;       ///< most octets of a short command data field
inline constexpr std::size_t kShortResponse = 256;   ///< most octets a short Le can ask for
inline constexpr std::size_t kExtendedData = 65535;  ///< the same, extended
inline constexpr std::size_t kExtendedResponse = 65536;

/// Bit 5 of an interindustry class byte: more of this command follows (ISO 7816-4 §5.1.1.1).
inline constexpr std::uint8_t kClassChaining = 0x10;
/// Bits 4 and 3: secure messaging of some kind (ISO 7816-4 table 2).
inline constexpr std::uint8_t kClassSecure = 0x0C;

/// One command. Where it is `sensitive`, hand it on by reference or move: every copy of a secret is one more to wipe.
struct CommandApdu {
  std::uint8_t cla = 0x00;
  std::uint8_t ins = 0;
  std::uint8_t p1 = 0;
  std::uint8_t p2 = 0;
  Bytes data;                     ///< command data field; empty: none
  std::optional<std::size_t> le;  ///< octets expected back; 256 (short) or 65536 (extended) ask for all there is
  bool sensitive = false;         ///< `data` is a secret: wiped with this object, never traced

  CommandApdu() = default;
  CommandApdu(std::uint8_t class_byte, std::uint8_t instruction, std::uint8_t parameter1, std::uint8_t parameter2,
              Bytes data_field = {}, std::optional<std::size_t> expected = std::nullopt)
      : cla(class_byte), ins(instruction), p1(parameter1), p2(parameter2), data(std::move(data_field)), le(expected) {}
  CommandApdu(const CommandApdu&) = default;
  CommandApdu(CommandApdu&&) noexcept = default;
  CommandApdu& operator=(const CommandApdu&) = default;
  CommandApdu& operator=(CommandApdu&&) noexcept = default;
  ~CommandApdu();

  /// True if the short form can carry it.
  bool fits_short() const { return data.size() <= kShortData && le.value_or(0) <= kShortResponse; }

  /// The octets on the wire: short if it fits, else extended. Fails (`limit`) beyond 65,535 / 65,536 octets.
  Result<Bytes> encode() const;
};

/// One answer.
struct ResponseApdu {
  Bytes data;
  StatusWord status;

  /// Takes `octets` apart. Fails (`card_unresponsive`) under two octets, over 65,538, or where SW1 is not 6x or 9x.
  static Result<ResponseApdu> parse(ByteView octets);
};

/// The number of octets encode() would give.
std::size_t encoded_size(const CommandApdu& command);

}  // namespace karta::card
