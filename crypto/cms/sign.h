// Signing: a CMS signature at level CAdES-B-B (EN 319 122-1 §6.1) over a content of any size.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/content.h"
#include "crypto/signer.h"

namespace karta::crypto {

enum class CmsForm : std::uint8_t {
  detached,    ///< the content stays beside; memory does not grow with it
  enveloping,  ///< the content goes inside, through memory
};

struct CmsSignOptions {
  CmsForm form = CmsForm::detached;
  std::optional<Time> signing_time = {};      ///< claimed; absent: no signing-time attribute (PAdES has /M instead)
  std::string content_type = {};              ///< dotted; empty: id-data
  std::optional<AlgorithmId> algorithm = {};  ///< absent: the signer's first one
  bool counter_signature = false;             ///< no content-type attribute (RFC 5652 §11.4)
  bool include_chain = true;                  ///< all of the signer's chain; false: its own certificate only
  /// Only the signed attributes that RFC 5652 §5.3 demands, and the time: no CAdES, for where each octet takes time.
  bool least_attributes = false;
  std::size_t most_enveloped_octets = std::size_t{1} << 30;
};

/// CmsSigning: one signer under one set of options, with what all its signatures share made once.
///
/// Signed attributes: contentType, messageDigest, signingTime, signingCertificateV2 with issuerSerial,
/// cmsAlgorithmProtection (RFC 6211), the last two not with least_attributes; sorted as DER asks. A signature by a
/// device is verified before it is returned, so that a card's fault is found here; what a key in this process computed
/// is taken as it is. Used by one thread at a time.
class CmsSigning {
 public:
  /// The signer must have a certificate, of its own key, and outlive this. Fails with not_found, usage, not_permitted.
  static Result<CmsSigning> prepare(Signer& signer, CmsSignOptions options);

  /// Of the content's digest.
  Hash hash() const;
  /// A detached signature over a content with this digest: one DER ContentInfo. Calls the signer once.
  Result<Bytes> sign(ByteView content_digest, std::optional<Time> signing_time);
  /// The same with `content`, of this digest, inside.
  Result<Bytes> sign_enveloping(ByteView content, ByteView content_digest, std::optional<Time> signing_time);
  /// The SignerInfo alone: what a counter-signature is.
  Result<Bytes> sign_info(ByteView content_digest, std::optional<Time> signing_time);

 private:
  CmsSigning(Signer& signer, CmsSignOptions options) : signer_(&signer), options_(std::move(options)) {}
  Result<Bytes> around(ByteView content_digest, std::optional<Time> signing_time, ByteView explicit_content);

  Signer* signer_;
  CmsSignOptions options_;
  AlgorithmId algorithm_{};
  bool basic_content_ = true;            // id-data
  Bytes signer_id_;                      // IssuerAndSerialNumber
  Bytes digest_algorithm_, digest_set_;  // AlgorithmIdentifier, and the SET with it alone
  Bytes signature_algorithm_;
  Bytes content_type_oid_;
  std::vector<Bytes> fixed_attributes_;  // all but messageDigest and signingTime
  Bytes certificates_;                   // [0]
};

/// Reads `content` to its end, then calls the signer once: CmsSigning for one signature. options.signing_time is the
/// time claimed. Fails as it does, as the content does, and with limit beyond options.most_enveloped_octets.
Result<Bytes> sign_cms(Signer& signer, ContentSource& content, const CmsSignOptions& options);

}  // namespace karta::crypto
