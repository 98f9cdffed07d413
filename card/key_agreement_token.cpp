#include "card/key_agreement_token.h"

#include "base/der.h"
#include "crypto/aes.h"

namespace karta::card {

Bytes key_agreement_token(const SecretBytes& checksum_key, std::string_view oid, ByteView point) {
  const Bytes data = make_tlv(0x7F49, {der::oid(oid), make_tlv(0x86, point)});
  const crypto::AesBlock mac = crypto::aes_cmac(checksum_key, {data});
  return {mac.begin(), mac.begin() + 8};
}

}  // namespace karta::card
