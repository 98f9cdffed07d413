// Rows for the library, slots, tokens, sessions and login.
#include "tests/pkcs11/conformance.h"

namespace karta::pkcs11 {

std::vector<Row> general_rows() {
  return {
      ROW(C_Initialize, CKR_CRYPTOKI_ALREADY_INITIALIZED,
          {
            (void)t;
            return C_Initialize(nullptr);
          }),
      ROW(C_Initialize, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            CK_C_INITIALIZE_ARGS half = {};
            half.CreateMutex = [](CK_VOID_PTR_PTR) -> CK_RV { return CKR_OK; };
            return C_Initialize(&half);
          }),
      ROW(C_Finalize, CKR_ARGUMENTS_BAD, { return C_Finalize(t.data); }),
      ROW(C_GetInfo, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            return C_GetInfo(nullptr);
          }),
      ROW(C_GetFunctionList, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            return C_GetFunctionList(nullptr);
          }),
      ROW(C_GetInterfaceList, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            return C_GetInterfaceList(nullptr, nullptr);
          }),
      ROW(C_GetInterfaceList, CKR_BUFFER_TOO_SMALL,
          {
            CK_INTERFACE one;
            return C_GetInterfaceList(&one, &(t.length = 1));
          }),
      ROW(C_GetInterface, CKR_ARGUMENTS_BAD,
          {
            CK_INTERFACE_PTR found = nullptr;
            (void)t;
            return C_GetInterface(text("no such"), nullptr, &found, 0);
          }),
      ROW(C_GetSlotList, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            return C_GetSlotList(CK_TRUE, nullptr, nullptr);
          }),
      ROW(C_GetSlotList, CKR_BUFFER_TOO_SMALL,
          {
            CK_SLOT_ID id = 0;
            return C_GetSlotList(CK_TRUE, &id, &(t.length = 1));
          }),
      ROW(C_GetSlotInfo, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            return C_GetSlotInfo(0, nullptr);
          }),
      ROW(C_GetSlotInfo, CKR_SLOT_ID_INVALID,
          {
            CK_SLOT_INFO info;
            (void)t;
            return C_GetSlotInfo(77, &info);
          }),
      ROW(C_GetTokenInfo, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            return C_GetTokenInfo(0, nullptr);
          }),
      ROW(C_GetTokenInfo, CKR_SLOT_ID_INVALID,
          {
            CK_TOKEN_INFO info;
            (void)t;
            return C_GetTokenInfo(77, &info);
          }),
      ROW(C_GetTokenInfo, CKR_DEVICE_ERROR,
          {
            CK_TOKEN_INFO info;
            t.nonsense();
            return C_GetTokenInfo(0, &info);
          }),
      ROW(C_GetTokenInfo, CKR_DEVICE_REMOVED,
          {
            CK_TOKEN_INFO info;
            t.gone();
            return C_GetTokenInfo(0, &info);
          }),
      ROW(C_GetTokenInfo, CKR_TOKEN_NOT_PRESENT,
          {
            CK_TOKEN_INFO info;
            t.gone();
            (void)C_GetTokenInfo(0, &info);
            return C_GetTokenInfo(0, &info);
          }),
      ROW(C_GetTokenInfo, CKR_TOKEN_NOT_RECOGNIZED,
          {
            CK_TOKEN_INFO info;
            return t.foreign([&] { return C_GetTokenInfo(0, &info); });
          }),
      ROW(C_WaitForSlotEvent, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            return C_WaitForSlotEvent(CKF_DONT_BLOCK, nullptr, nullptr);
          }),
      ROW(C_WaitForSlotEvent, CKR_NO_EVENT,
          {
            CK_SLOT_ID id = 0;
            (void)t;
            return C_WaitForSlotEvent(CKF_DONT_BLOCK, &id, nullptr);
          }),
      ROW(C_GetMechanismList, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            return C_GetMechanismList(0, nullptr, nullptr);
          }),
      ROW(C_GetMechanismList, CKR_BUFFER_TOO_SMALL,
          {
            CK_MECHANISM_TYPE type = 0;
            return C_GetMechanismList(0, &type, &(t.length = 1));
          }),
      ROW(C_GetMechanismList, CKR_SLOT_ID_INVALID, { return C_GetMechanismList(77, nullptr, &t.length); }),
      ROW(C_GetMechanismList, CKR_DEVICE_ERROR,
          {
            return t.cold([&] {
              t.nonsense();
              return C_GetMechanismList(0, nullptr, &t.length);
            });
          }),
      ROW(C_GetMechanismList, CKR_DEVICE_REMOVED,
          {
            return t.cold([&] {
              t.pull_at_first_command();
              return C_GetMechanismList(0, nullptr, &t.length);
            });
          }),
      ROW(C_GetMechanismList, CKR_TOKEN_NOT_PRESENT,
          {
            return t.cold([&] {
              t.gone();
              return C_GetMechanismList(0, nullptr, &t.length);
            });
          }),
      ROW(C_GetMechanismList, CKR_TOKEN_NOT_RECOGNIZED,
          { return t.foreign([&] { return C_GetMechanismList(0, nullptr, &t.length); }); }),
      ROW(C_GetMechanismInfo, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            return C_GetMechanismInfo(0, CKM_ECDSA, nullptr);
          }),
      ROW(C_GetMechanismInfo, CKR_MECHANISM_INVALID,
          {
            CK_MECHANISM_INFO info;
            (void)t;
            return C_GetMechanismInfo(0, 0x4711, &info);
          }),
      ROW(C_GetMechanismInfo, CKR_SLOT_ID_INVALID,
          {
            CK_MECHANISM_INFO info;
            (void)t;
            return C_GetMechanismInfo(77, CKM_ECDSA, &info);
          }),
      ROW(C_GetMechanismInfo, CKR_DEVICE_ERROR,
          {
            return t.cold([&] {
              CK_MECHANISM_INFO info;
              t.nonsense();
              return C_GetMechanismInfo(0, CKM_ECDSA, &info);
            });
          }),
      ROW(C_GetMechanismInfo, CKR_DEVICE_REMOVED,
          {
            return t.cold([&] {
              CK_MECHANISM_INFO info;
              t.pull_at_first_command();
              return C_GetMechanismInfo(0, CKM_ECDSA, &info);
            });
          }),
      ROW(C_GetMechanismInfo, CKR_TOKEN_NOT_PRESENT,
          {
            return t.cold([&] {
              CK_MECHANISM_INFO info;
              t.gone();
              return C_GetMechanismInfo(0, CKM_ECDSA, &info);
            });
          }),
      ROW(C_GetMechanismInfo, CKR_TOKEN_NOT_RECOGNIZED,
          {
            CK_MECHANISM_INFO info;
            return t.foreign([&] { return C_GetMechanismInfo(0, CKM_ECDSA, &info); });
          }),
      ROW(C_InitToken, CKR_ARGUMENTS_BAD, { return C_InitToken(0, nullptr, 8, t.blank_label); }),
      ROW(C_InitToken, CKR_SLOT_ID_INVALID, { return C_InitToken(77, text(kOpenPuk), 8, t.blank_label); }),
      ROW(C_InitToken, CKR_SESSION_EXISTS, { return C_InitToken(0, text(kOpenPuk), 8, t.blank_label); }),
      ROW(C_InitToken, CKR_TOKEN_WRITE_PROTECTED,
          {
            C_CloseAllSessions(0);
            return C_InitToken(0, text(kOpenPuk), 8, t.blank_label);
          }),
      ROW_ON(Card::open_card, C_InitToken, CKR_PIN_INCORRECT,
             {
               C_CloseAllSessions(0);
               return C_InitToken(0, text("27182818"), 8, t.blank_label);
             }),
      ROW_ON(Card::open_card, C_InitToken, CKR_PIN_LOCKED,
             {
               C_CloseAllSessions(0);
               CK_RV rv = CKR_PIN_INCORRECT;
               for (int i = 0; i < 12 && rv == CKR_PIN_INCORRECT; ++i)
                 rv = C_InitToken(0, text("27182818"), 8, t.blank_label);
               return rv;
             }),
      ROW_ON(Card::blank, C_InitToken, CKR_DEVICE_ERROR,
             {
               C_CloseAllSessions(0);
               t.nonsense();
               return C_InitToken(0, text(kOpenPuk), 8, t.blank_label);
             }),
      ROW_ON(Card::blank, C_InitToken, CKR_DEVICE_REMOVED,
             {
               C_CloseAllSessions(0);
               t.gone();
               return C_InitToken(0, text(kOpenPuk), 8, t.blank_label);
             }),
      ROW(C_InitToken, CKR_TOKEN_NOT_PRESENT,
          {
            return t.cold([&] {
              t.gone();
              return C_InitToken(0, text(kOpenPuk), 8, t.blank_label);
            });
          }),
      ROW(C_InitToken, CKR_TOKEN_NOT_RECOGNIZED,
          { return t.foreign([&] { return C_InitToken(0, text(kOpenPuk), 8, t.blank_label); }); }),
  };
}

std::vector<Row> session_rows() {
  return {
      ROW(C_OpenSession, CKR_ARGUMENTS_BAD,
          {
            (void)t;
            return C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, nullptr);
          }),
      ROW(C_OpenSession, CKR_SESSION_PARALLEL_NOT_SUPPORTED,
          { return C_OpenSession(0, 0, nullptr, nullptr, &t.session); }),
      ROW(C_OpenSession, CKR_SLOT_ID_INVALID,
          { return C_OpenSession(77, CKF_SERIAL_SESSION, nullptr, nullptr, &t.session); }),
      ROW(C_OpenSession, CKR_SESSION_READ_WRITE_SO_EXISTS,
          {
            EXPECT_EQ(t.in(kPuk, CKU_SO), CKR_OK);
            return C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &t.session);
          }),
      ROW(C_OpenSession, CKR_TOKEN_NOT_PRESENT,
          {
            return t.cold([&] {
              t.gone();
              return C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &t.session);
            });
          }),
      ROW(C_OpenSession, CKR_TOKEN_NOT_RECOGNIZED,
          { return t.foreign([&] { return C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &t.session); }); }),
      ROW(C_OpenSession, CKR_DEVICE_ERROR,
          {
            return t.cold([&] {
              t.nonsense();
              return C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &t.session);
            });
          }),
      ROW(C_OpenSession, CKR_DEVICE_REMOVED,
          {
            return t.cold([&] {
              t.pull_at_first_command();
              return C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &t.session);
            });
          }),
      ROW(C_CloseAllSessions, CKR_SLOT_ID_INVALID,
          {
            (void)t;
            return C_CloseAllSessions(77);
          }),
      ROW(C_GetSessionInfo, CKR_ARGUMENTS_BAD, { return C_GetSessionInfo(t.session, nullptr); }),
      ROW(C_Logout, CKR_USER_NOT_LOGGED_IN, { return C_Logout(t.session); }),
      ROW(C_InitPIN, CKR_USER_NOT_LOGGED_IN, { return C_InitPIN(t.session, text(kPin1), 6); }),
      ROW(C_InitPIN, CKR_ARGUMENTS_BAD,
          {
            EXPECT_EQ(t.in(kPuk, CKU_SO), CKR_OK);
            return C_InitPIN(t.session, nullptr, 6);
          }),
      ROW(C_InitPIN, CKR_PIN_INVALID,
          {
            EXPECT_EQ(t.in(kPuk, CKU_SO), CKR_OK);
            return C_InitPIN(t.session, text("111111"), 6);
          }),
      ROW(C_InitPIN, CKR_PIN_LEN_RANGE,
          {
            EXPECT_EQ(t.in(kPuk, CKU_SO), CKR_OK);
            return C_InitPIN(t.session, t.data, 400);
          }),
      ROW(C_InitPIN, CKR_PIN_INCORRECT,
          {
            EXPECT_EQ(t.in("0000000000", CKU_SO), CKR_OK);
            return C_InitPIN(t.session, text(kPin1), 6);
          }),
      ROW(C_InitPIN, CKR_SESSION_READ_ONLY,
          {
            t.session = t.open(0, 0);
            return C_InitPIN(t.session, text(kPin1), 6);
          }),
      ROW(C_InitPIN, CKR_FUNCTION_CANCELED,
          {
            t.reader_->pad.emplace();
            EXPECT_EQ(C_Login(t.session, CKU_SO, nullptr, 0), CKR_OK);
            return C_InitPIN(t.session, nullptr, 0);
          }),
      ROW(C_InitPIN, CKR_DEVICE_ERROR,
          {
            EXPECT_EQ(t.in(kPuk, CKU_SO), CKR_OK);
            t.nonsense();
            return C_InitPIN(t.session, text(kPin1), 6);
          }),
      ROW(C_SetPIN, CKR_ARGUMENTS_BAD, { return C_SetPIN(t.session, nullptr, 6, text(kPin1), 6); }),
      ROW(C_SetPIN, CKR_PIN_INCORRECT, { return C_SetPIN(t.session, text("864209"), 6, text("975310"), 6); }),
      ROW(C_SetPIN, CKR_PIN_INVALID, { return C_SetPIN(t.session, text(kPin1), 6, text("111111"), 6); }),
      ROW(C_SetPIN, CKR_PIN_LEN_RANGE, { return C_SetPIN(t.session, text(kPin1), 6, t.data, 400); }),
      ROW(C_SetPIN, CKR_PIN_LOCKED,
          {
            CK_RV rv = CKR_PIN_INCORRECT;
            for (int i = 0; i < 5 && rv == CKR_PIN_INCORRECT; ++i)
              rv = C_SetPIN(t.session, text("864209"), 6, text("975310"), 6);
            return rv;
          }),
      ROW(C_SetPIN, CKR_SESSION_READ_ONLY, { return C_SetPIN(t.open(0, 0), text(kPin1), 6, text("975310"), 6); }),
      ROW(C_SetPIN, CKR_TOKEN_WRITE_PROTECTED,
          {
            EXPECT_EQ(t.in(kPuk, CKU_SO), CKR_OK);
            return C_SetPIN(t.session, text(kPuk), 10, text("1234509876"), 10);
          }),
      ROW(C_SetPIN, CKR_FUNCTION_CANCELED,
          {
            t.reader_->pad.emplace();
            return C_SetPIN(t.session, nullptr, 0, nullptr, 0);
          }),
      ROW(C_SetPIN, CKR_DEVICE_ERROR,
          {
            t.nonsense();
            return C_SetPIN(t.session, text(kPin1), 6, text("975310"), 6);
          }),
  };
}

// The same for C_Login and C_LoginUser.
std::vector<Row> login_rows(std::string_view name,
                            CK_RV (*call)(CK_SESSION_HANDLE, CK_USER_TYPE, CK_UTF8CHAR_PTR, CK_ULONG)) {
  const auto with = [call](const char* pin, CK_USER_TYPE user) {
    return [=](T& t) { return call(t.session, user, text(pin), std::strlen(pin)); };
  };
  return {
      {name, CKR_ARGUMENTS_BAD, [call](T& t) { return call(t.session, CKU_USER, nullptr, 0); }},
      {name, CKR_USER_TYPE_INVALID, with(kPin1, 17)},
      {name, CKR_PIN_INCORRECT, with("864209", CKU_USER)},
      {name, CKR_PIN_INCORRECT, with("not a PIN of digits", CKU_USER)},
      {name, CKR_PIN_INCORRECT, [call](T& t) { return call(t.session, CKU_USER, t.data, 400); }},
      {name, CKR_PIN_LOCKED,
       [with](T& t) {
         CK_RV rv = CKR_PIN_INCORRECT;
         for (int i = 0; i < 5 && rv == CKR_PIN_INCORRECT; ++i) rv = with("864209", CKU_USER)(t);
         return rv;
       }},
      {name, CKR_OPERATION_NOT_INITIALIZED, with(kPin1, CKU_CONTEXT_SPECIFIC)},
      {name, CKR_USER_ALREADY_LOGGED_IN,
       [with](T& t) {
         EXPECT_EQ(t.in(), CKR_OK);
         return with(kPin1, CKU_USER)(t);
       }},
      {name, CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
       [with](T& t) {
         EXPECT_EQ(t.in(), CKR_OK);
         return with(kPuk, CKU_SO)(t);
       }},
      {name, CKR_SESSION_READ_ONLY_EXISTS,
       [with](T& t) {
         (void)t.open(0, 0);
         return with(kPuk, CKU_SO)(t);
       }},
      {name, CKR_USER_PIN_NOT_INITIALIZED, with(kPin1, CKU_USER), Card::blank},
      {name, CKR_FUNCTION_CANCELED,
       [call](T& t) {
         t.reader_->pad.emplace();
         return call(t.session, CKU_USER, nullptr, 0);
       }},
      {name, CKR_DEVICE_ERROR,
       [with](T& t) {
         t.nonsense();
         return with(kPin1, CKU_USER)(t);
       }},
  };
}

std::vector<Row> login_rows() {
  std::vector<Row> some = login_rows("C_Login", ::C_Login);
  for (Row& row : login_rows("C_LoginUser", [](CK_SESSION_HANDLE s, CK_USER_TYPE u, CK_UTF8CHAR_PTR p, CK_ULONG n) {
         return C_LoginUser(s, u, p, n, nullptr, 0);
       })) {
    some.push_back(std::move(row));
  }
  some.push_back({"C_LoginUser", CKR_USER_TYPE_INVALID,
                  [](T& t) { return C_LoginUser(t.session, CKU_USER, text(kPin1), 6, text("name"), 4); }});
  some.push_back({"C_Login", CKR_PIN_EXPIRED, [](T& t) { return t.transport(); }});
  return some;
}

}  // namespace karta::pkcs11
