#include "identity/console/console_pages.h"

#include "identity/daily_counts.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

HttpResponse ConsolePages::overview(Visit& visit) {
  Html html;
  const std::int64_t today = day_of(clock_.now());
  html.open("div", {{"class", "columns"}});
  html.open("section", {{"class", "panel"}});
  heading(html, visit.in(words::kLoggedInAs));
  html.open("dl", {{"class", "facts"}});
  fact(html, visit.in(words::kWho), visit.person->name);
  std::string scopes;
  for (const ConsoleScopeRow& row : console_scopes()) {
    if (visit.person->may(row.scope)) scopes += (scopes.empty() ? "" : ", ") + std::string(row.name);
  }
  fact(html, visit.in(words::kMay), scopes);
  html.close(2);
  if (visit.person->may(ConsoleScope::counters)) {
    html.open("section", {{"class", "panel"}});
    heading(html, visit.in(words::kNow));
    html.open("dl", {{"class", "facts"}});
    const auto cards = DailyCounts::cards(registry_, today, today);
    if (!cards) return error_page(visit, cards.error());
    for (const CardDays& row : *cards) {
      if (row.days.back().count == 0) continue;
      fact(html, std::string(visit.in(words::kCards)) + ": " + std::string(visit.in(words_of(row.state).name)),
           std::to_string(row.days.back().count));
    }
    std::int64_t log_ins = 0;
    for (const std::string_view name : {kLogInsHigh, kLogInsSubstantial, kLogInsLow}) {
      const auto count = DailyCounts::per_day(registry_, name, today, today);
      if (!count) return error_page(visit, count.error());
      log_ins += count->back().count;
    }
    fact(html, visit.in(words::kLogInsToday), std::to_string(log_ins));
    html.close(2);
  }
  if (visit.person->may(ConsoleScope::requests)) {
    const auto counts = requests_.counts();
    if (!counts) return error_page(visit, counts.error());
    html.open("section", {{"class", "panel"}});
    heading(html, visit.in(words::kRequests));
    html.open("dl", {{"class", "facts"}});
    fact(html, visit.in(words::kRequestsOpen), std::to_string(counts->open));
    fact(html, visit.in(words::kRequestsOverdue), std::to_string(counts->overdue));
    html.close(2);
  }
  html.close();
  return page(visit, 200, visit.in(words::kOverview), html);
}

}  // namespace karta::identity
