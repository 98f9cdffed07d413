#include "daemon/citizen/agent_form.h"

#include <algorithm>
#include <set>

#include "service/http_message.h"

namespace karta::daemon {
namespace {

tl::unexpected<Error> bad(const char* what) { return fail(ErrorKind::malformed, std::string("form: ") + what); }

Result<std::string> decode(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return service::decode_percent(spaced);
}

}  // namespace

Result<AgentForm> AgentForm::parse(ByteView body) {
  if (body.size() > kMostOctets) return fail(ErrorKind::limit, "form: too large");
  AgentForm out;
  std::set<std::string_view> seen;
  bool has_deed = false;
  for (std::string_view rest = as_text(body); !rest.empty();) {
    const std::size_t end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos) return bad("a field without a value");
    const std::string_view name = pair.substr(0, equals), value = pair.substr(equals + 1);
    if (!seen.insert(name).second) return bad("a field is there twice");
    if (name == "pin" || name == "can") {
      // Digits need no decoding; whatever is written otherwise is no digit.
      const bool digits = value.size() <= kMostSecret &&
                          std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
      if (!digits) {
        out.secrets_are_digits = false;
        continue;
      }
      (name == "pin" ? out.pin : out.can) = SecretBytes::copy_of(value);
    } else if (name == "csrf") {
      out.csrf = TRY(decode(value));
    } else if (name == "reader") {
      out.reader = TRY(decode(value));
    } else if (name == "last") {
      if (value != "yes") return bad("\"last\"");
      out.last_try_known = true;
    } else if (name == "deed") {
      if (value != "login" && value != "give-up") return bad("\"deed\"");
      out.deed = value == "login" ? Deed::login : Deed::give_up;
      has_deed = true;
    } else {
      return bad("a field that is none of the page's");
    }
  }
  if (!has_deed) return bad("\"deed\" is missing");
  return out;
}

}  // namespace karta::daemon
