#include "identity/login/code_login.h"

#include <algorithm>
#include <initializer_list>
#include <vector>

#include "base/base64url.h"
#include "crypto/digest.h"
#include "identity/login/totp.h"
#include "service/rate_limit.h"

namespace karta::identity {
namespace {

using service::Database;
using service::Statement;

constexpr std::size_t kChallengeOctets = 32, kMostTyped = 64, kCodeDigits = 6;
constexpr std::string_view kNobody = "account of nobody";

std::int64_t raw(CitizenId id) { return static_cast<std::int64_t>(id); }
std::int64_t seconds(Time time) { return time.time_since_epoch().count(); }

struct Brake {
  Bytes key;
  BrakeRule rule;
};

/// How many attempts still count, and until when the next one waits.
struct BrakeState {
  std::int64_t count = 0, closed_until = 0;
};

Result<BrakeState> read_brake(Database& database, const Brake& brake, Time now) {
  Statement row =
      TRY(database.prepare("SELECT failures, closed_until, over_at FROM login_brakes WHERE brake_key = $1"));
  TRY(row.query({brake.key}));
  BrakeState out;
  if (TRY(row.next()) && row.integer(2) > seconds(now)) {
    // over_at is when the last of them is forgotten, one after the other.
    const std::int64_t each = brake.rule.forgets.count();
    out.count = std::min(row.integer(0), (row.integer(2) - seconds(now) + each - 1) / each);
    out.closed_until = row.integer(1);
  }
  return out;
}

/// Counts an attempt under each of `brakes`; or, if one of them is closed, under none and says how long to wait. Runs
/// in the caller's transaction.
Result<std::chrono::seconds> take_attempt(Database& database, std::initializer_list<Brake> brakes, Time now) {
  std::vector<BrakeState> states;
  std::int64_t wait = 0;
  for (const Brake& brake : brakes) {
    states.push_back(TRY(read_brake(database, brake, now)));
    wait = std::max(wait, states.back().closed_until - seconds(now));
  }
  if (wait > 0) return std::chrono::seconds(wait);
  auto state = states.begin();
  for (const Brake& brake : brakes) {
    const std::int64_t count = (state++)->count + 1;
    std::int64_t closed = 0;
    if (count >= brake.rule.free) {
      const std::int64_t doubled = std::min<std::int64_t>(count - brake.rule.free, 10);
      closed = std::min<std::int64_t>(kFirstWait.count() << doubled, kMostWait.count());
    }
    TRY(database.execute(
        "INSERT INTO login_brakes (brake_key, failures, closed_until, over_at) VALUES ($1, $2, $3, $4) ON CONFLICT "
        "(brake_key) DO UPDATE SET failures = excluded.failures, closed_until = excluded.closed_until, over_at = "
        "excluded.over_at",
        {brake.key, count, seconds(now) + closed, seconds(now) + count * brake.rule.forgets.count()}));
  }
  return std::chrono::seconds(0);
}

/// Takes an attempt back that turned out right.
Status give_back(Database& database, const Brake& brake) {
  TRY(database.execute(
      "UPDATE login_brakes SET failures = failures - 1, closed_until = 0, over_at = over_at - $2 WHERE brake_key = $1 "
      "AND failures > 0",
      {brake.key, std::int64_t{brake.rule.forgets.count()}}));
  return {};
}

}  // namespace

CodeLogin::CodeLogin(const RoomSurroundings& around, const LoginSecret& secret, Messenger* messenger,
                     CodeLoginOptions options)
    : around_(around),
      secret_(secret),
      messenger_(messenger),
      options_(options),
      accounts_(around.database, secret, around.clock, around.random),
      nobodys_(secret.seal(SecretBytes(kTotpSecretOctets).expose_secret(), kNobody, around.random)) {}

Result<std::optional<Account>> CodeLogin::load(Database& database, CitizenId citizen) {
  std::optional<Account> account = TRY(accounts_.load(database, citizen));
  if (!account) (void)TRY(secret_.open(nobodys_, kNobody));
  return account;
}

Result<CodeChallenge> CodeLogin::begin(std::string_view typed, std::string_view address, Language language) {
  CodeChallenge out;
  const Time now = around_.clock.now();
  const auto parsed = parse_login(typed.substr(0, kMostTyped + 1));
  // What is no name is nobody's: it goes the same way.
  const std::string login = parsed ? *parsed : std::string(typed.substr(0, kMostTyped));
  const Bytes login_hash = secret_.mac("login name", {login});
  const std::string network = service::network_of(address);
  const Brake asks{secret_.mac("brake: asks from", {network}), kBrakeOfAddress},
      messages{secret_.mac("brake: messages to, from", {login, network}), kBrakeOfMessages},
      all_messages{secret_.mac("brake: messages to", {login}), kBrakeOfAllMessages};
  const CitizenId known = TRY(accounts_.citizen_of(login)).value_or(CitizenId{});
  const std::optional<Account> account = TRY(load(around_.database, known));
  const std::string challenge = to_base64url(around_.random.bytes(kChallengeOctets));
  const Bytes challenge_hash = crypto::digest(crypto::Hash::sha256, as_bytes(challenge));
  const SecretBytes code = around_.random.digits(kCodeDigits);
  const Bytes code_hash = secret_.mac("code", {challenge, code.expose_secret_text()});
  const std::int64_t citizen = account ? raw(account->citizen) : 0;
  std::chrono::seconds message_wait{0};
  TRY(around_.writes.write(around_.database, [&](Database& database) -> Status {
    out.wait = TRY(take_attempt(database, {asks}, now));
    if (out.wait.count() > 0) return {};
    message_wait = TRY(take_attempt(database, {messages, all_messages}, now));
    TRY(database.execute(
        "INSERT INTO login_challenges (challenge_hash, citizen_id, login_hash, code_hash, tries, over_at) VALUES "
        "($1, $2, $3, $4, 0, $5)",
        {challenge_hash, citizen, login_hash, code_hash, seconds(now + options_.code_life)}));
    return {};
  }));
  if (out.wait.count() > 0) return out;
  out.challenge = challenge;
  const bool send = account && account->kind == AccountKind::mail && messenger_ != nullptr;
  // Too many messages: the page says nothing of it, as it says nothing of whether there is an account.
  if (send && message_wait.count() == 0) {
    messenger_->send({.to = std::string(account->secret.expose_secret_text()),
                      .code = code.clone(),
                      .language = language,
                      .life = options_.code_life});
  }
  return out;
}

Result<CodeVerdict> CodeLogin::check(std::string_view challenge, std::string_view code, std::string_view address) {
  const Time now = around_.clock.now();
  const Bytes challenge_hash = crypto::digest(crypto::Hash::sha256, as_bytes(challenge));
  const std::string network = service::network_of(address);
  const Brake asks{secret_.mac("brake: asks from", {network}), kBrakeOfAddress},
      codes{secret_.mac("brake: codes from", {network}), kBrakeOfAddress};
  const Bytes given_hash = secret_.mac("code", {challenge, code});
  const SecretBytes nobodys(kTotpSecretOctets);
  CodeVerdict out;
  TRY(around_.writes.write(around_.database, [&](Database& database) -> Status {
    out = {};
    Bytes login_hash, code_hash;
    CitizenId citizen{};
    {
      Statement row =
          TRY(database.prepare("SELECT citizen_id, login_hash, code_hash, tries, over_at FROM "
                               "login_challenges WHERE challenge_hash = $1"));
      TRY(row.query({challenge_hash}));
      if (!TRY(row.next()) || row.integer(3) >= kMostCodeTries || row.integer(4) <= seconds(now)) {
        out.over = true;
        return {};
      }
      citizen = CitizenId{row.integer(0)};
      login_hash = to_bytes(row.octets(1));
      code_hash = to_bytes(row.octets(2));
    }
    const Brake name{secret_.mac("brake: codes of, from", {as_text(login_hash), network}), kBrakeOfName},
        all_of_name{secret_.mac("brake: codes of", {as_text(login_hash)}), kBrakeOfNameInAll};
    out.wait = TRY(take_attempt(database, {codes, name, all_of_name}, now));
    if (out.wait.count() > 0) return {};
    TRY(database.execute("UPDATE login_challenges SET tries = tries + 1 WHERE challenge_hash = $1", {challenge_hash}));

    std::optional<Account> account = TRY(load(database, citizen));
    const bool by_app = account && account->kind == AccountKind::app;
    const auto step = match_totp(by_app ? account->secret : nobodys, code, now, by_app ? account->last_step : 0);
    const bool by_message = equal_constant_time(given_hash, code_hash);
    bool right = account && (by_app ? step.has_value() : by_message);
    if (right && by_app) {
      right = TRY(database.execute("UPDATE login_accounts SET last_step = $2 WHERE citizen_id = $1 AND last_step < $2",
                                   {raw(citizen), *step})) == 1;
    }
    if (!right) return {};
    TRY(database.execute("DELETE FROM login_challenges WHERE challenge_hash = $1", {challenge_hash}));
    TRY(database.execute("DELETE FROM login_brakes WHERE brake_key = $1", {name.key}));
    for (const Brake* const brake : {&all_of_name, &codes, &asks}) TRY(give_back(database, *brake));
    out.citizen = citizen;
    out.account = std::move(account->sealed);
    return {};
  }));
  return out;
}

}  // namespace karta::identity
