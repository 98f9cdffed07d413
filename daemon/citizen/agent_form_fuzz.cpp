// Fuzz target: what is posted to the agent's page. A secret that is taken is short and of digits alone.
#include <algorithm>

#include "daemon/citizen/agent_form.h"

using namespace karta;
using namespace karta::daemon;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto form = AgentForm::parse({data, size});
  if (!form) return 0;
  KARTA_CHECK(size <= AgentForm::kMostOctets);
  for (const SecretBytes* const one : {&form->pin, &form->can}) {
    const ByteView octets = one->expose_secret();
    KARTA_CHECK(octets.size() <= AgentForm::kMostSecret);
    KARTA_CHECK(std::all_of(octets.begin(), octets.end(), [](std::uint8_t c) { return c >= '0' && c <= '9'; }));
  }
  return 0;
}
