#include "issuing/desk/card_deeds.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>

#include "base/file.h"
#include "base/tlv.h"
#include "card/file.h"
#include "card/iso7816.h"
#include "crypto/digest.h"
#include "issuing/certification.h"
#include "issuing/letter.h"

namespace karta::issuing {
namespace {

namespace fs = std::filesystem;
using identity::CardState;

// GET DATA of the key file selected: docs/card-commands.md.
constexpr std::uint16_t kObjectModulus = 0x0101, kObjectExponent = 0x0102, kObjectPoint = 0x0186;
// A domain's state in GET STATUS: it has keys.
constexpr std::uint8_t kDomainPersonalised = 0x0F;
// Events in which loading an application can be traced, newest first.
constexpr std::string_view kLoadingEvent = "application-loading", kLoadedEvent = "application-loaded";
constexpr std::size_t kOfferDigest = 16;  // octets of SHA-256 kept of an offer

/// Neither stopped nor at its end.
Status require_in_order(const identity::Card& card) {
  const identity::CardStateRow& row = identity::row_of(card.state);
  if (!row.stopped && !row.final) return {};
  return fail(ErrorKind::not_permitted, "the card is " + std::string(row.name));
}

identity::Purpose purpose_of(const DeskWork& work, const identity::Card& card, std::string_view what) {
  return {work.cause.actor, std::string(what), "card " + identity::format_id(card.id)};
}

/// The object at the head of a file that ends in zeros; empty where there is none.
Bytes without_padding(const Bytes& content) {
  TlvCursor cursor(content);
  const auto object = cursor.next();
  if (!object || object->whole.empty()) return {};
  return to_bytes(object->whole);
}

/// What the file of a key's certificate holds; nothing where it is missing, as an interrupted renewal may leave it.
Result<Bytes> certificate_on_card(card::Channel& channel, const card::KeyProfile& key) {
  auto content = card::read_file(channel, card::Path{card::kDfESign, key.certificate_file});
  if (content) return without_padding(*content);
  if (content.error().kind == ErrorKind::not_found) return Bytes{};
  return fail(std::move(content).error());
}

/// The public key of the key file, as the card says over the issuer's session.
Result<Bytes> public_key_on_card(card::Channel& channel, const card::KeyProfile& key) {
  TRY(card::select(channel, card::Path{card::kDfESign, key.key_file}));
  card::CardPublicKey found;
  found.type = key.type;
  if (key.type->family == card::KeyFamily::ec) {
    const Bytes answer = TRY(channel.run(card::get_data(kObjectPoint, card::kShortResponse), "read the public key"));
    TlvCursor cursor(answer);
    found.point = to_bytes(TRY(cursor.expect(0x86)).value);
  } else {
    found.modulus = TRY(channel.run(card::get_data(kObjectModulus, key.type->octets() + 1), "read the public key"));
    found.exponent = TRY(channel.run(card::get_data(kObjectExponent, card::kShortResponse), "read the public key"));
  }
  return found.subject_public_key_info();
}

constexpr auto kReplacements = std::to_array<ReplacementRow>({
    {ReplacementReason::lost, "lost", true, identity::RevocationReason::key_compromise},
    {ReplacementReason::stolen, "stolen", true, identity::RevocationReason::key_compromise},
    {ReplacementReason::damaged, "damaged", false, identity::RevocationReason::superseded},
    {ReplacementReason::expiring, "expiring", false, identity::RevocationReason::superseded},
    {ReplacementReason::name_changed, "name-changed", false, identity::RevocationReason::affiliation_changed},
});

/// Ends the card another one has taken the place of, as far as its state lets it.
Result<std::optional<identity::Card>> retire(DeskWork& work, identity::CardId id) {
  identity::Registry& registry = work.centre.registry();
  const identity::Card old = TRY(registry.card(id));
  if (identity::row_of(old.state).final) return std::optional<identity::Card>{};
  // Only a card that was in use can be `replaced`; one that never arrived is revoked.
  const bool in_use = old.state == CardState::active || old.state == CardState::suspended;
  return std::optional<identity::Card>(TRY(registry.change_card_state(
      id, in_use ? CardState::replaced : CardState::revoked, work.cause, identity::RevocationReason::superseded)));
}

}  // namespace

namespace {

/// The registry's state does not change by itself when a card's time is over.
Status require_in_time(const identity::Card& card, Time now) {
  if (!card.valid_until || now < *card.valid_until) return {};
  return fail(ErrorKind::not_permitted, "the card has expired", "another card: karta card replace");
}

}  // namespace

Status require_active(const identity::Card& card, Time now) {
  if (card.state == CardState::active) return require_in_time(card, now);
  const bool waiting = card.state == CardState::produced || card.state == CardState::shipped;
  return fail(ErrorKind::not_permitted, "the card is " + std::string(identity::row_of(card.state).name),
              waiting ? "activate it first" : "only an active card is worked on");
}

// ---- activate ------------------------------------------------------------------------------------------------------

Result<Activation> activate_card(DeskWork& work, const AdministeredCard& card) {
  identity::Registry& registry = work.centre.registry();
  Activation done;
  done.card = TRY(registry.card(card.record.id));
  done.already = done.card.state == CardState::active;
  if (done.card.state == CardState::suspended) {
    return fail(ErrorKind::not_permitted, "the card is suspended", "an operator resumes it: karta card resume");
  }
  if (!done.already) {
    TRY(require_in_time(done.card, work.clock.now()));
    done.card = TRY(registry.change_card_state(card.record.id, CardState::active, work.cause));
  }
  // Also where an earlier activation stopped between the two.
  if (done.card.replaces) done.replaced = TRY(retire(work, *done.card.replaces));
  return done;
}

// ---- renew ---------------------------------------------------------------------------------------------------------

std::string_view name_of(RenewedKey::Outcome outcome) {
  switch (outcome) {
    case RenewedKey::Outcome::kept:
      return "kept";
    case RenewedKey::Outcome::completed:
      return "completed";
    case RenewedKey::Outcome::renewed:
      break;
  }
  return "renewed";
}

namespace {

/// A card's certificates of one key, as the registry has them.
struct Known {
  identity::CardCertificate row;
  crypto::Certificate certificate;
};

Result<std::vector<Known>> valid_certificates(DeskWork& work, const identity::Card& card, card::KeyRole role) {
  identity::Registry& registry = work.centre.registry();
  const identity::Purpose purpose = purpose_of(work, card, "renew certificates");
  std::vector<Known> known;
  for (identity::CardCertificate& row : TRY(registry.certificates_of(card.id, purpose))) {
    if (identity::name_of(row.kind) != to_string(role)) continue;
    if (TRY(registry.certificate_status(row.issuer, row.serial)).revoked_at) continue;
    auto certificate = TRY(crypto::Certificate::from_der(row.der));
    known.push_back({std::move(row), std::move(certificate)});
  }
  return known;
}

/// Whether a certificate may stay on the card.
struct Wanted {
  const crypto::Name& subject;
  const Bytes& public_key;
  Time at_least_until, not_made_before;

  bool fits(const crypto::Certificate& certificate) const {
    return certificate.not_after() >= at_least_until && certificate.not_before() >= not_made_before &&
           equal(certificate.spki(), public_key) && names_the_same(certificate.subject(), subject);
  }
};

}  // namespace

Result<std::vector<RenewedKey>> renew_certificates(DeskWork& work, AdministeredCard& card, crypto::Signer& ca,
                                                   const RenewalRequest& request) {
  TRY(require_active(card.record, work.clock.now()));
  identity::Registry& registry = work.centre.registry();
  const auto holder =
      TRY(registry.read_citizen(card.record.citizen, purpose_of(work, card.record, "renew certificates")));
  TRY(check_certifiable(work.centre, card.profile, holder.citizen));
  const Time now = work.clock.now();
  // Whoever wants all renewed and was interrupted does not want twice as many.
  const Time not_made_before = request.all ? now - kJustMade : Time::min();
  std::vector<RenewedKey> done;
  std::string changed;
  for (const card::KeyProfile& key : card.profile.keys) {
    const Bytes present = TRY(certificate_on_card(*card.channel, key));
    const Bytes spki = TRY(public_key_on_card(*card.channel, key));
    const auto profile = TRY(work.centre.certificate_profile(key.certificate_profile));
    const crypto::Name subject = TRY(subject_of(holder.citizen, work.centre.config().country, profile));
    const Wanted wanted{subject, spki, now + request.within, not_made_before};
    const std::vector<Known> known = TRY(valid_certificates(work, card.record, key.role));
    const Known* best = nullptr;
    for (const Known& one : known) {
      if (!wanted.fits(one.certificate)) continue;
      if (best == nullptr || best->certificate.not_before() <= one.certificate.not_before()) best = &one;
    }
    RenewedKey result{key.role, RenewedKey::Outcome::renewed,
                      best != nullptr ? best->certificate
                                      : TRY(certify_key(work.centre, ca, key, spki, holder.citizen, card.record,
                                                        work.clock, work.random))};
    if (best == nullptr) {
      TRY(register_certificate(work.centre, card.record.id, to_string(key.role), result.certificate, work.cause));
    } else {
      result.outcome = present == best->certificate.der() ? RenewedKey::Outcome::kept : RenewedKey::Outcome::completed;
    }
    if (result.outcome != RenewedKey::Outcome::kept) {
      TRY(replace_certificate(card, key.role, result.certificate.der()));
      changed += (changed.empty() ? "" : " ") + std::string(to_string(key.role));
    }
    // On the card it is the only one now.
    for (const Known& one : known) {
      if (one.certificate.der() == result.certificate.der()) continue;
      TRY(registry.revoke_certificate(one.row.issuer, one.row.serial, identity::RevocationReason::superseded,
                                      work.cause));
    }
    done.push_back(std::move(result));
  }
  if (!changed.empty()) TRY(registry.record_deed(card.record.id, "certificates-renewed", changed, work.cause));
  return done;
}

// ---- PIN -----------------------------------------------------------------------------------------------------------

Result<fs::path> reset_pin(DeskWork& work, AdministeredCard& card, card::PinKind kind) {
  TRY(require_active(card.record, work.clock.now()));
  const std::string name(card::name_of(kind));
  const card::PinProfile* const pin = card.profile.pin(kind);
  if (pin == nullptr) return fail(ErrorKind::not_found, "cards of this profile have no " + name);
  if (!pin->issuer_reset) {
    return fail(ErrorKind::not_permitted, name + " of this card is unblocked with its PUK alone",
                "where the PUK is lost too, another card: karta card replace");
  }
  identity::Registry& registry = work.centre.registry();
  const auto holder = TRY(registry.read_citizen(card.record.citizen, purpose_of(work, card.record, "set a new PIN")));

  // The letter goes first: a PIN nobody knows locks the holder out, a letter of a PIN that was not set is waste paper.
  const std::string until =
      card.record.valid_until ? format_time(*card.record.valid_until).substr(0, 10) : std::string("-");
  const std::string serial = to_hex_upper(card.channel->greeting().serial);
  const SecretBytes value = work.random.digits(pin->transport_digits);
  const SecretBytes letter =
      compose_pin_letter({work.centre.config().name, full_name(holder.citizen), serial, until}, kind, value);
  const fs::path path = work.centre.config().letters / (serial + "-" + name + ".txt");
  TRY(replace_file(path, letter.expose_secret(), 0600));

  const Status set = card::reset_transport_pin(*card.channel, *pin, value);
  if (!set) {
    if (set.error().kind == ErrorKind::not_permitted) {
      std::error_code ignored;
      fs::remove(path, ignored);  // the card refused for good
    }
    return fail(set.error());
  }
  TRY(registry.record_deed(card.record.id, "pin-reset", name, work.cause));
  return path;
}

// ---- applications --------------------------------------------------------------------------------------------------

namespace {

/// What is known of earlier loads of one domain: the newest event about it.
struct EarlierLoad {
  bool loading = false;  ///< begun, and not known to have ended
  std::string offer;     ///< hexadecimal
  Bytes receipt;
};

/// Events tell it as "AID OFFER" and "AID OFFER RECEIPT", in hexadecimal.
Result<std::optional<EarlierLoad>> earlier_load(identity::Registry& registry, const identity::Card& card,
                                                const std::string& aid) {
  std::optional<std::int64_t> before;
  for (;;) {
    const auto events = TRY(registry.events_of(card.citizen, identity::kPageLimit, before));
    for (const identity::Event& event : events) {
      before = event.number;
      const bool loaded = event.kind == kLoadedEvent;
      if (event.card != card.id || (!loaded && event.kind != kLoadingEvent) || !event.to.starts_with(aid + " ")) {
        continue;
      }
      EarlierLoad load;
      load.loading = !loaded;
      const std::string rest = event.to.substr(aid.size() + 1);
      load.offer = rest.substr(0, rest.find(' '));
      if (loaded) load.receipt = TRY(from_hex(rest.substr(std::min(rest.size(), load.offer.size() + 1))));
      return std::optional<EarlierLoad>(std::move(load));
    }
    if (events.size() < identity::kPageLimit) return std::optional<EarlierLoad>{};
  }
}

}  // namespace

Result<LoadedApplication> load_application(DeskWork& work, AdministeredCard& card, ByteView aid, ByteView offer) {
  TRY(require_in_order(card.record));
  TRY(require_in_time(card.record, work.clock.now()));
  const auto& domains = card.profile.domains;
  if (std::none_of(domains.begin(), domains.end(), [&](const auto& domain) { return equal(domain.aid, aid); })) {
    return fail(ErrorKind::not_permitted,
                "card profile \"" + card.profile.name + "\" has no [[domain]] with the AID " + to_hex_upper(aid));
  }
  identity::Registry& registry = work.centre.registry();
  const std::string name = to_hex_upper(aid);
  Bytes digest = crypto::digest(crypto::Hash::sha256, offer);
  digest.resize(kOfferDigest);
  const std::string mark = to_hex(digest);

  TRY(card::select_card_manager(*card.channel));
  const auto present = TRY(card::list_domains(*card.channel));
  const auto domain =
      std::find_if(present.begin(), present.end(), [&](const auto& one) { return equal(one.aid, aid); });
  if (domain != present.end() && (domain->state & kDomainPersonalised) == kDomainPersonalised) {
    const auto earlier = TRY(earlier_load(registry, card.record, name));
    if (earlier && !earlier->loading && earlier->offer == mark) return LoadedApplication{earlier->receipt, true};
    if (!earlier || !earlier->loading) {
      return fail(ErrorKind::already_exists, "the domain " + name + " has its keys on this card already",
                  "the department changes them itself, or deletes what it has there");
    }
    // Nobody ever had the receipt of that load, so nobody has used the domain.
    TRY(card::delete_domain(*card.channel, aid));
  }
  TRY(registry.record_deed(card.record.id, kLoadingEvent, name + " " + mark, work.cause));
  LoadedApplication done;
  done.receipt = TRY(load_domain(card, aid, offer));
  TRY(registry.record_deed(card.record.id, kLoadedEvent, name + " " + mark + " " + to_hex(done.receipt), work.cause));
  return done;
}

// ---- replace -------------------------------------------------------------------------------------------------------

std::span<const ReplacementRow> replacement_reasons() { return kReplacements; }

Result<ReplacementRow> find_replacement_reason(std::string_view name) {
  std::string names;
  for (const ReplacementRow& row : kReplacements) {
    if (row.name == name) return row;
    names += (names.empty() ? "" : ", ") + std::string(row.name);
  }
  return fail(ErrorKind::usage, "\"" + std::string(name) + "\" is no reason to replace a card", "one of " + names);
}

Result<Replacement> replace_card(DeskWork& work, identity::CardId id, const ReplacementRow& reason,
                                 std::string_view profile) {
  identity::Registry& registry = work.centre.registry();
  Replacement done;
  done.old = TRY(registry.card(id));
  const std::string kind(profile.empty() ? std::string_view(done.old.profile) : profile);
  TRY(work.centre.card_profile(kind));
  if (done.old.state == CardState::ordered) {
    return fail(ErrorKind::not_permitted, "the card is not made yet", "it can still be made: karta card issue");
  }
  // Lost means lost now, whatever becomes of the order.
  if (reason.at_once && !identity::row_of(done.old.state).final) {
    done.old = TRY(registry.change_card_state(id, CardState::revoked, work.cause, reason.revocation));
  }
  identity::CardOrder order;
  order.citizen = done.old.citizen;
  order.profile = kind;
  order.replaces = id;
  auto ordered = registry.order_card(order, work.cause);
  if (ordered) {
    done.ordered = std::move(*ordered);
    return done;
  }
  if (ordered.error().kind != ErrorKind::already_exists) return fail(std::move(ordered).error());
  // Here before, at another counter, by another program of this registry: the card is the same.
  const auto cards = TRY(registry.cards_of(done.old.citizen));
  for (const identity::Card& card : cards) {
    if (card.replaces != id || identity::row_of(card.state).final) continue;
    done.ordered = card;
    done.already = true;
    return done;
  }
  return fail(ErrorKind::busy, "the card's successor is being ordered elsewhere", "try again in a moment");
}

}  // namespace karta::issuing
