// The gallery: what a verifier must refuse of a CMS signature, each made by the test itself, with the finding it must
// name.
#include <gmock/gmock.h>

#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "crypto/validation/validation_testing.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using namespace testing;

// --- files put together by hand ---

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
  const Certificate other = must(issue_certificate(must(CertificateProfile::from_toml(kCitizenProfile)), request,
                                                   centre().ca, centre().ca_signer, clock, random));
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

TEST(Refused, OldHashes) {
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

TEST(Refused, OldHashesByTheirDate) {
  Forgery forgery;
  forgery.digest_hash = Hash::sha1;
  forgery.algorithm = AlgorithmId::ecdsa_sha1;
  forgery.announced = encode_digest_algorithm(Hash::sha1);
  ValidationPolicy policy;
  policy.sunset["sha1"] = must(parse_time("2027-01-01"));
  const auto at = [&](const char* when) {
    return verify(forgery.make(), ByteView(kText), trust(),
                  ValidateOptions{.at = must(parse_time(when)), .policy = &policy});
  };
  EXPECT_TRUE(at("2026-12-31").passed());
  expect_fault(at("2027-01-01"), Verdict::indeterminate, SubIndication::crypto_constraints_failure_no_poe,
               "weak-algorithm");
  // A time-stamp of before that day, with a hash that still stands, carries it over.
  forgery.stamped_at = must(parse_time("2026-10-01"));
  EXPECT_TRUE(at("2027-01-01").passed()) << words(at("2027-01-01"));
}

TEST(Refused, Md5) {
  TestCentre own(KeyType::rsa_2048, KeyType::p256);
  Forgery forgery;
  forgery.signer = &own.citizen;
  forgery.certificate = own.citizen_certificate.der();
  forgery.more_certificates = {own.ca.der()};
  forgery.digest_hash = Hash::md5;
  forgery.algorithm = AlgorithmId::rsa_pkcs1_md5;
  forgery.announced = encode_digest_algorithm(Hash::md5);
  expect_fault(verify(forgery.make(), kText, {.anchors = {own.root}}), Verdict::indeterminate,
               SubIndication::crypto_constraints_failure_no_poe, "weak-algorithm");
}

// --- what pretends to be signed ---

TEST(Refused, UnsignedAttributesPosingAsSigned) {
  const Bytes reference = der::sequence(
      der::sequence(der::sequence({der::octet_string(digest(Hash::sha256, centre().citizen_certificate.der()))})));
  Forgery forgery;
  forgery.unsigned_attributes = make_tlv(
      der::context(1), concat({Forgery::attribute(cms::kSigningTimeOid, der::time(must(parse_time("2026-02-02")))),
                               Forgery::attribute(cms::kSigningCertificateV2Oid, reference)}));
  const Report report = verify(forgery.make(), kText);
  ASSERT_TRUE(report.passed()) << words(report);
  const SignatureReport& one = report.signatures.front();
  EXPECT_EQ(one.level, "CMS");
  EXPECT_FALSE(one.claimed_signing_time.has_value());
  EXPECT_EQ(std::count_if(one.findings.begin(), one.findings.end(),
                          [](const Finding& f) { return f.code == "attribute-not-signed"; }),
            2);
}

TEST(Refused, ATimeStampAmongTheSignedAttributes) {
  Forgery forgery;
  forgery.extra_attributes = {Forgery::attribute(cms::kSignatureTimestampOid, authority().stamp(kText, test_time()))};
  const Report report = verify(forgery.make(), kText);
  EXPECT_TRUE(has(report.signatures.front(), "attribute-misplaced")) << words(report);
  EXPECT_FALSE(report.signatures.front().best_signature_time.has_value());
}

TEST(Refused, ATimeStampOfAnotherSignature) {
  const Bytes other = must(centre().citizen.sign_message(AlgorithmId::ecdsa_sha256, as_bytes("another")));
  Forgery forgery;
  forgery.unsigned_attributes =
      make_tlv(der::context(1), Forgery::attribute(cms::kSignatureTimestampOid, authority().stamp(other, test_time())));
  const Report report = verify(forgery.make(), kText);
  ASSERT_TRUE(report.passed()) << words(report);
  const SignatureReport& one = report.signatures.front();
  EXPECT_TRUE(has(one, "timestamp-broken")) << words(report);
  EXPECT_FALSE(one.best_signature_time.has_value());
  ASSERT_EQ(one.stamps.size(), 1u);
  EXPECT_FALSE(one.stamps.front().holds);
}

TEST(Refused, ACounterSignatureOfAnother) {
  TestCentre other(KeyType::p256, KeyType::p256);
  const TrustMaterial both{.anchors = {centre().root, other.root}};
  const auto value = [] {
    Forgery plain;
    return must(centre().citizen.sign_message(AlgorithmId::ecdsa_sha256, der::set_of(plain.usual())));
  };
  Forgery forgery;
  forgery.value = value();
  CmsSigning countering = must(CmsSigning::prepare(other.citizen, {.counter_signature = true}));
  const Bytes counter = must(countering.sign_info(digest(countering.hash(), *forgery.value), test_time()));
  forgery.unsigned_attributes = make_tlv(der::context(1), Forgery::attribute(cms::kCounterSignatureOid, counter));
  forgery.more_certificates = {centre().ca.der(), other.citizen_certificate.der(), other.ca.der()};
  const Report good = verify(forgery.make(), kText, both);
  ASSERT_TRUE(good.passed()) << words(good);
  ASSERT_EQ(good.signatures.size(), 2u);
  // The same counter-signature, taken to another signature of the same signer over the same text.
  forgery.value = value();
  const Report report = verify(forgery.make(), kText, both);
  ASSERT_EQ(report.signatures.size(), 2u) << words(report);
  EXPECT_TRUE(report.signatures[0].passed());
  EXPECT_EQ(report.signatures[1].role, SignatureRole::counter_signature);
  EXPECT_EQ(report.signatures[1].sub_indication, SubIndication::hash_failure) << words(report);
  EXPECT_EQ(report.verdict, Verdict::total_failed);
}

// --- who signed ---

TEST(Refused, TwoCertificatesOfOneKeyIdentifier) {
  const Certificate& mine = centre().citizen_certificate;
  // Another key under the same identifier: whoever makes certificates chooses what stands there.
  const Certificate other = centre().issue(test_key(KeyType::p384).public_key());
  Bytes disguised = other.der();
  const auto at =
      std::search(disguised.begin(), disguised.end(), other.subject_key_id().begin(), other.subject_key_id().end());
  std::copy(mine.subject_key_id().begin(), mine.subject_key_id().end(), at);
  Forgery forgery;
  forgery.signer_version = 3;
  forgery.version = 3;
  forgery.key_id = mine.subject_key_id();
  forgery.more_certificates = {disguised, centre().ca.der()};
  std::swap(forgery.certificate, forgery.more_certificates.front());
  const Report report = verify(forgery.make(), kText);
  ASSERT_TRUE(report.passed()) << words(report);
  EXPECT_EQ(report.signatures.front().chain.front(), mine);
  // Another certificate for the same key: nothing signed says which of the two was meant.
  const Certificate second = centre().issue(centre().citizen.public_key());
  forgery.more_certificates.push_back(second.der());
  const Report ambiguous = verify(forgery.make(), kText);
  EXPECT_TRUE(has(ambiguous.signatures.front(), "signer-ambiguous")) << words(ambiguous);
}

// --- numbers and shapes ---

TEST(Refused, OversizeNumbersAndLengths) {
  const Bytes good = Forgery{}.make();
  const auto with = [&](std::string_view from_hex_text, std::string_view to_hex_text) {
    const Bytes from = *from_hex(from_hex_text), to = *from_hex(to_hex_text);
    Bytes out = good;
    const auto at = std::search(out.begin(), out.end(), from.begin(), from.end());
    EXPECT_NE(at, out.end());
    std::copy(to.begin(), to.end(), at);
    return out;
  };
  // The outer length: more than there is, and in more octets than any file has.
  for (const char* length : {"3084ffffffff", "3088ffffffffffffffff", "30ff", "3080"}) {
    Bytes file = *from_hex(length);
    append(file, ByteView(good).subspan(4));
    expect_fault(verify(file, kText), Verdict::total_failed, SubIndication::format_failure, "unparsable");
  }
  // version of SignedData and of SignerInfo in nine octets and more.
  for (const unsigned octets : {9u, 200u}) {
    Bytes number(octets, 0x7F);
    const Bytes huge = make_tlv(der::kInteger, number);
    const Bytes file = der::sequence({der::oid("1.2.840.113549.1.7.2"),
                                      make_tlv(der::context(0), der::sequence({huge, make_tlv(der::kSet, ByteView{}),
                                                                               der::sequence({der::oid(cms::kDataOid)}),
                                                                               make_tlv(der::kSet, ByteView{})}))});
    expect_fault(verify(file, kText), Verdict::total_failed, SubIndication::format_failure, "unparsable");
  }
  // An arc of an OID without end.
  expect_fault(verify(with("06092a864886f70d010702", "0609ffffffffffffffffff"), kText), Verdict::total_failed,
               SubIndication::format_failure, "unparsable");
}

// --- values made to look right ---

/// A CMS signature by the citizen of a centre of its own, over kText, with `value` in place of the signature value.
Report with_value(TestCentre& own, AlgorithmId algorithm, Bytes value) {
  Forgery forgery;
  forgery.signer = &own.citizen;
  forgery.certificate = own.citizen_certificate.der();
  forgery.more_certificates = {own.ca.der()};
  forgery.algorithm = algorithm;
  forgery.digest_hash = row_of(algorithm).hash;
  forgery.announced = encode_digest_algorithm(forgery.digest_hash);
  forgery.value = std::move(value);
  return verify(forgery.make(), kText, {.anchors = {own.root}});
}
/// The set of signed attributes a Forgery with this hash has.
Bytes covered_by(Hash hash) {
  Forgery forgery;
  forgery.digest_hash = hash;
  return der::set_of(forgery.usual());
}
void expect_wrong_value(const Report& report) {
  expect_fault(report, Verdict::total_failed, SubIndication::sig_crypto_failure, "signature-value");
  EXPECT_EQ(report.signatures.front().integrity, Integrity::broken);
}

const char* const kP256Order = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

TEST(Refused, EcdsaValuesOfZeroOrUnreduced) {
  const Bytes good = must(centre().citizen.sign_message(AlgorithmId::ecdsa_sha256, covered_by(Hash::sha256)));
  ASSERT_TRUE(with_value(centre(), AlgorithmId::ecdsa_sha256, good).passed());
  der::Reader outer(good);
  der::Reader reader = must(outer.enter(der::kSequence));
  const Bytes r = to_bytes(must(reader.unsigned_integer())), s = to_bytes(must(reader.unsigned_integer()));
  const auto plus_order = [](const Bytes& number) {
    BIGNUM* const a = BN_bin2bn(number.data(), static_cast<int>(number.size()), nullptr);
    BIGNUM* order = nullptr;
    BN_hex2bn(&order, kP256Order);
    BN_add(a, a, order);
    Bytes out(static_cast<std::size_t>(BN_num_bytes(a)));
    BN_bn2bin(a, out.data());
    BN_free(a);
    BN_free(order);
    return out;
  };
  const auto pair = [](ByteView a, ByteView b) {
    return der::sequence({der::unsigned_integer(a), der::unsigned_integer(b)});
  };
  const Bytes zero = {0}, order = *from_hex(kP256Order);
  Bytes negative = make_tlv(der::kInteger, Bytes(32, 0x80)), long_form = good, trailing = good, padded;
  padded = make_tlv(der::kInteger, concat({Bytes(3, 0), r}));
  trailing.push_back(0);
  long_form.insert(long_form.begin() + 1, 0x81);
  for (const Bytes& wrong :
       {pair(zero, zero), pair(r, zero), pair(zero, s), pair(plus_order(r), s), pair(r, plus_order(s)), pair(order, s),
        pair(r, order), der::sequence({negative, der::unsigned_integer(s)}),
        der::sequence({padded, der::unsigned_integer(s)}), long_form, trailing, Bytes{}, der::sequence({zero})}) {
    expect_wrong_value(with_value(centre(), AlgorithmId::ecdsa_sha256, wrong));
  }
}

/// The citizen's certificate for a public key nobody has the private half of.
Report forged_for(const PublicKey& key, AlgorithmId algorithm, Bytes value) {
  Forgery forgery;
  forgery.certificate = centre().issue(key).der();
  forgery.algorithm = algorithm;
  forgery.digest_hash = row_of(algorithm).hash;
  forgery.announced = encode_digest_algorithm(forgery.digest_hash);
  forgery.value = std::move(value);
  return verify(forgery.make(), kText);
}

TEST(Refused, Ed25519KeysOfSmallOrder) {
  // Under the identity as a key, R = identity and S = 0 fit every message.
  Bytes identity(32, 0);
  identity[0] = 1;
  const Bytes anything = concat({identity, Bytes(32, 0)});
  for (const char* point : {"0100000000000000000000000000000000000000000000000000000000000000",
                            "0000000000000000000000000000000000000000000000000000000000000080",
                            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
                            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"}) {
    const auto key = PublicKey::from_point(KeyType::ed25519, *from_hex(point));
    if (!key) continue;  // refused as a key already
    expect_fault(forged_for(*key, AlgorithmId::ed25519, anything), Verdict::total_failed,
                 SubIndication::sig_crypto_failure, "small-order-key");
  }
}

TEST(Refused, Ed25519ValuesUnreduced) {
  TestCentre own(KeyType::ed25519, KeyType::p256);
  const Bytes good = must(own.citizen.sign_message(AlgorithmId::ed25519, covered_by(Hash::sha512)));
  ASSERT_TRUE(with_value(own, AlgorithmId::ed25519, good).passed());
  // S + L is the same number modulo the group's order (RFC 8032 §5.1.7 refuses it).
  const Bytes order = *from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  Bytes more = good;
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    const unsigned sum = more[32 + i] + order[i] + carry;
    more[32 + i] = static_cast<std::uint8_t>(sum);
    carry = sum >> 8;
  }
  expect_wrong_value(with_value(own, AlgorithmId::ed25519, more));
  expect_wrong_value(with_value(own, AlgorithmId::ed25519, Bytes(64, 0)));
  expect_wrong_value(with_value(own, AlgorithmId::ed25519, Bytes(good.begin(), good.end() - 1)));
}

/// 00 01 FF..FF 00 DigestInfo of `covered`, with `padding` octets FF.
Bytes pkcs1_prefix(ByteView covered, std::size_t padding) {
  const Bytes info = der::sequence({der::sequence({der::oid("2.16.840.1.101.3.4.2.1"), der::null()}),
                                    der::octet_string(digest(Hash::sha256, covered))});
  return concat({Bytes{0x00, 0x01}, Bytes(padding, 0xFF), Bytes{0x00}, info});
}

/// The least number whose cube begins as `prefix` does in 256 octets: what Bleichenbacher showed in 2006.
Bytes cube_root_of(const Bytes& prefix) {
  Bytes wanted = prefix;
  wanted.resize(256, 0);
  BN_CTX* const scratch = BN_CTX_new();
  BIGNUM* const target = BN_bin2bn(wanted.data(), 256, nullptr);
  BIGNUM *low = BN_new(), *high = BN_new(), *middle = BN_new(), *cube = BN_new();
  BN_zero(low);
  BN_zero(high);
  BN_set_bit(high, 700);
  while (BN_cmp(low, high) < 0) {
    BN_add(middle, low, high);
    BN_rshift1(middle, middle);
    BN_sqr(cube, middle, scratch);
    BN_mul(cube, cube, middle, scratch);
    if (BN_cmp(cube, target) < 0) {
      BN_copy(low, middle);
      BN_add_word(low, 1);
    } else {
      BN_copy(high, middle);
    }
  }
  Bytes root(256, 0);
  BN_bn2binpad(low, root.data(), 256);
  BN_sqr(cube, low, scratch);
  BN_mul(cube, cube, low, scratch);
  Bytes check(256);
  BN_bn2binpad(cube, check.data(), 256);
  EXPECT_TRUE(std::equal(prefix.begin(), prefix.end(), check.begin()));
  for (BIGNUM* one : {target, low, high, middle, cube}) BN_free(one);
  BN_CTX_free(scratch);
  return root;
}

TEST(Refused, RsaPaddingWithGarbageBehindIt) {
  Bytes modulus = SystemRandom().bytes(256);
  modulus.front() |= 0x80;
  modulus.back() |= 1;
  const PublicKey key = must(PublicKey::from_rsa(modulus, Bytes{3}));
  for (const std::size_t padding : {std::size_t{8}, std::size_t{0}, std::size_t{1}}) {
    const Report report =
        forged_for(key, AlgorithmId::rsa_pkcs1_sha256, cube_root_of(pkcs1_prefix(covered_by(Hash::sha256), padding)));
    expect_wrong_value(report);
    EXPECT_TRUE(has(report.signatures.front(), "weak-algorithm")) << words(report);
  }
}

TEST(Refused, RsaExponentsTooSmall) {
  EVP_PKEY_CTX* const context = EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr);
  BIGNUM* const three = BN_new();
  BN_set_word(three, 3);
  EVP_PKEY* made = nullptr;
  ASSERT_TRUE(EVP_PKEY_keygen_init(context) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1 &&
              EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context, three) == 1 && EVP_PKEY_generate(context, &made) == 1);
  PKCS8_PRIV_KEY_INFO* const info = EVP_PKEY2PKCS8(made);
  std::uint8_t* der = nullptr;
  const int octets = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
  ASSERT_GT(octets, 0);
  SoftwareSigner signer(must(PrivateKey::from_der({der, static_cast<std::size_t>(octets)})));
  OPENSSL_free(der);
  PKCS8_PRIV_KEY_INFO_free(info);
  EVP_PKEY_free(made);
  BN_free(three);
  EVP_PKEY_CTX_free(context);

  Forgery forgery;
  forgery.signer = &signer;
  forgery.certificate = centre().issue(signer.public_key()).der();
  forgery.algorithm = AlgorithmId::rsa_pkcs1_sha256;
  const Report report = verify(forgery.make(), kText);
  expect_fault(report, Verdict::indeterminate, SubIndication::crypto_constraints_failure_no_poe, "weak-algorithm");
  EXPECT_EQ(report.signatures.front().integrity, Integrity::intact);
  ValidationPolicy lenient;
  lenient.least_rsa_exponent = 3;
  EXPECT_TRUE(verify(forgery.make(), ByteView(kText), trust(), ValidateOptions{.at = test_time(), .policy = &lenient})
                  .passed());
}

TEST(Refused, RsaValuesOfAnotherLength) {
  TestCentre own(KeyType::rsa_2048, KeyType::p256);
  const Bytes good = must(own.citizen.sign_message(AlgorithmId::rsa_pkcs1_sha256, covered_by(Hash::sha256)));
  ASSERT_TRUE(with_value(own, AlgorithmId::rsa_pkcs1_sha256, good).passed());
  for (const Bytes& wrong : {concat({Bytes{0}, good}), Bytes(good.begin() + 1, good.end()), concat({good, Bytes{0}}),
                             Bytes(256, 0), Bytes{}, Bytes(256, 0xFF)}) {
    expect_wrong_value(with_value(own, AlgorithmId::rsa_pkcs1_sha256, wrong));
  }
  // The same value under the other padding.
  expect_wrong_value(with_value(own, AlgorithmId::rsa_pss_sha256, good));
}

TEST(Refused, ParametersNoStandardKnows) {
  const Bytes good = Forgery{}.make();
  // ecdsa-with-SHA256 without parameters, as it must be; here with NULL.
  const Bytes plain = encode_signature_algorithm(AlgorithmId::ecdsa_sha256);
  Forgery forgery;
  const Bytes value = must(centre().citizen.sign_message(AlgorithmId::ecdsa_sha256, covered_by(Hash::sha256)));
  const Certificate& mine = centre().citizen_certificate;
  der::Reader outer(plain);
  der::Reader inner = must(outer.enter(der::kSequence));
  const Bytes with_null = der::sequence({must(inner.any()).whole, der::null()});
  Bytes attributes = covered_by(Hash::sha256);
  attributes[0] = 0xA0;
  const Bytes info =
      der::sequence({der::integer(1), der::sequence({mine.issuer().der(), make_tlv(der::kInteger, mine.serial())}),
                     encode_digest_algorithm(Hash::sha256), attributes, with_null, der::octet_string(value)});
  const Bytes file = der::sequence(
      {der::oid("1.2.840.113549.1.7.2"),
       make_tlv(der::context(0),
                der::sequence({der::integer(1), make_tlv(der::kSet, encode_digest_algorithm(Hash::sha256)),
                               der::sequence({der::oid(cms::kDataOid)}),
                               make_tlv(der::context(0), concat({mine.der(), centre().ca.der()})),
                               make_tlv(der::kSet, info)}))});
  expect_fault(verify(file, kText), Verdict::total_failed, SubIndication::format_failure, "algorithm-parameters");
}

TEST(Refused, AReferenceToNoCertificate) {
  Forgery none;
  none.extra_attributes = {Forgery::attribute(cms::kSigningCertificateV2Oid, der::sequence(der::sequence(ByteView{})))};
  expect_fault(verify(none.make(), kText), Verdict::total_failed, SubIndication::format_failure, "signing-certificate");
  // By its SHA-1, as before 2007: accepted, and said.
  Forgery old;
  const Bytes by_sha1 = der::sequence(
      der::sequence(der::sequence({der::octet_string(digest(Hash::sha1, centre().citizen_certificate.der()))})));
  old.extra_attributes = {Forgery::attribute(cms::kSigningCertificateOid, by_sha1)};
  const Report report = verify(old.make(), kText);
  EXPECT_TRUE(report.passed()) << words(report);
  EXPECT_TRUE(has(report.signatures.front(), "signing-certificate-weak-hash"));
}

}  // namespace
}  // namespace karta::crypto
