// How long it lasts: consents, cards, sessions and keys that end, and who is told.
#include "identity/openid/logout.h"
#include "identity/openid/openid_test.h"
#include "identity/openid/scopes.h"
#include "identity/openid/session_ends.h"
#include "identity/openid/store.h"
#include "identity/revocations.h"
#include "service/database_testing.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using Json = nlohmann::json;
using testing::HasSubstr;
using Told = OpenidFixture::Told;

TEST_F(OpenidTest, AStoppedCardGetsNoCodeAndItsTokensEndAtOnce) {
  const std::string held = access(), unused = code();
  authorize(push());
  const std::string waiting = login.interaction->id;
  clock.advance(std::chrono::seconds(1));
  set_card(CardState::suspended);
  const auto refused = room->provider().finish(waiting, authentication(), clock.now() + std::chrono::days(1));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::not_permitted);
  EXPECT_THAT(refused.error().message, HasSubstr("suspended"));
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
  EXPECT_EQ(introspect(held)["active"], "false");
  EXPECT_EQ(token(unused).error(), "invalid_grant");
  // Released: the card works again, what was given before does not.
  set_card(CardState::active);
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
  EXPECT_EQ(introspect(held)["active"], "false");
  EXPECT_EQ(userinfo(access(), dpop_key).status, 200);
  clock.advance(std::chrono::days(366));
  authorize(push());
  const auto expired =
      room->provider().finish(login.interaction->id, authentication(), clock.now() + std::chrono::days(1));
  ASSERT_FALSE(expired);
  EXPECT_THAT(expired.error().message, HasSubstr("expired"));
}

TEST_F(OpenidTest, NothingWithoutConsentAndNothingAfterItWasTakenBack) {
  Provider& provider = room->provider();
  const Client portal = *must(ledger->find("portal"));
  authorize(push());
  const std::vector<std::string> claims = login.interaction->claims;
  EXPECT_EQ(provider.consent(citizen, portal, claims)->missing, claims);
  const auto without = provider.finish(login.interaction->id, authentication(), std::nullopt);
  ASSERT_FALSE(without);
  EXPECT_EQ(without.error().kind, ErrorKind::not_permitted);
  // The interaction stands: the page can ask.
  const std::string held = token(
      query_value(must(provider.finish(login.interaction->id, authentication(), clock.now() + std::chrono::days(1))),
                  "code"))["access_token"];
  EXPECT_TRUE(provider.consent(citizen, portal, claims)->given);
  EXPECT_EQ(provider.consent(citizen, portal, {"snils"})->missing, std::vector<std::string>({"snils"}));
  const auto grants = must(provider.grants_of(citizen));
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_EQ(grants[0].client_id, "portal");
  EXPECT_EQ(grants[0].live_tokens, 1u);
  EXPECT_EQ(grants[0].claims, claims);
  // The next time nobody is asked; more than before is asked for again.
  authorize(push());
  EXPECT_TRUE(provider.finish(login.interaction->id, authentication(), std::nullopt));
  authorize(push({{"scope", "openid profile birthdate"}}));
  EXPECT_FALSE(provider.finish(login.interaction->id, authentication(), std::nullopt));
  must(provider.revoke_grant(citizen, "portal"));
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
  EXPECT_TRUE(must(provider.grants_of(citizen)).empty());
  EXPECT_FALSE(provider.revoke_grant(citizen, "portal"));
  // A consent has an end.
  must(provider.remember_consent(citizen, portal, claims, clock.now() + std::chrono::hours(1)));
  EXPECT_TRUE(provider.consent(citizen, portal, claims)->given);
  clock.advance(std::chrono::hours(2));
  EXPECT_FALSE(provider.consent(citizen, portal, claims)->given);
}

// OpenID Connect Core §5.5.1, §5.4: what is not called essential is voluntary.
class BesideTest : public OpenidTest {
 protected:
  using Work = service::GroupCommit::Work;
  /// `work`, and `meanwhile` on another connection, committed when the first try of `work` has its snapshot. On SQLite,
  /// where nobody comes between what a writer does, before it.
  Status beside(const Work& meanwhile, const Work& work) {
    const auto elsewhere = [&] {
      return other.transact([&] { return meanwhile(other); }, service::Isolation::snapshot);
    };
    runs = 0;
    if (database->store() == service::Store::sqlite) must(elsewhere());
    return writes->write(*database, [&](service::Database& own) -> Status {
      if (runs++ == 0 && own.store() == service::Store::postgresql) {
        must(must(own.prepare("SELECT 1 FROM openid_consents")).query());
        must(elsewhere());
      }
      return work(own);
    });
  }
  void expect_that_it_ran_again() { EXPECT_EQ(runs, database->store() == service::Store::postgresql ? 2 : 1); }
  Work put(const std::vector<std::string>& claims) {
    return [this, claims](service::Database& own) {
      return openid_store::put_consent(own, citizen, "portal", claims, {}, clock.now(),
                                       clock.now() + std::chrono::days(30));
    };
  }
  Work revoke() {
    return [this](service::Database& own) -> Status {
      (void)TRY(SessionEnds(keys, clock, random).revoke(own, citizen, "portal"));
      return {};
    };
  }
  std::vector<std::string> consented() {
    const auto found = must(openid_store::find_consent(*database, citizen, "portal", clock.now()));
    return found ? found->claims : std::vector<std::string>();
  }

  service::Database other = must(service::Database::open(service::test_database_url(folder / "registry.sqlite")));
  int runs = 0;
};

TEST_F(BesideTest, WhatWasRevokedIsNotConsentedToAgain) {
  must(writes->write(*database, put({"name", "birthdate"})));
  must(beside(revoke(), put({"gender"})));
  expect_that_it_ran_again();
  EXPECT_EQ(consented(), std::vector<std::string>{"gender"});
}

TEST_F(BesideTest, OfTwoConsentsNoneIsLost) {
  must(beside(put({"name"}), put({"birthdate"})));
  expect_that_it_ran_again();
  must(beside(put({"gender"}), put({"middle_name"})));
  expect_that_it_ran_again();
  EXPECT_THAT(consented(), testing::UnorderedElementsAre("name", "birthdate", "gender", "middle_name"));
}

TEST_F(BesideTest, ALogInDoesNotOutliveTheConsentItReliesOn) {
  const std::string held = access();  // consents
  authorize(push());
  const Authentication found = authentication();
  const auto finishing = must(room->provider().finishing(login.interaction->id));
  must(beside(revoke(), [&](service::Database& own) { return finishing->run(own, found, {}); }));
  expect_that_it_ran_again();
  const auto refused = finishing->outcome();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(count("openid_grants"), 0);
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
}

TEST_F(BesideTest, ARevocationFindsTheLogInBesideIt) {
  access();  // consents
  authorize(push());
  const Authentication found = authentication();
  const auto finishing = must(room->provider().finishing(login.interaction->id));
  must(beside([&](service::Database& own) { return finishing->run(own, found, {}); }, revoke()));
  expect_that_it_ran_again();
  const std::string given = query_value(must(finishing->outcome()), "code");
  EXPECT_EQ(count("openid_grants"), 0);
  // Nor does it come back to life with the next consent.
  code();
  EXPECT_EQ(token(given).error(), "invalid_grant");
}

class LeftOutTest : public OpenidTest {
 protected:
  const std::vector<std::string> names = {"name", "family_name", "given_name", "middle_name"};

  Time until() const { return clock.now() + std::chrono::days(30); }
  /// An interaction for these scopes; `essential`: claims.
  void ask_for(const std::string& scope, const std::vector<std::string>& essential = {}) {
    Json userinfo = Json::object();
    for (const std::string& one : essential) userinfo[one] = {{"essential", true}};
    authorize(push({{"scope", scope}, {"claims", Json{{"userinfo", userinfo}}.dump()}}));
  }
  Result<std::string> finish(const std::optional<ConsentAnswer>& answer = {}) {
    return room->provider().finish(login.interaction->id, authentication(), answer);
  }
  Told tokens(const std::optional<ConsentAnswer>& answer = {}) {
    return token(query_value(must(finish(answer)), "code"));
  }
  Json learnt(const Told& given) { return Json::parse(userinfo(given["access_token"], dpop_key).body); }
  ConsentState state(const std::vector<std::string>& essential = {}) {
    return must(room->provider().consent(citizen, login.interaction->client, login.interaction->claims, essential));
  }
};

TEST_F(LeftOutTest, ThePortalLearnsWhatWasConsentedToAndTheCitizenIsNotAskedAgain) {
  ask_for("openid profile birthdate", {"birthdate", "snils"});
  EXPECT_EQ(login.interaction->essential, std::vector<std::string>{"birthdate"}) << "of what it may ask for";
  const auto refused = finish(ConsentAnswer(until(), {"birthdate"}));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::not_permitted) << "essential";
  EXPECT_EQ(state().missing, login.interaction->claims) << "nothing was remembered";
  const Told given = tokens(ConsentAnswer(until(), names));
  const Json first = learnt(given);
  EXPECT_TRUE(first.contains("birthdate"));
  EXPECT_TRUE(first.contains("gender")) << "of the same scope, but not left out";
  for (const std::string& one : names) EXPECT_FALSE(first.contains(one)) << one;
  const auto grants = must(room->provider().grants_of(citizen));
  ASSERT_EQ(grants.size(), 1u);
  EXPECT_THAT(grants[0].claims, testing::Not(testing::Contains("name")));
  EXPECT_THAT(grants[0].claims, testing::Contains("birthdate"));

  ask_for("openid profile birthdate", {"birthdate"});
  EXPECT_TRUE(state({"birthdate"}).given);
  EXPECT_EQ(state({"birthdate"}).declined, names);
  EXPECT_EQ(learnt(tokens()), first) << "without a question";
  // What was voluntary then is essential now: that he has not been asked.
  ask_for("openid profile birthdate", {"name"});
  EXPECT_EQ(state({"name"}).missing, std::vector<std::string>{"name"});
  EXPECT_FALSE(finish());
  // A no lasts as long as the yes beside it.
  clock.advance(std::chrono::days(31));
  ask_for("openid profile");
  EXPECT_FALSE(state().given);
  EXPECT_THAT(state().declined, testing::IsEmpty());
}

TEST_F(LeftOutTest, ADatumLeftOutLaterEndsWhatItWasGivenWith) {
  ask_for("openid profile");
  const Told before = tokens(ConsentAnswer(until()));
  EXPECT_TRUE(learnt(before).contains("name"));
  ask_for("openid profile");
  const Told after = tokens(ConsentAnswer(until(), names));
  EXPECT_EQ(userinfo(before["access_token"], dpop_key).status, 401);
  EXPECT_FALSE(learnt(after).contains("name"));
  // And the other way about: a yes takes the place of a no.
  ask_for("openid profile");
  EXPECT_TRUE(learnt(tokens(ConsentAnswer(until()))).contains("name"));
  EXPECT_THAT(state().declined, testing::IsEmpty());
}

TEST_F(LeftOutTest, AScopeOfWhichNothingIsLeftIsNotGranted) {
  ask_for("openid profile birthdate offline_access");
  const Told some = tokens(ConsentAnswer(until(), {"birthdate", "offline_access"}));
  EXPECT_EQ(some["scope"], "openid profile");
  EXPECT_EQ(some["refresh_token"], "") << "it may not come without the citizen";
  ask_for("openid profile birthdate offline_access");
  const Told none = tokens(ConsentAnswer(until(), login.interaction->claims));
  EXPECT_EQ(none["scope"], "openid");
  EXPECT_EQ(learnt(none).size(), 1u) << "that it is he, and no more";
  ask_for("openid profile birthdate offline_access");
  EXPECT_TRUE(state().given) << "he has said no to everything, and is let in";
  EXPECT_EQ(tokens()["scope"], "openid");
}

TEST_F(OpenidTest, TokensEndWithTheCertificateOfTheLogIn) {
  authentication();
  must(database->execute("UPDATE sessions SET issuer = 'CN=Test', serial = $1", {as_bytes("1")}));
  const std::string held = access();
  EXPECT_EQ(userinfo(held, dpop_key).status, 200);
  must(record_revocation(*database,
                         {.issuer = "CN=Test", .serial = as_bytes("1"), .reason = crypto::CrlReason::key_compromise},
                         clock.now()));
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
}

TEST_F(OpenidTest, EachDatumIsConsentedToForAsLongAsWasSaidOfIt) {
  Provider& provider = room->provider();
  const Client portal = *must(ledger->find("portal"));
  const auto days = [&](int count) { return clock.now() + std::chrono::days(count); };
  const auto given = [&](const std::string& claim) { return must(provider.consent(citizen, portal, {claim})).given; };
  must(provider.remember_consent(citizen, portal, {"name"}, days(365)));
  must(provider.remember_consent(citizen, portal, {"birthdate"}, days(1)));
  EXPECT_TRUE(given("name"));
  EXPECT_TRUE(given("birthdate"));
  clock.advance(std::chrono::days(2));
  EXPECT_TRUE(given("name"));
  EXPECT_FALSE(given("birthdate"));
  EXPECT_EQ(must(provider.grants_of(citizen)).at(0).claims, std::vector<std::string>({"name"}));
  // The other way about: what is given for long later makes nothing older last longer.
  must(provider.remember_consent(citizen, portal, {"gender"}, days(1)));
  must(provider.remember_consent(citizen, portal, {"birthdate"}, days(1000)));
  clock.advance(std::chrono::days(2));
  EXPECT_FALSE(given("gender"));
  EXPECT_TRUE(given("birthdate"));
  // The last word counts, a shorter one, too; and a token lives no longer than the datum it is for.
  must(provider.remember_consent(citizen, portal, {"birthdate", "name"}, days(1)));
  EXPECT_EQ(must(provider.consent(citizen, portal, {"name"})).until, days(1));
  must(provider.remember_consent(citizen, portal, claims_of({"profile", "offline_access"}), days(100)));
  authorize(push({{"scope", "openid profile birthdate offline_access"}}));
  const Fields renew = {
      {"grant_type", "refresh_token"},
      {"refresh_token", token(query_value(must(provider.finish(login.interaction->id, authentication(), std::nullopt)),
                                          "code"))["refresh_token"]}};
  EXPECT_EQ(token("", renew).status, 200);
  clock.advance(std::chrono::days(2));
  EXPECT_EQ(token("", renew).error(), "invalid_grant");
  EXPECT_TRUE(given("name"));
}

TEST_F(OpenidTest, APortalThatIsGoneKeepsNoOtherWaiting) {
  add_client("gone", R"(,"scope":"openid","backchannel_logout_uri":"https://gone.example/out")");
  add_client(
      "unsigned",
      R"(,"scope":"openid","id_token_signed_response_alg":"ES384","backchannel_logout_uri":"https://un.example/out")");
  const auto notice = [&](const std::string& client) {
    must(openid_store::insert_notice(
        *database,
        {"notice-" + std::to_string(++counter), client, "somebody", "session", 0, clock.now() + std::chrono::hours(24)},
        clock.now()));
  };
  for (int i = 0; i < 20; ++i) notice("gone");
  for (int i = 0; i < 2; ++i) notice("unsigned");
  clock.advance(std::chrono::seconds(1));
  for (int i = 0; i < 3; ++i) notice("portal");
  std::map<std::string, int> posts;
  LogoutSender sender(config, keys, *database, clock, metrics,
                      [&](const std::string& url, const std::string&) -> Result<int> {
                        ++posts[url];
                        if (url == "https://gone.example/out") return fail(ErrorKind::io, "no answer");
                        return 200;
                      });
  EXPECT_EQ(must(sender.send_due()), 3u);
  EXPECT_EQ(posts["https://gone.example/out"], 1);
  EXPECT_EQ(posts["https://un.example/out"], 0);
  EXPECT_EQ(posts["https://portal.example/logged-out"], 3);
  // A new notice of one that rests is not tried either.
  notice("gone");
  EXPECT_EQ(must(sender.send_due()), 0u);
  EXPECT_EQ(posts["https://gone.example/out"], 1);
  clock.advance(std::chrono::seconds(10));
  EXPECT_EQ(must(sender.send_due()), 0u);
  EXPECT_EQ(posts["https://gone.example/out"], 2);
  auto row = must(database->prepare("SELECT count(*) FROM openid_logouts"));
  must(row.query());
  ASSERT_TRUE(must(row.next()));
  EXPECT_EQ(row.integer(0), 23) << "none is lost";
}

TEST_F(OpenidTest, ALogOutIsCheckedAndToldToThePortal) {
  const std::string id_token = token(code())["id_token"];
  const auto bring = [&](const Fields& form) {
    login.logout.reset();
    return ask({.method = "GET", .path = "/openid/end-session", .form = form});
  };
  EXPECT_EQ(
      bring({{"id_token_hint", id_token}, {"post_logout_redirect_uri", "https://portal.example/"}, {"state", "s 1"}})
          .status,
      200);
  ASSERT_TRUE(login.logout);
  EXPECT_EQ(login.logout->return_url, "https://portal.example/?state=s%201");
  EXPECT_TRUE(login.logout->is_of("session-1"));
  EXPECT_FALSE(login.logout->is_of("session-2"));
  EXPECT_EQ(bring({{"id_token_hint", id_token}, {"post_logout_redirect_uri", "https://evil.example/"}}).status, 400);
  EXPECT_EQ(bring({{"id_token_hint", id_token}, {"client_id", "other"}}).status, 400);
  EXPECT_EQ(bring({{"post_logout_redirect_uri", "https://portal.example/"}}).status, 400);
  EXPECT_EQ(bring({{"id_token_hint", party.at("portal").sign("{}")}}).status, 400);
  EXPECT_EQ(bring({}).status, 200);

  const std::string held = token(code())["access_token"];
  end_session("session-1");
  EXPECT_EQ(userinfo(held, dpop_key).status, 401);
  std::vector<std::string> sent;
  int status = 503;
  LogoutSender sender(config, keys, *database, clock, metrics,
                      [&](const std::string& url, const std::string& form) -> Result<int> {
                        EXPECT_EQ(url, "https://portal.example/logged-out");
                        sent.push_back(form.substr(form.find('=') + 1));
                        return status;
                      });
  EXPECT_EQ(must(sender.send_due()), 0u);
  ASSERT_EQ(sent.size(), 1u) << "one notice for the portal, however many log-ins there were";
  EXPECT_EQ(must(sender.send_due()), 0u);
  EXPECT_EQ(sent.size(), 1u) << "not again before its time";
  clock.advance(std::chrono::minutes(1));
  status = 200;
  EXPECT_EQ(must(sender.send_due()), 1u);
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(must(sender.send_due()), 0u);
  ASSERT_EQ(sent.size(), 2u);
  const Json logout = claims_of_jwt(sent[1], "logout+jwt");
  EXPECT_EQ(logout["aud"], "portal");
  EXPECT_EQ(logout["jti"], claims_of_jwt(sent[0], "logout+jwt")["jti"]);
  EXPECT_EQ(logout["sid"], claims_of_jwt(id_token, "JWT")["sid"]);
  EXPECT_TRUE(logout["events"].contains("http://schemas.openid.net/event/backchannel-logout"));
  EXPECT_FALSE(logout.contains("nonce"));
  // A log-out token is no hint.
  EXPECT_EQ(bring({{"id_token_hint", sent[1]}}).status, 400);
}

TEST_F(OpenidTest, WhatIsOverIsDeleted) {
  for (int i = 0; i < 5; ++i) access();
  push();
  code();
  clock.advance(std::chrono::hours(13));
  SessionEnds ends(keys, clock, random);
  EXPECT_EQ(must(ends.sweep(*database, *writes)).ended, 1);
  EXPECT_GT(must(openid_store::purge(*database, *writes, clock.now(), 1000)), 15);
  for (const char* const table : {"openid_seen", "openid_requests", "openid_handles", "openid_grants", "sessions"}) {
    EXPECT_EQ(count(table), 0) << table;
  }
  EXPECT_EQ(count("openid_consents"), 1) << "the consent stands";
}

TEST_F(OpenidTest, ALogOutIsToldHoweverLongAfterTheLogIn) {
  const std::string short_one = access();
  clock.advance(std::chrono::hours(1));
  must(openid_store::purge(*database, *writes, clock.now(), 1000));
  EXPECT_EQ(userinfo(short_one, dpop_key).status, 401) << "the token has its own end";
  end_session("session-1");
  EXPECT_EQ(count("openid_logouts"), 1);
  EXPECT_EQ(count("openid_grants"), 0);
  // Nor does the session's end count that there was at the log-in: a step up makes it live longer.
  access();
  clock.advance(std::chrono::hours(11));
  authentication();
  clock.advance(std::chrono::hours(2));
  must(openid_store::purge(*database, *writes, clock.now(), 1000));
  end_all();
  EXPECT_EQ(count("openid_logouts"), 2);
}

TEST_F(OpenidTest, SessionsThatEndByThemselvesAreToldToo) {
  SessionEnds ends(keys, clock, random);
  const Fields off_line = {{"scope", "openid offline_access"}};
  const auto swept = [&] {
    clock.advance(std::chrono::seconds(1));
    return must(ends.sweep(*database, *writes)).ended;
  };
  // Its time is over: what is for use off line stays.
  token(code(off_line));
  access();
  EXPECT_EQ(swept(), 0) << "it lives";
  EXPECT_EQ(count("openid_logouts"), 0);
  clock.advance(std::chrono::hours(13));
  EXPECT_EQ(swept(), 1);
  EXPECT_EQ(swept(), 0);
  EXPECT_EQ(count("openid_logouts"), 1);
  EXPECT_EQ(count("openid_grants"), 1);
  // The card was suspended, by whomever, and even if it is released at once.
  const std::string refresh = token(code(off_line))["refresh_token"];
  clock.advance(std::chrono::seconds(1));
  set_card(CardState::suspended);
  set_card(CardState::active);
  EXPECT_EQ(swept(), 1);
  EXPECT_EQ(count("openid_logouts"), 2);
  EXPECT_EQ(token("", {{"grant_type", "refresh_token"}, {"refresh_token", refresh}}).error(), "invalid_grant");
  // Its certificate was put on hold.
  access();
  EXPECT_EQ(swept(), 0);
  must(database->execute("UPDATE sessions SET issuer = 'CN=Test', serial = $1", {as_bytes("1")}));
  must(database->execute(
      "INSERT INTO revocations (issuer, serial, reason, changed_at, changed_after, not_after, is_ca, by_card) VALUES "
      "('CN=Test', $1, 6, $2, 0, $2, 0, 0)",
      {as_bytes("1"), now()}));
  EXPECT_EQ(swept(), 1);
  EXPECT_EQ(count("openid_logouts"), 3);
  EXPECT_EQ(count("sessions"), 0);
}

TEST_F(OpenidTest, TheSweepFindsEverySessionAmongMany) {
  for (int i = 0; i < 250; ++i) authentication("session-" + std::to_string(1000 + i));
  SessionEnds ends(keys, clock, random);
  EXPECT_EQ(must(ends.sweep(*database, *writes)).ended, 0);
  clock.advance(std::chrono::seconds(1));
  set_card(CardState::suspended);
  std::int64_t ended = 0;
  bool more = true;
  for (int i = 0; i < 3; ++i) {
    const auto swept = must(ends.sweep(*database, *writes));
    EXPECT_EQ(swept.more, i < 2) << i;
    ended += swept.ended;
    more = swept.more;
  }
  EXPECT_EQ(ended, 250);
  EXPECT_FALSE(more);
}

TEST_F(OpenidTest, AnEndedSessionGivesNoCode) {
  authorize(push());
  const Authentication found = authentication();
  end_all();
  const auto given = room->provider().finish(login.interaction->id, found, clock.now() + std::chrono::days(1));
  ASSERT_FALSE(given);
  EXPECT_EQ(given.error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(count("openid_grants"), 0);
  EXPECT_EQ(count("openid_consents"), 0) << "nothing of it was written";
  authentication();
  must(database->execute("UPDATE sessions SET over_at = $1", {now()}));
  EXPECT_FALSE(room->provider().finish(login.interaction->id, found, clock.now() + std::chrono::days(1)));
}

TEST_F(OpenidTest, TheEndAndWhatHangsOnItAreOne) {
  access();
  EXPECT_FALSE(writes->write(*database, [&](service::Database& own) -> Status {
    TRY(own.execute("DELETE FROM sessions WHERE session_id = 'session-1'"));
    TRY(room->provider().end_session(own, "session-1", SessionEnd::over));
    return fail(ErrorKind::io, "the disk is full");
  }));
  EXPECT_EQ(count("openid_logouts"), 0);
  EXPECT_EQ(count("openid_grants"), 1);
  EXPECT_EQ(count("sessions"), 1);
}

TEST_F(OpenidTest, AKeyIsPublishedBeforeItSignsAndAfterItHas) {
  const auto kids = [&] {
    std::vector<std::string> out;
    const Json document = Json::parse(ask({.method = "GET", .path = "/openid/jwks"}).body);
    for (const Json& key : document["keys"]) {
      if (key["alg"] == "ES256") out.push_back(key["kid"]);
    }
    return out;
  };
  const auto kid_of = [&](const std::string& jwt) { return must(crypto::Jws::parse(jwt)).header().kid; };
  const std::string first = kids().at(0);
  const std::string old_token = token(code())["id_token"];
  auto fresh = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
  const auto der = std::make_shared<SecretBytes>(fresh.expose_secret_der());
  OpenidKeyConfig next;
  next.from = clock.now() + std::chrono::hours(1);
  must(keys->add(next, fresh.public_key(), [der]() -> Result<std::unique_ptr<crypto::Signer>> {
    return std::make_unique<crypto::SoftwareSigner>(TRY(crypto::PrivateKey::from_der(der->expose_secret())));
  }));
  EXPECT_EQ(kids().size(), 2u);
  EXPECT_EQ(kid_of(token(code())["id_token"]), first);
  clock.advance(std::chrono::hours(1));
  EXPECT_NE(kid_of(token(code())["id_token"]), first);
  EXPECT_EQ(kids().size(), 2u) << "what the old key signed can still be verified";
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/end-session", .form = {{"id_token_hint", old_token}}}).status, 200);
  clock.advance(std::chrono::days(2));
  EXPECT_EQ(kids().size(), 1u);
  EXPECT_NE(kids().at(0), first);
}

TEST_F(OpenidTest, ALogOutHintOfAKeyThatIsGoneIsAsIfThereWereNone) {
  const std::string id_token = token(code())["id_token"];
  // The same provider with another signing key alone.
  auto fresh = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
  const auto der = std::make_shared<SecretBytes>(fresh.expose_secret_der());
  keys = std::make_shared<OpenidKeys>();
  must(keys->set_secret(SecretBytes::copy_of(std::string_view("0123456789abcdef0123456789abcdef"))));
  must(keys->add(OpenidKeyConfig{}, fresh.public_key(), [der]() -> Result<std::unique_ptr<crypto::Signer>> {
    return std::make_unique<crypto::SoftwareSigner>(TRY(crypto::PrivateKey::from_der(der->expose_secret())));
  }));
  room = must(OpenidRoom::open(config, keys, RoomSurroundings{clock, random, metrics, *registry, *database, *writes}));
  routes = room->routes(&login, false);
  const auto bring = [&](const Fields& more) {
    Fields form = {{"id_token_hint", id_token}};
    form.insert(form.end(), more.begin(), more.end());
    login.logout.reset();
    return ask({.method = "GET", .path = "/openid/end-session", .form = form}).status;
  };
  const std::pair<std::string, std::string> back{"post_logout_redirect_uri", "https://portal.example/"};
  EXPECT_EQ(bring({back}), 200);
  ASSERT_TRUE(login.logout);
  EXPECT_FALSE(login.logout->is_of) << "the citizen is asked";
  EXPECT_FALSE(login.logout->client);
  EXPECT_EQ(login.logout->return_url, "") << "whose address it is nobody has proved";
  EXPECT_EQ(bring({back, {"client_id", "portal"}}), 200);
  ASSERT_TRUE(login.logout);
  EXPECT_FALSE(login.logout->is_of);
  EXPECT_EQ(login.logout->return_url, "https://portal.example/");
  EXPECT_EQ(bring({{"post_logout_redirect_uri", "https://evil.example/"}, {"client_id", "portal"}}), 400);
  EXPECT_EQ(bring({back, {"client_id", "other"}}), 400);
  // Log-in: a hint is a promise about who will come back, and cannot be kept.
  EXPECT_EQ(push_told({{"id_token_hint", id_token}}).error(), "invalid_request");
  // What names a key we have is signed by it.
  std::string forged = token(code())["id_token"];
  forged[forged.size() - 8] = forged[forged.size() - 8] == 'A' ? 'B' : 'A';
  login.logout.reset();
  EXPECT_EQ(ask({.method = "GET", .path = "/openid/end-session", .form = {{"id_token_hint", forged}}}).status, 400);
  EXPECT_FALSE(login.logout);
}

}  // namespace
}  // namespace karta::identity
