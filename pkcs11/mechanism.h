// Mechanisms: what can be done with which key, one row each. Signature and digest rows come from crypto's algorithm
// table; only those that name no hash (the caller brings the digest) are written here.
#pragma once

#include <optional>
#include <span>

#include "crypto/algorithm.h"
#include "pkcs11/cryptoki.h"

namespace karta::pkcs11 {

enum class Deed : std::uint8_t { digest, sign, cipher, derive, generate };

struct Mechanism {
  CK_MECHANISM_TYPE type = 0;
  Deed deed = Deed::digest;
  crypto::KeyFamily family = crypto::KeyFamily::ec;  ///< not for digests
  crypto::Padding padding = crypto::Padding::none;
  bool oaep = false;
  std::optional<crypto::Hash> hash;  ///< empty: the input is the digest (or DigestInfo) itself
  CK_FLAGS flags = 0;
};

/// Hashes the module knows: MD5 is history, and no card of the profile signs GOST.
constexpr bool offered_hash(const crypto::HashRow& row) {
  return row.id != crypto::Hash::md5 && row.back_end == crypto::BackEnd::openssl;
}

/// All rows.
std::span<const Mechanism> mechanisms();
/// nullptr where there is none.
const Mechanism* find_mechanism(CK_MECHANISM_TYPE type);
std::string name_of_mechanism(CK_MECHANISM_TYPE type);

/// Smallest and largest key of a family on the cards of the profile, in bits.
struct KeySizes {
  CK_ULONG least = 0, most = 0;
};
KeySizes key_sizes(crypto::KeyFamily family);

}  // namespace karta::pkcs11
