#include "identity/services/document.h"

#include <algorithm>

#include "crypto/digest.h"

namespace karta::identity {

std::string etag_of(ByteView octets) {
  return "\"" + to_hex(ByteView(crypto::digest(crypto::Hash::sha256, octets)).first(16)) + "\"";
}

bool client_has(const service::HttpRequest& request, std::string_view etag) {
  const std::string_view given = request.field("If-None-Match");
  if (given.empty() || etag.empty()) return false;
  return given == "*" || given.find(etag) != std::string_view::npos;
}

service::HttpResponse serve_document(const service::HttpRequest& request, const Document& document,
                                     std::string_view media_type, Time now) {
  service::HttpResponse out;
  out.media_type = media_type;
  out.fields = "ETag: " + document.etag + "\r\n";
  out.fields += "Last-Modified: " + service::http_date(document.last_modified.time_since_epoch().count()) + "\r\n";
  if (document.expires != Time{}) {
    // No longer than an hour: what is newer should not wait for the old one's end.
    constexpr std::int64_t kLongest = 3600;
    const std::int64_t age = std::clamp<std::int64_t>((document.expires - now).count(), 0, kLongest);
    out.fields += "Cache-Control: public, max-age=" + std::to_string(age) + "\r\n";
  }
  if (client_has(request, document.etag)) {
    out.status = 304;
    out.media_type = {};
  } else {
    out.shared_body = document.octets;
  }
  return out;
}

}  // namespace karta::identity
