// Known attacks on the PKCS #11 interface (Clulow 2003; Bortolozzo, Focardi, Centenaro, Steel 2010, "Tookan"): no byte
// of a private key, or of a secret marked sensitive, by any of these sequences. The tests also look at every attribute
// of every object, so that a new kind of object cannot bring a way out unnoticed.
#include "tests/pkcs11/module_fixture.h"

namespace karta::pkcs11 {
namespace {

class AttackTest : public ModuleTest {
 protected:
  void SetUp() override {
    ModuleTest::SetUp();
    session_ = open();
    ASSERT_EQ(login(session_), CKR_OK);
    enc_ = one(session_, CKO_PRIVATE_KEY, "ENC");
  }
  // A secret agreed on with the card, as the program asks for it.
  CK_OBJECT_HANDLE agree(std::vector<CK_ATTRIBUTE> wanted, CK_ULONG kdf = CKD_NULL) {
    Bytes point = attribute(session_, one(session_, CKO_PUBLIC_KEY, "ENC"), CKA_EC_POINT);
    CK_ECDH1_DERIVE_PARAMS parameters{kdf, 0, nullptr, point.size(), point.data()};
    CK_MECHANISM mechanism{CKM_ECDH1_DERIVE, &parameters, sizeof parameters};
    CK_OBJECT_HANDLE made = 0;
    EXPECT_EQ(C_DeriveKey(session_, &mechanism, enc_, wanted.data(), wanted.size(), &made), CKR_OK);
    return made;
  }
  CK_OBJECT_HANDLE sensitive() { return agree({{CKA_SENSITIVE, &yes_, 1}, {CKA_EXTRACTABLE, &no_, 1}}); }
  CK_RV value_of(CK_OBJECT_HANDLE object) {
    Bytes value(512, 0xA5);
    CK_ATTRIBUTE wanted{CKA_VALUE, value.data(), value.size()};
    const CK_RV rv = C_GetAttributeValue(session_, object, &wanted, 1);
    if (rv != CKR_OK) {
      EXPECT_EQ(value, Bytes(512, 0xA5)) << "refused, and yet written to";
    }
    return rv;
  }
  CK_SESSION_HANDLE session_ = 0;
  CK_OBJECT_HANDLE enc_ = 0;
  CK_BBOOL yes_ = CK_TRUE, no_ = CK_FALSE;
};

// Wrap/decrypt: one key with both roles wraps another and deciphers the result.
TEST_F(AttackTest, NothingWraps) {
  const CK_OBJECT_HANDLE secret = sensitive();
  Bytes out(512, 0xA5);
  std::size_t tried = 0;
  for (const CK_OBJECT_HANDLE wrapping : find(session_, {})) {
    for (const CK_OBJECT_HANDLE target : {secret, enc_, one(session_, CKO_PRIVATE_KEY, "SIG")}) {
      for (const CK_MECHANISM_TYPE type : {CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP, CKM_RSA_X_509, CKM_AES_KEY_WRAP,
                                           CKM_AES_ECB, CKM_DES3_ECB, CKM_ECDH1_DERIVE}) {
        CK_MECHANISM mechanism{type, nullptr, 0};
        CK_ULONG length = out.size();
        EXPECT_NE(C_WrapKey(session_, &mechanism, wrapping, target, out.data(), &length), CKR_OK);
        ++tried;
      }
    }
  }
  EXPECT_GE(tried, 100u);
  EXPECT_EQ(out, Bytes(512, 0xA5));
  for (const CK_OBJECT_HANDLE object : find(session_, {})) {
    for (const auto role : {CKA_WRAP, CKA_UNWRAP}) {
      Bytes value(1);
      CK_ATTRIBUTE wanted{role, value.data(), 1};
      if (C_GetAttributeValue(session_, object, &wanted, 1) == CKR_OK) {
        EXPECT_EQ(value, Bytes{CK_FALSE});
      }
    }
  }
}

// Unwrapping known octets, or making a key of them, as a foothold beside the real ones.
TEST_F(AttackTest, NothingUnwrapsAndNoPrivateKeyComesFromOutside) {
  CK_MECHANISM mechanism{CKM_RSA_PKCS, nullptr, 0};
  Bytes blob(256, 1);
  CK_OBJECT_CLASS private_key = CKO_PRIVATE_KEY;
  CK_KEY_TYPE ec = CKK_EC;
  Bytes curve = der::oid("1.2.840.10045.3.1.7"), scalar(32, 3);
  for (CK_BBOOL on_token : {CK_TRUE, CK_FALSE}) {
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &private_key, sizeof private_key},
                             {CKA_KEY_TYPE, &ec, sizeof ec},
                             {CKA_TOKEN, &on_token, 1},
                             {CKA_EXTRACTABLE, &yes_, 1},
                             {CKA_EC_PARAMS, curve.data(), curve.size()},
                             {CKA_VALUE, scalar.data(), scalar.size()}};
    CK_OBJECT_HANDLE made = 0;
    EXPECT_EQ(C_UnwrapKey(session_, &mechanism, enc_, blob.data(), blob.size(), wanted, 3, &made),
              CKR_FUNCTION_NOT_SUPPORTED);
    EXPECT_EQ(C_CreateObject(session_, wanted, std::size(wanted), &made), CKR_TEMPLATE_INCONSISTENT);
    EXPECT_EQ(made, 0u);
  }
}

// Key separation lost by attributes: sensitive unset, extractable set, roles added, on the object or on a copy of it.
TEST_F(AttackTest, NoAttributeComesLoose) {
  const CK_OBJECT_HANDLE secret = sensitive();
  CK_ATTRIBUTE looser[] = {
      {CKA_SENSITIVE, &no_, 1},   {CKA_EXTRACTABLE, &yes_, 1},       {CKA_ALWAYS_SENSITIVE, &yes_, 1},
      {CKA_WRAP, &yes_, 1},       {CKA_DECRYPT, &yes_, 1},           {CKA_PRIVATE, &no_, 1},
      {CKA_TRUSTED, &yes_, 1},    {CKA_WRAP_WITH_TRUSTED, &no_, 1},  {CKA_NEVER_EXTRACTABLE, &no_, 1},
      {CKA_MODIFIABLE, &yes_, 1}, {CKA_COPYABLE, &yes_, 1},          {CKA_LOCAL, &yes_, 1},
      {CKA_VALUE, &yes_, 1},      {CKA_ALWAYS_AUTHENTICATE, &no_, 1}};
  for (CK_ATTRIBUTE& one_of_them : looser) {
    CK_OBJECT_HANDLE copy = 0;
    for (const CK_OBJECT_HANDLE object : {secret, enc_}) {
      EXPECT_NE(C_SetAttributeValue(session_, object, &one_of_them, 1), CKR_OK) << one_of_them.type;
      EXPECT_NE(C_CopyObject(session_, object, &one_of_them, 1, &copy), CKR_OK) << one_of_them.type;
    }
    // Hidden behind a harmless change: all or nothing.
    CK_ATTRIBUTE both[] = {{CKA_LABEL, const_cast<char*>("harmless"), 8}, one_of_them};
    EXPECT_NE(C_SetAttributeValue(session_, secret, both, 2), CKR_OK);
    EXPECT_EQ(value_of(secret), CKR_ATTRIBUTE_SENSITIVE);
  }
  // A faithful copy is as closed as its original.
  CK_OBJECT_HANDLE copy = 0;
  ASSERT_EQ(C_CopyObject(session_, secret, nullptr, 0, &copy), CKR_OK);
  EXPECT_EQ(value_of(copy), CKR_ATTRIBUTE_SENSITIVE);
  // And one way only: what was open and is closed does not open again, on the copy either.
  const CK_OBJECT_HANDLE open_secret = agree({});
  ASSERT_EQ(value_of(open_secret), CKR_OK);
  CK_ATTRIBUTE closing{CKA_SENSITIVE, &yes_, 1}, opening{CKA_SENSITIVE, &no_, 1};
  ASSERT_EQ(C_CopyObject(session_, open_secret, &closing, 1, &copy), CKR_OK);
  EXPECT_EQ(value_of(copy), CKR_ATTRIBUTE_SENSITIVE);
  EXPECT_EQ(C_SetAttributeValue(session_, copy, &opening, 1), CKR_ATTRIBUTE_READ_ONLY);
  EXPECT_EQ(attribute(session_, copy, CKA_ALWAYS_SENSITIVE), Bytes{CK_FALSE});
}

// Reducing a key (Clulow §3.4): a part of it, digested or searched for, tells the rest octet by octet.
TEST_F(AttackTest, NoPartOfASecretIsToldByDigestSearchOrSize) {
  const CK_OBJECT_HANDLE open_secret = agree({}), closed = sensitive();
  const Bytes value = attribute(session_, open_secret, CKA_VALUE);
  CK_MECHANISM sha{CKM_SHA256, nullptr, 0};
  for (const CK_OBJECT_HANDLE object : {closed, enc_, one(session_, CKO_PRIVATE_KEY, "AUT")}) {
    ASSERT_EQ(C_DigestInit(session_, &sha), CKR_OK);
    EXPECT_EQ(C_DigestKey(session_, object), CKR_KEY_INDIGESTIBLE);
    CK_ULONG size = 0;
    if (object == closed) {
      EXPECT_EQ(C_GetObjectSize(session_, object, &size), CKR_INFORMATION_SENSITIVE);
    }
  }
  for (std::size_t n = 1; n <= value.size(); ++n) {
    Bytes part(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(n));
    const auto found = find(session_, {{CKA_VALUE, part.data(), part.size()}});
    EXPECT_EQ(std::count(found.begin(), found.end(), closed), 0) << n;
  }
}

// The same secret asked for once more, this time open: allowed, since the agreement is the holder's to make; but never
// from a key that is not for agreement, nor a private key's own octets.
TEST_F(AttackTest, KeysForOneThingDoNoOther) {
  Bytes point = attribute(session_, one(session_, CKO_PUBLIC_KEY, "ENC"), CKA_EC_POINT);
  CK_ECDH1_DERIVE_PARAMS parameters{CKD_NULL, 0, nullptr, point.size(), point.data()};
  CK_MECHANISM derive{CKM_ECDH1_DERIVE, &parameters, sizeof parameters}, sign{CKM_ECDSA, nullptr, 0};
  CK_OBJECT_HANDLE made = 0;
  for (const char* label : {"AUT", "SIG"}) {
    EXPECT_EQ(C_DeriveKey(session_, &derive, one(session_, CKO_PRIVATE_KEY, label), nullptr, 0, &made),
              CKR_KEY_FUNCTION_NOT_PERMITTED);
  }
  EXPECT_EQ(C_SignInit(session_, &sign, enc_), CKR_KEY_FUNCTION_NOT_PERMITTED);
  const CK_OBJECT_HANDLE secret = sensitive();
  EXPECT_EQ(C_DeriveKey(session_, &derive, secret, nullptr, 0, &made), CKR_KEY_TYPE_INCONSISTENT);
  EXPECT_EQ(C_SignInit(session_, &sign, secret), CKR_KEY_TYPE_INCONSISTENT);
  // Points off the curve, in the small group or not on it at all, get no answer to learn the scalar from.
  for (Bytes bad : {Bytes(65, 0),
                    [] {
                      Bytes zero(65, 0);
                      zero[0] = 4;
                      return zero;
                    }(),
                    [&] {
                      Bytes off(point.end() - 65, point.end());
                      off[64] ^= 1;
                      return off;
                    }()}) {
    CK_ECDH1_DERIVE_PARAMS wrong{CKD_NULL, 0, nullptr, bad.size(), bad.data()};
    CK_MECHANISM mechanism{CKM_ECDH1_DERIVE, &wrong, sizeof wrong};
    EXPECT_NE(C_DeriveKey(session_, &mechanism, enc_, nullptr, 0, &made), CKR_OK);
  }
}

// Every attribute number of every object: nothing but what may be told comes out of private keys and closed secrets.
TEST_F(AttackTest, EveryAttributeOfEveryObject) {
  (void)sensitive();
  const auto may_not = {CKA_VALUE,      CKA_PRIVATE_EXPONENT, CKA_PRIME_1,    CKA_PRIME_2,
                        CKA_EXPONENT_1, CKA_EXPONENT_2,       CKA_COEFFICIENT};
  std::size_t closed = 0;
  for (const CK_OBJECT_HANDLE object : find(session_, {})) {
    const bool private_key = attribute(session_, object, CKA_CLASS) == ulong_value(CKO_PRIVATE_KEY);
    const bool secret = attribute(session_, object, CKA_CLASS) == ulong_value(CKO_SECRET_KEY);
    if (!private_key && !secret) continue;
    ++closed;
    EXPECT_EQ(attribute(session_, object, CKA_SENSITIVE), Bytes{CK_TRUE});
    EXPECT_EQ(attribute(session_, object, CKA_EXTRACTABLE), Bytes{CK_FALSE});
    for (const auto type : may_not) {
      CK_ATTRIBUTE wanted{type, nullptr, 0};
      const CK_RV rv = C_GetAttributeValue(session_, object, &wanted, 1);
      EXPECT_TRUE(rv == CKR_ATTRIBUTE_SENSITIVE || (secret && rv == CKR_ATTRIBUTE_TYPE_INVALID)) << type;
      EXPECT_EQ(wanted.ulValueLen, kUnavailable) << "not even its length";
    }
  }
  EXPECT_EQ(closed, 4u);
}

// Handles of another session or token, and of objects that went with a logout.
TEST_F(AttackTest, PrivateThingsGoWithTheLogin) {
  const CK_OBJECT_HANDLE secret = sensitive();
  const CK_SESSION_HANDLE qualified = open(1);
  Bytes value(64);
  CK_ATTRIBUTE wanted{CKA_LABEL, value.data(), value.size()};
  EXPECT_EQ(C_GetAttributeValue(qualified, secret, &wanted, 1), CKR_OBJECT_HANDLE_INVALID);
  CK_MECHANISM sign{CKM_ECDSA_SHA256, nullptr, 0};
  const CK_OBJECT_HANDLE sig = one(session_, CKO_PRIVATE_KEY, "SIG");
  ASSERT_EQ(C_SignInit(session_, &sign, sig), CKR_OK);
  ASSERT_EQ(C_Logout(session_), CKR_OK);
  CK_ULONG length = value.size();
  EXPECT_EQ(C_Sign(session_, message_.data(), message_.size(), value.data(), &length), CKR_OPERATION_NOT_INITIALIZED);
  EXPECT_EQ(C_GetAttributeValue(session_, secret, &wanted, 1), CKR_OBJECT_HANDLE_INVALID);
  EXPECT_EQ(C_GetAttributeValue(session_, sig, &wanted, 1), CKR_OBJECT_HANDLE_INVALID);
  ASSERT_EQ(login(session_), CKR_OK);
  EXPECT_EQ(C_GetAttributeValue(session_, secret, &wanted, 1), CKR_OBJECT_HANDLE_INVALID);
}

}  // namespace
}  // namespace karta::pkcs11
