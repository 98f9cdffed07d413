// Object: a PKCS #11 object: attributes by type, and where on the card the thing itself lies.
//
// What the card's directory tells is there from the beginning; what only the certificate or the key file tells is
// fetched when a program asks (Slot::complete). Objects are shared: a search may outlive a change of the card.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>

#include "base/clock.h"
#include "base/secret.h"
#include "card/esign.h"
#include "crypto/key.h"
#include "pkcs11/fault.h"

namespace karta::pkcs11 {

/// An attribute's value as it crosses the C boundary: CK_ULONG in the machine's order, CK_BBOOL one octet.
Bytes ulong_value(CK_ULONG value);
Bytes bool_value(bool value);
Bytes text_value(std::string_view text);
Bytes date_value(Time time);

class Object {
 public:
  Object(CK_OBJECT_CLASS object_class, bool token) : class_(object_class) {
    set(CKA_CLASS, ulong_value(object_class));
    set(CKA_TOKEN, bool_value(token));
    token_ = token;
  }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  ~Object();

  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  CK_OBJECT_CLASS object_class() const { return class_; }
  bool on_token() const { return token_; }
  bool is_private() const { return flag(CKA_PRIVATE); }

  void set(CK_ATTRIBUTE_TYPE type, Bytes value) { attributes_[type] = std::move(value); }
  /// nullptr: not (yet) there.
  const Bytes* find(CK_ATTRIBUTE_TYPE type) const;
  bool flag(CK_ATTRIBUTE_TYPE type) const;
  CK_ULONG number(CK_ATTRIBUTE_TYPE type) const;
  const std::map<CK_ATTRIBUTE_TYPE, Bytes>& attributes() const { return attributes_; }

  /// True if `type` is one only the card's files can tell.
  bool deferred(CK_ATTRIBUTE_TYPE type) const;
  /// True if a program may never have it.
  bool withheld(CK_ATTRIBUTE_TYPE type) const;
  bool complete = false;  ///< deferred attributes are in

  // Where it lies; which one depends on the class. Empty for session objects.
  std::optional<card::CardKey> key;
  std::optional<card::CardCertificate> certificate;
  std::optional<card::DataObject> data;
  CK_SESSION_HANDLE owner = CK_INVALID_HANDLE;  ///< session objects go with their session

 private:
  CK_OBJECT_CLASS class_;
  bool token_ = false;
  std::map<CK_ATTRIBUTE_TYPE, Bytes> attributes_;
};

/// True for what only the module says of an object: no program gives it (PKCS #11 v3.0 §4.1.1, notes 2 and 4).
bool only_told(CK_ATTRIBUTE_TYPE type);

std::shared_ptr<Object> make_private_key(const card::CardKey& key);
std::shared_ptr<Object> make_public_key(const card::CardKey& key);
std::shared_ptr<Object> make_certificate(const card::CardCertificate& certificate);
std::shared_ptr<Object> make_data(const card::DataObject& data, std::size_t number);

/// Fills what the certificate tells. A certificate that cannot be read leaves CKA_VALUE and no more.
void complete_certificate(Object& object, ByteView der);
/// Fills what the public key tells, into a public or a private key.
void complete_key(Object& object, const card::CardPublicKey& key);
void complete_key(Object& object, const crypto::PublicKey& key);

/// Mechanisms a key may be used with.
std::vector<CK_MECHANISM_TYPE> mechanisms_of(const card::CardKey& key);

}  // namespace karta::pkcs11
