// Journal: what a terminal has done, in a chain that cannot be changed unnoticed, on disk before the answer is given.
//
// A SQLite file (WAL, synchronous=FULL) with one writer. append() returns once the record has survived a power cut;
// records of many threads share a sync. Beside PATH stand
//   PATH.lock       who writes
//   PATH.head       number and hash of the last record acknowledged: tells when the end of the file was lost
//   PATH.reserve    room for the records that complete what was begun, once the disk is full
//   PATH.damaged-N  a journal whose end was damaged, as it was found
#pragma once

#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "identity/journal/clock_guard.h"
#include "identity/journal/journal_reader.h"
#include "identity/journal/record.h"

namespace karta::identity {

struct JournalOptions {
  std::size_t reserve_octets = 1u << 20;
  ClockPolicy clock = {};
  ClockGuard::Uptime uptime = ClockGuard::boot_time;
};

/// How appending goes.
enum class JournalHealth : std::uint8_t {
  fine,
  full,     ///< no room: only what completes something begun is taken
  failing,  ///< the last append failed for another reason
};
std::string_view name_of(JournalHealth health);

class Journal {
 public:
  /// Opens the journal of `terminal`, makes it if there is none. Walks the part not walked before; a damaged end is put
  /// aside whole and said in a record. `clock` must outlive the journal. Fails with busy (another program writes it;
  /// the message says which), configuration (the journal of another terminal), not_permitted, io.
  static Result<std::unique_ptr<Journal>> open(const std::filesystem::path& path, std::string terminal,
                                               const Clock& clock, JournalOptions options = {});
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// Appends and returns once it is on disk. `body`: a JSON object. From any thread. Fails with usage (a kind that is
  /// none), malformed, limit, and io where nothing could be written: then nothing was, and whoever was about to change
  /// a card must not. Where the disk is full, kinds that complete something begun (completes()) are still taken.
  Result<JournalPosition> append(std::string_view kind, std::string_view body);

  /// As JournalReader's; from any thread.
  Result<std::vector<JournalRecord>> pages(std::uint64_t after, std::size_t limit) const;
  Result<JournalReport> verify() const;

  JournalPosition last() const;
  /// What the first record kept stands on.
  JournalPosition anchor() const;
  std::uint64_t uploaded_to() const;
  /// The authority has everything up to `number`. A number below the one known changes nothing; beyond the end: usage.
  Status mark_uploaded(std::uint64_t number);
  /// Removes uploaded records from the beginning up to the first one made at `before` or later; their last hash stays.
  /// Returns how many. Give a `before` that comes of a clock the guard finds fine.
  Result<std::uint64_t> prune(Time before);

  /// As the last append went; `full` ends as soon as there is room again.
  JournalHealth health();
  /// What was found and mended when it was opened.
  const std::optional<JournalDamage>& damage() const { return damage_; }
  /// Sees every time a record is given; its latest time is kept in the journal.
  ClockGuard& clock_guard() { return *guard_; }
  const std::string& terminal() const { return terminal_; }
  const std::filesystem::path& path() const { return path_; }

  /// Called after each batch on disk, by the thread that wrote it, with the new end: to wake who sends it on. Must not
  /// append. Set before the first append.
  void on_appended(std::function<void(const JournalPosition&)> callback) { on_appended_ = std::move(callback); }

 private:
  struct Pending;
  struct Store;
  Journal(std::filesystem::path path, std::string terminal, const Clock& clock, JournalOptions options);
  Status open_store();
  /// Each of the batch has its outcome afterwards.
  void write(std::vector<Pending*> batch);
  Status write_once(const std::vector<Pending*>& batch);

  std::filesystem::path path_;
  std::string terminal_;
  const Clock* clock_;
  JournalOptions options_;
  std::unique_ptr<ClockGuard> guard_;
  std::unique_ptr<Store> store_;
  std::optional<JournalDamage> damage_;
  std::function<void(const JournalPosition&)> on_appended_;

  mutable std::mutex mutex_;  // of all below
  std::condition_variable written_;
  std::vector<Pending*> pending_;
  bool writing_ = false;  // a thread is at work on the file
  JournalPosition last_, anchor_;
  std::uint64_t uploaded_to_ = 0;
  JournalHealth health_ = JournalHealth::fine;
};

/// True for kinds that say how something already begun ended: "tap", "redemption".
bool completes(std::string_view kind);

}  // namespace karta::identity
