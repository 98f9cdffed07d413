// Mode: a kind of place the daemon stands in: clinic, pharmacy, transit, counter. A mode brings routes of the API and
// what is done when a card comes.
//
// A route is answered either at a card, on the reader's own thread, or here, on the HTTP server's thread, which must be
// quick. The daemon has checked before that the caller may, that the body is a JSON object, and that what changes a
// card bears an Idempotency-Key: a request whose answer is known already never reaches the mode.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/secret.h"
#include "daemon/desk.h"
#include "daemon/front_door.h"
#include "daemon/json.h"
#include "service/http_message.h"

namespace karta::daemon {

struct Route {
  service::HttpMethod method = service::HttpMethod::get;
  std::string_view path;  ///< "/v1/visits/{id}": one segment may be a parameter
  std::string_view verb;  ///< what a caller must be allowed: "visit"
  bool at_card = false;   ///< on a reader's thread, with the card in it
  bool once = false;      ///< changes a card: an Idempotency-Key is required, a repetition gets the first answer
};

/// A call of a route.
struct Call {
  const Route* route = nullptr;
  Json body;                ///< an object; empty for methods without a body
  std::string id = {};      ///< the path's parameter
  std::string query = {};   ///< as it came
  std::string caller = {};  ///< name in the configuration
  std::string key = {};     ///< the Idempotency-Key, with the caller's name in front; empty: none
  /// The daemon was killed, or a card lost, while this very call was at work before: look what became of it.
  bool again = false;
};

/// What a call is answered with. Errors become problem documents (RFC 9457).
struct Reply {
  Json body = {};  ///< an object beginning with "schema"
  /// Members of the body that are secrets, texts in ASCII: in the first answer alone. A repetition gets `body` as it
  /// is: nothing of them is kept.
  std::vector<std::pair<std::string_view, std::shared_ptr<const SecretBytes>>> told_once = {};
  int status = 200;
  std::string location = {};  ///< for 201
  /// In place of `body`: octets of this media type.
  Bytes octets = {};
  std::string_view media_type = {};
  /// The answer comes later, in place of this one: called at once with what takes it, from any thread, once.
  std::function<void(std::function<void(Result<Reply>)> take)> later = {};
  /// Of a call at a card: done on the desk's thread behind the answer, before the desk's next call. An error drops the
  /// connection where the card is to blame, and is told to nobody.
  std::function<Status()> afterwards = {};
};

class Mode {
 public:
  virtual ~Mode() = default;
  virtual std::string_view name() const = 0;
  virtual std::span<const Route> routes() const = 0;

  /// A route with at_card, on the desk's thread. Errors drop the connection where the card is to blame.
  virtual Result<Reply> run(const Call& call, ReaderDesk& desk) = 0;
  /// Any other route, on a thread of the HTTP server; several at once.
  virtual Result<Reply> answer(const Call& call) = 0;

  /// A card came into, or left, a reader of this mode. On the desk's thread.
  virtual void card_in(ReaderDesk& desk) { (void)desk; }
  virtual void card_out(ReaderDesk& desk) { (void)desk; }
  /// The reader is served from now on, or no longer.
  virtual void reader_in(ReaderDesk& desk) { (void)desk; }
  virtual void reader_out(ReaderDesk& desk) { (void)desk; }

  /// Pages of the mode's own, beside the API; null: none.
  virtual FrontDoor* front_door() { return nullptr; }
  /// What GET /v1/status says of the mode; an object. On any thread.
  virtual Json status() const { return Json::object(); }
  /// Every second or so, on a thread of the daemon's: what is old is thrown away.
  virtual void tick() {}
};

/// A mode the daemon knows. `read` takes the mode's own table, [name] of the configuration, and fails as everything in
/// it does, with line and key.
struct ModeRow {
  std::string_view name;
  Result<ModePlan> (*read)(service::ConfigTable& table);
  /// The mode serves the user it runs as: TCP connections of other users are closed, and it stands alone.
  bool own_user_only = false;
};

}  // namespace karta::daemon
