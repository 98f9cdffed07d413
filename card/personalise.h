// Personalisation: making a blank card a citizen's card, as a plan that can be shown before it runs.
//
// It goes in two phases, since a CA stands between them: prepare() sets PINs and PUK and generates the keys on the
// card, and returns their public keys; complete() writes the certificates, the identity application and the directory,
// and closes the card for good. Both run inside the issuer's channel (issuer_channel.h). The Journal between and inside
// the phases is small and without secrets; an interrupted card goes on from it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/random.h"
#include "card/channel.h"
#include "card/cv_certificate.h"
#include "card/esign.h"
#include "card/identity_data.h"
#include "card/profile.h"
#include "card/security_infos.h"
#include "card/transaction_keys.h"
#include "card/transports.h"

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

/// One step as --dry-run shows it. Figures are exact for short forms and extended lengths alike, unless `estimated`.
struct PlanStep {
  std::string words;  ///< "create key file 4B01 for AUT (p256), PIN1, sign"
  unsigned commands = 0;
  std::size_t octets_out = 0;
  std::size_t octets_back = 0;
  bool estimated = false;  ///< depends on a certificate not made yet
  bool portrait = false;   ///< the holder's picture: counted apart
};

struct PersonalisationPlan {
  std::vector<PlanStep> prepare, complete;
  // All steps, the portrait's included.
  unsigned commands() const;
  std::size_t octets_out() const;
  std::size_t octets_back() const;
  /// The portrait's alone: it is longer than all the rest, and budgets are stated without it. Its hash in
  /// EF.CardSecurity, about 40 octets, counts with the rest.
  WireCount portrait() const;
};

/// Where a card stands; keep its text form until the card is done. Contains no secret.
struct Journal {
  Bytes serial;
  std::string profile;
  unsigned phase = 1;                     ///< 1 prepare, 2 complete, 3 done
  unsigned next_step = 0;                 ///< within the phase
  std::map<KeyRole, Bytes> public_keys;   ///< DER SubjectPublicKeyInfo
  std::map<std::uint16_t, Bytes> points;  ///< of the card's own keys by file: chip authentication 0041, agreement 00C5,
                                          ///< transit 00E4

  std::string to_text() const;
  static Result<Journal> from_text(std::string_view text);
};

/// step, of how many, what is being done
using StepProgress = std::function<void(unsigned step, unsigned steps, std::string_view words)>;
/// Called after every step with what to keep.
using JournalSink = std::function<Status(const Journal&)>;

class Personalisation {
 public:
  /// `profile` and `data` must outlive it. Fails with `configuration` where they do not fit each other.
  static Result<Personalisation> make(const CardProfile& profile, const CardData& data);
  Personalisation(Personalisation&&) noexcept;
  Personalisation& operator=(Personalisation&&) noexcept;
  ~Personalisation();

  /// The steps with what they cost inside SCP03; `limits` of the plain channel decide how often long content is cut.
  PersonalisationPlan plan(const ChannelLimits& limits) const;

  void on_progress(StepProgress progress);
  void on_journal(JournalSink sink);

  /// Phase one on a blank card: public keys by role, DER SubjectPublicKeyInfo. Holds one transaction.
  /// Fails with `card_refused` where the card is issued already or holds foreign files (see erase()).
  Result<std::map<KeyRole, Bytes>> prepare(Channel& channel);
  /// Phase two: certificates, directory, closing. check_personalised() reads it all back.
  Status complete(Channel& channel, const CardCertificates& certificates);

  /// EF.CardAccess.
  SecurityInfos card_access() const;
  /// What EF.CardSecurity says besides, once prepare() has made the keys: to be signed by the document signer.
  /// Fails with `configuration` where the profile has no [identity].
  Result<SecurityInfos> card_security() const;

  /// Goes on where `journal` ends: the next prepare() or complete() starts there. Fails with `card_unknown` if it is
  /// of another profile; the card's serial is compared when the work starts.
  Status resume(Journal journal);
  const Journal& journal() const;

 private:
  struct State;
  explicit Personalisation(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Access rules of the file of a holder certificate: anybody reads, the holder's PIN1 renews.
Bytes certificate_file_rules(const CardProfile& profile, const KeyProfile& key);

/// Puts a new transport PIN, with all tries, in the place of what an issued card has: for holders who know neither PIN
/// nor PUK. `issuer` is the issuer's session; `value` has pin.transport_digits. Fails with `not_permitted` where
/// profile or card leave the PIN to its PUK.
Status reset_transport_pin(Channel& issuer, const PinProfile& pin, const SecretBytes& value);

/// Wipes the e-signature application of a blank card (PUT DATA 01E0), e.g. after a plan given up half-way.
/// An issued card refuses.
Status erase_blank_card(Channel& channel);

/// Reads an issued card back and compares it with what was to be written: directory, labels, certificates, PIN states,
/// closed. No PIN is needed. Fails with `card_refused`, naming the first difference.
Status check_personalised(Channel& channel, const CardProfile& profile, const CardCertificates& certificates);

}  // namespace karta::card
