// Clock: where the time comes from. Everything that dates something takes one, so that a test brings its own.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace karta {

/// Whole seconds UTC since 1970-01-01 (what certificates, signatures and the registry store).
using Time = std::chrono::sys_seconds;

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

/// The machine's clock.
class SystemClock final : public Clock {
 public:
  Time now() const override;
};

/// Stands still until told otherwise.
class FixedClock final : public Clock {
 public:
  explicit FixedClock(Time at) : at_(at) {}
  Time now() const override { return at_; }
  void advance(std::chrono::seconds by) { at_ += by; }

 private:
  Time at_;
};

/// RFC 3339 in UTC: "2026-11-21T08:30:00Z".
std::string format_time(Time time);

/// Reads what format_time writes, or a bare date "2026-11-21" (midnight UTC).
Result<Time> parse_time(std::string_view text);

}  // namespace karta
