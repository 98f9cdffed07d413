// What happened to a citizen and his cards, and who looked at his data.
#include <algorithm>

#include "identity/registry_impl.h"
#include "identity/registry_rows.h"

namespace karta::identity {
namespace {

using detail::raw;
using service::Statement;

}  // namespace

// Events

Status Registry::Impl::add_event(const NewEvent& event, const Cause& cause, std::optional<std::int64_t> number) {
  if (!number) {
    Statement next = TRY(database.prepare("SELECT coalesce(max(number), 0) + 1 FROM events WHERE citizen_id = $1"));
    TRY(next.query({raw(event.citizen)}));
    TRY(next.next());
    number = next.integer(0);
  }
  std::optional<std::int64_t> card;
  if (event.card) card = raw(*event.card);
  Statement insert = TRY(
      database.prepare("INSERT INTO events (citizen_id, number, at, actor, kind, card_id, state_before, state_after, "
                       "reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"));
  TRY(insert.execute({raw(event.citizen), *number, seconds(clock->now()), cause.actor, event.kind, card, event.before,
                      event.after, cause.reason}));
  return {};
}

Result<std::vector<Event>> Registry::events_of(CitizenId citizen, std::size_t limit,
                                               std::optional<std::int64_t> before) {
  Statement rows = TRY(impl_->database.prepare(
      "SELECT number, at, actor, kind, card_id, state_before, state_after, reason FROM events WHERE citizen_id = $1 "
      "AND number < $2 ORDER BY number DESC LIMIT $3"));
  TRY(rows.query({raw(citizen), before.value_or(INT64_MAX), static_cast<std::int64_t>(std::min(limit, kPageLimit))}));
  std::vector<Event> events;
  while (TRY(rows.next())) {
    Event event;
    event.number = rows.integer(0);
    event.at = from_seconds(rows.integer(1));
    event.actor = rows.text(2);
    event.kind = rows.text(3);
    if (const auto card = rows.integer_or_null(4)) event.card = CardId{*card};
    event.from = rows.text(5);
    event.to = rows.text(6);
    event.reason = rows.text(7);
    events.push_back(std::move(event));
  }
  return events;
}

// The access log

Status Registry::Impl::log_access(CitizenId citizen, const Purpose& purpose, std::string_view what) {
  return append_access(database, citizen, purpose, what, clock->now());
}

Result<std::vector<AccessEntry>> Registry::access_log(CitizenId citizen, std::size_t limit, std::uint32_t skip) {
  Statement rows = TRY(impl_->database.prepare(
      "SELECT at, actor, purpose, case_id, what, legal_basis, disclose_at FROM access_log WHERE citizen_id = $1 AND "
      "(disclose_at IS NULL OR disclose_at <= $2) ORDER BY number DESC LIMIT $3 OFFSET $4"));
  TRY(rows.query({raw(citizen), seconds(impl_->clock->now()), static_cast<std::int64_t>(std::min(limit, kPageLimit)),
                  std::int64_t{skip}}));
  std::vector<AccessEntry> entries;
  while (TRY(rows.next())) {
    AccessEntry entry;
    entry.at = from_seconds(rows.integer(0));
    entry.purpose = {std::string(rows.text(1)), std::string(rows.text(2)), std::string(rows.text(3)),
                     std::string(rows.text(5))};
    if (const auto told = rows.integer_or_null(6)) entry.purpose.disclose_at = from_seconds(*told);
    entry.what = rows.text(4);
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::vector<AccessTotal>> Registry::access_totals(CitizenId citizen, std::size_t limit) {
  Statement rows = TRY(impl_->database.prepare(
      "SELECT actor, purpose, count(*), max(at) FROM access_log WHERE citizen_id = $1 AND (disclose_at IS NULL OR "
      "disclose_at <= $2) GROUP BY actor, purpose ORDER BY max(number) DESC LIMIT $3"));
  TRY(rows.query({raw(citizen), seconds(impl_->clock->now()), static_cast<std::int64_t>(std::min(limit, kPageLimit))}));
  std::vector<AccessTotal> totals;
  while (TRY(rows.next())) {
    totals.push_back({std::string(rows.text(0)), std::string(rows.text(1)), static_cast<std::uint64_t>(rows.integer(2)),
                      from_seconds(rows.integer(3))});
  }
  return totals;
}

}  // namespace karta::identity
