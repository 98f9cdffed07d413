// What a card may send as health records. What parses must come out as it went in.
#include "card/health.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  using namespace karta::card;
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0:
      if (const auto record = InsuranceRecord::parse(input)) {
        const auto again = record->encode();
        KARTA_CHECK(again && equal(*again, input.first(again->size())));
      }
      break;
    case 1:
      if (const auto emergency = EmergencyData::parse(input)) {
        const auto again = emergency->encode();
        KARTA_CHECK(again && equal(*again, input.first(again->size())));
      }
      break;
    case 2: {
      const std::size_t slots = input.size() / Entitlements::kSlotOctets;
      if (slots == 0 || slots > kMostLedgerCounters) break;
      if (const auto all = Entitlements::parse(input, slots)) {
        const auto again = all->encode();
        KARTA_CHECK(again && Entitlements::parse(*again, slots)->slots == all->slots);
      }
      break;
    }
    default:
      if (const auto entry = HealthEntry::parse(input)) KARTA_CHECK(equal(entry->encode(), input));
  }
  return 0;
}
