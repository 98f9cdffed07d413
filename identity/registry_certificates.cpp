// The registry's certificates of cards; they follow the state of their card.
#include <array>

#include "identity/registry_impl.h"
#include "identity/registry_rows.h"
#include "identity/revocations.h"

namespace karta::identity {
namespace {

using detail::check_statement;
using detail::raw;
using service::Statement;

constexpr std::string_view kFindCertificate =
    "SELECT c.citizen_id, c.card_id, c.kind, c.not_after, r.reason, r.changed_at FROM certificate_by_serial AS s JOIN "
    "certificates AS c ON c.citizen_id = s.citizen_id AND c.issuer = s.issuer AND c.serial = s.serial LEFT JOIN "
    "revocations AS r ON r.issuer = s.issuer AND r.serial = s.serial WHERE s.issuer = $1 AND s.serial = $2";

}  // namespace

std::string_view name_of(CertificateKind kind) {
  constexpr std::array<std::string_view, 6> names = {"", "AUT", "SIG", "QES", "ENC", "AGREEMENT"};
  return names[static_cast<std::size_t>(kind)];
}

Status Registry::Impl::move_certificates(const Card& card, CardState to, RevocationReason reason) {
  crypto::CrlReason wanted = crypto::CrlReason::unspecified;
  switch (to) {
    case CardState::suspended:
      wanted = crypto::CrlReason::certificate_hold;
      break;
    case CardState::active:
      if (card.state != CardState::suspended) return {};
      wanted = crypto::CrlReason::remove_from_crl;
      break;
    case CardState::revoked:
      wanted = static_cast<crypto::CrlReason>(reason);
      break;
    case CardState::replaced:
      wanted = crypto::CrlReason::superseded;
      break;
    default:
      return {};
  }
  struct Row {
    std::string issuer;
    Bytes serial;
    std::int64_t not_after;
  };
  std::vector<Row> certificates;
  {
    Statement rows = TRY(
        database.prepare("SELECT issuer, serial, not_after FROM certificates WHERE citizen_id = $1 AND card_id = $2"));
    TRY(rows.query({raw(card.citizen), raw(card.id)}));
    while (TRY(rows.next())) {
      certificates.push_back({std::string(rows.text(0)), to_bytes(rows.octets(1)), rows.integer(2)});
    }
  }
  for (const Row& one : certificates) {
    const auto before = TRY(find_revocation(database, one.issuer, one.serial));
    // What was held or revoked for a reason of its own does not follow the card back.
    if (wanted == crypto::CrlReason::remove_from_crl && !(before && before->by_card && before->held())) continue;
    if (wanted == crypto::CrlReason::certificate_hold && before && !before->released()) continue;
    if (before && !before->held() && !before->released()) continue;
    TRY(record_revocation(
        database,
        {.issuer = one.issuer, .serial = one.serial, .reason = wanted, .not_after = one.not_after, .by_card = true},
        clock->now()));
  }
  return {};
}

Status Registry::add_certificate(CardId card_id, const CardCertificate& certificate, const Cause& cause) {
  TRY(check_cause(cause));
  TRY(check_statement(certificate.issuer, "issuing CA", true));
  if (certificate.serial.empty() || certificate.serial.size() > 20 || certificate.der.empty()) {
    return fail(ErrorKind::usage, "a certificate has a serial of 1 to 20 octets (RFC 5280 §4.1.2.2) and its encoding");
  }
  const auto work = [&]() -> Status {
    const Card card = TRY(impl_->load_card(card_id));
    if (row_of(card.state).final) {
      return fail(ErrorKind::not_permitted,
                  "a card that is " + std::string(row_of(card.state).name) + " gets no more certificates");
    }
    auto unique =
        impl_->database.execute("INSERT INTO certificate_by_serial (issuer, serial, citizen_id) VALUES ($1, $2, $3)",
                                {certificate.issuer, certificate.serial, raw(card.citizen)});
    if (!unique && unique.error().kind == ErrorKind::already_exists) {
      return fail(ErrorKind::already_exists, "the issuing CA has given out this serial before");
    }
    TRY(std::move(unique));
    TRY(impl_->database.execute(
        "INSERT INTO certificates (citizen_id, card_id, kind, issuer, serial, der, not_before, not_after) VALUES ($1, "
        "$2, $3, $4, $5, $6, $7, $8)",
        {raw(card.citizen), raw(card_id), static_cast<std::int64_t>(certificate.kind), certificate.issuer,
         certificate.serial, certificate.der, seconds(certificate.not_before), seconds(certificate.not_after)}));
    return impl_->add_event({card.citizen, "certificate-added", card_id, "", name_of(certificate.kind)}, cause);
  };
  return impl_->database.transact(work);
}

Result<CertificateStatus> Registry::Impl::find_certificate(std::string_view issuer, ByteView serial) {
  Statement row = TRY(database.prepare(kFindCertificate));
  TRY(row.query({issuer, serial}));
  if (!TRY(row.next())) return fail(ErrorKind::not_found, "the issuing CA has given out no certificate of this serial");
  CertificateStatus status;
  status.citizen = CitizenId{row.integer(0)};
  status.card = CardId{row.integer(1)};
  status.kind = static_cast<CertificateKind>(row.integer(2));
  status.not_after = from_seconds(row.integer(3));
  const auto reason = row.integer_or_null(4);
  if (reason && *reason != static_cast<std::int64_t>(crypto::CrlReason::remove_from_crl)) {
    status.revoked_at = from_seconds(row.integer(5));
    status.reason = static_cast<RevocationReason>(*reason);
  }
  return status;
}

Status Registry::revoke_certificate(std::string_view issuer, ByteView serial, RevocationReason reason,
                                    const Cause& cause) {
  TRY(check_cause(cause));
  const auto work = [&]() -> Status {
    const CertificateStatus status = TRY(impl_->find_certificate(issuer, serial));
    const auto wanted = static_cast<crypto::CrlReason>(reason);
    const bool held = status.reason == RevocationReason::certificate_hold;
    if (status.revoked_at && (!held || wanted == crypto::CrlReason::certificate_hold)) {
      return fail(ErrorKind::not_permitted,
                  held ? "the certificate is on hold already" : "the certificate is revoked already");
    }
    TRY(record_revocation(
        impl_->database,
        {.issuer = std::string(issuer), .serial = serial, .reason = wanted, .not_after = seconds(status.not_after)},
        impl_->clock->now()));
    return impl_->add_event({status.citizen, "certificate-revoked", status.card, name_of(status.kind), name_of(reason)},
                            cause);
  };
  return impl_->database.transact(work);
}

Result<std::vector<CardCertificate>> Registry::certificates_of(CardId card_id, const Purpose& purpose) {
  TRY(check_purpose(purpose));
  std::vector<CardCertificate> certificates;
  const auto work = [&]() -> Status {
    certificates.clear();
    const Card card = TRY(impl_->load_card(card_id));
    Statement rows = TRY(impl_->database.prepare(
        "SELECT kind, issuer, serial, der, not_before, not_after FROM certificates WHERE citizen_id = $1 AND "
        "card_id = $2 ORDER BY kind, not_before, serial"));
    TRY(rows.query({raw(card.citizen), raw(card_id)}));
    while (TRY(rows.next())) {
      certificates.push_back({static_cast<CertificateKind>(rows.integer(0)), std::string(rows.text(1)),
                              to_bytes(rows.octets(2)), to_bytes(rows.octets(3)), from_seconds(rows.integer(4)),
                              from_seconds(rows.integer(5))});
    }
    return impl_->log_access(card.citizen, purpose, "certificates");
  };
  TRY(impl_->database.transact(work));
  return certificates;
}

Result<CertificateStatus> Registry::certificate_status(std::string_view issuer, ByteView serial) {
  const auto snapshot = TRY(impl_->database.begin_read());
  CertificateStatus status = TRY(impl_->find_certificate(issuer, serial));
  status.card_state = TRY(impl_->load_card(status.card)).state;
  return status;
}

}  // namespace karta::identity
