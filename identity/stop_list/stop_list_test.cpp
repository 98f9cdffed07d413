#include "identity/stop_list/stop_list.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "base/random.h"
#include "crypto/testing.h"
#include "identity/stop_list/gap_code.h"
#include "identity/stop_list/stop_table.h"

namespace karta::identity {
namespace {

using crypto::testing::must;
using crypto::testing::test_time;

struct Issuer {
  crypto::testing::TestCentre centre;
  std::vector<crypto::Certificate> signers{centre.ca};
};
Issuer& issuer() {
  static Issuer the_issuer;
  return the_issuer;
}

StopListHead head(std::uint64_t epoch) {
  return {.kind = StopListKind::full,
          .epoch = epoch,
          .this_update = test_time(),
          .next_update = test_time() + std::chrono::hours(24 * 8),
          .issuer = "Region A",
          .base_epoch = 0,
          .base = {}};
}
StopListHead delta_head(std::uint64_t epoch, const StopListHead& base, const StopListHash& hash) {
  StopListHead out = head(epoch);
  out.kind = StopListKind::delta;
  out.base_epoch = base.epoch;
  out.base = hash;
  return out;
}

using Indexes = std::vector<std::uint64_t>;
Bytes file_of(const StopListHead& with, const std::vector<IndexRange>& batches, const Indexes& indexes) {
  return must(sign_stop_list(must(encode_stop_list(with, batches, indexes)), issuer().centre.ca_signer));
}

Indexes scattered(std::uint64_t end, std::uint64_t every, std::uint64_t seed) {
  SeededRandom random(seed);
  Indexes out;
  const Bytes octets = random.bytes(static_cast<std::size_t>(end / every) * 4 + 64);
  std::uint64_t at = 0;
  for (std::size_t i = 0; i + 4 <= octets.size(); i += 4) {
    at += 1 + (octets[i] | octets[i + 1] << 8) % (2 * every);
    if (at >= end) break;
    out.push_back(at);
  }
  return out;
}

TEST(StopList, SaysWhatWasPutIn) {
  const std::uint64_t end = (3u << kShardBits) + 777;
  const std::vector<IndexRange> batches = {{0, 5000}, {5000, 3000}, {9000, end - 9000}};
  Indexes stopped;
  for (const std::uint64_t index : scattered(end, 400, 1)) {
    if (index < 8000 || index >= 9000) stopped.push_back(index);
  }
  const Bytes file = file_of(head(7), batches, stopped);
  const StopList list = must(StopList::parse(file));
  EXPECT_EQ(list.head().epoch, 7u);
  EXPECT_EQ(list.head().issuer, "Region A");
  EXPECT_EQ(list.count(), stopped.size());
  EXPECT_EQ(list.batches(), (std::vector<IndexRange>{{0, 8000}, {9000, end - 9000}}));
  EXPECT_TRUE(list.verify(issuer().signers, test_time()));

  Indexes back;
  ASSERT_TRUE(list.for_each([&](std::uint64_t index) { back.push_back(index); }));
  EXPECT_EQ(back, stopped);
  const StopTable table = must(StopTable::unfold(list));
  EXPECT_EQ(table.indexes(), stopped);
  EXPECT_EQ(table.count(), stopped.size());

  const std::set<std::uint64_t> known(stopped.begin(), stopped.end());
  SeededRandom random(3);
  for (int i = 0; i < 300; ++i) {
    const Bytes octets = random.bytes(4);
    const std::uint64_t index =
        (std::uint64_t{octets[0]} << 24 | octets[1] << 16 | octets[2] << 8 | octets[3]) % (end + 1000);
    const CardVerdict verdict = index >= end || (index >= 8000 && index < 9000) ? CardVerdict::unknown
                                : known.contains(index)                         ? CardVerdict::stopped
                                                                                : CardVerdict::good;
    EXPECT_EQ(table.find(index), verdict) << index;
    EXPECT_EQ(must(list.find(index)), verdict) << index;
  }
  EXPECT_EQ(table.find(stopped.back()), CardVerdict::stopped);
  EXPECT_EQ(must(list.find(stopped.front())), CardVerdict::stopped);
  EXPECT_EQ(table.find(~std::uint64_t{0}), CardVerdict::unknown);
  EXPECT_EQ(must(list.find(~std::uint64_t{0})), CardVerdict::unknown);
}

// No card of these numbers was ever made, whichever form is looked up.
TEST(StopList, BetweenBatchesAndBeforeTheFirstNothingIsKnown) {
  struct Row {
    std::vector<IndexRange> batches;
    Indexes known, unknown;
  };
  const Row rows[] = {
      {{{100, 50}}, {100, 120, 149}, {0, 99, 150}},
      {{{0, 8000}, {9000, 1000}, {(2u << kShardBits) + 5, 10}},
       {0, 7999, 9000, 9999, (2u << kShardBits) + 5, (2u << kShardBits) + 14},
       {8000, 8500, 8999, 10000, 1u << kShardBits, (2u << kShardBits) + 4, (2u << kShardBits) + 15}},
  };
  for (const Row& row : rows) {
    const Bytes file = file_of(head(1), row.batches, {row.known[1]});
    const StopList list = must(StopList::parse(file));
    const StopTable table = must(StopTable::unfold(list));
    for (const std::uint64_t index : row.known) {
      const CardVerdict verdict = index == row.known[1] ? CardVerdict::stopped : CardVerdict::good;
      EXPECT_EQ(table.find(index), verdict) << index;
      EXPECT_EQ(must(list.find(index)), verdict) << index;
    }
    for (const std::uint64_t index : row.unknown) {
      EXPECT_EQ(table.find(index), CardVerdict::unknown) << index;
      EXPECT_EQ(must(list.find(index)), CardVerdict::unknown) << index;
    }
  }
}

TEST(StopList, EmptyAndWholeBatches) {
  const Bytes none = file_of(head(1), {}, {});
  EXPECT_EQ(must(StopTable::unfold(must(StopList::parse(none)))).find(0), CardVerdict::unknown);
  Indexes all;
  for (std::uint64_t i = 0; i < 1024; ++i) all.push_back(i);
  const Bytes whole = file_of(head(1), {{0, 1024}}, all);
  EXPECT_LT(whole.size(), 220u);  // where all are dead nothing needs saying
  const StopTable table = must(StopTable::unfold(must(StopList::parse(whole))));
  EXPECT_EQ(table.find(1023), CardVerdict::stopped);
  EXPECT_EQ(table.find(1024), CardVerdict::unknown);
}

TEST(StopList, RefusesWhatCannotBeSaid) {
  EXPECT_FALSE(encode_stop_list(head(1), {{0, 10}}, Indexes{10}));
  EXPECT_FALSE(encode_stop_list(head(1), {{0, 10}, {20, 10}}, Indexes{15}));
  EXPECT_FALSE(encode_stop_list(head(1), {{0, 10}}, Indexes{5, 5}));
  EXPECT_FALSE(encode_stop_list(head(1), {{0, 10}}, Indexes{5, 4}));
  EXPECT_FALSE(encode_stop_list(head(1), {{0, 10}, {5, 10}}, {}));
  EXPECT_FALSE(encode_stop_list(head(1), {{0, kMostListedIndexes + 1}}, {}));
  StopListHead backwards = head(1);
  backwards.next_update = backwards.this_update - std::chrono::seconds(1);
  EXPECT_FALSE(encode_stop_list(backwards, {}, {}));
  EXPECT_FALSE(encode_stop_list(delta_head(5, head(5), {}), {}, {}));
  StopListHead nobody = head(1);
  nobody.issuer.clear();
  EXPECT_FALSE(encode_stop_list(nobody, {}, {}));
}

TEST(StopList, DeltasStopAndReviveAndBringNewBatches) {
  const Bytes first_file = file_of(head(1), {{0, 5000}}, {10, 20, 30});
  const StopList first = must(StopList::parse(first_file));
  StopTable table = must(StopTable::unfold(first));
  // 20 lives again, 40 and 6000 are dead, 5000 to 6999 are new.
  const Bytes delta_file = file_of(delta_head(2, first.head(), first.hash()), {{0, 7000}}, {20, 40, 6000});
  const StopList delta = must(StopList::parse(delta_file));
  EXPECT_FALSE(delta.find(10));  // a delta alone says nothing
  EXPECT_FALSE(StopTable::unfold(delta));
  ASSERT_TRUE(table.apply(delta));
  EXPECT_EQ(table.indexes(), (Indexes{10, 30, 40, 6000}));
  EXPECT_EQ(table.find(6999), CardVerdict::good);
  EXPECT_EQ(table.find(7000), CardVerdict::unknown);
  EXPECT_EQ(table.head().epoch, 2u);

  // The same again, an older one, one for another base: refused, and the table stays.
  EXPECT_EQ(table.apply(delta).error().kind, ErrorKind::untrusted);
  const Bytes skipping = file_of(delta_head(4, first.head(), first.hash()), {{0, 7000}}, {1});
  EXPECT_EQ(table.apply(must(StopList::parse(skipping))).error().kind, ErrorKind::untrusted);
  // The next one goes on from the delta.
  const Bytes next = file_of(delta_head(3, delta.head(), delta.hash()), {{0, 7000}}, {10});
  ASSERT_TRUE(table.apply(must(StopList::parse(next))));
  EXPECT_EQ(table.indexes(), (Indexes{30, 40, 6000}));
  // A base of the right epoch and another content.
  StopListHash other = delta.hash();
  other[0] ^= 1;
  const Bytes foreign = file_of(delta_head(4, table.head(), other), {{0, 7000}}, {30});
  EXPECT_EQ(table.apply(must(StopList::parse(foreign))).error().kind, ErrorKind::untrusted);
  EXPECT_EQ(table.indexes(), (Indexes{30, 40, 6000}));
  // One that forgets cards.
  const Bytes shorter = file_of(delta_head(4, table.head(), table.hash()), {{0, 6000}}, {});
  EXPECT_EQ(table.apply(must(StopList::parse(shorter))).error().kind, ErrorKind::malformed);
}

TEST(StopList, OnlyTheNewestFollows) {
  StopListHead in_use = head(5);
  EXPECT_TRUE(check_succession(in_use, head(6)));
  EXPECT_EQ(check_succession(in_use, head(5)).error().kind, ErrorKind::untrusted);
  EXPECT_EQ(check_succession(in_use, head(4)).error().kind, ErrorKind::untrusted);
  StopListHead foreign = head(6);
  foreign.issuer = "Region B";
  EXPECT_EQ(check_succession(in_use, foreign).error().kind, ErrorKind::untrusted);
  StopListHead earlier = head(6);
  earlier.this_update -= std::chrono::seconds(1);
  EXPECT_EQ(check_succession(in_use, earlier).error().kind, ErrorKind::untrusted);
}

TEST(StopList, Freshness) {
  const StopListHead list = head(1);
  const StopListPolicy policy{.stale_for = std::chrono::hours(48)};
  EXPECT_EQ(state_of(list, list.this_update - std::chrono::seconds(1), policy), StopListState::early);
  EXPECT_EQ(state_of(list, list.this_update, policy), StopListState::fresh);
  EXPECT_EQ(state_of(list, list.next_update, policy), StopListState::fresh);
  EXPECT_EQ(state_of(list, list.next_update + std::chrono::seconds(1), policy), StopListState::stale);
  EXPECT_EQ(state_of(list, list.next_update + std::chrono::hours(48), policy), StopListState::stale);
  EXPECT_EQ(state_of(list, list.next_update + std::chrono::hours(48) + std::chrono::seconds(1), policy),
            StopListState::expired);
  EXPECT_EQ(state_of(list, list.next_update + std::chrono::seconds(1)), StopListState::expired);
}

TEST(StopList, WhoSignedIt) {
  const Bytes file = file_of(head(1), {{0, 100}}, {5});
  const StopList list = must(StopList::parse(file));
  EXPECT_EQ(list.verify({}, test_time()).error().kind, ErrorKind::untrusted);
  EXPECT_EQ(list.verify({issuer().centre.root}, test_time()).error().kind, ErrorKind::untrusted);
  EXPECT_EQ(list.verify(issuer().signers, issuer().centre.ca.not_after() + std::chrono::seconds(1)).error().kind,
            ErrorKind::untrusted);
  // A citizen's certificate of the same authority signs no lists.
  const Bytes forged = must(sign_stop_list(must(encode_stop_list(head(1), {{0, 100}}, {})), issuer().centre.citizen));
  EXPECT_EQ(must(StopList::parse(forged)).verify({issuer().centre.citizen_certificate}, test_time()).error().kind,
            ErrorKind::untrusted);
}

// Every bit of a file matters: it no longer parses, is not signed, or names another signer.
TEST(StopList, NoBitCanChange) {
  const Bytes file = file_of(head(1), {{0, 100}, {200, 50}}, {5, 99, 210});
  for (std::size_t octet = 0; octet < file.size(); ++octet) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes damaged = file;
      damaged[octet] ^= static_cast<std::uint8_t>(1u << bit);
      const auto list = StopList::parse(damaged);
      EXPECT_FALSE(list && list->verify(issuer().signers, test_time())) << octet << "." << bit;
    }
  }
  for (std::size_t cut = 0; cut < file.size(); ++cut) EXPECT_FALSE(StopList::parse(ByteView(file).first(cut))) << cut;
  Bytes longer = file;
  longer.push_back(0);
  EXPECT_FALSE(StopList::parse(longer));
}

// docs/stop-list.md promises a reader in C: that text, compiled as it stands, reads what we write.
TEST(StopListDocument, ItsReaderInCReadsOurCodes) {
  const std::string text = [] {
    std::ifstream file(KARTA_SOURCE_DIR "/docs/stop-list.md");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }();
  const std::size_t begin = text.find("```c\n"), end = text.find("```", begin + 5);
  ASSERT_NE(begin, std::string::npos);
  const crypto::testing::TemporaryFolder folder;
  folder.write("reader.c", "#include <stdint.h>\n#include <stdio.h>\n#include <stdlib.h>\n" +
                               text.substr(begin + 5, end - begin - 5) +
                               R"(
static void print(uint32_t index) { printf("%u\n", index); }
int main(int count, char **words) {
  static uint8_t code[1 << 20];
  return count == 3 ? -decode(code, fread(code, 1, sizeof code, stdin), atoi(words[1]), atoi(words[2]), print) : 2;
}
)");
  const auto compiled = crypto::testing::run(folder, "cc -std=c99 -Wall -Wextra -Werror -O1 -o reader reader.c");
  ASSERT_EQ(compiled.status, 0) << compiled.output;
  for (const std::uint64_t every : {3u, 40u, 900u}) {
    const std::uint32_t size = every == 900 ? kMostInShard : 70'000;
    std::vector<std::uint32_t> members;
    std::string wanted;
    for (const std::uint64_t index : scattered(size, every, every)) {
      members.push_back(static_cast<std::uint32_t>(index));
      wanted += std::to_string(index) + "\n";
    }
    Bytes code;
    encode_gaps(members, size, code);
    folder.write("code", code);
    const std::string numbers = std::to_string(size) + " " + std::to_string(members.size());
    const auto read = crypto::testing::run(folder, "./reader " + numbers + " <code");
    EXPECT_EQ(read.status, 0);
    EXPECT_EQ(read.output, wanted) << every;
    folder.write("code", ByteView(code).first(code.size() - 2));
    EXPECT_NE(crypto::testing::run(folder, "./reader " + numbers + " <code").status, 0);
  }
}

}  // namespace
}  // namespace karta::identity
