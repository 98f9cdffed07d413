// Sector rights of terminals (docs/transactions.md): the extension in certificates and its announcement in PACE, and
// ledgers behind them, in every channel.
#include <gtest/gtest.h>

#include "firmware-sim/os/test_eac.h"
#include "firmware-sim/os/test_ledger.h"

namespace karta::os {
namespace {

constexpr u16 kEveryBit = 0xFFFF;

// Root, verifier and terminal with these bits; nothing: no extension.
Chain make_chain(std::optional<u16> root, std::optional<u16> verifier, std::optional<u16> terminal) {
  const auto contents = [](std::optional<u16> bits) { return bits ? sector_rights(*bits) : Memory{}; };
  static const Chain keys = Chain::make();
  Chain out = keys;
  out.root.text.extensions = contents(root);
  out.root = self_certify(out.root.text);
  out.verifier.text.extensions = contents(verifier);
  out.verifier = certify(out.verifier.text, out.root.signer);
  out.terminal.text.extensions = contents(terminal);
  out.terminal = certify(out.terminal.text, out.verifier.signer);
  return out;
}

// Reading wants bit 7, crediting bit 8, debiting bit 3; a file beside it bit 1, written with bit 6.
LedgerSample sample(const std::string& debit = "0503") {
  LedgerSample out;
  out.rules = "8102 0507 8202 0508 8302" + debit;
  return out;
}
std::vector<Memory> commands(const LedgerSample& ledger) {
  std::vector<Memory> out = {ledger.create_df()};
  for (const Memory& command : ledger.commands()) out.push_back(command);
  out.push_back(LedgerSample::create("80020004 820101 83020105 8603000000 A108 81020501 82020506"));
  return out;
}

class SectorTest : public testing::Test {
 protected:
  EacCard make(const Chain& chain, const std::string& debit = "0503") {
    return EacCard(chain, Curve::brainpool_p256r1, 200, "123456", {}, commands(sample(debit)));
  }
  // The bits that open something, found by trying.
  static std::string opened(EacCard& card, u16 announced) {
    card.restart();
    card.announced = tlv(0x65, sector_rights(announced));
    EXPECT_EQ(card.open_eac(), 0x9000);
    return found(card);
  }
  static std::string found(EacCard& card) {
    const LedgerSample ledger = sample();
    EXPECT_EQ(card.run(ledger.select_df()).sw, 0x9000);
    std::string out;
    const auto add = [&](const Memory& command, const char* name) {
      const u16 sw = card.run(command).sw;
      if (sw == 0x9000) out += name;
      if (sw != 0x9000) {
        EXPECT_EQ(sw, 0x6982) << name;
      }
    };
    add(hex("00B0850000"), "1");  // short identifier 5: file 0105
    add(ledger.terminal(kDebit).open_command(), "3");
    add(hex("00D6850004 01020304"), "6");
    add(hex("00B0830000"), "7");
    add(ledger.terminal(kCredit).open_command(), "8");
    return out;
  }
};

constexpr u16 bit(int n) { return static_cast<u16>(1U << n); }

TEST_F(SectorTest, Behaviour25_SectorRightsAreTheAndOfAll) {
  EacCard card = make(make_chain(kEveryBit, kEveryBit, kEveryBit));
  EXPECT_EQ(opened(card, kEveryBit), "13678");
  EXPECT_EQ(opened(card, bit(3)), "3");
  EXPECT_EQ(opened(card, bit(7) | bit(1)), "17");
  EXPECT_EQ(opened(card, static_cast<u16>(~bit(8))), "1367");
  EXPECT_EQ(opened(card, 0), "");
  card.chain = make_chain(kEveryBit, bit(3) | bit(7), bit(7) | bit(8));
  EXPECT_EQ(opened(card, kEveryBit), "7");
  card.chain = make_chain(kEveryBit, std::nullopt, kEveryBit);
  EXPECT_EQ(opened(card, kEveryBit), "") << "a missing extension counts as zero";
  card.chain = make_chain(kEveryBit, kEveryBit, std::nullopt);
  EXPECT_EQ(opened(card, kEveryBit), "");
  EacCard narrow = make(make_chain(bit(8) | bit(1), kEveryBit, kEveryBit));
  EXPECT_EQ(opened(narrow, kEveryBit), "18") << "the anchor's, kept on the card";
  EacCard none = make(make_chain(std::nullopt, kEveryBit, kEveryBit));
  EXPECT_EQ(opened(none, kEveryBit), "");
}

TEST_F(SectorTest, RulesAskForABitThereIs) {
  const auto created = [&](const std::string& rule) {
    Chip chip(96);
    Card card(chip, kDefaultConfig);
    EXPECT_TRUE(card.format(EacCard::kSerial) && card.boot(Interface::contact));
    return send(card, LedgerSample::create("80020004 820101 83020105 8603000000 A1048102" + rule)).sw;
  };
  EXPECT_EQ(created("050F"), 0x9000);
  EXPECT_EQ(created("8500"), 0x9000);
  EXPECT_EQ(created("0510"), 0x6A80);
  EXPECT_EQ(created("05FF"), 0x6A80);
  EXPECT_EQ(created("0600"), 0x6A80);
}

TEST_F(SectorTest, WithoutAnAnnouncementThereAreNoSectorRights) {
  EacCard card = make(make_chain(kEveryBit, kEveryBit, kEveryBit));
  ASSERT_EQ(card.open_eac(), 0x9000);
  EXPECT_EQ(found(card), "");
}

TEST_F(SectorTest, TheyBeginWithChipAuthentication) {
  EacCard card = make(make_chain(kEveryBit, kEveryBit, kEveryBit));
  card.announced = tlv(0x65, sector_rights(kEveryBit));
  ASSERT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
  EXPECT_EQ(found(card), "") << "PACE alone";
  card.restart();
  ASSERT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
  EacTerminal terminal(card.chain);
  ASSERT_EQ(terminal.authenticate(card.exchange(), card.pace.card_identity()), 0x9000);
  EXPECT_EQ(found(card), "") << "terminal authentication alone";
  card.restart();
  ASSERT_EQ(card.open_eac(), 0x9000);
  EXPECT_EQ(found(card), "13678");
  EXPECT_EQ(card.open(3, "123456"), 0x9000);
  EXPECT_EQ(found(card), "") << "a new channel has shown nothing";
}

TEST_F(SectorTest, TheExtensionIsTakenStrictly) {
  const Memory oid = hex("2A864886F71401BE40937A81FA6A81D24882DF3F81942082E063878ACF5887D04802");
  const auto object = [&](const Memory& contents) { return tlv(0x73, tlv(0x06, oid) + contents); };
  const Memory wrong[] = {object(hex("5301FF")),
                          object(hex("5303FFFFFF")),
                          object(hex("5302FFFF00")),
                          object(hex("8002FFFF")),
                          object({}),
                          sector_rights(1) + sector_rights(1)};
  EacCard card = make(make_chain(kEveryBit, kEveryBit, kEveryBit));
  for (const Memory& contents : wrong) {
    card.restart();
    card.announced = tlv(0x65, contents);
    EXPECT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x6A80) << to_hex(contents);
    card.announced = {};
    CertificateText text = card.chain.terminal.text;
    text.extensions = contents;
    card.restart();
    ASSERT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
    ASSERT_EQ(EacTerminal::present(card.exchange(), card.chain.verifier), 0x9000);
    EXPECT_EQ(EacTerminal::present(card.exchange(), certify(text, card.chain.verifier.signer)), 0x6A80)
        << to_hex(contents);
  }
  // Others beside it are left alone; without CHAT there is nobody to have rights.
  card.restart();
  card.announced = tlv(0x65, tlv(0x73, hex("06022A03 530101")) + sector_rights(bit(7)));
  EXPECT_EQ(card.open_eac(), 0x9000);
  EXPECT_EQ(found(card), "7");
  card.restart();
  PaceTerminal lone;
  lone.chat_object = tlv(0x65, sector_rights(1));
  EXPECT_EQ(lone.set(card.exchange()), 0x6A80);
}

// The whole transaction inside PACE, and inside PACE and EAC, commands and answers protected.
TEST_F(SectorTest, TransactionsRunInsideProtectedChannels) {
  EacCard card = make(make_chain(kEveryBit, kEveryBit, kEveryBit), "02FF");
  const LedgerSample ledger = sample();
  const auto transact = [&](u8 kind, const std::vector<u32>& counters, u32 sequence) {
    LedgerTerminal terminal = ledger.terminal(kind);
    const Answer opening = card.run(terminal.open_command());
    ASSERT_EQ(opening.sw, 0x9000);
    EXPECT_EQ(terminal.read_opening(opening.data).sequence, sequence - 1);
    const Answer receipt = card.run(terminal.commit_command(counters, Memory(16, 1)));
    ASSERT_EQ(receipt.sw, 0x9000);
    terminal.read_receipt(receipt.data, sequence);
    EXPECT_EQ(card.run(terminal.ratify_command()).sw, 0x9000);
  };
  card.announced = tlv(0x65, sector_rights(kEveryBit));
  ASSERT_EQ(card.open_eac(), 0x9000);
  ASSERT_EQ(card.run(ledger.select_df()).sw, 0x9000);
  transact(kCredit, {9, 9}, 1);
  EXPECT_EQ(card.run("00B0830000").data, ledger.product + be32({9, 9}) + be32(1));
  EXPECT_EQ(card.run("00B2011C00").data, Memory(16, 1));
  card.restart();
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  ASSERT_EQ(card.run(ledger.select_df()).sw, 0x9000);
  transact(kDebit, {8, 9}, 2);
  EXPECT_EQ(card.run("00B0830000").sw, 0x6982);

  // An opening does not leave its channel: a plain COMMIT ends both.
  LedgerTerminal terminal = ledger.terminal(kDebit);
  terminal.read_opening(card.run(terminal.open_command()).data);
  EXPECT_EQ(card.plain(terminal.commit_command({7, 9}, Memory(16, 2))).sw, 0x6987);
  card.restart(Interface::contact);
  EXPECT_EQ(card.plain(ledger.select_df()).sw, 0x9000);
  EXPECT_EQ(card.plain(ledger.terminal(kDebit).open_command()).sw, 0x6982) << "the rule wants a channel";
}

// A transport PIN's channel satisfies no rule, and shows no ledger whose rule is free.
TEST_F(SectorTest, ATransportPinReadsNoLedger) {
  LedgerSample free = sample();
  free.rules = "8102 01FF";
  std::vector<Memory> more = {free.create_df()};
  for (const Memory& command : free.commands()) more.push_back(command);
  EacCard card(make_chain(kEveryBit, kEveryBit, kEveryBit), Curve::brainpool_p256r1, 200, "12345", {}, more);
  ASSERT_EQ(card.open(3, "12345"), 0x9000);
  ASSERT_EQ(card.run(free.select_df()).sw, 0x9000);
  EXPECT_EQ(card.run("00B0830000").sw, 0x6982);
  card.restart();
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  ASSERT_EQ(card.run(free.select_df()).sw, 0x9000);
  EXPECT_EQ(card.run("00B0830000").sw, 0x9000);
}

}  // namespace
}  // namespace karta::os
