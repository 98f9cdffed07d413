// HTTP requests to every endpoint of the provider, in process. In the octets, words in braces stand for what a portal
// would have made: {assertion}, {dpop:POST:/openid/token}, {code}, {access}, {uri}; so that what lies behind the first
// check is reached.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "identity/openid/openid_testing.h"
#include "service/log.h"

namespace {

using namespace karta;
using identity::OpenidFixture;

struct World {
  OpenidFixture fixture;
  std::string access;
  World() {
    service::set_up_log({.level = service::LogLevel::error});
    access = fixture.token(fixture.code())["access_token"];
  }
};

std::string filled_in(World& world, std::string_view text) {
  OpenidFixture& fixture = world.fixture;
  std::string out;
  for (int words = 0; !text.empty();) {
    const std::size_t open = text.find('{');
    const std::size_t close = text.find('}', open);
    if (open == std::string_view::npos || close == std::string_view::npos || words++ > 8) break;
    out += text.substr(0, open);
    const std::string_view word = text.substr(open + 1, close - open - 1);
    if (word == "assertion") {
      out += fixture.assertion(fixture.party.at("portal"), "portal");
    } else if (word == "code") {
      out += fixture.code();
    } else if (word == "access") {
      out += world.access;
    } else if (word == "uri") {
      out += fixture.push();
    } else if (word.starts_with("dpop:")) {
      const std::string_view rest = word.substr(5);
      const std::size_t colon = rest.find(':');
      const std::string_view path = colon == std::string_view::npos ? "" : rest.substr(colon + 1);
      const bool resource = path == "/openid/userinfo";
      // An odd path would only make an odd `htu`; it must be UTF-8 for the writer of JSON.
      if (path.find_first_not_of("abcdefghijklmnopqrstuvwxyz/-") == std::string_view::npos) {
        out += fixture.dpop(fixture.dpop_key, rest.substr(0, colon) == "GET" ? "GET" : "POST", std::string(path),
                            resource ? world.access : "");
      }
    } else {
      out += text.substr(open, close - open + 1);
    }
    text.remove_prefix(close + 1);
  }
  return out + std::string(text);
}

/// The head's length counts the form as it stood before words were filled in: it is written anew.
std::string wire_of(std::string whole) {
  const std::size_t end = whole.find("\r\n\r\n");
  if (end == std::string::npos || !whole.starts_with("POST ")) return whole;
  return whole.substr(0, end) + "\r\nContent-Length: " + std::to_string(whole.size() - end - 4) + whole.substr(end);
}

World* world = nullptr;

}  // namespace

// Made before the first input: what making it runs through would count as that input's own, and seeds that take the
// same way as nothing new.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  world = new World;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string wire = wire_of(filled_in(*world, as_text({data, size})));
  const auto done = service::with_parsed_request(as_bytes(wire), [&](const service::HttpRequest& request) {
    const service::HttpResponse response = world->fixture.routes->answer(request);
    if (service::reason_phrase(response.status).empty()) std::abort();
    // A field that a client's octets could end early would be two.
    std::string_view fields = response.fields;
    while (!fields.empty()) {
      const std::size_t line = fields.find("\r\n");
      if (line == std::string_view::npos || fields.substr(0, line).find(": ") == std::string_view::npos) std::abort();
      fields.remove_prefix(line + 2);
    }
  });
  (void)done;
  return 0;
}
