#include "crypto/web_eid.h"

#include <gtest/gtest.h>

#include "crypto/digest.h"
#include "crypto/jose/json_object.h"
#include "crypto/signer.h"
#include "crypto/testing.h"

namespace karta::crypto {
namespace {

using testing::must;
using testing::test_key;

constexpr std::string_view kOrigin = "https://id.example", kNonce = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

std::string token_of(KeyType type, AlgorithmId algorithm, std::string_view origin = kOrigin,
                     std::string_view nonce = kNonce) {
  const Bytes signature = must(test_key(type).sign_digest(algorithm, web_eid_hash(algorithm, origin, nonce)));
  return must(write_web_eid_token(Bytes{0x30, 0x00}, test_key(type).public_key(), algorithm, signature));
}

TEST(WebEid, ATokenIsForOneOriginAndOneNonce) {
  for (const auto& [type, pss] : {std::pair{KeyType::p256, false},
                                  {KeyType::p384, false},
                                  {KeyType::p521, false},
                                  {KeyType::rsa_2048, false},
                                  {KeyType::rsa_2048, true}}) {
    const PublicKey& key = test_key(type).public_key();
    const auto algorithm = web_eid_algorithm(key, pss);
    ASSERT_TRUE(algorithm);
    const WebEidToken token = must(parse_web_eid_token(token_of(type, *algorithm)));
    EXPECT_EQ(token.algorithm, *algorithm);
    EXPECT_EQ(token.certificate, (Bytes{0x30, 0x00}));
    EXPECT_TRUE(verify_web_eid(token, key, kOrigin, kNonce));
    for (const std::string_view other : {"https://id.example:443", "http://id.example", "https://id.example/", ""}) {
      EXPECT_EQ(verify_web_eid(token, key, other, kNonce).error().kind, ErrorKind::invalid_signature) << other;
    }
    EXPECT_FALSE(verify_web_eid(token, key, kOrigin, kNonce.substr(1)));
    EXPECT_FALSE(verify_web_eid(token, key, kNonce, kOrigin));
  }
}

// The fields are kept apart by hashing each: the specification's own example of what must not be the same.
TEST(WebEid, OriginAndNonceCannotFlowIntoOneAnother) {
  EXPECT_NE(web_eid_hash(AlgorithmId::ecdsa_sha256, "example.com", ".eu1234"),
            web_eid_hash(AlgorithmId::ecdsa_sha256, "example.com.eu", "1234"));
  const Bytes inner = concat({digest(Hash::sha384, as_bytes("o")), digest(Hash::sha384, as_bytes("n"))});
  EXPECT_EQ(web_eid_hash(AlgorithmId::ecdsa_sha384, "o", "n"), digest(Hash::sha384, inner));
}

TEST(WebEid, KeysTheFormatHasNoNameForMakeNone) {
  for (const KeyType type : {KeyType::brainpool_p256r1, KeyType::ed25519, KeyType::gost_256_a}) {
    EXPECT_FALSE(web_eid_algorithm(test_key(type).public_key())) << row_of(type).name;
  }
  EXPECT_EQ(web_eid_algorithm(test_key(KeyType::rsa_2048).public_key()), AlgorithmId::rsa_pkcs1_sha256);
  EXPECT_EQ(web_eid_algorithm(test_key(KeyType::rsa_2048).public_key(), true), AlgorithmId::rsa_pss_sha256);
  EXPECT_EQ(write_web_eid_token(Bytes(1), test_key(KeyType::p256).public_key(), AlgorithmId::ecdsa_sha384, Bytes(64))
                .error()
                .kind,
            ErrorKind::unsupported);
}

TEST(WebEid, AlgorithmOfTheTokenMustBeTheKeys) {
  const WebEidToken token = must(parse_web_eid_token(token_of(KeyType::p256, AlgorithmId::ecdsa_sha256)));
  EXPECT_EQ(verify_web_eid(token, test_key(KeyType::p384).public_key(), kOrigin, kNonce).error().kind,
            ErrorKind::not_permitted);
  EXPECT_EQ(verify_web_eid(token, test_key(KeyType::rsa_2048).public_key(), kOrigin, kNonce).error().kind,
            ErrorKind::not_permitted);
}

TEST(WebEid, ReadsMembersStrictly) {
  const std::string good = token_of(KeyType::p256, AlgorithmId::ecdsa_sha256);
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string out = good;
    const std::size_t at = out.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return parse_web_eid_token(out.replace(at, from.size(), to));
  };
  EXPECT_TRUE(with("web-eid:1.0", "web-eid:1.1"));
  for (const char* format : {"web-eid:2.0", "web-eid:1", "web-eid:1.", "web-eid:10", "web-eid:1.x", "other", ""}) {
    EXPECT_EQ(with("web-eid:1.0", format).error().kind, ErrorKind::unsupported) << format;
  }
  for (const char* algorithm : {"none", "HS256", "EdDSA", "es256", ""}) {
    EXPECT_EQ(with("\"ES256\"", "\"" + std::string(algorithm) + "\"").error().kind, ErrorKind::unsupported)
        << algorithm;
  }
  EXPECT_EQ(with("\"ES256\"", "7").error().kind, ErrorKind::malformed);
  EXPECT_EQ(with("MAA=", "MAA").error().kind, ErrorKind::malformed);
  EXPECT_EQ(with("MAA=", "").error().kind, ErrorKind::malformed);
  EXPECT_EQ(with("{", R"({"signature":"AAAA",)").error().kind, ErrorKind::malformed);
  EXPECT_EQ(with("\"signature\"", "\"sig\"").error().kind, ErrorKind::malformed);
  EXPECT_EQ(with("{", "{" + std::string(20'000, ' ')).error().kind, ErrorKind::limit);
}

}  // namespace
}  // namespace karta::crypto
