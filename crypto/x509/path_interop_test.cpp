// A second opinion on paths: OpenSSL's X509_verify_cert over a family of generated chains with policies, mappings,
// inhibit rules, name constraints and path lengths. Where the two disagree, one of them misreads RFC 5280.
#include <botan/x509cert.h>
#include <gtest/gtest.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include "base/der.h"
#include "crypto/cms/timestamp.h"
#include "crypto/openssl_handles.h"
#include "crypto/pem.h"
#include "crypto/testing.h"
#include "crypto/x509/authority.h"
#include "crypto/x509/path.h"

namespace karta::crypto {
namespace {

using testing::must;
using testing::test_time;

using X509Ptr = std::unique_ptr<X509, OpensslFree<X509_free>>;
using StorePtr = std::unique_ptr<X509_STORE, OpensslFree<X509_STORE_free>>;
using StoreCtxPtr = std::unique_ptr<X509_STORE_CTX, OpensslFree<X509_STORE_CTX_free>>;

X509Ptr to_openssl(const Certificate& certificate) {
  const std::uint8_t* at = certificate.der().data();
  return X509Ptr(d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size())));
}

/// OpenSSL's verdict: X509_V_OK or an error.
int openssl_verdict(const std::vector<Certificate>& chain, const PathOptions& options) {
  const StorePtr store(X509_STORE_new());
  const X509Ptr anchor = to_openssl(chain.back()), leaf = to_openssl(chain.front());
  X509_STORE_add_cert(store.get(), anchor.get());
  STACK_OF(X509)* const between = sk_X509_new_null();
  std::vector<X509Ptr> owned;
  for (std::size_t i = 1; i + 1 < chain.size(); ++i) {
    owned.push_back(to_openssl(chain[i]));
    sk_X509_push(between, owned.back().get());
  }
  const StoreCtxPtr context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), between);
  X509_VERIFY_PARAM* const param = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(param, static_cast<time_t>(options.at.time_since_epoch().count()));
  unsigned long flags = X509_V_FLAG_POLICY_CHECK;
  if (options.policies.require_explicit_policy) flags |= X509_V_FLAG_EXPLICIT_POLICY;
  if (options.policies.inhibit_mapping) flags |= X509_V_FLAG_INHIBIT_MAP;
  if (options.policies.inhibit_any_policy) flags |= X509_V_FLAG_INHIBIT_ANY;
  X509_VERIFY_PARAM_set_flags(param, flags);
  // Given no policy at all, OpenSSL counts none as acceptable rather than any: the policy that stands for any is named.
  std::vector<std::string> acceptable = options.policies.initial_policies;
  if (acceptable.empty()) acceptable.emplace_back(kAnyPolicyOid);
  for (const std::string& policy : acceptable) {
    X509_VERIFY_PARAM_add0_policy(param, OBJ_txt2obj(policy.c_str(), 1));
  }
  const int verified = X509_verify_cert(context.get());
  const int error = X509_STORE_CTX_get_error(context.get());
  sk_X509_free(between);
  ERR_clear_error();
  return verified == 1 ? X509_V_OK : error == X509_V_OK ? X509_V_ERR_UNSPECIFIED : error;
}

TEST(PathInterop, OpensslAgreesOnGeneratedChains) {
  SeededRandom dice(5280);
  SystemRandom random;
  const FixedClock clock(test_time());
  std::vector<SoftwareSigner> signers;
  for (int i = 0; i < 6; ++i) signers.emplace_back(must(PrivateKey::generate(KeyType::ed25519)));
  const std::string arc = "2.999.1.";
  const auto one_in = [&](std::uint64_t n) { return dice.below(n) == 0; };
  const auto policy = [&] { return arc + std::to_string(1 + dice.below(3)); };
  int valid = 0, invalid = 0;
  for (int round = 0; round < 1500; ++round) {
    const std::size_t depth = 2 + dice.below(4);  // certificates, the anchor included
    std::vector<Certificate> chain;
    for (std::size_t i = 0; i < depth; ++i) {
      const bool leaf = i + 1 == depth, root = i == 0;
      CertificateProfile profile;
      profile.name = "generated";
      profile.validity_days = 365;
      profile.key_types = {KeyType::ed25519};
      if (!leaf) {
        profile.key_usage = {KeyUsage::key_cert_sign};
        profile.basic_constraints = BasicConstraints{true, std::nullopt};
        if (!root && one_in(6)) profile.basic_constraints->path_length = static_cast<std::uint32_t>(dice.below(3));
      }
      const auto constrain = [&](std::string_view oid, Bytes value) {
        profile.extensions.push_back({std::string(oid), true, std::move(value)});
      };
      if (!root && !one_in(6)) {
        for (int n = 1 + static_cast<int>(dice.below(2)); n > 0; --n) {
          const std::string one = one_in(5) ? std::string(kAnyPolicyOid) : policy();
          if (std::find(profile.policies.begin(), profile.policies.end(), one) == profile.policies.end()) {
            profile.policies.push_back(one);
          }
        }
      }
      if (!root && !leaf) {
        // OpenSSL wants the mapped policy asserted, as §4.2.1.5 says it should be.
        if (!profile.policies.empty() && profile.policies.front() != kAnyPolicyOid && one_in(3)) {
          constrain("2.5.29.33", der::sequence(der::sequence({der::oid(std::string_view(profile.policies.front())),
                                                              der::oid(std::string_view(policy()))})));
        }
        const auto tagged = [](unsigned number, std::uint64_t value) {
          Bytes out = der::integer(value);
          out[0] = static_cast<std::uint8_t>(der::context_primitive(number));
          return out;
        };
        if (one_in(4))
          constrain("2.5.29.36", der::sequence(tagged(0, dice.below(3))));
        else if (one_in(4))
          constrain("2.5.29.36", der::sequence(tagged(1, dice.below(3))));
        if (one_in(4)) constrain("2.5.29.54", der::integer(dice.below(3)));
        if (one_in(4)) {
          NameConstraints names;
          const char* const bases[] = {"dns:a.example",   "dns:example",         "email:a.example",
                                       "ip:192.0.2.0/25", "dirname:O=Test,C=XX", "uri:.example"};
          auto& list = one_in(3) ? names.excluded : names.permitted;
          list.push_back(must(general_name_from_text(bases[dice.below(6)], true)));
          constrain("2.5.29.30", encode(names));
        }
      }
      CertificateRequest request{.subject = must(name_from_text((leaf ? "CN=Leaf " : "CN=CA ") + std::to_string(i) +
                                                                (one_in(3) ? ",O=Other,C=XX" : ",O=Test,C=XX"))),
                                 .public_key = signers[i].public_key()};
      if (leaf && !one_in(3)) {
        const char* const names[] = {"dns:host.a.example",        "dns:host.b.example", "email:x@a.example",
                                     "email:x@b.example",         "ip:192.0.2.5",       "ip:192.0.2.200",
                                     "uri:https://host.example/x"};
        request.subject_alternative_names.push_back(must(general_name_from_text(names[dice.below(7)])));
      }
      SoftwareSigner& issuer = signers[root ? 0 : i - 1];
      // issue_certificate holds CAs to their path length; the chains here are to break it.
      if (root) {
        chain.push_back(must(self_signed(profile, request, issuer, clock, random)));
      } else {
        auto made = issue_certificate(profile, request, chain.back(), issuer, clock, random);
        if (!made) break;
        chain.push_back(std::move(*made));
      }
    }
    if (chain.size() != depth) continue;
    std::reverse(chain.begin(), chain.end());
    PathOptions options;
    options.at = test_time() + std::chrono::hours(1);
    options.policies.require_explicit_policy = one_in(4);
    options.policies.inhibit_mapping = one_in(6);
    options.policies.inhibit_any_policy = one_in(6);
    if (one_in(2)) options.policies.initial_policies.push_back(policy());
    const std::vector<Certificate> between(chain.begin() + 1, chain.end() - 1);
    const PathResult ours = verify_path(chain.front(), between, {chain.back()}, options);
    const int theirs = openssl_verdict(chain, options);
    ASSERT_EQ(ours.ok(), theirs == X509_V_OK) << "round " << round << ": ours \"" << ours.reason << "\", theirs \""
                                              << X509_verify_cert_error_string(theirs) << "\"\n"
                                              << [&] {
                                                   std::string pem;
                                                   for (const Certificate& one : chain) pem += one.to_pem();
                                                   return pem;
                                                 }();
    (ours.ok() ? valid : invalid) += 1;
  }
  // The family is worth something only if it has many of both.
  EXPECT_GT(valid, 200);
  EXPECT_GT(invalid, 200);
}

TEST(TimeStampInterop, TokensOfOpensslAreTaken) {
  testing::TestCentre centre;
  const testing::TemporaryFolder folder;
  const FixedClock then(must(parse_time("2026-01-03")));
  SystemRandom random;
  CertificateProfile profile;
  for (const BuiltInProfile& one : built_in_profiles()) {
    if (one.name == "tsa") profile = must(CertificateProfile::from_toml(one.text));
  }
  for (const KeyType type : {KeyType::p256, KeyType::rsa_2048}) {
    const PrivateKey& key = testing::test_key(type);
    const CertificateRequest request{.subject = must(NameBuilder().add("CN", "Test TSA").build()),
                                     .public_key = key.public_key()};
    const Certificate tsa = must(issue_certificate(profile, request, centre.ca, centre.ca_signer, then, random));
    folder.write("tsa.pem", tsa.to_pem());
    folder.write("ca.pem", centre.ca.to_pem());
    folder.write("key.pem", to_pem("PRIVATE KEY", key.expose_secret_der().expose_secret()));
    folder.write("serial", "01\n");
    folder.write(
        "ts.cnf",
        "[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_cert = tsa.pem\nsigner_key = key.pem\ncerts = ca.pem\n"
        "default_policy = 2.999.3\ndigests = sha256, sha384, sha512\naccuracy = secs:1, millisecs:500\n"
        "signer_digest = sha256\nclock_precision_digits = 3\nordering = yes\ntsa_name = yes\n");
    const TimeStampRequest asked{.imprint = imprint_of(Hash::sha384, as_bytes("a contract")), .nonce = {0x7F, 0x01}};
    folder.write("request", asked.to_der());
    // Both references to the signer's certificate: ESSCertID (SHA-1) and ESSCertIDv2.
    for (const char* reference : {"sha1", "sha256", "sha512"}) {
      folder.write("ts-now.cnf", std::string(as_text(folder.read("ts.cnf"))) + "ess_cert_id_alg = " + reference + "\n");
      const testing::Ran ran = testing::run(
          folder, "openssl ts -reply -config ts-now.cnf -queryfile request -signer tsa.pem -inkey key.pem -out answer");
      ASSERT_EQ(ran.status, 0) << ran.output;
      const TimeStampToken token = must(token_of(asked, must(TimeStampResponse::from_der(folder.read("answer")))));
      EXPECT_TRUE(token.info().ordering);
      EXPECT_EQ(token.info().accuracy, std::chrono::microseconds(1'500'000));
      PathOptions options;
      options.at = token.info().time;
      const auto verdict = verify_time_stamp(token, asked.imprint, PathVerifier({centre.root}, {centre.ca}), options);
      EXPECT_TRUE(verdict) << reference << ": " << verdict.error().message;
    }
  }
}

TEST(ProfileInterop, BotanReadsEveryProfile) {
  const FixedClock clock(test_time());
  SystemRandom random;
  testing::TestCentre centre;
  for (const BuiltInProfile& one : built_in_profiles()) {
    const CertificateProfile profile = must(CertificateProfile::from_toml(one.text, one.name));
    NameBuilder builder;
    for (const std::string& attribute : profile.subject_required) {
      builder.add(attribute, attribute == "C" ? "XX" : attribute == "SNILS" ? "00000000000" : "Sample");
    }
    const CertificateRequest request{.subject = must(builder.build()),
                                     .public_key = testing::test_key(KeyType::p256).public_key()};
    const Certificate certificate =
        must(issue_certificate(profile, request, centre.root, centre.root_signer, clock, random));
    const std::vector<std::uint8_t> der(certificate.der().begin(), certificate.der().end());
    const Botan::X509_Certificate theirs(der);
    EXPECT_EQ(theirs.is_CA_cert(), certificate.is_ca()) << one.name;
  }
}

}  // namespace
}  // namespace karta::crypto
