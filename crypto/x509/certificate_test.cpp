#include "crypto/x509/certificate.h"

#include <botan/data_src.h>
#include <botan/x509cert.h>
#include <botan/x509path.h>
#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include "base/der.h"
#include "crypto/openssl_handles.h"
#include "crypto/testing.h"
#include "crypto/x509/issue.h"

namespace karta::crypto {
namespace {

using testing::must;
using testing::test_key;
using testing::TestCentre;

TestCentre& centre() {
  static TestCentre one;
  return one;
}

TEST(Certificate, HoldsWhatWasIssued) {
  const Certificate& one = centre().citizen_certificate;
  EXPECT_EQ(one.version(), 3u);
  EXPECT_EQ(one.serial().size() >= 16, true);
  EXPECT_EQ(one.subject().to_text(), "SNILS=00000000000,CN=Примеров Образец,C=XX");
  EXPECT_EQ(one.subject().display(), "Примеров Образец");
  EXPECT_EQ(one.issuer(), centre().ca.subject());
  EXPECT_EQ(format_time(one.not_before()), "2026-01-03T00:00:00Z");
  EXPECT_EQ(format_time(one.not_after()), "2029-01-01T23:59:59Z");
  EXPECT_TRUE(must(one.public_key()) == centre().citizen.public_key());
  EXPECT_FALSE(one.is_ca());
  EXPECT_TRUE(one.allows(KeyUsage::digital_signature));
  EXPECT_TRUE(one.allows(KeyUsage::non_repudiation));
  EXPECT_FALSE(one.allows(KeyUsage::key_cert_sign));
  EXPECT_EQ(one.extended_key_usage(), (std::vector<std::string>{"1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.4"}));
  EXPECT_EQ(one.subject_key_id(), centre().citizen.public_key().key_id());
  ASSERT_TRUE(one.authority_key_id());
  EXPECT_EQ(one.authority_key_id()->key_id, centre().ca.subject_key_id());
  EXPECT_EQ(one.subject_alternative_names(), (std::vector<GeneralName>{GeneralName::email("sample@example.org")}));
  EXPECT_EQ(one.policies(), (std::vector<std::string>{"2.999.1.2"}));
  EXPECT_EQ(one.crl_urls(), (std::vector<std::string>{"http://crl.example/ca.crl"}));
  EXPECT_EQ(one.ocsp_urls(), (std::vector<std::string>{"http://ocsp.example/"}));
  EXPECT_EQ(one.issuer_urls(), (std::vector<std::string>{"http://ca.example/ca.cer"}));
  EXPECT_EQ(one.status_index(), 42u);
  EXPECT_TRUE(one.unknown_critical_extensions().empty());
  EXPECT_FALSE(one.find_extension(kStatusIndexOid)->critical);
  EXPECT_EQ(centre().ca.basic_constraints()->path_length, 0u);
  EXPECT_EQ(centre().root.basic_constraints()->path_length, std::nullopt);
  EXPECT_TRUE(centre().root.self_issued());
}

TEST(Certificate, PemGoesThereAndBack) {
  const std::string two = centre().ca.to_pem() + centre().root.to_pem();
  const auto many = must(Certificate::many_from_file_octets(as_bytes(two)));
  ASSERT_EQ(many.size(), 2u);
  EXPECT_EQ(many[0], centre().ca);
  EXPECT_EQ(must(Certificate::from_file_octets(as_bytes(centre().root.to_pem()))), centre().root);
  EXPECT_EQ(must(Certificate::from_file_octets(centre().root.der())), centre().root);
  EXPECT_FALSE(Certificate::from_file_octets(as_bytes(two)));
}

TEST(Certificate, OpensslAndBotanReadTheSame) {
  for (const Certificate* one : {&centre().root, &centre().ca, &centre().citizen_certificate}) {
    const std::uint8_t* at = one->der().data();
    X509* const openssl = d2i_X509(nullptr, &at, static_cast<long>(one->der().size()));
    ASSERT_NE(openssl, nullptr);
    EXPECT_EQ(at, one->der().data() + one->der().size());
    EXPECT_EQ(X509_check_ca(openssl) == 1, one->is_ca());
    X509_free(openssl);
  }
  for (const Certificate* one :
       std::initializer_list<const Certificate*>{&centre().root, &centre().ca, &centre().citizen_certificate}) {
    Botan::DataSource_Memory source(one->der().data(), one->der().size());
    const Botan::X509_Certificate botan(source);
    EXPECT_EQ(botan.is_CA_cert(), one->is_ca());
    EXPECT_EQ(Bytes(botan.subject_key_id().begin(), botan.subject_key_id().end()), one->subject_key_id());
  }
}

TEST(Certificate, BotanVerifiesThePath) {
  const auto botan = [](const Certificate& one) {
    Botan::DataSource_Memory source(one.der().data(), one.der().size());
    return Botan::X509_Certificate(source);
  };
  Botan::Certificate_Store_In_Memory store;
  store.add_certificate(botan(centre().root));
  const auto result = Botan::x509_path_validate({botan(centre().citizen_certificate), botan(centre().ca)},
                                                Botan::Path_Validation_Restrictions(false, 110), store, "",
                                                Botan::Usage_Type::UNSPECIFIED, testing::test_time());
  EXPECT_TRUE(result.successful_validation()) << result.result_string();
}

TEST(Certificate, NoOctetMayChangeUnnoticed) {
  const PublicKey issuer = centre().ca_signer.public_key();
  const Bytes& good = centre().citizen_certificate.der();
  ASSERT_TRUE(verify_certificate_signature(centre().citizen_certificate, issuer));
  std::size_t parsed = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const std::uint8_t flip : {0x01, 0x80}) {
      Bytes changed = good;
      changed[i] ^= flip;
      const auto certificate = Certificate::from_der(changed);
      if (!certificate) continue;
      ++parsed;
      EXPECT_FALSE(verify_certificate_signature(*certificate, issuer)) << "octet " << i;
    }
  }
  EXPECT_GT(parsed, 100u);  // names, numbers, keys: changed, yet well-formed
}

TEST(Certificate, EveryCutIsRefused) {
  const Bytes& good = centre().citizen_certificate.der();
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(Certificate::from_der(ByteView(good).first(size))) << size;
  }
  Bytes longer = good;
  longer.push_back(0);
  EXPECT_FALSE(Certificate::from_der(longer));
}

/// centre().citizen_certificate with its extensions replaced; the signature no longer fits.
Bytes with_extensions(const std::vector<Bytes>& extensions) {
  const Bytes& good = centre().citizen_certificate.der();
  der::Reader outer(good);
  der::Reader reader = must(outer.enter(der::kSequence));
  der::Reader tbs = must(reader.enter(der::kSequence));
  Bytes content;
  while (!tbs.done()) {
    const Tlv field = must(tbs.any());
    if (field.tag != der::context(3)) append(content, field.whole);
  }
  Bytes list;
  for (const Bytes& extension : extensions) append(list, extension);
  append(content, make_tlv(der::context(3), der::sequence(list)));
  return der::sequence({der::sequence(content), reader.any()->whole, reader.any()->whole});
}

Bytes extension(std::string_view oid, ByteView value, bool critical = false) {
  const Bytes flag = critical ? der::boolean(true) : Bytes{};
  return der::sequence({der::oid(oid), flag, der::octet_string(value)});
}

TEST(Certificate, ExtensionsAreReadStrictly) {
  const Bytes usage = extension("2.5.29.15", der::named_bits(1, 9));
  EXPECT_TRUE(Certificate::from_der(with_extensions({usage})));
  EXPECT_FALSE(Certificate::from_der(with_extensions({})));              // an empty list
  EXPECT_FALSE(Certificate::from_der(with_extensions({usage, usage})));  // twice
  const struct {
    std::string_view oid;
    Bytes value;
  } broken[] = {
      {"2.5.29.15", der::named_bits(0, 9)},                             // no usage
      {"2.5.29.19", der::sequence({der::integer(1)})},                  // path length without CA
      {"2.5.29.19", concat({der::sequence(ByteView{}), der::null()})},  // trailing octets
      {"2.5.29.37", der::sequence(ByteView{})},                         // no purpose
      {"2.5.29.14", der::null()},                                       // no OCTET STRING
      {"2.5.29.17", der::sequence(ByteView{})},                         // no name
      {"2.5.29.17", der::sequence(make_tlv(0x82, as_bytes("\xFF")))},   // not ASCII
      {"2.5.29.17", der::sequence(make_tlv(0x89, as_bytes("x")))},      // no such kind
      {"2.5.29.32", der::sequence({der::sequence({der::oid("1.2.3")}), der::sequence({der::oid("1.2.3")})})},
      {"1.3.6.1.5.5.7.1.1",
       der::sequence({der::sequence({der::oid("1.3.6.1.5.5.7.48.1"), make_tlv(0x86, as_bytes("a b"))})})},
      {kStatusIndexOid, der::octet_string(Bytes(1))},
  };
  for (const auto& one : broken) {
    EXPECT_FALSE(Certificate::from_der(with_extensions({extension(one.oid, one.value)})))
        << one.oid << to_hex(one.value);
  }
  const auto strange = must(Certificate::from_der(with_extensions({extension("2.999.7", Bytes(3), true)})));
  EXPECT_EQ(strange.unknown_critical_extensions(), (std::vector<std::string>{"2.999.7"}));
}

TEST(Name, WritesAndReadsWhatRfc4514Says) {
  const Name name = must(NameBuilder().add("C", "XX").add("O", "A, \"B\" & C").add("CN", " #x ").build());
  EXPECT_EQ(name.to_text(), "CN=\\ #x\\ ,O=A\\, \\\"B\\\" & C,C=XX");
  EXPECT_EQ(name.find("O"), "A, \"B\" & C");
  EXPECT_EQ(must(Name::from_der(name.der())), name);
  EXPECT_TRUE(Name().empty());
  EXPECT_TRUE(must(Name::from_der(Name().der())).empty());
}

TEST(Name, ForeignStringsAreSafeOnATerminal) {
  const auto one = [](Tag tag, std::string_view value) {
    const Bytes pair = der::sequence({der::oid("2.5.4.3"), make_tlv(tag, as_bytes(value))});
    return must(Name::from_der(der::sequence(make_tlv(der::kSet, pair)))).to_text();
  };
  EXPECT_EQ(one(der::kUtf8String, "a\x1B[31mb"), "CN=a\\1B[31mb");
  EXPECT_EQ(one(der::kUtf8String, "\xE2\x80\xAEx"), "CN=\\E2\\80\\AEx");  // right-to-left override
  EXPECT_EQ(one(der::kUtf8String, "\xFFx"), "CN=\\FFx");
  EXPECT_EQ(one(0x1E, std::string_view("\x04\x1F\x00\x41", 4)), "CN=ПA");
  EXPECT_EQ(one(0x14, "\xE9"), "CN=é");
  EXPECT_EQ(one(0x04, "\x01"), "CN=#040101");
}

TEST(Name, AttributesKeepTheirTypesAndBounds) {
  EXPECT_FALSE(NameBuilder().add("C", "RUS").build());
  EXPECT_FALSE(NameBuilder().add("C", "Я").build());
  EXPECT_FALSE(NameBuilder().add("SNILS", "1234567890").build());
  EXPECT_FALSE(NameBuilder().add("SNILS", "1234567890x").build());
  EXPECT_FALSE(NameBuilder().add("CN", "").build());
  EXPECT_FALSE(NameBuilder().add("CN", "a\nb").build());
  EXPECT_FALSE(NameBuilder().add("CN", std::string(65, 'x')).build());
  std::string sixty_four;
  for (int i = 0; i < 64; ++i) sixty_four += "Я";
  EXPECT_TRUE(NameBuilder().add("CN", sixty_four).build());  // characters, not octets
  EXPECT_FALSE(NameBuilder().add("nonsense", "x").build());
}

}  // namespace
}  // namespace karta::crypto
