#include "crypto/x509/profile.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/der.h"

namespace karta::crypto {
namespace {

constexpr std::string_view kSchema = "karta.certificate-profile/1";

struct PurposeRow {
  std::string_view name;
  std::string_view oid;
};
// RFC 5280 §4.2.1.12, RFC 9336, and what Windows asks of log-in cards
constexpr auto kPurposes = std::to_array<PurposeRow>({
    {"serverAuth", "1.3.6.1.5.5.7.3.1"},
    {"clientAuth", "1.3.6.1.5.5.7.3.2"},
    {"codeSigning", "1.3.6.1.5.5.7.3.3"},
    {"emailProtection", "1.3.6.1.5.5.7.3.4"},
    {"timeStamping", "1.3.6.1.5.5.7.3.8"},
    {"OCSPSigning", "1.3.6.1.5.5.7.3.9"},
    {"documentSigning", "1.3.6.1.5.5.7.3.36"},
    {"smartcardLogon", "1.3.6.1.4.1.311.20.2.2"},
});

/// One TOML table while it is read: every key taken is remembered, what is left at the end is unknown.
class Section {
 public:
  Section(const toml::table& table, std::string where, std::string_view source)
      : table_(table), where_(std::move(where)), source_(source) {}

  tl::unexpected<Error> bad(const toml::source_region& at, const std::string& what) const {
    return fail(ErrorKind::configuration, std::string(source_) + ":" + std::to_string(at.begin.line) + ": " + what,
                "docs/certificates.md describes profiles");
  }
  tl::unexpected<Error> bad(std::string_view key, const std::string& what) const {
    const toml::node* const node = table_.get(key);
    return bad(node != nullptr ? node->source() : table_.source(), "\"" + name(key) + "\" " + what);
  }

  Result<std::optional<std::string>> text(std::string_view key) {
    const toml::node* const node = take(key);
    if (node == nullptr) return std::optional<std::string>{};
    if (!node->is_string()) return bad(key, "must be a string");
    return std::optional<std::string>(**node->as_string());
  }
  Result<std::optional<std::int64_t>> number(std::string_view key) {
    const toml::node* const node = take(key);
    if (node == nullptr) return std::optional<std::int64_t>{};
    if (!node->is_integer()) return bad(key, "must be a whole number");
    return std::optional<std::int64_t>(**node->as_integer());
  }
  Result<std::optional<bool>> flag(std::string_view key) {
    const toml::node* const node = take(key);
    if (node == nullptr) return std::optional<bool>{};
    if (!node->is_boolean()) return bad(key, "must be true or false");
    return std::optional<bool>(**node->as_boolean());
  }
  /// The strings of an array; absent: none. A string that stands there twice is refused.
  Result<std::vector<std::string>> texts(std::string_view key) {
    std::vector<std::string> out;
    const toml::node* const node = take(key);
    if (node == nullptr) return out;
    if (!node->is_array()) return bad(key, "must be an array of strings");
    for (const toml::node& element : *node->as_array()) {
      if (!element.is_string()) return bad(element.source(), "\"" + name(key) + "\" must be an array of strings");
      const std::string& value = **element.as_string();
      if (std::find(out.begin(), out.end(), value) != out.end()) {
        return bad(element.source(), "\"" + value + "\" stands twice in \"" + name(key) + "\"");
      }
      out.push_back(value);
    }
    return out;
  }
  Result<std::optional<Section>> section(std::string_view key) {
    const toml::node* const node = take(key);
    if (node == nullptr) return std::optional<Section>{};
    if (!node->is_table()) return bad(key, "must be a table");
    return std::optional<Section>(Section(*node->as_table(), name(key), source_));
  }
  const toml::table& table() const { return table_; }

  Status finish() const {
    for (const auto& [key, node] : table_) {
      if (!taken_.contains(std::string(key.str()))) {
        return bad(key.source(), "unknown key \"" + name(key.str()) + "\"");
      }
    }
    return {};
  }

 private:
  const toml::node* take(std::string_view key) {
    taken_.emplace(key);
    return table_.get(key);
  }
  std::string name(std::string_view key) const {
    return where_.empty() ? std::string(key) : where_ + "." + std::string(key);
  }

  const toml::table& table_;
  std::string where_;
  std::string_view source_;
  std::set<std::string> taken_;
};

Result<std::vector<std::string>> oids(Section& section, std::string_view key, bool purposes) {
  std::vector<std::string> out;
  for (const std::string& word : TRY(section.texts(key))) {
    const auto row =
        std::find_if(kPurposes.begin(), kPurposes.end(), [&](const PurposeRow& r) { return r.name == word; });
    if (purposes && row != kPurposes.end()) {
      out.emplace_back(row->oid);
    } else if (der::oid_from_text(word)) {
      out.push_back(word);
    } else {
      return section.bad(key, "holds \"" + word + "\", which is no " + (purposes ? "key purpose" : "OID"));
    }
  }
  return out;
}

Result<std::vector<std::string>> urls(Section& section, std::string_view key) {
  auto out = TRY(section.texts(key));
  for (const std::string& url : out) {
    const bool scheme = url.starts_with("http://") || url.starts_with("https://") || url.starts_with("ldap://");
    const bool ascii = std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (!scheme || !ascii) return section.bad(key, "holds \"" + url + "\", which is no http, https or ldap URL");
  }
  return out;
}

Status read_subject(CertificateProfile& profile, Section& subject) {
  profile.subject_restricted = true;
  profile.subject_required = TRY(subject.texts("required"));
  profile.subject_optional = TRY(subject.texts("optional"));
  for (const auto& [key, list] :
       {std::pair{"required", &profile.subject_required}, {"optional", &profile.subject_optional}}) {
    for (const std::string& attribute : *list) {
      if (find_name_attribute(attribute) == nullptr) {
        return subject.bad(key, "holds \"" + attribute + "\", which is no name attribute");
      }
    }
  }
  if (auto fixed = TRY(subject.section("fixed"))) {
    for (const auto& [key, node] : fixed->table()) {
      if (find_name_attribute(key.str()) == nullptr) {
        return fixed->bad(key.source(), "\"" + std::string(key.str()) + "\" is no name attribute");
      }
    }
    for (const NameAttributeRow& row : name_attributes()) {
      for (const std::string_view spelling : {row.name, row.oid}) {
        const auto value = TRY(fixed->text(spelling));
        if (!value) continue;
        if (const auto name = NameBuilder().add(row.name, *value).build(); !name) {
          return fixed->bad(spelling, ": " + name.error().message);
        }
        profile.subject_fixed.emplace_back(row.name, *value);
      }
    }
    TRY(fixed->finish());
  }
  return subject.finish();
}

Result<CertificateProfile> read_profile(Section& top) {
  CertificateProfile profile;
  const auto schema = TRY(top.text("schema"));
  if (!schema || *schema != kSchema) return top.bad("schema", "must be \"" + std::string(kSchema) + "\"");
  const auto name = TRY(top.text("name"));
  if (!name || name->empty()) return top.bad("name", "is required");
  profile.name = *name;
  profile.description = TRY(top.text("description")).value_or("");

  const auto days = TRY(top.number("validity_days"));
  if (!days || *days < 1 || *days > 36525) return top.bad("validity_days", "must be 1 to 36525");
  profile.validity_days = static_cast<unsigned>(*days);

  for (const std::string& word : TRY(top.texts("key_types"))) {
    const auto type = find_key_type(word);
    if (!type) return top.bad("key_types", "holds \"" + word + "\", which is no key type");
    profile.key_types.push_back(*type);
  }
  if (profile.key_types.empty()) {
    for (const KeyTypeRow& row : kKeyTypes) profile.key_types.push_back(row.id);
  }
  if (const auto word = TRY(top.text("signature_algorithm"))) {
    profile.signature_algorithm = find_algorithm(*word);
    if (!profile.signature_algorithm) return top.bad("signature_algorithm", "is no algorithm: \"" + *word + "\"");
    if (row_of(row_of(*profile.signature_algorithm).hash).sunset_year != 0) {
      return top.bad("signature_algorithm", "is no longer accepted: \"" + *word + "\"");
    }
  }

  bool signs_certificates = false;
  for (const std::string& word : TRY(top.texts("key_usage"))) {
    const auto usage = find_key_usage(word);
    if (!usage) return top.bad("key_usage", "holds \"" + word + "\", which is no key usage");
    profile.key_usage.push_back(*usage);
    signs_certificates = signs_certificates || *usage == KeyUsage::key_cert_sign;
  }
  profile.extended_key_usage = TRY(oids(top, "extended_key_usage", true));
  profile.policies = TRY(oids(top, "policies", false));
  profile.crl_urls = TRY(urls(top, "crl_urls"));
  profile.ocsp_urls = TRY(urls(top, "ocsp_urls"));
  profile.issuer_urls = TRY(urls(top, "issuer_urls"));

  if (const auto word = TRY(top.text("status_index"))) {
    if (*word == "required") {
      profile.status_index = StatusIndexRule::required;
    } else if (*word == "optional") {
      profile.status_index = StatusIndexRule::optional;
    } else if (*word != "none") {
      return top.bad("status_index", "must be \"required\", \"optional\" or \"none\"");
    }
  }

  if (auto constraints = TRY(top.section("basic_constraints"))) {
    BasicConstraints out;
    out.ca = TRY(constraints->flag("ca")).value_or(false);
    if (const auto length = TRY(constraints->number("path_length"))) {
      if (!out.ca) return constraints->bad("path_length", "needs ca = true");
      if (*length < 0 || *length > 10) return constraints->bad("path_length", "must be 0 to 10");
      out.path_length = static_cast<std::uint32_t>(*length);
    }
    TRY(constraints->finish());
    profile.basic_constraints = out;
  }
  const bool ca = profile.basic_constraints && profile.basic_constraints->ca;
  // RFC 5280 §4.2.1.9: the two belong together.
  if (ca != signs_certificates) {
    return top.bad(
        ca ? "basic_constraints" : "key_usage",
        ca ? "says CA, but key_usage lacks keyCertSign" : "has keyCertSign, but basic_constraints.ca is not true");
  }
  if (auto subject = TRY(top.section("subject"))) TRY(read_subject(profile, *subject));
  TRY(top.finish());
  return profile;
}

}  // namespace

Result<CertificateProfile> CertificateProfile::from_toml(std::string_view text, std::string_view source_name) {
  if (text.size() > kMostProfileOctets) {
    return fail(ErrorKind::limit, std::string(source_name) + ": larger than 64 KiB");
  }
  toml::table table;
  try {
    table = toml::parse(text, source_name);
  } catch (const toml::parse_error& error) {
    return fail(ErrorKind::configuration, std::string(source_name) + ":" + std::to_string(error.source().begin.line) +
                                              ": " + std::string(error.description()));
  }
  Section top(table, "", source_name);
  return read_profile(top);
}

}  // namespace karta::crypto
