#include "identity/daily_counts.h"

#include <functional>
#include <thread>

#include "identity/registry_impl.h"

namespace karta::identity {
namespace {

constexpr std::size_t kParts = 256;

/// Which of a day's rows this thread adds to: threads of one process, and processes, mostly differ.
std::int64_t part_of_this_thread() {
  static const int here = 0;
  const auto salt = reinterpret_cast<std::uintptr_t>(&here) >> 12;  // where the program was loaded
  static thread_local const std::size_t hash = std::hash<std::thread::id>()(std::this_thread::get_id());
  return static_cast<std::int64_t>((hash ^ salt) % kParts);
}

}  // namespace

std::int64_t day_of(Time time) { return std::chrono::floor<std::chrono::days>(time).time_since_epoch().count(); }

std::string_view log_in_counter(std::string_view acr) {
  return acr == "high" ? kLogInsHigh : acr == "substantial" ? kLogInsSubstantial : kLogInsLow;
}

std::string card_state_counter(CardState state) { return "cards-" + std::to_string(static_cast<int>(state)); }

Status count_today(service::Database& database, Time now, std::string_view name, std::int64_t by) {
  return database.execute_later(
      "INSERT INTO daily_counts (day, name, part, value) VALUES ($1, $2, $3, $4) ON CONFLICT (day, name, part) DO "
      "UPDATE SET value = daily_counts.value + excluded.value",
      {day_of(now), name, part_of_this_thread(), by});
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

}  // namespace karta::identity
