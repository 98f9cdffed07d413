// The unmodified openssl and certtool programs on what karta writes, and karta on what openssl writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/cms/sign.h"
#include "crypto/pem.h"
#include "crypto/testing.h"
#include "crypto/validation/validate.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using testing::Ran;
using testing::TemporaryFolder;
using testing::test_time;
using testing::TestCentre;

std::string words(const Report& report) {
  std::string out;
  for (const SignatureReport& one : report.signatures) {
    out += std::string(name_of(one.verdict)) + " " + std::string(name_of(one.sub_indication)) + "\n";
    for (const Finding& finding : one.findings) out += finding.code + ": " + finding.message + "\n";
  }
  return out;
}

bool has(const SignatureReport& report, std::string_view code) {
  return std::any_of(report.findings.begin(), report.findings.end(), [&](const Finding& f) { return f.code == code; });
}

/// A folder with a centre's certificates, the citizen's key in the clear and a content, as openssl wants them.
class Interop : public ::testing::TestWithParam<KeyType> {
 protected:
  Interop() {
    folder_.write("root.pem", centre_.root.to_pem());
    folder_.write("ca.pem", centre_.ca.to_pem());
    folder_.write("cert.pem", centre_.citizen_certificate.to_pem());
    const SecretBytes key = testing::test_key(GetParam()).expose_secret_der();
    folder_.write("key.pem", to_pem("PRIVATE KEY", key.expose_secret()));
    Bytes content;
    for (int i = 0; i < 40'000; ++i) content.push_back(static_cast<std::uint8_t>(i * 7 + i / 251));
    folder_.write("content", content);
    folder_.write("text", "one line\nanother line\n");
  }

  Ran run(const std::string& command) const { return testing::run(folder_, command); }
  std::string at() const { return " -attime " + std::to_string(test_time().time_since_epoch().count()) + " "; }

  Report verify(const std::string& signature, const std::string& content, bool with_leaf = false) const {
    const Bytes cms = must(cms_of_file(folder_.read(signature)));
    TrustMaterial trust{.anchors = {centre_.root}};
    if (with_leaf) trust.intermediates = {centre_.ca, centre_.citizen_certificate};
    if (content.empty()) return verify_cms(cms, nullptr, trust, {.at = test_time(), .keep_content = true});
    FileContent file = must(FileContent::open(folder_ / content));
    return verify_cms(cms, &file, trust, {.at = test_time()});
  }

  TestCentre centre_{GetParam(), KeyType::p384};
  TemporaryFolder folder_;
};

INSTANTIATE_TEST_SUITE_P(Openssl, Interop,
                         ::testing::Values(KeyType::p256, KeyType::p384, KeyType::p521, KeyType::rsa_2048,
                                           KeyType::rsa_3072, KeyType::brainpool_p256r1),
                         [](const auto& one) {
                           std::string name(row_of(one.param).name);
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(Interop, OpensslAndCerttoolReadOurCertificates) {
  const Ran verified =
      run("openssl verify -x509_strict -check_ss_sig" + at() + "-CAfile root.pem -untrusted ca.pem cert.pem");
  EXPECT_EQ(verified.status, 0) << verified.output;
  const Ran text = run("openssl x509 -in cert.pem -noout -text -nameopt utf8");
  EXPECT_EQ(text.status, 0);
  constexpr std::string_view kExpected[] = {"CN=Примеров Образец",
                                            "X509v3 Key Usage: critical",
                                            "Digital Signature, Non Repudiation",
                                            "TLS Web Client Authentication, E-mail Protection",
                                            "email:sample@example.org",
                                            "Policy: 2.999.1.2",
                                            "URI:http://crl.example/ca.crl",
                                            "OCSP - URI:http://ocsp.example/",
                                            kStatusIndexOid};
  for (const std::string_view expected : kExpected) {
    EXPECT_THAT(text.output, HasSubstr(std::string(expected)));
  }
  for (const char* name : {"root.pem", "ca.pem", "cert.pem"}) {
    const Ran certtool = run("certtool -i --infile " + std::string(name));
    EXPECT_EQ(certtool.status, 0) << certtool.output;
    EXPECT_THAT(certtool.output, HasSubstr("Version: 3"));
    // GnuTLS has no brainpool curves: it shows the certificate and grumbles about the key.
    if (GetParam() != KeyType::brainpool_p256r1) {
      EXPECT_THAT(certtool.output, ::testing::Not(HasSubstr("error")));
    }
  }
}

TEST_P(Interop, OpensslVerifiesWhatWeSign) {
  for (const AlgorithmId algorithm : centre_.citizen.algorithms()) {
    const Bytes octets = folder_.read("content");
    MemoryContent one(octets), two(octets);
    folder_.write("detached.p7s",
                  must(sign_cms(centre_.citizen, one, {.signing_time = test_time(), .algorithm = algorithm})));
    folder_.write("enveloping.p7m",
                  must(sign_cms(centre_.citizen, two,
                                {.form = CmsForm::enveloping, .signing_time = test_time(), .algorithm = algorithm})));
    const Ran detached =
        run("openssl cms -verify -cades -binary -inform DER -in detached.p7s -content content -CAfile root.pem" + at() +
            "-out verified && cmp verified content");
    EXPECT_EQ(detached.status, 0) << row_of(algorithm).name << detached.output;
    const Ran enveloping = run("openssl cms -verify -cades -binary -inform DER -in enveloping.p7m -CAfile root.pem" +
                               at() + "-out verified && cmp verified content");
    EXPECT_EQ(enveloping.status, 0) << row_of(algorithm).name << enveloping.output;
    EXPECT_EQ(run("printf x >> content; openssl cms -verify -binary -inform DER -in detached.p7s -content content "
                  "-CAfile root.pem" +
                  at() + "-out /dev/null")
                  .status,
              4);
    folder_.write("content", octets);
  }
}

struct Variant {
  const char* name;
  const char* options;  // of openssl cms -sign
  const char* content;  // file to sign
  bool inside;          // the content is in the signature
  const char* level;
  const char* finding;      // a code that must be there; nullptr: none asked for
  bool leaf_given = false;  // the certificates are not in the file
};
constexpr Variant kVariants[] = {
    {"detached", "-binary -outform DER", "content", false, "CMS", nullptr},
    {"detached in PEM", "-binary -outform PEM", "content", false, "CMS", nullptr},
    {"CAdES", "-binary -cades -outform DER", "content", false, "CAdES-B-B", nullptr},
    {"enveloping", "-binary -nodetach -outform DER", "content", true, "CMS", nullptr},
    {"streamed BER", "-binary -nodetach -stream -outform DER", "content", true, "CMS", "ber"},
    {"streamed BER in PEM", "-binary -nodetach -stream -cades -outform PEM", "content", true, "CAdES-B-B", "ber"},
    {"text with CR LF", "-outform DER", "text", false, "CMS", "text-mode"},
    {"text inside", "-nodetach -outform DER", "text", true, "CMS", nullptr},
    {"text without attributes", "-noattr -outform DER", "text", false, "CMS", "text-mode"},
    {"no attributes", "-binary -noattr -outform DER", "content", false, "CMS", "no-signed-attributes"},
    {"no attributes, inside", "-binary -noattr -nodetach -outform DER", "content", true, "CMS", "no-signed-attributes"},
    {"SHA-512", "-binary -md sha512 -outform DER", "content", false, "CMS", nullptr},
    {"named by key identifier", "-binary -keyid -outform DER", "content", false, "CMS", nullptr},
    {"no S/MIME capabilities", "-binary -nosmimecap -outform DER", "content", false, "CMS", nullptr},
    {"no certificates", "-binary -nocerts -outform DER", "content", false, "CMS", nullptr, true},
};

TEST_P(Interop, WeVerifyWhatOpensslSigns) {
  for (const Variant& variant : kVariants) {
    SCOPED_TRACE(variant.name);
    const Ran ran = run("openssl cms -sign -in " + std::string(variant.content) +
                        " -signer cert.pem -inkey key.pem -certfile ca.pem " + variant.options + " -out signature");
    ASSERT_EQ(ran.status, 0) << ran.output;
    const Report report = verify("signature", variant.inside ? "" : variant.content, variant.leaf_given);
    ASSERT_EQ(report.signatures.size(), 1u);
    const SignatureReport& one = report.signatures.front();
    EXPECT_TRUE(report.passed()) << words(report);
    EXPECT_EQ(one.level, variant.level);
    EXPECT_EQ(one.integrity, Integrity::intact);
    if (variant.finding != nullptr) {
      EXPECT_TRUE(has(one, variant.finding)) << words(report);
    }
    if (variant.inside && std::string_view(variant.content) == "content") {
      EXPECT_EQ(report.content, folder_.read("content"));
    }
    // One octet changed in the content.
    if (!variant.inside) {
      Bytes changed = folder_.read(variant.content);
      changed[changed.size() / 2] ^= 1;
      folder_.write("changed", changed);
      EXPECT_EQ(verify("signature", "changed", variant.leaf_given).verdict, Verdict::total_failed);
    }
  }
}

TEST_P(Interop, SeveralSignersAreReportedOneByOne) {
  // A certificate of its own making, valid at test_time().
  folder_.write("stranger.cnf",
                std::string_view("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\nserial=serial\nnew_certs_dir=.\n"
                                 "policy=p\n[p]\ncommonName=supplied\n"));
  folder_.write("index.txt", std::string_view());
  folder_.write("serial", std::string_view("01\n"));
  const Ran stranger =
      run("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout other.key -out other.csr "
          "-subj /CN=Stranger && openssl ca -batch -selfsign -config stranger.cnf -keyfile other.key -in other.csr -md "
          "sha256 "
          "-startdate 20260101000000Z -enddate 20261231000000Z -notext -out other.pem");
  ASSERT_EQ(stranger.status, 0) << stranger.output;
  const Ran ran =
      run("openssl cms -sign -binary -in content -signer cert.pem -inkey key.pem -signer other.pem -inkey other.key "
          "-certfile ca.pem -outform DER -out signature");
  ASSERT_EQ(ran.status, 0) << ran.output;
  const Report report = verify("signature", "content");
  ASSERT_EQ(report.signatures.size(), 2u);
  EXPECT_EQ(report.verdict, Verdict::indeterminate);
  int passed = 0;
  for (const SignatureReport& one : report.signatures) {
    EXPECT_EQ(one.integrity, Integrity::intact);
    passed += one.passed() ? 1 : 0;
    if (!one.passed()) {
      EXPECT_EQ(one.signer, "CN=Stranger");
      EXPECT_EQ(one.first_fault()->code, "not-trusted");
    }
  }
  EXPECT_EQ(passed, 1);
}

TEST_P(Interop, OldHashesAreRefusedByPolicy) {
  const Ran ran =
      run("openssl cms -sign -binary -md sha1 -in content -signer cert.pem -inkey key.pem -certfile ca.pem "
          "-outform DER -out signature");
  ASSERT_EQ(ran.status, 0) << ran.output;
  const Report report = verify("signature", "content");
  EXPECT_EQ(report.verdict, Verdict::indeterminate) << words(report);
  EXPECT_EQ(report.signatures.front().first_fault()->code, "weak-algorithm");
}

class RsaInterop : public Interop {};
INSTANTIATE_TEST_SUITE_P(Openssl, RsaInterop, ::testing::Values(KeyType::rsa_2048, KeyType::rsa_3072));

TEST_P(RsaInterop, PssIsUnderstoodWithAnySaltLength) {
  for (const char* salt : {"", "-keyopt rsa_pss_saltlen:20", "-keyopt rsa_pss_saltlen:max", "-md sha512"}) {
    const Ran ran =
        run("openssl cms -sign -binary -in content -signer cert.pem -inkey key.pem -keyopt rsa_padding_mode:pss " +
            std::string(salt) + " -certfile ca.pem -outform DER -out signature");
    ASSERT_EQ(ran.status, 0) << ran.output;
    const Report report = verify("signature", "content");
    EXPECT_TRUE(report.passed()) << salt << words(report);
    EXPECT_THAT(report.signatures.front().algorithm, HasSubstr("rsa-pss-"));
  }
}

TEST_P(Interop, AMailIsToldFromASignature) {
  ASSERT_EQ(run("openssl cms -sign -in text -signer cert.pem -inkey key.pem -certfile ca.pem -out mail").status, 0);
  const auto cms = cms_of_file(folder_.read("mail"));
  EXPECT_EQ(cms.error().kind, ErrorKind::unsupported);
  EXPECT_THAT(cms.error().hint, HasSubstr("openssl smime -pk7out"));
  ASSERT_EQ(run("openssl smime -pk7out -in mail -out signature").status, 0);
  EXPECT_TRUE(verify("signature", "text").passed());
}

}  // namespace
}  // namespace karta::crypto
