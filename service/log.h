// The log of a long-running program: lines for its operator on standard error. Never a secret, never a personal datum;
// what must be provable goes into the registry's event and access logs, not here.
#pragma once

#include <string_view>

#include "base/result.h"

namespace karta::service {

enum class LogLevel : std::uint8_t { debug, info, warning, error };
/// "debug", "info", "warning", "error"
Result<LogLevel> parse_log_level(std::string_view name);

struct LogOptions {
  LogLevel level = LogLevel::info;
  /// Lines begin with "<6>" and the like (sd-daemon(3)) and bear no time: the journal has one.
  bool for_journal = false;
};
void set_up_log(const LogOptions& options);

/// One line; control characters are shown as escapes, so that nobody's input makes two of it.
void log(LogLevel level, std::string_view text);
inline void log_info(std::string_view text) { log(LogLevel::info, text); }
inline void log_warning(std::string_view text) { log(LogLevel::warning, text); }
inline void log_error(std::string_view text) { log(LogLevel::error, text); }
/// What went wrong and what to do next: "WHAT: message (hint)".
void log_error(std::string_view what, const Error& error);

}  // namespace karta::service
