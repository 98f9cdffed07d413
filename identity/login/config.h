// LoginConfig: [login] of identity.toml. Docs: docs/login.md.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "identity/key_config.h"
#include "identity/login/sessions.h"

namespace karta::identity {

/// Messages with one-time codes go out by a mail server, or into a folder for a program of the operator's to send.
struct MessageConfig {
  std::string server = {};  ///< "smtp://host:587", "smtps://host"; empty: `folder`
  std::string from = {};    ///< the sender's address
  std::string user = {};    ///< empty: no authentication
  std::filesystem::path password_file = {};
  std::filesystem::path roots = {};  ///< of the mail server's certificate, PEM; empty: the system's
  bool plain = false;                ///< no TLS: for a mail server on this machine
  std::filesystem::path folder = {};
};

struct AgentConfig {
  KeyConfig
      key;  ///< requests to the agent are signed with it; its certificate names the host of `LoginConfig::address`
  std::string address = "http://127.0.0.1:8471";  ///< of the agent, on the citizen's machine
  std::chrono::seconds request_life{300};
};

struct LoginConfig {
  std::string address;              ///< "https://id.example": the origin of the pages; what card tokens are signed for
  std::string certificate_address;  ///< of the listener that asks for certificates; empty: no such way in
  std::filesystem::path secret_file;  ///< at least kLeastSecret characters; the same on every server, never changed
  std::vector<std::filesystem::path> card_roots;        ///< who issues citizens' certificates: trust anchors
  std::vector<std::filesystem::path> card_authorities;  ///< certificates between those and the cards'
  SessionOptions sessions;
  std::optional<AgentConfig> agent;      ///< absent: no way in by the agent
  bool codes = false;                    ///< [login.codes]: the way in by a one-time code
  std::optional<MessageConfig> message;  ///< absent: codes of an app alone
  std::chrono::seconds code_life{600};   ///< of a code that was sent
};
inline constexpr std::size_t kLeastSecret = 32;

/// Reads [login]. Where it says neither, the address is `issuer`, and that of the listener for certificates
/// `mtls_address`. Errors: configuration, with line and key.
Result<LoginConfig> read_login(service::ConfigTable& table, std::string_view issuer, std::string_view mtls_address);

}  // namespace karta::identity
