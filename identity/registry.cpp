#include "identity/registry.h"

#include <algorithm>
#include <array>

#include "identity/daily_counts.h"
#include "identity/registry_impl.h"
#include "identity/revocations.h"
#include "identity/schema.h"
#include "identity/transliteration.h"
#include "identity/utf8.h"
#include "service/migrations.h"

namespace karta::identity {
namespace {

using service::Database;
using service::DatabaseOptions;
using service::Statement;

constexpr std::size_t kSerialDigits = 40;  // of a chip, hexadecimal

std::int64_t raw(CitizenId id) { return static_cast<std::int64_t>(id); }
std::int64_t raw(CardId id) { return static_cast<std::int64_t>(id); }

std::string format_key(std::int64_t key) {
  std::array<std::uint8_t, 8> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) {
    octets[i] = static_cast<std::uint8_t>(static_cast<std::uint64_t>(key) >> (56 - 8 * i));
  }
  return to_hex(octets);
}

Result<std::int64_t> parse_key(std::string_view text, const char* what) {
  const auto octets = from_hex(text);
  if (!octets || text.size() != 16 || octets->size() != 8 || octets->front() >= 0x80) {
    return fail(ErrorKind::usage, "\"" + std::string(text) + "\" is no " + what + " id",
                "an id is 16 hexadecimal digits, as the registry printed it");
  }
  std::uint64_t key = 0;
  for (const std::uint8_t octet : *octets) key = key << 8 | octet;
  return static_cast<std::int64_t>(key);
}

Status check_statement(std::string_view text, const char* what, bool required) {
  if (required && trim(text).empty()) {
    return fail(ErrorKind::usage, std::string(what) + " is not stated", "say who, what for and on which case");
  }
  if (characters_of(text) > kStatementCharacters) {
    return fail(ErrorKind::limit,
                std::string(what) + " is longer than " + std::to_string(kStatementCharacters) + " characters");
  }
  if (find_invalid_utf8(text)) return fail(ErrorKind::malformed, std::string(what) + " is not UTF-8");
  return {};
}

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

tl::unexpected<Error> no_citizen(CitizenId id) {
  return fail(ErrorKind::not_found, "there is no citizen \"" + format_id(id) + "\"");
}

tl::unexpected<Error> damaged(const char* what) {
  return fail(ErrorKind::malformed, std::string("registry holds a ") + what + " that cannot be read",
              "restore the registry from a backup");
}

}  // namespace

std::string format_id(CitizenId id) { return format_key(raw(id)); }
std::string format_id(CardId id) { return format_key(raw(id)); }
Result<CitizenId> parse_citizen_id(std::string_view text) { return CitizenId{TRY(parse_key(text, "citizen"))}; }
Result<CardId> parse_card_id(std::string_view text) { return CardId{TRY(parse_key(text, "card"))}; }

std::string_view name_of(CertificateKind kind) {
  constexpr std::array<std::string_view, 6> names = {"", "AUT", "SIG", "QES", "ENC", "AGREEMENT"};
  return names[static_cast<std::size_t>(kind)];
}

Status check_purpose(const Purpose& purpose) {
  TRY(check_statement(purpose.actor, "actor", true));
  TRY(check_statement(purpose.purpose, "purpose", true));
  TRY(check_statement(purpose.case_id, "case", true));
  return check_statement(purpose.legal_basis, "legal basis", purpose.disclose_at.has_value());
}

Status check_cause(const Cause& cause) {
  TRY(check_statement(cause.actor, "actor", true));
  return check_statement(cause.reason, "reason", false);
}

Status check_card_step(CardState to) {
  if (to != CardState::produced && to != CardState::ordered) return {};
  return fail(ErrorKind::usage, "a card becomes " + std::string(row_of(to).name) + " in another way",
              "cards are ordered by order_card() and produced by produce_card()");
}

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

std::int64_t Registry::Impl::new_id() {
  for (;;) {
    std::uint64_t key = 0;
    random->fill({reinterpret_cast<std::uint8_t*>(&key), sizeof key});
    if (key >>= 1; key != 0) return static_cast<std::int64_t>(key);
  }
}

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

Status Registry::Impl::add_event(const NewEvent& event, const Cause& cause, std::optional<std::int64_t> number) {
  if (!number) {
    Statement next = TRY(database.prepare("SELECT coalesce(max(number), 0) + 1 FROM events WHERE citizen_id = $1"));
    TRY(next.query({raw(event.citizen)}));
    TRY(next.next());
    number = next.integer(0);
  }
  std::optional<std::int64_t> card;
  if (event.card) card = raw(*event.card);
  Statement insert = TRY(
      database.prepare("INSERT INTO events (citizen_id, number, at, actor, kind, card_id, state_before, state_after, "
                       "reason) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"));
  TRY(insert.execute({raw(event.citizen), *number, seconds(clock->now()), cause.actor, event.kind, card, event.before,
                      event.after, cause.reason}));
  return {};
}

Status Registry::Impl::log_access(CitizenId citizen, const Purpose& purpose, std::string_view what) {
  return append_access(database, citizen, purpose, what, clock->now());
}

Result<std::uint64_t> Registry::Impl::allocate_status_index(std::string_view batch, std::uint32_t block_size) {
  std::int64_t first = 0, size = 0, used = 0;
  Bytes seed;
  {
    // Only a batch's newest block can have room.
    Statement open =
        TRY(database.prepare("SELECT first_index, size, used, seed FROM status_blocks WHERE batch = $1 "
                             "ORDER BY first_index DESC LIMIT 1"));
    TRY(open.query({batch}));
    if (TRY(open.next())) {
      first = open.integer(0), size = open.integer(1), used = open.integer(2);
      seed = to_bytes(open.octets(3));
    }
  }
  if (used == size) {
    first = 0;
    Statement last =
        TRY(database.prepare("SELECT first_index + size FROM status_blocks ORDER BY first_index DESC LIMIT 1"));
    TRY(last.query());
    if (TRY(last.next())) first = last.integer(0);
    size = block_size;
    used = 0;
    if (static_cast<std::uint64_t>(first + size) > kStatusIndexMax) {
      return fail(ErrorKind::limit, "all status indexes are given out");
    }
    seed = random->bytes(kStatusSeedOctets);
    TRY(
        database.execute("INSERT INTO status_blocks (first_index, size, used, batch, seed, created_at) VALUES "
                         "($1, $2, 0, $3, $4, $5)",
                         {first, size, batch, seed, seconds(clock->now())}));
  }
  if (seed.size() != kStatusSeedOctets || size < 1 || size > kStatusBlockMaxSize) return damaged("status block");
  const std::int64_t taken = TRY(
      database.execute("UPDATE status_blocks SET used = used + 1 WHERE first_index = $1 AND used = $2", {first, used}));
  if (taken != 1) return fail(ErrorKind::busy, "another program took the status index");
  return static_cast<std::uint64_t>(first) +
         permute_in_block(seed, static_cast<std::uint32_t>(size), static_cast<std::uint32_t>(used));
}

namespace {
constexpr std::string_view kCardColumns =
    "c.card_id, c.citizen_id, c.serial, c.status_index, c.profile, c.batch, c.state, c.revocation_reason, c.replaces, "
    "c.valid_until, c.created_at, c.changed_at";

Card card_of(const Statement& row) {
  Card card;
  card.id = CardId{row.integer(0)};
  card.citizen = CitizenId{row.integer(1)};
  card.serial = row.text(2);
  card.status_index = static_cast<std::uint64_t>(row.integer(3));
  card.profile = row.text(4);
  card.batch = row.text(5);
  card.state = static_cast<CardState>(row.integer(6));
  card.revocation_reason = static_cast<RevocationReason>(row.integer(7));
  if (const auto replaces = row.integer_or_null(8)) card.replaces = CardId{*replaces};
  if (const auto until = row.integer_or_null(9)) card.valid_until = from_seconds(*until);
  card.created = from_seconds(row.integer(10));
  card.changed = from_seconds(row.integer(11));
  return card;
}
}  // namespace

Result<Card> Registry::Impl::load_card(CardId id) {
  Statement row = TRY(database.prepare("SELECT " + std::string(kCardColumns) +
                                       " FROM card_by_id AS i JOIN cards AS c ON c.citizen_id = i.citizen_id AND "
                                       "c.card_id = i.card_id WHERE i.card_id = $1"));
  TRY(row.query({raw(id)}));
  if (!TRY(row.next())) return fail(ErrorKind::not_found, "there is no card \"" + format_id(id) + "\"");
  return card_of(row);
}

Result<Card> Registry::Impl::find_card(std::string_view sql, service::Parameter key, std::string_view what) {
  std::optional<CardId> id;
  {
    Statement row = TRY(database.prepare(sql));
    TRY(row.query({key}));
    if (TRY(row.next())) id = CardId{row.integer(0)};
  }
  if (!id) return fail(ErrorKind::not_found, "no card has this " + std::string(what));
  return load_card(*id);
}

Status Registry::Impl::move_certificates(const Card& card, CardState to, RevocationReason reason) {
  crypto::CrlReason wanted = crypto::CrlReason::unspecified;
  switch (to) {
    case CardState::suspended:
      wanted = crypto::CrlReason::certificate_hold;
      break;
    case CardState::active:
      if (card.state != CardState::suspended) return {};
      wanted = crypto::CrlReason::remove_from_crl;
      break;
    case CardState::revoked:
      wanted = static_cast<crypto::CrlReason>(reason);
      break;
    case CardState::replaced:
      wanted = crypto::CrlReason::superseded;
      break;
    default:
      return {};
  }
  struct Row {
    std::string issuer;
    Bytes serial;
    std::int64_t not_after;
  };
  std::vector<Row> certificates;
  {
    Statement rows = TRY(
        database.prepare("SELECT issuer, serial, not_after FROM certificates WHERE citizen_id = $1 AND card_id = $2"));
    TRY(rows.query({raw(card.citizen), raw(card.id)}));
    while (TRY(rows.next())) {
      certificates.push_back({std::string(rows.text(0)), to_bytes(rows.octets(1)), rows.integer(2)});
    }
  }
  for (const Row& one : certificates) {
    const auto before = TRY(find_revocation(database, one.issuer, one.serial));
    // What was held or revoked for a reason of its own does not follow the card back.
    if (wanted == crypto::CrlReason::remove_from_crl && !(before && before->by_card && before->held())) continue;
    if (wanted == crypto::CrlReason::certificate_hold && before && !before->released()) continue;
    if (before && !before->held() && !before->released()) continue;
    TRY(record_revocation(
        database,
        {.issuer = one.issuer, .serial = one.serial, .reason = wanted, .not_after = one.not_after, .by_card = true},
        clock->now()));
  }
  return {};
}

// The row is unique, so that of two servers that order at the same moment one finds the other's card here.
Status Registry::Impl::take_place_of(CardId old, CardId successor) {
  const std::int64_t first = TRY(
      database.execute("INSERT INTO card_successors (card_id, successor_id) VALUES ($1, $2) ON CONFLICT (card_id) DO "
                       "NOTHING",
                       {raw(old), raw(successor)}));
  if (first == 1) return {};
  std::optional<CardId> present;
  {
    Statement row = TRY(database.prepare("SELECT successor_id FROM card_successors WHERE card_id = $1"));
    TRY(row.query({raw(old)}));
    if (TRY(row.next())) present = CardId{row.integer(0)};
  }
  if (!present) return fail(ErrorKind::internal, "a card's successor vanished in a transaction");
  const Card before = TRY(load_card(*present));
  if (!row_of(before.state).final) {
    return fail(ErrorKind::already_exists,
                "card \"" + format_id(before.id) + "\" has been ordered in the place of \"" + format_id(old) + "\"");
  }
  // That one came to nothing: lost on its way, or given up.
  TRY(database.execute("UPDATE card_successors SET successor_id = $2 WHERE card_id = $1", {raw(old), raw(successor)}));
  return {};
}

Status Registry::Impl::move_card(const Card& card, CardState to, RevocationReason reason, const Cause& cause) {
  TRY(check_transition(card.state, to));
  const RevocationReason kept = to == CardState::revoked ? reason : RevocationReason::unspecified;
  TRY(
      database.execute("UPDATE cards SET state = $3, revocation_reason = $4, changed_at = $5 WHERE citizen_id = $1 AND "
                       "card_id = $2",
                       {raw(card.citizen), raw(card.id), static_cast<std::int64_t>(to), static_cast<std::int64_t>(kept),
                        seconds(clock->now())}));
  TRY(move_certificates(card, to, kept));
  TRY(count_card_step(database, clock->now(), card, to));
  if (row_of(card.state).stopped != row_of(to).stopped) {
    TRY(database.execute("UPDATE counters SET value = value + 1 WHERE name = 'card-stops'"));
  }
  std::string after(row_of(to).name);
  if (to == CardState::revoked) after += " (" + std::string(name_of(reason)) + ")";
  return add_event({card.citizen, "card-state", card.id, row_of(card.state).name, after}, cause);
}

// Opening

Registry::Registry(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Registry::Registry(Registry&&) noexcept = default;
Registry& Registry::operator=(Registry&&) noexcept = default;
Registry::~Registry() = default;

Result<Registry> Registry::create(std::string_view url, const Clock& clock, RandomSource& random) {
  Database database = TRY(Database::open(url, {.open = DatabaseOptions::Open::create}));
  TRY(service::migrate(database, registry_migrations(), clock));
  return Registry(std::make_unique<Impl>(Impl{std::move(database), &clock, &random}));
}

Result<Registry> Registry::open(std::string_view url, const Clock& clock, RandomSource& random) {
  constexpr const char* kHint = "make an issuing centre first: karta init DIR";
  auto database = Database::open(url);
  if (!database) {
    Error error = std::move(database).error();
    if (error.kind == ErrorKind::not_found && !service::is_postgresql(url)) error.hint = kHint;
    return fail(std::move(error));
  }
  // A file that is there is a registry's; an empty PostgreSQL database may be there for anything.
  if (database->store() == service::Store::postgresql && TRY(service::schema_version(*database)) == 0) {
    return fail(ErrorKind::not_found, "there is no registry in this database", kHint);
  }
  TRY(service::migrate(*database, registry_migrations(), clock));
  return Registry(std::make_unique<Impl>(Impl{std::move(*database), &clock, &random}));
}

Result<Registry> Registry::open(std::string_view url, const Clock& clock, RandomSource& random,
                                const DatabaseOptions& options) {
  Registry registry = TRY(open(url, clock, random));
  registry.impl_->database = TRY(Database::open(url, options));
  return registry;
}

const Clock& Registry::clock() const { return *impl_->clock; }
Status Registry::check_integrity() { return impl_->database.check_integrity(); }

// Citizens

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

// Cards

Result<Card> Registry::order_card(const CardOrder& order, const Cause& cause) {
  std::vector<Card> cards = TRY(order_cards({order}, cause));
  return std::move(cards.front());
}

Result<std::vector<Card>> Registry::order_cards(const std::vector<CardOrder>& orders, const Cause& cause) {
  TRY(check_cause(cause));
  for (const CardOrder& order : orders) {
    TRY(check_statement(order.profile, "card profile", true));
    TRY(check_statement(order.batch, "batch", true));
    if (order.block_size < 1 || order.block_size > kStatusBlockMaxSize) {
      return fail(ErrorKind::usage, "a block holds 1 to " + std::to_string(kStatusBlockMaxSize) + " status indexes");
    }
  }
  std::vector<Card> cards;
  const auto order_one = [&](const CardOrder& order) -> Status {
    {
      Statement citizen = TRY(impl_->database.prepare("SELECT 1 FROM citizens WHERE citizen_id = $1"));
      TRY(citizen.query({raw(order.citizen)}));
      if (!TRY(citizen.next())) return no_citizen(order.citizen);
    }
    if (order.replaces) {
      const Card old = TRY(impl_->load_card(*order.replaces));
      if (old.citizen != order.citizen) return fail(ErrorKind::usage, "the card to be replaced is another citizen's");
    }
    const CardId id{impl_->new_id()};
    if (order.replaces) TRY(impl_->take_place_of(*order.replaces, id));
    const auto index = static_cast<std::int64_t>(TRY(impl_->allocate_status_index(order.batch, order.block_size)));
    std::optional<std::int64_t> replaces;
    if (order.replaces) replaces = raw(*order.replaces);
    Statement card = TRY(impl_->database.prepare(
        "INSERT INTO cards (citizen_id, card_id, serial, status_index, profile, batch, state, revocation_reason, "
        "replaces, valid_until, created_at, changed_at) VALUES ($1, $2, NULL, $3, $4, $5, $6, 0, $7, NULL, $8, $8)"));
    TRY(card.execute({raw(order.citizen), raw(id), index, order.profile, order.batch,
                      static_cast<std::int64_t>(CardState::ordered), replaces, seconds(impl_->clock->now())}));
    TRY(impl_->database.execute("INSERT INTO card_by_id (card_id, citizen_id) VALUES ($1, $2)",
                                {raw(id), raw(order.citizen)}));
    TRY(impl_->database.execute("INSERT INTO card_by_index (status_index, card_id) VALUES ($1, $2)", {index, raw(id)}));
    TRY(impl_->add_event({order.citizen, "card-state", id, "", row_of(CardState::ordered).name}, cause));
    cards.push_back(TRY(impl_->load_card(id)));
    return {};
  };
  const auto work = [&]() -> Status {
    cards.clear();
    for (const CardOrder& order : orders) TRY(order_one(order));
    return count_today(impl_->database, impl_->clock->now(), card_state_counter(CardState::ordered),
                       static_cast<std::int64_t>(orders.size()));
  };
  TRY(impl_->database.transact(work));
  return cards;
}

Result<Card> Registry::produce_card(CardId id, std::string_view serial, Time valid_until, const Cause& cause) {
  TRY(check_cause(cause));
  const auto octets = from_hex(serial);
  if (!octets || octets->empty() || octets->size() * 2 > kSerialDigits) {
    return fail(ErrorKind::malformed,
                "a chip's serial is up to " + std::to_string(kSerialDigits) + " hexadecimal digits");
  }
  const std::string canonical = to_hex(*octets);
  std::optional<Card> produced;
  const auto work = [&]() -> Status {
    const Card card = TRY(impl_->load_card(id));
    TRY(impl_->move_card(card, CardState::produced, RevocationReason::unspecified, cause));
    auto bound =
        impl_->database.execute("INSERT INTO card_by_serial (serial, card_id) VALUES ($1, $2)", {canonical, raw(id)});
    if (!bound && bound.error().kind == ErrorKind::already_exists) {
      return fail(ErrorKind::already_exists, "another card of the registry has the chip serial \"" + canonical + "\"",
                  "a chip is issued once; take a blank card");
    }
    TRY(std::move(bound));
    TRY(impl_->database.execute("UPDATE cards SET serial = $3, valid_until = $4 WHERE citizen_id = $1 AND card_id = $2",
                                {raw(card.citizen), raw(id), canonical, seconds(valid_until)}));
    TRY(count_card_end(impl_->database, impl_->clock->now(), valid_until, CardState::produced));
    produced = TRY(impl_->load_card(id));
    return {};
  };
  TRY(impl_->database.transact(work));
  return std::move(*produced);
}

Result<Card> Registry::change_card_state(CardId id, CardState to, const Cause& cause, RevocationReason reason) {
  TRY(check_cause(cause));
  TRY(check_card_step(to));
  std::optional<Card> moved;
  const auto work = [&]() -> Status {
    const Card card = TRY(impl_->load_card(id));
    TRY(impl_->move_card(card, to, reason, cause));
    moved = TRY(impl_->load_card(id));
    return {};
  };
  TRY(impl_->database.transact(work));
  return std::move(*moved);
}

Status Registry::record_deed(CardId id, std::string_view kind, std::string_view detail, const Cause& cause) {
  TRY(check_cause(cause));
  TRY(check_statement(kind, "kind of deed", true));
  TRY(check_statement(detail, "deed", false));
  return impl_->database.transact([&]() -> Status {
    const Card card = TRY(impl_->load_card(id));
    return impl_->add_event({card.citizen, kind, id, "", detail}, cause);
  });
}

Result<Card> Registry::card(CardId id) { return impl_->load_card(id); }
Result<Card> Registry::read_card(CardId id, const Purpose& purpose) {
  TRY(check_purpose(purpose));
  std::optional<Card> card;
  TRY(impl_->database.transact([&]() -> Status {
    card = TRY(impl_->load_card(id));
    return impl_->log_access(card->citizen, purpose, "card");
  }));
  return std::move(*card);
}
Result<Card> Registry::card_by_serial(std::string_view serial) {
  const auto octets = from_hex(serial);
  if (!octets) return fail(ErrorKind::malformed, "a chip's serial is hexadecimal");
  return impl_->find_card("SELECT card_id FROM card_by_serial WHERE serial = $1", to_hex(*octets), "serial");
}
Result<Card> Registry::card_by_status_index(std::uint64_t status_index) {
  if (status_index > kStatusIndexMax) return fail(ErrorKind::not_found, "no card has this status index");
  return impl_->find_card("SELECT card_id FROM card_by_index WHERE status_index = $1",
                          static_cast<std::int64_t>(status_index), "status index");
}

Result<std::vector<Card>> Registry::cards_of(CitizenId citizen) {
  Statement rows = TRY(impl_->database.prepare("SELECT " + std::string(kCardColumns) +
                                               " FROM cards AS c WHERE c.citizen_id = $1 "
                                               "ORDER BY c.created_at, c.card_id"));
  TRY(rows.query({raw(citizen)}));
  std::vector<Card> cards;
  while (TRY(rows.next())) cards.push_back(card_of(rows));
  return cards;
}

Result<std::vector<Event>> Registry::events_of(CitizenId citizen, std::size_t limit,
                                               std::optional<std::int64_t> before) {
  Statement rows = TRY(impl_->database.prepare(
      "SELECT number, at, actor, kind, card_id, state_before, state_after, reason FROM events WHERE citizen_id = $1 "
      "AND number < $2 ORDER BY number DESC LIMIT $3"));
  TRY(rows.query({raw(citizen), before.value_or(INT64_MAX), static_cast<std::int64_t>(std::min(limit, kPageLimit))}));
  std::vector<Event> events;
  while (TRY(rows.next())) {
    Event event;
    event.number = rows.integer(0);
    event.at = from_seconds(rows.integer(1));
    event.actor = rows.text(2);
    event.kind = rows.text(3);
    if (const auto card = rows.integer_or_null(4)) event.card = CardId{*card};
    event.from = rows.text(5);
    event.to = rows.text(6);
    event.reason = rows.text(7);
    events.push_back(std::move(event));
  }
  return events;
}

// Certificates

Status Registry::add_certificate(CardId card_id, const CardCertificate& certificate, const Cause& cause) {
  TRY(check_cause(cause));
  TRY(check_statement(certificate.issuer, "issuing CA", true));
  if (certificate.serial.empty() || certificate.serial.size() > 20 || certificate.der.empty()) {
    return fail(ErrorKind::usage, "a certificate has a serial of 1 to 20 octets (RFC 5280 §4.1.2.2) and its encoding");
  }
  const auto work = [&]() -> Status {
    const Card card = TRY(impl_->load_card(card_id));
    if (row_of(card.state).final) {
      return fail(ErrorKind::not_permitted,
                  "a card that is " + std::string(row_of(card.state).name) + " gets no more certificates");
    }
    auto unique =
        impl_->database.execute("INSERT INTO certificate_by_serial (issuer, serial, citizen_id) VALUES ($1, $2, $3)",
                                {certificate.issuer, certificate.serial, raw(card.citizen)});
    if (!unique && unique.error().kind == ErrorKind::already_exists) {
      return fail(ErrorKind::already_exists, "the issuing CA has given out this serial before");
    }
    TRY(std::move(unique));
    TRY(impl_->database.execute(
        "INSERT INTO certificates (citizen_id, card_id, kind, issuer, serial, der, not_before, not_after) VALUES ($1, "
        "$2, $3, $4, $5, $6, $7, $8)",
        {raw(card.citizen), raw(card_id), static_cast<std::int64_t>(certificate.kind), certificate.issuer,
         certificate.serial, certificate.der, seconds(certificate.not_before), seconds(certificate.not_after)}));
    return impl_->add_event({card.citizen, "certificate-added", card_id, "", name_of(certificate.kind)}, cause);
  };
  return impl_->database.transact(work);
}

namespace {
constexpr std::string_view kFindCertificate =
    "SELECT c.citizen_id, c.card_id, c.kind, c.not_after, r.reason, r.changed_at FROM certificate_by_serial AS s JOIN "
    "certificates AS c ON c.citizen_id = s.citizen_id AND c.issuer = s.issuer AND c.serial = s.serial LEFT JOIN "
    "revocations AS r ON r.issuer = s.issuer AND r.serial = s.serial WHERE s.issuer = $1 AND s.serial = $2";
}  // namespace

Result<CertificateStatus> Registry::Impl::find_certificate(std::string_view issuer, ByteView serial) {
  Statement row = TRY(database.prepare(kFindCertificate));
  TRY(row.query({issuer, serial}));
  if (!TRY(row.next())) return fail(ErrorKind::not_found, "the issuing CA has given out no certificate of this serial");
  CertificateStatus status;
  status.citizen = CitizenId{row.integer(0)};
  status.card = CardId{row.integer(1)};
  status.kind = static_cast<CertificateKind>(row.integer(2));
  status.not_after = from_seconds(row.integer(3));
  const auto reason = row.integer_or_null(4);
  if (reason && *reason != static_cast<std::int64_t>(crypto::CrlReason::remove_from_crl)) {
    status.revoked_at = from_seconds(row.integer(5));
    status.reason = static_cast<RevocationReason>(*reason);
  }
  return status;
}

Status Registry::revoke_certificate(std::string_view issuer, ByteView serial, RevocationReason reason,
                                    const Cause& cause) {
  TRY(check_cause(cause));
  const auto work = [&]() -> Status {
    const CertificateStatus status = TRY(impl_->find_certificate(issuer, serial));
    const auto wanted = static_cast<crypto::CrlReason>(reason);
    const bool held = status.reason == RevocationReason::certificate_hold;
    if (status.revoked_at && (!held || wanted == crypto::CrlReason::certificate_hold)) {
      return fail(ErrorKind::not_permitted,
                  held ? "the certificate is on hold already" : "the certificate is revoked already");
    }
    TRY(record_revocation(
        impl_->database,
        {.issuer = std::string(issuer), .serial = serial, .reason = wanted, .not_after = seconds(status.not_after)},
        impl_->clock->now()));
    return impl_->add_event({status.citizen, "certificate-revoked", status.card, name_of(status.kind), name_of(reason)},
                            cause);
  };
  return impl_->database.transact(work);
}

Result<std::vector<CardCertificate>> Registry::certificates_of(CardId card_id, const Purpose& purpose) {
  TRY(check_purpose(purpose));
  std::vector<CardCertificate> certificates;
  const auto work = [&]() -> Status {
    certificates.clear();
    const Card card = TRY(impl_->load_card(card_id));
    Statement rows = TRY(impl_->database.prepare(
        "SELECT kind, issuer, serial, der, not_before, not_after FROM certificates WHERE citizen_id = $1 AND "
        "card_id = $2 ORDER BY kind, not_before, serial"));
    TRY(rows.query({raw(card.citizen), raw(card_id)}));
    while (TRY(rows.next())) {
      certificates.push_back({static_cast<CertificateKind>(rows.integer(0)), std::string(rows.text(1)),
                              to_bytes(rows.octets(2)), to_bytes(rows.octets(3)), from_seconds(rows.integer(4)),
                              from_seconds(rows.integer(5))});
    }
    return impl_->log_access(card.citizen, purpose, "certificates");
  };
  TRY(impl_->database.transact(work));
  return certificates;
}

Result<CertificateStatus> Registry::certificate_status(std::string_view issuer, ByteView serial) {
  const auto snapshot = TRY(impl_->database.begin_read());
  CertificateStatus status = TRY(impl_->find_certificate(issuer, serial));
  status.card_state = TRY(impl_->load_card(status.card)).state;
  return status;
}

// Status indexes

Result<std::vector<StatusBlock>> Registry::status_blocks() {
  Statement rows = TRY(impl_->database.prepare(
      "SELECT first_index, size, used, batch, created_at FROM status_blocks ORDER BY first_index"));
  TRY(rows.query());
  std::vector<StatusBlock> blocks;
  while (TRY(rows.next())) {
    blocks.push_back({static_cast<std::uint64_t>(rows.integer(0)), static_cast<std::uint32_t>(rows.integer(1)),
                      static_cast<std::uint32_t>(rows.integer(2)), std::string(rows.text(3)),
                      from_seconds(rows.integer(4))});
  }
  return blocks;
}

Status Registry::stopped_indexes(const std::function<void(std::uint64_t)>& each) {
  // The states are those of the index cards_stopped; a test holds them to the rows of card_states().
  const auto snapshot = TRY(impl_->database.begin_read());
  Statement rows =
      TRY(impl_->database.prepare("SELECT status_index FROM cards WHERE state IN (5, 6, 8) ORDER BY status_index"));
  TRY(rows.query());
  while (TRY(rows.next())) each(static_cast<std::uint64_t>(rows.integer(0)));
  return {};
}

Result<std::uint64_t> Registry::stop_changes() {
  Statement row = TRY(impl_->database.prepare("SELECT value FROM counters WHERE name = 'card-stops'"));
  TRY(row.query());
  if (!TRY(row.next())) return damaged("counter");
  return static_cast<std::uint64_t>(row.integer(0));
}

// Who read my data

Result<std::vector<AccessEntry>> Registry::access_log(CitizenId citizen, std::size_t limit, std::uint32_t skip) {
  Statement rows = TRY(impl_->database.prepare(
      "SELECT at, actor, purpose, case_id, what, legal_basis, disclose_at FROM access_log WHERE citizen_id = $1 AND "
      "(disclose_at IS NULL OR disclose_at <= $2) ORDER BY number DESC LIMIT $3 OFFSET $4"));
  TRY(rows.query({raw(citizen), seconds(impl_->clock->now()), static_cast<std::int64_t>(std::min(limit, kPageLimit)),
                  std::int64_t{skip}}));
  std::vector<AccessEntry> entries;
  while (TRY(rows.next())) {
    AccessEntry entry;
    entry.at = from_seconds(rows.integer(0));
    entry.purpose = {std::string(rows.text(1)), std::string(rows.text(2)), std::string(rows.text(3)),
                     std::string(rows.text(5))};
    if (const auto told = rows.integer_or_null(6)) entry.purpose.disclose_at = from_seconds(*told);
    entry.what = rows.text(4);
    entries.push_back(std::move(entry));
  }
  return entries;
}

Result<std::vector<AccessTotal>> Registry::access_totals(CitizenId citizen, std::size_t limit) {
  Statement rows = TRY(impl_->database.prepare(
      "SELECT actor, purpose, count(*), max(at) FROM access_log WHERE citizen_id = $1 AND (disclose_at IS NULL OR "
      "disclose_at <= $2) GROUP BY actor, purpose ORDER BY max(number) DESC LIMIT $3"));
  TRY(rows.query({raw(citizen), seconds(impl_->clock->now()), static_cast<std::int64_t>(std::min(limit, kPageLimit))}));
  std::vector<AccessTotal> totals;
  while (TRY(rows.next())) {
    totals.push_back({std::string(rows.text(0)), std::string(rows.text(1)), static_cast<std::uint64_t>(rows.integer(2)),
                      from_seconds(rows.integer(3))});
  }
  return totals;
}

}  // namespace karta::identity
