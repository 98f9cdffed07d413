// PageServer: the desk's pages beside the API: HTML and its assets, and the session of the person at the desk.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "service/configuration.h"
#include "service/http_message.h"

namespace karta::daemon {

struct Services;

/// Who calls: a program of the configuration, or the person at the desk.
struct Caller {
  std::string name;
  std::vector<std::string> verbs;  ///< "*" alone: all
  /// False once the desk's session is over; any thread, short. Empty: a program, which has none.
  std::function<bool()> holds = {};
  bool may(std::string_view verb) const;
};

/// Usable from several threads.
class PageServer {
 public:
  virtual ~PageServer() = default;
  /// The answer for GET / and below, assets, log-in; nothing where the path is none of its own.
  virtual std::optional<service::HttpResponse> serve(const service::HttpRequest& request) = 0;
  /// The desk behind a request's session cookie; null: none that is valid. The pages' calls of the API come by it.
  virtual std::shared_ptr<const Caller> session(const service::HttpRequest& request) = 0;
};

/// Makes the pages; `modes`: names of those at work; `before`: the pages that a reload takes the place of, still
/// asked while it goes on, or null. Who is logged in stays so. Null where Services::looking. [pages] of the
/// configuration is read before.
using PagePlan = std::function<Result<std::unique_ptr<PageServer>>(const Services&, std::vector<std::string> modes,
                                                                   const PageServer* before)>;
/// Reads [pages].
using ReadPages = Result<PagePlan> (*)(service::ConfigTable& table);

}  // namespace karta::daemon
