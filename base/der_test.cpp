#include "base/der.h"

#include <gtest/gtest.h>

namespace karta::der {
namespace {

// X.690 §8.19.5: {joint-iso-itu-t(2) 100 3} is 06 03 81 34 03.
TEST(Der, OidMatchesX690) {
  EXPECT_EQ(to_hex(oid("2.100.3")), "0603813403");
  EXPECT_EQ(to_hex(oid("1.2.840.113549.1.1.11")), "06092a864886f70d01010b");
  // X.667 §9: the UUID f81d4fae-7dec-11d0-a765-00a0c91e6bf6 as an OID.
  const char* const uuid = "2.25.329800735698586629295641978511506172918";
  EXPECT_EQ(to_hex(*oid_from_text(uuid)), "6983f09da7ebcfdee0c7a1a7b2c0948cc8f9d776");
  EXPECT_EQ(oid_to_text(*oid_from_text(uuid)), uuid);
}

TEST(Der, OidTextGoesThereAndBack) {
  for (const char* text : {"0.0", "1.39.1", "2.999", "1.3.6.1.4.1.311.20.2.2", "2.25.18446744073709551615"}) {
    EXPECT_EQ(oid_to_text(*oid_from_text(text)), text);
  }
  for (const char* text : {"", "1", "3.1", "1.40", "1..2", "1.2.", ".1.2", "1.a", "1.-2",
                           "2.25.999999999999999999999999999999999999999999"})
    EXPECT_FALSE(oid_from_text(text)) << text;
}

TEST(Der, IntegersAreShortestAndNonNegative) {
  EXPECT_EQ(to_hex(integer(0)), "020100");
  EXPECT_EQ(to_hex(integer(127)), "02017f");
  EXPECT_EQ(to_hex(integer(128)), "02020080");
  EXPECT_EQ(to_hex(unsigned_integer(*from_hex("000000ff"))), "020200ff");
  EXPECT_EQ(*Reader(integer(65537)).small_integer(), 65537u);
  for (const char* hex : {"0200", "02020001", "0202FF80", "0201FF", "0208800000000000000A"}) {
    const Bytes input = *from_hex(hex);
    EXPECT_FALSE(Reader(input).small_integer()) << hex;
  }
}

TEST(Der, NamedBitsDropTrailingZeros) {
  EXPECT_EQ(to_hex(named_bits(0b1, 9)), "03020780");        // digitalSignature
  EXPECT_EQ(to_hex(named_bits(0b1100000, 9)), "03020106");  // keyCertSign, cRLSign
  EXPECT_EQ(to_hex(named_bits(0, 9)), "030100");
  const Bytes usage = named_bits(0b1100000, 9);
  const Reader::Bits bits = *Reader(usage).bits();
  EXPECT_TRUE(bits.test(5));
  EXPECT_FALSE(bits.test(0));
  EXPECT_FALSE(bits.test(100));
}

TEST(Der, TimesChooseTheirTypeByYear) {
  EXPECT_EQ(as_text(Reader(time(*parse_time("2049-12-31T23:59:59Z"))).any()->value), "491231235959Z");
  EXPECT_EQ(as_text(Reader(time(*parse_time("2050-01-01"))).any()->value), "20500101000000Z");
  for (const char* text : {"1950-01-01T00:00:00Z", "2026-11-21T08:30:00Z", "2999-01-01T00:00:00Z"}) {
    const Bytes encoded = time(*parse_time(text));
    EXPECT_EQ(format_time(*Reader(encoded).time()), text);
  }
  for (const char* bad : {"2611210830Z", "261121083000+0300", "261321083000Z", "2611210830xxZ", "261121083060Z"}) {
    EXPECT_FALSE(Reader(make_tlv(kUtcTime, as_bytes(bad))).time()) << bad;
  }
}

TEST(Der, SetOfIsSorted) { EXPECT_EQ(to_hex(set_of({integer(2), integer(1)})), "3106020101020102"); }

TEST(Der, StrictAboutBooleansNullsAndBits) {
  for (const char* hex : {"010101", "01020000", "0500FF"}) {
    const Bytes input = *from_hex(hex);
    Reader reader(input);
    if (input[0] == 1) {
      EXPECT_FALSE(reader.boolean()) << hex;
    } else {
      EXPECT_TRUE(reader.null());
      EXPECT_FALSE(reader.finish()) << hex;
    }
  }
  EXPECT_FALSE(Reader(*from_hex("03020801")).bits());
  EXPECT_FALSE(Reader(*from_hex("030101")).bits());
  EXPECT_FALSE(Reader(*from_hex("03020101")).bits());
  EXPECT_FALSE(Reader(*from_hex("0300")).bits());
}

TEST(Der, EnterReadsNestedValues) {
  const Bytes both = sequence({integer(1), sequence({utf8("да"), null()})});
  Reader reader(both);
  Reader outer = *reader.enter(kSequence);
  EXPECT_EQ(*outer.small_integer(), 1u);
  Reader inner = *outer.enter(kSequence);
  EXPECT_EQ(*inner.text(), "да");
  EXPECT_TRUE(inner.null());
  EXPECT_TRUE(inner.finish());
  EXPECT_TRUE(outer.finish());
  EXPECT_TRUE(reader.finish());
}

}  // namespace
}  // namespace karta::der
