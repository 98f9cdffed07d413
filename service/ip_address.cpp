#include "service/ip_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

namespace karta::service {
namespace {

constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

/// The octet whose first `bits` bits are set.
constexpr std::uint8_t mask_of(unsigned bits) { return static_cast<std::uint8_t>(0xFF00u >> bits); }

tl::unexpected<Error> no_network(std::string_view text) {
  return fail(ErrorKind::usage, "\"" + std::string(text) + "\" is no address and no network",
              "\"192.0.2.1\", \"10.0.0.0/8\", \"2001:db8::/32\"");
}

}  // namespace

std::optional<IpAddress> IpAddress::from_octets(ByteView octets) {
  if (octets.size() == 16 && std::equal(kMapped.begin(), kMapped.end(), octets.begin())) octets = octets.subspan(12);
  if (octets.size() != 4 && octets.size() != 16) return std::nullopt;
  IpAddress out;
  std::copy(octets.begin(), octets.end(), out.octets_.begin());
  out.size_ = static_cast<std::uint8_t>(octets.size());
  return out;
}

std::optional<IpAddress> IpAddress::from_text(std::string_view text) {
  if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string whole(text);
  std::array<std::uint8_t, 16> octets{};
  if (::inet_pton(AF_INET, whole.c_str(), octets.data()) == 1) return from_octets({octets.data(), 4});
  if (::inet_pton(AF_INET6, whole.c_str(), octets.data()) == 1) return from_octets(octets);
  return std::nullopt;
}

bool IpAddress::is_loopback() const {
  constexpr std::uint8_t kOne = 1, kFour = 127;
  if (!is_v6()) return octets_[0] == kFour;
  return octets_.back() == kOne &&
         std::all_of(octets_.begin(), octets_.end() - 1, [](auto octet) { return octet == 0; });
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> out{};
  ::inet_ntop(is_v6() ? AF_INET6 : AF_INET, octets_.data(), out.data(), out.size());
  return out.data();
}

Result<Network> Network::from_text(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  const auto first = IpAddress::from_text(host);
  if (!first) return no_network(text);
  if (!first->is_v6() && host.find(':') != std::string_view::npos) {
    return fail(ErrorKind::usage, "\"" + std::string(text) + "\" is IPv4 within IPv6", "write it as IPv4");
  }
  const auto most = static_cast<unsigned>(8 * first->octets().size());
  unsigned bits = most;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
    if (read.ec != std::errc() || read.ptr != digits.data() + digits.size() || bits > most) return no_network(text);
  }
  for (unsigned i = 0; i < most / 8; ++i) {
    const unsigned counted = std::clamp(bits, 8 * i, 8 * i + 8) - 8 * i;
    if ((first->octets()[i] & ~mask_of(counted)) != 0) {
      return fail(ErrorKind::usage, "\"" + std::string(text) + "\" has bits behind its length",
                  "a network begins with zeros there, a single address has no length");
    }
  }
  return Network(*first, bits);
}

bool Network::contains(const IpAddress& address) const {
  if (address.is_v6() != first_.is_v6()) return false;
  const std::size_t whole = bits_ / 8;
  if (!std::equal(first_.octets().begin(), first_.octets().begin() + whole, address.octets().begin())) return false;
  return bits_ % 8 == 0 || ((first_.octets()[whole] ^ address.octets()[whole]) & mask_of(bits_ % 8)) == 0;
}

}  // namespace karta::service
