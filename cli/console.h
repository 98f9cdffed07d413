// Console: where a program speaks. Results go to standard output, everything said about the work to standard error.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace karta::cli {

/// "error: ..." and, below it, "hint: ...", on standard error. Returns the exit code (sysexits, 64 to 78).
int report(const Error& error);
/// As above with the thing at fault in front: `error: "contract.pdf": ...`.
int report(std::string_view subject, const Error& error);

/// A sentence for the person at the terminal, on standard error.
void say(std::string_view text);
void warn(std::string_view text);

/// A result: one line on standard output.
void print(std::string_view line);

/// Draws `text` over the line drawn before, on a terminal; whatever is said next takes its place.
void draw_line(std::string_view text);
void clear_line();

/// True if standard error is a terminal (progress is drawn there; elsewhere one line a step is written).
bool speaks_to_terminal();

/// Long work shows itself: count, rate and time left, redrawn on a terminal; otherwise a line now and then.
class Progress {
 public:
  /// `total` 0: not known. `noun` in the plural: "lines", "cards".
  Progress(std::string noun, std::uint64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  void at(std::uint64_t done);

 private:
  void draw();

  std::string noun_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  std::int64_t started_ns_;
  std::int64_t drawn_ns_;
  bool drawn_ = false;
};

}  // namespace karta::cli
