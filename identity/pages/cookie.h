// Cookies (RFC 6265) of pages that people log in to.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "service/http_message.h"

namespace karta::identity {

/// The value of the cookie `name`, aliasing the request; empty if there is none, or more than one of that name: which
/// of two is ours nobody can tell.
std::string_view cookie_of(const service::HttpRequest& request, std::string_view name);

/// "Set-Cookie: NAME=VALUE; Path=/; Secure; HttpOnly; SameSite=Lax\r\n", for a name that begins with "__Host-"
/// (RFC 6265bis §4.1.3.2: no other host of the domain can have set it). Lax, as a log-in is begun by another site's
/// link. `life` of 0: until the browser closes.
std::string set_cookie(std::string_view name, std::string_view value, std::chrono::seconds life = {});
/// Takes it away.
std::string drop_cookie(std::string_view name);

}  // namespace karta::identity
