// VisitReceipt: the card's own signature that it was there: proof of presence, for the clinic and who pays it.
//
// The card signs with the key of its transit ledger, which needs no PIN: INTERNAL AUTHENTICATE over a nonce, and the
// nonce is SHA-256 over the visit's record, first sixteen octets. The key's certificate is by the issuing CA and names
// the card's status index, so that the signature is of the card the visit was with.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "card/channel.h"
#include "crypto/x509/certificate.h"
#include "daemon/json.h"

namespace karta::daemon {

/// What a visit was: the octets that are signed for. Nobody is named.
struct VisitRecord {
  std::string id;        ///< of the visit
  std::string terminal;  ///< the holder's reference of the terminal's certificate
  Time time{};
  std::string purpose;
  std::string visit_case;  ///< the clinic's own number; may be empty
  std::string decision;
  std::optional<std::uint64_t> status_index;

  /// Canonical JSON, "karta.visit-record/1".
  std::string to_text() const;
};

struct VisitReceipt {
  std::string record;  ///< VisitRecord::to_text()
  Bytes statement;     ///< what the card signed
  Bytes signature;     ///< DER
  Bytes certificate;   ///< DER

  Json to_json() const;
  /// Fails with `malformed`.
  static Result<VisitReceipt> from_json(const Json& document);
};

/// Three commands. Fails with `not_found` where the card has no such key.
Result<VisitReceipt> sign_visit(card::Channel& channel, const VisitRecord& record);

/// The back office's side: signature, certificate to `anchors` at the visit's time, nonce, status index. Returns the
/// record. Fails with `invalid_signature`, `untrusted`, `malformed`.
Result<VisitRecord> verify_visit(const VisitReceipt& receipt, const std::vector<crypto::Certificate>& anchors);

}  // namespace karta::daemon
