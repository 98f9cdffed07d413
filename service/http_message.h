// HTTP messages (RFC 9110) as a handler sees them: a request that was read whole, and the response to it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace karta::service {

enum class HttpMethod : std::uint8_t { get, head, post, other };

struct HttpField {
  std::string_view name;
  std::string_view value;
};

/// A request. Everything aliases the connection's memory and lives until the handler returns.
struct HttpRequest {
  HttpMethod method = HttpMethod::other;
  std::string_view path;   ///< begins with a slash; percent-encoded as it came
  std::string_view query;  ///< after the question mark, as it came; empty: none
  std::vector<HttpField> fields = {};
  ByteView body;
  std::string_view peer;  ///< address without port: "192.0.2.1"; "unix" on a local socket

  /// The value of the first field of this name (any case); empty if there is none.
  std::string_view field(std::string_view name) const;
  /// The media type of Content-Type, without parameters, as it came.
  std::string_view media_type() const;
};

/// A response. Length, date and connection fields are the server's to write.
struct HttpResponse {
  int status = 200;
  std::string_view media_type = {};            ///< of static storage; empty: no Content-Type
  std::string fields = {};                     ///< further fields: "Name: value\r\n" each
  Bytes body = {};                             ///< or else
  std::shared_ptr<const Bytes> shared_body{};  ///< one that many responses have in common

  ByteView content() const { return shared_body ? ByteView(*shared_body) : ByteView(body); }
  /// A short text for people, one line.
  static HttpResponse text(int status, std::string_view line);
};

/// "Not Found"; empty for a status this server does not use.
std::string_view reason_phrase(int status);

/// Reads `octets` as one HTTP/1.1 request, whole, as the server does, and calls `use` with it. Fails with malformed or
/// limit; for fuzz targets and tests of handlers.
Status with_parsed_request(ByteView octets, const std::function<void(const HttpRequest&)>& use);

/// A path segment with its percent signs decoded (RFC 3986 §2.1). Fails (malformed) on a broken escape.
Result<std::string> decode_percent(std::string_view text);

/// IMF-fixdate (RFC 9110 §5.6.7): "Sun, 06 Nov 1994 08:49:37 GMT".
std::string http_date(std::int64_t unix_seconds);

}  // namespace karta::service
