// IdentitySteps: the part of personalisation that makes the identity application (TR-03110) and what stands beside it
// in the MF: chip keys, data groups, CAN, trust anchor, EF.CardAccess, EF.CardSecurity.
#pragma once

#include "card/personalisation_step.h"
#include "card/card_data.h"

namespace karta::card {

/// Keys of DF 5E1D: chip authentication, and restricted identification for authorised terminals and for all.
inline constexpr std::uint16_t kChipAuthenticationFile = 0x0041, kPseudonymFile = 0x0042, kOpenPseudonymFile = 0x0043;

/// EF.CardAccess of such a card.
SecurityInfos card_access_of(const IdentityProfile& profile);
/// The rest of EF.CardSecurity: keys, hashes, status index. `chip_point` as the card has answered.
SecurityInfos card_security_of(const IdentityProfile& profile, ByteView chip_point, const CardData& data);
/// EF.CardSecurity of about this length once it is signed; for plans.
std::size_t estimated_card_security_octets(const IdentityProfile& profile, std::size_t data_groups);

/// CAN and chip keys.
std::vector<PersonalisationStep> identity_prepare_steps(const IdentityProfile& profile, const CardData& data,
                                                        bool with_secrets);
/// Data groups, comparison data, trust anchor, EF.CardAccess, EF.CardSecurity. An empty `card_security` is estimated.
std::vector<PersonalisationStep> identity_complete_steps(const IdentityProfile& profile, const CardData& data,
                                                         ByteView card_security, std::size_t room);

/// The key file for the agreement of domain keys, in the MF.
PersonalisationStep agreement_key_step(const CardManagerProfile& profile);
/// Its certificate. Empty: estimated.
PersonalisationStep agreement_certificate_step(ByteView certificate, std::size_t room);

/// The point in GENERATE's answer, `7F49 { 86 point }`, on `curve`. Fails with `card_unresponsive`.
Result<Bytes> generated_point(crypto::KeyType curve, ByteView answer);

}  // namespace karta::card
