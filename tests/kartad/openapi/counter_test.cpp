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
  CounterLine(identity::DeskPort& desk, const std::function<Status()>& on_open) : line_(desk), on_open_(on_open) {}
  Result<identity::DeskStep> open_desk(std::string_view request) override {
    if (on_open_) TRY(on_open_());
    return line_.open_desk(request);
  }
  Result<identity::DeskStep> next_desk(std::string_view session, const identity::DeskReplies& replies) override {
    return line_.next_desk(session, replies);
  }

 private:
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
  reply = perform("replace");
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(world->record().state, identity::CardState::active) << "until its successor is activated";

  EXPECT_THAT(api.unseen(), IsEmpty()) << "documented, and never true";
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
