// Any sequence of commands against a blank and against an issued card. The card must not crash, and afterwards: no
// answer held the private key, and nobody has more tries than before without having known the PIN or its PUK.
//
// Input: two octets choose the card and where the power is cut, then commands, each as two octets of length and
// content.
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "firmware-sim/host/coprocessor.h"
#include "firmware-sim/os/card.h"
#include "firmware-sim/os/test_chip.h"

namespace karta::os {
namespace {

using Chip = TestChip<sim::Coprocessor>;

constexpr std::size_t kPages = 96;  // a small chip starts fast, and is full soon
constexpr u8 kSerial[kSerialBytes] = {0xA0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09};
constexpr char kSelect[] = "00A404000CA000000063504B43532D3135";

// Octets that a PIN may have and no seed does: a run that knew the PIN would rightly change what is checked below.
const Memory kPin = hex("C3D4E5F6A7B80918");
const Memory kPuk = hex("1A2B3C4D5E6F7081");
const Memory kScalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");

void must(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "invariant broken: %s\n", what);
  std::abort();
}

void run(Card& card, const Memory& command) { must(send(card, command).sw == 0x9000, to_hex(command).c_str()); }

Memory make_card(bool issued) {
  Chip chip(kPages);
  Card card(chip, kDefaultConfig);
  must(card.format(kSerial) && card.boot(Interface::contact), "a blank card comes up");
  run(card, hex(kSelect));
  run(card, hex("00DA010113") + kPin + kPuk + Memory{3, 3, 0});
  run(card, hex("00DA010213") + kPin + Memory(8, 0xFF) + Memory{3, 0, 2});
  run(card, hex("00DA010F0B") + text("9081726354") + Memory{5});
  run(card, hex("00E0000019 6217 81020100 820122 83024B01 86031FF1FF 85021001 8A0100"));
  run(card, apdu("00DA0187", kScalar));
  run(card, hex("00E0000019 6217 81020100 820122 83024B02 860311F1FF 85020004 8A0100"));
  run(card, apdu("00DA0187", kScalar));
  run(card, hex("00E0000015 6213 80020258 820101 83024301 860301FFFF 8A0100"));
  if (issued) run(card, hex("0044000002 3F00"));
  return chip.memory;
}

bool contains(const Memory& in, ByteView needle) {
  for (std::size_t at = 0; at + needle.size() <= in.size(); ++at) {
    if (equal(ByteView(in).subspan(at, needle.size()), needle)) return true;
  }
  return false;
}

// 15 (blocked counts as 0) for a PIN that is not set: a wipe has taken it away together with what it protects.
int tries(Card& card, u8 reference) {
  const u16 sw = send(card, hex("002000") + Memory{reference}).sw;
  return sw == 0x6983 ? 0 : (sw & 0xFFF0) == 0x63C0 ? sw & 0xF : -1;
}

void exercise(const u8* data, std::size_t size) {
  static const Memory blank = make_card(false);
  static const Memory issued = make_card(true);
  static Chip chip(kPages);
  if (size < 2) return;
  const bool is_issued = (data[0] & 1) != 0;
  chip.memory = is_issued ? issued : blank;
  chip.restore_power();
  chip.rsa_turn = 0;
  auto card = std::make_unique<Card>(chip, kDefaultConfig);
  must(card->boot((data[0] & 2) != 0 ? Interface::contactless : Interface::contact), "the card comes up");
  if ((data[0] & 4) != 0) chip.cut_power_at(1 + data[1] % 64, kCuts[data[0] >> 3 & 3]);

  Memory response(kMaxResponseBytes);
  Memory seen;
  for (std::size_t at = 2; at + 2 <= size;) {
    std::size_t n = static_cast<std::size_t>(data[at]) << 8 | data[at + 1];
    at += 2;
    if (n > size - at) n = size - at;
    const std::size_t out = card->process({data + at, n}, response);
    must(out >= 2 && out <= kMaxResponseBytes, "an answer is a status word at least");
    if (seen.size() < 65536) seen.insert(seen.end(), response.begin(), response.begin() + static_cast<long>(out) - 2);
    at += n;
  }
  for (std::size_t at = 0; at + 8 <= kScalar.size(); at += 8) {
    must(!contains(seen, ByteView(kScalar).subspan(at, 8)), "the private key stays on the card");
  }
  must(!contains(seen, kPin) && !contains(seen, kPuk), "PIN and PUK stay on the card");

  chip.restore_power();
  card = std::make_unique<Card>(chip, kDefaultConfig);
  must(card->boot(Interface::contact), "the card comes up again, cut or not");
  if (is_issued) {
    must(send(*card, hex(kSelect)).sw == 0x9000, "an issued card keeps its application");
    for (const u8 reference : {u8{1}, u8{2}}) {
      const int left = tries(*card, reference);
      must(left >= 0 && left <= 3, "tries never grow");
      if (left == 0) continue;
      // Nobody has changed the PIN: it still verifies. And without it the key signs nothing.
      if (reference == 1) {
        run(*card, hex("002241B60A 800104 81024B01 840100"));
        must(send(*card, hex("002A9E9A04 01020304 00")).sw == 0x6982, "no signature without the PIN");
      }
      must(send(*card, hex("002000") + Memory{reference, 8} + kPin).sw == 0x9000, "the PIN is still the PIN");
    }
    must(send(*card, hex("00E0000015 6213 80020258 820101 83024302 860301FFFF 8A0100")).sw == 0x6982, "stays closed");
  }
}

}  // namespace
}  // namespace karta::os

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  karta::os::exercise(data, size);
  return 0;
}
