#include "card/trace_decoder.h"

#include <algorithm>

#include "base/tlv.h"

namespace karta::card {
namespace {

constexpr std::uint8_t kGetResponse = 0xC0, kExternalAuthenticate = 0x82;
constexpr std::uint8_t kClassChaining = 0x10, kClassProtection = 0x0C, kClassScp03 = 0x04;
constexpr std::size_t kMaxMessage = 131'072;  // of a chain, or of an answer fetched in parts
constexpr std::size_t kChecksum = 8;
constexpr std::uint8_t kWithDecryption = 0x02, kWithResponseMac = 0x10, kWithResponseEncryption = 0x20;

void count(crypto::AesBlock& counter) {
  for (std::size_t i = counter.size(); i-- > 0;) {
    if (++counter[i] != 0) return;
  }
}

// The header of a protected command, padded to a block of its own (ISO 7816-4 §10.2.3.1).
Bytes padded(ByteView octets) {
  Bytes out = to_bytes(octets);
  crypto::pad_iso9797(out);
  return out;
}

struct Objects {
  ByteView cryptogram;  ///< without the padding indicator
  ByteView covered;     ///< what the checksum is made over
  ByteView checksum;
  bool whole = false;  ///< 8E is there, and last
};

Objects objects_of(ByteView data) {
  Objects out;
  TlvCursor cursor(data, {.tag_octets = 1, .value_octets = 65'536, .shortest_length = false, .skip_padding = false});
  while (!cursor.done()) {
    const std::size_t at = cursor.offset();
    const auto object = cursor.next();
    if (!object) return out;
    if (object->tag == 0x8E) {
      out.covered = data.first(at);
      out.checksum = object->value;
      out.whole = cursor.done() && object->value.size() == kChecksum;
      return out;
    }
    if (object->tag == 0x87 && !object->value.empty()) out.cryptogram = object->value.subspan(1);
    if (object->tag == 0x85) out.cryptogram = object->value;
  }
  return out;
}

}  // namespace

void TraceDecoder::add_key(ByteView key) {
  if (!crypto::is_aes_key(key.size()) || keys_.size() >= kMaxKeys) return;
  const auto held = [&](const SecretBytes& known) { return known.equals(key); };
  if (std::none_of(keys_.begin(), keys_.end(), held)) keys_.push_back(SecretBytes::copy_of(key));
}

void TraceDecoder::end_session(unsigned card) { cards_.erase(card); }

DecodedExchange TraceDecoder::take(const TraceExchange& exchange) {
  for (const SecretBytes& key : exchange.keys) add_key(key.expose_secret());
  DecodedExchange out;
  Bytes apdu = exchange.command;
  const std::size_t hidden_at = std::min(exchange.hidden_at, apdu.size());
  apdu.insert(apdu.begin() + static_cast<std::ptrdiff_t>(hidden_at), exchange.hidden_octets, std::uint8_t{0});
  const auto command = take_apart(apdu);
  if (!command) {
    out.name = "no APDU";
    return out;
  }
  out.name = describe(*command);
  Card& card = cards_[exchange.card];
  if (!exchange.status) {  // pulled or cut off
    card = Card();
    return out;
  }
  Message& message = card.message;
  if (command->ins == kGetResponse && card.answering) {
    append(message.response, exchange.response);
    message.status = *exchange.status;
  } else {
    // Each part of a chain may be protected by itself (its 8E is there); else the parts are one data field cut up.
    const bool part = (command->cla & kClassChaining) != 0 && !objects_of(command->data).whole;
    const bool continues = card.chaining && command->ins == message.ins && command->p1 == message.p1 &&
                           command->p2 == message.p2 && message.data.size() < kMaxMessage;
    if (!continues) message = Message();
    message.cla = static_cast<std::uint8_t>(part || continues ? command->cla & ~kClassChaining : command->cla);
    message.ins = command->ins;
    message.p1 = command->p1;
    message.p2 = command->p2;
    append(message.data, command->data);
    message.le = to_bytes(command->le);
    message.extended = command->extended;
    message.response = exchange.response;
    message.status = *exchange.status;
    card.chaining = part && exchange.status->ok();
    if (part) {
      if ((command->cla & kClassProtection) == kClassProtection) out.protection = "secure messaging";
      if ((command->cla & kClassProtection) == kClassScp03) out.protection = "SCP03";
      return out;
    }
  }
  card.answering = message.status.sw1() == 0x61 && message.response.size() < kMaxMessage;
  const std::uint8_t protection = message.cla & kClassProtection;
  if (protection == kClassProtection) out.protection = "secure messaging";
  if (protection == kClassScp03) out.protection = "SCP03";
  if (out.protection.empty() || card.answering) return out;
  out.plain = open(card);
  if (out.plain) {
    const PlainExchange& plain = *out.plain;
    out.name = describe({.cla = plain.header[0],
                         .ins = plain.header[1],
                         .p1 = plain.header[2],
                         .p2 = plain.header[3],
                         .data = plain.data,
                         .le = {},
                         .extended = false});
  }
  return out;
}

std::optional<PlainExchange> TraceDecoder::open(Card& card) {
  if ((card.message.cla & kClassProtection) == kClassProtection) {
    return open_secure_messaging(card.session, card.message);
  }
  if (card.message.ins == kExternalAuthenticate && card.message.status.ok() &&
      begin_scp03(card.session, card.message)) {
    return std::nullopt;  // nothing of it is ciphered
  }
  return open_scp03(card.session, card.message);
}

bool TraceDecoder::checks(std::size_t key, const crypto::AesBlock& counter, const Message& message, ByteView objects,
                          ByteView checksum) const {
  const Bytes header = padded(Bytes{message.cla, message.ins, message.p1, message.p2});
  const Bytes body = objects.empty() ? Bytes() : padded(objects);
  const crypto::AesBlock made = crypto::aes_cmac(keys_[key], {counter, header, body});
  return equal(ByteView(made).first(kChecksum), checksum);
}

std::optional<Bytes> TraceDecoder::decipher(std::size_t key, const Cryptogram& cryptogram) const {
  if (cryptogram.blocks.empty() || cryptogram.blocks.size() % crypto::kAesBlock != 0) return std::nullopt;
  const crypto::AesBlock iv = crypto::aes_encrypt_block(keys_[key], cryptogram.counter);
  Bytes plain = crypto::aes_cbc_decrypt(keys_[key], iv, cryptogram.blocks);
  const auto octets = crypto::unpadded_iso9797(plain);
  if (!octets) return std::nullopt;
  plain.resize(*octets);
  return plain;
}

// A wrong key leaves a good padding once in some two hundred times; over a session the right one alone remains. Until
// then the key known last goes first: a card loads its session's keys with the session's first commands.
void TraceDecoder::narrow(Session& session, std::span<const Cryptogram> cryptograms) const {
  for (; session.keys_seen < keys_.size(); ++session.keys_seen) {
    const bool fits = keys_[session.keys_seen].size() == keys_[session.mac_key].size();
    if (fits && session.keys_seen != session.mac_key) {
      session.ciphers.insert(session.ciphers.begin(), session.keys_seen);
    }
  }
  std::vector<std::size_t> good;
  for (const std::size_t key : session.ciphers) {
    const auto opens = [&](const Cryptogram& cryptogram) { return decipher(key, cryptogram).has_value(); };
    if (std::all_of(cryptograms.begin(), cryptograms.end(), opens)) good.push_back(key);
  }
  session.ciphers = std::move(good);
}

// TR-03110-3 appendix F.
std::optional<PlainExchange> TraceDecoder::open_secure_messaging(Session& session, const Message& message) {
  const Objects command = objects_of(message.data);
  if (!command.whole) return std::nullopt;
  crypto::AesBlock counter = session.counter;
  count(counter);
  if (session.kind != Session::Kind::secure_messaging ||
      !checks(session.mac_key, counter, message, command.covered, command.checksum)) {
    // New keys count from one.
    counter = {};
    count(counter);
    std::size_t key = 0;
    while (key < keys_.size() && !checks(key, counter, message, command.covered, command.checksum)) ++key;
    if (key == keys_.size()) {
      session = Session();
      return std::nullopt;
    }
    session = Session();
    session.kind = Session::Kind::secure_messaging;
    session.mac_key = key;
  }
  session.counter = counter;
  count(session.counter);  // the answer's

  const Objects answer = objects_of(message.response);
  std::vector<Cryptogram> cryptograms;
  if (!command.cryptogram.empty()) cryptograms.push_back({counter, command.cryptogram});
  if (!answer.cryptogram.empty()) cryptograms.push_back({session.counter, answer.cryptogram});
  narrow(session, cryptograms);
  PlainExchange out;
  out.header = {message.cla, message.ins, message.p1, message.p2};
  const auto read = [&](const crypto::AesBlock& at, ByteView blocks, Bytes& into) {
    if (blocks.empty()) return true;
    if (session.ciphers.empty()) return false;
    auto plain = decipher(session.ciphers.front(), {at, blocks});
    if (plain) into = std::move(*plain);
    return plain.has_value();
  };
  out.data_read = read(counter, command.cryptogram, out.data);
  out.response_read = read(session.counter, answer.cryptogram, out.response);
  if (!answer.whole) session = Session();  // a fault of protection: the card answered in plain, and the keys are gone
  return out;
}

// GlobalPlatform Amendment D §7.1.2: the first checksum, over a chaining value of zero.
bool TraceDecoder::begin_scp03(Session& session, const Message& message) const {
  const std::size_t octets = message.data.size() / 2;
  if (message.data.size() % 2 != 0 || (octets != 8 && octets != 16)) return false;
  const Bytes header = {message.cla, message.ins, message.p1, message.p2, static_cast<std::uint8_t>(2 * octets)};
  for (std::size_t key = 0; key < keys_.size(); ++key) {
    const crypto::AesBlock mac =
        crypto::aes_cmac(keys_[key], {crypto::AesBlock{}, header, ByteView(message.data).first(octets)});
    if (!equal(ByteView(mac).first(octets), ByteView(message.data).last(octets))) continue;
    session = Session();
    session.kind = Session::Kind::scp03;
    session.mac_key = key;
    session.chaining = mac;
    session.mac_octets = octets;
    session.level = message.p1;
    return true;
  }
  return false;
}

// Amendment D §6.2.4 to §6.2.7.
std::optional<PlainExchange> TraceDecoder::open_scp03(Session& session, const Message& message) {
  if (session.kind != Session::Kind::scp03 || message.data.size() < session.mac_octets) return std::nullopt;
  const std::size_t body = message.data.size() - session.mac_octets;
  Bytes header = {message.cla, message.ins, message.p1, message.p2};
  if (message.extended || message.data.size() > 255) {
    header.push_back(0);
    append_be16(header, static_cast<std::uint16_t>(message.data.size()));
  } else {
    header.push_back(static_cast<std::uint8_t>(message.data.size()));
  }
  const ByteView data = ByteView(message.data).first(body);
  const crypto::AesBlock mac = crypto::aes_cmac(keys_[session.mac_key], {session.chaining, header, data});
  if (!equal(ByteView(mac).first(session.mac_octets), ByteView(message.data).subspan(body))) {
    session = Session();
    return std::nullopt;
  }
  session.chaining = mac;
  const bool ciphered = (session.level & kWithDecryption) != 0;
  if (ciphered) count(session.counter);
  crypto::AesBlock of_answer = session.counter;
  of_answer[0] = 0x80;

  const bool error = !message.status.ok() && !message.status.warning() && message.status.sw1() != 0x63;
  ByteView response = message.response;
  const bool with_mac = (session.level & kWithResponseMac) != 0 && !error && response.size() >= session.mac_octets;
  if (with_mac) response = response.first(response.size() - session.mac_octets);
  const bool response_ciphered = (session.level & kWithResponseEncryption) != 0 && with_mac && !response.empty();
  std::vector<Cryptogram> cryptograms;
  if (ciphered && !data.empty()) cryptograms.push_back({session.counter, data});
  if (response_ciphered) cryptograms.push_back({of_answer, response});
  narrow(session, cryptograms);

  PlainExchange out;
  out.header = {message.cla, message.ins, message.p1, message.p2};
  const auto read = [&](bool covered, const crypto::AesBlock& at, ByteView octets, Bytes& into) {
    if (!covered || octets.empty()) {
      into = to_bytes(octets);
      return true;
    }
    if (session.ciphers.empty()) return false;
    auto plain = decipher(session.ciphers.front(), {at, octets});
    if (plain) into = std::move(*plain);
    return plain.has_value();
  };
  out.data_read = read(ciphered, session.counter, data, out.data);
  out.response_read = read(response_ciphered, of_answer, response, out.response);
  return out;
}

Result<std::vector<SecretBytes>> parse_trace_keys(std::string_view text) {
  std::vector<SecretBytes> keys;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    line = line.substr(0, line.find('#'));
    const std::size_t first = line.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) continue;
    line = line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
    auto octets = from_hex(line);
    if (!octets || !crypto::is_aes_key(octets->size())) {
      return fail(ErrorKind::malformed, "line " + std::to_string(number) + " holds no AES key",
                  "16, 24 or 32 octets in hexadecimal, one key a line");
    }
    if (keys.size() == TraceDecoder::kMaxKeys) {
      return fail(ErrorKind::limit, "more than " + std::to_string(TraceDecoder::kMaxKeys) + " keys");
    }
    keys.push_back(SecretBytes(std::move(*octets)));
  }
  return keys;
}

}  // namespace karta::card
