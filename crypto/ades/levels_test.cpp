// The baseline levels above B-B, of CMS and PDF signatures, with a time-stamp authority and revocation lists of the
// test's own; and further signers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "crypto/ades/cades.h"
#include "crypto/ades/pades.h"
#include "crypto/ades/pdf_testing.h"
#include "crypto/ades/testing_services.h"
#include "crypto/cms/sign.h"
#include "crypto/cms/signed_data.h"
#include "crypto/validation/verify_pdf.h"

namespace karta::crypto {
namespace {

using testing::must;
using testing::test_time;
using testing::TestCentre;
using testing::TestServices;

const Bytes kText = to_bytes(as_bytes("I hereby agree.\n"));

/// A centre with a time-stamp authority, whose clock the test moves, and lists of root and issuing CA.
class Levels : public ::testing::Test {
 protected:
  CrlContent::Revoked the_citizen(Time at) {
    return {.serial = centre_.citizen_certificate.serial(), .revoked_at = at};
  }

  Bytes sign_text(CmsForm form = CmsForm::detached) {
    MemoryContent content(kText);
    return must(sign_cms(centre_.citizen, content, {.form = form, .signing_time = clock_.now()}));
  }
  Bytes raise(const Bytes& signature, SignatureLevel level) {
    MemoryContent content(kText);
    const bool inside = must(SignedData::parse(signature)).has_content;
    return must(raise_cms(signature, inside ? nullptr : &content, level, services_));
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
  TestServices authorities_{centre_};
  FixedClock& clock_ = authorities_.clock();
  SignatureServices services_ = authorities_.services();
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
  authorities_.revoke({the_citizen(clock_.now() - std::chrono::hours(2))});
  ValidationEvidence evidence;
  evidence.crls = authorities_.lists();
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
  authorities_.revoke({});
  signature = raise(signature, SignatureLevel::b_lta);
  const Report report = verify(signature);
  EXPECT_TRUE(report.passed()) << words(report);
  EXPECT_EQ(report.signatures.front().best_signature_time, test_time()) << words(report);
}

/// Everything a report says.
std::string all_said(const Report& report) {
  std::string out;
  for (const SignatureReport& one : report.signatures) {
    out += std::string(name_of(one.verdict)) + std::string(name_of(one.sub_indication)) + one.level + one.signer +
           std::string(name_of(one.integrity));
    if (one.best_signature_time) out += format_time(*one.best_signature_time);
    if (one.claimed_signing_time) out += format_time(*one.claimed_signing_time);
    for (const Finding& finding : one.findings) out += finding.code + finding.message;
  }
  return out;
}

/// Where certificates stand that no signature covers and none needs: those that time-stamp tokens of `signature` bring
/// along, which the signature has too, and those of which the report says that they have no part in the path.
std::vector<std::pair<std::size_t, std::size_t>> spare_certificates(const Bytes& signature, const Report& report) {
  std::vector<std::pair<std::size_t, std::size_t>> out;
  const SignedData data = must(SignedData::parse(signature));
  const auto add = [&](const SignedData& around, std::size_t begin) {
    for (const CmsCertificate& one : around.certificates) {
      out.emplace_back(begin + one.offset, begin + one.offset + one.whole.size());
    }
  };
  for (const CmsSigner& signer : data.signers) {
    if (!signer.unsigned_attributes) continue;
    for (const CmsAttribute& attribute : signer.unsigned_attributes->list) {
      for (const Bytes& value : attribute.values) {
        const auto at = std::search(signature.begin(), signature.end(), value.begin(), value.end());
        if (const auto token = SignedData::parse(value)) add(*token, static_cast<std::size_t>(at - signature.begin()));
      }
    }
  }
  for (const CmsCertificate& one : data.certificates) {
    const auto& findings = report.signatures.front().findings;
    const bool said_spare = std::any_of(findings.begin(), findings.end(), [&](const Finding& finding) {
      return finding.code == "certificate-unused" && finding.offset == one.offset;
    });
    if (said_spare) out.emplace_back(one.offset, one.offset + one.whole.size());
  }
  return out;
}

// One bit changed, in every octet by turns: something else is said of the signature, or the bit stands in a spare
// certificate.
TEST_F(Levels, EveryChangedBitIsNoticed) {
  for (const CmsForm form : {CmsForm::detached, CmsForm::enveloping}) {
    const bool detached = form == CmsForm::detached;
    for (const SignatureLevel level :
         {SignatureLevel::b_b, SignatureLevel::b_t, SignatureLevel::b_lt, SignatureLevel::b_lta}) {
      const Bytes good = raise(sign_text(form), level);
      const Report before = verify(good, {}, detached);
      ASSERT_TRUE(before.passed());
      const auto spare = spare_certificates(good, before);
      const std::string said = all_said(before);
      std::size_t passed_with_words = 0, in_spare = 0;
      // A prime, so that the bits and the places of the values go through all combinations.
      for (std::size_t at = level == SignatureLevel::b_b ? 0 : 3; at < good.size();
           at += level == SignatureLevel::b_b ? 1 : 17) {
        Bytes changed = good;
        changed[at] ^= static_cast<std::uint8_t>(1u << at % 8);
        const Report report = verify(changed, {}, detached);
        if (all_said(report) != said) {
          passed_with_words += report.passed() ? 1 : 0;
          continue;
        }
        const bool outside = std::any_of(spare.begin(), spare.end(),
                                         [&](const auto& one) { return at >= one.first && at < one.second; });
        EXPECT_TRUE(outside) << name_of(level) << (detached ? " detached" : " enveloping") << ", octet " << at << " of "
                             << good.size() << " changed unnoticed: " << to_hex(ByteView(good).subspan(at - 12, 24));
        ++in_spare;
      }
      std::printf("%-6s %-10s %5zu octets; passed, and said: %zu; in a spare certificate: %zu\n",
                  std::string(name_of(level)).c_str(), detached ? "detached" : "enveloping", good.size(),
                  passed_with_words, in_spare);
    }
  }
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
    for (const SignatureReport& one : report.signatures) {
      EXPECT_EQ(one.algorithm, one.role == SignatureRole::timestamp ? "ecdsa-sha384" : "ecdsa-sha256") << one.level;
      EXPECT_EQ(one.digest, "sha256") << one.level;
    }
  }
}

TEST_F(Levels, APdfIsRenewedAndOutlivesItsCertificates) {
  Bytes file = sign_pdf(SignatureLevel::b_lta);
  clock_.advance(std::chrono::hours(24 * 365));
  authorities_.revoke({});
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
