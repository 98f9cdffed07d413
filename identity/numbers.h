// SNILS, INN and ENP: the numbers a citizen bears, each checked by its published check-digit rule when it is read.
//
// Sources. SNILS: pension fund board decree 192p of 31.07.2006 (and the same rule in later forms of personified
// accounting), check number over digits 1-9, for numbers above 001-001-998. INN: order of the tax service
// MMV-7-6/435@ of 29.06.2012 and its predecessors, weighted sums modulo 11. ENP: order of the ministry of health
// 158n of 28.02.2011 (rules of compulsory medical insurance) and the fund's general principles of information systems,
// mod-10 check digit as in HL7 v2 table 0061, scheme M10.
//
// Each type holds a number that passed its rule. Errors are `malformed` and never repeat the number: it is a personal
// datum.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace karta::identity {

/// The message of an error where the digits are there but their check digit says otherwise.
inline constexpr std::string_view kCheckDigitFault = "check digit does not agree with the number";

/// Insurance number of an individual personal account, 11 digits.
class Snils {
 public:
  /// Reads 11 digits; blanks and dashes between them are skipped ("112-233-445 95", "11223344595").
  static Result<Snils> parse(std::string_view text);
  /// Takes 9 digits and adds the check number. `nine_digits` must be in 1 ... 999999999.
  static Snils from_number(std::uint32_t nine_digits);

  /// "112-233-445 95", as printed.
  std::string text() const;
  /// "11223344595", as certificates and data exchange carry it.
  std::string digits() const;
  /// The digits as a number: what the registry keys by.
  std::uint64_t value() const { return value_; }

  friend auto operator<=>(const Snils&, const Snils&) = default;

 private:
  explicit Snils(std::uint64_t value) : value_(value) {}
  std::uint64_t value_;
};

/// Taxpayer number: 12 digits for a person, 10 for an organisation.
class Inn {
 public:
  /// Reads 10 or 12 digits; blanks and dashes between them are skipped.
  static Result<Inn> parse(std::string_view text);
  /// The same, but only a person's 12 digits will do.
  static Result<Inn> parse_person(std::string_view text);
  /// Takes the first 9 (organisation) or 10 (person) digits and adds the check digits.
  static Inn from_number(std::uint64_t number, bool person);

  const std::string& text() const { return digits_; }
  bool person() const { return digits_.size() == 12; }

  friend auto operator<=>(const Inn&, const Inn&) = default;

 private:
  explicit Inn(std::string digits) : digits_(std::move(digits)) {}
  std::string digits_;
};

/// Uniform number of the compulsory medical insurance policy, 16 digits.
class Enp {
 public:
  /// Reads 16 digits; blanks and dashes between them are skipped.
  static Result<Enp> parse(std::string_view text);
  /// Takes the first 15 digits and adds the check digit. `fifteen_digits` must be in 1 ... 10^15-1.
  static Enp from_number(std::uint64_t fifteen_digits);

  const std::string& text() const { return digits_; }

  friend auto operator<=>(const Enp&, const Enp&) = default;

 private:
  explicit Enp(std::string digits) : digits_(std::move(digits)) {}
  std::string digits_;
};

}  // namespace karta::identity
