// Certificates of every profile that comes along, read by OpenSSL, Botan and GnuTLS: each field that matters is what
// karta meant.
#include <botan/bigint.h>
#include <botan/x509cert.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/der.h"
#include "crypto/openssl_handles.h"
#include "crypto/testing.h"
#include "crypto/x509/authority.h"

namespace karta::crypto {
namespace {

using ::testing::HasSubstr;
using testing::must;
using testing::test_key;
using testing::test_time;

using X509Ptr = std::unique_ptr<X509, OpensslFree<X509_free>>;

struct Sample {
  CertificateProfile profile;
  Certificate certificate;
};

const Sample& sample(std::string_view name) {
  static testing::TestCentre centre(KeyType::p256, KeyType::p384);
  static std::map<std::string, Sample, std::less<>> made;
  if (const auto found = made.find(name); found != made.end()) return found->second;
  const auto row = std::find_if(built_in_profiles().begin(), built_in_profiles().end(),
                                [&](const BuiltInProfile& one) { return one.name == name; });
  CertificateProfile profile = must(CertificateProfile::from_toml(row->text, std::string(name)));
  NameBuilder subject;
  if (name == "qualified-63fz") {
    subject.add("CN", "Примеров Образец").add("SNILS", "00000000000").add("INN", "000000000000");
  } else if (name == "qualified-eidas") {
    subject.add("C", "XX").add("SN", "Sample").add("GN", "Sample").add("CN", "Sample").add("serialNumber", "PNOXX-0");
  } else {
    subject.add("CN", "Sample " + std::string(name));
    // Authorities and agencies have an organization, people and servers need not.
    if (name == "root-ca" || name == "issuing-ca" || name == "document-signer") subject.add("O", "Test").add("C", "XX");
  }
  CertificateRequest request{.subject = must(subject.build()), .public_key = test_key(KeyType::p256).public_key()};
  if (name == "tls-server") request.subject_alternative_names = {GeneralName::dns("host.example")};
  const FixedClock clock(test_time());
  SystemRandom random;
  const bool by_root = profile.basic_constraints && profile.basic_constraints->ca;
  SoftwareSigner own(testing::copy_of(test_key(KeyType::p256)));
  Certificate certificate =
      name == "root-ca" ? must(self_signed(profile, request, own, clock, random))
      : by_root         ? must(issue_certificate(profile, request, centre.root, centre.root_signer, clock, random))
                        : must(issue_certificate(profile, request, centre.ca, centre.ca_signer, clock, random));
  return made.emplace(std::string(name), Sample{std::move(profile), std::move(certificate)}).first->second;
}

class EveryProfile : public ::testing::TestWithParam<std::string> {
 protected:
  const Certificate& mine() const { return sample(GetParam()).certificate; }
};
std::vector<std::string> names_of_profiles() {
  std::vector<std::string> out;
  for (const BuiltInProfile& one : built_in_profiles()) out.emplace_back(one.name);
  return out;
}
INSTANTIATE_TEST_SUITE_P(X509, EveryProfile, ::testing::ValuesIn(names_of_profiles()), [](const auto& one) {
  std::string name = one.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

template <class Object>
Bytes der_of(const Object* object, int (*encode)(const Object*, unsigned char**)) {
  unsigned char* der = nullptr;
  const int octets = encode(object, &der);
  Bytes out(der, der + std::max(octets, 0));
  OPENSSL_free(der);
  return out;
}

Time from_openssl(const ASN1_TIME* time) {
  std::tm parts{};
  EXPECT_EQ(ASN1_TIME_to_tm(time, &parts), 1);
  return Time(std::chrono::seconds(timegm(&parts)));
}

TEST_P(EveryProfile, IsReadByOpenssl) {
  const std::uint8_t* at = mine().der().data();
  const X509Ptr theirs(d2i_X509(nullptr, &at, static_cast<long>(mine().der().size())));
  ASSERT_NE(theirs, nullptr);
  EXPECT_EQ(der_of(X509_get_subject_name(theirs.get()), i2d_X509_NAME), mine().subject().der());
  EXPECT_EQ(der_of(X509_get_issuer_name(theirs.get()), i2d_X509_NAME), mine().issuer().der());
  const ASN1_INTEGER* const serial = X509_get0_serialNumber(theirs.get());
  EXPECT_EQ(to_hex(ByteView(ASN1_STRING_get0_data(serial), static_cast<std::size_t>(ASN1_STRING_length(serial)))),
            to_hex(mine().serial()[0] == 0 ? ByteView(mine().serial()).subspan(1) : ByteView(mine().serial())));
  EXPECT_EQ(from_openssl(X509_get0_notBefore(theirs.get())), mine().not_before());
  EXPECT_EQ(from_openssl(X509_get0_notAfter(theirs.get())), mine().not_after());
  EXPECT_EQ(der_of(X509_get_X509_PUBKEY(theirs.get()), i2d_X509_PUBKEY), to_bytes(mine().spki()));

  // Bits as OpenSSL numbers them: those of the first octet reversed.
  static constexpr std::pair<KeyUsage, std::uint32_t> kBits[] = {{KeyUsage::digital_signature, KU_DIGITAL_SIGNATURE},
                                                                 {KeyUsage::non_repudiation, KU_NON_REPUDIATION},
                                                                 {KeyUsage::key_encipherment, KU_KEY_ENCIPHERMENT},
                                                                 {KeyUsage::data_encipherment, KU_DATA_ENCIPHERMENT},
                                                                 {KeyUsage::key_agreement, KU_KEY_AGREEMENT},
                                                                 {KeyUsage::key_cert_sign, KU_KEY_CERT_SIGN},
                                                                 {KeyUsage::crl_sign, KU_CRL_SIGN}};
  const std::uint32_t usage = X509_get_key_usage(theirs.get());
  for (const auto& [bit, openssl_bit] : kBits)
    EXPECT_EQ(mine().allows(bit), (usage & openssl_bit) != 0) << name_of(bit);

  std::vector<std::string> purposes;
  if (auto* const list =
          static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(theirs.get(), NID_ext_key_usage, nullptr, nullptr))) {
    for (int i = 0; i < sk_ASN1_OBJECT_num(list); ++i) {
      char text[128];
      OBJ_obj2txt(text, sizeof text, sk_ASN1_OBJECT_value(list, i), 1);
      purposes.emplace_back(text);
    }
    EXTENDED_KEY_USAGE_free(list);
  }
  EXPECT_EQ(purposes, mine().extended_key_usage());

  std::vector<std::string> policies;
  if (auto* const list = static_cast<CERTIFICATEPOLICIES*>(
          X509_get_ext_d2i(theirs.get(), NID_certificate_policies, nullptr, nullptr))) {
    for (int i = 0; i < sk_POLICYINFO_num(list); ++i) {
      char text[128];
      OBJ_obj2txt(text, sizeof text, sk_POLICYINFO_value(list, i)->policyid, 1);
      policies.emplace_back(text);
    }
    CERTIFICATEPOLICIES_free(list);
  }
  EXPECT_EQ(policies, mine().policies());

  const auto octets = [](const ASN1_OCTET_STRING* string) {
    return string == nullptr ? Bytes{}
                             : to_bytes(ByteView(ASN1_STRING_get0_data(string),
                                                 static_cast<std::size_t>(ASN1_STRING_length(string))));
  };
  EXPECT_EQ(octets(X509_get0_subject_key_id(theirs.get())), mine().subject_key_id());
  EXPECT_EQ(octets(X509_get0_authority_key_id(theirs.get())),
            mine().authority_key_id() ? mine().authority_key_id()->key_id : Bytes{});
  EXPECT_EQ(X509_check_ca(theirs.get()) != 0, mine().is_ca());
  const long path_length = X509_get_pathlen(theirs.get());
  EXPECT_EQ(path_length, mine().basic_constraints() && mine().basic_constraints()->path_length
                             ? static_cast<long>(*mine().basic_constraints()->path_length)
                             : -1);
  EXPECT_EQ(static_cast<std::size_t>(X509_get_ext_count(theirs.get())), mine().extensions().size());
  for (int i = 0; i < X509_get_ext_count(theirs.get()); ++i) {
    X509_EXTENSION* const extension = X509_get_ext(theirs.get(), i);
    EXPECT_EQ(X509_EXTENSION_get_critical(extension) != 0, mine().extensions()[static_cast<std::size_t>(i)].critical);
    EXPECT_EQ(octets(X509_EXTENSION_get_data(extension)), mine().extensions()[static_cast<std::size_t>(i)].value);
  }
  ERR_clear_error();
}

TEST_P(EveryProfile, IsReadByBotan) {
  const Botan::X509_Certificate theirs(mine().der().data(), mine().der().size());
  const auto plain = [](const std::vector<std::uint8_t>& octets) { return Bytes(octets.begin(), octets.end()); };
  EXPECT_EQ(plain(theirs.raw_subject_dn()), mine().subject().der());
  EXPECT_EQ(plain(theirs.raw_issuer_dn()), mine().issuer().der());
  EXPECT_EQ(Botan::BigInt::decode(theirs.serial_number()),
            Botan::BigInt::decode(mine().serial().data(), mine().serial().size()));
  EXPECT_EQ(theirs.not_before().time_since_epoch(),
            static_cast<std::uint64_t>(mine().not_before().time_since_epoch().count()));
  EXPECT_EQ(theirs.not_after().time_since_epoch(),
            static_cast<std::uint64_t>(mine().not_after().time_since_epoch().count()));
  EXPECT_EQ(plain(theirs.subject_public_key_info()), to_bytes(mine().spki()));
  static constexpr std::pair<KeyUsage, Botan::Key_Constraints> kBits[] = {
      {KeyUsage::digital_signature, Botan::DIGITAL_SIGNATURE},
      {KeyUsage::non_repudiation, Botan::NON_REPUDIATION},
      {KeyUsage::key_encipherment, Botan::KEY_ENCIPHERMENT},
      {KeyUsage::data_encipherment, Botan::DATA_ENCIPHERMENT},
      {KeyUsage::key_agreement, Botan::KEY_AGREEMENT},
      {KeyUsage::key_cert_sign, Botan::KEY_CERT_SIGN},
      {KeyUsage::crl_sign, Botan::CRL_SIGN}};
  for (const auto& [bit, botan_bit] : kBits) {
    EXPECT_EQ(mine().allows(bit), (theirs.constraints() & botan_bit) != 0) << name_of(bit);
  }
  std::vector<std::string> purposes, policies;
  for (const Botan::OID& one : theirs.extended_key_usage()) purposes.push_back(one.to_string());
  for (const Botan::OID& one : theirs.certificate_policy_oids()) policies.push_back(one.to_string());
  EXPECT_EQ(purposes, mine().extended_key_usage());
  EXPECT_EQ(policies, mine().policies());
  EXPECT_EQ(plain(theirs.subject_key_id()), mine().subject_key_id());
  EXPECT_EQ(plain(theirs.authority_key_id()), mine().authority_key_id() ? mine().authority_key_id()->key_id : Bytes{});
  EXPECT_EQ(theirs.is_CA_cert(), mine().is_ca());
}

TEST_P(EveryProfile, IsReadByGnutls) {
  const testing::TemporaryFolder folder;
  folder.write("one.pem", mine().to_pem());
  const testing::Ran ran = testing::run(folder, "LC_ALL=C certtool -i --infile one.pem");
  ASSERT_EQ(ran.status, 0) << ran.output;
  const auto time = [](Time when) {
    const std::time_t seconds = static_cast<std::time_t>(when.time_since_epoch().count());
    char text[64];
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::strftime(text, sizeof text, "%a %b %d %H:%M:%S UTC %Y", &parts);
    return std::string(text);
  };
  const std::string& text = ran.output;
  EXPECT_THAT(text, HasSubstr("Serial Number (hex): " + to_hex(mine().serial())));
  EXPECT_THAT(text, HasSubstr("Not Before: " + time(mine().not_before())));
  EXPECT_THAT(text, HasSubstr("Not After: " + time(mine().not_after())));
  EXPECT_THAT(text, HasSubstr("sha256:" + to_hex(mine().fingerprint())));
  EXPECT_THAT(text, HasSubstr(to_hex(mine().subject_key_id())));
  EXPECT_EQ(text.find("error"), std::string::npos) << text;
  const bool says_ca = text.find("Certificate Authority (CA): TRUE") != std::string::npos;
  EXPECT_EQ(says_ca, mine().is_ca()) << text;
  static constexpr std::pair<KeyUsage, const char*> kWords[] = {
      {KeyUsage::digital_signature, "Digital signature."}, {KeyUsage::non_repudiation, "Non repudiation."},
      {KeyUsage::key_encipherment, "Key encipherment."},   {KeyUsage::key_agreement, "Key agreement."},
      {KeyUsage::key_cert_sign, "Certificate signing."},   {KeyUsage::crl_sign, "CRL signing."}};
  for (const auto& [bit, words] : kWords) {
    EXPECT_EQ(mine().allows(bit), text.find(words) != std::string::npos) << words << "\n" << text;
  }
}

}  // namespace
}  // namespace karta::crypto
