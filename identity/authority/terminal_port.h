// TerminalPort: what makes a terminal's CV certificate. The authority on line knows terminals, roles' names and times;
// what a CV certificate is, the rooms that know cards know.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace karta::identity {

/// A terminal asks for a certificate.
struct TerminalOrder {
  std::string role;                 ///< as enrolled: what it may have at most
  std::string holder_line;          ///< country and mnemonic of its references: "RUCL000001A"
  std::uint32_t sequence = 0;       ///< of the reference to be given, 1 to 99999
  Bytes request;                    ///< CV request (TR-03110-3 C.2), signed by the key to be certified
  std::vector<std::string> rights;  ///< names of those wanted; empty: all of the role's
  Bytes present;                    ///< its present CV certificate; empty: it has none. A request that is signed with
                                    ///< a present key must be signed with this one's
  std::chrono::days validity{0};    ///< no longer than the verifier's
};

struct TerminalCertificate {
  Bytes certificate;         ///< 7F21
  std::string holder;        ///< its reference
  std::vector<Bytes> above;  ///< links from the oldest on, then the verifier: what a card is shown first
  Time until{};              ///< the end of its last day
};

/// Used by all of the server's threads at once.
class TerminalPort {
 public:
  virtual ~TerminalPort() = default;
  /// Errors: malformed, invalid_signature (the request), not_permitted (more rights than the role has), untrusted
  /// (verifier or authority expired), usage (no such role, a key on another curve).
  virtual Result<TerminalCertificate> certify(const TerminalOrder& order) = 0;
  /// The public key in a request, for telling whether two requests are for one key. Errors: malformed.
  virtual Result<Bytes> key_of(ByteView request) = 0;
  /// Until when certificates can be made: the end of the verifier's time.
  virtual Result<Time> until() = 0;
};

}  // namespace karta::identity
