// Whether a card is accepted, by all that may be known of it.
#include "daemon/decision.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

namespace karta::daemon {
namespace {

using identity::CardState;
using identity::CardVerdict;
using identity::ClockState;
using std::chrono::year;

Evidence good() {
  Evidence evidence;
  evidence.status_index = 7;
  evidence.stop_list = Age::fresh;
  evidence.verdict = CardVerdict::good;
  evidence.today = year(2026) / 6 / 1;
  evidence.last_day = year(2031) / 1 / 1;
  return evidence;
}

TEST(Decision, EachCircumstanceHasItsOutcomeAndItsReason) {
  struct Row {
    const char* what;
    void (*change)(Evidence&);
    Trust trust;
    ReasonCode reason;
  };
  const Row rows[] = {
      {"good", [](Evidence&) {}, Trust::accepted, ReasonCode::not_stopped},
      {"last day", [](Evidence& e) { e.last_day = e.today; }, Trust::accepted, ReasonCode::not_stopped},
      {"stopped", [](Evidence& e) { e.verdict = CardVerdict::stopped; }, Trust::refused, ReasonCode::stopped},
      {"stopped by an old list", [](Evidence& e) { e.verdict = CardVerdict::stopped, e.stop_list = Age::too_old; },
       Trust::refused, ReasonCode::stopped},
      {"unknown batch", [](Evidence& e) { e.verdict = CardVerdict::unknown; }, Trust::unknown, ReasonCode::not_listed},
      {"no list", [](Evidence& e) { e.stop_list = Age::missing, e.verdict.reset(); }, Trust::unknown,
       ReasonCode::no_stop_list},
      {"stale list", [](Evidence& e) { e.stop_list = Age::stale; }, Trust::accepted, ReasonCode::stop_list_stale},
      {"old list", [](Evidence& e) { e.stop_list = Age::too_old; }, Trust::refused, ReasonCode::stop_list_too_old},
      {"stale trust", [](Evidence& e) { e.trust_list = Age::stale; }, Trust::accepted, ReasonCode::trust_list_stale},
      {"old trust", [](Evidence& e) { e.trust_list = Age::too_old; }, Trust::refused, ReasonCode::trust_list_too_old},
      {"no index", [](Evidence& e) { e.status_index.reset(); }, Trust::unknown, ReasonCode::no_status_index},
      {"expired", [](Evidence& e) { e.last_day = year(2026) / 5 / 31; }, Trust::refused, ReasonCode::expired},
      {"clock back", [](Evidence& e) { e.clock = ClockState::back; }, Trust::unknown, ReasonCode::clock_back},
      {"clock leapt", [](Evidence& e) { e.clock = ClockState::leapt; }, Trust::unknown, ReasonCode::clock_leapt},
      {"suspended now", [](Evidence& e) { e.on_line_wanted = true, e.on_line = CardState::suspended; }, Trust::refused,
       ReasonCode::stopped_on_line},
      {"revoked now", [](Evidence& e) { e.on_line_wanted = true, e.on_line = CardState::revoked; }, Trust::refused,
       ReasonCode::stopped_on_line},
      {"expired now", [](Evidence& e) { e.on_line_wanted = true, e.on_line = CardState::expired; }, Trust::refused,
       ReasonCode::stopped_on_line},
      {"in the post", [](Evidence& e) { e.on_line_wanted = true, e.on_line = CardState::shipped; }, Trust::refused,
       ReasonCode::inactive_on_line},
      {"in the maker's drawer", [](Evidence& e) { e.on_line_wanted = true, e.on_line = CardState::produced; },
       Trust::refused, ReasonCode::inactive_on_line},
      {"last day untold", [](Evidence& e) { e.last_day_untold = true; }, Trust::unknown, ReasonCode::last_day_untold},
      {"active now though listed",
       [](Evidence& e) { e.on_line_wanted = true, e.on_line = CardState::active, e.verdict = CardVerdict::stopped; },
       Trust::accepted, ReasonCode::active_on_line},
      {"nobody to ask", [](Evidence& e) { e.on_line_wanted = true; }, Trust::accepted, ReasonCode::not_asked},
  };
  for (const Row& row : rows) {
    Evidence evidence = good();
    row.change(evidence);
    const Decision decision = decide(evidence);
    EXPECT_EQ(decision.trust, row.trust) << row.what;
    EXPECT_NE(std::find(decision.reasons.begin(), decision.reasons.end(), row.reason), decision.reasons.end())
        << row.what;
    EXPECT_FALSE(decision.words().empty()) << row.what;
  }
}

TEST(Decision, TheWeightiestReasonComesFirst) {
  Evidence evidence = good();
  evidence.trust_list = Age::stale;
  evidence.clock = ClockState::back;
  evidence.verdict = CardVerdict::stopped;
  const Json reasons = decide(evidence).reasons_json();
  EXPECT_EQ(reasons[0]["code"], "stopped");
  EXPECT_EQ(reasons[1]["code"], "clock-back");
}

TEST(Decision, EveryReasonHasANameAndWordsInBothLanguages) {
  std::set<std::string_view> names;
  for (const ReasonRow& row : reason_rows()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(row.english.ends_with('.')) << row.name;
    EXPECT_TRUE(row.russian.ends_with('.')) << row.name;
    EXPECT_NE(row.russian[0] & 0x80, 0) << row.name;
  }
}

}  // namespace
}  // namespace karta::daemon
