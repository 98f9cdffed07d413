// HttpConnection: one connection from its handshake to its end: requests read and judged, given to the worker's
// handler, answered at once, later, or as a stream. Private to the server.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include "service/http_worker.h"

namespace karta::service::serving {

/// On the worker's thread. The connection is the worker's until it ends by itself. `tls`: null for plain HTTP; the
/// connection keeps it.
void start_connection(Socket socket, std::shared_ptr<net::ssl::context> tls, Worker& worker, std::shared_ptr<Peer> peer,
                      Remote remote);

/// Says 503 where it can be said in the clear, and no more: the caller closes.
void turn_away(Socket& socket, bool encrypted);

}  // namespace karta::service::serving
