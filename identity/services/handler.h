// ServiceHandler: the routes of karta-identity, for one worker of the HTTP server.
//
//   POST /ocsp, GET /ocsp/BASE64      OCSP (RFC 6960 appendix A, RFC 5019)
//   GET  /crl/CA.crl, /crl/CA/delta.crl, /crl/CA/ca.crl, /crl/CA/user.crl
//   GET  /ca/CA.cer                   the authority's certificate
//   POST /tsa                         time-stamps (RFC 3161 §3.4)
//   GET  /trust-list
//   /v1/...                           the authority on line (authority/routes.h)
//   GET  /healthz, /metrics
#pragma once

#include <memory>

#include "identity/authority/ports.h"
#include "identity/services/config.h"
#include "identity/services/publisher.h"
#include "service/http_server.h"
#include "service/metrics.h"

namespace karta::identity {

class ServiceKeys;

/// The keys of a configuration, opened once for all workers.
Result<std::shared_ptr<const ServiceKeys>> open_service_keys(const ServerConfig& config,
                                                             const AuthorityPorts& ports = {});
/// What TLS needs of them; null where there is none.
std::shared_ptr<const service::HttpTls> tls_of(const ServiceKeys& keys);

/// What handlers share. All must outlive them.
struct HandlerSurroundings {
  const Clock& clock;
  service::Metrics& metrics;
  const Shelves& shelves;
};

Result<std::unique_ptr<service::HttpHandler>> make_service_handler(const ServerConfig& config, const ServiceKeys& keys,
                                                                   const HandlerSurroundings& around);

}  // namespace karta::identity
