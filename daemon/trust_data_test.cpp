#include "daemon/trust_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "crypto/testing.h"
#include "daemon/fake_authority.h"

namespace karta::daemon {
namespace {

using crypto::testing::must;
using crypto::testing::test_time;
using identity::CardVerdict;
using std::chrono::hours;
using std::chrono::seconds;
using ::testing::HasSubstr;

const char* const kListProfile = R"(
schema = "karta.certificate-profile/1"
name = "list"
validity_days = 3000
key_usage = ["digitalSignature"]
[subject]
required = ["CN"]
[subject.fixed]
C = "XX"
)";

/// A region: root, issuing CA, and what they sign.
struct Region {
  crypto::testing::TestCentre centre;
  std::string name;

  Bytes list(std::uint64_t epoch, std::vector<std::uint64_t> stopped, Time made, Time until) const {
    identity::StopListHead head{.kind = identity::StopListKind::full,
                                .epoch = epoch,
                                .this_update = made,
                                .next_update = until,
                                .issuer = name,
                                .base_epoch = 0,
                                .base = {}};
    return must(identity::sign_stop_list(must(identity::encode_stop_list(head, {{0, 1000}}, stopped)), signer()));
  }
  Bytes delta(std::uint64_t epoch, const Bytes& base, std::vector<std::uint64_t> changed, Time made, Time until) const {
    const auto on = must(identity::StopList::parse(base));
    identity::StopListHead head{.kind = identity::StopListKind::delta,
                                .epoch = epoch,
                                .this_update = made,
                                .next_update = until,
                                .issuer = name,
                                .base_epoch = on.head().epoch,
                                .base = on.hash()};
    return must(identity::sign_stop_list(must(identity::encode_stop_list(head, {{0, 1000}}, changed)), signer()));
  }
  Bytes filter(std::uint64_t epoch, const crypto::Certificate& listed, Time made) const {
    const identity::ForeignFilterHead head{
        .epoch = epoch, .this_update = made, .next_update = made + hours(48), .issuer = name};
    return must(identity::sign_foreign_filter(
        must(identity::encode_foreign_filter(head, {identity::foreign_key(listed)})), signer()));
  }
  crypto::Signer& signer() const { return const_cast<crypto::SoftwareSigner&>(centre.ca_signer); }
};
Region& region_a() {
  static Region region{crypto::testing::TestCentre(), "Region A"};
  return region;
}
Region& region_b() {
  static Region region{crypto::testing::TestCentre(), "Region B"};
  return region;
}

/// What the authority of region A hands out.
struct Server {
  Bytes trust_list, rules, full, delta;
  Time clock{};
  bool away = false;
  int fetched = 0;

  Result<identity::Fetched> give(const Bytes& octets, const std::string& etag) {
    if (away) return testing::FakeAuthority::away();
    if (octets.empty()) return fail(ErrorKind::not_found, "no such document");
    const std::string now = std::to_string(std::hash<std::string_view>{}(as_text(octets)));
    if (etag == now) return identity::Fetched{false, {}, now};
    ++fetched;
    return identity::Fetched{true, octets, now};
  }
  class Client final : public testing::FakeAuthority {
   public:
    explicit Client(Server& server) : server_(server) {}
    Result<identity::Fetched> trust_list(const std::string& etag) override {
      return server_.give(server_.trust_list, etag);
    }
    Result<identity::Fetched> rules(const std::string& etag) override { return server_.give(server_.rules, etag); }
    Result<identity::Fetched> stop_list(const std::string& etag) override { return server_.give(server_.full, etag); }
    Result<identity::Fetched> stop_list_delta(std::uint64_t, const std::string& etag) override {
      return server_.give(server_.delta, etag);
    }

    Result<identity::TerminalStanding> standing() override {
      if (server_.away) return FakeAuthority::away();
      identity::TerminalStanding standing;
      standing.now = server_.clock;
      return standing;
    }

   private:
    Server& server_;
  };
};

class TrustDataTest : public ::testing::Test {
 protected:
  TrustDataTest() {
    folder_.write("root.crt.pem", region_a().centre.root.to_pem());
    folder_.write("ca.crt.pem", region_a().centre.ca.to_pem());
    files_.roots = {folder_ / "root.crt.pem"};
  }
  Bytes trust_list(std::uint64_t sequence, Time made, Time until, bool with_b = true) {
    crypto::TrustList list;
    list.sequence = sequence;
    list.issued_at = made;
    list.next_update = until;
    for (const Region* region : {&region_a(), &region_b()}) {
      if (region == &region_b() && !with_b) continue;
      const auto entry = [&](crypto::TrustService service, const crypto::Certificate& certificate) {
        crypto::TrustEntry one;
        one.service = service;
        one.name = region->name;
        one.region = region == &region_a() ? "A" : "B";
        one.certificate = certificate.der();
        one.from = certificate.not_before();
        list.entries.push_back(std::move(one));
      };
      entry(crypto::TrustService::document_signer, region->centre.root);
      entry(crypto::TrustService::unqualified_ca, region->centre.ca);
    }
    crypto::SoftwareSigner signer = region_a().centre.service(kListProfile);
    return must(crypto::sign_trust_list(list, signer));
  }

  std::unique_ptr<TrustData> open() {
    auto data = std::make_unique<TrustData>(
        TrustData::Sources{.files = files_,
                           .folder = folder_ / "state",
                           .connect = on_line_ ? testing::connect_to(server_) : decltype(TrustData::Sources::connect){},
                           .open_rules = rules_opener()},
        clock_, guard_);
    data->on_news([this](const TrustNews& news) { news_.push_back(news); });
    must(data->load());
    return data;
  }
  RulesOpener rules_opener() {
    if (!rules_) return {};
    // "SEQUENCE words": who really reads rules is the gate's affair.
    return [](ByteView file, const std::vector<crypto::Certificate>& signers, Time at) -> Result<RulesHead> {
      if (signers.empty()) return fail(ErrorKind::untrusted, "nobody is trusted for rules");
      const std::string text(as_text(file));
      if (text.find("forged") != std::string::npos) return fail(ErrorKind::invalid_signature, "forged");
      return RulesHead{std::stoull(text), at - hours(1), at + hours(24)};
    };
  }
  std::string refusals() const {
    std::string all;
    for (const TrustNews& one : news_) {
      if (!one.taken) all += one.words + "\n";
    }
    return all;
  }

  crypto::testing::TemporaryFolder folder_;
  TrustConfig files_;
  FixedClock clock_{test_time()};
  identity::ClockGuard guard_{{}, {}, [] { return seconds(0); }};
  Server server_;
  bool on_line_ = false, rules_ = false;
  std::vector<TrustNews> news_;
};

TEST_F(TrustDataTest, NothingConfiguredNothingKnown) {
  files_.roots.clear();
  const auto data = open();
  const auto snapshot = data->snapshot();
  EXPECT_TRUE(snapshot->items.empty());
  EXPECT_EQ(snapshot->find("A", 5), CardVerdict::unknown);
}

TEST_F(TrustDataTest, FullListAndDeltasFromAFolder) {
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

TEST_F(TrustDataTest, AnOlderListIsNotTakenAfterARestartEither) {
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

TEST_F(TrustDataTest, AListByNobodyTrustedOrDamagedIsRefusedAndTheOldOneStays) {
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

TEST_F(TrustDataTest, ForeignFiltersNeverMissWhatTheyList) {
  files_.stop_list_signers = {folder_ / "ca.crt.pem"};
  files_.foreign_filters = {folder_ / "filter"};
  const crypto::Certificate& listed = region_b().centre.citizen_certificate;
  folder_.write("filter", region_a().filter(1, listed, test_time()));
  const auto data = open();
  EXPECT_TRUE(data->snapshot()->foreign_stopped(listed));
  EXPECT_FALSE(data->snapshot()->foreign_stopped(region_b().centre.ca));
}

TEST_F(TrustDataTest, AListFromLaterShowsAClockThatIsBehind) {
  files_.stop_list_signers = {folder_ / "ca.crt.pem"};
  files_.stop_lists = {folder_ / "list"};
  const Time now = test_time();
  folder_.write("list", region_a().list(1, {5}, now + hours(240), now + hours(300)));
  const auto data = open();
  EXPECT_EQ(data->snapshot()->item(TrustItemKind::stop_list)->state(now, hours(72)), TrustState::early);
  EXPECT_EQ(data->clock_state(), identity::ClockState::back);
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
