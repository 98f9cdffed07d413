#include "identity/console/config.h"

#include <algorithm>
#include <array>

#include "identity/key_config.h"

namespace karta::identity {
namespace {

constexpr auto kScopes = std::to_array<ConsoleScopeRow>({
    {ConsoleScope::find, "find"},
    {ConsoleScope::card_life, "card-life"},
    {ConsoleScope::terminals, "terminals"},
    {ConsoleScope::counters, "counters"},
    {ConsoleScope::requests, "requests"},
    {ConsoleScope::acts, "acts"},
});

Result<ConsoleOperator> read_operator(service::ConfigTable& table) {
  ConsoleOperator out;
  out.name = TRY(table.text("name"));
  if (!is_config_name(out.name)) return table.bad("name", "must be small letters, digits and hyphens, at most 64");
  const std::string citizen = TRY(table.text_or("citizen", ""));
  out.certificate_hash = TRY(table.text_or("certificate_sha256", ""));
  if (citizen.empty() == out.certificate_hash.empty()) {
    return table.bad("citizen", "needs one of \"citizen\" and \"certificate_sha256\"");
  }
  if (!citizen.empty()) {
    const auto id = parse_citizen_id(citizen);
    if (!id) return table.bad("citizen", "must be a citizen's id in the registry, 16 hexadecimal digits");
    out.citizen = *id;
  } else if (const auto octets = from_hex(out.certificate_hash);
             !octets || octets->size() != 32 || to_hex(*octets) != out.certificate_hash) {
    return table.bad("certificate_sha256", "must be 64 small hexadecimal digits");
  }
  for (const std::string& name : TRY(table.texts("scopes"))) {
    const auto row = std::ranges::find(kScopes, name, &ConsoleScopeRow::name);
    if (row == kScopes.end()) {
      return table.bad("scopes", "are find, card-life, terminals, counters, requests and acts");
    }
    out.scopes |= 1u << static_cast<unsigned>(row->scope);
  }
  if (out.scopes == 0) return table.bad("scopes", "is missing: what the operator may do");
  return out;
}

}  // namespace

std::span<const ConsoleScopeRow> console_scopes() { return kScopes; }

Result<ConsoleConfig> read_console(service::ConfigTable& table) {
  ConsoleConfig out;
  for (service::ConfigTable& one : TRY(table.tables("operator"))) {
    ConsoleOperator person = TRY(read_operator(one));
    for (const ConsoleOperator& other : out.operators) {
      if (other.name == person.name) return one.bad("name", "is that of another [[console.operator]]");
    }
    out.operators.push_back(std::move(person));
  }
  if (out.operators.empty()) return table.bad("operator", "is missing: [[console.operator]] names who may come in");
  return out;
}

}  // namespace karta::identity
