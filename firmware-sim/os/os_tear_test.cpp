// Tearing, of PINs, files and keys: no try is gained, no file or key pair is half there. (Card-security 1 to 3, 6, 7,
// 31, 38, 48, 49.) With its two neighbours every command that changes the memory is here.
#include "firmware-sim/os/test_tear.h"

namespace karta::os {
namespace {

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

}  // namespace
}  // namespace karta::os
