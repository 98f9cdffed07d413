#include "issuing/administration.h"

#include <algorithm>

#include "card/file.h"
#include "card/iso7816.h"
#include "card/issuer_channel.h"
#include "card/personalisation_step.h"
#include "card/personalise.h"
#include "issuing/card_content.h"

namespace karta::issuing {
namespace {

tl::unexpected<Error> unknown_card(const std::string& serial) {
  return fail(ErrorKind::not_found, "the registry has no card with serial " + serial,
              "only the centre that issued a card administers it");
}

}  // namespace

Result<AdministeredCard> administer(Centre& centre, const SecretBytes& card_master, card::Channel& plain,
                                    RandomSource& random) {
  const Bytes info = TRY(card::ESignApplication::open(plain)).info().serial;
  const std::string serial = to_hex_upper(info);
  auto record = centre.registry().card_by_serial(serial);
  if (!record)
    return record.error().kind == ErrorKind::not_found ? unknown_card(serial) : fail(std::move(record).error());
  card::CardProfile profile = TRY(centre.card_profile(record->profile));
  card::IssuerChannelRequest request;
  request.profile = &profile.card_manager;
  request.master = &card_master;
  request.serial = info;
  auto channel = TRY(card::open_issuer_channel(plain, request, random));
  return AdministeredCard{std::move(*record), std::move(profile), std::move(channel)};
}

Status replace_certificate(AdministeredCard& card, card::KeyRole role, ByteView der) {
  const card::KeyProfile* const key = card.profile.key(role);
  if (key == nullptr) {
    return fail(ErrorKind::not_found,
                "cards of profile \"" + card.profile.name + "\" have no key " + std::string(to_string(role)));
  }
  card::Channel& channel = *card.channel;
  const card::Path path{card::kDfESign, key->certificate_file};
  const auto present = select(channel, path);
  // Missing: an earlier replacement was interrupted between deleting the file and making it anew.
  if (!present && present.error().kind != ErrorKind::not_found) return fail(present.error());
  if (present && der.size() <= present->size) {
    // What is left of the old one goes: a file ends in zeros.
    Bytes content = to_bytes(der);
    content.resize(present->size, 0x00);
    return card::update_selected(channel, content);
  }
  // Longer than its file: the file is made anew, in its place and under its rules.
  TRY(channel.run(card::select_application(card::kPkcs15Aid, card::SelectReturn::nothing),
                  "select the e-signature application"));
  if (present) TRY(channel.run(card::delete_file(key->certificate_file), "delete the old certificate"));
  card::FileToCreate file;
  file.id = key->certificate_file;
  file.size = der.size() + card.profile.certificate_slack;
  file.rules = present ? present->access : card::certificate_file_rules(card.profile, *key);
  TRY(channel.run(card::create(file), "make room for the certificate"));
  return card::update_selected(channel, der);
}

namespace {

/// The issuer's own number in journal entries of a card.
constexpr std::size_t kTerminalOctets = 8;

Result<card::MasterTransactionKeys> keys_of(const card::TransactionMasters& masters, std::string_view application,
                                            RandomSource& random) {
  const auto found = masters.find(application);
  if (found == masters.end()) {
    return fail(ErrorKind::configuration,
                "the centre has no transaction masters for \"" + std::string(application) + "\"");
  }
  card::LedgerMasters copies;
  for (const auto& [kind, key] : found->second) copies.emplace(kind, key.clone());
  return card::MasterTransactionKeys(std::move(copies), random);
}

}  // namespace

Status update_concession(AdministeredCard& card, const identity::Citizen& holder,
                         const card::TransactionMasters& masters, identity::Date today, RandomSource& random) {
  if (!card.profile.transit) return fail(ErrorKind::not_found, "cards of this profile have no transit application");
  auto keys = TRY(keys_of(masters, "transit", random));
  auto transit = TRY(card::TransitApplication::open(*card.channel));
  // The issuer's session writes the product and may not read it; what the card opens with the credit key it may.
  const auto ledger = TRY(transit.open_for_sale(keys));
  card::TransitPass pass = TRY(card::TransitPass::parse(ledger.state().product, ledger.state().counters.size()));
  apply_concession(pass, holder, *card.profile.transit, today);
  return transit.write_pass(pass);
}

Status update_insurance(AdministeredCard& card, const identity::Citizen& holder) {
  if (!card.profile.health) return fail(ErrorKind::not_found, "cards of this profile have no health application");
  const auto record = insurance_of(holder);
  if (!record) return fail(ErrorKind::not_found, "the registry knows no insurance number of the holder");
  auto health = TRY(card::HealthApplication::open(*card.channel));
  return health.write_insurance(*record);
}

Result<card::LedgerReceipt> grant_entitlement(AdministeredCard& card, const card::Entitlement& entitlement,
                                              std::uint8_t packages, const card::TransactionMasters& masters, Time now,
                                              RandomSource& random) {
  if (!card.profile.health) return fail(ErrorKind::not_found, "cards of this profile have no health application");
  auto keys = TRY(keys_of(masters, "health", random));
  auto health = TRY(card::HealthApplication::open(*card.channel));
  auto ledger = TRY(health.open_for_granting(keys));
  card::Entitlements all = TRY(card::Entitlements::parse(ledger.state().product, ledger.state().counters.size()));
  const std::uint8_t slot = TRY(card::slot_for(all, ledger.state().counters, entitlement));
  if (!(all.slots[slot] == entitlement)) {
    all.slots[slot] = entitlement;
    TRY(health.write_entitlements(all));
    ledger = TRY(health.open_for_granting(keys));  // any other command ends an opening
  }
  card::HealthEntry entry;
  entry.terminal = Bytes(kTerminalOctets, 0x00);
  entry.number = ledger.state().sequence + 1;
  entry.moment = card::moment_number(now);
  const card::LedgerChange change = TRY(card::grant(ledger.state(), slot, packages, entry));
  auto receipt = TRY(ledger.commit(change));
  TRY(ledger.ratify());
  return receipt;
}

Result<Bytes> load_domain(AdministeredCard& card, ByteView aid, ByteView offer) {
  const auto& domains = card.profile.domains;
  if (std::none_of(domains.begin(), domains.end(), [&](const auto& domain) { return equal(domain.aid, aid); })) {
    return fail(ErrorKind::not_permitted,
                "card profile \"" + card.profile.name + "\" has no [[domain]] with the AID " + to_hex_upper(aid));
  }
  TRY(card::select_card_manager(*card.channel));
  const auto present = TRY(card::list_domains(*card.channel));
  if (std::none_of(present.begin(), present.end(), [&](const auto& entry) { return equal(entry.aid, aid); })) {
    TRY(card::install_domain(*card.channel, aid));
  }
  return card::load_domain_keys(*card.channel, aid, offer);
}

}  // namespace karta::issuing
