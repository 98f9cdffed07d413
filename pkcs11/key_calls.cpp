// §5.13: key pairs made on the card, and secrets agreed with it.
#include <algorithm>
#include <cstring>

#include "base/der.h"
#include "pkcs11/calls.h"
#include "pkcs11/operation.h"

namespace karta::pkcs11::call {
namespace {

// The key to be renewed: named by CKA_ID, or CKA_LABEL, of the wanted type and size.
Outcome<card::CardKey> key_to_renew(const Module::Entry& entry, const Mechanism& row,
                                    std::span<const CK_ATTRIBUTE> public_wanted,
                                    std::span<const CK_ATTRIBUTE> private_wanted) {
  const CK_ATTRIBUTE* id = find(private_wanted, CKA_ID);
  if (id == nullptr) id = find(public_wanted, CKA_ID);
  if (id == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE, "CKA_ID says which key of the card is to be renewed");
  for (const card::CardKey& key : TRY(entry.slot().keys(entry->index()))) {
    if (!equal(key.id, value_of(*id))) continue;
    if (key.type == nullptr) return refuse(CKR_TEMPLATE_INCONSISTENT);
    const bool rsa = key.type->family == card::KeyFamily::rsa;
    if (rsa != (row.family == crypto::KeyFamily::rsa))
      return refuse(CKR_TEMPLATE_INCONSISTENT, "the key is of another type");
    if (rsa) {
      const CK_ATTRIBUTE* const bits = find(public_wanted, CKA_MODULUS_BITS);
      if (bits == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
      if (TRY(number_of(*bits)) != key.type->bits)
        return refuse(CKR_KEY_SIZE_RANGE, "the key's file is for another size");
    } else {
      const CK_ATTRIBUTE* const curve = find(public_wanted, CKA_EC_PARAMS);
      if (curve == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
      if (!equal(value_of(*curve), der::oid(key.type->curve_oid))) {
        return refuse(CKR_CURVE_NOT_SUPPORTED, "the key's file is for another curve");
      }
    }
    return key;
  }
  return refuse(CKR_TEMPLATE_INCONSISTENT, "the card has no key with this CKA_ID; an issued card gets no new ones");
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
  const card::CardKey key = TRY(key_to_renew(entry, *row, public_wanted, private_wanted));
  TRY(entry.slot().generate(entry->index(), key));
  TRY(entry.slot().list(entry->index(), CKO_PRIVATE_KEY));
  *public_key = *private_key = CK_INVALID_HANDLE;
  for (const auto& object : TRY(entry.token())->objects) {
    if (!object->key || object->key->file_id != key.file_id) continue;
    (object->object_class() == CKO_PUBLIC_KEY ? *public_key : *private_key) = object->handle;
  }
  if (*private_key == CK_INVALID_HANDLE) return refuse(CKR_FUNCTION_FAILED, "the key is made, and not to be found");
  return {};
}

// §2.3.12 ECDH1 without a key derivation function: the x coordinate, or the end of it.
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
  if (parameters.kdf != CKD_NULL || parameters.ulSharedDataLen != 0 || parameters.pPublicData == nullptr ||
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
  CK_ULONG length = octets;
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
      case CKA_ALWAYS_SENSITIVE:
      case CKA_NEVER_EXTRACTABLE:
      case CKA_LOCAL:
        return refuse(CKR_TEMPLATE_INCONSISTENT);
      default:
        if (attribute.ulValueLen > 4096) return refuse(CKR_ATTRIBUTE_VALUE_INVALID);
        secret.set(attribute.type, to_bytes(value_of(attribute)));
    }
  }
  if (length == 0 || length > octets) return refuse(CKR_KEY_SIZE_RANGE);

  const SecretBytes shared = TRY(entry.slot().agree(entry->index(), *object->key, point, nullptr));
  secret.set(CKA_VALUE, to_bytes(shared.expose_secret().last(length)));
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
