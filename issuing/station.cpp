#include "issuing/station.h"

#include <algorithm>

#include "base/file.h"
#include "card/card_type.h"
#include "crypto/x509/issue.h"
#include "issuing/letter.h"

namespace karta::issuing {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostNote = 64;

std::string full_name(const identity::Citizen& citizen) {
  std::string name = citizen.family + " " + citizen.given;
  if (!citizen.patronymic.empty()) name += " " + citizen.patronymic;
  return name;
}

/// The subject of a citizen's certificate: what the profile asks for and the registry knows.
Result<crypto::Name> subject_of(const identity::Citizen& citizen, std::string_view country,
                                const crypto::CertificateProfile& profile) {
  const std::string given = citizen.given + (citizen.patronymic.empty() ? "" : " " + citizen.patronymic);
  const std::pair<const char*, std::string> known[] = {
      {"C", std::string(country)},
      {"CN", full_name(citizen)},
      {"SN", citizen.family},
      {"GN", given},
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

/// The order this citizen's card is made under: the one that is open, or a new one.
Result<identity::Card> order_for(identity::Registry& registry, const IssueRequest& request) {
  for (const identity::Card& card : TRY(registry.cards_of(request.citizen))) {
    if (card.state == identity::CardState::ordered && card.profile == request.profile) return card;
  }
  identity::CardOrder order;
  order.citizen = request.citizen;
  order.profile = request.profile;
  return registry.order_card(order, {request.actor, "issue"});
}

/// When the first of the card's certificates will end, before they are made.
Result<Time> end_of_validity(const Centre& centre, const card::CardProfile& profile, Time now) {
  Time end = centre.issuing().not_after();
  for (const card::KeyProfile& key : profile.keys) {
    const auto certificate_profile = TRY(centre.certificate_profile(key.certificate_profile));
    end = std::min(end, now + std::chrono::days(certificate_profile.validity_days));
  }
  return end;
}

struct Certified {
  card::CardCertificates for_card;
  std::vector<std::pair<std::string, crypto::Certificate>> made;
  Time valid_until = Time::max();
};

Result<Certified> certify(Centre& centre, crypto::Signer& ca, const card::CardProfile& profile,
                          const std::map<card::KeyRole, Bytes>& keys, const identity::Citizen& citizen,
                          const identity::Card& order, const Clock& clock, RandomSource& random) {
  Certified certified;
  for (const card::KeyProfile& key : profile.keys) {
    const auto spki = keys.find(key.role);
    if (spki == keys.end())
      return fail(ErrorKind::internal, "the card gave no public key for " + std::string(to_string(key.role)));
    const auto certificate_profile = TRY(centre.certificate_profile(key.certificate_profile));
    crypto::CertificateRequest request{TRY(subject_of(citizen, centre.config().country, certificate_profile)),
                                       TRY(crypto::PublicKey::from_spki(spki->second)),
                                       {},
                                       {},
                                       {},
                                       {},
                                       {}};
    if (certificate_profile.status_index != crypto::StatusIndexRule::none) request.status_index = order.status_index;
    auto certificate =
        TRY(crypto::issue_certificate(certificate_profile, request, centre.issuing(), ca, clock, random));
    certified.valid_until = std::min(certified.valid_until, certificate.not_after());
    certified.for_card.by_role[key.role] = certificate.der();
    certified.made.emplace_back(to_string(key.role), std::move(certificate));
  }
  for (const card::AuthorityProfile& authority : profile.authorities) {
    const crypto::Certificate& certificate = authority.name == "root" ? centre.root() : centre.issuing();
    if (authority.name != "root" && authority.name != "issuing") {
      return fail(ErrorKind::configuration, "card profile \"" + profile.name + "\" names the authority \"" +
                                                authority.name + "\", and there are only \"root\" and \"issuing\"");
    }
    certified.for_card.authorities[authority.name] = certificate.der();
  }
  return certified;
}

Status register_certificates(Centre& centre, identity::CardId card, const Certified& certified,
                             const std::string& actor) {
  for (const auto& [role, certificate] : certified.made) {
    identity::CardCertificate row;
    for (const identity::CertificateKind kind : {identity::CertificateKind::aut, identity::CertificateKind::sig,
                                                 identity::CertificateKind::qes, identity::CertificateKind::enc}) {
      if (identity::name_of(kind) == role) row.kind = kind;
    }
    row.issuer = centre.issuing().subject().to_text();
    row.serial = certificate.serial();
    row.der = certificate.der();
    row.not_before = certificate.not_before();
    row.not_after = certificate.not_after();
    TRY(centre.registry().add_certificate(card, row, {actor, "issue"}));
  }
  return {};
}

/// A note that this chip is being made under this order; see the top of station.h.
class WorkNote {
 public:
  WorkNote(const fs::path& folder, const std::string& serial) : path_(folder / (serial + ".card")) {}

  /// True if an earlier attempt left one.
  Result<bool> exists() const {
    auto text = read_file(path_, kMostNote);
    if (text) return true;
    if (text.error().kind == ErrorKind::not_found) return false;
    return fail(std::move(text).error());
  }
  Status write(identity::CardId card) const {
    std::error_code ignored;
    fs::remove(path_, ignored);
    return write_new_file(path_, as_bytes(identity::format_id(card)), 0600);
  }
  void remove() const {
    std::error_code ignored;
    fs::remove(path_, ignored);
  }

 private:
  fs::path path_;
};

std::string date_of(Time time) { return format_time(time).substr(0, 10); }

}  // namespace

Result<card::PersonalisationPlan> plan_issue(const Centre& centre, std::string_view profile_name,
                                             const card::ChannelLimits& limits) {
  const card::CardProfile profile = TRY(centre.card_profile(profile_name));
  SeededRandom random(0);  // lengths matter to the plan, values do not
  const card::CardData data{card::CardSecrets::generate(profile, random), {}, {}};
  const auto work = TRY(card::Personalisation::make(profile, data));
  return work.plan(limits);
}

Result<IssuedCard> issue_card(Centre& centre, crypto::Signer& ca, card::CardConnection& connection,
                              const IssueRequest& request, const Clock& clock, RandomSource& random,
                              const card::StepProgress& progress) {
  identity::Registry& registry = centre.registry();
  const card::CardProfile profile = TRY(centre.card_profile(request.profile));

  card::CountingConnection counted(connection);
  const card::Transaction alone = TRY(card::Transaction::begin(counted));
  card::PlainChannel channel(counted);
  const std::string serial = [&]() -> Result<std::string> {
    const auto esign = TRY(card::ESignApplication::open(channel));
    return esign.info().serial_hex();
  }()
                                          .value_or("");
  if (serial.empty()) {
    return fail(ErrorKind::card_unknown,
                "the card in \"" + std::string(connection.reader_name()) +
                    "\" is none karta can issue: it has no MyEID-profile application",
                "put in a blank card");
  }
  const auto known = registry.card_by_serial(serial);
  if (known) {
    return fail(ErrorKind::card_refused, "the card with serial " + serial + " is issued already",
                "put in a blank card");
  }
  if (known.error().kind != ErrorKind::not_found) return fail(known.error());

  IssuedCard issued;
  const WorkNote note(centre.config().work, serial);
  issued.made_again = TRY(note.exists());
  if (issued.made_again) TRY(card::erase_blank_card(channel));

  identity::Card order = TRY(order_for(registry, request));
  const identity::Purpose purpose{request.actor, "issue a card", "card " + identity::format_id(order.id)};
  const identity::CitizenRecord holder = TRY(registry.read_citizen(request.citizen, purpose));
  TRY(note.write(order.id));

  const card::CardData data{card::CardSecrets::generate(profile, random), {}, TRY(from_hex(serial))};
  auto work = TRY(card::Personalisation::make(profile, data));
  work.on_progress(progress);

  // The letter goes first: a card with PINs nobody knows is lost, a letter without a card is waste paper.
  const Time planned_end = TRY(end_of_validity(centre, profile, clock.now()));
  issued.letter = centre.config().letters / (serial + ".txt");
  std::error_code ignored;
  fs::remove(issued.letter, ignored);  // of an interrupted attempt, whose PINs were just erased
  const SecretBytes letter =
      compose_letter({centre.config().name, full_name(holder.citizen), serial, date_of(planned_end)}, data.secrets);
  TRY(write_new_file(issued.letter, letter.expose_secret(), 0600));

  const auto made = [&]() -> Status {
    const auto keys = TRY(work.prepare(channel));
    const Certified certified = TRY(certify(centre, ca, profile, keys, holder.citizen, order, clock, random));
    TRY(register_certificates(centre, order.id, certified, request.actor));
    TRY(work.complete(channel, certified.for_card));
    TRY(card::check_personalised(channel, profile, certified.for_card));
    issued.card = TRY(registry.produce_card(order.id, serial, certified.valid_until, {request.actor, "issue"}));
    issued.certificates = certified.made;
    return {};
  }();
  if (!made) return fail(made.error());
  note.remove();
  issued.serial = serial;
  issued.wire = counted.count();
  return issued;
}

}  // namespace karta::issuing
