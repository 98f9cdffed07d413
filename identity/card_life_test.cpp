#include "identity/card_life.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace karta::identity {
namespace {

TEST(CardLife, TheTableDecidesForEveryPair) {
  std::set<std::pair<CardState, CardState>> allowed;
  for (const CardTransition& step : card_transitions()) {
    EXPECT_TRUE(allowed.emplace(step.from, step.to).second) << "a step stands there twice";
  }
  for (const CardStateRow& from : card_states()) {
    for (const CardStateRow& to : card_states()) {
      const Status checked = check_transition(from.state, to.state);
      EXPECT_EQ(checked.has_value(), allowed.contains({from.state, to.state})) << from.name << " to " << to.name;
      if (!checked) {
        EXPECT_EQ(checked.error().kind, ErrorKind::not_permitted);
        EXPECT_THAT(checked.error().message, testing::HasSubstr(std::string(from.name)));
        EXPECT_THAT(checked.error().message, testing::HasSubstr(std::string(to.name)));
      }
    }
  }
}

TEST(CardLife, FinalStatesAreThoseNothingFollows) {
  for (const CardStateRow& row : card_states()) {
    const bool followed =
        std::ranges::any_of(card_transitions(), [&](const CardTransition& s) { return s.from == row.state; });
    EXPECT_EQ(row.final, !followed) << row.name;
  }
}

TEST(CardLife, EveryStateButTheFirstIsReached) {
  for (const CardStateRow& row : card_states()) {
    const bool reached =
        std::ranges::any_of(card_transitions(), [&](const CardTransition& s) { return s.to == row.state; });
    EXPECT_EQ(reached, row.state != CardState::ordered) << row.name;
  }
}

TEST(CardLife, TimeEndsWhatMayExpireAndNothingElse) {
  const Time end{std::chrono::seconds(1'000)};
  for (const CardStateRow& row : card_states()) {
    const bool ends = lapses(row.state);
    EXPECT_EQ(ends, check_transition(row.state, CardState::expired).has_value()) << row.name;
    EXPECT_EQ(state_at(row.state, end, end - std::chrono::seconds(1)), row.state) << row.name;
    EXPECT_EQ(state_at(row.state, end, end), ends ? CardState::expired : row.state) << row.name;
    EXPECT_EQ(state_at(row.state, std::nullopt, end), row.state) << row.name;
  }
  EXPECT_TRUE(lapses(CardState::suspended));
  EXPECT_FALSE(lapses(CardState::revoked));
}

TEST(CardLife, NamesComeBack) {
  for (const CardStateRow& row : card_states()) EXPECT_EQ(parse_card_state(row.name), row.state);
  EXPECT_EQ(parse_card_state("dead").error().kind, ErrorKind::usage);
  for (int code : {0, 1, 2, 3, 4, 5, 6, 9, 10}) {
    const auto reason = static_cast<RevocationReason>(code);
    EXPECT_EQ(parse_revocation_reason(name_of(reason)), reason);
  }
  EXPECT_FALSE(parse_revocation_reason("removeFromCRL"));
}

}  // namespace
}  // namespace karta::identity
