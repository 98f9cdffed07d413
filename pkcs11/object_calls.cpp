// §5.7: objects.
#include <algorithm>
#include <array>
#include <cstring>

#include "base/der.h"
#include "crypto/digest.h"
#include "crypto/x509/certificate.h"
#include "pkcs11/calls.h"
#include "pkcs11/operation.h"

namespace karta::pkcs11::call {
namespace {

constexpr CK_ULONG kLongestAttribute = 64 * 1024;
constexpr std::size_t kMostSessionObjects = 4096;

// What a program may change about its own session objects, and which way: secrets only become more secret.
enum class Change : std::uint8_t { freely, only_to_true, only_to_false };
struct ChangeRow {
  CK_ATTRIBUTE_TYPE type;
  Change change;
};
constexpr auto kChanges = std::to_array<ChangeRow>({
    {CKA_LABEL, Change::freely},
    {CKA_ID, Change::freely},
    {CKA_APPLICATION, Change::freely},
    {CKA_OBJECT_ID, Change::freely},
    {CKA_SENSITIVE, Change::only_to_true},
    {CKA_EXTRACTABLE, Change::only_to_false},
});

Done change(Object& object, const CK_ATTRIBUTE& attribute) {
  const auto row =
      std::find_if(kChanges.begin(), kChanges.end(), [&](const ChangeRow& one) { return one.type == attribute.type; });
  if (row == kChanges.end()) {
    return refuse(object.find(attribute.type) != nullptr ? CKR_ATTRIBUTE_READ_ONLY : CKR_ATTRIBUTE_TYPE_INVALID);
  }
  if (attribute.ulValueLen > kLongestAttribute) return refuse(CKR_ATTRIBUTE_VALUE_INVALID);
  if (row->change != Change::freely) {
    if (object.object_class() != CKO_SECRET_KEY) return refuse(CKR_ATTRIBUTE_TYPE_INVALID);
    const bool wanted = TRY(flag_of(attribute));
    const bool way = row->change == Change::only_to_true;
    if (wanted != way && object.flag(attribute.type) != wanted) return refuse(CKR_ATTRIBUTE_READ_ONLY);
  }
  object.set(attribute.type, to_bytes(value_of(attribute)));
  return {};
}

std::string text_of(std::span<const CK_ATTRIBUTE> wanted, CK_ATTRIBUTE_TYPE type) {
  const CK_ATTRIBUTE* const attribute = find(wanted, type);
  return attribute == nullptr ? std::string() : std::string(as_text(value_of(*attribute)));
}

// The object that lies in file `id` of the card.
Outcome<std::shared_ptr<Object>> object_in_file(const Module::Entry& entry, CK_OBJECT_CLASS object_class,
                                                std::uint16_t id) {
  TRY(entry.slot().list(entry->index(), kUnavailable));
  for (const auto& object : TRY(entry.token())->objects) {
    if (object->object_class() != object_class) continue;
    if (object->certificate && object->certificate->file_id == id) return object;
    if (object->data && object->data->location && object->data->location->path.file_id() == id) return object;
  }
  return refuse(CKR_FUNCTION_FAILED, "the object is written, and not to be found");
}

// A certificate goes to its key: in the old one's place, or into a file of its own on a card that takes new files.
// Those of authorities, and of keys elsewhere, are kept on such cards too.
Outcome<std::shared_ptr<Object>> create_certificate(const Module::Entry& entry, std::span<const CK_ATTRIBUTE> wanted) {
  const CK_ATTRIBUTE* const value = find(wanted, CKA_VALUE);
  const CK_ATTRIBUTE* const id = find(wanted, CKA_ID);
  if (value == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
  if (const CK_ATTRIBUTE* const type = find(wanted, CKA_CERTIFICATE_TYPE)) {
    if (TRY(number_of(*type)) != CKC_X_509) return refuse(CKR_ATTRIBUTE_VALUE_INVALID, "not an X.509 certificate");
  }
  if (!TRY(entry.token())->user_logged_in) return refuse(CKR_USER_NOT_LOGGED_IN);
  const auto certificate = crypto::Certificate::from_der(value_of(*value));
  if (!certificate) return refuse(CKR_ATTRIBUTE_VALUE_INVALID, certificate.error().message);
  // Without CKA_ID the certificate's own key says where it belongs; with it, the two must agree.
  TRY(entry.slot().list(entry->index(), CKO_PUBLIC_KEY));
  std::optional<Bytes> key_id;
  bool id_taken = false;
  for (const auto& object : std::vector(TRY(entry.token())->objects)) {
    if (object->object_class() != CKO_PUBLIC_KEY) continue;
    if (id != nullptr && !equal(object->key->id, value_of(*id))) continue;
    id_taken = id != nullptr;
    const card::CardKey key = *object->key;
    auto known = public_key_of(entry, *object);
    if (known && equal(known->spki(), certificate->spki())) key_id = key.id;
  }
  if (!key_id && id_taken) return refuse(CKR_TEMPLATE_INCONSISTENT, "the certificate is another key's");

  card::NewCertificate fresh;
  fresh.label = text_of(wanted, CKA_LABEL);
  fresh.der = to_bytes(value_of(*value));
  if (const CK_ATTRIBUTE* const category = find(wanted, CKA_CERTIFICATE_CATEGORY)) {
    fresh.authority = TRY(number_of(*category)) == 2;
  }
  if (key_id) {
    fresh.id = *key_id;
  } else {
    fresh.id = id != nullptr ? to_bytes(value_of(*id)) : crypto::digest(crypto::Hash::sha1, certificate->spki());
  }
  if (key_id) {
    for (const card::CardCertificate& place : TRY(entry.slot().certificates(entry->index()))) {
      if (place.authority || place.id != *key_id) continue;
      const Done written = entry.slot().write_certificate(entry->index(), place, fresh.der);
      if (written) return object_in_file(entry, CKO_CERTIFICATE, place.file_id);
      // Too long for the old one's file: on a card that lets it go, a new file.
      if (written.error().rv != CKR_DEVICE_MEMORY || !place.modifiable) return tl::unexpected<Fault>(written.error());
      const auto old = TRY(object_in_file(entry, CKO_CERTIFICATE, place.file_id));
      TRY(entry.slot().remove(entry->index(), *old));
      break;
    }
  }
  const std::uint16_t file = TRY(entry.slot().add_certificate(entry->index(), fresh));
  return object_in_file(entry, CKO_CERTIFICATE, file);
}

Outcome<std::shared_ptr<Object>> create_data(const Module::Entry& entry, std::span<const CK_ATTRIBUTE> wanted) {
  const CK_ATTRIBUTE* const value = find(wanted, CKA_VALUE);
  if (value == nullptr || value->ulValueLen == 0) return refuse(CKR_TEMPLATE_INCOMPLETE, "a data object has content");
  if (value->ulValueLen > card::kMaxFileOctets) return refuse(CKR_DEVICE_MEMORY);
  if (!TRY(entry.token())->user_logged_in) return refuse(CKR_USER_NOT_LOGGED_IN);
  card::NewData fresh;
  fresh.label = text_of(wanted, CKA_LABEL);
  fresh.application = text_of(wanted, CKA_APPLICATION);
  fresh.value = to_bytes(value_of(*value));
  if (const CK_ATTRIBUTE* const is_private = find(wanted, CKA_PRIVATE)) fresh.is_private = TRY(flag_of(*is_private));
  if (const CK_ATTRIBUTE* const oid = find(wanted, CKA_OBJECT_ID); oid != nullptr && oid->ulValueLen != 0) {
    der::Reader reader(value_of(*oid));
    const auto octets = reader.oid();
    if (!octets || !reader.done()) return refuse(CKR_ATTRIBUTE_VALUE_INVALID);
    fresh.application_oid = der::oid_to_text(*octets);
  }
  const std::uint16_t file = TRY(entry.slot().add_data(entry->index(), fresh));
  return object_in_file(entry, CKO_DATA, file);
}

// The public half of a session key, as SubjectPublicKeyInfo.
Outcome<crypto::PublicKey> public_key_in(std::span<const CK_ATTRIBUTE> wanted, CK_KEY_TYPE type) {
  Result<crypto::PublicKey> key = fail(ErrorKind::unsupported, "a key type karta does not know");
  if (type == CKK_RSA) {
    const CK_ATTRIBUTE *const n = find(wanted, CKA_MODULUS), *const e = find(wanted, CKA_PUBLIC_EXPONENT);
    if (n == nullptr || e == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
    key = crypto::PublicKey::from_rsa(value_of(*n), value_of(*e));
  } else if (type == CKK_EC) {
    const CK_ATTRIBUTE *const curve = find(wanted, CKA_EC_PARAMS), *const point = find(wanted, CKA_EC_POINT);
    if (curve == nullptr || point == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
    der::Reader reader(value_of(*point));
    const auto octets = reader.octet_string();
    if (!octets || !reader.done()) return refuse(CKR_ATTRIBUTE_VALUE_INVALID);
    for (const crypto::KeyTypeRow& row : crypto::kKeyTypes) {
      if (row.family == crypto::KeyFamily::ec && equal(der::oid(row.oid), value_of(*curve))) {
        key = crypto::PublicKey::from_point(row.id, *octets);
      }
    }
  }
  if (!key) return refuse(CKR_ATTRIBUTE_VALUE_INVALID, key.error().message);
  return *key;
}

Outcome<std::shared_ptr<Object>> create_in_session(std::span<const CK_ATTRIBUTE> wanted, CK_OBJECT_CLASS object_class) {
  auto object = std::make_shared<Object>(object_class, false);
  object->complete = true;
  object->set(CKA_PRIVATE, bool_value(object_class == CKO_SECRET_KEY));
  object->set(CKA_MODIFIABLE, bool_value(true));
  object->set(CKA_COPYABLE, bool_value(true));
  object->set(CKA_DESTROYABLE, bool_value(true));
  object->set(CKA_LABEL, {});
  if (object_class == CKO_SECRET_KEY) {
    object->set(CKA_SENSITIVE, bool_value(false));
    object->set(CKA_EXTRACTABLE, bool_value(true));
    object->set(CKA_LOCAL, bool_value(false));
  }
  for (const CK_ATTRIBUTE& attribute : wanted) {
    if (attribute.type == CKA_CLASS || attribute.type == CKA_TOKEN) continue;
    if (only_told(attribute.type)) return refuse(CKR_ATTRIBUTE_READ_ONLY);
    // Trust is given by a security officer's act, of which this module has none.
    if (attribute.type == CKA_TRUSTED && TRY(flag_of(attribute))) return refuse(CKR_ATTRIBUTE_READ_ONLY);
    if (attribute.ulValueLen > kLongestAttribute) return refuse(CKR_ATTRIBUTE_VALUE_INVALID);
    object->set(attribute.type, to_bytes(value_of(attribute)));
  }
  switch (object_class) {
    case CKO_DATA:
      break;
    case CKO_CERTIFICATE: {
      const CK_ATTRIBUTE* const value = find(wanted, CKA_VALUE);
      if (value == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
      object->set(CKA_CERTIFICATE_TYPE, ulong_value(CKC_X_509));
      object->set(CKA_TRUSTED, bool_value(false));
      complete_certificate(*object, value_of(*value));
      break;
    }
    case CKO_PUBLIC_KEY: {
      const CK_ATTRIBUTE* const type = find(wanted, CKA_KEY_TYPE);
      if (type == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
      const CK_KEY_TYPE key_type = TRY(number_of(*type));
      const crypto::PublicKey key = TRY(public_key_in(wanted, key_type));
      object->set(CKA_TRUSTED, bool_value(false));
      if (object->find(CKA_VERIFY) == nullptr) object->set(CKA_VERIFY, bool_value(true));
      if (object->find(CKA_ENCRYPT) == nullptr) object->set(CKA_ENCRYPT, bool_value(key_type == CKK_RSA));
      complete_key(*object, key);
      break;
    }
    case CKO_SECRET_KEY: {
      const CK_ATTRIBUTE *const type = find(wanted, CKA_KEY_TYPE), *const value = find(wanted, CKA_VALUE);
      if (type == nullptr || value == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
      TRY(number_of(*type));
      object->set(CKA_ALWAYS_SENSITIVE, bool_value(false));
      object->set(CKA_NEVER_EXTRACTABLE, bool_value(false));
      object->set(CKA_VALUE_LEN, ulong_value(value->ulValueLen));
      break;
    }
    default:
      // Private keys are born on the card and nowhere else.
      return refuse(CKR_TEMPLATE_INCONSISTENT, "objects of this class are not made from outside");
  }
  return object;
}

Done add_to_session(const Module::Entry& entry, std::shared_ptr<Object> object, CK_OBJECT_HANDLE_PTR handle) {
  if (entry->objects.size() >= kMostSessionObjects) return refuse(CKR_DEVICE_MEMORY);
  const Token& token = *TRY(entry.token());
  if (object->is_private() && !token.user_logged_in) return refuse(CKR_USER_NOT_LOGGED_IN);
  object->handle = entry.module->next_session_object();
  object->owner = entry->handle;
  *handle = object->handle;
  entry->objects.push_back(std::move(object));
  return {};
}

}  // namespace

Done C_CreateObject(CK_SESSION_HANDLE handle, CK_ATTRIBUTE_PTR attributes, CK_ULONG count,
                    CK_OBJECT_HANDLE_PTR created) {
  const auto entry = TRY(Module::enter(handle));
  TRY(need(created));
  const auto wanted = TRY(template_in(attributes, count));
  const CK_ATTRIBUTE *const class_wanted = find(wanted, CKA_CLASS), *const token_wanted = find(wanted, CKA_TOKEN);
  if (class_wanted == nullptr) return refuse(CKR_TEMPLATE_INCOMPLETE);
  const CK_OBJECT_CLASS object_class = TRY(number_of(*class_wanted));
  bool on_token = false;
  if (token_wanted != nullptr) on_token = TRY(flag_of(*token_wanted));
  if (on_token) {
    if (!entry->may_write()) return refuse(CKR_SESSION_READ_ONLY);
    if (object_class != CKO_CERTIFICATE && object_class != CKO_DATA) {
      return refuse(CKR_TEMPLATE_INCONSISTENT, "keys come to a card by being made on it");
    }
    const auto object = TRY(object_class == CKO_DATA ? create_data(entry, wanted) : create_certificate(entry, wanted));
    *created = object->handle;
    return {};
  }
  return add_to_session(entry, TRY(create_in_session(wanted, object_class)), created);
}

Done C_CopyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE original, CK_ATTRIBUTE_PTR attributes, CK_ULONG count,
                  CK_OBJECT_HANDLE_PTR created) {
  const auto entry = TRY(Module::enter(handle));
  TRY(need(created));
  const auto wanted = TRY(template_in(attributes, count));
  const auto source = TRY(find_object(entry, original, CKR_OBJECT_HANDLE_INVALID));
  if (!source->flag(CKA_COPYABLE)) return refuse(CKR_ACTION_PROHIBITED);
  auto copy = std::make_shared<Object>(source->object_class(), false);
  copy->complete = true;
  for (const auto& [type, value] : source->attributes()) copy->set(type, value);
  for (const CK_ATTRIBUTE& attribute : wanted) {
    if (attribute.type == CKA_TOKEN) {
      if (TRY(flag_of(attribute))) return refuse(CKR_TOKEN_WRITE_PROTECTED);
      continue;
    }
    TRY(change(*copy, attribute));
  }
  return add_to_session(entry, std::move(copy), created);
}

Done C_DestroyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE doomed) {
  const auto entry = TRY(Module::enter(handle));
  const auto object = TRY(find_object(entry, doomed, CKR_OBJECT_HANDLE_INVALID));
  if (object->on_token()) {
    if (!entry->may_write()) return refuse(CKR_SESSION_READ_ONLY);
    if (!object->flag(CKA_DESTROYABLE)) {
      return refuse(CKR_ACTION_PROHIBITED,
                    "what an issuer wrote is replaced, not deleted; a public key goes with its private one");
    }
    if (!TRY(entry.token())->user_logged_in) return refuse(CKR_USER_NOT_LOGGED_IN);
    return entry.slot().remove(entry->index(), *object);
  }
  for (const auto& session : entry.module->sessions_with(entry.slot(), entry->index())) {
    std::erase(session->objects, object);
  }
  return {};
}

Done C_GetObjectSize(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE which, CK_ULONG_PTR size) {
  const auto entry = TRY(Module::enter(handle));
  TRY(need(size));
  const auto object = TRY(find_object(entry, which, CKR_OBJECT_HANDLE_INVALID));
  if (object->withheld(CKA_VALUE)) return refuse(CKR_INFORMATION_SENSITIVE);
  if (object->on_token()) TRY(entry.slot().complete(*object));
  CK_ULONG octets = 0;
  for (const auto& [type, value] : object->attributes()) octets += value.size();
  *size = octets;
  return {};
}

// §5.7.5: every attribute is answered as far as it goes, and the first trouble is what is returned.
Done C_GetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE which, CK_ATTRIBUTE_PTR attributes,
                         CK_ULONG count) {
  const auto entry = TRY(Module::enter(handle));
  if (attributes == nullptr || count == 0) return refuse(CKR_ARGUMENTS_BAD);
  const auto object = TRY(find_object(entry, which, CKR_OBJECT_HANDLE_INVALID));
  CK_RV trouble = CKR_OK;
  const auto note = [&](CK_RV rv) { trouble = trouble == CKR_OK ? rv : trouble; };
  for (CK_ATTRIBUTE& attribute : std::span(attributes, count)) {
    if (object->withheld(attribute.type)) {
      attribute.ulValueLen = kUnavailable;
      note(CKR_ATTRIBUTE_SENSITIVE);
      continue;
    }
    if (object->deferred(attribute.type)) {
      if (const Done done = entry.slot().complete(*object); !done) {
        // A card gone in the middle is the call's end; content nobody can read is an attribute that is not there.
        if (entry->stale()) return done;
        object->complete = true;
      }
    }
    const Bytes* const value = object->find(attribute.type);
    if (value == nullptr) {
      attribute.ulValueLen = kUnavailable;
      note(CKR_ATTRIBUTE_TYPE_INVALID);
    } else if (attribute.pValue == nullptr) {
      attribute.ulValueLen = value->size();
    } else if (attribute.ulValueLen < value->size()) {
      attribute.ulValueLen = kUnavailable;
      note(CKR_BUFFER_TOO_SMALL);
    } else {
      if (!value->empty()) std::memcpy(attribute.pValue, value->data(), value->size());
      attribute.ulValueLen = value->size();
    }
  }
  if (trouble != CKR_OK) return refuse(trouble);
  return {};
}

Done C_SetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE which, CK_ATTRIBUTE_PTR attributes,
                         CK_ULONG count) {
  const auto entry = TRY(Module::enter(handle));
  const auto wanted = TRY(template_in(attributes, count));
  if (wanted.empty()) return refuse(CKR_ARGUMENTS_BAD);
  const auto object = TRY(find_object(entry, which, CKR_OBJECT_HANDLE_INVALID));
  if (object->on_token() && !entry->may_write()) return refuse(CKR_SESSION_READ_ONLY);
  if (!object->flag(CKA_MODIFIABLE)) return refuse(CKR_ACTION_PROHIBITED);
  for (const CK_ATTRIBUTE& attribute : wanted) TRY(change(*object, attribute));
  return {};
}

// §5.7.7: all objects that fit at the time of the call.
Done C_FindObjectsInit(CK_SESSION_HANDLE handle, CK_ATTRIBUTE_PTR attributes, CK_ULONG count) {
  const auto entry = TRY(Module::enter(handle));
  if (entry->search) return refuse(CKR_OPERATION_ACTIVE);
  const auto wanted = TRY(template_in(attributes, count));
  const Token& token = *TRY(entry.token());
  CK_OBJECT_CLASS object_class = kUnavailable;
  if (const CK_ATTRIBUTE* const which = find(wanted, CKA_CLASS)) object_class = TRY(number_of(*which));
  bool card_asked = true;
  if (const CK_ATTRIBUTE* const where = find(wanted, CKA_TOKEN)) card_asked = TRY(flag_of(*where));
  // Secret keys and the like are never on the card.
  card_asked = card_asked && (object_class == kUnavailable || object_class <= CKO_PRIVATE_KEY);
  if (card_asked) TRY(entry.slot().list(entry->index(), object_class));

  Search search;
  std::vector<std::shared_ptr<Object>> all;
  if (card_asked) all = token.objects;
  for (const auto& session : entry.module->sessions_with(entry.slot(), entry->index())) {
    all.insert(all.end(), session->objects.begin(), session->objects.end());
  }
  for (const auto& object : all) {
    if (object->is_private() && !token.user_logged_in) continue;
    const auto fits = [&](const CK_ATTRIBUTE& attribute) {
      if (object->withheld(attribute.type)) return false;
      const Bytes* const value = object->find(attribute.type);
      return value != nullptr && equal(*value, value_of(attribute));
    };
    // First what is known; the card is asked only about those that fit so far.
    const auto is_deferred = [&](const CK_ATTRIBUTE& attribute) { return object->deferred(attribute.type); };
    bool good = std::all_of(wanted.begin(), wanted.end(),
                            [&](const CK_ATTRIBUTE& attribute) { return is_deferred(attribute) || fits(attribute); });
    if (good && std::any_of(wanted.begin(), wanted.end(), is_deferred)) {
      if (const Done done = entry.slot().complete(*object); !done && entry->stale()) return done;
      good = std::all_of(wanted.begin(), wanted.end(), fits);
    }
    if (good) search.found.push_back(object->handle);
  }
  entry->search = std::move(search);
  return {};
}

Done C_FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE_PTR found, CK_ULONG most, CK_ULONG_PTR count) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->search) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  TRY(need(count));
  if (found == nullptr && most != 0) return refuse(CKR_ARGUMENTS_BAD);
  CK_ULONG given = 0;
  std::deque<CK_OBJECT_HANDLE>& left = entry->search->found;
  for (; given < most && !left.empty(); left.pop_front()) found[given++] = left.front();
  *count = given;
  return {};
}

Done C_FindObjectsFinal(CK_SESSION_HANDLE handle) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->search) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  entry->search.reset();
  return {};
}

}  // namespace karta::pkcs11::call
