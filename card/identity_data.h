// IdentityData: the data groups of the identity application (BSI TR-03110-2, TR-03110-4 §2.2.2), to and from octets.
//
// One row a data group: number, name, ASN.1 form. Each file holds [APPLICATION n] { value }; behind it, in files of
// karta's making, 53 10 and sixteen random octets: the salt, so that the signed hash of a short value (a sex, a date)
// tells nothing to who may not read the file. Other programs read the first object and stop.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/bytes.h"

namespace karta::card {

enum class DataGroupForm : std::uint8_t {
  printable,  ///< PrintableString
  utf8,       ///< UTF8String
  date,       ///< NumericString YYYYMMDD; parts not known are blanks
  place,      ///< GeneralPlace
  octets,     ///< OCTET STRING
  national,   ///< SET OF SEQUENCE { OBJECT IDENTIFIER, PrintableString }
  picture,    ///< OCTET STRING that holds a JPEG
};

struct DataGroupRow {
  std::uint8_t number;     ///< 1 to 21; file 0100 + number, short identifier number
  std::string_view name;   ///< in --json and profiles: "given-names"
  std::string_view words;  ///< for people
  DataGroupForm form;
  std::uint16_t least, most;  ///< octets; 0: no such bound
  bool writable;              ///< by terminals with the right: left out of the signed hashes
};
/// Rows in order of number; numbers without a row are unused on citizen cards.
std::span<const DataGroupRow> data_group_rows();
/// nullptr for numbers and names without a row.
const DataGroupRow* find_data_group(unsigned number);
const DataGroupRow* find_data_group(std::string_view name);
constexpr std::uint16_t data_group_file(unsigned number) { return static_cast<std::uint16_t>(0x0100 + number); }

/// DF eID: id-eID, 0.4.0.127.0.7.3.2 as an application identifier.
inline constexpr std::uint8_t kIdentityAid[] = {0xE8, 0x07, 0x04, 0x00, 0x7F, 0x00, 0x07, 0x03, 0x02};
inline constexpr std::uint16_t kIdentityDf = 0x5E1D;
inline constexpr std::uint16_t kEfCardAccess = 0x011C, kEfCardSecurity = 0x011D;
inline constexpr std::size_t kDataGroupSaltOctets = 16;
inline constexpr std::size_t kMostDataGroupOctets = 1024;  ///< of a file, but the portrait's
/// The holder's picture: its data group, and octets of the JPEG in it.
inline constexpr unsigned kPortraitGroup = 14;
inline constexpr std::size_t kMostPortraitOctets = 24'000;
/// What the file of a data group may have at the most, form and salt included.
std::size_t most_file_octets(const DataGroupRow& row);

/// A date of which day, or day and month, may be unknown: month or day 0.
struct PartialDate {
  unsigned year = 0, month = 0, day = 0;
  static PartialDate of(std::chrono::year_month_day date);
  /// "1990-05-17", "1990-05", "1990"
  std::string to_string() const;
  friend bool operator==(const PartialDate&, const PartialDate&) = default;
};

/// GeneralPlace: `text` alone is the free-text form; all empty says "no place information".
struct Place {
  std::string street, city, state, country, postal_code;
  std::string text;
  /// One line, for people.
  std::string to_string() const;
  friend bool operator==(const Place&, const Place&) = default;
};

/// Numbers a state gives its citizens, by dotted OID.
using NationalNumbers = std::map<std::string, std::string>;
/// The SNILS in data group 12: under the arc of the status index (docs/certificates.md).
extern const std::string_view kSnilsOid;

using DataGroupValue = std::variant<std::string, PartialDate, Place, Bytes, NationalNumbers>;
/// One line for people; octets in hexadecimal, but of a picture only how many there are.
std::string to_string(const DataGroupValue& value);

/// Values by data group number: what personalisation writes and a terminal reads.
using IdentityData = std::map<unsigned, DataGroupValue>;

/// The file's whole content: value and salt (empty: none). Fails with `usage` where the value does not fit the row.
Result<Bytes> encode_data_group(const DataGroupRow& row, const DataGroupValue& value, ByteView salt);

struct DataGroup {
  DataGroupValue value;
  Bytes salt;  ///< empty if there is none
};
/// Strict in the value, lenient to padding behind it. Fails with `malformed`.
Result<DataGroup> decode_data_group(const DataGroupRow& row, ByteView file);

}  // namespace karta::card
