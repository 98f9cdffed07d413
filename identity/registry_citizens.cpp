// The registry's citizens.
#include <algorithm>

#include "identity/registry_impl.h"
#include "identity/registry_rows.h"
#include "identity/transliteration.h"
#include "identity/utf8.h"

namespace karta::identity {
namespace {

using detail::damaged;
using detail::no_citizen;
using detail::raw;
using service::Database;
using service::Statement;

std::string search_name_of(const Citizen& citizen) {
  return search_key(citizen.family + " " + citizen.given + " " + citizen.patronymic);
}

std::string join(const std::vector<CitizenField>& fields) {
  std::string names;
  for (const CitizenField field : fields) names += (names.empty() ? "" : ",") + std::string(row_of(field).name);
  return names;
}

template <class Number>
std::optional<std::string_view> text_of(const std::optional<Number>& number) {
  if (!number) return std::nullopt;
  return number->text();
}

}  // namespace

Status check_storable(const Citizen& citizen) {
  if (citizen.family.empty() || citizen.given.empty() || citizen.family_latin.empty() || citizen.given_latin.empty() ||
      !citizen.birth_date.ok() || (citizen.inn && !citizen.inn->person()) ||
      std::ranges::any_of(citizen.concessions, [](const Concession& c) { return !c.valid_from.ok(); })) {
    return fail(ErrorKind::usage, "citizen is not complete",
                "names, Latin names and the date of birth must be there; an INN must be a person's");
  }
  return {};
}

// Steps of transactions

Result<std::optional<CitizenId>> Registry::Impl::find_by_snils(const Snils& snils) {
  Statement row = TRY(database.prepare("SELECT citizen_id FROM citizen_by_snils WHERE snils_account = $1"));
  TRY(row.query({snils_key(snils)}));
  if (!TRY(row.next())) return std::optional<CitizenId>();
  return std::optional(CitizenId{row.integer(0)});
}

Result<CitizenRecord> load_citizen(Database& database, CitizenId id, Concessions which) {
  Statement row = TRY(
      database.prepare("SELECT snils, family, given, patronymic, family_latin, given_latin, birth_date, sex, inn, enp, "
                       "insurer, region, created_at, changed_at FROM citizens WHERE citizen_id = $1"));
  TRY(row.query({raw(id)}));
  if (!TRY(row.next())) return no_citizen(id);
  CitizenRecord record;
  record.id = id;
  Citizen& citizen = record.citizen;
  const std::string digits = std::to_string(row.integer(0));
  const auto snils = Snils::parse(std::string(11 - std::min<std::size_t>(11, digits.size()), '0') + digits);
  if (!snils) return damaged("SNILS");
  citizen.snils = *snils;
  citizen.family = row.text(1);
  citizen.given = row.text(2);
  citizen.patronymic = row.text(3);
  citizen.family_latin = row.text(4);
  citizen.given_latin = row.text(5);
  const auto birth = parse_date(row.text(6));
  if (!birth) return damaged("date of birth");
  citizen.birth_date = *birth;
  citizen.sex = static_cast<Sex>(row.integer(7));
  if (!row.is_null(8)) {
    const auto inn = Inn::parse(row.text(8));
    if (!inn) return damaged("INN");
    citizen.inn = *inn;
  }
  if (!row.is_null(9)) {
    const auto enp = Enp::parse(row.text(9));
    if (!enp) return damaged("ENP");
    citizen.enp = *enp;
  }
  citizen.insurer = row.text(10);
  citizen.region = row.text(11);
  record.created = from_seconds(row.integer(12));
  record.changed = from_seconds(row.integer(13));
  if (which == Concessions::without) return record;

  Statement concessions =
      TRY(database.prepare("SELECT kind, valid_from, valid_until FROM concessions WHERE citizen_id = $1 "
                           "ORDER BY kind, valid_from"));
  TRY(concessions.query({raw(id)}));
  while (TRY(concessions.next())) {
    Concession concession;
    concession.kind = static_cast<ConcessionKind>(concessions.integer(0));
    const auto from = parse_date(concessions.text(1));
    if (!from) return damaged("concession");
    concession.valid_from = *from;
    if (!concessions.is_null(2)) {
      const auto until = parse_date(concessions.text(2));
      if (!until) return damaged("concession");
      concession.valid_until = *until;
    }
    citizen.concessions.push_back(concession);
  }
  return record;
}

Result<CitizenRecord> Registry::Impl::load_citizen(CitizenId id) {
  return identity::load_citizen(database, id, Concessions::with);
}

Status Registry::Impl::insert_concessions(CitizenId id, const Citizen& citizen) {
  if (citizen.concessions.empty()) return {};
  Statement insert = TRY(
      database.prepare("INSERT INTO concessions (citizen_id, kind, valid_from, valid_until) VALUES ($1, $2, $3, $4)"));
  for (const Concession& concession : citizen.concessions) {
    std::optional<std::string> until;
    if (concession.valid_until) until = format_date(*concession.valid_until);
    TRY(insert.execute(
        {raw(id), static_cast<std::int64_t>(concession.kind), format_date(concession.valid_from), until}));
  }
  return {};
}

Status Registry::Impl::insert_citizen(CitizenId id, const Citizen& citizen, const Cause& cause) {
  const std::int64_t now = seconds(clock->now());
  const auto snils = static_cast<std::int64_t>(citizen.snils.value());
  Statement lookup = TRY(database.prepare("INSERT INTO citizen_by_snils (snils_account, citizen_id) VALUES ($1, $2)"));
  TRY(lookup.execute({snils_key(citizen.snils), raw(id)}));
  Statement insert = TRY(
      database.prepare("INSERT INTO citizens (citizen_id, snils, family, given, patronymic, family_latin, given_latin, "
                       "search_name, birth_date, sex, inn, enp, insurer, region, created_at, changed_at) VALUES "
                       "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15)"));
  TRY(insert.execute({raw(id), snils, citizen.family, citizen.given, citizen.patronymic, citizen.family_latin,
                      citizen.given_latin, search_name_of(citizen), format_date(citizen.birth_date),
                      static_cast<std::int64_t>(citizen.sex), text_of(citizen.inn), text_of(citizen.enp),
                      citizen.insurer, citizen.region, now}));
  TRY(insert_concessions(id, citizen));
  return add_event({id, "citizen-created", {}, "", ""}, cause, 1);
}

Status Registry::Impl::update_citizen(CitizenId id, const Citizen& before, const Citizen& after,
                                      const std::vector<CitizenField>& changed, const Cause& cause) {
  const auto snils = static_cast<std::int64_t>(after.snils.value());
  if (before.snils != after.snils) {
    TRY(database.execute("DELETE FROM citizen_by_snils WHERE snils_account = $1", {snils_key(before.snils)}));
    TRY(database.execute("INSERT INTO citizen_by_snils (snils_account, citizen_id) VALUES ($1, $2)",
                         {snils_key(after.snils), raw(id)}));
  }
  Statement update = TRY(
      database.prepare("UPDATE citizens SET snils = $2, family = $3, given = $4, patronymic = $5, family_latin = $6, "
                       "given_latin = $7, search_name = $8, birth_date = $9, sex = $10, inn = $11, enp = $12, "
                       "insurer = $13, region = $14, changed_at = $15 WHERE citizen_id = $1"));
  TRY(update.execute({raw(id), snils, after.family, after.given, after.patronymic, after.family_latin,
                      after.given_latin, search_name_of(after), format_date(after.birth_date),
                      static_cast<std::int64_t>(after.sex), text_of(after.inn), text_of(after.enp), after.insurer,
                      after.region, seconds(clock->now())}));
  if (before.concessions != after.concessions) {
    TRY(database.execute("DELETE FROM concessions WHERE citizen_id = $1", {raw(id)}));
    TRY(insert_concessions(id, after));
  }
  // The event names the data that changed, never what they were or are.
  return add_event({id, "citizen-changed", {}, "", join(changed)}, cause);
}

// What the registry does

Result<CitizenId> Registry::add_citizen(const Citizen& citizen, const Cause& cause) {
  TRY(check_cause(cause));
  TRY(check_storable(citizen));
  const CitizenId id{impl_->new_id()};
  const auto work = [&]() -> Status {
    if (TRY(impl_->find_by_snils(citizen.snils))) {
      return fail(ErrorKind::already_exists, "a citizen with this SNILS is registered already",
                  "look the citizen up and change the record instead");
    }
    return impl_->insert_citizen(id, citizen, cause);
  };
  TRY(impl_->database.transact(work));
  return id;
}

Result<bool> Registry::change_citizen(CitizenId id, const Citizen& citizen, const Cause& cause) {
  TRY(check_cause(cause));
  TRY(check_storable(citizen));
  bool changed = false;
  const auto work = [&]() -> Status {
    const CitizenRecord before = TRY(impl_->load_citizen(id));
    const std::vector<CitizenField> fields = differing_fields(before.citizen, citizen);
    changed = !fields.empty();
    if (!changed) return {};
    if (before.citizen.snils != citizen.snils && TRY(impl_->find_by_snils(citizen.snils))) {
      return fail(ErrorKind::already_exists, "another citizen has this SNILS");
    }
    return impl_->update_citizen(id, before.citizen, citizen, fields, cause);
  };
  TRY(impl_->database.transact(work));
  return changed;
}

Result<CitizenRecord> Registry::read_citizen(CitizenId id, const Purpose& purpose) {
  TRY(check_purpose(purpose));
  std::optional<CitizenRecord> record;
  const auto work = [&]() -> Status {
    record = TRY(impl_->load_citizen(id));
    return impl_->log_access(id, purpose, "record");
  };
  TRY(impl_->database.transact(work));
  return std::move(*record);
}

Result<CitizenRecord> Registry::read_citizen(const Snils& snils, const Purpose& purpose) {
  TRY(check_purpose(purpose));
  std::optional<CitizenRecord> record;
  const auto work = [&]() -> Status {
    const auto id = TRY(impl_->find_by_snils(snils));
    if (!id) return fail(ErrorKind::not_found, "no citizen has this SNILS");
    record = TRY(impl_->load_citizen(*id));
    return impl_->log_access(*id, purpose, "record");
  };
  TRY(impl_->database.transact(work));
  return std::move(*record);
}

Result<CitizenPage> Registry::find_citizens(std::string_view prefix, const Purpose& purpose, std::size_t limit,
                                            const std::optional<std::string>& after) {
  TRY(check_purpose(purpose));
  if (limit < 1 || limit > kPageLimit) {
    return fail(ErrorKind::usage, "a page holds 1 to " + std::to_string(kPageLimit) + " citizens");
  }
  const std::string from = search_key(prefix);
  std::string_view rest = from;
  if (!take_code_point(rest) || !take_code_point(rest)) {
    return fail(ErrorKind::usage, "a name is searched by at least two letters of its beginning");
  }
  const std::string until = from + "\xF4\x8F\xBF\xBF";  // U+10FFFF: above every letter
  std::int64_t last = 0;
  if (after) last = raw(TRY(parse_citizen_id(*after)));

  CitizenPage page;
  const auto work = [&]() -> Status {
    page = {};
    std::string last_name;
    if (after) {
      Statement row = TRY(impl_->database.prepare("SELECT search_name FROM citizens WHERE citizen_id = $1"));
      TRY(row.query({last}));
      if (!TRY(row.next())) return no_citizen(CitizenId{last});
      last_name = row.text(0);
    }
    // One more than asked tells whether there is more.
    Statement rows = TRY(impl_->database.prepare(
        "SELECT citizen_id, family, given, patronymic, birth_date FROM citizens WHERE search_name >= $1 AND "
        "search_name < $2 AND (search_name, citizen_id) > ($3, $4) ORDER BY search_name, citizen_id LIMIT $5"));
    TRY(rows.query({from, until, last_name, last, static_cast<std::int64_t>(limit + 1)}));
    while (TRY(rows.next())) {
      if (page.citizens.size() == limit) {
        page.next = format_id(page.citizens.back().id);
        break;
      }
      const auto birth = parse_date(rows.text(4));
      if (!birth) return damaged("date of birth");
      page.citizens.push_back({CitizenId{rows.integer(0)}, std::string(rows.text(1)), std::string(rows.text(2)),
                               std::string(rows.text(3)), *birth});
    }
    for (const CitizenSummary& citizen : page.citizens) TRY(impl_->log_access(citizen.id, purpose, "search"));
    return {};
  };
  TRY(impl_->database.transact(work));
  return page;
}

Result<std::optional<CitizenId>> Registry::citizen_of(const Snils& snils) { return impl_->find_by_snils(snils); }

Result<std::optional<CitizenId>> Registry::find_citizen(const Snils& snils, const Purpose& purpose) {
  TRY(check_purpose(purpose));
  std::optional<CitizenId> found;
  TRY(impl_->database.transact([&]() -> Status {
    found = TRY(impl_->find_by_snils(snils));
    if (!found) return {};  // there is nobody whose log it could stand in
    return impl_->log_access(*found, purpose, "number-search");
  }));
  return found;
}

Result<std::uint64_t> Registry::count_citizens() {
  Statement row = TRY(impl_->database.prepare("SELECT count(*) FROM citizen_by_snils"));
  TRY(row.query());
  TRY(row.next());
  return static_cast<std::uint64_t>(row.integer(0));
}

Result<std::vector<CitizenId>> Registry::list_citizens(std::optional<CitizenId> after, std::size_t limit) {
  Statement rows = TRY(
      impl_->database.prepare("SELECT citizen_id FROM citizens WHERE citizen_id > $1 ORDER BY citizen_id LIMIT $2"));
  TRY(rows.query({after ? raw(*after) : 0, static_cast<std::int64_t>(limit)}));
  std::vector<CitizenId> ids;
  while (TRY(rows.next())) ids.emplace_back(CitizenId{rows.integer(0)});
  return ids;
}

}  // namespace karta::identity
