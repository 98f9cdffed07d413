// Card-verifiable certificates (BSI TR-03110-3 appendix C.1): the only form of certificate a card reads. Parsed where
// they lie; nothing is copied and nothing is judged but form. The form is taken strictly: the objects of the profile in
// their order, each once, nothing behind them.
#pragma once

#include "firmware-sim/os/access.h"
#include "firmware-sim/os/hal.h"

namespace karta::os {

constexpr std::size_t kMaxHolderBytes = 16;
constexpr std::size_t kDateBytes = 6;  // YYMMDD, one decimal digit an octet
// The longest public point a certificate carries: brainpoolP512r1.
constexpr std::size_t kMaxCertifiedPointBytes = 129;

// The two highest bits of the authorisation.
enum class CertificateRole : u8 { terminal = 0, foreign_dv = 1, domestic_dv = 2, cvca = 3 };

// Certificate holder authorisation template, contents of 7F4C.
struct Chat {
  TerminalType type = TerminalType::none;
  CertificateRole role = CertificateRole::terminal;
  u64 rights = 0;  // without the role's bits
};
// False for another type than the three, or an authorisation of the wrong length.
bool parse_chat(ByteView contents, Chat& out);

// Views into the certificate.
struct CvCertificate {
  ByteView body;  // 7F4E with its header: what is signed
  ByteView signature;
  ByteView authority;  // reference of the key that signed
  ByteView holder;     // reference of the key certified
  u8 algorithm = 0;    // last arc of TA-ECDSA-SHA-...: 2 to 5
  ByteView point;
  bool has_domain = false;
  Curve domain = Curve::p256;  // where the certificate carries domain parameters
  Chat chat;
  ByteView effective;
  ByteView expires;
  ByteView sectors[2];    // hashes of the terminal's sector keys, empty where not there
  u16 sector_rights = 0;  // of health, transit, departments; 0 where not there
};

// The rights of a sector among extensions, contents of 65: 73 {06 oid 53 bits}, two octets. Zero where they are not
// there; false where they are not as they must be. Other extensions are left alone.
bool parse_sector_rights(ByteView extensions, u16& out);

// The digest of a TA-ECDSA algorithm: 2 SHA-224, 3 SHA-256, 4 SHA-384, 5 SHA-512. False for others, SHA-1 among them.
bool digest_of(u8 algorithm, Digest& out);

// `contents`: 7F4E and 5F37, that is what 7F21 holds. False where anything is not as it must be.
bool parse_certificate(Hal& hal, ByteView contents, CvCertificate& out);

// A public key object's contents: algorithm, domain parameters or none, point.
struct PublicKeyObject {
  ByteView algorithm;  // object identifier's content
  ByteView point;
  bool has_domain = false;
  Curve domain = Curve::p256;
};
// False also for domain parameters that belong to none of the card's curves.
bool parse_public_key(Hal& hal, ByteView contents, PublicKeyObject& out);

// Six octets of a date that exists, months and days roughly.
bool valid_date(ByteView date);
// True when `a` is before `b`. Both are valid dates.
bool earlier(ByteView a, ByteView b);

// Reads the object with `tag` from the front of `rest`; false when something else stands there, or lengths are not in
// their shortest form.
bool take(ByteView& rest, u16 tag, ByteView& value);

}  // namespace karta::os
