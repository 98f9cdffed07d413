#include "issuing/letter.h"

namespace karta::issuing {
namespace {

/// Builds secret text without leaving copies behind in grown-out strings.
class SecretText {
 public:
  explicit SecretText(std::size_t most) { text_.reserve(most); }
  SecretText& operator<<(std::string_view part) {
    KARTA_CHECK(text_.size() + part.size() <= text_.capacity());  // growing would leave the old copy unwiped
    append(text_, as_bytes(part));
    return *this;
  }
  SecretBytes take() { return SecretBytes(std::move(text_)); }

 private:
  Bytes text_;
};

constexpr std::size_t kMostFixedText = 4096;

SecretText begin_letter(const LetterHead& head, std::string_view title) {
  SecretText text(kMostFixedText + head.issuer.size() + head.holder.size() + head.card_serial.size());
  text << head.issuer << "\n\n"
       << title << "\n\n"
       << "Владелец / holder:       " << head.holder << "\n"
       << "Карта / card:            " << head.card_serial << "\n"
       << "Действует до / valid to: " << head.valid_until << "\n\n";
  return text;
}

void add_transport_pin(SecretText& text, card::PinKind kind, const SecretBytes& pin) {
  text << "Транспортный " << card::name_of(kind) << " / transport " << card::name_of(kind) << ": "
       << pin.expose_secret_text() << "\n";
}

}  // namespace

SecretBytes compose_letter(const LetterHead& head, const card::CardSecrets& secrets) {
  SecretText text = begin_letter(head, "КОНВЕРТ С КОДАМИ КАРТЫ / PIN LETTER");
  for (const auto& [kind, pin] : secrets.transport_pins) add_transport_pin(text, kind, pin);
  text << "PUK: " << secrets.puk.expose_secret_text() << "\n"
       << "CAN: " << secrets.can.expose_secret_text() << "\n\n"
       << "Транспортные PIN годятся только для замены на свои (6-8 цифр): karta card change-pin.\n"
       << "PUK снимает блокировку: karta card unblock. Храните письмо отдельно от карты, никому не показывайте.\n\n"
       << "A transport PIN is good for one thing: choosing your own (6 to 8 digits): karta card change-pin.\n"
       << "The PUK unblocks a PIN: karta card unblock. Keep this letter away from the card and show it to nobody.\n";
  return text.take();
}

SecretBytes compose_pin_letter(const LetterHead& head, card::PinKind kind, const SecretBytes& transport_pin) {
  SecretText text = begin_letter(head, "НОВЫЙ ТРАНСПОРТНЫЙ PIN / NEW TRANSPORT PIN");
  add_transport_pin(text, kind, transport_pin);
  text << "\nПрежний PIN больше не действует. Этот годится только для замены на свой (6-8 цифр):\n"
       << "karta card change-pin. PUK и остальные коды прежние. Храните письмо отдельно от карты.\n\n"
       << "The PIN before is gone. This one is good for one thing: choosing your own (6 to 8 digits):\n"
       << "karta card change-pin. PUK and all other codes stay. Keep this letter away from the card.\n";
  return text.take();
}

}  // namespace karta::issuing
