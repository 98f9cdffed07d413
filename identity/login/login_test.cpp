// The parts of the log-in: codes, secrets, tickets, sessions, accounts, mails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/socket.h>

#include <netinet/in.h>
#include <unistd.h>

#include <thread>

#include "crypto/jose/jwk.h"
#include "identity/login/code_login.h"
#include "identity/login/login_keeper.h"
#include "identity/login/login_testing.h"
#include "identity/login/tickets.h"
#include "identity/login/totp.h"
#include "identity/openid/clients.h"
#include "identity/openid/session_ends.h"

namespace karta::identity {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Time at(std::int64_t seconds) { return Time(std::chrono::seconds(seconds)); }

// RFC 6238 appendix B, the rows of SHA-1: eight digits.
TEST(Totp, GivesTheCodesOfTheRfc) {
  const SecretBytes secret = SecretBytes::copy_of("12345678901234567890");
  const std::pair<std::int64_t, std::string_view> rows[] = {{59, "94287082"},         {1111111109, "07081804"},
                                                            {1111111111, "14050471"}, {1234567890, "89005924"},
                                                            {2000000000, "69279037"}, {20000000000, "65353130"}};
  for (const auto& [time, code] : rows) {
    EXPECT_EQ(totp_code(secret, totp_step(at(time)), 8).expose_secret_text(), code) << time;
  }
}

TEST(Totp, TakesACodeOnceAndOneStepOnEitherSide) {
  const SecretBytes secret = SecretBytes::copy_of("12345678901234567890");
  const Time now = at(1'000'000);
  const std::int64_t step = totp_step(now);
  for (const std::int64_t beside : {-1, 0, 1}) {
    const SecretBytes code = totp_code(secret, step + beside);
    EXPECT_EQ(match_totp(secret, code.expose_secret_text(), now, 0), step + beside);
    EXPECT_EQ(match_totp(secret, code.expose_secret_text(), now, step + beside), std::nullopt);
  }
  EXPECT_EQ(match_totp(secret, totp_code(secret, step + 2).expose_secret_text(), now, 0), std::nullopt);
  EXPECT_EQ(match_totp(secret, "", now, 0), std::nullopt);
}

// RFC 4648 §10.
TEST(Totp, SecretsAreWrittenInBase32) {
  EXPECT_EQ(to_base32(SecretBytes::copy_of("foobar")).expose_secret_text(), "MZXW6YTBOI");
  EXPECT_EQ(to_base32(SecretBytes::copy_of("f")).expose_secret_text(), "MY");
  EXPECT_EQ(
      totp_uri(SecretBytes::copy_of("foobar"), "id example", "a@b").expose_secret_text(),
      "otpauth://totp/id%20example:a%40b?secret=MZXW6YTBOI&issuer=id%20example&algorithm=SHA1&digits=6&period=30");
}

LoginSecret secret_of(std::string_view text = "0123456789abcdef0123456789abcdef") {
  return must(LoginSecret::create(SecretBytes::copy_of(text)));
}

TEST(LoginSecret, WantsEnoughOfIt) { EXPECT_FALSE(LoginSecret::create(SecretBytes::copy_of("short"))); }

TEST(LoginSecret, OpensWhatItSealedForTheSamePlaceAlone) {
  SystemRandom random;
  const LoginSecret secret = secret_of();
  Bytes sealed = secret.seal(as_bytes("a secret"), "account 1", random);
  EXPECT_EQ(must(secret.open(sealed, "account 1")).expose_secret_text(), "a secret");
  EXPECT_FALSE(secret.open(sealed, "account 2"));
  EXPECT_FALSE(secret_of("another secret of thirty-two chars").open(sealed, "account 1"));
  EXPECT_FALSE(secret.open(ByteView(sealed).first(10), "account 1"));
  for (std::size_t i = 0; i < sealed.size(); ++i) {
    sealed[i] ^= 1;
    EXPECT_FALSE(secret.open(sealed, "account 1")) << i;
    sealed[i] ^= 1;
  }
}

TEST(LoginSecret, PartsCannotFlowIntoEachOther) {
  const LoginSecret secret = secret_of();
  EXPECT_NE(secret.mac("use", {"ab", "c"}), secret.mac("use", {"a", "bc"}));
  EXPECT_NE(secret.mac("use", {"ab"}), secret.mac("usea", {"b"}));
}

TEST(Tickets, AreGoodInTheirBrowserAlone) {
  SystemRandom random;
  const LoginSecret secret = secret_of();
  const Tickets tickets(secret);
  const std::string cookie = Tickets::new_cookie(random), other = Tickets::new_cookie(random);
  for (const Errand& errand : {Errand{"interaction 1", "", 0}, Errand{"", "/me/requests?before=2", 1}}) {
    const std::string ticket = tickets.write(errand, cookie);
    EXPECT_EQ(tickets.read(ticket, cookie), errand);
    EXPECT_EQ(tickets.read(ticket, other), std::nullopt);
    EXPECT_EQ(tickets.read(ticket, ""), std::nullopt);
    std::string changed = ticket;
    for (char& c : changed) {
      const char before = c;
      c = c == 'x' ? 'y' : 'x';
      EXPECT_EQ(tickets.read(changed, cookie), std::nullopt);
      c = before;
    }
  }
  // Neither kind passes for the other.
  const std::string agent = tickets.write_agent({{"i", "", 0}, "nonce", at(5)}, cookie);
  EXPECT_EQ(tickets.read(agent, cookie), std::nullopt);
  EXPECT_EQ(tickets.read_agent(tickets.write({"i", "", 0}, cookie), cookie), std::nullopt);
  EXPECT_EQ(tickets.read_agent(agent, other), std::nullopt);
  const auto back = tickets.read_agent(agent, cookie);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->errand.interaction, "i");
  EXPECT_EQ(back->expires, at(5));
}

TEST(Tickets, OfACertificateComeBackWhole) {
  const LoginSecret secret = secret_of();
  const Tickets tickets(secret);
  CertificateErrand errand;
  errand.ticket = "a.b.c";
  errand.proof = {
      .citizen = CitizenId{-5}, .acr = {}, .amr = {}, .card = CardId{7}, .issuer = "CN=A.B,C=XX", .serial = {1, 2}};
  errand.nonce = "n";
  errand.expires = at(9);
  const std::string text = tickets.write_certificate(errand);
  const auto back = tickets.read_certificate(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->ticket, "a.b.c");
  EXPECT_EQ(back->proof.citizen, CitizenId{-5});
  EXPECT_EQ(back->proof.issuer, "CN=A.B,C=XX");
  EXPECT_EQ(back->expires, at(9));
  EXPECT_FALSE(tickets.read_certificate(text + "x"));
  EXPECT_FALSE(tickets.read_certificate("x" + text));
}

Result<LoginConfig> config_of(std::string_view text) {
  auto file = must(service::Configuration::parse(text, "/etc/karta/identity.toml", "x"));
  LoginConfig out = TRY(read_login(file.root(), "https://id.example", "https://id.example:8444"));
  TRY(file.root().finish());
  return out;
}

TEST(LoginConfigTest, ReadsWhatItKnowsAndNamesWhatIsWrong) {
  const auto config = config_of(R"(schema = "x"
secret_file = "secret"
card_roots = "root.pem"
[agent]
key = "agent.key"
certificate = "agent.pem"
passphrase_file = "p"
[codes]
[codes.message]
server = "smtp://mail.example"
from = "a@mail.example")");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->address, "https://id.example");
  EXPECT_EQ(config->certificate_address, "https://id.example:8444");
  EXPECT_EQ(config->agent->address, "http://127.0.0.1:8471");
  EXPECT_EQ(config->message->server, "smtp://mail.example");
  const auto refused = [](std::string_view more, std::string_view key) {
    const auto wrong = config_of("schema = \"x\"\nsecret_file = \"s\"\n" + std::string(more));
    EXPECT_FALSE(wrong) << more;
    if (!wrong) {
      EXPECT_THAT(wrong.error().message, HasSubstr(std::string(key)));
    }
  };
  refused("", "agent");
  refused("address = \"http://id.example\"\n[codes]", "address");
  refused("address = \"https://id.example/x\"\n[codes]", "address");
  refused("certificate_address = \"https://id.example\"", "card_roots");
  refused("idle_minutes = 120\nsession_hours = 1\n[codes]", "idle_minutes");
  refused("[codes]\n[codes.message]\nfrom = \"a@b\"", "server");
  refused("[codes]\n[codes.message]\nserver = \"http://x\"\nfrom = \"a@b\"", "server");
  refused("[codes]\n[codes.message]\nserver = \"smtp://x\"\nfrom = \"a@b\\r\\nBcc: c@d\"", "from");
  refused("[codes]\n[codes.message]\nserver = \"smtp://x\"\nfrom = \"a@b\"\nuser = \"u\"", "user");
}

// Each citizen's agent would refuse it, and the server would say that all is well.
TEST(LoginKeysTest, TheAgentsCertificateComesWithThoseAboveIt) {
  LoginWorld world;
  crypto::testing::TestCentre centre;
  const FixedClock then(crypto::testing::test_time());
  auto key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
  auto request = LoginWorld::request_for("CN=id.example", key.public_key());
  request.subject_alternative_names = {crypto::GeneralName::dns("id.example")};
  const auto leaf = must(crypto::issue_certificate(LoginWorld::profile("tls-server"), request, centre.ca,
                                                   centre.ca_signer, then, world.random));
  world.write("root.pem", centre.root.to_pem());
  world.write("between.pem", centre.ca.to_pem());
  constexpr std::uint32_t kFewIterations = 1000;
  world.write("id.key", must(key.to_encrypted_pem(SecretBytes::copy_of("a passphrase"), kFewIterations)));
  world.write("leaf.pem", leaf.to_pem());
  world.write("whole.pem", leaf.to_pem() + centre.ca.to_pem());
  LoginConfig config = world.config;
  config.card_roots = {world.folder / "root.pem"};
  config.card_authorities = {world.folder / "between.pem"};
  const auto with = [&](const char* file) {
    config.agent->key = {(world.folder / "id.key").string(), world.folder / file, world.folder / "passphrase"};
    return open_login_keys(config);
  };
  EXPECT_TRUE(with("whole.pem"));
  const auto alone = with("leaf.pem");
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().kind, ErrorKind::configuration);
  EXPECT_THAT(alone.error().message, HasSubstr("without those above it"));
  // Of an authority that is none of the cards' nothing is known.
  config.card_roots = {world.folder / "ca.pem"};
  config.card_authorities = {};
  EXPECT_TRUE(with("leaf.pem"));
}

class SessionsTest : public testing::Test {
 protected:
  service::HttpRequest request_with(const std::string& fields) {
    const auto at = fields.find('=');
    cookie_ = std::string(kSessionCookie) + fields.substr(at, fields.find(';') - at);
    service::HttpRequest request;
    request.peer = "192.0.2.1";
    request.fields = {{"Cookie", cookie_}, {"User-Agent", "a browser"}};
    return request;
  }
  SessionProof proof() const {
    return {.citizen = world.citizen,
            .acr = "high",
            .amr = {"hwk", "pin"},
            .card = world.card.card.id,
            .issuer = world.card.certificate.issuer().to_text(),
            .serial = world.card.certificate.serial()};
  }
  bool lives(const std::string& fields) { return must(sessions.find(request_with(fields))).has_value(); }

  LoginWorld world;
  Sessions sessions{
      world.around, {.idle = std::chrono::minutes(30), .life = std::chrono::hours(2)}, ending_of(world.provider)};
  std::string cookie_;
};

TEST_F(SessionsTest, LiveBySomebodysUseAndNotForEver) {
  const auto opened = must(sessions.begin({}, proof()));
  EXPECT_THAT(opened.fields, HasSubstr("HttpOnly"));
  const auto found = must(sessions.find(request_with(opened.fields)));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->id, opened.session.id);
  EXPECT_EQ(found->csrf, opened.session.csrf);
  EXPECT_THAT(found->amr, ElementsAre("hwk", "pin"));
  for (int i = 0; i < 4; ++i) {
    world.clock.advance(std::chrono::minutes(29));
    EXPECT_TRUE(lives(opened.fields)) << i;
  }
  world.clock.advance(std::chrono::minutes(5));
  EXPECT_FALSE(lives(opened.fields)) << "past its life";
  const auto second = must(sessions.begin({}, proof()));
  world.clock.advance(std::chrono::minutes(30));
  EXPECT_FALSE(lives(second.fields)) << "not used";
}

TEST_F(SessionsTest, AreKnownByTheirCookieAlone) {
  const auto opened = must(sessions.begin({}, proof()));
  EXPECT_FALSE(lives("=" + std::string(43, 'A')));
  EXPECT_FALSE(lives("=" + opened.session.id));
  service::HttpRequest bare;
  EXPECT_FALSE(must(sessions.find(bare)));
}

TEST_F(SessionsTest, EndWithTheirCardWhateverBecomesOfItLater) {
  const auto opened = must(sessions.begin({}, proof()));
  world.clock.advance(std::chrono::seconds(1));
  must(world.registry.change_card_state(world.card.card.id, CardState::suspended, {"test", "lost"}));
  EXPECT_FALSE(lives(opened.fields));
  must(world.registry.change_card_state(world.card.card.id, CardState::active, {"test", "found"}));
  EXPECT_FALSE(lives(opened.fields)) << "a card that was away brings nobody back";
  const auto again = must(sessions.begin({}, proof()));
  EXPECT_TRUE(lives(again.fields));
}

// Nobody does anything when a card's time is over: the registry still says active.
TEST_F(SessionsTest, EndWithTheTimeOfTheirCard) {
  const Card card = must(world.registry.card(world.card.card.id));
  ASSERT_TRUE(card.valid_until);
  world.clock.advance(*card.valid_until - world.clock.now() - std::chrono::seconds(10));
  const auto opened = must(sessions.begin({}, proof()));
  EXPECT_TRUE(lives(opened.fields));
  world.clock.advance(std::chrono::seconds(10));
  EXPECT_FALSE(lives(opened.fields));
  EXPECT_THAT(must(sessions.list(world.citizen)), IsEmpty());
}

TEST_F(SessionsTest, EndWithTheirCertificate) {
  const auto opened = must(sessions.begin({}, proof()));
  const auto issuer = world.card.certificate.issuer().to_text();
  must(world.registry.revoke_certificate(issuer, world.card.certificate.serial(), RevocationReason::key_compromise,
                                         {"test", "because"}));
  EXPECT_FALSE(lives(opened.fields));
  EXPECT_THAT(must(sessions.list(world.citizen)), IsEmpty());
}

TEST_F(SessionsTest, AStepUpKeepsTheNameAndChangesTheCookie) {
  const auto low = must(sessions.begin({}, {.citizen = world.citizen, .acr = "low", .amr = {"otp"}}));
  world.clock.advance(std::chrono::minutes(1));
  const auto high = must(sessions.begin(request_with(low.fields), proof()));
  EXPECT_EQ(high.session.id, low.session.id);
  EXPECT_EQ(high.session.began, low.session.began);
  EXPECT_EQ(high.session.auth_time, world.clock.now());
  EXPECT_FALSE(lives(low.fields)) << "the old cookie is worth nothing";
  EXPECT_TRUE(lives(high.fields));
  EXPECT_THAT(must(sessions.list(world.citizen)), SizeIs(1));
}

TEST_F(SessionsTest, SomebodyElsesLogInEndsTheOneBefore) {
  const CitizenId other = must(world.registry.add_citizen(sample_citizen(2), {"test", "because"}));
  const auto first = must(sessions.begin({}, proof()));
  const auto second =
      must(sessions.begin(request_with(first.fields), {.citizen = other, .acr = "low", .amr = {"otp"}}));
  EXPECT_THAT(world.provider.ended_sessions, ElementsAre(first.session.id));
  EXPECT_NE(second.session.id, first.session.id);
  EXPECT_FALSE(lives(first.fields));
}

TEST_F(SessionsTest, AnothersSessionCannotBeEnded) {
  const CitizenId other = must(world.registry.add_citizen(sample_citizen(2), {"test", "because"}));
  const auto opened = must(sessions.begin({}, proof()));
  EXPECT_FALSE(must(sessions.end(other, opened.session.id)));
  EXPECT_TRUE(lives(opened.fields));
  EXPECT_TRUE(must(sessions.end(world.citizen, opened.session.id)));
  EXPECT_FALSE(lives(opened.fields));
}

TEST_F(SessionsTest, AllEndTogetherOrThoseOfACard) {
  const auto by_card = must(sessions.begin({}, proof()));
  const auto by_code = must(sessions.begin({}, {.citizen = world.citizen, .acr = "low", .amr = {"otp"}}));
  EXPECT_THAT(must(sessions.end_of_card(world.citizen, world.card.card.id)), ElementsAre(by_card.session.id));
  EXPECT_TRUE(lives(by_code.fields));
  EXPECT_THAT(world.provider.ended_sessions, ElementsAre(by_card.session.id));
  must(sessions.end_all(world.citizen, [](service::Database&) { return Status{}; }));
  EXPECT_FALSE(lives(by_code.fields));
}

class CodesTest : public testing::Test {
 protected:
  Account mail_account() {
    must(accounts.enrol(world.citizen, "sample.person", "sample@mail.example", {"operator:1", "at the counter"}));
    return std::move(*must(accounts.by_login("sample.person")));
  }
  std::string begin(const std::string& login, const std::string& address = "192.0.2.1") {
    return must(codes.begin(login, address, Language::english)).challenge;
  }
  static std::string sender(int number) { return "198.51.100." + std::to_string(number); }
  std::int64_t rows_of(const std::string& table) {
    auto row = must(world.database.prepare("SELECT count(*) FROM " + table));
    must(row.query());
    must(row.next());
    return row.integer(0);
  }
  std::string last_code() const { return std::string(messenger.sent.back().code.expose_secret_text()); }

  LoginWorld world;
  FakeMessenger messenger;
  Accounts accounts{world.database, world.keys->secret, world.clock, world.random};
  CodeLogin codes{world.around, world.keys->secret, &messenger};
};

TEST_F(CodesTest, AnAppsCodeIsGoodOnce) {
  const SecretBytes secret = must(accounts.enrol(world.citizen, "sample", {}, {"operator:1", "at the counter"}));
  ASSERT_EQ(secret.size(), kTotpSecretOctets);
  const SecretBytes code = totp_code(secret, totp_step(world.clock.now()));
  const std::string_view text = code.expose_secret_text();
  EXPECT_EQ(must(codes.check(begin("SAMPLE"), text, "192.0.2.1")).citizen, world.citizen);
  EXPECT_EQ(must(codes.check(begin("sample"), text, "192.0.2.1")).citizen, std::nullopt) << "used already";
  world.clock.advance(kTotpStep);
  const SecretBytes next = totp_code(secret, totp_step(world.clock.now()));
  EXPECT_EQ(must(codes.check(begin("sample"), next.expose_secret_text(), "192.0.2.1")).citizen, world.citizen);
  EXPECT_THAT(messenger.sent, IsEmpty());
}

TEST_F(CodesTest, ASentCodeIsGoodOnceAndForItsChallengeAlone) {
  mail_account();
  const std::string first = begin("sample.person");
  const std::string first_code = last_code();
  const std::string second = begin("sample.person");
  ASSERT_THAT(messenger.sent, SizeIs(2));
  EXPECT_EQ(messenger.sent[0].to, "sample@mail.example");
  EXPECT_EQ(must(codes.check(second, first_code, "192.0.2.1")).citizen, std::nullopt);
  EXPECT_EQ(must(codes.check(first, first_code, "192.0.2.1")).citizen, world.citizen);
  EXPECT_TRUE(must(codes.check(first, first_code, "192.0.2.1")).over);
  world.clock.advance(std::chrono::minutes(11));
  EXPECT_TRUE(must(codes.check(second, last_code(), "192.0.2.1")).over);
}

TEST_F(CodesTest, NobodysNameGetsTheSameAnswersAndNoMessage) {
  mail_account();
  const std::string challenge = begin("nobody");
  EXPECT_THAT(challenge, SizeIs(43));
  EXPECT_THAT(messenger.sent, IsEmpty());
  const auto verdict = must(codes.check(challenge, "123456", "192.0.2.1"));
  EXPECT_EQ(verdict.citizen, std::nullopt);
  EXPECT_FALSE(verdict.over);
  EXPECT_THAT(begin(std::string(500, 'x') + "\"<>"), SizeIs(43));
}

TEST_F(CodesTest, FiveTriesThenItIsOver) {
  mail_account();
  const std::string challenge = begin("sample.person");
  for (int i = 0; i < 5; ++i) {
    const auto verdict = must(codes.check(challenge, "000000x", "192.0.2.1"));
    EXPECT_FALSE(verdict.over) << i;
    EXPECT_EQ(verdict.citizen, std::nullopt);
  }
  EXPECT_TRUE(must(codes.check(challenge, last_code(), "192.0.2.1")).over) << "even the right one";
}

TEST_F(CodesTest, AttemptsOfANetworkAreSlowedByName) {
  mail_account();
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(must(codes.check(begin("sample.person", sender(i)), "x", "198.51.100.1")).wait.count(), 0);
  }
  const std::string challenge = begin("sample.person");
  EXPECT_EQ(must(codes.check(challenge, "x", "198.51.100.1")).wait, kFirstWait);
  world.clock.advance(kFirstWait);
  EXPECT_EQ(must(codes.check(challenge, "x", "198.51.100.1")).wait.count(), 0);
  EXPECT_EQ(must(codes.check(challenge, "x", "198.51.100.1")).wait, 2 * kFirstWait) << "twice as long";
  // Others are not touched.
  EXPECT_EQ(must(codes.check(begin("nobody"), "x", "198.51.100.1")).wait.count(), 0);
}

TEST_F(CodesTest, AStrangerDoesNotShutTheCitizenOut) {
  const SecretBytes secret = must(accounts.enrol(world.citizen, "sample", {}, {"operator:1", "at the counter"}));
  for (int day = 0; day < 2 * 24; ++day) {
    // Whenever he may.
    for (int i = 0; i < 10; ++i) {
      const std::string challenge = begin("sample", "198.51.100.1");
      if (!challenge.empty()) (void)must(codes.check(challenge, "x", "198.51.100.1"));
    }
    const SecretBytes code = totp_code(secret, totp_step(world.clock.now()));
    const CodeVerdict own = must(codes.check(begin("sample"), code.expose_secret_text(), "192.0.2.1"));
    ASSERT_EQ(own.citizen, world.citizen) << day << ", wait " << own.wait.count();
    world.clock.advance(std::chrono::hours(1));
  }
}

TEST_F(CodesTest, AStrangerDoesNotTakeTheCitizensMessages) {
  mail_account();
  for (int i = 0; i < 6; ++i) begin("sample.person", "198.51.100.1");
  EXPECT_THAT(messenger.sent, SizeIs(3));
  const std::string challenge = begin("sample.person");
  ASSERT_THAT(messenger.sent, SizeIs(4));
  EXPECT_EQ(must(codes.check(challenge, last_code(), "192.0.2.1")).citizen, world.citizen);
}

TEST_F(CodesTest, ManyNetworksTogetherAreSlowedByName) {
  mail_account();
  for (int i = 0; i < kBrakeOfNameInAll.free; ++i) {
    ASSERT_EQ(must(codes.check(begin("sample.person", sender(i)), "x", sender(i))).wait.count(), 0) << i;
  }
  const std::string challenge = begin("sample.person");
  EXPECT_EQ(must(codes.check(challenge, "x", "192.0.2.1")).wait, kFirstWait);
}

TEST_F(CodesTest, ASlowedAddressClosesNoNames) {
  for (int i = 0; i < kBrakeOfAddress.free; ++i) {
    (void)must(codes.check(begin("n" + std::to_string(i), sender(i)), "x", "198.51.100.1"));
  }
  mail_account();
  const std::string challenge = begin("sample.person");
  const std::int64_t before = rows_of("login_brakes");
  EXPECT_EQ(must(codes.check(challenge, "x", "198.51.100.1")).wait, kFirstWait);
  EXPECT_EQ(rows_of("login_brakes"), before);
}

TEST_F(CodesTest, AnOfficeLogsInFromOneAddress) {
  constexpr int kPeople = 50;
  for (std::uint32_t i = 2; i < 2 + kPeople; ++i) {
    const CitizenId citizen = must(world.registry.add_citizen(sample_citizen(i), {"test", "because"}));
    const std::string login = "sample." + std::to_string(i);
    const SecretBytes secret = must(accounts.enrol(citizen, login, {}, {"operator:1", "at the counter"}));
    const SecretBytes code = totp_code(secret, totp_step(world.clock.now()));
    const std::string challenge = begin(login);
    ASSERT_NE(challenge, "") << i;
    ASSERT_EQ(must(codes.check(challenge, code.expose_secret_text(), "192.0.2.1")).citizen, citizen) << i;
  }
}

TEST_F(CodesTest, WhatAnAddressDidIsForgottenOneByOne) {
  for (int i = 0; i < kBrakeOfAddress.free; ++i) ASSERT_NE(begin("n" + std::to_string(i)), "");
  EXPECT_EQ(begin("another"), "");
  world.clock.advance(std::chrono::minutes(10));
  for (int i = 0; i < 10; ++i) EXPECT_NE(begin("m" + std::to_string(i)), "") << i;
  EXPECT_EQ(begin("another"), "");
  // Who lets up for a minute each time never waits longer.
  for (int i = 0; i < 60; ++i) {
    world.clock.advance(std::chrono::minutes(1));
    ASSERT_NE(begin("another"), "") << i;
  }
}

TEST_F(CodesTest, ANameNobodyHasIsLookedUpLikeOneThatIs) {
  // Without the table of secrets neither can be answered: both are read from it.
  mail_account();
  must(world.database.execute("ALTER TABLE login_accounts RENAME TO elsewhere"));
  EXPECT_FALSE(codes.begin("sample.person", "192.0.2.1", Language::english));
  EXPECT_FALSE(codes.begin("nobody", "192.0.2.1", Language::english));
}

TEST_F(CodesTest, ARightCodeClearsTheName) {
  mail_account();
  for (int i = 0; i < 4; ++i) (void)must(codes.check(begin("nobody"), "x", "192.0.2.1"));
  const std::string challenge = begin("sample.person");
  for (int i = 0; i < 4; ++i) (void)must(codes.check(challenge, "x", "192.0.2.1"));
  EXPECT_EQ(must(codes.check(challenge, last_code(), "192.0.2.1")).citizen, world.citizen);
  const std::string again = begin("sample.person");
  for (int i = 0; i < 4; ++i) EXPECT_EQ(must(codes.check(again, "x", "192.0.2.1")).wait.count(), 0) << i;
}

TEST_F(CodesTest, AnAddressIsSlowedAndAHouseholdIsOne) {
  for (int i = 0; i < 20; ++i) EXPECT_NE(begin("n" + std::to_string(i), "2001:db8:1:2::" + std::to_string(i)), "");
  EXPECT_EQ(begin("another", "2001:db8:1:2:ffff::1"), "");
  EXPECT_NE(begin("another", "2001:db8:1:3::1"), "");
  // However its zeros are written.
  for (int i = 1; i <= 20; ++i) EXPECT_NE(begin("n" + std::to_string(i), "2001:db8::" + std::to_string(i)), "");
  EXPECT_EQ(begin("another", "2001:db8::ffff:0:0:1"), "");
  EXPECT_EQ(begin("another", "2001:db8:0:0:1:2:3:4"), "");
  for (int i = 0; i < 20; ++i) EXPECT_NE(begin("n" + std::to_string(i), "192.0.2.7"), "");
  EXPECT_EQ(begin("another", "::ffff:192.0.2.7"), "");
  EXPECT_NE(begin("another", "::ffff:192.0.2.8"), "");
}

TEST_F(CodesTest, MessagesToOnePersonAreFew) {
  mail_account();
  for (int i = 0; i < 6; ++i) EXPECT_NE(begin("sample.person"), "");
  EXPECT_THAT(messenger.sent, SizeIs(3));
  world.clock.advance(kMostWait);
  begin("sample.person");
  EXPECT_THAT(messenger.sent, SizeIs(4));
  for (int i = 0; i < 100; ++i) begin("sample.person", sender(i));
  EXPECT_THAT(messenger.sent, SizeIs(kBrakeOfAllMessages.free + 2)) << "two of the first four are forgotten";
}

TEST_F(CodesTest, WhatIsOverIsRemovedAFewAtATime) {
  for (int i = 0; i < 5; ++i) begin("nobody", sender(i));
  EXPECT_EQ(must(sweep_login(world.database, *world.writes, world.clock.now())), 0) << "nothing is over";
  world.clock.advance(std::chrono::hours(25));
  EXPECT_EQ(must(sweep_login(world.database, *world.writes, world.clock.now(), 4)), 4) << "there may be more";
  EXPECT_EQ(rows_of("login_challenges"), 1);
  while (must(sweep_login(world.database, *world.writes, world.clock.now(), 4)) != 0) {
  }
  for (const char* const table : {"login_challenges", "login_brakes"}) EXPECT_EQ(rows_of(table), 0) << table;
}

TEST_F(CodesTest, TheKeeperRemovesWhatIsOver) {
  begin("nobody");
  world.clock.advance(std::chrono::hours(25));
  const auto keeper = must(LoginKeeper::start(world.url, world.writes, world.clock));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (rows_of("login_brakes") != 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(rows_of("login_brakes"), 0);
}

TEST_F(CodesTest, AccountsAreOneACitizenAndOneAName) {
  const CitizenId other = must(world.registry.add_citizen(sample_citizen(2), {"test", "because"}));
  const Cause cause{"operator:1", "at the counter"};
  const SecretBytes first = must(accounts.enrol(world.citizen, "sample", {}, cause));
  EXPECT_EQ(accounts.enrol(other, "sample", {}, cause).error().kind, ErrorKind::already_exists);
  const SecretBytes second = must(accounts.enrol(world.citizen, "renamed", {}, cause));
  EXPECT_FALSE(second.equals(first.expose_secret()));
  EXPECT_FALSE(must(accounts.by_login("sample")));
  EXPECT_TRUE(must(accounts.by_login("renamed"))->secret.equals(second.expose_secret()));
  must(accounts.enrol(other, "sample", "x@mail.example", cause));
  EXPECT_TRUE(must(accounts.remove(world.citizen, cause)));
  EXPECT_FALSE(must(accounts.remove(world.citizen, cause)));
  EXPECT_EQ(accounts.enrol(CitizenId{1}, "xyz", {}, cause).error().kind, ErrorKind::not_found);
}

TEST_F(CodesTest, ASessionIsOfTheAccountItsCodeWasOf) {
  const Cause cause{"operator:1", "taken over"};
  Sessions sessions(world.around);
  service::Database other = must(service::Database::open(world.url));
  Accounts others(other, world.keys->secret, world.clock, world.random);
  const auto checked = [&] {
    const std::string challenge = begin("sample.person");  // sends the code
    return must(codes.check(challenge, last_code(), "192.0.2.1"));
  };
  const auto begun = [&](const CodeVerdict& verdict, const std::function<void()>& meanwhile) {
    // On SQLite nobody comes between what a writer does.
    bool first = world.database.store() == service::Store::postgresql;
    if (!first) meanwhile();
    return sessions.begin({}, {.citizen = world.citizen, .acr = "low", .amr = {"otp"}},
                          [&](service::Database& own) -> Status {
                            if (std::exchange(first, false)) {
                              EXPECT_TRUE(must(own.prepare("SELECT 1 FROM sessions")).query()) << "has its snapshot";
                              meanwhile();
                            }
                            return Accounts::hold(own, world.citizen, verdict.account);
                          });
  };
  mail_account();
  const CodeVerdict removed = checked();
  ASSERT_EQ(removed.citizen, world.citizen);
  EXPECT_EQ(begun(removed, [&] { must(others.remove(world.citizen, cause)); }).error().kind, ErrorKind::not_permitted);
  mail_account();
  const CodeVerdict replaced = checked();
  ASSERT_EQ(replaced.citizen, world.citizen);
  const auto replace = [&] { must(others.enrol(world.citizen, "sample.person", "sample@mail.example", cause)); };
  EXPECT_EQ(begun(replaced, replace).error().kind, ErrorKind::not_permitted) << "though all of it is the same";
  EXPECT_EQ(rows_of("sessions"), 0);
  const CodeVerdict good = checked();
  EXPECT_TRUE(begun(good, [] {}));
  EXPECT_EQ(rows_of("sessions"), 1);
}

TEST_F(CodesTest, AnAccountsEndEndsAllItGaveAndThePortalsAreTold) {
  const Cause cause{"operator:1", "taken over"};
  must(accounts.enrol(world.citizen, "sample", {}, cause));
  Sessions sessions(world.around);
  const auto by_card =
      must(sessions.begin({}, {.citizen = world.citizen, .acr = "high", .amr = {"pin"}, .card = world.card.card.id}));
  const auto by_code = must(sessions.begin({}, {.citizen = world.citizen, .acr = "low", .amr = {"otp"}}));
  ClientLedger clients(world.database, world.clock);
  const Client portal = must(parse_client(
      R"({"client_id":"portal","client_name":"Test portal","client_uri":"https://portal.example/","redirect_uris":)"
      R"(["https://portal.example/back"],"backchannel_logout_uri":"https://portal.example/out","jwks":{"keys":[)" +
      must(crypto::write_jwk(world.card.key.public_key(), "one")) + "]}}"));
  must(clients.add(portal, cause));
  // Three grants for use off line: of the live session, of one long gone, and of the card's session.
  std::int64_t number = 0;
  const auto give = [&](const std::string& session, std::optional<CardId> card) {
    OpenidGrant grant;
    grant.citizen = world.citizen;
    grant.id = ++number;
    grant.client_id = portal.id;
    grant.session_id = session;
    grant.card = card;
    grant.offline = true;
    grant.auth_time = grant.created = world.clock.now();
    grant.ends = world.clock.now() + std::chrono::days(90);
    must(openid_store::insert_grant(world.database, grant));
    const Bytes hash = {static_cast<std::uint8_t>(number)};
    must(openid_store::insert_handle(world.database, hash, HandleKind::refresh, grant, "jkt:x", grant.ends));
  };
  give(by_code.session.id, {});
  give("a session of last week", {});
  give(by_card.session.id, world.card.card.id);
  const auto lives = [&](std::uint8_t handle) {
    return must(openid_store::find_handle(world.database, Bytes{handle}, HandleKind::refresh, world.clock.now()))
        .has_value();
  };
  EXPECT_TRUE(lives(1) && lives(2) && lives(3));
  EXPECT_TRUE(must(accounts.remove(world.citizen, cause)));
  EXPECT_FALSE(lives(1));
  EXPECT_FALSE(lives(2));
  EXPECT_TRUE(lives(3));
  EXPECT_THAT(must(sessions.list(world.citizen)), SizeIs(1));
  const auto keys = std::make_shared<OpenidKeys>();
  must(keys->set_secret(SecretBytes::copy_of(std::string_view("0123456789abcdef0123456789abcdef"))));
  SessionEnds ends(keys, world.clock, world.random);
  EXPECT_EQ(must(ends.sweep(world.database, *world.writes)).ended, 1);
  const auto notices = must(openid_store::take_notices(world.database, world.clock.now(), std::chrono::seconds(1), 9));
  ASSERT_THAT(notices, SizeIs(1));
  EXPECT_EQ(notices[0].sid, keys->sid(portal.id, by_code.session.id));
  // A new account ends what the one before gave, too.
  must(accounts.enrol(world.citizen, "sample", {}, cause));
  must(sessions.begin({}, {.citizen = world.citizen, .acr = "low", .amr = {"otp"}}));
  must(accounts.enrol(world.citizen, "renamed", {}, cause));
  EXPECT_EQ(must(ends.sweep(world.database, *world.writes)).ended, 1);
}

TEST(Accounts, NamesAndAddressesAreCheckedAtTheDoor) {
  EXPECT_EQ(must(parse_login("Sample.Person-1_@x")), "sample.person-1_@x");
  for (const std::string_view bad : {"", "ab", "имя пользователя", "a b c", "a\nbc"})
    EXPECT_FALSE(parse_login(bad)) << bad;
  EXPECT_FALSE(parse_login(std::string(65, 'a')));
  EXPECT_TRUE(parse_mail_address("a.b+c@mail.example"));
  for (const std::string_view bad :
       {"", "a", "@b", "a@", "a@b@c", "a b@c", "a@b\r\nBcc: x@y", "<a@b>", "a@b,c@d", "-a@b"}) {
    EXPECT_FALSE(parse_mail_address(bad)) << bad;
  }
}

TEST(Mails, AreWholeAndInTheReadersLanguage) {
  SystemRandom random;
  const CodeMessage message{"sample@mail.example", SecretBytes::copy_of("012345"), Language::russian,
                            std::chrono::minutes(10)};
  const SecretBytes mail = write_mail(message, "karta@id.example", *parse_time("2026-11-22T12:00:00Z"), random);
  const std::string text(mail.expose_secret_text());
  EXPECT_THAT(text, HasSubstr("Date: Sun, 22 Nov 2026 12:00:00 +0000\r\n"));
  EXPECT_THAT(text, HasSubstr("To: <sample@mail.example>\r\n"));
  EXPECT_THAT(text, HasSubstr("Subject: =?UTF-8?B?0JrQvtC0INC00LvRjyDQstGF0L7QtNCw?=\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\n\r\n    012345\r\n\r\n"));
  EXPECT_THAT(text, HasSubstr("10 мин"));
  for (std::size_t i = 0; (i = text.find('\n', i)) != std::string::npos; ++i) EXPECT_EQ(text[i - 1], '\r');
}

/// A mail server that holds one conversation (RFC 5321) and keeps what it was told.
class MailServer {
 public:
  explicit MailServer(bool refuses = false) : refuses_(refuses) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof where;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&where), length) != 0 || ::listen(listener_, 4) != 0)
      std::abort();
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&where), &length);
    port_ = ntohs(where.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~MailServer() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }
  std::string address() const { return "smtp://127.0.0.1:" + std::to_string(port_); }
  /// Waits until a conversation has ended.
  std::string conversation() {
    std::unique_lock lock(mutex_);
    const bool done = ended_.wait_for(lock, std::chrono::seconds(20), [this] { return done_; });
    EXPECT_TRUE(done) << "no mail came";
    return said_;
  }

 private:
  void serve() {
    for (;;) {
      const int client = ::accept(listener_, nullptr, nullptr);
      if (client < 0) return;
      talk(client);
      ::close(client);
      const std::lock_guard lock(mutex_);
      done_ = true;
      ended_.notify_all();
    }
  }
  void talk(int client) {
    const auto say = [&](std::string_view line) { (void)!::write(client, line.data(), line.size()); };
    std::string waiting;
    bool data = false;
    say("220 mail.example ESMTP\r\n");
    for (std::array<char, 4096> room{};;) {
      const ssize_t got = ::read(client, room.data(), room.size());
      if (got <= 0) return;
      waiting.append(room.data(), static_cast<std::size_t>(got));
      for (std::size_t end = 0; (end = waiting.find("\r\n")) != std::string::npos;) {
        const std::string line = waiting.substr(0, end);
        waiting.erase(0, end + 2);
        {
          const std::lock_guard lock(mutex_);
          said_ += line + "\n";
        }
        if (data) {
          if (line == ".") {
            data = false;
            say("250 taken\r\n");
          }
        } else if (line.starts_with("EHLO")) {
          say("250-mail.example\r\n250 8BITMIME\r\n");
        } else if (line.starts_with("RCPT")) {
          say(refuses_ ? "550 nobody here of that name\r\n" : "250 good\r\n");
        } else if (line == "DATA") {
          data = true;
          say("354 go on\r\n");
        } else if (line == "QUIT") {
          say("221 bye\r\n");
          return;
        } else {
          say("250 good\r\n");
        }
      }
    }
  }

  const bool refuses_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable ended_;
  bool done_ = false;
  std::string said_;
};

TEST(Mails, GoOutToAMailServer) {
  MailServer server;
  const SystemClock clock;
  const auto messenger =
      must(open_messenger({.server = server.address(), .from = "karta@id.example", .plain = true}, clock));
  EXPECT_TRUE(messenger->send({"sample@mail.example", SecretBytes::copy_of("654321"), Language::english, {}}));
  const std::string said = server.conversation();
  EXPECT_THAT(said, HasSubstr("MAIL FROM:<karta@id.example>"));
  EXPECT_THAT(said, HasSubstr("RCPT TO:<sample@mail.example>"));
  EXPECT_THAT(said, HasSubstr("\n    654321\n"));
  EXPECT_EQ(messenger->problem(), "");
}

TEST(Mails, AServerThatRefusesIsAProblemWithoutTheAddress) {
  MailServer server(true);
  const SystemClock clock;
  const auto messenger =
      must(open_messenger({.server = server.address(), .from = "karta@id.example", .plain = true}, clock));
  EXPECT_TRUE(messenger->send({"sample@mail.example", SecretBytes::copy_of("654321"), Language::english, {}}));
  (void)server.conversation();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (messenger->problem().empty() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_THAT(messenger->problem(), HasSubstr("codes are not sent"));
  EXPECT_THAT(messenger->problem(), testing::Not(HasSubstr("sample@")));
}

TEST(Mails, WhatWaitsGoesOutBeforeTheEnd) {
  crypto::testing::TemporaryFolder folder;
  const SystemClock clock;
  constexpr int kCodes = 10;  // each is synced to disk, and the end waits for five seconds
  {
    const auto messenger = must(open_messenger({.from = "karta@id.example", .folder = folder.path()}, clock));
    for (int i = 0; i < kCodes; ++i) {
      EXPECT_TRUE(messenger->send({"sample@mail.example", SecretBytes::copy_of("654321"), Language::english, {}}));
    }
  }
  const auto files = std::filesystem::directory_iterator(folder.path());
  EXPECT_EQ(std::distance(begin(files), end(files)), kCodes);
}

TEST(Mails, OrLieInAFolder) {
  crypto::testing::TemporaryFolder folder;
  const SystemClock clock;
  const auto messenger = must(open_messenger({.from = "karta@id.example", .folder = folder.path()}, clock));
  EXPECT_TRUE(messenger->send({"sample@mail.example", SecretBytes::copy_of("654321"), Language::english, {}}));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  std::filesystem::path found;
  while (found.empty() && std::chrono::steady_clock::now() < deadline) {
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      if (entry.path().extension() == ".eml") found = entry.path();
    }
  }
  ASSERT_FALSE(found.empty());
  EXPECT_THAT(std::string(as_text(must(read_file(found, 10000)))), HasSubstr("    654321\r\n"));
  EXPECT_EQ(std::filesystem::status(found).permissions(), std::filesystem::perms(0600));
  EXPECT_FALSE(open_messenger({.from = "a@b", .folder = folder / "missing"}, clock));
}

}  // namespace
}  // namespace karta::identity
