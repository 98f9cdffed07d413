// EventHub: what happens, as it happens: cards in and out, progress, visits, taps, refusals. Kept for a while, so that
// a client that lost its connection catches up by the last number it saw.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "daemon/json.h"

namespace karta::daemon {

struct Event {
  std::uint64_t number = 0;  ///< goes on rising through restarts; 0: a pulse
  std::string kind;          ///< "card-in"; docs/kartad.md has them all
  std::string data;          ///< one JSON object, a line: "schema", "time", and what the kind has
};

/// Usable from several threads. Personal data never pass through here: whoever may listen is not whoever may read.
class EventHub {
 public:
  explicit EventHub(const Clock& clock, std::uint64_t first_number = 1) : clock_(clock), next_(first_number) {}
  EventHub(const EventHub&) = delete;
  EventHub& operator=(const EventHub&) = delete;

  /// `data`: an object; schema and time are put in front.
  void publish(std::string_view kind, const Json& data);
  /// Calls every listener with an event without a number, so that those who are gone are noticed.
  void pulse();

  /// Called for each event, on the thread that publishes; must not block nor call the hub. False: it wants no more.
  using Listener = std::function<bool(const Event&)>;
  /// First the kept events after `after`, then all that come.
  void listen(std::uint64_t after, Listener listener);
  /// The number of the newest event; 0: none yet.
  std::uint64_t last() const;

  static constexpr std::size_t kKept = 1000;

 private:
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::uint64_t next_;
  std::deque<Event> kept_;
  std::vector<Listener> listeners_;
};

/// An event as text/event-stream has it; a comment where it has no number.
std::string to_stream(const Event& event);

}  // namespace karta::daemon
