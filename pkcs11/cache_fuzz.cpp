// The cache file as anybody may have left it: decoding takes it whole or not at all, and what it takes it writes back.
#include "crypto/digest.h"
#include "pkcs11/cache.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using karta::pkcs11::Cache;
  const karta::Bytes serial(10, 0x42);
  const karta::ByteView input(data, size);
  (void)Cache::decode(serial, input);
  // With the checksum made right, so that what lies behind it is reached.
  karta::Bytes file = karta::to_bytes(input);
  karta::append(file, karta::crypto::digest(karta::crypto::Hash::sha256, input));
  if (const auto content = Cache::decode(serial, file)) {
    const auto again = Cache::decode(serial, Cache::encode(serial, *content));
    if (!again || again->counter != content->counter || again->entries != content->entries) __builtin_trap();
  }
  return 0;
}
