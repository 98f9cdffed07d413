#include "tests/pkcs11_stress/public_key.h"

#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <cstdio>

namespace karta::pkcs11_stress {
namespace {

EVP_PKEY* of(const std::shared_ptr<void>& key) { return static_cast<EVP_PKEY*>(key.get()); }

Octets as_der(const Octets& raw) {
  std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(ECDSA_SIG_new(), ECDSA_SIG_free);
  const auto half = static_cast<int>(raw.size() / 2);
  if (ECDSA_SIG_set0(signature.get(), BN_bin2bn(raw.data(), half, nullptr),
                     BN_bin2bn(raw.data() + half, half, nullptr)) != 1) {
    return {};
  }
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  if (size < 0) return {};
  Octets octets(der, der + size);
  OPENSSL_free(der);
  return octets;
}

}  // namespace

PublicKey::PublicKey(const std::string& pem_file) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(pem_file.c_str(), "r"), std::fclose);
  if (!file) fault("cannot open " + pem_file);
  key_ = std::shared_ptr<void>(PEM_read_PUBKEY(file.get(), nullptr, nullptr, nullptr),
                               [](void* key) { EVP_PKEY_free(static_cast<EVP_PKEY*>(key)); });
  if (!key_) fault("no public key in " + pem_file);
}

bool PublicKey::rsa() const { return EVP_PKEY_get_base_id(of(key_)) == EVP_PKEY_RSA; }

bool PublicKey::verifies(const Octets& text, const Octets& signature) const {
  if (signature.empty() || (!rsa() && signature.size() % 2 != 0)) return false;
  const Octets form = rsa() ? signature : as_der(signature);
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, of(key_)) == 1 &&
         EVP_DigestVerify(context.get(), form.data(), form.size(), text.data(), text.size()) == 1;
}

}  // namespace karta::pkcs11_stress
