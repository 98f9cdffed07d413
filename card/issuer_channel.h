// IssuerChannel: the issuing centre's way into a card: SCP03 with the card manager under keys of that card alone.
//
// A blank card has keys everybody knows. The first thing the issuer does is to replace them by a set diversified from
// its master key, and to begin again under that set: what follows, PINs and CAN among it, is secret.
#pragma once

#include "card/personalisation_step.h"
#include "card/profile.h"

namespace karta::card {

struct IssuerChannelRequest {
  const CardManagerProfile* profile = nullptr;
  const SecretBytes* master = nullptr;  ///< kMasterKeyOctets
  Bytes serial;                         ///< expected; empty: any
  bool take_blank = false;              ///< a card with the blank card's keys is taken, and its keys replaced
};

/// Selects the card manager and opens a session at every level over `below`, a plain channel that must outlive it.
/// Fails with `card_unknown` (another card than `serial`), `card_refused` (blank keys where take_blank is false),
/// `card_insecure` (the card was personalised under another master key, or is no genuine card).
Result<std::unique_ptr<Scp03Channel>> open_issuer_channel(Channel& below, const IssuerChannelRequest& request,
                                                          RandomSource& random);

/// What that does to a blank card, for plans.
struct IssuerChannelStep {
  std::string words;
  std::vector<StepCommand> commands;
  bool is_protected = false;
};
std::vector<IssuerChannelStep> issuer_channel_steps(const CardManagerProfile& profile);

}  // namespace karta::card
