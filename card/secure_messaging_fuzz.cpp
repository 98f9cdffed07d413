// A hostile card under secure messaging: whatever it answers, command after command, nothing unprotected gets through.
//
// Input: for each command a selector octet (an honest answer, one changed in a place, or raw octets) and its material.
#include <cstdint>
#include <cstdlib>

#include "base/cursor.h"
#include "base/tlv.h"
#include "card/secure_messaging.h"
#include "card/transports.h"

namespace {

using namespace karta;
using namespace karta::card;

const Bytes kKey(16, 0x42);

// What an honest card would say: it knows the keys and counts along.
class Honest {
 public:
  void count() {
    for (std::size_t i = 16; i-- > 0;) {
      if (++counter_[i] != 0) break;
    }
  }
  Bytes answer(ByteView data) {
    count();
    const SecretBytes key = SecretBytes::copy_of(ByteView(kKey));
    Bytes objects;
    if (!data.empty()) {
      Bytes padded = to_bytes(data);
      crypto::pad_iso9797(padded);
      const Bytes blocks = crypto::aes_cbc_encrypt(key, crypto::aes_encrypt_block(key, counter_), padded);
      objects = make_tlv(0x87, {Bytes{0x01}, blocks});
    }
    append_tlv(objects, 0x99, Bytes{0x90, 0x00});
    Bytes message = to_bytes(counter_);
    append(message, objects);
    crypto::pad_iso9797(message);
    append_tlv(objects, 0x8E, ByteView(crypto::aes_cmac(key, {message})).first(8));
    append(objects, Bytes{0x90, 0x00});
    return objects;
  }

 private:
  crypto::AesBlock counter_{};
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Cursor input(ByteView(data, size));
  Honest honest;
  Bytes said;
  bool genuine = false;
  MemoryConnection connection({.process =
                                   [&](ByteView) {
                                     honest.count();
                                     said = {1, 2, 3};
                                     Bytes answer = honest.answer(said);
                                     genuine = true;
                                     const std::uint8_t how = input.u8().value_or(0);
                                     if (how == 0) return answer;
                                     genuine = false;
                                     if (how < 0x80) {  // one octet changed, or the rest cut off
                                       const std::size_t at = input.u8().value_or(0) % answer.size();
                                       if (how < 0x40) {
                                         answer[at] = static_cast<std::uint8_t>(answer[at] ^ how);
                                       } else {
                                         answer.resize(at);
                                       }
                                       return answer;
                                     }
                                     const std::size_t count = std::min<std::size_t>(how & 0x7Fu, input.remaining());
                                     return to_bytes(input.take(count).value_or(ByteView()));
                                   },
                               .atr =
                                   [] {
                                     return Bytes{0x3B, 0x80, 0x01, 0x81};
                                   },
                               .reset = [] {}});
  PlainChannel plain(connection);
  SecureMessagingChannel channel(plain,
                                 {SecretBytes::copy_of(ByteView(kKey)), SecretBytes::copy_of(ByteView(kKey)), {}});
  bool dead = false;
  for (unsigned command = 0; command < 8 && !input.empty(); ++command) {
    const auto answer = channel.transmit({0x00, 0xB0, 0x00, static_cast<std::uint8_t>(command), {}, 256});
    // Only what the honest card said, and nothing at all after the first fault.
    if (answer && (dead || !genuine || answer->data != said)) std::abort();
    if (!answer) dead = true;
    if (dead && channel.secure()) std::abort();
  }
  return 0;
}
