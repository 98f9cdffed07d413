// SignedData (RFC 5652 §5): the strict reader that keeps its bytes.
//
// Takes DER and the BER that signers in the field make (indefinite lengths, OCTET STRINGs in pieces, unsorted sets);
// refuses everything else. All views alias the input, all offsets count from its first octet. Nothing is verified here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "crypto/cms/content_digests.h"

namespace karta::crypto {

/// What the reader refuses to go beyond (ErrorKind::limit).
struct CmsLimits {
  std::size_t depth = 32;  ///< nesting: a token with a counter-signature inside an attribute goes to twenty
  std::size_t signers = 64;
  std::size_t certificates = 256;
  std::size_t attributes = 64;  ///< in one set
  std::size_t digest_algorithms = 16;
  std::size_t content_pieces = 4u << 20;  ///< pieces of the encapsulated OCTET STRING
  std::size_t attributes_octets = 1u << 20;
};

/// AlgorithmIdentifier as found: the OID dotted, the parameters' whole TLV (empty if absent).
struct FoundAlgorithm {
  std::string oid;
  Bytes parameters;  ///< in DER, whatever the input had
  std::size_t offset = 0;
};

struct CmsAttribute {
  std::string oid;
  std::size_t offset = 0;     ///< of the Attribute
  std::vector<Bytes> values;  ///< whole TLVs, in DER
};

struct CmsAttributes {
  std::size_t offset = 0;
  ByteView original;  ///< the whole TLV as it stands, tag [0] or [1]
  std::vector<CmsAttribute> list;
  /// Tag SET, DER: what the signature is computed over (RFC 5652 §5.4).
  Bytes der;
  /// True if `original` already was DER but for its tag.
  bool was_der = true;

  /// The attributes of this type: none, one, or a fault.
  std::vector<const CmsAttribute*> find(std::string_view dotted_oid) const;
};

struct CmsSigner {
  std::size_t offset = 0;
  /// version to signature as they stand: what an archive time-stamp covers (EN 319 122-1 §5.5.3).
  ByteView fields;
  unsigned version = 0;
  Bytes issuer;          ///< Name, DER; empty if the signer is named by key identifier
  Bytes serial;          ///< INTEGER content octets
  Bytes subject_key_id;  ///< empty if the signer is named by issuer and serial
  FoundAlgorithm digest_algorithm;
  std::optional<CmsAttributes> signed_attributes;
  FoundAlgorithm signature_algorithm;
  Bytes signature;
  std::size_t signature_offset = 0;  ///< of the OCTET STRING
  std::optional<CmsAttributes> unsigned_attributes;
};

struct CmsCertificate {
  std::size_t offset = 0;
  ByteView whole;     ///< the TLV as it stands
  bool x509 = false;  ///< a plain Certificate, not one of the other choices
};

/// An entry of crls: a CRL, or other revocation data.
struct CmsRevocation {
  std::size_t offset = 0;
  ByteView whole;  ///< the TLV as it stands: a CertificateList, or [1] OtherRevocationInfoFormat
};

/// What is left of a content that stands inside the signature and was read past, not kept.
struct PassedContent {
  ContentDigests digests;
  /// Its first octets, at most one more than CmsLimits::attributes_octets.
  Bytes head;
};

struct SignedData {
  unsigned version = 0;
  std::vector<FoundAlgorithm> digest_algorithms;
  std::string content_type;        ///< dotted
  std::size_t content_offset = 0;  ///< of encapContentInfo
  bool has_content = false;
  std::vector<ByteView> content;        ///< the pieces of the encapsulated content, in order
  std::optional<PassedContent> passed;  ///< instead of `content`, where the file was streamed (SignedDataStream)
  std::vector<CmsCertificate> certificates;
  std::vector<CmsRevocation> revocation;
  std::vector<CmsSigner> signers;
  bool was_der = true;  ///< no BER liberty was taken outside the attributes and certificates

  /// The whole file, DER or BER, no PEM; nothing may follow. Errors name the offset at fault.
  static Result<SignedData> parse(ByteView file, const CmsLimits& limits = {});

  /// For whoever reads the content itself: what stands in SignedData before encapContentInfo, and after it. `values`
  /// are whole values that begin at `offset` of the file and must outlive this.
  Status parse_before_content(ByteView values, std::size_t offset, const CmsLimits& limits = {});
  Status parse_after_content(ByteView values, std::size_t offset, const CmsLimits& limits = {});
};

/// A SignerInfo alone, as a counter-signature has it (RFC 5652 §11.4). `der` must outlive it.
Result<CmsSigner> parse_signer_info(ByteView der, const CmsLimits& limits = {});

}  // namespace karta::crypto
