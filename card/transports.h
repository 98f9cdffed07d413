// Connections without a reader: a card behind a function (a simulator in this process), a recording played back, and
// wrappers that record and count.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "card/reader.h"

namespace karta::card {

/// A card behind functions, for tests, benchmarks and simulators in the same process.
class MemoryConnection final : public CardConnection {
 public:
  struct Card {
    std::function<Bytes(ByteView command)> process;  ///< an empty answer: the card went away
    std::function<Bytes()> atr;
    std::function<void()> reset;  ///< may be empty
  };
  explicit MemoryConnection(Card card, std::string name = "in-process card");

  Result<Bytes> transmit(ByteView command) override;
  ByteView atr() const override { return atr_; }
  Status reset() override;
  Status begin() override;
  void end() override;
  std::uint64_t transaction() const override { return depth_ > 0 ? transactions_ : 0; }
  unsigned session() const override { return session_; }
  std::string_view reader_name() const override { return name_; }
  /// Outermost transactions begun so far.
  unsigned transactions() const { return transactions_; }
  /// How deep the current nesting is; 0: no transaction.
  unsigned depth() const { return depth_; }

 private:
  Card card_;
  std::string name_;
  Bytes atr_;
  unsigned session_ = 0, depth_ = 0, transactions_ = 0;
};

/// What was said, one exchange a row. Its text form, for trace files: "atr HEX", then "> HEX" and "< HEX" in turn;
/// blank lines and lines with # are comments. A sensitive command is kept as its header: "> 00200001 *16".
struct Trace {
  struct Exchange {
    Bytes command;  ///< header only where hidden
    Bytes response;
    std::size_t hidden_octets = 0;  ///< length of the data that was left out
    bool hidden = false;
  };
  Bytes atr;
  std::vector<Exchange> exchanges;

  std::string to_text() const;
  static Result<Trace> from_text(std::string_view text);
};

/// Plays a trace back and refuses (`internal`) a command that deviates from it.
class RecordedConnection final : public CardConnection {
 public:
  explicit RecordedConnection(Trace trace) : trace_(std::move(trace)) {}
  Result<Bytes> transmit(ByteView command) override;
  ByteView atr() const override { return trace_.atr; }
  Status reset() override;
  Status begin() override {
    if (depth_++ == 0) ++transactions_;
    return {};
  }
  void end() override { --depth_; }
  std::uint64_t transaction() const override { return depth_ > 0 ? transactions_ : 0; }
  unsigned session() const override { return session_; }
  std::string_view reader_name() const override { return "recorded card"; }
  bool finished() const { return next_ == trace_.exchanges.size(); }

 private:
  Trace trace_;
  std::size_t next_ = 0;
  unsigned session_ = 0, depth_ = 0, transactions_ = 0;
};

/// Forwards to `inner` and keeps what was said, secrets left out. `inner` must outlive it.
class RecordingConnection final : public CardConnection {
 public:
  explicit RecordingConnection(CardConnection& inner);
  Result<Bytes> transmit(ByteView command) override;
  Result<Bytes> transmit_sensitive(ByteView command) override;
  ByteView atr() const override { return inner_.atr(); }
  Status reset() override { return inner_.reset(); }
  PinPad pin_pad() override { return inner_.pin_pad(); }
  Result<Bytes> enter_pin(PadEntry entry, ByteView structure) override { return inner_.enter_pin(entry, structure); }
  Status begin() override { return inner_.begin(); }
  void end() override { inner_.end(); }
  void let_go() override { inner_.let_go(); }
  std::uint64_t transaction() const override { return inner_.transaction(); }
  unsigned session() const override { return inner_.session(); }
  std::string_view reader_name() const override { return inner_.reader_name(); }
  const Trace& trace() const { return trace_; }

 private:
  CardConnection& inner_;
  Trace trace_;
};

/// Exact cost on the wire: what benchmarks print and tests assert.
struct WireCount {
  std::uint64_t commands = 0;
  std::uint64_t octets_out = 0;   ///< command APDUs, to the card
  std::uint64_t octets_back = 0;  ///< response APDUs, status words included
  friend WireCount operator-(WireCount a, WireCount b) {
    return {a.commands - b.commands, a.octets_out - b.octets_out, a.octets_back - b.octets_back};
  }
  friend bool operator==(const WireCount&, const WireCount&) = default;
};

/// Forwards to `inner` and counts. `inner` must outlive it.
class CountingConnection final : public CardConnection {
 public:
  explicit CountingConnection(CardConnection& inner) : inner_(inner) {}
  Result<Bytes> transmit(ByteView command) override;
  Result<Bytes> transmit_sensitive(ByteView command) override;
  ByteView atr() const override { return inner_.atr(); }
  Status reset() override { return inner_.reset(); }
  PinPad pin_pad() override { return inner_.pin_pad(); }
  Result<Bytes> enter_pin(PadEntry entry, ByteView structure) override { return inner_.enter_pin(entry, structure); }
  Status begin() override { return inner_.begin(); }
  void end() override { inner_.end(); }
  void let_go() override { inner_.let_go(); }
  std::uint64_t transaction() const override { return inner_.transaction(); }
  unsigned session() const override { return inner_.session(); }
  std::string_view reader_name() const override { return inner_.reader_name(); }
  const WireCount& count() const { return count_; }
  /// Commands by INS.
  const std::map<std::uint8_t, std::uint64_t>& by_instruction() const { return by_instruction_; }

 private:
  void add(ByteView command, const Result<Bytes>& response);
  CardConnection& inner_;
  WireCount count_;
  std::map<std::uint8_t, std::uint64_t> by_instruction_;
};

}  // namespace karta::card
