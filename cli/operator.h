// Who runs the program, for the registry's events and access log.
#pragma once

#include <pwd.h>
#include <unistd.h>

#include <string>

namespace karta::cli {

/// "operator:NAME", the login name of the user this process runs as.
inline std::string operator_name() {
  const passwd* const user = getpwuid(geteuid());
  return "operator:" + (user == nullptr ? std::to_string(geteuid()) : std::string(user->pw_name));
}

}  // namespace karta::cli
