#include "issuing/desk/desk.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "card/channel.h"
#include "card/domain_keys.h"
#include "card/file.h"
#include "identity/utf8.h"
#include "issuing/desk/card_deeds.h"

namespace karta::issuing {
namespace {

using identity::DeskAnswer;
using identity::DeskCaller;
using Json = nlohmann::ordered_json;

constexpr std::string_view kCounterRole = "counter";
constexpr std::size_t kIdOctets = 16;
constexpr std::size_t kMostAtr = 33;  // ISO 7816-3
constexpr std::size_t kMostText = 80;

/// One signature at a time: sessions share the authority's key.
class SharedSigner final : public crypto::Signer {
 public:
  explicit SharedSigner(std::unique_ptr<crypto::Signer> inner) : inner_(std::move(inner)) {}
  const crypto::PublicKey& public_key() const override { return inner_->public_key(); }
  const std::vector<Bytes>& certificate_chain() const override { return inner_->certificate_chain(); }
  const std::vector<crypto::AlgorithmId>& algorithms() const override { return inner_->algorithms(); }
  Result<Bytes> sign(crypto::AlgorithmId algorithm, ByteView digest) override {
    const std::lock_guard lock(mutex_);
    return inner_->sign(algorithm, digest);
  }
  Result<Bytes> sign_message(crypto::AlgorithmId algorithm, ByteView message) override {
    const std::lock_guard lock(mutex_);
    return inner_->sign_message(algorithm, message);
  }
  bool in_process() const override { return inner_->in_process(); }

 private:
  std::unique_ptr<crypto::Signer> inner_;
  std::mutex mutex_;
};

tl::unexpected<Error> wrong_field(std::string_view name, std::string_view words) {
  return fail(ErrorKind::usage, "the desk's request: \"" + std::string(name) + "\" " + std::string(words));
}

Result<std::string> text_field(const Json& document, const char* name, std::size_t most = kMostText) {
  if (!document.contains(name)) return std::string();
  if (!document[name].is_string()) return wrong_field(name, "is no text");
  std::string text = document[name].get<std::string>();
  if (identity::characters_of(text) > most) {
    return wrong_field(name, "is longer than " + std::to_string(most) + " characters");
  }
  return text;
}

Result<Bytes> hex_field(const Json& document, const char* name, std::size_t most) {
  const std::string text = TRY(text_field(document, name, 2 * most));
  auto octets = from_hex(text);
  if (!octets) return wrong_field(name, "is not hexadecimal");
  return octets;
}

enum class DeedKind : std::uint8_t { activate, renew, unblock, application, inspect, replace, show };
struct DeedRow {
  DeedKind kind;
  std::string_view name;
  std::string_view schema;
};
constexpr auto kDeeds = std::to_array<DeedRow>({
    {DeedKind::activate, "activate", "karta.desk.activation/1"},
    {DeedKind::renew, "renew", "karta.desk.renewal/1"},
    {DeedKind::unblock, "unblock", "karta.desk.unblocking/1"},
    {DeedKind::application, "application", "karta.desk.application/1"},
    {DeedKind::inspect, "inspect", "karta.desk.card/1"},
    {DeedKind::replace, "replace", "karta.desk.replacement/1"},
    {DeedKind::show, "show", "karta.desk.shown/1"},
});

/// As it is now: a card past its end is expired, whatever the registry says yet.
void put_card(Json& result, const identity::Card& card, Time now) {
  result["card"] = identity::format_id(card.id);
  result["serial"] = card.serial;
  result["status_index"] = card.status_index;
  result["profile"] = card.profile;
  result["state"] = identity::row_of(state_at(card, now)).name;
  result["valid_until"] = card.valid_until ? Json(format_time(*card.valid_until)) : Json();
}

}  // namespace

struct Desk::Keys {
  SecretBytes card_master;
  std::unique_ptr<SharedSigner> ca;
};

/// A request, read once at the door.
struct Desk::Request {
  const DeedRow* deed = nullptr;
  Bytes atr;
  std::string reader;
  identity::Cause cause;
  RenewalRequest renewal;
  card::PinKind pin = card::PinKind::pin1;
  Bytes aid, offer;
  std::string why, profile, card;

  static Result<Request> parse(const DeskCaller& caller, std::string_view text);
};

Result<Desk::Request> Desk::Request::parse(const DeskCaller& caller, std::string_view text) {
  if (text.size() > identity::kMostDeskOctets) return fail(ErrorKind::limit, "the desk's request is too long");
  const Json document = Json::parse(text, nullptr, false);
  if (!document.is_object()) return fail(ErrorKind::usage, "the desk's request is no JSON object");
  constexpr std::array kKnown{"deed", "atr", "reader", "operator", "reason",  "within_days", "all",
                              "pin",  "aid", "offer",  "why",      "profile", "card"};
  for (const auto& [name, value] : document.items()) {
    if (std::find(kKnown.begin(), kKnown.end(), name) == kKnown.end()) return wrong_field(name, "is no field of it");
  }
  Request request;
  const std::string name = TRY(text_field(document, "deed"));
  std::string names;
  for (const DeedRow& row : kDeeds) {
    if (row.name == name) request.deed = &row;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  if (request.deed == nullptr) return wrong_field("deed", "must be one of " + names);
  request.atr = TRY(hex_field(document, "atr", kMostAtr));
  request.reader = TRY(text_field(document, "reader", 2 * kMostText));
  const std::string person = TRY(text_field(document, "operator", identity::kPersonCharacters));
  const std::string reason = TRY(text_field(document, "reason", identity::kReasonCharacters));
  // The terminal is known by its certificate; who sits there, by its word alone.
  request.cause.actor = "counter:" + caller.terminal + (person.empty() ? "" : "/" + person);
  request.cause.reason =
      reason.empty() ? std::string(request.deed->name) + " at " + caller.name.substr(0, kMostText) : reason;
  request.why = TRY(text_field(document, "why"));
  request.profile = TRY(text_field(document, "profile"));
  request.card = TRY(text_field(document, "card"));
  request.aid = TRY(hex_field(document, "aid", 16));
  request.offer = TRY(hex_field(document, "offer", 1024));
  if (document.contains("all")) {
    if (!document["all"].is_boolean()) return wrong_field("all", "must be true or false");
    request.renewal.all = document["all"].get<bool>();
  }
  if (document.contains("within_days")) {
    const Json& days = document["within_days"];
    if (!days.is_number_unsigned() || days.get<std::uint64_t>() > 3660)
      return wrong_field("within_days", "must be 0 to 3660");
    request.renewal.within = std::chrono::days(days.get<int>());
  }
  const std::string pin = TRY(text_field(document, "pin"));
  if (pin == "PIN2") request.pin = card::PinKind::pin2;
  if (!pin.empty() && pin != "PIN1" && pin != "PIN2") return wrong_field("pin", "must be PIN1 or PIN2");
  if (request.deed->kind == DeedKind::application && (request.aid.empty() || request.offer.empty())) {
    return wrong_field("offer", "and \"aid\" are what an application is loaded with");
  }
  if (request.deed->kind == DeedKind::replace) TRY(find_replacement_reason(request.why));
  return request;
}

/// A session with whose it is, and what for.
struct Desk::Held {
  DeskCaller caller;
  std::string reader;
  DeedKind deed;
  std::shared_ptr<DeskSession> session;
  std::optional<std::string> order = {};  ///< what a card shown in it was asked for
};

/// A card is worked on by one session at a time.
class Desk::CardHold {
 public:
  CardHold(Desk& desk, identity::CardId card) : desk_(&desk), card_(card) {}
  CardHold(CardHold&& other) noexcept : desk_(std::exchange(other.desk_, nullptr)), card_(other.card_) {}
  CardHold& operator=(CardHold&&) = delete;
  ~CardHold() {
    if (desk_ == nullptr) return;
    const std::lock_guard lock(desk_->mutex_);
    desk_->cards_.erase(card_);
    desk_->released_.notify_all();
  }

 private:
  Desk* desk_;
  identity::CardId card_;
};

Result<Desk::CardHold> Desk::hold(identity::CardId card) {
  std::unique_lock lock(mutex_);
  // A session given up a moment ago may still be on its way out.
  released_.wait_for(lock, limits_.hold_time, [&] { return !cards_.contains(card); });
  if (!cards_.insert(card).second) {
    return fail(ErrorKind::busy, "another session works on this card", "try again in a moment");
  }
  return CardHold(*this, card);
}

Result<std::unique_ptr<Desk>> Desk::open(const std::filesystem::path& folder, const SecretBytes& passphrase,
                                         const Clock& clock, DeskLimits limits) {
  SystemRandom random;
  const Centre centre = TRY(Centre::open(folder, clock, random));
  auto keys = std::make_unique<Keys>();
  keys->card_master = TRY(centre.unlock_card_master(passphrase));
  auto ca = TRY(centre.unlock_issuing_ca(passphrase));
  keys->ca = std::make_unique<SharedSigner>(std::move(ca));
  return std::unique_ptr<Desk>(new Desk(folder, std::move(keys), clock, limits));
}

Desk::Desk(std::filesystem::path folder, std::unique_ptr<Keys> keys, const Clock& clock, DeskLimits limits)
    : folder_(std::move(folder)), keys_(std::move(keys)), clock_(clock), limits_(limits) {}

Desk::~Desk() {
  std::map<std::string, std::unique_ptr<Held>, std::less<>> sessions;
  {
    const std::lock_guard lock(mutex_);
    sessions.swap(sessions_);
  }
  for (auto& [id, held] : sessions) held->session->end({ErrorKind::cancelled, "the desk closes", ""});
}

std::size_t Desk::sessions() const {
  const std::lock_guard lock(mutex_);
  std::size_t running = 0;
  for (const auto& [id, held] : sessions_) running += held->session->ended() ? 0 : 1;
  return running;
}

// Under the lock. Forgets sessions that ended long enough ago, and of one caller's all but the last ones; what goes is
// handed out, as its thread is waited for without the lock.
std::vector<std::unique_ptr<Desk::Held>> Desk::sweep(const DeskCaller& caller) {
  const auto old = DeskSession::SteadyClock::now() - limits_.linger_time;
  std::vector<std::pair<DeskSession::SteadyClock::time_point, std::string>> kept;
  std::vector<std::unique_ptr<Held>> gone;
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const auto ended = at->second->session->ended();
    if (ended && *ended <= old) {
      gone.push_back(std::move(at->second));
      at = sessions_.erase(at);
      continue;
    }
    if (ended && at->second->caller == caller) kept.emplace_back(*ended, at->first);
    ++at;
  }
  std::sort(kept.begin(), kept.end());
  for (std::size_t i = 0; i + limits_.lingering < kept.size(); ++i) {
    const auto at = sessions_.find(kept[i].second);
    gone.push_back(std::move(at->second));
    sessions_.erase(at);
  }
  return gone;
}

// Under the lock.
Status Desk::admit(const DeskCaller& caller, const Request& request) {
  std::size_t running = 0, of_caller = 0;
  for (const auto& [id, held] : sessions_) {
    if (held->session->ended()) continue;
    // There is one card in a reader: whoever begins again there has given the session before up.
    if (held->caller == caller && held->reader == request.reader) {
      held->session->end({ErrorKind::cancelled, "the counter began another session at this reader", ""});
      continue;
    }
    ++running;
    of_caller += held->caller == caller ? 1 : 0;
  }
  if (running >= limits_.sessions || of_caller >= limits_.sessions_of_caller) {
    return fail(ErrorKind::busy, "the desk has as many sessions as it takes", "try again in a moment");
  }
  return {};
}

void Desk::open(const DeskCaller& caller, std::string_view text, DeskAnswer answer) {
  if (caller.role != kCounterRole) {
    return answer(fail(ErrorKind::not_permitted, "terminals of role \"" + caller.role + "\" have no desk"));
  }
  auto request = Request::parse(caller, text);
  if (!request) return answer(fail(std::move(request).error()));
  SystemRandom random;
  const auto session = std::make_shared<DeskSession>(to_hex(random.bytes(kIdOctets)), limits_);
  std::vector<std::unique_ptr<Held>> gone;
  Status admitted;
  {
    const std::lock_guard lock(mutex_);
    gone = sweep(caller);
    admitted = admit(caller, *request);
    if (admitted) {
      sessions_.emplace(session->id(),
                        std::make_unique<Held>(Held{caller, request->reader, request->deed->kind, session}));
    }
  }
  if (!admitted) return answer(fail(admitted.error()));
  session->start([this, request = std::move(*request)](ApduCarrier& carrier) { return work(request, carrier); },
                 std::move(answer));
}

void Desk::next(const DeskCaller& caller, std::string_view id, identity::DeskReplies replies, DeskAnswer answer) {
  std::shared_ptr<DeskSession> session;
  {
    const std::lock_guard lock(mutex_);
    const auto found = sessions_.find(id);
    if (found != sessions_.end() && found->second->caller == caller) session = found->second->session;
  }
  if (!session) {
    return answer(fail(ErrorKind::not_found, "there is no such session at the desk", "begin the deed again"));
  }
  session->next(std::move(replies), std::move(answer));
}

Result<std::string> Desk::shown(const DeskCaller& caller, std::string_view id, std::string_view order) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(id);
  const bool fits =
      found != sessions_.end() && found->second->caller == caller && found->second->deed == DeedKind::show;
  const auto ended = fits ? found->second->session->ended() : std::nullopt;
  if (!ended || DeskSession::SteadyClock::now() - *ended > limits_.shown_time) {
    return fail(ErrorKind::not_found, "no card was shown at this counter a moment ago",
                "put the card in and begin again");
  }
  const auto result = found->second->session->result();
  if (!result) return fail(ErrorKind::not_permitted, "no card has proved itself in this session");
  // One showing is one deed: a counter cannot do more by it than what the citizen was there for.
  if (!found->second->order) found->second->order = std::string(order);
  if (*found->second->order != order) {
    return fail(ErrorKind::not_permitted, "the card was shown for something else", "put the card in and begin again");
  }
  return Json::parse(*result).at("card").get<std::string>();
}

namespace {

/// By the chip's serial, or by the registry's number.
Result<identity::Card> find_card(identity::Registry& registry, const std::string& text) {
  if (const auto id = identity::parse_card_id(text)) {
    if (auto card = registry.card(*id); card || card.error().kind != ErrorKind::not_found) return card;
  }
  return registry.card_by_serial(text);
}

Json json_of(const Activation& done, Time now) {
  Json result;
  put_card(result, done.card, now);
  result["already"] = done.already;
  result["replaced"] = done.replaced ? Json(done.replaced->serial) : Json();
  return result;
}

Json json_of(const AdministeredCard& card, const std::vector<RenewedKey>& keys, Time now) {
  Json result;
  put_card(result, card.record, now);
  result["certificates"] = Json::array();
  for (const RenewedKey& key : keys) {
    result["certificates"].push_back({{"key", to_string(key.role)},
                                      {"outcome", name_of(key.outcome)},
                                      {"serial", to_hex(key.certificate.serial())},
                                      {"not_after", format_time(key.certificate.not_after())}});
  }
  return result;
}

Json json_of(const Replacement& done, Time now) {
  Json result;
  result["old"] = Json::object();
  put_card(result["old"], done.old, now);
  result["ordered"] = Json::object();
  put_card(result["ordered"], done.ordered, now);
  result["already"] = done.already;
  return result;
}

}  // namespace

// On the session's thread, with connections of its own.
Result<std::string> Desk::work(const Request& request, ApduCarrier& carrier) {
  SystemRandom random;
  auto centre = TRY(Centre::open(folder_, clock_, random));
  DeskWork desk{centre, clock_, random, request.cause};
  const auto done = [&](const Json& fields) {
    Json result{{"schema", request.deed->schema}};
    result.update(fields);
    return result.dump();
  };
  if (request.deed->kind == DeedKind::replace && !request.card.empty()) {
    const identity::Card old = TRY(find_card(centre.registry(), request.card));
    const auto held = TRY(hold(old.id));
    const ReplacementRow reason = TRY(find_replacement_reason(request.why));
    const Replacement replacement = TRY(replace_card(desk, old.id, reason, request.profile));
    return done(json_of(replacement, clock_.now()));
  }
  RemoteConnection connection(carrier, request.atr, request.reader);
  const auto alone = TRY(card::Transaction::begin(connection));
  card::PlainChannel plain(connection);
  AdministeredCard card = TRY(administer(centre, keys_->card_master, plain, random));
  // Only now is it known which card it is: before, a counter could have kept others from their cards by naming them.
  const auto held = TRY(hold(card.record.id));
  card.record = TRY(centre.registry().card(card.record.id));
  switch (request.deed->kind) {
    case DeedKind::activate: {
      const Activation activation = TRY(activate_card(desk, card));
      return done(json_of(activation, clock_.now()));
    }
    case DeedKind::renew: {
      const auto keys = TRY(renew_certificates(desk, card, *keys_->ca, request.renewal));
      return done(json_of(card, keys, clock_.now()));
    }
    case DeedKind::unblock: {
      TRY(reset_pin(desk, card, request.pin));
      Json result;
      put_card(result, card.record, clock_.now());
      result["pin"] = card::name_of(request.pin);
      result["by"] = "letter";
      return done(result);
    }
    case DeedKind::application: {
      const LoadedApplication loaded = TRY(load_application(desk, card, request.aid, request.offer));
      Json result;
      put_card(result, card.record, clock_.now());
      result["aid"] = to_hex(request.aid);
      result["receipt"] = to_hex(loaded.receipt);
      result["already"] = loaded.already;
      return done(result);
    }
    case DeedKind::replace: {
      const ReplacementRow reason = TRY(find_replacement_reason(request.why));
      const Replacement replacement = TRY(replace_card(desk, card.record.id, reason, request.profile));
      return done(json_of(replacement, clock_.now()));
    }
    case DeedKind::show: {
      // Asked for a citizen's sake: a card that does not count for him any more does not speak for him.
      TRY(require_active(card.record, clock_.now()));
      Json result;
      put_card(result, card.record, clock_.now());
      return done(result);
    }
    case DeedKind::inspect:
      break;
  }
  const Bytes agreement = TRY(card::read_file(*card.channel, card::Path{card::kEfAgreementCertificate}));
  Json result;
  put_card(result, card.record, clock_.now());
  result["agreement_certificate"] = to_hex(agreement);
  return done(result);
}

}  // namespace karta::issuing
