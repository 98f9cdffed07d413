// §5.11 signatures, by the card; §5.12 verification, in software.
#include <algorithm>

#include "base/der.h"
#include "card/card_signer.h"
#include "crypto/digest.h"
#include "crypto/rsa.h"
#include "pkcs11/calls.h"
#include "pkcs11/operation.h"
#include "pkcs11/pss.h"

namespace karta::pkcs11::call {
namespace {

// What programs may hand over for a mechanism without a hash: a digest, a DigestInfo, never a document.
constexpr std::size_t kMostCollected = 4096;

// An operation is over when a call fails, whatever for; this ends it on every way out but the ones that say so.
class EndUnlessKept {
 public:
  explicit EndUnlessKept(std::optional<KeyOperation>& operation) : operation_(&operation) {}
  EndUnlessKept(const EndUnlessKept&) = delete;
  EndUnlessKept& operator=(const EndUnlessKept&) = delete;
  ~EndUnlessKept() {
    if (operation_ != nullptr) operation_->reset();
  }
  void keep() { operation_ = nullptr; }

 private:
  std::optional<KeyOperation>* operation_;
};

Done add(KeyOperation& operation, ByteView part) {
  if (operation.hasher) {
    operation.hasher->update(part);
    return {};
  }
  if (part.size() > kMostCollected - operation.collected.size()) return refuse(CKR_DATA_LEN_RANGE);
  append(operation.collected, part);
  return {};
}

std::size_t key_octets(const Object& key) { return key.key->type->octets(); }

// CKM_ECDSA: r and s, each as long as the field (§2.3.1), where the card speaks DER.
Outcome<Bytes> raw_of(ByteView der_signature, std::size_t octets) {
  der::Reader outer(der_signature);
  auto inner = outer.enter(der::kSequence);
  if (!inner) return refuse(CKR_DEVICE_ERROR);
  Bytes raw(2 * octets, 0);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto number = inner->unsigned_integer();
    if (!number || number->size() > octets) return refuse(CKR_DEVICE_ERROR, "a signature number out of range");
    std::copy(number->begin(), number->end(),
              raw.begin() + static_cast<std::ptrdiff_t>((i + 1) * octets - number->size()));
  }
  return raw;
}

Outcome<Bytes> make_signature(const Module::Entry& entry, KeyOperation& operation) {
  const KeyUse use = TRY(use_for(entry, operation));
  const Bytes input = operation.hasher ? operation.hasher->finish() : operation.collected;
  const card::CardKey& key = *operation.key->key;
  const std::size_t octets = key.type->octets();
  switch (operation.mechanism->padding) {
    case crypto::Padding::none: {
      if (input.empty()) return refuse(CKR_DATA_LEN_RANGE);
      const Bytes signature = TRY(entry.slot().sign(entry->index(), key, card::SignatureScheme::ecdsa, input, use));
      return raw_of(signature, octets);
    }
    case crypto::Padding::pkcs1: {
      const Bytes block = operation.mechanism->hash ? card::digest_info(*operation.mechanism->hash, input) : input;
      if (block.empty() || block.size() + 11 > octets) return refuse(CKR_DATA_LEN_RANGE);
      return entry.slot().sign(entry->index(), key, card::SignatureScheme::rsa_pkcs1, block, use);
    }
    case crypto::Padding::pss: {
      if (input.size() != crypto::row_of(*operation.hash).octets) return refuse(CKR_DATA_LEN_RANGE);
      SystemRandom random;
      const auto block =
          pss_encode({*operation.hash, *operation.mask_hash, operation.salt_octets}, input, key.type->bits, random);
      if (!block) return refuse(CKR_KEY_SIZE_RANGE, block.error().message);
      return entry.slot().sign(entry->index(), key, card::SignatureScheme::rsa_raw, *block, use);
    }
  }
  return refuse(CKR_MECHANISM_INVALID);
}

// The last step of C_Sign and C_SignFinal.
Done finish(const Module::Entry& entry, std::optional<ByteView> data, CK_BYTE_PTR signature, CK_ULONG_PTR length) {
  EndUnlessKept end(entry->sign);
  KeyOperation& operation = *entry->sign;
  const std::size_t octets = key_octets(*operation.key);
  const Room room =
      TRY(room_for(signature, length, operation.mechanism->family == crypto::KeyFamily::ec ? 2 * octets : octets));
  if (room != Room::enough) {
    end.keep();
    if (room == Room::asked_for_length) return {};
    return refuse(CKR_BUFFER_TOO_SMALL);
  }
  if (data) TRY(add(operation, *data));
  auto made = make_signature(entry, operation);
  // §5.11.2: at a reader's PIN pad the holder may say no to this one signature.
  if (!made && made.error().rv == CKR_FUNCTION_CANCELED) return refuse(CKR_FUNCTION_REJECTED, made.error().message);
  const Bytes octets_made = TRY(std::move(made));
  give(octets_made, signature, length);
  return {};
}

Done check_signature(KeyOperation& operation, ByteView signature) {
  const Bytes input = operation.hasher ? operation.hasher->finish() : operation.collected;
  const crypto::PublicKey& key = *operation.public_key;
  const std::size_t octets = (key.bits() + 7) / 8;
  const bool ec = key.family() == crypto::KeyFamily::ec;
  if (signature.size() != (ec ? 2 * octets : octets)) return refuse(CKR_SIGNATURE_LEN_RANGE);
  if (operation.mechanism->padding == crypto::Padding::pkcs1) {
    const Bytes block = operation.mechanism->hash ? card::digest_info(*operation.mechanism->hash, input) : input;
    const auto expected = crypto::emsa_pkcs1_encode(block, octets);
    if (!expected) return refuse(CKR_DATA_LEN_RANGE);
    const auto opened = crypto::rsa_public_operation(key, signature);
    if (!opened || !equal(*opened, *expected)) return refuse(CKR_SIGNATURE_INVALID);
    return {};
  }
  if (operation.mechanism->padding == crypto::Padding::pss) {
    if (input.size() != crypto::row_of(*operation.hash).octets) return refuse(CKR_DATA_LEN_RANGE);
    const auto opened = crypto::rsa_public_operation(key, signature);
    if (!opened || !pss_fits({*operation.hash, *operation.mask_hash, operation.salt_octets}, input,
                             static_cast<unsigned>(key.bits()), *opened)) {
      return refuse(CKR_SIGNATURE_INVALID);
    }
    return {};
  }
  // A digest handed over bare: its length says which hash the table is asked for.
  std::optional<crypto::Hash> hash = operation.hash;
  if (!hash) {
    for (const crypto::HashRow& row : crypto::kHashes) {
      if (offered_hash(row) && row.octets == input.size()) hash = row.id;
    }
  }
  if (!hash || crypto::row_of(*hash).octets != input.size()) return refuse(CKR_DATA_LEN_RANGE);
  const auto algorithm = crypto::find_algorithm(key.family(), *hash, operation.mechanism->padding);
  if (!algorithm) return refuse(CKR_MECHANISM_PARAM_INVALID);
  const auto trimmed = [](ByteView number) {
    while (number.size() > 1 && number.front() == 0) number = number.subspan(1);
    return number;
  };
  const Bytes der = ec ? der::sequence({der::unsigned_integer(trimmed(signature.first(octets))),
                                        der::unsigned_integer(trimmed(signature.last(octets)))})
                       : to_bytes(signature);
  if (!key.verify_digest(*algorithm, input, der)) return refuse(CKR_SIGNATURE_INVALID);
  return {};
}

}  // namespace

Done C_SignInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  const auto entry = TRY(Module::enter(handle));
  if (mechanism == nullptr && entry->sign) {
    entry->sign.reset();
    return {};
  }
  TRY(need(mechanism));
  if (entry->sign) return refuse(CKR_OPERATION_ACTIVE);
  KeyOperation operation = TRY(begin(entry, mechanism, key, CKF_SIGN));
  if (!operation.key->key || operation.key->key->type == nullptr) return refuse(CKR_KEY_TYPE_INCONSISTENT);
  entry->sign.emplace(std::move(operation));
  return {};
}

Done C_Sign(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG octets, CK_BYTE_PTR signature, CK_ULONG_PTR length) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->sign) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  if (entry->sign->several_parts) {
    entry->sign.reset();
    return refuse(CKR_OPERATION_ACTIVE);
  }
  const auto input = octets_in(data, octets);
  if (!input) {
    entry->sign.reset();
    return refuse(CKR_ARGUMENTS_BAD);
  }
  return finish(entry, *input, signature, length);
}

Done C_SignUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR part, CK_ULONG octets) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->sign) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  EndUnlessKept end(entry->sign);
  const ByteView input = TRY(octets_in(part, octets));
  TRY(add(*entry->sign, input));
  entry->sign->several_parts = true;
  end.keep();
  return {};
}

Done C_SignFinal(CK_SESSION_HANDLE handle, CK_BYTE_PTR signature, CK_ULONG_PTR length) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->sign) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  return finish(entry, {}, signature, length);
}

Done C_VerifyInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism, CK_OBJECT_HANDLE key) {
  const auto entry = TRY(Module::enter(handle));
  if (mechanism == nullptr && entry->verify) {
    entry->verify.reset();
    return {};
  }
  TRY(need(mechanism));
  if (entry->verify) return refuse(CKR_OPERATION_ACTIVE);
  KeyOperation operation = TRY(begin(entry, mechanism, key, CKF_VERIFY));
  entry->verify.emplace(std::move(operation));
  return {};
}

Done C_Verify(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG octets, CK_BYTE_PTR signature,
              CK_ULONG signature_octets) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->verify) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  const EndUnlessKept end(entry->verify);
  if (entry->verify->several_parts) return refuse(CKR_OPERATION_ACTIVE);
  const ByteView input = TRY(octets_in(data, octets));
  const ByteView shown = TRY(octets_in(signature, signature_octets));
  TRY(add(*entry->verify, input));
  return check_signature(*entry->verify, shown);
}

Done C_VerifyUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR part, CK_ULONG octets) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->verify) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  EndUnlessKept end(entry->verify);
  const ByteView input = TRY(octets_in(part, octets));
  TRY(add(*entry->verify, input));
  entry->verify->several_parts = true;
  end.keep();
  return {};
}

Done C_VerifyFinal(CK_SESSION_HANDLE handle, CK_BYTE_PTR signature, CK_ULONG signature_octets) {
  const auto entry = TRY(Module::enter(handle));
  if (!entry->verify) return refuse(CKR_OPERATION_NOT_INITIALIZED);
  const EndUnlessKept end(entry->verify);
  const ByteView shown = TRY(octets_in(signature, signature_octets));
  return check_signature(*entry->verify, shown);
}

}  // namespace karta::pkcs11::call
