// Result: a value or an Error, and TRY, which passes the error up.
#pragma once

#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

#include "base/error.h"

namespace karta {

template <class T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

/// The error to return: `return fail(ErrorKind::no_card, "reader \"X\" is empty");`
inline tl::unexpected<Error> fail(ErrorKind kind, std::string message, std::string hint = {}) {
  return tl::unexpected<Error>(Error{kind, std::move(message), std::move(hint)});
}
inline tl::unexpected<Error> fail(Error error) { return tl::unexpected<Error>(std::move(error)); }

namespace detail {
template <class T>
T take(tl::expected<T, Error>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace detail

/// The value of `expression` (a Result), or return its error from the enclosing function:
///   auto card = TRY(open_card(name));
///   TRY(card.select(aid));
/// A GNU statement expression: GCC and clang, the two compilers karta is built with. It must be the first thing its
/// full expression makes: temporaries built before it (an earlier argument, a half-filled aggregate) leak when it
/// returns.
#define TRY(expression) KARTA_TRY_NAMED(expression, KARTA_TRY_JOIN(try_result_, __COUNTER__))
#define KARTA_TRY_JOIN(a, b) KARTA_TRY_JOIN_EXPANDED(a, b)
#define KARTA_TRY_JOIN_EXPANDED(a, b) a##b
// The name is fresh each time, so that one TRY may stand inside another.
#define KARTA_TRY_NAMED(expression, name)                        \
  __extension__({                                                \
    auto name = (expression);                                    \
    if (!name) return ::tl::unexpected(std::move(name).error()); \
    ::karta::detail::take(std::move(name));                      \
  })

/// Ends the program: an invariant of karta itself is broken. Never for input.
[[noreturn]] void check_failed(const char* condition, const char* file, int line);
#define KARTA_CHECK(condition) ((condition) ? void(0) : ::karta::check_failed(#condition, __FILE__, __LINE__))

}  // namespace karta
