// LoginPages: what LoginRoutes::open makes, the pages themselves. One class, since every page may end in another's;
// each concept of it is a file of its own: the dispatch in login_routes.cpp, what all pages have in login_frame.cpp,
// the offer in ways_in.cpp, then card_way.cpp, certificate_way.cpp, code_way.cpp, portal_way.cpp, consent_pages.cpp and
// log_out.cpp. For those files only.
#pragma once

#include <array>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "identity/login/code_login.h"
#include "identity/login/login_routes.h"
#include "identity/login/sessions.h"
#include "identity/login/tickets.h"
#include "identity/pages/page.h"
#include "service/rate_limit.h"

namespace karta::identity {

/// Requests to the agent signed for one log-in of a portal's, and for our own pages to one network; by each worker.
inline constexpr service::RateRule kAgentRequestsOfLogIn{.burst = 30, .interval = std::chrono::seconds(10)};
inline constexpr service::RateRule kAgentRequestsOfNetwork{.burst = 300, .interval = std::chrono::milliseconds(200)};

class LoginPages final : public LoginRoutes {
 public:
  using HttpRequest = service::HttpRequest;
  using HttpResponse = service::HttpResponse;

  LoginPages(const LoginConfig& config, std::shared_ptr<const LoginKeys> keys, const RoomSurroundings& around,
             Provider& provider, const LoginOptions& options);

  /// Before anything else. Errors: configuration, an agent's key JOSE has no signature for.
  Status open();
  HttpResponse answer(const HttpRequest& request) override;
  std::vector<std::string> problems() override;

  // What the provider calls.

  HttpResponse begin(const HttpRequest& request, const Interaction& interaction) override;
  HttpResponse problem(const HttpRequest& request, int status, std::string_view error,
                       std::string_view description) override;
  HttpResponse end_session(const HttpRequest& request, const LogoutRequest& logout) override;

 private:
  static constexpr std::string_view kScript = "login.mjs";
  static constexpr int kLow = 0, kSubstantial = 1, kHigh = 2;

  /// What a page needs of a request, once.
  struct Visit {
    const HttpRequest& request;
    Language language = Language::english;
    std::string cookie;      ///< kLoginCookie's value, new or as it came
    std::string set_fields;  ///< Set-Cookie, if it is new
  };
  struct Route {
    std::string_view path;
    HttpResponse (LoginPages::*get)(Visit) = nullptr;
    HttpResponse (LoginPages::*post)(Visit, const FormData&) = nullptr;
    bool behind_tls = false;
    bool uses_up = false;  ///< GET spends a turn, an answer or a proof, or writes: no HEAD (RFC 9110 §9.2.1)
  };
  static const std::array<Route, 12> kRoutes;
  /// An errand and the interaction behind it. Neither: the page that says so.
  struct Found {
    Errand errand;
    std::optional<Interaction> interaction;
    std::optional<HttpResponse> page = {};
  };

  // What comes in (login_routes.cpp)

  service::Counter counter(std::string_view way, std::string_view outcome);
  Visit visit(const HttpRequest& request, std::string_view locale = {});
  /// Every form is a page's of ours, and bears the token of this browser's cookie.
  HttpResponse posted(const HttpRequest& request, const Route& route);

  // What all pages have, and what to do when nothing can be done (login_frame.cpp)

  static std::string with_query(std::string_view path,
                                std::initializer_list<std::pair<std::string_view, std::string_view>> query);
  PageFrame frame(const Visit& here, std::string_view title, std::string_view come_back = {}) const;
  /// Forms may lead on to the portal, once all is done.
  static void lead_to(PageFrame& frame, const Interaction& interaction);
  HttpResponse unavailable(const Visit& here, const Error& error);
  HttpResponse over_page(const Visit& here, bool of_portal);
  Found find(Visit& here, std::string_view ticket);
  void look_up(Visit& here, Found& out);

  // Who asks, and the ways in (ways_in.cpp)

  static int level_of(const Errand& errand, const Interaction* interaction);
  bool is_enough(const Session& session, const Interaction& interaction) const;
  void write_asker(Html& html, const Visit& here, const Interaction* interaction) const;
  /// The ways in that are strong enough, as panels.
  void write_ways(Html& html, const Visit& here, std::string_view ticket, int level) const;
  void write_cancel(Html& html, const Visit& here, std::string_view ticket) const;
  HttpResponse ways_page(const Visit& here, const Errand& errand, const Interaction* interaction, bool step_up);
  HttpResponse show_ways(Visit here);
  /// A log-in that did not come to its end: why, and all that can be done instead.
  HttpResponse refused_page(const Visit& here, int status, const Words& title, const Words& text, const Errand& errand,
                            const Interaction* interaction);
  /// A refusal whose card is known stands among the card's events; the log gets no person's data.
  void note_refusal(const CardJudgement& verdict);
  Result<bool> was_noted(CitizenId citizen, CardId card, std::string_view reason);

  // With the card: to the agent and back (card_way.cpp)

  HttpResponse to_agent(Visit& here, const Found& found, std::string_view verb, std::string_view back);
  HttpResponse to_agent(Visit here, std::string_view verb, std::string_view back);
  HttpResponse ask_agent(Visit here);
  HttpResponse ask_card(Visit here);
  /// The small window: its script tells the page that opened it, and closes it.
  HttpResponse agent_is_here(Visit here);
  HttpResponse take_answer(Visit here);

  // With a TLS certificate (certificate_way.cpp)

  HttpResponse show_certificate(Visit here);
  HttpResponse take_certificate(Visit here);

  // With a one-time code (code_way.cpp)

  HttpResponse take_name(Visit here, const FormData& form);
  HttpResponse too_soon(const Visit& here, std::chrono::seconds wait, const Errand& errand,
                        const Interaction* interaction);
  HttpResponse code_page(const Visit& here, const Found& found, std::string_view ticket, std::string_view challenge,
                         bool wrong);
  HttpResponse ask_code(Visit here);
  HttpResponse take_code(Visit here, const FormData& form);

  // From the portal, and back to it once the citizen is known (portal_way.cpp)

  /// Makes the session and goes on. `first` runs in the same transaction; where it fails with not_permitted, the page
  /// says `gone`.
  HttpResponse log_in(Visit& here, const Found& found, const SessionProof& proof,
                      const service::GroupCommit::Work& first, const Words& gone, service::Counter& done);
  /// For log_in(): fails with not_permitted if the nonce has been used.
  static service::GroupCommit::Work using_up(std::string_view nonce, Time expires);
  /// The citizen is known well enough: consent, or on to the portal.
  HttpResponse admit(const Visit& here, const Interaction& interaction, const Session& session);
  HttpResponse finish(const Visit& here, const Interaction& interaction, const Session& session,
                      const std::optional<ConsentAnswer>& answer);
  /// To what Provider::finish() said.
  HttpResponse led_back(const Visit& here, const Result<std::string>& address);
  HttpResponse refuse(const Visit& here, std::string_view interaction, AuthorizationError error);
  HttpResponse cancel(Visit here, const FormData& form);

  // Consent (consent_pages.cpp)

  /// The session that may consent; otherwise the page or the way to get one.
  std::optional<Session> consenting(Visit& here, const Found& found, std::string_view proof, HttpResponse& otherwise);
  HttpResponse ask_consent(Visit here);
  HttpResponse take_consent(Visit here, const FormData& form);

  // Logging out (log_out.cpp)

  HttpResponse logged_out(const Visit& here, std::string_view return_url);
  HttpResponse log_out(const Visit& here, const Session& session, std::string_view return_url);
  HttpResponse log_out_page(const Visit& here, const Session& session, const Client* client,
                            std::string_view return_url);
  HttpResponse ask_log_out(Visit here);
  HttpResponse take_log_out(Visit here, const FormData& form);

  const LoginConfig config_;  // a copy: what it came from goes when the configuration is read again
  std::shared_ptr<const LoginKeys> keys_;
  RoomSurroundings around_;
  Provider& provider_;
  LoginOptions options_;
  Sessions sessions_;
  CodeLogin codes_;
  Tickets tickets_;
  std::unique_ptr<crypto::Signer> agent_signer_;
  crypto::AlgorithmId agent_algorithm_ = crypto::AlgorithmId::ecdsa_sha256;
  service::RateLimit agent_requests_of_log_in_{kAgentRequestsOfLogIn};
  service::RateLimit agent_requests_of_network_{kAgentRequestsOfNetwork};
  service::Counter by_card_, by_certificate_, by_code_, card_refused_, certificate_refused_, code_refused_;
};

}  // namespace karta::identity
