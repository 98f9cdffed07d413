// PINs of the e-signature application: typed here or at the reader's pad, changed, unblocked, forgotten.
#include "card/card_state.h"
#include "card/esign_state.h"
#include "card/pin_pad.h"

namespace karta::card {
namespace {

Status require_holder_pin(PinKind kind) {
  if (kind == PinKind::pin1 || kind == PinKind::pin2) return {};
  return fail(ErrorKind::usage, "the " + std::string(name_of(kind)) + " is not a PIN of the e-signature application");
}

std::string tries_text(unsigned tries) {
  return std::to_string(tries) + (tries == 1 ? " try is left" : " tries are left");
}

// What a PIN command's status word means to the holder. `subject`: what was presented.
Status pin_result(StatusWord status, PinKind presented, std::string_view deed) {
  const std::string name(name_of(presented));
  if (status.ok()) return {};
  if (const auto tries = status.remaining_tries()) {
    if (*tries == 0) return fail(ErrorKind::pin_blocked, "wrong " + name + ", and it is blocked now");
    return fail(ErrorKind::wrong_pin, "wrong " + name + ", " + tries_text(*tries));
  }
  if (status == kSwBlocked) {
    return fail(ErrorKind::pin_blocked, "the " + name + " is blocked",
                presented == PinKind::puk ? "the card cannot be unblocked any more: ask the issuer for a new one" : "");
  }
  // 6984 reference data not usable: the issuer's transport PIN is still in place.
  if (status.value == 0x6984) return fail(ErrorKind::transport_pin, "the " + name + " still is the transport PIN");
  return fail(error_of(status, deed));
}

// A status word in plain has no checksum: noise may say that a PIN was unblocked, and its holder would find out
// elsewhere. So the card is asked: the PIN is neither blocked nor the letter's any more. Whether its tries are all
// there cannot be told, since no card says how many that are.
Status confirm_unblocked(Channel& channel, PinKind kind) {
  bool shut = false;
  const auto state = read_card_state(channel);
  if (const PinState* const pin = state ? state->pin(reference_of(kind)) : nullptr) {
    shut = pin->tries_left == 0 || pin->transport;
  } else {
    // A card of somebody else's.
    const ResponseApdu answer = TRY(channel.transmit(verify_status(reference_of(kind))));
    const StatusWord status = answer.status;
    const auto tries = status.remaining_tries();
    shut = status == kSwBlocked || (tries && *tries == 0);
    if (!shut && !status.ok() && !tries) return fail(error_of(status, "ask whether the PIN is unblocked"));
  }
  if (!shut) return {};
  const std::string name(name_of(kind));
  return fail(ErrorKind::card_unresponsive, "the card answered that " + name + " was unblocked, and it was not",
              "take the card out, put it in again and unblock " + name + " once more: a right PUK costs no try");
}

// The pad takes what a card karta did not issue may have as a PIN, the card its own rules.
constexpr PinPadLimits kPadDigits{4, 8};

// The status word of a pad's exchange.
Result<StatusWord> pad_status(CardConnection& connection, CardConnection::PadEntry entry, ByteView structure) {
  const Bytes answer = TRY(connection.enter_pin(entry, structure));
  if (answer.size() < 2) return fail(ErrorKind::card_unresponsive, "the reader's PIN pad gave no answer");
  const StatusWord status{load_be16(ByteView(answer).last(2))};
  if (auto error = pad_error(status)) return fail(std::move(*error));
  return status;
}

}  // namespace

// PIN references are the application's. Where another program has left another one selected, the card knows none by
// that number there, and no try was spent: select ours and ask again. So a SELECT is paid for only when it is due.
Result<ResponseApdu> ESignApplication::State::transmit_pin(const CommandApdu& command) {
  ResponseApdu response = TRY(channel.transmit(command));
  if (response.status != kSwReferenceNotFound || in_directory) return response;
  TRY(select_directory());
  return channel.transmit(command);
}

Status ESignApplication::State::present(PinKind kind, const SecretBytes& pin) {
  TRY(require_holder_pin(kind));
  TRY(check_presented_pin(kind, pin));
  const ResponseApdu response = TRY(transmit_pin(verify(reference_of(kind), pin_field(pin).expose_secret())));
  if (response.status.ok()) shown.insert(kind);
  return pin_result(response.status, kind, "verify the PIN");
}

// Not every card of the profile can forget one PIN alone.
Status ESignApplication::State::log_out(PinKind kind) {
  if (auto done = channel.run(card::log_out(reference_of(kind)), "log out")) {
    shown.erase(kind);
    return {};
  }
  return log_out_all();
}

Status ESignApplication::State::log_out_all() {
  TRY(channel.run(card::log_out(), "log out"));
  shown.clear();
  return {};
}

// A card that is gone or has stopped answering has nothing to forget, or nobody to tell.
void ESignApplication::State::forget_pins() {
  if (shown.empty()) return;
  const auto guard = enter_session();
  if (!guard) return;
  for (const PinKind kind : std::set<PinKind>(shown)) {
    if (shown.contains(kind) && !log_out(kind)) return;
  }
}

Result<PinStatus> ESignApplication::pin_status(PinKind kind) {
  TRY(require_holder_pin(kind));
  const Transaction guard = TRY(state_->enter_session());
  const ResponseApdu response = TRY(state_->transmit_pin(verify_status(reference_of(kind))));
  PinStatus status;
  if (response.status.ok()) {
    status.verified = true;
  } else if (const auto tries = response.status.remaining_tries()) {
    status.tries_left = *tries;
    status.blocked = *tries == 0;
  } else if (response.status == kSwBlocked) {
    status.tries_left = 0;
    status.blocked = true;
  } else if (response.status.value != 0x6984) {
    return fail(error_of(response.status, "ask for the PIN's state"));
  }
  return status;
}

Status ESignApplication::verify_pin(PinKind kind, const SecretBytes& pin) {
  const Transaction guard = TRY(state_->enter_session());
  return state_->present(kind, pin);
}

Status ESignApplication::change_pin(PinKind kind, const SecretBytes& old_pin, const SecretBytes& new_pin) {
  TRY(require_holder_pin(kind));
  TRY(check_presented_pin(kind, old_pin));
  TRY(check_new_pin(kind, new_pin));
  if (old_pin.equals(new_pin.expose_secret())) {
    return fail(ErrorKind::pin_rejected, "the new " + std::string(name_of(kind)) + " is the old one");
  }
  const Transaction guard = TRY(state_->enter());
  const ResponseApdu response = TRY(state_->transmit_pin(change_reference_data(
      reference_of(kind), pin_field(old_pin).expose_secret(), pin_field(new_pin).expose_secret())));
  if (response.status == kSwWrongData) {
    return fail(ErrorKind::pin_rejected, "the card refuses this new " + std::string(name_of(kind)));
  }
  // ISO 7816-4 §11.6.7 leaves open whether the new PIN counts as verified.
  if (response.status.ok()) state_->shown.insert(kind);
  return pin_result(response.status, kind, "change the PIN");
}

Status ESignApplication::unblock_pin(PinKind kind, const SecretBytes& puk, const SecretBytes& new_pin) {
  TRY(require_holder_pin(kind));
  TRY(check_presented_pin(PinKind::puk, puk));
  TRY(check_new_pin(kind, new_pin));
  const Transaction guard = TRY(state_->enter());
  // In the identity application RESET RETRY COUNTER means something else: never on the off chance.
  TRY(state_->select_directory());
  const ResponseApdu response = TRY(state_->channel.transmit(
      reset_retry_counter(reference_of(kind), pin_field(puk).expose_secret(), pin_field(new_pin).expose_secret())));
  if (response.status == kSwWrongData) {
    return fail(ErrorKind::pin_rejected, "the card refuses this new " + std::string(name_of(kind)));
  }
  TRY(pin_result(response.status, PinKind::puk, "unblock the PIN"));
  if (state_->channel.secure()) return {};
  return confirm_unblocked(state_->channel, kind);
}

// Before a PIN pad the application is selected: nobody is asked twice for a PIN because another program was there.
Status ESignApplication::verify_pin_by_pad(PinKind kind) {
  TRY(require_holder_pin(kind));
  const Transaction guard = TRY(state_->enter_session());
  TRY(state_->select_directory());
  const StatusWord status = TRY(pad_status(state_->channel.connection(), CardConnection::PadEntry::verify,
                                           verify_structure(reference_of(kind), kPadDigits)));
  if (status.ok()) state_->shown.insert(kind);
  return pin_result(status, kind, "verify the PIN");
}

Status ESignApplication::change_pin_by_pad(PinKind kind) {
  TRY(require_holder_pin(kind));
  const Transaction guard = TRY(state_->enter());
  TRY(state_->select_directory());
  const StatusWord status = TRY(pad_status(state_->channel.connection(), CardConnection::PadEntry::modify,
                                           change_structure(reference_of(kind), kPadDigits)));
  if (status == kSwWrongData) {
    return fail(ErrorKind::pin_rejected, "the card refuses this new " + std::string(name_of(kind)));
  }
  if (status.ok()) state_->shown.insert(kind);
  return pin_result(status, kind, "change the PIN");
}

Status ESignApplication::unblock_pin_by_pad(PinKind kind) {
  TRY(require_holder_pin(kind));
  const Transaction guard = TRY(state_->enter());
  TRY(state_->select_directory());
  const StatusWord status = TRY(pad_status(state_->channel.connection(), CardConnection::PadEntry::modify,
                                           unblock_structure(reference_of(kind), kPadDigits)));
  if (status == kSwWrongData) {
    return fail(ErrorKind::pin_rejected, "the card refuses this new " + std::string(name_of(kind)));
  }
  TRY(pin_result(status, PinKind::puk, "unblock the PIN"));
  return confirm_unblocked(state_->channel, kind);
}

void ESignApplication::leave_pins() { state_->shown.clear(); }

Status ESignApplication::log_out() {
  const Transaction guard = TRY(state_->enter_session());
  return state_->log_out_all();
}

Status ESignApplication::log_out(PinKind kind) {
  TRY(require_holder_pin(kind));
  const Transaction guard = TRY(state_->enter_session());
  return state_->log_out(kind);
}

}  // namespace karta::card
