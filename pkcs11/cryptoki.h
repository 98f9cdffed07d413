// cryptoki.h: the standard's own header (OASIS PKCS #11 v3.0, as Debian's NSS packages it) and what it lacks.
#pragma once

#define CK_PTR *
#define NULL_PTR nullptr
#define CK_DEFINE_FUNCTION(type, name) type name
#define CK_DECLARE_FUNCTION(type, name) type name
#define CK_DECLARE_FUNCTION_POINTER(type, name) type(*name)
#define CK_CALLBACK_FUNCTION(type, name) type(*name)

#include <pkcs11.h>

#include <string>

namespace karta::pkcs11 {

// PKCS #11 v3.1 §4.4.1; programs ask 3.0 modules for it too.
inline constexpr CK_ATTRIBUTE_TYPE kUniqueId = 0x04;

/// Where a CK_ULONG says "not known".
inline constexpr CK_ULONG kUnavailable = CK_UNAVAILABLE_INFORMATION;

/// "CKR_PIN_INCORRECT"; a number where it has no row.
std::string name_of_rv(CK_RV rv);

}  // namespace karta::pkcs11
