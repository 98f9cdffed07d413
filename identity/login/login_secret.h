// LoginSecret: the log-in's one secret, from which a key for every purpose is made: for what it hands to browsers and
// takes back (tickets), for hashes of short codes, and for what is kept encrypted in the database.
#pragma once

#include <chrono>
#include <initializer_list>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "base/secret.h"

namespace karta::identity {

class LoginSecret {
 public:
  /// usage if it is shorter than kLeastSecret (login/config.h).
  static Result<LoginSecret> create(const SecretBytes& secret);

  /// HMAC-SHA-256 over the parts, each with its length before it, under a key for `use`; 32 octets.
  Bytes mac(std::string_view use, std::initializer_list<std::string_view> parts) const;
  /// The same as base64url, 43 characters.
  std::string mac_text(std::string_view use, std::initializer_list<std::string_view> parts) const;
  bool is_mac_text(std::string_view given, std::string_view use, std::initializer_list<std::string_view> parts) const;

  /// AES-256-GCM with a random nonce before it; `bound_to` must be given again to open it.
  Bytes seal(ByteView secret, std::string_view bound_to, RandomSource& random) const;
  /// Fails with invalid_signature: another secret, another `bound_to`, or damage.
  Result<SecretBytes> open(ByteView sealed, std::string_view bound_to) const;

 private:
  SecretBytes mac_key_, box_key_;
};

}  // namespace karta::identity
