#include "daemon/api.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "base/secret.h"
#include "daemon/deed_store.h"
#include "daemon/request_body.h"
#include "identity/journal/journal.h"
#include "service/json_problem.h"
#include "service/later_response.h"
#include "service/log.h"
#include "service/response_stream.h"

namespace karta::daemon {
namespace {

using service::HttpMethod;
using service::HttpRequest;
using service::HttpResponse;
using service::JsonProblem;
using service::LaterResponse;

constexpr std::string_view kJson = "application/json";
constexpr std::string_view kEventStream = "text/event-stream";
constexpr std::string_view kFields = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
constexpr std::size_t kMostKey = 128, kMostId = 64;
constexpr std::uint64_t kMostRecords = 500;

/// Routes of the daemon itself.
enum class Own : std::uint8_t { status, readers, events, journal, metrics };
struct OwnRow {
  Own what;
  Route route;
};
constexpr OwnRow kOwn[] = {
    {Own::status, {.method = HttpMethod::get, .path = "/v1/status", .verb = "status"}},
    {Own::readers, {.method = HttpMethod::get, .path = "/v1/readers", .verb = "status"}},
    {Own::events, {.method = HttpMethod::get, .path = "/v1/events", .verb = "events"}},
    {Own::journal, {.method = HttpMethod::get, .path = "/v1/journal", .verb = "journal"}},
    {Own::metrics, {.method = HttpMethod::get, .path = "/metrics", .verb = "metrics"}},
};

constexpr ErrorKind kOfTheCard[] = {ErrorKind::no_pcscd,     ErrorKind::no_reader,    ErrorKind::no_card,
                                    ErrorKind::card_removed, ErrorKind::card_busy,    ErrorKind::card_unresponsive,
                                    ErrorKind::card_unknown, ErrorKind::card_insecure};
/// What somebody may have tried: it goes into the journal.
constexpr ErrorKind kRefusals[] = {ErrorKind::card_insecure, ErrorKind::untrusted,     ErrorKind::invalid_signature,
                                   ErrorKind::card_refused,  ErrorKind::not_permitted, ErrorKind::wrong_pin,
                                   ErrorKind::pin_blocked,   ErrorKind::card_unknown,  ErrorKind::configuration};

bool is_among(ErrorKind kind, std::span<const ErrorKind> kinds) {
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

/// True where `path` is as `pattern` says; the segment in braces goes to `id`.
bool fits(std::string_view pattern, std::string_view path, std::string_view& id) {
  const std::size_t open = pattern.find('{');
  if (open == std::string_view::npos) return pattern == path;
  const std::size_t close = pattern.find('}', open);
  const std::string_view tail = pattern.substr(close + 1);
  if (path.size() <= open + tail.size() || path.substr(0, open) != pattern.substr(0, open) || !path.ends_with(tail)) {
    return false;
  }
  id = path.substr(open, path.size() - open - tail.size());
  return id.find('/') == std::string_view::npos;
}

std::string_view name_of(HttpMethod method) {
  switch (method) {
    case HttpMethod::get:
      return "GET";
    case HttpMethod::post:
      return "POST";
    case HttpMethod::put:
      return "PUT";
    case HttpMethod::del:
      return "DELETE";
    default:
      return "HEAD";
  }
}

JsonProblem problem(int status, std::string name, std::string detail, std::string hint = {}) {
  JsonProblem out;
  out.status = status;
  out.name = std::move(name);
  out.detail = std::move(detail);
  out.hint = std::move(hint);
  return out;
}

HttpResponse json_response(int status, std::string_view body, const std::string& location = {}) {
  HttpResponse out;
  out.status = status;
  out.media_type = kJson;
  out.fields = kFields;
  if (!location.empty()) out.fields += "Location: " + location + "\r\n";
  out.body = to_bytes(as_bytes(body));
  return out;
}

std::string dump(const Json& document) { return document.dump(-1, ' ', false, Json::error_handler_t::replace); }

/// `octets`, ASCII, as the inside of a JSON text (RFC 8259 §7).
SecretBytes escaped(ByteView octets) {
  const auto needs = [](std::uint8_t c) { return c == '"' || c == '\\' || c < 0x20; };
  constexpr std::size_t kEscape = 6;  // \u0022
  const auto several = static_cast<std::size_t>(std::count_if(octets.begin(), octets.end(), needs));
  SecretBytes out(octets.size() + several * (kEscape - 1));
  auto to = out.expose_secret_mutable().begin();
  for (const std::uint8_t c : octets) {
    if (!needs(c)) {
      *to++ = c;
      continue;
    }
    constexpr std::string_view kDigits = "0123456789abcdef";
    for (const char one : {'\\', 'u', '0', '0', kDigits[c >> 4], kDigits[c & 15]})
      *to++ = static_cast<std::uint8_t>(one);
  }
  return out;
}

/// The body with what is told once at its end, in memory that is wiped.
HttpResponse secret_response_of(const Reply& reply) {
  std::string text = dump(reply.body);
  text.pop_back();
  Bytes whole;
  std::vector<SecretBytes> values;
  std::size_t size = text.size() + 1;
  for (const auto& [name, value] : reply.told_once) {
    values.push_back(escaped(value->expose_secret()));
    size += name.size() + values.back().size() + 6;
  }
  whole.reserve(size);  // it grows without leaving copies behind
  append(whole, as_bytes(text));
  for (std::size_t i = 0; i < values.size(); ++i) {
    append(whole, as_bytes(",\"" + std::string(reply.told_once[i].first) + "\":\""));
    append(whole, values[i].expose_secret());
    append(whole, as_bytes("\""));
  }
  append(whole, as_bytes("}"));
  HttpResponse out = json_response(reply.status, "", reply.location);
  out.secret_body = std::make_shared<const SecretBytes>(std::move(whole));
  return out;
}

HttpResponse response_of(const Reply& reply) {
  if (!reply.told_once.empty()) return secret_response_of(reply);
  if (reply.status == 204) {
    HttpResponse out;
    out.status = 204;
    out.fields = kFields;
    return out;
  }
  if (!reply.media_type.empty()) {
    HttpResponse out;
    out.status = reply.status;
    out.media_type = reply.media_type;
    out.fields = kFields;
    out.body = reply.octets;
    return out;
  }
  return json_response(reply.status, dump(reply.body), reply.location);
}

/// "visit/17" and the like as a metric's label: the pattern, not the path.
void count_answer(const Works& works, std::string_view route, int status) {
  works.services->metrics
      .counter("kartad_requests_total", "Requests answered",
               {{"route", std::string(route)}, {"status", std::to_string(status)}})
      .add();
}

bool is_key(std::string_view key) {
  return key.size() <= kMostKey && std::all_of(key.begin(), key.end(), [](char c) { return c > 0x20 && c < 0x7F; });
}

/// The holder's secrets in a request's body are wiped, wherever its way ends.
void wipe_secrets(Json& body) {
  for (const char* const name : {"can", "new_pin", "pin", "puk"}) {
    const auto found = body.find(name);
    if (found == body.end() || !found->is_string()) continue;
    auto& text = found->get_ref<std::string&>();
    wipe({reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  }
}
class WipedBody {
 public:
  explicit WipedBody(Json& body) : body_(body) {}
  ~WipedBody() { wipe_secrets(body_); }
  WipedBody(const WipedBody&) = delete;
  WipedBody& operator=(const WipedBody&) = delete;

 private:
  Json& body_;
};

/// A call on its way to a reader and back: what the thread there needs of it.
struct CardCall {
  std::shared_ptr<Works> works;
  Mode* mode = nullptr;
  Call call;
  std::shared_ptr<LaterResponse> promise;

  CardCall(std::shared_ptr<Works> for_works, Mode* of_mode, Call what, std::shared_ptr<LaterResponse> to)
      : works(std::move(for_works)), mode(of_mode), call(std::move(what)), promise(std::move(to)) {}
  CardCall(const CardCall&) = delete;
  CardCall& operator=(const CardCall&) = delete;
  ~CardCall() { wipe_secrets(call.body); }

  void answer(HttpResponse response) const {
    count_answer(*works, call.route->path, response.status);
    promise->send(std::move(response));
  }
  void give_up() const {
    if (!call.route->once) return;
    const Status done = works->services->deeds.give_up(call.key);
    if (!done) service::log_error("a deed cannot be given up", done.error());
  }
  void refuse(const Error& error) const {
    give_up();
    answer(JsonProblem::of(error).to_response());
  }
  void run(ReaderDesk& desk) const;
};

void note_refusal(const Works& works, const Call& call, const ReaderDesk& desk, const Error& error) {
  const Json body{{"verb", call.route->verb},
                  {"reader", desk.reader()},
                  {"caller", call.caller},
                  {"why", row_of(error.kind).name},
                  {"words", error.message}};
  works.services->events.publish("refusal", body);
  const auto written =
      works.services->journal.append("refusal", body.dump(-1, ' ', true, Json::error_handler_t::replace));
  if (!written) service::log_error("a refusal is not in the journal", written.error());
}

void CardCall::run(ReaderDesk& desk) const {
  // Nobody waits any more, and nothing was begun: the card is left alone.
  if (promise->gone() && !call.again) return give_up();
  const auto begun = std::chrono::steady_clock::now();
  auto reply = [&]() -> Result<Reply> {
    try {
      return mode->run(call, desk);
    } catch (const std::exception& error) {
      return fail(ErrorKind::internal, std::string("unexpected: ") + error.what());
    }
  }();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  works->services->metrics
      .histogram("kartad_verb_seconds", "Time of verbs at a card", {0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10},
                 {{"verb", std::string(call.route->verb)}})
      .observe(took.count());
  if (!reply) {
    const Error& error = reply.error();
    if (is_among(error.kind, kOfTheCard)) desk.drop_card();
    if (is_among(error.kind, kRefusals)) note_refusal(*works, call, desk, error);
    works->services->events.publish(
        "failure", {{"reader", desk.reader()}, {"verb", call.route->verb}, {"why", row_of(error.kind).name}});
    return refuse(error);
  }
  if (call.route->once) {
    const Status kept = works->services->deeds.finish(call.key, {reply->status, dump(reply->body), reply->location});
    // The deed is done: its answer goes out all the same, and a repetition is answered by looking at the card.
    if (!kept) service::log_error("an answer cannot be kept for repetition", kept.error());
  }
  answer(response_of(*reply));
  if (!reply->afterwards) return;
  const Status done = reply->afterwards();
  reply->afterwards = {};  // the card is let go of before its connection
  if (!done && is_among(done.error().kind, kOfTheCard)) desk.drop_card();
}

class ApiHandler final : public service::HttpHandler {
 public:
  explicit ApiHandler(std::shared_ptr<Works> works) : works_(std::move(works)) {}

  HttpResponse handle(const HttpRequest& request) override {
    for (const auto& mode : works_->modes) {
      FrontDoor* const door = mode->front_door();
      if (door == nullptr || !door->owns(request.path)) continue;
      HttpResponse page = door->serve(request, *works_->hall);
      if (page.status == 403) note_refusal(request, "front-door", {});
      return page;
    }
    if (auto foreign = works_->gatekeeper->check_origin(request)) return refuse(request, std::move(*foreign), {});
    if (request.path == "/healthz") {
      const bool look = request.method == HttpMethod::get || request.method == HttpMethod::head;
      return look ? health() : not_allowed("GET");
    }
    if (works_->pages && !request.path.starts_with("/v1/") && request.path != "/metrics") {
      if (auto page = works_->pages->serve(request)) {
        // Somebody tried a link that is not good.
        if (page->status == 403) note_refusal(request, "desk-link", {});
        return std::move(*page);
      }
    }
    if (!is_api(request.path)) return problem(404, "not-found", "there is nothing here").to_response();
    auto admission = works_->gatekeeper->admit(request);
    if (!admission.caller) {
      auto response = refuse(request, std::move(*admission.problem), {});
      if (response.status == 401) response.fields += "WWW-Authenticate: Bearer\r\n";
      return response;
    }
    return route(request, *admission.caller);
  }

 private:
  struct Found {
    const Route* route = nullptr;
    const OwnRow* own = nullptr;
    Mode* mode = nullptr;
    std::string_view id;
  };

  static bool is_api(std::string_view path) { return path.starts_with("/v1/") || path == "/metrics"; }

  void note_refusal(const HttpRequest& request, std::string why, const std::string& caller) const {
    works_->refusals->add({.why = std::move(why),
                           .path = std::string(request.path),
                           .peer = std::string(request.peer),
                           .credentials = request.peer_credentials,
                           .host = std::string(request.field("Host")),
                           .origin = std::string(request.field("Origin")),
                           .caller = caller});
  }

  HttpResponse refuse(const HttpRequest& request, JsonProblem why, const std::string& caller) const {
    note_refusal(request, why.name, caller);
    count_answer(*works_, "refused", why.status);
    return why.to_response();
  }

  static HttpResponse not_allowed(const std::string& allow) {
    auto response = problem(405, "method-not-allowed", "this is asked with " + allow).to_response();
    response.fields += "Allow: " + allow + "\r\n";
    return response;
  }

  HttpResponse health() const {
    const Works::Health health = works_->health();
    const Json document{{"schema", "karta.kartad.health/1"},
                        {"state", health.failing            ? "failing"
                                  : health.problems.empty() ? "fine"
                                                            : "warning"},
                        {"problems", health.problems}};
    return json_response(health.failing ? 503 : 200, dump(document));
  }

  /// The route of a request; where the path is known with other methods only, these are in `allow`.
  Found find(const HttpRequest& request, std::string& allow) const {
    const HttpMethod method = request.method == HttpMethod::head ? HttpMethod::get : request.method;
    Found found;
    const auto look = [&](const Route& route, const OwnRow* own, Mode* mode) {
      std::string_view id;
      if (found.route != nullptr || !fits(route.path, request.path, id)) return;
      if (route.method == method) {
        found = {&route, own, mode, id};
      } else {
        allow += (allow.empty() ? "" : ", ") + std::string(name_of(route.method));
      }
    };
    for (const OwnRow& row : kOwn) look(row.route, &row, nullptr);
    for (const auto& mode : works_->modes) {
      for (const Route& one : mode->routes()) look(one, nullptr, mode.get());
    }
    return found;
  }

  HttpResponse route(const HttpRequest& request, const Caller& caller) {
    std::string allow;
    const Found found = find(request, allow);
    if (found.route == nullptr) {
      if (allow.empty()) return problem(404, "not-found", "there is nothing here").to_response();
      return not_allowed(allow);
    }
    if (!caller.may(found.route->verb)) {
      return refuse(
          request,
          problem(403, "not-permitted", "\"" + caller.name + "\" may not \"" + std::string(found.route->verb) + "\"",
                  "\"verbs\" of the [[caller]] in the configuration"),
          caller.name);
    }
    if (found.own != nullptr) return own(found, request, caller);
    auto response = call(found, request, caller);
    return response ? std::move(*response) : answer_error(found, response.error());
  }

  HttpResponse answer_error(const Found& found, const Error& error) const {
    JsonProblem out = JsonProblem::of(error);
    count_answer(*works_, found.route->path, out.status);
    return out.to_response();
  }

  HttpResponse own(const Found& found, const HttpRequest& request, const Caller& caller) {
    switch (found.own->what) {
      case Own::status:
        return json_response(200, dump(works_->status()));
      case Own::readers:
        return readers();
      case Own::events:
        return events(request, caller);
      case Own::metrics: {
        HttpResponse out;
        out.media_type = service::Metrics::kMediaType;
        out.body = to_bytes(as_bytes(works_->services->metrics.text()));
        return out;
      }
      case Own::journal: {
        auto records = journal(request.query);
        return records ? std::move(*records) : answer_error(found, records.error());
      }
    }
    return problem(404, "not-found", "there is nothing here").to_response();
  }

  HttpResponse readers() const {
    Json list = Json::array();
    for (const ReaderView& one : works_->hall->readers()) {
      list.push_back(
          {{"name", one.name}, {"state", daemon::name_of(one.state)}, {"modes", one.modes}, {"gate", one.gate}});
    }
    return json_response(200, dump({{"schema", "karta.kartad.readers/1"},
                                    {"pcscd", works_->hall->pcscd_running()},
                                    {"readers", std::move(list)}}));
  }

  /// They end with the session of the desk that listens.
  HttpResponse events(const HttpRequest& request, const Caller& caller) const {
    std::uint64_t after = works_->services->events.last();
    const std::string_view last = request.field("Last-Event-ID");
    if (!last.empty()) {
      const auto read = std::from_chars(last.data(), last.data() + last.size(), after);
      if (read.ec != std::errc() || read.ptr != last.data() + last.size()) {
        return problem(400, "malformed", "Last-Event-ID is no number").to_response();
      }
    }
    auto stream = std::make_shared<service::ResponseStream>();
    stream->write(":\n\n");  // the head goes out now, not with the first event
    works_->services->events.listen(after, [stream, holds = caller.holds](const Event& event) {
      if (!holds || holds()) return stream->write(to_stream(event));
      stream->close();
      return false;
    });
    HttpResponse out = HttpResponse::stream(stream, kEventStream);
    out.fields += kFields;
    return out;
  }

  Result<HttpResponse> journal(std::string_view query) const {
    const auto number = [&](std::string_view name, std::uint64_t otherwise) -> Result<std::uint64_t> {
      const std::string text = TRY(query_value(query, name));
      if (text.empty()) return otherwise;
      std::uint64_t value = 0;
      const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
      if (read.ec != std::errc() || read.ptr != text.data() + text.size()) {
        return fail(ErrorKind::usage, "\"" + std::string(name) + "\" must be a whole number");
      }
      return value;
    };
    const std::uint64_t after = TRY(number("after", 0));
    const std::uint64_t limit = std::min(TRY(number("limit", 100)), kMostRecords);
    const auto records = TRY(works_->services->journal.pages(after, static_cast<std::size_t>(limit)));
    Json list = Json::array();
    for (const identity::JournalRecord& one : records) list.push_back(Json::parse(identity::to_json_line(one)));
    return json_response(200, dump({{"schema", "karta.kartad.journal/1"},
                                    {"last", works_->services->journal.last().number},
                                    {"uploaded_to", works_->services->journal.uploaded_to()},
                                    {"records", std::move(list)}}));
  }

  Result<HttpResponse> call(const Found& found, const HttpRequest& request, const Caller& caller) {
    const Route& route = *found.route;
    Call call;
    call.route = &route;
    call.caller = caller.name;
    call.query = request.query;
    call.body = Json::object();
    const WipedBody wiped(call.body);  // empty once the call is on its way to a reader
    if (!found.id.empty()) {
      call.id = TRY(service::decode_percent(found.id));
      if (call.id.size() > kMostId) return fail(ErrorKind::not_found, "there is nothing here");
    }
    if (route.method == HttpMethod::post || route.method == HttpMethod::put) {
      if (request.media_type() != kJson) {
        return problem(415, "unsupported-media-type", "the body must be application/json").to_response();
      }
      call.body = TRY(parse_object(request.body));
    }
    if (!route.at_card) {
      Reply reply = TRY(found.mode->answer(call));
      if (reply.later) return later(route, reply);
      count_answer(*works_, route.path, reply.status);
      return response_of(reply);
    }
    if (route.once) {
      const std::string_view key = request.field("Idempotency-Key");
      if (key.empty() || !is_key(key)) {
        return problem(400, "idempotency-key",
                       "this changes a card and needs an Idempotency-Key of 1 to 128 printable characters",
                       "one for each deed, the same again where the answer was lost")
            .to_response();
      }
      call.key = caller.name + " " + std::string(key);
      if (auto known = TRY(begin_deed(call))) return std::move(*known);
    }
    return to_reader(found, std::move(call));
  }

  HttpResponse later(const Route& route, const Reply& reply) const {
    auto promise = std::make_shared<LaterResponse>();
    // What waits must not keep alive what it waits for.
    reply.later([promise, path = route.path, works = std::weak_ptr<Works>(works_)](Result<Reply> done) {
      HttpResponse response = done ? response_of(*done) : JsonProblem::of(done.error()).to_response();
      if (const auto alive = works.lock()) count_answer(*alive, path, response.status);
      promise->send(std::move(response));
    });
    return HttpResponse::later(promise);
  }

  /// The answer, where nothing is to be done at the card.
  Result<std::optional<HttpResponse>> begin_deed(Call& call) const {
    const std::string essence =
        std::string(call.route->path) + " " + essence_of(call.body, works_->services->deeds.essence_key(), call.key);
    const BegunDeed begun = TRY(works_->services->deeds.begin(call.key, essence));
    switch (begun.state) {
      case BegunDeed::State::fresh:
        return std::optional<HttpResponse>{};
      case BegunDeed::State::again:
        call.again = true;
        return std::optional<HttpResponse>{};
      case BegunDeed::State::done: {
        HttpResponse out = json_response(begun.answer.status, begun.answer.body, begun.answer.location);
        out.fields += "Idempotent-Replayed: true\r\n";
        count_answer(*works_, call.route->path, out.status);
        return std::optional<HttpResponse>(std::move(out));
      }
      case BegunDeed::State::at_work:
        return std::optional<HttpResponse>(
            problem(409, "in-progress", "this very call is at work", "wait for its answer").to_response());
      case BegunDeed::State::other_request:
        break;
    }
    return std::optional<HttpResponse>(
        problem(422, "key-reused", "this Idempotency-Key was used for another request", "a new key for a new deed")
            .to_response());
  }

  Result<HttpResponse> to_reader(const Found& found, Call call) {
    auto promise = std::make_shared<LaterResponse>();
    const auto job = std::make_shared<const CardCall>(works_, found.mode, std::move(call), promise);
    const Status sent = [&]() -> Status {
      const auto wanted = job->call.body.find("reader");
      if (wanted != job->call.body.end() && !wanted->is_string()) {
        return fail(ErrorKind::usage, "\"reader\" must be a text");
      }
      const std::string name = wanted == job->call.body.end() ? std::string() : wanted->get<std::string>();
      const std::string reader = TRY(works_->hall->choose(found.mode->name(), name));
      return works_->hall->submit(reader, {.work = [job](ReaderDesk& desk) { job->run(desk); },
                                           .refuse = [job](const Error& error) { job->refuse(error); }});
    }();
    if (!sent) {
      job->give_up();
      return fail(sent.error());
    }
    return HttpResponse::later(promise);
  }

  std::shared_ptr<Works> works_;
};

}  // namespace

std::unique_ptr<service::HttpHandler> make_api_handler(std::shared_ptr<Works> works) {
  return std::make_unique<ApiHandler>(std::move(works));
}

Result<std::string> query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view one = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const std::size_t equals = one.find('=');
    if (one.substr(0, equals) != name) continue;
    return service::decode_percent(equals == std::string_view::npos ? std::string_view() : one.substr(equals + 1));
  }
  return std::string();
}

}  // namespace karta::daemon
