// TerminalSession: a command that works on a card as a terminal of some role: certificates, the holder's CAN or PIN,
// the whole of EAC, and the channel that comes of it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "card/identity_application.h"
#include "card/terminal_store.h"
#include "cli/program.h"

namespace karta::cli {

/// Which terminal, which card, and where the secrets come from.
struct TerminalAccess {
  std::string reader;
  std::string role;
  std::string centre;                ///< the centre's folder: its terminals and its root
  std::string terminals;             ///< instead of CENTRE/terminals
  std::vector<std::string> anchors;  ///< instead of the centre's root
  std::string with;                  ///< "can", "pin"; empty: the CAN where the role may
  SecretOptions secret;
  int passphrase_descriptor = -1;

  card::TerminalStore store() const {
    return card::TerminalStore(terminals.empty() ? centre + "/terminals" : terminals);
  }
};
/// Everything but --as.
void add_terminal_options(CLI::App& command, TerminalAccess& access);
Result<const card::TerminalRole*> terminal_role_named(const std::string& name);

/// Members refer to each other: not to be moved.
class TerminalSession {
 public:
  /// Fails before a secret is asked for where certificates or roots are missing.
  static Result<std::unique_ptr<TerminalSession>> open(const TerminalAccess& access, card::AuxiliaryData compare,
                                                       RandomSource& random);
  TerminalSession(const TerminalSession&) = delete;
  TerminalSession& operator=(const TerminalSession&) = delete;
  /// The card forgets the terminal.
  ~TerminalSession();

  const card::TerminalRole& role() const { return *role_; }
  const card::CvCertificate& terminal() const { return terminal_.credentials.terminal(); }
  card::IdentityApplication& identity() { return *identity_; }
  card::CardConnection& connection() { return *connection_; }

 private:
  TerminalSession() = default;
  const card::TerminalRole* role_ = nullptr;
  card::UnlockedTerminal terminal_;
  std::unique_ptr<card::CardConnection> connection_;
  std::optional<card::Transaction> transaction_;
  std::unique_ptr<card::PlainChannel> plain_;
  std::unique_ptr<card::IdentityApplication> identity_;
};

}  // namespace karta::cli
