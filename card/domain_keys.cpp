#include "card/domain_keys.h"

#include "base/tlv.h"
#include "card/global_platform.h"
#include "crypto/ec_arithmetic.h"
#include "crypto/kdf.h"

namespace karta::card {
namespace {

// Amendment A table 4-17: key usage of a secure channel's three keys, key type AES.
constexpr std::uint8_t kScenario = 0x03, kKeyUsage = 0x3C, kKeyTypeAes = 0x88;

}  // namespace

// A6 { 90 scenario, 95 usage, 80 type, 81 length, 83 version } 5F49 point
Result<DomainOffer> DomainOffer::make(ByteView aid, ByteView serial, crypto::KeyType curve, ByteView card_point,
                                      std::uint8_t key_version, std::size_t key_octets, RandomSource& random) {
  if (!is_domain_aid(aid)) {
    return fail(ErrorKind::usage, to_hex_upper(aid) + " is no name of a department's domain",
                "F04B41525441 and one octet from 10 to 1F");
  }
  if (key_version == 0 || key_version > 0x7F || !crypto::is_aes_key(key_octets) || serial.size() != 10) {
    return fail(ErrorKind::usage, "a domain's keys have version 1 to 127 and 16, 24 or 32 octets");
  }
  TRY(crypto::check_ec_point(curve, card_point));
  crypto::EcKeyPair pair = TRY(crypto::generate_ec_pair(curve, {}, random));
  DomainOffer offer;
  offer.aid = to_bytes(aid);
  offer.serial = to_bytes(serial);
  offer.curve = curve;
  offer.card_point = to_bytes(card_point);
  offer.key_version = key_version;
  offer.key_octets = key_octets;
  offer.scalar = std::move(pair.scalar);
  offer.message = make_tlv(
      0xA6, {make_tlv(0x90, Bytes{kScenario}), make_tlv(0x95, Bytes{kKeyUsage}), make_tlv(0x80, Bytes{kKeyTypeAes}),
             make_tlv(0x81, Bytes{static_cast<std::uint8_t>(key_octets)}), make_tlv(0x83, Bytes{key_version})});
  append_tlv(offer.message, 0x5F49, pair.point);
  return offer;
}

// receipt key, ENC, MAC, DEK = X9.63(Z, usage type length LV(name) LV(serial))
Result<Scp03KeySet> DomainOffer::finish(ByteView receipt) const {
  const SecretBytes shared = TRY(crypto::ec_agree(curve, scalar, card_point));
  Bytes info = {kKeyUsage, kKeyTypeAes, static_cast<std::uint8_t>(key_octets)};
  for (const Bytes* const value : {&aid, &serial}) {
    info.push_back(static_cast<std::uint8_t>(value->size()));
    append(info, *value);
  }
  const SecretBytes material = crypto::x963_kdf(crypto::Hash::sha256, shared, info, 4 * key_octets);
  const auto key = [&](std::size_t index) {
    return SecretBytes::copy_of(material.expose_secret().subspan(index * key_octets, key_octets));
  };
  const crypto::AesBlock expected = crypto::aes_cmac(key(0), {message});
  if (!equal_constant_time(expected, receipt)) {
    return fail(ErrorKind::card_insecure, "the receipt is not this card's over this offer",
                "the keys are not to be used: delete the domain and begin anew");
  }
  return Scp03KeySet{key_version, key(1), key(2), key(3)};
}

}  // namespace karta::card
