// CMS attributes: object identifiers that the writer and the validator share.
#pragma once

#include <string_view>

namespace karta::crypto::cms {

inline constexpr std::string_view kDataOid = "1.2.840.113549.1.7.1";
inline constexpr std::string_view kContentTypeOid = "1.2.840.113549.1.9.3";                 // RFC 5652 §11.1
inline constexpr std::string_view kMessageDigestOid = "1.2.840.113549.1.9.4";               // §11.2
inline constexpr std::string_view kSigningTimeOid = "1.2.840.113549.1.9.5";                 // §11.3
inline constexpr std::string_view kAlgorithmProtectionOid = "1.2.840.113549.1.9.52";        // RFC 6211 §2
inline constexpr std::string_view kSigningCertificateOid = "1.2.840.113549.1.9.16.2.12";    // RFC 2634 §5.4
inline constexpr std::string_view kSigningCertificateV2Oid = "1.2.840.113549.1.9.16.2.47";  // RFC 5035 §3
inline constexpr std::string_view kRsaEncryptionOid = "1.2.840.113549.1.1.1";

}  // namespace karta::crypto::cms
