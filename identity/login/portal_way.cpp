#include "identity/login/login_pages.h"

#include "crypto/digest.h"
#include "identity/login/words.h"
#include "identity/timed_key.h"
#include "service/log.h"

namespace karta::identity {

using service::Database;
using service::HttpResponse;

HttpResponse LoginPages::begin(const HttpRequest& request, const Interaction& interaction) {
  Visit here = visit(request, interaction.locale);
  const auto session = sessions_.find(request);
  if (!session) return unavailable(here, session.error());
  const bool good = *session && !interaction.prompt_login && is_enough(**session, interaction);
  if (good) return admit(here, interaction, **session);
  if (interaction.prompt_none) return refuse(here, interaction.id, AuthorizationError::login_required);
  const Errand errand{interaction.id, {}};
  return ways_page(here, errand, &interaction, session->has_value());
}

service::GroupCommit::Work LoginPages::using_up(std::string_view nonce, Time expires) {
  return [hash = timed_key(expires, crypto::digest(crypto::Hash::sha256, as_bytes(nonce))),
          expires](Database& database) -> Status {
    const auto used = TRY(database.execute(
        "INSERT INTO login_nonces (nonce_hash, over_at) VALUES ($1, $2) ON CONFLICT (nonce_hash) DO NOTHING",
        {hash, std::int64_t{expires.time_since_epoch().count()}}));
    if (used != 1) return fail(ErrorKind::not_permitted, "the nonce has been used");
    return {};
  };
}

HttpResponse LoginPages::log_in(Visit& here, const Found& found, const SessionProof& proof,
                                const service::GroupCommit::Work& first, const Words& gone, service::Counter& done) {
  // Where consent stands, the portal's code is written with the session: a commit less, and both or neither.
  std::unique_ptr<Finishing> finishing;
  if (found.interaction && !found.interaction->prompt_consent) {
    const auto consent = provider_.consent(proof.citizen, found.interaction->client, found.interaction->claims,
                                           found.interaction->essential);
    if (!consent) return unavailable(here, consent.error());
    if (consent->given) {
      auto made = provider_.finishing(found.interaction->id);
      if (made) finishing = std::move(*made);
    }
  }
  AfterBegin finish_too;
  if (finishing) {
    finish_too = [&](Database& database, const Session& session) {
      return finishing->run(database, session.authentication(), {proof.issuer, proof.serial});
    };
  }
  auto opened = sessions_.begin(here.request, proof, first, finish_too);
  if (!opened && opened.error().kind == ErrorKind::not_permitted) {
    return refused_page(here, 403, words::kRefused, gone, found.errand,
                        found.interaction ? &*found.interaction : nullptr);
  }
  if (!opened) return unavailable(here, opened.error());
  done.add();
  here.set_fields += opened->fields;
  if (!found.interaction) return see_other(found.errand.back, here.set_fields);
  if (finishing) {
    auto address = finishing->outcome();
    // A consent taken back meanwhile: the citizen is asked again.
    if (address || address.error().kind != ErrorKind::not_permitted) return led_back(here, address);
  }
  return admit(here, *found.interaction, opened->session);
}

HttpResponse LoginPages::admit(const Visit& here, const Interaction& interaction, const Session& session) {
  const auto consent =
      provider_.consent(session.citizen, interaction.client, interaction.claims, interaction.essential);
  if (!consent) return unavailable(here, consent.error());
  if (consent->given && !interaction.prompt_consent) return finish(here, interaction, session, {});
  if (interaction.prompt_none) return refuse(here, interaction.id, AuthorizationError::consent_required);
  const std::string ticket = tickets_.write({interaction.id, {}}, here.cookie);
  return see_other(
      with_query("/consent", {{"ticket", ticket},
                              {"proof", tickets_.write_consent(interaction.id, session.id, session.auth_time)}}),
      here.set_fields);
}

HttpResponse LoginPages::finish(const Visit& here, const Interaction& interaction, const Session& session,
                                const std::optional<ConsentAnswer>& answer) {
  const auto address = provider_.finish(interaction.id, session.authentication(), answer);
  if (address || address.error().kind != ErrorKind::not_permitted) return led_back(here, address);
  // What was good on the page before is so no more, and nothing has been written.
  service::log_info("log-in: " + address.error().message);
  if (interaction.prompt_none) return refuse(here, interaction.id, AuthorizationError::login_required);
  return refused_page(here, 403, words::kRefused, words::kChangedMeanwhile, {interaction.id, {}}, &interaction);
}

HttpResponse LoginPages::led_back(const Visit& here, const Result<std::string>& address) {
  if (address) return see_other(*address, here.set_fields);
  if (address.error().kind == ErrorKind::not_found) return over_page(here, true);
  return unavailable(here, address.error());
}

HttpResponse LoginPages::refuse(const Visit& here, std::string_view interaction, AuthorizationError error) {
  const auto address = provider_.refuse(interaction, error);
  if (address) return see_other(*address, here.set_fields);
  if (address.error().kind == ErrorKind::not_found) return over_page(here, true);
  return unavailable(here, address.error());
}

HttpResponse LoginPages::cancel(Visit here, const FormData& form) {
  const Found found = find(here, form.value("ticket"));
  if (found.page) return *found.page;
  if (!found.interaction) return see_other("/login", here.set_fields);
  return refuse(here, found.interaction->id, AuthorizationError::access_denied);
}

}  // namespace karta::identity
