// TerminalRole: the kinds of places that read citizen cards, each with the rights its certificates carry.
//
// The one table behind `karta cv issue --role`, `karta card read --as` and docs/terminals-certificates.md.
#pragma once

#include <span>
#include <string_view>

#include "card/chat.h"
#include "card/sector_rights.h"

namespace karta::card {

struct TerminalRole {
  std::string_view name;    ///< "clinic"
  std::string_view words;   ///< for people
  std::string_view holder;  ///< mnemonic of its certificates' references: "CLINIC"
  Rights rights;            ///< of an authentication terminal
  std::string_view sector;  ///< whose pseudonyms it may ask for: "health"; empty: none
  SectorRights sector_rights = 0;
};

std::span<const TerminalRole> terminal_roles();
/// nullptr if there is none.
const TerminalRole* find_terminal_role(std::string_view name);

}  // namespace karta::card
