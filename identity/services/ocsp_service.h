// OcspService: answers OCSP requests for several authorities, from answers made before where that is allowed.
//
// An answer without a nonce serves everybody who asks the same: it is kept until half its time is over or until any
// state of its authority has changed, whichever comes first. Each request asks the ledger for its revision first, so no
// answer is ever given that a revocation has overtaken, whichever program recorded it.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "crypto/x509/authority_ledger.h"
#include "identity/services/config.h"
#include "service/http_message.h"

namespace karta::identity {

/// The answers made before, shared by all workers: one client meets several of them.
class PreparedAnswers {
 public:
  /// Some kilobyte each.
  static constexpr std::size_t kMost = 32 * 1024;

  struct Answer {
    std::shared_ptr<const Bytes> der;
    /// Cache-Control, ETag, Expires, Last-Modified (RFC 5019 §6.2).
    std::shared_ptr<const std::string> fields;
    std::string_view etag;  ///< into fields
    std::size_t authority = 0;
    std::uint64_t revision = 0;  ///< of the authority's ledger, asked for before the state was
    Time renew_at{};
  };
  std::optional<Answer> find(const std::string& request) const;
  /// When there are too many, all go: what is asked for comes back by itself.
  void put(std::string request, Answer answer);

 private:
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Answer> answers_;
};

/// Belongs to one thread.
class OcspService {
 public:
  /// Both must outlive it.
  OcspService(const Clock& clock, PreparedAnswers& prepared) : clock_(&clock), prepared_(&prepared) {}

  /// `signer` is the responder's. Every worker adds the same authorities in the same order.
  Status add(const crypto::Certificate& authority, std::unique_ptr<crypto::Signer> signer,
             std::shared_ptr<crypto::AuthorityLedger> ledger, const OcspConfig& config);

  struct Answer {
    std::shared_ptr<const Bytes> der;
    std::shared_ptr<const std::string> fields;  ///< null for an answer to one request alone
    std::string_view etag;                      ///< into fields; empty: none
    bool prepared = false;                      ///< was there before
  };
  /// Never fails: what cannot be answered is answered with its error status.
  Answer answer(ByteView request);

 private:
  struct Authority;
  Answer sign(Authority& authority, const crypto::OcspRequest& request, ByteView octets, Time now);

  const Clock* clock_;
  PreparedAnswers* prepared_;
  std::vector<std::shared_ptr<Authority>> authorities_;
};

}  // namespace karta::identity
