// karta health: a clinic and a pharmacy: emergency data written, medicines granted and redeemed.
#include <CLI/CLI.hpp>

#include "card/health.h"
#include "cli/card_session.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/sector_output.h"
#include "cli/terminal_session.h"
#include "cli/transaction_input.h"

namespace karta::cli {
namespace {

constexpr std::size_t kTerminalOctets = 8;

struct Arguments {
  TerminalAccess access;
  TransactionInput keys;
  std::string medicine, from, until;
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

void show(const char* deed, const Arguments& given, std::uint32_t left, const card::LedgerReceipt& receipt) {
  if (given.json) {
    Json document = json_document("karta.health.receipt/1");
    document["deed"] = deed;
    document["medicine"] = given.medicine;
    document["packages"] = given.packages;
    document["left"] = left;
    document["sequence"] = receipt.sequence;
    document["settlement_code"] = to_hex(receipt.code);
    print_json(document);
    return;
  }
  print(std::string(deed) + ": " + std::to_string(given.packages) + " of " + given.medicine + ", " +
        std::to_string(left) + " left");
  print("receipt " + std::to_string(receipt.sequence) + ", settlement code " + to_hex(receipt.code));
}

Result<int> run_redeem(Arguments given) {
  given.access.role = "pharmacy";
  SystemRandom random;
  const SystemClock clock;
  const auto keys = TRY(open_transaction_keys(given.keys, "health", random));
  const auto session = TRY(TerminalSession::open(given.access, {}, random));
  auto health = TRY(card::HealthApplication::open(session->identity().channel()));
  auto ledger = TRY(health.open_for_redeeming(*keys.keys));
  const auto slot = card::find_entitlement(ledger.state(), given.medicine, given.package, today(clock));
  if (!slot) {
    return fail(ErrorKind::not_permitted, "the card has no entitlement to " + given.medicine + " with anything left");
  }
  const card::LedgerChange change =
      TRY(card::redemption(ledger.state(), *slot, static_cast<std::uint8_t>(given.packages), today(clock),
                           entry_of(given, *session, clock)));
  const auto receipt = TRY(ledger.commit(change));
  TRY(ledger.ratify());
  show("redeemed", given, change.counters[*slot], receipt);
  return 0;
}

Result<int> run_grant(Arguments given) {
  given.access.role = "clinic";
  SystemRandom random;
  const SystemClock clock;
  card::Entitlement wanted{given.medicine, given.package, {}, {}};
  wanted.from = TRY(day_of(given.from));
  wanted.until = TRY(day_of(given.until));
  const auto keys = TRY(open_transaction_keys(given.keys, "health", random));
  const auto session = TRY(TerminalSession::open(given.access, {}, random));
  auto health = TRY(card::HealthApplication::open(session->identity().channel()));
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
  const auto receipt = TRY(ledger.commit(change));
  TRY(ledger.ratify());
  show("granted", given, change.counters[slot], receipt);
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
