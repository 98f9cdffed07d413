#include "identity/console/console_pages.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

namespace {

constexpr std::size_t kMostFound = 20;

}  // namespace

void ConsolePages::write_find_form(Html& html, const Visit& visit, const FormData& given, std::string_view error) {
  html.open("section", {{"class", "panel"}});
  open_form(html, "/console/find", visit.csrf);
  if (!error.empty()) notice(html, NoticeKind::bad, visit.in(words::kNotDone), error);
  html.open("fieldset").element("legend", visit.in(words::kBy));
  const std::string_view by = given.has("by") ? given.value("by") : "name";
  for (const auto& [value, label] : {std::pair<std::string_view, const Words*>{"name", &words::kByName},
                                     {"snils", &words::kBySnils},
                                     {"card", &words::kByCard}}) {
    html.open("label", {{"class", "choice"}});
    html.leaf("input", {{"type", "radio"}, {"name", "by"}, {"value", value}, {"checked", by == value}});
    html.element("span", visit.in(*label)).close();
  }
  html.close();
  input_field(html, {.name = "what", .label = visit.in(words::kWhat), .value = given.value("what"), .focus = true});
  input_field(html, {.name = "purpose",
                     .label = visit.in(words::kPurpose),
                     .value = given.value("purpose"),
                     .hint = visit.in(words::kPurposeHint),
                     .most = 100});
  input_field(html, {.name = "case",
                     .label = visit.in(words::kCase),
                     .value = given.value("case"),
                     .hint = visit.in(words::kCaseHint),
                     .most = 60});
  html.open("div", {{"class", "actions"}});
  button(html, ButtonKind::main, visit.in(words::kSearch));
  html.close(3);
}

HttpResponse ConsolePages::answer_find(Visit& visit, std::string_view name, bool reads) {
  if (!name.empty()) return nothing_here(visit);
  Html html;
  FormData form;
  if (reads) {
    write_find_form(html, visit, form, {});
    return page(visit, 200, visit.in(words::kFindTitle), html);
  }
  if (auto refusal = take_form(visit, form)) return std::move(*refusal);
  const auto purpose = purpose_in(visit, form);
  auto found = purpose ? find(visit, form, *purpose) : Result<HttpResponse>(fail(purpose.error()));
  if (found) return std::move(*found);
  // Said beside the form, with what was typed still there.
  write_find_form(html, visit, form, found.error().message);
  return page(visit, found.error().kind == ErrorKind::not_found ? 200 : 400, visit.in(words::kFindTitle), html);
}

Result<HttpResponse> ConsolePages::find(Visit& visit, const FormData& form, const Purpose& purpose) {
  const std::string_view by = form.value("by"), what = form.value("what");
  TRY(note(visit, "find", "", "by " + std::string(by == "snils" || by == "card" ? by : "name"), purpose));
  looks_.add();
  if (by == "card") {
    const Card card = TRY(find_card(what, purpose));
    return see_other(with_purpose("/console/cards/" + format_id(card.id), purpose));
  }
  if (by == "snils") {
    const auto snils = TRY(Snils::parse(what));
    const auto id = TRY(registry_.find_citizen(snils, purpose));
    if (!id) return fail(ErrorKind::not_found, std::string(visit.in(words::kNobody)));
    return see_other(with_purpose("/console/citizens/" + format_id(*id), purpose));
  }
  const CitizenPage rows = TRY(registry_.find_citizens(what, purpose, kMostFound));
  Html html;
  html.open("section", {{"class", "panel"}});
  if (rows.citizens.empty()) notice(html, NoticeKind::info, {}, visit.in(words::kNobody));
  if (!rows.citizens.empty()) {
    open_table(html, visit.in(words::kFound), visit, {&words::kName, &words::kBorn, &words::kOpen});
    for (const CitizenSummary& one : rows.citizens) {
      const std::string whole = one.family + " " + one.given + " " + one.patronymic;
      html.open("tr").element("th", whole, {{"scope", "row"}});
      html.element("td", format_date(one.birth_date)).open("td");
      html.open("a", {{"href", with_purpose("/console/citizens/" + format_id(one.id), purpose)}});
      html.text(visit.in(words::kOpen)).element("span", " " + whole, {{"class", "unseen"}}).close();
      html.close(2);
    }
    close_table(html);
  }
  if (rows.next) html.paragraph(visit.in(words::kMore));
  html.close();
  write_find_form(html, visit, form, {});
  return page(visit, 200, visit.in(words::kFound), html);
}

Result<Card> ConsolePages::find_card(std::string_view text, const Purpose& purpose) {
  if (const auto id = parse_card_id(text)) {
    auto card = registry_.read_card(*id, purpose);
    if (card || card.error().kind != ErrorKind::not_found) return card;
  }
  auto found = registry_.card_by_serial(text);
  if (const auto index = number_in(text); !found && index) found = registry_.card_by_status_index(*index);
  if (!found) return found;
  return registry_.read_card(found->id, purpose);  // what is not in the citizen's log is told to nobody
}

}  // namespace karta::identity
