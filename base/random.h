// RandomSource: where unpredictable octets come from; a test brings a repeatable one.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/secret.h"

namespace karta {

class RandomSource {
 public:
  virtual ~RandomSource() = default;
  /// Fills all of `out`, or ends the program: karta never goes on with weak randomness.
  virtual void fill(MutableByteView out) = 0;

  Bytes bytes(std::size_t count);
  SecretBytes secret(std::size_t count);
  /// Uniform in [0, bound), without modulo bias. `bound` must not be 0.
  std::uint64_t below(std::uint64_t bound);
  /// `count` decimal digits, uniform: a transport PIN, a PUK.
  SecretBytes digits(std::size_t count);
};

/// The operating system's generator, getrandom(2).
class SystemRandom final : public RandomSource {
 public:
  void fill(MutableByteView out) override;
};

/// Repeatable from its seed (SplitMix64). For tests and sample data only: anyone can predict it.
class SeededRandom final : public RandomSource {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  void fill(MutableByteView out) override;

 private:
  std::uint64_t state_;
};

}  // namespace karta
