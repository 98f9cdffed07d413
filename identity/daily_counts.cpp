#include "identity/daily_counts.h"

#include <algorithm>
#include <functional>
#include <thread>

#include "identity/registry_impl.h"

namespace karta::identity {
namespace {

constexpr std::size_t kParts = 256;
constexpr std::int64_t kSecondsOfDay = 86'400;

/// Which of a day's rows this thread adds to: threads of one process, and processes, mostly differ.
std::int64_t part_of_this_thread() {
  static const int here = 0;
  const auto salt = reinterpret_cast<std::uintptr_t>(&here) >> 12;  // where the program was loaded
  static thread_local const std::size_t hash = std::hash<std::thread::id>()(std::this_thread::get_id());
  return static_cast<std::int64_t>((hash ^ salt) % kParts);
}

Status count_on(service::Database& database, std::int64_t day, std::string_view name, std::int64_t by) {
  return database.execute_later(
      "INSERT INTO daily_counts (day, name, part, value) VALUES ($1, $2, $3, $4) ON CONFLICT (day, name, part) DO "
      "UPDATE SET value = daily_counts.value + excluded.value",
      {day, name, part_of_this_thread(), by});
}

}  // namespace

std::int64_t day_of(Time time) { return std::chrono::floor<std::chrono::days>(time).time_since_epoch().count(); }

std::string_view log_in_counter(std::string_view acr) {
  return acr == "high" ? kLogInsHigh : acr == "substantial" ? kLogInsSubstantial : kLogInsLow;
}

std::string card_state_counter(CardState state) { return "cards-" + std::to_string(static_cast<int>(state)); }
std::string card_end_counter(CardState state) { return "card-ends-" + std::to_string(static_cast<int>(state)); }

Status count_today(service::Database& database, Time now, std::string_view name, std::int64_t by) {
  return count_on(database, day_of(now), name, by);
}

Status count_card_end(service::Database& database, Time now, Time valid_until, CardState state, std::int64_t by) {
  KARTA_CHECK(lapses(state));
  // A day that is over stays as it was counted.
  return count_on(database, std::max(day_of(valid_until), day_of(now)), card_end_counter(state), by);
}

Status count_card_step(service::Database& database, Time now, const Card& card, CardState to) {
  TRY(count_today(database, now, card_state_counter(card.state), -1));
  TRY(count_today(database, now, card_state_counter(to)));
  if (!card.valid_until) return {};
  if (lapses(card.state)) TRY(count_card_end(database, now, *card.valid_until, card.state, -1));
  if (lapses(to)) TRY(count_card_end(database, now, *card.valid_until, to));
  return {};
}

Result<std::vector<DayCount>> DailyCounts::read(Registry& registry, std::string_view name, std::int64_t from,
                                                std::int64_t to, std::int64_t* before) {
  if (to < from || to - from >= kMostDays) {
    return fail(ErrorKind::usage, "at most " + std::to_string(kMostDays) + " days are counted at once");
  }
  service::Database& database = registry.impl_->database;
  if (before != nullptr) {
    service::Statement sum = TRY(database.prepare(
        "SELECT CAST(coalesce(sum(value), 0) AS BIGINT) FROM daily_counts WHERE name = $1 AND day < $2"));
    TRY(sum.query({name, from}));
    if (TRY(sum.next())) *before = sum.integer(0);
  }
  std::vector<DayCount> out;
  for (std::int64_t day = from; day <= to; ++day) out.push_back({day, 0});
  service::Statement rows = TRY(database.prepare(
      "SELECT day, CAST(sum(value) AS BIGINT) FROM daily_counts WHERE name = $1 AND day >= $2 AND day <= $3 GROUP BY "
      "day"));
  TRY(rows.query({name, from, to}));
  while (TRY(rows.next())) out[static_cast<std::size_t>(rows.integer(0) - from)].count = rows.integer(1);
  return out;
}

Result<std::vector<DayCount>> DailyCounts::per_day(Registry& registry, std::string_view name, std::int64_t from,
                                                   std::int64_t to) {
  return read(registry, name, from, to, nullptr);
}

Result<std::vector<DayCount>> DailyCounts::up_to_day(Registry& registry, std::string_view name, std::int64_t from,
                                                     std::int64_t to) {
  std::int64_t sum = 0;
  std::vector<DayCount> out = TRY(read(registry, name, from, to, &sum));
  for (DayCount& one : out) one.count = sum += one.count;
  return out;
}

Result<std::vector<CardDays>> DailyCounts::cards(Registry& registry, std::int64_t from, std::int64_t to) {
  const Time now = registry.clock().now();
  const std::int64_t today = day_of(now);
  // All of it is of one moment: a card that moves on meanwhile is counted once.
  const auto snapshot = TRY(registry.impl_->database.begin_read());
  std::vector<CardDays> out;
  for (const CardStateRow& row : card_states()) {
    out.push_back({row.state, TRY(up_to_day(registry, card_state_counter(row.state), from, to))});
  }
  const auto days_of = [&](CardState state) -> std::vector<DayCount>& {
    return std::ranges::find(out, state, &CardDays::state)->days;
  };
  std::vector<DayCount>& expired = days_of(CardState::expired);
  const auto end = [&](CardState state, std::size_t i, std::int64_t count) {
    days_of(state)[i].count -= count;
    expired[i].count += count;
  };
  for (const CardStateRow& row : card_states()) {
    if (!lapses(row.state)) continue;
    const auto ended = TRY(up_to_day(registry, card_end_counter(row.state), from, to));
    for (std::size_t i = 0; i < ended.size(); ++i) end(row.state, i, ended[i].count);
  }
  if (from > today || to < today) return out;
  // Those of today's ends that have not come yet. The states are those of the index cards_ending; a test holds them to
  // lapses().
  service::Statement rows = TRY(registry.impl_->database.prepare(
      "SELECT state, count(*) FROM cards WHERE state IN (2, 3, 4, 5) AND valid_until > $1 AND valid_until < $2 GROUP "
      "BY state"));
  TRY(rows.query({seconds(now), (today + 1) * kSecondsOfDay}));
  while (TRY(rows.next())) {
    const auto state = static_cast<CardState>(rows.integer(0));
    for (std::int64_t day = today; day <= to; ++day) {
      end(state, static_cast<std::size_t>(day - from), -rows.integer(1));
    }
  }
  return out;
}

}  // namespace karta::identity
