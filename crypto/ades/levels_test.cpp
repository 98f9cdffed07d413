// The baseline levels above B-B, of CMS and PDF signatures, with a time-stamp authority and revocation lists of the
// test's own; and further signers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/ades/cades.h"
#include "crypto/ades/pades.h"
#include "crypto/ades/pdf_testing.h"
#include "crypto/cms/sign.h"
#include "crypto/validation/verify_pdf.h"

namespace karta::crypto {
namespace {

using testing::must;
using testing::test_key;
using testing::test_time;
using testing::TestCentre;

const char* const kTsaProfile = R"(
schema = "karta.certificate-profile/1"
name = "tsa"
validity_days = 3000
key_usage = ["digitalSignature"]
extended_key_usage = ["timeStamping"]
critical = ["extKeyUsage"]
)";

const Bytes kText = to_bytes(as_bytes("I hereby agree.\n"));

/// A centre with a time-stamp authority, whose clock the test moves, and lists of root and issuing CA.
class Levels : public ::testing::Test, protected TimestampSource, protected RevocationSource {
 protected:
  Levels() : tsa_signer_(testing::copy_of(test_key(KeyType::p384))), clock_(test_time()) {
    const FixedClock then(must(parse_time("2026-01-03")));
    const CertificateRequest request{.subject = must(NameBuilder().add("CN", "Test TSA").build()),
                                     .public_key = tsa_signer_.public_key()};
    const Certificate tsa = must(issue_certificate(must(CertificateProfile::from_toml(kTsaProfile)), request,
                                                   centre_.ca, centre_.ca_signer, then, random_));
    tsa_signer_.set_certificate_chain({tsa.der(), centre_.ca.der()});
    services_.timestamps = this;
    services_.revocation = this;
    services_.certificates = {centre_.ca, centre_.root};
    revoke({});
  }

  void revoke(std::vector<CrlContent::Revoked> revoked) {
    CrlContent content;
    content.this_update = clock_.now() - std::chrono::hours(1);
    content.next_update = clock_.now() + std::chrono::hours(24 * 30);
    content.number = ++number_;
    lists_.clear();
    lists_.push_back(must(sign_crl(content, centre_.root, centre_.root_signer)));
    content.revoked = std::move(revoked);
    lists_.push_back(must(sign_crl(content, centre_.ca, centre_.ca_signer)));
  }
  CrlContent::Revoked the_citizen(Time at) {
    return {.serial = centre_.citizen_certificate.serial(), .revoked_at = at};
  }

  Result<Bytes> stamp(const MessageImprint& imprint) override {
    auto authority = TRY(TimeStampAuthority::create(tsa_signer_, {.policy = "2.999.3"}, clock_, random_));
    return authority.stamp(imprint);
  }
  Result<RevocationEvidence> about(const Certificate&, const Certificate& issuer) override {
    RevocationEvidence out;
    for (const Crl& one : lists_) {
      if (one.issuer() == issuer.subject()) out.crls.push_back(one.der());
    }
    return out;
  }

  Bytes sign_text(CmsForm form = CmsForm::detached) {
    MemoryContent content(kText);
    return must(sign_cms(centre_.citizen, content, {.form = form, .signing_time = clock_.now()}));
  }
  Bytes raise(const Bytes& signature, SignatureLevel level) {
    MemoryContent content(kText);
    return must(raise_cms(signature, &content, level, services_));
  }
  Report verify(const Bytes& signature, std::optional<Time> at = {}, bool detached = true) {
    MemoryContent content(kText);
    return verify_cms(signature, detached ? &content : nullptr, trust(), {.at = at.value_or(clock_.now())});
  }
  TrustMaterial trust() { return {.anchors = {centre_.root}, .intermediates = {}}; }
  Bytes sign_pdf(SignatureLevel level) {
    PdfFile file = must(PdfFile::open(to_bytes(as_bytes(testing::plain_pdf()))));
    PadesOptions options{.level = level};
    options.request.time = clock_.now();
    must(sign_pades(file, centre_.citizen, options, services_));
    return to_bytes(file.octets());
  }
  Report verify_file(const Bytes& octets, std::optional<Time> at = {}) {
    const PdfFile file = must(PdfFile::open(octets));
    return verify_pdf(file, trust(), {.at = at.value_or(clock_.now())});
  }

  static std::string words(const Report& report) {
    std::string out;
    for (const SignatureReport& one : report.signatures) {
      out +=
          std::string(name_of(one.verdict)) + " " + std::string(name_of(one.sub_indication)) + " " + one.level + "\n";
      for (const Finding& finding : one.findings) out += "  " + finding.code + ": " + finding.message + "\n";
      for (const ChangedObject& change : one.changes) {
        out += "  change " + change.object + (change.allowed ? " allowed: " : " REFUSED: ") + change.what + "\n";
      }
    }
    return out;
  }

  TestCentre centre_{KeyType::p256, KeyType::p256};
  SoftwareSigner tsa_signer_;
  FixedClock clock_;
  SystemRandom random_;
  std::uint64_t number_ = 0;
  std::vector<Crl> lists_;
  SignatureServices services_;
};

TEST_F(Levels, OfCmsAreNamedForWhatTheyProve) {
  const Bytes basic = sign_text();
  for (const SignatureLevel level :
       {SignatureLevel::b_b, SignatureLevel::b_t, SignatureLevel::b_lt, SignatureLevel::b_lta}) {
    const Report report = verify(raise(basic, level));
    ASSERT_TRUE(report.passed()) << words(report);
    EXPECT_EQ(report.signatures.front().level, "CAdES-" + std::string(name_of(level))) << words(report);
    EXPECT_EQ(report.signatures.front().best_signature_time.has_value(), level >= SignatureLevel::b_t);
  }
  // Step by step comes to the same; an enveloping one too.
  Bytes step = raise(basic, SignatureLevel::b_t);
  step = raise(step, SignatureLevel::b_lt);
  step = raise(step, SignatureLevel::b_lta);
  EXPECT_EQ(verify(step).signatures.front().level, "CAdES-B-LTA") << words(verify(step));
  const Bytes inside = must(raise_cms(sign_text(CmsForm::enveloping), nullptr, SignatureLevel::b_lta, services_));
  EXPECT_EQ(verify(inside, {}, false).signatures.front().level, "CAdES-B-LTA") << words(verify(inside, {}, false));
}

TEST_F(Levels, ATimeStampOutlivesTheCertificate) {
  const Bytes basic = sign_text();
  const Bytes stamped = raise(basic, SignatureLevel::b_t);
  const Time later = must(parse_time("2029-06-01"));  // the citizen's certificate has expired, the authority's has not
  EXPECT_EQ(verify(basic, later).signatures.front().sub_indication, SubIndication::out_of_bounds_no_poe);
  const Report report = verify(stamped, later);
  EXPECT_TRUE(report.passed()) << words(report);
  EXPECT_EQ(report.signatures.front().best_signature_time, test_time());
}

TEST_F(Levels, RevocationCountsUnlessATimeStampIsOlder) {
  const Bytes before = raise(sign_text(), SignatureLevel::b_t);
  clock_.advance(std::chrono::hours(48));
  revoke({the_citizen(clock_.now() - std::chrono::hours(2))});
  ValidationEvidence evidence;
  evidence.crls = lists_;
  const auto verdict = [&](const Bytes& signature) {
    MemoryContent content(kText);
    return verify_cms(signature, &content, trust(), {.at = clock_.now(), .evidence = &evidence});
  };
  EXPECT_TRUE(verdict(before).passed()) << words(verdict(before));
  const Report after = verdict(raise(sign_text(), SignatureLevel::b_t));
  EXPECT_EQ(after.verdict, Verdict::indeterminate);
  EXPECT_EQ(after.signatures.front().sub_indication, SubIndication::revoked_no_poe) << words(after);
}

TEST_F(Levels, AnArchiveTimeStampIsRenewed) {
  Bytes signature = raise(sign_text(), SignatureLevel::b_lta);
  clock_.advance(std::chrono::hours(24 * 365));
  revoke({});
  signature = raise(signature, SignatureLevel::b_lta);
  const Report report = verify(signature);
  EXPECT_TRUE(report.passed()) << words(report);
  EXPECT_EQ(report.signatures.front().best_signature_time, test_time()) << words(report);
}

TEST_F(Levels, WhatAnArchiveTimeStampCoversCannotGo) {
  const Bytes good = raise(sign_text(), SignatureLevel::b_lta);
  std::size_t unnoticed = 0;
  for (std::size_t at = 0; at < good.size(); at += 37) {
    Bytes changed = good;
    changed[at] ^= 0x01;
    const Report report = verify(changed);
    if (report.passed() && report.signatures.front().level == "CAdES-B-LTA" &&
        report.signatures.front().findings.size() <= verify(good).signatures.front().findings.size()) {
      ++unnoticed;
    }
  }
  // The archive token's own spare certificate may be spoilt without harm: the same one stands in the signature.
  EXPECT_LT(unnoticed, good.size() / 37 / 8);
}

TEST_F(Levels, OfPdfAreNamedForWhatTheyProve) {
  for (const SignatureLevel level :
       {SignatureLevel::b_b, SignatureLevel::b_t, SignatureLevel::b_lt, SignatureLevel::b_lta}) {
    const Bytes file = sign_pdf(level);
    const Report report = verify_file(file);
    ASSERT_TRUE(report.passed()) << words(report);
    EXPECT_EQ(report.signatures.front().level, "PAdES-" + std::string(name_of(level))) << words(report);
    EXPECT_EQ(report.signatures.size(), level == SignatureLevel::b_lta ? 2u : 1u);
    EXPECT_EQ(report.integrity(), Integrity::intact);
  }
}

TEST_F(Levels, APdfIsRenewedAndOutlivesItsCertificates) {
  Bytes file = sign_pdf(SignatureLevel::b_lta);
  clock_.advance(std::chrono::hours(24 * 365));
  revoke({});
  PdfFile opened = must(PdfFile::open(file));
  must(raise_pades(opened, SignatureLevel::b_lta, services_));
  file = to_bytes(opened.octets());
  const Report report = verify_file(file, must(parse_time("2029-06-01")));
  ASSERT_EQ(report.signatures.size(), 3u) << words(report);
  EXPECT_TRUE(report.passed()) << words(report);
  EXPECT_EQ(report.signatures.front().changes_after, ChangesAfter::allowed);
  EXPECT_EQ(report.signatures.front().best_signature_time, test_time());
}

TEST_F(Levels, FurtherSignersAndCounterSignatures) {
  TestCentre other(KeyType::rsa_2048, KeyType::p256);
  MemoryContent content(kText);
  const Bytes second = must(sign_cms(other.citizen, content, {.signing_time = clock_.now()}));
  const Bytes joined = must(join_cms(sign_text(), second));
  const Bytes countered = must(counter_sign_cms(joined, 0, other.citizen, clock_.now()));
  MemoryContent again(kText);
  const TrustMaterial both{.anchors = {centre_.root, other.root}, .intermediates = {}};
  const Report report = verify_cms(countered, &again, both, {.at = clock_.now()});
  ASSERT_EQ(report.signatures.size(), 3u) << words(report);
  EXPECT_TRUE(report.passed()) << words(report);
  const auto counters = std::count_if(report.signatures.begin(), report.signatures.end(),
                                      [](const auto& one) { return one.role == SignatureRole::counter_signature; });
  EXPECT_EQ(counters, 1);
  EXPECT_EQ(join_cms(sign_text(), sign_text(CmsForm::enveloping)).error().kind, ErrorKind::usage);
}

TEST_F(Levels, NeedTheirServices) {
  PdfFile file = must(PdfFile::open(to_bytes(as_bytes(testing::plain_pdf()))));
  EXPECT_EQ(sign_pades(file, centre_.citizen, {.level = SignatureLevel::b_t}).error().kind, ErrorKind::usage);
  EXPECT_EQ(raise_cms(sign_text(), nullptr, SignatureLevel::b_t, {}).error().kind, ErrorKind::usage);
  services_.revocation = nullptr;
  EXPECT_EQ(raise_cms(sign_text(), nullptr, SignatureLevel::b_lt, services_).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace karta::crypto
