// CardMaterial: what an issuing centre brings to a card, made up for tests: a trust anchor, data groups, certificates
// in shape.
#pragma once

#include <gtest/gtest.h>

#include "base/der.h"
#include "card/cv_certificate.h"
#include "card/health.h"
#include "card/personalise.h"
#include "card/transit.h"

namespace karta::test {

/// A self-signed CVCA certificate for authentication terminals with all rights, valid in 2026 to 2029.
inline Bytes trust_anchor() {
  using namespace card;
  static const Bytes octets = [] {
    auto key = crypto::PrivateKey::generate(crypto::KeyType::p256);
    if (!key) return Bytes{};
    crypto::SoftwareSigner signer(std::move(*key));
    CvContent content;
    content.authority = content.holder = "XXTESTCA00001";
    auto public_key = cv_public_key_of(signer.public_key(), crypto::AlgorithmId::ecdsa_sha256, true);
    if (!public_key) return Bytes{};
    content.public_key = *public_key;
    content.chat = {TerminalType::authentication_terminal, HolderRole::cvca,
                    all_rights(TerminalType::authentication_terminal)};
    content.extensions = {{std::string(kSectorRightsOid), encode_sector_rights(all_sector_rights())}};
    content.effective = std::chrono::year(2026) / 1 / 1;
    content.expiration = std::chrono::year(2029) / 1 / 1;
    auto made = sign_cv_certificate(content, signer, crypto::AlgorithmId::ecdsa_sha256);
    if (!made) {
      ADD_FAILURE() << made.error().message;
      return Bytes{};
    }
    return made->octets();
  }();
  return octets;
}

/// DER SEQUENCE of `octets` in all. What is inside is crypto's affair.
inline Bytes certificate_of(std::size_t octets, std::uint8_t fill) { return der::sequence(Bytes(octets - 4, fill)); }

/// Master keys of ledgers, the same in every test.
inline card::LedgerMasters ledger_masters(std::uint8_t fill) {
  card::LedgerMasters masters;
  for (const card::LedgerKey kind : {card::LedgerKey::debit, card::LedgerKey::credit, card::LedgerKey::settlement}) {
    masters.emplace(kind, SecretBytes(Bytes(16, static_cast<std::uint8_t>(fill + static_cast<std::uint8_t>(kind)))));
  }
  return masters;
}
constexpr std::uint8_t kHealthMasters = 0x50, kTransitMasters = 0x60;

/// A pensioner with a pass for zones 1 and 2 and room for trips; insured; allergic.
inline void add_sectors(card::CardData& data, const card::CardProfile& profile, RandomSource& random) {
  using namespace card;
  const auto octets = [](const Result<Bytes>& made) {
    EXPECT_TRUE(made) << (made ? "" : made.error().message);
    return made.value_or(Bytes{});
  };
  if (profile.health) {
    data.health.insurance = octets(
        InsuranceRecord{.enp = "0000000000000000", .insurer = "Sample Insurer", .from = {}, .until = {}}.encode());
    EmergencyData emergency;
    emergency.blood_group = BloodGroup::ab_negative;
    emergency.allergies = {{"penicillin", "Z88.0"}};
    emergency.contacts = {{"Sample Contact", "000-00-00"}};
    data.health.emergency = octets(emergency.encode());
    Entitlements entitlements;
    entitlements.slots.push_back({"A10BA02", 4711, {}, std::chrono::year(2030) / 12 / 31});
    entitlements.slots.resize(profile.health->ledger.counters);
    data.health.entitlements = octets(entitlements.encode());
    data.health.ledger = LedgerData::derive(ledger_masters(kHealthMasters), random);
  }
  if (profile.transit) {
    TransitPass pass;
    pass.status_index = 4711;
    pass.concession = 1;
    pass.products.push_back({ProductKind::period, 0x0006, {}, std::chrono::year(2031) / 1 / 1});
    pass.products.push_back({ProductKind::trips, 0xFFFF, {}, {}});
    pass.products.resize(profile.transit->ledger.counters);
    data.transit.product = octets(pass.encode());
    data.transit.ledger = LedgerData::derive(ledger_masters(kTransitMasters), random);
  }
}

/// Everything but the secrets.
inline void add_identity(card::CardData& data, const card::CardProfile& profile) {
  SeededRandom ledgers(8);
  add_sectors(data, profile, ledgers);
  if (!profile.identity) return;
  const card::PartialDate day{1990, 5, 17};
  const card::IdentityData values = {
      {1, std::string("ID")},     {2, std::string("UTO")},      {3, card::PartialDate{2031, 1, 1}},
      {4, std::string("Sample")}, {5, std::string("Person")},   {8, day},
      {11, std::string("F")},     {18, Bytes{0x06, 0x43, 0x99}}};
  SeededRandom random(7);
  auto files = card::encode_data_groups(*profile.identity, values, random);
  ASSERT_TRUE(files) << files.error().message;
  data.data_groups = std::move(*files);
  data.comparison = {"19900517", "20310101", {0x06, 0x43, 0x99}};
  data.status_index = 4711;
  data.trust_anchor = trust_anchor();
  data.date = std::chrono::year(2026) / 11 / 22;
}

/// Certificates in shape for every place of the profile.
inline card::CardCertificates certificates_for(const card::CardProfile& profile) {
  card::CardCertificates certificates;
  std::uint8_t fill = 1;
  for (const card::KeyProfile& key : profile.keys) certificates.by_role[key.role] = certificate_of(700, fill++);
  for (const card::AuthorityProfile& authority : profile.authorities) {
    certificates.authorities[authority.name] = certificate_of(600, fill++);
  }
  certificates.agreement = certificate_of(600, fill++);
  certificates.card_security = certificate_of(1500, fill++);
  if (profile.transit && profile.transit->card_signed) certificates.transit = certificate_of(600, fill++);
  return certificates;
}

}  // namespace karta::test
