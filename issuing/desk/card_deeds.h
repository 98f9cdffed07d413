// CardDeeds: what is done for a citizen whose card lies in a reader: at the centre's own, or at a counter far away
// whose server speaks with the card. Activate, renew certificates, set a new transport PIN, load a department's
// application; and, without the card, order another in its place.
//
// Each deed may be interrupted anywhere and repeated: it looks at registry and card, and does what is left to do. What
// the registry must know, it knows before the card changes; each deed leaves an event with who and why. The issuer's
// session is proof that the card is genuine and is the one the registry means.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "crypto/signer.h"
#include "issuing/administration.h"

namespace karta::issuing {

/// What deeds work with. All references must outlive it.
struct DeskWork {
  Centre& centre;
  const Clock& clock;
  RandomSource& random;
  identity::Cause cause;  ///< who and why, for the events
};

/// Fails with not_permitted where the card is not in its holder's hands and working, or is past its end.
Status require_active(const identity::Card& card, Time now);

/// The card is in its holder's hands. A card that was active already is no error; a suspended one is resumed by an
/// operator, not by being shown.
struct Activation {
  identity::Card card;
  bool already = false;
  std::optional<identity::Card> replaced = {};  ///< the card it took the place of, stopped by this deed
};
Result<Activation> activate_card(DeskWork& work, const AdministeredCard& card);

struct RenewalRequest {
  /// Certificates that end within this time are renewed; besides those that are revoked, say something else than the
  /// registry does now, or are of another key than the card's.
  std::chrono::days within{60};
  bool all = false;  ///< every one, but those made within kJustMade
};
/// A renewal of all that is repeated within this time goes on where it was.
inline constexpr std::chrono::hours kJustMade{1};

struct RenewedKey {
  enum class Outcome : std::uint8_t {
    kept,       ///< was in order
    completed,  ///< made in an interrupted renewal, and written now
    renewed,
  };
  card::KeyRole role = card::KeyRole::other;
  Outcome outcome = Outcome::kept;
  crypto::Certificate certificate;  ///< that the card has now
};
std::string_view name_of(RenewedKey::Outcome outcome);

/// New certificates by `ca` for the card's keys, of what the registry knows now; those in whose place they come are
/// revoked as superseded. The keys stay.
Result<std::vector<RenewedKey>> renew_certificates(DeskWork& work, AdministeredCard& card, crypto::Signer& ca,
                                                   const RenewalRequest& request);

/// A new transport PIN with all tries for a holder who lost PIN and PUK; a letter with it is written first. Returns the
/// letter's path; nothing else knows the PIN. Fails with not_permitted where the card leaves the PIN to its PUK (a
/// qualified key's always): then another card helps.
Result<std::filesystem::path> reset_pin(DeskWork& work, AdministeredCard& card, card::PinKind pin);

struct LoadedApplication {
  Bytes receipt;         ///< for the department
  bool already = false;  ///< this very offer had been loaded; the receipt is of then
};
/// Makes the department's domain and carries its offer to the card. A load whose receipt was lost with the card is
/// begun anew, for the department cannot have used it. Fails with already_exists where the domain has keys of another
/// agreement, not_permitted where the card's profile has no such domain.
Result<LoadedApplication> load_application(DeskWork& work, AdministeredCard& card, ByteView aid, ByteView offer);

/// Why a card is replaced.
enum class ReplacementReason : std::uint8_t { lost, stolen, damaged, expiring, name_changed };
struct ReplacementRow {
  ReplacementReason reason;
  std::string_view name;  ///< "lost"
  bool at_once;           ///< the old card is revoked now; else it works until its successor is activated
  identity::RevocationReason revocation;
};
std::span<const ReplacementRow> replacement_reasons();
/// Fails with usage, naming those there are.
Result<ReplacementRow> find_replacement_reason(std::string_view name);

struct Replacement {
  identity::Card old, ordered;
  bool already = false;  ///< it had been ordered before
};
/// Orders a card in the place of `old`, of `profile` (empty: the same). The old one ends at once, or when its successor
/// is activated, as the reason says.
Result<Replacement> replace_card(DeskWork& work, identity::CardId old, const ReplacementRow& reason,
                                 std::string_view profile);

}  // namespace karta::issuing
