#include "firmware-sim/os/key_agreement.h"

#include "firmware-sim/os/tlv.h"

namespace karta::os {

Sw derive_key(Hal& hal, ByteView secret, ByteView nonce, u8 counter, ByteSpan key) {
  const Digest digest = key.size() <= 16 ? Digest::sha1 : Digest::sha256;
  u8 hash[kMaxDigestBytes];
  const WipeOnExit wipe_hash(hash);
  const u8 number[4] = {0, 0, 0, counter};
  const ByteView parts[] = {secret, nonce, number};
  const ByteSpan out = ByteSpan(hash).first(digest_bytes(digest));
  if (key.size() > out.size() || hal.digest(digest, parts, out) != HalStatus::ok) return Sw::no_diagnosis;
  copy(key, out.first(key.size()));
  return Sw::ok;
}

Sw authentication_token(Hal& hal, ByteView key, ByteView protocol, ByteView point, ByteSpan token) {
  u8 header[32];
  Writer writer{ByteSpan(header)};
  const std::size_t point_object = Writer::header_bytes(0x86, point.size()) + point.size();
  writer.header(0x7F49, Writer::header_bytes(0x06, protocol.size()) + protocol.size() + point_object);
  writer.object(0x06, protocol);
  writer.header(0x86, point.size());
  const ByteView parts[] = {writer.written(), point};
  u8 mac[kAesBlockBytes];
  const WipeOnExit wipe_mac(mac);
  if (!writer.ok() || hal.aes_cmac(key, parts, mac) != HalStatus::ok) return Sw::no_diagnosis;
  copy(token, ByteView(mac).first(kTokenBytes));
  return Sw::ok;
}

bool parse_protocol(ByteView oid, Protocol& out) {
  constexpr u8 kArc[] = {0x04, 0x00, 0x7F, 0x00, 0x07, 0x02, 0x02};
  if (oid.size() < sizeof kArc + 2 || oid.size() > sizeof kArc + 3 || !equal(oid.first(sizeof kArc), kArc)) {
    return false;
  }
  const ByteView arcs = oid.subspan(sizeof kArc);
  out = {.family = arcs[0], .variant = arcs[1], .number = arcs.size() == 3 ? arcs[2] : u8{0}};
  return true;
}

}  // namespace karta::os
