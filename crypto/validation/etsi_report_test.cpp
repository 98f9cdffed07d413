// The XML report against a schema written from the standard's (tests/etsi), read by xmllint.
#include "crypto/validation/etsi_report.h"

#include <gmock/gmock.h>

#include <regex>
#include <set>

#include "crypto/validation/validation_testing.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace testing;

void expect_valid(const std::string& xml) {
  const TemporaryFolder folder;
  folder.write("report.xml", xml);
  const Ran ran =
      run(folder, "xmllint --noout --nonet --relaxng " KARTA_SOURCE_DIR "/tests/etsi/validation_report.rng report.xml");
  EXPECT_EQ(ran.status, 0) << ran.output << xml;
  // Every reference leads somewhere, and no name stands for two things.
  std::set<std::string> ids;
  const std::regex id(" id=\"([^\"]*)\""), reference("VOReference=\"([^\"]*)\"");
  for (std::sregex_iterator at(xml.begin(), xml.end(), id), end; at != end; ++at) {
    EXPECT_TRUE(ids.insert((*at)[1]).second) << (*at)[1];
  }
  for (std::sregex_iterator at(xml.begin(), xml.end(), reference), end; at != end; ++at) {
    EXPECT_TRUE(ids.contains((*at)[1])) << (*at)[1];
  }
}

std::string report_of(const Report& report, const std::string& name = "contract.p7s") {
  const JudgedDocument document{name, &report};
  return etsi_report({&document, 1}, test_time(), {});
}

TEST(EtsiReport, OfASignatureThatPassed) {
  Forgery forgery;
  forgery.stamped_at = must(parse_time("2026-05-01"));
  forgery.extra_attributes = {Forgery::attribute(cms::kSigningTimeOid, der::time(must(parse_time("2026-04-30"))))};
  const Report report = verify(forgery.make(), kText);
  ASSERT_TRUE(report.passed()) << words(report);
  const std::string xml = report_of(report);
  expect_valid(xml);
  for (const char* text : {"urn:etsi:019102:mainindication:total-passed", "urn:etsi:019102:validationprocess:LTVM",
                           "<DAIdentifier>contract.p7s</DAIdentifier>", "<POETime>2026-05-01T00:00:00Z</POETime>",
                           "<Time>2026-04-30T00:00:00Z</Time>", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
                           "<TrustAnchor VOReference=", "urn:etsi:019102:validationObject:timestamp"}) {
    EXPECT_THAT(xml, HasSubstr(text));
  }
}

TEST(EtsiReport, OfOneThatDidNot) {
  const Report failed = verify(Forgery{}.make(), as_bytes("another"));
  EXPECT_THAT(report_of(failed), HasSubstr("urn:etsi:019102:subindication:HASH_FAILURE"));
  expect_valid(report_of(failed));

  ValidationEvidence evidence;
  evidence.crls.push_back(crl_of(centre().ca, centre().ca_signer, must(parse_time("2026-05-31")),
                                 {{.serial = centre().citizen_certificate.serial(),
                                   .revoked_at = must(parse_time("2026-05-01")),
                                   .reason = CrlReason::key_compromise}}));
  const Report revoked =
      verify(Forgery{}.make(), ByteView(kText), trust(), ValidateOptions{.at = test_time(), .evidence = &evidence});
  const std::string xml = report_of(revoked);
  expect_valid(xml);
  for (const char* text :
       {"urn:etsi:019102:subindication:REVOKED_NO_POE", "<RevocationTime>2026-05-01T00:00:00Z</RevocationTime>",
        "urn:etsi:019102:revocationReason:keyCompromise", "urn:karta:finding:fault:revoked"}) {
    EXPECT_THAT(xml, HasSubstr(text));
  }
  EXPECT_THAT(xml, Not(HasSubstr("TrustAnchor")));
  expect_valid(report_of(verify(as_bytes("nothing like it"), kText)));
}

TEST(EtsiReport, OfManyDocumentsSomeUnsigned) {
  const Report good = verify(Forgery{}.make(), kText);
  const JudgedDocument documents[] = {{"a.p7s", &good}, {"b.txt", nullptr}, {"c.p7s", &good}};
  ValidationPolicy policy;
  policy.name = "house rules";
  const std::string xml = etsi_report(documents, test_time(), policy);
  expect_valid(xml);
  EXPECT_THAT(xml, HasSubstr("urn:karta:mainindication:no-signature"));
  EXPECT_THAT(xml, HasSubstr("<PolicyName>house rules</PolicyName>"));
}

// Names come from files: markup, control characters and broken UTF-8 must not come out as such.
TEST(EtsiReport, HoldsWhateverANameHolds) {
  const Report good = verify(Forgery{}.make(), kText);
  const std::string name =
      "a<b>&\"c\" \x01\x1b[31m\r\xff\xc0\xaf\xed\xa0\x80\xf4\x90\x80\x80\xef\xbf\xbf Примеров \xf0\x9f\x96\x8b";
  const std::string xml = report_of(good, name);
  expect_valid(xml);
  EXPECT_THAT(xml, HasSubstr("a&lt;b&gt;&amp;&quot;c&quot; "));
  EXPECT_THAT(xml, HasSubstr("Примеров \xf0\x9f\x96\x8b"));
  EXPECT_THAT(xml, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace karta::crypto
