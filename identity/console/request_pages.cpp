#include "identity/console/console_pages.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

HttpResponse ConsolePages::answer_requests(Visit& visit, std::string_view name, bool reads) {
  if (!name.empty() || !reads) return nothing_here(visit);
  const auto query = FormData::of_query(visit.request);
  if (!query) return error_page(visit, query.error());
  const auto rows = requests_.list(RequestBox::overdue, "", kPageLimit, query->value("after"));
  if (!rows) return error_page(visit, rows.error());
  Html html;
  html.open("section", {{"class", "panel"}});
  if (rows->empty()) html.paragraph(visit.in(words::kNothingOverdue));
  if (!rows->empty()) {
    open_table(html, visit.in(words::kOverdueTitle), visit,
               {&words::kDeadline, &words::kFrom, &words::kTo, &words::kAsked, &words::kReceivedAt});
    for (const RequestState& one : *rows) {
      std::string subjects;
      for (const std::string& subject : one.subjects) subjects += (subjects.empty() ? "" : ", ") + subject;
      html.open("tr").open("th", {{"scope", "row"}});
      time_element(html, visit.language, one.deadline);
      html.close().element("td", one.from).element("td", one.to).element("td", subjects).open("td");
      time_element(html, visit.language, one.received);
      html.close(2);
    }
    close_table(html);
  }
  if (rows->size() == kPageLimit) {
    link_button(html, ButtonKind::quiet, visit.in(words::kNext), "/console/requests?after=" + rows->back().id);
  }
  html.close();
  return page(visit, 200, visit.in(words::kOverdueTitle), html);
}

}  // namespace karta::identity
