#include "identity/console/console_pages.h"

#include <algorithm>
#include <array>

#include "identity/console/chart.h"
#include "identity/daily_counts.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

namespace {

constexpr std::size_t kMostCountedTerminals = 10'000;
constexpr std::array<std::int64_t, 4> kSpans = {7, 30, 90, 365};

}  // namespace

Result<ChartSeries> ConsolePages::series(std::string_view name, const Words& label, const Visit& visit,
                                         std::int64_t from, std::int64_t to) {
  const auto rows = TRY(DailyCounts::per_day(registry_, name, from, to));
  ChartSeries out{std::string(visit.in(label)), {}};
  for (const DayCount& one : rows) out.values.push_back(std::max<std::int64_t>(0, one.count));
  return out;
}

HttpResponse ConsolePages::answer_numbers(Visit& visit, std::string_view name, bool reads) {
  if (!name.empty() || !reads) return nothing_here(visit);
  auto done = show_numbers(visit);
  return done ? std::move(*done) : error_page(visit, done.error());
}

Result<HttpResponse> ConsolePages::show_numbers(Visit& visit) {
  const FormData query = TRY(FormData::of_query(visit.request));
  std::int64_t days = 30;
  if (const auto asked = number_in(query.value("days"))) {
    if (std::ranges::find(kSpans, static_cast<std::int64_t>(*asked)) != kSpans.end()) {
      days = static_cast<std::int64_t>(*asked);
    }
  }
  const std::int64_t to = day_of(clock_.now()), from = to - days + 1;
  Html html;
  html.open("form", {{"method", "get"}, {"action", "/console/numbers"}}).open("div", {{"class", "actions"}});
  html.element("span", visit.in(words::kDays));
  for (const std::int64_t span : kSpans) {
    button(html, span == days ? ButtonKind::main : ButtonKind::quiet, std::to_string(span), "days",
           std::to_string(span));
  }
  html.close(2);

  html.open("section", {{"class", "panel"}});
  Chart log_ins{std::string(visit.in(words::kLogIns)), from, {}};
  log_ins.series.push_back(TRY(series(kLogInsHigh, words::kHigh, visit, from, to)));
  log_ins.series.push_back(TRY(series(kLogInsSubstantial, words::kSubstantial, visit, from, to)));
  log_ins.series.push_back(TRY(series(kLogInsLow, words::kLow, visit, from, to)));
  bar_chart(html, visit.language, log_ins);
  html.close();

  html.open("section", {{"class", "panel"}});
  heading(html, visit.in(words::kCardsByState));
  html.open("ul", {{"class", "plain columns"}});
  Chart table{std::string(visit.in(words::kCardsByState)), from, {}};
  const auto cards = TRY(DailyCounts::cards(registry_, from, to));
  for (const CardDays& row : cards) {
    Chart one{std::string(visit.in(words_of(row.state).name)), from, {{"", {}}}};
    one.series.front().label = one.title;
    for (const DayCount& day : row.days) one.series.front().values.push_back(std::max<std::int64_t>(0, day.count));
    html.open("li").open("div", {{"class", "panel-head"}});
    html.element("span", one.title).element("b", std::to_string(one.series.front().values.back())).close();
    small_chart(html, visit.language, one);
    html.close();
    table.series.push_back(std::move(one.series.front()));
  }
  html.close();
  chart_table(html, visit.language, table);
  html.close();

  html.open("section", {{"class", "panel"}});
  const auto counts = TRY(requests_.counts());
  html.open("dl", {{"class", "facts"}});
  fact(html, visit.in(words::kRequestsOpen), std::to_string(counts.open));
  fact(html, visit.in(words::kRequestsOverdue), std::to_string(counts.overdue));
  html.close();
  Chart received{std::string(visit.in(words::kRequestsADay)), from, {}};
  received.series.push_back(TRY(series(kRequestsReceived, words::kReceived, visit, from, to)));
  bar_chart(html, visit.language, received);
  Chart answers{std::string(visit.in(words::kAnswersADay)), from, {}};
  answers.series.push_back(TRY(series(kRequestsAnswered, words::kInTime, visit, from, to)));
  answers.series.push_back(TRY(series(kRequestsLate, words::kLate, visit, from, to)));
  // Counted are all answers, and those that were late.
  for (std::size_t i = 0; i < answers.series[0].values.size(); ++i) {
    answers.series[0].values[i] = std::max<std::int64_t>(0, answers.series[0].values[i] - answers.series[1].values[i]);
  }
  bar_chart(html, visit.language, answers);
  html.close();

  html.open("section", {{"class", "panel"}});
  heading(html, visit.in(words::kTerminals));
  TRY(write_terminal_counts(html, visit));
  html.close();
  return page(visit, 200, visit.in(words::kCounters), html);
}

Status ConsolePages::write_terminal_counts(Html& html, const Visit& visit) {
  std::array<std::size_t, words::kTerminalStates.size()> states{};
  std::size_t seen = 0;
  std::string after;
  while (seen < kMostCountedTerminals) {
    const auto rows = TRY(terminals_.list(after));
    for (const Terminal& one : rows) {
      const auto row = std::ranges::find(words::kTerminalStates, one.state, &words::TerminalStateWords::state);
      ++states[static_cast<std::size_t>(row - words::kTerminalStates.begin())];
    }
    seen += rows.size();
    if (rows.size() < kPageLimit) break;
    after = rows.back().name;
  }
  html.open("dl", {{"class", "facts"}});
  for (std::size_t i = 0; i < states.size(); ++i) {
    fact(html, visit.in(words::kTerminalStates[i].name), std::to_string(states[i]));
  }
  html.close();
  return {};
}

}  // namespace karta::identity
