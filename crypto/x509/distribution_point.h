// DistributionPoint (RFC 5280 §4.2.1.13): where a CRL is found, for which reasons, and who signs it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/der.h"
#include "crypto/x509/general_name.h"

namespace karta::crypto {

/// CRLReason (RFC 5280 §5.3.1), the numbers of the ENUMERATED.
enum class CrlReason : std::uint8_t {
  unspecified = 0,
  key_compromise = 1,
  ca_compromise = 2,
  affiliation_changed = 3,
  superseded = 4,
  cessation_of_operation = 5,
  certificate_hold = 6,
  remove_from_crl = 8,
  privilege_withdrawn = 9,
  aa_compromise = 10,
};
/// "keyCompromise" and so on, as RFC 5280 spells them.
std::string_view name_of(CrlReason reason);
std::optional<CrlReason> find_crl_reason(std::string_view name);
/// The reason of an ENUMERATED's number, if there is one (7 is not used).
std::optional<CrlReason> crl_reason_of(std::uint64_t number);

/// A set of ReasonFlags, bit n of the BIT STRING as bit n here: 1 keyCompromise, ... 8 aACompromise.
using ReasonMask = std::uint16_t;
/// Every reason there is, "unused" aside.
inline constexpr ReasonMask kAllReasons = 0x1FE;

/// DistributionPointName ::= CHOICE { fullName [0] GeneralNames, nameRelativeToCRLIssuer [1] RelativeDistinguishedName
/// }
struct DistributionPointName {
  std::vector<GeneralName> full_name;  ///< empty if relative
  Bytes relative;                      ///< content of the RDN's SET; empty if full
  bool empty() const { return full_name.empty() && relative.empty(); }
};

struct DistributionPoint {
  DistributionPointName name;
  std::optional<ReasonMask> reasons;    ///< absent: all
  std::vector<GeneralName> crl_issuer;  ///< empty: the issuer of the certificate
};

/// CRLDistributionPoints from the content of its SEQUENCE; at most kMostDistributionPoints.
Result<std::vector<DistributionPoint>> parse_distribution_points(ByteView content);
inline constexpr std::size_t kMostDistributionPoints = 256;

/// DistributionPointName from the content of its explicit tag.
Result<DistributionPointName> parse_distribution_point_name(ByteView content);
/// ReasonFlags, the content of its (implicitly tagged) BIT STRING.
Result<ReasonMask> parse_reason_flags(ByteView content);

/// The names a DistributionPointName stands for; a relative one is put under `issuer` (a Name, DER).
Result<std::vector<GeneralName>> names_of(const DistributionPointName& name, ByteView issuer);
/// True if the two lists share a name; directory names are compared as RFC 5280 §7.1 says, others octet by octet.
bool share_a_name(const std::vector<GeneralName>& a, const std::vector<GeneralName>& b);

/// A DistributionPointName of one URI, DER, in its explicit tag `[0]`.
Bytes encode_distribution_point_name(std::string_view uri);

/// http, https and ldap URIs of the points. Fails on one with a character that is none of a URI.
Result<std::vector<std::string>> urls_of(const std::vector<DistributionPoint>& points);

}  // namespace karta::crypto
