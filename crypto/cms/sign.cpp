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

}  // namespace

Result<Bytes> sign_cms(Signer& signer, ContentSource& content, const CmsSignOptions& options) {
  if (signer.certificate_chain().empty()) {
    return fail(ErrorKind::not_found, "the signing key has no certificate", "a signature names its certificate");
  }
  const Certificate certificate = TRY(Certificate::from_der(signer.certificate_chain().front()));
  if (!equal(certificate.spki(), signer.public_key().spki())) {
    return fail(ErrorKind::usage, "the certificate is not that of the signing key");
  }
  const auto& offered = signer.algorithms();
  if (offered.empty()) return fail(ErrorKind::not_permitted, "the key has no algorithm to sign with");
  const AlgorithmId algorithm = options.algorithm.value_or(offered.front());
  if (std::find(offered.begin(), offered.end(), algorithm) == offered.end()) {
    return fail(ErrorKind::usage, "the key does not sign with " + std::string(row_of(algorithm).name));
  }
  const Hash hash = row_of(algorithm).hash;

  // One pass over the content.
  Bytes enveloped, content_digest;
  if (options.form == CmsForm::enveloping) {
    enveloped = TRY(read_all(content, options.most_enveloped_octets));
    content_digest = digest(hash, enveloped);
  } else {
    content_digest = TRY(digest(hash, content));
  }

  const Bytes digest_algorithm = encode_digest_algorithm(hash);
  const Bytes signature_algorithm = encode_signature_algorithm(algorithm);
  const std::string& content_type = options.content_type.empty() ? std::string(cms::kDataOid) : options.content_type;
  const Bytes content_type_content = TRY(der::oid_from_text(content_type));
  const Bytes content_type_oid = der::oid(ByteView(content_type_content));
  std::vector<Bytes> list = {
      attribute(cms::kMessageDigestOid, der::octet_string(content_digest)),
      attribute(cms::kSigningCertificateV2Oid, signing_certificate_v2(certificate, hash)),
      attribute(cms::kAlgorithmProtectionOid, algorithm_protection(digest_algorithm, signature_algorithm)),
  };
  if (!options.counter_signature) list.push_back(attribute(cms::kContentTypeOid, content_type_oid));
  if (options.signing_time) list.push_back(attribute(cms::kSigningTimeOid, der::time(*options.signing_time)));
  const Bytes attributes = der::set_of(std::move(list));
  const Bytes signature = TRY(signer.sign_message(algorithm, attributes));
  if (const Status status = signer.public_key().verify(algorithm, attributes, signature); !status) {
    return fail(ErrorKind::internal, "the key returned a signature that its certificate does not verify",
                "the card or device that holds the key is at fault; nothing was written");
  }

  // SignerInfo: RFC 5652 §5.3; the parser with the same words stands in signed_data.cpp.
  Bytes implicit_attributes = attributes;
  implicit_attributes[0] = static_cast<std::uint8_t>(der::context(0));
  const Bytes signer_id = der::sequence({certificate.issuer().der(), make_tlv(der::kInteger, certificate.serial())});
  const Bytes signer_info = der::sequence({der::integer(1), signer_id, digest_algorithm, implicit_attributes,
                                           signature_algorithm, der::octet_string(signature)});

  std::vector<Bytes> bag = {certificate.der()};
  if (options.include_chain) {
    for (std::size_t i = 1; i < signer.certificate_chain().size(); ++i) {
      const Bytes& one = signer.certificate_chain()[i];
      if (std::find(bag.begin(), bag.end(), one) == bag.end()) bag.push_back(one);
    }
  }
  Bytes certificates = der::set_of(std::move(bag));
  certificates[0] = static_cast<std::uint8_t>(der::context(0));

  const Bytes inner =
      options.form == CmsForm::enveloping ? make_tlv(der::context(0), der::octet_string(enveloped)) : Bytes{};
  const Bytes signed_data =
      der::sequence({der::integer(content_type == cms::kDataOid ? 1 : 3), make_tlv(der::kSet, digest_algorithm),
                     der::sequence({content_type_oid, inner}), certificates, make_tlv(der::kSet, signer_info)});
  return der::sequence({der::oid(cms::kSignedDataOid), make_tlv(der::context(0), signed_data)});
}

}  // namespace karta::crypto
