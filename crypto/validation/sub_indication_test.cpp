// Every sub-indication of EN 319 102-1 arises, and is named for its reason; and what would take it away again.
#include <gmock/gmock.h>

#include <functional>

#include "crypto/validation/validation_testing.h"

namespace karta::crypto {
namespace {

using namespace testing;

Time day(const char* text) { return must(parse_time(text)); }

/// A case: a signature, what is known, and what it comes to.
struct Case {
  SubIndication sub;
  std::string_view code;
  std::function<Report()> make;
};

/// A signature at level CAdES-B but for the signing time, with further signed attributes.
Forgery signature(std::vector<Bytes> more = {}) {
  Forgery out;
  const Bytes reference = der::sequence(
      der::sequence(der::sequence({der::octet_string(digest(Hash::sha256, centre().citizen_certificate.der()))})));
  out.extra_attributes = std::move(more);
  out.extra_attributes.push_back(Forgery::attribute(cms::kSigningCertificateV2Oid, reference));
  return out;
}

Bytes content_stamp(const char* at) {
  return Forgery::attribute(cms::kContentTimestampOid, authority().stamp(kText, day(at)));
}

Bytes signature_policy(ByteView digest_value) {
  const Bytes hashed = der::sequence({encode_digest_algorithm(Hash::sha256), der::octet_string(digest_value)});
  return Forgery::attribute(cms::kSignaturePolicyOid, der::sequence({der::oid("2.999.7"), hashed}));
}

ValidationEvidence revoked(const Certificate& which, const Certificate& issuer, Signer& signer, const char* when,
                           const char* list = "2026-05-31") {
  ValidationEvidence out;
  out.crls.push_back(crl_of(issuer, signer, day(list), {{.serial = which.serial(), .revoked_at = day(when)}}));
  return out;
}
ValidationEvidence citizen_revoked(const char* when) {
  return revoked(centre().citizen_certificate, centre().ca, centre().ca_signer, when);
}
ValidationEvidence ca_revoked(const char* when) {
  return revoked(centre().ca, centre().root, centre().root_signer, when);
}

Report judge(const Forgery& forgery, const char* at = "2026-06-01", const ValidationEvidence& evidence = {},
             const ValidationPolicy& policy = {}, const TrustMaterial& material = trust()) {
  return verify(forgery.make(), ByteView(kText), material,
                ValidateOptions{.at = day(at), .policy = &policy, .evidence = &evidence});
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {SubIndication::format_failure, "duplicate-attribute",
       [] {
         return judge(
             signature({Forgery::attribute("2.999.1", der::null()), Forgery::attribute("2.999.1", der::integer(1))}));
       }},
      {SubIndication::hash_failure, "message-digest-mismatch",
       [] { return verify(signature().make(), as_bytes("I hereby refuse.\n")); }},
      {SubIndication::sig_crypto_failure, "signature-value",
       [] {
         Forgery forgery = signature();
         forgery.value = must(centre().citizen.sign_message(AlgorithmId::ecdsa_sha256, as_bytes("something else")));
         return judge(forgery);
       }},
      {SubIndication::revoked, "revoked",
       [] { return judge(signature({content_stamp("2026-05-01")}), "2026-06-01", citizen_revoked("2026-04-01")); }},
      {SubIndication::expired, "certificate-expired",
       [] { return judge(signature({content_stamp("2029-02-01")}), "2029-03-01"); }},
      {SubIndication::not_yet_valid, "certificate-not-yet-valid",
       [] { return judge(signature(), "2026-01-02T12:00:00Z"); }},
      {SubIndication::sig_constraints_failure, "signature-constraint",
       [] {
         ValidationPolicy policy;
         policy.least_level = "B-T";
         return judge(signature(), "2026-06-01", {}, policy);
       }},
      {SubIndication::chain_constraints_failure, "key-usage",
       [] {
         std::string encrypting = kCitizenProfile;
         const std::string usage = "[\"digitalSignature\", \"nonRepudiation\"]";
         encrypting.replace(encrypting.find(usage), usage.size(), "[\"keyAgreement\"]");
         Forgery forgery;
         forgery.certificate = centre().issue(centre().citizen.public_key(), encrypting).der();
         return judge(forgery);
       }},
      {SubIndication::certificate_chain_general_failure, "stale-trust-data",
       [] {
         TrustMaterial material = trust();
         material.due = day("2026-05-31");
         return judge(signature(), "2026-06-01", {}, {}, material);
       }},
      {SubIndication::crypto_constraints_failure, "weak-algorithm",
       [] {
         ValidationPolicy policy;
         policy.sunset["ecdsa-sha256"] = day("2026-04-01");
         return judge(signature({content_stamp("2026-05-01")}), "2026-06-01", {}, policy);
       }},
      {SubIndication::policy_processing_error, "signature-policy-mismatch",
       [] {
         ValidationPolicy policy;
         policy.signature_policies["2.999.7"] = {.digest = digest(Hash::sha256, as_bytes("the true policy"))};
         return judge(signature({signature_policy(digest(Hash::sha256, as_bytes("another")))}), "2026-06-01", {},
                      policy);
       }},
      {SubIndication::signature_policy_not_available, "signature-policy-unknown",
       [] {
         ValidationPolicy policy;
         policy.only_known_signature_policies = true;
         return judge(signature({signature_policy(Bytes(32))}), "2026-06-01", {}, policy);
       }},
      {SubIndication::timestamp_order_failure, "timestamp-order",
       [] {
         Forgery forgery = signature({content_stamp("2026-05-20")});
         forgery.stamped_at = day("2026-05-01");
         return judge(forgery);
       }},
      {SubIndication::no_signing_certificate_found, "no-signing-certificate",
       [] {
         Forgery forgery = signature();
         forgery.with_certificate = false;
         return judge(forgery);
       }},
      {SubIndication::no_certificate_chain_found, "no-trust-data",
       [] { return judge(signature(), "2026-06-01", {}, {}, {}); }},
      {SubIndication::no_certificate_chain_found_no_poe, "no-longer-trusted",
       [] {
         TrustMaterial material = trust();
         material.ends = {{.fingerprint = centre().root.fingerprint(), .until = day("2026-05-15")}};
         return judge(signature(), "2026-06-01", {}, {}, material);
       }},
      {SubIndication::revoked_no_poe, "revoked",
       [] { return judge(signature(), "2026-06-01", citizen_revoked("2026-04-01")); }},
      {SubIndication::revoked_ca_no_poe, "revoked",
       [] { return judge(signature(), "2026-06-01", ca_revoked("2026-04-01")); }},
      {SubIndication::out_of_bounds_not_revoked, "certificate-expired",
       [] {
         ValidationEvidence evidence;
         evidence.crls.push_back(crl_of(centre().ca, centre().ca_signer, day("2029-01-01")));
         return judge(signature(), "2029-03-01", evidence);
       }},
      {SubIndication::out_of_bounds_no_poe, "certificate-expired", [] { return judge(signature(), "2029-03-01"); }},
      {SubIndication::crypto_constraints_failure_no_poe, "weak-algorithm",
       [] {
         ValidationPolicy policy;
         policy.sunset["p256"] = day("2026-04-01");
         return judge(signature(), "2026-06-01", {}, policy);
       }},
      {SubIndication::no_poe, "no-proof-of-existence",
       [] {
         // The CA's key was in other hands from the 20th on: its list of the 31st may be theirs.
         Forgery forgery = signature();
         forgery.stamped_at = day("2026-05-01");
         ValidationEvidence evidence = ca_revoked("2026-05-20");
         evidence.crls.push_back(crl_of(centre().ca, centre().ca_signer, day("2026-05-31")));
         return judge(forgery, "2026-06-01", evidence);
       }},
      {SubIndication::try_later, "revocation-unknown",
       [] {
         ValidationPolicy policy;
         policy.revocation = RevocationMode::required;
         return judge(signature(), "2026-06-01", {}, policy);
       }},
      {SubIndication::signed_data_not_found, "content-missing",
       [] { return verify(signature().make(), std::nullopt); }},
  };
  return all;
}

class EachSubIndication : public ::testing::TestWithParam<std::size_t> {};
INSTANTIATE_TEST_SUITE_P(En319102, EachSubIndication, ::testing::Range<std::size_t>(0, sub_indications().size()),
                         [](const auto& one) { return std::string(sub_indications()[one.param].word); });

TEST_P(EachSubIndication, ArisesAndNamesItsReason) {
  const SubIndicationRow& row = sub_indications()[GetParam()];
  const auto found = std::find_if(cases().begin(), cases().end(), [&](const Case& one) { return one.sub == row.id; });
  ASSERT_NE(found, cases().end()) << "no case for " << row.word;
  const Report report = found->make();
  expect_fault(report, row.verdict, row.id, found->code);
  // Some building block came to it, and says so.
  const SignatureReport& one = report.signatures.front();
  EXPECT_TRUE(std::any_of(std::begin(one.blocks), std::end(one.blocks), [&](const BlockReport& block) {
    return block.ran && block.verdict == row.verdict && block.sub_indication == row.id;
  })) << words(report);
}

// --- what takes it away again ---

TEST(ProofOfExistence, ASignatureTimeStampBeforeTheEvent) {
  Forgery forgery = signature();
  forgery.stamped_at = day("2026-03-01");
  EXPECT_TRUE(judge(forgery, "2026-06-01", citizen_revoked("2026-04-01")).passed());
  EXPECT_TRUE(judge(forgery, "2029-03-01").passed());
  ValidationPolicy policy;
  policy.sunset["p256"] = day("2026-04-01");
  const Report weak = judge(forgery, "2026-06-01", {}, policy);
  EXPECT_TRUE(weak.passed()) << words(weak);
  TrustMaterial material = trust();
  material.ends = {{.fingerprint = centre().root.fingerprint(), .until = day("2026-05-15")}};
  const Report ended = judge(forgery, "2026-06-01", {}, {}, material);
  EXPECT_TRUE(ended.passed()) << words(ended);
  EXPECT_TRUE(has(ended.signatures.front(), "validated-in-the-past"));
}

TEST(ProofOfExistence, ATimeStampAfterTheEventProvesNothing) {
  Forgery forgery = signature();
  forgery.stamped_at = day("2026-05-01");
  expect_fault(judge(forgery, "2026-06-01", citizen_revoked("2026-04-01")), Verdict::indeterminate,
               SubIndication::revoked_no_poe, "revoked");
}

TEST(ProofOfExistence, ATimeStampOlderThanTheCertificateIsProofAgainstIt) {
  Forgery forgery = signature();
  forgery.stamped_at = day("2026-01-10");
  forgery.certificate = centre().citizen_certificate.der();
  // The authority's certificate begins on the 3rd as the citizen's does; so the citizen gets one of June.
  const FixedClock june(day("2026-06-01"));
  SystemRandom random;
  const CertificateRequest request{
      .subject = must(NameBuilder().add("CN", "Примеров Образец").add("SNILS", "00000000000").build()),
      .public_key = centre().citizen.public_key(),
      .status_index = 43};
  forgery.certificate = must(issue_certificate(must(CertificateProfile::from_toml(kCitizenProfile)), request,
                                               centre().ca, centre().ca_signer, june, random))
                            .der();
  forgery.extra_attributes.clear();
  expect_fault(judge(forgery, "2026-07-01"), Verdict::total_failed, SubIndication::not_yet_valid,
               "certificate-not-yet-valid");
}

TEST(ProofOfExistence, WhatOutlivesARevokedCaIsNamedByItsDigest) {
  Forgery forgery = signature();
  forgery.stamped_at = day("2026-05-01");
  // Nothing is known about the signer's certificate, and the policy does not ask: the time-stamped reference suffices.
  const Report named = judge(forgery, "2026-06-01", ca_revoked("2026-05-20"));
  EXPECT_TRUE(named.passed()) << words(named);
  forgery.extra_attributes.clear();
  expect_fault(judge(forgery, "2026-06-01", ca_revoked("2026-05-20")), Verdict::indeterminate, SubIndication::no_poe,
               "no-proof-of-existence");
}

TEST(Trust, AnAuthorityOfTimeStampsSignsNoDocuments) {
  const TrustMaterial swapped{.anchors = {authority().root()}, .timestamp_anchors = {centre().root}};
  expect_fault(judge(signature(), "2026-06-01", {}, {}, swapped), Verdict::indeterminate,
               SubIndication::no_certificate_chain_found, "certificate-signature");
  Forgery forgery = signature();
  forgery.stamped_at = day("2026-05-01");
  const Report report = judge(forgery, "2026-06-01", {}, {}, {.anchors = {centre().root}});
  EXPECT_TRUE(report.passed());
  EXPECT_TRUE(has(report.signatures.front(), "timestamp-not-trusted")) << words(report);
  EXPECT_FALSE(report.signatures.front().best_signature_time.has_value());
}

TEST(Trust, StaleTrustDataMayBeAccepted) {
  TrustMaterial material = trust();
  material.due = day("2026-05-31");
  ValidationPolicy policy;
  policy.accept_stale_trust = true;
  const Report report = judge(signature(), "2026-06-01", {}, policy, material);
  EXPECT_TRUE(report.passed()) << words(report);
  EXPECT_TRUE(has(report.signatures.front(), "stale-trust-data"));
}

TEST(Constraints, OfThePolicyAreEachAsked) {
  ValidationPolicy policy;
  policy.required_attributes = {std::string(cms::kSigningTimeOid)};
  const Report no_time = judge(signature(), "2026-06-01", {}, policy);
  expect_fault(no_time, Verdict::indeterminate, SubIndication::sig_constraints_failure, "signature-constraint");
  EXPECT_EQ(no_time.signatures.front().first_fault()->attribute, cms::kSigningTimeOid);
  Forgery timed = signature({Forgery::attribute(cms::kSigningTimeOid, der::time(day("2026-04-01")))});
  EXPECT_TRUE(judge(timed, "2026-06-01", {}, policy).passed());

  policy = {};
  policy.most_timestamp_delay = std::chrono::hours(24);
  timed.stamped_at = day("2026-04-02");
  EXPECT_TRUE(judge(timed, "2026-06-01", {}, policy).passed());
  timed.stamped_at = day("2026-04-03");
  expect_fault(judge(timed, "2026-06-01", {}, policy), Verdict::indeterminate, SubIndication::sig_constraints_failure,
               "signature-constraint");

  policy = {};
  policy.least_level = "B-T";
  EXPECT_TRUE(judge(timed, "2026-06-01", {}, policy).passed());
  policy.least_level = "B-LT";
  expect_fault(judge(timed, "2026-06-01", {}, policy), Verdict::indeterminate, SubIndication::sig_constraints_failure,
               "signature-constraint");
}

TEST(Constraints, RevocationDataGrowOld) {
  ValidationEvidence evidence;
  evidence.crls.push_back(crl_of(centre().ca, centre().ca_signer, day("2026-05-20")));
  ValidationPolicy policy;
  policy.most_revocation_age = std::chrono::hours(24 * 13);
  EXPECT_TRUE(judge(signature(), "2026-06-01", evidence, policy).passed());
  policy.most_revocation_age = std::chrono::hours(24 * 11);
  expect_fault(judge(signature(), "2026-06-01", evidence, policy), Verdict::indeterminate, SubIndication::try_later,
               "revocation-too-old");
}

TEST(SignaturePolicy, IsConsultedWhereItIsKnown) {
  const Bytes its_digest = digest(Hash::sha256, as_bytes("the true policy"));
  ValidationPolicy policy;
  policy.only_known_signature_policies = true;
  policy.signature_policies["2.999.7"] = {.digest = its_digest};
  EXPECT_TRUE(judge(signature({signature_policy(its_digest)}), "2026-06-01", {}, policy).passed());
  const Report report = judge(signature({signature_policy(its_digest)}));
  EXPECT_TRUE(report.passed());
  EXPECT_TRUE(has(report.signatures.front(), "signature-policy-not-consulted"));
  // Implied by the circumstances: nothing is named.
  EXPECT_TRUE(
      judge(signature({Forgery::attribute(cms::kSignaturePolicyOid, der::null())}), "2026-06-01", {}, policy).passed());
  expect_fault(judge(signature({Forgery::attribute(cms::kSignaturePolicyOid, der::integer(1))})), Verdict::total_failed,
               SubIndication::format_failure, "signature-policy");
}

}  // namespace
}  // namespace karta::crypto
