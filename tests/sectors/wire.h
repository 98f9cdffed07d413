// Wire: what lies between a terminal and a simulated card, with somebody on it: commands and answers can be seen,
// changed, swallowed.
#pragma once

#include <functional>
#include <vector>

#include "card/channel.h"
#include "tests/card/simulated_card.h"

namespace karta::test {

class Wire {
 public:
  explicit Wire(SimulatedCard& card)
      : connection({.process = [this, &card](ByteView command) { return carry(card, command); },
                    .atr = [&card] { return to_bytes(card.card().atr()); },
                    .reset = [&card] { card.card().reset(); }}),
        channel(connection) {}

  /// Before the card: what reaches it; an empty command never does, and the terminal sees the card gone.
  std::function<Bytes(ByteView command)> to_card = {};
  /// Behind the card: what the terminal gets; empty: the card is gone.
  std::function<Bytes(ByteView command, Bytes answer)> from_card = {};

  struct Exchange {
    Bytes command, answer;  ///< as the card had them
  };
  std::vector<Exchange> exchanges;
  /// The last command with this INS, and its answer; ends the test program's case where there is none.
  const Exchange& last(std::uint8_t ins) const {
    for (auto at = exchanges.rbegin(); at != exchanges.rend(); ++at) {
      if (at->command[1] == ins) return *at;
    }
    ADD_FAILURE() << "no command " << int(ins);
    return exchanges.front();
  }

  card::MemoryConnection connection;
  card::PlainChannel channel;

 private:
  Bytes carry(SimulatedCard& card, ByteView command) {
    const Bytes reaches = to_card ? to_card(command) : to_bytes(command);
    if (reaches.empty()) return {};
    Bytes answer = to_bytes(card.card().process(reaches));
    exchanges.push_back({reaches, answer});
    return from_card ? from_card(command, std::move(answer)) : answer;
  }
};

constexpr std::uint8_t kInsSelect = 0xA4, kInsOpen = 0x32, kInsCommit = 0x34, kInsRatify = 0x36;

/// True where an exchange's INS is `ins`.
inline bool is(ByteView command, std::uint8_t ins) { return command.size() > 1 && command[1] == ins; }

}  // namespace karta::test
