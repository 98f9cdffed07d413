// PendingResponse and PendingStream: what a connection shares with whoever answers it from another thread. Only the
// server and the two public ends (later_response.h, response_stream.h) include this.
//
// Both ends outlive each other in any order: the connection leaves before it goes, the far end marks itself abandoned.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "service/http_message.h"

namespace karta::service::detail {

/// A connection that sleeps. wake() is called with the shared object's lock held, from any thread: it posts, and does
/// nothing else.
class Waker {
 public:
  virtual void wake() = 0;

 protected:
  ~Waker() = default;
};

/// The part both have in common: who waits, and whether anybody still does.
class Pending {
 public:
  bool gone() const;
  void on_gone(std::function<void()> call);
  /// The connection sleeps from now on; it is woken at once if there is something for it.
  void attach(Waker* waker);
  /// The connection waits no longer. Whoever asked is told, unless the matter was settled.
  void leave();

 protected:
  ~Pending() = default;
  void wake_locked() {
    if (waker_ != nullptr && !woken_) {
      woken_ = true;
      waker_->wake();
    }
  }

  mutable std::mutex mutex_;
  Waker* waker_ = nullptr;
  bool woken_ = false;    ///< and has not looked since
  bool ready_ = false;    ///< there is something for the connection
  bool settled_ = false;  ///< answered or closed: leaving is no loss
  bool gone_ = false;
  std::function<void()> on_gone_;
};

class PendingResponse final : public Pending {
 public:
  bool send(HttpResponse response);
  /// The answer, if it is there.
  std::optional<HttpResponse> take();

 private:
  std::optional<HttpResponse> answer_;
};

class PendingStream final : public Pending {
 public:
  explicit PendingStream(std::size_t most_octets) : most_octets_(most_octets) {}
  bool write(std::string_view text);
  void close();

  struct Taken {
    std::string text;
    bool closed = false;
    bool overflowed = false;
  };
  /// What waits for the client.
  Taken take();

 private:
  const std::size_t most_octets_;
  std::string text_;
  bool overflowed_ = false;
};

}  // namespace karta::service::detail
