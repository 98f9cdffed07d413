#include "identity/requests/config.h"

namespace karta::identity {

Result<RequestsConfig> read_requests(service::ConfigTable& table) {
  RequestsConfig out;
  out.key = TRY(read_key_config(table));
  out.roots = TRY(table.paths("roots"));
  if (out.roots.empty()) return table.bad("roots", "is missing: who certifies departments");
  out.crls = TRY(table.paths("crls"));
  out.certificates = TRY(table.boolean_or("certificates", false));
  out.most_delay = std::chrono::days(TRY(table.integer_or("most_delay_days", 0, 3660, out.most_delay.count())));
  out.most_age = std::chrono::hours(TRY(table.integer_or("most_age_hours", 1, 24 * 31, out.most_age.count())));
  return out;
}

}  // namespace karta::identity
