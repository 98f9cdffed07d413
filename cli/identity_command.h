// karta card read --as: what a terminal of a given role gets from a card, and why.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/program.h"

namespace karta::cli {

struct IdentityReadArguments {
  std::string reader;
  std::string role;
  std::string centre;                ///< the centre's folder: its terminals and its root
  std::string terminals;             ///< instead of CENTRE/terminals
  std::vector<std::string> anchors;  ///< instead of the centre's root
  std::string with;                  ///< "can", "pin"; empty: the CAN where the role may
  std::optional<unsigned> age;
  std::string community;  ///< hexadecimal
  bool pseudonym = false;
  bool json = false;
  SecretOptions secret;
  int passphrase_descriptor = -1;
};

void add_identity_read_options(CLI::App& command, IdentityReadArguments& arguments);
Result<int> run_identity_read(const IdentityReadArguments& given);

}  // namespace karta::cli
