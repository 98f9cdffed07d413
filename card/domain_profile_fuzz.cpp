// A department's profile, as anybody may write it: read or refused, and what is read makes commands.
#include "card/domain_profile.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace karta;
  using namespace karta::card;
  const auto profile = parse_department_profile(as_text(ByteView(data, size)), "fuzz.toml");
  if (!profile || profile->ledger) return 0;
  for (const PersonalisationStep& step : department_steps(*profile, {}, 255)) {
    for (const StepCommand& command : step.commands) KARTA_CHECK(command.apdu.encode());
  }
  return 0;
}
