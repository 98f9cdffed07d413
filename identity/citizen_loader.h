// CitizenLoader: puts many citizens into the registry, a transaction a batch.
//
// It remembers on disk, not in memory, which SNILS it has met and in which line, so that one file may be as long as it
// likes. A batch is in the registry as a whole or not at all.
#pragma once

#include "identity/registry.h"

namespace karta::identity {

struct LoadPolicy {
  bool update_existing = false;  ///< replace the data of a citizen who is there with other data; else: differs
  bool dry_run = false;          ///< say what would happen; change nothing
};

struct NumberedCitizen {
  std::uint64_t line = 0;  ///< where the citizen stands in the file
  Citizen citizen;
  std::optional<Portrait> portrait = {};  ///< none: the one there is, if any, stays
};

struct Loaded {
  enum class Outcome : std::uint8_t { created, updated, unchanged, differs, duplicate };
  Outcome outcome = Outcome::created;
  std::vector<CitizenField> fields;  ///< updated and differs: in which fields
  std::uint64_t first_line = 0;      ///< duplicate: the line that had the SNILS before
};

class CitizenLoader {
 public:
  /// One loader a registry at a time. `registry` must outlive it.
  static Result<CitizenLoader> start(Registry& registry, LoadPolicy policy, Cause cause);
  CitizenLoader(CitizenLoader&&) noexcept = default;

  /// One outcome for each citizen, in order. Returns after the commit.
  Result<std::vector<Loaded>> load(const std::vector<NumberedCitizen>& batch);

 private:
  CitizenLoader(Registry::Impl& registry, LoadPolicy policy, Cause cause)
      : registry_(&registry), policy_(policy), cause_(std::move(cause)) {}

  Registry::Impl* registry_;
  LoadPolicy policy_;
  Cause cause_;
};

}  // namespace karta::identity
