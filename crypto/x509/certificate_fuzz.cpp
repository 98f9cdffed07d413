// Fuzz target: a certificate, DER or PEM. What parses keeps its octets, prints safely, and never verifies under its own
// key by accident of the parser (a self-signature is checked, not assumed).
#include "crypto/x509/certificate.h"
#include "crypto/x509/path.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  (void)Certificate::many_from_file_octets(input);
  const auto certificate = Certificate::from_der(input);
  if (!certificate) return 0;
  KARTA_CHECK(equal(certificate->der(), input));
  for (const Name* name : {&certificate->subject(), &certificate->issuer()}) {
    for (const char c : name->to_text()) KARTA_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
    KARTA_CHECK(*Name::from_der(name->der()) == *name);
  }
  if (const auto key = certificate->public_key()) (void)verify_certificate_signature(*certificate, *key);
  const PathResult path =
      verify_path(*certificate, {*certificate}, {*certificate}, certificate->not_before(), Purpose::any);
  KARTA_CHECK(path.ok() == path.reason.empty());
  return 0;
}
