// PKCS #15 (ISO 7816-15): the directory of a card's e-signature application, read and written.
//
// The files: EF.DIR lists applications; ODF points to directory files; TokenInfo names the card; AODF lists PINs,
// PrKDF private keys, PuKDF public keys, CDF certificates, DODF data. Each file is a row of DER values. Parsers take
// what `pkcs15-init` writes (padding with 00 or FF behind the last value) and what the standard allows around it;
// encoders give the exact octets and no padding. Nothing aliases the input.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "card/file.h"
#include "card/key_type.h"

namespace karta::card {

/// AID of the PKCS #15 application: A0 00 00 00 63 "PKCS-15".
inline constexpr std::uint8_t kPkcs15Aid[] = {0xA0, 0x00, 0x00, 0x00, 0x63, 0x50, 0x4B, 0x43, 0x53, 0x2D, 0x31, 0x35};
inline constexpr std::uint16_t kDfESign = 0x5015, kEfOdf = 0x5031, kEfTokenInfo = 0x5032;
/// More objects than this in one directory file are refused.
inline constexpr std::size_t kMaxObjects = 64;

/// One 61 template of EF.DIR (ISO 7816-4 §12.2.2.3).
struct ApplicationTemplate {
  Bytes aid;
  std::string label;
  std::optional<Path> path;
  friend bool operator==(const ApplicationTemplate&, const ApplicationTemplate&) = default;
};
Result<std::vector<ApplicationTemplate>> parse_ef_dir(ByteView content);
Bytes encode_ef_dir(const std::vector<ApplicationTemplate>& applications);

/// Bits of TokenFlags.
namespace token_flag {
inline constexpr std::uint32_t readonly = 1, login_required = 2, prn_generation = 4, eid_compliant = 8;
}
struct TokenInfo {
  unsigned version = 0;  ///< 0: PKCS #15 v1.0
  Bytes serial;
  std::string manufacturer;
  std::string label;
  std::uint32_t flags = 0;
  friend bool operator==(const TokenInfo&, const TokenInfo&) = default;
};
Result<TokenInfo> parse_token_info(ByteView content);
Bytes encode_token_info(const TokenInfo& info);

/// Which directory file an ODF entry points to: the CHOICE's tag number.
enum class Directory : std::uint8_t {
  private_keys = 0,
  public_keys = 1,
  trusted_public_keys = 2,
  secret_keys = 3,
  certificates = 4,
  trusted_certificates = 5,
  useful_certificates = 6,
  data = 7,
  authentication = 8,
};
struct DirectoryEntry {
  Directory kind = Directory::private_keys;
  Path path;
  friend bool operator==(const DirectoryEntry&, const DirectoryEntry&) = default;
};
Result<std::vector<DirectoryEntry>> parse_odf(ByteView content);
Bytes encode_odf(const std::vector<DirectoryEntry>& entries);

/// Where an object's content lies. `length` 0: the whole file.
struct Location {
  Path path;
  std::size_t offset = 0;
  std::size_t length = 0;
  friend bool operator==(const Location&, const Location&) = default;
};

namespace object_flag {
inline constexpr std::uint32_t is_private = 1, modifiable = 2;
}
/// CommonObjectAttributes.
struct ObjectHead {
  std::string label;
  std::uint32_t flags = 0;
  Bytes auth_id;              ///< of the PIN that guards it; empty: none
  unsigned user_consent = 0;  ///< uses a PIN entry is good for; 0: not limited
  friend bool operator==(const ObjectHead&, const ObjectHead&) = default;
};

namespace pin_flag {
inline constexpr std::uint32_t case_sensitive = 1u << 0, local = 1u << 1, change_disabled = 1u << 2,
                               unblock_disabled = 1u << 3, initialized = 1u << 4, needs_padding = 1u << 5,
                               unblocking_pin = 1u << 6, so_pin = 1u << 7;
}
struct PinObject {
  ObjectHead head;
  Bytes id;  ///< what other objects' auth_id says
  std::uint32_t flags = 0;
  unsigned type = 1;  ///< 0 bcd, 1 ascii-numeric, 2 utf8
  unsigned min_length = 0, stored_length = 0, max_length = 0;
  std::optional<std::uint8_t> reference;
  std::optional<std::uint8_t> pad;
  std::optional<Path> path;
  friend bool operator==(const PinObject&, const PinObject&) = default;
};
Result<std::vector<PinObject>> parse_aodf(ByteView content);
Bytes encode_aodf(const std::vector<PinObject>& pins);

namespace key_usage {
inline constexpr std::uint32_t encrypt = 1u << 0, decrypt = 1u << 1, sign = 1u << 2, sign_recover = 1u << 3,
                               wrap = 1u << 4, unwrap = 1u << 5, verify = 1u << 6, verify_recover = 1u << 7,
                               derive = 1u << 8, non_repudiation = 1u << 9;
}
namespace key_access {
inline constexpr std::uint32_t sensitive = 1, extractable = 2, always_sensitive = 4, never_extractable = 8, local = 16;
}
struct PrivateKeyObject {
  ObjectHead head;
  Bytes id;  ///< shared with its certificate and public key
  std::uint32_t usage = 0;
  std::uint32_t access = 0;
  std::optional<std::uint8_t> key_reference;
  KeyFamily family = KeyFamily::ec;
  Location location;
  unsigned bits = 0;  ///< modulus or field; 0: the card does not say
  friend bool operator==(const PrivateKeyObject&, const PrivateKeyObject&) = default;
};
Result<std::vector<PrivateKeyObject>> parse_prkdf(ByteView content);
Bytes encode_prkdf(const std::vector<PrivateKeyObject>& keys);

struct PublicKeyObject {
  ObjectHead head;
  Bytes id;
  std::uint32_t usage = 0;
  std::uint32_t access = 0;
  std::optional<std::uint8_t> key_reference;
  KeyFamily family = KeyFamily::ec;
  std::optional<Location> location;  ///< of a file with the key, else
  Bytes value;                       ///< the key itself: DER SubjectPublicKeyInfo or RSAPublicKey, as found
  unsigned bits = 0;
  friend bool operator==(const PublicKeyObject&, const PublicKeyObject&) = default;
};
Result<std::vector<PublicKeyObject>> parse_pukdf(ByteView content);
Bytes encode_pukdf(const std::vector<PublicKeyObject>& keys);

struct CertificateObject {
  ObjectHead head;
  Bytes id;
  bool authority = false;
  std::optional<Location> location;
  Bytes value;  ///< the certificate itself, where it stands in the CDF
  friend bool operator==(const CertificateObject&, const CertificateObject&) = default;
};
Result<std::vector<CertificateObject>> parse_cdf(ByteView content);
Bytes encode_cdf(const std::vector<CertificateObject>& certificates);

struct DataObject {
  ObjectHead head;
  std::string application;
  std::string application_oid;  ///< dotted; empty: none
  std::optional<Location> location;
  Bytes value;
  friend bool operator==(const DataObject&, const DataObject&) = default;
};
Result<std::vector<DataObject>> parse_dodf(ByteView content);
Bytes encode_dodf(const std::vector<DataObject>& objects);

}  // namespace karta::card
