// SecurityModule: a card that holds master keys and computes the terminal's side of transactions (SAM): how a centre
// makes one, and how a terminal unlocks it. docs/transactions.md.
#pragma once

#include <span>

#include "card/issuer_channel.h"
#include "card/key_set_file.h"
#include "card/transaction_keys.h"

namespace karta::card {

inline constexpr std::uint8_t kSecurityModuleAid[] = {0xF0, 0x4B, 0x41, 0x52, 0x54, 0x41, 0x04};
inline constexpr std::uint16_t kSecurityModuleDf = 0xD104;

/// One master in a module: of which application, and which of its keys.
struct ModuleMaster {
  std::string_view application;  ///< "health", "transit"
  LedgerKey kind;
};
/// A row: what a module for this work is given, and nothing else.
struct ModuleRole {
  std::string_view name;   ///< "gate"
  std::string_view words;  ///< for people
  std::array<ModuleMaster, 6> masters;
  std::size_t count;
  bool issuing = false;  ///< gives out ledgers' keys to the session of an issuing centre
};
std::span<const ModuleRole> module_roles();
const ModuleRole* find_module_role(std::string_view name);

/// The file of a master: high octet the application, low octet both.
std::uint16_t master_file(std::string_view application, LedgerKey kind);

/// Looks whether a module can be made of the card behind `plain`: a blank one. Fails with `card_refused` where it is
/// closed already, as a module or as somebody's card; nothing on it was touched then.
Status check_module_blank(Channel& plain);

/// Makes a module of the blank card behind `issuer`, an issuer's session under the card's own keys, and closes it. What
/// an earlier attempt left on the card, interrupted before it closed it, is taken away first. `pin`: 6 to 8 digits.
/// Fails with `configuration` where `masters` lack one of the role's.
Status make_security_module(Channel& issuer, const ModuleRole& role, const TransactionMasters& masters,
                            const SecretBytes& pin);

/// Selects the module behind `channel`, unlocks it with its PIN, and gives what works with `application`'s ledgers.
/// `channel` must outlive the answer. Fails with `card_unknown` where the card is no module, `wrong_pin`,
/// `pin_blocked`. `spare_last_try`: for programs nobody sits at; where one try is left the PIN is not presented
/// (`wrong_pin`).
Result<std::unique_ptr<TransactionKeys>> open_security_module(Channel& channel, std::string_view application,
                                                              const SecretBytes& pin, bool spare_last_try = false);

/// The keys of `application`'s ledger on a card being made, derived inside an issuing centre's module: the masters stay
/// there. `issuer`: the issuer's session with that module, under the module's own keys (open_issuer_channel), which
/// keeps them from whoever listens; `serial`: the new ledger's, kLedgerSerialOctets. Fails with `card_unknown` where
/// the card is no module, `not_permitted` where it is a terminal's, `wrong_pin`, `pin_blocked`.
Result<LedgerMasters> derive_ledger_keys(Channel& issuer, std::string_view application, ByteView serial,
                                         const SecretBytes& pin);

}  // namespace karta::card
