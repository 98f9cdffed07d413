// CMS attributes: object identifiers that the writer and the validator share.
#pragma once

#include <string_view>

namespace karta::crypto::cms {

inline constexpr std::string_view kSignedDataOid = "1.2.840.113549.1.7.2";
inline constexpr std::string_view kDataOid = "1.2.840.113549.1.7.1";
inline constexpr std::string_view kContentTypeOid = "1.2.840.113549.1.9.3";                 // RFC 5652 §11.1
inline constexpr std::string_view kMessageDigestOid = "1.2.840.113549.1.9.4";               // §11.2
inline constexpr std::string_view kSigningTimeOid = "1.2.840.113549.1.9.5";                 // §11.3
inline constexpr std::string_view kAlgorithmProtectionOid = "1.2.840.113549.1.9.52";        // RFC 6211 §2
inline constexpr std::string_view kSigningCertificateOid = "1.2.840.113549.1.9.16.2.12";    // RFC 2634 §5.4
inline constexpr std::string_view kSigningCertificateV2Oid = "1.2.840.113549.1.9.16.2.47";  // RFC 5035 §3
inline constexpr std::string_view kSignaturePolicyOid = "1.2.840.113549.1.9.16.2.15";       // RFC 5126 §5.8.1
inline constexpr std::string_view kContentTimestampOid = "1.2.840.113549.1.9.16.2.20";      // EN 319 122-1 §5.2.8
// Unsigned: RFC 5652 §11.4, RFC 3161 appendix A, EN 319 122-1 §5.4 and §5.5.
inline constexpr std::string_view kCounterSignatureOid = "1.2.840.113549.1.9.6";
inline constexpr std::string_view kSignatureTimestampOid = "1.2.840.113549.1.9.16.2.14";
inline constexpr std::string_view kCertificateValuesOid = "1.2.840.113549.1.9.16.2.23";
inline constexpr std::string_view kRevocationValuesOid = "1.2.840.113549.1.9.16.2.24";
inline constexpr std::string_view kArchiveTimestampV3Oid = "0.4.0.1733.2.4";
inline constexpr std::string_view kAtsHashIndexV3Oid = "0.4.0.19122.1.5";
inline constexpr std::string_view kOcspRevocationInfoOid = "1.3.6.1.5.5.7.16.2";  // RFC 5940 §2.1

}  // namespace karta::crypto::cms
