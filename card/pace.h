// PACE (TR-03110-3 §3.2, B.1; ICAO 9303-11 §4.4), the terminal's side: a password both know becomes a channel.
//
// ECDH with generic mapping and AES. Who does not know the password learns nothing of it but whether one guess was
// right. No user interface here: the caller brings the password, and decides what to do with `suspended`.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/secret.h"
#include "card/chat.h"
#include "card/sector_rights.h"
#include "card/secure_messaging.h"
#include "card/security_infos.h"

namespace karta::card {

/// TR-03110-3 B.14.1, the password reference of MSE:Set AT.
enum class PacePassword : std::uint8_t { can = 2, pin = 3, puk = 4 };
std::string_view name_of(PacePassword password);

/// What MSE:Set AT says of a password before it is used.
struct PaceState {
  std::optional<unsigned> tries_left;  ///< empty: unlimited, or all are left
  bool suspended = false;              ///< one try is left: the CAN must come first (contactless)
  bool blocked = false;                ///< none is left
  bool deactivated = false;            ///< switched off, or a transport PIN that must be changed first
};
/// MSE:Set AT without using the password; costs no try. Ends secure messaging if any.
Result<PaceState> pace_state(Channel& channel, const PaceInfo& info, PacePassword password);

/// What later protocols need of a PACE run.
struct PaceOutcome {
  PaceInfo info;
  PacePassword password = PacePassword::can;
  Bytes card_id;                  ///< compressed ephemeral key of the card (its x coordinate), TR-03110-3 A.2.2.3
  std::optional<Chat> announced;  ///< the CHAT that was sent
  std::string authority;          ///< certification authority reference the card wants first (87); may be empty
  std::string older_authority;    ///< the one before it (88); may be empty
};

/// Runs PACE inside `channel`, plain or secure, and starts its new keys: from the next command on they hold. Five
/// commands. `announced` and `sector_rights` are what terminal authentication will claim; absent: there will be none.
/// Fails with `wrong_pin` (tries left are in the message), `pin_blocked`, `transport_pin` (the PIN cannot open
/// anything before it is changed), `not_permitted` (suspended: run it with the CAN first), `card_insecure` (the card's
/// point is off its curve, equals ours, or its token is wrong: it is no card of ours), `unsupported`.
Result<PaceOutcome> run_pace(SecureMessagingChannel& channel, const PaceInfo& info, PacePassword password,
                             const SecretBytes& secret, const std::optional<Chat>& announced, RandomSource& random,
                             SectorRights sector_rights = 0);

/// EF.CardAccess (011C, short identifier 1C), readable by everyone on every interface.
/// Fails with `unsupported` where there is none: the card has no PACE.
Result<SecurityInfos> read_card_access(Channel& channel);

struct PaceRequest {
  PacePassword password = PacePassword::can;
  const SecretBytes* secret = nullptr;
  /// Where the PIN's last try is left the card wants the CAN first; absent: such a PIN is not tried.
  const SecretBytes* can = nullptr;
  std::optional<Chat> announced = {};
  SectorRights sector_rights = 0;  ///< announced beside it
};
/// run_pace(), with the CAN in front where the PIN is suspended and request.can is there.
Result<PaceOutcome> run_pace(SecureMessagingChannel& channel, const PaceInfo& info, const PaceRequest& request,
                             RandomSource& random);
/// EF.CardAccess, then the same with the protocol the card prefers.
Result<PaceOutcome> open_pace(SecureMessagingChannel& channel, const PaceRequest& request, RandomSource& random);

}  // namespace karta::card
