// PDF signatures of ours in the hands of pdfsig and qpdf, on every shape a PDF file can have.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/ades/pades.h"
#include "crypto/ades/pdf_testing.h"
#include "crypto/pem.h"

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
                              "--object-streams=generate --encrypt user owner 256 --"}) {
    SCOPED_TRACE(options);
    const Bytes file = shaped(std::string("--allow-weak-crypto ") + options);
    EXPECT_EQ(PdfFile::open(file).error().kind, ErrorKind::not_permitted);
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
