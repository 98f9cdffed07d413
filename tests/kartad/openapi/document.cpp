#include "tests/kartad/openapi/document.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <regex>
#include <stdexcept>

namespace karta::test {
namespace {

using Json = nlohmann::json;
using Pointer = Json::json_pointer;

constexpr auto kMethods = std::to_array<std::string_view>({"get", "head", "post", "put", "delete", "patch", "options"});
/// Keywords that check something, and those that only tell.
constexpr auto kChecks = std::to_array<std::string_view>(
    {"$ref", "type", "properties", "required", "additionalProperties", "items", "enum", "const", "allOf", "oneOf",
     "anyOf", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "format"});
constexpr auto kWords = std::to_array<std::string_view>(
    {"title", "description", "examples", "example", "default", "deprecated", "readOnly", "writeOnly", "$comment"});

struct FormatRow {
  std::string_view name;
  const char* pattern;
};
constexpr auto kFormats = std::to_array<FormatRow>({
    {"date-time", R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))"},
    {"date", R"(\d{4}-\d\d-\d\d)"},
    {"int32", nullptr},
    {"int64", nullptr},
    {"double", nullptr},
    {"uri", R"([a-z][a-z0-9+.-]*:.+)"},
    {"password", nullptr},
    {"byte", nullptr},
    {"binary", nullptr},
    {"uri-reference", nullptr},
});

template <class Table>
bool is_among(std::string_view word, const Table& table) {
  return std::find(table.begin(), table.end(), word) != table.end();
}

Json json_of(const YAML::Node& node) {
  switch (node.Type()) {
    case YAML::NodeType::Map: {
      Json out = Json::object();
      for (const auto& item : node) {
        const auto name = item.first.as<std::string>();
        if (out.contains(name)) throw std::runtime_error("\"" + name + "\" stands twice in one mapping");
        out[name] = json_of(item.second);
      }
      return out;
    }
    case YAML::NodeType::Sequence: {
      Json out = Json::array();
      for (const auto& item : node) out.push_back(json_of(item));
      return out;
    }
    case YAML::NodeType::Scalar: {
      const std::string& text = node.Scalar();
      if (node.Tag() == "!") return text;  // quoted
      if (text == "true" || text == "false") return text == "true";
      if (text == "null" || text == "~" || text.empty()) return nullptr;
      static const std::regex number(R"(-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?)");
      return std::regex_match(text, number) ? Json::parse(text) : Json(text);
    }
    default:
      return nullptr;
  }
}

bool has_type(const Json& value, std::string_view type) {
  if (type == "integer") {
    return value.is_number_integer() || (value.is_number_float() && value.get<double>() == std::int64_t(value));
  }
  return (type == "object" && value.is_object()) || (type == "array" && value.is_array()) ||
         (type == "string" && value.is_string()) || (type == "number" && value.is_number()) ||
         (type == "boolean" && value.is_boolean()) || (type == "null" && value.is_null());
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::size_t characters_of(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

bool fits_template(std::string_view pattern, std::string_view path) {
  while (!pattern.empty() && !path.empty()) {
    const std::string_view expected = pattern.substr(0, pattern.find('/', 1));
    const std::string_view given = path.substr(0, path.find('/', 1));
    const bool parameter = expected.starts_with("/{") && expected.ends_with('}');
    if (parameter ? given.size() < 2 : expected != given) return false;
    pattern.remove_prefix(expected.size());
    path.remove_prefix(given.size());
  }
  return pattern.empty() && path.empty();
}

std::string shown(const Json& value) {
  const std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() > 80 ? text.substr(0, 77) + "..." : text;
}

}  // namespace

Json read_yaml(const std::string& text) { return json_of(YAML::Load(text)); }

OpenApi::OpenApi(Json document) : document_(std::move(document)) {
  const Pointer paths("/paths");
  if (!document_.contains(paths)) return;
  for (const auto& [path, item] : document_.at(paths).items()) {
    for (const std::string_view method : kMethods) {
      if (!item.contains(method)) continue;
      std::string upper(method);
      std::transform(upper.begin(), upper.end(), upper.begin(),
                     [](char c) { return static_cast<char>(c - 'a' + 'A'); });
      operations_.push_back({upper, path, paths / path / std::string(method)});
    }
  }
}

const OpenApi::Operation* OpenApi::find(std::string_view method, std::string_view target) const {
  const std::string_view path = target.substr(0, target.find('?'));
  for (const Operation& one : operations_) {
    if (one.method == method && fits_template(one.path, path)) return &one;
  }
  return nullptr;
}

bool OpenApi::knows_path(std::string_view target) const {
  const std::string_view path = target.substr(0, target.find('?'));
  return std::any_of(operations_.begin(), operations_.end(),
                     [&](const Operation& one) { return fits_template(one.path, path); });
}

const Json& OpenApi::resolve(const Json& node, Pointer& where) const {
  const Json* at = &node;
  for (int steps = 0; at->is_object() && at->size() == 1 && at->contains("$ref"); ++steps) {
    const auto reference = at->at("$ref").get<std::string>();
    if (!reference.starts_with("#/") || steps > 20) throw std::runtime_error("\"" + reference + "\" leads nowhere");
    where = Pointer(reference.substr(1));
    if (!document_.contains(where)) throw std::runtime_error("\"" + reference + "\" leads nowhere");
    at = &document_.at(where);
  }
  return *at;
}

std::vector<Json> OpenApi::parameters(const Operation& operation) const {
  std::vector<Json> out;
  for (const Pointer& where : {operation.where.parent_pointer(), operation.where}) {
    const Json& node = document_.at(where);
    if (!node.contains("parameters")) continue;
    for (const Json& one : node.at("parameters")) {
      Pointer place = where;
      out.push_back(resolve(one, place));
    }
  }
  return out;
}

const Json* OpenApi::request_schema(const Operation& operation) const {
  const Json& node = document_.at(operation.where);
  if (!node.contains("requestBody")) return nullptr;
  Pointer place = operation.where / "requestBody";
  const Json& body = resolve(node.at("requestBody"), place);
  const Pointer schema("/content/application~1json/schema");
  if (!body.contains(schema)) return nullptr;
  place = place / "content" / "application/json" / "schema";
  return &resolve(body.at(schema), place);
}

void OpenApi::Outcome::take(Outcome&& other) {
  for (std::string& one : other.complaints) complaints.push_back(std::move(one));
  seen.merge(other.seen);
  members.merge(other.members);
  open = open || other.open;
}

OpenApi::Outcome OpenApi::judge(const Json& schema, const Pointer& where, const Json& value,
                                const std::string& at) const {
  Outcome out = apply(schema, where, value, at);
  if (value.is_object() && !out.open) {
    for (const auto& [name, member] : value.items()) {
      if (!out.members.contains(name)) out.complaints.push_back(at + ": \"" + name + "\" is not documented");
    }
  }
  return out;
}

OpenApi::Outcome OpenApi::apply(const Json& given, const Pointer& given_where, const Json& value,
                                const std::string& at) const {
  Outcome out;
  const auto complain = [&](const std::string& what) { out.complaints.push_back(at + ": " + what); };
  if (given.is_boolean()) {
    out.open = true;
    if (!given.get<bool>()) complain("must not be there");
    return out;
  }
  Pointer where = given_where;
  const Json& schema = resolve(given, where);
  if (schema.contains("$ref")) {
    Pointer place = where;
    const Json& referred = resolve({{"$ref", schema.at("$ref")}}, place);
    out.take(apply(referred, place, value, at));
  }
  if (schema.contains("type")) {
    const Json& type = schema.at("type");
    const auto fits = [&](const Json& one) { return has_type(value, one.get<std::string>()); };
    if (!(type.is_array() ? std::any_of(type.begin(), type.end(), fits) : fits(type))) {
      complain(shown(value) + " is not of type " + shown(type));
      return out;
    }
  }
  if (schema.contains("const") && schema.at("const") != value) {
    complain(shown(value) + " is not " + shown(schema.at("const")));
  }
  if (schema.contains("enum")) {
    const Json& all = schema.at("enum");
    if (std::find(all.begin(), all.end(), value) == all.end()) complain(shown(value) + " is not among " + shown(all));
  }
  if (value.is_string()) {
    const auto text = value.get<std::string>();
    if (schema.contains("pattern") && !std::regex_search(text, std::regex(schema.at("pattern").get<std::string>()))) {
      complain(shown(value) + " does not match " + shown(schema.at("pattern")));
    }
    if (schema.contains("minLength") && characters_of(text) < schema.at("minLength")) complain("is too short");
    if (schema.contains("maxLength") && characters_of(text) > schema.at("maxLength")) complain("is too long");
    if (schema.contains("format")) {
      for (const FormatRow& row : kFormats) {
        if (row.name == schema.at("format") && row.pattern != nullptr &&
            !std::regex_match(text, std::regex(row.pattern))) {
          complain(shown(value) + " is no " + std::string(row.name));
        }
      }
    }
  }
  if (value.is_number()) {
    const auto number = value.get<double>();
    if (schema.contains("minimum") && number < schema.at("minimum").get<double>())
      complain(shown(value) + " is too little");
    if (schema.contains("maximum") && number > schema.at("maximum").get<double>())
      complain(shown(value) + " is too much");
  }
  if (value.is_array()) {
    if (schema.contains("minItems") && value.size() < schema.at("minItems")) complain("has too few items");
    if (schema.contains("maxItems") && value.size() > schema.at("maxItems")) complain("has too many items");
    if (schema.contains("items")) {
      for (std::size_t i = 0; i < value.size(); ++i) {
        Outcome one = judge(schema.at("items"), where / "items", value[i], at + "/" + std::to_string(i));
        one.members.clear();
        one.open = false;
        out.take(std::move(one));
      }
    }
  }
  if (value.is_object()) {
    if (schema.contains("required")) {
      for (const Json& name : schema.at("required")) {
        if (!value.contains(name)) complain("\"" + name.get<std::string>() + "\" is missing");
      }
    }
    const Json none = Json::object();
    const Json& properties = schema.contains("properties") ? schema.at("properties") : none;
    for (const auto& [name, member] : value.items()) {
      if (!properties.contains(name)) continue;
      out.members.insert(name);
      const Pointer place = where / "properties" / name;
      out.seen.insert(place.to_string());
      Outcome one = judge(properties.at(name), place, member, at + "/" + name);
      one.members.clear();
      one.open = false;
      out.take(std::move(one));
    }
    if (schema.contains("additionalProperties") && schema.at("additionalProperties") != Json(false)) {
      out.open = true;
      for (const auto& [name, member] : value.items()) {
        if (properties.contains(name)) continue;
        Outcome one = judge(schema.at("additionalProperties"), where / "additionalProperties", member, at + "/" + name);
        one.members.clear();
        out.take(std::move(one));
      }
    }
  }
  if (schema.contains("allOf")) {
    for (std::size_t i = 0; i < schema.at("allOf").size(); ++i) {
      out.take(apply(schema.at("allOf")[i], where / "allOf" / i, value, at));
    }
  }
  for (const char* const choice : {"oneOf", "anyOf"}) {
    if (!schema.contains(choice)) continue;
    std::vector<Outcome> fitting;
    std::string why;
    for (std::size_t i = 0; i < schema.at(choice).size(); ++i) {
      // Judged by itself: of two branches that differ by a member only the right one fits.
      Outcome one = judge(schema.at(choice)[i], where / choice / i, value, at);
      if (one.complaints.empty()) {
        fitting.push_back(std::move(one));
      } else {
        why += "\n    " + one.complaints.front();
      }
    }
    if (fitting.empty()) complain("fits none of " + std::string(choice) + ":" + why);
    if (fitting.size() > 1 && choice == std::string_view("oneOf")) complain("fits several of oneOf");
    for (Outcome& one : fitting) out.take(std::move(one));
  }
  return out;
}

OpenApi::Complaints OpenApi::check(const Operation& operation, int status, std::string_view media_type,
                                   std::string_view body, const std::set<std::string>& fields) {
  const std::string at = operation.name() + " " + std::to_string(status);
  const Json& responses = document_.at(operation.where).at("responses");
  if (!responses.contains(std::to_string(status))) return {at + ": this status is not documented"};
  seen_statuses_.insert(at);
  Pointer where = operation.where / "responses" / std::to_string(status);
  const Json& response = resolve(responses.at(std::to_string(status)), where);
  if (response.contains("headers")) {
    for (const auto& [name, header] : response.at("headers").items()) {
      std::string small = name;
      std::transform(small.begin(), small.end(), small.begin(), lower);
      if (header.value("required", false) && !fields.contains(small))
        return {at + ": the field " + name + " is missing"};
    }
  }
  const std::string type(media_type.substr(0, media_type.find(';')));
  if (!response.contains("content")) {
    if (!body.empty() || !type.empty()) return {at + ": a body where none is documented"};
    return {};
  }
  if (!response.at("content").contains(type)) return {at + ": \"" + type + "\" is not documented"};
  const Json& content = response.at("content").at(type);
  if (!content.contains("schema") || type.find("json") == std::string::npos) return {};
  const Json value = Json::parse(body, nullptr, false);
  if (value.is_discarded()) return {at + ": the body is no JSON"};
  Outcome out = judge(content.at("schema"), where / "content" / type / "schema", value, at);
  seen_.merge(out.seen);
  return std::move(out.complaints);
}

OpenApi::Complaints OpenApi::check_value(const std::string& schema, const Json& value) {
  Pointer where;
  const Json& node = resolve({{"$ref", schema}}, where);
  Outcome out = judge(node, where, value, schema);
  seen_.merge(out.seen);
  return std::move(out.complaints);
}

void OpenApi::collect_faults(const Json& given, const Pointer& given_where, Seen& visited, Complaints& out) const {
  if (given.is_boolean()) return;
  Pointer where = given_where;
  const Json* schema = nullptr;
  try {
    schema = &resolve(given, where);
  } catch (const std::exception& error) {
    out.push_back(given_where.to_string() + ": " + error.what());
    return;
  }
  if (!visited.insert(where.to_string()).second) return;
  if (!schema->is_object()) {
    out.push_back(where.to_string() + ": is no schema");
    return;
  }
  for (const auto& [keyword, value] : schema->items()) {
    if (!is_among(keyword, kChecks) && !is_among(keyword, kWords) && !keyword.starts_with("x-")) {
      out.push_back(where.to_string() + ": \"" + keyword + "\" is a keyword this test does not check");
    }
  }
  if (schema->contains("format")) {
    const auto name = schema->at("format").get<std::string>();
    if (std::none_of(kFormats.begin(), kFormats.end(), [&](const FormatRow& row) { return row.name == name; })) {
      out.push_back(where.to_string() + ": the format \"" + name + "\" is unknown");
    }
  }
  if (schema->contains("required") && schema->contains("properties")) {
    for (const Json& name : schema->at("required")) {
      if (!schema->at("properties").contains(name)) {
        out.push_back(where.to_string() + ": requires \"" + name.get<std::string>() + "\" without describing it");
      }
    }
  }
  const auto go = [&](const Json& node, const Pointer& place) { collect_faults(node, place, visited, out); };
  if (schema->contains("$ref")) go({{"$ref", schema->at("$ref")}}, where);
  if (schema->contains("properties")) {
    for (const auto& [name, member] : schema->at("properties").items()) go(member, where / "properties" / name);
  }
  for (const char* const one : {"items", "additionalProperties"}) {
    if (schema->contains(one)) go(schema->at(one), where / one);
  }
  for (const char* const several : {"allOf", "oneOf", "anyOf"}) {
    if (!schema->contains(several)) continue;
    for (std::size_t i = 0; i < schema->at(several).size(); ++i) go(schema->at(several)[i], where / several / i);
  }
}

void OpenApi::collect_members(const Json& given, const Pointer& given_where, Seen& visited, Seen& out) const {
  if (given.is_boolean()) return;
  Pointer where = given_where;
  const Json& schema = resolve(given, where);
  if (!visited.insert(where.to_string()).second) return;
  const auto go = [&](const Json& node, const Pointer& place) { collect_members(node, place, visited, out); };
  if (schema.contains("$ref")) go({{"$ref", schema.at("$ref")}}, where);
  if (schema.contains("properties")) {
    for (const auto& [name, member] : schema.at("properties").items()) {
      out.insert((where / "properties" / name).to_string());
      go(member, where / "properties" / name);
    }
  }
  for (const char* const one : {"items", "additionalProperties"}) {
    if (schema.contains(one)) go(schema.at(one), where / one);
  }
  for (const char* const several : {"allOf", "oneOf", "anyOf"}) {
    if (!schema.contains(several)) continue;
    for (std::size_t i = 0; i < schema.at(several).size(); ++i) go(schema.at(several)[i], where / several / i);
  }
}

OpenApi::Complaints OpenApi::faults() const {
  Complaints out;
  const auto text_at = [&](const char* pointer) {
    const Pointer where(pointer);
    return document_.contains(where) && document_.at(where).is_string() ? document_.at(where).get<std::string>() : "";
  };
  if (!text_at("/openapi").starts_with("3.1.")) out.emplace_back("\"openapi\" is not 3.1");
  for (const char* const one : {"/info/title", "/info/version"}) {
    if (text_at(one).empty()) out.push_back(std::string(one) + " is missing");
  }
  Seen visited;
  std::set<std::string> identifiers;
  for (const Operation& one : operations_) {
    const Json& node = document_.at(one.where);
    const auto complain = [&](const std::string& what) { out.push_back(one.name() + ": " + what); };
    if (!node.contains("operationId") || !identifiers.insert(node.at("operationId").get<std::string>()).second) {
      complain("needs an operationId of its own");
    }
    if (!node.contains("summary")) complain("needs a summary");
    try {
      std::set<std::string> in_path;
      for (const Json& parameter : parameters(one)) {
        if (parameter.at("in") == "path") in_path.insert("{" + parameter.at("name").get<std::string>() + "}");
        if (!parameter.contains("schema")) complain("a parameter without a schema");
      }
      static const std::regex braces(R"(\{[^}]*\})");
      for (std::sregex_iterator at(one.path.begin(), one.path.end(), braces), end; at != end; ++at) {
        if (in_path.erase(at->str()) == 0) complain(at->str() + " is not described");
      }
      if (!in_path.empty()) complain(*in_path.begin() + " is not in the path");
      if (const Json* const schema = request_schema(one)) {
        collect_faults(*schema, one.where / "requestBody", visited, out);
      }
      for (const auto& [status, response] : node.at("responses").items()) {
        int number = 0;
        const auto read = std::from_chars(status.data(), status.data() + status.size(), number);
        if (read.ptr != status.data() + status.size() || number < 200 || number > 599) {
          complain("\"" + status + "\" promises nothing: name the status");
        }
        Pointer where = one.where / "responses" / status;
        const Json& resolved = resolve(response, where);
        if (!resolved.contains("description")) complain(status + " needs a description");
        if (!resolved.contains("content")) continue;
        for (const auto& [type, content] : resolved.at("content").items()) {
          if (content.contains("schema")) {
            collect_faults(content.at("schema"), where / "content" / type / "schema", visited, out);
          } else if (type.find("json") != std::string::npos) {
            complain(status + " " + type + " needs a schema");
          }
        }
      }
    } catch (const std::exception& error) {
      complain(error.what());
    }
  }
  return out;
}

std::vector<std::string> OpenApi::unseen() const {
  std::vector<std::string> out;
  Seen visited, members;
  for (const Operation& one : operations_) {
    for (const auto& [status, response] : document_.at(one.where).at("responses").items()) {
      if (!seen_statuses_.contains(one.name() + " " + status)) out.push_back(one.name() + " " + status);
      Pointer where = one.where / "responses" / status;
      const Json& resolved = resolve(response, where);
      if (!resolved.contains("content")) continue;
      for (const auto& [type, content] : resolved.at("content").items()) {
        if (content.contains("schema") && type.find("json") != std::string::npos) {
          collect_members(content.at("schema"), where / "content" / type / "schema", visited, members);
        }
      }
    }
  }
  std::set_difference(members.begin(), members.end(), seen_.begin(), seen_.end(), std::back_inserter(out));
  return out;
}

}  // namespace karta::test
