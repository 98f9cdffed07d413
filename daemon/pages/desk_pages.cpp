#include "daemon/pages/desk_pages.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "crypto/digest.h"
#include "daemon/pages/assets.h"
#include "service/json_problem.h"

namespace karta::daemon {
namespace {

using service::HttpMethod;
using service::HttpRequest;
using service::HttpResponse;

constexpr std::string_view kHtml = "text/html; charset=utf-8";
constexpr std::string_view kJson = "application/json";
constexpr std::string_view kShell = "shell.html", kHome = "home", kLogIn = "login";

struct MediaRow {
  std::string_view ending, media_type;
};
constexpr MediaRow kMedia[] = {
    {".css", "text/css; charset=utf-8"}, {".mjs", "text/javascript; charset=utf-8"}, {".svg", "image/svg+xml"}};

/// A page: its path, the module that makes it, its title in both languages.
struct PageRow {
  std::string_view path, mode, english, russian;
};
constexpr PageRow kPages[] = {
    {"/", kHome, "Desk", "Рабочее место"},
    {"/login", kLogIn, "Log in", "Вход"},
    {"/clinic", "clinic", "Clinic", "Клиника"},
    {"/pharmacy", "pharmacy", "Pharmacy", "Аптека"},
    {"/counter", "counter", "Counter", "Окно обслуживания"},
    {"/transit", "transit", "Transit", "Транспорт"},
};

struct LanguageRow {
  std::string_view language, skip, noscript;
};
constexpr LanguageRow kLanguages[] = {
    {"en", "Skip to the content", "This page works with JavaScript: please allow it for this address."},
    {"ru", "Перейти к содержанию", "Этой странице нужен JavaScript: разрешите его для этого адреса."},
};

// Everything comes from here and from nowhere else.
constexpr std::string_view kSecurity =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cross-Origin-Opener-Policy: same-origin\r\n"
    "Cross-Origin-Resource-Policy: same-origin\r\n"
    "Permissions-Policy: camera=(), microphone=(), geolocation=(), usb=()\r\n";

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size()) {
    text.replace(at, what.size(), by);
  }
}

bool same_letters(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
           return std::tolower(static_cast<unsigned char>(x)) == std::tolower(static_cast<unsigned char>(y));
         });
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// The first language of Accept-Language (RFC 9110 §12.5.4) that there are pages in. Weights are left aside: browsers
/// write the languages in order.
std::string_view language_of(const HttpRequest& request) {
  std::string_view rest = request.field("Accept-Language");
  while (!rest.empty()) {
    const auto comma = rest.find(',');
    const std::string_view range = trimmed(rest.substr(0, comma));
    const std::string_view primary = range.substr(0, range.find_first_of("-;"));
    for (const LanguageRow& row : kLanguages) {
      if (same_letters(primary, row.language)) return row.language;
    }
    rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
  }
  return kLanguages[0].language;
}

/// The port in Host: two daemons on one machine share the browser's jar of cookies.
std::string cookie_name(const HttpRequest& request) {
  const std::string_view host = request.field("Host");
  const auto colon = host.rfind(':');
  const std::string_view port = colon == std::string_view::npos ? "80" : host.substr(colon + 1);
  const bool number =
      !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == std::string_view::npos;
  return "karta-desk-" + std::string(number ? port : "80");
}

/// RFC 6265 §4.2.1.
std::string_view cookie_of(const HttpRequest& request) {
  const std::string name = cookie_name(request);
  std::string_view rest = request.field("Cookie");
  while (!rest.empty()) {
    const auto end = rest.find(';');
    const std::string_view pair = trimmed(rest.substr(0, end));
    const auto equals = pair.find('=');
    if (equals != std::string_view::npos && pair.substr(0, equals) == name) return pair.substr(equals + 1);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
  }
  return {};
}

HttpResponse problem(int status, std::string name, std::string detail, std::string hint = {}) {
  return service::JsonProblem{
      .status = status, .name = std::move(name), .detail = std::move(detail), .hint = std::move(hint)}
      .to_response();
}

}  // namespace

Result<std::unique_ptr<DeskPages>> DeskPages::create(DeskPageOptions options, const Clock& clock, RandomSource& random,
                                                     const DeskPages* before) {
  std::shared_ptr<DeskSessions> sessions;
  if (before != nullptr && before->options_.session.file == options.session.file) {
    sessions = before->sessions_;
    TRY(sessions->change(options.session));
  } else {
    sessions = TRY(DeskSessions::create(options.session, clock, random));
  }
  return std::unique_ptr<DeskPages>(new DeskPages(std::move(options), std::move(sessions)));
}

DeskPages::DeskPages(DeskPageOptions options, std::shared_ptr<DeskSessions> sessions)
    : options_(std::move(options)), sessions_(std::move(sessions)) {
  const auto is_at_work = [&](std::string_view mode) {
    return std::find(options_.modes.begin(), options_.modes.end(), mode) != options_.modes.end();
  };
  std::string modes;
  for (const PageRow& page : kPages) {
    if (is_at_work(page.mode)) modes += (modes.empty() ? "" : " ") + std::string(page.mode);
  }
  for (const Asset& asset : assets()) {
    for (const MediaRow& row : kMedia) {
      if (asset.name.ends_with(row.ending)) {
        assets_["/assets/" + std::string(asset.name)] = make_document(row.media_type, asset.content, {});
      }
    }
    if (asset.name != kShell) continue;
    for (const PageRow& page : kPages) {
      if (page.mode != kHome && page.mode != kLogIn && !is_at_work(page.mode)) continue;
      for (const LanguageRow& words : kLanguages) {
        std::string html(asset.content);
        replace_all(html, "{{language}}", words.language);
        replace_all(html, "{{skip}}", words.skip);
        replace_all(html, "{{noscript}}", words.noscript);
        replace_all(html, "{{title}}", words.language == "ru" ? page.russian : page.english);
        replace_all(html, "{{mode}}", page.mode);
        replace_all(html, "{{modes}}", modes);
        pages_[std::string(page.path)][std::string(words.language)] = make_document(
            kHtml, html, "Vary: Accept-Language\r\nContent-Language: " + std::string(words.language) + "\r\n");
      }
    }
  }
}

DeskPages::Document DeskPages::make_document(std::string_view media_type, std::string_view content,
                                             const std::string& fields) {
  const std::string etag = '"' + to_hex(crypto::digest(crypto::Hash::sha256, as_bytes(content))).substr(0, 32) + '"';
  return {.media_type = media_type,
          .fields = std::string(kSecurity) + fields + "ETag: " + etag + "\r\nCache-Control: no-cache\r\n",
          .etag = etag,
          .content = std::make_shared<const Bytes>(to_bytes(as_bytes(content)))};
}

const DeskPages::Document* DeskPages::find(const HttpRequest& request) const {
  if (const auto asset = assets_.find(request.path); asset != assets_.end()) return &asset->second;
  const auto page = pages_.find(request.path);
  return page == pages_.end() ? nullptr : &page->second.at(std::string(language_of(request)));
}

std::optional<HttpResponse> DeskPages::serve(const HttpRequest& request) {
  const bool log_in_path = request.path == "/login", log_out_path = request.path == "/logout";
  if (request.method == HttpMethod::post && log_in_path) return log_in(request);
  if (request.method == HttpMethod::post && log_out_path) return log_out(request);
  const Document* const document = find(request);
  if (document == nullptr && !log_out_path) return std::nullopt;
  if (document == nullptr || (request.method != HttpMethod::get && request.method != HttpMethod::head)) {
    HttpResponse response = problem(405, "usage", "the page does not know this method");
    response.fields += log_in_path    ? "Allow: GET, HEAD, POST\r\n"
                       : log_out_path ? "Allow: POST\r\n"
                                      : "Allow: GET, HEAD\r\n";
    return response;
  }
  if (request.field("If-None-Match") == document->etag) {
    return HttpResponse{.status = 304, .fields = document->fields};
  }
  return HttpResponse{.media_type = document->media_type, .fields = document->fields, .shared_body = document->content};
}

HttpResponse DeskPages::log_in(const HttpRequest& request) {
  if (!same_letters(request.media_type(), kJson)) return problem(415, "usage", "the body must be JSON");
  const auto body = nlohmann::json::parse(request.body.begin(), request.body.end(), nullptr, false);
  if (!body.is_object() || !body.contains("code") || !body["code"].is_string()) {
    return problem(400, "malformed", "the body must be an object with \"code\"");
  }
  auto session = sessions_->log_in(body["code"].get_ref<const std::string&>());
  if (!session) return service::JsonProblem::of(session.error()).to_response();
  const nlohmann::ordered_json answer = {{"schema", "karta.kartad.desk-session/1"}, {"key", session->key}};
  HttpResponse response{.media_type = kJson, .body = to_bytes(as_bytes(answer.dump()))};
  // Not "Secure": the address is this machine's own, without TLS.
  response.fields = "Set-Cookie: " + cookie_name(request) + "=" + session->cookie +
                    "; Path=/; HttpOnly; SameSite=Strict\r\nCache-Control: no-store\r\n";
  return response;
}

HttpResponse DeskPages::log_out(const HttpRequest& request) {
  if (const Status ended = sessions_->log_out(cookie_of(request), request.field("Karta-Desk")); !ended) {
    return service::JsonProblem::of(ended.error()).to_response();
  }
  HttpResponse response{.status = 204};
  response.fields = "Set-Cookie: " + cookie_name(request) +
                    "=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0\r\nCache-Control: no-store\r\n";
  return response;
}

std::shared_ptr<const Caller> DeskPages::session(const HttpRequest& request) {
  auto name = sessions_->find(cookie_of(request), request.field("Karta-Desk"));
  if (!name) return nullptr;
  return std::make_shared<const Caller>(
      Caller{.name = options_.name, .verbs = options_.verbs, .holds = [sessions = sessions_, name = std::move(*name)] {
               return sessions->lives(name);
             }});
}

}  // namespace karta::daemon
