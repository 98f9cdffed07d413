#include "daemon/pharmacy.h"

#include <algorithm>

#include "card/health.h"
#include "card/terminal_role.h"
#include "daemon/card_opening.h"
#include "daemon/deed_store.h"
#include "daemon/key_ring.h"
#include "identity/journal/journal.h"
#include "service/log.h"
#include "service/metrics.h"

namespace karta::daemon {
namespace {

using card::HealthApplication;
using card::HealthEntry;
using service::HttpMethod;

constexpr std::string_view kRedeem = "redeem", kEntitlements = "entitlements";
constexpr std::size_t kTerminalOctets = 8, kMostMedicine = 8;

constexpr Route kRoutes[] = {
    {.method = HttpMethod::post, .path = "/v1/entitlements", .verb = kEntitlements, .at_card = true},
    {.method = HttpMethod::post, .path = "/v1/redemptions", .verb = kRedeem, .at_card = true, .once = true},
};

struct PharmacyConfig {
  std::string role = "pharmacy";
  KeyRingConfig keys;
  bool ask_on_line = false;
};

/// What is to be taken.
struct Redemption {
  std::string medicine;
  std::uint32_t package = 0;
  std::uint8_t packages = 1;
  std::uint32_t prescription = 0;

  Json to_json() const {
    return {{"medicine", medicine}, {"package", package}, {"packages", packages}, {"prescription", prescription}};
  }
  static Redemption from_json(const Json& json) {
    return {json.at("medicine").get<std::string>(), json.at("package").get<std::uint32_t>(),
            json.at("packages").get<std::uint8_t>(), json.at("prescription").get<std::uint32_t>()};
  }
  friend bool operator==(const Redemption&, const Redemption&) = default;
};

/// What has been taken, by a commit of now or of before.
struct Redeemed {
  Redemption what;
  std::uint32_t package = 0;  ///< the form that was taken, whichever was asked for
  Bytes serial;
  std::uint32_t sequence = 0;
  std::vector<std::uint32_t> counters;
  Bytes entry, code;  ///< an empty code: later commits hide it, the card's journal shows the entry
  std::uint32_t left = 0;
  std::uint64_t number = 0;
  std::uint64_t record = 0;  ///< of the journal
  bool settled = false;
};

Bytes terminal_number(const card::CvCertificate& terminal) {
  Bytes number = to_bytes(as_bytes(terminal.holder()));
  if (number.size() > kTerminalOctets) number.erase(number.begin(), number.end() - kTerminalOctets);
  number.resize(kTerminalOctets, 0x00);
  return number;
}

Json ledger_json(const Redeemed& done, std::optional<std::uint64_t> status_index) {
  return {{"ledger", to_hex(done.serial)},
          {"kind", "debit"},
          {"sequence", done.sequence},
          {"counters", done.counters},
          {"entry", to_hex(done.entry)},
          {"code", to_hex(done.code)},
          {"status_index", status_index ? Json(*status_index) : Json()}};
}

std::string ascii(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace); }

/// The package form in a slot of the card; what was asked for where the slot has become another medicine's since.
std::uint32_t package_in(const card::LedgerState& state, std::uint8_t slot, const Redemption& wanted) {
  const auto all = card::Entitlements::parse(state.product, state.counters.size());
  const bool there = all && slot < all->slots.size() && all->slots[slot].medicine == wanted.medicine;
  return there ? all->slots[slot].package : wanted.package;
}

Json day_json(const card::CardDay& day) { return day ? Json(card::to_string(day)) : Json(); }

class Pharmacy final : public Mode {
 public:
  Pharmacy(PharmacyConfig config, const Services& services)
      : config_(std::move(config)),
        services_(services),
        ring_(config_.keys, "health", services.readers, services.random) {}

  std::string_view name() const override { return "pharmacy"; }
  std::span<const Route> routes() const override { return kRoutes; }
  Json status() const override {
    const auto pending = services_.deeds.pending_count();
    return {{"role", config_.role}, {"unsettled", pending ? Json(*pending) : Json()}};
  }
  Result<Reply> answer(const Call&) override { return fail(ErrorKind::not_found, "there is nothing here"); }

  Result<Reply> run(const Call& call, ReaderDesk& desk) override {
    return call.route->verb == kRedeem ? redeem(call, desk) : entitlements(call, desk);
  }

 private:
  Result<std::unique_ptr<CardOpening>> open(ReaderDesk& desk, std::string_view verb, const HolderSecret& secret) const {
    return open_card(desk, {config_.role, verb, config_.ask_on_line, true}, secret);
  }
  /// For what changes the card: it must be none that is refused.
  Result<std::unique_ptr<CardOpening>> open_accepted(ReaderDesk& desk, std::string_view verb,
                                                     const HolderSecret& secret) const {
    auto opening = TRY(open(desk, verb, secret));
    if (opening->decision.trust == Trust::refused) {
      const ErrorKind kind = opening->identity ? ErrorKind::not_permitted : ErrorKind::card_insecure;
      if (opening->identity) opening->identity->close();
      return fail(kind, std::string(opening->decision.words()), "keep the card from being used here");
    }
    return opening;
  }
  Result<Reply> entitlements(const Call& call, ReaderDesk& desk);
  Result<Reply> redeem(const Call& call, ReaderDesk& desk);
  /// What became of the commit that is pending for this ledger. Nothing: there was none, or the card never wrote it.
  Result<std::optional<Redeemed>> settle_pending(HealthApplication& health, const card::LedgerSession& ledger,
                                                 std::optional<std::uint64_t> status_index);
  Result<Redeemed> commit(const Call& call, const Redemption& wanted, card::LedgerSession& ledger,
                          const card::LedgerChange& change, std::uint8_t slot, std::uint64_t number,
                          std::optional<std::uint64_t> status_index);
  /// The journal's record; its number.
  Result<std::uint64_t> record(const Redeemed& done, std::optional<std::uint64_t> status_index);
  static Json answer_json(const Redeemed& done, std::uint64_t record);

  PharmacyConfig config_;
  const Services& services_;
  KeyRing ring_;
};

Result<Reply> Pharmacy::entitlements(const Call& call, ReaderDesk& desk) {
  RequestBody request(call.body);
  TRY(request.text_or("reader", "-"));
  const HolderSecret secret = TRY(take_holder_secret(request));
  TRY(request.finish());
  auto opening = TRY(open(desk, kEntitlements, secret));
  // Of a card that is refused nothing is read: who found or stole it is not shown what its holder takes.
  HealthApplication::EntitlementReading reading;
  if (opening->decision.trust != Trust::refused) {
    auto health = TRY(HealthApplication::open(opening->identity->channel()));
    reading = TRY(health.entitlements());
  }
  Json slots = Json::array(), journal = Json::array();
  for (const auto& [entitlement, left] : reading.slots) {
    if (entitlement.empty()) continue;
    slots.push_back({{"medicine", entitlement.medicine},
                     {"package", entitlement.package},
                     {"from", day_json(entitlement.from)},
                     {"until", day_json(entitlement.until)},
                     {"left", left},
                     {"valid_today", card::is_valid_on(entitlement.from, entitlement.until, opening->evidence.today)}});
  }
  for (const HealthEntry& one : reading.journal) {
    const std::string medicine = one.slot < reading.slots.size() ? reading.slots[one.slot].entitlement.medicine : "";
    journal.push_back({{"deed", one.deed == HealthEntry::Deed::granted ? "granted" : "redeemed"},
                       {"time", format_time(card::time_of_moment(one.moment))},
                       {"medicine", medicine},
                       {"packages", one.packages},
                       {"prescription", one.prescription},
                       {"terminal", to_hex(one.terminal)},
                       {"number", one.number}});
  }
  Json document{{"schema", "karta.kartad.entitlements/1"},
                {"reader", desk.reader()},
                {"decision", name_of(opening->decision.trust)},
                {"reasons", opening->decision.reasons_json()},
                {"card", card_json(*opening)},
                {"entitlements", std::move(slots)},
                {"journal", std::move(journal)},
                {"timeline", opening->use->timeline().to_json()}};
  if (opening->identity) opening->identity->close();
  TRY(services_.journal.append("visit", ascii({{"verb", kEntitlements},
                                               {"reader", desk.reader()},
                                               {"caller", call.caller},
                                               {"decision", document["decision"]},
                                               {"status_index", document["card"]["status_index"]}})));
  return Reply{.body = std::move(document)};
}

Result<std::uint64_t> Pharmacy::record(const Redeemed& done, std::optional<std::uint64_t> status_index) {
  Json body = ledger_json(done, status_index);
  body["number"] = done.number;
  body["settled"] = done.settled;
  const auto position = TRY(services_.journal.append("redemption", ascii(body)));
  return position.number;
}

Json Pharmacy::answer_json(const Redeemed& done, std::uint64_t record) {
  Json out{{"schema", "karta.kartad.redemption/1"}, {"settled", done.settled}};
  const Json what = done.what.to_json();
  for (const auto& [name, value] : what.items()) out[name] = value;
  out["package"] = done.package;
  out["left"] = done.left;
  out["receipt"] = {{"ledger", to_hex(done.serial)},
                    {"sequence", done.sequence},
                    {"entry", to_hex(done.entry)},
                    {"code", to_hex(done.code)},
                    {"number", done.number}};
  out["journal_record"] = record;
  return out;
}

Result<std::optional<Redeemed>> Pharmacy::settle_pending(HealthApplication& health, const card::LedgerSession& ledger,
                                                         std::optional<std::uint64_t> status_index) {
  const auto pending = TRY(services_.deeds.pending(ledger.info().serial));
  if (!pending) return std::optional<Redeemed>{};
  const card::LedgerState& state = ledger.state();
  const card::PendingCommit& commit = pending->commit;
  const HealthEntry entry = TRY(HealthEntry::parse(commit.change.entry));
  Redeemed done;
  done.serial = ledger.info().serial;
  done.sequence = commit.sequence + 1;
  done.counters = commit.change.counters;
  done.entry = commit.change.entry;
  done.left = entry.slot < commit.change.counters.size() ? commit.change.counters[entry.slot] : 0;
  done.number = entry.number;
  done.settled = true;
  const Json request = Json::parse(pending->request, nullptr, /*allow_exceptions=*/false);
  if (request.is_discarded()) return fail(ErrorKind::malformed, "what was kept of an unsettled redemption is damaged");
  done.what = Redemption::from_json(request);
  done.package = package_in(state, entry.slot, done.what);
  const card::Settlement settlement = card::settle(commit, ledger.info(), state);
  if (settlement == card::Settlement::not_written) {
    TRY(services_.journal.append(
        "settled", ascii({{"ledger", to_hex(done.serial)}, {"number", done.number}, {"written", false}})));
    TRY(services_.deeds.settle(done.serial, std::nullopt));
    return std::optional<Redeemed>{};
  }
  if (settlement == card::Settlement::written) {
    done.code = state.last_code;
  } else {
    // Others have written since: the card's own journal remembers, if they were not too many.
    const auto reading = TRY(health.entitlements());
    const bool there = std::find(reading.journal.begin(), reading.journal.end(), entry) != reading.journal.end();
    if (!there && state.sequence - commit.sequence > reading.journal.size()) {
      return fail(ErrorKind::unsupported, "an unsettled redemption of before is hidden by later ones on the card",
                  "the back office settles it by the card's sequence numbers; this daemon keeps it");
    }
    if (!there) {
      TRY(services_.deeds.settle(done.serial, std::nullopt));
      return std::optional<Redeemed>{};
    }
  }
  done.record = TRY(record(done, status_index));
  TRY(services_.deeds.settle(done.serial, DeedAnswer{200, ascii(answer_json(done, done.record)), {}}));
  return std::optional<Redeemed>(std::move(done));
}

Result<Redeemed> Pharmacy::commit(const Call& call, const Redemption& wanted, card::LedgerSession& ledger,
                                  const card::LedgerChange& change, std::uint8_t slot, std::uint64_t number,
                                  std::optional<std::uint64_t> status_index) {
  Redeemed done;
  done.what = wanted;
  done.package = package_in(ledger.state(), slot, wanted);
  done.serial = ledger.info().serial;
  done.sequence = ledger.state().sequence + 1;
  done.counters = change.counters;
  done.entry = change.entry;
  done.left = change.counters[slot];
  done.number = number;
  // Before the card is changed: what is about to happen is in the journal, and what to look for if no answer comes.
  const auto keep = [&](const card::PendingCommit& pending) -> Status {
    TRY(services_.journal.append("redemption-intent", ascii(ledger_json(done, status_index))));
    return services_.deeds.keep_pending({call.key, ascii(wanted.to_json()), pending});
  };
  auto receipt = ledger.commit(change, keep);
  if (!receipt) {
    Error error = std::move(receipt).error();
    if (ledger.phase() == card::LedgerPhase::refused) {
      // The card said no: nothing was written, and nothing is pending.
      TRY(services_.deeds.settle(done.serial, std::nullopt));
    } else if (ledger.phase() == card::LedgerPhase::lost) {
      error.hint =
          "it is not known whether the card wrote: present it again with the same Idempotency-Key; nothing is "
          "taken twice";
    }
    return fail(std::move(error));
  }
  done.code = receipt->code;
  // The deed is done; a card that is gone by now is asked for nothing more.
  if (!ledger.ratify()) service::log_info("a card was not told that its receipt arrived");
  return done;
}

Result<Reply> Pharmacy::redeem(const Call& call, ReaderDesk& desk) {
  RequestBody request(call.body);
  TRY(request.text_or("reader", "-"));
  Redemption wanted;
  wanted.medicine = TRY(request.text("medicine", kMostMedicine));
  wanted.package = static_cast<std::uint32_t>(TRY(request.integer_or("package", 0, 0xFFFFFFFF, 0)));
  wanted.packages = static_cast<std::uint8_t>(TRY(request.integer("packages", 1, 255)));
  wanted.prescription = static_cast<std::uint32_t>(TRY(request.integer("prescription", 1, 0xFFFFFFFF)));
  const HolderSecret secret = TRY(take_holder_secret(request));
  TRY(request.finish());

  std::optional<Bytes> begun_with;
  if (call.again) {
    // What was begun under this key was begun with one card: another one is another deed.
    begun_with = TRY(services_.deeds.pending_ledger(call.key));
  }
  auto opening = TRY(open_accepted(desk, kRedeem, secret));
  desk.progress(kRedeem, "ledger");
  auto health = TRY(HealthApplication::open(opening->identity->channel()));
  if (begun_with && *begun_with != health.ledger().serial) {
    opening->identity->close();
    return fail(ErrorKind::already_exists, "this redemption was begun with another card",
                "present that card, or use a new Idempotency-Key");
  }
  // From here on nobody else has the module.
  auto lease = TRY(ring_.lease());
  auto opened = health.open_for_redeeming(lease.keys());
  if (!opened) {
    lease.spoil();  // a module that was unplugged is found again the next time
    return fail(std::move(opened).error());
  }
  card::LedgerSession ledger = std::move(*opened);
  const auto reply = [&](const Redeemed& done, std::uint64_t record) {
    opening->identity->close();
    Json body = answer_json(done, record);
    // No medicine in an event: who may listen is not who may know.
    services_.events.publish("redemption",
                             {{"reader", desk.reader()},
                              {"settled", done.settled},
                              {"card_ms", static_cast<double>(opening->use->timeline().card_time().count()) / 1000.0},
                              {"timeline", opening->use->timeline().to_json()}});
    services_.metrics
        .counter("kartad_redemptions_total", "Packages' receipts", {{"settled", done.settled ? "yes" : "no"}})
        .add();
    return Reply{.body = std::move(body)};
  };

  if (const auto earlier = TRY(settle_pending(health, ledger, opening->status_index()))) {
    // The same packages of the same prescription: whoever asks, with whatever key, does not know that they were taken.
    if (earlier->what == wanted) return reply(*earlier, earlier->record);
  }
  const HealthEntry last =
      ledger.state().sequence == 0 ? HealthEntry{} : TRY(HealthEntry::parse(ledger.state().last_entry));
  const auto slot = card::find_entitlement(ledger.state(), wanted.medicine, wanted.package, opening->evidence.today);
  if (!slot) {
    opening->identity->close();
    return fail(ErrorKind::not_permitted, "the card has no entitlement to this medicine with anything left");
  }
  if (last.deed == HealthEntry::Deed::redeemed && last.prescription == wanted.prescription && last.slot == *slot &&
      last.terminal != terminal_number(opening->keys.credentials.terminal())) {
    opening->identity->close();
    return fail(ErrorKind::already_exists, "another pharmacy has just redeemed this prescription",
                "the card's journal shows when: POST /v1/entitlements");
  }
  const std::uint64_t number = TRY(services_.deeds.next_number("redemption"));
  HealthEntry entry;
  entry.deed = HealthEntry::Deed::redeemed;
  entry.terminal = terminal_number(opening->keys.credentials.terminal());
  entry.number = static_cast<std::uint32_t>(number);
  entry.moment = card::moment_number(services_.clock.now());
  entry.slot = *slot;
  entry.packages = wanted.packages;
  entry.prescription = wanted.prescription;
  auto planned = card::redemption(ledger.state(), *slot, wanted.packages, opening->evidence.today, entry);
  if (!planned) {
    opening->identity->close();
    // Its words name medicine and what is left of it, and a refusal's words go into the journal.
    return fail(planned.error().kind, "the entitlement does not cover this many packages today",
                "POST /v1/entitlements shows what is left");
  }
  const card::LedgerChange change = std::move(*planned);
  desk.progress(kRedeem, "commit");
  const Redeemed done = TRY(commit(call, wanted, ledger, change, *slot, number, opening->status_index()));
  // Until this is in the journal the commit stays pending: a repetition finds it on the card.
  const std::uint64_t recorded = TRY(record(done, opening->status_index()));
  TRY(services_.deeds.settle(done.serial, DeedAnswer{200, ascii(answer_json(done, recorded)), {}}));
  return reply(done, recorded);
}

}  // namespace

Result<ModePlan> read_pharmacy(service::ConfigTable& table) {
  PharmacyConfig config;
  config.role = TRY(table.text_or("role", config.role));
  if (card::find_terminal_role(config.role) == nullptr) return table.bad("role", "is no role: one of " + role_names());
  config.keys = TRY(read_key_ring(table));
  config.ask_on_line = TRY(table.boolean_or("ask_on_line", config.ask_on_line));
  return ModePlan([config](const Services& services) -> Result<std::unique_ptr<Mode>> {
    TRY(services.terminal(config.role));
    if (services.looking) TRY(KeyRing(config.keys, "health", services.readers, services.random).check());
    return std::unique_ptr<Mode>(std::make_unique<Pharmacy>(config, services));
  });
}

}  // namespace karta::daemon
