// What the commands of a card's life share: finding a card in the registry, and a new transport PIN by letter.
#pragma once

#include <string>

#include "card/pin.h"
#include "cli/program.h"
#include "identity/registry.h"

namespace karta::cli {

/// By the chip's serial as `karta card issue` and `info` print it, or by the registry's number of 16 digits.
Result<identity::Card> find_card(identity::Registry& registry, const std::string& text);

struct LetterArguments {
  std::string folder, reader, why;
  card::PinKind pin = card::PinKind::pin1;
  SecretOptions secret;
};
/// karta card unblock --letter
Result<int> unblock_by_letter(const LetterArguments& given);

}  // namespace karta::cli
