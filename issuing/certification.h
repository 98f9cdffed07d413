// Certification: a citizen's certificates on a card: whom they name, how long they last, who signs them, and that the
// registry knows them before a card does. The issuing station and the desk stand on it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "card/personalise.h"
#include "crypto/signer.h"
#include "crypto/x509/certificate.h"
#include "issuing/centre.h"

namespace karta::issuing {

/// "Family given patronymic", as letters and certificates say it.
std::string full_name(const identity::Citizen& citizen);

/// The subject of a citizen's certificate: what the profile asks for and the registry knows. Fails where a value fits
/// no certificate.
Result<crypto::Name> subject_of(const identity::Citizen& citizen, std::string_view country,
                                const crypto::CertificateProfile& profile);
/// True where `present` says the same of the holder as `asked`, by the attributes subject_of() writes.
bool names_the_same(const crypto::Name& present, const crypto::Name& asked);

/// When the first of the card's certificates will end, before they are made.
Result<Time> end_of_validity(const Centre& centre, const card::CardProfile& profile, Time now);

/// The CA certificates that go onto the card, by the profile's name for them.
Result<std::map<std::string, Bytes>> authorities_of(const Centre& centre, const card::CardProfile& profile);

/// Everything about the certificates that can be known to fail does so before the card is touched.
Status check_certifiable(const Centre& centre, const card::CardProfile& profile, const identity::Citizen& citizen);

/// Certificates of one card, made and not written yet.
struct Certified {
  card::CardCertificates for_card;
  std::vector<std::pair<std::string, crypto::Certificate>> made;  ///< by key role: "AUT"
  std::optional<crypto::Certificate> agreement = {};              ///< of the card's own agreement key
  Time valid_until = Time::max();                                 ///< when the first of the holder's ends

  /// The card's own among them, by kAgreementRole.
  std::vector<std::pair<std::string, crypto::Certificate>> all() const;
};

/// One key's. `spki`: DER SubjectPublicKeyInfo, as the card gave it.
Result<crypto::Certificate> certify_key(const Centre& centre, crypto::Signer& ca, const card::KeyProfile& key,
                                        ByteView spki, const identity::Citizen& citizen, const identity::Card& card,
                                        const Clock& clock, RandomSource& random);
/// Those of all the profile's keys.
Result<Certified> certify(const Centre& centre, crypto::Signer& ca, const card::CardProfile& profile,
                          const std::map<card::KeyRole, Bytes>& keys, const identity::Citizen& citizen,
                          const identity::Card& order, const Clock& clock, RandomSource& random);

/// What the certificate of the card's own agreement key is called in the registry, beside key roles.
inline constexpr std::string_view kAgreementRole = "AGREEMENT";
/// The certificate of the card's own agreement key: what a department finds the card by when it loads its keys.
Result<crypto::Certificate> certify_agreement_key(const Centre& centre, crypto::Signer& ca, crypto::KeyType curve,
                                                  ByteView point, const identity::Card& order,
                                                  const std::string& serial, const Clock& clock, RandomSource& random);

/// The certificate of the key that signs transit statements: it names the ledger, not card or person.
Result<Bytes> certify_transit_key(const Centre& centre, crypto::Signer& ca, const card::CardProfile& profile,
                                  ByteView point, ByteView ledger_serial, const identity::Card& order,
                                  const Clock& clock, RandomSource& random);

/// Writes the certificate of the key with `role` ("AUT") into the registry.
Status register_certificate(Centre& centre, identity::CardId card, std::string_view role,
                            const crypto::Certificate& certificate, const identity::Cause& cause);

}  // namespace karta::issuing
