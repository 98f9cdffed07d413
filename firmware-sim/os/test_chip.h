// A chip for tests: memory that behaves as NVM does and can lose power at any write or erase, and cryptography that is
// real but for RSA keys, of which it makes two a size and hands them out in turn (a tear test generates thousands).
//
// Engine is the coprocessor, in the shape of Hal's own functions.
#pragma once

#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "firmware-sim/os/card.h"

namespace karta::os {

// Where and how the power goes.
enum class Cut : u8 {
  before,      // the write or erase does not happen
  torn_front,  // its first half has happened
  torn_back,   // its second half has, the first has not
  torn_mixed,  // octet by octet and bit by bit, some of it has happened
  after,       // it has happened, and its caller never hears of it
};
constexpr Cut kCuts[] = {Cut::before, Cut::torn_front, Cut::torn_back, Cut::torn_mixed, Cut::after};

using Memory = std::vector<u8>;

template <typename Engine>
class TestChip final : public Hal {
 public:
  static constexpr std::size_t kPage = 256;

  explicit TestChip(std::size_t pages = 384) : memory(pages * kPage, 0xFF), erases(pages, 0) {}

  // Power comes back: the memory as it is, and no cut to come.
  void restore_power() {
    powered = true;
    cut_at = 0;
    operations = 0;
  }
  // The `operation`-th write or erase from now (1: the next) is cut.
  void cut_power_at(std::size_t operation, Cut how) {
    operations = 0;
    cut_at = operation;
    cut = how;
  }

  // The `n`-th read from now fails, that one alone. 0: none.
  void fail_read_at(std::size_t n) {
    reads = 0;
    failing_read = n;
  }

  std::size_t page_bytes() const override { return kPage; }
  std::size_t page_count() const override { return memory.size() / kPage; }

  HalStatus read(std::size_t page, std::size_t offset, ByteSpan out) override {
    if (!powered || offset + out.size() > kPage || page >= page_count()) return HalStatus::failed;
    if (++reads == failing_read) return HalStatus::failed;
    copy(out, {memory.data() + page * kPage + offset, out.size()});
    return HalStatus::ok;
  }

  HalStatus erase(std::size_t page) override {
    if (!powered || page >= page_count()) return HalStatus::failed;
    u8* cells = memory.data() + page * kPage;
    const bool here = ++operations == cut_at;
    if (here) powered = false;
    if (here && cut == Cut::before) return HalStatus::failed;
    ++erases[page];
    if (worn.count(page) != 0) return HalStatus::failed;
    for (std::size_t i = 0; i < kPage; ++i) {
      if (!here || cut == Cut::after || (cut == Cut::torn_front && i < kPage / 2) ||
          (cut == Cut::torn_back && i >= kPage / 2)) {
        cells[i] = 0xFF;
      }
      if (here && cut == Cut::torn_mixed) cells[i] = static_cast<u8>(cells[i] | next());
    }
    return here ? HalStatus::failed : HalStatus::ok;
  }

  HalStatus write(std::size_t page, std::size_t offset, ByteView data) override {
    if (!powered || page >= page_count() || offset + data.size() > kPage) return HalStatus::failed;
    u8* cells = memory.data() + page * kPage + offset;
    const bool here = ++operations == cut_at;
    if (here) powered = false;
    if (here && cut == Cut::before) return HalStatus::failed;
    bool took = true;
    for (std::size_t i = 0; i < data.size(); ++i) {
      u8 target = data[i];
      if (here && cut == Cut::torn_front && i >= data.size() / 2) target = 0xFF;
      if (here && cut == Cut::torn_back && i < data.size() / 2) target = 0xFF;
      if (here && cut == Cut::torn_mixed) target = static_cast<u8>(target | next());
      if (worn.count(page) != 0) target = static_cast<u8>(target & 0xFE);
      cells[i] = static_cast<u8>(cells[i] & target);
      took = took && cells[i] == data[i];
    }
    return here || !took ? HalStatus::failed : HalStatus::ok;
  }

  HalStatus rsa_generate(const RsaCrt<ByteSpan>& key) override {
    if (!powered || broken) return HalStatus::failed;
    static std::map<std::size_t, std::vector<Memory>> made;
    const std::size_t k = key.modulus.size();
    std::vector<Memory>& keys = made[k];
    while (keys.size() <= rsa_turn % 2) {
      Memory parts(k + 5 * k / 2);
      if (engine.rsa_generate(split(parts, k)) != HalStatus::ok) return HalStatus::failed;
      keys.push_back(parts);
    }
    const RsaCrt<ByteSpan> from = split(keys[rsa_turn++ % 2], k);
    copy(key.modulus, from.modulus);
    copy(key.prime_p, from.prime_p);
    copy(key.prime_q, from.prime_q);
    copy(key.exponent_p, from.exponent_p);
    copy(key.exponent_q, from.exponent_q);
    copy(key.coefficient, from.coefficient);
    return HalStatus::ok;
  }
  HalStatus rsa_private(const RsaCrt<ByteView>& key, u32 e, ByteView in, ByteSpan out) override {
    return powered && !broken ? engine.rsa_private(key, e, in, out) : HalStatus::failed;
  }
  HalStatus ec_generate(Curve curve, ByteSpan scalar, ByteSpan point) override {
    if (!powered || broken) return HalStatus::failed;
    return take_draw(scalar) ? engine.ec_public_point(curve, scalar, point) : engine.ec_generate(curve, scalar, point);
  }
  HalStatus ec_public_point(Curve curve, ByteView scalar, ByteSpan point) override {
    return powered && !broken ? engine.ec_public_point(curve, scalar, point) : HalStatus::failed;
  }
  HalStatus ec_check_point(Curve curve, ByteView point) override {
    return powered && !broken ? engine.ec_check_point(curve, point) : HalStatus::failed;
  }
  HalStatus ec_sign(Curve curve, ByteView scalar, ByteView digest, ByteSpan raw) override {
    return powered && !broken ? engine.ec_sign(curve, scalar, digest, raw) : HalStatus::failed;
  }
  HalStatus ec_agree(Curve curve, ByteView scalar, ByteView point, ByteSpan x) override {
    return powered && !broken ? engine.ec_agree(curve, scalar, point, x) : HalStatus::failed;
  }

  HalStatus ec_verify(Curve curve, ByteView point, ByteView digest, ByteView raw) override {
    return powered && !broken ? engine.ec_verify(curve, point, digest, raw) : HalStatus::failed;
  }
  HalStatus ec_map(Curve curve, ByteView nonce, ByteView scalar, ByteView point, ByteSpan generator) override {
    return powered && !broken ? engine.ec_map(curve, nonce, scalar, point, generator) : HalStatus::failed;
  }
  HalStatus ec_generate_on(Curve curve, ByteView generator, ByteSpan scalar, ByteSpan point) override {
    if (!powered || broken) return HalStatus::failed;
    if (!take_draw(scalar)) return engine.ec_generate_on(curve, generator, scalar, point);
    return engine.ec_multiply(curve, scalar, generator, point);
  }
  HalStatus digest(Digest digest, ByteViews message, ByteSpan out) override {
    return powered && !broken ? engine.digest(digest, message, out) : HalStatus::failed;
  }
  HalStatus aes_cbc(Cipher cipher, ByteView key, ByteView iv, ByteView in, ByteSpan out) override {
    return powered && !broken ? engine.aes_cbc(cipher, key, iv, in, out) : HalStatus::failed;
  }
  HalStatus aes_blocks(ByteView key, ByteView in, ByteSpan out) override {
    return powered && !broken ? engine.aes_blocks(key, in, out) : HalStatus::failed;
  }
  HalStatus aes_cmac(ByteView key, ByteViews message, ByteSpan out) override {
    return powered && !broken ? engine.aes_cmac(key, message, out) : HalStatus::failed;
  }

  void wait(u32 milliseconds) override { waited += milliseconds; }
  HalStatus random(ByteSpan out) override {
    if (!powered || broken) return HalStatus::failed;
    if (take_draw(out)) return HalStatus::ok;
    for (u8& octet : out) octet = next();
    return HalStatus::ok;
  }
  HalStatus self_test() override { return powered && !broken ? HalStatus::ok : HalStatus::failed; }
  void account(Work work, u32 amount) override { (work == Work::command ? commands : crc_octets) += amount; }

  Memory memory;
  std::vector<u32> erases;           // by page
  std::map<std::size_t, bool> worn;  // pages whose cells have given up
  bool powered = true;
  bool broken = false;         // the coprocessor fails its self-test and everything else
  std::size_t operations = 0;  // writes and erases since cut_power_at() or restore_power()
  std::size_t cut_at = 0;
  std::size_t reads = 0;  // since fail_read_at()
  std::size_t failing_read = 0;
  Cut cut = Cut::before;
  std::size_t rsa_turn = 0;
  std::size_t commands = 0;
  std::size_t crc_octets = 0;
  std::size_t waited = 0;     // milliseconds
  std::vector<Memory> draws;  // what random() and the key generators give next, for published examples
  Engine engine;

 private:
  static RsaCrt<ByteSpan> split(Memory& parts, std::size_t k) {
    const ByteSpan all(parts);
    return {.modulus = all.first(k),
            .prime_p = all.subspan(k, k / 2),
            .prime_q = all.subspan(k + k / 2, k / 2),
            .exponent_p = all.subspan(2 * k, k / 2),
            .exponent_q = all.subspan(2 * k + k / 2, k / 2),
            .coefficient = all.subspan(3 * k, k / 2)};
  }
  bool take_draw(ByteSpan out) {
    if (draws.empty() || draws.front().size() != out.size()) return false;
    copy(out, draws.front());
    draws.erase(draws.begin());
    return true;
  }
  u8 next() {  // xorshift: the same disorder in every run
    state_ ^= state_ << 13;
    state_ ^= state_ >> 17;
    state_ ^= state_ << 5;
    return static_cast<u8>(state_ >> 11);
  }
  u32 state_ = 0x2545F491;
};

// One exchange's answer.
struct Answer {
  u16 sw = 0;
  Memory data;
};

// Reads hexadecimal digits; blanks between octets are ignored.
inline Memory hex(const std::string& text) {
  Memory out;
  std::string pair;
  for (const char c : text) {
    if (c == ' ') continue;
    pair += c;
    if (pair.size() == 2) {
      out.push_back(static_cast<u8>(std::strtoul(pair.c_str(), nullptr, 16)));
      pair.clear();
    }
  }
  return out;
}

inline std::string to_hex(ByteView data) {
  std::string out;
  for (const u8 octet : data) {
    out += "0123456789ABCDEF"[octet >> 4];
    out += "0123456789ABCDEF"[octet & 15];
  }
  return out;
}

inline Memory operator+(Memory a, const Memory& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

inline Memory text(const std::string& s) { return {s.begin(), s.end()}; }

// Digits as commands carry them: eight octets, padded with FF.
inline Memory pin(const std::string& digits) {
  Memory out = text(digits);
  out.resize(8, 0xFF);
  return out;
}

// A short command with a data field, and Le 00 where asked for.
inline Memory apdu(const std::string& header, const Memory& data, bool le = false) {
  Memory out = hex(header);
  out.push_back(static_cast<u8>(data.size()));
  out = out + data;
  if (le) out.push_back(0);
  return out;
}

inline Answer send(Card& card, const Memory& command) {
  Memory response(kMaxResponseBytes);
  const std::size_t n = card.process(command, response);
  if (n < 2) return {};
  return {.sw = read_u16(response.data() + n - 2),
          .data = Memory(response.begin(), response.begin() + static_cast<long>(n) - 2)};
}

inline Answer send(Card& card, const std::string& command) { return send(card, hex(command)); }

// As a terminal with short APDUs does it: chains commands over 255 octets, fetches what 61xx announces.
inline Answer transmit(Card& card, const std::string& header, const Memory& data, bool le = true) {
  Memory rest = data;
  Memory head = hex(header);
  while (rest.size() > 255) {
    Memory part = head;
    part[0] = static_cast<u8>(part[0] | 0x10);
    part.push_back(255);
    part.insert(part.end(), rest.begin(), rest.begin() + 255);
    const Answer answer = send(card, part);
    if (answer.sw != 0x9000) return answer;
    rest.erase(rest.begin(), rest.begin() + 255);
  }
  if (!rest.empty()) {
    head.push_back(static_cast<u8>(rest.size()));
    head = head + rest;
  }
  if (le) head.push_back(0);
  Answer answer = send(card, head);
  Memory whole = answer.data;
  while (answer.sw >> 8 == 0x61) {
    answer = send(card, hex("00C00000") + Memory{static_cast<u8>(answer.sw)});
    whole = whole + answer.data;
  }
  answer.data = whole;
  return answer;
}

}  // namespace karta::os
