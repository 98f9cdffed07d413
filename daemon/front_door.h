// FrontDoor: pages of a mode that people come to with a browser, led by pages of other sites on purpose. What the
// gatekeeper refuses from elsewhere, such a door must look at itself: it gets every request of its paths unguarded.
#pragma once

#include <string_view>

#include "service/http_message.h"

namespace karta::daemon {

class ReaderHall;

class FrontDoor {
 public:
  virtual ~FrontDoor() = default;
  virtual bool owns(std::string_view path) const = 0;
  /// On a thread of the HTTP server; several at once. An answer of 403 is noted as a refusal.
  virtual service::HttpResponse serve(const service::HttpRequest& request, ReaderHall& hall) = 0;
};

}  // namespace karta::daemon
