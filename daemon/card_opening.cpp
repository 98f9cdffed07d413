#include "daemon/card_opening.h"

#include <nlohmann/json.hpp>

#include "card/pin.h"
#include "daemon/on_line_status.h"
#include "identity/journal/journal.h"

namespace karta::daemon {
namespace {

using identity::CardVerdict;

Age age_of(const TrustItem* item, Time now, std::chrono::hours allowed, StalePolicy::Beyond beyond) {
  if (item == nullptr || !item->present) return Age::missing;
  switch (item->state(now, allowed)) {
    case TrustState::fresh:
      return Age::fresh;
    case TrustState::stale:
      return Age::stale;
    case TrustState::missing:
      return Age::missing;
    case TrustState::early:  // the clock's fault, which is a reason of its own
      return Age::fresh;
    case TrustState::expired:
      break;
  }
  return beyond == StalePolicy::Beyond::warn ? Age::stale : Age::too_old;
}

/// The card was asked for a proof and gave none. The protocol's step tells which: the terminal's own failings end in
/// earlier ones.
std::optional<ReasonCode> failed_proof(const Error& error, const Timeline& timeline) {
  const auto steps = timeline.steps();
  if (steps.empty()) return std::nullopt;
  const bool about_signature = error.kind == ErrorKind::untrusted || error.kind == ErrorKind::invalid_signature ||
                               error.kind == ErrorKind::malformed;
  if (about_signature && steps.back().name == "issuer-signature") return ReasonCode::not_genuine;
  // A broken channel before this is somebody's meddling, and an error; here it is the proof that failed.
  if (error.kind == ErrorKind::card_insecure && steps.back().name == "chip-authentication") return ReasonCode::copied;
  return std::nullopt;
}

/// Of the first terminal that was enrolled: by that one the authority knows this machine.
std::vector<crypto::Certificate> tls_chain_of(const Services& services) {
  for (const TerminalConfig& one : services.config.terminals) {
    auto chain = services.terminals.at(one.role)->tls_chain();
    if (!chain.empty()) return chain;
  }
  return {};
}

void ask_on_line(const Services& services, CardOpening& out) {
  out.evidence.on_line_wanted = true;
  if (services.on_line == nullptr || !out.evidence.status_index) return;
  // Another region's card of the same number is another card.
  if (region_of_authority(tls_chain_of(services), *out.trust) != out.region) return;
  out.evidence.on_line = services.on_line->ask(*out.evidence.status_index);
}

tl::unexpected<Error> wrong_clock(identity::ClockState clock, std::string_view consequence) {
  return fail(ErrorKind::configuration,
              std::string("this terminal's clock ") +
                  (clock == identity::ClockState::back ? "was set back" : "has leapt ahead") + ", and by it " +
                  std::string(consequence),
              "set the clock right");
}

}  // namespace

Result<HolderSecret> take_holder_secret(RequestBody& body) {
  HolderSecret out;
  if (body.has("pin")) {
    out.password = card::PacePassword::pin;
    out.secret = TRY(body.digits("pin", 5, 8));
    if (body.has("can")) out.can = TRY(body.digits("can", 6, 6));
    return out;
  }
  if (!body.has("can")) {
    return fail(ErrorKind::usage, "\"can\" or \"pin\" is missing", "the CAN is printed on the card, six digits");
  }
  out.secret = TRY(body.digits("can", 6, 6));
  return out;
}

std::string_view CardOpening::state() const {
  if (!identity) return "unknown";
  for (const ReasonCode code : decision.reasons) {
    if (code == ReasonCode::stopped || code == ReasonCode::stopped_on_line || code == ReasonCode::expired)
      return "stopped";
    if (code == ReasonCode::inactive_on_line) return "unknown";
  }
  return evidence.verdict == CardVerdict::good || evidence.on_line ? "good" : "unknown";
}

Result<std::unique_ptr<CardOpening>> open_card(ReaderDesk& desk, const OpeningRequest& request,
                                               const HolderSecret& secret) {
  const Services& services = desk.services();
  const Time now = services.clock.now();
  const StalePolicy policy = services.config.policy(request.verb);
  TerminalIdentity* const terminal = TRY(services.terminal(request.role));
  const identity::ClockState clock = services.trust.clock_state();
  if (terminal->status().cards_until <= now) {
    if (clock != identity::ClockState::fine) return wrong_clock(clock, "the terminal's certificate has expired");
    return fail(ErrorKind::configuration, "this terminal's certificate has expired: no card lets it in",
                "renew it: karta terminal renew, or enrol the terminal anew");
  }
  auto out = std::make_unique<CardOpening>();
  out->trust = services.trust.snapshot();
  out->keys = terminal->keys(out->trust->cv_certificates);
  out->evidence.today = services.config.day_of(now);
  out->evidence.clock = clock;
  const TrustItem* const trust_list = out->trust->item(TrustItemKind::trust_list);
  // Where roots of genuine cards are configured by hand there need be no list.
  out->evidence.trust_list = trust_list == nullptr || !trust_list->present
                                 ? Age::fresh
                                 : age_of(trust_list, now, policy.trust_list, policy.beyond);

  desk.progress(request.verb, "opening");
  out->use = TRY(desk.use_card());
  card::IdentityRequest wanted;
  wanted.password = secret.password;
  wanted.secret = &secret.secret;
  wanted.can = secret.can.empty() ? nullptr : &secret.can;
  wanted.terminal = &out->keys.credentials;
  wanted.issuers = out->trust->document_signer_certificates();
  wanted.at = now;
  wanted.select_later = true;
  if (request.compare_validity) wanted.compare.valid_on = out->evidence.today;
  auto identity = card::IdentityApplication::open(out->use->channel(), wanted, services.random);
  if (!identity) {
    const auto reason = failed_proof(identity.error(), out->use->timeline());
    if (!reason) {
      Error why = said_by_card(std::move(identity).error());
      // "Not found" in the middle of PACE is a refusal: nothing was looked for.
      if (why.kind == ErrorKind::not_found) why.kind = ErrorKind::card_refused;
      // PACE opens with a transport PIN, too, and then the card lets nobody on: no terminal's certificate is at fault.
      const bool transport = secret.password == card::PacePassword::pin &&
                             secret.secret.size() == card::rules_of(card::PinKind::pin1).transport_digits;
      if (transport && why.kind == ErrorKind::untrusted) {
        return fail(ErrorKind::transport_pin, "a transport PIN opens nothing but the way to a PIN of the holder's own");
      }
      return fail(std::move(why));
    }
    // A genuine card is not called a false one because the time is wrong.
    if (*reason == ReasonCode::not_genuine && clock != identity::ClockState::fine) {
      return wrong_clock(clock, "what the card's issuer signed is not valid");
    }
    out->decision.add(*reason);
    return out;
  }
  out->identity = std::make_unique<card::IdentityApplication>(std::move(*identity));
  desk.progress(request.verb, "genuine");

  const crypto::Certificate& signer = out->identity->document_signer();
  out->region = out->trust->region_of(signer).value_or("");
  out->evidence.status_index = out->identity->status_index();
  const StopListInUse* const list = out->trust->stop_list(out->region);
  if (list != nullptr) {
    const TrustItem* const item = out->trust->item(*list);
    out->evidence.stop_list = age_of(item, now, policy.stop_list, policy.beyond);
    if (out->evidence.status_index) {
      out->evidence.verdict = out->trust->find(out->region, *out->evidence.status_index);
    }
  }
  // A stolen document signer is no longer one.
  if (out->trust->foreign_stopped(signer)) {
    out->decision.add(ReasonCode::not_genuine);
    out->identity->close();
    out->identity.reset();
    return out;
  }
  if (request.compare_validity) {
    const auto valid = out->identity->valid_on_announced_date();
    if (!valid && valid.error().kind != ErrorKind::not_found) return fail(valid.error());
    if (valid) out->evidence.valid_today = *valid;
  }
  if (request.ask_on_line) ask_on_line(services, *out);
  out->decision = decide(out->evidence);
  return out;
}

Json card_json(const CardOpening& opening) {
  Json out;
  out["status_index"] = opening.status_index() ? Json(*opening.status_index()) : Json();
  out["state"] = opening.state();
  const auto& last = opening.evidence.last_day;
  out["valid_until"] = last ? Json(card::PartialDate::of(*last).to_string()) : Json();
  out["region"] = opening.region;
  return out;
}

}  // namespace karta::daemon
