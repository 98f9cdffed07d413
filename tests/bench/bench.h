// Bench: what benchmarks share: one clock, one line a figure, the same figures as JSON lines.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

namespace karta::bench {

/// Calls a second of this process's time on the processor, which what else the machine does changes little; the median
/// of five runs of at least a fifth of a second each.
inline double rate(const std::function<void()>& work) {
  std::vector<double> rates;
  for (int run = 0; run < 5; ++run) {
    const std::clock_t begin = std::clock();
    std::size_t calls = 0;
    double spent = 0;
    do {
      work();
      ++calls;
      spent = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;
    } while (spent < 0.2);
    rates.push_back(static_cast<double>(calls) / spent);
  }
  std::sort(rates.begin(), rates.end());
  return rates[rates.size() / 2];
}

/// One figure of any unit as a JSON line, where KARTA_BENCH_JSON names a file.
inline void record(const std::string& name, double value, const std::string& unit, const std::string& peer, double theirs) {
  const char* const file = std::getenv("KARTA_BENCH_JSON");
  FILE* const out = file == nullptr ? nullptr : std::fopen(file, "a");
  if (out == nullptr) return;
  std::fprintf(out,
               "{\"name\": \"%s\", \"value\": %.1f, \"unit\": \"%s\", \"peer\": \"%s\", \"peer_value\": %.1f, "
               "\"ratio\": %.4f}\n",
               name.c_str(), value, unit.c_str(), peer.c_str(), theirs, theirs > 0 ? value / theirs : 0);
  std::fclose(out);
}

/// One figure beside its peer's (0: there is none), on standard output and, where KARTA_BENCH_JSON names a file, there.
inline void show(const std::string& name, double ours, const std::string& peer, double theirs) {
  const double ratio = theirs > 0 ? ours / theirs : 0;
  std::printf("%-44s %10.0f /s   %-26s %10.0f /s   %6.2f\n", name.c_str(), ours, peer.c_str(), theirs, ratio);
  if (const char* const file = std::getenv("KARTA_BENCH_JSON")) {
    if (FILE* const out = std::fopen(file, "a")) {
      std::fprintf(out,
                   "{\"name\": \"%s\", \"value\": %.1f, \"unit\": \"1/s\", \"peer\": \"%s\", \"peer_value\": %.1f, "
                   "\"ratio\": %.3f}\n",
                   name.c_str(), ours, peer.c_str(), theirs, ratio);
      std::fclose(out);
    }
  }
}

inline void demand(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "error: %s\n", what);
  std::exit(70);
}

}  // namespace karta::bench
