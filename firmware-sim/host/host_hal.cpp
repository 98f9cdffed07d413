#include "firmware-sim/host/host_hal.h"

#include <algorithm>
#include <array>
#include <utility>

namespace karta::sim {
namespace {

using os::HalStatus;

bool inside(std::size_t page, std::size_t offset, std::size_t octets) {
  return page < kNvmPageCount && offset <= kNvmPageBytes && octets <= kNvmPageBytes - offset;
}

std::size_t octets_of(os::ByteViews message) {
  std::size_t octets = 0;
  for (const os::ByteView& part : message) octets += part.size();
  return octets;
}

constexpr std::size_t bits_of(os::Curve curve) { return field_bytes(curve) * 8; }

}  // namespace

HostHal::HostHal(NvmImage image, RandomSource* random)
    : image_(std::move(image)), random_(random != nullptr ? random : &system_random_) {}

void HostHal::begin_command(std::size_t octets) {
  loaded_keys_.clear();
  meter_.begin_command(octets);
}

void HostHal::restore_power() {
  has_power_ = true;
  writes_until_cut_ = 0;
}

void HostHal::lose_power() {
  has_power_ = false;
  writes_until_cut_ = 0;
  coprocessor_.forget_keys();
  key_registers_ = {};
}

// True if the power fails in the write or erase that begins now.
bool HostHal::cut_here() { return writes_until_cut_ != 0 && --writes_until_cut_ == 0; }

HalStatus HostHal::read(std::size_t page, std::size_t offset, os::ByteSpan out) {
  if (!has_power_ || !inside(page, offset, out.size())) return HalStatus::failed;
  const ByteView from = std::as_const(image_).page(page).subspan(offset, out.size());
  std::copy(from.begin(), from.end(), out.begin());
  meter_.counts().nvm_octets_read += out.size();
  return HalStatus::ok;
}

HalStatus HostHal::erase(std::size_t page) {
  if (!has_power_ || !inside(page, 0, 0)) return HalStatus::failed;
  ++meter_.counts().nvm_erases;
  if (cut_here()) {
    image_.erase(page, kNvmPageBytes / 2);
    lose_power();
    return HalStatus::failed;
  }
  return image_.erase(page) ? HalStatus::ok : HalStatus::failed;
}

HalStatus HostHal::write(std::size_t page, std::size_t offset, os::ByteView data) {
  if (!has_power_ || !inside(page, offset, data.size())) return HalStatus::failed;
  ++meter_.counts().nvm_writes;
  meter_.counts().nvm_octets_written += data.size();
  if (cut_here()) {
    image_.write(page, offset, data, data.size() / 2);
    lose_power();
    return HalStatus::failed;
  }
  return image_.write(page, offset, data) ? HalStatus::ok : HalStatus::failed;
}

template <class Call>
HalStatus HostHal::metered(Operation operation, std::size_t bits, Call call) {
  if (!has_power_) return HalStatus::failed;
  ++meter_.counts().operations[static_cast<std::size_t>(operation)][key_size_index(bits)];
  return call();
}

HalStatus HostHal::rsa_generate(const os::RsaCrt<os::ByteSpan>& key) {
  return metered(Operation::rsa_generate, key.modulus.size() * 8, [&] { return coprocessor_.rsa_generate(key); });
}

HalStatus HostHal::rsa_private(const os::RsaCrt<os::ByteView>& key, os::u32 public_exponent, os::ByteView in,
                               os::ByteSpan out) {
  return metered(Operation::rsa_private, key.modulus.size() * 8,
                 [&] { return coprocessor_.rsa_private(key, public_exponent, in, out); });
}

HalStatus HostHal::ec_generate(os::Curve curve, os::ByteSpan scalar, os::ByteSpan point) {
  return metered(Operation::ec_generate, bits_of(curve),
                 [&] { return coprocessor_.ec_generate(curve, scalar, point); });
}

HalStatus HostHal::ec_public_point(os::Curve curve, os::ByteView scalar, os::ByteSpan point) {
  return metered(Operation::ec_public_point, bits_of(curve),
                 [&] { return coprocessor_.ec_public_point(curve, scalar, point); });
}

HalStatus HostHal::ec_check_point(os::Curve curve, os::ByteView point) {
  return metered(Operation::ec_check_point, bits_of(curve), [&] { return coprocessor_.ec_check_point(curve, point); });
}

HalStatus HostHal::ec_sign(os::Curve curve, os::ByteView scalar, os::ByteView digest, os::ByteSpan raw) {
  return metered(Operation::ec_sign, bits_of(curve), [&] { return coprocessor_.ec_sign(curve, scalar, digest, raw); });
}

HalStatus HostHal::ec_agree(os::Curve curve, os::ByteView scalar, os::ByteView point, os::ByteSpan x) {
  return metered(Operation::ec_agree, bits_of(curve), [&] { return coprocessor_.ec_agree(curve, scalar, point, x); });
}

HalStatus HostHal::ec_verify(os::Curve curve, os::ByteView point, os::ByteView digest, os::ByteView raw) {
  return metered(Operation::ec_verify, bits_of(curve),
                 [&] { return coprocessor_.ec_verify(curve, point, digest, raw); });
}

HalStatus HostHal::ec_map(os::Curve curve, os::ByteView nonce, os::ByteView scalar, os::ByteView point,
                          os::ByteSpan generator) {
  return metered(Operation::ec_map, bits_of(curve),
                 [&] { return coprocessor_.ec_map(curve, nonce, scalar, point, generator); });
}

HalStatus HostHal::ec_generate_on(os::Curve curve, os::ByteView generator, os::ByteSpan scalar, os::ByteSpan point) {
  return metered(Operation::ec_generate, bits_of(curve),
                 [&] { return coprocessor_.ec_generate_on(curve, generator, scalar, point); });
}

HalStatus HostHal::digest(os::Digest digest, os::ByteViews message, os::ByteSpan out) {
  if (!has_power_) return HalStatus::failed;
  const std::size_t octets = octets_of(message);
  MeterReading& counts = meter_.counts();
  ++counts.digest_calls;
  counts.digest_octets += octets;
  // Padding: a bit, and the length in 8 or 16 octets (FIPS 180-4 section 5.1).
  const bool wide = digest == os::Digest::sha384 || digest == os::Digest::sha512;
  counts.digest_blocks += wide ? (octets + 17 + 127) / 128 * 2 : (octets + 9 + 63) / 64;
  return coprocessor_.digest(digest, message, out);
}

void HostHal::count_cipher(os::ByteView key, std::size_t octets) {
  MeterReading& counts = meter_.counts();
  ++counts.cipher_calls;
  counts.cipher_octets += octets;
  counts.cipher_blocks += octets == 0 ? 1 : (octets + os::kAesBlockBytes - 1) / os::kAesBlockBytes;
  auto held = std::find_if(key_registers_.begin(), key_registers_.end(),
                           [&](const SecretBytes& holds) { return equal(holds.expose_secret(), key); });
  if (held == key_registers_.end()) {
    ++counts.key_loads;
    held = key_registers_.end() - 1;
    *held = SecretBytes::copy_of(key);
    loaded_keys_.push_back(held->clone());
  }
  std::rotate(key_registers_.begin(), held, held + 1);
}

HalStatus HostHal::aes_cbc(os::Cipher cipher, os::ByteView key, os::ByteView iv, os::ByteView in, os::ByteSpan out) {
  if (!has_power_) return HalStatus::failed;
  count_cipher(key, in.size());
  return coprocessor_.aes_cbc(cipher, key, iv, in, out);
}

HalStatus HostHal::aes_blocks(os::ByteView key, os::ByteView in, os::ByteSpan out) {
  if (!has_power_) return HalStatus::failed;
  count_cipher(key, in.size());
  return coprocessor_.aes_blocks(key, in, out);
}

HalStatus HostHal::aes_cmac(os::ByteView key, os::ByteViews message, os::ByteSpan out) {
  if (!has_power_) return HalStatus::failed;
  count_cipher(key, octets_of(message));
  return coprocessor_.aes_cmac(key, message, out);
}

void HostHal::wait(os::u32 milliseconds) { meter_.counts().waited_milliseconds += milliseconds; }

HalStatus HostHal::random(os::ByteSpan out) {
  if (!has_power_) return HalStatus::failed;
  random_->fill(out);
  ++meter_.counts().random_calls;
  meter_.counts().random_octets += out.size();
  return HalStatus::ok;
}

HalStatus HostHal::self_test() {
  if (!has_power_) return HalStatus::failed;
  // Two draws alike or a constant one: a source that is stuck.
  std::array<std::uint8_t, 16> first{}, second{};
  random_->fill(first);
  random_->fill(second);
  const auto differs = [&](std::uint8_t octet) { return octet != first[0]; };
  if (first == second || std::none_of(first.begin(), first.end(), differs)) return HalStatus::failed;
  return coprocessor_.self_test();
}

void HostHal::account(os::Work work, os::u32 amount) {
  if (work == os::Work::crc_bytes) meter_.counts().checksum_octets += amount;
}

}  // namespace karta::sim
