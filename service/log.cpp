#include "service/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>

namespace karta::service {
namespace {

struct LevelRow {
  LogLevel level;
  std::string_view name;
  spdlog::level::level_enum library;
  std::string_view journal;  // sd-daemon(3)
};
constexpr auto kLevels = std::to_array<LevelRow>({
    {LogLevel::debug, "debug", spdlog::level::debug, "<7>"},
    {LogLevel::info, "info", spdlog::level::info, "<6>"},
    {LogLevel::warning, "warning", spdlog::level::warn, "<4>"},
    {LogLevel::error, "error", spdlog::level::err, "<3>"},
});
constexpr const LevelRow& row_of(LogLevel level) { return kLevels[static_cast<std::size_t>(level)]; }

std::atomic<bool> for_journal{false};  // set anew with a new configuration, while others log

spdlog::logger& logger() {
  static const auto made = [] {
    auto out = std::make_shared<spdlog::logger>("karta", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    out->set_pattern("%Y-%m-%dT%H:%M:%SZ %l %v", spdlog::pattern_time_type::utc);
    out->flush_on(spdlog::level::debug);
    return out;
  }();
  return *made;
}

std::string on_one_line(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto code = static_cast<unsigned char>(c);
    if (code >= 0x20 && code != 0x7F) {
      out += c;
    } else {
      constexpr std::string_view kDigits = "0123456789abcdef";
      out += {'\\', 'x', kDigits[code >> 4], kDigits[code & 15]};
    }
  }
  return out;
}

}  // namespace

Result<LogLevel> parse_log_level(std::string_view name) {
  for (const LevelRow& row : kLevels) {
    if (row.name == name) return row.level;
  }
  return fail(ErrorKind::configuration, "\"" + std::string(name) + "\" is none of debug, info, warning, error");
}

void set_up_log(const LogOptions& options) {
  for_journal = options.for_journal;
  logger().set_level(row_of(options.level).library);
  if (for_journal) logger().set_pattern("%v");
}

void log(LogLevel level, std::string_view text) {
  const LevelRow& row = row_of(level);
  if (!logger().should_log(row.library)) return;
  logger().log(row.library, (for_journal ? std::string(row.journal) : std::string()) + on_one_line(text));
}

void log_error(std::string_view what, const Error& error) {
  std::string text = std::string(what) + ": " + error.message;
  if (!error.next_step().empty()) text += " (" + std::string(error.next_step()) + ")";
  log_error(text);
}

}  // namespace karta::service
