#include "pkcs11/slot.h"

#include <algorithm>
#include <cstring>

#include "card/card_type.h"
#include "card/pace.h"
#include "crypto/x509/certificate.h"

namespace karta::pkcs11 {
namespace {

constexpr std::array<card::PinKind, kTokensPerReader> kPinKinds = {card::PinKind::pin1, card::PinKind::pin2};
// How long what the directory says is taken for fresh.
constexpr std::chrono::milliseconds kGlance{1000};
constexpr std::uint8_t reference_of(std::size_t index) { return static_cast<std::uint8_t>(index + 1); }

// Fixed fields of the C structures: blanks behind, no end mark, cut between characters of UTF-8.
template <std::size_t size>
void fill(CK_UTF8CHAR (&field)[size], std::string_view text) {
  std::size_t octets = std::min(text.size(), size);
  while (octets > 0 && octets < text.size() && (static_cast<unsigned char>(text[octets]) & 0xC0) == 0x80) --octets;
  std::memset(field, ' ', size);
  std::memcpy(field, text.data(), octets);
}

bool means_gone(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::card_removed:
    case ErrorKind::no_card:
    case ErrorKind::no_reader:
    case ErrorKind::no_pcscd:
    case ErrorKind::card_unresponsive:
      return true;
    default:
      return false;
  }
}

}  // namespace

// The card and its going ------------------------------------------------------------------------

// Whoever finds out is in the middle of a transaction: the connection is put aside, and freed before the next one.
void Slot::lose_card() {
  if (connection_ != nullptr) {
    ++gone_;
    if (application_) application_->leave_pins();
    lost_.application = std::move(application_);
    lost_.secure = std::move(secure_);
    lost_.channel = std::move(channel_);
    lost_.connection = std::move(connection_);
  }
  application_.reset();
  can_ = SecretBytes();
  tokens_ = {};
  shown_ = {};
  laid_out_ = false;
  all_keys_.clear();
}

void Slot::let_go() {
  for (const auto* const connection : {&connection_, &lost_.connection}) {
    if (*connection != nullptr) (*connection)->let_go();
  }
}

Fault Slot::take(Error error) {
  if (means_gone(error.kind)) lose_card();
  return Fault(std::move(error));
}

Outcome<Slot::Use> Slot::use() {
  if (connection_ == nullptr) {
    lost_.application.reset();
    lost_.secure.reset();
    lost_.channel.reset();
    lost_.connection.reset();
    connection_ = TRY(taken(readers_.connect(reader_)));
    channel_ = std::make_unique<card::PlainChannel>(*connection_);
    if (!card::card_type_of(connection_->atr()).esign) {
      secure_ = std::make_unique<card::SecureMessagingChannel>(*channel_);
    }
  }
  card::Transaction whole = TRY(taken(card::Transaction::begin(*connection_)));
  if (secure_ != nullptr) TRY(open_channel());
  if (!application_) {
    card::Channel& channel = secure_ != nullptr ? static_cast<card::Channel&>(*secure_) : *channel_;
    auto opened = card::ESignApplication::open(channel);
    if (!opened) {
      Error error = std::move(opened).error();
      lose_card();
      return tl::unexpected<Fault>(Fault(std::move(error)));
    }
    application_.emplace(std::move(*opened));
    if (cache_ != nullptr) application_->use_cache(*cache_);
    counter_ = application_->info().change_counter;
    looked_ = std::chrono::steady_clock::now();
  }
  return Use{std::move(whole), &*application_};
}

Done Slot::open_channel() {
  if (application_ && secure_->secure()) {
    // Reads the counter, as the operation would, and at most once in a transaction.
    const Status alive = application_->refresh();
    if (alive) return {};
    if (alive.error().kind != ErrorKind::card_insecure) return tl::unexpected<Fault>(take(alive.error()));
  }
  application_.reset();
  std::vector<SecretBytes> known;
  if (!can_.empty()) {
    known.push_back(can_.clone());
  } else if (cans_ != nullptr) {
    known = cans_->known();
  }
  for (SecretBytes& can : known) {
    secure_->stop();
    SystemRandom random;
    const auto opened = card::open_pace(*secure_, {.password = card::PacePassword::can, .secret = &can}, random);
    if (opened) {
      can_ = std::move(can);
      return {};
    }
    if (opened.error().kind != ErrorKind::wrong_pin) return tl::unexpected<Fault>(take(opened.error()));
  }
  return refuse(CKR_TOKEN_NOT_RECOGNIZED, known.empty()
                                              ? "the card's access number is not known; hint: karta pkcs11 can"
                                              : "no access number known is this card's; hint: karta pkcs11 can");
}

void Slot::compare_content() {
  if (!application_ || application_->info().change_counter == counter_) return;
  counter_ = application_->info().change_counter;
  for (Token& token : tokens_) {
    token.objects.clear();
    token.keys_listed = token.others_listed = false;
  }
  laid_out_ = false;
}

Done Slot::load_layout() {
  if (laid_out_) return {};
  Use app = TRY(use());
  return load_layout(app);
}

// In one go what every program asks for first: a transaction of its own for each would cost more than the reading.
Done Slot::load_layout(Use& app) {
  if (laid_out_) return {};
  initialised_ = TRY(taken(app->initialised()));
  shown_ = pin_set_ = {};
  auth_ids_ = {};
  all_keys_.clear();
  if (initialised_) {
    TRY(taken(app->token_info()));
    const auto pins = TRY(taken(app->pins()));
    for (const card::PinObject& pin : pins) {
      for (std::size_t i = 0; i < kTokensPerReader; ++i) {
        if (pin.reference != reference_of(i) || (pin.flags & card::pin_flag::unblocking_pin) != 0) continue;
        shown_[i] = true;
        pin_set_[i] = (pin.flags & card::pin_flag::initialized) != 0;
        auth_ids_[i] = pin.id;
      }
    }
    const auto keys = TRY(taken(app->keys()));
    all_keys_.assign(keys.begin(), keys.end());
  }
  // A card without PINs is one token, waiting for its beginning.
  if (!shown_[1]) shown_[0] = true;
  for (std::size_t i = 0; i < kTokensPerReader; ++i) tokens_[i].pin_kind = kPinKinds[i];
  laid_out_ = true;
  return {};
}

Outcome<bool> Slot::has_token(std::size_t index) {
  TRY(load_layout());
  return shown_[index];
}

Outcome<Token*> Slot::token(std::size_t index) {
  if (!TRY(has_token(index))) return refuse(CKR_TOKEN_NOT_PRESENT);
  return &tokens_[index];
}

Outcome<std::string> Slot::token_label(std::size_t index) {
  Use app = TRY(use());
  if (!initialised_) return std::string();
  const card::TokenInfo* const about = TRY(taken(app->token_info()));
  std::string label = about->label;
  for (const card::PinObject& pin : TRY(taken(app->pins()))) {
    if (pin.reference != reference_of(index)) continue;
    // The PIN's name in brackets tells a card's tokens apart; it must not be cut off.
    const std::string suffix = " (" + pin.head.label + ")";
    constexpr std::size_t kField = sizeof(CK_TOKEN_INFO::label);
    if (suffix.size() < kField) label = label.substr(0, std::min(label.size(), kField - suffix.size())) + suffix;
    break;
  }
  return label;
}

Outcome<CK_TOKEN_INFO> Slot::token_info(std::size_t index) {
  Use app = TRY(use());
  TRY(load_layout(app));
  const Token& token = *TRY(this->token(index));
  CK_TOKEN_INFO info = {};
  info.flags = CKF_RNG;
  if (initialised_) {
    info.flags |= CKF_TOKEN_INITIALIZED | CKF_LOGIN_REQUIRED;
    const card::PinStatus status = TRY(taken(app->pin_status(token.pin_kind)));
    const bool transport = !status.verified && !status.blocked && !status.tries_left;
    if (TRY(pin_set(index))) info.flags |= CKF_USER_PIN_INITIALIZED;
    if (transport) info.flags |= CKF_USER_PIN_TO_BE_CHANGED;
    if (status.blocked) info.flags |= CKF_USER_PIN_LOCKED;
    if (status.tries_left == 1u) info.flags |= CKF_USER_PIN_FINAL_TRY;
    const unsigned all = card::rules_of(token.pin_kind).tries;
    if (status.tries_left && *status.tries_left<all&& * status.tries_left> 0) info.flags |= CKF_USER_PIN_COUNT_LOW;
    const card::TokenInfo* const about = TRY(taken(app->token_info()));
    fill(info.manufacturerID, about->manufacturer);
    info.ulMinPinLen = 4;
    info.ulMaxPinLen = 8;
    for (const card::PinObject& pin : TRY(taken(app->pins()))) {
      if (pin.reference != reference_of(index)) continue;
      info.ulMinPinLen = pin.min_length;
      if (pin.max_length != 0) info.ulMaxPinLen = pin.max_length;
    }
    const std::string label = TRY(token_label(index));
    fill(info.label, label);
  } else {
    info.flags |= CKF_WRITE_PROTECTED;
    fill(info.manufacturerID, "");
    fill(info.label, "");
  }
  fill(info.model, card::card_type_of(connection_->atr()).name);
  // Sixteen characters for ten octets: the last eight differ from card to card.
  const std::string serial = app->info().serial_hex();
  fill(info.serialNumber, std::string_view(serial).substr(serial.size() > 16 ? serial.size() - 16 : 0));
  fill(info.utcTime, "");
  if (TRY(pad()).verify) info.flags |= CKF_PROTECTED_AUTHENTICATION_PATH;
  info.ulTotalPublicMemory = info.ulFreePublicMemory = kUnavailable;
  info.ulTotalPrivateMemory = info.ulFreePrivateMemory = kUnavailable;
  info.hardwareVersion = {app->info().version_major, app->info().version_minor};
  info.firmwareVersion = {app->info().version_major, app->info().version_minor};
  return info;
}

// Logins ----------------------------------------------------------------------------------------

Outcome<card::CardConnection::PinPad> Slot::pad() {
  Use app = TRY(use());
  return connection_->pin_pad();
}

Outcome<bool> Slot::pin_set(std::size_t index) {
  TRY(load_layout());
  return pin_set_[index];
}

Done Slot::log_in(std::size_t index, const SecretBytes& pin) {
  Token& token = *TRY(this->token(index));
  Use app = TRY(use());
  TRY(taken(app->verify_pin(token.pin_kind, pin)));
  compare_content();
  TRY(list(index, CKO_PRIVATE_KEY));
  token.per_signature = std::any_of(token.objects.begin(), token.objects.end(),
                                    [](const auto& object) { return object->key && object->key->pin_each_time; });
  token.user_logged_in = true;
  // The right to one qualified signature must not lie open for any program to take: it is shown again at the signature.
  if (token.per_signature) {
    (void)app->log_out(token.pin_kind);
  } else {
    token.pin = pin.clone();
  }
  token.by_pad = false;
  return {};
}

Done Slot::log_in_by_pad(std::size_t index) {
  Token& token = *TRY(this->token(index));
  Use app = TRY(use());
  TRY(list(index, CKO_PRIVATE_KEY));
  token.per_signature = std::any_of(token.objects.begin(), token.objects.end(),
                                    [](const auto& object) { return object->key && object->key->pin_each_time; });
  TRY(taken(app->verify_pin_by_pad(token.pin_kind)));
  compare_content();
  if (token.per_signature) (void)app->log_out(token.pin_kind);
  token.user_logged_in = token.by_pad = true;
  return {};
}

Done Slot::log_in_officer_by_pad(std::size_t index) {
  Token& token = *TRY(this->token(index));
  token.officer_logged_in = token.officer_by_pad = true;
  return {};
}

Done Slot::check_pin(std::size_t index, const SecretBytes& pin) {
  Token& token = *TRY(this->token(index));
  Use app = TRY(use());
  TRY(taken(app->verify_pin(token.pin_kind, pin)));
  (void)app->log_out(token.pin_kind);
  compare_content();
  return {};
}

Done Slot::log_in_officer(std::size_t index, const SecretBytes& puk) {
  Token& token = *TRY(this->token(index));
  // The card has no way to try a PUK without spending it: it is tried when it is used.
  const Status fit = card::check_presented_pin(card::PinKind::puk, puk);
  if (!fit) return refuse(CKR_PIN_INCORRECT, fit.error().message);
  token.officer_logged_in = true;
  token.puk = puk.clone();
  return {};
}

void Slot::log_out(std::size_t index) {
  Token& token = tokens_[index];
  const bool on_card = token.user_logged_in && !token.per_signature && application_.has_value();
  token.user_logged_in = token.officer_logged_in = token.by_pad = token.officer_by_pad = false;
  token.pin = SecretBytes();
  token.puk = SecretBytes();
  if (!on_card) return;
  Status done = application_->log_out(token.pin_kind);
  if (!done) (void)take(std::move(done).error());
}

void Slot::log_out_everywhere() {
  for (std::size_t index = 0; index < tokens_.size(); ++index) log_out(index);
  // A PIN shown for an operation that failed half way, too.
  application_.reset();
  let_go();
}

Done Slot::change_pin(std::size_t index, const SecretBytes& old_pin, const SecretBytes& new_pin) {
  Token& token = *TRY(this->token(index));
  Use app = TRY(use());
  TRY(taken(app->change_pin(token.pin_kind, old_pin, new_pin)));
  if (!token.pin.empty()) token.pin = new_pin.clone();
  compare_content();
  return {};
}

Done Slot::unblock_pin(std::size_t index, const SecretBytes& new_pin) {
  Token& token = *TRY(this->token(index));
  Use app = TRY(use());
  TRY(taken(app->unblock_pin(token.pin_kind, token.puk, new_pin)));
  if (!TRY(pin_set(index))) {
    // The first PIN of a card that C_InitToken has begun: from now on its directory says so.
    TRY(taken(app->verify_pin(token.pin_kind, new_pin)));
    const Status noted = app->update(card::mark_pin_initialised);
    (void)app->log_out(token.pin_kind);
    TRY(taken(noted));
    TRY(taken(app->refresh()));
  }
  compare_content();
  return {};
}

Done Slot::change_pin_by_pad(std::size_t index) {
  Token& token = *TRY(this->token(index));
  Use app = TRY(use());
  TRY(taken(app->change_pin_by_pad(token.pin_kind)));
  // What was kept is the old one.
  if (!token.pin.empty()) token.by_pad = true;
  token.pin = SecretBytes();
  compare_content();
  return {};
}

Done Slot::unblock_pin_by_pad(std::size_t index) {
  Token& token = *TRY(this->token(index));
  Use app = TRY(use());
  TRY(taken(app->unblock_pin_by_pad(token.pin_kind)));
  compare_content();
  return {};
}

Done Slot::begin_anew(std::size_t index, std::string_view label, const SecretBytes& puk) {
  TRY(token(index));
  Use app = TRY(use());
  SystemRandom random;
  const Status done =
      app->update([&](card::Channel& channel) -> Status { return card::begin_anew(channel, label, puk, random); });
  if (!done && done.error().kind == ErrorKind::not_permitted) {
    return refuse(CKR_TOKEN_WRITE_PROTECTED, done.error().message);
  }
  Done outcome = taken(done);
  if (!application_) return outcome;
  TRY(taken(app->refresh()));
  compare_content();
  return outcome;
}

// Objects ---------------------------------------------------------------------------------------

bool Slot::belongs(std::size_t index, const card::CardKey& key) const {
  if (key.pin_reference == reference_of(index)) return true;
  // Keys under no PIN, or one that has no token, are the first token's.
  const bool other = key.pin_reference >= 1 && key.pin_reference <= kTokensPerReader && shown_[key.pin_reference - 1u];
  const std::size_t first = shown_[0] ? 0 : 1;
  return !other && index == first;
}

void Slot::add(Token& token, std::shared_ptr<Object> object) {
  object->handle = next_handle_++;
  token.objects.push_back(std::move(object));
}

Outcome<std::vector<card::CardKey>> Slot::keys(std::size_t index) {
  TRY(load_layout());
  std::vector<card::CardKey> mine;
  for (const card::CardKey& key : all_keys_) {
    if (belongs(index, key)) mine.push_back(key);
  }
  return mine;
}

// A certificate goes with its key; those of authorities with every token, so that each finds its chain.
Outcome<std::vector<card::CardCertificate>> Slot::certificates(std::size_t index) {
  Use app = TRY(use());
  std::vector<card::CardCertificate> mine;
  if (!initialised_) return mine;
  const std::vector<card::CardKey> own = TRY(keys(index));
  const auto has = [](const auto& some, const Bytes& id) {
    return std::any_of(some.begin(), some.end(), [&](const card::CardKey& key) { return key.id == id; });
  };
  const std::size_t first = shown_[0] ? 0 : 1;
  for (const card::CardCertificate& certificate : TRY(taken(app->certificates()))) {
    const bool nobodys = !has(all_keys_, certificate.id);
    if (has(own, certificate.id) || certificate.authority || (nobodys && index == first)) mine.push_back(certificate);
  }
  return mine;
}

Done Slot::list(std::size_t index, CK_OBJECT_CLASS object_class) {
  Token& token = *TRY(this->token(index));
  const bool keys_only = object_class == CKO_PRIVATE_KEY || object_class == CKO_PUBLIC_KEY;
  if (!initialised_) return {};
  // What another program wrote meanwhile is to be found too; a burst of searches asks for it once.
  const bool look = std::chrono::steady_clock::now() - looked_ > kGlance;
  if (!look && token.keys_listed && (keys_only || token.others_listed)) return {};
  Use app = TRY(use());
  if (look) {
    TRY(taken(app->refresh()));
    looked_ = std::chrono::steady_clock::now();
    compare_content();
    TRY(load_layout(app));
  }
  if (!token.keys_listed) {
    for (const card::CardKey& key : TRY(keys(index))) {
      add(token, make_private_key(key));
      add(token, make_public_key(key));
    }
    token.keys_listed = true;
  }
  if (keys_only || token.others_listed) return {};
  for (const card::CardCertificate& certificate : TRY(certificates(index))) add(token, make_certificate(certificate));
  if (index == (shown_[0] ? 0u : 1u)) {
    std::size_t number = 0;
    for (const card::DataObject& data : TRY(taken(app->data_objects()))) add(token, make_data(data, number++));
  }
  token.others_listed = true;
  return {};
}

Done Slot::complete(Object& object) {
  if (object.complete) return {};
  Use app = TRY(use());
  if (object.certificate) {
    const Bytes der = TRY(taken(app->read_certificate(*object.certificate)));
    complete_certificate(object, der);
    return {};
  }
  if (object.data) {
    // Under a PIN, it is read by whoever is logged in.
    const bool secret = object.is_private();
    Outcome<Bytes> read =
        secret ? with_login<Bytes>(shown_[0] ? 0 : 1, nullptr, {},
                                   [&](card::ESignApplication& one, const SecretBytes* pin) -> Result<Bytes> {
                                     if (pin != nullptr) TRY(one.verify_pin(tokens_[shown_[0] ? 0 : 1].pin_kind, *pin));
                                     return one.read_data(*object.data);
                                   })
               : taken(app->read_data(*object.data));
    object.set(CKA_VALUE, TRY(std::move(read)));
    object.complete = true;
    return {};
  }
  if (!object.key) return {};
  if (object.key->type == nullptr) return refuse(CKR_FUNCTION_FAILED, "a key of no type karta knows");
  // The key file has the last word: after a renewal, until the new certificate is written, the certificate is the old
  // key's. Where the two agree, it tells the key's dates and subject.
  const card::CardPublicKey read = TRY(taken(app->read_public_key(*object.key)));
  const Bytes spki = read.subject_public_key_info();
  for (const card::CardCertificate& certificate : TRY(taken(app->certificates()))) {
    if (certificate.authority || certificate.id != object.key->id) continue;
    const auto der = app->read_certificate(certificate);
    const auto parsed = crypto::Certificate::from_der(der ? ByteView(*der) : ByteView());
    if (parsed && equal(parsed->spki(), spki)) complete_certificate(object, *der);
    break;
  }
  complete_key(object, read);
  return {};
}

// Keys at work ----------------------------------------------------------------------------------

// The counter is read once in a transaction: asking here costs no command the operation does not need anyway.
Done Slot::unchanged_since(Use& app, std::uint16_t content) {
  TRY(taken(app->refresh()));
  const bool same = app->info().change_counter == content;
  compare_content();
  if (!same) return refuse(CKR_FUNCTION_FAILED, "the card's content has changed since the key was found");
  return {};
}

template <class T, class Act>
Outcome<T> Slot::with_login(std::size_t index, const card::CardKey* key, const KeyUse& use_of_key, Act act) {
  Token& token = *TRY(this->token(index));
  Use app = TRY(use());
  const bool free_key = key != nullptr && !key->pin && key->pin_reference == 0;
  if (key != nullptr) {
    // Whoever is not logged in hears that first.
    if (!token.user_logged_in && !free_key) return refuse(CKR_USER_NOT_LOGGED_IN);
    TRY(unchanged_since(app, use_of_key.content));
  }
  if (key != nullptr && key->pin_each_time) {
    if (use_of_key.pad) TRY(taken(app->verify_pin_by_pad(token.pin_kind)));
    if (use_of_key.pin == nullptr && !use_of_key.pad) {
      return refuse(CKR_USER_NOT_LOGGED_IN, "this key wants its PIN for each use");
    }
    auto done = taken<T>(act(*app, use_of_key.pin));
    if (!done && use_of_key.pad && application_) (void)app->log_out(token.pin_kind);
    compare_content();
    return done;
  }
  if (!token.user_logged_in && !free_key) return refuse(CKR_USER_NOT_LOGGED_IN);
  Result<T> first = act(*app, nullptr);
  if (!first && first.error().kind == ErrorKind::not_permitted && !token.pin.empty()) {
    // Another program has reset the card or logged out: our user's login still stands.
    const SecretBytes kept = token.pin.clone();
    first = act(*app, &kept);
    if (!first && (first.error().kind == ErrorKind::wrong_pin || first.error().kind == ErrorKind::pin_blocked)) {
      // The PIN was changed elsewhere. One try is gone; no second one is risked.
      token.user_logged_in = false;
      token.pin = SecretBytes();
      return refuse(CKR_USER_NOT_LOGGED_IN, first.error().message);
    }
  } else if (!first && first.error().kind == ErrorKind::not_permitted && token.by_pad && !token.per_signature) {
    // The same where the holder typed the PIN: nobody is made to type again who has not been told what for.
    const auto status = app->pin_status(token.pin_kind);
    if (status && !status->verified) token.user_logged_in = token.by_pad = false;
  }
  auto done = taken<T>(std::move(first));
  compare_content();
  return done;
}

template <class T, class Act>
Outcome<T> Slot::manage(std::size_t index, Act act) {
  auto done = with_login<T>(index, nullptr, {}, [&](card::ESignApplication& app, const SecretBytes* pin) -> Result<T> {
    if (pin != nullptr) TRY(app.verify_pin(tokens_[index].pin_kind, *pin));
    return act(app);
  });
  // Whatever was written, ours is not another program's doing.
  if (application_) {
    TRY(taken(application_->refresh()));
    compare_content();
  }
  if (!done && done.error().rv == CKR_USER_NOT_LOGGED_IN && tokens_[index].user_logged_in &&
      !tokens_[index].per_signature) {
    return refuse(CKR_TOKEN_WRITE_PROTECTED, done.error().message);
  }
  return done;
}

namespace {

// The PIN of a key that wants it each time has just been typed at the reader, in the same transaction.
card::CardKey shown_at_pad(const card::CardKey& key, const KeyUse& use) {
  card::CardKey shown = key;
  if (use.pad) shown.pin_each_time = false;
  return shown;
}

}  // namespace

Outcome<Bytes> Slot::sign(std::size_t index, const card::CardKey& key, card::SignatureScheme scheme, ByteView input,
                          const KeyUse& use) {
  const card::CardKey used = shown_at_pad(key, use);
  return with_login<Bytes>(index, &key, use, [&](card::ESignApplication& app, const SecretBytes* shown) {
    return app.sign(used, scheme, input, shown);
  });
}

Outcome<SecretBytes> Slot::decipher(std::size_t index, const card::CardKey& key, card::DecipherPadding padding,
                                    ByteView cryptogram, const KeyUse& use) {
  const card::CardKey used = shown_at_pad(key, use);
  return with_login<SecretBytes>(index, &key, use, [&](card::ESignApplication& app, const SecretBytes* shown) {
    return app.decipher(used, padding, cryptogram, shown);
  });
}

Outcome<SecretBytes> Slot::agree(std::size_t index, const card::CardKey& key, ByteView point, const KeyUse& use) {
  const card::CardKey used = shown_at_pad(key, use);
  return with_login<SecretBytes>(index, &key, use, [&](card::ESignApplication& app, const SecretBytes* shown) {
    return app.agree(used, point, shown);
  });
}

Outcome<Bytes> Slot::random(std::size_t count) {
  Use app = TRY(use());
  Bytes octets = TRY(taken(app->random(count)));
  return octets;
}

// Writing to the card ---------------------------------------------------------------------------

Done Slot::generate(std::size_t index, const card::CardKey& key) {
  const auto made =
      manage<card::CardPublicKey>(index, [&](card::ESignApplication& app) { return app.generate_key(key); });
  if (!made) return tl::unexpected<Fault>(made.error());
  return {};
}

Done Slot::write_certificate(std::size_t index, const card::CardCertificate& place, ByteView der) {
  const auto written = manage<bool>(index, [&](card::ESignApplication& app) -> Result<bool> {
    TRY(app.write_certificate(place, der));
    return true;
  });
  if (!written) return tl::unexpected<Fault>(written.error());
  return {};
}

Outcome<card::ObjectOwner> Slot::owner(std::size_t index) {
  TRY(load_layout());
  if (auth_ids_[index].empty()) return refuse(CKR_USER_PIN_NOT_INITIALIZED, "the token has no PIN to guard an object");
  return card::ObjectOwner{reference_of(index), auth_ids_[index]};
}

Outcome<std::uint16_t> Slot::write(
    std::size_t index,
    const std::function<Result<std::uint16_t>(card::ObjectWriter&, const card::ObjectOwner&)>& deed) {
  const card::ObjectOwner guard = TRY(owner(index));
  return manage<std::uint16_t>(index, [&](card::ESignApplication& app) -> Result<std::uint16_t> {
    std::uint16_t file = 0;
    TRY(app.update([&](card::Channel& channel) -> Status {
      card::ObjectWriter writer = TRY(card::ObjectWriter::open(channel));
      file = TRY(deed(writer, guard));
      return {};
    }));
    return file;
  });
}

Outcome<std::uint16_t> Slot::create_key(std::size_t index, const card::NewKey& key) {
  const card::ObjectOwner guard = TRY(owner(index));
  return manage<std::uint16_t>(index, [&](card::ESignApplication& app) -> Result<std::uint16_t> {
    std::uint16_t file = 0;
    const auto write_with = [&](const std::function<Status(card::ObjectWriter&)>& deed) {
      return app.update([&](card::Channel& channel) -> Status {
        card::ObjectWriter writer = TRY(card::ObjectWriter::open(channel));
        return deed(writer);
      });
    };
    TRY(write_with([&](card::ObjectWriter& writer) -> Status {
      file = TRY(writer.create_key_file(key, guard));
      return {};
    }));
    card::CardKey place;
    place.label = key.label;
    place.type = key.type;
    place.file_id = file;
    const auto made = app.generate_key(place);
    Status entered =
        made ? write_with([&](card::ObjectWriter& writer) { return writer.add_key(key, guard, file, *made); })
             : fail(made.error());
    if (!entered) {
      (void)write_with([&](card::ObjectWriter& writer) { return writer.remove_file(file); });
      return fail(std::move(entered).error());
    }
    return file;
  });
}

Outcome<std::uint16_t> Slot::add_certificate(std::size_t index, const card::NewCertificate& certificate) {
  return write(index, [&](card::ObjectWriter& writer, const card::ObjectOwner& guard) {
    return writer.add_certificate(certificate, guard);
  });
}

Outcome<std::uint16_t> Slot::add_data(std::size_t index, const card::NewData& data) {
  return write(
      index, [&](card::ObjectWriter& writer, const card::ObjectOwner& guard) { return writer.add_data(data, guard); });
}

Done Slot::remove(std::size_t index, const Object& object) {
  // What the directory calls fixed is so, whatever the card would let happen.
  if (!object.flag(CKA_DESTROYABLE))
    return refuse(CKR_ACTION_PROHIBITED, "the card's directory says this object stays");
  TRY(write(index, [&](card::ObjectWriter& writer, const card::ObjectOwner&) -> Result<std::uint16_t> {
    if (object.certificate) TRY(writer.remove_certificate(object.certificate->file_id));
    if (object.key) TRY(writer.remove_key(object.key->file_id));
    if (object.data && object.data->location) TRY(writer.remove_data(object.data->location->path.file_id()));
    return std::uint16_t{0};
  }));
  return {};
}

}  // namespace karta::pkcs11
