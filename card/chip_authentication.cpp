#include "card/chip_authentication.h"

#include "base/der.h"
#include "card/domain_parameters.h"
#include "card/key_agreement_token.h"
#include "card/key_derivation.h"

namespace karta::card {
namespace {

constexpr Tag kDynamicAuthenticationData = 0x7C;
constexpr std::size_t kNonceOctets = 8, kTokenOctets = 8;

Error no_proof(const std::string& why) {
  return {ErrorKind::card_insecure, "chip authentication: " + why, "this card may be a copy: do not accept it"};
}

}  // namespace

Result<ChipAuthenticationChoice> choose_chip_authentication(const SecurityInfos& security) {
  for (const ChipAuthenticationInfo& info : security.chip_authentication) {
    for (const ChipAuthenticationKey& key : security.chip_authentication_keys) {
      if (info.key_id != key.key_id || !curve_of_domain_parameters(key.parameter_id)) continue;
      return ChipAuthenticationChoice{info.suite, key};
    }
  }
  return fail(ErrorKind::unsupported, "the card has no key for a chip authentication that karta uses");
}

Result<std::uint64_t> chip_authentication_domain(const SecurityInfos& access) {
  for (const ChipAuthenticationInfo& info : access.chip_authentication) {
    for (const ChipAuthenticationDomain& domain : access.chip_authentication_domains) {
      if (info.key_id == domain.key_id && curve_of_domain_parameters(domain.parameter_id)) return domain.parameter_id;
    }
  }
  return fail(ErrorKind::unsupported, "the card announces no chip authentication that karta uses");
}

// 00 22 41 A4 { 80 protocol, [84 key] }, then 00 86 00 00 7C { 80 ephemeral key } -> 7C { 81 nonce, 82 token }
Status authenticate_chip(SecureMessagingChannel& channel, const ChipAuthenticationChoice& choice,
                         const crypto::EcKeyPair& ephemeral) {
  const crypto::KeyType curve = TRY(curve_of_domain_parameters(choice.key.parameter_id));
  Bytes which = der::oid(choice.suite->oid);
  which[0] = 0x80;
  if (choice.key.key_id) append(which, make_tlv(0x84, Bytes{static_cast<std::uint8_t>(*choice.key.key_id)}));
  TRY(channel.run({0x00, 0x22, 0x41, 0xA4, std::move(which)}, "choose the card's key for chip authentication"));
  const Bytes answer = TRY(channel.run(
      {0x00, 0x86, 0x00, 0x00, make_tlv(kDynamicAuthenticationData, make_tlv(0x80, ephemeral.point)), kShortResponse},
      "authenticate the chip"));
  der::Reader outer(answer);
  auto proof = outer.enter(kDynamicAuthenticationData);
  if (!proof || !outer.finish()) return fail(no_proof("the card's answer is not one object 7C"));
  const auto nonce = proof->expect(0x81);
  if (!nonce || nonce->value.size() != kNonceOctets) return fail(no_proof("the card gave no nonce"));
  const auto token = proof->expect(0x82);
  if (!token || token->value.size() != kTokenOctets || !proof->finish())
    return fail(no_proof("the card gave no token"));

  const auto shared = crypto::ec_agree(curve, ephemeral.scalar, choice.key.point);
  if (!shared) return fail(no_proof(shared.error().message));
  SessionKeys keys;
  keys.encryption = derive_key(shared->expose_secret(), nonce->value, DerivedKey::encryption, choice.suite->key_octets);
  keys.checksum = derive_key(shared->expose_secret(), nonce->value, DerivedKey::mac, choice.suite->key_octets);
  const Bytes expected = key_agreement_token(keys.checksum, choice.suite->oid, ephemeral.point);
  if (!equal_constant_time(token->value, expected)) {
    return fail(no_proof("the card does not have the key that its issuer signed"));
  }
  channel.start(std::move(keys));
  return {};
}

}  // namespace karta::card
