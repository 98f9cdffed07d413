#include "crypto/cms/signed_data.h"

#include <algorithm>

#include "base/der.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/ber.h"

namespace karta::crypto {
namespace {

tl::unexpected<Error> bad(std::size_t offset, const std::string& what, ErrorKind kind = ErrorKind::malformed) {
  return fail(kind, what + " at offset " + std::to_string(offset));
}

/// What is passed down while one file is read.
struct Context {
  const CmsLimits& limits;
  bool was_der = true;

  /// Every value of the file's own structure passes here.
  const BerValue& see(const BerValue& value) {
    was_der = was_der && !value.liberal;
    return value;
  }
};

Result<std::string> oid_of(const BerValue& value) {
  if (value.tag != der::kOid) return bad(value.offset, "OBJECT IDENTIFIER expected");
  const Bytes der_form = make_tlv(der::kOid, value.content);
  const auto content = der::Reader(der_form).oid();
  if (!content) return bad(value.offset, content.error().message);
  return der::oid_to_text(*content);
}

// CMSVersion ::= INTEGER { v0(0), v1(1), v2(2), v3(3), v4(4), v5(5) }
Result<unsigned> version_of(const BerValue& value) {
  if (value.content.size() != 1 || value.content[0] > 5) return bad(value.offset, "no version of CMS");
  return value.content[0];
}

Result<BerReader> enter(Context& context, BerReader& reader, Tag tag) {
  const BerValue value = TRY(reader.expect(tag));
  return reader.into(context.see(value));
}

// AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY DEFINED BY algorithm OPTIONAL }
Result<FoundAlgorithm> read_algorithm(Context& context, BerReader& reader) {
  const BerValue whole = TRY(reader.expect(der::kSequence));
  BerReader inner = TRY(reader.into(context.see(whole)));
  FoundAlgorithm out;
  out.offset = whole.offset;
  const BerValue oid = TRY(inner.next());
  out.oid = TRY(oid_of(context.see(oid)));
  if (!inner.done()) {
    const BerValue parameters = TRY(inner.next());
    out.parameters = TRY(ber_to_der(context.see(parameters), context.limits.depth));
  }
  TRY(inner.finish());
  return out;
}

// Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue }
Result<CmsAttribute> read_attribute(Context& context, BerReader& reader) {
  const BerValue whole = TRY(reader.expect(der::kSequence));
  BerReader inner = TRY(reader.into(whole));
  CmsAttribute out;
  out.offset = whole.offset;
  const BerValue oid = TRY(inner.next());
  out.oid = TRY(oid_of(oid));
  BerReader values = TRY(inner.enter(der::kSet));
  while (!values.done()) {
    if (out.values.size() == context.limits.attributes) {
      return bad(values.offset(), "an attribute with too many values", ErrorKind::limit);
    }
    const BerValue value = TRY(values.next());
    out.values.push_back(TRY(ber_to_der(value, context.limits.depth)));
  }
  TRY(inner.finish());
  return out;
}

// SignedAttributes ::= SET SIZE (1..MAX) OF Attribute
// UnsignedAttributes ::= SET SIZE (1..MAX) OF Attribute
Result<CmsAttributes> read_attributes(Context& context, const BerReader& parent, const BerValue& whole) {
  if (whole.whole.size() > context.limits.attributes_octets) {
    return bad(whole.offset, "attributes of " + std::to_string(whole.whole.size()) + " octets", ErrorKind::limit);
  }
  CmsAttributes out;
  out.offset = whole.offset;
  out.original = whole.whole;
  BerReader reader = TRY(parent.into(whole));
  while (!reader.done()) {
    if (out.list.size() == context.limits.attributes) {
      return bad(reader.offset(), "too many attributes", ErrorKind::limit);
    }
    out.list.push_back(TRY(read_attribute(context, reader)));
  }
  if (out.list.empty()) return bad(whole.offset, "an empty set of attributes");
  out.der = TRY(ber_to_der(whole, context.limits.depth, der::kSet));
  out.was_der = equal(ByteView(out.der).subspan(1), whole.whole.subspan(1));
  return out;
}

Result<Bytes> octets_of(Context& context, const BerValue& value) {
  std::vector<ByteView> pieces;
  TRY(collect_octets(value, context.limits.depth, context.limits.attributes, pieces));
  context.was_der = context.was_der && !value.constructed();
  Bytes out;
  for (const ByteView piece : pieces) append(out, piece);
  return out;
}

// SignerIdentifier ::= CHOICE { issuerAndSerialNumber SEQUENCE { issuer Name, serialNumber INTEGER },
//                               subjectKeyIdentifier [0] OCTET STRING }
Status read_signer_identifier(Context& context, BerReader& reader, CmsSigner& out) {
  if (const auto key_id = TRY(reader.next_if(der::context_primitive(0)))) {
    out.subject_key_id = to_bytes(context.see(*key_id).content);
    if (out.subject_key_id.empty()) return bad(key_id->offset, "an empty key identifier");
    return {};
  }
  BerReader inner = TRY(enter(context, reader, der::kSequence));
  const BerValue issuer = TRY(inner.expect(der::kSequence));
  out.issuer = TRY(ber_to_der(context.see(issuer), context.limits.depth));
  const BerValue serial = TRY(inner.expect(der::kInteger));
  out.serial = to_bytes(context.see(serial).content);
  if (out.serial.empty()) return bad(serial.offset, "an empty serial number");
  return inner.finish();
}

// SignerInfo ::= SEQUENCE {
//     version CMSVersion, sid SignerIdentifier, digestAlgorithm DigestAlgorithmIdentifier,
//     signedAttrs [0] IMPLICIT SignedAttributes OPTIONAL, signatureAlgorithm SignatureAlgorithmIdentifier,
//     signature OCTET STRING, unsignedAttrs [1] IMPLICIT UnsignedAttributes OPTIONAL }
Result<CmsSigner> read_signer(Context& context, BerReader& reader) {
  const BerValue whole = TRY(reader.expect(der::kSequence));
  BerReader inner = TRY(reader.into(context.see(whole)));
  CmsSigner out;
  out.offset = whole.offset;
  const BerValue version = TRY(inner.expect(der::kInteger));
  out.version = TRY(version_of(context.see(version)));
  TRY(read_signer_identifier(context, inner, out));
  // RFC 5652 §5.3: version 1 names the signer by issuer and serial number, version 3 by key identifier.
  if (out.version != (out.subject_key_id.empty() ? 1u : 3u)) {
    return bad(version.offset, "the signer's version does not fit how it is named");
  }
  out.digest_algorithm = TRY(read_algorithm(context, inner));
  if (const auto attributes = TRY(inner.next_if(der::context(0)))) {
    out.signed_attributes = TRY(read_attributes(context, inner, *attributes));
  }
  out.signature_algorithm = TRY(read_algorithm(context, inner));
  const BerValue signature = TRY(inner.next());
  out.signature_offset = signature.offset;
  out.signature = TRY(octets_of(context, context.see(signature)));
  out.fields = whole.content.first(signature.offset + signature.whole.size() - whole.content_offset);
  if (const auto attributes = TRY(inner.next_if(der::context(1)))) {
    out.unsigned_attributes = TRY(read_attributes(context, inner, *attributes));
  }
  TRY(inner.finish());
  return out;
}

// EncapsulatedContentInfo ::= SEQUENCE { eContentType OBJECT IDENTIFIER, eContent [0] EXPLICIT OCTET STRING OPTIONAL }
Status read_content(Context& context, BerReader& reader, SignedData& out) {
  const BerValue whole = TRY(reader.expect(der::kSequence));
  out.content_offset = whole.offset;
  BerReader inner = TRY(reader.into(context.see(whole)));
  const BerValue type = TRY(inner.next());
  out.content_type = TRY(oid_of(context.see(type)));
  if (const auto explicit_tag = TRY(inner.next_if(der::context(0)))) {
    BerReader wrapped = TRY(inner.into(context.see(*explicit_tag)));
    const BerValue octets = TRY(wrapped.next());
    context.see(octets);
    context.was_der = context.was_der && !octets.constructed();
    TRY(collect_octets(octets, context.limits.depth, context.limits.content_pieces, out.content));
    TRY(wrapped.finish());
    out.has_content = true;
  }
  return inner.finish();
}

// SignedData ::= SEQUENCE {
//     version CMSVersion, digestAlgorithms SET OF DigestAlgorithmIdentifier, encapContentInfo,
//     certificates [0] IMPLICIT CertificateSet OPTIONAL, crls [1] IMPLICIT RevocationInfoChoices OPTIONAL,
//     signerInfos SET OF SignerInfo }
Status read_before_content(Context& context, BerReader& reader, SignedData& out) {
  const BerValue version = TRY(reader.expect(der::kInteger));
  out.version = TRY(version_of(context.see(version)));
  BerReader digests = TRY(enter(context, reader, der::kSet));
  while (!digests.done()) {
    if (out.digest_algorithms.size() == context.limits.digest_algorithms) {
      return bad(digests.offset(), "too many digest algorithms", ErrorKind::limit);
    }
    out.digest_algorithms.push_back(TRY(read_algorithm(context, digests)));
  }
  return {};
}

Status read_after_content(Context& context, BerReader& reader, SignedData& out) {
  if (const auto set = TRY(reader.next_if(der::context(0)))) {
    BerReader certificates = TRY(reader.into(context.see(*set)));
    while (!certificates.done()) {
      if (out.certificates.size() == context.limits.certificates) {
        return bad(certificates.offset(), "too many certificates", ErrorKind::limit);
      }
      const BerValue one = TRY(certificates.next());
      out.certificates.push_back({.offset = one.offset, .whole = one.whole, .x509 = one.tag == der::kSequence});
    }
  }
  if (const auto set = TRY(reader.next_if(der::context(1)))) {
    BerReader entries = TRY(reader.into(context.see(*set)));
    while (!entries.done()) {
      if (out.revocation.size() == context.limits.certificates) {
        return bad(entries.offset(), "too many revocation entries", ErrorKind::limit);
      }
      const BerValue one = TRY(entries.next());
      out.revocation.push_back({.offset = one.offset, .whole = one.whole});
    }
  }
  BerReader signers = TRY(enter(context, reader, der::kSet));
  while (!signers.done()) {
    if (out.signers.size() == context.limits.signers) {
      return bad(signers.offset(), "too many signers", ErrorKind::limit);
    }
    out.signers.push_back(TRY(read_signer(context, signers)));
  }
  return reader.finish();
}

Status read_signed_data(Context& context, BerReader& reader, SignedData& out) {
  TRY(read_before_content(context, reader, out));
  TRY(read_content(context, reader, out));
  return read_after_content(context, reader, out);
}

}  // namespace

std::vector<const CmsAttribute*> CmsAttributes::find(std::string_view dotted_oid) const {
  std::vector<const CmsAttribute*> out;
  for (const CmsAttribute& attribute : list) {
    if (attribute.oid == dotted_oid) out.push_back(&attribute);
  }
  return out;
}

Result<CmsSigner> parse_signer_info(ByteView der, const CmsLimits& limits) {
  Context context{.limits = limits};
  BerReader reader(der, 0, limits.depth);
  CmsSigner out = TRY(read_signer(context, reader));
  TRY(reader.finish());
  return out;
}

// ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, content [0] EXPLICIT ANY DEFINED BY contentType }
Result<SignedData> SignedData::parse(ByteView file, const CmsLimits& limits) {
  Context context{.limits = limits};
  BerReader outer(file, 0, limits.depth);
  BerReader info = TRY(enter(context, outer, der::kSequence));
  TRY(outer.finish());
  const BerValue type = TRY(info.next());
  const std::string type_oid = TRY(oid_of(context.see(type)));
  if (type_oid != cms::kSignedDataOid) {
    return bad(type.offset, "this is CMS, but no signature (content type " + type_oid + ")", ErrorKind::unsupported);
  }
  BerReader wrapped = TRY(enter(context, info, der::context(0)));
  TRY(info.finish());
  BerReader body = TRY(enter(context, wrapped, der::kSequence));
  TRY(wrapped.finish());
  SignedData out;
  TRY(read_signed_data(context, body, out));
  out.was_der = context.was_der;
  return out;
}

Status SignedData::parse_before_content(ByteView values, std::size_t offset, const CmsLimits& limits) {
  Context context{.limits = limits, .was_der = was_der};
  BerReader reader(values, offset, limits.depth);
  TRY(read_before_content(context, reader, *this));
  was_der = context.was_der;
  return reader.finish();
}

Status SignedData::parse_after_content(ByteView values, std::size_t offset, const CmsLimits& limits) {
  Context context{.limits = limits, .was_der = was_der};
  BerReader reader(values, offset, limits.depth);
  const Status read = read_after_content(context, reader, *this);
  was_der = context.was_der;
  return read;
}

}  // namespace karta::crypto
