// The daemon at a clinic's and a pharmacy's desk, through its API: visits, redemptions, refusals, lost answers.
#include <thread>

#include "daemon/gatekeeper.h"
#include "daemon/pages/pages.h"
#include "daemon/visit_receipt.h"
#include "identity/stop_list/foreign_filter.h"
#include "service/test_socket.h"
#include "tests/kartad/daemon_fixture.h"
#include "tests/sectors/wire.h"

namespace karta::test {
namespace {

using daemon::VisitReceipt;

class ClinicTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const Status started = kartad.start();
    ASSERT_TRUE(started) << started.error().message;
    ASSERT_TRUE(kartad.saw("reader-added"));
  }
  void insert(std::function<Bytes(ByteView, Bytes)> wire = {}) {
    kartad.readers.insert(std::string(TestDaemon::kReader), contactless(card, std::move(wire)));
    ASSERT_TRUE(kartad.readers.await_taken());
  }
  TestDaemon::Answer visit(const std::string& can = std::string(kCan)) {
    return kartad.post("/v1/visits", {{"purpose", "treatment"}, {"case", "C-1"}, {"can", can}});
  }

  IdentityCard card{IdentityCardOptions{.card_signed = true}};
  TestDaemon kartad;
};

TEST_F(ClinicTest, AVisitTellsWhoIsHereWhetherInsuredAndWhyTheCardIsAccepted) {
  insert();
  const auto answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  const Json& body = answer.body;
  EXPECT_EQ(body["schema"], "karta.kartad.visit/1");
  EXPECT_EQ(body["decision"], "accepted");
  EXPECT_EQ(body["card"]["status_index"], 4711);
  EXPECT_EQ(body["card"]["state"], "good");
  EXPECT_EQ(body["card"]["valid_until"], "2031-01-01");
  EXPECT_EQ(body["holder"]["given_names"], "Sample");
  EXPECT_EQ(body["holder"]["national_numbers"]["snils"], "00000000000");
  EXPECT_FALSE(body["holder"].contains("residence")) << "a clinic has no right to it";
  EXPECT_EQ(body["insurance"]["insurer"], "Sample Insurer");
  EXPECT_EQ(body["emergency"]["blood_group"], "AB-");
  EXPECT_EQ(body["emergency"]["allergies"][0]["words"], "penicillin");
  const auto& refused = body["groups"]["refused"];
  EXPECT_NE(std::find(refused.begin(), refused.end(), "residence"), refused.end());
  ASSERT_TRUE(body["timeline"].is_array());
  std::vector<std::string> steps;
  for (const Json& one : body["timeline"]) steps.push_back(one["step"]);
  for (const char* const step : {"pace", "terminal-certificates", "terminal-authentication", "issuer-signature",
                                 "chip-authentication", "data", "signature"}) {
    EXPECT_NE(std::find(steps.begin(), steps.end(), step), steps.end()) << step;
  }

  const auto receipt = VisitReceipt::from_json(body["receipt"]);
  ASSERT_TRUE(receipt) << receipt.error().message;
  const auto record = daemon::verify_visit(*receipt, {kartad.centre.issuing});
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->id, body["id"]);
  EXPECT_EQ(record->status_index, 4711u);
  VisitReceipt other = *receipt;
  other.record.replace(other.record.find("treatment"), 9, "emergency");
  EXPECT_EQ(daemon::verify_visit(other, {kartad.centre.issuing}).error().kind, ErrorKind::invalid_signature);
  VisitReceipt altered = *receipt;
  altered.statement.back() ^= 1;
  EXPECT_FALSE(daemon::verify_visit(altered, {kartad.centre.issuing}));
  EXPECT_FALSE(daemon::verify_visit(*receipt, {kartad.centre.centre.root}));

  const auto records = kartad.records("visit");
  ASSERT_EQ(records.size(), 1u);
  // What the journal keeps names nobody, and says nothing of health.
  for (const char* const secret : {"Sample", "Person", "penicillin", "314159"}) {
    EXPECT_EQ(records[0].body.find(secret), std::string::npos) << secret;
  }
  const std::string id = body["id"];
  EXPECT_EQ(kartad.get("/v1/visits/" + id).body, body);
  EXPECT_EQ(kartad.get("/v1/visits/" + id, TestDaemon::kViewer).status, 403);
  EXPECT_EQ(kartad.del("/v1/visits/" + id).status, 204);
  EXPECT_EQ(kartad.get("/v1/visits/" + id).status, 404);
}

// A terminal that lets one card sign what was visited with another has no receipt.
TEST_F(ClinicTest, AReceiptIsOfTheCardThatWasVisitedWith) {
  card.put(os::Interface::contactless);
  daemon::VisitRecord record;
  record.id = "0123456789abcdef0123456789abcdef";
  record.terminal = "XXCLINIC00001";
  record.time = kartad.clock.now();
  record.purpose = "treatment";
  record.decision = "accepted";
  for (const std::uint64_t index : {4711u, 4712u}) {
    record.status_index = index;
    const auto receipt = daemon::sign_visit(*card.plain, record);
    ASSERT_TRUE(receipt) << receipt.error().message;
    EXPECT_EQ(daemon::verify_visit(*receipt, {kartad.centre.issuing}).has_value(), index == 4711) << index;
  }
}

TEST_F(ClinicTest, AVisitIsItsCallersAlone) {
  constexpr std::string_view kOther = "token-of-another-program";
  kartad.stop();
  kartad.write_config("[[caller]]\nname = \"other\"\ntoken_sha256 = \"" + service::token_hash(kOther) +
                      "\"\nverbs = [\"visit\"]\n");
  ASSERT_TRUE(kartad.start());
  IdentityCard pictured({.seed = 7, .portrait = true});
  kartad.readers.insert(std::string(TestDaemon::kReader), contactless(pictured));
  ASSERT_TRUE(kartad.readers.await_taken());
  const auto answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  const std::string path = "/v1/visits/" + answer.body["id"].get<std::string>();
  EXPECT_EQ(kartad.get(path, kOther).status, 404);
  EXPECT_EQ(kartad.get(path + "/portrait", kOther).status, 404);
  EXPECT_EQ(kartad.get(path).status, 200);
}

TEST_F(ClinicTest, AVisitIsForgottenAfterItsMinutes) {
  insert();
  const auto answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  kartad.clock.advance(std::chrono::minutes(11));
  EXPECT_EQ(kartad.get("/v1/visits/" + answer.body["id"].get<std::string>()).status, 404);
}

TEST_F(ClinicTest, AStoppedCardIsRefusedAndNothingOfItIsRead) {
  kartad.stop();
  kartad.write_stop_list({4711});
  ASSERT_TRUE(kartad.start());
  insert();
  const auto answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  EXPECT_EQ(answer.body["decision"], "refused");
  EXPECT_EQ(answer.body["reasons"][0]["code"], "stopped");
  EXPECT_FALSE(answer.body["reasons"][0]["words"]["ru"].get<std::string>().empty());
  EXPECT_EQ(answer.body["card"]["state"], "stopped");
  EXPECT_TRUE(answer.body["holder"].empty());
  EXPECT_TRUE(answer.body["insurance"].is_null());
  EXPECT_TRUE(answer.body["receipt"].is_null());
  for (const auto& step : answer.body["timeline"]) EXPECT_NE(step["step"], "data") << "nothing is asked for, either";
  // In an emergency what must be known is read all the same.
  const auto emergency = kartad.post("/v1/visits", {{"purpose", "emergency"}, {"can", kCan}});
  ASSERT_EQ(emergency.status, 201) << emergency.text;
  EXPECT_EQ(emergency.body["decision"], "refused");
  EXPECT_EQ(emergency.body["emergency"]["allergies"][0]["words"], "penicillin");
}

// Its last day is known only once it was read: what came before it is not told, either.
TEST_F(ClinicTest, OfACardWhoseTimeIsOverNothingIsTold) {
  IdentityCard old({.seed = 7, .card_signed = true, .last_day = "20200131", .portrait = true});
  kartad.readers.insert(std::string(TestDaemon::kReader), contactless(old));
  ASSERT_TRUE(kartad.readers.await_taken());
  const auto answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  EXPECT_EQ(answer.body["decision"], "refused");
  EXPECT_EQ(answer.body["reasons"][0]["code"], "expired");
  EXPECT_EQ(answer.body["card"]["valid_until"], "2020-01-31");
  EXPECT_TRUE(answer.body["holder"].empty());
  for (const char* const member : {"insurance", "emergency", "portrait", "receipt"}) {
    EXPECT_TRUE(answer.body[member].is_null()) << member;
  }
  EXPECT_TRUE(answer.body["groups"]["read"].empty());
  EXPECT_EQ(answer.text.find("Sample"), std::string::npos);
  const auto emergency = kartad.post("/v1/visits", {{"purpose", "emergency"}, {"can", kCan}});
  EXPECT_EQ(emergency.body["decision"], "refused");
  EXPECT_EQ(emergency.body["emergency"]["allergies"][0]["words"], "penicillin");
}

// A list of other authorities' dead certificates names who signed this card: a stolen signer's cards are nobody's.
TEST_F(ClinicTest, ACardOfASignerThatWasRevokedIsNotGenuine) {
  using crypto::testing::must;
  const auto signer = must(crypto::Certificate::from_der(kartad.centre.document_signer.certificate_chain().front()));
  identity::ForeignFilterHead head;
  head.epoch = 1;
  head.this_update = kartad.clock.now() - std::chrono::minutes(10);
  head.next_update = kartad.clock.now() + std::chrono::hours(72);
  head.issuer = "Test Authority";
  kartad.stop();
  kartad.centre.issuing_signer.set_certificate_chain({kartad.centre.issuing.der()});
  const Bytes body = must(identity::encode_foreign_filter(head, {identity::foreign_key(signer)}));
  kartad.folder.write("dead.foreign-filter", must(identity::sign_foreign_filter(body, kartad.centre.issuing_signer)));
  kartad.write_config("", "", "foreign_filters = [\"dead.foreign-filter\"]\n");
  ASSERT_TRUE(kartad.start());
  insert();
  const auto answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  EXPECT_EQ(answer.body["decision"], "refused");
  EXPECT_EQ(answer.body["reasons"][0]["code"], "not-genuine");
  EXPECT_TRUE(answer.body["holder"].empty());
  EXPECT_EQ(answer.body["card"]["state"], "unknown");
}

// PACE opens with the letter's PIN, and the card lets nobody further: the terminal's certificate is not to blame.
TEST_F(ClinicTest, ATransportPinIsCalledThat) {
  insert();
  const auto answer = kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", kCan}, {"pin", kTransportPin}});
  EXPECT_EQ(answer.status, 409) << answer.text;
  EXPECT_EQ(answer.type(), "urn:karta:error:transport-pin");
}

TEST_F(ClinicTest, AReaderOfAnotherModeOrNameIsSaidToBeThat) {
  insert();
  const auto answer = kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", kCan}, {"reader", "Other"}});
  EXPECT_EQ(answer.type(), "urn:karta:error:no-reader") << answer.text;
  EXPECT_EQ(answer.body["detail"], "no reader for the mode \"clinic\" is called \"Other\"");
  EXPECT_EQ(answer.body["hint"], "GET /v1/readers tells their names and modes");
}

TEST_F(ClinicTest, AnOldStopListIsUsedAsFarAsThePolicyGoes) {
  kartad.stop();
  kartad.write_config("[policy.visit]\nstop_list_hours = 2\n");
  kartad.write_stop_list({}, std::chrono::hours(1));
  ASSERT_TRUE(kartad.start());
  insert();
  kartad.clock.advance(std::chrono::hours(2));
  auto answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  EXPECT_EQ(answer.body["decision"], "accepted");
  EXPECT_NE(answer.text.find("stop-list-stale"), std::string::npos);
  kartad.clock.advance(std::chrono::hours(2));
  answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  EXPECT_EQ(answer.body["decision"], "refused");
  EXPECT_EQ(answer.body["reasons"][0]["code"], "stop-list-too-old");
  EXPECT_TRUE(answer.body["holder"].empty());
}

TEST_F(ClinicTest, TheStateOfAListIsToldByThePolicyOfWhoGoesByIt) {
  kartad.stop();
  kartad.write_config(
      "[policy.visit]\nstop_list_hours = 2\n[policy.entitlements]\nstop_list_hours = 1\n"
      "[policy.redeem]\nstop_list_hours = 0\n");
  kartad.write_stop_list({}, std::chrono::hours(1));
  ASSERT_TRUE(kartad.start());
  const auto state = [&] {
    const Json status = kartad.get("/v1/status").body;
    for (const Json& item : status["trust"]) {
      if (item["kind"] == "stop-list") return item["state"].get<std::string>();
    }
    return std::string("no item");
  };
  EXPECT_EQ(state(), "fresh");
  kartad.clock.advance(std::chrono::hours(2));
  EXPECT_EQ(state(), "stale") << "a visit takes it still";
  kartad.clock.advance(std::chrono::hours(2));
  EXPECT_EQ(state(), "expired");
}

TEST_F(ClinicTest, OnlyGatesGoByRules) {
  kartad.stop();
  unsigned asked = 0;
  kartad.open_rules = [&asked](ByteView, const std::vector<crypto::Certificate>&,
                               Time at) -> Result<daemon::RulesHead> {
    ++asked;
    return daemon::RulesHead{1, at, at + std::chrono::hours(1)};
  };
  // Fetched once, when this machine had a gate.
  std::filesystem::create_directories(kartad.folder / "state/trust");
  kartad.folder.write("state/trust/rules.p7s", std::string_view("rules"));
  ASSERT_TRUE(kartad.start());
  EXPECT_EQ(asked, 0u);
}

TEST_F(ClinicTest, ALookAtTheConfigurationMakesItsModes) {
  kartad.stop();
  const auto good = kartad.check();
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_TRUE(good->empty()) << good->front();
  // A running daemon is not in its way, and nothing of the look stays.
  ASSERT_TRUE(kartad.start());
  const auto running = kartad.check();
  EXPECT_TRUE(running) << running.error().message;
  kartad.stop();
  kartad.folder.write("lists/full-2.stop-list", std::string_view("no list"));
  const auto amiss = kartad.check();
  ASSERT_TRUE(amiss) << amiss.error().message;
  ASSERT_EQ(amiss->size(), 1u);
  EXPECT_NE(amiss->front().find("full-2.stop-list"), std::string::npos) << amiss->front();
  kartad.folder.write("masters.pem", std::string_view("no keys"));
  EXPECT_FALSE(kartad.check()) << "the pharmacy's masters cannot be opened";
}

TEST_F(ClinicTest, ALinkThatIsNotGoodIsInTheJournal) {
  kartad.stop();
  kartad.read_pages = daemon::read_pages;
  kartad.write_config("[pages]\naddress = \"http://127.0.0.1:8470\"\n");
  EXPECT_TRUE(kartad.check());
  EXPECT_FALSE(std::filesystem::exists(kartad.folder / "state/desk-link")) << "a look leaves no link";
  ASSERT_TRUE(kartad.start());
  EXPECT_TRUE(std::filesystem::exists(kartad.folder / "state/desk-link"));
  const auto answer = kartad.post("/login", {{"code", std::string(64, '0')}});
  EXPECT_EQ(answer.status, 403) << answer.text;
  EXPECT_EQ(kartad.post("/login", {{"code", 7}}).status, 400);
  kartad.running().flush_refusals();
  const auto refusals = kartad.records("caller-refused");
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_NE(refusals[0].body.find("desk-link"), std::string::npos);
  EXPECT_EQ(refusals[0].body.find("0000"), std::string::npos) << "codes are in no journal";
}

// A page left open behind a desk that has logged out sees nothing of who comes next.
TEST_F(ClinicTest, EventsEndWithTheSessionOfTheDesk) {
  kartad.stop();
  kartad.read_pages = daemon::read_pages;
  kartad.write_config("[pages]\naddress = \"http://127.0.0.1:8470\"\n");
  ASSERT_TRUE(kartad.start());
  std::string link(as_text(kartad.folder.read("state/desk-link")));
  link = link.substr(link.find('#') + 1);
  link.resize(link.find('\n'));
  service::HttpClient client({.any_address = true});
  const auto in = client.post(kartad.url("/login"), "application/json", as_bytes(Json{{"code", link}}.dump()), {});
  ASSERT_TRUE(in) << in.error().message;
  ASSERT_EQ(in->status, 200) << as_text(in->body);
  const std::string set(in->field("Set-Cookie")), cookie = set.substr(0, set.find(';'));
  const std::string key = Json::parse(as_text(in->body))["key"];
  const std::string where = kartad.running().addresses().front();
  const std::string fields = "Host: " + where + "\r\nCookie: " + cookie + "\r\nKarta-Desk: " + key + "\r\n";

  service::TestSocket page(where);
  ASSERT_TRUE(page.send("GET /v1/events HTTP/1.1\r\n" + fields + "\r\n"));
  EXPECT_EQ(page.until("\r\n\r\n").substr(0, 12), "HTTP/1.1 200");
  insert();
  EXPECT_NE(page.until("card-in").find("card-in"), std::string::npos) << "it is open";
  service::TestSocket out(where);
  ASSERT_TRUE(out.send("POST /logout HTTP/1.1\r\n" + fields + "Content-Length: 0\r\n\r\n"));
  EXPECT_EQ(out.until("\r\n\r\n").substr(0, 12), "HTTP/1.1 204");
  kartad.readers.remove(std::string(TestDaemon::kReader));
  const std::string rest = page.until("\r\n0\r\n\r\n");
  EXPECT_TRUE(rest.ends_with("\r\n0\r\n\r\n")) << rest;
  EXPECT_EQ(rest.find("card-out"), std::string::npos) << rest;
}

TEST_F(ClinicTest, WhoIsRefusedAgainAndAgainDoesNotFillTheJournal) {
  constexpr auto kMost = static_cast<std::size_t>(daemon::RefusalLog::kRule.burst);
  constexpr std::size_t kBeyond = 50;
  for (std::size_t i = 0; i < kMost + kBeyond; ++i) {
    ASSERT_EQ(kartad.get("/v1/status", "nobody's token").status, 401);
    kartad.running().flush_refusals();
  }
  // Turns that have come back meanwhile are written, too: the test does not stand still.
  const std::size_t written = kartad.records("caller-refused").size();
  EXPECT_GE(written, kMost);
  EXPECT_LT(written, kMost + kBeyond);
  // Another reason has turns of its own, and the record tells how many were left out.
  EXPECT_EQ(kartad.get("/v1/status", TestDaemon::kToken, {{"Origin", "https://elsewhere.example"}}).status, 403);
  kartad.running().flush_refusals();
  const auto records = kartad.records("caller-refused");
  ASSERT_EQ(records.size(), written + 1);
  std::size_t left_out = 0;
  for (const auto& one : records) left_out += Json::parse(one.body).value("left_out_before", std::size_t{0});
  EXPECT_EQ(left_out, kMost + kBeyond - written);
}

// Nobody works on a card for a moment: then a program that wants it for itself can have it.
TEST_F(ClinicTest, ACardThatGoesOnLyingThereIsLetGoOf) {
  insert();
  const auto first = visit();
  ASSERT_EQ(first.status, 201) << first.text;
  EXPECT_TRUE(kartad.readers.await_let_go(std::string(TestDaemon::kReader)));
  const unsigned connected = kartad.readers.connected();
  kartad.readers.hold(std::string(TestDaemon::kReader), true);
  EXPECT_EQ(visit().type(), "urn:karta:error:card-busy");
  kartad.readers.hold(std::string(TestDaemon::kReader), false);
  EXPECT_EQ(visit().status, 201);
  EXPECT_EQ(kartad.readers.connected(), connected + 1);
}

TEST_F(ClinicTest, AWrongCanIsSaidAndIsInTheJournal) {
  insert();
  const auto answer = visit("000000");
  EXPECT_EQ(answer.status, 403) << answer.text;
  EXPECT_EQ(answer.type(), "urn:karta:error:wrong-pin");
  const auto refusals = kartad.records("refusal");
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_EQ(refusals[0].body.find("000000"), std::string::npos);
  EXPECT_EQ(visit().status, 201);
}

TEST_F(ClinicTest, RequestsThatAreOffAreRefusedBeforeTheCardIsTouched) {
  unsigned commands = 0;
  insert([&](ByteView, Bytes answer) {
    ++commands;
    return answer;
  });
  struct Row {
    Json body;
    int status;
    const char* type;
  };
  const Row rows[] = {
      {{{"purpose", "treatment"}}, 400, "usage"},
      {{{"can", kCan}}, 400, "usage"},
      {{{"purpose", "curiosity"}, {"can", kCan}}, 400, "usage"},
      {{{"purpose", "treatment"}, {"can", "12"}}, 400, "usage"},
      {{{"purpose", "treatment"}, {"can", 314159}}, 400, "usage"},
      {{{"purpose", "treatment"}, {"can", kCan}, {"surprise", 1}}, 400, "usage"},
      {{{"purpose", "treatment"}, {"can", kCan}, {"reader", 7}}, 400, "usage"},
      {{{"purpose", "treatment"}, {"can", kCan}, {"reader", "No Such"}}, 503, "no-reader"},
      {{{"purpose", "treatment"}, {"can", kCan}, {"case", std::string(65, 'x')}}, 400, "usage"},
  };
  for (const Row& row : rows) {
    const auto answer = kartad.post("/v1/visits", row.body);
    EXPECT_EQ(answer.status, row.status) << row.body << answer.text;
    EXPECT_EQ(answer.type(), std::string("urn:karta:error:") + row.type) << row.body;
  }
  EXPECT_EQ(kartad.post("/v1/visits", Json::array()).type(), "urn:karta:error:malformed");
  EXPECT_EQ(commands, 0u);
}

TEST_F(ClinicTest, EachOutcomeAtTheReaderHasItsOwnName) {
  const std::string reader(TestDaemon::kReader);
  EXPECT_EQ(visit().type(), "urn:karta:error:no-card");
  kartad.readers.insert_mute(reader);
  ASSERT_TRUE(kartad.readers.await_taken());
  EXPECT_EQ(visit().type(), "urn:karta:error:card-unresponsive");
  insert();
  kartad.readers.hold(reader, true);
  EXPECT_EQ(visit().type(), "urn:karta:error:card-busy");
  kartad.readers.hold(reader, false);
  EXPECT_EQ(visit().status, 201);
  kartad.readers.remove_reader(reader);
  ASSERT_TRUE(kartad.readers.await_taken());
  EXPECT_EQ(visit().type(), "urn:karta:error:no-reader");
  kartad.forget_events();
  kartad.readers.add_reader(reader);
  ASSERT_TRUE(kartad.saw("reader-added"));
  insert();
  EXPECT_EQ(visit().status, 201);
  kartad.forget_events();
  kartad.readers.stop_pcscd();
  ASSERT_TRUE(kartad.readers.await_taken());
  EXPECT_EQ(visit().type(), "urn:karta:error:no-pcscd");
  EXPECT_EQ(kartad.get("/healthz").status, 503);
  kartad.readers.start_pcscd();
  ASSERT_TRUE(kartad.readers.await_taken());
  EXPECT_EQ(visit().status, 201);
  EXPECT_EQ(kartad.get("/healthz").status, 200);
}

TEST_F(ClinicTest, CallersAreKnownAndMayWhatTheyMay) {
  EXPECT_EQ(kartad.get("/v1/status", "").status, 401);
  EXPECT_EQ(kartad.get("/v1/status", "somebody's token").status, 401);
  EXPECT_EQ(kartad.get("/v1/status", TestDaemon::kViewer).status, 200);
  EXPECT_EQ(kartad.get("/v1/journal", TestDaemon::kViewer).status, 403);
  EXPECT_EQ(kartad.get("/metrics", TestDaemon::kViewer).status, 403);
  // A page from elsewhere: by its own name for this address, or by a fetch that says where it comes from.
  EXPECT_EQ(kartad.get("/v1/status", TestDaemon::kToken, {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(kartad.get("/v1/status", TestDaemon::kToken, {{"Origin", "http://evil.example"}}).status, 403);
  EXPECT_EQ(kartad.get("/healthz", "", {{"Host", "evil.example"}}).status, 403);
  kartad.running().flush_refusals();
  const auto refused = kartad.records("caller-refused");
  EXPECT_EQ(refused.size(), 7u);
  for (const auto& one : refused) EXPECT_EQ(one.body.find("token-of"), std::string::npos);
}

TEST_F(ClinicTest, PathsAndMethods) {
  EXPECT_EQ(kartad.get("/v1/nothing").status, 404);
  EXPECT_EQ(kartad.get("/nothing", "").status, 404);
  EXPECT_EQ(kartad.get("/v1/visits").status, 405);
  EXPECT_EQ(kartad.get("/v1/visits/a/b").status, 404);
  const auto status = kartad.get("/v1/status");
  EXPECT_EQ(status.body["schema"], "karta.kartad.status/1");
  EXPECT_EQ(status.body["modes"][0]["name"], "clinic");
  EXPECT_EQ(status.body["terminals"].size(), 2u);
  EXPECT_EQ(kartad.get("/v1/readers").body["readers"][0]["name"], std::string(TestDaemon::kReader));
  EXPECT_EQ(kartad.get("/healthz", "").status, 200) << kartad.get("/healthz", "").text;
  EXPECT_NE(kartad.get("/metrics").text.find("kartad_readers"), std::string::npos);
  const auto journal = kartad.get("/v1/journal?after=0");
  ASSERT_EQ(journal.status, 200);
  EXPECT_EQ(journal.body["records"][0]["number"], 1);
  EXPECT_EQ(kartad.get("/v1/journal?after=x").status, 400);
}

TEST_F(ClinicTest, ATerminalThatNoAuthorityOfTheCardCertifiedIsNotLetIn) {
  kartad.stop();
  card::TerminalStore foreign(kartad.folder / "foreign");
  const card::CvDate today = card::cv_date_of(kartad.clock.now());
  ASSERT_TRUE(foreign.create("YY", CentreForTerminals::quick(), kartad.centre.passphrase, today));
  for (const char* const role : {"clinic", "pharmacy"}) {
    ASSERT_TRUE(foreign.issue_terminal(*card::find_terminal_role(role), {}, CentreForTerminals::quick(),
                                       kartad.centre.passphrase, today));
  }
  kartad.terminals = foreign.folder();
  kartad.write_config();
  ASSERT_TRUE(kartad.start());
  insert();
  const auto answer = visit();
  EXPECT_EQ(answer.status, 403) << answer.text;
  EXPECT_EQ(answer.type(), "urn:karta:error:untrusted");
  const auto refusals = kartad.records("refusal");
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_NE(refusals[0].body.find("untrusted"), std::string::npos);
}

// Its own authority gave it all a clinic may read; the card's has let it have given names alone.
TEST_F(ClinicTest, ATerminalThatClaimsMoreThanTheCardsAuthorityGaveReadsNoMore) {
  using crypto::testing::must;
  kartad.stop();
  const CentreForTerminals& home = kartad.centre;
  const card::CvDate today = card::cv_date_of(kartad.clock.now());
  card::TerminalStore abroad(kartad.folder / "abroad"), copy(kartad.folder / "home");
  ASSERT_TRUE(abroad.create("XB", CentreForTerminals::quick(), home.passphrase, today));
  for (const char* const role : {"clinic", "pharmacy"}) {
    ASSERT_TRUE(abroad.issue_terminal(*card::find_terminal_role(role), {}, CentreForTerminals::quick(), home.passphrase,
                                      today));
  }
  std::filesystem::copy(home.store.folder(), copy.folder());
  const card::UnlockedVerifier verifier = must(abroad.unlock_verifier(home.passphrase));
  const Bytes request = must(card::make_cv_request(must(copy.authority()).holder(), verifier.certificate.holder(), {},
                                                   *verifier.signer, verifier.signer->algorithms().front()));
  const card::Rights given = card::right_bit(card::right_to_read(4)) | card::right_bit(card::kRightCanAllowed);
  kartad.foreign_verifier = must(copy.issue_verifier(must(card::CvRequest::parse(request)), given,
                                                     CentreForTerminals::quick(), home.passphrase, today))
                                .octets();
  kartad.terminals = abroad.folder();
  kartad.write_trust_list();
  kartad.write_config();
  ASSERT_TRUE(kartad.start());
  insert();
  const auto answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  EXPECT_EQ(answer.body["groups"]["read"], Json::array({"given-names"}));
  EXPECT_TRUE(answer.body["insurance"].is_null());
  EXPECT_TRUE(answer.body["emergency"].is_null());
  // Nor is the card accepted on trust: whether its time is over was not to be learnt.
  EXPECT_EQ(answer.body["decision"], "unknown");
  EXPECT_EQ(answer.body["reasons"][0]["code"], "last-day-untold");
  const auto visits = kartad.records("visit");
  ASSERT_EQ(visits.size(), 1u);
  EXPECT_NE(visits[0].body.find("last-day-untold"), std::string::npos);
}

TEST_F(ClinicTest, ATerminalWhoseCertificateHasExpiredSaysSo) {
  insert();
  kartad.clock.advance(std::chrono::days(40));
  const auto answer = visit();
  EXPECT_EQ(answer.type(), "urn:karta:error:configuration") << answer.text;
  const auto refusals = kartad.records("refusal");
  ASSERT_EQ(refusals.size(), 1u);
  EXPECT_NE(refusals[0].body.find("has expired"), std::string::npos);
  EXPECT_EQ(kartad.get("/healthz", "").status, 503);
  EXPECT_EQ(kartad.get("/v1/status").body["terminals"][0]["state"], "expired");
}

// A clone has everything that can be read, and no key.
TEST_F(ClinicTest, ACopyIsRefusedAndNothingItSaysIsBelieved) {
  bool chip = false;
  insert([&chip](ByteView command, Bytes answer) {
    // From chip authentication on a copy can only guess: the answer to its GENERAL AUTHENTICATE is somebody else's.
    if (command.size() > 3 && command[1] == 0x22 && command[2] == 0x41) chip = true;
    if (chip && command[1] == 0x86 && answer.size() > 20) answer[answer.size() - 15] ^= 0x01;
    return answer;
  });
  const auto answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  EXPECT_EQ(answer.body["decision"], "refused");
  EXPECT_EQ(answer.body["reasons"][0]["code"], "copied");
  EXPECT_TRUE(answer.body["holder"].empty());
}

TEST_F(ClinicTest, AStrangersCardIsNotGenuine) {
  kartad.stop();
  // The same terminal, and a trust list without this card's issuer.
  std::filesystem::remove(kartad.folder / "trust-list.p7m");
  ASSERT_TRUE(kartad.start());
  insert();
  const auto answer = visit();
  ASSERT_EQ(answer.status, 201) << answer.text;
  EXPECT_EQ(answer.body["decision"], "refused");
  EXPECT_EQ(answer.body["reasons"][0]["code"], "not-genuine");
  EXPECT_TRUE(answer.body["card"]["status_index"].is_null());
}

TEST_F(ClinicTest, AReloadTakesANewConfigurationOrLeavesAllAsItWas) {
  insert();
  ASSERT_EQ(visit().status, 201);
  kartad.write_config("surprise = 1\n");
  EXPECT_EQ(kartad.running().reload().error().kind, ErrorKind::configuration);
  EXPECT_EQ(visit().status, 201);
  kartad.write_config("", "purposes = [\"checkup\"]\n");
  const Status reloaded = kartad.running().reload();
  ASSERT_TRUE(reloaded) << reloaded.error().message;
  // The card that lies there is known at once.
  EXPECT_EQ(visit().type(), "urn:karta:error:usage");
  EXPECT_EQ(kartad.post("/v1/visits", {{"purpose", "checkup"}, {"can", kCan}}).status, 201);
}

TEST_F(ClinicTest, ACallThatIsAtWorkIsAnsweredWhenTheDaemonStops) {
  insert();
  TestDaemon::Answer answer;
  kartad.forget_events();
  std::thread client([&] { answer = visit(); });
  EXPECT_TRUE(kartad.saw("progress"));
  kartad.stop();
  client.join();
  EXPECT_EQ(answer.status, 201) << answer.text;
}

// Pharmacy ---------------------------------------------------------------------------------------

class PharmacyTest : public ClinicTest {
 protected:
  TestDaemon::Answer redeem(const std::string& key, unsigned prescription = 77, unsigned packages = 1) {
    return kartad.post("/v1/redemptions",
                       {{"medicine", "A10BA02"}, {"packages", packages}, {"prescription", prescription}, {"can", kCan}},
                       key);
  }
  std::uint64_t left() {
    const auto answer = kartad.post("/v1/entitlements", {{"can", kCan}});
    EXPECT_EQ(answer.status, 200) << answer.text;
    return answer.status == 200 ? answer.body["entitlements"][0]["left"].get<std::uint64_t>() : 999;
  }
};

TEST_F(PharmacyTest, AStoppedCardIsAnAnswerAndShowsNothing) {
  grant_packages(card, 3);
  kartad.stop();
  kartad.write_stop_list({4711});
  ASSERT_TRUE(kartad.start());
  insert();
  const auto answer = kartad.post("/v1/entitlements", {{"can", kCan}});
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.body["decision"], "refused");
  EXPECT_EQ(answer.body["reasons"][0]["code"], "stopped");
  EXPECT_TRUE(answer.body["entitlements"].empty());
  EXPECT_TRUE(answer.body["journal"].empty());
  const auto visits = kartad.records("visit");
  ASSERT_EQ(visits.size(), 1u);
  EXPECT_NE(visits[0].body.find("refused"), std::string::npos);
  // To take something is refused as ever.
  EXPECT_EQ(redeem("k").status, 403);
}

// A pharmacy may not read the last day; the card compares it, and shows it to nobody.
TEST_F(PharmacyTest, ACardWhoseTimeIsOverIsRefusedWithoutItsLastDayBeingRead) {
  IdentityCard old({.seed = 7, .last_day = "20200131"});
  grant_packages(old, 3);
  kartad.readers.insert(std::string(TestDaemon::kReader), contactless(old));
  ASSERT_TRUE(kartad.readers.await_taken());
  const auto answer = kartad.post("/v1/entitlements", {{"can", kCan}});
  ASSERT_EQ(answer.status, 200) << answer.text;
  EXPECT_EQ(answer.body["decision"], "refused");
  EXPECT_EQ(answer.body["reasons"][0]["code"], "expired");
  EXPECT_TRUE(answer.body["card"]["valid_until"].is_null());
  EXPECT_TRUE(answer.body["entitlements"].empty());
  EXPECT_EQ(redeem("k").status, 403);
}

// 20:00 UTC on a card's last day is the next day in Kamchatka.
TEST_F(PharmacyTest, ADayBeginsAndEndsWhereTheDeskStands) {
  const auto last_day = std::chrono::floor<std::chrono::days>(kartad.clock.now());
  const std::chrono::year_month_day day(last_day);
  char text[16];
  std::snprintf(text, sizeof text, "%04d%02u%02u", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                static_cast<unsigned>(day.day()));
  IdentityCard ending({.seed = 9, .last_day = text});
  kartad.clock.advance(last_day + std::chrono::hours(20) - kartad.clock.now());
  const auto put_in = [&] {
    kartad.readers.insert(std::string(TestDaemon::kReader), contactless(ending));
    ASSERT_TRUE(kartad.readers.await_taken());
  };
  const auto reasons_at = [&](int utc_offset_minutes) {
    kartad.stop();
    kartad.utc_offset_minutes = utc_offset_minutes;
    kartad.write_config();
    EXPECT_TRUE(kartad.start());
    put_in();
    const auto answer = kartad.post("/v1/entitlements", {{"can", kCan}});
    EXPECT_EQ(answer.status, 200) << answer.text;
    return answer.body["reasons"].dump();
  };
  EXPECT_EQ(reasons_at(0).find("expired"), std::string::npos);
  EXPECT_NE(reasons_at(12 * 60).find("expired"), std::string::npos);
}

TEST_F(PharmacyTest, APackageIsRedeemedOnceHoweverOftenItIsAskedFor) {
  grant_packages(card, 3);
  insert();
  EXPECT_EQ(
      kartad.post("/v1/redemptions", {{"medicine", "A10BA02"}, {"packages", 1}, {"prescription", 1}, {"can", kCan}})
          .type(),
      "urn:karta:error:idempotency-key");
  const auto first = redeem("k1");
  ASSERT_EQ(first.status, 200) << first.text;
  EXPECT_EQ(first.body["left"], 2);
  EXPECT_EQ(first.body["package"], 4711) << "the form taken, which the request left open";
  EXPECT_EQ(first.body["settled"], false);
  const auto again = redeem("k1");
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.body, first.body);
  EXPECT_EQ(left(), 2u);
  // The same key for something else, and another caller's key of the same name.
  EXPECT_EQ(redeem("k1", 78).type(), "urn:karta:error:key-reused");
  // After a restart, and without the card, the answer is still the same.
  kartad.stop();
  ASSERT_TRUE(kartad.start());
  EXPECT_EQ(redeem("k1").body, first.body);
  kartad.forget_events();
  insert();
  EXPECT_EQ(redeem("k2", 78, 2).body["left"], 0);
  EXPECT_EQ(redeem("k3", 79).type(), "urn:karta:error:not-permitted");
  EXPECT_EQ(kartad.records("redemption").size(), 2u);
  EXPECT_EQ(kartad.records("redemption-intent").size(), 2u);
}

// The card writes and its answer never arrives; then the daemon is started anew. Who repeats the call, with the same
// key or another, gets the receipt, and nothing is taken twice.
TEST_F(PharmacyTest, ALostAnswerIsSettledWhenTheCardComesAgain) {
  grant_packages(card, 2);
  bool lose = true;
  unsigned commits = 0;
  insert([&](ByteView command, Bytes answer) {
    if (is(command, kInsCommit)) {
      ++commits;
      if (lose) return Bytes{};
    }
    return answer;
  });
  const auto lost = redeem("k1");
  EXPECT_EQ(lost.type(), "urn:karta:error:card-removed") << lost.text;
  EXPECT_EQ(commits, 1u);
  lose = false;
  kartad.stop();
  ASSERT_TRUE(kartad.start());
  kartad.forget_events();
  insert();
  const auto settled = redeem("k1");
  ASSERT_EQ(settled.status, 200) << settled.text;
  EXPECT_EQ(settled.body["settled"], true);
  EXPECT_EQ(settled.body["left"], 1);
  EXPECT_EQ(settled.body["receipt"]["code"].get<std::string>().size(), 16u) << "the card's own, for the back office";
  EXPECT_EQ(left(), 1u);
  EXPECT_EQ(redeem("k1").body, settled.body);
}

// Whether the first card wrote is still to be found out: the key is not free for another one.
TEST_F(PharmacyTest, WhatWasBegunWithOneCardIsNotGoneOnWithOnAnother) {
  grant_packages(card, 2);
  bool lose = true;
  insert([&](ByteView command, Bytes answer) { return lose && is(command, kInsCommit) ? Bytes{} : answer; });
  EXPECT_EQ(redeem("k1").status, 409);
  lose = false;
  IdentityCard other({.seed = 8});
  grant_packages(other, 2);
  const auto swap = [&](IdentityCard& one) {
    kartad.readers.remove(std::string(TestDaemon::kReader));
    kartad.readers.insert(std::string(TestDaemon::kReader), contactless(one));
    ASSERT_TRUE(kartad.readers.await_taken());
  };
  swap(other);
  const auto refused = redeem("k1");
  EXPECT_EQ(refused.type(), "urn:karta:error:already-exists") << refused.text;
  EXPECT_EQ(left(), 2u);
  swap(card);
  EXPECT_EQ(redeem("k1").body["settled"], true);
  EXPECT_EQ(left(), 1u);
}

TEST_F(PharmacyTest, WhatAnotherPharmacyHasJustRedeemedIsNotRedeemedAgain) {
  grant_packages(card, 3);
  insert();
  ASSERT_EQ(redeem("k1").status, 200);
  kartad.stop();
  // The pharmacy across the street.
  std::filesystem::copy(kartad.terminals, kartad.folder / "across", std::filesystem::copy_options::recursive);
  card::TerminalStore across(kartad.folder / "across");
  ASSERT_TRUE(across.issue_terminal(*card::find_terminal_role("pharmacy"), {}, CentreForTerminals::quick(),
                                    kartad.centre.passphrase, card::cv_date_of(kartad.clock.now())));
  kartad.terminals = across.folder();
  kartad.write_config();
  ASSERT_TRUE(kartad.start());
  kartad.forget_events();
  insert();
  const auto again = redeem("k2");
  EXPECT_EQ(again.type(), "urn:karta:error:already-exists") << again.text;
  EXPECT_EQ(left(), 2u);
  EXPECT_EQ(redeem("k3", 78).status, 200) << "another prescription is another matter";
}

TEST_F(PharmacyTest, AnotherKeyForTheSamePrescriptionFindsTheLostOne) {
  grant_packages(card, 2);
  bool lose = true;
  insert([&](ByteView command, Bytes answer) { return lose && is(command, kInsCommit) ? Bytes{} : answer; });
  EXPECT_EQ(redeem("k1").status, 409);
  lose = false;
  const auto other = redeem("k2");
  ASSERT_EQ(other.status, 200) << other.text;
  EXPECT_EQ(other.body["settled"], true);
  EXPECT_EQ(left(), 1u);
  // And the first key has its answer too.
  EXPECT_EQ(redeem("k1").body["receipt"], other.body["receipt"]);
  EXPECT_EQ(left(), 1u);
}

// The command never reached the card: it is taken when the call is repeated.
TEST_F(PharmacyTest, ACommitThatNeverArrivedIsMadeWhenTheCardComesAgain) {
  grant_packages(card, 2);
  auto process = contactless(card);
  bool lose = true;
  auto swallowing = process;
  swallowing.process = [&, inner = process.process](ByteView command) {
    return lose && is(command, kInsCommit) ? Bytes{} : inner(command);
  };
  kartad.readers.insert(std::string(TestDaemon::kReader), swallowing);
  ASSERT_TRUE(kartad.readers.await_taken());
  EXPECT_EQ(redeem("k1").status, 409);
  lose = false;
  const auto done = redeem("k1");
  ASSERT_EQ(done.status, 200) << done.text;
  EXPECT_EQ(done.body["settled"], false);
  EXPECT_EQ(done.body["left"], 1);
}

TEST_F(PharmacyTest, AStoppedCardRedeemsNothing) {
  grant_packages(card, 1);
  kartad.stop();
  kartad.write_stop_list({4711});
  ASSERT_TRUE(kartad.start());
  insert();
  EXPECT_EQ(redeem("k1").type(), "urn:karta:error:not-permitted");
  EXPECT_EQ(kartad.records("redemption-intent").size(), 0u);
}

}  // namespace
}  // namespace karta::test
