// Messenger: brings one-time codes to people, by a mail server or into a folder that a program of the operator's
// empties. A thread of its own does it: nobody who logs in waits for a mail server, or could tell by waiting whether a
// message went out.
#pragma once

#include <memory>
#include <string>

#include "base/random.h"
#include "identity/login/config.h"
#include "identity/pages/language.h"

namespace karta::identity {

struct CodeMessage {
  std::string to;  ///< a mail address, as parse_mail_address() returns it
  SecretBytes code;
  Language language = Language::english;
  std::chrono::seconds life{600};
};

/// The whole mail, RFC 5322, lines ended by CR LF. `from` and `to` are addresses.
SecretBytes write_mail(const CodeMessage& message, const std::string& from, Time now, RandomSource& random);

/// Usable from several threads.
class Messenger {
 public:
  virtual ~Messenger() = default;
  /// Queues it; never waits. False if so many wait already that this one is not taken.
  virtual bool send(CodeMessage message) = 0;
  /// Of the last message: what went wrong, empty if nothing did; for /healthz.
  virtual std::string problem() const = 0;
};
inline constexpr std::size_t kMostMessages = 1000;  ///< that wait

/// Errors: not_found, not_permitted (a password file open to others), configuration (a folder that is none).
Result<std::unique_ptr<Messenger>> open_messenger(const MessageConfig& config, const Clock& clock);

}  // namespace karta::identity
