// What a configuration says about an HTTP server's clients: [limits], and whose PROXY headers are believed.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "service/http_server.h"

namespace karta::service {

class ConfigTable;

/// The most a configuration may allow.
struct HttpLimitBounds {
  std::int64_t body_octets = 1 << 24;
  std::int64_t connections = 100'000;
  bool later = false;  ///< there are answers from other threads and streams: "waiting", "event_streams"
};
/// header_octets, body_octets, connections, connections_per_address, requests_per_second, request_seconds,
/// answer_seconds, idle_seconds, stop_seconds; what is not there stays as `out` has it. Fails with configuration,
/// naming line and key.
Status read_http_limits(ConfigTable& table, const HttpLimitBounds& bounds, HttpLimits& out);

/// HttpServerOptions::listen out of `key`; empty if it is not there. Fails with configuration, naming line and key,
/// where one is not written as an address to listen at.
Result<std::vector<std::string>> read_listen(ConfigTable& table, std::string_view key);

/// HttpServerOptions::proxy_protocol_from out of `key`, a list of addresses and networks; empty if it is not there.
/// `listen`: where those come in. Fails with configuration, naming line and key: no network, all addresses there are,
/// or nothing in `listen` that is reached by TCP.
Result<std::vector<Network>> read_proxy_protocol_from(ConfigTable& table, std::string_view key,
                                                      const std::vector<std::string>& listen);

}  // namespace karta::service
