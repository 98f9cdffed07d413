// KeyConfig: where a key of the server is and what opens it, as identity.toml says it. Docs: docs/identity-server.md.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "service/configuration.h"

namespace karta::identity {

struct KeyConfig {
  std::string key;                    ///< a file of encrypted PKCS #8 (PEM), or a PKCS #11 URI
  std::filesystem::path certificate;  ///< PEM: the key's own first, then those above it; empty: a key that has none
  std::filesystem::path secret_file;  ///< passphrase or token PIN, one line; for its owner's eyes only
};

/// Letters, digits and hyphens, all small, at most 64: what may stand in a URL of ours.
bool is_config_name(std::string_view text);

/// "passphrase_file", or "credential": the name of a file in $CREDENTIALS_DIRECTORY (systemd's LoadCredential=).
Result<std::filesystem::path> read_secret_place(service::ConfigTable& table);

/// "key", "certificate" and the place of the secret. With `certificate` given, "certificate" may be left out.
Result<KeyConfig> read_key_config(service::ConfigTable& table,
                                  const std::optional<std::filesystem::path>& certificate = {});
/// "key" and the place of the secret alone: a key known by itself (a JWK).
Result<KeyConfig> read_bare_key_config(service::ConfigTable& table);

}  // namespace karta::identity
