#include "daemon/trust_data.h"

#include <gmock/gmock.h>

#include <condition_variable>
#include <mutex>

#include "base/file.h"
#include "daemon/trust_testing.h"

namespace karta::daemon {
namespace {

using crypto::testing::test_time;
using identity::CardVerdict;
using std::chrono::hours;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::region_a;
using testing::region_b;
using testing::TrustDataTest;

TEST_F(TrustDataTest, NothingConfiguredNothingKnown) {
  files_.roots.clear();
  const auto data = open();
  const auto snapshot = data->snapshot();
  EXPECT_TRUE(snapshot->items.empty());
  EXPECT_EQ(snapshot->find("A", 5), CardVerdict::unknown);
}

TEST_F(TrustDataTest, TheTrustListAloneServesAnotherRegion) {
  files_.trust_list = folder_ / "trust";
  files_.stop_lists = {folder_ / "a", folder_ / "b"};
  const Time now = test_time();
  folder_.write("trust", trust_list(1, now - hours(1), now + hours(24)));
  folder_.write("a", region_a().list(1, {5}, now, now + hours(24)));
  folder_.write("b", region_b().list(4, {6}, now, now + hours(24)));
  const auto data = open();
  const auto snapshot = data->snapshot();
  ASSERT_TRUE(snapshot->trust_list) << refusals();
  EXPECT_EQ(snapshot->document_signers.size(), 2u);
  EXPECT_EQ(snapshot->find("A", 5), CardVerdict::stopped) << refusals();
  EXPECT_EQ(snapshot->find("B", 5), CardVerdict::good);
  EXPECT_EQ(snapshot->find("B", 6), CardVerdict::stopped);
  EXPECT_EQ(snapshot->region_of(region_b().centre.ca), "B");
  EXPECT_EQ(snapshot->region_of(region_b().centre.citizen_certificate), "B");
  EXPECT_EQ(snapshot->region_of(region_a().centre.citizen_certificate), "A");

  // Region B leaves the list: its cards are nobody's any more, its lists are signed by nobody.
  folder_.write("trust", trust_list(2, now, now + hours(24), false));
  folder_.write("b", region_b().list(5, {}, now, now + hours(24)));
  data->look(false);
  EXPECT_EQ(data->snapshot()->document_signers.size(), 1u);
  EXPECT_FALSE(data->snapshot()->region_of(region_b().centre.citizen_certificate));
  folder_.write("trust", trust_list(1, now - hours(1), now + hours(24)));
  data->look(false);
  EXPECT_EQ(data->snapshot()->trust_list->sequence, 2u);
}

TEST_F(TrustDataTest, FetchedKeptAndUsedForDaysWithoutANetwork) {
  on_line_ = rules_ = true;
  files_.stop_list_signers = {folder_ / "ca.crt.pem"};
  const Time now = test_time();
  server_.trust_list = trust_list(1, now - hours(1), now + hours(24));
  server_.full = region_a().list(1, {5}, now - hours(1), now + hours(24));
  server_.rules = to_bytes(as_bytes("3 rules"));
  std::string region;
  {
    const auto data = open();
    EXPECT_TRUE(data->snapshot()->stop_lists.empty());
    data->look(true);
    ASSERT_EQ(data->snapshot()->stop_lists.size(), 1u) << refusals();
    EXPECT_EQ(as_text(data->snapshot()->rules), "3 rules");
    server_.delta = region_a().delta(2, server_.full, {6}, now, now + hours(24));
    data->look(true);
    region = data->snapshot()->stop_lists.front().region;
    EXPECT_EQ(data->snapshot()->find(region, 6), CardVerdict::stopped);
    const int fetched = server_.fetched;
    data->look(true);
    EXPECT_EQ(server_.fetched, fetched) << "what has not changed is not sent again";
  }
  // The terminal restarts, and the network is gone for three days.
  server_.away = true;
  clock_.advance(hours(72));
  const auto data = open();
  data->look(true);
  const auto snapshot = data->snapshot();
  ASSERT_TRUE(snapshot->trust_list);
  EXPECT_EQ(snapshot->find(region, 6), CardVerdict::stopped);
  const TrustItem* item = snapshot->item(TrustItemKind::stop_list);
  EXPECT_EQ(item->state(clock_.now(), hours(72)), TrustState::stale);
  EXPECT_EQ(item->state(clock_.now(), hours(24)), TrustState::expired);
  EXPECT_THAT(item->problem, HasSubstr("away"));
  EXPECT_EQ(as_text(snapshot->rules), "3 rules");
  // It comes back with a new full list; the old files go.
  server_.away = false;
  server_.full = region_a().list(9, {8}, clock_.now(), clock_.now() + hours(24));
  server_.delta.clear();
  data->look(true);
  EXPECT_EQ(data->snapshot()->find(region, 8), CardVerdict::stopped) << refusals();
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_ / "state/stop-lists"), {}), 1);
  EXPECT_TRUE(data->snapshot()->item(TrustItemKind::stop_list)->problem.empty());
}

// A server, or who stands in for it, that hands out another region's list of the same number: it is signed as it should
// be, and puts nothing in the place of ours.
TEST_F(TrustDataTest, AnotherRegionsListFromTheServerReplacesNoneOfOurs) {
  on_line_ = true;
  const Time now = test_time();
  files_.trust_list = folder_ / "trust";
  folder_.write("trust", trust_list(1, now - hours(1), now + hours(24)));
  server_.full = region_a().list(3, {5}, now, now + hours(1));
  {
    const auto data = open();
    data->look(true);
    ASSERT_EQ(data->snapshot()->find("A", 5), CardVerdict::stopped) << refusals();
    server_.full = region_b().list(3, {}, now, now + hours(1));
    clock_.advance(hours(2));
    data->look(true);
    EXPECT_EQ(data->snapshot()->find("A", 5), CardVerdict::stopped);
    EXPECT_EQ(data->snapshot()->find("B", 5), CardVerdict::good) << "it was taken for what it is";
  }
  EXPECT_EQ(open()->snapshot()->find("A", 5), CardVerdict::stopped) << "nor after a restart";
}

TEST_F(TrustDataTest, ForgedOrOlderRulesChangeNothing) {
  rules_ = true;
  files_.rules = folder_ / "rules";
  folder_.write("rules", std::string_view("5 first"));
  const auto data = open();
  EXPECT_EQ(as_text(data->snapshot()->rules), "5 first");
  folder_.write("rules", std::string_view("6 forged"));
  data->look(false);
  folder_.write("rules", std::string_view("4 older"));
  data->look(false);
  EXPECT_EQ(as_text(data->snapshot()->rules), "5 first");
  EXPECT_THAT(refusals(), HasSubstr("forged"));
  EXPECT_THAT(refusals(), HasSubstr("5 has been seen"));
}

TEST_F(TrustDataTest, WhatWasWrongAndIsNoLongerIsNotTold) {
  files_.stop_list_signers = {folder_ / "ca.crt.pem"};
  files_.stop_lists = {folder_ / "lists"};
  files_.foreign_filters = {folder_ / "filters"};
  rules_ = true;
  files_.rules = folder_ / "rules";
  std::filesystem::create_directory(folder_ / "lists");
  std::filesystem::create_directory(folder_ / "filters");
  const Time now = test_time();
  folder_.write("rules", std::string_view("5 first"));
  folder_.write("lists/2.stop-list", region_a().list(2, {5}, now - hours(1), now + hours(24)));
  const auto data = open();
  const auto problem = [&](TrustItemKind kind) {
    const auto snapshot = data->snapshot();
    const TrustItem* const item = snapshot->item(kind);
    return item == nullptr ? std::string("no item") : item->problem;
  };
  EXPECT_EQ(problem(TrustItemKind::stop_list), "");

  folder_.write("rules", std::string_view("6 forged"));
  folder_.write("lists/3.stop-list", std::string_view("junk"));
  folder_.write("filters/1.foreign-filter", std::string_view("junk"));
  data->look(false);
  EXPECT_THAT(problem(TrustItemKind::rules), HasSubstr("forged"));
  EXPECT_THAT(problem(TrustItemKind::stop_list), HasSubstr("3.stop-list"));
  EXPECT_THAT(problem(TrustItemKind::foreign_filter), HasSubstr("1.foreign-filter"));

  folder_.write("rules", std::string_view("5 first"));
  std::filesystem::remove(folder_ / "lists/3.stop-list");
  std::filesystem::remove(folder_ / "filters/1.foreign-filter");
  data->look(false);
  EXPECT_EQ(problem(TrustItemKind::rules), "");
  EXPECT_EQ(problem(TrustItemKind::stop_list), "");
  EXPECT_EQ(problem(TrustItemKind::foreign_filter), "no item");

  // Another list under a number that has been seen, and what was there comes back.
  const auto original = read_file(folder_ / "lists/2.stop-list", 1 << 20);
  ASSERT_TRUE(original);
  folder_.write("lists/2.stop-list", region_a().list(2, {6}, now - hours(1), now + hours(24)));
  data->look(false);
  EXPECT_THAT(problem(TrustItemKind::stop_list), HasSubstr("differs"));
  folder_.write("lists/2.stop-list", *original);
  data->look(false);
  EXPECT_EQ(problem(TrustItemKind::stop_list), "");
}

TEST_F(TrustDataTest, ForeignFiltersNeverMissWhatTheyList) {
  files_.stop_list_signers = {folder_ / "ca.crt.pem"};
  files_.foreign_filters = {folder_ / "filter"};
  const crypto::Certificate& listed = region_b().centre.citizen_certificate;
  folder_.write("filter", region_a().filter(1, listed, test_time()));
  const auto data = open();
  EXPECT_TRUE(data->snapshot()->foreign_stopped(listed));
  EXPECT_FALSE(data->snapshot()->foreign_stopped(region_b().centre.ca));
}

TEST_F(TrustDataTest, AClockSetRightIsConfirmedByTheAuthority) {
  on_line_ = true;
  guard_.vouch(test_time() + hours(50));
  const auto data = open();
  EXPECT_EQ(data->clock_state(), identity::ClockState::back);
  server_.away = true;
  data->look(true);
  EXPECT_EQ(data->clock_state(), identity::ClockState::back);
  server_.away = false;
  server_.clock = test_time() + seconds(5);
  data->look(true);
  EXPECT_EQ(data->clock_state(), identity::ClockState::fine);
}

TEST_F(TrustDataTest, TheThreadLooksAndStops) {
  on_line_ = true;
  files_.stop_list_signers = {folder_ / "ca.crt.pem"};
  const Time now = test_time();
  server_.full = region_a().list(1, {5}, now - hours(1), now + hours(24));
  const auto data = open();
  std::mutex mutex;
  std::condition_variable changed;
  bool there = false;
  data->on_news([&](const TrustNews&) {
    const std::scoped_lock lock(mutex);
    there = true;
    changed.notify_all();
  });
  data->start();
  std::unique_lock lock(mutex);
  EXPECT_TRUE(changed.wait_for(lock, seconds(30), [&] { return there; }));
  lock.unlock();
  data->stop();
  EXPECT_EQ(data->snapshot()->stop_lists.size(), 1u);
}

}  // namespace
}  // namespace karta::daemon
