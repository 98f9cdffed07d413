// The log-in's pages, as a browser meets them: the ways in, and every way it may be deceived.
#include "identity/login/login_pages.h"
#include "identity/login/agent_request.h"
#include "identity/login/login_pages_testing.h"
#include "identity/pages/html.h"

namespace karta::identity {
namespace {

using service::HttpResponse;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
using testing::StartsWith;

TEST_F(LoginPagesTest, ShowsWhoAsksForWhatAndTheWaysIn) {
  const HttpResponse page = browser.begin(world.ask("one"));
  const std::string text = text_of(page);
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(text, HasSubstr("The portal"));
  EXPECT_THAT(text, HasSubstr("https://portal.example"));
  EXPECT_THAT(text, HasSubstr("date of birth"));
  EXPECT_THAT(text, HasSubstr("a visit"));
  EXPECT_THAT(text, HasSubstr("/login/card?ticket="));
  EXPECT_THAT(text, HasSubstr("https://id.example:8444/login/certificate?ticket="));
  EXPECT_THAT(text, HasSubstr("/login/name"));
  EXPECT_THAT(page.fields, HasSubstr("form-action 'self' https:\r\n"));
}

TEST_F(LoginPagesTest, SpeaksRussianToWhoWantsIt) {
  Interaction& asked = world.ask("one");
  asked.locale = "ru";
  const std::string text = text_of(browser.begin(asked));
  EXPECT_THAT(text, HasSubstr("Портал"));
  EXPECT_THAT(text, HasSubstr("дата рождения"));
  EXPECT_THAT(text, HasSubstr("Войти по карте"));
}

TEST_F(LoginPagesTest, OffersOnlyWaysThatAreStrongEnough) {
  std::string text = text_of(browser.begin(world.ask("one", "substantial")));
  EXPECT_THAT(text, Not(HasSubstr("/login/name")));
  EXPECT_THAT(text, HasSubstr("/login/certificate"));
  text = text_of(browser.begin(world.ask("two", "high")));
  EXPECT_THAT(text, Not(HasSubstr("/login/certificate")));
  EXPECT_THAT(text, HasSubstr("/login/card"));
}

TEST_F(LoginPagesTest, TheRequestToTheAgentSaysEverythingAndIsSigned) {
  const AgentAnswer agent = to_agent(browser, browser.begin(world.ask("one")));
  EXPECT_EQ(agent.claims.iss, LoginWorld::kOrigin);
  EXPECT_THAT(agent.claims.aud, ElementsAre("karta-agent"));
  EXPECT_EQ(agent.origin, LoginWorld::kOrigin);
  EXPECT_EQ(agent.return_uri, std::string(LoginWorld::kOrigin) + "/login/answer");
  EXPECT_GE(agent.nonce.size(), 44u);
  EXPECT_EQ(*agent.claims.exp - *agent.claims.iat, std::chrono::minutes(5));
  EXPECT_EQ(agent.claims.text("verb"), "login");
  EXPECT_THAT(agent.claims.json("client").value_or(""), HasSubstr("Портал"));
  EXPECT_THAT(agent.claims.texts("claims").value_or(std::vector<std::string>{}), ElementsAre("birthdate"));
}

TEST_F(LoginPagesTest, AsksWhetherTheAgentIsThere) {
  const AgentAnswer agent = to_agent(browser, browser.begin(world.ask("one")), "hello");
  EXPECT_EQ(agent.claims.text("verb"), "hello");
  EXPECT_EQ(agent.return_uri, std::string(LoginWorld::kOrigin) + "/login/here");
  const HttpResponse here = browser.get("/login/here?state=x&agent=hello");
  EXPECT_EQ(here.status, 200);
  EXPECT_THAT(text_of(here), HasSubstr("login.mjs"));
}

TEST_F(LoginPagesTest, RequestsToTheAgentAreNotSignedWithoutEnd) {
  const std::string page = text_of(browser.begin(world.ask("one")));
  const std::string card = attribute_after(page, "by-card", "href"),
                    hello = attribute_after(page, "by-card", "data-hello");
  const auto signs = [&](TestBrowser& with, const std::string& link, int count) {
    int out = 0;
    for (int i = 0; i < count; ++i) out += with.get(link).status == 303 ? 1 : 0;
    return out;
  };
  EXPECT_EQ(signs(browser, card, 20) + signs(browser, hello, 100), kAgentRequestsOfLogIn.burst) << "both are counted";
  const HttpResponse refused = browser.get(card);
  EXPECT_EQ(refused.status, 429);
  EXPECT_THAT(refused.fields, HasSubstr("Retry-After: 10\r\n"));
  EXPECT_THAT(text_of(refused), HasSubstr("Too many attempts"));
  EXPECT_THAT(text_of(refused), HasSubstr("by-certificate")) << "the other ways stay open";
  // Another log-in of the same browser is another.
  EXPECT_EQ(browser.get(attribute_after(text_of(browser.begin(world.ask("two"))), "by-card", "href")).status, 303);
  world.clock.advance(std::chrono::seconds(60));
  EXPECT_EQ(signs(browser, card, 100), 6);

  // Those for our own pages are free to begin: a new ticket each time, and a new cookie, help nobody.
  int own = 0;
  for (int i = 0; i < 2 * kAgentRequestsOfNetwork.burst; ++i) {
    TestBrowser fresh(world);
    fresh.address = "2001:db8::" + std::to_string(i);
    own += signs(fresh, attribute_after(text_of(fresh.get("/login")), "by-card", "href"), 1);
  }
  EXPECT_EQ(own, kAgentRequestsOfNetwork.burst);
  TestBrowser elsewhere(world);
  elsewhere.address = "2001:db8:0:1::1";
  EXPECT_EQ(signs(elsewhere, attribute_after(text_of(elsewhere.get("/login")), "by-card", "href"), 1), 1);
}

TEST_F(LoginPagesTest, ACardLeadsToConsentAndThenToThePortal) {
  world.ask("one");
  const HttpResponse in = by_card(browser, "one", world.card);
  ASSERT_EQ(in.status, 303) << text_of(in);
  ASSERT_THAT(location_of(in), StartsWith("/consent?"));
  EXPECT_TRUE(browser.cookies.contains("__Host-karta-session"));
  const HttpResponse consent = browser.get(location_of(in));
  const std::string page = text_of(consent);
  EXPECT_THAT(page, HasSubstr("date of birth"));
  EXPECT_THAT(page, HasSubstr("value=\"year\" checked"));
  const HttpResponse out = browser.post("/consent", {{"csrf", hidden_value(page, "csrf")},
                                                     {"ticket", hidden_value(page, "ticket")},
                                                     {"proof", hidden_value(page, "proof")},
                                                     {"span", "month"},
                                                     {"decision", "allow"}});
  EXPECT_EQ(location_of(out), "https://portal.example/callback?code=of-one");
  const Authentication& who = world.provider.finished.at("one");
  EXPECT_EQ(who.citizen, world.citizen);
  EXPECT_EQ(who.acr, "high");
  EXPECT_EQ(who.card, world.card.card.id);
  EXPECT_THAT(who.amr, ElementsAre("hwk", "pin"));
  EXPECT_EQ(world.provider.consented.at("one"), world.clock.now() + std::chrono::days(30));
}

// In the citizen's language, and with a way on: what the provider says of it is for the log.
TEST_F(LoginPagesTest, WhatHasChangedMeanwhileIsSaidAndTheWaysAreOffered) {
  world.ask("one").locale = "ru";
  const std::string page = text_of(browser.get(location_of(by_card(browser, "one", world.card))));
  world.provider.permits = false;
  const HttpResponse changed = browser.post("/consent", {{"csrf", hidden_value(page, "csrf")},
                                                         {"ticket", hidden_value(page, "ticket")},
                                                         {"proof", hidden_value(page, "proof")},
                                                         {"decision", "allow"}});
  EXPECT_EQ(changed.status, 403);
  EXPECT_THAT(text_of(changed), HasSubstr("что-то изменилось"));
  EXPECT_THAT(text_of(changed), Not(HasSubstr("the card is suspended")));
  EXPECT_THAT(text_of(changed), HasSubstr("href=\"/login/card?ticket="));
  // Who asked for no page gets none.
  world.provider.consent_given = true;
  Interaction silent = world.ask("two");
  silent.prompt_none = true;
  EXPECT_EQ(location_of(browser.begin(silent)), "https://portal.example/callback?error=login_required");
}

TEST_F(LoginPagesTest, WhatIsNotEssentialMayBeLeftOut) {
  const auto consent_page = [&](const std::string& id) {
    Interaction& asked = world.ask(id);
    asked.claims = {"name", "family_name", "given_name", "gender", "birthdate"};
    asked.essential = {"birthdate"};
    const bool known = browser.cookies.contains("__Host-karta-session");
    return text_of(browser.get(location_of(known ? browser.begin(asked) : by_card(browser, id, world.card))));
  };
  const auto answer = [&](const std::string& page, std::map<std::string, std::string> form) {
    for (const char* const one : {"csrf", "ticket", "proof"}) form[one] = hidden_value(page, one);
    form["decision"] = "allow";
    form["span"] = "month";
    return browser.post("/consent", form);
  };
  const std::string page = consent_page("one");
  const auto box = [](const std::string& of, const std::string& claim) {
    const auto at = of.find("id=\"claim-" + claim + "\"");
    return at == std::string::npos ? std::string() : of.substr(at, of.find('>', at) - at);
  };
  EXPECT_THAT(box(page, "name"), HasSubstr(" checked"));
  EXPECT_THAT(box(page, "name"), HasSubstr("name=\"claim.name\""));
  EXPECT_THAT(box(page, "family_name"), IsEmpty()) << "it is part of the name";
  EXPECT_THAT(box(page, "birthdate"), HasSubstr(" disabled"));
  EXPECT_THAT(page, HasSubstr("required"));
  EXPECT_THAT(page, Not(HasSubstr("left out last time")));
  // A box without its mark is not sent; one that cannot be left out never is.
  EXPECT_EQ(answer(page, {{"claim.gender", "yes"}}).status, 303);
  EXPECT_THAT(world.provider.declined.at("one"), ElementsAre("name", "family_name", "given_name"));
  world.provider.declined_before = {"name", "family_name", "given_name"};
  const std::string again = consent_page("two");
  EXPECT_THAT(box(again, "name"), Not(HasSubstr(" checked"))) << "as he left it";
  EXPECT_THAT(again, HasSubstr("left out last time"));
  EXPECT_EQ(answer(again, {{"claim.name", "yes"}, {"claim.gender", "yes"}}).status, 303);
  EXPECT_THAT(world.provider.declined.at("two"), IsEmpty());
  browser.language = "ru";
  const std::string russian = consent_page("three");
  EXPECT_THAT(russian, HasSubstr("обязательно"));
  EXPECT_THAT(russian, HasSubstr("в прошлый раз без этого"));
}

TEST_F(LoginPagesTest, ConsentThatStandsIsNotAskedForAgain) {
  world.provider.consent_given = true;
  world.ask("one");
  EXPECT_EQ(location_of(by_card(browser, "one", world.card)), "https://portal.example/callback?code=of-one");
  EXPECT_THAT(world.provider.consented, IsEmpty());
  // And the session does for the next portal, without a page.
  EXPECT_EQ(location_of(browser.begin(world.ask("two", "high"))), "https://portal.example/callback?code=of-two");
  Interaction& third = world.ask("three");
  third.prompt_consent = true;
  EXPECT_THAT(location_of(browser.begin(third)), StartsWith("/consent?"));
}

TEST_F(LoginPagesTest, NoConsentIsAnAnswer) {
  world.ask("one");
  const std::string page = text_of(browser.get(location_of(by_card(browser, "one", world.card))));
  const HttpResponse out = browser.post("/consent", {{"csrf", hidden_value(page, "csrf")},
                                                     {"ticket", hidden_value(page, "ticket")},
                                                     {"proof", hidden_value(page, "proof")},
                                                     {"decision", "deny"}});
  EXPECT_EQ(location_of(out), "https://portal.example/callback?error=access_denied");
}

TEST_F(LoginPagesTest, CancelledIsAnAnswer) {
  const std::string page = text_of(browser.begin(world.ask("one")));
  const HttpResponse out =
      browser.post("/login/cancel", {{"csrf", hidden_value(page, "csrf")}, {"ticket", hidden_value(page, "ticket")}});
  EXPECT_EQ(location_of(out), "https://portal.example/callback?error=access_denied");
}

TEST_F(LoginPagesTest, PromptNoneShowsNoPage) {
  Interaction& one = world.ask("one");
  one.prompt_none = true;
  EXPECT_EQ(location_of(browser.begin(one)), "https://portal.example/callback?error=login_required");
  log_in(browser, world.card);
  Interaction& two = world.ask("two");
  two.prompt_none = true;
  EXPECT_EQ(location_of(browser.begin(two)), "https://portal.example/callback?error=consent_required");
  world.provider.consent_given = true;
  Interaction& three = world.ask("three");
  three.prompt_none = true;
  EXPECT_EQ(location_of(browser.begin(three)), "https://portal.example/callback?code=of-three");
}

TEST_F(LoginPagesTest, MaxAgePromptLoginAndAHigherLevelAskOnceMore) {
  world.provider.consent_given = true;
  log_in(browser, world.card);
  const std::string cookie = browser.cookies.at("__Host-karta-session");
  world.clock.advance(std::chrono::minutes(10));
  Interaction& aged = world.ask("aged");
  aged.max_age = std::chrono::minutes(5);
  const HttpResponse page = browser.begin(aged);
  EXPECT_THAT(text_of(page), HasSubstr("once more who you are"));
  EXPECT_EQ(location_of(answer(browser, to_agent(browser, page), world.card)),
            "https://portal.example/callback?code=of-aged");
  EXPECT_NE(browser.cookies.at("__Host-karta-session"), cookie) << "a step up changes the cookie";
  EXPECT_EQ(world.provider.finished.at("aged").auth_time, world.clock.now());
  Interaction& now = world.ask("now");
  now.max_age = std::chrono::seconds(0);
  EXPECT_EQ(browser.begin(now).status, 200) << "in the second of the last log-in, too";
  Interaction& again = world.ask("again");
  again.prompt_login = true;
  EXPECT_EQ(browser.begin(again).status, 200);
}

TEST_F(LoginPagesTest, ACodeIsNotEnoughWhereMoreIsAsked) {
  log_in_by_code(browser);
  const HttpResponse page = browser.begin(world.ask("one", "high"));
  EXPECT_THAT(text_of(page), HasSubstr("once more who you are"));
  // The form of another page, used for this one's errand: refused.
  const std::string ticket =
      attribute_after(text_of(page), "by-card", "href").substr(std::string("/login/card?ticket=").size());
  const std::string csrf = hidden_value(text_of(page), "csrf");
  EXPECT_EQ(browser.post("/login/name", {{"csrf", csrf}, {"ticket", ticket}, {"login", "sample"}}).status, 410);
}

TEST_F(LoginPagesTest, ATokenIsGoodOnce) {
  world.provider.consent_given = true;
  const HttpResponse page = browser.get("/login");
  const AgentAnswer agent = to_agent(browser, page);
  EXPECT_EQ(answer(browser, agent, world.card).status, 303);
  const HttpResponse again = answer(browser, agent, world.card);
  EXPECT_EQ(again.status, 403);
  EXPECT_THAT(text_of(again), HasSubstr("used already"));
}

TEST_F(LoginPagesTest, ATokenForAnotherOriginOrNonceIsRefused) {
  const AgentAnswer agent = to_agent(browser, browser.get("/login"));
  AgentAnswer wrong = agent;
  wrong.origin = "https://evil.example";
  HttpResponse refused = answer(browser, wrong, world.card);
  EXPECT_EQ(refused.status, 403);
  EXPECT_THAT(text_of(refused), HasSubstr("signature is not right"));
  wrong = agent;
  wrong.nonce = to_agent(browser, browser.get("/login")).nonce;
  EXPECT_EQ(answer(browser, wrong, world.card).status, 403);
  EXPECT_FALSE(browser.cookies.contains("__Host-karta-session"));
  EXPECT_EQ(browser.get("/login/answer?state=" + agent.state + "&token=AAAA").status, 403);
  EXPECT_EQ(browser.get("/login/answer?state=" + agent.state + "&token=%").status, 410);
}

TEST_F(LoginPagesTest, AnAnswerIsOfThisBrowserAndOfThisTime) {
  const AgentAnswer agent = to_agent(browser, browser.get("/login"));
  TestBrowser other(world);
  EXPECT_EQ(answer(other, agent, world.card).status, 410) << "it has no cookie";
  (void)other.get("/login");
  EXPECT_EQ(answer(other, agent, world.card).status, 410) << "it has another one";
  EXPECT_FALSE(other.cookies.contains("__Host-karta-session"));
  AgentAnswer forged = agent;
  forged.state[3] = forged.state[3] == 'A' ? 'B' : 'A';
  EXPECT_EQ(answer(browser, forged, world.card).status, 410);
  world.clock.advance(std::chrono::minutes(5));
  const HttpResponse late = answer(browser, agent, world.card);
  EXPECT_EQ(late.status, 403);
  EXPECT_THAT(text_of(late), HasSubstr("took too long"));
}

TEST_F(LoginPagesTest, AForgedTicketLeadsNowhere) {
  (void)browser.begin(world.ask("one"));
  TestBrowser other(world);
  const std::string page = text_of(other.begin(world.ask("two")));
  const std::string ticket = hidden_value(page, "ticket");
  for (const std::string& path : {"/login?ticket=" + ticket, "/login/card?ticket=" + ticket,
                                  "/consent?ticket=" + ticket + "&proof=x", std::string("/login?ticket=i.b25l.x")}) {
    const HttpResponse refused = browser.get(path);
    EXPECT_EQ(refused.status, 410) << path;
    EXPECT_THAT(text_of(refused), Not(HasSubstr("The portal")));
  }
}

TEST_F(LoginPagesTest, AFinishedInteractionIsOver) {
  const HttpResponse page = browser.begin(world.ask("one"));
  const AgentAnswer agent = to_agent(browser, page);
  world.provider.waiting.clear();
  EXPECT_EQ(answer(browser, agent, world.card).status, 410);
  EXPECT_FALSE(browser.cookies.contains("__Host-karta-session")) << "nobody is logged in for a log-in that is over";
}

TEST_F(LoginPagesTest, WhatTheAgentSaysInsteadIsShownWithTheWayOn) {
  for (const AgentErrorRow& row : agent_errors()) {
    const AgentAnswer agent = to_agent(browser, browser.begin(world.ask("one")));
    const HttpResponse page = browser.get("/login/answer?state=" + agent.state + "&error=" + std::string(row.error));
    EXPECT_EQ(page.status, 403);
    EXPECT_THAT(text_of(page), HasSubstr("role=\"alert\"><strong>"));
    EXPECT_THAT(text_of(page), HasSubstr("/login/card?ticket=")) << "it can be tried again";
  }
  const AgentAnswer agent = to_agent(browser, browser.begin(world.ask("one")));
  EXPECT_THAT(text_of(browser.get("/login/answer?state=" + agent.state + "&error=%3Cscript%3E")),
              Not(HasSubstr("<script>")));
}

struct BadCard {
  const char* name;
  void (*spoil)(LoginWorld&, TestCard&);
};
class BadCardTest : public LoginPagesTest, public testing::WithParamInterface<BadCard> {};

TEST_P(BadCardTest, IsRefusedByItsReasonOnBothWays) {
  TestCard card = world.make_card(world.citizen);
  GetParam().spoil(world, card);
  for (const bool agent_way : {true, false}) {
    world.ask("one");
    HttpResponse refused;
    if (agent_way) {
      refused = by_card(browser, "one", card);
    } else {
      const std::string page = text_of(browser.begin(world.provider.waiting.at("one")));
      browser.client_certificate = card.certificate.der();
      refused = browser.get(attribute_after(page, "by-certificate", "href"));
    }
    EXPECT_EQ(refused.status, 403) << text_of(refused);
    const auto row = std::ranges::find(card_refusals(), std::string_view(GetParam().name), &CardRefusalRow::name);
    ASSERT_NE(row, card_refusals().end());
    Html title;
    title.text(row->title.english);
    EXPECT_THAT(text_of(refused), HasSubstr(std::move(title).take()));
    EXPECT_FALSE(browser.cookies.contains("__Host-karta-session"));
  }
  const bool stranger =
      std::string_view(GetParam().name) == "unknown-issuer" || std::string_view(GetParam().name) == "not-registered";
  if (!stranger) {
    EXPECT_THAT(deeds_of(card), ElementsAre(GetParam().name)) << "once an hour";
    world.clock.advance(std::chrono::hours(1));
    by_card(browser, "one", card);
    EXPECT_THAT(deeds_of(card), SizeIs(2));
  }
}

/// Gives the card another certificate for logging in, of this time.
void put_certificate(LoginWorld& world, TestCard& card, std::optional<Time> from, std::optional<Time> until) {
  auto request = LoginWorld::request_for("CN=Card holder", card.key.public_key());
  request.not_before = from;
  request.not_after = until;
  auto made = must(crypto::issue_certificate(LoginWorld::profile("authentication"), request, world.ca, world.ca_signer,
                                             world.clock, world.random));
  must(world.registry.add_certificate(
      card.card.id,
      {CertificateKind::aut, made.issuer().to_text(), made.serial(), made.der(), made.not_before(), made.not_after()},
      kCause));
  card.certificate = std::move(made);
}

INSTANTIATE_TEST_SUITE_P(
    Cards, BadCardTest,
    testing::Values(
        BadCard{"card-suspended",
                [](LoginWorld& world, TestCard& card) {
                  must(world.registry.change_card_state(card.card.id, CardState::suspended, kCause));
                }},
        BadCard{"card-revoked",
                [](LoginWorld& world, TestCard& card) {
                  must(world.registry.change_card_state(card.card.id, CardState::revoked, kCause,
                                                        RevocationReason::key_compromise));
                }},
        BadCard{"card-expired", [](LoginWorld& world, TestCard&) { world.clock.advance(std::chrono::days(365 * 4)); }},
        BadCard{"card-replaced",
                [](LoginWorld& world, TestCard& card) {
                  must(world.registry.change_card_state(card.card.id, CardState::replaced, kCause));
                }},
        BadCard{"certificate-revoked",
                [](LoginWorld& world, TestCard& card) {
                  must(world.registry.revoke_certificate(card.certificate.issuer().to_text(), card.certificate.serial(),
                                                         RevocationReason::key_compromise, kCause));
                }},
        BadCard{"certificate-on-hold",
                [](LoginWorld& world, TestCard& card) {
                  must(world.registry.revoke_certificate(card.certificate.issuer().to_text(), card.certificate.serial(),
                                                         RevocationReason::certificate_hold, kCause));
                }},
        BadCard{"certificate-expired",
                [](LoginWorld& world, TestCard& card) {
                  put_certificate(world, card, {}, world.clock.now() + std::chrono::minutes(1));
                  world.clock.advance(std::chrono::minutes(2));
                }},
        BadCard{"certificate-not-yet-valid",
                [](LoginWorld& world, TestCard& card) {
                  put_certificate(world, card, world.clock.now() + std::chrono::hours(3), {});
                }},
        BadCard{"wrong-certificate",
                [](LoginWorld& world, TestCard& card) {
                  // For signing by the registry, though it might serve for logging in by itself.
                  auto other =
                      must(crypto::issue_certificate(LoginWorld::profile("authentication"),
                                                     LoginWorld::request_for("CN=Card holder", card.key.public_key()),
                                                     world.ca, world.ca_signer, world.clock, world.random));
                  must(world.registry.add_certificate(card.card.id,
                                                      {CertificateKind::sig, other.issuer().to_text(), other.serial(),
                                                       other.der(), other.not_before(), other.not_after()},
                                                      kCause));
                  card.certificate = other;
                }},
        BadCard{"not-registered",
                [](LoginWorld& world, TestCard& card) {
                  card.certificate =
                      must(crypto::issue_certificate(LoginWorld::profile("authentication"),
                                                     LoginWorld::request_for("CN=Card holder", card.key.public_key()),
                                                     world.ca, world.ca_signer, world.clock, world.random));
                }},
        BadCard{"unknown-issuer",
                [](LoginWorld& world, TestCard& card) {
                  // An authority of the same name with another key, and the serial number of a real certificate.
                  crypto::SoftwareSigner stranger(must(crypto::PrivateKey::generate(crypto::KeyType::p256)));
                  const auto ca = world.make_ca(stranger);
                  auto request = LoginWorld::request_for("CN=Card holder", card.key.public_key());
                  request.serial = card.certificate.serial();
                  card.certificate = must(crypto::issue_certificate(LoginWorld::profile("authentication"), request, ca,
                                                                    stranger, world.clock, world.random));
                }}),
    [](const auto& one) {
      std::string name = one.param.name;
      std::ranges::replace(name, '-', '_');
      return name;
    });

TEST_F(LoginPagesTest, ACardThatWasNotHandedOverIsRefused) {
  auto key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
  Card made = must(world.registry.order_card({.citizen = world.citizen, .profile = "citizen"}, kCause));
  made =
      must(world.registry.produce_card(made.id, "0102030405060708", world.clock.now() + std::chrono::days(9), kCause));
  auto certificate = must(crypto::issue_certificate(LoginWorld::profile("authentication"),
                                                    LoginWorld::request_for("CN=Card holder", key.public_key()),
                                                    world.ca, world.ca_signer, world.clock, world.random));
  must(world.registry.add_certificate(made.id,
                                      {CertificateKind::aut, certificate.issuer().to_text(), certificate.serial(),
                                       certificate.der(), certificate.not_before(), certificate.not_after()},
                                      kCause));
  const TestCard card{std::move(made), std::move(key), std::move(certificate)};
  world.ask("one");
  EXPECT_THAT(text_of(by_card(browser, "one", card)), HasSubstr("not been handed over"));
  EXPECT_THAT(deeds_of(card), ElementsAre("card-not-active"));
}

TEST_F(LoginPagesTest, ACertificateShownToTheOtherListenerLogsIn) {
  world.provider.consent_given = true;
  const std::string page = text_of(browser.begin(world.ask("one", "substantial")));
  const std::string link = attribute_after(page, "by-certificate", "href");
  HttpResponse bare = browser.get(link);
  EXPECT_EQ(bare.status, 403);
  EXPECT_THAT(text_of(bare), HasSubstr("No certificate was shown"));
  browser.client_certificate = world.card.certificate.der();
  const HttpResponse shown = browser.get(link);
  ASSERT_EQ(shown.status, 303) << text_of(shown);
  const std::string back = location_of(shown);
  ASSERT_THAT(back, StartsWith(std::string(LoginWorld::kOrigin) + "/login/certified?state="));
  TestBrowser other(world);
  (void)other.get("/login");
  EXPECT_EQ(other.get(back).status, 410) << "another browser";
  EXPECT_EQ(location_of(browser.get(back)), "https://portal.example/callback?code=of-one");
  EXPECT_EQ(world.provider.finished.at("one").acr, "substantial");
  world.ask("one", "substantial");
  EXPECT_EQ(browser.get(back).status, 403) << "used already";
  // The pages of the one listener are not those of the other.
  EXPECT_EQ(browser.get(std::string(LoginWorld::kCertificateOrigin) + "/login").status, 404);
  EXPECT_EQ(browser.get("/login/certificate").status, 404);
}

TEST_F(LoginPagesTest, ACertificateIsJudgedForOurOwnTicketsAlone) {
  TestCard card = world.make_card(world.citizen);
  must(world.registry.change_card_state(card.card.id, CardState::suspended, {"test", "because"}));
  browser.client_certificate = card.certificate.der();
  const std::string page = std::string(LoginWorld::kCertificateOrigin) + "/login/certificate";
  for (const char* const query : {"", "?ticket=anything", "?ticket=a.b.c.d", "?ticket=."}) {
    EXPECT_EQ(browser.get(page + query).status, 410) << query;
  }
  EXPECT_THAT(deeds_of(card), IsEmpty());
}

TEST_F(LoginPagesTest, ACertificateHandedOverTooLateIsNone) {
  const std::string page = text_of(browser.begin(world.ask("one", "substantial")));
  browser.client_certificate = world.card.certificate.der();
  const HttpResponse shown = browser.get(attribute_after(page, "by-certificate", "href"));
  world.clock.advance(std::chrono::minutes(1));
  EXPECT_EQ(browser.get(location_of(shown)).status, 410);
}

TEST_F(LoginPagesTest, WrongCodesAreSlowedWithTheSameWordsForEverybody) {
  const std::string page = text_of(browser.get("/login"));
  const HttpResponse named = browser.post(
      "/login/name",
      {{"csrf", hidden_value(page, "csrf")}, {"ticket", hidden_value(page, "ticket")}, {"login", "nobody"}});
  const std::string asked = text_of(browser.get(location_of(named)));
  EXPECT_THAT(asked, HasSubstr("If there is such an account"));
  const auto attempt = [&] {
    return browser.post("/login/code", {{"csrf", hidden_value(asked, "csrf")},
                                        {"ticket", hidden_value(asked, "ticket")},
                                        {"challenge", hidden_value(asked, "challenge")},
                                        {"code", "123 456"}});
  };
  for (int i = 0; i < 4; ++i) {
    const HttpResponse wrong = attempt();
    EXPECT_EQ(wrong.status, 403);
    EXPECT_THAT(text_of(wrong), HasSubstr("This login name or this code is not right."));
  }
  EXPECT_EQ(attempt().status, 403);
  EXPECT_THAT(text_of(attempt()), HasSubstr("This code is over"));
  EXPECT_FALSE(browser.cookies.contains("__Host-karta-session"));
}

TEST_F(LoginPagesTest, AnAccountThatEndsBehindItsCodeLetsNobodyIn) {
  const Cause cause{"operator:1", "taken over"};
  Accounts accounts(world.database, world.keys->secret, world.clock, world.random);
  world.provider.consent_given = true;
  for (const bool replaced : {false, true}) {
    SCOPED_TRACE(replaced);
    world.provider.once_asked = [&] {
      if (replaced) {
        must(accounts.enrol(world.citizen, "sample", {}, cause));
      } else {
        EXPECT_TRUE(must(accounts.remove(world.citizen, cause)));
      }
    };
    const HttpResponse refused = by_code(browser, text_of(browser.begin(world.ask("one"))));
    EXPECT_EQ(refused.status, 403);
    EXPECT_THAT(text_of(refused), HasSubstr("has been changed meanwhile"));
    EXPECT_FALSE(world.provider.once_asked) << "it did end meanwhile";
    EXPECT_FALSE(browser.cookies.contains(std::string(kSessionCookie)));
    EXPECT_THAT(must(Sessions(world.around).list(world.citizen)), IsEmpty());
    EXPECT_THAT(world.provider.finished, IsEmpty());
  }
  EXPECT_EQ(by_code(browser, text_of(browser.begin(world.ask("one")))).status, 303);
  EXPECT_THAT(world.provider.finished, SizeIs(1));
}

TEST_F(LoginPagesTest, AFormOfAnotherSiteDoesNothing) {
  log_in(browser, world.card);
  const std::string sessions = text_of(browser.get("/me/sessions"));
  const std::string csrf = hidden_value(sessions, "csrf");
  for (const char* const origin : {"https://evil.example", "null", ""}) {
    browser.origin = origin;
    EXPECT_EQ(browser.post("/logout", {{"csrf", csrf}}).status, 403) << origin;
    EXPECT_EQ(browser.post("/me/sessions/end-all", {{"csrf", csrf}}).status, 403) << origin;
  }
  browser.origin = LoginWorld::kOrigin;
  EXPECT_EQ(browser.post("/logout", {{"csrf", "wrong"}}).status, 403);
  EXPECT_EQ(browser.post("/logout", {}).status, 403);
  EXPECT_EQ(browser.post("/me/sessions/end-all", {{"csrf", "wrong"}}).status, 403);
  EXPECT_EQ(browser.get("/me").status, 200) << "still logged in";
  EXPECT_EQ(browser.get("/me/sessions/end-all").status, 405);
}

TEST_F(LoginPagesTest, ACookieBroughtFromElsewhereIsNeverTakenOver) {
  // Fixation: whatever the browser was given before, the log-in makes its own.
  browser.cookies["__Host-karta-session"] = std::string(43, 'A');
  log_in(browser, world.card);
  EXPECT_NE(browser.cookies.at("__Host-karta-session"), std::string(43, 'A'));
  TestBrowser attacker(world);
  attacker.cookies["__Host-karta-session"] = std::string(43, 'A');
  EXPECT_EQ(attacker.get("/me").status, 303);
}

TEST_F(LoginPagesTest, AConsentIsOfTheSessionThatWasAsked) {
  world.ask("one");
  const std::string where = location_of(by_card(browser, "one", world.card));
  const std::string page = text_of(browser.get(where));
  // The proof is another's: the ways in are shown, nothing is allowed.
  const HttpResponse out = browser.post("/consent", {{"csrf", hidden_value(page, "csrf")},
                                                     {"ticket", hidden_value(page, "ticket")},
                                                     {"proof", "x"},
                                                     {"decision", "allow"}});
  EXPECT_EQ(out.status, 200);
  EXPECT_THAT(world.provider.finished, IsEmpty());
  // A form token of the pages before the log-in is not one of the session.
  EXPECT_EQ(browser.post("/consent", {{"csrf", "x"}, {"decision", "allow"}}).status, 403);
}

TEST_F(LoginPagesTest, LogsOutHereAndAtThePortals) {
  log_in(browser, world.card);
  const std::string page = text_of(browser.get("/logout"));
  const HttpResponse out = browser.post("/logout", {{"csrf", hidden_value(page, "csrf")}});
  EXPECT_EQ(out.status, 200);
  EXPECT_THAT(world.provider.ended_sessions, SizeIs(1));
  EXPECT_FALSE(browser.cookies.contains("__Host-karta-session"));
  EXPECT_EQ(location_of(browser.get("/me")), "/login?back=%2Fme");
}

TEST_F(LoginPagesTest, ALogOutThatCannotBeToldIsNone) {
  log_in(browser, world.card);
  const std::string csrf = hidden_value(text_of(browser.get("/logout")), "csrf");
  world.provider.fails = true;
  EXPECT_EQ(browser.post("/logout", {{"csrf", csrf}}).status, 503);
  EXPECT_EQ(browser.get("/me").status, 200) << "all or nothing";
  world.provider.fails = false;
  EXPECT_EQ(browser.post("/logout", {{"csrf", csrf}}).status, 200);
  EXPECT_THAT(world.provider.ended_sessions, SizeIs(1));
}

TEST_F(LoginPagesTest, APortalsLogOutIsAskedUnlessItShowsTheSessionsToken) {
  log_in(browser, world.card);
  const auto end = [&](const LogoutRequest& logout) {
    service::HttpRequest request;
    request.path = "/openid/end-session";
    return browser.with_fields(request, [&] { return world.pages->end_session(request, logout); });
  };
  LogoutRequest logout;
  logout.client = world.ask("one").client;
  logout.return_url = "https://portal.example/bye";
  logout.is_of = [](std::string_view) { return false; };
  const std::string page = text_of(end(logout));
  EXPECT_THAT(page, HasSubstr("asks you to log out here, too"));
  // An address that was changed on the way leads nowhere.
  TestBrowser copy = browser;
  EXPECT_EQ(copy.post("/logout", {{"csrf", hidden_value(page, "csrf")},
                                  {"return", "https://evil.example/"},
                                  {"return_mark", hidden_value(page, "return_mark")}})
                .status,
            200);
  log_in(browser, world.card);
  logout.is_of = [](std::string_view id) { return !id.empty(); };
  EXPECT_EQ(location_of(end(logout)), "https://portal.example/bye");
  EXPECT_FALSE(browser.cookies.contains("__Host-karta-session"));
  EXPECT_EQ(location_of(end(logout)), "https://portal.example/bye") << "logged out already";
}

TEST_F(LoginPagesTest, AFaultyRequestOfAPortalIsShownWithoutItsMarkup) {
  service::HttpRequest request;
  const HttpResponse page = browser.with_fields(
      request, [&] { return world.pages->problem(request, 400, "invalid_request", "<b>redirect_uri</b>"); });
  EXPECT_EQ(page.status, 400);
  EXPECT_THAT(text_of(page), HasSubstr("&lt;b&gt;redirect_uri&lt;/b&gt;"));
}

TEST_F(LoginPagesTest, MethodsAndPathsAreTheirOwn) {
  EXPECT_EQ(browser.get("/login/name").status, 405);
  EXPECT_EQ(browser.get("/login/nothing").status, 404);
  EXPECT_EQ(browser.get("/login?ticket=a&ticket=b").status, 410);
  EXPECT_EQ(browser.get("/me/nothing").status, 404);
}

// RFC 9110 §9.2.1. What looks at an address before the browser goes there, or as it does, takes nothing from it.
TEST_F(LoginPagesTest, HeadUsesNothingUp) {
  const HttpResponse page = browser.begin(world.ask("one"));
  const std::string card = attribute_after(text_of(page), "by-card", "href");
  for (int i = 0; i < 2 * kAgentRequestsOfLogIn.burst; ++i) ASSERT_EQ(browser.head(card).status, 405);
  EXPECT_THAT(browser.head(card).fields, HasSubstr("Allow: GET\r\n"));
  const AgentAnswer agent = to_agent(browser, page);
  const std::string token = token_of(world.card, agent.origin, agent.nonce);
  const std::string back = "/login/answer?state=" + agent.state + "&token=" + to_base64url(as_bytes(token));
  EXPECT_EQ(browser.head(back).status, 405);
  EXPECT_FALSE(browser.cookies.contains("__Host-karta-session"));
  const HttpResponse in = browser.get(back);
  ASSERT_THAT(location_of(in), StartsWith("/consent?")) << "the answer is as good as before";
  for (const std::string& path : {std::string("/login"), location_of(in), std::string("/logout"), std::string("/me")}) {
    EXPECT_EQ(browser.head(path).status, browser.get(path).status) << path;
  }
  EXPECT_EQ(browser.get("/me").status, 200) << "still logged in";
}

TEST_F(LoginPagesTest, TheWayBackStaysOnThisServer) {
  const HttpResponse page = browser.get("/login?back=%2F%2Fevil.example%2F");
  EXPECT_EQ(location_of(answer(browser, to_agent(browser, page), world.card)), "/me");
  const HttpResponse again = browser.get("/login?back=%2Fme%2Frequests");
  EXPECT_EQ(location_of(again), "/me/requests");
}

}  // namespace
}  // namespace karta::identity
