#include "card/sector_steps.h"

#include <algorithm>

#include "base/tlv.h"
#include "card/domain_parameters.h"
#include "card/health.h"
#include "card/iso7816.h"
#include "card/transit.h"

namespace karta::card {
namespace {

constexpr std::uint16_t kObjectSymmetricKey = 0x018A;
constexpr std::uint8_t kDf = 0x38, kAesKeyFile = 0x29, kLedgerFile = 0x32, kEcKeyFile = 0x22;
// Second octet of a key's properties: it works in ledgers, and does nothing else.
constexpr std::uint8_t kUseLedger = 0x80;
constexpr std::uint8_t kFirstKeyVersion = 0x01;
constexpr std::size_t kEstimatedCertificateOctets = 640;

std::string octets_of(std::size_t count) { return " (" + std::to_string(count) + " octets)"; }

Bytes pair_of(ChannelRule rule) { return {rule.condition, rule.bit}; }

Bytes file_reference(std::uint16_t id) {
  Bytes octets;
  append_be16(octets, id);
  return octets;
}

PersonalisationStep create_df(const char* what, std::uint16_t id, ByteView aid, ChannelRule selection,
                              StepPlace place) {
  PersonalisationStep step;
  step.words = std::string("create the ") + what + " application, DF " + hex16(id);
  step.place = StepPlace::master;
  FileToCreate df;
  df.id = id;
  df.descriptor = kDf;
  df.name = to_bytes(aid);
  df.rules = access_nibbles(nibble::free, nibble::free, nibble::free, nibble::never);
  df.channel = ChannelRules{selection, {channel_rule::usual}};
  step.commands.push_back({create(df), 0, kSwFileExists, id});
  step.leaves = place;
  return step;
}

PersonalisationStep record_step(std::string words, std::uint16_t id, std::uint8_t short_id, std::size_t size,
                                ByteView content, const AccessRule& read, const AccessRule& write, std::size_t room,
                                StepPlace place) {
  FileToCreate file;
  file.id = id;
  file.size = size;
  file.short_id = short_id;
  file.rules = access_nibbles(nibble::free, nibble::free, nibble::never, nibble::never);
  file.channel = ChannelRules{channel_rule_of(read, false), channel_rule_of(write, true)};
  PersonalisationStep step = write_file_step(std::move(words) + octets_of(content.size()), file, content, room);
  step.place = place;
  return step;
}

const SecretBytes& key_of(const LedgerData& ledger, LedgerKey kind) {
  static const SecretBytes none;
  const auto key = ledger.keys.find(kind);
  return key == ledger.keys.end() ? none : key->second;
}

void add_keys(std::vector<PersonalisationStep>& steps, const std::string& whose, const LedgerProfile& profile,
              const LedgerData& ledger, StepPlace place) {
  const auto add = [&](LedgerKey kind, std::uint16_t file) {
    steps.push_back(ledger_key_step("write the " + std::string(name_of(kind)) + " key of " + whose, file,
                                    key_of(ledger, kind), profile.key_octets, place));
  };
  add(LedgerKey::debit, kDebitKeyFile);
  add(LedgerKey::credit, kCreditKeyFile);
  if (profile.settlement) add(LedgerKey::settlement, kSettlementKeyFile);
}

PersonalisationStep ledger_step(const std::string& whose, LedgerFile file, const LedgerProfile& profile,
                                const LedgerData& ledger, std::size_t product_octets, ByteView product,
                                StepPlace place) {
  file.counters = profile.counters;
  file.entries = profile.entries;
  file.serial = ledger.serial.empty() ? Bytes(kLedgerSerialOctets, 0) : ledger.serial;
  file.product_octets = product_octets;
  if (profile.settlement) file.settlement_key = kSettlementKeyFile;
  PersonalisationStep step;
  step.words = "create the ledger of " + whose + " (" + std::to_string(file.counters) + " counters, " +
               std::to_string(file.entries) + " entries of " + std::to_string(file.entry_octets) +
               ") and write its product" + octets_of(product_octets);
  step.place = place;
  step.commands.push_back({create_ledger(file), 0, kSwFileExists, file.id});
  // A new file reads as zeros: nothing is granted, nothing bought.
  if (!product.empty()) step.commands.push_back({update_binary(0, product), 0, {}, {}});
  return step;
}

}  // namespace

ChannelRule channel_rule_of(const AccessRule& rule, bool writing) {
  ChannelRule made;
  switch (rule.kind) {
    case AccessRule::Kind::anybody:
      made.condition = channel_rule::free;
      break;
    case AccessRule::Kind::secure_channel:
      made.condition = channel_rule::secure_channel;
      break;
    case AccessRule::Kind::right:
      made.condition = channel_rule::sector_right;
      made.bit = static_cast<std::uint8_t>(rule.right);
      break;
    case AccessRule::Kind::nobody:
      made.condition = channel_rule::nobody;
      break;
  }
  if (writing && rule.kind != AccessRule::Kind::anybody) made.condition |= channel_rule::or_issuer;
  return made;
}

// 62 { 80 product octets, 82 32, 83 id, 86 rules, 88 short identifier, 8A.., A1 { 81, 82, 83 }, A2 { 80 counters,
//      81 entry octets, 82 entries, 83 debit key, 84 credit key, 85 serial, [86 settlement key], [87 signing key] } }
CommandApdu create_ledger(const LedgerFile& ledger) {
  Bytes content = make_tlv(0x80, file_reference(static_cast<std::uint16_t>(ledger.product_octets)));
  append_tlv(content, 0x82, Bytes{kLedgerFile});
  append_tlv(content, 0x83, file_reference(ledger.id));
  append_tlv(content, 0x86, access_nibbles(nibble::free, nibble::free, nibble::never, nibble::never));
  append_tlv(content, 0x88, Bytes{static_cast<std::uint8_t>(ledger.short_id << 3)});
  append(content,
         make_tlv(0xA1, {make_tlv(0x81, pair_of(ledger.channel.read)), make_tlv(0x82, pair_of(ledger.channel.sell)),
                         make_tlv(0x83, pair_of(ledger.channel.debit))}));
  Bytes shape = make_tlv(0x80, Bytes{static_cast<std::uint8_t>(ledger.counters)});
  append_tlv(shape, 0x81, Bytes{static_cast<std::uint8_t>(ledger.entry_octets)});
  append_tlv(shape, 0x82, Bytes{static_cast<std::uint8_t>(ledger.entries)});
  append_tlv(shape, 0x83, file_reference(ledger.debit_key));
  append_tlv(shape, 0x84, file_reference(ledger.credit_key));
  append_tlv(shape, 0x85, ledger.serial);
  if (ledger.settlement_key) append_tlv(shape, 0x86, file_reference(*ledger.settlement_key));
  if (ledger.signing_key) append_tlv(shape, 0x87, file_reference(*ledger.signing_key));
  append_tlv(content, 0xA2, shape);
  return create_file(make_tlv(0x62, content));
}

PersonalisationStep ledger_key_step(std::string words, std::uint16_t file, const SecretBytes& key,
                                    std::size_t key_octets, StepPlace place) {
  PersonalisationStep step;
  step.words = std::move(words) + " (AES-" + std::to_string(key_octets * 8) + ") to " + hex16(file);
  step.place = place;
  FileToCreate made;
  made.id = file;
  made.size = key_octets * 8;
  made.descriptor = kAesKeyFile;
  // Used by its ledger; the issuer alone may write another version.
  made.rules = access_nibbles(nibble::free, nibble::never, nibble::never, nibble::never);
  made.properties = {0x00, kUseLedger};
  step.commands.push_back({create(made), 0, kSwFileExists, file});
  Bytes value{kFirstKeyVersion};
  if (key.empty()) {
    value.resize(1 + key_octets, 0x00);
  } else {
    value.reserve(1 + key.size());
    append(value, key.expose_secret());
  }
  step.commands.push_back({put_data(kObjectSymmetricKey, value, true), 0, {}, {}});
  wipe(value);
  return step;
}

std::vector<PersonalisationStep> sector_prepare_steps(const CardProfile& profile) {
  std::vector<PersonalisationStep> steps;
  if (profile.health) {
    steps.push_back(create_df("health", kHealthDf, kHealthAid, {channel_rule::usual}, StepPlace::health));
  }
  if (!profile.transit) return steps;
  steps.push_back(create_df("transit", kTransitDf, kTransitAid, channel_rule_of(profile.transit->rules.travel, false),
                            StepPlace::transit));
  if (profile.transit->card_signed) {
    PersonalisationStep step;
    step.words = "make the key that signs transit statements (p256) to " + hex16(kTransitSigningKey);
    step.place = StepPlace::transit;
    FileToCreate key;
    key.id = kTransitSigningKey;
    key.size = crypto::row_of(crypto::KeyType::p256).key_bits;
    key.descriptor = kEcKeyFile;
    key.rules = access_nibbles(nibble::free, nibble::never, nibble::never, nibble::never);
    key.properties = {0x00, kUseLedger, domain_parameters_of(crypto::KeyType::p256)};
    step.commands.push_back({create(key), 0, kSwFileExists, kTransitSigningKey});
    step.commands.push_back(
        {generate_key_pair({}, kShortResponse), make_tlv(0x7F49, make_tlv(0x86, Bytes(65, 0))).size(), {}, {}});
    step.makes_point = kTransitSigningKey;
    steps.push_back(std::move(step));
  }
  return steps;
}

std::vector<PersonalisationStep> sector_complete_steps(const CardProfile& profile, const CardData& data,
                                                       ByteView transit_certificate, std::size_t room) {
  std::vector<PersonalisationStep> steps;
  if (profile.health) {
    const HealthProfile& health = *profile.health;
    const HealthRules& rules = health.rules;
    steps.push_back(record_step("write the insurance record", kEfInsurance, kInsuranceShortId, health.insurance_octets,
                                data.health.insurance, rules.read_insurance, rules.write_insurance, room,
                                StepPlace::health));
    steps.push_back(record_step("write emergency data", kEfEmergency, kEmergencyShortId, health.emergency_octets,
                                data.health.emergency, rules.read_emergency, rules.write_emergency, room,
                                StepPlace::health));
    add_keys(steps, "entitlements", health.ledger, data.health.ledger, StepPlace::health);
    LedgerFile file;
    file.id = kEfLedger;
    file.short_id = kLedgerShortId;
    file.entry_octets = HealthEntry::kOctets;
    file.channel = {channel_rule_of(rules.read_entitlements, false), channel_rule_of(rules.grant, true),
                    channel_rule_of(rules.redeem, false)};
    steps.push_back(ledger_step("entitlements", file, health.ledger, data.health.ledger,
                                Entitlements::octets(health.ledger.counters), data.health.entitlements,
                                StepPlace::health));
  }
  if (profile.transit) {
    const TransitProfile& transit = *profile.transit;
    add_keys(steps, "transit", transit.ledger, data.transit.ledger, StepPlace::transit);
    LedgerFile file;
    file.id = kTransitLedger;
    file.short_id = kTransitLedgerShortId;
    file.entry_octets = TransitEntry::kOctets;
    file.channel = {channel_rule_of(transit.rules.read, false), channel_rule_of(transit.rules.sell, true),
                    channel_rule_of(transit.rules.travel, false)};
    if (transit.card_signed) file.signing_key = kTransitSigningKey;
    steps.push_back(ledger_step("transit", file, transit.ledger, data.transit.ledger,
                                TransitPass::octets(transit.ledger.counters), data.transit.product,
                                StepPlace::transit));
    if (transit.card_signed) {
      const Bytes estimated(kEstimatedCertificateOctets, 0);
      const ByteView content = transit_certificate.empty() ? ByteView(estimated) : transit_certificate;
      FileToCreate certificate;
      certificate.id = kEfTransitCertificate;
      certificate.size = content.size();
      certificate.short_id = kTransitCertificateShortId;
      certificate.rules = access_nibbles(nibble::free, nibble::never, nibble::never, nibble::never);
      certificate.channel = ChannelRules{{channel_rule::free}, {channel_rule::nobody | channel_rule::or_issuer}};
      steps.push_back(write_file_step("write the certificate of the transit key" + octets_of(content.size()),
                                      certificate, content, room));
      steps.back().place = StepPlace::transit;
      steps.back().estimated = transit_certificate.empty();
    }
  }
  return steps;
}

}  // namespace karta::card
