// ReaderHall: all readers of the machine, each with its desk and its thread, as they come and go.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "daemon/mode.h"
#include "daemon/reader_source.h"

namespace karta::daemon {

/// A call on its way to a reader's thread. Exactly one of the two is called.
struct ReaderJob {
  std::function<void(ReaderDesk&)> work;
  std::function<void(const Error&)> refuse;
};

struct ReaderView {
  enum class State : std::uint8_t { empty, card, busy, mute, working };
  std::string name;
  State state = State::empty;
  std::vector<std::string> modes;  ///< empty: not served
  std::uint32_t gate = 0;
};
/// "empty", "card", "busy", "mute", "working"
std::string_view name_of(ReaderView::State state);

class ReaderHall {
 public:
  /// Calls that may wait at one reader.
  static constexpr std::size_t kMostWaiting = 8;

  /// `modes` outlive it.
  ReaderHall(std::unique_ptr<ReaderSource> source, const Services& services, std::vector<Mode*> modes);
  ~ReaderHall();
  ReaderHall(const ReaderHall&) = delete;
  ReaderHall& operator=(const ReaderHall&) = delete;

  /// Returns when the readers that are there are known, or cannot be looked at in time. `seen`: readers whose card the
  /// modes have been told of already, before a reload: a card that lies there does not come anew.
  void start(std::set<std::string> seen = {});
  /// Calls that wait are refused, the one at work at each reader ends first. Returns the readers with a card in them
  /// that the modes have been told of.
  std::set<std::string> stop();
  /// Who pauses between two tries at a reader gives up now: the end is near.
  void give_up();

  std::vector<ReaderView> readers() const;
  bool pcscd_running() const { return pcscd_; }
  /// The reader of `mode` meant by `wanted` (choose_reader()). Fails with no_pcscd, no_reader, no_card, usage.
  Result<std::string> choose(std::string_view mode, std::string_view wanted) const;
  /// Fails with `busy` (too many wait, or the daemon stops) or `no_reader`; then neither of the job's functions is
  /// called.
  Status submit(const std::string& reader, ReaderJob job);

 private:
  class DeskThread;
  void watch();
  void take(const card::ReaderEvent& event);
  void remove(const std::string& reader);
  void reap(bool all);

  std::unique_ptr<ReaderSource> source_;
  const Services& services_;
  std::vector<Mode*> modes_;
  std::atomic<bool> pcscd_{false}, stopping_{false};
  std::set<std::string> seen_;  // of the watching thread
  mutable std::mutex mutex_;    // of the three below
  std::condition_variable woken_;
  bool looked_ = false;
  std::map<std::string, std::shared_ptr<DeskThread>> desks_;
  std::vector<std::shared_ptr<DeskThread>> leaving_;
  std::thread thread_;
};

}  // namespace karta::daemon
