// Fuzz target: a CRL, DER or PEM. What parses keeps its octets, and every entry is found under its issuer and serial.
#include "crypto/x509/crl.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  (void)Crl::from_file_octets(input);
  const auto crl = Crl::from_der(input);
  if (!crl) return 0;
  KARTA_CHECK(equal(crl->der(), input));
  std::size_t looked_up = 0;
  for (const CrlEntry& entry : crl->entries()) {
    if (++looked_up > 1000) break;
    const CrlEntry* const found = crl->find(crl->certificate_issuers()[entry.issuer], entry.serial);
    KARTA_CHECK(found != nullptr && equal(found->serial, entry.serial) && found->issuer == entry.issuer);
  }
  return 0;
}
