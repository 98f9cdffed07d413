#include "card/pace.h"

#include "base/der.h"
#include "card/domain_parameters.h"
#include "card/identity_data.h"
#include "card/key_agreement_token.h"
#include "card/key_derivation.h"
#include "card/whole_file.h"
#include "crypto/ec_arithmetic.h"

namespace karta::card {
namespace {

constexpr Tag kDynamicAuthenticationData = 0x7C;
constexpr std::size_t kMostCardAccessOctets = 2048;
constexpr StatusWord kSwAuthenticationFailed{0x6300}, kSwNotUsable{0x6984};

// 00 22 C1 A4 { 80 protocol, 83 password, 84 domain parameters, [7F4C CHAT], [65 { 73 sector rights }] }: set for
// computation and verification
CommandApdu set_authentication_template(const PaceInfo& info, PacePassword password, const std::optional<Chat>& chat,
                                        SectorRights sector_rights = 0) {
  const auto value_of = [](Bytes object) { return to_bytes(ByteView(object).subspan(2)); };
  Bytes data = make_tlv(0x80, value_of(der::oid(info.suite->oid)));
  append(data, make_tlv(0x83, Bytes{static_cast<std::uint8_t>(password)}));
  append(data, make_tlv(0x84, Bytes{static_cast<std::uint8_t>(info.parameter_id)}));
  if (chat) append(data, chat->encode());
  if (chat && sector_rights != 0) {
    append(data, make_tlv(0x65, make_tlv(0x73, {der::oid(kSectorRightsOid), encode_sector_rights(sector_rights)})));
  }
  return {0x00, 0x22, 0xC1, 0xA4, std::move(data)};
}

// x0 86 00 00 7C { object } Le
CommandApdu step(bool last, ByteView object) {
  const auto cla = static_cast<std::uint8_t>(last ? 0x00 : kClassChaining);
  return {cla, 0x86, 0x00, 0x00, make_tlv(kDynamicAuthenticationData, object), kShortResponse};
}

PaceState state_of(StatusWord status, PacePassword password) {
  PaceState state;
  state.tries_left = status.remaining_tries();
  state.blocked = state.tries_left == 0u || status == kSwBlocked;
  state.suspended = password == PacePassword::pin && state.tries_left == 1u;
  state.deactivated = status == kSwDeactivated || status == kSwNotUsable;
  return state;
}

bool answers_state(StatusWord status) {
  return status.ok() || status.remaining_tries() || status == kSwDeactivated || status == kSwBlocked;
}

std::string word(PacePassword password) { return std::string(name_of(password)); }

tl::unexpected<Error> blocked(PacePassword password) {
  return fail(ErrorKind::pin_blocked, "the " + word(password) + " is blocked",
              password == PacePassword::pin ? "unblock it with the PUK from the letter: karta card unblock"
                                            : "this card needs a new one from the issuing centre");
}
tl::unexpected<Error> suspended() {
  return fail(ErrorKind::not_permitted, "the PIN is suspended: one try is left",
              "enter the CAN printed on the card first, then the PIN");
}
tl::unexpected<Error> deactivated() {
  return fail(ErrorKind::not_permitted, "the PIN of this card is switched off",
              "a service counter switches it on again");
}

// What the answer to the last step says when it is not 9000.
Error refusal(StatusWord status, PacePassword password) {
  const auto tries = status.remaining_tries();
  if (status == kSwAuthenticationFailed || (tries && *tries > 0)) {
    std::string message = "wrong " + word(password);
    std::string hint = password == PacePassword::can ? "the CAN is the six digits printed on the card" : std::string();
    if (tries) {
      message += *tries == 1 ? ": one try is left" : ": " + std::to_string(*tries) + " tries are left";
      if (*tries == 1 && password == PacePassword::pin)
        hint = "the CAN printed on the card is wanted before the last try";
    }
    return {ErrorKind::wrong_pin, std::move(message), std::move(hint)};
  }
  if (tries || status == kSwBlocked) return blocked(password).value();
  if (status == kSwConditions && password == PacePassword::pin) return suspended().value();
  if (status == kSwNotUsable || status == kSwDeactivated) return deactivated().value();
  return error_of(status, "agree on a channel with the card (PACE)");
}

Error insecure(const std::string& why) {
  return {ErrorKind::card_insecure, "PACE: " + why, "do not use this card: it does not keep to the protocol"};
}

struct Exchange {
  SecureMessagingChannel& channel;
  PacePassword password;

  // The objects inside 7C of the answer. Refusals are told in words.
  Result<Bytes> send(bool last, ByteView object) const {
    const ResponseApdu response = TRY(channel.transmit(step(last, object)));
    if (!response.status.ok()) return fail(refusal(response.status, password));
    TlvCursor cursor(response.data, TlvLimits::der());
    const auto outer = cursor.expect(kDynamicAuthenticationData);
    if (!outer || !cursor.finish()) {
      return fail(ErrorKind::card_unresponsive, "PACE: the card's answer is not one object 7C");
    }
    return to_bytes(outer->value);
  }

  // The only object of the answer, which must bear `tag`.
  Result<Bytes> send_for(Tag tag, ByteView object) const {
    const Bytes content = TRY(send(false, object));
    TlvCursor cursor(content, TlvLimits::der());
    const auto only = cursor.expect(tag);
    if (!only || !cursor.finish()) {
      return fail(ErrorKind::card_unresponsive, "PACE: the card's answer holds something else than asked for");
    }
    return to_bytes(only->value);
  }

  // A point for ours: checked, and not our own sent back (TR-03110-3 A.3.5, behaviour 22).
  Result<Bytes> exchange_points(crypto::KeyType curve, std::uint8_t tag, ByteView ours) const {
    Bytes theirs = TRY(send_for(tag + 1u, make_tlv(tag, ours)));
    if (equal(theirs, ours)) return fail(insecure("the card sent this terminal's own point back"));
    if (const Status good = crypto::check_ec_point(curve, theirs); !good) return fail(insecure(good.error().message));
    return theirs;
  }
};

Result<std::string> authority_reference(TlvCursor& cursor, Tag tag) {
  const auto object = TRY(cursor.next_if(tag));
  if (!object) return std::string();
  if (object->value.empty() || object->value.size() > 16) {
    return fail(ErrorKind::card_unresponsive, "PACE: an authority reference of a wrong length");
  }
  return std::string(as_text(object->value));
}

}  // namespace

std::string_view name_of(PacePassword password) {
  switch (password) {
    case PacePassword::can:
      return "CAN";
    case PacePassword::pin:
      return "PIN";
    case PacePassword::puk:
      return "PUK";
  }
  return "password";
}

Result<PaceState> pace_state(Channel& channel, const PaceInfo& info, PacePassword password) {
  const ResponseApdu response = TRY(channel.transmit(set_authentication_template(info, password, {})));
  if (!answers_state(response.status)) {
    return fail(error_of(response.status, "ask for the state of the " + word(password)));
  }
  return state_of(response.status, password);
}

// TR-03110-3 B.1: MSE:Set AT, then nonce, mapping, agreement, tokens.
Result<PaceOutcome> run_pace(SecureMessagingChannel& channel, const PaceInfo& info, PacePassword password,
                             const SecretBytes& secret, const std::optional<Chat>& announced, RandomSource& random,
                             SectorRights sector_rights) {
  const crypto::KeyType curve = TRY(curve_of_domain_parameters(info.parameter_id));
  const ResponseApdu set = TRY(channel.transmit(set_authentication_template(info, password, announced, sector_rights)));
  if (!answers_state(set.status)) return fail(error_of(set.status, "begin PACE with the " + word(password)));
  const PaceState state = state_of(set.status, password);
  if (state.blocked) return blocked(password);
  if (state.deactivated) return deactivated();
  if (state.suspended && !channel.secure()) return suspended();

  const Exchange exchange{channel, password};
  // 1. 7C {} -> 80: the nonce, encrypted under the password.
  const Bytes encrypted_nonce = TRY(exchange.send_for(0x80, {}));
  if (encrypted_nonce.empty() || encrypted_nonce.size() > 64 || encrypted_nonce.size() % crypto::kAesBlock != 0) {
    return fail(ErrorKind::card_unresponsive, "PACE: a nonce of " + std::to_string(encrypted_nonce.size()) + " octets");
  }
  const SecretBytes password_key = derive_key(secret.expose_secret(), {}, DerivedKey::password, info.suite->key_octets);
  const SecretBytes nonce(crypto::aes_cbc_decrypt(password_key, {}, encrypted_nonce));

  // 2. 81 -> 82: an anonymous agreement, and from it and the nonce a generator of this run's own.
  const crypto::EcKeyPair mapping = TRY(crypto::generate_ec_pair(curve, {}, random));
  const Bytes card_mapping = TRY(exchange.exchange_points(curve, 0x81, mapping.point));
  const SecretBytes shared_point = TRY(crypto::ec_multiply(curve, mapping.scalar, card_mapping));
  const auto generator = crypto::ec_map_generic(curve, nonce, shared_point.expose_secret());
  if (!generator) return fail(insecure("the mapped generator is the identity"));

  // 3. 83 -> 84: the agreement proper.
  const crypto::EcKeyPair ephemeral = TRY(crypto::generate_ec_pair(curve, *generator, random));
  const Bytes card_point = TRY(exchange.exchange_points(curve, 0x83, ephemeral.point));
  const SecretBytes shared = TRY(crypto::ec_agree(curve, ephemeral.scalar, card_point));
  SessionKeys keys;
  keys.encryption = derive_key(shared.expose_secret(), {}, DerivedKey::encryption, info.suite->key_octets);
  keys.checksum = derive_key(shared.expose_secret(), {}, DerivedKey::mac, info.suite->key_octets);

  // 4. 85 -> 86 [87] [88]: each proves that it has the same keys.
  const Bytes token = key_agreement_token(keys.checksum, info.suite->oid, card_point);
  const Bytes last = TRY(exchange.send(true, make_tlv(0x85, token)));
  TlvCursor cursor(last, TlvLimits::der());
  const auto card_token = cursor.expect(0x86);
  if (!card_token) return fail(insecure("the card gave no token"));
  const Bytes expected = key_agreement_token(keys.checksum, info.suite->oid, ephemeral.point);
  if (!equal_constant_time(card_token->value, expected)) {
    return fail(insecure("the card's token is wrong: it does not know the " + word(password)));
  }
  PaceOutcome outcome;
  outcome.info = info;
  outcome.password = password;
  outcome.card_id = to_bytes(ByteView(card_point).subspan(1, crypto::coordinate_octets(curve)));
  outcome.announced = announced;
  outcome.authority = TRY(authority_reference(cursor, 0x87));
  outcome.older_authority = TRY(authority_reference(cursor, 0x88));
  if (!cursor.finish()) return fail(insecure("something stands behind the card's token"));
  channel.start(std::move(keys));
  return outcome;
}

Result<SecurityInfos> read_card_access(Channel& channel) {
  constexpr std::uint8_t kShortId = kEfCardAccess & 0x1F;
  auto content = read_whole_file(channel, kShortId, kMostCardAccessOctets, "EF.CardAccess");
  // Another DF may be selected; short identifiers count in the current one. And a channel that another program left
  // behind ends with its first plain command, which the card then refuses (6987).
  if (!content && (content.error().kind == ErrorKind::not_found || content.error().kind == ErrorKind::card_refused)) {
    content = read_whole_file(channel, Path{kEfCardAccess}, kMostCardAccessOctets, "EF.CardAccess");
  }
  if (!content) {
    if (content.error().kind != ErrorKind::not_found) return fail(std::move(content).error());
    return fail(ErrorKind::unsupported, "this card has no EF.CardAccess: it does not speak PACE",
                "a citizen card made by an earlier release, or a card of another kind; use it in a contact reader");
  }
  const ByteView infos = TRY(only_object(*content));
  return SecurityInfos::parse(infos);
}

Result<PaceOutcome> run_pace(SecureMessagingChannel& channel, const PaceInfo& info, const PaceRequest& request,
                             RandomSource& random) {
  auto outcome =
      run_pace(channel, info, request.password, *request.secret, request.announced, random, request.sector_rights);
  const bool was_suspended = !outcome && outcome.error().kind == ErrorKind::not_permitted &&
                             request.password == PacePassword::pin && request.can != nullptr && !channel.secure();
  if (!was_suspended) return outcome;
  TRY(run_pace(channel, info, PacePassword::can, *request.can, {}, random));
  return run_pace(channel, info, request.password, *request.secret, request.announced, random, request.sector_rights);
}

Result<PaceOutcome> open_pace(SecureMessagingChannel& channel, const PaceRequest& request, RandomSource& random) {
  const SecurityInfos access = TRY(read_card_access(channel));
  const PaceInfo info = TRY(access.preferred_pace());
  return run_pace(channel, info, request, random);
}

}  // namespace karta::card
