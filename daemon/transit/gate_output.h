// GateOutput: what opens the gate: an event alone, a line in a file or pipe, a program with its arguments.
//
// open() returns at once, whatever hangs behind it. An output that remembers what it opened (a file) tells after a
// crash whether the gate had opened for the last tap: then nothing is taken twice and nothing is free. One that cannot
// gives the holder the benefit of the doubt, once a crash (docs/transit.md).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace karta::daemon {

struct GateOpening {
  std::uint32_t gate = 0, number = 0;  ///< the gate, and its own running number of this opening
  Time at{};
};

/// Usable from several threads.
class GateOutput {
 public:
  virtual ~GateOutput() = default;
  /// Never waits. A failure is told: the gate has stayed closed for a trip that was taken.
  virtual Status open(const GateOpening& opening) = 0;
  /// The number of the newest opening of `gate`; nothing where it cannot be told.
  virtual std::optional<std::uint32_t> last_opened(std::uint32_t gate) const {
    (void)gate;
    return std::nullopt;
  }
};

/// Opens nothing by itself: who listens to events does.
class EventOutput final : public GateOutput {
 public:
  Status open(const GateOpening&) override { return {}; }
};

/// Appends a line "open GATE NUMBER TIME" to a file, or writes it into a pipe that somebody reads. A file grows by some
/// 40 octets an opening; what rotates it keeps the last lines.
class FileOutput final : public GateOutput {
 public:
  /// Makes the file where there is none. Fails with `io`.
  static Result<std::unique_ptr<GateOutput>> make(std::filesystem::path path);
  Status open(const GateOpening& opening) override;
  std::optional<std::uint32_t> last_opened(std::uint32_t gate) const override;

 private:
  explicit FileOutput(std::filesystem::path path) : path_(std::move(path)) {}
  std::filesystem::path path_;
};

/// Runs a program, without a shell: {gate} and {number} in its arguments are replaced. At most kMostRunning at once,
/// beyond which open() fails.
class CommandOutput final : public GateOutput {
 public:
  static constexpr int kMostRunning = 32;
  explicit CommandOutput(std::vector<std::string> arguments);
  ~CommandOutput() override;
  Status open(const GateOpening& opening) override;

 private:
  struct Reaper;
  std::vector<std::string> arguments_;
  std::unique_ptr<Reaper> reaper_;
};

}  // namespace karta::daemon
