#include "issuing/station.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <sstream>
#include <utility>

#include "base/file.h"
#include "card/card_type.h"
#include "card/domain_keys.h"
#include "card/issuer_channel.h"
#include "card/passive_authentication.h"
#include "issuing/card_content.h"
#include "issuing/certification.h"
#include "issuing/letter.h"

namespace karta::issuing {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNote = 256 * 1024;
constexpr std::string_view kHealthMasters = "health", kTransitMasters = "transit";

/// What the health and transit applications begin with.
Status add_sectors(card::CardData& data, const card::CardProfile& profile, const identity::Citizen& citizen,
                   std::uint64_t status_index, identity::Date day) {
  if (profile.health) {
    if (const auto insurance = insurance_of(citizen)) data.health.insurance = TRY(insurance->encode());
  }
  if (profile.transit) {
    card::TransitPass pass = transit_pass_of(citizen, *profile.transit, day);
    pass.status_index = status_index;
    data.transit.product = TRY(pass.encode());
  }
  return {};
}

Result<card::LedgerData> ledger_of(const IssuingKeys& issuing, std::string_view application, RandomSource& random) {
  if (issuing.derive_ledger_keys) {
    card::LedgerData ledger;
    ledger.serial = random.bytes(card::kLedgerSerialOctets);
    ledger.keys = TRY(issuing.derive_ledger_keys(application, ledger.serial));
    return ledger;
  }
  const auto found = issuing.transactions.find(application);
  if (found == issuing.transactions.end()) {
    return fail(ErrorKind::configuration,
                "the centre has no transaction masters for \"" + std::string(application) + "\"",
                "keys/transactions.key.pem, which karta init makes, is missing or of another centre");
  }
  return card::LedgerData::derive(found->second, random);
}

/// A note that this chip is being made under this order (see the top of station.h): the card's id, then, once it is
/// certified, a line "ROLE HEX" for each certificate that will be on it.
class WorkNote {
 public:
  WorkNote(const fs::path& folder, const std::string& serial) : path_(folder / (serial + ".card")) {}

  struct Content {
    identity::CardId card{};
    std::map<std::string, Bytes> certificates;  ///< by role; empty: not certified yet
  };
  /// What an earlier attempt left; empty: there was none.
  Result<std::optional<Content>> read() const {
    const auto octets = read_file(path_, kMostNote);
    if (!octets && octets.error().kind == ErrorKind::not_found) return std::optional<Content>{};
    if (!octets) return fail(octets.error());
    std::istringstream lines{std::string(as_text(*octets))};
    std::string word;
    Content content;
    lines >> word;
    content.card = TRY(identity::parse_card_id(word));
    for (std::string hex; lines >> word >> hex;) content.certificates[word] = TRY(from_hex(hex));
    return std::optional<Content>(std::move(content));
  }
  Status write(identity::CardId card,
               const std::vector<std::pair<std::string, crypto::Certificate>>& certificates) const {
    std::string text = identity::format_id(card) + "\n";
    for (const auto& [role, certificate] : certificates) text += role + " " + to_hex(certificate.der()) + "\n";
    // In one step: at no moment is there a card in the making without a note.
    return replace_file(path_, as_bytes(text), 0600);
  }
  void remove() const {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }

 private:
  fs::path path_;
};

/// Holds an order for one run: two that made cards under the same order would revoke each other's certificates. A lock
/// of the kernel on a file of the work folder, so that a run that was killed holds nothing.
class OrderLock {
 public:
  static Result<OrderLock> take(const fs::path& folder, identity::CardId order) {
    const fs::path path = folder / (identity::format_id(order) + ".lock");
    for (;;) {
      OrderLock lock(path, ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
      if (lock.descriptor_ < 0) {
        return fail(ErrorKind::io, "cannot write to \"" + folder.string() + "\": " + std::strerror(errno));
      }
      if (::flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
        lock.held_ = false;
        return fail(ErrorKind::busy, "this citizen's card is being made in another run of karta",
                    "wait until that one has ended");
      }
      // The run before may have removed the file between our opening and our locking it.
      struct stat named {
      }, opened{};
      if (::fstat(lock.descriptor_, &opened) == 0 && ::stat(path.c_str(), &named) == 0 &&
          opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) {
        return lock;
      }
      lock.held_ = false;
    }
  }
  OrderLock(OrderLock&& other) noexcept
      : path_(std::move(other.path_)),
        descriptor_(std::exchange(other.descriptor_, -1)),
        held_(std::exchange(other.held_, false)) {}
  OrderLock& operator=(OrderLock&&) = delete;
  ~OrderLock() {
    if (held_) ::unlink(path_.c_str());
    if (descriptor_ >= 0) ::close(descriptor_);
  }

 private:
  OrderLock(fs::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor), held_(descriptor >= 0) {}

  fs::path path_;
  int descriptor_;
  bool held_;
};

/// The order a card is made under, held by this run.
struct HeldOrder {
  identity::Card card;
  OrderLock lock;
};

/// What the registry says of an order once it is held: another run may have finished it in between.
Result<HeldOrder> hold(Centre& centre, identity::CardId id) {
  auto lock = TRY(OrderLock::take(centre.config().work, id));
  identity::Card card = TRY(centre.registry().card(id));
  return HeldOrder{std::move(card), std::move(lock)};
}

/// The order this citizen's card is made under: the one that is open, or a new one.
Result<HeldOrder> order_for(Centre& centre, const IssueRequest& request) {
  for (const identity::Card& card : TRY(centre.registry().cards_of(request.citizen))) {
    if (card.state != identity::CardState::ordered || card.profile != request.profile) continue;
    HeldOrder held = TRY(hold(centre, card.id));
    if (held.card.state == identity::CardState::ordered) return held;
  }
  identity::CardOrder order;
  order.citizen = request.citizen;
  order.profile = request.profile;
  const identity::Card ordered = TRY(centre.registry().order_card(order, {request.actor, "issue"}));
  return hold(centre, ordered.id);
}

fs::path letter_path(const Centre& centre, const std::string& serial) {
  return centre.config().letters / (serial + ".txt");
}

/// An issued card's MF is operational (ISO 7816-4 §7.4.10, life cycle status); a blank one's is not yet.
Result<bool> is_closed(card::Channel& channel) { return TRY(card::select(channel, card::Path{})).operational(); }

Result<Certified> certified_before(const Centre& centre, const card::CardProfile& profile,
                                   const WorkNote::Content& note) {
  Certified certified;
  for (const card::KeyProfile& key : profile.keys) {
    const auto der = note.certificates.find(std::string(to_string(key.role)));
    if (der == note.certificates.end()) {
      return fail(ErrorKind::internal,
                  "the note on the interrupted card lacks the certificate of " + std::string(to_string(key.role)));
    }
    auto certificate = TRY(crypto::Certificate::from_der(der->second));
    certified.valid_until = std::min(certified.valid_until, certificate.not_after());
    certified.for_card.by_role[key.role] = der->second;
    certified.made.emplace_back(der->first, std::move(certificate));
  }
  if (const auto own = note.certificates.find(std::string(kAgreementRole)); own != note.certificates.end()) {
    certified.agreement = TRY(crypto::Certificate::from_der(own->second));
  }
  certified.for_card.authorities = TRY(authorities_of(centre, profile));
  return certified;
}

/// Certificates of earlier attempts are on no card: they are revoked as superseded.
Status revoke_abandoned(Centre& centre, identity::CardId card, const Certified& certified, const std::string& actor) {
  const identity::Purpose purpose{actor, "issue a card", "card " + identity::format_id(card)};
  const auto all = certified.all();
  for (const identity::CardCertificate& row : TRY(centre.registry().certificates_of(card, purpose))) {
    const bool on_card =
        std::any_of(all.begin(), all.end(), [&](const auto& made) { return made.second.der() == row.der; });
    if (on_card || TRY(centre.registry().certificate_status(row.issuer, row.serial)).revoked_at) continue;
    TRY(centre.registry().revoke_certificate(row.issuer, row.serial, identity::RevocationReason::superseded,
                                             {actor, "the making of the card was interrupted"}));
  }
  return {};
}

std::string date_of(Time time) { return format_time(time).substr(0, 10); }

identity::Date day_of(Time time) { return std::chrono::floor<std::chrono::days>(time); }

/// Data groups of the greatest length the registry gives rise to, for plans.
identity::Citizen sample_citizen() {
  identity::Citizen citizen;
  citizen.family = citizen.given = citizen.patronymic = std::string(24, 'x');
  citizen.birth_date = std::chrono::year(1990) / 1 / 1;
  citizen.sex = identity::Sex::female;
  citizen.region = "00";
  citizen.insurer = std::string(80, 'x');
  return citizen;
}

/// What the identity application holds of the citizen. The portrait is a read of its own in the access log.
Result<card::IdentityData> identity_of(Centre& centre, const card::IdentityProfile& profile,
                                       const identity::CitizenRecord& holder, identity::Date today, identity::Date last,
                                       const identity::Purpose& purpose) {
  card::IdentityData data = identity_data_of(holder.citizen, profile, today, last);
  if (profile.has(card::kPortraitGroup) && TRY(centre.registry().has_portrait(holder.id))) {
    add_portrait(data, profile, TRY(centre.registry().read_portrait(holder.id, purpose)));
  }
  return data;
}

struct Made {
  Certified certified;
  card::WireCount portrait;
};

/// Letter, keys, certificates, directory: all that changes a blank card, closing it included.
Result<Made> make_card(Centre& centre, IssuingKeys& issuing, card::Channel& plain, const card::CardProfile& profile,
                       const IssueRequest& request, const std::string& serial, const identity::Card& order,
                       const WorkNote& note, const Clock& clock, RandomSource& random,
                       const card::StepProgress& progress) {
  const identity::Purpose purpose{request.actor, "issue a card", "card " + identity::format_id(order.id)};
  const identity::CitizenRecord holder = TRY(centre.registry().read_citizen(request.citizen, purpose));
  TRY(check_certifiable(centre, profile, holder.citizen));
  auto chip = TRY(from_hex(serial));
  const Time ends = TRY(end_of_validity(centre, profile, clock.now()));
  card::CardData data;
  data.secrets = card::CardSecrets::generate(profile, random);
  data.expected_serial = chip;
  data.status_index = order.status_index;
  if (profile.identity) {
    const identity::Date today = day_of(clock.now()), last = day_of(ends);
    const card::IdentityData known = TRY(identity_of(centre, *profile.identity, holder, today, last, purpose));
    data.data_groups = TRY(card::encode_data_groups(*profile.identity, known, random));
    data.comparison = comparison_data_of(holder.citizen, last);
    data.trust_anchor = TRY(centre.terminal_trust_anchor());
    data.date = card::cv_date_of(clock.now());
  }
  TRY(add_sectors(data, profile, holder.citizen, order.status_index, day_of(clock.now())));
  if (profile.health) data.health.ledger = TRY(ledger_of(issuing, kHealthMasters, random));
  if (profile.transit) data.transit.ledger = TRY(ledger_of(issuing, kTransitMasters, random));
  auto work = TRY(card::Personalisation::make(profile, data));
  work.on_progress(progress);

  // The letter goes first: a card with PINs nobody knows is lost, a letter without a card is waste paper.
  const std::string end = date_of(ends);
  const SecretBytes letter =
      compose_letter({centre.config().name, full_name(holder.citizen), serial, end}, data.secrets);
  std::error_code ignored;
  fs::remove(letter_path(centre, serial), ignored);  // of an interrupted attempt, whose PINs are erased
  TRY(write_new_file(letter_path(centre, serial), letter.expose_secret(), 0600));

  card::IssuerChannelRequest request_channel;
  request_channel.profile = &profile.card_manager;
  request_channel.master = &issuing.card_master;
  request_channel.serial = chip;
  request_channel.take_blank = true;
  const auto channel = TRY(card::open_issuer_channel(plain, request_channel, random));
  const auto keys = TRY(work.prepare(*channel));
  Certified certified = TRY(certify(centre, *issuing.ca, profile, keys, holder.citizen, order, clock, random));
  certified.agreement =
      TRY(certify_agreement_key(centre, *issuing.ca, profile.card_manager.agreement_curve,
                                work.journal().points.at(card::kAgreementKeyFile), order, serial, clock, random));
  certified.for_card.agreement = certified.agreement->der();
  if (profile.identity) {
    const card::SecurityInfos infos = TRY(work.card_security());
    certified.for_card.card_security = TRY(card::sign_card_security(infos, *issuing.document_signer));
  }
  if (profile.transit && profile.transit->card_signed) {
    certified.for_card.transit =
        TRY(certify_transit_key(centre, *issuing.ca, profile, work.journal().points.at(card::kTransitSigningKey),
                                data.transit.ledger.serial, order, clock, random));
  }
  for (const auto& [role, certificate] : certified.made) {
    TRY(register_certificate(centre, order.id, role, certificate, {request.actor, "issue"}));
  }
  TRY(register_certificate(centre, order.id, kAgreementRole, *certified.agreement, {request.actor, "issue"}));
  TRY(note.write(order.id, certified.all()));
  TRY(work.complete(*channel, certified.for_card));
  return Made{std::move(certified), work.plan(plain.limits()).portrait()};
}

}  // namespace

Result<card::PersonalisationPlan> plan_issue(const Centre& centre, std::string_view profile_name,
                                             const card::ChannelLimits& limits) {
  const card::CardProfile profile = TRY(centre.card_profile(profile_name));
  SeededRandom random(0);  // lengths matter to the plan, values do not
  card::CardData data;
  data.secrets = card::CardSecrets::generate(profile, random);
  if (profile.identity) {
    const identity::Citizen sample = sample_citizen();
    const identity::Date day = sample.birth_date;
    card::IdentityData known = identity_data_of(sample, *profile.identity, day, day);
    if (profile.identity->has(card::kPortraitGroup)) {
      Bytes longest(card::kMostPortraitOctets, 0);
      longest[0] = 0xFF, longest[1] = 0xD8, longest[2] = 0xFF;
      known[card::kPortraitGroup] = std::move(longest);
    }
    data.data_groups = TRY(card::encode_data_groups(*profile.identity, known, random));
    data.comparison = comparison_data_of(sample, day);
  }
  const identity::Citizen sample = sample_citizen();
  TRY(add_sectors(data, profile, sample, 0, sample.birth_date));
  const auto work = TRY(card::Personalisation::make(profile, data));
  return work.plan(limits);
}

Result<IssuedCard> issue_card(Centre& centre, IssuingKeys& keys, card::CardConnection& connection,
                              const IssueRequest& request, const Clock& clock, RandomSource& random,
                              const card::StepProgress& progress) {
  identity::Registry& registry = centre.registry();
  const card::CardProfile profile = TRY(centre.card_profile(request.profile));

  card::CountingConnection counted(connection);
  const card::Transaction alone = TRY(card::Transaction::begin(counted));
  card::PlainChannel channel(counted);
  const std::string serial = TRY(card::ESignApplication::open(channel)).info().serial_hex();
  const auto known = registry.card_by_serial(serial);
  const WorkNote note(centre.config().work, serial);
  if (known) {
    note.remove();  // should the very last step of its issue have been missed
    return fail(ErrorKind::card_refused, "the card with serial " + serial + " is issued already",
                "put in a blank card");
  }
  if (known.error().kind != ErrorKind::not_found) return fail(known.error());

  IssuedCard issued;
  issued.serial = serial;
  const auto interrupted = TRY(note.read());
  issued.made_again = interrupted.has_value();
  Certified certified;
  std::optional<HeldOrder> held;  // until the card is produced
  if (interrupted && TRY(is_closed(channel))) {
    // Only the last step, reading back, was missed: everything is on the card and it takes nothing more.
    if (TRY(registry.card(interrupted->card)).citizen != request.citizen) {
      return fail(ErrorKind::card_refused, "the card with serial " + serial + " was made for somebody else",
                  "issue it for the citizen of card " + identity::format_id(interrupted->card));
    }
    held.emplace(TRY(hold(centre, interrupted->card)));
    certified = TRY(certified_before(centre, profile, *interrupted));
    issued.card.id = interrupted->card;
    issued.letter = letter_path(centre, serial);
  } else {
    held.emplace(TRY(order_for(centre, request)));
    const identity::Card& order = held->card;
    if (interrupted) TRY(card::erase_blank_card(channel));
    TRY(note.write(order.id, {}));
    Made made = TRY(make_card(centre, keys, channel, profile, request, serial, order, note, clock, random, progress));
    certified = std::move(made.certified);
    issued.portrait = made.portrait;
    issued.card.id = order.id;
    issued.letter = letter_path(centre, serial);
  }
  TRY(card::check_personalised(channel, profile, certified.for_card));
  TRY(revoke_abandoned(centre, issued.card.id, certified, request.actor));
  issued.card = TRY(registry.produce_card(issued.card.id, serial, certified.valid_until, {request.actor, "issue"}));
  issued.certificates = std::move(certified.made);
  note.remove();
  issued.wire = counted.count();
  return issued;
}

}  // namespace karta::issuing
