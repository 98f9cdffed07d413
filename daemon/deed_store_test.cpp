// Deeds done once: what a key's repetition gets, through failures, unsettled commits and restarts.
#include "daemon/deed_store.h"

#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace karta::daemon {
namespace {

using State = BegunDeed::State;

class DeedStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { open(); }
  void open() {
    store.reset();
    auto opened = DeedStore::open(folder / "deeds.sqlite", clock);
    ASSERT_TRUE(opened) << opened.error().message;
    store = std::move(*opened);
  }
  State begin(const std::string& key, const std::string& request = "r") {
    const auto begun = store->begin(key, request);
    EXPECT_TRUE(begun);
    answer = begun->answer;
    return begun->state;
  }
  PendingDeed pending(const std::string& key, std::uint32_t sequence = 4) {
    PendingDeed out;
    out.key = key;
    out.request = "{}";
    out.commit.serial = serial;
    out.commit.sequence = sequence;
    out.commit.change = {{1, 2}, Bytes(24, 0xAA)};
    return out;
  }

  crypto::testing::TemporaryFolder folder;
  FixedClock clock{crypto::testing::test_time()};
  std::unique_ptr<DeedStore> store;
  DeedAnswer answer;
  const Bytes serial = Bytes(8, 0x11);
};

TEST_F(DeedStoreTest, TheKeyForComparingIsMadeOnceAndItsOwnersAlone) {
  const SecretBytes key = store->essence_key().clone();
  EXPECT_EQ(key.size(), 32u);
  open();
  EXPECT_TRUE(store->essence_key().equals(key.expose_secret()));
  const auto file = folder / "deeds.key";
  using std::filesystem::perms;
  EXPECT_EQ(std::filesystem::status(file).permissions(), perms::owner_read | perms::owner_write);
  std::filesystem::remove(file);
  open();
  EXPECT_FALSE(store->essence_key().equals(key.expose_secret())) << "another one, by chance alone";
  std::filesystem::resize_file(file, 16);
  const auto damaged = DeedStore::open(folder / "deeds.sqlite", clock);
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().kind, ErrorKind::malformed);
  EXPECT_NE(damaged.error().message.find("deeds.key"), std::string::npos);
}

TEST_F(DeedStoreTest, ARepetitionGetsTheFirstAnswer) {
  EXPECT_EQ(begin("k"), State::fresh);
  EXPECT_EQ(begin("k"), State::at_work);
  ASSERT_TRUE(store->finish("k", {201, "{\"a\":1}", "/x"}));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(begin("k"), State::done);
    EXPECT_EQ(answer.status, 201);
    EXPECT_EQ(answer.body, "{\"a\":1}");
    EXPECT_EQ(answer.location, "/x");
    EXPECT_EQ(begin("k", "another"), State::other_request);
    open();
  }
}

TEST_F(DeedStoreTest, AFailureFreesTheKeyUnlessSomethingWasBegun) {
  EXPECT_EQ(begin("k"), State::fresh);
  ASSERT_TRUE(store->give_up("k"));
  EXPECT_EQ(begin("k", "corrected"), State::fresh);
  ASSERT_TRUE(store->keep_pending(pending("k")));
  ASSERT_TRUE(store->give_up("k"));
  EXPECT_EQ(begin("k", "corrected"), State::again);
  open();
  EXPECT_EQ(begin("k", "corrected"), State::again);
  EXPECT_EQ(*store->pending_ledger("k"), serial);
}

TEST_F(DeedStoreTest, SettlingGivesTheKeyItsAnswerOrFreesIt) {
  EXPECT_EQ(begin("k"), State::fresh);
  ASSERT_TRUE(store->keep_pending(pending("k")));
  ASSERT_TRUE(store->give_up("k"));
  EXPECT_EQ(*store->pending_count(), 1u);
  const auto found = store->pending(serial);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->key, "k");
  EXPECT_EQ((*found)->commit.sequence, 4u);
  EXPECT_EQ((*found)->commit.change.entry, Bytes(24, 0xAA));
  ASSERT_TRUE(store->settle(serial, DeedAnswer{200, "{}", ""}));
  EXPECT_EQ(*store->pending_count(), 0u);
  EXPECT_EQ(begin("k"), State::done);

  EXPECT_EQ(begin("l"), State::fresh);
  ASSERT_TRUE(store->keep_pending(pending("l")));
  ASSERT_TRUE(store->settle(serial, std::nullopt));
  ASSERT_TRUE(store->give_up("l"));
  EXPECT_EQ(begin("l", "another"), State::fresh);
  EXPECT_FALSE(*store->pending(serial));
}

TEST_F(DeedStoreTest, NumbersGoOnThroughRestarts) {
  EXPECT_EQ(*store->next_number("a"), 1u);
  EXPECT_EQ(*store->next_number("a"), 2u);
  EXPECT_EQ(*store->next_number("b"), 1u);
  open();
  EXPECT_EQ(*store->next_number("a"), 3u);
}

TEST_F(DeedStoreTest, OldAnswersAreForgottenWhatIsUnsettledIsNot) {
  EXPECT_EQ(begin("old"), State::fresh);
  ASSERT_TRUE(store->finish("old", {200, "{}", ""}));
  EXPECT_EQ(begin("held"), State::fresh);
  ASSERT_TRUE(store->keep_pending(pending("held")));
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(begin("new"), State::fresh);
  ASSERT_TRUE(store->finish("new", {200, "{}", ""}));
  ASSERT_TRUE(store->forget_before(clock.now()));
  open();
  EXPECT_EQ(begin("old"), State::fresh);
  EXPECT_EQ(begin("held"), State::again);
  EXPECT_EQ(begin("new"), State::done);
}

}  // namespace
}  // namespace karta::daemon
