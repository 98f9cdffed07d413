#include "daemon/trust/seen_numbers.h"

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace karta::daemon::detail {
namespace {

constexpr std::size_t kMostOctets = std::size_t{1} << 20;
constexpr std::string_view kSchema = "karta.kartad.seen/1";

std::string key_of(const TrustItemId& item) {
  return std::string(name_of(item.kind)) + "|" + item.region + "|" + item.name;
}

}  // namespace

void SeenNumbers::read() {
  const auto octets = read_file(file_, kMostOctets);
  if (!octets) return;
  const auto document = nlohmann::json::parse(as_text(*octets), nullptr, false);
  if (!document.is_object() || !document.contains("items") || !document["items"].is_object()) return;
  for (const auto& [key, value] : document["items"].items()) {
    if (!value.is_object()) continue;
    const auto epoch = value.find("epoch"), hash = value.find("hash");
    if (epoch == value.end() || !epoch->is_number_unsigned() || hash == value.end() || !hash->is_string()) continue;
    seen_[key] = {epoch->get<std::uint64_t>(), hash->get<std::string>()};
  }
}

Status SeenNumbers::write() const {
  nlohmann::json items = nlohmann::json::object();
  for (const auto& [key, value] : seen_) items[key] = {{"epoch", value.number}, {"hash", value.hash}};
  const std::string text = nlohmann::json{{"schema", kSchema}, {"items", items}}.dump(
                               1, ' ', false, nlohmann::json::error_handler_t::replace) +
                           "\n";
  return replace_file(file_, as_bytes(text), 0600);
}

Status SeenNumbers::check(const TrustItemId& item, std::uint64_t number, const std::string& hash) const {
  const auto found = seen_.find(key_of(item));
  if (found == seen_.end()) return {};
  if (number < found->second.number) {
    return fail(ErrorKind::untrusted, "it has number " + std::to_string(number) + ", and " +
                                          std::to_string(found->second.number) +
                                          " has been seen: an older one is not taken");
  }
  if (number == found->second.number && hash != found->second.hash) {
    return fail(ErrorKind::untrusted, "it differs from what was seen under number " + std::to_string(number));
  }
  return {};
}

Status SeenNumbers::remember(const TrustItemId& item, std::uint64_t number, std::string hash) {
  Seen& place = seen_[key_of(item)];
  if (place.number == number && place.hash == hash) return {};
  const Seen before = place;
  place = {number, std::move(hash)};
  if (read_only_) return {};
  auto written = write();
  if (!written) place = before;
  return written;
}

}  // namespace karta::daemon::detail
