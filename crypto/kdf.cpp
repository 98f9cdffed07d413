#include "crypto/kdf.h"

#include <algorithm>

#include "crypto/aes.h"
#include "crypto/digest.h"

namespace karta::crypto {

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
