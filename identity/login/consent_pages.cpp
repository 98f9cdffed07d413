#include "identity/login/login_pages.h"

#include <algorithm>
#include <iterator>

#include "identity/login/claim_words.h"
#include "identity/login/words.h"

namespace karta::identity {

using service::HttpResponse;

namespace {

/// How long a consent may be given for, as the page offers it; the last that the operator allows is chosen.
struct ConsentSpan {
  std::string_view name;
  std::chrono::seconds span;
};
constexpr ConsentSpan kConsentSpans[] = {
    {"day", std::chrono::hours(24)}, {"month", std::chrono::hours(24 * 30)}, {"year", std::chrono::hours(24 * 365)}};

}  // namespace

std::optional<Session> LoginPages::consenting(Visit& here, const Found& found, std::string_view proof,
                                              HttpResponse& otherwise) {
  auto session = sessions_.find(here.request);
  if (!session) {
    otherwise = unavailable(here, session.error());
    return std::nullopt;
  }
  const bool good = *session && found.interaction &&
                    tickets_.is_consent(proof, found.interaction->id, (*session)->id, (*session)->auth_time);
  if (good) return std::move(**session);
  otherwise = found.interaction ? ways_page(here, found.errand, &*found.interaction, session->has_value())
                                : over_page(here, true);
  return std::nullopt;
}

HttpResponse LoginPages::ask_consent(Visit here) {
  const auto query = FormData::of_query(here.request);
  if (!query) return over_page(here, true);
  const Found found = find(here, query->value("ticket"));
  if (found.page) return *found.page;
  HttpResponse otherwise;
  const auto session = consenting(here, found, query->value("proof"), otherwise);
  if (!session) return otherwise;
  const Interaction& interaction = *found.interaction;
  const auto consent = provider_.consent(session->citizen, interaction.client, interaction.claims);
  if (!consent) return unavailable(here, consent.error());

  const Language language = here.language;
  Html html;
  html.open("div", {{"class", "asker"}});
  html.element("strong", interaction.client.name.in(name_of(language)));
  html.element("span", interaction.client.origin(), {{"class", "hint"}}).close();
  html.open("section", {{"class", "panel"}});
  if (const std::string& purpose = interaction.client.purpose.in(name_of(language)); !purpose.empty()) {
    html.open("dl", {{"class", "facts"}});
    fact(html, words::kWhatFor.in(language), purpose);
    html.close();
  }
  html.element("h2", words::kWhatData.in(language)).open("ul");
  for (const ClaimWords& one : words_of_claims(interaction.claims, language)) {
    html.open("li").text(one.words);
    const bool is_new = std::ranges::find(consent->missing, one.claim) != consent->missing.end();
    if (is_new && consent->until) {
      html.text(" ");
      badge(html, NoticeKind::info, words::kNew.in(language));
    }
    html.close();
  }
  if (interaction.claims.empty()) html.element("li", words::kNothingButYou.in(language));
  html.close();
  open_form(html, "/consent", session->csrf);
  hidden_field(html, "ticket", query->value("ticket"));
  hidden_field(html, "proof", query->value("proof"));
  html.open("fieldset").element("legend", words::kHowLong.in(language));
  const ConsentSpan* chosen = &kConsentSpans[0];
  for (const ConsentSpan& one : kConsentSpans) {
    if (one.span <= options_.consent_life) chosen = &one;
  }
  for (const ConsentSpan& one : kConsentSpans) {
    if (&one > chosen) break;
    const std::string id = "span-" + std::string(one.name);
    html.open("label", {{"class", "choice"}, {"for", id}});
    html.leaf("input",
              {{"type", "radio"}, {"id", id}, {"name", "span"}, {"value", one.name}, {"checked", &one == chosen}});
    html.element("span", show_span(language, std::min(one.span, options_.consent_life))).close();
  }
  html.close();
  html.element("p", words::kConsentNote.in(language), {{"class", "hint"}});
  html.open("div", {{"class", "actions"}});
  button(html, ButtonKind::main, words::kAllow.in(language), "decision", "allow");
  button(html, ButtonKind::quiet, words::kDeny.in(language), "decision", "deny");
  html.close(3);
  PageFrame page =
      frame(here, words::kConsent.in(language),
            with_query("/consent", {{"ticket", query->value("ticket")}, {"proof", query->value("proof")}}));
  lead_to(page, interaction);
  return page_response(200, page, html, here.set_fields);
}

HttpResponse LoginPages::take_consent(Visit here, const FormData& form) {
  const Found found = find(here, form.value("ticket"));
  if (found.page) return *found.page;
  HttpResponse otherwise;
  const auto session = consenting(here, found, form.value("proof"), otherwise);
  if (!session) return otherwise;
  if (form.value("decision") != "allow") {
    return refuse(here, found.interaction->id, AuthorizationError::access_denied);
  }
  const auto* const span = std::ranges::find(kConsentSpans, form.value("span"), &ConsentSpan::name);
  const std::chrono::seconds life = span == std::end(kConsentSpans) ? kConsentSpans[0].span : span->span;
  return finish(here, *found.interaction, *session, around_.clock.now() + std::min(life, options_.consent_life));
}

}  // namespace karta::identity
