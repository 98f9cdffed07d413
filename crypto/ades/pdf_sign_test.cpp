// PDF signatures of ours in the hands of pdfsig and qpdf, on every shape a PDF file can have, at every level and with
// every kind of key; and pdfsig's own in ours.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/ades/pades.h"
#include "crypto/ades/pdf_testing.h"
#include "crypto/ades/testing_services.h"
#include "crypto/pkcs11_key.h"
#include "crypto/validation/verify_pdf.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using ::testing::Not;
using testing::plain_pdf;
using testing::Ran;
using testing::TemporaryFolder;
using testing::test_time;
using testing::TestCentre;

Bytes sign_once(const Bytes& file, Signer& signer, pdf::SignatureRequest request = {},
                const SecretBytes& password = {}) {
  PdfFile opened = must(PdfFile::open(file, password));
  request.time = test_time();
  must(sign_pades(opened, signer, {.request = std::move(request)}));
  return to_bytes(opened.octets());
}

class Pdf : public ::testing::Test {
 protected:
  Bytes bytes(const std::string& text) { return to_bytes(as_bytes(text)); }
  Ran run(const std::string& command) { return testing::run(folder_, command); }
  /// qpdf is content with the file, and pdfsig finds `count` intact signatures, the last over the whole file.
  void accepted(const Bytes& file, int count, const std::string& password = {}) {
    folder_.write("signed.pdf", file);
    const std::string word = password.empty() ? "" : " --password=" + password + " ";
    const Ran check = run("qpdf --check" + word + " signed.pdf");
    EXPECT_EQ(check.status, 0) << check.output;
    EXPECT_THAT(check.output, HasSubstr("No syntax or stream encoding errors found"));
    const Ran pdfsig = run("pdfsig -nocert" + std::string(password.empty() ? "" : " -upw " + password) + " signed.pdf");
    int found = 0;
    for (std::size_t at = 0;
         (at = pdfsig.output.find("Signature Validation: Signature is Valid.", at)) != std::string::npos; ++at)
      ++found;
    EXPECT_EQ(found, count) << pdfsig.output;
    EXPECT_THAT(pdfsig.output, HasSubstr("Total document signed"));
    EXPECT_THAT(pdfsig.output, Not(HasSubstr("Digest Mismatch")));
  }
  Bytes shaped(const std::string& options) {
    folder_.write("plain.pdf", plain_pdf(3));
    const Ran made = run("qpdf " + options + " plain.pdf shaped.pdf");
    EXPECT_EQ(made.status, 0) << made.output;
    return folder_.read("shaped.pdf");
  }

  TemporaryFolder folder_;
  TestCentre centre_{KeyType::p256, KeyType::p256};
};

TEST_F(Pdf, SignsEveryShapeOfCrossReference) {
  accepted(sign_once(bytes(plain_pdf()), centre_.citizen), 1);
  accepted(sign_once(bytes(testing::hybrid_pdf()), centre_.citizen), 1);
  for (const char* options : {"--object-streams=generate", "--object-streams=disable", "--linearize",
                              "--linearize --object-streams=generate"}) {
    SCOPED_TRACE(options);
    const Bytes once = sign_once(shaped(options), centre_.citizen);
    accepted(once, 1);
    accepted(sign_once(once, centre_.citizen), 2);
  }
}

TEST_F(Pdf, SignsEncryptedFiles) {
  for (const char* options : {"--encrypt user owner 40 --", "--encrypt user owner 128 --use-aes=n --",
                              "--encrypt user owner 128 --use-aes=y --", "--encrypt user owner 256 --",
                              "--encrypt user owner 256 --force-R5 --", "--encrypt user owner 128 --force-V4 --",
                              "--encrypt user owner 128 --use-aes=y --cleartext-metadata --",
                              "--object-streams=generate --encrypt user owner 256 --"}) {
    SCOPED_TRACE(options);
    const Bytes file = shaped(std::string("--allow-weak-crypto ") + options);
    EXPECT_EQ(PdfFile::open(file).error().kind, ErrorKind::not_permitted);
    EXPECT_EQ(PdfFile::open(file, SecretBytes::copy_of("users")).error().kind, ErrorKind::not_permitted);
    EXPECT_TRUE(PdfFile::open(file, SecretBytes::copy_of("owner")).has_value());
    accepted(sign_once(file, centre_.citizen, {.name = "Примеров", .reason = "test"}, SecretBytes::copy_of("user")), 1,
             "user");
  }
}

TEST_F(Pdf, TheFiftiethSignatureCostsAsMuchAsTheSecond) {
  Bytes file = bytes(plain_pdf());
  std::size_t second = 0;
  for (int i = 1; i <= 50; ++i) {
    const std::size_t before = file.size();
    file = sign_once(file, centre_.citizen);
    if (i == 2) second = file.size() - before;
  }
  const std::size_t before = file.size();
  // A reference more in Annots and Fields with each signature: two dozen octets.
  EXPECT_LT(sign_once(file, centre_.citizen).size() - before, second + 50 * 30);
  accepted(file, 50);
}

// A file that anybody may open, but whose author encrypted it: the password is empty.
TEST_F(Pdf, SignsFilesEncryptedWithAnEmptyPassword) {
  for (const char* options : {"--encrypt '' owner 128 --use-aes=n --", "--encrypt '' owner 128 --use-aes=y --",
                              "--encrypt '' owner 256 --", "--object-streams=generate --encrypt '' owner 256 --"}) {
    SCOPED_TRACE(options);
    const Bytes file = sign_once(shaped(std::string("--allow-weak-crypto ") + options), centre_.citizen);
    accepted(file, 1);
    accepted(sign_once(file, centre_.citizen), 2);
  }
}

TEST_F(Pdf, EveryLevelIsAcceptedByPdfsigAndQpdf) {
  testing::TestServices services(centre_);
  for (const SignatureLevel level : {SignatureLevel::b_t, SignatureLevel::b_lt, SignatureLevel::b_lta}) {
    SCOPED_TRACE(name_of(level));
    PdfFile file = must(PdfFile::open(bytes(plain_pdf())));
    must(sign_pades(file, centre_.citizen, {.level = level}, services.services()));
    folder_.write("level.pdf", file.octets());
    EXPECT_EQ(run("qpdf --check level.pdf").status, 0);
    // pdfsig 22.12 knows no document time-stamps; what it knows is valid.
    const Ran pdfsig = run("pdfsig -nocert level.pdf");
    EXPECT_THAT(pdfsig.output, HasSubstr("Signature is Valid")) << pdfsig.output;
    EXPECT_THAT(pdfsig.output, Not(HasSubstr("Digest Mismatch")));
  }
}

/// pdfsig with a key of its own in an NSS database.
class Pdfsig : public Pdf {
 protected:
  Pdfsig() {
    folder_.write("noise", Bytes(64, 'n'));
    const Ran made = run(
        "mkdir nss && certutil -N -d nss --empty-password && certutil -S -d nss -n signer -s 'CN=Sample Signer' -x -t "
        "CT,C,C -k rsa -g 2048 -m 1 -v 12 -Z SHA256 -z noise --keyUsage digitalSignature,nonRepudiation,critical && "
        "certutil -L -d nss -n signer -r > signer.der");
    EXPECT_EQ(made.status, 0) << made.output;
    trust_.anchors = {must(Certificate::from_der(folder_.read("signer.der"))), centre_.root};
  }
  Bytes pdfsig_signs(const Bytes& file) {
    folder_.write("in.pdf", file);
    std::filesystem::remove(folder_ / "out.pdf");
    const Ran ran = run("pdfsig -nssdir nss -add-signature -nick signer -digest SHA256 -reason agreed in.pdf out.pdf");
    EXPECT_TRUE(std::filesystem::exists(folder_ / "out.pdf")) << ran.output;
    return folder_.read("out.pdf");
  }
  Report verify(const Bytes& file) {
    const auto opened = PdfFile::open(file);
    if (!opened) return unreadable_pdf(opened.error());
    return verify_pdf(*opened, trust_, {.at = SystemClock().now()});
  }
  TrustMaterial trust_;
};

TEST_F(Pdfsig, SignaturesOfItAreAccepted) {
  for (const char* shape : {"--object-streams=disable", "--object-streams=generate", "--linearize"}) {
    SCOPED_TRACE(shape);
    const Bytes file = pdfsig_signs(shaped(shape));
    const Report report = verify(file);
    ASSERT_EQ(report.signatures.size(), 1u);
    EXPECT_TRUE(report.passed()) << testing::words(report);
    EXPECT_EQ(report.integrity(), Integrity::intact);
    EXPECT_EQ(report.signatures.front().signer_display, "Sample Signer");
    Bytes forged = file;
    forged[400] ^= 1;
    EXPECT_FALSE(verify(forged).passed());
  }
}

TEST_F(Pdfsig, AndWeSignOneDocumentInTurns) {
  const Bytes first = sign_once(bytes(plain_pdf()), centre_.citizen);
  const Bytes second = pdfsig_signs(first);
  const Bytes third = sign_once(second, centre_.citizen);
  const Report report = verify(third);
  ASSERT_EQ(report.signatures.size(), 3u) << testing::words(report);
  for (const SignatureReport& one : report.signatures) {
    EXPECT_EQ(one.integrity, Integrity::intact) << testing::words(report);
    EXPECT_NE(one.changes_after, ChangesAfter::not_allowed) << testing::words(report);
  }
  accepted(third, 3);
}

TEST_F(Pdfsig, ASignatureOfItIsRaisedToEveryLevel) {
  testing::TestServices services(centre_);
  services.clock().advance(SystemClock().now() - services.clock().now());
  services.revoke({});
  const Bytes foreign = pdfsig_signs(bytes(plain_pdf()));
  for (const SignatureLevel level : {SignatureLevel::b_t, SignatureLevel::b_lt, SignatureLevel::b_lta}) {
    SCOPED_TRACE(name_of(level));
    PdfFile file = must(PdfFile::open(foreign));
    must(raise_pades(file, level, services.services()));
    const Report report = verify(to_bytes(file.octets()));
    EXPECT_TRUE(report.passed()) << testing::words(report);
    EXPECT_EQ(report.signatures.front().best_signature_time, services.clock().now());
    folder_.write("raised.pdf", file.octets());
    EXPECT_EQ(run("qpdf --check raised.pdf").status, 0);
    EXPECT_THAT(run("pdfsig -nocert raised.pdf").output, HasSubstr("Signature is Valid"));
  }
}

/// Keys that pdfsig does not know: ours judges alone, qpdf the file.
TEST_F(Pdf, KeysOfOurOwnJudgement) {
  for (const auto& [key, ca] :
       {std::pair(KeyType::ed25519, KeyType::p256), std::pair(KeyType::p521, KeyType::p384),
        std::pair(KeyType::gost_256_b, KeyType::gost_256_b), std::pair(KeyType::gost_512_a, KeyType::gost_512_a)}) {
    SCOPED_TRACE(row_of(key).name);
    TestCentre own(key, ca);
    const Bytes once = sign_once(bytes(plain_pdf()), own.citizen);
    const Bytes twice = sign_once(once, centre_.citizen);
    folder_.write("own.pdf", twice);
    EXPECT_EQ(run("qpdf --check own.pdf").status, 0);
    const PdfFile opened = must(PdfFile::open(twice));
    const Report report = verify_pdf(opened, {.anchors = {own.root, centre_.root}}, {.at = test_time()});
    EXPECT_TRUE(report.passed()) << testing::words(report);
    EXPECT_EQ(report.signatures.front().key, row_of(key).name);
    EXPECT_EQ(report.signatures.size(), 2u);
  }
}

TEST_F(Pdf, KeysInSoftHsm) {
  folder_.write("softhsm.conf",
                "directories.tokendir = " + (folder_ / "tokens").string() + "\nobjectstore.backend = file\n");
  ::setenv("SOFTHSM2_CONF", (folder_ / "softhsm.conf").c_str(), 1);
  const Ran made = run(
      "mkdir tokens && softhsm2-util --init-token --free --label hsm --pin 1234 --so-pin 5678 && find /usr/lib -name "
      "libsofthsm2.so -print -quit > module");
  ASSERT_EQ(made.status, 0) << made.output;
  const Bytes module = folder_.read("module");
  const std::string path(as_text(module).substr(0, module.size() - 1));
  for (const KeyType type : {KeyType::p256, KeyType::rsa_2048}) {
    SCOPED_TRACE(row_of(type).name);
    const auto uri =
        must(Pkcs11Uri::parse("pkcs11:token=hsm;object=" + std::string(row_of(type).name) + "?module-path=" + path));
    const auto signer = must(Pkcs11Signer::generate(uri, SecretBytes::copy_of("1234"), type));
    const Certificate certificate = centre_.issue(signer->public_key());
    signer->set_certificate_chain({certificate.der(), centre_.ca.der()});
    const Bytes file = sign_once(bytes(plain_pdf()), *signer);
    accepted(file, 1);
    const PdfFile opened = must(PdfFile::open(file));
    EXPECT_TRUE(verify_pdf(opened, {.anchors = {centre_.root}}, {.at = test_time()}).passed());
  }
}

class PdfKey : public Pdf, public ::testing::WithParamInterface<std::pair<KeyType, AlgorithmId>> {};
INSTANTIATE_TEST_SUITE_P(Every, PdfKey,
                         ::testing::Values(std::pair(KeyType::p256, AlgorithmId::ecdsa_sha256),
                                           std::pair(KeyType::p384, AlgorithmId::ecdsa_sha384),
                                           std::pair(KeyType::rsa_2048, AlgorithmId::rsa_pkcs1_sha256),
                                           std::pair(KeyType::rsa_3072, AlgorithmId::rsa_pss_sha256)),
                         [](const auto& one) {
                           std::string name(row_of(one.param.second).name);
                           std::erase(name, '-');
                           return name;
                         });

TEST_P(PdfKey, IsAcceptedByPdfsig) {
  TestCentre own(GetParam().first, KeyType::p256);
  PdfFile opened = must(PdfFile::open(bytes(plain_pdf())));
  must(sign_pades(opened, own.citizen, {.algorithm = GetParam().second}));
  accepted(to_bytes(opened.octets()), 1);
}

}  // namespace
}  // namespace karta::crypto
