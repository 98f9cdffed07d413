#include "issuing/certification.h"

#include <algorithm>
#include <array>

#include "card/transit.h"
#include "crypto/x509/issue.h"

namespace karta::issuing {

std::string full_name(const identity::Citizen& citizen) {
  std::string name = citizen.family + " " + citizen.given;
  if (!citizen.patronymic.empty()) name += " " + citizen.patronymic;
  return name;
}

namespace {

constexpr std::string_view kAgreementProfile = "card-agreement";
constexpr std::string_view kAgreementSubject = "card ";  // and its serial number

/// Characters, not octets: what the upper bounds of X.520 attributes count. `text` is valid UTF-8 (identity checks it).
std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

std::string_view first_character(std::string_view text) {
  std::size_t end = text.empty() ? 0 : 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
  return text.substr(0, end);
}

/// The full name where commonName holds it (64 characters, X.520 ub-common-name); otherwise family name and initials,
/// at worst the family name alone. surname and givenName hold up to 128 and have the name whole.
std::string common_name(const identity::Citizen& citizen) {
  constexpr std::size_t kMostCharacters = 64;
  std::string name = full_name(citizen);
  if (characters(name) <= kMostCharacters) return name;
  name = citizen.family;
  for (const std::string_view part : {std::string_view(citizen.given), std::string_view(citizen.patronymic)}) {
    if (part.empty()) continue;
    const std::string longer = name + " " + std::string(first_character(part)) + ".";
    if (characters(longer) <= kMostCharacters) name = longer;
  }
  return name;
}

/// givenName: given name and patronymic, where 128 characters hold both.
std::string given_names(const identity::Citizen& citizen) {
  constexpr std::size_t kMostCharacters = 128;
  if (citizen.patronymic.empty()) return citizen.given;
  std::string both = citizen.given + " " + citizen.patronymic;
  return characters(both) <= kMostCharacters
             ? both
             : citizen.given + " " + std::string(first_character(citizen.patronymic)) + ".";
}

// What a citizen's certificate may say of its holder.
constexpr auto kHolderAttributes = std::to_array<std::string_view>({"C", "CN", "SN", "GN", "SNILS", "INN"});

}  // namespace

Result<crypto::Name> subject_of(const identity::Citizen& citizen, std::string_view country,
                                const crypto::CertificateProfile& profile) {
  const std::pair<const char*, std::string> known[] = {
      {"C", std::string(country)},
      {"CN", common_name(citizen)},
      {"SN", citizen.family},
      {"GN", given_names(citizen)},
      {"SNILS", citizen.snils.digits()},
      {"INN", citizen.inn ? citizen.inn->text() : std::string()},
  };
  const auto listed = [](const std::vector<std::string>& names, std::string_view name) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  crypto::NameBuilder builder;
  for (const auto& [name, value] : known) {
    if (value.empty()) continue;
    if (listed(profile.subject_required, name) || listed(profile.subject_optional, name)) builder.add(name, value);
  }
  return builder.build();
}

bool names_the_same(const crypto::Name& present, const crypto::Name& asked) {
  return std::all_of(kHolderAttributes.begin(), kHolderAttributes.end(),
                     [&](std::string_view name) { return present.find(name) == asked.find(name); });
}

Result<Time> end_of_validity(const Centre& centre, const card::CardProfile& profile, Time now) {
  Time end = centre.issuing().not_after();
  for (const card::KeyProfile& key : profile.keys) {
    const auto certificate_profile = TRY(centre.certificate_profile(key.certificate_profile));
    end = std::min(end, now + std::chrono::days(certificate_profile.validity_days));
  }
  return end;
}

Result<std::map<std::string, Bytes>> authorities_of(const Centre& centre, const card::CardProfile& profile) {
  std::map<std::string, Bytes> authorities;
  for (const card::AuthorityProfile& authority : profile.authorities) {
    if (authority.name != "root" && authority.name != "issuing") {
      return fail(ErrorKind::configuration, "card profile \"" + profile.name + "\" names the authority \"" +
                                                authority.name + "\", and there are only \"root\" and \"issuing\"");
    }
    authorities[authority.name] = (authority.name == "root" ? centre.root() : centre.issuing()).der();
  }
  return authorities;
}

Status check_certifiable(const Centre& centre, const card::CardProfile& profile, const identity::Citizen& citizen) {
  for (const card::KeyProfile& key : profile.keys) {
    const auto certificate_profile = TRY(centre.certificate_profile(key.certificate_profile));
    auto subject = subject_of(citizen, centre.config().country, certificate_profile);
    if (!subject) {
      return fail(ErrorKind::configuration, "the certificate \"" + key.certificate_profile +
                                                "\" cannot name this citizen: " + subject.error().message);
    }
  }
  TRY(authorities_of(centre, profile));
  return {};
}

Result<crypto::Certificate> certify_key(const Centre& centre, crypto::Signer& ca, const card::KeyProfile& key,
                                        ByteView spki, const identity::Citizen& citizen, const identity::Card& card,
                                        const Clock& clock, RandomSource& random) {
  const auto profile = TRY(centre.certificate_profile(key.certificate_profile));
  auto subject = TRY(subject_of(citizen, centre.config().country, profile));
  auto public_key = TRY(crypto::PublicKey::from_spki(spki));
  crypto::CertificateRequest request{std::move(subject), std::move(public_key), {}, {}, {}, {}, {}};
  if (profile.status_index != crypto::StatusIndexRule::none) request.status_index = card.status_index;
  return crypto::issue_certificate(profile, request, centre.issuing(), ca, clock, random);
}

Result<Certified> certify(const Centre& centre, crypto::Signer& ca, const card::CardProfile& profile,
                          const std::map<card::KeyRole, Bytes>& keys, const identity::Citizen& citizen,
                          const identity::Card& order, const Clock& clock, RandomSource& random) {
  Certified certified;
  for (const card::KeyProfile& key : profile.keys) {
    const auto spki = keys.find(key.role);
    if (spki == keys.end())
      return fail(ErrorKind::internal, "the card gave no public key for " + std::string(to_string(key.role)));
    auto certificate = TRY(certify_key(centre, ca, key, spki->second, citizen, order, clock, random));
    certified.valid_until = std::min(certified.valid_until, certificate.not_after());
    certified.for_card.by_role[key.role] = certificate.der();
    certified.made.emplace_back(to_string(key.role), std::move(certificate));
  }
  certified.for_card.authorities = TRY(authorities_of(centre, profile));
  return certified;
}

std::vector<std::pair<std::string, crypto::Certificate>> Certified::all() const {
  auto out = made;
  if (agreement) out.emplace_back(kAgreementRole, *agreement);
  return out;
}

Result<crypto::Certificate> certify_agreement_key(const Centre& centre, crypto::Signer& ca, crypto::KeyType curve,
                                                  ByteView point, const identity::Card& order,
                                                  const std::string& serial, const Clock& clock, RandomSource& random) {
  const auto profile = TRY(centre.certificate_profile(kAgreementProfile));
  auto subject = TRY(crypto::NameBuilder()
                         .add("C", centre.config().country)
                         .add("CN", std::string(kAgreementSubject) + serial)
                         .build());
  auto key = TRY(crypto::PublicKey::from_point(curve, point));
  crypto::CertificateRequest request{std::move(subject), std::move(key), {}, {}, {}, {}, {}};
  request.status_index = order.status_index;
  return crypto::issue_certificate(profile, request, centre.issuing(), ca, clock, random);
}

Result<Bytes> certify_transit_key(const Centre& centre, crypto::Signer& ca, const card::CardProfile& profile,
                                  ByteView point, ByteView ledger_serial, const identity::Card& order,
                                  const Clock& clock, RandomSource& random) {
  const auto rules = TRY(centre.certificate_profile(profile.transit->certificate_profile));
  auto subject = TRY(crypto::NameBuilder().add("CN", card::transit_subject(ledger_serial)).build());
  auto key = TRY(crypto::PublicKey::from_point(crypto::KeyType::p256, point));
  crypto::CertificateRequest request{std::move(subject), std::move(key), {}, {}, {}, {}, {}};
  request.status_index = order.status_index;
  return TRY(crypto::issue_certificate(rules, request, centre.issuing(), ca, clock, random)).der();
}

Status register_certificate(Centre& centre, identity::CardId card, std::string_view role,
                            const crypto::Certificate& certificate, const identity::Cause& cause) {
  identity::CardCertificate row;
  using enum identity::CertificateKind;
  for (const identity::CertificateKind kind : {aut, sig, qes, enc, agreement}) {
    if (identity::name_of(kind) == role) row.kind = kind;
  }
  row.issuer = centre.issuing().subject().to_text();
  row.serial = certificate.serial();
  row.der = certificate.der();
  row.not_before = certificate.not_before();
  row.not_after = certificate.not_after();
  return centre.registry().add_certificate(card, row, cause);
}

}  // namespace karta::issuing
