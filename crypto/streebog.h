// Streebog: the hash function GOST R 34.11-2012 (RFC 6986), with digests of 256 and 512 bits.
//
// For digest.cpp; everybody else asks for Hash::streebog256 or Hash::streebog512. A plain object: a copy goes on from
// the same octets. Its tables are looked up by what is hashed, so that its time is not independent of secrets, as with
// every table implementation.
#pragma once

#include <array>
#include <cstddef>

#include "base/bytes.h"

namespace karta::crypto {

class Streebog {
 public:
  /// `digest_octets` is 32 or 64.
  explicit Streebog(std::size_t digest_octets);
  Streebog(const Streebog&) = default;
  Streebog& operator=(const Streebog&) = default;
  /// Wipes what it has seen.
  ~Streebog();

  void update(ByteView octets);
  /// The digest, its first octet first. Call once, last.
  Bytes finish();

  static constexpr std::size_t kBlockOctets = 64;
  using Words = std::array<std::uint64_t, 8>;  ///< 512 bits, the least significant word first

 private:
  void compress(const Words& block, std::uint64_t bits);

  Words h_{}, length_{}, sum_{};
  std::array<std::uint8_t, kBlockOctets> pending_{};
  std::size_t pending_octets_ = 0;
  std::size_t digest_octets_;
};

}  // namespace karta::crypto
