// AgentScript: daemon/citizen/web/agent.mjs as it was when the program was built.
#pragma once

#include <string_view>

namespace karta::daemon {

std::string_view agent_script();

}  // namespace karta::daemon
