// §5.6: sessions and logins; §5.5: PINs.
#include "pkcs11/calls.h"
#include "pkcs11/operation.h"

namespace karta::pkcs11::call {
namespace {

// Longer than any PIN or PUK: refused before it is looked at.
constexpr CK_ULONG kLongestPin = 64;

Outcome<SecretBytes> pin_in(const CK_UTF8CHAR* pin, CK_ULONG count) {
  // There is no pad or window of ours to ask at: a PIN has to be given.
  if (pin == nullptr) return refuse(CKR_ARGUMENTS_BAD, "no PIN given, and no PIN pad to ask at");
  if (count == 0 || count > kLongestPin) return refuse(CKR_PIN_LEN_RANGE);
  return SecretBytes::copy_of(ByteView(pin, count));
}

// A PIN in a form the card would not even look at was wrong all the same, and costs no try.
Done wrong_rather_than_invalid(Done done) {
  if (!done && done.error().rv == CKR_PIN_INVALID) return refuse(CKR_PIN_INCORRECT, done.error().message);
  return done;
}

Done open_checks(const Module::SlotPlace& place, CK_FLAGS flags) {
  TRY(place.slot->token(place.index));
  const Token& token = *TRY(place.slot->token(place.index));
  if (token.officer_logged_in && (flags & CKF_RW_SESSION) == 0) return refuse(CKR_SESSION_READ_WRITE_SO_EXISTS);
  return {};
}

}  // namespace

Done C_OpenSession(CK_SLOT_ID id, CK_FLAGS flags, CK_VOID_PTR, CK_NOTIFY, CK_SESSION_HANDLE_PTR handle) {
  const auto module = TRY(Module::get());
  TRY(need(handle));
  if ((flags & CKF_SERIAL_SESSION) == 0) return refuse(CKR_SESSION_PARALLEL_NOT_SUPPORTED);
  const auto place = TRY(module->slot(id));
  const std::lock_guard lock(place.slot->mutex());
  TRY(open_checks(place, flags));
  *handle = TRY(module->open_session(place, flags));
  return {};
}

Done C_CloseSession(CK_SESSION_HANDLE handle) {
  const auto entry = TRY(Module::enter(handle));
  entry.module->close(entry.session);
  return {};
}

Done C_CloseAllSessions(CK_SLOT_ID id) {
  const auto module = TRY(Module::get());
  const auto place = TRY(module->slot(id));
  const std::lock_guard lock(place.slot->mutex());
  for (const auto& session : module->sessions_with(*place.slot, place.index)) module->close(session);
  return {};
}

Done C_GetSessionInfo(CK_SESSION_HANDLE handle, CK_SESSION_INFO_PTR info) {
  const auto entry = TRY(Module::enter(handle));
  TRY(need(info));
  const Token& token = *TRY(entry.token());
  *info = {};
  info->slotID = entry->slot_id();
  info->flags = entry->flags() & (CKF_RW_SESSION | CKF_SERIAL_SESSION);
  if (token.officer_logged_in) {
    info->state = CKS_RW_SO_FUNCTIONS;
  } else if (token.user_logged_in) {
    info->state = entry->may_write() ? CKS_RW_USER_FUNCTIONS : CKS_RO_USER_FUNCTIONS;
  } else {
    info->state = entry->may_write() ? CKS_RW_PUBLIC_SESSION : CKS_RO_PUBLIC_SESSION;
  }
  return {};
}

// §5.11.5 and the like: cancels operations of a session.
Done C_SessionCancel(CK_SESSION_HANDLE handle, CK_FLAGS flags) {
  const auto entry = TRY(Module::enter(handle));
  if ((flags & CKF_FIND_OBJECTS) != 0) entry->search.reset();
  if ((flags & CKF_DIGEST) != 0) entry->digest.reset();
  if ((flags & CKF_SIGN) != 0) entry->sign.reset();
  if ((flags & CKF_VERIFY) != 0) entry->verify.reset();
  if ((flags & CKF_ENCRYPT) != 0) entry->encrypt.reset();
  if ((flags & CKF_DECRYPT) != 0) entry->decrypt.reset();
  return {};
}

Done C_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG pin_octets) {
  const auto entry = TRY(Module::enter(handle));
  Token& token = *TRY(entry.token());
  if (user == CKU_CONTEXT_SPECIFIC) {
    KeyOperation* waiting = nullptr;
    for (auto* const operation : {&entry->sign, &entry->decrypt}) {
      if (*operation && (*operation)->key->flag(CKA_ALWAYS_AUTHENTICATE)) waiting = &**operation;
    }
    if (waiting == nullptr) return refuse(CKR_OPERATION_NOT_INITIALIZED);
    SecretBytes secret = TRY(pin_in(pin, pin_octets));
    TRY(wrong_rather_than_invalid(entry.slot().check_pin(entry->index(), secret)));
    waiting->pin.emplace(std::move(secret));
    entry->login_pin.reset();
    return {};
  }
  if (user != CKU_USER && user != CKU_SO) return refuse(CKR_USER_TYPE_INVALID);
  if (user == CKU_USER ? token.user_logged_in : token.officer_logged_in) return refuse(CKR_USER_ALREADY_LOGGED_IN);
  if (token.user_logged_in || token.officer_logged_in) return refuse(CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
  const SecretBytes secret = TRY(pin_in(pin, pin_octets));
  if (user == CKU_USER) {
    TRY(wrong_rather_than_invalid(entry.slot().log_in(entry->index(), secret)));
    if (TRY(entry.token())->per_signature) entry->login_pin = secret.clone();
    return {};
  }
  for (const auto& session : entry.module->sessions_with(entry.slot(), entry->index())) {
    if (!session->may_write()) return refuse(CKR_SESSION_READ_ONLY_EXISTS);
  }
  return entry.slot().log_in_officer(entry->index(), secret);
}

// v3.0 §5.6.9: cards have users without names.
Done C_LoginUser(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG pin_octets,
                 CK_UTF8CHAR_PTR name, CK_ULONG name_octets) {
  if (name != nullptr && name_octets != 0) {
    TRY(Module::enter(handle));
    return refuse(CKR_USER_TYPE_INVALID, "cards have no users by name");
  }
  return C_Login(handle, user, pin, pin_octets);
}

Done C_Logout(CK_SESSION_HANDLE handle) {
  const auto entry = TRY(Module::enter(handle));
  const Token& token = *TRY(entry.token());
  if (!token.user_logged_in && !token.officer_logged_in) return refuse(CKR_USER_NOT_LOGGED_IN);
  // §5.6.7: private session objects and operations with private keys go with the login.
  for (const auto& session : entry.module->sessions_with(entry.slot(), entry->index())) {
    session->sign.reset();
    session->decrypt.reset();
    session->search.reset();
    session->login_pin.reset();
    std::erase_if(session->objects, [](const auto& object) { return object->is_private(); });
  }
  entry.slot().log_out(entry->index());
  return {};
}

// PINs ------------------------------------------------------------------------------------------

Done C_SetPIN(CK_SESSION_HANDLE handle, CK_UTF8CHAR_PTR old_pin, CK_ULONG old_octets, CK_UTF8CHAR_PTR new_pin,
              CK_ULONG new_octets) {
  const auto entry = TRY(Module::enter(handle));
  const Token& token = *TRY(entry.token());
  if (!entry->may_write()) return refuse(CKR_SESSION_READ_ONLY);
  if (token.officer_logged_in) return refuse(CKR_FUNCTION_NOT_SUPPORTED, "the card's PUK does not change");
  const SecretBytes before = TRY(pin_in(old_pin, old_octets));
  const SecretBytes after = TRY(pin_in(new_pin, new_octets));
  return entry.slot().change_pin(entry->index(), before, after);
}

// By the officer: whoever holds the PUK sets a new PIN, blocked or not.
Done C_InitPIN(CK_SESSION_HANDLE handle, CK_UTF8CHAR_PTR pin, CK_ULONG pin_octets) {
  const auto entry = TRY(Module::enter(handle));
  const Token& token = *TRY(entry.token());
  if (!entry->may_write()) return refuse(CKR_SESSION_READ_ONLY);
  if (!token.officer_logged_in) return refuse(CKR_USER_NOT_LOGGED_IN);
  const SecretBytes secret = TRY(pin_in(pin, pin_octets));
  return entry.slot().unblock_pin(entry->index(), secret);
}

Done C_InitToken(CK_SLOT_ID id, CK_UTF8CHAR_PTR pin, CK_ULONG, CK_UTF8CHAR_PTR label) {
  const auto module = TRY(Module::get());
  TRY(need(pin));
  TRY(need(label));
  const auto place = TRY(module->slot(id));
  const std::lock_guard lock(place.slot->mutex());
  TRY(place.slot->token(place.index));
  if (!module->sessions_with(*place.slot, place.index).empty()) return refuse(CKR_SESSION_EXISTS);
  return refuse(CKR_TOKEN_WRITE_PROTECTED, "a card is personalised by its issuer: karta card issue");
}

}  // namespace karta::pkcs11::call
