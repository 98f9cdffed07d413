// HTTP requests to the log-in's and the citizen's pages, in process: whatever comes, a whole answer goes out, no field
// is ended early, and markup that was sent comes back as text.
//
// The first octet says whose pages; in the rest words in braces stand for what the server gave to this browser before,
// so that requests get past the marks it puts on everything: {ticket}, {proof}, {csrf} (the session's), {form} (csrf
// before a log-in), {state}, {card}, {session} (the cookies), {session-id}, {shown} (the ticket for the listener that
// asks for certificates). Those of a way in are made when an input names them: {token} of the card with the {state} it
// goes with, {certified}, {code} with its {challenge}. {length} stands for that of the body.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "identity/login/accounts.h"
#include "identity/login/login_testing.h"
#include "identity/login/totp.h"
#include "service/log.h"

namespace {

using namespace karta;
using namespace karta::identity;
using service::HttpRequest;
using service::HttpResponse;

struct World {
  LoginWorld login;
  Sessions sessions{login.around};
  std::optional<TestBrowser> browser;
  std::string interaction;
  int log_ins = 0;
  std::map<std::string, std::string> given;
  const Cause cause{"test", "the next input needs it"};

  World() {
    service::set_up_log({.level = service::LogLevel::error});
    Grant grant;
    grant.client_id = "portal";
    grant.client_name = {"The portal", "Портал"};
    grant.client_origin = "https://portal.example";
    grant.claims = {"birthdate"};
    login.provider.grants = {grant};
    log_in();
  }

  std::string jar() const {
    std::string out;
    for (const auto& [name, value] : browser->cookies) out += (out.empty() ? "" : "; ") + name + "=" + value;
    return out;
  }
  static std::string after(const std::string& text, std::string_view mark) {
    const auto at = text.find(mark);
    if (at == std::string::npos) std::abort();
    return text.substr(at + mark.size());
  }
  HttpRequest request_of_browser(std::string_view cookies) const {
    HttpRequest out;
    out.fields.push_back({"Cookie", cookies});
    return out;
  }

  /// A new browser with a new request of the portal, as far as the question for consent.
  void log_in() {
    browser.emplace(login);
    interaction = "log-in-" + std::to_string(++log_ins);
    const std::string ways = text_of(browser->begin(login.ask(interaction)));
    const std::string form_mark = hidden_value(ways, "csrf");
    const std::string shown = attribute_after(ways, "by-certificate", "href");
    const AgentAnswer agent = ask_agent(attribute_after(ways, "button main", "href"));
    const std::string form = text_of(browser->get(location_of(browser->get(answer_of(agent)))));
    const std::string cookies = jar();
    const auto session = must(sessions.find(request_of_browser(cookies)));
    if (!session) std::abort();
    given = {{"{ticket}", hidden_value(form, "ticket")},
             {"{proof}", hidden_value(form, "proof")},
             {"{csrf}", hidden_value(form, "csrf")},
             {"{form}", form_mark},
             {"{state}", agent.state},
             {"{card}", format_id(login.card.card.id)},
             {"{session}", cookies},
             {"{session-id}", session->id},
             {"{shown}", after(shown, "ticket=")}};
  }
  AgentAnswer ask_agent(const std::string& link) {
    HttpResponse sent = browser->get(link);
    if (sent.status == 429) {
      release_brakes();
      sent = browser->get(link);
    }
    return read_agent_request(location_of(sent));
  }
  std::string answer_of(const AgentAnswer& agent) const {
    const std::string token = token_of(login.card, agent.origin, agent.nonce);
    return "/login/answer?state=" + agent.state + "&token=" + to_base64url(as_bytes(token));
  }

  /// What a way in hands out for one use.
  void show_card() {
    const AgentAnswer agent = ask_agent("/login/card?ticket=" + given["{ticket}"]);
    given["{state}"] = agent.state;
    given["{token}"] = after(answer_of(agent), "token=");
  }
  void show_certificate() {
    browser->client_certificate = login.card.certificate.der();
    const std::string page = std::string(LoginWorld::kCertificateOrigin) + "/login/certificate?ticket=";
    given["{certified}"] = after(location_of(browser->get(page + given["{shown}"])), "state=");
  }
  void get_code() {
    Accounts accounts(login.database, login.keys->secret, login.clock, login.random);
    const SecretBytes secret = must(accounts.enrol(login.citizen, "sample", {}, cause));
    must(login.database.execute("DELETE FROM login_brakes"));
    log_in();  // an account that takes another's place ends the sessions
    const HttpResponse named =
        browser->post("/login/name", {{"csrf", given["{form}"]}, {"ticket", given["{ticket}"]}, {"login", "sample"}});
    given["{challenge}"] = after(location_of(named), "challenge=");
    const SecretBytes code = totp_code(secret, totp_step(login.clock.now()));
    given["{code}"] = code.expose_secret_text();
  }

  std::string fill(std::string text) {
    const auto names = [&](std::string_view mark) { return text.find(mark) != std::string::npos; };
    login.ask(interaction);
    if (names("{code}") || names("{challenge}")) get_code();
    if (names("{token}")) show_card();
    if (names("{certified}")) show_certificate();
    for (const auto& [mark, value] : given) {
      for (std::size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += value.size()) {
        text.replace(at, mark.size(), value);
      }
    }
    const std::size_t body = text.find("\r\n\r\n"), length = text.find("{length}");
    if (body != std::string::npos && length < body) {
      text.replace(length, 8, std::to_string(text.size() - body - 4));
    }
    return text;
  }

  /// Gives back what an input took from those after it: the session and its card, and the ways in where it went on
  /// until they were closed. Within that input, so that what this runs through always counts as the same one's.
  void restore(const HttpResponse& response) {
    if (response.status == 429) release_brakes();
    login.provider.ended_sessions.clear();
    login.provider.ended_all.clear();
    login.provider.revoked.clear();
    login.provider.finished.clear();
    if (must(sessions.find(request_of_browser(given["{session}"])))) return;
    if (must(login.registry.card(login.card.card.id)).state != CardState::active) {
      must(login.registry.change_card_state(login.card.card.id, CardState::active, cause));
    }
    login.provider.waiting.clear();
    log_in();
  }
  void release_brakes() {
    must(login.database.execute("DELETE FROM login_brakes"));
    login.pages = must(LoginRoutes::open(login.config, login.keys, login.around, login.provider, {}));
  }
};

World* world = nullptr;

void check(const HttpResponse& response) {
  if (service::reason_phrase(response.status).empty()) std::abort();
  std::string_view fields = response.fields;
  while (!fields.empty()) {
    const std::size_t end = fields.find("\r\n");
    if (end == std::string_view::npos || fields.substr(0, end).find(": ") == std::string_view::npos) std::abort();
    fields.remove_prefix(end + 2);
  }
  if (as_text(response.content()).find("<q7") != std::string_view::npos) std::abort();
}

}  // namespace

// Made before the first input: what making it runs through would count as that input's own, and seeds that take the
// same way as nothing new.
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  world = new World;
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string wire = world->fill(std::string(as_text({data + 1, size - 1})));
  const auto done = service::with_parsed_request(as_bytes(wire), [&](const HttpRequest& request) {
    HttpRequest asked = request;
    if (asked.count("X-Certificate") != 0) asked.shown_certificate = world->login.card.certificate.der();
    RoomRoutes* const rooms[] = {world->login.pages.get(), world->login.own_pages.get(),
                                 world->login.certificate_pages.get()};
    const HttpResponse response = rooms[data[0] % std::size(rooms)]->answer(asked);
    check(response);
    world->restore(response);
  });
  (void)done;
  return 0;
}
