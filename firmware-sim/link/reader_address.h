// ReaderAddress: where a slot of a virtual reader waits for its card.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace karta::sim {

/// vpcd's own first port, 0x8C7B.
constexpr std::uint16_t kFirstReaderPort = 35963;
/// Slots of one reader.conf entry, fixed when Debian's driver was compiled.
constexpr unsigned kSlotsPerReader = 2;
/// pcscd counts slots as readers and knows 16.
constexpr unsigned kMaxReaders = 8;

struct ReaderAddress {
  unsigned reader = 1;  ///< entry, from 1
  unsigned slot = 0;    ///< 0 or 1
  std::string host = "127.0.0.1";

  std::uint16_t port() const {
    return static_cast<std::uint16_t>(kFirstReaderPort + kSlotsPerReader * (reader - 1) + slot);
  }
  /// "reader 2 slot 0"
  std::string name() const;
};

/// Reads "2" or "2:1": reader, and slot if not 0. Fails: `usage`.
Result<ReaderAddress> parse_reader_address(std::string_view text);

}  // namespace karta::sim
