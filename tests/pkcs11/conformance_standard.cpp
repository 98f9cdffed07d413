// The error lists of PKCS #11 v3.0 §5, function by function.
#include "tests/pkcs11/conformance.h"

namespace karta::pkcs11 {
namespace {

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

}  // namespace

const std::map<std::string_view, Errors>& standard_errors() { return kStandard; }
const std::set<std::string_view>& not_offered() { return kNotOffered; }
const std::vector<Reason>& cannot_be_provoked() { return kCannot; }
const std::vector<Beyond>& beyond_the_standard() { return kBeyond; }

}  // namespace karta::pkcs11
