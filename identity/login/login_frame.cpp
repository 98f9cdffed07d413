#include "identity/login/login_pages.h"

#include <algorithm>

#include "identity/login/words.h"
#include "service/log.h"

namespace karta::identity {

using service::HttpResponse;

std::string LoginPages::with_query(std::string_view path,
                                   std::initializer_list<std::pair<std::string_view, std::string_view>> query) {
  std::string out(path);
  char separator = '?';
  for (const auto& [name, value] : query) {
    out += separator;
    out.append(name).append("=").append(encode_percent(value));
    separator = '&';
  }
  return out;
}

HttpResponse LoginPages::problem(const HttpRequest& request, int status, std::string_view error,
                                 std::string_view description) {
  const Visit here = visit(request);
  Html html;
  notice(html, NoticeKind::bad, words::kPortalFault.in(here.language), words::kPortalFaultText.in(here.language));
  html.open("p").element("code", error).close();
  html.open("p", {{"lang", "en"}}).element("code", description).close();
  return page_response(status, frame(here, words::kPortalFault.in(here.language)), html, here.set_fields);
}

PageFrame LoginPages::frame(const Visit& here, std::string_view title, std::string_view come_back) const {
  PageFrame out;
  out.language = here.language;
  out.title = title;
  out.area = words::kArea.in(here.language);
  out.come_back = come_back;
  return out;
}

void LoginPages::lead_to(PageFrame& frame, const Interaction& interaction) {
  frame.leads_to_portals = true;
  for (const std::string& one : interaction.client.redirect_uris) {
    const std::string origin = origin_of(one);
    const bool known = std::ranges::find(frame.form_targets, origin) != frame.form_targets.end();
    if (origin.starts_with("http://") && !known) frame.form_targets.push_back(origin);
  }
}

HttpResponse LoginPages::unavailable(const Visit& here, const Error& error) {
  service::log_error("log-in", error);
  Html html;
  notice(html, NoticeKind::warning, {}, words::kUnavailableText.in(here.language));
  return page_response(503, frame(here, words::kUnavailable.in(here.language)), html);
}

HttpResponse LoginPages::over_page(const Visit& here, bool of_portal) {
  Html html;
  notice(html, NoticeKind::warning, {}, (of_portal ? words::kOverText : words::kOwnOverText).in(here.language));
  if (!of_portal) link_button(html, ButtonKind::main, words::kBeginAgain.in(here.language), "/login");
  return page_response(410, frame(here, words::kOver.in(here.language)), html, here.set_fields);
}

LoginPages::Found LoginPages::find(Visit& here, std::string_view ticket) {
  Found out;
  const auto errand = tickets_.read(ticket, here.set_fields.empty() ? here.cookie : "");
  if (!errand) {
    out.page = over_page(here, true);
    return out;
  }
  out.errand = *errand;
  look_up(here, out);
  return out;
}

void LoginPages::look_up(Visit& here, Found& out) {
  if (out.errand.interaction.empty()) return;
  auto interaction = provider_.interaction(out.errand.interaction);
  if (!interaction) {
    out.page = unavailable(here, interaction.error());
  } else if (!*interaction) {
    out.page = over_page(here, true);
  } else {
    out.interaction = std::move(**interaction);
    here.language = language_of(here.request, out.interaction->locale);
  }
}

}  // namespace karta::identity
