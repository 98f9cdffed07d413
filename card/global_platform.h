// GlobalPlatform: the card manager's commands (Card Specification 2.3 §11) as the issuer and departments use them.
//
// Keys, life and domains. Everything but select_card_manager() wants a session (scp03.h); what a command needs beyond
// that stands in docs/card-commands.md.
#pragma once

#include <string_view>
#include <vector>

#include "card/scp03.h"

namespace karta::card {

/// The issuer's domain, on every card.
inline constexpr std::uint8_t kCardManagerAid[] = {0xA0, 0x00, 0x00, 0x01, 0x51, 0x00, 0x00, 0x00};
/// Departments' domains are F04B41525441 10 .. 1F.
inline constexpr std::uint8_t kDomainAidPrefix[] = {0xF0, 0x4B, 0x41, 0x52, 0x54, 0x41};
bool is_domain_aid(ByteView aid);

Status select_card_manager(Channel& channel);

/// Table 11-6: where a card stands in its life.
enum class CardLife : std::uint8_t {
  op_ready = 0x01,     ///< blank
  initialized = 0x07,  ///< access rules count
  secured = 0x0F,      ///< issued
  card_locked = 0x7F,  ///< nothing but the issuer's session
  terminated = 0xFF,   ///< the end
};
/// "blank", "initialised", "issued", "locked", "terminated"; "?" for values without a name.
std::string_view name_of(CardLife life);

/// One entry of GET STATUS (§11.4.3.1).
struct GlobalPlatformEntry {
  Bytes aid;
  std::uint8_t state = 0;
  Bytes privileges;
};
/// The card manager's own entry, and those of applications and domains.
Result<CardLife> read_card_life(Channel& channel);
Result<std::vector<GlobalPlatformEntry>> list_domains(Channel& channel);
/// SET STATUS of the card. Life moves forward only.
Status set_card_life(Channel& channel, CardLife life);
/// Locks a domain (its files answer nothing) or opens it again.
Status lock_domain(Channel& channel, ByteView aid, bool locked);

/// GET DATA 00E0: which key sets the card (or the selected domain) has; needs no session.
struct KeyInformation {
  std::uint8_t id = 0, version = 0;
  std::uint8_t octets = 0;
};
Result<std::vector<KeyInformation>> read_key_information(Channel& channel);

/// PUT KEY §11.8: writes `fresh` in place of the session's key set, or beside it where `beside`. The keys go under the
/// DEK of the session's static set; the card's check values are compared. The session needs C-DECRYPTION, and lives
/// on under its old session keys.
Status put_key_set(Scp03Channel& session, const Scp03KeySet& fresh, bool beside = false);

/// INSTALL [for install and make selectable] of a domain: a DF named `aid`, without keys yet.
/// `file_id` is the DF's identifier; 0: D1 and the name's last octet.
Status install_domain(Scp03Channel& issuer, ByteView aid, std::uint16_t file_id = 0);
/// DELETE of a domain with all below it.
Status delete_domain(Scp03Channel& session, ByteView aid);
/// Carries a department's offer (domain_keys.h) to its domain; the card's receipt comes back.
Result<Bytes> load_domain_keys(Scp03Channel& issuer, ByteView aid, ByteView offer);

}  // namespace karta::card
