#include "identity/login/login_pages.h"

#include "identity/login/claim_words.h"
#include "identity/login/words.h"
#include "service/log.h"

namespace karta::identity {

using service::HttpResponse;

namespace {

constexpr std::chrono::hours kNotedAgain{1};  // the same refusal of the same card

}  // namespace

int LoginPages::level_of(const Errand& errand, const Interaction* interaction) {
  return interaction != nullptr ? acr_level(interaction->acr).value_or(kHigh) : errand.level;
}

bool LoginPages::is_enough(const Session& session, const Interaction& interaction) const {
  if (acr_level(session.acr).value_or(-1) < acr_level(interaction.acr).value_or(kHigh)) return false;
  if (!interaction.max_age) return true;
  // 0 is "log in now" (OpenID Connect Core §3.1.2.1), in the second of the last log-in, too.
  return interaction.max_age->count() > 0 && around_.clock.now() - session.auth_time <= *interaction.max_age;
}

void LoginPages::write_asker(Html& html, const Visit& here, const Interaction* interaction) const {
  html.open("div", {{"class", "asker"}});
  if (interaction == nullptr) {
    html.element("strong", words::kOwnPage.in(here.language));
    html.element("span", config_.address, {{"class", "hint"}});
  } else {
    const Client& client = interaction->client;
    html.element("strong", client.name.in(name_of(here.language)));
    html.element("span", client.origin(), {{"class", "hint"}});
  }
  html.close();
  if (interaction == nullptr) return;
  html.open("dl", {{"class", "facts"}});
  if (const std::string& purpose = interaction->client.purpose.in(name_of(here.language)); !purpose.empty()) {
    fact(html, words::kWhatFor.in(here.language), purpose);
  }
  const std::string data = list_of_claims(interaction->claims, here.language);
  fact(html, words::kWhatData.in(here.language),
       data.empty() ? words::kNothingButYou.in(here.language) : std::string_view(data));
  html.close();
}

void LoginPages::write_ways(Html& html, const Visit& here, std::string_view ticket, int level) const {
  const std::string csrf = csrf_of(here.cookie);
  const Language language = here.language;
  bool any = false;
  if (keys_->agent) {
    any = true;
    html.open("section", {{"class", "panel"}});
    html.element("h2", words::kByCard.in(language)).paragraph(words::kByCardText.in(language));
    html.open("div", {{"class", "actions"}});
    html.element("a", words::kByCardButton.in(language),
                 {{"class", "button main"},
                  {"id", "by-card"},
                  {"href", with_query("/login/card", {{"ticket", ticket}})},
                  {"data-hello", with_query("/login/hello", {{"ticket", ticket}})}});
    html.close();
    html.element("p", words::kAgentMissingPlain.in(language), {{"class", "hint"}, {"id", "agent-plain"}});
    html.open("p", {{"class", "waiting"}, {"id", "agent-waiting"}, {"role", "status"}, {"hidden", true}});
    html.element("i", "", {{"aria-hidden", "true"}}).element("span", words::kLookingForAgent.in(language)).close();
    html.open("div", {{"id", "agent-missing"}, {"class", "notice warning"}, {"role", "alert"}, {"hidden", true}});
    html.element("strong", words::kNoAgent.in(language)).paragraph(words::kNoAgentText.in(language));
    html.close(2);
  }
  if (!config_.certificate_address.empty() && level <= kSubstantial) {
    any = true;
    html.open("section", {{"class", "panel"}});
    html.element("h2", words::kByCertificate.in(language)).paragraph(words::kByCertificateText.in(language));
    html.open("div", {{"class", "actions"}});
    html.element("a", words::kByCertificateButton.in(language),
                 {{"class", "button quiet"},
                  {"id", "by-certificate"},
                  {"href", config_.certificate_address +
                               with_query("/login/certificate", {{"ticket", tickets_.for_certificate(ticket)}})}});
    html.close(2);
  }
  if (config_.codes && level <= kLow) {
    any = true;
    html.open("section", {{"class", "panel"}});
    html.element("h2", words::kByCode.in(language)).paragraph(words::kByCodeText.in(language));
    open_form(html, "/login/name", csrf);
    hidden_field(html, "ticket", ticket);
    input_field(html,
                {.name = "login", .label = words::kLoginName.in(language), .autocomplete = "username", .most = 64});
    html.open("div", {{"class", "actions"}});
    button(html, ButtonKind::quiet, words::kGoOn.in(language));
    html.close(3);
  }
  if (!any) notice(html, NoticeKind::warning, {}, words::kNoWay.in(language));
}

void LoginPages::write_cancel(Html& html, const Visit& here, std::string_view ticket) const {
  open_form(html, "/login/cancel", csrf_of(here.cookie));
  hidden_field(html, "ticket", ticket);
  html.open("div", {{"class", "actions"}});
  button(html, ButtonKind::quiet, words::kCancel.in(here.language));
  html.close(2);
}

HttpResponse LoginPages::ways_page(const Visit& here, const Errand& errand, const Interaction* interaction,
                                   bool step_up) {
  const std::string ticket = tickets_.write(errand, here.cookie);
  Html html;
  write_asker(html, here, interaction);
  if (step_up) notice(html, NoticeKind::info, {}, words::kStepUp.in(here.language));
  write_ways(html, here, ticket, level_of(errand, interaction));
  PageFrame page = frame(here, words::kLogIn.in(here.language), with_query("/login", {{"ticket", ticket}}));
  if (interaction != nullptr) {
    write_cancel(html, here, ticket);
    lead_to(page, *interaction);
  }
  page.script = kScript;
  return page_response(200, page, html, here.set_fields);
}

HttpResponse LoginPages::show_ways(Visit here) {
  const auto query = FormData::of_query(here.request);
  if (!query) return over_page(here, false);
  if (query->has("ticket")) {
    Found found = find(here, query->value("ticket"));
    if (found.page) return *found.page;
    const auto session = sessions_.find(here.request);
    if (!session) return unavailable(here, session.error());
    return ways_page(here, found.errand, found.interaction ? &*found.interaction : nullptr, session->has_value());
  }
  Errand errand{{}, "/me"};
  if (is_own_path(query->value("back"))) errand.back = query->value("back");
  errand.level = acr_level(query->value("acr")).value_or(kLow);
  const auto session = sessions_.find(here.request);
  if (!session) return unavailable(here, session.error());
  const bool enough = *session && acr_level((*session)->acr).value_or(-1) >= errand.level;
  if (enough) return see_other(errand.back, here.set_fields);
  return ways_page(here, errand, nullptr, session->has_value());
}

HttpResponse LoginPages::refused_page(const Visit& here, int status, const Words& title, const Words& text,
                                      const Errand& errand, const Interaction* interaction) {
  const std::string ticket = tickets_.write(errand, here.cookie);
  Html html;
  notice(html, NoticeKind::bad, title.in(here.language), text.in(here.language));
  // From behind the other listener, all leads back to the pages.
  if (options_.asks_certificates) {
    link_button(html, ButtonKind::main, words::kOtherWays.in(here.language),
                config_.address + with_query("/login", {{"ticket", ticket}}));
    return page_response(status, frame(here, words::kRefused.in(here.language)), html, here.set_fields);
  }
  write_asker(html, here, interaction);
  html.element("h2", words::kOtherWays.in(here.language), {{"class", "unseen"}});
  write_ways(html, here, ticket, level_of(errand, interaction));
  PageFrame page = frame(here, words::kRefused.in(here.language));
  page.script = kScript;
  if (interaction != nullptr) {
    write_cancel(html, here, ticket);
    lead_to(page, *interaction);
  }
  return page_response(status, page, html, here.set_fields);
}

Result<bool> LoginPages::was_noted(CitizenId citizen, CardId card, std::string_view reason) {
  const Time since = around_.clock.now() - kNotedAgain;
  auto row = TRY(around_.database.prepare(
      "SELECT 1 FROM events WHERE citizen_id = $1 AND card_id = $2 AND kind = 'login-refused' AND state_after = $3 AND "
      "at > $4 LIMIT 1"));
  TRY(row.query({static_cast<std::int64_t>(citizen), static_cast<std::int64_t>(card), reason,
                 std::int64_t{since.time_since_epoch().count()}}));
  return TRY(row.next());
}

void LoginPages::note_refusal(const CardJudgement& verdict) {
  const CardRefusalRow& row = row_of(*verdict.refusal);
  // Not why a path did not hold: that names the holder.
  service::log_info("log-in refused: " + std::string(row.name));
  if (!verdict.proof.card) return;
  // Once an hour for each reason: whoever holds such a card cannot fill the citizen's events with it.
  const auto known = was_noted(verdict.proof.citizen, *verdict.proof.card, row.name);
  if (!known) service::log_error("log-in: earlier refusals were not looked up", known.error());
  if (!known || *known) return;
  const auto noted = around_.registry.record_deed(*verdict.proof.card, "login-refused", row.name,
                                                  {.actor = "login", .reason = std::string(row.name)});
  if (!noted) service::log_error("log-in: a refusal was not written down", noted.error());
}

}  // namespace karta::identity
