// HTTP requests to the operator's console, in process: whatever comes, a whole answer goes out, no field is ended
// early, and markup that was sent comes back as text.
//
// Requests come from an operator who has logged in, but those with the field X-Stranger. Words in braces stand for what
// there is: {card}, {citizen}, {request}, {terminal} and {csrf}, the mark of the console's forms. {length} stands for
// that of the body.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <map>

#include "crypto/testing.h"
#include "identity/console/console_routes.h"
#include "identity/requests/request_ledger.h"
#include "identity/terminals.h"
#include "service/database_testing.h"
#include "service/log.h"

namespace {

using namespace karta;
using namespace karta::identity;
using crypto::testing::must;
using service::HttpRequest;
using service::HttpResponse;

constexpr const char* kOrigin = "https://id.example";

struct World {
  crypto::testing::TemporaryFolder folder;
  FixedClock clock{*parse_time("2026-11-22T06:00:00Z")};
  SystemRandom random;
  service::Metrics metrics;
  const Cause cause{"test", "the next input needs it"};
  const std::string url = service::test_database_url(folder / "registry.sqlite");
  Registry registry = must(Registry::create(url, clock, random));
  service::Database database = must(service::Database::open(url));
  std::shared_ptr<service::GroupCommit> writes = must(service::GroupCommit::open(url));
  RoomSurroundings around{clock, random, metrics, registry, database, *writes};
  TerminalLedger terminals{must(Registry::open(url, clock, random))};
  CitizenId citizen = add_citizen(1, "Образцов"), person = add_citizen(2, "Операторова");
  CardId card{};
  int cards = 0, invitations = 0;
  std::string cookie;
  std::unique_ptr<RoomRoutes> routes;
  std::map<std::string, std::string> given;

  World() {
    service::set_up_log({.level = service::LogLevel::error});
    ConsoleConfig config;
    config.operators.push_back({"registrar", person, "", 0x3F});
    routes = must(open_console_routes(config, url, {.address = kOrigin, .log_in_address = kOrigin}, around));
    given["{citizen}"] = format_id(citizen);
    keep_request();
    restore();
  }

  CitizenId add_citizen(std::uint32_t number, const std::string& family) {
    Citizen one;
    one.snils = Snils::from_number(990'000'000 + number);
    one.family = family;
    one.given = "Пример";
    one.birth_date = *parse_date("1990-05-17");
    one.sex = Sex::male;
    if (!complete(one, *parse_date("2026-11-21")).empty()) std::abort();
    return must(registry.add_citizen(one, cause));
  }
  void keep_request() {
    RequestState state;
    state.id = std::string(31, '0') + "1";
    state.citizen = citizen;
    state.from = "pension-fund";
    state.to = "tax-service";
    state.subjects = {"income"};
    state.hash = Bytes(32, 7);
    state.received = clock.now();
    state.deadline = clock.now() + std::chrono::hours(24);
    const Purpose purpose{"department:pension-fund", "reckon a pension", "12-7", "Act 7, article 3"};
    must(RequestLedger(registry).keep(state, purpose, as_bytes("request"), as_bytes("a receipt"), std::nullopt));
    given["{request}"] = state.id;
  }

  /// What an input took from those after it: the operator's log-in, a card that is in use, a terminal to be revoked.
  void restore() {
    Sessions sessions(around);
    HttpRequest with_cookie;
    with_cookie.fields.push_back({"Cookie", cookie});
    if (!must(sessions.find(with_cookie))) {
      HttpRequest plain;
      plain.path = "/login";
      const OpenedSession opened = must(sessions.begin(plain, {.citizen = person, .acr = "high", .amr = {"pin"}}));
      const std::string_view fields = opened.fields;
      const std::size_t from = fields.find("__Host-karta-session");
      cookie = fields.substr(from, fields.find(';', from) - from);
      given["{csrf}"] = opened.session.csrf;
    }
    if (cards == 0 || must(registry.card(card)).state != CardState::active) {
      // One at a time: the one before may be held or sent off.
      card = must(registry.order_card({.citizen = citizen, .profile = "citizen"}, cause)).id;
      const std::string serial = to_hex(random.bytes(8));
      must(registry.produce_card(card, serial, clock.now() + std::chrono::days(900), cause));
      must(registry.change_card_state(card, CardState::active, cause));
      ++cards;
      given["{card}"] = format_id(card);
    }
    const std::string name = "clinic-" + std::to_string(invitations);
    if (invitations == 0 || must(terminals.find(name)).state != TerminalState::invited) {
      given["{terminal}"] = "clinic-" + std::to_string(++invitations);
      must(terminals.invite(given["{terminal}"], "clinic", "XXCL", std::chrono::hours(24), cause));
    }
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

void check(const HttpResponse& response) {
  if (service::reason_phrase(response.status).empty()) std::abort();
  std::string_view fields = response.fields;
  while (!fields.empty()) {
    const std::size_t end = fields.find("\r\n");
    if (end == std::string_view::npos || fields.substr(0, end).find(": ") == std::string_view::npos) std::abort();
    fields.remove_prefix(end + 2);
  }
  if (as_text(response.content()).find("<q7") != std::string_view::npos) std::abort();
}

}  // namespace

// Made before the first input: see login_fuzz.cpp.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  world = new World;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string wire = world->fill(std::string(as_text({data, size})));
  const auto done = service::with_parsed_request(as_bytes(wire), [&](const HttpRequest& request) {
    HttpRequest asked = request;
    if (!asked.path.starts_with("/console")) return;
    asked.peer = "192.0.2.1";
    if (asked.count("X-Stranger") == 0) asked.fields.push_back({"Cookie", world->cookie});
    check(world->routes->answer(asked));
    world->restore();
  });
  (void)done;
  return 0;
}
