// HTTP messages (RFC 9110) as a handler sees them: a request that was read whole, and the response to it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/secret.h"

namespace karta::service {

class LaterResponse;   // later_response.h
class ResponseStream;  // response_stream.h
namespace detail {
class PendingResponse;
class PendingStream;
}  // namespace detail

enum class HttpMethod : std::uint8_t { get, head, post, put, del, other };  ///< del: DELETE

/// Who is at the other end of a local socket, as the kernel knew it when the connection was made (SO_PEERCRED).
struct PeerCredentials {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;  ///< the primary group; further groups are not told
  std::int32_t pid = 0;   ///< for a log; a number that may be another program's by now
};

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
  std::optional<PeerCredentials> peer_credentials = {};  ///< on local sockets
  /// The certificate (DER) the client proved possession of and the server verified against its roots, within its
  /// validity now; empty if there is none.
  ByteView client_certificate = {};
  /// The certificate (DER) the client proved possession of, whoever issued it, whatever its time and use: that and no
  /// more. Differs from client_certificate only where the server takes ClientCertificates::any.
  ByteView shown_certificate = {};

  /// The value of the first field of this name (any case); empty if there is none.
  std::string_view field(std::string_view name) const;
  /// How many fields of this name there are.
  std::size_t count(std::string_view name) const;
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
  /// Or one that holds a secret: the server makes no copy of it, and it is wiped when it goes.
  std::shared_ptr<const SecretBytes> secret_body{};
  /// What later() and stream() set.
  std::shared_ptr<detail::PendingResponse> pending{};
  std::shared_ptr<detail::PendingStream> pending_stream{};

  ByteView content() const {
    if (secret_body) return secret_body->expose_secret();
    return shared_body ? ByteView(*shared_body) : ByteView(body);
  }
  /// A short text for people, one line.
  static HttpResponse text(int status, std::string_view line);
  /// The answer comes later, from any thread, by `later`, of which a copy is kept where the work is done; see
  /// later_response.h. Status, fields and body of this object itself are not used.
  static HttpResponse later(const std::shared_ptr<LaterResponse>& later);
  /// The head goes out at once and the body is what is written to `stream` until it is closed; see response_stream.h.
  /// Fields may be added (`Cache-Control: no-store` becomes an event stream well). `media_type` is of static storage.
  static HttpResponse stream(const std::shared_ptr<ResponseStream>& stream, std::string_view media_type);
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
