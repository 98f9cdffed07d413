// Who may do what: the access rules of the identity application, cell by cell, allow and deny, on an issued card.
//
// The rows come from the application's own table of data groups, the columns from every way to stand before the card;
// what each cell must be is written down here by hand, from docs/terminals-certificates.md, and nowhere derived.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "tests/eac/identity_card.h"

namespace karta::card {
namespace {

using test::IdentityCard;
using test::kCan;
using test::kPin;
using test::kPuk;
using test::secret;

struct RoleRights {
  std::set<unsigned> read, write;
  bool age, community, pseudonym, pin_management;
};
const std::map<std::string, RoleRights> kExpected = {
    {"clinic", {{3, 4, 5, 6, 8, 11, 12, 14, 16}, {}, false, false, true, false}},
    {"ambulance", {{4, 5, 6, 8, 11, 14, 16}, {}, false, false, false, false}},
    {"pharmacy", {{4, 5, 6, 16}, {}, false, false, true, false}},
    {"transit", {{}, {}, false, false, true, false}},
    {"counter",
     {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21}, {17, 18, 21}, true, true, true, true}},
    {"age-check", {{}, {}, true, false, false, false}},
    {"official", {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 17, 18}, {}, true, false, false, false}},
};

constexpr StatusWord kSwNotSame{0x6300};

struct Standing {
  std::string name;
  os::Interface interface = os::Interface::contact;
  std::optional<PacePassword> password;
  std::string role;  ///< empty: PACE only, or nothing
};

std::vector<Standing> all_standings() {
  std::vector<Standing> all = {{"plain contact", os::Interface::contact, {}, ""},
                               {"plain contactless", os::Interface::contactless, {}, ""}};
  for (const auto interface : {os::Interface::contact, os::Interface::contactless}) {
    const std::string where = interface == os::Interface::contact ? "contact, " : "contactless, ";
    for (const auto password : {PacePassword::can, PacePassword::pin, PacePassword::puk}) {
      all.push_back({where + "PACE with " + std::string(name_of(password)), interface, password, ""});
    }
    for (const auto& [role, rights] : kExpected) {
      all.push_back({where + "PACE and EAC as " + role, interface, PacePassword::can, role});
    }
  }
  all.push_back({"contactless, PIN, EAC as clinic", os::Interface::contactless, PacePassword::pin, "clinic"});
  return all;
}

class AccessMatrix : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    card = std::make_unique<IdentityCard>(test::IdentityCardOptions{.portrait = true});
    card->change_transport_pin();
  }
  static void TearDownTestSuite() { card.reset(); }

  // The channel of one standing; ends where the application is selected if it can be.
  void stand(const Standing& standing) {
    card->put(standing.interface);
    channel = nullptr;
    secure.reset();
    identity.reset();
    const SecretBytes value = secret(standing.password == PacePassword::puk   ? kPuk
                                     : standing.password == PacePassword::pin ? kPin
                                                                              : kCan);
    if (!standing.role.empty()) {
      terminal = card->terminal(standing.role);
      IdentityRequest request = card->request(terminal, *standing.password, value);
      request.compare.born_by = std::chrono::year(2008) / 6 / 1;
      request.compare.community = Bytes{0x06, 0x43};
      auto opened = IdentityApplication::open(*card->plain, request, card->random);
      ASSERT_TRUE(opened) << opened.error().message;
      identity = std::make_unique<IdentityApplication>(std::move(*opened));
      channel = &identity->channel();
      return;
    }
    secure = std::make_unique<SecureMessagingChannel>(*card->plain);
    channel = secure.get();
    if (standing.password) {
      const auto outcome = open_pace(*secure, {*standing.password, &value, nullptr, {}}, card->random);
      ASSERT_TRUE(outcome) << outcome.error().message;
    }
    channel->transmit(select_application(kIdentityAid, SelectReturn::nothing)).value();
  }
  StatusWord status(const CommandApdu& command) {
    const auto response = channel->transmit(command);
    EXPECT_TRUE(response) << response.error().message;
    return response ? response->status : StatusWord{0};
  }
  StatusWord read(std::uint8_t short_id) { return status(read_binary_short_id(short_id, 200)); }

  static std::unique_ptr<IdentityCard> card;
  UnlockedTerminal terminal;
  std::unique_ptr<SecureMessagingChannel> secure;
  std::unique_ptr<IdentityApplication> identity;
  SecureMessagingChannel* channel = nullptr;
};
std::unique_ptr<IdentityCard> AccessMatrix::card;

bool given(StatusWord status) { return status.ok() || status == kSwEndOfFile; }

TEST_F(AccessMatrix, EveryDataGroupFromEveryStanding) {
  std::size_t allowed = 0, denied = 0;
  for (const Standing& standing : all_standings()) {
    SCOPED_TRACE(standing.name);
    ASSERT_NO_FATAL_FAILURE(stand(standing));
    const RoleRights none{};
    const RoleRights& rights = standing.role.empty() ? none : kExpected.at(standing.role);
    const bool hidden = standing.name == "plain contactless";
    for (const DataGroupRow& row : data_group_rows()) {
      SCOPED_TRACE("data group " + std::to_string(row.number));
      // Without a selection short identifiers would count in the MF: there by path.
      Bytes path;
      append_be16(path, kIdentityDf);
      append_be16(path, data_group_file(row.number));
      const StatusWord got = hidden ? status(select_path_from_master(path, SelectReturn::nothing)) : read(row.number);
      if (rights.read.contains(row.number)) {
        EXPECT_TRUE(given(got)) << to_string(got);
        ++allowed;
      } else {
        // Over contactless in plain not even its existence is told.
        EXPECT_EQ(got, hidden ? kSwNotFound : kSwSecurityStatus) << to_string(got);
        ++denied;
      }
      // Its first octet written over itself.
      const std::uint8_t tag = static_cast<std::uint8_t>(0x60 | row.number);
      const StatusWord selected = status(select_file(data_group_file(row.number), SelectReturn::nothing));
      if (hidden) {
        EXPECT_FALSE(selected.ok());
        continue;
      }
      const StatusWord wrote = status(update_binary(0, Bytes{tag}));
      if (rights.write.contains(row.number)) {
        EXPECT_TRUE(wrote.ok()) << to_string(wrote);
        ++allowed;
      } else {
        EXPECT_FALSE(wrote.ok()) << to_string(wrote);
        ++denied;
      }
    }
  }
  EXPECT_GT(allowed, 90u);
  EXPECT_GT(denied, 600u);
}

TEST_F(AccessMatrix, FilesBesideTheDataGroups) {
  for (const Standing& standing : all_standings()) {
    SCOPED_TRACE(standing.name);
    ASSERT_NO_FATAL_FAILURE(stand(standing));
    // Comparison data and data groups that do not exist: nobody.
    for (const std::uint16_t file : {0x0201, 0x0202, 0x0203}) {
      const StatusWord selected = status(select_file(file, SelectReturn::nothing));
      if (selected.ok()) {
        const StatusWord got = status(read_binary(0, 8));
        EXPECT_EQ(got, kSwSecurityStatus) << std::hex << file << " " << to_string(got);
      }
    }
    if (standing.name != "plain contactless") {
      EXPECT_EQ(read(20), kSwNotFound);
    }
    // Key files have nothing to read.
    for (const std::uint16_t file : {0x0041, 0x0042, 0x0043}) {
      if (status(select_file(file, SelectReturn::nothing)).ok()) {
        EXPECT_FALSE(given(status(read_binary(0, 8)))) << file;
      }
    }
    // In the MF: what is for all, and what is for terminals that authenticated.
    const StatusWord master = status(select_master_file(SelectReturn::nothing));
    EXPECT_TRUE(master.ok()) << to_string(master);
    EXPECT_TRUE(given(read(0x1C)));
    EXPECT_TRUE(given(read(0x1E)));
    const StatusWord security = read(0x1D);
    EXPECT_EQ(given(security), !standing.role.empty()) << to_string(security);
  }
}

TEST_F(AccessMatrix, ComparisonsPseudonymsAndPinManagement) {
  for (const Standing& standing : all_standings()) {
    SCOPED_TRACE(standing.name);
    ASSERT_NO_FATAL_FAILURE(stand(standing));
    if (!identity) {
      const auto compare = channel->transmit({0x80, 0x20, 0x80, 0x00, der::oid(kDateOfBirthOid)});
      ASSERT_TRUE(compare);
      EXPECT_FALSE(compare->status.ok() || compare->status == kSwNotSame);
    } else {
      const RoleRights& rights = kExpected.at(standing.role);
      const auto age = identity->born_by_announced_date();
      ASSERT_EQ(age.has_value(), rights.age) << (age ? "" : age.error().message);
      if (age) {
        EXPECT_TRUE(*age) << "born 1990 is of age in 2026";
      } else {
        EXPECT_EQ(age.error().kind, ErrorKind::not_permitted);
      }
      const auto community = identity->lives_in_announced_community();
      ASSERT_EQ(community.has_value(), rights.community);
      if (community) {
        EXPECT_TRUE(*community);
      }
      const TerminalRole& role = *find_terminal_role(standing.role);
      auto sector = card->centre.store.sector(role.sector.empty() ? "health" : role.sector);
      ASSERT_TRUE(sector);
      const auto pseudonym = identity->pseudonym(*sector);
      EXPECT_EQ(pseudonym.has_value(), rights.pseudonym) << (pseudonym ? "" : pseudonym.error().message);
    }
    // 2C 03 03: unblock the PIN. With the PUK, or as a terminal that manages PINs; not where that is the CAN's channel.
    const StatusWord unblocked = status({0x00, 0x2C, 0x03, 0x03});
    const bool may = standing.password == PacePassword::puk ||
                     (!standing.role.empty() && kExpected.at(standing.role).pin_management);
    EXPECT_EQ(unblocked.ok(), may) << to_string(unblocked);
  }
}

// The values themselves, each as the citizen has it, signed where it should be.
TEST_F(AccessMatrix, WhatIsReadIsWhatWasWritten) {
  card->put(os::Interface::contactless);
  const UnlockedTerminal counter = card->terminal("counter");
  const SecretBytes can = secret(kCan);
  auto opened = IdentityApplication::open(*card->plain, card->request(counter, PacePassword::can, can), card->random);
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->status_index(), 4711u);
  const auto all = opened->read_all();
  ASSERT_TRUE(all) << all.error().message;
  const IdentityData citizen = test::sample_citizen();
  ASSERT_EQ(all->size(), citizen.size());
  for (const DataGroupReading& group : *all) {
    SCOPED_TRACE(group.number);
    ASSERT_EQ(group.state, DataGroupState::read);
    EXPECT_EQ(*group.value, citizen.at(group.number));
    const bool writable = group.number == 17 || group.number == 18 || group.number == 21;
    EXPECT_EQ(group.check, writable ? DataGroupCheck::not_covered : DataGroupCheck::signed_by_issuer);
  }
  EXPECT_TRUE(opened->has(kPortraitGroup));
  const auto portrait = opened->read(kPortraitGroup);
  ASSERT_TRUE(portrait) << portrait.error().message;
  ASSERT_EQ(portrait->state, DataGroupState::read);
  EXPECT_EQ(std::get<Bytes>(*portrait->value), test::sample_portrait());
  EXPECT_EQ(portrait->check, DataGroupCheck::signed_by_issuer);
}

TEST_F(AccessMatrix, OneSectorOnePseudonymAndNoOtherCardHasIt) {
  const SecretBytes can = secret(kCan);
  const auto pseudonym = [&](IdentityCard& of, std::string_view role) {
    of.put(os::Interface::contactless);
    const UnlockedTerminal unlocked = of.terminal(role);
    auto opened = IdentityApplication::open(*of.plain, of.request(unlocked, PacePassword::can, can), of.random);
    EXPECT_TRUE(opened) << opened.error().message;
    if (!opened) return Bytes{};
    const auto sector = of.centre.store.sector(find_terminal_role(role)->sector);
    EXPECT_TRUE(sector);
    auto value = opened->pseudonym(*sector);
    EXPECT_TRUE(value) << value.error().message;
    return value ? *value : Bytes{};
  };
  const Bytes clinic = pseudonym(*card, "clinic");
  EXPECT_EQ(clinic.size(), 32u);
  EXPECT_EQ(pseudonym(*card, "pharmacy"), clinic) << "one sector";
  EXPECT_NE(pseudonym(*card, "transit"), clinic) << "another";
  IdentityCard other({.seed = 2});
  EXPECT_NE(pseudonym(other, "clinic"), clinic);
}

TEST_F(AccessMatrix, TheCounterWritesAResidence) {
  IdentityCard mine({.seed = 3});
  mine.put(os::Interface::contactless);
  const UnlockedTerminal counter = mine.terminal("counter");
  const SecretBytes can = secret(kCan);
  auto opened = IdentityApplication::open(*mine.plain, mine.request(counter, PacePassword::can, can), mine.random);
  ASSERT_TRUE(opened) << opened.error().message;
  const Place moved{.street = {}, .city = "Elsewhere", .state = {}, .country = "UTO", .postal_code = {}, .text = {}};
  const Status wrote = opened->write(17, moved);
  ASSERT_TRUE(wrote) << wrote.error().message;
  const auto again = opened->read(17);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again->value, DataGroupValue(moved));
  EXPECT_FALSE(opened->write(4, std::string("Other")));
}

// A terminal without "can-allowed" works with the PIN only; the PUK opens nothing for any terminal.
TEST_F(AccessMatrix, PasswordsATerminalMayCome) {
  auto& centre = card->centre;
  const TerminalRole& transit = *find_terminal_role("transit");
  TerminalRole strict = transit;
  strict.holder = "STRICT";
  if (!centre.store.chain(strict)) {
    const auto made =
        centre.store.issue_terminal(strict, right_bit(right_to_read(4)), test::CentreForTerminals::quick(),
                                    centre.passphrase, cv_date_of(centre.now));
    ASSERT_TRUE(made) << made.error().message;
  }
  auto unlocked = centre.store.unlock(strict, centre.passphrase);
  ASSERT_TRUE(unlocked);
  for (const auto& [password, value, good] : {std::tuple{PacePassword::can, kCan, false},
                                              {PacePassword::pin, kPin, true},
                                              {PacePassword::puk, kPuk, false}}) {
    card->put(os::Interface::contactless);
    const SecretBytes digits = secret(value);
    auto opened = IdentityApplication::open(*card->plain, card->request(*unlocked, password, digits), card->random);
    EXPECT_EQ(opened.has_value(), good) << name_of(password) << (opened ? "" : opened.error().message);
  }
}

// A program that ends without a word leaves its channel on the card: the next one's first command is refused, and it
// goes on. One that closes leaves nothing.
TEST_F(AccessMatrix, AChannelLeftBehindIsNoObstacle) {
  card->put(os::Interface::contactless);
  const UnlockedTerminal clinic = card->terminal("clinic");
  const SecretBytes can = secret(kCan);
  for (const bool closes : {false, false, true, false}) {
    PlainChannel program(card->sim.connection());
    auto opened = IdentityApplication::open(program, card->request(clinic, PacePassword::can, can), card->random);
    ASSERT_TRUE(opened) << opened.error().message;
    ASSERT_TRUE(opened->read(4));
    if (!closes) continue;
    opened->close();
    const auto after = program.transmit(read_binary_short_id(0x1C, 200));
    ASSERT_TRUE(after);
    EXPECT_TRUE(given(after->status)) << "the card still thinks of a channel: " << to_string(after->status);
  }
}

struct Suite {
  std::string pace_curve, chip_curve;
  unsigned cipher_bits;
};
class Suites : public ::testing::TestWithParam<Suite> {};

// Every curve and key length, from EF.CardAccess to a data group.
TEST_P(Suites, FromCardAccessToADataGroup) {
  const Suite& suite = GetParam();
  IdentityCard card({.pace_curve = suite.pace_curve, .chip_curve = suite.chip_curve, .cipher_bits = suite.cipher_bits});
  card.put(os::Interface::contactless);
  const UnlockedTerminal clinic = card.terminal("clinic");
  const SecretBytes can = secret(kCan);
  auto opened = IdentityApplication::open(*card.plain, card.request(clinic, PacePassword::can, can), card.random);
  ASSERT_TRUE(opened) << opened.error().message;
  const auto given_names = opened->read(4);
  ASSERT_TRUE(given_names) << given_names.error().message;
  EXPECT_EQ(*given_names->value, DataGroupValue(std::string("Sample")));
}
INSTANTIATE_TEST_SUITE_P(
    Curves, Suites,
    ::testing::Values(Suite{"p256", "p256", 128}, Suite{"p256", "p256", 192}, Suite{"p256", "p256", 256},
                      Suite{"p384", "p384", 192}, Suite{"brainpoolP256r1", "brainpoolP256r1", 128},
                      Suite{"brainpoolP384r1", "brainpoolP384r1", 192},
                      Suite{"brainpoolP512r1", "brainpoolP512r1", 256}, Suite{"p384", "brainpoolP256r1", 256}),
    [](const auto& one) {
      return one.param.pace_curve + "_" + one.param.chip_curve + "_" + std::to_string(one.param.cipher_bits);
    });

// Commands: what the standard asks for, and one to select the application; reading costs one a data group.
TEST_F(AccessMatrix, CostsNoMoreCommandsThanTheStandard) {
  card->put(os::Interface::contactless);
  const SecretBytes can = secret(kCan);
  {
    const auto before = card->sim.count();
    SecureMessagingChannel channel_now(*card->plain);
    ASSERT_TRUE(open_pace(channel_now, {PacePassword::can, &can, nullptr, {}}, card->random));
    const auto spent = card->sim.count() - before;
    EXPECT_EQ(spent.commands, 6u) << "READ EF.CardAccess, MSE, four GENERAL AUTHENTICATE";
  }
  card->put(os::Interface::contactless);
  const UnlockedTerminal clinic = card->terminal("clinic");
  const auto before = card->sim.count();
  auto opened = IdentityApplication::open(*card->plain, card->request(clinic, PacePassword::can, can), card->random);
  ASSERT_TRUE(opened) << opened.error().message;
  const auto spent = card->sim.count() - before;
  // PACE 6; two certificates 4; MSE, challenge, signature 3; chip authentication 2; SELECT 1; and EF.CardSecurity in as
  // many READ BINARY as its length takes.
  const std::size_t room = opened->channel().limits().response_data;
  const std::uint64_t reads = card->card_security.size() / room + 1;
  EXPECT_EQ(spent.commands, 16u + reads);
  const auto read_before = card->sim.count();
  ASSERT_TRUE(opened->read(4));
  EXPECT_EQ((card->sim.count() - read_before).commands, 1u);
}

}  // namespace
}  // namespace karta::card
