#include "service/migrations.h"

#include <array>

namespace karta::service {
namespace {

constexpr std::string_view kTable =
    "CREATE TABLE IF NOT EXISTS schema_migrations ("
    "version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at BIGINT NOT NULL)";

/// Compares what is recorded with what we have; returns the newest recorded version.
Result<std::int64_t> check_recorded(Database& database, std::span<const Migration> migrations) {
  Statement recorded = TRY(database.prepare("SELECT version, name, checksum FROM schema_migrations ORDER BY version"));
  TRY(recorded.query());
  std::int64_t newest = 0;
  while (TRY(recorded.next())) {
    const std::int64_t version = recorded.integer(0);
    if (version > static_cast<std::int64_t>(migrations.size())) {
      return fail(ErrorKind::unsupported,
                  "database is of a newer version (" + std::to_string(version) + ") than this program knows (" +
                      std::to_string(migrations.size()) + ")",
                  "use the newer program, the one that wrote it");
    }
    const bool in_order = version == newest + 1;
    if (!in_order || recorded.text(2) != checksum_of(migrations[static_cast<std::size_t>(version - 1)])) {
      return fail(ErrorKind::configuration,
                  "database step " + std::to_string(version) + " (\"" + std::string(recorded.text(1)) +
                      "\") is not the one this program knows",
                  "the database was made by another build; use that one");
    }
    newest = version;
  }
  return newest;
}

}  // namespace

std::string checksum_of(const Migration& migration) {
  std::uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : migration.sql) hash = (hash ^ static_cast<std::uint8_t>(c)) * 0x100000001B3u;
  std::array<std::uint8_t, 8> octets{};
  for (std::size_t i = 0; i < octets.size(); ++i) octets[i] = static_cast<std::uint8_t>(hash >> (56 - 8 * i));
  return to_hex(octets);
}

Result<std::int64_t> schema_version(Database& database) {
  const auto newest = [&]() -> Result<std::int64_t> {
    Statement row = TRY(database.prepare("SELECT max(version) FROM schema_migrations"));
    TRY(row.query());
    TRY(row.next());
    return row.integer(0);
  };
  const Result<std::int64_t> version = newest();
  // No such table: nobody has migrated it yet. Anything else is told by the next statement.
  if (!version && version.error().kind == ErrorKind::internal) return 0;
  return version;
}

Result<int> migrate(Database& database, std::span<const Migration> migrations, const Clock& clock) {
  for (std::size_t i = 0; i < migrations.size(); ++i) {
    KARTA_CHECK(migrations[i].version == static_cast<std::int64_t>(i + 1));
  }
  // The usual case, nothing to do, takes no write lock.
  if (TRY(schema_version(database)) == static_cast<std::int64_t>(migrations.size()) && !migrations.empty()) {
    TRY(check_recorded(database, migrations));
    return 0;
  }
  const auto make_table = [&]() -> Status {
    TRY(database.execute(kTable));
    return {};
  };
  TRY(database.transact(make_table));
  int applied = 0;
  bool ran = false;
  const auto next_step = [&]() -> Status {
    ran = false;
    // Read again under the lock: another process may have been faster.
    const std::int64_t newest = TRY(check_recorded(database, migrations));
    if (newest == static_cast<std::int64_t>(migrations.size())) return {};
    const Migration& step = migrations[static_cast<std::size_t>(newest)];
    TRY(database.execute_script(step.sql));
    TRY(database.execute("INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
                         {step.version, step.name, checksum_of(step),
                          static_cast<std::int64_t>(clock.now().time_since_epoch().count())}));
    ran = true;
    return {};
  };
  do {
    TRY(database.transact(next_step));
    if (ran) ++applied;
  } while (TRY(schema_version(database)) < static_cast<std::int64_t>(migrations.size()));
  return applied;
}

Status check_migrated(Database& database, std::span<const Migration> migrations) {
  const std::int64_t version = TRY(schema_version(database));
  if (version > 0) TRY(check_recorded(database, migrations));
  if (version < static_cast<std::int64_t>(migrations.size())) {
    return fail(ErrorKind::configuration, "database is of version " + std::to_string(version) +
                                              ", this program needs " + std::to_string(migrations.size()));
  }
  return {};
}

}  // namespace karta::service
