#include "firmware-sim/os/cv_certificate.h"

namespace karta::os {
namespace {

// 0.4.0.127.0.7.3.1.2, types of terminals; 0.4.0.127.0.7.3.1.3.2, the terminal's sector (TR-03110-3 C.3).
constexpr u8 kRoleArc[] = {0x04, 0x00, 0x7F, 0x00, 0x07, 0x03, 0x01, 0x02};
constexpr u8 kSectorExtension[] = {0x04, 0x00, 0x7F, 0x00, 0x07, 0x03, 0x01, 0x03, 0x02};
// 1.2.840.113556.1.8000.2554.32106.26952.44991.18976.45155.14854104.125000.2, rights of the sectors health, transit and
// departments (docs/certificates.md).
constexpr u8 kSectorRightsExtension[] = {0x2A, 0x86, 0x48, 0x86, 0xF7, 0x14, 0x01, 0xBE, 0x40, 0x93, 0x7A, 0x81,
                                         0xFA, 0x6A, 0x81, 0xD2, 0x48, 0x82, 0xDF, 0x3F, 0x81, 0x94, 0x20, 0x82,
                                         0xE0, 0x63, 0x87, 0x8A, 0xCF, 0x58, 0x87, 0xD0, 0x48, 0x02};
// 0.4.0.127.0.7.2.2.2.2, TA-ECDSA.
constexpr u8 kEcdsaArc[] = {0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02, 0x02, 0x02};

// SHA-256 over prime, a, b, base point and order of a curve, integers without leading zeros. Together they are the
// parameters a CVCA certificate carries; kept as a digest they take a tenth of the room.
struct DomainRow {
  Curve curve;
  u8 digest[32];
};
constexpr DomainRow kDomains[] = {
    {.curve = Curve::p256,
     .digest = {0x08, 0x15, 0x05, 0x6D, 0x43, 0xF2, 0xB0, 0xAB, 0xEC, 0x34, 0x47, 0xD8, 0xD9, 0xF6, 0x92, 0x13,
                0x97, 0x25, 0x25, 0x67, 0x93, 0x0D, 0x51, 0x9D, 0x53, 0x2B, 0x09, 0x98, 0xDD, 0xB1, 0xDA, 0x88}},
    {.curve = Curve::brainpool_p256r1,
     .digest = {0x3A, 0xA3, 0xAF, 0xF9, 0x3F, 0x25, 0x11, 0x5B, 0xD3, 0xC8, 0x0B, 0xA6, 0x87, 0x30, 0x72, 0xB2,
                0xC2, 0x56, 0x93, 0x0B, 0x28, 0xFF, 0xF9, 0xD2, 0x14, 0x0E, 0xDF, 0x5E, 0x6E, 0x04, 0x4B, 0x82}},
    {.curve = Curve::p384,
     .digest = {0xED, 0x45, 0xA0, 0xA3, 0x85, 0xDC, 0xA4, 0x72, 0xBE, 0x65, 0x7E, 0xF6, 0xD7, 0xDB, 0xF0, 0x3E,
                0x97, 0x4D, 0x84, 0xAD, 0xB5, 0x25, 0xE3, 0xB5, 0x1E, 0x21, 0xB9, 0x3C, 0x3A, 0x6E, 0xA7, 0x92}},
    {.curve = Curve::brainpool_p384r1,
     .digest = {0xFA, 0xE1, 0xC9, 0xCD, 0x3D, 0xB6, 0x63, 0xAD, 0xE7, 0x1D, 0xE3, 0xFC, 0xEB, 0xDC, 0xFA, 0x99,
                0xBF, 0xFE, 0xB3, 0x27, 0x2F, 0xB9, 0x56, 0x2C, 0x3D, 0xE5, 0x2F, 0xD9, 0xD0, 0x3B, 0x3D, 0x18}},
    {.curve = Curve::brainpool_p512r1,
     .digest = {0xA7, 0xE0, 0x32, 0x56, 0x12, 0xE9, 0xC1, 0x50, 0x7E, 0x7F, 0x25, 0xEB, 0xE4, 0xEB, 0xAB, 0xE2,
                0xA3, 0xFB, 0x82, 0x6F, 0x6C, 0x2F, 0xBB, 0xB7, 0xC3, 0x00, 0x51, 0x86, 0xFA, 0x8A, 0xEA, 0x22}},
};

constexpr std::size_t kMaxSectorHashBytes = kMaxDigestBytes;

ByteView without_leading_zeros(ByteView number) {
  while (!number.empty() && number[0] == 0) number = number.subspan(1);
  return number;
}

// The object begins with `tag`: the optional ones are asked for before they are taken.
bool begins_with(ByteView rest, u8 tag) { return !rest.empty() && rest[0] == tag; }

bool find_domain(Hal& hal, ByteView (&parameters)[5], Curve& out) {
  for (ByteView& number : parameters) number = without_leading_zeros(number);
  u8 digest[32];
  if (hal.digest(Digest::sha256, parameters, digest) != HalStatus::ok) return false;
  for (const DomainRow& row : kDomains) {
    if (!equal(row.digest, digest)) continue;
    out = row.curve;
    return true;
  }
  return false;
}

// 65: discretionary data templates, each with the object identifier of its meaning first. Those not known are left
// alone; of the sectors there is one.
bool parse_extensions(ByteView rest, CvCertificate& out) {
  if (!parse_sector_rights(rest, out.sector_rights)) return false;
  bool seen = false;
  while (!rest.empty()) {
    ByteView extension;
    ByteView oid;
    if (!take(rest, 0x73, extension) || !take(extension, 0x06, oid)) return false;
    if (!equal(oid, kSectorExtension)) continue;
    if (seen || !take(extension, 0x80, out.sectors[0])) return false;
    seen = true;
    if (!extension.empty() && !take(extension, 0x81, out.sectors[1])) return false;
    if (!extension.empty()) return false;
    for (const ByteView& hash : out.sectors) {
      if (hash.size() > kMaxSectorHashBytes) return false;
    }
  }
  return true;
}

bool valid_reference(ByteView reference) { return !reference.empty() && reference.size() <= kMaxHolderBytes; }

}  // namespace

bool take(ByteView& rest, u16 tag, ByteView& value) {
  std::size_t at = 0;
  const std::size_t tag_bytes = tag > 0xFF ? 2 : 1;
  if (rest.size() < tag_bytes + 1) return false;
  if (tag_bytes == 2 && rest[at++] != tag >> 8) return false;
  if (rest[at++] != (tag & 0xFF)) return false;
  std::size_t length = rest[at++];
  if (length == 0x81) {
    if (rest.size() - at < 1) return false;
    length = rest[at++];
    if (length < 0x80) return false;
  } else if (length == 0x82) {
    if (rest.size() - at < 2) return false;
    length = read_u16(rest.data() + at);
    at += 2;
    if (length < 0x100) return false;
  } else if (length >= 0x80) {
    return false;
  }
  if (rest.size() - at < length) return false;
  value = rest.subspan(at, length);
  rest = rest.subspan(at + length);
  return true;
}

bool digest_of(u8 algorithm, Digest& out) {
  constexpr Digest kDigests[] = {Digest::sha224, Digest::sha256, Digest::sha384, Digest::sha512};
  if (algorithm < 2 || algorithm > 5) return false;
  out = kDigests[algorithm - 2];
  return true;
}

bool parse_chat(ByteView contents, Chat& out) {
  ByteView oid;
  ByteView authorisation;
  if (!take(contents, 0x06, oid) || !take(contents, 0x53, authorisation) || !contents.empty()) return false;
  if (oid.size() != sizeof kRoleArc + 1 || !equal(oid.first(sizeof kRoleArc), kRoleArc)) return false;
  const u8 type = oid.back();
  if (type < 1 || type > 3) return false;
  out.type = static_cast<TerminalType>(type);
  if (authorisation.size() != (out.type == TerminalType::authentication ? 5U : 1U)) return false;
  out.role = static_cast<CertificateRole>(authorisation[0] >> 6);
  out.rights = authorisation[0] & 0x3F;
  for (const u8 octet : authorisation.subspan(1)) out.rights = out.rights << 8 | octet;
  return true;
}

bool parse_sector_rights(ByteView extensions, u16& out) {
  out = 0;
  bool seen = false;
  while (!extensions.empty()) {
    ByteView extension;
    ByteView oid;
    ByteView bits;
    if (!take(extensions, 0x73, extension) || !take(extension, 0x06, oid)) return false;
    if (!equal(oid, kSectorRightsExtension)) continue;
    if (seen || !take(extension, 0x53, bits) || bits.size() != 2 || !extension.empty()) return false;
    seen = true;
    out = read_u16(bits.data());
  }
  return true;
}

bool valid_date(ByteView date) {
  if (date.size() != kDateBytes) return false;
  for (const u8 digit : date) {
    if (digit > 9) return false;
  }
  const int month = 10 * date[2] + date[3];
  const int day = 10 * date[4] + date[5];
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

bool earlier(ByteView a, ByteView b) {
  for (std::size_t i = 0; i < kDateBytes; ++i) {
    if (a[i] != b[i]) return a[i] < b[i];
  }
  return false;
}

bool parse_public_key(Hal& hal, ByteView contents, PublicKeyObject& out) {
  out = {};
  if (!take(contents, 0x06, out.algorithm)) return false;
  ByteView parameters[5];
  if (begins_with(contents, 0x81)) {
    u16 tag = 0x81;
    for (ByteView& parameter : parameters) {
      if (!take(contents, tag++, parameter)) return false;
    }
    out.has_domain = true;
  }
  if (!take(contents, 0x86, out.point)) return false;
  if (out.has_domain) {
    ByteView cofactor;
    if (!take(contents, 0x87, cofactor)) return false;
    cofactor = without_leading_zeros(cofactor);
    if (cofactor.size() != 1 || cofactor[0] != 1) return false;
    if (!find_domain(hal, parameters, out.domain)) return false;
  }
  return contents.empty();
}

bool parse_certificate(Hal& hal, ByteView contents, CvCertificate& out) {
  out = {};
  const ByteView whole = contents;
  ByteView body;
  if (!take(contents, 0x7F4E, body)) return false;
  out.body = whole.first(whole.size() - contents.size());
  if (!take(contents, 0x5F37, out.signature) || !contents.empty()) return false;

  ByteView profile;
  ByteView key_contents;
  ByteView chat;
  if (!take(body, 0x5F29, profile) || profile.size() != 1 || profile[0] != 0) return false;
  if (!take(body, 0x42, out.authority) || !valid_reference(out.authority)) return false;
  if (!take(body, 0x7F49, key_contents)) return false;
  if (!take(body, 0x5F20, out.holder) || !valid_reference(out.holder)) return false;
  if (!take(body, 0x7F4C, chat) || !parse_chat(chat, out.chat)) return false;
  if (!take(body, 0x5F25, out.effective) || !valid_date(out.effective)) return false;
  if (!take(body, 0x5F24, out.expires) || !valid_date(out.expires)) return false;
  if (earlier(out.expires, out.effective)) return false;
  if (!body.empty()) {
    ByteView extensions;
    if (!take(body, 0x65, extensions) || !body.empty() || !parse_extensions(extensions, out)) return false;
  }

  PublicKeyObject key;
  if (!parse_public_key(hal, key_contents, key)) return false;
  if (key.algorithm.size() != sizeof kEcdsaArc + 1 || !equal(key.algorithm.first(sizeof kEcdsaArc), kEcdsaArc)) {
    return false;
  }
  out.algorithm = key.algorithm.back();
  out.point = key.point;
  out.has_domain = key.has_domain;
  out.domain = key.domain;
  Digest digest;
  return digest_of(out.algorithm, digest) && out.point.size() <= kMaxCertifiedPointBytes;
}

}  // namespace karta::os
