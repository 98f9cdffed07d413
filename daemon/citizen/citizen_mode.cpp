#include "daemon/citizen/citizen_mode.h"

#include <algorithm>
#include <charconv>

#include "base/base64url.h"
#include "base/file.h"
#include "daemon/citizen/agent_form.h"
#include "daemon/citizen/agent_pages.h"
#include "daemon/gatekeeper.h"
#include "daemon/reader_hall.h"
#include "identity/journal/journal.h"
#include "identity/pages/page.h"
#include "service/later_response.h"
#include "service/log.h"
#include "service/loopback_guard.h"
#include "service/response_stream.h"

namespace karta::daemon {
namespace {

using identity::Language;
using service::HttpMethod;
using service::HttpRequest;
using service::HttpResponse;
using service::LaterResponse;

constexpr std::string_view kMode = "citizen", kAgent = "/agent", kPlaces = "/agent/r/", kEvents = "/events",
                           kEventStream = "text/event-stream";
constexpr std::size_t kMostRootOctets = 1u << 20;
/// Kinds of events after which another scene is in front of the machine.
constexpr std::string_view kSceneEvents[] = {"card-in",        "card-out",      "card-mute",    "reader-added",
                                             "reader-removed", "pcscd-started", "pcscd-stopped"};

struct NoticeOf {
  CardLoginOutcome::Kind kind;
  AgentNotice notice;
};
constexpr NoticeOf kNoticeOf[] = {
    {CardLoginOutcome::Kind::pin_form, AgentNotice::pin_form},
    {CardLoginOutcome::Kind::wrong_pin, AgentNotice::wrong_pin},
    {CardLoginOutcome::Kind::last_try, AgentNotice::last_try},
    {CardLoginOutcome::Kind::wrong_can, AgentNotice::wrong_can},
    {CardLoginOutcome::Kind::no_can, AgentNotice::no_can},
    {CardLoginOutcome::Kind::pin_blocked, AgentNotice::pin_blocked},
    {CardLoginOutcome::Kind::transport_pin, AgentNotice::transport_pin},
    {CardLoginOutcome::Kind::wrong_card, AgentNotice::wrong_card},
    {CardLoginOutcome::Kind::pad_cancelled, AgentNotice::pad_cancelled},
    {CardLoginOutcome::Kind::card_removed, AgentNotice::card_removed},
    {CardLoginOutcome::Kind::card_busy, AgentNotice::card_busy},
    {CardLoginOutcome::Kind::failed, AgentNotice::card_failed},
};
AgentNotice notice_of(CardLoginOutcome::Kind kind) {
  const auto row = std::ranges::find_if(kNoticeOf, [&](const NoticeOf& one) { return one.kind == kind; });
  return row == std::end(kNoticeOf) ? AgentNotice::card_failed : row->notice;
}

/// What the way back says where the page's last notice is of a card that was asked, and cannot be seen into.
std::string_view error_of(AgentNotice notice) {
  switch (notice) {
    case AgentNotice::pin_blocked:
      return "pin_blocked";
    case AgentNotice::transport_pin:
      return "transport_pin";
    case AgentNotice::wrong_card:
      return "wrong_card";
    case AgentNotice::card_failed:
    case AgentNotice::card_removed:
      return "card_error";
    default:
      return {};
  }
}

/// Every reader looked at, each on its own thread; the last one to finish sends the page.
struct Gathering {
  std::mutex mutex;
  Scene scene;
  std::size_t waiting = 0;
  std::function<void(const Scene&)> done;

  void put(std::size_t at, CardLook look) {
    {
      const std::lock_guard lock(mutex);
      scene.readers[at].card = std::move(look);
      if (--waiting > 0) return;
    }
    done(scene);
  }
};

class Citizen final : public Mode, public FrontDoor {
 public:
  Citizen(const Services& services, std::vector<AgentProvider> providers)
      : services_(services), providers_(std::move(providers)), book_(services.clock, services.random) {}

  std::string_view name() const override { return kMode; }
  std::span<const Route> routes() const override { return {}; }
  Result<Reply> run(const Call&, ReaderDesk&) override { return fail(ErrorKind::internal, "there is no such route"); }
  Result<Reply> answer(const Call&) override { return fail(ErrorKind::internal, "there is no such route"); }
  void tick() override { book_.sweep(); }
  Json status() const override {
    Json issuers = Json::array();
    for (const AgentProvider& one : providers_) issuers.push_back(one.issuer);
    return {{"providers", std::move(issuers)}};
  }

  FrontDoor* front_door() override { return this; }
  bool owns(std::string_view path) const override {
    return path == kAgent || path.starts_with("/agent/") || path.starts_with("/assets/");
  }

  HttpResponse serve(const HttpRequest& request, ReaderHall& hall) override {
    const bool entry = request.path == "/agent/hello" || request.path == "/agent/login";
    if (const auto why = refusal(request, entry)) {
      HttpResponse out = HttpResponse::text(403, service::words_of(*why));
      out.fields += "Cross-Origin-Resource-Policy: same-origin\r\n";
      return out;
    }
    if (request.method != HttpMethod::get &&
        !(request.method == HttpMethod::post && request.path.starts_with(kPlaces))) {
      HttpResponse out = HttpResponse::text(405, "not in this way");
      out.fields = "Allow: GET\r\n";
      return out;
    }
    if (request.path.starts_with("/assets/")) {
      auto asset = request.path == "/assets/language" ? std::nullopt : identity::asset_response(request);
      return asset ? std::move(*asset) : HttpResponse::text(404, "there is nothing here");
    }
    if (request.path == kAgent) return here_page(identity::language_of(request));
    if (request.path == "/agent/agent.mjs") return script_response();
    if (entry) return enter(request);
    if (request.path.starts_with(kPlaces)) return place(request, hall);
    return HttpResponse::text(404, "there is nothing here");
  }

 private:
  using Refusal = service::LoopbackGuard::Refusal;

  /// Who may ask for what. Host must be this machine's own name, whatever else (DNS rebinding). A page of another site
  /// may lead the browser here, and that is all: no picture, frame, script, fetch or form of it gets an answer.
  std::optional<Refusal> refusal(const HttpRequest& request, bool entry) const {
    const service::LoopbackGuard guard(services_.config.hosts, loopback_ports(services_.config.listen));
    const bool page = request.method == HttpMethod::get &&
                      (entry || (request.path.starts_with(kPlaces) && !request.path.ends_with(kEvents)));
    if (!page) {
      if (const auto why = guard.check(request)) return why;
      // A form of ours: every browser says where a POST comes from.
      const bool told = request.count("Origin") == 1 || request.count("Sec-Fetch-Site") == 1;
      if (request.method == HttpMethod::post && !told) return Refusal::foreign_origin;
      return std::nullopt;
    }
    // A redirect keeps saying "cross-site" of where it began, so the place a request is led to is a page like it.
    HttpRequest plain;
    plain.method = request.method;
    plain.peer = request.peer;
    for (const service::HttpField& field : request.fields) {
      if (same_letters(field.name, "Host")) plain.fields.push_back(field);
    }
    if (const auto why = guard.check(plain)) return why;
    const auto only = [&](std::string_view field, std::string_view value) {
      return request.count(field) == 0 || (request.count(field) == 1 && request.field(field) == value);
    };
    if (request.count("Origin") != 0) return Refusal::foreign_origin;
    if (!only("Sec-Fetch-Mode", "navigate") || !only("Sec-Fetch-Dest", "document") ||
        request.count("Sec-Purpose") != 0 || request.count("Purpose") != 0) {
      return Refusal::foreign_site;
    }
    return std::nullopt;
  }

  static bool same_letters(std::string_view a, std::string_view b) {
    const auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return std::ranges::equal(a, b, {}, small, small);
  }

  HttpResponse refuse(const HttpRequest& request, const RefusedRequest& why) {
    service::log_warning("a request was not heard: " + why.why);
    note_refusal(why.why);
    return refused_page(identity::language_of(request), why.fault);
  }

  HttpResponse enter(const HttpRequest& request) {
    const auto query = identity::FormData::of_query(request);
    if (!query) return refuse(request, {RequestFault::broken, query.error().message});
    auto asked = read_agent_request(query->value("request"), providers_, services_.clock.now());
    if (!asked) return refuse(request, asked.error());
    const bool hello = request.path == "/agent/hello";
    if (hello != (asked->verb == AgentRequest::Verb::hello)) {
      return refuse(request, {RequestFault::broken, "it is for another address of the agent"});
    }
    if (hello) {
      if (auto heard = book_.hear(*asked); !heard) return refuse(request, heard.error());
      return identity::see_other(asked->way_back("agent", "hello"));
    }
    auto opened = book_.open(std::move(*asked));
    if (!opened) return refuse(request, opened.error());
    OpenLogin& login = **opened;
    login.language = identity::language_of(request, login.request.locale);
    return identity::see_other(path_of(login));
  }

  HttpResponse place(const HttpRequest& request, ReaderHall& hall) {
    std::string_view id = request.path.substr(kPlaces.size());
    const bool events = id.ends_with(kEvents);
    if (events) id.remove_suffix(kEvents.size());
    const auto login = book_.find(id);
    if (!login) return over_page(identity::language_of(request));
    {
      const std::lock_guard lock(login->mutex);
      if (login->ended) return over_page(login->language);
    }
    // A script cannot go the way back, which is there once.
    if (events) return listen(request);
    if (book_.expired(*login)) return end(*login, "error", "timed_out");
    if (request.method == HttpMethod::post) return post(request, login, hall);
    {
      const auto query = identity::FormData::of_query(request);
      const std::lock_guard lock(login->mutex);
      if (query) login->language = identity::find_language(query->value("lang"), login->language);
      if (login->working) return working_page(*login);
    }
    const auto promise = std::make_shared<LaterResponse>();
    look(hall, [this, login, promise](const Scene& scene) {
      const std::lock_guard lock(login->mutex);
      const auto left = login->request.expires - services_.clock.now();
      promise->send(login_page(*login, scene, left));
      // Told once; the scene speaks for itself from then on.
      if (login->notice != AgentNotice::last_try) login->notice = AgentNotice::none;
    });
    return HttpResponse::later(promise);
  }

  /// Events after the one the page has seen; a stream that breaks off begins anew with the same.
  HttpResponse listen(const HttpRequest& request) const {
    std::uint64_t after = services_.events.last();
    const auto query = identity::FormData::of_query(request);
    const std::string_view seen = query ? query->value("after") : std::string_view();
    if (std::uint64_t number = 0; std::from_chars(seen.data(), seen.data() + seen.size(), number).ec == std::errc()) {
      after = number;
    }
    auto stream = std::make_shared<service::ResponseStream>();
    stream->write(":\n\n");
    services_.events.listen(after, [stream](const Event& event) {
      if (event.number == 0) return stream->write(":\n\n");
      if (std::ranges::find(kSceneEvents, event.kind) == std::end(kSceneEvents)) return !stream->gone();
      return stream->write("event: change\ndata:\n\n");
    });
    HttpResponse out = HttpResponse::stream(stream, kEventStream);
    out.fields = "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n";
    return out;
  }

  /// All cards of the mode's readers, looked at anew.
  void look(ReaderHall& hall, std::function<void(const Scene&)> done) {
    const auto gathering = std::make_shared<Gathering>();
    gathering->done = std::move(done);
    gathering->scene.seen = services_.events.last();
    gathering->scene.pcscd_running = hall.pcscd_running();
    std::vector<std::size_t> with_card;
    for (const ReaderView& view : hall.readers()) {
      if (std::ranges::find(view.modes, kMode) == view.modes.end()) continue;
      ReaderLook one{.reader = view.name};
      using enum ReaderView::State;
      one.has_card = view.state != empty;
      if (view.state == mute) {
        one.card.state = CardLook::State::unreadable;
      } else if (one.has_card) {
        with_card.push_back(gathering->scene.readers.size());
      }
      gathering->scene.readers.push_back(std::move(one));
    }
    if (with_card.empty()) return gathering->done(gathering->scene);
    gathering->waiting = with_card.size();
    for (const std::size_t at : with_card) {
      const std::string reader = gathering->scene.readers[at].reader;
      ReaderJob job;
      job.work = [this, gathering, at](ReaderDesk& desk) {
        auto use = desk.use_card();
        CardLook seen = use ? look_at_card((*use)->channel(), files_) : look_of(use.error());
        if (seen.state == CardLook::State::unreadable) {
          if (use) (*use).reset();  // its transaction is of the connection that is dropped
          desk.drop_card();
        }
        gathering->put(at, std::move(seen));
      };
      job.refuse = [gathering, at](const Error& error) { gathering->put(at, look_of(error)); };
      const auto refused = job.refuse;
      if (const Status sent = hall.submit(reader, std::move(job)); !sent) refused(sent.error());
    }
  }

  HttpResponse post(const HttpRequest& request, const std::shared_ptr<OpenLogin>& login, ReaderHall& hall) {
    auto form = AgentForm::parse(request.body);
    if (!form || !same_letters(request.media_type(), "application/x-www-form-urlencoded") ||
        !equal_constant_time(as_bytes(form->csrf), as_bytes(login->csrf))) {
      note_refusal("a form without the page's token");
      const std::lock_guard lock(login->mutex);
      return bad_form_page(login->language);
    }
    if (form->deed == AgentForm::Deed::give_up) return give_up(login, hall);
    {
      const std::lock_guard lock(login->mutex);
      if (login->working) return working_page(*login);
      const auto back = [&](AgentNotice notice) {
        login->notice = notice;
        return identity::see_other(path_of(*login));
      };
      if (!form->secrets_are_digits) return back(AgentNotice::pin_form);
      if (form->reader.empty()) return back(AgentNotice::no_choice);
      const auto readers = hall.readers();
      const bool ours = std::ranges::any_of(readers, [&](const ReaderView& view) {
        return view.name == form->reader && std::ranges::find(view.modes, kMode) != view.modes.end();
      });
      if (!ours) return back(AgentNotice::card_removed);
      login->working = true;
    }
    const auto promise = std::make_shared<LaterResponse>();
    ReaderJob job;
    const auto given = std::make_shared<AgentForm>(std::move(*form));
    job.work = [this, login, promise, given](ReaderDesk& desk) {
      // Nobody waits any more: the PIN is not used.
      if (promise->gone()) return idle(*login);
      finish(*login, *given, *promise, at_card(*login, *given, desk));
    };
    job.refuse = [this, login, promise, given](const Error& error) {
      finish(*login, *given, *promise, outcome_of(error));
    };
    const auto refused = job.refuse;
    if (const Status sent = hall.submit(given->reader, std::move(job)); !sent) refused(sent.error());
    return HttpResponse::later(promise);
  }

  CardLoginOutcome at_card(OpenLogin& login, const AgentForm& form, ReaderDesk& desk) {
    if (book_.expired(login)) {
      CardLoginOutcome late;
      late.why = {ErrorKind::limit, "the request's time is over", {}};
      return late;
    }
    auto use = desk.use_card();
    if (!use) return outcome_of(use.error());
    SecretBytes can = form.can.clone();
    if (can.empty()) {
      const std::lock_guard lock(login.mutex);
      if (login.can_reader == form.reader) can = login.can.clone();
    }
    const bool typed = !form.pin.empty();
    const bool pad = !typed && (*use)->connection().pin_pad().verify;
    CardLoginOutcome out;
    if (!typed && !pad) {
      out.kind = CardLoginOutcome::Kind::pin_form;
      return out;
    }
    const CardLoginRequest request{.origin = login.request.origin,
                                   .nonce = login.request.nonce,
                                   .pin = typed ? &form.pin : nullptr,
                                   .can = can.empty() ? nullptr : &can,
                                   .last_try_known = form.last_try_known};
    out = log_in_with_card((*use)->channel(), request, files_, services_.random);
    if (out.kind == CardLoginOutcome::Kind::card_removed || out.kind == CardLoginOutcome::Kind::failed) {
      (*use).reset();  // its transaction is of the connection that is dropped
      desk.drop_card();
    }
    if (out.can_was_right) {
      const std::lock_guard lock(login.mutex);
      login.can = std::move(can);
      login.can_reader = form.reader;
    }
    return out;
  }

  static void idle(OpenLogin& login) {
    const std::lock_guard lock(login.mutex);
    login.working = false;
  }

  void finish(OpenLogin& login, const AgentForm& form, LaterResponse& promise, CardLoginOutcome outcome) {
    idle(login);
    // Left meanwhile, or asked twice: what the card made goes nowhere, and the page can be used again.
    if (promise.gone()) return;
    if (outcome.kind == CardLoginOutcome::Kind::signed_token) {
      promise.send(end(login, "token", to_base64url(as_bytes(outcome.token))));
      return;
    }
    if (!outcome.why.message.empty()) service::log_info("log-in: " + outcome.why.message);
    {
      const std::lock_guard lock(login.mutex);
      login.notice = notice_of(outcome.kind);
      login.notice_reader = form.reader;
      // Put in again, it may be another card.
      using enum CardLoginOutcome::Kind;
      if (outcome.kind == card_removed || outcome.kind == wrong_can) login.can = SecretBytes();
    }
    promise.send(identity::see_other(path_of(login)));
  }

  HttpResponse give_up(const std::shared_ptr<OpenLogin>& login, ReaderHall& hall) {
    AgentNotice told = AgentNotice::none;
    {
      const std::lock_guard lock(login->mutex);
      if (login->working) return working_page(*login);
      told = login->notice;
    }
    const auto promise = std::make_shared<LaterResponse>();
    look(hall, [this, login, promise, told](const Scene& scene) {
      const std::string_view seen = daemon::error_of(scene), last = error_of(told);
      promise->send(end(*login, "error", seen == "cancelled" && !last.empty() ? last : seen));
    });
    return HttpResponse::later(promise);
  }

  /// The way back, once. What was open is over.
  HttpResponse end(OpenLogin& login, std::string_view name, std::string_view value) {
    {
      const std::lock_guard lock(login.mutex);
      if (login.ended) return over_page(login.language);
      login.ended = true;
      login.can = SecretBytes();
    }
    note("agent-login", {{"provider", login.request.issuer},
                         {"site", login.request.client_origin},
                         {"outcome", name == "token" ? std::string_view("signed") : value}});
    const std::string back = login.request.way_back(name, value);
    // The page's policy for forms goes with every answer to one: browsers hold the redirect to it.
    HttpResponse out = identity::see_other(back);
    book_.close(login);
    return out;
  }

  /// Any site can lead a browser here as often as it likes: the journal takes so many a minute.
  void note_refusal(const std::string& why) {
    constexpr unsigned kAMinute = 20;
    {
      const std::lock_guard lock(refusals_mutex_);
      const auto minute = std::chrono::floor<std::chrono::minutes>(services_.clock.now());
      if (minute != refusals_minute_) refusals_ = 0;
      refusals_minute_ = minute;
      if (++refusals_ > kAMinute) return;
    }
    note("agent-refused", {{"why", why}});
  }

  /// Into the journal: which site, and how it ended; nothing of the citizen or the card.
  void note(std::string_view kind, const Json& body) const {
    const auto written = services_.journal.append(kind, body.dump(-1, ' ', true, Json::error_handler_t::replace));
    if (!written) service::log_error("the journal does not take \"" + std::string(kind) + "\"", written.error());
  }

  const Services& services_;
  std::vector<AgentProvider> providers_;
  RequestBook book_;
  PublicFiles files_;
  std::mutex refusals_mutex_;
  std::chrono::sys_time<std::chrono::minutes> refusals_minute_{};
  unsigned refusals_ = 0;
};

}  // namespace

namespace {

struct ProviderTable {
  std::string issuer;
  std::vector<std::filesystem::path> roots;
};

Result<AgentProvider> open_provider(const ProviderTable& table) {
  AgentProvider out{.issuer = table.issuer, .roots = {}};
  for (const std::filesystem::path& file : table.roots) {
    const Bytes octets = TRY(read_file(file, kMostRootOctets));
    auto certificates = crypto::Certificate::many_from_file_octets(octets);
    if (!certificates) {
      return fail(ErrorKind::configuration, "\"" + file.string() + "\": " + certificates.error().message);
    }
    for (crypto::Certificate& certificate : *certificates) out.roots.push_back(std::move(certificate));
  }
  return out;
}

}  // namespace

Result<ModePlan> read_citizen(service::ConfigTable& table) {
  std::vector<ProviderTable> tables;
  for (service::ConfigTable& one : TRY(table.tables("provider"))) {
    ProviderTable provider;
    provider.issuer = TRY(one.text("issuer"));
    if (host_of(provider.issuer).empty()) return one.bad("issuer", "must be an address: \"https://id.example\"");
    const bool twice =
        std::ranges::any_of(tables, [&](const ProviderTable& other) { return other.issuer == provider.issuer; });
    if (twice) return one.bad("issuer", "is that of another [[citizen.provider]]");
    provider.roots = TRY(one.paths("roots"));
    if (provider.roots.empty()) return one.bad("roots", "is missing: who issued the provider's signing certificate");
    tables.push_back(std::move(provider));
  }
  if (tables.empty()) return table.bad("provider", "is missing: a [[citizen.provider]] with issuer and roots");
  return ModePlan([tables = std::move(tables)](const Services& services) -> Result<std::unique_ptr<Mode>> {
    std::vector<AgentProvider> providers;
    for (const ProviderTable& one : tables) providers.push_back(TRY(open_provider(one)));
    return std::make_unique<Citizen>(services, std::move(providers));
  });
}

}  // namespace karta::daemon
