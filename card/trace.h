// SessionTrace: a recorded session with one or more cards, as karta-sim writes it (docs/karta-sim.md, "The record").
//
// One JSON object a line: exchanges, with what they cost the card where it was recorded, and events between them. The
// reader knows its limits and takes lines of later versions only where they mean the same.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/secret.h"
#include "card/cost_model.h"
#include "card/status_word.h"

namespace karta::card {

inline constexpr std::size_t kMaxTraceOctets = 256u << 20;
inline constexpr std::size_t kMaxTraceLine = 300'000;  ///< octets; the longest APDUs fit
inline constexpr std::size_t kMaxTraceEntries = 2'000'000;

/// A command and its answer.
struct TraceExchange {
  std::uint64_t at_us = 0;  ///< since the recording began, at the answer
  unsigned card = 0;
  Bytes command;                     ///< without what was left out
  std::size_t hidden_at = 0;         ///< where in the command octets were left out
  std::size_t hidden_octets = 0;     ///< how many
  Bytes response;                    ///< without the status word
  std::size_t hidden_response = 0;   ///< octets left out of the answer
  std::optional<StatusWord> status;  ///< none: the card was pulled or its power failed
  std::uint64_t gap_us = 0;          ///< the terminal's and the link's time before the command
  std::uint64_t card_us = 0;         ///< the simulated card's own time: of the simulator, not of a chip
  std::optional<CardCounts> counts;
  std::vector<SecretBytes> keys;  ///< AES keys the command brought into the coprocessor, where secrets were recorded

  std::size_t command_octets() const { return command.size() + hidden_octets; }
  /// Status word included.
  std::size_t response_octets() const { return response.size() + hidden_response + (status ? 2 : 0); }
};

/// Power, reader, hand.
struct TraceEvent {
  std::uint64_t at_us = 0;
  unsigned card = 0;
  std::string name;  ///< "power-on"
  Bytes atr;         ///< empty where none was recorded
};

struct SessionTrace {
  using Entry = std::variant<TraceExchange, TraceEvent>;
  bool secrets = false;  ///< recorded with its secrets
  std::vector<Entry> entries;

  /// Fails with `malformed`, naming the line, on anything that is not as docs/karta-sim.md says, and with `limit`. An
  /// unfinished last line, as a killed simulator leaves it, is left out.
  static Result<SessionTrace> parse(std::string_view text);
};

/// The chip, the channel, and where the time of a recorded command goes. Fails as CostModel::command does.
Result<TimeSpent> time_of(const TraceExchange& exchange, CostModel& model);

}  // namespace karta::card
