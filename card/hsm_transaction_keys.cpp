#include "card/hsm_transaction_keys.h"

#include <dlfcn.h>

#define CK_PTR *
#define NULL_PTR nullptr
#define CK_DEFINE_FUNCTION(type, name) type name
#define CK_DECLARE_FUNCTION(type, name) type name
#define CK_DECLARE_FUNCTION_POINTER(type, name) type(*name)
#define CK_CALLBACK_FUNCTION(type, name) type(*name)
#include <pkcs11.h>

#include <cstring>

namespace karta::card {
namespace {

constexpr CK_ULONG kMostSlots = 256;

tl::unexpected<Error> failed(const char* what, CK_RV rv) {
  switch (rv) {
    case CKR_PIN_INCORRECT:
    case CKR_PIN_LEN_RANGE:
      return fail(ErrorKind::wrong_pin, "the token's PIN is wrong");
    case CKR_PIN_LOCKED:
      return fail(ErrorKind::pin_blocked, "the token's PIN is blocked");
    case CKR_MECHANISM_INVALID:
      return fail(ErrorKind::unsupported, "the token does not make AES-CMAC", "keep the masters in a security module");
    default:
      return fail(ErrorKind::io, std::string("the token: ") + what + " failed (" + std::to_string(rv) + ")");
  }
}

}  // namespace

class HsmTransactionKeys::Session {
 public:
  ~Session() {
    if (functions_ != nullptr && open_) functions_->C_CloseSession(session_);
    if (functions_ != nullptr && initialized_) functions_->C_Finalize(nullptr);
    if (module_ != nullptr) ::dlclose(module_);
  }

  Status open(const crypto::Pkcs11Uri& uri, const SecretBytes& pin) {
    module_ = ::dlopen(uri.module_path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (module_ == nullptr) {
      return fail(ErrorKind::not_found, "cannot load the PKCS #11 module \"" + uri.module_path + "\"",
                  "module-path= in the URI names the device's shared library");
    }
    const auto list = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(module_, "C_GetFunctionList"));
    if (list == nullptr || list(&functions_) != CKR_OK || functions_ == nullptr) {
      functions_ = nullptr;
      return fail(ErrorKind::not_found, "\"" + uri.module_path + "\" is no PKCS #11 module");
    }
    const CK_RV begun = functions_->C_Initialize(nullptr);
    if (begun != CKR_OK && begun != CKR_CRYPTOKI_ALREADY_INITIALIZED) return failed("C_Initialize", begun);
    initialized_ = begun == CKR_OK;
    const CK_SLOT_ID slot = TRY(find_slot(uri));
    if (const CK_RV rv = functions_->C_OpenSession(slot, CKF_SERIAL_SESSION, nullptr, nullptr, &session_);
        rv != CKR_OK) {
      return failed("C_OpenSession", rv);
    }
    open_ = true;
    SecretBytes copy = pin.clone();
    const MutableByteView digits = copy.expose_secret_mutable();
    const CK_RV in = functions_->C_Login(session_, CKU_USER, digits.data(), digits.size());
    if (in != CKR_OK && in != CKR_USER_ALREADY_LOGGED_IN) return failed("C_Login", in);
    return {};
  }

  Result<CK_OBJECT_HANDLE> find_key(const std::string& label) {
    CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
    CK_KEY_TYPE aes = CKK_AES;
    std::string name = label;
    CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &secret, sizeof secret},
                             {CKA_KEY_TYPE, &aes, sizeof aes},
                             {CKA_LABEL, name.data(), static_cast<CK_ULONG>(name.size())}};
    if (const CK_RV rv = functions_->C_FindObjectsInit(session_, wanted, std::size(wanted)); rv != CKR_OK) {
      return failed("C_FindObjectsInit", rv);
    }
    CK_OBJECT_HANDLE found[2] = {};
    CK_ULONG count = 0;
    const CK_RV rv = functions_->C_FindObjects(session_, found, 2, &count);
    functions_->C_FindObjectsFinal(session_);
    if (rv != CKR_OK) return failed("C_FindObjects", rv);
    if (count != 1) {
      return fail(
          count == 0 ? ErrorKind::not_found : ErrorKind::usage,
          "the token holds " + std::string(count == 0 ? "no" : "several") + " AES keys labelled \"" + label + "\"");
    }
    return found[0];
  }

  Result<std::size_t> key_octets(CK_OBJECT_HANDLE key) {
    CK_ULONG octets = 0;
    CK_ATTRIBUTE length{CKA_VALUE_LEN, &octets, sizeof octets};
    const CK_RV rv = functions_->C_GetAttributeValue(session_, key, &length, 1);
    if (rv != CKR_OK) return failed("C_GetAttributeValue", rv);
    if (octets != 16 && octets != 32) return fail(ErrorKind::unsupported, "a master key is of 128 or 256 bits");
    return std::size_t{octets};
  }

  Status cmac(CK_OBJECT_HANDLE key, Bytes message, MutableByteView out) {
    CK_MECHANISM mechanism{CKM_AES_CMAC, nullptr, 0};
    if (const CK_RV rv = functions_->C_SignInit(session_, &mechanism, key); rv != CKR_OK) {
      return failed("C_SignInit", rv);
    }
    CK_ULONG size = out.size();
    const CK_RV rv = functions_->C_Sign(session_, message.data(), message.size(), out.data(), &size);
    if (rv != CKR_OK || size != out.size()) return failed("C_Sign", rv);
    return {};
  }

 private:
  Result<CK_SLOT_ID> find_slot(const crypto::Pkcs11Uri& uri) {
    CK_SLOT_ID slots[kMostSlots];
    CK_ULONG count = kMostSlots;
    if (const CK_RV rv = functions_->C_GetSlotList(CK_TRUE, slots, &count); rv != CKR_OK) {
      return failed("C_GetSlotList", rv);
    }
    for (CK_ULONG i = 0; i < count; ++i) {
      CK_TOKEN_INFO info = {};
      if (functions_->C_GetTokenInfo(slots[i], &info) != CKR_OK) continue;
      std::string label(reinterpret_cast<const char*>(info.label), sizeof info.label);
      label.erase(label.find_last_not_of(' ') + 1);
      if ((uri.token.empty() || uri.token == label) && (!uri.slot_id || *uri.slot_id == slots[i])) return slots[i];
    }
    return fail(ErrorKind::not_found, "no token of that name is present");
  }

  void* module_ = nullptr;
  CK_FUNCTION_LIST* functions_ = nullptr;
  CK_SESSION_HANDLE session_ = 0;
  bool initialized_ = false, open_ = false;
};

HsmTransactionKeys::HsmTransactionKeys(std::unique_ptr<Session> session, std::string application, RandomSource& random)
    : DerivingTransactionKeys(random), session_(std::move(session)), application_(std::move(application)) {}
HsmTransactionKeys::~HsmTransactionKeys() = default;

Result<std::unique_ptr<HsmTransactionKeys>> HsmTransactionKeys::open(const crypto::Pkcs11Uri& uri,
                                                                     std::string_view application,
                                                                     const SecretBytes& pin, RandomSource& random) {
  auto session = std::make_unique<Session>();
  TRY(session->open(uri, pin));
  return std::unique_ptr<HsmTransactionKeys>(
      new HsmTransactionKeys(std::move(session), std::string(application), random));
}

// KDF(master; "KTXD" || kind || serial), block by block inside the token.
Result<SecretBytes> HsmTransactionKeys::derive(LedgerKey kind, ByteView serial) {
  const auto master = TRY(session_->find_key(application_ + "-" + std::string(name_of(kind))));
  const std::size_t octets = TRY(session_->key_octets(master));
  SecretBytes key(octets);
  for (std::size_t at = 0; at < octets; at += crypto::kAesBlock) {
    const auto block = static_cast<std::uint8_t>(at / crypto::kAesBlock + 1);
    TRY(session_->cmac(master, concat({Bytes{block}, ledger_diversification(kind, serial)}),
                       key.expose_secret_mutable().subspan(at, crypto::kAesBlock)));
  }
  return key;
}

}  // namespace karta::card
