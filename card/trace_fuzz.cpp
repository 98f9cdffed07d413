// Recorded sessions and key files, as anybody may write them: read, decoded, costed and drawn.
#include "card/trace_decoder.h"
#include "card/trace_picture.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  using namespace karta::card;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)parse_trace_keys(text);
  const auto trace = SessionTrace::parse(text);
  if (!trace) return 0;
  CostModel model(chips()[0], channels()[2]);
  TraceDecoder decoder;
  Timeline timeline;
  timeline.budget_ms = 70;
  for (const SessionTrace::Entry& entry : trace->entries) {
    if (const auto* const event = std::get_if<TraceEvent>(&entry)) {
      decoder.end_session(event->card);
      continue;
    }
    const auto& exchange = std::get<TraceExchange>(entry);
    const DecodedExchange decoded = decoder.take(exchange);
    const auto time = time_of(exchange, model);
    timeline.steps.push_back({decoded.name, std::to_string(exchange.response_octets()), time.value_or(TimeSpent{})});
  }
  timeline.fold(10);
  timeline.footnotes = model.assumptions();
  (void)to_svg(timeline);
  return 0;
}
