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

bool any_of_claims(const ClaimWords& words, const std::vector<std::string>& list) {
  return std::ranges::any_of(words.claims,
                             [&](const std::string& one) { return std::ranges::find(list, one) != list.end(); });
}

/// The field of the form that is there where the citizen lets the portal have it.
std::string field_of(const ClaimWords& words) { return "claim." + std::string(words.claim); }

/// What is asked for, a line each. A line that is not essential (OpenID Connect Core §5.5.1) has a box to leave it out:
/// empty where the citizen did so before.
void write_claims(Html& html, const Interaction& interaction, const ConsentState& consent, Language language) {
  const std::vector<ClaimWords> lines = words_of_claims(interaction.claims, language);
  html.open("fieldset").element("legend", words::kWhatData.in(language));
  if (lines.empty()) html.paragraph(words::kNothingButYou.in(language));
  bool may_choose = false;
  for (const ClaimWords& one : lines) {
    const bool essential = any_of_claims(one, interaction.essential);
    const bool before = any_of_claims(one, consent.declined);
    const std::string id = "claim-" + std::string(one.claim), field = field_of(one);
    may_choose = may_choose || !essential;
    html.open("label", {{"class", "choice"}, {"for", id}});
    // One that cannot be left out keeps its mark, and says why; it is not sent, and not needed.
    html.leaf("input", {{"type", "checkbox"},
                        {"id", id},
                        essential ? Attribute("name", false) : Attribute("name", field),
                        {"value", "yes"},
                        {"checked", essential || !before},
                        {"disabled", essential}});
    html.open("span").text(one.words);
    const auto mark = [&](NoticeKind kind, const Words& what) {
      html.text(" ");
      badge(html, kind, what.in(language));
    };
    if (essential) mark(NoticeKind::info, words::kRequired);
    if (any_of_claims(one, consent.missing) && consent.until) mark(NoticeKind::info, words::kNew);
    if (!essential && before) mark(NoticeKind::warning, words::kLeftOutBefore);
    html.close(2);
  }
  if (may_choose) html.element("p", words::kLeaveOut.in(language), {{"class", "hint"}});
  html.close();
}

/// What the form leaves out.
std::vector<std::string> left_out(const Interaction& interaction, const FormData& form) {
  std::vector<std::string> out;
  for (const ClaimWords& one : words_of_claims(interaction.claims, Language::english)) {
    if (any_of_claims(one, interaction.essential) || form.has(field_of(one))) continue;
    out.insert(out.end(), one.claims.begin(), one.claims.end());
  }
  return out;
}

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
  const auto consent =
      provider_.consent(session->citizen, interaction.client, interaction.claims, interaction.essential);
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
  open_form(html, "/consent", session->csrf);
  hidden_field(html, "ticket", query->value("ticket"));
  hidden_field(html, "proof", query->value("proof"));
  write_claims(html, interaction, *consent, language);
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
  return finish(
      here, *found.interaction, *session,
      ConsentAnswer(around_.clock.now() + std::min(life, options_.consent_life), left_out(*found.interaction, form)));
}

}  // namespace karta::identity
