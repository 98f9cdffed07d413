// OpenidProvider: interactions, codes, consents and log-outs: what stands between a portal's request and its tokens.
#pragma once

#include "identity/openid/core.h"
#include "identity/openid/interaction.h"
#include "identity/openid/session_ends.h"
#include "identity/openid/store.h"

namespace karta::identity {

/// The address `uri` with members of a query added: "&" or "?" as it needs.
std::string with_query(std::string_view uri,
                       std::initializer_list<std::pair<std::string_view, std::string_view>> members);

class OpenidProvider final : public Provider {
 public:
  /// `core` must outlive it.
  explicit OpenidProvider(OpenidCore& core) : core_(core), ends_(core.keys, core.around.clock, core.around.random) {}

  Result<std::optional<Interaction>> interaction(std::string_view id) override;
  Result<std::string> finish(std::string_view id, const Authentication& authentication,
                             const std::optional<ConsentAnswer>& answer) override;
  Result<std::unique_ptr<Finishing>> finishing(std::string_view id) override;
  Result<std::string> refuse(std::string_view id, AuthorizationError error) override;
  Result<ConsentState> consent(CitizenId citizen, const Client& client, const std::vector<std::string>& claims,
                               const std::vector<std::string>& essential) override;
  Status remember_consent(CitizenId citizen, const Client& client, const std::vector<std::string>& claims,
                          Time until) override;
  Status end_session(service::Database& database, std::string_view session_id, SessionEnd why) override;
  Status end_all(service::Database& database, CitizenId citizen) override;
  Result<std::vector<Grant>> grants_of(CitizenId citizen) override;
  Status revoke_grant(CitizenId citizen, std::string_view client_id) override;

  /// A request that was checked is kept; returns the handle its URI ends in.
  Result<std::string> keep(const AuthorizationRequest& request, const std::optional<SeenProof>& assertion,
                           const std::optional<SeenProof>& dpop, bool& seen_before);
  /// The interaction a stored request makes; none if its client is gone or its time over.
  Result<std::optional<Interaction>> interaction_of(std::string id, const openid_store::StoredRequest& stored);
  /// Where the browser goes with an error.
  std::string error_url(const AuthorizationRequest& request, std::string_view code,
                        std::string_view description = {}) const;

 private:
  struct Finished;
  class OpenFinishing;
  /// The client of the interaction `id`; not_found, not_permitted as finish().
  Result<std::shared_ptr<const LoadedClient>> client_of(std::string_view id);
  /// `written`: what the session was begun with that this transaction has just written; null: the session stands.
  Status finish_in(service::Database& database, std::string_view id, const Client& client,
                   const Authentication& authentication, const SessionCertificate* written,
                   const std::optional<ConsentAnswer>& answer, std::string_view code, Finished& out);

  OpenidCore& core_;
  SessionEnds ends_;
  std::pair<std::string, std::string> found_last_;  ///< an interaction's id, and its client's
};

}  // namespace karta::identity
