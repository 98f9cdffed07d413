// DeskPages: the PageServer of karta: one HTML shell a mode, its style and modules, all compiled in, and the session of
// the desk.
#pragma once

#include <map>

#include "daemon/page_server.h"
#include "daemon/pages/desk_sessions.h"

namespace karta::daemon {

struct DeskPageOptions {
  std::string name = "desk";            ///< of the desk as a caller, in journal and log
  std::vector<std::string> verbs = {};  ///< what the desk may ask of the API
  std::vector<std::string> modes = {};  ///< at work; each has a page
  DeskSessionOptions session = {};
};

class DeskPages final : public PageServer {
 public:
  /// `clock` and `random` must outlive it. Where `before` keeps its sessions in the same file, both have the same ones
  /// from now on: whoever logs in at either is known to both. Fails as the writing of a link does.
  static Result<std::unique_ptr<DeskPages>> create(DeskPageOptions options, const Clock& clock, RandomSource& random,
                                                   const DeskPages* before = nullptr);

  /// GET and HEAD of /, /login, a page a mode, /assets/*; POST /login {"code"} and POST /logout.
  std::optional<service::HttpResponse> serve(const service::HttpRequest& request) override;
  /// By the cookie "karta-desk-PORT" and the field Karta-Desk, which holds the page key.
  std::shared_ptr<const Caller> session(const service::HttpRequest& request) override;

 private:
  struct Document {
    std::string_view media_type;
    std::string fields;
    std::string etag;
    std::shared_ptr<const Bytes> content;
  };
  DeskPages(DeskPageOptions options, std::shared_ptr<DeskSessions> sessions);
  static Document make_document(std::string_view media_type, std::string_view content, const std::string& fields);
  const Document* find(const service::HttpRequest& request) const;
  service::HttpResponse log_in(const service::HttpRequest& request);
  service::HttpResponse log_out(const service::HttpRequest& request);

  DeskPageOptions options_;
  std::shared_ptr<DeskSessions> sessions_;
  std::map<std::string, Document, std::less<>> assets_;                        // by path
  std::map<std::string, std::map<std::string, Document>, std::less<>> pages_;  // by path, by language
};

}  // namespace karta::daemon
