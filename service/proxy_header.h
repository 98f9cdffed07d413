// ProxyHeader: what a balancer says ahead of a connection's own octets about whose connection it is: the PROXY
// protocol, versions 1 (a line of text) and 2 (binary), as HAProxy's proxy-protocol.txt has it. Who may be believed is
// not asked here: HttpServerOptions::proxy_protocol_from.
#pragma once

#include <optional>

#include "base/result.h"
#include "service/ip_address.h"

namespace karta::service {

struct ProxyHeader {
  /// Of the whole header; behind them begins what is the connection's own. Of version 2 it may be more than has
  /// arrived: what follows the addresses (type-length-value vectors) is not looked at.
  std::size_t octets = 0;
  /// The client's. Nothing: the balancer knows none, speaks of other than TCP, or the connection is its own; the
  /// connection's own address counts.
  std::optional<IpAddress> client = {};
  /// The balancer speaks for itself: it tries whether the server is there (§2.2, LOCAL).
  bool own = false;
};

/// Whose a connection from `balancer` is that begins with `header`. A loopback address is the balancer's own machine:
/// where that is another one, it counts under the balancer's address and opens nothing that is this machine's.
IpAddress client_of(const ProxyHeader& header, const IpAddress& balancer);

/// The longest line of version 1 (§2.1); and as much as has to have arrived of any header to read it.
inline constexpr std::size_t kMostProxyLineOctets = 107;

/// A header from the first octets of a connection. Nothing: they may be the beginning of one; fewer than
/// kMostProxyLineOctets then. Fails with malformed as soon as no octets to come could make a header of them.
Result<std::optional<ProxyHeader>> read_proxy_header(ByteView arrived);

}  // namespace karta::service
