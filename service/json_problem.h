// JsonProblem: an error as an HTTP API tells it (RFC 9457, problem details for HTTP APIs).
//
//   {"type": "urn:karta:error:card-removed", "title": "card removed", "status": 409, "detail": "the card went ...",
//    "hint": "put the card back and try again"}
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "service/http_message.h"

namespace karta::service {

inline constexpr std::string_view kProblemMediaType = "application/problem+json";
inline constexpr std::string_view kProblemTypePrefix = "urn:karta:error:";

struct JsonProblem {
  int status = 500;
  std::string name;         ///< the end of `type`: an ErrorKind's name, or a word of the API's own
  std::string detail = {};  ///< what is wrong with this request
  std::string hint = {};    ///< the next step; left out if empty
  /// Members beside these; values are JSON texts. For what a program must read: {"tries_left", "2"}.
  struct Member {
    std::string name;
    std::string json;
  };
  std::vector<Member> members = {};

  /// The error in this form: status and name of its kind, its message and next step.
  static JsonProblem of(const Error& error);
  std::string to_json() const;
  /// With Cache-Control: no-store, and Retry-After where trying again soon is the advice (busy, 429, 503).
  HttpResponse to_response() const;
};

/// The HTTP status of an error kind: one row each.
int http_status_of(ErrorKind kind);

}  // namespace karta::service
