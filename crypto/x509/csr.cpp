#include "crypto/x509/csr.h"

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/pem.h"
#include "crypto/x509/signed_object.h"

namespace karta::crypto {
namespace {

constexpr std::string_view kExtensionRequestOid = "1.2.840.113549.1.9.14";
constexpr std::string_view kSubjectAltNameOid = "2.5.29.17";

// ExtensionRequest ::= Extensions
Status read_extensions(std::vector<GeneralName>& names, ByteView value) {
  der::Reader outer(value);
  der::Reader list = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  while (!list.done()) {
    der::Reader one = TRY(list.enter(der::kSequence));
    const std::string oid = der::oid_to_text(TRY(one.oid()));
    (void)TRY(one.next_if(der::kBoolean));
    const ByteView content = TRY(one.octet_string());
    TRY(one.finish());
    if (oid != kSubjectAltNameOid) continue;
    if (!names.empty()) return fail(ErrorKind::malformed, "subjectAltName is asked for twice");
    der::Reader inner(content);
    const Tlv general_names = TRY(inner.expect(der::kSequence));
    TRY(inner.finish());
    names = TRY(parse_general_names(general_names.value));
  }
  return {};
}

// CertificationRequest ::= SEQUENCE { certificationRequestInfo CertificationRequestInfo,
//                                     signatureAlgorithm AlgorithmIdentifier, signature BIT STRING }
// CertificationRequestInfo ::= SEQUENCE { version INTEGER { v1(0) }, subject Name,
//     subjectPKInfo SubjectPublicKeyInfo, attributes [0] IMPLICIT SET OF Attribute }
Result<CertificationRequest> read_request(ByteView der) {
  const SignedObject parts = TRY(read_signed_object(der, {.whole = "request", .body = "certificationRequestInfo"}));
  der::Reader body(parts.body.value);
  if (TRY(body.small_integer()) != 0) return fail(ErrorKind::unsupported, "a version that is not 1");
  const Tlv subject = TRY(body.expect(der::kSequence));
  const Tlv spki = TRY(body.expect(der::kSequence));
  std::vector<GeneralName> names;
  if (auto attributes = TRY(body.enter_if(der::context(0)))) {
    while (!attributes->done()) {
      der::Reader attribute = TRY(attributes->enter(der::kSequence));
      const std::string oid = der::oid_to_text(TRY(attribute.oid()));
      der::Reader values = TRY(attribute.enter(der::kSet));
      TRY(attribute.finish());
      if (oid != kExtensionRequestOid) continue;
      const Tlv value = TRY(values.any());
      TRY(values.finish());
      TRY(read_extensions(names, value.whole));
    }
  }
  TRY(body.finish());
  const Name name = TRY(Name::from_der(subject.whole));
  const PublicKey key = TRY(PublicKey::from_spki(spki.whole));
  if (!parts.known) return fail(ErrorKind::unsupported, "signature algorithm " + parts.algorithm_oid);
  if (const Status status = key.verify(*parts.known, parts.body.whole, parts.signature, parts.pss_salt_octets);
      !status) {
    return fail(status.error().kind, "its own signature does not verify: who asks does not have the key");
  }
  return CertificationRequest{name, key, std::move(names)};
}

}  // namespace

Result<CertificationRequest> CertificationRequest::from_der(ByteView der) {
  if (der.size() > kMostOctets) return fail(ErrorKind::limit, "certification request is larger than 64 KiB");
  auto out = read_request(der);
  if (out) return out;
  Error error = std::move(out).error();
  error.message = "certification request: " + error.message;
  return fail(std::move(error));
}

Result<CertificationRequest> CertificationRequest::from_file_octets(ByteView pem_or_der) {
  const Bytes der = TRY(der_of_file(pem_or_der, {"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"}));
  return from_der(der);
}

Result<Bytes> sign_certification_request(const Name& subject, const std::vector<GeneralName>& alternative_names,
                                         Signer& signer) {
  const auto& offered = signer.algorithms();
  if (offered.empty()) return fail(ErrorKind::not_permitted, "the key has no algorithm to sign with");
  Bytes attributes;
  if (!alternative_names.empty()) {
    Bytes names;
    for (const GeneralName& name : alternative_names) append(names, encode(name));
    const Bytes extension = der::sequence({der::oid(kSubjectAltNameOid), der::octet_string(der::sequence(names))});
    attributes = der::sequence({der::oid(kExtensionRequestOid), make_tlv(der::kSet, der::sequence(extension))});
  }
  const Bytes info = der::sequence(
      {der::integer(0), subject.der(), signer.public_key().spki(), make_tlv(der::context(0), attributes)});
  const Bytes signature = TRY(signer.sign_message(offered.front(), info));
  return der::sequence({info, encode_signature_algorithm(offered.front()), der::bit_string(signature)});
}

}  // namespace karta::crypto
