// TimedConnection: a card's connection that keeps the time of every command and ends what takes too long; and the steps
// of a verb that its commands make up.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "card/reader.h"
#include "daemon/json.h"
#include "daemon/steady_now.h"

namespace karta::daemon {

/// Part of a verb: commands in a row that do one thing.
struct TimelineStep {
  std::string name;  ///< "pace", "terminal-certificates", "terminal-authentication", "issuer-signature" ...
  std::chrono::microseconds time{0};       ///< of the card and the way to it
  std::chrono::microseconds host_time{0};  ///< before its commands: this program's own
  unsigned commands = 0;
  std::size_t octets_out = 0, octets_back = 0;
};

/// Commands as they were sent, told apart by their headers alone: what they carry is not kept.
class Timeline {
 public:
  struct Exchange {
    std::uint8_t cla = 0, ins = 0, p1 = 0, p2 = 0;
    std::chrono::microseconds before{0}, time{0};
    std::size_t octets_out = 0, octets_back = 0;
  };
  void add(Exchange exchange) { exchanges_.push_back(exchange); }
  const std::vector<Exchange>& exchanges() const { return exchanges_; }
  /// By the order of TR-03110-2 §3.1.1 and docs/transactions.md.
  std::vector<TimelineStep> steps() const;
  /// [{step, ms, host_ms, commands, octets}]
  Json to_json() const;
  std::chrono::microseconds card_time() const;

 private:
  std::vector<Exchange> exchanges_;
};

/// Forwards to `inner`, which must outlive it. A command sent after the deadline fails with `card_unresponsive`: a card
/// that answers each command just in time must not hold a reader for ever.
class TimedConnection final : public card::CardConnection {
 public:
  using SteadyClock = std::chrono::steady_clock;
  /// `now` outlives it, too.
  TimedConnection(card::CardConnection& inner, SteadyClock::time_point deadline, const SteadyNow& now);

  Result<Bytes> transmit(ByteView command) override;
  Result<Bytes> transmit_sensitive(ByteView command) override;
  ByteView atr() const override { return inner_.atr(); }
  PinPad pin_pad() override { return inner_.pin_pad(); }
  Result<Bytes> enter_pin(PadEntry entry, ByteView structure) override { return inner_.enter_pin(entry, structure); }
  Status reset() override { return inner_.reset(); }
  Status begin() override { return inner_.begin(); }
  void end() override { inner_.end(); }
  void let_go() override { inner_.let_go(); }
  std::uint64_t transaction() const override { return inner_.transaction(); }
  unsigned session() const override { return inner_.session(); }
  std::string_view reader_name() const override { return inner_.reader_name(); }

  Timeline& timeline() { return timeline_; }

 private:
  Result<Bytes> timed(ByteView command, Result<Bytes> (card::CardConnection::*send)(ByteView));

  card::CardConnection& inner_;
  const SteadyNow& now_;
  const SteadyClock::time_point deadline_;
  SteadyClock::time_point last_;
  Timeline timeline_;
};

}  // namespace karta::daemon
