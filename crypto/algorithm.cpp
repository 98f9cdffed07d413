#include "crypto/algorithm.h"

#include <algorithm>

namespace karta::crypto {
namespace {

template <class Table>
constexpr bool in_order(const Table& table) {
  for (std::size_t i = 0; i < table.size(); ++i) {
    if (static_cast<std::size_t>(table[i].id) != i) return false;
  }
  return true;
}
static_assert(in_order(kHashes) && kHashes.size() == static_cast<std::size_t>(Hash::streebog512) + 1);
static_assert(in_order(kKeyTypes) && kKeyTypes.size() == static_cast<std::size_t>(KeyType::gost_512_c) + 1);
static_assert(in_order(kAlgorithms) && kAlgorithms.size() == static_cast<std::size_t>(AlgorithmId::gost_512) + 1);

template <class Table>
auto find_by_name(const Table& table, std::string_view name) -> std::optional<decltype(table[0].id)> {
  for (const auto& row : table) {
    if (row.name == name) return row.id;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Hash> find_hash(std::string_view name) { return find_by_name(kHashes, name); }
std::optional<KeyType> find_key_type(std::string_view name) { return find_by_name(kKeyTypes, name); }
std::optional<AlgorithmId> find_algorithm(std::string_view name) { return find_by_name(kAlgorithms, name); }

std::optional<AlgorithmId> find_algorithm(KeyFamily family, Hash hash, Padding padding) {
  for (const AlgorithmRow& row : kAlgorithms) {
    if (row.family == family && row.hash == hash && row.padding == padding) return row.id;
  }
  return std::nullopt;
}

AlgorithmId default_algorithm(KeyType type) {
  const KeyTypeRow& row = row_of(type);
  switch (row.family) {
    case KeyFamily::rsa:
      return AlgorithmId::rsa_pkcs1_sha256;
    case KeyFamily::ed25519:
      return AlgorithmId::ed25519;
    case KeyFamily::gost:
      return row.key_bits == 256 ? AlgorithmId::gost_256 : AlgorithmId::gost_512;
    case KeyFamily::ec:
      break;
  }
  // FIPS 186-5 §6.1.1: a hash no weaker than the curve.
  if (row.strength_bits <= 128) return AlgorithmId::ecdsa_sha256;
  return row.strength_bits <= 192 ? AlgorithmId::ecdsa_sha384 : AlgorithmId::ecdsa_sha512;
}

unsigned strength_bits(AlgorithmId algorithm, KeyType type) {
  const AlgorithmRow& row = row_of(algorithm);
  const unsigned key = row_of(type).strength_bits;
  // Ed25519 does not rest on the collision resistance of its hash.
  return row.family == KeyFamily::ed25519 ? key : std::min<unsigned>(key, row_of(row.hash).collision_bits);
}

}  // namespace karta::crypto
