#include "crypto/ades/testing_services.h"

namespace karta::crypto::testing {

TestServices::TestServices(TestCentre& centre, Evidence evidence, KeyType service_key)
    : centre_(centre),
      evidence_(evidence),
      tsa_(centre.service(kTsaProfile, service_key)),
      responder_(centre.service(kResponderProfile, service_key)) {
  revoke({});
}

SignatureServices TestServices::services() {
  return {.timestamps = this, .revocation = this, .certificates = {centre_.ca, centre_.root}};
}

void TestServices::revoke(std::vector<CrlContent::Revoked> revoked) {
  CrlContent content;
  content.this_update = clock_.now() - std::chrono::hours(1);
  content.next_update = clock_.now() + std::chrono::hours(24 * 30);
  content.number = ++number_;
  lists_.clear();
  lists_.push_back(must(sign_crl(content, centre_.root, centre_.root_signer)));
  content.revoked = std::move(revoked);
  lists_.push_back(must(sign_crl(content, centre_.ca, centre_.ca_signer)));
}

Result<Bytes> TestServices::stamp(const MessageImprint& imprint) {
  auto authority = TRY(TimeStampAuthority::create(tsa_, {.policy = "2.999.3"}, clock_, random_));
  return authority.stamp(imprint);
}

Result<RevocationEvidence> TestServices::about(const Certificate& certificate, const Certificate& issuer) {
  RevocationEvidence out;
  // Of the responder itself a list speaks: an answer about it would be its own.
  const bool responder = certificate.der() == responder_.certificate_chain().front();
  if (evidence_ == Evidence::ocsp && !responder && issuer == centre_.ca) {
    const auto good = [](ByteView) -> Result<OcspState> { return OcspState{.status = OcspCertificateStatus::good}; };
    auto answers = TRY(OcspResponder::create(issuer, responder_, good, clock_));
    out.ocsp.push_back(TRY(answers.pre_produce(certificate.serial())));
    return out;
  }
  for (const Crl& one : lists_) {
    if (one.issuer() == issuer.subject()) out.crls.push_back(one.der());
  }
  return out;
}

}  // namespace karta::crypto::testing
