#include "crypto/aes.h"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "crypto/kdf.h"

namespace karta::crypto {
namespace {

nlohmann::json vectors(const char* name) {
  std::ifstream file(std::string(KARTA_SOURCE_DIR "/tests/vectors/") + name);
  return nlohmann::json::parse(file);
}

Bytes octets(const nlohmann::json& hex) {
  auto read = from_hex(hex.get<std::string>());
  if (!read) {
    ADD_FAILURE() << "vectors: " << read.error().message;
    return {};
  }
  return std::move(*read);
}
SecretBytes key_of(const char* hex) { return SecretBytes(*from_hex(hex)); }

TEST(AesCmac, GivesThePublishedChecksums) {
  unsigned tried = 0;
  const nlohmann::json file = vectors("aes_cmac.json");
  for (const auto& entry : file.at("entries")) {
    const Bytes message = octets(entry.at("message"));
    const SecretBytes key(octets(entry.at("key")));
    const AesBlock whole = aes_cmac(key, {message});
    EXPECT_EQ(to_hex(whole), entry.at("mac")) << entry.at("id");
    // The same in parts, wherever they are cut.
    const std::size_t cut = message.size() / 3;
    EXPECT_EQ(aes_cmac(key, {ByteView(message).first(cut), {}, ByteView(message).subspan(cut)}), whole);
    ++tried;
  }
  EXPECT_EQ(tried, 12u);
}

// FIPS 197 appendix C: one plaintext, three key lengths.
TEST(Aes, EncryptsTheBlocksOfFips197) {
  AesBlock block;
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::uint8_t>(0x11 * i);
  const auto with = [&](const char* key) { return to_hex(aes_encrypt_block(key_of(key), block)); };
  EXPECT_EQ(with("000102030405060708090a0b0c0d0e0f"), "69c4e0d86a7b0430d8cdb78070b4c55a");
  EXPECT_EQ(with("000102030405060708090a0b0c0d0e0f1011121314151617"), "dda97ca4864cdfe06eaf70a0ec0d7191");
  EXPECT_EQ(with("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"),
            "8ea2b7ca516745bfeafc49904b496089");
}

// SP 800-38A F.2.1 and F.2.5: CBC, first two blocks.
TEST(Aes, ChainsBlocksBothWays) {
  AesBlock iv;
  for (std::size_t i = 0; i < iv.size(); ++i) iv[i] = static_cast<std::uint8_t>(i);
  const Bytes plain = *from_hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
  const struct {
    const char* key;
    const char* cryptogram;
  } rows[] = {
      {"2b7e151628aed2a6abf7158809cf4f3c", "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"},
      {"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
       "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"},
  };
  for (const auto& row : rows) {
    const SecretBytes key = key_of(row.key);
    EXPECT_EQ(to_hex(aes_cbc_encrypt(key, iv, plain)), row.cryptogram);
    EXPECT_EQ(aes_cbc_decrypt(key, iv, *from_hex(row.cryptogram)), plain);
  }
  EXPECT_TRUE(aes_cbc_encrypt(key_of(rows[0].key), iv, {}).empty());
}

TEST(Padding, AlwaysAddsAndComesOffAgain) {
  for (std::size_t size : {0u, 1u, 15u, 16u, 17u, 32u}) {
    Bytes message(size, 0x00);  // zeros: what a careless reader would take off too
    pad_iso9797(message);
    EXPECT_EQ(message.size() % kAesBlock, 0u);
    EXPECT_GT(message.size(), size);
    const auto back = unpadded_iso9797(message);
    ASSERT_TRUE(back);
    EXPECT_EQ(*back, size);
  }
  EXPECT_FALSE(unpadded_iso9797(Bytes(16, 0x00)));
  EXPECT_FALSE(unpadded_iso9797(Bytes(16, 0x01)));
  EXPECT_FALSE(unpadded_iso9797({}));
}

// NIST CAVP's answers for ANSI X9.63 (SHA-256, shared secret 192 bits, no shared info).
TEST(X963, DerivesAsPublished) {
  const SecretBytes secret = key_of("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08");
  EXPECT_EQ(to_hex(x963_kdf(Hash::sha256, secret, {}, 16).expose_secret()), "443024c3dae66b95e6f5670601558f71");
  // Longer answers begin with the shorter ones.
  const SecretBytes info = key_of("00112233");
  const SecretBytes longer = x963_kdf(Hash::sha256, secret, info.expose_secret(), 100);
  EXPECT_TRUE(x963_kdf(Hash::sha256, secret, info.expose_secret(), 33).equals(longer.expose_secret().first(33)));
}

}  // namespace
}  // namespace karta::crypto
