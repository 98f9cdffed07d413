// The holder's reference data: PINs with their unblocking codes and try counters.
//
// A try is taken in persistent memory, in a transaction of its own, before anything is compared; success gives the
// tries back in a second transaction. So no cut of the power, wherever it falls, leaves more tries than there were.
#pragma once

#include "firmware-sim/os/bytes.h"
#include "firmware-sim/os/nvm_journal.h"
#include "firmware-sim/os/status_word.h"

namespace karta::os {

constexpr std::size_t kPinBytes = 8;    // as commands carry it: digits, then FF
constexpr std::size_t kPukDigits = 10;  // the PUK all PINs of an issued card share
constexpr u8 kPinCount = 14;            // reference data 1..14 of the e-signature application
constexpr u8 kSharedPuk = 14;           // index behind the PINs
constexpr u8 kCan = 15;                 // card access number, six digits
constexpr u8 kPin1 = 0;                 // PACE's PIN is PIN 1
constexpr std::size_t kCanDigits = 6;

// One record. A PIN has value and puk of 8 octets, the shared PUK a value of 10 digits and no puk; the CAN a value of 6
// digits, and where others count the tries left it counts failures in a row, which never block it.
struct Secret {
  static constexpr u8 kSet = 0x01;
  static constexpr u8 kTransport = 0x02;     // good for nothing but being changed
  static constexpr u8 kHasSharedPuk = 0x04;  // unblocked by the shared PUK
  static constexpr u8 kDeactivated = 0x08;   // by a terminal with the right to manage PINs
  static constexpr u8 kIssuerResets = 0x10;  // the issuer's session may give it a new transport value

  u8 flags = 0;
  u8 tries = 0;
  u8 max_tries = 0;
  u8 puk_tries = 0;
  u8 max_puk_tries = 0;
  u8 value[16] = {};
  u8 puk[8] = {};

  ~Secret() {
    wipe(value);
    wipe(puk);
  }
  bool is_set() const { return (flags & kSet) != 0; }
  bool is_transport() const { return (flags & kTransport) != 0; }
  bool is_deactivated() const { return (flags & kDeactivated) != 0; }
};

class Secrets {
 public:
  static constexpr std::size_t kRecordBytes = 30;
  static constexpr std::size_t kPerPage = kPayloadBytes / kRecordBytes;  // 8

  explicit Secrets(NvmJournal& journal) : journal_(journal) {}

  // Inside a transaction with room for 2 pages: no reference data at all.
  Sw format();
  // 6581 when the record's page is lost or corrupt: then it cannot be used at all.
  Sw load(u8 index, Secret& out);
  // Inside a transaction.
  Sw store(u8 index, const Secret& secret);

  // VERIFY: compares `candidate` (8 octets) with a PIN. 9000, 63Cx with the tries left, 6983 when there are none,
  // 6984 for a transport or deactivated PIN, 6A88 when it is not set. Every comparison costs a try until it succeeds.
  Sw verify(u8 index, ByteView candidate);
  // CHANGE REFERENCE DATA: compares the old value as verify() does, then sets the new one and all tries at once.
  Sw change(u8 index, ByteView old_value, ByteView new_value);
  // RESET RETRY COUNTER: compares the first eight digits of the unblocking code, then sets the new value and all tries.
  Sw unblock(u8 index, ByteView puk, ByteView new_value);

  // PACE's way, where the password itself is never sent. The digits without padding; `out` holds sizeof Secret::value.
  Sw password(u8 index, ByteSpan out, std::size_t& length);
  // Takes a try before the tokens are compared; 6983 when there is none left. `left` are those that remain.
  Sw begin_try(u8 index, u8& left, bool& transport);
  // The CAN: counts a failure before the tokens are compared. `before`: failures in a row so far.
  Sw count_failure(u8 index, u8& before);
  // The tokens were equal, or the PUK or a terminal unblocks: all tries, or no failures.
  Sw restore_tries(u8 index);

  // A new value without an old one, for who has shown the right by other means; all tries, no longer a transport PIN.
  Sw replace(u8 index, ByteView new_value);
  Sw set_deactivated(u8 index, bool on);

 private:
  enum class Counter : u8 { pin, puk };
  Sw load_set(u8 index, Secret& out);
  Sw spend_try(u8 index, Secret& secret, Counter counter);
  Sw save(u8 index, const Secret& secret);

  NvmJournal& journal_;
};

}  // namespace karta::os
