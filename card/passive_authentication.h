// Passive authentication (TR-03110-3 §3.5, ICAO 9303-11 §5.1): what the issuer signed about a card, and checking it.
//
// EF.CardSecurity is a CMS signature by the centre's document signer over the card's SecurityInfos: its keys, its
// status index, and the hashes of its data groups.
#pragma once

#include <map>
#include <vector>

#include "base/clock.h"
#include "card/security_infos.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"

namespace karta::card {

/// id-SecurityObject, the content type (TR-03110-3 A.1.2.5).
inline constexpr std::string_view kSecurityObjectOid = "0.4.0.127.0.7.3.2.1";
/// Extended key usage of document signers, without which a certificate signs no EF.CardSecurity: a citizen's own
/// certificate comes from the same root. Under the arc of the status index (docs/certificates.md).
inline constexpr std::string_view kDocumentSigningOid =
    "1.2.840.113556.1.8000.2554.32106.26952.44991.18976.45155.14854104.125000.1";

inline constexpr std::size_t kMostCardSecurityOctets = 8192;

/// EF.CardSecurity for `infos`, with the signer's own certificate in it. Fails with `usage` where that certificate is
/// not a document signer's.
Result<Bytes> sign_card_security(const SecurityInfos& infos, crypto::Signer& document_signer);

struct CardSecurity {
  SecurityInfos infos;
  crypto::Certificate signer;
};

/// Checks signature, document signer and path at `at`. Fails with `untrusted` (no path to `anchors`, no document
/// signer), `invalid_signature`, `malformed`.
Result<CardSecurity> verify_card_security(ByteView file, const std::vector<crypto::Certificate>& anchors, Time at);

/// Hashes of whole data-group files by number, without those that terminals may write: for EF.CardSecurity.
DataGroupHashes hash_data_groups(const std::map<unsigned, Bytes>& files, crypto::Hash hash);

enum class DataGroupCheck : std::uint8_t {
  signed_by_issuer,  ///< the file is the one that was signed
  not_covered,       ///< writable after issue, or a card without hashes
  altered,           ///< not what the issuer wrote
};
/// "signed", "not-covered", "altered"
std::string_view name_of(DataGroupCheck check);
DataGroupCheck check_data_group(const SecurityInfos& security, unsigned number, ByteView file);

}  // namespace karta::card
