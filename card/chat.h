// CHAT (certificate holder authorization template): what a certificate's holder is, and what it may do.
//
// TR-03110-3 C.4, TR-03110-4 §2.2.3.2. A template names a type of terminal and a bit string: two bits of role, the rest
// rights. Rights of a chain are the bitwise AND of all its certificates, so that no authority gives what it has not.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace karta::card {

enum class TerminalType : std::uint8_t { inspection_system, authentication_terminal, signature_terminal };

struct TerminalTypeRow {
  TerminalType type;
  std::string_view name;  ///< "authentication-terminal"
  std::string_view oid;   ///< dotted
  std::uint8_t octets;    ///< of the discretionary data
};
inline constexpr auto kTerminalTypes = std::to_array<TerminalTypeRow>({
    {TerminalType::inspection_system, "inspection-system", "0.4.0.127.0.7.3.1.2.1", 1},
    {TerminalType::authentication_terminal, "authentication-terminal", "0.4.0.127.0.7.3.1.2.2", 5},
    {TerminalType::signature_terminal, "signature-terminal", "0.4.0.127.0.7.3.1.2.3", 1},
});
constexpr const TerminalTypeRow& row_of(TerminalType type) { return kTerminalTypes[static_cast<std::size_t>(type)]; }

/// The two highest bits.
enum class HolderRole : std::uint8_t {
  terminal = 0,
  foreign_dv = 1,   ///< document verifier, foreign or not official
  domestic_dv = 2,  ///< document verifier, official and domestic: the card takes the date of its certificates
  cvca = 3,
};
/// "cvca", "domestic-dv", "foreign-dv", "terminal"
std::string_view name_of(HolderRole role);

/// Rights by bit number, bit 0 the lowest of the last octet; role bits are never set.
using Rights = std::uint64_t;
constexpr Rights right_bit(unsigned bit) { return Rights{1} << bit; }

struct RightRow {
  TerminalType type;
  std::uint8_t bit;
  std::string_view name;   ///< in options and reports: "read-dg4"
  std::string_view words;  ///< for people
};
/// Every right that has a name, by type, then bit.
std::span<const RightRow> right_rows();
/// By name; nullptr if there is none of that type.
const RightRow* find_right(TerminalType type, std::string_view name);
/// Names of the bits set, lowest bit first; a bit without a name reads "bit-31".
std::vector<std::string> names_of(TerminalType type, Rights rights);
/// All bits a certificate of this type may hold, those without a name included.
constexpr Rights all_rights(TerminalType type) { return (right_bit(row_of(type).octets * 8u - 2u)) - 1; }
/// All bits with a name.
Rights named_rights(TerminalType type);

// Authentication terminals.
inline constexpr unsigned kRightAgeVerification = 0, kRightCommunityVerification = 1, kRightRestrictedId = 2,
                          kRightPrivileged = 3, kRightCanAllowed = 4, kRightPinManagement = 5,
                          kRightInstallCertificate = 6, kRightInstallQualifiedCertificate = 7;
/// Data groups 1 to 22.
constexpr unsigned right_to_read(unsigned data_group) { return data_group == 22 ? 29u : 7u + data_group; }
/// Data groups 17 to 22.
constexpr unsigned right_to_write(unsigned data_group) { return 54u - data_group; }

struct Chat {
  TerminalType type = TerminalType::authentication_terminal;
  HolderRole role = HolderRole::terminal;
  Rights rights = 0;

  /// Reads the whole data object 7F4C { 06 type, 53 bits }. Fails with `malformed`; `unsupported` for a type without a
  /// row.
  static Result<Chat> parse(ByteView whole);
  /// The content of 7F4C, as a certificate's body has it.
  static Result<Chat> parse_content(ByteView content);
  /// The whole data object.
  Bytes encode() const;
  /// The bit string alone.
  Bytes bits() const;
  bool may(unsigned bit) const { return (rights & right_bit(bit)) != 0; }
  friend bool operator==(const Chat&, const Chat&) = default;
};

}  // namespace karta::card
