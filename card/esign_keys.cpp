// Keys of the e-signature application: their public halves, and what the card computes with them.
#include <algorithm>

#include "base/der.h"
#include "card/esign_state.h"

namespace karta::card {
namespace {

// Objects of GET DATA in the MyEID profile.
constexpr std::uint16_t kObjectModulus = 0x0101, kObjectExponent = 0x0102, kObjectPoint = 0x0186;

// Algorithm references of MSE in the MyEID profile.
constexpr std::uint8_t kAlgorithmRsaRaw = 0x00, kAlgorithmRsaPkcs1 = 0x02, kAlgorithmEc = 0x04;

// ECDSA-Sig-Value ::= SEQUENCE { r INTEGER, s INTEGER }
bool is_ecdsa_signature(ByteView octets) {
  der::Reader outer(octets);
  auto inner = outer.enter(der::kSequence);
  return inner && outer.finish() && inner->unsigned_integer() && inner->unsigned_integer() && inner->finish();
}

Bytes trimmed(ByteView magnitude) {
  while (magnitude.size() > 1 && magnitude.front() == 0) magnitude = magnitude.subspan(1);
  return to_bytes(magnitude);
}

Result<CardPublicKey> checked(CardPublicKey key) {
  const std::string what = "the card gives a public key that is no " + std::string(key.type->name) + " key";
  if (key.type->family == KeyFamily::ec) {
    if (key.point.size() != 1 + 2 * key.type->octets() || key.point[0] != 0x04) {
      return fail(ErrorKind::card_unresponsive, what);
    }
  } else {
    key.modulus = trimmed(key.modulus);
    key.exponent = trimmed(key.exponent);
    if (key.modulus.size() != key.type->octets() || key.exponent.empty() || key.exponent.size() > 8) {
      return fail(ErrorKind::card_unresponsive, what);
    }
  }
  return key;
}

// ISO 7816-8 table 5: 7F49 { 81 modulus, 82 exponent } or { 86 point }.
Result<CardPublicKey> parse_public_key_template(const CardKeyType& type, ByteView answer) {
  TlvCursor outer(answer);
  const Tlv whole = TRY(outer.expect(0x7F49));
  TRY(outer.finish());
  CardPublicKey key;
  key.type = &type;
  TlvCursor inner(whole.value);
  while (!inner.done()) {
    const Tlv object = TRY(inner.next());
    if (object.tag == 0x81) key.modulus = to_bytes(object.value);
    if (object.tag == 0x82) key.exponent = to_bytes(object.value);
    if (object.tag == 0x86) key.point = to_bytes(object.value);
  }
  return checked(std::move(key));
}

}  // namespace

Bytes CardPublicKey::subject_public_key_info() const {
  if (type->family == KeyFamily::ec) {
    return der::sequence(
        {der::sequence({der::oid("1.2.840.10045.2.1"), der::oid(type->curve_oid)}), der::bit_string(point)});
  }
  const Bytes key = der::sequence({der::unsigned_integer(modulus), der::unsigned_integer(exponent)});
  return der::sequence({der::sequence({der::oid("1.2.840.113549.1.1.1"), der::null()}), der::bit_string(key)});
}

Status ESignApplication::State::set_environment(const Environment& wanted) {
  if (environment == wanted) return {};
  environment.reset();
  const CommandApdu command = manage_security_environment(wanted.purpose, wanted.algorithm, wanted.file_id);
  ResponseApdu response = TRY(channel.transmit(command));
  // Another program has selected something else: the key's file is looked for in the current directory.
  if ((response.status == kSwNotFound || response.status == kSwReferenceNotFound) && !in_directory) {
    TRY(select_directory());
    response = TRY(channel.transmit(command));
  }
  if (!response.status.ok()) return fail(error_of(response.status, "prepare the key"));
  environment = wanted;
  return {};
}

Result<Bytes> ESignApplication::State::operate(const CardKey& key, const Environment& wanted,
                                               const CommandApdu& command, const SecretBytes* pin,
                                               std::string_view deed) {
  if (key.pin_each_time && pin == nullptr) {
    return fail(ErrorKind::not_permitted, "key \"" + key.label + "\" wants its PIN each time");
  }
  const Transaction guard = TRY(enter());
  if (pin != nullptr) {
    if (!key.pin) return fail(ErrorKind::usage, "key \"" + key.label + "\" is not under PIN1 or PIN2");
    TRY(present(*key.pin, *pin));
  }
  TRY(set_environment(wanted));
  const ResponseApdu response = TRY(channel.transmit(command));
  if (!response.status.ok()) {
    environment.reset();
    if (response.status == kSwSecurityStatus && key.pin) {
      return fail(ErrorKind::not_permitted,
                  "key \"" + key.label + "\" wants its " + std::string(name_of(*key.pin)) + " first");
    }
    return fail(error_of(response.status, deed));
  }
  return response.data;
}

Status ESignApplication::State::select_key_file(const CardKey& key) {
  in_directory = false;
  environment.reset();
  const Path path{kDfESign, key.file_id};
  TRY(channel.run(select_path_from_master(path.from_master(), SelectReturn::nothing), "select " + path.to_string()));
  return {};
}

Result<CardPublicKey> ESignApplication::State::public_key_of_selected(const CardKeyType& type) {
  CardPublicKey key;
  key.type = &type;
  if (type.family == KeyFamily::ec) {
    const Bytes answer = TRY(channel.run(get_data(kObjectPoint, kShortResponse), "read the public key"));
    // Tag 86 around the point; early cards of the profile gave 30 or the bare point.
    if (!answer.empty() && (answer[0] == 0x86 || answer[0] == 0x30)) {
      TlvCursor cursor(answer);
      key.point = to_bytes(TRY(cursor.next()).value);
    } else {
      key.point = answer;
    }
    return checked(std::move(key));
  }
  key.modulus = TRY(channel.run(get_data(kObjectModulus, type.octets() + 1), "read the public key"));
  const ResponseApdu exponent = TRY(channel.transmit(get_data(kObjectExponent, kShortResponse)));
  key.exponent = exponent.status.ok() && !exponent.data.empty() ? exponent.data : Bytes{0x01, 0x00, 0x01};
  return checked(std::move(key));
}

Result<CardPublicKey> ESignApplication::read_public_key(const CardKey& key) {
  if (key.type == nullptr) return fail(ErrorKind::unsupported, "key \"" + key.label + "\" is of no type karta knows");
  const Transaction guard = TRY(state_->enter());
  if (state_->cache == nullptr) {
    TRY(state_->select_key_file(key));
    return state_->public_key_of_selected(*key.type);
  }
  // In the cache as ISO 7816-8 has it: 7F49 { 86 point } or { 81 modulus, 82 exponent }.
  const std::string name = "public key " + Path{kDfESign, key.file_id}.to_string();
  if (const auto known = state_->cache->find(state_->info.serial, state_->info.change_counter, name)) {
    auto parsed = parse_public_key_template(*key.type, *known);
    if (parsed) return parsed;
  }
  TRY(state_->select_key_file(key));
  CardPublicKey read = TRY(state_->public_key_of_selected(*key.type));
  const Bytes content = read.point.empty()
                            ? make_tlv(0x7F49, {make_tlv(0x81, read.modulus), make_tlv(0x82, read.exponent)})
                            : make_tlv(0x7F49, {make_tlv(0x86, read.point)});
  state_->cache->keep(state_->info.serial, state_->info.change_counter, name, content);
  return read;
}

Result<Bytes> ESignApplication::random(std::size_t count) {
  constexpr std::size_t kAtOnce = 128;
  const Transaction guard = TRY(state_->enter_session());
  Bytes octets;
  while (octets.size() < count) {
    const Bytes part =
        TRY(state_->channel.run(get_challenge(std::min(kAtOnce, count - octets.size())), "get random octets"));
    if (part.empty()) return fail(ErrorKind::card_unresponsive, "the card gives no random octets");
    append(octets, part);
  }
  octets.resize(count);
  return octets;
}

Result<Bytes> ESignApplication::sign(const CardKey& key, SignatureScheme scheme, ByteView input,
                                     const SecretBytes* pin) {
  if (key.type == nullptr) return fail(ErrorKind::unsupported, "key \"" + key.label + "\" is of no type karta knows");
  if (!key.may_sign()) return fail(ErrorKind::usage, "key \"" + key.label + "\" is not for signing");
  const std::size_t octets = key.type->octets();
  const bool ec = key.type->family == KeyFamily::ec;
  if (ec != (scheme == SignatureScheme::ecdsa)) {
    return fail(ErrorKind::usage, "key \"" + key.label + "\" is of another family than the signature scheme");
  }
  if (ec) {
    // FIPS 186-4 §6.4: the leftmost bits of a digest count. The profile wants it as long as the field.
    if (input.empty()) return fail(ErrorKind::usage, "there is no digest to sign");
    const ByteView digest = input.first(std::min(input.size(), octets));
    Bytes padded(octets - digest.size(), 0);
    append(padded, digest);
    const std::size_t most = 2 * (octets + 3) + 4;
    Bytes signature =
        TRY(state_->operate(key, {SecurityTemplate::signature, kAlgorithmEc, key.file_id},
                            compute_digital_signature(padded, std::min(most, kShortResponse)), pin, "sign"));
    if (!is_ecdsa_signature(signature)) {
      return fail(ErrorKind::card_unresponsive, "the card answered something that is no ECDSA signature");
    }
    return signature;
  }
  const bool raw = scheme == SignatureScheme::rsa_raw;
  if (raw ? input.size() != octets : input.empty() || input.size() + 11 > octets) {
    return fail(ErrorKind::usage, "the input does not fit a key of " + std::to_string(key.type->bits) + " bits");
  }
  Bytes signature =
      TRY(state_->operate(key, {SecurityTemplate::signature, raw ? kAlgorithmRsaRaw : kAlgorithmRsaPkcs1, key.file_id},
                          compute_digital_signature(input, octets), pin, "sign"));
  if (signature.size() != octets) {
    return fail(ErrorKind::card_unresponsive, "the card answered something that is no RSA signature");
  }
  return signature;
}

Result<SecretBytes> ESignApplication::decipher(const CardKey& key, DecipherPadding padding, ByteView cryptogram,
                                               const SecretBytes* pin) {
  if (key.type == nullptr || key.type->family != KeyFamily::rsa || !key.may_decipher()) {
    return fail(ErrorKind::usage, "key \"" + key.label + "\" is not for deciphering");
  }
  const std::size_t octets = key.type->octets();
  if (cryptogram.size() != octets) {
    return fail(ErrorKind::malformed,
                "a cryptogram of " + std::to_string(cryptogram.size()) + " octets, not " + std::to_string(octets));
  }
  const std::uint8_t algorithm = padding == DecipherPadding::none ? kAlgorithmRsaRaw : kAlgorithmRsaPkcs1;
  Bytes plain = TRY(state_->operate(key, {SecurityTemplate::confidentiality, algorithm, key.file_id},
                                    card::decipher(cryptogram, octets), pin, "decipher"));
  return SecretBytes(std::move(plain));
}

Result<SecretBytes> ESignApplication::agree(const CardKey& key, ByteView point, const SecretBytes* pin) {
  if (key.type == nullptr || key.type->family != KeyFamily::ec || !key.may_agree()) {
    return fail(ErrorKind::usage, "key \"" + key.label + "\" is not for key agreement");
  }
  const std::size_t octets = key.type->octets();
  if (point.size() != 1 + 2 * octets || point[0] != 0x04) {
    return fail(ErrorKind::malformed, "not an uncompressed point of " + std::string(key.type->name));
  }
  Bytes x = TRY(state_->operate(key, {SecurityTemplate::authentication, kAlgorithmEc, key.file_id},
                                key_agreement(point, octets), pin, "agree on a key"));
  if (x.size() != octets) {
    wipe(x);
    return fail(ErrorKind::card_unresponsive, "the card answered something that is no shared secret");
  }
  return SecretBytes(std::move(x));
}

Result<CardPublicKey> ESignApplication::generate_key(const CardKey& key) {
  if (key.type == nullptr) return fail(ErrorKind::unsupported, "key \"" + key.label + "\" is of no type karta knows");
  const Transaction guard = TRY(state_->enter());
  TRY(state_->select_key_file(key));
  // RSA names its public exponent, 65537: 30 { 81 010001 }.
  const Bytes parameters =
      key.type->family == KeyFamily::rsa ? Bytes{0x30, 0x05, 0x81, 0x03, 0x01, 0x00, 0x01} : Bytes{};
  const std::size_t most = key.type->octets() * 2 + 16;
  const Bytes answer = TRY(state_->channel.run(generate_key_pair(parameters, most), "generate a key"));
  auto made = answer.empty() ? state_->public_key_of_selected(*key.type) : parse_public_key_template(*key.type, answer);
  state_->changed();
  return made;
}

}  // namespace karta::card
