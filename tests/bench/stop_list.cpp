// bench stop-list: a stop-list for 150 million cards beside the information bound, a zlib bitmap and a CRL's entries.
//
// Dead cards are scattered by chance, as the registry's permutation scatters them. Sizes are exact; times are of
// the processor, the median of the runs. "Load" is all a gate does with a file it has received: parse, check the
// signature, unfold.
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/der.h"
#include "crypto/testing.h"
#include "identity/stop_list/stop_table.h"
#include "tests/bench/bench.h"

namespace karta::identity {
namespace {

using crypto::testing::must;

constexpr std::uint64_t kCards = 150'000'000;
constexpr unsigned kRuns = 5;
constexpr std::size_t kLookups = 4'000'000;

std::vector<std::uint64_t> scattered(double share) {
  std::mt19937_64 random(static_cast<std::uint64_t>(share * 1e6));
  std::geometric_distribution<std::uint64_t> gap(share);
  std::vector<std::uint64_t> out;
  for (std::uint64_t at = gap(random); at < kCards; at += 1 + gap(random)) out.push_back(at);
  return out;
}

double bound_octets(double n, double k) {
  return (std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1)) / std::log(2.0) / 8;
}

std::size_t zlib_octets(const std::vector<std::uint64_t>& indexes) {
  Bytes bitmap(static_cast<std::size_t>((kCards + 7) / 8));
  for (const std::uint64_t index : indexes)
    bitmap[static_cast<std::size_t>(index / 8)] |= static_cast<std::uint8_t>(1u << index % 8);
  uLongf packed = compressBound(bitmap.size());
  Bytes out(packed);
  compress2(out.data(), &packed, bitmap.data(), bitmap.size(), 6);
  return packed;
}

// RFC 5280 §5.1.2.6: serial of 16 octets and a date, each in its SEQUENCE.
std::size_t crl_octets(std::size_t entries) {
  const Bytes entry = der::sequence({der::unsigned_integer(Bytes(16, 0x7F)), der::time(crypto::testing::test_time())});
  return entry.size() * entries;
}

template <class Work>
double median_ms(Work work) {
  std::vector<double> times;
  for (unsigned i = 0; i < kRuns; ++i) {
    const std::clock_t begin = std::clock();
    work();
    times.push_back(1000.0 * static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void run() {
  crypto::testing::TestCentre centre;
  std::printf("a stop-list for %llu cards (median of %u)\n", static_cast<unsigned long long>(kCards), kRuns);
  std::printf("%7s %10s %10s %8s %11s %11s %9s %9s %9s\n", "dead", "octets", "bound", "ratio", "zlib bitmap",
              "CRL entries", "build ms", "load ms", "lookup ns");
  for (const double share : {0.001, 0.01, 0.05}) {
    const std::vector<std::uint64_t> indexes = scattered(share);
    StopListHead head;
    head.epoch = 1;
    head.this_update = crypto::testing::test_time();
    head.next_update = head.this_update + std::chrono::hours(192);
    head.issuer = "Region A";
    Bytes file;
    const double build = median_ms([&] {
      file = must(sign_stop_list(must(encode_stop_list(head, {{0, kCards}}, indexes)), centre.ca_signer));
    });
    std::optional<StopTable> table;
    const double load = median_ms([&] {
      const StopList list = must(StopList::parse(file));
      must(list.verify({centre.ca}, head.this_update));
      table = must(StopTable::unfold(list));
    });
    std::mt19937_64 random(1);
    std::vector<std::uint64_t> asked(kLookups);
    for (std::uint64_t& index : asked) index = random() % kCards;
    std::size_t stopped = 0;
    const double lookup = median_ms([&] {
                            for (const std::uint64_t index : asked)
                              stopped += table->find(index) == CardVerdict::stopped ? 1 : 0;
                          }) *
                          1e6 / static_cast<double>(kLookups);
    if (table->count() != indexes.size() || stopped == 0) std::abort();

    const double bound = bound_octets(static_cast<double>(kCards), static_cast<double>(indexes.size()));
    const double size = static_cast<double>(file.size());
    const std::size_t packed = zlib_octets(indexes), crl = crl_octets(indexes.size());
    std::printf("%6.1f%% %10zu %10.0f %8.4f %11zu %11zu %9.1f %9.1f %9.1f\n", share * 100, file.size(), bound,
                size / bound, packed, crl, build, load, lookup);
    const std::string name = "stop-list." + std::to_string(static_cast<int>(share * 1000)) + "-per-mille";
    bench::record(name + ".octets", size, "octets", "information bound", bound);
    bench::record(name + ".octets-zlib", size, "octets", "zlib bitmap", static_cast<double>(packed));
    bench::record(name + ".octets-crl", size, "octets", "CRL entries", static_cast<double>(crl));
    bench::record(name + ".build", build, "ms", "target", 500);
    bench::record(name + ".load", load, "ms", "target", 100);
    bench::record(name + ".lookup", lookup, "ns", "target", 25);
  }
}

}  // namespace
}  // namespace karta::identity

int main() { karta::identity::run(); }
