#include "cli/citizen_argument.h"

namespace karta::cli {

Result<identity::CitizenId> citizen_of(identity::Registry& registry, const std::string& text) {
  if (const auto snils = identity::Snils::parse(text)) {
    const auto id = TRY(registry.citizen_of(*snils));
    if (!id) return fail(ErrorKind::not_found, "the registry has nobody with that SNILS", "karta citizen import FILE");
    return *id;
  }
  const auto id = identity::parse_citizen_id(text);
  if (id) return *id;
  return fail(ErrorKind::usage,
              "a citizen is named by a SNILS with right check digits, or by the id `karta citizen find` shows");
}

}  // namespace karta::cli
