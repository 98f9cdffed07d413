// Tearing: the power is cut at every write and every erase that a command makes, before it, in three manners amid it,
// and after it; then again at every write and erase of the recovery. Afterwards the card is as before the command or as
// after it. What the tests of this share: a card to cut, a scene with the command, and what is seen of the card.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>

#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/os/card.h"
#include "firmware-sim/os/test_chip.h"
#include "firmware-sim/os/test_session.h"

namespace karta::os {

using Chip = TestChip<sim::Coprocessor>;

constexpr u8 kSerial[kSerialBytes] = {0xA0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09};

// One card whose memory is set and whose power is cut thousands of times.
inline Chip& chip() {
  static Chip the_chip;
  return the_chip;
}

inline std::unique_ptr<Card> boot() {
  chip().restore_power();
  auto card = std::make_unique<Card>(chip(), kDefaultConfig);
  EXPECT_TRUE(card->boot(Interface::contact));
  EXPECT_EQ(send(*card, "00A404000CA000000063504B43532D3135").sw, 0x9000);
  return card;
}

inline Memory key_fcp(const std::string& id, u16 bits) {
  return apdu("00E00000", hex("6217 8102") + Memory{static_cast<u8>(bits >> 8), static_cast<u8>(bits)} +
                              hex(bits > 1000 ? "820111 8302" : "820122 8302") + hex(id) +
                              hex("86030000FF 85020000 8A0100"));
}

inline Memory ef_fcp(const std::string& id, u16 size) {
  return apdu("00E00000", hex("6213 8002") + Memory{static_cast<u8>(size >> 8), static_cast<u8>(size)} +
                              hex("820101 8302") + hex(id) + hex("8603000FFF 8A0100"));
}

// A card with PINs 1 (its own PUK) and 2 (the shared PUK), keys, and a file of three pages.
inline const Memory& prepared() {
  static const Memory memory = [] {
    {
      Card card(chip(), kDefaultConfig);
      EXPECT_TRUE(card.format(kSerial));
    }
    const auto card = boot();
    const auto must = [&](const Memory& command) { EXPECT_EQ(send(*card, command).sw, 0x9000) << to_hex(command); };
    must(hex("00DA010113") + pin("1234") + pin("87654321") + Memory{3, 3, 0});
    must(hex("00DA010213") + pin("5555") + Memory(8, 0xFF) + Memory{3, 0, 2});
    must(hex("00DA010F0B") + text("1234567890") + Memory{5});
    must(key_fcp("4B01", 256));
    must(hex("00460000"));
    must(key_fcp("4B02", 2048));
    must(hex("00460000"));
    must(ef_fcp("4301", 700));
    for (const int at : {0, 250, 500}) {
      must(apdu("00D6" + to_hex(Memory{static_cast<u8>(at >> 8), static_cast<u8>(at)}), Memory(200, 0xA5)));
    }
    return chip().memory;
  }();
  return memory;
}

// Everything a terminal can learn without spending a try: tries, files, contents, public keys.
inline std::string portrait(Card& card) {
  std::string out;
  const auto add = [&](const std::string& name, const Answer& answer) {
    out += name + "=" + to_hex(answer.data) + "/" +
           to_hex(Memory{static_cast<u8>(answer.sw >> 8), static_cast<u8>(answer.sw)}) + "\n";
  };
  for (int reference = 1; reference <= 3; ++reference) {
    add("pin", send(card, hex("002000") + Memory{static_cast<u8>(reference)}));
  }
  add("info", send(card, "00CA01A014"));
  add("list", send(card, "00CA01A100"));
  for (const char* id : {"4301", "4302", "4B01", "4B02", "4B03"}) {
    add(id, send(card, std::string("00A4080004 5015") + id + "00"));
    add("content", transmit(card, "00B00000", {}));
    add("modulus", transmit(card, "00CA0101", {}));
    add("point", transmit(card, "00CA0186", {}));
  }
  return out;
}

struct Scene {
  const char* name;
  std::vector<Memory> before;                         // commands run undisturbed
  Memory command;                                     // the one that is cut
  std::function<Memory(Card&)> in_session = nullptr;  // or what makes it, in a session it opens
  const Memory& (*start)() = prepared;                // the card it is done to
  std::string (*look)(Card&) = portrait;              // what is to be seen of it
};

// The scene's card, everything done but the command itself, which `last` takes.
inline std::unique_ptr<Card> set(const Scene& scene, Memory& last) {
  const Memory& start = scene.start();  // made on this chip when first asked for
  chip().memory = start;
  chip().rsa_turn = 1;  // the prepared card has the other one
  auto card = boot();
  for (const Memory& command : scene.before) EXPECT_EQ(send(*card, command).sw & 0xFF00, 0x9000) << scene.name;
  last = scene.in_session ? scene.in_session(*card) : scene.command;
  return card;
}

inline std::size_t all_points = 0;
// Says how many cuts there were, of all tests of a run.
class Sum final : public testing::Environment {
 public:
  void TearDown() override { std::printf("%-40s %6zu cut points\n", "in all", all_points); }
};
[[maybe_unused]] inline testing::Environment* const sum = testing::AddGlobalTestEnvironment(new Sum);

// Runs `check` on the memory after each pair of cuts; returns how many there were.
template <typename Check>
std::size_t for_every_cut(const Scene& scene, const Check& check) {
  std::size_t points = 0;
  for (const Cut how : kCuts) {
    for (std::size_t at = 1;; ++at) {
      Memory last;
      auto card = set(scene, last);
      chip().cut_power_at(at, how);
      (void)send(*card, last);
      if (chip().powered) break;
      card.reset();
      const Memory after_cut = chip().memory;
      for (const Cut again : kCuts) {
        for (std::size_t second = 1;; ++second) {
          chip().memory = after_cut;
          chip().restore_power();
          chip().cut_power_at(second, again);
          {
            Card interrupted(chip(), kDefaultConfig);
            (void)interrupted.boot(Interface::contact);
          }
          const bool whole = chip().powered;
          if (whole && again != Cut::before) break;  // the undisturbed recovery is looked at once
          ++points;
          chip().restore_power();
          check(at, second);
          if (testing::Test::HasFailure()) return points;
          if (whole) break;
        }
      }
    }
  }
  std::printf("%-40s %6zu cut points\n", scene.name, points);
  all_points += points;
  EXPECT_GT(points, 8u) << scene.name;
  return points;
}

// Before or after, never between: what a terminal sees is one of two portraits.
inline void expect_before_or_after(const Scene& scene) {
  Memory last;
  std::string before;
  {
    const auto card = set(scene, last);
    const auto fresh = boot();
    before = scene.look(*fresh);
  }
  std::string after;
  {
    const auto card = set(scene, last);
    const u16 sw = send(*card, last).sw;
    ASSERT_TRUE(sw == 0x9000 || sw >> 8 == 0x61) << scene.name << " answers " << std::hex << sw;
    const auto fresh = boot();
    after = scene.look(*fresh);
  }
  ASSERT_NE(before, after) << scene.name << ": the command must be seen to do something";
  std::size_t seen_before = 0;
  std::size_t seen_after = 0;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    const std::string now = scene.look(*card);
    if (now == before) {
      ++seen_before;
    } else if (now == after) {
      ++seen_after;
    } else {
      ADD_FAILURE() << scene.name << " cut at " << at << ", recovery at " << second << "\n--- before\n"
                    << before << "--- after\n"
                    << after << "--- now\n"
                    << now;
    }
  });
  EXPECT_GT(seen_before, 0u) << scene.name;
  EXPECT_GT(seen_after, 0u) << scene.name;
}

}  // namespace karta::os
