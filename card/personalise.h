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
#include <string_view>

#include "card/card_data.h"
#include "card/card_journal.h"
#include "card/channel.h"
#include "card/personalisation_plan.h"
#include "card/profile.h"
#include "card/security_infos.h"

namespace karta::card {

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
