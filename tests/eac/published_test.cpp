// The published examples of PACE, terminal and chip authentication, CV certificates and their arithmetic, entry by
// entry.
#include <gtest/gtest.h>

#include <set>

#include "base/der.h"
#include "card/chip_authentication.h"
#include "card/domain_parameters.h"
#include "card/identity_application.h"
#include "card/key_agreement_token.h"
#include "card/key_derivation.h"
#include "card/pace.h"
#include "card/terminal_authentication.h"
#include "card/transports.h"
#include "card/whole_file.h"
#include "crypto/cms/signed_data.h"
#include "crypto/digest.h"
#include "tests/eac/published.h"

namespace karta::card {
namespace {

using karta::testing::entry;
using karta::testing::Json;
using karta::testing::octets;
using karta::testing::read_vectors;
using karta::testing::scalar_of;
using karta::testing::ScriptedRandom;

// A card that answers by a script: command octets wanted ("" for any), answer octets.
class ScriptedCard {
 public:
  struct Exchange {
    Bytes command, answer;
  };
  explicit ScriptedCard(std::vector<Exchange> script)
      : script_(std::move(script)),
        connection_({.process = [this](ByteView command) { return process(command); },
                     .atr =
                         [] {
                           return Bytes{0x3B, 0x80, 0x80, 0x01, 0x01};
                         },
                     .reset = {}}),
        channel_(connection_) {
    channel_.set_limits({.command_data = kExtendedData, .response_data = kShortResponse, .chaining = true});
  }
  Channel& channel() { return channel_; }
  bool finished() const { return next_ == script_.size(); }
  const std::vector<Bytes>& commands() const { return commands_; }

 private:
  Bytes process(ByteView command) {
    commands_.push_back(to_bytes(command));
    if (next_ == script_.size()) return {0x6F, 0x00};
    const Exchange& now = script_[next_++];
    if (!now.command.empty()) {
      EXPECT_EQ(to_hex(command), to_hex(now.command));
    }
    return now.answer;
  }
  std::vector<Exchange> script_;
  std::size_t next_ = 0;
  std::vector<Bytes> commands_;
  MemoryConnection connection_;
  PlainChannel channel_;
};

PaceInfo pace_info(const Json& oid, unsigned parameter_id) {
  const Bytes content = octets(oid);
  const std::string dotted = der::oid_to_text(content);
  for (const ProtocolSuite& suite : kPaceSuites) {
    if (suite.oid == dotted) return {&suite, parameter_id};
  }
  ADD_FAILURE() << dotted;
  return {};
}

TEST(Vectors, EveryEntryIsRunOrListedWithItsReason) {
  // Files whose every entry not listed is run by the test named.
  const std::map<std::string, std::string> run = {
      {"aes_cmac.json", "crypto/aes_test.cpp"},
      {"iso7816_sm_aes.json", "card/secure_messaging_test.cpp"},
      {"gp_scp03.json", "card/scp03_test.cpp"},
      {"icao9303_pace.json", "Vectors.Icao9303Pace*"},
      {"brainpool_ecdh.json", "Vectors.BrainpoolEcdh"},
      {"bsi_eac_worked_example.json", "Vectors.BsiWorkedExample*"},
      {"cv_certificates.json", "Vectors.CvCertificates*"},
      {"eac_apdu_trace.json", "Vectors.EacApduTrace"},
  };
  const Json index = read_vectors("index.json");
  std::set<std::string> used;
  for (const Json& row : index.at("files")) {
    const std::string file = row.at("file");
    const Json all = read_vectors(file);
    EXPECT_EQ(all.at("entries").size(), row.at("entries").get<std::size_t>()) << file;
    for (const Json& one : all.at("entries")) {
      const std::string id = one.at("id");
      if (karta::testing::left_out(file, id)) {
        used.insert(file + "/" + id);
      } else {
        EXPECT_TRUE(run.contains(file)) << file << "/" << id << " is neither run nor left out with a reason";
      }
    }
  }
  for (const auto& one : karta::testing::kLeftOut) {
    EXPECT_FALSE(one.reason.empty());
    const bool meets = std::any_of(used.begin(), used.end(), [&](const std::string& name) {
      return one.id == "*" ? name.starts_with(std::string(one.file) + "/")
                           : name == std::string(one.file) + "/" + std::string(one.id);
    });
    EXPECT_TRUE(meets) << one.file << "/" << one.id << " names nothing that is there";
  }
}

TEST(Vectors, BrainpoolEcdh) {
  const std::map<std::string, crypto::KeyType> curves = {{"brainpoolP256r1", crypto::KeyType::brainpool_p256r1},
                                                         {"brainpoolP384r1", crypto::KeyType::brainpool_p384r1},
                                                         {"brainpoolP512r1", crypto::KeyType::brainpool_p512r1}};
  std::size_t ran = 0;
  const Json all = karta::testing::entries("brainpool_ecdh.json");
  for (const Json& one : all) {
    SCOPED_TRACE(one.at("id").get<std::string>());
    const crypto::KeyType curve = curves.at(one.at("id"));
    const auto numbers = crypto::numbers_of(curve);
    ASSERT_TRUE(numbers);
    EXPECT_EQ(numbers->prime, octets(one.at("p")));
    EXPECT_EQ(numbers->order, octets(one.at("n")));
    const auto a = crypto::ec_pair_of(curve, {}, SecretBytes(octets(one.at("d_a"))));
    const auto b = crypto::ec_pair_of(curve, {}, SecretBytes(octets(one.at("d_b"))));
    ASSERT_TRUE(a && b);
    EXPECT_EQ(a->point, octets(one.at("q_a")));
    EXPECT_EQ(b->point, octets(one.at("q_b")));
    const auto ab = crypto::ec_agree(curve, a->scalar, b->point), ba = crypto::ec_agree(curve, b->scalar, a->point);
    ASSERT_TRUE(ab && ba);
    EXPECT_TRUE(ab->equals(octets(one.at("z"))));
    EXPECT_TRUE(ba->equals(octets(one.at("z"))));
    ++ran;
  }
  EXPECT_EQ(ran, 3u);
}

// The whole exchange of ICAO 9303-11 appendix G.1, octet by octet, and the keys it ends in.
TEST(Vectors, Icao9303PaceGenericMapping) {
  const Json one = entry("icao9303_pace.json", "pace-ecdh-gm-aes128");
  std::vector<ScriptedCard::Exchange> script;
  for (const Json& pair : one.at("apdus")) {
    script.push_back({octets(pair.at(0)), octets(pair.at(1))});
  }
  // The example authenticates by the MRZ (reference 01); its secret is K, a hash of the printed data. The reference is
  // the one octet that differs from what our CAN would send.
  ASSERT_EQ(script[0].command[19], 0x01);
  script[0].command[19] = 0x02;
  ScriptedCard card(script);
  SecureMessagingChannel channel(card.channel());
  ScriptedRandom random({scalar_of(one.at("term_map_priv"), 32), scalar_of(one.at("term_eph_priv"), 32)});
  const SecretBytes secret(octets(one.at("k")));
  const auto outcome = run_pace(channel, pace_info(one.at("oid"), 13), PacePassword::can, secret, std::nullopt, random);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(card.finished());
  EXPECT_TRUE(random.empty());
  EXPECT_TRUE(channel.secure());
  const Bytes chip_point = octets(one.at("chip_eph_pub"));
  EXPECT_EQ(outcome->card_id, Bytes(chip_point.begin() + 1, chip_point.begin() + 33));
  EXPECT_EQ(outcome->authority, "");

  // Each intermediate value by itself.
  const crypto::KeyType curve = crypto::KeyType::brainpool_p256r1;
  const SecretBytes k_pi = derive_key(secret.expose_secret(), {}, DerivedKey::password, 16);
  EXPECT_TRUE(k_pi.equals(octets(one.at("k_pi"))));
  const Bytes nonce = crypto::aes_cbc_decrypt(k_pi, {}, octets(one.at("nonce_z")));
  EXPECT_EQ(nonce, octets(one.at("nonce_s")));
  const auto shared_h =
      crypto::ec_multiply(curve, SecretBytes(octets(one.at("term_map_priv"))), octets(one.at("chip_map_pub")));
  ASSERT_TRUE(shared_h);
  EXPECT_TRUE(shared_h->equals(octets(one.at("shared_h"))));
  const auto mapped = crypto::ec_map_generic(curve, SecretBytes::copy_of(nonce), octets(one.at("shared_h")));
  ASSERT_TRUE(mapped);
  EXPECT_EQ(*mapped, octets(one.at("mapped_g")));
  const auto shared_k =
      crypto::ec_agree(curve, SecretBytes(octets(one.at("term_eph_priv"))), octets(one.at("chip_eph_pub")));
  ASSERT_TRUE(shared_k);
  EXPECT_TRUE(shared_k->equals(octets(one.at("shared_k"))));
  const SecretBytes ks_mac = derive_key(shared_k->expose_secret(), {}, DerivedKey::mac, 16);
  EXPECT_TRUE(derive_key(shared_k->expose_secret(), {}, DerivedKey::encryption, 16).equals(octets(one.at("ks_enc"))));
  EXPECT_TRUE(ks_mac.equals(octets(one.at("ks_mac"))));
  EXPECT_EQ(key_agreement_token(ks_mac, kPaceSuites[0].oid, octets(one.at("chip_eph_pub"))),
            octets(one.at("token_term")));
  EXPECT_EQ(key_agreement_token(ks_mac, kPaceSuites[0].oid, octets(one.at("term_eph_pub"))),
            octets(one.at("token_chip")));
}

TEST(Vectors, Icao9303PaceKeyDerivation) {
  std::size_t ran = 0;
  const Json all = karta::testing::entries("icao9303_pace.json");
  for (const Json& one : all) {
    if (!one.at("id").get<std::string>().starts_with("kdf-pi-")) continue;
    const Bytes secret = octets(one.at("secret"));
    const std::size_t key_octets = one.at("key_bits").get<std::size_t>() / 8;
    EXPECT_TRUE(derive_key(secret, {}, DerivedKey::password, key_octets).equals(octets(one.at("key")))) << one.at("id");
    ++ran;
  }
  EXPECT_EQ(ran, 3u);
}

// PACE with the PIN, terminal authentication and chip authentication of BSI's worked example on brainpoolP256r1.
TEST(Vectors, BsiWorkedExamplePace) {
  const Json one = entry("bsi_eac_worked_example.json", "eac2-ecdh");
  const Json& pace = one.at("pace");
  const auto access = SecurityInfos::parse(octets(one.at("ef_cardaccess")));
  ASSERT_TRUE(access) << access.error().message;
  const auto info = access->preferred_pace();
  ASSERT_TRUE(info);
  EXPECT_EQ(*info, pace_info(one.at("pace_oid"), 13));
  EXPECT_TRUE(access->terminal_authentication_2);
  const auto object = [](Tag tag, const Json& value) { return make_tlv(0x7C, make_tlv(tag, octets(value))); };
  const auto answer = [&](Tag tag, const Json& value) { return concat({object(tag, value), Bytes{0x90, 0x00}}); };
  const Bytes any;
  const std::string pin = one.at("password_ascii");
  ScriptedCard card(
      {{any, {0x90, 0x00}},
       {any, answer(0x80, pace.at("nonce_enc"))},
       {concat({Bytes{0x10, 0x86, 0x00, 0x00, 0x45}, object(0x81, pace.at("map_pcd_pub_key")), Bytes{0x00}}),
        answer(0x82, pace.at("map_picc_pub_key"))},
       {concat({Bytes{0x10, 0x86, 0x00, 0x00, 0x45}, object(0x83, pace.at("pcd_pub_key")), Bytes{0x00}}),
        answer(0x84, pace.at("picc_pub_key"))},
       {concat({Bytes{0x00, 0x86, 0x00, 0x00, 0x0C}, object(0x85, pace.at("authentication_token_pcd")), Bytes{0x00}}),
        answer(0x86, pace.at("authentication_token_picc"))}});
  SecureMessagingChannel channel(card.channel());
  ScriptedRandom random({scalar_of(pace.at("map_pcd_priv_key"), 32), scalar_of(pace.at("pcd_priv_key"), 32)});
  const auto outcome = run_pace(channel, *info, PacePassword::pin, SecretBytes::copy_of(as_bytes(pin)), {}, random);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_TRUE(card.finished());

  const SecretBytes shared(octets(pace.at("shared_secret_k")));
  EXPECT_TRUE(derive_key(shared.expose_secret(), {}, DerivedKey::encryption, 16).equals(octets(pace.at("k_enc"))));
  EXPECT_TRUE(derive_key(shared.expose_secret(), {}, DerivedKey::mac, 16).equals(octets(pace.at("k_mac"))));
}

// Signatures of both worked examples are right, and yet a chain that goes from an inspection system's authority to an
// authentication terminal is refused: peers that accept it check signatures only.
TEST(Vectors, BsiWorkedExampleChainIsRefusedThoughItsSignaturesAreRight) {
  for (const char* const id : {"eac2-ecdh", "eac2-dh"}) {
    SCOPED_TRACE(id);
    const Json one = entry("bsi_eac_worked_example.json", id);
    const Json& ta = one.at("ta");
    const auto cvca = CvCertificate::parse(octets(ta.at("cvca_cert")));
    const auto dv = CvCertificate::parse(octets(ta.at("dv_cert")));
    const auto terminal = CvCertificate::parse(octets(ta.at("ta_cert")));
    ASSERT_TRUE(cvca && dv && terminal);
    EXPECT_EQ(cvca->chat().type, TerminalType::inspection_system);
    EXPECT_EQ(dv->chat().type, TerminalType::authentication_terminal);
    const auto anchor = CvTrust::of(*cvca);
    ASSERT_TRUE(anchor) << anchor.error().message;
    EXPECT_TRUE(verify_cv_signature(anchor->key, anchor->algorithm, dv->body(), dv->signature()));
    const auto curve = anchor->key.type();
    const auto dv_key = dv->content().public_key.key(curve);
    ASSERT_TRUE(dv_key);
    EXPECT_TRUE(verify_cv_signature(*dv_key, dv->content().public_key.algorithm->algorithm, terminal->body(),
                                    terminal->signature()));
    const CvDate within{std::chrono::year{2010}, std::chrono::October, std::chrono::day{15}};
    const auto chain = verify_cv_chain({*cvca}, {*dv, *terminal}, within);
    ASSERT_FALSE(chain);
    EXPECT_EQ(chain.error().kind, ErrorKind::untrusted);

    // The terminal's signature over ID_PICC, challenge and its ephemeral key.
    const auto key = terminal->content().public_key.key(curve);
    ASSERT_TRUE(key);
    const Json& pace = one.at("pace");
    const Json& ca = one.at("ca");
    Bytes card_id, compressed;
    if (std::string_view(id) == "eac2-ecdh") {
      card_id = Bytes(octets(pace.at("picc_pub_key")));
      card_id = Bytes(card_id.begin() + 1, card_id.begin() + 33);
      compressed = octets(ca.at("ca_pcd_pub_key"));
      compressed = Bytes(compressed.begin() + 1, compressed.begin() + 33);
    } else {
      // For the groups of DH the compressed key is its SHA-1.
      card_id = crypto::digest(crypto::Hash::sha1, octets(pace.at("picc_pub_key")));
      compressed = crypto::digest(crypto::Hash::sha1, octets(ca.at("ca_pcd_pub_key")));
    }
    const Bytes message = concat({card_id, octets(ta.at("ta_nonce")), compressed});
    const auto good = verify_cv_signature(*key, terminal->content().public_key.algorithm->algorithm, message,
                                          octets(ta.at("ta_pcd_signature")));
    EXPECT_TRUE(good) << good.error().message;
  }
}

TEST(Vectors, BsiWorkedExampleChipAuthentication) {
  const Json one = entry("bsi_eac_worked_example.json", "eac2-ecdh");
  const Json& ca = one.at("ca");
  const Bytes file = octets(one.at("ef_cardsecurity"));  // what is parsed points into it
  const auto card_security = crypto::SignedData::parse(file);
  ASSERT_TRUE(card_security) << card_security.error().message;
  EXPECT_EQ(card_security->content_type, kSecurityObjectOid);
  ASSERT_EQ(card_security->content.size(), 1u);
  const auto infos = SecurityInfos::parse(card_security->content.front());
  ASSERT_TRUE(infos) << infos.error().message;
  const auto choice = choose_chip_authentication(*infos);
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->key.point, octets(ca.at("ca_picc_pub_key")));

  const auto ephemeral =
      crypto::ec_pair_of(crypto::KeyType::brainpool_p256r1, {}, SecretBytes(octets(ca.at("ca_pcd_priv_key"))));
  ASSERT_TRUE(ephemeral);
  EXPECT_EQ(ephemeral->point, octets(ca.at("ca_pcd_pub_key")));
  const Bytes proof =
      make_tlv(0x7C, {make_tlv(0x81, octets(ca.at("ca_nonce"))), make_tlv(0x82, octets(ca.at("ca_picc_token")))});
  ScriptedCard card({{{}, {0x90, 0x00}}, {{}, concat({proof, Bytes{0x90, 0x00}})}});
  SecureMessagingChannel channel(card.channel());
  const Status done = authenticate_chip(channel, *choice, *ephemeral);
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_TRUE(channel.secure());
  const Bytes shared = octets(ca.at("ca_shared_secret_k"));
  EXPECT_TRUE(
      derive_key(shared, octets(ca.at("ca_nonce")), DerivedKey::encryption, 16).equals(octets(ca.at("ca_k_enc"))));
  EXPECT_TRUE(derive_key(shared, octets(ca.at("ca_nonce")), DerivedKey::mac, 16).equals(octets(ca.at("ca_k_mac"))));

  // The other card: one octet of the token off.
  Bytes forged = proof;
  forged.back() ^= 1;
  ScriptedCard copy({{{}, {0x90, 0x00}}, {{}, concat({forged, Bytes{0x90, 0x00}})}});
  SecureMessagingChannel other(copy.channel());
  const Status refused = authenticate_chip(other, *choice, *ephemeral);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::card_insecure);
  EXPECT_FALSE(other.secure());
}

// The DH example has RSA certificates and an EF.CardAccess over groups: read, and nothing in it is taken for a curve.
TEST(Vectors, BsiWorkedExampleDhOffersNothingWeUse) {
  const Json one = entry("bsi_eac_worked_example.json", "eac2-dh");
  const auto access = SecurityInfos::parse(octets(one.at("ef_cardaccess")));
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_FALSE(access->others.empty());
  const auto none = access->preferred_pace();
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::unsupported);
}

TEST(Vectors, CvCertificatesParseToTheirFieldsAndBack) {
  std::size_t ran = 0;
  const Json all = karta::testing::entries("cv_certificates.json");
  for (const Json& one : all) {
    SCOPED_TRACE(one.at("id").get<std::string>());
    const Bytes whole = octets(one.at("cert"));
    const auto certificate = CvCertificate::parse(whole);
    ASSERT_TRUE(certificate) << certificate.error().message;
    const Json& fields = one.at("fields");
    EXPECT_EQ(certificate->authority(), fields.at("car"));
    EXPECT_EQ(certificate->holder(), fields.at("chr"));
    EXPECT_EQ(to_hex(*der::oid_from_text(certificate->content().public_key.algorithm->oid)), fields.at("pk_oid"));
    std::string effective = to_string(certificate->content().effective),
                expiration = to_string(certificate->content().expiration);
    std::erase(effective, '-');
    std::erase(expiration, '-');
    EXPECT_EQ(effective, fields.at("effective"));
    EXPECT_EQ(expiration, fields.at("expiration"));
    EXPECT_EQ(to_hex(*der::oid_from_text(row_of(certificate->chat().type).oid)), fields.at("chat_oid"));
    EXPECT_EQ(to_hex(certificate->chat().bits()), fields.at("chat"));
    // Written again from its fields it is the same, octet by octet; RSA exponents and points included.
    const auto body = certificate->content().encode();
    ASSERT_TRUE(body);
    EXPECT_EQ(to_hex(*body), to_hex(certificate->body()));
    ++ran;
  }
  EXPECT_EQ(ran, 28u);
}

// Each verifies under the key of the entry that the file names as its issuer, and under no other authority's.
TEST(Vectors, CvCertificatesVerifyUnderTheirIssuer) {
  const Json all = read_vectors("cv_certificates.json").at("entries");
  std::map<std::string, CvCertificate> by_id;
  for (const Json& one : all) {
    auto certificate = CvCertificate::parse(octets(one.at("cert")));
    ASSERT_TRUE(certificate);
    by_id.emplace(one.at("id"), std::move(*certificate));
  }
  // The curve of a certificate's line: its own, or its issuer's.
  const auto curve_of = [&](auto&& self, const std::string& id) -> std::optional<crypto::KeyType> {
    const CvCertificate& certificate = by_id.at(id);
    if (certificate.content().public_key.curve) return certificate.content().public_key.curve;
    for (const Json& one : all) {
      if (one.at("id") == id && one.at("issuer").is_string() && one.at("issuer") != id) {
        return self(self, one.at("issuer"));
      }
    }
    return std::nullopt;
  };
  std::size_t verified = 0;
  for (const Json& one : all) {
    if (!one.at("verified").get<bool>()) continue;
    SCOPED_TRACE(one.at("id").get<std::string>());
    const std::string issuer_id = one.at("issuer");
    const CvCertificate& issuer = by_id.at(issuer_id);
    const auto key = issuer.content().public_key.key(curve_of(curve_of, issuer_id));
    ASSERT_TRUE(key) << key.error().message;
    const crypto::AlgorithmId algorithm = issuer.content().public_key.algorithm->algorithm;
    const CvCertificate& certificate = by_id.at(one.at("id"));
    EXPECT_TRUE(verify_cv_signature(*key, algorithm, certificate.body(), certificate.signature()));
    Bytes altered = to_bytes(certificate.body());
    altered[altered.size() / 2] ^= 1;
    EXPECT_FALSE(verify_cv_signature(*key, algorithm, altered, certificate.signature()));
    ++verified;
  }
  EXPECT_EQ(verified, 25u);
}

// The German test PKI as a chain: anchor 2, link to 4, verifier, terminal; rights are what all have in common.
TEST(Vectors, CvCertificatesOfTheGermanTestPkiMakeAChain) {
  const auto read = [](std::string_view id) {
    auto certificate = CvCertificate::parse(octets(entry("cv_certificates.json", id).at("cert")));
    EXPECT_TRUE(certificate);
    return *certificate;
  };
  const CvCertificate anchor = read("cvca-DETESTeID00002"), link = read("cvca-DETESTeID00004_DETESTeID00002"),
                      dv = read("cvdv-DEDVeIDDPST00035"), terminal = read("cvat-DEDEMODEV00038");
  const CvDate then{std::chrono::year{2014}, std::chrono::March, std::chrono::day{20}};
  const auto trust = verify_cv_chain({anchor}, {link, dv, terminal}, then);
  ASSERT_TRUE(trust) << trust.error().message;
  EXPECT_EQ(trust->chat.rights, link.chat().rights & dv.chat().rights & terminal.chat().rights);
  EXPECT_TRUE(trust->chat.may(right_to_read(4)));
  // Without the link there is no way; a month later the terminal has expired.
  EXPECT_FALSE(verify_cv_chain({anchor}, {dv, terminal}, then));
  const CvDate afterwards{std::chrono::year{2014}, std::chrono::April, std::chrono::day{12}};
  const auto expired = verify_cv_chain({anchor}, {link, dv, terminal}, afterwards);
  ASSERT_FALSE(expired);
  EXPECT_EQ(expired.error().kind, ErrorKind::untrusted);
}

// A signer that hands out a signature made elsewhere.
class CannedSigner final : public crypto::Signer {
 public:
  CannedSigner(crypto::PublicKey key, Bytes plain) : key_(std::move(key)), plain_(std::move(plain)) {}
  const crypto::PublicKey& public_key() const override { return key_; }
  const std::vector<Bytes>& certificate_chain() const override { return none_; }
  const std::vector<crypto::AlgorithmId>& algorithms() const override { return algorithms_; }
  Result<Bytes> sign(crypto::AlgorithmId, ByteView) override { return crypto::encode_ecdsa_signature(plain_); }

 private:
  crypto::PublicKey key_;
  Bytes plain_;
  std::vector<Bytes> none_;
  std::vector<crypto::AlgorithmId> algorithms_ = {crypto::AlgorithmId::ecdsa_sha256};
};

// The transcript of an authentication in the field: our commands have its shape, octet by octet but for what is random.
TEST(Vectors, EacApduTrace) {
  const Json one = entry("eac_apdu_trace.json", "eid-online-auth");
  std::map<std::string, std::pair<Bytes, Bytes>> steps;
  for (const Json& step : one.at("steps")) {
    steps[step.at("step")] = {octets(step.at("command")), octets(step.at("response"))};
  }
  // 05: EF.CardAccess; 06: MSE:Set AT for PACE with the PIN.
  Bytes access_file = steps.at("05").second;
  access_file.resize(access_file.size() - 2);
  const auto access_object = only_object(access_file);
  ASSERT_TRUE(access_object) << access_object.error().message;
  const auto access = SecurityInfos::parse(*access_object);
  ASSERT_TRUE(access) << access.error().message;
  const auto info = access->preferred_pace();
  ASSERT_TRUE(info);
  {
    ScriptedCard card({{steps.at("06").first, steps.at("06").second}});
    const auto state = pace_state(card.channel(), *info, PacePassword::pin);
    ASSERT_TRUE(state) << state.error().message;
    EXPECT_EQ(state->tries_left, 2u);
    EXPECT_FALSE(state->suspended);
  }
  // 08 to 14: terminal authentication. Certificates come out of the transcript itself.
  const auto certificate_of = [](ByteView command) {
    const bool extended = command[4] == 0;
    return CvCertificate::parse(make_tlv(0x7F21, command.subspan(extended ? 7 : 5)));
  };
  const auto dv = certificate_of(steps.at("10").first), terminal = certificate_of(steps.at("12").first);
  ASSERT_TRUE(dv && terminal);
  const Bytes external = steps.at("14").first;
  const auto terminal_key = terminal->content().public_key.key(crypto::KeyType::brainpool_p256r1);
  ASSERT_TRUE(terminal_key);
  CannedSigner signer(*terminal_key, Bytes(external.begin() + 5, external.end()));
  const TerminalCredentials credentials{{*dv, *terminal}, &signer};
  // What the terminal asks to have compared stands in the transcript, behind 67.
  const Bytes set_terminal = steps.at("13").first;
  TlvCursor objects(ByteView(set_terminal).subspan(5));
  AuxiliaryData auxiliary;
  Bytes auxiliary_octets;
  while (!objects.done()) {
    const auto object = objects.next();
    ASSERT_TRUE(object);
    if (object->tag == 0x67) auxiliary_octets = to_bytes(object->whole);
  }
  ASSERT_FALSE(auxiliary_octets.empty());
  TlvCursor outer(auxiliary_octets);
  const auto templates = outer.expect(0x67);
  ASSERT_TRUE(templates);
  TlvCursor inner(templates->value);
  const auto first = inner.expect(0x73);
  ASSERT_TRUE(first);
  der::Reader fields(first->value);
  const auto oid = fields.oid();
  ASSERT_TRUE(oid);
  const auto value = fields.expect(0x53);
  ASSERT_TRUE(value);
  const auto text = as_text(value->value);
  const CvDate date{std::chrono::year{std::stoi(std::string(text.substr(0, 4)))},
                    std::chrono::month{static_cast<unsigned>(std::stoi(std::string(text.substr(4, 2))))},
                    std::chrono::day{static_cast<unsigned>(std::stoi(std::string(text.substr(6, 2))))}};
  if (der::oid_to_text(*oid) == kDateOfBirthOid) auxiliary.born_by = date;
  if (der::oid_to_text(*oid) == kDateOfExpiryOid) auxiliary.valid_on = date;
  ASSERT_TRUE(inner.done()) << "more templates than this test reads";
  EXPECT_EQ(to_hex(auxiliary.encode()), to_hex(auxiliary_octets));

  ScriptedCard card({{steps.at("09").first, {0x90, 0x00}},
                     {steps.at("10").first, {0x90, 0x00}},
                     {steps.at("11").first, {0x90, 0x00}},
                     {steps.at("12").first, {0x90, 0x00}},
                     {{}, {0x90, 0x00}},
                     {steps.at("08").first, steps.at("08").second},
                     {steps.at("14").first, {0x90, 0x00}}});
  PaceOutcome pace;
  pace.card_id = Bytes(32, 0x11);
  pace.authority = dv->authority();
  SystemRandom random;
  const auto ephemeral = authenticate_terminal(card.channel(), credentials, pace, 13, auxiliary, random);
  ASSERT_TRUE(ephemeral) << ephemeral.error().message;
  EXPECT_TRUE(card.finished());
  // 13 but for the ephemeral key itself.
  Bytes ours = card.commands()[4], theirs = set_terminal;
  ASSERT_EQ(ours.size(), theirs.size());
  std::fill(ours.end() - 32, ours.end(), std::uint8_t{0});
  std::fill(theirs.end() - 32, theirs.end(), std::uint8_t{0});
  EXPECT_EQ(to_hex(ours), to_hex(theirs));

  // 16 to 23: EF.CardSecurity in pieces; its key 41 (hexadecimal) is the one 24 names.
  Bytes security_file;
  for (const char* const step : {"16", "17", "18", "19", "20", "21", "22", "23"}) {
    const Bytes& part = steps.at(step).second;
    security_file.insert(security_file.end(), part.begin(), part.end() - 2);
  }
  const auto security_object = only_object(security_file);
  ASSERT_TRUE(security_object) << security_object.error().message;
  // That card's CMS has an empty set of unsigned attributes, which our reader refuses (RFC 5652 §5.3: 1..MAX): the
  // content is taken out by hand.
  der::Reader content_info(*security_object);
  auto outer_sequence = content_info.enter(der::kSequence);
  ASSERT_TRUE(outer_sequence && outer_sequence->oid());
  auto explicit_content = outer_sequence->enter(der::context(0));
  ASSERT_TRUE(explicit_content);
  auto signed_data = explicit_content->enter(der::kSequence);
  ASSERT_TRUE(signed_data && signed_data->small_integer() && signed_data->expect(der::kSet));
  auto encapsulated = signed_data->enter(der::kSequence);
  ASSERT_TRUE(encapsulated && encapsulated->oid());
  auto octets_inside = encapsulated->enter(der::context(0));
  ASSERT_TRUE(octets_inside);
  const auto content = octets_inside->octet_string();
  ASSERT_TRUE(content);
  const auto infos = SecurityInfos::parse(*content);
  ASSERT_TRUE(infos) << infos.error().message;
  EXPECT_TRUE(check_same_protocols(*access, *infos)) << check_same_protocols(*access, *infos).error().message;
  const auto choice = choose_chip_authentication(*infos);
  ASSERT_TRUE(choice) << choice.error().message;
  EXPECT_EQ(choice->key.key_id, 0x41u);
  // 24 and 25.
  ScriptedCard chip({{steps.at("24").first, {0x90, 0x00}}, {{}, steps.at("25").second}});
  SecureMessagingChannel channel(chip.channel());
  const Status proof = authenticate_chip(channel, *choice, *ephemeral);
  ASSERT_FALSE(proof) << "the transcript's chip cannot know our key";
  EXPECT_EQ(proof.error().kind, ErrorKind::card_insecure);
  EXPECT_TRUE(chip.finished());
  EXPECT_EQ(chip.commands()[1].size(), steps.at("25").first.size());
  EXPECT_EQ(to_hex(ByteView(chip.commands()[1]).first(9)), to_hex(ByteView(steps.at("25").first).first(9)));
}

}  // namespace
}  // namespace karta::card
