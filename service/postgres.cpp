// A PostgreSQL database opened behind service/connection.h.
#include "service/postgres_connection.h"
#include "service/postgres_library.h"

namespace karta::service::detail {
namespace {

/// A password in a URL is in the list of processes, in the shell's history and in the configuration.
Status check_url(const std::string& url) {
  char* said = nullptr;
  PQconninfoOption* const options = pq().conninfo_parse(url.c_str(), &said);
  if (options == nullptr) {
    std::string why = said ? said : "out of memory";
    pq().freemem(said);
    while (!why.empty() && why.back() == '\n') why.pop_back();
    return fail(ErrorKind::usage, "database URL cannot be read: " + why, "write postgresql://user@host:5432/database");
  }
  bool secret = false;
  for (const PQconninfoOption* one = options; one->keyword != nullptr; ++one) {
    const std::string_view keyword = one->keyword;
    secret = secret || ((keyword == "password" || keyword == "sslpassword") && one->val != nullptr);
  }
  pq().conninfo_free(options);
  if (!secret) return {};
  return fail(ErrorKind::usage, "database URL holds a password",
              "put it into a file of mode 0600 and name that: ?passfile=/etc/karta/database.pass (or use ~/.pgpass)");
}

}  // namespace

Result<std::unique_ptr<Connection>> open_postgres(const std::string& url, const DatabaseOptions& options) {
  TRY(postgres_library());
  TRY(check_url(url));
  auto connection = std::make_unique<PostgresConnection>(url, options);
  TRY(connection->connect());
  if (options.open == DatabaseOptions::Open::create) {
    std::unique_ptr<PreparedStatement> any = TRY(connection->prepare(
        "SELECT count(*) FROM pg_class AS c WHERE c.relkind IN ('r', 'p') AND c.relnamespace = (SELECT oid FROM "
        "pg_namespace WHERE nspname = current_schema())"));
    TRY(any->bind({}));
    if (TRY(any->step()) && any->integer(0) != 0) {
      return fail(ErrorKind::already_exists, "the database has tables already", "make an empty one, or use this one");
    }
    connection->take_back(std::move(any));
  }
  return connection;
}

}  // namespace karta::service::detail
