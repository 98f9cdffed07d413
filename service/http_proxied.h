// A connection that a balancer passes on (HttpServerOptions::proxy_protocol_from), until its PROXY header has told
// whose it is. Private to the server.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include "service/http_worker.h"

namespace karta::service::serving {

/// On the worker's thread. The connection counts in Counters::open and awaiting_header already; it begins
/// (start_connection) as that of the address in the header, or ends. `balancer`: who is at the other end in truth.
void await_proxy_header(Socket socket, std::shared_ptr<net::ssl::context> tls, Worker& worker,
                        const IpAddress& balancer);

}  // namespace karta::service::serving
