// The secure channel of the session: its keys, counters and rights, and secure messaging after ISO/IEC 7816-4 section
// 10 with AES (BSI TR-03110-3 appendix F): objects 87 or 85, 97, 99, 8E; CBC with E(K_enc, counter) as initial vector,
// the first eight octets of CMAC. SCP03 keeps its session here too and protects in its own way (scp03.h).
//
// Life: a command that has agreed on keys calls start(); its own answer still goes out as the command came in, and the
// card's dispatch calls settle() behind it. Any fault calls end(), which wipes: the next command sees no keys. There is
// one channel at a time; the new one replaces the old.
#pragma once

#include "firmware-sim/os/apdu.h"
#include "firmware-sim/os/hal.h"
#include "firmware-sim/os/status_word.h"
#include "firmware-sim/os/tlv.h"

namespace karta::os {

enum class ChannelKind : u8 {
  none,
  pace,   // a password is known
  eac,    // and the terminal's role is proven, chip authentication done
  scp03,  // the issuer or a domain
};

// A session under keys. ISO secure messaging uses `enc`, `mac` and `counter`, SCP03 all of it.
struct ChannelSession {
  ChannelKind kind = ChannelKind::none;
  u8 key_bytes = 0;  // 16, 24, 32
  u8 enc[kMaxAesKeyBytes] = {};
  u8 mac[kMaxAesKeyBytes] = {};
  u8 counter[kAesBlockBytes] = {};  // send sequence counter; SCP03: encryption counter

  // SCP03 only.
  u8 rmac[kMaxAesKeyBytes] = {};
  u8 chaining[kAesBlockBytes] = {};  // MAC of the last command; before EXTERNAL AUTHENTICATE the cryptogram awaited
  u8 level = 0;                      // security level: 01 C-MAC, 02 C-DECRYPTION, 10 R-MAC, 20 R-ENCRYPTION
  u8 mac_bytes = 0;                  // 8 (S8) or 16 (S16)
  u8 authority = 0xFF;               // slot of the domain whose keys they are; kNoSlot: the issuer
  u8 key_version = 0;
  bool authenticated = false;  // EXTERNAL AUTHENTICATE has succeeded

  ~ChannelSession() { clear(); }
  void clear();
};

class SecureChannel {
 public:
  explicit SecureChannel(Hal& hal) : hal_(hal) {}

  ChannelKind kind() const { return now_.kind; }
  bool active() const { return now_.kind != ChannelKind::none; }
  // True for a channel in which plain commands have no place: all but SCP03 at security level 00.
  bool protects() const { return active() && (now_.kind != ChannelKind::scp03 || now_.level != 0); }
  const ChannelSession& session() const { return now_; }
  ChannelSession& session() { return now_; }

  // ISO secure messaging under these keys (16, 24 or 32 octets, both alike), counter zero, from the next command on.
  void start(ChannelKind kind, ByteView key_enc, ByteView key_mac);
  // The session being prepared: SCP03 fills it in at INITIALIZE UPDATE and lets it begin at EXTERNAL AUTHENTICATE.
  ChannelSession& prepared() { return next_; }
  void start_prepared() { starting_ = true; }
  void drop_prepared();

  // The answer is out: what start() announced begins.
  void settle();
  // Wipes the session and what was prepared.
  void end();

  // ISO: checks and opens a command that came with class bits 0C, taken apart already. On success `command` is the
  // plain one: class without the bits, data in `memory` or empty, Ne from object 97. `memory` has room for the data
  // field and may be the memory it lies in, at its beginning or anywhere before it. 6988 where anything is not as it
  // must be; the caller ends the session then.
  Sw open_command(Command& command, ByteSpan memory);
  // ISO: protects answer and status word in place; afterwards `reply` is the answer's whole data field. `odd`: the
  // command's instruction was odd. The reply must hold at most kMaxPlainAnswer octets. 6988 at the counter's end.
  Sw seal_answer(Writer& reply, Sw sw, bool odd);

 private:
  bool initial_vector(u8 (&iv)[kAesBlockBytes]);
  void forget_vectors();
  bool checksum(ByteView first, ByteView objects, u8 (&mac)[kAesBlockBytes]);

  Hal& hal_;
  ChannelSession now_;
  ChannelSession next_;
  bool starting_ = false;
  // E(K_enc, counter) of this command and of those to come: their counters are known beforehand, each two later.
  static constexpr std::size_t kVectors = 10;  // a terminal's PACE session, up to chip authentication, has ten commands
  bool vectors_held_ = false;
  u8 vectors_from_[kAesBlockBytes] = {};  // counter of the first
  u8 vectors_[kVectors * kAesBlockBytes] = {};
};

// What is added to an answer at most: 87 82 hh ll 01, padding, 99 02 sw sw, 8E 08 mac. Padding and the counter's block
// that stands in front for a moment are no more than that.
constexpr std::size_t kSealBytes = 5 + kAesBlockBytes + 4 + 10;
static_assert(2 * kAesBlockBytes <= kSealBytes);

// One more in a counter of 16 octets; false when it was at its end, which it stays at.
bool advance(u8 (&counter)[kAesBlockBytes]);
// ISO/IEC 7816-4 section 10.2.3.1, method 2: the length without 80 00.. ; false when there is no such padding.
bool strip_padding(ByteView padded, std::size_t& length);

}  // namespace karta::os
