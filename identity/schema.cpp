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
});

}  // namespace

std::span<const service::Migration> registry_migrations() { return kMigrations; }

}  // namespace karta::identity
