// Keys: PublicKey verifies, PrivateKey signs; neither shows the library underneath.
//
// A PublicKey is immutable, cheap to copy and usable from several threads. A PrivateKey lives in this process (an
// issuing centre's CA in tests and demos) and is usable from several threads, too, one digest at a time; keys on cards
// are reached through Signer only.
#pragma once

#include <memory>
#include <optional>

#include "base/bytes.h"
#include "base/secret.h"
#include "crypto/algorithm.h"

namespace karta::crypto {

class PublicKey {
 public:
  /// From SubjectPublicKeyInfo (RFC 5280 §4.1.2.7), strict DER, nothing after it. Takes RSA of 1024 to 16384 bits
  /// (weak ones are refused by validation, not here), the curves of kKeyTypes, Ed25519, GOST R 34.10-2012. Points are
  /// checked to lie on the curve, and in the group of prime order. Fails with malformed, or unsupported for keys that
  /// have no row.
  static Result<PublicKey> from_spki(ByteView der);
  /// From big-endian magnitudes, as cards return them (ISO 7816-8 tags 81 and 82).
  static Result<PublicKey> from_rsa(ByteView modulus, ByteView exponent);
  /// EC: an uncompressed point 04 || X || Y of `type`'s curve, as cards return it (tag 86). Ed25519: its 32 octets.
  /// GOST: x || y, each little-endian.
  static Result<PublicKey> from_point(KeyType type, ByteView point);

  KeyFamily family() const;
  /// Modulus bits, or bits of the curve's field.
  unsigned bits() const;
  /// The row of this key; empty for RSA lengths that have none.
  std::optional<KeyType> type() const;
  /// "rsa-2048", "p256", "rsa-1536": for reports.
  std::string type_name() const;
  /// The whole SubjectPublicKeyInfo, DER.
  const Bytes& spki() const;
  /// Content of its BIT STRING without the count of unused bits: RSAPublicKey DER, an EC point, 32
  /// octets, a GOST key's OCTET STRING.
  ByteView key_octets() const;
  /// RSA only, else empty: magnitudes without leading zeros.
  ByteView modulus() const;
  ByteView exponent() const;
  /// RFC 7093 §2 method 1: the leftmost 160 bits of SHA-256 over key_octets(). Subject and authority key identifiers.
  Bytes key_id() const;

  /// True if `algorithm` is one this key can have made.
  bool fits(AlgorithmId algorithm) const;
  /// Succeeds if `signature` is this key's over `message`. ECDSA signatures are DER SEQUENCE { r, s }, strict; GOST
  /// signatures are s || r (RFC 9215 §2).
  /// Fails with invalid_signature, or unsupported if !fits(algorithm). `pss_salt_octets` is exact; absent: as long as
  /// the digest.
  Status verify(AlgorithmId algorithm, ByteView message, ByteView signature,
                std::optional<unsigned> pss_salt_octets = {}) const;
  /// The same over a digest made earlier; not for Ed25519, which signs messages.
  Status verify_digest(AlgorithmId algorithm, ByteView digest, ByteView signature,
                       std::optional<unsigned> pss_salt_octets = {}) const;

  /// Same SubjectPublicKeyInfo.
  friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.spki() == b.spki(); }

  struct Data;
  explicit PublicKey(std::shared_ptr<const Data> data) : data_(std::move(data)) {}

 private:
  std::shared_ptr<const Data> data_;
};

class PrivateKey {
 public:
  static Result<PrivateKey> generate(KeyType type);
  /// PKCS #8 PrivateKeyInfo in the clear. For tests and for key material that is unwrapped elsewhere.
  static Result<PrivateKey> from_der(ByteView pkcs8);
  /// "ENCRYPTED PRIVATE KEY" (RFC 5958 §3, RFC 7468 §11) under PBES2, PBKDF2 with HMAC-SHA-1/256/384/512 and AES-CBC.
  /// Fails with wrong_pin on a wrong passphrase (or a damaged file: the two cannot be told apart), malformed,
  /// unsupported, limit (more than kMostIterations).
  static Result<PrivateKey> from_encrypted_pem(std::string_view pem, const SecretBytes& passphrase);
  static constexpr std::uint32_t kIterations = 600'000;  ///< OWASP's figure for PBKDF2-HMAC-SHA-256
  static constexpr std::uint32_t kMostIterations = 20'000'000;

  PrivateKey(PrivateKey&&) noexcept;
  PrivateKey& operator=(PrivateKey&&) noexcept;
  ~PrivateKey();

  const PublicKey& public_key() const;
  /// PKCS #8 PrivateKeyInfo in the clear.
  SecretBytes expose_secret_der() const;
  /// PBES2, PBKDF2-HMAC-SHA-256, AES-256-CBC, fresh salt and IV. Files take the default; tests may pass less.
  /// Fails with usage on an empty passphrase.
  Result<std::string> to_encrypted_pem(const SecretBytes& passphrase, std::uint32_t iterations = kIterations) const;

  /// ECDSA: DER SEQUENCE { r, s }; RSA: as long as the modulus; GOST: s || r. Not for Ed25519.
  Result<Bytes> sign_digest(AlgorithmId algorithm, ByteView digest) const;
  Result<Bytes> sign(AlgorithmId algorithm, ByteView message) const;

  struct Data;

 private:
  explicit PrivateKey(std::unique_ptr<Data> data);
  std::unique_ptr<Data> data_;
};

}  // namespace karta::crypto
