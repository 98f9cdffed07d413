#include "card/pkcs15.h"

#include <gtest/gtest.h>

namespace karta::card {
namespace {

// Written = read back, for every directory file.

TEST(Pkcs15, EfDir) {
  const std::vector<ApplicationTemplate> applications = {{*from_hex("A000000063504B43532D3135"), "KARTA", Path{0x5015}},
                                                         {*from_hex("E80704007F00070302"), "", {}}};
  const Bytes content = encode_ef_dir(applications);
  EXPECT_EQ(to_hex(content), "611b4f0ca000000063504b43532d313550054b4152544151043f005015610b4f09e80704007f00070302");
  EXPECT_EQ(*parse_ef_dir(content), applications);
  // As pkcs15-init leaves it: padded.
  EXPECT_EQ(*parse_ef_dir(concat({content, Bytes(40, 0x00)})), applications);
  EXPECT_EQ(*parse_ef_dir(concat({content, Bytes(40, 0xFF)})), applications);
  EXPECT_FALSE(parse_ef_dir(ByteView(content).first(20)));
  EXPECT_FALSE(parse_ef_dir(*from_hex("61024f00")));
}

TEST(Pkcs15, TokenInfoFile) {
  const TokenInfo info{0, *from_hex("00112233445566778899"), "karta", "KARTA",
                       token_flag::prn_generation | token_flag::eid_compliant};
  const Bytes content = encode_token_info(info);
  EXPECT_EQ(to_hex(content), "3021020100040a001122334455667788990c056b6172746180054b4152544103020430");
  EXPECT_EQ(*parse_token_info(content), info);
  EXPECT_FALSE(parse_token_info(Bytes{}));
}

TEST(Pkcs15, Odf) {
  const std::vector<DirectoryEntry> entries = {{Directory::private_keys, Path{0x5015, 0x4402}},
                                               {Directory::authentication, Path{0x5015, 0x4401}}};
  const Bytes content = encode_odf(entries);
  EXPECT_EQ(to_hex(content), "a00a300804063f0050154402a80a300804063f0050154401");
  EXPECT_EQ(*parse_odf(concat({content, Bytes(200, 0)})), entries);
}

TEST(Pkcs15, Aodf) {
  PinObject pin;
  pin.head = {"PIN2", object_flag::is_private, {}, 0};
  pin.id = {0x02};
  pin.flags = pin_flag::local | pin_flag::initialized | pin_flag::needs_padding;
  pin.min_length = 5;
  pin.stored_length = 8;
  pin.max_length = 8;
  pin.reference = 2;
  pin.pad = 0xFF;
  pin.path = Path{kDfESign};
  const std::vector<PinObject> pins = {pin};
  EXPECT_EQ(*parse_aodf(encode_aodf(pins)), pins);
}

TEST(Pkcs15, PrivateKeys) {
  PrivateKeyObject ec;
  ec.head = {"QES", object_flag::is_private, {0x02}, 1};
  ec.id = {0x03};
  ec.usage = key_usage::sign | key_usage::non_repudiation;
  ec.access = key_access::sensitive | key_access::local;
  ec.key_reference = 0;
  ec.location = {Path{0x5015, 0x4B16}, 0, 0};
  ec.bits = 256;
  PrivateKeyObject rsa = ec;
  rsa.family = KeyFamily::rsa;
  rsa.bits = 3072;
  rsa.head.user_consent = 0;
  rsa.key_reference.reset();
  const std::vector<PrivateKeyObject> keys = {ec, rsa};
  EXPECT_EQ(*parse_prkdf(encode_prkdf(keys)), keys);
}

TEST(Pkcs15, PublicKeysByPlaceAndByValue) {
  PublicKeyObject by_value;
  by_value.head.label = "AUT";
  by_value.id = {0x01};
  by_value.usage = key_usage::verify;
  by_value.value = {1, 2, 3};
  by_value.bits = 256;
  PublicKeyObject by_place = by_value;
  by_place.value.clear();
  by_place.family = KeyFamily::rsa;
  by_place.location = Location{Path{0x5015, 0x5501}, 0, 0};
  const std::vector<PublicKeyObject> keys = {by_value, by_place};
  EXPECT_EQ(*parse_pukdf(encode_pukdf(keys)), keys);
}

TEST(Pkcs15, Certificates) {
  const std::vector<CertificateObject> certificates = {
      {{"AUT", 0, {}, 0}, {0x01}, false, Location{Path{0x5015, 0x4308}, 0, 0}, {}},
      {{"Issuing CA", 0, {}, 0}, {0xC0}, true, Location{Path{0x5015, 0x430C}, 16, 700}, {}}};
  EXPECT_EQ(*parse_cdf(encode_cdf(certificates)), certificates);
}

TEST(Pkcs15, DataObjects) {
  const std::vector<DataObject> objects = {
      {{"note", object_flag::modifiable, {}, 0}, "karta", "1.2.643.100.3", Location{Path{0x5015, 0x4601}, 0, 0}, {}}};
  EXPECT_EQ(*parse_dodf(encode_dodf(objects)), objects);
}

TEST(Pkcs15, LimitsAreKept) {
  std::vector<CertificateObject> many(kMaxObjects + 1);
  for (auto& certificate : many) {
    certificate.id = {1};
    certificate.location = Location{Path{0x5015, 0x4308}, 0, 0};
  }
  EXPECT_EQ(parse_cdf(encode_cdf(many)).error().kind, ErrorKind::limit);
  many.pop_back();
  EXPECT_EQ(parse_cdf(encode_cdf(many))->size(), kMaxObjects);
}

// Every cut and every flipped octet is read or refused, nothing else.
TEST(Pkcs15, BrokenFilesAreRefusedOrRead) {
  PrivateKeyObject key;
  key.head = {"SIG", 1, {0x01}, 0};
  key.id = {0x02};
  key.usage = key_usage::sign;
  key.location = {Path{0x5015, 0x4B15}, 0, 0};
  key.bits = 384;
  const Bytes content = encode_prkdf({key});
  for (std::size_t cut = 1; cut < content.size(); ++cut) {
    EXPECT_FALSE(parse_prkdf(ByteView(content).first(cut))) << cut;
  }
  for (std::size_t at = 0; at < content.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes broken = content;
      broken[at] = static_cast<std::uint8_t>(broken[at] ^ 1u << bit);
      const auto read = parse_prkdf(broken);
      if (read) {
        EXPECT_LE(read->size(), 1u);
      }
    }
  }
}

}  // namespace
}  // namespace karta::card
