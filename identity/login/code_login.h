// CodeLogin: the way in by login name and one-time code.
//
// Whoever asks learns nothing of who has an account: for a name nobody has, the same words, the same writes, the same
// reads and one secret opened. Attempts are counted before they are judged; after some the next one has to wait, twice
// as long each time, and what was counted is forgotten one by one. A brake closes for an address, for a name from one
// network (IPv6: a /64), and, after far more attempts, for a name wherever they come from: one network cannot shut a
// citizen out, a great many that do not let up can slow his way in by codes. The ways in by card are not touched.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "identity/login/accounts.h"
#include "identity/login/messenger.h"
#include "identity/pages/language.h"
#include "identity/room_routes.h"

namespace karta::identity {

struct CodeLoginOptions {
  std::chrono::seconds code_life{600};
};

/// What came of it. `wait` where it is too soon: try again after so long.
struct CodeChallenge {
  std::string challenge;  ///< for the form that brings the code; empty: too soon
  std::chrono::seconds wait{0};
};
struct CodeVerdict {
  std::optional<CitizenId> citizen;  ///< the code was right
  Bytes account;                     ///< then: Account::sealed of the one it was of, for Accounts::hold()
  bool over = false;                 ///< the challenge is over or its attempts are: begin again
  std::chrono::seconds wait{0};
};

inline constexpr std::int64_t kMostCodeTries = 5;  ///< of one challenge

/// After `free` attempts the next one waits; of those counted one is forgotten in every `forgets`. Who keeps trying
/// comes to wait about `forgets`, or kMostWait if that is shorter.
struct BrakeRule {
  std::int64_t free;
  std::chrono::seconds forgets;
};
inline constexpr BrakeRule kBrakeOfAddress{20, std::chrono::minutes(1)};  ///< names typed, and codes: many share one
inline constexpr BrakeRule kBrakeOfName{5, std::chrono::hours(1)};        ///< codes for a name, from one network
inline constexpr BrakeRule kBrakeOfNameInAll{100, std::chrono::minutes(10)};  ///< codes for a name, from everywhere
inline constexpr BrakeRule kBrakeOfMessages{3, std::chrono::hours(1)};  ///< sent to a name, asked for by one network
inline constexpr BrakeRule kBrakeOfAllMessages{20, std::chrono::minutes(30)};  ///< sent to a name
inline constexpr std::chrono::seconds kFirstWait{30}, kMostWait{3600};

/// Used by one thread at a time. What it is given must outlive it; `messenger` may be null: codes of apps alone.
class CodeLogin {
 public:
  CodeLogin(const RoomSurroundings& around, const LoginSecret& secret, Messenger* messenger,
            CodeLoginOptions options = {});

  /// A name was typed: sends a code where the account wants one.
  Result<CodeChallenge> begin(std::string_view login, std::string_view address, Language language);
  /// A code was typed. `challenge` is that of begin().
  Result<CodeVerdict> check(std::string_view challenge, std::string_view code, std::string_view address);

 private:
  /// For a citizen without an account (0: a name nobody has) none, at the same cost.
  Result<std::optional<Account>> load(service::Database& database, CitizenId citizen);

  RoomSurroundings around_;
  const LoginSecret& secret_;
  Messenger* messenger_;
  CodeLoginOptions options_;
  Accounts accounts_;
  Bytes nobodys_;  ///< a sealed secret, opened where there is none
};

}  // namespace karta::identity
