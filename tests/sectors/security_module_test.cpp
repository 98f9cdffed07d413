// The security module as a terminal has it: a second card that computes what a gate must not know. The same tap with
// the masters in a file, in a module, and in an HSM.
#include <gtest/gtest.h>

#include "card/security_module.h"
#include "card/transit.h"
#include "tests/eac/identity_card.h"
#include "tests/sectors/wire.h"

namespace karta::card {
namespace {

using test::IdentityCard;
using test::SimulatedCard;
using test::Wire;

const Time kNow = crypto::testing::test_time();
constexpr std::string_view kModulePin = "246813";

TransactionMasters all_masters() {
  TransactionMasters masters;
  masters["health"] = test::ledger_masters(test::kHealthMasters);
  masters["transit"] = test::ledger_masters(test::kTransitMasters);
  return masters;
}

// A blank card made a module of `role`, in a reader.
class Module {
 public:
  explicit Module(std::string_view role, std::uint64_t seed = 77) : sim(seed), random(seed) {
    PlainChannel plain(sim.connection());
    const CardManagerProfile manager;
    const SecretBytes master(Bytes(kMasterKeyOctets, 0x6B));
    IssuerChannelRequest request;
    request.profile = &manager;
    request.master = &master;
    request.take_blank = true;
    const auto issuer = open_issuer_channel(plain, request, random);
    EXPECT_TRUE(issuer) << issuer.error().message;
    if (!issuer) return;
    const Status made =
        make_security_module(**issuer, *find_module_role(role), all_masters(), test::secret(kModulePin));
    EXPECT_TRUE(made) << made.error().message;
    sim.replug();
    channel = std::make_unique<PlainChannel>(sim.connection());
  }
  std::unique_ptr<TransactionKeys> keys(std::string_view application) {
    auto opened = open_security_module(*channel, application, test::secret(kModulePin));
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  SimulatedCard sim;
  SeededRandom random;
  std::unique_ptr<PlainChannel> channel;
};

TEST(SecurityModule, IsMadeOfABlankCardOnly) {
  SimulatedCard blank;
  PlainChannel fresh(blank.connection());
  EXPECT_TRUE(check_module_blank(fresh));
  Module made("gate");
  const Status again = check_module_blank(*made.channel);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::card_refused);
  EXPECT_NE(again.error().message.find("security module already"), std::string::npos) << again.error().message;
  IdentityCard citizen;
  for (const os::Interface interface : {os::Interface::contact, os::Interface::contactless}) {
    citizen.put(interface);
    const Status issued = check_module_blank(*citizen.plain);
    ASSERT_FALSE(issued);
    EXPECT_EQ(issued.error().kind, ErrorKind::card_refused);
    EXPECT_NE(issued.error().message.find("issued already"), std::string::npos) << issued.error().message;
  }
  // The question changed nothing: the module still works, the blank card can still be made one.
  EXPECT_NE(made.keys("transit"), nullptr);
}

TEST(SecurityModule, WorksAGateForManyTaps) {
  IdentityCard card;
  Module gate_module("gate");
  const auto keys = gate_module.keys("transit");
  ASSERT_NE(keys, nullptr);
  for (std::uint32_t number = 1; number <= 3; ++number) {
    card.put(os::Interface::contactless);
    const auto before = gate_module.sim.count();
    Tap tap(*card.plain, *keys, Gate{.terminal = 7, .zone = 1});
    const auto outcome = tap.run(number, kNow);
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(outcome->reason, TapReason::open);
    EXPECT_EQ(outcome->receipt->sequence, number);
    ASSERT_TRUE(tap.ratify());
    EXPECT_EQ((gate_module.sim.count() - before).commands, 4u);
  }
}

TEST(SecurityModule, OfAGateSellsNothingAndKnowsNoMedicine) {
  IdentityCard card;
  Module gate_module("gate");
  const auto keys = gate_module.keys("transit");
  ASSERT_NE(keys, nullptr);
  EXPECT_FALSE(keys->prepare(LedgerKey::credit, card.data.transit.ledger.serial));
  EXPECT_FALSE(keys->prepare(LedgerKey::settlement, card.data.transit.ledger.serial));
  const auto other = gate_module.keys("health");
  ASSERT_NE(other, nullptr);
  EXPECT_FALSE(other->prepare(LedgerKey::debit, card.data.health.ledger.serial));
}

TEST(SecurityModule, OfABackOfficeChecksCodesAndOpensNothing) {
  IdentityCard card;
  card.put(os::Interface::contactless);
  MasterTransactionKeys gate(test::ledger_masters(test::kTransitMasters), card.random);
  Tap tap(*card.plain, gate, Gate{.terminal = 7, .zone = 1});
  const auto outcome = tap.run(1, kNow);
  ASSERT_TRUE(outcome) << outcome.error().message;
  Module office("settlement");
  const auto keys = office.keys("transit");
  ASSERT_NE(keys, nullptr);
  const Bytes& serial = card.data.transit.ledger.serial;
  const auto code = keys->settlement_code(LedgerKey::debit, serial, 1, Bytes(8, 0), outcome->entry.encode());
  ASSERT_TRUE(code) << code.error().message;
  EXPECT_EQ(*code, outcome->receipt->code);
  EXPECT_NE(*keys->settlement_code(LedgerKey::debit, serial, 2, Bytes(8, 0), outcome->entry.encode()), *code);
  EXPECT_FALSE(keys->prepare(LedgerKey::debit, serial)) << "a back office takes nothing off a card";
  Module gate_module("gate");
  const auto none = gate_module.keys("transit");
  ASSERT_NE(none, nullptr);
  EXPECT_FALSE(none->settlement_code(LedgerKey::debit, serial, 1, Bytes(8, 0), outcome->entry.encode()));
}

TEST(SecurityModule, StaysShutWithoutItsPin) {
  Module gate_module("gate");
  const auto wrong = open_security_module(*gate_module.channel, "transit", test::secret("111222"));
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().kind, ErrorKind::wrong_pin);
  // A program nobody sits at leaves the last try to somebody who knows the PIN.
  std::string words;
  for (int i = 0; i < 8; ++i) {
    const auto spared = open_security_module(*gate_module.channel, "transit", test::secret("111222"), true);
    ASSERT_FALSE(spared);
    EXPECT_EQ(spared.error().kind, ErrorKind::wrong_pin);
    words = spared.error().message;
  }
  EXPECT_NE(words.find("one try left"), std::string::npos) << words;
  SamTransactionKeys locked(*gate_module.channel, {{LedgerKey::debit, master_file("transit", LedgerKey::debit)}});
  EXPECT_FALSE(locked.prepare(LedgerKey::debit, Bytes(8, 1)));
  EXPECT_TRUE(open_security_module(*gate_module.channel, "transit", test::secret(kModulePin)));
  IdentityCard card;
  card.put(os::Interface::contact);
  EXPECT_EQ(open_security_module(*card.plain, "transit", test::secret(kModulePin)).error().kind,
            ErrorKind::card_unknown);
}

TEST(SecurityModule, RefusesACloneAndAForgedReceipt) {
  IdentityCard card;
  Module gate_module("gate");
  const auto keys = gate_module.keys("transit");
  ASSERT_NE(keys, nullptr);
  for (const auto& [ins, phase] : {std::pair{test::kInsOpen, std::optional<LedgerPhase>{}},
                                   std::pair{test::kInsCommit, std::optional(LedgerPhase::lost)}}) {
    card.put(os::Interface::contactless);
    Wire wire(card.sim);
    wire.from_card = [ins = ins](ByteView command, Bytes answer) {
      if (test::is(command, ins)) answer[0] ^= 0x01;
      return answer;
    };
    Tap tap(wire.channel, *keys, Gate{.terminal = 7, .zone = 1});
    const auto outcome = tap.run(1, kNow);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().kind, ErrorKind::card_insecure);
    EXPECT_EQ(tap.session() == nullptr ? std::optional<LedgerPhase>{} : tap.session()->phase(), phase);
  }
  // And works on with the next card.
  IdentityCard next({.seed = 2});
  next.put(os::Interface::contactless);
  EXPECT_TRUE(Tap(*next.plain, *keys, Gate{.terminal = 7, .zone = 1}).run(2, kNow));
}

// Cut off after each command of its making in turn; put in again, it becomes a module all the same.
TEST(SecurityModule, InterruptedInItsMakingIsMadeAnew) {
  const CardManagerProfile manager;
  const SecretBytes master(Bytes(kMasterKeyOctets, 0x6B));
  const auto make = [&](CardConnection& connection, SeededRandom& random) -> Status {
    PlainChannel plain(connection);
    TRY(check_module_blank(plain));
    IssuerChannelRequest request;
    request.profile = &manager;
    request.master = &master;
    request.take_blank = true;
    const auto issuer = TRY(open_issuer_channel(plain, request, random));
    return make_security_module(*issuer, *find_module_role("issuing"), all_masters(), test::secret(kModulePin));
  };
  SimulatedCard whole(3);
  SeededRandom whole_random(3);
  ASSERT_TRUE(make(whole.connection(), whole_random));
  const std::uint64_t commands = whole.count().commands;
  ASSERT_GT(commands, 20u);
  for (std::uint64_t cut = 1; cut < commands; ++cut) {
    SCOPED_TRACE(cut);
    SimulatedCard sim(100 + cut);
    SeededRandom random(200 + cut);
    std::uint64_t left = cut;
    MemoryConnection pulled(
        {.process = [&](ByteView command) { return left-- > 0 ? to_bytes(sim.card().process(command)) : Bytes(); },
         .atr = [&] { return to_bytes(sim.card().atr()); },
         .reset = [&] { sim.card().reset(); }});
    ASSERT_FALSE(make(pulled, random));
    sim.replug();
    const Status again = make(sim.connection(), random);
    ASSERT_TRUE(again) << again.error().message;
    sim.replug();
    PlainChannel channel(sim.connection());
    const auto keys = open_security_module(channel, "health", test::secret(kModulePin));
    ASSERT_TRUE(keys) << keys.error().message;
    EXPECT_TRUE((*keys)->prepare(LedgerKey::credit, Bytes(8, 1)));
  }
}

// A module of an issuing centre derives a new card's keys; nobody who listens to its reader learns them.
TEST(SecurityModule, OfAnIssuingCentreDerivesTheKeysOfNewCards) {
  const CardManagerProfile manager;
  const SecretBytes master(Bytes(kMasterKeyOctets, 0x6B));
  const Bytes serial = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto ask = [&](Module& module, Bytes& heard) -> Result<LedgerMasters> {
    module.sim.replug();
    Wire wire(module.sim);
    wire.from_card = [&](ByteView, Bytes answer) {
      append(heard, answer);
      return answer;
    };
    IssuerChannelRequest request;
    request.profile = &manager;
    request.master = &master;
    const auto issuer = TRY(open_issuer_channel(wire.channel, request, module.random));
    return derive_ledger_keys(*issuer, "transit", serial, test::secret(kModulePin));
  };
  Module issuing("issuing"), gate("gate");
  Bytes heard;
  const auto keys = ask(issuing, heard);
  ASSERT_TRUE(keys) << keys.error().message;
  ASSERT_EQ(keys->size(), 3u);
  for (const auto& [kind, key] : *keys) {
    const SecretBytes wanted = diversify_ledger_key(all_masters().at("transit").at(kind), kind, serial);
    EXPECT_TRUE(key.equals(wanted.expose_secret())) << name_of(kind);
    const ByteView octets = wanted.expose_secret();
    EXPECT_EQ(std::search(heard.begin(), heard.end(), octets.begin(), octets.end()), heard.end()) << "in the clear";
  }
  Bytes unheard;
  const auto refused = ask(gate, unheard);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::not_permitted) << refused.error().message;
  // In the clear, and without the PIN, the module says nothing.
  EXPECT_FALSE(derive_ledger_keys(*issuing.channel, "transit", serial, test::secret(kModulePin)));
}

TEST(SealedMasters, ComeBackUnderTheirPassphraseOnly) {
  SeededRandom random(5);
  const SecretBytes passphrase = test::secret("for tests only");
  const auto sealed = seal_transaction_masters(all_masters(), passphrase, 1000, random);
  ASSERT_TRUE(sealed) << sealed.error().message;
  const auto back = open_transaction_masters(*sealed, passphrase);
  ASSERT_TRUE(back) << back.error().message;
  ASSERT_EQ(back->size(), 2u);
  for (const auto& [application, keys] : all_masters()) {
    ASSERT_EQ(back->at(application).size(), 3u);
    for (const auto& [kind, key] : keys) EXPECT_TRUE(back->at(application).at(kind).equals(key.expose_secret()));
  }
  EXPECT_EQ(open_transaction_masters(*sealed, test::secret("another")).error().kind, ErrorKind::wrong_pin);
}

}  // namespace
}  // namespace karta::card
