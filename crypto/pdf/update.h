// Update: an incremental update (ISO 32000-1 §7.5.6): objects added or replaced behind the end of a file whose octets
// stay as they are.
#pragma once

#include <map>

#include "crypto/pdf/document.h"

namespace karta::crypto::pdf {

/// Encrypts what is written into an encrypted file; see encryption.h.
class ObjectCipher : public StreamCipher {
 public:
  virtual Result<Bytes> encrypt_string(Ref ref, ByteView octets) const = 0;
  virtual Result<Bytes> encrypt_stream(Ref ref, ByteView octets) const = 0;
};

class Update {
 public:
  /// `document` must outlive this; `cipher` is needed if it is encrypted, and must too.
  explicit Update(const Document& document, const ObjectCipher* cipher = nullptr);

  /// A new object number.
  Ref add();
  /// Puts an object in place. Streams: `raw` is copied. Strings are encrypted where the document is, unless `verbatim`.
  Status set(Ref ref, const Object& object, bool verbatim = false);
  Ref add(const Object& object);  ///< as above; ends the program if encryption fails
  /// The object as it is now: as set here, or as of the last revision.
  Result<Object> current(Ref ref) const;
  /// A change of an existing object: what it holds is kept as it is, encrypted or not.
  Status replace(Ref ref, const Object& object) { return set(ref, object, !in_object_stream(ref)); }

  /// Where the octets of `ref` will begin in the whole file once this is written ("12 0 obj" stands there). Only after
  /// finish().
  std::size_t offset_of(Ref ref) const { return offsets_.at(ref); }
  /// The update's octets, to be put behind the file's. The cross-reference is of the same kind as the last one.
  Bytes finish();

 private:
  bool in_object_stream(Ref ref) const;
  Status encrypt_strings(Ref ref, Object& object) const;

  const Document& document_;
  const ObjectCipher* cipher_;
  std::uint32_t next_;
  std::map<Ref, std::string> bodies_;
  std::map<Ref, Object> objects_;
  std::map<Ref, std::size_t> offsets_;
};

}  // namespace karta::crypto::pdf
