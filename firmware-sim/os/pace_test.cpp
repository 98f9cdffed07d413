// PACE: all curves and ciphers, passwords and their states as TR-03110 terminals meet them, hostile terminals.
#include <gtest/gtest.h>

#include "firmware-sim/os/test_eac.h"

namespace karta::os {
namespace {

const Chain& chain() {
  static const Chain made = Chain::make();
  return made;
}

class PaceTest : public testing::Test {
 protected:
  // A card is a second of cryptography at most; each test has its own.
  EacCard card{chain()};

  u16 announced(u8 reference) {
    PaceTerminal terminal;
    terminal.reference = reference;
    return card.plain(terminal.set_command()).sw;
  }
  void fail_pin(int times) {
    for (int i = 0; i < times; ++i) {
      card.restart();
      card.open(3, "000000");
    }
    card.restart();
  }
};

TEST_F(PaceTest, EveryCurveAndCipherTheCardAnnouncesOpensAChannel) {
  for (const u8 domain : {0x0C, 0x0D, 0x0F, 0x10, 0x11}) {
    for (const u8 number : {2, 3, 4}) {
      card.restart();
      PaceTerminal terminal;
      terminal.domain = domain;
      terminal.number = number;
      ASSERT_EQ(terminal.run(card.exchange()), 0x9000) << int{domain} << " " << int{number};
      card.channel = terminal.channel();
      EXPECT_EQ(card.run("00A40000023F00").sw, 0x9000);
      EXPECT_EQ(card.select_identity(), 0x9000);
    }
  }
}

TEST_F(PaceTest, EachPasswordOpensAndAWrongOneSaysWhatTerminalsExpect) {
  EXPECT_EQ(card.open(2, "123456"), 0x9000);
  card.restart();
  EXPECT_EQ(card.open(3, "123456"), 0x9000);
  card.restart();
  EXPECT_EQ(card.open(4, "9081726354"), 0x9000);
  card.restart();
  EXPECT_EQ(card.open(2, "654321"), 0x6300);
  EXPECT_EQ(card.open(4, "9081726355"), 0x6300);
  EXPECT_EQ(card.open(3, "654321"), 0x63C2);
  EXPECT_EQ(announced(2), 0x9000);
  EXPECT_EQ(announced(3), 0x63C2);
  EXPECT_EQ(announced(4), 0x9000);
  EXPECT_EQ(announced(1), 0x6A88);
  // The eight digits MyEID knows of the PUK are not the PUK here.
  EXPECT_EQ(card.open(4, "90817263"), 0x6300);
}

TEST_F(PaceTest, FirstPaceInfoIsTakenWithoutChatAndWithoutDomainParameters) {
  PaceTerminal terminal;
  terminal.name_domain = false;
  EXPECT_EQ(terminal.run(card.exchange()), 0x9000);  // 0D is the first the card announces
}

TEST_F(PaceTest, WhatIsNotAnnouncedIsRefused) {
  const auto set = [&](const std::string& data) { return card.plain(apdu("0022C1A4", hex(data))).sw; };
  const std::string oid = "800A04007F00070202040202";
  EXPECT_EQ(set(oid + "830102 84010D"), 0x9000);
  EXPECT_EQ(set(oid + "830102 84010E"), 0x6A80);                     // another curve
  EXPECT_EQ(set(oid + "830102 840112"), 0x6A80);                     // P-521, not announced
  EXPECT_EQ(set("800A04007F00070202040201 830102 84010D"), 0x6A80);  // 3DES
  EXPECT_EQ(set("800A04007F00070202040402 830102 84010D"), 0x6A80);  // integrated mapping
  EXPECT_EQ(set("800A04007F00070202040102 830102 840100"), 0x6A80);  // finite field
  EXPECT_EQ(set(oid + "830105 84010D"), 0x6A88);
  EXPECT_EQ(set(oid + "84010D"), 0x6A80);
  EXPECT_EQ(set("830102 84010D"), 0x6A80);
  EXPECT_EQ(set(oid + "830102 830103"), 0x6A80);                                  // twice
  EXPECT_EQ(set(oid + "830102 950101"), 0x6A80);                                  // unknown
  EXPECT_EQ(set(oid + "830102 7F4C0E06090400 7F0007030102 04 5301 00"), 0x6A80);  // no such terminal type
}

TEST_F(PaceTest, StepsHaveOneOrderAndAFaultEndsTheRun) {
  PaceTerminal terminal;
  const KeyPair key = KeyPair::make(Curve::brainpool_p256r1);
  EXPECT_EQ(card.plain(PaceTerminal::step({})).sw, 0x6982);  // nothing set up
  ASSERT_EQ(terminal.set(card.exchange()), 0x9000);
  EXPECT_EQ(card.plain(PaceTerminal::step(tlv(0x83, key.point))).sw, 0x6A80);
  ASSERT_EQ(terminal.set(card.exchange()), 0x9000);
  EXPECT_EQ(card.plain(PaceTerminal::step({}, true)).sw, 0x6985);  // the last step's class at the first
  ASSERT_EQ(terminal.set(card.exchange()), 0x9000);
  ASSERT_EQ(terminal.ask_nonce(card.exchange()), 0x9000);
  EXPECT_EQ(card.plain(PaceTerminal::step({})).sw, 0x6A80);  // the nonce twice
  EXPECT_NE(card.plain(PaceTerminal::step(tlv(0x81, key.point))).sw, 0x9000);
  // Half a run leaves nothing: a token out of nowhere.
  ASSERT_EQ(terminal.set(card.exchange()), 0x9000);
  EXPECT_EQ(card.plain(PaceTerminal::step(tlv(0x85, Memory(8)), true)).sw, 0x6985);
  EXPECT_EQ(announced(3), 0x9000);  // and no try was taken by any of it
}

// Card-security 22: received points are checked.
TEST_F(PaceTest, Behaviour22_BadPointsEndPace) {
  for (const u8 domain : {0x0C, 0x0D, 0x0F, 0x10, 0x11}) {
    Curve curve = Curve::p256;
    ASSERT_TRUE(curve_of(domain, curve));
    const KeyPair key = KeyPair::make(curve);
    Memory off = key.point;
    off.back() ^= 1;
    Memory compressed = slice(key.point, 0, 1 + field_bytes(curve));
    compressed[0] = 0x02;
    Memory hybrid = key.point;
    hybrid[0] = static_cast<u8>(6 + (hybrid.back() & 1));
    const Memory other_size = key.point + Memory{0};
    const KeyPair other = KeyPair::make(curve == Curve::p256 ? Curve::brainpool_p256r1 : Curve::p256);
    Memory beyond(point_bytes(curve), 0xFF);  // coordinates not below the prime
    beyond[0] = 4;
    const Memory bad[] = {off, compressed, hybrid, other_size, other.point, beyond, {0x00}, Memory(point_bytes(curve)),
                          {}};
    for (const Memory& point : bad) {
      PaceTerminal terminal;
      terminal.domain = domain;
      terminal.reference = 3;
      ASSERT_EQ(terminal.set(card.exchange()), 0x9000);
      ASSERT_EQ(terminal.ask_nonce(card.exchange()), 0x9000);
      EXPECT_EQ(card.plain(PaceTerminal::step(tlv(0x81, point))).sw, 0x6A80) << to_hex(point);
      ASSERT_EQ(terminal.set(card.exchange()), 0x9000);
      ASSERT_EQ(terminal.ask_nonce(card.exchange()), 0x9000);
      ASSERT_EQ(terminal.map(card.exchange()), 0x9000);
      EXPECT_EQ(card.plain(PaceTerminal::step(tlv(0x83, point))).sw, 0x6A80) << to_hex(point);
      EXPECT_NE(card.plain(PaceTerminal::step(tlv(0x85, Memory(8)), true)).sw, 0x9000);
    }
  }
  EXPECT_EQ(announced(3), 0x9000);
}

// Card-security 22: the card's own key sent back is not a key.
TEST_F(PaceTest, Behaviour22_TheCardsOwnKeyEchoedIsRefused) {
  // What the card will draw is known beforehand only to a test.
  const KeyPair drawn = KeyPair::make(Curve::brainpool_p256r1);
  PaceTerminal terminal;
  ASSERT_EQ(terminal.set(card.exchange()), 0x9000);
  ASSERT_EQ(terminal.ask_nonce(card.exchange()), 0x9000);
  card.chip.draws = {drawn.scalar};
  EXPECT_EQ(card.plain(PaceTerminal::step(tlv(0x81, drawn.point))).sw, 0x6A80);

  ASSERT_EQ(terminal.set(card.exchange()), 0x9000);
  ASSERT_EQ(terminal.ask_nonce(card.exchange()), 0x9000);
  ASSERT_EQ(terminal.map(card.exchange()), 0x9000);
  Memory on_mapped(drawn.point.size());
  ASSERT_EQ(test_aes().ec_multiply(Curve::brainpool_p256r1, drawn.scalar, terminal.generator, on_mapped),
            HalStatus::ok);
  card.chip.draws = {drawn.scalar};
  EXPECT_EQ(card.plain(PaceTerminal::step(tlv(0x83, on_mapped))).sw, 0x6A80);
  EXPECT_TRUE(card.chip.draws.empty());
}

// The token the card sent, sent back; and tokens one bit wrong, cut and lengthened.
TEST_F(PaceTest, OnlyTheWholeTokenOpens) {
  const auto attempt = [&](const std::function<Memory(const PaceTerminal&)>& token) {
    card.restart();
    PaceTerminal terminal;
    EXPECT_EQ(terminal.set(card.exchange()), 0x9000);
    EXPECT_EQ(terminal.ask_nonce(card.exchange()), 0x9000);
    EXPECT_EQ(terminal.map(card.exchange()), 0x9000);
    EXPECT_EQ(terminal.agree(card.exchange()), 0x9000);
    return card.plain(PaceTerminal::step(tlv(0x85, token(terminal)), true)).sw;
  };
  EXPECT_EQ(attempt([](const PaceTerminal& t) { return t.token(t.card_ephemeral); }), 0x9000);
  EXPECT_EQ(attempt([](const PaceTerminal& t) { return t.token(t.ephemeral.point); }), 0x6300);
  EXPECT_EQ(attempt([](const PaceTerminal& t) { return slice(t.token(t.card_ephemeral), 0, 7); }), 0x6A80);
  EXPECT_EQ(attempt([](const PaceTerminal& t) { return t.token(t.card_ephemeral) + Memory{0}; }), 0x6A80);
  EXPECT_EQ(attempt([](const PaceTerminal& t) {
              Memory token = t.token(t.card_ephemeral);
              token[7] ^= 1;
              return token;
            }),
            0x6300);
}

// Card-security 11: the last try of PIN 1 needs the CAN; PACE with the PIN then runs inside the CAN's channel.
TEST_F(PaceTest, Behaviour11_SuspendedPinIsResumedByTheCan) {
  fail_pin(2);
  EXPECT_EQ(announced(3), 0x63C1);
  EXPECT_EQ(card.open(3, "123456"), 0x6985);  // even the right one
  EXPECT_EQ(announced(3), 0x63C1);
  card.restart();
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  EXPECT_EQ(card.open(3, "123456"), 0x9000);  // inside; the next command is under the new keys
  EXPECT_EQ(card.select_identity(), 0x9000);
  card.restart();
  EXPECT_EQ(announced(3), 0x9000);

  fail_pin(2);
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  EXPECT_EQ(card.open(3, "000000"), 0x63C0);
  EXPECT_EQ(card.select_identity(), 0x9000);  // a wrong PIN inside leaves the CAN's channel as it was
  card.restart();
  EXPECT_EQ(announced(3), 0x63C0);
  EXPECT_EQ(card.open(3, "123456"), 0x6983);
  card.restart();
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  EXPECT_EQ(card.open(3, "123456"), 0x6983);
}

// Card-security 11: the same holds for VERIFY over contactless, and not on the contacts.
TEST_F(PaceTest, Behaviour11_LastVerifyOverContactlessNeedsTheCan) {
  const Memory verify = apdu("00200001", pin("000000"));
  const auto verify_in = [&](u8 reference, const std::string& password, const std::string& value) {
    card.restart();
    EXPECT_EQ(card.open(reference, password), 0x9000);
    EXPECT_EQ(card.run("00A404000CA000000063504B43532D3135").sw, 0x9000);
    return card.run(apdu("00200001", pin(value))).sw;
  };
  EXPECT_EQ(verify_in(4, "9081726354", "000000"), 0x63C2);
  EXPECT_EQ(verify_in(4, "9081726354", "000000"), 0x63C1);
  EXPECT_EQ(verify_in(4, "9081726354", "123456"), 0x6985);
  EXPECT_EQ(verify_in(2, "123456", "123456"), 0x9000);
  fail_pin(2);
  card.restart(Interface::contact);
  EXPECT_EQ(card.plain(verify).sw, 0x63C0);
}

// Card-security 11: wrong CANs never block; they make the next one wait.
TEST_F(PaceTest, Behaviour11_WrongCanDelaysAndNeverBlocks) {
  for (int i = 0; i < 8; ++i) {
    card.restart();
    const std::size_t before = card.chip.waited;
    EXPECT_EQ(card.open(2, "000000"), 0x6300);
    EXPECT_EQ(card.chip.waited - before, i < 3 ? 0U : 1000U) << i;
  }
  card.restart();
  EXPECT_EQ(card.open(2, "123456"), 0x9000);
  const std::size_t before = card.chip.waited;
  card.restart();
  EXPECT_EQ(card.open(2, "000000"), 0x6300);
  EXPECT_EQ(card.chip.waited, before);
}

TEST_F(PaceTest, PukHasItsOwnCounterThatEndsForGood) {
  for (int i = 0; i < 3; ++i) {
    card.restart();
    EXPECT_EQ(card.open(4, "0000000000"), 0x6300);
  }
  card.restart();
  EXPECT_EQ(announced(4), 0x63C0);
  EXPECT_EQ(card.open(4, "9081726354"), 0x6983);
  // MyEID's way to the same object is closed with it.
  card.restart(Interface::contact);
  EXPECT_EQ(card.plain(apdu("002C0001", pin("90817263") + pin("222222"))).sw, 0x6983);
}

// Card-security 1: the try is gone before anything is compared, and back only after success.
TEST_F(PaceTest, Behaviour01_TryIsSpentBeforeTheTokensAreCompared) {
  // Cut at every write of a right and of a wrong PIN: never more tries than before.
  for (const std::string value : {"123456", "000000"}) {
    for (std::size_t at = 1;; ++at) {
      EacCard fresh(chain());
      fresh.pace.reference = 3;
      fresh.pace.password = value;
      ASSERT_EQ(fresh.pace.set(fresh.exchange()), 0x9000);
      ASSERT_EQ(fresh.pace.ask_nonce(fresh.exchange()), 0x9000);
      ASSERT_EQ(fresh.pace.map(fresh.exchange()), 0x9000);
      ASSERT_EQ(fresh.pace.agree(fresh.exchange()), 0x9000);
      fresh.chip.cut_power_at(at, kCuts[at % 4]);
      const u16 sw = fresh.pace.finish(fresh.exchange());
      const bool cut = !fresh.chip.powered;
      fresh.restart();
      PaceTerminal status;
      status.reference = 3;
      const u16 left = fresh.plain(status.set_command()).sw;
      if (value == "123456") {
        EXPECT_TRUE(left == 0x9000 || left == 0x63C2) << at;
      } else if (cut) {
        EXPECT_TRUE(left == 0x9000 || left == 0x63C2) << at;
        EXPECT_NE(sw, 0x9000);
      } else {
        EXPECT_EQ(left, 0x63C2);
      }
      if (!cut) {
        EXPECT_GT(at, 2U);
        break;
      }
    }
  }
}

TEST_F(PaceTest, NewPinNeedsItsPaceAndNewTriesThePuk) {
  const Memory new_pin = apdu("002C0203", text("222222"));
  const Memory unblock = hex("002C0303");
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  EXPECT_EQ(card.run(new_pin).sw, 0x6982);
  EXPECT_EQ(card.run(unblock).sw, 0x6982);
  card.restart();
  ASSERT_EQ(card.open(4, "9081726354"), 0x9000);
  EXPECT_EQ(card.run(new_pin).sw, 0x6982);
  card.restart();
  fail_pin(2);
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  EXPECT_EQ(card.open(3, "000000"), 0x63C0);
  card.restart();
  ASSERT_EQ(card.open(4, "9081726354"), 0x9000);
  EXPECT_EQ(card.run(unblock).sw, 0x9000);
  card.restart();
  EXPECT_EQ(announced(3), 0x9000);
  ASSERT_EQ(card.open(3, "123456"), 0x9000);
  EXPECT_EQ(card.run(unblock).sw, 0x6982);
  EXPECT_EQ(card.run(apdu("002C0203", text("22222"))).sw, 0x6A80);
  EXPECT_EQ(card.run(apdu("002C0203", text("22222A"))).sw, 0x6A80);
  EXPECT_EQ(card.run(apdu("002C0203", text("222222222"))).sw, 0x6700);
  EXPECT_EQ(card.run(new_pin).sw, 0x9000);
  card.restart();
  EXPECT_EQ(card.open(3, "123456"), 0x63C2);
  card.restart();
  EXPECT_EQ(card.open(3, "222222"), 0x9000);
  // One object: VERIFY knows the new one too, and PACE was no VERIFY.
  EXPECT_EQ(card.run("00A404000CA000000063504B43532D3135").sw, 0x9000);
  EXPECT_EQ(card.run("00200001").sw, 0x63C3);
  EXPECT_EQ(card.run(apdu("00200001", pin("222222"))).sw, 0x9000);
}

// Card-security 9: a transport PIN opens a channel that is good for its own replacement.
TEST_F(PaceTest, Behaviour09_TransportPinPermitsOnlyItsReplacement) {
  EacCard fresh(chain(), Curve::brainpool_p256r1, 160, "12345");
  ASSERT_EQ(fresh.open(3, "12345", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
  EXPECT_EQ(fresh.select_identity(), 0x9000);
  EXPECT_EQ(fresh.read_group(1), 0x6982);
  EXPECT_EQ(EacTerminal::present(fresh.exchange(), fresh.chain.verifier), 0x6982);
  EXPECT_EQ(fresh.run("00A404000CA000000063504B43532D3135").sw, 0x9000);
  EXPECT_EQ(fresh.run("00A40200024301").sw, 0x9000);
  EXPECT_EQ(fresh.run("00B0000000").sw, 0x6982);
  EXPECT_EQ(fresh.run(apdu("00200001", pin("12345"))).sw, 0x6984);
  EXPECT_EQ(fresh.run(apdu("002C0203", text("23456"))).sw, 0x6A80);
  EXPECT_EQ(fresh.run(apdu("002C0203", text("234567"))).sw, 0x9000);
  EXPECT_EQ(fresh.run("00B0000000").sw, 0x6982);  // still the same channel
  fresh.restart();
  EXPECT_EQ(fresh.open(3, "234567"), 0x9000);
  EXPECT_EQ(fresh.run("00A4080004 50154301").sw, 0x9000);
  EXPECT_EQ(fresh.run("00B0000000").sw, 0x9000);
}

TEST_F(PaceTest, NothingOfARunSurvivesAReset) {
  PaceTerminal terminal;
  ASSERT_EQ(terminal.set(card.exchange()), 0x9000);
  ASSERT_EQ(terminal.ask_nonce(card.exchange()), 0x9000);
  ASSERT_TRUE(card.card->reset(Interface::contactless));
  const KeyPair key = KeyPair::make(Curve::brainpool_p256r1);
  EXPECT_NE(card.plain(PaceTerminal::step(tlv(0x81, key.point))).sw, 0x9000);
}

TEST_F(PaceTest, WorksOnTheContactsToo) {
  card.restart(Interface::contact);
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  EXPECT_EQ(card.select_identity(), 0x9000);
  EXPECT_EQ(card.read_group(1), 0x6982);
}

}  // namespace
}  // namespace karta::os
