#include "service/pending_response.h"

#include "service/later_response.h"
#include "service/response_stream.h"

namespace karta::service {
namespace detail {

bool Pending::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

void Pending::on_gone(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (!gone_) {
      on_gone_ = std::move(call);
      return;
    }
    if (settled_) return;
  }
  call();
}

void Pending::attach(Waker* waker) {
  const std::lock_guard lock(mutex_);
  waker_ = waker;
  woken_ = false;
  if (ready_) wake_locked();
}

void Pending::leave() {
  std::function<void()> call;
  {
    const std::lock_guard lock(mutex_);
    waker_ = nullptr;
    if (gone_) return;
    gone_ = true;
    if (!settled_) call = std::move(on_gone_);
    on_gone_ = nullptr;
  }
  if (call) call();
}

bool PendingResponse::send(HttpResponse response) {
  const std::lock_guard lock(mutex_);
  if (gone_ || settled_) return false;
  settled_ = true;
  ready_ = true;
  answer_ = std::move(response);
  wake_locked();
  return true;
}

std::optional<HttpResponse> PendingResponse::take() {
  const std::lock_guard lock(mutex_);
  woken_ = false;
  return std::exchange(answer_, std::nullopt);
}

bool PendingStream::write(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (gone_ || settled_ || overflowed_) return false;
  if (text.empty()) return true;
  if (text_.size() + text.size() > most_octets_) {
    overflowed_ = true;
  } else {
    text_ += text;
  }
  ready_ = true;
  wake_locked();
  return !overflowed_;
}

void PendingStream::close() {
  const std::lock_guard lock(mutex_);
  if (settled_) return;
  settled_ = true;
  ready_ = true;
  wake_locked();
}

PendingStream::Taken PendingStream::take() {
  const std::lock_guard lock(mutex_);
  woken_ = false;
  ready_ = settled_;
  return {std::exchange(text_, {}), settled_, overflowed_};
}

}  // namespace detail

LaterResponse::LaterResponse() : state_(std::make_shared<detail::PendingResponse>()) {}
LaterResponse::~LaterResponse() { state_->send(HttpResponse::text(500, "the request went unanswered")); }
bool LaterResponse::send(HttpResponse response) { return state_->send(std::move(response)); }
bool LaterResponse::gone() const { return state_->gone(); }
void LaterResponse::on_gone(std::function<void()> call) { state_->on_gone(std::move(call)); }

ResponseStream::ResponseStream(std::size_t most_octets)
    : state_(std::make_shared<detail::PendingStream>(most_octets)) {}
ResponseStream::~ResponseStream() { state_->close(); }
bool ResponseStream::write(std::string_view text) { return state_->write(text); }
void ResponseStream::close() { state_->close(); }
bool ResponseStream::gone() const { return state_->gone(); }
void ResponseStream::on_gone(std::function<void()> call) { state_->on_gone(std::move(call)); }

HttpResponse HttpResponse::later(const std::shared_ptr<LaterResponse>& later) {
  HttpResponse out;
  out.pending = later->state_;
  return out;
}

HttpResponse HttpResponse::stream(const std::shared_ptr<ResponseStream>& stream, std::string_view media_type) {
  HttpResponse out;
  out.media_type = media_type;
  out.pending_stream = stream->state_;
  return out;
}

}  // namespace karta::service
