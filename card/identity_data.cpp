#include "card/identity_data.h"

#include <algorithm>
#include <array>
#include <cctype>

#include "base/der.h"

namespace karta::card {
namespace {

using F = DataGroupForm;

// TR-03110-4 §2.2.2 table 2. 6, 14, 16 and 19 are of national use here: TR-03110 has an artistic name, a written
// signature, nothing, and a residence permit.
constexpr auto kRows = std::to_array<DataGroupRow>({
    {1, "document-type", "document type", F::printable, 2, 2, false},
    {2, "issuing-state", "issuing state", F::printable, 1, 3, false},
    {3, "expiry", "date of expiry", F::date, 0, 0, false},
    {4, "given-names", "given names", F::utf8, 1, 160, false},
    {5, "family-names", "family names", F::utf8, 1, 160, false},
    {6, "patronymic", "patronymic", F::utf8, 1, 160, false},
    {7, "academic-title", "academic title", F::utf8, 1, 160, false},
    {8, "birth-date", "date of birth", F::date, 0, 0, false},
    {9, "birth-place", "place of birth", F::place, 0, 0, false},
    {10, "nationality", "nationality", F::printable, 1, 3, false},
    {11, "sex", "sex", F::printable, 1, 1, false},
    {12, "national-numbers", "national numbers", F::national, 0, 0, false},
    {13, "birth-name", "name at birth", F::utf8, 1, 160, false},
    {kPortraitGroup, "portrait", "portrait", F::picture, 1000, kMostPortraitOctets, false},
    {15, "issue-date", "date of issue", F::date, 0, 0, false},
    {16, "insurance-number", "number of the medical insurance policy", F::printable, 1, 32, false},
    {17, "residence", "place of residence", F::place, 0, 0, true},
    {18, "community", "community of residence", F::octets, 1, 16, true},
    {19, "taxpayer-number", "taxpayer number", F::printable, 1, 32, false},
    {21, "optional-data", "data written after issue", F::national, 0, 0, true},
});

constexpr std::size_t kMostPlacePart = 160, kMostNationalNumbers = 16;
constexpr Tag kSalt = 0x53;
// Two tags with their lengths, and the salt with its own.
constexpr std::size_t kPictureFrame = 4 + 4 + 2 + kDataGroupSaltOctets;

// SOI and the first segment's FF; what is in between is for who shows it.
bool is_jpeg(ByteView octets) {
  return octets.size() > 4 && octets[0] == 0xFF && octets[1] == 0xD8 && octets[2] == 0xFF;
}

Tag application(unsigned number) { return number < 31 ? 0x60 | number : 0; }

tl::unexpected<Error> misfit(const DataGroupRow& row, const std::string& why) {
  return fail(ErrorKind::usage,
              "data group " + std::to_string(row.number) + " (" + std::string(row.words) + ") " + why);
}
tl::unexpected<Error> bad(const DataGroupRow& row, const std::string& why) {
  return fail(ErrorKind::malformed,
              "data group " + std::to_string(row.number) + " (" + std::string(row.words) + ") " + why);
}

// X.680 §41.4.
bool printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" '()+,-./:=?").find(c) != std::string_view::npos;
  });
}

std::string two_digits(unsigned value) {
  return value == 0 ? "  " : std::string{static_cast<char>('0' + value / 10), static_cast<char>('0' + value % 10)};
}

bool possible(const PartialDate& date) {
  if (date.year < 1000 || date.year > 9999 || date.month > 12 || date.day > 31) return false;
  if (date.month == 0) return date.day == 0;
  if (date.day == 0) return true;
  return std::chrono::year_month_day(std::chrono::year(static_cast<int>(date.year)), std::chrono::month(date.month),
                                     std::chrono::day(date.day))
      .ok();
}

// NumericString "YYYYMMDD", unknown parts blank.
Bytes encode_date(const PartialDate& date) {
  const std::string text = std::to_string(date.year) + two_digits(date.month) + two_digits(date.day);
  return make_tlv(der::kNumericString, as_bytes(text));
}

Result<PartialDate> decode_date(const DataGroupRow& row, der::Reader& reader) {
  const Tlv object = TRY(reader.expect(der::kNumericString));
  const std::string_view text = as_text(object.value);
  if (text.size() != 8) return bad(row, "is a date that is not eight characters long");
  const auto number = [&](std::size_t at, std::size_t count) -> std::optional<unsigned> {
    const std::string_view part = text.substr(at, count);
    if (part.find_first_not_of(' ') == std::string_view::npos) return 0;
    unsigned value = 0;
    for (const char c : part) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + static_cast<unsigned>(c - '0');
    }
    return value;
  };
  const auto year = number(0, 4), month = number(4, 2), day = number(6, 2);
  if (!year || !month || !day || !possible({*year, *month, *day})) return bad(row, "is no date");
  return PartialDate{*year, *month, *day};
}

// GeneralPlace ::= CHOICE { Place, freetextPlace [1] UTF8String, noPlaceInfo [2] UTF8String }
// Place ::= SEQUENCE { street [10] UTF8String OPTIONAL, city [11] UTF8String, state [12] UTF8String OPTIONAL,
//                      country [13] PrintableString, zipcode [14] PrintableString OPTIONAL }
Result<Bytes> encode_place(const DataGroupRow& row, const Place& place) {
  for (const std::string* part :
       {&place.street, &place.city, &place.state, &place.country, &place.postal_code, &place.text}) {
    if (part->size() > kMostPlacePart) return misfit(row, "has a part longer than any place's");
  }
  if (!place.text.empty()) return make_tlv(der::context(1), der::utf8(place.text));
  if (place == Place{}) return make_tlv(der::context(2), der::utf8(""));
  if (place.city.empty() || place.country.empty() || place.country.size() > 3 || !printable(place.country) ||
      !printable(place.postal_code)) {
    return misfit(row, "needs a city and a country code of 1 to 3 letters");
  }
  Bytes content;
  const auto part = [&](unsigned tag, const Bytes& value) { append(content, make_tlv(der::context(tag), value)); };
  if (!place.street.empty()) part(10, der::utf8(place.street));
  part(11, der::utf8(place.city));
  if (!place.state.empty()) part(12, der::utf8(place.state));
  part(13, der::printable(place.country));
  if (!place.postal_code.empty()) part(14, der::printable(place.postal_code));
  return der::sequence(content);
}

Result<Place> decode_place(der::Reader& reader) {
  Place place;
  if (auto free_text = TRY(reader.enter_if(der::context(1)))) {
    place.text = std::string(TRY(free_text->text()));
    TRY(free_text->finish());
    return place;
  }
  if (auto none = TRY(reader.enter_if(der::context(2)))) {
    TRY(none->text());
    TRY(none->finish());
    return place;
  }
  der::Reader parts = TRY(reader.enter(der::kSequence));
  const auto part = [&](unsigned tag, bool required, std::string& out) -> Status {
    auto inner = TRY(parts.enter_if(der::context(tag)));
    if (!inner) {
      if (required) return fail(ErrorKind::malformed, "a place without a part that it must have");
      return {};
    }
    out = std::string(TRY(inner->text()));
    return inner->finish();
  };
  TRY(part(10, false, place.street));
  TRY(part(11, true, place.city));
  TRY(part(12, false, place.state));
  TRY(part(13, true, place.country));
  TRY(part(14, false, place.postal_code));
  TRY(parts.finish());
  return place;
}

// OptionalDataR ::= SET OF SEQUENCE { type OBJECT IDENTIFIER, data ANY DEFINED BY type OPTIONAL }
Result<Bytes> encode_national(const DataGroupRow& row, const NationalNumbers& numbers) {
  if (numbers.empty() || numbers.size() > kMostNationalNumbers) return misfit(row, "holds 1 to 16 numbers");
  std::vector<Bytes> elements;
  for (const auto& [oid, number] : numbers) {
    const Bytes type = TRY(der::oid_from_text(oid));
    if (!printable(number) || number.empty()) return misfit(row, "has a number that is no PrintableString");
    elements.push_back(der::sequence({der::oid(ByteView(type)), der::printable(number)}));
  }
  return der::set_of(std::move(elements));
}

Result<NationalNumbers> decode_national(const DataGroupRow& row, der::Reader& reader) {
  NationalNumbers numbers;
  der::Reader set = TRY(reader.enter(der::kSet));
  while (!set.done()) {
    if (numbers.size() == kMostNationalNumbers) return bad(row, "holds more numbers than any card");
    der::Reader one = TRY(set.enter(der::kSequence));
    const std::string oid = der::oid_to_text(TRY(one.oid()));
    std::string value;
    if (!one.done()) {
      const Tlv data = TRY(one.any());
      value = data.tag == der::kPrintableString || data.tag == der::kUtf8String ? std::string(as_text(data.value))
                                                                                : to_hex(data.value);
    }
    TRY(one.finish());
    if (!numbers.emplace(oid, std::move(value)).second) return bad(row, "names a number twice");
  }
  return numbers;
}

struct EncodeValue {
  const DataGroupRow& row;

  Result<Bytes> operator()(const std::string& text) const {
    if (row.form != F::printable && row.form != F::utf8) return misfit(row, "is not a text");
    if (text.size() < row.least || text.size() > row.most) {
      return misfit(row, "has " + std::to_string(row.least) + " to " + std::to_string(row.most) + " octets");
    }
    if (row.form == F::utf8) return der::utf8(text);
    if (!printable(text)) return misfit(row, "has a character that PrintableString has not");
    return der::printable(text);
  }
  Result<Bytes> operator()(const PartialDate& date) const {
    if (row.form != F::date) return misfit(row, "is not a date");
    if (!possible(date)) return misfit(row, "is no date of the calendar");
    return encode_date(date);
  }
  Result<Bytes> operator()(const Place& place) const {
    if (row.form != F::place) return misfit(row, "is not a place");
    return encode_place(row, place);
  }
  Result<Bytes> operator()(const Bytes& octets) const {
    if (row.form != F::octets && row.form != F::picture) return misfit(row, "is not octets");
    if (octets.size() < row.least || octets.size() > row.most) return misfit(row, "has a wrong number of octets");
    if (row.form == F::picture && !is_jpeg(octets)) return misfit(row, "is no JPEG");
    return der::octet_string(octets);
  }
  Result<Bytes> operator()(const NationalNumbers& numbers) const {
    if (row.form != F::national) return misfit(row, "is not a list of numbers");
    return encode_national(row, numbers);
  }
};

Result<DataGroupValue> decode_value(const DataGroupRow& row, der::Reader& reader) {
  switch (row.form) {
    case F::printable:
    case F::utf8: {
      const Tlv object = TRY(reader.expect(row.form == F::utf8 ? der::kUtf8String : der::kPrintableString));
      return DataGroupValue(std::string(as_text(object.value)));
    }
    case F::date: {
      const PartialDate date = TRY(decode_date(row, reader));
      return DataGroupValue(date);
    }
    case F::place: {
      Place place = TRY(decode_place(reader));
      return DataGroupValue(std::move(place));
    }
    case F::octets: {
      const ByteView octets = TRY(reader.octet_string());
      return DataGroupValue(to_bytes(octets));
    }
    case F::picture: {
      const ByteView octets = TRY(reader.octet_string());
      if (octets.size() > row.most || !is_jpeg(octets)) return bad(row, "is no JPEG, or too long a one");
      return DataGroupValue(to_bytes(octets));
    }
    case F::national: {
      NationalNumbers numbers = TRY(decode_national(row, reader));
      return DataGroupValue(std::move(numbers));
    }
  }
  return fail(ErrorKind::internal, "a data group of no form");
}

}  // namespace

const std::string_view kSnilsOid = "1.2.643.100.3";

std::span<const DataGroupRow> data_group_rows() { return kRows; }

const DataGroupRow* find_data_group(unsigned number) {
  for (const DataGroupRow& row : kRows) {
    if (row.number == number) return &row;
  }
  return nullptr;
}

const DataGroupRow* find_data_group(std::string_view name) {
  for (const DataGroupRow& row : kRows) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::size_t most_file_octets(const DataGroupRow& row) {
  return row.form == F::picture ? row.most + kPictureFrame : kMostDataGroupOctets;
}

PartialDate PartialDate::of(std::chrono::year_month_day date) {
  return {static_cast<unsigned>(static_cast<int>(date.year())), static_cast<unsigned>(date.month()),
          static_cast<unsigned>(date.day())};
}

std::string PartialDate::to_string() const {
  std::string text = std::to_string(year);
  if (month != 0) text.append("-").append(two_digits(month));
  if (day != 0) text.append("-").append(two_digits(day));
  return text;
}

std::string Place::to_string() const {
  if (!text.empty()) return text;
  std::string line;
  for (const std::string* part : {&postal_code, &country, &state, &city, &street}) {
    if (part->empty()) continue;
    if (!line.empty()) line.append(", ");
    line.append(*part);
  }
  return line;
}

std::string to_string(const DataGroupValue& value) {
  struct Show {
    std::string operator()(const std::string& text) const { return text; }
    std::string operator()(const PartialDate& date) const { return date.to_string(); }
    std::string operator()(const Place& place) const { return place.to_string(); }
    std::string operator()(const Bytes& octets) const {
      return is_jpeg(octets) ? "JPEG, " + std::to_string(octets.size()) + " octets" : to_hex(octets);
    }
    std::string operator()(const NationalNumbers& numbers) const {
      std::string line;
      for (const auto& [oid, number] : numbers) {
        if (!line.empty()) line.append(", ");
        line.append(oid == kSnilsOid ? "SNILS" : oid).append(" ").append(number);
      }
      return line;
    }
  };
  return std::visit(Show{}, value);
}

// [APPLICATION n] { value }, then 53 salt
Result<Bytes> encode_data_group(const DataGroupRow& row, const DataGroupValue& value, ByteView salt) {
  const Bytes inner = TRY(std::visit(EncodeValue{row}, value));
  Bytes file = make_tlv(application(row.number), inner);
  if (!salt.empty()) append(file, make_tlv(kSalt, salt));
  if (file.size() > most_file_octets(row)) return misfit(row, "is longer than its file may be");
  return file;
}

Result<DataGroup> decode_data_group(const DataGroupRow& row, ByteView file) {
  if (file.size() > most_file_octets(row)) return bad(row, "is longer than its file may be");
  TlvCursor cursor(file);
  const Tlv outer = TRY(cursor.expect(application(row.number)));
  der::Reader reader(outer.value);
  DataGroup group;
  group.value = TRY(decode_value(row, reader));
  TRY(reader.finish());
  if (const auto salt = TRY(cursor.next_if(kSalt))) group.salt = to_bytes(salt->value);
  TRY(cursor.finish());
  return group;
}

}  // namespace karta::card
