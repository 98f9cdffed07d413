#include "service/ip_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace karta::service {
namespace {

using testing::HasSubstr;

TEST(IpAddress, IsReadAndWritten) {
  for (const char* text : {"192.0.2.1", "0.0.0.0", "255.255.255.255", "::", "::1", "2001:db8::1"}) {
    const auto address = IpAddress::from_text(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->text(), text);
    EXPECT_EQ(address->is_v6(), std::string_view(text).find(':') != std::string_view::npos);
    EXPECT_EQ(IpAddress::from_octets(address->octets()), address);
  }
  EXPECT_EQ(IpAddress::from_text("2001:DB8:0:0:0:0:0:1")->text(), "2001:db8::1");
}

TEST(IpAddress, IPv4WithinIPv6IsIPv4) {
  const auto mapped = IpAddress::from_text("::ffff:192.0.2.1");
  ASSERT_TRUE(mapped);
  EXPECT_FALSE(mapped->is_v6());
  EXPECT_EQ(mapped, IpAddress::from_text("192.0.2.1"));
}

TEST(IpAddress, LoopbackIsKnown) {
  for (const char* text : {"127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(IpAddress::from_text(text)->is_loopback()) << text;
  for (const char* text : {"128.0.0.1", "0.0.0.0", "::", "::2", "1::1", "::7f00:1"})
    EXPECT_FALSE(IpAddress::from_text(text)->is_loopback()) << text;
}

TEST(IpAddress, NothingElseIsOne) {
  for (const char* text : {"", "1", "192.0.2", "192.0.2.01", "192.0.2.256", "192.0.2.1 ", " 192.0.2.1", "192.0.2.1:80",
                           "localhost", "[::1]", "::1%eth0", ":::1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "fffff::"}) {
    EXPECT_FALSE(IpAddress::from_text(text)) << text;
  }
  EXPECT_FALSE(IpAddress::from_text(std::string_view("192.0.2.1\0", 10)));
  for (std::size_t size : {0u, 3u, 5u, 15u, 17u}) EXPECT_FALSE(IpAddress::from_octets(Bytes(size))) << size;
}

TEST(Network, ContainsWhatBeginsWithItsBits) {
  struct Row {
    const char *network, *address;
    bool inside;
  };
  constexpr Row kRows[] = {
      {"10.0.0.0/8", "10.255.0.1", true},
      {"10.0.0.0/8", "11.0.0.1", false},
      {"192.0.2.128/25", "192.0.2.128", true},
      {"192.0.2.128/25", "192.0.2.127", false},
      {"192.0.2.4/30", "192.0.2.7", true},
      {"192.0.2.4/30", "192.0.2.8", false},
      {"192.0.2.7", "192.0.2.7", true},
      {"192.0.2.7", "192.0.2.6", false},
      {"192.0.2.7/32", "192.0.2.7", true},
      {"0.0.0.0/0", "203.0.113.9", true},
      {"0.0.0.0/0", "::1", false},
      {"::/0", "127.0.0.1", false},
      {"10.0.0.0/8", "::ffff:10.1.2.3", true},
      {"2001:db8::/32", "2001:db8:ffff::1", true},
      {"2001:db8::/32", "2001:db9::", false},
      {"2001:db8:8000::/33", "2001:db8:7fff::", false},
      {"::1", "::1", true},
      {"::1", "::2", false},
  };
  for (const Row& row : kRows) {
    const auto network = Network::from_text(row.network);
    ASSERT_TRUE(network) << row.network;
    EXPECT_EQ(network->contains(*IpAddress::from_text(row.address)), row.inside) << row.network << " " << row.address;
  }
}

TEST(Network, WhatIsUnclearIsNone) {
  for (const char* text :
       {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8 ", "10.0.0.0/8/8", "::/129", "10/8", "any"}) {
    const auto network = Network::from_text(text);
    ASSERT_FALSE(network) << text;
    EXPECT_THAT(network.error().message, HasSubstr("is no address and no network")) << text;
  }
  for (const char* text : {"10.0.0.1/8", "192.0.2.3/31", "2001:db8::1/64", "0.0.0.1/0"}) {
    const auto network = Network::from_text(text);
    ASSERT_FALSE(network) << text;
    EXPECT_THAT(network.error().message, HasSubstr("bits behind its length")) << text;
  }
  EXPECT_THAT(Network::from_text("::ffff:10.0.0.0/104").error().hint, HasSubstr("as IPv4"));
}

}  // namespace
}  // namespace karta::service
