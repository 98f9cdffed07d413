#include "daemon/clinic.h"

#include <algorithm>
#include <mutex>

#include "card/clinic_visit.h"
#include "card/terminal_role.h"
#include "daemon/card_opening.h"
#include "daemon/visit_receipt.h"
#include "identity/journal/journal.h"
#include "service/metrics.h"

namespace karta::daemon {
namespace {

using card::DataGroupReading;
using card::DataGroupState;
using service::HttpMethod;

constexpr std::size_t kIdOctets = 16, kMostCase = 64, kMostVisits = 500;
constexpr unsigned kExpiryGroup = 3;
constexpr std::string_view kVisit = "visit";

constexpr Route kRoutes[] = {
    {.method = HttpMethod::post, .path = "/v1/visits", .verb = kVisit, .at_card = true},
    {.method = HttpMethod::get, .path = "/v1/visits/{id}", .verb = kVisit},
    {.method = HttpMethod::del, .path = "/v1/visits/{id}", .verb = kVisit},
    {.method = HttpMethod::get, .path = "/v1/visits/{id}/portrait", .verb = kVisit},
};

struct ClinicConfig {
  std::string role = "clinic";
  std::vector<std::string> groups = {};  ///< of identity data; empty: all the role reads
  std::vector<std::string> purposes = {"treatment", "emergency", "registration"};
  bool receipt = true;
  bool ask_on_line = false;
};

enum class PortraitState : std::uint8_t {
  none,     ///< not on the card, or nothing was read of it
  refused,  ///< the role has no right to it
  coming,   ///< is being read
  here,
  failed,  ///< the card was taken away, or the picture is not what the issuer signed
};

/// Visits as they were answered, for minutes, in memory that is wiped.
class VisitBoard {
 public:
  using TakePortrait = std::function<void(Result<Reply>)>;

  ~VisitBoard() {
    for (const Visit& one : visits_) tell(one, gone());
  }
  void put(const std::string& id, const std::string& caller, const std::string& body, PortraitState portrait,
           Time until) {
    std::optional<Visit> oldest;
    {
      const std::lock_guard lock(mutex_);
      if (visits_.size() >= kMostVisits) {
        oldest = std::move(visits_.front());
        visits_.erase(visits_.begin());
      }
      visits_.push_back({id, caller, SecretBytes::copy_of(body), portrait, {}, {}, {}, until});
    }
    if (oldest) tell(*oldest, gone());
  }
  /// What became of a portrait that was coming. A visit that is forgotten already stays so.
  void put_portrait(std::string_view id, Result<Bytes> jpeg) {
    std::vector<TakePortrait> waiting;
    Result<Reply> answer = gone();
    {
      const std::lock_guard lock(mutex_);
      const auto visit = std::find_if(visits_.begin(), visits_.end(), [&](const Visit& one) { return one.id == id; });
      if (visit == visits_.end()) return;
      waiting = std::move(visit->waiting);
      visit->waiting.clear();
      if (jpeg) {
        visit->portrait = PortraitState::here;
        visit->jpeg = SecretBytes(std::move(*jpeg));
      } else {
        visit->portrait = PortraitState::failed;
        visit->fault = std::move(jpeg).error();
      }
      answer = portrait_of(*visit);
    }
    for (const TakePortrait& take : waiting) take(answer);
  }
  /// The picture, or why there is none; while it is coming, an answer for later.
  Result<Reply> portrait(std::string_view id, std::string_view caller) {
    const std::lock_guard lock(mutex_);
    for (const Visit& one : visits_) {
      if (one.id != id || one.caller != caller) continue;
      if (one.portrait != PortraitState::coming) return portrait_of(one);
      Reply later;
      later.later = [this, wanted = one.id](TakePortrait take) { wait_for(wanted, std::move(take)); };
      return later;
    }
    return gone();
  }
  /// Of another caller's visit nobody hears that it is there.
  Result<std::string> find(std::string_view id, std::string_view caller) const {
    const std::lock_guard lock(mutex_);
    for (const Visit& one : visits_) {
      if (one.id == id && one.caller == caller) return std::string(one.body.expose_secret_text());
    }
    return gone();
  }
  Status forget(std::string_view id, std::string_view caller) {
    if (erase([&](const Visit& one) { return one.id == id && one.caller == caller; }) != 0) return {};
    return gone();
  }
  void forget_old(Time now) {
    erase([&](const Visit& one) { return one.until <= now; });
  }
  /// Nobody wants it any more: the card need not be read on.
  bool is_forgotten(std::string_view id) const {
    const std::lock_guard lock(mutex_);
    return std::none_of(visits_.begin(), visits_.end(), [&](const Visit& one) { return one.id == id; });
  }
  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return visits_.size();
  }

 private:
  struct Visit {
    std::string id, caller;
    SecretBytes body;
    PortraitState portrait = PortraitState::none;
    SecretBytes jpeg;
    std::optional<Error> fault;         // of a portrait that failed
    std::vector<TakePortrait> waiting;  // for one that is coming
    Time until{};
  };
  static tl::unexpected<Error> gone() {
    return fail(ErrorKind::not_found, "there is no such visit", "visits are kept for minutes only");
  }
  static Result<Reply> portrait_of(const Visit& visit) {
    switch (visit.portrait) {
      case PortraitState::here:
        return Reply{.octets = to_bytes(visit.jpeg.expose_secret()), .media_type = "image/jpeg"};
      case PortraitState::refused:
        return fail(ErrorKind::not_permitted, "this terminal's role has no right to the portrait");
      case PortraitState::failed:
        return fail(*visit.fault);
      case PortraitState::none:
      case PortraitState::coming:
        break;
    }
    return fail(ErrorKind::not_found, "this visit has no portrait");
  }
  static void tell(const Visit& visit, const Result<Reply>& answer) {
    for (const TakePortrait& take : visit.waiting) take(answer);
  }
  void wait_for(std::string_view id, TakePortrait take) {
    Result<Reply> now = gone();
    {
      const std::lock_guard lock(mutex_);
      for (Visit& one : visits_) {
        if (one.id != id) continue;
        if (one.portrait == PortraitState::coming) {
          one.waiting.push_back(std::move(take));
          return;
        }
        now = portrait_of(one);
      }
    }
    take(now);
  }
  template <class Which>
  std::size_t erase(Which which) {
    std::vector<Visit> erased;
    {
      const std::lock_guard lock(mutex_);
      const auto from =
          std::stable_partition(visits_.begin(), visits_.end(), [&](const Visit& one) { return !which(one); });
      erased.assign(std::make_move_iterator(from), std::make_move_iterator(visits_.end()));
      visits_.erase(from, visits_.end());
    }
    // Whoever takes it may come back here: not under the lock.
    for (const Visit& one : erased) tell(one, gone());
    return erased.size();
  }

  mutable std::mutex mutex_;
  std::vector<Visit> visits_;  // the oldest first
};

std::string member_name(std::string_view name) {
  std::string out(name);
  std::replace(out.begin(), out.end(), '-', '_');
  return out;
}

Json json_of(const card::DataGroupValue& value) {
  if (const auto* const numbers = std::get_if<card::NationalNumbers>(&value)) {
    Json out = Json::object();
    for (const auto& [oid, number] : *numbers) out[oid == card::kSnilsOid ? "snils" : oid] = number;
    return out;
  }
  return card::to_string(value);
}

Json json_of(const card::InsuranceRecord& record, std::chrono::year_month_day today) {
  const auto day = [](const card::CardDay& one) { return one ? Json(card::to_string(one)) : Json(); };
  return {{"number", record.enp},
          {"insurer", record.insurer},
          {"from", day(record.from)},
          {"until", day(record.until)},
          {"valid_today", card::is_valid_on(record.from, record.until, today)}};
}

Json json_of(const card::EmergencyData& data) {
  const auto findings = [](const std::vector<card::EmergencyData::Finding>& all) {
    Json out = Json::array();
    for (const auto& [words, code] : all) out.push_back({{"words", words}, {"code", code}});
    return out;
  };
  Json contacts = Json::array();
  for (const auto& [name, telephone] : data.contacts) contacts.push_back({{"name", name}, {"telephone", telephone}});
  return {{"blood_group", card::name_of(data.blood_group)},
          {"allergies", findings(data.allergies)},
          {"conditions", findings(data.conditions)},
          {"contacts", std::move(contacts)}};
}

/// Which groups came, and why others did not.
class Groups {
 public:
  void add(std::string_view name, DataGroupState state) {
    by_state_[static_cast<std::size_t>(state)].push_back(std::string(name));
  }
  Json to_json() const {
    Json out = Json::object();
    for (const auto state :
         {DataGroupState::read, DataGroupState::refused, DataGroupState::denied, DataGroupState::absent}) {
      out[std::string(card::name_of(state))] = by_state_[static_cast<std::size_t>(state)];
    }
    return out;
  }

 private:
  std::vector<std::string> by_state_[4];
};

class Clinic final : public Mode {
 public:
  Clinic(ClinicConfig config, const Services& services) : config_(std::move(config)), services_(services) {}

  std::string_view name() const override { return "clinic"; }
  std::span<const Route> routes() const override { return kRoutes; }
  Json status() const override {
    return {{"role", config_.role}, {"purposes", config_.purposes}, {"visits", board_.size()}};
  }
  void tick() override { board_.forget_old(services_.clock.now()); }

  Result<Reply> answer(const Call& call) override {
    board_.forget_old(services_.clock.now());
    if (call.route->method == HttpMethod::del) {
      TRY(board_.forget(call.id, call.caller));
      return Reply{.status = 204};
    }
    if (call.route->path.ends_with("/portrait")) return board_.portrait(call.id, call.caller);
    const std::string text = TRY(board_.find(call.id, call.caller));
    return Reply{.body = Json::parse(text)};
  }

  Result<Reply> run(const Call& call, ReaderDesk& desk) override;

 private:
  /// Everything the role may read, into the visit.
  Status read(CardOpening& opening, ReaderDesk& desk, Json& visit, Groups& groups) const;
  void add_receipt(CardOpening& opening, const VisitRecord& record, Json& visit, Json& body) const;
  bool wants(std::string_view group) const {
    return config_.groups.empty() ||
           std::find(config_.groups.begin(), config_.groups.end(), group) != config_.groups.end();
  }
  /// Whether there is a portrait to be read. The card's signed hashes tell, without a command.
  PortraitState look_for_portrait(const card::IdentityApplication& identity, Groups& groups) const;
  /// Reads it into the board, behind the answer: it takes longer than all the rest.
  Status read_portrait(CardOpening& opening, ReaderDesk& desk, const std::string& id) const;

  ClinicConfig config_;
  const Services& services_;
  mutable VisitBoard board_;
};

Status Clinic::read(CardOpening& opening, ReaderDesk& desk, Json& visit, Groups& groups) const {
  card::IdentityApplication& identity = *opening.identity;
  auto health = TRY(card::HealthApplication::open_records(identity.channel()));
  const auto insurance = card::read_insurance(health, identity.sector_rights());
  groups.add("insurance", insurance.state);
  if (insurance.record) visit["insurance"] = json_of(*insurance.record, opening.evidence.today);
  const auto emergency = card::read_emergency(health, identity.sector_rights());
  groups.add("emergency", emergency.state);
  if (emergency.record) visit["emergency"] = json_of(*emergency.record);
  // What hides behind "denied" where the channel has failed is no refusal of the card's: it was taken out, fell silent,
  // or somebody is between.
  for (const auto& why : {insurance.why, emergency.why}) {
    if (why && !identity.channel().secure()) return fail(*why);
  }
  desk.progress(kVisit, "health");
  for (const card::DataGroupRow& row : card::data_group_rows()) {
    if (row.form == card::DataGroupForm::picture || !wants(row.name)) continue;
    const DataGroupReading reading = TRY(identity.read(row.number));
    groups.add(row.name, reading.state);
    if (reading.state == DataGroupState::read) visit["holder"][member_name(row.name)] = json_of(*reading.value);
    if (row.number == kExpiryGroup && reading.value) {
      if (const auto* const date = std::get_if<card::PartialDate>(&*reading.value)) {
        const std::chrono::year_month_day day{std::chrono::year(static_cast<int>(date->year)),
                                              std::chrono::month(date->month), std::chrono::day(date->day)};
        if (day.ok()) opening.evidence.last_day = day;
      }
    }
  }
  desk.progress(kVisit, "holder");
  return {};
}

PortraitState Clinic::look_for_portrait(const card::IdentityApplication& identity, Groups& groups) const {
  const card::DataGroupRow& row = *card::find_data_group(card::kPortraitGroup);
  if (!wants(row.name)) return PortraitState::none;
  if (!identity.rights().may(card::right_to_read(row.number))) {
    groups.add(row.name, DataGroupState::refused);
    return PortraitState::refused;
  }
  if (identity.has(row.number)) return PortraitState::coming;
  groups.add(row.name, DataGroupState::absent);
  return PortraitState::none;
}

Status Clinic::read_portrait(CardOpening& opening, ReaderDesk& desk, const std::string& id) const {
  const auto before = opening.use->timeline().card_time();
  const auto read = [&]() -> Result<Bytes> {
    if (board_.is_forgotten(id)) return fail(ErrorKind::not_found, "the visit is forgotten");
    opening.identity->selected_elsewhere();  // the receipt is of another application
    DataGroupReading reading = TRY(opening.identity->read(card::kPortraitGroup));
    if (!reading.value) return fail(ErrorKind::card_refused, "the card does not give the portrait it was made with");
    // What the issuer did not sign is nobody's picture.
    if (reading.check != card::DataGroupCheck::signed_by_issuer) {
      return fail(ErrorKind::untrusted, "the portrait is not signed by the card's issuer");
    }
    return std::move(std::get<Bytes>(*reading.value));
  };
  auto portrait = read();
  opening.identity->close();
  const double took = static_cast<double>((opening.use->timeline().card_time() - before).count()) / 1000.0;
  const Status out = portrait ? Status() : Status(fail(portrait.error()));
  services_.events.publish(
      "portrait", {{"reader", desk.reader()}, {"visit", id}, {"read", portrait.has_value()}, {"card_ms", took}});
  board_.put_portrait(id, std::move(portrait));
  return out;
}

void Clinic::add_receipt(CardOpening& opening, const VisitRecord& record, Json& visit, Json& body) const {
  const auto receipt = sign_visit(opening.identity->channel(), record);
  if (!receipt) {
    // Cards without a key for it are as good as others; the terminal's journal proves the visit then.
    visit["receipt"] = nullptr;
    body["receipt"] = row_of(receipt.error().kind).name;
    return;
  }
  visit["receipt"] = receipt->to_json();
  body["receipt"] = receipt->to_json();
}

Result<Reply> Clinic::run(const Call& call, ReaderDesk& desk) {
  RequestBody request(call.body);
  TRY(request.text_or("reader", "-"));
  const std::string purpose = TRY(request.text("purpose"));
  const std::string visit_case = TRY(request.text_or("case", "-", kMostCase));
  const HolderSecret secret = TRY(take_holder_secret(request));
  TRY(request.finish());
  if (std::find(config_.purposes.begin(), config_.purposes.end(), purpose) == config_.purposes.end()) {
    return fail(ErrorKind::usage, "\"purpose\" is none of those this desk reads cards for",
                "\"purposes\" of [clinic] in the configuration");
  }
  const Time now = services_.clock.now();
  const bool reads_last_day =
      config_.groups.empty() || std::any_of(config_.groups.begin(), config_.groups.end(), [](const std::string& name) {
        const card::DataGroupRow* const row = card::find_data_group(name);
        return row != nullptr && row->number == kExpiryGroup;
      });
  auto opening = TRY(open_card(desk, {config_.role, kVisit, config_.ask_on_line, !reads_last_day}, secret));
  const std::string id = to_hex(services_.random.bytes(kIdOctets));

  Json visit{{"schema", "karta.kartad.visit/1"},
             {"id", id},
             {"time", format_time(now)},
             {"reader", desk.reader()},
             {"purpose", purpose},
             {"case", visit_case == "-" ? "" : visit_case},
             {"decision", nullptr},
             {"reasons", nullptr},
             {"card", nullptr},
             {"holder", Json::object()},
             {"insurance", nullptr},
             {"emergency", nullptr},
             {"portrait", nullptr}};
  Groups groups;
  PortraitState portrait = PortraitState::none;
  // Of a card that is refused nothing is read: who found or stole it is not shown whose it is. An emergency is one all
  // the same.
  const bool readable = opening->identity && (opening->decision.trust != Trust::refused || purpose == "emergency");
  if (readable) {
    TRY(read(*opening, desk, visit, groups));
    portrait = look_for_portrait(*opening->identity, groups);
    opening->evidence.last_day_untold = !opening->evidence.last_day && !opening->evidence.valid_today;
    opening->decision = decide(opening->evidence);
    // What the card itself brought up against it (its last day) is known only now.
    if (opening->decision.trust == Trust::refused && purpose != "emergency") {
      visit["holder"] = Json::object();
      visit["insurance"] = visit["emergency"] = nullptr;
      groups = {};
      portrait = PortraitState::none;
    }
  }
  const bool coming = portrait == PortraitState::coming;
  if (coming) visit["portrait"] = "/v1/visits/" + id + "/portrait";
  visit["decision"] = name_of(opening->decision.trust);
  visit["reasons"] = opening->decision.reasons_json();
  visit["card"] = card_json(*opening);
  visit["groups"] = groups.to_json();

  Json codes = Json::array();
  for (const ReasonCode code : opening->decision.reasons) codes.push_back(row_of(code).name);
  Json body{{"visit", id},
            {"reader", desk.reader()},
            {"caller", call.caller},
            {"purpose", purpose},
            {"case", visit["case"]},
            {"decision", visit["decision"]},
            {"reasons", codes},
            {"portrait", coming},
            {"status_index", visit["card"]["status_index"]},
            {"region", opening->region}};
  visit["receipt"] = nullptr;
  if (config_.receipt && opening->identity && opening->decision.trust != Trust::refused) {
    VisitRecord record;
    record.id = id;
    record.terminal = opening->keys.credentials.terminal().holder();
    record.time = now;
    record.purpose = purpose;
    record.visit_case = visit["case"].get<std::string>();
    record.decision = name_of(opening->decision.trust);
    record.status_index = opening->status_index();
    add_receipt(*opening, record, visit, body);
    desk.progress(kVisit, "receipt");
  }
  visit["timeline"] = opening->use->timeline().to_json();
  visit["card_ms"] = static_cast<double>(opening->use->timeline().card_time().count()) / 1000.0;
  // The card forgets the terminal before anybody is told, unless its portrait is still to come.
  if (opening->identity && !coming) opening->identity->close();

  const auto recorded = services_.journal.append("visit", body.dump(-1, ' ', true, Json::error_handler_t::replace));
  if (!recorded) {
    if (coming) opening->identity->close();
    return fail(recorded.error());
  }
  visit["journal_record"] = recorded->number;
  board_.put(id, call.caller, visit.dump(-1, ' ', false, Json::error_handler_t::replace), portrait,
             now + services_.config.visit_time);
  services_.events.publish("visit", {{"reader", desk.reader()},
                                     {"decision", visit["decision"]},
                                     {"reasons", codes},
                                     {"card_ms", visit["card_ms"]},
                                     {"timeline", visit["timeline"]}});
  services_.metrics
      .counter("kartad_visits_total", "Visits", {{"decision", std::string(name_of(opening->decision.trust))}})
      .add();
  Reply reply{.body = std::move(visit), .status = 201, .location = "/v1/visits/" + id};
  if (coming) {
    reply.afterwards = [this, &desk, id, kept = std::shared_ptr<CardOpening>(std::move(opening))] {
      return read_portrait(*kept, desk, id);
    };
  }
  return reply;
}

}  // namespace

Result<ModePlan> read_clinic(service::ConfigTable& table) {
  ClinicConfig config;
  config.role = TRY(table.text_or("role", config.role));
  if (card::find_terminal_role(config.role) == nullptr) return table.bad("role", "is no role: one of " + role_names());
  config.groups = TRY(table.texts("groups"));
  for (const std::string& group : config.groups) {
    if (card::find_data_group(group) == nullptr)
      return table.bad("groups", "names \"" + group + "\", which is no data group");
  }
  if (table.has("purposes")) config.purposes = TRY(table.texts("purposes"));
  config.receipt = TRY(table.boolean_or("receipt", config.receipt));
  config.ask_on_line = TRY(table.boolean_or("ask_on_line", config.ask_on_line));
  return ModePlan([config](const Services& services) -> Result<std::unique_ptr<Mode>> {
    TRY(services.terminal(config.role));
    return std::unique_ptr<Mode>(std::make_unique<Clinic>(config, services));
  });
}

}  // namespace karta::daemon
