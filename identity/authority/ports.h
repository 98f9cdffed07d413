// AuthorityPorts: what the program gives the server, for what this room does not know: cards and their certificates.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "identity/authority/desk_port.h"
#include "identity/authority/terminal_port.h"

namespace karta::identity {

struct AuthorityConfig;

/// Each opens what the configuration names, or says why it cannot be.
struct AuthorityPorts {
  std::function<Result<std::shared_ptr<TerminalPort>>(const AuthorityConfig&)> terminals;
  std::function<Result<std::shared_ptr<DeskPort>>(const AuthorityConfig&)> desk;
};

}  // namespace karta::identity
