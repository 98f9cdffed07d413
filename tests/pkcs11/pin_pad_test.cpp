// Readers with a PIN pad: the program gives no PIN, the holder types it at the reader, and no PIN is kept here.
#include "tests/pkcs11/module_fixture.h"

namespace karta::pkcs11 {
namespace {

class PinPadTest : public ModuleTest {
 protected:
  void SetUp() override {
    issue("p256");
    reader_->pad.emplace();
    begin();
  }
  CK_RV login_at_pad(CK_SESSION_HANDLE session, CK_USER_TYPE user = CKU_USER) {
    return C_Login(session, user, nullptr, 0);
  }
  void types(std::deque<std::string> words) { reader_->pad->typed = std::move(words); }
  CK_RV sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
    CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
    Bytes signature(64);
    CK_ULONG length = 64;
    const CK_RV begun = C_SignInit(session, &mechanism, key);
    return begun != CKR_OK ? begun : C_Sign(session, message_.data(), message_.size(), signature.data(), &length);
  }
};

TEST_F(PinPadTest, TokensSayThatThereIsAPad) {
  EXPECT_NE(token_flags(0) & CKF_PROTECTED_AUTHENTICATION_PATH, 0u);
  EXPECT_NE(token_flags(1) & CKF_PROTECTED_AUTHENTICATION_PATH, 0u);
}

TEST_F(PinPadTest, WithoutAPadAPinMustBeGiven) {
  ASSERT_EQ(C_Finalize(nullptr), CKR_OK);
  reader_->pad.reset();
  begin();
  EXPECT_EQ(token_flags(0) & CKF_PROTECTED_AUTHENTICATION_PATH, 0u);
  const CK_SESSION_HANDLE session = open();
  EXPECT_EQ(login_at_pad(session), CKR_ARGUMENTS_BAD);
  EXPECT_EQ(login_at_pad(session, CKU_SO), CKR_ARGUMENTS_BAD);
  EXPECT_EQ(C_SetPIN(session, nullptr, 0, nullptr, 0), CKR_ARGUMENTS_BAD);
}

TEST_F(PinPadTest, LogsInAndSigns) {
  const CK_SESSION_HANDLE session = open();
  types({kPin1});
  ASSERT_EQ(login_at_pad(session), CKR_OK);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "SIG");
  EXPECT_EQ(sign(session, key), CKR_OK);
  EXPECT_EQ(sign(session, key), CKR_OK);
  EXPECT_EQ(reader_->pad->entries, 1u);
  // A program may still bring a PIN of its own.
  ASSERT_EQ(C_Logout(session), CKR_OK);
  EXPECT_EQ(login(session), CKR_OK);
}

TEST_F(PinPadTest, ThePadsWordsBecomeOurs) {
  const CK_SESSION_HANDLE session = open();
  types({});
  EXPECT_EQ(login_at_pad(session), CKR_FUNCTION_CANCELED);
  reader_->pad->says = 0x6400;
  EXPECT_EQ(login_at_pad(session), CKR_FUNCTION_CANCELED);
  reader_->pad->says = 0x6403;
  EXPECT_EQ(login_at_pad(session), CKR_PIN_INCORRECT);
  reader_->pad->says.reset();
  EXPECT_EQ(token_flags(0) & CKF_USER_PIN_COUNT_LOW, 0u);
  types({"111112"});
  EXPECT_EQ(login_at_pad(session), CKR_PIN_INCORRECT);
  EXPECT_NE(token_flags(0) & CKF_USER_PIN_COUNT_LOW, 0u);
  types({"111112", "111112"});
  EXPECT_EQ(login_at_pad(session), CKR_PIN_INCORRECT);
  EXPECT_EQ(login_at_pad(session), CKR_PIN_LOCKED);
}

TEST_F(PinPadTest, ChangesAPin) {
  const CK_SESSION_HANDLE session = open();
  types({kPin1, "864209", "864208"});
  EXPECT_EQ(C_SetPIN(session, nullptr, 0, nullptr, 0), CKR_PIN_INVALID);
  types({"111112", "864209", "864209"});
  EXPECT_EQ(C_SetPIN(session, nullptr, 0, nullptr, 0), CKR_PIN_INCORRECT);
  types({kPin1});
  EXPECT_EQ(C_SetPIN(session, nullptr, 0, nullptr, 0), CKR_FUNCTION_CANCELED);
  EXPECT_EQ(C_SetPIN(session, text(kPin1), 6, nullptr, 0), CKR_ARGUMENTS_BAD);
  types({kPin1, "864209", "864209"});
  EXPECT_EQ(C_SetPIN(session, nullptr, 0, nullptr, 0), CKR_OK);
  EXPECT_EQ(login(session, "864209"), CKR_OK);
}

TEST_F(PinPadTest, TheOfficerUnblocksAtThePad) {
  const CK_SESSION_HANDLE session = open();
  for (int i = 0; i < 3; ++i) (void)login(session, "111112");
  ASSERT_NE(token_flags(0) & CKF_USER_PIN_LOCKED, 0u);
  ASSERT_EQ(login_at_pad(session, CKU_SO), CKR_OK);
  EXPECT_EQ(C_InitPIN(session, text("864209"), 6), CKR_ARGUMENTS_BAD);
  // The PUK's first eight digits are what counts for the card.
  types({std::string(kPuk).substr(0, 8), "864209", "864209"});
  EXPECT_EQ(C_InitPIN(session, nullptr, 0), CKR_OK);
  ASSERT_EQ(C_Logout(session), CKR_OK);
  types({"864209"});
  EXPECT_EQ(login_at_pad(session), CKR_OK);
}

TEST_F(PinPadTest, QualifiedSignaturesAskAtTheSignature) {
  const CK_SESSION_HANDLE session = open(1);
  types({kPin2});
  ASSERT_EQ(login_at_pad(session), CKR_OK);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "QES");
  CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
  Bytes signature(64);
  CK_ULONG length = 64;
  const auto sign_now = [&] { return C_Sign(session, message_.data(), message_.size(), signature.data(), &length); };
  // For programs that take the login for the first one: asked again all the same, at the reader.
  types({kPin2});
  EXPECT_EQ(sign(session, key), CKR_OK);
  EXPECT_EQ(reader_->pad->entries, 2u);
  EXPECT_EQ(sign(session, key), CKR_USER_NOT_LOGGED_IN);
  ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
  ASSERT_EQ(login_at_pad(session, CKU_CONTEXT_SPECIFIC), CKR_OK);
  EXPECT_EQ(reader_->pad->entries, 2u);
  types({kPin2});
  EXPECT_EQ(sign_now(), CKR_OK);
  EXPECT_EQ(reader_->pad->entries, 3u);
  // The holder may say no, and then there is no signature and no right left on the card.
  ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
  ASSERT_EQ(login_at_pad(session, CKU_CONTEXT_SPECIFIC), CKR_OK);
  types({});
  EXPECT_EQ(sign_now(), CKR_FUNCTION_REJECTED);
  EXPECT_EQ(sign_now(), CKR_OPERATION_NOT_INITIALIZED);
  other_program([](card::ESignApplication& application) {
    const auto status = application.pin_status(card::PinKind::pin2);
    ASSERT_TRUE(status);
    EXPECT_FALSE(status->verified);
  });
}

TEST_F(PinPadTest, ALoginAnotherProgramUndidIsNotRenewedBehindTheHoldersBack) {
  const CK_SESSION_HANDLE session = open();
  types({kPin1});
  ASSERT_EQ(login_at_pad(session), CKR_OK);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "SIG");
  other_program([](card::ESignApplication& application) { ASSERT_TRUE(application.log_out()); });
  EXPECT_EQ(sign(session, key), CKR_USER_NOT_LOGGED_IN);
  EXPECT_EQ(reader_->pad->entries, 1u);
  types({kPin1});
  EXPECT_EQ(login_at_pad(session), CKR_OK);
  EXPECT_EQ(sign(session, one(session, CKO_PRIVATE_KEY, "SIG")), CKR_OK);
}

}  // namespace
}  // namespace karta::pkcs11
