// SimulatedCard: a card of firmware-sim behind card's in-process connection, for end-to-end tests without a reader.
#pragma once

#include <gtest/gtest.h>

#include <memory>

#include "card/transports.h"
#include "firmware-sim/host/soft_card.h"

namespace karta::test {

class SimulatedCard {
 public:
  explicit SimulatedCard(std::uint64_t seed = 1, os::Interface interface = os::Interface::contact) : random_(seed) {
    auto made = sim::SoftCard::blank(sim::new_serial(random_), {.interface = interface});
    if (!made) ADD_FAILURE() << made.error().message;
    card_ = std::move(*made);
    card_->power_on();
    connection_ = std::make_unique<card::MemoryConnection>(
        card::MemoryConnection::Card{.process = [this](ByteView command) { return to_bytes(card_->process(command)); },
                                     .atr = [this] { return to_bytes(card_->atr()); },
                                     .reset = [this] { card_->reset(); }});
    counting_ = std::make_unique<card::CountingConnection>(*connection_);
  }

  sim::SoftCard& card() { return *card_; }
  card::MemoryConnection& memory() { return *connection_; }
  card::CountingConnection& connection() { return *counting_; }
  const card::WireCount& count() const { return counting_->count(); }
  /// Power off and on: what pulling the card out and putting it back does.
  void replug() {
    card_->power_off();
    card_->power_on();
    EXPECT_TRUE(connection_->reset());
  }

 private:
  SeededRandom random_;
  std::unique_ptr<sim::SoftCard> card_;
  std::unique_ptr<card::MemoryConnection> connection_;
  std::unique_ptr<card::CountingConnection> counting_;
};

}  // namespace karta::test
