// TestDaemon: a kartad in this process over simulated readers: a centre's card, terminals of every role, a trust list,
// a stop-list, and a client of its API.
#pragma once

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <condition_variable>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>

#include "card/health.h"
#include "card/key_set_file.h"
#include "crypto/trust_list.h"
#include "daemon/clinic.h"
#include "daemon/daemon.h"
#include "daemon/pharmacy.h"
#include "identity/journal/journal.h"
#include "identity/stop_list/stop_list.h"
#include "service/http_client.h"
#include "service/loopback_guard.h"
#include "tests/eac/identity_card.h"
#include "tests/kartad/movable_clock.h"
#include "tests/kartad/simulated_readers.h"

namespace karta::test {

using Json = nlohmann::ordered_json;

/// Forwards to readers that outlive daemons; they tell their state anew when it is first asked for.
class BorrowedReaders final : public daemon::ReaderSource {
 public:
  explicit BorrowedReaders(SimulatedReaders& readers) : readers_(readers) {}
  card::ReaderList& readers() override { return readers_; }
  Result<std::vector<card::ReaderEvent>> next(std::chrono::milliseconds timeout) override {
    if (!std::exchange(begun_, true)) readers_.begin_again();
    return readers_.next(timeout);
  }
  void stop() override { readers_.stop(); }

 private:
  SimulatedReaders& readers_;
  bool begun_ = false;
};

/// A card of firmware-sim as SimulatedReaders take it, in the field; `wire` sees each command with its answer and may
/// change it (empty: the card is gone).
inline SimulatedReaders::Card contactless(IdentityCard& card, std::function<Bytes(ByteView, Bytes)> wire = {}) {
  return {.process =
              [&card, wire](ByteView command) {
                Bytes answer = to_bytes(card.sim.card().process(command));
                return wire ? wire(command, std::move(answer)) : answer;
              },
          .atr = [&card] { return to_bytes(card.sim.card().atr()); },
          .reset =
              [&card] {
                card.sim.card().set_interface(os::Interface::contactless);
                card.sim.card().power_off();
                card.sim.card().power_on();
              }};
}

/// Packages of the card's first entitlement, as a clinic grants them; the card is in the field afterwards.
inline void grant_packages(IdentityCard& card, std::uint32_t packages, std::uint32_t number = 1) {
  card::MasterTransactionKeys keys{ledger_masters(kHealthMasters), card.random};
  card.put(os::Interface::contactless);
  const auto terminal = card.terminal("clinic");
  const SecretBytes can = secret(kCan);
  auto identity =
      card::IdentityApplication::open(*card.plain, card.request(terminal, card::PacePassword::can, can), card.random);
  ASSERT_TRUE(identity) << identity.error().message;
  auto health = card::HealthApplication::open(identity->channel());
  ASSERT_TRUE(health) << health.error().message;
  auto ledger = health->open_for_granting(keys);
  ASSERT_TRUE(ledger) << ledger.error().message;
  card::HealthEntry entry;
  entry.deed = card::HealthEntry::Deed::granted;
  entry.terminal = Bytes(8, 0x0C);
  entry.number = number;
  card::LedgerChange change{ledger->state().counters, entry.encode()};
  change.counters[0] += packages;
  ASSERT_TRUE(ledger->commit(change));
  ASSERT_TRUE(ledger->ratify());
  identity->close();
}

inline constexpr daemon::ModeRow kTestModes[] = {{"clinic", daemon::read_clinic}, {"pharmacy", daemon::read_pharmacy}};

class TestDaemon {
 public:
  static constexpr std::string_view kReader = "Sim Reader 00 00", kToken = "token-of-the-desk-program",
                                    kViewer = "token-of-a-viewer";

  TestDaemon() {
    using crypto::testing::must;
    folder.write("secret", "for tests only\n");
    ::chmod((folder / "secret").c_str(), 0600);
    card::TransactionMasters masters;
    masters.emplace("health", ledger_masters(kHealthMasters));
    folder.write("masters.pem", must(card::seal_transaction_masters(masters, secret("for tests only"), 1000, random)));
    folder.write("root.der", centre.centre.root.der());
    write_trust_list();
    write_stop_list({});
    write_config();
    readers.add_reader(std::string(kReader));
  }
  ~TestDaemon() { stop(); }

  /// `more`: further tables; `clinic`: keys of [clinic]; `trust`: of [trust].
  void write_config(const std::string& more = "", const std::string& clinic = "", const std::string& trust = "") {
    const auto hash = [](std::string_view token) { return service::token_hash(token); };
    folder.write("kartad.toml", "schema = \"karta.kartad/1\"\nstate = \"state\"\nutc_offset_minutes = " +
                                    std::to_string(utc_offset_minutes) +
                                    "\n"
                                    "[server]\nlisten = [\"127.0.0.1:0\"]\nverb_seconds = 20\n"
                                    "[limits]\nstop_seconds = 5\n"
                                    "[[caller]]\nname = \"program\"\ntoken_sha256 = \"" +
                                    hash(kToken) +
                                    "\"\nverbs = [\"*\"]\n"
                                    "[[caller]]\nname = \"viewer\"\ntoken_sha256 = \"" +
                                    hash(kViewer) +
                                    "\"\nverbs = [\"status\"]\n"
                                    "[[reader]]\nname = \"Sim *\"\nmodes = [\"clinic\", \"pharmacy\"]\n"
                                    "[[terminal]]\nrole = \"clinic\"\nfolder = \"" +
                                    terminals.string() +
                                    "\"\npassphrase_file = \"secret\"\n"
                                    "[[terminal]]\nrole = \"pharmacy\"\nfolder = \"" +
                                    terminals.string() +
                                    "\"\npassphrase_file = \"secret\"\n"
                                    "[trust]\ntrust_list = \"trust-list.p7m\"\nroots = [\"root.der\"]\n"
                                    "stop_lists = [\"lists\"]\n" +
                                    trust + "[clinic]\n" + clinic +
                                    "\n[pharmacy]\nkeys = \"masters.pem\"\npassphrase_file = \"secret\"\n" + more);
  }
  void write_trust_list() {
    crypto::TrustList list;
    list.sequence = ++sequence;
    list.issued_at = clock.now() - std::chrono::hours(1);
    list.next_update = clock.now() + std::chrono::days(30);
    const auto add = [&](crypto::TrustService service, const crypto::Certificate& certificate) {
      list.entries.push_back({service, "Test Authority", "", certificate.der(), list.issued_at, {}});
    };
    add(crypto::TrustService::document_signer, centre.centre.ca);
    add(crypto::TrustService::unqualified_ca, centre.issuing);
    if (!foreign_verifier.empty()) {
      list.entries.push_back({crypto::TrustService::cvca, "Other Authority", "", foreign_verifier, list.issued_at, {}});
    }
    const Bytes file = crypto::testing::must(crypto::sign_trust_list(list, centre.centre.citizen));
    folder.write("trust-list.p7m", file);
  }
  void write_stop_list(const std::vector<std::uint64_t>& stopped,
                       std::chrono::hours good_for = std::chrono::hours(72)) {
    using crypto::testing::must;
    identity::StopListHead head;
    head.epoch = ++epoch;
    head.this_update = clock.now() - std::chrono::minutes(10);
    head.next_update = clock.now() + good_for;
    head.issuer = "Test Authority";
    const Bytes body = must(identity::encode_stop_list(head, {{0, 10'000}}, stopped));
    centre.issuing_signer.set_certificate_chain({centre.issuing.der()});
    const Bytes file = must(identity::sign_stop_list(body, centre.issuing_signer));
    std::filesystem::create_directories(folder / "lists");
    folder.write("lists/full-" + std::to_string(head.epoch) + ".stop-list", file);
  }

  daemon::Environment environment() {
    return {.clock = clock,
            .random = random,
            .make_readers = [this](const daemon::DaemonConfig&) -> std::unique_ptr<daemon::ReaderSource> {
              return std::make_unique<BorrowedReaders>(readers);
            },
            .modes = modes,
            .read_pages = read_pages,
            .open_rules = open_rules,
            .connect = connect,
            .steady_now = steady_now};
  }
  /// kartad --check
  Result<std::vector<std::string>> check() { return daemon::check_daemon(folder / "kartad.toml", environment()); }
  Status start() {
    daemon_ = TRY(daemon::Daemon::start(folder / "kartad.toml", environment()));
    daemon_->events().listen(0, [this](const daemon::Event& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
      seen_.notify_all();
      return true;
    });
    return {};
  }
  void stop() {
    if (daemon_) daemon_->stop();
    daemon_.reset();
  }
  daemon::Daemon& running() { return *daemon_; }
  std::string url(const std::string& path) const { return "http://" + daemon_->addresses().front() + path; }

  /// Waits until an event of this kind has come since the last call of forget_events().
  bool saw(const std::string& kind, std::chrono::seconds most = std::chrono::seconds(20)) {
    std::unique_lock lock(mutex_);
    return seen_.wait_for(lock, most, [&] {
      return std::any_of(events_.begin(), events_.end(), [&](const auto& one) { return one.kind == kind; });
    });
  }
  std::size_t count(const std::string& kind) {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(
        std::count_if(events_.begin(), events_.end(), [&](const auto& one) { return one.kind == kind; }));
  }
  void forget_events() {
    const std::lock_guard lock(mutex_);
    events_.clear();
  }

  struct Answer {
    int status = 0;
    Json body;
    std::string text;
    bool replayed = false;
    std::string type() const { return body.is_object() ? body.value("type", "") : ""; }
  };
  Answer post(const std::string& path, const Json& body, const std::string& key = {}, std::string_view token = kToken) {
    std::vector<service::HttpHeader> fields = authorization(token);
    if (!key.empty()) fields.push_back({"Idempotency-Key", key});
    service::HttpClient client({.total_time = std::chrono::seconds(60), .any_address = true});
    return answer_of(client.post(url(path), "application/json", as_bytes(body.dump()), fields));
  }
  Answer get(const std::string& path, std::string_view token = kToken, std::vector<service::HttpHeader> fields = {}) {
    for (auto& one : authorization(token)) fields.push_back(one);
    service::HttpClient client({.any_address = true});
    return answer_of(client.get(url(path), fields));
  }
  Answer del(const std::string& path) {
    service::HttpClient client({.any_address = true});
    return answer_of(client.del(url(path), authorization(kToken)));
  }
  std::vector<identity::JournalRecord> records(std::string_view kind = {}) {
    auto all = running().journal().pages(0, 10'000);
    EXPECT_TRUE(all);
    std::vector<identity::JournalRecord> out;
    for (auto& one : *all) {
      if (kind.empty() || one.kind == kind) out.push_back(std::move(one));
    }
    return out;
  }

  CentreForTerminals& centre = CentreForTerminals::shared();
  crypto::testing::TemporaryFolder folder;
  MovableClock clock{crypto::testing::test_time()};
  int utc_offset_minutes = 0;  ///< in the next configuration
  SystemRandom random;
  SimulatedReaders readers;
  std::vector<daemon::ModeRow> modes{std::begin(kTestModes), std::end(kTestModes)};
  daemon::ReadPages read_pages = nullptr;
  daemon::RulesOpener open_rules = {};
  std::function<Result<std::unique_ptr<identity::Authority>>()> connect = {};
  daemon::SteadyNow steady_now = &std::chrono::steady_clock::now;
  std::filesystem::path terminals = centre.store.folder();
  Bytes foreign_verifier = {};  ///< a CV certificate in the next trust list: another region's verifier, by this one
  std::uint64_t sequence = 0, epoch = 0;

 private:
  static std::vector<service::HttpHeader> authorization(std::string_view token) {
    if (token.empty()) return {};
    return {{"Authorization", "Bearer " + std::string(token)}};
  }
  static Answer answer_of(const Result<service::HttpReply>& reply) {
    EXPECT_TRUE(reply) << (reply ? "" : reply.error().message);
    Answer out;
    if (!reply) return out;
    out.status = reply->status;
    out.text = std::string(as_text(reply->body));
    out.body = Json::parse(out.text, nullptr, false);
    out.replayed = reply->field("Idempotent-Replayed") == "true";
    return out;
  }

  std::unique_ptr<daemon::Daemon> daemon_;
  std::mutex mutex_;
  std::condition_variable seen_;
  std::vector<daemon::Event> events_;
};

}  // namespace karta::test
