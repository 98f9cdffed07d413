// Tickets: what the log-in hands to a browser and takes back, with its own mark on it, so that nothing of a log-in that
// has only begun need be kept in the database. A ticket is good in the one browser it was given to: the mark covers the
// cookie kLoginCookie.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "identity/login/login_secret.h"
#include "identity/login/sessions.h"
#include "service/http_message.h"

namespace karta::identity {

inline constexpr std::string_view kLoginCookie = "__Host-karta-login";

/// What a log-in is for: a portal's request, or one of our own pages.
struct Errand {
  std::string interaction;  ///< id, or
  std::string back;         ///< own path, is_own_path(), and
  int level = 0;            ///< what that page asks for: acr_level()

  friend bool operator==(const Errand&, const Errand&) = default;
};

/// A log-in that went to the agent: what must come back.
struct AgentErrand {
  Errand errand;
  std::string nonce;  ///< 44 characters, base64url; one use
  Time expires{};
};
inline constexpr std::size_t kNonceOctets = 33;

/// A certificate that was shown to the listener that asks for them, and found good: brought from there to the pages.
struct CertificateErrand {
  std::string ticket;  ///< that of the errand; its mark covers the browser's cookie
  SessionProof proof;
  std::string nonce;  ///< one use
  Time expires{};
};

class Tickets {
 public:
  explicit Tickets(const LoginSecret& secret) : secret_(secret) {}

  /// The browser's cookie; empty if it has none that is one.
  static std::string_view cookie_of(const service::HttpRequest& request);
  /// A new one.
  static std::string new_cookie(RandomSource& random);

  std::string write(const Errand& errand, std::string_view cookie) const;
  /// None: not ours, not this browser's, or damaged.
  std::optional<Errand> read(std::string_view ticket, std::string_view cookie) const;

  std::string write_agent(const AgentErrand& errand, std::string_view cookie) const;
  /// The time is the caller's to check.
  std::optional<AgentErrand> read_agent(std::string_view state, std::string_view cookie) const;

  /// A ticket of write() as it goes to the listener that asks for certificates, which may be of a host without our
  /// cookie: that it is ours is all that can be told there.
  std::string for_certificate(std::string_view ticket) const;
  /// The ticket; none: not ours.
  std::optional<std::string> read_for_certificate(std::string_view text) const;

  std::string write_certificate(const CertificateErrand& errand) const;
  /// The time, and whether errand.ticket is this browser's, are the caller's to check.
  std::optional<CertificateErrand> read_certificate(std::string_view state) const;

  /// That this session may consent to this interaction: all its conditions were met when the page was made.
  std::string write_consent(std::string_view interaction, std::string_view session, Time auth_time) const;
  bool is_consent(std::string_view ticket, std::string_view interaction, std::string_view session,
                  Time auth_time) const;

  /// Where a log-out leads to: an address that was checked when the page was made.
  std::string write_return(std::string_view address, std::string_view csrf) const;
  bool is_return(std::string_view ticket, std::string_view address, std::string_view csrf) const;

 private:
  const LoginSecret& secret_;
};

}  // namespace karta::identity
