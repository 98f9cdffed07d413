// Functions a card has no use for: there are no wrapping keys, no secret-key ciphers, no message streams. Their handles
// are checked all the same.
#include "pkcs11/calls.h"
#include "pkcs11/module.h"

namespace karta::pkcs11::call {
namespace {

template <class... Rest>
Done unsupported(CK_SESSION_HANDLE handle, Rest...) {
  TRY(Module::enter(handle));
  return refuse(CKR_FUNCTION_NOT_SUPPORTED);
}

}  // namespace

Done C_GetOperationState(CK_SESSION_HANDLE session, CK_BYTE_PTR, CK_ULONG_PTR) { return unsupported(session); }
Done C_SetOperationState(CK_SESSION_HANDLE session, CK_BYTE_PTR, CK_ULONG, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE) {
  return unsupported(session);
}
Done C_SignRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_OBJECT_HANDLE) { return unsupported(session); }
Done C_SignRecover(CK_SESSION_HANDLE session, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_VerifyRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_OBJECT_HANDLE) { return unsupported(session); }
Done C_VerifyRecover(CK_SESSION_HANDLE session, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_DigestEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_DecryptDigestUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_SignEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_DecryptVerifyUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_GenerateKey(CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_ATTRIBUTE_PTR, CK_ULONG, CK_OBJECT_HANDLE_PTR) {
  return unsupported(session);
}
Done C_WrapKey(CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_OBJECT_HANDLE, CK_OBJECT_HANDLE, CK_BYTE_PTR,
               CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_OBJECT_HANDLE, CK_BYTE_PTR, CK_ULONG, CK_ATTRIBUTE_PTR,
                 CK_ULONG, CK_OBJECT_HANDLE_PTR) {
  return unsupported(session);
}
Done C_MessageEncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_OBJECT_HANDLE) {
  return unsupported(session);
}
Done C_EncryptMessage(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG,
                      CK_BYTE_PTR, CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_EncryptMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG) {
  return unsupported(session);
}
Done C_EncryptMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR,
                          CK_ULONG_PTR, CK_FLAGS) {
  return unsupported(session);
}
Done C_MessageEncryptFinal(CK_SESSION_HANDLE session) { return unsupported(session); }
Done C_MessageDecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_OBJECT_HANDLE) {
  return unsupported(session);
}
Done C_DecryptMessage(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG,
                      CK_BYTE_PTR, CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_DecryptMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG) {
  return unsupported(session);
}
Done C_DecryptMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR,
                          CK_ULONG_PTR, CK_FLAGS) {
  return unsupported(session);
}
Done C_MessageDecryptFinal(CK_SESSION_HANDLE session) { return unsupported(session); }
Done C_MessageSignInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_OBJECT_HANDLE) { return unsupported(session); }
Done C_SignMessage(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_SignMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG) { return unsupported(session); }
Done C_SignMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR,
                       CK_ULONG_PTR) {
  return unsupported(session);
}
Done C_MessageSignFinal(CK_SESSION_HANDLE session) { return unsupported(session); }
Done C_MessageVerifyInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR, CK_OBJECT_HANDLE) { return unsupported(session); }
Done C_VerifyMessage(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG) {
  return unsupported(session);
}
Done C_VerifyMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG) { return unsupported(session); }
Done C_VerifyMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR, CK_ULONG, CK_BYTE_PTR, CK_ULONG, CK_BYTE_PTR,
                         CK_ULONG) {
  return unsupported(session);
}
Done C_MessageVerifyFinal(CK_SESSION_HANDLE session) { return unsupported(session); }

// §5.17: left from the days of parallel functions.
Done C_GetFunctionStatus(CK_SESSION_HANDLE session) {
  TRY(Module::enter(session));
  return refuse(CKR_FUNCTION_NOT_PARALLEL);
}
Done C_CancelFunction(CK_SESSION_HANDLE session) {
  TRY(Module::enter(session));
  return refuse(CKR_FUNCTION_NOT_PARALLEL);
}

}  // namespace karta::pkcs11::call
