#include "identity/login/login_pages.h"

#include "identity/login/words.h"

namespace karta::identity {

using service::HttpResponse;

HttpResponse LoginPages::end_session(const HttpRequest& request, const LogoutRequest& logout) {
  const Visit here = visit(request, logout.locale);
  const auto session = sessions_.find(request);
  if (!session) return unavailable(here, session.error());
  if (!*session) return logged_out(here, logout.return_url);
  // The portal has shown an ID token of this very session: that it was the citizen's wish is believed.
  if (logout.is_of && logout.is_of((*session)->id)) return log_out(here, **session, logout.return_url);
  return log_out_page(here, **session, logout.client ? &*logout.client : nullptr, logout.return_url);
}

HttpResponse LoginPages::logged_out(const Visit& here, std::string_view return_url) {
  if (!return_url.empty()) return see_other(return_url, Sessions::drop_cookie_field());
  Html html;
  notice(html, NoticeKind::good, {}, words::kLoggedOutText.in(here.language));
  return page_response(200, frame(here, words::kLoggedOut.in(here.language)), html, Sessions::drop_cookie_field());
}

HttpResponse LoginPages::log_out(const Visit& here, const Session& session, std::string_view return_url) {
  const auto ended = sessions_.end(session.citizen, session.id);
  if (!ended) return unavailable(here, ended.error());
  return logged_out(here, return_url);
}

HttpResponse LoginPages::log_out_page(const Visit& here, const Session& session, const Client* client,
                                      std::string_view return_url) {
  const Language language = here.language;
  Html html;
  if (client != nullptr) {
    html.open("div", {{"class", "asker"}}).element("strong", client->name.in(name_of(language)));
    html.element("span", words::kLogOutPortal.in(language)).close();
  }
  html.open("section", {{"class", "panel"}}).paragraph(words::kLogOutText.in(language));
  open_form(html, "/logout", session.csrf);
  if (!return_url.empty()) {
    hidden_field(html, "return", return_url);
    hidden_field(html, "return_mark", tickets_.write_return(return_url, session.csrf));
  }
  html.open("div", {{"class", "actions"}});
  button(html, ButtonKind::main, words::kLogOut.in(language));
  link_button(html, ButtonKind::quiet, words::kStay.in(language), "/me");
  html.close(3);
  PageFrame page = frame(here, words::kLogOutAsk.in(language));
  if (!return_url.empty()) page.form_targets.push_back(origin_of(return_url));
  return page_response(200, page, html, here.set_fields);
}

HttpResponse LoginPages::ask_log_out(Visit here) {
  const auto session = sessions_.find(here.request);
  if (!session) return unavailable(here, session.error());
  if (!*session) return logged_out(here, {});
  return log_out_page(here, **session, nullptr, {});
}

HttpResponse LoginPages::take_log_out(Visit here, const FormData& form) {
  const auto session = sessions_.find(here.request);
  if (!session) return unavailable(here, session.error());
  if (!*session) return logged_out(here, {});
  std::string_view return_url = form.value("return");
  if (!tickets_.is_return(form.value("return_mark"), return_url, (*session)->csrf)) return_url = {};
  return log_out(here, **session, return_url);
}

}  // namespace karta::identity
