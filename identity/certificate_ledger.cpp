#include "identity/certificate_ledger.h"

#include "identity/registry_impl.h"
#include "identity/revocations.h"

namespace karta::identity {
namespace {

using crypto::CrlReason;
using service::Statement;

constexpr std::size_t kPartOctets = std::size_t{8} << 20;  // a list is kept in pieces: stores bound the size of a value

/// INTEGER content octets of a magnitude: how every table has serial numbers.
Bytes content_of(ByteView magnitude) {
  while (magnitude.size() > 1 && magnitude[0] == 0) magnitude = magnitude.subspan(1);
  Bytes out = to_bytes(magnitude);
  if (!out.empty() && (out[0] & 0x80) != 0) out.insert(out.begin(), 0);
  return out;
}

std::string kind_of(const crypto::CrlPlan& plan) { return std::string(scope_of(plan)) + (plan.delta ? "-delta" : ""); }

/// What is known of a certificate apart from its state.
struct Known {
  std::optional<CertificateStatus> on_card;
  std::optional<std::int64_t> not_after;
  bool is_ca = false;
};

}  // namespace

CertificateLedger::CertificateLedger(Registry registry, std::string issuer, Cause cause)
    : registry_(std::move(registry)), issuer_(std::move(issuer)), cause_(std::move(cause)) {}
CertificateLedger::~CertificateLedger() = default;

Result<std::shared_ptr<CertificateLedger>> open_certificate_ledger(std::string_view registry_url, std::string issuer,
                                                                   Cause cause, const Clock& clock, bool serves) {
  static SystemRandom random;
  TRY(check_cause(cause));
  auto options = serves ? service::kServingDatabase : service::DatabaseOptions();
  options.long_reads = true;  // lists of all certificates
  Registry registry = TRY(Registry::open(registry_url, clock, random, options));
  return std::make_shared<CertificateLedger>(std::move(registry), std::move(issuer), std::move(cause));
}

Status Registry::Impl::add_issued(std::string_view issuer, const crypto::Certificate& certificate,
                                  std::string_view profile) {
  const auto taken = [&] { return fail(ErrorKind::already_exists, "the serial number is taken"); };
  {
    Statement row = TRY(database.prepare("SELECT 1 FROM certificate_by_serial WHERE issuer = $1 AND serial = $2"));
    TRY(row.query({issuer, certificate.serial()}));
    if (TRY(row.next())) return taken();
  }
  auto added = database.execute(
      "INSERT INTO issued_certificates (issuer, serial, subject, profile, der, is_ca, issued_at, not_after) VALUES "
      "($1, $2, $3, $4, $5, $6, $7, $8)",
      {issuer, certificate.serial(), certificate.subject().to_text(), profile, certificate.der(),
       std::int64_t{certificate.is_ca()}, seconds(clock->now()), seconds(certificate.not_after())});
  if (!added && added.error().kind == ErrorKind::already_exists) return taken();
  TRY(std::move(added));
  return {};
}

Status CertificateLedger::add(const crypto::Certificate& certificate, std::string_view profile) {
  Registry::Impl& impl = *registry_.impl_;
  return impl.database.transact([&] { return impl.add_issued(issuer_, certificate, profile); });
}

Status CertificateLedger::revoke(ByteView magnitude, CrlReason reason) {
  service::Database& database = registry_.impl_->database;
  const Bytes serial = content_of(magnitude);
  if (serial.empty() || serial.size() > 21) return fail(ErrorKind::usage, "this is no serial number");
  data_version_.reset();  // changes of this connection do not show in it
  return database.transact([&]() -> Status {
    const auto before = TRY(find_revocation(database, issuer_, serial));
    const auto issued = before ? std::optional(before->as_issued(serial)) : std::nullopt;
    TRY(crypto::check_revocation_step(magnitude, issued ? &*issued : nullptr, reason));
    Known known;
    if (auto status = registry_.impl_->find_certificate(issuer_, serial)) {
      known.on_card = *status;
      known.not_after = seconds(status->not_after);
    } else if (status.error().kind != ErrorKind::not_found) {
      return fail(status.error());
    } else {
      Statement row =
          TRY(database.prepare("SELECT not_after, is_ca FROM issued_certificates WHERE issuer = $1 AND serial = $2"));
      TRY(row.query({issuer_, serial}));
      if (TRY(row.next())) {
        known.not_after = row.integer(0);
        known.is_ca = row.integer(1) != 0;
      }
    }
    TRY(record_revocation(
        database,
        {.issuer = issuer_, .serial = serial, .reason = reason, .not_after = known.not_after, .is_ca = known.is_ca},
        registry_.impl_->clock->now()));
    if (!known.on_card) return {};
    const bool released = reason == CrlReason::remove_from_crl;
    return registry_.impl_->add_event(
        {known.on_card->citizen, released ? "certificate-released" : "certificate-revoked", known.on_card->card,
         name_of(known.on_card->kind), released ? std::string_view() : crypto::name_of(reason)},
        cause_);
  });
}

Result<crypto::OcspState> CertificateLedger::state_of(ByteView serial) {
  // One statement: one look at the store, and one moment that all of it is true of.
  constexpr std::string_view kState =
      "SELECT r.reason, r.changed_at, CASE WHEN r.reason IS NOT NULL THEN 1 WHEN EXISTS (SELECT 1 FROM "
      "certificate_by_serial WHERE issuer = $1 AND serial = $2) THEN 1 WHEN EXISTS (SELECT 1 FROM issued_certificates "
      "WHERE issuer = $1 AND serial = $2) THEN 1 ELSE 0 END FROM (SELECT 1) AS asked LEFT JOIN revocations AS r ON "
      "r.issuer = $1 AND r.serial = $2";
  const Bytes canonical = content_of(serial);
  Statement row = TRY(registry_.impl_->database.prepare(kState));
  TRY(row.query({issuer_, canonical}));
  if (!TRY(row.next())) return fail(ErrorKind::internal, "the registry does not answer");
  if (const auto reason = row.integer_or_null(0)) {
    Revocation found;
    found.reason = static_cast<CrlReason>(*reason);
    found.changed_at = from_seconds(row.integer(1));
    return found.as_issued(canonical).state();
  }
  crypto::OcspState out;
  if (row.integer(2) != 0) out.status = crypto::OcspCertificateStatus::good;
  return out;
}

Result<std::uint64_t> CertificateLedger::revision() {
  service::Database& database = registry_.impl_->database;
  const std::int64_t version = TRY(database.data_version());
  if (data_version_ == version) return revision_;
  Statement row = TRY(database.prepare("SELECT changes + crl_number FROM authorities WHERE issuer = $1"));
  TRY(row.query({issuer_}));
  revision_ = TRY(row.next()) ? static_cast<std::uint64_t>(row.integer(0)) : 0;
  data_version_ = version;
  return revision_;
}

Result<crypto::Crl> CertificateLedger::issue_crl(const crypto::CrlPlan& plan, const crypto::Certificate& issuer,
                                                 crypto::Signer& signer) {
  service::Database& database = registry_.impl_->database;
  std::optional<crypto::Crl> out;
  data_version_.reset();
  // The write lock is held while the list is signed: two programs never make two lists of one number.
  TRY(database.transact([&]() -> Status {
    const Time now = registry_.impl_->clock->now();
    TRY(
        database.execute("INSERT INTO authorities (issuer, crl_number, changes) VALUES ($1, 1, 0) ON CONFLICT (issuer) "
                         "DO UPDATE SET crl_number = authorities.crl_number + 1",
                         {issuer_}));
    std::int64_t number = 0;
    std::optional<std::uint64_t> base;
    {
      Statement row = TRY(database.prepare("SELECT crl_number FROM authorities WHERE issuer = $1"));
      TRY(row.query({issuer_}));
      if (!TRY(row.next())) return fail(ErrorKind::internal, "the number of the CRL is lost");
      number = row.integer(0);
    }
    if (plan.delta) {
      Statement row = TRY(database.prepare("SELECT number FROM crls WHERE issuer = $1 AND kind = $2"));
      TRY(row.query({issuer_, scope_of(plan)}));
      if (TRY(row.next())) base = static_cast<std::uint64_t>(row.integer(0));
    }
    std::vector<crypto::CrlContent::Revoked> revoked;
    {
      Statement rows = TRY(
          database.prepare("SELECT serial, reason, changed_at, changed_after, not_after, is_ca FROM revocations WHERE "
                           "issuer = $1 ORDER BY serial"));
      TRY(rows.query({issuer_}));
      while (TRY(rows.next())) {
        Revocation found;
        found.reason = static_cast<CrlReason>(rows.integer(1));
        found.changed_at = from_seconds(rows.integer(2));
        found.changed_after = static_cast<std::uint64_t>(rows.integer(3));
        if (const auto end = rows.integer_or_null(4)) found.not_after = from_seconds(*end);
        found.is_ca = rows.integer(5) != 0;
        const crypto::IssuedCertificate one = found.as_issued(rows.octets(0));
        if (!belongs_on(plan, one, base.value_or(0), now)) continue;
        revoked.push_back({.serial = one.serial, .revoked_at = found.changed_at, .reason = found.reason});
      }
    }
    const crypto::Crl crl = TRY(crypto::sign_planned_crl(plan, static_cast<std::uint64_t>(number), base,
                                                         std::move(revoked), now, issuer, signer));
    const std::string kind = kind_of(plan);
    TRY(database.execute(
        "DELETE FROM crl_parts WHERE issuer = $1 AND number IN (SELECT number FROM crls WHERE issuer = "
        "$1 AND kind = $2)",
        {issuer_, kind}));
    ByteView rest = crl.der();
    std::int64_t parts = 0;
    for (; !rest.empty(); ++parts) {
      const ByteView piece = rest.first(std::min(kPartOctets, rest.size()));
      TRY(database.execute("INSERT INTO crl_parts (issuer, number, part, octets) VALUES ($1, $2, $3, $4)",
                           {issuer_, number, parts, piece}));
      rest = rest.subspan(piece.size());
    }
    TRY(database.execute(
        "INSERT INTO crls (issuer, kind, number, this_update, next_update, parts) VALUES ($1, $2, $3, $4, $5, $6) ON "
        "CONFLICT (issuer, kind) DO UPDATE SET number = excluded.number, this_update = excluded.this_update, "
        "next_update = excluded.next_update, parts = excluded.parts",
        {issuer_, kind, number, seconds(crl.this_update()), seconds(*crl.next_update()), parts}));
    out = crl;
    return {};
  }));
  return std::move(*out);
}

Result<std::optional<crypto::Crl>> CertificateLedger::last_crl(const crypto::CrlPlan& plan) {
  service::Database& database = registry_.impl_->database;
  const auto snapshot = TRY(database.begin_read());
  std::optional<crypto::Crl> out;
  Bytes octets;
  Statement rows =
      TRY(database.prepare("SELECT p.octets FROM crls AS c JOIN crl_parts AS p ON p.issuer = c.issuer AND p.number = "
                           "c.number WHERE c.issuer "
                           "= $1 AND c.kind = $2 ORDER BY p.part"));
  TRY(rows.query({issuer_, kind_of(plan)}));
  while (TRY(rows.next())) append(octets, rows.octets(0));
  if (!octets.empty()) out = TRY(crypto::Crl::from_der(octets));
  return out;
}

Result<bool> CertificateLedger::changed_since(std::uint64_t crl_number) {
  service::Database& database = registry_.impl_->database;
  Statement row = TRY(database.prepare("SELECT 1 FROM revocations WHERE issuer = $1 AND changed_after >= $2 LIMIT 1"));
  TRY(row.query({issuer_, static_cast<std::int64_t>(crl_number)}));
  return row.next();
}

Status CertificateLedger::for_each(const std::function<Status(const crypto::IssuedCertificate&)>& use) {
  service::Database& database = registry_.impl_->database;
  const auto snapshot = TRY(database.begin_read());
  // The same columns three times: of no card, on cards, and revoked without being known otherwise.
  constexpr std::string_view kOthers =
      "SELECT c.serial, c.subject, c.profile, c.issued_at, c.not_after, c.is_ca, r.reason, r.changed_at, "
      "r.changed_after FROM issued_certificates AS c LEFT JOIN revocations AS r ON r.issuer = c.issuer AND r.serial = "
      "c.serial WHERE c.issuer = $1 ORDER BY c.issued_at, c.serial";
  constexpr std::string_view kOnCards =
      "SELECT c.serial, c.card_id, c.kind, c.not_before, c.not_after, 0, r.reason, r.changed_at, r.changed_after FROM "
      "certificates AS c LEFT JOIN revocations AS r ON r.issuer = c.issuer AND r.serial = c.serial WHERE c.issuer = $1 "
      "ORDER BY c.not_before, c.serial";
  constexpr std::string_view kElsewhere =
      "SELECT r.serial, '', '', 0, COALESCE(r.not_after, 0), r.is_ca, r.reason, r.changed_at, r.changed_after FROM "
      "revocations AS r WHERE r.issuer = $1 AND NOT EXISTS (SELECT 1 FROM issued_certificates AS i WHERE i.issuer = "
      "r.issuer AND i.serial = r.serial) AND NOT EXISTS (SELECT 1 FROM certificate_by_serial AS s WHERE s.issuer = "
      "r.issuer AND s.serial = r.serial) ORDER BY r.changed_at, r.serial";
  for (const std::string_view sql : {kOthers, kOnCards, kElsewhere}) {
    Statement rows = TRY(database.prepare(sql));
    TRY(rows.query({issuer_}));
    while (TRY(rows.next())) {
      Revocation state;
      state.reason = CrlReason::remove_from_crl;
      if (const auto reason = rows.integer_or_null(6)) {
        state.reason = static_cast<CrlReason>(*reason);
        state.changed_at = from_seconds(rows.integer(7));
        state.changed_after = static_cast<std::uint64_t>(rows.integer(8));
      }
      crypto::IssuedCertificate one = state.as_issued(rows.octets(0));
      one.released = one.released && !rows.is_null(6);
      if (sql == kOnCards) {
        one.subject = "card " + format_id(CardId{rows.integer(1)});
        one.profile = name_of(static_cast<CertificateKind>(rows.integer(2)));
      } else {
        one.subject = rows.text(1);
        one.profile = rows.text(2);
      }
      one.issued_at = from_seconds(rows.integer(3));
      one.not_after = from_seconds(rows.integer(4));
      one.is_ca = rows.integer(5) != 0;
      TRY(use(one));
    }
  }
  return {};
}

}  // namespace karta::identity
