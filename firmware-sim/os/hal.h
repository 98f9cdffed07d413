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
enum class Curve : u8 { p256 = 1, p384 = 2, p521 = 3 };

// Octets of a field element, of the private scalar and of half a raw signature: 32, 48, 66.
constexpr std::size_t field_bytes(Curve curve) { return curve == Curve::p256 ? 32 : curve == Curve::p384 ? 48 : 66; }
// Octets of an uncompressed point 04 || x || y: 65, 97, 133.
constexpr std::size_t point_bytes(Curve curve) { return 1 + 2 * field_bytes(curve); }

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

  // Health-tested random octets.
  virtual HalStatus random(ByteSpan out) = 0;

  // Start-up test of coprocessor and random source; anything but ok and the card stays mute.
  virtual HalStatus self_test() = 0;

  // Cycle and energy counter. Tells the meter what the processor did since the last call.
  virtual void account(Work work, u32 amount) = 0;
};

}  // namespace karta::os
