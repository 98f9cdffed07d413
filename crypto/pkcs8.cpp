#include "crypto/pkcs8.h"

#include "crypto/algorithm_identifier.h"
#include "crypto/openssl_handles.h"

namespace karta::crypto {
namespace {

constexpr std::string_view kPbes2Oid = "1.2.840.113549.1.5.13";
constexpr std::string_view kPbkdf2Oid = "1.2.840.113549.1.5.12";

struct PrfRow {
  std::string_view oid;
  Hash hash;
};
// RFC 8018 appendix B.1.2
constexpr auto kPrfs = std::to_array<PrfRow>({
    {"1.2.840.113549.2.7", Hash::sha1},
    {"1.2.840.113549.2.9", Hash::sha256},
    {"1.2.840.113549.2.10", Hash::sha384},
    {"1.2.840.113549.2.11", Hash::sha512},
});

struct CipherRow {
  std::string_view oid;
  std::size_t key_octets;
  const EVP_CIPHER* (*cipher)();
};
// RFC 8018 appendix B.2.5
constexpr auto kCiphers = std::to_array<CipherRow>({
    {"2.16.840.1.101.3.4.1.2", 16, EVP_aes_128_cbc},
    {"2.16.840.1.101.3.4.1.22", 24, EVP_aes_192_cbc},
    {"2.16.840.1.101.3.4.1.42", 32, EVP_aes_256_cbc},
});

struct Pbes2 {
  ByteView salt;
  std::uint32_t iterations = 0;
  Hash prf = Hash::sha1;
  const CipherRow* cipher = nullptr;
  ByteView iv;
};

// PBES2-params ::= SEQUENCE { keyDerivationFunc AlgorithmIdentifier, encryptionScheme AlgorithmIdentifier }
// PBKDF2-params ::= SEQUENCE {
//     salt CHOICE { specified OCTET STRING, otherSource AlgorithmIdentifier },
//     iterationCount INTEGER (1..MAX),
//     keyLength INTEGER (1..MAX) OPTIONAL,
//     prf AlgorithmIdentifier DEFAULT algid-hmacWithSHA1 }
Result<Pbes2> read_pbes2(ByteView parameters, std::uint32_t most_iterations) {
  Pbes2 out;
  der::Reader outer(parameters);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  const auto derivation = TRY(read_algorithm_identifier(reader));
  const auto scheme = TRY(read_algorithm_identifier(reader));
  TRY(reader.finish());

  if (derivation.oid != kPbkdf2Oid) {
    return fail(ErrorKind::unsupported, "key derivation " + derivation.oid + " is not known here",
                "store the key anew with PBKDF2: openssl pkcs8 -topk8 -v2 aes-256-cbc");
  }
  der::Reader kdf_outer(derivation.parameters);
  der::Reader kdf = TRY(kdf_outer.enter(der::kSequence));
  TRY(kdf_outer.finish());
  out.salt = TRY(kdf.octet_string());
  const std::uint64_t iterations = TRY(kdf.small_integer());
  if (iterations == 0) return fail(ErrorKind::malformed, "PBKDF2 with no iterations");
  if (iterations > most_iterations) return fail(ErrorKind::limit, "PBKDF2 with too many iterations");
  out.iterations = static_cast<std::uint32_t>(iterations);
  std::optional<std::uint64_t> key_octets;
  if (const auto length = TRY(kdf.next_if(der::kInteger))) {
    key_octets = TRY(der::Reader(length->whole).small_integer());
  }
  if (!kdf.done()) {
    const auto prf = TRY(read_algorithm_identifier(kdf));
    const PrfRow* found = nullptr;
    for (const PrfRow& row : kPrfs) {
      if (row.oid == prf.oid) found = &row;
    }
    if (found == nullptr) return fail(ErrorKind::unsupported, "PBKDF2 function " + prf.oid + " is not known here");
    out.prf = found->hash;
  }
  TRY(kdf.finish());

  for (const CipherRow& row : kCiphers) {
    if (row.oid == scheme.oid) out.cipher = &row;
  }
  if (out.cipher == nullptr) {
    return fail(ErrorKind::unsupported, "cipher " + scheme.oid + " is not known here",
                "store the key anew: openssl pkcs8 -topk8 -v2 aes-256-cbc");
  }
  if (key_octets && *key_octets != out.cipher->key_octets) {
    return fail(ErrorKind::malformed, "PBKDF2 key length does not fit the cipher");
  }
  der::Reader iv(scheme.parameters);
  out.iv = TRY(iv.octet_string());
  TRY(iv.finish());
  if (out.iv.size() != 16) return fail(ErrorKind::malformed, "AES-CBC with an initial vector of wrong length");
  return out;
}

Result<SecretBytes> derive(const Pbes2& pbes2, const SecretBytes& passphrase) {
  SecretBytes key(pbes2.cipher->key_octets);
  const std::string_view secret = passphrase.expose_secret_text();
  if (PKCS5_PBKDF2_HMAC(secret.data(), static_cast<int>(secret.size()), pbes2.salt.data(),
                        static_cast<int>(pbes2.salt.size()), static_cast<int>(pbes2.iterations), evp_md(pbes2.prf),
                        static_cast<int>(key.size()), key.expose_secret_mutable().data()) != 1) {
    return openssl_failed("PBKDF2");
  }
  return key;
}

}  // namespace

// EncryptedPrivateKeyInfo ::= SEQUENCE { encryptionAlgorithm AlgorithmIdentifier, encryptedData OCTET STRING }
Result<SecretBytes> open_encrypted_pkcs8(ByteView der, const SecretBytes& passphrase, std::uint32_t most_iterations) {
  constexpr std::size_t kMostOctets = 65'536;
  if (der.size() > kMostOctets) return fail(ErrorKind::limit, "private key is larger than 64 KiB");
  der::Reader outer(der);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  const auto algorithm = TRY(read_algorithm_identifier(reader));
  const ByteView encrypted = TRY(reader.octet_string());
  TRY(reader.finish());
  if (algorithm.oid != kPbes2Oid) {
    return fail(ErrorKind::unsupported, "encryption " + algorithm.oid + " is not known here",
                "store the key anew: openssl pkcs8 -topk8 -v2 aes-256-cbc");
  }
  const Pbes2 pbes2 = TRY(read_pbes2(algorithm.parameters, most_iterations));
  if (encrypted.empty() || encrypted.size() % 16 != 0) {
    return fail(ErrorKind::malformed, "encrypted key is not whole AES blocks");
  }
  const SecretBytes key = TRY(derive(pbes2, passphrase));

  SecretBytes plain(encrypted.size() + 16);
  std::uint8_t* const out = plain.expose_secret_mutable().data();
  const CipherCtxPtr context(EVP_CIPHER_CTX_new());
  int first = 0, last = 0;
  const bool opened =
      context != nullptr &&
      EVP_DecryptInit_ex2(context.get(), pbes2.cipher->cipher(), key.expose_secret().data(), pbes2.iv.data(),
                          nullptr) == 1 &&
      EVP_DecryptUpdate(context.get(), out, &first, encrypted.data(), static_cast<int>(encrypted.size())) == 1 &&
      EVP_DecryptFinal_ex(context.get(), out + first, &last) == 1;
  ERR_clear_error();
  if (!opened) {
    return fail(ErrorKind::wrong_pin, "the private key does not open", "check the passphrase; the file may be damaged");
  }
  return SecretBytes::copy_of(
      plain.expose_secret().first(static_cast<std::size_t>(first) + static_cast<std::size_t>(last)));
}

Result<Bytes> seal_encrypted_pkcs8(const SecretBytes& private_key_info, const SecretBytes& passphrase,
                                   std::uint32_t iterations, ByteView salt, ByteView iv) {
  if (passphrase.empty()) return fail(ErrorKind::usage, "an empty passphrase protects nothing");
  KARTA_CHECK(salt.size() >= 16 && iv.size() == 16 && iterations > 0);
  const CipherRow& cipher = kCiphers.back();
  const Pbes2 pbes2{.salt = salt, .iterations = iterations, .prf = Hash::sha256, .cipher = &cipher, .iv = iv};
  const SecretBytes key = TRY(derive(pbes2, passphrase));

  Bytes encrypted(private_key_info.size() + 16);
  const CipherCtxPtr context(EVP_CIPHER_CTX_new());
  int first = 0, last = 0;
  if (context == nullptr ||
      EVP_EncryptInit_ex2(context.get(), cipher.cipher(), key.expose_secret().data(), iv.data(), nullptr) != 1 ||
      EVP_EncryptUpdate(context.get(), encrypted.data(), &first, private_key_info.expose_secret().data(),
                        static_cast<int>(private_key_info.size())) != 1 ||
      EVP_EncryptFinal_ex(context.get(), encrypted.data() + first, &last) != 1) {
    return openssl_failed("AES-CBC");
  }
  encrypted.resize(static_cast<std::size_t>(first) + static_cast<std::size_t>(last));

  const Bytes prf = der::sequence({der::oid(kPrfs[1].oid), der::null()});
  const Bytes derivation =
      der::sequence({der::oid(kPbkdf2Oid), der::sequence({der::octet_string(salt), der::integer(iterations), prf})});
  const Bytes scheme = der::sequence({der::oid(cipher.oid), der::octet_string(iv)});
  const Bytes algorithm = der::sequence({der::oid(kPbes2Oid), der::sequence({derivation, scheme})});
  return der::sequence({algorithm, der::octet_string(encrypted)});
}

}  // namespace karta::crypto
