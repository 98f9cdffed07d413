// Inherited sockets: listening sockets that whoever started this program opened for it (sd_listen_fds(3): LISTEN_FDS,
// LISTEN_PID and LISTEN_FDNAMES in the environment; no library needed).
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"

namespace karta::service {

/// The descriptors named `name` (FileDescriptorName= in the .socket unit; a socket without a name has its unit's),
/// marked close-on-exec. They stay this process's as long as it runs. Errors: configuration, saying which names there
/// are.
Result<std::vector<int>> inherited_sockets(std::string_view name);

}  // namespace karta::service
