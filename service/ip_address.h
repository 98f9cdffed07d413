// IpAddress: one host's address, and Network: those that begin with the same bits. An IPv4 address that comes mapped
// into IPv6 (RFC 4291 §2.5.5.2) is the IPv4 address.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace karta::service {

class IpAddress {
 public:
  /// 4 or 16 octets as the network has them; nothing for any other number.
  static std::optional<IpAddress> from_octets(ByteView octets);
  /// "192.0.2.1", "2001:db8::1" (inet_pton(3)); nothing for all else: names, zones, ports.
  static std::optional<IpAddress> from_text(std::string_view text);

  bool is_v6() const { return size_ == 16; }
  /// 127.0.0.0/8, ::1: of the machine that says it.
  bool is_loopback() const;
  ByteView octets() const { return {octets_.data(), size_}; }
  /// As inet_ntop(3) and RFC 5952 write it.
  std::string text() const;
  bool operator==(const IpAddress&) const = default;

 private:
  IpAddress() = default;
  std::array<std::uint8_t, 16> octets_{};
  std::uint8_t size_ = 0;
};

class Network {
 public:
  /// "10.0.0.0/8", "2001:db8::/32", or one address. Fails with usage, saying what it must be: no network; bits set
  /// behind its length, which hide what is meant; IPv4 mapped into IPv6.
  static Result<Network> from_text(std::string_view text);
  bool contains(const IpAddress& address) const;
  unsigned bits() const { return bits_; }

 private:
  Network(const IpAddress& first, unsigned bits) : first_(first), bits_(bits) {}
  IpAddress first_;
  unsigned bits_;
};

}  // namespace karta::service
