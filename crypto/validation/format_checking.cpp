// Format checking (EN 319 102-1 §5.2.2).
#include <algorithm>

#include "base/der.h"
#include "crypto/cms/attributes.h"
#include "crypto/validation/building_blocks.h"

namespace karta::crypto {
namespace {

// IssuerSerial ::= SEQUENCE { issuer GeneralNames, serialNumber CertificateSerialNumber }
Status read_issuer_serial(der::Reader& reader, CertificateReference& out) {
  der::Reader inner = TRY(reader.enter(der::kSequence));
  const Tlv names = TRY(inner.expect(der::kSequence));
  const std::vector<GeneralName> parsed = TRY(parse_general_names(names.value));
  for (const GeneralName& name : parsed) {
    if (name.kind == GeneralName::Kind::directory_name) out.issuer = name.value;
  }
  out.serial = to_bytes(TRY(inner.integer()));
  return inner.finish();
}

// SigningCertificateV2 ::= SEQUENCE { certs SEQUENCE OF ESSCertIDv2, policies SEQUENCE OF PolicyInformation OPTIONAL }
// ESSCertIDv2 ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier DEFAULT {id-sha256}, certHash OCTET STRING,
//                            issuerSerial IssuerSerial OPTIONAL }
// SigningCertificate is the same with ESSCertID ::= SEQUENCE { certHash OCTET STRING (SHA-1), issuerSerial OPTIONAL }
Result<CertificateReference> read_reference(ByteView value, bool v2) {
  CertificateReference out;
  der::Reader outer(value);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  der::Reader list = TRY(reader.enter(der::kSequence));
  (void)TRY(reader.next_if(der::kSequence));
  TRY(reader.finish());
  while (!list.done()) {
    CertificateReference one;
    der::Reader ess = TRY(list.enter(der::kSequence));
    one.hash = v2 ? Hash::sha256 : Hash::sha1;
    if (v2) {
      if (const auto algorithm = TRY(ess.next_if(der::kSequence))) {
        der::Reader again(algorithm->whole);
        const auto identifier = TRY(read_algorithm_identifier(again));
        one.hash = TRY(hash_of(identifier.oid, identifier.parameters));
      }
    }
    one.digest = to_bytes(TRY(ess.octet_string()));
    if (!ess.done()) TRY(read_issuer_serial(ess, one));
    TRY(ess.finish());
    // The first names the signer's certificate; others narrow the path (RFC 5035 §3).
    const std::size_t listed = out.listed + 1;
    if (listed == 1) out = std::move(one);
    out.listed = listed;
  }
  if (out.listed == 0) return fail(ErrorKind::malformed, "no certificate is named");
  return out;
}

// RFC 5126 §5.8.1:
// SignaturePolicy ::= CHOICE { signaturePolicyId SignaturePolicyId, signaturePolicyImplied NULL }
// SignaturePolicyId ::= SEQUENCE { sigPolicyId OBJECT IDENTIFIER, sigPolicyHash OtherHashAlgAndValue,
//                                  sigPolicyQualifiers SEQUENCE OF SigPolicyQualifierInfo OPTIONAL }
// OtherHashAlgAndValue ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier, hashValue OCTET STRING }
Result<std::optional<SignaturePolicyReference>> read_signature_policy(ByteView value) {
  der::Reader outer(value);
  if (TRY(outer.next_if(der::kNull))) {
    TRY(outer.finish());
    return std::nullopt;
  }
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  SignaturePolicyReference out;
  out.oid = der::oid_to_text(TRY(reader.oid()));
  if (auto hashed = TRY(reader.enter_if(der::kSequence))) {
    const auto algorithm = TRY(read_algorithm_identifier(*hashed));
    out.hash_oid = algorithm.oid;
    out.digest = to_bytes(TRY(hashed->octet_string()));
    TRY(hashed->finish());
  }
  (void)TRY(reader.next_if(der::kSequence));
  TRY(reader.finish());
  return std::optional(std::move(out));
}

class FormatChecking {
 public:
  explicit FormatChecking(SignatureUnderValidation& signature) : it_(signature), signer_(signature.signer) {}

  void run(const Status& content_status) {
    check_algorithms();
    check_attributes();
    check_content(content_status);
  }

 private:
  void check_algorithms() {
    const FoundAlgorithm& digest_found = signer_.digest_algorithm;
    it_.report.digest = digest_found.oid;
    if (const auto hash = hash_of(digest_found.oid, digest_found.parameters)) {
      it_.hash = *hash;
      it_.report.digest = std::string(row_of(*hash).name);
    } else {
      it_.algorithm_fault(hash.error(), "digestAlgorithm", digest_found.offset);
    }
    const bool announced =
        it_.counter || std::any_of(it_.data.digest_algorithms.begin(), it_.data.digest_algorithms.end(),
                                   [&](const FoundAlgorithm& one) { return one.oid == digest_found.oid; });
    if (!announced) {
      it_.broken_format("digest-not-announced", "digestAlgorithms does not list the signer's " + it_.report.digest,
                        digest_found.offset);
    }

    const FoundAlgorithm& found = signer_.signature_algorithm;
    it_.report.algorithm = found.oid;
    const bool rsa = found.oid == kRsaKeyOid, gost = found.oid == kGost256KeyOid || found.oid == kGost512KeyOid;
    if (rsa || gost) {
      // RFC 3370 §3.2, RFC 4490 §3: the key's own OID; the hash is that of digestAlgorithm.
      const std::string name = rsa ? "rsaEncryption" : "GOST R 34.10-2012";
      if (!found.parameters.empty() && found.parameters != der::null()) {
        it_.broken_format("signature-algorithm", "signatureAlgorithm has parameters " + name + " has not",
                          found.offset);
      }
      if (it_.hash) {
        if (const auto known = cms_signature_algorithm_of(found.oid, {}, *it_.hash)) {
          it_.algorithm = known->algorithm;
        } else {
          it_.algorithm_fault(known.error(), "signatureAlgorithm", found.offset);
        }
      }
      it_.find(Severity::note, "signature-algorithm-generic",
               "signatureAlgorithm says " + name + " and leaves the hash to digestAlgorithm", found.offset);
    } else if (const auto known = signature_algorithm_of(found.oid, found.parameters)) {
      it_.algorithm = *known;
    } else {
      it_.algorithm_fault(known.error(), "signatureAlgorithm", found.offset);
    }
    if (!it_.algorithm) return;
    it_.report.algorithm = std::string(row_of(it_.algorithm->id).name);
    if (it_.hash && row_of(it_.algorithm->id).hash != *it_.hash) {
      it_.broken_format(
          "digest-unlike-signature",
          "digestAlgorithm is " + it_.report.digest + ", but signatureAlgorithm is " + it_.report.algorithm,
          found.offset);
    }
  }

  void check_attributes() {
    if (!signer_.signed_attributes) {
      // RFC 5652 §5.3: signed attributes may be absent only over id-data.
      if (it_.data.content_type != cms::kDataOid) {
        it_.broken_format("content-type", "content of type " + it_.data.content_type + " needs signed attributes",
                          it_.data.content_offset);
      }
      it_.find(Severity::note, "no-signed-attributes", "nothing but the content is signed: no time, no certificate",
               signer_.offset);
      return;
    }
    const CmsAttributes& attributes = *signer_.signed_attributes;
    for (std::size_t i = 0; i < attributes.list.size(); ++i) {
      for (std::size_t j = 0; j < i; ++j) {
        if (attributes.list[i].oid == attributes.list[j].oid) {
          it_.broken_format("duplicate-attribute", "signed attribute " + attributes.list[i].oid + " stands there twice",
                            attributes.list[i].offset, attributes.list[i].oid);
        }
      }
    }
    if (!attributes.was_der) {
      it_.find(Severity::warning, "signed-attributes-not-der",
               "the signed attributes are not in DER; what counts is their DER form", attributes.offset);
    }
    check_content_type(attributes);
    if (const CmsAttribute* const one = single(attributes, cms::kMessageDigestOid, "message-digest", true)) {
      der::Reader reader(one->values.front());
      const auto value = reader.octet_string();
      if (value && reader.finish()) {
        it_.message_digest = to_bytes(*value);
        it_.message_digest_offset = one->offset;
      } else {
        it_.broken_format("message-digest", "the message-digest attribute is no OCTET STRING", one->offset, one->oid);
      }
    }
    if (const CmsAttribute* const one = single(attributes, cms::kSigningTimeOid, "signing-time", false)) {
      der::Reader reader(one->values.front());
      const auto time = reader.time();
      if (time && reader.finish()) {
        it_.report.claimed_signing_time = *time;
        it_.has_signing_time = true;
      } else {
        it_.broken_format("signing-time", "the signing-time attribute is no time", one->offset, one->oid);
      }
    }
    check_algorithm_protection(attributes);
    read_certificate_reference(attributes);
    if (const CmsAttribute* const one = single(attributes, cms::kSignaturePolicyOid, "signature-policy", false)) {
      auto policy = read_signature_policy(one->values.front());
      if (policy) {
        it_.signature_policy = std::move(*policy);
        if (it_.signature_policy) it_.signature_policy->offset = one->offset;
      } else {
        it_.broken_format("signature-policy",
                          "the signature-policy-identifier does not parse: " + policy.error().message, one->offset,
                          one->oid);
      }
    }
  }

  /// The attribute if it is there with exactly one value; says what is wrong otherwise.
  const CmsAttribute* single(const CmsAttributes& attributes, std::string_view oid, const std::string& name,
                             bool required) {
    const auto found = attributes.find(oid);
    if (found.empty()) {
      if (required) {
        it_.broken_format(name, "the signed attribute " + name + " is missing", attributes.offset, std::string(oid));
      }
      return nullptr;
    }
    if (found.front()->values.size() != 1) {
      it_.broken_format(name,
                        "the signed attribute " + name + " has " + std::to_string(found.front()->values.size()) +
                            " values instead of one",
                        found.front()->offset, std::string(oid));
      return nullptr;
    }
    return found.front();
  }

  void check_content_type(const CmsAttributes& attributes) {
    if (it_.counter) {
      // RFC 5652 §11.4: a counter-signature has no content-type.
      if (!attributes.find(cms::kContentTypeOid).empty()) {
        it_.broken_format("content-type", "a counter-signature has a content-type", attributes.offset,
                          std::string(cms::kContentTypeOid));
      }
      return;
    }
    const CmsAttribute* const one = single(attributes, cms::kContentTypeOid, "content-type", true);
    if (one == nullptr) return;
    der::Reader reader(one->values.front());
    const auto type = reader.oid();
    if (!type || !reader.finish() || der::oid_to_text(*type) != it_.data.content_type) {
      it_.broken_format("content-type",
                        "the signed content-type is not that of the content (" + it_.data.content_type + ")",
                        one->offset, one->oid);
    }
  }

  // CMSAlgorithmProtection ::= SEQUENCE { digestAlgorithm AlgorithmIdentifier,
  //     signatureAlgorithm [1] IMPLICIT AlgorithmIdentifier OPTIONAL, macAlgorithm [2] OPTIONAL }
  void check_algorithm_protection(const CmsAttributes& attributes) {
    const CmsAttribute* const one = single(attributes, cms::kAlgorithmProtectionOid, "algorithm-protection", false);
    if (one == nullptr) return;
    const auto agrees = [&]() -> Result<bool> {
      der::Reader outer(one->values.front());
      der::Reader reader = TRY(outer.enter(der::kSequence));
      TRY(outer.finish());
      const auto digest_signed = TRY(read_algorithm_identifier(reader));
      const Tlv signature_signed = TRY(reader.expect(der::context(1)));
      TRY(reader.finish());
      const FoundAlgorithm& found = signer_.signature_algorithm;
      return digest_signed.oid == signer_.digest_algorithm.oid &&
             equal(signature_signed.value, concat({der::oid(std::string_view(found.oid)), found.parameters}));
    };
    const auto result = agrees();
    if (!result || !*result) {
      it_.broken_format("algorithm-protection", "the algorithms are not those named in the signed attributes",
                        one->offset, one->oid);
    }
  }

  void read_certificate_reference(const CmsAttributes& attributes) {
    const CmsAttribute* one = single(attributes, cms::kSigningCertificateV2Oid, "signing-certificate-v2", false);
    const bool v2 = one != nullptr;
    if (!v2) one = single(attributes, cms::kSigningCertificateOid, "signing-certificate", false);
    if (one == nullptr) return;
    auto reference = read_reference(one->values.front(), v2);
    if (!reference) {
      if (reference.error().kind == ErrorKind::unsupported) {
        it_.algorithm_fault(reference.error(), "signing-certificate", one->offset);
      } else {
        it_.broken_format("signing-certificate",
                          "the signing-certificate attribute does not parse: " + reference.error().message, one->offset,
                          one->oid);
      }
      return;
    }
    it_.reference = std::move(*reference);
    it_.reference->offset = one->offset;
    if (row_of(it_.reference->hash).sunset_year != 0) {
      it_.find(Severity::warning, "signing-certificate-weak-hash",
               "the signer's certificate is named by its " + std::string(row_of(it_.reference->hash).name), one->offset,
               one->oid);
    }
    if (it_.reference->listed > 1) {
      it_.find(Severity::note, "signing-certificate-path",
               "the signer names certificates of the path too; not compared", one->offset, one->oid);
    }
  }

  void check_content(const Status& content_status) {
    if (it_.content.twice()) {
      it_.broken_format("content-twice", "the content is inside the signature, and a content beside it was given",
                        it_.data.content_offset);
    } else if (it_.content.missing()) {
      it_.enter(BuildingBlock::cryptographic_verification);
      it_.fault(SubIndication::signed_data_not_found, "content-missing",
                "the signature is detached, and its content was not given", it_.data.content_offset);
    } else if (!content_status) {
      it_.enter(BuildingBlock::cryptographic_verification);
      it_.fault(SubIndication::signed_data_not_found, "content-unreadable", content_status.error().message);
    } else if (!signer_.signed_attributes && it_.content.is_signed_attributes()) {
      // The value over somebody's attributes is, taken plainly, also a value over a content of these very octets, which
      // nobody meant to sign (RFC 5652 §5.4 signs both without a mark).
      it_.broken_format("content-is-attributes",
                        "the content is a set of signed attributes: a signature made over them is passed off as one "
                        "over a document",
                        it_.data.content_offset);
    }
  }

  SignatureUnderValidation& it_;
  const CmsSigner& signer_;
};

}  // namespace

void check_format(SignatureUnderValidation& signature, const Status& content_status) {
  signature.enter(BuildingBlock::format_checking);
  FormatChecking(signature).run(content_status);
}

}  // namespace karta::crypto
