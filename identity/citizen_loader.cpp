#include "identity/citizen_loader.h"

#include "identity/registry_impl.h"

namespace karta::identity {
namespace {

using service::Statement;

// Citizens of one batch get neighbouring ids under a random beginning, so that a batch changes few pages.
constexpr unsigned kBatchIdBits = 20;

}  // namespace

Result<CitizenLoader> CitizenLoader::start(Registry& registry, LoadPolicy policy, Cause cause) {
  TRY(check_cause(cause));
  Registry::Impl& impl = *registry.impl_;
  TRY(
      impl.database.execute("CREATE TEMPORARY TABLE IF NOT EXISTS citizens_seen (snils INTEGER NOT NULL PRIMARY KEY, "
                            "line BIGINT NOT NULL)"));
  TRY(impl.database.execute("DELETE FROM citizens_seen"));
  return CitizenLoader(impl, policy, std::move(cause));
}

Result<std::vector<Loaded>> CitizenLoader::load(const std::vector<NumberedCitizen>& batch) {
  using Outcome = Loaded::Outcome;
  if (batch.size() >= std::size_t{1} << kBatchIdBits) {
    return fail(ErrorKind::limit, "a batch holds fewer than " + std::to_string(1u << kBatchIdBits) + " citizens");
  }
  for (const NumberedCitizen& one : batch) TRY(check_storable(one.citizen));
  const std::int64_t first_id = registry_->new_id() & ~((std::int64_t{1} << kBatchIdBits) - 1);

  std::vector<Loaded> outcomes;
  std::int64_t next_id = first_id;
  const auto load_one = [&](const NumberedCitizen& one) -> Result<Loaded> {
    Statement mark = TRY(registry_->database.prepare(
        "INSERT INTO citizens_seen (snils, line) VALUES ($1, $2) ON CONFLICT (snils) DO NOTHING"));
    if (TRY(mark.execute({snils_key(one.citizen.snils), static_cast<std::int64_t>(one.line)})) == 0) {
      Statement first = TRY(registry_->database.prepare("SELECT line FROM citizens_seen WHERE snils = $1"));
      TRY(first.query({snils_key(one.citizen.snils)}));
      TRY(first.next());
      return Loaded{Outcome::duplicate, {}, static_cast<std::uint64_t>(first.integer(0))};
    }
    const auto id = TRY(registry_->find_by_snils(one.citizen.snils));
    if (!id) {
      if (!policy_.dry_run) {
        TRY(registry_->insert_citizen(CitizenId{++next_id}, one.citizen, cause_));
        if (one.portrait) TRY(registry_->store_portrait(CitizenId{next_id}, *one.portrait));
      }
      return Loaded{Outcome::created, {}, 0};
    }
    const CitizenRecord there = TRY(registry_->load_citizen(*id));
    std::vector<CitizenField> fields = differing_fields(there.citizen, one.citizen);
    const bool other_portrait = one.portrait && TRY(registry_->portrait_hash(*id)) != one.portrait->sha256();
    if (other_portrait) fields.push_back(CitizenField::portrait);
    if (fields.empty()) return Loaded{Outcome::unchanged, {}, 0};
    if (!policy_.update_existing) return Loaded{Outcome::differs, std::move(fields), 0};
    if (!policy_.dry_run) {
      TRY(registry_->update_citizen(*id, there.citizen, one.citizen, fields, cause_));
      if (other_portrait) TRY(registry_->store_portrait(*id, *one.portrait));
    }
    return Loaded{Outcome::updated, std::move(fields), 0};
  };
  const auto work = [&]() -> Status {
    outcomes.clear();
    next_id = first_id;
    for (const NumberedCitizen& one : batch) outcomes.push_back(TRY(load_one(one)));
    return {};
  };
  TRY(registry_->database.transact(work));
  return outcomes;
}

}  // namespace karta::identity
