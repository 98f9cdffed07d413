// Rows for objects and digests.
#include "tests/pkcs11/conformance.h"

namespace karta::pkcs11 {

std::vector<Row> object_rows() {
  return {
      ROW(C_CreateObject, CKR_ARGUMENTS_BAD, { return C_CreateObject(t.session, nullptr, 2, &t.object); }),
      ROW(C_CreateObject, CKR_ARGUMENTS_BAD,
          {
            CK_ATTRIBUTE one{CKA_CLASS, &t.data_class, sizeof t.data_class};
            return C_CreateObject(t.session, &one, 1, nullptr);
          }),
      ROW(C_CreateObject, CKR_TEMPLATE_INCOMPLETE,
          {
            return t.create({{CKA_VALUE, t.data, 8}});
          }),
      ROW(C_CreateObject, CKR_TEMPLATE_INCOMPLETE,
          {
            return t.create({{CKA_CLASS, &t.secret_class, sizeof t.secret_class}});
          }),
      ROW(C_CreateObject, CKR_TEMPLATE_INCONSISTENT,
          {
            return t.create({{CKA_CLASS, &t.private_class, sizeof t.private_class}});
          }),
      ROW(C_CreateObject, CKR_ATTRIBUTE_VALUE_INVALID,
          {
            return t.create({{CKA_CLASS, t.data, 3}});
          }),
      ROW(C_CreateObject, CKR_ATTRIBUTE_VALUE_INVALID,
          {
            return t.create({{CKA_CLASS, &t.data_class, sizeof t.data_class}, {CKA_VALUE, nullptr, 3}});
          }),
      ROW(C_CreateObject, CKR_ATTRIBUTE_VALUE_INVALID,
          {
            return t.create({{CKA_CLASS, &t.public_class, sizeof t.public_class},
                             {CKA_KEY_TYPE, &t.ec_type, sizeof t.ec_type},
                             {CKA_EC_PARAMS, t.nowhere.data(), t.nowhere.size()},
                             {CKA_EC_POINT, t.data, 65}});
          }),
      ROW(C_CreateObject, CKR_ATTRIBUTE_READ_ONLY,
          {
            return t.create({{CKA_CLASS, &t.data_class, sizeof t.data_class}, {CKA_LOCAL, &t.yes, 1}});
          }),
      ROW(C_CreateObject, CKR_ATTRIBUTE_READ_ONLY,
          {
            return t.create({{CKA_CLASS, &t.certificate_class, sizeof t.certificate_class},
                             {CKA_VALUE, t.data, 8},
                             {CKA_TRUSTED, &t.yes, 1}});
          }),
      ROW(C_CreateObject, CKR_SESSION_READ_ONLY,
          {
            t.session = t.open(0, 0);
            return t.create(
                {{CKA_CLASS, &t.data_class, sizeof t.data_class}, {CKA_TOKEN, &t.yes, 1}, {CKA_VALUE, t.data, 8}});
          }),
      ROW(C_CreateObject, CKR_USER_NOT_LOGGED_IN,
          {
            return t.create(
                {{CKA_CLASS, &t.data_class, sizeof t.data_class}, {CKA_TOKEN, &t.yes, 1}, {CKA_VALUE, t.data, 8}});
          }),
      ROW(C_CreateObject, CKR_TOKEN_WRITE_PROTECTED,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return t.create(
                {{CKA_CLASS, &t.data_class, sizeof t.data_class}, {CKA_TOKEN, &t.yes, 1}, {CKA_VALUE, t.data, 8}});
          }),
      ROW(C_CreateObject, CKR_DEVICE_ERROR,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            t.nonsense();
            return t.create(
                {{CKA_CLASS, &t.data_class, sizeof t.data_class}, {CKA_TOKEN, &t.yes, 1}, {CKA_VALUE, t.data, 8}});
          }),
      ROW(C_CreateObject, CKR_DEVICE_MEMORY,
          {
            CK_RV rv = CKR_OK;
            for (int i = 0; i < 5000 && rv == CKR_OK; ++i) rv = t.data_object();
            return rv;
          }),
      ROW(C_CopyObject, CKR_DEVICE_MEMORY,
          {
            EXPECT_EQ(t.data_object(), CKR_OK);
            CK_RV rv = CKR_OK;
            for (int i = 0; i < 5000 && rv == CKR_OK; ++i)
              rv = C_CopyObject(t.session, t.object, nullptr, 0, &t.object2);
            return rv;
          }),
      ROW(C_CopyObject, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.data_object(), CKR_OK);
            return C_CopyObject(t.session, t.object, nullptr, 0, nullptr);
          }),
      ROW(C_CopyObject, CKR_OBJECT_HANDLE_INVALID, { return C_CopyObject(t.session, 4711, nullptr, 0, &t.object); }),
      ROW(C_CopyObject, CKR_ACTION_PROHIBITED, { return C_CopyObject(t.session, t.cert(), nullptr, 0, &t.object); }),
      ROW(C_CopyObject, CKR_ATTRIBUTE_READ_ONLY,
          {
            EXPECT_EQ(t.data_object(), CKR_OK);
            CK_ATTRIBUTE one{CKA_CLASS, &t.data_class, sizeof t.data_class};
            return C_CopyObject(t.session, t.object, &one, 1, &t.object2);
          }),
      ROW(C_CopyObject, CKR_ATTRIBUTE_TYPE_INVALID,
          {
            EXPECT_EQ(t.data_object(), CKR_OK);
            CK_ATTRIBUTE one{CKA_MODULUS, t.data, 8};
            return C_CopyObject(t.session, t.object, &one, 1, &t.object2);
          }),
      ROW(C_CopyObject, CKR_ATTRIBUTE_VALUE_INVALID,
          {
            EXPECT_EQ(t.data_object(), CKR_OK);
            CK_ATTRIBUTE one{CKA_TOKEN, t.data, 8};
            return C_CopyObject(t.session, t.object, &one, 1, &t.object2);
          }),
      ROW(C_CopyObject, CKR_TOKEN_WRITE_PROTECTED,
          {
            EXPECT_EQ(t.data_object(), CKR_OK);
            CK_ATTRIBUTE one{CKA_TOKEN, &t.yes, 1};
            return C_CopyObject(t.session, t.object, &one, 1, &t.object2);
          }),
      ROW(C_DestroyObject, CKR_OBJECT_HANDLE_INVALID, { return C_DestroyObject(t.session, 4711); }),
      ROW(C_DestroyObject, CKR_SESSION_READ_ONLY,
          {
            t.session = t.open(0, 0);
            return C_DestroyObject(t.session, t.cert());
          }),
      ROW(C_DestroyObject, CKR_ACTION_PROHIBITED, { return C_DestroyObject(t.session, t.cert()); }),
      ROW_ON(Card::open_card, C_DestroyObject, CKR_DEVICE_ERROR,
             {
               EXPECT_EQ(t.in(), CKR_OK);
               EXPECT_EQ(t.generate(CKM_EC_KEY_PAIR_GEN, {{CKA_EC_PARAMS, t.p256.data(), t.p256.size()}}, {}), CKR_OK);
               t.nonsense();
               return C_DestroyObject(t.session, t.object2);
             }),
      ROW_ON(Card::open_card, C_DestroyObject, CKR_USER_NOT_LOGGED_IN,
             {
               EXPECT_EQ(t.in(), CKR_OK);
               EXPECT_EQ(t.create({{CKA_CLASS, &t.data_class, sizeof t.data_class},
                                   {CKA_TOKEN, &t.yes, 1},
                                   {CKA_VALUE, t.data, 8}}),
                         CKR_OK);
               EXPECT_EQ(C_Logout(t.session), CKR_OK);
               return C_DestroyObject(t.session, t.object);
             }),
      ROW(C_GetObjectSize, CKR_ARGUMENTS_BAD, { return C_GetObjectSize(t.session, t.cert(), nullptr); }),
      ROW(C_GetObjectSize, CKR_OBJECT_HANDLE_INVALID, { return C_GetObjectSize(t.session, 4711, &t.length); }),
      ROW(C_GetObjectSize, CKR_INFORMATION_SENSITIVE,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            return C_GetObjectSize(t.session, t.priv(), &t.length);
          }),
      ROW(C_GetObjectSize, CKR_DEVICE_ERROR,
          {
            const auto c = t.cert();
            t.nonsense();
            return C_GetObjectSize(t.session, c, &t.length);
          }),
      ROW(C_GetAttributeValue, CKR_ARGUMENTS_BAD, { return C_GetAttributeValue(t.session, t.cert(), nullptr, 1); }),
      ROW(C_GetAttributeValue, CKR_OBJECT_HANDLE_INVALID,
          {
            CK_ATTRIBUTE one{CKA_LABEL, t.out, 8};
            return C_GetAttributeValue(t.session, 4711, &one, 1);
          }),
      ROW(C_GetAttributeValue, CKR_ATTRIBUTE_SENSITIVE,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            CK_ATTRIBUTE one{CKA_VALUE, t.out, 64};
            return C_GetAttributeValue(t.session, t.priv(), &one, 1);
          }),
      ROW(C_GetAttributeValue, CKR_ATTRIBUTE_TYPE_INVALID,
          {
            CK_ATTRIBUTE one{CKA_PRIME_1, t.out, 64};
            return C_GetAttributeValue(t.session, t.cert(), &one, 1);
          }),
      ROW(C_GetAttributeValue, CKR_BUFFER_TOO_SMALL,
          {
            CK_ATTRIBUTE one{CKA_LABEL, t.out, 1};
            return C_GetAttributeValue(t.session, t.cert(), &one, 1);
          }),
      ROW(C_GetAttributeValue, CKR_DEVICE_ERROR,
          {
            const auto c = t.cert();
            CK_ATTRIBUTE one{CKA_VALUE, t.out, 1};
            t.nonsense();
            return C_GetAttributeValue(t.session, c, &one, 1);
          }),
      ROW(C_SetAttributeValue, CKR_ARGUMENTS_BAD, { return C_SetAttributeValue(t.session, t.cert(), nullptr, 1); }),
      ROW(C_SetAttributeValue, CKR_OBJECT_HANDLE_INVALID,
          {
            CK_ATTRIBUTE one{CKA_LABEL, t.data, 8};
            return C_SetAttributeValue(t.session, 4711, &one, 1);
          }),
      ROW(C_SetAttributeValue, CKR_SESSION_READ_ONLY,
          {
            t.session = t.open(0, 0);
            CK_ATTRIBUTE one{CKA_LABEL, t.data, 8};
            return C_SetAttributeValue(t.session, t.cert(), &one, 1);
          }),
      ROW(C_SetAttributeValue, CKR_ACTION_PROHIBITED,
          {
            CK_ATTRIBUTE one{CKA_LABEL, t.data, 8};
            return C_SetAttributeValue(t.session, t.cert(), &one, 1);
          }),
      ROW(C_SetAttributeValue, CKR_ATTRIBUTE_READ_ONLY,
          {
            EXPECT_EQ(t.data_object(), CKR_OK);
            CK_ATTRIBUTE one{CKA_TOKEN, &t.no, 1};
            return C_SetAttributeValue(t.session, t.object, &one, 1);
          }),
      ROW(C_SetAttributeValue, CKR_ATTRIBUTE_TYPE_INVALID,
          {
            EXPECT_EQ(t.data_object(), CKR_OK);
            CK_ATTRIBUTE one{CKA_MODULUS, t.data, 8};
            return C_SetAttributeValue(t.session, t.object, &one, 1);
          }),
      ROW(C_SetAttributeValue, CKR_ATTRIBUTE_VALUE_INVALID,
          {
            EXPECT_EQ(t.data_object(), CKR_OK);
            CK_ATTRIBUTE one{CKA_LABEL, nullptr, 8};
            return C_SetAttributeValue(t.session, t.object, &one, 1);
          }),
      ROW(C_FindObjectsInit, CKR_ARGUMENTS_BAD, { return C_FindObjectsInit(t.session, nullptr, 1); }),
      ROW(C_FindObjectsInit, CKR_ATTRIBUTE_VALUE_INVALID,
          {
            return t.find_init({{CKA_CLASS, t.data, 3}});
          }),
      ROW(C_FindObjectsInit, CKR_OPERATION_ACTIVE,
          {
            EXPECT_EQ(t.find_init({}), CKR_OK);
            return t.find_init({});
          }),
      ROW(C_FindObjectsInit, CKR_DEVICE_ERROR,
          {
            t.nonsense();
            return t.find_init({});
          }),
      ROW(C_FindObjects, CKR_OPERATION_NOT_INITIALIZED, { return C_FindObjects(t.session, &t.object, 1, &t.length); }),
      ROW(C_FindObjects, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.find_init({}), CKR_OK);
            return C_FindObjects(t.session, nullptr, 1, &t.length);
          }),
      ROW(C_FindObjectsFinal, CKR_OPERATION_NOT_INITIALIZED, { return C_FindObjectsFinal(t.session); }),
  };
}

std::vector<Row> digest_rows() {
  return {
      ROW(C_DigestInit, CKR_ARGUMENTS_BAD, { return C_DigestInit(t.session, nullptr); }),
      ROW(C_DigestInit, CKR_MECHANISM_INVALID,
          {
            CK_MECHANISM m{CKM_ECDSA, nullptr, 0};
            return C_DigestInit(t.session, &m);
          }),
      ROW(C_DigestInit, CKR_MECHANISM_PARAM_INVALID,
          {
            CK_MECHANISM m{CKM_SHA256, t.data, 3};
            return C_DigestInit(t.session, &m);
          }),
      ROW(C_DigestInit, CKR_OPERATION_ACTIVE,
          {
            EXPECT_EQ(t.digest_init(), CKR_OK);
            return t.digest_init();
          }),
      ROW(C_Digest, CKR_OPERATION_NOT_INITIALIZED, { return C_Digest(t.session, t.data, 8, t.out, &(t.length = 64)); }),
      ROW(C_Digest, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.digest_init(), CKR_OK);
            return C_Digest(t.session, nullptr, 8, t.out, &(t.length = 64));
          }),
      ROW(C_Digest, CKR_BUFFER_TOO_SMALL,
          {
            EXPECT_EQ(t.digest_init(), CKR_OK);
            return C_Digest(t.session, t.data, 8, t.out, &(t.length = 31));
          }),
      ROW(C_Digest, CKR_OPERATION_ACTIVE,
          {
            EXPECT_EQ(t.digest_init(), CKR_OK);
            EXPECT_EQ(C_DigestUpdate(t.session, t.data, 8), CKR_OK);
            return C_Digest(t.session, t.data, 8, t.out, &(t.length = 64));
          }),
      ROW(C_DigestUpdate, CKR_OPERATION_NOT_INITIALIZED, { return C_DigestUpdate(t.session, t.data, 8); }),
      ROW(C_DigestUpdate, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.digest_init(), CKR_OK);
            return C_DigestUpdate(t.session, nullptr, 8);
          }),
      ROW(C_DigestKey, CKR_OPERATION_NOT_INITIALIZED, { return C_DigestKey(t.session, 4711); }),
      ROW(C_DigestKey, CKR_KEY_HANDLE_INVALID,
          {
            EXPECT_EQ(t.digest_init(), CKR_OK);
            return C_DigestKey(t.session, 4711);
          }),
      ROW(C_DigestKey, CKR_KEY_INDIGESTIBLE,
          {
            EXPECT_EQ(t.in(), CKR_OK);
            EXPECT_EQ(t.digest_init(), CKR_OK);
            return C_DigestKey(t.session, t.priv());
          }),
      ROW(C_DigestFinal, CKR_OPERATION_NOT_INITIALIZED, { return C_DigestFinal(t.session, t.out, &(t.length = 64)); }),
      ROW(C_DigestFinal, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.digest_init(), CKR_OK);
            return C_DigestFinal(t.session, t.out, nullptr);
          }),
      ROW(C_DigestFinal, CKR_BUFFER_TOO_SMALL,
          {
            EXPECT_EQ(t.digest_init(), CKR_OK);
            return C_DigestFinal(t.session, t.out, &(t.length = 31));
          }),
      ROW(C_SeedRandom, CKR_RANDOM_SEED_NOT_SUPPORTED, { return C_SeedRandom(t.session, t.data, 8); }),
      ROW(C_GenerateRandom, CKR_ARGUMENTS_BAD, { return C_GenerateRandom(t.session, nullptr, 8); }),
      ROW(C_GenerateRandom, CKR_DEVICE_ERROR,
          {
            t.nonsense();
            return C_GenerateRandom(t.session, t.out, 8);
          }),
      ROW(C_GetFunctionStatus, CKR_FUNCTION_NOT_PARALLEL, { return C_GetFunctionStatus(t.session); }),
      ROW(C_CancelFunction, CKR_FUNCTION_NOT_PARALLEL, { return C_CancelFunction(t.session); }),
  };
}

}  // namespace karta::pkcs11
