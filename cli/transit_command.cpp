// karta transit: a gate and a ticket office: taps with receipts, trips sold.
#include <CLI/CLI.hpp>

#include "card/transit.h"
#include "cli/card_session.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/pending_folder.h"
#include "cli/sector_output.h"
#include "cli/terminal_session.h"
#include "cli/transaction_input.h"

namespace karta::cli {
namespace {

struct TapArguments {
  std::string reader, pending;
  TransactionInput keys;
  card::Gate gate{.terminal = 1, .zone = 0, .fare = 0, .reduced_fare = 0, .pass_back_seconds = 0};
  std::uint32_t number = 1;
  bool no_ratify = false, json = false;
};

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
  const auto keys = TRY(open_transaction_keys(given.keys, "transit", random));
  const auto connection = TRY(connect_card(given.reader));
  const auto alone = TRY(card::Transaction::begin(*connection));
  card::PlainChannel channel(*connection);
  const PendingFolder folder(given.pending);
  const auto pending = TRY(pending_for(channel, folder));
  card::Tap tap(channel, *keys.keys, given.gate);
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
    tap.add_option("--zone", given->gate.zone, "0 to 15")->check(CLI::Range(0, 15))->capture_default_str();
    tap.add_option("--number", given->number, "the gate's own running number of this tap")->capture_default_str();
    tap.add_option("--fare", given->gate.fare, "off a purse, in its smallest unit")->capture_default_str();
    tap.add_option("--reduced-fare", given->gate.reduced_fare, "the same with a concession")->capture_default_str();
    tap.add_option("--pass-back", given->gate.pass_back_seconds, "seconds in which the same card is not let in again")
        ->capture_default_str();
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
}

}  // namespace karta::cli
