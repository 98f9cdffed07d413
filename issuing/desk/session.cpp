#include "issuing/desk/session.h"

#include <algorithm>
#include <system_error>
#include <utility>

namespace karta::issuing {

using identity::DeskAnswer;
using identity::DeskReplies;
using identity::DeskStep;

DeskSession::DeskSession(std::string id, const DeskLimits& limits)
    : id_(std::move(id)), limits_(limits), deadline_(SteadyClock::now() + limits.total_time) {
  step_.session = id_;
}

DeskSession::~DeskSession() {
  end({ErrorKind::cancelled, "the desk closes", "begin again in a moment"});
  if (thread_.joinable()) thread_.join();
}

void DeskSession::start(Deed deed, DeskAnswer answer) {
  {
    const std::lock_guard lock(mutex_);
    waiting_ = std::move(answer);
  }
  try {
    thread_ = std::thread([this, deed = std::move(deed)] { run(deed); });
  } catch (const std::system_error&) {
    finish(fail(ErrorKind::busy, "the desk cannot begin another session", "try again in a moment"));
  }
}

void DeskSession::run(const Deed& deed) {
  try {
    finish(deed(*this));
  } catch (const std::exception& error) {
    finish(fail(ErrorKind::internal, std::string("unexpected: ") + error.what()));
  }
}

Result<std::vector<Bytes>> DeskSession::exchange(std::vector<Bytes> commands) {
  std::unique_lock lock(mutex_);
  if (broken_) return fail(*broken_);
  commands_ += commands.size();
  if (commands_ > limits_.commands) {
    return fail(ErrorKind::limit, "the deed takes more than " + std::to_string(limits_.commands) + " commands");
  }
  ++step_.number;
  step_.commands = std::move(commands);
  inbox_.reset();
  answered_ = false;
  const DeskAnswer answer = std::exchange(waiting_, nullptr);
  const DeskStep step = step_;
  lock.unlock();
  if (answer) answer(step);
  lock.lock();
  const auto until = std::min(deadline_, SteadyClock::now() + limits_.reply_time);
  arrived_.wait_until(lock, until, [this] { return inbox_ || broken_; });
  if (broken_) return fail(*broken_);
  if (!inbox_) {
    broken_ = Error{ErrorKind::card_unresponsive, "the counter did not bring the card's answer in time",
                    "begin the deed again: it goes on where it was"};
    return fail(*broken_);
  }
  return std::move(*std::exchange(inbox_, std::nullopt));
}

void DeskSession::finish(Result<std::string> outcome) {
  std::unique_lock lock(mutex_);
  ++step_.number;
  step_.commands.clear();
  step_.done = true;
  if (outcome) step_.result = *outcome;
  outcome_.emplace(std::move(outcome));
  ended_ = SteadyClock::now();
  const DeskAnswer answer = std::exchange(waiting_, nullptr);
  Result<DeskStep> last = *outcome_ ? Result<DeskStep>(step_) : fail(outcome_->error());
  lock.unlock();
  if (answer) answer(std::move(last));
}

void DeskSession::next(DeskReplies replies, DeskAnswer answer) {
  std::unique_lock lock(mutex_);
  // Ended: whoever asks is told how, whatever the replies are to. Only the deed's own last step repeats safely, and a
  // counter that is at another one has nothing to lose by learning the outcome.
  if (outcome_) {
    Result<DeskStep> last = *outcome_ ? Result<DeskStep>(step_) : fail(outcome_->error());
    lock.unlock();
    return answer(std::move(last));
  }
  if (replies.card_lost) {
    broken_ = Error{ErrorKind::card_removed, "the card was taken away in the middle",
                    "put it back and begin again: the deed goes on where it was"};
    const DeskAnswer before = std::exchange(waiting_, std::move(answer));
    lock.unlock();
    arrived_.notify_all();
    if (before) before(fail(ErrorKind::busy, "asked once more since"));
    return;
  }
  if (replies.step + 1 == step_.number && !answered_) {
    const DeskStep again = step_;
    lock.unlock();
    return answer(again);
  }
  if (replies.step != step_.number) {
    const std::string present = std::to_string(step_.number);
    lock.unlock();
    return answer(fail(ErrorKind::usage,
                       "replies to step " + std::to_string(replies.step) + ", and the session is at step " + present));
  }
  // The one before, if it still waits, is answered: its connection is most likely gone.
  const DeskAnswer before = std::exchange(waiting_, std::move(answer));
  if (!answered_) {
    answered_ = true;
    inbox_ = std::move(replies.replies);
  }
  lock.unlock();
  arrived_.notify_all();
  if (before) before(fail(ErrorKind::busy, "asked once more since"));
}

void DeskSession::end(Error why) {
  {
    const std::lock_guard lock(mutex_);
    if (!broken_) broken_ = std::move(why);
  }
  arrived_.notify_all();
}

std::optional<DeskSession::SteadyClock::time_point> DeskSession::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

std::optional<std::string> DeskSession::result() const {
  const std::lock_guard lock(mutex_);
  if (!outcome_ || !*outcome_) return std::nullopt;
  return **outcome_;
}

}  // namespace karta::issuing
