// Algorithms: the one table of what karta signs and verifies with.
//
// Three small tables, each row a fact: hashes, key types (with their curves), signature algorithms. OIDs, names in
// profile files, JOSE names and PKCS #11 mechanisms are read from here and written nowhere else.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace karta::crypto {

/// MD5 and SHA-1 have rows so that old signatures can be named; their sunset years refuse them.
enum class Hash : std::uint8_t { md5, sha1, sha256, sha384, sha512, streebog256, streebog512 };

/// Whose implementation serves a row: OpenSSL's, or that of GOST in this room (streebog.h, gost_curve.h).
enum class BackEnd : std::uint8_t { openssl, gost };

struct HashRow {
  Hash id;
  std::string_view name;           ///< as profile files and reports call it; OpenSSL too, where it is the back end
  std::string_view oid;            ///< dotted
  std::uint8_t octets;             ///< digest length
  std::uint8_t block_octets;       ///< what HMAC pads keys to
  std::uint16_t collision_bits;    ///< strength against collisions
  std::uint16_t sunset_year;       ///< signatures are accepted through this year; 0: no date set
  std::uint32_t pkcs11_mgf;        ///< CKG_MGF1_*; 0: none
  std::uint32_t pkcs11_mechanism;  ///< CKM_*
  BackEnd back_end = BackEnd::openssl;
};

// OIDs: RFC 5754 §2, RFC 3370 §2, RFC 9215 §3 (GOST). Sunset years: ETSI TS 119 312 (MD5 and SHA-1 are history). PKCS
// #11 numbers of GOST: those of TC 26 (0xD4321000 and up).
inline constexpr auto kHashes = std::to_array<HashRow>({
    {Hash::md5, "md5", "1.2.840.113549.2.5", 16, 64, 0, 2004, 0, 0x210},
    {Hash::sha1, "sha1", "1.3.14.3.2.26", 20, 64, 61, 2012, 1, 0x220},
    {Hash::sha256, "sha256", "2.16.840.1.101.3.4.2.1", 32, 64, 128, 0, 2, 0x250},
    {Hash::sha384, "sha384", "2.16.840.1.101.3.4.2.2", 48, 128, 192, 0, 3, 0x260},
    {Hash::sha512, "sha512", "2.16.840.1.101.3.4.2.3", 64, 128, 256, 0, 4, 0x270},
    {Hash::streebog256, "streebog256", "1.2.643.7.1.1.2.2", 32, 64, 128, 0, 0, 0xD4321012, BackEnd::gost},
    {Hash::streebog512, "streebog512", "1.2.643.7.1.1.2.3", 64, 64, 256, 0, 0, 0xD4321013, BackEnd::gost},
});

/// gost: GOST R 34.10-2012; its keys of 256 bits sign Streebog-256, those of 512 bits Streebog-512.
enum class KeyFamily : std::uint8_t { rsa, ec, ed25519, gost };

enum class KeyType : std::uint8_t {
  rsa_2048,
  rsa_3072,
  rsa_4096,
  p256,
  p384,
  p521,
  brainpool_p256r1,
  brainpool_p384r1,
  brainpool_p512r1,
  ed25519,
  gost_256_a,
  gost_256_b,
  gost_256_c,
  gost_256_d,
  gost_512_a,
  gost_512_b,
  gost_512_c,
};

/// Algorithms of SubjectPublicKeyInfo: RFC 3279 §2.3, RFC 4055 §1.2, RFC 9215 §4.1. Ed25519 has it in its row.
inline constexpr std::string_view kRsaKeyOid = "1.2.840.113549.1.1.1", kRsaPssKeyOid = "1.2.840.113549.1.1.10",
                                  kEcKeyOid = "1.2.840.10045.2.1", kGost256KeyOid = "1.2.643.7.1.1.1.1",
                                  kGost512KeyOid = "1.2.643.7.1.1.1.2";

struct KeyTypeRow {
  KeyType id;
  std::string_view name;  ///< in profile files: "p256", "rsa-2048"
  KeyFamily family;
  std::uint16_t key_bits;         ///< modulus bits, or bits of the curve's field
  std::string_view oid;           ///< EC: the named curve; Ed25519: the key; GOST: the parameter set; empty for RSA
  std::string_view openssl_name;  ///< group name for EVP; empty where OpenSSL is not the back end
  std::string_view jose_curve;    ///< RFC 7518, RFC 8037; empty if JOSE has none
  std::uint16_t strength_bits;    ///< NIST SP 800-57 part 1 table 2
  std::uint16_t sunset_year;      ///< signatures are accepted through this year; 0: no date set
  std::uint32_t pkcs11_key_type;  ///< CKK_*
};

inline constexpr auto kKeyTypes = std::to_array<KeyTypeRow>({
    // NIST SP 800-57 part 1 table 4: 112 bits of strength serve through 2030.
    {KeyType::rsa_2048, "rsa-2048", KeyFamily::rsa, 2048, "", "RSA", "", 112, 2030, 0x00},
    {KeyType::rsa_3072, "rsa-3072", KeyFamily::rsa, 3072, "", "RSA", "", 128, 0, 0x00},
    {KeyType::rsa_4096, "rsa-4096", KeyFamily::rsa, 4096, "", "RSA", "", 140, 0, 0x00},
    {KeyType::p256, "p256", KeyFamily::ec, 256, "1.2.840.10045.3.1.7", "prime256v1", "P-256", 128, 0, 0x03},
    {KeyType::p384, "p384", KeyFamily::ec, 384, "1.3.132.0.34", "secp384r1", "P-384", 192, 0, 0x03},
    {KeyType::p521, "p521", KeyFamily::ec, 521, "1.3.132.0.35", "secp521r1", "P-521", 256, 0, 0x03},
    // RFC 5639 §4.1
    {KeyType::brainpool_p256r1, "brainpoolP256r1", KeyFamily::ec, 256, "1.3.36.3.3.2.8.1.1.7", "brainpoolP256r1", "",
     128, 0, 0x03},
    {KeyType::brainpool_p384r1, "brainpoolP384r1", KeyFamily::ec, 384, "1.3.36.3.3.2.8.1.1.11", "brainpoolP384r1", "",
     192, 0, 0x03},
    {KeyType::brainpool_p512r1, "brainpoolP512r1", KeyFamily::ec, 512, "1.3.36.3.3.2.8.1.1.13", "brainpoolP512r1", "",
     256, 0, 0x03},
    {KeyType::ed25519, "ed25519", KeyFamily::ed25519, 255, "1.3.101.112", "ED25519", "Ed25519", 128, 0, 0x40},
    // R 1323565.1.024-2019; RFC 9215 §4.2
    {KeyType::gost_256_a, "gost-256-a", KeyFamily::gost, 256, "1.2.643.7.1.2.1.1.1", "", "", 127, 0, 0x30},
    {KeyType::gost_256_b, "gost-256-b", KeyFamily::gost, 256, "1.2.643.7.1.2.1.1.2", "", "", 128, 0, 0x30},
    {KeyType::gost_256_c, "gost-256-c", KeyFamily::gost, 256, "1.2.643.7.1.2.1.1.3", "", "", 128, 0, 0x30},
    {KeyType::gost_256_d, "gost-256-d", KeyFamily::gost, 256, "1.2.643.7.1.2.1.1.4", "", "", 128, 0, 0x30},
    {KeyType::gost_512_a, "gost-512-a", KeyFamily::gost, 512, "1.2.643.7.1.2.1.2.1", "", "", 256, 0, 0xD4321003},
    {KeyType::gost_512_b, "gost-512-b", KeyFamily::gost, 512, "1.2.643.7.1.2.1.2.2", "", "", 256, 0, 0xD4321003},
    {KeyType::gost_512_c, "gost-512-c", KeyFamily::gost, 512, "1.2.643.7.1.2.1.2.3", "", "", 255, 0, 0xD4321003},
});

enum class AlgorithmId : std::uint8_t {
  rsa_pkcs1_md5,
  rsa_pkcs1_sha1,
  rsa_pkcs1_sha256,
  rsa_pkcs1_sha384,
  rsa_pkcs1_sha512,
  rsa_pss_sha256,
  rsa_pss_sha384,
  rsa_pss_sha512,
  ecdsa_sha1,
  ecdsa_sha256,
  ecdsa_sha384,
  ecdsa_sha512,
  ed25519,
  gost_256,
  gost_512,
};

enum class Padding : std::uint8_t { none, pkcs1, pss };

struct AlgorithmRow {
  AlgorithmId id;
  std::string_view name;  ///< in profile files, options and reports
  std::string_view oid;   ///< of the signature algorithm; the three PSS rows share one and differ in parameters
  KeyFamily family;
  Padding padding;
  /// Ed25519 signs the message itself; its row names the hash CMS uses beside it (RFC 8419 §3.1).
  Hash hash;
  std::string_view jose;           ///< RFC 7518, RFC 8037 "alg"; empty if JOSE has none
  std::uint32_t pkcs11_mechanism;  ///< CKM_*, the one that takes the message
};

// RFC 4055 §5, RFC 5758 §3.2, RFC 8410 §3, RFC 9215 §2
inline constexpr auto kAlgorithms = std::to_array<AlgorithmRow>({
    {AlgorithmId::rsa_pkcs1_md5, "rsa-pkcs1-md5", "1.2.840.113549.1.1.4", KeyFamily::rsa, Padding::pkcs1, Hash::md5, "",
     0x05},
    {AlgorithmId::rsa_pkcs1_sha1, "rsa-pkcs1-sha1", "1.2.840.113549.1.1.5", KeyFamily::rsa, Padding::pkcs1, Hash::sha1,
     "", 0x06},
    {AlgorithmId::rsa_pkcs1_sha256, "rsa-pkcs1-sha256", "1.2.840.113549.1.1.11", KeyFamily::rsa, Padding::pkcs1,
     Hash::sha256, "RS256", 0x40},
    {AlgorithmId::rsa_pkcs1_sha384, "rsa-pkcs1-sha384", "1.2.840.113549.1.1.12", KeyFamily::rsa, Padding::pkcs1,
     Hash::sha384, "RS384", 0x41},
    {AlgorithmId::rsa_pkcs1_sha512, "rsa-pkcs1-sha512", "1.2.840.113549.1.1.13", KeyFamily::rsa, Padding::pkcs1,
     Hash::sha512, "RS512", 0x42},
    {AlgorithmId::rsa_pss_sha256, "rsa-pss-sha256", "1.2.840.113549.1.1.10", KeyFamily::rsa, Padding::pss, Hash::sha256,
     "PS256", 0x43},
    {AlgorithmId::rsa_pss_sha384, "rsa-pss-sha384", "1.2.840.113549.1.1.10", KeyFamily::rsa, Padding::pss, Hash::sha384,
     "PS384", 0x44},
    {AlgorithmId::rsa_pss_sha512, "rsa-pss-sha512", "1.2.840.113549.1.1.10", KeyFamily::rsa, Padding::pss, Hash::sha512,
     "PS512", 0x45},
    {AlgorithmId::ecdsa_sha1, "ecdsa-sha1", "1.2.840.10045.4.1", KeyFamily::ec, Padding::none, Hash::sha1, "", 0x1042},
    {AlgorithmId::ecdsa_sha256, "ecdsa-sha256", "1.2.840.10045.4.3.2", KeyFamily::ec, Padding::none, Hash::sha256,
     "ES256", 0x1044},
    {AlgorithmId::ecdsa_sha384, "ecdsa-sha384", "1.2.840.10045.4.3.3", KeyFamily::ec, Padding::none, Hash::sha384,
     "ES384", 0x1045},
    {AlgorithmId::ecdsa_sha512, "ecdsa-sha512", "1.2.840.10045.4.3.4", KeyFamily::ec, Padding::none, Hash::sha512,
     "ES512", 0x1046},
    {AlgorithmId::ed25519, "ed25519", "1.3.101.112", KeyFamily::ed25519, Padding::none, Hash::sha512, "EdDSA", 0x1057},
    {AlgorithmId::gost_256, "gost-256", "1.2.643.7.1.1.3.2", KeyFamily::gost, Padding::none, Hash::streebog256, "",
     0xD4321008},
    {AlgorithmId::gost_512, "gost-512", "1.2.643.7.1.1.3.3", KeyFamily::gost, Padding::none, Hash::streebog512, "",
     0xD4321009},
});

/// The row of a value; always exists (algorithm.cpp asserts the order of the tables).
constexpr const HashRow& row_of(Hash id) { return kHashes[static_cast<std::size_t>(id)]; }
constexpr const KeyTypeRow& row_of(KeyType id) { return kKeyTypes[static_cast<std::size_t>(id)]; }
constexpr const AlgorithmRow& row_of(AlgorithmId id) { return kAlgorithms[static_cast<std::size_t>(id)]; }

/// By the name in profile files; case matters.
std::optional<Hash> find_hash(std::string_view name);
std::optional<KeyType> find_key_type(std::string_view name);
std::optional<AlgorithmId> find_algorithm(std::string_view name);

/// The algorithm of a key family, hash and padding, if there is such a row.
std::optional<AlgorithmId> find_algorithm(KeyFamily family, Hash hash, Padding padding);

/// What karta signs with when nobody chose: the curve's own hash for EC, PKCS #1 with SHA-256 for RSA.
AlgorithmId default_algorithm(KeyType type);

/// Strength of `algorithm` with a key of `strength_bits`: the weaker of the key and the hash.
unsigned strength_bits(AlgorithmId algorithm, KeyType type);

}  // namespace karta::crypto
