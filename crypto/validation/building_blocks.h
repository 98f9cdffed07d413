// The building blocks of EN 319 102-1 §5.2, one file each, and the signature that passes through them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/algorithm_identifier.h"
#include "crypto/cms/signed_data.h"
#include "crypto/cms/timestamp.h"
#include "crypto/validation/signed_content.h"
#include "crypto/validation/validation_context.h"

namespace karta::crypto {

/// What a signing-certificate attribute says of the signer's certificate.
struct CertificateReference {
  Hash hash = Hash::sha256;
  Bytes digest;
  Bytes issuer;  ///< Name, DER; empty if there is no issuerSerial
  Bytes serial;
  std::size_t offset = 0;
  std::size_t listed = 0;  ///< certificates the attribute lists
};

/// What a signature-policy-identifier attribute says.
struct SignaturePolicyReference {
  std::string oid;  ///< dotted
  std::string hash_oid;
  Bytes digest;  ///< empty: the signer left it out
  std::size_t offset = 0;
};

/// A time-stamp token in an attribute.
struct AttributeStamp {
  StampKind kind = StampKind::signature;
  const CmsAttribute* attribute = nullptr;
  const Bytes* value = nullptr;         ///< whole TLV
  std::optional<TimeStampToken> token;  ///< empty: it does not parse
  std::string fault;                    ///< why
};
/// The tokens of a signer, in the order they stand.
std::vector<AttributeStamp> read_stamps(const CmsSigner& signer);

/// SignatureUnderValidation is one signer of one file on its way through the blocks: what stands in the file, what it
/// is judged by, and what the blocks found out so far.
struct SignatureUnderValidation {
  SignatureUnderValidation(const SignedData& all, const CmsSigner& one, const std::vector<AttributeStamp>& its_stamps,
                           SignedContent& its_content, ValidationContext& its_context)
      : data(all), signer(one), stamps(its_stamps), content(its_content), context(its_context) {
    report.verdict = Verdict::total_passed;
    report.signature_value = signer.signature;
  }

  // --- given ---
  const SignedData& data;
  const CmsSigner& signer;
  const std::vector<AttributeStamp>& stamps;
  SignedContent& content;
  ValidationContext& context;
  bool counter = false;  ///< a counter-signature: `content` is the signature value of another

  // --- format checking ---
  std::optional<Hash> hash;
  std::optional<SignatureAlgorithm> algorithm;
  std::optional<Bytes> message_digest;
  std::size_t message_digest_offset = 0;
  bool has_signing_time = false;
  std::optional<CertificateReference> reference;
  std::optional<SignaturePolicyReference> signature_policy;

  // --- identification of the signing certificate ---
  std::optional<Certificate> certificate;
  std::optional<PublicKey> key;

  // --- cryptographic verification ---
  std::optional<bool> hash_right, value_right;

  // --- time-stamps ---
  std::optional<Time> made_after;                        ///< a content time-stamp that holds
  std::size_t signature_stamps = 0, archive_stamps = 0;  ///< that hold

  // --- path ---
  bool revocation_known = false;

  SignatureReport report;

  /// The earliest moment the signature is proven to have existed: now, if nothing else proves it.
  Time best_time() const { return report.best_signature_time.value_or(context.now()); }

  /// Everything found from here on belongs to `block`.
  void enter(BuildingBlock block);
  void find(Severity severity, std::string code, std::string message, std::optional<std::size_t> offset = {},
            std::string attribute = {});
  /// A fault makes the verdict, which the sub-indication's row names; a failure weighs more than not knowing, and the
  /// first of a weight names the reason.
  void fault(SubIndication sub, std::string code, std::string message, std::optional<std::size_t> offset = {},
             std::string attribute = {});
  void broken_format(std::string code, std::string message, std::size_t offset, std::string attribute = {}) {
    fault(SubIndication::format_failure, std::move(code), std::move(message), offset, std::move(attribute));
  }
  /// An algorithm without a row, or with parameters its standard does not allow.
  void algorithm_fault(const Error& error, std::string_view field, std::size_t offset);

 private:
  BuildingBlock block_ = BuildingBlock::format_checking;
};

/// §5.2.2: algorithms, signed attributes (RFC 5652 §5.3 and §11, EN 319 122-1 §5), the place of the content.
void check_format(SignatureUnderValidation& signature, const Status& content_status);
/// §5.2.3: the certificate the signer names, checked against the signing-certificate attribute.
void identify_signing_certificate(SignatureUnderValidation& signature);
/// §5.2.4: the signature policy the signer names.
void initialise_context(SignatureUnderValidation& signature);
/// §5.2.7: the content's digest, and the signature value.
void verify_cryptographically(SignatureUnderValidation& signature);
/// §5.4 and §5.6.2.3: the time-stamps in the signature, and what existed when.
void validate_time_stamps(SignatureUnderValidation& signature);
/// §5.2.6 and §5.2.5, and where the present is not enough §5.6.2: the signer's path, now or at the best signature time.
void validate_certificate(SignatureUnderValidation& signature);
/// §5.2.8: algorithms by their dates, and what the policy asks of signatures.
void accept_signature(SignatureUnderValidation& signature);

/// What a path that does not hold means for a signature (table of PathFault; revoked CAs apart).
SubIndication sub_indication_of(const PathResult& path);

/// What came of a time-stamp token, its imprint left aside.
struct TokenVerdict {
  std::optional<Certificate> signer;  ///< empty: the token's own signature does not hold, or cannot be checked
  PathResult path;
  std::string reason;      ///< in words; empty if it holds
  bool unchecked = false;  ///< no certificate, or an algorithm karta has not
  bool untrusted = false;  ///< the signature holds, the path does not
  bool certificate_elsewhere = false;  ///< the authority's certificate is not in the token
  bool ok() const { return reason.empty(); }
};
/// §5.4: the token's signature, and its authority's path at `at`.
TokenVerdict judge_token(const ValidationContext& context, const TimeStampToken& token, Time at);

/// "CAdES-B-LT", from what was found.
std::string level_of(const SignatureUnderValidation& signature);
/// What stands with the signer, is not signed, and was not judged.
void mention_unsigned(SignatureUnderValidation& signature);
/// What stands in the file, is not signed, and took part in no path: said with every signature of the file.
std::vector<Finding> remarks_on_file(const SignedData& data, const ValidationContext& context,
                                     const std::vector<SignatureReport>& signatures);

}  // namespace karta::crypto
