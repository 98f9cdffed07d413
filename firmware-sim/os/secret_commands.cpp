// Reference data: verifying, changing, unblocking; and random challenges.
#include "firmware-sim/os/commands.h"

namespace karta::os {
namespace {

// Which reference (P2) means which record where. `application` is the file identifier of the named DF in which the
// reference counts, 3F00 for the card as a whole; the first row that fits is taken.
struct ReferenceRow {
  u16 application;
  u8 first;
  u8 last;
  u8 index;
};
constexpr ReferenceRow kReferences[] = {
    {.application = kMasterFileId, .first = 1, .last = kPinCount, .index = 0},
};

bool digits(ByteView value) {
  for (const u8 c : value) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

// What CHANGE REFERENCE DATA and RESET RETRY COUNTER have in common: which record, and a new value behind what is to be
// compared. A new value the policy does not allow is refused before anything is looked at, and costs no try.
Sw read_replacement(System& card, const Command& command, u8& index) {
  if (command.p1 != 0) return Sw::incorrect_p1_p2;
  KARTA_OS_TRY(reference_index(card, command.p2, index));
  if (command.data.size() != 2 * kPinBytes) return Sw::wrong_length;
  Secret secret;
  KARTA_OS_TRY(card.secrets.load(index, secret));
  const bool holder = card.life == CardLife::personalised || secret.is_transport();
  return valid_pin(command.data.last(kPinBytes), holder) ? Sw::ok : Sw::incorrect_data;
}

}  // namespace

bool valid_pin(ByteView padded, bool holder) {
  std::size_t n = 0;
  while (n < padded.size() && padded[n] != 0xFF) ++n;
  for (const u8 c : padded.subspan(n)) {
    if (c != 0xFF) return false;
  }
  return holder ? n >= 6 && n <= 8 && digits(padded.first(n)) : n >= 4 && n <= 8;
}

Sw reference_index(const System&, u8 reference, u8& index) {
  for (const ReferenceRow& row : kReferences) {
    if (reference < row.first || reference > row.last) continue;
    index = static_cast<u8>(row.index + reference - row.first);
    return Sw::ok;
  }
  return Sw::incorrect_p1_p2;
}

// 7816-4 section 11.6.6, VERIFY. "If the command data field is absent, the command is used either to retrieve the
// number X of further allowed retries (SW1-SW2 set to 63CX) or to check whether the verification is not required
// (9000)."
Sw verify(System& card, const Command& command, Writer&) {
  if (command.p1 != 0) return Sw::incorrect_p1_p2;
  u8 index = 0;
  KARTA_OS_TRY(reference_index(card, command.p2, index));
  if (command.data.empty()) {
    Secret secret;
    KARTA_OS_TRY(card.secrets.load(index, secret));
    if (!secret.is_set()) return Sw::referenced_data_not_found;
    if (card.security.verified(command.p2)) return Sw::ok;
    return secret.tries == 0 ? Sw::method_blocked : tries_left(secret.tries);
  }
  if (command.data.size() != kPinBytes) return Sw::wrong_length;  // a wrong length costs no try
  card.security.revoke(command.p2);
  KARTA_OS_TRY(card.secrets.verify(index, command.data));
  card.security.grant(command.p2);
  return Sw::ok;
}

// 7816-4 section 11.6.7, CHANGE REFERENCE DATA, P1 = 00: the old value, then the new.
Sw change_reference_data(System& card, const Command& command, Writer&) {
  u8 index = 0;
  KARTA_OS_TRY(read_replacement(card, command, index));
  const Sw sw = card.secrets.change(index, command.data.first(kPinBytes), command.data.last(kPinBytes));
  if (sw != Sw::ok) card.security.revoke(command.p2);
  return sw;
}

// 7816-4 section 11.6.9, RESET RETRY COUNTER, P1 = 00: the unblocking code, then the new value.
// It grants nothing: the new value must still be verified.
Sw reset_retry_counter(System& card, const Command& command, Writer&) {
  u8 index = 0;
  KARTA_OS_TRY(read_replacement(card, command, index));
  card.security.revoke(command.p2);
  return card.secrets.unblock(index, command.data.first(kPinBytes), command.data.last(kPinBytes));
}

// MyEID's DEAUTHENTICATE `00 2E 00 00`: forgets all that was verified, and the session object with it; with a reference
// in P2, that reference only.
Sw logout(System& card, const Command& command, Writer&) {
  if (command.p1 != 0 || !command.data.empty()) return Sw::incorrect_p1_p2;
  if (command.p2 == 0) {
    card.security.clear();
    card.files.drop_session_object();
    return Sw::ok;
  }
  u8 index = 0;
  KARTA_OS_TRY(reference_index(card, command.p2, index));
  card.security.revoke(command.p2);
  return Sw::ok;
}

// 7816-4 section 11.6.3, GET CHALLENGE.
Sw get_challenge(System& card, const Command& command, Writer& reply) {
  if (command.p1_p2() != 0) return Sw::incorrect_p1_p2;
  if (!command.data.empty() || command.ne == 0) return Sw::wrong_length;
  const ByteSpan challenge = reply.claim(command.ne < 256 ? command.ne : 256);
  return card.hal.random(challenge) == HalStatus::ok ? Sw::ok : Sw::no_diagnosis;
}

}  // namespace karta::os
