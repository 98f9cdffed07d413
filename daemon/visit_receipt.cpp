#include "daemon/visit_receipt.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "card/iso7816.h"
#include "card/transit.h"
#include "card/whole_file.h"
#include "crypto/digest.h"
#include "crypto/signer.h"

namespace karta::daemon {
namespace {

using card::TransitEntry;
using card::TransitPass;

constexpr std::size_t kMostCertificateOctets = 4096;
constexpr card::LedgerLayout kLayout{TransitPass::kHeadOctets, TransitPass::kProductOctets, TransitEntry::kOctets};
constexpr std::string_view kRecordSchema = "karta.visit-record/1", kReceiptSchema = "karta.visit-receipt/1";

Bytes nonce_of(const std::string& record) {
  Bytes hash = crypto::digest(crypto::Hash::sha256, as_bytes(record));
  hash.resize(card::kTransactionNonceOctets);
  return hash;
}

/// The serial in "CN=transit SERIAL": what the statement names the ledger by.
Result<Bytes> serial_of(const crypto::Certificate& certificate) {
  const std::string name = certificate.subject().display();
  const std::size_t digits = card::kLedgerSerialOctets * 2;
  if (name.size() < digits) return fail(ErrorKind::malformed, "the certificate of the card's key names no ledger");
  return from_hex(std::string_view(name).substr(name.size() - digits));
}

}  // namespace

std::string VisitRecord::to_text() const {
  // nlohmann::json sorts its keys.
  nlohmann::json out{{"schema", kRecordSchema},   {"id", id},           {"terminal", terminal},
                     {"time", format_time(time)}, {"purpose", purpose}, {"case", visit_case},
                     {"decision", decision}};
  out["status_index"] = status_index ? nlohmann::json(*status_index) : nlohmann::json();
  return out.dump(-1, ' ', true);
}

Json VisitReceipt::to_json() const {
  return {{"schema", kReceiptSchema},
          {"record", record},
          {"statement", to_hex(statement)},
          {"signature", to_hex(signature)},
          {"certificate", to_base64(certificate)}};
}

Result<VisitReceipt> VisitReceipt::from_json(const Json& document) {
  const auto text = [&](const char* name) -> Result<std::string> {
    const auto found = document.find(name);
    if (found != document.end() && found->is_string()) return found->get<std::string>();
    return fail(ErrorKind::malformed, std::string("the receipt has no \"") + name + "\"");
  };
  if (!document.is_object()) return fail(ErrorKind::malformed, "the receipt is no JSON object");
  const std::string schema = TRY(text("schema"));
  if (schema != kReceiptSchema) return fail(ErrorKind::malformed, "this is no receipt of a visit");
  VisitReceipt out;
  out.record = TRY(text("record"));
  out.statement = TRY(from_hex(TRY(text("statement"))));
  out.signature = TRY(from_hex(TRY(text("signature"))));
  out.certificate = TRY(from_base64(TRY(text("certificate"))));
  return out;
}

Result<VisitReceipt> sign_visit(card::Channel& channel, const VisitRecord& record) {
  TRY(channel.run(card::select_application(card::kTransitAid, card::SelectReturn::nothing),
                  "select the transit application"));
  VisitReceipt out;
  out.record = record.to_text();
  out.certificate = TRY(card::read_whole_file(channel, card::kTransitCertificateShortId, kMostCertificateOctets,
                                              "the certificate of the card's transit key"));
  if (out.certificate.empty()) return fail(ErrorKind::not_found, "the card has no key to sign a visit with");
  const crypto::Certificate certificate = TRY(crypto::Certificate::from_der(out.certificate));
  const Bytes serial = TRY(serial_of(certificate));
  const crypto::PublicKey key = TRY(certificate.public_key());
  if (key.family() != crypto::KeyFamily::ec) return fail(ErrorKind::unsupported, "a transit key on no curve");
  const std::size_t coordinate = (key.bits() + 7u) / 8u;
  const Bytes nonce = nonce_of(out.record);
  card::LedgerStatement statement = TRY(card::sign_statement(channel, serial, kLayout, nonce, coordinate));
  out.signature = TRY(crypto::encode_ecdsa_signature(statement.signature));
  TRY(key.verify(crypto::AlgorithmId::ecdsa_sha256, statement.signed_octets, out.signature));
  out.statement = std::move(statement.signed_octets);
  return out;
}

Result<VisitRecord> verify_visit(const VisitReceipt& receipt, const std::vector<crypto::Certificate>& anchors) {
  const nlohmann::json document = nlohmann::json::parse(receipt.record, nullptr, /*allow_exceptions=*/false);
  const auto text = [&](const char* name) -> Result<std::string> {
    const auto found = document.find(name);
    if (found != document.end() && found->is_string()) return found->get<std::string>();
    return fail(ErrorKind::malformed, std::string("the record of the visit has no \"") + name + "\"");
  };
  if (!document.is_object()) return fail(ErrorKind::malformed, "the record of the visit is no JSON object");
  VisitRecord out;
  out.id = TRY(text("id"));
  out.terminal = TRY(text("terminal"));
  out.time = TRY(parse_time(TRY(text("time"))));
  out.purpose = TRY(text("purpose"));
  out.visit_case = TRY(text("case"));
  out.decision = TRY(text("decision"));
  const auto index = document.find("status_index");
  if (index != document.end() && index->is_number_unsigned()) out.status_index = index->get<std::uint64_t>();
  // What was signed is the text as it stands; one that means the same and reads otherwise is another record.
  if (out.to_text() != receipt.record) return fail(ErrorKind::malformed, "the record of the visit is not canonical");

  const crypto::Certificate certificate = TRY(crypto::Certificate::from_der(receipt.certificate));
  const Bytes serial = TRY(card::verify_transit_certificate(certificate, anchors, out.time));
  const crypto::PublicKey key = TRY(certificate.public_key());
  TRY(key.verify(crypto::AlgorithmId::ecdsa_sha256, receipt.statement, receipt.signature));
  const Bytes nonce = nonce_of(receipt.record);
  const Bytes head = concat({as_bytes("KTXP"), nonce, serial});
  const ByteView statement(receipt.statement);
  if (statement.size() < head.size() + TransitPass::kHeadOctets || !equal(statement.first(head.size()), head)) {
    return fail(ErrorKind::invalid_signature, "the card signed for something else than this visit");
  }
  if (certificate.status_index() != out.status_index) {
    return fail(ErrorKind::invalid_signature, "the receipt is by another card than the one that was visited with");
  }
  return out;
}

}  // namespace karta::daemon
