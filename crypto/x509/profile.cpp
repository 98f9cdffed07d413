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

void add_extension(CertificateProfile& profile, std::string_view oid, bool critical, Bytes value) {
  profile.extensions.push_back({std::string(oid), critical, std::move(value)});
}

/// A count of certificates, as constraints have them.
Result<std::optional<std::uint64_t>> skip_certificates(Section& top, std::string_view key) {
  const auto number = TRY(top.number(key));
  if (!number) return std::optional<std::uint64_t>{};
  if (*number < 0 || *number > 100) return top.bad(key, "must be 0 to 100");
  return std::optional<std::uint64_t>(static_cast<std::uint64_t>(*number));
}

// RFC 5280 §4.2.1.5, .11, .14: what a CA says of the policies below it.
Status read_policy_rules(CertificateProfile& profile, Section& top) {
  Bytes mappings;
  for (const std::string& word : TRY(top.texts("policy_mappings"))) {
    const std::size_t equals = word.find('=');
    const auto from = der::oid_from_text(word.substr(0, equals));
    const auto to = equals == std::string::npos ? from : der::oid_from_text(word.substr(equals + 1));
    if (equals == std::string::npos || !from || !to) {
      return top.bad("policy_mappings", "holds \"" + word + "\", which is not \"OID=OID\"");
    }
    append(mappings, der::sequence({der::oid(ByteView(*from)), der::oid(ByteView(*to))}));
  }
  if (!mappings.empty()) add_extension(profile, "2.5.29.33", true, der::sequence(mappings));
  const auto tagged = [](unsigned number, std::uint64_t value) {
    Bytes out = der::integer(value);
    out[0] = static_cast<std::uint8_t>(der::context_primitive(number));
    return out;
  };
  Bytes constraints;
  if (const auto skip = TRY(skip_certificates(top, "require_explicit_policy"))) append(constraints, tagged(0, *skip));
  if (const auto skip = TRY(skip_certificates(top, "inhibit_policy_mapping"))) append(constraints, tagged(1, *skip));
  if (!constraints.empty()) add_extension(profile, "2.5.29.36", true, der::sequence(constraints));
  if (const auto skip = TRY(skip_certificates(top, "inhibit_any_policy"))) {
    add_extension(profile, "2.5.29.54", true, der::integer(*skip));
  }
  return {};
}

Status read_name_constraints(CertificateProfile& profile, Section& section) {
  NameConstraints out;
  const auto read = [&](std::string_view key, std::vector<GeneralName>& bases) -> Status {
    for (const std::string& word : TRY(section.texts(key))) {
      const auto base = general_name_from_text(word, true);
      if (!base) return section.bad(key, "holds " + base.error().message);
      bases.push_back(*base);
    }
    return {};
  };
  TRY(read("permitted", out.permitted));
  TRY(read("excluded", out.excluded));
  if (out.permitted.empty() && out.excluded.empty()) return section.bad("permitted", "and \"excluded\" are empty");
  add_extension(profile, "2.5.29.30", true, encode(out));
  return section.finish();
}

// Order 795 of the Federal Security Service, 2011, requirements for the form of a qualified certificate.
// issuerSignTool ::= SEQUENCE { signTool UTF8String, cATool UTF8String, signToolCert UTF8String, cAToolCert UTF8String
// }
Status read_qualified_63fz(CertificateProfile& profile, Section& section) {
  const auto text = [&](std::string_view key, std::size_t most) -> Result<std::string> {
    const auto value = TRY(section.text(key));
    if (!value || value->empty()) return section.bad(key, "is required");
    // The order counts characters; UTF-8 has at most four octets to each.
    if (value->size() > 4 * most) return section.bad(key, "is longer than " + std::to_string(most) + " characters");
    return *value;
  };
  const std::string subject_tool = TRY(text("subject_sign_tool", 200));
  add_extension(profile, "1.2.643.100.111", false, der::utf8(subject_tool));
  const std::string sign_tool = TRY(text("sign_tool", 200));
  const std::string ca_tool = TRY(text("ca_tool", 200));
  const std::string sign_tool_certificate = TRY(text("sign_tool_certificate", 100));
  const std::string ca_tool_certificate = TRY(text("ca_tool_certificate", 100));
  add_extension(profile, "1.2.643.100.112", false,
                der::sequence({der::utf8(sign_tool), der::utf8(ca_tool), der::utf8(sign_tool_certificate),
                               der::utf8(ca_tool_certificate)}));
  if (const auto kind = TRY(section.number("identification_kind"))) {
    if (*kind < 0 || *kind > 3) return section.bad("identification_kind", "must be 0 to 3");
    add_extension(profile, "1.2.643.100.114", false, der::integer(static_cast<std::uint64_t>(*kind)));
  }
  return section.finish();
}

struct QcTypeRow {
  std::string_view name;
  std::string_view oid;
};
// EN 319 412-5 §4.2.3
constexpr auto kQcTypes = std::to_array<QcTypeRow>(
    {{"esign", "0.4.0.1862.1.6.1"}, {"eseal", "0.4.0.1862.1.6.2"}, {"web", "0.4.0.1862.1.6.3"}});

bool is_country(std::string_view text) {
  return text.size() == 2 && std::all_of(text.begin(), text.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
}

// QCStatements ::= SEQUENCE OF SEQUENCE { statementId OBJECT IDENTIFIER, statementInfo ANY OPTIONAL } (RFC 3739 §3.2.6)
Status read_qc_statements(CertificateProfile& profile, Section& section) {
  Bytes list;
  const auto add = [&](std::string_view oid, ByteView info) { append(list, der::sequence({der::oid(oid), info})); };
  const auto word = TRY(section.text("type"));
  const auto type = std::find_if(kQcTypes.begin(), kQcTypes.end(), [&](const QcTypeRow& r) { return word == r.name; });
  if (type == kQcTypes.end()) return section.bad("type", "must be \"esign\", \"eseal\" or \"web\"");
  add("0.4.0.1862.1.1", {});
  if (const auto years = TRY(section.number("retention_years"))) {
    if (*years < 1 || *years > 100) return section.bad("retention_years", "must be 1 to 100");
    add("0.4.0.1862.1.3", der::integer(static_cast<std::uint64_t>(*years)));
  }
  if (TRY(section.flag("sscd")).value_or(false)) add("0.4.0.1862.1.4", {});
  Bytes statements;
  for (const std::string& one : TRY(section.texts("disclosure"))) {
    const bool url = one.size() > 11 && one[2] == '=' && std::string_view(one).substr(3).starts_with("https://") &&
                     std::all_of(one.begin(), one.end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (!url) return section.bad("disclosure", "holds \"" + one + "\", which is not \"en=https://...\"");
    append(statements, der::sequence({der::ia5(one.substr(3)), der::printable(one.substr(0, 2))}));
  }
  if (!statements.empty()) add("0.4.0.1862.1.5", der::sequence(statements));
  add("0.4.0.1862.1.6", der::sequence(der::oid(type->oid)));
  Bytes countries;
  for (const std::string& country : TRY(section.texts("countries"))) {
    if (!is_country(country)) return section.bad("countries", "holds \"" + country + "\", which is no country");
    append(countries, der::printable(country));
  }
  if (!countries.empty()) add("0.4.0.1862.1.7", der::sequence(countries));
  add_extension(profile, "1.3.6.1.5.5.7.1.3", false, der::sequence(list));
  return section.finish();
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

  if (const auto url = TRY(top.text("cps_url"))) {
    const bool good = (url->starts_with("http://") || url->starts_with("https://")) &&
                      std::all_of(url->begin(), url->end(), [](char c) { return c > 0x20 && c < 0x7F; });
    if (!good || profile.policies.empty()) return top.bad("cps_url", "must be a URL, and needs policies to stand with");
    profile.cps_url = *url;
  }
  for (const std::string& word : TRY(top.texts("critical"))) {
    if (word == "extKeyUsage" && !profile.extended_key_usage.empty()) {
      profile.extended_key_usage_critical = true;
    } else if (word == "certificatePolicies" && !profile.policies.empty()) {
      profile.policies_critical = true;
    } else {
      return top.bad("critical", "holds \"" + word + "\": extKeyUsage or certificatePolicies, where there are some");
    }
  }
  Bytes freshest;
  for (const std::string& url : TRY(urls(top, "freshest_crl_urls"))) {
    append(freshest, der::sequence(encode_distribution_point_name(url)));
  }
  if (!freshest.empty()) add_extension(profile, "2.5.29.46", false, der::sequence(freshest));
  const auto key_identifiers = TRY(top.flag("key_identifiers"));
  profile.key_identifiers = key_identifiers.value_or(true);
  if (TRY(top.flag("ocsp_no_check")).value_or(false)) {
    add_extension(profile, "1.3.6.1.5.5.7.48.1.5", false, der::null());
  }
  const std::size_t before_ca_rules = profile.extensions.size();
  TRY(read_policy_rules(profile, top));
  if (auto section = TRY(top.section("name_constraints"))) TRY(read_name_constraints(profile, *section));
  const bool ca_rules = profile.extensions.size() != before_ca_rules;
  if (auto section = TRY(top.section("qualified_63fz"))) TRY(read_qualified_63fz(profile, *section));
  if (auto section = TRY(top.section("qc_statements"))) TRY(read_qc_statements(profile, *section));

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
  if (ca_rules && !ca) {
    return top.bad("basic_constraints", "is not that of a CA, and constraints on names and policies are for CAs only");
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
