#include "card/profile.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <set>

#include "card/domain_parameters.h"
#include "card/global_platform.h"
#include "card/health.h"
#include "card/identity_data.h"
#include "card/toml_table.h"
#include "card/transit.h"

namespace karta::card {
namespace {

constexpr std::string_view kSchema = "karta.card-profile/1";

// File identifiers where the profile names none. All files of the application differ in their low five bits, so that
// each has a short file identifier of its own: directory files 01 to 06, 11 and 12 (pkcs15 names them), certificates
// from 08, keys from 14.
constexpr std::uint16_t kFirstKeyFile = 0x4B14, kFirstCertificateFile = 0x4308;

Result<PinKind> pin_kind(const TomlTable& table, std::string_view key, const std::string& name) {
  if (name == name_of(PinKind::pin1)) return PinKind::pin1;
  if (name == name_of(PinKind::pin2)) return PinKind::pin2;
  return table.wrong_key(key, "must be \"PIN1\" or \"PIN2\"");
}

Result<ApplicationProfile> read_application(TomlTable& table) {
  ApplicationProfile application;
  application.name = TRY(table.required_text("name"));
  const auto aid = TRY(table.hexadecimal("aid", 5, 16));
  if (!aid) return table.wrong("\"aid\" is missing");
  application.aid = *aid;
  application.label = TRY(table.text("label")).value_or("");
  if (const auto path = TRY(table.hexadecimal("path", 2, 16))) {
    auto parsed = Path::from_octets(*path);
    if (!parsed) return table.wrong_key("path", "is no file path: " + parsed.error().message);
    application.path = *parsed;
  }
  TRY(table.finish());
  return application;
}

// The card's own rules are the outer limits: 6 to 8 digits, transport PINs of 5, at most 15 tries.
Result<PinProfile> read_pin(TomlTable& table) {
  PinProfile pin;
  const std::string kind = TRY(table.required_text("kind"));
  pin.kind = TRY(pin_kind(table, "kind", kind));
  const PinRules& rules = rules_of(pin.kind);
  pin.label = TRY(table.text("label")).value_or(kind);
  pin.reference = static_cast<std::uint8_t>(TRY(table.number("reference", pin.kind == PinKind::pin1 ? 1 : 2, 1, 2)));
  if (pin.reference != (pin.kind == PinKind::pin1 ? 1 : 2)) {
    return table.wrong_key("reference", "must be 1 for PIN1 and 2 for PIN2, as programs expect it");
  }
  pin.min_digits =
      static_cast<unsigned>(TRY(table.number("min_digits", rules.min_digits, rules.min_digits, rules.max_digits)));
  pin.max_digits =
      static_cast<unsigned>(TRY(table.number("max_digits", rules.max_digits, pin.min_digits, rules.max_digits)));
  pin.transport_digits = static_cast<unsigned>(
      TRY(table.number("transport_digits", rules.transport_digits, rules.transport_digits, rules.transport_digits)));
  pin.tries = static_cast<unsigned>(TRY(table.number("tries", rules.tries, 1, 15)));
  pin.issuer_reset = TRY(table.boolean("issuer_reset", false));
  if (pin.issuer_reset && pin.kind == PinKind::pin2) {
    return table.wrong_key("issuer_reset", "is not for PIN2: a qualified key is its holder's alone");
  }
  TRY(table.finish());
  return pin;
}

struct PurposeRow {
  std::string_view name;
  std::uint8_t bit;
};
constexpr auto kPurposes = std::to_array<PurposeRow>({
    {"sign", key_purpose::sign},
    {"decipher", key_purpose::decipher},
    {"agree", key_purpose::agree},
});

Result<std::uint8_t> read_purpose(TomlTable& table, const CardKeyType& type) {
  std::uint8_t purpose = 0;
  for (const std::string& word : TRY(table.texts("purpose"))) {
    const auto row = std::find_if(kPurposes.begin(), kPurposes.end(), [&](const auto& r) { return r.name == word; });
    if (row == kPurposes.end())
      return table.wrong_key("purpose", "knows sign, decipher and agree, not \"" + word + "\"");
    purpose = static_cast<std::uint8_t>(purpose | row->bit);
  }
  if (purpose == 0) return table.wrong("\"purpose\" is missing");
  if ((purpose & key_purpose::sign) != 0 && purpose != key_purpose::sign) {
    return table.wrong_key("purpose", "lets one key sign and decipher: that is two keys");
  }
  if ((purpose & key_purpose::decipher) != 0 && type.family == KeyFamily::ec) {
    return table.wrong_key("purpose", "of an elliptic-curve key is sign or agree");
  }
  if ((purpose & key_purpose::agree) != 0 && type.family == KeyFamily::rsa) {
    return table.wrong_key("purpose", "of an RSA key is sign or decipher");
  }
  return purpose;
}

Result<KeyProfile> read_key(TomlTable& table, std::size_t index) {
  KeyProfile key;
  const std::string role = TRY(table.required_text("role"));
  for (const KeyRole candidate :
       {KeyRole::authentication, KeyRole::signature, KeyRole::qualified, KeyRole::encryption}) {
    if (to_string(candidate) == role) key.role = candidate;
  }
  if (key.role == KeyRole::other) return table.wrong_key("role", "must be AUT, SIG, QES or ENC");
  key.label = TRY(table.text("label")).value_or(role);
  // Programs find the role by the label's first word (PKCS #15 has no place for it).
  if (std::string_view(key.label).substr(0, key.label.find(' ')) != role) {
    return table.wrong_key("label", "must begin with the role, \"" + role + "\"");
  }
  const std::string type = TRY(table.required_text("type"));
  key.type = find_card_key_type(type);
  if (key.type == nullptr) {
    std::string known;
    for (const CardKeyType& row : card_key_types()) known += (known.empty() ? "" : ", ") + std::string(row.name);
    return table.wrong_key("type", "must be one of " + known);
  }
  const std::string pin = TRY(table.text("pin")).value_or("PIN1");
  key.pin = TRY(pin_kind(table, "pin", pin));
  key.pin_each_time = TRY(table.boolean("pin_each_time", key.role == KeyRole::qualified));
  if (key.role == KeyRole::qualified && (!key.pin_each_time || key.pin != PinKind::pin2)) {
    return table.wrong("a qualified key is under PIN2, each time");
  }
  if (key.role != KeyRole::qualified && key.pin == PinKind::pin2) {
    return table.wrong_key("pin", "may be PIN2 for the qualified key only");
  }
  key.purpose = TRY(read_purpose(table, *key.type));
  if ((key.role == KeyRole::encryption) == (key.purpose == key_purpose::sign)) {
    return table.wrong_key("purpose", "of AUT, SIG and QES is sign; of ENC it is decipher or agree");
  }
  key.certificate_profile = TRY(table.required_text("certificate_profile"));
  const auto id = TRY(table.hexadecimal("id", 1, 20));
  key.id = id.value_or(Bytes{static_cast<std::uint8_t>(index + 1)});
  key.key_file = TRY(table.file_id("file", static_cast<std::uint16_t>(kFirstKeyFile + index)));
  key.certificate_file =
      TRY(table.file_id("certificate_file", static_cast<std::uint16_t>(kFirstCertificateFile + index)));
  TRY(table.finish());
  return key;
}

Result<AuthorityProfile> read_authority(TomlTable& table, std::size_t keys, std::size_t index) {
  AuthorityProfile authority;
  authority.name = TRY(table.required_text("name"));
  authority.label = TRY(table.text("label")).value_or(authority.name);
  const auto id = TRY(table.hexadecimal("id", 1, 20));
  authority.id = id.value_or(Bytes{static_cast<std::uint8_t>(0xC0 + index)});
  authority.certificate_file =
      TRY(table.file_id("certificate_file", static_cast<std::uint16_t>(kFirstCertificateFile + keys + index)));
  TRY(table.finish());
  return authority;
}

// A curve cards have for PACE and its companions, by name.
Result<crypto::KeyType> read_curve(const TomlTable& table, std::string_view key, const std::string& name) {
  const auto curve = crypto::find_key_type(name);
  if (curve && domain_parameters_of(*curve) != 0) return *curve;
  std::string known;
  for (const DomainParameters& row : kDomainParameters) {
    known += (known.empty() ? "" : ", ") + std::string(crypto::row_of(row.curve).name);
  }
  return table.wrong_key(key, "must be one of " + known);
}

Result<CardManagerProfile> read_card_manager(TomlTable& table) {
  CardManagerProfile manager;
  // Version 1 is the blank card's.
  manager.key_version = static_cast<std::uint8_t>(TRY(table.number("key_version", manager.key_version, 2, 0x7F)));
  const auto bits = TRY(table.number("key_bits", static_cast<std::int64_t>(manager.key_octets) * 8, 128, 256));
  manager.key_octets = static_cast<std::size_t>(bits) / 8;
  if (bits % 8 != 0 || !crypto::is_aes_key(manager.key_octets)) {
    return table.wrong_key("key_bits", "must be 128, 192 or 256");
  }
  const std::string mode = TRY(table.text("mode")).value_or("S16");
  if (mode != "S8" && mode != "S16") return table.wrong_key("mode", "must be \"S8\" or \"S16\"");
  manager.mode = mode == "S8" ? Scp03Mode::s8 : Scp03Mode::s16;
  const std::string curve = TRY(table.text("agreement_curve")).value_or("p256");
  manager.agreement_curve = TRY(read_curve(table, "agreement_curve", curve));
  TRY(table.finish());
  return manager;
}

Result<IdentityProfile> read_identity(TomlTable& table) {
  IdentityProfile identity;
  for (const std::string& name : TRY(table.texts("pace_curves"))) {
    identity.pace_curves.push_back(TRY(read_curve(table, "pace_curves", name)));
  }
  if (identity.pace_curves.empty()) identity.pace_curves.push_back(crypto::KeyType::p256);
  const auto bits = TRY(table.number("cipher_bits", 128, 128, 256));
  identity.cipher_octets = static_cast<std::size_t>(bits) / 8;
  if (bits % 8 != 0 || !crypto::is_aes_key(identity.cipher_octets)) {
    return table.wrong_key("cipher_bits", "must be 128, 192 or 256");
  }
  const std::string chip = TRY(table.text("chip_authentication_curve")).value_or("p256");
  identity.chip_authentication_curve = TRY(read_curve(table, "chip_authentication_curve", chip));
  const std::string pseudonym = TRY(table.text("restricted_identification_curve")).value_or("brainpoolP256r1");
  identity.restricted_identification_curve = TRY(read_curve(table, "restricted_identification_curve", pseudonym));
  identity.issuing_state = TRY(table.text("issuing_state")).value_or("");
  if (identity.issuing_state.size() > 3 || !std::all_of(identity.issuing_state.begin(), identity.issuing_state.end(),
                                                        [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return table.wrong_key("issuing_state", "must be up to three capital letters (ICAO 9303-3)");
  }
  for (const std::string& name : TRY(table.texts("data_groups"))) {
    const DataGroupRow* const row = find_data_group(name);
    if (row == nullptr) return table.wrong_key("data_groups", "knows no \"" + name + "\"");
    if (std::find(identity.data_groups.begin(), identity.data_groups.end(), row->number) !=
        identity.data_groups.end()) {
      return table.wrong_key("data_groups", "names \"" + name + "\" twice");
    }
    identity.data_groups.push_back(row->number);
  }
  if (identity.data_groups.empty()) return table.wrong("\"data_groups\" is missing");
  identity.verify_age = TRY(table.boolean("verify_age", true));
  identity.verify_place = TRY(table.boolean("verify_place", true));
  TRY(table.finish());
  return identity;
}

// A rule by its word: who may, beside the issuer where it is for writing.
Result<AccessRule> read_rule(TomlTable& table, std::string_view key, AccessRule absent) {
  const auto word = TRY(table.text(key));
  if (!word) return absent;
  const auto rule = find_access_rule(*word);
  if (rule) return *rule;
  return table.wrong_key(key,
                         "must be \"anybody\", \"secure-channel\", \"nobody\" or a sector right: read-insurance, ...");
}

Result<LedgerProfile> read_ledger(TomlTable& table, LedgerProfile ledger, std::string_view counters,
                                  std::size_t entry_octets) {
  const auto bits = TRY(table.number("key_bits", static_cast<std::int64_t>(ledger.key_octets) * 8, 128, 256));
  if (bits != 128 && bits != 256) return table.wrong_key("key_bits", "must be 128 or 256");
  ledger.key_octets = static_cast<std::size_t>(bits) / 8;
  ledger.counters = static_cast<std::size_t>(
      TRY(table.number(counters, static_cast<std::int64_t>(ledger.counters), 1, kMostLedgerCounters)));
  ledger.entries =
      static_cast<std::size_t>(TRY(table.number("journal", static_cast<std::int64_t>(ledger.entries), 1, 32)));
  if (ledger.counters * 4 + ledger.entries * entry_octets + 40 > kMostLedgerOctets) {
    return table.wrong_key("journal", "is longer than a card keeps");
  }
  ledger.settlement = TRY(table.boolean("settlement_codes", true));
  return ledger;
}

Result<HealthProfile> read_health(TomlTable& table) {
  HealthProfile health;
  health.ledger = TRY(read_ledger(table, health.ledger, "entitlements", HealthEntry::kOctets));
  health.insurance_octets = static_cast<std::size_t>(TRY(table.number("insurance_octets", 128, 32, 256)));
  health.emergency_octets = static_cast<std::size_t>(TRY(table.number("emergency_octets", 512, 32, 1024)));
  if (auto rules = TRY(table.table("rules"))) {
    HealthRules& set = health.rules;
    set.read_insurance = TRY(read_rule(*rules, "read_insurance", set.read_insurance));
    set.write_insurance = TRY(read_rule(*rules, "write_insurance", set.write_insurance));
    set.read_emergency = TRY(read_rule(*rules, "read_emergency", set.read_emergency));
    set.write_emergency = TRY(read_rule(*rules, "write_emergency", set.write_emergency));
    set.read_entitlements = TRY(read_rule(*rules, "read_entitlements", set.read_entitlements));
    set.redeem = TRY(read_rule(*rules, "redeem", set.redeem));
    set.grant = TRY(read_rule(*rules, "grant", set.grant));
    TRY(rules->finish());
  }
  TRY(table.finish());
  return health;
}

Result<TransitProfile> read_transit(TomlTable& table) {
  TransitProfile transit;
  transit.ledger = TRY(read_ledger(table, transit.ledger, "products", TransitEntry::kOctets));
  transit.card_signed = TRY(table.boolean("card_signed", false));
  transit.certificate_profile = TRY(table.text("certificate_profile")).value_or(transit.certificate_profile);
  for (const std::int64_t zone : TRY(table.numbers("concession_zones", 0, 15))) {
    transit.concession_zones = static_cast<std::uint16_t>(transit.concession_zones | 1u << zone);
  }
  if (auto rules = TRY(table.table("rules"))) {
    TransitRules& set = transit.rules;
    set.read = TRY(read_rule(*rules, "read", set.read));
    set.travel = TRY(read_rule(*rules, "travel", set.travel));
    set.sell = TRY(read_rule(*rules, "sell", set.sell));
    TRY(rules->finish());
  }
  TRY(table.finish());
  return transit;
}

Result<DomainProfile> read_domain(TomlTable& table) {
  DomainProfile domain;
  domain.name = TRY(table.required_text("name"));
  const auto aid = TRY(table.hexadecimal("aid", 7, 7));
  if (!aid || !is_domain_aid(*aid)) return table.wrong("\"aid\" must be F04B41525441 and an octet from 10 to 1F");
  domain.aid = *aid;
  TRY(table.finish());
  return domain;
}

// What only the whole can break.
Status check_whole(const TomlTable& root, const CardProfile& profile) {
  if (profile.applications.empty()) return root.wrong("there is no [[application]]");
  const bool esign = std::any_of(profile.applications.begin(), profile.applications.end(),
                                 [](const auto& a) { return equal(a.aid, kPkcs15Aid); });
  if (!esign) return root.wrong("there is no [[application]] with the e-signature AID A000000063504B43532D3135");
  struct Part {
    const char* table;
    ByteView aid;
    bool present;
  };
  for (const Part& part : {Part{"[identity]", kIdentityAid, profile.identity.has_value()},
                           Part{"[health]", kHealthAid, profile.health.has_value()},
                           Part{"[transit]", kTransitAid, profile.transit.has_value()}}) {
    const bool listed = std::any_of(profile.applications.begin(), profile.applications.end(),
                                    [&](const auto& a) { return equal(a.aid, part.aid); });
    if (listed != part.present) {
      return root.wrong(std::string(part.table) + " and an [[application]] with the AID " + to_hex_upper(part.aid) +
                        " belong together");
    }
  }
  for (std::size_t i = 0; i < profile.domains.size(); ++i) {
    for (std::size_t other = 0; other < i; ++other) {
      if (profile.domains[i].aid == profile.domains[other].aid ||
          profile.domains[i].name == profile.domains[other].name) {
        return root.wrong("there are two [[domain]]s " + profile.domains[i].name + " or of its AID");
      }
    }
  }
  if (profile.keys.empty()) return root.wrong("there is no [[key]]");
  std::set<std::uint16_t> files{kEfOdf, kEfTokenInfo, 0x4401, 0x4402, 0x4403, 0x4404};
  std::set<Bytes> ids;
  std::set<KeyRole> roles;
  std::set<PinKind> pins;
  std::set<std::string> names;
  for (const PinProfile& pin : profile.pins) {
    if (!pins.insert(pin.kind).second) return root.wrong("there are two [[pin]]s " + std::string(name_of(pin.kind)));
  }
  const auto taken = [&](std::uint16_t file) {
    Bytes octets;
    append_be16(octets, file);
    return root.wrong("file " + to_hex_upper(octets) + " is used twice");
  };
  for (const KeyProfile& key : profile.keys) {
    const std::string name(to_string(key.role));
    if (!roles.insert(key.role).second) return root.wrong("there are two [[key]]s " + name);
    if (!pins.contains(key.pin)) return root.wrong("key " + name + " is under a PIN that has no [[pin]]");
    if (!ids.insert(key.id).second) return root.wrong("key " + name + " has the id of another");
    if (!files.insert(key.key_file).second) return taken(key.key_file);
    if (!files.insert(key.certificate_file).second) return taken(key.certificate_file);
  }
  for (const AuthorityProfile& authority : profile.authorities) {
    if (!names.insert(authority.name).second) return root.wrong("there are two [[authority]]s " + authority.name);
    if (!ids.insert(authority.id).second) return root.wrong("authority " + authority.name + " has the id of another");
    if (!files.insert(authority.certificate_file).second) return taken(authority.certificate_file);
  }
  return {};
}

Result<CardProfile> read_root(TomlTable& root) {
  const std::string schema = TRY(root.required_text("schema"));
  if (schema != kSchema) return root.wrong_key("schema", "must be \"" + std::string(kSchema) + "\"");
  CardProfile profile;
  profile.name = TRY(root.required_text("name"));
  profile.description = TRY(root.text("description")).value_or("");
  profile.label = TRY(root.required_text("label"));
  // PKCS #11 shows 32 octets of it; the PIN's label follows in brackets.
  if (profile.label.size() > 32) return root.wrong_key("label", "is longer than 32 octets");
  profile.manufacturer = TRY(root.text("manufacturer")).value_or("karta");
  profile.certificate_slack = static_cast<std::size_t>(TRY(root.number("certificate_slack", 48, 0, 1024)));
  profile.public_key_directory = TRY(root.boolean("public_key_directory", false));
  for (TomlTable& table : TRY(root.tables("application"))) profile.applications.push_back(TRY(read_application(table)));
  for (TomlTable& table : TRY(root.tables("pin"))) profile.pins.push_back(TRY(read_pin(table)));
  if (auto puk = TRY(root.table("puk"))) {
    const PinRules& rules = rules_of(PinKind::puk);
    profile.puk_digits =
        static_cast<unsigned>(TRY(puk->number("digits", rules.min_digits, rules.min_digits, rules.max_digits)));
    profile.puk_tries = static_cast<unsigned>(TRY(puk->number("tries", rules.tries, 1, 15)));
    TRY(puk->finish());
  }
  if (auto can = TRY(root.table("can"))) {
    const PinRules& rules = rules_of(PinKind::can);
    profile.can_digits =
        static_cast<unsigned>(TRY(can->number("digits", rules.min_digits, rules.min_digits, rules.max_digits)));
    TRY(can->finish());
  }
  for (TomlTable& table : TRY(root.tables("key"))) {
    const std::size_t index = profile.keys.size();
    profile.keys.push_back(TRY(read_key(table, index)));
  }
  for (TomlTable& table : TRY(root.tables("authority"))) {
    const std::size_t index = profile.authorities.size();
    profile.authorities.push_back(TRY(read_authority(table, profile.keys.size(), index)));
  }
  if (auto manager = TRY(root.table("card_manager"))) profile.card_manager = TRY(read_card_manager(*manager));
  if (auto identity = TRY(root.table("identity"))) profile.identity = TRY(read_identity(*identity));
  if (auto health = TRY(root.table("health"))) profile.health = TRY(read_health(*health));
  if (auto transit = TRY(root.table("transit"))) profile.transit = TRY(read_transit(*transit));
  for (TomlTable& table : TRY(root.tables("domain"))) profile.domains.push_back(TRY(read_domain(table)));
  TRY(root.finish());
  TRY(check_whole(root, profile));
  return profile;
}

}  // namespace

std::optional<AccessRule> find_access_rule(std::string_view word) {
  if (word == "anybody") return AccessRule{AccessRule::Kind::anybody};
  if (word == "secure-channel") return AccessRule{AccessRule::Kind::secure_channel};
  if (word == "nobody") return AccessRule{AccessRule::Kind::nobody};
  if (const SectorRightRow* const row = find_sector_right(word)) return AccessRule(row->right);
  return std::nullopt;
}

bool IdentityProfile::has(unsigned data_group) const {
  return std::find(data_groups.begin(), data_groups.end(), data_group) != data_groups.end();
}

const PinProfile* CardProfile::pin(PinKind kind) const {
  const auto found = std::find_if(pins.begin(), pins.end(), [&](const PinProfile& pin) { return pin.kind == kind; });
  return found == pins.end() ? nullptr : &*found;
}

const KeyProfile* CardProfile::key(KeyRole role) const {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const KeyProfile& key) { return key.role == role; });
  return found == keys.end() ? nullptr : &*found;
}

const DomainProfile* CardProfile::domain(std::string_view domain_name) const {
  const auto found = std::find_if(domains.begin(), domains.end(),
                                  [&](const DomainProfile& domain) { return domain.name == domain_name; });
  return found == domains.end() ? nullptr : &*found;
}

Result<CardProfile> parse_profile(std::string_view toml, std::string_view source) {
  return read_toml(toml, source, read_root);
}

Result<std::string> read_toml_file(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return fail(ErrorKind::not_found, "cannot open profile \"" + file + "\"");
  std::string text(kMostTomlOctets + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return fail(ErrorKind::io, "cannot read profile \"" + file + "\"");
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return text;
}

Result<CardProfile> read_profile(const std::string& file) {
  const std::string text = TRY(read_toml_file(file));
  return parse_profile(text, file);
}

}  // namespace karta::card
