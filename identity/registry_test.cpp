#include "identity/registry.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "identity/citizen_reads.h"
#include "identity/daily_counts.h"
#include "identity/registry_testing.h"
#include "identity/schema.h"
#include "service/group_commit.h"
#include "service/migrations.h"

namespace karta::identity {
namespace {

using testing::HasSubstr;

class RegistryTest : public RegistryFixture {};

CardCertificate made_up_certificate(std::uint8_t serial, CertificateKind kind = CertificateKind::sig) {
  return {kind,
          "issuing CA",
          Bytes{0x01, serial},
          Bytes{0x30, 0x03, 0x02, 0x01, serial},
          *parse_time("2026-11-21T08:30:00Z"),
          *parse_time("2031-11-21T08:30:00Z")};
}

TEST_F(RegistryTest, ACitizenComesBackWhole) {
  Registry registry = create();
  Citizen citizen = made_up_citizen(1);
  citizen.inn = Inn::from_number(9'900'000'001, true);
  const auto id = registry.add_citizen(citizen, cause_);
  ASSERT_TRUE(id) << id.error().message;
  const auto by_id = registry.read_citizen(*id, purpose_);
  ASSERT_TRUE(by_id) << by_id.error().message;
  EXPECT_EQ(by_id->citizen, citizen);
  EXPECT_EQ(by_id->created, clock_.now());
  const auto by_snils = registry.read_citizen(citizen.snils, purpose_);
  ASSERT_TRUE(by_snils);
  EXPECT_EQ(by_snils->id, *id);
  EXPECT_EQ(registry.count_citizens(), 1u);
  EXPECT_TRUE(registry.citizen_of(citizen.snils).value() == *id);
  EXPECT_FALSE(registry.citizen_of(Snils::from_number(5)).value());
  EXPECT_EQ(parse_citizen_id(format_id(*id)), *id);
}

TEST_F(RegistryTest, ASmallSnilsKeepsItsLeadingZeros) {
  Registry registry = create();
  Citizen citizen = made_up_citizen(1);
  citizen.snils = *Snils::parse("000-000-001 23");
  const auto id = registry.add_citizen(citizen, cause_);
  ASSERT_TRUE(id);
  EXPECT_EQ(registry.read_citizen(*id, purpose_)->citizen.snils.text(), "000-000-001 23");
}

TEST_F(RegistryTest, ASnilsIsRegisteredOnce) {
  Registry registry = create();
  ASSERT_TRUE(registry.add_citizen(made_up_citizen(1), cause_));
  const auto again = registry.add_citizen(made_up_citizen(1, "Другой"), cause_);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ErrorKind::already_exists);
  const auto other = registry.add_citizen(made_up_citizen(2), cause_);
  ASSERT_TRUE(other);
  EXPECT_EQ(registry.change_citizen(*other, made_up_citizen(1), cause_).error().kind, ErrorKind::already_exists);
  // An account number that is not checked is the same account whatever follows it.
  Citizen small = made_up_citizen(3);
  small.snils = *Snils::parse("000-000-001 23");
  ASSERT_TRUE(registry.add_citizen(small, cause_));
  small.snils = *Snils::parse("000-000-001 24");
  EXPECT_FALSE(registry.add_citizen(small, cause_));
}

TEST_F(RegistryTest, AnIncompleteCitizenIsRefused) {
  Registry registry = create();
  Citizen citizen = made_up_citizen(1);
  citizen.family_latin.clear();
  EXPECT_EQ(registry.add_citizen(citizen, cause_).error().kind, ErrorKind::usage);
  citizen = made_up_citizen(1);
  citizen.birth_date = {};
  EXPECT_EQ(registry.add_citizen(citizen, cause_).error().kind, ErrorKind::usage);
  EXPECT_EQ(registry.add_citizen(made_up_citizen(1), {"", "why"}).error().kind, ErrorKind::usage);
}

TEST_F(RegistryTest, AChangeIsAnEventThatNamesFieldsAndNoData) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  ASSERT_TRUE(id);
  Citizen changed = made_up_citizen(7, "Примерова");
  changed.concessions.clear();
  clock_.advance(std::chrono::seconds(60));
  EXPECT_EQ(registry.change_citizen(*id, changed, {"operator:7", "marriage"}), true);
  EXPECT_EQ(registry.change_citizen(*id, changed, {"operator:7", "again"}), false);
  const auto record = registry.read_citizen(changed.snils, purpose_);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->citizen, changed);
  EXPECT_EQ(record->changed - record->created, std::chrono::seconds(60));
  EXPECT_EQ(registry.read_citizen(made_up_citizen(1).snils, purpose_).error().kind, ErrorKind::not_found);

  const auto events = registry.events_of(*id);
  ASSERT_TRUE(events);
  ASSERT_EQ(events->size(), 2u);
  EXPECT_EQ(events->at(0).kind, "citizen-changed");
  EXPECT_EQ(events->at(0).to, "snils,family,enp,family_latin,concessions");
  EXPECT_EQ(events->at(0).actor, "operator:7");
  EXPECT_EQ(events->at(0).reason, "marriage");
  EXPECT_EQ(events->at(1).kind, "citizen-created");
}

TEST_F(RegistryTest, EveryReadIsLoggedBeforeItReturns) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  ASSERT_TRUE(id);
  const auto card = registry.order_card({.citizen = *id, .profile = "citizen"}, cause_);
  ASSERT_TRUE(card);
  ASSERT_TRUE(registry.read_citizen(*id, {"a", "p1", "c1"}));
  clock_.advance(std::chrono::seconds(5));
  ASSERT_TRUE(registry.read_citizen(made_up_citizen(1).snils, {"b", "p2", "c2"}));
  ASSERT_TRUE(registry.find_citizens("образ", {"c", "p3", "c3"}));
  ASSERT_TRUE(registry.certificates_of(card->id, {"d", "p4", "c4"}));
  // Another connection sees the entries: they are committed.
  const auto log = open().access_log(*id);
  ASSERT_TRUE(log);
  ASSERT_EQ(log->size(), 4u);
  EXPECT_EQ(log->at(3).what, "record");
  EXPECT_EQ(log->at(3).purpose.actor, "a");
  EXPECT_EQ(log->at(2).purpose.case_id, "c2");
  EXPECT_EQ(log->at(2).at - log->at(3).at, std::chrono::seconds(5));
  EXPECT_EQ(log->at(1).what, "search");
  EXPECT_EQ(log->at(0).what, "certificates");
  const auto older = registry.access_log(*id, 1, 2);
  ASSERT_EQ(older->size(), 1u);
  EXPECT_EQ(older->at(0).purpose.actor, "b");
}

TEST_F(RegistryTest, ALookToldOfLaterLeavesNoGapInThePages) {
  Registry registry = create();
  const CitizenId id = *registry.add_citizen(made_up_citizen(1), cause_);
  const Card card = *registry.order_card({.citizen = id, .profile = "citizen"}, cause_);
  ASSERT_TRUE(registry.read_citizen(id, {"a", "p", "first"}));
  Purpose hidden{"b", "p", "hidden", "a law"};
  hidden.disclose_at = clock_.now() + std::chrono::hours(1);
  ASSERT_TRUE(registry.read_citizen(id, hidden));
  ASSERT_TRUE(registry.read_card(card.id, {"c", "p", "second"}));
  ASSERT_TRUE(*registry.find_citizen(made_up_citizen(1).snils, {"d", "p", "third"}));
  // Pages of one, as the citizen may ask for them: each is full, up to the last.
  const auto pages = [&] {
    std::string out;
    for (std::uint32_t skip = 0; skip < 5; ++skip) {
      const auto page = registry.access_log(id, 1, skip);
      EXPECT_TRUE(page);
      out += page && !page->empty() ? page->front().purpose.case_id + " " + page->front().what + ", " : "-";
    }
    return out;
  };
  EXPECT_EQ(pages(), "third number-search, second card, first record, --");
  clock_.advance(std::chrono::hours(2));
  EXPECT_EQ(pages(), "third number-search, second card, hidden record, first record, -");
}

TEST_F(RegistryTest, WithoutAStatedPurposeNothingIsRead) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  ASSERT_TRUE(id);
  const Card card = *registry.order_card({.citizen = *id, .profile = "citizen"}, cause_);
  for (const Purpose& purpose :
       {Purpose{"", "p", "c"}, Purpose{"a", " ", "c"}, Purpose{"a", "p", ""},
        Purpose{"a", std::string(kStatementCharacters + 1, 'x'), "c"}, Purpose{"a\xFF", "p", "c"}}) {
    EXPECT_FALSE(registry.read_citizen(*id, purpose));
    EXPECT_FALSE(registry.read_citizen(made_up_citizen(1).snils, purpose));
    EXPECT_FALSE(registry.find_citizen(made_up_citizen(1).snils, purpose));
    EXPECT_FALSE(registry.read_card(card.id, purpose));
    EXPECT_FALSE(registry.find_citizens("образ", purpose));
  }
  EXPECT_TRUE(registry.access_log(*id)->empty());
}

TEST_F(RegistryTest, AStatementIsAsLongInRussianAsInEnglish) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  ASSERT_TRUE(id);
  std::string most;
  for (std::size_t i = 0; i < kStatementCharacters; ++i) most += i % 2 == 0 ? "ж" : "\U0001F600";
  ASSERT_TRUE(registry.read_citizen(*id, {"a", most, most}));
  EXPECT_EQ(registry.access_log(*id)->front().purpose.purpose, most);
  const auto over = registry.read_citizen(*id, {"a", most + "ж", "c"});
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().kind, ErrorKind::limit);
  EXPECT_THAT(over.error().message, HasSubstr("200 characters"));
  EXPECT_FALSE(registry.read_citizen(*id, {"a", std::string(kStatementCharacters, '\x80'), "c"})) << "no UTF-8";
  EXPECT_EQ(registry.access_log(*id)->size(), 1u);
}

TEST_F(RegistryTest, WhatCannotBeLoggedIsNotRead) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  ASSERT_TRUE(id);
  auto database = service::Database::open(url());
  ASSERT_TRUE(database->execute("DROP TABLE access_log"));
  EXPECT_FALSE(registry.read_citizen(*id, purpose_));
  EXPECT_FALSE(registry.find_citizens("образцов", purpose_));
}

TEST_F(RegistryTest, NamesAreFoundByTheirBeginningPageByPage) {
  Registry registry = create();
  for (std::uint32_t i = 0; i < 25; ++i)
    ASSERT_TRUE(registry.add_citizen(made_up_citizen(i, "Семёнов-Тестов"), cause_));
  ASSERT_TRUE(registry.add_citizen(made_up_citizen(100, "Семенцов"), cause_));
  ASSERT_TRUE(registry.add_citizen(made_up_citizen(101, "Макетов"), cause_));

  std::set<CitizenId> met;
  std::optional<std::string> after;
  std::vector<std::size_t> sizes;
  do {
    const auto page = registry.find_citizens("семенов т", purpose_, 10, after);
    ASSERT_TRUE(page) << page.error().message;
    sizes.push_back(page->citizens.size());
    for (const CitizenSummary& citizen : page->citizens) {
      EXPECT_EQ(citizen.family, "Семёнов-Тестов");
      EXPECT_TRUE(met.insert(citizen.id).second);
    }
    after = page->next;
  } while (after);
  EXPECT_EQ(met.size(), 25u);
  EXPECT_THAT(sizes, testing::ElementsAre(10, 10, 5));

  EXPECT_EQ(registry.find_citizens("СЕМЕН", purpose_, 100)->citizens.size(), 26u);
  EXPECT_EQ(registry.find_citizens("макетов пример тестович", purpose_)->citizens.size(), 1u);
  EXPECT_TRUE(registry.find_citizens("яя", purpose_)->citizens.empty());
  EXPECT_EQ(registry.find_citizens("с", purpose_).error().kind, ErrorKind::usage);
  EXPECT_EQ(registry.find_citizens("--", purpose_).error().kind, ErrorKind::usage);
  EXPECT_EQ(registry.find_citizens("семенов", purpose_, kPageLimit + 1).error().kind, ErrorKind::usage);
  EXPECT_FALSE(registry.find_citizens("семенов", purpose_, 10, "junk"));
}

TEST_F(RegistryTest, CitizensAreListedInOrderOfTheirIds) {
  Registry registry = create();
  for (std::uint32_t i = 0; i < 5; ++i) ASSERT_TRUE(registry.add_citizen(made_up_citizen(i), cause_));
  const auto all = registry.list_citizens({}, 10);
  ASSERT_EQ(all->size(), 5u);
  EXPECT_TRUE(std::ranges::is_sorted(*all));
  EXPECT_EQ(registry.list_citizens(all->at(1), 2), (std::vector{all->at(2), all->at(3)}));
}

TEST_F(RegistryTest, ACardLivesThroughItsTable) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  auto card = registry.order_card({.citizen = *id, .profile = "citizen"}, {"operator:1", "first card"});
  ASSERT_TRUE(card) << card.error().message;
  EXPECT_EQ(card->state, CardState::ordered);
  EXPECT_EQ(card->serial, "");
  EXPECT_EQ(card->batch, "single");

  EXPECT_EQ(registry.change_card_state(card->id, CardState::active, cause_).error().kind, ErrorKind::not_permitted);
  EXPECT_EQ(registry.change_card_state(card->id, CardState::produced, cause_).error().kind, ErrorKind::usage);
  const Time until = *parse_time("2031-11-21");
  card = registry.produce_card(card->id, "00 01 AB CD", until, cause_);
  ASSERT_TRUE(card) << card.error().message;
  EXPECT_EQ(card->state, CardState::produced);
  EXPECT_EQ(card->serial, "0001abcd");
  EXPECT_EQ(card->valid_until, until);
  EXPECT_EQ(registry.produce_card(card->id, "0002", until, cause_).error().kind, ErrorKind::not_permitted);

  for (const CardState state : {CardState::shipped, CardState::active, CardState::suspended, CardState::active}) {
    card = registry.change_card_state(card->id, state, cause_);
    ASSERT_TRUE(card) << card.error().message;
    EXPECT_EQ(card->state, state);
  }
  card = registry.change_card_state(card->id, CardState::revoked, {"operator:2", "lost"},
                                    RevocationReason::key_compromise);
  ASSERT_TRUE(card);
  EXPECT_EQ(card->revocation_reason, RevocationReason::key_compromise);
  EXPECT_EQ(registry.change_card_state(card->id, CardState::active, cause_).error().kind, ErrorKind::not_permitted);

  EXPECT_EQ(registry.card_by_serial("0001ABCD")->id, card->id);
  EXPECT_EQ(registry.card_by_status_index(card->status_index)->id, card->id);
  EXPECT_EQ(registry.card_by_serial("ffff").error().kind, ErrorKind::not_found);
  EXPECT_EQ(registry.card_by_status_index(UINT64_MAX).error().kind, ErrorKind::not_found);
  EXPECT_EQ(registry.cards_of(*id)->size(), 1u);

  const auto events = registry.events_of(*id);
  ASSERT_EQ(events->size(), 8u);  // the citizen, the order, six steps
  EXPECT_EQ(events->front().from, "active");
  EXPECT_EQ(events->front().to, "revoked (keyCompromise)");
  EXPECT_EQ(events->front().card, card->id);
  EXPECT_EQ(events->front().reason, "lost");
}

TEST_F(RegistryTest, AChipIsIssuedOnceAndARefusalChangesNothing) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  const auto first = registry.order_card({.citizen = *id, .profile = "citizen"}, cause_);
  const auto second = registry.order_card({.citizen = *id, .profile = "citizen", .replaces = first->id}, cause_);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->replaces, first->id);
  ASSERT_TRUE(registry.produce_card(first->id, "aa01", clock_.now(), cause_));
  EXPECT_EQ(registry.produce_card(second->id, "AA01", clock_.now(), cause_).error().kind, ErrorKind::already_exists);
  EXPECT_EQ(registry.card(second->id)->state, CardState::ordered);
  EXPECT_EQ(registry.produce_card(second->id, "xyz", clock_.now(), cause_).error().kind, ErrorKind::malformed);
  EXPECT_EQ(registry.order_card({.citizen = CitizenId{12345}, .profile = "citizen"}, cause_).error().kind,
            ErrorKind::not_found);
  const auto other = registry.add_citizen(made_up_citizen(2), cause_);
  EXPECT_EQ(registry.order_card({.citizen = *other, .profile = "citizen", .replaces = first->id}, cause_).error().kind,
            ErrorKind::usage);
}

TEST_F(RegistryTest, ACardHasOneSuccessorAtATime) {
  Registry registry = create(), elsewhere = open();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  const auto old = registry.order_card({.citizen = *id, .profile = "citizen"}, cause_);
  const CardOrder order{.citizen = *id, .profile = "citizen", .replaces = old->id};
  const auto first = registry.order_card(order, cause_);
  ASSERT_TRUE(first) << first.error().message;
  const auto second = elsewhere.order_card(order, cause_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().kind, ErrorKind::already_exists);
  EXPECT_EQ(registry.order_cards({order, order}, cause_).error().kind, ErrorKind::already_exists);
  EXPECT_EQ(registry.cards_of(*id)->size(), 2u);
  // What was given up has left its place.
  ASSERT_TRUE(registry.change_card_state(first->id, CardState::revoked, cause_));
  const auto third = elsewhere.order_card(order, cause_);
  ASSERT_TRUE(third) << third.error().message;
  EXPECT_EQ(registry.order_card(order, cause_).error().kind, ErrorKind::already_exists);
  // The successor has a successor of its own.
  EXPECT_TRUE(registry.order_card({.citizen = *id, .profile = "citizen", .replaces = third->id}, cause_));
}

TEST_F(RegistryTest, ServersThatOrderTheSameSuccessorMakeOne) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  const auto old = registry.order_card({.citizen = *id, .profile = "citizen"}, cause_);
  std::atomic<int> made = 0, refused = 0, waiting = 0;
  constexpr int kServers = 4;
  std::vector<std::thread> servers;
  for (int i = 0; i < kServers; ++i) {
    servers.emplace_back([&] {
      Registry own = open();
      // All at once.
      ++waiting;
      while (waiting < kServers) std::this_thread::yield();
      const auto card = own.order_card({.citizen = *id, .profile = "citizen", .replaces = old->id}, cause_);
      if (card) {
        ++made;
      } else if (card.error().kind == ErrorKind::already_exists) {
        ++refused;
      }
    });
  }
  for (std::thread& one : servers) one.join();
  EXPECT_EQ(made, 1);
  EXPECT_EQ(refused, kServers - 1);
}

TEST_F(RegistryTest, ManyCardsAreOrderedTogetherOrNotAtAll) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  const CardOrder good{.citizen = *id, .profile = "citizen", .batch = "b1", .block_size = 3};
  const CardOrder bad{.citizen = CitizenId{99}, .profile = "citizen"};
  EXPECT_FALSE(registry.order_cards({good, good, bad}, cause_));
  EXPECT_TRUE(registry.status_blocks()->empty());
  EXPECT_TRUE(registry.cards_of(*id)->empty());
  EXPECT_EQ(registry.order_cards({good, good, good}, cause_)->size(), 3u);
  ASSERT_EQ(registry.status_blocks()->size(), 1u);
  EXPECT_EQ(registry.status_blocks()->at(0).used, 3u);
}

TEST_F(RegistryTest, BlocksFollowOneAnotherAndFillUp) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  std::map<std::string, std::set<std::uint64_t>> indexes;
  for (int i = 0; i < 10; ++i) {
    for (const char* batch : {"a", "b"}) {
      const auto card =
          registry.order_card({.citizen = *id, .profile = "citizen", .batch = batch, .block_size = 4}, cause_);
      ASSERT_TRUE(card);
      EXPECT_TRUE(indexes[batch].insert(card->status_index).second);
    }
  }
  const auto blocks = registry.status_blocks();
  ASSERT_EQ(blocks->size(), 6u);
  std::uint64_t next = 0;
  for (const StatusBlock& block : *blocks) {
    EXPECT_EQ(block.first, next);
    next += block.size;
    std::size_t inside = 0;
    for (const std::uint64_t index : indexes[block.batch]) {
      inside += index >= block.first && index < block.first + block.size ? 1 : 0;
    }
    EXPECT_EQ(inside, block.used);
  }
}

TEST_F(RegistryTest, ThreadsAndProcessesGetDenseIndexesWithoutDoubles) {
  constexpr int kWriters = 4, kCards = 40;
  CitizenId citizen{};
  {
    Registry registry = create();
    citizen = *registry.add_citizen(made_up_citizen(1), cause_);
  }
  const auto order = [&] {
    auto registry = Registry::open(url(), clock_, random_);
    for (int i = 0; registry && i < kCards; ++i) {
      if (!registry->order_card({.citizen = citizen, .profile = "citizen", .batch = "big", .block_size = 64}, cause_)) {
        return false;
      }
    }
    return registry.has_value();
  };
  std::vector<pid_t> children;
  for (int i = 0; i < kWriters / 2; ++i) {
    const pid_t child = fork();
    if (child == 0) _exit(order() ? 0 : 1);
    children.push_back(child);
  }
  std::atomic<int> failures = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kWriters / 2; ++i) {
    threads.emplace_back([&] {
      if (!order()) ++failures;
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const pid_t child : children) {
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) ++failures;
  }
  EXPECT_EQ(failures, 0);

  Registry registry = open();
  const auto cards = registry.cards_of(citizen);
  ASSERT_EQ(cards->size(), std::size_t{kWriters * kCards});
  std::set<std::uint64_t> indexes;
  for (const Card& card : *cards) indexes.insert(card.status_index);
  EXPECT_EQ(indexes.size(), cards->size());
  // 160 cards in blocks of 64: two full, 32 in the third, nothing beyond.
  std::vector<std::uint32_t> used;
  const auto blocks = registry.status_blocks();
  for (const StatusBlock& block : *blocks) used.push_back(block.used);
  EXPECT_THAT(used, testing::ElementsAre(64, 64, 32));
  EXPECT_LT(*indexes.rbegin(), 192u);
  EXPECT_EQ(std::distance(indexes.begin(), indexes.lower_bound(128)), 128);
}

TEST_F(RegistryTest, TheStopListHoldsExactlyTheStoppedCards) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  std::vector<std::uint64_t> expected;
  std::uint8_t serial = 0;
  for (const CardStateRow& row : card_states()) {
    Card card = *registry.order_card({.citizen = *id, .profile = "citizen"}, cause_);
    // The shortest way to each state.
    std::vector<CardState> steps;
    switch (row.state) {
      case CardState::ordered:
        break;
      case CardState::produced:
      case CardState::shipped:
        steps = {CardState::shipped};
        break;
      case CardState::active:
        steps = {CardState::active};
        break;
      default:
        steps = {CardState::active, row.state};
    }
    if (row.state != CardState::ordered) {
      card = *registry.produce_card(card.id, to_hex(Bytes{0xEE, ++serial}), clock_.now(), cause_);
    }
    if (row.state == CardState::produced) steps.clear();
    for (const CardState step : steps) card = *registry.change_card_state(card.id, step, cause_);
    ASSERT_EQ(card.state, row.state);
    if (row.stopped) expected.push_back(card.status_index);
  }
  std::ranges::sort(expected);
  std::vector<std::uint64_t> stopped;
  ASSERT_TRUE(registry.stopped_indexes([&](std::uint64_t index) { stopped.push_back(index); }));
  EXPECT_EQ(stopped, expected);
  EXPECT_EQ(stopped.size(), 3u);
}

TEST_F(RegistryTest, CertificatesBelongToTheirCardAndAreFoundBySerial) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  const auto card = registry.order_card({.citizen = *id, .profile = "citizen"}, cause_);
  const CardCertificate sig = made_up_certificate(0), aut = made_up_certificate(1, CertificateKind::aut);
  ASSERT_TRUE(registry.add_certificate(card->id, sig, cause_));
  ASSERT_TRUE(registry.add_certificate(card->id, aut, cause_));
  EXPECT_EQ(registry.add_certificate(card->id, sig, cause_).error().kind, ErrorKind::already_exists);
  CardCertificate other_ca = sig;
  other_ca.issuer = "another CA";
  EXPECT_TRUE(registry.add_certificate(card->id, other_ca, cause_));
  EXPECT_EQ(registry.add_certificate(CardId{7}, made_up_certificate(9), cause_).error().kind, ErrorKind::not_found);

  const auto certificates = registry.certificates_of(card->id, purpose_);
  ASSERT_TRUE(certificates);
  ASSERT_EQ(certificates->size(), 3u);
  EXPECT_EQ(certificates->at(0).kind, CertificateKind::aut);
  EXPECT_EQ(certificates->at(0).der, aut.der);
  EXPECT_EQ(certificates->at(0).serial, aut.serial);
  EXPECT_EQ(certificates->at(0).not_after, aut.not_after);

  auto status = registry.certificate_status("issuing CA", sig.serial);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->card, card->id);
  EXPECT_EQ(status->card_state, CardState::ordered);
  EXPECT_FALSE(status->revoked_at);
  ASSERT_TRUE(registry.revoke_certificate("issuing CA", sig.serial, RevocationReason::superseded, cause_));
  EXPECT_EQ(registry.revoke_certificate("issuing CA", sig.serial, RevocationReason::superseded, cause_).error().kind,
            ErrorKind::not_permitted);
  status = registry.certificate_status("issuing CA", sig.serial);
  EXPECT_EQ(status->revoked_at, clock_.now());
  EXPECT_EQ(status->reason, RevocationReason::superseded);
  EXPECT_FALSE(registry.certificate_status("issuing CA", aut.serial)->revoked_at);
  EXPECT_FALSE(registry.certificate_status("another CA", sig.serial)->revoked_at);
  EXPECT_EQ(registry.certificate_status("issuing CA", Bytes{0x7F}).error().kind, ErrorKind::not_found);

  ASSERT_TRUE(registry.change_card_state(card->id, CardState::revoked, cause_));
  EXPECT_EQ(registry.add_certificate(card->id, made_up_certificate(5), cause_).error().kind, ErrorKind::not_permitted);
}

TEST_F(RegistryTest, IdsReadBackAndJunkDoesNot) {
  EXPECT_EQ(format_id(CitizenId{0x0123456789abcdef}), "0123456789abcdef");
  EXPECT_EQ(parse_card_id("0123456789abcdef"), CardId{0x0123456789abcdef});
  for (const char* junk :
       {"", "1", "ffffffffffffffff", "0123456789abcdeg", "0123456789abcdef00", "01:23:45:67:89:ab:cd"}) {
    EXPECT_EQ(parse_citizen_id(junk).error().kind, ErrorKind::usage) << junk;
  }
}

TEST_F(RegistryTest, ALogInFindsTheHolderAndHowThingsStand) {
  Registry registry = create();
  auto database = service::Database::open(url());
  ASSERT_TRUE(database);
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  const auto card = registry.order_card({.citizen = *id, .profile = "citizen"}, cause_);
  ASSERT_TRUE(card && registry.produce_card(card->id, "aa01", clock_.now() + std::chrono::hours(1), cause_));
  const Bytes serial = {0x01, 0x02};
  const CardCertificate certificate{CertificateKind::aut, "CN=Test CA", serial,
                                    {0x30, 0x00},         clock_.now(), clock_.now() + std::chrono::hours(2)};
  ASSERT_TRUE(registry.add_certificate(card->id, certificate, cause_));
  for (const CardState state : {CardState::shipped, CardState::active}) {
    ASSERT_TRUE(registry.change_card_state(card->id, state, cause_));
  }
  const auto now_of = [&](std::string_view issuer, ByteView number) {
    auto found = find_certificate_holder(*database, issuer, number);
    EXPECT_TRUE(found);
    return found ? *found : std::nullopt;
  };
  auto holder = now_of("CN=Test CA", serial);
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->citizen, *id);
  EXPECT_EQ(holder->card, card->id);
  EXPECT_EQ(holder->kind, CertificateKind::aut);
  EXPECT_EQ(holder->card_state, CardState::active);
  EXPECT_EQ(holder->card_valid_until, clock_.now() + std::chrono::hours(1));
  EXPECT_EQ(holder->not_after, clock_.now() + std::chrono::hours(2));
  EXPECT_EQ(holder->revoked_at, std::nullopt);
  EXPECT_EQ(holder->der, certificate.der);

  ASSERT_TRUE(registry.change_card_state(card->id, CardState::suspended, cause_));
  holder = now_of("CN=Test CA", serial);
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->card_state, CardState::suspended);
  EXPECT_EQ(holder->revoked_at, clock_.now());
  EXPECT_EQ(holder->reason, RevocationReason::certificate_hold);
  ASSERT_TRUE(registry.change_card_state(card->id, CardState::active, cause_));
  holder = now_of("CN=Test CA", serial);
  ASSERT_TRUE(holder);
  EXPECT_EQ(holder->revoked_at, std::nullopt);

  EXPECT_FALSE(now_of("CN=Test CA", Bytes{9}));
  EXPECT_FALSE(now_of("CN=Other CA", serial));
}

TEST_F(RegistryTest, ReadingsThatAreJoinedAreLoggedInOrder) {
  Registry registry = create();
  const auto id = registry.add_citizen(made_up_citizen(1), cause_);
  ASSERT_TRUE(id);
  const auto group = service::GroupCommit::open(url());
  ASSERT_TRUE(group);
  constexpr int kThreads = 4, kRounds = 10;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      auto own = service::Database::open(url());
      ASSERT_TRUE(own);
      for (int round = 0; round < kRounds; ++round) {
        std::optional<CitizenRecord> read;
        const Status done = (*group)->write(*own, [&](service::Database& database) -> Status {
          read = TRY(read_citizen_in(database, *id, purpose_, "name birthdate", clock_.now()));
          return {};
        });
        ASSERT_TRUE(done) << done.error().message;
        EXPECT_EQ(read->citizen, made_up_citizen(1));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const auto log = registry.access_log(*id);
  ASSERT_TRUE(log);
  ASSERT_EQ(log->size(), std::size_t{kThreads * kRounds});
  EXPECT_EQ(log->front().what, "name birthdate");
  auto database = service::Database::open(url());
  ASSERT_TRUE(database);
  auto numbers = database->prepare("SELECT count(DISTINCT number), min(number), max(number) FROM access_log");
  ASSERT_TRUE(numbers && numbers->query() && *numbers->next());
  for (const auto& [column, expected] : {std::pair{0, kThreads * kRounds}, {1, 1}, {2, kThreads * kRounds}}) {
    EXPECT_EQ(numbers->integer(column), expected) << column;
  }
  const auto without = read_citizen_in(*database, *id, purpose_, "name", clock_.now(), Concessions::without);
  ASSERT_TRUE(without);
  EXPECT_TRUE(without->citizen.concessions.empty());
  const auto nobody = read_citizen_in(*database, CitizenId{7}, purpose_, "name", clock_.now());
  ASSERT_FALSE(nobody);
  EXPECT_EQ(nobody.error().kind, ErrorKind::not_found);
  const auto unstated = read_citizen_in(*database, *id, {"", "look", "1"}, "name", clock_.now());
  ASSERT_FALSE(unstated);
  EXPECT_EQ(unstated.error().kind, ErrorKind::usage);
}

TEST_F(RegistryTest, MissingRegistryPointsToInit) {
  const auto missing = Registry::open(service::missing_database_url(folder_ / "none.db"), clock_, random_);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  if (service::test_postgres() == nullptr) {
    EXPECT_THAT(missing.error().hint, HasSubstr("karta init"));
  } else {
    EXPECT_THAT(missing.error().hint, HasSubstr("createdb"));
    const auto empty = Registry::open(url("empty"), clock_, random_);
    ASSERT_FALSE(empty);
    EXPECT_EQ(empty.error().kind, ErrorKind::not_found);
    EXPECT_THAT(empty.error().hint, HasSubstr("karta init"));
  }
  { Registry registry = create(); }
  EXPECT_EQ(Registry::create(url(), clock_, random_).error().kind, ErrorKind::already_exists);
}

TEST_F(RegistryTest, FilesAreTheOwnersOnly) {
  if (service::test_postgres() != nullptr) GTEST_SKIP() << "PostgreSQL's files are the server's";
  Registry registry = create();
  ASSERT_TRUE(registry.add_citizen(made_up_citizen(1), cause_));
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    struct stat found {};
    ASSERT_EQ(stat(entry.path().c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 077, 0u) << entry.path();
  }
}

/// Cards by what they are by the clock, "active 1 expired 2", on each day from `from` on.
std::vector<std::string> cards_by_day(Registry& registry, std::int64_t from, std::int64_t to) {
  std::vector<std::string> out(static_cast<std::size_t>(to - from + 1));
  const auto rows = DailyCounts::cards(registry, from, to);
  EXPECT_TRUE(rows) << rows.error().message;
  for (const CardDays& row : *rows) {
    for (std::size_t i = 0; i < out.size(); ++i) {
      if (row.days[i].count == 0) continue;
      out[i] +=
          (out[i].empty() ? "" : " ") + std::string(row_of(row.state).name) + " " + std::to_string(row.days[i].count);
    }
  }
  return out;
}

TEST_F(RegistryTest, CardsAreCountedAsExpiredFromTheSecondOfTheirEnd) {
  Registry registry = create();
  const auto citizen = registry.add_citizen(made_up_citizen(1), cause_);
  const std::int64_t today = day_of(clock_.now());
  int serial = 0;
  const auto make = [&](std::chrono::seconds left, std::initializer_list<CardState> steps) {
    const Card card = *registry.order_card({.citizen = *citizen, .profile = "citizen"}, cause_);
    EXPECT_TRUE(registry.produce_card(card.id, "aa0" + std::to_string(serial++), clock_.now() + left, cause_));
    for (const CardState step : steps) EXPECT_TRUE(registry.change_card_state(card.id, step, cause_));
    return card.id;
  };
  using std::chrono::hours;
  using S = CardState;
  const CardId in_hours = make(hours(5), {S::active});
  const CardId in_days = make(hours(24 * 3), {S::active, S::suspended});
  make(hours(24 * 3), {S::active, S::revoked});
  make(hours(24 * 900), {S::shipped});
  ASSERT_TRUE(registry.order_card({.citizen = *citizen, .profile = "citizen"}, cause_));
  const std::string at_first = "ordered 1 shipped 1 active 1 suspended 1 revoked 1";
  EXPECT_THAT(cards_by_day(registry, today - 1, today), testing::ElementsAre("", at_first));
  // The second before, and the end itself.
  clock_.advance(hours(5) - std::chrono::seconds(1));
  EXPECT_THAT(cards_by_day(registry, today, today), testing::ElementsAre(at_first));
  clock_.advance(std::chrono::seconds(1));
  const std::string one_over = "ordered 1 shipped 1 suspended 1 revoked 1 expired 1";
  EXPECT_THAT(cards_by_day(registry, today, today), testing::ElementsAre(one_over));
  EXPECT_EQ(state_at(*registry.card(in_hours), clock_.now()), S::expired);
  EXPECT_EQ(registry.card(in_hours)->state, S::active) << "nobody has set it";
  // Days later, with nothing done meanwhile.
  clock_.advance(hours(24 * 4));
  const std::string two_over = "ordered 1 shipped 1 revoked 1 expired 2";
  EXPECT_THAT(cards_by_day(registry, today, today + 4),
              testing::ElementsAre(one_over, one_over, one_over, two_over, two_over));
  // Set expired, and replaced, after the end: the days before stay as they were.
  ASSERT_TRUE(registry.change_card_state(in_hours, S::expired, cause_));
  EXPECT_THAT(cards_by_day(registry, today + 4, today + 4), testing::ElementsAre(two_over));
  ASSERT_TRUE(registry.change_card_state(in_days, S::replaced, cause_));
  EXPECT_THAT(cards_by_day(registry, today, today + 4),
              testing::ElementsAre(one_over, one_over, one_over, two_over,
                                   "ordered 1 shipped 1 revoked 1 expired 1 replaced 1"));
  // A step after the end that leaves the card its time to be over.
  const CardId late = make(hours(1), {S::active});
  clock_.advance(hours(24 * 2));
  ASSERT_TRUE(registry.change_card_state(late, S::suspended, cause_));
  EXPECT_THAT(cards_by_day(registry, today + 6, today + 6),
              testing::ElementsAre("ordered 1 shipped 1 revoked 1 expired 2 replaced 1"));
}

TEST_F(RegistryTest, TheIndexOfEndingCardsHoldsTheStatesThatLapse) {
  std::string states;
  for (const CardStateRow& row : card_states()) {
    if (!lapses(row.state)) continue;
    states += (states.empty() ? "" : ", ") + std::to_string(static_cast<int>(row.state));
  }
  EXPECT_THAT(std::string(registry_migrations().back().sql),
              HasSubstr("(valid_until) WHERE state IN (" + states + ")"));
  EXPECT_EQ(states, "2, 3, 4, 5");
}

/// Everything of a schema that matters, as text.
std::string schema_of(service::Database& database) {
  std::string text;
  auto rows =
      database.prepare("SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name");
  EXPECT_TRUE(rows && rows->query());
  while (*rows->next()) {
    text += std::string(rows->text(0)) + " " + std::string(rows->text(1)) + ": " + std::string(rows->text(2)) + "\n";
  }
  return text;
}

class RegistryMigrationTest : public RegistryFixture, public testing::WithParamInterface<std::int64_t> {};

TEST_P(RegistryMigrationTest, AReleasedVersionIsBroughtUpWithItsData) {
  if (service::test_postgres() != nullptr) GTEST_SKIP() << "the fixtures are what SQLite wrote";
  const std::string name = "registry_v" + std::to_string(GetParam()) + ".sql";
  std::ifstream fixture(std::string(KARTA_SOURCE_DIR) + "/identity/testdata/" + name);
  ASSERT_TRUE(fixture) << "every released version of the schema keeps a fixture: " << name;
  std::stringstream sql;
  sql << fixture.rdbuf();
  {
    auto old = service::Database::open(url(), {.open = service::DatabaseOptions::Open::create});
    ASSERT_TRUE(old);
    ASSERT_TRUE(old->execute_script(sql.str()));
    EXPECT_EQ(service::schema_version(*old), GetParam());
  }
  Registry registry = open();
  EXPECT_TRUE(registry.check_integrity());
  const auto record = registry.read_citizen(made_up_citizen(1).snils, purpose_);
  ASSERT_TRUE(record) << record.error().message;
  EXPECT_EQ(record->citizen, made_up_citizen(1));
  const auto card = registry.card_by_serial("00c0ffee");
  ASSERT_TRUE(card) << card.error().message;
  EXPECT_EQ(card->state, CardState::active);
  // It is counted by the clock as one that was made by this version.
  const std::int64_t end = day_of(card->valid_until.value());
  clock_.advance(std::chrono::hours(24 * (end - day_of(clock_.now()) + 1)));
  EXPECT_THAT(cards_by_day(registry, end - 1, end + 1), testing::ElementsAre("active 1", "expired 1", "expired 1"));
  EXPECT_EQ(registry.certificates_of(card->id, purpose_)->size(), 1u);
  EXPECT_EQ(registry.events_of(record->id)->size(), 5u);
  // The next index comes from the block the old version opened.
  const auto next = registry.order_card({.citizen = record->id, .profile = "citizen"}, cause_);
  ASSERT_TRUE(next);
  EXPECT_NE(next->status_index, card->status_index);
  EXPECT_EQ(registry.status_blocks()->size(), 1u);

  create("new.db");
  auto migrated = service::Database::open(url());
  auto made_new = service::Database::open(url("new.db"));
  EXPECT_EQ(schema_of(*migrated), schema_of(*made_new));
}
INSTANTIATE_TEST_SUITE_P(Versions, RegistryMigrationTest,
                         testing::Range<std::int64_t>(1, static_cast<std::int64_t>(registry_migrations().size()) + 1));

TEST_F(RegistryTest, WhatVersion1RevokedStaysRevoked) {
  if (service::test_postgres() != nullptr) GTEST_SKIP() << "the fixture is what SQLite wrote";
  {
    std::ifstream fixture(std::string(KARTA_SOURCE_DIR) + "/identity/testdata/registry_v1.sql");
    std::stringstream sql;
    sql << fixture.rdbuf();
    auto old = service::Database::open(url(), {.open = service::DatabaseOptions::Open::create});
    ASSERT_TRUE(old && old->execute_script(sql.str()));
    ASSERT_TRUE(old->execute("UPDATE certificates SET revoked_at = 1795250000, revocation_reason = 4"));
  }
  Registry registry = open();
  const auto status = registry.certificate_status("issuing CA", Bytes{0x01, 0x02});
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(status->revoked_at, Time(std::chrono::seconds(1795250000)));
  EXPECT_EQ(status->reason, RevocationReason::superseded);
}

TEST_F(RegistryTest, ANewerRegistryIsRefused) {
  { Registry registry = create(); }
  {
    auto database = service::Database::open(url());
    ASSERT_TRUE(database->execute("INSERT INTO schema_migrations VALUES ($1, 'later', 'x', 0)",
                                  {static_cast<std::int64_t>(registry_migrations().size()) + 1}));
  }
  const auto refused = Registry::open(url(), clock_, random_);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
}

TEST_F(RegistryTest, TheSchemaIsPortable) {
  // What the other stores lack, or what would tie rows of different citizens together.
  for (const service::Migration& step : registry_migrations()) {
    for (const char* word : {"AUTOINCREMENT", "TRIGGER", "WITHOUT ROWID", "STRICT", " BLOB", "INTEGER", "SERIAL ",
                             "DATETIME", "PRAGMA", "REPLACE", "IFNULL"}) {
      EXPECT_THAT(std::string(step.sql), testing::Not(HasSubstr(word)));
    }
  }
}

}  // namespace
}  // namespace karta::identity
