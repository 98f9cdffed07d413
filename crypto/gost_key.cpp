#include "crypto/gost_key.h"

#include <openssl/bn.h>

#include <algorithm>

#include "crypto/kdf.h"
#include "crypto/openssl_handles.h"

namespace karta::crypto {
namespace {

using BnCtxPtr = std::unique_ptr<BN_CTX, OpensslFree<BN_CTX_free>>;

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::malformed, std::string("GOST key: ") + what); }

void reverse(MutableByteView octets) { std::reverse(octets.begin(), octets.end()); }

// Each half of a point turned round: from ASN.1's order to that of numbers, and back.
Bytes turned_halves(ByteView point) {
  Bytes out = to_bytes(point);
  reverse(MutableByteView(out).first(point.size() / 2));
  reverse(MutableByteView(out).subspan(point.size() / 2));
  return out;
}

// K = K_M * M_1 * ... * M_n mod q: what a container masked with M_i (R 1323565.1.023-2018) holds, one number after
// another, little-endian.
Result<SecretBytes> unmask(const GostGroup& group, ByteView numbers) {
  const std::size_t octets = group.octets();
  const Bytes order = group.order();
  const BnCtxPtr context(BN_CTX_secure_new());
  const BignumPtr q(BN_bin2bn(order.data(), static_cast<int>(order.size()), nullptr)), product(BN_secure_new());
  if (context == nullptr || q == nullptr || product == nullptr || BN_one(product.get()) != 1) {
    return openssl_failed("GOST key");
  }
  for (; !numbers.empty(); numbers = numbers.subspan(octets)) {
    const BignumPtr factor(BN_lebin2bn(numbers.data(), static_cast<int>(octets), nullptr));
    if (factor == nullptr || BN_mod_mul(product.get(), product.get(), factor.get(), q.get(), context.get()) != 1) {
      return openssl_failed("GOST key");
    }
  }
  SecretBytes out(octets);
  if (BN_bn2binpad(product.get(), out.expose_secret_mutable().data(), static_cast<int>(octets)) < 0) {
    return openssl_failed("GOST key");
  }
  return out;
}

// Keeps as many bits as q has; false unless 0 < candidate < q then. With a uniform candidate, rejecting those keeps it
// so, and fewer than two rounds are needed on average.
bool cut_to_order(const GostGroup& group, SecretBytes& candidate) {
  const std::uint8_t top = group.order()[0];
  std::uint8_t mask = 0xFF;
  while (top <= mask >> 1) mask >>= 1;
  candidate.expose_secret_mutable()[0] &= mask;
  return group.is_scalar(candidate);
}

}  // namespace

const GostGroup& gost_group(KeyType type) {
  for (const GostParameterSetRow& row : kGostParameterSets) {
    if (row.type == type) return GostGroup::of(row.curve);
  }
  check_failed("a GOST key type", __FILE__, __LINE__);
}

bool is_gost_key(std::string_view algorithm_oid) {
  return algorithm_oid == kGost256KeyOid || algorithm_oid == kGost512KeyOid;
}

// GostR3410-2012-PublicKeyParameters ::= SEQUENCE {
//     publicKeyParamSet OBJECT IDENTIFIER, digestParamSet OBJECT IDENTIFIER OPTIONAL }
Result<const GostParameterSetRow*> read_gost_parameters(const AlgorithmIdentifier& algorithm) {
  der::Reader outer(algorithm.parameters);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  const std::string oid = der::oid_to_text(TRY(reader.oid()));
  const auto* const found = std::find_if(kGostParameterSets.begin(), kGostParameterSets.end(),
                                         [&](const GostParameterSetRow& row) { return row.oid == oid; });
  if (found == kGostParameterSets.end()) {
    return fail(ErrorKind::unsupported, "GOST parameter set " + oid + " is not known here");
  }
  const unsigned bits = row_of(found->type).key_bits;
  if (algorithm.oid != (bits == 256 ? kGost256KeyOid : kGost512KeyOid)) {
    return bad("the parameter set is one of another key length");
  }
  if (!reader.done()) {
    const std::string digest = der::oid_to_text(TRY(reader.oid()));
    if (digest != row_of(bits == 256 ? Hash::streebog256 : Hash::streebog512).oid) {
      return bad("digestParamSet is not the hash of this key length");
    }
  }
  TRY(reader.finish());
  return &*found;
}

// GostR3410-2012-256-PublicKey ::= OCTET STRING (SIZE (64)), and twice as long for 512 bits
Result<Bytes> read_gost_point(const GostParameterSetRow& set, ByteView key) {
  der::Reader reader(key);
  const ByteView octets = TRY(reader.octet_string());
  TRY(reader.finish());
  Bytes point = turned_halves(octets);
  TRY(GostGroup::of(set.curve).check_point(point));
  return point;
}

Bytes encode_gost_spki(ByteView algorithm, ByteView point) {
  return der::sequence({algorithm, der::bit_string(der::octet_string(turned_halves(point)))});
}

Bytes encode_gost_key_algorithm(KeyType type) {
  const KeyTypeRow& row = row_of(type);
  return der::sequence(
      {der::oid(row.key_bits == 256 ? kGost256KeyOid : kGost512KeyOid), der::sequence({der::oid(row.oid)})});
}

Result<SecretBytes> read_gost_scalar(const GostParameterSetRow& set, ByteView private_key) {
  constexpr std::size_t kMostMasks = 4;  // containers in the field have one
  const GostGroup& group = GostGroup::of(set.curve);
  const std::size_t octets = group.octets();
  SecretBytes scalar;
  if (!private_key.empty() && private_key.size() % octets == 0) {
    if (private_key.size() / octets > 1 + kMostMasks) return fail(ErrorKind::limit, "GOST key: too many masks");
    scalar = TRY(unmask(group, private_key));
  } else {
    der::Reader reader(private_key);
    if (const auto wrapped = TRY(reader.next_if(der::kOctetString))) {
      TRY(reader.finish());
      if (wrapped->value.size() != octets) return bad("a private number of wrong length");
      scalar = SecretBytes::copy_of(wrapped->value);
      reverse(scalar.expose_secret_mutable());
    } else {
      const ByteView number = TRY(reader.unsigned_integer());
      TRY(reader.finish());
      if (number.size() > octets) return bad("a private number of wrong length");
      scalar = SecretBytes(octets);
      std::copy(number.begin(), number.end(), scalar.expose_secret_mutable().last(number.size()).begin());
    }
  }
  if (!group.is_scalar(scalar)) return bad("a private number out of range");
  return scalar;
}

SecretBytes encode_gost_private_key(ByteView algorithm, const SecretBytes& scalar) {
  SecretBytes turned = scalar.clone();
  reverse(turned.expose_secret_mutable());
  const SecretBytes key(der::octet_string(turned.expose_secret()));
  return SecretBytes(der::sequence({der::integer(0), algorithm, key.expose_secret()}));
}

SecretBytes generate_gost_scalar(const GostGroup& group, RandomSource& random) {
  for (;;) {
    SecretBytes candidate = random.secret(group.octets());
    if (cut_to_order(group, candidate)) return candidate;
  }
}

Bytes gost_sign(const GostGroup& group, const SecretBytes& scalar, ByteView digest, ByteView fresh) {
  const Bytes number = group.digest_number(digest);
  for (std::uint8_t i = 0;; ++i) {
    const Bytes round = {i};
    const SecretBytes whole = hmac(Hash::streebog512, scalar.expose_secret(), {number, round, fresh});
    SecretBytes nonce = SecretBytes::copy_of(whole.expose_secret().first(group.octets()));
    if (!cut_to_order(group, nonce)) continue;
    if (auto signature = group.sign(scalar, nonce, digest)) return *signature;
  }
}

}  // namespace karta::crypto
