#include "service/json_problem.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace karta::service {
namespace {

struct StatusRow {
  ErrorKind kind;
  int status;
};
// RFC 9110 §15: 400 this request is wrong, 403 not for you, 404 no such thing, 409 the state of things is in the way
// (a card's or reader's, too: the request itself is fine), 422 understood and impossible, 503 not now.
constexpr auto kStatuses = std::to_array<StatusRow>({
    {ErrorKind::usage, 400},
    {ErrorKind::malformed, 400},
    {ErrorKind::not_found, 404},
    {ErrorKind::already_exists, 409},
    {ErrorKind::not_permitted, 403},
    {ErrorKind::io, 503},
    {ErrorKind::configuration, 503},
    {ErrorKind::no_pcscd, 503},
    {ErrorKind::no_reader, 503},
    {ErrorKind::no_card, 409},
    {ErrorKind::card_removed, 409},
    {ErrorKind::card_busy, 409},
    {ErrorKind::card_unresponsive, 409},
    {ErrorKind::card_refused, 409},
    {ErrorKind::card_unknown, 422},
    {ErrorKind::card_insecure, 409},
    {ErrorKind::wrong_pin, 403},
    {ErrorKind::pin_blocked, 403},
    {ErrorKind::pin_rejected, 422},
    {ErrorKind::transport_pin, 409},
    {ErrorKind::cancelled, 409},
    {ErrorKind::untrusted, 403},
    {ErrorKind::invalid_signature, 422},
    {ErrorKind::unsupported, 422},
    {ErrorKind::limit, 413},
    {ErrorKind::busy, 503},
    {ErrorKind::internal, 500},
});

constexpr bool in_order() {
  for (std::size_t i = 0; i < kStatuses.size(); ++i) {
    if (static_cast<std::size_t>(kStatuses[i].kind) != i) return false;
  }
  return kStatuses.size() == static_cast<std::size_t>(ErrorKind::internal) + 1;
}
static_assert(in_order(), "one row a kind, in the order of the enum");

/// JSON text of a string; what is no UTF-8 is replaced, not refused: an error must get out.
std::string json_text(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

int http_status_of(ErrorKind kind) { return kStatuses[static_cast<std::size_t>(kind)].status; }

JsonProblem JsonProblem::of(const Error& error) {
  JsonProblem out;
  out.status = http_status_of(error.kind);
  out.name = row_of(error.kind).name;
  out.detail = error.message;
  // How a command line is called is no help to who asks over HTTP.
  if (error.kind != ErrorKind::usage || !error.hint.empty()) out.hint = error.next_step();
  return out;
}

std::string JsonProblem::to_json() const {
  std::string title = name;
  std::replace(title.begin(), title.end(), '-', ' ');
  std::string out = "{\"type\":" + json_text(std::string(kProblemTypePrefix) + name) +
                    ",\"title\":" + json_text(title) + ",\"status\":" + std::to_string(status);
  if (!detail.empty()) out += ",\"detail\":" + json_text(detail);
  if (!hint.empty()) out += ",\"hint\":" + json_text(hint);
  for (const Member& one : members) out += "," + json_text(one.name) + ":" + one.json;
  return out + "}";
}

HttpResponse JsonProblem::to_response() const {
  HttpResponse out;
  out.status = status;
  out.media_type = kProblemMediaType;
  out.fields = "Cache-Control: no-store\r\n";
  if (status == 429 || status == 503) out.fields += "Retry-After: 2\r\n";
  out.body = to_bytes(as_bytes(to_json()));
  return out;
}

}  // namespace karta::service
