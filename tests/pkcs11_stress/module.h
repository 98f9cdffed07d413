// A PKCS #11 module as a program sees it: loaded by dlopen, called through its function list.
#pragma once

#include <pkcs11.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace karta::pkcs11_stress {

using Octets = std::vector<unsigned char>;

/// Prints the fault and ends the program with 1, without destructors: threads may be anywhere.
[[noreturn]] void fault(const std::string& text);
/// "CKR_DEVICE_REMOVED", or the number in hexadecimal.
std::string name_of(CK_RV rv);

/// Which locks C_Initialize is told to use.
enum class Locking { operating_system, callbacks };

class Module {
 public:
  explicit Module(const std::string& path);
  ~Module();
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  CK_FUNCTION_LIST_PTR operator->() const { return functions_; }
  CK_RV initialize(Locking locking = Locking::operating_system) const;
  /// The slots that hold a token.
  std::vector<CK_SLOT_ID> slots() const;
  /// The slot whose token has this label (blanks at its end do not count).
  std::optional<CK_SLOT_ID> slot_of(const std::string& label) const;

 private:
  void* handle_ = nullptr;
  CK_FUNCTION_LIST_PTR functions_ = nullptr;
};

/// What to sign with, and how the answer is checked.
struct Target {
  std::string label;  ///< of the token
  std::string pin;
  Octets id;  ///< CKA_ID
  bool rsa = false;
};

/// A session with the key found. Every function gives what the module said; CKR_OK is progress.
class Client {
 public:
  Client(const Module& module, const Target& target) : module_(module), target_(target) {}
  ~Client() { close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool ready() const { return key_ != 0; }
  /// Session, log-in, private key. CKR_OK without ready(): the module does not show the key.
  CK_RV open(CK_SLOT_ID slot);
  /// Signs, in one part or in parts.
  CK_RV sign(const Octets& text, bool in_parts, Octets& signature);
  void close();
  /// In a child process: the parent's handles are none of ours.
  void forget() { session_ = key_ = 0; }
  CK_SESSION_HANDLE session() const { return session_; }

 private:
  const Module& module_;
  const Target& target_;
  CK_SESSION_HANDLE session_ = 0;
  CK_OBJECT_HANDLE key_ = 0;
};

}  // namespace karta::pkcs11_stress
