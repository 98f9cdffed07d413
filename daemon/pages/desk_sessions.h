// DeskSessions: how the person at the desk becomes known to the daemon without a password.
//
// The daemon keeps a link in a file that only the desk's user may read. The link is good once: opened in a browser, it
// becomes a session, and the file gets the next one. The code stands behind the link's number sign, which browsers send
// to nobody; the page posts it.
//
// A session has two halves. The cookie goes to every port of the host it was set for, so that another user's server on
// this machine could catch it; the page key is kept by the browser for the page's own origin, port included. Only both
// together are a session. Neither is kept here: their hashes are, in a file, so that a restart sends nobody home.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/random.h"
#include "base/result.h"

namespace karta::daemon {

struct DeskSessionOptions {
  std::filesystem::path file;  ///< of the sessions' hashes; the daemon's own
  std::filesystem::path link_file;
  /// Who may read the file beside its owner; the daemon must be in the group, or root.
  std::optional<gid_t> link_group = {};
  std::string address;  ///< "http://127.0.0.1:8470", without a path
  std::chrono::hours life{12};
};

/// Usable from several threads.
class DeskSessions {
 public:
  /// Takes up the sessions of before and writes the first link. Fails as that does: io, not_permitted. `clock` and
  /// `random` must outlive it.
  static Result<std::unique_ptr<DeskSessions>> create(DeskSessionOptions options, const Clock& clock,
                                                      RandomSource& random);

  /// A configuration read anew: sessions stay, with the ends they have. The link stays too where place and address do;
  /// else one is written at the new place, and that of before is good no longer. `options.file` must be the same.
  /// Fails as create does; then all is as it was.
  Status change(DeskSessionOptions options);

  struct Session {
    std::string cookie, key;  ///< 64 hexadecimal digits each
  };
  /// Uses the link up and writes the next one. Fails with not_permitted: the code is none, or was used already.
  Result<Session> log_in(std::string_view code);
  bool valid(std::string_view cookie, std::string_view key) const { return find(cookie, key).has_value(); }
  /// The name of a valid session, which opens nothing: for lives().
  std::optional<Bytes> find(std::string_view cookie, std::string_view key) const;
  /// It has not ended since.
  bool lives(const Bytes& name) const;
  /// Fails with io: the session is over, but would be taken up again after a restart.
  Status log_out(std::string_view cookie, std::string_view key);

  /// The oldest goes when there are more.
  static constexpr std::size_t kMostSessions = 16;

 private:
  struct Kept {
    Bytes key_hash;
    Time from{}, until{};
  };
  DeskSessions(DeskSessionOptions options, const Clock& clock, RandomSource& random)
      : options_(std::move(options)), clock_(clock), random_(random) {}
  void load();
  Status save() const;
  bool in_time(const Kept& kept) const;
  Status new_link();

  DeskSessionOptions options_;
  const Clock& clock_;
  RandomSource& random_;
  mutable std::mutex mutex_;
  Bytes code_hash_;                 // of the link that is good now
  std::map<Bytes, Kept> sessions_;  // by the cookie's hash
};

}  // namespace karta::daemon
