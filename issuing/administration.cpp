#include "issuing/administration.h"

#include <algorithm>

#include "card/file.h"
#include "card/iso7816.h"
#include "card/issuer_channel.h"
#include "card/personalisation_step.h"

namespace karta::issuing {
namespace {

tl::unexpected<Error> unknown_card(const std::string& serial) {
  return fail(ErrorKind::not_found, "the registry has no card with serial " + serial,
              "only the centre that issued a card administers it");
}

}  // namespace

Result<AdministeredCard> administer(Centre& centre, const SecretBytes& card_master, card::Channel& plain,
                                    RandomSource& random) {
  const Bytes info = TRY(card::ESignApplication::open(plain)).info().serial;
  const std::string serial = to_hex_upper(info);
  auto record = centre.registry().card_by_serial(serial);
  if (!record)
    return record.error().kind == ErrorKind::not_found ? unknown_card(serial) : fail(std::move(record).error());
  card::CardProfile profile = TRY(centre.card_profile(record->profile));
  card::IssuerChannelRequest request;
  request.profile = &profile.card_manager;
  request.master = &card_master;
  request.serial = info;
  auto channel = TRY(card::open_issuer_channel(plain, request, random));
  return AdministeredCard{std::move(*record), std::move(profile), std::move(channel)};
}

Status replace_certificate(AdministeredCard& card, card::KeyRole role, ByteView der) {
  const card::KeyProfile* const key = card.profile.key(role);
  if (key == nullptr) {
    return fail(ErrorKind::not_found,
                "cards of profile \"" + card.profile.name + "\" have no key " + std::string(to_string(role)));
  }
  card::Channel& channel = *card.channel;
  const card::Path path{card::kDfESign, key->certificate_file};
  const card::FileControl present = TRY(select(channel, path));
  if (der.size() <= present.size) {
    // What is left of the old one goes: a file ends in zeros.
    Bytes content = to_bytes(der);
    content.resize(present.size, 0x00);
    return card::update_selected(channel, content);
  }
  // Longer than its file: the file is made anew, in its place and under its rules.
  TRY(channel.run(card::select_application(card::kPkcs15Aid, card::SelectReturn::nothing),
                  "select the e-signature application"));
  TRY(channel.run(card::delete_file(key->certificate_file), "delete the old certificate"));
  card::FileToCreate file;
  file.id = key->certificate_file;
  file.size = der.size() + card.profile.certificate_slack;
  file.rules = present.access;
  TRY(channel.run(card::create(file), "make room for the certificate"));
  return card::update_selected(channel, der);
}

Result<Bytes> load_domain(AdministeredCard& card, ByteView aid, ByteView offer) {
  const auto& domains = card.profile.domains;
  if (std::none_of(domains.begin(), domains.end(), [&](const auto& domain) { return equal(domain.aid, aid); })) {
    return fail(ErrorKind::not_permitted,
                "card profile \"" + card.profile.name + "\" has no [[domain]] with the AID " + to_hex_upper(aid));
  }
  TRY(card::select_card_manager(*card.channel));
  const auto present = TRY(card::list_domains(*card.channel));
  if (std::none_of(present.begin(), present.end(), [&](const auto& entry) { return equal(entry.aid, aid); })) {
    TRY(card::install_domain(*card.channel, aid));
  }
  return card::load_domain_keys(*card.channel, aid, offer);
}

}  // namespace karta::issuing
