// guard: the one place every call passes on its way out: exceptions end here, errors become CK_RV, the spy writes.
#pragma once

#include <array>
#include <new>
#include <string_view>
#include <type_traits>

#include "pkcs11/fault.h"
#include "pkcs11/spy.h"

namespace karta::pkcs11 {

/// An argument as the spy may show it: numbers as they are, pointers only as there or not.
template <class Argument>
SpyArgument shown(Argument argument) {
  if constexpr (std::is_pointer_v<Argument>) {
    return {true, argument != nullptr};
  } else {
    return {false, static_cast<CK_ULONG>(argument)};
  }
}

template <class... Arguments>
CK_RV guarded(std::string_view name, Done (*call)(Arguments...),
              std::type_identity_t<Arguments>... arguments) noexcept {
  CK_RV rv = CKR_GENERAL_ERROR;
  try {
    const Done done = call(arguments...);
    rv = done ? CKR_OK : done.error().rv;
    if (Spy* const spy = Spy::active()) {
      spy->write(name, std::array<SpyArgument, sizeof...(Arguments)>{shown(arguments)...}, rv,
                 done ? std::string_view() : std::string_view(done.error().message));
    }
  } catch (const std::bad_alloc&) {
    rv = CKR_HOST_MEMORY;
  } catch (...) {
    rv = CKR_GENERAL_ERROR;
  }
  return rv;
}

}  // namespace karta::pkcs11
