// DailyCounts: how much of something there was each day: log-ins, cards that came into a state or left it, requests. A
// row a day, a name and a part; cheap to add to, and no datum of a person in it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "identity/registry.h"
#include "service/database.h"

namespace karta::identity {

/// Days since 1970-01-01, UTC.
std::int64_t day_of(Time time);

/// What is counted under these names: things that happened on the day.
inline constexpr std::string_view kLogInsLow = "log-ins-low", kLogInsSubstantial = "log-ins-substantial",
                                  kLogInsHigh = "log-ins-high", kRequestsReceived = "requests-received",
                                  kRequestsAnswered = "requests-answered", kRequestsLate = "requests-answered-late";
/// Of these for an acr ("low", "substantial", "high").
std::string_view log_in_counter(std::string_view acr);
/// How many more cards there are in this state than the day before: the sum over all days up to one is how many there
/// were at its end.
std::string card_state_counter(CardState state);
/// How many of these are past their end, so that they are expired by the clock: counted on the day of the end, ahead of
/// it. Nothing needs to run when a card ends.
std::string card_end_counter(CardState state);

/// Adds to today's count. Inside a transaction of the caller; belongs to no citizen. A day's count is kept in several
/// rows, so that servers that count at the same moment seldom wait for each other.
Status count_today(service::Database& database, Time now, std::string_view name, std::int64_t by = 1);

/// A card that moves on to `to`, from the state and the end it has. Inside a transaction of the caller, like these all.
Status count_card_step(service::Database& database, Time now, const Card& card, CardState to);
/// A card in `state` (which lapses()) is given its end, or (`by` -1) has it no more.
Status count_card_end(service::Database& database, Time now, Time valid_until, CardState state, std::int64_t by = 1);

struct DayCount {
  std::int64_t day = 0;
  std::int64_t count = 0;
};

struct CardDays {
  CardState state = CardState::ordered;
  std::vector<DayCount> days;
};

class DailyCounts {
 public:
  /// Counts of the days `from` to `to`, a row each, days without one as 0. At most kMostDays.
  static Result<std::vector<DayCount>> per_day(Registry& registry, std::string_view name, std::int64_t from,
                                               std::int64_t to);
  /// The sum of all days up to each of these: for counters of what there is more or less of.
  static Result<std::vector<DayCount>> up_to_day(Registry& registry, std::string_view name, std::int64_t from,
                                                 std::int64_t to);
  /// How many cards there were at the end of each day, and at this moment for today, by what they were by the clock
  /// (state_at()): a row for each of card_states().
  static Result<std::vector<CardDays>> cards(Registry& registry, std::int64_t from, std::int64_t to);
  static constexpr std::int64_t kMostDays = 3660;

 private:
  static Result<std::vector<DayCount>> read(Registry& registry, std::string_view name, std::int64_t from,
                                            std::int64_t to, std::int64_t* before);
};

}  // namespace karta::identity
