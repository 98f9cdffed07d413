// Tearing, of the card manager: what a cut leaves of keys, counters, domains and the card's life. (Card-security 23,
// 40, 41.)
#include "firmware-sim/os/test_tear.h"

namespace karta::os {
namespace {

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
