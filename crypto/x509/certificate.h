// Certificate: an X.509 certificate (RFC 5280 §4), parsed once, strictly, owning its DER.
//
// Immutable, cheap to copy, usable from several threads. Parsing checks structure and the meaning of the extensions
// named here; signatures, dates and trust are verify_path's business.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/key.h"
#include "crypto/x509/distribution_point.h"
#include "crypto/x509/general_name.h"
#include "crypto/x509/name.h"
#include "crypto/x509/name_constraints.h"

namespace karta::crypto {

/// INTEGER in a non-critical extension of ours: the position of a card's certificates in the status list
/// (docs/certificates.md). The UUID 7d6a6948-afbf-4a20-b063-e2a7d801e848 in seven arcs, as Microsoft's generator lays
/// one out under this root: each arc is below 2^24, where the one 128-bit arc under 2.25 makes GnuTLS (64 bits at the
/// most) and Botan 2 (32 bits) refuse the whole certificate.
inline constexpr std::string_view kStatusIndexOid =
    "1.2.840.113556.1.8000.2554.32106.26952.44991.18976.45155.14854104.125000";

/// RFC 5280 §4.2.1.3, bit numbers of the BIT STRING.
enum class KeyUsage : std::uint8_t {
  digital_signature = 0,
  non_repudiation = 1,  ///< also called contentCommitment
  key_encipherment = 2,
  data_encipherment = 3,
  key_agreement = 4,
  key_cert_sign = 5,
  crl_sign = 6,
  encipher_only = 7,
  decipher_only = 8,
};

struct BasicConstraints {
  bool ca = false;
  std::optional<std::uint32_t> path_length;
};

/// RFC 5280 §4.2.1.4: the policy every policy counts as.
inline constexpr std::string_view kAnyPolicyOid = "2.5.29.32.0";

/// RFC 5280 §4.2.1.5: a policy of the issuer's domain, and the one that counts as it in the subject's. Dotted.
struct PolicyMapping {
  std::string issuer_domain, subject_domain;
  friend bool operator==(const PolicyMapping&, const PolicyMapping&) = default;
};

/// RFC 5280 §4.2.1.11: after how many more certificates of the path.
struct PolicyConstraints {
  std::optional<std::uint32_t> require_explicit_policy;
  std::optional<std::uint32_t> inhibit_policy_mapping;
};

struct AuthorityKeyIdentifier {
  Bytes key_id;                     ///< empty if absent
  std::vector<GeneralName> issuer;  ///< empty if absent
  Bytes serial;                     ///< INTEGER content octets; empty if absent
};

struct Extension {
  std::string oid;  ///< dotted
  bool critical = false;
  Bytes value;  ///< content of extnValue
};

class Certificate {
 public:
  static constexpr std::size_t kMostOctets = 256 * 1024;
  static constexpr std::size_t kMostExtensions = 128;

  /// Strict DER, nothing after it. Errors name the field at fault.
  static Result<Certificate> from_der(ByteView der);
  /// The only "CERTIFICATE" block, or DER.
  static Result<Certificate> from_file_octets(ByteView pem_or_der);
  /// All "CERTIFICATE" blocks of a PEM file, or one DER certificate; at least one.
  static Result<std::vector<Certificate>> many_from_file_octets(ByteView pem_or_der);

  const Bytes& der() const;
  std::string to_pem() const;
  /// The part that is signed, DER; aliases der().
  ByteView tbs() const;
  /// Of the signature on it; empty if the algorithm has no row (signature_algorithm_oid() says which).
  std::optional<AlgorithmId> signature_algorithm() const;
  const std::string& signature_algorithm_oid() const;
  std::optional<unsigned> pss_salt_octets() const;
  ByteView signature() const;

  /// 1 to 3.
  unsigned version() const;
  /// INTEGER content octets, as they stand.
  const Bytes& serial() const;
  const Name& issuer() const;
  const Name& subject() const;
  Time not_before() const;
  Time not_after() const;
  /// The raw SubjectPublicKeyInfo; always there.
  ByteView spki() const;
  /// Fails (unsupported) for a key that has no row, (malformed) for a broken one.
  Result<PublicKey> public_key() const;

  const std::vector<Extension>& extensions() const;
  const Extension* find_extension(std::string_view dotted_oid) const;
  const std::optional<BasicConstraints>& basic_constraints() const;
  bool is_ca() const;
  bool has_key_usage() const;
  /// False if the extension is there without this bit; true if it has the bit or there is no such extension.
  bool allows(KeyUsage usage) const;
  /// Dotted OIDs; empty if the extension is absent.
  const std::vector<std::string>& extended_key_usage() const;
  const Bytes& subject_key_id() const;  ///< empty if absent
  const std::optional<AuthorityKeyIdentifier>& authority_key_id() const;
  const std::vector<GeneralName>& subject_alternative_names() const;
  const std::vector<std::string>& policies() const;  ///< dotted OIDs, kAnyPolicyOid among them if it is there
  bool has_policies() const { return !policies().empty(); }
  const std::vector<PolicyMapping>& policy_mappings() const;
  const std::optional<PolicyConstraints>& policy_constraints() const;
  const std::optional<std::uint32_t>& inhibit_any_policy() const;  ///< skipCerts
  const std::optional<NameConstraints>& name_constraints() const;
  const std::vector<DistributionPoint>& distribution_points() const;
  /// FreshestCRL: where delta CRLs are found.
  const std::vector<DistributionPoint>& freshest_crl() const;
  /// id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1): an OCSP responder's certificate that need not be checked itself.
  bool ocsp_no_check() const;
  const std::vector<std::string>& crl_urls() const;
  const std::vector<std::string>& ocsp_urls() const;
  const std::vector<std::string>& issuer_urls() const;
  /// Value of the QCStatements extension (RFC 3739 §3.2.6), raw; empty if absent.
  ByteView qc_statements() const;
  std::optional<std::uint64_t> status_index() const;
  /// Critical extensions that nothing here understands: verify_path refuses these.
  std::vector<std::string> unknown_critical_extensions() const;

  /// SHA-256 of der().
  const Bytes& fingerprint() const;
  bool self_issued() const { return issuer() == subject(); }

  friend bool operator==(const Certificate& a, const Certificate& b) { return a.der() == b.der(); }

  struct Data;

 private:
  explicit Certificate(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  std::shared_ptr<const Data> data_;
};

/// Succeeds if `issuer_key` signed `certificate`.
Status verify_certificate_signature(const Certificate& certificate, const PublicKey& issuer_key);

/// "digitalSignature" and so on, as RFC 5280 spells them; nullopt for another word.
std::optional<KeyUsage> find_key_usage(std::string_view name);
std::string_view name_of(KeyUsage usage);

}  // namespace karta::crypto
