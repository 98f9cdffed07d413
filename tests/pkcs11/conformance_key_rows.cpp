// Rows for signing, verifying, encrypting, and making keys.
#include "tests/pkcs11/conformance.h"

namespace karta::pkcs11 {
// The ...Init calls with keys share their errors; `good` and `other` are labels of a fitting key and one for other
// uses.
std::vector<Row> key_init_rows(std::string_view name,
                               CK_RV (*call)(CK_SESSION_HANDLE, CK_MECHANISM_PTR, CK_OBJECT_HANDLE), bool whole,
                               CK_MECHANISM_TYPE mechanism, CK_MECHANISM_TYPE other_family, const char* good,
                               const char* other, Card card) {
  const auto with = [=](CK_MECHANISM_TYPE type, const char* label, CK_ULONG parameter_octets) {
    return [=](T& t) {
      EXPECT_EQ(t.in(), CKR_OK);
      CK_MECHANISM m{type, t.data, parameter_octets};
      return call(t.session, &m, whole ? t.priv(label) : t.pub(label));
    };
  };
  std::vector<Row> rows = {
      {name, CKR_ARGUMENTS_BAD, [=](T& t) { return call(t.session, nullptr, 1); }, card},
      {name, CKR_MECHANISM_INVALID, with(CKM_SHA256, good, 0), card},
      {name, CKR_MECHANISM_INVALID, with(0x4711, good, 0), card},
      {name, CKR_MECHANISM_PARAM_INVALID, with(mechanism, good, 3), card},
      {name, CKR_KEY_FUNCTION_NOT_PERMITTED, with(mechanism, other, 0), card},
      {name, CKR_KEY_TYPE_INCONSISTENT,
       [=](T& t) {
         EXPECT_EQ(t.in(), CKR_OK);
         CK_MECHANISM m{mechanism, nullptr, 0};
         return call(t.session, &m, whole ? t.pub(good) : t.priv(good));
       },
       card},
      {name, CKR_KEY_HANDLE_INVALID,
       [=](T& t) {
         CK_MECHANISM m{mechanism, nullptr, 0};
         return call(t.session, &m, 4711);
       },
       card},
      {name, CKR_OPERATION_ACTIVE,
       [=](T& t) {
         EXPECT_EQ(with(mechanism, good, 0)(t), CKR_OK);
         CK_MECHANISM m{mechanism, nullptr, 0};
         return call(t.session, &m, whole ? t.priv(good) : t.pub(good));
       },
       card},
  };
  if (other_family != 0) rows.push_back({name, CKR_KEY_TYPE_INCONSISTENT, with(other_family, good, 0), card});
  if (!whole)
    rows.push_back({name, CKR_DEVICE_ERROR,
                    [=](T& t) {
                      const auto key = t.pub(good);
                      CK_MECHANISM m{mechanism, nullptr, 0};
                      t.nonsense();
                      return call(t.session, &m, key);
                    },
                    card});
  return rows;
}

std::vector<Row> signature_rows() {
  return {
      ROW(C_Sign, CKR_OPERATION_NOT_INITIALIZED, { return t.sign(); }),
      ROW(C_Sign, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            return C_Sign(t.session, nullptr, 8, t.out, &(t.length = 64));
          }),
      ROW(C_Sign, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            return C_Sign(t.session, t.data, 8, t.out, nullptr);
          }),
      ROW(C_Sign, CKR_BUFFER_TOO_SMALL,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            return t.sign(63);
          }),
      ROW(C_Sign, CKR_DATA_LEN_RANGE,
          {
            EXPECT_EQ(t.sign_init(CKM_ECDSA), CKR_OK);
            return C_Sign(t.session, t.data, 0, t.out, &(t.length = 64));
          }),
      ROW_ON(Card::rsa, C_Sign, CKR_DATA_LEN_RANGE,
             {
               EXPECT_EQ(t.sign_init(CKM_RSA_PKCS), CKR_OK);
               return C_Sign(t.session, t.data, 246, t.out, &(t.length = 256));
             }),
      ROW(C_Sign, CKR_OPERATION_ACTIVE,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            EXPECT_EQ(C_SignUpdate(t.session, t.data, 8), CKR_OK);
            return t.sign();
          }),
      ROW(C_Sign, CKR_USER_NOT_LOGGED_IN,
          {
            t.qualified();
            return t.sign();
          }),
      ROW(C_Sign, CKR_FUNCTION_REJECTED,
          {
            t.qualified();
            t.reader_->pad.emplace();
            EXPECT_EQ(C_Login(t.session, CKU_CONTEXT_SPECIFIC, nullptr, 0), CKR_OK);
            return t.sign();
          }),
      ROW(C_Sign, CKR_DEVICE_ERROR,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            t.nonsense();
            return t.sign();
          }),
      ROW(C_Sign, CKR_DEVICE_REMOVED,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            t.gone();
            return t.sign();
          }),
      ROW(C_Sign, CKR_FUNCTION_FAILED,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            t.renewed();
            return t.sign();
          }),
      ROW(C_SignUpdate, CKR_OPERATION_NOT_INITIALIZED, { return C_SignUpdate(t.session, t.data, 8); }),
      ROW(C_SignUpdate, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            return C_SignUpdate(t.session, nullptr, 8);
          }),
      ROW(C_SignUpdate, CKR_DATA_LEN_RANGE,
          {
            EXPECT_EQ(t.sign_init(CKM_ECDSA), CKR_OK);
            CK_RV rv = CKR_OK;
            for (int i = 0; i < 20 && rv == CKR_OK; ++i) rv = C_SignUpdate(t.session, t.data, 512);
            return rv;
          }),
      ROW(C_SignFinal, CKR_OPERATION_NOT_INITIALIZED, { return C_SignFinal(t.session, t.out, &(t.length = 64)); }),
      ROW(C_SignFinal, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            return C_SignFinal(t.session, t.out, nullptr);
          }),
      ROW(C_SignFinal, CKR_BUFFER_TOO_SMALL,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            return C_SignFinal(t.session, t.out, &(t.length = 63));
          }),
      ROW(C_SignFinal, CKR_DATA_LEN_RANGE,
          {
            EXPECT_EQ(t.sign_init(CKM_ECDSA), CKR_OK);
            return C_SignFinal(t.session, t.out, &(t.length = 64));
          }),
      ROW(C_SignFinal, CKR_USER_NOT_LOGGED_IN,
          {
            t.qualified();
            return C_SignFinal(t.session, t.out, &(t.length = 64));
          }),
      ROW(C_SignFinal, CKR_FUNCTION_REJECTED,
          {
            t.qualified();
            t.reader_->pad.emplace();
            EXPECT_EQ(C_Login(t.session, CKU_CONTEXT_SPECIFIC, nullptr, 0), CKR_OK);
            return C_SignFinal(t.session, t.out, &(t.length = 64));
          }),
      ROW(C_SignFinal, CKR_DEVICE_ERROR,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            t.nonsense();
            return C_SignFinal(t.session, t.out, &(t.length = 64));
          }),
      ROW(C_SignFinal, CKR_FUNCTION_FAILED,
          {
            EXPECT_EQ(t.sign_init(), CKR_OK);
            t.renewed();
            return C_SignFinal(t.session, t.out, &(t.length = 64));
          }),
      ROW(C_Verify, CKR_OPERATION_NOT_INITIALIZED, { return C_Verify(t.session, t.data, 8, t.out, 64); }),
      ROW(C_Verify, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.verify_init(), CKR_OK);
            return C_Verify(t.session, t.data, 8, nullptr, 64);
          }),
      ROW(C_Verify, CKR_SIGNATURE_INVALID,
          {
            EXPECT_EQ(t.verify_init(), CKR_OK);
            return C_Verify(t.session, t.data, 8, t.out, 64);
          }),
      ROW(C_Verify, CKR_SIGNATURE_LEN_RANGE,
          {
            EXPECT_EQ(t.verify_init(), CKR_OK);
            return C_Verify(t.session, t.data, 8, t.out, 65);
          }),
      ROW(C_Verify, CKR_DATA_LEN_RANGE,
          {
            EXPECT_EQ(t.verify_init(CKM_ECDSA), CKR_OK);
            return C_Verify(t.session, t.data, 31, t.out, 64);
          }),
      ROW(C_Verify, CKR_OPERATION_ACTIVE,
          {
            EXPECT_EQ(t.verify_init(), CKR_OK);
            EXPECT_EQ(C_VerifyUpdate(t.session, t.data, 8), CKR_OK);
            return C_Verify(t.session, t.data, 8, t.out, 64);
          }),
      ROW(C_VerifyUpdate, CKR_OPERATION_NOT_INITIALIZED, { return C_VerifyUpdate(t.session, t.data, 8); }),
      ROW(C_VerifyUpdate, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.verify_init(), CKR_OK);
            return C_VerifyUpdate(t.session, nullptr, 8);
          }),
      ROW(C_VerifyUpdate, CKR_DATA_LEN_RANGE,
          {
            EXPECT_EQ(t.verify_init(CKM_ECDSA), CKR_OK);
            CK_RV rv = CKR_OK;
            for (int i = 0; i < 20 && rv == CKR_OK; ++i) rv = C_VerifyUpdate(t.session, t.data, 512);
            return rv;
          }),
      ROW(C_VerifyFinal, CKR_OPERATION_NOT_INITIALIZED, { return C_VerifyFinal(t.session, t.out, 64); }),
      ROW(C_VerifyFinal, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.verify_init(), CKR_OK);
            return C_VerifyFinal(t.session, nullptr, 64);
          }),
      ROW(C_VerifyFinal, CKR_SIGNATURE_INVALID,
          {
            EXPECT_EQ(t.verify_init(), CKR_OK);
            return C_VerifyFinal(t.session, t.out, 64);
          }),
      ROW(C_VerifyFinal, CKR_SIGNATURE_LEN_RANGE,
          {
            EXPECT_EQ(t.verify_init(), CKR_OK);
            return C_VerifyFinal(t.session, t.out, 63);
          }),
      ROW(C_VerifyFinal, CKR_DATA_LEN_RANGE,
          {
            EXPECT_EQ(t.verify_init(CKM_ECDSA), CKR_OK);
            return C_VerifyFinal(t.session, t.out, 64);
          }),
  };
}

std::vector<Row> cipher_rows() {
  return {
      ROW(C_Encrypt, CKR_OPERATION_NOT_INITIALIZED,
          { return C_Encrypt(t.session, t.data, 8, t.out, &(t.length = 256)); }),
      ROW_ON(Card::rsa, C_Encrypt, CKR_ARGUMENTS_BAD,
             {
               EXPECT_EQ(t.encrypt_init(), CKR_OK);
               return C_Encrypt(t.session, nullptr, 8, t.out, &(t.length = 256));
             }),
      ROW_ON(Card::rsa, C_Encrypt, CKR_BUFFER_TOO_SMALL,
             {
               EXPECT_EQ(t.encrypt_init(), CKR_OK);
               return C_Encrypt(t.session, t.data, 8, t.out, &(t.length = 255));
             }),
      ROW_ON(Card::rsa, C_Encrypt, CKR_DATA_LEN_RANGE,
             {
               EXPECT_EQ(t.encrypt_init(), CKR_OK);
               return C_Encrypt(t.session, t.data, 246, t.out, &(t.length = 256));
             }),
      ROW_ON(Card::rsa, C_Encrypt, CKR_OPERATION_ACTIVE,
             {
               EXPECT_EQ(t.encrypt_init(), CKR_OK);
               EXPECT_EQ(C_EncryptUpdate(t.session, t.data, 8, t.out, &t.length), CKR_OK);
               return C_Encrypt(t.session, t.data, 8, t.out, &(t.length = 256));
             }),
      ROW(C_EncryptUpdate, CKR_OPERATION_NOT_INITIALIZED,
          { return C_EncryptUpdate(t.session, t.data, 8, t.out, &t.length); }),
      ROW_ON(Card::rsa, C_EncryptUpdate, CKR_ARGUMENTS_BAD,
             {
               EXPECT_EQ(t.encrypt_init(), CKR_OK);
               return C_EncryptUpdate(t.session, nullptr, 8, t.out, &t.length);
             }),
      ROW_ON(Card::rsa, C_EncryptUpdate, CKR_DATA_LEN_RANGE,
             {
               EXPECT_EQ(t.encrypt_init(), CKR_OK);
               CK_RV rv = CKR_OK;
               for (int i = 0; i < 20 && rv == CKR_OK; ++i)
                 rv = C_EncryptUpdate(t.session, t.data, 512, t.out, &t.length);
               return rv;
             }),
      ROW(C_EncryptFinal, CKR_OPERATION_NOT_INITIALIZED,
          { return C_EncryptFinal(t.session, t.out, &(t.length = 256)); }),
      ROW_ON(Card::rsa, C_EncryptFinal, CKR_ARGUMENTS_BAD,
             {
               EXPECT_EQ(t.encrypt_init(), CKR_OK);
               return C_EncryptFinal(t.session, t.out, nullptr);
             }),
      ROW_ON(Card::rsa, C_EncryptFinal, CKR_BUFFER_TOO_SMALL,
             {
               EXPECT_EQ(t.encrypt_init(), CKR_OK);
               return C_EncryptFinal(t.session, t.out, &(t.length = 255));
             }),
      ROW_ON(Card::rsa, C_EncryptFinal, CKR_DATA_LEN_RANGE,
             {
               EXPECT_EQ(t.encrypt_init(), CKR_OK);
               EXPECT_EQ(C_EncryptUpdate(t.session, t.data, 246, t.out, &t.length), CKR_OK);
               return C_EncryptFinal(t.session, t.out, &(t.length = 256));
             }),
      ROW(C_Decrypt, CKR_OPERATION_NOT_INITIALIZED,
          { return C_Decrypt(t.session, t.data, 256, t.out, &(t.length = 256)); }),
      ROW_ON(Card::rsa, C_Decrypt, CKR_ARGUMENTS_BAD,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               return C_Decrypt(t.session, nullptr, 256, t.out, &(t.length = 256));
             }),
      ROW_ON(Card::rsa, C_Decrypt, CKR_BUFFER_TOO_SMALL,
             {
               t.cryptogram();
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               return C_Decrypt(t.session, t.data, 256, t.out, &(t.length = 2));
             }),
      ROW_ON(Card::rsa, C_Decrypt, CKR_ENCRYPTED_DATA_LEN_RANGE,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               return C_Decrypt(t.session, t.data, 255, t.out, &(t.length = 256));
             }),
      ROW_ON(Card::rsa, C_Decrypt, CKR_ENCRYPTED_DATA_INVALID,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               return C_Decrypt(t.session, t.data, 256, t.out, &(t.length = 256));
             }),
      ROW_ON(Card::rsa, C_Decrypt, CKR_OPERATION_ACTIVE,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               EXPECT_EQ(C_DecryptUpdate(t.session, t.data, 8, t.out, &t.length), CKR_OK);
               return C_Decrypt(t.session, t.data, 256, t.out, &(t.length = 256));
             }),
      ROW_ON(Card::rsa, C_Decrypt, CKR_DEVICE_ERROR,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               t.nonsense();
               return C_Decrypt(t.session, t.data, 256, t.out, &(t.length = 256));
             }),
      ROW(C_DecryptUpdate, CKR_OPERATION_NOT_INITIALIZED,
          { return C_DecryptUpdate(t.session, t.data, 8, t.out, &t.length); }),
      ROW_ON(Card::rsa, C_DecryptUpdate, CKR_ARGUMENTS_BAD,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               return C_DecryptUpdate(t.session, nullptr, 8, t.out, &t.length);
             }),
      ROW_ON(Card::rsa, C_DecryptUpdate, CKR_ENCRYPTED_DATA_LEN_RANGE,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               CK_RV rv = CKR_OK;
               for (int i = 0; i < 20 && rv == CKR_OK; ++i)
                 rv = C_DecryptUpdate(t.session, t.data, 512, t.out, &t.length);
               return rv;
             }),
      ROW(C_DecryptFinal, CKR_OPERATION_NOT_INITIALIZED,
          { return C_DecryptFinal(t.session, t.out, &(t.length = 256)); }),
      ROW_ON(Card::rsa, C_DecryptFinal, CKR_ARGUMENTS_BAD,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               return C_DecryptFinal(t.session, t.out, nullptr);
             }),
      ROW_ON(Card::rsa, C_DecryptFinal, CKR_ENCRYPTED_DATA_LEN_RANGE,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               return C_DecryptFinal(t.session, t.out, &(t.length = 256));
             }),
      ROW_ON(Card::rsa, C_DecryptFinal, CKR_ENCRYPTED_DATA_INVALID,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               EXPECT_EQ(C_DecryptUpdate(t.session, t.data, 256, t.out, &t.length), CKR_OK);
               return C_DecryptFinal(t.session, t.out, &(t.length = 256));
             }),
      ROW_ON(Card::rsa, C_DecryptFinal, CKR_BUFFER_TOO_SMALL,
             {
               t.cryptogram();
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               EXPECT_EQ(C_DecryptUpdate(t.session, t.data, 256, t.out, &t.length), CKR_OK);
               return C_DecryptFinal(t.session, t.out, &(t.length = 2));
             }),
      ROW_ON(Card::rsa, C_DecryptFinal, CKR_DEVICE_ERROR,
             {
               EXPECT_EQ(t.decrypt_init(), CKR_OK);
               EXPECT_EQ(C_DecryptUpdate(t.session, t.data, 256, t.out, &t.length), CKR_OK);
               t.nonsense();
               return C_DecryptFinal(t.session, t.out, &(t.length = 256));
             }),
  };
}

std::vector<Row> key_rows() {
  return {
      ROW(C_GenerateKeyPair, CKR_ARGUMENTS_BAD,
          {
            CK_MECHANISM m{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
            return C_GenerateKeyPair(t.session, &m, nullptr, 1, nullptr, 0, &t.object, &t.object2);
          }),
      ROW(C_GenerateKeyPair, CKR_MECHANISM_INVALID, { return t.generate(CKM_ECDSA, {}, {}); }),
      ROW(C_GenerateKeyPair, CKR_SESSION_READ_ONLY,
          {
            t.session = t.open(0, 0);
            return t.generate(CKM_EC_KEY_PAIR_GEN, {}, {});
          }),
      ROW(C_GenerateKeyPair, CKR_USER_NOT_LOGGED_IN, { return t.generate(CKM_EC_KEY_PAIR_GEN, {}, {}); }),
      ROW(C_GenerateKeyPair, CKR_TEMPLATE_INCOMPLETE,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.generate(CKM_EC_KEY_PAIR_GEN, {}, {});
          }),
      ROW(C_GenerateKeyPair, CKR_TEMPLATE_INCONSISTENT,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.generate(CKM_EC_KEY_PAIR_GEN, {{CKA_EC_PARAMS, t.p256.data(), t.p256.size()}},
                              {{CKA_EXTRACTABLE, &t.yes, 1}});
          }),
      ROW(C_GenerateKeyPair, CKR_CURVE_NOT_SUPPORTED,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.generate(CKM_EC_KEY_PAIR_GEN, {{CKA_EC_PARAMS, t.nowhere.data(), t.nowhere.size()}}, {});
          }),
      ROW(C_GenerateKeyPair, CKR_KEY_SIZE_RANGE,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            CK_ULONG bits = 100;
            return t.generate(CKM_RSA_PKCS_KEY_PAIR_GEN, {{CKA_MODULUS_BITS, &bits, sizeof bits}}, {});
          }),
      ROW(C_GenerateKeyPair, CKR_ATTRIBUTE_VALUE_INVALID,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.generate(CKM_RSA_PKCS_KEY_PAIR_GEN, {{CKA_MODULUS_BITS, t.data, 3}}, {});
          }),
      ROW(C_GenerateKeyPair, CKR_TOKEN_WRITE_PROTECTED,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.generate(CKM_EC_KEY_PAIR_GEN, {{CKA_EC_PARAMS, t.p256.data(), t.p256.size()}},
                              {{CKA_ID, t.new_id.data(), 1}});
          }),
      ROW(C_GenerateKeyPair, CKR_DEVICE_ERROR,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            t.nonsense();
            return t.generate(CKM_EC_KEY_PAIR_GEN, {{CKA_EC_PARAMS, t.p256.data(), t.p256.size()}},
                              {{CKA_ID, t.sig_id.data(), 1}});
          }),
      ROW_ON(Card::open_card, C_GenerateKeyPair, CKR_DEVICE_MEMORY,
             {
               EXPECT_EQ(t.in(), CKR_OK);
               CK_RV rv = CKR_OK;
               for (int i = 0; i < 64 && rv == CKR_OK; ++i)
                 rv = t.generate(CKM_EC_KEY_PAIR_GEN, {{CKA_EC_PARAMS, t.p256.data(), t.p256.size()}}, {});
               return rv;
             }),
      ROW(C_DeriveKey, CKR_ARGUMENTS_BAD, { return C_DeriveKey(t.session, nullptr, 1, nullptr, 0, &t.object); }),
      ROW(C_DeriveKey, CKR_MECHANISM_INVALID, { return t.derive(CKM_ECDSA, 1, {}); }),
      ROW(C_DeriveKey, CKR_MECHANISM_PARAM_INVALID,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.derive(CKM_ECDH1_DERIVE, t.priv("ENC"), {}, 12);
          }),
      ROW(C_DeriveKey, CKR_KEY_HANDLE_INVALID, { return t.derive(CKM_ECDH1_DERIVE, 4711, {}); }),
      ROW(C_DeriveKey, CKR_KEY_TYPE_INCONSISTENT, { return t.derive(CKM_ECDH1_DERIVE, t.pub("ENC"), {}); }),
      ROW(C_DeriveKey, CKR_KEY_FUNCTION_NOT_PERMITTED,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.derive(CKM_ECDH1_DERIVE, t.priv("SIG"), {});
          }),
      ROW(C_DeriveKey, CKR_KEY_SIZE_RANGE,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.derive(CKM_ECDH1_DERIVE, t.priv("ENC"), {{CKA_VALUE_LEN, &t.huge, sizeof t.huge}});
          }),
      ROW(C_DeriveKey, CKR_ATTRIBUTE_READ_ONLY,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.derive(CKM_ECDH1_DERIVE, t.priv("ENC"), {{CKA_LOCAL, &t.yes, 1}});
          }),
      ROW(C_DeriveKey, CKR_ATTRIBUTE_VALUE_INVALID,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.derive(CKM_ECDH1_DERIVE, t.priv("ENC"), {{CKA_VALUE_LEN, t.data, 3}});
          }),
      ROW(C_DeriveKey, CKR_TEMPLATE_INCONSISTENT,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.derive(CKM_ECDH1_DERIVE, t.priv("ENC"), {{CKA_TOKEN, &t.yes, 1}});
          }),
      ROW(C_DeriveKey, CKR_DEVICE_ERROR,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            t.before_call = [&t] { t.nonsense(); };
            return t.derive(CKM_ECDH1_DERIVE, t.priv("ENC"), {});
          }),
  };
}

std::vector<Row> key_init_rows() {
  std::vector<Row> some;
  const auto add = [&](std::vector<Row> more) { some.insert(some.end(), more.begin(), more.end()); };
  add(key_init_rows("C_SignInit", ::C_SignInit, true, CKM_ECDSA_SHA256, CKM_SHA256_RSA_PKCS, "SIG", "ENC",
                    Card::issued));
  add(key_init_rows("C_VerifyInit", ::C_VerifyInit, false, CKM_ECDSA_SHA256, CKM_SHA256_RSA_PKCS, "SIG", "ENC",
                    Card::issued));
  add(key_init_rows("C_EncryptInit", ::C_EncryptInit, false, CKM_RSA_PKCS, 0, "ENC", "SIG", Card::rsa));
  add(key_init_rows("C_DecryptInit", ::C_DecryptInit, true, CKM_RSA_PKCS, 0, "ENC", "SIG", Card::rsa));
  return some;
}

}  // namespace karta::pkcs11
