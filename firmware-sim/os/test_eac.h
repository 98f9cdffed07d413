// The terminal's side of PACE, terminal authentication, chip authentication and restricted identification, for tests of
// the card: written from TR-03110-3 beside the card's own code. And a small public key infrastructure of certificates
// that can be made wrong in any place, and an issued card that knows its root.
#pragma once

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include <functional>
#include <memory>
#include <optional>

#include "firmware-sim/os/test_session.h"

namespace karta::os {

using Chip = TestChip<sim::Coprocessor>;
using Exchange = std::function<Answer(const Memory&)>;

inline Memory tlv(u16 tag, const Memory& value) {
  Memory out;
  if (tag > 0xFF) out.push_back(static_cast<u8>(tag >> 8));
  out.push_back(static_cast<u8>(tag));
  return out + length_octets(value.size()) + value;
}

// The value of the first object with `tag` among those in `data`; nothing where there is none.
inline std::optional<Memory> find_tlv(const Memory& data, u16 tag) {
  TlvCursor cursor(data);
  for (Tlv object; cursor.next(object);) {
    if (object.tag == tag) return Memory(object.value.begin(), object.value.end());
  }
  return std::nullopt;
}

inline Memory hash(Digest digest, const Memory& message) {
  Memory out(digest_bytes(digest));
  const ByteView parts[] = {message};
  test_aes().digest(digest, parts, out);
  return out;
}

inline Memory derive(const Memory& secret, u8 counter, std::size_t octets) {
  const Memory digest = hash(octets == 16 ? Digest::sha1 : Digest::sha256, secret + Memory{0, 0, 0, counter});
  return slice(digest, 0, octets);
}

struct KeyPair {
  Curve curve = Curve::brainpool_p256r1;
  Memory scalar;
  Memory point;

  static KeyPair make(Curve curve) {
    KeyPair out{.curve = curve, .scalar = Memory(field_bytes(curve)), .point = Memory(point_bytes(curve))};
    test_aes().ec_generate(curve, out.scalar, out.point);
    return out;
  }
  static KeyPair make_on(Curve curve, const Memory& generator) {
    KeyPair out{.curve = curve, .scalar = Memory(field_bytes(curve)), .point = Memory(point_bytes(curve))};
    test_aes().ec_generate_on(curve, generator, out.scalar, out.point);
    return out;
  }
  Memory x() const { return slice(point, 1, field_bytes(curve)); }
  Memory agree(const Memory& other) const {
    Memory out(field_bytes(curve));
    if (test_aes().ec_agree(curve, scalar, other, out) != HalStatus::ok) throw std::runtime_error("agree");
    return out;
  }
  Memory sign(Digest digest, const Memory& message) const {
    Memory out(2 * field_bytes(curve));
    if (test_aes().ec_sign(curve, scalar, hash(digest, message), out) != HalStatus::ok) {
      throw std::runtime_error("sign");
    }
    return out;
  }
};

// Prime, a, b, base point, order, cofactor as a CVCA certificate carries them: objects 81 to 85 and 87.
struct DomainObjects {
  Memory before_point;
  Memory cofactor = hex("870101");

  explicit DomainObjects(Curve curve) {
    const int nid = curve == Curve::p256               ? NID_X9_62_prime256v1
                    : curve == Curve::p384             ? NID_secp384r1
                    : curve == Curve::brainpool_p256r1 ? NID_brainpoolP256r1
                    : curve == Curve::brainpool_p384r1 ? NID_brainpoolP384r1
                                                       : NID_brainpoolP512r1;
    const std::unique_ptr<EC_GROUP, decltype(&EC_GROUP_free)> group(EC_GROUP_new_by_curve_name(nid), EC_GROUP_free);
    std::unique_ptr<BIGNUM, decltype(&BN_free)> p(BN_new(), BN_free), a(BN_new(), BN_free), b(BN_new(), BN_free);
    EC_GROUP_get_curve(group.get(), p.get(), a.get(), b.get(), nullptr);
    const auto octets = [](const BIGNUM* n) {
      Memory out(static_cast<std::size_t>(BN_num_bytes(n)));
      BN_bn2bin(n, out.data());
      return out;
    };
    Memory base(point_bytes(curve));
    EC_POINT_point2oct(group.get(), EC_GROUP_get0_generator(group.get()), POINT_CONVERSION_UNCOMPRESSED, base.data(),
                       base.size(), nullptr);
    before_point = tlv(0x81, octets(p.get())) + tlv(0x82, octets(a.get())) + tlv(0x83, octets(b.get())) +
                   tlv(0x84, base) + tlv(0x85, octets(EC_GROUP_get0_order(group.get())));
  }
};

// 0.4.0.127.0.7.2.2.family.2.number
inline Memory protocol_oid(u8 family, u8 number) { return hex("04007F00070202") + Memory{family, 2, number}; }

inline Memory date(const std::string& digits) {
  Memory out;
  for (const char c : digits) out.push_back(static_cast<u8>(c - '0'));
  return out;
}

// Authorisation of five octets (one for other types than 2), role in its two highest bits.
inline Memory chat(u8 type, u8 role, u64 rights) {
  Memory octets;
  for (int i = type == 2 ? 4 : 0; i >= 0; --i) octets.push_back(static_cast<u8>(rights >> (8 * i)));
  octets[0] = static_cast<u8>((octets[0] & 0x3F) | role << 6);
  return tlv(0x7F4C, tlv(0x06, hex("04007F0007030102") + Memory{type}) + tlv(0x53, octets));
}

constexpr u64 kAllRights = 0x3FFFFFFFFF;
constexpr u8 kAuthenticationTerminal = 2;

// What a certificate says; every field can be made wrong.
struct CertificateText {
  std::string authority;
  std::string holder;
  KeyPair key;
  u8 algorithm = 3;  // of the key certified
  u8 type = kAuthenticationTerminal;
  u8 role = 0;
  u64 rights = kAllRights;
  std::string effective = "260101";
  std::string expires = "361231";
  bool domain = false;
  Memory extensions;  // contents of 65; empty: none
};

struct Signer {
  KeyPair key;
  u8 algorithm = 3;
  Digest digest() const {
    constexpr Digest kDigests[] = {Digest::sha224, Digest::sha256, Digest::sha384, Digest::sha512};
    return kDigests[algorithm - 2];
  }
  Memory sign(const Memory& message) const { return key.sign(digest(), message); }
};

inline Memory certificate_body(const CertificateText& text) {
  Memory key = tlv(0x06, protocol_oid(2, text.algorithm));
  const Memory point = tlv(0x86, text.key.point);
  if (text.domain) {
    const DomainObjects domain(text.key.curve);
    key = key + domain.before_point + point + domain.cofactor;
  } else {
    key = key + point;
  }
  Memory body = hex("5F290100") + tlv(0x42, karta::os::text(text.authority)) + tlv(0x7F49, key) +
                tlv(0x5F20, karta::os::text(text.holder)) + chat(text.type, text.role, text.rights) +
                tlv(0x5F25, date(text.effective)) + tlv(0x5F24, date(text.expires));
  if (!text.extensions.empty()) body = body + tlv(0x65, text.extensions);
  return tlv(0x7F4E, body);
}

// Body and signature, as PSO VERIFY CERTIFICATE takes them.
inline Memory certificate(const CertificateText& text, const Signer& signer) {
  const Memory body = certificate_body(text);
  return body + tlv(0x5F37, signer.sign(body));
}

// One certified key and what signs with it.
struct Certified {
  CertificateText text;
  Signer signer;
  Memory bytes;  // 7F4E 5F37
};

inline Certified certify(CertificateText text, const Signer& by) {
  return {.text = text, .signer = {.key = text.key, .algorithm = text.algorithm}, .bytes = certificate(text, by)};
}

inline Certified self_certify(CertificateText text) {
  text.role = 3;
  text.domain = true;
  text.authority = text.holder;
  return certify(text, {.key = text.key, .algorithm = text.algorithm});
}

// Contents of 65 with the rights of a sector (docs/transactions.md).
inline Memory sector_rights(u16 bits) {
  const Memory oid = hex("2A864886F71401BE40937A81FA6A81D24882DF3F8194 2082E063878ACF5887D04802");
  return tlv(0x73, tlv(0x06, oid) + tlv(0x53, {static_cast<u8>(bits >> 8), static_cast<u8>(bits)}));
}

// Root, document verifier and terminal of one curve.
struct Chain {
  Certified root;
  Certified verifier;
  Certified terminal;

  static Chain make(Curve curve = Curve::brainpool_p256r1, u8 algorithm = 3, const Memory& extensions = {}) {
    Chain out;
    out.root = self_certify({.authority = {},
                             .holder = "ZZCVCA00001",
                             .key = KeyPair::make(curve),
                             .algorithm = algorithm,
                             .extensions = {}});
    out.verifier = certify({.authority = "ZZCVCA00001",
                            .holder = "ZZDV00001",
                            .key = KeyPair::make(curve),
                            .algorithm = algorithm,
                            .role = 2,
                            .extensions = {}},
                           out.root.signer);
    out.terminal = certify({.authority = "ZZDV00001",
                            .holder = "ZZAT00001",
                            .key = KeyPair::make(curve),
                            .algorithm = algorithm,
                            .extensions = extensions},
                           out.verifier.signer);
    return out;
  }
};

// PACE, step by step, each answer kept.
class PaceTerminal {
 public:
  u8 reference = 2;
  std::string password = "123456";
  u8 number = 2;  // AES-128, 192, 256: 2, 3, 4
  u8 domain = 0x0D;
  bool name_domain = true;
  Memory chat_object;  // 7F4C, or nothing

  KeyPair mapping;
  KeyPair ephemeral;
  Memory generator;
  Memory nonce;
  Memory card_mapping;
  Memory card_ephemeral;
  Memory enc;
  Memory mac;
  Memory card_token;
  std::vector<std::string> anchors;

  Curve curve() const {
    Curve out = Curve::p256;
    curve_of(domain, out);
    return out;
  }
  std::size_t key_octets() const { return 8U * number; }

  Memory set_command() const {
    const Memory id = name_domain ? Memory{0x84, 1, domain} : Memory{};
    return apdu("0022C1A4", tlv(0x80, protocol_oid(4, number)) + Memory{0x83, 1, reference} + chat_object + id);
  }
  static Memory step(const Memory& contents, bool last = false) {
    return apdu(last ? "00860000" : "10860000", tlv(0x7C, contents), true);
  }

  u16 set(const Exchange& exchange) { return exchange(set_command()).sw; }
  u16 ask_nonce(const Exchange& exchange) {
    const Answer answer = exchange(step({}));
    if (answer.sw != 0x9000) return answer.sw;
    const Memory key = derive(text(password), 3, key_octets());
    nonce = cbc(Cipher::decrypt, key, Memory(16, 0), inner(answer, 0x80));
    return answer.sw;
  }
  u16 map(const Exchange& exchange) {
    mapping = KeyPair::make(curve());
    const Answer answer = exchange(step(tlv(0x81, mapping.point)));
    if (answer.sw != 0x9000) return answer.sw;
    card_mapping = inner(answer, 0x82);
    generator = Memory(point_bytes(curve()));
    if (test_aes().ec_map(curve(), nonce, mapping.scalar, card_mapping, generator) != HalStatus::ok) {
      throw std::runtime_error("map");
    }
    return answer.sw;
  }
  u16 agree(const Exchange& exchange) {
    ephemeral = KeyPair::make_on(curve(), generator);
    const Answer answer = exchange(step(tlv(0x83, ephemeral.point)));
    if (answer.sw != 0x9000) return answer.sw;
    card_ephemeral = inner(answer, 0x84);
    const Memory secret = ephemeral.agree(card_ephemeral);
    enc = derive(secret, 1, key_octets());
    mac = derive(secret, 2, key_octets());
    return answer.sw;
  }
  Memory token(const Memory& point) const {
    return slice(cmac(mac, tlv(0x7F49, tlv(0x06, protocol_oid(4, number)) + tlv(0x86, point))), 0, 8);
  }
  u16 finish(const Exchange& exchange) {
    const Answer answer = exchange(step(tlv(0x85, token(card_ephemeral)), true));
    if (answer.sw != 0x9000) return answer.sw;
    if (inner(answer, 0x86) != token(ephemeral.point)) throw std::runtime_error("the card's token");
    for (const u16 tag : {u16{0x87}, u16{0x88}}) {
      const auto name = find_tlv(*find_tlv(answer.data, 0x7C), tag);
      if (name) anchors.emplace_back(name->begin(), name->end());
    }
    return answer.sw;
  }
  // All of it; the first status word that is not 9000 (of MSE: no warning either).
  u16 run(const Exchange& exchange) {
    const u16 sw = set(exchange);
    if (sw != 0x9000 && sw >> 8 != 0x63) return sw;
    return run_rest(exchange);
  }
  u16 run_rest(const Exchange& exchange) {
    using Step = u16 (PaceTerminal::*)(const Exchange&);
    for (const Step next :
         {&PaceTerminal::ask_nonce, &PaceTerminal::map, &PaceTerminal::agree, &PaceTerminal::finish}) {
      if (const u16 sw = (this->*next)(exchange); sw != 0x9000) return sw;
    }
    return 0x9000;
  }
  SmTerminal channel() const { return {enc, mac}; }
  Memory card_identity() const { return slice(card_ephemeral, 1, field_bytes(curve())); }

  static Memory inner(const Answer& answer, u16 tag) {
    const auto dynamic = find_tlv(answer.data, 0x7C);
    const auto value = dynamic ? find_tlv(*dynamic, tag) : std::nullopt;
    if (!value) throw std::runtime_error("no such object");
    return *value;
  }
};

// Terminal and chip authentication inside a channel.
class EacTerminal {
 public:
  explicit EacTerminal(Chain chain) : chain_(std::move(chain)) {}

  KeyPair ephemeral;
  Memory auxiliary;  // contents of 67
  Memory challenge;
  u8 chip_number = 2;
  u8 chip_key = 0x41;

  Chain& chain() { return chain_; }

  static u16 present(const Exchange& exchange, const std::string& authority, const Memory& certificate) {
    const u16 sw = exchange(apdu("002281B6", tlv(0x83, text(authority)))).sw;
    if (sw != 0x9000) return sw;
    Memory command = hex("002A00BE");
    command = command + with_length(certificate, true);
    return exchange(command).sw;
  }
  static u16 present(const Exchange& exchange, const Certified& certified) {
    return present(exchange, certified.text.authority, certified.bytes);
  }
  u16 present_chain(const Exchange& exchange) {
    if (const u16 sw = present(exchange, chain_.verifier); sw != 0x9000) return sw;
    return present(exchange, chain_.terminal);
  }
  u16 announce(const Exchange& exchange, Curve curve = Curve::brainpool_p256r1) {
    ephemeral = KeyPair::make(curve);
    Memory data = tlv(0x80, protocol_oid(2, chain_.terminal.text.algorithm)) +
                  tlv(0x83, text(chain_.terminal.text.holder)) + tlv(0x91, ephemeral.x());
    if (!auxiliary.empty()) data = data + tlv(0x67, auxiliary);
    return exchange(apdu("002281A4", data)).sw;
  }
  Memory to_sign(const Memory& card_identity) const {
    return card_identity + challenge + ephemeral.x() + (auxiliary.empty() ? Memory{} : tlv(0x67, auxiliary));
  }
  u16 prove(const Exchange& exchange, const Memory& card_identity) {
    const Answer answer = exchange(hex("0084000008"));
    if (answer.sw != 0x9000) return answer.sw;
    challenge = answer.data;
    return exchange(apdu("00820000", chain_.terminal.signer.sign(to_sign(card_identity)))).sw;
  }
  u16 authenticate(const Exchange& exchange, const Memory& card_identity) {
    if (const u16 sw = present_chain(exchange); sw != 0x9000) return sw;
    if (const u16 sw = announce(exchange); sw != 0x9000) return sw;
    return prove(exchange, card_identity);
  }
  u16 announce_chip(const Exchange& exchange) const {
    return exchange(apdu("002241A4", tlv(0x80, protocol_oid(3, chip_number)) + Memory{0x84, 1, chip_key})).sw;
  }
  // The keys of the new channel.
  std::optional<SmTerminal> authenticate_chip(const Exchange& exchange, const Memory& card_key) const {
    if (announce_chip(exchange) != 0x9000) return std::nullopt;
    const Answer answer = exchange(apdu("00860000", tlv(0x7C, tlv(0x80, ephemeral.point)), true));
    if (answer.sw != 0x9000) return std::nullopt;
    const Memory secret = ephemeral.agree(card_key) + PaceTerminal::inner(answer, 0x81);
    const Memory enc = derive(secret, 1, 8U * chip_number);
    const Memory mac = derive(secret, 2, 8U * chip_number);
    const Memory body = tlv(0x06, protocol_oid(3, chip_number)) + tlv(0x86, ephemeral.point);
    if (PaceTerminal::inner(answer, 0x82) != slice(cmac(mac, tlv(0x7F49, body)), 0, 8)) {
      throw std::runtime_error("the card's token");
    }
    return SmTerminal(enc, mac);
  }

 private:
  Chain chain_;
};

// A card of the citizen kind, issued, and one session with it.
class EacCard {
 public:
  static constexpr char kIdentityAid[] = "E80704007F00070302";
  static constexpr u8 kSerial[kSerialBytes] = {0xF0, 0x4B, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08};

  explicit EacCard(Chain chain_, Curve chip_curve = Curve::brainpool_p256r1, std::size_t pages = 160,
                   const std::string& pin1 = "123456", const Memory& chip_scalar = {},
                   const std::vector<Memory>& more = {})  // commands before issue, the MF selected
      : chip(pages), card(std::make_unique<Card>(chip, kDefaultConfig)), chain(std::move(chain_)) {
    personalise(chip_curve, pin1, chip_scalar, more);
    restart(Interface::contactless);
  }

  Chip chip;
  std::unique_ptr<Card> card;
  Chain chain;
  Memory chip_key;                   // public
  std::map<u16, Memory> sector_key;  // RI key files' public points
  Memory announced;                  // beside CHAT: 65, or nothing
  std::optional<SmTerminal> channel;

  void restart(Interface interface = Interface::contactless) {
    channel.reset();
    chip.restore_power();
    card = std::make_unique<Card>(chip, kDefaultConfig);
    if (!card->boot(interface)) throw std::runtime_error("mute");
  }
  Answer plain(const Memory& command) { return send(*card, command); }
  Answer plain(const std::string& command) { return send(*card, hex(command)); }
  // Through the channel, if there is one.
  Answer run(const Memory& command) {
    if (!channel) return plain(command);
    const Answer answer = channel->exchange(*card, command);
    return answer;
  }
  Answer run(const std::string& command) { return run(hex(command)); }
  Exchange exchange() {
    return [this](const Memory& command) { return run(command); };
  }

  // PACE; its channel is the session's from then on.
  u16 open(u8 reference, const std::string& password, const Memory& chat_object = {}) {
    pace = {};
    pace.reference = reference;
    pace.password = password;
    pace.chat_object = chat_object.empty() ? chat_object : chat_object + announced;
    const u16 sw = pace.run(exchange());
    if (sw == 0x9000) channel = pace.channel();
    return sw;
  }
  // PACE with the PIN, terminal authentication, chip authentication.
  u16 open_eac(u64 rights = kAllRights, const Memory& auxiliary = {}, u8 reference = 3,
               const std::string& password = "123456") {
    if (const u16 sw = open(reference, password, chat(kAuthenticationTerminal, 0, rights)); sw != 0x9000) return sw;
    EacTerminal terminal(chain);
    terminal.auxiliary = auxiliary;
    if (const u16 sw = terminal.authenticate(exchange(), pace.card_identity()); sw != 0x9000) return sw;
    auto next = terminal.authenticate_chip(exchange(), chip_key);
    if (!next) return 0;
    channel = *next;
    return 0x9000;
  }
  u16 select_identity() { return run(apdu("00A4040C", hex(kIdentityAid))).sw; }
  u16 read_group(u8 number) { return run(Memory{0x00, 0xB0, static_cast<u8>(0x80 | number), 0x00, 0x00}).sw; }

  PaceTerminal pace;

 private:
  void must(const std::string& header, const Memory& data, bool le = false) {
    const Answer answer = transmit(*card, header, data, le);
    if (answer.sw != 0x9000) throw std::runtime_error(header + " " + to_hex(data) + " answered otherwise");
    last = answer.data;
  }
  void select(const std::string& path) { must("00A4080C", hex(path)); }
  void create(const std::string& fcp) { must("00E00000", tlv(0x62, hex(fcp))); }
  static std::string octets(const Memory& data) { return to_hex(data); }
  void put_file(const std::string& id, const Memory& content, const std::string& rules, const std::string& short_id) {
    const Memory size = {static_cast<u8>(content.size() >> 8), static_cast<u8>(content.size())};
    create("8002" + to_hex(size) + "820101 8302" + id +
           std::string(rules.find("8202") == std::string::npos ? "86030FFFFF" : "8603000FFF") +
           (short_id.empty() ? "8800" : "8801" + short_id) + rules);
    must("00D60000", content);
  }
  Memory make_key(const std::string& id, u16 bits, const std::string& properties) {
    const Memory size = {static_cast<u8>(bits >> 8), static_cast<u8>(bits)};
    create("8102" + to_hex(size) + "820122 8302" + id + "8503" + properties + "86030FFFFF");
    must("00460000", {}, true);
    return *find_tlv(*find_tlv(last, 0x7F49), 0x86);
  }
  static u8 domain_of(Curve curve) {
    for (u8 id = 0x0C; id <= 0x12; ++id) {
      Curve found = Curve::p256;
      if (curve_of(id, found) && found == curve) return id;
    }
    return 0;
  }

  void personalise(Curve chip_curve, const std::string& pin1, const Memory& chip_scalar,
                   const std::vector<Memory>& more) {
    if (!card->format(kSerial) || !card->boot(Interface::contact)) throw std::runtime_error("blank");
    must("00DA0110", text("123456"));
    must("00DA010F", text("9081726354") + Memory{3});
    const u8 options = pin1.size() == 5 ? 3 : 2;
    must("00DA0101", pin(pin1) + Memory(8, 0xFF) + Memory{3, 0, options});
    must("00DA0102", pin("654321") + Memory(8, 0xFF) + Memory{3, 0, 2});
    must("00DA0120", tlv(0x7F21, chain.root.bytes));
    Memory infos;
    for (const u8 id : {u8{0x0D}, u8{0x0C}, u8{0x0F}, u8{0x10}, u8{0x11}}) {
      for (u8 number = 2; number <= 4; ++number) {
        infos = infos + tlv(0x30, tlv(0x06, protocol_oid(4, number)) + hex("020102") + Memory{2, 1, id});
      }
    }
    put_file("011C", tlv(0x31, infos), "A104 8102 01FF", "E0");
    put_file("011D", Memory(40, 0xC5), "A104 8102 04FF", "E8");
    create("820138 83025E1D 8409" + std::string(kIdentityAid) + "8603000F0F");
    for (const u8 group : {u8{1}, u8{4}, u8{17}, u8{21}}) {
      const u8 write = static_cast<u8>(0x36 - group);
      const std::string update = group >= 17 ? "8202 83" + to_hex(Memory{write}) : "8202 8FFF";
      put_file("01" + to_hex(Memory{group}), Memory(20, static_cast<u8>(0xD0 + group)),
               "A108 8102 03" + to_hex(Memory{static_cast<u8>(group + 7)}) + update,
               to_hex(Memory{static_cast<u8>(group << 3)}));
    }
    put_file("0201", text("20000229"), "A108 81020FFF 82028FFF", "");
    put_file("0202", hex("0276110000"), "A108 81020FFF 82028FFF", "");
    put_file("0203", text("20361231"), "A108 81020FFF 82028FFF", "");
    const u16 bits = static_cast<u16>(field_bytes(chip_curve) * 8);
    const std::string id = to_hex(Memory{domain_of(chip_curve)});
    if (!chip_scalar.empty()) chip.draws = {chip_scalar};
    chip_key = make_key("0041", bits, "0008" + id);
    sector_key[0x42] = make_key("0042", bits, "0030" + id);
    sector_key[0x43] = make_key("0043", bits, "0010" + id);
    select("5015");
    create("8102 0100 820122 83024B01 85021001 86031FF1FF");
    must("00DA0187", hex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"));
    put_file("4301", Memory(32, 0xE5), "", "");
    if (!more.empty()) must("00A4000C", hex("3F00"));
    for (const Memory& command : more) {
      if (plain(command).sw != 0x9000) throw std::runtime_error(to_hex(command));
    }
    must("00440000", hex("3F00"));
  }
  Memory last;
};

}  // namespace karta::os
