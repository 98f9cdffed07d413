// Validation testing: signed files, forged ones, time-stamps and lists, for the tests of this folder. Included by tests
// only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "base/der.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/cms/attributes.h"
#include "crypto/cms/sign.h"
#include "crypto/cms/signed_data.h"
#include "crypto/cms/timestamp.h"
#include "crypto/digest.h"
#include "crypto/testing.h"
#include "crypto/validation/validate.h"

namespace karta::crypto::testing {

inline const Bytes kText = to_bytes(as_bytes("I hereby agree.\n"));

/// One centre for all tests that need no other.
inline TestCentre& centre() {
  static TestCentre one(KeyType::p256, KeyType::p256);
  return one;
}
class TestAuthority;
TestAuthority& authority();
TrustMaterial trust();

inline Bytes sign(ByteView content, CmsForm form, Signer& signer, std::optional<AlgorithmId> algorithm = {}) {
  MemoryContent source(content);
  return must(sign_cms(signer, source, {.form = form, .signing_time = test_time(), .algorithm = algorithm}));
}

inline Report verify(ByteView signature, std::optional<ByteView> content, const TrustMaterial& material,
                     const ValidateOptions& options) {
  if (!content) return verify_cms(signature, nullptr, material, options);
  MemoryContent source(*content);
  return verify_cms(signature, &source, material, options);
}
inline Report verify(ByteView signature, std::optional<ByteView> content, const TrustMaterial& material = trust(),
                     Time at = test_time()) {
  return verify(signature, content, material, ValidateOptions{.at = at, .keep_content = !content});
}

inline std::string words(const Report& report) {
  std::string out;
  for (const SignatureReport& one : report.signatures) {
    out += std::string(name_of(one.verdict)) + " " + std::string(name_of(one.sub_indication)) + " " +
           std::string(name_of(one.integrity)) + " " + one.level + "\n";
    for (const Finding& finding : one.findings) {
      out += std::string(name_of(finding.severity)) + " " + finding.code + ": " + finding.message + "\n";
    }
  }
  return out;
}

inline bool has(const SignatureReport& report, std::string_view code) {
  return std::any_of(report.findings.begin(), report.findings.end(), [&](const Finding& f) { return f.code == code; });
}

/// The one signature of `report` came to this sub-indication, for this reason.
inline void expect_fault(const Report& report, Verdict verdict, SubIndication sub, std::string_view code) {
  ASSERT_EQ(report.signatures.size(), 1u);
  const SignatureReport& one = report.signatures.front();
  EXPECT_EQ(name_of(one.verdict), name_of(verdict)) << words(report);
  EXPECT_EQ(report.verdict, verdict);
  EXPECT_EQ(name_of(one.sub_indication), name_of(sub)) << words(report);
  ASSERT_NE(one.first_fault(), nullptr);
  EXPECT_EQ(one.first_fault()->code, code) << words(report);
}

/// A SignedData put together by hand, signed by the citizen's key unless said otherwise.
struct Forgery {
  Bytes content = kText;
  bool inside = false;
  std::string content_type = std::string(cms::kDataOid);
  Bytes certificate = centre().citizen_certificate.der();
  Hash digest_hash = Hash::sha256;
  AlgorithmId algorithm = AlgorithmId::ecdsa_sha256;
  std::vector<Bytes> extra_attributes;
  std::optional<std::vector<Bytes>> attributes;  // instead of the usual ones
  bool without_attributes = false;
  bool reverse = false;          // attributes in descending order in the file, signed over their DER form
  bool sign_as_written = false;  // signed over the order in the file
  Bytes unsigned_attributes;
  Bytes announced = encode_digest_algorithm(Hash::sha256);
  std::vector<Bytes> more_certificates = {centre().ca.der()};
  unsigned signer_version = 1;
  std::uint64_t version = 1;
  std::optional<Bytes> value;  // a signature value from elsewhere
  Signer* signer = nullptr;    // instead of the citizen's
  bool with_certificate = true;
  Bytes key_id;  // names the signer, instead of issuer and serial number
  std::vector<Bytes> crls;
  std::optional<Time> stamped_at;  // with a signature time-stamp

  static Bytes attribute(std::string_view oid, ByteView value) {
    return der::sequence({der::oid(oid), make_tlv(der::kSet, value)});
  }
  std::vector<Bytes> usual() const {
    return {attribute(cms::kContentTypeOid, der::oid(cms::kDataOid)),
            attribute(cms::kMessageDigestOid, der::octet_string(digest(digest_hash, content)))};
  }
  Bytes make() const;
};

/// A time-stamp authority of a centre of its own, that stamps at any time asked for.
class TestAuthority {
 public:
  TestAuthority() : centre_(KeyType::p256, KeyType::p256), signer_(copy_of(test_key(KeyType::p384))) {
    SystemRandom random;
    const FixedClock then(must(parse_time("2026-01-03")));
    const CertificateRequest request{.subject = must(NameBuilder().add("CN", "Test TSA").build()),
                                     .public_key = signer_.public_key()};
    const auto profile = must(CertificateProfile::from_toml(R"(
schema = "karta.certificate-profile/1"
name = "tsa"
validity_days = 3000
key_usage = ["digitalSignature"]
extended_key_usage = ["timeStamping"]
critical = ["extKeyUsage"]
)"));
    const Certificate own = must(issue_certificate(profile, request, centre_.ca, centre_.ca_signer, then, random));
    signer_.set_certificate_chain({own.der(), centre_.ca.der()});
  }

  const Certificate& root() const { return centre_.root; }
  /// A token over `octets`, made at `at`.
  Bytes stamp(ByteView octets, Time at, Hash hash = Hash::sha256) { return stamp(imprint_of(hash, octets), at); }
  Bytes stamp(const MessageImprint& imprint, Time at) {
    SystemRandom random;
    const FixedClock clock(at);
    auto maker = must(TimeStampAuthority::create(signer_, {.policy = "2.999.3"}, clock, random));
    return must(maker.stamp(imprint));
  }

 private:
  TestCentre centre_;
  SoftwareSigner signer_;
};
inline TestAuthority& authority() {
  static TestAuthority one;
  return one;
}
inline TrustMaterial trust() { return {.anchors = {centre().root}, .timestamp_anchors = {authority().root()}}; }

inline Bytes Forgery::make() const {
  std::vector<Bytes> list = attributes.value_or(usual());
  list.insert(list.end(), extra_attributes.begin(), extra_attributes.end());
  const Bytes sorted = der::set_of(list);
  Bytes written = sorted;
  if (reverse) {
    std::sort(list.rbegin(), list.rend());
    Bytes joined;
    for (const Bytes& one : list) append(joined, one);
    written = make_tlv(der::kSet, joined);
  }
  const Bytes& covered = sign_as_written ? written : sorted;
  Signer& key = signer != nullptr ? *signer : centre().citizen;
  const Bytes signature = value ? *value : must(key.sign_message(algorithm, without_attributes ? content : covered));
  const Certificate parsed = must(Certificate::from_der(certificate));
  Bytes implicit = written;
  implicit[0] = 0xA0;
  const Bytes signer_id = key_id.empty()
                              ? der::sequence({parsed.issuer().der(), make_tlv(der::kInteger, parsed.serial())})
                              : make_tlv(der::context_primitive(0), key_id);
  Bytes proofs = unsigned_attributes;
  if (stamped_at) {
    proofs =
        make_tlv(der::context(1), attribute(cms::kSignatureTimestampOid, authority().stamp(signature, *stamped_at)));
  }
  const Bytes info = der::sequence({der::integer(signer_version), signer_id, encode_digest_algorithm(digest_hash),
                                    without_attributes ? Bytes{} : implicit, encode_signature_algorithm(algorithm),
                                    der::octet_string(signature), proofs});
  Bytes bag = with_certificate ? certificate : Bytes{};
  for (const Bytes& one : more_certificates) append(bag, one);
  Bytes lists;
  for (const Bytes& one : crls) append(lists, one);
  const Bytes lists_tlv = crls.empty() ? Bytes{} : make_tlv(der::context(1), lists);
  const Bytes body = inside ? make_tlv(der::context(0), der::octet_string(content)) : Bytes{};
  return der::sequence(
      {der::oid("1.2.840.113549.1.7.2"),
       make_tlv(der::context(0),
                der::sequence({der::integer(version), make_tlv(der::kSet, announced),
                               der::sequence({der::oid(std::string_view(content_type)), body}),
                               make_tlv(der::context(0), bag), lists_tlv, make_tlv(der::kSet, info)}))});
}

/// A CRL of centre()'s CA or root, from `from` on, good for a month.
inline Crl crl_of(const Certificate& issuer, Signer& signer, Time from, std::vector<CrlContent::Revoked> revoked = {}) {
  static std::uint64_t number = 0;
  CrlContent content;
  content.this_update = from;
  content.next_update = from + std::chrono::hours(24 * 30);
  content.number = ++number;
  content.revoked = std::move(revoked);
  return must(sign_crl(content, issuer, signer));
}

}  // namespace karta::crypto::testing
