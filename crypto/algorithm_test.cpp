#include "crypto/algorithm.h"

#include <gtest/gtest.h>

#include <set>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/digest.h"
#include "crypto/openssl_handles.h"
#include "crypto/testing.h"

namespace karta::crypto {
namespace {

std::string openssl_oid(std::string_view name) {
  const int nid = OBJ_txt2nid(std::string(name).c_str());
  char text[80] = "";
  if (nid != NID_undef) OBJ_obj2txt(text, sizeof text, OBJ_nid2obj(nid), 1);
  return text;
}

TEST(Algorithm, EveryHashIsWhatOpensslCallsIt) {
  for (const HashRow& row : kHashes) {
    EXPECT_EQ(find_hash(row.name), row.id);
    if (row.back_end == BackEnd::gost) {
      // OpenSSL has the names, and the algorithms in an engine only.
      EXPECT_EQ(openssl_oid(row.octets == 32 ? "md_gost12_256" : "md_gost12_512"), row.oid);
      EXPECT_EQ(digest(row.id, {}).size(), row.octets);
      continue;
    }
    EXPECT_EQ(openssl_oid(row.name), row.oid);
    EXPECT_EQ(EVP_MD_get_size(evp_md(row.id)), row.octets) << row.name;
  }
}

TEST(Algorithm, EveryCurveIsWhatOpensslCallsIt) {
  for (const KeyTypeRow& row : kKeyTypes) {
    if (row.family == KeyFamily::gost) {
      const std::string name(row.name);  // gost-256-a is id-tc26-gost-3410-2012-256-paramSetA
      const char letter = static_cast<char>(name.back() - 'a' + 'A');
      EXPECT_EQ(openssl_oid("id-tc26-gost-3410-2012-" + name.substr(5, 3) + "-paramSet" + letter), row.oid);
    } else if (row.family != KeyFamily::rsa) {
      EXPECT_EQ(openssl_oid(row.openssl_name), row.oid);
    }
    EXPECT_EQ(find_key_type(row.name), row.id);
  }
}

TEST(Algorithm, EverySignatureAlgorithmJoinsItsHashAndKeyAsOpensslDoes) {
  std::set<std::string_view> names;
  std::set<std::uint32_t> mechanisms;
  for (const AlgorithmRow& row : kAlgorithms) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_TRUE(mechanisms.insert(row.pkcs11_mechanism).second) << row.name;
    EXPECT_EQ(find_algorithm(row.name), row.id);
    EXPECT_EQ(find_algorithm(row.family, row.hash, row.padding), row.id);
    if (row.padding == Padding::pss || row.family == KeyFamily::ed25519) continue;
    int hash = 0, key = 0;
    ASSERT_EQ(OBJ_find_sigid_algs(OBJ_txt2nid(std::string(row.oid).c_str()), &hash, &key), 1) << row.name;
    EXPECT_EQ(hash, OBJ_txt2nid(std::string(row_of(row.hash).oid).c_str())) << row.name;
    const std::string_view key_oid = row.family == KeyFamily::rsa    ? kRsaKeyOid
                                     : row.family == KeyFamily::ec   ? kEcKeyOid
                                     : row.hash == Hash::streebog256 ? kGost256KeyOid
                                                                     : kGost512KeyOid;
    EXPECT_EQ(key, OBJ_txt2nid(std::string(key_oid).c_str())) << row.name;
  }
}

TEST(Algorithm, IdentifiersGoThereAndBack) {
  for (const AlgorithmRow& row : kAlgorithms) {
    const Bytes encoded = encode_signature_algorithm(row.id);
    der::Reader reader(encoded);
    const auto identifier = testing::must(read_algorithm_identifier(reader));
    const auto known = testing::must(signature_algorithm_of(identifier.oid, identifier.parameters));
    EXPECT_EQ(known.id, row.id);
    EXPECT_EQ(known.pss_salt_octets.has_value(), row.padding == Padding::pss);
    // OpenSSL must read what is written.
    const std::uint8_t* at = encoded.data();
    X509_ALGOR* const openssl = d2i_X509_ALGOR(nullptr, &at, static_cast<long>(encoded.size()));
    EXPECT_NE(openssl, nullptr) << row.name;
    X509_ALGOR_free(openssl);
  }
}

TEST(Algorithm, ParametersOutOfPlaceAreRefused) {
  const Bytes null = der::null(), integer = der::integer(1);
  EXPECT_TRUE(signature_algorithm_of("1.2.840.113549.1.1.11", null));
  EXPECT_TRUE(signature_algorithm_of("1.2.840.113549.1.1.11", {}));
  EXPECT_FALSE(signature_algorithm_of("1.2.840.113549.1.1.11", integer));
  EXPECT_FALSE(signature_algorithm_of("1.2.840.10045.4.3.2", null));
  EXPECT_FALSE(signature_algorithm_of("1.2.840.113549.1.1.10", {}));
  EXPECT_FALSE(signature_algorithm_of("1.2.840.113549.1.1.10", der::sequence(ByteView{})));  // SHA-1 by default
  EXPECT_FALSE(hash_of("2.16.840.1.101.3.4.2.1", integer));
  EXPECT_EQ(signature_algorithm_of("2.999.5", {}).error().kind, ErrorKind::unsupported);
}

TEST(Algorithm, SignerInfoMayNameTheKeysAlgorithm) {
  const Bytes null = der::null(), integer = der::integer(1);
  struct Row {
    std::string_view oid;
    Hash digest;
    AlgorithmId expected;
    bool names_hash;
  };
  for (const Row& row : {Row{kRsaKeyOid, Hash::sha384, AlgorithmId::rsa_pkcs1_sha384, false},
                         Row{kGost256KeyOid, Hash::streebog256, AlgorithmId::gost_256, false},
                         Row{kGost512KeyOid, Hash::streebog512, AlgorithmId::gost_512, false},
                         Row{"1.2.643.7.1.1.3.2", Hash::streebog256, AlgorithmId::gost_256, true}}) {
    for (const ByteView parameters : {ByteView(null), ByteView{}}) {
      const auto known = testing::must(cms_signature_algorithm_of(row.oid, parameters, row.digest));
      EXPECT_EQ(known.algorithm.id, row.expected);
      EXPECT_EQ(known.names_hash, row.names_hash);
    }
    EXPECT_EQ(cms_signature_algorithm_of(row.oid, integer, row.digest).error().kind, ErrorKind::malformed);
  }
  EXPECT_FALSE(cms_signature_algorithm_of(kRsaKeyOid, null, Hash::streebog256));
  EXPECT_FALSE(cms_signature_algorithm_of(kGost256KeyOid, null, Hash::streebog512));
  EXPECT_FALSE(cms_signature_algorithm_of(kGost512KeyOid, null, Hash::sha512));
  EXPECT_FALSE(cms_signature_algorithm_of(kEcKeyOid, {}, Hash::sha256));
}

TEST(Algorithm, DefaultHashIsAsStrongAsTheCurve) {
  for (const KeyTypeRow& row : kKeyTypes) {
    EXPECT_EQ(strength_bits(default_algorithm(row.id), row.id),
              std::min<unsigned>(row.strength_bits, row.family == KeyFamily::rsa ? 128 : 256))
        << row.name;
  }
}

// FIPS 180-4 examples: SHA-*("abc").
TEST(Digest, KnownAnswers) {
  EXPECT_EQ(to_hex(digest(Hash::sha1, as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(to_hex(digest(Hash::sha256, as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(to_hex(digest(Hash::sha384, as_bytes("abc"))),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7");
}

TEST(Digest, StreamsGiveWhatOneCallGives) {
  const Bytes octets(300'001, 0x5A);
  const Bytes expected = digest(Hash::sha256, octets);
  MemoryContent memory(octets);
  EXPECT_EQ(testing::must(digest(Hash::sha256, memory)), expected);

  const testing::TemporaryFolder folder;
  folder.write("file", octets);
  auto file = testing::must(FileContent::open(folder / "file"));
  EXPECT_EQ(testing::must(digest(Hash::sha256, file)), expected);
  ASSERT_TRUE(file.rewind());
  EXPECT_EQ(testing::must(read_all(file, octets.size())), octets);
  ASSERT_TRUE(file.rewind());
  EXPECT_EQ(read_all(file, octets.size() - 1).error().kind, ErrorKind::limit);

  std::size_t left = octets.size();
  CallbackContent callback([&](MutableByteView buffer) -> Result<std::size_t> {
    const std::size_t count = std::min<std::size_t>({left, buffer.size(), 7});
    std::fill_n(buffer.begin(), count, 0x5A);
    left -= count;
    return count;
  });
  EXPECT_EQ(testing::must(digest(Hash::sha256, callback)), expected);
}

TEST(Digest, UnreadableContentSaysWhy) {
  const testing::TemporaryFolder folder;
  EXPECT_EQ(FileContent::open(folder / "absent").error().kind, ErrorKind::not_found);
  EXPECT_EQ(FileContent::open(folder.path()).error().kind, ErrorKind::io);
  CallbackContent broken([](MutableByteView) -> Result<std::size_t> { return fail(ErrorKind::io, "torn"); });
  EXPECT_EQ(digest(Hash::sha256, broken).error().message, "torn");
}

}  // namespace
}  // namespace karta::crypto
