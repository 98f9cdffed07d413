// CostModel: what an exchange would take on a real chip over a real channel, from counts of what the card did.
//
// The counts come from a trace (trace.h); the time of each operation from one table of published measurements and
// stated assumptions, each row with its mark and source. Java Card figures: a native operating system should be faster.
// The terminal's own work, its security module and the network are not part of it. docs/cost-model.md shows the table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace karta::card {

/// How far a figure can be trusted.
enum class CostMark : std::uint8_t {
  measured,  ///< published by others who measured it on this chip
  computed,  ///< follows from measured figures by the arithmetic that the row's source states
  assumed,   ///< nobody has published it
};
std::string_view name_of(CostMark mark);

/// The chips the table has columns for, in its order.
enum class Chip : std::uint8_t { modern, mid, old };
inline constexpr std::size_t kChips = 3;
struct ChipRow {
  Chip chip;
  std::string_view name;   ///< for options: "modern"
  std::string_view words;  ///< "NXP J3R180 (P71)"
};
std::span<const ChipRow, kChips> chips();
/// Fails with `usage`; the hint lists the names.
Result<const ChipRow*> chip_called(std::string_view name);

struct Cost {
  double milliseconds;
  CostMark mark;
};

/// A row: one thing a chip does. `bits`: of the key, the longest this row holds for; 0: no key size.
struct CostRow {
  std::string_view what;  ///< as the trace's counts name it
  unsigned bits;
  std::string_view unit;  ///< "a call", "a block of 64 octets"
  Cost cost[kChips];
  std::string_view source;
};
std::span<const CostRow> cost_rows();

/// A way to the card: half-duplex blocks with their overhead.
struct ChannelRow {
  std::string_view name;   ///< for options: "424", "t1-95"
  std::string_view words;  ///< "ISO 14443 type A at 424 kbit/s"
  double octet_us;         ///< on the line, with its start, stop and parity bits
  unsigned block_octets;   ///< largest block, overhead included
  unsigned overhead_octets;
  double turn_us;        ///< between a block and the other side's next
  double activation_ms;  ///< from finding the card to its being ready for a command
  std::string_view source;
};
std::span<const ChannelRow> channels();
/// Fails with `usage`; the hint lists the names.
Result<const ChannelRow*> channel_called(std::string_view name);

/// What one command cost the card; docs/karta-sim.md, "counts".
struct CardCounts {
  struct Operation {
    std::string kind;  ///< "ec-sign"
    unsigned key_bits = 0;
    std::uint64_t times = 0;
  };
  std::uint64_t aes = 0, aes_blocks = 0, aes_keys = 0;
  std::uint64_t hash = 0, hash_blocks = 0;
  std::uint64_t random = 0, random_octets = 0;
  std::uint64_t nvm_writes = 0, nvm_octets = 0, nvm_erases = 0;
  std::uint64_t waited_ms = 0;
  std::vector<Operation> operations;
};

/// Where the time goes, in milliseconds.
struct TimeSpent {
  double channel = 0;   ///< octets, blocks, turns
  double terminal = 0;  ///< reader and driver
  double chip = 0;      ///< processor and coprocessor
  double memory = 0;    ///< non-volatile writes and erases
  double waiting = 0;   ///< the card lets guessers wait
  double total() const { return channel + terminal + chip + memory + waiting; }
  TimeSpent& operator+=(const TimeSpent& other);
};

class CostModel {
 public:
  CostModel(const ChipRow& chip, const ChannelRow& channel) : chip_(chip), channel_(channel) {}

  const ChipRow& chip() const { return chip_; }
  const ChannelRow& channel() const { return channel_; }

  /// From the field's or the contacts' switching on to the first command.
  TimeSpent activation() const;
  /// One command of so many octets, status word included in the response. Without counts (nullptr) chip and memory stay
  /// zero: nothing is guessed. Fails with `malformed` for an operation that no row knows.
  Result<TimeSpent> command(std::size_t command_octets, std::size_t response_octets, const CardCounts* counts);

  /// One line for each figure that went into any command() so far, with mark and source, and the channel's.
  std::vector<std::string> assumptions() const;

 private:
  double cost(std::string_view what, unsigned bits, double units);
  double message(std::size_t octets) const;

  const ChipRow& chip_;
  const ChannelRow& channel_;
  std::vector<const CostRow*> used_;
};

}  // namespace karta::card
