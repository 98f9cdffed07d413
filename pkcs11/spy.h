// Spy: writes each call and its result to the file named by KARTA_PKCS11_SPY, and nothing a secret could be in.
//
// Shown are handles, flags and mechanism numbers; of pointers only whether they are there; of calls that take a PIN
// only the first argument (not even the PIN's length); and the words of an error. The file is made for its owner alone.
#pragma once

#include <span>
#include <string_view>

#include "pkcs11/cryptoki.h"

namespace karta::pkcs11 {

struct SpyArgument {
  bool pointer = false;
  CK_ULONG value = 0;
};

class Spy {
 public:
  /// Nothing where the environment does not ask for it. Looked up once; lives as long as the process.
  static Spy* active();
  void write(std::string_view name, std::span<const SpyArgument> arguments, CK_RV rv, std::string_view words);

 private:
  explicit Spy(int file) : file_(file) {}
  int file_;
};

}  // namespace karta::pkcs11
