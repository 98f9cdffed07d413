// A hostile card under SCP03, from INITIALIZE UPDATE on: without the keys it authenticates nobody, and with the keys
// stolen from an earlier answer it gets no second octet past the checksum.
#include <cstdint>
#include <cstdlib>

#include "base/cursor.h"
#include "card/scp03.h"
#include "card/transports.h"

namespace {

using namespace karta;
using namespace karta::card;

const Bytes kKey(16, 0x42);
Scp03KeySet keys() {
  return {1, SecretBytes::copy_of(ByteView(kKey)), SecretBytes::copy_of(ByteView(kKey)),
          SecretBytes::copy_of(ByteView(kKey))};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Cursor input(ByteView(data, size));
  const std::uint8_t choice = input.u8().value_or(0);
  const bool honest_greeting = (choice & 1) != 0;
  const Scp03Mode mode = (choice & 2) != 0 ? Scp03Mode::s16 : Scp03Mode::s8;
  constexpr std::uint8_t kLevels[] = {0x11, 0x13, 0x33};
  const std::uint8_t level = kLevels[(choice >> 2) % 3];
  MemoryConnection connection(
      {.process =
           [&](ByteView command) {
             const auto raw = [&] {
               const std::size_t count = std::min<std::size_t>(input.u8().value_or(0), input.remaining());
               return to_bytes(input.take(count).value_or(ByteView()));
             };
             if (command.size() > 5 && command[1] == 0x50) {
               if (!honest_greeting) return raw();
               const ByteView challenge = command.subspan(5, static_cast<std::size_t>(mode));
               const Bytes own(challenge.size(), 0x77);
               const Scp03Session session(keys(), mode, challenge, own);
               Bytes answer(10, 0x01);
               append(answer, Bytes{0x01, 0x03, static_cast<std::uint8_t>(mode == Scp03Mode::s16 ? 0x71 : 0x70)});
               append(answer, own);
               append(answer, session.card_cryptogram());
               append(answer, Bytes{0, 0, 1, 0x90, 0x00});
               return answer;
             }
             if (command.size() > 5 && command[1] == 0x82) return Bytes{0x90, 0x00};
             return raw();
           },
       .atr =
           [] {
             return Bytes{0x3B, 0x80, 0x01, 0x81};
           },
       .reset = [] {}});
  PlainChannel plain(connection);
  SeededRandom random(choice);
  const auto channel = Scp03Channel::open(
      plain, {.mode = mode, .level = level, .key_version = 0},
      [](const Scp03Greeting&) { return Result<Scp03KeySet>(keys()); }, random);
  if (!channel) return 0;
  if (!honest_greeting) std::abort();  // a 64-bit cryptogram guessed: rather a fault of ours
  bool dead = false;
  for (unsigned command = 0; command < 8 && !input.empty(); ++command) {
    const auto answer = (*channel)->transmit({0x80, 0xCA, 0x00, 0x66, {}, 256});
    if (!answer) {
      dead = true;
      if ((*channel)->alive()) std::abort();
      continue;
    }
    if (dead) std::abort();
    // What came through is an error without data: everything else would need the session's keys.
    const std::uint8_t sw1 = answer->status.sw1();
    if (!answer->data.empty() || answer->status.ok() || sw1 == 0x62 || sw1 == 0x63) std::abort();
  }
  return 0;
}
