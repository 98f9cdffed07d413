// A whole issuing centre and a simulated card: issue, administration afterwards, a department's domain.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "card/file.h"
#include "card/identity_data.h"
#include "card/iso7816.h"
#include "card/issuer_channel.h"
#include "card/key_set_file.h"
#include "card/personalisation_step.h"
#include "card/security_infos.h"
#include "identity/registry_testing.h"
#include "issuing/administration.h"
#include "issuing/station.h"
#include "tests/card/simulated_card.h"

namespace karta::issuing {
namespace {

namespace fs = std::filesystem;
using card::CommandApdu;
using card::ResponseApdu;

#define ASSERT_OK(expression)                          \
  do {                                                 \
    const auto& outcome_ = (expression);               \
    ASSERT_TRUE(outcome_) << outcome_.error().message; \
  } while (false)

ErrorKind kind_of(const auto& result) { return result ? ErrorKind::internal : result.error().kind; }

const Bytes kLibrary = *from_hex("F04B4152544110");

class IssuingCentre : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "karta-issuing-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    CentreOptions options;
    options.name = "Made-up Centre";
    options.key_file_iterations = 1000;
    ASSERT_OK(create_centre(folder_ / "centre", options, passphrase_, clock_, random_));
    auto opened = Centre::open(folder_ / "centre", clock_, random_);
    ASSERT_OK(opened);
    centre_.emplace(std::move(*opened));
    auto keys = centre_->unlock(passphrase_);
    ASSERT_OK(keys);
    keys_ = std::move(*keys);
    const auto citizen = centre_->registry().add_citizen(identity::made_up_citizen(1), {"test", "because"});
    ASSERT_OK(citizen);
    request_ = {*citizen, "citizen", "operator:test"};
  }
  void TearDown() override { fs::remove_all(folder_); }

  Result<IssuedCard> issue(test::SimulatedCard& sim) {
    return issue_card(*centre_, keys_, sim.connection(), request_, clock_, random_, {});
  }
  std::uint16_t status_of(card::Channel& channel, const CommandApdu& command) {
    const auto answer = channel.transmit(command);
    if (answer) return answer->status.value;
    ADD_FAILURE() << answer.error().message;
    return 0;
  }
  // The department: offer, receipt from the issuer, keys.
  Result<card::Scp03KeySet> agree(card::PlainChannel& plain, const std::string& serial) {
    const Bytes file = TRY(card::read_file(plain, card::Path{card::kEfAgreementCertificate}));
    const auto certificate = TRY(crypto::Certificate::from_der(file));
    EXPECT_EQ(certificate.subject().display(), "card " + serial);
    const auto key = TRY(certificate.public_key());
    const Bytes octets = TRY(from_hex(serial));
    const auto offer = TRY(card::DomainOffer::make(kLibrary, octets, *key.type(), key.key_octets(), 1, 32, random_));
    auto administered = TRY(administer(*centre_, keys_.card_master, plain, random_));
    const Bytes receipt = TRY(load_domain(administered, kLibrary, offer.message));
    Bytes wrong = receipt;
    wrong[0] ^= 1;
    EXPECT_EQ(kind_of(offer.finish(wrong)), ErrorKind::card_insecure);
    // A second agreement: the keys are the department's to change, nobody else's.
    EXPECT_FALSE(load_domain(administered, kLibrary, offer.message));
    return offer.finish(receipt);
  }
  Result<std::unique_ptr<card::Scp03Channel>> department(card::PlainChannel& plain, const card::Scp03KeySet& keys) {
    TRY(plain.run(card::select_application(kLibrary, card::SelectReturn::nothing), "select the domain"));
    return card::Scp03Channel::open(
        plain, {}, [&](const card::Scp03Greeting&) { return Result<card::Scp03KeySet>(keys.clone()); }, random_);
  }
  static CommandApdu create(std::uint16_t id, std::size_t size) {
    card::FileToCreate file;
    file.id = id;
    file.size = size;
    file.rules =
        card::access_nibbles(card::nibble::free, card::nibble::never, card::nibble::never, card::nibble::never);
    return card::create(file);
  }

  fs::path folder_;
  FixedClock clock_{*parse_time("2026-11-22T08:30:00Z")};
  SystemRandom random_;
  const SecretBytes passphrase_ = SecretBytes::copy_of("correct horse");
  std::optional<Centre> centre_;
  IssuingKeys keys_;
  IssueRequest request_;
};

TEST_F(IssuingCentre, IssuesWithinTheBudget) {
  test::SimulatedCard sim;
  const auto issued = issue(sim);
  ASSERT_OK(issued);
  EXPECT_EQ(issued->certificates.size(), 4u);
  // Reading back included. Exact: a change here is a change of the product's speed.
  std::printf("issue: %u commands, %u octets out, %u back\n", static_cast<unsigned>(issued->wire.commands),
              static_cast<unsigned>(issued->wire.octets_out), static_cast<unsigned>(issued->wire.octets_back));
  EXPECT_LE(issued->wire.commands, 150u);
  // 20 kB; signatures vary by some octets from card to card.
  EXPECT_LE(issued->wire.octets_out + issued->wire.octets_back, 20u * 1024);
}

TEST_F(IssuingCentre, ThePlanIsWhatHappens) {
  test::SimulatedCard sim;
  card::PlainChannel plain(sim.connection());
  const auto plan = plan_issue(*centre_, "citizen", plain.limits());
  ASSERT_OK(plan);
  const auto issued = issue(sim);
  ASSERT_OK(issued);
  // The plan is for the longest portrait there may be, this citizen has none.
  const std::uint64_t planned = plan->commands() - plan->portrait().commands;
  EXPECT_LT(planned, issued->wire.commands);  // looking first and reading back are not in it
  EXPECT_GT(planned + 45u, issued->wire.commands);
  EXPECT_EQ(issued->portrait, card::WireCount{});
}

// What docs/transit.md says of cards that sign: why the shipped profile has it off.
TEST_F(IssuingCentre, ACardThatSignsTapsCostsACertificateMore) {
  const std::string name = "citizen-signing.toml";
  fs::copy_file(std::string(KARTA_SOURCE_DIR) + "/docs/examples/profiles/" + name,
                centre_->config().card_profiles / name);
  test::SimulatedCard plain, signing(2);
  const auto without = issue(plain);
  ASSERT_OK(without);
  request_.profile = "citizen-signing";
  const auto with = issue(signing);
  ASSERT_OK(with);
  const auto octets = with->wire.octets_out + with->wire.octets_back;
  std::printf("signing: %u commands, %u octets\n", static_cast<unsigned>(with->wire.commands),
              static_cast<unsigned>(octets));
  EXPECT_EQ(with->wire.commands, without->wire.commands + 4);
  EXPECT_GT(octets, 20u * 1024);
  EXPECT_LT(octets, 21u * 1024);
}

// Counted apart from the budget of everything else, and exactly: a change here is a change of the product's speed.
TEST_F(IssuingCentre, APortraitGoesOntoTheCardAndIsCountedApart) {
  test::SimulatedCard without, with(2);
  const auto plain_card = issue(without);
  ASSERT_OK(plain_card);
  const auto file = read_file(std::string(KARTA_SOURCE_DIR) + "/docs/examples/portraits/99000000153.jpg", 1 << 20);
  ASSERT_OK(file);
  const auto portrait = identity::Portrait::from_jpeg(*file);
  ASSERT_OK(portrait);
  ASSERT_OK(centre_->registry().set_portrait(request_.citizen, *portrait, {"test", "a new picture"}));
  const auto issued = issue(with);
  ASSERT_OK(issued);
  const auto all = [](const card::WireCount& count) { return count.octets_out + count.octets_back; };
  std::printf("portrait of %zu octets: %u commands, %u octets out, %u back\n", portrait->jpeg().size(),
              static_cast<unsigned>(issued->portrait.commands), static_cast<unsigned>(issued->portrait.octets_out),
              static_cast<unsigned>(issued->portrait.octets_back));
  EXPECT_EQ(issued->wire.commands, plain_card->wire.commands + issued->portrait.commands);
  // Its hash in EF.CardSecurity and its length elsewhere; signatures vary by some octets from card to card.
  const auto rest = static_cast<std::int64_t>(all(issued->wire) - all(issued->portrait) - all(plain_card->wire));
  EXPECT_GT(rest, 0);
  EXPECT_LT(rest, 100);
  EXPECT_LE(all(issued->wire) - all(issued->portrait), 20u * 1024);
  EXPECT_LE(issued->wire.commands - issued->portrait.commands, 150u);
  EXPECT_EQ(issued->portrait, (card::WireCount{7, 11260, 126}));

  card::PlainChannel plain(with.connection());
  const auto plan = plan_issue(*centre_, "citizen", plain.limits());
  ASSERT_OK(plan);
  EXPECT_EQ(plan->portrait(), (card::WireCount{13, 24418, 234})) << "the longest";
  // It fits, with a department's domain beside it.
  const ByteView drawn(portrait->jpeg());
  const Bytes padding(identity::kMostPortraitOctets - drawn.size(), 0x00);  // codes of the scan
  const auto longest = identity::Portrait::from_jpeg(concat({drawn.first(drawn.size() - 2), padding, drawn.last(2)}));
  ASSERT_OK(longest);
  ASSERT_OK(centre_->registry().set_portrait(request_.citizen, *longest, {"test", "the longest picture"}));
  test::SimulatedCard full(3);
  const auto heavy = issue(full);
  ASSERT_OK(heavy);
  EXPECT_EQ(heavy->portrait, plan->portrait());
  card::PlainChannel of_full(full.connection());
  const auto alone = card::Transaction::begin(full.connection());
  ASSERT_OK(alone);
  const auto domain = agree(of_full, heavy->serial);
  ASSERT_OK(domain);
  // The registry says who read the picture, and what for.
  const auto log = centre_->registry().access_log(request_.citizen);
  ASSERT_OK(log);
  EXPECT_EQ(std::count_if(log->begin(), log->end(), [](const auto& one) { return one.what == "portrait"; }), 2);
}

TEST_F(IssuingCentre, TheCardKnowsNoKeyButItsOwn) {
  test::SimulatedCard sim;
  ASSERT_OK(issue(sim));
  card::PlainChannel plain(sim.connection());
  const auto alone = card::Transaction::begin(sim.connection());
  ASSERT_OK(alone);
  const SecretBytes other(Bytes(card::kMasterKeyOctets, 1));
  EXPECT_EQ(kind_of(administer(*centre_, other, plain, random_)), ErrorKind::card_insecure);
  // The blank card's keys open nothing any more.
  ASSERT_OK(card::select_card_manager(plain));
  const auto blank = card::Scp03Channel::open(
      plain, {}, [](const card::Scp03Greeting&) { return Result<card::Scp03KeySet>(card::Scp03KeySet::blank()); },
      random_);
  EXPECT_EQ(kind_of(blank), ErrorKind::card_insecure);
}

// Behaviour 41: outside the issuer's channel the commands of personalisation are dead.
TEST_F(IssuingCentre, Behaviour41AdministrationIsDeadOutsideTheIssuersChannel) {
  test::SimulatedCard sim;
  ASSERT_OK(issue(sim));
  card::PlainChannel plain(sim.connection());
  const auto alone = card::Transaction::begin(sim.connection());
  ASSERT_OK(plain.run(card::select_master_file(card::SelectReturn::nothing), "select the MF"));
  EXPECT_EQ(status_of(plain, create(0x0777, 10)), 0x6982);
  EXPECT_EQ(status_of(plain, card::delete_file(card::kEfDir)), 0x6982);
  EXPECT_EQ(status_of(plain, card::put_data(0x0110, as_bytes("123456"), true)), 0x6982);
  EXPECT_EQ(status_of(plain, card::put_data(0x01E0, Bytes(8, 0xFF), false)), 0x6982);
  const auto card = administer(*centre_, keys_.card_master, plain, random_);
  ASSERT_OK(card);
  EXPECT_EQ(status_of(*card->channel, card::select_master_file(card::SelectReturn::nothing)), 0x9000);
  EXPECT_EQ(status_of(*card->channel, create(0x0777, 10)), 0x9000);
  EXPECT_EQ(status_of(*card->channel, card::delete_file(0x0777)), 0x9000);
  // Not even there: the holder's PINs, and a wipe.
  EXPECT_NE(status_of(*card->channel, card::put_data(0x01E0, Bytes{0xFF, 0xFF, 0, 0x0F, 0xFF, 0, 0x0F, 0xFF}, false)),
            0x9000);
  Bytes pin = *from_hex("3131313131313131FFFFFFFFFFFFFFFF030003");
  EXPECT_NE(status_of(*card->channel, card::put_data(0x0101, pin, true)), 0x9000);
}

TEST_F(IssuingCentre, ReplacesACertificateLongerThanItsFile) {
  test::SimulatedCard sim;
  ASSERT_OK(issue(sim));
  card::PlainChannel plain(sim.connection());
  const auto alone = card::Transaction::begin(sim.connection());
  Bytes longer = *from_hex("30820800");
  longer.resize(4 + 0x800, 0x55);
  for (const Bytes& der : {longer, Bytes{0x30, 0x03, 0x02, 0x01, 0x07}}) {
    {
      auto card = administer(*centre_, keys_.card_master, plain, random_);
      ASSERT_OK(card);
      ASSERT_OK(replace_certificate(*card, card::KeyRole::signature, der));
    }
    auto esign = card::ESignApplication::open(plain);
    ASSERT_OK(esign);
    const auto places = esign->certificates();
    ASSERT_OK(places);
    const auto read = esign->read_certificate((*places)[1]);
    ASSERT_OK(read);
    EXPECT_EQ(*read, der);
  }
}

TEST_F(IssuingCentre, ADomainBelongsToItsDepartment) {
  test::SimulatedCard sim;
  const auto issued = issue(sim);
  ASSERT_OK(issued);
  card::PlainChannel plain(sim.connection());
  const auto alone = card::Transaction::begin(sim.connection());
  const auto keys = agree(plain, issued->serial);
  ASSERT_OK(keys);
  const Bytes content = {1, 2, 3, 4};
  {
    const auto session = department(plain, *keys);
    ASSERT_OK(session);
    EXPECT_EQ(status_of(**session, create(0x0101, content.size())), 0x9000);
    EXPECT_EQ(status_of(**session, card::update_binary(0, content)), 0x9000);
    // Its own part of the card, and nothing else of it.
    EXPECT_EQ(status_of(**session, card::select_master_file(card::SelectReturn::nothing)), 0x9000);
    EXPECT_EQ(status_of(**session, create(0x0777, 4)), 0x6982);
    EXPECT_EQ(status_of(**session, card::put_data(0x0110, as_bytes("123456"), true)), 0x6982);
  }
  // The issuer is locked out: it cannot create, change or delete there, nor does it know the keys.
  {
    const auto card = administer(*centre_, keys_.card_master, plain, random_);
    ASSERT_OK(card);
    card::Channel& issuer = *card->channel;
    EXPECT_EQ(status_of(issuer, card::select_application(kLibrary, card::SelectReturn::nothing)), 0x9000);
    EXPECT_EQ(status_of(issuer, create(0x0102, 4)), 0x6982);
    EXPECT_EQ(status_of(issuer, card::delete_file(0x0101)), 0x6982);
    EXPECT_EQ(status_of(issuer, card::select_file(0x0101, card::SelectReturn::nothing)), 0x9000);
    EXPECT_EQ(status_of(issuer, card::update_binary(0, content)), 0x6982);
  }
  {
    const Bytes serial = *from_hex(issued->serial);
    const auto guessed = department(plain, card::diversify(keys_.card_master, serial, 1, 32));
    EXPECT_EQ(kind_of(guessed), ErrorKind::card_insecure);
  }
  // And the department, another day.
  sim.replug();
  const auto again = department(plain, *keys);
  ASSERT_OK(again);
  EXPECT_EQ(status_of(**again, card::select_file(0x0101, card::SelectReturn::nothing)), 0x9000);
  EXPECT_EQ(status_of(**again, card::update_binary(0, Bytes{9})), 0x9000);
  const auto read = (*again)->run(card::read_binary(0, 4), "read");
  ASSERT_OK(read);
  EXPECT_EQ(*read, (Bytes{9, 2, 3, 4}));
}

TEST_F(IssuingCentre, DomainsThatTheProfileDoesNotNameAreNotMade) {
  test::SimulatedCard sim;
  ASSERT_OK(issue(sim));
  card::PlainChannel plain(sim.connection());
  const auto alone = card::Transaction::begin(sim.connection());
  auto card = administer(*centre_, keys_.card_master, plain, random_);
  ASSERT_OK(card);
  EXPECT_EQ(kind_of(load_domain(*card, *from_hex("F04B415254411F"), Bytes{1})), ErrorKind::not_permitted);
}

// An offer exchanged on the way shows in the receipt.
TEST_F(IssuingCentre, AnExchangedOfferIsNoticed) {
  test::SimulatedCard sim;
  const auto issued = issue(sim);
  ASSERT_OK(issued);
  card::PlainChannel plain(sim.connection());
  const auto alone = card::Transaction::begin(sim.connection());
  const auto file = card::read_file(plain, card::Path{card::kEfAgreementCertificate});
  ASSERT_OK(file);
  const auto key = crypto::Certificate::from_der(*file)->public_key();
  ASSERT_OK(key);
  const Bytes serial = *from_hex(issued->serial);
  const auto mine = card::DomainOffer::make(kLibrary, serial, *key->type(), key->key_octets(), 1, 16, random_);
  const auto theirs = card::DomainOffer::make(kLibrary, serial, *key->type(), key->key_octets(), 1, 16, random_);
  auto card = administer(*centre_, keys_.card_master, plain, random_);
  ASSERT_OK(card);
  const auto receipt = load_domain(*card, kLibrary, theirs->message);
  ASSERT_OK(receipt);
  EXPECT_EQ(kind_of(mine->finish(*receipt)), ErrorKind::card_insecure);
  ASSERT_OK(theirs->finish(*receipt));
}

TEST(KeySetFile, OpensWithItsPassphraseOnly) {
  SystemRandom random;
  const SecretBytes passphrase = SecretBytes::copy_of("correct horse"), wrong = SecretBytes::copy_of("wrong horse");
  const SecretBytes master = random.secret(card::kMasterKeyOctets);
  const auto pem = card::seal_master_key(master, passphrase, 1000, random);
  ASSERT_OK(pem);
  EXPECT_TRUE(card::open_master_key(*pem, passphrase)->equals(master.expose_secret()));
  EXPECT_EQ(kind_of(card::open_master_key(*pem, wrong)), ErrorKind::wrong_pin);
  EXPECT_FALSE(card::open_domain_keys(*pem, passphrase));  // another kind of file

  card::DomainKeyFile file;
  file.aid = kLibrary;
  file.serial = Bytes(10, 3);
  file.keys = card::diversify(master, file.serial, 9, 24);
  const auto sealed = card::seal_domain_keys(file, passphrase, 1000, random);
  ASSERT_OK(sealed);
  const auto back = card::open_domain_keys(*sealed, passphrase);
  ASSERT_OK(back);
  EXPECT_EQ(back->aid, file.aid);
  EXPECT_EQ(back->keys.version, 9);
  EXPECT_TRUE(back->keys.data.equals(file.keys.data.expose_secret()));

  const auto pair = crypto::PrivateKey::generate(crypto::KeyType::p256);
  ASSERT_OK(pair);
  const auto offer = card::DomainOffer::make(kLibrary, file.serial, crypto::KeyType::p256,
                                             pair->public_key().key_octets(), 1, 16, random);
  ASSERT_OK(offer);
  const auto half = card::open_domain_offer(*card::seal_domain_offer(*offer, passphrase, 1000, random), passphrase);
  ASSERT_OK(half);
  EXPECT_EQ(half->message, offer->message);
  EXPECT_TRUE(half->scalar.equals(offer->scalar.expose_secret()));
}

TEST(DomainOffer, TakesDomainsAndPointsOnly) {
  SystemRandom random;
  const auto pair = crypto::PrivateKey::generate(crypto::KeyType::p256);
  const Bytes point = to_bytes(pair->public_key().key_octets());
  const Bytes serial(10, 1);
  const auto with = [&](const Bytes& aid, const Bytes& p, std::uint8_t version, std::size_t octets) {
    return kind_of(card::DomainOffer::make(aid, serial, crypto::KeyType::p256, p, version, octets, random));
  };
  EXPECT_EQ(with(to_bytes(card::kCardManagerAid), point, 1, 16), ErrorKind::usage);
  EXPECT_EQ(with(*from_hex("F04B4152544120"), point, 1, 16), ErrorKind::usage);
  EXPECT_EQ(with(kLibrary, point, 0, 16), ErrorKind::usage);
  EXPECT_EQ(with(kLibrary, point, 1, 17), ErrorKind::usage);
  Bytes off = point;
  off.back() ^= 1;
  EXPECT_EQ(with(kLibrary, off, 1, 16), ErrorKind::malformed);
}

}  // namespace
}  // namespace karta::issuing
