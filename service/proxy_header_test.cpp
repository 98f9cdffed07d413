#include "service/proxy_header.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace karta::service {
namespace {

using testing::HasSubstr;

/// Headers as HAProxy 2.6.12 (Debian 12) sent them, by send-proxy and send-proxy-v2.
struct Sent {
  const char* what;
  std::string octets;
  const char* client;  ///< null: none is told
  bool own = false;
};

std::string octets_of(const char* hex) { return std::string(as_text(from_hex(hex).value())); }

std::vector<Sent> sent_by_haproxy() {
  return {
      {"v2, IPv4", octets_of("0d0a0d0a000d0a515549540a2111000c7f0000057f000001d6931bbd"), "127.0.0.5"},
      {"v2, IPv6",
       octets_of("0d0a0d0a000d0a515549540a2121002400000000000000000000000000000001"
                 "00000000000000000000000000000001e12c1bc1"),
       "::1"},
      {"v2, IPv4, with a checksum and a name of the connection",
       octets_of("0d0a0d0a000d0a515549540a2111003a7f0000057f0000019b811bbf030004d44a113405002437306239356366392d6462633"
                 "22d346537"
                 "352d616662392d633631633464326131303865"),
       "127.0.0.5"},
      {"v2, trying the server", octets_of("0d0a0d0a000d0a515549540a20000000"), nullptr, true},
      {"v1, IPv4", "PROXY TCP4 127.0.0.5 127.0.0.1 32769 7102\r\n", "127.0.0.5"},
      {"v1, IPv6", "PROXY TCP6 ::1 ::1 40898 7106\r\n", "::1"},
      {"v1, from a local socket", "PROXY UNKNOWN\r\n", nullptr},
  };
}

constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::string_view kTls{"\x16\x03\x01\x02\x00\x01", 6};  // how the connection's own octets begin

/// A header of version 2.
std::string binary(int version_and_command, int family, std::size_t length, std::string_view rest = {}) {
  std::string out(kSignature);
  out += {static_cast<char>(version_and_command), static_cast<char>(family), static_cast<char>(length >> 8),
          static_cast<char>(length)};
  return out += rest;
}

Result<std::optional<ProxyHeader>> read(std::string_view text) { return read_proxy_header(as_bytes(text)); }

TEST(ProxyHeader, ReadsWhatHaproxySends) {
  for (const Sent& one : sent_by_haproxy()) {
    for (const std::string_view behind : {std::string_view{}, kTls}) {
      const auto header = read(one.octets + std::string(behind));
      ASSERT_TRUE(header && *header) << one.what;
      EXPECT_EQ((**header).octets, one.octets.size()) << one.what;
      EXPECT_EQ((**header).own, one.own) << one.what;
      ASSERT_EQ((**header).client.has_value(), one.client != nullptr) << one.what;
      if (one.client == nullptr) continue;
      EXPECT_EQ((**header).client->text(), one.client) << one.what;
    }
  }
}

// As far as it has come it may become one; and nothing short of the addresses is taken for the whole.
TEST(ProxyHeader, WhateverHasArrivedIsABeginningUntilItIsWhole) {
  for (const Sent& one : sent_by_haproxy()) {
    for (std::size_t size = 0; size < one.octets.size(); ++size) {
      const auto header = read(std::string_view(one.octets).substr(0, size));
      ASSERT_TRUE(header) << one.what << ", " << size;
      if (!*header) continue;
      EXPECT_EQ((**header).octets, one.octets.size()) << one.what << ": it knows what is missing";
      EXPECT_GE(size, 28u) << one.what << ": only what follows the addresses may be missing";
    }
  }
}

// Every bit of every header turned: it is refused, awaited, or says something else; that depends on where the bit
// stands.
TEST(ProxyHeader, ATurnedBitIsRefusedWhereItBreaksTheForm) {
  for (const Sent& one : sent_by_haproxy()) {
    const bool is_line = one.octets.front() == 'P';
    for (std::size_t at = 0; at < one.octets.size(); ++at) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string turned = one.octets;
        turned[at] = static_cast<char>(turned[at] ^ (1 << bit));
        const std::string where =
            std::string(one.what) + ", octet " + std::to_string(at) + ", bit " + std::to_string(bit);
        const auto header = read(turned);
        if (at < (is_line ? 6u : 12u)) {
          EXPECT_FALSE(header) << where << ": its name";
        } else if (is_line && at + 2 >= one.octets.size()) {
          EXPECT_FALSE(header && *header) << where << ": its end";
        } else if (header && *header && is_line) {
          EXPECT_EQ((**header).octets, turned.find("\r\n") + 2) << where;
        } else if (!is_line && at == 12) {
          // 0x20 and 0x21 alone are good.
          EXPECT_EQ(header.has_value(), bit == 0) << where;
        } else if (!is_line && at == 13 && one.own) {
          ASSERT_TRUE(header && *header) << where << ": a family that is ignored";
        } else if (!is_line && at == 13) {
          const int family = static_cast<unsigned char>(turned[13]);
          EXPECT_EQ(header.has_value(), family >> 4 <= 3 && (family & 15) <= 2) << where;
          const bool named = header && *header && (**header).client;
          EXPECT_FALSE(named) << where << ": no address of TCP";
        } else if (!is_line && at >= 16 && at < 20 && header && *header && (**header).client) {
          EXPECT_NE((**header).client->text(), one.client) << where;
        }
      }
    }
  }
}

TEST(ProxyHeader, ALineIsReadToTheLetter) {
  const auto client = [](std::string_view line) {
    const auto header = read(line);
    return !header             ? header.error().message
           : !*header          ? "more"
           : (**header).client ? (**header).client->text()
                               : "unknown";
  };
  EXPECT_EQ(client("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255");
  EXPECT_EQ(client("PROXY TCP4 192.0.2.1 0.0.0.0 0 0\r\nrest"), "192.0.2.1");
  EXPECT_EQ(client("PROXY TCP6 2001:DB8::A 2001:db8::1 1 2\r\n"), "2001:db8::a");
  EXPECT_EQ(
      client(
          "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  EXPECT_EQ(client("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n"), "192.0.2.1") << "as HAProxy writes it";
  EXPECT_EQ(client("PROXY UNKNOWN\r\n"), "unknown");
  EXPECT_EQ(client("PROXY UNKNOWN whatever \x01\xff stands here\r\n"), "unknown");
  const std::string longest = "PROXY UNKNOWN " + std::string(kMostProxyLineOctets - 16, 'x') + "\r\n";
  ASSERT_EQ(longest.size(), kMostProxyLineOctets);
  EXPECT_EQ(client(longest), "unknown");
  EXPECT_EQ(client(longest.substr(0, longest.size() - 1)), "more");
  constexpr const char *kEnd = "CR LF", *kLong = "more than 107", *kFamily = "another family",
                       *kAddress = "with addresses", *kPort = "with ports";
  const std::pair<std::string, const char*> wrong[] = {
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", kEnd},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\r\n", kEnd},
      {"PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n", kEnd},
      {"PROXY UNKNOWN a\nb\r\n", kEnd},
      {std::string(longest).insert(20, "x"), kLong},
      {"PROXY UNKNOWN " + std::string(kMostProxyLineOctets - 14, 'x'), kLong},
      {"PROXY UNKNOWNS\r\n", kFamily},
      {"PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", kFamily},
      {"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", kFamily},
      {"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", kFamily},
      {"PROXY \r\n", kFamily},
      {"PROXY TCP4\r\n", kAddress},
      {"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", kAddress},
      {"PROXY TCP4 192.0.2.01 192.0.2.2 1 2\r\n", kAddress},
      {"PROXY TCP4 192.0.2.1 192.0.2 1 2\r\n", kAddress},
      {"PROXY TCP4 ::1 ::1 1 2\r\n", kAddress},
      {"PROXY TCP4 ::ffff:192.0.2.1 ::1 1 2\r\n", kAddress},
      {"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n", kAddress},
      {"PROXY TCP6 ::1 192.0.2.2 1 2\r\n", kAddress},
      {"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", kAddress},
      {"PROXY TCP4 192.0.2.1 192.0.2.2\r\n", kPort},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", kPort},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", kPort},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", kPort},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n", kPort},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", kPort},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n", kPort},
      {"PROXY TCP4 192.0.2.1 192.0.2.2 1 99999999999999999999\r\n", kPort},
  };
  for (const auto& [line, why] : wrong) EXPECT_THAT(client(line), HasSubstr(why)) << line;
}

TEST(ProxyHeader, OfAFamilyItDoesNotReadTheConnectionsOwnAddressCounts) {
  // Unspecified, UDP, local sockets: "falls back to the UNSPEC mode for the valid combinations".
  for (const int family : {0x00, 0x01, 0x02, 0x10, 0x12, 0x20, 0x22, 0x30, 0x31, 0x32}) {
    const auto header = read(binary(0x21, family, 216));
    ASSERT_TRUE(header && *header) << family;
    EXPECT_FALSE((**header).client) << family;
    EXPECT_FALSE((**header).own) << family;
    EXPECT_EQ((**header).octets, 16u + 216u) << family;
  }
  for (const int family : {0x13, 0x1F, 0x40, 0x41, 0xF1, 0x03}) EXPECT_FALSE(read(binary(0x21, family, 12))) << family;
  // Of the balancer's own connection the family is not even read.
  const auto own = read(binary(0x20, 0xFF, 3));
  ASSERT_TRUE(own && *own);
  EXPECT_TRUE((**own).own);
  EXPECT_EQ((**own).octets, 19u);
}

TEST(ProxyHeader, TheLengthIsWhatItSaysAndNeverLessThanTheAddresses) {
  const std::string four("\xC0\x00\x02\x01\xC0\x00\x02\x02\x00\x01\x00\x02", 12);
  for (const std::size_t length : {12u, 13u, 520u, 65'535u}) {
    const auto header = read(binary(0x21, 0x11, length, four));
    ASSERT_TRUE(header && *header) << length;
    EXPECT_EQ((**header).octets, 16 + length);
    EXPECT_EQ((**header).client->text(), "192.0.2.1");
  }
  for (std::size_t length = 0; length < 12; ++length) {
    EXPECT_FALSE(read(binary(0x21, 0x11, length, four))) << length;
  }
  for (std::size_t length = 0; length < 36; ++length) EXPECT_FALSE(read(binary(0x21, 0x21, length))) << length;
  // IPv4 within IPv6 is IPv4.
  const std::string mapped("\0\0\0\0\0\0\0\0\0\0\xFF\xFF\xC0\x00\x02\x01", 16);
  const auto header = read(binary(0x21, 0x21, 36, mapped + mapped + std::string(4, '\1')));
  ASSERT_TRUE(header && *header);
  EXPECT_EQ((**header).client->text(), "192.0.2.1");
}

TEST(ProxyHeader, ALoopbackAddressIsThatOfTheBalancersMachine) {
  const auto seen = [](const char* client, const char* balancer) {
    ProxyHeader header;
    if (client != nullptr) header.client = IpAddress::from_text(client);
    return client_of(header, *IpAddress::from_text(balancer)).text();
  };
  EXPECT_EQ(seen("192.0.2.1", "10.0.0.9"), "192.0.2.1");
  EXPECT_EQ(seen(nullptr, "10.0.0.9"), "10.0.0.9");
  for (const char* local : {"127.0.0.1", "127.1.2.3", "::1"}) {
    EXPECT_EQ(seen(local, "10.0.0.9"), "10.0.0.9");
    EXPECT_EQ(seen(local, "2001:db8::9"), "2001:db8::9");
    EXPECT_EQ(seen(local, "127.0.0.9"), local) << "on this machine";
  }
}

TEST(ProxyHeader, WhatIsNoneIsSeenAtItsFirstWrongOctet) {
  for (const std::string_view text :
       {std::string_view("G"), std::string_view("PRI * HTTP/2.0"), std::string_view("PROXY\t"),
        std::string_view("\r\r"), kTls, std::string_view("\0", 1), std::string_view("\r\n\r\n\0\r\nQUIT\r", 12)}) {
    const auto header = read(text);
    ASSERT_FALSE(header) << text;
    EXPECT_EQ(header.error().kind, ErrorKind::malformed);
  }
  for (const int octet : {0x11, 0x31, 0x01, 0x22, 0x2F, 0xA1}) {
    EXPECT_FALSE(read(std::string(kSignature) + static_cast<char>(octet))) << octet;
  }
}

}  // namespace
}  // namespace karta::service
