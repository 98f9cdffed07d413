// §5.13: key pairs made on the card, and secrets agreed with it.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/der.h"
#include "crypto/digest.h"
#include "pkcs11/calls.h"
#include "pkcs11/operation.h"

namespace karta::pkcs11::call {
namespace {

// What the templates say about the key pair: its type, and what to call it.
Outcome<const card::CardKeyType*> type_wanted(const Mechanism& row, std::span<const CK_ATTRIBUTE> public_wanted) {
  if (row.family == crypto::KeyFamily::rsa) {
    const CK_ATTRIBUTE* const bits = find(public_wanted, CKA_MODULUS_BITS);
    if (bits == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
    const CK_ULONG wanted = TRY(number_of(*bits));
    if (const CK_ATTRIBUTE* const exponent = find(public_wanted, CKA_PUBLIC_EXPONENT)) {
      ByteView octets = value_of(*exponent);
      while (octets.size() > 1 && octets.front() == 0) octets = octets.subspan(1);
      if (!equal(octets, Bytes{0x01, 0x00, 0x01})) {
        return refuse(CKR_ATTRIBUTE_VALUE_INVALID, "cards make RSA keys with the exponent 65537");
      }
    }
    const card::CardKeyType* const type =
        wanted > 65536 ? nullptr : card::find_card_key_type(card::KeyFamily::rsa, static_cast<unsigned>(wanted));
    if (type == nullptr) return refuse(CKR_KEY_SIZE_RANGE);
    return type;
  }
  const CK_ATTRIBUTE* const curve = find(public_wanted, CKA_EC_PARAMS);
  if (curve == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
  for (const card::CardKeyType& type : card::card_key_types()) {
    if (type.family == card::KeyFamily::ec && equal(der::oid(type.curve_oid), value_of(*curve))) return &type;
  }
  return refuse(CKR_CURVE_NOT_SUPPORTED);
}

const CK_ATTRIBUTE* find_in_either(std::span<const CK_ATTRIBUTE> first, std::span<const CK_ATTRIBUTE> second,
                                   CK_ATTRIBUTE_TYPE type) {
  const CK_ATTRIBUTE* const found = find(first, type);
  return found != nullptr ? found : find(second, type);
}

Outcome<bool> flag_in(std::span<const CK_ATTRIBUTE> wanted, CK_ATTRIBUTE_TYPE type) {
  const CK_ATTRIBUTE* const attribute = find(wanted, type);
  if (attribute == nullptr) return false;
  return flag_of(*attribute);
}

// A key in a file of its own.
Outcome<card::NewKey> new_key(const card::CardKeyType& type, std::span<const CK_ATTRIBUTE> public_wanted,
                              std::span<const CK_ATTRIBUTE> private_wanted, const std::vector<card::CardKey>& others) {
  card::NewKey key;
  key.type = &type;
  if (const CK_ATTRIBUTE* const id = find_in_either(private_wanted, public_wanted, CKA_ID); id && id->ulValueLen != 0) {
    constexpr CK_ULONG kLongestId = 32;
    if (id->ulValueLen > kLongestId) return refuse(CKR_ATTRIBUTE_VALUE_INVALID);
    key.id = to_bytes(value_of(*id));
  } else {
    // The first number nobody has, from the one OpenSC begins with.
    key.id = {0x45};
    while (std::any_of(others.begin(), others.end(), [&](const card::CardKey& other) { return other.id == key.id; })) {
      ++key.id[0];
    }
  }
  if (const CK_ATTRIBUTE* const label = find_in_either(private_wanted, public_wanted, CKA_LABEL)) {
    key.label = as_text(value_of(*label));
  }
  const bool rsa = type.family == card::KeyFamily::rsa;
  key.usage = 0;
  if (TRY(flag_in(private_wanted, CKA_SIGN))) key.usage |= card::key_usage::sign;
  const bool decrypt = TRY(flag_in(private_wanted, CKA_DECRYPT));
  const bool unwrap = TRY(flag_in(private_wanted, CKA_UNWRAP));
  const bool derive = TRY(flag_in(private_wanted, CKA_DERIVE));
  if (rsa && (decrypt || unwrap)) key.usage |= card::key_usage::decrypt;
  if (!rsa && derive) key.usage |= card::key_usage::derive;
  if (key.usage == 0) key.usage = card::key_usage::sign;
  key.pin_each_time = TRY(flag_in(private_wanted, CKA_ALWAYS_AUTHENTICATE));
  return key;
}

// What nobody may ask of a private key.
Done refuse_weak_wishes(std::span<const CK_ATTRIBUTE> wanted) {
  if (const CK_ATTRIBUTE* const sensitive = find(wanted, CKA_SENSITIVE)) {
    if (!TRY(flag_of(*sensitive))) return refuse(CKR_TEMPLATE_INCONSISTENT);
  }
  if (const CK_ATTRIBUTE* const extractable = find(wanted, CKA_EXTRACTABLE)) {
    if (TRY(flag_of(*extractable))) return refuse(CKR_TEMPLATE_INCONSISTENT);
  }
  for (const auto where : {CKA_TOKEN, CKA_PRIVATE}) {
    if (const CK_ATTRIBUTE* const flag = find(wanted, where)) {
      if (!TRY(flag_of(*flag))) return refuse(CKR_TEMPLATE_INCONSISTENT);
    }
  }
  return {};
}

}  // namespace

Done C_GenerateKeyPair(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism, CK_ATTRIBUTE_PTR public_attributes,
                       CK_ULONG public_count, CK_ATTRIBUTE_PTR private_attributes, CK_ULONG private_count,
                       CK_OBJECT_HANDLE_PTR public_key, CK_OBJECT_HANDLE_PTR private_key) {
  const auto entry = TRY(Module::enter(handle));
  TRY(need(mechanism));
  TRY(need(public_key));
  TRY(need(private_key));
  const auto public_wanted = TRY(template_in(public_attributes, public_count));
  const auto private_wanted = TRY(template_in(private_attributes, private_count));
  const Mechanism* const row = find_mechanism(mechanism->mechanism);
  if (row == nullptr || row->deed != Deed::generate) return refuse(CKR_MECHANISM_INVALID);
  if (!entry->may_write()) return refuse(CKR_SESSION_READ_ONLY);
  if (!TRY(entry.token())->user_logged_in) return refuse(CKR_USER_NOT_LOGGED_IN);
  TRY(refuse_weak_wishes(private_wanted));
  const card::CardKeyType* const type = TRY(type_wanted(*row, public_wanted));
  const std::vector<card::CardKey> present = TRY(entry.slot().keys(entry->index()));
  const CK_ATTRIBUTE* const id = find_in_either(private_wanted, public_wanted, CKA_ID);
  const auto old = std::find_if(present.begin(), present.end(), [&](const card::CardKey& key) {
    return id != nullptr && equal(key.id, value_of(*id));
  });
  std::uint16_t file = 0;
  if (old != present.end()) {
    // Renewal in the file of the key with that CKA_ID, which is for one type alone.
    if (old->type == nullptr || old->type->family != type->family) {
      return refuse(CKR_TEMPLATE_INCONSISTENT, "the key is of another type");
    }
    if (old->type != type) {
      return refuse(type->family == card::KeyFamily::rsa ? CKR_KEY_SIZE_RANGE : CKR_CURVE_NOT_SUPPORTED,
                    "the key's file is for another size");
    }
    TRY(entry.slot().generate(entry->index(), *old));
    file = old->file_id;
  } else {
    const card::NewKey key = TRY(new_key(*type, public_wanted, private_wanted, present));
    file = TRY(entry.slot().create_key(entry->index(), key));
  }
  TRY(entry.slot().list(entry->index(), CKO_PRIVATE_KEY));
  *public_key = *private_key = CK_INVALID_HANDLE;
  for (const auto& object : TRY(entry.token())->objects) {
    if (!object->key || object->key->file_id != file) continue;
    (object->object_class() == CKO_PUBLIC_KEY ? *public_key : *private_key) = object->handle;
  }
  if (*private_key == CK_INVALID_HANDLE) return refuse(CKR_FUNCTION_FAILED, "the key is made, and not to be found");
  return {};
}

namespace {

// §2.3.9 table: key derivation functions, X9.63 and the concatenation of SP 800-56A. CKD_NULL stands apart.
struct KdfRow {
  CK_ULONG kdf;
  crypto::Hash hash;
  bool counter_first;  // SP 800-56A §5.8.2.1: counter || Z || info; X9.63: Z || counter || info
};
constexpr auto kKdfs = std::to_array<KdfRow>({
    {CKD_SHA1_KDF, crypto::Hash::sha1, false},
    {CKD_SHA256_KDF, crypto::Hash::sha256, false},
    {CKD_SHA384_KDF, crypto::Hash::sha384, false},
    {CKD_SHA512_KDF, crypto::Hash::sha512, false},
    {CKD_SHA1_KDF_SP800, crypto::Hash::sha1, true},
    {CKD_SHA256_KDF_SP800, crypto::Hash::sha256, true},
    {CKD_SHA384_KDF_SP800, crypto::Hash::sha384, true},
    {CKD_SHA512_KDF_SP800, crypto::Hash::sha512, true},
});
constexpr CK_ULONG kLongestSharedInfo = 4096, kLongestDerived = 1024;

SecretBytes derive(const KdfRow& row, const SecretBytes& shared, ByteView info, std::size_t octets) {
  Bytes key;
  for (std::uint32_t counter = 1; key.size() < octets; ++counter) {
    Bytes number;
    append_be16(number, static_cast<std::uint16_t>(counter >> 16));
    append_be16(number, static_cast<std::uint16_t>(counter));
    crypto::Hasher hasher(row.hash);
    if (row.counter_first) hasher.update(number);
    hasher.update(shared.expose_secret());
    if (!row.counter_first) hasher.update(number);
    hasher.update(info);
    Bytes part = hasher.finish();
    append(key, part);
    wipe(part);
  }
  SecretBytes cut = SecretBytes::copy_of(ByteView(key).first(octets));
  wipe(key);
  return cut;
}

}  // namespace

// §2.3.12 ECDH1: the x coordinate, or the end of it; or what a key derivation function makes of it.
Done C_DeriveKey(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE base,
                 CK_ATTRIBUTE_PTR attributes, CK_ULONG count, CK_OBJECT_HANDLE_PTR derived) {
  const auto entry = TRY(Module::enter(handle));
  TRY(need(mechanism));
  TRY(need(derived));
  const auto wanted = TRY(template_in(attributes, count));
  const Mechanism* const row = find_mechanism(mechanism->mechanism);
  if (row == nullptr || row->deed != Deed::derive) return refuse(CKR_MECHANISM_INVALID);
  CK_ECDH1_DERIVE_PARAMS parameters = {};
  if (mechanism->pParameter == nullptr || mechanism->ulParameterLen != sizeof parameters) {
    return refuse(CKR_MECHANISM_PARAM_INVALID);
  }
  std::memcpy(&parameters, mechanism->pParameter, sizeof parameters);
  const auto kdf =
      std::find_if(kKdfs.begin(), kKdfs.end(), [&](const KdfRow& one) { return one.kdf == parameters.kdf; });
  const bool plain = parameters.kdf == CKD_NULL;
  if ((!plain && kdf == kKdfs.end()) || (plain && parameters.ulSharedDataLen != 0) ||
      parameters.ulSharedDataLen > kLongestSharedInfo ||
      (parameters.ulSharedDataLen != 0 && parameters.pSharedData == nullptr) || parameters.pPublicData == nullptr ||
      parameters.ulPublicDataLen > 1024) {
    return refuse(CKR_MECHANISM_PARAM_INVALID);
  }
  const auto object = TRY(find_object(entry, base, CKR_KEY_HANDLE_INVALID));
  if (object->object_class() != CKO_PRIVATE_KEY || object->number(CKA_KEY_TYPE) != CKK_EC) {
    return refuse(CKR_KEY_TYPE_INCONSISTENT);
  }
  if (!object->flag(CKA_DERIVE)) return refuse(CKR_KEY_FUNCTION_NOT_PERMITTED);

  // The other's point comes bare or, as in CKA_EC_POINT, in an OCTET STRING.
  ByteView point(parameters.pPublicData, parameters.ulPublicDataLen);
  const std::size_t octets = object->key->type->octets();
  if (point.size() != 1 + 2 * octets) {
    der::Reader reader(point);
    const auto inner = reader.octet_string();
    if (!inner || !reader.done() || inner->size() != 1 + 2 * octets) return refuse(CKR_MECHANISM_PARAM_INVALID);
    point = *inner;
  }

  auto secret_object = std::make_shared<Object>(CKO_SECRET_KEY, false);
  Object& secret = *secret_object;
  secret.complete = true;
  secret.set(CKA_KEY_TYPE, ulong_value(CKK_GENERIC_SECRET));
  secret.set(CKA_PRIVATE, bool_value(true));
  secret.set(CKA_LABEL, {});
  secret.set(CKA_ID, {});
  secret.set(CKA_MODIFIABLE, bool_value(true));
  secret.set(CKA_COPYABLE, bool_value(true));
  secret.set(CKA_DESTROYABLE, bool_value(true));
  secret.set(CKA_SENSITIVE, bool_value(false));
  secret.set(CKA_EXTRACTABLE, bool_value(true));
  CK_ULONG length = plain ? octets : crypto::row_of(kdf->hash).octets;
  for (const CK_ATTRIBUTE& attribute : wanted) {
    switch (attribute.type) {
      case CKA_CLASS:
        if (TRY(number_of(attribute)) != CKO_SECRET_KEY) return refuse(CKR_TEMPLATE_INCONSISTENT);
        break;
      case CKA_TOKEN:
        if (TRY(flag_of(attribute))) return refuse(CKR_TEMPLATE_INCONSISTENT, "secrets are not kept on the card");
        break;
      case CKA_VALUE_LEN:
        length = TRY(number_of(attribute));
        break;
      case CKA_KEY_TYPE:
        TRY(number_of(attribute));
        secret.set(CKA_KEY_TYPE, to_bytes(value_of(attribute)));
        break;
      case CKA_VALUE:
        return refuse(CKR_TEMPLATE_INCONSISTENT);
      default:
        if (only_told(attribute.type)) return refuse(CKR_ATTRIBUTE_READ_ONLY);
        if (attribute.ulValueLen > 4096) return refuse(CKR_ATTRIBUTE_VALUE_INVALID);
        secret.set(attribute.type, to_bytes(value_of(attribute)));
    }
  }
  if (length == 0 || length > (plain ? octets : kLongestDerived)) return refuse(CKR_KEY_SIZE_RANGE);
  if (object->flag(CKA_ALWAYS_AUTHENTICATE)) {
    // §4.9: there is no moment for a context-specific login in one call.
    return refuse(CKR_USER_NOT_LOGGED_IN, "a key that wants its PIN each time cannot derive");
  }

  KeyUse use;
  use.content = entry.slot().content();
  const SecretBytes shared = TRY(entry.slot().agree(entry->index(), *object->key, point, use));
  const ByteView info(parameters.pSharedData, parameters.ulSharedDataLen);
  const SecretBytes value =
      plain ? SecretBytes::copy_of(shared.expose_secret().last(length)) : derive(*kdf, shared, info, length);
  secret.set(CKA_VALUE, to_bytes(value.expose_secret()));
  secret.set(CKA_VALUE_LEN, ulong_value(length));
  secret.set(CKA_LOCAL, bool_value(false));
  // The secret was known to the other side before it was here.
  secret.set(CKA_ALWAYS_SENSITIVE, bool_value(false));
  secret.set(CKA_NEVER_EXTRACTABLE, bool_value(false));
  secret.handle = entry.module->next_session_object();
  secret.owner = entry->handle;
  *derived = secret.handle;
  entry->objects.push_back(std::move(secret_object));
  return {};
}

}  // namespace karta::pkcs11::call
