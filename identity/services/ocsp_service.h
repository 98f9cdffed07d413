// OcspService: answers OCSP requests for several authorities, from answers made before where that is allowed.
//
// An answer without a nonce serves everybody who asks the same: it is kept until half its time is over or until any
// state of its authority has changed, whichever comes first. Each request asks the ledger for its revision first, so no
// answer is ever given that a revocation has overtaken, whichever program recorded it.
#pragma once

#include <memory>
#include <unordered_map>
#include <vector>

#include "crypto/x509/authority_ledger.h"
#include "identity/services/config.h"
#include "service/http_message.h"

namespace karta::identity {

/// Belongs to one thread.
class OcspService {
 public:
  /// Answers kept for one authority; some kilobyte each.
  static constexpr std::size_t kMostPrepared = 16 * 1024;

  explicit OcspService(const Clock& clock) : clock_(&clock) {}

  /// `signer` is the responder's.
  Status add(const crypto::Certificate& authority, std::unique_ptr<crypto::Signer> signer,
             std::shared_ptr<crypto::AuthorityLedger> ledger, const OcspConfig& config);

  struct Answer {
    std::shared_ptr<const Bytes> der;
    /// Cache-Control, ETag, Expires, Last-Modified (RFC 5019 §6.2), or none for an answer to one request alone.
    std::shared_ptr<const std::string> fields;
    std::string_view etag;  ///< into fields; empty: none
    bool prepared = false;  ///< was there before
  };
  /// Never fails: what cannot be answered is answered with its error status.
  Answer answer(ByteView request);

 private:
  struct Prepared {
    std::shared_ptr<const Bytes> der;
    std::shared_ptr<const std::string> fields;
    std::string_view etag;
    Time renew_at;
  };
  struct Authority;
  Answer sign(Authority& authority, const crypto::OcspRequest& request, ByteView octets, Time now);

  const Clock* clock_;
  std::vector<std::shared_ptr<Authority>> authorities_;
  /// Which authority's answer stands under a request.
  std::unordered_map<std::string, std::pair<std::size_t, Prepared>> prepared_;
};

}  // namespace karta::identity
