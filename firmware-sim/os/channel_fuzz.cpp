// Secure channels under any sequence: an issued card with a domain, a session of SCP03 or of PACE, and then commands
// that go through it as they should, or changed, repeated, shortened and mixed with plain ones on the way. The card
// must not crash, and afterwards: nothing that no session may have has left the card in any answer, opened or not; who
// is not the issuer has administered nothing; no counter has moved the wrong way.
//
// Input: an octet chooses the session, then steps: an octet for what is done, two of length, content.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "firmware-sim/os/test_eac.h"

namespace karta::os {
namespace {

constexpr std::size_t kPages = 128;
constexpr u8 kSerial[kSerialBytes] = {0xA0, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09};
const Memory kPin = hex("C3D4E5F6A7B80918");
const Memory kPuk = hex("1A2B3C4D5E6F7081");
const Memory kScalar = hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721");
const Memory kDomain = hex("F04B4152544110");
const Memory kDepartment = hex("5EC2E7D0CDE9A27B1F0011223344556677889900AABBCCDD");  // content of the domain's file
const HostKeys kIssuerKeys = sample_keys(16, 7);

void must(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "invariant broken: %s\n", what);
  std::abort();
}

void run(Card& card, const Memory& command) { must(send(card, command).sw == 0x9000, to_hex(command).c_str()); }

struct Prepared {
  Memory memory;
  HostKeys domain_keys;
};

// Issued, with PIN 1, a key under it, the domain and in it a file that nobody reads.
Prepared make_card() {
  Prepared out;
  Chip chip(kPages);
  Card card(chip, kDefaultConfig);
  must(card.format(kSerial) && card.boot(Interface::contact), "a blank card comes up");
  run(card, hex("00DA011006 313233343536"));
  const Memory infos = tlv(0x31, tlv(0x30, tlv(0x06, protocol_oid(4, 2)) + hex("020102 02010C")));
  run(card, apdu("00E00000", tlv(0x62, hex("8002") + Memory{0, static_cast<u8>(infos.size())} +
                                           hex("820101 8302011C 8603000FFF A104810201FF 8A0100"))));
  run(card, apdu("00D60000", infos));
  run(card, hex("00A40000"));
  run(card, apdu("00E00000", tlv(0x62, hex("81020100 820122 830200C5 8603FFFFFF 85020040 8A0100"))));
  const Answer point = send(card, "0046000000");
  must(point.sw == 0x9000, "the loading key");
  run(card, hex("00A404000CA000000063504B43532D3135"));
  run(card, hex("00DA010113") + kPin + kPuk + Memory{3, 3, 0});
  run(card, hex("00E0000019 6217 81020100 820122 83024B01 86031FF1FF 85021001 8A0100"));
  run(card, apdu("00DA0187", kScalar));

  Scp03Host blank(initial_keys());
  must(blank.open(card, 0x33) == 0x9000, "the blank card's session");
  must(blank.exchange(card, blank.put_key(0, 0x30, kIssuerKeys)).sw == 0x9000, "PUT KEY");
  must(blank.exchange(card, "80F0800F").sw == 0x9000, "issued");
  Scp03Host issuer(kIssuerKeys);
  must(issuer.open(card, 0x33) == 0x9000, "the issuer's session");
  must(issuer.exchange(card, apdu("80E60C00", hex("000007") + kDomain + hex("01800000"), true)).sw == 0x9000,
       "INSTALL");
  must(issuer.exchange(card, apdu("80E62000", hex("000007") + kDomain + hex("000000"), true)).sw == 0x9000, "choose");
  Memory scalar(32);
  Memory mine(65);
  must(test_aes().ec_generate(Curve::p256, scalar, mine) == HalStatus::ok, "a key pair");
  const Memory message = hex("A60F 900103 95013C 800188 810110 830101 5F4941") + mine;
  must(issuer.exchange(card, apdu("80E29100", message, true)).sw == 0x9000, "domain keys");
  Memory z(32);
  must(test_aes().ec_agree(Curve::p256, scalar, slice(point.data, 5, 65), z) == HalStatus::ok, "agree");
  const Memory info = hex("3C881007") + kDomain + Memory{kSerialBytes} + Memory(kSerial, kSerial + kSerialBytes);
  const Memory material =
      hash(Digest::sha256, z + Memory{0, 0, 0, 1} + info) + hash(Digest::sha256, z + Memory{0, 0, 0, 2} + info);
  out.domain_keys = {slice(material, 16, 16), slice(material, 32, 16), slice(material, 48, 16)};

  run(card, apdu("00A4040C", kDomain));
  Scp03Host department(out.domain_keys);
  must(department.open(card, 0x33) == 0x9000, "the department's session");
  must(department.exchange(card, "00E0000015 6213 80020018 820101 83020101 8603FFFFFF 8A0100").sw == 0x9000, "create");
  must(department.exchange(card, apdu("00D60000", kDepartment)).sw == 0x9000, "write");
  out.memory = chip.memory;
  return out;
}

bool contains(const Memory& in, const Memory& needle) {
  for (std::size_t at = 0; at + needle.size() <= in.size(); ++at) {
    if (equal(ByteView(in).subspan(at, needle.size()), needle)) return true;
  }
  return false;
}

// A session of either kind, its exchanges taken apart so that the line can be played with.
struct Session {
  std::optional<Scp03Host> scp03;
  std::optional<SmTerminal> iso;

  Memory protect(const Memory& plain) { return scp03 ? scp03->protect(plain) : iso->protect(plain); }
  Memory open(const Answer& answer) {
    try {
      return (scp03 ? scp03->open_answer(answer) : iso->open(answer)).data;
    } catch (const std::runtime_error&) {
      return {};
    }
  }
};

void exercise(const u8* data, std::size_t size) {
  static const Prepared prepared = make_card();
  static Chip chip(kPages);
  if (size < 1) return;
  chip.memory = prepared.memory;
  chip.restore_power();
  auto card = std::make_unique<Card>(chip, kDefaultConfig);
  must(card->boot(Interface::contact), "the card comes up");

  constexpr u8 kLevels[] = {0x01, 0x03, 0x11, 0x13, 0x33};
  const bool issuer = data[0] % 3 == 0;
  Session session;
  if (data[0] % 3 == 2) {
    PaceTerminal pace;
    pace.domain = 0x0C;
    must(pace.run([&](const Memory& command) { return send(*card, command); }) == 0x9000, "PACE");
    session.iso = pace.channel();
  } else {
    if (!issuer) run(*card, apdu("00A4040C", kDomain));
    session.scp03.emplace(issuer ? kIssuerKeys : prepared.domain_keys, (data[0] & 0x80) != 0 ? 16 : 8);
    must(session.scp03->open(*card, kLevels[data[0] / 3 % 5]) == 0x9000, "the session opens");
  }

  Memory seen;
  Memory last;
  const auto note = [&](const Memory& answer) {
    if (seen.size() < 65536) seen = seen + answer;
  };
  for (std::size_t at = 1; at + 3 <= size;) {
    const u8 step = data[at];
    std::size_t n = (static_cast<std::size_t>(data[at + 1]) << 8 | data[at + 2]) % 2049;
    at += 3;
    if (n > size - at) n = size - at;
    const Memory content(data + at, data + at + n);
    at += n;
    Memory wire = content;
    bool own = false;
    switch (step & 0x07) {
      case 0:
      case 1: {
        Command plain;
        const bool whole = content.size() >= 4 && parse_command(content, plain) && content.size() < 2000;
        // What an owner may do to its own card and domain would only make the checks below pointless.
        if (whole && (plain.ins == 0x04 || plain.ins >= 0xD6)) continue;
        if (whole) {
          wire = session.protect(content);
          own = true;
        }
        break;
      }
      case 2:
      case 3: {
        if (content.size() < 4 || content.size() > 2000) continue;
        Command plain;
        if (!parse_command(content, plain)) continue;
        wire = session.protect(content);
        wire[(step >> 3) % wire.size()] ^= static_cast<u8>(1U << (step & 7));
        break;
      }
      case 4:
        wire = last;
        break;
      case 5:
        wire = hex("00C0000000");
        break;
      case 6:
        if (!last.empty()) wire = slice(last, 0, last.size() / 2);
        break;
      default:
        break;  // plain
    }
    const Answer answer = send(*card, wire);
    note(answer.data);
    if (own) {
      const Memory opened = session.open(answer);
      note(opened);
    }
    last = wire;
  }

  for (std::size_t at = 0; at + 8 <= kScalar.size(); at += 8) {
    must(!contains(seen, slice(kScalar, at, 8)), "the private key stays on the card");
  }
  must(!contains(seen, kPin) && !contains(seen, kPuk), "PIN and PUK stay on the card");
  must(!contains(seen, slice(kDepartment, 0, 8)), "what nobody may read nobody has read");
  for (const HostKeys* keys : {&kIssuerKeys, &prepared.domain_keys}) {
    for (const Memory* key : {&keys->enc, &keys->mac, &keys->dek}) {
      must(!contains(seen, slice(*key, 0, 8)), "static keys stay on the card");
    }
  }

  chip.restore_power();
  card = std::make_unique<Card>(chip, kDefaultConfig);
  must(card->boot(Interface::contact), "the card comes up again");
  const Memory counter = send(*card, "00CA00C100").data;
  must(counter.size() == 5, "the issuer's keys are there");
  const u32 updates_counted = static_cast<u32>(counter[2]) << 16 | read_u16(&counter[3]);
  must(updates_counted >= 1U + (issuer ? 1U : 0U), "the sequence counter never goes back");
  Scp03Host host(kIssuerKeys);
  must(host.open(*card, 0x33) == 0x9000, "the issuer's keys are the issuer's");
  must((static_cast<u32>(host.sequence[0]) << 16 | read_u16(&host.sequence[1])) == updates_counted + 1, "it counts");
  run(*card, apdu("00A4040C", kDomain));
  Scp03Host department(prepared.domain_keys);
  must(department.open(*card, 0x33) == 0x9000, "the department's keys are the department's");
  if (!issuer) {
    // Whoever is not the issuer has created nothing outside the domain.
    must(department.exchange(*card, "00A404000CA000000063504B43532D3135").sw == 0x9000, "select");
    must(to_hex(department.exchange(*card, "00CA01A100").data) == "4B01", "the files of the application");
  }
  run(*card, hex("00A404000CA000000063504B43532D3135"));
  const u16 sw = send(*card, "00200001").sw;
  must(sw == 0x6983 || (sw & 0xFFF0) == 0x63C0, "the PIN is set");
  if (sw != 0x6983) {
    must((sw & 0xF) <= 3, "tries never grow");
    must(send(*card, hex("0020000108") + kPin).sw == 0x9000, "the PIN is still the PIN");
  }
}

}  // namespace
}  // namespace karta::os

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  karta::os::exercise(data, size);
  return 0;
}
