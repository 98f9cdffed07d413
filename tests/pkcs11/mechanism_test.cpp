// Every mechanism against OpenSSL: what the card signs OpenSSL verifies, what OpenSSL encrypts the card opens, what
// they agree on is the same. And the table of mechanisms against what the tokens say of themselves.
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/digest.h"
#include "pkcs11/mechanism.h"
#include "tests/pkcs11/module_fixture.h"

namespace karta::pkcs11 {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  void operator()(ECDSA_SIG* signature) const { ECDSA_SIG_free(signature); }
  void operator()(EVP_KDF* kdf) const { EVP_KDF_free(kdf); }
  void operator()(EVP_KDF_CTX* context) const { EVP_KDF_CTX_free(context); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

const EVP_MD* md_of(crypto::Hash hash) { return EVP_get_digestbyname(std::string(crypto::row_of(hash).name).c_str()); }

// r || s as OpenSSL wants it.
Bytes der_of(ByteView raw) {
  Owned<ECDSA_SIG> signature(ECDSA_SIG_new());
  const int half = static_cast<int>(raw.size() / 2);
  ECDSA_SIG_set0(signature.get(), BN_bin2bn(raw.data(), half, nullptr), BN_bin2bn(raw.data() + half, half, nullptr));
  Bytes out(static_cast<std::size_t>(i2d_ECDSA_SIG(signature.get(), nullptr)));
  unsigned char* at = out.data();
  i2d_ECDSA_SIG(signature.get(), &at);
  return out;
}

struct Pss {
  crypto::Hash mask;
  int salt;
};

class MechanismTest : public ModuleTest {
 protected:
  void SetUp() override {}
  void take(std::string_view type) {
    issue(type);
    begin();
    session_ = open();
    ASSERT_EQ(login(session_), CKR_OK);
    sig_ = one(session_, CKO_PRIVATE_KEY, "SIG"), sig_half_ = one(session_, CKO_PUBLIC_KEY, "SIG");
    enc_ = one(session_, CKO_PRIVATE_KEY, "ENC"), enc_half_ = one(session_, CKO_PUBLIC_KEY, "ENC");
  }
  Owned<EVP_PKEY> key(CK_OBJECT_HANDLE half) {
    const Bytes spki = attribute(session_, half, CKA_PUBLIC_KEY_INFO);
    const unsigned char* at = spki.data();
    return Owned<EVP_PKEY>(d2i_PUBKEY(nullptr, &at, static_cast<long>(spki.size())));
  }
  // In one call and in three; both must verify, here and with OpenSSL.
  void sign_and_check(CK_MECHANISM mechanism, ByteView input, const std::function<bool(ByteView)>& openssl_agrees) {
    for (const bool parts : {false, true}) {
      Bytes signature(512), in = to_bytes(input);
      CK_ULONG length = signature.size();
      ASSERT_EQ(C_SignInit(session_, &mechanism, sig_), CKR_OK);
      if (parts) {
        ASSERT_EQ(C_SignUpdate(session_, in.data(), 1), CKR_OK);
        ASSERT_EQ(C_SignUpdate(session_, nullptr, 0), CKR_OK);
        ASSERT_EQ(C_SignUpdate(session_, in.data() + 1, in.size() - 1), CKR_OK);
        ASSERT_EQ(C_SignFinal(session_, signature.data(), &length), CKR_OK);
      } else {
        ASSERT_EQ(C_Sign(session_, in.data(), in.size(), signature.data(), &length), CKR_OK);
      }
      signature.resize(length);
      EXPECT_TRUE(openssl_agrees(signature));
      ASSERT_EQ(C_VerifyInit(session_, &mechanism, sig_half_), CKR_OK);
      EXPECT_EQ(C_Verify(session_, in.data(), in.size(), signature.data(), length), CKR_OK);
      ASSERT_EQ(C_VerifyInit(session_, &mechanism, sig_half_), CKR_OK);
      ASSERT_EQ(C_VerifyUpdate(session_, in.data(), in.size() - 1), CKR_OK);
      ASSERT_EQ(C_VerifyUpdate(session_, in.data() + in.size() - 1, 1), CKR_OK);
      EXPECT_EQ(C_VerifyFinal(session_, signature.data(), length), CKR_OK);
      signature[length / 2] ^= 1;
      EXPECT_FALSE(openssl_agrees(signature));
      ASSERT_EQ(C_VerifyInit(session_, &mechanism, sig_half_), CKR_OK);
      EXPECT_EQ(C_Verify(session_, in.data(), in.size(), signature.data(), length), CKR_SIGNATURE_INVALID);
    }
  }
  // Of a digest made here.
  bool verifies(CK_OBJECT_HANDLE half, crypto::Hash hash, ByteView digest, ByteView signature, int padding,
                std::optional<Pss> pss = {}) {
    const auto public_key = key(half);
    Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(public_key.get(), nullptr));
    EVP_PKEY_verify_init(context.get());
    if (padding != 0) EVP_PKEY_CTX_set_rsa_padding(context.get(), padding);
    EVP_PKEY_CTX_set_signature_md(context.get(), md_of(hash));
    if (pss) {
      EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), pss->salt);
      EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), md_of(pss->mask));
    }
    const Bytes encoded = padding == 0 ? der_of(signature) : to_bytes(signature);
    return EVP_PKEY_verify(context.get(), encoded.data(), encoded.size(), digest.data(), digest.size()) == 1;
  }

  static constexpr crypto::Hash kHashesUsed[] = {crypto::Hash::sha1, crypto::Hash::sha256, crypto::Hash::sha384,
                                                 crypto::Hash::sha512};
  CK_SESSION_HANDLE session_ = 0;
  CK_OBJECT_HANDLE sig_ = 0, sig_half_ = 0, enc_ = 0, enc_half_ = 0;
};

TEST_F(MechanismTest, EllipticCurveSignatures) {
  take("p256");
  for (const Mechanism& row : mechanisms()) {
    if (row.deed != Deed::sign || row.family != crypto::KeyFamily::ec) continue;
    SCOPED_TRACE(name_of_mechanism(row.type));
    const crypto::Hash hash = row.hash.value_or(crypto::Hash::sha256);
    const Bytes digest = crypto::digest(hash, message_);
    sign_and_check({row.type, nullptr, 0}, row.hash ? ByteView(message_) : ByteView(digest),
                   [&](ByteView signature) { return verifies(sig_half_, hash, digest, signature, 0); });
  }
}

TEST_F(MechanismTest, RsaPkcs1Signatures) {
  take("rsa-2048");
  for (const Mechanism& row : mechanisms()) {
    if (row.deed != Deed::sign || row.padding != crypto::Padding::pkcs1 || !row.hash) continue;
    SCOPED_TRACE(name_of_mechanism(row.type));
    const Bytes digest = crypto::digest(*row.hash, message_);
    sign_and_check({row.type, nullptr, 0}, message_, [&](ByteView signature) {
      return verifies(sig_half_, *row.hash, digest, signature, RSA_PKCS1_PADDING);
    });
  }
}

TEST_F(MechanismTest, RsaPssWithEveryHashMaskAndSalt) {
  take("rsa-2048");
  for (const crypto::Hash hash : kHashesUsed) {
    const Bytes digest = crypto::digest(hash, message_);
    const CK_ULONG octets = crypto::row_of(hash).octets, most = 256 - octets - 2;
    for (const crypto::Hash mask : kHashesUsed) {
      // Every salt with the mask of the same hash, the usual one with the others.
      std::vector<CK_ULONG> salts = {octets};
      if (mask == hash) salts.insert(salts.end(), {0, 7, most});
      for (const CK_ULONG salt : salts) {
        SCOPED_TRACE(std::string(crypto::row_of(hash).name) + ' ' + std::string(crypto::row_of(mask).name) + ' ' +
                     std::to_string(salt));
        CK_RSA_PKCS_PSS_PARAMS parameters{crypto::row_of(hash).pkcs11_mechanism, crypto::row_of(mask).pkcs11_mgf, salt};
        CK_MECHANISM mechanism{CKM_RSA_PKCS_PSS, &parameters, sizeof parameters};
        Bytes signature(256), in = digest;
        CK_ULONG length = 256;
        ASSERT_EQ(C_SignInit(session_, &mechanism, sig_), CKR_OK);
        ASSERT_EQ(C_Sign(session_, in.data(), in.size(), signature.data(), &length), CKR_OK);
        EXPECT_TRUE(
            verifies(sig_half_, hash, digest, signature, RSA_PKCS1_PSS_PADDING, Pss{mask, static_cast<int>(salt)}));
        ASSERT_EQ(C_VerifyInit(session_, &mechanism, sig_half_), CKR_OK);
        EXPECT_EQ(C_Verify(session_, in.data(), in.size(), signature.data(), length), CKR_OK);
        // Another salt than the one named is another signature.
        parameters.sLen = salt == 0 ? 1 : salt - 1;
        ASSERT_EQ(C_VerifyInit(session_, &mechanism, sig_half_), CKR_OK);
        EXPECT_EQ(C_Verify(session_, in.data(), in.size(), signature.data(), length), CKR_SIGNATURE_INVALID);
        parameters.sLen = most + 1;
        EXPECT_EQ(C_SignInit(session_, &mechanism, sig_), CKR_MECHANISM_PARAM_INVALID);
        parameters.sLen = ~CK_ULONG{0};
        EXPECT_EQ(C_SignInit(session_, &mechanism, sig_), CKR_MECHANISM_PARAM_INVALID);
      }
    }
  }
  // With a hash of its own the mechanism takes no other in its parameters.
  CK_RSA_PKCS_PSS_PARAMS parameters{CKM_SHA256, CKG_MGF1_SHA256, 32};
  CK_MECHANISM mechanism{CKM_SHA256_RSA_PKCS_PSS, &parameters, sizeof parameters};
  const Bytes digest = crypto::digest(crypto::Hash::sha256, message_);
  sign_and_check(mechanism, message_, [&](ByteView signature) {
    return verifies(sig_half_, crypto::Hash::sha256, digest, signature, RSA_PKCS1_PSS_PADDING,
                    Pss{crypto::Hash::sha256, 32});
  });
  mechanism.mechanism = CKM_SHA384_RSA_PKCS_PSS;
  EXPECT_EQ(C_SignInit(session_, &mechanism, sig_), CKR_MECHANISM_PARAM_INVALID);
}

TEST_F(MechanismTest, RsaOaepWithEveryHashMaskAndLabel) {
  take("rsa-2048");
  for (const crypto::Hash hash : kHashesUsed) {
    for (const crypto::Hash mask : kHashesUsed) {
      for (const std::string label : {"", "a label"}) {
        SCOPED_TRACE(std::string(crypto::row_of(hash).name) + ' ' + std::string(crypto::row_of(mask).name) + ' ' +
                     label);
        const auto public_key = key(enc_half_);
        Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(public_key.get(), nullptr));
        EVP_PKEY_encrypt_init(context.get());
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_OAEP_PADDING);
        EVP_PKEY_CTX_set_rsa_oaep_md(context.get(), md_of(hash));
        EVP_PKEY_CTX_set_rsa_mgf1_md(context.get(), md_of(mask));
        if (!label.empty()) {
          void* copy = OPENSSL_memdup(label.data(), label.size());
          EVP_PKEY_CTX_set0_rsa_oaep_label(context.get(), copy, static_cast<int>(label.size()));
        }
        Bytes cryptogram(256), plain(256), label_octets = to_bytes(as_bytes(label));
        std::size_t size = cryptogram.size();
        ASSERT_EQ(EVP_PKEY_encrypt(context.get(), cryptogram.data(), &size, message_.data(), message_.size()), 1);
        CK_RSA_PKCS_OAEP_PARAMS parameters{crypto::row_of(hash).pkcs11_mechanism, crypto::row_of(mask).pkcs11_mgf,
                                           CKZ_DATA_SPECIFIED, label_octets.empty() ? nullptr : label_octets.data(),
                                           label_octets.size()};
        CK_MECHANISM mechanism{CKM_RSA_PKCS_OAEP, &parameters, sizeof parameters};
        ASSERT_EQ(C_DecryptInit(session_, &mechanism, enc_), CKR_OK);
        CK_ULONG length = plain.size();
        ASSERT_EQ(C_Decrypt(session_, cryptogram.data(), cryptogram.size(), plain.data(), &length), CKR_OK);
        EXPECT_TRUE(equal(ByteView(plain).first(length), message_));
        if (label.empty()) {
          parameters.source = 0;
          ASSERT_EQ(C_DecryptInit(session_, &mechanism, enc_), CKR_OK);
          ASSERT_EQ(C_SessionCancel(session_, CKF_DECRYPT), CKR_OK);
          parameters.source = CKZ_DATA_SPECIFIED;
        }
        // The wrong label opens nothing.
        Bytes other = to_bytes(as_bytes("another label"));
        parameters.pSourceData = other.data(), parameters.ulSourceDataLen = other.size();
        ASSERT_EQ(C_DecryptInit(session_, &mechanism, enc_), CKR_OK);
        length = plain.size();
        EXPECT_EQ(C_Decrypt(session_, cryptogram.data(), cryptogram.size(), plain.data(), &length),
                  CKR_ENCRYPTED_DATA_INVALID);
        EXPECT_EQ(C_Decrypt(session_, cryptogram.data(), cryptogram.size(), plain.data(), &length),
                  CKR_OPERATION_NOT_INITIALIZED);
      }
    }
  }
}

TEST_F(MechanismTest, KeyAgreementWithEveryDerivation) {
  take("p256");
  Owned<EVP_PKEY> other(EVP_EC_gen("P-256"));
  ASSERT_TRUE(other);
  unsigned char* raw = nullptr;
  const std::size_t point_octets = EVP_PKEY_get1_encoded_public_key(other.get(), &raw);
  Bytes point(raw, raw + point_octets);
  OPENSSL_free(raw);
  const auto card_key = key(enc_half_);
  Owned<EVP_PKEY_CTX> context(EVP_PKEY_CTX_new(other.get(), nullptr));
  Bytes shared(32);
  std::size_t size = shared.size();
  ASSERT_EQ(EVP_PKEY_derive_init(context.get()), 1);
  ASSERT_EQ(EVP_PKEY_derive_set_peer(context.get(), card_key.get()), 1);
  ASSERT_EQ(EVP_PKEY_derive(context.get(), shared.data(), &size), 1);
  Bytes info = to_bytes(as_bytes("shared info"));
  struct Row {
    CK_ULONG kdf;
    const char* openssl;
    const char* digest;
  };
  for (const Row& row :
       {Row{CKD_NULL, nullptr, nullptr}, Row{CKD_SHA1_KDF, "X963KDF", "SHA1"}, Row{CKD_SHA256_KDF, "X963KDF", "SHA256"},
        Row{CKD_SHA384_KDF, "X963KDF", "SHA384"}, Row{CKD_SHA512_KDF, "X963KDF", "SHA512"},
        Row{CKD_SHA1_KDF_SP800, "SSKDF", "SHA1"}, Row{CKD_SHA256_KDF_SP800, "SSKDF", "SHA256"},
        Row{CKD_SHA384_KDF_SP800, "SSKDF", "SHA384"}, Row{CKD_SHA512_KDF_SP800, "SSKDF", "SHA512"}}) {
    SCOPED_TRACE(row.kdf);
    CK_ULONG octets = row.openssl == nullptr ? 32 : 75;
    Bytes expected = shared;
    if (row.openssl != nullptr) {
      Owned<EVP_KDF> kdf(EVP_KDF_fetch(nullptr, row.openssl, nullptr));
      Owned<EVP_KDF_CTX> work(EVP_KDF_CTX_new(kdf.get()));
      OSSL_PARAM parameters[] = {
          OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, const_cast<char*>(row.digest), 0),
          OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, shared.data(), shared.size()),
          OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info.data(), info.size()), OSSL_PARAM_construct_end()};
      expected.assign(octets, 0);
      ASSERT_EQ(EVP_KDF_derive(work.get(), expected.data(), expected.size(), parameters), 1);
    }
    CK_ECDH1_DERIVE_PARAMS parameters{row.kdf, row.openssl == nullptr ? 0 : info.size(),
                                      row.openssl == nullptr ? nullptr : info.data(), point.size(), point.data()};
    CK_MECHANISM mechanism{CKM_ECDH1_DERIVE, &parameters, sizeof parameters};
    CK_ATTRIBUTE wanted{CKA_VALUE_LEN, &octets, sizeof octets};
    CK_OBJECT_HANDLE made = 0;
    ASSERT_EQ(C_DeriveKey(session_, &mechanism, enc_, &wanted, 1, &made), CKR_OK);
    EXPECT_EQ(attribute(session_, made, CKA_VALUE), expected);
  }
  CK_ECDH1_DERIVE_PARAMS parameters{CKD_CPDIVERSIFY_KDF, 0, nullptr, point.size(), point.data()};
  CK_MECHANISM mechanism{CKM_ECDH1_DERIVE, &parameters, sizeof parameters};
  CK_OBJECT_HANDLE made = 0;
  EXPECT_EQ(C_DeriveKey(session_, &mechanism, enc_, nullptr, 0, &made), CKR_MECHANISM_PARAM_INVALID);
}

TEST_F(MechanismTest, DigestsOnceAndInParts) {
  take("p256");
  for (const Mechanism& row : mechanisms()) {
    if (row.deed != Deed::digest) continue;
    SCOPED_TRACE(name_of_mechanism(row.type));
    Bytes expected(EVP_MAX_MD_SIZE), whole(64), parts(64);
    unsigned int size = 0;
    ASSERT_EQ(EVP_Digest(message_.data(), message_.size(), expected.data(), &size, md_of(*row.hash), nullptr), 1);
    CK_MECHANISM mechanism{row.type, nullptr, 0};
    CK_ULONG length = 0;
    ASSERT_EQ(C_DigestInit(session_, &mechanism), CKR_OK);
    ASSERT_EQ(C_Digest(session_, message_.data(), message_.size(), nullptr, &length), CKR_OK);
    EXPECT_EQ(length, size);
    ASSERT_EQ(C_Digest(session_, message_.data(), message_.size(), whole.data(), &length), CKR_OK);
    EXPECT_TRUE(equal(ByteView(whole).first(length), ByteView(expected).first(size)));
    ASSERT_EQ(C_DigestInit(session_, &mechanism), CKR_OK);
    for (std::uint8_t& octet : message_) ASSERT_EQ(C_DigestUpdate(session_, &octet, 1), CKR_OK);
    length = parts.size();
    ASSERT_EQ(C_DigestFinal(session_, parts.data(), &length), CKR_OK);
    EXPECT_TRUE(equal(ByteView(parts).first(length), ByteView(expected).first(size)));
  }
}

// What C_GetMechanismInfo says is what the ...Init calls do, for every mechanism and every key.
TEST_F(MechanismTest, FlagsTellWhatInitCallsDo) {
  for (const char* type : {"p256", "rsa-2048"}) {
    take(type);
    for (const Mechanism& row : mechanisms()) {
      SCOPED_TRACE(name_of_mechanism(row.type));
      CK_MECHANISM_INFO info;
      ASSERT_EQ(C_GetMechanismInfo(0, row.type, &info), CKR_OK);
      CK_MECHANISM mechanism{row.type, nullptr, 0};
      if ((info.flags & CKF_SIGN) == 0) {
        EXPECT_EQ(C_SignInit(session_, &mechanism, sig_), CKR_MECHANISM_INVALID);
      }
      if ((info.flags & CKF_VERIFY) == 0) {
        EXPECT_EQ(C_VerifyInit(session_, &mechanism, sig_half_), CKR_MECHANISM_INVALID);
      }
      if ((info.flags & CKF_DECRYPT) == 0) {
        EXPECT_EQ(C_DecryptInit(session_, &mechanism, enc_), CKR_MECHANISM_INVALID);
      }
      if ((info.flags & CKF_ENCRYPT) == 0) {
        EXPECT_EQ(C_EncryptInit(session_, &mechanism, enc_half_), CKR_MECHANISM_INVALID);
      }
      if ((info.flags & CKF_DIGEST) == 0) {
        EXPECT_EQ(C_DigestInit(session_, &mechanism), CKR_MECHANISM_INVALID);
      }
      if ((info.flags & CKF_HW) != 0) {
        EXPECT_GT(info.ulMinKeySize, 0u);
        EXPECT_GE(info.ulMaxKeySize, info.ulMinKeySize);
      }
    }
    // And CKA_ALLOWED_MECHANISMS of each key is exactly what can be begun with it.
    for (const CK_OBJECT_HANDLE object : {sig_, enc_}) {
      const Bytes list = attribute(session_, object, CKA_ALLOWED_MECHANISMS);
      for (std::size_t at = 0; at < list.size(); at += sizeof(CK_MECHANISM_TYPE)) {
        CK_MECHANISM_TYPE allowed = 0;
        std::memcpy(&allowed, list.data() + at, sizeof allowed);
        const Mechanism* const row = find_mechanism(allowed);
        ASSERT_NE(row, nullptr);
        CK_MECHANISM mechanism{allowed, nullptr, 0};
        const CK_RV rv = object == sig_ ? C_SignInit(session_, &mechanism, object) : CKR_OK;
        const bool with_parameters = row->padding == crypto::Padding::pss;
        EXPECT_EQ(rv, with_parameters && object == sig_ ? CKR_MECHANISM_PARAM_INVALID : CKR_OK);
        if (object == sig_ && rv == CKR_OK) {
          ASSERT_EQ(C_SessionCancel(session_, CKF_SIGN), CKR_OK);
        }
      }
    }
    ASSERT_EQ(C_Finalize(nullptr), CKR_OK);
  }
}

// §4.4 to §4.9: each object has what its class must have, the same through finding as through reading, twice.
TEST_F(MechanismTest, AttributesAreCompleteAndConsistent) {
  struct Row {
    CK_OBJECT_CLASS object_class;
    std::vector<CK_ATTRIBUTE_TYPE> types;
  };
  const std::vector<CK_ATTRIBUTE_TYPE> storage = {CKA_CLASS, CKA_TOKEN,    CKA_PRIVATE,     CKA_MODIFIABLE,
                                                  CKA_LABEL, CKA_COPYABLE, CKA_DESTROYABLE, kUniqueId};
  const std::vector<CK_ATTRIBUTE_TYPE> key = {
      CKA_KEY_TYPE, CKA_ID, CKA_DERIVE, CKA_LOCAL, CKA_KEY_GEN_MECHANISM, CKA_ALLOWED_MECHANISMS};
  const std::vector<Row> rows = {
      {CKO_CERTIFICATE, {CKA_CERTIFICATE_TYPE, CKA_TRUSTED, CKA_CERTIFICATE_CATEGORY, CKA_ID, CKA_VALUE, CKA_URL}},
      {CKO_PUBLIC_KEY, {CKA_VERIFY, CKA_VERIFY_RECOVER, CKA_ENCRYPT, CKA_WRAP, CKA_TRUSTED, CKA_PUBLIC_KEY_INFO}},
      {CKO_PRIVATE_KEY,
       {CKA_SENSITIVE, CKA_DECRYPT, CKA_SIGN, CKA_SIGN_RECOVER, CKA_UNWRAP, CKA_EXTRACTABLE, CKA_ALWAYS_SENSITIVE,
        CKA_NEVER_EXTRACTABLE, CKA_WRAP_WITH_TRUSTED, CKA_ALWAYS_AUTHENTICATE, CKA_PUBLIC_KEY_INFO}}};
  for (const char* type : {"p256", "rsa-2048"}) {
    take(type);
    std::set<Bytes> unique;
    const auto all = find(session_, {});
    for (const CK_OBJECT_HANDLE object : all) {
      const Bytes object_class = attribute(session_, object, CKA_CLASS);
      std::vector<CK_ATTRIBUTE_TYPE> types = storage;
      bool known = false;
      for (const Row& row : rows) {
        if (object_class != ulong_value(row.object_class)) continue;
        known = true;
        types.insert(types.end(), row.types.begin(), row.types.end());
        if (row.object_class != CKO_CERTIFICATE) {
          types.insert(types.end(), key.begin(), key.end());
          const bool rsa = std::string_view(type) == "rsa-2048";
          const auto own = rsa ? std::vector<CK_ATTRIBUTE_TYPE>{CKA_MODULUS, CKA_PUBLIC_EXPONENT}
                               : std::vector<CK_ATTRIBUTE_TYPE>{CKA_EC_PARAMS};
          types.insert(types.end(), own.begin(), own.end());
          if (row.object_class == CKO_PUBLIC_KEY) types.push_back(rsa ? CKA_MODULUS_BITS : CKA_EC_POINT);
        }
      }
      ASSERT_TRUE(known);
      unique.insert(attribute(session_, object, kUniqueId));
      for (const CK_ATTRIBUTE_TYPE one_type : types) {
        SCOPED_TRACE(one_type);
        // Its length alone, its value, and the search for that value tell the same.
        CK_ATTRIBUTE length{one_type, nullptr, 0};
        ASSERT_EQ(C_GetAttributeValue(session_, object, &length, 1), CKR_OK);
        Bytes value = attribute(session_, object, one_type);
        EXPECT_EQ(value.size(), length.ulValueLen);
        EXPECT_EQ(attribute(session_, object, one_type), value);
        const auto found = find(session_, {{one_type, value.data(), value.size()}});
        EXPECT_EQ(std::count(found.begin(), found.end(), object), 1);
      }
    }
    EXPECT_EQ(unique.size(), all.size());
    ASSERT_EQ(C_Finalize(nullptr), CKR_OK);
  }
}

}  // namespace
}  // namespace karta::pkcs11
