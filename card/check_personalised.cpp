// The finished card, read back.
#include "card/esign_steps.h"
#include "card/health.h"
#include "card/identity_steps.h"
#include "card/personalise.h"
#include "card/transit.h"

namespace karta::card {

Status check_personalised(Channel& channel, const CardProfile& profile, const CardCertificates& certificates) {
  const Transaction guard = TRY(Transaction::begin(channel.connection()));
  ESignApplication esign = TRY(ESignApplication::open(channel));
  const auto differs = [](const std::string& what) {
    return fail(ErrorKind::card_refused, "the finished card is not what was to be written: " + what);
  };
  const TokenInfo* token = TRY(esign.token_info());
  if (token->serial != esign.info().serial) return differs("serial number in TokenInfo");

  const auto keys = TRY(esign.keys());
  if (keys.size() != profile.keys.size()) return differs("number of keys");
  for (const KeyProfile& wanted : profile.keys) {
    const CardKey key = TRY(esign.key(wanted.role));
    if (key.type != wanted.type || key.pin != wanted.pin || key.pin_each_time != wanted.pin_each_time ||
        key.id != wanted.id || key.file_id != wanted.key_file || key.usage != usage_of(wanted)) {
      return differs("key " + std::string(to_string(wanted.role)));
    }
  }
  const auto on_card = TRY(esign.certificates());
  if (on_card.size() != profile.keys.size() + profile.authorities.size()) return differs("number of certificates");
  const std::vector<CardCertificate> places(on_card.begin(), on_card.end());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const bool authority = i >= profile.keys.size();
    const Bytes& wanted = authority ? certificates.authorities.at(profile.authorities[i - profile.keys.size()].name)
                                    : certificates.by_role.at(profile.keys[i].role);
    if (TRY(esign.read_certificate(places[i])) != wanted) return differs("certificate \"" + places[i].label + "\"");
  }
  for (const PinProfile& pin : profile.pins) {
    const PinStatus status = TRY(esign.pin_status(pin.kind));
    if (status.verified || status.tries_left != pin.tries) return differs("state of " + std::string(name_of(pin.kind)));
  }
  if (profile.identity) {
    const Bytes access = TRY(read_file(channel, Path{kEfCardAccess}));
    if (access != card_access_of(*profile.identity).encode()) return differs("EF.CardAccess");
  }
  if (profile.transit) {
    const LedgerInfo ledger = TRY(select_ledger(channel, kTransitAid));
    if (ledger.shape != LedgerShape{profile.transit->ledger.counters, TransitEntry::kOctets}) {
      return differs("shape of the transit ledger");
    }
  }
  const FileControl directory = TRY(select(channel, ByteView(kPkcs15Aid)));
  if (!directory.operational()) return differs("personalisation is not closed");
  return {};
}

}  // namespace karta::card
