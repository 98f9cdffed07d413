// AuthorityRoutes: what the authority on line answers under /v1/, for one worker of the HTTP server
// (docs/identity-server.md).
//
//   POST /v1/terminals/enrol              a one-time code for certificates
//   GET  /v1/terminals/self               what the authority knows of the terminal that asks
//   POST /v1/terminals/self/renew         new certificates
//   POST /v1/terminals/self/journal       records of its journal
//   GET  /v1/stop-list/full, /v1/stop-list/delta[?base=EPOCH], /v1/rules
//   GET  /v1/cards/INDEX/status           of a card now
//   POST /v1/cards/CARD/life              operators: the next step of a card's life
//   POST /v1/desk/sessions[/SESSION]      counters: deeds on a card
//   POST /v1/desk/accounts                counters: an account for one-time codes, for whose card was shown just now
//   POST /v1/desk/account-removals        counters: its end
//
// A terminal is known by its TLS certificate, an operator by his or by a token. Errors are problem details (RFC 9457).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "identity/authority/ports.h"
#include "identity/login/login_secret.h"
#include "identity/services/config.h"
#include "identity/services/key.h"
#include "identity/services/publisher.h"
#include "service/http_server.h"
#include "service/metrics.h"

namespace karta::identity {

/// The keys of an authority, opened once for all workers.
struct AuthorityKeys {
  ServiceKey tls;
  std::shared_ptr<TerminalPort> terminals;
  std::shared_ptr<DeskPort> desk;               ///< null: no desk here
  std::shared_ptr<const LoginSecret> accounts;  ///< null: no accounts for one-time codes are made here
};
Result<AuthorityKeys> open_authority_keys(const AuthorityConfig& config, const AuthorityPorts& ports);

/// What handlers share. All must outlive them.
struct AuthoritySurroundings {
  const Clock& clock;
  service::Metrics& metrics;
  const AuthorityShelf& shelf;
};

class AuthorityRoutes {
 public:
  static Result<std::unique_ptr<AuthorityRoutes>> open(const ServerConfig& config, const AuthorityKeys& keys,
                                                       const AuthoritySurroundings& around);
  ~AuthorityRoutes();

  /// `rest`: the path after "/v1/".
  service::HttpResponse answer(const service::HttpRequest& request, std::string_view rest);
  /// Journals may be larger than other requests.
  bool takes_large_body(const service::HttpRequest& request) const;
  /// What is wrong, for /healthz.
  std::vector<std::string> problems();

 private:
  class Impl;
  explicit AuthorityRoutes(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::identity
