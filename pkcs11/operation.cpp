#include "pkcs11/operation.h"

#include <algorithm>
#include <cstring>

#include "base/der.h"

namespace karta::pkcs11 {

Outcome<ByteView> octets_in(const CK_BYTE* data, CK_ULONG count) {
  if (data == nullptr && count != 0) return refuse(CKR_ARGUMENTS_BAD);
  return ByteView(data, count);
}

Outcome<Room> room_for(CK_BYTE_PTR buffer, CK_ULONG_PTR length, std::size_t most) {
  if (length == nullptr) return refuse(CKR_ARGUMENTS_BAD);
  const CK_ULONG offered = *length;
  if (buffer == nullptr || offered < most) *length = most;
  if (buffer == nullptr) return Room::asked_for_length;
  return offered < most ? Room::too_small : Room::enough;
}

void give(ByteView result, CK_BYTE_PTR buffer, CK_ULONG_PTR length) {
  if (!result.empty()) std::memcpy(buffer, result.data(), result.size());
  *length = result.size();
}

Outcome<std::span<const CK_ATTRIBUTE>> template_in(const CK_ATTRIBUTE* attributes, CK_ULONG count) {
  if (attributes == nullptr && count != 0) return refuse(CKR_ARGUMENTS_BAD);
  const std::span<const CK_ATTRIBUTE> all(attributes, count);
  for (const CK_ATTRIBUTE& attribute : all) {
    if (attribute.pValue == nullptr && attribute.ulValueLen != 0) return refuse(CKR_ATTRIBUTE_VALUE_INVALID);
  }
  return all;
}

const CK_ATTRIBUTE* find(std::span<const CK_ATTRIBUTE> attributes, CK_ATTRIBUTE_TYPE type) {
  const auto found = std::find_if(attributes.begin(), attributes.end(),
                                  [&](const CK_ATTRIBUTE& attribute) { return attribute.type == type; });
  return found == attributes.end() ? nullptr : &*found;
}

ByteView value_of(const CK_ATTRIBUTE& attribute) {
  return {static_cast<const std::uint8_t*>(attribute.pValue), attribute.ulValueLen};
}

Outcome<CK_ULONG> number_of(const CK_ATTRIBUTE& attribute) {
  CK_ULONG number = 0;
  if (attribute.ulValueLen != sizeof number) return refuse(CKR_ATTRIBUTE_VALUE_INVALID);
  std::memcpy(&number, attribute.pValue, sizeof number);
  return number;
}

Outcome<bool> flag_of(const CK_ATTRIBUTE& attribute) {
  if (attribute.ulValueLen != sizeof(CK_BBOOL)) return refuse(CKR_ATTRIBUTE_VALUE_INVALID);
  return *static_cast<const CK_BBOOL*>(attribute.pValue) != CK_FALSE;
}

Outcome<std::shared_ptr<Object>> find_object(const Module::Entry& entry, CK_OBJECT_HANDLE handle, CK_RV missing) {
  const auto is_it = [&](const std::shared_ptr<Object>& object) { return object->handle == handle; };
  if (handle >= Module::kSessionObjects) {
    // §4.4: a session object is every session's of the program with the same token.
    for (const auto& session : entry.module->sessions_with(entry.slot(), entry->index())) {
      const auto found = std::find_if(session->objects.begin(), session->objects.end(), is_it);
      if (found != session->objects.end()) return *found;
    }
    return refuse(missing);
  }
  const Token& token = *TRY(entry.token());
  const auto found = std::find_if(token.objects.begin(), token.objects.end(), is_it);
  if (found == token.objects.end()) return refuse(missing);
  if ((*found)->is_private() && !token.user_logged_in) return refuse(missing);
  return *found;
}

Outcome<crypto::PublicKey> public_key_of(const Module::Entry& entry, Object& object) {
  if (object.on_token()) TRY(entry.slot().complete(object));
  if (const Bytes* const info = object.find(CKA_PUBLIC_KEY_INFO); info != nullptr && !info->empty()) {
    auto key = crypto::PublicKey::from_spki(*info);
    if (!key) return refuse(CKR_KEY_TYPE_INCONSISTENT, key.error().message);
    return *key;
  }
  return refuse(CKR_KEY_TYPE_INCONSISTENT, "a key whose public half is not known");
}

namespace {

struct DeedRow {
  CK_FLAGS deed;
  CK_OBJECT_CLASS key_class;
  CK_ATTRIBUTE_TYPE usage;
};
constexpr DeedRow kDeeds[] = {
    {CKF_SIGN, CKO_PRIVATE_KEY, CKA_SIGN},
    {CKF_VERIFY, CKO_PUBLIC_KEY, CKA_VERIFY},
    {CKF_ENCRYPT, CKO_PUBLIC_KEY, CKA_ENCRYPT},
    {CKF_DECRYPT, CKO_PRIVATE_KEY, CKA_DECRYPT},
};

Outcome<crypto::Hash> hash_of(CK_MECHANISM_TYPE mechanism) {
  for (const crypto::HashRow& row : crypto::kHashes) {
    if (row.pkcs11_mechanism == mechanism && offered_hash(row)) return row.id;
  }
  return refuse(CKR_MECHANISM_PARAM_INVALID);
}
Outcome<crypto::Hash> mask_of(CK_ULONG mgf) {
  for (const crypto::HashRow& row : crypto::kHashes) {
    if (row.pkcs11_mgf == mgf && offered_hash(row)) return row.id;
  }
  return refuse(CKR_MECHANISM_PARAM_INVALID);
}

// §2.1.8: any hash, mask and salt; the block is made here, so the card sets no bounds but its modulus.
Done read_pss(KeyOperation& operation, const CK_MECHANISM& mechanism) {
  CK_RSA_PKCS_PSS_PARAMS parameters = {};
  if (mechanism.pParameter == nullptr || mechanism.ulParameterLen != sizeof parameters) {
    return refuse(CKR_MECHANISM_PARAM_INVALID);
  }
  std::memcpy(&parameters, mechanism.pParameter, sizeof parameters);
  const crypto::Hash hash = TRY(hash_of(parameters.hashAlg));
  if (operation.mechanism->hash && *operation.mechanism->hash != hash) return refuse(CKR_MECHANISM_PARAM_INVALID);
  operation.mask_hash = TRY(mask_of(parameters.mgf));
  operation.hash = hash;
  const std::size_t octets =
      operation.key->number(CKA_MODULUS_BITS) == kUnavailable ? 0 : (operation.key->number(CKA_MODULUS_BITS) + 6) / 8;
  const std::size_t hash_octets = crypto::row_of(hash).octets;
  // §9.1.1 of RFC 8017: hash, salt and two octets must fit.
  if (parameters.sLen > octets || octets - parameters.sLen < hash_octets + 2) {
    return refuse(CKR_MECHANISM_PARAM_INVALID, "the key is too short for this salt");
  }
  operation.salt_octets = parameters.sLen;
  return {};
}

}  // namespace

Outcome<KeyOperation> begin(const Module::Entry& entry, const CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key,
                            CK_FLAGS deed) {
  const DeedRow& row =
      *std::find_if(std::begin(kDeeds), std::end(kDeeds), [&](const DeedRow& r) { return r.deed == deed; });
  KeyOperation operation;
  operation.mechanism = find_mechanism(mechanism->mechanism);
  if (operation.mechanism == nullptr || (operation.mechanism->flags & deed) == 0) {
    return refuse(CKR_MECHANISM_INVALID);
  }
  const Mechanism& kind = *operation.mechanism;
  operation.key = TRY(find_object(entry, key, CKR_KEY_HANDLE_INVALID));
  const bool rsa = operation.key->number(CKA_KEY_TYPE) == CKK_RSA;
  if (operation.key->object_class() != row.key_class || rsa != (kind.family == crypto::KeyFamily::rsa) ||
      (!rsa && operation.key->number(CKA_KEY_TYPE) != CKK_EC)) {
    return refuse(CKR_KEY_TYPE_INCONSISTENT);
  }
  if (!operation.key->flag(row.usage)) return refuse(CKR_KEY_FUNCTION_NOT_PERMITTED);

  operation.hash = kind.hash;
  if (kind.oaep) {
    CK_RSA_PKCS_OAEP_PARAMS parameters = {};
    if (mechanism->pParameter == nullptr || mechanism->ulParameterLen != sizeof parameters) {
      return refuse(CKR_MECHANISM_PARAM_INVALID);
    }
    std::memcpy(&parameters, mechanism->pParameter, sizeof parameters);
    const crypto::Hash hash = TRY(hash_of(parameters.hashAlg));
    constexpr CK_ULONG kLongestLabel = 64 * 1024;
    const bool label_there = parameters.ulSourceDataLen == 0 || parameters.pSourceData != nullptr;
    // Programs without a label leave the source 0, too (OpenSC's tools).
    const bool source_fits = parameters.source == CKZ_DATA_SPECIFIED || parameters.ulSourceDataLen == 0;
    if (!label_there || !source_fits || parameters.ulSourceDataLen > kLongestLabel) {
      return refuse(CKR_MECHANISM_PARAM_INVALID);
    }
    operation.mask_hash = TRY(mask_of(parameters.mgf));
    operation.hash = hash;
    if (parameters.ulSourceDataLen != 0) {
      operation.oaep_label =
          to_bytes({static_cast<const std::uint8_t*>(parameters.pSourceData), parameters.ulSourceDataLen});
    }
  } else if (kind.padding == crypto::Padding::pss) {
    TRY(read_pss(operation, *mechanism));
  } else if (mechanism->ulParameterLen != 0) {
    return refuse(CKR_MECHANISM_PARAM_INVALID);
  }
  if (kind.hash) operation.hasher.emplace(*kind.hash);
  operation.content = entry.slot().content();
  if (deed == CKF_VERIFY || deed == CKF_ENCRYPT) operation.public_key = TRY(public_key_of(entry, *operation.key));
  return operation;
}

Outcome<KeyUse> use_for(const Module::Entry& entry, KeyOperation& operation) {
  KeyUse use;
  use.content = operation.content;
  if (!operation.key->flag(CKA_ALWAYS_AUTHENTICATE)) return use;
  if (!operation.pin && entry->login_pin) {
    operation.pin.emplace(std::move(*entry->login_pin));
    entry->login_pin.reset();
  }
  if (!operation.pin && entry->login_at_pad) {
    operation.pin_at_pad = true;
    entry->login_at_pad = false;
  }
  if (!operation.pin && !operation.pin_at_pad) {
    return refuse(CKR_USER_NOT_LOGGED_IN, "a context-specific login is due");
  }
  use.pin = operation.pin ? &*operation.pin : nullptr;
  use.pad = !operation.pin;
  return use;
}

}  // namespace karta::pkcs11
