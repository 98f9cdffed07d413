#include "identity/numbers.h"

#include <algorithm>
#include <array>
#include <span>

namespace karta::identity {
namespace {

/// The digits of `text` without blanks (no-break ones too: spreadsheets write them) and dashes.
Result<std::string> read_digits(std::string_view text, std::string_view what, std::span<const std::size_t> counts) {
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c >= '0' && c <= '9') {
      digits.push_back(c);
    } else if (c == '\xC2' && i + 1 < text.size() && text[i + 1] == '\xA0') {
      ++i;
    } else if (c != ' ' && c != '-') {
      return fail(ErrorKind::malformed, std::string(what) + " may hold digits, blanks and dashes only");
    }
    if (digits.size() > 20) break;
  }
  if (std::ranges::find(counts, digits.size()) == counts.end()) {
    std::string wanted;
    for (const std::size_t count : counts) wanted += (wanted.empty() ? "" : " or ") + std::to_string(count);
    const bool fewer = digits.size() < counts.back();
    return fail(ErrorKind::malformed,
                std::string(what) + " has " + wanted + " digits, not " +
                    (digits.size() > 20 ? "more than 20" : std::to_string(digits.size())),
                fewer ? "a spreadsheet may have dropped leading zeros: format the column as text" : "");
  }
  if (digits.find_first_not_of('0') == std::string::npos) {
    return fail(ErrorKind::malformed, std::string(what) + " is all zeros");
  }
  return digits;
}

tl::unexpected<Error> check_digit_fault() {
  return fail(ErrorKind::malformed, std::string(kCheckDigitFault), "compare it with the document: a digit is wrong");
}

std::string padded(std::uint64_t number, std::size_t width) {
  std::string digits = std::to_string(number);
  KARTA_CHECK(digits.size() <= width);
  return std::string(width - digits.size(), '0') + digits;
}

unsigned weighted_sum(std::string_view digits, std::span<const std::uint8_t> weights) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < weights.size(); ++i) sum += weights[i] * static_cast<unsigned>(digits[i] - '0');
  return sum;
}

// SNILS: the nine digits times 9, 8 ... 1; the sum modulo 101; 100 counts as 00.
constexpr std::array<std::uint8_t, 9> kSnilsWeights = {9, 8, 7, 6, 5, 4, 3, 2, 1};
constexpr std::uint32_t kSnilsUncheckedUpTo = 1001998;  // 001-001-998: numbers up to it carry no check number

unsigned snils_check(std::string_view nine) { return weighted_sum(nine, kSnilsWeights) % 101 % 100; }

// INN: weighted sums modulo 11, then modulo 10.
constexpr std::array<std::uint8_t, 9> kInnOrganisation = {2, 4, 10, 3, 5, 9, 4, 6, 8};
constexpr std::array<std::uint8_t, 10> kInnPersonFirst = {7, 2, 4, 10, 3, 5, 9, 4, 6, 8};
constexpr std::array<std::uint8_t, 11> kInnPersonSecond = {3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8};

char inn_check(std::string_view digits, std::span<const std::uint8_t> weights) {
  return static_cast<char>('0' + weighted_sum(digits, weights) % 11 % 10);
}

constexpr auto kSnilsDigits = std::to_array<std::size_t>({11});
constexpr auto kInnDigits = std::to_array<std::size_t>({10, 12});
constexpr auto kInnPersonDigits = std::to_array<std::size_t>({12});
constexpr auto kEnpDigits = std::to_array<std::size_t>({16});

// ENP, as the rule is worded: the digits in odd places from the right, read as one number, are doubled; the digits in
// even places are written before the product; the digits of the whole are added up; what is missing to the next
// multiple of ten is the check digit. Doubling a number and adding its digits equals adding the digits of each doubled
// digit (every carry lowers the digit sum by nine, and so does each doubled digit above nine), which is done here.
char enp_check(std::string_view fifteen) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < fifteen.size(); ++i) {
    const auto digit = static_cast<unsigned>(fifteen[i] - '0');
    const bool odd_from_right = (fifteen.size() - i) % 2 == 1;
    sum += odd_from_right ? (digit * 2 > 9 ? digit * 2 - 9 : digit * 2) : digit;
  }
  return static_cast<char>('0' + (10 - sum % 10) % 10);
}

}  // namespace

Result<Snils> Snils::parse(std::string_view text) {
  const std::string digits = TRY(read_digits(text, "SNILS", kSnilsDigits));
  std::uint64_t value = 0;
  for (const char c : digits) value = value * 10 + static_cast<std::uint64_t>(c - '0');
  if (value / 100 == 0) return fail(ErrorKind::malformed, "SNILS is all zeros");
  if (value / 100 > kSnilsUncheckedUpTo && value % 100 != snils_check(digits)) return check_digit_fault();
  return Snils(value);
}

Snils Snils::from_number(std::uint32_t nine_digits) {
  KARTA_CHECK(nine_digits >= 1 && nine_digits <= 999'999'999);
  return Snils(std::uint64_t{nine_digits} * 100 + snils_check(padded(nine_digits, 9)));
}

std::string Snils::digits() const { return padded(value_, 11); }

std::string Snils::text() const {
  const std::string d = digits();
  return d.substr(0, 3) + "-" + d.substr(3, 3) + "-" + d.substr(6, 3) + " " + d.substr(9);
}

Result<Inn> Inn::parse(std::string_view text) {
  std::string digits = TRY(read_digits(text, "INN", kInnDigits));
  const bool agrees = digits.size() == 10 ? digits[9] == inn_check(digits, kInnOrganisation)
                                          : digits[10] == inn_check(digits, kInnPersonFirst) &&
                                                digits[11] == inn_check(digits, kInnPersonSecond);
  if (!agrees) return check_digit_fault();
  return Inn(std::move(digits));
}

Result<Inn> Inn::parse_person(std::string_view text) {
  TRY(read_digits(text, "a person's INN", kInnPersonDigits));
  return parse(text);
}

Inn Inn::from_number(std::uint64_t number, bool person) {
  KARTA_CHECK(number != 0);
  std::string digits = padded(number, person ? 10 : 9);
  if (person) {
    digits += inn_check(digits, kInnPersonFirst);
    digits += inn_check(digits, kInnPersonSecond);
  } else {
    digits += inn_check(digits, kInnOrganisation);
  }
  return Inn(std::move(digits));
}

Result<Enp> Enp::parse(std::string_view text) {
  std::string digits = TRY(read_digits(text, "ENP", kEnpDigits));
  if (digits[15] != enp_check(std::string_view(digits).substr(0, 15))) return check_digit_fault();
  return Enp(std::move(digits));
}

Enp Enp::from_number(std::uint64_t fifteen_digits) {
  KARTA_CHECK(fifteen_digits != 0);
  std::string digits = padded(fifteen_digits, 15);
  digits += enp_check(digits);
  return Enp(std::move(digits));
}

}  // namespace karta::identity
