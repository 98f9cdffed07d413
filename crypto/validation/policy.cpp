#include "crypto/validation/policy.h"

#include <toml++/toml.h>
#include <chrono>

namespace karta::crypto {
namespace {

tl::unexpected<Error> bad(std::string_view source, const toml::node& node, const std::string& what) {
  return fail(ErrorKind::configuration,
              std::string(source) + ":" + std::to_string(node.source().begin.line) + ": " + what);
}

}  // namespace

bool ValidationPolicy::past(std::string_view name, std::uint16_t built_in_year, Time at) const {
  if (const auto found = sunset.find(name); found != sunset.end()) return at >= found->second;
  if (built_in_year == 0) return false;
  const auto day = std::chrono::floor<std::chrono::days>(at);
  return static_cast<int>(std::chrono::year_month_day(day).year()) > built_in_year;
}

Result<ValidationPolicy> ValidationPolicy::from_toml(std::string_view text, std::string_view source) {
  if (text.size() > kMostPolicyOctets) return fail(ErrorKind::configuration, std::string(source) + ": too large");
  toml::table table;
  try {
    table = toml::parse(text);
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::configuration, std::string(source) + ":" + std::to_string(error.source().begin.line) + ": " +
                                              std::string(error.description()));
  }
  ValidationPolicy out;
  bool has_schema = false;
  for (const auto& [key, node] : table) {
    if (key == "schema") {
      if (node.value<std::string>() != "karta.validation-policy/1") {
        return bad(source, node, "schema must be \"karta.validation-policy/1\"");
      }
      has_schema = true;
    } else if (key == "revocation") {
      const std::string mode = node.value<std::string>().value_or("");
      if (mode == "none") {
        out.revocation = RevocationMode::none;
      } else if (mode == "if-known") {
        out.revocation = RevocationMode::if_known;
      } else if (mode == "required") {
        out.revocation = RevocationMode::required;
      } else {
        return bad(source, node, "revocation is \"none\", \"if-known\" or \"required\"");
      }
    } else if (key == "least_rsa_bits") {
      const auto bits = node.value<std::int64_t>();
      if (!bits || *bits < 1024 || *bits > 16384) return bad(source, node, "least_rsa_bits is 1024 to 16384");
      out.least_rsa_bits = static_cast<unsigned>(*bits);
    } else if (key == "sunset" && node.is_table()) {
      for (const auto& [name, value] : *node.as_table()) {
        const std::string word(name.str());
        if (!find_hash(word) && !find_key_type(word) && !find_algorithm(word)) {
          return bad(source, value, "\"" + word + "\" is no hash, key type or algorithm karta knows");
        }
        const auto day = parse_time(value.value<std::string>().value_or(""));
        if (!day) return bad(source, value, "a date like \"2030-12-31\" is asked for");
        out.sunset[word] = *day + std::chrono::days(1);
      }
    } else {
      return bad(source, node, "\"" + std::string(key.str()) + "\" is not known");
    }
  }
  if (!has_schema) return fail(ErrorKind::configuration, std::string(source) + ":1: schema is missing");
  return out;
}

}  // namespace karta::crypto
