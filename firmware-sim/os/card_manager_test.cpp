// The card manager: sessions, keys, life and domains, as an issuing centre and a department use them.
#include <set>

#include "firmware-sim/os/card_fixture.h"
#include "firmware-sim/os/test_ledger.h"
#include "firmware-sim/os/test_session.h"

namespace karta::os {
namespace {

constexpr u8 kLevels[] = {0x01, 0x03, 0x11, 0x13, 0x33};
const Memory kHealth = hex("F04B4152544110");
const Memory kTransit = hex("F04B4152544111");

class CardManagerTest : public CardTest {
 protected:
  void select_manager() { expect("00A4040008 A000000151000000", 0x9000); }
  void select_name(const Memory& name) { EXPECT_EQ(run(apdu("00A4040C", name)).sw, 0x9000); }

  // A session of the issuer, or of the domain selected before.
  std::unique_ptr<Scp03Host> session(const HostKeys& keys, u8 level, std::size_t mode = 8) {
    auto host = std::make_unique<Scp03Host>(keys, mode);
    EXPECT_EQ(host->open(*card, level), 0x9000);
    return host;
  }
  u16 secured(Scp03Host& host, const std::string& command) { return host.exchange(*card, command).sw; }

  // The issuer's own keys in place of the blank card's, the key that domains are loaded with, then the end of
  // personalisation.
  void issue_with_own_keys() {
    auto host = session(initial_keys(), 0x33);
    EXPECT_EQ(secured(*host, "00A40000"), 0x9000);
    EXPECT_EQ(secured(*host, create("81020100 820122 830200C5 8603FFFFFF 85020040 8A0100")), 0x9000);
    const Answer generated = host->exchange(*card, hex("0046000000"));
    EXPECT_EQ(generated.sw, 0x9000);
    loading_point = slice(generated.data, 5, 65);
    EXPECT_EQ(host->exchange(*card, host->put_key(0, 0x30, issuer_keys)).sw, 0x9000);
    EXPECT_EQ(secured(*host, std::string("00A404000C") + kEsignAid), 0x9000);
    EXPECT_EQ(secured(*host, create("80020010 820101 83024301 860301FFFF 8A0100")), 0x9000);
    EXPECT_EQ(secured(*host, "80F0800F"), 0x9000);
    restart();
    select_manager();
  }

  static Memory install_data(const Memory& name, const Memory& parameters = hex("C900")) {
    return hex("07A0000001515350 08A000000151535041") + Memory{static_cast<u8>(name.size())} + name + hex("0180") +
           Memory{static_cast<u8>(parameters.size())} + parameters + Memory{0};
  }
  u16 install(Scp03Host& host, const Memory& name, const Memory& parameters = hex("C900")) {
    return host.exchange(*card, apdu("80E60C00", install_data(name, parameters), true)).sw;
  }

  // What a department does at its own desk: an ephemeral key, the card's public key, and from both the domain's keys.
  struct Department {
    Department(const Memory& domain, std::size_t octets, u8 version_number)
        : name(domain), n(static_cast<u8>(octets)), version(version_number), scalar(32), point(65) {
      EXPECT_EQ(test_aes().ec_generate(Curve::p256, scalar, point), HalStatus::ok);
      message =
          hex("A60F 900103 95013C 800188 8101") + Memory{n} + hex("8301") + Memory{version} + hex("5F4941") + point;
    }
    // Derives from the card's point; true when the receipt is the card's.
    bool accept(const Memory& card_point, const Memory& answer) {
      Memory z(32);
      EXPECT_EQ(test_aes().ec_agree(Curve::p256, scalar, card_point, z), HalStatus::ok);
      const Memory info = Memory{0x3C, 0x88, n, static_cast<u8>(name.size())} + name + Memory{kSerialBytes} +
                          Memory(kSerial, kSerial + kSerialBytes);
      Memory material;
      for (u8 i = 1; material.size() < 4U * n; ++i) {
        const Memory input = z + Memory{0, 0, 0, i} + info;
        Memory block(32);
        const ByteView parts[] = {input};
        EXPECT_EQ(test_aes().digest(Digest::sha256, parts, block), HalStatus::ok);
        material = material + block;
      }
      keys = {slice(material, n, n), slice(material, 2U * n, n), slice(material, 3U * n, n)};
      return answer == hex("8610") + cmac(slice(material, 0, n), message);
    }

    Memory name;
    u8 n;
    u8 version;
    Memory scalar;
    Memory point;
    Memory message;
    HostKeys keys;
  };
  Answer load_keys(Scp03Host& host, const Department& department) {
    const Memory choice =
        hex("0000") + Memory{static_cast<u8>(department.name.size())} + department.name + hex("000000");
    EXPECT_EQ(host.exchange(*card, apdu("80E62000", choice, true)).sw, 0x9000);
    return host.exchange(*card, apdu("80E29100", department.message, true));
  }
  // A domain whose keys its department has.
  Department make_domain(const Memory& name, std::size_t octets = 16) {
    select_manager();
    auto host = session(issuer_keys, 0x33);
    EXPECT_EQ(install(*host, name), 0x9000);
    Department department(name, octets, 0x01);
    const Answer receipt = load_keys(*host, department);
    EXPECT_EQ(receipt.sw, 0x9000);
    EXPECT_TRUE(department.accept(loading_point, receipt.data));
    return department;
  }

  u32 sequence_of(u8 version) {
    Scp03Host host(version == 1 ? initial_keys() : issuer_keys);
    EXPECT_EQ(host.initialize(*card, version).sw, 0x9000);
    return static_cast<u32>(host.sequence[0]) << 16 | read_u16(&host.sequence[1]);
  }

  HostKeys issuer_keys = sample_keys(32, 7);
  Memory loading_point;
};

TEST_F(CardManagerTest, IsSelectedByItsNameItsBeginningAndNoName) {
  const std::string fci = "6F118408A000000151000000A5059F65020800";
  EXPECT_EQ(to_hex(run("00A4040008 A000000151000000 00").data), fci);
  EXPECT_EQ(to_hex(run("00A4040007 A0000001510000 00").data), fci);
  EXPECT_EQ(to_hex(run("00A4040000").data), fci);
  EXPECT_TRUE(run("00A4040C08 A000000151000000").data.empty());
  expect("00A4040006 A00000015100", 0x6A82);
  expect("00A4040008 A000000151000001", 0x6A82);
  expect("00A4040009 A00000015100000000", 0x6A82);
  select_esign();
  put_pin(1, "1234", "87654321");
  EXPECT_EQ(verify(1, "1234"), 0x9000);
  select_manager();
  EXPECT_EQ(status(1), 0x63C3) << "another application";
  expect(create("82013883025016 8408A000000151000000 8603000FFF 85020000 8A0100"), 0x6A8A);
}

// A PIN made with option 04 gets a new transport value from the issuer's session, as it was made otherwise; a qualified
// key's PIN, and a card whose PIN lacks the option, never.
TEST_F(CardManagerTest, TheIssuerResetsOnlyWhatWasMadeForIt) {
  {
    auto host = session(initial_keys(), 0x33);
    ASSERT_EQ(host->exchange(*card, host->put_key(0, 2, issuer_keys)).sw, 0x9000);
  }
  select_esign();
  put_pin(1, "11111", "", 3, 0, 0x07);
  put_pin(2, "22222", "", 3, 0, 0x03);
  EXPECT_EQ(run(hex("00DA010F0B") + text("1234567890") + Memory{10}).sw, 0x9000);
  expect(std::string("004404000C") + kEsignAid, 0x9000);
  const auto object = [&](const char* reference, const char* value, u8 tries, u8 options) {
    return std::string("00DA01") + reference + "13" + to_hex(pin(value)) + "FFFFFFFFFFFFFFFF" +
           to_hex(Memory{tries, 0, options});
  };
  // Activated, not issued, and in plain.
  expect(object("01", "33333", 3, 0x07), 0x6985);
  expect("0044000002 3F00", 0x9000);
  restart();
  select_esign();
  EXPECT_EQ(change(1, "11111", "123789"), 0x9000);
  for (int i = 0; i < 3; ++i) EXPECT_NE(verify(1, "999999"), 0x9000);
  EXPECT_EQ(verify(1, "123789"), 0x6983);
  // Outside the issuer's session.
  expect(object("01", "33333", 3, 0x07), 0x6982);
  {
    auto host = session(issuer_keys, 0x33);
    EXPECT_EQ(secured(*host, object("02", "33333", 3, 0x03)), 0x6985);
    EXPECT_EQ(secured(*host, object("02", "33333", 3, 0x07)), 0x6985) << "nor by adding the option";
    EXPECT_EQ(secured(*host, object("01", "33333", 3, 0x03)), 0x6985) << "nor by taking it away";
    EXPECT_EQ(secured(*host, object("01", "333333", 3, 0x06)), 0x6985)
        << "a PIN of the issuer's that is none of transport";
    EXPECT_EQ(secured(*host, object("01", "33333", 3, 0x07)), 0x9000);
  }
  select_esign();
  EXPECT_EQ(to_hex(run("00CA01B000").data), "0F010305020301");
  EXPECT_EQ(verify(1, "33333"), 0x6984) << "good for being changed only";
  EXPECT_EQ(change(1, "33333", "246813"), 0x9000);
  EXPECT_EQ(verify(1, "246813"), 0x9000);
  EXPECT_EQ(change(2, "22222", "135792"), 0x9000) << "PIN 2 is as it was";
  EXPECT_NE(verify(1, "999999"), 0x9000);
  EXPECT_EQ(to_hex(run("00CA01B000").data), "0F010204020300");
}

TEST_F(CardManagerTest, ShowsWhatItIs) {
  EXPECT_EQ(to_hex(run("80CA006600").data),
            "6631732F06072A864886FC6B01600C060A2A864886FC6B02020301"
            "630906072A864886FC6B03640B06092A864886FC6B040370");
  EXPECT_EQ(to_hex(run("80CA00E000").data), "E012C00401018810C00402018810C00403018810");
  EXPECT_EQ(to_hex(run("00CA00C100").data), "C103000000");
  EXPECT_EQ(to_hex(run("00CA004500").data), "450AA0010203040506070809");
  expect("00CA004200", 0x6A88);
  auto host = session(initial_keys(), 0x03);
  EXPECT_EQ(secured(*host, "80E290000B 4203112233 4504DEADBEEF"), 0x9000);
  EXPECT_EQ(to_hex(host->exchange(*card, "00CA004200").data), "4203112233");
  EXPECT_EQ(to_hex(host->exchange(*card, "80CA004500").data), "4504DEADBEEF");
  EXPECT_EQ(secured(*host, "80E290000D 450BDEADBEEF00112233445566"), 0x6A80);
  EXPECT_EQ(secured(*host, "80E2100005 4203112233"), 0x6A86);
  EXPECT_EQ(to_hex(run("00CA00C100").data), "") << "plain: the session is over";
  EXPECT_EQ(to_hex(run("00CA00C100").data), "C103000001");
}

// Every level, both modes, every key length; each with commands of every kind, long answers included.
TEST_F(CardManagerTest, EveryLevelModeAndKeyLength) {
  select_esign();
  create_ef("4301", 600);
  HostKeys present = initial_keys();
  u8 version = 0;
  for (const std::size_t octets : {16, 24, 32}) {
    const HostKeys next = sample_keys(octets, static_cast<u8>(octets));
    auto host = session(present, 0x03);
    const Answer put = host->exchange(*card, host->put_key(version, static_cast<u8>(octets), next));
    ASSERT_EQ(put.sw, 0x9000);
    EXPECT_EQ(put.data, Memory{static_cast<u8>(octets)} + Scp03Host::check_value(next.enc) +
                            Scp03Host::check_value(next.mac) + Scp03Host::check_value(next.dek));
    present = next;
    version = static_cast<u8>(octets);
    for (const std::size_t mode : {8, 16}) {
      for (const u8 level : kLevels) {
        SCOPED_TRACE(std::to_string(octets) + "/" + std::to_string(mode) + "/" + std::to_string(level));
        restart();
        host = session(present, level, mode);
        EXPECT_EQ(secured(*host, std::string("00A404000C") + kEsignAid), 0x9000) << "SELECT keeps the session";
        EXPECT_EQ(secured(*host, "00A4020C024301"), 0x9000);
        Memory content(600);
        for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<u8>(i + level);
        EXPECT_EQ(host->exchange(*card, hex("00D60000000258") + content).sw, 0x9000) << "extended";
        EXPECT_EQ(host->exchange(*card, hex("00B0000000")).data, slice(content, 0, 256)) << "61xx where it is longer";
        EXPECT_EQ(host->exchange(*card, hex("00B00000000258")).data, content);
        EXPECT_EQ(secured(*host, "00A40000"), 0x9000) << "without data";
        EXPECT_EQ(secured(*host, "00A4000002 9999"), 0x6A82) << "an error, without MAC";
        EXPECT_EQ(secured(*host, "80F28002024F0000"), 0x9000);
        EXPECT_EQ(secured(*host, "A0E4000002 4399"), 0x6A82) << "class A0";
        EXPECT_EQ(secured(*host, "00EE0000"), 0x6D00);
      }
    }
  }
}

TEST_F(CardManagerTest, ChainsUnderTheSession) {
  auto host = session(initial_keys(), 0x33);
  EXPECT_EQ(secured(*host, std::string("00A404000C") + kEsignAid), 0x9000);
  EXPECT_EQ(secured(*host, create("80020200 820101 83024301 8603000FFF 8A0100")), 0x9000);
  Memory content(500);
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<u8>(i * 3);
  for (const u8 level : kLevels) {
    host = session(initial_keys(), level);
    content[0] = level;
    EXPECT_EQ(secured(*host, "00A4080C0450154301"), 0x9000);
    EXPECT_EQ(host->exchange_in_parts(*card, hex("00D600000001F4") + content).sw, 0x9000);
    EXPECT_EQ(to_hex(host->exchange(*card, hex("00B000000001F4")).data), to_hex(content));
    // A part that is lost, and one from elsewhere.
    const PlainCommand whole = take_apart(host->protect(hex("00D600000001F4") + content));
    EXPECT_EQ(run(hex("14D60000FF") + slice(whole.data, 0, 255)).sw, 0x9000);
    EXPECT_EQ(run(hex("04D6000080") + slice(whole.data, 270, 128)).sw, 0x6982);
    host = session(initial_keys(), level);
    const PlainCommand other = take_apart(host->protect(hex("00D600000001F4") + content));
    EXPECT_EQ(run(hex("14D60000FF") + slice(other.data, 0, 255)).sw, 0x9000);
    EXPECT_EQ(run("00B0000000").sw, 0x6987) << "plain between the parts";
    EXPECT_EQ(run(hex("04D60000C8") + slice(other.data, 255, 200)).sw, 0x6882);
  }
}

// Card-security 23.
TEST_F(CardManagerTest, Behaviour23_WrongCryptogramOrLowerLevelGivesNoAccess) {
  issue_with_own_keys();
  const std::string create_file = create("80020010 820101 83024302 8603000FFF 8A0100");
  {
    Scp03Host host(sample_keys(32, 8));
    EXPECT_THROW((void)host.initialize(*card), std::runtime_error) << "other keys, another cryptogram";
  }
  {
    Scp03Host host(issuer_keys);
    ASSERT_EQ(host.initialize(*card).sw, 0x9000);
    Memory wrong = host.authentication(0x33);
    wrong[5] ^= 1;
    EXPECT_EQ(run(wrong).sw, 0x6300);
    EXPECT_EQ(run(host.authentication(0x33)).sw, 0x6985) << "the challenge is spent";
    expect(create_file, 0x6982);
  }
  {
    Scp03Host host(issuer_keys);
    ASSERT_EQ(host.initialize(*card).sw, 0x9000);
    Memory wrong = host.authentication(0x33);
    wrong.back() ^= 1;
    EXPECT_EQ(run(wrong).sw, 0x6982);
    expect("84F2800200", 0x6882);
  }
  {  // authenticated, and no protection: it administers nothing
    auto host = session(issuer_keys, 0x00);
    expect(create_file, 0x6982);
    expect("80F28002024F0000", 0x6982);
    EXPECT_EQ(run(host->put_key(0x30, 0x31, issuer_keys)).sw, 0x6982);
  }
  {  // MAC only: no secret
    auto host = session(issuer_keys, 0x01);
    EXPECT_EQ(host->exchange(*card, host->put_key(0x30, 0x31, issuer_keys)).sw, 0x6982);
    EXPECT_EQ(host->exchange(*card, hex("00DA010313") + pin("444444") + pin("") + Memory{3, 0, 2}).sw, 0x6982);
    EXPECT_EQ(secured(*host, create_file), 0x9000) << "and what is none";
  }
}

TEST_F(CardManagerTest, Behaviour23_SequenceCounterIsDurableAndEnds) {
  EXPECT_EQ(sequence_of(1), 1u);
  restart();
  EXPECT_EQ(sequence_of(1), 2u);
  EXPECT_EQ(sequence_of(1), 3u);
  std::set<Memory> challenges;
  for (int i = 0; i < 8; ++i) {
    Scp03Host host(initial_keys());
    ASSERT_EQ(host.initialize(*card).sw, 0x9000);
    EXPECT_TRUE(challenges.insert(host.card_challenge).second);
    EXPECT_EQ(host.card_challenge,
              Scp03Host::derive(initial_keys().enc, 0x02, host.sequence + hex("A000000151000000"), 8))
        << "pseudo-random, as amendment D has it";
    if (i % 3 == 0) restart();
  }
  auto host = session(initial_keys(), 0x03);
  EXPECT_EQ(host->exchange(*card, host->put_key(0, 0x30, issuer_keys)).sw, 0x9000);
  EXPECT_EQ(sequence_of(0x30), 1u) << "a new set begins anew";
}

// Card-security 19: nothing may come between INITIALIZE UPDATE and EXTERNAL AUTHENTICATE.
TEST_F(CardManagerTest, Behaviour19_AnyCommandBetweenSpendsTheChallenge) {
  for (const char* between :
       {"00A40000", "0084000008", "80CA006600", "00EE0000", "80EE0000", "FF00000000", "00", "8482"}) {
    Scp03Host host(initial_keys());
    ASSERT_EQ(host.initialize(*card).sw, 0x9000);
    (void)run(between);
    const bool refused_class = std::string(between) == "FF00000000";
    EXPECT_EQ(run(host.authentication(0x33)).sw, refused_class ? 0x9000 : 0x6985) << between;
    restart();
  }
}

// Card-security 16.
TEST_F(CardManagerTest, Behaviour16_APlainCommandEndsTheSession) {
  issue_with_own_keys();
  const std::string create_file = create("80020010 820101 83024302 8603000FFF 8A0100");
  for (const char* plain : {"00B0000000", "80F28002024F0000", "00CA01A014", "0CB0000000", "00", "00A4", "00C0000000"}) {
    auto host = session(issuer_keys, 0x33);
    const u16 sw = run(plain).sw;
    EXPECT_TRUE(sw == 0x6987) << plain << " " << std::hex << sw;
    EXPECT_EQ(run(host->protect(hex(create_file))).sw, 0x6882) << plain;
    expect(create_file, 0x6982);
  }
  {  // another program begins with SELECT
    auto host = session(issuer_keys, 0x33);
    select_esign();
    EXPECT_EQ(run(host->protect(hex(create_file))).sw, 0x6882);
    expect(create_file, 0x6982);
    select_manager();
  }
}

// Card-security 17.
TEST_F(CardManagerTest, Behaviour17_AnyFaultOfProtectionDestroysKeysAndRights) {
  issue_with_own_keys();
  const Memory create_file = hex(create("80020010 820101 83024302 8603000FFF 8A0100"));
  const auto wipe_octet = [](Memory& m, std::size_t at) { m[at] ^= 0x80; };
  for (const u8 level : kLevels) {
    for (std::size_t at = 1; at < 60; at += 3) {
      auto host = session(issuer_keys, level);
      Memory wrong = host->protect(create_file);
      if (at == 4) continue;  // Lc: another APDU
      if (at >= wrong.size()) break;
      wipe_octet(wrong, at);
      EXPECT_EQ(run(wrong).sw, 0x6982) << at;
      EXPECT_EQ(run(host->protect(create_file)).sw, 0x6882) << "no session any more";
      EXPECT_EQ(run(create_file).sw, 0x6982);
    }
    // Shortened, repeated and in another order.
    auto host = session(issuer_keys, level);
    EXPECT_EQ(run("84A4000000").sw, 0x6982);
    host = session(issuer_keys, level);
    const Memory once = host->protect(hex("00A40000"));
    EXPECT_EQ(run(once).sw, 0x9000);
    EXPECT_EQ(run(once).sw, 0x6982) << "replayed";
    host = session(issuer_keys, level);
    const Memory first = host->protect(hex("00A40000"));
    const Memory second = host->protect(hex("00A4000C023F00"));
    EXPECT_EQ(run(second).sw, 0x6982) << "reordered";
    EXPECT_EQ(run(first).sw, 0x6882);
  }
}

// Card-security 15: other channels change nothing, not even a session.
TEST_F(CardManagerTest, Behaviour15_OtherChannelsLeaveTheSession) {
  auto host = session(initial_keys(), 0x33);
  for (const char* other : {"01A40000", "81500000", "4000000000", "85F28002"}) expect(other, 0x6881);
  EXPECT_EQ(secured(*host, "80F28002024F0000"), 0x9000);
}

// Card-security 40.
TEST_F(CardManagerTest, Behaviour40_44_LifeMovesOneWayAndALockedCardAnswersTheCardManagerOnly) {
  const auto state = [&](const HostKeys& keys) {
    auto host = session(keys, 0x33);
    const Answer answer = host->exchange(*card, "80F28002024F0000");
    EXPECT_EQ(answer.sw, 0x9000);
    return answer.data.size() == 21 ? answer.data[15] : u8{0};
  };
  const auto move = [&](const HostKeys& keys, const char* to) {
    auto host = session(keys, 0x33);
    return secured(*host, std::string("80F080") + to);
  };
  EXPECT_EQ(state(initial_keys()), 0x01);
  {
    auto host = session(initial_keys(), 0x33);
    EXPECT_EQ(host->exchange(*card, host->put_key(0, 0x30, issuer_keys)).sw, 0x9000);
  }
  EXPECT_EQ(move(issuer_keys, "01"), 0x6985);
  EXPECT_EQ(move(issuer_keys, "07"), 0x9000);
  EXPECT_EQ(state(issuer_keys), 0x07);
  EXPECT_EQ(move(issuer_keys, "0F"), 0x9000);
  EXPECT_EQ(state(issuer_keys), 0x0F);
  for (const char* back : {"01", "07", "0F"}) EXPECT_EQ(move(issuer_keys, back), 0x6985);
  EXPECT_EQ(move(issuer_keys, "33"), 0x6A86);
  {
    auto host = session(issuer_keys, 0x33);
    EXPECT_EQ(secured(*host, "00DA01E008 FFFF000FFF000FFF"), 0x6985) << "no way back by a wipe";
  }
  EXPECT_EQ(move(issuer_keys, "7F"), 0x9000);
  restart();
  // Card-security 44: a locked card is the card manager and no more.
  expect("00A40000", 0x9000);
  expect("00B0000000", 0x6985);
  expect("00200001", 0x6985);
  expect("0084000008", 0x6985);
  EXPECT_EQ(run("00CA01A014").sw, 0x9000);
  EXPECT_EQ(state(issuer_keys), 0x7F);
  {
    auto host = session(issuer_keys, 0x33);
    EXPECT_EQ(host->exchange(*card, host->put_key(0x30, 0x31, issuer_keys)).sw, 0x6985);
    EXPECT_EQ(secured(*host, create("80020010 820101 83024302 8603000FFF 8A0100")), 0x6985);
  }
  EXPECT_EQ(move(issuer_keys, "FF"), 0x9000);
  restart();
  expect("00A40000", 0x6985);
  expect("8050000008 0102030405060708", 0x6985);
  EXPECT_EQ(run("00CA01A014").sw, 0x9000);
}

// Card-security 44: every instruction, in plain and in the issuer's session, on a locked and on a terminated card. All
// but those that policy names answer 6985 and change nothing.
TEST_F(CardManagerTest, Behaviour44_LockedAndTerminatedCardsAnswerWhatPolicyNames) {
  issue_with_own_keys();
  const std::set<u16> locked = {0x00A4, 0x00CA, 0x8050, 0x8082, 0x80CA, 0x80F0, 0x80F2};
  const std::set<u16> terminated = {0x00CA, 0x80CA};
  const auto judge = [&](const std::set<u16>& allowed, const std::function<u16(const Memory&)>& answer) {
    for (const u8 cla : {u8{0x00}, u8{0x80}}) {
      for (int ins = 0; ins < 256; ++ins) {
        const u8 octet = static_cast<u8>(ins);
        if (octet == 0xC0 || (octet == 0xA4 && cla == 0)) continue;  // SELECT is tried below
        const u16 sw = answer(Memory{cla, octet, 0x00, 0x00, 0x01, 0x00});
        const u16 name = static_cast<u16>(cla << 8 | octet);
        const bool known = sw != 0x6D00 && sw != 0x6E00;
        EXPECT_TRUE(!known || allowed.count(name) != 0 || sw == 0x6985) << std::hex << name << " " << sw;
        EXPECT_TRUE(allowed.count(name) == 0 || (known && sw != 0x6985) || name == 0x8082) << std::hex << name;
      }
    }
  };
  {
    auto host = session(issuer_keys, 0x33);
    ASSERT_EQ(secured(*host, "80F0807F"), 0x9000);
  }
  restart();
  const Memory memory = chip.memory;
  judge(locked, [&](const Memory& command) { return run(command).sw; });
  expect("00A40000", 0x9000);
  EXPECT_EQ(chip.memory, memory);
  {
    auto host = session(issuer_keys, 0x01);
    const std::set<u16> in_session = {0x00CA, 0x80CA, 0x80F0, 0x80F2};
    for (const u8 cla : {u8{0x00}, u8{0x80}}) {
      for (int ins = 0; ins < 256; ++ins) {
        const u8 octet = static_cast<u8>(ins);
        if (octet == 0xC0 || octet == 0xA4 || octet == 0x50) continue;
        const u16 sw = host->exchange(*card, Memory{cla, octet, 0x00, 0x00}).sw;
        const u16 name = static_cast<u16>(cla << 8 | octet);
        EXPECT_TRUE(sw == 0x6985 || sw == 0x6D00 || in_session.count(name) != 0) << std::hex << name << " " << sw;
      }
    }
  }
  {
    auto host = session(issuer_keys, 0x33);
    ASSERT_EQ(secured(*host, "80F080FF"), 0x9000);
  }
  restart();
  const Memory end = chip.memory;
  judge(terminated, [&](const Memory& command) { return run(command).sw; });
  expect("00A40000", 0x6985);
  expect("8050000008 0102030405060708 00", 0x6985);
  EXPECT_EQ(chip.memory, end);
}

// Card-security 42: the card knows the commands of its papers and no others, whoever asks.
TEST_F(CardManagerTest, Behaviour42_NoTestCommandsAreThere) {
  const std::set<u8> iso = {0x04, 0x20, 0x22, 0x24, 0x2A, 0x2C, 0x2E, 0x44, 0x46, 0x82, 0x84, 0x86, 0x88,
                            0xA4, 0xB0, 0xB2, 0xC0, 0xCA, 0xD6, 0xDA, 0xDC, 0xE0, 0xE2, 0xE4, 0xE6, 0xE8};
  // GlobalPlatform's, and those of ledgers and security modules.
  const std::set<u8> global_platform = {0x20, 0x32, 0x34, 0x36, 0x50, 0x52, 0x54, 0x56, 0x58, 0x5A,
                                        0x5C, 0x82, 0xCA, 0xD8, 0xE2, 0xE4, 0xE6, 0xF0, 0xF2};
  for (int blank = 1; blank >= 0; --blank) {
    if (blank == 0) issue_with_own_keys();
    for (int ins = 0; ins < 256; ++ins) {
      const u8 octet = static_cast<u8>(ins);
      const auto sw = [&](u8 cla) { return run(Memory{cla, octet, 0x7F, 0x7F}).sw; };
      EXPECT_EQ(iso.count(octet) == 0, sw(0x00) == 0x6D00) << std::hex << ins;
      EXPECT_EQ(global_platform.count(octet) == 0, sw(0x80) == 0x6E00) << std::hex << ins;
      EXPECT_EQ(octet != 0xE4, sw(0xA0) == 0x6E00) << std::hex << ins;
    }
    auto host = session(blank != 0 ? initial_keys() : issuer_keys, 0x01);
    for (int ins = 0; ins < 256; ++ins) {
      const u8 octet = static_cast<u8>(ins);
      if (octet == 0xC0) continue;
      const u16 sw = host->exchange(*card, Memory{0x80, octet, 0x7F, 0x7F}).sw;
      EXPECT_EQ(iso.count(octet) + global_platform.count(octet) == 0, sw == 0x6D00) << std::hex << ins;
    }
  }
}

// Card-security 47: what is malformed changes nothing durable, in a session with every right.
TEST_F(CardManagerTest, Behaviour47_MalformedManagementChangesNothing) {
  issue_with_own_keys();
  auto host = session(issuer_keys, 0x33);
  EXPECT_EQ(install(*host, kHealth), 0x9000);
  const Department department(kHealth, 16, 1);
  EXPECT_EQ(host->exchange(*card, apdu("80E62000", hex("000007") + kHealth + hex("000000"), true)).sw, 0x9000);
  const std::vector<Memory> whole = {
      host->put_key(0x30, 0x31, issuer_keys),        apdu("80E60C00", install_data(kTransit), true),
      apdu("80E29100", department.message, true),    apdu("80E29000", hex("4203112233 4504DEADBEEF"), true),
      apdu("80E40000", hex("4F07") + kHealth, true), apdu("80F0407F", hex("07") + kHealth, true)};
  const Memory before = chip.memory;
  for (const Memory& command : whole) {
    const PlainCommand good = take_apart(command);
    for (std::size_t n = 0; n < good.data.size(); ++n) {  // shortened
      if (command[1] == 0xE2 && n == 5) continue;         // 42 alone is whole
      EXPECT_NE(host->exchange(*card, good.header + with_length(slice(good.data, 0, n), n == 0)).sw, 0x9000) << n;
    }
    Memory longer = good.data + Memory{0x55};
    EXPECT_NE(host->exchange(*card, good.header + with_length(longer, false)).sw, 0x9000) << to_hex(command);
    EXPECT_EQ(chip.memory, before) << to_hex(command);
  }
}

// Card-security 41: the blank card's keys are dead after issue, with a session under them, whichever way it was issued.
TEST_F(CardManagerTest, Behaviour41_TransportKeysDieWithIssue) {
  auto host = session(initial_keys(), 0x33);
  EXPECT_EQ(secured(*host, "0044000002 3F00"), 0x9000);
  EXPECT_EQ(secured(*host, create("80020010 820101 83024302 8603000FFF 8A0100")), 0x6982);
  EXPECT_EQ(secured(*host, "80F08007"), 0x6982);
  restart();
  EXPECT_EQ(run("8050000008 0102030405060708 00").sw, 0x6A88);
  EXPECT_EQ(run("80CA00E000").data, hex("E000"));
}

TEST_F(CardManagerTest, Behaviour41_AdministrationOfAnIssuedCardNeedsTheIssuersChannel) {
  issue_with_own_keys();
  const std::string create_file = create("80020010 820101 83024302 8603FFFFFF 8A0100");
  const std::vector<std::string> administrative = {create_file,       "00D6000001AB",    "0044000002 4302",
                                                   "0004000002 4302", "0044000002 4302", "00E40000024302"};
  select_esign();
  for (const std::string& command : administrative) {
    EXPECT_NE(run(command).sw, 0x9000) << command;
  }
  auto host = session(issuer_keys, 0x33);
  EXPECT_EQ(secured(*host, std::string("00A404000C") + kEsignAid), 0x9000);
  for (const std::string& command : administrative) EXPECT_EQ(secured(*host, command), 0x9000) << command;
  // What is never the issuer's: reading what is under the holder's PIN, setting a PIN that is set, going back.
  EXPECT_EQ(secured(*host, "00A4020C024301"), 0x9000);
  EXPECT_EQ(secured(*host, "00D6000001AB"), 0x9000);
  EXPECT_EQ(secured(*host, create("80020010 820101 83024303 8603FFFFFF 8A0100")), 0x9000);
  EXPECT_EQ(secured(*host, "00B0000001"), 0x6982);
  EXPECT_EQ(host->exchange(*card, hex("00DA010313") + pin("444444") + pin("87654321") + Memory{3, 3, 0}).sw, 0x9000);
  EXPECT_EQ(host->exchange(*card, hex("00DA010313") + pin("555555") + pin("87654321") + Memory{3, 3, 0}).sw, 0x6985);
}

TEST_F(CardManagerTest, PutKeyAddsReplacesAndRefuses) {
  const HostKeys a = sample_keys(16, 1);
  const HostKeys b = sample_keys(24, 2);
  const HostKeys c = sample_keys(32, 3);
  auto host = session(initial_keys(), 0x03);
  Memory wrong = host->put_key(0, 0x30, a);
  wrong[wrong.size() - 2] ^= 1;  // the last check value
  EXPECT_EQ(host->exchange(*card, wrong).sw, 0x6A80);
  EXPECT_EQ(host->exchange(*card, host->put_key(0x55, 0x30, a)).sw, 0x6A88);
  EXPECT_EQ(host->exchange(*card, host->put_key(0, 0x80, a)).sw, 0x6A80);
  EXPECT_EQ(to_hex(host->exchange(*card, "80CA00E000").data), "E012C00401018810C00402018810C00403018810");
  EXPECT_EQ(host->exchange(*card, host->put_key(0, 0x30, a)).sw, 0x9000);
  EXPECT_EQ(host->exchange(*card, host->put_key(0, 0x31, b)).sw, 0x6985) << "the session's own set is gone";
  EXPECT_EQ(to_hex(host->exchange(*card, "80CA00E000").data), "E012C00401308810C00402308810C00403308810");

  host = session(a, 0x03);
  EXPECT_EQ(host->exchange(*card, host->put_key(0, 0x30, b)).sw, 0x6A80) << "this version is there";
  EXPECT_EQ(host->exchange(*card, host->put_key(0, 0x31, b)).sw, 0x9000);
  EXPECT_EQ(host->exchange(*card, host->put_key(0, 0x32, c)).sw, 0x6A84);
  EXPECT_EQ(host->exchange(*card, host->put_key(0x31, 0x30, c)).sw, 0x6A80);
  EXPECT_EQ(host->exchange(*card, host->put_key(0x31, 0x32, c)).sw, 0x9000);
  EXPECT_EQ(to_hex(host->exchange(*card, "80CA00E000").data),
            "E024C00401308810C00402308810C00403308810C00401328820C00402328820C00403328820");
  EXPECT_EQ(secured(*host, "80E4000003 D20130 00"), 0x9000) << "its own set: the session goes on";
  EXPECT_EQ(secured(*host, "80E4000003 D20132 00"), 0x6985) << "never the last";
  EXPECT_EQ(secured(*host, "80E4000003 D20155 00"), 0x6A88);
  restart();
  Scp03Host other(c);
  EXPECT_EQ(other.open(*card, 0x33, 0x32), 0x9000);
  EXPECT_EQ(Scp03Host(a).initialize(*card, 0x30).sw, 0x6A88);
}

TEST_F(CardManagerTest, WipeOfABlankCardLeavesTheIssuersKeys) {
  auto host = session(initial_keys(), 0x03);
  EXPECT_EQ(host->exchange(*card, host->put_key(0, 0x30, issuer_keys)).sw, 0x9000);
  EXPECT_EQ(secured(*host, "00DA01E008 FFFF000FFF000FFF"), 0x9000);
  EXPECT_EQ(secured(*host, "80F28002024F0000"), 0x9000) << "the session goes on";
  EXPECT_EQ(Scp03Host(initial_keys()).initialize(*card, 0x01).sw, 0x6A88);
  (void)session(issuer_keys, 0x33);
}

// --- Domains ---------------------------------------------------------------------------------------------------------

TEST_F(CardManagerTest, DomainGetsKeysTheIssuerCannotKnow) {
  issue_with_own_keys();
  for (const std::size_t octets : {16, 24, 32}) {
    const Memory name = kHealth + Memory{static_cast<u8>(octets)};
    Department department = make_domain(name, octets);
    select_name(name);
    EXPECT_EQ(to_hex(run("80CA00E000").data).substr(0, 12), "E012C0040101") << "its own keys are shown";
    auto own = session(department.keys, 0x33, 16);
    EXPECT_EQ(secured(*own, "80F24002024F0000"), 0x9000);
  }
  // A point of the issuer's own shows in the receipt; the second loading is refused.
  select_manager();
  auto host = session(issuer_keys, 0x33);
  EXPECT_EQ(secured(*host, "00A4040008 A000000151000000"), 0x9000);
  EXPECT_EQ(install(*host, kTransit), 0x9000);
  Department department(kTransit, 16, 1);
  const Department impostor(kTransit, 16, 1);
  const Answer receipt = load_keys(*host, impostor);
  EXPECT_EQ(receipt.sw, 0x9000);
  EXPECT_FALSE(department.accept(loading_point, receipt.data));
  EXPECT_EQ(load_keys(*host, department).sw, 0x6985);
}

TEST_F(CardManagerTest, LoadingRefusesWhatIsNotInOrder) {
  issue_with_own_keys();
  auto host = session(issuer_keys, 0x33);
  EXPECT_EQ(install(*host, kHealth), 0x9000);
  const Department good(kHealth, 16, 1);
  EXPECT_EQ(host->exchange(*card, apdu("80E29100", good.message, true)).sw, 0x6985) << "for whom?";
  const auto with = [&](std::size_t at, u8 value) {
    Department bad = good;
    bad.message[at] = value;
    return load_keys(*host, bad).sw;
  };
  EXPECT_EQ(with(4, 0x01), 0x6A80) << "scenario";
  EXPECT_EQ(with(7, 0x10), 0x6A80) << "usage";
  EXPECT_EQ(with(10, 0x80), 0x6A80) << "key type";
  EXPECT_EQ(with(13, 0x11), 0x6A80) << "key length";
  EXPECT_EQ(with(16, 0x00), 0x6A80) << "version";
  EXPECT_EQ(with(20, 0x02), 0x6A80) << "a point that is compressed";
  EXPECT_EQ(with(40, static_cast<u8>(good.message[40] ^ 1)), 0x6A80) << "a point off the curve";
  EXPECT_EQ(load_keys(*host, good).sw, 0x9000);
  EXPECT_EQ(install(*host, kHealth), 0x6A8A);
  EXPECT_EQ(install(*host, kTransit, hex("C9048302D110")), 0x6A89);
  EXPECT_EQ(install(*host, hex("F04B4152")), 0x6A80);
  EXPECT_EQ(install(*host, hex("A000000151000000")), 0x6A8A);
  EXPECT_EQ(install(*host, kTransit, hex("C90483023F00")), 0x6A80);
  EXPECT_EQ(install(*host, kTransit, hex("C9048302D2FE")), 0x9000);
  expect("80E60C0001 00", 0x6987);
  expect("80E60C0001 00", 0x6982);
}

TEST_F(CardManagerTest, ADomainsFilesAreItsDepartmentsAlone) {
  issue_with_own_keys();
  const Department health = make_domain(kHealth);
  const Department transit = make_domain(kTransit);
  const std::string file = create("80020010 820101 83020101 8603F0FFFF 8A0100");       // nobody reads, anybody updates
  const std::string open_file = create("80020010 820101 83020102 86030FFFFF 8A0100");  // anybody reads
  const std::string key_file = create("81020100 820122 83020103 8603FFFFFF 85020004 8A0100");

  const auto select_domain = "00A4040007" + to_hex(kHealth);
  {
    select_name(kHealth);
    auto own = session(health.keys, 0x33);
    for (const std::string& command : {file, open_file, key_file}) EXPECT_EQ(secured(*own, command), 0x9000);
    EXPECT_EQ(secured(*own, "00460000"), 0x9000);
    EXPECT_EQ(secured(*own, "00A4020C020102"), 0x9000);
    EXPECT_EQ(secured(*own, "00D6000004CAFEBABE"), 0x9000);
    // Outside its DF it is nobody.
    EXPECT_EQ(secured(*own, std::string("00A404000C") + kEsignAid), 0x9000);
    EXPECT_EQ(secured(*own, create("80020010 820101 83024302 8603000FFF 8A0100")), 0x6982);
    EXPECT_EQ(secured(*own, "00E40000024301"), 0x6982);
    EXPECT_EQ(own->exchange(*card, hex("00DA010313") + pin("444444") + pin("87654321") + Memory{3, 3, 0}).sw, 0x6982);
    EXPECT_EQ(install(*own, hex("F04B4152544112")), 0x6982);
    EXPECT_EQ(secured(*own, "80F0807F"), 0x6982);
    EXPECT_EQ(secured(*own, "80E4008009 4F07" + to_hex(kTransit)), 0x6982);
    EXPECT_EQ(secured(*own, "00A4040007" + to_hex(kTransit)), 0x9000);
    EXPECT_EQ(secured(*own, open_file), 0x6982) << "nor in another domain";
  }
  for (const HostKeys& keys : {issuer_keys, transit.keys}) {
    restart();
    if (keys.enc == transit.keys.enc) select_name(kTransit);
    auto other = session(keys, 0x33);
    EXPECT_EQ(secured(*other, select_domain), 0x9000);
    EXPECT_EQ(secured(*other, create("80020010 820101 83020104 8603000FFF 8A0100")), 0x6982);
    for (const char* id : {"0101", "0102", "0103"}) {
      SCOPED_TRACE(id);
      EXPECT_EQ(secured(*other, std::string("00E4000002") + id), 0x6982);
      EXPECT_EQ(secured(*other, std::string("0004000002") + id), 0x6982);
      EXPECT_EQ(secured(*other, std::string("00A4020C02") + id), 0x9000);
    }
    EXPECT_EQ(secured(*other, "00460000"), 0x6982) << "no new key";
    EXPECT_EQ(secured(*other, "00DA018701 05"), 0x6982) << "no import";
    EXPECT_EQ(secured(*other, "00A4020C020101"), 0x9000);
    EXPECT_EQ(secured(*other, "00B0000004"), 0x6982);
    EXPECT_EQ(secured(*other, "00A4020C020102"), 0x9000);
    EXPECT_EQ(secured(*other, "00D6000001 00"), 0x6982) << "its rule says never, to all but the owner";
    EXPECT_EQ(to_hex(other->exchange(*card, "00B0000004").data), "CAFEBABE") << "its rule says always";
  }
  {  // the issuer may lock, unlock and remove the whole, and sees no more than that it is there
    restart();
    auto host = session(issuer_keys, 0x33);
    const Answer status = host->exchange(*card, "80F24002084F06F04B41525441 00");
    EXPECT_EQ(to_hex(status.data), "E3124F07" + to_hex(kHealth) + "9F70010FC503800000" + "E3124F07" + to_hex(kTransit) +
                                       "9F70010FC503800000");
    EXPECT_EQ(secured(*host, "80F0408008 07" + to_hex(kHealth)), 0x9000);
    EXPECT_EQ(secured(*host, select_domain), 0x6283);
    EXPECT_EQ(secured(*host, "00A4020C020102"), 0x9000);
    EXPECT_EQ(secured(*host, "00B0000004"), 0x6985);
    EXPECT_EQ(secured(*host, "80F0400F08 07" + to_hex(kHealth)), 0x9000);
    EXPECT_EQ(secured(*host, "00B0000004"), 0x9000);
    EXPECT_EQ(secured(*host, "80E4008009 4F07" + to_hex(kHealth) + "00"), 0x9000);
    EXPECT_EQ(secured(*host, select_domain), 0x6A82);
    const Memory content = hex("CAFEBABE");
    EXPECT_EQ(std::search(chip.memory.begin(), chip.memory.end(), content.begin(), content.end()), chip.memory.end());
    for (const Memory* key : {&health.keys.enc, &health.keys.mac, &health.keys.dek}) {
      EXPECT_EQ(std::search(chip.memory.begin(), chip.memory.end(), key->begin(), key->end()), chip.memory.end());
    }
  }
}

TEST_F(CardManagerTest, ADomainChangesItsOwnKeys) {
  issue_with_own_keys();
  Department health = make_domain(kHealth);
  select_name(kHealth);
  const HostKeys next = sample_keys(24, 90);
  auto own = session(health.keys, 0x33);
  EXPECT_EQ(own->exchange(*card, own->put_key(0x01, 0x02, next)).sw, 0x9000);
  restart();
  select_name(kHealth);
  EXPECT_EQ(Scp03Host(health.keys).initialize(*card, 1).sw, 0x6A88);
  (void)session(next, 0x33);
  select_manager();
  (void)session(issuer_keys, 0x33);  // the issuer's are untouched
}

// A department's own ledger and masters: made, read and given out in its session; the issuer's may only take the whole
// domain away, and then nothing of it is left.
TEST_F(CardManagerTest, ADomainsLedgerAndKeysAreItsDepartmentsAlone) {
  issue_with_own_keys();
  const Department transit = make_domain(kTransit);
  LedgerSample sample;
  sample.rules = "8102 8FFF 8202 8FFF 8302 01FF";
  select_name(kTransit);
  {
    auto own = session(transit.keys, 0x33);
    for (const Memory& command : sample.commands()) EXPECT_EQ(own->exchange(*card, command).sw, 0x9000);
    EXPECT_EQ(own->exchange(*card, sample.create_key("00F4", "83")).sw, 0x9000);
    EXPECT_EQ(own->exchange(*card, sample.import_key(1, sample.master(kDebit))).sw, 0x9000);
    EXPECT_EQ(own->exchange(*card, apdu("805C01F4", sample.serial, true)).data, sample.key(kDebit));
    EXPECT_EQ(own->exchange(*card, "00B0830000").data, sample.product + Memory(12, 0));
    LedgerTerminal credit = sample.terminal(kCredit);
    credit.read_opening(own->exchange(*card, credit.open_command()).data);
    EXPECT_EQ(own->exchange(*card, credit.commit_command({5, 5}, Memory(16, 0xE1))).sw, 0x9000);
  }
  restart();
  {
    auto issuer = session(issuer_keys, 0x33);
    EXPECT_EQ(secured(*issuer, "00A4040007" + to_hex(kTransit)), 0x9000);
    EXPECT_EQ(issuer->exchange(*card, apdu("805C01F4", sample.serial, true)).sw, 0x6982);
    EXPECT_EQ(secured(*issuer, "00B0830000"), 0x6982);
    EXPECT_EQ(secured(*issuer, "00B2011C00"), 0x6982);
    EXPECT_EQ(secured(*issuer, "00D6830001 41"), 0x6982);
    EXPECT_EQ(issuer->exchange(*card, sample.terminal(kCredit).open_command()).sw, 0x6982);
    EXPECT_EQ(secured(*issuer, "00A4020C0200E1"), 0x9000);
    EXPECT_EQ(issuer->exchange(*card, sample.import_key(2, Memory(16, 1))).sw, 0x6982);
    EXPECT_EQ(secured(*issuer, "00E4000002 00E1"), 0x6982);
    const auto traces = [&] {
      std::size_t n = 0;
      for (const Memory& secret : {sample.key(kDebit), sample.key(kCredit), sample.key(kSettlement),
                                   sample.master(kDebit), Memory(16, 0xE1), sample.product}) {
        n += std::search(chip.memory.begin(), chip.memory.end(), secret.begin(), secret.end()) != chip.memory.end();
      }
      return n;
    };
    EXPECT_EQ(traces(), 6U);
    EXPECT_EQ(secured(*issuer, "80E4008009 4F07" + to_hex(kTransit)), 0x9000);
    EXPECT_EQ(traces(), 0U);
  }
}

TEST_F(CardManagerTest, StatusComesInPartsWhereThereAreMany) {
  select_esign();
  std::set<std::string> names;
  for (int i = 0; i < 70; ++i) {
    const Memory name = hex("F0112233445566778899AABBCCDDEE") + Memory{static_cast<u8>(i)};
    names.insert(to_hex(name));
    expect(create("820138 8302" + size_of(0x1000 + static_cast<std::size_t>(i)) + "8410" + to_hex(name) +
                  "8603000FFF 85020000 8A0100"),
           0x9000);
    expect("00A4080C025015", 0x9000);
    if (testing::Test::HasFailure()) return;
  }
  auto host = session(initial_keys(), 0x33);
  std::size_t parts = 0;
  for (const char* p2 : {"02", "03", "03", "03"}) {
    const Answer answer = host->exchange(*card, std::string("80F240") + p2 + "034F01F00000");
    if (answer.sw != 0x9000 && answer.sw != 0x6310) break;
    ++parts;
    for (std::size_t at = 0; at + 31 <= answer.data.size() + 2; at += answer.data[at + 1] + 2U) {
      names.erase(to_hex(slice(answer.data, at + 4, 16)));
    }
    if (answer.sw == 0x9000) break;
  }
  EXPECT_TRUE(names.empty()) << names.size();
  EXPECT_GE(parts, 2u);
}

// Card-security 37: of a session nothing is left in the card's RAM after reset, and no key but session keys during it.
TEST_F(CardManagerTest, Behaviour37_SessionKeysAreWiped) {
  alignas(Card) static u8 memory[sizeof(Card)];
  const auto holds = [&](const Memory& secret) {
    const u8* end = memory + sizeof memory;
    return std::search(static_cast<const u8*>(memory), end, secret.begin(), secret.end()) != end;
  };
  Card* raw = new (memory) Card(chip, kDefaultConfig);
  ASSERT_TRUE(raw->boot(Interface::contact));
  for (int way = 0; way < 4; ++way) {
    Scp03Host host(initial_keys());
    ASSERT_EQ(host.open(*raw, 0x33), 0x9000);
    EXPECT_TRUE(holds(host.s_enc)) << "the test looks at the right place";
    EXPECT_FALSE(holds(initial_keys().enc)) << "the static keys have served";
    EXPECT_EQ(host.exchange(*raw, hex("00A40000")).sw, 0x9000);
    if (way == 0) (void)raw->reset(Interface::contact);
    if (way == 1) (void)send(*raw, "00B0000000");
    if (way == 2) (void)send(*raw, "84A4000008 0000000000000000");
    if (way == 3) raw->power_off();
    for (const Memory* key : {&host.s_enc, &host.s_mac, &host.s_rmac}) EXPECT_FALSE(holds(*key)) << way;
  }
  raw->~Card();
}

}  // namespace
}  // namespace karta::os
