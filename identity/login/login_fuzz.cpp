// HTTP requests to the log-in's and the citizen's pages, in process: whatever comes, a whole answer goes out, no field
// is ended early, and markup that was sent comes back as text.
//
// The first octet says whose pages; in the rest {ticket}, {csrf}, {state}, {session}, {proof} and {card} stand for what
// the server gave to this browser before, so that requests get past the marks it puts on everything; {length} for that
// of the body.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "identity/login/login_testing.h"
#include "service/log.h"

namespace {

using namespace karta;
using namespace karta::identity;

struct World {
  LoginWorld login;
  TestBrowser browser{login};
  std::map<std::string, std::string> given;

  World() {
    service::set_up_log({.level = service::LogLevel::error});
    const std::string page = text_of(browser.begin(login.ask("one")));
    const auto agent = read_agent_request(location_of(browser.get(attribute_after(page, "button main", "href"))));
    const std::string token = token_of(login.card, agent.origin, agent.nonce);
    const std::string consent =
        location_of(browser.get("/login/answer?state=" + agent.state + "&token=" + to_base64url(as_bytes(token))));
    const std::string form = text_of(browser.get(consent));
    given = {{"{ticket}", hidden_value(form, "ticket")},
             {"{proof}", hidden_value(form, "proof")},
             {"{csrf}", hidden_value(form, "csrf")},
             {"{state}", agent.state},
             {"{card}", format_id(login.card.card.id)}};
    std::string jar;
    for (const auto& [name, value] : browser.cookies) jar += (jar.empty() ? "" : "; ") + name + "=" + value;
    given["{session}"] = jar;
  }

  std::string fill(std::string text) const {
    for (const auto& [mark, value] : given) {
      for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += value.size()) {
        text.replace(at, mark.size(), value);
      }
    }
    const std::size_t body = text.find("\r\n\r\n"), length = text.find("{length}");
    if (body != std::string::npos && length < body) {
      text.replace(length, 8, std::to_string(text.size() - body - 4));
    }
    return text;
  }
};

World* world = nullptr;

}  // namespace

// Made before the first input: what making it runs through would count as that input's own, and seeds that take the
// same way as nothing new.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  world = new World;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  world->login.ask("one");
  RoomRoutes* const rooms[] = {world->login.pages.get(), world->login.own_pages.get(),
                               world->login.certificate_pages.get()};
  RoomRoutes& room = *rooms[data[0] % std::size(rooms)];
  const std::string wire = world->fill(std::string(as_text({data + 1, size - 1})));
  const auto done = service::with_parsed_request(as_bytes(wire), [&](const service::HttpRequest& request) {
    service::HttpRequest asked = request;
    if (asked.count("X-Certificate") != 0) asked.shown_certificate = world->login.card.certificate.der();
    const service::HttpResponse response = room.answer(asked);
    if (service::reason_phrase(response.status).empty()) std::abort();
    std::string_view fields = response.fields;
    while (!fields.empty()) {
      const std::size_t end = fields.find("\r\n");
      if (end == std::string_view::npos || fields.substr(0, end).find(": ") == std::string_view::npos) std::abort();
      fields.remove_prefix(end + 2);
    }
    if (as_text(response.content()).find("<q7") != std::string_view::npos) std::abort();
  });
  (void)done;
  return 0;
}
