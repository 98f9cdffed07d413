// A department's application: its own profile, its own keys, its own part of the card. Neither the issuer, nor another
// department, nor any terminal reads what it planted there.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/be32.h"
#include "card/domain_profile.h"
#include "card/global_platform.h"
#include "card/ledger.h"
#include "card/sector_steps.h"
#include "tests/eac/identity_card.h"

namespace karta::card {
namespace {

using test::IdentityCard;

constexpr std::string_view kPlanted = "planted: of nobody's concern";
constexpr std::string_view kPlantedRecord = "planted record";

std::string profile_text(const char* aid, std::string_view planted) {
  return "schema = \"karta.department-profile/1\"\nname = \"library\"\naid = \"" + std::string(aid) +
         "\"\n[[file]]\nid = \"0101\"\nshort_id = 1\ncontent = [\"" + std::string(planted) +
         "\"]\n[[file]]\nid = \"0102\"\nshort_id = 2\nkind = \"cyclic\"\noctets = 16\nrecords = 3\ncontent = [\"" +
         std::string(kPlantedRecord) +
         "\", \"a second\"]\n[[file]]\nid = \"0104\"\nshort_id = 4\ncontent = [\"opening hours\"]\nread = \"anybody\"\n"
         "[ledger]\ncounters = 1\nentry_octets = 16\nproduct = \"copies\"\ndebit = \"anybody\"\n";
}

class DepartmentTest : public ::testing::Test {
 protected:
  DepartmentTest() { card.change_transport_pin(); }

  std::unique_ptr<Scp03Channel> issuer() {
    card.put(os::Interface::contact);
    IssuerChannelRequest request;
    request.profile = &card.profile.card_manager;
    request.master = &master;
    auto opened = open_issuer_channel(*card.plain, request, card.random);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? std::move(*opened) : nullptr;
  }
  // Offer, load, receipt: the department's keys on this card.
  Scp03KeySet domain(const Bytes& aid) {
    const Bytes point = agreement_point();
    const auto offer = DomainOffer::make(aid, serial(), crypto::KeyType::p256, point, 1, 16, card.random);
    EXPECT_TRUE(offer) << offer.error().message;
    const auto session = issuer();
    EXPECT_TRUE(install_domain(*session, aid));
    const auto receipt = load_domain_keys(*session, aid, offer->message);
    EXPECT_TRUE(receipt) << receipt.error().message;
    auto keys = offer->finish(*receipt);
    EXPECT_TRUE(keys) << keys.error().message;
    return std::move(*keys);
  }
  Bytes serial() {
    card.put(os::Interface::contact);
    return ESignApplication::open(*card.plain).value().info().serial;
  }
  Bytes agreement_point() { return card.agreement_point; }
  std::unique_ptr<Scp03Channel> open(const Bytes& aid, const Scp03KeySet& keys) {
    card.put(os::Interface::contact);
    EXPECT_TRUE(card.plain->run(select_application(aid, SelectReturn::nothing), "select the domain"));
    auto session = Scp03Channel::open(
        *card.plain, {.mode = Scp03Mode::s16, .level = security_level::all, .key_version = 0},
        [&](const Scp03Greeting&) -> Result<Scp03KeySet> { return keys.clone(); }, card.random);
    EXPECT_TRUE(session) << session.error().message;
    return session ? std::move(*session) : nullptr;
  }
  void apply(const Bytes& aid, const Scp03KeySet& keys, std::string_view planted, const LedgerData& ledger) {
    const auto profile = parse_department_profile(profile_text(to_hex_upper(aid).c_str(), planted), "library.toml");
    ASSERT_TRUE(profile) << profile.error().message;
    const auto session = open(aid, keys);
    ASSERT_NE(session, nullptr);
    const Status loaded = load_department(*session, *profile, ledger);
    ASSERT_TRUE(loaded) << loaded.error().message;
  }
  // Everything a channel gives of the domain's files, however it is asked.
  Bytes all_that_is_given(Channel& channel, const Bytes& aid) {
    Bytes given;
    const auto take = [&](const CommandApdu& command) {
      const auto answer = channel.transmit(command);
      if (answer) append(given, answer->data);
    };
    take(select_application(aid, SelectReturn::nothing));
    for (std::uint8_t id = 1; id <= 4; ++id) {
      take(read_binary_short_id(id, 200));
      take({0x00, 0xB2, 0x01, static_cast<std::uint8_t>(id << 3 | 0x05), {}, kExtendedResponse});
      take(select_file(static_cast<std::uint16_t>(0x0100 + id), SelectReturn::nothing));
      take(read_binary(0, 200));
      take({0x00, 0xB2, 0x01, 0x04, {}, kShortResponse});
      take(select_application(aid, SelectReturn::nothing));
    }
    return given;
  }
  static bool holds(const Bytes& given, std::string_view words) {
    return as_text(given).find(words) != std::string_view::npos;
  }

  IdentityCard card;
  SecretBytes master{Bytes(kMasterKeyOctets, 0x6B)};
  const Bytes library = *from_hex("F04B4152544110"), archive = *from_hex("F04B4152544111");
};

TEST_F(DepartmentTest, ReadsWhatItWroteAndNobodyElseDoes) {
  const Scp03KeySet ours = domain(library), theirs = domain(archive);
  LedgerMasters masters = test::ledger_masters(0x20);
  apply(library, ours, kPlanted, LedgerData::derive(masters, card.random));
  apply(archive, theirs, "another's", LedgerData::derive(masters, card.random));
  {
    const auto session = open(library, ours);
    const Bytes given = all_that_is_given(*session, library);
    EXPECT_TRUE(holds(given, kPlanted));
    EXPECT_TRUE(holds(given, kPlantedRecord));
    EXPECT_TRUE(holds(given, "copies"));
  }
  const auto hidden = [&](const char* who, Channel& channel) {
    SCOPED_TRACE(who);
    const Bytes given = all_that_is_given(channel, library);
    EXPECT_FALSE(holds(given, kPlanted));
    EXPECT_FALSE(holds(given, kPlantedRecord));
    EXPECT_FALSE(holds(given, "copies"));
  };
  hidden("the issuer", *issuer());
  hidden("another department", *open(archive, theirs));
  card.put(os::Interface::contact);
  hidden("anybody on the contacts", *card.plain);
  card.put(os::Interface::contactless);
  hidden("anybody in the field", *card.plain);
  for (const TerminalRole& role : terminal_roles()) {
    card.put(os::Interface::contactless);
    const UnlockedTerminal terminal = card.terminal(role.name);
    const SecretBytes can = test::secret(test::kCan);
    auto identity = IdentityApplication::open(*card.plain, card.request(terminal, PacePassword::can, can), card.random);
    ASSERT_TRUE(identity) << identity.error().message;
    hidden(std::string(role.name).c_str(), identity->channel());
    identity->close();
  }
  // What the profile gives to anybody is given.
  card.put(os::Interface::contact);
  EXPECT_TRUE(holds(all_that_is_given(*card.plain, library), "opening hours"));
}

TEST_F(DepartmentTest, ItsLedgerWorksUnderItsOwnKeysAlone) {
  const Scp03KeySet ours = domain(library);
  LedgerMasters masters = test::ledger_masters(0x20);
  apply(library, ours, kPlanted, LedgerData::derive(masters, card.random));
  MasterTransactionKeys keys(test::ledger_masters(0x20), card.random);
  {
    const auto session = open(library, ours);
    const auto info = select_ledger(*session, library);
    ASSERT_TRUE(info) << info.error().message;
    auto ledger = LedgerSession::open(*session, keys, *info, LedgerKey::credit);
    ASSERT_TRUE(ledger) << ledger.error().message;
    ASSERT_TRUE(ledger->commit({{5}, Bytes(16, 1)}));
    ASSERT_TRUE(ledger->ratify());
  }
  card.put(os::Interface::contact);
  const auto info = select_ledger(*card.plain, library);
  ASSERT_TRUE(info) << info.error().message;
  auto ledger = LedgerSession::open(*card.plain, keys, *info, LedgerKey::debit);
  ASSERT_TRUE(ledger) << ledger.error().message;
  EXPECT_EQ(ledger->state().counters, std::vector<std::uint32_t>{5});
  ASSERT_TRUE(ledger->commit({{4}, Bytes(16, 2)}));
  // The transit operator's keys open nothing here.
  MasterTransactionKeys others(test::ledger_masters(test::kTransitMasters), card.random);
  EXPECT_EQ(LedgerSession::open(*card.plain, others, *info, LedgerKey::debit).error().kind, ErrorKind::card_insecure);
}

TEST_F(DepartmentTest, AppliesAnewOverWhatIsThere) {
  const Scp03KeySet ours = domain(library);
  LedgerMasters masters = test::ledger_masters(0x20);
  apply(library, ours, kPlanted, LedgerData::derive(masters, card.random));
  apply(library, ours, "second edition", LedgerData::derive(masters, card.random));
  const Bytes given = all_that_is_given(*open(library, ours), library);
  EXPECT_TRUE(holds(given, "second edition"));
  EXPECT_FALSE(holds(given, kPlanted));
}

TEST(DepartmentProfile, ShippedExampleAndMistakes) {
  const auto shipped = read_department_profile(std::string(KARTA_SOURCE_DIR) + "/docs/examples/profiles/library.toml");
  ASSERT_TRUE(shipped) << shipped.error().message;
  EXPECT_EQ(shipped->files.size(), 2u);
  ASSERT_TRUE(shipped->ledger);
  EXPECT_EQ(as_text(shipped->ledger->product), "copies");
  const std::string good = profile_text("F04B4152544110", "x");
  ASSERT_TRUE(parse_department_profile(good, "x.toml"));
  for (const auto& [what, with] :
       {std::pair{"id = \"0102\"", "id = \"0101\""}, std::pair{"\"cyclic\"", "\"round\""},
        std::pair{"records = 3", "records = 1"}, std::pair{"read = \"anybody\"", "read = \"everyone\""},
        std::pair{"counters = 1", "counters = 9"}, std::pair{"F04B4152544110", "F04B4152544103"},
        std::pair{"entry_octets", "entry_bytes"}}) {
    std::string bad = good;
    bad.replace(bad.find(what), std::string(what).size(), with);
    const auto parsed = parse_department_profile(bad, "x.toml");
    ASSERT_FALSE(parsed) << what;
    EXPECT_EQ(parsed.error().kind, ErrorKind::configuration);
    EXPECT_TRUE(parsed.error().message.starts_with("x.toml:")) << parsed.error().message;
  }
}

}  // namespace
}  // namespace karta::card
