// AgentPages: what the citizen sees: who asks for what, the card, the PIN, and how it went. HTML alone, in two
// languages; everything works without a script.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/citizen/card_login.h"
#include "daemon/citizen/request_book.h"
#include "service/http_message.h"

namespace karta::daemon {

/// One reader as a page shows it: empty, or with a card looked at.
struct ReaderLook {
  std::string reader;
  bool has_card = false;
  CardLook card = {};
};

/// What is in front of the machine at this moment.
struct Scene {
  bool pcscd_running = true;
  std::uint64_t seen = 0;  ///< number of the newest event when it was looked at: the page asks for those after it
  std::vector<ReaderLook> readers;
};

/// The word of the way back for who gives up before this scene: "no_reader", "no_card", "wrong_card", "pin_blocked",
/// "transport_pin", "card_error"; "cancelled" where a card is ready.
std::string_view error_of(const Scene& scene);

/// The page of an open log-in. `seconds_left`: until its time is over; the page comes again by itself then. The caller
/// holds the log-in's mutex.
service::HttpResponse login_page(const OpenLogin& login, const Scene& scene, std::chrono::seconds seconds_left);
/// A request that was not heard: why, and the way on.
service::HttpResponse refused_page(identity::Language language, RequestFault fault);
/// An address of a log-in that is over, or never was.
service::HttpResponse over_page(identity::Language language);
/// A card is being asked already.
service::HttpResponse working_page(const OpenLogin& login);
/// A form that did not come from the page.
service::HttpResponse bad_form_page(identity::Language language);
/// GET /agent: the agent is here.
service::HttpResponse here_page(identity::Language language);
/// GET /agent/agent.mjs
service::HttpResponse script_response();

/// "/agent/r/ID"
std::string path_of(const OpenLogin& login);

}  // namespace karta::daemon
