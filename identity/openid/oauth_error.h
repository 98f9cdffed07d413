// OauthError: a refusal as OAuth 2.0 words it (RFC 6749 §5.2 and the registries that grew out of it).
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace karta::identity {

struct OauthError {
  int status = 400;
  std::string code;  ///< "invalid_request", "invalid_grant", ...
  std::string
      description;  ///< for the portal's developer, printable ASCII without quotes and backslashes; tells no secret
};

template <class T>
using OauthResult = tl::expected<T, OauthError>;
using OauthStatus = OauthResult<void>;

inline tl::unexpected<OauthError> refuse(std::string code, std::string description, int status = 400) {
  return tl::unexpected<OauthError>(OauthError{status, std::move(code), std::move(description)});
}
inline tl::unexpected<OauthError> refuse(OauthError error) { return tl::unexpected<OauthError>(std::move(error)); }

/// A fault on our side: what is wrong goes into the log, not to the client. Busy and unreachable stores are 503.
OauthError fault(const Error& error);

}  // namespace karta::identity

namespace karta::detail {
// TRY for these results.
template <class T>
T take(tl::expected<T, identity::OauthError>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace karta::detail
