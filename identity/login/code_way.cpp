#include "identity/login/login_pages.h"

#include "identity/login/words.h"

namespace karta::identity {

using service::HttpResponse;

HttpResponse LoginPages::take_name(Visit here, const FormData& form) {
  const Found found = find(here, form.value("ticket"));
  if (found.page) return *found.page;
  const Interaction* const interaction = found.interaction ? &*found.interaction : nullptr;
  if (!config_.codes || level_of(found.errand, interaction) > kLow) return over_page(here, true);
  const auto begun = codes_.begin(form.value("login"), here.request.peer, here.language);
  if (!begun) return unavailable(here, begun.error());
  if (begun->challenge.empty()) {
    code_refused_.add();
    return too_soon(here, begun->wait, found.errand, interaction);
  }
  return see_other(with_query("/login/code", {{"ticket", form.value("ticket")}, {"challenge", begun->challenge}}),
                   here.set_fields);
}

HttpResponse LoginPages::too_soon(const Visit& here, std::chrono::seconds wait, const Errand& errand,
                                  const Interaction* interaction) {
  const std::string text = std::string(words::kTooSoon.in(here.language)) + " " + show_span(here.language, wait) + ".";
  HttpResponse out = refused_page(here, 429, words::kRefused, Words{text, text}, errand, interaction);
  out.fields += "Retry-After: " + std::to_string(wait.count()) + "\r\n";
  return out;
}

HttpResponse LoginPages::code_page(const Visit& here, const Found& found, std::string_view ticket,
                                   std::string_view challenge, bool wrong) {
  Html html;
  const Interaction* const interaction = found.interaction ? &*found.interaction : nullptr;
  write_asker(html, here, interaction);
  html.open("section", {{"class", "panel"}}).paragraph(words::kEnterCodeText.in(here.language));
  open_form(html, "/login/code", csrf_of(here.cookie));
  hidden_field(html, "ticket", ticket);
  hidden_field(html, "challenge", challenge);
  input_field(html, {.name = "code",
                     .label = words::kCode.in(here.language),
                     .error = wrong ? words::kCodeWrong.in(here.language) : std::string_view{},
                     .autocomplete = "one-time-code",
                     .input_mode = "numeric",
                     .most = 10,
                     .focus = true});
  html.open("div", {{"class", "actions"}});
  button(html, ButtonKind::main, words::kEnter.in(here.language));
  link_button(html, ButtonKind::quiet, words::kBeginAgain.in(here.language),
              with_query("/login", {{"ticket", ticket}}));
  html.close(3);
  PageFrame page = frame(here, words::kEnterCode.in(here.language));
  if (!wrong) page.come_back = with_query("/login/code", {{"ticket", ticket}, {"challenge", challenge}});
  if (interaction != nullptr) {
    write_cancel(html, here, ticket);
    lead_to(page, *interaction);
  }
  return page_response(wrong ? 403 : 200, page, html, here.set_fields);
}

HttpResponse LoginPages::ask_code(Visit here) {
  const auto query = FormData::of_query(here.request);
  if (!query) return over_page(here, true);
  const Found found = find(here, query->value("ticket"));
  if (found.page) return *found.page;
  return code_page(here, found, query->value("ticket"), query->value("challenge"), false);
}

HttpResponse LoginPages::take_code(Visit here, const FormData& form) {
  const Found found = find(here, form.value("ticket"));
  if (found.page) return *found.page;
  const Interaction* const interaction = found.interaction ? &*found.interaction : nullptr;
  if (!config_.codes || level_of(found.errand, interaction) > kLow) return over_page(here, true);
  std::string code(form.value("code"));
  std::erase(code, ' ');
  const auto verdict = codes_.check(form.value("challenge"), code, here.request.peer);
  if (!verdict) return unavailable(here, verdict.error());
  if (verdict->wait.count() > 0) {
    code_refused_.add();
    return too_soon(here, verdict->wait, found.errand, interaction);
  }
  if (verdict->over) {
    return refused_page(here, 403, words::kCodeOver, words::kCodeOverText, found.errand, interaction);
  }
  if (!verdict->citizen) {
    code_refused_.add();
    return code_page(here, found, form.value("ticket"), form.value("challenge"), true);
  }
  // The code was used up by a transaction before: the account may have ended since, with all its sessions but this.
  const auto hold_account = [&](service::Database& database) {
    return Accounts::hold(database, *verdict->citizen, verdict->account);
  };
  return log_in(here, found, {.citizen = *verdict->citizen, .acr = "low", .amr = {"otp"}}, hold_account,
                words::kAccountChanged, by_code_);
}

}  // namespace karta::identity
