#include "daemon/citizen/card_login.h"

#include "card/card_signer.h"
#include "card/card_state.h"
#include "card/card_type.h"
#include "card/esign.h"
#include "card/pace.h"
#include "crypto/web_eid.h"
#include "crypto/x509/certificate.h"

namespace karta::daemon {
namespace {

using Kind = CardLoginOutcome::Kind;
using State = CardLook::State;

constexpr std::uint8_t kPin1Reference = 0x01;
constexpr std::size_t kTailDigits = 4;

/// The key, its certificate, and what to sign with.
struct AuthenticationKey {
  card::CardKey key;
  Bytes certificate;
  crypto::PublicKey public_key;
  crypto::AlgorithmId algorithm = crypto::AlgorithmId::ecdsa_sha256;
};

Result<AuthenticationKey> find_key(card::ESignApplication& esign) {
  const bool initialised = TRY(esign.initialised());
  if (!initialised) return fail(ErrorKind::not_found, "the card is blank");
  card::CardKey key = TRY(esign.key(card::KeyRole::authentication));
  if (!key.may_sign() || key.pin != card::PinKind::pin1) {
    return fail(ErrorKind::card_unknown, "the authentication key is not a signing key under PIN1");
  }
  for (const card::CardCertificate& one : TRY(esign.certificates())) {
    if (one.authority || one.id != key.id) continue;
    Bytes der = TRY(esign.read_certificate(one));
    const auto certificate = crypto::Certificate::from_der(der);
    if (!certificate) return fail(ErrorKind::card_unknown, "its certificate cannot be read");
    auto public_key = certificate->public_key();
    if (!public_key) return fail(ErrorKind::card_unknown, "its certificate has a key that is not known here");
    const auto algorithm = crypto::web_eid_algorithm(*public_key);
    if (!algorithm) {
      return fail(ErrorKind::unsupported, "a " + public_key->type_name() + " key cannot sign for the web");
    }
    return AuthenticationKey{std::move(key), std::move(der), std::move(*public_key), *algorithm};
  }
  return fail(ErrorKind::not_found, "the authentication key has no certificate");
}

struct PinView {
  bool verified = false, blocked = false, transport = false;
  std::optional<unsigned> tries_left;
};
Result<PinView> pin_view(card::ESignApplication& esign, bool ask_for_transport) {
  const card::PinStatus status = TRY(esign.pin_status(card::PinKind::pin1));
  PinView out{.verified = status.verified, .blocked = status.blocked, .tries_left = status.tries_left};
  if (!ask_for_transport || status.blocked) return out;
  const auto state = card::read_card_state(esign.channel());
  if (state) {
    const card::PinState* const pin = state->pin(kPin1Reference);
    out.transport = pin != nullptr && pin->transport;
  } else if (state.error().kind != ErrorKind::not_found) {
    return fail(state.error());
  }
  return out;
}

bool without_contacts(card::Channel& plain) { return !card::card_type_of(plain.connection().atr()).esign; }

/// What was read of a card, not to be remembered before it has proved to be what the card holds: garbage that was kept
/// would keep the card from working until the program ends.
class Unproven final : public card::ContentCache {
 public:
  explicit Unproven(card::ContentCache& known) : known_(known) {}
  std::optional<Bytes> find(ByteView serial, std::uint16_t counter, std::string_view name) override {
    if (auto known = known_.find(serial, counter, name)) return known;
    for (const Read& one : read_) {
      if (one.name == name && one.counter == counter && equal(one.serial, serial)) return one.content;
    }
    return std::nullopt;
  }
  void keep(ByteView serial, std::uint16_t counter, std::string_view name, ByteView content) override {
    read_.push_back({to_bytes(serial), counter, std::string(name), to_bytes(content)});
  }
  void prove() {
    for (const Read& one : read_) known_.keep(one.serial, one.counter, one.name, one.content);
    read_.clear();
  }

 private:
  struct Read {
    Bytes serial;
    std::uint16_t counter = 0;
    std::string name;
    Bytes content;
  };
  card::ContentCache& known_;
  std::vector<Read> read_;
};

Result<CardLook> look(card::Channel& plain, card::ContentCache& files) {
  CardLook out;
  out.pad = plain.connection().pin_pad().verify;
  if (without_contacts(plain)) {
    // What else speaks PACE with an access number is told from a citizen's card behind it.
    (void)TRY(card::read_card_access(plain));
    out.state = State::needs_can;
    return out;
  }
  auto esign = TRY(card::ESignApplication::open(plain));
  esign.use_cache(files);
  const std::string serial = esign.info().serial_hex();
  out.serial_tail = serial.substr(serial.size() - std::min(serial.size(), kTailDigits));
  (void)TRY(find_key(esign));
  out.label = TRY(esign.token_info())->label;
  const PinView pin = TRY(pin_view(esign, true));
  out.tries_left = pin.tries_left;
  out.state = pin.blocked ? State::pin_blocked : pin.transport ? State::transport_pin : State::ready;
  return out;
}

/// Input of the card's signature command for a digest (CardSigner does the same with a PinSource, which a page is not).
Bytes signature_input(const AuthenticationKey& key, ByteView digest) {
  if (key.public_key.family() == crypto::KeyFamily::ec) return to_bytes(digest);
  return card::digest_info(crypto::row_of(key.algorithm).hash, digest);
}

Result<CardLoginOutcome> log_in(card::Channel& plain, const CardLoginRequest& request, card::ContentCache& files,
                                RandomSource& random, bool& can_was_right) {
  CardLoginOutcome out;
  if (request.pin != nullptr && !card::check_presented_pin(card::PinKind::pin1, *request.pin)) {
    out.kind = Kind::pin_form;
    return out;
  }
  card::SecureMessagingChannel secure(plain);
  card::Channel* channel = &plain;
  if (without_contacts(plain)) {
    if (request.can == nullptr || !card::check_presented_pin(card::PinKind::can, *request.can)) {
      out.kind = Kind::no_can;
      return out;
    }
    const auto opened = card::open_pace(secure, {.password = card::PacePassword::can, .secret = request.can}, random);
    if (!opened) {
      if (opened.error().kind != ErrorKind::wrong_pin) return fail(opened.error());
      out.kind = Kind::wrong_can;
      out.why = opened.error();
      return out;
    }
    can_was_right = true;
    channel = &secure;
  }
  auto esign = TRY(card::ESignApplication::open(*channel));
  esign.use_cache(files);
  const AuthenticationKey key = TRY(find_key(esign));
  // Over the contacts the page has seen the card's state; here nothing was seen before.
  const PinView pin = TRY(pin_view(esign, channel == &secure));
  if (pin.blocked) return fail(ErrorKind::pin_blocked, "the PIN1 is blocked");
  if (pin.transport) return fail(ErrorKind::transport_pin, "the PIN1 still is the transport PIN");
  if (pin.tries_left == 1u && !request.last_try_known) {
    out.kind = Kind::last_try;
    return out;
  }
  const Bytes digest = crypto::web_eid_hash(key.algorithm, request.origin, request.nonce);
  const auto scheme = key.public_key.family() == crypto::KeyFamily::ec ? card::SignatureScheme::ecdsa
                                                                       : card::SignatureScheme::rsa_pkcs1;
  if (request.pin == nullptr) TRY(esign.verify_pin_by_pad(card::PinKind::pin1));
  auto signature = esign.sign(key.key, scheme, signature_input(key, digest), request.pin);
  // The PIN was given for this log-in alone. A card that cannot forget it by itself forgets it with its power. Where it
  // stood before, another program was given it and goes on.
  if (pin.verified) {
    esign.leave_pins();
  } else {
    (void)esign.log_out(card::PinKind::pin1);
  }
  if (!signature) return fail(std::move(signature).error());
  // A card that signs something else is found out here, not by the provider.
  TRY(key.public_key.verify_digest(key.algorithm, digest, *signature));
  out.token = TRY(crypto::write_web_eid_token(key.certificate, key.public_key, key.algorithm, *signature));
  out.kind = Kind::signed_token;
  return out;
}

}  // namespace

std::optional<Bytes> PublicFiles::find(ByteView serial, std::uint16_t counter, std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto found = files_.find({to_bytes(serial), counter, std::string(name)});
  if (found == files_.end()) return std::nullopt;
  return found->second;
}

void PublicFiles::keep(ByteView serial, std::uint16_t counter, std::string_view name, ByteView content) {
  if (content.size() > kMostOctets) return;
  const std::lock_guard lock(mutex_);
  if (files_.size() >= kMostFiles) files_.clear();
  files_.insert_or_assign({to_bytes(serial), counter, std::string(name)}, to_bytes(content));
}

CardLook look_of(const Error& error) {
  CardLook out;
  out.why = error;
  switch (error.kind) {
    case ErrorKind::card_unknown:
    case ErrorKind::not_found:
    case ErrorKind::unsupported:
    case ErrorKind::malformed:
    case ErrorKind::card_refused:
      out.state = State::wrong_card;
      break;
    case ErrorKind::card_busy:
      out.state = State::busy;
      break;
    default:
      out.state = State::unreadable;
      break;
  }
  return out;
}

CardLook look_at_card(card::Channel& plain, card::ContentCache& files) {
  Unproven read(files);
  auto seen = look(plain, read);
  if (seen) read.prove();
  return seen ? std::move(*seen) : look_of(seen.error());
}

CardLoginOutcome outcome_of(Error error) {
  CardLoginOutcome out;
  switch (error.kind) {
    case ErrorKind::wrong_pin:
      out.kind = Kind::wrong_pin;
      break;
    case ErrorKind::pin_rejected:
      out.kind = Kind::pin_form;
      break;
    case ErrorKind::pin_blocked:
      out.kind = Kind::pin_blocked;
      break;
    case ErrorKind::transport_pin:
      out.kind = Kind::transport_pin;
      break;
    case ErrorKind::cancelled:
      out.kind = Kind::pad_cancelled;
      break;
    case ErrorKind::card_removed:
    case ErrorKind::no_card:
    case ErrorKind::no_reader:
    case ErrorKind::no_pcscd:
      out.kind = Kind::card_removed;
      break;
    case ErrorKind::card_busy:
    case ErrorKind::busy:
      out.kind = Kind::card_busy;
      break;
    case ErrorKind::card_unknown:
    case ErrorKind::not_found:
    case ErrorKind::unsupported:
      out.kind = Kind::wrong_card;
      break;
    default:
      out.kind = Kind::failed;
      break;
  }
  out.why = std::move(error);
  return out;
}

CardLoginOutcome log_in_with_card(card::Channel& plain, const CardLoginRequest& request, card::ContentCache& files,
                                  RandomSource& random) {
  bool can_was_right = false;
  Unproven read(files);
  auto done = log_in(plain, request, read, random, can_was_right);
  if (done && done->kind == Kind::signed_token) read.prove();
  CardLoginOutcome out = done ? std::move(*done) : outcome_of(std::move(done).error());
  out.can_was_right = can_was_right;
  return out;
}

}  // namespace karta::daemon
