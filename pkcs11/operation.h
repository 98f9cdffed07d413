// operation.h: what the calls share: finding objects, giving results to C buffers, reading mechanisms and templates.
#pragma once

#include <span>

#include "pkcs11/module.h"

namespace karta::pkcs11 {

/// Octets a program hands in. CKR_ARGUMENTS_BAD for a null pointer with a length.
Outcome<ByteView> octets_in(const CK_BYTE* data, CK_ULONG count);

/// §5.2: how a result of at most `most` octets meets the program's buffer. `length` becomes `most`.
enum class Room : std::uint8_t { asked_for_length, too_small, enough };
Outcome<Room> room_for(CK_BYTE_PTR buffer, CK_ULONG_PTR length, std::size_t most);
void give(ByteView result, CK_BYTE_PTR buffer, CK_ULONG_PTR length);

/// A template, checked for null pointers.
Outcome<std::span<const CK_ATTRIBUTE>> template_in(const CK_ATTRIBUTE* attributes, CK_ULONG count);
/// nullptr: not in the template.
const CK_ATTRIBUTE* find(std::span<const CK_ATTRIBUTE> attributes, CK_ATTRIBUTE_TYPE type);
ByteView value_of(const CK_ATTRIBUTE& attribute);
/// Fail with CKR_ATTRIBUTE_VALUE_INVALID where the size is off.
Outcome<CK_ULONG> number_of(const CK_ATTRIBUTE& attribute);
Outcome<bool> flag_of(const CK_ATTRIBUTE& attribute);

/// An object the session may see; `missing` where there is none.
Outcome<std::shared_ptr<Object>> find_object(const Module::Entry& entry, CK_OBJECT_HANDLE handle, CK_RV missing);
/// The public half of a key object, on the card or not.
Outcome<crypto::PublicKey> public_key_of(const Module::Entry& entry, Object& object);

/// Begins an operation with a key: mechanism, key class, usage flag and parameters are checked.
/// `deed` is one of CKF_SIGN, CKF_VERIFY, CKF_ENCRYPT, CKF_DECRYPT.
Outcome<KeyOperation> begin(const Module::Entry& entry, const CK_MECHANISM* mechanism, CK_OBJECT_HANDLE key,
                            CK_FLAGS deed);
/// What the key is used with: the PIN of a context-specific login (or of the login itself, once) for keys that need
/// one.
Outcome<KeyUse> use_for(const Module::Entry& entry, KeyOperation& operation);

}  // namespace karta::pkcs11
