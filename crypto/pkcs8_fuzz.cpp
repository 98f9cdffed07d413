// Fuzz target: PEM files and private keys, encrypted and not.
#include "crypto/key.h"
#include "crypto/pem.h"
#include "crypto/pkcs8.h"

using namespace karta;
using namespace karta::crypto;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView input(data, size);
  const SecretBytes passphrase = SecretBytes::copy_of("seed");
  if (const auto blocks = parse_pem(as_text(input))) {
    for (const PemBlock& block : *blocks) {
      KARTA_CHECK(*parse_pem_one(to_pem(block.label, block.der), block.label) == block.der);
      // The iterations a file asks for are bounded by the caller; here to what fuzzing can afford.
      if (const auto opened = open_encrypted_pkcs8(block.der, passphrase, 10)) {
        (void)PrivateKey::from_der(opened->expose_secret());
      }
    }
  }
  (void)open_encrypted_pkcs8(input, passphrase, 10);
  if (const auto key = PrivateKey::from_der(input)) {
    KARTA_CHECK(PublicKey::from_spki(key->public_key().spki()).has_value());
  }
  (void)PublicKey::from_spki(input);
  return 0;
}
