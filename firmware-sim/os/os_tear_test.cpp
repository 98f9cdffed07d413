// Tearing: the power is cut at every write and every erase that a command makes, before it, in three manners amid it,
// and after it; then again at every write and erase of the recovery. Afterwards the card is as before the command or as
// after it: no try was gained, no trip is spent and kept, balance and journal agree. Every command that changes the
// memory is here. (Card-security 1 to 3, 6, 23, 31, 35, 38, 48 to 51.)
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>

#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/os/card.h"
#include "firmware-sim/os/test_chip.h"
#include "firmware-sim/os/test_ledger.h"
#include "firmware-sim/os/test_session.h"

namespace karta::os {
namespace {

using Chip = TestChip<sim::Coprocessor>;

constexpr u8 kSerial[kSerialBytes] = {0xA0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09};

// One card whose memory is set and whose power is cut thousands of times.
Chip& chip() {
  static Chip the_chip;
  return the_chip;
}

std::unique_ptr<Card> boot() {
  chip().restore_power();
  auto card = std::make_unique<Card>(chip(), kDefaultConfig);
  EXPECT_TRUE(card->boot(Interface::contact));
  EXPECT_EQ(send(*card, "00A404000CA000000063504B43532D3135").sw, 0x9000);
  return card;
}

Memory key_fcp(const std::string& id, u16 bits) {
  return apdu("00E00000", hex("6217 8102") + Memory{static_cast<u8>(bits >> 8), static_cast<u8>(bits)} +
                              hex(bits > 1000 ? "820111 8302" : "820122 8302") + hex(id) +
                              hex("86030000FF 85020000 8A0100"));
}

Memory ef_fcp(const std::string& id, u16 size) {
  return apdu("00E00000", hex("6213 8002") + Memory{static_cast<u8>(size >> 8), static_cast<u8>(size)} +
                              hex("820101 8302") + hex(id) + hex("8603000FFF 8A0100"));
}

// A card with PINs 1 (its own PUK) and 2 (the shared PUK), keys, and a file of three pages.
const Memory& prepared() {
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
std::string portrait(Card& card) {
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

// Finds out which PIN 1 value is in force, and its tries, without leaving a trace.
struct PinState {
  std::string value;
  int tries = 0;
  int puk_tries = 0;
  int shared_puk_tries = 0;
};

PinState pin_state(u8 reference, const std::vector<std::string>& candidates) {
  const Memory keep = chip().memory;
  PinState state;
  {
    const auto card = boot();
    const u16 sw = send(*card, hex("002000") + Memory{reference}).sw;
    state.tries = sw == 0x6983 ? 0 : sw & 0xF;
  }
  for (const std::string& value : candidates) {
    chip().memory = keep;
    const auto card = boot();
    if (send(*card, hex("002000") + Memory{reference, 8} + pin(value)).sw == 0x9000) state.value += value;
  }
  chip().memory = keep;
  {  // a wrong unblocking code tells how many tries there were
    const auto card = boot();
    const u16 sw = send(*card, hex("002C00") + Memory{reference, 16} + pin("00000000") + pin("9999")).sw;
    (reference == 2 ? state.shared_puk_tries : state.puk_tries) = sw == 0x6983 ? 0 : (sw & 0xF) + 1;
  }
  chip().memory = keep;
  chip().restore_power();
  return state;
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
std::unique_ptr<Card> set(const Scene& scene, Memory& last) {
  const Memory& start = scene.start();  // made on this chip when first asked for
  chip().memory = start;
  chip().rsa_turn = 1;  // the prepared card has the other one
  auto card = boot();
  for (const Memory& command : scene.before) EXPECT_EQ(send(*card, command).sw & 0xFF00, 0x9000) << scene.name;
  last = scene.in_session ? scene.in_session(*card) : scene.command;
  return card;
}

std::size_t all_points = 0;
// Says how many cuts there were, of all tests of a run.
class Sum final : public testing::Environment {
 public:
  void TearDown() override { std::printf("%-40s %6zu cut points\n", "in all", all_points); }
};
[[maybe_unused]] testing::Environment* const sum = testing::AddGlobalTestEnvironment(new Sum);

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
void expect_before_or_after(const Scene& scene) {
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

TEST(Tear, Behaviour01_02_VerifyRight) {
  const Memory wrong = apdu("00200001", pin("0000"));
  const Scene scene = {.name = "VERIFY, right PIN", .before = {}, .command = apdu("00200001", pin("1234"))};
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const PinState now = pin_state(1, {"1234"});
    EXPECT_EQ(now.value, "1234");
    EXPECT_TRUE(now.tries == 3 || now.tries == 2) << at << "/" << second;
    const auto card = boot();
    EXPECT_EQ(send(*card, wrong).sw, 0x63C0 + now.tries - 1) << at << "/" << second;
  });
}

TEST(Tear, Behaviour02_VerifyRightAfterWrongGainsNothingUntilItSucceeds) {
  chip().memory = prepared();
  {
    const auto card = boot();
    EXPECT_EQ(send(*card, apdu("00200001", pin("0000"))).sw, 0x63C2);
  }
  const Memory one_spent = chip().memory;
  // The second transaction alone gives tries back, and only for the right PIN: from 2 the states are 2, 1, then 3.
  for (const Cut how : kCuts) {
    for (std::size_t at = 1;; ++at) {
      chip().memory = one_spent;
      auto card = boot();
      chip().cut_power_at(at, how);
      (void)send(*card, apdu("00200001", pin("1234")));
      if (chip().powered) break;
      const PinState now = pin_state(1, {"1234"});
      EXPECT_GE(now.tries, 1);
      EXPECT_LE(now.tries, at <= 2 ? 2 : 3) << "before the second transaction nothing is given back";
    }
  }
}

TEST(Tear, Behaviour03_VerifyWrongNeverLeavesMoreTries) {
  const Scene scene = {.name = "VERIFY, wrong PIN", .before = {}, .command = apdu("00200001", pin("0000"))};
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const PinState now = pin_state(1, {"1234"});
    EXPECT_EQ(now.value, "1234");
    EXPECT_TRUE(now.tries == 3 || now.tries == 2) << at << "/" << second;
  });
}

// An attacker who cuts the power at will and watches: in no run are there more guesses than tries.
TEST(Tear, Behaviour03_CuttingAtAnyPointGivesNoFreeGuess) {
  for (const Cut how : kCuts) {
    for (std::size_t at = 1; at <= 3; ++at) {
      chip().memory = prepared();
      int answered = 0;
      for (int guess = 0; guess < 10; ++guess) {
        auto card = boot();
        chip().cut_power_at(at, how);
        const u16 sw = send(*card, apdu("00200001", pin("0000"))).sw;
        // 63Cx is a comparison the attacker has learned from; 6581 under a cut is not.
        if ((sw & 0xFFF0) == 0x63C0) ++answered;
      }
      EXPECT_LE(answered, 3) << "cut " << at;
    }
  }
}

TEST(Tear, Behaviour06_ChangeReferenceDataOldOrNewNeverBothNeverNeither) {
  const Scene scene = {
      .name = "CHANGE REFERENCE DATA", .before = {}, .command = apdu("00240001", pin("1234") + pin("5678"))};
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const PinState now = pin_state(1, {"1234", "5678"});
    EXPECT_TRUE(now.value == "1234" || now.value == "5678") << at << "/" << second << " " << now.value;
    EXPECT_LE(now.tries, 3);
    EXPECT_GE(now.tries, 2);
    old_seen = old_seen || now.value == "1234";
    new_seen = new_seen || now.value == "5678";
  });
  EXPECT_TRUE(old_seen && new_seen);
}

TEST(Tear, ResetRetryCounterWithItsOwnPuk) {
  const Scene scene = {
      .name = "RESET RETRY COUNTER", .before = {}, .command = apdu("002C0001", pin("87654321") + pin("5678"))};
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const PinState now = pin_state(1, {"1234", "5678"});
    EXPECT_TRUE(now.value == "1234" || now.value == "5678") << at << "/" << second << " " << now.value;
    EXPECT_EQ(now.tries, 3);
    EXPECT_LE(now.puk_tries, 3) << at << "/" << second;
    EXPECT_GE(now.puk_tries, 2);
  });
}

TEST(Tear, ResetRetryCounterWithTheSharedPukOfAnotherPage) {
  const Scene scene = {.name = "RESET RETRY COUNTER, shared PUK",
                       .before = {},
                       .command = apdu("002C0002", pin("12345678") + pin("5678"))};
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const PinState now = pin_state(2, {"5555", "5678"});
    EXPECT_TRUE(now.value == "5555" || now.value == "5678") << at << "/" << second << " " << now.value;
    EXPECT_TRUE(now.shared_puk_tries == 5 || now.shared_puk_tries == 4) << at << "/" << second;
    EXPECT_TRUE(now.value == "5555" || now.shared_puk_tries == 5) << "both pages or neither";
  });
}

TEST(Tear, Behaviour07_WrongPukNeverLeavesMoreTries) {
  const Scene scene = {.name = "RESET RETRY COUNTER, wrong PUK",
                       .before = {},
                       .command = apdu("002C0001", pin("00000000") + pin("5678"))};
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const PinState now = pin_state(1, {"1234", "5678"});
    EXPECT_EQ(now.value, "1234");
    EXPECT_TRUE(now.puk_tries == 3 || now.puk_tries == 2) << at << "/" << second;
  });
}

TEST(Tear, Behaviour48_49_UpdateBinaryOverThreePages) {
  expect_before_or_after({.name = "UPDATE BINARY, 3 pages",
                          .before = {hex("00A4080C0450154301")},
                          .command = hex("00D6000000") + Memory{0x02, 0xBC} + Memory(700, 0x3C)});
}

TEST(Tear, Behaviour48_49_UpdateBinaryOfAFreshFile) {
  expect_before_or_after({.name = "UPDATE BINARY, fresh file",
                          .before = {ef_fcp("4302", 2048)},
                          .command = hex("00D6000000") + Memory{0x08, 0x00} + Memory(2048, 0x3C)});
}

TEST(Tear, PutDataPin) {
  expect_before_or_after({.name = "PUT DATA, PIN",
                          .before = {},
                          .command = hex("00DA010313") + pin("4444") + pin("87654321") + Memory{3, 3, 0}});
}

TEST(Tear, PutDataWipe) {
  expect_before_or_after({.name = "PUT DATA, wipe", .before = {}, .command = hex("00DA01E008 FFFF000FFF000FFF")});
}

TEST(Tear, CreateFile) {
  expect_before_or_after({.name = "CREATE FILE", .before = {}, .command = ef_fcp("4302", 500)});
}

TEST(Tear, DeleteFile) {
  expect_before_or_after({.name = "DELETE FILE", .before = {hex("00A4080C0450154301")}, .command = hex("A0E40000")});
}

TEST(Tear, Behaviour38_DeleteKeyLeavesNothingBehind) {
  const Memory scalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
  const Scene scene = {.name = "DELETE FILE, key",
                       .before = {key_fcp("4B03", 256), apdu("00DA0187", scalar)},
                       .command = hex("A0E40000")};
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    if (send(*card, "00A4080C04 50154B03").sw == 0x9000) return;  // as before
    const auto& memory = chip().memory;
    EXPECT_EQ(std::search(memory.begin(), memory.end(), scalar.begin(), scalar.end()), memory.end())
        << at << "/" << second;
  });
}

TEST(Tear, Activate) {
  expect_before_or_after({.name = "ACTIVATE FILE, MF", .before = {}, .command = hex("00440000023F00")});
}

// Before: the old pair; after: a new one that works. The public key always belongs to the private one.
void expect_whole_pair(const Scene& scene, const std::string& id, bool rsa) {
  chip().memory = prepared();
  Memory old_public;
  {
    const auto card = boot();
    EXPECT_EQ(send(*card, hex("00A4080C045015") + hex(id)).sw, 0x9000);
    old_public = transmit(*card, rsa ? "00CA0101" : "00CA0186", {}).data;
  }
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    EXPECT_EQ(send(*card, hex("00A4080C045015") + hex(id)).sw, 0x9000);
    const Memory now = transmit(*card, rsa ? "00CA0101" : "00CA0186", {}).data;
    ASSERT_FALSE(now.empty()) << at << "/" << second;
    (now == old_public ? old_seen : new_seen) = true;
    if (rsa) {  // the coprocessor checks the private operation by the public key
      EXPECT_EQ(send(*card, hex("002241B60A 800102 8102") + hex(id) + hex("840100")).sw, 0x9000);
      EXPECT_EQ(transmit(*card, "002A9E9A", Memory(20, 1)).sw, 0x9000) << at << "/" << second;
    } else {  // the agreement with a known pair comes out the same on both sides
      u8 scalar[32];
      u8 point[65];
      u8 x[32];
      EXPECT_EQ(chip().ec_generate(Curve::p256, scalar, point), HalStatus::ok);
      EXPECT_EQ(chip().ec_agree(Curve::p256, scalar, ByteView(now).subspan(2), x), HalStatus::ok);
      EXPECT_EQ(send(*card, hex("002241A40A 800104 8102") + hex(id) + hex("840100")).sw, 0x9000);
      const Answer shared = send(*card, hex("0086000045 7C438541") + Memory(point, point + 65) + Memory{32});
      EXPECT_EQ(to_hex(shared.data), to_hex(x)) << at << "/" << second;
    }
  });
  EXPECT_TRUE(old_seen && new_seen);
}

TEST(Tear, Behaviour31_GenerateEcKey) {
  expect_whole_pair({.name = "GENERATE, P-256", .before = {hex("00A4080C0450154B01")}, .command = hex("00460000")},
                    "4B01", false);
}

TEST(Tear, Behaviour31_GenerateRsaKeyOverFourPages) {
  expect_whole_pair({.name = "GENERATE, RSA-2048", .before = {hex("00A4080C0450154B02")}, .command = hex("00460000")},
                    "4B02", true);
}

// --- The card manager: what a cut leaves of keys, counters, domains and the card's life ------------------------------

const HostKeys& own_keys() {
  static const HostKeys keys = sample_keys(32, 3);
  return keys;
}

std::unique_ptr<Scp03Host> session(Card& card, const HostKeys& keys) {
  auto host = std::make_unique<Scp03Host>(keys);
  EXPECT_EQ(send(card, "00A4040C08 A000000151000000").sw, 0x9000);
  EXPECT_EQ(host->open(card, 0x33), 0x9000);
  return host;
}

std::string key_information(Card& card) {
  EXPECT_EQ(send(card, "00A4040C08 A000000151000000").sw, 0x9000);
  return to_hex(send(card, "00CA00E000").data);
}

constexpr char kInitialSet[] = "E012C00401018810C00402018810C00403018810";
constexpr char kOwnSet[] = "E012C00401308820C00402308820C00403308820";

u32 sequence_counter(Card& card) {
  const Memory data = send(card, "00CA00C100").data;
  return data.size() == 5 ? static_cast<u32>(data[2]) << 16 | read_u16(&data[3]) : 0xFFFFFFFF;
}

TEST(Tear, PutKeyOldSetOrNewNeverBothNeverNeither) {
  const Scene scene = {.name = "PUT KEY", .before = {}, .command = {}, .in_session = [](Card& card) {
                         const auto host = session(card, initial_keys());
                         return host->protect(host->put_key(0, 0x30, own_keys()));
                       }};
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    const std::string now = key_information(*card);
    ASSERT_TRUE(now == kInitialSet || now == kOwnSet) << at << "/" << second << " " << now;
    (void)session(*card, now == kInitialSet ? initial_keys() : own_keys());
    (now == kInitialSet ? old_seen : new_seen) = true;
    // The keys that are gone are gone from the memory, too.
    const Memory& gone = now == kInitialSet ? own_keys().enc : initial_keys().enc;
    const auto& memory = chip().memory;
    EXPECT_EQ(std::search(memory.begin(), memory.end(), gone.begin(), gone.end()), memory.end()) << at << "/" << second;
  });
  EXPECT_TRUE(old_seen && new_seen);
}

// Card-security 23: whatever is cut, no challenge is given twice. A terminal that got an answer has seen a counter that
// the memory holds.
TEST(Tear, Behaviour23_SequenceCounterNeverGoesBack) {
  const Scene scene = {
      .name = "INITIALIZE UPDATE", .before = {}, .command = apdu("80500000", hex("0102030405060708"), true)};
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    const u32 now = sequence_counter(*card);
    ASSERT_LE(now, 1u) << at << "/" << second;
    (now == 0 ? old_seen : new_seen) = true;
    Scp03Host host(initial_keys());
    ASSERT_EQ(host.initialize(*card).sw, 0x9000);
    EXPECT_EQ(host.sequence, (Memory{0, 0, static_cast<u8>(now + 1)}));
  });
  EXPECT_TRUE(old_seen && new_seen);
  // At no cut an answer with a counter that is not durable: cut before the commit, the command has failed.
  for (std::size_t at = 1; at <= 2; ++at) {
    chip().memory = prepared();
    auto card = boot();
    chip().cut_power_at(at, Cut::before);
    EXPECT_EQ(send(*card, scene.command).sw, 0x6581);
  }
}

const Memory kDomain = hex("F04B4152544110");

Memory install_command() { return apdu("80E60C00", hex("00 00 07") + kDomain + hex("0180 00 00"), true); }

TEST(Tear, InstallOfADomain) {
  const Scene scene = {.name = "INSTALL", .before = {}, .command = {}, .in_session = [](Card& card) {
                         return session(card, initial_keys())->protect(install_command());
                       }};
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    const bool there = send(*card, apdu("00A4040C", kDomain)).sw == 0x9000;
    if (there) {
      EXPECT_EQ(to_hex(send(*card, "00CA00E000").data), "E000") << "without keys " << at << "/" << second;
    } else {
      EXPECT_EQ(session(*card, initial_keys())->exchange(*card, install_command()).sw, 0x9000);
    }
    (there ? new_seen : old_seen) = true;
  });
  EXPECT_TRUE(old_seen && new_seen);
}

TEST(Tear, DeleteOfADomain) {
  const Scene scene = {.name = "DELETE, domain", .before = {}, .command = {}, .in_session = [](Card& card) {
                         const auto host = session(card, initial_keys());
                         EXPECT_EQ(host->exchange(card, install_command()).sw, 0x9000);
                         return host->protect(apdu("80E40080", hex("4F07") + kDomain, true));
                       }};
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t, std::size_t) {
    const auto card = boot();
    const u16 sw = send(*card, apdu("00A4040C", kDomain)).sw;
    EXPECT_TRUE(sw == 0x9000 || sw == 0x6A82);
    (sw == 0x9000 ? old_seen : new_seen) = true;
  });
  EXPECT_TRUE(old_seen && new_seen);
}

// Card-security 40 and 41: never issued with the keys everybody knows, never with none and not issued.
TEST(Tear, Behaviour40_41_IssueAndTheEndOfTheInitialKeysAreOneStep) {
  const Scene scene = {.name = "SET STATUS, issued", .before = {}, .command = {}, .in_session = [](Card& card) {
                         return session(card, initial_keys())->protect(hex("80F0800F"));
                       }};
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    const bool issued = send(*card, ef_fcp("4302", 10)).sw == 0x6982;
    EXPECT_EQ(key_information(*card), issued ? "E000" : kInitialSet) << at << "/" << second;
    (issued ? new_seen : old_seen) = true;
  });
  EXPECT_TRUE(old_seen && new_seen);
}

// --- Ledgers, records, key counters: what a cut leaves of balances, journals and rights to use
// ------------------------

const LedgerSample& sample() {
  static const LedgerSample the_sample;
  return the_sample;
}
constexpr char kLimit[] = "A306 8004 00000005";

// Another ledger, whose debit key may be used five times, in DF D105 under a name of its own.
LedgerSample limited_sample() {
  LedgerSample out;
  out.serial = hex("5E51A10000000002");
  out.settlement = false;
  return out;
}
const Memory kLimitedAid = hex("F04B4152544105");
const Memory kSamAid = hex("F04B4152544104");

void must(Card& card, const Memory& command) { ASSERT_EQ(send(card, command).sw, 0x9000) << to_hex(command); }

Memory entry(u8 mark) { return Memory(sample().entry, mark); }

// OPEN with the debit or credit key, in the DF that is current.
LedgerView open_ledger(Card& card, LedgerTerminal& terminal) {
  Answer answer = send(card, terminal.open_command());
  if (answer.sw >> 8 == 0x61) {
    const Answer rest = send(card, hex("00C00000") + Memory{static_cast<u8>(answer.sw)});
    answer = {.sw = rest.sw, .data = answer.data + rest.data};
  }
  EXPECT_EQ(answer.sw, 0x9000);
  return terminal.read_opening(answer.data);
}
LedgerTerminal opened(Card& card, u8 kind) {
  EXPECT_EQ(send(card, sample().select_df()).sw, 0x9000);
  LedgerTerminal terminal = sample().terminal(kind);
  (void)open_ledger(card, terminal);
  return terminal;
}
void transact(Card& card, u8 kind, const std::vector<u32>& counters, u8 mark) {
  LedgerTerminal terminal = opened(card, kind);
  const Answer answer = send(card, terminal.commit_command(counters, entry(mark)));
  ASSERT_EQ(answer.sw, 0x9000);
  (void)terminal.read_receipt(answer.data, read_u32(answer.data.data()));
  must(card, terminal.ratify_command());
}

Memory record_file(const std::string& id, const std::string& descriptor, const std::string& records) {
  return LedgerSample::create("8206" + descriptor + "41 0010 " + records + "8302" + id + "8603 000FFF 8A0100");
}

// A blank card with ledgers whose journal has gone round, record files, keys with a limit and a security module.
const Memory& applications() {
  static const Memory memory = [] {
    chip().memory = prepared();
    const auto card = boot();
    must(*card, record_file("4401", "02", "0003"));
    for (const u8 mark : {1, 2}) must(*card, apdu("00E20000", Memory(16, mark)));
    must(*card, record_file("4402", "04", "0003"));
    for (const u8 mark : {1, 2}) must(*card, apdu("00E20000", Memory(10, mark)));
    must(*card, record_file("4403", "06", "0003"));
    for (const u8 mark : {1, 2, 3, 4}) must(*card, apdu("00E20000", Memory(16, mark)));
    must(*card, LedgerSample::create("81020100 820122 83024B05 8502 0001 8603 0000FF 8A0100" + std::string(kLimit)));
    must(*card, hex("00460000"));
    must(*card, hex("00A40000023F00"));
    must(*card, sample().create_df());
    for (const Memory& command : sample().commands()) must(*card, command);
    for (u8 i = 1; i <= sample().kept; ++i) transact(*card, kCredit, {100U + i, i}, i);
    must(*card, hex("00A40000023F00"));
    must(*card, LedgerSample::create("820138 8302D105 8407" + to_hex(kLimitedAid) + "8603 0000FF A104 8102 01FF"));
    const LedgerSample limited = limited_sample();
    must(*card, limited.create_key("00E1", "80", kLimit));
    must(*card, limited.import_key(1, limited.key(kDebit)));
    must(*card, limited.create_key("00E2", "80"));
    must(*card, limited.import_key(1, limited.key(kCredit)));
    must(*card, limited.create_ledger());
    must(*card, hex("00A40000023F00"));
    must(*card, LedgerSample::create("820138 8302D104 8407" + to_hex(kSamAid) + "8603 0000FF A104 8102 01FF"));
    must(*card, sample().create_key("00E1", "81", kLimit));
    must(*card, sample().import_key(1, sample().master(kDebit)));
    return chip().memory;
  }();
  return memory;
}

std::string applications_portrait(Card& card) {
  std::string out = portrait(card);
  const auto add = [&](const std::string& name, const Answer& answer) {
    out += name + "=" + to_hex(answer.data) + "/" +
           to_hex(Memory{static_cast<u8>(answer.sw >> 8), static_cast<u8>(answer.sw)}) + "\n";
  };
  for (const char* id : {"4401", "4402", "4403", "4404", "4B05"}) {
    add(id, send(card, std::string("00A4080004 5015") + id + "00"));
    for (u8 record = 1; record <= 3; ++record) add("record", send(card, hex("00B2") + Memory{record, 4, 0}));
  }
  const Answer ledger = send(card, apdu("00A40400", sample().aid(), true));
  add("ledger", ledger);
  if (ledger.sw == 0x9000) {
    add("files", send(card, "00CA01A100"));
    LedgerTerminal terminal = sample().terminal(kDebit);
    if (send(card, "00A4020C020103").sw == 0x9000) {
      add("content", send(card, "00B0000000"));
      for (u8 record = 1; record <= sample().kept; ++record)
        add("entry", send(card, hex("00B2") + Memory{record, 4, 0}));
      if (send(card, terminal.open_command()).sw == 0x9000) {
        const LedgerView view = open_ledger(card, terminal);
        add("opening", {.sw = static_cast<u16>(view.ratified | view.credit << 1),
                        .data = be32(view.sequence) + be32(view.counters) + view.product + view.entry + view.code});
      }
    }
  }
  for (const Memory& aid : {kLimitedAid, kSamAid}) {
    add("df", send(card, apdu("00A40404", aid, true)));
    for (const char* id : {"00E1", "00E2", "0103"}) add(id, send(card, std::string("00A4020402") + id + "00"));
  }
  return out;
}

Scene of_applications(const char* name, std::vector<Memory> before, Memory command) {
  return {.name = name,
          .before = std::move(before),
          .command = std::move(command),
          .in_session = nullptr,
          .start = applications,
          .look = applications_portrait};
}
Scene of_applications(const char* name, std::function<Memory(Card&)> in_session) {
  return {.name = name,
          .before = {},
          .command = {},
          .in_session = std::move(in_session),
          .start = applications,
          .look = applications_portrait};
}

// Counters, journal, sequence and settlement code go together, whoever cuts what.
TEST(Tear, Behaviour50_51_CommitOfADebit) {
  expect_before_or_after(of_applications("COMMIT, debit", [](Card& card) {
    return opened(card, kDebit).commit_command({109, 10}, entry(0xD1));
  }));
}

TEST(Tear, Behaviour50_51_CommitOfACredit) {
  expect_before_or_after(of_applications("COMMIT, credit", [](Card& card) {
    return opened(card, kCredit).commit_command({900, 90}, entry(0xC1));
  }));
}

TEST(Tear, Behaviour50_Ratify) {
  expect_before_or_after(of_applications("RATIFY", [](Card& card) {
    LedgerTerminal terminal = opened(card, kDebit);
    const Answer answer = send(card, terminal.commit_command({109, 10}, entry(0xD1)));
    EXPECT_EQ(answer.sw, 0x9000);
    (void)terminal.read_receipt(answer.data, static_cast<u32>(sample().kept + 1));
    return terminal.ratify_command();
  }));
}

// A terminal that meets the torn card again settles: written, and it does not commit anew; or not, and it does, once.
TEST(Tear, Behaviour51_ATerminalSettlesWithoutChargingTwice) {
  const Scene scene = of_applications("COMMIT, settled afterwards", [](Card& card) {
    return opened(card, kDebit).commit_command({109, 10}, entry(0xD1));
  });
  const u32 was = static_cast<u32>(sample().kept);
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    ASSERT_EQ(send(*card, sample().select_df()).sw, 0x9000);
    LedgerTerminal terminal = sample().terminal(kDebit);
    const LedgerView view = open_ledger(*card, terminal);
    if (view.sequence == was) {
      old_seen = true;
      ASSERT_EQ(view.counters, (std::vector<u32>{110, 10})) << at << "/" << second;
      EXPECT_TRUE(view.ratified);
      ASSERT_EQ(send(*card, terminal.commit_command({109, 10}, entry(0xD1))).sw, 0x9000);
    } else {
      new_seen = true;
      ASSERT_EQ(view.entry, entry(0xD1));
      EXPECT_FALSE(view.ratified);
    }
    LedgerTerminal later = sample().terminal(kDebit);
    const LedgerView settled = open_ledger(*card, later);
    EXPECT_EQ(settled.sequence, was + 1) << "charged once " << at << "/" << second;
    EXPECT_EQ(settled.counters, (std::vector<u32>{109, 10}));
    EXPECT_EQ(settled.code, later.settlement_code(sample().key(kSettlement), was + 1, {109, 10}, entry(0xD1)));
  });
  EXPECT_TRUE(old_seen && new_seen);
}

TEST(Tear, Behaviour48_ProductOfALedger) {
  expect_before_or_after(of_applications("UPDATE BINARY, product of a ledger",
                                         {apdu("00A4040C", sample().aid()), hex("00A4020C020103")},
                                         apdu("00D60000", text("another product..."))));
}

TEST(Tear, Behaviour48_UpdateRecord) {
  expect_before_or_after(
      of_applications("UPDATE RECORD, linear fixed", {hex("00A4080C0450154401")}, apdu("00DC0104", Memory(16, 0x77))));
  expect_before_or_after(of_applications("UPDATE RECORD, linear variable", {hex("00A4080C0450154402")},
                                         apdu("00DC0104", Memory(14, 0x77))));
}

TEST(Tear, Behaviour48_AppendRecord) {
  expect_before_or_after(
      of_applications("APPEND RECORD, linear fixed", {hex("00A4080C0450154401")}, apdu("00E20000", Memory(16, 0x77))));
  expect_before_or_after(of_applications("APPEND RECORD, linear variable", {hex("00A4080C0450154402")},
                                         apdu("00E20000", Memory(7, 0x77))));
  expect_before_or_after(of_applications("APPEND RECORD, cyclic and full", {hex("00A4080C0450154403")},
                                         apdu("00E20000", Memory(16, 0x77))));
}

TEST(Tear, CreateRecordFile) {
  expect_before_or_after(of_applications("CREATE FILE, records", {}, record_file("4404", "06", "0020")));
}

TEST(Tear, CreateAndDeleteALedger) {
  Memory create = sample().create_ledger();
  expect_before_or_after(of_applications(
      "CREATE FILE, ledger", {apdu("00A4040C", sample().aid()), hex("00A4020C020103"), hex("00E40000")}, create));
  expect_before_or_after(of_applications("DELETE FILE, ledger",
                                         {apdu("00A4040C", sample().aid()), hex("00A4020C020103")}, hex("00E40000")));
}

TEST(Tear, DeleteAnApplication) {
  expect_before_or_after(
      of_applications("DELETE FILE, DF with a security module", {apdu("00A4040C", kSamAid)}, hex("00E40000")));
}

// Replaced whole or not at all; the portrait opens the ledger with the key that was, and fails with the one that came.
TEST(Tear, Behaviour31_ImportOfASymmetricKey) {
  const Scene scene = of_applications("PUT DATA, AES key", {apdu("00A4040C", sample().aid()), hex("00A4020C0200E1")},
                                      sample().import_key(9, Memory(16, 0x99)));
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    const auto card = boot();
    ASSERT_EQ(send(*card, sample().select_df()).sw, 0x9000);
    const auto opens = [&](const Memory& key) {
      LedgerTerminal terminal(kDebit, key, sample().serial, sample().counters, sample().entry);
      const Answer answer = send(*card, terminal.open_command());
      EXPECT_EQ(answer.sw, 0x9000) << at << "/" << second;
      try {
        (void)terminal.read_opening(answer.data);
        return true;
      } catch (const std::runtime_error&) {
        return false;
      }
    };
    const bool old_key = opens(sample().key(kDebit));
    ASSERT_NE(old_key, opens(Memory(16, 0x99))) << "one of the two " << at << "/" << second;
    (old_key ? old_seen : new_seen) = true;
    const Memory gone = old_key ? Memory(16, 0x99) : sample().key(kDebit);
    const auto& memory = chip().memory;
    EXPECT_EQ(std::search(memory.begin(), memory.end(), gone.begin(), gone.end()), memory.end()) << at << "/" << second;
  });
  EXPECT_TRUE(old_seen && new_seen);
}

// The use is spent before the key is touched: a cut may cost one, and never gives one.
TEST(Tear, Behaviour35_UsesOfASignatureKey) {
  expect_before_or_after(of_applications("PSO, key with a limit", {hex("002241B60A 800104 81024B05 840100")},
                                         hex("002A9E9A20") + Memory(32, 0x5A) + Memory{0}));
}

TEST(Tear, Behaviour35_UsesOfALedgersKey) {
  expect_before_or_after(of_applications("OPEN, key with a limit", {apdu("00A4040C", kLimitedAid)},
                                         apdu("80320100", Memory(16, 0x31), true)));
}

TEST(Tear, Behaviour35_UsesOfAMasterKey) {
  expect_before_or_after(of_applications("PREPARE, master with a limit", {apdu("00A4040C", kSamAid)},
                                         apdu("805201E1", sample().serial, true)));
}

TEST(Tear, LifeOfAFile) {
  expect_before_or_after(of_applications("DEACTIVATE FILE", {hex("00A4080C0450154401")}, hex("00040000")));
  expect_before_or_after(
      of_applications("ACTIVATE FILE", {hex("00A4080C0450154401"), hex("00040000")}, hex("00440000")));
  expect_before_or_after(of_applications("TERMINATE EF", {hex("00A4080C0450154401")}, hex("00E80000")));
  expect_before_or_after(of_applications("TERMINATE DF", {apdu("00A4040C", kSamAid)}, hex("00E60000")));
}

TEST(Tear, PutDataOfSecrets) {
  // The portrait shows tries of PINs only: PUK and CAN by what they refuse.
  const Scene puk = {
      .name = "PUT DATA, shared PUK", .before = {}, .command = hex("00DA010F0B") + text("9999999999") + Memory{7}};
  bool old_seen = false;
  bool new_seen = false;
  for_every_cut(puk, [&](std::size_t at, std::size_t second) {
    const PinState now = pin_state(2, {"5555"});
    ASSERT_TRUE(now.shared_puk_tries == 5 || now.shared_puk_tries == 7) << at << "/" << second;
    const auto card = boot();
    const std::string value = now.shared_puk_tries == 5 ? "12345678" : "99999999";
    EXPECT_EQ(send(*card, apdu("002C0002", pin(value) + pin("5555"))).sw, 0x9000) << at << "/" << second;
    (now.shared_puk_tries == 5 ? old_seen : new_seen) = true;
  });
  EXPECT_TRUE(old_seen && new_seen);
}

TEST(Tear, ImportOfAnEcKey) {
  expect_before_or_after(
      {.name = "PUT DATA, EC key",
       .before = {hex("00A4080C0450154B01")},
       .command = apdu("00DA0187", hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"))});
}

std::string manager_portrait(Card& card) {
  std::string out = portrait(card);
  EXPECT_EQ(send(card, "00A4040C08 A000000151000000").sw, 0x9000);
  for (const char* object : {"0042", "0045", "0066", "00E0"}) {
    const Answer answer = send(card, std::string("00CA") + object + "00");
    out += to_hex(answer.data) + std::to_string(answer.sw) + "\n";
  }
  out += std::to_string(send(card, ef_fcp("4305", 10)).sw) + "\n";  // 6985 on a locked card
  return out;
}

TEST(Tear, StoreDataOfTheCardManager) {
  Scene scene = {.name = "STORE DATA, issuer", .before = {}, .command = {}, .in_session = [](Card& card) {
                   return session(card, initial_keys())->protect(apdu("80E29100", hex("42 05 1122334455"), true));
                 }};
  scene.look = manager_portrait;
  expect_before_or_after(scene);
}

TEST(Tear, Behaviour40_LockingTheCard) {
  Scene scene = {.name = "SET STATUS, locked", .before = {}, .command = {}, .in_session = [](Card& card) {
                   return session(card, initial_keys())->protect(hex("80F0807F"));
                 }};
  bool open_seen = false;
  bool locked_seen = false;
  for_every_cut(scene, [&](std::size_t at, std::size_t second) {
    Card card(chip(), kDefaultConfig);
    chip().restore_power();
    ASSERT_TRUE(card.boot(Interface::contact));
    const u16 sw = send(card, "0084000008").sw;
    ASSERT_TRUE(sw == 0x9000 || sw == 0x6985) << at << "/" << second;
    (sw == 0x9000 ? open_seen : locked_seen) = true;
  });
  EXPECT_TRUE(open_seen && locked_seen);
}

}  // namespace
}  // namespace karta::os
