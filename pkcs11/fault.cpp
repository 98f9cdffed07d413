#include "pkcs11/fault.h"

#include <array>

#include "base/bytes.h"

namespace karta::pkcs11 {
namespace {

struct RvRow {
  CK_RV rv;
  std::string_view name;
};
#define ROW(name) \
  { name, #name }
constexpr auto kRvNames = std::to_array<RvRow>({
    ROW(CKR_OK),
    ROW(CKR_CANCEL),
    ROW(CKR_HOST_MEMORY),
    ROW(CKR_SLOT_ID_INVALID),
    ROW(CKR_GENERAL_ERROR),
    ROW(CKR_FUNCTION_FAILED),
    ROW(CKR_ARGUMENTS_BAD),
    ROW(CKR_NO_EVENT),
    ROW(CKR_NEED_TO_CREATE_THREADS),
    ROW(CKR_CANT_LOCK),
    ROW(CKR_ATTRIBUTE_READ_ONLY),
    ROW(CKR_ATTRIBUTE_SENSITIVE),
    ROW(CKR_ATTRIBUTE_TYPE_INVALID),
    ROW(CKR_ATTRIBUTE_VALUE_INVALID),
    ROW(CKR_ACTION_PROHIBITED),
    ROW(CKR_DATA_INVALID),
    ROW(CKR_DATA_LEN_RANGE),
    ROW(CKR_DEVICE_ERROR),
    ROW(CKR_DEVICE_MEMORY),
    ROW(CKR_DEVICE_REMOVED),
    ROW(CKR_ENCRYPTED_DATA_INVALID),
    ROW(CKR_ENCRYPTED_DATA_LEN_RANGE),
    ROW(CKR_FUNCTION_CANCELED),
    ROW(CKR_FUNCTION_NOT_PARALLEL),
    ROW(CKR_FUNCTION_NOT_SUPPORTED),
    ROW(CKR_KEY_HANDLE_INVALID),
    ROW(CKR_KEY_SIZE_RANGE),
    ROW(CKR_KEY_TYPE_INCONSISTENT),
    ROW(CKR_KEY_NOT_NEEDED),
    ROW(CKR_KEY_CHANGED),
    ROW(CKR_KEY_NEEDED),
    ROW(CKR_KEY_INDIGESTIBLE),
    ROW(CKR_KEY_FUNCTION_NOT_PERMITTED),
    ROW(CKR_KEY_NOT_WRAPPABLE),
    ROW(CKR_KEY_UNEXTRACTABLE),
    ROW(CKR_MECHANISM_INVALID),
    ROW(CKR_MECHANISM_PARAM_INVALID),
    ROW(CKR_OBJECT_HANDLE_INVALID),
    ROW(CKR_OPERATION_ACTIVE),
    ROW(CKR_OPERATION_NOT_INITIALIZED),
    ROW(CKR_PIN_INCORRECT),
    ROW(CKR_PIN_INVALID),
    ROW(CKR_PIN_LEN_RANGE),
    ROW(CKR_PIN_EXPIRED),
    ROW(CKR_PIN_LOCKED),
    ROW(CKR_SESSION_CLOSED),
    ROW(CKR_SESSION_COUNT),
    ROW(CKR_SESSION_HANDLE_INVALID),
    ROW(CKR_SESSION_PARALLEL_NOT_SUPPORTED),
    ROW(CKR_SESSION_READ_ONLY),
    ROW(CKR_SESSION_EXISTS),
    ROW(CKR_SESSION_READ_ONLY_EXISTS),
    ROW(CKR_SESSION_READ_WRITE_SO_EXISTS),
    ROW(CKR_SIGNATURE_INVALID),
    ROW(CKR_SIGNATURE_LEN_RANGE),
    ROW(CKR_TEMPLATE_INCOMPLETE),
    ROW(CKR_TEMPLATE_INCONSISTENT),
    ROW(CKR_TOKEN_NOT_PRESENT),
    ROW(CKR_TOKEN_NOT_RECOGNIZED),
    ROW(CKR_TOKEN_WRITE_PROTECTED),
    ROW(CKR_UNWRAPPING_KEY_HANDLE_INVALID),
    ROW(CKR_UNWRAPPING_KEY_SIZE_RANGE),
    ROW(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT),
    ROW(CKR_USER_ALREADY_LOGGED_IN),
    ROW(CKR_USER_NOT_LOGGED_IN),
    ROW(CKR_USER_PIN_NOT_INITIALIZED),
    ROW(CKR_USER_TYPE_INVALID),
    ROW(CKR_USER_ANOTHER_ALREADY_LOGGED_IN),
    ROW(CKR_USER_TOO_MANY_TYPES),
    ROW(CKR_WRAPPED_KEY_INVALID),
    ROW(CKR_WRAPPED_KEY_LEN_RANGE),
    ROW(CKR_WRAPPING_KEY_HANDLE_INVALID),
    ROW(CKR_WRAPPING_KEY_SIZE_RANGE),
    ROW(CKR_WRAPPING_KEY_TYPE_INCONSISTENT),
    ROW(CKR_RANDOM_SEED_NOT_SUPPORTED),
    ROW(CKR_RANDOM_NO_RNG),
    ROW(CKR_DOMAIN_PARAMS_INVALID),
    ROW(CKR_CURVE_NOT_SUPPORTED),
    ROW(CKR_BUFFER_TOO_SMALL),
    ROW(CKR_SAVED_STATE_INVALID),
    ROW(CKR_INFORMATION_SENSITIVE),
    ROW(CKR_STATE_UNSAVEABLE),
    ROW(CKR_CRYPTOKI_NOT_INITIALIZED),
    ROW(CKR_CRYPTOKI_ALREADY_INITIALIZED),
    ROW(CKR_MUTEX_BAD),
    ROW(CKR_MUTEX_NOT_LOCKED),
    ROW(CKR_NEW_PIN_MODE),
    ROW(CKR_NEXT_OTP),
    ROW(CKR_EXCEEDED_MAX_ITERATIONS),
    ROW(CKR_FIPS_SELF_TEST_FAILED),
    ROW(CKR_LIBRARY_LOAD_FAILED),
    ROW(CKR_PIN_TOO_WEAK),
    ROW(CKR_PUBLIC_KEY_INVALID),
    ROW(CKR_FUNCTION_REJECTED),
    ROW(CKR_TOKEN_RESOURCE_EXCEEDED),
    ROW(CKR_OPERATION_CANCEL_FAILED),
});
#undef ROW

// What a program is told for each kind of error. A row that says CKR_FUNCTION_FAILED has no better word in the
// standard.
struct KindRow {
  ErrorKind kind;
  CK_RV rv;
};
constexpr auto kKinds = std::to_array<KindRow>({
    {ErrorKind::usage, CKR_ARGUMENTS_BAD},
    {ErrorKind::malformed, CKR_DEVICE_ERROR},
    {ErrorKind::not_found, CKR_FUNCTION_FAILED},
    {ErrorKind::already_exists, CKR_FUNCTION_FAILED},
    {ErrorKind::not_permitted, CKR_USER_NOT_LOGGED_IN},
    {ErrorKind::io, CKR_FUNCTION_FAILED},
    {ErrorKind::configuration, CKR_FUNCTION_FAILED},
    {ErrorKind::no_pcscd, CKR_DEVICE_REMOVED},
    {ErrorKind::no_reader, CKR_DEVICE_REMOVED},
    {ErrorKind::no_card, CKR_TOKEN_NOT_PRESENT},
    {ErrorKind::card_removed, CKR_DEVICE_REMOVED},
    {ErrorKind::card_busy, CKR_FUNCTION_FAILED},
    {ErrorKind::card_unresponsive, CKR_DEVICE_ERROR},
    {ErrorKind::card_refused, CKR_FUNCTION_FAILED},
    {ErrorKind::card_unknown, CKR_TOKEN_NOT_RECOGNIZED},
    {ErrorKind::card_insecure, CKR_DEVICE_ERROR},
    {ErrorKind::wrong_pin, CKR_PIN_INCORRECT},
    {ErrorKind::pin_blocked, CKR_PIN_LOCKED},
    {ErrorKind::pin_rejected, CKR_PIN_INVALID},
    {ErrorKind::transport_pin, CKR_PIN_EXPIRED},
    {ErrorKind::cancelled, CKR_FUNCTION_CANCELED},
    {ErrorKind::untrusted, CKR_FUNCTION_FAILED},
    {ErrorKind::invalid_signature, CKR_SIGNATURE_INVALID},
    {ErrorKind::unsupported, CKR_FUNCTION_NOT_SUPPORTED},
    {ErrorKind::limit, CKR_DEVICE_MEMORY},
    {ErrorKind::busy, CKR_FUNCTION_FAILED},
    {ErrorKind::internal, CKR_GENERAL_ERROR},
});
constexpr bool in_order() {
  for (std::size_t i = 0; i < kKinds.size(); ++i) {
    if (static_cast<std::size_t>(kKinds[i].kind) != i) return false;
  }
  return kKinds.size() == static_cast<std::size_t>(ErrorKind::internal) + 1;
}
static_assert(in_order(), "one row a kind, in the order of the enum");

}  // namespace

std::string name_of_rv(CK_RV rv) {
  for (const RvRow& row : kRvNames) {
    if (row.rv == rv) return std::string(row.name);
  }
  return std::to_string(rv);
}

CK_RV rv_of(ErrorKind kind) { return kKinds[static_cast<std::size_t>(kind)].rv; }

}  // namespace karta::pkcs11
