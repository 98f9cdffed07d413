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
// Over contactless the last try of PIN 1 needs the CAN first: somebody who never held the card must not take it
// (behaviour 11).
Sw require_resumed(System& card, u8 index) {
  if (index != kPin1 || card.interface == Interface::contact || !card.issued()) return Sw::ok;
  Secret secret;
  KARTA_OS_TRY(card.secrets.load(index, secret));
  const bool suspended = secret.is_set() && secret.tries == 1 && secret.max_tries > 1;
  return suspended && card.channel_password() != Password::can ? Sw::conditions_not_satisfied : Sw::ok;
}

// TR-03110-3 section 2.4.2: who may manage the PIN beside its holder.
bool manages_pins(const System& card) {
  return card.channel_is(ChannelKind::eac) && card.security.has_right(kRightPinManagement);
}

// TR-03110-3 B.11.8, RESET RETRY COUNTER with P1 = 02 (new value) or 03 (all tries), for what PACE knows as PIN and
// CAN. There is no old value in it: what counts is how the channel was opened.
Sw manage_password(System& card, const Command& command) {
  constexpr u8 kNewValue = 0x02;
  const Password password = static_cast<Password>(command.p2);
  const Password shown = card.channel_password();
  if (password != Password::pin && password != Password::can) return Sw::referenced_data_not_found;
  if (command.p1 == kNewValue) {
    const bool holder = password == Password::pin && shown == Password::pin;
    if (!holder && !manages_pins(card)) return Sw::security_status_not_satisfied;
    u8 padded[kPinBytes] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
    const WipeOnExit wipe_padded(padded);
    if (command.data.size() > kPinBytes) return Sw::wrong_length;
    copy(padded, command.data);
    if (!valid_pin(padded, true)) return Sw::incorrect_data;
    if (password == Password::pin) {
      card.security.revoke(kPin1 + 1);
      return card.secrets.replace(kPin1, padded);
    }
    return command.data.size() == kCanDigits ? card.secrets.replace(kCan, command.data) : Sw::incorrect_data;
  }
  if (!command.data.empty()) return Sw::wrong_length;
  if (password != Password::pin) return Sw::referenced_data_not_found;
  if (shown != Password::puk && !manages_pins(card)) return Sw::security_status_not_satisfied;
  return card.secrets.restore_tries(kPin1);
}

Sw read_replacement(System& card, const Command& command, u8& index) {
  if (command.p1 != 0) return Sw::incorrect_p1_p2;
  KARTA_OS_TRY(reference_index(card, command.p2, index));
  if (command.data.size() != 2 * kPinBytes) return Sw::wrong_length;
  Secret secret;
  KARTA_OS_TRY(card.secrets.load(index, secret));
  const bool holder = card.issued() || secret.is_transport();
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

Sw reference_index(System& card, u8 reference, u8& index) {
  // In the identity application references are TR-03110's, and none of them is sent in plain text.
  if (card.in_identity_application()) return Sw::referenced_data_not_found;
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
  KARTA_OS_TRY(require_resumed(card, index));
  card.security.revoke(command.p2);
  KARTA_OS_TRY(card.secrets.verify(index, command.data));
  card.security.grant(command.p2);
  return Sw::ok;
}

// 7816-4 section 11.6.7, CHANGE REFERENCE DATA, P1 = 00: the old value, then the new.
Sw change_reference_data(System& card, const Command& command, Writer&) {
  u8 index = 0;
  KARTA_OS_TRY(read_replacement(card, command, index));
  KARTA_OS_TRY(require_resumed(card, index));
  const Sw sw = card.secrets.change(index, command.data.first(kPinBytes), command.data.last(kPinBytes));
  if (sw != Sw::ok) card.security.revoke(command.p2);
  return sw;
}

// 7816-4 section 11.6.9, RESET RETRY COUNTER, P1 = 00: the unblocking code, then the new value.
// It grants nothing: the new value must still be verified.
Sw reset_retry_counter(System& card, const Command& command, Writer&) {
  if (command.p1 == 0x02 || command.p1 == 0x03) return manage_password(card, command);
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
  if (card.hal.random(challenge) != HalStatus::ok) return Sw::no_diagnosis;
  if (challenge.size() == kTerminalChallengeBytes && card.channel_is(ChannelKind::pace)) {
    copy(card.terminal.challenge, challenge);
    card.terminal.challenged = true;
  }
  return Sw::ok;
}

// TR-03110-3 B.11.9, ACTIVATE and DEACTIVATE with P1-P2 10 03: PIN 1, for a terminal with the right (behaviour 13).
Sw change_pin_state(System& card, const Command& command, bool active) {
  if (!command.data.empty()) return Sw::wrong_length;
  if (command.p2 != static_cast<u8>(Password::pin)) return Sw::referenced_data_not_found;
  if (!manages_pins(card)) return Sw::security_status_not_satisfied;
  card.security.revoke(kPin1 + 1);
  return card.secrets.set_deactivated(kPin1, !active);
}

}  // namespace karta::os
