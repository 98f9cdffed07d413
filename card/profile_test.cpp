#include "card/profile.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "base/file.h"
#include "card/identity_data.h"
#include "card/personalise.h"

namespace karta::card {
namespace {

SecretBytes secret(std::string_view text) { return SecretBytes::copy_of(text); }

TEST(CitizenProfile, IsWhatTheCardIsMeantToBe) {
  const auto profile = parse_profile(citizen_profile_toml(), "citizen.toml");
  ASSERT_TRUE(profile) << profile.error().message;
  EXPECT_EQ(profile->name, "citizen");
  ASSERT_EQ(profile->keys.size(), 4u);
  EXPECT_TRUE(profile->key(KeyRole::qualified)->pin_each_time);
  EXPECT_EQ(profile->key(KeyRole::qualified)->pin, PinKind::pin2);
  EXPECT_EQ(profile->key(KeyRole::encryption)->purpose, key_purpose::agree);
  EXPECT_EQ(profile->pin(PinKind::pin1)->transport_digits, 5u);
  EXPECT_EQ(profile->puk_digits, 10u);
  EXPECT_TRUE(profile->pin(PinKind::pin1)->issuer_reset);
  EXPECT_FALSE(profile->pin(PinKind::pin2)->issuer_reset);
  // Short file identifiers: all files of the application differ in their low five bits.
  std::vector<bool> used(32, false);
  const auto take = [&](std::uint16_t file) {
    EXPECT_FALSE(used[file & 0x1F]) << file;
    used[file & 0x1F] = true;
  };
  for (const std::uint16_t file : {0x5031, 0x5032, 0x4401, 0x4402, 0x4403, 0x4404}) take(file);
  for (const KeyProfile& key : profile->keys) {
    take(key.key_file);
    take(key.certificate_file);
  }
  for (const AuthorityProfile& authority : profile->authorities) take(authority.certificate_file);
}

struct Fault {
  const char* name;
  const char* from;
  const char* to;
  const char* message;  ///< a part of it
};
class FaultyProfile : public ::testing::TestWithParam<Fault> {};

TEST_P(FaultyProfile, IsRefusedWithLineAndKey) {
  std::string toml(citizen_profile_toml());
  const std::size_t at = toml.find(GetParam().from);
  ASSERT_NE(at, std::string::npos);
  toml.replace(at, std::string_view(GetParam().from).size(), GetParam().to);
  const auto profile = parse_profile(toml, "mine.toml");
  ASSERT_FALSE(profile);
  EXPECT_EQ(profile.error().kind, ErrorKind::configuration);
  EXPECT_TRUE(profile.error().message.starts_with("mine.toml:")) << profile.error().message;
  EXPECT_NE(profile.error().message.find(GetParam().message), std::string::npos) << profile.error().message;
}

INSTANTIATE_TEST_SUITE_P(
    All, FaultyProfile,
    ::testing::Values(
        Fault{"UnknownKey", "label = \"AUT\"", "lable = \"AUT\"", "unknown key \"lable\" in [[key]]"},
        Fault{"IssuerResetsPin2", "label = \"PIN2\"", "label = \"PIN2\"\nissuer_reset = true", "is not for PIN2"},
        Fault{"UnknownRootKey", "manufacturer = ", "maker = ", "unknown key \"maker\""},
        Fault{"NotToml", "[[key]]", "[[key]", "mine.toml:"},
        Fault{"WrongType", "type = \"p256\"", "type = \"p257\"", "p384"},
        Fault{"WrongRole", "role = \"AUT\"", "role = \"AUTH\"", "AUT, SIG, QES or ENC"},
        Fault{"QualifiedUnderPin1", "pin = \"PIN2\"", "pin = \"PIN1\"", "under PIN2"},
        Fault{"QualifiedOnce", "pin_each_time = true", "pin_each_time = false", "each time"},
        Fault{"TwoPurposes", "purpose = [\"agree\"]", "purpose = [\"sign\", \"agree\"]", "two keys"},
        Fault{"EcDeciphers", "purpose = [\"agree\"]", "purpose = [\"decipher\"]", "sign or agree"},
        Fault{"EncSigns", "purpose = [\"agree\"]", "purpose = [\"sign\"]", "ENC"},
        Fault{"ShortPins", "min_digits = 6", "min_digits = 4", "6 to 8"},
        Fault{"NumberAsText", "tries = 3", "tries = \"3\"", "number"},
        Fault{"NoSchema", "schema = \"karta.card-profile/1\"", "", "\"schema\" is missing"},
        Fault{"OtherSchema", "karta.card-profile/1", "karta.card-profile/2", "schema"},
        Fault{"BadAid", "A000000063504B43532D3135", "A0", "aid"},
        Fault{"NoESign", "A000000063504B43532D3135", "A000000063504B43532D3136", "e-signature AID"},
        Fault{"SameRoleTwice", "role = \"SIG\"\nlabel = \"SIG\"", "role = \"AUT\"\nlabel = \"AUT\"", "two [[key]]s"},
        Fault{"LabelOfAnotherRole", "label = \"QES\"", "label = \"SIG\"", "begin with the role"},
        Fault{"LongLabel", "label = \"KARTA\"                 #", "label = \"KARTA KARTA KARTA KARTA KARTA KARTA\" #",
              "32"}),
    [](const auto& fault) { return fault.param.name; });

TEST(CitizenProfile, MissingFileIsTold) {
  EXPECT_EQ(read_profile("/nonexistent/profile.toml").error().kind, ErrorKind::not_found);
}

// PINs -------------------------------------------------------------------------------------------

TEST(NewPin, KeepsTheRules) {
  EXPECT_TRUE(check_new_pin(PinKind::pin1, secret("135790")));
  EXPECT_TRUE(check_new_pin(PinKind::pin2, secret("13579024")));
  for (const char* bad : {"", "12345", "13579", "135790246", "12345a", "111111", "123456", "87654321"}) {
    const Status status = check_new_pin(PinKind::pin1, secret(bad));
    ASSERT_FALSE(status) << bad;
    EXPECT_EQ(status.error().kind, ErrorKind::pin_rejected);
    if (*bad != 0) {
      EXPECT_EQ(status.error().message.find(bad), std::string::npos) << "a PIN must not be told";
    }
  }
  EXPECT_TRUE(check_new_pin(PinKind::puk, secret("0000000001")));
}

TEST(PresentedPin, OfImpossibleLengthCostsNoTry) {
  EXPECT_TRUE(check_presented_pin(PinKind::pin1, secret("12345")));
  EXPECT_TRUE(check_presented_pin(PinKind::puk, secret("1234567890")));
  EXPECT_TRUE(check_presented_pin(PinKind::puk, secret("12345678")));
  EXPECT_FALSE(check_presented_pin(PinKind::pin1, secret("123")));
  EXPECT_FALSE(check_presented_pin(PinKind::pin1, secret("123456789")));
  EXPECT_FALSE(check_presented_pin(PinKind::pin1, secret("12 345")));
  EXPECT_FALSE(check_presented_pin(PinKind::puk, secret("123456789")));
}

TEST(PinField, IsEightOctetsPaddedWithFf) {
  EXPECT_TRUE(pin_field(secret("12345")).equals(*from_hex("3132333435ffffff")));
  EXPECT_TRUE(pin_field(secret("9081726354")).equals(as_bytes("90817263"))) << "a PUK gives its first eight";
}

// Plan and journal -------------------------------------------------------------------------------

CardData data_for(const CardProfile& profile) {
  SeededRandom random(1);
  CardData data;
  data.secrets = CardSecrets::generate(profile, random);
  return data;
}

TEST(Plan, IsShownWithoutCardAndSecrets) {
  const auto profile = parse_profile(citizen_profile_toml(), "citizen.toml");
  const CardData data = data_for(*profile);
  const auto work = Personalisation::make(*profile, data);
  ASSERT_TRUE(work);
  const PersonalisationPlan extended = work->plan({2048, 2048, true});
  const PersonalisationPlan brief = work->plan({});
  EXPECT_EQ(extended.commands(), 88u);
  EXPECT_GT(brief.commands(), extended.commands()) << "short commands cut the certificates";
  for (const auto* steps : {&extended.prepare, &extended.complete}) {
    for (const PlanStep& step : *steps) {
      EXPECT_FALSE(step.words.empty());
      EXPECT_GT(step.commands, 0u);
      EXPECT_EQ(step.words.find(std::string(data.secrets.puk.expose_secret_text())), std::string::npos);
    }
  }
}

TEST(Plan, SecretsThatDoNotFitAreRefused) {
  const auto profile = parse_profile(citizen_profile_toml(), "citizen.toml");
  CardData data = data_for(*profile);
  data.secrets.puk = secret("12345678");
  EXPECT_EQ(Personalisation::make(*profile, data).error().kind, ErrorKind::configuration);
  data = data_for(*profile);
  data.secrets.transport_pins.erase(PinKind::pin2);
  EXPECT_EQ(Personalisation::make(*profile, data).error().kind, ErrorKind::configuration);
}

TEST(CardJournal, TextIsReadBackAndBrokenTextRefused) {
  Journal journal;
  journal.serial = *from_hex("00112233445566778899");
  journal.profile = "citizen";
  journal.phase = 2;
  journal.next_step = 7;
  journal.public_keys[KeyRole::qualified] = {1, 2, 3};
  const auto read = Journal::from_text(journal.to_text());
  ASSERT_TRUE(read);
  EXPECT_EQ(read->to_text(), journal.to_text());
  EXPECT_EQ(read->public_keys, journal.public_keys);
  for (const char* text :
       {"", "hello", "karta.card-journal/1\nphase 9\n", "karta.card-journal/1\nstep x\n",
        "karta.card-journal/1\nkey XYZ 00\n", "karta.card-journal/1\nkey AUT\n", "karta.card-journal/1\nserial 0\n"}) {
    EXPECT_FALSE(Journal::from_text(text)) << text;
  }
}

TEST(CardJournal, OfAnotherProfileIsRefused) {
  const auto profile = parse_profile(citizen_profile_toml(), "citizen.toml");
  const CardData data = data_for(*profile);
  auto work = Personalisation::make(*profile, data);
  Journal journal;
  journal.profile = "other";
  EXPECT_EQ(work->resume(journal).error().kind, ErrorKind::card_unknown);
}

// Shipped beside it, and different in nothing else.
TEST(Profile, TheSigningCitizenCardIsTheCitizenCardThatSigns) {
  const auto text = [](const std::string& name) {
    const auto file = karta::read_file(std::string(KARTA_SOURCE_DIR) + "/docs/examples/profiles/" + name, 65536);
    EXPECT_TRUE(file) << (file ? "" : file.error().message);
    std::string out;
    std::istringstream lines{file ? std::string(as_text(*file)) : std::string()};
    for (std::string line; std::getline(lines, line);) {
      line.resize(std::min(line.find('#'), line.size()));
      while (line.ends_with(' ')) line.pop_back();
      if (!line.empty()) out += line + "\n";
    }
    return out;
  };
  std::string citizen = text("citizen.toml");
  const std::string signing = text("citizen-signing.toml");
  const auto profile = parse_profile(signing, "citizen-signing.toml");
  ASSERT_TRUE(profile) << profile.error().message;
  EXPECT_TRUE(profile->transit->card_signed);
  EXPECT_TRUE(profile->identity->has(kPortraitGroup));
  for (const auto& [from, to] : {std::pair{"name = \"citizen\"\n", "name = \"citizen-signing\"\n"},
                                 std::pair{"card_signed = false", "card_signed = true"}}) {
    ASSERT_NE(citizen.find(from), std::string::npos) << from;
    citizen.replace(citizen.find(from), std::string_view(from).size(), to);
  }
  EXPECT_EQ(citizen, signing);
}

}  // namespace
}  // namespace karta::card
