// §5.10: digests, and §5.16: random numbers.
#include "pkcs11/calls.h"
#include "pkcs11/operation.h"

namespace karta::pkcs11::call {
namespace {

Done update(const Module::Entry& entry, ByteView part) {
  entry->digest->hasher.update(part);
  entry->digest->several_parts = true;
  return {};
}

}  // namespace

Done C_DigestInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism) {
  const auto entry = TRY(Module::enter(handle));
  if (mechanism == nullptr && entry->digest) {
    entry->digest.reset();
    return {};
  }
  TRY(need(mechanism));
  if (entry->digest) return refuse(CKR_OPERATION_ACTIVE);
  const Mechanism* const row = find_mechanism(mechanism->mechanism);
  if (row == nullptr || row->deed != Deed::digest) return refuse(CKR_MECHANISM_INVALID);
  if (mechanism->ulParameterLen != 0) return refuse(CKR_MECHANISM_PARAM_INVALID);
  entry->digest.emplace(DigestOperation{*row->hash, crypto::Hasher(*row->hash)});
  return {};
}

Done C_Digest(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG octets, CK_BYTE_PTR digest, CK_ULONG_PTR length) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->digest) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  if (entry->digest->several_parts) {
    entry->digest.reset();
    return refuse(CKR_OPERATION_ACTIVE);
  }
  const auto input = octets_in(data, octets);
  const auto room = room_for(digest, length, crypto::row_of(entry->digest->hash).octets);
  if (!input || !room) {
    entry->digest.reset();
    return refuse(CKR_ARGUMENTS_BAD);
  }
  if (*room == Room::asked_for_length) return {};
  if (*room == Room::too_small) return refuse(CKR_BUFFER_TOO_SMALL);
  entry->digest->hasher.update(*input);
  const Bytes made = entry->digest->hasher.finish();
  entry->digest.reset();
  give(made, digest, length);
  return {};
}

Done C_DigestUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR part, CK_ULONG octets) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->digest) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  const auto input = octets_in(part, octets);
  if (!input) {
    entry->digest.reset();
    return refuse(CKR_ARGUMENTS_BAD);
  }
  return update(entry, *input);
}

// A digest of a secret key would let its octets be guessed one by one: only keys that may be read are digested.
Done C_DigestKey(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE key) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->digest) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  const auto object = find_object(entry, key, CKR_KEY_HANDLE_INVALID);
  if (!object || (*object)->object_class() != CKO_SECRET_KEY || (*object)->withheld(CKA_VALUE)) {
    entry->digest.reset();
    return refuse(object ? CKR_KEY_INDIGESTIBLE : CKR_KEY_HANDLE_INVALID);
  }
  return update(entry, *(*object)->find(CKA_VALUE));
}

Done C_DigestFinal(CK_SESSION_HANDLE handle, CK_BYTE_PTR digest, CK_ULONG_PTR length) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->digest) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  const auto room = room_for(digest, length, crypto::row_of(entry->digest->hash).octets);
  if (!room) {
    entry->digest.reset();
    return refuse(CKR_ARGUMENTS_BAD);
  }
  if (*room == Room::asked_for_length) return {};
  if (*room == Room::too_small) return refuse(CKR_BUFFER_TOO_SMALL);
  const Bytes made = entry->digest->hasher.finish();
  entry->digest.reset();
  give(made, digest, length);
  return {};
}

Done C_SeedRandom(CK_SESSION_HANDLE handle, CK_BYTE_PTR, CK_ULONG) {
  TRY(Module::enter(handle));
  return refuse(CKR_RANDOM_SEED_NOT_SUPPORTED);
}

Done C_GenerateRandom(CK_SESSION_HANDLE handle, CK_BYTE_PTR random, CK_ULONG octets) {
  constexpr CK_ULONG kMost = 64 * 1024;
  const auto entry = TRY(Module::enter(handle));
  if (octets == 0) return {};
  TRY(need(random));
  if (octets > kMost) return refuse(CKR_ARGUMENTS_BAD, "more random octets than a card gives in a reasonable time");
  const Bytes made = TRY(entry.slot().random(octets));
  std::copy(made.begin(), made.end(), random);
  return {};
}

}  // namespace karta::pkcs11::call
