#include "crypto/algorithm_identifier.h"

namespace karta::crypto {
namespace {

constexpr std::string_view kMgf1Oid = "1.2.840.113549.1.1.8";

bool is_null(ByteView parameters) { return parameters.size() == 2 && parameters[0] == 0x05 && parameters[1] == 0x00; }

// RFC 4055 §3.1:
//   RSASSA-PSS-params ::= SEQUENCE {
//       hashAlgorithm      [0] HashAlgorithm DEFAULT sha1Identifier,
//       maskGenAlgorithm   [1] MaskGenAlgorithm DEFAULT mgf1SHA1Identifier,
//       saltLength         [2] INTEGER DEFAULT 20,
//       trailerField       [3] INTEGER DEFAULT 1 }
Result<SignatureAlgorithm> pss_of(ByteView parameters) {
  if (parameters.empty()) return fail(ErrorKind::malformed, "RSA-PSS without its parameters");
  der::Reader outer(parameters);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());

  Hash hash = Hash::sha1;
  if (auto explicit_hash = TRY(reader.enter_if(der::context(0)))) {
    const auto algorithm = TRY(read_algorithm_identifier(*explicit_hash));
    TRY(explicit_hash->finish());
    hash = TRY(hash_of(algorithm.oid, algorithm.parameters));
  }
  Hash mask_hash = Hash::sha1;
  if (auto explicit_mask = TRY(reader.enter_if(der::context(1)))) {
    const auto mask = TRY(read_algorithm_identifier(*explicit_mask));
    TRY(explicit_mask->finish());
    if (mask.oid != kMgf1Oid) return fail(ErrorKind::unsupported, "RSA-PSS with a mask generator other than MGF1");
    der::Reader inner(mask.parameters);
    const auto algorithm = TRY(read_algorithm_identifier(inner));
    TRY(inner.finish());
    mask_hash = TRY(hash_of(algorithm.oid, algorithm.parameters));
  }
  std::uint64_t salt = 20;
  if (auto explicit_salt = TRY(reader.enter_if(der::context(2)))) {
    salt = TRY(explicit_salt->small_integer());
    TRY(explicit_salt->finish());
  }
  if (auto trailer = TRY(reader.enter_if(der::context(3)))) {
    if (TRY(trailer->small_integer()) != 1) return fail(ErrorKind::malformed, "RSA-PSS with an unknown trailer field");
    TRY(trailer->finish());
  }
  TRY(reader.finish());
  if (mask_hash != hash) return fail(ErrorKind::unsupported, "RSA-PSS with two different hashes");
  if (salt > 512) return fail(ErrorKind::limit, "RSA-PSS salt is too long");
  const auto id = find_algorithm(KeyFamily::rsa, hash, Padding::pss);
  if (!id) return fail(ErrorKind::unsupported, "RSA-PSS with " + std::string(row_of(hash).name));
  return SignatureAlgorithm{*id, static_cast<unsigned>(salt)};
}

}  // namespace

// AlgorithmIdentifier ::= SEQUENCE { algorithm OBJECT IDENTIFIER, parameters ANY DEFINED BY algorithm OPTIONAL }
Result<AlgorithmIdentifier> read_algorithm_identifier(der::Reader& reader) {
  der::Reader inner = TRY(reader.enter(der::kSequence));
  AlgorithmIdentifier out{.oid = der::oid_to_text(TRY(inner.oid())), .parameters = {}};
  if (!inner.done()) out.parameters = TRY(inner.any()).whole;
  TRY(inner.finish());
  return out;
}

Result<SignatureAlgorithm> signature_algorithm_of(std::string_view oid, ByteView parameters) {
  for (const AlgorithmRow& row : kAlgorithms) {
    if (row.oid != oid) continue;
    if (row.padding == Padding::pss) return pss_of(parameters);
    // PKCS #1: NULL, and absent must be accepted too (RFC 4055 §5). ECDSA and Ed25519: absent. GOST: absent, and
    // programs that write NULL are many.
    const bool null_fits = row.padding == Padding::pkcs1 || row.family == KeyFamily::gost;
    const bool fits = parameters.empty() || (null_fits && is_null(parameters));
    if (!fits) return fail(ErrorKind::malformed, "parameters that " + std::string(row.name) + " has not");
    return SignatureAlgorithm{row.id, std::nullopt};
  }
  return fail(ErrorKind::unsupported, "signature algorithm " + std::string(oid) + " is not known here");
}

Result<CmsSignatureAlgorithm> cms_signature_algorithm_of(std::string_view oid, ByteView parameters, Hash digest) {
  std::optional<AlgorithmId> by_key;
  if (oid == kRsaKeyOid) {
    by_key = find_algorithm(KeyFamily::rsa, digest, Padding::pkcs1);
  } else if (oid == kGost256KeyOid && digest == Hash::streebog256) {
    by_key = AlgorithmId::gost_256;
  } else if (oid == kGost512KeyOid && digest == Hash::streebog512) {
    by_key = AlgorithmId::gost_512;
  } else if (oid != kGost256KeyOid && oid != kGost512KeyOid) {
    const SignatureAlgorithm named = TRY(signature_algorithm_of(oid, parameters));
    return CmsSignatureAlgorithm{named, true};
  }
  if (!by_key) {
    return fail(ErrorKind::unsupported, "key algorithm " + std::string(oid) + " with " +
                                            std::string(row_of(digest).name) + " is not known here");
  }
  if (!parameters.empty() && !is_null(parameters)) {
    return fail(ErrorKind::malformed, "parameters that key algorithm " + std::string(oid) + " has not here");
  }
  return CmsSignatureAlgorithm{{*by_key, std::nullopt}, false};
}

Result<Hash> hash_of(std::string_view oid, ByteView parameters) {
  for (const HashRow& row : kHashes) {
    if (row.oid != oid) continue;
    if (!parameters.empty() && !is_null(parameters)) {
      return fail(ErrorKind::malformed, "parameters that " + std::string(row.name) + " has not");
    }
    return row.id;
  }
  return fail(ErrorKind::unsupported, "digest algorithm " + std::string(oid) + " is not known here");
}

Bytes encode_digest_algorithm(Hash hash) { return der::sequence({der::oid(row_of(hash).oid)}); }

Bytes encode_signature_algorithm(AlgorithmId id) {
  const AlgorithmRow& row = row_of(id);
  const Bytes oid = der::oid(row.oid);
  switch (row.padding) {
    case Padding::none:
      return der::sequence({oid});
    case Padding::pkcs1:
      return der::sequence({oid, der::null()});
    case Padding::pss:
      break;
  }
  // RFC 4055 §2.1: inside PSS the hash carries NULL.
  const Bytes hash = der::sequence({der::oid(row_of(row.hash).oid), der::null()});
  const Bytes mask = der::sequence({der::oid(kMgf1Oid), hash});
  return der::sequence({oid, der::sequence({make_tlv(der::context(0), hash), make_tlv(der::context(1), mask),
                                            make_tlv(der::context(2), der::integer(row_of(row.hash).octets))})});
}

}  // namespace karta::crypto
