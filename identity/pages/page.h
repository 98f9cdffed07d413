// Page: the frame all pages of the identity system have in common, and the parts they are made of.
//
// Nothing on a page needs a script. Styles and scripts come from /assets alone: the policy sent with every page allows
// no others, inline ones neither.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "identity/pages/form.h"
#include "identity/pages/html.h"
#include "identity/pages/language.h"
#include "service/http_message.h"

namespace karta::identity {

struct NavigationLink {
  std::string href;
  std::string label;
};

struct PageFrame {
  Language language = Language::english;
  std::string title;  ///< of the page; its only h1
  std::string area;   ///< beside the brand: "My page", "Console"
  std::vector<NavigationLink> navigation = {};
  std::string current = {};  ///< href of the link of `navigation` where the reader is
  std::string come_back =
      {};  ///< the page's own path and query: the choice of language leads back here; empty: no choice
  std::string log_out_key = {};  ///< csrf token for POST `log_out_action`; empty: no such button
  std::string log_out_action = "/logout";
  std::vector<std::string> form_targets = {};  ///< origins a form of the page may lead to by a redirect, beside our own
  bool leads_to_portals = false;  ///< to any https page: where a portal's own redirects lead counts for browsers, too
  bool wide = false;              ///< tables and charts: as wide as the window
  std::string script = {};        ///< a module of /assets beside the one all pages have: "login.mjs"
};

/// The whole page around `content`. It is never cached; with 503 it says when to try again.
service::HttpResponse page_response(int status, const PageFrame& frame, const Html& content,
                                    std::string more_fields = {});
/// 303 See Other: what follows is a GET.
service::HttpResponse see_other(std::string_view address, std::string more_fields = {});

/// The answer for GET /assets/*: styles, scripts, pictures; and /assets/language?to=ru&back=/me, which keeps the choice
/// and leads back. Nothing where there is none of that name.
std::optional<service::HttpResponse> asset_response(const service::HttpRequest& request);

// Parts. Each writes into `html`.

/// <form method="post"> with the hidden field kCsrfField; close() ends it. `csrf` is Session::csrf, or what else binds
/// a form to the browser it was given to.
void open_form(Html& html, std::string_view action, std::string_view csrf);
inline constexpr std::string_view kCsrfField = "csrf";
/// A token for forms from the secret value of a cookie: base64url of a SHA-256, from which the cookie cannot be found.
std::string csrf_of(std::string_view cookie);
/// True if the form holds `csrf`; in constant time.
bool has_csrf(const FormData& form, std::string_view csrf);
void hidden_field(Html& html, std::string_view name, std::string_view value);

struct InputField {
  std::string_view name;  ///< id of the element, too
  std::string_view label;
  std::string_view type = "text";
  std::string_view value = {};
  std::string_view hint = {};   ///< under the field, read with it
  std::string_view error = {};  ///< what is wrong with `value`
  std::string_view autocomplete = {};
  std::string_view input_mode = {};  ///< "numeric"
  std::size_t most = 200;            ///< characters
  bool required = true;
  bool focus = false;
};
void input_field(Html& html, const InputField& field);

enum class ButtonKind : std::uint8_t { main, quiet, danger };
/// A submit button; `name` and `value` go with the form if given.
void button(Html& html, ButtonKind kind, std::string_view label, std::string_view name = {},
            std::string_view value = {});
/// A link that looks like a button.
void link_button(Html& html, ButtonKind kind, std::string_view label, std::string_view href);

enum class NoticeKind : std::uint8_t { info, good, warning, bad };
/// A sentence in a box; `bad` is announced at once by screen readers. `title` may be empty.
void notice(Html& html, NoticeKind kind, std::string_view title, std::string_view text);

/// <time>: shown in UTC, in the reader's own zone where scripts run.
void time_element(Html& html, Language language, Time time);
/// The state of something, as a small label: `kind` colours it.
void badge(Html& html, NoticeKind kind, std::string_view text);
/// <dt>, <dd> inside a <dl class="facts">.
void fact(Html& html, std::string_view name, std::string_view value);

}  // namespace karta::identity
