// GateHouse: what kartad in transit mode finds on disk: a centre's masters and trust list, a stop-list, signed rules,
// readers that are gates, a file that gates open by.
#pragma once

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "card/key_set_file.h"
#include "card/transit_rules.h"
#include "daemon/daemon.h"
#include "daemon/transit/transit_mode.h"
#include "identity/journal/journal.h"
#include "identity/stop_list/stop_list.h"
#include "tests/eac/identity_card.h"

namespace karta::test {

inline constexpr daemon::ModeRow kTransitModes[] = {{"transit", daemon::read_transit}};
inline constexpr std::uint32_t kFirstGate = 101;

struct GateHouseOptions {
  unsigned gates = 4;
  bool counted = true;          ///< with the masters of the debit key
  int longest_answer_ms = 0;    ///< 0: no bound
  std::uint32_t pass_back = 0;  ///< seconds
  std::uint32_t first_gate = kFirstGate;
  std::string output = "file = \"openings\"";
  std::string more = {};      ///< further lines of [transit]
  bool behind_pcscd = false;  ///< readers called as tools/private-pcscd calls them
};

class GateHouse {
 public:
  explicit GateHouse(GateHouseOptions options = {}) : options_(std::move(options)) {
    using crypto::testing::must;
    write("secret", as_bytes("for tests only\n"));
    ::chmod((folder.path() / "secret").c_str(), 0600);
    card::TransactionMasters masters;
    masters.emplace("transit", debit_masters());
    const std::string sealed = must(card::seal_transaction_masters(masters, secret("for tests only"), 1000, random));
    write("masters.pem", as_bytes(sealed));
    write("issuing.der", centre.issuing.der());
    write_stop_list({});
    write_rules(rules());
    write_config();
  }

  /// A gate has the debit master, and no other.
  static card::LedgerMasters debit_masters() {
    card::LedgerMasters all = ledger_masters(kTransitMasters), out;
    out.emplace(card::LedgerKey::debit, all.at(card::LedgerKey::debit).clone());
    return out;
  }
  static std::string reader(unsigned gate) { return "Gate " + std::to_string(gate); }
  std::string reader_name(unsigned gate) const {
    return options_.behind_pcscd ? "Karta Virtual Reader " + std::to_string(gate + 1) + " 00 00" : reader(gate);
  }

  card::GateRules rules() const {
    card::GateRules rules;
    rules.sequence = 1;
    rules.issued_at = now - std::chrono::hours(1);
    rules.next_update = now + std::chrono::days(30);
    rules.name = "Sampletown";
    rules.zones = {{1, "Centre"}, {5, "Hills"}};
    rules.fares = {{1, 1, {50, 25}}, {5, 5, {50, 25}}, {1, 5, {80, 40}}};
    rules.counted = {card::ProductKind::period, card::ProductKind::trips, card::ProductKind::purse};
    rules.card_signed = {card::ProductKind::period};
    rules.concessions = {{1, 0, 0}};
    rules.pass_back_seconds = options_.pass_back;
    return rules;
  }
  void write_rules(const card::GateRules& rules) {
    centre.issuing_signer.set_certificate_chain({centre.issuing.der()});
    write("rules.p7m", crypto::testing::must(card::sign_transit_rules(rules, centre.issuing_signer)));
  }
  void write_stop_list(const std::vector<std::uint64_t>& stopped, std::uint64_t known = 10'000) {
    using crypto::testing::must;
    identity::StopListHead head;
    head.epoch = ++epoch_;
    head.this_update = now - std::chrono::minutes(10);
    head.next_update = now + std::chrono::hours(72);
    head.issuer = "Test Authority";
    const Bytes body = must(identity::encode_stop_list(head, {{0, known}}, stopped));
    centre.issuing_signer.set_certificate_chain({centre.issuing.der()});
    std::filesystem::create_directories(folder.path() / "lists");
    write("lists/full-" + std::to_string(head.epoch) + ".stop-list",
          must(identity::sign_stop_list(body, centre.issuing_signer)));
  }
  /// Gates with odd numbers are in zone 5, where a card's pass does not hold, the others in zone 1, where it does.
  static unsigned zone(unsigned gate) { return gate % 2 == 0 ? 1 : 5; }
  void write_config() {
    std::string text =
        "schema = \"karta.kartad/1\"\nstate = \"state\"\n"
        "[server]\nlisten = [\"127.0.0.1:0\"]\n"
        "[[caller]]\nname = \"program\"\ntoken_sha256 = \"" +
        std::string(64, '0') + "\"\nverbs = [\"*\"]\n";
    for (unsigned gate = 0; gate < options_.gates; ++gate) {
      text += "[[reader]]\nname = \"" + reader_name(gate) +
              "\"\nmodes = [\"transit\"]\ngate = " + std::to_string(options_.first_gate + gate) +
              "\nzone = " + std::to_string(zone(gate)) + "\noutput = \"barrier\"\n";
    }
    text +=
        "[trust]\ncard_issuers = [\"issuing.der\"]\nstop_list_signers = [\"issuing.der\"]\nstop_lists = [\"lists\"]\n"
        "rules = \"rules.p7m\"\n[transit]\nlongest_answer_ms = " +
        std::to_string(options_.longest_answer_ms) + "\n" + options_.more + "\n";
    if (options_.counted) text += "keys = \"masters.pem\"\npassphrase_file = \"secret\"\n";
    text += "[[transit.output]]\nname = \"barrier\"\n" + options_.output + "\n";
    write("kartad.toml", as_bytes(text));
  }
  void write(const std::string& name, ByteView octets) {
    // In place of what is there, in one step: the daemon may look at any moment.
    auto file = crypto::testing::must(NewFile::create(folder.path() / name, 0640));
    EXPECT_TRUE(file.write(octets));
    EXPECT_TRUE(file.commit_over());
  }
  std::filesystem::path config() const { return folder.path() / "kartad.toml"; }
  std::filesystem::path journal() const { return folder.path() / "state" / "journal.sqlite"; }

  /// The gates' openings: (gate, number), each as often as it stands there.
  std::multiset<std::pair<std::uint32_t, std::uint32_t>> openings() const {
    std::multiset<std::pair<std::uint32_t, std::uint32_t>> out;
    std::ifstream file(folder.path() / "openings");
    std::string word, time;
    for (std::uint32_t gate = 0, number = 0; file >> word >> gate >> number >> time;) out.emplace(gate, number);
    return out;
  }

  CentreForTerminals& centre = CentreForTerminals::shared();
  crypto::testing::TemporaryFolder folder;
  SystemRandom random;
  Time now = crypto::testing::test_time();

 private:
  GateHouseOptions options_;
  std::uint64_t epoch_ = 0;
};

/// Trips onto a card's second product, as a counter sells them. `sold`: the counter's own running number.
inline void sell_trips(IdentityCard& card, std::uint32_t trips, std::uint32_t sold) {
  card.put(os::Interface::contactless);
  const SecretBytes can = secret(kCan);
  const card::UnlockedTerminal counter = card.terminal("counter");
  auto identity =
      card::IdentityApplication::open(*card.plain, card.request(counter, card::PacePassword::can, can), card.random);
  ASSERT_TRUE(identity) << identity.error().message;
  card::MasterTransactionKeys keys(ledger_masters(kTransitMasters), card.random);
  auto inside = card::TransitApplication::open(identity->channel());
  ASSERT_TRUE(inside) << inside.error().message;
  auto ledger = inside->open_for_sale(keys);
  ASSERT_TRUE(ledger) << ledger.error().message;
  card::TransitEntry entry;
  entry.terminal = 9;
  entry.number = sold;
  entry.moment = card::moment_number(card.centre.now);
  const auto change = card::sale(ledger->state(), 1, trips, entry);
  ASSERT_TRUE(change);
  ASSERT_TRUE(ledger->commit(*change));
  ASSERT_TRUE(ledger->ratify());
  identity->close();
  card.put(os::Interface::contactless);
}

/// What the card says of its ledger to who has the debit key.
inline card::LedgerState ledger_of(IdentityCard& card) {
  card.put(os::Interface::contactless);
  card::MasterTransactionKeys keys(ledger_masters(kTransitMasters), card.random);
  auto transit = card::TransitApplication::open(*card.plain);
  EXPECT_TRUE(transit) << transit.error().message;
  if (!transit) return {};
  auto ledger = transit->open_for_travel(keys);
  EXPECT_TRUE(ledger) << ledger.error().message;
  return ledger ? ledger->state() : card::LedgerState{};
}

}  // namespace karta::test
