// docs/openapi/kartad-counter.yaml and a running counter, with the centre's desk behind it and an issued card in the
// reader: each path, status and member of the document is provoked, and nothing else comes.
#include "base/file.h"
#include "daemon/counter/counter_mode.h"
#include "daemon/fake_authority.h"
#include "tests/desk/desk_world.h"
#include "tests/kartad/openapi/exchange.h"

namespace karta::test {
namespace {

using testing::IsEmpty;
using Operation = OpenApi::Operation;

constexpr daemon::ModeRow kCounterModes[] = {{"counter", daemon::read_counter}};

/// The way to the desk; `on_open` is asked before a session begins there.
class CounterLine final : public daemon::testing::FakeAuthority {
 public:
  CounterLine(identity::DeskPort& desk, const std::function<Status()>& on_open)
      : desk_(desk), line_(desk), on_open_(on_open) {}
  Result<identity::DeskStep> open_desk(std::string_view request) override {
    if (on_open_) TRY(on_open_());
    return line_.open_desk(request);
  }
  Result<identity::DeskStep> next_desk(std::string_view session, const identity::DeskReplies& replies) override {
    return line_.next_desk(session, replies);
  }
  /// As the authority does it, without a registry of accounts: whose card was shown here.
  Result<identity::MadeAccount> make_account(const identity::AccountOrder& order) override {
    TRY(desk_.shown(kCounter, order.session, order.login + " " + order.way + " " + order.mail));
    if (order.login == kTaken) return fail(ErrorKind::already_exists, "another citizen has this login name");
    identity::MadeAccount made{order.login, order.way, {}};
    if (order.way == "app") made.otpauth = SecretBytes::copy_of(kOtpauth);
    return made;
  }
  Result<bool> remove_account(const identity::AccountRemoval& removal) override {
    TRY(desk_.shown(kCounter, removal.session, "removal"));
    return true;
  }

  static constexpr std::string_view kTaken = "somebody.else";
  static constexpr std::string_view kOtpauth =
      "otpauth://totp/id.example:sample?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=id.example";

 private:
  identity::DeskPort& desk_;
  DeskLine line_;
  const std::function<Status()>& on_open_;
};

class OpenApiCounterTest : public DeskTest, protected Exchange {
 protected:
  OpenApiCounterTest() : Exchange("kartad-counter.yaml") {}
  void SetUp() override {
    world = std::make_unique<DeskWorld>(base, serial);
    kartad.clock.advance(world->clock.now() - kartad.clock.now());
    card::TerminalStore store(kartad.folder / "counter");
    const card::CvDate today = card::cv_date_of(kartad.clock.now());
    ASSERT_TRUE(store.create("XX", CentreForTerminals::quick(), kartad.centre.passphrase, today));
    ASSERT_TRUE(store.issue_terminal(*card::find_terminal_role("counter"), {}, CentreForTerminals::quick(),
                                     kartad.centre.passphrase, today));
    const auto caller = [](std::string_view name, std::string_view token, std::string_view verbs) {
      return "[[caller]]\nname = \"" + std::string(name) + "\"\ntoken_sha256 = \"" + service::token_hash(token) +
             "\"\nverbs = [\"" + std::string(verbs) + "\"]\n";
    };
    kartad.folder.write("kartad.toml",
                        "schema = \"karta.kartad/1\"\nstate = \"state\"\n"
                        "[server]\nlisten = [\"127.0.0.1:0\"]\nverb_seconds = 120\n[limits]\nstop_seconds = 5\n" +
                            caller("program", TestDaemon::kToken, "*") +
                            caller("viewer", TestDaemon::kViewer, "status") +
                            "[[reader]]\nname = \"Sim *\"\nmodes = [\"counter\"]\n"
                            "[[terminal]]\nrole = \"counter\"\nfolder = \"counter\"\npassphrase_file = \"secret\"\n"
                            "[authority]\nurl = \"https://desk.example\"\nupload_seconds = 3600\n[counter]\n");
    kartad.modes.assign(std::begin(kCounterModes), std::end(kCounterModes));
    kartad.connect = [this]() -> Result<std::unique_ptr<identity::Authority>> {
      return std::make_unique<CounterLine>(*world->desk, on_open);
    };
    const Status started = kartad.start();
    ASSERT_TRUE(started) << started.error().message;
    where = kartad.running().addresses().front();
    ASSERT_TRUE(kartad.saw("reader-added"));
  }
  void TearDown() override { kartad.stop(); }

  /// `wire`: sees each command with its answer and may change it.
  void insert(std::function<Bytes(ByteView, Bytes)> wire = {}) {
    kartad.forget_events();
    kartad.readers.insert(std::string(TestDaemon::kReader),
                          {.process =
                               [this, wire](ByteView command) {
                                 Bytes answer = to_bytes(world->card->process(to_bytes(command)));
                                 return wire ? wire(command, std::move(answer)) : answer;
                               },
                           .atr = [this] { return to_bytes(world->card->atr()); },
                           .reset =
                               [this] {
                                 world->card->power_off();
                                 world->card->power_on();
                               }});
    ASSERT_TRUE(kartad.saw("card-in"));
  }
  Json good_body(const std::string& id) const {
    if (id == "unblock") return {{"with", "letter"}};
    if (id == "renew") return {{"all", true}};
    if (id == "loadApplication") return {{"aid", to_hex(kLibrary)}, {"offer", offer}};
    if (id == "replace") return {{"why", "damaged"}};
    if (id == "makeAccount") return {{"login", "sample"}, {"way", "app"}, {"agreed", true}};
    if (id == "removeAccount") return {{"agreed", true}};
    return Json::object();
  }
  Reply perform(const std::string& id) {
    for (const Operation& operation : api.operations()) {
      if (id_of(operation) == id) return ask(request_for(operation, good_body(id)));
    }
    ADD_FAILURE() << "there is no operation " << id;
    return {};
  }
  /// As the holder's letter has it.
  std::string puk() const {
    const auto letter = read_file(world->letters() / (serial + ".txt"), 100'000);
    EXPECT_TRUE(letter);
    const std::string text(letter ? as_text(*letter) : "");
    const std::size_t at = text.find("PUK: ");
    EXPECT_NE(at, std::string::npos);
    return at == std::string::npos ? "" : text.substr(at + 5, 10);
  }
  /// What a department makes of the card's certificate.
  void make_offer(const Json& agreement) {
    const auto certificate = crypto::Certificate::from_der(*from_hex(agreement.at("certificate").get<std::string>()));
    ASSERT_OK(certificate);
    const auto key = certificate->public_key();
    ASSERT_OK(key);
    const auto made =
        card::DomainOffer::make(kLibrary, *from_hex(serial), *key->type(), key->key_octets(), 1, 32, world->random);
    ASSERT_OK(made);
    offer = to_hex(made->message);
  }

  std::unique_ptr<DeskWorld> world;
  TestDaemon kartad;
  std::function<Status()> on_open;  // set while nobody asks
  std::string offer = "00";
};

TEST_F(OpenApiCounterTest, EveryPathStatusAndMemberIsTrue) {
  for (const Operation& operation : api.operations()) refuse_all(operation, good_body(id_of(operation)));

  // A card that is none of ours.
  kartad.forget_events();
  kartad.readers.insert(std::string(TestDaemon::kReader), {.process =
                                                               [](ByteView) {
                                                                 return Bytes{0x6A, 0x82};
                                                               },
                                                           .atr = [] { return *from_hex("3B8001"); },
                                                           .reset = [] {}});
  ASSERT_TRUE(kartad.saw("card-in"));
  for (const Operation& operation : api.operations()) {
    SCOPED_TRACE(operation.name());
    EXPECT_EQ(ask(request_for(operation, good_body(id_of(operation)))).status, 422);
    EXPECT_EQ(ask(request_for(operation, {{"surprise", 1}})).status, 400);
  }

  // One that the registry does not have, or that has no certificate for departments.
  insert([](ByteView command, Bytes answer) {
    const Bytes file{0x00, 0xC6};
    const bool named = std::search(command.begin(), command.end(), file.begin(), file.end()) != command.end();
    return command.size() > 1 && command[1] == 0xA4 && named ? Bytes{0x6A, 0x82} : answer;
  });
  for (const Operation& operation : api.operations()) {
    SCOPED_TRACE(operation.name());
    on_open = [] { return Status(fail(ErrorKind::not_found, "the registry has no such card")); };
    EXPECT_EQ(ask(request_for(operation, good_body(id_of(operation)))).status, 404);
  }
  on_open = {};

  // What goes well, in a card's order.
  insert();
  Reply reply = perform("activate");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(Json::parse(reply.body)["already"], false);
  reply = perform("activate");
  EXPECT_EQ(Json::parse(reply.body)["already"], true) << "another key, and the deed is done already";
  reply = post("/v1/activations", Json::object(), "one key");
  EXPECT_EQ(reply.status, 400) << "no key of printable characters";
  reply = post("/v1/activations", Json::object(), "one-key");
  const Reply again = post("/v1/activations", Json::object(), "one-key");
  EXPECT_EQ(again.body, reply.body);
  EXPECT_EQ(again.field("idempotent-replayed"), "true");
  EXPECT_EQ(post("/v1/activations", {{"reason", "another"}}, "one-key").status, 422);

  reply = perform("unblock");
  EXPECT_EQ(reply.status, 200) << reply.body;
  const Json by_puk{{"with", "puk"}, {"puk", puk()}, {"new_pin", "258036"}};
  reply = post("/v1/unblockings", by_puk, "by-puk");
  EXPECT_EQ(reply.status, 200) << reply.body;
  reply = perform("renew");
  EXPECT_EQ(reply.status, 200) << reply.body;
  reply = perform("agreement");
  ASSERT_EQ(reply.status, 200) << reply.body;
  make_offer(Json::parse(reply.body));
  reply = perform("loadApplication");
  EXPECT_EQ(reply.status, 200) << reply.body;
  reply = perform("makeAccount");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(Json::parse(reply.body)["otpauth"], CounterLine::kOtpauth);
  reply = perform("removeAccount");
  EXPECT_EQ(reply.status, 200) << reply.body;
  reply = perform("replace");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(world->record().state, identity::CardState::active) << "until its successor is activated";

  EXPECT_THAT(api.unseen(), IsEmpty()) << "documented, and never true";
}

// What a citizen's app learns is in one answer, and nowhere else on this machine.
TEST_F(OpenApiCounterTest, AnAccountsSecretIsToldOnceAndKeptNowhere) {
  ASSERT_OK(
      world->centre->registry().change_card_state(world->record().id, identity::CardState::active, {"test", "x"}));
  insert();
  const Json app{{"login", "sample"}, {"way", "app"}, {"agreed", true}, {"operator", "clerk 3"}, {"reason", "a visit"}};
  const Reply first = post("/v1/accounts", app, "one");
  ASSERT_EQ(first.status, 200) << first.body;
  const Json told = Json::parse(first.body);
  EXPECT_EQ(told["otpauth"], CounterLine::kOtpauth);
  EXPECT_TRUE(told["qr"].get<std::string>().ends_with("</svg>\n"));
  EXPECT_EQ(told["state"], "active");
  const Reply again = post("/v1/accounts", app, "one");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.field("idempotent-replayed"), "true");
  Json rest = told;
  rest.erase("otpauth");
  rest.erase("qr");
  EXPECT_EQ(Json::parse(again.body), rest);
  const Json by_mail{{"login", "by.mail"}, {"way", "mail"}, {"mail", "sample@mail.example"}, {"agreed", true}};
  const Reply mail = post("/v1/accounts", by_mail, "two");
  ASSERT_EQ(mail.status, 200) << mail.body;
  EXPECT_EQ(post("/v1/accounts", by_mail, "two").field("idempotent-replayed"), "true");
  Json elsewhere = by_mail;
  elsewhere["mail"] = "another@mail.example";
  const Reply reused = post("/v1/accounts", elsewhere, "two");
  EXPECT_EQ(reused.status, 422) << "not told as done: codes go to the first address";
  EXPECT_THAT(reused.body, ::testing::HasSubstr("key-reused"));
  EXPECT_FALSE(Json::parse(mail.body).contains("otpauth"));

  // Refused by the authority, or before anything is asked of the card.
  Json taken = app;
  taken["login"] = CounterLine::kTaken;
  EXPECT_EQ(post("/v1/accounts", taken, "three").status, 409);
  for (const auto& [name, value] : std::initializer_list<std::pair<const char*, Json>>{{"agreed", false},
                                                                                       {"agreed", nullptr},
                                                                                       {"way", "letter"},
                                                                                       {"login", ""},
                                                                                       {"login", 7},
                                                                                       {"mail", "with@an.app"},
                                                                                       {"card", "another"}}) {
    Json wrong = app;
    wrong[name] = value;
    EXPECT_EQ(post("/v1/accounts", wrong, "wrong-" + std::string(name)).status, 400) << wrong;
  }
  EXPECT_EQ(post("/v1/accounts", {{"login", "x.y"}, {"way", "mail"}, {"agreed", true}}, "no-mail").status, 400);
  EXPECT_EQ(post("/v1/account-removals", Json::object(), "silent").status, 400) << "nobody asked for it";

  // The journal knows that it was done, not what was told.
  unsigned ends = 0;
  const auto records = kartad.running().journal().pages(0, 1000);
  ASSERT_OK(records);
  for (const identity::JournalRecord& record : *records) {
    for (const std::string_view word : {"otpauth", "GEZDGNBV", "mail.example", "svg"}) {
      EXPECT_EQ(record.body.find(word), std::string::npos) << record.body;
    }
    ends += record.kind == "counter" && Json::parse(record.body)["deed"] == "account" ? 1 : 0;
  }
  EXPECT_EQ(ends, 3u);
  kartad.stop();
  for (const auto& file : fs::recursive_directory_iterator(kartad.folder / "state")) {
    if (!file.is_regular_file()) continue;
    const auto octets = read_file(file.path(), 1 << 24);
    ASSERT_OK(octets);
    for (const std::string_view word : {"GEZDGNBV", "sample@mail.example", "<svg"}) {
      EXPECT_EQ(as_text(*octets).find(word), std::string_view::npos) << file.path();
    }
  }
}

// A counter that waits before it asks the authority once more is not waited for by who stops it.
TEST_F(OpenApiCounterTest, NobodyWaitsForABetterTimeWhenTheDaemonStops) {
  insert();
  std::promise<void> asked;
  std::atomic<unsigned> attempts = 0;
  on_open = [&]() -> Status {
    if (++attempts == 1) asked.set_value();
    // Until the daemon takes nobody any more: it is stopping.
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (service::TestSocket(where).connected() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    return fail(ErrorKind::io, "the authority is away");
  };
  Reply reply;
  std::thread client([&] { reply = post("/v1/activations", Json::object(), "once"); });
  EXPECT_EQ(asked.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  kartad.stop();
  client.join();
  EXPECT_EQ(attempts, 1u);
  EXPECT_EQ(reply.status, 503) << reply.body;
}

}  // namespace
}  // namespace karta::test
