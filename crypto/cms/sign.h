// Signing: a CMS signature at level CAdES-B-B (EN 319 122-1 §6.1) over a content of any size.
#pragma once

#include <optional>
#include <string>

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
  std::size_t most_enveloped_octets = std::size_t{1} << 30;
};

/// Reads `content` to its end, then calls the signer once. The signer must have a certificate, of its own key. Signed
/// attributes: contentType, messageDigest, signingTime, signingCertificateV2 with issuerSerial, cmsAlgorithmProtection
/// (RFC 6211); sorted as DER asks. The signature is verified before it is returned, so that a card's fault is found
/// here. The result is one DER ContentInfo.
Result<Bytes> sign_cms(Signer& signer, ContentSource& content, const CmsSignOptions& options);

}  // namespace karta::crypto
