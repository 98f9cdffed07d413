#include "identity/requests/departments.h"

#include <algorithm>

#include "crypto/digest.h"
#include "identity/registry_impl.h"
#include "identity/requests/documents.h"
#include "identity/revocations.h"
#include "identity/utf8.h"

namespace karta::identity {
namespace {

using service::Database;
using service::Statement;

tl::unexpected<Error> no_department(std::string_view name) {
  return fail(ErrorKind::not_found, "there is no department \"" + std::string(name) + "\"",
              "karta department list shows them");
}
tl::unexpected<Error> unknown_caller() {
  return fail(ErrorKind::not_permitted, "no department is known by what was shown",
              "a bearer token or a client certificate of a registered department");
}

/// The part of a department that stands in its own row.
Result<Department> load(Database& database, std::string_view name) {
  Department out;
  {
    Statement row = TRY(database.prepare(
        "SELECT name, title, state, deadline_days, token_hash, created_at, changed_at, title_ru FROM departments WHERE "
        "name = $1"));
    TRY(row.query({name}));
    if (!TRY(row.next())) return no_department(name);
    out.name = row.text(0);
    out.title = row.text(1);
    out.state = static_cast<DepartmentState>(row.integer(2));
    out.deadline_days = static_cast<unsigned>(row.integer(3));
    out.has_token = !row.is_null(4);
    out.created = from_seconds(row.integer(5));
    out.changed = from_seconds(row.integer(6));
    out.title_ru = row.text(7);
  }
  {
    Statement rows =
        TRY(database.prepare("SELECT kind, subject, legal_basis FROM department_rights WHERE department = $1"));
    TRY(rows.query({out.name}));
    while (TRY(rows.next())) {
      out.rights.push_back(
          {static_cast<RightKind>(rows.integer(0)), std::string(rows.text(1)), std::string(rows.text(2))});
    }
    std::ranges::sort(out.rights);
  }
  Statement rows = TRY(
      database.prepare("SELECT der FROM department_certificates WHERE department = $1 AND dropped_at IS NULL ORDER BY "
                       "added_at, fingerprint"));
  TRY(rows.query({out.name}));
  while (TRY(rows.next())) {
    auto certificate = crypto::Certificate::from_der(rows.octets(0));
    if (!certificate) {
      return fail(ErrorKind::malformed, "registry holds a department's certificate that cannot be read",
                  "restore the registry from a backup");
    }
    out.certificates.push_back(std::move(*certificate));
  }
  return out;
}

Status add_event(Registry::Impl& impl, std::string_view name, std::string_view kind, std::string_view detail,
                 const Cause& cause) {
  std::int64_t number = 0;
  {
    Statement next =
        TRY(impl.database.prepare("SELECT coalesce(max(number), 0) + 1 FROM department_events WHERE department = $1"));
    TRY(next.query({name}));
    TRY(next.next());
    number = next.integer(0);
  }
  TRY(impl.database.execute(
      "INSERT INTO department_events (department, number, at, actor, kind, detail, reason) VALUES ($1, $2, $3, $4, $5, "
      "$6, $7)",
      {name, number, seconds(impl.clock->now()), cause.actor, kind, detail, cause.reason}));
  return {};
}

Status check(const DepartmentRight& right) {
  const bool subject = right.kind != RightKind::delay, basis = right.kind != RightKind::answer;
  if (subject != !right.subject.empty() || (subject && !is_department_word(right.subject))) {
    return fail(ErrorKind::usage, "\"" + right.subject + "\" is nothing to ask about",
                "small letters, digits and hyphens, at most " + std::to_string(kMostDepartmentName));
  }
  if (basis != !trim(right.legal_basis).empty() || characters_of(right.legal_basis) > kStatementCharacters ||
      find_invalid_utf8(right.legal_basis)) {
    return fail(ErrorKind::usage, "a right to ask names its legal basis, in at most " +
                                      std::to_string(kStatementCharacters) + " characters");
  }
  return {};
}

Status check(const DepartmentChange& change) {
  const auto fits = [](const std::string& title) {
    return (title.empty() || !trim(title).empty()) && !find_invalid_utf8(title) &&
           characters_of(title) <= kMostDepartmentTitle;
  };
  if ((change.title && (change.title->empty() || !fits(*change.title))) ||
      (change.title_ru && !fits(*change.title_ru))) {
    return fail(ErrorKind::usage,
                "a department has a title of 1 to " + std::to_string(kMostDepartmentTitle) + " characters");
  }
  if (change.deadline_days && (*change.deadline_days < 1 || *change.deadline_days > kMostDeadlineDays)) {
    return fail(ErrorKind::usage, "a department answers in 1 to " + std::to_string(kMostDeadlineDays) + " days");
  }
  for (const DepartmentRight& one : change.rights) TRY(check(one));
  return {};
}

Status add_certificate(Registry::Impl& impl, std::string_view name, const crypto::Certificate& certificate) {
  std::optional<std::string> owner;
  bool dropped = false;
  {
    Statement row =
        TRY(impl.database.prepare("SELECT department, dropped_at FROM department_certificates WHERE fingerprint = $1"));
    TRY(row.query({certificate.fingerprint()}));
    if (TRY(row.next())) {
      owner = std::string(row.text(0));
      dropped = !row.is_null(1);
    }
  }
  if (owner && *owner == name && !dropped) return {};
  if (owner) {
    return fail(ErrorKind::already_exists,
                *owner == name ? std::string("the certificate was dropped before")
                               : "the certificate is that of \"" + *owner + "\"",
                "a department signs with a certificate of its own");
  }
  TRY(impl.database.execute(
      "INSERT INTO department_certificates (fingerprint, department, der, added_at) VALUES ($1, $2, $3, $4)",
      {certificate.fingerprint(), name, certificate.der(), seconds(impl.clock->now())}));
  return {};
}

Status write_rights(Registry::Impl& impl, std::string_view name, const DepartmentChange& change) {
  for (const DepartmentRight& one : change.dropped_rights) {
    const std::int64_t gone = TRY(impl.database.execute(
        "DELETE FROM department_rights WHERE department = $1 AND kind = $2 AND subject = $3 AND legal_basis = $4",
        {name, static_cast<std::int64_t>(one.kind), one.subject, one.legal_basis}));
    if (gone == 0) return fail(ErrorKind::not_found, "the department has no such right");
  }
  for (const DepartmentRight& one : change.rights) {
    TRY(impl.database.execute(
        "INSERT INTO department_rights (department, kind, subject, legal_basis) VALUES ($1, $2, $3, $4) ON CONFLICT "
        "(department, kind, subject, legal_basis) DO NOTHING",
        {name, static_cast<std::int64_t>(one.kind), one.subject, one.legal_basis}));
  }
  return {};
}

/// Everything of `change` but what stands in the department's own row.
Status write_around(Registry::Impl& impl, std::string_view name, const DepartmentChange& change) {
  for (const std::string& hex : change.dropped_certificates) {
    const auto fingerprint = from_hex(hex);
    if (!fingerprint) return fail(ErrorKind::usage, "a certificate is dropped by its SHA-256, in hexadecimal");
    const std::int64_t gone = TRY(impl.database.execute(
        "UPDATE department_certificates SET dropped_at = $3 WHERE department = $1 AND fingerprint = $2 AND dropped_at "
        "IS NULL",
        {name, *fingerprint, seconds(impl.clock->now())}));
    if (gone == 0) return fail(ErrorKind::not_found, "the department has no certificate \"" + hex + "\"");
  }
  for (const crypto::Certificate& one : change.certificates) TRY(add_certificate(impl, name, one));
  TRY(write_rights(impl, name, change));
  if (change.token_hash) {
    TRY(impl.database.execute("DELETE FROM department_by_token WHERE department = $1", {name}));
    TRY(impl.database.execute("INSERT INTO department_by_token (token_hash, department) VALUES ($1, $2)",
                              {*change.token_hash, name}));
    TRY(impl.database.execute("UPDATE departments SET token_hash = $2 WHERE name = $1", {name, *change.token_hash}));
  }
  const Department after = TRY(load(impl.database, name));
  if (after.certificates.empty()) {
    return fail(ErrorKind::usage, "a department has a certificate", "name the file: --certificate FILE");
  }
  if (after.certificates.size() > kMostDepartmentCertificates || after.rights.size() > kMostDepartmentRights) {
    return fail(ErrorKind::limit, "a department has at most " + std::to_string(kMostDepartmentCertificates) +
                                      " certificates and " + std::to_string(kMostDepartmentRights) + " rights");
  }
  return {};
}

/// What changed, in words: kinds and counts, for the department's events.
std::string words_of(const DepartmentChange& change) {
  std::string out;
  const auto say = [&](bool there, const std::string& what) {
    if (there) out += (out.empty() ? "" : ", ") + what;
  };
  say(change.title.has_value() || change.title_ru.has_value(), "title");
  say(change.deadline_days.has_value(), "deadline");
  say(!change.certificates.empty(), "+" + std::to_string(change.certificates.size()) + " certificates");
  say(!change.dropped_certificates.empty(), "-" + std::to_string(change.dropped_certificates.size()) + " certificates");
  say(!change.rights.empty(), "+" + std::to_string(change.rights.size()) + " rights");
  say(!change.dropped_rights.empty(), "-" + std::to_string(change.dropped_rights.size()) + " rights");
  say(change.token_hash.has_value(), "token");
  return out;
}

}  // namespace

std::string_view name_of(DepartmentState state) { return state == DepartmentState::active ? "active" : "revoked"; }

bool Department::may(RightKind kind, std::string_view subject, std::string_view legal_basis) const {
  return std::ranges::any_of(rights, [&](const DepartmentRight& one) {
    return one.kind == kind && one.subject == subject && one.legal_basis == legal_basis;
  });
}
bool Department::has_certificate(const crypto::Certificate& certificate) const {
  return std::ranges::find(certificates, certificate) != certificates.end();
}

Result<Department> DepartmentLedger::add(const std::string& name, const DepartmentChange& made, const Cause& cause) {
  TRY(check_cause(cause));
  TRY(check(made));
  if (!is_department_word(name) || name == kRegistryName) {
    return fail(ErrorKind::usage, "\"" + name + "\" is no name of a department",
                "small letters, digits and hyphens, at most " + std::to_string(kMostDepartmentName) + "; not \"" +
                    std::string(kRegistryName) + "\"");
  }
  Registry::Impl& impl = *registry_->impl_;
  std::optional<Department> out;
  TRY(impl.database.transact([&]() -> Status {
    const std::int64_t now = seconds(impl.clock->now());
    const std::int64_t made_rows = TRY(impl.database.execute(
        "INSERT INTO departments (name, title, state, deadline_days, created_at, changed_at, title_ru) VALUES ($1, $2, "
        "$3, $4, $5, $5, $6) ON CONFLICT (name) DO NOTHING",
        {name, made.title.value_or(name), static_cast<std::int64_t>(DepartmentState::active),
         static_cast<std::int64_t>(made.deadline_days.value_or(Department{}.deadline_days)), now,
         made.title_ru.value_or("")}));
    if (made_rows == 0) {
      return fail(ErrorKind::already_exists, "there is a department \"" + name + "\"",
                  "karta department change adds to it");
    }
    TRY(write_around(impl, name, made));
    TRY(add_event(impl, name, "added", words_of(made), cause));
    out = TRY(load(impl.database, name));
    return {};
  }));
  return std::move(*out);
}

Result<Department> DepartmentLedger::change(const std::string& name, const DepartmentChange& change,
                                            const Cause& cause) {
  TRY(check_cause(cause));
  TRY(check(change));
  Registry::Impl& impl = *registry_->impl_;
  std::optional<Department> out;
  TRY(impl.database.transact([&]() -> Status {
    const Department before = TRY(load(impl.database, name));
    if (before.state == DepartmentState::revoked) {
      return fail(ErrorKind::not_permitted, "the department \"" + name + "\" is revoked",
                  "one that is to ask again is added under another name");
    }
    TRY(impl.database.execute(
        "UPDATE departments SET title = $2, deadline_days = $3, changed_at = $4, title_ru = $5 WHERE name = $1",
        {name, change.title.value_or(before.title),
         static_cast<std::int64_t>(change.deadline_days.value_or(before.deadline_days)), seconds(impl.clock->now()),
         change.title_ru.value_or(before.title_ru)}));
    TRY(write_around(impl, name, change));
    TRY(add_event(impl, name, "changed", words_of(change), cause));
    out = TRY(load(impl.database, name));
    return {};
  }));
  return std::move(*out);
}

Result<Department> DepartmentLedger::revoke(const std::string& name, const Cause& cause) {
  TRY(check_cause(cause));
  Registry::Impl& impl = *registry_->impl_;
  std::optional<Department> out;
  TRY(impl.database.transact([&]() -> Status {
    const Department before = TRY(load(impl.database, name));
    if (before.state == DepartmentState::revoked) {
      return fail(ErrorKind::not_permitted, "the department \"" + name + "\" is revoked already");
    }
    TRY(impl.database.execute("UPDATE departments SET state = $2, token_hash = NULL, changed_at = $3 WHERE name = $1",
                              {name, static_cast<std::int64_t>(DepartmentState::revoked), seconds(impl.clock->now())}));
    TRY(impl.database.execute("DELETE FROM department_by_token WHERE department = $1", {name}));
    TRY(add_event(impl, name, "revoked", "", cause));
    out = TRY(load(impl.database, name));
    return {};
  }));
  return std::move(*out);
}

Result<Department> DepartmentLedger::find(std::string_view name) { return load(registry_->impl_->database, name); }

Result<std::vector<Department>> DepartmentLedger::list() {
  Database& database = registry_->impl_->database;
  std::vector<std::string> names;
  {
    Statement rows = TRY(database.prepare("SELECT name FROM departments ORDER BY name"));
    TRY(rows.query());
    while (TRY(rows.next())) names.emplace_back(rows.text(0));
  }
  std::vector<Department> out;
  for (const std::string& name : names) out.push_back(TRY(load(database, name)));
  return out;
}

Result<std::vector<DepartmentTitle>> DepartmentLedger::titles() {
  Statement rows =
      TRY(registry_->impl_->database.prepare("SELECT name, title, title_ru FROM departments ORDER BY name"));
  TRY(rows.query());
  std::vector<DepartmentTitle> out;
  while (TRY(rows.next())) {
    out.push_back({std::string(rows.text(0)), std::string(rows.text(1)), std::string(rows.text(2))});
  }
  return out;
}

Result<std::vector<DepartmentEvent>> DepartmentLedger::events_of(std::string_view name, std::size_t limit) {
  Statement rows = TRY(registry_->impl_->database.prepare(
      "SELECT number, at, actor, kind, detail, reason FROM department_events WHERE department = $1 ORDER BY number "
      "DESC LIMIT $2"));
  TRY(rows.query({name, static_cast<std::int64_t>(std::min(limit, kPageLimit))}));
  std::vector<DepartmentEvent> out;
  while (TRY(rows.next())) {
    DepartmentEvent one;
    one.number = rows.integer(0);
    one.at = from_seconds(rows.integer(1));
    one.actor = rows.text(2);
    one.kind = rows.text(3);
    one.detail = rows.text(4);
    one.reason = rows.text(5);
    out.push_back(std::move(one));
  }
  return out;
}

namespace {
/// The active department whose name `sql` selects for `key`.
Result<Department> active_by(Database& database, std::string_view sql, service::Parameter key) {
  std::optional<std::string> name;
  {
    Statement row = TRY(database.prepare(sql));
    TRY(row.query({key}));
    if (TRY(row.next())) name = std::string(row.text(0));
  }
  if (!name) return unknown_caller();
  Department out = TRY(load(database, *name));
  if (out.state != DepartmentState::active) {
    return fail(ErrorKind::not_permitted, "the department \"" + out.name + "\" is revoked");
  }
  return out;
}
}  // namespace

Result<Department> DepartmentLedger::of_token(ByteView token_hash) {
  return active_by(registry_->impl_->database, "SELECT department FROM department_by_token WHERE token_hash = $1",
                   token_hash);
}
Result<Department> DepartmentLedger::of_certificate(ByteView der) {
  const Bytes fingerprint = crypto::digest(crypto::Hash::sha256, der);
  return active_by(registry_->impl_->database,
                   "SELECT department FROM department_certificates WHERE fingerprint = $1 AND dropped_at IS NULL",
                   fingerprint);
}

Status DepartmentLedger::check_not_revoked(const crypto::Certificate& certificate) {
  const auto found =
      TRY(find_revocation(registry_->impl_->database, certificate.issuer().to_text(), certificate.serial()));
  if (!found || found->released()) return {};
  return fail(ErrorKind::not_permitted, "the certificate is revoked or on hold");
}

}  // namespace karta::identity
