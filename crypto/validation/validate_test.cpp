#include "crypto/validation/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "crypto/validation/validation_testing.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using namespace testing;

// --- what is signed here verifies here ---

class EverySigner : public ::testing::TestWithParam<AlgorithmId> {};
INSTANTIATE_TEST_SUITE_P(Cms, EverySigner,
                         ::testing::Values(AlgorithmId::rsa_pkcs1_sha256, AlgorithmId::rsa_pkcs1_sha512,
                                           AlgorithmId::rsa_pss_sha256, AlgorithmId::rsa_pss_sha384,
                                           AlgorithmId::ecdsa_sha256, AlgorithmId::ecdsa_sha384, AlgorithmId::ed25519),
                         [](const auto& one) {
                           std::string name(row_of(one.param).name);
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(EverySigner, VerifiesDetachedAndEnveloping) {
  const AlgorithmRow& row = row_of(GetParam());
  const KeyType type = row.family == KeyFamily::rsa  ? KeyType::rsa_2048
                       : row.family == KeyFamily::ec ? KeyType::p384
                                                     : KeyType::ed25519;
  TestCentre own(type, KeyType::p256);
  const TrustMaterial material{.anchors = {own.root}, .intermediates = {}};
  const Bytes detached = sign(kText, CmsForm::detached, own.citizen, GetParam());
  const Bytes enveloping = sign(kText, CmsForm::enveloping, own.citizen, GetParam());
  EXPECT_EQ(must(SignedData::parse(detached)).was_der, true);
  for (const Report& report : {verify(detached, kText, material), verify(enveloping, std::nullopt, material)}) {
    ASSERT_TRUE(report.passed()) << words(report);
    const SignatureReport& one = report.signatures.front();
    EXPECT_EQ(one.integrity, Integrity::intact);
    EXPECT_EQ(one.level, "CAdES-B-B");
    EXPECT_EQ(one.algorithm, row.name);
    EXPECT_EQ(one.digest, row_of(row.hash).name);
    EXPECT_EQ(one.claimed_signing_time, test_time());
    EXPECT_EQ(one.signer_display, "Примеров Образец");
    EXPECT_EQ(one.chain.size(), 3u);
    EXPECT_EQ(one.first_fault(), nullptr);
    EXPECT_TRUE(has(one, "revocation-not-checked"));
    EXPECT_EQ(one.findings.size(), 1u) << words(report);
  }
  EXPECT_EQ(verify(enveloping, std::nullopt, material).content, kText);
}

TEST(Sign, RefusesWhatItCannotVouchFor) {
  MemoryContent source(kText);
  SoftwareSigner bare(testing::copy_of(test_key(KeyType::p256)));
  EXPECT_EQ(sign_cms(bare, source, {}).error().kind, ErrorKind::not_found);
  SoftwareSigner stranger(testing::copy_of(test_key(KeyType::p384)), {centre().citizen_certificate.der()});
  EXPECT_EQ(sign_cms(stranger, source, {}).error().kind, ErrorKind::usage);
  EXPECT_EQ(sign_cms(centre().citizen, source, {.algorithm = AlgorithmId::rsa_pss_sha256}).error().kind,
            ErrorKind::usage);
  EXPECT_EQ(sign_cms(centre().citizen, source, {.algorithm = AlgorithmId::ecdsa_sha1}).error().kind, ErrorKind::usage);
  CallbackContent broken([](MutableByteView) -> Result<std::size_t> { return fail(ErrorKind::io, "torn"); });
  EXPECT_EQ(sign_cms(centre().citizen, broken, {}).error().message, "torn");
  EXPECT_EQ(sign_cms(centre().citizen, source, {.form = CmsForm::enveloping, .most_enveloped_octets = 3}).error().kind,
            ErrorKind::limit);
}

// What TR-03110 and RFC 5652 §5.3 ask for, and nothing that costs octets besides.
TEST(SignCms, WithTheLeastAttributes) {
  MemoryContent source(kText);
  const Bytes least = must(sign_cms(centre().citizen, source, {.least_attributes = true}));
  const SignedData data = must(SignedData::parse(least));
  ASSERT_TRUE(data.signers.front().signed_attributes);
  std::vector<std::string> oids;
  for (const CmsAttribute& one : data.signers.front().signed_attributes->list) oids.push_back(one.oid);
  EXPECT_EQ(oids, (std::vector<std::string>{std::string(cms::kContentTypeOid), std::string(cms::kMessageDigestOid)}));
  const Report report = verify(least, kText);
  EXPECT_TRUE(report.passed()) << words(report);
  EXPECT_FALSE(report.signatures.front().claimed_signing_time);
  EXPECT_EQ(report.signatures.front().level.find("CAdES"), std::string::npos)
      << "no CAdES without its certificate's hash";
  MemoryContent again(kText);
  const Bytes whole = must(sign_cms(centre().citizen, again, {}));
  EXPECT_GT(whole.size(), least.size() + 100);
}

// --- any one octet changed ---

void change_every_octet(const Bytes& signature, std::optional<ByteView> content, const TrustMaterial& material) {
  const Report before = verify(signature, content, material);
  ASSERT_TRUE(before.passed()) << words(before);
  const std::size_t remarks = before.signatures.front().findings.size();
  std::size_t tolerated = 0;
  for (std::size_t i = 0; i < signature.size(); ++i) {
    for (const std::uint8_t flip : {0x01, 0x02, 0x80}) {
      Bytes changed = signature;
      changed[i] ^= flip;
      const Report report = verify(changed, content, material);
      for (const SignatureReport& one : report.signatures) {
        if (one.passed()) {
          // Outside what is signed, and said so.
          ++tolerated;
          EXPECT_GT(one.findings.size(), remarks) << "octet " << i << "\n" << words(report);
        } else {
          ASSERT_NE(one.first_fault(), nullptr) << "octet " << i;
          EXPECT_FALSE(one.first_fault()->message.empty());
        }
      }
    }
  }
  EXPECT_LT(tolerated, signature.size());
  if (!content) return;
  for (std::size_t i = 0; i < content->size(); ++i) {
    Bytes changed = to_bytes(*content);
    changed[i] ^= 0x01;
    expect_fault(verify(signature, changed, material), Verdict::total_failed, SubIndication::hash_failure,
                 "message-digest-mismatch");
  }
}

TEST(AnyOneOctetChanged, DetachedIsNoticed) {
  change_every_octet(sign(kText, CmsForm::detached, centre().citizen), kText, trust());
}
TEST(AnyOneOctetChanged, EnvelopingIsNoticed) {
  change_every_octet(sign(kText, CmsForm::enveloping, centre().citizen), std::nullopt, trust());
}
TEST(AnyOneOctetChanged, RsaIsNoticed) {
  TestCentre own(KeyType::rsa_2048, KeyType::p256);
  change_every_octet(sign(kText, CmsForm::detached, own.citizen), kText, {.anchors = {own.root}, .intermediates = {}});
}
// Here the CA's certificate in the file may be spoilt without harm, for another copy is at hand: it must be mentioned.
TEST(AnyOneOctetChanged, SpoiltSpareCertificatesAreMentioned) {
  change_every_octet(sign(kText, CmsForm::detached, centre().citizen), kText,
                     {.anchors = {centre().root}, .intermediates = {centre().ca}});
}

TEST(AnyOneOctetChanged, ACutOrLongerFileIsNoticed) {
  const Bytes good = sign(kText, CmsForm::detached, centre().citizen);
  for (std::size_t size = 0; size < good.size(); ++size) {
    expect_fault(verify(ByteView(good).first(size), kText), Verdict::total_failed, SubIndication::format_failure,
                 "unparsable");
  }
  Bytes longer = good;
  longer.push_back(0);
  expect_fault(verify(longer, kText), Verdict::total_failed, SubIndication::format_failure, "unparsable");
  EXPECT_THAT(words(verify(longer, kText)), HasSubstr("1 octets too many at offset " + std::to_string(good.size())));
}

TEST(Trust, ThreeAnswers) {
  const Bytes good = sign(kText, CmsForm::detached, centre().citizen);
  expect_fault(verify(good, kText, {}), Verdict::indeterminate, SubIndication::no_certificate_chain_found,
               "no-trust-data");
  EXPECT_EQ(verify(good, kText, {}).signatures.front().integrity, Integrity::intact);
  TestCentre own(KeyType::p384, KeyType::p384);
  SoftwareSigner alone(testing::copy_of(test_key(KeyType::p384)), {own.citizen_certificate.der()});
  expect_fault(verify(sign(kText, CmsForm::detached, alone), kText, {.anchors = {own.root}, .intermediates = {}}),
               Verdict::indeterminate, SubIndication::no_certificate_chain_found, "not-trusted");
  EXPECT_TRUE(verify(sign(kText, CmsForm::detached, alone), kText, {.anchors = {own.root}, .intermediates = {own.ca}})
                  .passed());
}

TEST(Trust, DatesCount) {
  const Bytes good = sign(kText, CmsForm::detached, centre().citizen);
  expect_fault(verify(good, kText, trust(), must(parse_time("2030-01-01"))), Verdict::indeterminate,
               SubIndication::out_of_bounds_no_poe, "certificate-expired");
  const Report early = verify(good, kText, trust(), must(parse_time("2025-06-01")));
  // It exists now, before the certificate was issued: that is proof.
  expect_fault(early, Verdict::total_failed, SubIndication::not_yet_valid, "certificate-not-yet-valid");
  EXPECT_TRUE(has(early.signatures.front(), "signing-time-in-future"));
}

TEST(Trust, KeysForOtherPurposesDoNotSign) {
  std::string encrypting = testing::kCitizenProfile;
  const std::string usage = "[\"digitalSignature\", \"nonRepudiation\"]";
  encrypting.replace(encrypting.find(usage), usage.size(), "[\"keyAgreement\"]");
  SoftwareSigner wrong(testing::copy_of(test_key(KeyType::p256)),
                       {centre().issue(test_key(KeyType::p256).public_key(), encrypting).der(), centre().ca.der()});
  expect_fault(verify(sign(kText, CmsForm::detached, wrong), kText), Verdict::indeterminate,
               SubIndication::chain_constraints_failure, "key-usage");
}

TEST(Report, AFileWithoutSignersSaysSo) {
  const Bytes empty =
      der::sequence({der::oid("1.2.840.113549.1.7.2"),
                     make_tlv(der::context(0), der::sequence({der::integer(1), make_tlv(der::kSet, ByteView{}),
                                                              der::sequence({der::oid(cms::kDataOid)}),
                                                              make_tlv(der::kSet, ByteView{})}))});
  expect_fault(verify(empty, kText), Verdict::total_failed, SubIndication::format_failure, "no-signer");
  const Bytes enveloped = der::sequence({der::oid("1.2.840.113549.1.7.3"), make_tlv(der::context(0), der::null())});
  expect_fault(verify(enveloped, kText), Verdict::total_failed, SubIndication::format_failure, "unparsable");
}

TEST(Report, OneReportServesManyThreads) {
  const Bytes good = sign(kText, CmsForm::detached, centre().citizen);
  const TrustMaterial material = trust();
  std::atomic<int> passed = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 25; ++j) passed += verify(good, kText, material).passed() ? 1 : 0;
    });
  }
  for (std::thread& one : threads) one.join();
  EXPECT_EQ(passed, 100);
}

TEST(Limits, NestingWithoutEndIsCutOff) {
  Bytes deep;
  for (int i = 0; i < 100'000; ++i) append(deep, *from_hex("3080"));
  expect_fault(verify(deep, kText), Verdict::total_failed, SubIndication::format_failure, "unparsable");
  EXPECT_EQ(SignedData::parse(deep).error().kind, ErrorKind::limit);
}

TEST(Limits, TooManySignersAreRefused) {
  const Bytes good = sign(kText, CmsForm::detached, centre().citizen);
  CmsLimits limits;
  limits.signers = 0;
  EXPECT_EQ(SignedData::parse(good, limits).error().kind, ErrorKind::limit);
  limits = {};
  limits.certificates = 1;
  EXPECT_EQ(SignedData::parse(good, limits).error().kind, ErrorKind::limit);
  limits = {};
  limits.attributes = 4;
  EXPECT_EQ(SignedData::parse(good, limits).error().kind, ErrorKind::limit);
}

TEST(Signing, MemoryDoesNotGrowWithADetachedContent) {
  // 256 MiB through a callback; what is held at once is the hasher's buffer.
  std::size_t left = std::size_t{256} << 20;
  std::size_t most = 0;
  const auto read = [&](MutableByteView buffer) -> Result<std::size_t> {
    most = std::max(most, buffer.size());
    const std::size_t count = std::min(left, buffer.size());
    left -= count;
    return count;
  };
  CallbackContent source(read);
  const Bytes signature = must(sign_cms(centre().citizen, source, {.signing_time = test_time()}));
  EXPECT_LT(signature.size(), 8192u);
  EXPECT_LE(most, 1u << 20);
  left = std::size_t{256} << 20;
  CallbackContent again(read);
  const Report report = verify_cms(signature, &again, trust(), {.at = test_time()});
  EXPECT_TRUE(report.passed()) << words(report);
}

}  // namespace
}  // namespace karta::crypto
