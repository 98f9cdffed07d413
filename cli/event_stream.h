// EventStream: kartad's live events from the other side: a request for text/event-stream on a local socket or loopback
// TCP, and its answer read as it comes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace karta::cli {

struct StreamedEvent {
  std::string id, kind, data;
};

/// Takes an HTTP answer apart as its octets come: the head, chunks (RFC 9112 §7.1), events in them (WHATWG HTML §9.2).
class EventStreamReader {
 public:
  static constexpr std::size_t kMostOctets = 1 << 20;  ///< of a line or a head

  using OnEvent = std::function<void(const StreamedEvent&)>;
  /// Calls `event` for every whole event in what has come so far. Fails with malformed, limit, or, where the answer is
  /// no 200, with the problem it tells.
  Status feed(std::string_view octets, const OnEvent& event);
  /// The last chunk has come.
  bool ended() const { return state_ == State::end; }

 private:
  enum class State : std::uint8_t { head, size, chunk, chunk_end, plain, end };
  Status take_head();
  Status take_problem();
  void take_line(std::string_view line, const OnEvent& event);
  void take_text(std::string_view text, const OnEvent& event);

  State state_ = State::head;
  int status_ = 0;
  std::string buffer_, line_;
  std::size_t left_ = 0;  // of the chunk
  StreamedEvent event_;
};

/// Where kartad listens.
struct EventSource {
  std::string socket;  ///< a path; or else
  std::string url;     ///< "http://127.0.0.1:8470"
  std::string token;   ///< for the URL
};

/// Connects and reads until the daemon ends the stream or `event` says false. `after`: an event's number; empty: from
/// now on. Fails with io, usage, and as EventStreamReader does.
Status read_events(const EventSource& source, const std::string& after,
                   const std::function<bool(const StreamedEvent&)>& event);

}  // namespace karta::cli
