// Decision: whether a card is to be accepted, and why, in codes for programs and plain words for people.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "daemon/json.h"
#include "identity/card_life.h"
#include "identity/journal/clock_guard.h"
#include "identity/stop_list/stop_list.h"

namespace karta::daemon {

enum class Trust : std::uint8_t { accepted, unknown, refused };  ///< the later, the weightier
/// "accepted", "unknown", "refused"
std::string_view name_of(Trust trust);

enum class ReasonCode : std::uint8_t {
  genuine,             ///< passive and chip authentication, or the ledger's key
  not_stopped,         ///< by the stop-list
  active_on_line,      ///< by the authority, now
  not_asked,           ///< the authority could not be asked, or is not this card's
  stop_list_stale,     ///< beyond its time, and policy lets it be used
  trust_list_stale,    ///< the same
  not_listed,          ///< in no batch the stop-list knows
  no_status_index,     ///< the card names none
  no_stop_list,        ///< there is none for its issuer
  last_day_untold,     ///< the card did not tell this terminal whether its time is over
  clock_back,          ///< the terminal's clock stands before a time that has been
  clock_leapt,         ///< or further ahead than can be
  stop_list_too_old,   ///< beyond what policy allows
  trust_list_too_old,  ///< the same
  not_genuine,         ///< not signed by an issuer known
  copied,              ///< the chip does not prove that it has the key
  stopped,             ///< on the stop-list
  stopped_on_line,     ///< suspended, revoked, replaced: the authority says so
  inactive_on_line,    ///< made, and not in its holder's hands yet: the authority says so
  expired,             ///< its last day is over
};

struct ReasonRow {
  ReasonCode code;
  std::string_view name;  ///< "not-genuine"; in the API
  Trust trust;
  std::string_view english, russian;
};
std::span<const ReasonRow> reason_rows();
const ReasonRow& row_of(ReasonCode code);

/// How old something signed is, by a policy.
enum class Age : std::uint8_t {
  fresh,
  stale,    ///< past its time, within the policy, or the policy only warns
  too_old,  ///< past what the policy allows
  missing,
};

struct Decision {
  Trust trust = Trust::accepted;
  std::vector<ReasonCode> reasons;

  void add(ReasonCode code);
  /// [{code, words: {en, ru}}], the weightiest first.
  Json reasons_json() const;
  /// The weightiest reason's English words: for an error.
  std::string_view words() const;
};

/// All that is known of a card that has proved itself.
struct Evidence {
  std::optional<std::uint64_t> status_index;
  Age trust_list = Age::fresh;
  Age stop_list = Age::missing;
  std::optional<identity::CardVerdict> verdict;  ///< of the stop-list
  std::optional<identity::CardState> on_line;    ///< of the authority
  bool on_line_wanted = false;                   ///< and if `on_line` is empty: it could not be asked
  std::optional<std::chrono::year_month_day> last_day;
  std::optional<bool> valid_today;  ///< as the card compares, which shows the day to nobody
  bool last_day_untold = false;     ///< it was asked for in either way, and did not come
  std::chrono::year_month_day today{};
  identity::ClockState clock = identity::ClockState::fine;
};
Decision decide(const Evidence& evidence);

}  // namespace karta::daemon
