// PINs: which there are, what they may look like, and where a program gets them from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace karta::card {

enum class PinKind : std::uint8_t {
  pin1,  ///< logs in, signs every day, deciphers
  pin2,  ///< the qualified key only, for every signature anew
  puk,   ///< unblocks both
  can,   ///< printed; opens the contactless channel
};

/// The rules of one kind; docs/profile.md says how a profile may narrow them.
struct PinRules {
  PinKind kind;
  std::string_view name;  ///< "PIN1"
  unsigned min_digits;
  unsigned max_digits;
  unsigned transport_digits;  ///< length of the transport PIN; 0: there is none
  unsigned tries;
};

/// The row for `kind` on an issued citizen card: PIN 6 to 8 digits, transport 5, PUK 10, CAN 6.
const PinRules& rules_of(PinKind kind);
inline std::string_view name_of(PinKind kind) { return rules_of(kind).name; }

/// A new PIN: digits only, length within the rules, not all the same digit, not a run like 123456.
/// Fails with `pin_rejected`; the message never contains the PIN.
Status check_new_pin(PinKind kind, const SecretBytes& pin);
/// A PIN to be presented: digits, and a length some such PIN can have (a transport PIN too).
/// Saves a try where the card would count one. Fails with `pin_rejected`.
Status check_presented_pin(PinKind kind, const SecretBytes& pin);

/// Eight octets, padded with FF (the MyEID profile's form). A PUK of ten digits gives its first eight.
SecretBytes pin_field(const SecretBytes& pin);

/// What a person is being asked, and why.
struct PinRequest {
  enum class Reason : std::uint8_t {
    login,        ///< to use the card
    sign,         ///< for one signature
    decipher,     ///< to open a message or agree on a key
    update,       ///< to write to the card (a certificate, a key)
    change_old,   ///< the present PIN, about to be changed
    change_new,   ///< the new one (a front end asks twice)
    unblock_puk,  ///< the PUK
    unblock_new,  ///< the PIN to be set by unblocking
  };
  PinKind kind = PinKind::pin1;
  Reason reason = Reason::login;
  std::string label;                   ///< as the card calls it: "PIN2 (qualified signature)"
  std::string subject;                 ///< what it is for: the key's label, the file's name; may be empty
  std::optional<unsigned> tries_left;  ///< empty: the card has not told
  bool after_wrong = false;            ///< the one just given was wrong
  bool transport = false;              ///< the card still has its transport PIN (5 digits)
};

/// Where PINs come from: a prompt, a file descriptor, a pin-entry program, a test. Asked again after a wrong PIN while
/// tries are left; fails with `cancelled` where the person gives up.
class PinSource {
 public:
  virtual ~PinSource() = default;
  virtual Result<SecretBytes> pin(const PinRequest& request) = 0;
};

}  // namespace karta::card
