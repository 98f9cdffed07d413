// The Hal of the reference chip: non-volatile memory mapped for reading and programmed through a controller, and a
// crypto coprocessor with a mailbox. A port to a real chip replaces this file and nothing else.
#pragma once

#include "firmware-sim/os/hal.h"

namespace karta::os {

class ChipHal final : public Hal {
 public:
  std::size_t page_bytes() const override { return 256; }
  std::size_t page_count() const override { return 384; }
  HalStatus read(std::size_t page, std::size_t offset, ByteSpan out) override;
  HalStatus erase(std::size_t page) override;
  HalStatus write(std::size_t page, std::size_t offset, ByteView data) override;
  HalStatus rsa_generate(const RsaCrt<ByteSpan>& key) override;
  HalStatus rsa_private(const RsaCrt<ByteView>& key, u32 public_exponent, ByteView in, ByteSpan out) override;
  HalStatus ec_generate(Curve curve, ByteSpan scalar, ByteSpan point) override;
  HalStatus ec_public_point(Curve curve, ByteView scalar, ByteSpan point) override;
  HalStatus ec_check_point(Curve curve, ByteView point) override;
  HalStatus ec_sign(Curve curve, ByteView scalar, ByteView digest, ByteSpan raw) override;
  HalStatus ec_agree(Curve curve, ByteView scalar, ByteView point, ByteSpan x) override;
  HalStatus ec_verify(Curve curve, ByteView point, ByteView digest, ByteView raw) override;
  HalStatus ec_map(Curve curve, ByteView nonce, ByteView scalar, ByteView point, ByteSpan generator) override;
  HalStatus ec_generate_on(Curve curve, ByteView generator, ByteSpan scalar, ByteSpan point) override;
  HalStatus digest(Digest digest, ByteViews message, ByteSpan out) override;
  HalStatus aes_cbc(Cipher cipher, ByteView key, ByteView iv, ByteView in, ByteSpan out) override;
  HalStatus aes_blocks(ByteView key, ByteView in, ByteSpan out) override;
  HalStatus aes_cmac(ByteView key, ByteViews message, ByteSpan out) override;
  void wait(u32 milliseconds) override;
  HalStatus random(ByteSpan out) override;
  HalStatus self_test() override;
  void account(Work, u32) override {}  // the chip's own cycle counter runs by itself
};

}  // namespace karta::os
