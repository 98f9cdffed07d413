#include "card/pkcs15.h"

#include <functional>

#include "base/der.h"

namespace karta::card {
namespace {

using der::context;
using der::context_primitive;

// Cards pad their files with 00 or FF, and write lengths longer than needed: BER limits, bounded by a file's size.
constexpr TlvLimits kLimits{3, kMaxFileOctets, false, true};

// A value which sits in the first and only octets a card can mean by a number of this kind.
constexpr std::uint64_t kMaxLength = 1u << 16;

der::Reader reader_of(ByteView content) { return der::Reader(content, kLimits); }

// Padding that follows DER values ends a directory file; 00 and FF are no tags of any object in it.
template <class Object>
Result<std::vector<Object>> parse_all(ByteView content, std::string_view file,
                                      const std::function<Result<std::optional<Object>>(const Tlv&)>& parse_one) {
  std::vector<Object> objects;
  der::Reader reader = reader_of(content);
  while (!reader.done()) {
    if (objects.size() == kMaxObjects) {
      return fail(ErrorKind::limit, std::string(file) + " lists more than " + std::to_string(kMaxObjects) + " objects");
    }
    const std::size_t offset = reader.offset();
    const auto in_file = [&](Error error) {
      error.message = std::string(file) + ", object at offset " + std::to_string(offset) + ": " + error.message;
      return fail(std::move(error));
    };
    const auto tlv = reader.any();
    if (!tlv) return in_file(tlv.error());
    auto object = parse_one(*tlv);
    if (!object) return in_file(object.error());
    if (*object) objects.push_back(std::move(**object));
  }
  return objects;
}

// A BIT STRING of named bits: bit 0 of the ASN.1 type is bit 0 of the number; bits from 32 on are not looked at.
Result<std::uint32_t> flags(der::Reader& reader) {
  const der::Reader::Bits bits = TRY(reader.bits());
  std::uint32_t value = 0;
  for (unsigned bit = 0; bit < 32; ++bit) {
    if (bits.test(bit)) value |= 1u << bit;
  }
  return value;
}

Result<std::uint64_t> small(ByteView content, std::uint64_t most) {
  // Content octets of an INTEGER. Early OpenSC wrote references over 127 as negative numbers: one octet is taken as is.
  if (content.size() == 1) return content[0];
  if (content.empty() || content.size() > 8 || (content[0] & 0x80) != 0) {
    return fail(ErrorKind::malformed, "a number out of range");
  }
  std::uint64_t value = 0;
  for (const std::uint8_t octet : content) value = value << 8 | octet;
  if (value > most) return fail(ErrorKind::malformed, "the number " + std::to_string(value) + " is out of range");
  return value;
}

Result<std::uint64_t> integer(der::Reader& reader, std::uint64_t most) {
  const Tlv value = TRY(reader.expect(der::kInteger));
  return small(value.value, most);
}

Result<std::string> label_of(ByteView text) {
  constexpr std::size_t kMaxLabel = 255;
  if (text.size() > kMaxLabel) return fail(ErrorKind::limit, "a label over 255 octets");
  return std::string(as_text(text));
}

// Path ::= SEQUENCE { path OCTET STRING, index INTEGER OPTIONAL, length [0] INTEGER OPTIONAL }
Result<Location> location(der::Reader reader) {
  Location where;
  const ByteView path = TRY(reader.octet_string());
  where.path = TRY(Path::from_octets(path));
  if (const auto index = TRY(reader.next_if(der::kInteger))) where.offset = TRY(small(index->value, kMaxLength));
  if (const auto length = TRY(reader.next_if(context_primitive(0)))) {
    where.length = TRY(small(length->value, kMaxLength));
  }
  return where;
}

Bytes encode(const Location& where) {
  const Bytes path = der::octet_string(where.path.absolute());
  if (where.offset == 0 && where.length == 0) return der::sequence({path});
  Bytes length = der::integer(where.length);
  length[0] = context_primitive(0);
  return der::sequence({path, der::integer(where.offset), length});
}

Bytes encode(const Path& path) { return encode(Location{path, 0, 0}); }

// CommonObjectAttributes ::= SEQUENCE { label UTF8String OPTIONAL, flags CommonObjectFlags OPTIONAL,
//   authId Identifier OPTIONAL, userConsent INTEGER OPTIONAL, accessControlRules OPTIONAL, ... }
Result<ObjectHead> head(der::Reader& object) {
  der::Reader reader = TRY(object.enter(der::kSequence));
  ObjectHead out;
  if (const auto label = TRY(reader.next_if(der::kUtf8String))) out.label = TRY(label_of(label->value));
  if (!reader.done()) {
    der::Reader ahead = reader;
    if (TRY(ahead.any()).tag == der::kBitString) out.flags = TRY(flags(reader));
  }
  if (const auto auth = TRY(reader.next_if(der::kOctetString))) out.auth_id = to_bytes(auth->value);
  if (const auto consent = TRY(reader.next_if(der::kInteger))) {
    out.user_consent = static_cast<unsigned>(TRY(small(consent->value, kMaxLength)));
  }
  return out;
}

Bytes encode(const ObjectHead& object) {
  Bytes content;
  if (!object.label.empty()) append(content, der::utf8(object.label));
  if (object.flags != 0) append(content, der::named_bits(object.flags, 2));
  if (!object.auth_id.empty()) append(content, der::octet_string(object.auth_id));
  if (object.user_consent != 0) append(content, der::integer(object.user_consent));
  return der::sequence(content);
}

// CommonKeyAttributes ::= SEQUENCE { iD Identifier, usage KeyUsageFlags, native BOOLEAN DEFAULT TRUE,
//   accessFlags KeyAccessFlags OPTIONAL, keyReference Reference OPTIONAL, startDate, endDate OPTIONAL, ... }
struct KeyAttributes {
  Bytes id;
  std::uint32_t usage = 0, access = 0;
  std::optional<std::uint8_t> key_reference;
};

Result<KeyAttributes> key_attributes(der::Reader& object) {
  der::Reader reader = TRY(object.enter(der::kSequence));
  KeyAttributes out;
  out.id = to_bytes(TRY(reader.octet_string()));
  out.usage = TRY(flags(reader));
  TRY(reader.next_if(der::kBoolean));
  if (!reader.done()) {
    der::Reader ahead = reader;
    if (TRY(ahead.any()).tag == der::kBitString) out.access = TRY(flags(reader));
  }
  if (const auto reference = TRY(reader.next_if(der::kInteger))) {
    out.key_reference = static_cast<std::uint8_t>(TRY(small(reference->value, 0xFF)));
  }
  return out;
}

Bytes encode(const KeyAttributes& key) {
  Bytes content = concat({der::octet_string(key.id), der::named_bits(key.usage, 10)});
  if (key.access != 0) append(content, der::named_bits(key.access, 5));
  if (key.key_reference) append(content, der::integer(*key.key_reference));
  return der::sequence(content);
}

// PKCS15Object { ClassAttributes, SubClassAttributes, TypeAttributes } ::= SEQUENCE { commonObjectAttributes,
//   classAttributes, subClassAttributes [0] OPTIONAL, typeAttributes [1] }
// Reads up to the type attributes' own SEQUENCE.
Result<der::Reader> type_attributes(der::Reader& object) {
  TRY(object.next_if(context(0)));
  der::Reader outer = TRY(object.enter(context(1)));
  return outer.enter(der::kSequence);
}

Bytes pkcs15_object(Tag tag, const Bytes& common, const Bytes& class_attributes, const Bytes& type) {
  return make_tlv(tag, {common, class_attributes, make_tlv(context(1), type)});
}

// ObjectValue ::= CHOICE { indirect ReferencedValue, direct [0], ... }
struct Value {
  std::optional<Location> location;
  Bytes direct;
};

Result<Value> object_value(der::Reader& reader) {
  if (const auto direct = TRY(reader.next_if(context(0)))) return Value{std::nullopt, to_bytes(direct->value)};
  const der::Reader path = TRY(reader.enter(der::kSequence));
  return Value{TRY(location(path)), {}};
}

Bytes encode_value(const std::optional<Location>& where, const Bytes& direct) {
  return where ? encode(*where) : make_tlv(context(0), direct);
}

}  // namespace

// EF.DIR -----------------------------------------------------------------------------------------

Result<std::vector<ApplicationTemplate>> parse_ef_dir(ByteView content) {
  return parse_all<ApplicationTemplate>(
      content, "EF.DIR", [](const Tlv& entry) -> Result<std::optional<ApplicationTemplate>> {
        // Bare 4F objects may stand beside templates (ISO 7816-4 §12.2.2.2).
        ApplicationTemplate application;
        if (entry.tag == 0x4F) {
          application.aid = to_bytes(entry.value);
        } else if (entry.tag == 0x61) {
          TlvCursor inner(entry.value, kLimits);
          while (!inner.done()) {
            const Tlv object = TRY(inner.next());
            if (object.tag == 0x4F) application.aid = to_bytes(object.value);
            if (object.tag == 0x50) application.label = TRY(label_of(object.value));
            if (object.tag == 0x51) application.path = TRY(Path::from_octets(object.value));
          }
        } else {
          return std::optional<ApplicationTemplate>();
        }
        if (application.aid.empty() || application.aid.size() > 16) {
          return fail(ErrorKind::malformed,
                      "an application identifier of " + std::to_string(application.aid.size()) + " octets");
        }
        return application;
      });
}

Bytes encode_ef_dir(const std::vector<ApplicationTemplate>& applications) {
  Bytes out;
  for (const ApplicationTemplate& application : applications) {
    Bytes content = make_tlv(0x4F, application.aid);
    if (!application.label.empty()) append(content, make_tlv(0x50, as_bytes(application.label)));
    if (application.path) append(content, make_tlv(0x51, application.path->absolute()));
    append_tlv(out, 0x61, content);
  }
  return out;
}

// TokenInfo --------------------------------------------------------------------------------------

// TokenInfo ::= SEQUENCE { version INTEGER, serialNumber OCTET STRING, manufacturerID Label OPTIONAL,
//   label [0] Label OPTIONAL, tokenflags TokenFlags, seInfo OPTIONAL, recordInfo [1], supportedAlgorithms [2], ... }
Result<TokenInfo> parse_token_info(ByteView content) {
  der::Reader file = reader_of(content);
  der::Reader reader = TRY(file.enter(der::kSequence));
  TokenInfo info;
  info.version = static_cast<unsigned>(TRY(integer(reader, 255)));
  info.serial = to_bytes(TRY(reader.octet_string()));
  if (const auto maker = TRY(reader.next_if(der::kUtf8String))) info.manufacturer = TRY(label_of(maker->value));
  if (const auto label = TRY(reader.next_if(context_primitive(0)))) info.label = TRY(label_of(label->value));
  info.flags = TRY(flags(reader));
  return info;
}

Bytes encode_token_info(const TokenInfo& info) {
  Bytes content = concat({der::integer(info.version), der::octet_string(info.serial)});
  if (!info.manufacturer.empty()) append(content, der::utf8(info.manufacturer));
  if (!info.label.empty()) append(content, make_tlv(context_primitive(0), as_bytes(info.label)));
  append(content, der::named_bits(info.flags, 4));
  return der::sequence(content);
}

// ODF --------------------------------------------------------------------------------------------

// PKCS15Objects ::= CHOICE { privateKeys [0] PrivateKeys, ..., authObjects [8] AuthObjects, ... }, each a CHOICE of
// path SEQUENCE or objects [0]; karta reads paths.
Result<std::vector<DirectoryEntry>> parse_odf(ByteView content) {
  return parse_all<DirectoryEntry>(content, "EF.ODF", [](const Tlv& entry) -> Result<std::optional<DirectoryEntry>> {
    if (entry.tag < context(0) || entry.tag > context(8)) return std::optional<DirectoryEntry>();
    der::Reader inner = reader_of(entry.value);
    const auto path = TRY(inner.enter_if(der::kSequence));
    if (!path) return std::optional<DirectoryEntry>();
    const Location where = TRY(location(*path));
    return DirectoryEntry{static_cast<Directory>(entry.tag - context(0)), where.path};
  });
}

Bytes encode_odf(const std::vector<DirectoryEntry>& entries) {
  Bytes out;
  for (const DirectoryEntry& entry : entries) {
    append_tlv(out, context(static_cast<unsigned>(entry.kind)), encode(entry.path));
  }
  return out;
}

// AODF -------------------------------------------------------------------------------------------

// AuthenticationType ::= CHOICE { pin AuthenticationObject { PinAttributes }, biometricTemplate [0], authKey [1], ... }
// CommonAuthenticationObjectAttributes ::= SEQUENCE { authId Identifier }
// PinAttributes ::= SEQUENCE { pinFlags, pinType ENUMERATED, minLength, storedLength, maxLength OPTIONAL,
//   pinReference [0] DEFAULT 0, padChar OCTET STRING (SIZE(1)) OPTIONAL, lastPinChange OPTIONAL, path Path OPTIONAL }
Result<std::vector<PinObject>> parse_aodf(ByteView content) {
  return parse_all<PinObject>(content, "EF.AODF", [](const Tlv& entry) -> Result<std::optional<PinObject>> {
    if (entry.tag != der::kSequence) return std::optional<PinObject>();
    der::Reader object = reader_of(entry.value);
    PinObject pin;
    pin.head = TRY(head(object));
    der::Reader common = TRY(object.enter(der::kSequence));
    pin.id = to_bytes(TRY(common.octet_string()));
    der::Reader reader = TRY(type_attributes(object));
    pin.flags = TRY(flags(reader));
    const Tlv type = TRY(reader.expect(der::kEnumerated));
    pin.type = static_cast<unsigned>(TRY(small(type.value, 255)));
    pin.min_length = static_cast<unsigned>(TRY(integer(reader, 255)));
    pin.stored_length = static_cast<unsigned>(TRY(integer(reader, 255)));
    if (const auto most = TRY(reader.next_if(der::kInteger))) {
      pin.max_length = static_cast<unsigned>(TRY(small(most->value, 255)));
    }
    if (const auto reference = TRY(reader.next_if(context_primitive(0)))) {
      // Encoded as a signed INTEGER by some: 81 is 0x81, and so is 00 81.
      const std::uint64_t value = TRY(small(reference->value, 0xFF));
      pin.reference = static_cast<std::uint8_t>(value);
    }
    if (const auto pad = TRY(reader.next_if(der::kOctetString)); pad && !pad->value.empty()) pin.pad = pad->value[0];
    TRY(reader.next_if(der::kGeneralizedTime));
    if (const auto path = TRY(reader.enter_if(der::kSequence))) pin.path = TRY(location(*path)).path;
    return pin;
  });
}

Bytes encode_aodf(const std::vector<PinObject>& pins) {
  Bytes out;
  for (const PinObject& pin : pins) {
    Bytes attributes =
        concat({der::named_bits(pin.flags, 12), make_tlv(der::kEnumerated, Bytes{static_cast<std::uint8_t>(pin.type)}),
                der::integer(pin.min_length), der::integer(pin.stored_length)});
    if (pin.max_length != 0) append(attributes, der::integer(pin.max_length));
    if (pin.reference) {
      Bytes reference = der::integer(*pin.reference);
      reference[0] = context_primitive(0);
      append(attributes, reference);
    }
    if (pin.pad) append(attributes, der::octet_string(Bytes{*pin.pad}));
    if (pin.path) append(attributes, encode(*pin.path));
    append(out, pkcs15_object(der::kSequence, encode(pin.head), der::sequence({der::octet_string(pin.id)}),
                              der::sequence(attributes)));
  }
  return out;
}

// PrKDF ------------------------------------------------------------------------------------------

// PrivateKeyType ::= CHOICE { privateRSAKey PrivateKeyObject {PrivateRSAKeyAttributes}, privateECKey [0], ... }
// PrivateRSAKeyAttributes ::= SEQUENCE { value ObjectValue, modulusLength INTEGER, keyInfo OPTIONAL, ... }
// PrivateECKeyAttributes ::= SEQUENCE { value ObjectValue, keyInfo OPTIONAL, ... }; OpenSC writes and reads the field's
// size in bits before keyInfo, and so do we.
Result<std::vector<PrivateKeyObject>> parse_prkdf(ByteView content) {
  return parse_all<PrivateKeyObject>(content, "EF.PrKDF",
                                     [](const Tlv& entry) -> Result<std::optional<PrivateKeyObject>> {
                                       if (entry.tag != der::kSequence && entry.tag != context(0)) {
                                         return std::optional<PrivateKeyObject>();
                                       }
                                       PrivateKeyObject key;
                                       key.family = entry.tag == der::kSequence ? KeyFamily::rsa : KeyFamily::ec;
                                       der::Reader object = reader_of(entry.value);
                                       key.head = TRY(head(object));
                                       KeyAttributes common = TRY(key_attributes(object));
                                       key.id = std::move(common.id);
                                       key.usage = common.usage;
                                       key.access = common.access;
                                       key.key_reference = common.key_reference;
                                       der::Reader reader = TRY(type_attributes(object));
                                       const Value value = TRY(object_value(reader));
                                       if (value.location) key.location = *value.location;
                                       if (const auto bits = TRY(reader.next_if(der::kInteger))) {
                                         key.bits = static_cast<unsigned>(TRY(small(bits->value, 16384)));
                                       }
                                       return key;
                                     });
}

Bytes encode_prkdf(const std::vector<PrivateKeyObject>& keys) {
  Bytes out;
  for (const PrivateKeyObject& key : keys) {
    Bytes attributes = encode(key.location);
    if (key.bits != 0) append(attributes, der::integer(key.bits));
    append(out, pkcs15_object(key.family == KeyFamily::rsa ? der::kSequence : context(0), encode(key.head),
                              encode(KeyAttributes{key.id, key.usage, key.access, key.key_reference}),
                              der::sequence(attributes)));
  }
  return out;
}

// PuKDF ------------------------------------------------------------------------------------------

// PublicKeyType ::= CHOICE { publicRSAKey PublicKeyObject {PublicRSAKeyAttributes}, publicECKey [0], ... }
// PublicRSAKeyAttributes ::= SEQUENCE { value ObjectValue, modulusLength INTEGER, keyInfo OPTIONAL, ... }
Result<std::vector<PublicKeyObject>> parse_pukdf(ByteView content) {
  return parse_all<PublicKeyObject>(content, "EF.PuKDF",
                                    [](const Tlv& entry) -> Result<std::optional<PublicKeyObject>> {
                                      if (entry.tag != der::kSequence && entry.tag != context(0)) {
                                        return std::optional<PublicKeyObject>();
                                      }
                                      PublicKeyObject key;
                                      key.family = entry.tag == der::kSequence ? KeyFamily::rsa : KeyFamily::ec;
                                      der::Reader object = reader_of(entry.value);
                                      key.head = TRY(head(object));
                                      KeyAttributes common = TRY(key_attributes(object));
                                      key.id = std::move(common.id);
                                      key.usage = common.usage;
                                      key.access = common.access;
                                      key.key_reference = common.key_reference;
                                      der::Reader reader = TRY(type_attributes(object));
                                      Value value = TRY(object_value(reader));
                                      key.location = std::move(value.location);
                                      key.value = std::move(value.direct);
                                      if (const auto bits = TRY(reader.next_if(der::kInteger))) {
                                        key.bits = static_cast<unsigned>(TRY(small(bits->value, 16384)));
                                      }
                                      return key;
                                    });
}

Bytes encode_pukdf(const std::vector<PublicKeyObject>& keys) {
  Bytes out;
  for (const PublicKeyObject& key : keys) {
    Bytes attributes = encode_value(key.location, key.value);
    if (key.bits != 0) append(attributes, der::integer(key.bits));
    append(out, pkcs15_object(key.family == KeyFamily::rsa ? der::kSequence : context(0), encode(key.head),
                              encode(KeyAttributes{key.id, key.usage, key.access, key.key_reference}),
                              der::sequence(attributes)));
  }
  return out;
}

// CDF --------------------------------------------------------------------------------------------

// CertificateType ::= CHOICE { x509Certificate CertificateObject { X509CertificateAttributes }, ... }
// CommonCertificateAttributes ::= SEQUENCE { iD Identifier, authority BOOLEAN DEFAULT FALSE, ... }
// X509CertificateAttributes ::= SEQUENCE { value ObjectValue { Certificate }, subject, issuer, serialNumber OPTIONAL }
Result<std::vector<CertificateObject>> parse_cdf(ByteView content) {
  return parse_all<CertificateObject>(content, "EF.CDF",
                                      [](const Tlv& entry) -> Result<std::optional<CertificateObject>> {
                                        if (entry.tag != der::kSequence) return std::optional<CertificateObject>();
                                        der::Reader object = reader_of(entry.value);
                                        CertificateObject certificate;
                                        certificate.head = TRY(head(object));
                                        der::Reader common = TRY(object.enter(der::kSequence));
                                        certificate.id = to_bytes(TRY(common.octet_string()));
                                        if (const auto authority = TRY(common.next_if(der::kBoolean))) {
                                          certificate.authority = !authority->value.empty() && authority->value[0] != 0;
                                        }
                                        der::Reader reader = TRY(type_attributes(object));
                                        Value value = TRY(object_value(reader));
                                        certificate.location = std::move(value.location);
                                        certificate.value = std::move(value.direct);
                                        return certificate;
                                      });
}

Bytes encode_cdf(const std::vector<CertificateObject>& certificates) {
  Bytes out;
  for (const CertificateObject& certificate : certificates) {
    Bytes common = der::octet_string(certificate.id);
    if (certificate.authority) append(common, der::boolean(true));
    append(out, pkcs15_object(der::kSequence, encode(certificate.head), der::sequence(common),
                              der::sequence({encode_value(certificate.location, certificate.value)})));
  }
  return out;
}

// DODF -------------------------------------------------------------------------------------------

// DataType ::= CHOICE { opaqueDO DataObject { Opaque }, externalIDO [0], oidDO [1], ... }
// CommonDataObjectAttributes ::= SEQUENCE { applicationName Label OPTIONAL, applicationOID OBJECT IDENTIFIER OPTIONAL }
// Opaque ::= ObjectValue: the type attributes are the value itself, not a sequence around it.
Result<std::vector<DataObject>> parse_dodf(ByteView content) {
  return parse_all<DataObject>(content, "EF.DODF", [](const Tlv& entry) -> Result<std::optional<DataObject>> {
    if (entry.tag != der::kSequence) return std::optional<DataObject>();
    der::Reader object = reader_of(entry.value);
    DataObject data;
    data.head = TRY(head(object));
    der::Reader common = TRY(object.enter(der::kSequence));
    if (const auto name = TRY(common.next_if(der::kUtf8String))) data.application = TRY(label_of(name->value));
    if (const auto oid = TRY(common.next_if(der::kOid))) data.application_oid = der::oid_to_text(oid->value);
    TRY(object.next_if(context(0)));
    der::Reader type = TRY(object.enter(context(1)));
    Value value = TRY(object_value(type));
    data.location = std::move(value.location);
    data.value = std::move(value.direct);
    return data;
  });
}

Bytes encode_dodf(const std::vector<DataObject>& objects) {
  Bytes out;
  for (const DataObject& data : objects) {
    Bytes common;
    if (!data.application.empty()) append(common, der::utf8(data.application));
    if (!data.application_oid.empty()) append(common, der::oid(data.application_oid));
    append(out, pkcs15_object(der::kSequence, encode(data.head), der::sequence(common),
                              encode_value(data.location, data.value)));
  }
  return out;
}

}  // namespace karta::card
