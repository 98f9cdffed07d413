// libeac as the card: PACE with CAN, PIN and PUK, terminal authentication, chip authentication and protected commands
// by our terminal.
#include "tests/eac/libeac_card.h"

namespace karta::card {
namespace {

using test::secret;

class LibeacAsCard : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    OSSL_PROVIDER_load(nullptr, "default");  // libeac loads the legacy one, which alone would hide it
    EAC_init();
  }
  static void TearDownTestSuite() { EAC_cleanup(); }

  struct Set {
    explicit Set(const LibeacParts& parts)
        : card(CentreForTerminals::shared(), parts),
          connection({.process = [this](ByteView command) { return card.process(command); },
                      .atr =
                          [] {
                            return Bytes{0x3B, 0x80, 0x80, 0x01, 0x01};
                          },
                      .reset = {}}),
          plain(connection) {
      plain.set_limits({.command_data = kExtendedData, .response_data = kExtendedResponse, .chaining = false});
    }
    LibeacCard card;
    MemoryConnection connection;
    PlainChannel plain;
  };
  SystemRandom random;
};

const LibeacParts kP256{crypto::KeyType::p256, 0, &NID_id_CA_ECDH_AES_CBC_CMAC_128};

TEST_F(LibeacAsCard, PaceWithCanPinAndPuk) {
  for (const auto& [password, digits] :
       {std::pair{PacePassword::can, "314159"}, {PacePassword::pin, "135790"}, {PacePassword::puk, "9081726354"}}) {
    SCOPED_TRACE(name_of(password));
    {
      Set set(kP256);
      SecureMessagingChannel channel(set.plain);
      const SecretBytes value = secret(digits);
      const auto outcome = open_pace(channel, {password, &value, nullptr, {}}, random);
      ASSERT_TRUE(outcome) << outcome.error().message;
      // Protected commands: one that works, one that is refused, both under its checksums.
      const auto read = channel.transmit(read_binary_short_id(0x1C, 200));
      ASSERT_TRUE(read) << read.error().message;
      EXPECT_TRUE(read->status.ok());
      EXPECT_FALSE(read->data.empty());
      const auto refused = channel.transmit(read_binary_short_id(0x1D, 200));
      ASSERT_TRUE(refused) << refused.error().message;
      EXPECT_EQ(refused->status, kSwSecurityStatus);
    }
    Set set(kP256);
    SecureMessagingChannel channel(set.plain);
    const SecretBytes wrong = secret(password == PacePassword::puk ? "0000000000" : "000000");
    const auto outcome = open_pace(channel, {password, &wrong, nullptr, {}}, random);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().kind, ErrorKind::wrong_pin) << outcome.error().message;
    EXPECT_FALSE(channel.secure());
  }
}

TEST_F(LibeacAsCard, PaceOnEveryCurveAndKeyLength) {
  for (const crypto::KeyType curve :
       {crypto::KeyType::p256, crypto::KeyType::p384, crypto::KeyType::p521, crypto::KeyType::brainpool_p256r1,
        crypto::KeyType::brainpool_p384r1, crypto::KeyType::brainpool_p512r1}) {
    for (const std::size_t suite : {0u, 1u, 2u}) {
      SCOPED_TRACE(std::string(row_of(curve).name) + " " + std::string(kPaceSuites[suite].name));
      Set set({curve, suite, &NID_id_CA_ECDH_AES_CBC_CMAC_128});
      SecureMessagingChannel channel(set.plain);
      const SecretBytes can = secret("314159");
      const auto outcome = open_pace(channel, {PacePassword::can, &can, nullptr, {}}, random);
      ASSERT_TRUE(outcome) << outcome.error().message;
      const auto read = channel.transmit(read_binary_short_id(0x1C, 200));
      ASSERT_TRUE(read) << read.error().message;
      EXPECT_TRUE(read->status.ok());
    }
  }
}

TEST_F(LibeacAsCard, TerminalAndChipAuthenticationThenADataGroup) {
  CentreForTerminals& centre = CentreForTerminals::shared();
  for (const LibeacParts& parts :
       {kP256, LibeacParts{crypto::KeyType::brainpool_p256r1, 0, &NID_id_CA_ECDH_AES_CBC_CMAC_128},
        LibeacParts{crypto::KeyType::p384, 1, &NID_id_CA_ECDH_AES_CBC_CMAC_192},
        LibeacParts{crypto::KeyType::brainpool_p512r1, 2, &NID_id_CA_ECDH_AES_CBC_CMAC_256}}) {
    SCOPED_TRACE(row_of(parts.curve).name);
    Set set(parts);
    auto terminal = centre.store.unlock(*find_terminal_role("clinic"), centre.passphrase);
    ASSERT_TRUE(terminal) << terminal.error().message;
    const SecretBytes can = secret("314159");
    IdentityRequest request;
    request.secret = &can;
    request.terminal = &terminal->credentials;
    request.issuers = {centre.centre.ca};
    request.at = centre.now;
    request.compare.born_by = std::chrono::year(2008) / 6 / 1;
    auto opened = IdentityApplication::open(set.plain, request, random);
    ASSERT_TRUE(opened) << opened.error().message;
    const auto names = opened->read(4);
    ASSERT_TRUE(names) << names.error().message;
    ASSERT_EQ(names->state, DataGroupState::read);
    EXPECT_EQ(*names->value, DataGroupValue(std::string("Sample")));
    EXPECT_EQ(names->check, DataGroupCheck::signed_by_issuer);
  }
}

TEST_F(LibeacAsCard, CompressedPointsKeepTheirLeadingZeros) {
  Set set(kP256);
  SecureMessagingChannel channel(set.plain);
  const SecretBytes can = secret("314159");
  ASSERT_TRUE(open_pace(channel, {PacePassword::can, &can, nullptr, {}}, random));
  Bytes point;
  for (int tries = 0; tries < 20'000 && (point.empty() || point[1] != 0); ++tries) {
    auto pair = crypto::generate_ec_pair(kP256.curve, {}, random);
    ASSERT_TRUE(pair);
    point = pair->point;
  }
  ASSERT_EQ(point[1], 0) << "a point whose x begins with a zero octet";
  EXPECT_LT(set.card.compressed_by_libeac(point).size(), 32u) << "libeac was mended: the card above can be simpler";
  EXPECT_EQ(set.card.compressed(point), to_bytes(ByteView(point).subspan(1, 32)));
}

}  // namespace
}  // namespace karta::card
