#include "firmware-sim/os/scp03.h"

namespace karta::os {
namespace {

constexpr u8 kZeroBlock[kAesBlockBytes] = {};
constexpr u8 kPadding[kAesBlockBytes] = {0x80};

// Table 7-2: a level is C-MAC first, then decryption of commands, then the answer's side, which never goes further.
constexpr u8 kLevels[] = {0x00, 0x01, 0x03, 0x11, 0x13, 0x33};

bool is_level(u8 level) {
  for (const u8 known : kLevels) {
    if (known == level) return true;
  }
  return false;
}

ByteView enc_key(const ChannelSession& session) { return ByteView(session.enc).first(session.key_bytes); }
ByteView mac_key(const ChannelSession& session) { return ByteView(session.mac).first(session.key_bytes); }

// Sections 6.2.6 and 6.2.7: the counter's block encrypted; an answer's block has its first bit set.
bool initial_vector(Hal& hal, const ChannelSession& session, bool answer, u8 (&iv)[kAesBlockBytes]) {
  copy(iv, session.counter);
  if (answer) iv[0] = 0x80;
  return hal.aes_cbc(Cipher::encrypt, enc_key(session), kZeroBlock, iv, iv) == HalStatus::ok;
}

// Section 6.2.4: the chaining value, the header and Lc as they came, the data field without its MAC. The MAC becomes
// the next chaining value.
Sw check_command_mac(Hal& hal, ChannelSession& session, const Command& command) {
  const std::size_t n = session.mac_bytes;
  if (command.data.size() < n) return Sw::security_status_not_satisfied;
  const ByteView message[] = {session.chaining, command.head, command.data.first(command.data.size() - n)};
  u8 mac[kAesBlockBytes];
  const WipeOnExit wipe_mac(mac);
  if (hal.aes_cmac(mac_key(session), message, mac) != HalStatus::ok) return Sw::no_diagnosis;
  if (!equal_constant_time(ByteView(mac).first(n), command.data.last(n))) return Sw::security_status_not_satisfied;
  copy(session.chaining, mac);
  return Sw::ok;
}

}  // namespace

bool derive(Hal& hal, ByteView key, Derivation constant, ByteView first, ByteView second, ByteSpan out) {
  const std::size_t bits = out.size() * 8;
  u8 block[kAesBlockBytes];
  const WipeOnExit wipe_block(block);
  for (u8 i = 1; !out.empty(); ++i) {
    // Label of twelve octets, the separation octet, the length in bits, the counter.
    const u8 fixed[16] = {0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          0,
                          static_cast<u8>(constant),
                          0,
                          static_cast<u8>(bits >> 8),
                          static_cast<u8>(bits),
                          i};
    const ByteView message[] = {fixed, first, second};
    if (hal.aes_cmac(key, message, block) != HalStatus::ok) return false;
    const std::size_t n = out.size() < sizeof block ? out.size() : sizeof block;
    copy(out, ByteView(block).first(n));
    out = out.subspan(n);
  }
  return true;
}

Sw prepare_scp03(Hal& hal, ByteView key_enc, ByteView key_mac, ByteView host_challenge, ByteView card_challenge,
                 ChannelSession& session, ByteSpan card_cryptogram) {
  session.clear();
  const std::size_t n = key_enc.size();
  session.key_bytes = static_cast<u8>(n);
  session.mac_bytes = static_cast<u8>(host_challenge.size());
  const auto from = [&](ByteView key, Derivation constant, ByteSpan out) {
    return derive(hal, key, constant, host_challenge, card_challenge, out);
  };
  const ByteSpan mac = ByteSpan(session.mac).first(n);
  // The host's cryptogram waits where the chaining value will be.
  if (!from(key_enc, Derivation::enc, ByteSpan(session.enc).first(n)) || !from(key_mac, Derivation::mac, mac) ||
      !from(key_mac, Derivation::rmac, ByteSpan(session.rmac).first(n)) ||
      !from(mac, Derivation::card_cryptogram, card_cryptogram) ||
      !from(mac, Derivation::host_cryptogram, ByteSpan(session.chaining).first(session.mac_bytes))) {
    session.clear();
    return Sw::no_diagnosis;
  }
  return Sw::ok;
}

// Amendment D section 7.1.2. Cryptogram and MAC are both looked at before anything is said about either.
Sw authenticate_scp03(Hal& hal, ChannelSession& session, const Command& command) {
  const std::size_t n = session.mac_bytes;
  if (!is_level(command.p1) || command.p2 != 0) return Sw::incorrect_p1_p2;
  if (command.data.size() != 2 * n) return Sw::wrong_length;
  const bool known = equal_constant_time(command.data.first(n), ByteView(session.chaining).first(n));
  wipe(session.chaining);
  const Sw mac = check_command_mac(hal, session, command);
  if (!known) return Sw::authentication_failed;
  if (mac != Sw::ok) return mac;
  session.kind = ChannelKind::scp03;
  session.level = command.p1;
  session.authenticated = true;
  return Sw::ok;
}

Sw open_scp03(Hal& hal, ChannelSession& session, Command& command, ByteSpan memory) {
  if (command.data.empty()) return Sw::security_status_not_satisfied;
  if (const Sw sw = check_command_mac(hal, session, command); sw != Sw::ok) return sw;
  command.data = command.data.first(command.data.size() - session.mac_bytes);
  if ((session.level & kCommandDecryption) != 0) {
    // Section 6.2.6: the counter counts every command, with data or without.
    if (!advance(session.counter)) return Sw::secure_messaging_incorrect;
    if (!command.data.empty()) {
      const std::size_t n = command.data.size();
      u8 iv[kAesBlockBytes];
      if (n % kAesBlockBytes != 0 || n > memory.size()) return Sw::secure_messaging_incorrect;
      if (!initial_vector(hal, session, false, iv)) return Sw::no_diagnosis;
      copy(memory, command.data);
      const ByteSpan plain = memory.first(n);
      if (hal.aes_cbc(Cipher::decrypt, enc_key(session), iv, plain, plain) != HalStatus::ok) return Sw::no_diagnosis;
      std::size_t length = 0;
      if (!strip_padding(plain, length)) return Sw::secure_messaging_incorrect;
      command.data = plain.first(length);
    }
  }
  command.cla = static_cast<u8>(command.cla & ~0x04);
  command.secured = true;
  return Sw::ok;
}

Sw seal_scp03(Hal& hal, ChannelSession& session, Writer& reply, Sw sw) {
  const u8 sw1 = static_cast<u8>(static_cast<u16>(sw) >> 8);
  const bool error = sw != Sw::ok && sw1 != 0x62 && sw1 != 0x63;
  if ((session.level & kResponseMac) == 0 || error) return Sw::ok;
  if ((session.level & kResponseEncryption) != 0 && reply.size() != 0) {
    reply.bytes(ByteView(kPadding).first(kAesBlockBytes - reply.size() % kAesBlockBytes));
    u8 iv[kAesBlockBytes];
    if (!reply.ok() || !initial_vector(hal, session, true, iv)) return Sw::no_diagnosis;
    const ByteSpan all = reply.written();
    if (hal.aes_cbc(Cipher::encrypt, enc_key(session), iv, all, all) != HalStatus::ok) return Sw::no_diagnosis;
  }
  u8 status[2];
  write_u16(status, static_cast<u16>(sw));
  const ByteView message[] = {session.chaining, reply.written(), status};
  u8 mac[kAesBlockBytes];
  if (hal.aes_cmac(ByteView(session.rmac).first(session.key_bytes), message, mac) != HalStatus::ok) {
    return Sw::no_diagnosis;
  }
  reply.bytes(ByteView(mac).first(session.mac_bytes));
  return reply.ok() ? Sw::ok : Sw::no_diagnosis;
}

}  // namespace karta::os
