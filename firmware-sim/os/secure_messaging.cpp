#include "firmware-sim/os/secure_messaging.h"

namespace karta::os {
namespace {

constexpr u8 kZeroBlock[kAesBlockBytes] = {};
constexpr std::size_t kChecksumBytes = 8;
constexpr std::size_t kChecksumObject = 2 + kChecksumBytes;
constexpr u8 kPaddingContent = 0x01;  // first octet of object 87

// 80 00.. up to the next whole block; a whole block of it where there is nothing to fill.
ByteView padding_behind(std::size_t octets) {
  static constexpr u8 kPadding[kAesBlockBytes] = {0x80};
  return ByteView(kPadding).first(kAesBlockBytes - octets % kAesBlockBytes);
}

// What the objects of a protected command are; the checksum has been taken off before.
struct Objects {
  bool has_cryptogram = false;
  ByteView cryptogram;  // without the padding indicator
  bool has_le = false;
  ByteView le;
};

bool read_objects(ByteView data, bool odd, Objects& out) {
  TlvCursor cursor(data);
  for (Tlv object; cursor.next(object);) {
    if (object.tag == (odd ? 0x85 : 0x87)) {
      if (out.has_cryptogram || out.has_le) return false;
      out.has_cryptogram = true;
      out.cryptogram = object.value;
      if (!odd) {
        if (object.value.empty() || object.value[0] != kPaddingContent) return false;
        out.cryptogram = object.value.subspan(1);
      }
      if (out.cryptogram.empty() || out.cryptogram.size() % kAesBlockBytes != 0) return false;
    } else if (object.tag == 0x97) {
      if (out.has_le || object.value.empty() || object.value.size() > 2) return false;
      out.has_le = true;
      out.le = object.value;
    } else {
      return false;
    }
  }
  return cursor.ok();
}

}  // namespace

void ChannelSession::clear() {
  wipe(enc);
  wipe(mac);
  wipe(counter);
  wipe(rmac);
  wipe(chaining);
  kind = ChannelKind::none;
  key_bytes = 0;
  level = 0;
  mac_bytes = 0;
  authority = 0xFF;
  key_version = 0;
  authenticated = false;
}

bool advance(u8 (&counter)[kAesBlockBytes]) {
  bool at_end = true;
  for (const u8 octet : counter) at_end = at_end && octet == 0xFF;
  if (at_end) return false;
  for (std::size_t i = kAesBlockBytes; i-- > 0;) {
    if (++counter[i] != 0) break;
  }
  return true;
}

bool strip_padding(ByteView padded, std::size_t& length) {
  length = padded.size();
  while (length > 0 && padded[length - 1] == 0x00) --length;
  if (length == 0 || padded[length - 1] != 0x80) return false;
  --length;
  return padded.size() - length <= kAesBlockBytes;
}

void SecureChannel::start(ChannelKind kind, ByteView key_enc, ByteView key_mac) {
  next_.clear();
  next_.kind = kind;
  next_.key_bytes = static_cast<u8>(key_enc.size());
  copy(next_.enc, key_enc);
  copy(next_.mac, key_mac);
  starting_ = true;
}

void SecureChannel::drop_prepared() {
  next_.clear();
  starting_ = false;
}

void SecureChannel::settle() {
  if (!starting_) return;
  now_ = next_;
  forget_vectors();
  drop_prepared();
}

void SecureChannel::end() {
  now_.clear();
  forget_vectors();
  drop_prepared();
}

void SecureChannel::forget_vectors() {
  wipe(vectors_);
  vectors_held_ = false;
}

// Of a command: answers get theirs in the call that encrypts them. A call of the coprocessor costs far more than a
// block of it, so that one call makes those of many commands.
bool SecureChannel::initial_vector(u8 (&iv)[kAesBlockBytes]) {
  std::size_t at = 0;
  u8 counter[kAesBlockBytes];
  const auto next_command = [&counter] { return advance(counter) && advance(counter); };
  if (vectors_held_) {
    copy(counter, vectors_from_);
    while (at < kVectors && !equal_constant_time(counter, now_.counter)) {
      (void)next_command();
      ++at;
    }
  }
  if (!vectors_held_ || at == kVectors) {
    at = 0;
    copy(vectors_from_, now_.counter);
    copy(counter, now_.counter);
    for (ByteSpan room(vectors_); !room.empty(); room = room.subspan(kAesBlockBytes)) {
      copy(room, counter);
      (void)next_command();  // behind the counter's end there are no commands to use them
    }
    vectors_held_ = hal_.aes_blocks(ByteView(now_.enc).first(now_.key_bytes), vectors_, vectors_) == HalStatus::ok;
    if (!vectors_held_) return false;
  }
  copy(iv, ByteView(vectors_).subspan(at * kAesBlockBytes, kAesBlockBytes));
  return true;
}

// TR-03110-3 F.3: over the counter, the header padded, and the objects padded. `first` is the header's block or empty
// (an answer); where there are no objects the header's block is not padded a second time.
bool SecureChannel::checksum(ByteView first, ByteView objects, u8 (&mac)[kAesBlockBytes]) {
  const ByteView tail = objects.empty() ? ByteView() : padding_behind(objects.size());
  const ByteView message[] = {now_.counter, first, objects, tail};
  return hal_.aes_cmac(ByteView(now_.mac).first(now_.key_bytes), message, mac) == HalStatus::ok;
}

Sw SecureChannel::open_command(Command& command, ByteSpan memory) {
  if (!advance(now_.counter)) return Sw::secure_messaging_incorrect;
  const ByteView data = command.data;
  if (data.size() < kChecksumObject) return Sw::secure_messaging_incorrect;
  const ByteView objects = data.first(data.size() - kChecksumObject);
  const ByteView last = data.last(kChecksumObject);
  if (last[0] != 0x8E || last[1] != kChecksumBytes) return Sw::secure_messaging_incorrect;

  u8 block[kAesBlockBytes] = {command.cla, command.ins, command.p1, command.p2, 0x80};
  u8 mac[kAesBlockBytes];
  const WipeOnExit wipe_mac(mac);  // of a forged command it is the checksum the forger is looking for
  if (!checksum(block, objects, mac)) return Sw::no_diagnosis;
  if (!equal_constant_time(ByteView(mac).first(kChecksumBytes), last.last(kChecksumBytes))) {
    return Sw::secure_messaging_incorrect;
  }

  Objects found;
  if (!read_objects(objects, (command.ins & 1) != 0, found)) return Sw::secure_messaging_incorrect;
  command.ne = 0;
  command.le_is_max = false;
  if (found.has_le) {
    const std::size_t le = found.le.size() == 1 ? found.le[0] : read_u16(found.le.data());
    command.le_is_max = le == 0;
    command.ne = le != 0 ? le : found.le.size() == 1 ? 256 : 65536;
  }
  command.data = {};
  if (found.has_cryptogram) {
    const std::size_t n = found.cryptogram.size();
    if (n > memory.size()) return Sw::secure_messaging_incorrect;
    copy(memory, found.cryptogram);  // forwards: the objects lie behind the memory's beginning or somewhere else
    const ByteSpan plain = memory.first(n);
    if (!initial_vector(block)) return Sw::no_diagnosis;
    if (hal_.aes_cbc(Cipher::decrypt, ByteView(now_.enc).first(now_.key_bytes), block, plain, plain) != HalStatus::ok) {
      return Sw::no_diagnosis;
    }
    std::size_t length = 0;
    if (!strip_padding(plain, length)) return Sw::secure_messaging_incorrect;
    command.data = plain.first(length);
  }
  command.cla = static_cast<u8>(command.cla & ~0x0C);
  command.secured = true;
  return Sw::ok;
}

Sw SecureChannel::seal_answer(Writer& reply, Sw sw, bool odd) {
  if (!advance(now_.counter)) return Sw::secure_messaging_incorrect;
  const std::size_t n = reply.size();
  if (n != 0) {
    // With the counter's block in front and a vector of zeros the first block out is E(K_enc, counter), and what
    // follows is chained to it as to the initial vector it is: one call of the coprocessor in place of two. Encrypted
    // where it stands, then moved to behind the object's header, in place of that block.
    const std::size_t padded = n / kAesBlockBytes * kAesBlockBytes + kAesBlockBytes;
    reply.bytes(padding_behind(n));
    const std::size_t value = padded + (odd ? 0 : 1);
    const std::size_t head = Writer::header_bytes(0x87, value) + (odd ? 0 : 1);
    if (reply.claim(kAesBlockBytes).empty()) return Sw::no_diagnosis;
    const ByteSpan all = reply.written();
    for (std::size_t i = padded; i-- > 0;) all[kAesBlockBytes + i] = all[i];
    copy(all, now_.counter);
    if (hal_.aes_cbc(Cipher::encrypt, ByteView(now_.enc).first(now_.key_bytes), kZeroBlock, all, all) !=
        HalStatus::ok) {
      return Sw::no_diagnosis;
    }
    copy(all.subspan(head), all.subspan(kAesBlockBytes));
    reply.shorten(head + padded);
    Writer front(all.first(head));
    front.header(odd ? 0x85 : 0x87, value);
    if (!odd) front.byte(kPaddingContent);
  }
  reply.header(0x99, 2);
  reply.u16_be(static_cast<u16>(sw));
  u8 mac[kAesBlockBytes];
  if (!reply.ok() || !checksum({}, reply.written(), mac)) return Sw::no_diagnosis;
  reply.object(0x8E, ByteView(mac).first(kChecksumBytes));
  return reply.ok() ? Sw::ok : Sw::no_diagnosis;
}

}  // namespace karta::os
