#include <gtest/gtest.h>

#include "base/base64url.h"
#include "crypto/jose/jwk.h"
#include "crypto/jose/jws.h"
#include "crypto/jose/jwt.h"
#include "crypto/testing.h"

namespace karta::crypto {
namespace {

using namespace std::chrono_literals;
using testing::must;
using testing::test_key;

std::string jose(std::string_view header, std::string_view payload, std::string_view signature = "AAAA") {
  return to_base64url(as_bytes(header)) + "." + to_base64url(as_bytes(payload)) + "." + std::string(signature);
}

// RFC 7515 appendix A, RFC 8037 appendix A: keys and tokens as they are printed there.
constexpr std::string_view kRsaKey =
    R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})";
constexpr std::string_view kRsaToken =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnV"
    "lfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr"
    "7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12j"
    "zDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe"
    "77Rw";
constexpr std::string_view kEs256Key =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})";
constexpr std::string_view kEs256Token =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnV"
    "lfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
constexpr std::string_view kEs512Key =
    R"({"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"})";
constexpr std::string_view kEs512Token =
    "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0"
    "aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn";
constexpr std::string_view kEd25519Key =
    R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";
constexpr std::string_view kEd25519Token =
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4"
    "iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
constexpr std::string_view kHs256Token =
    "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNv"
    "bS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

TEST(Base64Url, IsWhatRfc7515Prints) {
  // RFC 7515 appendix C
  EXPECT_EQ(to_base64url(*from_hex("03ecffe0c1")), "A-z_4ME");
  EXPECT_EQ(*from_base64url("A-z_4ME"), *from_hex("03ecffe0c1"));
  EXPECT_EQ(to_base64url({}), "");
  EXPECT_TRUE(from_base64url("")->empty());
  for (std::size_t size = 0; size < 40; ++size) {
    Bytes octets(size);
    for (std::size_t i = 0; i < size; ++i) octets[i] = static_cast<std::uint8_t>(i * 37 + size);
    EXPECT_EQ(*from_base64url(to_base64url(octets)), octets);
  }
}

TEST(Base64Url, HasOneTextForEachString) {
  for (const char* text : {"A", "A-z_4MF", "AB", "A-z_4ME=", "A+z/4ME", "A-z_ 4ME", "A-z_4ME\n", "AAAAA", "\xC3\xA4"}) {
    EXPECT_FALSE(from_base64url(text)) << text;
  }
}

TEST(JsonObject, ReadsWhatItIsAskedFor) {
  const JsonObject it = must(JsonObject::parse(
      R"({"t":"text","i":-7,"big":18446744073709551615,"d":1.9,"b":true,"a":["x","y"],"m":["x",1],"o":{"k":"v"},"os":[{},{}]})"));
  EXPECT_EQ(it.text("t"), "text");
  EXPECT_EQ(it.integer("i"), -7);
  EXPECT_FALSE(it.integer("big"));
  EXPECT_FALSE(it.integer("d"));
  EXPECT_EQ(it.numeric_date("d"), 1);
  EXPECT_FALSE(it.numeric_date("i"));
  EXPECT_FALSE(it.numeric_date("big"));
  EXPECT_EQ(it.boolean("b"), true);
  EXPECT_EQ(it.texts("a"), (std::vector<std::string>{"x", "y"}));
  EXPECT_FALSE(it.texts("m"));
  EXPECT_EQ(it.object("o")->text("k"), "v");
  EXPECT_EQ(it.objects("os")->size(), 2u);
  EXPECT_EQ(it.json("m"), R"(["x",1])");
  EXPECT_FALSE(it.has("nothing"));
  EXPECT_FALSE(it.text("i"));
  EXPECT_EQ(it.names().front(), "t");
  EXPECT_EQ(JsonObject().size(), 0u);
  EXPECT_EQ(json_quoted("a\"\n\xFF"), "\"a\\\"\\n\xEF\xBF\xBD\"");
}

TEST(JsonObject, RefusesWhatTwoReadersCouldReadTwoWays) {
  for (const char* text : {R"({"a":1,"a":2})", R"({"o":{"a":1,"a":2}})", R"({"l":[{"a":1,"a":2}]})", R"({"a":1}x)",
                           "[]", "\"a\"", "", "{", R"({"a":NaN})", R"({'a':1})", R"({"a":1,})", "{\"a\":\"\xFF\"}",
                           "\xEF\xBB\xBF{}", R"({"a":1e999})", "{\"a\":\"\n\"}"}) {
    const auto read = JsonObject::parse(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind, ErrorKind::malformed) << text;
  }
  std::string deep = R"({"a":1})";
  for (std::size_t i = 1; i < JsonObject::kMostDepth; ++i) deep = R"({"a":)" + deep + "}";
  EXPECT_TRUE(JsonObject::parse(deep));
  EXPECT_EQ(JsonObject::parse(R"({"a":)" + deep + "}").error().kind, ErrorKind::limit);
  std::string many = "{\"a\":[0";
  for (std::size_t i = 0; i < JsonObject::kMostValues; ++i) many += ",0";
  EXPECT_EQ(JsonObject::parse(many + "]}").error().kind, ErrorKind::limit);
  EXPECT_EQ(JsonObject::parse(std::string(JsonObject::kMostOctets + 1, ' ')).error().kind, ErrorKind::limit);
}

TEST(Jwk, ThumbprintsAreThoseOfTheStandards) {
  // RFC 7638 §3.1
  const Jwk rsa = must(parse_jwk(
      R"({"kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB","alg":"RS256","kid":"2011-04-29"})"));
  EXPECT_EQ(rsa.kid, "2011-04-29");
  EXPECT_EQ(rsa.alg, "RS256");
  EXPECT_EQ(rsa.use, "");
  EXPECT_EQ(must(jwk_thumbprint(rsa.key)), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
  // RFC 8037 appendix A.3
  EXPECT_EQ(must(jwk_thumbprint(must(parse_jwk(kEd25519Key)).key)), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
  EXPECT_FALSE(jwk_thumbprint(test_key(KeyType::brainpool_p256r1).public_key()));
  EXPECT_FALSE(jwk_thumbprint(test_key(KeyType::gost_256_a).public_key()));
}

TEST(Jwk, GoesThereAndBack) {
  std::vector<Jwk> keys;
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::p521, KeyType::rsa_2048, KeyType::ed25519}) {
    const PublicKey& key = test_key(type).public_key();
    const Jwk read = must(parse_jwk(must(write_jwk(key, "k\"1", "PS256", "sig"))));
    EXPECT_TRUE(read.key == key);
    EXPECT_EQ(read.kid, "k\"1");
    EXPECT_EQ(read.use, "sig");
    keys.push_back({key, std::string(row_of(type).name), "", "sig"});
  }
  const JwkSet set = must(parse_jwk_set(must(write_jwk_set(keys))));
  ASSERT_EQ(set.keys.size(), 5u);
  ASSERT_NE(set.find("p384"), nullptr);
  EXPECT_TRUE(set.find("p384")->key == keys[1].key);
  EXPECT_EQ(set.find(""), nullptr);
  EXPECT_EQ(set.find("none"), nullptr);
}

TEST(Jwk, KidsThatStandTwiceNameNoKey) {
  const PublicKey& key = test_key(KeyType::p256).public_key();
  const JwkSet set = must(parse_jwk_set(must(write_jwk_set({{key, "a", "", ""}, {key, "a", "", ""}}))));
  EXPECT_EQ(set.find("a"), nullptr);
}

TEST(Jwk, SetsPassOverKeysOfOtherKinds) {
  const std::string good(kEs256Key);
  const JwkSet set =
      must(parse_jwk_set(R"({"keys":[{"kty":"OKP","crv":"X25519","x":"AAAA"},{"kty":"new"},)" + good + "]}"));
  EXPECT_EQ(set.keys.size(), 1u);
  EXPECT_NE(set.find(""), nullptr);
  EXPECT_FALSE(parse_jwk_set(R"({"keys":[{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}]})"));
  EXPECT_FALSE(parse_jwk_set(R"({"keys":{}})"));
  std::string many;
  for (int i = 0; i < 65; ++i) many += (i == 0 ? "" : ",") + good;
  EXPECT_EQ(parse_jwk_set(R"({"keys":[)" + many + "]}").error().kind, ErrorKind::limit);
}

TEST(Jwk, RefusesPrivatePartsAndWrongNumbers) {
  for (const char* member : {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}) {
    std::string json(kEs256Key);
    json.insert(1, "\"" + std::string(member) + "\":\"AAAA\",");
    EXPECT_EQ(parse_jwk(json).error().kind, ErrorKind::not_permitted) << member;
  }
  EXPECT_EQ(parse_jwk(R"({"kty":"oct","k":"AAAA"})").error().kind, ErrorKind::not_permitted);
  for (
      const char* json :
      {R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"})",
       // y changed: off the curve
       R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4"})",
       R"({"kty":"EC","crv":"P-384","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})",
       R"({"kty":"RSA","n":"","e":"AQAB"})", R"({"kty":"RSA","e":"AQAB"})", R"({"kty":"RSA","n":"AAAA","e":"AQAB"})",
       R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})", R"({})",
       R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":7})"}) {
    EXPECT_EQ(parse_jwk(json).error().kind, ErrorKind::malformed) << json;
  }
  EXPECT_EQ(parse_jwk(R"({"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"})").error().kind, ErrorKind::unsupported);
  // Keys come from strangers: none of which verifying is dear.
  const auto rsa = [](std::size_t octets, const char* exponent) {
    return R"({"kty":"RSA","n":")" + to_base64url(Bytes(octets, 0xC1)) + R"(","e":")" + exponent + R"("})";
  };
  EXPECT_TRUE(parse_jwk(rsa(512, "AQAB")));
  EXPECT_TRUE(parse_jwk(rsa(512, "wQAAAQ")));
  // RFC 7518 §3.3: 2048 bits at the least.
  EXPECT_TRUE(parse_jwk(rsa(256, "AQAB")));
  EXPECT_EQ(parse_jwk(rsa(255, "AQAB")).error().kind, ErrorKind::unsupported);
  EXPECT_EQ(parse_jwk(rsa(513, "AQAB")).error().kind, ErrorKind::unsupported);
  EXPECT_EQ(parse_jwk(rsa(512, "wQAAAAE")).error().kind, ErrorKind::unsupported);
}

// What was read or encoded lately is kept: never one for another, though many share a place.
TEST(Jws, KeysAndHeadersKeptAreTheVeryOnes) {
  std::vector<PrivateKey> keys;
  for (int i = 0; i < 40; ++i) keys.push_back(must(PrivateKey::generate(KeyType::p256)));
  for (int round = 0; round < 2; ++round) {
    for (const PrivateKey& key : keys) {
      const PublicKey& meant = key.public_key();
      EXPECT_EQ(must(parse_jwk(must(write_jwk(meant)))).key, meant);
      EXPECT_EQ(must(parse_jwk(must(write_jwk(meant)))).key, meant);
    }
  }
  SoftwareSigner signer(std::move(keys.front()));
  const auto signed_with = [&](const JwsHeader& header) {
    return must(Jws::parse(must(sign_jws(header, "{}", signer, AlgorithmId::ecdsa_sha256)))).header();
  };
  for (int round = 0; round < 2; ++round) {
    for (const char* const kid : {"a", "b", ""}) {
      for (const char* const typ : {"JWT", "other", ""}) {
        for (const std::vector<Bytes>& chain : {std::vector<Bytes>{}, {Bytes{1}}, {Bytes{2}}, {Bytes{1}, Bytes{2}}}) {
          JwsHeader header;
          header.kid = kid;
          header.typ = typ;
          header.x5c = chain;
          const JwsHeader shown = signed_with(header);
          EXPECT_EQ(shown.kid, kid);
          EXPECT_EQ(shown.typ, typ);
          EXPECT_EQ(shown.x5c, chain);
        }
      }
    }
  }
}

TEST(Jws, VerifiesTheExamplesOfTheStandards) {
  const struct {
    std::string_view key, token;
    AlgorithmId algorithm;
    std::string_view begins;
  } examples[] = {{kRsaKey, kRsaToken, AlgorithmId::rsa_pkcs1_sha256, "{\"iss\":\"joe\""},
                  {kEs256Key, kEs256Token, AlgorithmId::ecdsa_sha256, "{\"iss\":\"joe\""},
                  {kEs512Key, kEs512Token, AlgorithmId::ecdsa_sha512, "Payload"},
                  {kEd25519Key, kEd25519Token, AlgorithmId::ed25519, "Example of Ed25519 signing"}};
  for (const auto& example : examples) {
    const Jwk key = must(parse_jwk(example.key));
    const Jws jws = must(Jws::parse(example.token));
    EXPECT_EQ(jws.algorithm(), example.algorithm);
    EXPECT_TRUE(jws.payload_text().starts_with(example.begins));
    const AlgorithmId allowed[] = {example.algorithm};
    EXPECT_TRUE(jws.verify(key.key, allowed)) << example.token;
    // No character may change: neither one of the payload nor one of the signature.
    for (const std::size_t from_end : {std::size_t{2}, example.token.size() - example.token.find('.') - 3}) {
      std::string changed(example.token);
      char& c = changed[changed.size() - from_end];
      c = c == 'A' ? 'B' : 'A';
      const auto read = Jws::parse(changed);
      EXPECT_FALSE(read && read->verify(key.key, allowed));
    }
  }
}

TEST(Jws, SignsWithEachAlgorithmAndReadsIt) {
  for (const KeyType type : {KeyType::p256, KeyType::p384, KeyType::rsa_2048, KeyType::ed25519}) {
    SoftwareSigner signer(testing::copy_of(test_key(type)));
    const auto algorithm = jose_algorithm_of(signer.public_key());
    ASSERT_TRUE(algorithm);
    JwsHeader header;
    header.kid = "one";
    header.typ = "test+jwt";
    header.x5c = {Bytes{1, 2, 3}, Bytes{4}};
    header.jwk = signer.public_key();
    const std::string token = must(sign_jws(header, R"({"iss":"a"})", signer, *algorithm));
    const Jws jws = must(Jws::parse(token));
    EXPECT_EQ(jws.header().kid, "one");
    EXPECT_EQ(jws.header().typ, "test+jwt");
    EXPECT_EQ(jws.header().alg, row_of(*algorithm).jose);
    EXPECT_EQ(jws.header().x5c, header.x5c);
    ASSERT_TRUE(jws.header().jwk);
    EXPECT_TRUE(*jws.header().jwk == signer.public_key());
    EXPECT_EQ(jws.payload_text(), R"({"iss":"a"})");
    EXPECT_TRUE(jws.verify(signer.public_key()));
    EXPECT_EQ(jws.verify(must(PrivateKey::generate(type == KeyType::rsa_2048 ? KeyType::p256 : type)).public_key())
                  .has_value(),
              false);
  }
  SoftwareSigner p256(testing::copy_of(test_key(KeyType::p256)));
  EXPECT_EQ(sign_jws({}, "x", p256, AlgorithmId::ecdsa_sha384).error().kind, ErrorKind::usage);
  EXPECT_EQ(sign_jws({}, "x", p256, AlgorithmId::ed25519).error().kind, ErrorKind::usage);
  EXPECT_FALSE(jose_algorithm_of(test_key(KeyType::brainpool_p256r1).public_key()));
}

TEST(Jws, TheAlgorithmOfATokenNeverDecidesByItself) {
  // RFC 8725 §2.1: none in every spelling, and a MAC keyed with what everybody knows.
  for (const char* alg :
       {"none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "", "ES256K", "es256", "RSA-OAEP"}) {
    const std::string token = jose(R"({"alg":")" + std::string(alg) + R"("})", "{}");
    EXPECT_EQ(Jws::parse(token).error().kind, ErrorKind::unsupported) << alg;
  }
  EXPECT_EQ(Jws::parse(kHs256Token).error().kind, ErrorKind::unsupported);
  EXPECT_EQ(Jws::parse(jose(R"({"typ":"JWT"})", "{}")).error().kind, ErrorKind::unsupported);
  // RFC 7515 appendix A.5: no signature at all.
  EXPECT_FALSE(Jws::parse("eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UifQ."));
  EXPECT_EQ(Jws::parse(jose(R"({"alg":"ES256"})", "{}", "")).error().kind, ErrorKind::malformed);
  // A good signature under an algorithm the caller does not allow.
  EXPECT_EQ(must(Jws::parse(kRsaToken)).verify(must(parse_jwk(kRsaKey)).key).error().kind, ErrorKind::not_permitted);
  // A key of another kind, and a curve of another algorithm.
  const Jws es256 = must(Jws::parse(kEs256Token));
  EXPECT_EQ(es256.verify(must(parse_jwk(kRsaKey)).key).error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(es256.verify(test_key(KeyType::p384).public_key()).error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(es256.verify(test_key(KeyType::brainpool_p256r1).public_key()).error().kind, ErrorKind::not_permitted);
}

TEST(Jws, SignaturesHaveOneForm) {
  const Jwk key = must(parse_jwk(kEs256Key));
  const std::string token(kEs256Token);
  const std::size_t at = token.rfind('.') + 1;
  const Bytes plain = must(from_base64url(token.substr(at)));
  const auto with = [&](const Bytes& signature) {
    return must(Jws::parse(token.substr(0, at) + to_base64url(signature)));
  };
  EXPECT_TRUE(with(plain).verify(key.key));
  EXPECT_FALSE(with(must(encode_ecdsa_signature(plain))).verify(key.key));  // DER
  Bytes padded(2);                                                          // the same numbers, one octet longer each
  padded.resize(0);
  padded.push_back(0);
  append(padded, ByteView(plain).first(32));
  padded.push_back(0);
  append(padded, ByteView(plain).last(32));
  EXPECT_EQ(with(padded).verify(key.key).error().kind, ErrorKind::invalid_signature);
  EXPECT_FALSE(with(Bytes(64)).verify(key.key));  // r = s = 0 (CVE-2022-21449)
}

TEST(Jws, RefusesWhatItDoesNotUnderstand) {
  const char* const headers[] = {R"({"alg":"ES256","crit":["b64"],"b64":false})", R"({"alg":"ES256","crit":["exp"]})",
                                 R"({"alg":"ES256","b64":true})", R"({"alg":"ES256","crit":[]})"};
  for (const char* header : headers) {
    EXPECT_EQ(Jws::parse(jose(header, "{}")).error().kind, ErrorKind::unsupported) << header;
  }
  const char* const malformed[] = {R"({"alg":"ES256","alg":"EdDSA"})",
                                   R"({"alg":7})",
                                   R"({"alg":"ES256","kid":7})",
                                   R"({"alg":"ES256","typ":[]})",
                                   R"({"alg":"ES256","x5c":"AAAA"})",
                                   R"({"alg":"ES256","x5c":[]})",
                                   R"({"alg":"ES256","x5c":["A-_A"]})",
                                   R"({"alg":"ES256","jwk":"x"})",
                                   R"({"alg":"ES256"} x)"};
  for (const char* header : malformed) {
    EXPECT_EQ(Jws::parse(jose(header, "{}")).error().kind, ErrorKind::malformed) << header;
  }
  // RFC 9449 §4.2: a key shown to all must not be a private one.
  EXPECT_EQ(Jws::parse(jose(R"({"alg":"ES256","jwk":{"kty":"EC","d":"AAAA"}})", "{}")).error().kind,
            ErrorKind::not_permitted);
  for (const char* text :
       {"", ".", "..", "...", "a.b", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA.", "eyJhbGciOiJFUzI1NiJ9.e30=.AAAA",
        " eyJhbGciOiJFUzI1NiJ9.e30.AAAA", "eyJhbGciOiJFUzI1NiJ9.e30.AAAA\n", "eyJhbGciOiJFUzI1NiJ9.e3 0.AAAA"}) {
    EXPECT_EQ(Jws::parse(text).error().kind, ErrorKind::malformed) << text;
  }
  EXPECT_EQ(Jws::parse(kEs256Token, 100).error().kind, ErrorKind::limit);
}

TEST(Jwt, ReadsRegisteredClaims) {
  const JwtClaims claims = must(parse_claims(
      R"({"iss":"https://id.example","sub":"s","aud":["a","b"],"exp":1800000000.7,"iat":1799999900,"nbf":1799999900,"jti":"j","nonce":"n","purpose":{"en":"x"},"age":7})"));
  EXPECT_EQ(claims.iss, "https://id.example");
  EXPECT_TRUE(claims.is_for("b"));
  EXPECT_FALSE(claims.is_for("c"));
  EXPECT_EQ(claims.exp, Time(1800000000s));
  EXPECT_EQ(claims.json("purpose"), R"({"en":"x"})");
  EXPECT_EQ(claims.integer("age"), 7);
  EXPECT_TRUE(must(parse_claims(R"({"aud":"one"})")).is_for("one"));
  for (const char* text : {R"({"exp":"1800000000"})", R"({"exp":-1})", R"({"exp":1e300})", R"({"aud":7})",
                           R"({"aud":[7]})", R"({"iss":7})", R"({"jti":""})", R"({"iss":"a","iss":"b"})", "[]", "x"}) {
    EXPECT_EQ(parse_claims(text).error().kind, ErrorKind::malformed) << text;
  }
}

TEST(Jwt, TimesAreHeldAgainstTheClock) {
  const JwtClaims claims = must(parse_claims(R"({"iat":1000000,"nbf":1000000,"exp":1000300})"));
  EXPECT_TRUE(check_times(claims, Time(1000000s), 0s));
  EXPECT_TRUE(check_times(claims, Time(1000299s), 0s));
  EXPECT_FALSE(check_times(claims, Time(1000300s), 0s));
  EXPECT_TRUE(check_times(claims, Time(1000359s), 60s));
  EXPECT_FALSE(check_times(claims, Time(1000360s), 60s));
  EXPECT_FALSE(check_times(claims, Time(999999s), 0s));
  EXPECT_TRUE(check_times(claims, Time(999940s), 60s));
  EXPECT_FALSE(check_times(claims, Time(999939s), 60s));
  EXPECT_TRUE(check_times(must(parse_claims("{}")), Time(0s), 0s));
}

}  // namespace
}  // namespace karta::crypto
