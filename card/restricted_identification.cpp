#include "card/restricted_identification.h"

#include "base/der.h"
#include "crypto/digest.h"

namespace karta::card {
namespace {
constexpr Tag kDynamicAuthenticationData = 0x7C;
}

Bytes SectorKey::encode() const { return concat({der::oid(suite->oid), make_tlv(0x86, point)}); }

Bytes SectorKey::hash(crypto::Hash certificate_hash) const {
  return crypto::digest(certificate_hash, make_tlv(0x7F49, encode()));
}

// 00 22 41 A4 { 80 protocol, 84 key }, then 00 86 00 00 7C { A0 sector key } -> 7C { 81 identifier }
Result<Bytes> restricted_identifier(Channel& channel, const RestrictedIdInfo& key, const SectorKey& sector) {
  Bytes which = der::oid(key.suite->oid);
  which[0] = 0x80;
  append(which, make_tlv(0x84, Bytes{static_cast<std::uint8_t>(key.key_id)}));
  TRY(channel.run({0x00, 0x22, 0x41, 0xA4, std::move(which)}, "choose the card's key for restricted identification"));
  const Bytes answer = TRY(channel.run(
      {0x00, 0x86, 0x00, 0x00, make_tlv(kDynamicAuthenticationData, make_tlv(0xA0, sector.encode())), kShortResponse},
      "get the sector's pseudonym"));
  der::Reader outer(answer);
  der::Reader inner = TRY(outer.enter(kDynamicAuthenticationData));
  TRY(outer.finish());
  const Tlv identifier = TRY(inner.expect(0x81));
  TRY(inner.finish());
  if (identifier.value.size() != row_of(key.suite->hash).octets) {
    return fail(ErrorKind::card_unresponsive, "a pseudonym of a wrong length");
  }
  return to_bytes(identifier.value);
}

}  // namespace karta::card
