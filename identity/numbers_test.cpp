#include "identity/numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace karta::identity {
namespace {

using testing::HasSubstr;
using testing::Not;

// 112-233-445 95 and 7707083893 / 500100732259 are the examples the rules themselves are usually explained with.
TEST(Snils, ReadsEveryWayItIsWritten) {
  for (const char* text :
       {"112-233-445 95", "11223344595", "112 233 445 95", "112-233-445-95", "112-233-445\u00A095"}) {
    const auto snils = Snils::parse(text);
    ASSERT_TRUE(snils) << text;
    EXPECT_EQ(snils->text(), "112-233-445 95");
    EXPECT_EQ(snils->digits(), "11223344595");
    EXPECT_EQ(snils->value(), 11223344595u);
  }
}

TEST(Snils, FindsEveryWrongDigitAndNeverRepeatsTheNumber) {
  const std::string good = "11223344595";
  for (std::size_t place = 0; place < good.size(); ++place) {
    for (char digit = '0'; digit <= '9'; ++digit) {
      std::string changed = good;
      changed[place] = digit;
      const auto snils = Snils::parse(changed);
      EXPECT_EQ(snils.has_value(), changed == good) << changed;
      if (!snils) {
        EXPECT_EQ(snils.error().message, kCheckDigitFault);
        EXPECT_THAT(snils.error().message + snils.error().hint, Not(HasSubstr(changed)));
      }
    }
  }
}

TEST(Snils, SumsOfHundredAndHundredAndOneGiveZero) {
  // Weighted sums worked out by hand: 9*9+8*2+7*0+...+1*3 = 100; 9*9+8*2+1*4 = 101; 9*9+8*9+7*6+6*1+1*0 = 201 = 100 mod
  // 101.
  EXPECT_TRUE(Snils::parse("920-000-003 00"));
  EXPECT_TRUE(Snils::parse("920-000-004 00"));
  EXPECT_TRUE(Snils::parse("996-100-000 00"));
  // One more than 101 counts on from 01.
  EXPECT_TRUE(Snils::parse("920-000-005 01"));
}

TEST(Snils, NumbersUpTo001001998AreNotChecked) {
  EXPECT_TRUE(Snils::parse("001-001-998 00"));
  EXPECT_TRUE(Snils::parse("001-001-998 77"));
  EXPECT_FALSE(Snils::parse("001-001-999 77"));
  EXPECT_TRUE(Snils::parse(Snils::from_number(1001999).text()));
}

TEST(Snils, WhatItMakesItReads) {
  for (std::uint32_t number = 1; number < 999'000'000; number += 7'654'321) {
    const Snils made = Snils::from_number(number);
    const auto read = Snils::parse(made.text());
    ASSERT_TRUE(read) << number;
    EXPECT_EQ(*read, made);
  }
}

TEST(Snils, SaysWhatIsWrongWithTheShape) {
  EXPECT_THAT(Snils::parse("1122334459").error().message, HasSubstr("11 digits, not 10"));
  EXPECT_THAT(Snils::parse("1122334459").error().hint, HasSubstr("leading zeros"));
  EXPECT_THAT(Snils::parse("112-233-445 9O").error().message, HasSubstr("digits, blanks and dashes"));
  EXPECT_THAT(Snils::parse(std::string(1000, '1')).error().message, HasSubstr("more than 20"));
  EXPECT_FALSE(Snils::parse("00000000000"));
  EXPECT_FALSE(Snils::parse("00000000077"));
  EXPECT_FALSE(Snils::parse(""));
}

TEST(Inn, ChecksOrganisationsAndPersons) {
  const auto organisation = Inn::parse("7707083893");
  ASSERT_TRUE(organisation);
  EXPECT_FALSE(organisation->person());
  const auto person = Inn::parse("500100732259");
  ASSERT_TRUE(person);
  EXPECT_TRUE(person->person());
  EXPECT_FALSE(Inn::parse("7707083894"));
  EXPECT_FALSE(Inn::parse("500100732258"));
  EXPECT_FALSE(Inn::parse("500100732269"));
  EXPECT_FALSE(Inn::parse_person("7707083893"));
  EXPECT_TRUE(Inn::parse_person("5001 0073 2259"));
  EXPECT_FALSE(Inn::parse("000000000000"));
  EXPECT_FALSE(Inn::parse("50010073225"));
}

TEST(Inn, WhatItMakesItReads) {
  for (std::uint64_t number = 1; number < 9'900'000'000; number += 987'654'321) {
    EXPECT_EQ(Inn::parse(Inn::from_number(number, true).text()), Inn::from_number(number, true));
    EXPECT_EQ(Inn::parse(Inn::from_number(number % 1'000'000'000, false).text()),
              Inn::from_number(number % 1'000'000'000, false));
  }
}

/// The rule step by step as it is worded: odd places from the right as one number, doubled; even places before it.
char enp_check_as_worded(const std::string& fifteen) {
  std::string odd, even;
  for (std::size_t from_right = 1; from_right <= fifteen.size(); ++from_right) {
    (from_right % 2 == 1 ? odd : even).push_back(fifteen[fifteen.size() - from_right]);
  }
  const std::string whole = even + std::to_string(std::stoull(odd) * 2);
  unsigned sum = 0;
  for (const char c : whole) sum += static_cast<unsigned>(c - '0');
  return static_cast<char>('0' + (10 - sum % 10) % 10);
}

TEST(Enp, AgreesWithTheRuleAsItIsWorded) {
  for (std::uint64_t number = 100'000'000'000'000; number < 999'000'000'000'000; number += 7'777'777'777'777) {
    const std::string digits = Enp::from_number(number).text();
    EXPECT_EQ(digits.back(), enp_check_as_worded(digits.substr(0, 15))) << digits;
    EXPECT_TRUE(Enp::parse(digits));
  }
}

TEST(Enp, FindsEveryWrongDigit) {
  const std::string good = Enp::from_number(770'000'000'123'456).text();
  for (std::size_t place = 0; place < good.size(); ++place) {
    std::string changed = good;
    changed[place] = static_cast<char>('0' + (changed[place] - '0' + 1) % 10);
    EXPECT_FALSE(Enp::parse(changed)) << changed;
  }
  EXPECT_FALSE(Enp::parse("0000000000000000"));
  EXPECT_FALSE(Enp::parse("123"));
}

}  // namespace
}  // namespace karta::identity
