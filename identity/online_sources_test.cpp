#include "identity/online_sources.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "crypto/x509/issue.h"
#include "crypto/x509/revocation.h"
#include "identity/services/services_testing.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using testing::HasSubstr;

/// A real server over a made-up authority, and certificates that point at it.
class OnlineTest : public testing::Test {
 protected:
  OnlineTest() : services_(clock_) {
    service::HttpServerOptions options;
    options.listen = {"127.0.0.1:0"};
    server_.emplace(must(service::HttpServer::start(std::move(options), [this](std::size_t) {
      return make_service_handler(services_.config, *services_.keys, {clock_, services_.metrics, services_.shelves});
    })));
    url_ = "http://" + server_->addresses().front();
  }

  /// A certificate with these URLs, known to the registry.
  crypto::Certificate issue(const std::string& urls) {
    const std::string profile = "schema = \"karta.certificate-profile/1\"\nname = \"t\"\nvalidity_days = 30\n" + urls;
    auto key = must(crypto::PrivateKey::generate(crypto::KeyType::p256));
    SystemRandom random;
    auto certificate = must(crypto::issue_certificate(
        must(crypto::CertificateProfile::from_toml(profile, "t.toml")),
        {must(crypto::name_from_text("CN=Sample,C=XX")), key.public_key(), {}, {}, {}, {}, {}}, services_.ca,
        services_.ca_signer, clock_, random));
    services_.register_certificate(certificate);
    return certificate;
  }
  std::string ocsp_urls(const std::string& more = "") const {
    return "ocsp_urls = [" + more + "\"" + url_ + "/ocsp\"]\n";
  }
  std::string crl_urls() const { return "crl_urls = [\"" + url_ + "/crl/issuing.crl\"]\n"; }
  static OnlineOptions here() {
    OnlineOptions out;
    out.any_address = true;
    return out;
  }

  const SystemClock clock_;
  ServicesFixture services_;
  std::optional<service::HttpServer> server_;
  std::string url_;
};

TEST_F(OnlineTest, OcspFirstThenLists) {
  OnlineRevocation source(here());
  const auto both = must(source.about(issue(ocsp_urls() + crl_urls()), services_.ca));
  EXPECT_EQ(both.ocsp.size(), 1u);
  EXPECT_TRUE(both.crls.empty());
  const auto list = must(source.about(issue(crl_urls()), services_.ca));
  EXPECT_EQ(list.crls.size(), 1u);
  // A responder that is none, and then one; the second time nothing is asked again.
  const crypto::Certificate fallback = issue(ocsp_urls("\"" + url_ + "/nowhere\", "));
  EXPECT_EQ(must(source.about(fallback, services_.ca)).ocsp.size(), 1u);
  ASSERT_EQ(source.troubles().size(), 1u);
  EXPECT_THAT(source.troubles().front(), HasSubstr("/nowhere\" answers with status 404"));
  const std::uint64_t requests = server_->counts().requests;
  EXPECT_EQ(must(source.about(issue(crl_urls()), services_.ca)).crls, list.crls);
  EXPECT_EQ(server_->counts().requests, requests);
  // No URL at all: nothing, and no trouble.
  const auto none = must(source.about(issue(""), services_.ca));
  EXPECT_TRUE(none.ocsp.empty() && none.crls.empty());
  EXPECT_EQ(source.troubles().size(), 1u);
}

TEST_F(OnlineTest, EvidenceHoldsBeforeAPathVerifier) {
  OnlineRevocation source(here());
  const crypto::Certificate certificate = issue(ocsp_urls());
  const auto evidence = must(source.about(certificate, services_.ca));
  crypto::RevocationData data;
  data.add(must(crypto::OcspResponse::from_der(evidence.ocsp.front())));
  crypto::PathOptions options;
  options.at = clock_.now();
  options.revocation = crypto::RevocationMode::required;
  options.revocation_data = &data;
  const auto path = crypto::verify_path(certificate, {}, {services_.ca}, options);
  EXPECT_TRUE(path.ok()) << path.reason;
}

TEST_F(OnlineTest, CertificatesDoNotLeadIntoPrivateNetworks) {
  OnlineRevocation source(OnlineOptions{});
  const auto evidence = must(source.about(issue(ocsp_urls() + crl_urls()), services_.ca));
  EXPECT_TRUE(evidence.ocsp.empty() && evidence.crls.empty());
  EXPECT_EQ(source.troubles().size(), 2u);
  EXPECT_THAT(source.troubles().front(), HasSubstr("not public"));
  EXPECT_EQ(server_->counts().connections, 0u);
}

TEST_F(OnlineTest, ListsOfOthersAndJunkAreNotTaken) {
  OnlineRevocation source(here());
  const crypto::testing::TestCentre other;
  EXPECT_TRUE(must(source.about(issue(crl_urls()), other.ca)).crls.empty());
  EXPECT_TRUE(must(source.about(issue("crl_urls = [\"" + url_ + "/healthz\"]\n"), services_.ca)).crls.empty());
  EXPECT_TRUE(must(source.about(issue("crl_urls = [\"" + url_ + "/ca/issuing.cer\"]\n"), services_.ca)).crls.empty());
  EXPECT_EQ(source.troubles().size(), 3u);
}

TEST_F(OnlineTest, IssuersAreFoundByTheirUrls) {
  OnlineRevocation source(here());
  const crypto::Certificate certificate = issue("issuer_urls = [\"" + url_ + "/ca/issuing.cer\"]\n");
  EXPECT_EQ(source.issuers_of(certificate), std::vector{services_.ca});
}

TEST_F(OnlineTest, TimeStampsComeFromTheConfiguredAddress) {
  OnlineTimestamps source(url_ + "/tsa", OnlineOptions{});
  const crypto::MessageImprint imprint = crypto::imprint_of(crypto::Hash::sha256, as_bytes("content"));
  const auto token = must(crypto::TimeStampToken::from_der(must(source.stamp(imprint))));
  EXPECT_EQ(token.info().imprint, imprint);
  OnlineTimestamps wrong(url_ + "/ocsp", OnlineOptions{});
  const auto refused = wrong.stamp(imprint);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("status 415"));
  EXPECT_EQ(OnlineTimestamps("file:///etc/passwd", OnlineOptions{}).stamp(imprint).error().kind, ErrorKind::usage);
}

}  // namespace
}  // namespace karta::identity
