// §5.4, §5.5: the module, slots and tokens.
#include <algorithm>
#include <cstring>

#include "pkcs11/calls.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/operation.h"

namespace karta::pkcs11::call {
namespace {

template <std::size_t size>
void fill(CK_UTF8CHAR (&field)[size], std::string_view text) {
  std::memset(field, ' ', size);
  std::memcpy(field, text.data(), std::min(text.size(), size));
}

constexpr std::string_view kManufacturer = "karta";
constexpr CK_VERSION kVersion = {0, 1};

}  // namespace

Done C_Initialize(CK_VOID_PTR arguments) {
  if (arguments != nullptr) {
    const auto* const given = static_cast<const CK_C_INITIALIZE_ARGS*>(arguments);
    const bool some = given->CreateMutex != nullptr || given->DestroyMutex != nullptr || given->LockMutex != nullptr ||
                      given->UnlockMutex != nullptr;
    const bool all = given->CreateMutex != nullptr && given->DestroyMutex != nullptr && given->LockMutex != nullptr &&
                     given->UnlockMutex != nullptr;
    // pReserved is not looked at: p11-kit and Java hand over words for modules of their own there. Whatever locking is
    // asked for, ours is the system's: it serves programs that bring mutexes and programs that bring none. The thread
    // behind each card never calls the program, so programs that want none get it as well (GnuTLS asks so by habit).
    if (some != all) return refuse(CKR_ARGUMENTS_BAD);
  }
  return Module::initialise();
}

Done C_Finalize(CK_VOID_PTR reserved) {
  if (reserved != nullptr) return refuse(CKR_ARGUMENTS_BAD);
  return Module::finalise();
}

Done C_GetInfo(CK_INFO_PTR info) {
  TRY(Module::get());
  TRY(need(info));
  *info = {};
  info->cryptokiVersion = {3, 0};
  fill(info->manufacturerID, kManufacturer);
  fill(info->libraryDescription, "karta citizen card");
  info->libraryVersion = kVersion;
  return {};
}

Done C_GetSlotList(CK_BBOOL with_token, CK_SLOT_ID_PTR list, CK_ULONG_PTR count) {
  const auto module = TRY(Module::get());
  TRY(need(count));
  // §5.5.1: the list changes only where a program asks how long it is.
  if (list == nullptr) TRY(module->refresh());
  const std::vector<CK_SLOT_ID> ids = TRY(module->slot_ids(with_token != CK_FALSE));
  const CK_ULONG room = *count;
  *count = ids.size();
  if (list == nullptr) return {};
  if (room < ids.size()) return refuse(CKR_BUFFER_TOO_SMALL);
  std::copy(ids.begin(), ids.end(), list);
  return {};
}

Done C_GetSlotInfo(CK_SLOT_ID id, CK_SLOT_INFO_PTR info) {
  const auto module = TRY(Module::get());
  TRY(need(info));
  const auto place = TRY(module->slot(id));
  TRY(module->refresh());
  const std::lock_guard lock(place.slot->mutex());
  *info = {};
  const std::string& name = place.slot->reader();
  // What tells readers apart stands at the end of their names ("... 00 01").
  fill(info->slotDescription, name.size() <= sizeof info->slotDescription
                                  ? std::string_view(name)
                                  : std::string_view(name).substr(name.size() - sizeof info->slotDescription));
  fill(info->manufacturerID, "PC/SC");
  info->flags = CKF_REMOVABLE_DEVICE | CKF_HW_SLOT;
  if (place.slot->card_present) {
    const auto shown = place.slot->has_token(place.index);
    if (shown ? *shown : place.index == 0 && place.slot->card_present) info->flags |= CKF_TOKEN_PRESENT;
  }
  return {};
}

Done C_GetTokenInfo(CK_SLOT_ID id, CK_TOKEN_INFO_PTR info) {
  const auto module = TRY(Module::get());
  TRY(need(info));
  const auto place = TRY(module->slot(id));
  const std::lock_guard lock(place.slot->mutex());
  CK_TOKEN_INFO read = TRY(place.slot->token_info(place.index));
  CK_ULONG all = 0, writing = 0;
  for (const auto& session : module->sessions_with(*place.slot, place.index)) {
    ++all;
    writing += session->may_write() ? 1 : 0;
  }
  read.ulMaxSessionCount = read.ulMaxRwSessionCount = CK_EFFECTIVELY_INFINITE;
  read.ulSessionCount = all;
  read.ulRwSessionCount = writing;
  *info = read;
  return {};
}

Done C_GetMechanismList(CK_SLOT_ID id, CK_MECHANISM_TYPE_PTR list, CK_ULONG_PTR count) {
  const auto module = TRY(Module::get());
  TRY(need(count));
  const auto place = TRY(module->slot(id));
  const std::lock_guard lock(place.slot->mutex());
  TRY(place.slot->token(place.index));
  const auto all = mechanisms();
  const CK_ULONG room = *count;
  *count = all.size();
  if (list == nullptr) return {};
  if (room < all.size()) return refuse(CKR_BUFFER_TOO_SMALL);
  std::transform(all.begin(), all.end(), list, [](const Mechanism& row) { return row.type; });
  return {};
}

Done C_GetMechanismInfo(CK_SLOT_ID id, CK_MECHANISM_TYPE type, CK_MECHANISM_INFO_PTR info) {
  const auto module = TRY(Module::get());
  TRY(need(info));
  const auto place = TRY(module->slot(id));
  const std::lock_guard lock(place.slot->mutex());
  TRY(place.slot->token(place.index));
  const Mechanism* const row = find_mechanism(type);
  if (row == nullptr) return refuse(CKR_MECHANISM_INVALID);
  const KeySizes sizes = row->deed == Deed::digest ? KeySizes{} : key_sizes(row->family);
  *info = {sizes.least, sizes.most, row->flags};
  return {};
}

Done C_WaitForSlotEvent(CK_FLAGS flags, CK_SLOT_ID_PTR slot, CK_VOID_PTR reserved) {
  const auto module = TRY(Module::get());
  TRY(need(slot));
  if (reserved != nullptr) return refuse(CKR_ARGUMENTS_BAD);
  *slot = TRY(module->wait_for_event((flags & CKF_DONT_BLOCK) == 0));
  return {};
}

}  // namespace karta::pkcs11::call
