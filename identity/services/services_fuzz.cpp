// HTTP requests to every route of karta-identity, in process: whatever comes, an answer goes out, and the state of the
// registry is as before.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "identity/services/services_testing.h"

using karta::identity::ServicesFixture;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const karta::FixedClock clock(*karta::parse_time("2026-11-22T06:00:00Z"));
  static ServicesFixture* const fixture = [] {
    auto* out = new ServicesFixture(clock);
    out->register_serial(1);
    return out;
  }();
  static const auto handler = fixture->handler();
  const auto done = karta::service::with_parsed_request({data, size}, [&](const karta::service::HttpRequest& request) {
    const karta::service::HttpResponse response = handler->handle(request);
    if (karta::service::reason_phrase(response.status).empty()) std::abort();
    // A field that a client's octets could end early would be two.
    std::string_view fields = response.fields;
    while (!fields.empty()) {
      const std::size_t end = fields.find("\r\n");
      if (end == std::string_view::npos || fields.substr(0, end).find(": ") == std::string_view::npos) std::abort();
      fields.remove_prefix(end + 2);
    }
  });
  (void)done;
  return 0;
}
