// ServiceHandler: the routes of karta-identity, for one worker of the HTTP server.
//
//   POST /ocsp, GET /ocsp/BASE64      OCSP (RFC 6960 appendix A, RFC 5019)
//   GET  /crl/CA.crl, /crl/CA/delta.crl, /crl/CA/ca.crl, /crl/CA/user.crl
//   GET  /ca/CA.cer                   the authority's certificate
//   POST /tsa                         time-stamps (RFC 3161 §3.4)
//   GET  /trust-list
//   /v1/...                           the authority on line (authority/routes.h)
//   /openid/..., /login, /me, /console, /v1/requests and what belongs to them: rooms of their own (services/rooms.h)
//   GET  /healthz, /metrics
#pragma once

#include <memory>

#include "identity/authority/ports.h"
#include "identity/services/config.h"
#include "identity/services/publisher.h"
#include "identity/services/rooms.h"
#include "service/http_server.h"
#include "service/metrics.h"

namespace karta::identity {

class ServiceKeys;

/// The keys of a configuration, opened once for all workers.
Result<std::shared_ptr<const ServiceKeys>> open_service_keys(const ServerConfig& config,
                                                             const AuthorityPorts& ports = {});
/// What TLS needs of them; null where there is none.
std::shared_ptr<const service::HttpTls> tls_of(const ServiceKeys& keys);
/// And of the listener that asks for certificates.
std::shared_ptr<const service::HttpTls> mtls_of(const ServiceKeys& keys);
const RoomKeys& rooms_of(const ServiceKeys& keys);

/// What handlers share. All must outlive them.
struct HandlerSurroundings {
  const Clock& clock;
  service::Metrics& metrics;
  const Shelves& shelves;
  /// Behind the listener that asks for the certificates of portals and citizens: rooms alone are served there.
  bool mtls = false;
};

Result<std::unique_ptr<service::HttpHandler>> make_service_handler(const ServerConfig& config, const ServiceKeys& keys,
                                                                   const HandlerSurroundings& around);

}  // namespace karta::identity
