// ESignSteps: the part of personalisation that makes the e-signature application (PKCS #15): PUK, PINs and keys, then
// certificates and directories.
#pragma once

#include "card/card_data.h"
#include "card/card_journal.h"
#include "card/channel.h"
#include "card/personalisation_step.h"

namespace karta::card {

/// PUK, transport PINs, and the keys, generated on the card. Without secrets, for plans: of their lengths.
std::vector<PersonalisationStep> esign_prepare_steps(const CardProfile& profile, const CardData& data,
                                                     bool with_secrets);
/// Certificates and directories. `certificates` null: their sizes are estimated. `room`: data octets of one command.
std::vector<PersonalisationStep> esign_complete_steps(const CardProfile& profile, const CardData& data,
                                                      const Journal& journal, const CardCertificates* certificates,
                                                      std::size_t room);

/// The new key, DER SubjectPublicKeyInfo, from GENERATE's answer, or from GET DATA where the card does not give it
/// there. Fails with `card_unresponsive`.
Result<Bytes> generated_key(Channel& channel, const CardKeyType& type, ByteView answer);

/// What PKCS #15 says a key is for.
std::uint32_t usage_of(const KeyProfile& key);

}  // namespace karta::card
