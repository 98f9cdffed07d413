// karta card read --as: what a terminal of a given role gets from a card, and why.
#pragma once

#include <optional>
#include <string>

#include "cli/terminal_session.h"

namespace karta::cli {

struct IdentityReadArguments : TerminalAccess {
  std::optional<unsigned> age;
  std::string community;  ///< hexadecimal
  std::string portrait;   ///< file to write it to
  bool pseudonym = false;
  bool json = false;
};

void add_identity_read_options(CLI::App& command, IdentityReadArguments& arguments);
Result<int> run_identity_read(const IdentityReadArguments& given);

}  // namespace karta::cli
