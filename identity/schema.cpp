#include "identity/schema.h"

#include <array>

namespace karta::identity {
namespace {

constexpr auto kMigrations = std::to_array<service::Migration>({
    {1, "citizens, cards, certificates, events, access log, status blocks", R"sql(
CREATE TABLE citizens (
  citizen_id BIGINT NOT NULL PRIMARY KEY,
  snils BIGINT NOT NULL,
  family TEXT NOT NULL,
  given TEXT NOT NULL,
  patronymic TEXT NOT NULL,
  family_latin TEXT NOT NULL,
  given_latin TEXT NOT NULL,
  search_name TEXT NOT NULL,
  birth_date TEXT NOT NULL,
  sex BIGINT NOT NULL,
  inn TEXT,
  enp TEXT,
  insurer TEXT NOT NULL,
  region TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL
);
CREATE INDEX citizens_by_name ON citizens (search_name, citizen_id);
CREATE TABLE citizen_by_snils (
  snils_account BIGINT NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL
);
CREATE TABLE concessions (
  citizen_id BIGINT NOT NULL REFERENCES citizens (citizen_id),
  kind BIGINT NOT NULL,
  valid_from TEXT NOT NULL,
  valid_until TEXT,
  PRIMARY KEY (citizen_id, kind, valid_from)
);
CREATE TABLE cards (
  citizen_id BIGINT NOT NULL REFERENCES citizens (citizen_id),
  card_id BIGINT NOT NULL,
  serial TEXT,
  status_index BIGINT NOT NULL,
  profile TEXT NOT NULL,
  batch TEXT NOT NULL,
  state BIGINT NOT NULL,
  revocation_reason BIGINT NOT NULL,
  replaces BIGINT,
  valid_until BIGINT,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  PRIMARY KEY (citizen_id, card_id)
);
CREATE INDEX cards_stopped ON cards (status_index) WHERE state IN (5, 6, 8);
CREATE TABLE card_by_id (
  card_id BIGINT NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL
);
CREATE TABLE card_by_serial (
  serial TEXT NOT NULL PRIMARY KEY,
  card_id BIGINT NOT NULL
);
CREATE TABLE card_by_index (
  status_index BIGINT NOT NULL PRIMARY KEY,
  card_id BIGINT NOT NULL
);
CREATE TABLE certificates (
  citizen_id BIGINT NOT NULL REFERENCES citizens (citizen_id),
  card_id BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  issuer TEXT NOT NULL,
  serial BYTEA NOT NULL,
  der BYTEA NOT NULL,
  not_before BIGINT NOT NULL,
  not_after BIGINT NOT NULL,
  revoked_at BIGINT,
  revocation_reason BIGINT NOT NULL,
  PRIMARY KEY (citizen_id, issuer, serial)
);
CREATE TABLE certificate_by_serial (
  issuer TEXT NOT NULL,
  serial BYTEA NOT NULL,
  citizen_id BIGINT NOT NULL,
  PRIMARY KEY (issuer, serial)
);
CREATE TABLE events (
  citizen_id BIGINT NOT NULL,
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  kind TEXT NOT NULL,
  card_id BIGINT,
  state_before TEXT NOT NULL,
  state_after TEXT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (citizen_id, number)
);
CREATE TABLE access_log (
  citizen_id BIGINT NOT NULL,
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  purpose TEXT NOT NULL,
  case_id TEXT NOT NULL,
  what TEXT NOT NULL,
  PRIMARY KEY (citizen_id, number)
);
CREATE TABLE status_blocks (
  first_index BIGINT NOT NULL PRIMARY KEY,
  size BIGINT NOT NULL,
  used BIGINT NOT NULL,
  batch TEXT NOT NULL,
  seed BYTEA NOT NULL,
  created_at BIGINT NOT NULL
);
CREATE INDEX status_blocks_by_batch ON status_blocks (batch, first_index);
)sql"},
    // One place for revocation, of certificates on cards and others; the CRLs made from it.
    {2, "revocations, certificates of no card, revocation lists", R"sql(
CREATE TABLE authorities (
  issuer TEXT NOT NULL PRIMARY KEY,
  crl_number BIGINT NOT NULL,
  changes BIGINT NOT NULL
);
CREATE TABLE revocations (
  issuer TEXT NOT NULL,
  serial BYTEA NOT NULL,
  reason BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  changed_after BIGINT NOT NULL,
  not_after BIGINT,
  is_ca BIGINT NOT NULL,
  by_card BIGINT NOT NULL,
  PRIMARY KEY (issuer, serial)
);
CREATE INDEX revocations_by_crl ON revocations (issuer, changed_after);
CREATE TABLE issued_certificates (
  issuer TEXT NOT NULL,
  serial BYTEA NOT NULL,
  subject TEXT NOT NULL,
  profile TEXT NOT NULL,
  der BYTEA NOT NULL,
  is_ca BIGINT NOT NULL,
  issued_at BIGINT NOT NULL,
  not_after BIGINT NOT NULL,
  PRIMARY KEY (issuer, serial)
);
CREATE TABLE crls (
  issuer TEXT NOT NULL,
  kind TEXT NOT NULL,
  number BIGINT NOT NULL,
  this_update BIGINT NOT NULL,
  next_update BIGINT NOT NULL,
  parts BIGINT NOT NULL,
  PRIMARY KEY (issuer, kind)
);
CREATE TABLE crl_parts (
  issuer TEXT NOT NULL,
  number BIGINT NOT NULL,
  part BIGINT NOT NULL,
  octets BYTEA NOT NULL,
  PRIMARY KEY (issuer, number, part)
);
INSERT INTO revocations (issuer, serial, reason, changed_at, changed_after, not_after, is_ca, by_card)
  SELECT issuer, serial, revocation_reason, revoked_at, 0, not_after, 0, 0 FROM certificates
  WHERE revoked_at IS NOT NULL;
INSERT INTO authorities (issuer, crl_number, changes) SELECT DISTINCT issuer, 0, 0 FROM certificates;
ALTER TABLE certificates DROP COLUMN revoked_at;
ALTER TABLE certificates DROP COLUMN revocation_reason;
)sql"},
    // What the authority on line keeps: terminals, what they sent, and answers that must not be given twice.
    {3, "terminals, their certificates and journals, answers kept, counters", R"sql(
CREATE TABLE terminals (
  terminal_id BIGINT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  role TEXT NOT NULL,
  state BIGINT NOT NULL,
  cv_line TEXT NOT NULL,
  cv_sequence BIGINT NOT NULL,
  cv_certificate BYTEA,
  cv_until BIGINT,
  tls_until BIGINT,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL,
  last_contact BIGINT,
  journal_to BIGINT NOT NULL,
  journal_hash BYTEA,
  journal_origin BYTEA,
  journal_fault TEXT NOT NULL
);
CREATE TABLE terminal_by_name (
  name TEXT NOT NULL PRIMARY KEY,
  terminal_id BIGINT NOT NULL
);
CREATE TABLE terminal_by_line (
  cv_line TEXT NOT NULL PRIMARY KEY,
  terminal_id BIGINT NOT NULL
);
CREATE TABLE terminal_codes (
  code_hash BYTEA NOT NULL PRIMARY KEY,
  terminal_id BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_by BYTEA,
  answer TEXT
);
CREATE INDEX terminal_codes_by_terminal ON terminal_codes (terminal_id);
CREATE TABLE terminal_certificates (
  fingerprint BYTEA NOT NULL PRIMARY KEY,
  terminal_id BIGINT NOT NULL,
  issuer TEXT NOT NULL,
  serial BYTEA NOT NULL,
  issued_at BIGINT NOT NULL,
  not_after BIGINT NOT NULL
);
CREATE INDEX terminal_certificates_by_terminal ON terminal_certificates (terminal_id);
CREATE TABLE terminal_events (
  terminal_id BIGINT NOT NULL,
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (terminal_id, number)
);
CREATE TABLE terminal_records (
  terminal_id BIGINT NOT NULL,
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  kind TEXT NOT NULL,
  body TEXT NOT NULL,
  hash BYTEA NOT NULL,
  previous BYTEA,
  received_at BIGINT NOT NULL,
  PRIMARY KEY (terminal_id, number)
);
CREATE TABLE kept_answers (
  caller TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  request_hash BYTEA NOT NULL,
  answer TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (caller, idempotency_key)
);
CREATE INDEX kept_answers_by_time ON kept_answers (at);
CREATE TABLE counters (
  name TEXT NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO counters (name, value) VALUES ('card-stops', 0);
)sql"},
    // A card has one successor, whoever orders it. Where there were two, the registry has always named the first.
    {4, "one successor a card", R"sql(
CREATE TABLE card_successors (
  card_id BIGINT NOT NULL PRIMARY KEY,
  successor_id BIGINT NOT NULL
);
INSERT INTO card_successors (card_id, successor_id)
  SELECT replaces, MIN(card_id) FROM cards WHERE replaces IS NOT NULL AND state NOT IN (6, 7, 8) GROUP BY replaces;
)sql"},
    // A picture apart from the row it belongs to: most reads of a citizen do not want it.
    {5, "portraits of citizens", R"sql(
CREATE TABLE portraits (
  citizen_id BIGINT NOT NULL PRIMARY KEY REFERENCES citizens (citizen_id),
  jpeg BYTEA NOT NULL,
  sha256 BYTEA NOT NULL,
  changed_at BIGINT NOT NULL
);
)sql"},
    // Departments are few and named once; what they ask is about citizens, and stands with these.
    {6, "departments and their requests, the legal basis of a look, daily counters", R"sql(
CREATE TABLE departments (
  name TEXT NOT NULL PRIMARY KEY,
  title TEXT NOT NULL,
  state BIGINT NOT NULL,
  deadline_days BIGINT NOT NULL,
  token_hash BYTEA,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL
);
CREATE TABLE department_by_token (
  token_hash BYTEA NOT NULL PRIMARY KEY,
  department TEXT NOT NULL
);
CREATE TABLE department_certificates (
  fingerprint BYTEA NOT NULL PRIMARY KEY,
  department TEXT NOT NULL,
  der BYTEA NOT NULL,
  added_at BIGINT NOT NULL,
  dropped_at BIGINT
);
CREATE INDEX department_certificates_by_department ON department_certificates (department);
CREATE TABLE department_rights (
  department TEXT NOT NULL,
  kind BIGINT NOT NULL,
  subject TEXT NOT NULL,
  legal_basis TEXT NOT NULL,
  PRIMARY KEY (department, kind, subject, legal_basis)
);
CREATE TABLE department_events (
  department TEXT NOT NULL,
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (department, number)
);
CREATE TABLE request_by_id (
  request_id TEXT NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL,
  request_hash BYTEA NOT NULL,
  asker TEXT NOT NULL,
  answerer TEXT NOT NULL,
  subjects TEXT NOT NULL,
  received_at BIGINT NOT NULL,
  deadline_at BIGINT NOT NULL,
  answered_at BIGINT
);
CREATE INDEX requests_open ON request_by_id (deadline_at, request_id) WHERE answered_at IS NULL;
CREATE INDEX requests_to ON request_by_id (answerer, deadline_at, request_id) WHERE answered_at IS NULL;
CREATE INDEX requests_from ON request_by_id (asker, received_at, request_id);
CREATE TABLE requests (
  citizen_id BIGINT NOT NULL,
  request_id TEXT NOT NULL,
  purpose TEXT NOT NULL,
  case_id TEXT NOT NULL,
  legal_basis TEXT NOT NULL,
  disclose_at BIGINT,
  request BYTEA NOT NULL,
  receipt BYTEA NOT NULL,
  answer BYTEA,
  answer_receipt BYTEA,
  PRIMARY KEY (citizen_id, request_id)
);
ALTER TABLE access_log ADD COLUMN legal_basis TEXT NOT NULL DEFAULT '';
ALTER TABLE access_log ADD COLUMN disclose_at BIGINT;
CREATE TABLE daily_counts (
  day BIGINT NOT NULL,
  name TEXT NOT NULL,
  part BIGINT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (day, name, part)
);
INSERT INTO daily_counts (day, name, part, value) SELECT 0, 'cards-' || state, 0, count(*) FROM cards GROUP BY state;
)sql"},
    // Citizens who are logged in, and the third way in. Cookies, codes and nonces stand here as hashes alone.
    {7, "sessions, log-in accounts, nonces used, codes, brakes", R"sql(
CREATE TABLE sessions (
  citizen_id BIGINT NOT NULL,
  session_id TEXT NOT NULL,
  cookie_hash BYTEA NOT NULL,
  acr TEXT NOT NULL,
  amr TEXT NOT NULL,
  card_id BIGINT,
  issuer TEXT NOT NULL,
  serial BYTEA NOT NULL,
  began_at BIGINT NOT NULL,
  auth_at BIGINT NOT NULL,
  used_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  over_at BIGINT NOT NULL,
  address TEXT NOT NULL,
  browser TEXT NOT NULL,
  PRIMARY KEY (citizen_id, session_id)
);
CREATE INDEX sessions_over ON sessions (over_at);
CREATE TABLE session_by_cookie (
  cookie_hash BYTEA NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL,
  session_id TEXT NOT NULL
);
CREATE TABLE login_nonces (
  nonce_hash BYTEA NOT NULL PRIMARY KEY,
  over_at BIGINT NOT NULL
);
CREATE INDEX login_nonces_over ON login_nonces (over_at);
CREATE TABLE login_accounts (
  citizen_id BIGINT NOT NULL PRIMARY KEY,
  login TEXT NOT NULL,
  kind BIGINT NOT NULL,
  secret BYTEA NOT NULL,
  last_step BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE TABLE login_account_by_name (
  login TEXT NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL
);
CREATE TABLE login_challenges (
  challenge_hash BYTEA NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL,
  login_hash BYTEA NOT NULL,
  code_hash BYTEA NOT NULL,
  tries BIGINT NOT NULL,
  over_at BIGINT NOT NULL
);
CREATE INDEX login_challenges_over ON login_challenges (over_at);
CREATE TABLE login_brakes (
  brake_key BYTEA NOT NULL PRIMARY KEY,
  failures BIGINT NOT NULL,
  closed_until BIGINT NOT NULL,
  over_at BIGINT NOT NULL
);
CREATE INDEX login_brakes_over ON login_brakes (over_at);
)sql"},
    // Codes, tokens and request URIs stand here as hashes alone; what ends is deleted.
    {8, "portals, what they ask for, their codes and tokens, consents", R"sql(
CREATE TABLE openid_clients (
  client_id TEXT NOT NULL PRIMARY KEY,
  document TEXT NOT NULL,
  active BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL
);
CREATE TABLE openid_client_events (
  client_id TEXT NOT NULL,
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (client_id, number)
);
CREATE TABLE openid_requests (
  id_hash BYTEA NOT NULL PRIMARY KEY,
  client_id TEXT NOT NULL,
  document TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX openid_requests_over ON openid_requests (expires_at);
CREATE TABLE openid_grants (
  citizen_id BIGINT NOT NULL,
  grant_id BIGINT NOT NULL,
  client_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  card_id BIGINT,
  issuer TEXT NOT NULL,
  serial BYTEA NOT NULL,
  document TEXT NOT NULL,
  offline BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  ends_at BIGINT NOT NULL,
  PRIMARY KEY (citizen_id, grant_id)
);
CREATE INDEX openid_grants_by_session ON openid_grants (session_id);
CREATE INDEX openid_grants_over ON openid_grants (ends_at);
CREATE TABLE openid_handles (
  handle_hash BYTEA NOT NULL PRIMARY KEY,
  kind BIGINT NOT NULL,
  citizen_id BIGINT NOT NULL,
  grant_id BIGINT NOT NULL,
  binding TEXT NOT NULL,
  used_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX openid_handles_over ON openid_handles (expires_at);
CREATE TABLE openid_seen (
  seen_hash BYTEA NOT NULL PRIMARY KEY,
  expires_at BIGINT NOT NULL
);
CREATE TABLE openid_consents (
  citizen_id BIGINT NOT NULL,
  client_id TEXT NOT NULL,
  claims TEXT NOT NULL,
  given_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (citizen_id, client_id)
);
CREATE INDEX openid_consents_over ON openid_consents (expires_at);
CREATE TABLE openid_logouts (
  logout_id TEXT NOT NULL PRIMARY KEY,
  client_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  sid TEXT NOT NULL,
  tries BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX openid_logouts_due ON openid_logouts (next_at);
)sql"},
    {9, "what operators did and looked at", R"sql(
CREATE TABLE operator_acts (
  act_id BIGINT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  operator TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  reason TEXT NOT NULL
);
CREATE INDEX operator_acts_by_time ON operator_acts (at, act_id);
)sql"},
    // What is counted of cards by the clock (daily_counts.h): those there are, on the day they end, or came into their
    // state after it.
    {10, "cards that end today, answered requests in order, a department's title in Russian", R"sql(
CREATE INDEX cards_ending ON cards (valid_until) WHERE state IN (2, 3, 4, 5);
INSERT INTO daily_counts (day, name, part, value)
  SELECT day, 'card-ends-' || state, 0, count(*) FROM (
    SELECT state, (CASE WHEN valid_until > changed_at THEN valid_until ELSE changed_at END) / 86400 AS day FROM cards
    WHERE valid_until IS NOT NULL AND state IN (2, 3, 4, 5)) AS ending GROUP BY day, state;
CREATE INDEX requests_answered ON request_by_id (received_at, request_id) WHERE answered_at IS NOT NULL;
CREATE INDEX requests_answered_by ON request_by_id (answerer, received_at, request_id) WHERE answered_at IS NOT NULL;
ALTER TABLE departments ADD COLUMN title_ru TEXT NOT NULL DEFAULT '';
)sql"},
});

}  // namespace

std::span<const service::Migration> registry_migrations() { return kMigrations; }

}  // namespace karta::identity
