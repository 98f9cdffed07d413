// SecretBytes: a PIN, a key, a passphrase. Wiped when it goes, compared in constant time, never printed or copied.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/bytes.h"

namespace karta {

/// Overwrites `octets` with zeros in a way the compiler may not remove.
void wipe(MutableByteView octets);

/// True if equal; time depends on the lengths only.
bool equal_constant_time(ByteView a, ByteView b);

/// Owns secret octets. Move-only; a moved-from secret is empty. Every place a secret is let out reads
/// `expose_secret`, so that one search finds them all.
class SecretBytes {
 public:
  SecretBytes() = default;
  /// `size` zero octets, to be filled through expose_secret_mutable().
  explicit SecretBytes(std::size_t size) : octets_(size) {}
  /// Takes `octets` over; the caller's vector is left empty.
  explicit SecretBytes(Bytes&& octets) : octets_(std::move(octets)) {}
  /// Copies `octets`; wiping the source stays the caller's duty.
  static SecretBytes copy_of(ByteView octets) { return SecretBytes(to_bytes(octets)); }
  static SecretBytes copy_of(std::string_view text) { return copy_of(as_bytes(text)); }

  SecretBytes(SecretBytes&& other) noexcept : octets_(std::move(other.octets_)) { other.octets_.clear(); }
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes() { wipe(octets_); }

  SecretBytes clone() const { return copy_of(ByteView(octets_)); }
  std::size_t size() const { return octets_.size(); }
  bool empty() const { return octets_.empty(); }
  bool equals(ByteView other) const { return equal_constant_time(octets_, other); }

  /// Valid until this object changes or goes.
  ByteView expose_secret() const { return octets_; }
  MutableByteView expose_secret_mutable() { return octets_; }
  std::string_view expose_secret_text() const { return as_text(octets_); }

 private:
  Bytes octets_;
};

}  // namespace karta
