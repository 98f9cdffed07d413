#include "crypto/jose/json_object.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace karta::crypto {
namespace {

using Json = nlohmann::ordered_json;

/// Builds the document while it is read: a plain parse would keep the last of two members of one name, and nest as deep
/// as the text says.
class StrictBuilder final : public nlohmann::json_sax<Json> {
 public:
  Json root;
  std::optional<Error> error;

  bool null() override { return value(nullptr); }
  bool boolean(bool it) override { return value(it); }
  bool number_integer(number_integer_t it) override { return value(it); }
  bool number_unsigned(number_unsigned_t it) override { return value(it); }
  bool number_float(number_float_t it, const string_t&) override { return value(it); }
  bool string(string_t& it) override { return value(std::move(it)); }
  bool binary(binary_t&) override { return bad("binary values"); }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool key(string_t& name) override {
    if (stack_.back()->contains(name)) return bad("a member stands in it twice");
    member_ = std::move(name);
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return bad("it does not follow RFC 8259");
  }

 private:
  bool bad(const char* what, ErrorKind kind = ErrorKind::malformed) {
    if (!error) error = Error{kind, std::string("JSON: ") + what, {}};
    return false;
  }
  Json* place(Json&& it) {
    if (++values_ > JsonObject::kMostValues) {
      bad("more than 1024 values", ErrorKind::limit);
      return nullptr;
    }
    if (stack_.empty()) {
      root = std::move(it);
      return &root;
    }
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(it));
      return &parent.back();
    }
    // Members of a parent are only made while nothing below it is open, so addresses on the stack stay.
    return &(parent[std::exchange(member_, {})] = std::move(it));
  }
  bool value(Json it) { return place(std::move(it)) != nullptr; }
  bool open(Json&& it) {
    if (stack_.size() == JsonObject::kMostDepth) return bad("nested too deep", ErrorKind::limit);
    if (stack_.empty() && !it.is_object()) return bad("it is no object");
    Json* const placed = place(std::move(it));
    if (placed == nullptr) return false;
    stack_.push_back(placed);
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }

  std::vector<Json*> stack_;
  std::string member_;
  std::size_t values_ = 0;
};

constexpr double kMostDate = 253402300799.0;  // 9999-12-31T23:59:59Z

}  // namespace

struct JsonObject::Data {
  Json json;
};

JsonObject::JsonObject() {
  static const auto empty = std::make_shared<const Data>(Data{Json::object()});
  data_ = empty;
}

Result<JsonObject> JsonObject::parse(std::string_view text) {
  if (text.size() > kMostOctets) return fail(ErrorKind::limit, "JSON: larger than 64 KiB");
  StrictBuilder builder;
  // A byte order mark would be skipped (RFC 8259 §8.1 lets a reader do so; two texts would then be one).
  if (text.starts_with("\xEF\xBB\xBF")) return fail(ErrorKind::malformed, "JSON: a byte order mark");
  const bool whole = Json::sax_parse(text.begin(), text.end(), &builder);
  if (!whole || builder.error) {
    return fail(builder.error.value_or(Error{ErrorKind::malformed, "JSON: it does not follow RFC 8259", {}}));
  }
  if (!builder.root.is_object()) return fail(ErrorKind::malformed, "JSON: it is no object");
  return JsonObject(std::make_shared<const Data>(Data{std::move(builder.root)}));
}

namespace {

const Json* member(const Json& json, std::string_view name) {
  const auto found = json.find(name);
  return found == json.end() ? nullptr : &*found;
}

}  // namespace

bool JsonObject::has(std::string_view name) const { return member(data_->json, name) != nullptr; }
std::size_t JsonObject::size() const { return data_->json.size(); }

std::vector<std::string> JsonObject::names() const {
  std::vector<std::string> out;
  out.reserve(size());
  for (const auto& [name, value] : data_->json.items()) out.push_back(name);
  return out;
}

std::optional<std::string> JsonObject::text(std::string_view name) const {
  const Json* const it = member(data_->json, name);
  if (it == nullptr || !it->is_string()) return std::nullopt;
  return it->get<std::string>();
}

std::optional<std::int64_t> JsonObject::integer(std::string_view name) const {
  const Json* const it = member(data_->json, name);
  if (it == nullptr || !it->is_number_integer()) return std::nullopt;
  if (it->is_number_unsigned() && it->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
  return it->get<std::int64_t>();
}

std::optional<bool> JsonObject::boolean(std::string_view name) const {
  const Json* const it = member(data_->json, name);
  if (it == nullptr || !it->is_boolean()) return std::nullopt;
  return it->get<bool>();
}

std::optional<std::vector<std::string>> JsonObject::texts(std::string_view name) const {
  const Json* const it = member(data_->json, name);
  if (it == nullptr || !it->is_array()) return std::nullopt;
  std::vector<std::string> out;
  for (const Json& one : *it) {
    if (!one.is_string()) return std::nullopt;
    out.push_back(one.get<std::string>());
  }
  return out;
}

std::optional<JsonObject> JsonObject::object(std::string_view name) const {
  const Json* const it = member(data_->json, name);
  if (it == nullptr || !it->is_object()) return std::nullopt;
  return JsonObject(std::make_shared<const Data>(Data{*it}));
}

std::optional<std::vector<JsonObject>> JsonObject::objects(std::string_view name) const {
  const Json* const it = member(data_->json, name);
  if (it == nullptr || !it->is_array()) return std::nullopt;
  std::vector<JsonObject> out;
  for (const Json& one : *it) {
    if (!one.is_object()) return std::nullopt;
    out.push_back(JsonObject(std::make_shared<const Data>(Data{one})));
  }
  return out;
}

std::optional<std::string> JsonObject::json(std::string_view name) const {
  const Json* const it = member(data_->json, name);
  if (it == nullptr) return std::nullopt;
  return it->dump();
}

std::optional<std::int64_t> JsonObject::numeric_date(std::string_view name) const {
  const Json* const it = member(data_->json, name);
  if (it == nullptr || !it->is_number()) return std::nullopt;
  const double value = it->get<double>();
  if (!(value >= 0 && value <= kMostDate)) return std::nullopt;
  return static_cast<std::int64_t>(std::floor(value));
}

std::string JsonObject::dump() const { return data_->json.dump(); }

std::string json_quoted(std::string_view text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace karta::crypto
