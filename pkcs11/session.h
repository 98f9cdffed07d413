// Session: a program's session with a token, and the operations under way in it.
//
// An operation begins with an ...Init call and ends with its result or its first error; CKR_BUFFER_TOO_SMALL and a
// question for the length leave it as it was (PKCS #11 v3.0 §5.2).
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "crypto/digest.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/slot.h"

namespace karta::pkcs11 {

/// Sign, verify, encrypt or decrypt with one key.
struct KeyOperation {
  const Mechanism* mechanism = nullptr;
  std::shared_ptr<Object> key;
  std::optional<crypto::PublicKey> public_key;  ///< verify and encrypt
  std::optional<crypto::Hash> hash;             ///< of the mechanism, or of its PSS or OAEP parameters
  std::optional<crypto::Hash> mask_hash;        ///< of the parameters' mask generation function
  std::size_t salt_octets = 0;                  ///< PSS
  std::optional<crypto::Hasher> hasher;         ///< where the mechanism hashes
  Bytes collected;                              ///< where it does not; wiped with the operation
  Bytes oaep_label;
  bool several_parts = false;
  std::optional<SecretBytes> pin;     ///< of a context-specific login
  bool pin_at_pad = false;            ///< ... which is to be typed at the reader
  std::uint16_t content = 0;          ///< Slot::content() at the beginning: that key and no other
  std::optional<SecretBytes> result;  ///< made, and too long for the program's buffer
  KeyOperation() = default;
  KeyOperation(KeyOperation&&) = default;
  KeyOperation& operator=(KeyOperation&&) = default;
  ~KeyOperation() { wipe(collected); }
};

struct DigestOperation {
  crypto::Hash hash;
  crypto::Hasher hasher;
  bool several_parts = false;
};

struct Search {
  std::deque<CK_OBJECT_HANDLE> found;
};

class Session {
 public:
  Session(std::shared_ptr<Slot> slot, std::size_t index, CK_FLAGS flags)
      : slot_(std::move(slot)), index_(index), flags_(flags), generation_(slot_->gone()) {}

  CK_SESSION_HANDLE handle = CK_INVALID_HANDLE;
  bool closed = false;  ///< under the slot's mutex: a call that waited for it must not go on
  Slot& slot() const { return *slot_; }
  const std::shared_ptr<Slot>& shared_slot() const { return slot_; }
  std::size_t index() const { return index_; }
  CK_SLOT_ID slot_id() const { return slot_->first_id() + index_; }
  CK_FLAGS flags() const { return flags_; }
  bool may_write() const { return (flags_ & CKF_RW_SESSION) != 0; }
  /// The card it was opened on has gone.
  bool stale() const { return slot_->gone() != generation_; }

  /// The PIN of a user's login to a token whose keys want it each time: good for one use of a key in this session, for
  /// programs (OpenSSH) which take the login for that one. Then, and at logout, it is gone.
  std::optional<SecretBytes> login_pin;
  /// The same where the holder typed at the reader, and will type again for that use.
  bool login_at_pad = false;
  std::optional<Search> search;
  std::optional<DigestOperation> digest;
  std::optional<KeyOperation> sign, verify, encrypt, decrypt;
  std::vector<std::shared_ptr<Object>> objects;  ///< session objects

 private:
  std::shared_ptr<Slot> slot_;
  std::size_t index_;
  CK_FLAGS flags_;
  unsigned generation_;
};

}  // namespace karta::pkcs11
