#include "identity/login/sessions.h"

#include <algorithm>

#include "crypto/x509/crl.h"
#include "identity/daily_counts.h"
#include "identity/pages/cookie.h"
#include "identity/pages/page.h"
#include "identity/timed_key.h"
#include "identity/utf8.h"

namespace karta::identity {
namespace {

using service::Database;
using service::HttpRequest;
using service::Statement;

constexpr std::chrono::seconds kUseStep{60};
constexpr std::size_t kMostSessions = 100;  // of one citizen, shown

std::int64_t raw(CitizenId id) { return static_cast<std::int64_t>(id); }
std::int64_t raw(CardId id) { return static_cast<std::int64_t>(id); }
std::int64_t seconds(Time time) { return time.time_since_epoch().count(); }
Time from_seconds(std::int64_t value) { return Time(std::chrono::seconds(value)); }

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& one : words) out += (out.empty() ? "" : " ") + one;
  return out;
}
std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> out;
  while (!text.empty()) {
    const auto end = text.find(' ');
    out.emplace_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
  }
  return out;
}

/// What a browser says of itself, as far as it is text and not too long.
std::string browser_of(const HttpRequest& request) {
  std::string_view text = request.field("User-Agent").substr(0, kMostBrowser);
  if (const auto bad = find_invalid_utf8(text)) text = text.substr(0, *bad);
  return std::string(text);
}

// The card as it is now: a session outlives no change of its state, not even one that was taken back.
constexpr std::string_view kSelect =
    "SELECT s.citizen_id, s.session_id, s.acr, s.amr, s.card_id, s.began_at, s.auth_at, s.used_at, s.ends_at, "
    "s.over_at, s.address, s.browser, c.state, c.changed_at, c.valid_until, r.reason FROM ";
constexpr std::string_view kStatusJoins =
    " LEFT JOIN cards AS c ON c.citizen_id = s.citizen_id AND c.card_id = s.card_id LEFT JOIN revocations AS r ON "
    "r.issuer = s.issuer AND r.serial = s.serial WHERE ";

constexpr std::string_view kDropCookie =
    "DELETE FROM session_by_cookie WHERE cookie_hash = (SELECT cookie_hash FROM sessions WHERE citizen_id = $1 AND "
    "session_id = $2)";
constexpr std::string_view kDropSession = "DELETE FROM sessions WHERE citizen_id = $1 AND session_id = $2";

}  // namespace

struct Sessions::Row {
  Session session;
  bool alive = false;

  static Row of(const Statement& row, Time now) {
    Row out;
    Session& session = out.session;
    session.citizen = CitizenId{row.integer(0)};
    session.id = row.text(1);
    session.acr = row.text(2);
    session.amr = split(row.text(3));
    if (!row.is_null(4)) session.card = CardId{row.integer(4)};
    session.began = from_seconds(row.integer(5));
    session.auth_time = from_seconds(row.integer(6));
    session.last_used = from_seconds(row.integer(7));
    session.ends = from_seconds(row.integer(8));
    session.address = row.text(10);
    session.browser = row.text(11);
    const bool over = now >= from_seconds(row.integer(9));
    const bool card_good = !session.card || (static_cast<CardState>(row.integer(12)) == CardState::active &&
                                             from_seconds(row.integer(13)) <= session.auth_time &&
                                             (row.is_null(14) || now < from_seconds(row.integer(14))));
    const auto reason = row.integer_or_null(15);
    const bool revoked = reason && *reason != static_cast<std::int64_t>(crypto::CrlReason::remove_from_crl);
    out.alive = !over && card_good && !revoked;
    return out;
  }
};

Result<std::optional<Sessions::Row>> Sessions::load(ByteView cookie_hash) {
  static const std::string sql = std::string(kSelect) +
                                 "session_by_cookie AS b JOIN sessions AS s ON s.citizen_id = b.citizen_id AND "
                                 "s.session_id = b.session_id" +
                                 std::string(kStatusJoins) + "b.cookie_hash = $1";
  Statement row = TRY(around_.database.prepare(sql));
  TRY(row.query({cookie_hash}));
  if (!TRY(row.next())) return std::optional<Row>();
  return std::optional<Row>(Row::of(row, around_.clock.now()));
}

Result<std::optional<Session>> Sessions::find(const HttpRequest& request) {
  const std::string_view cookie = cookie_of(request, kSessionCookie);
  if (cookie.size() != kTimedSecretLetters) return std::optional<Session>();
  const Bytes hash = key_of_secret(cookie);
  std::optional<Row> row = TRY(load(hash));
  if (!row || !row->alive) return std::optional<Session>();
  Session session = std::move(row->session);
  const Time now = around_.clock.now();
  if (now - session.last_used >= kUseStep) {
    const Time over = std::min(session.ends, now + options_.idle);
    bool used = false;
    TRY(around_.writes.write(around_.database, [&](Database& database) -> Status {
      // One that was ended meanwhile stays so.
      used = TRY(database.execute(
                 "UPDATE sessions SET used_at = $3, over_at = $4 WHERE citizen_id = $1 AND session_id = $2 AND "
                 "cookie_hash = $5 AND over_at > $3",
                 {raw(session.citizen), session.id, seconds(now), seconds(over), hash})) == 1;
      return {};
    }));
    if (!used) return std::optional<Session>();
    session.last_used = now;
  }
  session.csrf = csrf_of(cookie);
  return std::optional<Session>(std::move(session));
}

Result<OpenedSession> Sessions::begin(const HttpRequest& request, const SessionProof& proof,
                                      const service::GroupCommit::Work& before, const AfterBegin& after) {
  const std::optional<Session> old = TRY(find(request));
  const bool goes_on = old && old->citizen == proof.citizen;
  const Time now = around_.clock.now();
  const std::string cookie = new_timed_secret(now, around_.random);
  const Bytes hash = key_of_secret(cookie);

  OpenedSession out;
  Session& session = out.session;
  session.id = goes_on ? old->id : new_timed_id(now, around_.random);
  session.citizen = proof.citizen;
  session.acr = proof.acr;
  session.amr = proof.amr;
  session.card = proof.card;
  session.began = goes_on ? old->began : now;
  session.auth_time = session.last_used = now;
  session.ends = now + options_.life;
  session.address = std::string(request.peer);
  session.browser = browser_of(request);
  session.csrf = csrf_of(cookie);

  const std::string amr = join(proof.amr);
  std::optional<std::int64_t> card;
  if (proof.card) card = raw(*proof.card);
  const std::int64_t over = seconds(std::min(session.ends, now + options_.idle));
  TRY(around_.writes.write(around_.database, [&](Database& database) -> Status {
    if (before) TRY(before(database));
    if (old) {
      // Whatever cookie the session has by now: another log-in of this browser may have come in between.
      TRY(database.execute_later(kDropCookie, {raw(old->citizen), old->id}));
      TRY(database.execute_later(kDropSession, {raw(old->citizen), old->id}));
      if (!goes_on && ending_) TRY(ending_(database, old->id, SessionEnd::over));
    }
    TRY(database.execute_later(
        "INSERT INTO sessions (citizen_id, session_id, cookie_hash, acr, amr, card_id, issuer, serial, began_at, "
        "auth_at, used_at, ends_at, over_at, address, browser) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
        "$12, $13, $14, $15)",
        {raw(proof.citizen), session.id, hash, proof.acr, amr, card, proof.issuer, proof.serial, seconds(session.began),
         seconds(now), seconds(now), seconds(session.ends), over, session.address, session.browser}));
    TRY(database.execute_later(
        "INSERT INTO session_by_cookie (cookie_hash, citizen_id, session_id) VALUES ($1, $2, $3)",
        {hash, raw(proof.citizen), session.id}));
    TRY(count_today(database, now, log_in_counter(proof.acr)));
    return after ? after(database, session) : Status{};
  }));
  out.fields = set_cookie(kSessionCookie, cookie);
  return out;
}

Result<std::vector<Session>> Sessions::list(CitizenId citizen) {
  static const std::string sql =
      std::string(kSelect) + "sessions AS s" + std::string(kStatusJoins) + "s.citizen_id = $1";
  Statement row = TRY(around_.database.prepare(sql));
  TRY(row.query({raw(citizen)}));
  std::vector<Session> out;
  const Time now = around_.clock.now();
  while (TRY(row.next())) {
    Row one = Row::of(row, now);
    if (one.alive) out.push_back(std::move(one.session));
  }
  std::ranges::sort(out, [](const Session& a, const Session& b) { return a.last_used > b.last_used; });
  if (out.size() > kMostSessions) out.resize(kMostSessions);
  return out;
}

Result<bool> Sessions::end(CitizenId citizen, std::string_view id) {
  bool ended = false;
  TRY(around_.writes.write(around_.database, [&](Database& database) -> Status {
    TRY(database.execute(kDropCookie, {raw(citizen), id}));
    ended = TRY(database.execute(kDropSession, {raw(citizen), id})) != 0;
    return ended && ending_ ? ending_(database, id, SessionEnd::over) : Status{};
  }));
  return ended;
}

Status Sessions::end_all(CitizenId citizen, const service::GroupCommit::Work& more) {
  return around_.writes.write(around_.database, [&](Database& database) -> Status {
    TRY(database.execute(
        "DELETE FROM session_by_cookie WHERE cookie_hash IN (SELECT cookie_hash FROM sessions WHERE citizen_id = $1)",
        {raw(citizen)}));
    TRY(database.execute("DELETE FROM sessions WHERE citizen_id = $1", {raw(citizen)}));
    return more(database);
  });
}

Result<std::vector<std::string>> Sessions::end_of_card(CitizenId citizen, CardId card) {
  std::vector<std::string> out;
  TRY(around_.writes.write(around_.database, [&](Database& database) -> Status {
    out.clear();
    {
      Statement row = TRY(database.prepare("SELECT session_id FROM sessions WHERE citizen_id = $1 AND card_id = $2"));
      TRY(row.query({raw(citizen), raw(card)}));
      while (TRY(row.next())) out.emplace_back(row.text(0));
    }
    for (const std::string& id : out) {
      TRY(database.execute(kDropCookie, {raw(citizen), id}));
      TRY(database.execute(kDropSession, {raw(citizen), id}));
      if (ending_) TRY(ending_(database, id, SessionEnd::distrusted));
    }
    return {};
  }));
  return out;
}

std::string Sessions::drop_cookie_field() { return drop_cookie(kSessionCookie); }

}  // namespace karta::identity
