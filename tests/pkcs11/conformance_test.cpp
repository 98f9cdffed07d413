// Conformance: for every function, every error PKCS #11 v3.0 §5 lists for it is provoked by a row here, or named in
// the table of those that cannot be, with the reason. A test holds the rows against the standard's lists, so that a
// pair nobody thought of is a failure; errors beyond the lists are named too.
#include <map>
#include <set>

#include "tests/pkcs11/module_fixture.h"

namespace karta::pkcs11 {
namespace {

using Errors = std::vector<CK_RV>;
Errors operator+(Errors some, const Errors& more) {
  some.insert(some.end(), more.begin(), more.end());
  return some;
}

// What the standard lists ------------------------------------------------------------------------

const Errors kAny = {CKR_FUNCTION_FAILED, CKR_GENERAL_ERROR, CKR_HOST_MEMORY};
const Errors kBegun = kAny + Errors{CKR_CRYPTOKI_NOT_INITIALIZED};
const Errors kDevice = kBegun + Errors{CKR_DEVICE_ERROR, CKR_DEVICE_MEMORY, CKR_DEVICE_REMOVED};
const Errors kSession = kDevice + Errors{CKR_SESSION_CLOSED, CKR_SESSION_HANDLE_INVALID};
const Errors kToken = {CKR_SLOT_ID_INVALID, CKR_TOKEN_NOT_PRESENT, CKR_TOKEN_NOT_RECOGNIZED};
const Errors kTemplate = {CKR_ARGUMENTS_BAD, CKR_ATTRIBUTE_READ_ONLY, CKR_ATTRIBUTE_TYPE_INVALID,
                          CKR_ATTRIBUTE_VALUE_INVALID, CKR_TEMPLATE_INCONSISTENT};
const Errors kWrite = {CKR_PIN_EXPIRED, CKR_SESSION_READ_ONLY, CKR_TOKEN_WRITE_PROTECTED};
const Errors kKeyInit = {CKR_FUNCTION_CANCELED,       CKR_KEY_FUNCTION_NOT_PERMITTED,
                         CKR_KEY_HANDLE_INVALID,      CKR_KEY_SIZE_RANGE,
                         CKR_KEY_TYPE_INCONSISTENT,   CKR_MECHANISM_INVALID,
                         CKR_MECHANISM_PARAM_INVALID, CKR_OPERATION_ACTIVE,
                         CKR_OPERATION_CANCEL_FAILED, CKR_PIN_EXPIRED,
                         CKR_USER_NOT_LOGGED_IN};
const Errors kStep = {CKR_ARGUMENTS_BAD, CKR_FUNCTION_CANCELED, CKR_OPERATION_NOT_INITIALIZED};
const Errors kOut = kStep + Errors{CKR_BUFFER_TOO_SMALL};
const Errors kLogin = {CKR_ARGUMENTS_BAD,
                       CKR_FUNCTION_CANCELED,
                       CKR_OPERATION_NOT_INITIALIZED,
                       CKR_PIN_INCORRECT,
                       CKR_PIN_LOCKED,
                       CKR_SESSION_READ_ONLY_EXISTS,
                       CKR_USER_ALREADY_LOGGED_IN,
                       CKR_USER_ANOTHER_ALREADY_LOGGED_IN,
                       CKR_USER_PIN_NOT_INITIALIZED,
                       CKR_USER_TOO_MANY_TYPES,
                       CKR_USER_TYPE_INVALID};

const std::map<std::string_view, Errors> kStandard = {
    {"C_Initialize",
     kAny + Errors{CKR_ARGUMENTS_BAD, CKR_CANT_LOCK, CKR_CRYPTOKI_ALREADY_INITIALIZED, CKR_NEED_TO_CREATE_THREADS}},
    {"C_Finalize", kBegun + Errors{CKR_ARGUMENTS_BAD}},
    {"C_GetInfo", kBegun + Errors{CKR_ARGUMENTS_BAD}},
    {"C_GetFunctionList", kAny + Errors{CKR_ARGUMENTS_BAD}},
    {"C_GetInterfaceList", kAny + Errors{CKR_ARGUMENTS_BAD, CKR_BUFFER_TOO_SMALL}},
    {"C_GetInterface", kAny + Errors{CKR_ARGUMENTS_BAD}},
    {"C_GetSlotList", kBegun + Errors{CKR_ARGUMENTS_BAD, CKR_BUFFER_TOO_SMALL}},
    {"C_GetSlotInfo", kBegun + Errors{CKR_ARGUMENTS_BAD, CKR_DEVICE_ERROR, CKR_SLOT_ID_INVALID}},
    {"C_GetTokenInfo", kDevice + kToken + Errors{CKR_ARGUMENTS_BAD}},
    {"C_WaitForSlotEvent", kBegun + Errors{CKR_ARGUMENTS_BAD, CKR_NO_EVENT}},
    {"C_GetMechanismList", kDevice + kToken + Errors{CKR_ARGUMENTS_BAD, CKR_BUFFER_TOO_SMALL}},
    {"C_GetMechanismInfo", kDevice + kToken + Errors{CKR_ARGUMENTS_BAD, CKR_MECHANISM_INVALID}},
    {"C_InitToken", kDevice + kToken +
                        Errors{CKR_ARGUMENTS_BAD, CKR_FUNCTION_CANCELED, CKR_PIN_INCORRECT, CKR_PIN_LOCKED,
                               CKR_SESSION_EXISTS, CKR_TOKEN_WRITE_PROTECTED}},
    {"C_InitPIN", kSession + Errors{CKR_ARGUMENTS_BAD, CKR_FUNCTION_CANCELED, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE,
                                    CKR_SESSION_READ_ONLY, CKR_TOKEN_WRITE_PROTECTED, CKR_USER_NOT_LOGGED_IN}},
    {"C_SetPIN",
     kSession + Errors{CKR_ARGUMENTS_BAD, CKR_FUNCTION_CANCELED, CKR_PIN_INCORRECT, CKR_PIN_INVALID, CKR_PIN_LEN_RANGE,
                       CKR_PIN_LOCKED, CKR_SESSION_READ_ONLY, CKR_TOKEN_WRITE_PROTECTED}},
    {"C_OpenSession", kDevice + kToken +
                          Errors{CKR_ARGUMENTS_BAD, CKR_SESSION_COUNT, CKR_SESSION_PARALLEL_NOT_SUPPORTED,
                                 CKR_SESSION_READ_WRITE_SO_EXISTS, CKR_TOKEN_WRITE_PROTECTED}},
    {"C_CloseSession", kSession},
    {"C_CloseAllSessions", kDevice + Errors{CKR_SLOT_ID_INVALID, CKR_TOKEN_NOT_PRESENT}},
    {"C_GetSessionInfo", kSession + Errors{CKR_ARGUMENTS_BAD}},
    {"C_SessionCancel", kSession + Errors{CKR_OPERATION_CANCEL_FAILED, CKR_TOKEN_NOT_PRESENT}},
    {"C_Login", kSession + kLogin},
    {"C_LoginUser", kSession + kLogin},
    {"C_Logout", kSession + Errors{CKR_USER_NOT_LOGGED_IN}},
    {"C_CreateObject",
     kSession + kTemplate + kWrite +
         Errors{CKR_CURVE_NOT_SUPPORTED, CKR_DOMAIN_PARAMS_INVALID, CKR_TEMPLATE_INCOMPLETE, CKR_USER_NOT_LOGGED_IN}},
    {"C_CopyObject",
     kSession + kTemplate + kWrite + Errors{CKR_ACTION_PROHIBITED, CKR_OBJECT_HANDLE_INVALID, CKR_USER_NOT_LOGGED_IN}},
    {"C_DestroyObject", kSession + kWrite + Errors{CKR_ACTION_PROHIBITED, CKR_OBJECT_HANDLE_INVALID}},
    {"C_GetObjectSize", kSession + Errors{CKR_ARGUMENTS_BAD, CKR_INFORMATION_SENSITIVE, CKR_OBJECT_HANDLE_INVALID}},
    {"C_GetAttributeValue", kSession + Errors{CKR_ARGUMENTS_BAD, CKR_ATTRIBUTE_SENSITIVE, CKR_ATTRIBUTE_TYPE_INVALID,
                                              CKR_BUFFER_TOO_SMALL, CKR_OBJECT_HANDLE_INVALID}},
    {"C_SetAttributeValue", kSession + kTemplate +
                                Errors{CKR_ACTION_PROHIBITED, CKR_OBJECT_HANDLE_INVALID, CKR_SESSION_READ_ONLY,
                                       CKR_TOKEN_WRITE_PROTECTED, CKR_USER_NOT_LOGGED_IN}},
    {"C_FindObjectsInit", kSession + Errors{CKR_ARGUMENTS_BAD, CKR_ATTRIBUTE_TYPE_INVALID, CKR_ATTRIBUTE_VALUE_INVALID,
                                            CKR_OPERATION_ACTIVE, CKR_PIN_EXPIRED}},
    {"C_FindObjects", kSession + Errors{CKR_ARGUMENTS_BAD, CKR_OPERATION_NOT_INITIALIZED}},
    {"C_FindObjectsFinal", kSession + Errors{CKR_OPERATION_NOT_INITIALIZED}},
    {"C_EncryptInit", kSession + kKeyInit + Errors{CKR_ARGUMENTS_BAD}},
    {"C_Encrypt", kSession + kOut + Errors{CKR_DATA_INVALID, CKR_DATA_LEN_RANGE}},
    {"C_EncryptUpdate", kSession + kOut + Errors{CKR_DATA_LEN_RANGE}},
    {"C_EncryptFinal", kSession + kOut + Errors{CKR_DATA_LEN_RANGE}},
    {"C_DecryptInit", kSession + kKeyInit + Errors{CKR_ARGUMENTS_BAD}},
    {"C_Decrypt",
     kSession + kOut + Errors{CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_USER_NOT_LOGGED_IN}},
    {"C_DecryptUpdate",
     kSession + kOut + Errors{CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_USER_NOT_LOGGED_IN}},
    {"C_DecryptFinal",
     kSession + kOut + Errors{CKR_ENCRYPTED_DATA_INVALID, CKR_ENCRYPTED_DATA_LEN_RANGE, CKR_USER_NOT_LOGGED_IN}},
    {"C_DigestInit",
     kSession + Errors{CKR_ARGUMENTS_BAD, CKR_FUNCTION_CANCELED, CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID,
                       CKR_OPERATION_ACTIVE, CKR_OPERATION_CANCEL_FAILED, CKR_PIN_EXPIRED, CKR_USER_NOT_LOGGED_IN}},
    {"C_Digest", kSession + kOut},
    {"C_DigestUpdate", kSession + kStep},
    {"C_DigestKey", kSession + Errors{CKR_FUNCTION_CANCELED, CKR_KEY_HANDLE_INVALID, CKR_KEY_INDIGESTIBLE,
                                      CKR_KEY_SIZE_RANGE, CKR_OPERATION_NOT_INITIALIZED}},
    {"C_DigestFinal", kSession + kOut},
    {"C_SignInit", kSession + kKeyInit + Errors{CKR_ARGUMENTS_BAD}},
    {"C_Sign", kSession + kOut +
                   Errors{CKR_DATA_INVALID, CKR_DATA_LEN_RANGE, CKR_FUNCTION_REJECTED, CKR_TOKEN_RESOURCE_EXCEEDED,
                          CKR_USER_NOT_LOGGED_IN}},
    {"C_SignUpdate",
     kSession + kStep + Errors{CKR_DATA_LEN_RANGE, CKR_TOKEN_RESOURCE_EXCEEDED, CKR_USER_NOT_LOGGED_IN}},
    {"C_SignFinal",
     kSession + kOut +
         Errors{CKR_DATA_LEN_RANGE, CKR_FUNCTION_REJECTED, CKR_TOKEN_RESOURCE_EXCEEDED, CKR_USER_NOT_LOGGED_IN}},
    {"C_VerifyInit", kSession + kKeyInit + Errors{CKR_ARGUMENTS_BAD}},
    {"C_Verify", kSession + kStep +
                     Errors{CKR_DATA_INVALID, CKR_DATA_LEN_RANGE, CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE,
                            CKR_TOKEN_RESOURCE_EXCEEDED}},
    {"C_VerifyUpdate", kSession + kStep + Errors{CKR_DATA_LEN_RANGE, CKR_TOKEN_RESOURCE_EXCEEDED}},
    {"C_VerifyFinal",
     kSession + kStep +
         Errors{CKR_DATA_LEN_RANGE, CKR_SIGNATURE_INVALID, CKR_SIGNATURE_LEN_RANGE, CKR_TOKEN_RESOURCE_EXCEEDED}},
    {"C_GenerateKeyPair",
     kSession + kTemplate + kWrite +
         Errors{CKR_CURVE_NOT_SUPPORTED, CKR_DOMAIN_PARAMS_INVALID, CKR_FUNCTION_CANCELED, CKR_MECHANISM_INVALID,
                CKR_MECHANISM_PARAM_INVALID, CKR_OPERATION_ACTIVE, CKR_TEMPLATE_INCOMPLETE, CKR_USER_NOT_LOGGED_IN}},
    {"C_DeriveKey", kSession + kTemplate + kWrite +
                        Errors{CKR_CURVE_NOT_SUPPORTED, CKR_DOMAIN_PARAMS_INVALID, CKR_FUNCTION_CANCELED,
                               CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_KEY_HANDLE_INVALID, CKR_KEY_SIZE_RANGE,
                               CKR_KEY_TYPE_INCONSISTENT, CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID,
                               CKR_OPERATION_ACTIVE, CKR_TEMPLATE_INCOMPLETE, CKR_USER_NOT_LOGGED_IN}},
    {"C_SeedRandom", kSession + Errors{CKR_ARGUMENTS_BAD, CKR_FUNCTION_CANCELED, CKR_OPERATION_ACTIVE,
                                       CKR_RANDOM_NO_RNG, CKR_RANDOM_SEED_NOT_SUPPORTED, CKR_USER_NOT_LOGGED_IN}},
    {"C_GenerateRandom", kSession + Errors{CKR_ARGUMENTS_BAD, CKR_FUNCTION_CANCELED, CKR_OPERATION_ACTIVE,
                                           CKR_RANDOM_NO_RNG, CKR_USER_NOT_LOGGED_IN}},
    {"C_GetFunctionStatus", kSession + Errors{CKR_FUNCTION_NOT_PARALLEL}},
    {"C_CancelFunction", kSession + Errors{CKR_FUNCTION_NOT_PARALLEL}},
};

// Functions a card has no use for (unsupported_calls.cpp): in every session CKR_FUNCTION_NOT_SUPPORTED, and no other
// error of theirs comes up but those of the session itself.
const std::set<std::string_view> kNotOffered = {
    "C_GetOperationState",   "C_SetOperationState",   "C_SignRecoverInit",     "C_SignRecover",
    "C_VerifyRecoverInit",   "C_VerifyRecover",       "C_DigestEncryptUpdate", "C_DecryptDigestUpdate",
    "C_SignEncryptUpdate",   "C_DecryptVerifyUpdate", "C_GenerateKey",         "C_WrapKey",
    "C_UnwrapKey",           "C_MessageEncryptInit",  "C_EncryptMessage",      "C_EncryptMessageBegin",
    "C_EncryptMessageNext",  "C_MessageEncryptFinal", "C_MessageDecryptInit",  "C_DecryptMessage",
    "C_DecryptMessageBegin", "C_DecryptMessageNext",  "C_MessageDecryptFinal", "C_MessageSignInit",
    "C_SignMessage",         "C_SignMessageBegin",    "C_SignMessageNext",     "C_MessageSignFinal",
    "C_MessageVerifyInit",   "C_VerifyMessage",       "C_VerifyMessageBegin",  "C_VerifyMessageNext",
    "C_MessageVerifyFinal"};

// What cannot be provoked ------------------------------------------------------------------------

struct Reason {
  std::string_view function;  // empty: any function without a row for it
  CK_RV error;
  std::string_view why;
};
const std::vector<Reason> kCannot = {
    {"", CKR_HOST_MEMORY, "no allocation can be made to fail from outside"},
    {"", CKR_GENERAL_ERROR, "only an exception nobody foresaw gives it"},
    {"", CKR_FUNCTION_FAILED, "whatever a test can break here has a better word"},
    {"", CKR_SESSION_CLOSED, "a session closed by another thread is an invalid handle to whoever waited"},
    {"", CKR_FUNCTION_CANCELED, "nobody is asked anything during the call"},
    {"", CKR_OPERATION_CANCEL_FAILED, "cancelling only forgets, and cannot fail"},
    {"", CKR_PIN_EXPIRED, "a transport PIN is met at the login, not later"},
    {"", CKR_DEVICE_MEMORY, "the call stores nothing on the card"},
    {"", CKR_DEVICE_ERROR, "the call does not speak to the card"},
    {"", CKR_TOKEN_RESOURCE_EXCEEDED, "one operation a session takes no resource of the card's"},
    {"", CKR_DATA_INVALID, "data of a fitting length are good data for every mechanism here"},
    {"", CKR_DOMAIN_PARAMS_INVALID, "curves are named by OID: one that is not known is not supported"},
    {"", CKR_RANDOM_NO_RNG, "every card of the profile has a random generator"},
    {"C_Initialize", CKR_CANT_LOCK, "the system's mutexes serve both locking models"},
    {"C_Initialize", CKR_NEED_TO_CREATE_THREADS, "the thread behind a card never calls the program"},
    {"C_InitToken", CKR_DEVICE_MEMORY, "a wiped card has room for its directory"},
    {"C_InitPIN", CKR_TOKEN_WRITE_PROTECTED, "whoever holds the PUK may set the PIN"},
    {"C_OpenSession", CKR_SESSION_COUNT, "sessions are limited by memory only"},
    {"C_OpenSession", CKR_TOKEN_WRITE_PROTECTED, "every token takes writing sessions: PINs change on all"},
    {"C_SessionCancel", CKR_TOKEN_NOT_PRESENT, "without its token the session is gone"},
    {"C_CloseAllSessions", CKR_DEVICE_REMOVED, "sessions close whether the card is there or not"},
    {"C_CloseAllSessions", CKR_TOKEN_NOT_PRESENT, "sessions close whether the card is there or not"},
    {"C_Login", CKR_USER_TOO_MANY_TYPES, "the two users are never in at once"},
    {"C_LoginUser", CKR_USER_TOO_MANY_TYPES, "the two users are never in at once"},
    {"C_CreateObject", CKR_ATTRIBUTE_TYPE_INVALID, "session objects keep attributes the module does not know"},
    {"C_CreateObject", CKR_CURVE_NOT_SUPPORTED, "answered as a bad attribute value, since the object is only kept"},
    {"C_CopyObject", CKR_SESSION_READ_ONLY, "copies live in the session"},
    {"C_CopyObject", CKR_TEMPLATE_INCONSISTENT, "each attribute is judged by itself"},
    {"C_CopyObject", CKR_USER_NOT_LOGGED_IN, "private originals are not to be seen without a login"},
    {"C_DestroyObject", CKR_TOKEN_WRITE_PROTECTED, "what the directory calls modifiable the card lets go"},
    {"C_SetAttributeValue", CKR_TEMPLATE_INCONSISTENT, "each attribute is judged by itself"},
    {"C_SetAttributeValue", CKR_TOKEN_WRITE_PROTECTED, "objects on the card are not modifiable at all"},
    {"C_SetAttributeValue", CKR_USER_NOT_LOGGED_IN, "private objects are not to be seen without a login"},
    {"C_FindObjectsInit", CKR_ATTRIBUTE_TYPE_INVALID, "no object has an attribute that does not exist: none is found"},
    {"C_EncryptInit", CKR_KEY_SIZE_RANGE, "every key that can be made is one the mechanisms take"},
    {"C_EncryptInit", CKR_USER_NOT_LOGGED_IN, "public keys need no login"},
    {"C_EncryptUpdate", CKR_BUFFER_TOO_SMALL, "nothing comes out before the end"},
    {"C_DecryptInit", CKR_KEY_SIZE_RANGE, "every key of the card is one the mechanisms take"},
    {"C_DecryptInit", CKR_USER_NOT_LOGGED_IN, "private keys are not to be seen without a login"},
    {"C_Decrypt", CKR_USER_NOT_LOGGED_IN, "a logout ends the operation"},
    {"C_DecryptUpdate", CKR_BUFFER_TOO_SMALL, "nothing comes out before the end"},
    {"C_DecryptUpdate", CKR_ENCRYPTED_DATA_INVALID, "the cryptogram is opened at the end"},
    {"C_DecryptUpdate", CKR_USER_NOT_LOGGED_IN, "a logout ends the operation"},
    {"C_DecryptFinal", CKR_USER_NOT_LOGGED_IN, "a logout ends the operation"},
    {"C_DigestInit", CKR_USER_NOT_LOGGED_IN, "digests need no login"},
    {"C_DigestKey", CKR_KEY_SIZE_RANGE, "a readable secret of any length is digested"},
    {"C_SignInit", CKR_KEY_SIZE_RANGE, "every key of the card is one the mechanisms take"},
    {"C_SignInit", CKR_USER_NOT_LOGGED_IN, "private keys are not to be seen without a login"},
    {"C_SignUpdate", CKR_USER_NOT_LOGGED_IN, "a logout ends the operation"},
    {"C_VerifyInit", CKR_KEY_SIZE_RANGE, "every key that can be made is one the mechanisms take"},
    {"C_VerifyInit", CKR_USER_NOT_LOGGED_IN, "public keys need no login"},
    {"C_GenerateKeyPair", CKR_ATTRIBUTE_READ_ONLY, "what is only told is passed over in key templates"},
    {"C_GenerateKeyPair", CKR_ATTRIBUTE_TYPE_INVALID, "attributes the card does not keep are passed over"},
    {"C_GenerateKeyPair", CKR_MECHANISM_PARAM_INVALID, "key generation reads no parameter"},
    {"C_GenerateKeyPair", CKR_OPERATION_ACTIVE, "key generation disturbs no operation under way"},
    {"C_DeriveKey", CKR_ATTRIBUTE_TYPE_INVALID, "session objects keep attributes the module does not know"},
    {"C_DeriveKey", CKR_CURVE_NOT_SUPPORTED, "the curve is the key's"},
    {"C_DeriveKey", CKR_OPERATION_ACTIVE, "deriving disturbs no operation under way"},
    {"C_DeriveKey", CKR_SESSION_READ_ONLY, "derived secrets live in the session"},
    {"C_DeriveKey", CKR_TEMPLATE_INCOMPLETE, "every attribute has a default"},
    {"C_DeriveKey", CKR_TOKEN_WRITE_PROTECTED, "secrets for the card are refused as a contradiction in the template"},
    {"C_DeriveKey", CKR_USER_NOT_LOGGED_IN, "private keys are not to be seen without a login"},
    {"C_SeedRandom", CKR_ARGUMENTS_BAD, "refused before it is looked at"},
    {"C_SeedRandom", CKR_OPERATION_ACTIVE, "refused before it is looked at"},
    {"C_SeedRandom", CKR_USER_NOT_LOGGED_IN, "refused to everybody"},
    {"C_GenerateRandom", CKR_OPERATION_ACTIVE, "random octets disturb no operation under way"},
    {"C_GenerateRandom", CKR_USER_NOT_LOGGED_IN, "random octets need no login"},
};

// Errors beyond the standard's lists, and why they are the better word.
struct Beyond {
  std::string_view function;
  CK_RV error;
};
const std::vector<Beyond> kBeyond = {
    {"C_Login", CKR_PIN_EXPIRED},      // a transport PIN must be changed first (§11.1.6 names C_SetPIN as the way)
    {"C_InitPIN", CKR_PIN_INCORRECT},  // the PUK is tried only when it is used
    {"C_DestroyObject", CKR_USER_NOT_LOGGED_IN},
    {"C_Sign", CKR_OPERATION_ACTIVE},  // single-part within a multi-part operation
    {"C_Encrypt", CKR_OPERATION_ACTIVE},
    {"C_Decrypt", CKR_OPERATION_ACTIVE},
    {"C_Digest", CKR_OPERATION_ACTIVE},
    {"C_Verify", CKR_OPERATION_ACTIVE},
    {"C_GenerateKeyPair", CKR_KEY_SIZE_RANGE},
};

// The bench ---------------------------------------------------------------------------------------

class ConformanceTest : public ModuleTest {
 public:
  void SetUp() override {}
  void begin_row() {
    session = 0, object = object2 = 0, length = 0;
    std::memset(data, 0, sizeof data);
    std::memset(out, 0, sizeof out);
    before_call = {};
  }
  void fresh() {
    issue("p256");
    begin();
    session = open();
  }
  void fresh_rsa() {
    static std::unique_ptr<sim::SoftCard> kept;
    if (kept == nullptr) {
      issue("rsa-2048");
      kept = std::move(card_);
    }
    card_ = std::move(kept);
    kept = nullptr;
    reader_ = std::make_shared<OneReader>(*card_);
    begin();
    session = open();
    rsa_ = &kept;
  }
  void away() {
    (void)C_Finalize(nullptr);
    if (rsa_ != nullptr) *rsa_ = std::move(card_);
    rsa_ = nullptr;
  }

  using ModuleTest::open;
  using ModuleTest::reader_;
  CK_RV in(const char* pin = kPin1, CK_USER_TYPE user = CKU_USER) { return login(session, pin, user); }
  CK_OBJECT_HANDLE priv(const char* label = "SIG") { return one(session, CKO_PRIVATE_KEY, label); }
  CK_OBJECT_HANDLE pub(const char* label = "SIG") { return one(session, CKO_PUBLIC_KEY, label); }
  CK_OBJECT_HANDLE cert(const char* label = "SIG") { return one(session, CKO_CERTIFICATE, label); }
  void nonsense() {
    reader_->instead = [](ByteView) { return Bytes{0x42}; };
  }
  // The session's card is gone, and another session has heard of it.
  void stale() {
    const CK_SESSION_HANDLE other = open();
    reader_->pull();
    std::uint8_t octet = 0;
    EXPECT_EQ(C_GenerateRandom(other, &octet, 1), CKR_DEVICE_REMOVED);
    reader_->put_back();
  }
  void gone() { reader_->pull(); }
  // The module begins anew, and knows nothing of the card.
  CK_RV cold(const std::function<CK_RV()>& call) {
    EXPECT_EQ(C_Finalize(nullptr), CKR_OK);
    begin();
    return call();
  }
  void pull_at_first_command() {
    reader_->instead = [this](ByteView) {
      reader_->present = false;
      return Bytes();
    };
  }
  // A card without the application.
  CK_RV foreign(const std::function<CK_RV()>& call) {
    return cold([&] {
      reader_->instead = [](ByteView) { return Bytes{0x6A, 0x82}; };
      return call();
    });
  }
  // A qualified signature begun, without the login it waits for.
  void qualified() {
    session = open(1);
    EXPECT_EQ(in(kPin2), CKR_OK);
    CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
    // The login's own PIN is good for one use: it is spent.
    EXPECT_EQ(C_SignInit(session, &mechanism, priv("QES")), CKR_OK);
    EXPECT_EQ(sign(), CKR_OK);
    EXPECT_EQ(C_SignInit(session, &mechanism, priv("QES")), CKR_OK);
  }
  void renewed() {
    other_program([](card::ESignApplication& application) {
      ASSERT_TRUE(application.verify_pin(card::PinKind::pin1, SecretBytes::copy_of(kPin1)));
      const auto key = application.key(card::KeyRole::signature);
      ASSERT_TRUE(key);
      ASSERT_TRUE(application.generate_key(*key));
    });
  }
  // `data` becomes a cryptogram for ENC.
  void cryptogram() {
    EXPECT_EQ(encrypt_init(), CKR_OK);
    EXPECT_EQ(C_Encrypt(session, data, 100, out, &(length = 256)), CKR_OK);
    std::memcpy(data, out, 256);
  }
  // Login to a card whose holder has not chosen a PIN yet.
  CK_RV transport() {
    EXPECT_EQ(C_Finalize(nullptr), CKR_OK);
    issue("p256", false);
    begin();
    session = open();
    return in("11223");
  }

  CK_RV sign_init(CK_MECHANISM_TYPE type = CKM_ECDSA_SHA256) {
    EXPECT_EQ(in(), CKR_OK);
    CK_MECHANISM mechanism{type, nullptr, 0};
    return C_SignInit(session, &mechanism, priv());
  }
  CK_RV verify_init(CK_MECHANISM_TYPE type = CKM_ECDSA_SHA256) {
    CK_MECHANISM mechanism{type, nullptr, 0};
    return C_VerifyInit(session, &mechanism, pub());
  }
  CK_RV digest_init() {
    CK_MECHANISM mechanism{CKM_SHA256, nullptr, 0};
    return C_DigestInit(session, &mechanism);
  }
  CK_RV encrypt_init() {
    CK_MECHANISM mechanism{CKM_RSA_PKCS, nullptr, 0};
    return C_EncryptInit(session, &mechanism, pub("ENC"));
  }
  CK_RV decrypt_init() {
    EXPECT_EQ(in(), CKR_OK);
    CK_MECHANISM mechanism{CKM_RSA_PKCS, nullptr, 0};
    return C_DecryptInit(session, &mechanism, priv("ENC"));
  }
  CK_RV sign(CK_ULONG room = 64) { return C_Sign(session, data, 8, out, &(length = room)); }
  CK_RV derive(CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE key, std::vector<CK_ATTRIBUTE> wanted,
               CK_ULONG point_octets = 0) {
    Bytes point = attribute(session, pub("ENC"), CKA_EC_POINT);
    CK_ECDH1_DERIVE_PARAMS parameters{CKD_NULL, 0, nullptr, point_octets != 0 ? point_octets : point.size(),
                                      point.data()};
    CK_MECHANISM mechanism{type, &parameters, sizeof parameters};
    if (before_call) before_call();
    return C_DeriveKey(session, &mechanism, key, wanted.data(), wanted.size(), &object);
  }
  CK_RV generate(CK_MECHANISM_TYPE type, std::vector<CK_ATTRIBUTE> half, std::vector<CK_ATTRIBUTE> whole) {
    CK_MECHANISM mechanism{type, nullptr, 0};
    return C_GenerateKeyPair(session, &mechanism, half.data(), half.size(), whole.data(), whole.size(), &object,
                             &object2);
  }
  CK_RV create(std::vector<CK_ATTRIBUTE> wanted) {
    return C_CreateObject(session, wanted.data(), wanted.size(), &object);
  }
  CK_RV data_object() { return create({{CKA_CLASS, &data_class, sizeof data_class}, {CKA_VALUE, data, 8}}); }
  CK_RV find_init(std::vector<CK_ATTRIBUTE> wanted) { return C_FindObjectsInit(session, wanted.data(), wanted.size()); }

  // Whether an operation of this family is under way; ends it.
  bool active(std::string_view function) {
    if (function.starts_with("C_Sign")) return C_SignInit(session, nullptr, 0) == CKR_OK;
    if (function.starts_with("C_Verify")) return C_VerifyInit(session, nullptr, 0) == CKR_OK;
    if (function.starts_with("C_Digest")) return C_DigestInit(session, nullptr) == CKR_OK;
    if (function.starts_with("C_Encrypt")) return C_EncryptInit(session, nullptr, 0) == CKR_OK;
    return C_DecryptInit(session, nullptr, 0) == CKR_OK;
  }

  CK_SESSION_HANDLE session = 0;
  CK_OBJECT_HANDLE object = 0, object2 = 0;
  CK_BYTE data[512] = {1, 2, 3}, out[512] = {};
  CK_ULONG length = 0, eight = 8, huge = 4096, wrong_number = 7;
  CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
  CK_OBJECT_CLASS data_class = CKO_DATA, public_class = CKO_PUBLIC_KEY, private_class = CKO_PRIVATE_KEY,
                  certificate_class = CKO_CERTIFICATE, secret_class = CKO_SECRET_KEY;
  CK_KEY_TYPE ec_type = CKK_EC, generic_type = CKK_GENERIC_SECRET;
  CK_UTF8CHAR blank_label[32] = {};
  Bytes p256 = der::oid("1.2.840.10045.3.1.7"), nowhere = der::oid("1.2.3.4"), sig_id = {2}, new_id = {9};
  std::function<void()> before_call;

 private:
  std::unique_ptr<sim::SoftCard>* rsa_ = nullptr;
};

enum class Card : std::uint8_t { issued, rsa, blank, open_card };
struct Row {
  std::string_view function;
  CK_RV error;
  std::function<CK_RV(ConformanceTest&)> provoke;
  Card card = Card::issued;
};
using T = ConformanceTest;

// Rows that every function of a kind has, made from the one list of functions.
std::vector<Row> generic_rows() {
  std::vector<Row> rows;
  const std::set<std::string_view> before_the_beginning = {"C_Initialize", "C_GetFunctionList", "C_GetInterfaceList",
                                                           "C_GetInterface"};
  const std::set<std::string_view> no_session = {"C_Finalize",         "C_GetInfo",         "C_GetSlotList",
                                                 "C_GetSlotInfo",      "C_GetTokenInfo",    "C_GetMechanismList",
                                                 "C_GetMechanismInfo", "C_InitToken",       "C_OpenSession",
                                                 "C_CloseAllSessions", "C_WaitForSlotEvent"};
  const auto add = [&](std::string_view name, std::function<CK_RV()> zeros,
                       std::function<CK_RV(CK_SESSION_HANDLE)> with) {
    if (before_the_beginning.contains(name)) return;
    rows.push_back({name, CKR_CRYPTOKI_NOT_INITIALIZED, [zeros](T&) {
                      EXPECT_EQ(C_Finalize(nullptr), CKR_OK);
                      return zeros();
                    }});
    if (no_session.contains(name)) return;
    rows.push_back({name, CKR_SESSION_HANDLE_INVALID, [with](T& t) { return with(t.session + 100); }});
    rows.push_back({name, CKR_DEVICE_REMOVED, [with](T& t) {
                      t.stale();
                      return with(t.session);
                    }});
    if (kNotOffered.contains(name)) {
      rows.push_back({name, CKR_FUNCTION_NOT_SUPPORTED, [with](T& t) { return with(t.session); }});
    }
  };
#define ADD(name, arity)                                    \
  add(                                                      \
      #name, [] { return Zeros<CK_##name>::call(::name); }, \
      [](CK_SESSION_HANDLE s) { return InSession<CK_##name>::call(::name, s); });
  KARTA_PKCS11_FUNCTIONS(ADD)
#undef ADD
  return rows;
}

#define ROW(function, error, ...) \
  Row { #function, error, [](T & t) -> CK_RV __VA_ARGS__ }
#define ROW_ON(card, function, error, ...) \
  Row { #function, error, [](T & t) -> CK_RV __VA_ARGS__, card }

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

const std::vector<Row>& rows() {
  static const std::vector<Row> all = [] {
    std::vector<Row> some;
    const auto add = [&](std::vector<Row> more) { some.insert(some.end(), more.begin(), more.end()); };
    add(generic_rows());
    add(general_rows());
    add(session_rows());
    add(login_rows("C_Login", ::C_Login));
    add(login_rows("C_LoginUser", [](CK_SESSION_HANDLE s, CK_USER_TYPE u, CK_UTF8CHAR_PTR p, CK_ULONG n) {
      return C_LoginUser(s, u, p, n, nullptr, 0);
    }));
    add({{"C_LoginUser", CKR_USER_TYPE_INVALID,
          [](T& t) { return C_LoginUser(t.session, CKU_USER, text(kPin1), 6, text("name"), 4); }}});
    add({{"C_Login", CKR_PIN_EXPIRED, [](T& t) { return t.transport(); }}});
    add(object_rows());
    add(digest_rows());
    add(key_init_rows("C_SignInit", ::C_SignInit, true, CKM_ECDSA_SHA256, CKM_SHA256_RSA_PKCS, "SIG", "ENC",
                      Card::issued));
    add(key_init_rows("C_VerifyInit", ::C_VerifyInit, false, CKM_ECDSA_SHA256, CKM_SHA256_RSA_PKCS, "SIG", "ENC",
                      Card::issued));
    add(key_init_rows("C_EncryptInit", ::C_EncryptInit, false, CKM_RSA_PKCS, 0, "ENC", "SIG", Card::rsa));
    add(key_init_rows("C_DecryptInit", ::C_DecryptInit, true, CKM_RSA_PKCS, 0, "ENC", "SIG", Card::rsa));
    add(signature_rows());
    add(cipher_rows());
    add(key_rows());
    return some;
  }();
  return all;
}

// Calls that work on an operation which an ...Init call has begun.
bool is_step(std::string_view function) {
  static const std::set<std::string_view> steps = {
      "C_Sign",         "C_SignUpdate",   "C_SignFinal",     "C_Verify",      "C_VerifyUpdate", "C_VerifyFinal",
      "C_Digest",       "C_DigestUpdate", "C_DigestKey",     "C_DigestFinal", "C_Encrypt",      "C_EncryptUpdate",
      "C_EncryptFinal", "C_Decrypt",      "C_DecryptUpdate", "C_DecryptFinal"};
  return steps.contains(function);
}

TEST_F(ConformanceTest, EveryErrorComesAsTheRowsSay) {
  for (const Row& row : rows()) {
    SCOPED_TRACE(std::string(row.function) + ' ' + name_of_rv(row.error));
    begin_row();
    switch (row.card) {
      case Card::issued:
        fresh();
        break;
      case Card::rsa:
        fresh_rsa();
        break;
      case Card::blank:
        take_blank();
        begin();
        session = open();
        break;
      case Card::open_card:
        take_open();
        session = open();
        break;
    }
    const CK_RV rv = row.provoke(*this);
    EXPECT_EQ(name_of_rv(rv), name_of_rv(row.error));
    // §5.2: an operation ends with its first error, but for a buffer that is too small.
    const bool of_session = row.error == CKR_CRYPTOKI_NOT_INITIALIZED || row.error == CKR_SESSION_HANDLE_INVALID ||
                            row.error == CKR_DEVICE_REMOVED || row.error == CKR_DEVICE_ERROR;
    if (is_step(row.function) && !of_session) {
      EXPECT_EQ(active(row.function), row.error == CKR_BUFFER_TOO_SMALL);
    }
    if (reader_ != nullptr) reader_->instead = {};
    away();
  }
}

TEST_F(ConformanceTest, EveryErrorOfTheStandardHasARowOrAReason) {
  std::set<std::string_view> functions;
#define NAME(name, arity) functions.insert(#name);
  KARTA_PKCS11_FUNCTIONS(NAME)
#undef NAME
  std::set<std::pair<std::string_view, CK_RV>> provoked, listed, reasons, beyond;
  std::set<CK_RV> anywhere;
  for (const Row& row : rows()) provoked.insert({row.function, row.error});
  for (const Beyond& one : kBeyond) beyond.insert({one.function, one.error});
  for (const Reason& reason : kCannot) {
    EXPECT_FALSE(reason.why.empty());
    if (reason.function.empty()) {
      anywhere.insert(reason.error);
    } else {
      reasons.insert({reason.function, reason.error});
    }
  }
  for (const std::string_view function : functions) {
    SCOPED_TRACE(std::string(function));
    if (kNotOffered.contains(function)) {
      EXPECT_TRUE(provoked.contains({function, CKR_FUNCTION_NOT_SUPPORTED}));
      continue;
    }
    const auto standard = kStandard.find(function);
    ASSERT_NE(standard, kStandard.end());
    for (const CK_RV error : standard->second) {
      SCOPED_TRACE(name_of_rv(error));
      listed.insert({function, error});
      const bool row = provoked.contains({function, error}), own_reason = reasons.contains({function, error});
      EXPECT_TRUE(row || own_reason || anywhere.contains(error)) << "neither provoked nor explained";
      EXPECT_FALSE(row && own_reason) << "provoked, and yet called impossible";
    }
  }
  for (const auto& [function, error] : provoked) {
    if (kNotOffered.contains(function)) continue;
    EXPECT_TRUE(listed.contains({function, error}) || beyond.contains({function, error}))
        << function << ' ' << name_of_rv(error) << " is beyond the standard's list";
  }
  for (const auto& [function, error] : reasons) {
    EXPECT_TRUE(listed.contains({function, error})) << function << ' ' << name_of_rv(error) << " is in no list";
  }
  for (const auto& pair : beyond) {
    EXPECT_TRUE(provoked.contains(pair) && !listed.contains(pair)) << pair.first << ' ' << name_of_rv(pair.second);
  }
}

}  // namespace
}  // namespace karta::pkcs11
