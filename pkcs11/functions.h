// The functions of PKCS #11, listed once: name and number of arguments, in the order of the function lists.
//
// The exported functions, both function lists, the names in logs and the linker's version script are made from this
// list; argument types come from the standard's header. The first part is v2.40, the second what v3.0 added.
#pragma once

// clang-format off
#define KARTA_PKCS11_FUNCTIONS_2_40(X) \
  X(C_Initialize, 1) \
  X(C_Finalize, 1) \
  X(C_GetInfo, 1) \
  X(C_GetFunctionList, 1) \
  X(C_GetSlotList, 3) \
  X(C_GetSlotInfo, 2) \
  X(C_GetTokenInfo, 2) \
  X(C_GetMechanismList, 3) \
  X(C_GetMechanismInfo, 3) \
  X(C_InitToken, 4) \
  X(C_InitPIN, 3) \
  X(C_SetPIN, 5) \
  X(C_OpenSession, 5) \
  X(C_CloseSession, 1) \
  X(C_CloseAllSessions, 1) \
  X(C_GetSessionInfo, 2) \
  X(C_GetOperationState, 3) \
  X(C_SetOperationState, 5) \
  X(C_Login, 4) \
  X(C_Logout, 1) \
  X(C_CreateObject, 4) \
  X(C_CopyObject, 5) \
  X(C_DestroyObject, 2) \
  X(C_GetObjectSize, 3) \
  X(C_GetAttributeValue, 4) \
  X(C_SetAttributeValue, 4) \
  X(C_FindObjectsInit, 3) \
  X(C_FindObjects, 4) \
  X(C_FindObjectsFinal, 1) \
  X(C_EncryptInit, 3) \
  X(C_Encrypt, 5) \
  X(C_EncryptUpdate, 5) \
  X(C_EncryptFinal, 3) \
  X(C_DecryptInit, 3) \
  X(C_Decrypt, 5) \
  X(C_DecryptUpdate, 5) \
  X(C_DecryptFinal, 3) \
  X(C_DigestInit, 2) \
  X(C_Digest, 5) \
  X(C_DigestUpdate, 3) \
  X(C_DigestKey, 2) \
  X(C_DigestFinal, 3) \
  X(C_SignInit, 3) \
  X(C_Sign, 5) \
  X(C_SignUpdate, 3) \
  X(C_SignFinal, 3) \
  X(C_SignRecoverInit, 3) \
  X(C_SignRecover, 5) \
  X(C_VerifyInit, 3) \
  X(C_Verify, 5) \
  X(C_VerifyUpdate, 3) \
  X(C_VerifyFinal, 3) \
  X(C_VerifyRecoverInit, 3) \
  X(C_VerifyRecover, 5) \
  X(C_DigestEncryptUpdate, 5) \
  X(C_DecryptDigestUpdate, 5) \
  X(C_SignEncryptUpdate, 5) \
  X(C_DecryptVerifyUpdate, 5) \
  X(C_GenerateKey, 5) \
  X(C_GenerateKeyPair, 8) \
  X(C_WrapKey, 6) \
  X(C_UnwrapKey, 8) \
  X(C_DeriveKey, 6) \
  X(C_SeedRandom, 3) \
  X(C_GenerateRandom, 3) \
  X(C_GetFunctionStatus, 1) \
  X(C_CancelFunction, 1) \
  X(C_WaitForSlotEvent, 3)

#define KARTA_PKCS11_FUNCTIONS_3_0(X) \
  X(C_GetInterfaceList, 2) \
  X(C_GetInterface, 4) \
  X(C_LoginUser, 6) \
  X(C_SessionCancel, 2) \
  X(C_MessageEncryptInit, 3) \
  X(C_EncryptMessage, 9) \
  X(C_EncryptMessageBegin, 5) \
  X(C_EncryptMessageNext, 8) \
  X(C_MessageEncryptFinal, 1) \
  X(C_MessageDecryptInit, 3) \
  X(C_DecryptMessage, 9) \
  X(C_DecryptMessageBegin, 5) \
  X(C_DecryptMessageNext, 8) \
  X(C_MessageDecryptFinal, 1) \
  X(C_MessageSignInit, 3) \
  X(C_SignMessage, 7) \
  X(C_SignMessageBegin, 3) \
  X(C_SignMessageNext, 7) \
  X(C_MessageSignFinal, 1) \
  X(C_MessageVerifyInit, 3) \
  X(C_VerifyMessage, 7) \
  X(C_VerifyMessageBegin, 3) \
  X(C_VerifyMessageNext, 7) \
  X(C_MessageVerifyFinal, 1)

// clang-format on
#define KARTA_PKCS11_FUNCTIONS(X) \
  KARTA_PKCS11_FUNCTIONS_2_40(X)  \
  KARTA_PKCS11_FUNCTIONS_3_0(X)
