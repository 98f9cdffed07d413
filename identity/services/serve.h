// serve: karta-identity as a long-running program: starts, watches, reloads, stops.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "identity/authority/ports.h"

namespace karta::identity {

/// Reads the configuration, opens every key, registry, certificate and list it names, and closes them again.
Status check_server(const std::filesystem::path& config, const AuthorityPorts& ports = {});

/// Serves until SIGTERM or SIGINT; SIGHUP reads the configuration again (listening addresses, workers, limits and TLS
/// stay as they are until a restart, and a configuration that cannot be used leaves all as it was).
Status serve(const std::filesystem::path& config, const AuthorityPorts& ports = {});

}  // namespace karta::identity
