// RequestsConfig: [requests] of identity.toml: requests between departments. Docs: docs/requests.md.
#pragma once

#include <filesystem>
#include <vector>

#include "identity/key_config.h"

namespace karta::identity {

struct RequestsConfig {
  KeyConfig key;                             ///< signs receipts and the registry's own answers
  std::vector<std::filesystem::path> roots;  ///< PEM: who certifies departments
  std::vector<std::filesystem::path> crls;   ///< of authorities the registry does not keep; read at start and SIGHUP
  /// The server asks clients for certificates, so that departments may be known by theirs; browsers then ask people.
  bool certificates = false;
  std::chrono::days most_delay{183};  ///< of disclosure
  std::chrono::hours most_age{24};    ///< of a request when it arrives
};

Result<RequestsConfig> read_requests(service::ConfigTable& table);

}  // namespace karta::identity
