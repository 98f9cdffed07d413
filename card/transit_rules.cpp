#include "card/transit_rules.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_depth.h"
#include "crypto/cms/sign.h"
#include "crypto/content.h"
#include "crypto/pem.h"
#include "crypto/validation/validate.h"

namespace karta::card {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kSchema = "karta.transit-rules/1";
constexpr std::size_t kMostNameOctets = 256, kMostDepth = 4;
constexpr std::uint32_t kMostFare = TransitEntry::kMostSpent, kMostPassBack = 24 * 3600, kDayMinutes = 24 * 60;
constexpr std::int32_t kMostOffset = 14 * 60;

tl::unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::malformed, "transit rules: " + what); }
std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

/// One object, all of whose keys must be asked for.
class Object {
 public:
  static Result<Object> of(const Json& json, const std::string& what) {
    if (!json.is_object()) return bad(what + " is no object");
    return Object(json, what);
  }
  Result<const Json*> find(const char* key) {
    ++asked_;
    const auto found = json_->find(key);
    if (found == json_->end()) return bad(in_quotes(key) + " is missing in " + what_);
    return &*found;
  }
  bool has(const char* key) const { return json_->contains(key); }
  Result<std::string> text(const char* key) {
    const Json* const value = TRY(find(key));
    if (!value->is_string() || value->get_ref<const std::string&>().size() > kMostNameOctets) {
      return bad(in_quotes(key) + " in " + what_ + " is no short text");
    }
    std::string out = value->get<std::string>();
    return out;
  }
  Result<Time> time(const char* key) {
    const std::string words = TRY(text(key));
    return parse_time(words);
  }
  Result<std::int64_t> number(const char* key, std::int64_t least, std::int64_t most) {
    const Json* const value = TRY(find(key));
    if (!value->is_number_integer() || (value->is_number_unsigned() && value->get<std::uint64_t>() > INT64_MAX)) {
      return bad(in_quotes(key) + " in " + what_ + " is no whole number");
    }
    const auto out = value->get<std::int64_t>();
    if (out < least || out > most) {
      return bad(in_quotes(key) + " in " + what_ + " must lie between " + std::to_string(least) + " and " +
                 std::to_string(most));
    }
    return out;
  }
  template <class Number>
  Status read(const char* key, Number& out, std::int64_t least, std::int64_t most) {
    out = static_cast<Number>(TRY(number(key, least, most)));
    return {};
  }
  Result<const Json*> array(const char* key, std::size_t most) {
    const Json* const value = TRY(find(key));
    if (!value->is_array()) return bad(in_quotes(key) + " in " + what_ + " is no list");
    if (value->size() > most) return fail(ErrorKind::limit, "transit rules: too many " + in_quotes(key));
    return value;
  }
  Status finish() const {
    if (json_->size() == asked_) return {};
    return bad(what_ + " has keys that are not known");
  }

 private:
  Object(const Json& json, std::string what) : json_(&json), what_(std::move(what)) {}
  const Json* json_;
  std::string what_;
  std::size_t asked_ = 0;
};

Result<Fare> read_fare(Object& object) {
  Fare fare;
  TRY(object.read("full", fare.full, 0, kMostFare));
  TRY(object.read("reduced", fare.reduced, 0, kMostFare));
  return fare;
}

Result<std::vector<ProductKind>> read_kinds(Object& object, const char* key) {
  const Json* const list = TRY(object.array(key, 3));
  std::vector<ProductKind> kinds;
  for (const Json& one : *list) {
    const auto kind = one.is_string() ? find_product_kind(one.get_ref<const std::string&>()) : std::nullopt;
    if (!kind || *kind == ProductKind::none) return bad(in_quotes(key) + " names no kind of product");
    if (std::find(kinds.begin(), kinds.end(), *kind) != kinds.end()) return bad(in_quotes(key) + " names a kind twice");
    kinds.push_back(*kind);
  }
  return kinds;
}

constexpr std::int64_t kMostZone = Gate::kZones - 1;

Status read_lists(GateRules& rules, Object& object) {
  for (const Json& json : *TRY(object.array("zones", Gate::kZones))) {
    Object row = TRY(Object::of(json, "a zone"));
    GateRules::Zone zone;
    TRY(row.read("zone", zone.zone, 0, kMostZone));
    zone.name = TRY(row.text("name"));
    TRY(row.finish());
    rules.zones.push_back(std::move(zone));
  }
  for (const Json& json : *TRY(object.array("fares", Gate::kZones * Gate::kZones))) {
    Object row = TRY(Object::of(json, "a fare"));
    GateRules::ZoneFare fare;
    TRY(row.read("from", fare.from, 0, kMostZone));
    TRY(row.read("to", fare.to, 0, kMostZone));
    fare.fare = TRY(read_fare(row));
    TRY(row.finish());
    rules.fares.push_back(fare);
  }
  for (const Json& json : *TRY(object.array("concessions", Gate::kGrounds))) {
    Object row = TRY(Object::of(json, "a concession"));
    GateRules::Ground ground;
    TRY(row.read("ground", ground.ground, 1, Gate::kGrounds - 1));
    TRY(row.read("rides_day", ground.rides_day, 0, 254));
    TRY(row.read("rides_month", ground.rides_month, 0, 254));
    TRY(row.finish());
    rules.concessions.push_back(ground);
  }
  for (const Json& json : *TRY(object.array("gates", GateRules::kMostGates))) {
    Object row = TRY(Object::of(json, "a gate"));
    GateRules::GateRow gate;
    TRY(row.read("gate", gate.gate, 0, UINT32_MAX));
    TRY(row.read("zone", gate.zone, 0, kMostZone));
    const std::string direction = TRY(row.text("direction"));
    if (direction != "in" && direction != "out") return bad("a gate's direction is \"in\" or \"out\"");
    gate.direction = direction == "in" ? TransitEntry::Event::entry : TransitEntry::Event::exit;
    TRY(row.finish());
    rules.gates.push_back(gate);
  }
  return {};
}

/// What only the whole can break.
Status check_whole(const GateRules& rules) {
  std::uint32_t known = 0;
  const auto knows = [&](std::uint8_t zone) { return (known >> zone & 1u) != 0; };
  for (const auto& zone : rules.zones) {
    if (knows(zone.zone)) return bad("zone " + std::to_string(zone.zone) + " stands there twice");
    known |= 1u << zone.zone;
  }
  if (rules.zones.empty()) return bad("there is no zone");
  for (auto fare = rules.fares.begin(); fare != rules.fares.end(); ++fare) {
    if (!knows(fare->from) || !knows(fare->to)) return bad("a fare of a zone that is none");
    if (fare->fare.reduced > fare->fare.full) return bad("a reduced fare above the full one");
    if (std::any_of(rules.fares.begin(), fare,
                    [&](const auto& other) { return other.from == fare->from && other.to == fare->to; })) {
      return bad("two fares for one way");
    }
  }
  if (std::find(rules.counted.begin(), rules.counted.end(), ProductKind::purse) != rules.counted.end()) {
    for (const auto& from : rules.zones) {
      for (const auto& to : rules.zones) {
        if (rules.fare(from.zone, to.zone)) continue;
        return bad("purses are taken, and there is no fare from zone " + std::to_string(from.zone) + " to zone " +
                   std::to_string(to.zone));
      }
    }
  }
  for (auto ground = rules.concessions.begin(); ground != rules.concessions.end(); ++ground) {
    if (std::any_of(rules.concessions.begin(), ground,
                    [&](const auto& other) { return other.ground == ground->ground; })) {
      return bad("a ground of concession stands there twice");
    }
  }
  std::vector<std::uint32_t> gates;
  for (const auto& gate : rules.gates) {
    if (!knows(gate.zone)) return bad("gate " + std::to_string(gate.gate) + " is in a zone that is none");
    gates.push_back(gate.gate);
  }
  std::sort(gates.begin(), gates.end());
  if (std::adjacent_find(gates.begin(), gates.end()) != gates.end()) return bad("a gate stands there twice");
  return {};
}

std::uint8_t mask_of(const std::vector<ProductKind>& kinds) {
  unsigned mask = 0;
  for (const ProductKind kind : kinds) mask |= 1u << static_cast<unsigned>(kind);
  return static_cast<std::uint8_t>(mask);
}

}  // namespace

Result<GateRules> GateRules::from_json(std::string_view text) {
  if (text.size() > kMostOctets) return fail(ErrorKind::limit, "transit rules are larger than 1 MiB");
  if (nested_deeper_than(text, kMostDepth)) return bad("nested too deep");
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_object()) return bad("no JSON object");
  Object whole = TRY(Object::of(json, "the file"));
  const std::string schema = TRY(whole.text("schema"));
  if (schema != kSchema) return bad("its schema is " + in_quotes(schema));
  GateRules rules;
  TRY(whole.read("sequence", rules.sequence, 0, INT64_MAX));
  rules.issued_at = TRY(whole.time("issued_at"));
  rules.next_update = TRY(whole.time("next_update"));
  if (rules.next_update <= rules.issued_at) return bad("they would never be valid");
  rules.name = TRY(whole.text("name"));
  TRY(whole.read("utc_offset_minutes", rules.utc_offset_minutes, -kMostOffset, kMostOffset));
  TRY(whole.read("day_begins_minutes", rules.day_begins_minutes, 0, kDayMinutes - 1));
  TRY(whole.read("pass_back_seconds", rules.pass_back_seconds, 0, kMostPassBack));
  const Json* const cap = TRY(whole.find("day_cap"));
  Object cap_row = TRY(Object::of(*cap, "\"day_cap\""));
  rules.day_cap = TRY(read_fare(cap_row));
  TRY(cap_row.finish());
  const Json* const products = TRY(whole.find("products"));
  Object products_row = TRY(Object::of(*products, "\"products\""));
  rules.counted = TRY(read_kinds(products_row, "counted"));
  rules.card_signed = TRY(read_kinds(products_row, "card_signed"));
  TRY(products_row.finish());
  TRY(read_lists(rules, whole));
  TRY(whole.finish());
  TRY(check_whole(rules));
  return rules;
}

std::string GateRules::to_json() const {
  const auto names = [](const std::vector<ProductKind>& kinds) {
    Json list = Json::array();
    for (const ProductKind kind : kinds) list.push_back(name_of(kind));
    return list;
  };
  Json json{{"schema", kSchema},
            {"sequence", sequence},
            {"issued_at", format_time(issued_at)},
            {"next_update", format_time(next_update)},
            {"name", name},
            {"utc_offset_minutes", utc_offset_minutes},
            {"day_begins_minutes", day_begins_minutes},
            {"zones", Json::array()},
            {"fares", Json::array()},
            {"products", {{"counted", names(counted)}, {"card_signed", names(card_signed)}}},
            {"concessions", Json::array()},
            {"pass_back_seconds", pass_back_seconds},
            {"day_cap", {{"full", day_cap.full}, {"reduced", day_cap.reduced}}},
            {"gates", Json::array()}};
  for (const Zone& zone : zones) json["zones"].push_back({{"zone", zone.zone}, {"name", zone.name}});
  for (const ZoneFare& one : fares) {
    json["fares"].push_back(
        {{"from", one.from}, {"to", one.to}, {"full", one.fare.full}, {"reduced", one.fare.reduced}});
  }
  for (const Ground& one : concessions) {
    json["concessions"].push_back(
        {{"ground", one.ground}, {"rides_day", one.rides_day}, {"rides_month", one.rides_month}});
  }
  for (const GateRow& one : gates) {
    json["gates"].push_back({{"gate", one.gate},
                             {"zone", one.zone},
                             {"direction", one.direction == TransitEntry::Event::exit ? "out" : "in"}});
  }
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

const GateRules::GateRow* GateRules::row(std::uint32_t gate) const {
  const auto found = std::find_if(gates.begin(), gates.end(), [&](const GateRow& one) { return one.gate == gate; });
  return found == gates.end() ? nullptr : &*found;
}

std::optional<Fare> GateRules::fare(std::uint8_t from, std::uint8_t to) const {
  const auto named = [&](std::uint8_t a, std::uint8_t b) {
    return std::find_if(fares.begin(), fares.end(), [&](const ZoneFare& one) { return one.from == a && one.to == b; });
  };
  auto found = named(from, to);
  if (found == fares.end()) found = named(to, from);
  return found == fares.end() ? std::nullopt : std::optional(found->fare);
}

Result<Gate> GateRules::gate(std::uint32_t number, std::optional<std::uint8_t> zone,
                             TransitEntry::Event direction) const {
  const GateRow* const named = row(number);
  if (named == nullptr && !zone) {
    return fail(ErrorKind::configuration, "gate " + std::to_string(number) + " has no zone: the rules do not name it");
  }
  if (named != nullptr && zone && *zone != named->zone) {
    return fail(ErrorKind::configuration, "gate " + std::to_string(number) + " is in zone " + std::to_string(*zone) +
                                              " by its configuration and in zone " + std::to_string(named->zone) +
                                              " by the rules");
  }
  Gate gate;
  gate.terminal = number;
  gate.zone = named != nullptr ? named->zone : *zone;
  gate.event = named != nullptr ? named->direction : direction;
  if (std::none_of(zones.begin(), zones.end(), [&](const Zone& one) { return one.zone == gate.zone; })) {
    return fail(ErrorKind::configuration, "the rules know no zone " + std::to_string(gate.zone));
  }
  const Fare begins = fare(gate.zone, gate.zone).value_or(Fare{});
  gate.fare = begins.full;
  gate.reduced_fare = begins.reduced;
  for (const Zone& from : zones) {
    const auto whole = fare(from.zone, gate.zone), paid = fare(from.zone, from.zone);
    if (!whole || !paid) continue;
    gate.supplements[from.zone] = {whole->full > paid->full ? whole->full - paid->full : 0,
                                   whole->reduced > paid->reduced ? whole->reduced - paid->reduced : 0};
  }
  gate.concessions.fill({.honoured = false});
  for (const Ground& one : concessions) gate.concessions[one.ground] = {true, one.rides_day, one.rides_month};
  gate.pass_back_seconds = pass_back_seconds;
  gate.day_cap = day_cap;
  gate.day_offset_seconds = (utc_offset_minutes - static_cast<std::int32_t>(day_begins_minutes)) * 60;
  gate.kinds = mask_of(counted);
  gate.signed_kinds = mask_of(card_signed);
  return gate;
}

Result<Bytes> sign_transit_rules(const GateRules& rules, crypto::Signer& signer) {
  const std::string text = rules.to_json();
  (void)TRY(GateRules::from_json(text));  // nothing leaves that a reader would refuse
  crypto::MemoryContent content(as_bytes(text));
  crypto::CmsSignOptions options;
  options.form = crypto::CmsForm::enveloping;
  options.signing_time = rules.issued_at;
  return crypto::sign_cms(signer, content, options);
}

Result<GateRules> read_transit_rules(ByteView file) {
  if (file.size() > 2 * GateRules::kMostOctets) return fail(ErrorKind::limit, "transit rules larger than 2 MiB");
  const Bytes cms = TRY(crypto::cms_of_file(file));
  crypto::ValidateOptions options;
  options.keep_content = true;
  const crypto::Report report = crypto::verify_cms(cms, nullptr, {}, options);
  if (!report.content) return bad("the file holds no content");
  return GateRules::from_json(as_text(*report.content));
}

Result<GateRules> open_transit_rules(ByteView file, const std::vector<crypto::Certificate>& signers, Time at,
                                     std::uint64_t least_sequence) {
  if (file.size() > 2 * GateRules::kMostOctets) return fail(ErrorKind::limit, "transit rules larger than 2 MiB");
  if (signers.empty()) {
    return fail(ErrorKind::untrusted, "transit rules: there is no signer to hold them against",
                "name the signer's certificate, or fetch the trust list");
  }
  const Bytes cms = TRY(crypto::cms_of_file(file));
  crypto::TrustMaterial trust;
  trust.anchors = signers;
  crypto::ValidateOptions options;
  options.at = at;
  options.keep_content = true;
  const crypto::Report report = crypto::verify_cms(cms, nullptr, trust, options);
  const crypto::SignatureReport& signature = report.signatures.front();
  if (report.signatures.size() != 1 || !report.content || report.integrity() != crypto::Integrity::intact) {
    const crypto::Finding* const fault = signature.first_fault();
    const bool broken = signature.integrity == crypto::Integrity::broken;
    return fail(broken ? ErrorKind::invalid_signature : ErrorKind::untrusted,
                "transit rules: " + (fault != nullptr ? fault->message : std::string("not one signature over them")));
  }
  // By the signer itself: who has a certificate from it, as every citizen may, makes no rules. An issuing CA signs
  // lists, and these as it does stop-lists, so that what the policy for documents says of its key is not asked.
  const auto signer = std::find_if(signers.begin(), signers.end(), [&](const crypto::Certificate& one) {
    return !signature.chain.empty() && equal(one.der(), signature.chain.front().der());
  });
  if (signer == signers.end()) {
    return fail(ErrorKind::untrusted, "transit rules: signed by none of those trusted for them");
  }
  if (at < signer->not_before() || at > signer->not_after()) {
    return fail(ErrorKind::untrusted, "transit rules: the certificate that signed them is not valid now");
  }
  if (!signer->allows(signer->is_ca() ? crypto::KeyUsage::crl_sign : crypto::KeyUsage::digital_signature)) {
    return fail(ErrorKind::untrusted, "transit rules: the certificate that signed them may not sign lists");
  }
  GateRules rules = TRY(GateRules::from_json(as_text(*report.content)));
  if (rules.sequence < least_sequence) {
    return fail(ErrorKind::untrusted, "transit rules: number " + std::to_string(rules.sequence) +
                                          " is older than number " + std::to_string(least_sequence) +
                                          ", which is known already");
  }
  return rules;
}

}  // namespace karta::card
