// A card that answers garbage, late or never, or is pulled, at each command of each deed of clinic, pharmacy and
// inspection: an outcome with a name, nothing half told, nothing taken that is not receipted, and the next card is
// served. Gates, the counter and log-ins have files of their own beside this one.
#include <set>

#include "daemon/transit/transit_mode.h"
#include "daemon/visit_receipt.h"
#include "tests/kartad/card_faults.h"
#include "tests/kartad/daemon_fixture.h"

namespace karta::test {
namespace {

constexpr std::string_view kGateReader = "Gate Reader 00 00";
constexpr std::chrono::seconds kVerbTime{20};  // as the fixture configures it

/// A deed that changes nothing on the card: every good answer to it says the same.
struct Deed {
  const char* name;
  const char* path;
  Json request;
  int done;  ///< its status
  std::string_view reader = TestDaemon::kReader;
  bool plain = false;  ///< nothing is secured: a card's word is taken that it has no such application
};
const Deed kDeeds[] = {
    {"Visit", "/v1/visits", {{"purpose", "treatment"}, {"can", kCan}}, 201},
    {"Entitlements", "/v1/entitlements", {{"can", kCan}}, 200},
    {"InspectionByKey", "/v1/inspections", Json::object(), 200, kGateReader, true},
    {"InspectionByCan", "/v1/inspections", {{"can", kCan}}, 200, kGateReader},
};
void PrintTo(const Deed& deed, std::ostream* out) { *out << deed.name; }

/// What a fault may be called. A card that is gone or silent is called that; what garbage is taken for depends on
/// where it comes: noise instead of a proof is one that failed, and a card may say by a status word that it refuses.
const std::set<std::string> kGone{"card-removed"}, kSilent{"card-unresponsive"},
    kGarbage{"card-unresponsive", "card-insecure", "card-refused", "card-unknown",
             "untrusted",         "not-permitted", "pin-blocked"};
const std::set<std::string>& names_of(Fault fault) {
  return is_gone(fault) ? kGone : is_silent(fault) || fault == Fault::late ? kSilent : kGarbage;
}
/// These are in the journal (docs/kartad.md).
const std::set<std::string> kNoted{"card-insecure", "card-refused", "card-unknown", "untrusted",
                                   "not-permitted", "wrong-pin",    "pin-blocked"};

class OutcomesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    using crypto::testing::must;
    card::TransactionMasters masters;
    masters.emplace("transit", ledger_masters(kTransitMasters));
    kartad.folder.write("transit.pem",
                        must(card::seal_transaction_masters(masters, secret("for tests only"), 1000, kartad.random)));
    kartad.modes.push_back({"transit", daemon::read_transit});
    // No rules: the gate stays closed, and the card is the inspector's alone.
    kartad.write_config(
        "[[reader]]\nname = \"Gate *\"\nmodes = [\"transit\"]\ngate = 7\nzone = 1\n"
        "[[terminal]]\nrole = \"transit\"\nfolder = \"" +
        kartad.terminals.string() +
        "\"\npassphrase_file = \"secret\"\n"
        "[transit]\nkeys = \"transit.pem\"\npassphrase_file = \"secret\"\n");
    kartad.readers.add_reader(std::string(kGateReader));
    kartad.steady_now = clock.now();
    const Status started = kartad.start();
    ASSERT_TRUE(started) << started.error().message;
    ASSERT_TRUE(kartad.readers.await_taken());
  }
  void insert(FaultyCard& faulty, std::string_view reader) {
    kartad.readers.insert(std::string(reader), faulty.as_card());
    ASSERT_TRUE(kartad.readers.await_taken());
  }
  FaultyCard at(std::string_view reader) {
    return {kartad.readers, std::string(reader), contactless(card), clock, kVerbTime};
  }
  std::vector<identity::JournalRecord> records_after(std::uint64_t number) {
    auto records = kartad.running().journal().pages(number, 1000);
    EXPECT_TRUE(records);
    return records ? std::move(*records) : std::vector<identity::JournalRecord>();
  }
  std::uint64_t last_record() { return kartad.running().journal().last().number; }

  /// An error's name without its URN.
  static std::string name_of(const TestDaemon::Answer& answer) {
    constexpr std::string_view kUrn = "urn:karta:error:";
    const std::string type = answer.type();
    return type.starts_with(kUrn) ? type.substr(kUrn.size()) : "no error: " + answer.text;
  }
  /// A failure has the name of its fault, and says nothing of the holder, nor does the journal.
  void expect_failure(const FaultRow& row, const TestDaemon::Answer& answer, std::uint64_t before, bool plain = false) {
    const std::string name = name_of(answer);
    EXPECT_TRUE(names_of(row.fault).contains(name) || (plain && name == "not-found")) << answer.text;
    EXPECT_GE(answer.status, 400);
    EXPECT_NE(answer.status, 500);
    EXPECT_NE(answer.body.value("detail", ""), "");
    std::string told = answer.text;
    unsigned refusals = 0, visits = 0;
    for (const auto& record : records_after(before)) {
      told += record.body;
      refusals += record.kind == "refusal" ? 1 : 0;
      visits += record.kind == "visit" || record.kind == "redemption" ? 1 : 0;
    }
    EXPECT_EQ(refusals, kNoted.contains(name) ? 1u : 0u) << answer.text;
    EXPECT_EQ(visits, 0u) << "nothing was done";
    for (const std::string_view word : {"Sample", "Person", "Testovich", "0000000000000000", "penicillin", "A10BA02"}) {
      EXPECT_EQ(told.find(word), std::string::npos) << told;
    }
    EXPECT_EQ(told.find(kCan), std::string::npos) << told;
  }

  IdentityCard card{IdentityCardOptions{.card_signed = true}};
  HandClock clock;
  TestDaemon kartad;
};

class EachCommandOf : public OutcomesTest, public ::testing::WithParamInterface<Deed> {
 protected:
  static TestDaemon::Answer perform(TestDaemon& kartad) { return kartad.post(GetParam().path, GetParam().request); }
  /// Without what is another each time.
  static Json essence(Json body) {
    for (const char* const name : {"id", "time", "timeline", "card_ms", "journal_record", "receipt"}) body.erase(name);
    return body;
  }
  /// A receipt is a good one, or none.
  void expect_receipt(const Json& body) {
    if (!body.contains("receipt") || body["receipt"].is_null()) return;
    const auto receipt = daemon::VisitReceipt::from_json(body["receipt"]);
    ASSERT_TRUE(receipt) << body["receipt"];
    const auto verified = daemon::verify_visit(*receipt, {kartad.centre.issuing});
    EXPECT_TRUE(verified) << verified.error().message;
  }
  /// All or nothing: what the card tells without a fault, or, of a card that did not prove itself, nothing.
  void expect_whole(const Json& body, const Json& reference, std::uint64_t before) {
    const auto records = records_after(before);
    ASSERT_EQ(records.size(), 1u) << body;
    EXPECT_EQ(records[0].kind, "visit");
    expect_receipt(body);
    if (!body.contains("decision") || body["decision"] == "accepted") {
      EXPECT_EQ(essence(body), essence(reference));
      return;
    }
    EXPECT_EQ(body["decision"], "refused") << body;
    const std::string reason = body["reasons"].empty() ? "" : body["reasons"][0]["code"].get<std::string>();
    EXPECT_TRUE(reason == "not-genuine" || reason == "copied") << body;
    EXPECT_TRUE(body["card"]["status_index"].is_null());
    for (const char* const name : {"holder", "insurance", "emergency", "entitlements", "journal", "receipt"}) {
      EXPECT_TRUE(!body.contains(name) || body[name].empty()) << body;
    }
  }
};

TEST_P(EachCommandOf, EndsInAnOutcomeAndTheNextCardIsServed) {
  const Deed& deed = GetParam();
  FaultyCard faulty = at(deed.reader);
  insert(faulty, deed.reader);
  faulty.forget();
  const auto reference = perform(kartad);
  ASSERT_EQ(reference.status, deed.done) << reference.text;
  const unsigned commands = faulty.seen();
  ASSERT_GT(commands, 1u);
  for (const FaultRow& row : kFaults) {
    for (unsigned command = 1; command <= commands; ++command) {
      SCOPED_TRACE(std::string(row.name) + " at " + std::to_string(command) + " of " + std::to_string(commands));
      const std::uint64_t before = last_record();
      faulty.arm(command, row);
      const auto answer = perform(kartad);
      ASSERT_TRUE(faulty.fired());
      faulty.disarm();
      if (answer.status == deed.done) {
        expect_whole(answer.body, reference.body, before);
      } else {
        expect_failure(row, answer, before, deed.plain && !is_gone(row.fault) && !is_silent(row.fault));
      }
      insert(faulty, deed.reader);
      const auto next = perform(kartad);
      ASSERT_EQ(next.status, deed.done) << next.text;
      ASSERT_EQ(essence(next.body), essence(reference.body));
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Kartad, EachCommandOf, ::testing::ValuesIn(kDeeds),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_F(OutcomesTest, ARedemptionWithAFaultAtEachCommandIsTakenOnceByRepeatingTheCall) {
  constexpr unsigned kGranted = 2000;
  grant_packages(card, kGranted);
  FaultyCard faulty = at(TestDaemon::kReader);
  insert(faulty, TestDaemon::kReader);
  unsigned number = 0;
  const auto redeem = [&](const std::string& key) {
    return kartad.post("/v1/redemptions",
                       {{"medicine", "A10BA02"}, {"packages", 1}, {"prescription", number}, {"can", kCan}}, key);
  };
  ++number;
  faulty.forget();
  ASSERT_EQ(redeem("first").status, 200);
  const unsigned commands = faulty.seen();
  ASSERT_GT(commands, 20u);
  std::uint64_t expected = kGranted - 1;
  std::set<std::uint64_t> sequences;
  for (const FaultRow& row : kFaults) {
    for (unsigned command = 1; command <= commands; ++command) {
      ++number;
      const std::string key = std::string(row.name) + "-" + std::to_string(command);
      SCOPED_TRACE(key + " of " + std::to_string(commands));
      const std::uint64_t before = last_record();
      faulty.arm(command, row);
      auto answer = redeem(key);
      ASSERT_TRUE(faulty.fired());
      faulty.disarm();
      if (answer.status != 200) {
        expect_failure(row, answer, before);
        insert(faulty, TestDaemon::kReader);
        answer = redeem(key);
      }
      ASSERT_EQ(answer.status, 200) << answer.text;
      --expected;
      ASSERT_EQ(answer.body["left"], expected) << answer.text;
      EXPECT_TRUE(sequences.insert(answer.body["receipt"]["sequence"].get<std::uint64_t>()).second) << answer.text;
      insert(faulty, TestDaemon::kReader);
    }
  }
  const auto entitlements = kartad.post("/v1/entitlements", {{"can", kCan}});
  ASSERT_EQ(entitlements.status, 200) << entitlements.text;
  EXPECT_EQ(entitlements.body["entitlements"][0]["left"], expected);
  // One receipt a package, each with a sequence of its own.
  std::set<std::uint64_t> written;
  const auto redemptions = kartad.records("redemption");
  for (const auto& record : redemptions) written.insert(Json::parse(record.body)["sequence"].get<std::uint64_t>());
  EXPECT_EQ(written.size(), kGranted - expected);
  EXPECT_EQ(redemptions.size(), kGranted - expected);
}

// By the machine's own clock: a card that takes its time for each command, just short of the reader's patience, ends
// with the verb's time.
TEST(SlowCard, IsGivenUpWhenTheVerbsTimeIsOver) {
  IdentityCard card;
  TestDaemon kartad;
  kartad.write_config();
  // The shortest time there is.
  const Bytes text = kartad.folder.read("kartad.toml");
  std::string toml(as_text(text));
  toml.replace(toml.find("verb_seconds = 20"), 17, "verb_seconds = 1");
  kartad.folder.write("kartad.toml", toml);
  ASSERT_TRUE(kartad.start());
  ASSERT_TRUE(kartad.saw("reader-added"));
  std::mutex mutex;
  std::condition_variable never;
  kartad.readers.insert(std::string(TestDaemon::kReader), contactless(card, [&](ByteView, Bytes answer) {
                          std::unique_lock lock(mutex);
                          never.wait_for(lock, std::chrono::milliseconds(400));
                          return answer;
                        }));
  ASSERT_TRUE(kartad.readers.await_taken());
  const auto answer = kartad.post("/v1/visits", {{"purpose", "treatment"}, {"can", kCan}});
  EXPECT_EQ(answer.type(), "urn:karta:error:card-unresponsive") << answer.text;
  EXPECT_NE(answer.body["detail"].get<std::string>().find("too slow"), std::string::npos);
}

}  // namespace
}  // namespace karta::test
