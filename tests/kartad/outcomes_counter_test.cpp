// A card that answers garbage, late or never, or is pulled, at each command of a counter's deeds: an outcome with a
// name, in the journal, nothing told as done that is not; and the same call repeated with the card back ends in the
// right state.
#include "card/card_state.h"
#include "daemon/counter/counter_mode.h"
#include "daemon/fake_authority.h"
#include "tests/desk/desk_world.h"
#include "tests/kartad/card_faults.h"
#include "tests/kartad/daemon_fixture.h"

namespace karta::test {
namespace {

constexpr daemon::ModeRow kCounterModes[] = {{"counter", daemon::read_counter}};
constexpr std::chrono::seconds kVerbTime{120};
constexpr unsigned kLongDeed = 12;  // behind it, what is alike is tried now and then only
constexpr unsigned kStride = 6;
constexpr std::string_view kNewPin = "258036";

/// The way to the centre's desk, with accounts that are made where a card was shown.
class CounterLine final : public daemon::testing::FakeAuthority {
 public:
  explicit CounterLine(identity::DeskPort& desk) : desk_(desk), line_(desk) {}
  Result<identity::DeskStep> open_desk(std::string_view request) override { return line_.open_desk(request); }
  Result<identity::DeskStep> next_desk(std::string_view session, const identity::DeskReplies& replies) override {
    return line_.next_desk(session, replies);
  }
  Result<identity::MadeAccount> make_account(const identity::AccountOrder& order) override {
    TRY(desk_.shown(kCounter, order.session, order.login));
    return identity::MadeAccount{order.login, order.way, {}};
  }

 private:
  identity::DeskPort& desk_;
  DeskLine line_;
};

/// A deed as a desk program asks for it.
struct CounterDeed {
  const char* name;
  const char* path;
  bool fresh_card;  ///< each time: it can be done once only
  bool once;        ///< changes the card: an Idempotency-Key, and records of beginning and end
};
constexpr CounterDeed kDeeds[] = {
    {"Activate", "/v1/activations", true, true},      {"UnblockByLetter", "/v1/unblockings", false, true},
    {"UnblockByPuk", "/v1/unblockings", false, true}, {"Renew", "/v1/renewals", false, true},
    {"Application", "/v1/applications", true, true},  {"Account", "/v1/accounts", false, true},
    {"Agreement", "/v1/agreements", false, false},
};
void PrintTo(const CounterDeed& deed, std::ostream* out) { *out << deed.name; }

class EachCommandOfADeed : public DeskTest, public ::testing::WithParamInterface<CounterDeed> {
 protected:
  void SetUp() override {
    make_world();
    kartad.clock.advance(world->clock.now() - kartad.clock.now());
    card::TerminalStore store(kartad.folder / "counter");
    const card::CvDate today = card::cv_date_of(kartad.clock.now());
    ASSERT_TRUE(store.create("XX", CentreForTerminals::quick(), kartad.centre.passphrase, today));
    ASSERT_TRUE(store.issue_terminal(*card::find_terminal_role("counter"), {}, CentreForTerminals::quick(),
                                     kartad.centre.passphrase, today));
    kartad.folder.write("kartad.toml",
                        "schema = \"karta.kartad/1\"\nstate = \"state\"\n"
                        "[server]\nlisten = [\"127.0.0.1:0\"]\nverb_seconds = " +
                            std::to_string(kVerbTime.count()) +
                            "\n[limits]\nstop_seconds = 5\n[[caller]]\nname = \"program\"\ntoken_sha256 = \"" +
                            service::token_hash(TestDaemon::kToken) +
                            "\"\nverbs = [\"*\"]\n[[reader]]\nname = \"Sim *\"\nmodes = [\"counter\"]\n"
                            "[[terminal]]\nrole = \"counter\"\nfolder = \"counter\"\npassphrase_file = \"secret\"\n"
                            "[authority]\nurl = \"https://desk.example\"\nupload_seconds = 3600\n[counter]\n");
    kartad.modes.assign(std::begin(kCounterModes), std::end(kCounterModes));
    kartad.steady_now = hand.now();
    kartad.connect = [this]() -> Result<std::unique_ptr<identity::Authority>> {
      return std::make_unique<CounterLine>(*world->desk);
    };
    const Status started = kartad.start();
    ASSERT_TRUE(started) << started.error().message;
    ASSERT_TRUE(kartad.readers.await_taken());
  }
  void TearDown() override { kartad.stop(); }

  /// A card as it was shipped, or in its holder's hands. Nothing is under way at the daemon.
  void make_world() {
    world = deed.name == std::string_view("Activate") ? std::make_unique<DeskWorld>(base, serial) : active();
  }
  void insert() {
    kartad.readers.insert(reader, faulty.as_card());
    ASSERT_TRUE(kartad.readers.await_taken());
  }
  /// Another deed of the kind: its request, and how it is told whether it was done.
  Json next_request() {
    const std::string name = deed.name;
    if (name == "UnblockByLetter") return {{"with", "letter"}};
    if (name == "UnblockByPuk") {
      block_pin();
      return {{"with", "puk"}, {"puk", puk()}, {"new_pin", kNewPin}};
    }
    if (name == "Account") return {{"login", "sample"}, {"way", "app"}, {"agreed", true}};
    if (name == "Renew") {
      world->clock.advance(std::chrono::hours(2));  // certificates of this hour are not renewed
      return {{"all", true}};
    }
    if (name == "Application") {
      make_offer();
      return {{"aid", to_hex(kLibrary)}, {"offer", to_hex(offer->message)}};
    }
    return Json::object();
  }
  /// Whether it is the letter's or the holder's own.
  void block_pin() {
    DeskWorld::Plain plain(*world->card);
    auto esign = card::ESignApplication::open(plain.channel);
    ASSERT_OK(esign);
    const SecretBytes wrong = SecretBytes::copy_of("999999"), other = SecretBytes::copy_of("135790");
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(esign->change_pin(card::PinKind::pin1, wrong, other));
    EXPECT_TRUE(esign->pin_status(card::PinKind::pin1)->blocked);
  }
  void make_offer() {
    DeskWorld::Plain plain(*world->card);
    const auto file = card::read_file(plain.channel, card::Path{card::kEfAgreementCertificate});
    ASSERT_OK(file);
    const auto key = crypto::Certificate::from_der(*file)->public_key();
    ASSERT_OK(key);
    auto made =
        card::DomainOffer::make(kLibrary, *from_hex(serial), *key->type(), key->key_octets(), 1, 32, world->random);
    ASSERT_OK(made);
    offer.emplace(std::move(*made));
  }
  /// As the holder's letter has it.
  std::string puk() const { return letter(serial + ".txt", "PUK: ", 10); }
  std::string letter(const std::string& file, const std::string& before, std::size_t digits) const {
    std::ifstream in(world->letters() / file);
    const std::string text((std::istreambuf_iterator<char>(in)), {});
    const std::size_t at = text.find(before);
    EXPECT_NE(at, std::string::npos) << file;
    return at == std::string::npos ? "" : text.substr(at + before.size(), digits);
  }
  /// That what was told as done is done. The card is in nobody's hands meanwhile.
  void verify(const Json& body) {
    const std::string name = deed.name;
    if (name == "Activate") {
      EXPECT_EQ(world->record().state, identity::CardState::active);
    } else if (name == "Renew") {
      world->expect_certificates_in_order(name);
    } else if (name == "Application") {
      const auto receipt = from_hex(body["receipt"].get<std::string>());
      ASSERT_TRUE(receipt);
      const auto keys = offer->finish(*receipt);
      ASSERT_OK(keys);
      DeskWorld::Plain plain(*world->card);
      ASSERT_OK(plain.channel.run(card::select_application(kLibrary, card::SelectReturn::nothing), "select"));
      const auto session = card::Scp03Channel::open(
          plain.channel, {}, [&](const card::Scp03Greeting&) { return Result<card::Scp03KeySet>(keys->clone()); },
          world->random);
      EXPECT_TRUE(session) << session.error().message;
    } else if (name == "Account") {
      EXPECT_EQ(body["login"], "sample");
      EXPECT_EQ(body["state"], "active");
    } else if (name == "Agreement") {
      const auto certificate = crypto::Certificate::from_der(*from_hex(body["certificate"].get<std::string>()));
      EXPECT_TRUE(certificate) << body;
    } else {
      DeskWorld::Plain plain(*world->card);
      auto esign = card::ESignApplication::open(plain.channel);
      ASSERT_OK(esign);
      const SecretBytes own = SecretBytes::copy_of(kNewPin);
      if (name == "UnblockByLetter") {
        const SecretBytes transport = SecretBytes::copy_of(letter(serial + "-PIN1.txt", "transport PIN1: ", 5));
        const Status changed = esign->change_pin(card::PinKind::pin1, transport, own);
        EXPECT_TRUE(changed) << changed.error().message;
      }
      const Status right = esign->verify_pin(card::PinKind::pin1, own);
      EXPECT_TRUE(right) << right.error().message;
    }
  }
  /// An outcome with its name and next step; the journal has beginning and end.
  void expect_failure(const FaultRow& row, const TestDaemon::Answer& answer, std::uint64_t before) {
    constexpr std::string_view kUrn = "urn:karta:error:";
    ASSERT_TRUE(answer.type().starts_with(kUrn)) << answer.text;
    const std::string name = answer.type().substr(kUrn.size());
    const std::set<std::string> gone{"card-removed"}, silent{"card-unresponsive"},
        garbage{"card-unresponsive", "card-insecure", "card-refused", "card-unknown", "untrusted",
                // As the centre's desk finds it: no card of the registry's, no protocol of ours, a card that refuses,
                // a file that is there and was denied.
                "not-found", "unsupported", "not-permitted", "pin-blocked", "already-exists"};
    const auto& names = is_gone(row.fault) ? gone : is_silent(row.fault) || row.fault == Fault::late ? silent : garbage;
    EXPECT_TRUE(names.contains(name)) << answer.text;
    EXPECT_NE(answer.status, 500);
    if (deed.once && (name == "card-removed" || name == "card-unresponsive")) {
      EXPECT_NE(answer.body.value("hint", ""), "") << answer.text;
    }
    unsigned begun = 0, ended = 0;
    const auto records = kartad.running().journal().pages(before, 100);
    ASSERT_OK(records);
    for (const auto& record : *records) {
      EXPECT_EQ(record.body.find(kNewPin), std::string::npos);
      const Json body = Json::parse(record.body);
      begun += record.kind == "counter-intent" ? 1 : 0;
      if (record.kind == "counter") {
        ++ended;
        EXPECT_EQ(body["outcome"], name);
      }
    }
    EXPECT_EQ(begun, ended);
    EXPECT_LE(ended, 1u);
  }

  const CounterDeed deed = GetParam();
  std::unique_ptr<DeskWorld> world;
  std::optional<card::DomainOffer> offer;
  HandClock hand;
  TestDaemon kartad;
  const std::string reader{TestDaemon::kReader};
  FaultyCard faulty{kartad.readers,
                    reader,
                    {.process = [this](ByteView command) { return to_bytes(world->card->process(to_bytes(command))); },
                     .atr = [this] { return to_bytes(world->card->atr()); },
                     .reset =
                         [this] {
                           world->card->power_off();
                           world->card->power_on();
                         }},
                    hand,
                    kVerbTime};
};

TEST_P(EachCommandOfADeed, IsFinishedByRepeatingTheCall) {
  unsigned number = 0;
  for (const FaultRow& row : kFaults) {
    unsigned reached = 0;
    for (unsigned command = 1;; command += command < kLongDeed ? 1 : kStride) {
      SCOPED_TRACE(std::string(row.name) + " at " + std::to_string(command));
      kartad.readers.remove(reader);
      ASSERT_TRUE(kartad.readers.await_taken());
      if (deed.fresh_card) make_world();
      const Json request = next_request();
      const std::string key = deed.once ? "deed-" + std::to_string(++number) : "";
      const std::uint64_t before = kartad.running().journal().last().number;
      insert();
      faulty.arm(command, row);
      auto answer = kartad.post(deed.path, request, key);
      const bool fired = faulty.fired();
      faulty.disarm();
      if (fired) reached = command;
      if (answer.status != 200) {
        ASSERT_TRUE(fired) << answer.text;
        expect_failure(row, answer, before);
        insert();
        answer = kartad.post(deed.path, request, key);
      }
      ASSERT_EQ(answer.status, 200) << answer.text;
      kartad.readers.remove(reader);
      ASSERT_TRUE(kartad.readers.await_taken());
      verify(answer.body);
      if (HasFatalFailure()) return;
      if (!fired) break;
    }
    EXPECT_GT(reached, 1u) << row.name;
    // Certificates that were renewed are looked at each time: not those of every fault.
    if (deed.path == std::string_view("/v1/renewals")) make_world();
  }
}
INSTANTIATE_TEST_SUITE_P(Kartad, EachCommandOfADeed, ::testing::ValuesIn(kDeeds),
                         [](const auto& one) { return std::string(one.param.name); });

}  // namespace
}  // namespace karta::test
