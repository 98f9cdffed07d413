// CanStore: the card access numbers of this user's cards. Over the contactless interface a card says nothing before it
// is shown the number printed on it; a module has no window to ask in, so `karta pkcs11 can` asks once and it is kept.
//
// Before that number a card does not say which one it is either: those known are tried in turn, the last one that was
// right first. A wrong one costs a moment and no try (TR-03110-3 §2.3: the CAN is not blocked). The file is
// $XDG_CONFIG_HOME/karta/cans (else ~/.config/karta/cans), a line a card: serial number in hexadecimal, blank, number.
// It must belong to the user and be closed to everybody else.
#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace karta::pkcs11 {

class CanStore {
 public:
  /// More cards than this nobody holds at his reader.
  static constexpr std::size_t kMost = 16;

  /// An empty folder: nothing is known and nothing kept.
  explicit CanStore(std::filesystem::path folder) : folder_(std::move(folder)) {}
  /// From the environment; empty for programs that run with another user's rights.
  static std::filesystem::path user_folder();

  /// KARTA_CAN alone where it is set, else the file's, newest first. What cannot be used is passed over.
  std::vector<SecretBytes> known() const;
  /// Puts the card's number first in the file. Fails with `usage` (not 6 digits) or `io`.
  Status keep(ByteView serial, const SecretBytes& can) const;

  struct Row {
    Bytes serial;
    SecretBytes can;
  };
  /// The rows of a file; lines that are none are passed over.
  static std::vector<Row> parse(std::string_view text);

 private:
  std::filesystem::path folder_;
};

/// Six digits, as printed on the card.
bool is_can(ByteView text);

}  // namespace karta::pkcs11
