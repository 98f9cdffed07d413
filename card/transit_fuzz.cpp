// What a card may send as ledger and transit product, and what a terminal's journal may hold of pending commits.
#include "card/transit.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  using namespace karta::card;
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 5) {
    case 0: {
      if (input.size() < TransitPass::kHeadOctets) break;
      const std::size_t products = (input.size() - TransitPass::kHeadOctets) / TransitPass::kProductOctets;
      if (products == 0 || products > kMostLedgerCounters) break;
      if (const auto pass = TransitPass::parse(input, products)) {
        const auto again = pass->encode();
        KARTA_CHECK(again && *TransitPass::parse(*again, products) == *pass);
      }
      break;
    }
    case 1:
      if (const auto entry = TransitEntry::parse(input)) KARTA_CHECK(equal(entry->encode(), input));
      break;
    case 2:
      (void)LedgerInfo::parse(input);
      break;
    case 3: {
      LedgerInfo info;
      info.shape = {2, TransitEntry::kOctets};
      info.product_octets = TransitPass::octets(2);
      const auto state = LedgerState::parse(input, info);
      if (!state) break;
      const auto decision = decide_tap(*state, Gate{.terminal = 1, .zone = 3, .fare = 10}, 1, Time{});
      if (!decision || decision->reason != TapReason::open) break;
      for (std::size_t i = 0; i < 2; ++i) KARTA_CHECK(decision->change.counters[i] <= state->counters[i]);
      break;
    }
    default:
      if (const auto pending = PendingCommit::from_text(as_text(input))) {
        const auto again = PendingCommit::from_text(pending->to_text());
        KARTA_CHECK(again && again->serial == pending->serial && again->change.counters == pending->change.counters &&
                    again->change.entry == pending->change.entry && again->sequence == pending->sequence);
      }
  }
  return 0;
}
