// What went wrong at the other end, read from a server's answer (RFC 9457).
#pragma once

#include "base/error.h"
#include "service/http_client.h"

namespace karta::identity {

/// The error an answer tells of; of its status alone where it does not say.
Error error_of(const service::HttpReply& reply);

}  // namespace karta::identity
