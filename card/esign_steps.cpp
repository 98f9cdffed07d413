#include "card/esign_steps.h"

#include <algorithm>

#include "base/der.h"
#include "card/iso7816.h"
#include "card/personalise.h"
#include "card/pkcs15.h"

namespace karta::card {
namespace {

using Step = PersonalisationStep;

// Directory files of the application, by the numbers programs are used to.
constexpr std::uint16_t kEfAodf = 0x4401, kEfPrkdf = 0x4402, kEfCdf = 0x4403, kEfPukdf = 0x4404;

// Objects of PUT DATA: docs/card-commands.md.
constexpr std::uint16_t kObjectPin = 0x0100, kObjectSharedPuk = 0x010F;
constexpr std::uint8_t kPinIsTransport = 0x01, kPinHasSharedPuk = 0x02, kPinIssuerResets = 0x04;

// 7F49 { 86 point } or { 81 modulus, 82 exponent }
std::size_t public_key_answer_octets(const CardKeyType& type) {
  if (type.family == KeyFamily::ec) return make_tlv(0x7F49, make_tlv(0x86, Bytes(1 + 2 * type.octets(), 0))).size();
  return make_tlv(0x7F49, {make_tlv(0x81, Bytes(type.octets(), 0)), make_tlv(0x82, Bytes(3, 0))}).size();
}

// A certificate that is not there yet: with names, extensions and a signature of a P-384 CA.
std::size_t estimated_certificate_octets(const CardKeyType& type) {
  return 720 + (type.family == KeyFamily::ec ? 2 * type.octets() : type.octets() + 20);
}

Bytes auth_id_of(std::uint8_t reference) { return {reference}; }

// PUT DATA 01 0n: PIN (8, FF-padded) PUK (8, not used) tries, tries of the PUK, flags.
CommandApdu put_transport_pin(const PinProfile& pin, const SecretBytes& field) {
  const std::uint8_t reset = pin.issuer_reset ? kPinIssuerResets : 0;
  Bytes body = concat({field.expose_secret(), Bytes(8, 0xFF),
                       Bytes{static_cast<std::uint8_t>(pin.tries), 0x00,
                             static_cast<std::uint8_t>(kPinIsTransport | kPinHasSharedPuk | reset)}});
  CommandApdu command = put_data(static_cast<std::uint16_t>(kObjectPin + pin.reference), body, true);
  wipe(body);
  return command;
}

// Directories

Bytes aodf(const CardProfile& profile) {
  std::vector<PinObject> pins;
  for (const PinProfile& pin : profile.pins) {
    PinObject object;
    object.head = {pin.label, object_flag::is_private | object_flag::modifiable, {}, 0};
    object.id = auth_id_of(pin.reference);
    object.flags = pin_flag::local | pin_flag::initialized | pin_flag::needs_padding;
    object.type = 1;  // ascii-numeric
    // Programs check the *old* PIN against the minimum: the transport PIN must get through.
    object.min_length = std::min(pin.min_digits, pin.transport_digits);
    object.stored_length = 8;
    object.max_length = pin.max_digits;
    object.reference = pin.reference;
    object.pad = 0xFF;
    object.path = Path{kDfESign};
    pins.push_back(std::move(object));
  }
  return encode_aodf(pins);
}

Bytes prkdf(const CardProfile& profile) {
  std::vector<PrivateKeyObject> keys;
  for (const KeyProfile& key : profile.keys) {
    PrivateKeyObject object;
    object.head = {key.label, object_flag::is_private, auth_id_of(profile.pin(key.pin)->reference),
                   key.pin_each_time ? 1u : 0u};
    object.id = key.id;
    object.usage = usage_of(key);
    object.access =
        key_access::sensitive | key_access::always_sensitive | key_access::never_extractable | key_access::local;
    object.key_reference = 0;
    object.family = key.type->family;
    object.location = {Path{kDfESign, key.key_file}, 0, 0};
    object.bits = key.type->bits;
    keys.push_back(std::move(object));
  }
  return encode_prkdf(keys);
}

// Public keys by value: their SubjectPublicKeyInfo.
Bytes pukdf(const CardProfile& profile, const Journal& journal) {
  std::vector<PublicKeyObject> keys;
  for (const KeyProfile& key : profile.keys) {
    PublicKeyObject object;
    object.head = {key.label, 0, {}, 0};
    object.id = key.id;
    object.usage = key.purpose == key_purpose::sign    ? key_usage::verify
                   : key.purpose == key_purpose::agree ? key_usage::derive
                                                       : key_usage::encrypt | key_usage::wrap;
    object.family = key.type->family;
    const auto known = journal.public_keys.find(key.role);
    object.value = known != journal.public_keys.end() ? known->second : Bytes(2 * key.type->octets() + 27, 0);
    object.bits = key.type->bits;
    keys.push_back(std::move(object));
  }
  return encode_pukdf(keys);
}

Bytes cdf(const CardProfile& profile) {
  std::vector<CertificateObject> certificates;
  for (const KeyProfile& key : profile.keys) {
    certificates.push_back(
        {{key.label, 0, {}, 0}, key.id, false, Location{Path{kDfESign, key.certificate_file}, 0, 0}, {}});
  }
  for (const AuthorityProfile& authority : profile.authorities) {
    certificates.push_back({{authority.label, 0, {}, 0},
                            authority.id,
                            true,
                            Location{Path{kDfESign, authority.certificate_file}, 0, 0},
                            {}});
  }
  return encode_cdf(certificates);
}

Bytes odf(const CardProfile& profile) {
  std::vector<DirectoryEntry> entries = {{Directory::private_keys, Path{kDfESign, kEfPrkdf}},
                                         {Directory::certificates, Path{kDfESign, kEfCdf}},
                                         {Directory::authentication, Path{kDfESign, kEfAodf}}};
  if (profile.public_key_directory) entries.push_back({Directory::public_keys, Path{kDfESign, kEfPukdf}});
  return encode_odf(entries);
}

Bytes token_info(const CardProfile& profile, const CardData& data, const Journal& journal) {
  TokenInfo info;
  info.serial = journal.serial.empty() ? Bytes(10, 0) : journal.serial;
  info.manufacturer = profile.manufacturer;
  info.label = data.label.empty() ? profile.label : data.label;
  info.flags = token_flag::prn_generation | token_flag::eid_compliant;
  return encode_token_info(info);
}

// A file of the e-sign application.
Step write_esign_file(std::string words, std::uint16_t id, std::size_t size, Bytes rules, ByteView content,
                      std::size_t room) {
  FileToCreate file;
  file.id = id;
  file.size = size;
  file.rules = std::move(rules);
  Step step = write_file_step(std::move(words), file, content, room);
  step.place = StepPlace::esign;
  return step;
}

}  // namespace

std::uint32_t usage_of(const KeyProfile& key) {
  if ((key.purpose & key_purpose::agree) != 0) return key_usage::derive;
  if ((key.purpose & key_purpose::decipher) != 0) return key_usage::decrypt | key_usage::unwrap;
  // AUT proves presence, SIG and QES commit the holder.
  return key.role == KeyRole::authentication ? key_usage::sign : key_usage::sign | key_usage::non_repudiation;
}

std::vector<Step> esign_prepare_steps(const CardProfile& profile, const CardData& data, bool with_secrets) {
  std::vector<Step> steps;
  // 01 0F: PUK (ten digits) tries.
  {
    SecretBytes content = with_secrets ? data.secrets.puk.clone() : SecretBytes(profile.puk_digits);
    Bytes body = to_bytes(content.expose_secret());
    body.push_back(static_cast<std::uint8_t>(profile.puk_tries));
    Step step;
    step.words = "set the PUK (" + std::to_string(profile.puk_digits) + " digits, " +
                 std::to_string(profile.puk_tries) + " tries)";
    step.commands.push_back({put_data(kObjectSharedPuk, body, true), 0, {}, {}});
    wipe(body);
    steps.push_back(std::move(step));
  }
  for (const PinProfile& pin : profile.pins) {
    SecretBytes field(8);
    if (with_secrets) field = pin_field(data.secrets.transport_pins.at(pin.kind));
    Step step;
    step.words = "set transport " + std::string(name_of(pin.kind)) + " (" + std::to_string(pin.transport_digits) +
                 " digits, " + std::to_string(pin.tries) + " tries)";
    step.commands.push_back({put_transport_pin(pin, field), 0, {}, {}});
    steps.push_back(std::move(step));
  }
  for (const KeyProfile& key : profile.keys) {
    const std::uint8_t pin = profile.pin(key.pin)->reference;
    Step step;
    step.words = "create key file " + hex16(key.key_file) + " for " + std::string(to_string(key.role)) + " (" +
                 std::string(key.type->name) + ", " + std::string(name_of(key.pin)) +
                 (key.pin_each_time ? " each time" : "") + ") and generate the key in it";
    step.place = StepPlace::esign;
    FileToCreate file;
    file.id = key.key_file;
    file.size = key.type->bits;
    file.descriptor = key.type->file_descriptor;
    file.rules = access_nibbles(pin, nibble::never, nibble::never, pin);
    file.properties = {static_cast<std::uint8_t>(key.pin_each_time ? pin << 4 : 0), key.purpose};
    step.commands.push_back({create(file), 0, kSwFileExists, key.key_file});
    const Bytes parameters =
        key.type->family == KeyFamily::rsa ? Bytes{0x30, 0x05, 0x81, 0x03, 0x01, 0x00, 0x01} : Bytes{};
    const std::size_t back = public_key_answer_octets(*key.type);
    step.commands.push_back(
        {generate_key_pair(parameters, back <= kShortResponse ? kShortResponse : back + 16), back, {}, {}});
    step.makes_key = key.role;
    steps.push_back(std::move(step));
  }
  return steps;
}

std::vector<Step> esign_complete_steps(const CardProfile& profile, const CardData& data, const Journal& journal,
                                       const CardCertificates* certificates, std::size_t room) {
  std::vector<Step> steps;
  const auto write_certificate = [&](const std::string& name, std::uint16_t file, const Bytes& content,
                                     std::size_t slack, Bytes rules) {
    Step step = write_esign_file(
        "write the certificate of " + name + " to " + hex16(file) + " (" + std::to_string(content.size()) + " octets)",
        file, content.size() + slack, std::move(rules), content, room);
    step.estimated = certificates == nullptr;
    steps.push_back(std::move(step));
  };
  for (const KeyProfile& key : profile.keys) {
    write_certificate(std::string(to_string(key.role)), key.certificate_file,
                      certificates != nullptr ? certificates->by_role.at(key.role)
                                              : Bytes(estimated_certificate_octets(*key.type), 0),
                      profile.certificate_slack, certificate_file_rules(profile, key));
  }
  for (const AuthorityProfile& authority : profile.authorities) {
    write_certificate("the authority \"" + authority.name + "\"", authority.certificate_file,
                      certificates != nullptr ? certificates->authorities.at(authority.name)
                                              : Bytes(estimated_certificate_octets(*find_card_key_type("p384")), 0),
                      0, access_nibbles(nibble::free, nibble::never, nibble::never, nibble::never));
  }
  const auto write_directory = [&](const char* name, std::uint16_t file, const Bytes& content) {
    steps.push_back(write_esign_file(
        std::string("write ") + name + " to " + hex16(file) + " (" + std::to_string(content.size()) + " octets)", file,
        content.size(), access_nibbles(nibble::free, nibble::never, nibble::never, nibble::never), content, room));
  };
  write_directory("the PIN directory", kEfAodf, aodf(profile));
  write_directory("the private-key directory", kEfPrkdf, prkdf(profile));
  write_directory("the certificate directory", kEfCdf, cdf(profile));
  if (profile.public_key_directory) write_directory("the public-key directory", kEfPukdf, pukdf(profile, journal));
  write_directory("TokenInfo", kEfTokenInfo, token_info(profile, data, journal));
  write_directory("the object directory", kEfOdf, odf(profile));
  return steps;
}

Result<Bytes> generated_key(Channel& channel, const CardKeyType& type, ByteView answer) {
  CardPublicKey key;
  key.type = &type;
  if (answer.empty()) {
    if (type.family == KeyFamily::ec) {
      const Bytes point = TRY(channel.run(get_data(0x0186, kShortResponse), "read the public key"));
      TlvCursor cursor(point);
      key.point = to_bytes(TRY(cursor.expect(0x86)).value);
    } else {
      key.modulus = TRY(channel.run(get_data(0x0101, type.octets() + 1), "read the public key"));
      key.exponent = {0x01, 0x00, 0x01};
    }
  } else {
    TlvCursor outer(answer);
    const Tlv whole = TRY(outer.expect(0x7F49));
    TlvCursor inner(whole.value);
    while (!inner.done()) {
      const Tlv object = TRY(inner.next());
      if (object.tag == 0x81) key.modulus = to_bytes(object.value);
      if (object.tag == 0x82) key.exponent = to_bytes(object.value);
      if (object.tag == 0x86) key.point = to_bytes(object.value);
    }
  }
  while (key.modulus.size() > 1 && key.modulus.front() == 0) key.modulus.erase(key.modulus.begin());
  const bool good = type.family == KeyFamily::ec ? key.point.size() == 1 + 2 * type.octets() && key.point[0] == 0x04
                                                 : key.modulus.size() == type.octets() && !key.exponent.empty();
  if (!good) {
    return fail(ErrorKind::card_unresponsive,
                "the card gives a public key that is no " + std::string(type.name) + " key");
  }
  return key.subject_public_key_info();
}

Bytes certificate_file_rules(const CardProfile& profile, const KeyProfile& key) {
  const PinProfile* const holder =
      profile.pin(PinKind::pin1) != nullptr ? profile.pin(PinKind::pin1) : profile.pin(key.pin);
  return access_nibbles(nibble::free, holder->reference, nibble::never, nibble::never);
}

Status reset_transport_pin(Channel& issuer, const PinProfile& pin, const SecretBytes& value) {
  const std::string name(name_of(pin.kind));
  if (!pin.issuer_reset) {
    return fail(ErrorKind::not_permitted, name + " of this card is unblocked with its PUK alone",
                "karta card unblock takes the PUK; where that is lost too, a new card");
  }
  if (value.size() != pin.transport_digits) {
    return fail(ErrorKind::usage, "a transport PIN has " + std::to_string(pin.transport_digits) + " digits");
  }
  const SecretBytes field = pin_field(value);
  const ResponseApdu answer = TRY(issuer.transmit(put_transport_pin(pin, field)));
  if (answer.status.ok()) return {};
  // 6985: the card was made before its profile said so.
  if (answer.status.value == 0x6985) {
    return fail(ErrorKind::not_permitted, "this card was made with a " + name + " that its PUK alone unblocks",
                "karta card unblock takes the PUK; where that is lost too, a new card");
  }
  return fail(error_of(answer.status, "set a new transport " + name));
}

}  // namespace karta::card
