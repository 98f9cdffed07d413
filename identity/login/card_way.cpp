#include "identity/login/login_pages.h"

#include "base/base64url.h"
#include "identity/login/agent_request.h"
#include "identity/login/words.h"

namespace karta::identity {

using service::HttpResponse;

HttpResponse LoginPages::to_agent(Visit& here, const Found& found, std::string_view verb, std::string_view back) {
  const Interaction* const interaction = found.interaction ? &*found.interaction : nullptr;
  const Time now = around_.clock.now();
  // Each request is a signature of ours. A portal's log-in is one that the portal has asked for; one for our own pages
  // anybody may begin, as often as he likes, so that only where he is can be counted.
  const std::chrono::seconds wait = interaction != nullptr
                                        ? agent_requests_of_log_in_.take(interaction->id, now)
                                        : agent_requests_of_network_.take(service::network_of(here.request.peer), now);
  if (wait.count() > 0) {
    card_refused_.add();
    return too_soon(here, wait, found.errand, interaction);
  }
  AgentErrand errand{found.errand, to_base64url(around_.random.bytes(kNonceOctets)), now + config_.agent->request_life};
  AgentRequest request;
  request.verb = verb;
  request.issuer = config_.address;
  request.return_uri = config_.address + std::string(back);
  request.state = tickets_.write_agent(errand, here.cookie);
  request.nonce = errand.nonce;
  if (interaction != nullptr) {
    request.client = &interaction->client;
    request.claims = interaction->claims;
  }
  request.locale = name_of(here.language);
  request.now = now;
  request.expires = errand.expires;
  const auto jws = sign_agent_request(request, *agent_signer_, agent_algorithm_, around_.random);
  if (!jws) return unavailable(here, jws.error());
  return see_other(config_.agent->address + "/agent/" + std::string(verb) + "?request=" + *jws, here.set_fields);
}

HttpResponse LoginPages::to_agent(Visit here, std::string_view verb, std::string_view back) {
  const auto query = FormData::of_query(here.request);
  if (!keys_->agent || !query) return over_page(here, false);
  const Found found = find(here, query->value("ticket"));
  if (found.page) return *found.page;
  return to_agent(here, found, verb, back);
}

HttpResponse LoginPages::ask_agent(Visit here) { return to_agent(std::move(here), "hello", "/login/here"); }

HttpResponse LoginPages::ask_card(Visit here) { return to_agent(std::move(here), "login", "/login/answer"); }

HttpResponse LoginPages::agent_is_here(Visit here) {
  Html html;
  notice(html, NoticeKind::good, {}, words::kAgentHere.in(here.language));
  PageFrame page = frame(here, words::kArea.in(here.language));
  page.script = kScript;
  return page_response(200, page, html);
}

HttpResponse LoginPages::take_answer(Visit here) {
  const auto query = FormData::of_query(here.request);
  const auto back =
      query ? tickets_.read_agent(query->value("state"), here.set_fields.empty() ? here.cookie : "") : std::nullopt;
  if (!back) return over_page(here, true);
  Found found{back->errand, {}};
  look_up(here, found);
  if (found.page) return *found.page;
  const Interaction* const interaction = found.interaction ? &*found.interaction : nullptr;
  const auto refused = [&](const Words& title, const Words& text) {
    card_refused_.add();
    return refused_page(here, 403, title, text, found.errand, interaction);
  };
  if (around_.clock.now() >= back->expires) {
    const AgentErrorRow& row = agent_error("timed_out");
    return refused(row.title, row.text);
  }
  if (!query->has("token")) {
    const AgentErrorRow& row = agent_error(query->value("error"));
    return refused(row.title, row.text);
  }
  const auto token = from_base64url(query->value("token"));
  const auto verdict = judge_token(*keys_->authorities, around_, token ? as_text(*token) : std::string_view{},
                                   config_.address, back->nonce);
  if (!verdict) return unavailable(here, verdict.error());
  if (verdict->refusal) {
    note_refusal(*verdict);
    const CardRefusalRow& row = row_of(*verdict->refusal);
    return refused(row.title, row.text);
  }
  SessionProof proof = verdict->proof;
  proof.acr = "high";
  proof.amr = {"hwk", "pin"};
  return log_in(here, found, proof, using_up(back->nonce, back->expires), words::kUsedAlready, by_card_);
}

}  // namespace karta::identity
