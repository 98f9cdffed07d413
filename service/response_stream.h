// ResponseStream: a body that is written while the client reads it: server-sent events, a feed.
//
// Writing never blocks. What the client has not taken yet waits in a bounded buffer; when that overflows, or the client
// takes longer than HttpLimits::answer_time over a piece, the connection is cut: whoever reads events must not miss one
// in silence, and comes back with Last-Event-ID. On HTTP/1.1 the body is chunked and the connection lives on after
// close().
#pragma once

#include <string_view>

#include "service/http_message.h"

namespace karta::service {

class ResponseStream {
 public:
  static constexpr std::size_t kMostOctets = 256 * 1024;

  /// `most_octets` may wait for the client.
  explicit ResponseStream(std::size_t most_octets = kMostOctets);
  ResponseStream(const ResponseStream&) = delete;
  ResponseStream& operator=(const ResponseStream&) = delete;
  /// Closes it.
  ~ResponseStream();

  /// Appends to the body. From any thread, also before the handler has returned. False if the client left, reads too
  /// slowly, or the stream is closed: nothing written from then on arrives.
  bool write(std::string_view text);
  /// Ends the body after what was written.
  void close();
  /// True once nobody reads: the client left or was cut, or the server stops.
  bool gone() const;
  /// Called once when gone() becomes true, at once if it is already; not after close(). On a worker's thread: short.
  /// One function only: the last one given.
  void on_gone(std::function<void()> call);

 private:
  friend struct HttpResponse;
  std::shared_ptr<detail::PendingStream> state_;
};

}  // namespace karta::service
