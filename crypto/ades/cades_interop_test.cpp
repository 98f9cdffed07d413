// Signatures at every level under the eyes of foreign programs: openssl cms for the signature, openssl ts for each
// time-stamp in it, openssl ocsp and crl for the revocation data, Botan for Ed25519, which openssl cms does not take;
// and foreign signatures raised by us. One line of a table a key and algorithm.
#include <botan/pubkey.h>
#include <botan/x509cert.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "base/der.h"
#include "crypto/ades/cades.h"
#include "crypto/ades/testing_services.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/sign.h"
#include "crypto/pem.h"
#include "crypto/validation/validate.h"

namespace karta::crypto {
namespace {

using testing::must;
using testing::Ran;
using testing::TemporaryFolder;
using testing::test_time;
using testing::TestCentre;
using testing::TestServices;

constexpr SignatureLevel kLevels[] = {SignatureLevel::b_b, SignatureLevel::b_t, SignatureLevel::b_lt,
                                      SignatureLevel::b_lta};
const Bytes kText = to_bytes(as_bytes("I hereby agree.\n"));

class CadesInterop : public ::testing::TestWithParam<KeyType> {
 protected:
  CadesInterop() {
    folder_.write("root.pem", centre_.root.to_pem());
    folder_.write("ca.pem", centre_.ca.to_pem());
    folder_.write("cert.pem", centre_.citizen_certificate.to_pem());
    folder_.write("content", kText);
    const SecretBytes key = testing::test_key(GetParam()).expose_secret_der();
    folder_.write("key.pem", to_pem("PRIVATE KEY", key.expose_secret()));
    // GOST comes to openssl by its engine.
    folder_.write(
        "engine.cnf",
        "openssl_conf = o\n[o]\nengines = e\n[e]\ngost = g\n[g]\nengine_id = gost\ndefault_algorithms = ALL\n");
  }

  bool gost() const { return row_of(GetParam()).family == KeyFamily::gost; }
  Ran run(const std::string& command) const {
    return testing::run(folder_, gost() ? "export OPENSSL_CONF=engine.cnf; " + command : command);
  }
  /// Of the centre's services: of the same family, and not the citizen's own, whose key identifier would be the same.
  static KeyType service_key() {
    switch (GetParam()) {
      case KeyType::gost_256_a:
        return KeyType::gost_256_b;
      case KeyType::gost_512_a:
        return KeyType::gost_512_b;
      case KeyType::p256:
        return KeyType::p384;
      default:
        return KeyType::p256;
    }
  }
  std::string at() const { return " -attime " + std::to_string(test_time().time_since_epoch().count()) + " "; }
  TrustMaterial trust() const { return {.anchors = {centre_.root}, .intermediates = {}}; }
  Report verify(const Bytes& signature, bool inside) const {
    MemoryContent content(kText);
    return verify_cms(signature, inside ? nullptr : &content, trust(), {.at = test_time()});
  }
  static std::string words(const Report& report) {
    std::string out;
    for (const SignatureReport& one : report.signatures) {
      out += std::string(name_of(one.verdict)) + " " + one.level + "\n";
      for (const Finding& finding : one.findings) out += "  " + finding.code + ": " + finding.message + "\n";
    }
    return out;
  }

  /// Every time-stamp and every piece of revocation data in `signature`, by openssl; how many there were.
  std::size_t judge_what_is_inside(const Bytes& signature) const {
    std::size_t judged = 0;
    const SignedData data = must(SignedData::parse(signature));
    for (const CmsSigner& signer : data.signers) {
      if (!signer.unsigned_attributes) continue;
      for (const CmsAttribute& attribute : signer.unsigned_attributes->list) {
        if (attribute.oid != cms::kSignatureTimestampOid && attribute.oid != cms::kArchiveTimestampV3Oid) continue;
        for (const Bytes& value : attribute.values) {
          const TimeStampToken token = must(TimeStampToken::from_der(value));
          const MessageImprint& imprint = token.info().imprint;
          if (attribute.oid == cms::kSignatureTimestampOid) {
            EXPECT_EQ(imprint, imprint_of(imprint.hash, signer.signature));
          }
          folder_.write("token", value);
          const Ran ran = run("openssl ts -verify -token_in -in token -digest " + to_hex(imprint.digest) +
                              " -CAfile root.pem -untrusted ca.pem" + at());
          EXPECT_EQ(ran.status, 0) << ran.output;
          EXPECT_THAT(ran.output, ::testing::HasSubstr("Verification: OK"));
          ++judged;
        }
      }
    }
    for (const CmsRevocation& one : data.revocation) {
      if (one.whole[0] == der::kSequence) {
        folder_.write("list", one.whole);
        const bool by_root = must(Crl::from_der(one.whole)).issuer() == centre_.root.subject();
        const Ran ran =
            run(std::string("openssl crl -inform DER -in list -noout -CAfile ") + (by_root ? "root.pem" : "ca.pem"));
        EXPECT_THAT(ran.output, ::testing::HasSubstr("verify OK"));
      } else {
        der::Reader outer(one.whole);
        der::Reader reader = must(outer.enter(der::context(1)));
        (void)must(reader.oid());
        folder_.write("answer", must(reader.any()).whole);
        // About the signer or the time-stamp authority.
        const OcspResponse answer = must(OcspResponse::from_der(folder_.read("answer")));
        for (const CmsCertificate& certificate : data.certificates) {
          const Certificate parsed = must(Certificate::from_der(certificate.whole));
          if (names(answer.singles().front().id, parsed, centre_.ca)) folder_.write("about.pem", parsed.to_pem());
        }
        const Ran ran =
            run("openssl ocsp -respin answer -issuer ca.pem -cert about.pem -CAfile root.pem "
                "-verify_other ca.pem" +
                at());
        EXPECT_THAT(ran.output, ::testing::HasSubstr("Response verify OK"));
        EXPECT_THAT(ran.output, ::testing::HasSubstr("good"));
      }
      ++judged;
    }
    return judged;
  }

  /// Botan on the value over the signed attributes.
  bool botan_accepts(const Bytes& signature) const {
    const SignedData data = must(SignedData::parse(signature));
    const Bytes& der = centre_.citizen_certificate.der();
    Botan::X509_Certificate certificate(der.data(), der.size());
    const std::unique_ptr<Botan::Public_Key> key = certificate.load_subject_public_key();
    Botan::PK_Verifier verifier(*key, "Pure");
    const CmsSigner& signer = data.signers.front();
    return verifier.verify_message(signer.signed_attributes->der.data(), signer.signed_attributes->der.size(),
                                   signer.signature.data(), signer.signature.size());
  }

  mutable TestCentre centre_{GetParam(), row_of(GetParam()).family == KeyFamily::gost ? GetParam() : KeyType::p384};
  TemporaryFolder folder_;
};

// Where `openssl cms` makes or joins signatures: it knows no Ed25519.
class CadesByOpenssl : public CadesInterop {};

std::string name_of_key(const ::testing::TestParamInfo<KeyType>& one) {
  std::string name(row_of(one.param).name);
  std::erase(name, '-');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Keys, CadesInterop,
                         ::testing::Values(KeyType::p256, KeyType::p384, KeyType::rsa_2048, KeyType::rsa_3072,
                                           KeyType::ed25519, KeyType::gost_256_a, KeyType::gost_512_a),
                         name_of_key);
INSTANTIATE_TEST_SUITE_P(Keys, CadesByOpenssl,
                         ::testing::Values(KeyType::p256, KeyType::p384, KeyType::rsa_2048, KeyType::rsa_3072,
                                           KeyType::gost_256_a, KeyType::gost_512_a),
                         name_of_key);

TEST_P(CadesInterop, OwnSignaturesAtEveryLevelAreAccepted) {
  const bool ed25519 = GetParam() == KeyType::ed25519;
  std::vector<AlgorithmId> algorithms = {centre_.citizen.algorithms().front()};
  if (row_of(GetParam()).family == KeyFamily::rsa) algorithms.push_back(AlgorithmId::rsa_pss_sha256);
  for (const AlgorithmId algorithm : algorithms) {
    std::string row;
    for (const SignatureLevel level : kLevels) {
      const auto evidence = level == SignatureLevel::b_lta ? TestServices::Evidence::crl : TestServices::Evidence::ocsp;
      TestServices authorities(centre_, evidence, service_key());
      const SignatureServices services = authorities.services();
      std::size_t judged = 0;
      for (const CmsForm form : {CmsForm::detached, CmsForm::enveloping}) {
        const bool inside = form == CmsForm::enveloping;
        MemoryContent content(kText);
        const Bytes basic = must(
            sign_cms(centre_.citizen, content, {.form = form, .signing_time = test_time(), .algorithm = algorithm}));
        ASSERT_TRUE(content.rewind());
        const Bytes signature = must(raise_cms(basic, inside ? nullptr : &content, level, services));
        const Report report = verify(signature, inside);
        ASSERT_TRUE(report.passed()) << words(report);
        EXPECT_EQ(report.signatures.front().level, "CAdES-" + std::string(name_of(level))) << words(report);
        folder_.write("signature", signature);
        if (ed25519) {
          EXPECT_TRUE(botan_accepts(signature));
        } else {
          const Ran ran = run("openssl cms -verify -cades -binary -inform DER -in signature " +
                              std::string(inside ? "" : "-content content ") + "-CAfile root.pem -purpose any" + at() +
                              "-out verified && cmp verified content");
          EXPECT_EQ(ran.status, 0) << row_of(algorithm).name << " " << name_of(level) << ran.output;
        }
        if (!inside) judged = judge_what_is_inside(signature);
      }
      EXPECT_GE(judged, level == SignatureLevel::b_b    ? 0u
                        : level == SignatureLevel::b_t  ? 1u
                        : level == SignatureLevel::b_lt ? 3u
                                                        : 4u);
      row += "  " + std::string(name_of(level)) + " yes +" + std::to_string(judged);
    }
    std::printf("%-14s %-18s %s accepts, ts/ocsp/crl parts:%s\n", std::string(row_of(GetParam()).name).c_str(),
                std::string(row_of(algorithm).name).c_str(), ed25519 ? "Botan" : "openssl cms", row.c_str());
  }
}

TEST_P(CadesByOpenssl, ForeignSignaturesAreRaised) {
  TestServices authorities(centre_, TestServices::Evidence::ocsp, service_key());
  const SignatureServices services = authorities.services();
  constexpr std::pair<const char*, bool> kMade[] = {{"-binary -cades", false},
                                                    {"-binary -keyid", false},
                                                    {"-binary -noattr", false},
                                                    {"-binary -cades -nodetach", true},
                                                    {"-binary -cades -nodetach -stream", true},
                                                    {"-binary -nocerts", false}};
  for (const auto& [options, inside] : kMade) {
    SCOPED_TRACE(options);
    // The engine has no default digest for openssl cms but by name.
    const std::string digest = !gost()                              ? ""
                               : row_of(GetParam()).key_bits == 256 ? " -md md_gost12_256"
                                                                    : " -md md_gost12_512";
    const Ran made =
        run("openssl cms -sign -in content -signer cert.pem -inkey key.pem -certfile ca.pem -outform DER "
            "-out signature " +
            std::string(options) + digest);
    ASSERT_EQ(made.status, 0) << made.output;
    const Bytes foreign = folder_.read("signature");
    for (const SignatureLevel level : kLevels) {
      SignatureServices with_signer = services;
      with_signer.certificates.push_back(centre_.citizen_certificate);
      MemoryContent content(kText);
      const Bytes raised = must(raise_cms(foreign, inside ? nullptr : &content, level, with_signer));
      MemoryContent again(kText);
      TrustMaterial material = trust();
      material.intermediates = {centre_.ca, centre_.citizen_certificate};
      const Report report = verify_cms(raised, inside ? nullptr : &again, material, {.at = test_time()});
      EXPECT_TRUE(report.passed()) << words(report);
      EXPECT_EQ(report.signatures.front().best_signature_time.has_value(), level >= SignatureLevel::b_t)
          << words(report);
      folder_.write("raised", raised);
      const Ran ran =
          run("openssl cms -verify -binary -inform DER -in raised " + std::string(inside ? "" : "-content content ") +
              "-CAfile root.pem -certfile cert.pem -purpose any" + at() + "-out /dev/null");
      EXPECT_EQ(ran.status, 0) << name_of(level) << ran.output;
    }
  }
}

TEST_P(CadesByOpenssl, SeveralSignersAndCounterSignatures) {
  MemoryContent content(kText), again(kText);
  const Bytes first = must(sign_cms(centre_.citizen, content, {.signing_time = test_time()}));
  TestCentre other(KeyType::p256, KeyType::p256);
  const Bytes second = must(sign_cms(other.citizen, again, {.signing_time = test_time()}));
  const Bytes joined = must(join_cms(first, second));
  folder_.write("signature", must(counter_sign_cms(joined, 0, other.citizen, test_time())));
  folder_.write("roots.pem", centre_.root.to_pem() + other.root.to_pem());
  const Ran ran =
      run("openssl cms -verify -binary -inform DER -in signature -content content -CAfile roots.pem -purpose any" +
          at() + "-out /dev/null");
  EXPECT_EQ(ran.status, 0) << ran.output;
}

// Ed25519 brings a hash of its own among the others' (RFC 8419 §2.3), and none to choose.
TEST(CadesOfSeveral, Ed25519AmongOthers) {
  const KeyType keys[] = {KeyType::p256, KeyType::ed25519, KeyType::rsa_2048, KeyType::gost_256_a};
  std::vector<std::unique_ptr<TestCentre>> centres;
  TrustMaterial trust;
  Bytes joined;
  for (const KeyType key : keys) {
    const bool gost = row_of(key).family == KeyFamily::gost;
    centres.push_back(std::make_unique<TestCentre>(key, gost ? key : KeyType::p384));
    trust.anchors.push_back(centres.back()->root);
    MemoryContent content(kText);
    const Bytes one = must(sign_cms(centres.back()->citizen, content, {.signing_time = test_time()}));
    joined = joined.empty() ? one : must(join_cms(joined, one));
  }
  const Bytes countered = must(counter_sign_cms(joined, 1, centres[0]->citizen, test_time()));
  const auto judge = [&](const Bytes& signature, const Bytes& text) {
    MemoryContent content(text);
    return verify_cms(signature, &content, trust, {.at = test_time()});
  };
  const Report report = judge(countered, kText);
  ASSERT_TRUE(report.passed());
  // A set of four, and what signs one of them.
  std::map<std::string, int> by_signature;
  const SignedData data = must(SignedData::parse(countered));
  ASSERT_EQ(data.signers.size(), std::size(keys));
  std::size_t counter_signed = 0;
  for (const CmsSigner& signer : data.signers) {
    ++by_signature[signer.signature_algorithm.oid + "/" + signer.digest_algorithm.oid];
    counter_signed += signer.unsigned_attributes ? 1 : 0;
    if (signer.signature_algorithm.oid != row_of(AlgorithmId::ed25519).oid) continue;
    EXPECT_EQ(signer.digest_algorithm.oid, row_of(Hash::sha512).oid);
    const Bytes& der = centres[1]->citizen_certificate.der();
    const Botan::X509_Certificate certificate(der.data(), der.size());
    const std::unique_ptr<Botan::Public_Key> key = certificate.load_subject_public_key();
    Botan::PK_Verifier verifier(*key, "Pure");
    const Bytes& covered = signer.signed_attributes->der;
    EXPECT_TRUE(
        verifier.verify_message(covered.data(), covered.size(), signer.signature.data(), signer.signature.size()));
  }
  EXPECT_EQ(by_signature.size(), std::size(keys)) << "each by its own algorithm";
  EXPECT_EQ(counter_signed, 1u);
  const Bytes other = to_bytes(as_bytes("I hereby disagree.\n"));
  std::size_t intact = 0;
  for (const SignatureReport& one : judge(countered, other).signatures) {
    intact += one.integrity == Integrity::intact ? 1 : 0;
  }
  EXPECT_EQ(intact, 1u) << "the counter-signature, which is over a signature and no content";
  // One signer's value spoilt: the others' stand.
  for (std::size_t i = 0; i < data.signers.size(); ++i) {
    Bytes spoilt = countered;
    spoilt[data.signers[i].signature_offset + 10] ^= 1;
    const Report after = judge(spoilt, kText);
    EXPECT_FALSE(after.passed());
    std::size_t broken = 0;
    for (const SignatureReport& one : after.signatures) broken += one.integrity == Integrity::intact ? 0 : 1;
    EXPECT_GE(broken, 1u);
    EXPECT_LE(broken, 2u) << "and what counter-signs it";
  }
}

}  // namespace
}  // namespace karta::crypto
