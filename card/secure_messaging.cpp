#include "card/secure_messaging.h"

#include <algorithm>

#include "base/tlv.h"

namespace karta::card {
namespace {

constexpr Tag kCryptogram = 0x87, kCryptogramTlv = 0x85, kLe = 0x97, kStatus = 0x99, kChecksum = 0x8E;
constexpr std::size_t kChecksumOctets = 8;
constexpr std::uint8_t kNoIndicator = 0x01;  // of padding: method 2 of ISO 9797-1
// What stands beside the cryptogram: 97 (at most four octets), 8E (ten) in a command; 99 (four), 8E in an answer.
constexpr std::size_t kBesideInCommand = 14, kBesideInAnswer = 14;

tl::unexpected<Error> insecure(std::string what) { return fail(ErrorKind::card_insecure, std::move(what)); }

}  // namespace

SecureMessaging::SecureMessaging(SessionKeys keys) : keys_(std::move(keys)) {
  KARTA_CHECK(crypto::is_aes_key(keys_.encryption.size()) && keys_.encryption.size() == keys_.checksum.size());
}

void SecureMessaging::end() {
  keys_.encryption = SecretBytes();
  keys_.checksum = SecretBytes();
}

// The counter is never used twice: past FF..FF the session is over.
bool SecureMessaging::count() {
  for (std::size_t i = keys_.counter.size(); i-- > 0;) {
    if (++keys_.counter[i] != 0) return true;
  }
  end();
  return false;
}

crypto::AesBlock SecureMessaging::initial_vector() const {
  return crypto::aes_encrypt_block(keys_.encryption, keys_.counter);
}

crypto::AesBlock SecureMessaging::checksum_of(std::initializer_list<ByteView> parts) const {
  Bytes message = to_bytes(keys_.counter);
  for (const ByteView part : parts) append(message, part);
  return crypto::aes_cmac(keys_.checksum, {message});
}

// TR-03110-3 F.2.2
Result<CommandApdu> SecureMessaging::protect(const CommandApdu& plain) {
  if (!alive() || !count()) return insecure("the secure channel to the card has ended");
  const bool extended = !plain.fits_short();
  CommandApdu protected_command(static_cast<std::uint8_t>(plain.cla | kClassSecure), plain.ins, plain.p1, plain.p2);

  Bytes objects;
  if (!plain.data.empty()) {
    SecretBytes padded(plain.data.size() / crypto::kAesBlock * crypto::kAesBlock + crypto::kAesBlock);
    std::copy(plain.data.begin(), plain.data.end(), padded.expose_secret_mutable().begin());
    padded.expose_secret_mutable()[plain.data.size()] = 0x80;
    const Bytes cryptogram = crypto::aes_cbc_encrypt(keys_.encryption, initial_vector(), padded.expose_secret());
    // Odd instructions carry data objects in the cryptogram, without a padding indicator (ISO 7816-4 §10.3).
    if ((plain.ins & 1) != 0) {
      append_tlv(objects, kCryptogramTlv, cryptogram);
    } else {
      append(objects, make_tlv(kCryptogram, {Bytes{kNoIndicator}, cryptogram}));
    }
  }
  if (plain.le) {
    Bytes le;
    if (extended) {
      append_be16(le, static_cast<std::uint16_t>(*plain.le));
    } else {
      le.push_back(static_cast<std::uint8_t>(*plain.le));
    }
    append_tlv(objects, kLe, le);
  }

  // The header is padded to a block of its own; where nothing follows, that is all the padding there is.
  Bytes header = {protected_command.cla, plain.ins, plain.p1, plain.p2};
  crypto::pad_iso9797(header);
  Bytes tail = objects;
  if (!tail.empty()) crypto::pad_iso9797(tail);
  const crypto::AesBlock checksum = checksum_of({header, tail});
  append_tlv(objects, kChecksum, ByteView(checksum).first(kChecksumOctets));

  if (objects.size() > kExtendedData) return fail(ErrorKind::limit, "a command too long to be protected");
  protected_command.le = extended || objects.size() > kShortData ? kExtendedResponse : kShortResponse;
  protected_command.data = std::move(objects);
  return protected_command;
}

Result<ResponseApdu> SecureMessaging::unprotect(const ResponseApdu& answer) {
  auto opened = open_answer(answer);
  if (!opened) end();
  return opened;
}

// TR-03110-3 F.2.3: 87|85 if there are data, 99, 8E, nothing else and in this order.
Result<ResponseApdu> SecureMessaging::open_answer(const ResponseApdu& answer) {
  if (!alive() || !count()) return insecure("the secure channel to the card has ended");
  if (answer.data.empty()) {
    return insecure("the card has ended the secure channel (" + to_string(answer.status) + ")");
  }
  const auto unreadable = [](const Error& error) {
    return insecure("an answer of the card is not protected as it should be: " + error.message);
  };
  TlvCursor objects(
      answer.data,
      {.tag_octets = 1, .value_octets = kExtendedResponse, .shortest_length = false, .skip_padding = false});
  auto cryptogram = objects.next_if(kCryptogram);
  if (!cryptogram) return unreadable(cryptogram.error());
  const bool with_indicator = cryptogram->has_value();
  if (!with_indicator) {
    cryptogram = objects.next_if(kCryptogramTlv);
    if (!cryptogram) return unreadable(cryptogram.error());
  }
  const auto status = objects.expect(kStatus);
  if (!status) return unreadable(status.error());
  const std::size_t covered = objects.offset();
  const auto checksum = objects.expect(kChecksum);
  if (!checksum) return unreadable(checksum.error());
  if (const Status end_of_it = objects.finish(); !end_of_it) return unreadable(end_of_it.error());

  Bytes message(answer.data.begin(), answer.data.begin() + static_cast<std::ptrdiff_t>(covered));
  crypto::pad_iso9797(message);
  const crypto::AesBlock expected = checksum_of({message});
  if (!equal_constant_time(ByteView(expected).first(kChecksumOctets), checksum->value)) {
    return insecure("an answer of the card has a wrong checksum");
  }
  if (status->value.size() != 2 || load_be16(status->value) != answer.status.value) {
    return insecure("the status word of an answer is not the one the card protected");
  }

  ResponseApdu opened{{}, answer.status};
  if (!cryptogram->has_value()) return opened;
  ByteView blocks = (*cryptogram)->value;
  if (with_indicator) {
    if (blocks.empty() || blocks[0] != kNoIndicator) return insecure("an answer of the card is padded in no known way");
    blocks = blocks.subspan(1);
  }
  if (blocks.empty() || blocks.size() % crypto::kAesBlock != 0) {
    return insecure("an answer of the card is no whole number of blocks");
  }
  opened.data = crypto::aes_cbc_decrypt(keys_.encryption, initial_vector(), blocks);
  const auto size = crypto::unpadded_iso9797(opened.data);
  if (!size) {
    wipe(opened.data);
    return insecure("an answer of the card lacks its padding");
  }
  opened.data.resize(*size);
  return opened;
}

std::size_t plain_room(std::size_t limit, bool command) {
  const std::size_t beside = command ? kBesideInCommand : kBesideInAnswer;
  // 87, its length field (one octet to 127, two to 255, three above), the padding indicator.
  for (const std::size_t head : {3u, 4u, 5u}) {
    const std::size_t longest = head == 3 ? 0x7F : head == 4 ? 0xFF : 0xFFFF;
    if (limit < beside + head + crypto::kAesBlock) return 0;
    const std::size_t blocks = (limit - beside - head) / crypto::kAesBlock;
    if (blocks * crypto::kAesBlock + 1 <= longest) return blocks * crypto::kAesBlock - 1;
  }
  return 0;
}

// Channel ----------------------------------------------------------------------------------------

void SecureMessagingChannel::start(SessionKeys keys) {
  messaging_.emplace(std::move(keys));
  session_ = below_.connection().session();
  state_ = State::secure;
}

void SecureMessagingChannel::stop() {
  messaging_.reset();
  state_ = State::plain;
}

const ChannelLimits& SecureMessagingChannel::limits() const {
  limits_ = below_.limits();
  if (state_ == State::plain) return limits_;
  limits_.command_data = plain_room(limits_.command_data, true);
  limits_.response_data = plain_room(limits_.response_data, false);
  return limits_;
}

void SecureMessagingChannel::set_limits(ChannelLimits limits) { below_.set_limits(limits); }

Result<ResponseApdu> SecureMessagingChannel::transmit(const CommandApdu& command) {
  if (state_ == State::plain) return below_.transmit(command);
  if (state_ == State::broken) return insecure("the secure channel to the card has ended");
  if (below_.connection().session() != session_) {
    state_ = State::broken;
    messaging_.reset();
    return insecure("the secure channel is lost: the card was reset");
  }
  auto answer = transmit_protected(command);
  // Whatever failed in between, the counters of both sides may differ now.
  if (!answer) {
    messaging_.reset();
    state_ = State::broken;
  }
  return answer;
}

Result<ResponseApdu> SecureMessagingChannel::transmit_protected(const CommandApdu& command) {
  CommandApdu protected_command = TRY(messaging_->protect(command));
  // A long answer comes in one piece where the card can; a short Le would have it fetched in parts.
  const ChannelLimits& below = below_.limits();
  if (below.response_data > kShortResponse && command.le.value_or(0) > plain_room(kShortResponse, false)) {
    protected_command.le = kExtendedResponse;
  }
  if (below.response_data <= kShortResponse && protected_command.le) protected_command.le = kShortResponse;
  const ResponseApdu answer = TRY(below_.transmit(protected_command));
  ResponseApdu opened = TRY(messaging_->unprotect(answer));
  if (opened.data.size() > command.le.value_or(0) && command.le != kShortResponse) {
    wipe(opened.data);
    return insecure("the card answered " + std::to_string(opened.data.size()) + " octets where " +
                    std::to_string(command.le.value_or(0)) + " were asked for");
  }
  return opened;
}

}  // namespace karta::card
