#include "service/loopback_guard.h"

#include <openssl/sha.h>

#include <algorithm>
#include <charconv>

#include "base/secret.h"

namespace karta::service {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

/// A Host in its parts (RFC 3986 §3.2): "[::1]:80" is "[::1]" and 80. Nothing for what is neither name nor address.
struct Authority {
  std::string_view name;
  std::optional<std::uint16_t> port;
};
std::optional<Authority> parse_authority(std::string_view text) {
  const std::size_t bracket = text.starts_with('[') ? text.find(']') : 0;
  if (bracket == std::string_view::npos) return std::nullopt;
  const std::size_t colon = text.find(':', bracket);
  Authority out{text.substr(0, colon), std::nullopt};
  if (out.name.empty()) return std::nullopt;
  if (colon == std::string_view::npos) return out;
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (read.ec != std::errc{} || read.ptr != digits.data() + digits.size()) return std::nullopt;
  out.port = port;
  return out;
}

BearerTokens::Hash hash_of(std::string_view token) {
  BearerTokens::Hash out{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), out.data());
  return out;
}

}  // namespace

LoopbackGuard::LoopbackGuard(std::vector<std::string> names, std::vector<std::uint16_t> ports)
    : names_(std::move(names)), ports_(std::move(ports)) {}

std::optional<LoopbackGuard::Refusal> LoopbackGuard::check(const HttpRequest& request) const {
  constexpr std::uint16_t kDefaultPort = 80;
  const std::string_view host = request.field("Host");
  const auto authority = parse_authority(host);
  const auto known = [&](const std::string& name) { return same_name(name, authority->name); };
  if (request.count("Host") != 1 || !authority || std::none_of(names_.begin(), names_.end(), known)) {
    return Refusal::foreign_host;
  }
  const bool local = request.peer == "unix";
  if (!local && !ports_.empty() &&
      std::find(ports_.begin(), ports_.end(), authority->port.value_or(kDefaultPort)) == ports_.end()) {
    return Refusal::foreign_host;
  }
  // RFC 6454 §7: of a page this server served, Origin is its own Host again. "null" is a page that hides where it is
  // from. No browser reaches a local socket.
  if (const std::size_t origins = request.count("Origin"); origins != 0) {
    constexpr std::string_view kScheme = "http://";
    const std::string_view origin = request.field("Origin");
    if (local || origins > 1 || !origin.starts_with(kScheme) || !same_name(origin.substr(kScheme.size()), host)) {
      return Refusal::foreign_origin;
    }
  }
  // Fetch Metadata: also for requests that carry no Origin, such as pictures and links of a foreign page.
  if (const std::size_t sites = request.count("Sec-Fetch-Site"); sites != 0) {
    const std::string_view site = request.field("Sec-Fetch-Site");
    if (sites > 1 || (site != "same-origin" && site != "none")) return Refusal::foreign_site;
  }
  return std::nullopt;
}

std::string_view name_of(LoopbackGuard::Refusal refusal) {
  switch (refusal) {
    case LoopbackGuard::Refusal::foreign_host:
      return "foreign-host";
    case LoopbackGuard::Refusal::foreign_origin:
      return "foreign-origin";
    case LoopbackGuard::Refusal::foreign_site:
      return "foreign-site";
  }
  return {};
}

std::string_view words_of(LoopbackGuard::Refusal refusal) {
  switch (refusal) {
    case LoopbackGuard::Refusal::foreign_host:
      return "the request names another server than this one";
    case LoopbackGuard::Refusal::foreign_origin:
      return "the request comes from a page of another server";
    case LoopbackGuard::Refusal::foreign_site:
      return "the request was caused by a page of another site";
  }
  return {};
}

Status BearerTokens::add(std::string owner, std::string_view hash_hex) {
  const bool plain = hash_hex.size() == 64 && hash_hex.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (!plain) return fail(ErrorKind::malformed, "the token's hash of \"" + owner + "\" is not 64 hexadecimal digits");
  const Bytes octets = TRY(from_hex(hash_hex));
  Entry entry{std::move(owner), {}};
  std::copy(octets.begin(), octets.end(), entry.hash.begin());
  for (const Entry& one : entries_) {
    if (one.hash == entry.hash) {
      return fail(ErrorKind::already_exists, "\"" + entry.owner + "\" and \"" + one.owner + "\" have the same token");
    }
  }
  entries_.push_back(std::move(entry));
  return {};
}

const std::string* BearerTokens::owner_of(std::string_view authorization) const {
  // RFC 6750 §2.1; the scheme's name in any case, RFC 9110 §11.1.
  constexpr std::string_view kScheme = "Bearer ";
  if (authorization.size() <= kScheme.size() || !same_name(authorization.substr(0, kScheme.size()), kScheme)) {
    return nullptr;
  }
  const Hash hash = hash_of(authorization.substr(kScheme.size()));
  const std::string* found = nullptr;
  for (const Entry& one : entries_) {
    if (equal_constant_time(one.hash, hash)) found = &one.owner;
  }
  return found;
}

std::string token_hash(std::string_view token) { return to_hex(hash_of(token)); }

}  // namespace karta::service
