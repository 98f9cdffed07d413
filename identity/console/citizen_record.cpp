#include "identity/console/console_pages.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

void ConsolePages::write_cards(Html& html, const Visit& visit, const std::vector<Card>& cards, const Purpose& purpose) {
  html.open("section", {{"class", "panel"}});
  heading(html, visit.in(words::kCards));
  if (cards.empty()) html.paragraph(visit.in(words::kNoCards));
  if (!cards.empty()) {
    open_table(html, visit.in(words::kCards), visit,
               {&words::kCard, &words::kState, &words::kStatusIndex, &words::kValidUntil});
    for (const Card& one : cards) {
      html.open("tr").open("th", {{"scope", "row"}});
      html.element("a", one.serial.empty() ? format_id(one.id) : one.serial,
                   {{"href", with_purpose("/console/cards/" + format_id(one.id), purpose)}});
      html.close().open("td");
      write_state(html, visit, one);
      html.close().element("td", std::to_string(one.status_index));
      html.element("td", one.valid_until ? show_day(visit.language, *one.valid_until) : std::string("—")).close();
    }
    close_table(html);
  }
  html.close();
}

HttpResponse ConsolePages::answer_citizen(Visit& visit, std::string_view name, bool reads) {
  const auto id = parse_citizen_id(name);
  if (!id || !reads) return nothing_here(visit);
  const auto query = FormData::of_query(visit.request);
  if (!query) return error_page(visit, query.error());
  const auto purpose = purpose_in(visit, *query);
  if (!purpose) return ask_purpose(visit);
  auto done = show_citizen(visit, *id, *purpose);
  return done ? std::move(*done) : error_page(visit, done.error());
}

Result<HttpResponse> ConsolePages::show_citizen(Visit& visit, CitizenId id, const Purpose& purpose) {
  TRY(note(visit, "citizen", format_id(id), "", purpose));
  looks_.add();
  const CitizenRecord record = TRY(registry_.read_citizen(id, purpose));
  const auto cards = TRY(registry_.cards_of(id));
  const Citizen& citizen = record.citizen;
  Html html;
  html.open("section", {{"class", "panel"}}).open("dl", {{"class", "facts"}});
  fact(html, visit.in(words::kBorn), format_date(citizen.birth_date));
  fact(html, visit.in(words::kLatin), citizen.family_latin + " " + citizen.given_latin);
  fact(html, visit.in(words::kSnils), citizen.snils.text());
  if (citizen.enp || !citizen.insurer.empty()) {
    fact(html, visit.in(words::kInsurance),
         (citizen.enp ? std::string(citizen.enp->text()) + " " : std::string()) + citizen.insurer);
  }
  if (!citizen.region.empty()) fact(html, visit.in(words::kRegion), citizen.region);
  fact(html, visit.in(words::kRegistryId), format_id(id));
  std::string concessions;
  for (const Concession& one : citizen.concessions) {
    const ConcessionKindRow& row = row_of(one.kind);
    concessions += (concessions.empty() ? "" : "; ") +
                   std::string(visit.language == Language::russian ? row.russian : row.name) + " " +
                   format_date(one.valid_from) + "–" + (one.valid_until ? format_date(*one.valid_until) : "");
  }
  fact(html, visit.in(words::kConcessions), concessions.empty() ? visit.in(words::kNone) : concessions);
  html.close(2);
  write_cards(html, visit, cards, purpose);
  return page(visit, 200, citizen.family + " " + citizen.given + " " + citizen.patronymic, html);
}

}  // namespace karta::identity
