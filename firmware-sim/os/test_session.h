// The terminal's side of secure messaging and of SCP03, for tests of the card: written from the standards beside the
// card's own code, with OpenSSL's AES underneath. Nothing here checks politely: a wrong answer is an exception.
#pragma once

#include <functional>
#include <stdexcept>

#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/os/test_chip.h"

namespace karta::os {

inline sim::Coprocessor& test_aes() {
  static sim::Coprocessor engine;
  return engine;
}

inline Memory cbc(Cipher cipher, const Memory& key, const Memory& iv, const Memory& in) {
  Memory out(in.size());
  if (test_aes().aes_cbc(cipher, key, iv, in, out) != HalStatus::ok) throw std::runtime_error("aes");
  return out;
}

inline Memory cmac(const Memory& key, const Memory& message) {
  Memory out(16);
  const ByteView parts[] = {message};
  if (test_aes().aes_cmac(key, parts, out) != HalStatus::ok) throw std::runtime_error("cmac");
  return out;
}

inline Memory padded(Memory data) {
  data.push_back(0x80);
  while (data.size() % 16 != 0) data.push_back(0);
  return data;
}

inline Memory unpadded(Memory data) {
  while (!data.empty() && data.back() == 0) data.pop_back();
  if (data.empty() || data.back() != 0x80) throw std::runtime_error("padding");
  data.pop_back();
  return data;
}

inline Memory slice(const Memory& data, std::size_t at, std::size_t n) {
  if (at > data.size() || n > data.size() - at) throw std::out_of_range("slice");
  return {data.begin() + static_cast<long>(at), data.begin() + static_cast<long>(at + n)};
}

inline Memory length_octets(std::size_t n) {
  if (n < 0x80) return {static_cast<u8>(n)};
  if (n < 0x100) return {0x81, static_cast<u8>(n)};
  return {0x82, static_cast<u8>(n >> 8), static_cast<u8>(n)};
}

// A command APDU in its parts; `le`: nothing, or the octets of the Le field without the 00 of an extended one.
struct PlainCommand {
  Memory header;
  Memory data;
  Memory le;
  bool extended = false;
};

inline PlainCommand take_apart(const Memory& apdu) {
  PlainCommand out{.header = slice(apdu, 0, 4), .data = {}, .le = {}};
  const Memory body = slice(apdu, 4, apdu.size() - 4);
  if (body.empty()) return out;
  if (body.size() == 1) {
    out.le = body;
  } else if (body[0] != 0) {
    out.data = slice(body, 1, body[0]);
    if (body.size() > 1U + body[0]) out.le = {body.back()};
  } else {
    out.extended = true;
    if (body.size() == 3) {
      out.le = slice(body, 1, 2);
    } else {
      const std::size_t n = read_u16(&body[1]);
      out.data = slice(body, 3, n);
      out.le = slice(body, 3 + n, body.size() - 3 - n);
    }
  }
  return out;
}

// Lc field and data, in the longer form where asked for.
inline Memory with_length(const Memory& data, bool extended) {
  const u8 high = static_cast<u8>(data.size() >> 8);
  const u8 low = static_cast<u8>(data.size());
  return (extended ? Memory{0, high, low} : Memory{low}) + data;
}

// ISO 7816-4 secure messaging with AES, counter zero at the beginning.
class SmTerminal {
 public:
  SmTerminal(Memory key_enc, Memory key_mac) : enc_(std::move(key_enc)), mac_(std::move(key_mac)) {}

  // The protected form of a plain command.
  Memory protect(const Memory& apdu) {
    PlainCommand plain = take_apart(apdu);
    count();
    plain.header[0] = static_cast<u8>(plain.header[0] | 0x0C);
    const Memory objects = objects_of(plain);
    const Memory body = objects + Memory{0x8E, 8} + checksum(padded(plain.header), objects);
    const bool extended = plain.extended || body.size() > 255;
    return plain.header + with_length(body, extended) + Memory(extended ? 2 : 1, 0);
  }

  // The plain answer of a protected one; throws where it is not as it must be.
  Answer open(const Answer& answer) {
    count();
    const Memory& all = answer.data;
    if (all.size() < 14) throw std::runtime_error("no protected answer");
    const Memory objects = slice(all, 0, all.size() - 10);
    const Memory last = slice(all, all.size() - 10, 10);
    if (last != Memory{0x8E, 8} + checksum({}, objects)) throw std::runtime_error("checksum");
    const Memory status = slice(objects, objects.size() - 4, 4);
    if (status[0] != 0x99 || status[1] != 2 || read_u16(&status[2]) != answer.sw) throw std::runtime_error("status");
    Answer out{.sw = answer.sw, .data = {}};
    if (objects.size() == 4) return out;
    if (objects[0] != 0x87 && objects[0] != 0x85) throw std::runtime_error("object");
    std::size_t at = 2;
    std::size_t n = objects[1];
    for (std::size_t more = n > 0x80 ? n & 0x7F : 0; more > 0; --more) {
      if (at == 2) n = 0;
      n = n << 8 | objects[at++];
    }
    if (at + n + 4 != objects.size()) throw std::runtime_error("length");
    const std::size_t indicator = objects[0] == 0x87 ? 1 : 0;
    if (indicator == 1 && objects[at] != 1) throw std::runtime_error("indicator");
    out.data = unpadded(cbc(Cipher::decrypt, enc_, iv(), slice(objects, at + indicator, n - indicator)));
    return out;
  }

  // A protected command, as a terminal with short or extended APDUs sends it, and its plain answer.
  Answer exchange(Card& card, const Memory& apdu) {
    Answer answer = send(card, protect(apdu));
    while (answer.sw >> 8 == 0x61) {
      const Answer more = send(card, hex("00C00000") + Memory{static_cast<u8>(answer.sw)});
      answer = {.sw = more.sw, .data = answer.data + more.data};
    }
    return open(answer);
  }
  // As a terminal with short APDUs does it: the whole is protected, then cut and chained.
  Answer exchange_in_parts(Card& card, const Memory& apdu) {
    const PlainCommand whole = take_apart(protect(apdu));
    return open(transmit(card, to_hex(whole.header), whole.data));
  }
  Answer exchange(Card& card, const std::string& apdu) { return exchange(card, hex(apdu)); }

  Memory counter = Memory(16, 0);

 private:
  void count() {
    for (std::size_t i = 16; i-- > 0 && ++counter[i] == 0;) {
    }
  }
  Memory iv() const { return cbc(Cipher::encrypt, enc_, Memory(16, 0), counter); }
  Memory objects_of(const PlainCommand& plain) const {
    Memory out;
    if (!plain.data.empty()) {
      const bool odd = (plain.header[1] & 1) != 0;
      const Memory value = (odd ? Memory{} : Memory{1}) + cbc(Cipher::encrypt, enc_, iv(), padded(plain.data));
      out = Memory{static_cast<u8>(odd ? 0x85 : 0x87)} + length_octets(value.size()) + value;
    }
    if (!plain.le.empty()) out = out + Memory{0x97, static_cast<u8>(plain.le.size())} + plain.le;
    return out;
  }
  Memory checksum(const Memory& header, const Memory& objects) const {
    return slice(cmac(mac_, counter + header + (objects.empty() ? Memory{} : padded(objects))), 0, 8);
  }

  Memory enc_;
  Memory mac_;
};

// One key set of SCP03.
struct HostKeys {
  Memory enc;
  Memory mac;
  Memory dek;
};

inline HostKeys initial_keys() {
  const Memory key = hex("404142434445464748494A4B4C4D4E4F");
  return {key, key, key};
}

// Three keys of `octets` that are nobody's.
inline HostKeys sample_keys(std::size_t octets, u8 seed) {
  HostKeys out;
  for (Memory* key : {&out.enc, &out.mac, &out.dek}) {
    for (std::size_t i = 0; i < octets; ++i) key->push_back(static_cast<u8>(seed * 37 + i * 11));
    ++seed;
  }
  return out;
}

// The off-card entity of SCP03.
class Scp03Host {
 public:
  explicit Scp03Host(HostKeys keys, std::size_t mac_octets = 8) : keys_(std::move(keys)), n_(mac_octets) {}

  static Memory derive(const Memory& key, u8 constant, const Memory& context, std::size_t octets) {
    Memory out;
    for (u8 i = 1; out.size() < octets; ++i) {
      const std::size_t bits = octets * 8;
      out = out + cmac(key, Memory(11, 0) + Memory{constant, 0, static_cast<u8>(bits >> 8), static_cast<u8>(bits), i} +
                                context);
    }
    return slice(out, 0, octets);
  }

  // INITIALIZE UPDATE, perhaps through another channel; the answer's cryptogram is checked.
  Answer initialize(Card& card, u8 version = 0) {
    return initialize([&card](const Memory& command) { return send(card, command); }, version);
  }
  Answer initialize(const std::function<Answer(const Memory&)>& exchange, u8 version = 0) {
    host_challenge = Memory(n_, 0xA5);
    for (std::size_t i = 0; i < n_; ++i) host_challenge[i] = static_cast<u8>(++salt_ * 29 + i);
    const Answer answer = exchange(hex("8050") + Memory{version, 0, static_cast<u8>(n_)} + host_challenge + Memory{0});
    if (answer.sw == 0x9000) accept(answer.data);
    return answer;
  }
  // EXTERNAL AUTHENTICATE at this level, as it goes over the wire.
  Memory authentication(u8 level) {
    level_ = level;
    chaining_ = Memory(16, 0);
    counter_ = Memory(16, 0);
    const Memory command = hex("8482") + Memory{level, 0, static_cast<u8>(2 * n_)} + host_cryptogram;
    chaining_ = cmac(s_mac, Memory(16, 0) + command);
    return command + slice(chaining_, 0, n_);
  }
  u16 open(Card& card, u8 level, u8 version = 0) {
    const Answer answer = initialize(card, version);
    return answer.sw == 0x9000 ? send(card, authentication(level)).sw : answer.sw;
  }

  // The secured form of a plain command.
  Memory protect(const Memory& apdu) {
    PlainCommand plain = take_apart(apdu);
    if (level_ == 0) return apdu;
    plain.header[0] = static_cast<u8>(plain.header[0] | 0x04);
    if ((level_ & 0x02) != 0) {
      for (std::size_t i = 16; i-- > 0 && ++counter_[i] == 0;) {
      }
      if (!plain.data.empty()) plain.data = cbc(Cipher::encrypt, s_enc, iv(false), padded(plain.data));
    }
    const bool extended = plain.extended || plain.data.size() + n_ > 255;
    const Memory whole = with_length(plain.data + Memory(n_, 0), extended);
    const Memory signed_part = plain.header + slice(whole, 0, whole.size() - n_);
    chaining_ = cmac(s_mac, chaining_ + signed_part);
    Memory le = plain.le;
    if (extended && le.size() == 1) le = Memory{static_cast<u8>(le[0] == 0 ? 1 : 0), le[0]};
    return signed_part + slice(chaining_, 0, n_) + le;
  }
  // The plain answer; throws where the level wants a MAC and it is wrong.
  Answer open_answer(const Answer& answer) {
    const bool error = answer.sw != 0x9000 && answer.sw >> 8 != 0x62 && answer.sw >> 8 != 0x63;
    if ((level_ & 0x10) == 0 || error) return answer;
    if (answer.data.size() < n_) throw std::runtime_error("no R-MAC");
    Memory data = slice(answer.data, 0, answer.data.size() - n_);
    const Memory status = {static_cast<u8>(answer.sw >> 8), static_cast<u8>(answer.sw)};
    const Memory mac = slice(cmac(s_rmac, chaining_ + data + status), 0, n_);
    if (mac != slice(answer.data, answer.data.size() - n_, n_)) throw std::runtime_error("R-MAC");
    if ((level_ & 0x20) != 0 && !data.empty()) data = unpadded(cbc(Cipher::decrypt, s_enc, iv(true), data));
    return {.sw = answer.sw, .data = data};
  }
  Answer exchange(Card& card, const Memory& apdu) {
    Answer answer = send(card, protect(apdu));
    while (answer.sw >> 8 == 0x61) {
      const Answer more = send(card, hex("00C00000") + Memory{static_cast<u8>(answer.sw)});
      answer = {.sw = more.sw, .data = answer.data + more.data};
    }
    return open_answer(answer);
  }
  // As a terminal with short APDUs does it: the whole is protected, then cut and chained.
  Answer exchange_in_parts(Card& card, const Memory& apdu) {
    const PlainCommand whole = take_apart(protect(apdu));
    return open_answer(transmit(card, to_hex(whole.header), whole.data));
  }
  Answer exchange(Card& card, const std::string& apdu) { return exchange(card, hex(apdu)); }

  // PUT KEY of a whole set, under this session's DEK.
  Memory put_key(u8 replaced, u8 version, const HostKeys& keys) const {
    Memory data = {version};
    for (const Memory* key : {&keys.enc, &keys.mac, &keys.dek}) {
      Memory filled = *key;
      if (filled.size() % 16 != 0) filled = padded(filled);
      const Memory wrapped = cbc(Cipher::encrypt, keys_.dek, Memory(16, 0), filled);
      data = data + Memory{0x88, static_cast<u8>(wrapped.size() + 1), static_cast<u8>(key->size())} + wrapped +
             Memory{3} + check_value(*key);
    }
    return hex("80D8") + Memory{replaced, 0x81} + with_length(data, false) + Memory{0};
  }
  static Memory check_value(const Memory& key) {
    return slice(cbc(Cipher::encrypt, key, Memory(16, 0), Memory(16, 1)), 0, 3);
  }

  Memory host_challenge;
  Memory card_challenge;
  Memory host_cryptogram;
  Memory sequence;
  Memory s_enc;
  Memory s_mac;
  Memory s_rmac;

 private:
  void accept(const Memory& answer) {
    if (answer.size() != 13 + 2 * n_ + 3) throw std::runtime_error("INITIALIZE UPDATE");
    card_challenge = slice(answer, 13, n_);
    sequence = slice(answer, 13 + 2 * n_, 3);
    const Memory context = host_challenge + card_challenge;
    s_enc = derive(keys_.enc, 0x04, context, keys_.enc.size());
    s_mac = derive(keys_.mac, 0x06, context, keys_.mac.size());
    s_rmac = derive(keys_.mac, 0x07, context, keys_.mac.size());
    if (derive(s_mac, 0x00, context, n_) != slice(answer, 13 + n_, n_)) throw std::runtime_error("card cryptogram");
    host_cryptogram = derive(s_mac, 0x01, context, n_);
  }
  Memory iv(bool answer) const {
    Memory block = counter_;
    if (answer) block[0] = 0x80;
    return cbc(Cipher::encrypt, s_enc, Memory(16, 0), block);
  }

  HostKeys keys_;
  std::size_t n_;
  u8 level_ = 0;
  u8 salt_ = 0;
  Memory chaining_;
  Memory counter_;
};

}  // namespace karta::os
