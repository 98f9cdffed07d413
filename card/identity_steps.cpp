#include "card/identity_steps.h"

#include <algorithm>

#include "base/tlv.h"
#include "card/domain_keys.h"
#include "card/domain_parameters.h"
#include "card/iso7816.h"
#include "card/passive_authentication.h"
#include "crypto/ec_arithmetic.h"

namespace karta::card {
namespace {

constexpr std::uint16_t kObjectCan = 0x0110, kObjectTrustAnchor = 0x0120, kObjectDate = 0x0121;
constexpr std::uint16_t kEfBirthDate = 0x0201, kEfMunicipality = 0x0202, kEfValidUntil = 0x0203;
constexpr std::size_t kWritableRoom = 64;
constexpr std::uint8_t kEcKeyFile = 0x22, kDf = 0x38;
// Second octet of a key's properties.
constexpr std::uint8_t kUseChipAuthentication = 0x08, kUseRestrictedId = 0x10, kUseAuthorisedOnly = 0x20,
                       kUseDomainKeys = 0x40;
constexpr ChannelRule kNobody{channel_rule::nobody}, kIssuer{channel_rule::nobody | channel_rule::or_issuer};

template <class Suites>
const auto* suite_of(const Suites& suites, std::size_t key_octets) {
  const auto* const found =
      std::find_if(suites.begin(), suites.end(), [&](const auto& suite) { return suite.key_octets == key_octets; });
  KARTA_CHECK(found != suites.end());
  return &*found;
}

std::uint64_t low_octet(std::uint16_t file) { return file & 0xFFu; }

// A key file, and GENERATE in it with the point as answer.
PersonalisationStep key_step(std::string words, std::uint16_t file, crypto::KeyType curve, std::uint8_t usage,
                             Bytes rules, StepPlace place) {
  PersonalisationStep step;
  step.words = std::move(words) + " (" + std::string(crypto::row_of(curve).name) + ") to " + hex16(file);
  step.place = place;
  FileToCreate key;
  key.id = file;
  key.size = crypto::row_of(curve).key_bits;
  key.descriptor = kEcKeyFile;
  key.rules = std::move(rules);
  key.properties = {0x00, usage, domain_parameters_of(curve)};
  step.commands.push_back({create(key), 0, kSwFileExists, file});
  const std::size_t point = 1 + 2 * crypto::coordinate_octets(curve);
  step.commands.push_back(
      {generate_key_pair({}, kShortResponse), make_tlv(0x7F49, make_tlv(0x86, Bytes(point, 0))).size(), {}, {}});
  step.makes_point = file;
  return step;
}

FileToCreate transparent(std::uint16_t id, std::size_t size, ChannelRules channel) {
  FileToCreate file;
  file.id = id;
  file.size = size;
  file.rules = access_nibbles(nibble::free, nibble::free, nibble::free, nibble::never);
  file.channel = channel;
  return file;
}

std::string octets_of(std::size_t count) { return " (" + std::to_string(count) + " octets)"; }

}  // namespace

SecurityInfos card_access_of(const IdentityProfile& profile) {
  SecurityInfos infos;
  for (const crypto::KeyType curve : profile.pace_curves) {
    infos.pace.push_back({suite_of(kPaceSuites, profile.cipher_octets), domain_parameters_of(curve)});
  }
  infos.terminal_authentication_2 = true;
  const std::uint64_t key = low_octet(kChipAuthenticationFile);
  infos.chip_authentication.push_back({suite_of(kChipAuthenticationSuites, profile.cipher_octets), key});
  infos.chip_authentication_domains.push_back({domain_parameters_of(profile.chip_authentication_curve), key});
  const RestrictedIdSuite* const pseudonyms = &kRestrictedIdSuites.front();
  infos.restricted_identification.push_back({pseudonyms, low_octet(kPseudonymFile), true});
  infos.restricted_identification.push_back({pseudonyms, low_octet(kOpenPseudonymFile), false});
  infos.restricted_identification_domain = domain_parameters_of(profile.restricted_identification_curve);
  return infos;
}

SecurityInfos card_security_of(const IdentityProfile& profile, ByteView chip_point, const CardData& data) {
  SecurityInfos infos = card_access_of(profile);
  infos.chip_authentication_keys.push_back({domain_parameters_of(profile.chip_authentication_curve),
                                            to_bytes(chip_point), low_octet(kChipAuthenticationFile)});
  infos.status_index = data.status_index;
  infos.data_groups = hash_data_groups(data.data_groups, crypto::Hash::sha256);
  return infos;
}

std::size_t estimated_card_security_octets(const IdentityProfile& profile, std::size_t data_groups) {
  // Protocols, key, 40 octets a hash; a P-256 signature with the document signer's certificate in it.
  return 500 + 2 * crypto::coordinate_octets(profile.chip_authentication_curve) + 40 * data_groups + 1000;
}

std::vector<PersonalisationStep> identity_prepare_steps(const IdentityProfile& profile, const CardData& data,
                                                        bool with_secrets) {
  std::vector<PersonalisationStep> steps;
  {
    PersonalisationStep step;
    const std::size_t digits = data.secrets.can.size();
    step.words = "set the CAN (" + std::to_string(digits) + " digits)";
    Bytes can = with_secrets ? to_bytes(data.secrets.can.expose_secret()) : Bytes(digits, '0');
    step.commands.push_back({put_data(kObjectCan, can, true), 0, {}, {}});
    wipe(can);
    steps.push_back(std::move(step));
  }
  {
    PersonalisationStep step;
    step.words = "create the identity application, DF " + hex16(kIdentityDf);
    step.place = StepPlace::master;
    FileToCreate df;
    df.id = kIdentityDf;
    df.descriptor = kDf;
    df.name = to_bytes(kIdentityAid);
    df.rules = access_nibbles(nibble::free, nibble::free, nibble::free, nibble::never);
    df.channel = ChannelRules{{channel_rule::usual}, {channel_rule::usual}};
    step.commands.push_back({create(df), 0, kSwFileExists, kIdentityDf});
    step.leaves = StepPlace::identity;
    steps.push_back(std::move(step));
  }
  // Used by the protocols; never imported, deleted or made again.
  const auto rules = [] { return access_nibbles(nibble::free, nibble::never, nibble::never, nibble::never); };
  steps.push_back(key_step("make the chip-authentication key", kChipAuthenticationFile,
                           profile.chip_authentication_curve, kUseChipAuthentication, rules(), StepPlace::identity));
  steps.push_back(key_step("make the key of pseudonyms for authorised terminals", kPseudonymFile,
                           profile.restricted_identification_curve, kUseRestrictedId | kUseAuthorisedOnly, rules(),
                           StepPlace::identity));
  steps.push_back(key_step("make the key of pseudonyms for every terminal", kOpenPseudonymFile,
                           profile.restricted_identification_curve, kUseRestrictedId, rules(), StepPlace::identity));
  return steps;
}

std::vector<PersonalisationStep> identity_complete_steps(const IdentityProfile& profile, const CardData& data,
                                                         ByteView card_security, std::size_t room) {
  std::vector<PersonalisationStep> steps;
  for (const auto& [number, content] : data.data_groups) {
    const DataGroupRow* const row = find_data_group(number);
    KARTA_CHECK(row != nullptr);
    ChannelRules channel{{channel_rule::terminal, static_cast<std::uint8_t>(right_to_read(number))}, kIssuer};
    if (row->writable) {
      channel.update = {channel_rule::terminal | channel_rule::or_issuer,
                        static_cast<std::uint8_t>(right_to_write(number))};
    }
    FileToCreate file = transparent(data_group_file(number), content.size(), channel);
    file.short_id = static_cast<std::uint8_t>(number);
    steps.push_back(write_file_step(
        "write data group " + std::to_string(number) + ", " + std::string(row->words) + octets_of(content.size()), file,
        content, room));
    steps.back().place = StepPlace::identity;
    steps.back().portrait = number == kPortraitGroup;
  }
  const auto comparison = [&](const char* words, std::uint16_t id, ByteView content) {
    if (content.empty()) return;
    steps.push_back(write_file_step(std::string("write what ") + words + " is compared with",
                                    transparent(id, content.size(), {kNobody, kIssuer}), content, room));
    steps.back().place = StepPlace::identity;
  };
  if (profile.verify_age) comparison("an age", kEfBirthDate, as_bytes(data.comparison.birth_date));
  if (profile.verify_place) comparison("a place", kEfMunicipality, data.comparison.municipality);
  comparison("a validity", kEfValidUntil, as_bytes(data.comparison.valid_until));

  {
    PersonalisationStep step;
    const Bytes anchor = data.trust_anchor.empty() ? Bytes(400, 0) : data.trust_anchor;
    step.words = "import the terminals' trust anchor" + octets_of(anchor.size()) + " and set the date";
    step.estimated = data.trust_anchor.empty();
    step.commands.push_back({put_data(kObjectTrustAnchor, anchor, false), 0, {}, {}});
    step.commands.push_back(
        {put_data(kObjectDate, data.date ? encode_cv_date(*data.date) : Bytes(6, 0), false), 0, {}, {}});
    steps.push_back(std::move(step));
  }
  const Bytes access = card_access_of(profile).encode();
  FileToCreate card_access = transparent(kEfCardAccess, access.size(), {{channel_rule::free}, kIssuer});
  card_access.short_id = 0x1C;
  steps.push_back(write_file_step("write EF.CardAccess" + octets_of(access.size()), card_access, access, room));
  steps.back().place = StepPlace::master;

  const Bytes estimated(estimated_card_security_octets(profile, data.data_groups.size()), 0);
  const ByteView security = card_security.empty() ? ByteView(estimated) : card_security;
  FileToCreate file = transparent(kEfCardSecurity, security.size(), {{channel_rule::authenticated_terminal}, kIssuer});
  file.short_id = 0x1D;
  steps.push_back(write_file_step("write EF.CardSecurity" + octets_of(security.size()), file, security, room));
  steps.back().place = StepPlace::master;
  steps.back().estimated = card_security.empty();
  return steps;
}

PersonalisationStep agreement_key_step(const CardManagerProfile& profile) {
  return key_step("make the key departments' domains get theirs with", kAgreementKeyFile, profile.agreement_curve,
                  kUseDomainKeys, access_nibbles(nibble::never, nibble::never, nibble::never, nibble::never),
                  StepPlace::master);
}

PersonalisationStep agreement_certificate_step(ByteView certificate, std::size_t room) {
  const Bytes estimated(780, 0);
  const ByteView content = certificate.empty() ? ByteView(estimated) : certificate;
  FileToCreate file;
  file.id = kEfAgreementCertificate;
  file.size = content.size();
  file.rules = access_nibbles(nibble::free, nibble::never, nibble::never, nibble::never);
  PersonalisationStep step = write_file_step(
      "write the certificate of that key to " + hex16(file.id) + octets_of(content.size()), file, content, room);
  step.place = StepPlace::master;
  step.estimated = certificate.empty();
  return step;
}

Result<Bytes> generated_point(crypto::KeyType curve, ByteView answer) {
  TlvCursor outer(answer);
  const Tlv whole = TRY(outer.expect(0x7F49));
  const auto point = TRY(find_tlv(whole.value, 0x86));
  if (!point || !crypto::check_ec_point(curve, point->value)) {
    return fail(ErrorKind::card_unresponsive,
                "the card gives a public key that is no " + std::string(crypto::row_of(curve).name) + " key");
  }
  return to_bytes(point->value);
}

Result<std::map<unsigned, Bytes>> encode_data_groups(const IdentityProfile& profile, const IdentityData& values,
                                                     RandomSource& random) {
  std::map<unsigned, Bytes> files;
  for (const unsigned number : profile.data_groups) {
    const auto value = values.find(number);
    if (value == values.end()) continue;
    const DataGroupRow* const row = find_data_group(number);
    KARTA_CHECK(row != nullptr);
    // What is written anew after issue is not hashed, and has room for a longer value.
    const Bytes salt = row->writable ? Bytes{} : random.bytes(kDataGroupSaltOctets);
    Bytes file = TRY(encode_data_group(*row, value->second, salt));
    if (row->writable) file.resize(file.size() + kWritableRoom, 0x00);
    files[number] = std::move(file);
  }
  return files;
}

}  // namespace karta::card
