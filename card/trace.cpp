#include "card/trace.h"

#include <nlohmann/json.hpp>

namespace karta::card {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMostMicroseconds = 1ull << 53;  // what a JSON number holds exactly
constexpr std::uint64_t kMostCount = 1'000'000'000;
constexpr std::size_t kMostOperations = 64, kMostKeys = 64;

tl::unexpected<Error> bad(std::string what) { return fail(ErrorKind::malformed, std::move(what)); }

/// A number from 0 to `most`; `fallback` where it is missing.
Result<std::uint64_t> number_in(const Json& object, const char* name, std::uint64_t most,
                                std::optional<std::uint64_t> fallback = std::nullopt) {
  const auto field = object.find(name);
  if (field == object.end()) {
    if (fallback) return *fallback;
    return bad(std::string("\"") + name + "\" is missing");
  }
  if (!field->is_number_unsigned() || field->get<std::uint64_t>() > most) {
    return bad(std::string("\"") + name + "\" is no number that fits");
  }
  return field->get<std::uint64_t>();
}

Result<Bytes> octets_in(const Json& object, const char* name) {
  const auto field = object.find(name);
  if (field == object.end() || !field->is_string()) return bad(std::string("\"") + name + "\" is missing");
  return from_hex(field->get_ref<const std::string&>());
}

Result<CardCounts> counts_in(const Json& object) {
  if (!object.is_object()) return bad("\"counts\" is no object");
  CardCounts counts;
  const auto take = [&](const char* name, std::uint64_t& into) -> Status {
    into = TRY(number_in(object, name, kMostCount, 0));
    return {};
  };
  TRY(take("aes", counts.aes));
  TRY(take("aes_blocks", counts.aes_blocks));
  TRY(take("aes_keys", counts.aes_keys));
  TRY(take("hash", counts.hash));
  TRY(take("hash_blocks", counts.hash_blocks));
  TRY(take("random", counts.random));
  TRY(take("random_octets", counts.random_octets));
  TRY(take("nvm_writes", counts.nvm_writes));
  TRY(take("nvm_octets", counts.nvm_octets));
  TRY(take("nvm_erases", counts.nvm_erases));
  TRY(take("waited_ms", counts.waited_ms));
  const auto operations = object.find("operations");
  if (operations == object.end()) return counts;
  if (!operations->is_array() || operations->size() > kMostOperations) return bad("\"operations\" is no short list");
  for (const Json& row : *operations) {
    if (!row.is_array() || row.size() != 3 || !row[0].is_string() || !row[1].is_number_unsigned() ||
        !row[2].is_number_unsigned() || row[1].get<std::uint64_t>() > 65'536 ||
        row[2].get<std::uint64_t>() > kMostCount) {
      return bad("an operation is kind, bits, times");
    }
    counts.operations.push_back({row[0].get<std::string>(), row[1].get<unsigned>(), row[2].get<std::uint64_t>()});
  }
  return counts;
}

Result<TraceExchange> exchange_in(const Json& object) {
  TraceExchange out;
  out.at_us = TRY(number_in(object, "at_us", kMostMicroseconds));
  out.card = static_cast<unsigned>(TRY(number_in(object, "card", 65'535)));
  out.command = TRY(octets_in(object, "command"));
  out.hidden_octets = TRY(number_in(object, "hidden_bytes", 70'000, 0));
  out.hidden_at = TRY(number_in(object, "hidden_at", out.command.size(), 0));
  out.response = TRY(octets_in(object, "response"));
  out.hidden_response = TRY(number_in(object, "hidden_response_bytes", 70'000, 0));
  const Bytes status = TRY(octets_in(object, "sw"));
  if (status.size() != 0 && status.size() != 2) return bad("\"sw\" is no status word");
  if (!status.empty()) out.status = StatusWord{load_be16(status)};
  out.gap_us = TRY(number_in(object, "gap_us", kMostMicroseconds, 0));
  out.card_us = TRY(number_in(object, "us", kMostMicroseconds, 0));
  if (const auto counts = object.find("counts"); counts != object.end()) out.counts = TRY(counts_in(*counts));
  if (const auto keys = object.find("keys"); keys != object.end()) {
    if (!keys->is_array() || keys->size() > kMostKeys) return bad("\"keys\" is no short list");
    for (const Json& key : *keys) {
      if (!key.is_string()) return bad("a key is hexadecimal digits");
      Bytes octets = TRY(from_hex(key.get_ref<const std::string&>()));
      out.keys.push_back(SecretBytes(std::move(octets)));
    }
  }
  return out;
}

Result<TraceEvent> event_in(const Json& object) {
  TraceEvent out;
  out.at_us = TRY(number_in(object, "at_us", kMostMicroseconds));
  out.card = static_cast<unsigned>(TRY(number_in(object, "card", 65'535)));
  if (!object["event"].is_string()) return bad("\"event\" is no word");
  out.name = object["event"].get<std::string>();
  if (object.contains("atr")) out.atr = TRY(octets_in(object, "atr"));
  return out;
}

Status add_line(std::string_view line, SessionTrace& trace) {
  const Json object = Json::parse(line, nullptr, false);
  if (!object.is_object()) return bad("no JSON object");
  if (object.contains("trace")) {  // each run of the simulator begins with one
    if (object["trace"] != "karta-apdu") return bad("a trace of another kind");
    const auto version = TRY(number_in(object, "version", 1'000));
    if (version != 1) {
      return fail(ErrorKind::unsupported, "the trace is of version " + std::to_string(version) + ", not 1");
    }
    trace.secrets = trace.secrets || (object.contains("secrets") && object["secrets"] == true);
    return {};
  }
  if (trace.entries.size() == kMaxTraceEntries) return fail(ErrorKind::limit, "too many entries");
  if (object.contains("event")) {
    trace.entries.emplace_back(TRY(event_in(object)));
  } else {
    trace.entries.emplace_back(TRY(exchange_in(object)));
  }
  return {};
}

}  // namespace

Result<SessionTrace> SessionTrace::parse(std::string_view text) {
  if (text.size() > kMaxTraceOctets) return fail(ErrorKind::limit, "the trace is too long");
  SessionTrace trace;
  bool began = false;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos && began) break;
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (line.empty()) continue;
    const std::string place = "line " + std::to_string(number) + ": ";
    if (line.size() > kMaxTraceLine) return fail(ErrorKind::limit, place + "too long for a trace");
    if (!began && line.find("\"trace\"") == std::string_view::npos) {
      return fail(ErrorKind::malformed, place + "no trace begins like this", "record one with karta-sim --record");
    }
    began = true;
    if (const Status added = add_line(line, trace); !added) {
      return fail(added.error().kind, place + added.error().message, added.error().hint);
    }
  }
  if (!began) return fail(ErrorKind::malformed, "the trace is empty", "record one with karta-sim --record");
  return trace;
}

Result<TimeSpent> time_of(const TraceExchange& exchange, CostModel& model) {
  return model.command(exchange.command_octets(), exchange.response_octets(),
                       exchange.counts ? &*exchange.counts : nullptr);
}

}  // namespace karta::card
