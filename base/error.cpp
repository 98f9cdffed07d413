#include "base/error.h"

#include <array>

namespace karta {
namespace {

// sysexits.h: 64 usage, 65 data, 66 no input, 69 unavailable, 70 software, 73 cannot create, 74 I/O, 75 try again,
// 77 no permission, 78 configuration.
constexpr auto kRows = std::to_array<ErrorKindRow>({
    {ErrorKind::usage, "usage", 64, "add --help to see how it is called"},
    {ErrorKind::malformed, "malformed", 65, ""},
    {ErrorKind::not_found, "not-found", 66, ""},
    {ErrorKind::already_exists, "already-exists", 73, "choose another name, or move the old one away"},
    {ErrorKind::not_permitted, "not-permitted", 77, ""},
    {ErrorKind::io, "io", 74, ""},
    {ErrorKind::configuration, "configuration", 78, ""},
    {ErrorKind::no_pcscd, "no-pcscd", 69, "start it: systemctl start pcscd.socket (or, by hand, pcscd --foreground)"},
    {ErrorKind::no_reader, "no-reader", 69, "attach a card reader; `karta reader list` shows what pcscd sees"},
    {ErrorKind::no_card, "no-card", 69, "put the card into the reader"},
    {ErrorKind::card_removed, "card-removed", 69, "put the card back and try again"},
    {ErrorKind::card_busy, "card-busy", 75, "close the other program that uses the card, or wait"},
    {ErrorKind::card_unresponsive, "card-unresponsive", 69, "take the card out, clean its contacts, put it back"},
    {ErrorKind::card_refused, "card-refused", 69, ""},
    {ErrorKind::card_unknown, "card-unknown", 69, "`karta card info` shows what the card says of itself"},
    {ErrorKind::card_insecure, "card-insecure", 69,
     "take the card out, put it back and try again; if it happens again, distrust this card or this reader"},
    {ErrorKind::wrong_pin, "wrong-pin", 77, "check the PIN before the next try: tries are counted by the card"},
    {ErrorKind::pin_blocked, "pin-blocked", 77, "unblock it with the PUK from the letter: karta card unblock"},
    {ErrorKind::pin_rejected, "pin-rejected", 65, "a PIN is 6 to 8 digits"},
    {ErrorKind::transport_pin, "transport-pin", 77,
     "change the 5-digit transport PIN from the letter into your own first: karta card change-pin"},
    {ErrorKind::cancelled, "cancelled", 75, ""},
    {ErrorKind::untrusted, "untrusted", 77, ""},
    {ErrorKind::invalid_signature, "invalid-signature", 65, ""},
    {ErrorKind::unsupported, "unsupported", 65, ""},
    {ErrorKind::limit, "limit", 65, ""},
    {ErrorKind::busy, "busy", 75, "try again in a moment"},
    {ErrorKind::internal, "internal", 70, "this is a fault of karta: please report it with the command you ran"},
});

constexpr bool in_order() {
  for (std::size_t i = 0; i < kRows.size(); ++i) {
    if (static_cast<std::size_t>(kRows[i].kind) != i) return false;
  }
  return kRows.size() == static_cast<std::size_t>(ErrorKind::internal) + 1;
}
static_assert(in_order(), "one row a kind, in the order of the enum");

}  // namespace

const ErrorKindRow& row_of(ErrorKind kind) { return kRows[static_cast<std::size_t>(kind)]; }

}  // namespace karta
