// Published examples of PACE, extended access control and CV certificates, through the card: by its commands wherever
// the example has them. What is left out stands in LeftOut, with the reason.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "firmware-sim/os/test_eac.h"

namespace karta::os {
namespace {

using nlohmann::json;

json entries_of(const std::string& name) {
  std::ifstream file(std::string(KARTA_SOURCE_DIR) + "/tests/vectors/" + name);
  return json::parse(file).at("entries");
}
json entry_of(const std::string& name, const std::string& id) {
  for (const json& entry : entries_of(name)) {
    if (entry.at("id") == id) return entry;
  }
  throw std::runtime_error("no such example: " + id);
}
Memory octets(const json& entry, const char* name) { return hex(entry.at(name).get<std::string>()); }
// A private key without the zero an ASN.1 integer may have in front.
Memory scalar(const json& entry, const char* name) {
  const Memory all = octets(entry, name);
  return all.size() % 2 == 1 ? slice(all, 1, all.size() - 1) : all;
}

const Chain& own_chain() {
  static const Chain made = Chain::make();
  return made;
}

TEST(PaceVectors, PasswordKeys) {
  int seen = 0;
  for (const json& entry : entries_of("icao9303_pace.json")) {
    if (entry.at("id").get<std::string>().rfind("kdf-pi", 0) != 0) continue;
    Chip chip(64);
    Memory key(entry.at("key_bits").get<std::size_t>() / 8);
    ASSERT_EQ(derive_key(chip, octets(entry, "secret"), {}, kDerivePassword, key), Sw::ok);
    EXPECT_EQ(key, octets(entry, "key")) << entry.at("id");
    ++seen;
  }
  EXPECT_EQ(seen, 3);
}

// ICAO Doc 9303-11 appendix G.1. Its password is an MRZ, which this card has not; the nonce's encryption is computed by
// itself, everything after it by the card's commands, octet for octet.
TEST(PaceVectors, IcaoGenericMapping) {
  const json e = entry_of("icao9303_pace.json", "pace-ecdh-gm-aes128");
  Chip chip(64);
  Memory key(16);
  ASSERT_EQ(derive_key(chip, octets(e, "k"), {}, kDerivePassword, key), Sw::ok);
  EXPECT_EQ(key, octets(e, "k_pi"));
  EXPECT_EQ(cbc(Cipher::encrypt, key, Memory(16, 0), octets(e, "nonce_s")), octets(e, "nonce_z"));

  EacCard card(own_chain());
  card.chip.draws = {octets(e, "nonce_s"), octets(e, "chip_map_priv"), octets(e, "chip_eph_priv")};
  const json& apdus = e.at("apdus");
  ASSERT_EQ(apdus.size(), 5U);
  for (std::size_t i = 0; i < apdus.size(); ++i) {
    Memory command = hex(apdus[i][0].get<std::string>());
    if (i == 0) command[19] = 2;  // the CAN instead of the MRZ
    const Answer answer = card.plain(command);
    const Memory status = {static_cast<u8>(answer.sw >> 8), static_cast<u8>(answer.sw)};
    if (i == 1) continue;  // the CAN's key encrypts another way than the MRZ's
    EXPECT_EQ(to_hex(answer.data + status), apdus[i][1].get<std::string>()) << i;
  }
  card.channel = SmTerminal(octets(e, "ks_enc"), octets(e, "ks_mac"));
  EXPECT_EQ(card.select_identity(), 0x9000);
}

struct WorkedExample : testing::Test {
  json e = entry_of("bsi_eac_worked_example.json", "eac2-ecdh");
  const json& pace() const { return e.at("pace"); }
  const json& ta() const { return e.at("ta"); }
  const json& ca() const { return e.at("ca"); }

  // The example's PACE with the PIN, on a card whose chip key may be the example's too.
  void run_pace(EacCard& card, const Memory& chat_object) {
    card.chip.draws = {octets(pace(), "nonce"), octets(pace(), "map_picc_priv_key"), octets(pace(), "picc_priv_key")};
    card.pace.reference = 3;
    card.pace.chat_object = chat_object;
    ASSERT_EQ(card.pace.set(card.exchange()), 0x9000);
    const Answer nonce = card.plain(PaceTerminal::step({}));
    EXPECT_EQ(PaceTerminal::inner(nonce, 0x80), octets(pace(), "nonce_enc"));
    const Answer mapped = card.plain(PaceTerminal::step(tlv(0x81, octets(pace(), "map_pcd_pub_key"))));
    EXPECT_EQ(PaceTerminal::inner(mapped, 0x82), octets(pace(), "map_picc_pub_key"));
    const Answer agreed = card.plain(PaceTerminal::step(tlv(0x83, octets(pace(), "pcd_pub_key"))));
    EXPECT_EQ(PaceTerminal::inner(agreed, 0x84), octets(pace(), "picc_pub_key"));
    const Answer last = card.plain(PaceTerminal::step(tlv(0x85, octets(pace(), "authentication_token_pcd")), true));
    ASSERT_EQ(last.sw, 0x9000);
    EXPECT_EQ(PaceTerminal::inner(last, 0x86), octets(pace(), "authentication_token_picc"));
    card.channel = SmTerminal(octets(pace(), "k_enc"), octets(pace(), "k_mac"));
    card.pace.card_ephemeral = octets(pace(), "picc_pub_key");
  }
};

TEST_F(WorkedExample, PaceWithThePin) {
  EacCard card(own_chain());
  run_pace(card, {});
  EXPECT_EQ(card.select_identity(), 0x9000);
}

TEST_F(WorkedExample, SignaturesOfChainAndTerminalHold) {
  Chip chip(64);
  CvCertificate root;
  CvCertificate verifier;
  CvCertificate terminal;
  const auto contents = [&](const char* name) { return *find_tlv(octets(ta(), name), 0x7F21); };
  const Memory root_octets = contents("cvca_cert");
  const Memory verifier_octets = contents("dv_cert");
  const Memory terminal_octets = contents("ta_cert");
  ASSERT_TRUE(parse_certificate(chip, root_octets, root));
  ASSERT_TRUE(parse_certificate(chip, verifier_octets, verifier));
  ASSERT_TRUE(parse_certificate(chip, terminal_octets, terminal));
  ASSERT_EQ(root.domain, Curve::brainpool_p512r1);
  const auto holds = [&](const CvCertificate& issuer, ByteView message, ByteView signature) {
    Digest digest = Digest::sha256;
    EXPECT_TRUE(digest_of(issuer.algorithm, digest));
    const Memory hashed = hash(digest, Memory(message.begin(), message.end()));
    return chip.ec_verify(root.domain, issuer.point, hashed, signature) == HalStatus::ok;
  };
  EXPECT_TRUE(holds(root, root.body, root.signature));
  EXPECT_TRUE(holds(root, verifier.body, verifier.signature));
  EXPECT_TRUE(holds(verifier, terminal.body, terminal.signature));
  const Memory x = slice(octets(ca(), "ca_pcd_pub_key"), 1, 32);
  const Memory identity = slice(octets(pace(), "picc_pub_key"), 1, 32);
  const Memory signature = octets(ta(), "ta_pcd_signature");
  EXPECT_TRUE(holds(terminal, identity + octets(ta(), "ta_nonce") + x, signature));
  EXPECT_FALSE(holds(terminal, identity + octets(ta(), "ta_nonce") + slice(x, 0, 31), signature));
}

// The example's root is of inspection systems and its verifier of authentication terminals: no strict card follows it.
TEST_F(WorkedExample, ItsChainIsRejected) {
  Chain example = own_chain();
  example.root.bytes = *find_tlv(octets(ta(), "cvca_cert"), 0x7F21);
  for (const u8 type : {1, 2, 3}) {
    EacCard card(example);
    ASSERT_EQ(card.open(3, "123456", chat(type, 0, kAllRights)), 0x9000);
    const u16 sw = EacTerminal::present(card.exchange(), "DECVCAAT00001", *find_tlv(octets(ta(), "dv_cert"), 0x7F21));
    EXPECT_EQ(sw, type == 1 ? 0x6982 : 0x6A88) << int{type};
  }
}

TEST_F(WorkedExample, ChipAuthentication) {
  EacCard card(own_chain(), Curve::brainpool_p256r1, 160, "123456", scalar(ca(), "ca_picc_priv_key"));
  ASSERT_EQ(card.chip_key, octets(ca(), "ca_picc_pub_key"));
  run_pace(card, chat(kAuthenticationTerminal, 0, kAllRights));
  EacTerminal terminal(own_chain());
  ASSERT_EQ(terminal.present_chain(card.exchange()), 0x9000);
  terminal.ephemeral = {.curve = Curve::brainpool_p256r1,
                        .scalar = scalar(ca(), "ca_pcd_priv_key"),
                        .point = octets(ca(), "ca_pcd_pub_key")};
  const Memory announcement =
      tlv(0x80, protocol_oid(2, 3)) + tlv(0x83, text("ZZAT00001")) + tlv(0x91, terminal.ephemeral.x());
  ASSERT_EQ(card.run(apdu("002281A4", announcement)).sw, 0x9000);
  ASSERT_EQ(terminal.prove(card.exchange(), card.pace.card_identity()), 0x9000);
  ASSERT_EQ(terminal.announce_chip(card.exchange()), 0x9000);
  card.chip.draws = {octets(ca(), "ca_nonce")};
  const Answer answer = card.run(apdu("00860000", tlv(0x7C, tlv(0x80, terminal.ephemeral.point)), true));
  ASSERT_EQ(answer.sw, 0x9000);
  EXPECT_EQ(PaceTerminal::inner(answer, 0x81), octets(ca(), "ca_nonce"));
  EXPECT_EQ(PaceTerminal::inner(answer, 0x82), octets(ca(), "ca_picc_token"));
  card.channel = SmTerminal(octets(ca(), "ca_k_enc"), octets(ca(), "ca_k_mac"));
  EXPECT_EQ(card.select_identity(), 0x9000);
  EXPECT_EQ(card.read_group(1), 0x9000);
}

TEST_F(WorkedExample, SecureMessaging) {
  const json& sm = e.at("sm");
  const Memory enc = octets(pace(), "k_enc");
  for (const json& each : sm.at("encrypt")) {
    Memory counter(16, 0);
    counter.back() = each.at("ssc").get<u8>();
    const Memory iv = cbc(Cipher::encrypt, enc, Memory(16, 0), counter);
    EXPECT_EQ(cbc(Cipher::encrypt, enc, iv, padded(octets(each, "plain_unpadded"))), octets(each, "cipher"));
  }
  for (const json& each : sm.at("mac")) {
    Memory counter(16, 0);
    counter.back() = each.at("ssc").get<u8>();
    EXPECT_EQ(slice(cmac(octets(pace(), "k_mac"), counter + padded(octets(each, "data"))), 0, 8), octets(each, "mac"));
  }
}

// Every certificate published: those with ECDSA are read and verified under their issuer, those with RSA and SHA-1 are
// refused.
TEST(CertificateVectors, AllAreReadAndVerified) {
  Chip chip(64);
  std::map<std::string, Memory> contents;
  for (const json& entry : entries_of("cv_certificates.json")) {
    contents[entry.at("id")] = *find_tlv(octets(entry, "cert"), 0x7F21);
  }
  int verified = 0;
  int rsa = 0;
  int read_only = 0;
  for (const json& entry : entries_of("cv_certificates.json")) {
    const std::string id = entry.at("id");
    CvCertificate certificate;
    const bool is_rsa = entry.at("fields").contains("pk_oid") &&
                        entry.at("fields").at("pk_oid").get<std::string>() == "04007f00070202020101";
    ASSERT_EQ(parse_certificate(chip, contents[id], certificate), !is_rsa) << id;
    rsa += is_rsa ? 1 : 0;
    if (is_rsa) continue;
    if (entry.at("issuer").is_null()) {
      ++read_only;
      continue;
    }
    // The curve is the one of the root above.
    CvCertificate issuer;
    CvCertificate above;
    std::string name = entry.at("issuer");
    ASSERT_TRUE(parse_certificate(chip, contents[name], issuer)) << name;
    above = issuer;
    for (int steps = 0; !above.has_domain && steps < 3; ++steps) {
      for (const json& other : entries_of("cv_certificates.json")) {
        if (other.at("id") == name) name = other.at("issuer");
      }
      ASSERT_TRUE(parse_certificate(chip, contents[name], above)) << name;
    }
    Digest digest = Digest::sha256;
    ASSERT_TRUE(digest_of(issuer.algorithm, digest)) << id;
    const Memory body(certificate.body.begin(), certificate.body.end());
    EXPECT_EQ(chip.ec_verify(above.domain, issuer.point, hash(digest, body), certificate.signature), HalStatus::ok)
        << id;
    EXPECT_TRUE(equal(certificate.authority, issuer.holder)) << id;
    ++verified;
  }
  EXPECT_EQ(verified, 20);
  EXPECT_EQ(rsa, 5);
  EXPECT_EQ(read_only, 3);
}

// The German test PKI on a card, from its first root over two links to a terminal.
TEST(CertificateVectors, GermanTestPkiIsFollowed) {
  std::map<std::string, Memory> contents;
  for (const json& entry : entries_of("cv_certificates.json")) {
    contents[entry.at("id")] = *find_tlv(octets(entry, "cert"), 0x7F21);
  }
  Chain german = own_chain();
  german.root.bytes = contents["cvca-DETESTeID00001"];
  EacCard card(german);
  ASSERT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
  const auto present = [&](const char* authority, const char* id) {
    return EacTerminal::present(card.exchange(), authority, contents[id]);
  };
  EXPECT_EQ(present("DETESTeID00004", "cvdv-DEDVeIDDPST00035"), 0x6A88);
  EXPECT_EQ(present("DETESTeID00001", "cvca-DETESTeID00002_DETESTeID00001"), 0x9000);
  EXPECT_EQ(present("DETESTeID00002", "cvca-DETESTeID00004_DETESTeID00002"), 0x9000);
  EXPECT_EQ(present("DETESTeID00004", "cvdv-DEDVeIDDPST00035"), 0x9000);
  EXPECT_EQ(present("DEDVeIDDPST00035", "cvat-DEDEMODEV00038"), 0x9000);
  EXPECT_EQ(present("DETESTeID00004", "cvdv-DEDVeIDDPST00039"), 0x9000);  // moves the date beyond the first
  EXPECT_EQ(present("DETESTeID00004", "cvdv-DEDVeIDDPST00035"), 0x6985);
  EXPECT_EQ(present("DEDVeIDDPST00035", "cvat-DEDEMODEV00038"), 0x6A88);  // its verifier has been replaced
  EXPECT_EQ(present("DEDVeIDDPST00039", "cvat-DEDEMOPAA00079"), 0x9000);
}

// A recorded online authentication of a real terminal program: our card takes the same commands in the same order and
// answers with the same status words.
TEST(TraceVectors, RecordedOrderOfCommandsWorks) {
  const json steps = entry_of("eac_apdu_trace.json", "eid-online-auth").at("steps");
  EacCard card(own_chain());
  card.open(3, "000000");  // the recorded card had one try used
  card.restart();
  EacTerminal terminal(own_chain());
  terminal.auxiliary = tlv(0x73, hex("060904007F000703010402") + tlv(0x53, text("20250506")));
  card.pace = {};
  card.pace.reference = 3;
  card.pace.chat_object = chat(kAuthenticationTerminal, 0, kAllRights);
  std::size_t performed = 0;
  int certificates = 0;
  int paces = 0;
  for (const json& step : steps) {
    const Memory command = octets(step, "command");
    const Memory recorded = octets(step, "response");
    const u32 head = static_cast<u32>(command[1]) << 16 | read_u16(&command[2]);
    u16 sw = 0;
    switch (command[1] == 0xB0 ? 0xB00000 : head) {
      case 0xA4000C:
      case 0xA4020C:
        sw = card.run(command).sw;
        break;
      case 0xB00000:
        sw = card.run("00B0000000").sw;
        break;
      case 0x22C1A4:
        if (++paces == 3) card.channel.reset();  // a new session, in plain again
        sw = card.run(paces == 1 ? command : card.pace.set_command()).sw;
        if (paces == 2) {
          ASSERT_EQ(card.pace.run_rest(card.exchange()), 0x9000);
          card.channel = card.pace.channel();
        }
        break;
      case 0x840000: {
        const Answer answer = card.run(command);
        terminal.challenge = answer.data;
        sw = answer.sw;
        break;
      }
      case 0x2281B6:
        sw = 0x9000;  // with the certificate that follows
        break;
      case 0x2A00BE: {
        const Certified& next = ++certificates == 1 ? own_chain().verifier : own_chain().terminal;
        sw = EacTerminal::present(card.exchange(), next);
        break;
      }
      case 0x2281A4:
        sw = terminal.announce(card.exchange());
        break;
      case 0x820000:
        sw = card.run(apdu("00820000", own_chain().terminal.signer.sign(terminal.to_sign(card.pace.card_identity()))))
                 .sw;
        break;
      case 0x2241A4:
        sw = 0x9000;  // with the next
        break;
      case 0x860000: {
        const auto channel = terminal.authenticate_chip(card.exchange(), card.chip_key);
        ASSERT_TRUE(channel);
        card.channel = *channel;
        sw = 0x9000;
        break;
      }
      default:
        ADD_FAILURE() << "not expected: " << to_hex(command);
    }
    const bool last_session = paces == 3;
    const u16 expected =
        recorded.size() >= 2 && read_u16(&recorded[recorded.size() - 2]) >> 8 == 0x63 ? 0x63C2 : 0x9000;
    EXPECT_EQ(sw, last_session ? 0x9000 : expected) << step.at("what");
    ++performed;
  }
  EXPECT_EQ(performed, steps.size());
}

// What of the example files this card does not run, and why. An entry nobody names here or tests above is an error.
TEST(LeftOut, WithReasons) {
  const std::map<std::string, std::string> reasons = {
      {"pace-dh-gm-aes128", "finite-field groups: the card has elliptic curves only"},
      {"pace-ecdh-im-aes128", "integrated mapping: not offered"},
      {"pace-dh-im-aes128", "finite-field groups and integrated mapping"},
      {"pace-ecdh-cam-aes128",
       "chip authentication mapping: not offered, chip authentication follows terminal authentication"},
      {"eac2-dh", "finite-field groups; its certificates are RSA with SHA-1, which the card refuses"},
  };
  const std::set<std::string> tested = {"pace-ecdh-gm-aes128", "kdf-pi-128", "kdf-pi-192",
                                        "kdf-pi-256",          "eac2-ecdh",  "eid-online-auth"};
  for (const char* file : {"icao9303_pace.json", "bsi_eac_worked_example.json", "eac_apdu_trace.json"}) {
    for (const json& entry : entries_of(file)) {
      const std::string id = entry.at("id");
      EXPECT_NE(tested.count(id) != 0, reasons.count(id) != 0) << id;
    }
  }
}

}  // namespace
}  // namespace karta::os
