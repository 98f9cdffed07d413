#include "daemon/request_body.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <vector>

#include "crypto/kdf.h"
#include "identity/utf8.h"

namespace karta::daemon {
namespace {

constexpr int kMostDepth = 16;
constexpr std::string_view kNotEssential[] = {"can", "new_pin", "pin", "puk", "reader"};
constexpr std::string_view kPrivate[] = {"mail"};

bool is_among(const std::string& name, std::span<const std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::string dump(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace); }

tl::unexpected<Error> bad(std::string_view name, const std::string& what) {
  return fail(ErrorKind::usage, "\"" + std::string(name) + "\" " + what, "docs/openapi/kartad.yaml has every member");
}

}  // namespace

Result<Json> parse_object(ByteView octets) {
  bool deep = false, twice = false;
  std::vector<std::set<std::string>> names;  // of the objects that are open
  const auto watch = [&](int depth, Json::parse_event_t event, Json& part) {
    using Event = Json::parse_event_t;
    deep = deep || depth > kMostDepth;
    if (event == Event::object_start) names.emplace_back();
    if (event == Event::object_end) names.pop_back();
    if (event == Event::key) twice = twice || !names.back().insert(part.get_ref<const std::string&>()).second;
    return !deep && !twice;
  };
  Json document = Json::parse(octets.begin(), octets.end(), watch, /*allow_exceptions=*/false);
  if (deep) return fail(ErrorKind::malformed, "the body is nested too deeply");
  // RFC 8259 §4: readers differ in which of the two they take.
  if (twice) return fail(ErrorKind::malformed, "a member stands in the body twice");
  if (document.is_discarded()) return fail(ErrorKind::malformed, "the body is no JSON");
  if (!document.is_object()) return fail(ErrorKind::malformed, "the body is no JSON object");
  return document;
}

const Json* RequestBody::find(std::string_view name) {
  asked_.emplace(name);
  const auto found = object_.find(name);
  return found == object_.end() ? nullptr : &*found;
}

bool RequestBody::has(std::string_view name) const { return object_.contains(name); }

Result<std::string> RequestBody::text(std::string_view name, std::size_t most) {
  const Json* const value = find(name);
  if (value == nullptr) return bad(name, "is missing");
  if (!value->is_string()) return bad(name, "must be a text");
  const auto& text = value->get_ref<const std::string&>();
  const bool control =
      std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
  if (text.empty() || identity::characters_of(text) > most || control) {
    return bad(name, "must be 1 to " + std::to_string(most) + " characters, none of them a control character");
  }
  return text;
}

Result<std::string> RequestBody::text_or(std::string_view name, std::string_view otherwise, std::size_t most) {
  if (find(name) == nullptr) return std::string(otherwise);
  return text(name, most);
}

Result<std::int64_t> RequestBody::integer(std::string_view name, std::int64_t least, std::int64_t most) {
  const Json* const value = find(name);
  if (value == nullptr) return bad(name, "is missing");
  const std::string range = std::to_string(least) + " to " + std::to_string(most);
  if (!value->is_number_integer()) return bad(name, "must be a whole number, " + range);
  // What does not fit 64 bits is told as unsigned or as a float.
  if (value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(most)) {
    return bad(name, "must be " + range);
  }
  const auto number = value->get<std::int64_t>();
  if (number < least || number > most) return bad(name, "must be " + range);
  return number;
}

Result<std::int64_t> RequestBody::integer_or(std::string_view name, std::int64_t least, std::int64_t most,
                                             std::int64_t otherwise) {
  if (find(name) == nullptr) return otherwise;
  return integer(name, least, most);
}

Result<bool> RequestBody::boolean_or(std::string_view name, bool otherwise) {
  const Json* const value = find(name);
  if (value == nullptr) return otherwise;
  if (!value->is_boolean()) return bad(name, "must be true or false");
  return value->get<bool>();
}

Result<SecretBytes> RequestBody::digits(std::string_view name, std::size_t least, std::size_t most) {
  const Json* const value = find(name);
  if (value == nullptr) return bad(name, "is missing");
  const std::string what = "must be " + std::to_string(least) +
                           (least == most ? std::string() : " to " + std::to_string(most)) + " digits, as a text";
  if (!value->is_string()) return bad(name, what);
  const auto& text = value->get_ref<const std::string&>();
  const bool digits = std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || text.size() < least || text.size() > most) return bad(name, what);
  return SecretBytes::copy_of(text);
}

Status RequestBody::finish() const {
  for (const auto& [name, value] : object_.items()) {
    if (!asked_.contains(name)) return bad(name, "is no member of this request");
  }
  return {};
}

std::string essence_of(const Json& object, const SecretBytes& key, std::string_view deed) {
  nlohmann::json sorted = nlohmann::json::object();
  for (const auto& [name, value] : object.items()) {
    if (is_among(name, kNotEssential)) continue;
    if (!is_among(name, kPrivate)) {
      sorted[name] = value;
      continue;
    }
    // Each part ends with an octet no JSON text and no key of a caller's has.
    const std::string text = name + '\0' + std::string(deed) + '\0' + dump(value);
    const SecretBytes hash = crypto::hmac(crypto::Hash::sha256, key.expose_secret(), {as_bytes(text)});
    sorted[name] = to_hex(hash.expose_secret());
  }
  return sorted.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace karta::daemon
