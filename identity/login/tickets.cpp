#include "identity/login/tickets.h"

#include <charconv>
#include <vector>

#include "base/base64url.h"
#include "identity/pages/cookie.h"
#include "identity/pages/form.h"

namespace karta::identity {
namespace {

constexpr std::size_t kCookieOctets = 32, kCookieLetters = 43, kMostTicket = 4096, kMostInteraction = 200;
constexpr std::string_view kErrandUse = "errand", kAgentUse = "agent", kConsentUse = "consent",
                           kCertificateUse = "certificate", kReturnUse = "return", kToCertificateUse = "to certificate";

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> out;
  for (;;) {
    const auto dot = text.find('.');
    out.push_back(text.substr(0, dot));
    if (dot == std::string_view::npos || out.size() > 8) return out;
    text = text.substr(dot + 1);
  }
}

/// "i.ID", or "b.PATH", "c.PATH", "d.PATH" for the levels 0 to 2; what follows the dot in base64url.
std::string body_of(const Errand& errand) {
  const bool portal = !errand.interaction.empty();
  const char kind = portal ? 'i' : static_cast<char>('b' + errand.level);
  return std::string(1, kind) + "." + to_base64url(as_bytes(portal ? errand.interaction : errand.back));
}

std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t out = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

std::optional<Errand> parse_body(std::string_view kind, std::string_view text) {
  const auto octets = from_base64url(text);
  if (!octets || octets->empty()) return std::nullopt;
  Errand out;
  if (kind == "i" && octets->size() <= kMostInteraction) {
    out.interaction = as_text(*octets);
  } else if (kind.size() == 1 && kind[0] >= 'b' && kind[0] <= 'd' && is_own_path(as_text(*octets))) {
    out.back = as_text(*octets);
    out.level = kind[0] - 'b';
  } else {
    return std::nullopt;
  }
  return out;
}

}  // namespace

std::string_view Tickets::cookie_of(const service::HttpRequest& request) {
  const std::string_view cookie = identity::cookie_of(request, kLoginCookie);
  return cookie.size() == kCookieLetters && from_base64url(cookie) ? cookie : std::string_view{};
}

std::string Tickets::new_cookie(RandomSource& random) { return to_base64url(random.bytes(kCookieOctets)); }

std::string Tickets::write(const Errand& errand, std::string_view cookie) const {
  const std::string body = body_of(errand);
  return body + "." + secret_.mac_text(kErrandUse, {body, cookie});
}

std::optional<Errand> Tickets::read(std::string_view ticket, std::string_view cookie) const {
  if (cookie.empty() || ticket.size() > kMostTicket) return std::nullopt;
  const auto parts = split(ticket);
  if (parts.size() != 3) return std::nullopt;
  const std::string body = std::string(parts[0]) + "." + std::string(parts[1]);
  if (!secret_.is_mac_text(parts[2], kErrandUse, {body, cookie})) return std::nullopt;
  return parse_body(parts[0], parts[1]);
}

std::string Tickets::write_agent(const AgentErrand& errand, std::string_view cookie) const {
  const std::string body =
      body_of(errand.errand) + "." + errand.nonce + "." + std::to_string(errand.expires.time_since_epoch().count());
  return body + "." + secret_.mac_text(kAgentUse, {body, cookie});
}

std::optional<AgentErrand> Tickets::read_agent(std::string_view state, std::string_view cookie) const {
  if (cookie.empty() || state.size() > kMostTicket) return std::nullopt;
  const auto parts = split(state);
  if (parts.size() != 5) return std::nullopt;
  const std::string_view body = state.substr(0, state.size() - parts[4].size() - 1);
  if (!secret_.is_mac_text(parts[4], kAgentUse, {body, cookie})) return std::nullopt;
  const auto errand = parse_body(parts[0], parts[1]);
  const auto expires = parse_number(parts[3]);
  if (!errand || !expires) return std::nullopt;
  return AgentErrand{*errand, std::string(parts[2]), Time(std::chrono::seconds(*expires))};
}

std::string Tickets::for_certificate(std::string_view ticket) const {
  return std::string(ticket) + "." + secret_.mac_text(kToCertificateUse, {ticket});
}

std::optional<std::string> Tickets::read_for_certificate(std::string_view text) const {
  const auto dot = text.rfind('.');
  if (dot == std::string_view::npos || text.size() > kMostTicket) return std::nullopt;
  const std::string_view ticket = text.substr(0, dot);
  if (!secret_.is_mac_text(text.substr(dot + 1), kToCertificateUse, {ticket})) return std::nullopt;
  return std::string(ticket);
}

std::string Tickets::write_certificate(const CertificateErrand& errand) const {
  const SessionProof& proof = errand.proof;
  const std::string body = to_base64url(as_bytes(errand.ticket)) + "." +
                           std::to_string(static_cast<std::int64_t>(proof.citizen)) + "." +
                           std::to_string(static_cast<std::int64_t>(proof.card.value_or(CardId{}))) + "." +
                           to_base64url(as_bytes(proof.issuer)) + "." + to_base64url(proof.serial) + "." +
                           errand.nonce + "." + std::to_string(errand.expires.time_since_epoch().count());
  return body + "." + secret_.mac_text(kCertificateUse, {body});
}

std::optional<CertificateErrand> Tickets::read_certificate(std::string_view state) const {
  if (state.size() > kMostTicket) return std::nullopt;
  const auto parts = split(state);
  if (parts.size() != 8) return std::nullopt;
  const std::string_view body = state.substr(0, state.size() - parts[7].size() - 1);
  if (!secret_.is_mac_text(parts[7], kCertificateUse, {body})) return std::nullopt;
  const auto ticket = from_base64url(parts[0]), issuer = from_base64url(parts[3]), serial = from_base64url(parts[4]);
  const auto citizen = parse_number(parts[1]), card = parse_number(parts[2]), expires = parse_number(parts[6]);
  if (!ticket || !issuer || !serial || !citizen || !card || !expires) return std::nullopt;
  CertificateErrand out;
  out.ticket = as_text(*ticket);
  out.proof.citizen = CitizenId{*citizen};
  out.proof.card = CardId{*card};
  out.proof.issuer = as_text(*issuer);
  out.proof.serial = *serial;
  out.nonce = parts[5];
  out.expires = Time(std::chrono::seconds(*expires));
  return out;
}

std::string Tickets::write_consent(std::string_view interaction, std::string_view session, Time auth_time) const {
  return secret_.mac_text(kConsentUse, {interaction, session, format_time(auth_time)});
}

bool Tickets::is_consent(std::string_view ticket, std::string_view interaction, std::string_view session,
                         Time auth_time) const {
  return secret_.is_mac_text(ticket, kConsentUse, {interaction, session, format_time(auth_time)});
}

std::string Tickets::write_return(std::string_view address, std::string_view csrf) const {
  return secret_.mac_text(kReturnUse, {address, csrf});
}

bool Tickets::is_return(std::string_view ticket, std::string_view address, std::string_view csrf) const {
  return secret_.is_mac_text(ticket, kReturnUse, {address, csrf});
}

}  // namespace karta::identity
