// calls.h: one C++ function behind every C_ function, declared from the one list. Same arguments; failures are values.
#pragma once

#include "pkcs11/fault.h"
#include "pkcs11/functions.h"

namespace karta::pkcs11::call {

template <class Pointer>
struct CallOf;
template <class... Arguments>
struct CallOf<CK_RV (*)(Arguments...)> {
  using Type = Done(Arguments...);
};

#define DECLARE(name, arity) CallOf<CK_##name>::Type name;
KARTA_PKCS11_FUNCTIONS(DECLARE)
#undef DECLARE

}  // namespace karta::pkcs11::call
