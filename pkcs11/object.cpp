#include "pkcs11/object.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/der.h"
#include "crypto/digest.h"
#include "crypto/x509/certificate.h"
#include "pkcs11/mechanism.h"

namespace karta::pkcs11 {
namespace {

// Attributes that need more than the card's directory, one row each: of which class.
struct DeferredRow {
  CK_OBJECT_CLASS object_class;
  CK_ATTRIBUTE_TYPE type;
};
constexpr auto kDeferred = std::to_array<DeferredRow>({
    {CKO_CERTIFICATE, CKA_VALUE},
    {CKO_CERTIFICATE, CKA_SUBJECT},
    {CKO_CERTIFICATE, CKA_ISSUER},
    {CKO_CERTIFICATE, CKA_SERIAL_NUMBER},
    {CKO_CERTIFICATE, CKA_START_DATE},
    {CKO_CERTIFICATE, CKA_END_DATE},
    {CKO_CERTIFICATE, CKA_CHECK_VALUE},
    {CKO_CERTIFICATE, CKA_PUBLIC_KEY_INFO},
    {CKO_CERTIFICATE, CKA_HASH_OF_SUBJECT_PUBLIC_KEY},
    {CKO_CERTIFICATE, CKA_HASH_OF_ISSUER_PUBLIC_KEY},
    {CKO_PUBLIC_KEY, CKA_MODULUS},
    {CKO_PUBLIC_KEY, CKA_PUBLIC_EXPONENT},
    {CKO_PUBLIC_KEY, CKA_EC_POINT},
    {CKO_PUBLIC_KEY, CKA_PUBLIC_KEY_INFO},
    {CKO_PUBLIC_KEY, CKA_SUBJECT},
    {CKO_PUBLIC_KEY, CKA_START_DATE},
    {CKO_PUBLIC_KEY, CKA_END_DATE},
    {CKO_PRIVATE_KEY, CKA_MODULUS},
    {CKO_PRIVATE_KEY, CKA_PUBLIC_EXPONENT},
    {CKO_PRIVATE_KEY, CKA_EC_POINT},
    {CKO_PRIVATE_KEY, CKA_PUBLIC_KEY_INFO},
    {CKO_PRIVATE_KEY, CKA_SUBJECT},
    {CKO_PRIVATE_KEY, CKA_START_DATE},
    {CKO_PRIVATE_KEY, CKA_END_DATE},
    {CKO_DATA, CKA_VALUE},
});

// The private parts of keys (PKCS #11 v3.0 §2.1.3, §2.3.4, §4.10): never told.
constexpr auto kWithheld = std::to_array<CK_ATTRIBUTE_TYPE>(
    {CKA_VALUE, CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT});

constexpr auto kOnlyTold = std::to_array<CK_ATTRIBUTE_TYPE>(
    {CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, CKA_KEY_GEN_MECHANISM, kUniqueId});

std::string unique_id(std::string_view kind, ByteView id, std::uint16_t file_id) {
  return std::string(kind) + '-' + to_hex(id) + '-' + std::to_string(file_id);
}

void set_key_basics(Object& object, const card::CardKey& key) {
  object.key = key;
  object.set(CKA_LABEL, text_value(key.label));
  object.set(CKA_ID, key.id);
  object.set(CKA_MODIFIABLE, bool_value(false));
  object.set(CKA_COPYABLE, bool_value(false));
  object.set(CKA_DESTROYABLE, bool_value(false));
  object.set(CKA_LOCAL, bool_value(true));
  object.set(CKA_DERIVE, bool_value(object.object_class() == CKO_PRIVATE_KEY && key.may_agree()));
  const bool rsa = key.type != nullptr && key.type->family == card::KeyFamily::rsa;
  if (key.type != nullptr) {
    object.set(CKA_KEY_TYPE, ulong_value(rsa ? CKK_RSA : CKK_EC));
    object.set(CKA_KEY_GEN_MECHANISM, ulong_value(rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN));
    if (rsa) {
      object.set(CKA_MODULUS_BITS, ulong_value(key.type->bits));
    } else {
      object.set(CKA_EC_PARAMS, der::oid(key.type->curve_oid));
    }
  }
  const std::vector<CK_MECHANISM_TYPE> allowed = mechanisms_of(key);
  Bytes list;
  for (const CK_MECHANISM_TYPE type : allowed) append(list, ulong_value(type));
  object.set(CKA_ALLOWED_MECHANISMS, std::move(list));
}

}  // namespace

Bytes ulong_value(CK_ULONG value) {
  Bytes octets(sizeof value);
  std::memcpy(octets.data(), &value, sizeof value);
  return octets;
}
Bytes bool_value(bool value) { return {static_cast<std::uint8_t>(value ? CK_TRUE : CK_FALSE)}; }
Bytes text_value(std::string_view text) { return to_bytes(as_bytes(text)); }
// CK_DATE: "YYYY" "MM" "DD".
Bytes date_value(Time time) {
  std::string text = format_time(time).substr(0, 10);
  std::erase(text, '-');
  return text_value(text);
}

Object::~Object() {
  for (auto& [type, value] : attributes_) wipe(value);
}

const Bytes* Object::find(CK_ATTRIBUTE_TYPE type) const {
  const auto found = attributes_.find(type);
  return found == attributes_.end() ? nullptr : &found->second;
}

bool Object::flag(CK_ATTRIBUTE_TYPE type) const {
  const Bytes* const value = find(type);
  return value != nullptr && value->size() == 1 && (*value)[0] != CK_FALSE;
}

CK_ULONG Object::number(CK_ATTRIBUTE_TYPE type) const {
  const Bytes* const value = find(type);
  CK_ULONG number = kUnavailable;
  if (value != nullptr && value->size() == sizeof number) std::memcpy(&number, value->data(), sizeof number);
  return number;
}

bool Object::deferred(CK_ATTRIBUTE_TYPE type) const {
  return token_ && !complete && std::any_of(kDeferred.begin(), kDeferred.end(), [&](const DeferredRow& row) {
           return row.object_class == class_ && row.type == type;
         });
}

bool Object::withheld(CK_ATTRIBUTE_TYPE type) const {
  if (class_ == CKO_PRIVATE_KEY) return std::find(kWithheld.begin(), kWithheld.end(), type) != kWithheld.end();
  if (class_ == CKO_SECRET_KEY && type == CKA_VALUE) return flag(CKA_SENSITIVE) || !flag(CKA_EXTRACTABLE);
  return false;
}

bool only_told(CK_ATTRIBUTE_TYPE type) {
  return std::find(kOnlyTold.begin(), kOnlyTold.end(), type) != kOnlyTold.end();
}

std::vector<CK_MECHANISM_TYPE> mechanisms_of(const card::CardKey& key) {
  std::vector<CK_MECHANISM_TYPE> allowed;
  if (key.type == nullptr) return allowed;
  const auto family = key.type->family == card::KeyFamily::rsa ? crypto::KeyFamily::rsa : crypto::KeyFamily::ec;
  for (const Mechanism& row : mechanisms()) {
    if (row.deed == Deed::digest || row.deed == Deed::generate || row.family != family) continue;
    const bool usable = (row.deed == Deed::sign && key.may_sign()) ||
                        ((row.flags & CKF_DECRYPT) != 0 && key.may_decipher()) ||
                        (row.deed == Deed::derive && key.may_agree());
    if (usable) allowed.push_back(row.type);
  }
  return allowed;
}

// PKCS #11 v3.0 §4.9 private key objects, §2.1.3 RSA, §2.3.4 EC.
std::shared_ptr<Object> make_private_key(const card::CardKey& key) {
  auto object = std::make_shared<Object>(CKO_PRIVATE_KEY, true);
  set_key_basics(*object, key);
  object->set(CKA_PRIVATE, bool_value(true));
  object->set(kUniqueId, text_value(unique_id("private", key.id, key.file_id)));
  object->set(CKA_DESTROYABLE, bool_value(key.modifiable));
  object->set(CKA_SENSITIVE, bool_value(true));
  object->set(CKA_ALWAYS_SENSITIVE, bool_value(true));
  object->set(CKA_EXTRACTABLE, bool_value(false));
  object->set(CKA_NEVER_EXTRACTABLE, bool_value(true));
  object->set(CKA_WRAP_WITH_TRUSTED, bool_value(false));
  object->set(CKA_SIGN, bool_value(key.may_sign()));
  object->set(CKA_SIGN_RECOVER, bool_value(false));
  object->set(CKA_DECRYPT,
              bool_value(key.may_decipher() && key.type != nullptr && key.type->family == card::KeyFamily::rsa));
  object->set(CKA_UNWRAP, bool_value(false));
  object->set(CKA_ALWAYS_AUTHENTICATE, bool_value(key.pin_each_time));
  return object;
}

// §4.8 public key objects.
std::shared_ptr<Object> make_public_key(const card::CardKey& key) {
  auto object = std::make_shared<Object>(CKO_PUBLIC_KEY, true);
  set_key_basics(*object, key);
  object->set(CKA_PRIVATE, bool_value(false));
  object->set(kUniqueId, text_value(unique_id("public", key.id, key.file_id)));
  object->set(CKA_VERIFY, bool_value(key.may_sign()));
  object->set(CKA_VERIFY_RECOVER, bool_value(false));
  object->set(CKA_ENCRYPT,
              bool_value(key.may_decipher() && key.type != nullptr && key.type->family == card::KeyFamily::rsa));
  object->set(CKA_WRAP, bool_value(false));
  object->set(CKA_TRUSTED, bool_value(false));
  return object;
}

// §4.6.3 X.509 public key certificates.
std::shared_ptr<Object> make_certificate(const card::CardCertificate& certificate) {
  auto object = std::make_shared<Object>(CKO_CERTIFICATE, true);
  object->certificate = certificate;
  object->set(CKA_LABEL, text_value(certificate.label));
  object->set(CKA_ID, certificate.id);
  object->set(CKA_PRIVATE, bool_value(false));
  object->set(CKA_MODIFIABLE, bool_value(false));
  object->set(CKA_COPYABLE, bool_value(false));
  object->set(CKA_DESTROYABLE, bool_value(certificate.modifiable));
  object->set(kUniqueId, text_value(unique_id("certificate", certificate.id, certificate.file_id)));
  object->set(CKA_CERTIFICATE_TYPE, ulong_value(CKC_X_509));
  object->set(CKA_CERTIFICATE_CATEGORY, ulong_value(certificate.authority ? 2 : 1));  // authority, token user
  object->set(CKA_JAVA_MIDP_SECURITY_DOMAIN, ulong_value(0));
  // Only a person or a configuration makes an anchor of trust.
  object->set(CKA_TRUSTED, bool_value(false));
  object->set(CKA_URL, {});
  return object;
}

// §4.5 data objects.
std::shared_ptr<Object> make_data(const card::DataObject& data, std::size_t number) {
  auto object = std::make_shared<Object>(CKO_DATA, true);
  object->data = data;
  object->set(CKA_LABEL, text_value(data.head.label));
  object->set(CKA_APPLICATION, text_value(data.application));
  object->set(CKA_OBJECT_ID, data.application_oid.empty() ? Bytes{} : der::oid(data.application_oid));
  object->set(CKA_PRIVATE,
              bool_value((data.head.flags & card::object_flag::is_private) != 0 || !data.head.auth_id.empty()));
  object->set(CKA_MODIFIABLE, bool_value(false));
  object->set(CKA_COPYABLE, bool_value(false));
  object->set(CKA_DESTROYABLE,
              bool_value((data.head.flags & card::object_flag::modifiable) != 0 && data.location.has_value()));
  object->set(kUniqueId, text_value("data-" + std::to_string(number)));
  return object;
}

void complete_certificate(Object& object, ByteView der) {
  object.complete = true;
  if (object.object_class() == CKO_CERTIFICATE) object.set(CKA_VALUE, to_bytes(der));
  const auto certificate = crypto::Certificate::from_der(der);
  if (!certificate) return;
  object.set(CKA_SUBJECT, to_bytes(certificate->subject().der()));
  object.set(CKA_START_DATE, date_value(certificate->not_before()));
  object.set(CKA_END_DATE, date_value(certificate->not_after()));
  object.set(CKA_PUBLIC_KEY_INFO, to_bytes(certificate->spki()));
  if (object.object_class() != CKO_CERTIFICATE) return;
  object.set(CKA_ISSUER, to_bytes(certificate->issuer().der()));
  object.set(CKA_SERIAL_NUMBER, make_tlv(der::kInteger, certificate->serial()));
  // First three octets of the SHA-1 of the value.
  Bytes check = crypto::digest(crypto::Hash::sha1, der);
  check.resize(3);
  object.set(CKA_CHECK_VALUE, std::move(check));
  object.set(CKA_HASH_OF_SUBJECT_PUBLIC_KEY, {});
  object.set(CKA_HASH_OF_ISSUER_PUBLIC_KEY, {});
}

namespace {

// `spki` whole; of the others, those the family has.
void set_key_octets(Object& object, ByteView spki, ByteView modulus, ByteView exponent, ByteView point) {
  object.complete = true;
  object.set(CKA_PUBLIC_KEY_INFO, to_bytes(spki));
  if (point.empty()) {
    object.set(CKA_MODULUS, to_bytes(modulus));
    object.set(CKA_PUBLIC_EXPONENT, to_bytes(exponent));
    return;
  }
  // §2.3.3: DER OCTET STRING around the point.
  object.set(CKA_EC_POINT, der::octet_string(point));
}

}  // namespace

// Without OpenSSL: a program that has made a PKCS #11 engine OpenSSL's default for RSA would call us from in here.
void complete_key(Object& object, const card::CardPublicKey& key) {
  set_key_octets(object, key.subject_public_key_info(), key.modulus, key.exponent, key.point);
}

void complete_key(Object& object, const crypto::PublicKey& key) {
  const bool rsa = key.family() == crypto::KeyFamily::rsa;
  if (rsa) object.set(CKA_MODULUS_BITS, ulong_value(key.bits()));
  set_key_octets(object, key.spki(), key.modulus(), key.exponent(), rsa ? ByteView() : key.key_octets());
}

}  // namespace karta::pkcs11
