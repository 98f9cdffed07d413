// Sessions whose time matters, recorded from the simulated card as karta-sim records them: the counted tap, the
// card-signed tap, the clinic's visit. The terminal's side is the product's own.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "card/clinic_visit.h"
#include "card/trace_decoder.h"
#include "card/trace_picture.h"
#include "card/transit.h"
#include "firmware-sim/link/recorded_card.h"
#include "tests/eac/identity_card.h"

namespace karta::test {

/// A session and what of it the person at the gate waits for.
struct Session {
  std::string name;                   ///< "counted-tap"
  std::string title;                  ///< "Counted tap"
  double budget_ms = 0;               ///< on the modern chip at 424 kbit/s
  card::SessionTrace trace;           ///< of the session alone
  std::size_t waited_for = SIZE_MAX;  ///< commands; what comes behind them is off the critical path
  std::size_t begins_at = 0;          ///< commands before are another session's, the activation, too
};

/// Records what `work` does with the card in a contactless reader, secrets too: the card is a sample.
template <class Work>
card::SessionTrace recorded(IdentityCard& card, Work work) {
  crypto::testing::TemporaryFolder folder;
  const std::string path = (folder.path() / "trace.jsonl").string();
  {
    auto record = sim::ApduRecord::open(path, true);
    if (!record) {
      ADD_FAILURE() << record.error().message;
      return {};
    }
    sim::RecordedCard device(1, card.sim.card(), *record);
    card.put(os::Interface::contactless);
    card::MemoryConnection connection({.process = [&](ByteView command) { return to_bytes(device.process(command)); },
                                       .atr = [&] { return to_bytes(device.atr()); },
                                       .reset = [&] { device.reset(); }});
    card::PlainChannel channel(connection);
    work(channel);
  }
  const auto text = read_file(path, card::kMaxTraceOctets);
  auto trace = text ? card::SessionTrace::parse(as_text(*text)) : Result<card::SessionTrace>(fail(text.error()));
  if (!trace) {
    ADD_FAILURE() << trace.error().message;
    return {};
  }
  return std::move(*trace);
}

inline Session counted_tap(IdentityCard& card) {
  Session out{"counted-tap", "Counted tap", 70, {}, 3};
  card::MasterTransactionKeys keys{ledger_masters(kTransitMasters), card.random};
  const card::Gate gate{.terminal = 7, .zone = 1, .fare = 50, .reduced_fare = 25, .pass_back_seconds = 0};
  std::uint32_t number = 0;
  out.trace = recorded(card, [&](card::Channel& channel) {
    card::Tap tap(channel, keys, gate);
    const auto outcome = tap.run(++number, card.centre.now);
    ASSERT_TRUE(outcome) << outcome.error().message;
    ASSERT_EQ(outcome->reason, card::TapReason::open);
    ASSERT_TRUE(tap.ratify());
  });
  return out;
}

/// `card` was made with card_signed.
inline Session signed_tap(IdentityCard& card) {
  Session out{"signed-tap", "Card-signed tap", 60, {}};
  const card::Gate gate{.terminal = 7, .zone = 1, .fare = 50, .reduced_fare = 25, .pass_back_seconds = 0};
  out.trace = recorded(card, [&](card::Channel& channel) {
    const auto outcome = card::run_signed_tap(channel, {card.centre.issuing}, gate, card.centre.now, card.random);
    ASSERT_TRUE(outcome) << outcome.error().message;
    ASSERT_EQ(outcome->reason, card::TapReason::open);
  });
  return out;
}

/// `card` holds what the citizen profile ships with (IdentityCardOptions::all_data_groups false): each data group more
/// is a hash more to read.
inline Session clinic_visit(IdentityCard& card) {
  Session out{"clinic-visit", "Clinic visit: PACE, EAC, insurance and emergency data", 550, {}};
  const SecretBytes can = secret(kCan);
  const card::UnlockedTerminal terminal = card.terminal("clinic");
  out.trace = recorded(card, [&](card::Channel& channel) {
    const auto visit = card::visit_clinic(channel, card.request(terminal, card::PacePassword::can, can), card.random);
    ASSERT_TRUE(visit) << visit.error().message;
    ASSERT_EQ(visit->insurance.state, card::DataGroupState::read);
    ASSERT_EQ(visit->emergency.state, card::DataGroupState::read);
  });
  return out;
}

/// What comes behind a clinic's visit: the portrait, in the same channel. `card` was made with one.
inline Session portrait_after_visit(IdentityCard& card) {
  Session out{"portrait", "Portrait, behind a clinic's visit", 0, {}};
  const SecretBytes can = secret(kCan);
  const card::UnlockedTerminal terminal = card.terminal("clinic");
  out.trace = recorded(card, [&](card::Channel& channel) {
    auto visit = card::visit_clinic(channel, card.request(terminal, card::PacePassword::can, can), card.random);
    ASSERT_TRUE(visit) << visit.error().message;
    const auto portrait = visit->identity.read(card::kPortraitGroup);
    ASSERT_TRUE(portrait) << portrait.error().message;
    ASSERT_EQ(portrait->check, card::DataGroupCheck::signed_by_issuer);
  });
  // It begins with SELECT of the identity application, in front of READ BINARY with its short identifier.
  std::size_t number = 0;
  for (const auto& entry : out.trace.entries) {
    const auto* const exchange = std::get_if<card::TraceExchange>(&entry);
    if (exchange == nullptr) continue;
    const Bytes& command = exchange->command;
    if (command.size() > 2 && command[1] == 0xB0 && command[2] == (0x80 | card::kPortraitGroup)) break;
    out.begins_at = number++;
  }
  return out;
}

/// The session as a timeline on a chip and channel, activation first.
inline card::Timeline timeline_of(const Session& session, card::CostModel& model) {
  card::Timeline out;
  out.title = session.title;
  out.subtitle = std::string(model.chip().words) + ", " + std::string(model.channel().words) + ", as modelled";
  out.budget_ms = session.budget_ms;
  if (session.begins_at == 0) out.steps.push_back({"activation", "", model.activation()});
  card::TraceDecoder decoder;
  std::size_t number = 0;
  for (const card::SessionTrace::Entry& entry : session.trace.entries) {
    const auto* const exchange = std::get_if<card::TraceExchange>(&entry);
    if (exchange == nullptr) continue;
    EXPECT_TRUE(exchange->counts);
    const auto time = card::time_of(*exchange, model);
    EXPECT_TRUE(time);
    const card::DecodedExchange decoded = decoder.take(*exchange);
    if (number++ < session.begins_at) continue;
    out.steps.push_back(
        {decoded.name, std::to_string(exchange->command_octets()) + " + " + std::to_string(exchange->response_octets()),
         time.value_or(card::TimeSpent{}), number > session.waited_for, false});
  }
  out.footnotes = model.assumptions();
  return out;
}

}  // namespace karta::test
