#include "identity/pages/page.h"

#include <map>

#include "base/base64url.h"
#include "base/secret.h"
#include "crypto/digest.h"
#include "identity/pages/assets.h"
#include "identity/pages/cookie.h"

namespace karta::identity {
namespace {

using service::HttpMethod;
using service::HttpRequest;
using service::HttpResponse;

constexpr std::string_view kHtmlType = "text/html; charset=utf-8";
constexpr std::string_view kAssetPath = "/assets/";
constexpr std::string_view kStyle = "pages.css", kScript = "pages.mjs", kIcon = "icon.svg";
constexpr std::size_t kVersionDigits = 12;

// What all pages say.
constexpr Words kSkip{"Skip to the content", "Перейти к содержанию"};
constexpr Words kMenu{"Sections", "Разделы"};
constexpr Words kLogOut{"Log out", "Выйти"};
constexpr Words kLanguages{"Language", "Язык"};

struct MediaRow {
  std::string_view ending, media_type;
};
constexpr MediaRow kMedia[] = {
    {".css", "text/css; charset=utf-8"}, {".mjs", "text/javascript; charset=utf-8"}, {".svg", "image/svg+xml"}};

struct AssetDocument {
  std::string_view media_type;
  std::string etag;
  std::shared_ptr<const Bytes> content;
  std::string address;  ///< with its version: what is kept for a year is asked for under another name once it changed
};

const std::map<std::string_view, AssetDocument>& documents() {
  static const auto* const out = [] {
    auto* made = new std::map<std::string_view, AssetDocument>;
    for (const Asset& asset : assets()) {
      const std::string version =
          to_hex(crypto::digest(crypto::Hash::sha256, as_bytes(asset.content))).substr(0, kVersionDigits);
      std::string_view media_type;
      for (const MediaRow& row : kMedia) {
        if (asset.name.ends_with(row.ending)) media_type = row.media_type;
      }
      made->emplace(asset.name, AssetDocument{media_type, "\"" + version + "\"",
                                              std::make_shared<const Bytes>(to_bytes(as_bytes(asset.content))),
                                              std::string(kAssetPath) + std::string(asset.name) + "?v=" + version});
    }
    return made;
  }();
  return *out;
}

std::string_view address_of(std::string_view asset) {
  const auto found = documents().find(asset);
  KARTA_CHECK(found != documents().end());
  return found->second.address;
}

/// The fields every page has. Forms lead to this server, and where redirects take them on, to where the frame says:
/// browsers hold redirects of forms to the same rule.
std::string security_fields(const PageFrame& frame) {
  std::string out =
      "Cache-Control: no-store\r\n"
      "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
      "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'";
  if (frame.leads_to_portals) out += " https:";
  for (const std::string& one : frame.form_targets) {
    if (const std::string origin = origin_of(one); !origin.empty()) out += " " + origin;
  }
  // Referrer "same-origin": with "no-referrer" browsers would write "Origin: null" with our own forms.
  return out +
         "\r\n"
         "X-Content-Type-Options: nosniff\r\n"
         "Referrer-Policy: same-origin\r\n"
         "Cross-Origin-Opener-Policy: same-origin-allow-popups\r\n"
         "Cross-Origin-Resource-Policy: same-origin\r\n"
         "Permissions-Policy: camera=(), microphone=(), geolocation=(), usb=()\r\n";
}

std::string_view class_of(ButtonKind kind) {
  switch (kind) {
    case ButtonKind::main:
      return "button main";
    case ButtonKind::quiet:
      return "button quiet";
    case ButtonKind::danger:
      return "button danger";
  }
  return "button";
}

std::string_view class_of(NoticeKind kind) {
  switch (kind) {
    case NoticeKind::info:
      return "info";
    case NoticeKind::good:
      return "good";
    case NoticeKind::warning:
      return "warning";
    case NoticeKind::bad:
      return "bad";
  }
  return "info";
}

void write_language_choice(Html& html, const PageFrame& frame) {
  if (frame.come_back.empty()) return;
  html.open("nav", {{"class", "languages"}, {"aria-label", kLanguages.in(frame.language)}});
  for (const auto& [language, label] : {std::pair{Language::english, "English"}, {Language::russian, "Русский"}}) {
    if (language == frame.language) {
      html.element("span", label, {{"lang", name_of(language)}, {"aria-current", "true"}});
    } else {
      const std::string to = std::string(name_of(language));
      html.element("a", label,
                   {{"lang", to},
                    {"hreflang", to},
                    {"href", "/assets/language?to=" + to + "&back=" + encode_percent(frame.come_back)}});
    }
  }
  html.close();
}

void write_head(Html& html, const PageFrame& frame) {
  html.open("header", {{"class", "head"}});
  html.open("span", {{"class", "brand"}});
  html.element("b", "karta");
  if (!frame.area.empty()) html.element("span", frame.area);
  html.close();
  if (!frame.navigation.empty()) {
    html.open("nav", {{"class", "sections"}, {"aria-label", kMenu.in(frame.language)}}).open("ul");
    for (const NavigationLink& link : frame.navigation) {
      html.open("li");
      const bool here = link.href == frame.current;
      // With or without aria-current; "page" is its value.
      if (here) {
        html.element("a", link.label, {{"href", link.href}, {"aria-current", "page"}});
      } else {
        html.element("a", link.label, {{"href", link.href}});
      }
      html.close();
    }
    html.close(2);
  }
  html.open("div", {{"class", "tools"}});
  write_language_choice(html, frame);
  if (!frame.log_out_key.empty()) {
    open_form(html, frame.log_out_action, frame.log_out_key);
    button(html, ButtonKind::quiet, kLogOut.in(frame.language));
    html.close();
  }
  html.close(2);
}

}  // namespace

HttpResponse page_response(int status, const PageFrame& frame, const Html& content, std::string more_fields) {
  Html html;
  html.open("html", {{"lang", name_of(frame.language)}}).open("head");
  html.leaf("meta", {{"charset", "utf-8"}});
  html.leaf("meta", {{"name", "viewport"}, {"content", "width=device-width, initial-scale=1"}});
  const bool says_it_all = frame.area.empty() || frame.area == frame.title;
  html.element("title", says_it_all ? frame.title : frame.title + " · " + frame.area);
  html.leaf("link", {{"rel", "icon"}, {"href", address_of(kIcon)}});
  html.leaf("link", {{"rel", "stylesheet"}, {"href", address_of(kStyle)}});
  html.element("script", "", {{"type", "module"}, {"src", address_of(kScript)}});
  if (!frame.script.empty()) html.element("script", "", {{"type", "module"}, {"src", address_of(frame.script)}});
  html.close().open("body", {{"class", frame.wide ? "wide" : "narrow"}});
  html.element("a", kSkip.in(frame.language), {{"class", "skip"}, {"href", "#main"}});
  write_head(html, frame);
  html.open("main", {{"id", "main"}, {"tabindex", "-1"}});
  html.element("h1", frame.title);
  html.add(content);
  html.close(3);
  HttpResponse out;
  out.status = status;
  out.media_type = kHtmlType;
  out.fields = security_fields(frame) + std::move(more_fields);
  if (status == 503) out.fields += "Retry-After: 5\r\n";
  const std::string text = "<!doctype html>" + std::move(html).take();
  out.body = to_bytes(as_bytes(text));
  return out;
}

HttpResponse see_other(std::string_view address, std::string more_fields) {
  HttpResponse out;
  out.status = 303;
  // A control character would end the field; whoever made such an address gets the front page.
  const bool plain = address.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
  out.fields = "Location: " + std::string(plain ? address : std::string_view("/")) +
               "\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n" + std::move(more_fields);
  return out;
}

std::optional<HttpResponse> asset_response(const HttpRequest& request) {
  if (!request.path.starts_with(kAssetPath)) return std::nullopt;
  const std::string_view name = request.path.substr(kAssetPath.size());
  const bool known = name == "language" || documents().contains(name);
  if (!known) return std::nullopt;
  if (request.method != HttpMethod::get && request.method != HttpMethod::head) {
    HttpResponse out = HttpResponse::text(405, "not in this way");
    out.fields = "Allow: GET, HEAD\r\n";
    return out;
  }
  if (name == "language") {
    const auto query = FormData::of_query(request);
    if (!query) return HttpResponse::text(400, "the address is broken");
    const std::string_view back = query->value("back");
    const Language language = find_language(query->value("to"), Language::english);
    constexpr std::chrono::hours kYear{24 * 365};
    return see_other(is_own_path(back) ? back : "/me", set_cookie(kLanguageCookie, name_of(language), kYear));
  }
  const AssetDocument& asset = documents().find(name)->second;
  HttpResponse out;
  // Under its version it never changes.
  const bool versioned = std::string_view(asset.address).ends_with("?" + std::string(request.query));
  out.fields = "ETag: " + asset.etag + "\r\nX-Content-Type-Options: nosniff\r\nCache-Control: " +
               (versioned ? "public, max-age=31536000, immutable" : "no-cache") + "\r\n";
  if (request.field("If-None-Match") == asset.etag) {
    out.status = 304;
    return out;
  }
  out.media_type = asset.media_type;
  out.shared_body = asset.content;
  return out;
}

void open_form(Html& html, std::string_view action, std::string_view csrf) {
  html.open("form", {{"method", "post"}, {"action", action}});
  hidden_field(html, kCsrfField, csrf);
}

std::string csrf_of(std::string_view cookie) {
  return to_base64url(crypto::digest(crypto::Hash::sha256, as_bytes("karta form: " + std::string(cookie))));
}

bool has_csrf(const FormData& form, std::string_view csrf) {
  return !csrf.empty() && equal_constant_time(as_bytes(form.value(kCsrfField)), as_bytes(csrf));
}

void hidden_field(Html& html, std::string_view name, std::string_view value) {
  html.leaf("input", {{"type", "hidden"}, {"name", name}, {"value", value}});
}

void input_field(Html& html, const InputField& field) {
  const std::string hint_id = std::string(field.name) + "-hint", error_id = std::string(field.name) + "-error";
  std::string described = field.hint.empty() ? "" : hint_id;
  if (!field.error.empty()) described += (described.empty() ? "" : " ") + error_id;
  html.open("div", {{"class", "field"}});
  html.element("label", field.label, {{"for", field.name}});
  const auto given = [](std::string_view name, std::string_view value) {
    return value.empty() ? Attribute(name, false) : Attribute(name, value);
  };
  html.leaf("input", {{"id", field.name},
                      {"name", field.name},
                      {"type", field.type},
                      given("value", field.value),
                      {"maxlength", std::to_string(field.most)},
                      given("autocomplete", field.autocomplete),
                      given("inputmode", field.input_mode),
                      given("aria-describedby", described),
                      given("aria-invalid", field.error.empty() ? "" : "true"),
                      {"required", field.required},
                      {"autofocus", field.focus},
                      {"spellcheck", "false"}});
  if (!field.hint.empty()) html.element("p", field.hint, {{"class", "hint"}, {"id", hint_id}});
  if (!field.error.empty()) html.element("p", field.error, {{"class", "field-error"}, {"id", error_id}});
  html.close();
}

void button(Html& html, ButtonKind kind, std::string_view label, std::string_view name, std::string_view value) {
  if (name.empty()) {
    html.element("button", label, {{"type", "submit"}, {"class", class_of(kind)}});
  } else {
    html.element("button", label, {{"type", "submit"}, {"class", class_of(kind)}, {"name", name}, {"value", value}});
  }
}

void link_button(Html& html, ButtonKind kind, std::string_view label, std::string_view href) {
  html.element("a", label, {{"class", class_of(kind)}, {"href", href}});
}

void notice(Html& html, NoticeKind kind, std::string_view title, std::string_view text) {
  html.open("div", {{"class", "notice " + std::string(class_of(kind))},
                    {"role", kind == NoticeKind::bad ? "alert" : "status"}});
  if (!title.empty()) html.element("strong", title);
  if (!text.empty()) html.element("p", text);
  html.close();
}

void time_element(Html& html, Language language, Time time) {
  html.element("time", show_time(language, time), {{"datetime", format_time(time)}});
}

void badge(Html& html, NoticeKind kind, std::string_view text) {
  html.element("span", text, {{"class", "badge " + std::string(class_of(kind))}});
}

void fact(Html& html, std::string_view name, std::string_view value) { html.element("dt", name).element("dd", value); }

}  // namespace karta::identity
