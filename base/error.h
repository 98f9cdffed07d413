// Error: what went wrong, said once, with the next step.
//
// Errors are values. A kind decides how a program ends (exit code) and, in the rooms above, which CK_RV or HTTP status
// a caller sees; the message says what is wrong with this input; the hint says what to do next.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace karta {

/// One row each in error_kinds() (error.cpp); never renumber: scripts see the names in --json.
enum class ErrorKind : std::uint8_t {
  usage,              ///< the call's own words are off
  malformed,          ///< input that breaks its format
  not_found,          ///< what was named is not there
  already_exists,     ///< would overwrite
  not_permitted,      ///< the caller may not
  io,                 ///< reading or writing failed
  configuration,      ///< a configuration or profile that cannot be used
  no_pcscd,           ///< the PC/SC daemon is not running
  no_reader,          ///< no reader is attached
  no_card,            ///< the reader is empty
  card_removed,       ///< the card went away in the middle
  card_busy,          ///< another program holds the card
  card_unresponsive,  ///< the card does not answer, or not in a way one can read
  card_refused,       ///< the card answered with an error status word
  card_unknown,       ///< not a card this program can use
  card_insecure,      ///< the secure channel to the card is broken: wrong checksum, lost, or somebody in between
  wrong_pin,          ///< tries are left
  pin_blocked,        ///< no tries are left
  pin_rejected,       ///< the new PIN breaks the rules
  transport_pin,      ///< the issuer's transport PIN must be changed first
  cancelled,          ///< the person said no
  untrusted,          ///< no trusted path
  invalid_signature,  ///< cryptographically wrong
  unsupported,        ///< well-formed, but not something karta does
  limit,              ///< larger, deeper or more than a named limit
  busy,               ///< try again later (a locked database, say)
  internal,           ///< a fault of karta or of a library it stands on
};

/// A row of the table every mapping starts from.
struct ErrorKindRow {
  ErrorKind kind;
  std::string_view name;  ///< stable, for --json
  int exit_code;          ///< sysexits, 64 to 78
  std::string_view hint;  ///< default next step; empty where none is generally right
};

/// The row of `kind`; always exists.
const ErrorKindRow& row_of(ErrorKind kind);

struct Error {
  ErrorKind kind = ErrorKind::internal;
  std::string message;  ///< lower case, no full stop, subject in quotes; never a secret or a personal datum
  std::string hint;     ///< next step; empty: the kind's default

  std::string_view next_step() const { return hint.empty() ? row_of(kind).hint : std::string_view(hint); }
  int exit_code() const { return row_of(kind).exit_code; }
};

}  // namespace karta
