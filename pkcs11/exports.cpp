// The C functions programs call, and the tables they find them in: all made from the one list.
#include <algorithm>
#include <cstring>
#include <tuple>

#include "pkcs11/calls.h"
#include "pkcs11/guard.h"

#define KARTA_EXPORT __attribute__((visibility("default")))

namespace karta::pkcs11 {
namespace {

template <class Pointer>
struct Signature;
template <class... Arguments>
struct Signature<CK_RV (*)(Arguments...)> {
  static constexpr std::size_t kArity = sizeof...(Arguments);
  template <std::size_t n>
  using At = std::tuple_element_t<n, std::tuple<Arguments...>>;
};

}  // namespace
}  // namespace karta::pkcs11

// Parameters a0, a1... of the types the standard's header declares, and the same as arguments.
#define P(name, n) karta::pkcs11::Signature<CK_##name>::At<n> a##n
#define PARAMETERS_1(name) P(name, 0)
#define PARAMETERS_2(name) PARAMETERS_1(name), P(name, 1)
#define PARAMETERS_3(name) PARAMETERS_2(name), P(name, 2)
#define PARAMETERS_4(name) PARAMETERS_3(name), P(name, 3)
#define PARAMETERS_5(name) PARAMETERS_4(name), P(name, 4)
#define PARAMETERS_6(name) PARAMETERS_5(name), P(name, 5)
#define PARAMETERS_7(name) PARAMETERS_6(name), P(name, 6)
#define PARAMETERS_8(name) PARAMETERS_7(name), P(name, 7)
#define PARAMETERS_9(name) PARAMETERS_8(name), P(name, 8)
#define ARGUMENTS_1 a0
#define ARGUMENTS_2 ARGUMENTS_1, a1
#define ARGUMENTS_3 ARGUMENTS_2, a2
#define ARGUMENTS_4 ARGUMENTS_3, a3
#define ARGUMENTS_5 ARGUMENTS_4, a4
#define ARGUMENTS_6 ARGUMENTS_5, a5
#define ARGUMENTS_7 ARGUMENTS_6, a6
#define ARGUMENTS_8 ARGUMENTS_7, a7
#define ARGUMENTS_9 ARGUMENTS_8, a8

#define EXPORT(name, arity)                                                              \
  static_assert(karta::pkcs11::Signature<CK_##name>::kArity == arity);                   \
  extern "C" KARTA_EXPORT CK_RV name(PARAMETERS_##arity(name)) {                         \
    return karta::pkcs11::guarded(#name, &karta::pkcs11::call::name, ARGUMENTS_##arity); \
  }
KARTA_PKCS11_FUNCTIONS(EXPORT)

namespace karta::pkcs11 {
namespace {

#define ENTRY(name, arity) ::name,
CK_FUNCTION_LIST kList240 = {{2, 40}, KARTA_PKCS11_FUNCTIONS_2_40(ENTRY)};
CK_FUNCTION_LIST_3_0 kList30 = {{3, 0}, KARTA_PKCS11_FUNCTIONS(ENTRY)};
#undef ENTRY

// PKCS #11 v3.0 §5.4.5: the newest first; fork() gives the child a module to be initialised anew.
CK_CHAR kName[] = "PKCS 11";
CK_INTERFACE kInterfaces[] = {
    {kName, &kList30, CKF_INTERFACE_FORK_SAFE},
    {kName, &kList240, CKF_INTERFACE_FORK_SAFE},
};

}  // namespace

// These may be called before C_Initialize.
namespace call {

Done C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list) {
  TRY(need(list));
  *list = &kList240;
  return {};
}

Done C_GetInterfaceList(CK_INTERFACE_PTR list, CK_ULONG_PTR count) {
  TRY(need(count));
  const CK_ULONG room = *count;
  *count = std::size(kInterfaces);
  if (list == nullptr) return {};
  if (room < std::size(kInterfaces)) return refuse(CKR_BUFFER_TOO_SMALL);
  std::copy(std::begin(kInterfaces), std::end(kInterfaces), list);
  return {};
}

Done C_GetInterface(CK_UTF8CHAR_PTR name, CK_VERSION_PTR version, CK_INTERFACE_PTR_PTR found, CK_FLAGS flags) {
  TRY(need(found));
  for (CK_INTERFACE& candidate : kInterfaces) {
    if (name != nullptr && std::strcmp(reinterpret_cast<const char*>(name), reinterpret_cast<const char*>(kName)) != 0)
      continue;
    const auto* const offered = static_cast<const CK_VERSION*>(candidate.pFunctionList);
    if (version != nullptr && (version->major != offered->major || version->minor != offered->minor)) continue;
    if ((candidate.flags & flags) != flags) continue;
    *found = &candidate;
    return {};
  }
  return refuse(CKR_ARGUMENTS_BAD, "no such interface");
}

}  // namespace call
}  // namespace karta::pkcs11
