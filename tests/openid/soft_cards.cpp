#include "tests/openid/soft_cards.h"

#include <algorithm>

#include "issuing/certification.h"

namespace karta::tests {
namespace {

const identity::Cause kCause{"test:soft-cards", "a card without a chip"};
constexpr std::uint32_t kFirstSnils = 990'100'000;  // numbers that are given to nobody

Result<identity::Citizen> made_up(std::uint32_t number, const Clock& clock) {
  identity::Citizen out;
  out.snils = identity::Snils::from_number(kFirstSnils + number);
  out.family = "Образцов";
  out.given = "Пример";
  out.patronymic = "Тестович";
  out.birth_date = TRY(identity::parse_date("1985-03-14"));
  out.sex = identity::Sex::male;
  out.region = "99";
  const auto today = std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(clock.now()));
  if (!identity::complete(out, today).empty()) return fail(ErrorKind::internal, "the made-up citizen is not whole");
  return out;
}

}  // namespace

Result<SoftCard> make_soft_card(issuing::Centre& centre, crypto::Signer& ca, std::uint32_t number, const Clock& clock,
                                RandomSource& random) {
  identity::Registry& registry = centre.registry();
  const card::CardProfile profile = TRY(centre.card_profile("citizen"));
  const auto key_profile = std::find_if(profile.keys.begin(), profile.keys.end(), [](const card::KeyProfile& one) {
    return one.role == card::KeyRole::authentication;
  });
  if (key_profile == profile.keys.end()) return fail(ErrorKind::configuration, "the card profile has no AUT key");

  const identity::Citizen holder = TRY(made_up(number, clock));
  identity::CardOrder order;
  order.citizen = TRY(registry.add_citizen(holder, kCause));
  order.profile = "citizen";
  identity::Card card = TRY(registry.order_card(order, kCause));
  auto key = TRY(crypto::PrivateKey::generate(crypto::KeyType::p256));
  auto certificate =
      TRY(issuing::certify_key(centre, ca, *key_profile, key.public_key().spki(), holder, card, clock, random));
  TRY(issuing::register_certificate(centre, card.id, "AUT", certificate, kCause));
  Bytes serial(10);
  random.fill(serial);
  TRY(registry.produce_card(card.id, to_hex(serial), certificate.not_after(), kCause));
  TRY(registry.change_card_state(card.id, identity::CardState::shipped, kCause));
  card = TRY(registry.change_card_state(card.id, identity::CardState::active, kCause));
  return SoftCard{std::move(card), holder, std::move(key), std::move(certificate)};
}

}  // namespace karta::tests
