// Digest: a hash of octets, in one call or bit by bit.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "crypto/algorithm.h"
#include "crypto/content.h"

namespace karta::crypto {

/// Incremental hashing. Not copyable; one object serves one message.
class Hasher {
 public:
  explicit Hasher(Hash hash);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void update(ByteView octets);
  /// A second hasher that has seen the same octets: to hash several continuations of one beginning.
  Hasher clone() const;
  /// The digest, row_of(hash).octets long. Call once, last.
  Bytes finish();

 private:
  struct State;
  Hash hash_;
  std::unique_ptr<State> state_;
};

/// The digest of `octets`, row_of(hash).octets long. Cannot fail; ends the program if the library does.
Bytes digest(Hash hash, ByteView octets);

/// The digest of everything left in `content`, in constant memory. Fails as the source does.
Result<Bytes> digest(Hash hash, ContentSource& content);

}  // namespace karta::crypto
