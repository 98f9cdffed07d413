// The operator's console over its routes in process: who may come in, that nothing is shown without a purpose, what
// steps there are and what they leave behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "crypto/digest.h"
#include "crypto/testing.h"
#include "identity/certificate_ledger.h"
#include "identity/console/chart.h"
#include "identity/console/console_routes.h"
#include "identity/console/operator_acts.h"
#include "identity/daily_counts.h"
#include "identity/pages/page.h"
#include "identity/registry_testing.h"
#include "identity/requests/departments.h"
#include "identity/requests/request_ledger.h"
#include "identity/terminals.h"
#include "service/log.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kOrigin = "https://id.example";
constexpr const char* kPurpose = "purpose=lost+card&case=visit+7";

class Console : public RegistryFixture {
 protected:
  void SetUp() override {
    RegistryFixture::SetUp();
    service::set_up_log({.level = service::LogLevel::error});
    clock_ = FixedClock(crypto::testing::test_time());
    registry_.emplace(create());
    database_.emplace(must(service::Database::open(url())));
    writes_ = must(service::GroupCommit::open(url()));
    around_.emplace(RoomSurroundings{clock_, random_, metrics_, *registry_, *database_, *writes_});
    operator_ = must(registry_->add_citizen(made_up_citizen(100, "Операторова"), cause_));
    citizen_ = must(registry_->add_citizen(made_up_citizen(1), cause_));
    const CardId first = must(registry_->order_card({.citizen = citizen_, .profile = "citizen"}, cause_)).id;
    card_ = must(registry_->produce_card(first, "0102030405", clock_.now() + std::chrono::hours(24 * 900), cause_));
    card_ = must(registry_->change_card_state(card_.id, CardState::active, cause_));
    config_.operators.push_back({"registrar", operator_, "", 0x3F});
    open_routes();
  }
  void open_routes() {
    routes_ =
        must(open_console_routes(config_, url(),
                                 {.address = kOrigin,
                                  .log_in_address = kOrigin,
                                  .ending = [this](service::Database&, std::string_view id, SessionEnd) -> Status {
                                    ended_.emplace_back(id);
                                    return {};
                                  }},
                                 *around_));
  }

  /// A log-in as the ways in make one; leaves the cookie and the form token.
  void log_in(CitizenId who, const std::string& acr = "high") {
    Sessions sessions(*around_);
    service::HttpRequest plain;
    plain.path = "/login";
    const OpenedSession opened = must(sessions.begin(plain, {.citizen = who, .acr = acr, .amr = {"pin"}}));
    const std::string_view field = opened.fields;
    const std::size_t from = field.find("__Host-karta-session");
    cookie_ = field.substr(from, field.find(';', from) - from);
    csrf_ = opened.session.csrf;
  }
  service::HttpResponse ask(service::HttpMethod method, const std::string& target, const std::string& body = {},
                            const std::string& origin = kOrigin) {
    service::HttpRequest wire;
    wire.method = method;
    const std::size_t mark = target.find('?');
    wire.path = std::string_view(target).substr(0, mark);
    if (mark != std::string::npos) wire.query = std::string_view(target).substr(mark + 1);
    if (!cookie_.empty()) wire.fields.push_back({"Cookie", cookie_});
    if (!body.empty()) wire.fields.push_back({"Content-Type", "application/x-www-form-urlencoded"});
    if (!origin.empty()) wire.fields.push_back({"Origin", origin});
    wire.body = as_bytes(body);
    wire.peer = "192.0.2.1";
    wire.client_certificate = shown_;
    return routes_->answer(wire);
  }
  service::HttpResponse get(const std::string& target) { return ask(service::HttpMethod::get, target); }
  service::HttpResponse post(const std::string& target, const std::string& body) {
    return ask(service::HttpMethod::post, target, body + "&csrf=" + csrf_);
  }
  static std::string text(const service::HttpResponse& response) { return std::string(as_text(response.content())); }
  std::string at_card() const { return "/console/cards/" + format_id(card_.id); }
  CardState state() { return must(registry_->card(card_.id)).state; }
  std::vector<std::string> acts() {
    std::vector<std::string> out;
    for (const OperatorAct& one : must(OperatorActs(*registry_).list())) {
      out.push_back(one.name + " " + one.kind + " " + one.subject + " " + one.detail + " " + one.reason);
    }
    return out;
  }

  /// A request as the server keeps one; `answered` at once, in the second it came.
  std::string keep(int number, const std::string& from, const std::string& to, std::chrono::hours deadline,
                   bool answered = false, CitizenId about = CitizenId{-1}, std::optional<Time> disclose_at = {}) {
    RequestState state;
    std::string id = std::to_string(number);
    state.id = std::string(32 - id.size(), '0') + id;
    state.citizen = about == CitizenId{-1} ? citizen_ : about;
    state.from = from;
    state.to = to;
    state.subjects = {"insurance", "income"};
    state.hash = Bytes(32, 7);
    state.received = clock_.now();
    state.deadline = clock_.now() + deadline;
    Purpose purpose{"department:" + from, "reckon a pension", "12-7", "Act 7, article 3"};
    purpose.disclose_at = disclose_at;
    std::optional<AnswerDocuments> answer;
    if (answered)
      answer = AnswerDocuments{to_bytes(as_bytes("answer")), to_bytes(as_bytes("its receipt")), state.received};
    if (answered) state.answered = state.received;
    const Status kept =
        RequestLedger(*registry_).keep(state, purpose, as_bytes("request"), as_bytes("a receipt"), answer);
    EXPECT_TRUE(kept) << kept.error().message;
    return state.id;
  }
  /// The requests a page lists, in its order.
  static std::vector<std::string> listed(const std::string& page) {
    constexpr std::string_view kMark = "href=\"/console/requests/";
    std::vector<std::string> out;
    for (std::size_t at = page.find(kMark); at != std::string::npos; at = page.find(kMark, at + 1)) {
      out.push_back(page.substr(at + kMark.size(), 32));
    }
    return out;
  }
  /// Where "Go on" leads; empty: nothing follows.
  static std::string next_of(const std::string& page) {
    const std::size_t at = page.find("href=\"/console/requests?");
    if (at == std::string::npos) return {};
    std::string out = page.substr(at + 6, page.find('"', at + 6) - at - 6);
    for (std::size_t amp = out.find("&amp;"); amp != std::string::npos; amp = out.find("&amp;"))
      out.replace(amp, 5, "&");
    return out;
  }

  service::Metrics metrics_;
  ConsoleConfig config_;
  std::optional<Registry> registry_;
  std::optional<service::Database> database_;
  std::shared_ptr<service::GroupCommit> writes_;
  std::optional<RoomSurroundings> around_;
  CitizenId operator_{}, citizen_{};
  Card card_;
  std::unique_ptr<RoomRoutes> routes_;
  std::string cookie_, csrf_;
  Bytes shown_;
  std::vector<std::string> ended_;  // log-ins the provider was told of
};

TEST_F(Console, OnlyOperatorsWithCardAndPinComeIn) {
  const auto nobody = get("/console/find");
  EXPECT_EQ(nobody.status, 303);
  EXPECT_THAT(nobody.fields, HasSubstr("Location: https://id.example/login?acr=high&back=%2Fconsole%2Ffind"));
  log_in(operator_, "substantial");
  EXPECT_EQ(get("/console").status, 303) << "asked for more";
  log_in(citizen_);
  EXPECT_EQ(get("/console").status, 403);
  EXPECT_THAT(text(get("/console")), Not(HasSubstr("/console/find\"")));
  log_in(operator_);
  const auto in = get("/console");
  EXPECT_EQ(in.status, 200);
  EXPECT_THAT(text(in), HasSubstr("registrar"));
  for (const char* const section : {"find", "terminals", "numbers", "requests", "acts"}) {
    EXPECT_EQ(get(std::string("/console/") + section).status, 200) << section;
  }
  for (const char* const nothing : {"/console/x", "/console/find/x", "/console/citizens/1", "/console/cards/x/step",
                                    "/console/cards/"
                                    "0000000000000001/x",
                                    "/console/terminals/none"}) {
    EXPECT_EQ(get(nothing).status, 404) << nothing;
  }
  EXPECT_EQ(ask(service::HttpMethod::put, "/console").status, 405);
}

TEST_F(Console, AScopeIsNeededForEach) {
  struct Row {
    ConsoleScope scope;
    std::string target;
  };
  const Row rows[] = {{ConsoleScope::find, "/console/find"},           {ConsoleScope::find, at_card() + "?" + kPurpose},
                      {ConsoleScope::terminals, "/console/terminals"}, {ConsoleScope::counters, "/console/numbers"},
                      {ConsoleScope::requests, "/console/requests"},   {ConsoleScope::acts, "/console/acts"}};
  log_in(operator_);
  for (const Row& row : rows) {
    config_.operators.front().scopes = 0x3F & ~(1u << static_cast<unsigned>(row.scope));
    open_routes();
    const auto refused = get(row.target);
    EXPECT_EQ(refused.status, 403) << row.target;
    EXPECT_THAT(text(refused), HasSubstr("You have no right to this")) << row.target;
  }
  config_.operators.front().scopes = 0x3F & ~(1u << static_cast<unsigned>(ConsoleScope::card_life));
  open_routes();
  EXPECT_THAT(text(get(at_card() + "?" + kPurpose)), Not(HasSubstr("/step")));
  EXPECT_EQ(get(at_card() + "/step?to=suspended&" + kPurpose).status, 403);
  EXPECT_EQ(post(at_card() + "/step", std::string("to=suspended&from=active&why=lost&") + kPurpose).status, 403);
  EXPECT_EQ(state(), CardState::active);
}

TEST_F(Console, NothingIsShownWithoutAPurposeAndWhatIsShownIsLogged) {
  log_in(operator_);
  const std::string citizen = "/console/citizens/" + format_id(citizen_);
  for (const std::string& target : {citizen, citizen + "?purpose=x", citizen + "?purpose=+&case=y", at_card()}) {
    const auto asked = get(target);
    EXPECT_EQ(asked.status, 400) << target;
    EXPECT_THAT(text(asked), Not(HasSubstr("Образцов"))) << target;
    EXPECT_THAT(text(asked), Not(HasSubstr("0102030405"))) << target;
  }
  EXPECT_TRUE(must(registry_->access_log(citizen_)).empty());
  const auto shown = get(citizen + "?" + kPurpose);
  ASSERT_EQ(shown.status, 200);
  EXPECT_THAT(text(shown), HasSubstr("Образцов"));
  EXPECT_THAT(text(shown), HasSubstr("0102030405"));
  const auto log = must(registry_->access_log(citizen_));
  ASSERT_EQ(log.size(), 1u);
  EXPECT_EQ(log[0].purpose.actor, "operator:registrar");
  EXPECT_EQ(log[0].purpose.purpose, "lost card");
  EXPECT_EQ(log[0].purpose.case_id, "visit 7");
  EXPECT_THAT(acts(), Contains(HasSubstr("registrar citizen " + format_id(citizen_))));
  EXPECT_EQ(get(at_card() + "?" + kPurpose).status, 200);
  EXPECT_EQ(must(registry_->access_log(citizen_)).size(), 2u);
}

TEST_F(Console, FindsByNameNumberAndCard) {
  log_in(operator_);
  const std::string purpose = std::string("&") + kPurpose;
  const auto by_name = post("/console/find", "by=name&what=%D0%BE%D0%B1%D1%80%D0%B0%D0%B7" + purpose);
  EXPECT_EQ(by_name.status, 200);
  EXPECT_THAT(text(by_name), HasSubstr("/console/citizens/" + format_id(citizen_)));
  EXPECT_EQ(must(registry_->access_log(citizen_)).size(), 1u) << "being listed is logged";
  const auto by_snils = post("/console/find", "by=snils&what=" + made_up_citizen(1).snils.digits() + purpose);
  EXPECT_EQ(by_snils.status, 303);
  EXPECT_THAT(by_snils.fields, HasSubstr("/console/citizens/" + format_id(citizen_) + "?purpose=lost%20card"));
  for (const std::string& what : {std::string("0102030405"), std::to_string(card_.status_index), format_id(card_.id)}) {
    EXPECT_THAT(post("/console/find", "by=card&what=" + what + purpose).fields, HasSubstr(at_card())) << what;
  }
  struct Row {
    std::string body, says;
  };
  for (const Row& row :
       {Row{"by=name&what=zz" + purpose, "Nobody"}, Row{"by=snils&what=12" + purpose, "notice bad"},
        Row{"by=card&what=ffff" + purpose, "no card"}, Row{"by=name&what=%D0%BE%D0%B1%D1%80", "what for"},
        Row{"by=name&what=x" + purpose, "letters"}}) {
    const auto answer = post("/console/find", row.body);
    EXPECT_NE(answer.status, 303) << row.body;
    EXPECT_THAT(text(answer), HasSubstr(row.says)) << row.body;
  }
  // What was typed is written back as text, never as markup.
  EXPECT_THAT(text(post("/console/find", "by=card&what=%22%3E%3Cscript%3E" + purpose)), Not(HasSubstr("<script>")));
  EXPECT_THAT(acts(), Not(Contains(HasSubstr("обр"))));
}

TEST_F(Console, AStepIsConfirmedHasAReasonAndIsWrittenDown) {
  log_in(operator_);
  const auto card = get(at_card() + "?" + kPurpose);
  for (const char* const to : {"suspended", "revoked", "expired", "replaced"}) {
    EXPECT_THAT(text(card), HasSubstr(std::string("&amp;to=") + to)) << to;
  }
  for (const char* const to : {"&amp;to=active", "&amp;to=produced", "&amp;to=shipped"}) {
    EXPECT_THAT(text(card), Not(HasSubstr(to)));
  }
  const auto asked = get(at_card() + "/step?to=suspended&" + kPurpose);
  EXPECT_EQ(asked.status, 200);
  EXPECT_THAT(text(asked), HasSubstr("name=\"why\""));
  EXPECT_EQ(state(), CardState::active) << "asking changes nothing";
  const std::string step = std::string("to=suspended&from=active&") + kPurpose;
  service::HttpRequest elsewhere;
  Sessions sessions(*around_);
  const Session theirs =
      must(sessions.begin(elsewhere, {.citizen = citizen_, .acr = "high", .amr = {"pin"}, .card = card_.id})).session;
  EXPECT_EQ(post(at_card() + "/step", step + "&why=+").status, 400);
  EXPECT_EQ(state(), CardState::active);
  const auto done = post(at_card() + "/step", step + "&why=left+in+a+tram");
  EXPECT_EQ(done.status, 303);
  EXPECT_EQ(state(), CardState::suspended);
  EXPECT_EQ(ended_, std::vector<std::string>{theirs.id});
  EXPECT_TRUE(must(sessions.list(citizen_)).empty());
  EXPECT_THAT(acts(), Contains("registrar card-step " + format_id(card_.id) + " active to suspended left in a tram"));
  const Event event = must(registry_->events_of(citizen_)).front();
  EXPECT_EQ(event.actor, "operator:registrar");
  EXPECT_EQ(event.reason, "left in a tram");
  // The same form again: the card is no longer where it was confirmed from.
  EXPECT_EQ(post(at_card() + "/step", step + "&why=again").status, 409);
  EXPECT_EQ(post(at_card() + "/step", std::string("to=produced&from=suspended&why=x&") + kPurpose).status, 400);
  EXPECT_EQ(
      post(at_card() + "/step", std::string("to=revoked&from=suspended&why=x&reason=keyCompromise&") + kPurpose).status,
      303);
  const Card after = must(registry_->card(card_.id));
  EXPECT_EQ(after.state, CardState::revoked);
  EXPECT_EQ(after.revocation_reason, RevocationReason::key_compromise);
  EXPECT_THAT(text(get(at_card() + "?" + kPurpose)), HasSubstr("nothing follows"));
}

TEST_F(Console, WhatTellsOfACitizenOrACardIsInTheCitizensLog) {
  log_in(operator_);
  const auto looks = [&] {
    std::string out;
    for (const AccessEntry& one : must(registry_->access_log(citizen_))) out += one.what + " ";
    return out;
  };
  const std::string purpose = std::string("&") + kPurpose;
  EXPECT_EQ(post("/console/find", "by=snils&what=" + made_up_citizen(1).snils.digits() + purpose).status, 303);
  EXPECT_EQ(looks(), "number-search ");
  std::string expected = looks();
  for (const std::string& what : {std::string("0102030405"), std::to_string(card_.status_index), format_id(card_.id)}) {
    EXPECT_EQ(post("/console/find", "by=card&what=" + what + purpose).status, 303) << what;
    expected = "card " + expected;
    EXPECT_EQ(looks(), expected) << what;
  }
  const std::size_t before = acts().size();
  EXPECT_THAT(text(get(at_card() + "/step?to=suspended" + purpose)), HasSubstr("0102030405"));
  expected = "card " + expected;
  EXPECT_EQ(looks(), expected);
  EXPECT_EQ(acts().size(), before + 1);
  EXPECT_EQ(get(at_card() + "/step?to=active" + purpose).status, 409) << "tells the state, too";
  expected = "card " + expected;
  EXPECT_EQ(looks(), expected);
  EXPECT_EQ(post(at_card() + "/step", "to=active&from=suspended&why=x" + purpose).status, 409);
  EXPECT_EQ(looks(), "card " + expected);
  EXPECT_EQ(acts().size(), before + 3);
}

TEST_F(Console, AStepAndItsActAreBothThereOrNeither) {
  OperatorActs acts_of(*registry_);
  const Cause cause{"operator:registrar", "lost"};
  const OperatorAct act{0, {}, "registrar", "card-step", format_id(card_.id), "a step", "lost"};
  const auto step = [&](CardState from, CardState to) {
    return acts_of.step_card(card_.id, from, to, RevocationReason::unspecified, cause, act);
  };
  // Somebody else was there between the page and the step.
  must(registry_->change_card_state(card_.id, CardState::suspended, cause_));
  EXPECT_FALSE(must(step(CardState::active, CardState::revoked)));
  EXPECT_EQ(state(), CardState::suspended);
  EXPECT_TRUE(acts().empty());
  // No such step: what was written of it is taken back.
  EXPECT_EQ(step(CardState::suspended, CardState::shipped).error().kind, ErrorKind::not_permitted);
  EXPECT_TRUE(acts().empty());
  EXPECT_EQ(must(step(CardState::suspended, CardState::revoked)).value().state, CardState::revoked);
  EXPECT_EQ(acts().size(), 1u);
}

TEST_F(Console, AFormOfAnotherSiteOrLogInDoesNothing) {
  log_in(operator_);
  const std::string step = std::string("to=suspended&from=active&why=x&") + kPurpose;
  const auto put = [&](const std::string& body, const std::string& origin) {
    return ask(service::HttpMethod::post, at_card() + "/step", body, origin).status;
  };
  EXPECT_EQ(put(step, kOrigin), 403) << "no token";
  EXPECT_EQ(put(step + "&csrf=AAAA", kOrigin), 403);
  EXPECT_EQ(put(step + "&csrf=" + csrf_, "https://evil.example"), 403);
  EXPECT_EQ(put(step + "&csrf=" + csrf_, ""), 403);
  const std::string before = csrf_;
  log_in(operator_);
  EXPECT_EQ(put(step + "&csrf=" + before, kOrigin), 403) << "of another log-in";
  EXPECT_EQ(state(), CardState::active);
  EXPECT_EQ(put(step + "&csrf=" + csrf_, kOrigin), 303);
}

TEST_F(Console, ACertificateLetsAnOperatorInUntilItIsRevoked) {
  crypto::testing::TestCentre centre;
  const crypto::Certificate& certificate = centre.citizen_certificate;
  config_.operators.push_back({"machine-room", {}, to_hex(certificate.fingerprint()), 0x3F});
  open_routes();
  shown_ = certificate.der();
  const auto in = get("/console");
  EXPECT_EQ(in.status, 200);
  EXPECT_THAT(text(in), HasSubstr("machine-room"));
  ASSERT_THAT(in.fields, HasSubstr("Set-Cookie: __Host-karta-console="));
  // A certificate goes with the requests of every site: without the cookie's token nothing is done.
  const std::string step = std::string("to=suspended&from=active&why=x&") + kPurpose;
  EXPECT_EQ(post(at_card() + "/step", step).status, 403);
  const std::size_t from = in.fields.find("__Host-karta-console=");
  cookie_ = in.fields.substr(from, in.fields.find(';', from) - from);
  csrf_ = csrf_of(cookie_.substr(cookie_.find('=') + 1));
  EXPECT_EQ(post(at_card() + "/step", step).status, 303);
  EXPECT_EQ(state(), CardState::suspended);
  const auto ledger = must(open_certificate_ledger(url(), certificate.issuer().to_text(), cause_, clock_));
  must(ledger->add(certificate, "operator"));
  must(ledger->revoke(certificate.serial(), crypto::CrlReason::key_compromise));
  EXPECT_EQ(get("/console").status, 403);
  shown_ = centre.ca.der();
  EXPECT_EQ(get("/console").status, 303) << "nobody's certificate: log in";
}

TEST_F(Console, ATerminalIsRevokedForAReason) {
  TerminalLedger terminals(open());
  must(terminals.invite("clinic-1", "clinic", "XXCL", std::chrono::hours(24), cause_));
  log_in(operator_);
  EXPECT_THAT(text(get("/console/terminals")), HasSubstr("clinic-1"));
  EXPECT_EQ(get("/console/terminals/clinic-1").status, 200);
  EXPECT_EQ(get("/console/terminals/clinic-1/revoke").status, 200);
  EXPECT_EQ(must(terminals.find("clinic-1")).state, TerminalState::invited);
  EXPECT_EQ(post("/console/terminals/clinic-1/revoke", "why=").status, 400);
  EXPECT_EQ(post("/console/terminals/clinic-1/revoke", "why=stolen").status, 303);
  EXPECT_EQ(must(terminals.find("clinic-1")).state, TerminalState::revoked);
  EXPECT_THAT(acts(), Contains("registrar terminal-revoke clinic-1  stolen"));
  EXPECT_THAT(text(get("/console/acts")), HasSubstr("terminal-revoke"));
  EXPECT_EQ(post("/console/terminals/clinic-1/revoke", "why=again").status, 400);
}

TEST_F(Console, NumbersAreDrawnAndListed) {
  log_in(operator_);
  must(database_->transact([&]() -> Status { return count_today(*database_, clock_.now(), kLogInsHigh, 41); }));
  const std::string page = text(get("/console/numbers?days=7"));
  EXPECT_THAT(page, HasSubstr("<svg"));  // 41, and the one of this test
  EXPECT_THAT(page, HasSubstr("<td class=\"number\">42</td>"));
  EXPECT_THAT(page, Not(HasSubstr("style=")));
  // Orders, moves: the one card stands in "active" alone.
  const auto today = day_of(clock_.now());
  EXPECT_EQ(must(DailyCounts::up_to_day(*registry_, card_state_counter(CardState::active), today, today))[0].count, 1);
  EXPECT_EQ(must(DailyCounts::up_to_day(*registry_, card_state_counter(CardState::ordered), today, today))[0].count, 0);
  EXPECT_EQ(get("/console/numbers?days=12345").status, 200);
  clock_.advance(std::chrono::hours(48));
  EXPECT_EQ(must(DailyCounts::up_to_day(*registry_, card_state_counter(CardState::active), today, today + 2))[2].count,
            1);
  EXPECT_EQ(must(DailyCounts::per_day(*registry_, kLogInsHigh, today, today + 2))[2].count, 0);
  EXPECT_FALSE(DailyCounts::per_day(*registry_, kLogInsHigh, 0, DailyCounts::kMostDays));
}

TEST_F(Console, TheRequestsOfAllDepartmentsAreListedOverdueOnesFirst) {
  using std::chrono::hours;
  crypto::testing::TestCentre centre;
  DepartmentLedger departments(*registry_);
  must(departments.add(
      "pension-fund", {.title = "Pension <fund>", .title_ru = "Пенсионный фонд", .certificates = {centre.ca}}, cause_));
  const std::string late = keep(1, "tax", "police", hours(1));
  const std::string old = keep(2, "pension-fund", "registry", hours(24), true);
  clock_.advance(hours(2));
  const std::string far = keep(3, "pension-fund", "tax", hours(48)), near = keep(4, "pension-fund", "tax", hours(5));
  const std::string fresh = keep(5, "tax", "registry", hours(24), true);
  log_in(operator_);
  const auto ids = [&](const std::string& query) { return listed(text(get("/console/requests" + query))); };
  using testing::ElementsAre;
  EXPECT_THAT(ids(""), ElementsAre(late, near, far, fresh, old));
  EXPECT_THAT(ids("?state=overdue"), ElementsAre(late));
  EXPECT_THAT(ids("?state=open&department="), ElementsAre(late, near, far));
  EXPECT_THAT(ids("?state=answered"), ElementsAre(fresh, old));
  EXPECT_THAT(ids("?department=pension-fund"), ElementsAre(near, far, old)) << "asks";
  EXPECT_THAT(ids("?department=tax"), ElementsAre(late, near, far, fresh)) << "asks, or is asked";
  EXPECT_THAT(ids("?department=registry&state=answered"), ElementsAre(fresh, old));
  EXPECT_THAT(ids("?department=nobody"), testing::IsEmpty());
  for (const char* const nothing : {"?state=x", "?department=A%20b", "?after=1", "/1", "/../x"}) {
    EXPECT_EQ(get(std::string("/console/requests") + nothing).status, 404) << nothing;
  }
  const std::string page = text(get("/console/requests"));
  for (const char* const words : {"Pension &lt;fund&gt;", "the registry", "police", "Act 7, article 3", "overdue",
                                  "number and insurer of the compulsory medical insurance; income"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
  EXPECT_THAT(page, Not(HasSubstr(format_id(citizen_)))) << "about whom a look at one of them tells";
  EXPECT_TRUE(must(registry_->access_log(citizen_)).size() == 5) << "those of the requests themselves";
  EXPECT_THAT(acts(), Contains("registrar requests tax all "));
  cookie_ += "; __Host-karta-language=ru";
  EXPECT_THAT(text(get("/console/requests")), HasSubstr("Пенсионный фонд"));
  // What is answered late.
  clock_.advance(hours(6));
  must(RequestLedger(*registry_).keep_answer(near, "department:tax", {{1}, {2}, clock_.now()}));
  log_in(operator_);
  cookie_ += "; __Host-karta-language=ru";
  EXPECT_THAT(text(get("/console/requests?state=answered")), HasSubstr("с опозданием"));
  EXPECT_THAT(ids("?state=overdue"), ElementsAre(late));
}

TEST_F(Console, RequestsGoOnPageByPageThoughTheyAreAnsweredMeanwhile) {
  using std::chrono::hours;
  std::set<std::string> all;
  for (int i = 0; i < 150; ++i) all.insert(keep(1000 + i, "a", "b", hours(1 + i / 7)));
  for (int i = 0; i < 120; ++i) {
    all.insert(keep(2000 + i, "b", i % 2 == 0 ? "a" : "registry", hours(1), true));
    if (i % 5 == 0) clock_.advance(std::chrono::seconds(1));
  }
  log_in(operator_);
  for (const char* const first : {"/console/requests", "/console/requests?department=b"}) {
    std::vector<std::string> seen;
    int pages = 0;
    for (std::string target = first; !target.empty() && pages < 9; ++pages) {
      const std::string page = text(get(target));
      for (const std::string& id : listed(page)) seen.push_back(id);
      target = next_of(page);
      // The one the first page ended with: its place is kept.
      if (pages == 0 && std::string_view(first).ends_with("requests")) {
        must(RequestLedger(*registry_).keep_answer(seen.back(), "department:b", {{1}, {2}, clock_.now()}));
      }
    }
    EXPECT_EQ(pages, 3);
    EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()), all);
    EXPECT_LE(seen.size(), all.size() + 1) << "the one that moved may stand in both lists";
  }
  std::size_t open = 0;
  for (std::string target = "/console/requests?state=open"; !target.empty();) {
    const std::string page = text(get(target));
    open += listed(page).size();
    target = next_of(page);
  }
  EXPECT_EQ(open, 149u);
}

TEST_F(Console, ALookAtARequestIsLoggedAndTellsAboutWhomByScope) {
  using std::chrono::hours;
  const Time told = clock_.now() + hours(24 * 30);
  const std::string one = "/console/requests/" + keep(1, "tax", "police", hours(1));
  const std::string kept_back = "/console/requests/" + keep(2, "tax", "police", hours(1), true, citizen_, told);
  const std::string nobody = "/console/requests/" + keep(3, "tax", "registry", hours(1), true, CitizenId{});
  const auto looks = [&] {
    std::vector<std::string> out;
    for (const AccessEntry& entry : must(registry_->access_log(citizen_))) {
      if (entry.purpose.actor == "operator:registrar") out.push_back(entry.what + " " + entry.purpose.purpose);
    }
    return out;
  };
  log_in(operator_);
  EXPECT_EQ(get(one).status, 400);
  EXPECT_EQ(get(one + "/receipt").status, 400);
  EXPECT_THAT(text(get(one)), Not(HasSubstr("reckon a pension")));
  EXPECT_TRUE(looks().empty());
  const std::string purpose = std::string("?") + kPurpose;
  const std::string shown = text(get(one + purpose));
  EXPECT_THAT(shown, HasSubstr("reckon a pension"));
  EXPECT_THAT(shown, HasSubstr("/console/citizens/" + format_id(citizen_)));
  EXPECT_THAT(shown, Not(HasSubstr("/answer-receipt")));
  EXPECT_THAT(looks(), testing::ElementsAre("request lost card"));
  EXPECT_THAT(acts(), Contains(HasSubstr("registrar request ")));
  // What the citizen may not learn of yet, the look does not tell either.
  EXPECT_THAT(text(get(kept_back + purpose)), HasSubstr("The citizen is told"));
  EXPECT_EQ(looks().size(), 1u);
  clock_.advance(hours(24 * 31));
  log_in(operator_);
  EXPECT_EQ(looks().size(), 2u);
  EXPECT_THAT(text(get(nobody + purpose)), HasSubstr("nobody the registry knows"));
  EXPECT_EQ(get("/console/requests/" + std::string(32, 'f') + purpose).status, 404);
  // Receipts leave, documents with data do not.
  const auto receipt = get(one + "/receipt" + purpose);
  EXPECT_EQ(receipt.status, 200);
  EXPECT_EQ(text(receipt), "a receipt");
  EXPECT_EQ(receipt.media_type, "application/cms");
  EXPECT_EQ(text(get(kept_back + "/answer-receipt" + purpose)), "its receipt");
  EXPECT_EQ(get(one + "/answer-receipt" + purpose).status, 404) << "not answered";
  for (const char* const part : {"/request", "/answer", "/x", "/receipt/x"}) {
    EXPECT_EQ(get(kept_back + part + purpose).status, 404) << part;
  }
  EXPECT_EQ(post(one, kPurpose).status, 404);
  // Without the scope to find people: not about whom.
  config_.operators.front().scopes = 1u << static_cast<unsigned>(ConsoleScope::requests);
  open_routes();
  const std::string narrow = text(get(one + purpose));
  EXPECT_THAT(narrow, HasSubstr("reckon a pension"));
  EXPECT_THAT(narrow, Not(HasSubstr(format_id(citizen_))));
  EXPECT_EQ(looks().size(), 3u);
}

TEST_F(Console, ACardPastItsEndReadsExpiredEverywhere) {
  using std::chrono::hours;
  clock_.advance(hours(24 * 900) - std::chrono::seconds(1));
  log_in(operator_);
  const std::string at_citizen = "/console/citizens/" + format_id(citizen_) + "?" + kPurpose;
  EXPECT_THAT(text(get(at_citizen)), HasSubstr("<span class=\"badge good\">active</span>"));
  EXPECT_THAT(text(get("/console")), HasSubstr("Cards: active"));
  clock_.advance(std::chrono::seconds(1));
  for (const std::string& target : {at_citizen, at_card() + "?" + kPurpose}) {
    const std::string page = text(get(target));
    EXPECT_THAT(page, HasSubstr("<span class=\"badge bad\">expired</span>")) << target;
    EXPECT_THAT(page, HasSubstr("in the registry: active")) << target;
  }
  EXPECT_EQ(state(), CardState::active) << "nobody has set it";
  EXPECT_THAT(text(get("/console")), HasSubstr("<dt>Cards: expired</dt><dd>1</dd>"));
  EXPECT_THAT(text(get("/console")), Not(HasSubstr("Cards: active")));
  const std::string numbers = text(get("/console/numbers?days=7"));
  EXPECT_THAT(numbers, HasSubstr("<span>expired</span><b>1</b>"));
  EXPECT_THAT(numbers, HasSubstr("<span>active</span><b>0</b>"));
  // It may be ended or stopped; it comes into nobody's hands again.
  const std::string card = text(get(at_card() + "?" + kPurpose));
  for (const char* const to : {"suspended", "revoked", "expired", "replaced"}) {
    EXPECT_THAT(card, HasSubstr(std::string("&amp;to=") + to)) << to;
  }
  must(registry_->change_card_state(card_.id, CardState::suspended, cause_));
  EXPECT_THAT(text(get(at_card() + "?" + kPurpose)), Not(HasSubstr("&amp;to=active")));
  EXPECT_EQ(get(at_card() + "/step?to=active&" + kPurpose).status, 409);
  EXPECT_THAT(text(get(at_card() + "/step?to=active&" + kPurpose)), HasSubstr("past its end"));
  EXPECT_EQ(post(at_card() + "/step", std::string("to=active&from=suspended&why=x&") + kPurpose).status, 409);
  EXPECT_EQ(state(), CardState::suspended);
  EXPECT_EQ(post(at_card() + "/step", std::string("to=expired&from=suspended&why=x&") + kPurpose).status, 303);
  EXPECT_EQ(state(), CardState::expired);
  EXPECT_THAT(text(get(at_card() + "?" + kPurpose)), Not(HasSubstr("in the registry:")));
}

TEST_F(Console, SpeaksRussian) {
  log_in(operator_);
  cookie_ += "; __Host-karta-language=ru";
  EXPECT_THAT(text(get("/console")), HasSubstr("Консоль оператора"));
  EXPECT_THAT(text(get("/console/find")), HasSubstr("Найти гражданина или карту"));
  EXPECT_THAT(text(get(at_card() + "?" + kPurpose)), HasSubstr("действует"));
}

TEST(ConsoleConfig, OperatorsAreNamedWithTheirScopes) {
  const auto read = [](const std::string& text) -> Result<ConsoleConfig> {
    auto file = TRY(service::Configuration::parse("schema = \"x/1\"\n" + text, "identity.toml", "x/1"));
    auto table = TRY(file.root().table("console"));
    ConsoleConfig out = TRY(read_console(*table));
    TRY(file.root().finish());
    return out;
  };
  const std::string good =
      "[console]\n[[console.operator]]\nname = \"a\"\ncitizen = "
      "\"0000000000001234\"\n"
      "scopes = [\"find\", \"acts\"]\n";
  const auto config = read(good);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->operators[0].may(ConsoleScope::find));
  EXPECT_FALSE(config->operators[0].may(ConsoleScope::card_life));
  EXPECT_EQ(config->operators[0].citizen, CitizenId{0x1234});
  const auto with = [&](const std::string& what, const std::string& by) {
    std::string text = good;
    text.replace(text.find(what), what.size(), by);
    return read(text);
  };
  EXPECT_FALSE(with("\"a\"", "\"A b\""));
  EXPECT_FALSE(with("0000000000001234", "1234"));
  EXPECT_FALSE(with("\"find\", ", "\"everything\", "));
  EXPECT_FALSE(with("[\"find\", \"acts\"]", "[]"));
  EXPECT_FALSE(with("scopes", "certificate_sha256 = \"ab\"\nscopes"));
  EXPECT_FALSE(read("[console]\n"));
  EXPECT_FALSE(read(good + good.substr(good.find("[[")))) << "a name twice";
}

TEST(Charts, AxesEndAtRoundNumbers) {
  for (const auto& [value, end] :
       {std::pair{0, 1}, {1, 1}, {2, 2}, {3, 5}, {6, 10}, {11, 20}, {21, 50}, {500, 500}, {501, 1000}}) {
    EXPECT_EQ(axis_end(value), end) << value;
  }
}

TEST(Charts, HoldEveryNumberAndNoMarkupOfLabels) {
  Html html;
  Chart chart{"A & B", 20'000, {{"<one>", {0, 3, 1000}}, {"two", {1, 0, 7}}}};
  bar_chart(html, Language::english, chart);
  small_chart(html, Language::english, {"C", 20'000, {{"C", {5}}}});
  const std::string text = std::move(html).take();
  EXPECT_THAT(text, HasSubstr("A &amp; B: 1011 in all"));
  EXPECT_THAT(text, Not(HasSubstr("<one>")));
  std::size_t bars = 0;
  for (std::size_t at = text.find("<rect"); at != std::string::npos; at = text.find("<rect", at + 1)) ++bars;
  EXPECT_EQ(bars, 4u) << "a bar for each number but the zeros";
  for (const char* const number : {">3<", ">1000<", ">7<", ">0<"}) EXPECT_THAT(text, HasSubstr(number));
}

}  // namespace
}  // namespace karta::identity
