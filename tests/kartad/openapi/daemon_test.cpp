// docs/openapi/kartad.yaml and the running daemon: each path, method, status and member of the document is provoked,
// and nothing else comes; then requests made of the document's own grammar and broken at random, slow clients and
// oversize ones. The daemon answers them all and goes on.
#include <random>

#include "daemon/transit/transit_mode.h"
#include "tests/kartad/openapi/exchange.h"

namespace karta::test {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using Operation = OpenApi::Operation;

constexpr std::string_view kGateReader = "Gate Reader 00 00", kMedicine = "A10BA02";

/// A whole, good body for each operation that wants one.
Json good_body(const std::string& id) {
  if (id == "open-visit") return {{"purpose", "treatment"}, {"case", "C-1"}, {"can", kCan}};
  if (id == "entitlements") return {{"can", kCan}};
  if (id == "redeem") return {{"medicine", kMedicine}, {"packages", 1}, {"prescription", 77}, {"can", kCan}};
  if (id == "inspect") return {{"can", kCan}};
  return Json::object();
}

class OpenApiDaemonTest : public ::testing::Test, protected Exchange {
 protected:
  OpenApiDaemonTest() : Exchange("kartad.yaml") {}
  void SetUp() override {
    using crypto::testing::must;
    card::TransactionMasters masters;
    masters.emplace("transit", ledger_masters(kTransitMasters));
    kartad.folder.write("transit.pem",
                        must(card::seal_transaction_masters(masters, secret("for tests only"), 1000, kartad.random)));
    kartad.modes.push_back({"transit", daemon::read_transit});
    configure();
    kartad.readers.add_reader(std::string(kGateReader));
    start();
  }
  void configure(const std::string& more = "") {
    kartad.write_config(
        "[[reader]]\nname = \"Gate *\"\nmodes = [\"transit\"]\ngate = 7\nzone = 1\n"
        "[[terminal]]\nrole = \"transit\"\nfolder = \"" +
        kartad.terminals.string() +
        "\"\npassphrase_file = \"secret\"\n"
        "[transit]\nkeys = \"transit.pem\"\npassphrase_file = \"secret\"\nrequire_stop_list = false\n" +
        more);
  }
  void start() {
    const Status started = kartad.start();
    ASSERT_TRUE(started) << started.error().message;
    where = kartad.running().addresses().front();
    ASSERT_TRUE(kartad.saw("reader-added"));
  }
  void restart() {
    kartad.stop();
    kartad.forget_events();
    start();
  }
  void insert(std::string_view reader = TestDaemon::kReader) {
    kartad.forget_events();
    kartad.readers.insert(std::string(reader), contactless(card));
    ASSERT_TRUE(kartad.readers.await_taken());
  }
  void remove(std::string_view reader = TestDaemon::kReader) {
    kartad.forget_events();
    kartad.readers.remove(std::string(reader));
    ASSERT_TRUE(kartad.readers.await_taken());
  }

  /// Packages onto the card, as a clinic grants them.
  void grant(std::uint32_t packages) {
    card.put(os::Interface::contactless);
    const card::UnlockedTerminal clinic = card.terminal("clinic");
    const SecretBytes can = secret(kCan);
    auto identity =
        card::IdentityApplication::open(*card.plain, card.request(clinic, card::PacePassword::can, can), card.random);
    ASSERT_TRUE(identity) << identity.error().message;
    auto health = card::HealthApplication::open(identity->channel());
    ASSERT_TRUE(health) << health.error().message;
    card::MasterTransactionKeys masters{ledger_masters(kHealthMasters), card.random};
    auto ledger = health->open_for_granting(masters);
    ASSERT_TRUE(ledger) << ledger.error().message;
    card::HealthEntry entry;
    entry.deed = card::HealthEntry::Deed::granted;
    entry.terminal = Bytes(8, 0x0C);
    entry.number = 1;
    card::LedgerChange change{ledger->state().counters, entry.encode()};
    change.counters[0] += packages;
    ASSERT_TRUE(ledger->commit(change));
    ASSERT_TRUE(ledger->ratify());
    identity->close();
  }

  /// A ride, as a gate writes it.
  void ride() {
    card.put(os::Interface::contactless);
    auto transit = card::TransitApplication::open(*card.plain);
    ASSERT_TRUE(transit) << transit.error().message;
    card::MasterTransactionKeys masters{ledger_masters(kTransitMasters), card.random};
    auto ledger = transit->open_for_travel(masters);
    ASSERT_TRUE(ledger) << ledger.error().message;
    card::TransitEntry entry;
    entry.event = card::TransitEntry::Event::entry;
    entry.terminal = 7;
    entry.number = 1;
    entry.moment = card::moment_number(kartad.clock.now());
    entry.zone = 1;
    ASSERT_TRUE(ledger->commit({ledger->state().counters, entry.encode()}));
    ASSERT_TRUE(ledger->ratify());
  }

  Request good(const Operation& operation) {
    return request_for(operation, good_body(id_of(operation)), visit.empty() ? "none" : visit);
  }

  /// The stream from its beginning: every event is as documented, numbers go on, and a client that comes back misses
  /// nothing.
  void watch_events() {
    const auto first_of = [](const std::string& text, const std::string& name) {
      const std::size_t at = text.find("\n" + name + ": ");
      return at == std::string::npos
                 ? ""
                 : text.substr(at + name.size() + 3, text.find('\n', at + 1) - at - name.size() - 3);
    };
    const auto open = [&](const std::string& last) {
      auto socket = std::make_unique<service::TestSocket>(where);
      EXPECT_TRUE(socket->send(Request{
          .target = "/v1/events", .fields = {{"Authorization", bearer(TestDaemon::kToken)}, {"Last-Event-ID", last}}}
                                   .text(where)));
      Reply reply = parse_reply(socket->until("\r\n\r\n"));
      reply.body.clear();
      hold({.target = "/v1/events"}, reply);
      return socket;
    };
    const auto socket = open("0");
    std::uint64_t number = 0, middle = 0;
    std::set<std::string> kinds;
    while (!kinds.contains("redemption") || !kinds.contains("tap")) {
      const std::string text = "\n" + socket->until("\n\n");
      ASSERT_GT(text.size(), 1u) << "the stream ended";
      const std::string data = first_of(text, "data");
      if (data.empty()) continue;  // a comment
      const std::string kind = first_of(text, "event");
      kinds.insert(kind);
      EXPECT_THAT(api.check_value("#/components/schemas/Event", OpenApi::Json::parse(data)), IsEmpty()) << kind << data;
      const std::uint64_t id = std::stoull(first_of(text, "id"));
      EXPECT_GT(id, number);
      number = id;
      if (kind == "visit") middle = id;
    }
    for (const char* const kind :
         {"reader-added", "card-in", "card-out", "progress", "visit", "failure", "refusal", "caller-refused"}) {
      EXPECT_TRUE(kinds.contains(kind)) << kind;
    }
    const auto resumed = open(std::to_string(middle));
    std::string text;
    do {
      text = "\n" + resumed->until("\n\n");
      ASSERT_GT(text.size(), 1u) << "the stream ended";
    } while (first_of(text, "data").empty());
    EXPECT_EQ(first_of(text, "id"), std::to_string(middle + 1));
  }

  static std::string sample_portrait_text() { return std::string(as_text(sample_portrait())); }

  /// The card goes while its portrait is on its way.
  void lose_portrait() {
    kartad.forget_events();
    kartad.readers.insert(std::string(TestDaemon::kReader), contactless(card, [](ByteView command, Bytes answer) {
                            const bool portrait = command.size() > 2 && command[1] == 0xB0 && command[2] == 0x8E;
                            return portrait ? Bytes{} : answer;
                          }));
    ASSERT_TRUE(kartad.readers.await_taken());
    const Reply lost = post("/v1/visits", good_body("open-visit"));
    ASSERT_EQ(lost.status, 201) << lost.body;
    EXPECT_EQ(get(Json::parse(lost.body)["portrait"].get<std::string>()).status, 409);
  }

  IdentityCard card{IdentityCardOptions{.card_signed = true, .portrait = true}};
  TestDaemon kartad;
  std::string visit;  ///< one that is kept
};

TEST(OpenApiDocuments, AreWithoutFault) {
  for (const char* const name : {"kartad.yaml", "kartad-counter.yaml"}) {
    EXPECT_THAT(read_document(name).faults(), IsEmpty()) << name;
  }
}

TEST_F(OpenApiDaemonTest, EveryPathMethodStatusAndMemberIsTrue) {
  for (const Operation& operation : api.operations()) refuse_all(operation, good_body(id_of(operation)));

  // A card that is none of ours.
  kartad.forget_events();
  for (const std::string_view reader : {TestDaemon::kReader, kGateReader}) {
    kartad.readers.insert(std::string(reader), {.process =
                                                    [](ByteView) {
                                                      return Bytes{0x6A, 0x82};
                                                    },
                                                .atr = [] { return *from_hex("3B8001"); },
                                                .reset = [] {}});
  }
  ASSERT_TRUE(kartad.saw("tap"));
  for (const Operation& operation : api.operations()) {
    if (operation.method != "POST") continue;
    SCOPED_TRACE(operation.name());
    EXPECT_EQ(ask(good(operation)).status, 422);
    Request wrong = good(operation);
    wrong.body = R"({"surprise": 1})";
    EXPECT_EQ(ask(wrong).status, 400);
  }
  remove();
  remove(kGateReader);

  // What goes well.
  grant(3);
  ride();
  insert();
  Reply reply = post("/v1/visits", good_body("open-visit"));
  ASSERT_EQ(reply.status, 201) << reply.body;
  const Json accepted = Json::parse(reply.body);
  EXPECT_EQ(accepted["decision"], "accepted") << accepted["reasons"] << accepted["card"] << accepted["holder"];
  visit = accepted["id"];
  EXPECT_EQ(reply.field("location"), "/v1/visits/" + visit);
  EXPECT_EQ(get("/v1/visits/" + visit).status, 200);
  EXPECT_EQ(get("/v1/visits/0000").status, 404);
  EXPECT_EQ(get("/v1/visits/" + visit + "/portrait").body, sample_portrait_text());
  EXPECT_EQ(get("/v1/visits/0000/portrait").status, 404);
  EXPECT_EQ(get("/v1/visits/%zz/portrait").status, 400);
  EXPECT_EQ(get("/v1/visits/%zz").status, 400);
  const auto forget = [&](const std::string& id) {
    return ask({.method = "DELETE",
                .target = "/v1/visits/" + id,
                .fields = {{"Authorization", bearer(TestDaemon::kToken)}}})
        .status;
  };
  EXPECT_EQ(forget("%"), 400);
  EXPECT_EQ(forget(visit), 204);
  EXPECT_EQ(forget(visit), 404);
  EXPECT_EQ(post("/v1/visits", {{"purpose", "treatment"}, {"can", "000000"}}).status, 403);
  reply = post("/v1/redemptions", good_body("redeem"), "deed-1");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Reply again = post("/v1/redemptions", good_body("redeem"), "deed-1");
  EXPECT_EQ(again.body, reply.body);
  EXPECT_EQ(again.field("idempotent-replayed"), "true");
  Json other = good_body("redeem");
  other["packages"] = 2;
  EXPECT_EQ(post("/v1/redemptions", other, "deed-1").status, 422);
  reply = post("/v1/entitlements", good_body("entitlements"));
  EXPECT_EQ(reply.status, 200) << reply.body;
  remove();
  insert(kGateReader);
  ASSERT_TRUE(kartad.saw("tap"));
  EXPECT_EQ(post("/v1/inspections", good_body("inspect")).status, 200);
  EXPECT_EQ(post("/v1/inspections", Json::object()).status, 200);
  EXPECT_EQ(get("/v1/gates").status, 200);
  remove(kGateReader);

  EXPECT_EQ(get("/v1/status").status, 200);
  EXPECT_EQ(get("/v1/readers").status, 200);
  EXPECT_EQ(get("/metrics").status, 200);
  EXPECT_EQ(get("/v1/journal?after=1&limit=3").status, 200);
  EXPECT_EQ(get("/v1/journal").status, 200);
  for (const char* const query : {"after=x", "after=-1", "limit=1e9", "after=%zz"}) {
    EXPECT_EQ(get("/v1/journal?" + std::string(query)).status, 400) << query;
  }
  EXPECT_EQ(
      ask({.target = "/v1/events", .fields = {{"Authorization", bearer(TestDaemon::kToken)}, {"Last-Event-ID", "x"}}})
          .status,
      400);
  watch_events();

  lose_portrait();
  remove();

  // Health in both colours.
  EXPECT_EQ(get("/healthz").status, 200);
  kartad.forget_events();
  kartad.readers.stop_pcscd();
  ASSERT_TRUE(kartad.readers.await_taken());
  EXPECT_EQ(get("/healthz").status, 503);
  kartad.forget_events();
  kartad.readers.start_pcscd();
  ASSERT_TRUE(kartad.saw("reader-added"));

  // A stopped card, for the members that a refusal has; an authority nobody answers at, for the state of the upload.
  kartad.write_stop_list({4711});
  configure("[authority]\nurl = \"http://127.0.0.1:9\"\n");
  restart();
  insert();
  reply = post("/v1/visits", good_body("open-visit"));
  ASSERT_EQ(reply.status, 201) << reply.body;
  EXPECT_EQ(Json::parse(reply.body)["decision"], "refused");
  EXPECT_EQ(get("/v1/status").status, 200);

  EXPECT_THAT(api.unseen(), IsEmpty()) << "documented, and never true";
}

TEST_F(OpenApiDaemonTest, WhatTheDocumentDoesNotHaveIsNotThere) {
  for (const char* const target : {"/v1", "/v1/", "/v1/nothing", "/v1/visits/", "/v1/visits/1/2", "/v2/status",
                                   "/nothing", "/v1/status/", "/V1/STATUS", "/v1/%73tatus", "/.."}) {
    const Reply reply = get(target);
    EXPECT_EQ(reply.status, 404) << target;
    EXPECT_THAT(api.check_value("#/components/schemas/Problem", OpenApi::Json::parse(reply.body)), IsEmpty());
  }
  std::set<std::string> paths;
  for (const Operation& operation : api.operations()) paths.insert(operation.path);
  for (const std::string& path : paths) {
    for (const char* const method : {"PUT", "PATCH", "OPTIONS", "DELETE", "POST", "GET"}) {
      std::string target = path;
      if (const std::size_t open = target.find('{'); open != std::string::npos) target = target.substr(0, open) + "x";
      if (api.find(method, target) != nullptr) continue;
      const Reply reply =
          ask({.method = method, .target = target, .fields = {{"Authorization", bearer(TestDaemon::kToken)}}});
      EXPECT_EQ(reply.status, 405) << method << " " << target;
      EXPECT_FALSE(reply.field("allow").empty()) << method << " " << target;
    }
  }
}

/// Values made of a schema, and then broken. The same seed makes the same.
class Mutator {
 public:
  Mutator(const OpenApi& api, std::uint32_t seed) : api_(api), random_(seed) {}

  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  bool once_in(std::size_t n) { return below(n) == 0; }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[below(all.size())];
  }

  /// A value the schema allows.
  Json make(const OpenApi::Json& given) {
    OpenApi::Json::json_pointer where;
    const OpenApi::Json& schema = api_.resolve(given, where);
    Json out = Json::object();
    for (const char* const several : {"allOf", "anyOf", "oneOf"}) {
      if (!schema.contains(several)) continue;
      const auto& all = schema.at(several);
      const std::size_t only = below(all.size());
      for (std::size_t i = 0; i < all.size(); ++i) {
        if (several == std::string_view("allOf") || i == only) out.update(make(all[i]));
      }
    }
    if (schema.contains("const")) return Json(schema.at("const"));
    if (schema.contains("properties")) {
      const OpenApi::Json required = schema.value("required", OpenApi::Json::array());
      for (const auto& [name, member] : schema.at("properties").items()) {
        const bool must = std::find(required.begin(), required.end(), name) != required.end();
        if (must || once_in(3)) out[name] = make(member);
      }
    }
    if (schema.contains("examples") && once_in(2)) return Json(schema.at("examples")[0]);
    const std::string type =
        schema.contains("type") && schema.at("type").is_string() ? schema.at("type").get<std::string>() : "object";
    if (type == "string") return text_of(schema);
    if (type == "integer") {
      const std::int64_t least = schema.value("minimum", std::int64_t{0}),
                         most = schema.value("maximum", std::int64_t{1000});
      return once_in(4) ? least : once_in(4) ? most : std::uniform_int_distribution<std::int64_t>(least, most)(random_);
    }
    if (type == "boolean") return once_in(2);
    return out;
  }

  /// Something no schema asked for.
  Json surprise() {
    static const std::vector<Json> all = {nullptr,
                                          true,
                                          false,
                                          0,
                                          -1,
                                          1e308,
                                          9007199254740993,
                                          18446744073709551615u,
                                          std::int64_t{-9223372036854775807 - 1},
                                          "",
                                          "0",
                                          "A10BA02",
                                          "../../etc/passwd",
                                          "%s%n",
                                          "\u0000",
                                          std::string(300, 'x'),
                                          std::string(5000, '9'),
                                          "\xd0\x9f\xd1\x80\xd0\xb8\xd0\xb2\xd0\xb5\xd1\x82",
                                          "' OR 1=1 --",
                                          "\r\nX: y",
                                          Json::array(),
                                          Json::object(),
                                          Json::array({1, "2", nullptr}),
                                          Json{{"can", "314159"}}};
    return one_of(all);
  }

  void spoil(Json& body) {
    if (!body.is_object() || body.empty() || once_in(8)) {
      body = surprise();
      return;
    }
    auto at = body.begin();
    std::advance(at, below(body.size()));
    switch (below(4)) {
      case 0:
        body.erase(at);
        return;
      case 1:
        at.value() = surprise();
        return;
      case 2:
        body[one_of<std::string>({"reader", "can", "pin", "purpose", "puk", "x", "", "__proto__"})] = surprise();
        return;
      default: {
        Json deep = surprise();
        for (std::size_t i = below(40); i > 0; --i) deep = Json::array({deep});
        at.value() = deep;
      }
    }
  }

  /// Octets changed, added, left out.
  void damage(std::string& text) {
    for (std::size_t i = 1 + below(4); i > 0 && !text.empty(); --i) {
      const std::size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = static_cast<char>(below(256));
          break;
        case 1:
          text.insert(at, 1 + below(3), static_cast<char>(below(256)));
          break;
        case 2:
          text.erase(at, 1 + below(8));
          break;
        default:
          text.insert(at, text.substr(at, below(64)));
      }
    }
  }

 private:
  Json text_of(const OpenApi::Json& schema) {
    const auto pattern = schema.value("pattern", std::string());
    if (pattern == "^[0-9]{6}$") return once_in(2) ? std::string(kCan) : std::to_string(100'000 + below(900'000));
    if (pattern == "^[0-9]{5,8}$") return std::to_string(10'000 + below(90'000'000));
    std::string out;
    const std::size_t least = schema.value("minLength", std::size_t{0}),
                      most = schema.value("maxLength", std::size_t{20});
    for (std::size_t i = least + below(most - least + 1); i > 0; --i) out += static_cast<char>(' ' + below(95));
    return out;
  }

  const OpenApi& api_;
  std::mt19937 random_;
};

TEST_F(OpenApiDaemonTest, BrokenRequestsAreAnsweredAndNeverBreakIt) {
  constexpr int kRequests = 2000;
  Mutator mutator(api, 20261122);
  insert();
  int answered = 0, good_ones = 0, silent = 0;
  for (int i = 0; i < kRequests; ++i) {
    // Most of the time without a card: it is the requests that are tried.
    if (i == kRequests / 10) remove();
    const Operation& operation = mutator.one_of(api.operations());
    if (operation.path == "/v1/events") continue;  // has no end by itself
    Request request = good(operation);
    if (const auto* const schema = api.request_schema(operation)) {
      Json body = mutator.make(*schema);
      if (mutator.once_in(2)) mutator.spoil(body);
      request.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
      if (mutator.once_in(10)) mutator.damage(request.body);
    }
    if (mutator.once_in(6))
      request.set("Idempotency-Key", mutator.one_of<std::string>({"", "k", "k 2", std::string(129, 'k')}));
    if (mutator.once_in(12))
      request.set("Authorization",
                  mutator.one_of<std::string>({"", "Bearer", "Basic eDp5", bearer(TestDaemon::kViewer)}));
    if (mutator.once_in(12))
      request.set("Content-Type",
                  mutator.one_of<std::string>({"", "text/json", "application/json; charset=x", "application/json;"}));
    if (mutator.once_in(12))
      request.method = mutator.one_of<std::string>({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "TRACE"});
    if (mutator.once_in(8)) {
      request.target += mutator.one_of<std::string>({"/", "?x=%", "?after=18446744073709551616", "%00", "/../status",
                                                     "//", "?limit=99999999999", "%", ";a=b", std::string(2000, 'a')});
    }
    if (request.method == "HEAD") request.method = "GET";  // TestSocket waits for the body that HEAD leaves out
    if (request.target.starts_with("/v1/events")) continue;
    std::string text = request.text(where);
    const bool damaged = mutator.once_in(8);
    if (damaged) mutator.damage(text);

    service::TestSocket socket(where);
    ASSERT_TRUE(socket.connected()) << "the daemon is gone after " << i << " requests";
    socket.send(text);
    // A request without its end is waited for: there is none to come.
    if (damaged) socket.end_sending();
    const Reply reply = parse_reply(socket.response(60));
    if (damaged && reply.status == 0) {
      ++silent;
      continue;
    }
    ++answered;
    ASSERT_NE(reply.status, 0) << text;
    EXPECT_NE(reply.status, 500) << text << reply.body;
    if (damaged || reply.field("content-type").starts_with("text/plain")) {
      const bool plain = !reply.field("content-type").starts_with("text/plain; charset") ||
                         request.target == "/metrics" || reply.status == 400 || reply.status == 413 ||
                         reply.status == 431;
      EXPECT_TRUE(plain) << reply.status << " " << text;
      continue;
    }
    hold(request, reply);
    if (reply.status < 300) ++good_ones;
  }
  // The dice must not have made it easy: most were answered, some were good.
  EXPECT_GT(answered, kRequests * 8 / 10);
  EXPECT_GT(good_ones, 50);
  EXPECT_LT(silent, kRequests / 5);
  EXPECT_EQ(get("/v1/status").status, 200);
  const auto verified = kartad.running().journal().verify();
  EXPECT_TRUE(verified) << verified.error().message;
  insert();
  EXPECT_EQ(post("/v1/visits", good_body("open-visit")).status, 201);
}

TEST_F(OpenApiDaemonTest, SlowClientsHoldNobodyUp) {
  configure();
  std::string text = std::string(as_text(kartad.folder.read("kartad.toml")));
  text.replace(text.find("stop_seconds = 5"), 16, "stop_seconds = 5\nrequest_seconds = 1\nevent_streams = 4");
  kartad.folder.write("kartad.toml", text);
  restart();
  const std::string whole = good(*api.find("POST", "/v1/visits")).text(where);
  std::vector<service::TestSocket> slow;
  for (std::size_t i = 0; i < 60; ++i) {
    slow.emplace_back(where);
    ASSERT_TRUE(slow.back().send(whole.substr(0, whole.size() * (i + 1) / 61)));
  }
  // Those who read no events: as many as may be, and no more.
  std::vector<service::TestSocket> deaf;
  for (int i = 0; i < 4; ++i) {
    deaf.emplace_back(where);
    ASSERT_TRUE(deaf.back().send(
        Request{.target = "/v1/events", .fields = {{"Authorization", bearer(TestDaemon::kToken)}}}.text(where)));
    EXPECT_THAT(deaf.back().until("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  }
  EXPECT_EQ(
      parse_reply([&] {
        service::TestSocket one_more(where);
        one_more.send(
            Request{.target = "/v1/events", .fields = {{"Authorization", bearer(TestDaemon::kToken)}}}.text(where));
        return one_more.response();
      }())
          .status,
      503);
  insert();
  EXPECT_EQ(post("/v1/visits", good_body("open-visit")).status, 201);
  for (service::TestSocket& one : slow) EXPECT_THAT(one.response(), StartsWith("HTTP/1.1 408"));
}

TEST_F(OpenApiDaemonTest, OversizeRequestsAreRefused) {
  const std::string authorized = "Host: " + where + "\r\nAuthorization: " + bearer(TestDaemon::kToken) + "\r\n";
  const std::string post = "POST /v1/visits HTTP/1.1\r\nContent-Type: application/json\r\n" + authorized;
  std::string many;
  for (int i = 0; i < 200; ++i) many += "X-" + std::to_string(i) + ": y\r\n";
  std::string chunks;
  for (int i = 0; i < 100; ++i) chunks += "400\r\n" + std::string(0x400, ' ') + "\r\n";
  struct Case {
    const char* what;
    std::string text;
    int status;
  };
  const std::vector<Case> cases = {
      {"a long path", "GET /" + std::string(20'000, 'a') + " HTTP/1.1\r\n" + authorized + "\r\n", 431},
      {"a long field", "GET /v1/status HTTP/1.1\r\n" + authorized + "X: " + std::string(20'000, 'a') + "\r\n\r\n", 431},
      {"many fields", "GET /v1/status HTTP/1.1\r\n" + authorized + many + "\r\n", 431},
      {"a long body announced", post + "Content-Length: 999999999999\r\n\r\n", 413},
      {"a body longer than 64 bits", post + "Content-Length: 99999999999999999999999\r\n\r\n", 400},
      {"a long body in chunks", post + "Transfer-Encoding: chunked\r\n\r\n" + chunks, 413},
      {"two lengths", post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}}", 400},
  };
  for (const Case& one : cases) {
    service::TestSocket socket(where);
    socket.send(one.text);
    EXPECT_EQ(parse_reply(socket.response()).status, one.status) << one.what;
  }
  Request deep = good(*api.find("POST", "/v1/visits"));
  deep.body = R"({"case": )" + std::string(30'000, '[') + std::string(30'000, ']') + "}";
  EXPECT_EQ(ask(deep).status, 400);
  EXPECT_EQ(get("/v1/status").status, 200);
}

}  // namespace
}  // namespace karta::test
