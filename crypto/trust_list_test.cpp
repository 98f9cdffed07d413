#include "crypto/trust_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using testing::test_time;
using testing::TestCentre;

class TrustLists : public ::testing::Test {
 protected:
  TrustLists() {
    list_.sequence = 7;
    list_.issued_at = test_time();
    list_.next_update = test_time() + std::chrono::hours(24);
    TrustEntry ca;
    ca.service = TrustService::qualified_ca;
    ca.name = "Test Issuing CA \"1\"";
    ca.region = "XX-01";
    ca.certificate = centre_.ca.der();
    ca.from = centre_.ca.not_before();
    list_.entries.push_back(ca);
    ca.service = TrustService::time_stamp;
    ca.until = test_time() - std::chrono::hours(1);
    list_.entries.push_back(ca);
    TrustEntry cv;
    cv.service = TrustService::cvca;
    cv.name = "terminals";
    cv.certificate = {0x7F, 0x21, 0x00};
    list_.entries.push_back(cv);
  }
  TestCentre centre_;
  TrustList list_;
};

TEST_F(TrustLists, AreSignedAndOpened) {
  const Bytes file = must(sign_trust_list(list_, centre_.citizen));
  const TrustList back = must(open_trust_list(file, {centre_.root}, test_time(), 7));
  EXPECT_EQ(back.to_json(), list_.to_json());
  EXPECT_FALSE(back.stale(test_time()));
  EXPECT_TRUE(back.stale(test_time() + std::chrono::hours(25)));
  ASSERT_EQ(back.anchors(TrustService::qualified_ca, test_time()).size(), 1u);
  EXPECT_TRUE(back.anchors(TrustService::time_stamp, test_time()).empty());  // its time is over
}

TEST_F(TrustLists, NoRootNotTheRootAndOlderAreThreeAnswers) {
  const Bytes file = must(sign_trust_list(list_, centre_.citizen));
  EXPECT_THAT(open_trust_list(file, {}, test_time()).error().message, HasSubstr("no root"));
  const TestCentre other;
  EXPECT_EQ(open_trust_list(file, {other.root}, test_time()).error().kind, ErrorKind::untrusted);
  EXPECT_THAT(open_trust_list(file, {centre_.root}, test_time(), 8).error().message, HasSubstr("older than number 8"));
}

TEST_F(TrustLists, AChangedOctetIsRefused) {
  const Bytes file = must(sign_trust_list(list_, centre_.citizen));
  for (std::size_t i = 0; i < file.size(); i += 37) {
    Bytes changed = file;
    changed[i] ^= 0x01;
    const auto opened = open_trust_list(changed, {centre_.root}, test_time());
    EXPECT_TRUE(!opened || opened->to_json() == list_.to_json()) << "octet " << i;
  }
}

TEST_F(TrustLists, BadJsonIsNamed) {
  const std::string good = list_.to_json();
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    const auto parsed = TrustList::from_json(text);
    return parsed ? std::string("accepted") : parsed.error().message;
  };
  EXPECT_THAT(with("\"sequence\": 7", "\"sequence\": -7"), HasSubstr("sequence"));
  EXPECT_THAT(with("\"sequence\"", "\"sequenz\""), HasSubstr("unknown key"));
  EXPECT_THAT(with("qualified-ca", "qualified"), HasSubstr("is no service"));
  EXPECT_THAT(with("trust-list/1", "trust-list/2"), HasSubstr("schema"));
  EXPECT_THAT(with("\"entries\": [", "\"entries\": [[[[[[]]]]],"), HasSubstr("too deep"));
  EXPECT_FALSE(TrustList::from_json(""));
}

}  // namespace
}  // namespace karta::crypto
