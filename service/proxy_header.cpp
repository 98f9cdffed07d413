#include "service/proxy_header.h"

#include <algorithm>
#include <charconv>

#include "base/cursor.h"

namespace karta::service {
namespace {

using Read = Result<std::optional<ProxyHeader>>;

constexpr std::string_view kLine = "PROXY ";
constexpr std::array<std::uint8_t, 12> kSignature = {0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D,
                                                     0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A};

tl::unexpected<Error> bad(std::string what) { return fail(ErrorKind::malformed, std::move(what)); }

/// True if `arrived` begins as `whole` does, as far as both go.
bool begins_alike(ByteView arrived, ByteView whole) {
  const std::size_t common = std::min(arrived.size(), whole.size());
  return std::equal(whole.begin(), whole.begin() + common, arrived.begin());
}

std::string_view next_word(std::string_view& line) {
  const std::size_t end = line.find(' ');
  const std::string_view word = line.substr(0, end);
  line = end == std::string_view::npos ? std::string_view{} : line.substr(end + 1);
  return word;
}

bool is_port(std::string_view text) {
  unsigned value = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() && value <= 65535 &&
         (text.size() == 1 || text.front() != '0');
}

/// An address of this family as the line writes it: what it holds may be IPv4 within IPv6.
std::optional<IpAddress> address_of(std::string_view text, bool v6) {
  return (text.find(':') != std::string_view::npos) == v6 ? IpAddress::from_text(text) : std::nullopt;
}

/// proxy-protocol.txt §2.1: PROXY TCP4 source destination source-port destination-port CRLF
Read read_line(std::string_view arrived) {
  std::size_t end = std::string_view::npos;
  for (std::size_t i = kLine.size(); i < std::min(arrived.size(), kMostProxyLineOctets); ++i) {
    if (arrived[i] != '\r' && arrived[i] != '\n') continue;
    if (arrived[i] == '\n' || (i + 1 < arrived.size() && arrived[i + 1] != '\n')) {
      return bad("the line does not end in CR LF");
    }
    if (i + 1 < arrived.size()) end = i;
    break;
  }
  if (end == std::string_view::npos || end + 2 > kMostProxyLineOctets) {
    if (arrived.size() >= kMostProxyLineOctets) return bad("a line of more than 107 octets");
    return std::nullopt;
  }
  ProxyHeader out{.octets = end + 2};
  std::string_view rest = arrived.substr(kLine.size(), end - kLine.size());
  const std::string_view family = next_word(rest);
  if (family == "UNKNOWN") return out;  // "the receiver must ignore anything presented before the CRLF"
  const bool v6 = family == "TCP6";
  if (!v6 && family != "TCP4") return bad("a line of another family than TCP4, TCP6 and UNKNOWN");
  out.client = address_of(next_word(rest), v6);
  const auto destination = address_of(next_word(rest), v6);
  const std::string_view source_port = next_word(rest);
  if (!out.client || !destination) return bad("a line with addresses that are none");
  if (!is_port(source_port) || !is_port(rest)) return bad("a line with ports that are none");
  return out;
}

// §2.2: signature, version and command, family and transport, length; then the addresses, and what may follow them.
constexpr std::size_t kHeadOctets = 16;
constexpr std::uint8_t kLocal = 0, kProxy = 1;
struct Family {
  std::uint8_t code;
  std::size_t address_octets;  ///< source and destination take as much each
};
constexpr Family kTcp4{0x11, 4}, kTcp6{0x21, 16};

Read read_binary(ByteView arrived) {
  Cursor in(arrived);
  if (!in.take(kSignature.size())) return std::nullopt;
  const auto version_and_command = in.u8();
  if (!version_and_command) return std::nullopt;
  if (*version_and_command >> 4 != 2) return bad("another version than 1 and 2");
  const std::uint8_t command = *version_and_command & 0x0F;
  if (command > kProxy) return bad("another command than LOCAL and PROXY");
  const auto family = in.u8();
  if (!family) return std::nullopt;
  // "discard the protocol block including the family which is ignored"
  const bool own = command == kLocal;
  if (!own && (*family >> 4 > 3 || (*family & 0x0F) > 2)) return bad("an address family or transport that is none");
  const auto length = in.be16();
  if (!length) return std::nullopt;
  ProxyHeader out{.octets = kHeadOctets + *length, .own = own};
  for (const Family& one : {kTcp4, kTcp6}) {
    if (own || *family != one.code) continue;
    if (*length < 2 * one.address_octets + 4) return bad("shorter than the addresses it announces");
    const auto source = in.take(one.address_octets);
    if (!source || in.remaining() < one.address_octets + 4) return std::nullopt;
    out.client = IpAddress::from_octets(*source);
  }
  // All else is taken as unknown: "it automatically falls back to the UNSPEC mode for the valid combinations".
  return out;
}

}  // namespace

IpAddress client_of(const ProxyHeader& header, const IpAddress& balancer) {
  if (!header.client || (header.client->is_loopback() && !balancer.is_loopback())) return balancer;
  return *header.client;
}

Result<std::optional<ProxyHeader>> read_proxy_header(ByteView arrived) {
  if (begins_alike(arrived, kSignature)) return read_binary(arrived);
  if (begins_alike(arrived, as_bytes(kLine))) {
    return arrived.size() < kLine.size() ? Read(std::nullopt) : read_line(as_text(arrived));
  }
  return bad("no PROXY header");
}

}  // namespace karta::service
