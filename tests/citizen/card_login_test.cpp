// A log-in at the card: what it costs on the wire, what each state of the PIN makes of it, over contacts and without.
#include "daemon/citizen/card_login.h"

#include <gtest/gtest.h>

#include "crypto/web_eid.h"
#include "tests/citizen/login_card.h"

namespace karta::test {
namespace {

using daemon::CardLoginOutcome;
using daemon::CardLook;
using Kind = CardLoginOutcome::Kind;
using State = CardLook::State;
using crypto::testing::must;

constexpr std::string_view kOrigin = "https://id.example", kNonce = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=";

crypto::testing::TestCentre& centre() {
  static crypto::testing::TestCentre one;
  return one;
}

/// A reader with keys of its own: the holder types `digits` there, or presses cancel.
class PadConnection final : public card::CardConnection {
 public:
  PadConnection(card::CardConnection& inner, std::string digits) : inner_(inner), digits_(std::move(digits)) {}
  Result<Bytes> transmit(ByteView command) override { return inner_.transmit(command); }
  ByteView atr() const override { return inner_.atr(); }
  PinPad pin_pad() override { return {.verify = true, .modify = false}; }
  Result<Bytes> enter_pin(PadEntry, ByteView) override {
    ++asked;
    if (digits_.empty()) return Bytes{0x64, 0x01};
    Bytes verify = *from_hex("00200001 08 FFFFFFFFFFFFFFFF");
    std::copy(digits_.begin(), digits_.end(), verify.begin() + 5);
    return transmit(verify);
  }
  Status reset() override { return inner_.reset(); }
  Status begin() override { return inner_.begin(); }
  void end() override { inner_.end(); }
  std::uint64_t transaction() const override { return inner_.transaction(); }
  unsigned session() const override { return inner_.session(); }
  std::string_view reader_name() const override { return inner_.reader_name(); }
  int asked = 0;

 private:
  card::CardConnection& inner_;
  std::string digits_;
};

class CardLogins : public ::testing::Test {
 protected:
  CardLoginOutcome log_in(card::CardConnection& connection, std::string_view pin, std::string_view can = {},
                          bool last_try_known = false) {
    const auto transaction = must(card::Transaction::begin(connection));
    card::PlainChannel channel(connection);
    const SecretBytes secret = SecretBytes::copy_of(pin), access = SecretBytes::copy_of(can);
    return daemon::log_in_with_card(channel,
                                    {.origin = kOrigin,
                                     .nonce = kNonce,
                                     .pin = pin.empty() ? nullptr : &secret,
                                     .can = can.empty() ? nullptr : &access,
                                     .last_try_known = last_try_known},
                                    files, random);
  }
  CardLook look(card::CardConnection& connection) {
    const auto transaction = must(card::Transaction::begin(connection));
    card::PlainChannel channel(connection);
    return daemon::look_at_card(channel, files);
  }
  static void expect_token(const CardLoginOutcome& outcome, const LoginCard& card) {
    ASSERT_EQ(outcome.kind, Kind::signed_token) << outcome.why.message;
    const auto token = must(crypto::parse_web_eid_token(outcome.token));
    EXPECT_EQ(token.certificate, card.certificate().der());
    const auto key = must(card.certificate().public_key());
    EXPECT_TRUE(crypto::verify_web_eid(token, key, kOrigin, kNonce));
    EXPECT_FALSE(crypto::verify_web_eid(token, key, "https://evil.example", kNonce));
  }

  daemon::PublicFiles files;
  SystemRandom random;
};

// What the citizen's wait is made of: commands and octets from a cold card to the token. A change here is a change of
// the product.
TEST_F(CardLogins, CostWhatTheyCost) {
  const struct {
    const char* key_type;
    unsigned cold_commands, again_commands;
    std::uint64_t most_cold_octets;
  } rows[] = {{"p256", 13, 7, 1'700}, {"p384", 13, 7, 1'800}, {"rsa-2048", 13, 7, 2'100}};
  std::uint64_t seed = 10;
  for (const auto& row : rows) {
    SCOPED_TRACE(row.key_type);
    // Numbers of their own: what is remembered of a card goes by its number.
    LoginCard card(centre(), {.key_type = row.key_type, .seed = ++seed});
    auto connection = card.connect(os::Interface::contact);
    card::CountingConnection counting(connection);
    expect_token(log_in(counting, kLoginPin), card);
    const card::WireCount cold = counting.count();
    EXPECT_EQ(cold.commands, row.cold_commands);
    EXPECT_LE(cold.octets_out + cold.octets_back, row.most_cold_octets);
    std::printf("%s: %llu commands, %llu octets\n", row.key_type, static_cast<unsigned long long>(cold.commands),
                static_cast<unsigned long long>(cold.octets_out + cold.octets_back));
    // Its public files are known now.
    expect_token(log_in(counting, kLoginPin), card);
    EXPECT_EQ((counting.count() - cold).commands, row.again_commands);
  }
}

TEST_F(CardLogins, LeaveNoPinBehind) {
  LoginCard card(centre(), {});
  auto connection = card.connect(os::Interface::contact);
  expect_token(log_in(connection, kLoginPin), card);
  card::PlainChannel channel(connection);
  auto esign = card::ESignApplication::open(channel);
  ASSERT_TRUE(esign);
  EXPECT_FALSE(must(esign->pin_status(card::PinKind::pin1)).verified);
  // One that another program had given stays.
  ASSERT_TRUE(esign->verify_pin(card::PinKind::pin1, SecretBytes::copy_of(kLoginPin)));
  expect_token(log_in(connection, kLoginPin), card);
  EXPECT_TRUE(must(esign->pin_status(card::PinKind::pin1)).verified);
}

TEST_F(CardLogins, NeverSpendTheLastTryUnasked) {
  LoginCard card(centre(), {});
  auto connection = card.connect(os::Interface::contact);
  EXPECT_EQ(look(connection).tries_left, 3u);
  EXPECT_EQ(log_in(connection, "111111").kind, Kind::wrong_pin);
  EXPECT_EQ(log_in(connection, "111111").kind, Kind::wrong_pin);
  EXPECT_EQ(look(connection).tries_left, 1u);
  EXPECT_EQ(log_in(connection, "111111").kind, Kind::last_try);
  EXPECT_EQ(log_in(connection, kLoginPin).kind, Kind::last_try);
  EXPECT_EQ(look(connection).tries_left, 1u);
  expect_token(log_in(connection, kLoginPin, {}, true), card);
  EXPECT_EQ(look(connection).tries_left, 3u);
  card.spend_tries(1);
  connection = card.connect(os::Interface::contact);
  EXPECT_EQ(log_in(connection, "111111", {}, true).kind, Kind::pin_blocked);
  EXPECT_EQ(look(connection).state, State::pin_blocked);
  EXPECT_EQ(log_in(connection, kLoginPin, {}, true).kind, Kind::pin_blocked);
}

TEST_F(CardLogins, ThatLookLikeNoPinDoNotReachTheCard) {
  LoginCard card(centre(), {});
  auto connection = card.connect(os::Interface::contact);
  card::CountingConnection counting(connection);
  for (const char* pin : {"123", "123456789", "12345a"}) EXPECT_EQ(log_in(counting, pin).kind, Kind::pin_form) << pin;
  EXPECT_EQ(counting.count().commands, 0u);
}

TEST_F(CardLogins, WithTheLettersPinAskForAnOwnOne) {
  LoginCard card(centre(), {.own_pin = false});
  auto connection = card.connect(os::Interface::contact);
  EXPECT_EQ(look(connection).state, State::transport_pin);
  EXPECT_EQ(log_in(connection, kLoginTransportPin).kind, Kind::transport_pin);
  auto field = card.connect(os::Interface::contactless);
  EXPECT_EQ(log_in(field, kLoginTransportPin, kLoginCan).kind, Kind::transport_pin);
}

TEST_F(CardLogins, WithoutContactsNeedTheAccessNumber) {
  LoginCard card(centre(), {});
  auto field = card.connect(os::Interface::contactless);
  const CardLook seen = look(field);
  EXPECT_EQ(seen.state, State::needs_can);
  EXPECT_TRUE(seen.serial_tail.empty());
  EXPECT_EQ(log_in(field, kLoginPin).kind, Kind::no_can);
  const auto wrong = log_in(field, kLoginPin, "000000");
  EXPECT_EQ(wrong.kind, Kind::wrong_can);
  EXPECT_FALSE(wrong.can_was_right);
  field = card.connect(os::Interface::contactless);
  const auto wrong_pin = log_in(field, "111111", kLoginCan);
  EXPECT_EQ(wrong_pin.kind, Kind::wrong_pin);
  EXPECT_TRUE(wrong_pin.can_was_right);
  field = card.connect(os::Interface::contactless);
  expect_token(log_in(field, kLoginPin, kLoginCan), card);
}

TEST_F(CardLogins, TakeThePinFromAReadersKeys) {
  LoginCard card(centre(), {});
  auto plain = card.connect(os::Interface::contact);
  PadConnection pad(plain, std::string(kLoginPin));
  EXPECT_TRUE(look(pad).pad);
  expect_token(log_in(pad, {}), card);
  EXPECT_EQ(pad.asked, 1);
  PadConnection cancelled(plain, "");
  EXPECT_EQ(log_in(cancelled, {}).kind, Kind::pad_cancelled);
  PadConnection wrong(plain, "111111");
  EXPECT_EQ(log_in(wrong, {}).kind, Kind::wrong_pin);
}

TEST_F(CardLogins, OtherCardsAreToldFromOurs) {
  SeededRandom seeded(5);
  auto blank = must(sim::SoftCard::blank(sim::new_serial(seeded), {}));
  blank->power_on();
  card::MemoryConnection connection({.process = [&](ByteView c) { return to_bytes(blank->process(c)); },
                                     .atr = [&] { return to_bytes(blank->atr()); },
                                     .reset = {}});
  EXPECT_EQ(look(connection).state, State::wrong_card);
  EXPECT_EQ(log_in(connection, kLoginPin).kind, Kind::wrong_card);
  // A card of somebody else's that knows no application of ours.
  card::MemoryConnection foreign({.process =
                                      [](ByteView) {
                                        return Bytes{0x6A, 0x82};
                                      },
                                  .atr = [] { return *from_hex("3B8F8001804F0CA000000306030001000000006A"); },
                                  .reset = {}});
  EXPECT_EQ(look(foreign).state, State::wrong_card);
  EXPECT_EQ(log_in(foreign, kLoginPin, kLoginCan).kind, Kind::wrong_card);
}

TEST_F(CardLogins, CardsThatGoAwayOrLieMakeNoToken) {
  for (int at = 0; at < 14; ++at) {
    LoginCard card(centre(), {});
    int commands = 0;
    auto pulled =
        card.in(os::Interface::contact, [&](ByteView, Bytes answer) { return commands++ == at ? Bytes{} : answer; });
    pulled.reset();
    card::MemoryConnection connection(std::move(pulled));
    daemon::PublicFiles cold;
    const auto transaction = must(card::Transaction::begin(connection));
    card::PlainChannel channel(connection);
    const SecretBytes pin = SecretBytes::copy_of(kLoginPin);
    const auto outcome =
        daemon::log_in_with_card(channel, {.origin = kOrigin, .nonce = kNonce, .pin = &pin}, cold, random);
    // The last command only makes the card forget the PIN: a card that is gone has forgotten it.
    EXPECT_EQ(outcome.kind == Kind::signed_token, at >= 12) << at;
    if (at < 12) {
      EXPECT_EQ(outcome.kind, Kind::card_removed) << at << outcome.why.message;
    }
  }
  // PSO: COMPUTE DIGITAL SIGNATURE answers something else.
  LoginCard card(centre(), {});
  auto liar = card.in(os::Interface::contact, [](ByteView command, Bytes answer) {
    if (command.size() > 3 && command[1] == 0x2A && answer.size() > 10) answer[answer.size() - 5] ^= 1;
    return answer;
  });
  liar.reset();
  card::MemoryConnection connection(std::move(liar));
  EXPECT_EQ(log_in(connection, kLoginPin).kind, Kind::failed);
}

}  // namespace
}  // namespace karta::test
