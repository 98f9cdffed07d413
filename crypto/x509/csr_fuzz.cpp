// Fuzz target: a certification request, DER or PEM. One that is accepted was signed by the key it asks for; it can be
// shown, and its names can be written again.
#include "crypto/x509/csr.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  (void)CertificationRequest::from_file_octets(input);
  const auto request = CertificationRequest::from_der(input);
  if (!request) return 0;
  for (const char c : request->subject.to_text()) KARTA_CHECK(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F);
  KARTA_CHECK(*Name::from_der(request->subject.der()) == request->subject);
  KARTA_CHECK(*PublicKey::from_spki(request->public_key.spki()) == request->public_key);
  Bytes names;
  for (const GeneralName& name : request->subject_alternative_names) append(names, encode(name));
  KARTA_CHECK(parse_general_names(names).has_value() || request->subject_alternative_names.empty());
  return 0;
}
