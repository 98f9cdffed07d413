// A request as it comes from the wire, before the guard of a loopback server: what it lets in names this server and no
// other, whatever else stands in the request.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "service/http_message.h"
#include "service/loopback_guard.h"

using namespace karta::service;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const LoopbackGuard guard({"localhost", "[::1]"}, {7710});
  static const BearerTokens tokens = [] {
    BearerTokens out;
    if (!out.add("owner", token_hash("token"))) std::abort();
    return out;
  }();
  const auto done = with_parsed_request({data, size}, [](const HttpRequest& request) {
    const bool owned = tokens.owner_of(request.field("Authorization")) != nullptr;
    if (owned && !request.field("Authorization").ends_with(" token")) std::abort();
    if (guard.check(request)) return;
    std::string host(request.field("Host"));
    for (char& c : host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    if (host != "localhost:7710" && host != "[::1]:7710") std::abort();
    if (request.count("Origin") != 0) {
      const std::string_view origin = request.field("Origin");
      if (request.count("Origin") != 1 || origin.size() != host.size() + 7) std::abort();
    }
    if (request.field("Sec-Fetch-Site").find("site") != std::string_view::npos) std::abort();
  });
  (void)done;
  return 0;
}
