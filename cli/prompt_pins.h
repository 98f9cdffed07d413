// PromptPins: asks a person, a descriptor or a pin-entry program for the PINs a card wants.
#pragma once

#include "card/pin.h"
#include "cli/secret_input.h"

namespace karta::cli {

/// "wrong PIN; 2 tries are left" and the like; empty where there is nothing to warn of.
std::string warning_of(const card::PinRequest& request);

class PromptPins final : public card::PinSource {
 public:
  /// `unattended`: the secrets come from a descriptor, which is never asked again after a wrong PIN, since its next
  /// line was meant for something else.
  PromptPins(SecretInput& input, bool unattended) : input_(input), unattended_(unattended) {}
  Result<SecretBytes> pin(const card::PinRequest& request) override;

 private:
  SecretInput& input_;
  bool unattended_;
};

}  // namespace karta::cli
