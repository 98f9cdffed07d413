#include "card/passive_authentication.h"

#include <algorithm>

#include "card/identity_data.h"
#include "crypto/cms/sign.h"
#include "crypto/cms/signed_data.h"
#include "crypto/digest.h"
#include "crypto/validation/validate.h"

namespace karta::card {
namespace {

bool is_document_signer(const crypto::Certificate& certificate) {
  const std::vector<std::string>& usages = certificate.extended_key_usage();
  return std::find(usages.begin(), usages.end(), kDocumentSigningOid) != usages.end();
}

}  // namespace

Result<Bytes> sign_card_security(const SecurityInfos& infos, crypto::Signer& document_signer) {
  if (document_signer.certificate_chain().empty()) {
    return fail(ErrorKind::not_found, "the document signer has no certificate");
  }
  const auto certificate = TRY(crypto::Certificate::from_der(document_signer.certificate_chain().front()));
  if (!is_document_signer(certificate)) {
    return fail(ErrorKind::usage, "the certificate is not a document signer's",
                "its profile needs the extended key usage " + std::string(kDocumentSigningOid));
  }
  const Bytes content = infos.encode();
  crypto::MemoryContent source(content);
  crypto::CmsSignOptions options;
  options.form = crypto::CmsForm::enveloping;
  options.content_type = std::string(kSecurityObjectOid);
  options.include_chain = false;
  // TR-03110 asks for no more, and every octet is read at every session. Without a time, too: nobody would believe it,
  // the certificate says from when on it holds.
  options.least_attributes = true;
  return crypto::sign_cms(document_signer, source, options);
}

Result<CardSecurity> verify_card_security(ByteView file, const std::vector<crypto::Certificate>& anchors, Time at) {
  if (file.size() > kMostCardSecurityOctets) return fail(ErrorKind::limit, "EF.CardSecurity is longer than any");
  const auto data = TRY(crypto::SignedData::parse(file));
  if (data.content_type != kSecurityObjectOid) {
    return fail(ErrorKind::malformed, "EF.CardSecurity holds content of type " + data.content_type);
  }
  const crypto::Report report =
      crypto::verify_cms(file, nullptr, {.anchors = anchors, .intermediates = {}}, {.at = at, .keep_content = true});
  if (report.signatures.size() != 1) {
    return fail(ErrorKind::malformed,
                "EF.CardSecurity has " + std::to_string(report.signatures.size()) + " signatures");
  }
  const crypto::SignatureReport& signature = report.signatures.front();
  if (!signature.passed()) {
    const crypto::Finding* const fault = signature.first_fault();
    const std::string why = fault == nullptr ? std::string(name_of(signature.sub_indication)) : fault->message;
    const bool broken = signature.integrity == crypto::Integrity::broken;
    return fail(broken ? ErrorKind::invalid_signature : ErrorKind::untrusted, "EF.CardSecurity: " + why,
                "the card was not signed by a centre this terminal trusts: do not accept it");
  }
  if (signature.chain.empty() || !report.content) return fail(ErrorKind::internal, "a report without its signer");
  if (!is_document_signer(signature.chain.front())) {
    return fail(ErrorKind::untrusted,
                "EF.CardSecurity is signed by \"" + signature.signer_display +
                    "\", whose certificate is not a document signer's",
                "do not accept this card");
  }
  SecurityInfos infos = TRY(SecurityInfos::parse(*report.content));
  return CardSecurity{std::move(infos), signature.chain.front()};
}

DataGroupHashes hash_data_groups(const std::map<unsigned, Bytes>& files, crypto::Hash hash) {
  DataGroupHashes hashes{hash, {}};
  for (const auto& [number, file] : files) {
    const DataGroupRow* const row = find_data_group(number);
    // What terminals may write after issue would not fit its hash any more.
    if (row != nullptr && !row->writable) hashes.by_number.emplace(number, crypto::digest(hash, file));
  }
  return hashes;
}

std::string_view name_of(DataGroupCheck check) {
  constexpr std::string_view kNames[] = {"signed", "not-covered", "altered"};
  return kNames[static_cast<std::size_t>(check)];
}

DataGroupCheck check_data_group(const SecurityInfos& security, unsigned number, ByteView file) {
  if (!security.data_groups) return DataGroupCheck::not_covered;
  const auto found = security.data_groups->by_number.find(number);
  if (found == security.data_groups->by_number.end()) return DataGroupCheck::not_covered;
  return equal(found->second, crypto::digest(security.data_groups->hash, file)) ? DataGroupCheck::signed_by_issuer
                                                                                : DataGroupCheck::altered;
}

}  // namespace karta::card
