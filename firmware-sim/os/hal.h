// The hardware page: everything the card operating system asks of the chip under it, and nothing else.
//
// The operating system is given one Hal for its life. Calls are synchronous and single-threaded. Every buffer belongs
// to the caller and has the exact size stated; outputs are meaningful only after HalStatus::ok. A Hal that has lost
// power (or simulates it) fails every call from that moment on and changes nothing any more.
#pragma once

#include "firmware-sim/os/bytes.h"

namespace karta::os {

enum class HalStatus : u8 {
  ok,
  failed,   // hardware fault, worn cell, lost power: the result does not exist, a write may be torn
  refused,  // the arguments are outside the operation's domain: not on the curve, not below the modulus, zero scalar
};

// Named curves the coprocessor may know. New curves are added at the end: the number is stored with keys.
enum class Curve : u8 {
  p256 = 1,
  p384 = 2,
  p521 = 3,
  brainpool_p256r1 = 4,
  brainpool_p384r1 = 5,
  brainpool_p512r1 = 6,
};

// Octets of a field element, of the private scalar and of half a raw signature: 32, 48, 66, 32, 48, 64.
constexpr std::size_t field_bytes(Curve curve) {
  switch (curve) {
    case Curve::p256:
    case Curve::brainpool_p256r1:
      return 32;
    case Curve::p384:
    case Curve::brainpool_p384r1:
      return 48;
    case Curve::brainpool_p512r1:
      return 64;
    case Curve::p521:
      break;
  }
  return 66;
}
// Octets of an uncompressed point 04 || x || y: 65, 97, 133, 65, 97, 129.
constexpr std::size_t point_bytes(Curve curve) { return 1 + 2 * field_bytes(curve); }

enum class Digest : u8 { sha1 = 1, sha224 = 2, sha256 = 3, sha384 = 4, sha512 = 5 };

constexpr std::size_t digest_bytes(Digest digest) {
  switch (digest) {
    case Digest::sha1:
      return 20;
    case Digest::sha224:
      return 28;
    case Digest::sha256:
      return 32;
    case Digest::sha384:
      return 48;
    case Digest::sha512:
      break;
  }
  return 64;
}
constexpr std::size_t kMaxDigestBytes = 64;

constexpr std::size_t kAesBlockBytes = 16;
constexpr std::size_t kMaxAesKeyBytes = 32;  // keys have 16, 24 or 32 octets

enum class Cipher : u8 { encrypt, decrypt };

// A message in pieces, so that nothing has to be put together in memory first.
using ByteViews = std::span<const ByteView>;

constexpr std::size_t kMaxFieldBytes = 66;
constexpr std::size_t kMaxPointBytes = 133;
constexpr std::size_t kMaxModulusBytes = 512;  // RSA-4096

// An RSA private key in CRT form, big-endian without sign octet. With k = modulus bits / 8: `modulus` has k octets,
// the five others k / 2 each, zero-padded on the left.
template <typename Span>
struct RsaCrt {
  Span modulus;
  Span prime_p;
  Span prime_q;
  Span exponent_p;   // d mod (p - 1)
  Span exponent_q;   // d mod (q - 1)
  Span coefficient;  // 1/q mod p
};

// Work the processor itself does, told to the meter so that a simulator can put time and energy on it.
enum class Work : u8 {
  command,    // one command dispatched
  crc_bytes,  // octets run through the page checksum
};

class Hal {
 public:
  virtual ~Hal() = default;

  // Non-volatile memory: equal pages that erase to FF and can only be written from 1 to 0. A torn write leaves any mix
  // of old and new octets in the range written, a torn erase any mix of old octets and FF in the page.
  virtual std::size_t page_bytes() const = 0;  // the operating system wants 256
  virtual std::size_t page_count() const = 0;  // the operating system uses at most 384 (96 KiB)
  virtual HalStatus read(std::size_t page, std::size_t offset, ByteSpan out) = 0;
  virtual HalStatus erase(std::size_t page) = 0;
  // Programs `data` at `offset`; the range never crosses the page's end. `failed` also when a cell asked to be 1 is 0.
  virtual HalStatus write(std::size_t page, std::size_t offset, ByteView data) = 0;

  // Crypto coprocessor. Private operations are the chip's to protect: blinded, constant time, and checked before the
  // result leaves (a faulty CRT half would give the key away), `failed` where the check does not hold.

  // Modulus bits: 1024 to 4096 in steps of 256 (modulus.size() * 8). Public exponent 65537.
  virtual HalStatus rsa_generate(const RsaCrt<ByteSpan>& key) = 0;
  // out = in ^ d mod n; both as long as the modulus. `refused` for in >= n or a key that is none.
  virtual HalStatus rsa_private(const RsaCrt<ByteView>& key, u32 public_exponent, ByteView in, ByteSpan out) = 0;

  // `scalar`: field_bytes(curve), big-endian, in 1..n-1. `point`: point_bytes(curve), uncompressed.
  virtual HalStatus ec_generate(Curve curve, ByteSpan scalar, ByteSpan point) = 0;
  virtual HalStatus ec_public_point(Curve curve, ByteView scalar, ByteSpan point) = 0;
  // ok when the point lies on the curve, has full order and is not the identity; else refused.
  virtual HalStatus ec_check_point(Curve curve, ByteView point) = 0;
  // ECDSA over a digest of any length (FIPS 186-4 section 6.4: its leftmost bits count). `raw`: r || s, field_bytes
  // each.
  virtual HalStatus ec_sign(Curve curve, ByteView scalar, ByteView digest, ByteSpan raw) = 0;
  // ECDH: the x coordinate, field_bytes(curve). Checks the point as ec_check_point does.
  virtual HalStatus ec_agree(Curve curve, ByteView scalar, ByteView point, ByteSpan x) = 0;
  // ECDSA: ok when `raw` is the signature of `digest` under the public `point`; refused when it is not, or for a point
  // that is none.
  virtual HalStatus ec_verify(Curve curve, ByteView point, ByteView digest, ByteView raw) = 0;
  // Generic mapping (BSI TR-03110-3 A.3.4.1): generator = nonce * G + scalar * point, without the agreed point leaving
  // the coprocessor. `nonce`: an integer of any length up to 64 octets. Refused for a point that is none and where the
  // agreed point or the generator is the identity.
  virtual HalStatus ec_map(Curve curve, ByteView nonce, ByteView scalar, ByteView point, ByteSpan generator) = 0;
  // A key pair on another generator than the curve's own: point = scalar * generator.
  virtual HalStatus ec_generate_on(Curve curve, ByteView generator, ByteSpan scalar, ByteSpan point) = 0;

  // `out`: digest_bytes(digest).
  virtual HalStatus digest(Digest digest, ByteViews message, ByteSpan out) = 0;
  // AES in CBC mode over whole blocks, without padding. `iv`: 16 octets. `in` and `out`: equally long, the same memory
  // or apart. Refused for other sizes.
  virtual HalStatus aes_cbc(Cipher cipher, ByteView key, ByteView iv, ByteView in, ByteSpan out) = 0;
  // AES, each block encrypted by itself (ECB): what makes initial vectors of counters, several in one call. `in` and
  // `out`: equally long, the same memory or apart. Refused for other sizes.
  virtual HalStatus aes_blocks(ByteView key, ByteView in, ByteSpan out) = 0;
  // AES-CMAC (NIST SP 800-38B), the whole block: `out` has 16 octets.
  virtual HalStatus aes_cmac(ByteView key, ByteViews message, ByteSpan out) = 0;

  // Lets time pass: what makes guessing slow.
  virtual void wait(u32 milliseconds) = 0;

  // Health-tested random octets.
  virtual HalStatus random(ByteSpan out) = 0;

  // Start-up test of coprocessor and random source; anything but ok and the card stays mute.
  virtual HalStatus self_test() = 0;

  // Cycle and energy counter. Tells the meter what the processor did since the last call.
  virtual void account(Work work, u32 amount) = 0;
};

}  // namespace karta::os
