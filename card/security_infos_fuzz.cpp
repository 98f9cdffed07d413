// EF.CardAccess, the content of EF.CardSecurity, and data groups: what parses is written again and reads the same.
#include <cstdlib>

#include "card/identity_data.h"
#include "card/security_infos.h"

using namespace karta;
using namespace karta::card;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  if (data[0] == 0) {
    if (const auto infos = SecurityInfos::parse(input)) {
      SecurityInfos known = *infos;
      known.others.clear();
      const auto again = SecurityInfos::parse(known.encode());
      if (!again) std::abort();
      if (!check_same_protocols(*infos, *again)) std::abort();
    }
    return 0;
  }
  const DataGroupRow* const row = find_data_group(static_cast<unsigned>(data[0]));
  if (row == nullptr) return 0;
  if (const auto group = decode_data_group(*row, input)) {
    (void)to_string(group->value);
    if (const auto again = encode_data_group(*row, group->value, group->salt)) {
      const auto twice = decode_data_group(*row, *again);
      if (!twice || !(twice->value == group->value)) std::abort();
    }
  }
  return 0;
}
