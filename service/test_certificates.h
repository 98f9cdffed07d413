// Certificates for tests of TLS, made on the spot: an authority and whom it certifies.
#pragma once

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "base/secret.h"

namespace karta::service {

struct TestCertificate {
  Bytes der;
  std::string pem;
  SecretBytes key;  ///< PKCS #8
};

/// What to put into one. Times are seconds from now.
struct TestSubject {
  std::string name;
  long not_before = -60;
  long not_after = 3600;
  const char* extended_key_usage = nullptr;  ///< "clientAuth"
  const char* alternative_name = nullptr;    ///< "IP:127.0.0.1"
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& name) {
    const TestCertificate own = certify({.name = name}, true);
    pem_ = own.pem;
    const std::uint8_t* at = own.der.data();
    certificate_.reset(d2i_X509(nullptr, &at, static_cast<long>(own.der.size())));
    at = own.key.expose_secret().data();
    key_.reset(d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(own.key.size())));
  }
  const std::string& pem() const { return pem_; }
  TestCertificate certify(const TestSubject& subject) const { return certify(subject, false); }

 private:
  template <auto free>
  struct Free {
    template <class T>
    void operator()(T* one) const {
      free(one);
    }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;
  using Certificate = std::unique_ptr<X509, Free<X509_free>>;

  TestCertificate certify(const TestSubject& subject, bool is_authority) const {
    const Key key(EVP_EC_gen("P-256"));
    const Certificate out(X509_new());
    X509* const certificate = out.get();
    static long serial = 0;
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), subject.not_before);
    X509_gmtime_adj(X509_getm_notAfter(certificate), subject.not_after);
    X509_set_pubkey(certificate, key.get());
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(subject.name.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate, X509_get_subject_name(is_authority ? certificate : certificate_.get()));
    add(certificate, NID_basic_constraints, is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (subject.extended_key_usage != nullptr) add(certificate, NID_ext_key_usage, subject.extended_key_usage);
    if (subject.alternative_name != nullptr) add(certificate, NID_subject_alt_name, subject.alternative_name);
    X509_sign(certificate, is_authority ? key.get() : key_.get(), EVP_sha256());

    TestCertificate made;
    unsigned char* octets = nullptr;
    const int size = i2d_X509(certificate, &octets);
    made.der.assign(octets, octets + size);
    OPENSSL_free(octets);
    BIO* const text = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(text, certificate);
    char* data = nullptr;
    const long length = BIO_get_mem_data(text, &data);
    made.pem.assign(data, static_cast<std::size_t>(length));
    BIO_free(text);
    PKCS8_PRIV_KEY_INFO* const info = EVP_PKEY2PKCS8(key.get());
    octets = nullptr;
    const int key_size = i2d_PKCS8_PRIV_KEY_INFO(info, &octets);
    made.key = SecretBytes::copy_of(ByteView(octets, static_cast<std::size_t>(key_size)));
    OPENSSL_free(octets);
    PKCS8_PRIV_KEY_INFO_free(info);
    return made;
  }

  static void add(X509* certificate, int nid, const char* value) {
    X509_EXTENSION* const one = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    X509_add_ext(certificate, one, -1);
    X509_EXTENSION_free(one);
  }

  std::string pem_;
  Certificate certificate_;
  Key key_;
};

}  // namespace karta::service
