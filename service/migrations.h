// Migrations: the numbered steps that bring a database's schema to the version a program was written for.
//
// Each step runs once, in a transaction of its own together with the row that records it (version, name, checksum,
// time). A step that has been released is never edited: its checksum would no longer agree and the database be refused.
#pragma once

#include <span>

#include "base/clock.h"
#include "service/database.h"

namespace karta::service {

struct Migration {
  std::int64_t version;   ///< 1, 2, 3 ... without gaps
  std::string_view name;  ///< "citizens and cards"
  std::string_view sql;   ///< statements separated by semicolons, portable between SQLite and PostgreSQL
};

/// 64-bit FNV-1a over the SQL, 16 hexadecimal digits. Tells an edited step from a recorded one; no protection against
/// a person who wants to deceive.
std::string checksum_of(const Migration& migration);

/// Version the database stands at; 0 if it has never been migrated.
Result<std::int64_t> schema_version(Database& database);

/// Applies what is missing, oldest first; several processes may try at once. Returns the number of steps applied.
/// Errors: unsupported (the database is newer than `migrations`), configuration (a recorded step differs from ours).
Result<int> migrate(Database& database, std::span<const Migration> migrations, const Clock& clock);

/// The checks of migrate() without applying anything; configuration if steps are missing.
Status check_migrated(Database& database, std::span<const Migration> migrations);

}  // namespace karta::service
