#include "card/personalise.h"

#include <algorithm>

#include "card/domain_keys.h"
#include "card/esign_steps.h"
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

// Objects of GET DATA and PUT DATA: docs/card-commands.md.
constexpr std::uint16_t kObjectCardInfo = 0x01A0, kObjectFileList = 0x01A1, kObjectWipe = 0x01E0;

void append(std::vector<Step>& steps, std::vector<Step> more) {
  for (Step& step : more) steps.push_back(std::move(step));
}

}  // namespace

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
    std::vector<Step> steps = esign_prepare_steps(profile, data, with_secrets);
    steps.push_back(agreement_key_step(profile.card_manager));
    if (profile.identity) append(steps, identity_prepare_steps(*profile.identity, data, with_secrets));
    append(steps, sector_prepare_steps(profile));
    return steps;
  }

  Bytes ef_dir() const {
    std::vector<ApplicationTemplate> applications;
    for (const ApplicationProfile& application : profile.applications) {
      applications.push_back({application.aid, application.label, application.path});
    }
    return encode_ef_dir(applications);
  }

  // EF.DIR of its exact size takes the place of the blank card's; terminals read it before they are let in anywhere.
  Step directory_step(std::size_t room) const {
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
    return step;
  }

  // `certificates` null: their sizes are estimated. `room`: data octets of one command.
  std::vector<Step> complete_steps(const CardCertificates* certificates, std::size_t room) const {
    const auto given = [&](Bytes CardCertificates::*which) {
      return certificates != nullptr ? ByteView(certificates->*which) : ByteView();
    };
    std::vector<Step> steps = esign_complete_steps(profile, data, journal, certificates, room);
    if (profile.identity) {
      append(steps, identity_complete_steps(*profile.identity, data, given(&CardCertificates::card_security), room));
    }
    append(steps, sector_complete_steps(profile, data, given(&CardCertificates::transit), room));
    steps.push_back(agreement_certificate_step(given(&CardCertificates::agreement), room));
    steps.push_back(directory_step(room));
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
    if (step.makes_key) {
      const CardKeyType& type = *profile.key(*step.makes_key)->type;
      journal.public_keys[*step.makes_key] = TRY(generated_key(channel, type, answer));
    }
    if (step.makes_point) journal.points[*step.makes_point] = TRY(generated_point(curve_of(*step.makes_point), answer));
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

// Nothing is missing that complete() is to write.
Status check_certificates(const CardProfile& profile, const CardData& data, const CardCertificates& certificates) {
  for (const KeyProfile& key : profile.keys) {
    if (!certificates.by_role.contains(key.role)) {
      return fail(ErrorKind::configuration, "the certificate of " + std::string(to_string(key.role)) + " is missing");
    }
  }
  for (const AuthorityProfile& authority : profile.authorities) {
    if (!certificates.authorities.contains(authority.name)) {
      return fail(ErrorKind::configuration, "the certificate of the authority \"" + authority.name + "\" is missing");
    }
  }
  if (certificates.agreement.empty()) {
    return fail(ErrorKind::configuration, "the certificate of the card's agreement key is missing");
  }
  if (profile.identity && (certificates.card_security.empty() || data.trust_anchor.empty() || !data.date)) {
    return fail(ErrorKind::configuration, "EF.CardSecurity, the terminals' trust anchor or the date is missing");
  }
  if (profile.transit && profile.transit->card_signed && certificates.transit.empty()) {
    return fail(ErrorKind::configuration, "the certificate of the key that signs transit statements is missing");
  }
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
  TRY(check_certificates(state.profile, state.data, certificates));
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

}  // namespace karta::card
