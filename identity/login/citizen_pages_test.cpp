// The citizen's own page, as a browser meets it behind a log-in.
#include "identity/login/login_pages_testing.h"
#include "identity/pages/html.h"
#include "identity/requests/departments.h"
#include "identity/requests/request_ledger.h"

namespace karta::identity {
namespace {

using service::HttpResponse;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

class CitizenPagesTest : public LoginPagesTest {};

TEST_F(CitizenPagesTest, WantsALogIn) {
  for (const char* const path : {"/me", "/me/card?id=1", "/me/sessions", "/me/requests", "/me/consents"}) {
    EXPECT_EQ(location_of(browser.get(path)), "/login?back=" + encode_percent(path));
  }
}

TEST_F(CitizenPagesTest, ShowsTheOwnCardsAndTheirCertificates) {
  const CitizenId other = must(world.registry.add_citizen(sample_citizen(2), kCause));
  const TestCard others = world.make_card(other);
  log_in(browser, world.card);
  const std::string cards = text_of(browser.get("/me"));
  EXPECT_THAT(cards, HasSubstr(world.card.card.serial));
  EXPECT_THAT(cards, HasSubstr("/me/suspend?id=" + format_id(world.card.card.id)));
  EXPECT_THAT(cards, Not(HasSubstr(others.card.serial)));
  const std::string card = text_of(browser.get("/me/card?id=" + format_id(world.card.card.id)));
  EXPECT_THAT(card, HasSubstr(to_hex(world.card.certificate.serial())));
  EXPECT_THAT(card, HasSubstr("logging in"));
}

TEST_F(CitizenPagesTest, AnothersCardIsNotThere) {
  const CitizenId other = must(world.registry.add_citizen(sample_citizen(2), kCause));
  const TestCard others = world.make_card(other);
  log_in(browser, world.card);
  const std::string csrf = hidden_value(text_of(browser.get("/me/sessions")), "csrf");
  for (const std::string& id : {format_id(others.card.id), std::string("0000000000000001"), std::string("x")}) {
    EXPECT_EQ(browser.get("/me/card?id=" + id).status, 404);
    EXPECT_EQ(browser.get("/me/suspend?id=" + id).status, 404);
    EXPECT_EQ(browser.post("/me/suspend", {{"csrf", csrf}, {"id", id}}).status, 404);
  }
  EXPECT_EQ(must(world.registry.card(others.card.id)).state, CardState::active);
  EXPECT_THAT(must(world.registry.access_log(other)), IsEmpty());
}

TEST_F(CitizenPagesTest, ALostCardIsSuspendedByCodeAndEndsItsSessions) {
  TestBrowser with_card(world);
  log_in(with_card, world.card);
  log_in_by_code(browser);
  world.clock.advance(std::chrono::seconds(5));
  const std::string id = format_id(world.card.card.id);
  const std::string page = text_of(browser.get("/me/suspend?id=" + id));
  EXPECT_THAT(page, HasSubstr("Suspend this card?"));
  const HttpResponse done = browser.post("/me/suspend", {{"csrf", hidden_value(page, "csrf")}, {"id", id}});
  EXPECT_EQ(done.status, 200) << text_of(done);
  EXPECT_EQ(must(world.registry.card(world.card.card.id)).state, CardState::suspended);
  EXPECT_EQ(with_card.get("/me").status, 303) << "its session is over";
  EXPECT_EQ(browser.get("/me").status, 200) << "that of the code is not";
  EXPECT_THAT(world.provider.ended_sessions, SizeIs(1));
  EXPECT_EQ(browser.post("/me/suspend", {{"csrf", hidden_value(page, "csrf")}, {"id", id}}).status, 409);
  EXPECT_EQ(browser.get("/me/suspend?id=" + id).status, 409);
  // Releasing it brings the session of before not back.
  must(world.registry.change_card_state(world.card.card.id, CardState::active, kCause));
  EXPECT_EQ(with_card.get("/me").status, 303);
}

TEST_F(CitizenPagesTest, ACardPastItsEndReadsExpiredAndIsNotSuspended) {
  const std::string id = format_id(world.card.card.id);
  world.clock.advance(*world.card.card.valid_until - world.clock.now() - std::chrono::seconds(1));
  log_in_by_code(browser);
  EXPECT_THAT(text_of(browser.get("/me")), HasSubstr("/me/suspend?id=" + id));
  const std::string form = text_of(browser.get("/me/suspend?id=" + id));
  world.clock.advance(std::chrono::seconds(1));
  const std::string page = text_of(browser.get("/me"));
  EXPECT_THAT(page, HasSubstr("<span class=\"badge bad\">expired</span>"));
  EXPECT_THAT(page, Not(HasSubstr("/me/suspend")));
  EXPECT_EQ(browser.get("/me/suspend?id=" + id).status, 409);
  EXPECT_EQ(browser.post("/me/suspend", {{"csrf", hidden_value(form, "csrf")}, {"id", id}}).status, 409);
  EXPECT_EQ(must(world.registry.card(world.card.card.id)).state, CardState::active);
}

TEST_F(CitizenPagesTest, DepartmentsAreNamedByTheirTitlesWithWhatTheyAsked) {
  DepartmentLedger departments(world.registry);
  must(departments.add("pension-fund",
                       {.title = "Pension fund", .title_ru = "Пенсионный фонд", .certificates = {world.ca}}, kCause));
  must(departments.add("tax", {.title = "Tax <service>", .certificates = {world.card.certificate}}, kCause));
  RequestLedger requests(world.registry);
  const Purpose purpose{"department:pension-fund", "reckon a pension", "12-7", "Act 7, article 3"};
  RequestState state;
  state.id = std::string(32, '1');
  state.citizen = world.citizen;
  state.from = "pension-fund";
  state.to = "tax";
  state.subjects = {"insurance", "income"};
  state.hash = Bytes(32, 1);
  state.received = world.clock.now();
  state.deadline = world.clock.now() + std::chrono::hours(24);
  must(requests.keep(state, purpose, Bytes{1}, Bytes{2}, std::nullopt));
  must(requests.keep_answer(state.id, "department:tax", {{3}, {4}, world.clock.now()}));
  must(requests.hand_out(state.id, RequestPart::answer, "department:pension-fund"));
  must(requests.look_up(world.citizen, {"card-status"}, purpose));
  must(world.registry.read_citizen(world.citizen, {"department:gone", "x", "y"}));
  log_in(browser, world.card);
  const std::string page = text_of(browser.get("/me/requests"));
  for (const char* const words :
       {"Pension fund (department)", "Tax &lt;service&gt; (department)", "gone (department)", "Act 7, article 3",
        "asked Tax &lt;service&gt;: number and insurer of the compulsory medical insurance; income",
        "answered Pension fund: number", "received the answer: number",
        "looked up in the registry: the citizen&#39;s cards"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
  for (const char* const raw : {"department:", "pension-fund", "looked up: ", "took the"}) {
    EXPECT_THAT(page, Not(HasSubstr(raw)));
  }
  browser.language = "ru";
  const std::string russian = text_of(browser.get("/me/requests"));
  for (const char* const words : {"Пенсионный фонд (ведомство)", "Tax &lt;service&gt; (ведомство)",
                                  "запрос («Tax &lt;service&gt;»): номер полиса ОМС", "получен ответ: номер полиса"}) {
    EXPECT_THAT(russian, HasSubstr(words));
  }
}

TEST_F(CitizenPagesTest, AnAccountsSessionsEndWithIt) {
  TestBrowser with_card(world);
  log_in(with_card, world.card);
  log_in_by_code(browser);
  Accounts accounts(world.database, world.keys->secret, world.clock, world.random);
  EXPECT_TRUE(must(accounts.remove(world.citizen, {"operator:1", "the telephone was stolen"})));
  EXPECT_EQ(browser.get("/me").status, 303);
  EXPECT_EQ(with_card.get("/me").status, 200);
  const auto events = must(world.registry.events_of(world.citizen, 2));
  EXPECT_EQ(events[0].kind, "account-removed");
  EXPECT_EQ(events[1].kind, "account-enrolled");
}

TEST_F(CitizenPagesTest, ACodeDoesNotShowWhoAsked) {
  log_in_by_code(browser);
  for (const std::string& path :
       {std::string("/me/requests"), std::string("/me/consents"), "/me/card?id=" + format_id(world.card.card.id)}) {
    const HttpResponse page = browser.get(path);
    EXPECT_EQ(page.status, 403) << path;
    EXPECT_THAT(text_of(page), HasSubstr("/login?acr=substantial&amp;back="));
  }
  // And the way up leads back to where it was wanted.
  const HttpResponse ways = browser.get("/login?acr=substantial&back=%2Fme%2Frequests");
  EXPECT_THAT(text_of(ways), Not(HasSubstr("/login/name")));
  EXPECT_EQ(location_of(answer(browser, to_agent(browser, ways), world.card)), "/me/requests");
  EXPECT_EQ(browser.get("/me/requests").status, 200);
}

TEST_F(CitizenPagesTest, ListsWhoAskedInTotalsAndPages) {
  for (int i = 0; i < 30; ++i) {
    must(world.registry.read_citizen(world.citizen, {"client:portal", "a visit", "case " + std::to_string(i)}));
  }
  must(world.registry.read_citizen(world.citizen, {.actor = "department:tax",
                                                   .purpose = "an inquiry",
                                                   .case_id = "secret case",
                                                   .legal_basis = "a law",
                                                   .disclose_at = world.clock.now() + std::chrono::days(30)}));
  log_in(browser, world.card);
  Grant grant;
  grant.client_id = "portal";
  grant.client_name = {"The portal", "Портал"};
  world.provider.grants = {grant};
  const std::string first = text_of(browser.get("/me/requests"));
  EXPECT_THAT(first, HasSubstr("The portal (portal)"));
  EXPECT_THAT(first, HasSubstr("<td class=\"number\">30</td>"));
  EXPECT_THAT(first, HasSubstr("case 29"));
  EXPECT_THAT(first, Not(HasSubstr("case 4<")));
  EXPECT_THAT(first, Not(HasSubstr("secret case"))) << "the citizen is told later";
  const std::string second = text_of(browser.get("/me/requests?skip=25"));
  EXPECT_THAT(second, HasSubstr("case 4<"));
  EXPECT_THAT(second, Not(HasSubstr("In all")));
  EXPECT_THAT(first, HasSubstr("/me/requests?skip=25\""));
  for (const std::string& bad : std::vector<std::string>{"0", "-1", "x", "1x", "99999999999999999999"}) {
    EXPECT_EQ(browser.get("/me/requests?skip=" + bad).status, 403) << bad;
  }
  world.clock.advance(std::chrono::days(31));
  log_in(browser, world.card);
  EXPECT_THAT(text_of(browser.get("/me/requests")), HasSubstr("secret case"));
}

TEST_F(CitizenPagesTest, ConsentsAreTakenBack) {
  log_in(browser, world.card);
  Grant grant;
  grant.client_id = "portal";
  grant.client_name = {"The portal", "Портал"};
  grant.client_origin = "https://portal.example";
  grant.claims = {"birthdate"};
  world.provider.grants = {grant};
  const std::string page = text_of(browser.get("/me/consents"));
  EXPECT_THAT(page, HasSubstr("date of birth"));
  EXPECT_EQ(
      location_of(browser.post("/me/consents/revoke", {{"csrf", hidden_value(page, "csrf")}, {"client", "portal"}})),
      "/me/consents");
  EXPECT_THAT(world.provider.revoked, ElementsAre("portal"));
}

TEST_F(CitizenPagesTest, LogsOutOneOrEverywhere) {
  TestBrowser elsewhere(world);
  log_in(elsewhere, world.card);
  log_in(browser, world.card);
  const std::string page = text_of(browser.get("/me/sessions"));
  EXPECT_THAT(page, HasSubstr("this one"));
  EXPECT_THAT(page, HasSubstr("192.0.2.1"));
  const std::string csrf = hidden_value(page, "csrf");
  world.clock.advance(std::chrono::minutes(2));
  EXPECT_EQ(elsewhere.get("/me").status, 200);  // used last: the first of the list
  const auto all = must(Sessions(world.around).list(world.citizen));
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(location_of(browser.post("/me/sessions/end", {{"csrf", csrf}, {"id", all[0].id}})), "/me/sessions");
  EXPECT_EQ(elsewhere.get("/me").status, 303);
  EXPECT_THAT(world.provider.ended_sessions, ElementsAre(all[0].id));
  log_in(elsewhere, world.card);
  world.provider.fails = true;
  EXPECT_EQ(browser.post("/me/sessions/end-all", {{"csrf", csrf}}).status, 503);
  EXPECT_EQ(browser.post("/me/sessions/end", {{"csrf", csrf}, {"id", all[1].id}}).status, 503);
  EXPECT_EQ(elsewhere.get("/me").status, 200) << "all or nothing";
  EXPECT_EQ(browser.get("/me").status, 200);
  world.provider.fails = false;
  EXPECT_EQ(browser.post("/me/sessions/end-all", {{"csrf", csrf}}).status, 303);
  EXPECT_THAT(world.provider.ended_all, ElementsAre(world.citizen));
  EXPECT_EQ(elsewhere.get("/me").status, 303);
  EXPECT_EQ(browser.get("/me").status, 303);
}

}  // namespace
}  // namespace karta::identity
