#include "pkcs11/mechanism.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <vector>

#include "card/key_type.h"

namespace karta::pkcs11 {
namespace {

using crypto::KeyFamily;
using crypto::Padding;

constexpr CK_FLAGS kEcFlags = CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS;
constexpr CK_FLAGS kSign = CKF_HW | CKF_SIGN | CKF_VERIFY;

// Without a hash of their own.
constexpr auto kBare = std::to_array<Mechanism>({
    {.type = CKM_RSA_PKCS,
     .deed = Deed::sign,
     .family = KeyFamily::rsa,
     .padding = Padding::pkcs1,
     .oaep = false,
     .hash = {},
     .flags = kSign | CKF_ENCRYPT | CKF_DECRYPT},
    {.type = CKM_RSA_PKCS_PSS,
     .deed = Deed::sign,
     .family = KeyFamily::rsa,
     .padding = Padding::pss,
     .oaep = false,
     .hash = {},
     .flags = kSign},
    {.type = CKM_RSA_PKCS_OAEP,
     .deed = Deed::cipher,
     .family = KeyFamily::rsa,
     .padding = Padding::none,
     .oaep = true,
     .hash = {},
     .flags = CKF_HW | CKF_ENCRYPT | CKF_DECRYPT},
    {.type = CKM_ECDSA,
     .deed = Deed::sign,
     .family = KeyFamily::ec,
     .padding = Padding::none,
     .oaep = false,
     .hash = {},
     .flags = kSign | kEcFlags},
    {.type = CKM_ECDH1_DERIVE,
     .deed = Deed::derive,
     .family = KeyFamily::ec,
     .padding = Padding::none,
     .oaep = false,
     .hash = {},
     .flags = CKF_HW | CKF_DERIVE | kEcFlags},
    {.type = CKM_RSA_PKCS_KEY_PAIR_GEN,
     .deed = Deed::generate,
     .family = KeyFamily::rsa,
     .padding = Padding::none,
     .oaep = false,
     .hash = {},
     .flags = CKF_HW | CKF_GENERATE_KEY_PAIR},
    {.type = CKM_EC_KEY_PAIR_GEN,
     .deed = Deed::generate,
     .family = KeyFamily::ec,
     .padding = Padding::none,
     .oaep = false,
     .hash = {},
     .flags = CKF_HW | CKF_GENERATE_KEY_PAIR | kEcFlags},
});

// No card of the profile holds Ed25519 or GOST keys.
constexpr bool offered(const crypto::AlgorithmRow& row) {
  return offered_hash(crypto::row_of(row.hash)) && row.family != KeyFamily::ed25519;
}
constexpr bool offered(const crypto::HashRow& row) { return offered_hash(row); }

constexpr std::size_t count() {
  std::size_t rows = kBare.size();
  for (const auto& row : crypto::kAlgorithms) rows += offered(row) ? 1 : 0;
  for (const auto& row : crypto::kHashes) rows += offered(row) ? 1 : 0;
  return rows;
}

constexpr auto kMechanisms = [] {
  std::array<Mechanism, count()> rows;
  std::size_t at = 0;
  for (const Mechanism& row : kBare) rows[at++] = row;
  for (const crypto::AlgorithmRow& row : crypto::kAlgorithms) {
    if (!offered(row)) continue;
    rows[at++] = {.type = row.pkcs11_mechanism,
                  .deed = Deed::sign,
                  .family = row.family,
                  .padding = row.padding,
                  .oaep = false,
                  .hash = row.hash,
                  .flags = kSign | (row.family == KeyFamily::ec ? kEcFlags : 0)};
  }
  for (const crypto::HashRow& row : crypto::kHashes) {
    if (!offered(row)) continue;
    rows[at++] = {.type = row.pkcs11_mechanism,
                  .deed = Deed::digest,
                  .family = KeyFamily::ec,
                  .padding = Padding::none,
                  .oaep = false,
                  .hash = row.id,
                  .flags = CKF_DIGEST};
  }
  return rows;
}();

}  // namespace

std::span<const Mechanism> mechanisms() { return kMechanisms; }

const Mechanism* find_mechanism(CK_MECHANISM_TYPE type) {
  const auto found =
      std::find_if(kMechanisms.begin(), kMechanisms.end(), [&](const Mechanism& row) { return row.type == type; });
  return found == kMechanisms.end() ? nullptr : &*found;
}

std::string name_of_mechanism(CK_MECHANISM_TYPE type) {
  switch (type) {
    case CKM_RSA_PKCS:
      return "rsa-pkcs1";
    case CKM_RSA_PKCS_PSS:
      return "rsa-pss";
    case CKM_RSA_PKCS_OAEP:
      return "rsa-oaep";
    case CKM_ECDSA:
      return "ecdsa";
    case CKM_ECDH1_DERIVE:
      return "ecdh";
    case CKM_RSA_PKCS_KEY_PAIR_GEN:
      return "rsa-key-pair";
    case CKM_EC_KEY_PAIR_GEN:
      return "ec-key-pair";
    default:
      break;
  }
  for (const crypto::AlgorithmRow& row : crypto::kAlgorithms) {
    if (row.pkcs11_mechanism == type) return std::string(row.name);
  }
  for (const crypto::HashRow& row : crypto::kHashes) {
    if (row.pkcs11_mechanism == type) return std::string(row.name);
  }
  char number[24];
  std::snprintf(number, sizeof number, "0x%lx", type);
  return number;
}

KeySizes key_sizes(crypto::KeyFamily family) {
  KeySizes sizes;
  for (const card::CardKeyType& type : card::card_key_types()) {
    if ((type.family == card::KeyFamily::rsa) != (family == KeyFamily::rsa)) continue;
    if (sizes.least == 0 || type.bits < sizes.least) sizes.least = type.bits;
    if (type.bits > sizes.most) sizes.most = type.bits;
  }
  return sizes;
}

}  // namespace karta::pkcs11
