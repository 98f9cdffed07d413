// §5.8 encryption, in software; §5.9 decryption, by the card.
#include "crypto/rsa.h"
#include "pkcs11/calls.h"
#include "pkcs11/operation.h"

namespace karta::pkcs11::call {
namespace {

// No longer than a block of the longest key.
constexpr std::size_t kMostCollected = 1024;

Done add(KeyOperation& operation, ByteView part, CK_RV too_long) {
  if (part.size() > kMostCollected - operation.collected.size()) return refuse(too_long);
  append(operation.collected, part);
  return {};
}

Outcome<Bytes> make_cryptogram(KeyOperation& operation) {
  const crypto::PublicKey& key = *operation.public_key;
  const std::size_t octets = key.modulus().size();
  SystemRandom random;
  auto block = operation.mechanism->oaep
                   ? crypto::eme_oaep_encode(*operation.hash, *operation.mask_hash, operation.oaep_label,
                                             operation.collected, octets, random)
                   : crypto::eme_pkcs1_encode(operation.collected, octets, random);
  if (!block) return refuse(CKR_DATA_LEN_RANGE, block.error().message);
  auto made = crypto::rsa_public_operation(key, *block);
  wipe(*block);
  if (!made) return tl::unexpected<Fault>(Fault(std::move(made).error()));
  return std::move(*made);
}

Outcome<SecretBytes> open_cryptogram(const Module::Entry& entry, KeyOperation& operation) {
  const KeyUse use = TRY(use_for(entry, operation));
  const card::CardKey& key = *operation.key->key;
  if (operation.collected.size() != key.type->octets()) return refuse(CKR_ENCRYPTED_DATA_LEN_RANGE);
  const auto padding = operation.mechanism->oaep ? card::DecipherPadding::none : card::DecipherPadding::pkcs1;
  auto plain = entry.slot().decipher(entry->index(), key, padding, operation.collected, use);
  if (!plain) {
    // The card's refusal of a cryptogram is the cryptogram's fault.
    const CK_RV rv = plain.error().rv == CKR_FUNCTION_FAILED ? CKR_ENCRYPTED_DATA_INVALID : plain.error().rv;
    return refuse(rv, plain.error().message);
  }
  if (!operation.mechanism->oaep) return std::move(*plain);
  auto opened =
      crypto::eme_oaep_decode(*operation.hash, *operation.mask_hash, operation.oaep_label, plain->expose_secret());
  if (!opened) return refuse(CKR_ENCRYPTED_DATA_INVALID);
  return std::move(*opened);
}

Done end_with(std::optional<KeyOperation>& operation, CK_RV rv) {
  operation.reset();
  return refuse(rv);
}

// A result that was made once waits for a buffer that takes it.
template <class Make>
Done finish(std::optional<KeyOperation>& operation, CK_BYTE_PTR out, CK_ULONG_PTR length, std::size_t most, Make make) {
  if (length == nullptr) return end_with(operation, CKR_ARGUMENTS_BAD);
  if (out == nullptr) {
    *length = operation->result ? operation->result->size() : most;
    return {};
  }
  if (!operation->result) {
    auto made = make();
    if (!made) {
      const Fault fault = made.error();
      operation.reset();
      return tl::unexpected<Fault>(fault);
    }
    operation->result = std::move(*made);
  }
  if (*length < operation->result->size()) {
    *length = operation->result->size();
    return refuse(CKR_BUFFER_TOO_SMALL);
  }
  give(operation->result->expose_secret(), out, length);
  operation.reset();
  return {};
}

Done encrypt(const Module::Entry& entry, CK_BYTE_PTR out, CK_ULONG_PTR length) {
  const std::size_t octets = entry->encrypt->public_key->modulus().size();
  return finish(entry->encrypt, out, length, octets,
                [&]() -> Outcome<SecretBytes> { return SecretBytes(TRY(make_cryptogram(*entry->encrypt))); });
}

Done decrypt(const Module::Entry& entry, CK_BYTE_PTR out, CK_ULONG_PTR length) {
  const std::size_t octets = entry->decrypt->key->key->type->octets();
  return finish(entry->decrypt, out, length, octets - 11, [&] { return open_cryptogram(entry, *entry->decrypt); });
}

Done start(std::optional<KeyOperation>& slot, const Module::Entry& entry, CK_MECHANISM_PTR mechanism,
           CK_OBJECT_HANDLE key, CK_FLAGS deed) {
  if (mechanism == nullptr && slot) {
    slot.reset();
    return {};
  }
  TRY(need(mechanism));
  if (slot) return refuse(CKR_OPERATION_ACTIVE);
  KeyOperation operation = TRY(begin(entry, mechanism, key, deed));
  slot.emplace(std::move(operation));
  return {};
}

// Single part: the input is taken unless the result of an earlier call with too small a buffer is waiting.
Done take_whole(std::optional<KeyOperation>& operation, const CK_BYTE* data, CK_ULONG octets, const CK_BYTE* out,
                CK_RV too_long) {
  if (!operation) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  if (operation->several_parts) return end_with(operation, CKR_OPERATION_ACTIVE);
  const auto input = octets_in(data, octets);
  if (!input) return end_with(operation, CKR_ARGUMENTS_BAD);
  if (out == nullptr || operation->result) return {};
  wipe(operation->collected);
  operation->collected.clear();
  if (!add(*operation, *input, too_long)) return end_with(operation, too_long);
  return {};
}

// RSA has no parts: they are collected, and nothing comes out before the end.
Done take_part(std::optional<KeyOperation>& operation, const CK_BYTE* part, CK_ULONG octets, CK_ULONG_PTR length,
               CK_RV too_long) {
  if (!operation) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  const auto input = octets_in(part, octets);
  if (!input || length == nullptr) return end_with(operation, CKR_ARGUMENTS_BAD);
  if (!add(*operation, *input, too_long)) return end_with(operation, too_long);
  operation->several_parts = true;
  *length = 0;
  return {};
}

}  // namespace

Done C_EncryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  const auto entry = TRY(Module::enter(handle));
  return start(entry->encrypt, entry, mechanism, key, CKF_ENCRYPT);
}

Done C_Encrypt(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG octets, CK_BYTE_PTR out, CK_ULONG_PTR length) {
  const auto entry = TRY(Module::enter(handle));
  TRY(take_whole(entry->encrypt, data, octets, out, CKR_DATA_LEN_RANGE));
  return encrypt(entry, out, length);
}

Done C_EncryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR part, CK_ULONG octets, CK_BYTE_PTR, CK_ULONG_PTR length) {
  const auto entry = TRY(Module::enter(handle));
  return take_part(entry->encrypt, part, octets, length, CKR_DATA_LEN_RANGE);
}

Done C_EncryptFinal(CK_SESSION_HANDLE handle, CK_BYTE_PTR out, CK_ULONG_PTR length) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->encrypt) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  return encrypt(entry, out, length);
}

Done C_DecryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  const auto entry = TRY(Module::enter(handle));
  return start(entry->decrypt, entry, mechanism, key, CKF_DECRYPT);
}

Done C_Decrypt(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG octets, CK_BYTE_PTR out, CK_ULONG_PTR length) {
  const auto entry = TRY(Module::enter(handle));
  TRY(take_whole(entry->decrypt, data, octets, out, CKR_ENCRYPTED_DATA_LEN_RANGE));
  return decrypt(entry, out, length);
}

Done C_DecryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR part, CK_ULONG octets, CK_BYTE_PTR, CK_ULONG_PTR length) {
  const auto entry = TRY(Module::enter(handle));
  return take_part(entry->decrypt, part, octets, length, CKR_ENCRYPTED_DATA_LEN_RANGE);
}

Done C_DecryptFinal(CK_SESSION_HANDLE handle, CK_BYTE_PTR out, CK_ULONG_PTR length) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->decrypt) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  return decrypt(entry, out, length);
}

}  // namespace karta::pkcs11::call
