// §5.6: sessions and logins; §5.5: PINs.
#include "pkcs11/calls.h"
#include "pkcs11/operation.h"

namespace karta::pkcs11::call {
namespace {

// Longer than any PIN or PUK: refused before it is looked at.
constexpr CK_ULONG kLongestPin = 64;

Outcome<SecretBytes> pin_in(const CK_UTF8CHAR* pin, CK_ULONG count) {
  if (pin == nullptr) return refuse(CKR_ARGUMENTS_BAD, "no PIN given");
  if (count == 0 || count > kLongestPin) return refuse(CKR_PIN_LEN_RANGE);
  return SecretBytes::copy_of(ByteView(pin, count));
}

// A PIN in a form the card would not even look at was wrong all the same, and costs no try.
Done wrong_rather_than_invalid(Done done) {
  if (!done && (done.error().rv == CKR_PIN_INVALID || done.error().rv == CKR_PIN_LEN_RANGE)) {
    return refuse(CKR_PIN_INCORRECT, done.error().message);
  }
  return done;
}

// §5.6.8: without a PIN in the call, the holder types it at the reader, where the reader can.
enum class AtPad : std::uint8_t { present, change };
Done need_pad(const Module::Entry& entry, AtPad what) {
  const card::CardConnection::PinPad pad = TRY(entry.slot().pad());
  if (what == AtPad::present ? pad.verify : pad.modify) return {};
  return refuse(CKR_ARGUMENTS_BAD, "no PIN given, and no PIN pad to ask at");
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

namespace {

// A context-specific login: for the one operation that waits for it.
Done log_in_to_use(const Module::Entry& entry, KeyOperation& waiting, const CK_UTF8CHAR* pin, CK_ULONG pin_octets) {
  if (pin == nullptr) {
    // Typed in the same transaction as the signature, so that no right lies open in between.
    TRY(need_pad(entry, AtPad::present));
    waiting.pin.reset();
    waiting.pin_at_pad = true;
  } else {
    auto secret = pin_in(pin, pin_octets);
    if (!secret) return wrong_rather_than_invalid(tl::unexpected<Fault>(secret.error()));
    TRY(wrong_rather_than_invalid(entry.slot().check_pin(entry->index(), *secret)));
    waiting.pin.emplace(std::move(*secret));
  }
  entry->login_pin.reset();
  entry->login_at_pad = false;
  return {};
}

Done log_in_user(const Module::Entry& entry, const CK_UTF8CHAR* pin, CK_ULONG pin_octets) {
  if (pin == nullptr) TRY(need_pad(entry, AtPad::present));
  if (!TRY(entry.slot().pin_set(entry->index()))) return refuse(CKR_USER_PIN_NOT_INITIALIZED);
  if (pin == nullptr) {
    TRY(wrong_rather_than_invalid(entry.slot().log_in_by_pad(entry->index())));
    entry->login_at_pad = TRY(entry.token())->per_signature;
    return {};
  }
  const auto secret = pin_in(pin, pin_octets);
  if (!secret) return wrong_rather_than_invalid(tl::unexpected<Fault>(secret.error()));
  TRY(wrong_rather_than_invalid(entry.slot().log_in(entry->index(), *secret)));
  if (TRY(entry.token())->per_signature) entry->login_pin = secret->clone();
  return {};
}

// The officer is whoever holds the PUK.
Done log_in_officer(const Module::Entry& entry, const CK_UTF8CHAR* pin, CK_ULONG pin_octets) {
  for (const auto& session : entry.module->sessions_with(entry.slot(), entry->index())) {
    if (!session->may_write()) return refuse(CKR_SESSION_READ_ONLY_EXISTS);
  }
  if (pin == nullptr) {
    TRY(need_pad(entry, AtPad::change));
    return entry.slot().log_in_officer_by_pad(entry->index());
  }
  const auto secret = pin_in(pin, pin_octets);
  if (!secret) return wrong_rather_than_invalid(tl::unexpected<Fault>(secret.error()));
  return entry.slot().log_in_officer(entry->index(), *secret);
}

}  // namespace

Done C_Login(CK_SESSION_HANDLE handle, CK_USER_TYPE user, CK_UTF8CHAR_PTR pin, CK_ULONG pin_octets) {
  const auto entry = TRY(Module::enter(handle));
  Token& token = *TRY(entry.token());
  if (user == CKU_CONTEXT_SPECIFIC) {
    KeyOperation* waiting = nullptr;
    for (auto* const operation : {&entry->sign, &entry->decrypt}) {
      if (*operation && (*operation)->key->flag(CKA_ALWAYS_AUTHENTICATE)) waiting = &**operation;
    }
    if (waiting == nullptr) return refuse(CKR_OPERATION_NOT_INITIALIZED);
    return log_in_to_use(entry, *waiting, pin, pin_octets);
  }
  if (user != CKU_USER && user != CKU_SO) return refuse(CKR_USER_TYPE_INVALID);
  if (user == CKU_USER ? token.user_logged_in : token.officer_logged_in) return refuse(CKR_USER_ALREADY_LOGGED_IN);
  if (token.user_logged_in || token.officer_logged_in) return refuse(CKR_USER_ANOTHER_ALREADY_LOGGED_IN);
  TRY(user == CKU_USER ? log_in_user(entry, pin, pin_octets) : log_in_officer(entry, pin, pin_octets));
  Module::log_out_at_exit();
  return {};
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
    session->login_at_pad = false;
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
  if (token.officer_logged_in) return refuse(CKR_TOKEN_WRITE_PROTECTED, "the card's PUK does not change");
  if (old_pin == nullptr && new_pin == nullptr) {
    TRY(need_pad(entry, AtPad::change));
    return entry.slot().change_pin_by_pad(entry->index());
  }
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
  // PUK and new PIN go to the card in one command: both come from the program, or both from the reader.
  if ((pin == nullptr) != token.officer_by_pad) {
    return refuse(CKR_ARGUMENTS_BAD, "the PUK and the new PIN are typed at the reader, or neither is");
  }
  if (pin == nullptr) return entry.slot().unblock_pin_by_pad(entry->index());
  const SecretBytes secret = TRY(pin_in(pin, pin_octets));
  return entry.slot().unblock_pin(entry->index(), secret);
}

// §5.5.7: a card that is not an issued one is wiped and begun anew; the officer's PIN becomes its PUK.
Done C_InitToken(CK_SLOT_ID id, CK_UTF8CHAR_PTR pin, CK_ULONG pin_octets, CK_UTF8CHAR_PTR label) {
  const auto module = TRY(Module::get());
  TRY(need(pin));
  TRY(need(label));
  const auto place = TRY(module->slot(id));
  const std::lock_guard lock(place.slot->mutex());
  TRY(place.slot->token(place.index));
  // Its other token goes with it.
  if (!module->sessions_with(*place.slot, {}).empty()) return refuse(CKR_SESSION_EXISTS);
  const auto secret = pin_in(pin, pin_octets);
  if (!secret) return wrong_rather_than_invalid(tl::unexpected<Fault>(secret.error()));
  std::string_view name(reinterpret_cast<const char*>(label), sizeof(CK_TOKEN_INFO::label));
  while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
  return wrong_rather_than_invalid(place.slot->begin_anew(place.index, name, *secret));
}

}  // namespace karta::pkcs11::call
