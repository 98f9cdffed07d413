#include "issuing/letter.h"

#include <gtest/gtest.h>

namespace karta::issuing {
namespace {

TEST(Letter, HoldsWhatTheHolderNeeds) {
  card::CardSecrets secrets;
  secrets.transport_pins[card::PinKind::pin1] = SecretBytes::copy_of("13579");
  secrets.transport_pins[card::PinKind::pin2] = SecretBytes::copy_of("24680");
  secrets.puk = SecretBytes::copy_of("9876543210");
  secrets.can = SecretBytes::copy_of("112233");
  const SecretBytes letter = compose_letter({"Centre", "ОБРАЗЦОВ ПРИМЕР", "00AA", "2031-01-01"}, secrets);
  const std::string_view text = letter.expose_secret_text();
  for (const char* part :
       {"13579", "24680", "9876543210", "112233", "00AA", "ОБРАЗЦОВ", "2031-01-01", "PIN1", "PIN2"}) {
    EXPECT_NE(text.find(part), std::string_view::npos) << part;
  }
}

TEST(Letter, OfANewPinHoldsThatPinAlone) {
  const SecretBytes letter = compose_pin_letter({"Centre", "ОБРАЗЦОВ ПРИМЕР", "00AA", "2031-01-01"},
                                                card::PinKind::pin1, SecretBytes::copy_of("13579"));
  const std::string_view text = letter.expose_secret_text();
  for (const char* part : {"13579", "00AA", "ОБРАЗЦОВ", "2031-01-01", "PIN1"}) {
    EXPECT_NE(text.find(part), std::string_view::npos) << part;
  }
  for (const char* part : {"PIN2", "PUK:", "CAN:"}) EXPECT_EQ(text.find(part), std::string_view::npos) << part;
}

}  // namespace
}  // namespace karta::issuing
