#include "crypto/x509/name_constraints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/der.h"
#include "crypto/testing.h"
#include "crypto/x509/path.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using testing::test_key;
using testing::test_time;

struct WithinRow {
  const char* name;
  const char* base;
  bool within;
};
// RFC 5280 §4.2.1.10
const WithinRow kRows[] = {
    {"dns:host.example", "dns:example", true},
    {"dns:EXAMPLE", "dns:example", true},
    {"dns:badexample", "dns:example", false},
    {"dns:host.example", "dns:.example", true},
    {"dns:example", "dns:.example", false},
    {"dns:anything", "dns:", true},
    {"email:a@host.example", "email:host.example", true},
    {"email:a@HOST.example", "email:host.example", true},
    {"email:a@sub.host.example", "email:host.example", false},
    {"email:a@sub.host.example", "email:.host.example", true},
    {"email:a@host.example", "email:.host.example", false},
    {"email:a@host.example", "email:a@host.example", true},
    {"email:A@host.example", "email:a@host.example", false},
    {"uri:https://host.example:8080/x?y@z", "uri:host.example", true},
    {"uri:https://user@host.example/", "uri:host.example", true},
    {"uri:https://host.example.evil/", "uri:host.example", false},
    {"uri:https://evil/host.example", "uri:host.example", false},
    {"uri:https://sub.host.example", "uri:.host.example", true},
    {"uri:https://192.0.2.1/", "uri:192.0.2.1", false},
    {"uri:urn:x:host.example", "uri:host.example", false},
    {"ip:192.0.2.127", "ip:192.0.2.0/25", true},
    {"ip:192.0.2.128", "ip:192.0.2.0/25", false},
    {"ip:2001:db8::1", "ip:2001:db8::/32", true},
    {"ip:192.0.2.1", "ip:::/0", false},
    {"ip:192.0.2.1", "ip:0.0.0.0/0", true},
    {"dirname:CN=A,O=Test,C=XX", "dirname:O=test,C=XX", true},
    {"dirname:CN=A,O=Tester,C=XX", "dirname:O=Test,C=XX", false},
    {"dirname:O=Test,C=XX", "dirname:CN=A,O=Test,C=XX", false},
    {"dns:host.example", "uri:host.example", false},
};

TEST(NameConstraint, SubtreesAreThoseOfTheStandard) {
  for (const WithinRow& row : kRows) {
    EXPECT_EQ(within(must(general_name_from_text(row.name)), must(general_name_from_text(row.base, true))), row.within)
        << row.name << " in " << row.base;
  }
}

std::string check(const std::vector<std::string>& permitted, const std::vector<std::string>& excluded,
                  const std::vector<std::string>& names, const char* subject = "CN=Leaf,C=XX") {
  NameConstraints constraints;
  for (const std::string& one : permitted) constraints.permitted.push_back(must(general_name_from_text(one, true)));
  for (const std::string& one : excluded) constraints.excluded.push_back(must(general_name_from_text(one, true)));
  const NameConstraints back = must(parse_name_constraints(encode(constraints)));
  EXPECT_EQ(back.permitted, constraints.permitted);
  EXPECT_EQ(back.excluded, constraints.excluded);
  std::vector<GeneralName> list;
  for (const std::string& one : names) list.push_back(must(general_name_from_text(one)));
  NameConstraintState state;
  state.add(constraints);
  const Status status = state.check(must(name_from_text(subject)), list);
  return status ? "allowed" : status.error().message;
}

TEST(NameConstraint, EveryNameMustBeAllowed) {
  EXPECT_EQ(check({"dns:example"}, {}, {"dns:a.example", "dns:b.example"}), "allowed");
  EXPECT_THAT(check({"dns:example"}, {}, {"dns:a.example", "dns:other"}), HasSubstr("dns:other is not among"));
  EXPECT_EQ(check({"dns:example"}, {}, {"email:a@other"}), "allowed");  // of a kind not spoken of
  EXPECT_THAT(check({"dns:example"}, {"dns:a.example"}, {"dns:a.example"}), HasSubstr("is excluded by dns:a.example"));
  // A wildcard may be the very name excluded.
  EXPECT_THAT(check({}, {"dns:secret.example"}, {"dns:*.example"}), HasSubstr("is excluded"));
  // The subject is a directory name, and its mail address one where there is no other.
  EXPECT_THAT(check({"dirname:O=Test,C=XX"}, {}, {}), HasSubstr("dirname:CN=Leaf,C=XX"));
  EXPECT_THAT(check({"email:example"}, {}, {}, "E=a@other,CN=Leaf"), HasSubstr("email:a@other"));
  EXPECT_EQ(check({"email:example"}, {}, {"email:a@example"}, "E=a@other,CN=Leaf"), "allowed");
  // What has no host can be held against nothing.
  EXPECT_THAT(check({}, {"uri:.example"}, {"uri:urn:x"}), HasSubstr("is excluded"));
}

TEST(NameConstraint, TooManyComparisonsAreRefused) {
  NameConstraints constraints;
  for (std::size_t i = 0; i < kMostSubtrees; ++i) constraints.permitted.push_back(GeneralName::dns("x"));
  NameConstraintState state;
  state.add(constraints);
  const std::vector<GeneralName> names(kMostGeneralNames, GeneralName::dns("x"));
  EXPECT_EQ(state.check(Name(), names).error().kind, ErrorKind::limit);
}

TEST(Policies, HostileMappingsCostNothing) {
  // Each CA maps each of two policies to both: a tree would have 2^18 leaves, the graph has two nodes a level.
  const FixedClock clock(test_time());
  SystemRandom random;
  std::vector<SoftwareSigner> signers;
  std::vector<Certificate> chain;
  constexpr std::size_t kDepth = kMostPathLength;
  for (std::size_t i = 0; i < kDepth; ++i) {
    CertificateProfile profile;
    profile.name = "hostile";
    profile.validity_days = 100;
    profile.key_types = {KeyType::ed25519};
    if (i + 1 != kDepth) {
      profile.key_usage = {KeyUsage::key_cert_sign};
      profile.basic_constraints = BasicConstraints{true, std::nullopt};
    }
    const std::string one = "2.999.1", other = "2.999.2";
    if (i != 0) profile.policies = {one, other};
    if (i != 0 && i + 1 != kDepth) {
      Bytes mappings;
      for (const std::string& from : {one, other}) {
        for (const std::string& to : {one, other}) {
          append(mappings, der::sequence({der::oid(std::string_view(from)), der::oid(std::string_view(to))}));
        }
      }
      profile.extensions.push_back({"2.5.29.33", true, der::sequence(mappings)});
    }
    signers.emplace_back(must(PrivateKey::generate(KeyType::ed25519)));
    const CertificateRequest request{.subject = must(NameBuilder().add("CN", "CA " + std::to_string(i)).build()),
                                     .public_key = signers.back().public_key()};
    chain.push_back(i == 0 ? must(self_signed(profile, request, signers[0], clock, random))
                           : must(issue_certificate(profile, request, chain.back(), signers[i - 1], clock, random)));
  }
  PathOptions options;
  options.at = test_time();
  options.policies.require_explicit_policy = true;
  const PathResult path = verify_path(chain.back(), chain, {chain.front()}, options);
  EXPECT_TRUE(path.ok()) << path.reason;
  EXPECT_EQ(path.policies.user_policies, (std::vector<std::string>{"2.999.1", "2.999.2"}));
  options.policies.inhibit_mapping = true;
  EXPECT_EQ(verify_path(chain.back(), chain, {chain.front()}, options).fault, PathFault::policy);
}

std::string profile_fault(const std::string& lines) {
  const auto profile = CertificateProfile::from_toml(
      "schema = \"karta.certificate-profile/1\"\nname = \"x\"\nvalidity_days = 1\n" + lines, "x.toml");
  return profile ? "accepted" : profile.error().message;
}

TEST(Profiles, RulesOfCasAreForCas) {
  const std::string ca = "key_usage = [\"keyCertSign\"]\n[basic_constraints]\nca = true\n";
  EXPECT_EQ(profile_fault("inhibit_any_policy = 0\n" + ca), "accepted");
  EXPECT_THAT(profile_fault("inhibit_any_policy = 0\n"), HasSubstr("for CAs only"));
  EXPECT_THAT(profile_fault("policy_mappings = [\"1.2.3\"]\n" + ca), HasSubstr("x.toml:4"));
  EXPECT_THAT(profile_fault(ca + "[name_constraints]\npermitted = [\"ip:192.0.2.1\"]\n"),
              HasSubstr("range of addresses"));
  EXPECT_EQ(profile_fault(ca + "[name_constraints]\npermitted = [\"ip:192.0.2.0/24\", \"dns:.example\"]\n"),
            "accepted");
  EXPECT_THAT(profile_fault("critical = [\"extKeyUsage\"]\n"), HasSubstr("critical"));
  EXPECT_THAT(profile_fault("[qc_statements]\ntype = \"x\"\n"), HasSubstr("esign"));
  EXPECT_THAT(profile_fault("[qc_statements]\ntype = \"esign\"\ncountries = [\"xx\"]\n"), HasSubstr("no country"));
  EXPECT_THAT(profile_fault("[qualified_63fz]\nsign_tool = \"x\"\n"), HasSubstr("subject_sign_tool"));
  EXPECT_THAT(profile_fault("cps_url = \"https://ca.example\"\n"), HasSubstr("policies"));
}

}  // namespace
}  // namespace karta::crypto
