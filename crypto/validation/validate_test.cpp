#include "crypto/validation/validate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/sign.h"
#include "crypto/cms/signed_data.h"
#include "crypto/digest.h"
#include "crypto/testing.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using testing::test_key;
using testing::test_time;
using testing::TestCentre;

const Bytes kText = to_bytes(as_bytes("I hereby agree.\n"));

TestCentre& centre() {
  static TestCentre one(KeyType::p256, KeyType::p256);
  return one;
}

TrustMaterial trust() { return {.anchors = {centre().root}, .intermediates = {}}; }

Bytes sign(ByteView content, CmsForm form, Signer& signer, std::optional<AlgorithmId> algorithm = {}) {
  MemoryContent source(content);
  return must(sign_cms(signer, source, {.form = form, .signing_time = test_time(), .algorithm = algorithm}));
}

Report verify(ByteView signature, std::optional<ByteView> content, const TrustMaterial& material = trust(),
              Time at = test_time()) {
  if (!content) return verify_cms(signature, nullptr, material, {.at = at, .keep_content = true});
  MemoryContent source(*content);
  return verify_cms(signature, &source, material, {.at = at});
}

std::string words(const Report& report) {
  std::string out;
  for (const SignatureReport& one : report.signatures) {
    out += std::string(name_of(one.verdict)) + " " + std::string(name_of(one.sub_indication)) + " " +
           std::string(name_of(one.integrity)) + "\n";
    for (const Finding& finding : one.findings) {
      out += std::string(name_of(finding.severity)) + " " + finding.code + ": " + finding.message + "\n";
    }
  }
  return out;
}

bool has(const SignatureReport& report, std::string_view code) {
  return std::any_of(report.findings.begin(), report.findings.end(), [&](const Finding& f) { return f.code == code; });
}

void expect_fault(const Report& report, Verdict verdict, SubIndication sub, std::string_view code) {
  ASSERT_EQ(report.signatures.size(), 1u);
  const SignatureReport& one = report.signatures.front();
  EXPECT_EQ(one.verdict, verdict) << words(report);
  EXPECT_EQ(report.verdict, verdict);
  EXPECT_EQ(name_of(one.sub_indication), name_of(sub)) << words(report);
  ASSERT_NE(one.first_fault(), nullptr);
  EXPECT_EQ(one.first_fault()->code, code) << words(report);
}

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

// --- forged and careless files ---

/// A SignedData put together by hand, signed by the citizen's key unless said otherwise.
struct Forgery {
  Bytes content = kText;
  bool inside = false;
  std::string content_type = std::string(cms::kDataOid);
  Bytes certificate = centre().citizen_certificate.der();
  Hash digest_hash = Hash::sha256;
  AlgorithmId algorithm = AlgorithmId::ecdsa_sha256;
  std::vector<Bytes> extra_attributes;
  std::optional<std::vector<Bytes>> attributes;  // instead of the usual ones
  bool without_attributes = false;
  bool reverse = false;          // attributes in descending order in the file, signed over their DER form
  bool sign_as_written = false;  // signed over the order in the file
  Bytes unsigned_attributes;
  Bytes announced = encode_digest_algorithm(Hash::sha256);
  std::vector<Bytes> more_certificates = {centre().ca.der()};
  unsigned signer_version = 1;
  std::uint64_t version = 1;
  std::optional<Bytes> value;  // a signature value from elsewhere

  static Bytes attribute(std::string_view oid, ByteView value) {
    return der::sequence({der::oid(oid), make_tlv(der::kSet, value)});
  }
  std::vector<Bytes> usual() const {
    return {attribute(cms::kContentTypeOid, der::oid(cms::kDataOid)),
            attribute(cms::kMessageDigestOid, der::octet_string(digest(digest_hash, content)))};
  }
  Bytes make() const {
    std::vector<Bytes> list = attributes.value_or(usual());
    list.insert(list.end(), extra_attributes.begin(), extra_attributes.end());
    const Bytes sorted = der::set_of(list);
    Bytes written = sorted;
    if (reverse) {
      std::sort(list.rbegin(), list.rend());
      Bytes joined;
      for (const Bytes& one : list) append(joined, one);
      written = make_tlv(der::kSet, joined);
    }
    const Bytes& covered = sign_as_written ? written : sorted;
    const Bytes signature =
        value ? *value : must(centre().citizen.sign_message(algorithm, without_attributes ? content : covered));
    const Certificate parsed = must(Certificate::from_der(certificate));
    Bytes implicit = written;
    implicit[0] = 0xA0;
    const Bytes signer_id = der::sequence({parsed.issuer().der(), make_tlv(der::kInteger, parsed.serial())});
    const Bytes info = der::sequence({der::integer(signer_version), signer_id, encode_digest_algorithm(digest_hash),
                                      without_attributes ? Bytes{} : implicit, encode_signature_algorithm(algorithm),
                                      der::octet_string(signature), unsigned_attributes});
    Bytes bag = certificate;
    for (const Bytes& one : more_certificates) append(bag, one);
    const Bytes body = inside ? make_tlv(der::context(0), der::octet_string(content)) : Bytes{};
    return der::sequence(
        {der::oid("1.2.840.113549.1.7.2"),
         make_tlv(der::context(0), der::sequence({der::integer(version), make_tlv(der::kSet, announced),
                                                  der::sequence({der::oid(std::string_view(content_type)), body}),
                                                  make_tlv(der::context(0), bag), make_tlv(der::kSet, info)}))});
  }
};

TEST(Refused, ThePlainForgeryIsAValidSignature) {
  const Report report = verify(Forgery{}.make(), kText);
  EXPECT_TRUE(report.passed()) << words(report);
  EXPECT_EQ(report.signatures.front().level, "CMS");
}

TEST(Refused, ContentInsideAndBeside) {
  const Bytes enveloping = sign(kText, CmsForm::enveloping, centre().citizen);
  expect_fault(verify(enveloping, kText), Verdict::total_failed, SubIndication::format_failure, "content-twice");
  expect_fault(verify(enveloping, as_bytes("another")), Verdict::total_failed, SubIndication::format_failure,
               "content-twice");
}

TEST(Refused, NoContentAtAll) {
  const Report report = verify(sign(kText, CmsForm::detached, centre().citizen), std::nullopt);
  expect_fault(report, Verdict::indeterminate, SubIndication::signed_data_not_found, "content-missing");
  EXPECT_EQ(report.signatures.front().integrity, Integrity::unchecked);
}

TEST(Refused, AnotherCertificateUnderTheSameSignature) {
  // The same key, issuer and serial number: only the signing-certificate attribute tells them apart.
  const FixedClock clock(test_time());
  SystemRandom random;
  const CertificateRequest request{
      .subject = must(NameBuilder().add("CN", "Somebody Else").add("SNILS", "11111111111").build()),
      .public_key = centre().citizen.public_key(),
      .serial = centre().citizen_certificate.serial(),
      .status_index = 9};
  const Certificate other = must(issue_certificate(must(CertificateProfile::from_toml(testing::kCitizenProfile)),
                                                   request, centre().ca, centre().ca_signer, clock, random));
  const Bytes good = sign(kText, CmsForm::detached, centre().citizen);
  const Bytes& mine = centre().citizen_certificate.der();
  const auto at = std::search(good.begin(), good.end(), mine.begin(), mine.end());
  ASSERT_NE(at, good.end());

  Forgery forgery;
  forgery.certificate = other.der();
  const SignedData signed_data = must(SignedData::parse(good));
  forgery.attributes.emplace();
  for (const CmsAttribute& one : signed_data.signers.front().signed_attributes->list) {
    forgery.attributes->push_back(Forgery::attribute(one.oid, one.values.front()));
  }
  const Report report = verify(forgery.make(), kText);
  expect_fault(report, Verdict::indeterminate, SubIndication::no_signing_certificate_found,
               "signing-certificate-mismatch");
  // Without the attribute the swap cannot be seen: that is why CAdES has it.
  forgery.attributes.reset();
  EXPECT_TRUE(verify(forgery.make(), kText).passed());
}

TEST(Refused, DuplicateAttributes) {
  Forgery forgery;
  forgery.extra_attributes = {Forgery::attribute("2.999.1", der::null()),
                              Forgery::attribute("2.999.1", der::integer(1))};
  expect_fault(verify(forgery.make(), kText), Verdict::total_failed, SubIndication::format_failure,
               "duplicate-attribute");
  Forgery two_values;
  two_values.attributes = {
      {two_values.usual()[0],
       der::sequence({der::oid(cms::kMessageDigestOid),
                      der::set_of({der::octet_string(digest(Hash::sha256, kText)), der::octet_string(Bytes(32))})})}};
  expect_fault(verify(two_values.make(), kText), Verdict::total_failed, SubIndication::format_failure,
               "message-digest");
}

TEST(Refused, MissingOrWrongAttributes) {
  Forgery no_digest;
  no_digest.attributes = {{no_digest.usual()[0]}};
  expect_fault(verify(no_digest.make(), kText), Verdict::total_failed, SubIndication::format_failure, "message-digest");
  Forgery no_type;
  no_type.attributes = {{no_type.usual()[1]}};
  expect_fault(verify(no_type.make(), kText), Verdict::total_failed, SubIndication::format_failure, "content-type");
  Forgery other_type;
  other_type.content_type = "2.999.3";
  other_type.version = 3;
  expect_fault(verify(other_type.make(), kText), Verdict::total_failed, SubIndication::format_failure, "content-type");
  other_type.without_attributes = true;
  expect_fault(verify(other_type.make(), kText), Verdict::total_failed, SubIndication::format_failure, "content-type");
}

// Whoever signs an empty message-digest would have signed every content there is.
TEST(Refused, AMessageDigestOfAnotherLength) {
  for (const std::size_t octets : {0u, 1u, 31u, 33u}) {
    Forgery forgery;
    Bytes digest_of_text = digest(Hash::sha256, kText);
    digest_of_text.resize(octets);
    forgery.attributes = {
        {forgery.usual()[0], Forgery::attribute(cms::kMessageDigestOid, der::octet_string(digest_of_text))}};
    const Report report = verify(forgery.make(), kText);
    expect_fault(report, Verdict::total_failed, SubIndication::hash_failure, "message-digest-mismatch");
    EXPECT_EQ(report.signatures.front().integrity, Integrity::broken) << octets;
  }
}

// The signature of a letter, its attributes made the content of another file: nobody signed that.
TEST(Refused, AttributesPassedOffAsContent) {
  const Bytes good = sign(kText, CmsForm::detached, centre().citizen);
  const SignedData signed_data = must(SignedData::parse(good));
  const CmsSigner& signer = signed_data.signers.front();
  Forgery forgery;
  forgery.without_attributes = true;
  forgery.content = signer.signed_attributes->der;
  forgery.value = signer.signature;
  expect_fault(verify(forgery.make(), forgery.content), Verdict::total_failed, SubIndication::format_failure,
               "content-is-attributes");
  forgery.inside = true;
  expect_fault(verify(forgery.make(), std::nullopt), Verdict::total_failed, SubIndication::format_failure,
               "content-is-attributes");
  // A plain signature over another content stays what it is.
  Forgery plain;
  plain.without_attributes = true;
  EXPECT_TRUE(verify(plain.make(), kText).passed());
}

TEST(Refused, ADigestUnlikeTheSignature) {
  Forgery forgery;
  forgery.digest_hash = Hash::sha512;
  forgery.announced = encode_digest_algorithm(Hash::sha512);
  expect_fault(verify(forgery.make(), kText), Verdict::total_failed, SubIndication::format_failure,
               "digest-unlike-signature");
  Forgery hidden;
  hidden.announced = encode_digest_algorithm(Hash::sha384);
  expect_fault(verify(hidden.make(), kText), Verdict::total_failed, SubIndication::format_failure,
               "digest-not-announced");
}

TEST(Refused, AlgorithmsOtherThanThoseProtected) {
  Forgery forgery;
  Bytes protected_signature = encode_signature_algorithm(AlgorithmId::ecdsa_sha384);
  protected_signature[0] = 0xA1;
  forgery.extra_attributes = {Forgery::attribute(
      cms::kAlgorithmProtectionOid, der::sequence({encode_digest_algorithm(Hash::sha256), protected_signature}))};
  expect_fault(verify(forgery.make(), kText), Verdict::total_failed, SubIndication::format_failure,
               "algorithm-protection");
}

TEST(Refused, OldHashesByPolicy) {
  Forgery forgery;
  forgery.digest_hash = Hash::sha1;
  forgery.algorithm = AlgorithmId::ecdsa_sha1;
  forgery.announced = encode_digest_algorithm(Hash::sha1);
  const Report report = verify(forgery.make(), kText);
  expect_fault(report, Verdict::indeterminate, SubIndication::crypto_constraints_failure_no_poe, "weak-algorithm");
  EXPECT_EQ(report.signatures.front().integrity, Integrity::intact);
}

TEST(Refused, AttributesOutOfOrderCountInDerOnly) {
  Forgery forgery;
  forgery.reverse = true;
  const Report report = verify(forgery.make(), kText);
  EXPECT_TRUE(report.passed()) << words(report);
  EXPECT_TRUE(has(report.signatures.front(), "signed-attributes-not-der"));
  forgery.sign_as_written = true;
  expect_fault(verify(forgery.make(), kText), Verdict::total_failed, SubIndication::sig_crypto_failure,
               "signature-value");
}

TEST(Refused, WhatIsNotSignedIsMentioned) {
  Forgery forgery;
  forgery.unsigned_attributes = make_tlv(der::context(1), Forgery::attribute("2.999.8", der::null()));
  forgery.more_certificates.push_back(centre().root.der());
  const TestCentre other(KeyType::p256, KeyType::p256);
  forgery.more_certificates.push_back(other.ca.der());
  forgery.more_certificates.push_back(der::sequence({der::integer(1)}));
  forgery.version = 5;
  const Report report = verify(forgery.make(), kText);
  ASSERT_TRUE(report.passed()) << words(report);
  for (const char* code : {"unsigned-attribute", "certificate-unused", "certificate-unreadable"}) {
    EXPECT_TRUE(has(report.signatures.front(), code)) << code << "\n" << words(report);
  }
  forgery.more_certificates.pop_back();
  EXPECT_TRUE(has(verify(forgery.make(), kText).signatures.front(), "version"));
  forgery.signer_version = 3;
  expect_fault(verify(forgery.make(), kText), Verdict::total_failed, SubIndication::format_failure, "unparsable");
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
