// HostHal is the chip under the card operating system, in software: an NVM image, OpenSSL as coprocessor, a random
// source and a meter. Its power can be cut at any write or erase, or by command, as a card is pulled.
#pragma once

#include <array>
#include <vector>

#include "base/random.h"
#include "base/secret.h"
#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/host/meter.h"
#include "firmware-sim/host/nvm_image.h"
#include "firmware-sim/os/hal.h"

namespace karta::sim {

class HostHal final : public os::Hal {
 public:
  /// `random` must outlive this object; none: the operating system's generator.
  explicit HostHal(NvmImage image, RandomSource* random = nullptr);

  NvmImage& image() { return image_; }
  const NvmImage& image() const { return image_; }
  Meter& meter() { return meter_; }
  const Meter& meter() const { return meter_; }

  /// A command of so many octets arrived: what follows is counted as its.
  void begin_command(std::size_t octets);
  /// The AES keys that the coprocessor did not hold and was given since then. Valid until the next call.
  std::span<const SecretBytes> loaded_keys() const { return loaded_keys_; }

  /// The chip has power again; a cut that was armed is not armed any more.
  void restore_power();
  /// From now on every call fails and changes nothing. The key registers are wiped.
  void lose_power();
  bool has_power() const { return has_power_; }
  /// Power fails inside the `operation`-th write or erase from now (1: the next), half of it done. 0 disarms.
  void lose_power_at_write(std::uint64_t operation) { writes_until_cut_ = operation; }

  std::size_t page_bytes() const override { return kNvmPageBytes; }
  std::size_t page_count() const override { return kNvmPageCount; }
  os::HalStatus read(std::size_t page, std::size_t offset, os::ByteSpan out) override;
  os::HalStatus erase(std::size_t page) override;
  os::HalStatus write(std::size_t page, std::size_t offset, os::ByteView data) override;
  os::HalStatus rsa_generate(const os::RsaCrt<os::ByteSpan>& key) override;
  os::HalStatus rsa_private(const os::RsaCrt<os::ByteView>& key, os::u32 public_exponent, os::ByteView in,
                            os::ByteSpan out) override;
  os::HalStatus ec_generate(os::Curve curve, os::ByteSpan scalar, os::ByteSpan point) override;
  os::HalStatus ec_public_point(os::Curve curve, os::ByteView scalar, os::ByteSpan point) override;
  os::HalStatus ec_check_point(os::Curve curve, os::ByteView point) override;
  os::HalStatus ec_sign(os::Curve curve, os::ByteView scalar, os::ByteView digest, os::ByteSpan raw) override;
  os::HalStatus ec_agree(os::Curve curve, os::ByteView scalar, os::ByteView point, os::ByteSpan x) override;
  os::HalStatus ec_verify(os::Curve curve, os::ByteView point, os::ByteView digest, os::ByteView raw) override;
  os::HalStatus ec_map(os::Curve curve, os::ByteView nonce, os::ByteView scalar, os::ByteView point,
                       os::ByteSpan generator) override;
  os::HalStatus ec_generate_on(os::Curve curve, os::ByteView generator, os::ByteSpan scalar,
                               os::ByteSpan point) override;
  os::HalStatus digest(os::Digest digest, os::ByteViews message, os::ByteSpan out) override;
  os::HalStatus aes_cbc(os::Cipher cipher, os::ByteView key, os::ByteView iv, os::ByteView in,
                        os::ByteSpan out) override;
  os::HalStatus aes_blocks(os::ByteView key, os::ByteView in, os::ByteSpan out) override;
  os::HalStatus aes_cmac(os::ByteView key, os::ByteViews message, os::ByteSpan out) override;
  /// Time the simulated card spends; here it is counted only.
  void wait(os::u32 milliseconds) override;
  os::HalStatus random(os::ByteSpan out) override;
  os::HalStatus self_test() override;
  void account(os::Work work, os::u32 amount) override;

 private:
  bool cut_here();
  void count_cipher(os::ByteView key, std::size_t octets);
  template <class Call>
  os::HalStatus metered(Operation operation, std::size_t bits, Call call);

  NvmImage image_;
  Coprocessor coprocessor_;
  SystemRandom system_random_;
  RandomSource* random_;
  Meter meter_;
  // The keys the modelled coprocessor holds; whatever comes with another one first loads it.
  static constexpr std::size_t kKeyRegisters = 8;
  std::array<SecretBytes, kKeyRegisters> key_registers_;  // the latest first
  std::vector<SecretBytes> loaded_keys_;
  bool has_power_ = true;
  std::uint64_t writes_until_cut_ = 0;
};

}  // namespace karta::sim
