// TerminalDesk: certifies terminals' CV keys for the authority on line, with the verifier of an issuing centre.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "base/secret.h"
#include "card/terminal_store.h"
#include "identity/authority/terminal_port.h"

namespace karta::issuing {

/// Country and first letters of the CV references of a role's terminals, "RUCL": the registry makes a line of it.
std::string cv_line_prefix(const card::TerminalRole& role, std::string_view country);

class TerminalDesk final : public identity::TerminalPort {
 public:
  /// Opens the terminals' folder of the centre in `centre` and its verifier's key; makes the sectors' keys that are
  /// not there yet. `clock` must outlive the desk. Fails as load_centre_config and TerminalStore::unlock_verifier do.
  static Result<std::unique_ptr<TerminalDesk>> open(const std::filesystem::path& centre, const SecretBytes& passphrase,
                                                    const Clock& clock, const card::CvIssueOptions& options = {});

  Result<identity::TerminalCertificate> certify(const identity::TerminalOrder& order) override;
  Result<Bytes> key_of(ByteView request) override;
  Result<Time> until() override;

 private:
  TerminalDesk(card::TerminalStore store, card::UnlockedVerifier verifier, const Clock& clock)
      : store_(std::move(store)), verifier_(std::move(verifier)), clock_(&clock) {}

  card::TerminalStore store_;
  card::UnlockedVerifier verifier_;
  const Clock* clock_;
  std::mutex mutex_;  // of the signer
};

}  // namespace karta::issuing
