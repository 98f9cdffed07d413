// Terminal authentication: chains right and wrong in each place, rights, dates, anchors; and what a terminal may do
// that has gone through it. Rules 24 to 29 by number.
#include <gtest/gtest.h>

#include "firmware-sim/os/test_eac.h"

namespace karta::os {
namespace {

const Chain& chain() {
  static const Chain made = Chain::make();
  return made;
}

class TerminalTest : public testing::Test {
 protected:
  EacCard card{chain()};
  EacTerminal terminal{chain()};

  // A channel in which a terminal may authenticate itself.
  void open(u64 rights = kAllRights) {
    card.restart();
    ASSERT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, rights)), 0x9000);
  }
  u16 present(const Certified& certified) { return EacTerminal::present(card.exchange(), certified); }
  u16 present(const std::string& authority, const Memory& certificate) {
    return EacTerminal::present(card.exchange(), authority, certificate);
  }
  // The terminal certified by `verifier`, and all the way to a channel of its own.
  u16 authenticate(const Certified& verifier, const Certified& at) {
    open();
    terminal.chain().verifier = verifier;
    terminal.chain().terminal = at;
    return terminal.authenticate(card.exchange(), card.pace.card_identity());
  }
  static CertificateText verifier_text() { return chain().verifier.text; }
  static CertificateText terminal_text() { return chain().terminal.text; }
  static Certified by_root(const CertificateText& text) { return certify(text, chain().root.signer); }
  static Certified by_verifier(const CertificateText& text) { return certify(text, chain().verifier.signer); }
  static Certified link(const std::string& name, const Certified& from, const std::string& effective = "260201",
                        const std::string& expires = "381231", Curve curve = Curve::brainpool_p256r1) {
    return certify({.authority = from.text.holder,
                    .holder = name,
                    .key = KeyPair::make(curve),
                    .role = 3,
                    .effective = effective,
                    .expires = expires,
                    .domain = true,
                    .extensions = {}},
                   from.signer);
  }
  std::vector<std::string> anchors() {
    card.restart();
    EXPECT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
    return card.pace.anchors;
  }
};

TEST_F(TerminalTest, AChainOpensWhatItsRightsSay) {
  ASSERT_EQ(card.open_eac(), 0x9000);
  ASSERT_EQ(card.select_identity(), 0x9000);
  EXPECT_EQ(card.read_group(1), 0x9000);
  EXPECT_EQ(card.read_group(4), 0x9000);
}

TEST_F(TerminalTest, EveryCurveAndDigestOfCertificates) {
  for (const Curve curve :
       {Curve::p256, Curve::brainpool_p256r1, Curve::p384, Curve::brainpool_p384r1, Curve::brainpool_p512r1}) {
    for (const u8 algorithm : {2, 3, 4, 5}) {
      EacCard fresh(Chain::make(curve, algorithm));
      EXPECT_EQ(fresh.open_eac(), 0x9000) << int(curve) << " " << int{algorithm};
    }
  }
}

// Card-security 21: terminal authentication only in PACE's channel, and only in one whose PACE announced it.
TEST_F(TerminalTest, Behaviour21_OnlyInAChannelThatAnnouncedATerminal) {
  EXPECT_EQ(present(chain().verifier), 0x6982);  // plain, contactless
  card.restart(Interface::contact);
  EXPECT_EQ(present(chain().verifier), 0x6982);
  card.restart();
  ASSERT_EQ(card.open(3, "123456"), 0x9000);
  EXPECT_EQ(present(chain().verifier), 0x6982);
  card.restart();
  ASSERT_EQ(card.open(4, "9081726354", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
  EXPECT_EQ(present(chain().verifier), 0x6982);
  // Announced by a run of PACE that was broken off: not by the one whose channel this is.
  card.restart();
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  PaceTerminal other;
  other.reference = 3;
  other.chat_object = chat(kAuthenticationTerminal, 0, kAllRights);
  ASSERT_EQ(other.set(card.exchange()), 0x9000);
  EXPECT_EQ(present(chain().verifier), 0x6982);
}

// Card-security 24: CVCA, document verifier, terminal; no level skipped, none repeated, none the other way.
TEST_F(TerminalTest, Behaviour24_OrderOfTheChain) {
  open();
  CertificateText direct = terminal_text();
  direct.authority = "ZZCVCA00001";
  EXPECT_EQ(present(by_root(direct)), 0x6A80);   // an authority certifies no terminal
  EXPECT_EQ(present(chain().terminal), 0x6A88);  // nor is its verifier known yet
  ASSERT_EQ(present(chain().verifier), 0x9000);
  CertificateText below = verifier_text();
  below.authority = "ZZDV00001";
  below.holder = "ZZDV00002";
  for (const u8 role : {1, 2, 3}) {
    below.role = role;
    below.domain = role == 3;
    EXPECT_EQ(present(by_verifier(below)), 0x6A80) << int{role};  // a verifier certifies terminals only
  }
  ASSERT_EQ(present(chain().verifier), 0x9000);
  ASSERT_EQ(present(chain().terminal), 0x9000);
  CertificateText under_terminal = terminal_text();
  under_terminal.authority = "ZZAT00001";
  under_terminal.holder = "ZZAT00002";
  for (const u8 role : {0, 1, 2, 3}) {
    under_terminal.role = role;
    under_terminal.domain = role == 3;
    EXPECT_EQ(present(certify(under_terminal, chain().terminal.signer)), 0x6A80);  // a terminal certifies nobody
    ASSERT_EQ(present(chain().verifier), 0x9000);
    ASSERT_EQ(present(chain().terminal), 0x9000);
  }
}

// Card-security 24: certificates of authorities and verifiers open no data.
TEST_F(TerminalTest, Behaviour24_AVerifierIsNoTerminal) {
  open();
  ASSERT_EQ(present(chain().verifier), 0x9000);
  terminal.chain().terminal = chain().verifier;
  EXPECT_EQ(terminal.announce(card.exchange()), 0x6A88);
  terminal.chain().terminal = chain().root;
  EXPECT_EQ(terminal.announce(card.exchange()), 0x6A88);
  EXPECT_EQ(terminal.prove(card.exchange(), card.pace.card_identity()), 0x6985);
}

// Card-security 25: effective rights are what all four grant.
TEST_F(TerminalTest, Behaviour25_RightsAreTheAndOfAll) {
  constexpr u64 kFirst = 1ULL << 8;    // data group 1
  constexpr u64 kFourth = 1ULL << 11;  // data group 4
  const auto rights = [](CertificateText text, u64 value) {
    text.rights = value;
    return text;
  };
  const auto opened = [&](u64 announced, u64 verifier, u64 at) {
    card.restart();
    card.chain.verifier = by_root(rights(verifier_text(), verifier));
    card.chain.terminal = by_verifier(rights(terminal_text(), at));
    EXPECT_EQ(card.open_eac(announced), 0x9000);
    EXPECT_EQ(card.select_identity(), 0x9000);
    return std::pair(card.read_group(1) == 0x9000, card.read_group(4) == 0x9000);
  };
  EXPECT_EQ(opened(kFirst | kFourth, kAllRights, kAllRights), std::pair(true, true));
  EXPECT_EQ(opened(kFirst, kAllRights, kAllRights), std::pair(true, false));
  EXPECT_EQ(opened(kAllRights, kFourth, kAllRights), std::pair(false, true));
  EXPECT_EQ(opened(kAllRights, kAllRights, kFirst), std::pair(true, false));
  EXPECT_EQ(opened(kAllRights, kFirst, kFourth), std::pair(false, false));
  EXPECT_EQ(opened(0, kAllRights, kAllRights), std::pair(false, false));

  Chain narrow = chain();
  narrow.root.text.rights = kFirst;
  narrow.root = self_certify(narrow.root.text);
  EacCard other(narrow);
  ASSERT_EQ(other.open_eac(), 0x9000);
  ASSERT_EQ(other.select_identity(), 0x9000);
  EXPECT_EQ(other.read_group(1), 0x9000);
  EXPECT_EQ(other.read_group(4), 0x6982);
}

// Card-security 25: another type of terminal somewhere in the chain ends all rights of the channel.
TEST_F(TerminalTest, Behaviour25_MixedTypesResetAndErr) {
  open();
  ASSERT_EQ(present(chain().verifier), 0x9000);
  CertificateText other = terminal_text();
  other.type = 1;
  other.rights = 0x3F;
  EXPECT_EQ(present(by_verifier(other)), 0x6982);
  EXPECT_EQ(present(chain().verifier), 0x6982);  // nothing more in this channel
  // A type that was not announced has no anchors here at all.
  card.restart();
  ASSERT_EQ(card.open(3, "123456", chat(3, 0, 3)), 0x9000);
  EXPECT_TRUE(card.pace.anchors.empty());
  EXPECT_EQ(present(chain().verifier), 0x6A88);
}

// Card-security 25: a terminal that came with the CAN needs the right to; a missing right is zero, not an error.
TEST_F(TerminalTest, Behaviour25_CanNeedsItsRight) {
  EXPECT_EQ(card.open_eac(kAllRights, {}, 2, "123456"), 0x9000);
  card.restart();
  EXPECT_EQ(card.open_eac(kAllRights & ~(1ULL << kRightCanAllowed), {}, 2, "123456"), 0x6982);
  EXPECT_EQ(card.select_identity(), 0x9000);
  EXPECT_EQ(card.read_group(1), 0x6982);
}

// Card-security 26: the card's date goes forward only, told by authorities, verifiers and domestic terminals.
TEST_F(TerminalTest, Behaviour26_WhoTellsTheDate) {
  const auto dated = [](CertificateText text, const std::string& effective, const std::string& expires) {
    text.effective = effective;
    text.expires = expires;
    return text;
  };
  // Expiring 270101: still good, as the card believes it is 260101.
  const Certified probe = by_root(dated(verifier_text(), "260101", "270101"));
  const auto probe_refused = [&] {
    open();
    return present(probe) == 0x6985;
  };
  EXPECT_FALSE(probe_refused());

  // A foreign verifier's terminal says 2028: not believed.
  CertificateText foreign = verifier_text();
  foreign.role = 1;
  foreign.holder = "ZZDV00009";
  const Certified foreign_verifier = by_root(foreign);
  CertificateText visitor = dated(terminal_text(), "280101", "301231");
  visitor.authority = "ZZDV00009";
  EXPECT_EQ(authenticate(foreign_verifier, certify(visitor, foreign_verifier.signer)), 0x9000);
  EXPECT_FALSE(probe_refused());

  // A domestic one's terminal says so: believed, from its import on.
  open();
  ASSERT_EQ(present(chain().verifier), 0x9000);
  ASSERT_EQ(present(by_verifier(dated(terminal_text(), "270102", "301231"))), 0x9000);
  EXPECT_TRUE(probe_refused());

  // A verifier of any kind tells it too.
  EacCard second(chain());
  ASSERT_EQ(second.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
  foreign.effective = "280101";
  ASSERT_EQ(EacTerminal::present(second.exchange(), by_root(foreign)), 0x9000);
  EXPECT_EQ(EacTerminal::present(second.exchange(), probe), 0x6985);

  // A certificate older than the date moves nothing back.
  ASSERT_EQ(EacTerminal::present(second.exchange(), chain().verifier), 0x9000);
  EXPECT_EQ(EacTerminal::present(second.exchange(), probe), 0x6985);
}

// Card-security 26: a signature that does not hold tells no date.
TEST_F(TerminalTest, Behaviour26_AForgedDateIsNotBelieved) {
  CertificateText forged = verifier_text();
  forged.effective = "350101";
  open();
  EXPECT_EQ(present(certify(forged, chain().terminal.signer)), 0x6300);
  EXPECT_EQ(present(chain().verifier), 0x9000);
  CertificateText late = verifier_text();
  late.expires = "340101";
  late.holder = "ZZDV00002";
  EXPECT_EQ(present(by_root(late)), 0x9000);
}

// Card-security 27: what has expired is refused, but for a link; an expired anchor verifies links and nothing else.
TEST_F(TerminalTest, Behaviour27_ExpiredCertificates) {
  CertificateText expired = verifier_text();
  expired.effective = "240101";
  expired.expires = "251231";
  open();
  EXPECT_EQ(present(by_root(expired)), 0x6985);
  ASSERT_EQ(present(chain().verifier), 0x9000);
  CertificateText expired_at = terminal_text();
  expired_at.effective = "240101";
  expired_at.expires = "251231";
  EXPECT_EQ(present(by_verifier(expired_at)), 0x6985);

  // The anchor's last day is 361231. A link that says it is 2037, and is itself long expired, is taken.
  const Certified second = link("ZZCVCA00002", chain().root, "370101", "370102");
  ASSERT_EQ(present(second), 0x9000);
  EXPECT_EQ(present(chain().verifier), 0x6985);  // by the expired anchor
  const Certified third = link("ZZCVCA00003", chain().root, "380101", "391231");
  EXPECT_EQ(present(third), 0x9000);  // a link by it is good
  CertificateText current = verifier_text();
  current.authority = "ZZCVCA00003";
  current.expires = "381231";
  EXPECT_EQ(present(certify(current, third.signer)), 0x9000);
}

// Card-security 28: at most two anchors, the oldest goes.
TEST_F(TerminalTest, Behaviour28_AtMostTwoAnchors) {
  EXPECT_EQ(anchors(), std::vector<std::string>{"ZZCVCA00001"});
  const Certified second = link("ZZCVCA00002", chain().root);
  const Certified third = link("ZZCVCA00003", second, "260301", "381231", Curve::brainpool_p384r1);
  EXPECT_EQ(present(third), 0x6A88);
  ASSERT_EQ(present(second), 0x9000);
  EXPECT_EQ(anchors(), (std::vector<std::string>{"ZZCVCA00002", "ZZCVCA00001"}));
  ASSERT_EQ(present(third), 0x9000);
  EXPECT_EQ(anchors(), (std::vector<std::string>{"ZZCVCA00003", "ZZCVCA00002"}));
  EXPECT_EQ(present(chain().verifier), 0x6A88);
  // A chain under the new anchor, on its curve.
  CertificateText text = verifier_text();
  text.authority = "ZZCVCA00003";
  text.key = KeyPair::make(Curve::brainpool_p384r1);
  const Certified verifier = certify(text, third.signer);
  CertificateText at = terminal_text();
  at.key = KeyPair::make(Curve::brainpool_p384r1);
  EXPECT_EQ(authenticate(verifier, certify(at, verifier.signer)), 0x9000);
}

// Card-security 28: date and anchor are one step, wherever the power goes.
TEST_F(TerminalTest, Behaviour28_LinkIsAllOrNothing) {
  const Certified second = link("ZZCVCA00002", chain().root, "370101");
  const Memory before = card.chip.memory;
  for (std::size_t at = 1;; ++at) {
    for (const Cut how : kCuts) {
      card.chip.memory = before;
      open();
      const Exchange exchange = card.exchange();
      ASSERT_EQ(exchange(apdu("002281B6", tlv(0x83, text("ZZCVCA00001")))).sw, 0x9000);
      const Memory command = card.channel->protect(hex("002A00BE") + with_length(second.bytes, true));
      card.chip.cut_power_at(at, how);
      send(*card.card, command);
      const bool cut = !card.chip.powered;
      const auto names = anchors();
      const bool linked = names.size() == 2;
      // The date is 370101 exactly where the link is there: then the first anchor has expired.
      EXPECT_EQ(present(chain().verifier), linked ? 0x6985 : 0x9000) << at;
      if (cut) continue;
      EXPECT_TRUE(linked);
      EXPECT_GT(at, 2U);
      return;
    }
  }
}

// Card-security 28: the same for a verifier that moves the date.
TEST_F(TerminalTest, Behaviour28_DateMovesWholeOrNot) {
  CertificateText text = verifier_text();
  text.effective = "290101";
  const Certified verifier = by_root(text);
  const Memory before = card.chip.memory;
  for (std::size_t at = 1;; ++at) {
    card.chip.memory = before;
    open();
    ASSERT_EQ(card.run(apdu("002281B6", tlv(0x83, karta::os::text("ZZCVCA00001")))).sw, 0x9000);
    const Memory command = card.channel->protect(hex("002A00BE") + with_length(verifier.bytes, true));
    card.chip.cut_power_at(at, kCuts[at % 4]);
    send(*card.card, command);
    const bool cut = !card.chip.powered;
    open();
    CertificateText old = verifier_text();
    old.expires = "281231";
    const u16 sw = present(by_root(old));
    EXPECT_TRUE(sw == 0x9000 || sw == 0x6985) << at;
    if (cut) continue;
    EXPECT_EQ(sw, 0x6985);
    return;
  }
}

// Card-security 29: what was imported for a session is gone with it, and never stands where an anchor stands.
TEST_F(TerminalTest, Behaviour29_ImportedKeysVanish) {
  open();
  ASSERT_EQ(present(chain().verifier), 0x9000);
  const Memory before = card.chip.memory;
  open();
  EXPECT_EQ(present(chain().terminal), 0x6A88);
  ASSERT_EQ(present(chain().verifier), 0x9000);
  ASSERT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);  // a new PACE inside
  EXPECT_EQ(present(chain().terminal), 0x6A88);
}

TEST_F(TerminalTest, Behaviour29_NoNameTwiceAndNoneOfAnAnchor) {
  open();
  CertificateText impostor = verifier_text();
  impostor.holder = "ZZCVCA00001";
  EXPECT_EQ(present(by_root(impostor)), 0x6A80);
  EXPECT_EQ(present(chain().root), 0x6A80);  // the root itself, again
  const Certified second = link("ZZCVCA00002", chain().root);
  ASSERT_EQ(present(second), 0x9000);
  EXPECT_EQ(present(second), 0x6A80);
  EXPECT_EQ(present(link("ZZCVCA00002", chain().root)), 0x6A80);
  ASSERT_EQ(present(chain().verifier), 0x9000);
  CertificateText at = terminal_text();
  at.holder = "ZZCVCA00001";
  EXPECT_EQ(present(by_verifier(at)), 0x6A80);
  EXPECT_EQ(anchors(), (std::vector<std::string>{"ZZCVCA00002", "ZZCVCA00001"}));
}

// Card-security 29: objects twice, missing, in another order, with trailing octets, lengths not in their shortest form.
TEST_F(TerminalTest, Behaviour29_FormIsTakenStrictly) {
  open();
  const auto signed_body = [&](const Memory& contents) {
    const Memory body = tlv(0x7F4E, contents);
    return body + tlv(0x5F37, chain().root.signer.sign(body));
  };
  const Memory good = *find_tlv(chain().verifier.bytes, 0x7F4E);
  ASSERT_EQ(present("ZZCVCA00001", signed_body(good)), 0x9000);
  const Memory car = tlv(0x42, text("ZZCVCA00001"));
  const Memory profile = hex("5F290100");
  const Memory rest = slice(good, profile.size() + car.size(), good.size() - profile.size() - car.size());
  const std::vector<Memory> bad = {
      good + Memory{0},
      good + tlv(0x42, text("ZZCVCA00001")),
      good + tlv(0x65, {}) + tlv(0x65, {}),
      good + tlv(0x65, tlv(0x73, {})),
      profile + car + car + rest,
      car + profile + rest,
      car + rest,
      profile + rest,
      hex("5F290101") + car + rest,
      profile + Memory{0x42, 0x81, 11} + text("ZZCVCA00001") + rest,
      profile + tlv(0x42, text("ZZCVCA00002")) + rest,
      profile + tlv(0x42, Memory(17, 'Z')) + rest,
      profile + tlv(0x42, {}) + rest,
      profile + car,
      {},
  };
  for (const Memory& contents : bad) {
    EXPECT_EQ(present("ZZCVCA00001", signed_body(contents)), 0x6A80) << to_hex(contents);
  }
  const Memory whole = chain().verifier.bytes;
  EXPECT_EQ(present("ZZCVCA00001", whole + Memory{0}), 0x6A80);
  EXPECT_EQ(present("ZZCVCA00001", whole + whole), 0x6A80);
  EXPECT_EQ(present("ZZCVCA00001", tlv(0x7F21, whole)), 0x6A80);
  for (std::size_t n = 0; n < whole.size(); n += 7) {
    EXPECT_NE(present("ZZCVCA00001", slice(whole, 0, n)), 0x9000) << n;
  }
}

TEST_F(TerminalTest, FieldsOutsideTheirRangeAreRefused) {
  open();
  const auto refused = [&](const std::function<void(CertificateText&)>& change) {
    CertificateText text = verifier_text();
    change(text);
    return present(by_root(text)) == 0x6A80;
  };
  EXPECT_TRUE(refused([](CertificateText& t) { t.effective = "261301"; }));
  EXPECT_TRUE(refused([](CertificateText& t) { t.effective = "260100"; }));
  EXPECT_TRUE(refused([](CertificateText& t) { t.expires = "260132"; }));
  EXPECT_TRUE(refused([](CertificateText& t) { t.expires = "251231"; }));  // before it begins
  EXPECT_TRUE(refused([](CertificateText& t) { t.expires = "2612310"; }));
  EXPECT_TRUE(refused([](CertificateText& t) { t.algorithm = 1; }));  // SHA-1
  EXPECT_TRUE(refused([](CertificateText& t) { t.algorithm = 6; }));
  EXPECT_TRUE(refused([](CertificateText& t) { t.domain = true; }));  // only authorities carry them
  EXPECT_TRUE(refused([](CertificateText& t) { t.key.point.back() ^= 1; }));
  EXPECT_TRUE(refused([](CertificateText& t) { t.key.point = {0}; }));
  EXPECT_TRUE(refused([](CertificateText& t) { t.key = KeyPair::make(Curve::brainpool_p384r1); }));
  EXPECT_TRUE(refused([](CertificateText& t) { t.type = 4; }));
  EXPECT_TRUE(refused([](CertificateText& t) { t.holder.clear(); }));
  // Domain parameters of a curve nobody knows: one octet of the prime is another.
  CertificateText odd = link("ZZCVCA00002", chain().root).text;
  Memory body = certificate_body(odd);
  const DomainObjects domain(Curve::brainpool_p256r1);
  const auto at = std::search(body.begin(), body.end(), domain.before_point.begin(), domain.before_point.end());
  ASSERT_NE(at, body.end());
  *(at + 10) ^= 1;
  EXPECT_EQ(present("ZZCVCA00001", body + tlv(0x5F37, chain().root.signer.sign(body))), 0x6A80);
  // Unknown extensions are left alone.
  CertificateText extended = verifier_text();
  extended.extensions = tlv(0x73, tlv(0x06, hex("04007F000703010309")) + hex("800101"));
  EXPECT_EQ(present(by_root(extended)), 0x9000);
}

TEST_F(TerminalTest, SignatureMustBeTheIssuers) {
  open();
  Memory twisted = chain().verifier.bytes;
  twisted.back() ^= 1;
  EXPECT_EQ(present("ZZCVCA00001", twisted), 0x6300);
  Memory changed = chain().verifier.bytes;
  const auto at = std::search(changed.begin(), changed.end(), chain().verifier.text.key.point.begin(),
                              chain().verifier.text.key.point.end());
  const KeyPair other = KeyPair::make(Curve::brainpool_p256r1);
  std::copy(other.point.begin(), other.point.end(), at);
  EXPECT_EQ(present("ZZCVCA00001", changed), 0x6300);
  EXPECT_EQ(present(certify(verifier_text(), {.key = KeyPair::make(Curve::brainpool_p256r1)})), 0x6300);
  const Memory zero = certificate_body(verifier_text()) + tlv(0x5F37, Memory(64, 0));
  EXPECT_EQ(present("ZZCVCA00001", zero), 0x6300);
  const Memory cut = certificate_body(verifier_text()) + tlv(0x5F37, Memory(63, 1));
  EXPECT_EQ(present("ZZCVCA00001", cut), 0x6300);
  const Memory none = certificate_body(verifier_text()) + tlv(0x5F37, {});
  EXPECT_EQ(present("ZZCVCA00001", none), 0x6300);
}

// Card-security 19: a challenge lives through the commands of its protocol only, and is answered once.
TEST_F(TerminalTest, Behaviour19_ChallengeIsSingleUse) {
  const auto prepare = [&] {
    open();
    ASSERT_EQ(terminal.present_chain(card.exchange()), 0x9000);
    ASSERT_EQ(terminal.announce(card.exchange()), 0x9000);
    terminal.challenge = card.run("0084000008").data;
    ASSERT_EQ(terminal.challenge.size(), 8U);
  };
  const auto proof = [&] {
    return apdu("00820000", chain().terminal.signer.sign(terminal.to_sign(card.pace.card_identity())));
  };
  prepare();
  EXPECT_EQ(card.run(proof()).sw, 0x9000);
  prepare();
  card.run("00A40000023F00");
  EXPECT_EQ(card.run(proof()).sw, 0x6985);
  prepare();
  const Memory first = proof();
  card.run("0084000008");
  EXPECT_EQ(card.run(first).sw, 0x6300);
  prepare();
  Memory wrong = proof();
  wrong.back() ^= 1;
  EXPECT_EQ(card.run(wrong).sw, 0x6300);
  EXPECT_EQ(card.run(proof()).sw, 0x6985);
  // Without a challenge at all, with one of another length, and with one of an earlier channel.
  open();
  ASSERT_EQ(terminal.present_chain(card.exchange()), 0x9000);
  ASSERT_EQ(terminal.announce(card.exchange()), 0x9000);
  EXPECT_EQ(card.run(proof()).sw, 0x6985);
  terminal.challenge = card.run("0084000010").data;
  EXPECT_EQ(card.run(proof()).sw, 0x6985);
  terminal.challenge = card.run("0084000008").data;
  ASSERT_EQ(card.open(3, "123456", chat(kAuthenticationTerminal, 0, kAllRights)), 0x9000);
  ASSERT_EQ(terminal.present_chain(card.exchange()), 0x9000);
  ASSERT_EQ(terminal.announce(card.exchange()), 0x9000);
  EXPECT_EQ(card.run(proof()).sw, 0x6985);
}

// Terminals that act for a server ask for the challenge before they have the certificates.
TEST_F(TerminalTest, ChallengeMayComeBeforeTheCertificates) {
  open();
  terminal.challenge = card.run("0084000008").data;
  ASSERT_EQ(terminal.present_chain(card.exchange()), 0x9000);
  ASSERT_EQ(terminal.announce(card.exchange()), 0x9000);
  const Memory proof = chain().terminal.signer.sign(terminal.to_sign(card.pace.card_identity()));
  EXPECT_EQ(card.run(apdu("00820000", proof)).sw, 0x9000);
}

TEST_F(TerminalTest, WhatIsSignedBindsTheChannel) {
  open();
  const Memory old_identity = card.pace.card_identity();
  open();
  EXPECT_EQ(terminal.authenticate(card.exchange(), old_identity), 0x6300);
  EXPECT_EQ(terminal.prove(card.exchange(), card.pace.card_identity()), 0x9000);
}

TEST_F(TerminalTest, AnnouncementNamesTheTerminalJustCertified) {
  open();
  ASSERT_EQ(terminal.present_chain(card.exchange()), 0x9000);
  const auto announce = [&](const std::string& objects) { return card.run(apdu("002281A4", hex(objects))).sw; };
  const std::string oid = "800A04007F00070202020203";
  const std::string name = "8309" + to_hex(text("ZZAT00001"));
  const std::string key = "9120" + to_hex(Memory(32, 7));
  EXPECT_EQ(announce(oid + name + key), 0x9000);
  EXPECT_EQ(announce(oid + "8309" + to_hex(text("ZZAT00002")) + key), 0x6A88);
  EXPECT_EQ(announce("800A04007F00070202020204" + name + key), 0x6A80);  // another algorithm than certified
  EXPECT_EQ(announce("800A04007F00070202020103" + name + key), 0x6A80);  // RSA
  EXPECT_EQ(announce(oid + name), 0x6A80);
  EXPECT_EQ(announce(oid + name + key + key), 0x6A80);
  EXPECT_EQ(announce(oid + name + "9143" + to_hex(Memory(67, 7))), 0x6A80);
  EXPECT_EQ(announce(oid + name + key + "670130"), 0x6A80);
}

// Card-security 13: only the right to manage PINs activates, deactivates, unblocks and sets one without the holder.
TEST_F(TerminalTest, Behaviour13_PinStateNeedsTheRight) {
  const std::vector<std::string> commands = {"00041003", "00441003", "002C0303", "002C0203 06 373737373737",
                                             "002C0202 06 373737373737"};
  for (const std::string& command : commands) {
    EXPECT_EQ(card.plain(command).sw, 0x6982) << command;
  }
  ASSERT_EQ(card.open(2, "123456"), 0x9000);
  for (const std::string& command : commands) EXPECT_EQ(card.run(command).sw, 0x6982) << command;
  card.restart();
  ASSERT_EQ(card.open_eac(kAllRights & ~(1ULL << kRightPinManagement), {}, 2, "123456"), 0x9000);
  for (const std::string& command : commands) EXPECT_EQ(card.run(command).sw, 0x6982) << command;
  card.restart();
  ASSERT_EQ(card.open_eac(kAllRights, {}, 2, "123456"), 0x9000);
  EXPECT_EQ(card.run("00041003").sw, 0x9000);

  card.restart();
  PaceTerminal status;
  status.reference = 3;
  EXPECT_EQ(card.plain(status.set_command()).sw, 0x6283);
  EXPECT_EQ(card.open(3, "123456"), 0x6283);
  EXPECT_EQ(card.pace.run_rest(card.exchange()), 0x6984);
  card.restart(Interface::contact);
  EXPECT_EQ(card.plain(apdu("00200001", pin("123456"))).sw, 0x6984);
  EXPECT_EQ(card.plain(apdu("00240001", pin("123456") + pin("222222"))).sw, 0x6984);

  card.restart();
  ASSERT_EQ(card.open_eac(kAllRights, {}, 2, "123456"), 0x9000);
  EXPECT_EQ(card.run("00441003").sw, 0x9000);
  EXPECT_EQ(card.run("002C0203 06 373737373737").sw, 0x9000);
  EXPECT_EQ(card.run("002C0202 06 383838383838").sw, 0x9000);
  EXPECT_EQ(card.run("002C0202 07 38383838383838").sw, 0x6A80);
  card.restart();
  EXPECT_EQ(card.open(3, "777777"), 0x9000);
  card.restart();
  EXPECT_EQ(card.open(2, "888888"), 0x9000);
}

TEST_F(TerminalTest, AnchorsAndDateAreClosedAfterIssue) {
  card.restart(Interface::contact);
  EXPECT_EQ(transmit(*card.card, "00DA0120", tlv(0x7F21, chain().root.bytes), false).sw, 0x6982);
  EXPECT_EQ(card.plain(apdu("00DA0121", date("260101"))).sw, 0x6982);
  EXPECT_EQ(card.plain(apdu("00DA0110", text("222222"))).sw, 0x6982);
}

TEST(TrustAnchorTest, ImportOnABlankCardIsChecked) {
  Chip chip(96);
  Card card(chip, kDefaultConfig);
  ASSERT_TRUE(card.format(EacCard::kSerial) && card.boot(Interface::contact));
  const auto import = [&](const Memory& contents) {
    return transmit(card, "00DA0120", tlv(0x7F21, contents), false).sw;
  };
  const Chain other = Chain::make(Curve::p384, 4);
  EXPECT_EQ(import(chain().verifier.bytes), 0x6A80);
  EXPECT_EQ(import(chain().terminal.bytes), 0x6A80);
  Memory twisted = chain().root.bytes;
  twisted.back() ^= 1;
  EXPECT_EQ(import(twisted), 0x6A80);
  EXPECT_EQ(import(chain().root.bytes + Memory{0}), 0x6A80);
  EXPECT_EQ(import(chain().root.bytes), 0x9000);
  EXPECT_EQ(import(chain().root.bytes), 0x9000);  // there already, and the same
  CertificateText namesake = chain().root.text;
  namesake.key = KeyPair::make(Curve::brainpool_p256r1);
  EXPECT_EQ(import(self_certify(namesake).bytes), 0x6A80);
  namesake.type = 3;
  namesake.rights = 3;
  EXPECT_EQ(import(self_certify(namesake).bytes), 0x6A80);
  CertificateText signature_root = other.root.text;
  signature_root.holder = "ZZCVCA00009";
  signature_root.type = 3;
  signature_root.rights = 3;
  EXPECT_EQ(import(self_certify(signature_root).bytes), 0x9000);

  EXPECT_EQ(send(card, apdu("00DA0121", date("260101"))).sw, 0x9000);  // the root has said so
  EXPECT_EQ(send(card, apdu("00DA0121", date("251231"))).sw, 0x6A80);
  EXPECT_EQ(send(card, apdu("00DA0121", date("269901"))).sw, 0x6A80);
  EXPECT_EQ(send(card, apdu("00DA0121", date("270101"))).sw, 0x9000);
  // A wipe forgets both.
  EXPECT_EQ(send(card, "00DA01E008 FFFF000FFF000FFF").sw, 0x9000);
  EXPECT_EQ(send(card, apdu("00DA0121", date("200101"))).sw, 0x9000);
  EXPECT_EQ(import(chain().root.bytes), 0x9000);
}

}  // namespace
}  // namespace karta::os
