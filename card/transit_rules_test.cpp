// The rules file: what it says reaches the gate's value, nothing else is taken, and only its signer makes it.
#include "card/transit_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "crypto/testing.h"

namespace karta::card {
namespace {

using crypto::testing::must;
using crypto::testing::test_time;
using ::testing::HasSubstr;

std::string example() {
  std::string path = KARTA_SOURCE_DIR;
  path += "/docs/examples/transit-rules.json";
  const Bytes octets = must(read_file(path, 65536));
  return std::string(as_text(octets));
}

std::string with(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  if (at != std::string::npos) text.replace(at, from.size(), to);
  return text;
}

TEST(GateRulesFile, TheExampleBecomesAGate) {
  const GateRules rules = must(GateRules::from_json(example()));
  EXPECT_EQ(must(GateRules::from_json(rules.to_json())), rules);
  const Gate in = must(rules.gate(7));
  EXPECT_EQ(in.zone, 1);
  EXPECT_EQ(in.event, TransitEntry::Event::entry);
  EXPECT_EQ(in.fare, 60u);
  EXPECT_EQ(in.reduced_fare, 30u);
  EXPECT_EQ(in.pass_back_seconds, 300u);
  EXPECT_EQ(in.day_cap, (Fare{300, 120}));
  EXPECT_EQ(in.day_offset_seconds, (180 - 240) * 60);
  EXPECT_EQ(in.kinds, 0b1110);
  EXPECT_EQ(in.signed_kinds, 0b0010);
  EXPECT_EQ(in.concessions[1], (ConcessionTerms{true, 0, 0}));
  EXPECT_EQ(in.concessions[6], (ConcessionTerms{true, 4, 60}));
  EXPECT_FALSE(in.concessions[11].honoured);
  const Gate out = must(rules.gate(9));
  EXPECT_EQ(out.event, TransitEntry::Event::exit);
  EXPECT_EQ(out.zone, 2);
  EXPECT_EQ(out.supplements[1], (Fare{30, 15})) << "ninety for the way, sixty were paid";
  EXPECT_EQ(out.supplements[2], Fare{});
  EXPECT_EQ(must(rules.gate(1000, 2)).zone, 2) << "a gate the rules do not name";
  EXPECT_FALSE(rules.gate(1000));
  EXPECT_FALSE(rules.gate(1000, 5)) << "no such zone";
  EXPECT_FALSE(rules.gate(7, 2)) << "the configuration says another zone than the rules";
}

TEST(GateRulesFile, IsReadStrictly) {
  struct Case {
    std::string_view from, to, words;
  };
  const std::string good = example();
  for (const Case& one :
       {Case{"karta.transit-rules/1", "karta.transit-rules/2", "schema"},
        Case{"\"sequence\": 1", "\"sequence\": -1", "between"}, Case{"\"sequence\": 1", "\"sequence\": 1.5", "whole"},
        Case{"\"name\"", "\"nome\"", "missing"}, Case{"\"sequence\": 1,", "\"sequence\": 1, \"more\": 1,", "not known"},
        Case{"\"zone\": 0", "\"zone\": 16", "between"}, Case{"\"zone\": 0", "\"zone\": 1", "twice"},
        Case{"\"from\": 0, \"to\": 2", "\"from\": 0, \"to\": 1", "two fares"},
        Case{"{\"from\": 0, \"to\": 2, \"full\": 90, \"reduced\": 45},", "", "no fare from zone 0 to zone 2"},
        Case{"\"full\": 60, \"reduced\": 30", "\"full\": 60, \"reduced\": 61", "above the full"},
        Case{"\"ground\": 6", "\"ground\": 1", "twice"}, Case{"\"gate\": 9", "\"gate\": 7", "twice"},
        Case{"\"out\"", "\"up\"", "direction"}, Case{"\"purse\"]", "\"barter\"]", "no kind"},
        Case{"2027-11-22", "2026-11-22", "never be valid"}}) {
    const auto rules = GateRules::from_json(with(good, one.from, one.to));
    ASSERT_FALSE(rules) << one.to;
    EXPECT_THAT(rules.error().message, HasSubstr(std::string(one.words))) << one.to;
  }
  EXPECT_FALSE(GateRules::from_json(""));
  EXPECT_FALSE(GateRules::from_json("[[[[[[[["));
  EXPECT_FALSE(GateRules::from_json(std::string(GateRules::kMostOctets + 1, ' ')));
}

TEST(GateRulesFile, OnlyItsSignerMakesIt) {
  const crypto::testing::TestCentre centre, other;
  GateRules rules = must(GateRules::from_json(example()));
  rules.issued_at = test_time();
  rules.next_update = test_time() + std::chrono::hours(24);
  rules.sequence = 7;
  crypto::testing::TestCentre signing;
  const Bytes file = must(sign_transit_rules(rules, signing.citizen));
  const auto signer = must(crypto::Certificate::from_der(signing.citizen.certificate_chain().front()));
  EXPECT_EQ(must(open_transit_rules(file, {signer}, test_time(), 7)), rules);
  // By an issuing CA, as a centre does it.
  signing.ca_signer.set_certificate_chain({signing.ca.der()});
  const Bytes by_ca = must(sign_transit_rules(rules, signing.ca_signer));
  EXPECT_EQ(must(open_transit_rules(by_ca, {other.ca, signing.ca}, test_time(), 7)), rules);
  EXPECT_FALSE(open_transit_rules(by_ca, {signing.root}, test_time(), 7));
  EXPECT_FALSE(open_transit_rules(by_ca, {signing.ca}, signing.ca.not_after() + std::chrono::hours(1), 7));
  EXPECT_THAT(open_transit_rules(file, {}, test_time()).error().message, HasSubstr("no signer"));
  EXPECT_THAT(open_transit_rules(file, {signer}, test_time(), 8).error().message, HasSubstr("older than number 8"));
  EXPECT_EQ(open_transit_rules(file, {other.root}, test_time()).error().kind, ErrorKind::untrusted);
  // Whom the signer's own authority certified is not the signer: a citizen makes no rules.
  const auto by_a_citizen = open_transit_rules(file, {signing.ca}, test_time());
  ASSERT_FALSE(by_a_citizen);
  EXPECT_EQ(by_a_citizen.error().kind, ErrorKind::untrusted);
  Bytes changed = file;
  const auto at = std::search(changed.begin(), changed.end(), std::begin("pass_back"), std::end("pass_back") - 1);
  ASSERT_NE(at, changed.end());
  *at ^= 1;
  EXPECT_EQ(open_transit_rules(changed, {signer}, test_time()).error().kind, ErrorKind::invalid_signature);
  EXPECT_TRUE(rules.stale(test_time() + std::chrono::hours(25)));
}

}  // namespace
}  // namespace karta::card
