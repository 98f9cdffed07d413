#include "crypto/validation/policy.h"

#include <toml++/toml.h>

#include "base/der.h"

namespace karta::crypto {
namespace {

// RFC 5652 §11, RFC 2634, RFC 5035, RFC 5126 §5, EN 319 122-1 §5.
constexpr auto kAttributes = std::to_array<AttributeName>({
    {"signing-time", "1.2.840.113549.1.9.5"},
    {"signing-certificate", "1.2.840.113549.1.9.16.2.47"},
    {"algorithm-protection", "1.2.840.113549.1.9.52"},
    {"signature-policy", "1.2.840.113549.1.9.16.2.15"},
    {"commitment-type", "1.2.840.113549.1.9.16.2.16"},
    {"signer-location", "1.2.840.113549.1.9.16.2.17"},
    {"signer-attributes", "0.4.0.19122.1.1"},
    {"content-timestamp", "1.2.840.113549.1.9.16.2.20"},
    {"mime-type", "0.4.0.1733.2.1"},
    {"content-hints", "1.2.840.113549.1.9.16.2.4"},
});

constexpr auto kLevels = std::to_array<std::string_view>({"B-B", "B-T", "B-LT", "B-LTA"});

/// One file on its way into a ValidationPolicy.
class PolicyReader {
 public:
  explicit PolicyReader(std::string_view source) : source_(source) {}

  Result<ValidationPolicy> read(const toml::table& table) {
    bool has_schema = false;
    for (const auto& [key, node] : table) {
      has_schema = has_schema || key == "schema";
      TRY(read_key(key.str(), node));
    }
    if (!has_schema) return fail(ErrorKind::configuration, std::string(source_) + ":1: schema is missing");
    return std::move(out_);
  }

 private:
  tl::unexpected<Error> bad(const toml::node& node, const std::string& what) const {
    return fail(ErrorKind::configuration,
                std::string(source_) + ":" + std::to_string(node.source().begin.line) + ": " + what);
  }

  Status read_key(std::string_view key, const toml::node& node) {
    if (key == "schema") {
      if (node.value<std::string>() == "karta.validation-policy/1") return {};
      return bad(node, "schema must be \"karta.validation-policy/1\"");
    }
    if (key == "name") return read_name(node);
    if (key == "revocation") return read_revocation(node);
    if (key == "revocation_max_age_hours") return read_hours(key, node, out_.most_revocation_age);
    if (key == "timestamp_max_delay_hours") return read_hours(key, node, out_.most_timestamp_delay);
    if (key == "stale_trust") {
      return read_word(key, node, "accept", "refuse", out_.accept_stale_trust);
    }
    if (key == "signature_policy") {
      return read_word(key, node, "known", "any", out_.only_known_signature_policies);
    }
    if (key == "least_rsa_bits") {
      const std::int64_t bits = TRY(read_number(key, node, 1024, 16384));
      out_.least_rsa_bits = static_cast<unsigned>(bits);
      return {};
    }
    if (key == "least_rsa_exponent") {
      const std::int64_t exponent = TRY(read_number(key, node, 3, std::int64_t{1} << 32));
      out_.least_rsa_exponent = static_cast<std::uint64_t>(exponent);
      return {};
    }
    if (key == "least_level") {
      out_.least_level = node.value<std::string>().value_or("");
      if (std::find(kLevels.begin(), kLevels.end(), out_.least_level) != kLevels.end()) return {};
      return bad(node, "least_level is \"B-B\", \"B-T\", \"B-LT\" or \"B-LTA\"");
    }
    if (key == "required_attributes") return read_attributes(node);
    if (key == "sunset" && node.is_table()) return read_sunset(*node.as_table());
    if (key == "signature_policies" && node.is_table()) return read_signature_policies(*node.as_table());
    return bad(node, "\"" + std::string(key) + "\" is not known");
  }

  Status read_name(const toml::node& node) {
    constexpr std::size_t kMostNameOctets = 200;
    out_.name = node.value<std::string>().value_or("");
    if (out_.name.empty() || out_.name.size() > kMostNameOctets) return bad(node, "name is a text of 1 to 200 octets");
    return {};
  }

  Status read_revocation(const toml::node& node) {
    const std::string mode = node.value<std::string>().value_or("");
    if (mode == "none") {
      out_.revocation = RevocationMode::none;
    } else if (mode == "if-known") {
      out_.revocation = RevocationMode::if_known;
    } else if (mode == "required") {
      out_.revocation = RevocationMode::required;
    } else {
      return bad(node, "revocation is \"none\", \"if-known\" or \"required\"");
    }
    return {};
  }

  Result<std::int64_t> read_number(std::string_view key, const toml::node& node, std::int64_t least,
                                   std::int64_t most) const {
    const auto value = node.is_integer() ? node.value<std::int64_t>() : std::nullopt;
    if (value && *value >= least && *value <= most) return *value;
    return bad(node, std::string(key) + " is a number from " + std::to_string(least) + " to " + std::to_string(most));
  }

  Status read_hours(std::string_view key, const toml::node& node, std::optional<std::chrono::hours>& out) const {
    constexpr std::int64_t kTenYears = 10 * 366 * 24;
    const std::int64_t hours = TRY(read_number(key, node, 1, kTenYears));
    out = std::chrono::hours(hours);
    return {};
  }

  Status read_word(std::string_view key, const toml::node& node, std::string_view yes, std::string_view no,
                   bool& out) const {
    const std::string word = node.value<std::string>().value_or("");
    if (word != yes && word != no) {
      return bad(node, std::string(key) + " is \"" + std::string(no) + "\" or \"" + std::string(yes) + "\"");
    }
    out = word == yes;
    return {};
  }

  Status read_attributes(const toml::node& node) {
    const toml::array* const list = node.as_array();
    if (list == nullptr) return bad(node, "required_attributes is a list");
    for (const toml::node& item : *list) {
      const std::string word = item.value<std::string>().value_or("");
      const auto row =
          std::find_if(kAttributes.begin(), kAttributes.end(), [&](const auto& one) { return one.name == word; });
      if (row != kAttributes.end()) {
        out_.required_attributes.emplace_back(row->oid);
      } else if (der::oid_from_text(word)) {
        out_.required_attributes.push_back(word);
      } else {
        return bad(item, "\"" + word + "\" in required_attributes is no attribute karta knows, and no OID");
      }
    }
    return {};
  }

  Status read_sunset(const toml::table& table) {
    for (const auto& [name, value] : table) {
      const std::string word(name.str());
      if (!find_hash(word) && !find_key_type(word) && !find_algorithm(word)) {
        return bad(value, "\"" + word + "\" is no hash, key type or algorithm karta knows");
      }
      const auto day = parse_time(value.value<std::string>().value_or(""));
      if (!day) return bad(value, "sunset of " + word + ": a date like \"2030-12-31\" is asked for");
      out_.sunset[word] = *day + std::chrono::days(1);
    }
    return {};
  }

  // "1.2.643.7.1" = "sha256:..."
  Status read_signature_policies(const toml::table& table) {
    for (const auto& [oid, value] : table) {
      const std::string dotted(oid.str());
      if (!der::oid_from_text(dotted)) return bad(value, "\"" + dotted + "\" is no OID");
      const std::string text = value.value<std::string>().value_or("");
      const std::size_t colon = text.find(':');
      const auto hash = find_hash(text.substr(0, colon));
      const auto digest = colon == std::string::npos ? Result<Bytes>(Bytes{}) : from_hex(text.substr(colon + 1));
      if (!hash || !digest || digest->size() != row_of(*hash).octets) {
        return bad(value, "signature policy " + dotted + ": \"sha256:\" and its digest in hexadecimal are asked for");
      }
      out_.signature_policies[dotted] = {.hash = *hash, .digest = *digest};
    }
    return {};
  }

  std::string_view source_;
  ValidationPolicy out_;
};

}  // namespace

std::span<const AttributeName> attribute_names() { return kAttributes; }

std::optional<unsigned> level_rank(std::string_view level) {
  const std::size_t family = level.find("-B-");
  if (family != std::string_view::npos) level.remove_prefix(family + 1);
  for (unsigned rank = 0; rank < kLevels.size(); ++rank) {
    if (kLevels[rank] == level) return rank;
  }
  return std::nullopt;
}

std::optional<Time> ValidationPolicy::end_of(std::string_view name_of_row, std::uint16_t built_in_year) const {
  if (const auto found = sunset.find(name_of_row); found != sunset.end()) return found->second;
  if (built_in_year == 0) return std::nullopt;
  const std::chrono::year_month_day next(std::chrono::year(built_in_year + 1), std::chrono::January,
                                         std::chrono::day(1));
  return Time(std::chrono::sys_days(next));
}

bool ValidationPolicy::past(std::string_view name_of_row, std::uint16_t built_in_year, Time at) const {
  const auto end = end_of(name_of_row, built_in_year);
  return end && at >= *end;
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
  return PolicyReader(source).read(table);
}

}  // namespace karta::crypto
