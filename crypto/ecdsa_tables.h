// EcdsaTables: ECDSA on P-256 by keys that come again and again. For such a key multiples of its point are kept, as
// OpenSSL keeps those of the curve's generator; a verification then takes little more than half the time. The verdict
// is the same with and without.
//
// A table takes 150 KiB and some 16 ms, so that only keys that were used often get one, the longest unused gives way,
// and tables are made with pauses: keys of whoever makes up many of them cost little more than without.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/bytes.h"

namespace karta::crypto {

class EcdsaTables {
 public:
  struct Limits {
    std::uint16_t uses = 64;               ///< of a key before it gets a table
    std::chrono::milliseconds pause{250};  ///< from one table's making to the next
    std::size_t tables = 64;               ///< kept at the most
  };
  explicit EcdsaTables(const Limits& limits);
  ~EcdsaTables();
  EcdsaTables(const EcdsaTables&) = delete;
  EcdsaTables& operator=(const EcdsaTables&) = delete;

  /// Those of this process; usable from any thread.
  static EcdsaTables& of_process();

  /// Whether `signature` (DER, strict) over `digest` (left-most 32 octets count) is that of the key with this point
  /// (as PublicKey::key_octets() has it, on the curve). None: the key has no table; the use is counted, and the table
  /// made when it is the key's turn.
  std::optional<bool> verify(ByteView point, ByteView digest, ByteView signature);

  /// Tables that there are.
  std::size_t size() const;

 private:
  class Table;
  /// How often keys were used lately. Two keys in one place wear each other's count down.
  struct Use {
    std::uint64_t mark = 0;
    std::uint16_t count = 0;
  };
  struct Kept {
    Bytes point;
    std::shared_ptr<const Table> table;
    std::uint64_t used_at = 0;  ///< turns of `turn_`
  };
  std::shared_ptr<const Table> find(ByteView point, bool& make);
  void keep(ByteView point, std::shared_ptr<const Table> table);

  const Limits limits_;
  mutable std::mutex mutex_;  // of all below
  std::array<Use, 1024> uses_{};
  std::vector<Kept> kept_;
  std::uint64_t turn_ = 0;
  bool useless_ = false;  ///< OpenSSL makes no tables here
  std::chrono::steady_clock::time_point next_making_{};
};

}  // namespace karta::crypto
