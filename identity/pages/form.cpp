#include "identity/pages/form.h"

#include <algorithm>

#include "identity/utf8.h"

namespace karta::identity {
namespace {

constexpr std::string_view kFormType = "application/x-www-form-urlencoded";
constexpr std::size_t kMostPath = 2048;

bool same_letters(std::string_view a, std::string_view b) {
  const auto small = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, small, small);
}

Result<std::string> decode(std::string_view text) {
  std::string spaced(text);
  std::ranges::replace(spaced, '+', ' ');
  std::string out = TRY(service::decode_percent(spaced));
  if (out.find('\0') != std::string::npos || find_invalid_utf8(out)) {
    return fail(ErrorKind::malformed, "a field of the form is no text");
  }
  return out;
}

}  // namespace

Result<FormData> FormData::parse(std::string_view text) {
  FormData out;
  if (text.size() > kMostOctets) return fail(ErrorKind::limit, "the form is too large");
  while (!text.empty()) {
    const auto end = text.find('&');
    const std::string_view pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (pair.empty()) continue;
    if (out.fields_.size() == kMostFields) return fail(ErrorKind::limit, "the form has too many fields");
    const auto equals = pair.find('=');
    std::string name = TRY(decode(pair.substr(0, equals)));
    std::string value = TRY(decode(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1)));
    if (out.has(name)) return fail(ErrorKind::malformed, "a field of the form is there twice");
    out.fields_.emplace_back(std::move(name), std::move(value));
  }
  return out;
}

Result<FormData> FormData::of_body(const service::HttpRequest& request) {
  if (!same_letters(request.media_type(), kFormType)) {
    return fail(ErrorKind::malformed, "the body is to be " + std::string(kFormType));
  }
  return parse(as_text(request.body));
}

std::string_view FormData::value(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (key == name) return value;
  }
  return {};
}

bool FormData::has(std::string_view name) const {
  return std::ranges::any_of(fields_, [&](const auto& one) { return one.first == name; });
}

std::string encode_percent(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    const bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                            c == '.' || c == '_' || c == '~';
    if (unreserved) {
      out += c;
    } else {
      out += '%';
      out += kDigits[octet >> 4];
      out += kDigits[octet & 15];
    }
  }
  return out;
}

bool comes_from_own_page(const service::HttpRequest& request, std::string_view own_origin) {
  const std::string_view site = request.field("Sec-Fetch-Site"), origin = request.field("Origin");
  if (site.empty() && origin.empty()) return false;
  if (request.count("Origin") > 1 || request.count("Sec-Fetch-Site") > 1) return false;
  return (site.empty() || site == "same-origin") && (origin.empty() || origin == own_origin);
}

bool is_own_path(std::string_view path) {
  if (path.empty() || path.size() > kMostPath || path[0] != '/') return false;
  // "//host" is another server, and browsers read a backslash as a slash.
  if (path.size() > 1 && path[1] == '/') return false;
  return std::ranges::none_of(path, [](char c) {
    return static_cast<unsigned char>(c) <= ' ' || static_cast<unsigned char>(c) >= 0x7F || c == '\\';
  });
}

std::string origin_of(std::string_view address) {
  std::string_view scheme;
  for (const std::string_view one : {std::string_view("https://"), std::string_view("http://")}) {
    if (address.starts_with(one)) scheme = one;
  }
  if (scheme.empty()) return {};
  const std::string_view rest = address.substr(scheme.size());
  const std::string_view host = rest.substr(0, rest.find_first_of("/?#"));
  const bool plain = !host.empty() && std::ranges::all_of(host, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == ':' || c == '[' || c == ']';
  });
  return plain ? std::string(scheme) + std::string(host) : std::string();
}

}  // namespace karta::identity
