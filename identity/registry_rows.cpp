#include "identity/registry_rows.h"

#include "identity/registry_impl.h"
#include "identity/utf8.h"

namespace karta::identity {

namespace detail {

Status check_statement(std::string_view text, const char* what, bool required) {
  if (required && trim(text).empty()) {
    return fail(ErrorKind::usage, std::string(what) + " is not stated", "say who, what for and on which case");
  }
  if (characters_of(text) > kStatementCharacters) {
    return fail(ErrorKind::limit,
                std::string(what) + " is longer than " + std::to_string(kStatementCharacters) + " characters");
  }
  if (find_invalid_utf8(text)) return fail(ErrorKind::malformed, std::string(what) + " is not UTF-8");
  return {};
}

tl::unexpected<Error> no_citizen(CitizenId id) {
  return fail(ErrorKind::not_found, "there is no citizen \"" + format_id(id) + "\"");
}

tl::unexpected<Error> damaged(const char* what) {
  return fail(ErrorKind::malformed, std::string("registry holds a ") + what + " that cannot be read",
              "restore the registry from a backup");
}

}  // namespace detail

Status check_purpose(const Purpose& purpose) {
  TRY(detail::check_statement(purpose.actor, "actor", true));
  TRY(detail::check_statement(purpose.purpose, "purpose", true));
  TRY(detail::check_statement(purpose.case_id, "case", true));
  return detail::check_statement(purpose.legal_basis, "legal basis", purpose.disclose_at.has_value());
}

Status check_cause(const Cause& cause) {
  TRY(detail::check_statement(cause.actor, "actor", true));
  return detail::check_statement(cause.reason, "reason", false);
}

}  // namespace karta::identity
