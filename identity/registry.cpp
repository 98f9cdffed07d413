#include "identity/registry.h"

#include "identity/registry_impl.h"
#include "identity/schema.h"
#include "service/migrations.h"

namespace karta::identity {
namespace {

using service::Database;
using service::DatabaseOptions;

}  // namespace

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

std::int64_t Registry::Impl::new_id() {
  for (;;) {
    std::uint64_t key = 0;
    random->fill({reinterpret_cast<std::uint8_t*>(&key), sizeof key});
    if (key >>= 1; key != 0) return static_cast<std::int64_t>(key);
  }
}

}  // namespace karta::identity
