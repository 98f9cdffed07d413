#include "card/key_derivation.h"

#include "crypto/digest.h"

namespace karta::card {

SecretBytes derive_key(ByteView secret, ByteView nonce, DerivedKey which, std::size_t key_octets) {
  crypto::Hasher hasher(key_octets > 16 ? crypto::Hash::sha256 : crypto::Hash::sha1);
  hasher.update(secret);
  hasher.update(nonce);
  hasher.update(Bytes{0, 0, 0, static_cast<std::uint8_t>(which)});
  SecretBytes whole(hasher.finish());
  return SecretBytes::copy_of(whole.expose_secret().first(key_octets));
}

}  // namespace karta::card
