-- The registry as version 10 of its schema left it: one citizen, one active card, one terminal. Never edited.
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE access_log (
  citizen_id BIGINT NOT NULL,
  number BIGINT NOT NULL,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  purpose TEXT NOT NULL,
  case_id TEXT NOT NULL,
  what TEXT NOT NULL, legal_basis TEXT NOT NULL DEFAULT '', disclose_at BIGINT,
  PRIMARY KEY (citizen_id, number)
);
INSERT INTO "access_log" VALUES(1556446771766349492,1,1795249800,'fixture','look','1','record','',NULL);
CREATE TABLE authorities (
  issuer TEXT NOT NULL PRIMARY KEY,
  crl_number BIGINT NOT NULL,
  changes BIGINT NOT NULL
);
INSERT INTO "authorities" VALUES('issuing CA',0,0);
CREATE TABLE card_by_id (
  card_id BIGINT NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL
);
INSERT INTO "card_by_id" VALUES(3711526345904283767,1556446771766349492);
CREATE TABLE card_by_index (
  status_index BIGINT NOT NULL PRIMARY KEY,
  card_id BIGINT NOT NULL
);
INSERT INTO "card_by_index" VALUES(247,3711526345904283767);
CREATE TABLE card_by_serial (
  serial TEXT NOT NULL PRIMARY KEY,
  card_id BIGINT NOT NULL
);
INSERT INTO "card_by_serial" VALUES('00c0ffee',3711526345904283767);
CREATE TABLE card_successors (
  card_id BIGINT NOT NULL PRIMARY KEY,
  successor_id BIGINT NOT NULL
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
INSERT INTO "cards" VALUES(1556446771766349492,3711526345904283767,'00c0ffee',247,'citizen','single',4,0,NULL,1952985600,1795249800,1795249800);
CREATE TABLE certificate_by_serial (
  issuer TEXT NOT NULL,
  serial BYTEA NOT NULL,
  citizen_id BIGINT NOT NULL,
  PRIMARY KEY (issuer, serial)
);
INSERT INTO "certificate_by_serial" VALUES('issuing CA',X'0102',1556446771766349492);
CREATE TABLE certificates (
  citizen_id BIGINT NOT NULL REFERENCES citizens (citizen_id),
  card_id BIGINT NOT NULL,
  kind BIGINT NOT NULL,
  issuer TEXT NOT NULL,
  serial BYTEA NOT NULL,
  der BYTEA NOT NULL,
  not_before BIGINT NOT NULL,
  not_after BIGINT NOT NULL,
  PRIMARY KEY (citizen_id, issuer, serial)
);
INSERT INTO "certificates" VALUES(1556446771766349492,3711526345904283767,2,'issuing CA',X'0102',X'3000',1795249800,1795336200);
CREATE TABLE citizen_by_snils (
  snils_account BIGINT NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL
);
INSERT INTO "citizen_by_snils" VALUES(990000001,1556446771766349492);
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
INSERT INTO "citizens" VALUES(1556446771766349492,99000000153,'Образцов','Пример','Тестович','OBRAZTSOV','PRIMER','ОБРАЗЦОВ ПРИМЕР ТЕСТОВИЧ','1990-05-17',1,NULL,'9900000000000010','Выдуманная страховая','99',1795249800,1795249800);
CREATE TABLE concessions (
  citizen_id BIGINT NOT NULL REFERENCES citizens (citizen_id),
  kind BIGINT NOT NULL,
  valid_from TEXT NOT NULL,
  valid_until TEXT,
  PRIMARY KEY (citizen_id, kind, valid_from)
);
INSERT INTO "concessions" VALUES(1556446771766349492,6,'2026-09-01','2027-08-31');
CREATE TABLE counters (
  name TEXT NOT NULL PRIMARY KEY,
  value BIGINT NOT NULL
);
INSERT INTO "counters" VALUES('card-stops',0);
CREATE TABLE crl_parts (
  issuer TEXT NOT NULL,
  number BIGINT NOT NULL,
  part BIGINT NOT NULL,
  octets BYTEA NOT NULL,
  PRIMARY KEY (issuer, number, part)
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
CREATE TABLE daily_counts (
  day BIGINT NOT NULL,
  name TEXT NOT NULL,
  part BIGINT NOT NULL,
  value BIGINT NOT NULL,
  PRIMARY KEY (day, name, part)
);
INSERT INTO "daily_counts" VALUES(0,'cards-4',0,1);
INSERT INTO "daily_counts" VALUES(22604,'card-ends-4',0,1);
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
CREATE TABLE department_rights (
  department TEXT NOT NULL,
  kind BIGINT NOT NULL,
  subject TEXT NOT NULL,
  legal_basis TEXT NOT NULL,
  PRIMARY KEY (department, kind, subject, legal_basis)
);
CREATE TABLE departments (
  name TEXT NOT NULL PRIMARY KEY,
  title TEXT NOT NULL,
  state BIGINT NOT NULL,
  deadline_days BIGINT NOT NULL,
  token_hash BYTEA,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL
, title_ru TEXT NOT NULL DEFAULT '');
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
INSERT INTO "events" VALUES(1556446771766349492,1,1795249800,'fixture','citizen-created',NULL,'','','version 1');
INSERT INTO "events" VALUES(1556446771766349492,2,1795249800,'fixture','card-state',3711526345904283767,'','ordered','version 1');
INSERT INTO "events" VALUES(1556446771766349492,3,1795249800,'fixture','certificate-added',3711526345904283767,'','SIG','version 1');
INSERT INTO "events" VALUES(1556446771766349492,4,1795249800,'fixture','card-state',3711526345904283767,'ordered','produced','version 1');
INSERT INTO "events" VALUES(1556446771766349492,5,1795249800,'fixture','card-state',3711526345904283767,'produced','active','version 1');
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
CREATE TABLE kept_answers (
  caller TEXT NOT NULL,
  idempotency_key TEXT NOT NULL,
  request_hash BYTEA NOT NULL,
  answer TEXT NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (caller, idempotency_key)
);
CREATE TABLE login_account_by_name (
  login TEXT NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL
);
CREATE TABLE login_accounts (
  citizen_id BIGINT NOT NULL PRIMARY KEY,
  login TEXT NOT NULL,
  kind BIGINT NOT NULL,
  secret BYTEA NOT NULL,
  last_step BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE TABLE login_brakes (
  brake_key BYTEA NOT NULL PRIMARY KEY,
  failures BIGINT NOT NULL,
  closed_until BIGINT NOT NULL,
  over_at BIGINT NOT NULL
);
CREATE TABLE login_challenges (
  challenge_hash BYTEA NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL,
  login_hash BYTEA NOT NULL,
  code_hash BYTEA NOT NULL,
  tries BIGINT NOT NULL,
  over_at BIGINT NOT NULL
);
CREATE TABLE login_nonces (
  nonce_hash BYTEA NOT NULL PRIMARY KEY,
  over_at BIGINT NOT NULL
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
CREATE TABLE openid_clients (
  client_id TEXT NOT NULL PRIMARY KEY,
  document TEXT NOT NULL,
  active BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  changed_at BIGINT NOT NULL
);
CREATE TABLE openid_consents (
  citizen_id BIGINT NOT NULL,
  client_id TEXT NOT NULL,
  claims TEXT NOT NULL,
  given_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (citizen_id, client_id)
);
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
CREATE TABLE openid_handles (
  handle_hash BYTEA NOT NULL PRIMARY KEY,
  kind BIGINT NOT NULL,
  citizen_id BIGINT NOT NULL,
  grant_id BIGINT NOT NULL,
  binding TEXT NOT NULL,
  used_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE TABLE openid_logouts (
  logout_id TEXT NOT NULL PRIMARY KEY,
  client_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  sid TEXT NOT NULL,
  tries BIGINT NOT NULL,
  next_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE TABLE openid_requests (
  id_hash BYTEA NOT NULL PRIMARY KEY,
  client_id TEXT NOT NULL,
  document TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE TABLE openid_seen (
  seen_hash BYTEA NOT NULL PRIMARY KEY,
  expires_at BIGINT NOT NULL
);
CREATE TABLE operator_acts (
  act_id BIGINT NOT NULL PRIMARY KEY,
  at BIGINT NOT NULL,
  operator TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  reason TEXT NOT NULL
);
CREATE TABLE portraits (
  citizen_id BIGINT NOT NULL PRIMARY KEY REFERENCES citizens (citizen_id),
  jpeg BYTEA NOT NULL,
  sha256 BYTEA NOT NULL,
  changed_at BIGINT NOT NULL
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
CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL);
INSERT INTO "schema_migrations" VALUES(1,'citizens, cards, certificates, events, access log, status blocks','124872fa144eea97',1795249800);
INSERT INTO "schema_migrations" VALUES(2,'revocations, certificates of no card, revocation lists','4ae572d0ce6f1060',1795326955);
INSERT INTO "schema_migrations" VALUES(3,'terminals, their certificates and journals, answers kept, counters','66a2d49e06775510',1795331955);
INSERT INTO "schema_migrations" VALUES(4,'one successor a card','c0abf66546d6a73d',1795349040);
INSERT INTO "schema_migrations" VALUES(5,'portraits of citizens','79eb2aac94a40e27',1795349040);
INSERT INTO "schema_migrations" VALUES(6,'departments and their requests, the legal basis of a look, daily counters','a77241b92ba8253b',1795349040);
INSERT INTO "schema_migrations" VALUES(7,'sessions, log-in accounts, nonces used, codes, brakes','fff94ee653c2ce45',1795349040);
INSERT INTO "schema_migrations" VALUES(8,'portals, what they ask for, their codes and tokens, consents','8f8943f94e72d751',1795349040);
INSERT INTO "schema_migrations" VALUES(9,'what operators did and looked at','34b4437ef0a769f5',1795349040);
INSERT INTO "schema_migrations" VALUES(10,'cards that end today, answered requests in order, a department''s title in Russian','8dd574fcb6be7d34',1795349040);
CREATE TABLE session_by_cookie (
  cookie_hash BYTEA NOT NULL PRIMARY KEY,
  citizen_id BIGINT NOT NULL,
  session_id TEXT NOT NULL
);
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
CREATE TABLE status_blocks (
  first_index BIGINT NOT NULL PRIMARY KEY,
  size BIGINT NOT NULL,
  used BIGINT NOT NULL,
  batch TEXT NOT NULL,
  seed BYTEA NOT NULL,
  created_at BIGINT NOT NULL
);
INSERT INTO "status_blocks" VALUES(0,1024,1,'single',X'C4DB42C297733F847DA08818C817A0A9C080B668048D564579E905A85D21966E',1795249800);
CREATE TABLE terminal_by_line (
  cv_line TEXT NOT NULL PRIMARY KEY,
  terminal_id BIGINT NOT NULL
);
INSERT INTO "terminal_by_line" VALUES('RUCLABCDEFG',4611686018427387905);
CREATE TABLE terminal_by_name (
  name TEXT NOT NULL PRIMARY KEY,
  terminal_id BIGINT NOT NULL
);
INSERT INTO "terminal_by_name" VALUES('clinic-1',4611686018427387905);
CREATE TABLE terminal_certificates (
  fingerprint BYTEA NOT NULL PRIMARY KEY,
  terminal_id BIGINT NOT NULL,
  issuer TEXT NOT NULL,
  serial BYTEA NOT NULL,
  issued_at BIGINT NOT NULL,
  not_after BIGINT NOT NULL
);
CREATE TABLE terminal_codes (
  code_hash BYTEA NOT NULL PRIMARY KEY,
  terminal_id BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  used_by BYTEA,
  answer TEXT
);
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
INSERT INTO "terminals" VALUES(4611686018427387905,'clinic-1','clinic',2,'RUCLABCDEFG',1,X'7F2100',1795854755,1795854755,1795331955,1795331955,1795331955,0,NULL,NULL,'');
CREATE INDEX citizens_by_name ON citizens (search_name, citizen_id);
CREATE INDEX cards_stopped ON cards (status_index) WHERE state IN (5, 6, 8);
CREATE INDEX status_blocks_by_batch ON status_blocks (batch, first_index);
CREATE INDEX revocations_by_crl ON revocations (issuer, changed_after);
CREATE INDEX terminal_codes_by_terminal ON terminal_codes (terminal_id);
CREATE INDEX terminal_certificates_by_terminal ON terminal_certificates (terminal_id);
CREATE INDEX kept_answers_by_time ON kept_answers (at);
CREATE INDEX department_certificates_by_department ON department_certificates (department);
CREATE INDEX requests_open ON request_by_id (deadline_at, request_id) WHERE answered_at IS NULL;
CREATE INDEX requests_to ON request_by_id (answerer, deadline_at, request_id) WHERE answered_at IS NULL;
CREATE INDEX requests_from ON request_by_id (asker, received_at, request_id);
CREATE INDEX sessions_over ON sessions (over_at);
CREATE INDEX login_nonces_over ON login_nonces (over_at);
CREATE INDEX login_challenges_over ON login_challenges (over_at);
CREATE INDEX login_brakes_over ON login_brakes (over_at);
CREATE INDEX openid_requests_over ON openid_requests (expires_at);
CREATE INDEX openid_grants_by_session ON openid_grants (session_id);
CREATE INDEX openid_grants_over ON openid_grants (ends_at);
CREATE INDEX openid_handles_over ON openid_handles (expires_at);
CREATE INDEX openid_consents_over ON openid_consents (expires_at);
CREATE INDEX openid_logouts_due ON openid_logouts (next_at);
CREATE INDEX operator_acts_by_time ON operator_acts (at, act_id);
CREATE INDEX cards_ending ON cards (valid_until) WHERE state IN (2, 3, 4, 5);
CREATE INDEX requests_answered ON request_by_id (received_at, request_id) WHERE answered_at IS NOT NULL;
CREATE INDEX requests_answered_by ON request_by_id (answerer, received_at, request_id) WHERE answered_at IS NOT NULL;
COMMIT;
