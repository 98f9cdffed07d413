#include "daemon/trust_snapshot.h"

#include <gtest/gtest.h>

#include "crypto/testing.h"

namespace karta::daemon {
namespace {

using crypto::testing::test_time;
using std::chrono::hours;

TEST(TrustSnapshotTest, AListIsJudgedByItsOwnAge) {
  const Time now = test_time();
  TrustSnapshot snapshot;
  snapshot.stop_lists = {{"*", "everywhere", nullptr}, {"B", "one", nullptr}, {"B", "two", nullptr}};
  for (const StopListInUse& list : snapshot.stop_lists) {
    TrustItem item;
    item.kind = TrustItemKind::stop_list;
    item.region = list.region;
    item.name = list.issuer;
    item.present = true;
    item.until = list.region == "*" ? now + hours(1) : now - hours(list.issuer == "one" ? 2 : 1);
    snapshot.items.push_back(std::move(item));
  }
  EXPECT_EQ(snapshot.item(*snapshot.stop_list("B"))->until, now - hours(2));
  EXPECT_EQ(snapshot.item(snapshot.stop_lists[2])->until, now - hours(1));
  EXPECT_EQ(snapshot.item(*snapshot.stop_list("C"))->state(now), TrustState::fresh);
  EXPECT_EQ(snapshot.item({"D", "nobody", nullptr}), nullptr);
}

}  // namespace
}  // namespace karta::daemon
