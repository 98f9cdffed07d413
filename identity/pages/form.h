// FormData: the fields of a form as a browser sends them, application/x-www-form-urlencoded; queries of addresses too.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "service/http_message.h"

namespace karta::identity {

class FormData {
 public:
  static constexpr std::size_t kMostFields = 64;
  static constexpr std::size_t kMostOctets = 32 * 1024;  ///< of the whole

  /// Errors: malformed (a broken escape, octets that are no UTF-8, a NUL, a name twice), limit.
  static Result<FormData> parse(std::string_view text);
  /// The body of a POST. Errors: malformed, also for another media type than application/x-www-form-urlencoded.
  static Result<FormData> of_body(const service::HttpRequest& request);
  static Result<FormData> of_query(const service::HttpRequest& request) { return parse(request.query); }

  /// Empty if it is not there.
  std::string_view value(std::string_view name) const;
  bool has(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// `text` with everything but RFC 3986's unreserved characters as %XX: a value in a query.
std::string encode_percent(std::string_view text);

/// True if a request that changes something comes from a page of ours. What tells are the fields a browser writes and
/// no page can change: Sec-Fetch-Site is "same-origin", and Origin is `own_origin` ("https://id.example"). At least one
/// of the two must be there: every browser sends Origin with a POST.
bool comes_from_own_page(const service::HttpRequest& request, std::string_view own_origin);

/// A path on this server that a page may lead on to: "/me/cards?page=2". Not another server's ("//evil.example", and
/// what browsers read as such), no control characters, at most 2,048 octets.
bool is_own_path(std::string_view path);

/// "https://host[:port]" of an http or https address; empty for anything else.
std::string origin_of(std::string_view address);

}  // namespace karta::identity
