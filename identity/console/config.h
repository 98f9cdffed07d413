// ConsoleConfig: [console] of identity.toml: who operates the identity system from the browser. Docs: docs/console.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "identity/registry.h"
#include "service/configuration.h"

namespace karta::identity {

/// What an operator may do; a row each in console_scopes().
enum class ConsoleScope : std::uint8_t { find, card_life, terminals, counters, requests, acts };
struct ConsoleScopeRow {
  ConsoleScope scope;
  std::string_view name;  ///< in identity.toml
};
std::span<const ConsoleScopeRow> console_scopes();

struct ConsoleOperator {
  std::string name;                  ///< stands in logs as "operator:NAME"
  std::optional<CitizenId> citizen;  ///< logs in with the own card, or
  std::string certificate_hash;      ///< SHA-256 of a client certificate, hexadecimal
  std::uint32_t scopes = 0;          ///< bit n: ConsoleScope n

  bool may(ConsoleScope scope) const { return (scopes >> static_cast<unsigned>(scope) & 1) != 0; }
};

struct ConsoleConfig {
  std::vector<ConsoleOperator> operators;
};

Result<ConsoleConfig> read_console(service::ConfigTable& table);

}  // namespace karta::identity
