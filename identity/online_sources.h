// Online sources: time-stamps, revocation data and issuers' certificates from the services that certificates and
// configurations point at, over HTTP. For signing at levels above B-B, and for verifying with --fetch.
//
// Everything is bounded: sizes, the time of a request and of all requests together, redirects, the number of URLs tried
// for a certificate. URLs that stand in a certificate are reached only at public addresses unless the options say
// otherwise (service/http_client.h); those the user configured may be anywhere. What comes back is foreign input: it is
// parsed and must speak of what was asked, and judging it remains with whoever validates.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "crypto/ades/sources.h"

namespace karta::identity {

struct OnlineOptions {
  std::chrono::seconds request_time{15};
  std::chrono::seconds all_time{60};   ///< from the first request on; after that nothing more is fetched
  bool any_address = false;            ///< follow URLs of certificates to private addresses and this machine too
  std::string certificates_file = {};  ///< roots for https, PEM; empty: the system's
};

/// RFC 3161 §3.4 at a URL the user named.
class OnlineTimestamps final : public crypto::TimestampSource {
 public:
  OnlineTimestamps(std::string url, OnlineOptions options);
  ~OnlineTimestamps() override;
  /// Errors: io, usage (the URL), untrusted (refused, or another's token), malformed.
  Result<Bytes> stamp(const crypto::MessageImprint& imprint) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// OCSP answers and CRLs from the URLs in certificates. What was fetched once serves the whole run.
class OnlineRevocation final : public crypto::RevocationSource {
 public:
  explicit OnlineRevocation(OnlineOptions options);
  ~OnlineRevocation() override;

  /// The OCSP answer if a responder gives a successful one about this certificate; otherwise the first CRL by this
  /// issuer, and the delta to it where one is named. Nothing at all is no error: troubles() says why.
  Result<crypto::RevocationEvidence> about(const crypto::Certificate& certificate,
                                           const crypto::Certificate& issuer) override;

  /// The certificates that the caIssuers URLs of `certificate` give and whose subject is its issuer; may be none.
  std::vector<crypto::Certificate> issuers_of(const crypto::Certificate& certificate);

  /// One line for each thing that could not be fetched or used.
  const std::vector<std::string>& troubles() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace karta::identity
