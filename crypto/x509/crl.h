// Crl: a certificate revocation list (RFC 5280 §5): full, delta, partitioned, indirect; read, searched and signed.
//
// Immutable, cheap to copy, usable from several threads. Reading is one pass over the list; the first search sorts an
// index, every further one takes logarithmic time. Nothing is verified here (verify_crl_signature, revocation.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"
#include "crypto/x509/distribution_point.h"

namespace karta::crypto {

struct CrlEntry {
  ByteView serial;  ///< INTEGER content octets; aliases the list
  Time revoked_at{};
  CrlReason reason = CrlReason::unspecified;
  std::uint32_t issuer = 0;  ///< position in Crl::certificate_issuers()
};

/// IssuingDistributionPoint (RFC 5280 §5.2.5): what a list covers.
struct IssuingDistributionPoint {
  DistributionPointName name;
  bool only_user_certificates = false;
  bool only_ca_certificates = false;
  bool only_attribute_certificates = false;
  bool indirect = false;
  std::optional<ReasonMask> only_some_reasons;
  Bytes der;  ///< the value of the extension, to tell one partition from another
};

class Crl {
 public:
  /// The longest value DER is read of (base/tlv.h); some 1.5 million entries.
  static constexpr std::size_t kMostOctets = 64u << 20;
  static constexpr std::size_t kMostExtensions = 64;

  /// Strict DER, nothing after it. Errors name the field at fault.
  static Result<Crl> from_der(ByteView der);
  /// The only "X509 CRL" block, or DER.
  static Result<Crl> from_file_octets(ByteView pem_or_der);

  const Bytes& der() const;
  std::string to_pem() const;
  ByteView tbs() const;  ///< aliases der()
  std::optional<AlgorithmId> signature_algorithm() const;
  const std::string& signature_algorithm_oid() const;
  std::optional<unsigned> pss_salt_octets() const;
  ByteView signature() const;

  const Name& issuer() const;
  Time this_update() const;
  const std::optional<Time>& next_update() const;
  /// CRLNumber, a magnitude without leading zeros; empty if absent.
  const Bytes& number() const;
  /// BaseCRLNumber of a delta CRL; empty: this is a complete one.
  const Bytes& base_number() const;
  bool is_delta() const { return !base_number().empty(); }
  const std::optional<AuthorityKeyIdentifier>& authority_key_id() const;
  const std::optional<IssuingDistributionPoint>& issuing_distribution_point() const;
  /// Critical extensions, of the list or of an entry, that are not understood: the list must not be used.
  const std::vector<std::string>& unknown_critical_extensions() const;

  const std::vector<CrlEntry>& entries() const;
  /// Whose certificates the entries speak of; the first is the list's own issuer.
  const std::vector<Name>& certificate_issuers() const;
  /// The entry of a certificate; nullptr if it is not listed. Of several, the one that stands last.
  const CrlEntry* find(const Name& certificate_issuer, ByteView serial) const;

  /// SHA-256 of der().
  const Bytes& fingerprint() const;
  friend bool operator==(const Crl& a, const Crl& b) { return a.der() == b.der(); }

  struct Data;

 private:
  explicit Crl(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

/// Succeeds if `issuer_key` signed `crl`.
Status verify_crl_signature(const Crl& crl, const PublicKey& issuer_key);

/// Compares two CRL numbers (magnitudes): negative, zero, positive.
int compare_numbers(ByteView a, ByteView b);

/// What goes into a list.
struct CrlContent {
  struct Revoked {
    Bytes serial;  ///< magnitude, or content octets of a positive INTEGER
    Time revoked_at{};
    CrlReason reason = CrlReason::unspecified;
    std::optional<Time> invalid_since = {};
    std::optional<Name> certificate_issuer = {};  ///< indirect lists only; absent: the issuer of the list
  };
  std::vector<Revoked> revoked = {};  ///< in any order; written as given
  std::uint64_t number = 0;
  std::optional<std::uint64_t> base_number = {};  ///< a delta CRL to the complete one of this number
  Time this_update{};
  Time next_update{};
  std::optional<std::string> distribution_point = {};  ///< the URI of a partition
  bool only_user_certificates = false;
  bool only_ca_certificates = false;
  bool indirect = false;
  std::optional<ReasonMask> only_some_reasons = {};
  std::vector<std::string> freshest_urls = {};  ///< where deltas to this list are
};

/// Signs a list. `issuer` must be allowed to (cRLSign) and be the signer's. removeFromCRL goes into deltas only, and
/// certificate issuers into indirect lists only. The signature is verified before the list is returned.
Result<Crl> sign_crl(const CrlContent& content, const Certificate& issuer, Signer& signer,
                     std::optional<AlgorithmId> algorithm = {});

}  // namespace karta::crypto
