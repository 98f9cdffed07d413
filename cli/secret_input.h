// SecretInput: how a program gets a PIN or a passphrase. Never from the command line, never from the environment.
//
// Three ways: a prompt on the terminal with echo off; a file descriptor, one secret a line, each line used once, in the
// order the program asks; a pin-entry program speaking the Assuan protocol of GnuPG's pinentry.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace karta::cli {

/// What the person is asked.
struct SecretRequest {
  std::string title;    ///< "Qualified signature of contract.pdf"
  std::string prompt;   ///< "PIN2 (6 to 8 digits)"
  std::string warning;  ///< "2 tries are left", empty: none
  bool repeat = false;  ///< ask twice and compare (a new PIN); not for a descriptor
};

class SecretInput {
 public:
  virtual ~SecretInput() = default;
  /// The secret, without line end, at most 256 octets. `ErrorKind::cancelled` if the person refused or input ended.
  virtual Result<SecretBytes> ask(const SecretRequest& request) = 0;
};

/// `descriptor` >= 0: read from it. Otherwise `program` not empty: start it. Otherwise prompt on /dev/tty.
std::unique_ptr<SecretInput> make_secret_input(int descriptor, const std::string& program);

}  // namespace karta::cli
