#include "pkcs11/pss.h"

#include <algorithm>

#include "crypto/digest.h"

namespace karta::pkcs11 {
namespace {

struct Shape {
  std::size_t em_octets = 0, db_octets = 0;
  std::uint8_t first_mask = 0xFF;  // bits of the first octet that may be set
};

std::optional<Shape> shape_of(const PssChoice& choice, unsigned modulus_bits) {
  const std::size_t hash_octets = crypto::row_of(choice.hash).octets;
  const std::size_t em_bits = modulus_bits - 1;
  Shape shape;
  shape.em_octets = (em_bits + 7) / 8;
  // §9.1.1 step 3, written so that no salt length overflows.
  if (choice.salt_octets > shape.em_octets || shape.em_octets - choice.salt_octets < hash_octets + 2) return {};
  shape.db_octets = shape.em_octets - hash_octets - 1;
  shape.first_mask = static_cast<std::uint8_t>(0xFF >> (8 * shape.em_octets - em_bits));
  return shape;
}

// MGF1 (§B.2.1) over `data`.
void mask(crypto::Hash hash, ByteView seed, Bytes& data) {
  std::size_t at = 0;
  for (std::uint32_t counter = 0; at < data.size(); ++counter) {
    Bytes input = to_bytes(seed);
    for (int shift = 24; shift >= 0; shift -= 8) input.push_back(static_cast<std::uint8_t>(counter >> shift));
    for (const std::uint8_t octet : crypto::digest(hash, input)) {
      if (at == data.size()) return;
      data[at++] ^= octet;
    }
  }
}

Bytes salted_digest(const PssChoice& choice, ByteView digest, ByteView salt) {
  const Bytes zeros(8, 0);
  return crypto::digest(choice.hash, concat({zeros, digest, salt}));
}

}  // namespace

Result<Bytes> pss_encode(const PssChoice& choice, ByteView digest, unsigned modulus_bits, RandomSource& random) {
  const auto shape = shape_of(choice, modulus_bits);
  if (!shape || digest.size() != crypto::row_of(choice.hash).octets) {
    return fail(ErrorKind::limit,
                "a modulus of " + std::to_string(modulus_bits) + " bits is too short for this hash and salt");
  }
  const Bytes salt = random.bytes(choice.salt_octets);
  const Bytes h = salted_digest(choice, digest, salt);
  Bytes db(shape->db_octets - salt.size() - 1, 0);
  db.push_back(0x01);
  append(db, salt);
  mask(choice.mask_hash, h, db);
  db[0] = static_cast<std::uint8_t>(db[0] & shape->first_mask);
  Bytes block((modulus_bits + 7) / 8 - shape->em_octets, 0);
  append(block, db);
  append(block, h);
  block.push_back(0xBC);
  return block;
}

bool pss_fits(const PssChoice& choice, ByteView digest, unsigned modulus_bits, ByteView block) {
  const auto shape = shape_of(choice, modulus_bits);
  const std::size_t ahead = (modulus_bits + 7) / 8 - (shape ? shape->em_octets : 0);
  if (!shape || digest.size() != crypto::row_of(choice.hash).octets || block.size() != ahead + shape->em_octets ||
      block.back() != 0xBC || (ahead == 1 && block[0] != 0)) {
    return false;
  }
  const ByteView em = block.subspan(ahead);
  Bytes db = to_bytes(em.first(shape->db_octets));
  const ByteView h = em.subspan(shape->db_octets, em.size() - shape->db_octets - 1);
  if ((db[0] & ~shape->first_mask) != 0) return false;
  mask(choice.mask_hash, h, db);
  db[0] = static_cast<std::uint8_t>(db[0] & shape->first_mask);
  const std::size_t one_at = db.size() - choice.salt_octets - 1;
  if (db[one_at] != 0x01 || !std::all_of(db.begin(), db.begin() + static_cast<std::ptrdiff_t>(one_at),
                                         [](std::uint8_t octet) { return octet == 0; })) {
    return false;
  }
  return equal(salted_digest(choice, digest, ByteView(db).subspan(one_at + 1)), h);
}

}  // namespace karta::pkcs11
