#include "crypto/kdf.h"

#include <algorithm>

#include "crypto/aes.h"
#include "crypto/digest.h"

namespace karta::crypto {

SecretBytes hmac(Hash hash, ByteView key, std::initializer_list<ByteView> parts) {
  SecretBytes padded(row_of(hash).block_octets);
  const MutableByteView block = padded.expose_secret_mutable();
  if (key.size() > block.size()) {
    Bytes shorter = digest(hash, key);
    std::copy(shorter.begin(), shorter.end(), block.begin());
    wipe(shorter);
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }
  for (std::uint8_t& octet : block) octet ^= 0x36;
  Hasher inner(hash);
  inner.update(block);
  for (const ByteView part : parts) inner.update(part);
  const SecretBytes middle(inner.finish());
  for (std::uint8_t& octet : block) octet ^= 0x36 ^ 0x5C;
  Hasher outer(hash);
  outer.update(block);
  outer.update(middle.expose_secret());
  return SecretBytes(outer.finish());
}

SecretBytes cmac_counter_kdf(const SecretBytes& key, ByteView label, ByteView context, std::size_t octets) {
  KARTA_CHECK(octets > 0 && octets <= 255 * kAesBlock);
  SecretBytes out(octets);
  const MutableByteView target = out.expose_secret_mutable();
  const std::size_t bits = octets * 8;
  std::uint8_t counter = 0;
  for (std::size_t done = 0; done < octets;) {
    const std::array<std::uint8_t, 4> middle = {0x00, static_cast<std::uint8_t>(bits >> 8),
                                                static_cast<std::uint8_t>(bits), ++counter};
    AesBlock block = aes_cmac(key, {label, middle, context});
    const std::size_t part = std::min(kAesBlock, octets - done);
    std::copy_n(block.begin(), part, target.begin() + static_cast<std::ptrdiff_t>(done));
    wipe(block);
    done += part;
  }
  return out;
}

SecretBytes x963_kdf(Hash hash, const SecretBytes& secret, ByteView info, std::size_t octets) {
  SecretBytes out(octets);
  const MutableByteView target = out.expose_secret_mutable();
  std::uint32_t counter = 0;
  for (std::size_t done = 0; done < octets;) {
    ++counter;
    const std::array<std::uint8_t, 4> number = {
        static_cast<std::uint8_t>(counter >> 24), static_cast<std::uint8_t>(counter >> 16),
        static_cast<std::uint8_t>(counter >> 8), static_cast<std::uint8_t>(counter)};
    Hasher hasher(hash);
    hasher.update(secret.expose_secret());
    hasher.update(number);
    hasher.update(info);
    Bytes block = hasher.finish();
    const std::size_t part = std::min(block.size(), octets - done);
    std::copy_n(block.begin(), part, target.begin() + static_cast<std::ptrdiff_t>(done));
    wipe(block);
    done += part;
  }
  return out;
}

}  // namespace karta::crypto
