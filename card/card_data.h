// What is individual about one card: what personalisation writes to it beside what its profile says.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "base/random.h"
#include "card/cv_certificate.h"
#include "card/esign.h"
#include "card/identity_data.h"
#include "card/profile.h"
#include "card/transaction_keys.h"

namespace karta::card {

/// The secrets printed in the PIN letter.
struct CardSecrets {
  std::map<PinKind, SecretBytes> transport_pins;  ///< one for each PIN of the profile
  SecretBytes puk;
  SecretBytes can;

  /// Fresh ones of the lengths the profile asks for.
  static CardSecrets generate(const CardProfile& profile, RandomSource& random);
};

/// What the card compares with when a terminal asks "born before?", "lives in?", "valid on?" (auxiliary data of
/// TR-03110-3 A.6.5); empty: it answers "nothing to compare with".
struct ComparisonData {
  std::string birth_date;   ///< YYYYMMDD, an unknown part filled up to the latest day possible
  std::string valid_until;  ///< YYYYMMDD
  Bytes municipality;       ///< as in data group 18
};

/// A ledger's own serial and keys.
struct LedgerData {
  Bytes serial;        ///< eight random octets
  LedgerMasters keys;  ///< of this ledger alone: diversify_ledger_key()

  /// A fresh serial, and keys from `masters`.
  static LedgerData derive(const LedgerMasters& masters, RandomSource& random);
};

/// Whole files of the health application; empty: nothing is known, and the file is there for later.
struct HealthData {
  Bytes insurance;     ///< InsuranceRecord::encode()
  Bytes emergency;     ///< EmergencyData::encode()
  Bytes entitlements;  ///< Entitlements::encode(); as many slots as the profile says
  LedgerData ledger;
};

struct TransitData {
  Bytes product;  ///< TransitPass::encode(); as many products as the profile says
  LedgerData ledger;
};

/// What is individual about one card.
struct CardData {
  CardSecrets secrets;
  std::map<unsigned, Bytes> data_groups;  ///< whole files by number, from encode_data_groups()
  ComparisonData comparison;
  std::optional<std::uint64_t> status_index;  ///< for EF.CardSecurity
  Bytes trust_anchor;                         ///< self-signed CVCA certificate, 7F21; only with [identity]
  std::optional<CvDate> date;                 ///< the card's idea of today to begin with
  HealthData health;                          ///< only with [health]
  TransitData transit;                        ///< only with [transit]
  std::string label;                          ///< TokenInfo label; empty: the profile's
  std::optional<Bytes> expected_serial;       ///< refuse any other chip
};

/// Certificates and signatures for phase two.
struct CardCertificates {
  std::map<KeyRole, Bytes> by_role;          ///< DER
  std::map<std::string, Bytes> authorities;  ///< DER, by the profile's name
  Bytes agreement;                           ///< DER: of the card's agreement key
  Bytes card_security;                       ///< EF.CardSecurity; only with [identity]
  Bytes transit;                             ///< DER: of the key that signs transit statements; only where there is one
};

/// The files of the data groups the profile names and `values` has, each with a fresh salt.
Result<std::map<unsigned, Bytes>> encode_data_groups(const IdentityProfile& profile, const IdentityData& values,
                                                     RandomSource& random);

}  // namespace karta::card
