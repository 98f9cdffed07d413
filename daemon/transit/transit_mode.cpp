#include "daemon/transit/transit_mode.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "card/transit_rules.h"
#include "daemon/card_opening.h"
#include "daemon/transit/transit_gate.h"
#include "service/log.h"
#include "service/metrics.h"

namespace karta::daemon {
namespace {

using identity::CardVerdict;
using service::HttpMethod;

constexpr std::string_view kTapVerb = "tap", kGatesVerb = "gates", kInspectVerb = "inspect";
constexpr int kUsualLongestAnswerMs = 250, kMostAnswerMs = 60'000;

constexpr Route kRoutes[] = {
    {.method = HttpMethod::get, .path = "/v1/gates", .verb = kGatesVerb},
    {.method = HttpMethod::post, .path = "/v1/inspections", .verb = kInspectVerb, .at_card = true},
};

struct OutputConfig {
  std::string name;
  std::filesystem::path file;
  std::vector<std::string> command;
};

struct TransitConfig {
  std::string role = "transit";
  std::string region;  // of the cards whose keys are ours, as the trust list names it
  std::optional<KeyRingConfig> keys;
  bool card_signed = true;
  bool require_stop_list = true;
  std::chrono::milliseconds longest_answer{kUsualLongestAnswerMs};
  std::vector<OutputConfig> outputs;
};

card::TapReason tap_reason_of(CardVerdict verdict) {
  switch (verdict) {
    case CardVerdict::good:
      return card::TapReason::open;
    case CardVerdict::stopped:
      return card::TapReason::stopped;
    case CardVerdict::unknown:
      break;
  }
  return card::TapReason::unknown_card;
}

Json entry_json(const card::TransitEntry& entry) {
  constexpr std::string_view kEvents[] = {"none", "entry", "exit", "inspection", "sale"};
  return {{"event", kEvents[static_cast<std::size_t>(entry.event)]},
          {"gate", entry.terminal},
          {"number", entry.number},
          {"time", format_time(card::time_of_moment(entry.moment))},
          {"product", entry.slot + 1},
          {"zone", entry.zone},
          {"reduced", entry.reduced}};
}

Json day_json(const card::CardDay& day) { return day ? Json(card::to_string(day)) : Json(); }

Json products_json(const card::TransitPass& pass, const std::vector<std::uint32_t>& counters) {
  Json products = Json::array();
  for (std::size_t i = 0; i < pass.products.size() && i < counters.size(); ++i) {
    const card::TransitProduct& product = pass.products[i];
    if (product.empty()) continue;
    products.push_back({{"product", i + 1},
                        {"kind", card::name_of(product.kind)},
                        {"zones", product.zones},
                        {"from", day_json(product.from)},
                        {"until", day_json(product.until)},
                        {"left", counters[i]}});
  }
  return products;
}

/// Whether it could be used, without making or running anything.
Status look_at(const OutputConfig& output) {
  const auto bad = [&](const std::filesystem::path& what, const char* how) {
    return fail(ErrorKind::configuration,
                "[[transit.output]] \"" + output.name + "\": \"" + what.string() + "\" " + how);
  };
  if (!output.command.empty()) {
    if (::access(output.command.front().c_str(), X_OK) != 0) return bad(output.command.front(), "cannot be run");
    return {};
  }
  std::error_code error;
  const bool there = std::filesystem::exists(output.file, error);
  if (::access((there ? output.file : output.file.parent_path()).c_str(), W_OK) != 0) {
    return bad(output.file, "cannot be written");
  }
  return {};
}

class TransitMode final : public Mode {
 public:
  TransitMode(TransitConfig config, std::map<std::string, std::unique_ptr<GateOutput>, std::less<>> outputs,
              const Services& services)
      : config_(std::move(config)),
        services_(services),
        outputs_(std::move(outputs)),
        host_time_(services.metrics.histogram("karta_tap_host_seconds", "Time of the daemon in a tap, the card's apart",
                                              {0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1})),
        card_time_(services.metrics.histogram("karta_tap_card_seconds", "Time of the card in a tap",
                                              {0.04, 0.06, 0.08, 0.1, 0.15, 0.25, 0.5, 1})) {}

  std::string_view name() const override { return "transit"; }
  std::span<const Route> routes() const override { return kRoutes; }
  Result<Reply> answer(const Call&) override { return Reply{.body = gates_json()}; }
  Result<Reply> run(const Call& call, ReaderDesk& desk) override { return inspect(call, desk); }
  void reader_in(ReaderDesk& desk) override { (void)gate_at(desk); }
  void reader_out(ReaderDesk& desk) override {
    const std::lock_guard lock(mutex_);
    if (const auto found = gates_.find(desk.reader()); found != gates_.end() && found->second->desk == &desk) {
      gates_.erase(found);
    }
  }
  void card_in(ReaderDesk& desk) override;
  Json status() const override;
  void tick() override;

 private:
  /// A gate at its reader, with what it last went by.
  struct AtReader {
    const ReaderDesk* desk = nullptr;  // whose thread works here
    std::unique_ptr<KeyRing> ring;     // its own, unless all share a module
    std::unique_ptr<TransitGate> gate;
    std::uint32_t number = 0;
    std::shared_ptr<const TrustSnapshot> trust;  // what `terms` was made of
    GateTerms terms;
    std::optional<GateReason> unusable;
  };

  std::shared_ptr<AtReader> gate_at(ReaderDesk& desk);
  /// Of the cards whose keys the gates have.
  const StopListInUse* own_list(const TrustSnapshot& trust) const;
  Result<PendingTaps*> pending();
  KeyRing* ring_for(AtReader& place);
  void refresh(AtReader& place, const ReaderConfig& reader);
  std::optional<GateReason> closed(const AtReader& place);
  /// `item` may be null: what is not there was judged when the terms were made.
  bool too_old(const TrustItem* item) const;
  Result<Reply> inspect(const Call& call, ReaderDesk& desk);
  Json gates_json() const;

  TransitConfig config_;
  const Services& services_;
  std::map<std::string, std::unique_ptr<GateOutput>, std::less<>> outputs_;
  EventOutput events_only_;
  service::Histogram host_time_, card_time_;

  mutable std::mutex mutex_;  // of all below
  std::unique_ptr<KeyRing> shared_ring_;
  std::unique_ptr<PendingTaps> pending_;
  std::map<std::string, std::shared_ptr<AtReader>> gates_;
};

Result<PendingTaps*> TransitMode::pending() {
  if (!pending_) {
    const auto last_opened = [this](std::uint32_t gate) -> std::optional<std::uint32_t> {
      for (const ReaderConfig& reader : services_.config.readers) {
        const auto output = outputs_.find(reader.output);
        if (reader.gate == gate && output != outputs_.end()) return output->second->last_opened(gate);
      }
      return std::nullopt;
    };
    pending_ = TRY(PendingTaps::load(services_.journal, last_opened, services_.clock.now()));
  }
  return pending_.get();
}

KeyRing* TransitMode::ring_for(AtReader& place) {
  if (!config_.keys) return nullptr;
  const auto make = [&] {
    return std::make_unique<KeyRing>(*config_.keys, "transit", services_.readers, services_.random);
  };
  // A module does one transaction at a time; of a file or token each gate has keys of its own.
  if (config_.keys->keys.starts_with("sam:")) {
    if (!shared_ring_) shared_ring_ = make();
    return shared_ring_.get();
  }
  place.ring = make();
  return place.ring.get();
}

std::shared_ptr<TransitMode::AtReader> TransitMode::gate_at(ReaderDesk& desk) {
  std::shared_ptr<AtReader> place;
  KeyRing* ring = nullptr;
  {
    const std::lock_guard lock(mutex_);
    // A reader that comes back quickly may find the gate of before still at work: it gets one of its own.
    if (const auto found = gates_.find(desk.reader()); found != gates_.end() && found->second->desk == &desk) {
      return found->second;
    }
    for (const auto& [other, one] : gates_) {
      if (other == desk.reader() || one->number != desk.config().gate) continue;
      service::log_error("the readers \"" + other + "\" and \"" + desk.reader() +
                         "\" are one gate: the second is out of order");
      return nullptr;
    }
    const auto taps = pending();
    if (!taps) {
      service::log_error("the gate at \"" + desk.reader() + "\" is out of order", taps.error());
      return nullptr;
    }
    place = std::make_shared<AtReader>();
    place->desk = &desk;
    place->number = desk.config().gate;
    ring = ring_for(*place);
    const auto output = outputs_.find(desk.config().output);
    GateOutput& opens = output == outputs_.end() ? static_cast<GateOutput&>(events_only_) : *output->second;
    place->gate = std::make_unique<TransitGate>(
        place->number, GateServices{services_.journal, **taps, opens, services_.clock, services_.random, ring});
    gates_.insert_or_assign(desk.reader(), place);
  }
  // Keys are opened before the first card comes: a sealed file takes its time.
  if (ring != nullptr) {
    if (const auto lease = ring->lease(); !lease) service::log_error("the gate's keys cannot be opened", lease.error());
  }
  refresh(*place, desk.config());
  return place;
}

const StopListInUse* TransitMode::own_list(const TrustSnapshot& trust) const {
  if (config_.region.empty() && trust.stop_lists.size() == 1) return &trust.stop_lists.front();
  return trust.stop_list(config_.region);
}

/// What a gate goes by, made of what the daemon knows of the world: anew when that has changed.
void TransitMode::refresh(AtReader& place, const ReaderConfig& reader) {
  auto trust = services_.trust.snapshot();
  if (trust == place.trust) return;
  place.trust = trust;
  place.terms = {};
  place.unusable.reset();
  place.terms.longest_open = config_.longest_answer;
  if (trust->rules.empty()) {
    place.unusable = GateReason::no_rules;
    return;
  }
  const auto rules = card::read_transit_rules(trust->rules);
  const auto gate =
      rules ? rules->gate(reader.gate, rules->row(reader.gate) != nullptr ? std::nullopt : std::optional(reader.zone))
            : Result<card::Gate>(fail(rules.error()));
  if (!gate) {
    service::log_error("gate " + std::to_string(reader.gate) + " is out of order", gate.error());
    place.unusable = GateReason::no_rules;
    return;
  }
  place.terms.gate = *gate;
  const bool required = config_.require_stop_list;
  if (const StopListInUse* const list = own_list(*trust)) {
    place.terms.status = [table = list->table](std::uint64_t index) { return tap_reason_of(table->find(index)); };
  } else if (required && config_.keys) {
    place.unusable = GateReason::no_stop_list;
  }
  if (!config_.card_signed) return;
  place.terms.anchors = trust->card_issuer_certificates();
  place.terms.signed_status = [this, trust, required](const crypto::Certificate& certificate, std::uint64_t index) {
    const auto region = trust->region_of(certificate);
    if (!region) return card::TapReason::unknown_card;
    if (const StopListInUse* const list = trust->stop_list(*region)) {
      if (too_old(trust->item(*list))) return card::TapReason::unknown_card;
      return tap_reason_of(list->table->find(index));
    }
    if (trust->foreign_stopped(certificate)) return card::TapReason::stopped;
    const bool filtered = std::any_of(trust->foreign_filters.begin(), trust->foreign_filters.end(),
                                      [&](const auto& filter) { return filter.region == *region; });
    return filtered || !required ? card::TapReason::open : card::TapReason::unknown_card;
  };
}

bool TransitMode::too_old(const TrustItem* item) const {
  if (item == nullptr || !item->present) return false;
  const StalePolicy policy = services_.config.policy(kTapVerb);
  const std::chrono::seconds stale_for = item->kind == TrustItemKind::rules        ? policy.rules
                                         : item->kind == TrustItemKind::trust_list ? policy.trust_list
                                                                                   : policy.stop_list;
  const TrustState state = item->state(services_.clock.now(), stale_for);
  return !usable(state) && (policy.beyond == StalePolicy::Beyond::refuse || state == TrustState::early);
}

/// Why nobody passes now; what only time changes is judged at each tap.
std::optional<GateReason> TransitMode::closed(const AtReader& place) {
  if (place.unusable) return place.unusable;
  if (services_.trust.clock_state() != identity::ClockState::fine) return GateReason::clock;
  if (too_old(place.trust->item(TrustItemKind::rules))) return GateReason::rules_too_old;
  const StopListInUse* const own = own_list(*place.trust);
  if (own != nullptr && too_old(place.trust->item(*own))) return GateReason::stop_list_too_old;
  return std::nullopt;
}

void TransitMode::card_in(ReaderDesk& desk) {
  const std::shared_ptr<AtReader> place = gate_at(desk);
  if (!place) return;
  refresh(*place, desk.config());
  GateTerms& terms = place->terms;
  terms.closed = closed(*place);
  terms.anchors_too_old = too_old(place->trust->item(TrustItemKind::trust_list));
  terms.found_lying = desk.found_lying();
  const auto begun = std::chrono::steady_clock::now();
  GateResult result;
  std::chrono::microseconds at_card{0};
  Json timeline = Json::array();
  {
    auto use = desk.use_card();
    if (!use) {
      result.reason = gate_reason_of(use.error());
      result.problem = use.error().message;
    } else {
      result = place->gate->tap((*use)->channel(), &(*use)->timeline(), terms);
      at_card = (*use)->timeline().card_time();
      timeline = (*use)->timeline().to_json();
    }
  }
  const auto all = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begun);
  const GateReasonRow& row = row_of(result.reason);
  if (result.reason == GateReason::unresponsive || result.reason == GateReason::removed) desk.drop_card();
  services_.metrics
      .counter("karta_taps", "Cards at gates by what became of them", {{"decision", std::string(row.name)}})
      .add();
  if (at_card.count() > 0) {
    constexpr double kMicro = 1e-6;
    card_time_.observe(static_cast<double>(at_card.count()) * kMicro);
    host_time_.observe(static_cast<double>((all - at_card).count()) * kMicro);
  }
  Json event{{"reader", desk.reader()},
             {"gate", place->number},
             {"decision", row.name},
             {"words", {{"en", row.english}, {"ru", row.russian}}},
             {"tap_number", result.number != 0 ? Json(result.number) : Json()},
             {"settled", result.settled},
             {"form", result.card_signed ? "signed" : "counted"}};
  if (result.entry) {
    event["product"] = result.entry->slot + 1;
    event["reduced"] = result.entry->reduced;
    if (result.entry->slot < result.counters.size()) event["left"] = result.counters[result.entry->slot];
  }
  event["timeline"] = std::move(timeline);
  services_.events.publish(kTapVerb, event);
  const bool untold = result.reason == GateReason::journal || result.reason == GateReason::no_keys;
  if (!result.problem.empty() && (row.recorded || untold || result.reason == GateReason::open)) {
    service::log_info("gate " + std::to_string(place->number) + ": " + std::string(row.name) + ": " + result.problem);
  }
}

void TransitMode::tick() {
  const std::lock_guard lock(mutex_);
  if (!pending_) return;
  if (const Status written = pending_->refresh(services_.journal, services_.clock.now()); !written) {
    service::log_info("what is pending at the gates is not in the journal: " + written.error().message);
  }
}

Json TransitMode::gates_json() const {
  Json gates = Json::array();
  const std::lock_guard lock(mutex_);
  for (const auto& [reader, place] : gates_) {
    const TransitGate::Counts counts = place->gate->counts();
    Json refused = Json::object();
    for (const auto& [reason, count] : counts.refused) refused[reason] = count;
    gates.push_back({{"reader", reader},
                     {"gate", place->number},
                     {"opened", counts.opened},
                     {"settled", counts.settled},
                     {"refused", std::move(refused)}});
  }
  return {
      {"schema", "karta.kartad.gates/1"}, {"gates", std::move(gates)}, {"unsettled", pending_ ? pending_->count() : 0}};
}

Json TransitMode::status() const {
  const auto trust = services_.trust.snapshot();
  const std::lock_guard lock(mutex_);
  return {{"gates", gates_.size()},
          {"unsettled", pending_ ? Json(pending_->count()) : Json()},
          {"rules", !trust->rules.empty()},
          {"counted", config_.keys.has_value()},
          {"card_signed", config_.card_signed}};
}

/// The newest entry and the products by the debit key; the whole journal of the card where the holder gives the CAN and
/// the terminal's role may read it.
Result<Reply> TransitMode::inspect(const Call& call, ReaderDesk& desk) {
  RequestBody request(call.body);
  TRY(request.text_or("reader", "-"));
  const bool whole = request.has("can") || request.has("pin");
  std::optional<HolderSecret> secret;
  if (whole) secret = TRY(take_holder_secret(request));
  TRY(request.finish());
  const auto trust = services_.trust.snapshot();
  Json document{{"schema", "karta.kartad.inspection/1"}, {"reader", desk.reader()}};
  card::TransitPass pass;
  std::vector<std::uint32_t> counters;
  std::vector<card::TransitEntry> entries;
  std::uint32_t sequence = 0;
  const StopListInUse* list = own_list(*trust);
  if (whole) {
    auto opening = TRY(open_card(desk, {config_.role, kInspectVerb, false}, *secret));
    if (!opening->identity) return fail(ErrorKind::card_insecure, std::string(opening->decision.words()));
    list = trust->stop_list(opening->region);  // it may be another region's card
    auto transit = TRY(card::TransitApplication::open(opening->identity->channel()));
    auto reading = TRY(transit.read());
    opening->identity->close();
    pass = std::move(reading.pass);
    counters = std::move(reading.counters);
    entries = std::move(reading.journal);
    sequence = reading.sequence;
  } else {
    const std::shared_ptr<AtReader> place = gate_at(desk);
    KeyRing* const ring = !place ? nullptr : place->ring ? place->ring.get() : shared_ring_.get();
    if (ring == nullptr) {
      return fail(ErrorKind::configuration, "this terminal has no transit keys", "give the holder's \"can\"");
    }
    const auto use = TRY(desk.use_card());
    auto lease = TRY(ring->lease());
    auto transit = TRY(card::TransitApplication::open(use->channel()).map_error(said_by_card));
    const auto ledger = TRY(transit.open_for_travel(lease.keys()).map_error(said_by_card));
    const card::LedgerState& state = ledger.state();
    pass = TRY(card::TransitPass::parse(state.product, state.counters.size()));
    counters = state.counters;
    sequence = state.sequence;
    if (state.sequence != 0) entries.push_back(TRY(card::TransitEntry::parse(state.last_entry)));
    document["ratified"] = state.ratified;
  }
  document["status_index"] = pass.status_index;
  const CardVerdict verdict = list != nullptr ? list->table->find(pass.status_index) : CardVerdict::unknown;
  document["state"] = std::string(name_of(verdict));
  document["sequence"] = sequence;
  document["concession"] = pass.concession;
  document["concession_until"] = day_json(pass.concession_until);
  document["products"] = products_json(pass, counters);
  Json shown = Json::array();
  for (const card::TransitEntry& entry : entries) {
    if (entry.event != card::TransitEntry::Event::none) shown.push_back(entry_json(entry));
  }
  document["entries"] = std::move(shown);
  TRY(services_.journal.append("visit", Json({{"caller", call.caller},
                                              {"reader", desk.reader()},
                                              {"status_index", pass.status_index},
                                              {"verb", kInspectVerb}})
                                            .dump()));
  return Reply{.body = std::move(document)};
}

Result<OutputConfig> read_output(service::ConfigTable& table) {
  OutputConfig output;
  output.name = TRY(table.text("name"));
  const auto file = TRY(table.path_if("file"));
  output.command = TRY(table.texts("command"));
  if (file.has_value() == !output.command.empty()) return table.bad("name", "names a file or a command, one of them");
  if (file) output.file = *file;
  if (!output.command.empty() && !output.command.front().starts_with('/')) {
    return table.bad("command", "must begin with the program's whole path");
  }
  TRY(table.finish());
  return output;
}

}  // namespace

RulesOpener transit_rules_opener() {
  return [](ByteView file, const std::vector<crypto::Certificate>& signers, Time at) -> Result<RulesHead> {
    const card::GateRules rules = TRY(card::open_transit_rules(file, signers, at));
    return RulesHead{rules.sequence, rules.issued_at, rules.next_update};
  };
}

Result<ModePlan> read_transit(service::ConfigTable& table) {
  TransitConfig config;
  config.role = TRY(table.text_or("role", config.role));
  config.region = TRY(table.text_or("region", ""));
  if (table.has("keys")) config.keys = TRY(read_key_ring(table));
  config.card_signed = TRY(table.boolean_or("card_signed", config.card_signed));
  config.require_stop_list = TRY(table.boolean_or("require_stop_list", config.require_stop_list));
  config.longest_answer =
      std::chrono::milliseconds(TRY(table.integer_or("longest_answer_ms", 0, kMostAnswerMs, kUsualLongestAnswerMs)));
  if (!config.keys && !config.card_signed) {
    return table.bad("card_signed", "is false, and there are no keys: no card could pass");
  }
  std::set<std::string> names;
  for (service::ConfigTable& output : TRY(table.tables("output"))) {
    config.outputs.push_back(TRY(read_output(output)));
    if (!names.insert(config.outputs.back().name).second) return table.bad("output", "has one name twice");
  }
  return ModePlan([config](const Services& services) -> Result<std::unique_ptr<Mode>> {
    std::map<std::string, std::unique_ptr<GateOutput>, std::less<>> outputs;
    if (services.looking && config.keys) {
      TRY(KeyRing(*config.keys, "transit", services.readers, services.random).check());
    }
    for (const OutputConfig& output : config.outputs) {
      if (services.looking) {
        TRY(look_at(output));
        outputs[output.name] = std::make_unique<EventOutput>();
        continue;
      }
      outputs[output.name] =
          output.command.empty() ? TRY(FileOutput::make(output.file)) : std::make_unique<CommandOutput>(output.command);
    }
    std::set<std::uint32_t> gates;
    for (const ReaderConfig& reader : services.config.readers) {
      if (std::find(reader.modes.begin(), reader.modes.end(), "transit") == reader.modes.end()) continue;
      if (!reader.output.empty() && !outputs.contains(reader.output)) {
        return fail(ErrorKind::configuration,
                    "reader \"" + reader.name + "\" names the output \"" + reader.output + "\", and there is none",
                    "add [[transit.output]] with this name");
      }
      if (!gates.insert(reader.gate).second) {
        return fail(ErrorKind::configuration, "two readers are gate " + std::to_string(reader.gate),
                    "a gate's number tells its taps apart: each needs its own");
      }
    }
    return std::unique_ptr<Mode>(std::make_unique<TransitMode>(config, std::move(outputs), services));
  });
}

}  // namespace karta::daemon
