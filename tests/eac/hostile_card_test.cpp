// Cards that lie: what they say is changed on the way to the terminal, step by step, and nothing of it may be taken.
#include <gtest/gtest.h>

#include "base/der.h"
#include "card/whole_file.h"
#include "crypto/cms/sign.h"
#include "tests/eac/identity_card.h"

namespace karta::card {
namespace {

using test::IdentityCard;
using test::kCan;
using test::kPin;
using test::secret;

// Between card and terminal: changes answers. The function gets the number of the exchange, from 0.
class Between final : public CardConnection {
 public:
  using Change = std::function<Result<Bytes>(unsigned number, ByteView command, Bytes answer)>;
  Between(CardConnection& inner, Change change) : inner_(inner), change_(std::move(change)) {}

  Result<Bytes> transmit(ByteView command) override {
    Bytes answer = TRY(inner_.transmit(command));
    return change_(count_++, command, std::move(answer));
  }
  ByteView atr() const override { return inner_.atr(); }
  Status reset() override { return inner_.reset(); }
  Status begin() override { return inner_.begin(); }
  void end() override { inner_.end(); }
  std::uint64_t transaction() const override { return inner_.transaction(); }
  unsigned session() const override { return inner_.session(); }
  std::string_view reader_name() const override { return inner_.reader_name(); }
  unsigned count() const { return count_; }

 private:
  CardConnection& inner_;
  Change change_;
  unsigned count_ = 0;
};

// READ EF.CardAccess, MSE, nonce, mapping, agreement, tokens.
enum Step : unsigned { kAccess = 0, kSet = 1, kNonce = 2, kMap = 3, kAgree = 4, kToken = 5, kPaceSteps = 6 };

Bytes answer_of(Tag tag, ByteView value) { return concat({make_tlv(0x7C, make_tlv(tag, value)), Bytes{0x90, 0x00}}); }

class HostileCard : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { card = std::make_unique<IdentityCard>(); }
  static void TearDownTestSuite() { card.reset(); }

  struct Outcome {
    Result<PaceOutcome> result;
    bool secure;
    unsigned exchanges;
  };
  Outcome pace(Between::Change change) {
    card->put(os::Interface::contactless);
    Between between(card->sim.connection(), std::move(change));
    PlainChannel plain(between);
    SecureMessagingChannel channel(plain);
    const SecretBytes can = secret(kCan);
    auto result = open_pace(channel, {PacePassword::can, &can, nullptr, {}}, card->random);
    return {std::move(result), channel.secure(), between.count()};
  }
  // Replaces the answer of one step; nothing may be sent after it, and no channel begin.
  void expect_refused(unsigned step, const std::function<Bytes(ByteView command, Bytes answer)>& lie, const char* what,
                      std::optional<ErrorKind> kind = {}) {
    SCOPED_TRACE(what);
    const Outcome outcome = pace([&](unsigned number, ByteView command, Bytes answer) -> Result<Bytes> {
      return number == step ? lie(command, std::move(answer)) : std::move(answer);
    });
    ASSERT_FALSE(outcome.result);
    EXPECT_FALSE(outcome.secure);
    EXPECT_EQ(outcome.exchanges, step + 1) << "the terminal went on after the lie";
    if (kind) {
      EXPECT_EQ(outcome.result.error().kind, *kind) << outcome.result.error().message;
    }
  }

  static std::unique_ptr<IdentityCard> card;
};
std::unique_ptr<IdentityCard> HostileCard::card;

// The terminal's own point inside its command: 10 86 00 00 Lc 7C L { tag L point } 00
Bytes point_of(ByteView command) {
  TlvCursor outer(command.subspan(5));
  const auto template_object = outer.expect(0x7C);
  if (!template_object) return {};
  TlvCursor inner(template_object->value);
  const auto point = inner.next();
  return point ? to_bytes(point->value) : Bytes{};
}

TEST_F(HostileCard, Behaviour22EchoedPoints) {
  for (const auto& [step, tag] : {std::pair{kMap, 0x82}, {kAgree, 0x84}}) {
    expect_refused(
        step,
        [tag = tag](ByteView command, const Bytes&) { return answer_of(static_cast<Tag>(tag), point_of(command)); },
        "our own point sent back", ErrorKind::card_insecure);
  }
}

TEST_F(HostileCard, Behaviour22PointsThatAreNone) {
  for (const auto& [step, tag_number] : {std::pair{kMap, 0x82}, {kAgree, 0x84}}) {
    const auto tag = static_cast<Tag>(tag_number);
    const auto with = [&](const char* what, std::function<void(Bytes&)> change) {
      expect_refused(
          step,
          [&](ByteView command, const Bytes&) {
            Bytes point = point_of(command);
            change(point);
            return answer_of(tag, point);
          },
          what, ErrorKind::card_insecure);
    };
    with("off the curve", [](Bytes& point) { point.back() ^= 1; });
    with("a coordinate beyond the prime",
         [](Bytes& point) { std::fill(point.begin() + 1, point.begin() + 33, std::uint8_t{0xFF}); });
    with("the identity", [](Bytes& point) { point = {0x00}; });
    with("zeros", [](Bytes& point) { std::fill(point.begin() + 1, point.end(), std::uint8_t{0}); });
    with("compressed", [](Bytes& point) {
      point.resize(33);
      point[0] = 0x02;
    });
    with("hybrid", [](Bytes& point) { point[0] = static_cast<std::uint8_t>(0x06 | (point.back() & 1)); });
    with("too short", [](Bytes& point) { point.pop_back(); });
    with("a point of another curve",
         [](Bytes& point) { point = *crypto::ec_generator(crypto::KeyType::brainpool_p256r1); });
    with("nothing", [](Bytes& point) { point.clear(); });
  }
}

TEST_F(HostileCard, TokensThatAreWrongShortOrOurs) {
  const auto lie = [&](const char* what, std::function<Bytes(ByteView, Bytes)> change) {
    expect_refused(kToken, change, what, ErrorKind::card_insecure);
  };
  lie("one bit off", [](ByteView, Bytes answer) {
    answer[5] ^= 1;
    return answer;
  });
  lie("our own token sent back", [](ByteView command, const Bytes&) { return answer_of(0x86, point_of(command)); });
  lie("seven octets of the right one", [](ByteView, Bytes answer) {
    TlvCursor outer(answer);
    const auto whole = outer.expect(0x7C);
    TlvCursor inner(whole->value);
    const auto token = inner.expect(0x86);
    return answer_of(0x86, token->value.first(7));
  });
  lie("empty", [](ByteView, const Bytes&) { return answer_of(0x86, {}); });
  lie("none", [](ByteView, const Bytes&) { return Bytes{0x7C, 0x00, 0x90, 0x00}; });
  lie("something behind it", [](ByteView, Bytes answer) {
    TlvCursor outer(answer);
    const auto whole = outer.expect(0x7C);
    Bytes content = to_bytes(whole->value);
    append(content, make_tlv(0x89, Bytes{1}));
    return concat({make_tlv(0x7C, content), Bytes{0x90, 0x00}});
  });
}

TEST_F(HostileCard, AnswersOutOfForm) {
  for (const unsigned step : {kNonce, kMap, kAgree, kToken}) {
    expect_refused(
        step,
        [](ByteView, const Bytes&) {
          return Bytes{0x90, 0x00};
        },
        "nothing");
    expect_refused(
        step,
        [](ByteView, const Bytes&) {
          return Bytes{0x7C, 0x05, 0x80, 0x90, 0x00};
        },
        "cut short");
    expect_refused(
        step, [](ByteView, const Bytes&) { return Bytes{0x7C, 0x02, 0x99, 0x00, 0x90, 0x00}; }, "another object");
    expect_refused(
        step,
        [](ByteView, Bytes answer) {
          answer.insert(answer.begin() + static_cast<std::ptrdiff_t>(answer.size()) - 2, {0x99, 0x00});
          return answer;
        },
        "a second object behind 7C");
  }
  for (const std::size_t octets : {0u, 1u, 15u, 17u, 80u}) {
    expect_refused(
        kNonce, [&](ByteView, const Bytes&) { return answer_of(0x80, Bytes(octets, 0x11)); },
        "a nonce of a wrong length", ErrorKind::card_unresponsive);
  }
  // A nonce of another length that is possible, or other octets: another generator, found out at the token.
  const Outcome other = pace([](unsigned number, ByteView, Bytes answer) -> Result<Bytes> {
    return number == kNonce ? answer_of(0x80, Bytes(16, 0x22)) : std::move(answer);
  });
  ASSERT_FALSE(other.result);
  EXPECT_FALSE(other.secure);
}

// EF.CardAccess exchanged on the way: for parameters nobody should use, or for what the card does not know.
TEST_F(HostileCard, ExchangedCardAccess) {
  const auto with = [&](std::function<void(SecurityInfos&)> change) {
    return pace([&](unsigned number, ByteView, Bytes answer) -> Result<Bytes> {
      if (number != kAccess) return answer;
      SecurityInfos infos = TRY(SecurityInfos::parse(*only_object(ByteView(answer).first(answer.size() - 2))));
      change(infos);
      return concat({infos.encode(), Bytes{0x90, 0x00}});
    });
  };
  const Outcome weaker = with([](SecurityInfos& infos) { infos.pace = {{&kPaceSuites[0], 8}}; });
  ASSERT_FALSE(weaker.result);
  EXPECT_EQ(weaker.result.error().kind, ErrorKind::unsupported);
  EXPECT_EQ(weaker.exchanges, 1u);
  const Outcome none = with([](SecurityInfos& infos) { infos.pace.clear(); });
  ASSERT_FALSE(none.result);
  const Outcome unknown = with([](SecurityInfos& infos) { infos.pace = {{&kPaceSuites[2], 13}}; });
  ASSERT_FALSE(unknown.result) << "the card does not know it";

  // What PACE itself does not notice is found when the signed list is read.
  card->put(os::Interface::contactless);
  Between between(card->sim.connection(), [&](unsigned number, ByteView, Bytes answer) -> Result<Bytes> {
    if (number != 0) return answer;
    SecurityInfos infos = TRY(SecurityInfos::parse(*only_object(ByteView(answer).first(answer.size() - 2))));
    infos.pace.push_back({&kPaceSuites[0], 13});
    return concat({infos.encode(), Bytes{0x90, 0x00}});
  });
  PlainChannel plain(between);
  const UnlockedTerminal clinic = card->terminal("clinic");
  const SecretBytes can = secret(kCan);
  const auto opened = IdentityApplication::open(plain, card->request(clinic, PacePassword::can, can), card->random);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::card_insecure) << opened.error().message;
}

// Cut at each step, and each answer of the protected part changed in each of its places: no reading, no crash, and the
// card works at the next try.
TEST_F(HostileCard, CutAtEachStep) {
  const UnlockedTerminal clinic = card->terminal("clinic");
  const SecretBytes can = secret(kCan);
  unsigned total = 0;
  for (unsigned cut = 0; cut < 200; ++cut) {
    card->put(os::Interface::contactless);
    Between between(card->sim.connection(), [&](unsigned number, ByteView, Bytes answer) -> Result<Bytes> {
      if (number >= cut) return fail(ErrorKind::card_removed, "the card went away");
      return answer;
    });
    PlainChannel plain(between);
    auto opened = IdentityApplication::open(plain, card->request(clinic, PacePassword::can, can), card->random);
    if (opened) {
      total = cut;
      break;
    }
    EXPECT_EQ(opened.error().kind, ErrorKind::card_removed) << "at " << cut << ": " << opened.error().message;
  }
  EXPECT_GT(total, 15u);

  for (unsigned at = kPaceSteps; at < total; ++at) {
    SCOPED_TRACE(at);
    for (const unsigned place : {0u, 1u, 2u}) {
      card->put(os::Interface::contactless);
      Between between(card->sim.connection(), [&](unsigned number, ByteView, Bytes answer) -> Result<Bytes> {
        if (number == at) {
          // The first object, the checksum, the length.
          if (place == 0) answer[2] ^= 1;
          if (place == 1) answer[answer.size() - 3] ^= 1;
          if (place == 2) answer.erase(answer.begin());
        }
        return answer;
      });
      PlainChannel plain(between);
      auto opened = IdentityApplication::open(plain, card->request(clinic, PacePassword::can, can), card->random);
      ASSERT_FALSE(opened);
      EXPECT_EQ(opened.error().kind, ErrorKind::card_insecure) << opened.error().message;
      EXPECT_EQ(between.count(), at + 1) << "the terminal went on after the fault";
    }
  }
}

// Another card's EF.CardSecurity: its signature is right, the chip is not the one.
TEST_F(HostileCard, ACopyDoesNotPassChipAuthentication) {
  IdentityCard genuine({.seed = 11});
  IdentityCard copy({.seed = 12, .card_security = genuine.card_security});
  copy.put(os::Interface::contactless);
  const UnlockedTerminal clinic = copy.terminal("clinic");
  const SecretBytes can = secret(kCan);
  const auto opened = IdentityApplication::open(*copy.plain, copy.request(clinic, PacePassword::can, can), copy.random);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::card_insecure) << opened.error().message;
}

TEST_F(HostileCard, DataThatTheIssuerDidNotSign) {
  IdentityCard liar({.seed = 13, .files_after_signing = [](std::map<unsigned, Bytes>& files) {
                       files[4] = *encode_data_group(*find_data_group(4u), std::string("Somebody else"), Bytes(16, 1));
                     }});
  liar.put(os::Interface::contactless);
  const UnlockedTerminal clinic = liar.terminal("clinic");
  const SecretBytes can = secret(kCan);
  auto opened = IdentityApplication::open(*liar.plain, liar.request(clinic, PacePassword::can, can), liar.random);
  ASSERT_TRUE(opened) << opened.error().message;
  const auto altered = opened->read(4);
  ASSERT_FALSE(altered);
  EXPECT_EQ(altered.error().kind, ErrorKind::untrusted);
  EXPECT_TRUE(opened->read(5));
}

// EF.CardSecurity by whoever has a certificate of the same root, by a stranger, or broken.
TEST_F(HostileCard, OnlyADocumentSignerSignsCards) {
  auto& centre = card->centre;
  SecurityInfos infos;
  infos.status_index = 1;
  EXPECT_FALSE(sign_card_security(infos, centre.centre.citizen));

  const Bytes content = infos.encode();
  crypto::MemoryContent source(content);
  crypto::CmsSignOptions options;
  options.form = crypto::CmsForm::enveloping;
  options.signing_time = centre.now;
  options.content_type = std::string(kSecurityObjectOid);
  const auto by_citizen = crypto::sign_cms(centre.centre.citizen, source, options);
  ASSERT_TRUE(by_citizen) << by_citizen.error().message;
  const auto refused = verify_card_security(*by_citizen, {centre.centre.ca}, centre.now);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::untrusted) << refused.error().message;

  const auto genuine = sign_card_security(infos, centre.document_signer);
  ASSERT_TRUE(genuine);
  EXPECT_TRUE(verify_card_security(*genuine, {centre.centre.ca}, centre.now));
  EXPECT_FALSE(verify_card_security(*genuine, {}, centre.now));
  for (std::size_t at = 0; at < genuine->size(); at += 7) {
    Bytes broken = *genuine;
    broken[at] ^= 0x10;
    const auto read = verify_card_security(broken, {centre.centre.ca}, centre.now);
    // A changed octet outside what is signed may leave the content whole; the content itself never changes.
    if (read) {
      EXPECT_EQ(read->infos, infos) << at;
    }
  }
}

// Wrong passwords are told in words; the last PIN try wants the CAN, and the CAN opens it.
TEST_F(HostileCard, WrongPasswordsAndTheSuspendedPin) {
  IdentityCard mine({.seed = 14});
  mine.change_transport_pin();
  const SecretBytes wrong_can = secret("000000"), wrong_pin = secret("864209"), can = secret(kCan), pin = secret(kPin);
  const auto open = [&](PacePassword password, const SecretBytes& value, const SecretBytes* with_can) {
    mine.put(os::Interface::contactless);
    SecureMessagingChannel channel(*mine.plain);
    auto result = open_pace(channel, {password, &value, with_can, {}}, mine.random);
    EXPECT_EQ(result.has_value(), channel.secure());
    return result;
  };
  const auto bad_can = open(PacePassword::can, wrong_can, nullptr);
  ASSERT_FALSE(bad_can);
  EXPECT_EQ(bad_can.error().kind, ErrorKind::wrong_pin);
  EXPECT_EQ(bad_can.error().message, "wrong CAN");
  const auto bad_pin = open(PacePassword::pin, wrong_pin, nullptr);
  ASSERT_FALSE(bad_pin);
  EXPECT_EQ(bad_pin.error().message, "wrong PIN: 2 tries are left");
  const auto again = open(PacePassword::pin, wrong_pin, nullptr);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().message, "wrong PIN: one try is left");
  const auto suspended = open(PacePassword::pin, pin, nullptr);
  ASSERT_FALSE(suspended);
  EXPECT_EQ(suspended.error().kind, ErrorKind::not_permitted);
  EXPECT_NE(suspended.error().hint.find("CAN"), std::string::npos);
  const auto wrong_way = open(PacePassword::pin, pin, &wrong_can);
  ASSERT_FALSE(wrong_way);
  EXPECT_EQ(wrong_way.error().message, "wrong CAN");
  const auto resumed = open(PacePassword::pin, pin, &can);
  ASSERT_TRUE(resumed) << resumed.error().message;
  EXPECT_TRUE(open(PacePassword::pin, pin, nullptr)) << "all tries are back";
}

}  // namespace
}  // namespace karta::card
