#include <gmock/gmock.h>

#include "daemon/trust_testing.h"

namespace karta::daemon {
namespace {

using crypto::testing::test_time;
using identity::CardVerdict;
using std::chrono::hours;
using ::testing::HasSubstr;
using testing::region_a;
using testing::region_b;
using StopListFilesTest = testing::TrustDataTest;

TEST_F(StopListFilesTest, FullListAndDeltasFromAFolder) {
  files_.stop_list_signers = {folder_ / "ca.crt.pem"};
  files_.stop_lists = {folder_ / "lists"};
  std::filesystem::create_directory(folder_ / "lists");
  const Time now = test_time();
  const Bytes full = region_a().list(1, {5, 7}, now - hours(48), now - hours(1));
  folder_.write("lists/1.stop-list", full);
  const auto data = open();
  auto snapshot = data->snapshot();
  ASSERT_EQ(snapshot->stop_lists.size(), 1u);
  const std::string region = snapshot->stop_lists.front().region;
  EXPECT_EQ(snapshot->find(region, 5), CardVerdict::stopped);
  EXPECT_EQ(snapshot->find(region, 6), CardVerdict::good);
  EXPECT_EQ(snapshot->find(region, 1000), CardVerdict::unknown);
  EXPECT_EQ(snapshot->find("elsewhere", 5), CardVerdict::unknown) << "another authority's cards";
  const TrustItem* item = snapshot->item(TrustItemKind::stop_list);
  EXPECT_EQ(item->state(now), TrustState::expired);
  EXPECT_EQ(item->state(now, hours(72)), TrustState::stale);
  EXPECT_EQ(item->state(now - hours(2)), TrustState::fresh);
  EXPECT_EQ(item->state(now - hours(96)), TrustState::early);

  // A cumulative delta, then one that stands on it: whoever holds the old snapshot keeps it.
  const Bytes second = region_a().delta(2, full, {6}, now - hours(2), now + hours(22));
  folder_.write("lists/2.stop-list", second);
  folder_.write("lists/3.stop-list", region_a().delta(3, second, {5}, now - hours(1), now + hours(23)));
  data->look(false);
  EXPECT_EQ(snapshot->find(region, 6), CardVerdict::good);
  snapshot = data->snapshot();
  EXPECT_EQ(snapshot->find(region, 6), CardVerdict::stopped);
  EXPECT_EQ(snapshot->find(region, 5), CardVerdict::good);
  EXPECT_EQ(snapshot->item(TrustItemKind::stop_list)->epoch, 3u);
  EXPECT_EQ(snapshot->item(TrustItemKind::stop_list)->state(now), TrustState::fresh);
  const std::uint64_t number = snapshot->number;
  data->look(false);
  EXPECT_EQ(data->snapshot()->number, number) << "nothing changed";
}

TEST_F(StopListFilesTest, AnOlderListIsNotTakenAfterARestartEither) {
  files_.stop_list_signers = {folder_ / "ca.crt.pem"};
  files_.stop_lists = {folder_ / "list"};
  const Time now = test_time();
  folder_.write("list", region_a().list(7, {5}, now, now + hours(24)));
  (void)open();
  folder_.write("list", region_a().list(6, {}, now - hours(24), now + hours(24)));
  const auto data = open();
  EXPECT_TRUE(data->snapshot()->stop_lists.empty());
  const TrustItem* item = data->snapshot()->item(TrustItemKind::stop_list);
  ASSERT_NE(item, nullptr);
  EXPECT_EQ(item->state(now), TrustState::missing);
  EXPECT_THAT(refusals(), HasSubstr("7 has been seen"));
  // Another list under the same number: somebody signed twice.
  folder_.write("list", region_a().list(7, {}, now, now + hours(25)));
  data->look(false);
  EXPECT_THAT(refusals(), HasSubstr("differs from what was seen"));
  folder_.write("list", region_a().list(8, {9}, now, now + hours(26)));
  data->look(false);
  ASSERT_EQ(data->snapshot()->stop_lists.size(), 1u);
}

TEST_F(StopListFilesTest, AListByNobodyTrustedOrDamagedIsRefusedAndTheOldOneStays) {
  files_.stop_list_signers = {folder_ / "ca.crt.pem"};
  files_.stop_lists = {folder_ / "list"};
  const Time now = test_time();
  const Bytes good = region_a().list(1, {5}, now, now + hours(24));
  folder_.write("list", good);
  const auto data = open();
  const std::string region = data->snapshot()->stop_lists.front().region;
  Bytes damaged = region_a().list(2, {6}, now, now + hours(24));
  damaged[damaged.size() / 2] = static_cast<std::uint8_t>(damaged[damaged.size() / 2] ^ 1);
  folder_.write("list", damaged);
  data->look(false);
  EXPECT_EQ(data->snapshot()->find(region, 5), CardVerdict::stopped);
  folder_.write("list", region_b().list(9, {}, now, now + hours(24)));
  data->look(false);
  EXPECT_EQ(data->snapshot()->find(region, 5), CardVerdict::stopped);
  EXPECT_THAT(refusals(), HasSubstr("none of those trusted"));
}

TEST_F(StopListFilesTest, AListFromLaterShowsAClockThatIsBehind) {
  files_.stop_list_signers = {folder_ / "ca.crt.pem"};
  files_.stop_lists = {folder_ / "list"};
  const Time now = test_time();
  folder_.write("list", region_a().list(1, {5}, now + hours(240), now + hours(300)));
  const auto data = open();
  EXPECT_EQ(data->snapshot()->item(TrustItemKind::stop_list)->state(now, hours(72)), TrustState::early);
  EXPECT_EQ(data->clock_state(), identity::ClockState::back);
}

}  // namespace
}  // namespace karta::daemon
