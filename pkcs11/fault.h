// Fault: why a PKCS #11 call failed: the return value the program gets, and words for the log.
//
// Errors of the rooms below become Faults through one table (fault.cpp); a fault that the standard names is made here
// with its own CKR_ value.
#pragma once

#include "base/result.h"
#include "pkcs11/cryptoki.h"

namespace karta::pkcs11 {
struct Fault;
}  // namespace karta::pkcs11

namespace karta::detail {
// TRY on an Outcome.
template <class T>
T take(tl::expected<T, pkcs11::Fault>&& outcome) {
  if constexpr (!std::is_void_v<T>) return std::move(*outcome);
}
}  // namespace karta::detail

namespace karta::pkcs11 {

/// The row of `kind` in the one table from our errors to return values.
CK_RV rv_of(ErrorKind kind);

struct Fault {
  CK_RV rv = CKR_GENERAL_ERROR;
  std::string message;  ///< for the log; never a secret

  Fault(CK_RV value, std::string words = {}) : rv(value), message(std::move(words)) {}  // NOLINT: converts on purpose
  Fault(Error error) : rv(rv_of(error.kind)), message(std::move(error.message)) {}      // NOLINT
};

template <class T>
using Outcome = tl::expected<T, Fault>;
using Done = Outcome<void>;

/// `return refuse(CKR_SESSION_READ_ONLY);`
inline tl::unexpected<Fault> refuse(CK_RV rv, std::string message = {}) {
  return tl::unexpected<Fault>(Fault(rv, std::move(message)));
}

/// CKR_ARGUMENTS_BAD where a pointer is missing.
inline Done need(const void* pointer) {
  if (pointer == nullptr) return refuse(CKR_ARGUMENTS_BAD);
  return {};
}

}  // namespace karta::pkcs11
