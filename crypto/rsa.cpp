#include "crypto/rsa.h"

#include <openssl/bn.h>

#include <memory>

#include "crypto/digest.h"

namespace karta::crypto {
namespace {

struct FreeBn {
  void operator()(BIGNUM* number) const { BN_free(number); }
  void operator()(BN_CTX* context) const { BN_CTX_free(context); }
};
using Number = std::unique_ptr<BIGNUM, FreeBn>;

Number number_of(ByteView octets) { return Number(BN_bin2bn(octets.data(), static_cast<int>(octets.size()), nullptr)); }

// §B.2.1, applied to `target`.
void mgf1_xor(Hash hash, ByteView seed, MutableByteView target) {
  std::size_t done = 0;
  for (std::uint32_t counter = 0; done < target.size(); ++counter) {
    Bytes input = to_bytes(seed);
    for (int shift = 24; shift >= 0; shift -= 8) input.push_back(static_cast<std::uint8_t>(counter >> shift));
    Bytes mask = digest(hash, input);
    for (std::size_t i = 0; i < mask.size() && done < target.size(); ++i, ++done) {
      target[done] = static_cast<std::uint8_t>(target[done] ^ mask[i]);
    }
    wipe(mask);
    wipe(input);
  }
}

}  // namespace

Result<Bytes> rsa_public_operation(const PublicKey& key, ByteView block) {
  if (key.family() != KeyFamily::rsa) return fail(ErrorKind::usage, "not an RSA key");
  const std::size_t octets = key.modulus().size();
  if (block.size() > octets) return fail(ErrorKind::usage, "a block longer than the modulus");
  const Number n = number_of(key.modulus()), e = number_of(key.exponent()), m = number_of(block), out(BN_new());
  const std::unique_ptr<BN_CTX, FreeBn> context(BN_CTX_new());
  if (!n || !e || !m || !out || !context) return fail(ErrorKind::internal, "no memory for numbers");
  if (BN_cmp(m.get(), n.get()) >= 0) return fail(ErrorKind::invalid_signature, "a number not below the modulus");
  if (BN_mod_exp(out.get(), m.get(), e.get(), n.get(), context.get()) != 1) {
    return fail(ErrorKind::internal, "exponentiation failed");
  }
  Bytes result(octets);
  if (BN_bn2binpad(out.get(), result.data(), static_cast<int>(octets)) < 0) {
    return fail(ErrorKind::internal, "exponentiation failed");
  }
  return result;
}

Result<Bytes> emsa_pkcs1_encode(ByteView data, std::size_t octets) {
  if (data.size() + 11 > octets) return fail(ErrorKind::limit, "too much data for this key");
  Bytes em = {0x00, 0x01};
  em.resize(octets - data.size() - 1, 0xFF);
  em.push_back(0x00);
  append(em, data);
  return em;
}

Result<Bytes> eme_pkcs1_encode(ByteView message, std::size_t octets, RandomSource& random) {
  if (message.size() + 11 > octets) return fail(ErrorKind::limit, "too long a message for this key");
  Bytes em = {0x00, 0x02};
  while (em.size() < octets - message.size() - 1) em.push_back(static_cast<std::uint8_t>(1 + random.below(255)));
  em.push_back(0x00);
  append(em, message);
  return em;
}

Result<Bytes> eme_oaep_encode(Hash hash, Hash mask_hash, ByteView label, ByteView message, std::size_t octets,
                              RandomSource& random) {
  const std::size_t h = row_of(hash).octets;
  if (octets < 2 * h + 2 || message.size() > octets - 2 * h - 2) {
    return fail(ErrorKind::limit, "too long a message for this key");
  }
  // EM = 00 || maskedSeed || maskedDB; DB = lHash || 00.. || 01 || message.
  Bytes em(octets, 0);
  const MutableByteView seed = MutableByteView(em).subspan(1, h), db = MutableByteView(em).subspan(1 + h);
  const Bytes label_hash = digest(hash, label);
  std::copy(label_hash.begin(), label_hash.end(), db.begin());
  db[db.size() - message.size() - 1] = 0x01;
  std::copy(message.begin(), message.end(), db.end() - static_cast<std::ptrdiff_t>(message.size()));
  random.fill(seed);
  mgf1_xor(mask_hash, seed, db);
  mgf1_xor(mask_hash, db, seed);
  return em;
}

// §7.1.2: which check failed must not be told apart, by answer or by time (Manger 2001).
Result<SecretBytes> eme_oaep_decode(Hash hash, Hash mask_hash, ByteView label, ByteView block) {
  const std::size_t h = row_of(hash).octets;
  if (block.size() < 2 * h + 2) return fail(ErrorKind::malformed, "not an OAEP block");
  SecretBytes work = SecretBytes::copy_of(block);
  const MutableByteView em = work.expose_secret_mutable();
  const MutableByteView seed = em.subspan(1, h), db = em.subspan(1 + h);
  mgf1_xor(mask_hash, db, seed);
  mgf1_xor(mask_hash, seed, db);
  const Bytes label_hash = digest(hash, label);
  unsigned bad = em[0];
  for (std::size_t i = 0; i < h; ++i) bad |= static_cast<unsigned>(db[i] ^ label_hash[i]);
  // All of DB is looked at, wherever the 01 stands.
  unsigned found = 0;
  std::size_t start = 0;
  for (std::size_t i = h; i < db.size(); ++i) {
    const unsigned is_one = static_cast<unsigned>(((db[i] ^ 0x01u) - 1u) >> 31);
    const unsigned is_zero = static_cast<unsigned>((static_cast<unsigned>(db[i]) - 1u) >> 31);
    start |= (0 - static_cast<std::size_t>(is_one & ~found & 1u)) & (i + 1);
    bad |= (~found & 1u) & (~(is_one | is_zero) & 1u);
    found |= is_one;
  }
  bad |= ~found & 1u;
  if (bad != 0) return fail(ErrorKind::malformed, "not an OAEP block");
  return SecretBytes::copy_of(db.subspan(start));
}

}  // namespace karta::crypto
