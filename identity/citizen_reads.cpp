#include "identity/citizen_reads.h"

#include "crypto/x509/crl.h"
#include "identity/registry_impl.h"

namespace karta::identity {

using service::Statement;

Result<std::optional<CertificateHolder>> find_certificate_holder(service::Database& database, std::string_view issuer,
                                                                 ByteView serial) {
  constexpr std::string_view kHolder =
      "SELECT c.citizen_id, c.card_id, c.kind, c.not_after, k.state, k.valid_until, r.reason, r.changed_at, c.der FROM "
      "certificate_by_serial AS s JOIN certificates AS c ON c.citizen_id = s.citizen_id AND c.issuer = s.issuer AND "
      "c.serial = s.serial JOIN cards AS k ON k.citizen_id = c.citizen_id AND k.card_id = c.card_id LEFT JOIN "
      "revocations AS r ON r.issuer = s.issuer AND r.serial = s.serial WHERE s.issuer = $1 AND s.serial = $2";
  Statement row = TRY(database.prepare(kHolder));
  TRY(row.query({issuer, serial}));
  std::optional<CertificateHolder> out;
  if (!TRY(row.next())) return out;
  out.emplace();
  out->citizen = CitizenId{row.integer(0)};
  out->card = CardId{row.integer(1)};
  out->kind = static_cast<CertificateKind>(row.integer(2));
  out->not_after = from_seconds(row.integer(3));
  out->card_state = static_cast<CardState>(row.integer(4));
  if (const auto until = row.integer_or_null(5)) out->card_valid_until = from_seconds(*until);
  const auto reason = row.integer_or_null(6);
  if (reason && *reason != static_cast<std::int64_t>(crypto::CrlReason::remove_from_crl)) {
    out->revoked_at = from_seconds(row.integer(7));
    out->reason = static_cast<RevocationReason>(*reason);
  }
  out->der = to_bytes(row.octets(8));
  return out;
}

Status append_access(service::Database& database, CitizenId citizen, const Purpose& purpose, std::string_view what,
                     Time now) {
  std::optional<std::int64_t> disclose_at;
  if (purpose.disclose_at) disclose_at = seconds(*purpose.disclose_at);
  // VALUES: of an INSERT that selects SQLite keeps every page it changes, to undo the statement alone.
  const std::int64_t added = TRY(database.execute(
      "INSERT INTO access_log (citizen_id, number, at, actor, purpose, case_id, what, legal_basis, disclose_at) VALUES "
      "($1, (SELECT coalesce(max(number), 0) + 1 FROM access_log WHERE citizen_id = $1), $2, $3, $4, $5, $6, $7, $8) "
      "ON CONFLICT (citizen_id, number) DO NOTHING",
      {static_cast<std::int64_t>(citizen), seconds(now), purpose.actor, purpose.purpose, purpose.case_id, what,
       purpose.legal_basis, disclose_at}));
  if (added == 1) return {};
  return fail(ErrorKind::busy, "another program wrote the citizen's access log", "try again");
}

Result<CitizenRecord> read_citizen_in(service::Database& database, CitizenId citizen, const Purpose& purpose,
                                      std::string_view what, Time now, Concessions concessions) {
  TRY(check_purpose(purpose));
  CitizenRecord record = TRY(load_citizen(database, citizen, concessions));
  TRY(append_access(database, citizen, purpose, what, now));
  return record;
}

}  // namespace karta::identity
