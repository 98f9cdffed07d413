#include "identity/terminals.h"

#include <algorithm>
#include <array>

#include "crypto/digest.h"
#include "identity/registry_impl.h"
#include "identity/revocations.h"

namespace karta::identity {
namespace {

using service::Database;
using service::Statement;

constexpr std::size_t kLineOctets = 11;  // two of country, nine of mnemonic (TR-03110-3 A.6.1)
constexpr std::string_view kLineAlphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
// Without letters that are read as digits.
constexpr std::string_view kCodeAlphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kCodeLetters = 20, kCodeGroup = 5;  // 100 bits
constexpr std::chrono::seconds kContactStep{60};
constexpr std::size_t kMostIdempotencyKey = 200;

std::int64_t raw(TerminalId id) { return static_cast<std::int64_t>(id); }
std::int64_t raw(CardId id) { return static_cast<std::int64_t>(id); }

struct StateRow {
  TerminalState state;
  std::string_view name;
};
constexpr auto kStates = std::to_array<StateRow>({
    {TerminalState::invited, "invited"},
    {TerminalState::enrolled, "enrolled"},
    {TerminalState::revoked, "revoked"},
});

bool is_terminal_name(std::string_view text) {
  return !text.empty() && text.size() <= kMostTerminalName &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string_view::npos;
}

tl::unexpected<Error> no_terminal(std::string_view what) {
  return fail(ErrorKind::not_found, "there is no terminal \"" + std::string(what) + "\"",
              "karta terminal list shows them");
}
tl::unexpected<Error> is_revoked(const Terminal& terminal) {
  return fail(ErrorKind::not_permitted, "the terminal \"" + terminal.name + "\" is revoked",
              "a terminal that is to be served again is enrolled under another name");
}
tl::unexpected<Error> bad_code() {
  return fail(ErrorKind::not_permitted, "the code is unknown, used or too old",
              "the centre gives out another: karta terminal enrol");
}

constexpr std::string_view kColumns =
    "SELECT t.terminal_id, t.name, t.role, t.state, t.cv_line, t.cv_sequence, t.cv_certificate, t.cv_until, "
    "t.tls_until, t.created_at, t.changed_at, t.last_contact, t.journal_to, t.journal_hash, t.journal_fault FROM "
    "terminals AS t ";

Terminal terminal_of(const Statement& row) {
  Terminal out;
  out.id = TerminalId{row.integer(0)};
  out.name = row.text(1);
  out.role = row.text(2);
  out.state = static_cast<TerminalState>(row.integer(3));
  out.cv_line = row.text(4);
  out.cv_sequence = static_cast<std::uint32_t>(row.integer(5));
  out.cv_certificate = to_bytes(row.octets(6));
  if (const auto until = row.integer_or_null(7)) out.cv_until = from_seconds(*until);
  if (const auto until = row.integer_or_null(8)) out.tls_until = from_seconds(*until);
  out.created = from_seconds(row.integer(9));
  out.changed = from_seconds(row.integer(10));
  if (const auto contact = row.integer_or_null(11)) out.last_contact = from_seconds(*contact);
  out.journal_to = static_cast<std::uint64_t>(row.integer(12));
  if (!row.is_null(13) && row.octets(13).size() == JournalHash{}.size()) {
    out.journal_hash.emplace();
    std::ranges::copy(row.octets(13), out.journal_hash->begin());
  }
  out.journal_fault = row.text(14);
  return out;
}

Result<std::optional<Terminal>> find_by(Database& database, std::string_view where, service::Parameter key) {
  Statement row = TRY(database.prepare(std::string(kColumns) + std::string(where)));
  TRY(row.query({key}));
  if (!TRY(row.next())) return std::optional<Terminal>();
  return std::optional(terminal_of(row));
}

Result<std::optional<Terminal>> find_by_name(Database& database, std::string_view name) {
  return find_by(database, "JOIN terminal_by_name AS n ON n.terminal_id = t.terminal_id WHERE n.name = $1", name);
}

Result<Terminal> load(Database& database, TerminalId id) {
  auto found = TRY(find_by(database, "WHERE t.terminal_id = $1", raw(id)));
  if (!found) return no_terminal(format_id(id));
  return std::move(*found);
}

struct NewEvent {
  std::string_view kind;
  std::string_view detail;
};
Status add_event(Registry::Impl& impl, TerminalId id, const NewEvent& event, const Cause& cause) {
  Statement next =
      TRY(impl.database.prepare("SELECT coalesce(max(number), 0) + 1 FROM terminal_events WHERE terminal_id = $1"));
  TRY(next.query({raw(id)}));
  TRY(next.next());
  const std::int64_t number = next.integer(0);
  TRY(impl.database.execute(
      "INSERT INTO terminal_events (terminal_id, number, at, actor, kind, detail, reason) VALUES ($1, $2, $3, $4, $5, "
      "$6, $7)",
      {raw(id), number, seconds(impl.clock->now()), cause.actor, event.kind, event.detail, cause.reason}));
  return {};
}

/// Capitals without separators; what looks like a digit is one.
SecretBytes canonical_code(const SecretBytes& code) {
  Bytes out;
  out.reserve(code.size());  // no copy is left behind by growing
  for (const std::uint8_t octet : code.expose_secret()) {
    char c = static_cast<char>(octet);
    if (c == '-' || c == ' ' || c == '\n' || c == '\r') continue;
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == 'O') c = '0';
    if (c == 'I' || c == 'L') c = '1';
    out.push_back(static_cast<std::uint8_t>(c));
  }
  return SecretBytes(std::move(out));
}

/// A code has 100 random bits: a plain hash keeps it.
Bytes hash_of_code(const SecretBytes& code) {
  const SecretBytes canonical = canonical_code(code);
  return crypto::digest(crypto::Hash::sha256, canonical.expose_secret());
}

struct CodeRow {
  Terminal terminal;
  Bytes used_by;
  std::optional<std::string> answer;
};
/// The code's row if it may be used with these keys.
Result<CodeRow> find_code(Registry::Impl& impl, ByteView hash, ByteView keys) {
  CodeRow out;
  std::int64_t id = 0;
  {
    Statement row = TRY(impl.database.prepare(
        "SELECT terminal_id, expires_at, used_by, answer FROM terminal_codes WHERE code_hash = $1"));
    TRY(row.query({hash}));
    if (!TRY(row.next()) || from_seconds(row.integer(1)) < impl.clock->now()) return bad_code();
    id = row.integer(0);
    out.used_by = to_bytes(row.octets(2));
    if (!row.is_null(3)) out.answer = std::string(row.text(3));
  }
  if (!out.used_by.empty() && !equal(out.used_by, keys)) return bad_code();
  out.terminal = TRY(load(impl.database, TerminalId{id}));
  if (out.terminal.state == TerminalState::revoked) return is_revoked(out.terminal);
  return out;
}

Result<std::uint32_t> take_sequence(Database& database, TerminalId id) {
  TRY(database.execute("UPDATE terminals SET cv_sequence = cv_sequence + 1 WHERE terminal_id = $1", {raw(id)}));
  const Terminal terminal = TRY(load(database, id));
  if (terminal.cv_sequence > kMostCvSequence) {
    return fail(ErrorKind::limit, "the references of the terminal \"" + terminal.name + "\" are used up",
                "enrol it under another name");
  }
  return terminal.cv_sequence;
}

/// What a terminal's TLS certificates that still run are revoked for.
Status revoke_certificates(Registry::Impl& impl, TerminalId id, crypto::CrlReason reason) {
  struct Row {
    std::string issuer;
    Bytes serial;
    std::int64_t not_after;
  };
  std::vector<Row> rows;
  {
    Statement found = TRY(impl.database.prepare(
        "SELECT issuer, serial, not_after FROM terminal_certificates WHERE terminal_id = $1 AND not_after >= $2"));
    TRY(found.query({raw(id), seconds(impl.clock->now())}));
    while (TRY(found.next())) {
      rows.push_back({std::string(found.text(0)), to_bytes(found.octets(1)), found.integer(2)});
    }
  }
  for (const Row& one : rows) {
    if (TRY(find_revocation(impl.database, one.issuer, one.serial))) continue;
    TRY(record_revocation(impl.database,
                          {.issuer = one.issuer, .serial = one.serial, .reason = reason, .not_after = one.not_after},
                          impl.clock->now()));
  }
  return {};
}

Status record_grant(Registry::Impl& impl, TerminalId id, const GrantedCertificates& granted, std::string_view kind,
                    const Cause& cause) {
  const std::int64_t now = seconds(impl.clock->now());
  TRY(impl.add_issued(granted.tls_issuer, granted.tls, granted.tls_profile));
  TRY(impl.database.execute(
      "INSERT INTO terminal_certificates (fingerprint, terminal_id, issuer, serial, issued_at, not_after) VALUES ($1, "
      "$2, $3, $4, $5, $6)",
      {granted.tls.fingerprint(), raw(id), granted.tls_issuer, granted.tls.serial(), now,
       seconds(granted.tls.not_after())}));
  TRY(impl.database.execute(
      "UPDATE terminals SET state = $2, cv_certificate = $3, cv_until = $4, tls_until = $5, changed_at = $6 WHERE "
      "terminal_id = $1",
      {raw(id), static_cast<std::int64_t>(TerminalState::enrolled), granted.cv_certificate, seconds(granted.cv_until),
       seconds(granted.tls.not_after()), now}));
  return add_event(impl, id, {kind, granted.cv_holder}, cause);
}

Cause cause_of(const Terminal& terminal) { return {"terminal:" + terminal.name, ""}; }

}  // namespace

std::string format_id(TerminalId id) { return format_id(CardId{raw(id)}); }
Result<TerminalId> parse_terminal_id(std::string_view text) {
  const auto id = parse_card_id(text);
  if (!id) return fail(ErrorKind::usage, "\"" + std::string(text) + "\" is no terminal id", id.error().hint);
  return TerminalId{raw(*id)};
}

std::string_view name_of(TerminalState state) {
  const auto row = std::ranges::find(kStates, state, &StateRow::state);
  KARTA_CHECK(row != kStates.end());
  return row->name;
}

// At the centre

Result<Invitation> TerminalLedger::invite(const std::string& name, const std::string& role,
                                          const std::string& cv_prefix, std::chrono::seconds valid_for,
                                          const Cause& cause) {
  TRY(check_cause(cause));
  // A name that reads as an id would be somebody else's.
  if (!is_terminal_name(name) || parse_terminal_id(name)) {
    return fail(ErrorKind::usage, "\"" + name + "\" is no name of a terminal",
                "small letters, digits, dots and hyphens, at most " + std::to_string(kMostTerminalName));
  }
  KARTA_CHECK(cv_prefix.size() > 2 && cv_prefix.size() < kLineOctets);
  Registry::Impl& impl = *registry_.impl_;
  Invitation out;
  Bytes letters;
  letters.reserve(kCodeLetters + kCodeLetters / kCodeGroup);
  for (std::size_t i = 0; i < kCodeLetters; ++i) {
    if (i != 0 && i % kCodeGroup == 0) letters.push_back('-');
    letters.push_back(static_cast<std::uint8_t>(kCodeAlphabet[impl.random->below(kCodeAlphabet.size())]));
  }
  out.code = SecretBytes(std::move(letters));
  out.expires = impl.clock->now() + valid_for;
  const Bytes hash = hash_of_code(out.code);
  TRY(impl.database.transact([&]() -> Status {
    const std::int64_t now = seconds(impl.clock->now());
    std::optional<Terminal> known = TRY(find_by_name(impl.database, name));
    if (known && known->state == TerminalState::revoked) return is_revoked(*known);
    if (known && known->role != role) {
      return fail(ErrorKind::usage, "the terminal \"" + name + "\" is enrolled as " + known->role,
                  "roles do not change: revoke it and take another name");
    }
    const TerminalId id = known ? known->id : TerminalId{impl.new_id()};
    if (known) {
      TRY(impl.database.execute("DELETE FROM terminal_codes WHERE terminal_id = $1", {raw(id)}));
    } else {
      std::string line = cv_prefix;
      while (line.size() < kLineOctets) line += kLineAlphabet[impl.random->below(kLineAlphabet.size())];
      TRY(impl.database.execute("INSERT INTO terminal_by_name (name, terminal_id) VALUES ($1, $2)", {name, raw(id)}));
      TRY(impl.database.execute("INSERT INTO terminal_by_line (cv_line, terminal_id) VALUES ($1, $2)",
                                {line, raw(id)}));
      TRY(impl.database.execute(
          "INSERT INTO terminals (terminal_id, name, role, state, cv_line, cv_sequence, created_at, changed_at, "
          "journal_to, journal_fault) VALUES ($1, $2, $3, $4, $5, 0, $6, $6, 0, '')",
          {raw(id), name, role, static_cast<std::int64_t>(TerminalState::invited), line, now}));
    }
    TRY(impl.database.execute("INSERT INTO terminal_codes (code_hash, terminal_id, expires_at) VALUES ($1, $2, $3)",
                              {hash, raw(id), seconds(out.expires)}));
    TRY(add_event(impl, id, {"invited", format_time(out.expires)}, cause));
    out.terminal = TRY(load(impl.database, id));
    return {};
  }));
  return out;
}

Result<std::vector<Terminal>> TerminalLedger::list(const std::string& after, std::size_t limit) {
  Statement rows = TRY(registry_.impl_->database.prepare(
      std::string(kColumns) +
      "JOIN terminal_by_name AS n ON n.terminal_id = t.terminal_id WHERE n.name > $1 ORDER BY n.name LIMIT $2"));
  TRY(rows.query({after, static_cast<std::int64_t>(std::min(limit, kPageLimit))}));
  std::vector<Terminal> out;
  while (TRY(rows.next())) out.push_back(terminal_of(rows));
  return out;
}

Result<Terminal> TerminalLedger::terminal(TerminalId id) { return load(registry_.impl_->database, id); }

Result<Terminal> TerminalLedger::find(std::string_view id_or_name) {
  if (const auto id = parse_terminal_id(id_or_name)) return terminal(*id);
  auto found = TRY(find_by_name(registry_.impl_->database, id_or_name));
  if (!found) return no_terminal(id_or_name);
  return std::move(*found);
}

Result<Terminal> TerminalLedger::revoke(TerminalId id, const Cause& cause) {
  TRY(check_cause(cause));
  Registry::Impl& impl = *registry_.impl_;
  std::optional<Terminal> out;
  TRY(impl.database.transact([&]() -> Status {
    const Terminal before = TRY(load(impl.database, id));
    if (before.state == TerminalState::revoked) return is_revoked(before);
    TRY(impl.database.execute(
        "UPDATE terminals SET state = $2, changed_at = $3 WHERE terminal_id = $1",
        {raw(id), static_cast<std::int64_t>(TerminalState::revoked), seconds(impl.clock->now())}));
    TRY(impl.database.execute("DELETE FROM terminal_codes WHERE terminal_id = $1", {raw(id)}));
    TRY(revoke_certificates(impl, id, crypto::CrlReason::privilege_withdrawn));
    TRY(add_event(impl, id, {"revoked", ""}, cause));
    out = TRY(load(impl.database, id));
    return {};
  }));
  return std::move(*out);
}

Result<std::vector<TerminalEvent>> TerminalLedger::events_of(TerminalId id, std::size_t limit) {
  Statement rows = TRY(registry_.impl_->database.prepare(
      "SELECT number, at, actor, kind, detail, reason FROM terminal_events WHERE terminal_id = $1 ORDER BY number DESC "
      "LIMIT $2"));
  TRY(rows.query({raw(id), static_cast<std::int64_t>(std::min(limit, kPageLimit))}));
  std::vector<TerminalEvent> out;
  while (TRY(rows.next())) {
    out.push_back({rows.integer(0), from_seconds(rows.integer(1)), std::string(rows.text(2)), std::string(rows.text(3)),
                   std::string(rows.text(4)), std::string(rows.text(5))});
  }
  return out;
}

// For the server

Status TerminalLedger::check_not_revoked(const crypto::Certificate& certificate) {
  const auto found =
      TRY(find_revocation(registry_.impl_->database, certificate.issuer().to_text(), certificate.serial()));
  if (!found || found->released()) return {};
  return fail(ErrorKind::not_permitted, "the certificate is revoked or on hold");
}

Result<Terminal> TerminalLedger::authenticate(ByteView tls_certificate) {
  Registry::Impl& impl = *registry_.impl_;
  const Bytes fingerprint = crypto::digest(crypto::Hash::sha256, tls_certificate);
  std::optional<Terminal> terminal;
  {
    Statement row = TRY(impl.database.prepare(
        "SELECT c.terminal_id, c.not_after, r.reason FROM terminal_certificates AS c LEFT JOIN revocations AS r ON "
        "r.issuer = c.issuer AND r.serial = c.serial WHERE c.fingerprint = $1"));
    TRY(row.query({fingerprint}));
    if (!TRY(row.next())) {
      return fail(ErrorKind::not_permitted, "the certificate is no terminal's",
                  "it must be one that enrolment or renewal at this authority gave");
    }
    const std::int64_t not_after = row.integer(1);
    const auto reason = row.integer_or_null(2);
    terminal = TRY(load(impl.database, TerminalId{row.integer(0)}));
    if (terminal->state == TerminalState::revoked) return is_revoked(*terminal);
    if (reason && *reason != static_cast<std::int64_t>(crypto::CrlReason::remove_from_crl)) {
      return fail(ErrorKind::not_permitted, "the certificate of the terminal \"" + terminal->name + "\" is revoked",
                  "enrol the terminal again: karta terminal enrol");
    }
    if (from_seconds(not_after) < impl.clock->now()) {
      return fail(ErrorKind::not_permitted, "the certificate of the terminal \"" + terminal->name + "\" has expired",
                  "enrol the terminal again: karta terminal enrol");
    }
  }
  const Time now = impl.clock->now();
  if (!terminal->last_contact || now - *terminal->last_contact >= kContactStep) {
    // For people who look at the list: no reason to refuse anybody if it cannot be written just now.
    (void)impl.database.execute("UPDATE terminals SET last_contact = $2 WHERE terminal_id = $1",
                                {raw(terminal->id), seconds(now)});
    terminal->last_contact = now;
  }
  return std::move(*terminal);
}

Result<TerminalLedger::Enrolling> TerminalLedger::begin_enrolment(const SecretBytes& code, ByteView keys) {
  Registry::Impl& impl = *registry_.impl_;
  const Bytes hash = hash_of_code(code);
  Enrolling out;
  TRY(impl.database.transact([&]() -> Status {
    CodeRow row = TRY(find_code(impl, hash, keys));
    out.terminal = std::move(row.terminal);
    out.answer = std::move(row.answer);
    if (!out.answer) out.sequence = TRY(take_sequence(impl.database, out.terminal.id));
    return {};
  }));
  return out;
}

Status TerminalLedger::finish_enrolment(const SecretBytes& code, ByteView keys, const GrantedCertificates& granted,
                                        const std::string& answer) {
  Registry::Impl& impl = *registry_.impl_;
  const Bytes hash = hash_of_code(code);
  return impl.database.transact([&]() -> Status {
    const CodeRow row = TRY(find_code(impl, hash, keys));
    // The same keys twice at once: the certificates written down first are those that count.
    if (row.answer) return fail(ErrorKind::busy, "the same enrolment is under way", "ask again");
    TRY(impl.database.execute("UPDATE terminal_codes SET used_by = $2, answer = $3 WHERE code_hash = $1",
                              {hash, keys, answer}));
    // Keys it had before are lost, and perhaps in other hands.
    TRY(revoke_certificates(impl, row.terminal.id, crypto::CrlReason::superseded));
    return record_grant(impl, row.terminal.id, granted, "enrolled", cause_of(row.terminal));
  });
}

Result<std::uint32_t> TerminalLedger::begin_renewal(TerminalId id) {
  Registry::Impl& impl = *registry_.impl_;
  std::uint32_t sequence = 0;
  TRY(impl.database.transact([&]() -> Status {
    const Terminal terminal = TRY(load(impl.database, id));
    if (terminal.state == TerminalState::revoked) return is_revoked(terminal);
    sequence = TRY(take_sequence(impl.database, id));
    return {};
  }));
  return sequence;
}

Status TerminalLedger::finish_renewal(ByteView shown, const GrantedCertificates& granted) {
  Registry::Impl& impl = *registry_.impl_;
  return impl.database.transact([&]() -> Status {
    const Terminal terminal = TRY(authenticate(shown));
    return record_grant(impl, terminal.id, granted, "renewed", cause_of(terminal));
  });
}

Result<JournalPosition> TerminalLedger::take_journal(TerminalId id, const std::vector<JournalRecord>& records) {
  Registry::Impl& impl = *registry_.impl_;
  JournalPosition end;
  std::string fork;
  const auto take = [&]() -> Status {
    fork.clear();
    const Terminal terminal = TRY(load(impl.database, id));
    if (terminal.state == TerminalState::revoked) return is_revoked(terminal);
    end = {terminal.journal_to, terminal.journal_hash.value_or(JournalHash{})};
    // A journal begins with a random hash of its own, which its first record brings along.
    if (end.number == 0 && !records.empty() && records.front().number == 1) end.hash = records.front().previous;
    const std::uint64_t before = end.number;
    const JournalHash origin = end.hash;
    const std::int64_t now = seconds(impl.clock->now());
    Statement insert = TRY(impl.database.prepare(
        "INSERT INTO terminal_records (terminal_id, number, at, kind, body, hash, previous, received_at) VALUES ($1, "
        "$2, $3, $4, $5, $6, $7, $8)"));
    Statement look =
        TRY(impl.database.prepare("SELECT hash FROM terminal_records WHERE terminal_id = $1 AND number = $2"));
    const auto forked = [&](const JournalRecord& record) {
      fork = "record " + std::to_string(record.number) + " differs from the one that was sent before";
      return fail(ErrorKind::already_exists,
                  "the journal of \"" + terminal.name + "\" has another history here: " + fork,
                  "two journals of one terminal, or one that was restored: look at both before going on");
    };
    for (const JournalRecord& record : records) {
      const JournalFit fit = fit_of(end, record);
      // A record that mends a journal stands on one that was lost: kept, since no row here tells it.
      std::optional<ByteView> previous;
      if (fit == JournalFit::mended) previous = record.previous;
      switch (fit) {
        case JournalFit::mended:
          TRY(add_event(impl, id, {"journal-mended", std::to_string(record.number)}, cause_of(terminal)));
          [[fallthrough]];
        case JournalFit::next:
          TRY(insert.execute({raw(id), static_cast<std::int64_t>(record.number), seconds(record.time), record.kind,
                              record.body, ByteView(record.hash), previous, now}));
          end = record.position();
          break;
        case JournalFit::repeated: {
          TRY(look.query({raw(id), static_cast<std::int64_t>(record.number)}));
          if (!TRY(look.next()) || !equal(look.octets(0), record.hash)) return forked(record);
          break;
        }
        case JournalFit::gap:
          return fail(ErrorKind::not_found,
                      "records " + std::to_string(end.number + 1) + " to " + std::to_string(record.number - 1) +
                          " of the journal of \"" + terminal.name + "\" are missing",
                      "send the journal from there on");
        case JournalFit::fork:
          return forked(record);
        case JournalFit::broken:
          return fail(ErrorKind::invalid_signature,
                      "the hash of record " + std::to_string(record.number) + " does not fit it");
      }
    }
    if (end.number == before) return {};
    TRY(impl.database.execute("UPDATE terminals SET journal_to = $2, journal_hash = $3 WHERE terminal_id = $1",
                              {raw(id), static_cast<std::int64_t>(end.number), ByteView(end.hash)}));
    if (before == 0) {
      TRY(impl.database.execute("UPDATE terminals SET journal_origin = $2 WHERE terminal_id = $1",
                                {raw(id), ByteView(origin)}));
    }
    return {};
  };
  const Status taken = impl.database.transact(take);
  if (taken) return end;
  if (!fork.empty()) {
    // The refusal is remembered, though what was sent is not taken.
    TRY(impl.database.transact([&]() -> Status {
      const Terminal terminal = TRY(load(impl.database, id));
      if (terminal.journal_fault == fork) return {};
      TRY(impl.database.execute("UPDATE terminals SET journal_fault = $2 WHERE terminal_id = $1", {raw(id), fork}));
      return add_event(impl, id, {"journal-fork", fork}, cause_of(terminal));
    }));
  }
  return fail(taken.error());
}

Result<std::vector<JournalRecord>> TerminalLedger::journal_of(TerminalId id, std::uint64_t after, std::size_t limit) {
  Database& database = registry_.impl_->database;
  std::vector<JournalRecord> out;
  JournalHash previous{};
  {
    // The record before is what the first one stands on (numbers may be missing where a journal was mended), or else
    // the journal's origin.
    Statement row =
        TRY(database.prepare("SELECT coalesce((SELECT hash FROM terminal_records WHERE terminal_id = $1 AND number <= "
                             "$2 ORDER BY number DESC "
                             "LIMIT 1), (SELECT journal_origin FROM terminals WHERE terminal_id = $1))"));
    TRY(row.query({raw(id), static_cast<std::int64_t>(after)}));
    if (TRY(row.next()) && row.octets(0).size() == previous.size()) std::ranges::copy(row.octets(0), previous.begin());
  }
  Statement rows =
      TRY(database.prepare("SELECT number, at, kind, body, hash, previous FROM terminal_records WHERE terminal_id = $1 "
                           "AND number > $2 ORDER BY number LIMIT $3"));
  TRY(rows.query({raw(id), static_cast<std::int64_t>(after), static_cast<std::int64_t>(limit)}));
  while (TRY(rows.next())) {
    JournalRecord record;
    record.number = static_cast<std::uint64_t>(rows.integer(0));
    record.time = from_seconds(rows.integer(1));
    record.kind = rows.text(2);
    record.body = rows.text(3);
    record.previous = previous;
    if (rows.octets(5).size() == previous.size()) std::ranges::copy(rows.octets(5), record.previous.begin());
    if (rows.octets(4).size() != record.hash.size()) {
      return fail(ErrorKind::malformed, "registry holds a journal record that cannot be read",
                  "restore the registry from a backup");
    }
    std::ranges::copy(rows.octets(4), record.hash.begin());
    previous = record.hash;
    out.push_back(std::move(record));
  }
  return out;
}

// The life of cards, by operators on line

Result<std::string> TerminalLedger::change_card_once(const DeedKey& key, CardId id, CardState to,
                                                     RevocationReason reason, const Cause& cause,
                                                     const std::function<std::string(const Card&)>& answer) {
  TRY(check_cause(cause));
  TRY(check_card_step(to));
  if (key.key.size() > kMostIdempotencyKey) {
    return fail(ErrorKind::limit,
                "an idempotency key is at most " + std::to_string(kMostIdempotencyKey) + " octets long");
  }
  Registry::Impl& impl = *registry_.impl_;
  std::string out;
  TRY(impl.database.transact([&]() -> Status {
    if (!key.key.empty()) {
      Statement row = TRY(impl.database.prepare(
          "SELECT request_hash, answer FROM kept_answers WHERE caller = $1 AND idempotency_key = $2"));
      TRY(row.query({key.caller, key.key}));
      if (TRY(row.next())) {
        if (!equal(row.octets(0), key.request)) {
          return fail(ErrorKind::already_exists, "the idempotency key stands for another request",
                      "every deed has a key of its own");
        }
        out = row.text(1);
        return {};
      }
    }
    const Card card = TRY(impl.load_card(id));
    TRY(impl.move_card(card, to, reason, cause));
    const Card moved = TRY(impl.load_card(id));
    out = answer(moved);
    if (key.key.empty()) return {};
    TRY(impl.database.execute(
        "INSERT INTO kept_answers (caller, idempotency_key, request_hash, answer, at) VALUES ($1, $2, $3, $4, $5)",
        {key.caller, key.key, key.request, out, seconds(impl.clock->now())}));
    return {};
  }));
  return out;
}

Status TerminalLedger::forget_answers(Time before) {
  TRY(registry_.impl_->database.execute("DELETE FROM kept_answers WHERE at < $1", {seconds(before)}));
  TRY(registry_.impl_->database.execute("DELETE FROM terminal_codes WHERE expires_at < $1", {seconds(before)}));
  return {};
}

}  // namespace karta::identity
