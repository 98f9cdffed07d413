// Station: where a blank card becomes a citizen's card. Joins the registry's order, the certificate authority and the
// card in a reader.
//
// Order of events, so that nothing is lost whenever it stops: the order stands in the registry (with its status index)
// before the card is touched; the letter is on disk before the card has its PINs; certificates are in the registry
// before they are on the card; the card is `produced` only after it was read back. A card whose making was interrupted
// is recognised by a note in the centre's work folder: if it was closed already, only reading back is left to do; if
// not, it is erased and made again under the same order, and the certificates of the earlier attempt are revoked.
#pragma once

#include <filesystem>
#include <functional>

#include "card/personalise.h"
#include "card/transports.h"
#include "issuing/centre.h"

namespace karta::issuing {

struct IssueRequest {
  identity::CitizenId citizen{};
  std::string profile = "citizen";
  std::string actor;  ///< who issues, for the registry's events and access log
};

struct IssuedCard {
  identity::Card card;
  std::string serial;  ///< of the chip, upper-case hexadecimal as everywhere on the card's side
  std::filesystem::path letter;
  std::vector<std::pair<std::string, crypto::Certificate>> certificates;  ///< by key role: "AUT"
  card::WireCount wire;                                                   ///< all commands of the issue
  card::WireCount portrait;  ///< what of them the holder's picture took; nothing where there is none
  bool made_again = false;   ///< the card had been interrupted before
};

/// The steps a card of `profile` takes, for --dry-run. Nothing is written anywhere.
Result<card::PersonalisationPlan> plan_issue(const Centre& centre, std::string_view profile,
                                             const card::ChannelLimits& limits);

/// Issues the card behind `connection`, with the centre's keys of Centre::unlock.
/// Fails with `card_refused` on a card that is issued already or holds foreign files.
Result<IssuedCard> issue_card(Centre& centre, IssuingKeys& keys, card::CardConnection& connection,
                              const IssueRequest& request, const Clock& clock, RandomSource& random,
                              const card::StepProgress& progress);

}  // namespace karta::issuing
