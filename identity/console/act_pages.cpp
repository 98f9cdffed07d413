#include "identity/console/console_pages.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

HttpResponse ConsolePages::answer_acts(Visit& visit, std::string_view name, bool reads) {
  if (!name.empty() || !reads) return nothing_here(visit);
  const auto query = FormData::of_query(visit.request);
  if (!query) return error_page(visit, query.error());
  std::optional<std::int64_t> before;
  if (const auto number = number_in(query->value("before"))) before = static_cast<std::int64_t>(*number);
  const auto rows = acts_.list(kPageLimit, before);
  if (!rows) return error_page(visit, rows.error());
  Html html;
  html.open("section", {{"class", "panel"}});
  if (rows->empty()) html.paragraph(visit.in(words::kNoActs));
  if (!rows->empty()) {
    open_table(html, visit.in(words::kActsTitle), visit,
               {&words::kWhen, &words::kWho, &words::kWhatHappened, &words::kAbout, &words::kWhy});
    for (const OperatorAct& one : *rows) {
      html.open("tr").open("td");
      time_element(html, visit.language, one.at);
      html.close().element("td", one.name);
      html.element("td", one.kind + (one.detail.empty() ? "" : ": ") + one.detail);
      html.element("td", one.subject).element("td", one.reason).close();
    }
    close_table(html);
  }
  if (rows->size() == kPageLimit) {
    link_button(html, ButtonKind::quiet, visit.in(words::kNext),
                "/console/acts?before=" + std::to_string(rows->back().id));
  }
  html.close();
  return page(visit, 200, visit.in(words::kActsTitle), html);
}

}  // namespace karta::identity
