// What tests over a database share: where it is. They run twice, once on SQLite and, under
// tests/identity/with_postgres.sh, once on PostgreSQL.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

#include "service/migrations.h"

namespace karta::service {

/// The PostgreSQL of this run; null: the run is SQLite's.
inline const char* test_postgres() { return std::getenv("KARTA_TEST_POSTGRES"); }

/// A database of the test's own, empty until something is put into it: `file`, or a schema of its name.
inline std::string test_database_url(const std::filesystem::path& file) {
  if (test_postgres() == nullptr) return file.string();
  const std::string schema = "t" + checksum_of({1, "", file.native()});
  Database base = std::move(*Database::open(test_postgres()));
  if (!base.execute_script("CREATE SCHEMA IF NOT EXISTS " + schema)) std::abort();
  return std::string(test_postgres()) + "&options=-csearch_path%3D" + schema;
}

/// A database that is not there: the file does not exist, or no PostgreSQL database of that name.
inline std::string missing_database_url(const std::filesystem::path& file) {
  if (test_postgres() == nullptr) return file.string();
  std::string url = test_postgres();
  return url.replace(url.find("/karta?"), 7, "/missing?");
}

}  // namespace karta::service
