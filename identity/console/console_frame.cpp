#include "identity/console/console_pages.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "service/log.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpMethod;
using service::HttpResponse;

namespace {

struct Section {
  std::string_view href;
  Words label;
  std::optional<ConsoleScope> scope;  ///< none: everybody's
};
constexpr auto kSections = std::to_array<Section>({
    {"/console", words::kOverview, std::nullopt},
    {"/console/find", words::kFind, ConsoleScope::find},
    {"/console/terminals", words::kTerminals, ConsoleScope::terminals},
    {"/console/numbers", words::kCounters, ConsoleScope::counters},
    {"/console/requests", words::kRequests, ConsoleScope::requests},
    {"/console/acts", words::kActs, ConsoleScope::acts},
});

}  // namespace

const words::CardStateWords& ConsolePages::words_of(CardState state) {
  return *std::ranges::find(words::kCardStates, state, &words::CardStateWords::state);
}

NoticeKind ConsolePages::colour_of(CardState state) {
  if (state == CardState::active) return NoticeKind::good;
  if (state == CardState::suspended) return NoticeKind::warning;
  return row_of(state).final ? NoticeKind::bad : NoticeKind::info;
}

NoticeKind ConsolePages::colour_of(TerminalState state) {
  return state == TerminalState::enrolled  ? NoticeKind::good
         : state == TerminalState::revoked ? NoticeKind::bad
                                           : NoticeKind::info;
}

std::optional<std::uint64_t> ConsolePages::number_in(std::string_view text) {
  std::uint64_t out = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), out);
  if (text.empty() || end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return out;
}

void ConsolePages::heading(Html& html, std::string_view text) { html.element("h2", text); }

void ConsolePages::open_table(Html& html, std::string_view label, const Visit& visit,
                              std::initializer_list<const Words*> columns) {
  html.open("div", {{"class", "scroll"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", label}});
  html.open("table").open("thead").open("tr");
  for (const Words* const one : columns) html.element("th", visit.in(*one), {{"scope", "col"}});
  html.close(2).open("tbody");
}

void ConsolePages::close_table(Html& html) { html.close(3); }

HttpResponse ConsolePages::page(const Visit& visit, int status, std::string_view title, const Html& content,
                                bool keeps_address) const {
  PageFrame frame;
  frame.language = visit.language;
  frame.title = title;
  frame.area = visit.in(words::kArea);
  if (visit.person != nullptr) {
    for (const Section& one : kSections) {
      if (one.scope && !visit.person->may(*one.scope)) continue;
      frame.navigation.push_back({std::string(one.href), std::string(visit.in(one.label))});
    }
    frame.current = visit.section;
  }
  // The answer to a form has no address to come back to.
  const bool got = keeps_address && visit.request.method == HttpMethod::get;
  frame.come_back = got ? std::string(visit.request.path) : std::string(visit.section);
  if (got && !visit.request.query.empty()) frame.come_back += "?" + std::string(visit.request.query);
  frame.log_out_key = visit.log_out_key;
  frame.wide = true;
  return page_response(status, frame, content, visit.fields);
}

HttpResponse ConsolePages::message(const Visit& visit, int status, NoticeKind kind, const Words& title,
                                   std::string_view text) const {
  Html html;
  notice(html, kind, {}, text);
  html.open("p");
  link_button(html, ButtonKind::quiet, visit.in(words::kBack), visit.section);
  html.close();
  return page(visit, status, visit.in(title), html);
}

HttpResponse ConsolePages::forbidden(const Visit& visit) {
  refused_.add();
  service::log_warning("the console refused " + std::string(visit.request.peer) + " at " +
                       std::string(visit.request.path));
  const bool known = visit.person != nullptr;
  return message(visit, 403, NoticeKind::bad, known ? words::kNotYourScope : words::kNotAnOperator,
                 visit.in(known ? words::kNotYourScopeText : words::kNotAnOperatorText));
}

HttpResponse ConsolePages::nothing_here(const Visit& visit) const {
  return message(visit, 404, NoticeKind::info, words::kNothingHere, visit.in(words::kNothingHere));
}

HttpResponse ConsolePages::error_page(const Visit& visit, const Error& error) const {
  if (error.kind == ErrorKind::not_found) {
    return message(visit, 404, NoticeKind::info, words::kNothingHere, error.message);
  }
  const bool own = error.kind == ErrorKind::usage || error.kind == ErrorKind::malformed ||
                   error.kind == ErrorKind::limit || error.kind == ErrorKind::not_permitted;
  if (!own) service::log_error("the console", error);
  return message(visit, own ? 400 : 503, NoticeKind::bad, words::kNotDone, error.message);
}

}  // namespace karta::identity
