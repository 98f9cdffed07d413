// DeskPort: how a counter's card is worked on from the centre: the server hands commands out, the counter carries them
// to the card and brings the answers back.
//
// The server's side of POST /v1/desk/sessions. The rooms that know cards implement it; the server only carries. A step
// either holds commands for the card or says that the deed is done. Steps are numbered from 1: a counter that lost an
// answer repeats its replies to the step it is at, and gets the same next step again.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace karta::identity {

/// The terminal that asks, known by its TLS certificate; never by its own words.
struct DeskCaller {
  std::string terminal;  ///< its id, 16 hexadecimal digits
  std::string name;      ///< as enrolled
  std::string role;      ///< as enrolled: sessions are for "counter"

  friend bool operator==(const DeskCaller&, const DeskCaller&) = default;
};

/// What the counter is to do next.
struct DeskStep {
  std::string session;          ///< opaque, for the next call; unguessable
  std::uint64_t number = 0;     ///< of this step
  std::vector<Bytes> commands;  ///< command APDUs, to be sent in this order; none once done. A command whose status
                                ///< word is not 9000 ends the run: the replies stop with it
  bool done = false;
  std::string result;  ///< once done: a JSON object, as the deed defines it
};

/// What came back from the card.
struct DeskReplies {
  std::uint64_t step = 0;      ///< the step they answer
  std::vector<Bytes> replies;  ///< response APDUs with status words, one a command, in order
  bool card_lost = false;      ///< the card or the reader went away: the session ends
};

/// Called exactly once, from any thread, perhaps before the call that was given it returns.
using DeskAnswer = std::function<void(Result<DeskStep>)>;

inline constexpr std::size_t kMostDeskCommands = 64;  ///< in one step
/// Who sits at a counter, and why something is done there, as its programs say it. Characters are Unicode's, so that
/// words may be as long in Russian as in English; what is made of them fits a statement of the registry.
inline constexpr std::size_t kPersonCharacters = 80, kReasonCharacters = 120;
inline constexpr std::size_t kMostDeskOctets = 256 * 1024;  ///< of a request's or a step's document

/// Used by all of the server's threads at once.
class DeskPort {
 public:
  virtual ~DeskPort() = default;
  /// Begins a deed. `request` is a JSON object ("deed", "card", ... as the deed defines it), at most kMostDeskOctets.
  /// Errors reach the counter: usage, not_permitted, not_found, busy (too many sessions), ...
  virtual void open(const DeskCaller& caller, std::string_view request, DeskAnswer answer) = 0;
  /// Goes on. not_found if there is no such session of this caller (ended, timed out, or another's).
  virtual void next(const DeskCaller& caller, std::string_view session, DeskReplies replies, DeskAnswer answer) = 0;
  /// The card (its number in the registry, 16 hexadecimal digits) that proved itself in a session of this caller, of
  /// the deed "show", which ended a moment ago. `order` says what it is asked for (any octets, the same for the same):
  /// a session is the first order's alone, which may be repeated. not_found: there is no such session, or it is too
  /// long ago; not_permitted: no card proved itself in it, or it was another order's.
  virtual Result<std::string> shown(const DeskCaller& caller, std::string_view session, std::string_view order) = 0;
};

}  // namespace karta::identity
