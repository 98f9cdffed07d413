// LoopbackGuard: keeps web pages from elsewhere away from a server on this machine's loopback address.
//
// Any page a browser shows may send requests to 127.0.0.1, by a name of its own that resolves there if it likes (DNS
// rebinding). What gives it away is what the browser writes and no page can change: Host names the page's own server,
// Origin and Sec-Fetch-Site say where the page came from. Programs that are no browsers send neither of the latter two.
// Bearer tokens beside it tell local programs apart; a server knows their hashes only.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "service/http_message.h"

namespace karta::service {

class LoopbackGuard {
 public:
  /// What is wrong with a request.
  enum class Refusal : std::uint8_t { foreign_host, foreign_origin, foreign_site };

  /// `names`: as they stand in Host, without port: "127.0.0.1", "localhost", "[::1]". `ports`: those listened at; a
  /// request must name one of them (none given: any; on a local socket: any, for there is no port).
  LoopbackGuard(std::vector<std::string> names, std::vector<std::uint16_t> ports);

  /// Nothing: the request comes from this machine's own programs, or from a page this server itself served.
  std::optional<Refusal> check(const HttpRequest& request) const;

 private:
  std::vector<std::string> names_;
  std::vector<std::uint16_t> ports_;
};

/// "foreign-host", "foreign-origin", "foreign-site": for a problem's name and the journal.
std::string_view name_of(LoopbackGuard::Refusal refusal);
/// One sentence for people.
std::string_view words_of(LoopbackGuard::Refusal refusal);

/// Bearer tokens (RFC 6750) known by their SHA-256 alone. Tokens are long and random, so a plain hash is enough.
class BearerTokens {
 public:
  using Hash = std::array<std::uint8_t, 32>;

  /// Reads the 64 hexadecimal digits of a hash. Errors: malformed, already_exists.
  Status add(std::string owner, std::string_view hash_hex);
  /// Whose token the value of an Authorization field holds; null if nobody's. All are compared, in constant time.
  const std::string* owner_of(std::string_view authorization) const;
  bool empty() const { return entries_.empty(); }

 private:
  struct Entry {
    std::string owner;
    Hash hash;
  };
  std::vector<Entry> entries_;
};

/// SHA-256 of a token, as a configuration holds it: 64 hexadecimal digits.
std::string token_hash(std::string_view token);

}  // namespace karta::service
