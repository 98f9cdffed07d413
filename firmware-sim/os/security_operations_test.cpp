// Keys at work: signing, deciphering, agreeing, generating and importing.
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "firmware-sim/os/card_fixture.h"

namespace karta::os {
namespace {

// Card-security 30: after every kind of use, no answer of any command holds an octet string of the private key.
TEST_F(CardTest, Behaviour30_PrivateKeysLeaveTheCardByNoCommand) {
  select_esign();
  create_key("4B01", 256);
  const Memory scalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
  EXPECT_EQ(run(apdu("00DA0187", scalar)).sw, 0x9000);
  Memory seen;
  for (int ins = 0; ins < 256; ++ins) {
    if (ins == 0xE4 || ins == 0xE6 || ins == 0xE8 || ins == 0x46 || ins == 0x04) continue;  // they end the key
    for (const int p1 : {0x00, 0x01, 0x41, 0x80, 0x81, 0x9E}) {
      for (const int p2 : {0x00, 0x01, 0x80, 0x86, 0x87, 0x9A, 0xA0, 0xA1, 0xB6}) {
        const Memory head = {0x00, static_cast<u8>(ins), static_cast<u8>(p1), static_cast<u8>(p2)};
        if (ins == 0xDA) continue;
        expect("00A4080C04 50154B01", 0x9000);
        const Answer answer = run(head + Memory{0});
        seen = seen + answer.data;
        seen = seen + run(head + Memory{0, 0, 0}).data;
      }
    }
  }
  const auto four = [&](const Memory& in, std::size_t at) {
    return std::search(in.begin(), in.end(), scalar.begin() + static_cast<long>(at),
                       scalar.begin() + static_cast<long>(at) + 4) != in.end();
  };
  for (std::size_t at = 0; at + 4 <= scalar.size(); ++at) EXPECT_FALSE(four(seen, at)) << at;
  EXPECT_FALSE(seen.empty());
  expect("00A4080C04 50154B01", 0x9000);
  EXPECT_EQ(to_hex(run("00CA018600").data).substr(0, 72),
            "8641"
            "0460FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
            "79");
  expect("00B0000000", 0x6981);
  expect("00D6000001 00", 0x6981);
}

// Card-security 31 (torn generation is in os_tear_test): the public key always matches.
TEST_F(CardTest, Behaviour31_GenerationReplacesThePairAndThePublicKeyMatches) {
  select_esign();
  create_key("4B01", 256);
  expect("00CA018600", 0x6985);
  generate();
  const Memory first = run("00CA018600").data;
  const Answer again = run("0046000000");
  ASSERT_EQ(again.sw, 0x9000);
  const Memory second = run("00CA018600").data;
  EXPECT_NE(first, second);
  EXPECT_EQ(to_hex(again.data), "7F4943" + to_hex(second));
  EXPECT_EQ(chip.ec_check_point(Curve::p256, ByteView(second).subspan(2)), HalStatus::ok);
}

// Card-security 32.
TEST_F(CardTest, Behaviour32_KeyPurposeIsEnforced) {
  issue_with_own_pins();
  EXPECT_EQ(verify(1, "123456"), 0x9000);
  mse("A4", "04", "4B01", 0x6985);  // a signature key agrees on nothing
  mse("B6", "04", "4B03", 0x6985);  // an agreement key signs nothing
  mse("B6", "00", "4B04", 0x6985);  // a deciphering key signs nothing
  mse("B8", "00", "4B04");
  EXPECT_EQ(sign(), 0x6985) << "and the environment for one operation serves no other";
  mse("B8", "00", "4B01", 0x6981);
  expect("00A4080C04 50154B03", 0x9000);
  const Memory point = run("00CA018600").data;
  mse("A4", "04", "4B03");
  const Answer shared =
      run(hex("00860000") + Memory{69, 0x7C, 67, 0x85, 65} + Memory(point.begin() + 2, point.end()) + Memory{32});
  EXPECT_EQ(shared.sw, 0x9000);
  EXPECT_EQ(shared.data.size(), 32u);
}

// Card-security 33.
TEST_F(CardTest, Behaviour33_QualifiedKeySignsOncePerVerifiedPin) {
  issue_with_own_pins();
  mse("B6", "04", "4B02");
  EXPECT_EQ(verify(1, "123456"), 0x9000);
  EXPECT_EQ(sign(), 0x6982) << "PIN 1 is not PIN 2";
  expect("00A4080C04 50154B02", 0x9000);
  expect("00460000", 0x6982);  // nor does it make a new qualified key
  EXPECT_EQ(verify(2, "654321"), 0x9000);
  EXPECT_EQ(sign(), 0x9000);
  EXPECT_EQ(sign(), 0x6982);
  EXPECT_EQ(status(2), 0x63C3);
  mse("B6", "04", "4B01");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(sign(), 0x9000) << "the everyday key goes on under PIN 1";
}

// Card-security 38: DELETE, GENERATE and wipe leave no copy of the old key anywhere in the memory.
TEST_F(CardTest, Behaviour38_DestroyedKeysLeaveNoCopy) {
  const Memory scalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
  const auto stored = [&] {
    return std::search(chip.memory.begin(), chip.memory.end(), scalar.begin(), scalar.end()) != chip.memory.end();
  };
  for (const char* end : {"00E40000", "00460000", "00DA01E008 FFFF000FFF000FFF"}) {
    select_esign();
    create_key("4B01", 256);
    EXPECT_EQ(run(apdu("00DA0187", scalar)).sw, 0x9000);
    ASSERT_TRUE(stored());
    expect(end, 0x9000);
    EXPECT_FALSE(stored()) << end;
    if (run("00A4080C04 50154B01").sw == 0x9000) expect("00E40000", 0x9000);
  }
}

Memory der_tlv(u8 tag, const Memory& value) {
  Memory out = {tag};
  if (value.size() >= 256) {
    out = out + Memory{0x82, static_cast<u8>(value.size() >> 8), static_cast<u8>(value.size())};
  } else if (value.size() >= 128) {
    out = out + Memory{0x81, static_cast<u8>(value.size())};
  } else {
    out.push_back(static_cast<u8>(value.size()));
  }
  return out + value;
}

using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using PkeyContext = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

Pkey parse_spki(const Memory& spki) {
  const u8* p = spki.data();
  return {d2i_PUBKEY(nullptr, &p, static_cast<long>(spki.size())), EVP_PKEY_free};
}

Pkey rsa_public_key(const Memory& modulus) {
  const Memory key = der_tlv(0x30, der_tlv(0x02, Memory{0} + modulus) + der_tlv(0x02, {1, 0, 1}));
  return parse_spki(der_tlv(0x30, hex("300D06092A864886F70D0101010500") + der_tlv(0x03, Memory{0} + key)));
}

Pkey ec_public_key(const std::string& curve_oid, const Memory& point) {
  return parse_spki(
      der_tlv(0x30, der_tlv(0x30, hex("06072A8648CE3D0201") + hex(curve_oid)) + der_tlv(0x03, Memory{0} + point)));
}

bool verifies(EVP_PKEY* key, const Memory& signature, const Memory& hash, const EVP_MD* md, bool pss) {
  const PkeyContext context(EVP_PKEY_CTX_new(key, nullptr), EVP_PKEY_CTX_free);
  if (EVP_PKEY_verify_init(context.get()) != 1) return false;
  if (md != nullptr && EVP_PKEY_CTX_set_signature_md(context.get(), md) != 1) return false;
  if (pss && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING) != 1) return false;
  return EVP_PKEY_verify(context.get(), signature.data(), signature.size(), hash.data(), hash.size()) == 1;
}

struct EcCase {
  u16 bits;
  const char* oid;
  std::size_t field;
};
class EcCardTest : public CardTest, public testing::WithParamInterface<EcCase> {};

TEST_P(EcCardTest, SignsHashesOfEveryLengthAndAgrees) {
  const EcCase& c = GetParam();
  select_esign();
  create_key("4B01", c.bits);
  generate();
  const Answer object = transmit(*card, "00CA0186", {}, true);
  ASSERT_EQ(object.sw, 0x9000);
  const Memory point(object.data.end() - static_cast<long>(2 * c.field + 1), object.data.end());
  const Pkey key = ec_public_key(c.oid, point);
  ASSERT_NE(key, nullptr);
  mse("B6", "04", "4B01");
  for (const std::size_t n : {20u, 28u, 32u, 48u, 64u}) {
    Memory hash(n);
    for (std::size_t i = 0; i < n; ++i) hash[i] = static_cast<u8>(0xF1 + i * 13);
    Memory sent = hash;  // as a terminal sends it: cut to the field, or zeros in front
    if (sent.size() > c.field) sent.resize(c.field);
    while (sent.size() < c.field) sent.insert(sent.begin(), 0);
    const Answer answer = transmit(*card, "002A9E9A", sent);
    ASSERT_EQ(answer.sw, 0x9000);
    EXPECT_TRUE(verifies(key.get(), answer.data, hash, nullptr, false)) << n;
    EXPECT_TRUE(verifies(key.get(), transmit(*card, "002A9E9A", hash).data, hash, nullptr, false)) << n << " unpadded";
  }
  mse("A4", "04", "4B01");
  u8 scalar[kMaxFieldBytes];
  Memory theirs(point.size());
  ASSERT_EQ(chip.ec_generate(c.bits == 256   ? Curve::p256
                             : c.bits == 384 ? Curve::p384
                                             : Curve::p521,
                             ByteSpan(scalar).first(c.field), theirs),
            HalStatus::ok);
  const Memory request = der_tlv(0x7C, der_tlv(0x85, theirs));
  const Answer shared = transmit(*card, "00860000", request);
  ASSERT_EQ(shared.sw, 0x9000);
  Memory expected(c.field);
  ASSERT_EQ(chip.ec_agree(c.bits == 256   ? Curve::p256
                          : c.bits == 384 ? Curve::p384
                                          : Curve::p521,
                          ByteView(scalar).first(c.field), point, expected),
            HalStatus::ok);
  EXPECT_EQ(shared.data, expected);
  Memory off_curve = theirs;
  off_curve.back() ^= 1;
  EXPECT_EQ(transmit(*card, "00860000", der_tlv(0x7C, der_tlv(0x85, off_curve))).sw, 0x6A80);
}

INSTANTIATE_TEST_SUITE_P(Curves, EcCardTest,
                         testing::Values(EcCase{256, "06082A8648CE3D030107", 32}, EcCase{384, "06052B81040022", 48},
                                         EcCase{521, "06052B81040023", 66}));

class RsaCardTest : public CardTest, public testing::WithParamInterface<u16> {};

TEST_P(RsaCardTest, SignsAndDeciphersChainedAndByHalves) {
  const u16 bits = GetParam();
  const std::size_t k = bits / 8U;
  select_esign();
  create_key("4B01", bits);
  expect("0046000007 3005 8103010001", 0x9000);
  expect("0046000007 3005 8103010003", 0x6A80);
  const Memory modulus = transmit(*card, "00CA0101", {}).data;
  ASSERT_EQ(modulus.size(), k);
  EXPECT_EQ(to_hex(run("00CA010200").data), "010001");
  const Pkey key = rsa_public_key(modulus);
  ASSERT_NE(key, nullptr);

  const Memory hash(32, 0x3C);
  const Memory digest_info = hex("3031300D060960864801650304020105000420") + hash;
  mse("B6", "02", "4B01");
  const Answer pkcs1 = transmit(*card, "002A9E9A", digest_info);
  ASSERT_EQ(pkcs1.sw, 0x9000);
  EXPECT_TRUE(verifies(key.get(), pkcs1.data, hash, EVP_sha256(), false));

  mse("B6", "12", "4B01");
  const Memory sha1(20, 0x77);
  EXPECT_TRUE(verifies(key.get(), transmit(*card, "002A9E9A", sha1).data, sha1, EVP_sha1(), false));

  mse("B6", "00", "4B01");
  Memory block = Memory{0x00, 0x01} + Memory(k - 3 - digest_info.size(), 0xFF) + Memory{0x00} + digest_info;
  const Answer raw = transmit(*card, "002A9E9A", block);
  EXPECT_EQ(raw.data, pkcs1.data) << "the same block, padded outside";
  expect("002A9E9A02 0001 00", 0x6700);
  EXPECT_EQ(transmit(*card, "002A9E9A", Memory(k, 0xFF)).sw, 0x6A80) << "not below the modulus";

  const Memory message = text("made-up plaintext");
  const PkeyContext context(EVP_PKEY_CTX_new(key.get(), nullptr), EVP_PKEY_CTX_free);
  ASSERT_EQ(EVP_PKEY_encrypt_init(context.get()), 1);
  Memory cryptogram(k);
  std::size_t n = k;
  ASSERT_EQ(EVP_PKEY_encrypt(context.get(), cryptogram.data(), &n, message.data(), message.size()), 1);
  mse("B8", "02", "4B01");
  EXPECT_EQ(transmit(*card, "002A8086", Memory{0x00} + cryptogram).data, message);
  Memory bad = cryptogram;
  bad[k / 2] ^= 1;
  EXPECT_EQ(transmit(*card, "002A8086", Memory{0x00} + bad).sw, 0x6A80);
  mse("B8", "00", "4B01");
  const Memory first(cryptogram.begin(), cryptogram.begin() + static_cast<long>(k / 2));
  const Memory second(cryptogram.begin() + static_cast<long>(k / 2), cryptogram.end());
  EXPECT_EQ(transmit(*card, "002A8086", Memory{0x81} + first, false).sw, 0x9000);
  const Answer plain = transmit(*card, "002A8086", Memory{0x82} + second);
  ASSERT_EQ(plain.data.size(), k);
  EXPECT_EQ(Memory(plain.data.end() - static_cast<long>(message.size()), plain.data.end()), message);
  EXPECT_EQ(transmit(*card, "002A8086", Memory{0x82} + second).sw, 0x6985) << "a half alone is nothing";
}

INSTANTIATE_TEST_SUITE_P(Sizes, RsaCardTest, testing::Values(1024, 2048, 3072));

TEST_F(CardTest, ImportsAnRsaKeyPartByPartAndRefusesOneThatDoesNotWork) {
  Memory parts(128 + 5 * 64);
  const ByteSpan all(parts);
  ASSERT_EQ(chip.rsa_generate({.modulus = all.first(128),
                               .prime_p = all.subspan(128, 64),
                               .prime_q = all.subspan(192, 64),
                               .exponent_p = all.subspan(256, 64),
                               .exponent_q = all.subspan(320, 64),
                               .coefficient = all.subspan(384, 64)}),
            HalStatus::ok);
  const auto part = [&](std::size_t at, std::size_t n) {
    return Memory{0} + Memory(parts.begin() + static_cast<long>(at), parts.begin() + static_cast<long>(at + n));
  };
  select_esign();
  create_key("4B01", 1024);
  const std::vector<std::pair<std::string, Memory>> puts = {{"00DA0183", part(128, 64)}, {"00DA0184", part(192, 64)},
                                                            {"00DA0185", part(256, 64)}, {"00DA0186", part(320, 64)},
                                                            {"00DA0187", part(384, 64)}, {"00DA0180", part(0, 128)},
                                                            {"00DA0181", {1, 0, 1}}};
  for (const auto& [header, value] : puts) {
    expect("00CA010100", 0x6985);
    EXPECT_EQ(run(apdu(header, value)).sw, 0x9000) << header;
  }
  EXPECT_EQ(run("00CA010100").data, Memory(parts.begin(), parts.begin() + 128));
  mse("B6", "02", "4B01");
  EXPECT_EQ(transmit(*card, "002A9E9A", Memory(20, 1)).sw, 0x9000);

  // A new import ends the old key at once; parts that do not belong together are refused as a whole.
  EXPECT_EQ(run(apdu("00DA0183", part(192, 64))).sw, 0x9000);
  EXPECT_EQ(transmit(*card, "002A9E9A", Memory(20, 1)).sw, 0x6985);
  for (std::size_t i = 1; i + 1 < puts.size(); ++i) EXPECT_EQ(run(apdu(puts[i].first, puts[i].second)).sw, 0x9000);
  EXPECT_EQ(run(apdu(puts.back().first, puts.back().second)).sw, 0x6A80);
  expect("00CA010100", 0x6985);
  expect("00DA018301 00", 0x6A80);
  EXPECT_EQ(run(apdu("00DA0183", Memory(65, 0xFF))).sw, 0x6A80);
}

TEST_F(CardTest, ImportsAnEcKeyAndChecksItsPoint) {
  const Memory scalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
  select_esign();
  create_key("4B01", 256);
  Memory point(65);
  ASSERT_EQ(chip.ec_public_point(Curve::p256, scalar, point), HalStatus::ok);
  EXPECT_EQ(run(apdu("00DA0186", point)).sw, 0x6985);
  EXPECT_EQ(run(apdu("00DA0187", Memory(32, 0xFF))).sw, 0x6A80) << "not below the order";
  EXPECT_EQ(run(apdu("00DA0187", scalar)).sw, 0x9000);
  EXPECT_EQ(run(apdu("00DA0186", point)).sw, 0x9000);
  mse("B6", "04", "4B01");
  EXPECT_EQ(sign(), 0x9000);
  point[64] ^= 1;
  EXPECT_EQ(run(apdu("00DA0186", point)).sw, 0x6A80);
  EXPECT_EQ(sign(), 0x6985) << "a pair that does not match is destroyed";
}

}  // namespace
}  // namespace karta::os
