#include "daemon/counter/counter_mode.h"

#include <array>

#include "card/domain_keys.h"
#include "card/esign.h"
#include "card/file.h"
#include "crypto/x509/certificate.h"
#include "daemon/counter/account_deed.h"
#include "daemon/counter/courier.h"
#include "daemon/request_body.h"
#include "identity/authority/desk_port.h"
#include "identity/journal/journal.h"
#include "service/log.h"
#include "service/metrics.h"

namespace karta::daemon {
namespace {

using service::HttpMethod;

constexpr std::string_view kRole = "counter";
constexpr unsigned kAttempts = 3;
constexpr std::chrono::milliseconds kPause{300};  // before the second attempt; twice as long before the third
constexpr std::size_t kMostAid = 32, kMostOffer = 2048;

constexpr Route kRoutes[] = {
    {.method = HttpMethod::post, .path = "/v1/activations", .verb = "activate", .at_card = true, .once = true},
    {.method = HttpMethod::post, .path = "/v1/unblockings", .verb = "unblock", .at_card = true, .once = true},
    {.method = HttpMethod::post, .path = "/v1/renewals", .verb = "renew", .at_card = true, .once = true},
    {.method = HttpMethod::post, .path = "/v1/applications", .verb = "application", .at_card = true, .once = true},
    {.method = HttpMethod::post, .path = "/v1/replacements", .verb = "replace", .at_card = true, .once = true},
    {.method = HttpMethod::post, .path = "/v1/accounts", .verb = "account", .at_card = true, .once = true},
    {.method = HttpMethod::post, .path = "/v1/account-removals", .verb = "account", .at_card = true, .once = true},
    {.method = HttpMethod::post, .path = "/v1/agreements", .verb = "application", .at_card = true},
};

struct CounterConfig {
  int within_days = 60;
};

/// What is asked of the authority once the card has proved itself in `session`; adds to the answer.
using Afterwards = std::function<Status(identity::Authority& authority, const std::string& session, Reply& reply)>;

/// A deed the authority does, as its desk is asked for it, and the schema of our own answer.
struct Deed {
  std::string_view name;
  std::string_view schema;
  Json request;
  std::string_view at_desk = name;  ///< the desk's name for it
  Afterwards afterwards = {};       ///< empty: all is done with the card
};

constexpr std::string_view kShow = "show";  // the desk's deed that only has the card prove itself

std::string ascii(const Json& json) { return json.dump(-1, ' ', true, Json::error_handler_t::replace); }

/// What to do when a deed stopped in the middle.
Error with_next_step(Error error) {
  switch (error.kind) {
    case ErrorKind::io:
    case ErrorKind::busy:
    case ErrorKind::cancelled:
      error.hint = "the card is usable as it is; repeat with the same Idempotency-Key: the deed goes on where it was";
      break;
    case ErrorKind::card_removed:
    case ErrorKind::card_unresponsive:
      error.hint = "put the card back and repeat with the same Idempotency-Key: the deed goes on where it was";
      break;
    default:
      break;
  }
  return error;
}

class Counter final : public Mode {
 public:
  Counter(CounterConfig config, const Services& services) : config_(config), services_(services) {}

  std::string_view name() const override { return "counter"; }
  std::span<const Route> routes() const override { return kRoutes; }
  Json status() const override { return {{"authority", services_.config.authority->url}}; }
  Result<Reply> answer(const Call&) override { return fail(ErrorKind::not_found, "there is nothing here"); }

  Result<Reply> run(const Call& call, ReaderDesk& desk) override {
    RequestBody body(call.body);
    TRY(body.text_or("reader", "-"));
    if (call.route->path == "/v1/agreements") return agreement(body, desk);
    Deed deed;
    const std::string person = TRY(body.text_or("operator", call.caller, identity::kPersonCharacters));
    const std::string reason = TRY(body.text_or("reason", "-", identity::kReasonCharacters));
    if (call.route->verb == "unblock") {
      const std::string with = TRY(body.text("with"));
      const std::string which = TRY(body.text_or("which", "PIN1"));
      if (which != "PIN1" && which != "PIN2") return fail(ErrorKind::usage, "\"which\" must be PIN1 or PIN2");
      if (with == "puk" || with == "pad") return unblock_here(call, body, desk, with, which);
      if (with != "letter") return fail(ErrorKind::usage, "\"with\" must be puk, pad or letter");
      deed = {"unblock", "karta.kartad.unblocking/1", {{"pin", which}}};
    } else {
      deed = TRY(call.route->verb == "account" ? read_account(*call.route, body, person, reason)
                                               : read_deed(*call.route, body));
    }
    TRY(body.finish());
    deed.request["deed"] = deed.at_desk;
    deed.request["operator"] = person;
    if (reason != "-") deed.request["reason"] = reason;
    return at_the_desk(call, desk, std::move(deed));
  }

 private:
  Result<Deed> read_deed(const Route& route, RequestBody& body) const;
  static Result<Deed> read_account(const Route& route, RequestBody& body, const std::string& person,
                                   const std::string& reason);
  Result<Reply> at_the_desk(const Call& call, ReaderDesk& desk, Deed deed);
  Result<Reply> unblock_here(const Call& call, RequestBody& body, ReaderDesk& desk, const std::string& with,
                             const std::string& which);
  static Result<Reply> agreement(RequestBody& body, ReaderDesk& desk);
  Status note(const Call& call, const ReaderDesk& desk, std::string_view phase, const Json& more);
  void count(std::string_view deed, std::string_view outcome);

  CounterConfig config_;
  const Services& services_;
};

Result<Deed> Counter::read_deed(const Route& route, RequestBody& body) const {
  if (route.verb == "activate") return Deed{"activate", "karta.kartad.activation/1", Json::object()};
  if (route.verb == "renew") {
    const auto days = TRY(body.integer_or("within_days", 0, 3660, config_.within_days));
    const bool all = TRY(body.boolean_or("all", false));
    return Deed{"renew", "karta.kartad.renewal/1", {{"within_days", days}, {"all", all}}};
  }
  if (route.verb == "application") {
    const std::string aid = TRY(body.text("aid", kMostAid));
    const std::string offer = TRY(body.text("offer", kMostOffer));
    return Deed{"application", "karta.kartad.application/1", {{"aid", aid}, {"offer", offer}}};
  }
  const std::string why = TRY(body.text("why"));
  const std::string profile = TRY(body.text_or("profile", ""));
  Json request{{"why", why}};
  if (!profile.empty()) request["profile"] = profile;
  return Deed{"replace", "karta.kartad.replacement/1", std::move(request)};
}

// The card only says who is here; the account is a matter of the authority's.
Result<Deed> Counter::read_account(const Route& route, RequestBody& body, const std::string& person,
                                   const std::string& reason) {
  if (route.path == "/v1/account-removals") {
    auto removal = TRY(read_account_removal(body));
    removal.person = person;
    if (reason != "-") removal.reason = reason;
    return Deed{"account-removal", "karta.kartad.account-removal/1", Json::object(), kShow,
                [removal](identity::Authority& authority, const std::string& session, Reply& reply) -> Status {
                  auto asked = removal;
                  asked.session = session;
                  const bool removed = TRY(authority.remove_account(asked));
                  reply.body["already"] = !removed;
                  return {};
                }};
  }
  auto order = TRY(read_account_order(body));
  order.person = person;
  if (reason != "-") order.reason = reason;
  return Deed{"account", "karta.kartad.account/1", Json::object(), kShow,
              [order](identity::Authority& authority, const std::string& session, Reply& reply) -> Status {
                auto asked = order;
                asked.session = session;
                const identity::MadeAccount made = TRY(authority.make_account(asked));
                return tell(made, reply);
              }};
}

Status Counter::note(const Call& call, const ReaderDesk& desk, std::string_view phase, const Json& more) {
  Json body{{"verb", call.route->verb}, {"reader", desk.reader()}, {"caller", call.caller}, {"phase", phase}};
  body.update(more);
  // A kind of its own: what begins a deed has no right to the room that is set aside for endings.
  TRY(services_.journal.append(phase == "begun" ? "counter-intent" : "counter", ascii(body)));
  return {};
}

void Counter::count(std::string_view deed, std::string_view outcome) {
  services_.metrics
      .counter("kartad_counter_deeds_total", "Deeds at the counter",
               {{"deed", std::string(deed)}, {"outcome", std::string(outcome)}})
      .add();
}

Result<Reply> Counter::at_the_desk(const Call& call, ReaderDesk& desk, Deed deed) {
  if (!services_.connect_authority) {
    return fail(ErrorKind::configuration, "the daemon has no authority to ask", "[authority] in the configuration");
  }
  auto use = TRY(desk.use_card());
  deed.request["atr"] = to_hex(use->connection().atr());
  deed.request["reader"] = desk.reader();
  const auto authority = TRY(services_.connect_authority());
  // Said before the card is changed; where that cannot be written, nothing is done.
  TRY(note(call, desk, "begun", {{"deed", deed.name}, {"operator", deed.request["operator"]}}));
  CourierOptions options;
  options.attempts = kAttempts;
  options.pause = [&](unsigned attempt) { return desk.pause(kPause * attempt); };
  options.progress = [&](std::uint64_t step, std::size_t) {
    desk.progress(call.route->verb, "step " + std::to_string(step));
  };
  CourierCount carried;
  Reply reply;
  const Status done = [&]() -> Status {
    const std::string result = TRY(carry(*authority, use->connection(), ascii(deed.request), options, carried));
    reply.body = Json::parse(result, nullptr, false);
    if (!reply.body.is_object()) return fail(ErrorKind::malformed, "the authority's result cannot be read");
    if (!deed.afterwards) return {};
    return ask(options, [&] { return deed.afterwards(*authority, carried.session, reply); });
  }();
  Json ended{{"deed", deed.name},
             {"session", carried.session},
             {"commands", carried.commands},
             {"outcome", done ? "done" : row_of(done.error().kind).name}};
  if (reply.body.contains("status_index")) ended["status_index"] = reply.body["status_index"];
  // The deed is done, or not, whatever becomes of this record.
  if (const Status written = note(call, desk, "ended", ended); !written) {
    service::log_error("the end of a counter's deed is not in the journal", written.error());
  }
  count(deed.name, done ? "done" : "failed");
  if (!done) return fail(with_next_step(done.error()));
  reply.body["schema"] = deed.schema;
  reply.body["reader"] = desk.reader();
  reply.body["timeline"] = use->timeline().to_json();
  services_.events.publish("counter", {{"reader", desk.reader()},
                                       {"deed", deed.name},
                                       {"commands", carried.commands},
                                       {"timeline", reply.body["timeline"]}});
  return reply;
}

// The holder knows the PUK: that is between holder and card, no authority is asked.
Result<Reply> Counter::unblock_here(const Call& call, RequestBody& body, ReaderDesk& desk, const std::string& with,
                                    const std::string& which) {
  const card::PinKind kind = which == "PIN2" ? card::PinKind::pin2 : card::PinKind::pin1;
  SecretBytes puk, fresh;
  if (with == "puk") {
    puk = TRY(body.digits("puk", 8, 10));
    fresh = TRY(body.digits("new_pin", 6, 8));
    TRY(card::check_presented_pin(card::PinKind::puk, puk));
    TRY(card::check_new_pin(kind, fresh));
  }
  TRY(body.finish());
  auto use = TRY(desk.use_card());
  auto esign = TRY(card::ESignApplication::open(use->channel()).map_error(said_by_card));
  TRY(note(call, desk, "begun", {{"deed", "unblock"}, {"with", with}, {"which", which}}));
  const Status done = with == "puk" ? esign.unblock_pin(kind, puk, fresh) : esign.unblock_pin_by_pad(kind);
  if (const Status written =
          note(call, desk, "ended",
               {{"deed", "unblock"}, {"with", with}, {"outcome", done ? "done" : row_of(done.error().kind).name}});
      !written) {
    service::log_error("the end of a counter's deed is not in the journal", written.error());
  }
  count("unblock", done ? "done" : "failed");
  if (!done) return fail(with_next_step(done.error()));
  Json document{{"schema", "karta.kartad.unblocking/1"},
                {"serial", to_hex(esign.info().serial)},
                {"pin", which},
                {"by", with},
                {"reader", desk.reader()},
                {"timeline", use->timeline().to_json()}};
  services_.events.publish("counter", {{"reader", desk.reader()}, {"deed", "unblock"}});
  return Reply{.body = std::move(document)};
}

// What a department makes its offer with: the certificate of the card's agreement key, free to read.
Result<Reply> Counter::agreement(RequestBody& body, ReaderDesk& desk) {
  TRY(body.finish());
  auto use = TRY(desk.use_card());
  auto esign = TRY(card::ESignApplication::open(use->channel()).map_error(said_by_card));
  const Bytes certificate =
      TRY(card::read_file(use->channel(), card::Path{card::kEfAgreementCertificate}).map_error(said_by_card));
  // It comes in plain: an offer made with garbage is found out when a card gets it.
  if (const auto read = crypto::Certificate::from_der(certificate); !read) return fail(said_by_card(read.error()));
  return Reply{.body = {{"schema", "karta.kartad.agreement/1"},
                        {"serial", to_hex(esign.info().serial)},
                        {"certificate", to_hex(certificate)},
                        {"reader", desk.reader()}}};
}

}  // namespace

Result<ModePlan> read_counter(service::ConfigTable& table) {
  CounterConfig config;
  config.within_days = static_cast<int>(TRY(table.integer_or("within_days", 0, 3660, config.within_days)));
  return ModePlan([config](const Services& services) -> Result<std::unique_ptr<Mode>> {
    if (!services.config.authority) {
      return fail(ErrorKind::configuration, "[counter] works on the authority's word, and there is no [authority]");
    }
    // The authority knows this machine by its first terminal.
    if (services.config.terminals.empty() || services.config.terminals.front().role != kRole) {
      return fail(ErrorKind::configuration,
                  "[counter] wants a [[terminal]] of role \"counter\", and it must be the first",
                  "enrol one: karta terminal enrol NAME --role counter");
    }
    return std::unique_ptr<Mode>(std::make_unique<Counter>(config, services));
  });
}

}  // namespace karta::daemon
