// Cards that take new objects: begun through C_InitToken, filled and emptied through C_GenerateKeyPair, C_CreateObject
// and C_DestroyObject; issued cards, which refuse all that; and keys renewed behind a program's back.
#include "base/clock.h"
#include "crypto/x509/certificate.h"
#include "tests/pkcs11/module_fixture.h"

namespace karta::pkcs11 {
namespace {

class ManagementTest : public ModuleTest {
 protected:
  void SetUp() override {}
  CK_RV generate(CK_SESSION_HANDLE session, Bytes id, const char* label = "made here") {
    Bytes curve = der::oid("1.2.840.10045.3.1.7");
    CK_BBOOL yes = CK_TRUE;
    CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
    std::vector<CK_ATTRIBUTE> half = {{CKA_EC_PARAMS, curve.data(), curve.size()}};
    std::vector<CK_ATTRIBUTE> whole = {{CKA_SIGN, &yes, 1}, {CKA_LABEL, const_cast<char*>(label), std::strlen(label)}};
    if (!id.empty()) whole.push_back({CKA_ID, id.data(), id.size()});
    return C_GenerateKeyPair(session, &mechanism, half.data(), half.size(), whole.data(), whole.size(), &public_key_,
                             &private_key_);
  }
  bool signs(CK_SESSION_HANDLE session) {
    CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
    Bytes signature(64);
    CK_ULONG length = 64;
    return C_SignInit(session, &mechanism, private_key_) == CKR_OK &&
           C_Sign(session, message_.data(), message_.size(), signature.data(), &length) == CKR_OK &&
           C_VerifyInit(session, &mechanism, public_key_) == CKR_OK &&
           C_Verify(session, message_.data(), message_.size(), signature.data(), 64) == CKR_OK;
  }
  CK_RV add_data(CK_SESSION_HANDLE session, const char* label, bool is_private, CK_OBJECT_HANDLE& made) {
    CK_OBJECT_CLASS data = CKO_DATA;
    CK_BBOOL yes = CK_TRUE, hidden = is_private ? CK_TRUE : CK_FALSE;
    Bytes value = to_bytes(as_bytes("kept on the card"));
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &data, sizeof data},
                             {CKA_TOKEN, &yes, 1},
                             {CKA_PRIVATE, &hidden, 1},
                             {CKA_LABEL, const_cast<char*>(label), std::strlen(label)},
                             {CKA_APPLICATION, const_cast<char*>("test"), 4},
                             {CKA_VALUE, value.data(), value.size()}};
    return C_CreateObject(session, wanted, std::size(wanted), &made);
  }
  CK_OBJECT_HANDLE public_key_ = 0, private_key_ = 0;
};

TEST_F(ManagementTest, ABlankCardIsBegunByItsOfficer) {
  take_blank();
  begin();
  EXPECT_EQ(token_flags(0) & (CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED), 0u);
  CK_UTF8CHAR label[32];
  std::memset(label, ' ', sizeof label);
  std::memcpy(label, "mine", 4);
  EXPECT_EQ(C_InitToken(0, text("12"), 2, label), CKR_PIN_INCORRECT);
  {
    const CK_SESSION_HANDLE session = open();
    EXPECT_EQ(login(session), CKR_USER_PIN_NOT_INITIALIZED);
    EXPECT_EQ(C_InitToken(0, text(kOpenPuk), 8, label), CKR_SESSION_EXISTS);
    ASSERT_EQ(C_CloseSession(session), CKR_OK);
  }
  ASSERT_EQ(C_InitToken(0, text(kOpenPuk), 8, label), CKR_OK);
  EXPECT_EQ(token_flags(0) & (CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED), CKF_TOKEN_INITIALIZED);
  const CK_SESSION_HANDLE session = open();
  EXPECT_EQ(login(session), CKR_USER_PIN_NOT_INITIALIZED);
  ASSERT_EQ(login(session, "11111111", CKU_SO), CKR_OK);
  EXPECT_EQ(C_InitPIN(session, text(kPin1), 6), CKR_PIN_INCORRECT);  // the PUK is tried when it is used
  ASSERT_EQ(C_Logout(session), CKR_OK);
  ASSERT_EQ(login(session, kOpenPuk, CKU_SO), CKR_OK);
  ASSERT_EQ(C_InitPIN(session, text(kPin1), 6), CKR_OK);
  ASSERT_EQ(C_Logout(session), CKR_OK);
  EXPECT_NE(token_flags(0) & CKF_USER_PIN_INITIALIZED, 0u);
  EXPECT_EQ(login(session), CKR_OK);
  CK_TOKEN_INFO info;
  ASSERT_EQ(C_GetTokenInfo(0, &info), CKR_OK);
  EXPECT_TRUE(as_text(ByteView(info.label, 32)).starts_with("mine (PIN1) ")) << as_text(ByteView(info.label, 32));
}

TEST_F(ManagementTest, BeginningAnewTakesThePukAndEmptiesTheCard) {
  take_open();
  CK_UTF8CHAR label[32];
  std::memset(label, ' ', sizeof label);
  {
    const CK_SESSION_HANDLE session = open();
    ASSERT_EQ(login(session), CKR_OK);
    ASSERT_EQ(generate(session, {0x50}), CKR_OK);
    ASSERT_EQ(C_CloseSession(session), CKR_OK);
  }
  EXPECT_EQ(C_InitToken(0, text("27182818"), 8, label), CKR_PIN_INCORRECT);
  {
    const CK_SESSION_HANDLE session = open();
    ASSERT_EQ(login(session), CKR_OK) << "a wrong PUK changes nothing";
    EXPECT_EQ(find(session, {}).size(), 2u);
    ASSERT_EQ(C_CloseSession(session), CKR_OK);
  }
  ASSERT_EQ(C_InitToken(0, text(kOpenPuk), 8, label), CKR_OK);
  const CK_SESSION_HANDLE session = open();
  EXPECT_EQ(login(session), CKR_USER_PIN_NOT_INITIALIZED);
  EXPECT_TRUE(find(session, {}).empty());
}

TEST_F(ManagementTest, AnIssuedCardStaysAsItIs) {
  issue("p256");
  begin();
  CK_UTF8CHAR label[32];
  std::memset(label, ' ', sizeof label);
  const unsigned before = reader_->commands;
  EXPECT_EQ(C_InitToken(0, text(kOpenPuk), 8, label), CKR_TOKEN_WRITE_PROTECTED);
  EXPECT_EQ(C_InitToken(1, text(kOpenPuk), 8, label), CKR_TOKEN_WRITE_PROTECTED);
  EXPECT_GT(reader_->commands, before);
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  EXPECT_EQ(generate(session, {0x50}), CKR_TOKEN_WRITE_PROTECTED);
  CK_OBJECT_HANDLE made = 0;
  EXPECT_EQ(add_data(session, "note", false, made), CKR_TOKEN_WRITE_PROTECTED);
  EXPECT_EQ(C_DestroyObject(session, one(session, CKO_PRIVATE_KEY, "SIG")), CKR_ACTION_PROHIBITED);
  EXPECT_EQ(C_DestroyObject(session, one(session, CKO_CERTIFICATE, "SIG")), CKR_ACTION_PROHIBITED);
  // The PUK was never shown to the card: all its tries are left.
  ASSERT_EQ(C_Logout(session), CKR_OK);
  ASSERT_EQ(login(session, kPuk, CKU_SO), CKR_OK);
  EXPECT_EQ(C_InitPIN(session, text("864209"), 6), CKR_OK);
}

TEST_F(ManagementTest, KeysComeAndGo) {
  take_open();
  const CK_SESSION_HANDLE session = open();
  EXPECT_EQ(generate(session, {0x50}), CKR_USER_NOT_LOGGED_IN);
  ASSERT_EQ(login(session), CKR_OK);
  ASSERT_EQ(generate(session, {0x50}, "first"), CKR_OK);
  EXPECT_TRUE(signs(session));
  ASSERT_EQ(generate(session, {}, "second"), CKR_OK);
  EXPECT_TRUE(signs(session));
  EXPECT_EQ(attribute(session, private_key_, CKA_ID), Bytes{0x45});
  EXPECT_EQ(attribute(session, private_key_, CKA_DESTROYABLE), Bytes{CK_TRUE});
  EXPECT_EQ(find(session, {}).size(), 4u);
  // The same identifier again: renewal, not a third key.
  const Bytes before = attribute(session, public_key_, CKA_EC_POINT);
  ASSERT_EQ(generate(session, {0x45}, "second"), CKR_OK);
  EXPECT_NE(attribute(session, public_key_, CKA_EC_POINT), before);
  EXPECT_EQ(find(session, {}).size(), 4u);
  EXPECT_EQ(C_DestroyObject(session, public_key_), CKR_ACTION_PROHIBITED);
  ASSERT_EQ(C_DestroyObject(session, private_key_), CKR_OK);
  EXPECT_EQ(C_DestroyObject(session, private_key_), CKR_OBJECT_HANDLE_INVALID);
  EXPECT_EQ(find(session, {}).size(), 2u);
  private_key_ = one(session, CKO_PRIVATE_KEY, "first"), public_key_ = one(session, CKO_PUBLIC_KEY, "first");
  EXPECT_TRUE(signs(session));
  // Files and numbers are free again: many in turn.
  for (int round = 0; round < 5; ++round) {
    ASSERT_EQ(generate(session, {0x60}, "passing"), CKR_OK) << round;
    ASSERT_EQ(C_DestroyObject(session, private_key_), CKR_OK) << round;
  }
  // Read-only sessions look on.
  const CK_SESSION_HANDLE reading = open(0, 0);
  EXPECT_EQ(C_DestroyObject(reading, one(reading, CKO_PRIVATE_KEY, "first")), CKR_SESSION_READ_ONLY);
}

TEST_F(ManagementTest, AFullCardSaysSoAndStaysWhole) {
  take_open();
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  CK_RV rv = CKR_OK;
  std::size_t keys = 0;
  for (std::uint8_t id = 1; rv == CKR_OK && id < 64; ++id) {
    rv = generate(session, {id}, "one of many");
    keys += rv == CKR_OK ? 1 : 0;
  }
  EXPECT_EQ(rv, CKR_DEVICE_MEMORY);
  EXPECT_GT(keys, 10u);
  EXPECT_EQ(find(session, {}).size(), 2 * keys);
  CK_OBJECT_CLASS wanted = CKO_PRIVATE_KEY;
  private_key_ = find(session, {{CKA_CLASS, &wanted, sizeof wanted}}).front();
  EXPECT_EQ(C_DestroyObject(session, private_key_), CKR_OK);
  EXPECT_EQ(generate(session, {0x70}, "in its room"), CKR_OK);
  EXPECT_TRUE(signs(session));
}

TEST_F(ManagementTest, DataObjectsOpenAndPrivate) {
  take_open();
  const CK_SESSION_HANDLE session = open();
  CK_OBJECT_HANDLE open_one = 0, hidden = 0;
  EXPECT_EQ(add_data(session, "open", false, open_one), CKR_USER_NOT_LOGGED_IN);
  ASSERT_EQ(login(session), CKR_OK);
  ASSERT_EQ(add_data(session, "open", false, open_one), CKR_OK);
  ASSERT_EQ(add_data(session, "hidden", true, hidden), CKR_OK);
  open_one = one(session, CKO_DATA, "open");
  EXPECT_EQ(attribute(session, hidden, CKA_VALUE), to_bytes(as_bytes("kept on the card")));
  EXPECT_EQ(attribute(session, open_one, CKA_APPLICATION), to_bytes(as_bytes("test")));
  ASSERT_EQ(C_Logout(session), CKR_OK);
  CK_OBJECT_CLASS data = CKO_DATA;
  EXPECT_EQ(find(session, {{CKA_CLASS, &data, sizeof data}}).size(), 1u);
  EXPECT_EQ(attribute(session, one(session, CKO_DATA, "open"), CKA_VALUE), to_bytes(as_bytes("kept on the card")));
  EXPECT_EQ(C_DestroyObject(session, one(session, CKO_DATA, "open")), CKR_USER_NOT_LOGGED_IN);
  // Another program finds what is private closed too.
  other_program([](card::ESignApplication& application) {
    const auto all = application.data_objects();
    ASSERT_TRUE(all);
    ASSERT_EQ(all->size(), 2u);
    EXPECT_TRUE(application.read_data((*all)[0]));
    EXPECT_FALSE(application.read_data((*all)[1]));
  });
  ASSERT_EQ(login(session), CKR_OK);
  ASSERT_EQ(C_DestroyObject(session, one(session, CKO_DATA, "open")), CKR_OK);
  EXPECT_EQ(find(session, {{CKA_CLASS, &data, sizeof data}}).size(), 1u);
  EXPECT_EQ(attribute(session, one(session, CKO_DATA, "hidden"), CKA_VALUE), to_bytes(as_bytes("kept on the card")));
}

// A key that another program renews between C_SignInit and C_Sign must not sign under the old object.
TEST_F(ManagementTest, AKeyRenewedBehindOurBackDoesNotSign) {
  issue("p256");
  begin();
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  private_key_ = one(session, CKO_PRIVATE_KEY, "SIG"), public_key_ = one(session, CKO_PUBLIC_KEY, "SIG");
  ASSERT_TRUE(signs(session));
  CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
  ASSERT_EQ(C_SignInit(session, &mechanism, private_key_), CKR_OK);
  other_program([](card::ESignApplication& application) {
    ASSERT_TRUE(application.verify_pin(card::PinKind::pin1, SecretBytes::copy_of(kPin1)));
    const auto key = application.key(card::KeyRole::signature);
    ASSERT_TRUE(key);
    ASSERT_TRUE(application.generate_key(*key));
  });
  Bytes signature(64, 0xAA);
  CK_ULONG length = 64;
  EXPECT_EQ(C_Sign(session, message_.data(), message_.size(), signature.data(), &length), CKR_FUNCTION_FAILED);
  EXPECT_EQ(signature, Bytes(64, 0xAA));
  EXPECT_EQ(C_Sign(session, message_.data(), message_.size(), signature.data(), &length),
            CKR_OPERATION_NOT_INITIALIZED);
  EXPECT_EQ(C_SignInit(session, &mechanism, private_key_), CKR_KEY_HANDLE_INVALID);
  private_key_ = one(session, CKO_PRIVATE_KEY, "SIG"), public_key_ = one(session, CKO_PUBLIC_KEY, "SIG");
  EXPECT_TRUE(signs(session));
  // The same before C_SignInit, where nothing of ours has spoken to the card since.
  const CK_OBJECT_HANDLE stale = private_key_;
  other_program([](card::ESignApplication& application) {
    ASSERT_TRUE(application.verify_pin(card::PinKind::pin1, SecretBytes::copy_of(kPin1)));
    const auto key = application.key(card::KeyRole::signature);
    ASSERT_TRUE(key);
    ASSERT_TRUE(application.generate_key(*key));
  });
  const CK_RV begun = C_SignInit(session, &mechanism, stale);
  EXPECT_TRUE(begun == CKR_KEY_HANDLE_INVALID ||
              C_Sign(session, message_.data(), message_.size(), signature.data(), &length) == CKR_FUNCTION_FAILED);
}

}  // namespace
}  // namespace karta::pkcs11
