#include "identity/revocations.h"

#include "identity/registry_impl.h"

namespace karta::identity {

crypto::IssuedCertificate Revocation::as_issued(ByteView serial) const {
  crypto::IssuedCertificate out;
  while (serial.size() > 1 && serial[0] == 0) serial = serial.subspan(1);
  out.serial = to_bytes(serial);
  out.not_after = not_after.value_or(Time{});
  out.is_ca = is_ca;
  out.reason = reason;
  out.released = released();
  if (!released()) out.revoked_at = changed_at;
  out.changed_after = changed_after;
  return out;
}

Result<std::optional<Revocation>> find_revocation(service::Database& database, std::string_view issuer,
                                                  ByteView serial) {
  service::Statement row = TRY(database.prepare(
      "SELECT reason, changed_at, changed_after, not_after, is_ca, by_card FROM revocations WHERE issuer = $1 AND "
      "serial = $2"));
  TRY(row.query({issuer, serial}));
  std::optional<Revocation> out;
  if (!TRY(row.next())) return out;
  out.emplace();
  out->reason = static_cast<crypto::CrlReason>(row.integer(0));
  out->changed_at = from_seconds(row.integer(1));
  out->changed_after = static_cast<std::uint64_t>(row.integer(2));
  if (const auto end = row.integer_or_null(3)) out->not_after = from_seconds(*end);
  out->is_ca = row.integer(4) != 0;
  out->by_card = row.integer(5) != 0;
  return out;
}

Status record_revocation(service::Database& database, const RevocationStep& step, Time now) {
  TRY(database.execute(
      "INSERT INTO authorities (issuer, crl_number, changes) VALUES ($1, 0, 1) ON CONFLICT (issuer) DO "
      "UPDATE SET changes = authorities.changes + 1",
      {step.issuer}));
  TRY(database.execute(
      "INSERT INTO revocations (issuer, serial, reason, changed_at, changed_after, not_after, is_ca, by_card) SELECT "
      "$1, "
      "$2, $3, $4, crl_number, $5, $6, $7 FROM authorities WHERE issuer = $1 ON CONFLICT (issuer, serial) DO UPDATE "
      "SET "
      "reason = excluded.reason, changed_at = excluded.changed_at, changed_after = excluded.changed_after, by_card = "
      "excluded.by_card",
      {step.issuer, step.serial, static_cast<std::int64_t>(step.reason), seconds(now), step.not_after,
       std::int64_t{step.is_ca}, std::int64_t{step.by_card}}));
  return {};
}

}  // namespace karta::identity
