// Any sequence of a terminal's moves against an issued card: whole and broken runs of PACE, certificates right, wrong
// and twisted, terminal and chip authentication in and out of order, raw octets in plain and under the channel's
// protection. The card must not crash, and afterwards: nobody without the rights has seen a data group, no try has come
// back without its secret, the anchors are those there were, and the holder's secrets still work.
//
// Input: one octet a move, its low nibble, then what the move takes: one octet of variant, or two of length and
// content.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>

#include "firmware-sim/os/test_eac.h"

namespace karta::os {
namespace {

void must(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "invariant broken: %s\n", what);
  std::abort();
}

// P-256 throughout: the coprocessor is fastest there, and the card's code is the same.
const Chain& chain() {
  static const Chain made = Chain::make(Curve::p256);
  return made;
}

class Input {
 public:
  Input(const u8* data, std::size_t size) : data_(data), size_(size) {}
  bool empty() const { return at_ >= size_; }
  u8 octet() { return empty() ? u8{0} : data_[at_++]; }
  Memory octets() {
    std::size_t n = static_cast<std::size_t>(octet()) << 8;
    n |= octet();
    if (n > size_ - at_) n = size_ - at_;
    Memory out(data_ + at_, data_ + at_ + n);
    at_ += n;
    return out;
  }

 private:
  const u8* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

class Session {
 public:
  explicit Session(EacCard& card) : card_(card), terminal_(chain()) {
    card_.pace = {};
    card_.restart();
  }

  void move(Input& input) {
    try {
      perform(input.octet() & 0x0F, input);
    } catch (const std::runtime_error&) {
      card_.channel.reset();  // the card has ended the channel
    }
  }

  Memory seen;
  bool opened = false;     // chip authentication after everything before it: data groups may be seen
  bool knows_pin = false;  // a run with the right PIN was finished
  bool knows_puk = false;

 private:
  Exchange exchange() {
    return [this](const Memory& command) {
      const Answer answer = card_.run(command);
      if (seen.size() < 32768) seen = seen + answer.data;
      return answer;
    };
  }
  void pace(u8 variant, u8 steps, const Memory& instead) {
    constexpr const char* kPasswords[] = {"123456", "123456", "9081726354", "000000"};
    constexpr u8 kReferences[] = {2, 3, 4, 3};
    PaceTerminal run;
    run.domain = 0x0C;
    run.reference = kReferences[variant & 3];
    run.password = kPasswords[variant & 3];
    if ((variant & 4) != 0) run.chat_object = chat(kAuthenticationTerminal, 0, (variant & 8) != 0 ? 0 : kAllRights);
    const u16 set = run.set(exchange());
    if (set != 0x9000 && set >> 8 != 0x63) return;
    using Step = u16 (PaceTerminal::*)(const Exchange&);
    constexpr Step kSteps[] = {&PaceTerminal::ask_nonce, &PaceTerminal::map, &PaceTerminal::agree,
                               &PaceTerminal::finish};
    for (u8 i = 0; i < 4; ++i) {
      if (i == steps) {
        exchange()(PaceTerminal::step(instead, i == 3));
        return;
      }
      if ((run.*kSteps[i])(exchange()) != 0x9000) return;
    }
    must(run.password != "000000", "a wrong PIN opens nothing");
    knows_pin = knows_pin || run.reference == 3;
    knows_puk = knows_puk || run.reference == 4;
    card_.channel = run.channel();
    card_.pace = run;
  }
  // A valid certificate with one octet changed, signed again or not.
  void twisted(u8 variant) {
    const bool verifier = (variant & 1) != 0;
    const Certified& from = verifier ? chain().verifier : chain().terminal;
    const Signer& signer = verifier ? chain().root.signer : chain().verifier.signer;
    Memory body = certificate_body(from.text);
    const std::size_t at = variant / 2 * body.size() / 128;
    body[at % body.size()] ^= 1;
    const u16 sw = EacTerminal::present(exchange(), from.text.authority,
                                        body + tlv(0x5F37, signer.sign(certificate_body(from.text))));
    must(sw != 0x9000, "a certificate with one bit changed is refused");
  }
  void perform(u8 what, Input& input) {
    switch (what) {
      case 0:
        pace(input.octet(), 4, {});
        break;
      case 1: {
        const u8 variant = input.octet();
        pace(variant, variant >> 4 & 3, input.octets());
        break;
      }
      case 2:
        EacTerminal::present(exchange(), chain().verifier);
        break;
      case 3:
        EacTerminal::present(exchange(), chain().terminal);
        break;
      case 4:
        terminal_.announce(exchange(), Curve::p256);
        break;
      case 5:
        if (card_.pace.card_ephemeral.size() == 65 && !terminal_.ephemeral.scalar.empty()) {
          terminal_.prove(exchange(), card_.pace.card_identity());
        }
        break;
      case 6:
        if (!terminal_.ephemeral.scalar.empty()) {
          const auto channel = terminal_.authenticate_chip(exchange(), card_.chip_key);
          if (channel) {
            opened = true;
            card_.channel = *channel;
          }
        }
        break;
      case 7:
        twisted(input.octet());
        break;
      case 8:  // under the channel, if there is one
      case 9: {
        const Memory content = input.octets();  // header and data field
        if (content.size() < 4 || content.size() > 4 + 200) break;
        const Memory data = slice(content, 4, content.size() - 4);
        exchange()(slice(content, 0, 4) + (data.empty() ? Memory{} : with_length(data, false)) + Memory{0});
        break;
      }
      case 10: {  // past the channel's terminal
        const Answer answer = card_.plain(input.octets());
        if (seen.size() < 32768) seen = seen + answer.data;
        break;
      }
      case 11:
        exchange()(apdu("00A4040C", hex(EacCard::kIdentityAid)));
        exchange()(Memory{0x00, 0xB0, static_cast<u8>(0x80 | (input.octet() & 0x1F)), 0x00, 0x00});
        break;
      case 12: {  // a protected command, one octet of it changed
        if (!card_.channel) break;
        Memory command = card_.channel->protect(hex("00A40000023F00"));
        command[input.octet() % command.size()] ^= 0x41;
        card_.plain(command);
        card_.channel.reset();
        break;
      }
      case 13: {
        const Memory certificate = input.octets();
        EacTerminal::present(exchange(), input.octet() % 2 == 0 ? "ZZCVCA00001" : "ZZDV00001", certificate);
        break;
      }
      default:
        if (!card_.card->reset(Interface::contactless)) must(false, "a reset card answers");
        card_.channel.reset();
        break;
    }
  }

  EacCard& card_;
  EacTerminal terminal_;
};

bool contains(const Memory& in, const Memory& needle) {
  return std::search(in.begin(), in.end(), needle.begin(), needle.end()) != in.end();
}

void exercise(const u8* data, std::size_t size) {
  static EacCard card(chain(), Curve::p256, 160);
  static const Memory issued = card.chip.memory;
  card.chip.memory = issued;
  Session session(card);
  Input input(data, size);
  for (int moves = 0; !input.empty() && moves < 24; ++moves) session.move(input);

  for (const u8 group : {u8{0xD1}, u8{0xD4}, u8{0xE1}}) {  // content of data groups 1, 4 and 17
    must(session.opened || !contains(session.seen, Memory(20, group)), "no data group without rights");
  }
  must(!contains(session.seen, text("20000229")), "reference data stay on the card");
  must(!contains(session.seen, text("9081726354")), "the PUK stays on the card");

  const auto tries = [&](u8 reference) {
    card.restart();
    PaceTerminal status;
    status.domain = 0x0C;
    status.reference = reference;
    const u16 sw = card.plain(status.set_command()).sw;
    return sw == 0x9000 || sw == 0x6283 ? 3 : sw & 0x0F;
  };
  must(tries(3) <= 3 && tries(4) <= 3, "tries never grow");
  if (!session.opened) {
    // Nobody had the right to change a secret. What is left of tries still works.
    if (tries(4) > 0) must(card.open(4, "9081726354") == 0x9000, "the PUK is the PUK");
    card.restart();
    must(card.open(2, "123456", chat(kAuthenticationTerminal, 0, kAllRights)) == 0x9000, "the CAN is the CAN");
    must(card.pace.anchors == std::vector<std::string>{"ZZCVCA00001"}, "the anchors are the anchors");
    const int left = tries(3);
    if (left > 0 && !session.knows_pin) {
      card.restart();
      must(card.open(2, "123456") == 0x9000, "the CAN opens");
      must(card.open(3, "123456") == 0x9000, "the PIN is the PIN");
    }
  }
}

}  // namespace
}  // namespace karta::os

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  karta::os::exercise(data, size);
  return 0;
}
