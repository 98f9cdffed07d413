// Masters in an HSM: the same tap with SoftHSM2 in place of a module.
#include <gtest/gtest.h>

#include <cstdlib>

#include "card/hsm_transaction_keys.h"
#include "card/transit.h"
#include "tests/eac/identity_card.h"

namespace karta::card {
namespace {

constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";

class HsmTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder.write("softhsm2.conf", "directories.tokendir = " + folder.path().string() + "/tokens\nlog.level = ERROR\n");
    std::filesystem::create_directories(folder.path() / "tokens");
    setenv("SOFTHSM2_CONF", (folder / "softhsm2.conf").c_str(), 1);
    run("--init-token --free --label karta --so-pin 12345678 --pin 123456");
    const auto masters = test::ledger_masters(test::kTransitMasters);
    const ByteView debit = masters.at(LedgerKey::debit).expose_secret();
    folder.write("debit.bin", debit);
    run("--import " + (folder / "debit.bin").string() +
        " --aes --token karta --label transit-debit --id 01 --pin 123456");
  }
  void run(const std::string& arguments) {
    const std::string command = "softhsm2-util " + arguments + " >" + (folder / "log").string() + " 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << as_text(folder.read("log"));
  }
  static crypto::Pkcs11Uri uri() {
    return crypto::Pkcs11Uri::parse(std::string("pkcs11:token=karta?module-path=") + kModule).value();
  }

  crypto::testing::TemporaryFolder folder;
  SeededRandom random{1};
};

TEST_F(HsmTest, MakesALedgersKeyAndNothingElseLeavesIt) {
  auto keys = HsmTransactionKeys::open(uri(), "transit", test::secret("123456"), random);
  ASSERT_TRUE(keys) << keys.error().message;
  test::IdentityCard card;
  card.put(os::Interface::contactless);
  Tap tap(*card.plain, **keys, Gate{.terminal = 7, .zone = 1});
  const auto outcome = tap.run(1, crypto::testing::test_time());
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->reason, TapReason::open);
  EXPECT_TRUE(tap.ratify());
  // It holds no other master.
  EXPECT_EQ((*keys)->prepare(LedgerKey::credit, Bytes(8, 1)).error().kind, ErrorKind::not_found);
}

TEST_F(HsmTest, WantsItsPin) {
  EXPECT_EQ(HsmTransactionKeys::open(uri(), "transit", test::secret("000000"), random).error().kind,
            ErrorKind::wrong_pin);
}

}  // namespace
}  // namespace karta::card
