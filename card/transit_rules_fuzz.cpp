// Transit rules as a stranger may write them: read, written, read again; and no gate made of them faults.
#include "card/transit_rules.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  using namespace karta::card;
  const auto rules = GateRules::from_json(as_text(ByteView(data, size)));
  if (!rules) return 0;
  const auto again = GateRules::from_json(rules->to_json());
  KARTA_CHECK(again && again->to_json() == rules->to_json());
  for (std::uint8_t zone = 0; zone < Gate::kZones; ++zone) (void)rules->gate(1, zone);
  for (const auto& row : rules->gates) KARTA_CHECK(rules->gate(row.gate).has_value());
  return 0;
}
