// FaultyCard: a card that answers garbage, late or never to one command of a deed; and how each fault is told.
#pragma once

#include <atomic>
#include <chrono>
#include <string>

#include "daemon/steady_now.h"
#include "tests/kartad/simulated_readers.h"

namespace karta::test {

/// A steady clock that goes on when it is told to.
class HandClock {
 public:
  daemon::SteadyNow now() const {
    return [this] { return std::chrono::steady_clock::time_point(std::chrono::seconds(seconds_)); };
  }
  void advance(std::chrono::seconds by) { seconds_ += by.count(); }

 private:
  std::atomic<std::int64_t> seconds_{1'000'000};
};

enum class Fault : std::uint8_t {
  pulled,        ///< taken out before the command has come to the card
  pulled_after,  ///< taken out when the card has done it
  mute,          ///< no answer; the reader gives the card up, which never had the command
  mute_after,    ///< no answer, though the card has done it
  noise,         ///< random octets, as many as the answer has
  fair_noise,    ///< random octets with 9000 behind them
  cut,           ///< one octet
  overlong,      ///< more than anybody asked for
  endless,       ///< 61FF, and again to every GET RESPONSE
  status,        ///< the row's status word alone
  claimed,       ///< 9000 alone, of a card that never had the command
  late,          ///< the true answer, when the time for the whole deed is over
};
struct FaultRow {
  Fault fault;
  const char* name;  ///< of characters that may stand in an Idempotency-Key
  std::uint16_t status = 0;
};
inline constexpr FaultRow kFaults[] = {
    {Fault::pulled, "pulled"},
    {Fault::pulled_after, "pulled-after"},
    {Fault::mute, "mute"},
    {Fault::mute_after, "mute-after"},
    {Fault::noise, "noise"},
    {Fault::fair_noise, "noise-and-9000"},
    {Fault::cut, "cut"},
    {Fault::overlong, "overlong"},
    {Fault::endless, "endless"},
    {Fault::status, "6F00", 0x6F00},
    {Fault::status, "6982", 0x6982},
    {Fault::status, "6A82", 0x6A82},
    {Fault::status, "63C0", 0x63C0},
    {Fault::claimed, "claimed"},
    {Fault::late, "late"},
};
inline bool is_gone(Fault fault) { return fault == Fault::pulled || fault == Fault::pulled_after; }
inline bool is_silent(Fault fault) { return fault == Fault::mute || fault == Fault::mute_after; }
/// The card never had the command.
inline bool is_before(Fault fault) { return fault == Fault::pulled || fault == Fault::mute || fault == Fault::claimed; }

/// Between daemon and card. Armed and asked while no deed is under way.
class FaultyCard {
 public:
  /// `clock`: what `late` moves, beyond `verb_time`.
  FaultyCard(SimulatedReaders& readers, std::string reader, SimulatedReaders::Card inner, HandClock& clock,
             std::chrono::seconds verb_time)
      : readers_(readers), reader_(std::move(reader)), inner_(std::move(inner)), clock_(clock), verb_time_(verb_time) {}

  SimulatedReaders::Card as_card() {
    SimulatedReaders::Card out = inner_;
    out.process = [this](ByteView command) { return process(command); };
    return out;
  }
  /// The fault comes at the command with this number from now, from 1.
  void arm(unsigned command, const FaultRow& row) {
    forget();
    at_ = command;
    row_ = row;
  }
  void disarm() { at_ = 0; }
  /// Since arm() or forget(): whether the fault has come; how many commands there were.
  bool fired() const { return fired_; }
  unsigned seen() const { return seen_; }
  void forget() {
    at_ = seen_ = 0;
    fired_ = false;
  }

 private:
  static constexpr std::uint8_t kGetResponse = 0xC0;

  Bytes process(ByteView command) {
    const unsigned number = ++seen_;
    const bool asked_for_more = command.size() > 1 && command[1] == kGetResponse;
    if (fired_ && at_ != 0 && row_.fault == Fault::endless && asked_for_more) return more();
    if (number != at_) return inner_.process(command);
    fired_ = true;
    Bytes answer = is_before(row_.fault) ? Bytes{} : inner_.process(command);
    switch (row_.fault) {
      case Fault::pulled:
      case Fault::pulled_after:
        return {};
      case Fault::mute:
      case Fault::mute_after:
        readers_.give_up_waiting(reader_);
        return {};
      case Fault::noise:
        return random_.bytes(answer.size());
      case Fault::fair_noise:
        return concat({random_.bytes(answer.size() - 2), Bytes{0x90, 0x00}});
      case Fault::cut:
        return {0x90};
      case Fault::overlong:
        return Bytes(70'000, 0x90);
      case Fault::endless:
        return more();
      case Fault::status:
        return {static_cast<std::uint8_t>(row_.status >> 8), static_cast<std::uint8_t>(row_.status)};
      case Fault::claimed:
        return {0x90, 0x00};
      case Fault::late:
        clock_.advance(verb_time_ + std::chrono::seconds(1));
        return answer;
    }
    return answer;
  }
  static Bytes more() {
    Bytes out(255, 0x55);
    append(out, Bytes{0x61, 0xFF});
    return out;
  }

  SimulatedReaders& readers_;
  const std::string reader_;
  SimulatedReaders::Card inner_;
  HandClock& clock_;
  const std::chrono::seconds verb_time_;
  SeededRandom random_{77};
  // The reader's thread writes while a deed is under way; atomics, since a lost answer may leave it a moment behind.
  std::atomic<unsigned> at_{0}, seen_{0};
  std::atomic<bool> fired_{false};
  FaultRow row_ = kFaults[0];
};

}  // namespace karta::test
