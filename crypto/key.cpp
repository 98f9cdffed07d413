#include "crypto/key.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <mutex>

#include "base/der.h"
#include "base/random.h"
#include "crypto/algorithm_identifier.h"
#include "crypto/digest.h"
#include "crypto/gost_key.h"
#include "crypto/openssl_handles.h"
#include "crypto/pem.h"
#include "crypto/pkcs8.h"

namespace karta::crypto {

struct PublicKey::Data {
  PkeyPtr pkey;  // null: GOST
  KeyFamily family = KeyFamily::rsa;
  unsigned bits = 0;
  std::optional<KeyType> type;
  Bytes spki;
  std::size_t key_octets_at = 0;  // up to the end of spki
  Bytes modulus, exponent;
  // RFC 4055 §1.2: a key marked id-RSASSA-PSS signs with PSS only, with parameters with that hash and no shorter salt.
  bool pss_only = false;
  std::optional<SignatureAlgorithm> pss_restriction;
  // GOST: x || y, big-endian
  Bytes gost_point;
};

struct PrivateKey::Data {
  PkeyPtr pkey;             // null: GOST
  SecretBytes gost_scalar;  // big-endian
  std::optional<PublicKey> public_key;
  std::mutex mutex;    // of the two below: signing is const, and whoever shares a key need not know of them
  PkeyCtxPtr signing;  // of the last algorithm signed with
  std::optional<AlgorithmId> signing_with;
};

namespace {

constexpr unsigned kLeastRsaBits = 1024, kMostRsaBits = 16384, kMostExponentBits = 64;

tl::unexpected<Error> bad(const std::string& what) { return fail(ErrorKind::malformed, "public key: " + what); }

unsigned bit_length(ByteView magnitude) {
  std::size_t at = 0;
  while (at < magnitude.size() && magnitude[at] == 0) ++at;
  if (at == magnitude.size()) return 0;
  unsigned top = 0;
  while (magnitude[at] >> top > 1) ++top;
  return static_cast<unsigned>((magnitude.size() - at - 1) * 8 + top + 1);
}

Result<PkeyPtr> from_params(const char* type, OSSL_PARAM_BLD* builder, int selection = EVP_PKEY_PUBLIC_KEY) {
  const ParamPtr params(OSSL_PARAM_BLD_to_param(builder));
  const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* made = nullptr;
  const bool ok = params != nullptr && context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                  EVP_PKEY_fromdata(context.get(), &made, selection, params.get()) == 1;
  ERR_clear_error();
  if (!ok) return bad("it is not a valid key of its kind");
  return PkeyPtr(made);
}

Result<PkeyPtr> rsa_pkey(ByteView modulus, ByteView exponent) {
  const ParamBldPtr builder(OSSL_PARAM_BLD_new());
  const BignumPtr n(BN_bin2bn(modulus.data(), static_cast<int>(modulus.size()), nullptr));
  const BignumPtr e(BN_bin2bn(exponent.data(), static_cast<int>(exponent.size()), nullptr));
  if (builder == nullptr || n == nullptr || e == nullptr ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return openssl_failed("RSA key");
  }
  return from_params("RSA", builder.get());
}

/// A key of this curve without a point, made once for the life of the program: making a curve costs OpenSSL several
/// times what taking one over does. Null: OpenSSL does not have the curve.
const EVP_PKEY* curve_of(const KeyTypeRow& row) {
  static const auto kCurves = [] {
    std::array<PkeyPtr, kKeyTypes.size()> out;
    for (const KeyTypeRow& one : kKeyTypes) {
      if (one.family != KeyFamily::ec) continue;
      const ParamBldPtr builder(OSSL_PARAM_BLD_new());
      if (builder == nullptr ||
          OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, one.openssl_name.data(),
                                          one.openssl_name.size()) != 1) {
        continue;
      }
      auto made = from_params("EC", builder.get(), EVP_PKEY_KEY_PARAMETERS);
      if (made) out[static_cast<std::size_t>(one.id)] = std::move(*made);
    }
    return out;
  }();
  return kCurves[static_cast<std::size_t>(row.id)].get();
}

Result<PkeyPtr> ec_pkey(const KeyTypeRow& row, ByteView point) {
  const std::size_t coordinate = (row.key_bits + 7u) / 8u;
  const bool uncompressed = point.size() == 1 + 2 * coordinate && point[0] == 0x04;
  const bool compressed = point.size() == 1 + coordinate && (point[0] == 0x02 || point[0] == 0x03);
  if (!uncompressed && !compressed) return bad("EC point of wrong length or form");
  const EVP_PKEY* const curve = curve_of(row);
  PkeyPtr made(EVP_PKEY_new());
  if (curve == nullptr || made == nullptr || EVP_PKEY_copy_parameters(made.get(), curve) != 1) {
    return openssl_failed("EC key");
  }
  // Decoding the point checks that it lies on the curve; all curves of the table have cofactor 1.
  const bool ok = EVP_PKEY_set1_encoded_public_key(made.get(), point.data(), point.size()) == 1;
  ERR_clear_error();
  if (!ok) return bad("it is not a valid key of its kind");
  return made;
}

// RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }
Status read_rsa(PublicKey::Data& data, ByteView key) {
  der::Reader outer(key);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  data.modulus = to_bytes(TRY(reader.unsigned_integer()));
  data.exponent = to_bytes(TRY(reader.unsigned_integer()));
  TRY(reader.finish());
  data.bits = bit_length(data.modulus);
  if (data.bits < kLeastRsaBits || data.bits > kMostRsaBits) {
    return fail(ErrorKind::unsupported, "RSA key of " + std::to_string(data.bits) + " bits");
  }
  const unsigned exponent_bits = bit_length(data.exponent);
  if (exponent_bits > kMostExponentBits) return fail(ErrorKind::unsupported, "RSA key with an exponent over 64 bits");
  if ((data.modulus.back() & 1) == 0 || exponent_bits < 2 || (data.exponent.back() & 1) == 0) {
    return bad("RSA modulus or exponent is even or 1");
  }
  data.family = KeyFamily::rsa;
  for (const KeyTypeRow& row : kKeyTypes) {
    if (row.family == KeyFamily::rsa && row.key_bits == data.bits) data.type = row.id;
  }
  data.pkey = TRY(rsa_pkey(data.modulus, data.exponent));
  return {};
}

Bytes encode_spki(ByteView algorithm, ByteView key) { return der::sequence({algorithm, der::bit_string(key)}); }

Status set_up(EVP_PKEY_CTX* context, const AlgorithmRow& row, std::optional<unsigned> pss_salt_octets) {
  if (EVP_PKEY_CTX_set_signature_md(context, evp_md(row.hash)) != 1) return openssl_failed("signature digest");
  if (row.family != KeyFamily::rsa) return {};
  const bool pss = row.padding == Padding::pss;
  if (EVP_PKEY_CTX_set_rsa_padding(context, pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) != 1) {
    return openssl_failed("RSA padding");
  }
  if (!pss) return {};
  const int salt = pss_salt_octets ? static_cast<int>(*pss_salt_octets) : RSA_PSS_SALTLEN_DIGEST;
  if (EVP_PKEY_CTX_set_rsa_mgf1_md(context, evp_md(row.hash)) != 1 ||
      EVP_PKEY_CTX_set_rsa_pss_saltlen(context, salt) != 1) {
    return openssl_failed("RSA-PSS parameters");
  }
  return {};
}

tl::unexpected<Error> wrong_signature() {
  return fail(ErrorKind::invalid_signature, "the signature value is not this key's over these octets");
}

tl::unexpected<Error> does_not_fit(const PublicKey& key, AlgorithmId algorithm) {
  return fail(ErrorKind::unsupported,
              "a " + key.type_name() + " key does not sign with " + std::string(row_of(algorithm).name));
}

}  // namespace

// SubjectPublicKeyInfo ::= SEQUENCE { algorithm AlgorithmIdentifier, subjectPublicKey BIT STRING }
Result<PublicKey> PublicKey::from_spki(ByteView der) {
  constexpr std::size_t kMostOctets = 8'192;
  if (der.size() > kMostOctets) return fail(ErrorKind::limit, "public key is larger than 8 KiB");
  auto data = std::make_shared<Data>();
  data->spki = to_bytes(der);
  der::Reader outer(data->spki);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  const auto algorithm = TRY(read_algorithm_identifier(reader));
  const ByteView key = TRY(reader.bit_string());
  TRY(reader.finish());
  data->key_octets_at = data->spki.size() - key.size();

  if (algorithm.oid == kRsaKeyOid) {
    // RFC 3279 §2.3.1: the parameters must be NULL.
    if (!equal(algorithm.parameters, der::null())) return bad("RSA key without its NULL parameters");
    TRY(read_rsa(*data, key));
  } else if (algorithm.oid == kRsaPssKeyOid) {
    TRY(read_rsa(*data, key));
    data->pss_only = true;
    if (!algorithm.parameters.empty()) {
      data->pss_restriction = TRY(signature_algorithm_of(algorithm.oid, algorithm.parameters));
    }
  } else if (algorithm.oid == kEcKeyOid) {
    der::Reader parameters(algorithm.parameters);
    const auto curve = parameters.oid();
    if (!curve || !parameters.finish()) return fail(ErrorKind::unsupported, "EC key without a named curve");
    const std::string curve_oid = der::oid_to_text(*curve);
    for (const KeyTypeRow& row : kKeyTypes) {
      if (row.family == KeyFamily::ec && row.oid == curve_oid) data->type = row.id;
    }
    if (!data->type) return fail(ErrorKind::unsupported, "curve " + curve_oid + " is not known here");
    data->family = KeyFamily::ec;
    data->bits = row_of(*data->type).key_bits;
    data->pkey = TRY(ec_pkey(row_of(*data->type), key));
  } else if (algorithm.oid == row_of(KeyType::ed25519).oid) {
    if (!algorithm.parameters.empty()) return bad("Ed25519 key with parameters");
    if (key.size() != 32) return bad("Ed25519 key of wrong length");
    data->family = KeyFamily::ed25519;
    data->type = KeyType::ed25519;
    data->bits = row_of(KeyType::ed25519).key_bits;
    data->pkey.reset(EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, key.data(), key.size()));
    if (data->pkey == nullptr) return openssl_failed("Ed25519 key");
  } else if (is_gost_key(algorithm.oid)) {
    const GostParameterSetRow* const set = TRY(read_gost_parameters(algorithm));
    data->gost_point = TRY(read_gost_point(*set, key));
    data->family = KeyFamily::gost;
    data->type = set->type;
    data->bits = row_of(set->type).key_bits;
  } else {
    return fail(ErrorKind::unsupported, "key algorithm " + algorithm.oid + " is not known here");
  }
  return PublicKey(std::move(data));
}

Result<PublicKey> PublicKey::from_rsa(ByteView modulus, ByteView exponent) {
  const Bytes key = der::sequence({der::unsigned_integer(modulus), der::unsigned_integer(exponent)});
  return from_spki(encode_spki(der::sequence({der::oid(kRsaKeyOid), der::null()}), key));
}

Result<PublicKey> PublicKey::from_point(KeyType type, ByteView point) {
  const KeyTypeRow& row = row_of(type);
  switch (row.family) {
    case KeyFamily::ec:
      return from_spki(encode_spki(der::sequence({der::oid(kEcKeyOid), der::oid(row.oid)}), point));
    case KeyFamily::ed25519:
      return from_spki(encode_spki(der::sequence({der::oid(row.oid)}), point));
    case KeyFamily::gost:
      return from_spki(encode_spki(encode_gost_key_algorithm(type), der::octet_string(point)));
    case KeyFamily::rsa:
      break;
  }
  return fail(ErrorKind::usage, "an RSA key has no point");
}

KeyFamily PublicKey::family() const { return data_->family; }
unsigned PublicKey::bits() const { return data_->bits; }
std::optional<KeyType> PublicKey::type() const { return data_->type; }
std::string PublicKey::type_name() const {
  return data_->type ? std::string(row_of(*data_->type).name) : "rsa-" + std::to_string(data_->bits);
}
const Bytes& PublicKey::spki() const { return data_->spki; }
ByteView PublicKey::key_octets() const { return ByteView(data_->spki).subspan(data_->key_octets_at); }
ByteView PublicKey::modulus() const { return data_->modulus; }
ByteView PublicKey::exponent() const { return data_->exponent; }

Bytes PublicKey::key_id() const {
  Bytes id = digest(Hash::sha256, key_octets());
  id.resize(20);
  return id;
}

bool PublicKey::fits(AlgorithmId algorithm) const {
  const AlgorithmRow& row = row_of(algorithm);
  if (row.family != data_->family) return false;
  if (row.family == KeyFamily::gost && row_of(row.hash).octets * 8u != data_->bits) return false;
  if (data_->pss_only && row.padding != Padding::pss) return false;
  return !data_->pss_restriction || data_->pss_restriction->id == algorithm;
}

Status PublicKey::verify_digest(AlgorithmId algorithm, ByteView digest, ByteView signature,
                                std::optional<unsigned> pss_salt_octets) const {
  const AlgorithmRow& row = row_of(algorithm);
  if (!fits(algorithm) || row.family == KeyFamily::ed25519) return does_not_fit(*this, algorithm);
  if (digest.size() != row_of(row.hash).octets) return wrong_signature();
  if (row.family == KeyFamily::gost) {
    if (!gost_group(*data_->type).verify(data_->gost_point, digest, signature)) return wrong_signature();
    return {};
  }
  if (data_->pss_restriction &&
      pss_salt_octets.value_or(row_of(row.hash).octets) < data_->pss_restriction->pss_salt_octets.value_or(0)) {
    return fail(ErrorKind::unsupported, "RSA-PSS salt is shorter than the key asks for");
  }
  const PkeyCtxPtr context(EVP_PKEY_CTX_new_from_pkey(nullptr, data_->pkey.get(), nullptr));
  if (context == nullptr || EVP_PKEY_verify_init(context.get()) != 1) return openssl_failed("verify");
  TRY(set_up(context.get(), row, pss_salt_octets));
  const int verified = EVP_PKEY_verify(context.get(), signature.data(), signature.size(), digest.data(), digest.size());
  ERR_clear_error();
  if (verified != 1) return wrong_signature();
  return {};
}

Status PublicKey::verify(AlgorithmId algorithm, ByteView message, ByteView signature,
                         std::optional<unsigned> pss_salt_octets) const {
  if (!fits(algorithm)) return does_not_fit(*this, algorithm);
  if (data_->family != KeyFamily::ed25519) {
    return verify_digest(algorithm, digest(row_of(algorithm).hash, message), signature, pss_salt_octets);
  }
  const MdCtxPtr context(EVP_MD_CTX_new());
  if (context == nullptr ||
      EVP_DigestVerifyInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, data_->pkey.get(), nullptr) != 1) {
    return openssl_failed("verify");
  }
  const int verified =
      EVP_DigestVerify(context.get(), signature.data(), signature.size(), message.data(), message.size());
  ERR_clear_error();
  if (verified != 1) return wrong_signature();
  return {};
}

PrivateKey::PrivateKey(std::unique_ptr<Data> data) : data_(std::move(data)) {}
PrivateKey::PrivateKey(PrivateKey&&) noexcept = default;
PrivateKey& PrivateKey::operator=(PrivateKey&&) noexcept = default;
PrivateKey::~PrivateKey() = default;

namespace {

Result<PublicKey> public_half(EVP_PKEY* pkey) {
  std::uint8_t* der = nullptr;
  const int octets = i2d_PUBKEY(pkey, &der);
  if (octets <= 0) return openssl_failed("public key");
  const std::unique_ptr<std::uint8_t, void (*)(std::uint8_t*)> owner(der, [](std::uint8_t* p) { OPENSSL_free(p); });
  return PublicKey::from_spki({der, static_cast<std::size_t>(octets)});
}

}  // namespace

namespace {

// The public half has the AlgorithmIdentifier of the private one: a CryptoPro name of a curve stays.
Result<std::unique_ptr<PrivateKey::Data>> gost_key(KeyType type, ByteView algorithm, SecretBytes scalar) {
  auto data = std::make_unique<PrivateKey::Data>();
  const Bytes point = gost_group(type).multiply_generator(scalar);
  data->public_key = TRY(PublicKey::from_spki(encode_gost_spki(algorithm, point)));
  data->gost_scalar = std::move(scalar);
  return data;
}

}  // namespace

Result<PrivateKey> PrivateKey::generate(KeyType type) {
  const KeyTypeRow& row = row_of(type);
  auto data = std::make_unique<Data>();
  switch (row.family) {
    case KeyFamily::rsa:
      data->pkey.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(row.key_bits)));
      break;
    case KeyFamily::ec:
      data->pkey.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", row.openssl_name.data()));
      break;
    case KeyFamily::ed25519:
      data->pkey.reset(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
      break;
    case KeyFamily::gost: {
      SystemRandom random;
      return PrivateKey(
          TRY(gost_key(type, encode_gost_key_algorithm(type), generate_gost_scalar(gost_group(type), random))));
    }
  }
  if (data->pkey == nullptr) return openssl_failed("key generation");
  data->public_key = TRY(public_half(data->pkey.get()));
  return PrivateKey(std::move(data));
}

// PrivateKeyInfo ::= SEQUENCE { version INTEGER, privateKeyAlgorithm AlgorithmIdentifier, privateKey OCTET STRING,
//                               attributes [0] OPTIONAL, publicKey [1] OPTIONAL }
Result<PrivateKey> PrivateKey::from_der(ByteView pkcs8) {
  constexpr std::size_t kMostOctets = 32'768;
  if (pkcs8.size() > kMostOctets) return fail(ErrorKind::limit, "private key is larger than 32 KiB");
  der::Reader outer(pkcs8);
  der::Reader reader = TRY(outer.enter(der::kSequence));
  TRY(outer.finish());
  if (TRY(reader.small_integer()) > 1) return fail(ErrorKind::malformed, "private key of unknown version");
  const auto algorithm = TRY(read_algorithm_identifier(reader));
  const ByteView private_key = TRY(reader.octet_string());
  if (is_gost_key(algorithm.oid)) {
    const GostParameterSetRow* const set = TRY(read_gost_parameters(algorithm));
    SecretBytes scalar = TRY(read_gost_scalar(*set, private_key));
    const Bytes oid = der::oid(std::string_view(algorithm.oid));
    return PrivateKey(TRY(gost_key(set->type, der::sequence({oid, algorithm.parameters}), std::move(scalar))));
  }
  if (algorithm.oid != kRsaKeyOid && algorithm.oid != kRsaPssKeyOid && algorithm.oid != kEcKeyOid &&
      algorithm.oid != row_of(KeyType::ed25519).oid) {
    return fail(ErrorKind::unsupported, "key algorithm " + algorithm.oid + " is not known here");
  }
  const std::uint8_t* at = pkcs8.data();
  const Pkcs8Ptr info(d2i_PKCS8_PRIV_KEY_INFO(nullptr, &at, static_cast<long>(pkcs8.size())));
  auto data = std::make_unique<Data>();
  if (info != nullptr) data->pkey.reset(EVP_PKCS82PKEY(info.get()));
  ERR_clear_error();
  if (data->pkey == nullptr) return fail(ErrorKind::malformed, "private key: it is not a valid key of its kind");
  data->public_key = TRY(public_half(data->pkey.get()));
  return PrivateKey(std::move(data));
}

Result<PrivateKey> PrivateKey::from_encrypted_pem(std::string_view pem, const SecretBytes& passphrase) {
  const Bytes der = TRY(parse_pem_one(pem, "ENCRYPTED PRIVATE KEY"));
  const SecretBytes plain = TRY(open_encrypted_pkcs8(der, passphrase, kMostIterations));
  // One wrong passphrase in 256 leaves padding that looks right; what it opens to is no key.
  der::Reader reader(plain.expose_secret());
  if (!reader.enter(der::kSequence) || !reader.finish()) {
    return fail(ErrorKind::wrong_pin, "the private key does not open", "check the passphrase; the file may be damaged");
  }
  return from_der(plain.expose_secret());
}

const PublicKey& PrivateKey::public_key() const { return *data_->public_key; }

SecretBytes PrivateKey::expose_secret_der() const {
  if (public_key().family() == KeyFamily::gost) {
    der::Reader outer(public_key().spki());
    const auto algorithm = outer.enter(der::kSequence).and_then([](der::Reader spki) { return spki.any(); });
    KARTA_CHECK(algorithm.has_value());
    return encode_gost_private_key(algorithm->whole, data_->gost_scalar);
  }
  const Pkcs8Ptr info(EVP_PKEY2PKCS8(data_->pkey.get()));
  std::uint8_t* der = nullptr;
  const int octets = info != nullptr ? i2d_PKCS8_PRIV_KEY_INFO(info.get(), &der) : 0;
  KARTA_CHECK(octets > 0);
  SecretBytes out = SecretBytes::copy_of(ByteView(der, static_cast<std::size_t>(octets)));
  OPENSSL_clear_free(der, static_cast<std::size_t>(octets));
  return out;
}

Result<std::string> PrivateKey::to_encrypted_pem(const SecretBytes& passphrase, std::uint32_t iterations) const {
  SystemRandom random;
  const Bytes salt = random.bytes(16), iv = random.bytes(16);
  return to_pem("ENCRYPTED PRIVATE KEY",
                TRY(seal_encrypted_pkcs8(expose_secret_der(), passphrase, iterations, salt, iv)));
}

Result<Bytes> PrivateKey::sign_digest(AlgorithmId algorithm, ByteView digest) const {
  const AlgorithmRow& row = row_of(algorithm);
  if (!public_key().fits(algorithm) || row.family == KeyFamily::ed25519) return does_not_fit(public_key(), algorithm);
  if (digest.size() != row_of(row.hash).octets) return fail(ErrorKind::usage, "digest of wrong length");
  if (row.family == KeyFamily::gost) {
    SystemRandom random;
    return gost_sign(gost_group(*public_key().type()), data_->gost_scalar, digest, random.bytes(32));
  }
  // Made once: OpenSSL looks its algorithms up by name for each new context.
  const std::lock_guard lock(data_->mutex);
  if (data_->signing_with != algorithm) {
    PkeyCtxPtr fresh(EVP_PKEY_CTX_new_from_pkey(nullptr, data_->pkey.get(), nullptr));
    if (fresh == nullptr || EVP_PKEY_sign_init(fresh.get()) != 1) return openssl_failed("sign");
    TRY(set_up(fresh.get(), row, std::nullopt));
    data_->signing = std::move(fresh);
    data_->signing_with = algorithm;
  }
  EVP_PKEY_CTX* const context = data_->signing.get();
  const int most = EVP_PKEY_get_size(data_->pkey.get());
  if (most <= 0) return openssl_failed("sign");
  auto octets = static_cast<std::size_t>(most);
  Bytes signature(octets);
  if (EVP_PKEY_sign(context, signature.data(), &octets, digest.data(), digest.size()) != 1) {
    return openssl_failed("sign");
  }
  signature.resize(octets);
  return signature;
}

Result<Bytes> PrivateKey::sign(AlgorithmId algorithm, ByteView message) const {
  if (row_of(algorithm).family != KeyFamily::ed25519) {
    return sign_digest(algorithm, digest(row_of(algorithm).hash, message));
  }
  if (!public_key().fits(algorithm)) return does_not_fit(public_key(), algorithm);
  const MdCtxPtr context(EVP_MD_CTX_new());
  std::size_t octets = 64;
  Bytes signature(octets);
  if (context == nullptr ||
      EVP_DigestSignInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr, data_->pkey.get(), nullptr) != 1 ||
      EVP_DigestSign(context.get(), signature.data(), &octets, message.data(), message.size()) != 1) {
    return openssl_failed("sign");
  }
  signature.resize(octets);
  return signature;
}

}  // namespace karta::crypto
