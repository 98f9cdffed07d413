#include "crypto/signer.h"

#include "base/der.h"
#include "crypto/digest.h"

namespace karta::crypto {

Result<Bytes> Signer::sign_message(AlgorithmId algorithm, ByteView message) {
  if (row_of(algorithm).family == KeyFamily::ed25519) {
    return fail(ErrorKind::unsupported, "this key signs digests only");
  }
  return sign(algorithm, digest(row_of(algorithm).hash, message));
}

SoftwareSigner::SoftwareSigner(PrivateKey key, std::vector<Bytes> certificate_chain)
    : key_(std::move(key)),
      certificate_chain_(std::move(certificate_chain)),
      algorithms_(algorithms_of(key_.public_key())) {}

Result<Bytes> SoftwareSigner::sign(AlgorithmId algorithm, ByteView digest) {
  return key_.sign_digest(algorithm, digest);
}

Result<Bytes> SoftwareSigner::sign_message(AlgorithmId algorithm, ByteView message) {
  return key_.sign(algorithm, message);
}

std::vector<AlgorithmId> algorithms_of(const PublicKey& key) {
  std::vector<AlgorithmId> out;
  if (key.type() && key.fits(default_algorithm(*key.type()))) out.push_back(default_algorithm(*key.type()));
  for (const AlgorithmRow& row : kAlgorithms) {
    const bool current = row_of(row.hash).sunset_year == 0;
    if (current && key.fits(row.id) && (out.empty() || out.front() != row.id)) out.push_back(row.id);
  }
  return out;
}

// ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }
Result<Bytes> encode_ecdsa_signature(ByteView r_and_s) {
  if (r_and_s.empty() || r_and_s.size() % 2 != 0) return fail(ErrorKind::malformed, "ECDSA signature of odd length");
  const std::size_t half = r_and_s.size() / 2;
  return der::sequence({der::unsigned_integer(r_and_s.first(half)), der::unsigned_integer(r_and_s.subspan(half))});
}

Result<Bytes> decode_ecdsa_signature(ByteView signature, std::size_t coordinate_octets) {
  der::Reader outer(signature);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  Bytes out;
  for (int i = 0; i < 2; ++i) {
    const ByteView number = TRY(reader.unsigned_integer());
    if (number.size() > coordinate_octets) return fail(ErrorKind::malformed, "ECDSA signature does not fit its curve");
    out.resize(out.size() + coordinate_octets - number.size());
    append(out, number);
  }
  TRY(reader.finish());
  return out;
}

}  // namespace karta::crypto
