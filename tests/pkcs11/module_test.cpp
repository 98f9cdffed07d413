// What a program may rely on: the standard's functions on an issued citizen card, right calls and wrong ones.
#include "crypto/digest.h"
#include "tests/pkcs11/module_fixture.h"

namespace karta::pkcs11 {
namespace {

TEST_F(ModuleTest, NothingWorksBeforeTheBeginningAndNothingCrashes) {
  ASSERT_EQ(C_Finalize(nullptr), CKR_OK);
#define ZEROS(name, arity)                                                             \
  if (std::string_view(#name) != "C_Initialize") {                                     \
    const CK_RV rv = Zeros<CK_##name>::call(::name);                                   \
    const bool tables = std::string_view(#name).starts_with("C_GetFunctionList") ||    \
                        std::string_view(#name).starts_with("C_GetInterface");         \
    EXPECT_EQ(rv, tables ? CKR_ARGUMENTS_BAD : CKR_CRYPTOKI_NOT_INITIALIZED) << #name; \
  }
  KARTA_PKCS11_FUNCTIONS(ZEROS)
#undef ZEROS
}

TEST_F(ModuleTest, NullPointersAndHandlesOfNobodyAreRefused) {
#define ZEROS(name, arity)                                                                                   \
  if (std::string_view(#name) != "C_Initialize" && std::string_view(#name) != "C_Finalize") {                \
    const CK_RV rv = Zeros<CK_##name>::call(::name);                                                         \
    EXPECT_TRUE(rv == CKR_ARGUMENTS_BAD || rv == CKR_SESSION_HANDLE_INVALID ||                               \
                rv == CKR_SESSION_PARALLEL_NOT_SUPPORTED || std::string_view(#name) == "C_CloseAllSessions") \
        << #name << ' ' << name_of_rv(rv);                                                                   \
  }
  KARTA_PKCS11_FUNCTIONS(ZEROS)
#undef ZEROS
}

TEST_F(ModuleTest, TheListsHoldEveryFunction) {
  CK_FUNCTION_LIST_PTR old = nullptr;
  ASSERT_EQ(C_GetFunctionList(&old), CKR_OK);
  EXPECT_EQ(old->version.major, 2);
  EXPECT_EQ(old->version.minor, 40);
  EXPECT_EQ(old->C_WaitForSlotEvent, &::C_WaitForSlotEvent);
  CK_ULONG count = 0;
  ASSERT_EQ(C_GetInterfaceList(nullptr, &count), CKR_OK);
  std::vector<CK_INTERFACE> all(count);
  count = 1;
  EXPECT_EQ(C_GetInterfaceList(all.data(), &count), CKR_BUFFER_TOO_SMALL);
  EXPECT_EQ(count, all.size());
  ASSERT_EQ(C_GetInterfaceList(all.data(), &count), CKR_OK);
  CK_INTERFACE_PTR newest = nullptr;
  ASSERT_EQ(C_GetInterface(text("PKCS 11"), nullptr, &newest, CKF_INTERFACE_FORK_SAFE), CKR_OK);
  EXPECT_EQ(static_cast<CK_FUNCTION_LIST_3_0_PTR>(newest->pFunctionList)->C_MessageVerifyFinal,
            &::C_MessageVerifyFinal);
  CK_VERSION never = {9, 9};
  EXPECT_EQ(C_GetInterface(text("PKCS 11"), &never, &newest, 0), CKR_ARGUMENTS_BAD);
}

TEST_F(ModuleTest, ACitizenCardIsTwoTokens) {
  CK_ULONG count = 0;
  ASSERT_EQ(C_GetSlotList(CK_TRUE, nullptr, &count), CKR_OK);
  ASSERT_EQ(count, 2u);
  CK_SLOT_ID slots[2];
  count = 1;
  EXPECT_EQ(C_GetSlotList(CK_TRUE, slots, &count), CKR_BUFFER_TOO_SMALL);
  count = 2;
  ASSERT_EQ(C_GetSlotList(CK_TRUE, slots, &count), CKR_OK);
  CK_TOKEN_INFO first, second;
  ASSERT_EQ(C_GetTokenInfo(0, &first), CKR_OK);
  ASSERT_EQ(C_GetTokenInfo(1, &second), CKR_OK);
  EXPECT_TRUE(as_text(ByteView(first.label, 32)).starts_with("KARTA (PIN1) "));
  EXPECT_TRUE(as_text(ByteView(second.label, 32)).starts_with("KARTA (PIN2) "));
  EXPECT_EQ(C_GetTokenInfo(2, &first), CKR_SLOT_ID_INVALID);
  EXPECT_EQ(find(open(0), {}).size(), 7u);  // three public keys and certificates, the authority; no private ones
}

TEST_F(ModuleTest, SignsOnceAndInParts) {
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  EXPECT_EQ(login(session), CKR_USER_ALREADY_LOGGED_IN);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "SIG"), half = one(session, CKO_PUBLIC_KEY, "SIG");
  CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
  Bytes signature(64);
  CK_ULONG length = 0;
  EXPECT_EQ(C_Sign(session, message_.data(), message_.size(), nullptr, &length), CKR_OPERATION_NOT_INITIALIZED);
  ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
  EXPECT_EQ(C_SignInit(session, &mechanism, key), CKR_OPERATION_ACTIVE);
  // Asking for the length, and too small a buffer, leave the operation as it was.
  ASSERT_EQ(C_Sign(session, message_.data(), message_.size(), nullptr, &length), CKR_OK);
  EXPECT_EQ(length, 64u);
  length = 63;
  EXPECT_EQ(C_Sign(session, message_.data(), message_.size(), signature.data(), &length), CKR_BUFFER_TOO_SMALL);
  EXPECT_EQ(length, 64u);
  ASSERT_EQ(C_Sign(session, message_.data(), message_.size(), signature.data(), &length), CKR_OK);
  EXPECT_EQ(C_Sign(session, message_.data(), message_.size(), signature.data(), &length),
            CKR_OPERATION_NOT_INITIALIZED);

  ASSERT_EQ(C_VerifyInit(session, &mechanism, half), CKR_OK);
  EXPECT_EQ(C_Verify(session, message_.data(), message_.size(), signature.data(), 64), CKR_OK);
  ASSERT_EQ(C_VerifyInit(session, &mechanism, half), CKR_OK);
  signature[10] ^= 1;
  EXPECT_EQ(C_Verify(session, message_.data(), message_.size(), signature.data(), 64), CKR_SIGNATURE_INVALID);
  ASSERT_EQ(C_VerifyInit(session, &mechanism, half), CKR_OK);
  EXPECT_EQ(C_Verify(session, message_.data(), message_.size(), signature.data(), 63), CKR_SIGNATURE_LEN_RANGE);

  // In parts; a whole-message call in between is an error, and ends it.
  ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
  ASSERT_EQ(C_SignUpdate(session, message_.data(), 3), CKR_OK);
  ASSERT_EQ(C_SignUpdate(session, message_.data() + 3, message_.size() - 3), CKR_OK);
  length = 64;
  ASSERT_EQ(C_SignFinal(session, signature.data(), &length), CKR_OK);
  ASSERT_EQ(C_VerifyInit(session, &mechanism, half), CKR_OK);
  EXPECT_EQ(C_Verify(session, message_.data(), message_.size(), signature.data(), 64), CKR_OK);
  ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
  ASSERT_EQ(C_SignUpdate(session, message_.data(), 3), CKR_OK);
  EXPECT_EQ(C_Sign(session, message_.data(), 3, signature.data(), &length), CKR_OPERATION_ACTIVE);
  EXPECT_EQ(C_SignFinal(session, signature.data(), &length), CKR_OPERATION_NOT_INITIALIZED);
}

TEST_F(ModuleTest, KeysDoOnlyWhatTheyAreFor) {
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  CK_MECHANISM sign{CKM_ECDSA_SHA256, nullptr, 0}, rsa{CKM_SHA256_RSA_PKCS, nullptr, 0}, none{0x12345, nullptr, 0},
      with_parameter{CKM_ECDSA_SHA256, message_.data(), 3};
  const CK_OBJECT_HANDLE enc = one(session, CKO_PRIVATE_KEY, "ENC"), aut = one(session, CKO_PRIVATE_KEY, "AUT");
  EXPECT_EQ(C_SignInit(session, &sign, enc), CKR_KEY_FUNCTION_NOT_PERMITTED);
  EXPECT_EQ(C_SignInit(session, &rsa, aut), CKR_KEY_TYPE_INCONSISTENT);
  EXPECT_EQ(C_SignInit(session, &none, aut), CKR_MECHANISM_INVALID);
  EXPECT_EQ(C_SignInit(session, &with_parameter, aut), CKR_MECHANISM_PARAM_INVALID);
  EXPECT_EQ(C_SignInit(session, &sign, 999), CKR_KEY_HANDLE_INVALID);
  EXPECT_EQ(C_SignInit(session, &sign, one(session, CKO_PUBLIC_KEY, "AUT")), CKR_KEY_TYPE_INCONSISTENT);
}

TEST_F(ModuleTest, QualifiedSignaturesWantThePinEachTime) {
  const CK_SESSION_HANDLE session = open(1);
  ASSERT_EQ(login(session, kPin2), CKR_OK);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "QES");
  EXPECT_EQ(attribute(session, key, CKA_ALWAYS_AUTHENTICATE), Bytes{CK_TRUE});
  CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
  Bytes signature(64);
  CK_ULONG length = 64;
  const auto sign = [&] { return C_Sign(session, message_.data(), message_.size(), signature.data(), &length); };
  EXPECT_EQ(login(session, kPin2, CKU_CONTEXT_SPECIFIC), CKR_OPERATION_NOT_INITIALIZED);
  // The login itself is good for the first one, and for no other.
  ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
  EXPECT_EQ(sign(), CKR_OK);
  ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
  EXPECT_EQ(sign(), CKR_USER_NOT_LOGGED_IN);
  ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
  EXPECT_EQ(login(session, "00000001", CKU_CONTEXT_SPECIFIC), CKR_PIN_INCORRECT);
  EXPECT_NE(token_flags(1) & CKF_USER_PIN_COUNT_LOW, 0u);
  EXPECT_EQ(login(session, kPin2, CKU_CONTEXT_SPECIFIC), CKR_OK);
  EXPECT_EQ(sign(), CKR_OK);
  EXPECT_EQ(token_flags(1) & CKF_USER_PIN_COUNT_LOW, 0u);
  // No right to sign is left on the card for another program.
  card::MemoryConnection other({.process = [this](ByteView c) { return to_bytes(card_->process(c)); },
                                .atr = [this] { return to_bytes(card_->atr()); },
                                .reset = {}});
  card::PlainChannel channel(other);
  auto application = card::ESignApplication::open(channel);
  ASSERT_TRUE(application);
  const auto status = application->pin_status(card::PinKind::pin2);
  ASSERT_TRUE(status);
  EXPECT_FALSE(status->verified);
}

TEST_F(ModuleTest, TokenFlagsTellTheTruthAboutTries) {
  const CK_SESSION_HANDLE session = open();
  EXPECT_EQ(token_flags(0) & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED), 0u);
  EXPECT_EQ(login(session, "111112"), CKR_PIN_INCORRECT);
  EXPECT_NE(token_flags(0) & CKF_USER_PIN_COUNT_LOW, 0u);
  EXPECT_EQ(login(session, "111112"), CKR_PIN_INCORRECT);
  EXPECT_NE(token_flags(0) & CKF_USER_PIN_FINAL_TRY, 0u);
  EXPECT_EQ(login(session, "111112"), CKR_PIN_LOCKED);
  EXPECT_NE(token_flags(0) & CKF_USER_PIN_LOCKED, 0u);
  EXPECT_EQ(login(session), CKR_PIN_LOCKED);
  // The officer is whoever holds the PUK.
  ASSERT_EQ(login(session, kPuk, CKU_SO), CKR_OK);
  EXPECT_EQ(C_InitPIN(session, text("864209"), 6), CKR_OK);
  ASSERT_EQ(C_Logout(session), CKR_OK);
  EXPECT_EQ(login(session, "864209"), CKR_OK);
  EXPECT_EQ(C_SetPIN(session, text("864209"), 6, text(kPin1), 6), CKR_OK);
  EXPECT_EQ(C_Logout(session), CKR_OK);
  EXPECT_EQ(login(session), CKR_OK);
}

TEST_F(ModuleTest, PrivateKeysTellNothingOfThemselves) {
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "ENC");
  Bytes value(512, 0xAA);
  for (const auto type : {CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_COEFFICIENT}) {
    CK_ATTRIBUTE wanted{type, value.data(), value.size()};
    EXPECT_EQ(C_GetAttributeValue(session, key, &wanted, 1), CKR_ATTRIBUTE_SENSITIVE);
    EXPECT_EQ(wanted.ulValueLen, kUnavailable);
  }
  EXPECT_EQ(value, Bytes(512, 0xAA));
  // Known attacks: make it extractable, copy it as such, wrap it, digest it.
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_ATTRIBUTE extractable[] = {{CKA_EXTRACTABLE, &yes, 1}, {CKA_SENSITIVE, &no, 1}, {CKA_TOKEN, &no, 1}};
  CK_OBJECT_HANDLE copy = 0;
  EXPECT_EQ(C_SetAttributeValue(session, key, extractable, 2), CKR_ACTION_PROHIBITED);
  EXPECT_EQ(C_CopyObject(session, key, extractable, 3, &copy), CKR_ACTION_PROHIBITED);
  CK_MECHANISM pkcs{CKM_RSA_PKCS, nullptr, 0}, sha{CKM_SHA256, nullptr, 0};
  CK_ULONG length = value.size();
  EXPECT_EQ(C_WrapKey(session, &pkcs, key, key, value.data(), &length), CKR_FUNCTION_NOT_SUPPORTED);
  ASSERT_EQ(C_DigestInit(session, &sha), CKR_OK);
  EXPECT_EQ(C_DigestKey(session, key), CKR_KEY_INDIGESTIBLE);
  EXPECT_EQ(C_DestroyObject(session, key), CKR_ACTION_PROHIBITED);
  ASSERT_EQ(C_Logout(session), CKR_OK);
  CK_MECHANISM sign{CKM_ECDSA, nullptr, 0};
  EXPECT_EQ(C_SignInit(session, &sign, key), CKR_KEY_HANDLE_INVALID);
}

TEST_F(ModuleTest, AgreesOnASecretThatStaysWhatItWasMade) {
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  // The key with itself: any point of the curve will do.
  Bytes point = attribute(session, one(session, CKO_PUBLIC_KEY, "ENC"), CKA_EC_POINT);
  CK_ECDH1_DERIVE_PARAMS parameters{CKD_NULL, 0, nullptr, point.size(), point.data()};
  CK_MECHANISM mechanism{CKM_ECDH1_DERIVE, &parameters, sizeof parameters};
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "ENC");
  CK_OBJECT_HANDLE open_secret = 0, closed = 0, copy = 0;
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_ULONG octets = 16;
  CK_ATTRIBUTE hidden[] = {
      {CKA_SENSITIVE, &yes, 1}, {CKA_EXTRACTABLE, &no, 1}, {CKA_VALUE_LEN, &octets, sizeof octets}};
  ASSERT_EQ(C_DeriveKey(session, &mechanism, key, nullptr, 0, &open_secret), CKR_OK);
  ASSERT_EQ(C_DeriveKey(session, &mechanism, key, hidden, 3, &closed), CKR_OK);
  EXPECT_EQ(attribute(session, open_secret, CKA_VALUE).size(), 32u);
  EXPECT_EQ(attribute(session, open_secret, CKA_NEVER_EXTRACTABLE), Bytes{CK_FALSE});
  Bytes value(64);
  CK_ATTRIBUTE wanted{CKA_VALUE, value.data(), value.size()};
  EXPECT_EQ(C_GetAttributeValue(session, closed, &wanted, 1), CKR_ATTRIBUTE_SENSITIVE);
  CK_ATTRIBUTE opened[] = {{CKA_SENSITIVE, &no, 1}, {CKA_EXTRACTABLE, &yes, 1}};
  EXPECT_EQ(C_SetAttributeValue(session, closed, opened, 1), CKR_ATTRIBUTE_READ_ONLY);
  EXPECT_EQ(C_SetAttributeValue(session, closed, opened + 1, 1), CKR_ATTRIBUTE_READ_ONLY);
  EXPECT_EQ(C_CopyObject(session, closed, opened, 2, &copy), CKR_ATTRIBUTE_READ_ONLY);
  // A search does not tell what reading does not.
  Bytes full = attribute(session, open_secret, CKA_VALUE);
  EXPECT_TRUE(find(session, {{CKA_VALUE, full.data() + 16, 16}}).empty());
  parameters.ulPublicDataLen = 12;
  EXPECT_EQ(C_DeriveKey(session, &mechanism, key, nullptr, 0, &copy), CKR_MECHANISM_PARAM_INVALID);
  EXPECT_EQ(C_DeriveKey(session, &mechanism, one(session, CKO_PRIVATE_KEY, "SIG"), nullptr, 0, &copy),
            CKR_KEY_FUNCTION_NOT_PERMITTED);
}

TEST_F(ModuleTest, APulledCardEndsItsSessions) {
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "SIG");
  CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
  ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
  reader_->pull();
  Bytes signature(64);
  CK_ULONG length = 64;
  EXPECT_EQ(C_Sign(session, message_.data(), message_.size(), signature.data(), &length), CKR_DEVICE_REMOVED);
  CK_SESSION_HANDLE other = 0;
  EXPECT_EQ(C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &other), CKR_TOKEN_NOT_PRESENT);
  reader_->put_back();
  CK_SESSION_INFO info;
  EXPECT_NE(C_GetSessionInfo(session, &info), CKR_OK);
  EXPECT_EQ(C_GetSessionInfo(session, &info), CKR_SESSION_HANDLE_INVALID);
  const CK_SESSION_HANDLE again = open();
  ASSERT_EQ(C_GetSessionInfo(again, &info), CKR_OK);
  EXPECT_EQ(info.state, CKS_RW_PUBLIC_SESSION);
}

TEST_F(ModuleTest, ALoginSurvivesAnotherProgramsReset) {
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "SIG");
  card::MemoryConnection other({.process = [this](ByteView c) { return to_bytes(card_->process(c)); },
                                .atr = [this] { return to_bytes(card_->atr()); },
                                .reset = {}});
  card::PlainChannel channel(other);
  auto application = card::ESignApplication::open(channel);
  ASSERT_TRUE(application);
  ASSERT_TRUE(application->log_out());
  CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
  Bytes signature(64);
  CK_ULONG length = 64;
  ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
  EXPECT_EQ(C_Sign(session, message_.data(), message_.size(), signature.data(), &length), CKR_OK);
}

TEST_F(ModuleTest, CommandBudgets) {
  ASSERT_EQ(C_Finalize(nullptr), CKR_OK);
  char folder[] = "/tmp/karta-pkcs11-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const auto first_signature = [&] {
    begin(std::make_shared<Cache>(std::string(folder) + "/karta"));
    card_->reset();
    const unsigned before = reader_->commands;
    CK_ULONG count = 0;
    EXPECT_EQ(C_GetSlotList(CK_TRUE, nullptr, &count), CKR_OK);
    const CK_SESSION_HANDLE session = open();
    EXPECT_EQ(login(session), CKR_OK);
    const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "SIG");
    CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
    Bytes signature(64);
    CK_ULONG length = 64;
    EXPECT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
    EXPECT_EQ(C_Sign(session, message_.data(), message_.size(), signature.data(), &length), CKR_OK);
    const unsigned cold = reader_->commands - before;
    EXPECT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
    EXPECT_EQ(C_Sign(session, message_.data(), message_.size(), signature.data(), &length), CKR_OK);
    const unsigned warm = reader_->commands - before - cold;
    EXPECT_EQ(C_Finalize(nullptr), CKR_OK);
    return std::pair(cold, warm);
  };
  const auto [cold, warm] = first_signature();
  EXPECT_LE(cold, 11u);
  EXPECT_EQ(warm, 3u);  // counter, MSE, PSO
  const auto [cached, again] = first_signature();
  EXPECT_LE(cached, 6u);
  EXPECT_EQ(again, 3u);
  std::filesystem::remove_all(folder);
}

TEST_F(ModuleTest, ThreadsSignSideBySide) {
  const CK_SESSION_HANDLE main = open();
  ASSERT_EQ(login(main), CKR_OK);
  const CK_OBJECT_HANDLE key = one(main, CKO_PRIVATE_KEY, "AUT");
  std::atomic<int> good{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      CK_SESSION_HANDLE session = 0;
      if (C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &session) != CKR_OK) return;
      CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
      for (int i = 0; i < 5; ++i) {
        Bytes signature(64);
        CK_ULONG length = 64;
        if (C_SignInit(session, &mechanism, key) == CKR_OK &&
            C_Sign(session, message_.data(), message_.size(), signature.data(), &length) == CKR_OK) {
          ++good;
        }
      }
      C_CloseSession(session);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 40);
}

TEST_F(ModuleTest, RenewsAKeyInItsPlaceAndMakesNoOther) {
  const CK_SESSION_HANDLE session = open();
  CK_MECHANISM mechanism{CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  Bytes curve = der::oid("1.2.840.10045.3.1.7"), id = {1}, other = {9};
  CK_ATTRIBUTE half[] = {{CKA_EC_PARAMS, curve.data(), curve.size()}};
  CK_ATTRIBUTE whole[] = {{CKA_ID, id.data(), 1}};
  CK_ATTRIBUTE unknown[] = {{CKA_ID, other.data(), 1}};
  CK_OBJECT_HANDLE public_key = 0, private_key = 0;
  EXPECT_EQ(C_GenerateKeyPair(session, &mechanism, half, 1, whole, 1, &public_key, &private_key),
            CKR_USER_NOT_LOGGED_IN);
  ASSERT_EQ(login(session), CKR_OK);
  const Bytes before = attribute(session, one(session, CKO_PUBLIC_KEY, "AUT"), CKA_EC_POINT);
  EXPECT_EQ(C_GenerateKeyPair(session, &mechanism, half, 1, unknown, 1, &public_key, &private_key),
            CKR_TOKEN_WRITE_PROTECTED);
  EXPECT_EQ(C_GenerateKeyPair(session, &mechanism, half, 1, nullptr, 0, &public_key, &private_key),
            CKR_TOKEN_WRITE_PROTECTED);
  ASSERT_EQ(C_GenerateKeyPair(session, &mechanism, half, 1, whole, 1, &public_key, &private_key), CKR_OK);
  EXPECT_NE(attribute(session, public_key, CKA_EC_POINT), before);
}

TEST_F(ModuleTest, RsaMechanismsSignAndDecipher) {
  ASSERT_EQ(C_Finalize(nullptr), CKR_OK);
  issue("rsa-2048");
  begin();
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "SIG"), half = one(session, CKO_PUBLIC_KEY, "SIG");
  CK_RSA_PKCS_PSS_PARAMS pss{CKM_SHA256, CKG_MGF1_SHA256, 32};
  CK_MECHANISM both[] = {
      {CKM_SHA256_RSA_PKCS, nullptr, 0}, {CKM_SHA256_RSA_PKCS_PSS, &pss, sizeof pss}, {CKM_RSA_PKCS, nullptr, 0}};
  Bytes signature(256);
  CK_ULONG length = 256;
  for (CK_MECHANISM& mechanism : both) {
    ASSERT_EQ(C_SignInit(session, &mechanism, key), CKR_OK);
    ASSERT_EQ(C_Sign(session, message_.data(), message_.size(), signature.data(), &length), CKR_OK);
    ASSERT_EQ(C_VerifyInit(session, &mechanism, half), CKR_OK);
    EXPECT_EQ(C_Verify(session, message_.data(), message_.size(), signature.data(), length), CKR_OK);
  }

  CK_RSA_PKCS_OAEP_PARAMS oaep{CKM_SHA256, CKG_MGF1_SHA256, CKZ_DATA_SPECIFIED, nullptr, 0};
  CK_MECHANISM ciphers[] = {{CKM_RSA_PKCS, nullptr, 0}, {CKM_RSA_PKCS_OAEP, &oaep, sizeof oaep}};
  const CK_OBJECT_HANDLE enc = one(session, CKO_PRIVATE_KEY, "ENC"), enc_half = one(session, CKO_PUBLIC_KEY, "ENC");
  for (CK_MECHANISM& mechanism : ciphers) {
    Bytes cryptogram(256), plain(256);
    CK_ULONG octets = 256;
    ASSERT_EQ(C_EncryptInit(session, &mechanism, enc_half), CKR_OK);
    ASSERT_EQ(C_Encrypt(session, message_.data(), message_.size(), cryptogram.data(), &octets), CKR_OK);
    ASSERT_EQ(C_DecryptInit(session, &mechanism, enc), CKR_OK);
    octets = 2;
    EXPECT_EQ(C_Decrypt(session, cryptogram.data(), 256, plain.data(), &octets), CKR_BUFFER_TOO_SMALL);
    EXPECT_EQ(octets, message_.size());
    ASSERT_EQ(C_Decrypt(session, cryptogram.data(), 256, plain.data(), &octets), CKR_OK);
    plain.resize(octets);
    EXPECT_EQ(plain, message_);
    cryptogram[100] ^= 1;
    ASSERT_EQ(C_DecryptInit(session, &mechanism, enc), CKR_OK);
    octets = 256;
    plain.resize(256);
    EXPECT_NE(C_Decrypt(session, cryptogram.data(), 256, plain.data(), &octets), CKR_OK);
  }
}

// Cache -----------------------------------------------------------------------------------------

TEST(CacheTest, BelievesOnlyWholeFilesOfItsCardAndCounter) {
  const Bytes serial(10, 0x42), other(10, 0x43);
  Cache::Content content{7, {{"3F00/5015/4401", Bytes(300, 1)}}};
  const Bytes file = Cache::encode(serial, content);
  ASSERT_TRUE(Cache::decode(serial, file));
  EXPECT_EQ(Cache::decode(serial, file)->entries, content.entries);
  EXPECT_FALSE(Cache::decode(other, file));
  for (std::size_t i = 0; i < file.size(); i += 7) {
    Bytes broken = file;
    broken[i] ^= 0x10;
    EXPECT_FALSE(Cache::decode(serial, broken)) << i;
  }
  EXPECT_FALSE(Cache::decode(serial, ByteView(file).first(file.size() - 1)));
}

TEST(CacheTest, KeepsItsFilesToItselfAndFollowsNoLinks) {
  char folder[] = "/tmp/karta-cache-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::filesystem::path inside = std::filesystem::path(folder) / "karta";
  const Bytes serial(10, 0x42);
  {
    Cache cache(inside);
    cache.keep(serial, 3, "a", Bytes{1, 2, 3});
  }
  using std::filesystem::perms;
  const auto file = inside / (to_hex(serial) + ".content");
  EXPECT_EQ(std::filesystem::status(file).permissions(), perms::owner_read | perms::owner_write);
  EXPECT_EQ(std::filesystem::status(inside).permissions(), perms::owner_all);
  EXPECT_EQ(Cache(inside).find(serial, 3, "a"), (Bytes{1, 2, 3}));
  EXPECT_FALSE(Cache(inside).find(serial, 4, "a"));
  // A file that others may write, and a link, are nobody's word.
  std::filesystem::permissions(file, perms::others_write, std::filesystem::perm_options::add);
  EXPECT_FALSE(Cache(inside).find(serial, 3, "a"));
  std::filesystem::permissions(file, perms::others_write, std::filesystem::perm_options::remove);
  EXPECT_TRUE(Cache(inside).find(serial, 3, "a"));
  std::filesystem::rename(file, inside / "elsewhere");
  std::filesystem::create_symlink("elsewhere", file);
  EXPECT_FALSE(Cache(inside).find(serial, 3, "a"));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace karta::pkcs11
