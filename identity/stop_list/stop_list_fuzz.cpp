// Any octets: parse, unfold, look up. What unfolds agrees with what is looked up in place.
#include <cstdlib>

#include "identity/stop_list/stop_table.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  using namespace karta::identity;
  const auto list = StopList::parse(ByteView(data, size));
  if (!list || list->end() > (std::uint64_t{1} << 24)) return 0;
  const auto table = StopTable::unfold(*list);
  std::uint64_t listed = 0;
  const bool whole = list->for_each([&](std::uint64_t index) {
                           ++listed;
                           if (table && table->find(index) != CardVerdict::stopped) std::abort();
                         })
                         .has_value();
  if (table && (!whole || listed != table->count() || listed != list->count())) std::abort();
  for (const std::uint64_t index : {std::uint64_t{0}, list->end() / 2, list->end()}) {
    const auto found = list->find(index);
    if (table && found && *found != table->find(index)) std::abort();
  }
  return 0;
}
