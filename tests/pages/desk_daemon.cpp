// desk_daemon: a kartad with pages and every mode over simulated readers and cards, for stories told in a browser.
//
// On standard output, a line: {"link_file": ..., "address": ...}. Then it takes a command a line on standard input and
// answers each with a line of JSON, {} where there is nothing to say; by then the daemon knows of it. PLACE is desk or
// gate:
//   insert PLACE | remove PLACE | mute PLACE | hold PLACE | release PLACE | plug PLACE | unplug PLACE
//   pull          the next answer to COMMIT does not arrive: the card is out of the reader, having written
//   stall         the next answer of a card that is read takes until a card is removed
//   stop | good   the card is put on the stop-list, or taken off it
//   pcscd stop | pcscd start
//   age HOURS     so much time passes
//   journal KIND  the bodies of the journal's records of a kind
//   quit
#include <atomic>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <sstream>

#include "card/transit_rules.h"
#include "daemon/counter/counter_mode.h"
#include "daemon/pages/pages.h"
#include "daemon/transit/transit_mode.h"
#include "tests/kartad/daemon_fixture.h"
#include "tests/kartad/movable_clock.h"
#include "tests/sectors/wire.h"

namespace karta::test {
namespace {

constexpr std::string_view kDesk = "Desk Reader 00 00", kGate = "Gate Reader 00 00";
constexpr daemon::ModeRow kAllModes[] = {{"clinic", daemon::read_clinic},
                                         {"pharmacy", daemon::read_pharmacy},
                                         {"counter", daemon::read_counter},
                                         {"transit", daemon::read_transit}};

/// The readers as one reading of the configuration sees them. A reload makes the next one's source before the last
/// one's is stopped: what happens is told to the newest alone.
class StagedReaders final : public daemon::ReaderSource {
 public:
  struct Shared {
    SimulatedReaders& readers;
    std::mutex mutex;
    unsigned newest = 0;
  };
  explicit StagedReaders(Shared& shared) : shared_(shared) {
    const std::lock_guard lock(shared_.mutex);
    number_ = ++shared_.newest;
    shared_.readers.begin_again();
  }
  card::ReaderList& readers() override { return shared_.readers; }
  Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds timeout) override {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    std::unique_lock lock(mutex_);
    do {
      {
        const std::lock_guard turn(shared_.mutex);
        if (number_ == shared_.newest) {
          auto events = shared_.readers.next(std::chrono::milliseconds(0));
          if (!events || !events->empty()) return events;
        }
      }
      stopping_.wait_for(lock, std::chrono::milliseconds(5), [this] { return stopped_; });
    } while (!stopped_ && std::chrono::steady_clock::now() < deadline);
    return std::vector<card::ReaderEvent>{};
  }
  void stop() override {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    stopping_.notify_all();
  }

 private:
  Shared& shared_;
  unsigned number_ = 0;
  std::mutex mutex_;
  std::condition_variable stopping_;
  bool stopped_ = false;
};

class Stage {
 public:
  Status start() {
    grant(5);
    signer_.set_certificate_chain({files_.centre.centre.citizen_certificate.der()});
    files_.folder.write("signer.der", files_.centre.centre.citizen_certificate.der());
    write_stop_list({});
    write_rules();
    write_config();
    files_.readers.remove_reader(std::string(TestDaemon::kReader));
    files_.readers.add_reader(std::string(kDesk));
    files_.readers.add_reader(std::string(kGate));
    daemon_ = TRY(daemon::Daemon::start(
        files_.folder / "kartad.toml",
        {.clock = clock_,
         .random = files_.random,
         .make_readers = [this](const daemon::DaemonConfig&) -> std::unique_ptr<daemon::ReaderSource> {
           return std::make_unique<StagedReaders>(shared_);
         },
         .modes = kAllModes,
         .read_pages = daemon::read_pages,
         .open_rules = daemon::transit_rules_opener()}));
    return {};
  }
  void stop() {
    stalled(false);
    daemon_->stop();
  }
  Json where() const {
    return {{"address", "http://" + daemon_->addresses().front()},
            {"link_file", (files_.folder / "state" / "desk-link").string()}};
  }

  Json obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb, object;
    words >> verb >> object;
    const std::string reader(object == "gate" ? kGate : kDesk);
    SimulatedReaders& readers = files_.readers;
    if (verb == "insert") {
      readers.insert(reader,
                     contactless(object == "gate" ? gate_card_ : desk_card_, [this](ByteView command, Bytes answer) {
                       stall();
                       if (is(command, kInsCommit) && pull_.exchange(false)) return Bytes{};
                       return answer;
                     }));
    } else if (verb == "remove") {
      readers.remove(reader);
      stalled(false);
      // What is done to it next is done by this thread.
      if (!readers.await_let_go(reader)) return {{"error", "the daemon does not let go of the card"}};
    } else if (verb == "mute") {
      readers.insert_mute(reader);
    } else if (verb == "hold" || verb == "release") {
      readers.hold(reader, verb == "hold");
    } else if (verb == "plug") {
      readers.add_reader(reader);
    } else if (verb == "unplug") {
      readers.remove_reader(reader);
    } else if (verb == "pull") {
      pull_ = true;
    } else if (verb == "stall") {
      stalled(true);
    } else if (verb == "stop" || verb == "good") {
      write_stop_list(verb == "stop" ? std::vector<std::uint64_t>{4711} : std::vector<std::uint64_t>{});
      return told(daemon_->reload());
    } else if (verb == "pcscd") {
      object == "stop" ? readers.stop_pcscd() : readers.start_pcscd();
    } else if (verb == "age") {
      clock_.advance(std::chrono::hours(std::stoi(object)));
    } else if (verb == "journal") {
      daemon_->flush_refusals();
      return records(object);
    } else {
      return {{"error", "no such command: " + line}};
    }
    if (!readers.await_taken()) return {{"error", "the daemon takes no notice of its readers"}};
    return Json::object();
  }

 private:
  /// Packages of the desk's card's first entitlement, as a clinic grants them.
  void grant(std::uint32_t packages) {
    using crypto::testing::must;
    desk_card_.put(os::Interface::contactless);
    const SecretBytes can = secret(kCan);
    const card::UnlockedTerminal clinic = desk_card_.terminal("clinic");
    auto identity = must(card::IdentityApplication::open(
        *desk_card_.plain, desk_card_.request(clinic, card::PacePassword::can, can), desk_card_.random));
    auto health = must(card::HealthApplication::open(identity.channel()));
    card::MasterTransactionKeys keys(ledger_masters(kHealthMasters), desk_card_.random);
    auto ledger = must(health.open_for_granting(keys));
    card::HealthEntry entry;
    entry.deed = card::HealthEntry::Deed::granted;
    entry.terminal = Bytes(8, 0x0C);
    entry.number = 1;
    card::LedgerChange change{ledger.state().counters, entry.encode()};
    change.counters[0] += packages;
    must(ledger.commit(change));
    EXPECT_TRUE(ledger.ratify());
    identity.close();
  }
  void stalled(bool now) {
    const std::lock_guard lock(stall_mutex_);
    stalled_ = now;
    go_on_.notify_all();
  }
  void stall() {
    std::unique_lock lock(stall_mutex_);
    go_on_.wait(lock, [this] { return !stalled_; });
  }
  static Json told(const Status& status) { return status ? Json::object() : Json{{"error", status.error().message}}; }
  Json records(const std::string& kind) {
    Json out = Json::array();
    const auto all = daemon_->journal().pages(0, 10'000);
    if (!all) return {{"error", all.error().message}};
    for (const identity::JournalRecord& one : *all) {
      if (one.kind == kind) out.push_back(Json::parse(one.body));
    }
    return out;
  }
  void write_stop_list(const std::vector<std::uint64_t>& stopped) {
    identity::StopListHead head;
    head.epoch = ++epoch_;
    head.this_update = clock_.now() - std::chrono::minutes(10);
    head.next_update = clock_.now() + std::chrono::hours(72);
    head.issuer = "Test Authority";
    files_.centre.issuing_signer.set_certificate_chain({files_.centre.issuing.der()});
    const Bytes body = crypto::testing::must(identity::encode_stop_list(head, {{0, 10'000}}, stopped));
    files_.folder.write("stop-list-" + std::to_string(epoch_),
                        crypto::testing::must(identity::sign_stop_list(body, files_.centre.issuing_signer)));
    std::filesystem::create_directories(files_.folder / "stop-lists");
    std::filesystem::rename(files_.folder / ("stop-list-" + std::to_string(epoch_)),
                            files_.folder / "stop-lists" / (std::to_string(epoch_) + ".stop-list"));
  }
  void write_rules() {
    card::GateRules rules;
    rules.sequence = 1;
    rules.issued_at = clock_.now() - std::chrono::hours(1);
    rules.next_update = clock_.now() + std::chrono::days(30);
    rules.name = "Sampletown";
    rules.zones = {{1, "Centre"}};
    rules.fares = {{1, 1, {50, 25}}};
    rules.counted = {card::ProductKind::period, card::ProductKind::trips, card::ProductKind::purse};
    rules.concessions = {{1, 0, 0}};
    rules.pass_back_seconds = 60;
    files_.folder.write("rules.p7m", crypto::testing::must(card::sign_transit_rules(rules, signer_)));
    card::TransactionMasters masters;
    masters.emplace("transit", ledger_masters(kTransitMasters));
    files_.folder.write("transit.pem", crypto::testing::must(card::seal_transaction_masters(
                                           masters, secret("for tests only"), 1000, files_.random)));
  }
  void write_config() {
    std::string text =
        "schema = \"karta.kartad/1\"\nstate = \"state\"\n"
        "[server]\nlisten = [\"127.0.0.1:8470\"]\nverb_seconds = 20\ncard_busy_milliseconds = 200\n"
        "[[reader]]\nname = \"Desk *\"\nmodes = [\"clinic\", \"pharmacy\", \"counter\"]\n"
        "[[reader]]\nname = \"Gate *\"\nmodes = [\"transit\"]\ngate = 17\nzone = 1\n";
    for (const char* const role : {"counter", "clinic", "pharmacy", "transit"}) {
      text += "[[terminal]]\nrole = \"" + std::string(role) + "\"\nfolder = \"" + files_.terminals.string() +
              "\"\npassphrase_file = \"secret\"\n";
    }
    text +=
        "[trust]\ntrust_list = \"trust-list.p7m\"\nroots = [\"root.der\"]\nstop_lists = "
        "[\"stop-lists\"]\nstop_list_signers = [\"signer.der\"]\nrules = "
        "\"rules.p7m\"\n"
        "[authority]\nurl = \"http://127.0.0.1:9\"\n"
        "[pages]\nname = \"front-desk\"\nhours = 168\n"
        "[clinic]\n"
        "[pharmacy]\nkeys = \"masters.pem\"\npassphrase_file = \"secret\"\n"
        "[counter]\n"
        "[transit]\nkeys = \"transit.pem\"\npassphrase_file = \"secret\"\n"
        // On a busy machine the card answers late, and the pages are what is tried here.
        "longest_answer_ms = 0\n";
    files_.folder.write("kartad.toml", text);
  }

  TestDaemon files_;
  crypto::SoftwareSigner& signer_ = files_.centre.centre.citizen;  // of rules
  std::uint64_t epoch_ = 0;
  StagedReaders::Shared shared_{files_.readers, {}, 0};
  MovableClock clock_{crypto::testing::test_time()};
  IdentityCard desk_card_{IdentityCardOptions{.card_signed = true, .portrait = true}},
      gate_card_{IdentityCardOptions{.seed = 2}};
  std::atomic<bool> pull_{false};
  std::mutex stall_mutex_;
  std::condition_variable go_on_;
  bool stalled_ = false;
  std::unique_ptr<daemon::Daemon> daemon_;
};

int run() {
  Stage stage;
  const Status started = stage.start();
  if (!started) {
    std::cerr << "error: " << started.error().message << '\n';
    return 70;
  }
  std::cout << stage.where() << std::endl;
  for (std::string line; std::getline(std::cin, line) && line != "quit";) std::cout << stage.obey(line) << std::endl;
  stage.stop();
  return 0;
}

}  // namespace
}  // namespace karta::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return karta::test::run();
}
