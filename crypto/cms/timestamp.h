// Time-stamps (RFC 3161): requests, answers and tokens, read, judged and made.
//
// A token is a CMS signature over TSTInfo: "this digest existed at this time". Nothing here touches the network.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/random.h"
#include "crypto/signer.h"
#include "crypto/x509/path.h"

namespace karta::crypto {

/// What is stamped: a digest and the hash it was made with.
struct MessageImprint {
  Hash hash = Hash::sha256;
  Bytes digest;
  friend bool operator==(const MessageImprint&, const MessageImprint&) = default;
};
/// The imprint of octets.
MessageImprint imprint_of(Hash hash, ByteView octets);

struct TimeStampRequest {
  static constexpr std::size_t kMostOctets = 16 * 1024;  ///< an honest one has some hundred
  static constexpr std::size_t kMostNonceOctets = 64;

  MessageImprint imprint;
  std::string policy = {};         ///< dotted; empty: whatever the authority has
  Bytes nonce = {};                ///< INTEGER content octets; empty: none
  bool certificate_wanted = true;  ///< certReq: the token is to carry the authority's certificate

  /// TimeStampReq, DER, nothing after it. Fails with malformed, limit, or unsupported: a hash that has no row, a
  /// critical extension.
  static Result<TimeStampRequest> from_der(ByteView der);
  Bytes to_der() const;
};

/// TSTInfo (RFC 3161 §2.4.2).
struct TimeStampInfo {
  std::string policy;
  MessageImprint imprint;
  Bytes serial;  ///< INTEGER content octets
  Time time{};   ///< genTime, cut to seconds
  std::uint32_t microseconds = 0;
  std::optional<std::chrono::microseconds> accuracy;
  bool ordering = false;
  Bytes nonce;  ///< INTEGER content octets; empty: none
};

/// A time-stamp token, parsed. Immutable, cheap to copy.
class TimeStampToken {
 public:
  static constexpr std::size_t kMostOctets = 1u << 20;

  /// One ContentInfo with SignedData over id-ct-TSTInfo and one signer. DER, or the BER of CMS in the field; TSTInfo
  /// itself is strict.
  static Result<TimeStampToken> from_der(ByteView octets);

  const Bytes& der() const;  ///< as it was read
  const TimeStampInfo& info() const;
  /// Certificates inside, those that parse.
  const std::vector<Certificate>& certificates() const;
  /// What the token is signed with: the name of the row, or the OID where there is none.
  std::string signature_algorithm() const;

  struct Data;

 private:
  friend Result<Certificate> verify_token_signature(const TimeStampToken& token, const std::vector<Certificate>& more);
  explicit TimeStampToken(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

/// The signer's certificate if the token's signature holds over its TSTInfo: digests, signed attributes, signature
/// value, and the reference to the certificate that RFC 3161 §2.4.2 asks for (ESSCertID or ESSCertIDv2). `more` may
/// hold the certificate where the token does not. Trust is not looked at. Fails with invalid_signature, malformed,
/// not_found (no certificate), unsupported.
Result<Certificate> verify_token_signature(const TimeStampToken& token, const std::vector<Certificate>& more);

/// What came of a token.
struct TimeStampVerdict {
  std::optional<Certificate> signer;
  PathResult path;  ///< of the signer, for the purpose of time stamps
};
/// Judges `token` over `imprint`: the imprint, the signature, the signer's path at `options.at`, and that the signer's
/// certificate was valid when it stamped. Fails (untrusted) where the path does not hold, otherwise as
/// verify_token_signature; invalid_signature for another imprint. options.purpose is set here.
Result<TimeStampVerdict> verify_time_stamp(const TimeStampToken& token, const MessageImprint& imprint,
                                           const PathVerifier& verifier, PathOptions options);

/// PKIStatus (RFC 3161 §2.4.2).
enum class TimeStampStatus : std::uint8_t {
  granted = 0,
  granted_with_mods = 1,
  rejection = 2,
  waiting = 3,
  revocation_warning = 4,
  revocation_notification = 5,
};
/// PKIFailureInfo, bit numbers.
enum class TimeStampFailure : std::uint8_t {
  bad_algorithm = 0,
  bad_request = 2,
  bad_data_format = 5,
  time_not_available = 14,
  unaccepted_policy = 15,
  unaccepted_extension = 16,
  additional_info_not_available = 17,
  system_failure = 25,
};
std::string_view name_of(TimeStampFailure failure);

struct TimeStampResponse {
  TimeStampStatus status = TimeStampStatus::rejection;
  std::optional<TimeStampFailure> failure;
  std::string text;
  std::optional<TimeStampToken> token;

  /// TimeStampResp, DER, nothing after it. A token is there if, and only if, the status grants one.
  static Result<TimeStampResponse> from_der(ByteView der);
};
/// The token of an answer to `request`: granted, of its imprint, nonce and policy. Fails (untrusted) otherwise.
Result<TimeStampToken> token_of(const TimeStampRequest& request, const TimeStampResponse& response);

/// TimeStampAuthority answers requests.
///
/// What all tokens share is made once; a token costs one signature and some copying. Used by one thread at a time.
class TimeStampAuthority {
 public:
  struct Options {
    std::string policy;  ///< dotted; required
    std::optional<std::chrono::microseconds> accuracy = std::chrono::seconds(1);
    std::optional<AlgorithmId> algorithm = {};
    /// Verify each token before it is given out: for keys on devices that may fail. Costs as much again.
    bool verify_tokens = false;
  };
  /// The signer's first certificate must be for time stamps and nothing else (RFC 3161 §2.3). `signer`, `clock` and
  /// `random` must outlive the authority.
  static Result<TimeStampAuthority> create(Signer& signer, Options options, const Clock& clock, RandomSource& random);

  /// The answer to a request; never fails: what cannot be granted is answered with its failure.
  Bytes answer(ByteView request);
  /// A token over `imprint`, for one's own documents.
  Result<Bytes> stamp(const MessageImprint& imprint, ByteView nonce = {}, bool with_certificates = true);

 private:
  TimeStampAuthority(Signer& signer, Options options, const Clock& clock, RandomSource& random)
      : signer_(&signer), options_(std::move(options)), clock_(&clock), random_(&random) {}

  Signer* signer_;
  Options options_;
  const Clock* clock_;
  RandomSource* random_;
  AlgorithmId algorithm_{};
  // Parts of every token, DER.
  Bytes signer_id_, fixed_attributes_, own_certificate_, certificates_;
};

}  // namespace karta::crypto
