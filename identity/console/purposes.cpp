#include "identity/console/console_pages.h"
#include "identity/utf8.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

Result<Purpose> ConsolePages::purpose_in(const Visit& visit, const FormData& form) const {
  Purpose out{visit.actor(), std::string(form.value("purpose")), std::string(form.value("case"))};
  const auto blank = [](std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; };
  // The registry holds them to its rules; here it is told apart that there is none at all.
  if (blank(out.purpose) || blank(out.case_id)) {
    return fail(ErrorKind::usage, std::string(visit.in(words::kPurposeFirst)));
  }
  return out;
}

std::string ConsolePages::with_purpose(std::string address, const Purpose& purpose) {
  address += "?purpose=" + encode_percent(purpose.purpose) + "&case=" + encode_percent(purpose.case_id);
  return address;
}

Status ConsolePages::note(const Visit& visit, std::string_view kind, std::string subject, std::string detail,
                          const Purpose& purpose) {
  std::string reason = purpose.purpose;
  // Together they may be longer than a statement is: the case stands in the access log in full.
  if (characters_of(reason) + characters_of(purpose.case_id) + 2 <= kStatementCharacters) {
    reason += "; " + purpose.case_id;
  }
  return acts_.record({0, {}, visit.person->name, std::string(kind), std::move(subject), std::move(detail), reason});
}

HttpResponse ConsolePages::ask_purpose(const Visit& visit) {
  Html html;
  notice(html, NoticeKind::info, visit.in(words::kPurposeFirst), visit.in(words::kPurposeFirstText));
  html.open("section", {{"class", "panel"}});
  html.open("form", {{"method", "get"}, {"action", visit.request.path}});
  input_field(html, {.name = "purpose",
                     .label = visit.in(words::kPurpose),
                     .hint = visit.in(words::kPurposeHint),
                     .most = 100,
                     .focus = true});
  input_field(html, {.name = "case", .label = visit.in(words::kCase), .hint = visit.in(words::kCaseHint), .most = 60});
  html.open("div", {{"class", "actions"}});
  button(html, ButtonKind::main, visit.in(words::kNext));
  html.close(3);
  return page(visit, 400, visit.in(words::kPurposeFirst), html, false);
}

}  // namespace karta::identity
