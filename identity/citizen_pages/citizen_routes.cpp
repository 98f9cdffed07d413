#include "identity/citizen_pages/citizen_routes.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "identity/citizen_pages/words.h"
#include "identity/login/claim_words.h"
#include "identity/login/sessions.h"
#include "identity/pages/page.h"
#include "identity/requests/departments.h"
#include "identity/requests/request_words.h"
#include "service/log.h"

namespace karta::identity {
namespace {

using service::HttpMethod;
using service::HttpRequest;
using service::HttpResponse;

constexpr std::string_view kActor = "citizen";
constexpr int kAnyLevel = 0, kCardLevel = 1;
constexpr std::size_t kRowsOfPage = 25;

struct StateWords {
  CardState state;
  Words words;
  NoticeKind kind;
};
constexpr auto kStates = std::to_array<StateWords>({
    {CardState::ordered, {"ordered", "заказана"}, NoticeKind::info},
    {CardState::produced, {"made", "изготовлена"}, NoticeKind::info},
    {CardState::shipped, {"on its way to you", "в пути к вам"}, NoticeKind::info},
    {CardState::active, {"active", "действует"}, NoticeKind::good},
    {CardState::suspended, {"suspended", "приостановлена"}, NoticeKind::warning},
    {CardState::revoked, {"revoked", "отозвана"}, NoticeKind::bad},
    {CardState::expired, {"expired", "срок истёк"}, NoticeKind::bad},
    {CardState::replaced, {"replaced by another", "заменена другой"}, NoticeKind::warning},
});
const StateWords& words_of(CardState state) {
  const auto row = std::ranges::find(kStates, state, &StateWords::state);
  KARTA_CHECK(row != kStates.end());
  return *row;
}

struct KindWords {
  CertificateKind kind;
  Words words;
};
constexpr auto kKinds = std::to_array<KindWords>({
    {CertificateKind::aut, {"logging in", "вход"}},
    {CertificateKind::sig, {"signing", "подпись"}},
    {CertificateKind::qes, {"qualified signing", "квалифицированная подпись"}},
    {CertificateKind::enc, {"encryption", "шифрование"}},
    {CertificateKind::agreement, {"the card itself", "сама карта"}},
});

/// Who stands in the access log, as people say it: "client:portal" and the like begin with what kind it is.
struct ActorWords {
  std::string_view prefix;
  Words words;
};
constexpr auto kActors = std::to_array<ActorWords>({
    {"client:", own_words::kPortal},
    {"operator:", own_words::kOperator},
    {"department:", own_words::kDepartment},
    {"terminal:", own_words::kTerminal},
});

/// What was looked at, as the log has it.
struct LookWords {
  std::string_view what;
  Words words;
};
constexpr auto kLooks = std::to_array<LookWords>({
    {"record", {"your record", "ваша запись"}},
    {"search", {"found in a search by name", "найдены по имени"}},
    {"number-search", {"found in a search by number", "найдены по номеру"}},
    {"card", {"your card", "ваша карта"}},
    {"certificates", {"your certificates", "ваши сертификаты"}},
    {"log-in", {"what you have allowed it to learn", "то, что вы разрешили ему узнать"}},
    {"portrait", {"your portrait", "ваш портрет"}},
    {"request", {"a department's request about you", "запрос ведомства о вас"}},
});

class Pages final : public RoomRoutes {
 public:
  Pages(const LoginConfig& config, const RoomSurroundings& around, Provider& provider)
      : address_(config.address),
        around_(around),
        provider_(provider),
        sessions_(around, config.sessions, ending_of(provider)),
        departments_(around.registry) {}

  HttpResponse answer(const HttpRequest& request) override {
    for (const Route& route : kRoutes) {
      if (request.path != route.path) continue;
      const bool reads = request.method == HttpMethod::get || request.method == HttpMethod::head;
      if (!(reads ? route.get != nullptr : request.method == HttpMethod::post && route.post != nullptr)) {
        HttpResponse out = HttpResponse::text(405, "not in this way");
        out.fields = "Allow: " +
                     std::string(route.get && route.post ? "GET, HEAD, POST"
                                 : route.get             ? "GET, HEAD"
                                                         : "POST") +
                     "\r\n";
        return out;
      }
      auto session = sessions_.find(request);
      const Language language = language_of(request);
      if (!session) return unavailable(request, language, session.error());
      const std::string back =
          std::string(request.path) + (request.query.empty() ? "" : "?" + std::string(request.query));
      if (!*session) return see_other("/login?back=" + encode_percent(reads ? back : "/me"));
      const Visit here{request, language, **session, route.path, reads ? back : ""};
      if (acr_level((*session)->acr).value_or(0) < route.level) return more_needed(here, reads ? back : "/me");
      if (reads) {
        const auto query = FormData::of_query(request);
        return query ? (this->*route.get)(here, *query) : broken(here);
      }
      const auto form = FormData::of_body(request);
      const bool own = form && comes_from_own_page(request, address_) && has_csrf(*form, (*session)->csrf);
      return own ? (this->*route.post)(here, *form) : broken(here);
    }
    return HttpResponse::text(404, "there is nothing here");
  }

 private:
  struct Visit {
    const HttpRequest& request;
    Language language;
    const Session& session;
    std::string_view path;
    std::string come_back;
  };
  struct Route {
    std::string_view path;
    int level;
    HttpResponse (Pages::*get)(const Visit&, const FormData&);
    HttpResponse (Pages::*post)(const Visit&, const FormData&);
  };
  static const std::array<Route, 9> kRoutes;

  PageFrame frame(const Visit& here, const Words& title, bool wide = false) const {
    const Language language = here.language;
    PageFrame out;
    out.language = language;
    out.title = title.in(language);
    out.area = own_words::kArea.in(language);
    out.navigation = {{"/me", std::string(own_words::kCards.in(language))},
                      {"/me/sessions", std::string(own_words::kSessions.in(language))},
                      {"/me/requests", std::string(own_words::kRequests.in(language))},
                      {"/me/consents", std::string(own_words::kConsents.in(language))}};
    out.current = here.path;
    out.come_back = here.come_back;
    out.log_out_key = here.session.csrf;
    out.wide = wide;
    return out;
  }

  HttpResponse unavailable(const HttpRequest&, Language language, const Error& error) {
    service::log_error("citizen's page", error);
    PageFrame page;
    page.language = language;
    page.title = own_words::kUnavailable.in(language);
    page.area = own_words::kArea.in(language);
    Html html;
    notice(html, NoticeKind::warning, {}, own_words::kUnavailableText.in(language));
    return page_response(503, page, html);
  }
  HttpResponse unavailable(const Visit& here, const Error& error) {
    return unavailable(here.request, here.language, error);
  }

  HttpResponse said(const Visit& here, int status, NoticeKind kind, const Words& title, const Words& text) {
    Html html;
    notice(html, kind, {}, text.in(here.language));
    link_button(html, ButtonKind::main, own_words::kCards.in(here.language), "/me");
    return page_response(status, frame(here, title), html);
  }
  HttpResponse broken(const Visit& here) {
    return said(here, 403, NoticeKind::bad, own_words::kBroken, own_words::kBrokenText);
  }
  HttpResponse no_card(const Visit& here) {
    return said(here, 404, NoticeKind::warning, own_words::kCannot, own_words::kNoSuchCard);
  }

  HttpResponse more_needed(const Visit& here, std::string_view back) {
    Html html;
    notice(html, NoticeKind::info, {}, own_words::kMoreNeededText.in(here.language));
    link_button(html, ButtonKind::main, own_words::kLogInWithCard.in(here.language),
                "/login?acr=substantial&back=" + encode_percent(back));
    return page_response(403, frame(here, own_words::kMoreNeeded), html);
  }

  // Cards

  void write_card(Html& html, const Visit& here, const Card& card) const {
    const Language language = here.language;
    const StateWords& state = words_of(state_at(card, around_.clock.now()));
    html.open("div", {{"class", "panel-head"}});
    html.element("h2", std::string(own_words::kCard.in(language)) + " " + format_id(card.id).substr(0, 8));
    badge(html, state.kind, state.words.in(language));
    html.close().open("dl", {{"class", "facts"}});
    if (!card.serial.empty()) fact(html, own_words::kSerial.in(language), card.serial);
    if (card.valid_until) fact(html, own_words::kValidUntil.in(language), show_day(language, *card.valid_until));
    html.element("dt", own_words::kSince.in(language)).open("dd");
    time_element(html, language, card.changed);
    html.close(2);
  }

  HttpResponse cards(const Visit& here, const FormData&) {
    auto cards = around_.registry.cards_of(here.session.citizen);
    if (!cards) return unavailable(here, cards.error());
    // Those in use first, then the newest.
    const Time now = around_.clock.now();
    std::ranges::sort(*cards, [&](const Card& a, const Card& b) {
      const bool a_over = row_of(state_at(a, now)).final, b_over = row_of(state_at(b, now)).final;
      return a_over != b_over ? b_over : a.created > b.created;
    });
    Html html;
    if (cards->empty()) html.paragraph(own_words::kNoCards.in(here.language));
    for (const Card& card : *cards) {
      html.open("section", {{"class", "panel"}});
      write_card(html, here, card);
      html.open("div", {{"class", "actions"}});
      if (can_suspend(card)) {
        link_button(html, ButtonKind::danger, own_words::kLost.in(here.language),
                    "/me/suspend?id=" + format_id(card.id));
      }
      link_button(html, ButtonKind::quiet, own_words::kDetails.in(here.language), "/me/card?id=" + format_id(card.id));
      html.close(2);
    }
    return page_response(200, frame(here, own_words::kCards), html);
  }

  /// The citizen's own card of this id; another's is as if it were not there.
  Result<std::optional<Card>> own_card(const Visit& here, std::string_view id) {
    const auto parsed = parse_card_id(id);
    if (!parsed) return std::optional<Card>();
    auto card = around_.registry.card(*parsed);
    if (!card && card.error().kind != ErrorKind::not_found) return fail(card.error());
    if (!card || card->citizen != here.session.citizen) return std::optional<Card>();
    return std::optional<Card>(std::move(*card));
  }

  HttpResponse card_page(const Visit& here, const FormData& query) {
    const auto card = own_card(here, query.value("id"));
    if (!card) return unavailable(here, card.error());
    if (!*card) return no_card(here);
    const auto certificates =
        around_.registry.certificates_of((*card)->id, {.actor = std::string(kActor),
                                                       .purpose = std::string(own_words::kOwnPage.english),
                                                       .case_id = here.session.id.substr(0, 8)});
    if (!certificates) return unavailable(here, certificates.error());
    const Language language = here.language;
    Html html;
    html.open("section", {{"class", "panel"}});
    write_card(html, here, **card);
    html.close().open("section", {{"class", "panel"}});
    html.element("h2", own_words::kCertificates.in(language));
    if (certificates->empty()) html.paragraph(own_words::kNoCertificates.in(language));
    const Time now = around_.clock.now();
    for (const CardCertificate& one : *certificates) {
      const auto kind = std::ranges::find(kKinds, one.kind, &KindWords::kind);
      const auto status = around_.registry.certificate_status(one.issuer, one.serial);
      if (!status) return unavailable(here, status.error());
      html.open("div").open("div", {{"class", "panel-head"}});
      html.element("h3", kind == kKinds.end() ? name_of(one.kind) : kind->words.in(language));
      if (status->revoked_at) {
        const bool held = status->reason == RevocationReason::certificate_hold;
        badge(html, held ? NoticeKind::warning : NoticeKind::bad,
              (held ? own_words::kHeld : own_words::kRevoked).in(language));
      } else if (now >= one.not_after) {
        badge(html, NoticeKind::bad, own_words::kExpired.in(language));
      } else {
        badge(html, NoticeKind::good, own_words::kGood.in(language));
      }
      html.close().open("dl", {{"class", "facts"}});
      fact(html, own_words::kValidUntil.in(language), show_day(language, one.not_after));
      html.element("dt", own_words::kNumber.in(language)).open("dd").element("code", to_hex(one.serial)).close(3);
    }
    html.close();
    return page_response(200, frame(here, own_words::kCard), html);
  }

  /// Past its end it lets nobody in and speaks for nobody: there is nothing to suspend.
  bool can_suspend(const Card& card) const { return state_at(card, around_.clock.now()) == CardState::active; }

  HttpResponse ask_suspend(const Visit& here, const FormData& query) {
    const auto card = own_card(here, query.value("id"));
    if (!card) return unavailable(here, card.error());
    if (!*card) return no_card(here);
    if (!can_suspend(**card)) {
      return said(here, 409, NoticeKind::warning, own_words::kCannot, own_words::kNotActive);
    }
    Html html;
    html.open("section", {{"class", "panel"}});
    write_card(html, here, **card);
    notice(html, NoticeKind::warning, {}, own_words::kSuspendText.in(here.language));
    open_form(html, "/me/suspend", here.session.csrf);
    hidden_field(html, "id", format_id((*card)->id));
    html.open("div", {{"class", "actions"}});
    button(html, ButtonKind::danger, own_words::kDoSuspend.in(here.language));
    link_button(html, ButtonKind::quiet, own_words::kKeep.in(here.language), "/me");
    html.close(3);
    return page_response(200, frame(here, own_words::kSuspendAsk), html);
  }

  HttpResponse suspend(const Visit& here, const FormData& form) {
    const auto card = own_card(here, form.value("id"));
    if (!card) return unavailable(here, card.error());
    if (!*card) return no_card(here);
    if (!can_suspend(**card)) return said(here, 409, NoticeKind::warning, own_words::kCannot, own_words::kNotActive);
    const auto moved = around_.registry.change_card_state(
        (*card)->id, CardState::suspended, {.actor = std::string(kActor), .reason = "reported lost on the own page"},
        RevocationReason::certificate_hold);
    if (!moved && moved.error().kind == ErrorKind::not_permitted) {
      return said(here, 409, NoticeKind::warning, own_words::kCannot, own_words::kNotActive);
    }
    if (!moved) return unavailable(here, moved.error());
    // The sessions are none any more from here on. If this fails, the provider's sweep tells the portals.
    const auto ended = sessions_.end_of_card(here.session.citizen, (*card)->id);
    if (!ended) service::log_error("citizen's page: sessions of a suspended card", ended.error());
    return said(here, 200, NoticeKind::good, own_words::kSuspended, own_words::kSuspendedText);
  }

  // Log-ins

  HttpResponse sessions(const Visit& here, const FormData&) {
    const auto sessions = sessions_.list(here.session.citizen);
    if (!sessions) return unavailable(here, sessions.error());
    const Language language = here.language;
    Html html;
    for (const Session& one : *sessions) {
      const bool this_one = one.id == here.session.id;
      html.open("section", {{"class", "panel"}}).open("div", {{"class", "panel-head"}});
      const Words& way = one.acr == "high" ? own_words::kByCard
                         : one.card        ? own_words::kByCertificate
                                           : own_words::kByCode;
      html.element("h2", way.in(language));
      if (this_one) badge(html, NoticeKind::good, own_words::kThisOne.in(language));
      html.close().open("dl", {{"class", "facts"}});
      html.element("dt", own_words::kBegan.in(language)).open("dd");
      time_element(html, language, one.began);
      html.close().element("dt", own_words::kLastUsed.in(language)).open("dd");
      time_element(html, language, one.last_used);
      html.close();
      fact(html, own_words::kFrom.in(language), one.address);
      if (!one.browser.empty()) fact(html, own_words::kBrowser.in(language), one.browser);
      html.close();
      open_form(html, "/me/sessions/end", here.session.csrf);
      hidden_field(html, "id", one.id);
      html.open("div", {{"class", "actions"}});
      button(html, ButtonKind::quiet, own_words::kEnd.in(language));
      html.close(3);
    }
    html.open("section", {{"class", "panel"}}).paragraph(own_words::kEndAllText.in(language));
    open_form(html, "/me/sessions/end-all", here.session.csrf);
    html.open("div", {{"class", "actions"}});
    button(html, ButtonKind::danger, own_words::kEndAll.in(language));
    html.close(3);
    return page_response(200, frame(here, own_words::kSessions), html);
  }

  HttpResponse end_session(const Visit& here, const FormData& form) {
    const std::string_view id = form.value("id");
    const auto ended = sessions_.end(here.session.citizen, id);
    if (!ended) return unavailable(here, ended.error());
    return see_other(id == here.session.id ? "/logout" : "/me/sessions");
  }

  HttpResponse end_all(const Visit& here, const FormData&) {
    const CitizenId citizen = here.session.citizen;
    const Status ended =
        sessions_.end_all(citizen, [&](service::Database& database) { return provider_.end_all(database, citizen); });
    if (!ended) return unavailable(here, ended.error());
    return see_other("/logout", Sessions::drop_cookie_field());
  }

  // Who asked

  /// What the log has as actor, in words: the portal's or department's own name where it is known.
  std::string actor_words(const Visit& here, std::string_view actor, const std::vector<Grant>& grants,
                          const DepartmentNames& departments) const {
    if (actor == kActor) return std::string(own_words::kYou.in(here.language));
    for (const ActorWords& row : kActors) {
      if (!actor.starts_with(row.prefix)) continue;
      std::string name(actor.substr(row.prefix.size()));
      if (row.prefix == "department:") name = departments(name);
      for (const Grant& grant : grants) {
        if (row.prefix == "client:" && grant.client_id == name) name = grant.client_name.in(name_of(here.language));
      }
      return name + " (" + std::string(row.words.in(here.language)) + ")";
    }
    return std::string(actor);
  }

  /// What for, as whoever looked has said it; our own pages' looks are the only ones with words of ours.
  static std::string_view purpose_words(const Visit& here, std::string_view actor, std::string_view purpose) {
    return actor == kActor ? own_words::kOwnPage.in(here.language) : purpose;
  }

  std::string look_words(const Visit& here, std::string_view what, const DepartmentNames& departments) const {
    if (auto request = words_of_look(what, departments)) return std::move(*request);
    const auto row = std::ranges::find(kLooks, what, &LookWords::what);
    return std::string(row == kLooks.end() ? what : row->words.in(here.language));
  }

  HttpResponse requests(const Visit& here, const FormData& query) {
    // Of the rows the citizen may see. Their numbers in the log stay inside: a gap would tell of a row kept back.
    std::uint32_t skip = 0;
    if (const std::string_view text = query.value("skip"); !text.empty()) {
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), skip);
      if (error != std::errc() || end != text.data() + text.size() || skip < 1) return broken(here);
    }
    const CitizenId citizen = here.session.citizen;
    const auto entries = around_.registry.access_log(citizen, kRowsOfPage + 1, skip);
    if (!entries) return unavailable(here, entries.error());
    const auto grants = provider_.grants_of(citizen);
    if (!grants) return unavailable(here, grants.error());
    auto titles = departments_.titles();
    if (!titles) return unavailable(here, titles.error());
    const Language language = here.language;
    const DepartmentNames departments(std::move(*titles), language);
    Html html;
    if (skip == 0) {
      const auto totals = around_.registry.access_totals(citizen);
      if (!totals) return unavailable(here, totals.error());
      html.open("section", {{"class", "panel"}});
      if (totals->empty()) {
        html.paragraph(own_words::kNobody.in(language));
      } else {
        html.open("div", {{"class", "scroll"}}).open("table").element("caption", own_words::kTotals.in(language));
        write_heads(html, here, {own_words::kWho, own_words::kWhatFor, own_words::kTimes, own_words::kLast});
        for (const AccessTotal& one : *totals) {
          html.open("tr")
              .element("td", actor_words(here, one.actor, *grants, departments))
              .element("td", purpose_words(here, one.actor, one.purpose));
          html.element("td", std::to_string(one.count), {{"class", "number"}}).open("td");
          time_element(html, language, one.last);
          html.close(2);
        }
        html.close(3);
      }
      html.close();
    }
    if (!entries->empty()) {
      html.open("section", {{"class", "panel"}}).open("div", {{"class", "scroll"}}).open("table");
      html.element("caption", own_words::kNewestFirst.in(language));
      write_heads(html, here,
                  {own_words::kWhen, own_words::kWho, own_words::kWhat, own_words::kWhatFor, own_words::kCase,
                   own_words::kLaw});
      for (std::size_t i = 0; i < std::min(entries->size(), kRowsOfPage); ++i) {
        const AccessEntry& one = (*entries)[i];
        html.open("tr").open("td");
        time_element(html, language, one.at);
        html.close().element("td", actor_words(here, one.purpose.actor, *grants, departments));
        html.element("td", look_words(here, one.what, departments))
            .element("td", purpose_words(here, one.purpose.actor, one.purpose.purpose));
        html.element("td", one.purpose.case_id).element("td", one.purpose.legal_basis).close();
      }
      html.close(3);
      if (entries->size() > kRowsOfPage) {
        html.open("div", {{"class", "actions"}});
        link_button(html, ButtonKind::quiet, own_words::kOlder.in(language),
                    "/me/requests?skip=" + std::to_string(skip + kRowsOfPage));
        html.close();
      }
      html.close();
    }
    return page_response(200, frame(here, own_words::kRequests, true), html);
  }

  /// <thead>, and the beginning of <tbody>.
  static void write_heads(Html& html, const Visit& here, std::initializer_list<Words> heads) {
    html.open("thead").open("tr");
    for (const Words& head : heads) html.element("th", head.in(here.language), {{"scope", "col"}});
    html.close(2).open("tbody");
  }

  // Consents

  HttpResponse consents(const Visit& here, const FormData&) {
    const auto grants = provider_.grants_of(here.session.citizen);
    if (!grants) return unavailable(here, grants.error());
    const Language language = here.language;
    Html html;
    if (grants->empty()) html.paragraph(own_words::kNoConsents.in(language));
    for (const Grant& one : *grants) {
      html.open("section", {{"class", "panel"}}).open("div", {{"class", "asker"}});
      html.element("strong", one.client_name.in(name_of(language)));
      html.element("span", one.client_origin, {{"class", "hint"}}).close();
      const std::string data = list_of_claims(one.claims, language);
      html.open("dl", {{"class", "facts"}});
      fact(html, own_words::kMayLearn.in(language),
           data.empty() ? own_words::kOnlyWho.in(language) : std::string_view(data));
      fact(html, own_words::kGiven.in(language), show_day(language, one.given));
      fact(html, own_words::kUntil.in(language), show_day(language, one.until));
      fact(html, own_words::kOpenLogins.in(language), std::to_string(one.live_tokens));
      html.close();
      open_form(html, "/me/consents/revoke", here.session.csrf);
      hidden_field(html, "client", one.client_id);
      html.open("div", {{"class", "actions"}});
      button(html, ButtonKind::danger, own_words::kTakeBack.in(language));
      html.close(3);
    }
    return page_response(200, frame(here, own_words::kConsents), html);
  }

  HttpResponse revoke(const Visit& here, const FormData& form) {
    const Status revoked = provider_.revoke_grant(here.session.citizen, form.value("client"));
    if (!revoked && revoked.error().kind != ErrorKind::not_found) return unavailable(here, revoked.error());
    return see_other("/me/consents");
  }

  const std::string address_;
  RoomSurroundings around_;
  Provider& provider_;
  Sessions sessions_;
  DepartmentLedger departments_;
};

const std::array<Pages::Route, 9> Pages::kRoutes = {{
    {"/me", kAnyLevel, &Pages::cards, nullptr},
    {"/me/card", kCardLevel, &Pages::card_page, nullptr},
    {"/me/suspend", kAnyLevel, &Pages::ask_suspend, &Pages::suspend},
    {"/me/sessions", kAnyLevel, &Pages::sessions, nullptr},
    {"/me/sessions/end", kAnyLevel, nullptr, &Pages::end_session},
    {"/me/sessions/end-all", kAnyLevel, nullptr, &Pages::end_all},
    {"/me/requests", kCardLevel, &Pages::requests, nullptr},
    {"/me/consents", kCardLevel, &Pages::consents, nullptr},
    {"/me/consents/revoke", kCardLevel, nullptr, &Pages::revoke},
}};

}  // namespace

std::unique_ptr<RoomRoutes> open_citizen_routes(const LoginConfig& config, const RoomSurroundings& around,
                                                Provider& provider) {
  return std::make_unique<Pages>(config, around, provider);
}

}  // namespace karta::identity
