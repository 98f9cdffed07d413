#include "card/domain_parameters.h"

#include <string>

namespace karta::card {

Result<crypto::KeyType> curve_of_domain_parameters(std::uint64_t id) {
  for (const DomainParameters& row : kDomainParameters) {
    if (row.id == id) return row.curve;
  }
  return fail(ErrorKind::unsupported, "karta does not use standardised domain parameters " + std::to_string(id));
}

std::uint8_t domain_parameters_of(crypto::KeyType curve) {
  for (const DomainParameters& row : kDomainParameters) {
    if (row.curve == curve) return row.id;
  }
  return 0;
}

}  // namespace karta::card
