#include "card/personalise.h"

#include <algorithm>
#include <charconv>

#include "base/der.h"
#include "card/domain_keys.h"
#include "card/health.h"
#include "card/identity_steps.h"
#include "card/iso7816.h"
#include "card/issuer_channel.h"
#include "card/personalisation_step.h"
#include "card/pkcs15.h"
#include "card/sector_steps.h"
#include "card/transit.h"

namespace karta::card {
namespace {

using Step = PersonalisationStep;

// Directory files of the application, by the numbers programs are used to.
constexpr std::uint16_t kEfAodf = 0x4401, kEfPrkdf = 0x4402, kEfCdf = 0x4403, kEfPukdf = 0x4404;

// Objects of PUT DATA: docs/card-commands.md.
constexpr std::uint16_t kObjectCardInfo = 0x01A0, kObjectFileList = 0x01A1, kObjectPin = 0x0100,
                        kObjectSharedPuk = 0x010F, kObjectWipe = 0x01E0;
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

std::uint32_t usage_of(const KeyProfile& key) {
  if ((key.purpose & key_purpose::agree) != 0) return key_usage::derive;
  if ((key.purpose & key_purpose::decipher) != 0) return key_usage::decrypt | key_usage::unwrap;
  // AUT proves presence, SIG and QES commit the holder.
  return key.role == KeyRole::authentication ? key_usage::sign : key_usage::sign | key_usage::non_repudiation;
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

}  // namespace

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

// CardSecrets ------------------------------------------------------------------------------------

CardSecrets CardSecrets::generate(const CardProfile& profile, RandomSource& random) {
  CardSecrets secrets;
  for (const PinProfile& pin : profile.pins) {
    secrets.transport_pins.emplace(pin.kind, random.digits(pin.transport_digits));
  }
  secrets.puk = random.digits(profile.puk_digits);
  secrets.can = random.digits(profile.can_digits);
  return secrets;
}

LedgerData LedgerData::derive(const LedgerMasters& masters, RandomSource& random) {
  LedgerData ledger;
  ledger.serial = random.bytes(kLedgerSerialOctets);
  for (const auto& [kind, master] : masters) {
    ledger.keys.emplace(kind, diversify_ledger_key(master, kind, ledger.serial));
  }
  return ledger;
}

// Plan -------------------------------------------------------------------------------------------

unsigned PersonalisationPlan::commands() const {
  unsigned total = 0;
  for (const auto* steps : {&prepare, &complete}) {
    for (const PlanStep& step : *steps) total += step.commands;
  }
  return total;
}
std::size_t PersonalisationPlan::octets_out() const {
  std::size_t total = 0;
  for (const auto* steps : {&prepare, &complete}) {
    for (const PlanStep& step : *steps) total += step.octets_out;
  }
  return total;
}
std::size_t PersonalisationPlan::octets_back() const {
  std::size_t total = 0;
  for (const auto* steps : {&prepare, &complete}) {
    for (const PlanStep& step : *steps) total += step.octets_back;
  }
  return total;
}

WireCount PersonalisationPlan::portrait() const {
  WireCount total;
  for (const PlanStep& step : complete) {
    if (!step.portrait) continue;
    total.commands += step.commands;
    total.octets_out += step.octets_out;
    total.octets_back += step.octets_back;
  }
  return total;
}

// Journal ----------------------------------------------------------------------------------------

namespace {
constexpr std::string_view kJournalSchema = "karta.card-journal/1";

std::optional<KeyRole> role_of_name(std::string_view name) {
  for (const KeyRole role : {KeyRole::authentication, KeyRole::signature, KeyRole::qualified, KeyRole::encryption}) {
    if (to_string(role) == name) return role;
  }
  return std::nullopt;
}

Result<unsigned> small_number(std::string_view text) {
  unsigned value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value > 1000) {
    return fail(ErrorKind::malformed, "card journal: \"" + std::string(text) + "\" is no step");
  }
  return value;
}
}  // namespace

std::string Journal::to_text() const {
  std::string text = std::string(kJournalSchema) + "\n";
  text += "serial " + to_hex(serial) + "\n";
  text += "profile " + profile + "\n";
  text += "phase " + std::to_string(phase) + "\n";
  text += "step " + std::to_string(next_step) + "\n";
  for (const auto& [role, key] : public_keys) text += "key " + std::string(to_string(role)) + " " + to_hex(key) + "\n";
  for (const auto& [file, point] : points) text += "point " + hex16(file) + " " + to_hex(point) + "\n";
  return text;
}

Result<Journal> Journal::from_text(std::string_view text) {
  Journal journal;
  bool first = true;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (first) {
      if (line != kJournalSchema) return fail(ErrorKind::malformed, "not a card journal");
      first = false;
      continue;
    }
    if (line.empty()) continue;
    const std::size_t blank = line.find(' ');
    const std::string_view word = line.substr(0, blank);
    const std::string_view rest = blank == std::string_view::npos ? "" : line.substr(blank + 1);
    if (word == "serial") {
      journal.serial = TRY(from_hex(rest));
    } else if (word == "profile") {
      journal.profile = std::string(rest);
    } else if (word == "phase") {
      journal.phase = TRY(small_number(rest));
    } else if (word == "step") {
      journal.next_step = TRY(small_number(rest));
    } else if (word == "key") {
      const auto role = role_of_name(rest.substr(0, rest.find(' ')));
      if (!role || rest.find(' ') == std::string_view::npos) {
        return fail(ErrorKind::malformed, "card journal: a key of no known role");
      }
      journal.public_keys[*role] = TRY(from_hex(rest.substr(rest.find(' ') + 1)));
    } else if (word == "point") {
      const Bytes file = TRY(from_hex(rest.substr(0, rest.find(' '))));
      if (file.size() != 2 || rest.find(' ') == std::string_view::npos) {
        return fail(ErrorKind::malformed, "card journal: a point of no file");
      }
      journal.points[load_be16(file)] = TRY(from_hex(rest.substr(rest.find(' ') + 1)));
    } else {
      return fail(ErrorKind::malformed, "card journal: unknown line \"" + std::string(word) + "\"");
    }
  }
  if (first || journal.phase < 1 || journal.phase > 3) return fail(ErrorKind::malformed, "not a card journal");
  return journal;
}

// Personalisation --------------------------------------------------------------------------------

struct Personalisation::State {
  const CardProfile& profile;
  const CardData& data;
  Journal journal;
  StepProgress progress;
  JournalSink sink;
  bool resumed = false;
  StepPlace place = StepPlace::anywhere;  // the DF that is current
  // Where the application was left selected.
  const CardConnection* connection = nullptr;
  std::uint64_t transaction = 0;

  State(const CardProfile& p, const CardData& d) : profile(p), data(d) { journal.profile = p.name; }

  // What each phase begins with: is it the right card, and where does it stand?
  Step look(bool first_phase) const {
    Step step;
    step.words = "select the e-signature application, read serial number and state";
    step.leaves = StepPlace::esign;
    step.commands.push_back({select_application(kPkcs15Aid, SelectReturn::control_parameters), 41, {}, {}});
    step.commands.push_back({get_data(kObjectCardInfo, kShortResponse), 20, {}, {}});
    if (first_phase) step.commands.push_back({get_data(kObjectFileList, kShortResponse), 0, {}, {}});
    return step;
  }

  std::vector<Step> prepare_steps(bool with_secrets) const {
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
    steps.push_back(agreement_key_step(profile.card_manager));
    if (profile.identity) {
      for (Step& step : identity_prepare_steps(*profile.identity, data, with_secrets)) {
        steps.push_back(std::move(step));
      }
    }
    for (Step& step : sector_prepare_steps(profile)) steps.push_back(std::move(step));
    return steps;
  }

  Bytes aodf() const {
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

  Bytes prkdf() const {
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
  Bytes pukdf() const {
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

  Bytes cdf() const {
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

  Bytes odf() const {
    std::vector<DirectoryEntry> entries = {{Directory::private_keys, Path{kDfESign, kEfPrkdf}},
                                           {Directory::certificates, Path{kDfESign, kEfCdf}},
                                           {Directory::authentication, Path{kDfESign, kEfAodf}}};
    if (profile.public_key_directory) entries.push_back({Directory::public_keys, Path{kDfESign, kEfPukdf}});
    return encode_odf(entries);
  }

  Bytes token_info() const {
    TokenInfo info;
    info.serial = journal.serial.empty() ? Bytes(10, 0) : journal.serial;
    info.manufacturer = profile.manufacturer;
    info.label = data.label.empty() ? profile.label : data.label;
    info.flags = token_flag::prn_generation | token_flag::eid_compliant;
    return encode_token_info(info);
  }

  Bytes ef_dir() const {
    std::vector<ApplicationTemplate> applications;
    for (const ApplicationProfile& application : profile.applications) {
      applications.push_back({application.aid, application.label, application.path});
    }
    return encode_ef_dir(applications);
  }

  // A file of the e-sign application.
  static Step write_esign_file(std::string words, std::uint16_t id, std::size_t size, Bytes rules, ByteView content,
                               std::size_t room) {
    FileToCreate file;
    file.id = id;
    file.size = size;
    file.rules = std::move(rules);
    Step step = write_file_step(std::move(words), file, content, room);
    step.place = StepPlace::esign;
    return step;
  }

  // `certificates` null: their sizes are estimated. `room`: data octets of one command.
  std::vector<Step> complete_steps(const CardCertificates* certificates, std::size_t room) const {
    std::vector<Step> steps;
    const auto write_certificate = [&](const std::string& name, std::uint16_t file, const Bytes& content,
                                       std::size_t slack, Bytes rules) {
      Step step = write_esign_file("write the certificate of " + name + " to " + hex16(file) + " (" +
                                       std::to_string(content.size()) + " octets)",
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
          std::string("write ") + name + " to " + hex16(file) + " (" + std::to_string(content.size()) + " octets)",
          file, content.size(), access_nibbles(nibble::free, nibble::never, nibble::never, nibble::never), content,
          room));
    };
    write_directory("the PIN directory", kEfAodf, aodf());
    write_directory("the private-key directory", kEfPrkdf, prkdf());
    write_directory("the certificate directory", kEfCdf, cdf());
    if (profile.public_key_directory) write_directory("the public-key directory", kEfPukdf, pukdf());
    write_directory("TokenInfo", kEfTokenInfo, token_info());
    write_directory("the object directory", kEfOdf, odf());

    if (profile.identity) {
      const ByteView security = certificates != nullptr ? ByteView(certificates->card_security) : ByteView();
      for (Step& step : identity_complete_steps(*profile.identity, data, security, room)) {
        steps.push_back(std::move(step));
      }
    }
    const ByteView transit = certificates != nullptr ? ByteView(certificates->transit) : ByteView();
    for (Step& step : sector_complete_steps(profile, data, transit, room)) steps.push_back(std::move(step));
    steps.push_back(
        agreement_certificate_step(certificates != nullptr ? ByteView(certificates->agreement) : ByteView(), room));

    // EF.DIR of its exact size takes the place of the blank card's; terminals read it before they are let in anywhere.
    const Bytes dir = ef_dir();
    FileToCreate file;
    file.id = kEfDir;
    file.size = dir.size();
    file.rules = access_nibbles(nibble::free, nibble::never, nibble::never, nibble::never);
    file.short_id = 0x1E;
    file.channel = ChannelRules{{channel_rule::free}, {channel_rule::nobody | channel_rule::or_issuer}};
    Step step = write_file_step("write EF.DIR with " + std::to_string(profile.applications.size()) +
                                    (profile.applications.size() == 1 ? " application (" : " applications (") +
                                    std::to_string(dir.size()) + " octets)",
                                file, dir, room);
    step.place = StepPlace::master;
    step.commands.insert(step.commands.begin(), StepCommand{delete_file(kEfDir), 0, kSwNotFound, {}});
    steps.push_back(std::move(step));

    Step close;
    close.words = "close personalisation for good";
    close.commands.push_back({activate_file(kMasterFile), 0, {}, {}});
    steps.push_back(std::move(close));
    return steps;
  }

  Result<FileControl> run_look(Channel& channel, bool first_phase) {
    const Bytes fcp = TRY(channel.run(select_application(kPkcs15Aid, SelectReturn::control_parameters),
                                      "select the e-signature application"));
    const FileControl directory = TRY(FileControl::parse(fcp));
    const Bytes info = TRY(channel.run(get_data(kObjectCardInfo, kShortResponse), "read the card's serial number"));
    if (info.size() != 20) return fail(ErrorKind::card_unknown, "this card does not speak the MyEID command profile");
    const Bytes serial = to_bytes(ByteView(info).subspan(8, 10));
    if (data.expected_serial && serial != *data.expected_serial) {
      return fail(ErrorKind::card_unknown,
                  "the card in the reader is " + to_hex_upper(serial) + ", not " + to_hex_upper(*data.expected_serial));
    }
    if (!journal.serial.empty() && serial != journal.serial) {
      return fail(ErrorKind::card_unknown, "the card in the reader is " + to_hex_upper(serial) + "; the one begun is " +
                                               to_hex_upper(journal.serial));
    }
    if (first_phase) {
      if (directory.operational()) {
        return fail(ErrorKind::card_refused, "card " + to_hex_upper(serial) + " is issued already");
      }
      const ResponseApdu files = TRY(channel.transmit(get_data(kObjectFileList, kShortResponse)));
      if (!files.status.ok() && files.status != kSwReferenceNotFound) {
        return fail(error_of(files.status, "list the application's files"));
      }
      if (!files.data.empty() && !resumed) {
        return fail(ErrorKind::card_refused, "card " + to_hex_upper(serial) + " is not blank",
                    "erase it first: the e-signature application holds files of someone else's");
      }
    }
    journal.serial = serial;
    place = StepPlace::esign;
    return directory;
  }

  crypto::KeyType curve_of(std::uint16_t file) const {
    if (file == kTransitSigningKey) return crypto::KeyType::p256;
    if (file == kAgreementKeyFile || !profile.identity) return profile.card_manager.agreement_curve;
    return file == kChipAuthenticationFile ? profile.identity->chip_authentication_curve
                                           : profile.identity->restricted_identification_curve;
  }

  Status run_step(Channel& channel, const Step& step) {
    if (step.place != StepPlace::anywhere && step.place != place) {
      TRY(channel.run(select_place(step.place), step.words));
      place = step.place;
    }
    Bytes answer;
    for (const StepCommand& command : step.commands) {
      ResponseApdu response = TRY(channel.transmit(command.apdu));
      // Only work taken up again may find something done: else it would be someone else's.
      const bool fine = command.also_fine && response.status == *command.also_fine &&
                        (resumed || *command.also_fine != kSwFileExists);
      if (!response.status.ok() && !fine) return fail(error_of(response.status, step.words));
      if (fine && command.select_then) {
        TRY(channel.run(select_file(*command.select_then, SelectReturn::nothing), step.words));
      }
      answer = std::move(response.data);
    }
    if (step.makes_key) TRY(take_key(channel, *step.makes_key, answer));
    if (step.makes_point) journal.points[*step.makes_point] = TRY(generated_point(curve_of(*step.makes_point), answer));
    return {};
  }

  // The public key from GENERATE's answer, or from GET DATA where the card does not give it there.
  Status take_key(Channel& channel, KeyRole role, ByteView answer) {
    const CardKeyType& type = *profile.key(role)->type;
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
    journal.public_keys[role] = key.subject_public_key_info();
    return {};
  }

  static CommandApdu select_place(StepPlace place) {
    switch (place) {
      case StepPlace::esign:
        return select_application(kPkcs15Aid, SelectReturn::nothing);
      case StepPlace::identity:
        return select_application(kIdentityAid, SelectReturn::nothing);
      case StepPlace::health:
        return select_application(kHealthAid, SelectReturn::nothing);
      case StepPlace::transit:
        return select_application(kTransitAid, SelectReturn::nothing);
      case StepPlace::master:
      case StepPlace::anywhere:
        break;
    }
    return select_master_file(SelectReturn::nothing);
  }

  Status run_steps(Channel& channel, const std::vector<Step>& steps) {
    const auto count = static_cast<unsigned>(steps.size());
    for (unsigned i = journal.next_step; i < count; ++i) {
      if (progress) progress(i + 1, count, steps[i].words);
      TRY(run_step(channel, steps[i]));
      if (steps[i].leaves) place = *steps[i].leaves;
      resumed = false;
      journal.next_step = i + 1;
      if (sink) TRY(sink(journal));
    }
    return {};
  }
};

namespace {

Status check_ledger(const char* whose, const LedgerProfile& profile, const LedgerData& data) {
  const auto key = [&](LedgerKey kind) {
    const auto found = data.keys.find(kind);
    return found != data.keys.end() && found->second.size() == profile.key_octets;
  };
  const bool good = data.serial.size() == kLedgerSerialOctets && key(LedgerKey::debit) && key(LedgerKey::credit) &&
                    (!profile.settlement || key(LedgerKey::settlement));
  if (good) return {};
  return fail(ErrorKind::configuration,
              std::string("the keys of the ") + whose + " ledger are missing, or not of " +
                  std::to_string(profile.key_octets * 8) + " bits",
              "key_bits of the profile must be those of the centre's transaction masters");
}

// What a plan can do without, and a card cannot.
Status check_ledgers(const CardProfile& profile, const CardData& data) {
  if (profile.health) TRY(check_ledger("health", profile.health->ledger, data.health.ledger));
  if (profile.transit) TRY(check_ledger("transit", profile.transit->ledger, data.transit.ledger));
  return {};
}

}  // namespace

Personalisation::Personalisation(std::unique_ptr<State> state) : state_(std::move(state)) {}
Personalisation::Personalisation(Personalisation&&) noexcept = default;
Personalisation& Personalisation::operator=(Personalisation&&) noexcept = default;
Personalisation::~Personalisation() = default;

Result<Personalisation> Personalisation::make(const CardProfile& profile, const CardData& data) {
  const auto digits = [](const SecretBytes& secret, std::size_t count) {
    const ByteView octets = secret.expose_secret();
    return octets.size() == count &&
           std::all_of(octets.begin(), octets.end(), [](std::uint8_t c) { return c >= '0' && c <= '9'; });
  };
  for (const PinProfile& pin : profile.pins) {
    const auto found = data.secrets.transport_pins.find(pin.kind);
    if (found == data.secrets.transport_pins.end() || !digits(found->second, pin.transport_digits)) {
      return fail(ErrorKind::configuration, "the transport " + std::string(name_of(pin.kind)) + " must have " +
                                                std::to_string(pin.transport_digits) + " digits");
    }
  }
  if (!digits(data.secrets.puk, profile.puk_digits)) {
    return fail(ErrorKind::configuration, "the PUK must have " + std::to_string(profile.puk_digits) + " digits");
  }
  for (const KeyProfile& key : profile.keys) {
    if (key.type == nullptr || profile.pin(key.pin) == nullptr) {
      return fail(ErrorKind::configuration, "the profile's keys lack a type or a PIN");
    }
  }
  if (profile.identity && !digits(data.secrets.can, profile.can_digits)) {
    return fail(ErrorKind::configuration, "the CAN must have " + std::to_string(profile.can_digits) + " digits");
  }
  const auto fits = [](ByteView content, std::size_t octets) { return content.empty() || content.size() == octets; };
  if (profile.health && (data.health.insurance.size() > profile.health->insurance_octets ||
                         data.health.emergency.size() > profile.health->emergency_octets ||
                         !fits(data.health.entitlements, Entitlements::octets(profile.health->ledger.counters)))) {
    return fail(ErrorKind::configuration, "what the health application is to hold does not fit the profile's files");
  }
  if (profile.transit && !fits(data.transit.product, TransitPass::octets(profile.transit->ledger.counters))) {
    return fail(ErrorKind::configuration, "the transit product has another number of products than the profile");
  }
  return Personalisation(std::make_unique<State>(profile, data));
}

PersonalisationPlan Personalisation::plan(const ChannelLimits& limits) const {
  PersonalisationPlan plan;
  const StepWire wire{limits, state_->profile.card_manager.mode};
  StepPlace place = StepPlace::anywhere;
  const auto add = [](PlanStep& shown, const WireCount& cost) {
    shown.commands += static_cast<unsigned>(cost.commands);
    shown.octets_out += cost.octets_out;
    shown.octets_back += cost.octets_back;
  };
  const auto show = [&](const std::vector<Step>& steps, std::vector<PlanStep>& out) {
    for (const Step& step : steps) {
      PlanStep shown;
      shown.words = step.words;
      shown.estimated = step.estimated;
      shown.portrait = step.portrait;
      if (step.place != StepPlace::anywhere && step.place != place) {
        add(shown, cost_of({State::select_place(step.place), 0, {}, {}}, wire));
        place = step.place;
      }
      for (const StepCommand& command : step.commands) add(shown, cost_of(command, wire));
      if (step.leaves) place = *step.leaves;
      out.push_back(std::move(shown));
    }
  };
  for (const IssuerChannelStep& step : issuer_channel_steps(state_->profile.card_manager)) {
    PlanStep shown;
    shown.words = step.words;
    for (const StepCommand& command : step.commands) {
      add(shown, step.is_protected ? cost_of(command, wire) : plain_cost_of(command, limits));
    }
    plan.prepare.push_back(std::move(shown));
  }
  show({state_->look(true)}, plan.prepare);
  show(state_->prepare_steps(false), plan.prepare);
  show(state_->complete_steps(nullptr, wire.room()), plan.complete);
  return plan;
}

SecurityInfos Personalisation::card_access() const {
  return state_->profile.identity ? card_access_of(*state_->profile.identity) : SecurityInfos{};
}

Result<SecurityInfos> Personalisation::card_security() const {
  const auto point = state_->journal.points.find(kChipAuthenticationFile);
  if (!state_->profile.identity || point == state_->journal.points.end()) {
    return fail(ErrorKind::configuration, "the card has no identity application, or no key for it yet");
  }
  return card_security_of(*state_->profile.identity, point->second, state_->data);
}

void Personalisation::on_progress(StepProgress progress) { state_->progress = std::move(progress); }
void Personalisation::on_journal(JournalSink sink) { state_->sink = std::move(sink); }

Result<std::map<KeyRole, Bytes>> Personalisation::prepare(Channel& channel) {
  State& state = *state_;
  if (state.journal.phase > 1) return state.journal.public_keys;
  TRY(check_ledgers(state.profile, state.data));
  const Transaction guard = TRY(Transaction::begin(channel.connection()));
  TRY(state.run_look(channel, true));
  TRY(state.run_steps(channel, state.prepare_steps(true)));
  state.journal.phase = 2;
  state.journal.next_step = 0;
  if (state.sink) TRY(state.sink(state.journal));
  state.connection = &channel.connection();
  state.transaction = channel.connection().transaction();
  return state.journal.public_keys;
}

Status Personalisation::complete(Channel& channel, const CardCertificates& certificates) {
  State& state = *state_;
  if (state.journal.phase == 3) return {};
  if (state.journal.phase != 2) return fail(ErrorKind::internal, "the keys have not been made yet");
  TRY(check_ledgers(state.profile, state.data));
  for (const KeyProfile& key : state.profile.keys) {
    if (!certificates.by_role.contains(key.role)) {
      return fail(ErrorKind::configuration, "the certificate of " + std::string(to_string(key.role)) + " is missing");
    }
  }
  for (const AuthorityProfile& authority : state.profile.authorities) {
    if (!certificates.authorities.contains(authority.name)) {
      return fail(ErrorKind::configuration, "the certificate of the authority \"" + authority.name + "\" is missing");
    }
  }
  if (certificates.agreement.empty()) {
    return fail(ErrorKind::configuration, "the certificate of the card's agreement key is missing");
  }
  if (state.profile.identity &&
      (certificates.card_security.empty() || state.data.trust_anchor.empty() || !state.data.date)) {
    return fail(ErrorKind::configuration, "EF.CardSecurity, the terminals' trust anchor or the date is missing");
  }
  if (state.profile.transit && state.profile.transit->card_signed && certificates.transit.empty()) {
    return fail(ErrorKind::configuration, "the certificate of the key that signs transit statements is missing");
  }
  const Transaction guard = TRY(Transaction::begin(channel.connection()));
  const std::vector<Step> steps = state.complete_steps(&certificates, channel.limits().command_data);
  // In the transaction prepare() ran in, the application is selected and nobody else has had the card.
  if (state.connection != &channel.connection() || state.transaction != channel.connection().transaction() ||
      state.resumed) {
    const FileControl directory = TRY(state.run_look(channel, false));
    if (directory.operational()) {
      // Closed: the last answer was lost, or this is another story.
      if (!state.resumed || state.journal.next_step + 1 != steps.size()) {
        return fail(ErrorKind::card_refused, "card " + to_hex_upper(state.journal.serial) + " is issued already");
      }
      state.journal.next_step = static_cast<unsigned>(steps.size());
    }
  }
  TRY(state.run_steps(channel, steps));
  state.journal.phase = 3;
  state.journal.next_step = 0;
  if (state.sink) TRY(state.sink(state.journal));
  return {};
}

Status Personalisation::resume(Journal journal) {
  if (journal.profile != state_->profile.name) {
    return fail(ErrorKind::card_unknown,
                "the card was begun with profile \"" + journal.profile + "\", not \"" + state_->profile.name + "\"");
  }
  state_->journal = std::move(journal);
  state_->resumed = true;
  state_->connection = nullptr;
  return {};
}

const Journal& Personalisation::journal() const { return state_->journal; }

// Afterwards -------------------------------------------------------------------------------------

// PUT DATA 01E0: FF FF, then the access nibbles of the MF and of DF 5015: all free, as on a blank card.
Status erase_blank_card(Channel& channel) {
  const Transaction guard = TRY(Transaction::begin(channel.connection()));
  TRY(channel.run(select_application(kPkcs15Aid, SelectReturn::nothing), "select the e-signature application"));
  const Bytes rules = {0xFF, 0xFF, 0x00, 0x0F, 0xFF, 0x00, 0x0F, 0xFF};
  const ResponseApdu response = TRY(channel.transmit(put_data(kObjectWipe, rules, false)));
  if (response.status == kSwSecurityStatus || response.status == kSwConditions) {
    return fail(ErrorKind::card_refused, "the card does not let itself be erased: it is issued");
  }
  if (!response.status.ok()) return fail(error_of(response.status, "erase the card"));
  return {};
}

Status check_personalised(Channel& channel, const CardProfile& profile, const CardCertificates& certificates) {
  const Transaction guard = TRY(Transaction::begin(channel.connection()));
  ESignApplication esign = TRY(ESignApplication::open(channel));
  const auto differs = [](const std::string& what) {
    return fail(ErrorKind::card_refused, "the finished card is not what was to be written: " + what);
  };
  const TokenInfo* token = TRY(esign.token_info());
  if (token->serial != esign.info().serial) return differs("serial number in TokenInfo");

  const auto keys = TRY(esign.keys());
  if (keys.size() != profile.keys.size()) return differs("number of keys");
  for (const KeyProfile& wanted : profile.keys) {
    const CardKey key = TRY(esign.key(wanted.role));
    if (key.type != wanted.type || key.pin != wanted.pin || key.pin_each_time != wanted.pin_each_time ||
        key.id != wanted.id || key.file_id != wanted.key_file || key.usage != usage_of(wanted)) {
      return differs("key " + std::string(to_string(wanted.role)));
    }
  }
  const auto on_card = TRY(esign.certificates());
  if (on_card.size() != profile.keys.size() + profile.authorities.size()) return differs("number of certificates");
  const std::vector<CardCertificate> places(on_card.begin(), on_card.end());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const bool authority = i >= profile.keys.size();
    const Bytes& wanted = authority ? certificates.authorities.at(profile.authorities[i - profile.keys.size()].name)
                                    : certificates.by_role.at(profile.keys[i].role);
    if (TRY(esign.read_certificate(places[i])) != wanted) return differs("certificate \"" + places[i].label + "\"");
  }
  for (const PinProfile& pin : profile.pins) {
    const PinStatus status = TRY(esign.pin_status(pin.kind));
    if (status.verified || status.tries_left != pin.tries) return differs("state of " + std::string(name_of(pin.kind)));
  }
  if (profile.identity) {
    const Bytes access = TRY(read_file(channel, Path{kEfCardAccess}));
    if (access != card_access_of(*profile.identity).encode()) return differs("EF.CardAccess");
  }
  if (profile.transit) {
    const LedgerInfo ledger = TRY(select_ledger(channel, kTransitAid));
    if (ledger.shape != LedgerShape{profile.transit->ledger.counters, TransitEntry::kOctets}) {
      return differs("shape of the transit ledger");
    }
  }
  const FileControl directory = TRY(select(channel, ByteView(kPkcs15Aid)));
  if (!directory.operational()) return differs("personalisation is not closed");
  return {};
}

}  // namespace karta::card
