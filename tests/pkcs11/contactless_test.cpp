// The module over the contactless interface: a channel by the number printed on the card, and in it everything as
// usual.
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "card/channel.h"
#include "tests/pkcs11/module_fixture.h"

namespace karta::pkcs11 {
namespace {

constexpr char kCan[] = "314159";  // of the fixture's card

class CanStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "cans.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::vector<std::string> known() const {
    std::vector<std::string> cans;
    for (const SecretBytes& can : CanStore(folder_).known()) cans.emplace_back(can.expose_secret_text());
    return cans;
  }
  void write(const std::string& text, unsigned mode = 0600) {
    const std::filesystem::path file = folder_ / "cans";
    std::ofstream(file) << text;
    ASSERT_EQ(chmod(file.c_str(), mode), 0);
  }
  std::filesystem::path folder_;
};

TEST_F(CanStoreTest, KeepsANumberACardTheLastOneFirst) {
  const CanStore store(folder_);
  const Bytes first = {0x01}, second = {0x02};
  ASSERT_TRUE(store.keep(first, SecretBytes::copy_of("111111")));
  ASSERT_TRUE(store.keep(second, SecretBytes::copy_of("222222")));
  EXPECT_EQ(known(), (std::vector<std::string>{"222222", "111111"}));
  ASSERT_TRUE(store.keep(first, SecretBytes::copy_of("333333")));
  EXPECT_EQ(known(), (std::vector<std::string>{"333333", "222222"})) << "the old number of the first card is gone";
  struct stat about = {};
  ASSERT_EQ(stat((folder_ / "cans").c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  EXPECT_EQ(store.keep(first, SecretBytes::copy_of("12345")).error().kind, ErrorKind::usage);
  EXPECT_EQ(CanStore({}).keep(first, SecretBytes::copy_of("123456")).error().kind, ErrorKind::io);
}

TEST_F(CanStoreTest, ForgetsTheOldestOfTooMany) {
  const CanStore store(folder_);
  for (std::uint8_t card = 0; card < CanStore::kMost + 3; ++card) {
    ASSERT_TRUE(store.keep(Bytes{card}, SecretBytes::copy_of("1000" + std::to_string(10 + card))));
  }
  const auto all = known();
  ASSERT_EQ(all.size(), CanStore::kMost);
  EXPECT_EQ(all.front(), "100028");
  EXPECT_EQ(all.back(), "100013");
}

TEST_F(CanStoreTest, PassesOverWhatIsNoRowAndAFileOfOthers) {
  write("no row\n\n01 12345\n02 1234567\nXX 123456\n 123456\n03 654321\n04 12345a\n05 111111");
  EXPECT_EQ(known(), (std::vector<std::string>{"654321", "111111"}));
  write("03 654321\n", 0644);
  EXPECT_TRUE(known().empty()) << "others may read it";
  std::filesystem::remove(folder_ / "cans");
  write("");
  std::filesystem::rename(folder_ / "cans", folder_ / "elsewhere");
  std::filesystem::create_symlink(folder_ / "elsewhere", folder_ / "cans");
  EXPECT_TRUE(known().empty()) << "links are not followed";
}

class ContactlessTest : public ModuleTest {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "cans.XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    issue("p256");
    card_->power_off();
    card_->set_interface(os::Interface::contactless);
    card_->power_on();
  }
  void TearDown() override {
    ModuleTest::TearDown();
    std::filesystem::remove_all(folder_);
  }
  void begin_with(std::initializer_list<const char*> cans) {
    const auto store = std::make_shared<CanStore>(folder_);
    std::uint8_t serial = 0;
    for (const char* can : cans) ASSERT_TRUE(store->keep(Bytes{serial++}, SecretBytes::copy_of(can)));
    set_environment_maker([this, store] {
      return Environment{reader_, [] { return std::make_unique<NoEvents>(); }, nullptr, store};
    });
    ASSERT_EQ(C_Initialize(nullptr), CKR_OK);
  }
  CK_RV sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) {
    CK_MECHANISM mechanism{CKM_ECDSA_SHA256, nullptr, 0};
    Bytes signature(64);
    CK_ULONG octets = signature.size();
    const CK_RV rv = C_SignInit(session, &mechanism, key);
    if (rv != CKR_OK) return rv;
    return C_Sign(session, message_.data(), message_.size(), signature.data(), &octets);
  }
  std::filesystem::path folder_;
};

TEST_F(ContactlessTest, WithoutTheNumberThereIsNoToken) {
  begin_with({});
  CK_TOKEN_INFO info;
  EXPECT_EQ(C_GetTokenInfo(0, &info), CKR_TOKEN_NOT_RECOGNIZED);
  CK_SESSION_HANDLE session = 0;
  EXPECT_EQ(C_OpenSession(0, CKF_SERIAL_SESSION, nullptr, nullptr, &session), CKR_TOKEN_NOT_RECOGNIZED);
}

TEST_F(ContactlessTest, AWrongNumberIsNotEnoughAndCostsNothing) {
  begin_with({"000000", "999999"});
  CK_TOKEN_INFO info;
  EXPECT_EQ(C_GetTokenInfo(0, &info), CKR_TOKEN_NOT_RECOGNIZED);
  ASSERT_EQ(C_Finalize(nullptr), CKR_OK);
  begin_with({kCan, "000000", "999999"});  // ours is the oldest of three
  EXPECT_EQ(C_GetTokenInfo(0, &info), CKR_OK);
}

TEST_F(ContactlessTest, SignsAndSendsNothingInTheClearOnceTheChannelStands) {
  begin_with({kCan});
  const CK_SESSION_HANDLE session = open();
  unsigned plain = 0;
  reader_->instead = [&](ByteView command) {
    if ((command[0] & 0x0C) != 0x0C) ++plain;
    return Bytes();
  };
  ASSERT_EQ(login(session), CKR_OK);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "AUT");
  EXPECT_EQ(sign(session, key), CKR_OK);
  EXPECT_EQ(sign(session, key), CKR_OK);
  EXPECT_EQ(plain, 0u);
}

TEST_F(ContactlessTest, AnotherProgramsCommandBreaksTheChannelAndItIsMadeAgain) {
  begin_with({kCan});
  const CK_SESSION_HANDLE session = open();
  ASSERT_EQ(login(session), CKR_OK);
  const CK_OBJECT_HANDLE key = one(session, CKO_PRIVATE_KEY, "AUT");
  ASSERT_EQ(sign(session, key), CKR_OK);
  // The channel and the PIN are gone; both come back from memory.
  (void)card_->process(Bytes{0x00, 0xA4, 0x00, 0x0C, 0x02, 0x3F, 0x00});
  EXPECT_EQ(sign(session, key), CKR_OK);
  card_->reset();
  EXPECT_EQ(sign(session, key), CKR_OK);
}

}  // namespace
}  // namespace karta::pkcs11
