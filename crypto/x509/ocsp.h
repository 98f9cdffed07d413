// OCSP (RFC 6960): requests and answers about the state of certificates, read and written on both sides.
//
// Nothing here touches the network; check_revocation (revocation.h) judges an answer, OcspResponder makes one.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"
#include "crypto/x509/distribution_point.h"

namespace karta::crypto {

/// CertID (RFC 6960 §4.1.1): a certificate by the hashes of its issuer's name and key, and its serial number.
struct CertId {
  Hash hash = Hash::sha1;
  Bytes issuer_name_hash;
  Bytes issuer_key_hash;
  Bytes serial;  ///< INTEGER content octets
  friend bool operator==(const CertId&, const CertId&) = default;
};
/// The CertID of a certificate. SHA-1 is what RFC 5019 asks of small clients; it is no signature here.
CertId cert_id_of(const Certificate& certificate, const Certificate& issuer, Hash hash = Hash::sha1);
/// The CertID of the certificate of this serial number (content octets) by `issuer`.
CertId cert_id_of(ByteView serial, const Certificate& issuer, Hash hash = Hash::sha1);
/// True if `id` may speak of `certificate` by `issuer`, under whatever hash it is made.
bool names(const CertId& id, const Certificate& certificate, const Certificate& issuer);

struct OcspRequest {
  static constexpr std::size_t kMostOctets = 64 * 1024;  ///< a thousand CertIDs of a hundred octets fit with room
  static constexpr std::size_t kMostAsked = 128;         ///< certificates asked about in one request
  static constexpr std::size_t kMostNonceOctets = 128;  ///< RFC 9654 §2.1: 1 to 128, responders take up to 32 at least

  std::vector<CertId> certificates;
  Bytes nonce = {};  ///< empty: none

  /// OCSPRequest, DER, nothing after it; a signature on it is passed over, for answers are no secret.
  static Result<OcspRequest> from_der(ByteView der);
  Bytes to_der() const;
};

/// RFC 6960 §4.2.1
enum class OcspResponseStatus : std::uint8_t {
  successful = 0,
  malformed_request = 1,
  internal_error = 2,
  try_later = 3,
  sig_required = 5,
  unauthorized = 6,
};
std::string_view name_of(OcspResponseStatus status);

enum class OcspCertificateStatus : std::uint8_t { good, revoked, unknown };
std::string_view name_of(OcspCertificateStatus status);

/// The state of one certificate: what a registry tells, and what an answer says.
struct OcspState {
  OcspCertificateStatus status = OcspCertificateStatus::unknown;
  Time revoked_at{};                  ///< of a revoked one
  std::optional<CrlReason> reason{};  ///< of a revoked one
};

struct OcspSingleResponse {
  CertId id;
  OcspState state;
  Time this_update{};
  std::optional<Time> next_update;
};

/// An answer, parsed. Immutable, cheap to copy.
class OcspResponse {
 public:
  static constexpr std::size_t kMostOctets = 1u << 20;
  static constexpr std::size_t kMostSingles = 1024;
  static constexpr std::size_t kMostCertificates = 16;

  /// OCSPResponse, strict DER, nothing after it. Certificates inside that do not parse are left out.
  static Result<OcspResponse> from_der(ByteView der);

  const Bytes& der() const;
  OcspResponseStatus status() const;
  bool successful() const { return status() == OcspResponseStatus::successful; }
  // All below is empty unless successful.
  ByteView tbs() const;
  std::optional<AlgorithmId> signature_algorithm() const;
  const std::string& signature_algorithm_oid() const;
  std::optional<unsigned> pss_salt_octets() const;
  ByteView signature() const;
  const std::optional<Name>& responder_name() const;
  const Bytes& responder_key_hash() const;  ///< SHA-1 of the responder's key; empty if it is named by name
  Time produced_at() const;
  const std::vector<OcspSingleResponse>& singles() const;
  const Bytes& nonce() const;
  const std::vector<Certificate>& certificates() const;
  /// Critical extensions not understood: the answer must not be used.
  const std::vector<std::string>& unknown_critical_extensions() const;
  /// True if the responder is named as `certificate` is.
  bool responder_is(const Certificate& certificate) const;

  struct Data;

 private:
  explicit OcspResponse(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

/// Succeeds if `key` signed `response`.
Status verify_ocsp_signature(const OcspResponse& response, const PublicKey& key);

/// Fails (untrusted) unless `response` carries the nonce of `request`, or neither has one. A responder with answers
/// made beforehand leaves the nonce out; whoever takes those does not call this.
Status check_nonce(const OcspRequest& request, const OcspResponse& response);

/// An unsuccessful answer: a status and nothing else.
Bytes ocsp_error(OcspResponseStatus status);

/// What goes into a signed answer.
struct OcspAnswer {
  std::vector<OcspSingleResponse> singles = {};
  Bytes nonce = {};
  Time produced_at{};
};
/// Signs an answer as the responder whose certificate is first in the signer's chain, which goes inside. The signature
/// is not verified again: an answer that is wrong is refused by whoever reads it, and answers are many.
Result<Bytes> sign_ocsp(const OcspAnswer& answer, Signer& signer, std::optional<AlgorithmId> algorithm = {});

/// What every answer of one signer has alike.
struct OcspConstants;

/// OcspResponder turns requests into answers for the certificates of one CA.
///
/// Used by one thread at a time, as its signer is; the function that knows the states may be anything.
class OcspResponder {
 public:
  /// The state of the certificate with this serial number (content octets). An error becomes "try later".
  using Lookup = std::function<Result<OcspState>(ByteView serial)>;
  struct Options {
    std::chrono::seconds validity{3600};  ///< nextUpdate - thisUpdate
    std::optional<AlgorithmId> algorithm = {};
  };

  /// `issuer` is the CA whose certificates are asked about; `signer` is its key, or a responder's whose certificate by
  /// that CA has OCSPSigning. `signer` and `clock` must outlive the responder. Fails (not_permitted, usage) otherwise.
  static Result<OcspResponder> create(Certificate issuer, Signer& signer, Lookup lookup, const Clock& clock,
                                      Options options);
  static Result<OcspResponder> create(Certificate issuer, Signer& signer, Lookup lookup, const Clock& clock) {
    return create(std::move(issuer), signer, std::move(lookup), clock, Options{});
  }

  /// The answer to a request; never fails: what cannot be answered is answered with its error status.
  Bytes answer(ByteView request);
  Bytes answer(const OcspRequest& request);
  /// An answer made beforehand, without nonce, for one certificate (RFC 5019): to be kept and handed out.
  Result<Bytes> pre_produce(ByteView serial);

 private:
  OcspResponder(Certificate issuer, Signer& signer, std::shared_ptr<const OcspConstants> constants, Lookup lookup,
                const Clock& clock, Options options);
  Result<OcspSingleResponse> single(const CertId& id) const;

  Certificate issuer_;
  Signer* signer_;
  std::shared_ptr<const OcspConstants> constants_;
  Lookup lookup_;
  const Clock* clock_;
  Options options_;
  std::vector<CertId> own_;  // the issuer's hashes under every hash, with an empty serial
};

}  // namespace karta::crypto
