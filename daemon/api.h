// The daemon's HTTP API: requests in, routes found, callers checked, work given to readers, answers and problems out.
// docs/openapi/kartad.yaml describes it all.
#pragma once

#include <memory>

#include "daemon/works.h"
#include "service/http_server.h"

namespace karta::daemon {

/// A handler for one worker of the server; `works` stays alive as long as a request is at work.
std::unique_ptr<service::HttpHandler> make_api_handler(std::shared_ptr<Works> works);

/// A value of a query string, decoded; empty where it is not there. Fails with `malformed`.
Result<std::string> query_value(std::string_view query, std::string_view name);

}  // namespace karta::daemon
