// Asymmetric keys in key files (descriptors 11 RSA and 22 EC): where their parts lie, import part by part, generation.
//
// A key may carry a limit of uses (key_uses.h), counted down before each private operation.
//
// No function here or elsewhere gives a private part to a command's answer: load() hands them to the coprocessor calls
// of this room only, in working memory that is wiped on every way out.
#pragma once

#include "firmware-sim/os/files.h"
#include "firmware-sim/os/hal.h"

namespace karta::os {

// Key usage, second octet of tag 85. 0 leaves the key open for whatever its type can do, as MyEID keys are.
constexpr u8 kUsageSign = 0x01;
constexpr u8 kUsageDecipher = 0x02;
constexpr u8 kUsageAgree = 0x04;
constexpr u8 kUsageChipAuthentication = 0x08;
constexpr u8 kUsageRestrictedIdentification = 0x10;
constexpr u8 kUsageKeyLoading = 0x40;      // agreeing on the keys of a domain, and nothing else
constexpr u8 kUsageAuthorisedOnly = 0x20;  // beside the last: for terminals with that right only
constexpr u8 kUsageStatement = 0x80;       // signing what a ledger holds, and nothing else

// Parts a key is imported in; the numbers are P2 of MyEID's PUT DATA 01 80..89.
enum class KeyPart : u8 {
  modulus = 0x80,
  public_exponent = 0x81,
  prime_p = 0x83,
  prime_q = 0x84,
  exponent_p = 0x85,
  exponent_q = 0x86,     // for an EC key: the public point
  coefficient = 0x87,    // for an EC key: the private scalar
  modulus_first = 0x88,  // its first 128 octets
  modulus_rest = 0x89,
};

// What a key type of a size is made of.
struct KeyShape {
  bool rsa = false;
  Curve curve = Curve::p256;
  std::size_t modulus_bytes = 0;  // RSA
  std::size_t stored_bytes = 0;   // header and all parts
};

// False when the card has no such key: RSA 1024 to 4096 in steps of 256; EC on a curve whose size is the file's.
// Without a domain parameter id the size names the NIST curve.
bool key_shape(const File& file, KeyShape& out);

// Curve of a standardised domain parameter id (TR-03110-3 table A.2): 0C to 12 without 0E. False for any other.
bool curve_of(u8 domain_parameter_id, Curve& out);

// The longest key: 16 octets of header, RSA-4096 modulus, five halves.
constexpr std::size_t kKeyBufferBytes = 16 + kMaxModulusBytes + 5 * kMaxModulusBytes / 2;

class Keys {
 public:
  // `memory`: kKeyBufferBytes to work in, of nobody else while a function here runs.
  Keys(Hal& hal, NvmJournal& journal, Files& files, ByteSpan memory)
      : hal_(hal), journal_(journal), files_(files), buffer_(memory) {}

  // GENERATE: a fresh pair in place of what was there, in one transaction. `file` is updated.
  Sw generate(File& file, u16 stamp);
  // PUT DATA: one part. The last missing part is accepted only if the whole key works; else the import starts again.
  Sw import_part(File& file, u8 part, ByteView value, u16 stamp);

  // 6985 when the file holds no whole key; 6581 when it is damaged.
  Sw modulus(const File& file, ByteSpan out);
  Sw public_exponent(const File& file, u32& out);
  Sw public_point(const File& file, ByteSpan out);

  // RSA: out = in ^ d, both as long as the modulus; 6A80 for in >= n.
  Sw rsa_private(const File& file, ByteView in, ByteSpan out);
  // ECDSA, r || s; the digest is an integer of up to field_bytes octets, leading zeros allowed.
  Sw ec_sign(const File& file, ByteView digest, ByteSpan raw);
  // ECDH x coordinate; 6A80 for a point that is none.
  Sw ec_agree(const File& file, ByteView point, ByteSpan x);

 private:
  // What is in buffer_ is no key any more; its limit of uses stays and begins again.
  void begin_anew();
  // The key file's octets into buffer_, complete or not.
  Sw load(const File& file, KeyShape& shape);
  // A whole key, one use of it spent.
  Sw take(const File& file, bool rsa, KeyShape& shape);
  // buffer_ into the key file, as one transaction.
  Sw save(File& file, const KeyShape& shape, u16 stamp);
  Sw read_public(const File& file, bool rsa, std::size_t offset, ByteSpan out);
  Sw place_part(const KeyShape& shape, u8 part, ByteView value);
  RsaCrt<ByteSpan> rsa_parts(const KeyShape& shape);
  ByteSpan ec_point(const KeyShape& shape);
  ByteSpan ec_scalar(const KeyShape& shape);
  // One private operation, which the coprocessor checks by the public key.
  bool works(const KeyShape& shape);

  Hal& hal_;
  NvmJournal& journal_;
  Files& files_;
  ByteSpan buffer_;
};

}  // namespace karta::os
