// Document: a file that many fetch over HTTP, with what lets them keep it: an entity tag, a date, an end.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "service/http_message.h"

namespace karta::identity {

struct Document {
  std::shared_ptr<const Bytes> octets;
  std::string etag;
  Time last_modified{};
  Time expires{};  ///< 0: it does not say
};

/// A strong entity tag of octets: half a SHA-256, in quotes.
std::string etag_of(ByteView octets);
/// True if the client has what stands under `etag` (RFC 9110 §13.1.2).
bool client_has(const service::HttpRequest& request, std::string_view etag);
/// The document, or 304 to a client that has it. `media_type` is of static storage.
service::HttpResponse serve_document(const service::HttpRequest& request, const Document& document,
                                     std::string_view media_type, Time now);

}  // namespace karta::identity
