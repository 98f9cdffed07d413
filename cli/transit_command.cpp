// karta transit: a gate, a ticket office and a back office: taps with receipts, trips sold, rules signed, journals
// settled.
#include <CLI/CLI.hpp>
#include <fstream>

#include "base/file.h"
#include "card/transit_rules.h"
#include "cli/card_session.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/pending_folder.h"
#include "cli/secret_input.h"
#include "cli/sector_output.h"
#include "cli/terminal_session.h"
#include "cli/transaction_input.h"
#include "identity/journal/journal.h"
#include "identity/terminals.h"
#include "issuing/centre.h"
#include "issuing/settlement.h"

namespace karta::cli {
namespace {

struct TapArguments {
  std::string reader, pending;
  TransactionInput keys;
  card::Gate gate{.terminal = 1, .zone = 0, .fare = 0, .reduced_fare = 0, .pass_back_seconds = 0};
  std::string rules, folder;  // of a region, signed; empty: the gate as its options say
  std::vector<std::string> signers;
  std::optional<unsigned> zone;
  std::uint32_t number = 1;
  bool no_ratify = false, json = false;
};

/// Who makes rules: those named, or the centre's issuing CA.
Result<std::vector<crypto::Certificate>> rules_signers(const std::vector<std::string>& files, const std::string& folder,
                                                       const Clock& clock) {
  std::vector<crypto::Certificate> signers;
  for (const std::string& file : files) {
    const Bytes octets = TRY(read_file(file, crypto::Certificate::kMostOctets));
    signers.push_back(TRY(crypto::Certificate::from_file_octets(octets)));
  }
  if (signers.empty()) {
    SystemRandom random;
    const issuing::Centre centre = TRY(issuing::Centre::open(folder, clock, random));
    signers.push_back(centre.issuing());
  }
  return signers;
}

/// What the gate judges by.
Result<card::Gate> gate_of(const TapArguments& given, const Clock& clock) {
  card::Gate gate = given.gate;
  gate.zone = static_cast<std::uint8_t>(given.zone.value_or(0));
  if (given.rules.empty()) return gate;
  const auto signers = TRY(rules_signers(given.signers, given.folder, clock));
  const Bytes octets = TRY(read_file(given.rules, 2 * card::GateRules::kMostOctets));
  const card::GateRules rules = TRY(card::open_transit_rules(octets, signers, clock.now()));
  if (rules.stale(clock.now())) warn("the rules are stale: the next were due at " + format_time(rules.next_update));
  std::optional<std::uint8_t> zone;
  if (given.zone) zone = gate.zone;
  return rules.gate(gate.terminal, zone);
}

Json tap_json(const card::TapOutcome& outcome) {
  Json document = json_document("karta.transit.tap/1");
  document["decision"] = card::name_of(outcome.reason);
  document["settled"] = outcome.settled;
  document["counters"] = outcome.counters;
  document["entry"] = outcome.receipt ? json_of(outcome.entry) : Json();
  document["sequence"] = outcome.receipt ? Json(outcome.receipt->sequence) : Json();
  document["settlement_code"] = outcome.receipt ? Json(to_hex(outcome.receipt->code)) : Json();
  return document;
}

/// What is pending for the card in the field; the card is asked its ledger's serial, one command.
Result<std::optional<card::PendingCommit>> pending_for(card::Channel& channel, const PendingFolder& folder) {
  if (!folder.named()) return std::optional<card::PendingCommit>{};
  const card::LedgerInfo info = TRY(card::select_ledger(channel, card::kTransitAid));
  return folder.find(info.serial);
}

Result<int> run_tap(const TapArguments& given) {
  SystemRandom random;
  const SystemClock clock;
  const card::Gate gate = TRY(gate_of(given, clock));
  const auto keys = TRY(open_transaction_keys(given.keys, "transit", random));
  const auto connection = TRY(connect_card(given.reader));
  const auto alone = TRY(card::Transaction::begin(*connection));
  card::PlainChannel channel(*connection);
  const PendingFolder folder(given.pending);
  const auto pending = TRY(pending_for(channel, folder));
  card::Tap tap(channel, *keys.keys, gate);
  const auto outcome = tap.run(
      given.number, clock.now(), [&](const card::PendingCommit& commit) { return folder.keep(commit); },
      pending ? &*pending : nullptr);
  if (!outcome) {
    Error error = outcome.error();
    if (tap.session() != nullptr && tap.session()->phase() == card::LedgerPhase::lost) {
      error.hint = folder.hint_of_lost_answer();
    }
    return fail(std::move(error));
  }
  if (outcome->receipt && !outcome->settled && !given.no_ratify) {
    if (const Status ratified = tap.ratify(); !ratified) say("the card was not told that its receipt arrived");
  }
  if (outcome->receipt) folder.forget(tap.session()->info().serial);
  if (given.json) {
    print_json(tap_json(*outcome));
  } else if (outcome->reason != card::TapReason::open) {
    print("closed: " + std::string(card::name_of(outcome->reason)));
  } else {
    print(std::string("open") + (outcome->settled ? ": the trip of the lost answer, nothing taken now" : "") + ", " +
          text_of(outcome->entry));
    print("receipt " + std::to_string(outcome->receipt->sequence) + ", settlement code " +
          to_hex(outcome->receipt->code));
  }
  constexpr int kClosed = 1;
  return outcome->reason == card::TapReason::open ? 0 : kClosed;
}

struct SellArguments {
  TerminalAccess access;
  TransactionInput keys;
  std::string kind = "trips";
  std::vector<unsigned> zones;
  unsigned slot = 2;
  std::uint32_t amount = 0, number = 1, terminal = 1;
  std::string from, until;
};

Result<card::CardDay> day_of(const std::string& text) {
  if (text.empty()) return card::CardDay{};
  const Time time = TRY(parse_time(text));
  return card::CardDay(std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(time)));
}

Result<int> run_sell(SellArguments given) {
  SystemRandom random;
  const SystemClock clock;
  given.access.role = "counter";
  card::TransitProduct product;
  const auto kind = card::find_product_kind(given.kind);
  if (!kind || *kind == card::ProductKind::none) return fail(ErrorKind::usage, "--kind is period, trips or purse");
  product.kind = *kind;
  product.from = TRY(day_of(given.from));
  product.until = TRY(day_of(given.until));
  for (const unsigned zone : given.zones) product.zones = static_cast<std::uint16_t>(product.zones | 1u << zone);
  if (given.zones.empty()) product.zones = 0xFFFF;
  const auto keys = TRY(open_transaction_keys(given.keys, "transit", random));
  const auto session = TRY(TerminalSession::open(given.access, {}, random));
  auto transit = TRY(card::TransitApplication::open(session->identity().channel()));
  const auto present = TRY(transit.read());
  const auto slot = static_cast<std::size_t>(given.slot - 1);
  if (slot >= present.pass.products.size()) {
    return fail(ErrorKind::usage, "the card has " + std::to_string(present.pass.products.size()) + " products");
  }
  if (!(present.pass.products[slot] == product)) {
    if (present.counters[slot] != 0) {
      return fail(ErrorKind::not_permitted,
                  "product " + std::to_string(given.slot) + " is another one, and not used up",
                  "name another --product");
    }
    card::TransitPass pass = present.pass;
    pass.products[slot] = product;
    TRY(transit.write_pass(pass));
  }
  auto ledger = TRY(transit.open_for_sale(*keys.keys));
  card::TransitEntry entry;
  entry.terminal = given.terminal;
  entry.number = given.number;
  entry.moment = card::moment_number(clock.now());
  const card::LedgerChange change =
      TRY(card::sale(ledger.state(), static_cast<std::uint8_t>(slot), given.amount, entry));
  const auto receipt = TRY(ledger.commit(change));
  TRY(ledger.ratify());
  print("sold: product " + std::to_string(given.slot) + " has " + std::to_string(change.counters[slot]) + ", receipt " +
        std::to_string(receipt.sequence));
  return 0;
}

// Rules ------------------------------------------------------------------------------------------

struct RulesArguments {
  std::string folder, file, out;
  std::vector<std::string> signers;
  SecretOptions secret;
  bool json = false;
};

Result<int> run_rules_sign(const RulesArguments& given) {
  const Bytes text = TRY(read_file(given.file, card::GateRules::kMostOctets));
  const card::GateRules rules = TRY(card::GateRules::from_json(as_text(text)));
  const SystemClock clock;
  SystemRandom random;
  issuing::Centre centre = TRY(issuing::Centre::open(given.folder, clock, random));
  const auto input = make_secret_input(given.secret.descriptor, given.secret.program);
  const SecretBytes passphrase = TRY(input->ask({.title = "Transit rules number " + std::to_string(rules.sequence),
                                                 .prompt = "passphrase of the issuing CA",
                                                 .warning = "",
                                                 .repeat = false}));
  const auto signer = TRY(centre.unlock_issuing_ca(passphrase));
  const Bytes signed_rules = TRY(card::sign_transit_rules(rules, *signer));
  TRY(write_new_file(given.out, signed_rules, 0644));
  say("transit rules " + std::to_string(rules.sequence) + " of " + rules.name + ", the next are due at " +
      format_time(rules.next_update));
  return 0;
}

/// A draft, as people write it, or signed rules, whose signature this does not look at.
Result<card::GateRules> read_rules(const std::string& file) {
  const Bytes octets = TRY(read_file(file, 2 * card::GateRules::kMostOctets));
  const std::string_view text = as_text(octets);
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && text[first] == '{') return card::GateRules::from_json(text);
  return card::read_transit_rules(octets);
}

Result<int> run_rules_show(const RulesArguments& given) {
  const card::GateRules rules = TRY(read_rules(given.file));
  if (given.json) {
    std::string text = rules.to_json();
    text.pop_back();
    print(text);
    return 0;
  }
  print(rules.name + ": rules number " + std::to_string(rules.sequence) + " of " + format_time(rules.issued_at) +
        ", the next are due at " + format_time(rules.next_update));
  for (const auto& zone : rules.zones) {
    const auto fare = rules.fare(zone.zone, zone.zone);
    print("zone " + std::to_string(zone.zone) + "  " + zone.name +
          (fare ? ", a ride " + std::to_string(fare->full) + ", reduced " + std::to_string(fare->reduced) : ""));
  }
  const auto limit = [](unsigned rides) { return rides == 0 ? std::string("any number") : std::to_string(rides); };
  for (const auto& ground : rules.concessions) {
    print("concession " + std::to_string(ground.ground) + "  rides a day: " + limit(ground.rides_day) +
          ", a month: " + limit(ground.rides_month));
  }
  print(std::to_string(rules.gates.size()) + " gates, pass-back " + std::to_string(rules.pass_back_seconds) +
        " s, day's cap " + std::to_string(rules.day_cap.full) + ", reduced " + std::to_string(rules.day_cap.reduced));
  return 0;
}

Result<int> run_rules_check(const RulesArguments& given) {
  const SystemClock clock;
  const auto signers = TRY(rules_signers(given.signers, given.folder, clock));
  const Bytes octets = TRY(read_file(given.file, 2 * card::GateRules::kMostOctets));
  const card::GateRules rules = TRY(card::open_transit_rules(octets, signers, clock.now()));
  const bool early = clock.now() < rules.issued_at, stale = rules.stale(clock.now());
  if (given.json) {
    Json document = json_document("karta.transit.rules-check/1");
    document["sequence"] = rules.sequence;
    document["issued_at"] = format_time(rules.issued_at);
    document["next_update"] = format_time(rules.next_update);
    document["state"] = early ? "early" : stale ? "stale" : "fresh";
    print_json(document);
  } else {
    print("rules number " + std::to_string(rules.sequence) + ", signed by one trusted, " +
          (early   ? "from the future: the clock is wrong"
           : stale ? "stale: the next were due at " + format_time(rules.next_update)
                   : "good until " + format_time(rules.next_update)));
  }
  constexpr int kNotFresh = 2;
  return early || stale ? kNotFresh : 0;
}

// Settlement -------------------------------------------------------------------------------------

struct SettleArguments {
  std::vector<std::string> journals, anchors;
  std::string folder;
  bool uploaded = false, json = false;
  TransactionInput keys;
};

/// Calls add(terminal, records) for the pages of a journal as its terminal keeps it, or of lines as they are uploaded.
template <class Add>
Status each_page(const std::string& path, Add&& add) {
  constexpr std::size_t kPage = 1'000;
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorKind::not_found, "there is no file \"" + path + "\"");
  if (file.peek() != '{') {
    const auto reader = TRY(identity::JournalReader::open(path));
    for (std::uint64_t after = 0;;) {
      const auto page = TRY(reader.pages(after, kPage));
      if (page.empty()) return {};
      TRY(add(reader.terminal(), page));
      after = page.back().number;
    }
  }
  std::string terminal = path;
  std::vector<identity::JournalRecord> page;
  std::string line;
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    if (number == 1) {
      if (const auto head = identity::parse_upload(line + "\n")) {
        terminal = head->terminal;
        continue;
      }
    }
    auto record = identity::record_from_json_line(line);
    if (!record) {
      return fail(record.error().kind,
                  "\"" + path + "\", line " + std::to_string(number) + ": " + record.error().message);
    }
    page.push_back(std::move(*record));
    if (page.size() < kPage) continue;
    TRY(add(terminal, page));
    page.clear();
  }
  if (!file.eof()) return fail(ErrorKind::io, "\"" + path + "\" cannot be read to its end");
  return add(terminal, page);
}

/// The same for the journals that terminals have sent to the centre.
template <class Add>
Status each_uploaded(const std::string& folder, Add&& add) {
  const SystemClock clock;
  SystemRandom random;
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(folder));
  auto registry = TRY(identity::Registry::open(config.database, clock, random));
  identity::TerminalLedger ledger(std::move(registry));
  for (std::string last;;) {
    const auto terminals = TRY(ledger.list(last));
    if (terminals.empty()) return {};
    for (const identity::Terminal& terminal : terminals) {
      last = terminal.name;
      for (std::uint64_t after = 0; after < terminal.journal_to;) {
        const auto page = TRY(ledger.journal_of(terminal.id, after, identity::kPageLimit));
        if (page.empty()) break;
        TRY(add(terminal.name, page));
        after = page.back().number;
      }
    }
  }
}

Json json_of(const issuing::SettlementTotals& totals) {
  return {{"taps", totals.taps},      {"periods", totals.periods},         {"trips", totals.trips},
          {"purse", totals.purse},    {"card_signed", totals.card_signed}, {"settled", totals.settled},
          {"reduced", totals.reduced}};
}

std::string text_of(const issuing::SettlementTotals& totals) {
  return std::to_string(totals.taps) + " taps: " + std::to_string(totals.periods) + " on periods, " +
         std::to_string(totals.trips) + " trips, " + std::to_string(totals.purse) + " off purses, " +
         std::to_string(totals.card_signed) + " signed by cards; " + std::to_string(totals.reduced) +
         " with a concession, " + std::to_string(totals.settled) + " settled";
}

void print_report(const issuing::SettlementReport& report) {
  print(std::to_string(report.journals) + " journals, " + std::to_string(report.records) + " records, " +
        std::to_string(report.ledgers) + " cards, " + std::to_string(report.commits) + " commits");
  for (const auto& [gate, totals] : report.gates) print("gate " + std::to_string(gate) + "  " + text_of(totals));
  print("in all  " + text_of(report.all));
  if (report.codes_unchecked != 0) {
    print(std::to_string(report.codes_unchecked) +
          " codes or certificates were not checked: no keys or no anchors were given");
  }
  for (const auto& finding : report.findings) {
    std::string line(issuing::name_of(finding.kind));
    if (!finding.terminal.empty()) line += "  terminal " + finding.terminal;
    if (finding.record != 0) line += " record " + std::to_string(finding.record);
    if (!finding.ledger.empty()) {
      line += "  ledger " + to_hex(finding.ledger) + " commit " + std::to_string(finding.sequence);
    }
    if (finding.gate != 0)
      line += "  gate " + std::to_string(finding.gate) + " number " + std::to_string(finding.number);
    print(line + ": " + finding.words);
  }
}

Json json_of(const issuing::SettlementReport& report) {
  Json document = json_document("karta.transit.settle/1");
  document["faultless"] = report.faultless();
  document["journals"] = report.journals;
  document["records"] = report.records;
  document["ledgers"] = report.ledgers;
  document["commits"] = report.commits;
  document["codes_unchecked"] = report.codes_unchecked;
  document["gates"] = Json::array();
  for (const auto& [gate, totals] : report.gates) {
    Json one = json_of(totals);
    one["gate"] = gate;
    document["gates"].push_back(std::move(one));
  }
  document["all"] = json_of(report.all);
  document["findings"] = Json::array();
  for (const auto& finding : report.findings) {
    document["findings"].push_back({{"kind", issuing::name_of(finding.kind)},
                                    {"fault", issuing::is_fault(finding.kind)},
                                    {"terminal", finding.terminal},
                                    {"record", finding.record},
                                    {"ledger", to_hex(finding.ledger)},
                                    {"sequence", finding.sequence},
                                    {"gate", finding.gate},
                                    {"number", finding.number},
                                    {"words", finding.words}});
  }
  return document;
}

Result<int> run_settle(const SettleArguments& given) {
  SystemRandom random;
  OpenedTransactionKeys keys;
  const bool checks = !given.keys.module_reader.empty() || !given.keys.masters.empty() || !given.keys.hsm.empty();
  if (checks) keys = TRY(open_transaction_keys(given.keys, "transit", random));
  std::vector<crypto::Certificate> anchors;
  for (const std::string& file : given.anchors) {
    const Bytes octets = TRY(read_file(file, crypto::Certificate::kMostOctets));
    anchors.push_back(TRY(crypto::Certificate::from_file_octets(octets)));
  }
  if (given.journals.empty() && !given.uploaded) {
    return fail(ErrorKind::usage, "there is nothing to settle", "name journals, or --uploaded for those at the centre");
  }
  issuing::Settlement settlement(keys.keys.get(), std::move(anchors));
  const auto add = [&](const std::string& terminal, const std::vector<identity::JournalRecord>& page) {
    return settlement.add(terminal, page);
  };
  for (const std::string& journal : given.journals) TRY(each_page(journal, add));
  if (given.uploaded) {
    TRY(each_uploaded(given.folder, add));
  }
  const issuing::SettlementReport report = settlement.finish();
  if (given.json) {
    print_json(json_of(report));
  } else {
    print_report(report);
  }
  return report.faultless() ? 0 : 1;
}

void add_rules(CLI::App& noun, Run& chosen) {
  CLI::App& rules = *noun.add_subcommand("rules", "What a region's gates judge by (karta.transit-rules/1)");
  rules.require_subcommand(1);
  const auto given = std::make_shared<RulesArguments>();
  CLI::App& sign = *rules.add_subcommand("sign", "sign a draft with the centre's issuing CA");
  sign.add_option("file", given->file, "the draft: JSON")->required();
  sign.add_option("--out", given->out, "the signed rules")->required();
  add_centre_option(sign, given->folder);
  add_passphrase_options(sign, given->secret);
  on_call(sign, chosen, [given] { return run_rules_sign(*given); });
  CLI::App& show = *rules.add_subcommand("show", "what a draft or signed rules say");
  show.add_option("file", given->file, "the rules")->required();
  show.add_flag("--json", given->json, "the rules themselves");
  on_call(show, chosen, [given] { return run_rules_show(*given); });
  CLI::App& check = *rules.add_subcommand("check", "check signature and freshness; exit 0 usable, 2 not fresh");
  check.add_option("file", given->file, "signed rules")->required();
  check.add_option("--signer", given->signers,
                   "certificates of those who make rules (default: the centre's issuing CA)");
  check.add_flag("--json", given->json, "for scripts");
  add_centre_option(check, given->folder);
  on_call(check, chosen, [given] { return run_rules_check(*given); });
}

void add_settle(CLI::App& noun, Run& chosen) {
  const auto given = std::make_shared<SettleArguments>();
  CLI::App& settle = *noun.add_subcommand(
      "settle", "Hold gates' journals against the cards' settlement codes; exit 0 all agrees, 1 not");
  settle.add_option("journal", given->journals, "journals of terminals, or what they uploaded as lines");
  settle.add_flag("--uploaded", given->uploaded, "the journals that terminals sent to the centre");
  settle.add_option("--anchor", given->anchors, "certificates of issuing CAs whose cards sign taps");
  settle.add_flag("--json", given->json, "for scripts: karta.transit.settle/1");
  add_centre_option(settle, given->folder);
  add_transaction_options(settle, given->keys);
  on_call(settle, chosen, [given] { return run_settle(*given); });
}

}  // namespace

void add_transit(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("transit", "Gates and ticket offices: trips on and off a card");
  noun.require_subcommand(0, 1);
  {
    auto given = std::make_shared<TapArguments>();
    CLI::App& tap = *noun.add_subcommand("tap", "One card at a gate: opens (0), or stays closed with a reason (1)");
    add_reader_option(tap, given->reader);
    add_transaction_options(tap, given->keys);
    tap.add_option("--gate", given->gate.terminal, "the gate's number")->capture_default_str();
    tap.add_option("--zone", given->zone, "0 to 15 (default: as the rules say, or 0)")->check(CLI::Range(0, 15));
    tap.add_option("--number", given->number, "the gate's own running number of this tap")->capture_default_str();
    auto* const rules = tap.add_option("--rules", given->rules, "signed rules of a region, which say all but the keys");
    for (auto* const option :
         {tap.add_option("--fare", given->gate.fare, "off a purse, in its smallest unit")->capture_default_str(),
          tap.add_option("--reduced-fare", given->gate.reduced_fare, "the same with a concession")
              ->capture_default_str(),
          tap.add_option("--pass-back", given->gate.pass_back_seconds,
                         "seconds in which the same card is not let in again")
              ->capture_default_str()}) {
      option->excludes(rules);
    }
    tap.add_option("--signer", given->signers,
                   "certificates of those who make rules (default: the centre's issuing CA)")
        ->needs(rules);
    add_centre_option(tap, given->folder);
    tap.add_option("--pending", given->pending, kPendingWords);
    tap.add_flag("--no-ratify", given->no_ratify, "leave the card unconfirmed, as a gate in a hurry does");
    tap.add_flag("--json", given->json, "for scripts: karta.transit.tap/1");
    on_call(tap, chosen, [given] { return run_tap(*given); });
  }
  {
    auto given = std::make_shared<SellArguments>();
    CLI::App& sell = *noun.add_subcommand("sell", "Put trips, money or a period onto a card, as a counter");
    add_reader_option(sell, given->access.reader);
    add_terminal_options(sell, given->access);
    add_transaction_options(sell, given->keys);
    sell.add_option("--kind", given->kind, "period, trips or purse")->capture_default_str();
    sell.add_option("--amount", given->amount, "trips, or money in its smallest unit")->capture_default_str();
    sell.add_option("--product", given->slot, "place on the card, from 1")
        ->check(CLI::Range(1, 8))
        ->capture_default_str();
    sell.add_option("--zone", given->zones, "0 to 15, several (default: all)")->check(CLI::Range(0, 15));
    sell.add_option("--from", given->from, "first day, 2026-11-22");
    sell.add_option("--until", given->until, "last day");
    sell.add_option("--office", given->terminal, "the office's number")->capture_default_str();
    sell.add_option("--number", given->number, "its own running number of this sale")->capture_default_str();
    on_call(sell, chosen, [given] { return run_sell(*given); });
  }
  add_rules(noun, chosen);
  add_settle(noun, chosen);
}

}  // namespace karta::cli
