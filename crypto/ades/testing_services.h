// TestServices: what signatures are raised with in tests: a time-stamp authority and revocation data of a TestCentre,
// under a clock the test moves.
#pragma once

#include "crypto/ades/sources.h"
#include "crypto/testing.h"

namespace karta::crypto::testing {

class TestServices final : public TimestampSource, public RevocationSource {
 public:
  /// Revocation data about the issuing CA's certificates: its list, or answers of a delegated responder.
  enum class Evidence { crl, ocsp };
  explicit TestServices(TestCentre& centre, Evidence evidence = Evidence::crl, KeyType service_key = KeyType::p384);

  /// Points into this.
  SignatureServices services();
  FixedClock& clock() { return clock_; }
  const std::vector<Crl>& lists() const { return lists_; }
  /// New lists as of now: nobody is revoked but these, by the issuing CA.
  void revoke(std::vector<CrlContent::Revoked> revoked);

  Result<Bytes> stamp(const MessageImprint& imprint) override;
  Result<RevocationEvidence> about(const Certificate& certificate, const Certificate& issuer) override;

 private:
  TestCentre& centre_;
  const Evidence evidence_;
  SoftwareSigner tsa_, responder_;
  FixedClock clock_{test_time()};
  SystemRandom random_;
  std::uint64_t number_ = 0;
  std::vector<Crl> lists_;
};

}  // namespace karta::crypto::testing
