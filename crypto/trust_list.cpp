#include "crypto/trust_list.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/json_depth.h"
#include "crypto/cms/sign.h"
#include "crypto/content.h"
#include "crypto/pem.h"
#include "crypto/validation/validate.h"

namespace karta::crypto {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kSchema = "karta.trust-list/1";
constexpr std::size_t kMostNameOctets = 1024;

struct ServiceRow {
  TrustService service;
  std::string_view name;
};
constexpr auto kServices = std::to_array<ServiceRow>({
    {TrustService::qualified_ca, "qualified-ca"},
    {TrustService::unqualified_ca, "unqualified-ca"},
    {TrustService::time_stamp, "time-stamp"},
    {TrustService::document_signer, "document-signer"},
    {TrustService::cvca, "cvca"},
    {TrustService::log, "log"},
});

tl::unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::malformed, "trust list: " + what); }

Result<std::string> text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return bad("\"" + std::string(key) + "\" is missing");
  const std::string& out = found->get_ref<const std::string&>();
  return out;
}

Result<Time> time_of(const Json& object, const char* key) {
  const std::string text = TRY(text_of(object, key));
  return parse_time(text);
}

Status check_keys(const Json& object, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) return bad("unknown key \"" + key + "\"");
  }
  return {};
}

Result<TrustEntry> read_entry(const Json& json) {
  if (!json.is_object()) return bad("an entry that is no object");
  TRY(check_keys(json, {"service", "name", "region", "certificate", "from", "until"}));
  TrustEntry out;
  const std::string service = TRY(text_of(json, "service"));
  const auto known = find_trust_service(service);
  if (!known) return bad("\"" + service + "\" is no service");
  out.service = *known;
  out.name = TRY(text_of(json, "name"));
  if (json.contains("region")) out.region = TRY(text_of(json, "region"));
  if (out.name.size() > kMostNameOctets || out.region.size() > kMostNameOctets) return bad("a name that is too long");
  out.from = TRY(time_of(json, "from"));
  if (json.contains("until")) out.until = TRY(time_of(json, "until"));
  const std::string base64 = TRY(text_of(json, "certificate"));
  // PEM's reader is the one for base64.
  out.certificate = TRY(parse_pem_one("-----BEGIN X-----\n" + base64 + "\n-----END X-----\n", "X"));
  if (out.service != TrustService::cvca) (void)TRY(Certificate::from_der(out.certificate));
  return out;
}

}  // namespace

std::string_view name_of(TrustService service) {
  return std::find_if(kServices.begin(), kServices.end(), [&](const ServiceRow& row) { return row.service == service; })
      ->name;
}

std::optional<TrustService> find_trust_service(std::string_view name) {
  for (const ServiceRow& row : kServices) {
    if (row.name == name) return row.service;
  }
  return std::nullopt;
}

Result<TrustList> TrustList::from_json(std::string_view text) {
  if (text.size() > kMostOctets) return fail(ErrorKind::limit, "trust list is larger than 16 MiB");
  if (nested_deeper_than(text, 4)) return bad("nested too deep");
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return bad("no JSON object");
  TRY(check_keys(json, {"schema", "sequence", "issued_at", "next_update", "entries"}));
  const std::string schema = TRY(text_of(json, "schema"));
  if (schema != kSchema) return bad("its schema is \"" + schema + "\"");
  TrustList out;
  const auto sequence = json.find("sequence");
  if (sequence == json.end() || !sequence->is_number_unsigned()) return bad("\"sequence\" is missing");
  out.sequence = sequence->get<std::uint64_t>();
  out.issued_at = TRY(time_of(json, "issued_at"));
  out.next_update = TRY(time_of(json, "next_update"));
  if (out.next_update <= out.issued_at) return bad("it would never be valid");
  const auto entries = json.find("entries");
  if (entries == json.end() || !entries->is_array()) return bad("\"entries\" is missing");
  if (entries->size() > kMostEntries) return fail(ErrorKind::limit, "trust list with too many entries");
  for (const Json& one : *entries) out.entries.push_back(TRY(read_entry(one)));
  return out;
}

std::string TrustList::to_json() const {
  Json json{{"schema", kSchema},
            {"sequence", sequence},
            {"issued_at", format_time(issued_at)},
            {"next_update", format_time(next_update)},
            {"entries", Json::array()}};
  for (const TrustEntry& entry : entries) {
    Json one{{"service", name_of(entry.service)}, {"name", entry.name}};
    if (!entry.region.empty()) one["region"] = entry.region;
    one["from"] = format_time(entry.from);
    if (entry.until) one["until"] = format_time(*entry.until);
    one["certificate"] = to_base64(entry.certificate);
    json["entries"].push_back(std::move(one));
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::vector<Certificate> TrustList::anchors(TrustService service, Time at) const {
  std::vector<Certificate> out;
  for (const TrustEntry& entry : entries) {
    if (entry.service != service || at < entry.from || (entry.until && at > *entry.until)) continue;
    if (auto certificate = Certificate::from_der(entry.certificate)) out.push_back(std::move(*certificate));
  }
  return out;
}

TrustMaterial trust_material(const TrustList& list, Time at) {
  TrustMaterial out;
  out.due = list.next_update;
  for (const TrustEntry& entry : list.entries) {
    const bool issues = entry.service == TrustService::qualified_ca || entry.service == TrustService::unqualified_ca;
    if ((!issues && entry.service != TrustService::time_stamp) || at < entry.from) continue;
    const auto certificate = Certificate::from_der(entry.certificate);
    if (!certificate) continue;  // from_json has read it
    (issues ? out.anchors : out.timestamp_anchors).push_back(*certificate);
    if (entry.until) out.ends.push_back({.fingerprint = certificate->fingerprint(), .until = *entry.until});
  }
  return out;
}

Result<Bytes> sign_trust_list(const TrustList& list, Signer& signer) {
  const std::string text = list.to_json();
  (void)TRY(TrustList::from_json(text));  // nothing leaves that a reader would refuse
  MemoryContent content(as_bytes(text));
  CmsSignOptions options;
  options.form = CmsForm::enveloping;
  options.signing_time = list.issued_at;
  return sign_cms(signer, content, options);
}

Result<TrustList> open_trust_list(ByteView file, const std::vector<Certificate>& roots, Time at,
                                  std::uint64_t least_sequence) {
  if (file.size() > 2 * TrustList::kMostOctets) return fail(ErrorKind::limit, "trust list is larger than 32 MiB");
  if (roots.empty()) {
    return fail(ErrorKind::untrusted, "trust list: there is no root to hold it against", "name the national root");
  }
  const Bytes cms = TRY(cms_of_file(file));
  TrustMaterial trust;
  trust.anchors = roots;
  ValidateOptions options;
  options.at = at;
  options.keep_content = true;
  const Report report = verify_cms(cms, nullptr, trust, options);
  if (!report.passed() || !report.content) {
    const Finding* const fault = report.signatures.front().first_fault();
    const bool broken = report.signatures.front().integrity == Integrity::broken;
    return fail(broken ? ErrorKind::invalid_signature : ErrorKind::untrusted,
                "trust list: " + (fault != nullptr ? fault->message : std::string("it holds no content")));
  }
  TrustList list = TRY(TrustList::from_json(as_text(*report.content)));
  if (list.sequence < least_sequence) {
    return fail(ErrorKind::untrusted, "trust list: number " + std::to_string(list.sequence) + " is older than number " +
                                          std::to_string(least_sequence) + ", which is known already");
  }
  return list;
}

}  // namespace karta::crypto
