#include "identity/console/console_pages.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

namespace {

constexpr std::size_t kMostEventPages = 5;

}  // namespace

HttpResponse ConsolePages::answer_card(Visit& visit, std::string_view name, bool reads) {
  const std::size_t slash = name.find('/');
  const auto id = parse_card_id(name.substr(0, slash));
  const std::string_view verb = slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1);
  if (!id || (!verb.empty() && verb != "step") || (verb.empty() && !reads)) return nothing_here(visit);
  if (!verb.empty() && !visit.person->may(ConsoleScope::card_life)) return forbidden(visit);
  FormData form;
  if (!reads) {
    if (auto refusal = take_form(visit, form)) return std::move(*refusal);
  } else {
    auto query = FormData::of_query(visit.request);
    if (!query) return error_page(visit, query.error());
    form = std::move(*query);
  }
  const auto purpose = purpose_in(visit, form);
  if (!purpose) return ask_purpose(visit);
  auto done = verb.empty() ? show_card(visit, *id, *purpose, form.has("done"))
              : reads      ? confirm_step(visit, *id, *purpose, form, {})
                           : take_step(visit, *id, *purpose, form);
  return done ? std::move(*done) : error_page(visit, done.error());
}

bool ConsolePages::offers(const Card& card, CardState to) const {
  if (to == CardState::produced || !check_transition(card.state, to)) return false;
  // Past its end it comes into nobody's hands any more.
  const bool over = state_at(card, clock_.now()) == CardState::expired;
  return !over || row_of(to).final || to == CardState::suspended;
}

std::vector<CardState> ConsolePages::steps_from(const Card& card) const {
  std::vector<CardState> out;
  for (const CardTransition& one : card_transitions()) {
    if (one.from == card.state && offers(card, one.to)) out.push_back(one.to);
  }
  return out;
}

void ConsolePages::write_state(Html& html, const Visit& visit, const Card& card) const {
  const CardState now = state_at(card, clock_.now());
  badge(html, colour_of(now), visit.in(words_of(now).name));
  if (now == card.state) return;
  html.element("span",
               " " + std::string(visit.in(words::kInRegistry)) + " " + std::string(visit.in(words_of(card.state).name)),
               {{"class", "hint"}});
}

void ConsolePages::write_steps(Html& html, const Visit& visit, const Card& card, const Purpose& purpose) {
  if (!visit.person->may(ConsoleScope::card_life)) return;
  html.open("section", {{"class", "panel"}});
  heading(html, visit.in(words::kNextSteps));
  const auto steps = steps_from(card);
  if (steps.empty()) html.paragraph(visit.in(words::kNoSteps));
  html.open("div", {{"class", "actions"}});
  for (const CardState to : steps) {
    link_button(html, row_of(to).final ? ButtonKind::danger : ButtonKind::quiet, visit.in(words_of(to).step),
                with_purpose("/console/cards/" + format_id(card.id) + "/step", purpose) +
                    "&to=" + std::string(row_of(to).name));
  }
  html.close(2);
}

Result<HttpResponse> ConsolePages::show_card(Visit& visit, CardId id, const Purpose& purpose, bool done) {
  TRY(note(visit, "card", format_id(id), "", purpose));
  looks_.add();
  const auto certificates = TRY(registry_.certificates_of(id, purpose));  // first: it writes the access log
  const Card card = TRY(registry_.card(id));
  Html html;
  if (done) notice(html, NoticeKind::good, {}, visit.in(words::kDone));
  html.open("div", {{"class", "columns"}});
  html.open("section", {{"class", "panel"}}).open("dl", {{"class", "facts"}});
  html.element("dt", visit.in(words::kState)).open("dd");
  write_state(html, visit, card);
  if (card.state == CardState::revoked) html.text(" " + std::string(name_of(card.revocation_reason)));
  html.close();
  fact(html, visit.in(words::kChanged), show_time(visit.language, card.changed));
  fact(html, visit.in(words::kSerial), card.serial.empty() ? "—" : card.serial);
  fact(html, visit.in(words::kStatusIndex), std::to_string(card.status_index));
  fact(html, visit.in(words::kRegistryId), format_id(card.id));
  fact(html, visit.in(words::kProfile), card.profile);
  if (card.valid_until) fact(html, visit.in(words::kValidUntil), show_day(visit.language, *card.valid_until));
  if (card.replaces) fact(html, visit.in(words::kReplaces), format_id(*card.replaces));
  html.element("dt", visit.in(words::kCitizen)).open("dd");
  html.element("a", format_id(card.citizen),
               {{"href", with_purpose("/console/citizens/" + format_id(card.citizen), purpose)}});
  html.close(3);
  write_steps(html, visit, card, purpose);
  html.close();
  if (!certificates.empty()) write_certificates(html, visit, certificates);
  TRY(write_life(html, visit, card));
  return page(visit, 200,
              std::string(visit.in(words::kCard)) + " " + (card.serial.empty() ? format_id(id) : card.serial), html);
}

void ConsolePages::write_certificates(Html& html, const Visit& visit,
                                      const std::vector<CardCertificate>& certificates) {
  html.open("section", {{"class", "panel"}});
  heading(html, visit.in(words::kCertificates));
  open_table(html, visit.in(words::kCertificates), visit,
             {&words::kUse, &words::kNumber, &words::kUntil, &words::kState});
  for (const CardCertificate& one : certificates) {
    html.open("tr").element("th", name_of(one.kind), {{"scope", "row"}});
    html.element("td", to_hex(one.serial)).element("td", show_day(visit.language, one.not_after)).open("td");
    const auto status = registry_.certificate_status(one.issuer, one.serial);
    if (status && status->revoked_at) {
      badge(html, NoticeKind::bad, name_of(status->reason));
    } else {
      badge(html, one.not_after < clock_.now() ? NoticeKind::warning : NoticeKind::good,
            one.not_after < clock_.now() ? visit.in(words::kExpired) : "✓");
    }
    html.close(2);
  }
  close_table(html);
  html.close();
}

Status ConsolePages::write_life(Html& html, const Visit& visit, const Card& card) {
  html.open("section", {{"class", "panel"}});
  heading(html, visit.in(words::kLife));
  open_table(html, visit.in(words::kLife), visit, {&words::kWhen, &words::kWhatHappened, &words::kWho, &words::kWhy});
  std::optional<std::int64_t> before;
  for (std::size_t pages = 0; pages < kMostEventPages; ++pages) {
    const auto events = TRY(registry_.events_of(card.citizen, kPageLimit, before));
    for (const Event& one : events) {
      before = one.number;
      if (one.card != card.id) continue;
      html.open("tr").open("td");
      time_element(html, visit.language, one.at);
      html.close().element("td", one.kind + (one.from.empty() && one.to.empty() ? "" : ": ") + one.from +
                                     (one.from.empty() || one.to.empty() ? "" : " → ") + one.to);
      html.element("td", one.actor).element("td", one.reason).close();
    }
    if (events.size() < kPageLimit) break;
  }
  close_table(html);
  html.close();
  return {};
}

}  // namespace karta::identity
