#include "identity/openid/provider.h"

#include <algorithm>

#include "identity/openid/scopes.h"
#include "identity/pages/form.h"
#include "identity/timed_key.h"

namespace karta::identity {
namespace {

using service::Database;

struct ErrorRow {
  AuthorizationError error;
  std::string_view name;
  std::string_view description;
};
constexpr std::array<ErrorRow, 7> kErrors = {{
    {AuthorizationError::access_denied, "access_denied", "the citizen said no, or could not be let in"},
    {AuthorizationError::login_required, "login_required", "the citizen must log in"},
    {AuthorizationError::consent_required, "consent_required", "the citizen must consent"},
    {AuthorizationError::interaction_required, "interaction_required", "the citizen must be asked"},
    {AuthorizationError::unmet_authentication_requirements, "unmet_authentication_requirements",
     "the citizen could not be let in at the level asked for"},
    {AuthorizationError::temporarily_unavailable, "temporarily_unavailable", "try again in a moment"},
    {AuthorizationError::server_error, "server_error", "the fault is on our side"},
}};

const ErrorRow& row_of(AuthorizationError error) { return kErrors[static_cast<std::size_t>(error)]; }

bool covers(const std::vector<std::string>& given, std::string_view claim) {
  return std::find(given.begin(), given.end(), claim) != given.end();
}

std::vector<std::string> without(std::vector<std::string> claims, const std::vector<std::string>& left_out) {
  std::erase_if(claims, [&](const std::string& one) { return covers(left_out, one); });
  return claims;
}

/// What of `claims` the consent there is (or not) says.
ConsentState state_of(const std::optional<openid_store::StoredConsent>& stored, const std::vector<std::string>& claims,
                      const std::vector<std::string>& essential, Time now) {
  ConsentState out;
  const bool stands = stored && stored->until > now;
  if (stands) out.until = stored->until;
  for (const std::string& claim : claims) {
    if (stands && covers(stored->claims, claim)) continue;
    const bool left_out = stands && covers(stored->declined, claim) && !covers(essential, claim);
    (left_out ? out.declined : out.missing).push_back(claim);
  }
  out.given = out.missing.empty();
  return out;
}

/// Those of `scopes` that stand for something of `granted`, and those that stand for no data at all.
std::vector<std::string> scopes_with(std::vector<std::string> scopes, const std::vector<std::string>& granted) {
  std::erase_if(scopes, [&](const std::string& one) {
    const std::vector<std::string> of_scope = claims_of({one});
    return !of_scope.empty() && common_words(of_scope, granted).empty();
  });
  return scopes;
}

tl::unexpected<Error> no_interaction() {
  return fail(ErrorKind::not_found, "this log-in is over, or was finished already",
              "go back to the portal and begin again");
}

}  // namespace

std::string_view name_of(AuthorizationError error) { return row_of(error).name; }

std::string with_query(std::string_view uri,
                       std::initializer_list<std::pair<std::string_view, std::string_view>> members) {
  std::string out(uri);
  char separator = uri.find('?') == std::string_view::npos ? '?' : '&';
  for (const auto& [name, value] : members) {
    if (value.empty()) continue;
    out += separator;
    out += name;
    out += '=';
    out += encode_percent(value);
    separator = '&';
  }
  return out;
}

std::string OpenidProvider::error_url(const AuthorizationRequest& request, std::string_view code,
                                      std::string_view description) const {
  return with_query(
      request.redirect_uri,
      {{"error", code}, {"error_description", description}, {"state", request.state}, {"iss", core_.config.issuer}});
}

Result<std::string> OpenidProvider::keep(const AuthorizationRequest& request, const std::optional<SeenProof>& assertion,
                                         const std::optional<SeenProof>& dpop, bool& seen_before) {
  const std::string handle = core_.new_handle();
  const Bytes id_hash = OpenidCore::hash_of(core_.interaction_id(handle));
  const Time now = core_.now();
  TRY(core_.around.writes.write(core_.around.database, [&](Database& database) -> Status {
    seen_before = TRY(openid_store::remember(database, assertion, dpop)) != openid_store::Remembered::fresh;
    if (seen_before) return {};
    return openid_store::insert_request(database, id_hash, request, now, now + core_.config.interaction_life);
  }));
  return handle;
}

Result<std::optional<Interaction>> OpenidProvider::interaction_of(std::string id,
                                                                  const openid_store::StoredRequest& stored) {
  std::optional<Interaction> out;
  if (stored.expires <= core_.now()) return out;
  const AuthorizationRequest& request = stored.request;
  const auto client = TRY(core_.client(request.client_id));
  if (!client) return out;
  out.emplace();
  out->id = std::move(id);
  out->client = client->client;
  out->scopes = common_words(request.scopes, out->client.scopes);
  out->claims = common_words(request.claims, claims_of(out->client.scopes));
  out->essential = common_words(request.essential, out->claims);
  out->acr = request.acr;
  if (request.max_age) out->max_age = std::chrono::seconds(*request.max_age);
  out->prompt_none = request.prompt_none;
  out->prompt_login = request.prompt_login;
  out->prompt_consent = request.prompt_consent;
  out->locale = request.locale;
  out->login_hint = request.login_hint;
  out->expires = stored.expires;
  found_last_ = {out->id, request.client_id};
  return out;
}

Result<std::optional<Interaction>> OpenidProvider::interaction(std::string_view id) {
  const auto stored = TRY(openid_store::find_request(core_.around.database, core_.requests, OpenidCore::hash_of(id)));
  if (!stored) return std::optional<Interaction>();
  return interaction_of(std::string(id), *stored);
}

struct OpenidProvider::Finished {
  std::string url;
  std::optional<Error> refusal;  ///< nothing was written
};

// One transaction, and all is looked up in it: what was true on the pages before may be so no more.
Status OpenidProvider::finish_in(Database& database, std::string_view id, const Client& client,
                                 const Authentication& authentication, const SessionCertificate* written,
                                 const std::optional<ConsentAnswer>& answer, std::string_view code, Finished& out) {
  out = {};
  const auto refuse_with = [&](tl::unexpected<Error> error) -> Status {
    out.refusal = std::move(error.value());
    return {};
  };
  const Time now = core_.now();
  const Bytes id_hash = OpenidCore::hash_of(id);
  auto found = TRY(openid_store::find_request_to_finish(database, core_.requests, id_hash, authentication.citizen,
                                                        authentication.card, client.id, now));
  openid_store::StoredRequest* const stored = found ? &found->stored : nullptr;
  if (stored == nullptr || stored->expires <= now) return refuse_with(no_interaction());
  // What the client may no longer ask for it does not get, though it might when it asked.
  stored->request.scopes = common_words(std::move(stored->request.scopes), client.scopes);
  stored->request.claims = common_words(std::move(stored->request.claims), claims_of(client.scopes));
  const AuthorizationRequest& request = stored->request;
  std::optional<SessionCertificate> certificate;
  if (written != nullptr) {
    certificate = *written;
  } else {
    certificate = TRY(openid_store::touch_session(database, authentication.citizen, authentication.session_id, now));
  }
  if (!certificate) return refuse_with(fail(ErrorKind::not_permitted, "your log-in here has ended", "log in again"));
  if (authentication.card) {
    const auto& card = found->card;
    if (!card) return refuse_with(fail(ErrorKind::not_permitted, "the card is not known here"));
    if (card->state != CardState::active || card->over) {
      const CardState state = card->state == CardState::active ? CardState::expired : card->state;
      return refuse_with(fail(ErrorKind::not_permitted, "the card is " + std::string(identity::row_of(state).name)));
    }
  }
  const auto tell = [&](AuthorizationError error) -> Status {
    if (!TRY(openid_store::take_request(database, id_hash))) return refuse_with(no_interaction());
    out.url = error_url(request, row_of(error).name, row_of(error).description);
    return {};
  };
  const auto level = acr_level(authentication.acr);
  if (!level || *level < acr_level(request.acr).value_or(2)) {
    return tell(AuthorizationError::unmet_authentication_requirements);
  }
  if (!request.subject.empty() && request.subject != core_.subject(client, authentication.citizen)) {
    return tell(AuthorizationError::login_required);
  }
  // Pages take time: max_age counts to when the request was made.
  if (request.max_age && authentication.auth_time + std::chrono::seconds(*request.max_age) < stored->created) {
    return tell(AuthorizationError::login_required);
  }
  std::vector<std::string> granted;
  if (answer && !request.claims.empty()) {
    granted = without(request.claims, answer->declined);
    if (!common_words(request.essential, answer->declined).empty()) {
      return refuse_with(fail(ErrorKind::not_permitted, "the portal cannot do without what was left out"));
    }
    TRY(openid_store::put_consent(database, authentication.citizen, client.id, granted,
                                  common_words(request.claims, answer->declined), now, answer->until));
  } else if (!request.claims.empty()) {
    const ConsentState state = state_of(found->consent, request.claims, request.essential, now);
    if (!state.given)
      return refuse_with(fail(ErrorKind::not_permitted, "the citizen has not consented to what the portal asks for"));
    granted = without(request.claims, state.declined);
    TRY(openid_store::hold_consent(database, authentication.citizen, client.id));
  }
  if (!TRY(openid_store::take_request(database, id_hash))) return refuse_with(no_interaction());
  OpenidGrant grant;
  grant.citizen = authentication.citizen;
  grant.id = core_.new_grant_id();
  grant.client_id = client.id;
  grant.session_id = authentication.session_id;
  grant.card = authentication.card;
  grant.scopes = scopes_with(request.scopes, granted);
  grant.offline = covers(grant.scopes, "offline_access");
  grant.claims = std::move(granted);
  grant.amr = authentication.amr;
  grant.acr = authentication.acr;
  grant.nonce = request.nonce;
  grant.redirect_uri = request.redirect_uri;
  grant.challenge = request.challenge;
  grant.dpop_jkt = request.dpop_jkt;
  grant.resource = request.resource;
  grant.auth_time = authentication.auth_time;
  grant.created = now;
  // Codes and tokens have ends of their own. The grant says who must be told of the log-out, for as long as there can
  // be one.
  grant.ends = std::max(authentication.session_ends, now + core_.config.code_life + core_.config.access_life);
  if (grant.offline) grant.ends = std::max(grant.ends, now + core_.config.refresh_life);
  grant.issuer = std::move(certificate->issuer);
  grant.serial = std::move(certificate->serial);
  TRY(openid_store::insert_grant(database, grant));
  TRY(openid_store::insert_handle(database, key_of_secret(code), HandleKind::code, grant, "",
                                  now + core_.config.code_life));
  out.url = with_query(request.redirect_uri, {{"code", code}, {"state", request.state}, {"iss", core_.config.issuer}});
  return {};
}

Result<std::shared_ptr<const LoadedClient>> OpenidProvider::client_of(std::string_view id) {
  // Whose it is never changes, and whoever finishes it has mostly just looked at it.
  std::string client_id = found_last_.first == id ? found_last_.second : std::string();
  if (client_id.empty()) {
    const auto stored = TRY(openid_store::find_request(core_.around.database, core_.requests, OpenidCore::hash_of(id)));
    if (!stored) return no_interaction();
    client_id = stored->request.client_id;
  }
  auto client = TRY(core_.client(client_id));
  if (!client) return fail(ErrorKind::not_permitted, "the portal may let nobody in any more");
  return client;
}

Result<std::string> OpenidProvider::finish(std::string_view id, const Authentication& authentication,
                                           const std::optional<ConsentAnswer>& answer) {
  const std::string code = core_.new_handle();
  const auto client = TRY(client_of(id));
  Finished done;
  TRY(core_.around.writes.write(core_.around.database, [&](Database& database) {
    return finish_in(database, id, client->client, authentication, nullptr, answer, code, done);
  }));
  if (done.refusal) return fail(std::move(*done.refusal));
  return std::move(done.url);
}

class OpenidProvider::OpenFinishing final : public Finishing {
 public:
  OpenFinishing(OpenidProvider& provider, std::string_view id, std::shared_ptr<const LoadedClient> client)
      : provider_(provider), id_(id), client_(std::move(client)), code_(provider.core_.new_handle()) {}

  Status run(Database& database, const Authentication& authentication, const SessionCertificate& certificate) override {
    return provider_.finish_in(database, id_, client_->client, authentication, &certificate, {}, code_, done_);
  }
  Result<std::string> outcome() override {
    if (done_.refusal) return fail(std::move(*done_.refusal));
    return std::move(done_.url);
  }

 private:
  OpenidProvider& provider_;
  const std::string id_;
  const std::shared_ptr<const LoadedClient> client_;
  const std::string code_;
  Finished done_;
};

Result<std::unique_ptr<Finishing>> OpenidProvider::finishing(std::string_view id) {
  auto client = TRY(client_of(id));
  return std::make_unique<OpenFinishing>(*this, id, std::move(client));
}

Result<std::string> OpenidProvider::refuse(std::string_view id, AuthorizationError error) {
  Finished done;
  TRY(core_.around.writes.write(core_.around.database, [&](Database& database) -> Status {
    done = {};
    const Bytes id_hash = OpenidCore::hash_of(id);
    const auto stored = TRY(openid_store::find_request(database, core_.requests, id_hash));
    if (!stored || !TRY(openid_store::take_request(database, id_hash))) {
      done.refusal = no_interaction().value();
      return {};
    }
    done.url = error_url(stored->request, row_of(error).name, row_of(error).description);
    return {};
  }));
  if (done.refusal) return fail(std::move(*done.refusal));
  return std::move(done.url);
}

Result<ConsentState> OpenidProvider::consent(CitizenId citizen, const Client& client,
                                             const std::vector<std::string>& claims,
                                             const std::vector<std::string>& essential) {
  const auto stored = TRY(openid_store::find_consent(core_.around.database, citizen, client.id, core_.now()));
  return state_of(stored, claims, essential, core_.now());
}

Status OpenidProvider::remember_consent(CitizenId citizen, const Client& client, const std::vector<std::string>& claims,
                                        Time until) {
  return core_.around.writes.write(core_.around.database, [&](Database& database) {
    return openid_store::put_consent(database, citizen, client.id, claims, {}, core_.now(), until);
  });
}

Status OpenidProvider::end_session(Database& database, std::string_view session_id, SessionEnd why) {
  return ends_.end(database, session_id, why);
}

Status OpenidProvider::end_all(Database& database, CitizenId citizen) { return ends_.end_all(database, citizen); }

Result<std::vector<Grant>> OpenidProvider::grants_of(CitizenId citizen) {
  Database& database = core_.around.database;
  const auto live = TRY(openid_store::grants_of_citizen(database, citizen));
  std::vector<Grant> out;
  {
    service::Statement rows = TRY(
        database.prepare("SELECT client_id, claims, given_at, expires_at FROM openid_consents WHERE citizen_id = $1 "
                         "ORDER BY given_at DESC, client_id"));
    TRY(rows.query({static_cast<std::int64_t>(citizen)}));
    while (TRY(rows.next())) {
      Grant one;
      one.client_id = rows.text(0);
      one.given = Time(std::chrono::seconds(rows.integer(2)));
      one.until = Time(std::chrono::seconds(rows.integer(3)));
      one.claims = openid_store::standing_claims(rows.text(1), one.until, core_.now());
      if (one.until > core_.now()) out.push_back(std::move(one));
    }
  }
  // Portals that learn nothing but the citizen's name with them need no consent, but are here all the same.
  for (const OpenidGrant& grant : live) {
    const auto known =
        std::find_if(out.begin(), out.end(), [&](const Grant& one) { return one.client_id == grant.client_id; });
    if (known == out.end()) out.push_back({grant.client_id, {}, {}, {}, grant.created, grant.ends, 0});
  }
  for (Grant& one : out) {
    one.live_tokens = static_cast<std::size_t>(std::count_if(live.begin(), live.end(), [&](const OpenidGrant& grant) {
      return grant.client_id == one.client_id && grant.ends > core_.now();
    }));
    const auto client = TRY(core_.client(one.client_id));
    if (!client) continue;
    one.client_name = client->client.name;
    one.client_origin = client->client.origin();
  }
  return out;
}

Status OpenidProvider::revoke_grant(CitizenId citizen, std::string_view client_id) {
  bool there = false;
  TRY(core_.around.writes.write(core_.around.database, [&](Database& database) -> Status {
    there = TRY(ends_.revoke(database, citizen, client_id));
    return {};
  }));
  if (!there) return fail(ErrorKind::not_found, "this portal has no consent");
  return {};
}

}  // namespace karta::identity
