// LaterResponse: the promise of an answer. A handler that would have to wait (for a card, for a server) gives the work
// away and returns `HttpResponse::later(promise)` at once; whoever does the work answers from its own thread.
//
//   auto promise = std::make_shared<LaterResponse>();
//   reader.enqueue([promise, job = parse(request)] { promise->send(run(job)); });
//   return HttpResponse::later(promise);
//
// The request aliases the connection's memory: take what the work needs by value. The connection serves nothing else
// meanwhile, so pipelined requests are answered in their order. A promise that goes unanswered is answered with 500;
// one that is open longer than HttpLimits::later_time, with 504; one too many (HttpLimits::later_responses), with 503.
#pragma once

#include "service/http_message.h"

namespace karta::service {

class LaterResponse {
 public:
  LaterResponse();
  LaterResponse(const LaterResponse&) = delete;
  LaterResponse& operator=(const LaterResponse&) = delete;
  ~LaterResponse();

  /// Answers. From any thread, once; may be called before the handler has returned. False if nobody waits any more
  /// (see gone()) or the answer was given already. A stream is an answer, another later one is not (500).
  bool send(HttpResponse response);
  /// True once nobody waits: the client left (or closed its sending side: a client that wants its answer keeps it
  /// open), the time is over, or the server has stopped.
  bool gone() const;
  /// Called once when gone() becomes true, at once if it is already; not after an answer. On a worker's thread: short.
  /// One function only: the last one given.
  void on_gone(std::function<void()> call);

 private:
  friend struct HttpResponse;
  std::shared_ptr<detail::PendingResponse> state_;
};

}  // namespace karta::service
