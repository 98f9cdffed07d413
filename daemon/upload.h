// JournalUploader: brings the journal to the authority, in order, batch by batch, on a thread of its own.
//
// A record counts as uploaded once the authority says that it has it for good. A batch whose answer was lost is sent
// again and does no harm. While the authority is away the journal grows and the uploader tries ever more rarely; where
// the authority holds another history of this terminal (a fork), it stops and raises the alarm: two terminals live
// under one name, or a journal was put back from a copy.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "identity/authority_client.h"
#include "identity/journal/journal.h"

namespace karta::daemon {

enum class UploadState : std::uint8_t {
  done,     ///< nothing waits
  behind,   ///< records wait for their turn
  away,     ///< the authority cannot be reached; tried again by and by
  refused,  ///< the authority does not take records of this terminal
  alarm,    ///< fork or gap: an operator has to look
};
/// "done" ...
std::string_view name_of(UploadState state);

struct UploadStatus {
  UploadState state = UploadState::done;
  std::uint64_t uploaded_to = 0;
  std::uint64_t waiting = 0;  ///< records
  std::string problem;        ///< of the last attempt; empty: it worked
  std::optional<Time> since;  ///< when the trouble began
  std::optional<Time> last_success;
};

struct UploadOptions {
  std::chrono::seconds every{30};       ///< between looks, where nobody wakes it
  std::chrono::seconds first_pause{5};  ///< after a failure; doubled each time
  std::chrono::seconds most_pause{15 * 60};
  std::size_t batch_records = 500;
  std::chrono::days keep{90};  ///< uploaded records older than this are pruned
};

class JournalUploader {
 public:
  using Connect = std::function<Result<std::unique_ptr<identity::Authority>>()>;
  /// Journal and clock must outlive it.
  JournalUploader(identity::Journal& journal, Connect connect, const Clock& clock, UploadOptions options = {});
  ~JournalUploader();
  JournalUploader(const JournalUploader&) = delete;
  JournalUploader& operator=(const JournalUploader&) = delete;

  /// `changed`: told on the uploader's thread when the state changes and when records arrived.
  void start(std::function<void(const UploadStatus&)> changed = {});
  void stop();
  /// There is something new; from any thread, cheap. Give it to Journal::on_appended.
  void wake();
  /// One batch, on the caller's thread: true if records are left. For tests and for a last attempt at the end.
  Result<bool> send_batch();
  UploadStatus status() const;

 private:
  void run();
  void note(const Result<bool>& outcome);

  identity::Journal* journal_;
  Connect connect_;
  const Clock* clock_;
  UploadOptions options_;
  std::function<void(const UploadStatus&)> changed_;
  std::unique_ptr<identity::Authority> authority_;  // the thread's

  mutable std::mutex mutex_;
  std::condition_variable woken_;
  UploadStatus status_;
  bool stopping_ = false, wake_ = false;
  std::thread thread_;
};

}  // namespace karta::daemon
