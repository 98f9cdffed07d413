#include "pkcs11/spy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace karta::pkcs11 {
namespace {

// Calls that take a PIN or a seed: what comes after the first argument stays unsaid.
constexpr auto kDiscreet =
    std::to_array<std::string_view>({"C_Login", "C_LoginUser", "C_InitPIN", "C_SetPIN", "C_InitToken", "C_SeedRandom"});

}  // namespace

Spy* Spy::active() {
  static Spy* const spy = []() -> Spy* {
    // Not for programs that run with another user's rights.
    const char* const path = secure_getenv("KARTA_PKCS11_SPY");
    if (path == nullptr || *path == '\0') return nullptr;
    const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return file < 0 ? nullptr : new Spy(file);
  }();
  return spy;
}

void Spy::write(std::string_view name, std::span<const SpyArgument> arguments, CK_RV rv, std::string_view words) {
  std::string line = std::to_string(getpid()) + ' ' + std::string(name) + '(';
  bool discreet = false;
  for (const std::string_view one : kDiscreet) discreet = discreet || one == name;
  if (discreet && arguments.size() > 1) arguments = arguments.first(1);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (i > 0) line += ", ";
    if (arguments[i].pointer) {
      line += arguments[i].value != 0 ? "ptr" : "null";
    } else {
      char number[24];
      std::snprintf(number, sizeof number, "0x%lx", arguments[i].value);
      line += number;
    }
  }
  if (discreet) line += ", ...";
  line += ") = " + name_of_rv(rv);
  if (!words.empty()) line += ": " + std::string(words);
  line += '\n';
  // One write, at the end of the file: lines of several threads and processes do not mix. A log that cannot be written
  // is no reason for a call to fail.
  [[maybe_unused]] const ssize_t written = ::write(file_, line.data(), line.size());
}

}  // namespace karta::pkcs11
