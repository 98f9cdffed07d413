// AgentForm: what the agent's own page posts. The two secrets in it go into SecretBytes from where they came in, and
// nowhere else on the way.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/secret.h"

namespace karta::daemon {

struct AgentForm {
  static constexpr std::size_t kMostOctets = 4'096, kMostSecret = 16;

  std::string csrf, reader;
  enum class Deed : std::uint8_t { login, give_up } deed = Deed::login;
  SecretBytes pin, can;
  bool secrets_are_digits = true;  ///< false: one of the two had something else in it, or too much
  bool last_try_known = false;

  /// application/x-www-form-urlencoded. Fails with malformed: a field that is none of ours, one twice, a broken escape,
  /// no deed; limit.
  static Result<AgentForm> parse(ByteView body);
};

}  // namespace karta::daemon
