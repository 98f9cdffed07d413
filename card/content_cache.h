// ContentCache: remembers what a card's public files hold, for a card and a state of its content.
//
// Its user asks it before reading a file and tells it what was read. The key is the card's serial number and change
// counter together with the name of the thing: nothing kept for another counter value is ever given.
#pragma once

#include <optional>
#include <string_view>

#include "base/bytes.h"

namespace karta::card {

class ContentCache {
 public:
  virtual ~ContentCache() = default;
  /// What `name` ("3F00/5015/4401") held on the card `serial` when its change counter was `counter`.
  virtual std::optional<Bytes> find(ByteView serial, std::uint16_t counter, std::string_view name) = 0;
  virtual void keep(ByteView serial, std::uint16_t counter, std::string_view name, ByteView content) = 0;
};

}  // namespace karta::card
