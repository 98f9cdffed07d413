// Json: what the daemon's API speaks. The name alone: who makes or reads a document includes <nlohmann/json.hpp>.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace karta::daemon {

/// Keys keep the order they were written in.
using Json = nlohmann::ordered_json;

}  // namespace karta::daemon
