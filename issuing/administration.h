// Administration: what the issuing centre does to a card after issue, through the card manager: replace a certificate,
// bring concession, insurance and entitlements up to date, make a department's domain, end the card's life.
#pragma once

#include <memory>

#include "card/domain_keys.h"
#include "card/global_platform.h"
#include "card/health.h"
#include "card/key_set_file.h"
#include "issuing/centre.h"

namespace karta::issuing {

/// A card of this centre with the issuer's session open. Inside a transaction: nobody else may speak to the card, or
/// the session ends.
struct AdministeredCard {
  identity::Card record;
  card::CardProfile profile;
  std::unique_ptr<card::Scp03Channel> channel;
};
/// `plain` must outlive it. Fails with `not_found` where the registry has no card of that serial number,
/// `card_insecure` where the card does not know the key it should.
Result<AdministeredCard> administer(Centre& centre, const SecretBytes& card_master, card::Channel& plain,
                                    RandomSource& random);

/// Writes `der` over the certificate of the key with `role`; the file is made anew where it is too small. That the
/// certificate is that key's is the caller's to see to.
Status replace_certificate(AdministeredCard& card, card::KeyRole role, ByteView der);

/// Writes what the registry says now of the holder's concession; products that were bought stay. Fails with `not_found`
/// where the card has no transit application.
Status update_concession(AdministeredCard& card, const identity::Citizen& holder,
                         const card::TransactionMasters& masters, identity::Date today, RandomSource& random);
/// The same of the insurance record. Fails with `not_found` where the registry knows no insurance number.
Status update_insurance(AdministeredCard& card, const identity::Citizen& holder);
/// Grants packages of a medicine: into the slot of the same entitlement, else into one with nothing left. Returns the
/// receipt. Fails with `limit` where every slot is in use.
Result<card::LedgerReceipt> grant_entitlement(AdministeredCard& card, const card::Entitlement& entitlement,
                                              std::uint8_t packages, const card::TransactionMasters& masters, Time now,
                                              RandomSource& random);

/// Makes a department's domain where it is missing, and carries the department's offer to it; the receipt is the
/// department's. Fails with `not_permitted` where the card's profile has no [[domain]] of that AID.
Result<Bytes> load_domain(AdministeredCard& card, ByteView aid, ByteView offer);

}  // namespace karta::issuing
