#include "identity/console/console_pages.h"

#include <algorithm>
#include <chrono>

#include "service/log.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

namespace {

constexpr std::chrono::hours kSoon{24 * 7};

}  // namespace

void ConsolePages::write_until(Html& html, const Visit& visit, const std::optional<Time>& until) {
  if (!until) {
    html.text("—");
    return;
  }
  html.text(show_day(visit.language, *until) + " ");
  const Time now = clock_.now();
  if (*until < now) {
    badge(html, NoticeKind::bad, visit.in(words::kExpired));
  } else if (*until < now + kSoon) {
    badge(html, NoticeKind::warning, visit.in(words::kSoon));
  }
}

void ConsolePages::write_state(Html& html, const Visit& visit, TerminalState state) {
  const auto row = std::ranges::find(words::kTerminalStates, state, &words::TerminalStateWords::state);
  badge(html, colour_of(state), visit.in(row->name));
}

HttpResponse ConsolePages::answer_terminals(Visit& visit, std::string_view name, bool reads) {
  const std::size_t slash = name.find('/');
  const std::string_view verb = slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1);
  name = name.substr(0, slash);
  auto done = name.empty() && reads                    ? list_terminals(visit)
              : verb.empty() && reads && !name.empty() ? show_terminal(visit, name)
              : verb == "revoke"                       ? revoke_terminal(visit, name, reads)
                                                       : Result<HttpResponse>(nothing_here(visit));
  return done ? std::move(*done) : error_page(visit, done.error());
}

Result<HttpResponse> ConsolePages::list_terminals(Visit& visit) {
  const FormData query = TRY(FormData::of_query(visit.request));
  const auto rows = TRY(terminals_.list(std::string(query.value("after"))));
  Html html;
  html.open("section", {{"class", "panel"}});
  if (rows.empty()) html.paragraph(visit.in(words::kNoTerminals));
  if (!rows.empty()) {
    open_table(html, visit.in(words::kTerminals), visit,
               {&words::kName, &words::kRole, &words::kState, &words::kLastSeen, &words::kTlsUntil, &words::kJournal});
    for (const Terminal& one : rows) {
      html.open("tr").open("th", {{"scope", "row"}});
      html.element("a", one.name, {{"href", "/console/terminals/" + one.name}}).close();
      html.element("td", one.role).open("td");
      write_state(html, visit, one.state);
      html.close().open("td");
      if (one.last_contact) {
        time_element(html, visit.language, *one.last_contact);
      } else {
        html.text(visit.in(words::kNever));
      }
      html.close().open("td");
      write_until(html, visit, one.tls_until);
      html.close().open("td");
      if (one.journal_fault.empty()) {
        html.text(std::to_string(one.journal_to));
      } else {
        badge(html, NoticeKind::bad, one.journal_fault);
      }
      html.close(2);
    }
    close_table(html);
  }
  if (rows.size() == kPageLimit) {
    html.open("p");
    link_button(html, ButtonKind::quiet, visit.in(words::kNext),
                "/console/terminals?after=" + encode_percent(rows.back().name));
    html.close();
  }
  html.close();
  return page(visit, 200, visit.in(words::kTerminals), html);
}

Result<HttpResponse> ConsolePages::show_terminal(Visit& visit, std::string_view name) {
  const Terminal one = TRY(terminals_.find(name));
  const auto events = TRY(terminals_.events_of(one.id));
  Html html;
  html.open("section", {{"class", "panel"}}).open("dl", {{"class", "facts"}});
  html.element("dt", visit.in(words::kState)).open("dd");
  write_state(html, visit, one.state);
  html.close();
  fact(html, visit.in(words::kRole), one.role);
  fact(html, visit.in(words::kRegistryId), format_id(one.id));
  fact(html, visit.in(words::kLastSeen),
       one.last_contact ? show_time(visit.language, *one.last_contact) : std::string(visit.in(words::kNever)));
  html.element("dt", visit.in(words::kCvUntil)).open("dd");
  write_until(html, visit, one.cv_until);
  html.close().element("dt", visit.in(words::kTlsUntil)).open("dd");
  write_until(html, visit, one.tls_until);
  html.close();
  fact(html, visit.in(words::kJournal),
       std::to_string(one.journal_to) + " " + std::string(visit.in(words::kRecords)) +
           (one.journal_fault.empty() ? "" : "; " + one.journal_fault));
  html.close();
  if (one.state != TerminalState::revoked) {
    html.open("div", {{"class", "actions"}});
    link_button(html, ButtonKind::danger, visit.in(words::kRevokeTerminal),
                "/console/terminals/" + one.name + "/revoke");
    html.close();
  }
  html.close();
  html.open("section", {{"class", "panel"}});
  heading(html, visit.in(words::kLife));
  open_table(html, visit.in(words::kLife), visit, {&words::kWhen, &words::kWhatHappened, &words::kWho, &words::kWhy});
  for (const TerminalEvent& event : events) {
    html.open("tr").open("td");
    time_element(html, visit.language, event.at);
    html.close().element("td", event.kind + (event.detail.empty() ? "" : ": ") + event.detail);
    html.element("td", event.actor).element("td", event.reason).close();
  }
  close_table(html);
  html.close();
  return page(visit, 200, one.name, html);
}

Result<HttpResponse> ConsolePages::revoke_terminal(Visit& visit, std::string_view name, bool reads) {
  const Terminal one = TRY(terminals_.find(name));
  FormData form;
  std::string_view error;
  if (!reads) {
    if (auto refusal = take_form(visit, form)) return std::move(*refusal);
    const std::string why(form.value("why"));
    if (why.find_first_not_of(" \t\n") != std::string::npos) {
      TRY(acts_.record({0, {}, visit.person->name, "terminal-revoke", one.name, "", why}));
      TRY(terminals_.revoke(one.id, {visit.actor(), why}));
      service::log_info("operator \"" + visit.person->name + "\" revoked the terminal \"" + one.name + "\"");
      return see_other("/console/terminals/" + one.name);
    }
    error = visit.in(words::kWhyHint);
  }
  Html html;
  html.open("section", {{"class", "panel"}});
  open_form(html, "/console/terminals/" + one.name + "/revoke", visit.csrf);
  if (!error.empty()) notice(html, NoticeKind::bad, visit.in(words::kNotDone), error);
  notice(html, NoticeKind::warning, one.name, visit.in(words::kRevokeTerminalText));
  input_field(html, {.name = "why", .label = visit.in(words::kWhy), .most = 100, .focus = true});
  html.open("div", {{"class", "actions"}});
  button(html, ButtonKind::danger, visit.in(words::kRevokeTerminal));
  link_button(html, ButtonKind::quiet, visit.in(words::kCancel), "/console/terminals/" + one.name);
  html.close(3);
  return page(visit, error.empty() ? 200 : 400, visit.in(words::kConfirm), html);
}

}  // namespace karta::identity
