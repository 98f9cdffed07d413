// DeedStore: what callers asked the daemon to do to cards, each under the caller's Idempotency-Key, and commits to
// ledgers whose answer has not come. A repeated request gets the first answer, also after the daemon was killed in
// between.
//
// A SQLite file beside the journal, and a key in a file of its own beside it (deeds.sqlite, deeds.key); every call is
// on disk when it returns. Usable from several threads.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "card/ledger.h"
#include "service/database.h"

namespace karta::daemon {

/// What a call was answered with.
struct DeedAnswer {
  int status = 200;
  std::string body;      ///< JSON
  std::string location;  ///< empty: none
};

struct BegunDeed {
  enum class State : std::uint8_t {
    fresh,          ///< go on
    again,          ///< it was begun before, and how it ended is not known: look first
    done,           ///< `answer` is what it was answered with
    at_work,        ///< the same call is under way
    other_request,  ///< the key was used for something else
  };
  State state = State::fresh;
  DeedAnswer answer;
};

/// A commit that was about to be sent to a card.
struct PendingDeed {
  std::string key;      ///< of the deed
  std::string request;  ///< what the mode wants to know of it later: JSON
  card::PendingCommit commit;
};

class DeedStore {
 public:
  /// Makes the file and the key where they are missing. Fails as Database::open and read_file do, and with malformed
  /// where the key is of another length.
  static Result<std::unique_ptr<DeedStore>> open(const std::filesystem::path& file, const Clock& clock);

  /// What requests are hashed under, as far as they must be compared and not kept: 32 random octets, for good.
  const SecretBytes& essence_key() const { return essence_key_; }

  /// `request`: what is asked for, without secrets: the same key with another one is refused.
  Result<BegunDeed> begin(const std::string& key, const std::string& request);
  /// The answer that repetitions get.
  Status finish(const std::string& key, const DeedAnswer& answer);
  /// It failed. The key is free again, unless something was begun on the card (keep_pending()).
  Status give_up(const std::string& key);

  /// Before COMMIT is sent: takes the place of what was pending for the ledger; holds the deed.
  Status keep_pending(const PendingDeed& pending);
  /// What is pending for the ledger with this serial.
  Result<std::optional<PendingDeed>> pending(ByteView serial);
  /// The ledger with which the deed of this key was begun.
  Result<std::optional<Bytes>> pending_ledger(const std::string& key);
  /// What became of it is known: the deed's answer, or nothing: the card wrote nothing and the key is free again.
  Status settle(ByteView serial, const std::optional<DeedAnswer>& answer);
  /// Ledgers with something pending.
  Result<std::size_t> pending_count();

  /// The next of a series of numbers, from 1; never the same twice.
  Result<std::uint64_t> next_number(const std::string& series);
  /// Forgets answers given before `before`.
  Status forget_before(Time before);

 private:
  DeedStore(service::Database database, SecretBytes essence_key, const Clock& clock)
      : essence_key_(std::move(essence_key)), database_(std::move(database)), clock_(clock) {}

  const SecretBytes essence_key_;
  std::mutex mutex_;
  service::Database database_;
  const Clock& clock_;
  std::set<std::string> at_work_;
};

}  // namespace karta::daemon
