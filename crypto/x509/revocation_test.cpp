#include "crypto/x509/revocation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/testing.h"
#include "crypto/x509/path.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using testing::test_key;
using testing::test_time;
using testing::TestCentre;

class Revocation : public ::testing::Test {
 protected:
  CrlContent content(std::uint64_t number = 7) {
    CrlContent out;
    out.number = number;
    out.this_update = test_time() - std::chrono::hours(1);
    out.next_update = test_time() + std::chrono::hours(23);
    return out;
  }
  CrlContent::Revoked citizen(CrlReason reason = CrlReason::key_compromise) {
    CrlContent::Revoked out;
    out.serial = centre_.citizen_certificate.serial();
    out.revoked_at = test_time() - std::chrono::hours(2);
    out.reason = reason;
    return out;
  }
  Crl by_ca(const CrlContent& list) { return must(sign_crl(list, centre_.ca, centre_.ca_signer)); }
  /// The root's list, on which nothing stands.
  Crl by_root() { return must(sign_crl(content(1), centre_.root, centre_.root_signer)); }

  PathResult verify(const RevocationData& data, Time at = test_time(), RevocationMode mode = RevocationMode::required) {
    PathOptions options;
    options.at = at;
    options.revocation = mode;
    options.revocation_data = &data;
    return verify_path(centre_.citizen_certificate, {centre_.ca}, {centre_.root}, options);
  }
  RevocationData with(std::vector<Crl> crls) {
    RevocationData out;
    out.add(by_root());
    for (Crl& crl : crls) out.add(std::move(crl));
    return out;
  }

  TestCentre centre_;
};

TEST_F(Revocation, AListSaysWhoIsRevokedAndWhen) {
  EXPECT_TRUE(verify(with({by_ca(content())})).ok());
  CrlContent list = content();
  list.revoked.push_back(citizen());
  const PathResult path = verify(with({by_ca(list)}));
  EXPECT_EQ(path.fault, PathFault::revoked);
  EXPECT_EQ(path.at, 0u);
  EXPECT_THAT(path.reason, HasSubstr("revoked at 2026-06-01T10:00:00Z (keyCompromise), says CRL 7 of"));
  ASSERT_EQ(path.revocation.size(), 3u);
  EXPECT_EQ(path.revocation[0].revocation_reason, CrlReason::key_compromise);
  EXPECT_EQ(path.revocation[1].status, RevocationStatus::good);
  EXPECT_EQ(path.revocation[2].status, RevocationStatus::not_asked);
}

TEST_F(Revocation, WhatIsNotKnownIsNotGood) {
  const PathResult nothing = verify({});
  EXPECT_EQ(nothing.fault, PathFault::revocation_unknown);
  EXPECT_THAT(nothing.reason, HasSubstr("no CRL and no OCSP answer about it is at hand"));
  EXPECT_TRUE(verify({}, test_time(), RevocationMode::if_known).ok());
  const PathResult stale = verify(with({by_ca(content())}), test_time() + std::chrono::hours(24));
  EXPECT_EQ(stale.fault, PathFault::revocation_unknown);
  EXPECT_THAT(stale.reason, HasSubstr("stale"));
}

TEST_F(Revocation, TheMomentDecides) {
  CrlContent list = content();
  list.revoked.push_back(citizen());
  const RevocationData data = with({by_ca(list)});
  // A list issued later tells of an earlier moment too, at which the certificate was still good.
  const PathResult before = verify(data, test_time() - std::chrono::hours(3));
  EXPECT_TRUE(before.ok()) << before.reason;
  EXPECT_THAT(before.revocation[0].reason, HasSubstr("revoked later"));
  EXPECT_EQ(verify(data, test_time() - std::chrono::hours(2)).fault, PathFault::revoked);
}

TEST_F(Revocation, AStrangersListIsNotHeard) {
  TestCentre other;  // the same names, other keys
  CrlContent list = content();
  list.revoked.push_back(citizen());
  const Crl forged = must(sign_crl(list, other.ca, other.ca_signer));
  const PathResult path = verify(with({forged}));
  EXPECT_EQ(path.fault, PathFault::revocation_unknown);
  EXPECT_THAT(path.reason, HasSubstr("its signature is not that of"));
  EXPECT_TRUE(verify(with({forged, by_ca(content())})).ok());
}

TEST_F(Revocation, EveryOctetOfAListCounts) {
  CrlContent list = content();
  list.revoked.push_back(citizen());
  const Crl crl = by_ca(list);
  const PublicKey key = centre_.ca_signer.public_key();
  for (std::size_t i = 0; i < crl.der().size(); ++i) {
    Bytes changed = crl.der();
    changed[i] ^= 0x01;
    const auto parsed = Crl::from_der(changed);
    EXPECT_FALSE(parsed && verify_crl_signature(*parsed, key)) << "octet " << i;
  }
}

TEST_F(Revocation, DeltasBringNewsAndTakeThemBack) {
  CrlContent base = content(5);
  CrlContent::Revoked held = citizen(CrlReason::certificate_hold);
  base.revoked.push_back(held);
  EXPECT_EQ(verify(with({by_ca(base)})).fault, PathFault::revoked);
  CrlContent delta = content(6);
  delta.base_number = 5;
  CrlContent::Revoked released = citizen(CrlReason::remove_from_crl);
  delta.revoked.push_back(released);
  const PathResult back = verify(with({by_ca(base), by_ca(delta)}));
  EXPECT_TRUE(back.ok()) << back.reason;
  EXPECT_THAT(back.revocation[0].source, HasSubstr("delta CRL 6"));
  // A delta to a later list does not go with this one.
  delta.base_number = 6;
  delta.number = 7;
  EXPECT_EQ(verify(with({by_ca(base), by_ca(delta)})).fault, PathFault::revoked);
  // News in a delta.
  CrlContent news = content(6);
  news.base_number = 5;
  news.revoked.push_back(citizen());
  EXPECT_EQ(verify(with({by_ca(content(5)), by_ca(news)})).fault, PathFault::revoked);
  // A delta alone is no list.
  EXPECT_EQ(verify(with({by_ca(news)})).fault, PathFault::revocation_unknown);
}

TEST_F(Revocation, PartitionsCoverTheirOwn) {
  CrlContent part = content();
  part.distribution_point = "http://crl.example/ca.crl";  // as the certificate says
  EXPECT_TRUE(verify(with({by_ca(part)})).ok());
  part.revoked.push_back(citizen());
  EXPECT_EQ(verify(with({by_ca(part)})).fault, PathFault::revoked);
  CrlContent other = content();
  other.distribution_point = "http://crl.example/other.crl";
  const PathResult elsewhere = verify(with({by_ca(other)}));
  EXPECT_EQ(elsewhere.fault, PathFault::revocation_unknown);
  EXPECT_THAT(elsewhere.reason, HasSubstr("another distribution point"));
  CrlContent cas = content();
  cas.only_ca_certificates = true;
  EXPECT_EQ(verify(with({by_ca(cas)})).fault, PathFault::revocation_unknown);
  CrlContent some = content();
  some.only_some_reasons = 1u << 1;
  EXPECT_THAT(verify(with({by_ca(some)})).reason, HasSubstr("some reasons only"));
  CrlContent rest = content(8);
  rest.only_some_reasons = kAllReasons & ~(1u << 1);
  EXPECT_TRUE(verify(with({by_ca(some), by_ca(rest)})).ok());
}

TEST_F(Revocation, IndirectListsNameTheIssuer) {
  // The root's indirect list speaks of the issuing CA's certificates; only where the certificate points there does it
  // count, which the citizen's does not.
  CrlContent list = content(2);
  list.indirect = true;
  CrlContent::Revoked one = citizen();
  one.certificate_issuer = centre_.ca.subject();
  list.revoked.push_back(one);
  CrlContent::Revoked own;
  own.serial = centre_.ca.serial();
  own.revoked_at = test_time();
  own.certificate_issuer = centre_.root.subject();
  list.revoked.push_back(own);
  const Crl crl = must(sign_crl(list, centre_.root, centre_.root_signer));
  EXPECT_EQ(crl.certificate_issuers().size(), 2u);
  EXPECT_NE(crl.find(centre_.ca.subject(), centre_.citizen_certificate.serial()), nullptr);
  EXPECT_EQ(crl.find(centre_.root.subject(), centre_.citizen_certificate.serial()), nullptr);
  EXPECT_NE(crl.find(centre_.root.subject(), centre_.ca.serial()), nullptr);
  list.indirect = false;
  EXPECT_EQ(sign_crl(list, centre_.root, centre_.root_signer).error().kind, ErrorKind::usage);
}

TEST_F(Revocation, ARevokedSignerOfListsDoesNotClearItself) {
  const FixedClock clock(test_time());
  SystemRandom random;
  SoftwareSigner signer(testing::copy_of(test_key(KeyType::p521)));
  const Certificate helper =
      must(issue_self_issued(must(CertificateProfile::from_toml(testing::kCaProfile)), centre_.ca.subject(),
                             signer.public_key(), centre_.ca, centre_.ca_signer, clock, random));
  CrlContent list = content(7);
  CrlContent::Revoked one;
  one.serial = helper.serial();
  one.revoked_at = test_time();
  list.revoked.push_back(one);
  CrlContent later = content(8);  // by the revoked key itself, newer, and silent about it
  later.this_update = test_time();
  RevocationData data = with({by_ca(list), must(sign_crl(later, helper, signer))});
  PathOptions options;
  options.at = test_time();
  options.revocation = RevocationMode::required;
  options.revocation_data = &data;
  EXPECT_EQ(verify_path(helper, {centre_.ca}, {centre_.root}, options).fault, PathFault::revoked);
  // Nor does it speak for the citizens any more.
  EXPECT_TRUE(verify_path(centre_.citizen_certificate, {centre_.ca, helper}, {centre_.root}, options).ok());
  RevocationData alone;
  alone.add(by_root());
  alone.add(must(sign_crl(later, helper, signer)));
  options.revocation_data = &alone;
  EXPECT_EQ(verify_path(centre_.citizen_certificate, {centre_.ca, helper}, {centre_.root}, options).fault,
            PathFault::revocation_unknown);
}

TEST_F(Revocation, TheLastEntryOfASerialCounts) {
  CrlContent list = content();
  list.revoked.push_back(citizen(CrlReason::superseded));
  list.revoked.push_back(citizen(CrlReason::key_compromise));
  const Crl crl = by_ca(list);
  EXPECT_EQ(crl.find(centre_.ca.subject(), centre_.citizen_certificate.serial())->reason, CrlReason::key_compromise);
}

TEST_F(Revocation, LongListsAreSearchedFast) {
  CrlContent list = content();
  list.revoked.reserve(20'000);
  for (std::uint32_t i = 0; i < 20'000; ++i) {
    CrlContent::Revoked one;
    const std::uint32_t scattered = i * 2'654'435'761u;
    one.serial = {1, static_cast<std::uint8_t>(scattered >> 24), static_cast<std::uint8_t>(scattered >> 16),
                  static_cast<std::uint8_t>(scattered >> 8), static_cast<std::uint8_t>(scattered)};
    one.revoked_at = test_time();
    list.revoked.push_back(std::move(one));
  }
  const Crl crl = by_ca(list);
  ASSERT_EQ(crl.entries().size(), 20'000u);
  for (const CrlContent::Revoked& one : list.revoked) {
    const CrlEntry* const entry = crl.find(centre_.ca.subject(), one.serial);
    ASSERT_NE(entry, nullptr);
    ASSERT_TRUE(equal(entry->serial, one.serial));
  }
  EXPECT_EQ(crl.find(centre_.ca.subject(), Bytes{1, 2, 3}), nullptr);
}

TEST_F(Revocation, OcspAnswersAreJudged) {
  const FixedClock clock(test_time());
  OcspState state{OcspCertificateStatus::good, {}, {}};
  const auto lookup = [&](ByteView serial) -> Result<OcspState> {
    if (equal(serial, centre_.citizen_certificate.serial())) return state;
    return OcspState{};
  };
  SoftwareSigner delegate = centre_.service(testing::kResponderProfile);
  for (Signer* signer : {static_cast<Signer*>(&centre_.ca_signer), static_cast<Signer*>(&delegate)}) {
    state = {OcspCertificateStatus::good, {}, {}};
    OcspResponder responder = must(OcspResponder::create(centre_.ca, *signer, lookup, clock));
    const OcspRequest request{{cert_id_of(centre_.citizen_certificate, centre_.ca)}, Bytes(16, 0x5A)};
    const OcspResponse good = must(OcspResponse::from_der(responder.answer(request.to_der())));
    ASSERT_TRUE(good.successful());
    EXPECT_TRUE(check_nonce(request, good));
    RevocationData data;
    data.add(by_root());
    data.add(good);
    const PathResult path = verify(data);
    EXPECT_TRUE(path.ok()) << path.reason;
    // Stale after an hour.
    EXPECT_EQ(verify(data, test_time() + std::chrono::hours(2)).fault, PathFault::revocation_unknown);

    state = {OcspCertificateStatus::revoked, test_time() - std::chrono::hours(1), CrlReason::cessation_of_operation};
    const OcspResponse revoked =
        must(OcspResponse::from_der(must(responder.pre_produce(centre_.citizen_certificate.serial()))));
    EXPECT_FALSE(check_nonce(request, revoked));
    RevocationData bad;
    bad.add(by_root());
    bad.add(good);  // the good answer does not hide the bad one
    bad.add(revoked);
    const PathResult refused = verify(bad);
    EXPECT_EQ(refused.fault, PathFault::revoked);
    EXPECT_THAT(refused.reason, HasSubstr("cessationOfOperation"));
  }
}

TEST_F(Revocation, OnlyTheCasRespondersAreHeard) {
  const FixedClock clock(test_time());
  const auto good = [](ByteView) -> Result<OcspState> { return OcspState{OcspCertificateStatus::good, {}, {}}; };
  // A citizen's key is no responder's.
  EXPECT_EQ(OcspResponder::create(centre_.ca, centre_.citizen, good, clock).error().kind, ErrorKind::not_permitted);
  // The same made by hand: the answer is signed, by the wrong key.
  OcspAnswer answer;
  answer.produced_at = test_time();
  answer.singles.push_back({cert_id_of(centre_.citizen_certificate, centre_.ca),
                            {OcspCertificateStatus::good, {}, {}},
                            test_time(),
                            test_time() + std::chrono::hours(1)});
  RevocationData data;
  data.add(by_root());
  data.add(must(OcspResponse::from_der(must(sign_ocsp(answer, centre_.citizen)))));
  const PathResult path = verify(data);
  EXPECT_EQ(path.fault, PathFault::revocation_unknown);
  EXPECT_THAT(path.reason, HasSubstr("not meant for OCSP answers"));
  const TestCentre other;
  SoftwareSigner stranger(testing::copy_of(test_key(KeyType::p256)));
  stranger.set_certificate_chain({other.ca.der()});
  RevocationData forged;
  forged.add(by_root());
  forged.add(must(OcspResponse::from_der(must(sign_ocsp(answer, stranger)))));
  EXPECT_EQ(verify(forged).fault, PathFault::revocation_unknown);
}

TEST_F(Revocation, AResponderSaysWhatItCannotAnswer) {
  const FixedClock clock(test_time());
  const auto busy = [](ByteView) -> Result<OcspState> { return fail(ErrorKind::busy, "later"); };
  OcspResponder responder = must(OcspResponder::create(centre_.ca, centre_.ca_signer, busy, clock));
  const auto status = [&](ByteView request) {
    return must(OcspResponse::from_der(responder.answer(request))).status();
  };
  EXPECT_EQ(status(Bytes{0x30, 0x00}), OcspResponseStatus::malformed_request);
  EXPECT_EQ(status(OcspRequest{{cert_id_of(centre_.citizen_certificate, centre_.ca)}}.to_der()),
            OcspResponseStatus::try_later);
  EXPECT_EQ(status(OcspRequest{{cert_id_of(centre_.ca, centre_.root)}}.to_der()), OcspResponseStatus::unauthorized);
}

TEST_F(Revocation, EveryOctetOfAnAnswerCounts) {
  const FixedClock clock(test_time());
  const auto good = [](ByteView) -> Result<OcspState> { return OcspState{OcspCertificateStatus::good, {}, {}}; };
  OcspResponder responder = must(OcspResponder::create(centre_.ca, centre_.ca_signer, good, clock));
  const Bytes answer = must(responder.pre_produce(centre_.citizen_certificate.serial()));
  const OcspResponse whole = must(OcspResponse::from_der(answer));
  for (std::size_t i = 0; i < answer.size(); ++i) {
    Bytes changed = answer;
    changed[i] ^= 0x01;
    const auto parsed = OcspResponse::from_der(changed);
    if (!parsed || !parsed->successful()) continue;
    const bool signed_part_changed =
        !equal(parsed->tbs(), whole.tbs()) || !equal(parsed->signature(), whole.signature());
    const bool verifies = verify_ocsp_signature(*parsed, centre_.ca_signer.public_key()).has_value();
    // What is outside the signature (certificates sent along) may change; it vouches for nothing.
    EXPECT_EQ(verifies, !signed_part_changed && parsed->signature_algorithm() == whole.signature_algorithm())
        << "octet " << i;
  }
}

TEST_F(Revocation, RequestsGoThereAndBack) {
  OcspRequest request{
      {cert_id_of(centre_.citizen_certificate, centre_.ca), cert_id_of(centre_.ca, centre_.root, Hash::sha256)},
      Bytes{1, 2, 3}};
  const OcspRequest back = must(OcspRequest::from_der(request.to_der()));
  EXPECT_EQ(back.certificates, request.certificates);
  EXPECT_EQ(back.nonce, request.nonce);
  // RFC 5754 §2: some leave the parameters of the hash out.
  const CertId& id = request.certificates.back();
  const Bytes bare = der::sequence({encode_digest_algorithm(id.hash), der::octet_string(id.issuer_name_hash),
                                    der::octet_string(id.issuer_key_hash), make_tlv(der::kInteger, id.serial)});
  const Bytes without = der::sequence(der::sequence(der::sequence(der::sequence(bare))));
  EXPECT_EQ(must(OcspRequest::from_der(without)).certificates.front(), id);
  request.certificates.resize(OcspRequest::kMostAsked + 1, request.certificates.front());
  EXPECT_EQ(OcspRequest::from_der(request.to_der()).error().kind, ErrorKind::limit);
}

}  // namespace
}  // namespace karta::crypto
