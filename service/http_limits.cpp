#include "service/http_limits.h"

#include <algorithm>

#include "service/configuration.h"
#include "service/http_listening.h"

namespace karta::service {

Status read_http_limits(ConfigTable& table, const HttpLimitBounds& bounds, HttpLimits& out) {
  struct CountRow {
    std::string_view key;
    std::int64_t least, most;
    std::size_t HttpLimits::*field;
  };
  const CountRow counts[] = {
      {"header_octets", 1024, 1 << 20, &HttpLimits::header_octets},
      {"body_octets", 1024, bounds.body_octets, &HttpLimits::body_octets},
      {"connections", 1, bounds.connections, &HttpLimits::connections},
      {"connections_per_address", 1, bounds.connections, &HttpLimits::connections_per_address},
      {"requests_per_second", 0, 1'000'000, &HttpLimits::requests_per_second},
  };
  for (const CountRow& row : counts) {
    out.*row.field = static_cast<std::size_t>(
        TRY(table.integer_or(row.key, row.least, row.most, static_cast<std::int64_t>(out.*row.field))));
  }
  if (bounds.later) {
    constexpr std::int64_t kMost = 10'000;
    out.later_responses = static_cast<std::size_t>(
        TRY(table.integer_or("waiting", 1, kMost, static_cast<std::int64_t>(out.later_responses))));
    out.streams = static_cast<std::size_t>(
        TRY(table.integer_or("event_streams", 1, kMost, static_cast<std::int64_t>(out.streams))));
  }
  struct TimeRow {
    std::string_view key;
    std::chrono::seconds HttpLimits::*field;
  };
  constexpr TimeRow kTimes[] = {{"request_seconds", &HttpLimits::request_time},
                                {"answer_seconds", &HttpLimits::answer_time},
                                {"idle_seconds", &HttpLimits::idle_time},
                                {"stop_seconds", &HttpLimits::stop_time}};
  for (const TimeRow& row : kTimes) {
    out.*row.field = std::chrono::seconds(TRY(table.integer_or(row.key, 1, 3600, (out.*row.field).count())));
  }
  return {};
}

Result<std::vector<std::string>> read_listen(ConfigTable& table, std::string_view key) {
  std::vector<std::string> out = TRY(table.texts(key));
  for (const std::string& one : out) {
    if (serving::is_listening_address(one)) continue;
    return table.bad(key, "holds \"" + one +
                              "\", which is no address to listen at: \"ADDRESS:PORT\", \"[IPv6]:PORT\", "
                              "\"unix:/PATH\", \"systemd:NAME\" or \"fd:NUMBER\"");
  }
  return out;
}

Result<std::vector<Network>> read_proxy_protocol_from(ConfigTable& table, std::string_view key,
                                                      const std::vector<std::string>& listen) {
  std::vector<Network> out;
  for (const std::string& text : TRY(table.texts(key))) {
    const auto network = Network::from_text(text);
    if (!network) return table.bad(key, "names balancers: " + network.error().message + ": " + network.error().hint);
    if (network->bits() == 0)
      return table.bad(key, "names balancers: \"" + text + "\" lets everybody claim any address");
    out.push_back(*network);
  }
  const bool is_local = std::all_of(listen.begin(), listen.end(), [](auto& one) { return one.starts_with("unix:"); });
  if (!out.empty() && is_local) return table.bad(key, "is of no use: local sockets bring no PROXY header");
  return out;
}

}  // namespace karta::service
