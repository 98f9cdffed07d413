// The registry's pictures of citizens: a table of their own.
#include "identity/registry_impl.h"

namespace karta::identity {
namespace {

using service::Statement;

constexpr std::string_view kPortrait = "portrait";

std::int64_t raw(CitizenId id) { return static_cast<std::int64_t>(id); }

tl::unexpected<Error> no_portrait() {
  return fail(ErrorKind::not_found, "the registry has no portrait of the citizen");
}

}  // namespace

Result<Bytes> Registry::Impl::portrait_hash(CitizenId id) {
  Statement row = TRY(database.prepare("SELECT sha256 FROM portraits WHERE citizen_id = $1"));
  TRY(row.query({raw(id)}));
  if (!TRY(row.next())) return Bytes{};
  return to_bytes(row.octets(0));
}

Status Registry::Impl::store_portrait(CitizenId id, const Portrait& portrait) {
  TRY(database.execute("DELETE FROM portraits WHERE citizen_id = $1", {raw(id)}));
  TRY(database.execute("INSERT INTO portraits (citizen_id, jpeg, sha256, changed_at) VALUES ($1, $2, $3, $4)",
                       {raw(id), portrait.jpeg(), portrait.sha256(), seconds(clock->now())}));
  return {};
}

Result<bool> Registry::set_portrait(CitizenId id, const Portrait& portrait, const Cause& cause) {
  TRY(check_cause(cause));
  bool changed = false;
  const auto work = [&]() -> Status {
    TRY(impl_->load_citizen(id));
    const Bytes before = TRY(impl_->portrait_hash(id));
    changed = before != portrait.sha256();
    if (!changed) return {};
    TRY(impl_->store_portrait(id, portrait));
    return impl_->add_event({id, "citizen-changed", {}, "", kPortrait}, cause);
  };
  TRY(impl_->database.transact(work));
  return changed;
}

Status Registry::remove_portrait(CitizenId id, const Cause& cause) {
  TRY(check_cause(cause));
  return impl_->database.transact([&]() -> Status {
    const std::int64_t rows = TRY(impl_->database.execute("DELETE FROM portraits WHERE citizen_id = $1", {raw(id)}));
    if (rows == 0) return no_portrait();
    return impl_->add_event({id, "citizen-changed", {}, "", kPortrait}, cause);
  });
}

Result<bool> Registry::has_portrait(CitizenId id) { return !TRY(impl_->portrait_hash(id)).empty(); }

Result<Portrait> Registry::read_portrait(CitizenId id, const Purpose& purpose) {
  TRY(check_purpose(purpose));
  std::optional<Portrait> portrait;
  const auto work = [&]() -> Status {
    Bytes jpeg;
    {
      Statement row = TRY(impl_->database.prepare("SELECT jpeg FROM portraits WHERE citizen_id = $1"));
      TRY(row.query({raw(id)}));
      if (!TRY(row.next())) return no_portrait();
      jpeg = to_bytes(row.octets(0));
    }
    auto read = Portrait::from_jpeg(jpeg);
    if (!read) return fail(ErrorKind::malformed, "the registry's portrait is damaged: " + read.error().message);
    portrait = std::move(*read);
    return impl_->log_access(id, purpose, kPortrait);
  };
  TRY(impl_->database.transact(work));
  return std::move(*portrait);
}

}  // namespace karta::identity
