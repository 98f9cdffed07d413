// karta health: a clinic and a pharmacy: emergency data written, medicines granted and redeemed.
#include <CLI/CLI.hpp>

#include "card/health.h"
#include "cli/card_session.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/pending_folder.h"
#include "cli/sector_output.h"
#include "cli/terminal_session.h"
#include "cli/transaction_input.h"

namespace karta::cli {
namespace {

constexpr std::size_t kTerminalOctets = 8;

struct Arguments {
  TerminalAccess access;
  TransactionInput keys;
  std::string medicine, from, until, pending;
  std::uint32_t package = 0, prescription = 0, number = 1;
  unsigned packages = 1;
  bool json = false;
};

Result<card::CardDay> day_of(const std::string& text) {
  if (text.empty()) return card::CardDay{};
  const Time time = TRY(parse_time(text));
  return card::CardDay(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)));
}

std::chrono::year_month_day today(const Clock& clock) { return std::chrono::floor<std::chrono::days>(clock.now()); }

// The terminal's certificate names it: the last octets of its holder's reference.
Bytes terminal_number(const card::CvCertificate& terminal) {
  Bytes number = to_bytes(as_bytes(terminal.holder()));
  if (number.size() > kTerminalOctets) number.erase(number.begin(), number.end() - kTerminalOctets);
  number.resize(kTerminalOctets, 0x00);
  return number;
}

card::HealthEntry entry_of(const Arguments& given, TerminalSession& session, const Clock& clock) {
  card::HealthEntry entry;
  entry.terminal = terminal_number(session.terminal());
  entry.number = given.number;
  entry.moment = card::moment_number(clock.now());
  entry.prescription = given.prescription;
  entry.packages = static_cast<std::uint8_t>(given.packages);
  return entry;
}

/// What was done, now or before: `earlier`: by a commit whose answer had been lost.
struct Outcome {
  card::HealthEntry entry;
  std::string medicine;
  std::uint32_t left = 0;
  card::LedgerReceipt receipt;
  bool earlier = false;
};

void show(const Arguments& given, const Outcome& outcome) {
  const char* const deed = outcome.entry.deed == card::HealthEntry::Deed::granted ? "granted" : "redeemed";
  if (given.json) {
    Json document = json_document("karta.health.receipt/1");
    document["deed"] = deed;
    document["settled"] = outcome.earlier;
    document["medicine"] = outcome.medicine;
    document["packages"] = outcome.entry.packages;
    document["left"] = outcome.left;
    document["sequence"] = outcome.receipt.sequence;
    document["settlement_code"] = to_hex(outcome.receipt.code);
    print_json(document);
    return;
  }
  print(std::string(deed) + ": " + std::to_string(outcome.entry.packages) + " of " + outcome.medicine + ", " +
        std::to_string(outcome.left) + " left" +
        (outcome.earlier ? "; that was before, when the answer was lost: nothing is changed now" : ""));
  print("receipt " + std::to_string(outcome.receipt.sequence) + ", settlement code " + to_hex(outcome.receipt.code));
}

/// What became of the commit that is pending for this ledger: nothing where none is, or the card never wrote it.
Result<std::optional<Outcome>> settle_pending(const card::LedgerSession& ledger, const PendingFolder& folder) {
  const auto pending = TRY(folder.find(ledger.info().serial));
  if (!pending) return std::optional<Outcome>{};
  const card::LedgerState& state = ledger.state();
  if (card::settle(*pending, ledger.info(), state) != card::Settlement::written) return std::optional<Outcome>{};
  const auto all = TRY(card::Entitlements::parse(state.product, state.counters.size()));
  Outcome outcome;
  outcome.entry = TRY(card::HealthEntry::parse(state.last_entry));
  if (outcome.entry.slot >= all.slots.size()) {
    return fail(ErrorKind::card_unresponsive, "the card's last entry names an entitlement it does not have");
  }
  outcome.medicine = all.slots[outcome.entry.slot].medicine;
  outcome.left = state.counters[outcome.entry.slot];
  outcome.receipt = {state.sequence, state.last_code, {}};
  outcome.earlier = true;
  folder.forget(ledger.info().serial);
  return std::optional<Outcome>(std::move(outcome));
}

/// COMMIT and RATIFY.
Result<Outcome> commit(card::LedgerSession& ledger, const card::LedgerChange& change, const std::string& medicine,
                       const PendingFolder& folder) {
  Outcome outcome;
  outcome.entry = TRY(card::HealthEntry::parse(change.entry));
  outcome.medicine = medicine;
  outcome.left = change.counters[outcome.entry.slot];
  auto receipt = ledger.commit(change, [&](const card::PendingCommit& pending) { return folder.keep(pending); });
  if (!receipt) {
    Error error = receipt.error();
    if (ledger.phase() == card::LedgerPhase::lost) error.hint = folder.hint_of_lost_answer();
    return fail(std::move(error));
  }
  outcome.receipt = std::move(*receipt);
  // The deed is done; a card that is gone by now is asked for nothing more.
  if (!ledger.ratify()) say("the card was not told that its receipt arrived");
  folder.forget(ledger.info().serial);
  return outcome;
}

Result<int> run_redeem(Arguments given) {
  given.access.role = "pharmacy";
  SystemRandom random;
  const SystemClock clock;
  const PendingFolder folder(given.pending);
  const auto keys = TRY(open_transaction_keys(given.keys, "health", random));
  const auto session = TRY(TerminalSession::open(given.access, {}, random));
  auto health = TRY(card::HealthApplication::open(session->identity().channel()));
  auto ledger = TRY(health.open_for_redeeming(*keys.keys));
  if (const auto earlier = TRY(settle_pending(ledger, folder))) {
    show(given, *earlier);
    return 0;
  }
  const auto slot = card::find_entitlement(ledger.state(), given.medicine, given.package, today(clock));
  if (!slot) {
    return fail(ErrorKind::not_permitted, "the card has no entitlement to " + given.medicine + " with anything left");
  }
  const card::LedgerChange change =
      TRY(card::redemption(ledger.state(), *slot, static_cast<std::uint8_t>(given.packages), today(clock),
                           entry_of(given, *session, clock)));
  const Outcome outcome = TRY(commit(ledger, change, given.medicine, folder));
  show(given, outcome);
  return 0;
}

Result<int> run_grant(Arguments given) {
  given.access.role = "clinic";
  SystemRandom random;
  const SystemClock clock;
  const PendingFolder folder(given.pending);
  card::Entitlement wanted{given.medicine, given.package, {}, {}};
  wanted.from = TRY(day_of(given.from));
  wanted.until = TRY(day_of(given.until));
  const auto keys = TRY(open_transaction_keys(given.keys, "health", random));
  const auto session = TRY(TerminalSession::open(given.access, {}, random));
  auto health = TRY(card::HealthApplication::open(session->identity().channel()));
  if (const auto pending = TRY(folder.find(health.ledger().serial))) {
    const auto ledger = TRY(health.open_for_granting(*keys.keys));
    if (const auto earlier = TRY(settle_pending(ledger, folder))) {
      show(given, *earlier);
      return 0;
    }
  }
  const auto present = TRY(health.entitlements());
  card::Entitlements product;
  std::vector<std::uint32_t> counters;
  for (const auto& [entitlement, left] : present.slots) {
    product.slots.push_back(entitlement);
    counters.push_back(left);
  }
  const std::uint8_t slot = TRY(card::slot_for(product, counters, wanted));
  if (!(product.slots[slot] == wanted)) {
    product.slots[slot] = wanted;
    TRY(health.write_entitlements(product));
  }
  auto ledger = TRY(health.open_for_granting(*keys.keys));
  const card::LedgerChange change = TRY(
      card::grant(ledger.state(), slot, static_cast<std::uint8_t>(given.packages), entry_of(given, *session, clock)));
  const Outcome outcome = TRY(commit(ledger, change, given.medicine, folder));
  show(given, outcome);
  return 0;
}

struct EmergencyArguments {
  TerminalAccess access;
  std::string blood_group = "unknown";
  std::vector<std::string> allergies, conditions, contacts;
};

/// "words" or "words;code"
std::pair<std::string, std::string> split(const std::string& text) {
  const std::size_t at = text.find(';');
  return at == std::string::npos ? std::pair(text, std::string()) : std::pair(text.substr(0, at), text.substr(at + 1));
}

Result<int> run_emergency(EmergencyArguments given) {
  given.access.role = "clinic";
  card::EmergencyData data;
  const auto group = card::find_blood_group(given.blood_group);
  if (!group) return fail(ErrorKind::usage, "\"" + given.blood_group + "\" is no blood group", "O-, O+, ... AB+");
  data.blood_group = *group;
  for (const std::string& text : given.allergies) {
    const auto [words, code] = split(text);
    data.allergies.push_back({words, code});
  }
  for (const std::string& text : given.conditions) {
    const auto [words, code] = split(text);
    data.conditions.push_back({words, code});
  }
  for (const std::string& text : given.contacts) {
    const auto [name, telephone] = split(text);
    data.contacts.push_back({name, telephone});
  }
  TRY(data.encode());
  SystemRandom random;
  const auto session = TRY(TerminalSession::open(given.access, {}, random));
  auto health = TRY(card::HealthApplication::open(session->identity().channel()));
  TRY(health.write_emergency(data));
  say("emergency data are written");
  return 0;
}

}  // namespace

void add_health(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("health", "Clinics and pharmacies: emergency data, medicines");
  noun.require_subcommand(0, 1);
  const auto verb = [&](const char* name, const char* words, Result<int> (*run)(Arguments)) {
    auto given = std::make_shared<Arguments>();
    CLI::App& command = *noun.add_subcommand(name, words);
    add_reader_option(command, given->access.reader);
    add_terminal_options(command, given->access);
    add_transaction_options(command, given->keys);
    command.add_option("--medicine", given->medicine, "ATC code")->required();
    command.add_option("--package", given->package, "number in the payer's catalogue of packages");
    command.add_option("--packages", given->packages, "how many")->check(CLI::Range(1, 255))->capture_default_str();
    command.add_option("--prescription", given->prescription, "the payer's number of it");
    command.add_option("--number", given->number, "the terminal's own running number")->capture_default_str();
    command.add_option("--pending", given->pending, kPendingWords);
    command.add_flag("--json", given->json, "for scripts: karta.health.receipt/1");
    on_call(command, chosen, [given, run] { return run(*given); });
    return std::pair(&command, given);
  };
  verb("redeem", "Pharmacy: take packages off an entitlement", run_redeem);
  {
    const auto [command, given] = verb("grant", "Clinic: grant packages of a medicine", run_grant);
    command->add_option("--from", given->from, "first day, 2026-11-22");
    command->add_option("--until", given->until, "last day");
  }
  auto given = std::make_shared<EmergencyArguments>();
  CLI::App& emergency = *noun.add_subcommand("emergency", "Clinic: write emergency data, in place of what is there");
  add_reader_option(emergency, given->access.reader);
  add_terminal_options(emergency, given->access);
  emergency.add_option("--blood-group", given->blood_group, "O-, O+, A-, A+, B-, B+, AB-, AB+")->capture_default_str();
  emergency.add_option("--allergy", given->allergies, "words, or words;code; several");
  emergency.add_option("--condition", given->conditions, "words, or words;code; several");
  emergency.add_option("--contact", given->contacts, "name;telephone; several");
  on_call(emergency, chosen, [given] { return run_emergency(*given); });
}

}  // namespace karta::cli
