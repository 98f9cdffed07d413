// Chip authentication, restricted identification, auxiliary data; and who may do what in which channel, cell by cell.
#include <gtest/gtest.h>

#include "firmware-sim/os/test_eac.h"

namespace karta::os {
namespace {

// The sector's key pair and the extension of a certificate that names it.
struct Sector {
  KeyPair key = KeyPair::make(Curve::brainpool_p256r1);
  bool with_domain = false;

  Memory object() const {
    Memory out = tlv(0x06, protocol_oid(5, 3));
    if (!with_domain) return out + tlv(0x86, key.point);
    const DomainObjects domain(key.curve);
    return out + domain.before_point + tlv(0x86, key.point) + domain.cofactor;
  }
  Memory fingerprint() const { return hash(Digest::sha256, tlv(0x7F49, object())); }
};

const Sector& first_sector() {
  static const Sector made;
  return made;
}
const Sector& second_sector() {
  static const Sector made{.key = KeyPair::make(Curve::brainpool_p256r1), .with_domain = true};
  return made;
}
const Chain& chain() {
  static const Chain made =
      Chain::make(Curve::brainpool_p256r1, 3,
                  tlv(0x73, tlv(0x06, hex("04007F000703010302")) + tlv(0x80, first_sector().fingerprint()) +
                                tlv(0x81, second_sector().fingerprint())));
  return made;
}

class ChipTest : public testing::Test {
 protected:
  EacCard card{chain()};

  // Up to the end of terminal authentication.
  EacTerminal authenticated(u64 rights = kAllRights, Curve curve = Curve::brainpool_p256r1) {
    card.restart();
    EXPECT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, rights)), 0x9000);
    EacTerminal terminal(chain());
    EXPECT_EQ(terminal.present_chain(card.exchange()), 0x9000);
    EXPECT_EQ(terminal.announce(card.exchange(), curve), 0x9000);
    EXPECT_EQ(terminal.prove(card.exchange(), card.pace.card_identity()), 0x9000);
    return terminal;
  }
  u16 agree(const Memory& point) { return card.run(apdu("00860000", tlv(0x7C, tlv(0x80, point)), true)).sw; }
  Answer identify(u8 key, const Memory& contents, bool more = false) {
    const Memory set = apdu("002241A4", tlv(0x80, protocol_oid(5, 3)) + Memory{0x84, 1, key});
    if (const u16 sw = card.run(set).sw; sw != 0x9000) return {.sw = sw, .data = {}};
    return card.run(general_authenticate(contents, more));
  }
  // Extended where a sector key with its domain parameters needs it.
  static Memory general_authenticate(const Memory& contents, bool more = false) {
    const Memory data = tlv(0x7C, contents);
    const bool extended = data.size() > 255;
    return hex(more ? "10860000" : "00860000") + with_length(data, extended) + Memory(extended ? 2 : 1, 0);
  }
  Memory expected_identifier(u8 key, const Sector& sector) {
    return hash(Digest::sha256, sector.key.agree(card.sector_key.at(key)));
  }
};

TEST_F(ChipTest, EveryCurveAndCipher) {
  for (const Curve curve :
       {Curve::p256, Curve::brainpool_p256r1, Curve::p384, Curve::brainpool_p384r1, Curve::brainpool_p512r1}) {
    EacCard other(chain(), curve);
    for (const u8 number : {2, 3, 4}) {
      other.restart();
      ASSERT_EQ(other.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
      EacTerminal terminal(chain());
      terminal.chip_number = number;
      ASSERT_EQ(terminal.present_chain(other.exchange()), 0x9000);
      ASSERT_EQ(terminal.announce(other.exchange(), curve), 0x9000);
      ASSERT_EQ(terminal.prove(other.exchange(), other.pace.card_identity()), 0x9000);
      const auto channel = terminal.authenticate_chip(other.exchange(), other.chip_key);
      ASSERT_TRUE(channel) << int(curve) << " " << int{number};
      other.channel = *channel;
      EXPECT_EQ(other.select_identity(), 0x9000);
      EXPECT_EQ(other.read_group(1), 0x9000);
    }
  }
}

// Card-security 21: chip authentication takes the key that terminal authentication signed; rights count after it.
TEST_F(ChipTest, Behaviour21_BoundToTheTerminalsKeyAndRightsComeLast) {
  EacTerminal terminal = authenticated();
  EXPECT_EQ(card.select_identity(), 0x9000);
  EXPECT_EQ(card.read_group(1), 0x6982);  // terminal authentication alone opens no data group
  ASSERT_EQ(terminal.announce_chip(card.exchange()), 0x9000);
  EXPECT_EQ(agree(KeyPair::make(Curve::brainpool_p256r1).point), 0x6300);
  EXPECT_EQ(agree(terminal.ephemeral.point), 0x6985);  // announced once, tried once
  const auto channel = terminal.authenticate_chip(card.exchange(), card.chip_key);
  ASSERT_TRUE(channel);
  card.channel = *channel;
  EXPECT_EQ(card.read_group(1), 0x9000);
  EXPECT_EQ(terminal.announce_chip(card.exchange()), 0x6982);  // not twice
  EXPECT_EQ(EacTerminal::present(card.exchange(), chain().verifier), 0x6982);
}

TEST_F(ChipTest, Behaviour21_NotBeforeTerminalAuthentication) {
  EacTerminal terminal(chain());
  EXPECT_EQ(terminal.announce_chip(card.exchange()), 0x6982);
  ASSERT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
  EXPECT_EQ(terminal.announce_chip(card.exchange()), 0x6982);
  EXPECT_EQ(identify(0x43, tlv(0xA0, first_sector().object())).sw, 0x6982);
}

// Card-security 22: a point that has the right x and is none.
TEST_F(ChipTest, Behaviour22_BadPointsAreRefused) {
  for (const int kind : {0, 1, 2, 3}) {
    EacTerminal terminal = authenticated();
    ASSERT_EQ(terminal.announce_chip(card.exchange()), 0x9000);
    Memory point = terminal.ephemeral.point;
    if (kind == 0) point.back() ^= 1;
    if (kind == 1) point = slice(point, 0, 33);
    if (kind == 2) point[0] = 6;
    if (kind == 3) point = point + Memory{0};
    EXPECT_EQ(agree(point), 0x6A80) << kind;
    EXPECT_EQ(card.select_identity(), 0x9000);
    EXPECT_EQ(card.read_group(1), 0x6982);
  }
}

TEST_F(ChipTest, OnlyItsKeysAndProtocols) {
  EacTerminal terminal = authenticated();
  const auto announce = [&](const std::string& objects) { return card.run(apdu("002241A4", hex(objects))).sw; };
  EXPECT_EQ(announce("800A04007F00070202030202 840141"), 0x9000);
  EXPECT_EQ(announce("800A04007F00070202030202 840142"), 0x6A88);  // a key of another purpose
  EXPECT_EQ(announce("800A04007F00070202030202 840177"), 0x6A88);
  EXPECT_EQ(announce("800A04007F00070202030201 840141"), 0x6A80);  // 3DES
  EXPECT_EQ(announce("800A04007F00070202030102 840141"), 0x6A80);  // finite field
  EXPECT_EQ(announce("800A04007F00070202030202"), 0x6A80);
  EXPECT_EQ(announce("800A04007F00070202050203 840143"), 0x6982);  // identification needs chip authentication
  EXPECT_EQ(announce("800A04007F00070202090203 840143"), 0x6A80);
}

// Card-security 32: chip-authentication and identification keys sign, decipher and agree for nobody, nor are they made
// anew.
TEST_F(ChipTest, Behaviour32_ProtocolKeysHaveOnePurpose) {
  card.restart(Interface::contact);
  ASSERT_EQ(card.select_identity(), 0x9000);
  for (const std::string id : {"0041", "0042", "0043"}) {
    for (const std::string set : {"002241B60A", "002241B80A", "002241A40A"}) {
      EXPECT_NE(card.plain(set + "800104 8102" + id + "840100").sw, 0x9000) << id << set;
    }
    ASSERT_EQ(card.plain("00A4000C02" + id).sw, 0x9000);
    EXPECT_EQ(card.plain("0046000000").sw, 0x6982);
    EXPECT_EQ(card.plain("00B0000000").sw, 0x6981);
  }
}

TEST_F(ChipTest, IdentifierIsTheSectors) {
  ASSERT_EQ(card.open_eac(), 0x9000);
  const Answer first = identify(0x43, tlv(0xA0, first_sector().object()));
  ASSERT_EQ(first.sw, 0x9000);
  EXPECT_EQ(first.data, tlv(0x7C, tlv(0x81, expected_identifier(0x43, first_sector()))));
  // Two sectors in one announcement.
  ASSERT_EQ(identify(0x42, tlv(0xA0, first_sector().object()), true).sw, 0x9000);
  const Answer second = card.run(general_authenticate(tlv(0xA2, second_sector().object())));
  ASSERT_EQ(second.sw, 0x9000);
  EXPECT_EQ(second.data, tlv(0x7C, tlv(0x83, expected_identifier(0x42, second_sector()))));
  EXPECT_NE(card.run(general_authenticate(tlv(0xA2, second_sector().object()))).sw, 0x9000);
}

TEST_F(ChipTest, IdentifierOnlyForTheSectorsOfTheCertificate) {
  ASSERT_EQ(card.open_eac(kAllRights & ~(1ULL << kRightRestrictedIdentification)), 0x9000);
  EXPECT_EQ(identify(0x42, tlv(0xA0, first_sector().object())).sw, 0x6982);  // authorised terminals only
  EXPECT_EQ(identify(0x43, tlv(0xA0, first_sector().object())).sw, 0x9000);
  const Sector stranger;
  EXPECT_EQ(identify(0x43, tlv(0xA0, stranger.object())).sw, 0x6A80);
  EXPECT_EQ(identify(0x43, tlv(0xA0, second_sector().object())).sw, 0x6A80);  // the second is not the first
  Memory twisted = first_sector().object();
  twisted.back() ^= 1;
  EXPECT_EQ(identify(0x43, tlv(0xA0, twisted)).sw, 0x6A80);
  EXPECT_EQ(identify(0x41, tlv(0xA0, first_sector().object())).sw, 0x6A88);

  const Chain bare = Chain::make();
  EacCard other(bare);
  ASSERT_EQ(other.open_eac(), 0x9000);
  ASSERT_EQ(other.run(apdu("002241A4", tlv(0x80, protocol_oid(5, 3)) + hex("840143"))).sw, 0x9000);
  EXPECT_EQ(other.run(apdu("00860000", tlv(0x7C, tlv(0xA0, first_sector().object())), true)).sw, 0x6985);
}

Memory asked(u8 number, const Memory& value) {
  return tlv(0x73, tlv(0x06, hex("04007F0007030104") + Memory{number}) + tlv(0x53, value));
}
Memory ask(u8 number) { return apdu("80208000", tlv(0x06, hex("04007F0007030104") + Memory{number})); }

TEST_F(ChipTest, AuxiliaryDataAreComparedAndNeverShown) {
  struct Case {
    const char* born;
    const char* valid;
    const char* place;
    u16 sw[3];
  };
  // The card: born 20000229, valid until 20361231, municipality 0276110000.
  const Case cases[] = {
      {"20000229", "20361231", "0276110000", {0x9000, 0x9000, 0x9000}},
      {"20000301", "20300101", "027611", {0x9000, 0x9000, 0x9000}},
      {"20000228", "20370101", "027612", {0x6300, 0x6300, 0x6300}},
      {"19991231", "20361231", "02", {0x6300, 0x9000, 0x9000}},
      {"20100101", "20361230", "027611000000", {0x9000, 0x9000, 0x6300}},
  };
  for (const Case& each : cases) {
    card.restart();
    ASSERT_EQ(
        card.open_eac(kAllRights, asked(1, text(each.born)) + asked(2, text(each.valid)) + asked(3, hex(each.place))),
        0x9000);
    for (u8 number = 1; number <= 3; ++number) {
      const Answer answer = card.run(ask(number));
      EXPECT_EQ(answer.sw, each.sw[number - 1]) << each.born << " " << int{number};
      EXPECT_TRUE(answer.data.empty());
    }
    EXPECT_EQ(card.run(ask(4)).sw, 0x6A88);
    EXPECT_EQ(card.select_identity(), 0x9000);
    for (const std::string id : {"0201", "0202", "0203"}) {
      ASSERT_EQ(card.run("00A4020C02" + id).sw, 0x9000);
      EXPECT_EQ(card.run("00B0000000").sw, 0x6982);
    }
  }
}

TEST_F(ChipTest, AuxiliaryDataNeedTheirRightAndAnAuthenticChip) {
  const Memory all = asked(1, text("20100101")) + asked(3, hex("02"));
  card.restart();
  ASSERT_EQ(card.open_eac(kAllRights & ~3ULL, all), 0x9000);
  EXPECT_EQ(card.run(ask(1)).sw, 0x6982);
  EXPECT_EQ(card.run(ask(3)).sw, 0x6982);
  EXPECT_EQ(card.run(ask(2)).sw, 0x6A88);  // not asked for when the terminal signed
  authenticated();
  EXPECT_EQ(card.run(ask(1)).sw, 0x6982);
  card.restart();
  ASSERT_EQ(card.open_eac(kAllRights, asked(1, text("2010010"))), 0x9000);
  EXPECT_EQ(card.run(ask(1)).sw, 0x6A80);
  card.restart(Interface::contact);
  EXPECT_NE(card.plain(ask(1)).sw, 0x9000);
}

// Card-security 20: cell by cell, who reads and writes what.
TEST_F(ChipTest, Behaviour20_AccessMatrix) {
  constexpr u64 kReadFirst = 1ULL << 8;
  constexpr u64 kReadSeventeen = 1ULL << 24;
  constexpr u64 kWriteSeventeen = 1ULL << 37;
  struct Row {
    const char* name;
    std::function<void()> enter;
    // EF.CardAccess, EF.CardSecurity, data groups 1 and 17, a file of the e-signature application; writing group 17.
    bool access, security, first, seventeen, esign, write;
  };
  const auto eac = [&](u64 rights) { return [&, rights] { ASSERT_EQ(card.open_eac(rights), 0x9000); }; };
  const std::vector<Row> rows = {
      {"contact", [&] { card.restart(Interface::contact); }, true, false, false, false, true, false},
      {"contactless", [] {}, true, false, false, false, false, false},
      {"PACE, CAN", [&] { ASSERT_EQ(card.open(2, "123456"), 0x9000); }, true, false, false, false, true, false},
      {"PACE, PIN", [&] { ASSERT_EQ(card.open(3, "123456"), 0x9000); }, true, false, false, false, true, false},
      {"PACE, PUK", [&] { ASSERT_EQ(card.open(4, "9081726354"), 0x9000); }, true, false, false, false, true, false},
      {"PACE, on the contacts",
       [&] {
         card.restart(Interface::contact);
         ASSERT_EQ(card.open(2, "123456"), 0x9000);
       },
       true, false, false, false, true, false},
      {"terminal authentication", [&] { authenticated(); }, true, true, false, false, true, false},
      {"no right", eac(0), true, true, false, false, true, false},
      {"reads 1", eac(kReadFirst), true, true, true, false, true, false},
      {"reads 17", eac(kReadSeventeen), true, true, false, true, true, false},
      {"writes 17", eac(kWriteSeventeen), true, true, false, false, true, true},
      {"all", eac(kAllRights), true, true, true, true, true, true},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    card.restart();
    row.enter();
    const auto readable = [&](const std::string& select) {
      return card.run(select).sw == 0x9000 && card.run("00B0000000").sw == 0x9000;
    };
    EXPECT_EQ(readable("00A4080C02011C"), row.access);
    EXPECT_EQ(readable("00A4080C02011D"), row.security);
    EXPECT_EQ(readable("00A4080C045E1D0101"), row.first);
    EXPECT_EQ(readable("00A4080C045E1D0111"), row.seventeen);
    EXPECT_EQ(readable("00A4080C0450154301"), row.esign);
    card.run("00A4080C045E1D0111");
    EXPECT_EQ(card.run("00D6000002ABCD").sw == 0x9000, row.write);
    card.run("00A4080C045E1D0101");
    EXPECT_NE(card.run("00D6000002ABCD").sw, 0x9000);  // data group 1 is the issuer's
    for (const std::string file : {"00A4080C02011C", "00A4080C02011D", "00A4080C0450154301"}) {
      const bool selected = card.run(file).sw == 0x9000;
      EXPECT_FALSE(selected && card.run("00D6000002ABCD").sw == 0x9000) << file;
    }
  }
}

// Card-security 34: over contactless e-signature keys and PINs are for a channel only, and in it they work.
TEST_F(ChipTest, Behaviour34_SignaturesOverContactlessOnlyInAChannel) {
  const std::string esign = "00A404000CA000000063504B43532D3135";
  const std::string set = "002241B60A 800104 81024B01 840100";
  const std::string sign = "002A9E9A20" + to_hex(Memory(32, 0x5A)) + "00";
  EXPECT_EQ(card.plain(esign).sw, 0x6A82);
  EXPECT_EQ(card.plain(apdu("00200001", pin("123456"))).sw, 0x6982);
  EXPECT_EQ(card.plain(set).sw, 0x6982);
  EXPECT_EQ(card.plain(sign).sw, 0x6982);
  ASSERT_EQ(card.open(3, "123456"), 0x9000);
  EXPECT_EQ(card.run(esign).sw, 0x9000);
  EXPECT_EQ(card.run(set).sw, 0x9000);
  EXPECT_EQ(card.run(sign).sw, 0x6982);  // PACE with the PIN is not VERIFY
  EXPECT_EQ(card.run(apdu("00200001", pin("123456"))).sw, 0x9000);
  EXPECT_EQ(card.run(sign).sw, 0x9000);
}

// Card-security 45: in plain over contactless what is hidden and what is absent answer alike.
TEST_F(ChipTest, Behaviour45_HiddenIsAbsent) {
  const std::pair<std::string, std::string> alike[] = {
      {"00A4000C025E1D", "00A4000C025E1E"},
      {"00A4000C025015", "00A4000C025016"},
      {"00A4020C02011D", "00A4020C02011E"},
      {"00A4080C045E1D0101", "00A4080C045E1E0101"},
      {"00A4080C045E1D0101", "00A4080C045E1D01F1"},
      {"00A4080C0450154301", "00A4080C0450154302"},
      {"00A4040C09E80704007F00070302", "00A4040C09E80704007F00070303"},
      {"00A4040C0CA000000063504B43532D3135", "00A4040C0CA000000063504B43532D3136"},
      {"00B09D0000", "00B0930000"},
      {"00CA01A000", "00CA77A000"},
      {"0020000108313233343536FFFF", "0020000E08313233343536FFFF"},
      {"002241A40A 800104 81024B01 840100", "002241A40A 800104 81024B09 840100"},
  };
  for (const auto& [hidden, absent] : alike) {
    const Answer here = card.plain(hidden);
    const Answer nowhere = card.plain(absent);
    EXPECT_EQ(here.sw, nowhere.sw) << hidden;
    EXPECT_NE(here.sw, 0x9000) << hidden;
    EXPECT_TRUE(here.data.empty());
  }
  EXPECT_EQ(card.plain("00A4000C02011C").sw, 0x9000);
  EXPECT_EQ(card.plain("00A40000023F0000").sw, 0x9000);
  // A file selected inside a channel is not there any more when the channel is gone.
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  ASSERT_EQ(card.run("00A4080C0450154301").sw, 0x9000);
  card.channel.reset();
  EXPECT_EQ(card.plain("00B0000000").sw, 0x6987);
  EXPECT_EQ(card.plain("00B0000000").sw, 0x6A82);
}

// Card-security 46: in plain over contactless two meetings with one card have nothing in common that two cards of one
// kind have not.
TEST_F(ChipTest, Behaviour46_NothingTellsTwoCardsApartBeforePace) {
  EacCard other(chain());
  const std::vector<std::string> questions = {
      "00CA01A000",
      "00CA01A100",
      "00A40000023F0000",
      "00A4000002011C00",
      "00B0000000",
      "00A4000002 2F0100",
      "00B0000000",
      "80CA006600",
      "80CA004500",
      "80CA00E000",
      "80CA9F7F00",
      "80F2800002 4F0000",
      "8050000008 0102030405060708 00",
  };
  for (const std::string& question : questions) {
    const Answer one = card.plain(question);
    const Answer two = other.plain(question);
    EXPECT_EQ(one.sw, two.sw) << question;
    EXPECT_EQ(one.data, two.data) << question;
    const std::string shown = to_hex(one.data);
    EXPECT_EQ(shown.find("0102030405060708"), std::string::npos) << question;
  }
  EXPECT_EQ(to_hex(Memory(card.card->atr().begin(), card.card->atr().end())),
            to_hex(Memory(other.card->atr().begin(), other.card->atr().end())));
}

// A hostile terminal records a whole session and plays it again: with fresh random numbers on the card nothing of it
// opens anything.
TEST_F(ChipTest, ReplayedSessionOpensNothing) {
  std::vector<Memory> wire;
  const Exchange record = [&](const Memory& command) {
    const Memory sent = card.channel ? card.channel->protect(command) : command;
    wire.push_back(sent);
    const Answer answer = send(*card.card, sent);
    return card.channel ? card.channel->open(answer) : answer;
  };
  PaceTerminal pace;
  pace.reference = 3;
  pace.chat_object = chat(kAuthenticationTerminal, 0, kAllRights);
  ASSERT_EQ(pace.run(record), 0x9000);
  card.channel = pace.channel();
  EacTerminal terminal(chain());
  ASSERT_EQ(terminal.authenticate(record, pace.card_identity()), 0x9000);
  const auto channel = terminal.authenticate_chip(record, card.chip_key);
  ASSERT_TRUE(channel);
  card.channel = *channel;
  record(apdu("00A4040C", hex(EacCard::kIdentityAid)));
  ASSERT_EQ(record(hex("00B0810000")).data, Memory(20, 0xD1));

  card.restart();
  for (std::size_t i = 0; i < wire.size(); ++i) {
    const Answer answer = send(*card.card, wire[i]);
    // MSE SET, nonce, mapping and agreement are anybody's; the token is the first that is not.
    EXPECT_EQ(answer.sw == 0x9000, i < 4) << i;
    if (i >= 4) {
      EXPECT_TRUE(answer.data.empty()) << i;
    }
  }
  card.restart();
  PaceTerminal status;
  status.reference = 3;
  EXPECT_EQ(card.plain(status.set_command()).sw, 0x63C2);  // one wrong token, one try
}

// The channel cut at each step: what comes after the cut finds nothing of what was before it.
TEST_F(ChipTest, CutAtEachStepLeavesNothing) {
  for (int cut = 0;; ++cut) {
    card.restart();
    int commands = 0;
    bool done = true;
    const Exchange cutting = [&](const Memory& command) -> Answer {
      if (commands++ == cut) {
        done = false;
        card.card->reset(Interface::contactless);
      }
      const Answer answer = send(*card.card, card.channel ? card.channel->protect(command) : command);
      if (!done) {
        // Without MSE SET again there is no protocol, and without keys no channel.
        EXPECT_TRUE(answer.sw != 0x9000 || commands == 1) << cut;
        throw std::runtime_error("cut");
      }
      return card.channel ? card.channel->open(answer) : answer;
    };
    try {
      PaceTerminal pace;
      pace.reference = 3;
      pace.chat_object = chat(kAuthenticationTerminal, 0, kAllRights);
      ASSERT_EQ(pace.run(cutting), 0x9000);
      card.channel = pace.channel();
      EacTerminal terminal(chain());
      ASSERT_EQ(terminal.authenticate(cutting, pace.card_identity()), 0x9000);
      const auto channel = terminal.authenticate_chip(cutting, card.chip_key);
      ASSERT_TRUE(channel);
    } catch (const std::runtime_error&) {
      card.channel.reset();
      EXPECT_EQ(card.plain("00B09D0000").sw, 0x6A82) << cut;
    }
    if (done) {
      EXPECT_EQ(cut, 14);  // commands of PACE, terminal and chip authentication
      break;
    }
  }
}

}  // namespace
}  // namespace karta::os
