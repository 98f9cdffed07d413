#include "identity/pages/cookie.h"

namespace karta::identity {
namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string cookie_field(std::string_view name, std::string_view value, std::string_view more) {
  std::string out = "Set-Cookie: ";
  out.append(name).append("=").append(value).append("; Path=/; Secure; HttpOnly; SameSite=Lax").append(more);
  return out.append("\r\n");
}

}  // namespace

std::string_view cookie_of(const service::HttpRequest& request, std::string_view name) {
  if (request.count("Cookie") != 1) return {};
  std::string_view rest = request.field("Cookie"), found;
  while (!rest.empty()) {
    const auto end = rest.find(';');
    const std::string_view pair = trimmed(rest.substr(0, end));
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) {
      if (!found.empty()) return {};
      found = pair.substr(equals + 1);
    }
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
  }
  return found;
}

std::string set_cookie(std::string_view name, std::string_view value, std::chrono::seconds life) {
  return cookie_field(name, value, life.count() > 0 ? "; Max-Age=" + std::to_string(life.count()) : std::string());
}

std::string drop_cookie(std::string_view name) { return cookie_field(name, "", "; Max-Age=0"); }

}  // namespace karta::identity
