#include "tests/pkcs11_stress/module.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <mutex>
#include <utility>

namespace karta::pkcs11_stress {
namespace {

constexpr std::pair<CK_RV, const char*> names[] = {
    {CKR_OK, "CKR_OK"},
    {CKR_HOST_MEMORY, "CKR_HOST_MEMORY"},
    {CKR_SLOT_ID_INVALID, "CKR_SLOT_ID_INVALID"},
    {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR"},
    {CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED"},
    {CKR_ARGUMENTS_BAD, "CKR_ARGUMENTS_BAD"},
    {CKR_NO_EVENT, "CKR_NO_EVENT"},
    {CKR_CANT_LOCK, "CKR_CANT_LOCK"},
    {CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR"},
    {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED"},
    {CKR_FUNCTION_CANCELED, "CKR_FUNCTION_CANCELED"},
    {CKR_FUNCTION_NOT_SUPPORTED, "CKR_FUNCTION_NOT_SUPPORTED"},
    {CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID"},
    {CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID"},
    {CKR_OPERATION_ACTIVE, "CKR_OPERATION_ACTIVE"},
    {CKR_OPERATION_NOT_INITIALIZED, "CKR_OPERATION_NOT_INITIALIZED"},
    {CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT"},
    {CKR_PIN_LOCKED, "CKR_PIN_LOCKED"},
    {CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED"},
    {CKR_SESSION_COUNT, "CKR_SESSION_COUNT"},
    {CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID"},
    {CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT"},
    {CKR_TOKEN_NOT_RECOGNIZED, "CKR_TOKEN_NOT_RECOGNIZED"},
    {CKR_USER_ALREADY_LOGGED_IN, "CKR_USER_ALREADY_LOGGED_IN"},
    {CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN"},
    {CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED"},
    {CKR_CRYPTOKI_ALREADY_INITIALIZED, "CKR_CRYPTOKI_ALREADY_INITIALIZED"},
};

CK_RV create_mutex(void** mutex) {
  *mutex = new std::mutex;
  return CKR_OK;
}
CK_RV destroy_mutex(void* mutex) {
  delete static_cast<std::mutex*>(mutex);
  return CKR_OK;
}
CK_RV lock_mutex(void* mutex) {
  static_cast<std::mutex*>(mutex)->lock();
  return CKR_OK;
}
CK_RV unlock_mutex(void* mutex) {
  static_cast<std::mutex*>(mutex)->unlock();
  return CKR_OK;
}

}  // namespace

void fault(const std::string& text) {
  std::printf("FAULT: %s\n", text.c_str());
  std::fflush(stdout);
  _exit(1);
}

std::string name_of(CK_RV rv) {
  for (const auto& [value, name] : names) {
    if (value == rv) return name;
  }
  char text[24];
  std::snprintf(text, sizeof text, "CK_RV 0x%lX", rv);
  return text;
}

Module::Module(const std::string& path) : handle_(dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) fault(std::string("dlopen: ") + dlerror());
  const auto get = reinterpret_cast<CK_C_GetFunctionList>(dlsym(handle_, "C_GetFunctionList"));
  if (get == nullptr) fault("no C_GetFunctionList");
  if (const CK_RV rv = get(&functions_); rv != CKR_OK) fault("C_GetFunctionList: " + name_of(rv));
}

Module::~Module() { dlclose(handle_); }

CK_RV Module::initialize(Locking locking) const {
  CK_C_INITIALIZE_ARGS arguments{};
  if (locking == Locking::operating_system) {
    arguments.flags = CKF_OS_LOCKING_OK;
  } else {
    arguments.CreateMutex = create_mutex;
    arguments.DestroyMutex = destroy_mutex;
    arguments.LockMutex = lock_mutex;
    arguments.UnlockMutex = unlock_mutex;
  }
  return functions_->C_Initialize(&arguments);
}

std::vector<CK_SLOT_ID> Module::slots() const {
  CK_ULONG count = 0;  // asked for first: that is when a module looks at its readers
  if (functions_->C_GetSlotList(CK_TRUE, nullptr, &count) != CKR_OK) return {};
  std::vector<CK_SLOT_ID> found(count + 16);
  count = found.size();
  if (functions_->C_GetSlotList(CK_TRUE, found.data(), &count) != CKR_OK) return {};
  found.resize(count);
  return found;
}

std::optional<CK_SLOT_ID> Module::slot_of(const std::string& label) const {
  for (const CK_SLOT_ID slot : slots()) {
    CK_TOKEN_INFO info{};
    if (functions_->C_GetTokenInfo(slot, &info) != CKR_OK) continue;
    std::string its(reinterpret_cast<const char*>(info.label), sizeof info.label);
    its.erase(its.find_last_not_of(' ') + 1);
    if (its == label) return slot;
  }
  return std::nullopt;
}

CK_RV Client::open(CK_SLOT_ID slot) {
  close();
  CK_RV rv = module_->C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session_);
  if (rv != CKR_OK) {
    session_ = 0;
    return rv;
  }
  std::string pin = target_.pin;
  rv = module_->C_Login(session_, CKU_USER, reinterpret_cast<CK_UTF8CHAR_PTR>(pin.data()), pin.size());
  if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN) return rv;
  CK_OBJECT_CLASS what = CKO_PRIVATE_KEY;
  Octets id = target_.id;
  CK_ATTRIBUTE query[] = {{CKA_CLASS, &what, sizeof what}, {CKA_ID, id.data(), id.size()}};
  if (rv = module_->C_FindObjectsInit(session_, query, 2); rv != CKR_OK) return rv;
  CK_OBJECT_HANDLE key = 0;
  CK_ULONG count = 0;
  rv = module_->C_FindObjects(session_, &key, 1, &count);
  const CK_RV ended = module_->C_FindObjectsFinal(session_);
  if (rv != CKR_OK) return rv;
  if (ended != CKR_OK) return ended;
  if (count == 1) key_ = key;
  return CKR_OK;
}

CK_RV Client::sign(const Octets& text, bool in_parts, Octets& signature) {
  CK_MECHANISM mechanism{target_.rsa ? CKM_SHA256_RSA_PKCS : CKM_ECDSA_SHA256, nullptr, 0};
  CK_RV rv = module_->C_SignInit(session_, &mechanism, key_);
  if (rv != CKR_OK) return rv;
  signature.assign(512, 0);
  CK_ULONG size = signature.size();
  auto* data = const_cast<CK_BYTE_PTR>(text.data());
  if (in_parts) {
    const std::size_t half = text.size() / 2;
    if (rv = module_->C_SignUpdate(session_, data, half); rv != CKR_OK) return rv;
    if (rv = module_->C_SignUpdate(session_, data + half, text.size() - half); rv != CKR_OK) return rv;
    rv = module_->C_SignFinal(session_, signature.data(), &size);
  } else {
    rv = module_->C_Sign(session_, data, text.size(), signature.data(), &size);
  }
  signature.resize(rv == CKR_OK ? size : 0);
  return rv;
}

void Client::close() {
  if (session_ != 0) module_->C_CloseSession(session_);
  session_ = key_ = 0;
}

}  // namespace karta::pkcs11_stress
