#include "identity/openid/store.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "crypto/x509/crl.h"
#include "identity/openid/scopes.h"
#include "identity/timed_key.h"

namespace karta::identity::openid_store {
namespace {

using Json = nlohmann::json;
using service::Database;
using service::Statement;

std::int64_t raw(Time time) { return time.time_since_epoch().count(); }
std::int64_t raw(CitizenId id) { return static_cast<std::int64_t>(id); }
std::int64_t raw(CardId id) { return static_cast<std::int64_t>(id); }
Time from_raw(std::int64_t value) { return Time(std::chrono::seconds(value)); }

/// A code is remembered for so long after its end, so that one shown again still ends what it gave.
constexpr std::chrono::minutes kCodeMemory{10};

constexpr std::string_view kGrantColumns =
    "g.citizen_id, g.grant_id, g.client_id, g.session_id, g.card_id, g.document, g.offline, g.created_at, g.ends_at, "
    "g.issuer, g.serial";
constexpr int kGrantWidth = 11;

std::string document_of(const OpenidGrant& grant) {
  Json out{{"s", join_words(grant.scopes)}, {"a", grant.acr},          {"m", join_words(grant.amr)},
           {"t", raw(grant.auth_time)},     {"u", grant.redirect_uri}, {"p", grant.challenge}};
  if (!grant.claims.empty()) out["d"] = join_words(grant.claims);
  if (!grant.nonce.empty()) out["n"] = grant.nonce;
  if (!grant.dpop_jkt.empty()) out["jkt"] = grant.dpop_jkt;
  if (!grant.resource.empty()) out["r"] = grant.resource;
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<OpenidGrant> grant_of(const Statement& row, int first) {
  OpenidGrant out;
  out.citizen = CitizenId{row.integer(first)};
  out.id = row.integer(first + 1);
  out.client_id = row.text(first + 2);
  out.session_id = row.text(first + 3);
  if (!row.is_null(first + 4)) out.card = CardId{row.integer(first + 4)};
  out.offline = row.integer(first + 6) != 0;
  out.created = from_raw(row.integer(first + 7));
  out.ends = from_raw(row.integer(first + 8));
  out.issuer = row.text(first + 9);
  out.serial = to_bytes(row.octets(first + 10));
  const Json document = Json::parse(row.text(first + 5), nullptr, false);
  if (!document.is_object()) return fail(ErrorKind::malformed, "a grant of the registry is damaged");
  const auto text = [&](const char* name) {
    const auto found = document.find(name);
    return found != document.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  out.scopes = split_words(text("s"));
  out.claims = split_words(text("d"));
  out.amr = split_words(text("m"));
  out.acr = text("a");
  out.nonce = text("n");
  out.redirect_uri = text("u");
  out.challenge = text("p");
  out.dpop_jkt = text("jkt");
  out.resource = text("r");
  if (const auto time = document.find("t"); time != document.end() && time->is_number_integer()) {
    out.auth_time = from_raw(time->get<std::int64_t>());
  }
  return out;
}

Result<std::vector<OpenidGrant>> grants_where(Database& database, std::string_view condition, service::Parameter key) {
  Statement rows = TRY(database.prepare("SELECT " + std::string(kGrantColumns) + " FROM openid_grants g WHERE " +
                                        std::string(condition) + " = $1"));
  TRY(rows.query({key}));
  std::vector<OpenidGrant> out;
  while (TRY(rows.next())) {
    OpenidGrant one = TRY(grant_of(rows, 0));
    out.push_back(std::move(one));
  }
  return out;
}

struct ConsentedClaim {
  std::string name;
  Time until{};
  bool declined = false;
};
// A word of the column is "name", which ends with the row, or "name:seconds", which ends before it; "-name" was left
// out.
std::vector<ConsentedClaim> consented_claims(std::string_view column, Time row_ends) {
  std::vector<ConsentedClaim> out;
  for (const std::string& word : split_words(column)) {
    const std::size_t colon = word.find(':');
    ConsentedClaim one{word.substr(0, colon), row_ends};
    if (one.name.starts_with('-')) {
      one.declined = true;
      one.name.erase(0, 1);
    }
    if (colon != std::string::npos) {
      std::int64_t seconds = 0;  // unreadable: over
      std::from_chars(word.data() + colon + 1, word.data() + word.size(), seconds);
      one.until = std::min(row_ends, from_raw(seconds));
    }
    out.push_back(std::move(one));
  }
  return out;
}

StoredConsent stored_consent(std::string_view column, Time given, Time until, Time now) {
  StoredConsent out;
  out.given = given;
  out.until = until;
  for (ConsentedClaim& one : consented_claims(column, until)) {
    if (one.until > now) (one.declined ? out.declined : out.claims).push_back(std::move(one.name));
  }
  return out;
}

bool covers(const std::vector<std::string>& given, const std::vector<std::string>& asked) {
  return std::all_of(asked.begin(), asked.end(),
                     [&](const std::string& one) { return std::find(given.begin(), given.end(), one) != given.end(); });
}

}  // namespace

Result<bool> remember(Database& database, const SeenProof& proof) {
  const Bytes key = timed_key(proof.until, proof.hash);
  return TRY(database.execute("INSERT INTO openid_seen (seen_hash, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                              {key, raw(proof.until)})) == 1;
}

Result<Remembered> remember(Database& database, const std::optional<SeenProof>& assertion,
                            const std::optional<SeenProof>& dpop) {
  if (!assertion || !dpop) {
    if (assertion && !TRY(remember(database, *assertion))) return Remembered::assertion_seen;
    if (dpop && !TRY(remember(database, *dpop))) return Remembered::dpop_seen;
    return Remembered::fresh;
  }
  if (database.store() == service::Store::sqlite) {
    // Of an INSERT of several rows it keeps every page that is changed, to undo the statement alone.
    const bool assertion_fresh = TRY(remember(database, *assertion)), dpop_fresh = TRY(remember(database, *dpop));
    if (!assertion_fresh) return Remembered::assertion_seen;
    return dpop_fresh ? Remembered::fresh : Remembered::dpop_seen;
  }
  const Bytes first = timed_key(assertion->until, assertion->hash), second = timed_key(dpop->until, dpop->hash);
  Statement row =
      TRY(database.prepare("INSERT INTO openid_seen (seen_hash, expires_at) VALUES ($1, $2), ($3, $4) ON CONFLICT DO "
                           "NOTHING RETURNING seen_hash"));
  TRY(row.query({first, raw(assertion->until), second, raw(dpop->until)}));
  bool first_new = false, second_new = false;
  while (TRY(row.next())) {
    first_new = first_new || equal(row.octets(0), first);
    second_new = second_new || equal(row.octets(0), second);
  }
  if (!first_new) return Remembered::assertion_seen;
  return second_new ? Remembered::fresh : Remembered::dpop_seen;
}

// ---- requests ------------------------------------------------------------------------------------------------------

Status insert_request(Database& database, ByteView id_hash, const AuthorizationRequest& request, Time now,
                      Time expires) {
  return database.execute_later(
      "INSERT INTO openid_requests (id_hash, client_id, document, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
      {id_hash, request.client_id, request.to_json(), raw(now), raw(expires)});
}

Result<AuthorizationRequest> RequestMemory::read(ByteView id_hash, std::string_view document) {
  Slot& slot = slots_[id_hash.front() % slots_.size()];
  if (slot.document != document) {
    slot.request = TRY(AuthorizationRequest::from_json(document));
    slot.document = document;
  }
  return slot.request;
}

Result<std::optional<StoredRequest>> find_request(Database& database, RequestMemory& memory, ByteView id_hash) {
  Statement row =
      TRY(database.prepare("SELECT document, created_at, expires_at FROM openid_requests WHERE id_hash = $1"));
  TRY(row.query({id_hash}));
  std::optional<StoredRequest> out;
  if (TRY(row.next())) {
    AuthorizationRequest request = TRY(memory.read(id_hash, row.text(0)));
    out = StoredRequest{std::move(request), from_raw(row.integer(1)), from_raw(row.integer(2))};
  }
  return out;
}

Result<std::optional<RequestToFinish>> find_request_to_finish(Database& database, RequestMemory& memory,
                                                              ByteView id_hash, CitizenId citizen,
                                                              std::optional<CardId> card, std::string_view client,
                                                              Time now) {
  Statement row = TRY(
      database.prepare("SELECT q.document, q.created_at, q.expires_at, c.state, c.valid_until, o.claims, o.given_at, "
                       "o.expires_at FROM openid_requests AS q LEFT JOIN cards AS c ON c.citizen_id = $2 AND c.card_id "
                       "= $3 LEFT JOIN openid_consents AS o ON o.citizen_id = $2 AND o.client_id = $4 WHERE q.id_hash "
                       "= $1"));
  std::optional<std::int64_t> card_number;
  if (card) card_number = raw(*card);
  TRY(row.query({id_hash, raw(citizen), card_number, client}));
  std::optional<RequestToFinish> out;
  if (!TRY(row.next())) return out;
  AuthorizationRequest request = TRY(memory.read(id_hash, row.text(0)));
  out.emplace();
  out->stored = {std::move(request), from_raw(row.integer(1)), from_raw(row.integer(2))};
  if (!row.is_null(3)) {
    out->card = CardNow{static_cast<CardState>(row.integer(3)), !row.is_null(4) && from_raw(row.integer(4)) <= now};
  }
  if (!row.is_null(5)) {
    out->consent = stored_consent(row.text(5), from_raw(row.integer(6)), from_raw(row.integer(7)), now);
  }
  return out;
}

Result<bool> take_request(Database& database, ByteView id_hash) {
  return TRY(database.execute("DELETE FROM openid_requests WHERE id_hash = $1", {id_hash})) == 1;
}

// ---- grants and handles --------------------------------------------------------------------------------------------

Status insert_grant(Database& database, const OpenidGrant& grant) {
  const std::optional<std::int64_t> card = grant.card ? std::optional(raw(*grant.card)) : std::nullopt;
  return database.execute_later(
      "INSERT INTO openid_grants (citizen_id, grant_id, client_id, session_id, card_id, issuer, serial, document, "
      "offline, created_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
      {raw(grant.citizen), grant.id, grant.client_id, grant.session_id, card, grant.issuer, grant.serial,
       document_of(grant), grant.offline ? 1 : 0, raw(grant.created), raw(grant.ends)});
}

Status extend_grant(Database& database, const OpenidGrant& grant, Time ends) {
  if (ends <= grant.ends) return {};
  return database.execute_later("UPDATE openid_grants SET ends_at = $3 WHERE citizen_id = $1 AND grant_id = $2",
                                {raw(grant.citizen), grant.id, raw(ends)});
}

Status end_grant(Database& database, CitizenId citizen, std::int64_t grant_id) {
  TRY(database.execute("DELETE FROM openid_grants WHERE citizen_id = $1 AND grant_id = $2", {raw(citizen), grant_id}));
  return {};
}

Status insert_handle(Database& database, ByteView hash, HandleKind kind, const OpenidGrant& grant,
                     std::string_view binding, Time expires) {
  return database.execute_later(
      "INSERT INTO openid_handles (handle_hash, kind, citizen_id, grant_id, binding, used_at, "
      "expires_at) VALUES ($1, $2, $3, $4, $5, 0, $6)",
      {hash, static_cast<int>(kind), raw(grant.citizen), grant.id, binding, raw(expires)});
}

Result<std::optional<OpenidHandle>> find_handle(Database& database, ByteView hash, HandleKind kind, Time now) {
  static const std::string kSql =
      "SELECT " + std::string(kGrantColumns) +
      ", h.binding, h.used_at, h.expires_at, c.state, c.valid_until, c.changed_at, o.claims, o.expires_at, r.reason "
      "FROM openid_handles h "
      "JOIN openid_grants g ON g.citizen_id = h.citizen_id AND g.grant_id = h.grant_id "
      "LEFT JOIN cards c ON c.citizen_id = g.citizen_id AND c.card_id = g.card_id "
      "LEFT JOIN openid_consents o ON o.citizen_id = g.citizen_id AND o.client_id = g.client_id "
      "LEFT JOIN revocations r ON r.issuer = g.issuer AND r.serial = g.serial "
      "WHERE h.handle_hash = $1 AND h.kind = $2 AND g.ends_at > $3";
  Statement row = TRY(database.prepare(kSql));
  TRY(row.query({hash, static_cast<int>(kind), raw(now)}));
  std::optional<OpenidHandle> out;
  if (!TRY(row.next())) return out;
  out.emplace();
  out->kind = kind;
  out->grant = TRY(grant_of(row, 0));
  int column = kGrantWidth;
  out->binding = row.text(column++);
  out->used = row.integer(column++) != 0;
  out->expires = from_raw(row.integer(column++));
  if (!row.is_null(column)) out->card_state = static_cast<CardState>(row.integer(column));
  ++column;
  out->card_over = !row.is_null(column) && from_raw(row.integer(column)) <= now;
  ++column;
  out->card_changed = !row.is_null(column) && from_raw(row.integer(column)) > out->grant.auth_time;
  ++column;
  const bool consent_stands = !row.is_null(column) && from_raw(row.integer(column + 1)) > now;
  out->consented = out->grant.claims.empty() ||
                   (consent_stands && covers(standing_claims(row.text(column), from_raw(row.integer(column + 1)), now),
                                             out->grant.claims));
  const auto reason = row.integer_or_null(column + 2);
  out->revoked = reason && *reason != static_cast<std::int64_t>(crypto::CrlReason::remove_from_crl);
  return out;
}

Result<bool> use_code(Database& database, ByteView hash, Time now) {
  return TRY(database.execute("UPDATE openid_handles SET used_at = $2 WHERE handle_hash = $1 AND used_at = 0",
                              {hash, std::max<std::int64_t>(1, raw(now))})) == 1;
}

Status delete_handle(Database& database, ByteView hash) {
  TRY(database.execute("DELETE FROM openid_handles WHERE handle_hash = $1", {hash}));
  return {};
}

Result<std::optional<SessionCertificate>> touch_session(Database& database, CitizenId citizen,
                                                        std::string_view session_id, Time now) {
  Statement row = TRY(
      database.prepare("UPDATE sessions SET used_at = used_at WHERE citizen_id = $1 AND session_id = $2 AND over_at > "
                       "$3 RETURNING issuer, serial"));
  TRY(row.query({raw(citizen), session_id, raw(now)}));
  std::optional<SessionCertificate> out;
  while (TRY(row.next())) out = SessionCertificate{std::string(row.text(0)), to_bytes(row.octets(1))};
  return out;
}

// ---- consents ------------------------------------------------------------------------------------------------------

std::vector<std::string> standing_claims(std::string_view column, Time row_ends, Time now) {
  std::vector<std::string> out;
  for (ConsentedClaim& one : consented_claims(column, row_ends)) {
    if (one.until > now && !one.declined) out.push_back(std::move(one.name));
  }
  return out;
}

Result<std::optional<StoredConsent>> find_consent(Database& database, CitizenId citizen, std::string_view client,
                                                  Time now) {
  Statement row = TRY(database.prepare(
      "SELECT claims, given_at, expires_at FROM openid_consents WHERE citizen_id = $1 AND client_id = $2"));
  TRY(row.query({raw(citizen), client}));
  std::optional<StoredConsent> out;
  if (TRY(row.next())) {
    out = stored_consent(row.text(0), from_raw(row.integer(1)), from_raw(row.integer(2)), now);
  }
  return out;
}

Status put_consent(Database& database, CitizenId citizen, std::string_view client,
                   const std::vector<std::string>& claims, const std::vector<std::string>& declined, Time now,
                   Time until) {
  std::map<std::string, ConsentedClaim, std::less<>> known;
  bool there = false;
  {
    Statement row = TRY(
        database.prepare("SELECT claims, expires_at FROM openid_consents WHERE citizen_id = $1 AND client_id = $2"));
    TRY(row.query({raw(citizen), client}));
    there = TRY(row.next());
    if (there) {
      for (const ConsentedClaim& one : consented_claims(row.text(0), from_raw(row.integer(1)))) {
        if (one.until > now) known[one.name] = one;
      }
    }
  }
  for (const std::string& one : claims) known[one] = {one, until, false};
  for (const std::string& one : declined) known[one] = {one, until, true};
  std::vector<std::string> all;
  for (const auto& [name, one] : known) {
    all.push_back(name);
    until = std::max(until, one.until);
  }
  std::string column;
  for (const std::string& name : claims_of({}, all)) {
    const ConsentedClaim& one = known[name];
    column += (column.empty() ? "" : " ") + std::string(one.declined ? "-" : "") + name +
              (one.until == until ? "" : ":" + std::to_string(raw(one.until)));
  }
  // The row read is the one changed, and where none was read none may have come: ON CONFLICT would write what was
  // revoked meanwhile once more. Either collision is met by the store, and the transaction runs again.
  return database.execute_later(
      there ? "UPDATE openid_consents SET claims = $3, given_at = $4, expires_at = $5 WHERE citizen_id = $1 AND "
              "client_id = $2"
            : "INSERT INTO openid_consents (citizen_id, client_id, claims, given_at, expires_at) VALUES ($1, $2, $3, "
              "$4, $5)",
      {raw(citizen), client, column, raw(now), raw(until)});
}

Status hold_consent(Database& database, CitizenId citizen, std::string_view client) {
  if (database.store() == service::Store::sqlite) return {};  // whoever writes is alone
  // A lock (FOR SHARE) would make a revocation wait, but not look again.
  return database.execute_later(
      "UPDATE openid_consents SET given_at = given_at WHERE citizen_id = $1 AND client_id = $2",
      {raw(citizen), client});
}

Result<bool> revoke_consent(Database& database, CitizenId citizen, std::string_view client) {
  const std::int64_t gone = TRY(
      database.execute("DELETE FROM openid_consents WHERE citizen_id = $1 AND client_id = $2", {raw(citizen), client}));
  TRY(database.execute("DELETE FROM openid_grants WHERE citizen_id = $1 AND client_id = $2", {raw(citizen), client}));
  return gone == 1;
}

Result<std::vector<OpenidGrant>> grants_of_session(Database& database, std::string_view session_id) {
  return grants_where(database, "g.session_id", session_id);
}
Result<std::vector<OpenidGrant>> grants_of_citizen(Database& database, CitizenId citizen) {
  return grants_where(database, "g.citizen_id", raw(citizen));
}

// ---- log-outs to be told -------------------------------------------------------------------------------------------

Status insert_notice(Database& database, const LogoutNotice& notice, Time now) {
  return database.execute_later(
      "INSERT INTO openid_logouts (logout_id, client_id, subject, sid, tries, next_at, expires_at) VALUES ($1, $2, $3, "
      "$4, 0, $5, $6)",
      {notice.id, notice.client_id, notice.subject, notice.sid, raw(now), raw(notice.expires)});
}

Result<std::vector<LogoutNotice>> take_notices(Database& database, Time now, std::chrono::seconds lease,
                                               std::size_t limit) {
  std::vector<LogoutNotice> out;
  TRY(database.transact([&]() -> Status {
    out.clear();
    Statement rows = TRY(database.prepare(
        "SELECT logout_id, client_id, subject, sid, tries, expires_at, next_at FROM openid_logouts WHERE "
        "next_at <= $1 ORDER BY next_at LIMIT $2"));
    TRY(rows.query({raw(now), static_cast<std::int64_t>(limit)}));
    std::vector<LogoutNotice> due;
    while (TRY(rows.next())) {
      due.push_back({std::string(rows.text(0)), std::string(rows.text(1)), std::string(rows.text(2)),
                     std::string(rows.text(3)), rows.integer(4), from_raw(rows.integer(5))});
    }
    for (LogoutNotice& one : due) {
      const std::int64_t taken =
          TRY(database.execute("UPDATE openid_logouts SET next_at = $2, tries = tries + 1 WHERE logout_id = $1 AND "
                               "next_at <= $3",
                               {one.id, raw(now + lease), raw(now)}));
      if (taken == 1) out.push_back(std::move(one));
    }
    return {};
  }));
  return out;
}

Status postpone_notice(Database& database, const LogoutNotice& notice, Time next) {
  TRY(database.execute("UPDATE openid_logouts SET next_at = $2 WHERE logout_id = $1", {notice.id, raw(next)}));
  return {};
}

Status postpone_client(Database& database, std::string_view client, Time now, Time next) {
  TRY(database.execute("UPDATE openid_logouts SET next_at = $3 WHERE client_id = $1 AND next_at <= $2",
                       {client, raw(now), raw(next)}));
  return {};
}

Status delete_notice(Database& database, std::string_view id) {
  TRY(database.execute("DELETE FROM openid_logouts WHERE logout_id = $1", {id}));
  return {};
}

// ---- what is over --------------------------------------------------------------------------------------------------

Result<std::int64_t> purge(Database& database, service::GroupCommit& writes, Time now, std::int64_t limit) {
  struct Row {
    const char* sql;
    service::Parameter before;
  };
  const Bytes proofs_end = first_key_of(now);
  const Row rows[] = {
      {"DELETE FROM openid_seen WHERE seen_hash IN (SELECT seen_hash FROM openid_seen WHERE seen_hash < $1 LIMIT $2)",
       proofs_end},
      {"DELETE FROM openid_requests WHERE id_hash IN (SELECT id_hash FROM openid_requests WHERE expires_at < $1 LIMIT "
       "$2)",
       raw(now)},
      {"DELETE FROM openid_handles WHERE handle_hash IN (SELECT handle_hash FROM openid_handles WHERE expires_at < $1 "
       "LIMIT $2)",
       raw(now - kCodeMemory)},
      // A grant's numbers are random and unique by themselves. As long as there is a session the end of which has to be
      // told, its grants stay: a step up has made it live longer.
      {"DELETE FROM openid_grants WHERE grant_id IN (SELECT g.grant_id FROM openid_grants AS g WHERE g.ends_at < $1 "
       "AND "
       "NOT EXISTS (SELECT 1 FROM sessions AS s WHERE s.citizen_id = g.citizen_id AND s.session_id = g.session_id) "
       "LIMIT $2) AND ends_at < $1",
       raw(now - kCodeMemory)},
      {"DELETE FROM openid_consents WHERE expires_at < $1 AND client_id IN (SELECT client_id FROM openid_consents "
       "WHERE "
       "expires_at < $1 LIMIT $2)",
       raw(now)},
      {"DELETE FROM openid_logouts WHERE logout_id IN (SELECT logout_id FROM openid_logouts WHERE expires_at < $1 "
       "LIMIT "
       "$2)",
       raw(now)},
  };
  std::int64_t gone = 0;
  for (const Row& row : rows) {
    std::int64_t of_kind = 0;
    TRY(writes.write(database, [&](Database& writer) -> Status {
      of_kind = TRY(writer.execute(row.sql, {row.before, limit}));
      return {};
    }));
    gone += of_kind;
  }
  return gone;
}

}  // namespace karta::identity::openid_store
