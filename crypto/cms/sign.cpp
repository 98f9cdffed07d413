#include "crypto/cms/sign.h"

#include <algorithm>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/cms/attributes.h"
#include "crypto/digest.h"
#include "crypto/x509/certificate.h"

namespace karta::crypto {
namespace {

// Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue }
Bytes attribute(std::string_view oid, ByteView value) {
  return der::sequence({der::oid(oid), make_tlv(der::kSet, value)});
}

// SigningCertificateV2 ::= SEQUENCE { certs SEQUENCE OF ESSCertIDv2, policies ... OPTIONAL }
// ESSCertIDv2 ::= SEQUENCE { hashAlgorithm AlgorithmIdentifier DEFAULT {id-sha256}, certHash OCTET STRING,
//                            issuerSerial SEQUENCE { issuer GeneralNames, serialNumber INTEGER } OPTIONAL }
Bytes signing_certificate_v2(const Certificate& certificate, Hash hash) {
  const Bytes issuer = der::sequence({encode(GeneralName::directory_name(certificate.issuer().der()))});
  const Bytes issuer_serial = der::sequence({issuer, make_tlv(der::kInteger, certificate.serial())});
  const Bytes algorithm = hash == Hash::sha256 ? Bytes{} : encode_digest_algorithm(hash);
  const Bytes ess = der::sequence({algorithm, der::octet_string(digest(hash, certificate.der())), issuer_serial});
  return der::sequence({der::sequence({ess})});
}

// CMSAlgorithmProtection ::= SEQUENCE { digestAlgorithm AlgorithmIdentifier,
//                                       signatureAlgorithm [1] IMPLICIT AlgorithmIdentifier OPTIONAL, ... }
Bytes algorithm_protection(ByteView digest_algorithm, ByteView signature_algorithm) {
  Bytes implicit = to_bytes(signature_algorithm);
  implicit[0] = static_cast<std::uint8_t>(der::context(1));
  return der::sequence({digest_algorithm, implicit});
}

/// SET OF under an implicit tag.
Bytes implicit_set(std::vector<Bytes> elements, Tag tag) {
  Bytes out = der::set_of(std::move(elements));
  out[0] = static_cast<std::uint8_t>(tag);
  return out;
}

}  // namespace

Result<CmsSigning> CmsSigning::prepare(Signer& signer, CmsSignOptions options) {
  if (signer.certificate_chain().empty()) {
    return fail(ErrorKind::not_found, "the signing key has no certificate", "a signature names its certificate");
  }
  const Certificate certificate = TRY(Certificate::from_der(signer.certificate_chain().front()));
  if (!equal(certificate.spki(), signer.public_key().spki())) {
    return fail(ErrorKind::usage, "the certificate is not that of the signing key");
  }
  const auto& offered = signer.algorithms();
  if (offered.empty()) return fail(ErrorKind::not_permitted, "the key has no algorithm to sign with");
  CmsSigning out(signer, std::move(options));
  out.algorithm_ = out.options_.algorithm.value_or(offered.front());
  if (std::find(offered.begin(), offered.end(), out.algorithm_) == offered.end()) {
    return fail(ErrorKind::usage, "the key does not sign with " + std::string(row_of(out.algorithm_).name));
  }
  out.digest_algorithm_ = encode_digest_algorithm(out.hash());
  out.digest_set_ = make_tlv(der::kSet, out.digest_algorithm_);
  out.signature_algorithm_ = encode_signature_algorithm(out.algorithm_);
  out.signer_id_ = der::sequence({certificate.issuer().der(), make_tlv(der::kInteger, certificate.serial())});
  const std::string& content_type = out.options_.content_type;
  out.basic_content_ = content_type.empty() || content_type == cms::kDataOid;
  const Bytes content_type_content =
      TRY(der::oid_from_text(content_type.empty() ? cms::kDataOid : std::string_view(content_type)));
  out.content_type_oid_ = der::oid(ByteView(content_type_content));
  if (!out.options_.least_attributes) {
    out.fixed_attributes_ = {
        attribute(cms::kSigningCertificateV2Oid, signing_certificate_v2(certificate, out.hash())),
        attribute(cms::kAlgorithmProtectionOid, algorithm_protection(out.digest_algorithm_, out.signature_algorithm_)),
    };
  }
  if (!out.options_.counter_signature) {
    out.fixed_attributes_.push_back(attribute(cms::kContentTypeOid, out.content_type_oid_));
  }
  std::vector<Bytes> bag = {certificate.der()};
  if (out.options_.include_chain) {
    for (std::size_t i = 1; i < signer.certificate_chain().size(); ++i) {
      const Bytes& one = signer.certificate_chain()[i];
      if (std::find(bag.begin(), bag.end(), one) == bag.end()) bag.push_back(one);
    }
  }
  out.certificates_ = implicit_set(std::move(bag), der::context(0));
  return out;
}

Hash CmsSigning::hash() const { return row_of(algorithm_).hash; }

// SignerInfo: RFC 5652 §5.3; the parser with the same words stands in signed_data.cpp.
Result<Bytes> CmsSigning::sign_info(ByteView content_digest, std::optional<Time> signing_time) {
  std::vector<Bytes> list = fixed_attributes_;
  list.push_back(attribute(cms::kMessageDigestOid, der::octet_string(content_digest)));
  if (signing_time) list.push_back(attribute(cms::kSigningTimeOid, der::time(*signing_time)));
  Bytes attributes = der::set_of(std::move(list));
  const Bytes signature = TRY(signer_->sign_message(algorithm_, attributes));
  if (!signer_->in_process() && !signer_->public_key().verify(algorithm_, attributes, signature)) {
    return fail(ErrorKind::internal, "the key returned a signature that its certificate does not verify",
                "the card or device that holds the key is at fault; nothing was written");
  }
  attributes[0] = static_cast<std::uint8_t>(der::context(0));
  return der::sequence(
      {der::integer(1), signer_id_, digest_algorithm_, attributes, signature_algorithm_, der::octet_string(signature)});
}

Result<Bytes> CmsSigning::around(ByteView content_digest, std::optional<Time> signing_time, ByteView explicit_content) {
  const Bytes info = TRY(sign_info(content_digest, signing_time));
  const Bytes signed_data =
      der::sequence({der::integer(basic_content_ ? 1 : 3), digest_set_,
                     der::sequence({content_type_oid_, explicit_content}), certificates_, make_tlv(der::kSet, info)});
  return der::sequence({der::oid(cms::kSignedDataOid), make_tlv(der::context(0), signed_data)});
}

Result<Bytes> CmsSigning::sign(ByteView content_digest, std::optional<Time> signing_time) {
  return around(content_digest, signing_time, {});
}

Result<Bytes> CmsSigning::sign_enveloping(ByteView content, ByteView content_digest, std::optional<Time> signing_time) {
  return around(content_digest, signing_time, make_tlv(der::context(0), der::octet_string(content)));
}

Result<Bytes> sign_cms(Signer& signer, ContentSource& content, const CmsSignOptions& options) {
  CmsSigning signing = TRY(CmsSigning::prepare(signer, options));
  if (options.form == CmsForm::detached) {
    const Bytes content_digest = TRY(digest(signing.hash(), content));
    return signing.sign(content_digest, options.signing_time);
  }
  const Bytes enveloped = TRY(read_all(content, options.most_enveloped_octets));
  return signing.sign_enveloping(enveloped, digest(signing.hash(), enveloped), options.signing_time);
}

}  // namespace karta::crypto
