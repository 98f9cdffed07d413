#include "identity/console/console_routes.h"

#include <algorithm>
#include <array>

#include "identity/console/console_pages.h"

namespace karta::identity {

namespace words = console_words;
using service::HttpMethod;
using service::HttpResponse;

ConsolePages::ConsolePages(const ConsoleConfig& config, Registry terminals, ConsoleOptions options,
                           const RoomSurroundings& around)
    : config_(config),
      around_(around),
      clock_(around.clock),
      registry_(around.registry),
      options_(std::move(options)),
      sessions_(around, options_.sessions, options_.ending),
      departments_(around.registry),
      requests_(around.registry),
      acts_(around.registry),
      terminals_(std::move(terminals)),
      steps_(around.metrics.counter("karta_console_acts_total", "Acts of operators in the console",
                                    {{"kind", "card-step"}})),
      looks_(
          around.metrics.counter("karta_console_acts_total", "Acts of operators in the console", {{"kind", "look"}})),
      refused_(around.metrics.counter("karta_console_refusals_total", "Requests to the console refused")) {}

HttpResponse ConsolePages::answer(const HttpRequest& request) {
  const bool reads = request.method == HttpMethod::get || request.method == HttpMethod::head;
  if (!reads && request.method != HttpMethod::post) {
    HttpResponse out = HttpResponse::text(405, "not in this way");
    out.fields += "Allow: GET, HEAD, POST\r\n";
    return out;
  }
  Visit visit{request, nullptr, language_of(request), {}, {}, {}};
  if (auto refusal = identify(visit)) return std::move(*refusal);
  return dispatch(visit, reads);
}

HttpResponse ConsolePages::dispatch(Visit& visit, bool reads) {
  std::string_view rest = visit.request.path.substr(kHome.size());
  if (rest.starts_with('/')) rest.remove_prefix(1);
  const std::size_t slash = rest.find('/');
  const std::string_view room = rest.substr(0, slash);
  const std::string_view name = slash == std::string_view::npos ? std::string_view() : rest.substr(slash + 1);
  if (room.empty()) return reads ? overview(visit) : nothing_here(visit);
  struct Room {
    std::string_view name;
    std::string_view section;
    ConsoleScope scope;
    HttpResponse (ConsolePages::*answer)(Visit&, std::string_view name, bool reads);
  };
  static constexpr auto kRooms = std::to_array<Room>({
      {"find", "/console/find", ConsoleScope::find, &ConsolePages::answer_find},
      {"citizens", "/console/find", ConsoleScope::find, &ConsolePages::answer_citizen},
      {"cards", "/console/find", ConsoleScope::find, &ConsolePages::answer_card},
      {"terminals", "/console/terminals", ConsoleScope::terminals, &ConsolePages::answer_terminals},
      {"numbers", "/console/numbers", ConsoleScope::counters, &ConsolePages::answer_numbers},
      {"requests", "/console/requests", ConsoleScope::requests, &ConsolePages::answer_requests},
      {"acts", "/console/acts", ConsoleScope::acts, &ConsolePages::answer_acts},
  });
  const auto found = std::ranges::find(kRooms, room, &Room::name);
  if (found == kRooms.end()) return nothing_here(visit);
  visit.section = found->section;
  if (!visit.person->may(found->scope)) return forbidden(visit);
  return (this->*found->answer)(visit, name, reads);
}

std::optional<HttpResponse> ConsolePages::take_form(const Visit& visit, FormData& form) {
  auto read = FormData::of_body(visit.request);
  if (!read) return error_page(visit, read.error());
  if (!comes_from_own_page(visit.request, options_.address) || !has_csrf(*read, visit.csrf)) {
    refused_.add();
    return message(visit, 403, NoticeKind::bad, words::kFormOver, visit.in(words::kFormOverText));
  }
  form = std::move(*read);
  return std::nullopt;
}

Result<std::unique_ptr<RoomRoutes>> open_console_routes(const ConsoleConfig& config, const std::string& database,
                                                        ConsoleOptions options, const RoomSurroundings& around) {
  Registry registry = TRY(Registry::open(database, around.clock, around.random, service::kServingDatabase));
  return std::unique_ptr<RoomRoutes>(
      std::make_unique<ConsolePages>(config, std::move(registry), std::move(options), around));
}

}  // namespace karta::identity
