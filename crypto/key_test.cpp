#include "crypto/key.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/der.h"
#include "crypto/digest.h"
#include "crypto/openssl_handles.h"
#include "crypto/pkcs8.h"
#include "crypto/signer.h"
#include "crypto/testing.h"

namespace karta::crypto {
namespace {

using testing::must;
using testing::test_key;

constexpr KeyType kEveryType[] = {KeyType::rsa_2048,
                                  KeyType::rsa_3072,
                                  KeyType::p256,
                                  KeyType::p384,
                                  KeyType::p521,
                                  KeyType::brainpool_p256r1,
                                  KeyType::brainpool_p384r1,
                                  KeyType::brainpool_p512r1,
                                  KeyType::ed25519,
                                  KeyType::gost_256_a,
                                  KeyType::gost_256_b,
                                  KeyType::gost_256_c,
                                  KeyType::gost_256_d,
                                  KeyType::gost_512_a,
                                  KeyType::gost_512_b,
                                  KeyType::gost_512_c};

class EveryKeyType : public ::testing::TestWithParam<KeyType> {};
INSTANTIATE_TEST_SUITE_P(Key, EveryKeyType, ::testing::ValuesIn(kEveryType), [](const auto& one) {
  std::string name(row_of(one.param).name);
  std::erase(name, '-');
  return name;
});

TEST_P(EveryKeyType, SignsAndVerifiesWithEachOfItsAlgorithms) {
  const PrivateKey& key = test_key(GetParam());
  const Bytes message = to_bytes(as_bytes("what is signed"));
  EXPECT_EQ(key.public_key().type(), GetParam());
  const auto algorithms = algorithms_of(key.public_key());
  ASSERT_FALSE(algorithms.empty());
  EXPECT_EQ(algorithms.front(), default_algorithm(GetParam()));
  for (const AlgorithmId algorithm : algorithms) {
    Bytes signature = must(key.sign(algorithm, message));
    EXPECT_TRUE(key.public_key().verify(algorithm, message, signature)) << row_of(algorithm).name;
    Bytes other = message;
    other[0] ^= 1;
    EXPECT_EQ(key.public_key().verify(algorithm, other, signature).error().kind, ErrorKind::invalid_signature);
    for (const std::size_t at : {std::size_t{0}, signature.size() / 2, signature.size() - 1}) {
      Bytes changed = signature;
      changed[at] ^= 1;
      EXPECT_EQ(key.public_key().verify(algorithm, message, changed).error().kind, ErrorKind::invalid_signature);
    }
    signature.push_back(0);
    EXPECT_FALSE(key.public_key().verify(algorithm, message, signature));
  }
}

// Each thread with another algorithm than the one before: what a key keeps between two signatures is remade all the
// time.
TEST_P(EveryKeyType, SeveralThreadsSignWithOneKey) {
  const PrivateKey& key = test_key(GetParam());
  const auto algorithms = algorithms_of(key.public_key());
  const Bytes message = {1, 2, 3};
  constexpr std::size_t kThreads = 3, kSignatures = 6;
  std::atomic<std::size_t> good{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < kSignatures; ++i) {
        const AlgorithmId algorithm = algorithms[(t + i) % algorithms.size()];
        const auto signature = key.sign(algorithm, message);
        if (signature && key.public_key().verify(algorithm, message, *signature)) ++good;
      }
    });
  }
  for (std::thread& one : threads) one.join();
  EXPECT_EQ(good, kThreads * kSignatures);
}

TEST_P(EveryKeyType, PublicKeyIsWhatOpensslReads) {
  const PublicKey key = test_key(GetParam()).public_key();
  if (key.family() == KeyFamily::gost) return;  // OpenSSL reads those with the gost engine: tests/interop/gost.sh
  const std::uint8_t* at = key.spki().data();
  const PkeyPtr openssl(d2i_PUBKEY(nullptr, &at, static_cast<long>(key.spki().size())));
  ASSERT_NE(openssl, nullptr);
  EXPECT_EQ(EVP_PKEY_get_bits(openssl.get()), GetParam() == KeyType::ed25519 ? 256 : static_cast<int>(key.bits()));
}

TEST_P(EveryKeyType, PartsMakeTheSameKey) {
  const PublicKey key = test_key(GetParam()).public_key();
  const bool gost = key.family() == KeyFamily::gost;
  const ByteView point = gost ? key.key_octets().last(key.bits() / 4) : key.key_octets();
  const auto again = key.family() == KeyFamily::rsa ? PublicKey::from_rsa(key.modulus(), key.exponent())
                                                    : PublicKey::from_point(GetParam(), point);
  EXPECT_TRUE(must(again) == key);
  EXPECT_EQ(key.key_id().size(), 20u);
}

TEST_P(EveryKeyType, GoesThroughAnEncryptedFile) {
  const PrivateKey& key = test_key(GetParam());
  const SecretBytes passphrase = SecretBytes::copy_of("correct horse");
  const std::string pem = must(key.to_encrypted_pem(passphrase, 1000));
  EXPECT_TRUE(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
  EXPECT_TRUE(must(PrivateKey::from_encrypted_pem(pem, passphrase)).public_key() == key.public_key());
  EXPECT_EQ(PrivateKey::from_encrypted_pem(pem, SecretBytes::copy_of("incorrect")).error().kind, ErrorKind::wrong_pin);
}

TEST(Key, FilesAreTheSameForOpenssl) {
  const testing::TemporaryFolder folder;
  const SecretBytes passphrase = SecretBytes::copy_of("pass phrase");
  for (const KeyType type : {KeyType::rsa_2048, KeyType::p256, KeyType::ed25519}) {
    const PrivateKey& key = test_key(type);
    folder.write("ours.pem", must(key.to_encrypted_pem(passphrase, 1000)));
    const auto ran =
        testing::run(folder, "openssl pkey -in ours.pem -passin 'pass:pass phrase' -pubout -outform DER -out pub.der");
    ASSERT_EQ(ran.status, 0) << ran.output;
    EXPECT_EQ(folder.read("pub.der"), key.public_key().spki());
  }
  for (const char* how : {"-v2 aes-256-cbc -v2prf hmacWithSHA256", "-v2 aes-128-cbc -v2prf hmacWithSHA1",
                          "-v2 aes-192-cbc -v2prf hmacWithSHA512"}) {
    const auto ran = testing::run(folder,
                                  "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out plain.pem && "
                                  "openssl pkcs8 -topk8 -in plain.pem -passout 'pass:pass phrase' -iter 1000 " +
                                      std::string(how) +
                                      " -out theirs.pem && "
                                      "openssl pkey -in plain.pem -pubout -outform DER -out pub.der");
    ASSERT_EQ(ran.status, 0) << ran.output;
    const Bytes pem = folder.read("theirs.pem");
    EXPECT_EQ(must(PrivateKey::from_encrypted_pem(as_text(pem), passphrase)).public_key().spki(),
              folder.read("pub.der"))
        << how;
  }
}

TEST(Key, OldOrCostlyEncryptionIsRefusedWithTheWayOut) {
  const testing::TemporaryFolder folder;
  const SecretBytes passphrase = SecretBytes::copy_of("p");
  auto ran = testing::run(folder,
                          "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out plain.pem && "
                          "openssl pkcs8 -topk8 -in plain.pem -passout pass:p -v1 PBE-SHA1-3DES -out old.pem && "
                          "openssl pkcs8 -topk8 -in plain.pem -passout pass:p -scrypt -out scrypt.pem");
  ASSERT_EQ(ran.status, 0) << ran.output;
  for (const char* name : {"old.pem", "scrypt.pem"}) {
    const Bytes pem = folder.read(name);
    const auto key = PrivateKey::from_encrypted_pem(as_text(pem), passphrase);
    EXPECT_EQ(key.error().kind, ErrorKind::unsupported);
    EXPECT_NE(key.error().hint.find("openssl pkcs8"), std::string::npos);
  }
  const Bytes sealed = must(seal_encrypted_pkcs8(SecretBytes(32), passphrase, 2000, Bytes(16), Bytes(16)));
  EXPECT_EQ(open_encrypted_pkcs8(sealed, passphrase, 1999).error().kind, ErrorKind::limit);
  EXPECT_EQ(must(open_encrypted_pkcs8(sealed, passphrase, 2000)).size(), 32u);
  EXPECT_EQ(test_key(KeyType::p256).to_encrypted_pem(SecretBytes()).error().kind, ErrorKind::usage);
}

// RFC 6979 appendix A.2.5: P-256, SHA-256, message "sample".
TEST(Key, VerifiesTheEcdsaExampleOfRfc6979) {
  const Bytes point = *from_hex(
      "04 60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6"
      "7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299");
  const Bytes plain = *from_hex(
      "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
      "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8");
  const PublicKey key = must(PublicKey::from_point(KeyType::p256, point));
  const Bytes signature = must(encode_ecdsa_signature(plain));
  EXPECT_TRUE(key.verify(AlgorithmId::ecdsa_sha256, as_bytes("sample"), signature));
  EXPECT_EQ(must(decode_ecdsa_signature(signature, 32)), plain);
  // r in a longer form than DER has: the same numbers, another encoding.
  Bytes loose = *from_hex("30 47 02 22 0000");
  append(loose, ByteView(plain).first(32));
  append(loose, *from_hex("02 21 00"));
  append(loose, ByteView(plain).subspan(32));
  EXPECT_FALSE(key.verify(AlgorithmId::ecdsa_sha256, as_bytes("sample"), loose));
}

// RFC 8032 §7.1 TEST 2.
TEST(Key, VerifiesTheEd25519ExampleOfRfc8032) {
  const PublicKey key = must(PublicKey::from_point(
      KeyType::ed25519, *from_hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")));
  const Bytes signature = *from_hex(
      "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
  const std::uint8_t message = 0x72;
  EXPECT_TRUE(key.verify(AlgorithmId::ed25519, {&message, 1}, signature));
  EXPECT_FALSE(key.verify(AlgorithmId::ed25519, {}, signature));
}

TEST(Key, PointsOffTheCurveAreRefused) {
  Bytes point = to_bytes(test_key(KeyType::p256).public_key().key_octets());
  point.back() ^= 1;
  EXPECT_FALSE(PublicKey::from_point(KeyType::p256, point));
  EXPECT_FALSE(PublicKey::from_point(KeyType::p256, Bytes(65)));
  EXPECT_FALSE(PublicKey::from_point(KeyType::p256, Bytes(1)));  // infinity
  EXPECT_FALSE(PublicKey::from_point(KeyType::p384, test_key(KeyType::p256).public_key().key_octets()));
}

TEST(Key, RsaNumbersOutOfBoundsAreRefused) {
  const PublicKey good = test_key(KeyType::rsa_2048).public_key();
  Bytes even = to_bytes(good.modulus());
  even.back() = static_cast<std::uint8_t>(even.back() & 0xFE);
  const Bytes f4 = *from_hex("010001");
  EXPECT_FALSE(PublicKey::from_rsa(even, f4));
  EXPECT_FALSE(PublicKey::from_rsa(good.modulus(), *from_hex("01")));
  EXPECT_FALSE(PublicKey::from_rsa(good.modulus(), *from_hex("02")));
  EXPECT_FALSE(PublicKey::from_rsa(good.modulus(), Bytes(9, 0xFF)));
  EXPECT_EQ(PublicKey::from_rsa(Bytes(64, 0xFF), f4).error().kind, ErrorKind::unsupported);
  EXPECT_EQ(PublicKey::from_rsa(Bytes(2049, 0xFF), f4).error().kind, ErrorKind::unsupported);
}

TEST(Key, NoOctetOfAnSpkiMayChangeUnnoticed) {
  const PublicKey key = test_key(KeyType::p256).public_key();
  for (std::size_t i = 0; i < key.spki().size(); ++i) {
    Bytes changed = key.spki();
    changed[i] ^= 0x01;
    EXPECT_FALSE(PublicKey::from_spki(changed)) << i;
  }
  Bytes longer = key.spki();
  longer.push_back(0);
  EXPECT_FALSE(PublicKey::from_spki(longer));
}

TEST(Key, PssSaltIsExact) {
  const PrivateKey& key = test_key(KeyType::rsa_2048);
  const Bytes signature = must(key.sign(AlgorithmId::rsa_pss_sha256, as_bytes("m")));
  EXPECT_TRUE(key.public_key().verify(AlgorithmId::rsa_pss_sha256, as_bytes("m"), signature, 32));
  EXPECT_FALSE(key.public_key().verify(AlgorithmId::rsa_pss_sha256, as_bytes("m"), signature, 20));
  EXPECT_FALSE(key.public_key().verify(AlgorithmId::rsa_pkcs1_sha256, as_bytes("m"), signature));
}

TEST(Signer, HashesForKeysThatTakeDigests) {
  SoftwareSigner signer(testing::copy_of(test_key(KeyType::p384)));
  const Bytes signature = must(signer.sign(AlgorithmId::ecdsa_sha384, digest(Hash::sha384, as_bytes("m"))));
  EXPECT_TRUE(signer.public_key().verify(AlgorithmId::ecdsa_sha384, as_bytes("m"), signature));
  EXPECT_FALSE(signer.sign(AlgorithmId::ecdsa_sha384, Bytes(32)));
  EXPECT_FALSE(signer.sign(AlgorithmId::rsa_pkcs1_sha256, Bytes(32)));
  SoftwareSigner edwards(testing::copy_of(test_key(KeyType::ed25519)));
  EXPECT_EQ(edwards.sign(AlgorithmId::ed25519, Bytes(64)).error().kind, ErrorKind::unsupported);
}

TEST(Signer, NeverOffersAHashPastItsSunset) {
  for (const KeyType type : {KeyType::rsa_2048, KeyType::p256}) {
    for (const AlgorithmId algorithm : algorithms_of(test_key(type).public_key())) {
      EXPECT_EQ(row_of(row_of(algorithm).hash).sunset_year, 0);
    }
  }
}

}  // namespace
}  // namespace karta::crypto
