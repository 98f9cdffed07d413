// What a server's TLS is: versions, ciphers, its certificate and key, and whose certificates it takes from clients.
// Private to the server.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include "base/result.h"
#include "service/http_server.h"

namespace karta::service::serving {

/// `context`: a server's, new. Fails with configuration where certificate, key or roots cannot be used.
Status set_up_tls(boost::asio::ssl::context& context, const HttpTls& tls);

}  // namespace karta::service::serving
