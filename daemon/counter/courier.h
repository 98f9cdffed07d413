// Courier: carries a desk session's commands from the authority to the card and the answers back. It cannot read them:
// they are under the issuer's session keys.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "card/reader.h"
#include "identity/authority_client.h"

namespace karta::daemon {

struct CourierOptions {
  unsigned attempts = 5;  ///< for one request to the authority, while there is no answer
  /// Waits before the next attempt; false: no longer. Empty: no waiting.
  std::function<bool(unsigned attempt)> pause = {};
  /// After each step: its number, and how many commands it had.
  std::function<void(std::uint64_t step, std::size_t commands)> progress = {};
};

/// What a session came to, for the journal.
struct CourierCount {
  std::string session;
  std::uint64_t steps = 0;
  std::size_t commands = 0;
};

/// No answer came, or the authority asks for patience: the same request may be made again.
inline bool worth_repeating(ErrorKind kind) { return kind == ErrorKind::io || kind == ErrorKind::busy; }

/// `request`, a call of the authority, until there is an answer or enough was tried.
template <class Call>
auto ask(const CourierOptions& options, const Call& request) -> decltype(request()) {
  for (unsigned attempt = 1;; ++attempt) {
    auto answer = request();
    if (answer || !worth_repeating(answer.error().kind) || attempt >= options.attempts) return answer;
    if (options.pause && !options.pause(attempt)) return answer;
  }
}

/// Runs the deed of `request` (issuing/desk/desk.h says what stands in it) on the card behind `connection`, within the
/// caller's transaction. Returns the result, a JSON object.
/// Fails as the authority does (`io`: no answer; `not_permitted`, ...) and as the card does (`card_removed`, ...). A
/// deed may have been done and its outcome lost: repeating the request finds out, and does what is left.
Result<std::string> carry(identity::Authority& authority, card::CardConnection& connection, std::string_view request,
                          const CourierOptions& options, CourierCount& count);

}  // namespace karta::daemon
