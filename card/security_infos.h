// SecurityInfos: what a card says of its protocols and keys (TR-03110-3 A.1): EF.CardAccess in the clear,
// EF.CardSecurity signed.
//
// Both are one SET OF SecurityInfo. Known protocols are parsed strictly, others are passed over: a card may offer more
// than this terminal knows.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "crypto/algorithm.h"

namespace karta::card {

/// PACE or chip authentication with ECDH and AES: which cipher and key length.
struct ProtocolSuite {
  std::string_view oid;  ///< dotted
  std::string_view name;
  std::uint8_t key_octets;
};
// TR-03110-3 A.1.1.1 and A.1.1.2: id-PACE-ECDH-GM-AES-CBC-CMAC-*, id-CA-ECDH-AES-CBC-CMAC-*.
inline constexpr auto kPaceSuites = std::to_array<ProtocolSuite>({
    {"0.4.0.127.0.7.2.2.4.2.2", "PACE-ECDH-GM-AES-CBC-CMAC-128", 16},
    {"0.4.0.127.0.7.2.2.4.2.3", "PACE-ECDH-GM-AES-CBC-CMAC-192", 24},
    {"0.4.0.127.0.7.2.2.4.2.4", "PACE-ECDH-GM-AES-CBC-CMAC-256", 32},
});
inline constexpr auto kChipAuthenticationSuites = std::to_array<ProtocolSuite>({
    {"0.4.0.127.0.7.2.2.3.2.2", "CA-ECDH-AES-CBC-CMAC-128", 16},
    {"0.4.0.127.0.7.2.2.3.2.3", "CA-ECDH-AES-CBC-CMAC-192", 24},
    {"0.4.0.127.0.7.2.2.3.2.4", "CA-ECDH-AES-CBC-CMAC-256", 32},
});
/// id-RI-ECDH-SHA-*: the hash of a pseudonym.
struct RestrictedIdSuite {
  std::string_view oid;
  std::string_view name;
  crypto::Hash hash;
};
inline constexpr auto kRestrictedIdSuites = std::to_array<RestrictedIdSuite>({
    {"0.4.0.127.0.7.2.2.5.2.3", "RI-ECDH-SHA-256", crypto::Hash::sha256},
    {"0.4.0.127.0.7.2.2.5.2.4", "RI-ECDH-SHA-384", crypto::Hash::sha384},
    {"0.4.0.127.0.7.2.2.5.2.5", "RI-ECDH-SHA-512", crypto::Hash::sha512},
});

struct PaceInfo {
  const ProtocolSuite* suite = nullptr;
  std::uint64_t parameter_id = 0;  ///< standardised domain parameters
  friend bool operator==(const PaceInfo&, const PaceInfo&) = default;
};
struct ChipAuthenticationInfo {
  const ProtocolSuite* suite = nullptr;
  std::optional<std::uint64_t> key_id;
  friend bool operator==(const ChipAuthenticationInfo&, const ChipAuthenticationInfo&) = default;
};
struct ChipAuthenticationDomain {
  std::uint64_t parameter_id = 0;
  std::optional<std::uint64_t> key_id;
  friend bool operator==(const ChipAuthenticationDomain&, const ChipAuthenticationDomain&) = default;
};
struct ChipAuthenticationKey {
  std::uint64_t parameter_id = 0;
  Bytes point;
  std::optional<std::uint64_t> key_id;
  friend bool operator==(const ChipAuthenticationKey&, const ChipAuthenticationKey&) = default;
};
struct RestrictedIdInfo {
  const RestrictedIdSuite* suite = nullptr;
  std::uint64_t key_id = 0;
  bool authorised_only = false;
  friend bool operator==(const RestrictedIdInfo&, const RestrictedIdInfo&) = default;
};
/// EIDSecurityObject: hashes of data-group files by number.
struct DataGroupHashes {
  crypto::Hash hash = crypto::Hash::sha256;
  std::map<unsigned, Bytes> by_number;
  friend bool operator==(const DataGroupHashes&, const DataGroupHashes&) = default;
};

inline constexpr std::size_t kMostSecurityInfos = 64;

struct SecurityInfos {
  std::vector<PaceInfo> pace;  ///< in the card's order: the first is its preference
  bool terminal_authentication_2 = false;
  std::vector<ChipAuthenticationInfo> chip_authentication;  ///< version 2
  std::vector<ChipAuthenticationDomain> chip_authentication_domains;
  std::vector<ChipAuthenticationKey> chip_authentication_keys;  ///< EF.CardSecurity only
  std::vector<RestrictedIdInfo> restricted_identification;
  std::optional<std::uint64_t> restricted_identification_domain;  ///< standardised domain parameters
  std::optional<std::uint64_t> status_index;                      ///< EF.CardSecurity only: kStatusIndexOid, INTEGER
  std::optional<DataGroupHashes> data_groups;                     ///< EF.CardSecurity only
  std::vector<std::string> others;                                ///< dotted OIDs passed over

  /// One DER SET; whatever is known is strict, the rest counted. Fails with `malformed`, `limit`.
  static Result<SecurityInfos> parse(ByteView der);
  /// One DER SET, sorted as DER asks; `others` are left out.
  Bytes encode() const;

  /// The first PACEInfo on a curve karta uses. Fails with `unsupported` if there is none.
  Result<PaceInfo> preferred_pace() const;
  friend bool operator==(const SecurityInfos&, const SecurityInfos&) = default;
};

/// Succeeds if all that `access` (EF.CardAccess, read in the clear) says stands in `security` (EF.CardSecurity,
/// signed): nothing was put in or exchanged on the way to make the terminal use something weaker. Fails with
/// `card_insecure`.
Status check_same_protocols(const SecurityInfos& access, const SecurityInfos& security);

}  // namespace karta::card
