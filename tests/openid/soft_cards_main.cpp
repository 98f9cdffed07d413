// soft_cards: puts made-up citizens with active cards into a centre and prints the keys of their cards.
//
//   soft_cards CENTRE FIRST COUNT [STATE] <passphrase     STATE: where their lives have come to, "expired"; else active
//
// Prints an array: citizen, card, serial, snils, name, key, certificate.
// For tests only: the keys are in the clear.
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "tests/openid/soft_cards.h"

namespace {

using namespace karta;

Status make(const std::string& folder, std::uint32_t first, std::uint32_t count, const char* state) {
  const SystemClock clock;
  SystemRandom random;
  std::string passphrase;
  std::getline(std::cin, passphrase);
  auto centre = TRY(issuing::Centre::open(folder, clock, random));
  const auto ca = TRY(centre.unlock_issuing_ca(SecretBytes::copy_of(passphrase)));
  nlohmann::json out = nlohmann::json::array();
  for (std::uint32_t i = 0; i < count; ++i) {
    const tests::SoftCard made = TRY(tests::make_soft_card(centre, *ca, first + i, clock, random));
    if (state != nullptr) {
      const auto to = TRY(identity::parse_card_state(state));
      TRY(centre.registry().change_card_state(made.card.id, to, {"test:soft-cards", "as the test wants it"}));
    }
    const SecretBytes key = made.key.expose_secret_der();
    out.push_back({{"citizen", identity::format_id(made.card.citizen)},
                   {"card", identity::format_id(made.card.id)},
                   {"serial", made.card.serial},
                   {"snils", made.holder.snils.text()},
                   {"name", made.holder.family + " " + made.holder.given + " " + made.holder.patronymic},
                   {"key", to_base64(key.expose_secret())},
                   {"certificate", to_base64(made.certificate.der())}});
  }
  std::cout << out.dump(1) << "\n";
  return {};
}

}  // namespace

int main(int count, char** words) {
  if (count != 4 && count != 5) {
    std::fprintf(stderr, "usage: soft_cards CENTRE FIRST COUNT [STATE] <passphrase\n");
    return 64;
  }
  const auto made = make(words[1], static_cast<std::uint32_t>(std::stoul(words[2])),
                         static_cast<std::uint32_t>(std::stoul(words[3])), count == 5 ? words[4] : nullptr);
  if (made) return 0;
  std::fprintf(stderr, "error: %s\n", made.error().message.c_str());
  return row_of(made.error().kind).exit_code;
}
