#include "identity/console/console_pages.h"

#include "service/log.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpResponse;

Result<HttpResponse> ConsolePages::confirm_step(Visit& visit, CardId id, const Purpose& purpose, const FormData& form,
                                                std::string_view error) {
  const CardState to = TRY(parse_card_state(form.value("to")));
  TRY(note(visit, "card", format_id(id), "", purpose));
  looks_.add();
  const Card card = TRY(registry_.read_card(id, purpose));
  const std::string address = "/console/cards/" + format_id(id);
  if (!check_transition(card.state, to)) {
    return message(visit, 409, NoticeKind::warning, words::kMovedMeanwhile, visit.in(words_of(card.state).name));
  }
  if (!offers(card, to)) return message(visit, 409, NoticeKind::warning, words::kOver, visit.in(words::kOverText));
  Html html;
  html.open("section", {{"class", "panel"}});
  open_form(html, address + "/step", visit.csrf);
  if (!error.empty()) notice(html, NoticeKind::bad, visit.in(words::kNotDone), error);
  html.open("dl", {{"class", "facts"}});
  fact(html, visit.in(words::kCard), card.serial.empty() ? format_id(id) : card.serial);
  fact(html, visit.in(words::kState),
       std::string(visit.in(words_of(card.state).name)) + " → " + std::string(visit.in(words_of(to).name)));
  html.close();
  if (row_of(to).final) notice(html, NoticeKind::warning, {}, visit.in(words::kFinal));
  if (row_of(to).stopped != row_of(card.state).stopped) html.paragraph(visit.in(words::kTakesEffect));
  hidden_field(html, "to", row_of(to).name);
  hidden_field(html, "from", row_of(card.state).name);
  hidden_field(html, "purpose", purpose.purpose);
  hidden_field(html, "case", purpose.case_id);
  if (to == CardState::revoked) {
    html.open("div", {{"class", "field"}});
    html.element("label", visit.in(words::kRevocationReason), {{"for", "reason"}});
    html.open("select", {{"id", "reason"}, {"name", "reason"}});
    for (const RevocationReason reason :
         {RevocationReason::unspecified, RevocationReason::key_compromise, RevocationReason::affiliation_changed,
          RevocationReason::superseded, RevocationReason::cessation_of_operation,
          RevocationReason::privilege_withdrawn}) {
      html.element("option", name_of(reason),
                   {{"value", name_of(reason)}, {"selected", form.value("reason") == name_of(reason)}});
    }
    html.close(2);
  }
  input_field(html, {.name = "why",
                     .label = visit.in(words::kWhy),
                     .value = form.value("why"),
                     .hint = visit.in(words::kWhyHint),
                     .most = 100,
                     .focus = true});
  html.open("div", {{"class", "actions"}});
  button(html, row_of(to).final ? ButtonKind::danger : ButtonKind::main, visit.in(words_of(to).step));
  link_button(html, ButtonKind::quiet, visit.in(words::kCancel), with_purpose(address, purpose));
  html.close(3);
  return page(visit, error.empty() ? 200 : 400, visit.in(words::kConfirm), html);
}

Result<HttpResponse> ConsolePages::take_step(Visit& visit, CardId id, const Purpose& purpose, const FormData& form) {
  const CardState to = TRY(parse_card_state(form.value("to")));
  const CardState from = TRY(parse_card_state(form.value("from")));
  const std::string why(form.value("why"));
  if (why.find_first_not_of(" \t\n") == std::string::npos) {
    return confirm_step(visit, id, purpose, form, visit.in(words::kWhyHint));
  }
  RevocationReason reason = RevocationReason::unspecified;
  if (to == CardState::revoked && form.has("reason")) reason = TRY(parse_revocation_reason(form.value("reason")));
  TRY(check_transition(from, to));
  if (!offers(TRY(registry_.card(id)), to) && !row_of(to).final) return confirm_step(visit, id, purpose, form, {});
  const std::string detail = std::string(row_of(from).name) + " to " + std::string(row_of(to).name);
  // What was confirmed was a step from a state: from another one it would be another step.
  const auto card = TRY(acts_.step_card(id, from, to, reason, {visit.actor(), why},
                                        {0, {}, visit.person->name, "card-step", format_id(id), detail, why}));
  if (!card) {
    TRY(note(visit, "card", format_id(id), "", purpose));
    looks_.add();
    const Card now = TRY(registry_.read_card(id, purpose));
    return message(visit, 409, NoticeKind::warning, words::kMovedMeanwhile, visit.in(words_of(now.state).name));
  }
  steps_.add();
  if (to != CardState::active && to != CardState::shipped) end_log_ins(*card);
  service::log_info("operator \"" + visit.person->name + "\" brought card " + format_id(id) + " from " + detail);
  return see_other(with_purpose("/console/cards/" + format_id(id), purpose) + "&done=1");
}

void ConsolePages::end_log_ins(const Card& card) {
  const auto ended = sessions_.end_of_card(card.citizen, card.id);
  if (!ended) service::log_error("log-ins by card " + format_id(card.id) + " end by themselves", ended.error());
}

}  // namespace karta::identity
