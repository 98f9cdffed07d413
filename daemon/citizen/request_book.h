// RequestBook: the log-ins that are open at this agent, each under an address nobody can guess, and the requests that
// were heard already.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/random.h"
#include "daemon/citizen/agent_request.h"
#include "identity/pages/language.h"

namespace karta::daemon {

/// What the page tells of the last attempt.
enum class AgentNotice : std::uint8_t {
  none,
  pin_form,   ///< not digits, or too few or many: the card was not asked
  wrong_pin,  ///< tries are left
  last_try,   ///< one try is left, and nobody has said that this is known
  wrong_can,
  no_can,  ///< a card without contacts needs it
  pad_cancelled,
  card_removed,
  card_busy,
  card_failed,
  pin_blocked,
  transport_pin,
  wrong_card,
  no_choice,  ///< several cards, none chosen
};

/// A log-in under way. The mutex guards what changes; the request itself does not.
struct OpenLogin {
  AgentRequest request;
  std::string id, csrf;
  std::mutex mutex;
  identity::Language language = identity::Language::english;
  AgentNotice notice = AgentNotice::none;
  std::string notice_reader;  ///< whose card the notice is of
  std::string can_reader;     ///< where `can` was right
  SecretBytes can;
  bool working = false;  ///< a card is being asked
  bool ended = false;    ///< the way back was taken
};

/// Usable from several threads.
class RequestBook {
 public:
  static constexpr std::size_t kMostOpen = 32, kMostHeard = 2'048;

  RequestBook(const Clock& clock, RandomSource& random) : clock_(clock), random_(random) {}

  /// Marks the request as heard. Fails with replayed, or too_many.
  tl::expected<void, RefusedRequest> hear(const AgentRequest& request);
  /// hear(), then a place for the log-in.
  tl::expected<std::shared_ptr<OpenLogin>, RefusedRequest> open(AgentRequest request);
  /// Null where there is none of this id; one whose time is over is still found, for a while, and says so by expired().
  std::shared_ptr<OpenLogin> find(std::string_view id);
  bool expired(const OpenLogin& login) const { return clock_.now() >= login.request.expires; }
  void close(const OpenLogin& login);
  /// Forgets what is over.
  void sweep();

 private:
  /// After its end a log-in is known so long, to lead its browser back.
  static constexpr std::chrono::seconds kKeptAfterEnd{600};
  void sweep_locked();

  const Clock& clock_;
  RandomSource& random_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<OpenLogin>, std::less<>> open_;
  std::map<std::string, Time, std::less<>> heard_;  // issuer and jti, until when it could be shown again
};

}  // namespace karta::daemon
