// Coprocessor stands for a chip's crypto coprocessor: RSA and elliptic-curve operations on plain octets, done by
// OpenSSL. It knows no files and no key ids; keys come and go with each call, as the card operating system's HAL has
// it.
#pragma once

#include <memory>

#include "base/random.h"
#include "firmware-sim/os/hal.h"

namespace karta::sim {

class Coprocessor {
 public:
  Coprocessor();
  ~Coprocessor();
  Coprocessor(const Coprocessor&) = delete;
  Coprocessor& operator=(const Coprocessor&) = delete;

  // Arguments, sizes and answers as in os/hal.h. RSA private operations are blinded and checked by OpenSSL;
  // elliptic-curve private operations run in constant time.
  os::HalStatus rsa_generate(const os::RsaCrt<os::ByteSpan>& key);
  os::HalStatus rsa_private(const os::RsaCrt<os::ByteView>& key, os::u32 public_exponent, os::ByteView in,
                            os::ByteSpan out);
  os::HalStatus ec_generate(os::Curve curve, os::ByteSpan scalar, os::ByteSpan point);
  os::HalStatus ec_public_point(os::Curve curve, os::ByteView scalar, os::ByteSpan point);
  os::HalStatus ec_check_point(os::Curve curve, os::ByteView point);
  os::HalStatus ec_sign(os::Curve curve, os::ByteView scalar, os::ByteView digest, os::ByteSpan raw);
  os::HalStatus ec_agree(os::Curve curve, os::ByteView scalar, os::ByteView point, os::ByteSpan x);

  os::HalStatus ec_verify(os::Curve curve, os::ByteView point, os::ByteView digest, os::ByteView raw);
  os::HalStatus ec_map(os::Curve curve, os::ByteView nonce, os::ByteView scalar, os::ByteView point,
                       os::ByteSpan generator);
  os::HalStatus ec_generate_on(os::Curve curve, os::ByteView generator, os::ByteSpan scalar, os::ByteSpan point);
  os::HalStatus digest(os::Digest digest, os::ByteViews message, os::ByteSpan out);
  os::HalStatus aes_cbc(os::Cipher cipher, os::ByteView key, os::ByteView iv, os::ByteView in, os::ByteSpan out);
  os::HalStatus aes_blocks(os::ByteView key, os::ByteView in, os::ByteSpan out);
  os::HalStatus aes_cmac(os::ByteView key, os::ByteViews message, os::ByteSpan out);
  /// product = scalar * point; part of ec_generate_on, and for examples with known keys.
  os::HalStatus ec_multiply(os::Curve curve, os::ByteView scalar, os::ByteView point, os::ByteSpan product);

  /// Known answers: a generator, an agreement seen from both sides, RSA there and back. The first call does the work.
  os::HalStatus self_test();

  /// Wipes the key registers: prepared forms of the last keys used, kept since preparing costs more than using.
  void forget_keys();

 private:
  struct Registers;
  std::unique_ptr<Registers> registers_;
};

}  // namespace karta::sim
