#include "cli/console.h"

#include <unistd.h>

#include <chrono>
#include <cstdio>

namespace karta::cli {
namespace {

std::int64_t steady_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void write_error_line(std::string_view start, std::string_view text) {
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

bool speaks_to_terminal() { return isatty(STDERR_FILENO) == 1; }

Progress::Progress(std::string noun, std::uint64_t total)
    : noun_(std::move(noun)), total_(total), started_ns_(steady_ns()), drawn_ns_(started_ns_) {}

Progress::~Progress() {
  if (!drawn_) return;
  draw();
  if (speaks_to_terminal()) std::fputc('\n', stderr);
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
  const char* const start = speaks_to_terminal() ? "\r\033[K" : "";
  const char* const end = speaks_to_terminal() ? "" : "\n";
  if (total_ != 0 && rate > 0) {
    const double left = done_ < total_ ? static_cast<double>(total_ - done_) / rate : 0;
    std::fprintf(stderr, "%s%llu of %llu %s, %.0f a second, %.0f s left%s", start,
                 static_cast<unsigned long long>(done_), static_cast<unsigned long long>(total_), noun_.c_str(), rate,
                 left, end);
  } else {
    std::fprintf(stderr, "%s%llu %s, %.0f a second%s", start, static_cast<unsigned long long>(done_), noun_.c_str(),
                 rate, end);
  }
  std::fflush(stderr);
}

}  // namespace karta::cli
