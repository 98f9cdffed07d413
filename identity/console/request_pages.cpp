#include "identity/console/console_pages.h"

#include <algorithm>
#include <array>

#include "identity/requests/request_words.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

namespace {

struct StandingRow {
  RequestStanding standing;
  std::string_view name;  ///< in addresses
  Words words;
};
constexpr auto kStandings = std::to_array<StandingRow>({
    {RequestStanding::all, "all", words::kAllRequests},
    {RequestStanding::overdue, "overdue", words::kOverdueRequests},
    {RequestStanding::open, "open", words::kOpenRequests},
    {RequestStanding::answered, "answered", words::kAnsweredRequests},
});

}  // namespace

HttpResponse ConsolePages::answer_requests(Visit& visit, std::string_view name, bool reads) {
  if (!reads) return nothing_here(visit);
  auto done = [&]() -> Result<HttpResponse> {
    const FormData query = TRY(FormData::of_query(visit.request));
    if (name.empty()) return list_requests(visit, query);
    const std::size_t slash = name.find('/');
    const std::string_view id = name.substr(0, slash);
    const std::string_view part = slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1);
    if (!is_request_id(id)) return nothing_here(visit);
    const auto purpose = purpose_in(visit, query);
    if (!purpose) return ask_purpose(visit);
    if (part.empty()) return show_request(visit, id, *purpose);
    // Receipts alone leave here: they hold no datum of a person.
    const auto which = find_request_part(part);
    if (which != RequestPart::receipt && which != RequestPart::answer_receipt) return nothing_here(visit);
    TRY(note(visit, "request", std::string(id), std::string(part), *purpose));
    looks_.add();
    const Bytes octets = TRY(requests_.hand_out(id, *which, visit.actor()));
    HttpResponse out;
    out.media_type = kCmsMediaType;
    out.body = octets;
    out.fields = "Content-Disposition: attachment; filename=\"" + std::string(id) + "." + std::string(part) +
                 ".p7m\"\r\nCache-Control: no-store\r\n";
    return out;
  }();
  return done ? std::move(*done) : error_page(visit, done.error());
}

void ConsolePages::write_request_filter(Html& html, const Visit& visit, const DepartmentNames& departments,
                                        std::string_view department, std::string_view standing) {
  html.open("form", {{"method", "get"}, {"action", "/console/requests"}, {"role", "search"}});
  html.open("div", {{"class", "columns"}}).open("div", {{"class", "field"}});
  html.element("label", visit.in(words::kDepartment), {{"for", "department"}});
  html.open("select", {{"id", "department"}, {"name", "department"}});
  const auto option = [&](std::string_view value, std::string_view label, bool chosen) {
    html.element("option", label, {{"value", value}, {"selected", chosen}});
  };
  option("", visit.in(words::kAnyDepartment), department.empty());
  option(kRegistryName, departments(kRegistryName), department == kRegistryName);
  for (const DepartmentTitle& one : departments.titles())
    option(one.name, departments(one.name), department == one.name);
  html.close(2).open("div", {{"class", "field"}});
  html.element("label", visit.in(words::kState), {{"for", "state"}});
  html.open("select", {{"id", "state"}, {"name", "state"}});
  for (const StandingRow& row : kStandings) option(row.name, visit.in(row.words), row.name == standing);
  html.close(3).open("div", {{"class", "actions"}});
  button(html, ButtonKind::main, visit.in(words::kShow));
  html.close(2);
}

void ConsolePages::write_request_state(Html& html, const Visit& visit, const RequestState& one) const {
  if (one.overdue(clock_.now())) {
    badge(html, NoticeKind::bad, visit.in(words::kOverdue));
  } else if (!one.answered) {
    badge(html, NoticeKind::info, visit.in(words::kNotAnswered));
  } else {
    const bool late = one.deadline < *one.answered;
    badge(html, late ? NoticeKind::warning : NoticeKind::good,
          visit.in(late ? words::kAnsweredLate : words::kAnswered));
  }
}

Result<HttpResponse> ConsolePages::list_requests(Visit& visit, const FormData& query) {
  const std::string_view department = query.value("department");
  if (!department.empty() && !is_department_word(department)) return nothing_here(visit);
  const std::string_view asked = query.has("state") ? query.value("state") : kStandings.front().name;
  const auto standing = std::ranges::find(kStandings, asked, &StandingRow::name);
  if (standing == kStandings.end()) return nothing_here(visit);
  std::optional<RequestMark> after;
  if (query.has("after")) {
    if (!is_request_id(query.value("after"))) return nothing_here(visit);
    after = RequestMark{std::string(query.value("after")), query.value("among") == "answered"};
  }
  // No datum of a person is on it, so that no purpose is asked for; that it was looked at is written down all the same.
  TRY(acts_.record({0, {}, visit.person->name, "requests", std::string(department), std::string(standing->name), ""}));
  looks_.add();
  const DepartmentNames departments(TRY(departments_.titles()), visit.language);
  const RequestLines rows = TRY(requests_.lines(standing->standing, department, kPageLimit, after));
  Html html;
  html.open("section", {{"class", "panel"}});
  write_request_filter(html, visit, departments, department, standing->name);
  if (rows.lines.empty()) html.paragraph(visit.in(words::kNoRequests));
  if (!rows.lines.empty()) {
    open_table(html, visit.in(words::kRequestsTitle), visit,
               {&words::kDeadline, &words::kState, &words::kFrom, &words::kTo, &words::kAsked, &words::kLegalBasis,
                &words::kReceivedAt, &words::kRequest});
    for (const RequestLine& line : rows.lines) {
      const RequestState& one = line.state;
      html.open("tr").open("th", {{"scope", "row"}});
      time_element(html, visit.language, one.deadline);
      html.close().open("td");
      write_request_state(html, visit, one);
      html.close().element("td", departments(one.from)).element("td", departments(one.to));
      html.element("td", list_of_subjects(one.subjects, visit.language)).element("td", line.legal_basis).open("td");
      time_element(html, visit.language, one.received);
      html.close().open("td");
      html.open("a", {{"href", "/console/requests/" + one.id}}).text(visit.in(words::kOpen));
      html.element("span", " " + one.id, {{"class", "unseen"}}).close(3);
    }
    close_table(html);
  }
  if (rows.next) {
    std::string next = "/console/requests?department=" + std::string(department) +
                       "&state=" + std::string(standing->name) + "&after=" + rows.next->id;
    if (rows.next->answered) next += "&among=answered";
    link_button(html, ButtonKind::quiet, visit.in(words::kNext), next);
  }
  html.close();
  return page(visit, 200, visit.in(words::kRequestsTitle), html);
}

void ConsolePages::write_about_whom(Html& html, const Visit& visit, CitizenId citizen, const Purpose& purpose) {
  html.element("dt", visit.in(words::kCitizen)).open("dd");
  if (citizen == CitizenId{}) {
    html.text(visit.in(words::kUnknownCitizen));
  } else if (visit.person->may(ConsoleScope::find)) {
    html.element("a", format_id(citizen), {{"href", with_purpose("/console/citizens/" + format_id(citizen), purpose)}});
  } else {
    html.text(visit.in(words::kNotYoursToSee));
  }
  html.close();
}

Result<HttpResponse> ConsolePages::show_request(Visit& visit, std::string_view id, const Purpose& purpose) {
  TRY(note(visit, "request", std::string(id), "", purpose));
  looks_.add();
  const RequestLook look = TRY(requests_.look(id, purpose));
  const RequestState& one = look.state;
  const DepartmentNames departments(TRY(departments_.titles()), visit.language);
  const auto moment = [&](Html& html, const Words& label, Time at) {
    html.element("dt", visit.in(label)).open("dd");
    time_element(html, visit.language, at);
    html.close();
  };
  Html html;
  html.open("section", {{"class", "panel"}}).open("dl", {{"class", "facts"}});
  html.element("dt", visit.in(words::kState)).open("dd");
  write_request_state(html, visit, one);
  html.close();
  fact(html, visit.in(words::kFrom), departments(one.from));
  fact(html, visit.in(words::kTo), departments(one.to));
  fact(html, visit.in(words::kAsked), list_of_subjects(one.subjects, visit.language));
  write_about_whom(html, visit, one.citizen, purpose);
  fact(html, visit.in(words::kLegalBasis), look.legal_basis);
  fact(html, visit.in(words::kPurpose), look.purpose);
  fact(html, visit.in(words::kCase), look.case_id);
  moment(html, words::kReceivedAt, one.received);
  moment(html, words::kDeadline, one.deadline);
  if (one.answered) moment(html, words::kAnsweredAt, *one.answered);
  if (look.disclose_at) moment(html, words::kToldAt, *look.disclose_at);
  fact(html, visit.in(words::kRequest), one.id);
  html.element("dt", "SHA-256").open("dd").element("code", to_hex(one.hash)).close(3);
  const std::string address = "/console/requests/" + one.id;
  html.open("section", {{"class", "panel"}});
  heading(html, visit.in(words::kReceipts));
  html.paragraph(visit.in(words::kReceiptsText)).open("div", {{"class", "actions"}});
  link_button(html, ButtonKind::quiet, visit.in(words::kRequestReceipt), with_purpose(address + "/receipt", purpose));
  if (one.answered) {
    link_button(html, ButtonKind::quiet, visit.in(words::kAnswerReceipt),
                with_purpose(address + "/answer-receipt", purpose));
  }
  html.close(2);
  return page(visit, 200, visit.in(words::kRequest), html);
}

}  // namespace karta::identity
