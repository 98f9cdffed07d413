#include "cli/console.h"

#include <unistd.h>

#include <chrono>
#include <cmath>
#include <cstdio>

namespace karta::cli {
namespace {

std::int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

bool line_is_drawn = false;  // an unfinished line of progress stands on the terminal

void write_error_line(std::string_view start, std::string_view text) {
  clear_line();
  std::fflush(stdout);  // what was printed before stays before, also where both go to one file
  std::fprintf(stderr, "%.*s%.*s\n", static_cast<int>(start.size()), start.data(), static_cast<int>(text.size()),
               text.data());
}

}  // namespace

int report(const Error& error) { return report("", error); }

int report(std::string_view subject, const Error& error) {
  const std::string start = subject.empty() ? "error: " : "error: \"" + std::string(subject) + "\": ";
  write_error_line(start, error.message);
  if (!error.next_step().empty()) write_error_line("hint: ", error.next_step());
  return error.exit_code();
}

void say(std::string_view text) { write_error_line("", text); }
void warn(std::string_view text) { write_error_line("warning: ", text); }

void print(std::string_view line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

void draw_line(std::string_view text) {
  line_is_drawn = true;
  std::fprintf(stderr, "\r\033[K%.*s", static_cast<int>(text.size()), text.data());
  std::fflush(stderr);
}

void clear_line() {
  if (!line_is_drawn) return;
  line_is_drawn = false;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

bool speaks_to_terminal() { return isatty(STDERR_FILENO) == 1; }

Progress::Progress(std::string noun, std::uint64_t total)
    : noun_(std::move(noun)), total_(total), started_ns_(steady_ns()), drawn_ns_(started_ns_) {}

Progress::~Progress() {
  if (!drawn_) return;
  draw();
  if (!speaks_to_terminal()) return;
  line_is_drawn = false;
  std::fputc('\n', stderr);
}

void Progress::at(std::uint64_t done) {
  done_ = done;
  // Five times a second on a terminal, every ten seconds in a log.
  const std::int64_t every = speaks_to_terminal() ? 200'000'000 : 10'000'000'000;
  if (steady_ns() - drawn_ns_ >= every) draw();
}

void Progress::draw() {
  drawn_ = true;
  drawn_ns_ = steady_ns();
  const double seconds = static_cast<double>(drawn_ns_ - started_ns_) / 1e9;
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  std::string text = std::to_string(done_);
  if (total_ != 0) text += " of " + std::to_string(total_);
  text += " " + noun_ + ", " + std::to_string(std::llround(rate)) + " a second";
  if (total_ != 0 && rate > 0) {
    const double left = done_ < total_ ? static_cast<double>(total_ - done_) / rate : 0;
    text += ", " + std::to_string(std::llround(left)) + " s left";
  }
  if (speaks_to_terminal()) {
    draw_line(text);
  } else {
    say(text);
  }
}

}  // namespace karta::cli
