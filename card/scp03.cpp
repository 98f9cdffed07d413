#include "card/scp03.h"

#include <algorithm>

#include "base/cursor.h"
#include "crypto/kdf.h"

namespace karta::card {
namespace {

// Derivation constants, Amendment D table 4-1.
constexpr std::uint8_t kCardChallenge = 0x02, kSessionEnc = 0x04, kSessionMac = 0x06, kSessionRmac = 0x07;
constexpr std::uint8_t kClassGlobalPlatform = 0x80, kClassScp = 0x04;
constexpr std::uint8_t kInitializeUpdate = 0x50, kExternalAuthenticate = 0x82;
constexpr std::uint8_t kImplementationS16 = 0x01;
constexpr std::uint8_t kProtocol = 0x03;

tl::unexpected<Error> insecure(std::string what) { return fail(ErrorKind::card_insecure, std::move(what)); }

// Amendment D §4.1.5: the label is eleven octets of 00 and the constant.
SecretBytes derive(const SecretBytes& key, std::uint8_t constant, ByteView context, std::size_t octets) {
  crypto::AesBlock label{};
  label[11] = constant;
  return crypto::cmac_counter_kdf(key, ByteView(label).first(12), context, octets);
}

bool is_error(StatusWord status) {
  // Amendment D §6.2.5: success and the warnings 62xx, 63xx are protected, the rest is not.
  return status.value != 0x9000 && status.sw1() != 0x62 && status.sw1() != 0x63;
}

}  // namespace

bool is_security_level(std::uint8_t level) {
  return level == 0x00 || level == 0x01 || level == 0x03 || level == 0x11 || level == 0x13 || level == 0x33;
}

Scp03KeySet Scp03KeySet::clone() const { return {version, encryption.clone(), checksum.clone(), data.clone()}; }

Scp03KeySet Scp03KeySet::blank() {
  Bytes key(16);
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(0x40 + i);
  return {0, SecretBytes::copy_of(ByteView(key)), SecretBytes::copy_of(ByteView(key)),
          SecretBytes::copy_of(ByteView(key))};
}

Scp03KeySet diversify(const SecretBytes& master, ByteView serial, std::uint8_t version, std::size_t key_octets) {
  const Bytes context = concat({Bytes{version}, serial});
  const auto key = [&](std::string_view label) {
    return crypto::cmac_counter_kdf(master, as_bytes(label), context, key_octets);
  };
  return {version, key("karta/scp03/enc"), key("karta/scp03/mac"), key("karta/scp03/dek")};
}

std::array<std::uint8_t, 3> key_check_value(const SecretBytes& key) {
  crypto::AesBlock ones;
  ones.fill(0x01);
  const crypto::AesBlock out = crypto::aes_encrypt_block(key, ones);
  return {out[0], out[1], out[2]};
}

Bytes pseudo_random_challenge(const SecretBytes& key_enc, std::uint32_t sequence, ByteView aid, Scp03Mode mode) {
  const Bytes context = concat({Bytes{static_cast<std::uint8_t>(sequence >> 16),
                                      static_cast<std::uint8_t>(sequence >> 8), static_cast<std::uint8_t>(sequence)},
                                aid});
  return to_bytes(derive(key_enc, kCardChallenge, context, static_cast<std::size_t>(mode)).expose_secret());
}

// Amendment D §7.1.1.6: diversification data (10) || version, 03, i || challenge || cryptogram [|| sequence (3)]
Result<Scp03Greeting> Scp03Greeting::parse(ByteView answer, Scp03Mode mode) {
  const std::size_t octets = static_cast<std::size_t>(mode);
  const std::size_t shortest = 10 + 3 + 2 * octets;
  if (answer.size() != shortest && answer.size() != shortest + 3) {
    return fail(ErrorKind::card_unresponsive,
                "the card answers INITIALIZE UPDATE with " + std::to_string(answer.size()) + " octets");
  }
  Cursor cursor(answer);
  Scp03Greeting greeting;
  greeting.serial = to_bytes(TRY(cursor.take(10)));
  greeting.key_version = TRY(cursor.u8());
  const std::uint8_t protocol = TRY(cursor.u8());
  if (protocol != kProtocol) {
    return fail(ErrorKind::unsupported,
                "the card's secure channel is protocol " + std::to_string(protocol) + ", not 3");
  }
  greeting.implementation = TRY(cursor.u8());
  const bool s16 = (greeting.implementation & kImplementationS16) != 0;
  if (s16 != (mode == Scp03Mode::s16)) return insecure("the card answers in another mode than was asked for");
  greeting.card_challenge = to_bytes(TRY(cursor.take(octets)));
  greeting.card_cryptogram = to_bytes(TRY(cursor.take(octets)));
  if (!cursor.empty()) {
    const ByteView number = TRY(cursor.take(3));
    greeting.sequence = static_cast<std::uint32_t>(number[0] << 16 | number[1] << 8 | number[2]);
  }
  TRY(cursor.finish());
  return greeting;
}

// Session ----------------------------------------------------------------------------------------

Scp03Session::Scp03Session(const Scp03KeySet& keys, Scp03Mode mode, ByteView host_challenge, ByteView card_challenge)
    : octets_(static_cast<std::size_t>(mode)),
      context_(concat({host_challenge, card_challenge})),
      encryption_key_(derive(keys.encryption, kSessionEnc, context_, keys.encryption.size())),
      mac_key_(derive(keys.checksum, kSessionMac, context_, keys.checksum.size())),
      rmac_key_(derive(keys.checksum, kSessionRmac, context_, keys.checksum.size())) {
  KARTA_CHECK(host_challenge.size() == octets_ && card_challenge.size() == octets_);
}

void Scp03Session::end() {
  encryption_key_ = SecretBytes();
  mac_key_ = SecretBytes();
  rmac_key_ = SecretBytes();
}

Bytes Scp03Session::cryptogram(std::uint8_t constant) const {
  return to_bytes(derive(mac_key_, constant, context_, octets_).expose_secret());
}

// The counter as one block; for answers with the first octet 80 (Amendment D §6.2.6, §6.2.7).
crypto::AesBlock Scp03Session::initial_vector(bool of_answer) const {
  crypto::AesBlock block{};
  for (std::size_t i = 0; i < 8; ++i) block[15 - i] = static_cast<std::uint8_t>(counter_ >> (8 * i));
  if (of_answer) block[0] = 0x80;
  return crypto::aes_encrypt_block(encryption_key_, block);
}

// Amendment D §6.2.4: over the chaining value, the header with its new length, and the data; all sixteen octets chain
// on, the first eight or sixteen are sent.
Bytes Scp03Session::checksum_command(std::uint8_t cla, std::uint8_t ins, std::uint8_t p1, std::uint8_t p2,
                                     ByteView data, bool extended) {
  Bytes header = {cla, ins, p1, p2};
  const std::size_t length = data.size() + octets_;
  if (extended || length > kShortData) {
    header.push_back(0x00);
    append_be16(header, static_cast<std::uint16_t>(length));
  } else {
    header.push_back(static_cast<std::uint8_t>(length));
  }
  const crypto::AesBlock previous = chaining_;
  chaining_ = crypto::aes_cmac(mac_key_, {previous, header, data});
  return to_bytes(ByteView(chaining_).first(octets_));
}

CommandApdu Scp03Session::external_authenticate(std::uint8_t level) {
  KARTA_CHECK(is_security_level(level));
  Bytes data = host_cryptogram();
  const std::uint8_t cla = kClassGlobalPlatform | kClassScp;
  const Bytes checksum = checksum_command(cla, kExternalAuthenticate, level, 0x00, data, false);
  append(data, checksum);
  level_ = level;
  return {cla, kExternalAuthenticate, level, 0x00, std::move(data)};
}

Result<CommandApdu> Scp03Session::protect(const CommandApdu& plain, bool extended) {
  if (!alive()) return insecure("the secure channel to the card manager has ended");
  if (level_ == security_level::authenticated) return plain;
  ++counter_;  // also for commands without data (Amendment D §6.2.6)
  CommandApdu command(static_cast<std::uint8_t>(plain.cla | kClassScp), plain.ins, plain.p1, plain.p2);
  command.le = plain.le;
  if (plain.data.empty() || (level_ & security_level::c_decryption) == 0) {
    command.data = plain.data;
    command.sensitive = plain.sensitive;
  } else {
    SecretBytes padded(plain.data.size() / crypto::kAesBlock * crypto::kAesBlock + crypto::kAesBlock);
    std::copy(plain.data.begin(), plain.data.end(), padded.expose_secret_mutable().begin());
    padded.expose_secret_mutable()[plain.data.size()] = 0x80;
    command.data = crypto::aes_cbc_encrypt(encryption_key_, initial_vector(false), padded.expose_secret());
  }
  if (command.data.size() + octets_ > kExtendedData)
    return fail(ErrorKind::limit, "a command too long to be protected");
  const Bytes checksum = checksum_command(command.cla, command.ins, command.p1, command.p2, command.data, extended);
  Bytes whole = concat({command.data, checksum});
  if (command.sensitive) wipe(command.data);
  command.data = std::move(whole);
  return command;
}

Result<ResponseApdu> Scp03Session::unprotect(const ResponseApdu& answer) {
  auto opened = open_answer(answer);
  if (!opened) end();
  return opened;
}

Result<ResponseApdu> Scp03Session::open_answer(const ResponseApdu& answer) {
  if (!alive()) return insecure("the secure channel to the card manager has ended");
  if ((level_ & security_level::r_mac) == 0) return answer;
  if (is_error(answer.status)) {
    if (!answer.data.empty()) return insecure("the card answers an error together with data");
    return answer;
  }
  if (answer.data.size() < octets_) return insecure("an answer of the card lacks its checksum");
  const ByteView data = ByteView(answer.data).first(answer.data.size() - octets_);
  Bytes status;
  append_be16(status, answer.status.value);
  const crypto::AesBlock expected = crypto::aes_cmac(rmac_key_, {chaining_, data, status});
  if (!equal_constant_time(ByteView(expected).first(octets_), ByteView(answer.data).last(octets_))) {
    return insecure("an answer of the card has a wrong checksum");
  }
  ResponseApdu opened{{}, answer.status};
  if (data.empty() || (level_ & security_level::r_encryption) == 0) {
    opened.data = to_bytes(data);
    return opened;
  }
  if (data.size() % crypto::kAesBlock != 0) return insecure("an answer of the card is no whole number of blocks");
  opened.data = crypto::aes_cbc_decrypt(encryption_key_, initial_vector(true), data);
  const auto size = crypto::unpadded_iso9797(opened.data);
  if (!size) {
    wipe(opened.data);
    return insecure("an answer of the card lacks its padding");
  }
  opened.data.resize(*size);
  return opened;
}

std::size_t scp03_room(std::size_t limit, std::uint8_t level, Scp03Mode mode, bool command) {
  const std::uint8_t checked = command ? security_level::c_mac : security_level::r_mac;
  const std::uint8_t encrypted = command ? security_level::c_decryption : security_level::r_encryption;
  if ((level & checked) == 0) return limit;
  const std::size_t octets = static_cast<std::size_t>(mode);
  if (limit < octets + crypto::kAesBlock) return 0;
  const std::size_t left = limit - octets;
  return (level & encrypted) == 0 ? left : left / crypto::kAesBlock * crypto::kAesBlock - 1;
}

// Channel ----------------------------------------------------------------------------------------

Result<std::unique_ptr<Scp03Channel>> Scp03Channel::open(Channel& below, const Request& request,
                                                         const Scp03KeyChoice& keys, RandomSource& random) {
  if (!is_security_level(request.level)) return fail(ErrorKind::usage, "no security level of SCP03");
  const Bytes host_challenge = random.bytes(static_cast<std::size_t>(request.mode));
  // 80 50 version 00 challenge
  const CommandApdu hello(kClassGlobalPlatform, kInitializeUpdate, request.key_version, 0x00, host_challenge,
                          kShortResponse);
  const Bytes answer = TRY(below.run(hello, "open the secure channel to the card manager"));
  Scp03Greeting greeting = TRY(Scp03Greeting::parse(answer, request.mode));
  if (request.key_version != 0 && greeting.key_version != request.key_version) {
    return insecure("the card answers with another key set than was asked for");
  }
  Scp03KeySet set = TRY(keys(greeting));
  KARTA_CHECK(crypto::is_aes_key(set.encryption.size()) && set.encryption.size() == set.checksum.size() &&
              set.encryption.size() == set.data.size());
  set.version = greeting.key_version;
  Scp03Session session(set, request.mode, host_challenge, greeting.card_challenge);
  if (!equal_constant_time(session.card_cryptogram(), greeting.card_cryptogram)) {
    return fail(ErrorKind::card_insecure, "the card does not know the keys it should have",
                "it was personalised under another master key, or it is no genuine card");
  }
  const ResponseApdu accepted = TRY(below.transmit(session.external_authenticate(request.level)));
  if (!accepted.status.ok()) {
    return fail(error_of(accepted.status, "prove the issuer's key to the card manager"));
  }
  return std::unique_ptr<Scp03Channel>(
      new Scp03Channel(below, std::move(greeting), std::move(set), std::move(session)));
}

const ChannelLimits& Scp03Channel::limits() const {
  limits_ = below_.limits();
  limits_.command_data = scp03_room(limits_.command_data, session_.level(), mode(), true);
  limits_.response_data = scp03_room(limits_.response_data, session_.level(), mode(), false);
  return limits_;
}

Result<ResponseApdu> Scp03Channel::transmit(const CommandApdu& command) {
  if (session_.alive() && below_.connection().session() != connection_session_) session_.end();
  if (!session_.alive()) return insecure("the secure channel to the card manager has ended");
  auto answer = transmit_protected(command);
  // The card may have counted what we think it has not: nothing can follow.
  if (!answer) session_.end();
  return answer;
}

Result<ResponseApdu> Scp03Channel::transmit_protected(const CommandApdu& command) {
  // The answer grows by its checksum and padding; without Le none would come, and R-MAC always does. Where the card
  // can, an answer that may be too long for a short APDU is asked for in an extended one.
  const bool answered = (session_.level() & security_level::r_mac) != 0;
  const std::size_t fits = scp03_room(kShortResponse, session_.level(), mode(), false);
  const bool extended = below_.limits().response_data > kShortResponse && command.le.value_or(0) > fits;
  CommandApdu sent = TRY(session_.protect(command, extended));
  if (extended) {
    sent.le = kExtendedResponse;
  } else if (answered) {
    sent.le = kShortResponse;
  }
  const ResponseApdu answer = TRY(below_.transmit(sent));
  ResponseApdu opened = TRY(session_.unprotect(answer));
  if (opened.data.size() > command.le.value_or(0) && command.le != kShortResponse) {
    wipe(opened.data);
    return insecure("the card answered more octets than were asked for");
  }
  return opened;
}

}  // namespace karta::card
