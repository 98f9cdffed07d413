// CardProfile: what a card of one kind is made of, read from a TOML file (docs/profile.md).
//
// A profile names applications, PINs, keys, certificates and their places. What it says nothing about has the defaults
// of the citizen card. Unknown keys are refused with line and key, so that a misspelt rule never passes for none.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "card/esign.h"
#include "card/key_type.h"
#include "card/pin.h"
#include "card/scp03.h"
#include "card/sector_rights.h"
#include "card/security_infos.h"
#include "crypto/algorithm.h"

namespace karta::card {

/// Bits of a key's purpose as the card enforces it.
namespace key_purpose {
inline constexpr std::uint8_t sign = 1, decipher = 2, agree = 4;
}

struct PinProfile {
  PinKind kind = PinKind::pin1;
  std::string label;
  std::uint8_t reference = 1;  ///< inside the e-sign application
  unsigned min_digits = 6, max_digits = 8;
  unsigned transport_digits = 5;
  unsigned tries = 3;
  bool issuer_reset = false;  ///< the issuer's session may set a new transport PIN; never of a qualified key's PIN
};

struct KeyProfile {
  KeyRole role = KeyRole::other;
  std::string label;
  const CardKeyType* type = nullptr;
  PinKind pin = PinKind::pin1;
  bool pin_each_time = false;
  std::uint8_t purpose = 0;         ///< key_purpose bits
  std::string certificate_profile;  ///< the issuing centre's name for it
  Bytes id;                         ///< PKCS #15
  std::uint16_t key_file = 0, certificate_file = 0;
};

struct AuthorityProfile {
  std::string name;  ///< the issuing centre's name for the CA
  std::string label;
  Bytes id;
  std::uint16_t certificate_file = 0;
};

struct ApplicationProfile {
  std::string name;
  Bytes aid;
  std::string label;
  std::optional<Path> path;
};

/// The keys under which the issuer administers the card, and the one departments agree on theirs with.
struct CardManagerProfile {
  std::uint8_t key_version = 2;
  std::size_t key_octets = 32;
  Scp03Mode mode = Scp03Mode::s16;
  crypto::KeyType agreement_curve = crypto::KeyType::p256;
};

/// The identity application of TR-03110: its protocols and what it holds.
struct IdentityProfile {
  std::vector<crypto::KeyType> pace_curves;  ///< EF.CardAccess, the preferred one first
  std::size_t cipher_octets = 16;            ///< AES of PACE and chip authentication
  crypto::KeyType chip_authentication_curve = crypto::KeyType::p256;
  crypto::KeyType restricted_identification_curve = crypto::KeyType::brainpool_p256r1;  ///< the sectors' curve
  std::string issuing_state;                    ///< data group 2, ICAO 9303-3 §5: "RUS"
  std::vector<unsigned> data_groups;            ///< those a card may have; what is not known of a citizen is left out
  bool verify_age = true, verify_place = true;  ///< terminals may ask "born before", "lives in"

  /// Whether cards may have this data group.
  bool has(unsigned data_group) const;
};

/// Who may do something with a file of a sector's application.
struct AccessRule {
  enum class Kind : std::uint8_t {
    nobody,          ///< for writing: the issuer's session alone
    anybody,         ///< also over contactless in plain
    secure_channel,  ///< inside PACE with any password, or the issuer's session
    right,           ///< a terminal with that sector right, after chip authentication
  };
  Kind kind = Kind::nobody;
  SectorRight right{};

  AccessRule() = default;
  explicit AccessRule(Kind what) : kind(what) {}
  AccessRule(SectorRight which) : kind(Kind::right), right(which) {}  // NOLINT: reads as what it is
  friend bool operator==(const AccessRule&, const AccessRule&) = default;
};
/// "anybody", "secure-channel", "nobody", or the name of a sector right.
std::optional<AccessRule> find_access_rule(std::string_view word);

/// A ledger (ledger.h) as a card is given one.
struct LedgerProfile {
  std::size_t key_octets = 16;  ///< of its keys, 16 or 32: as long as the masters
  std::size_t counters = 1;
  std::size_t entries = 1;  ///< kept in the journal
  bool settlement = true;   ///< the card makes settlement codes
};
/// Counters, journal and what goes with them, in octets.
inline constexpr std::size_t kMostLedgerOctets = 960;

struct HealthRules {
  AccessRule read_insurance = SectorRight::read_insurance, write_insurance = SectorRight::write_insurance,
             read_emergency = SectorRight::read_emergency, write_emergency = SectorRight::write_emergency,
             read_entitlements = SectorRight::read_entitlements, redeem = SectorRight::redeem_entitlements,
             grant = SectorRight::grant_entitlements;
};
/// The health application (health.h).
struct HealthProfile {
  LedgerProfile ledger{.key_octets = 16, .counters = 8, .entries = 6, .settlement = true};
  std::size_t insurance_octets = 128, emergency_octets = 512;  ///< of the files
  HealthRules rules;
};

struct TransitRules {
  AccessRule read = SectorRight::read_transit, travel = AccessRule(AccessRule::Kind::anybody),
             sell = SectorRight::sell_transit;
};
/// The transit application (transit.h).
struct TransitProfile {
  LedgerProfile ledger{.key_octets = 16, .counters = 2, .entries = 10, .settlement = true};
  bool card_signed = false;  ///< a key that signs statements: then what the product says is readable for anybody
  std::string certificate_profile = "card-transit";
  std::uint16_t concession_zones = 0;  ///< bits: where who has a concession travels free; 0: nowhere
  TransitRules rules;
};

/// A department the issuer makes a domain for when asked.
struct DomainProfile {
  std::string name;
  Bytes aid;
};

struct CardProfile {
  std::string name;  ///< "citizen"
  std::string description;
  std::string label;  ///< TokenInfo: "KARTA"
  std::string manufacturer;
  std::vector<ApplicationProfile> applications;  ///< EF.DIR, in this order
  std::vector<PinProfile> pins;
  unsigned puk_digits = 10, puk_tries = 10;
  unsigned can_digits = 6;
  std::vector<KeyProfile> keys;
  std::vector<AuthorityProfile> authorities;  ///< CA certificates stored on the card
  std::size_t certificate_slack = 0;          ///< octets kept free behind each certificate, for its renewal
  bool public_key_directory = false;          ///< write a PuKDF
  CardManagerProfile card_manager;
  std::optional<IdentityProfile> identity;
  std::optional<HealthProfile> health;
  std::optional<TransitProfile> transit;
  std::vector<DomainProfile> domains;

  const PinProfile* pin(PinKind kind) const;
  const KeyProfile* key(KeyRole role) const;
  const DomainProfile* domain(std::string_view domain_name) const;
};

/// Reads a profile; `source` names it in messages: "citizen.toml:12: unknown key \"lable\" in [[key]]".
/// Fails with `configuration`.
Result<CardProfile> parse_profile(std::string_view toml, std::string_view source);
Result<CardProfile> read_profile(const std::string& file);
/// The citizen profile as shipped in docs/examples/profiles/citizen.toml, for `karta init` to write out.
std::string_view citizen_profile_toml();

}  // namespace karta::card
