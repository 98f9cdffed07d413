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

// One record. A PIN has value and puk of 8 octets, the shared PUK a value of 10 digits and no puk.
struct Secret {
  static constexpr u8 kSet = 0x01;
  static constexpr u8 kTransport = 0x02;     // good for nothing but being changed
  static constexpr u8 kHasSharedPuk = 0x04;  // unblocked by the shared PUK

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
  // 6984 for a transport PIN, 6A88 when it is not set. Every comparison costs a try until it succeeds.
  Sw verify(u8 index, ByteView candidate);
  // CHANGE REFERENCE DATA: compares the old value as verify() does, then sets the new one and all tries at once.
  Sw change(u8 index, ByteView old_value, ByteView new_value);
  // RESET RETRY COUNTER: compares the first eight digits of the unblocking code, then sets the new value and all tries.
  Sw unblock(u8 index, ByteView puk, ByteView new_value);

 private:
  enum class Counter : u8 { pin, puk };
  Sw spend_try(u8 index, Secret& secret, Counter counter);
  Sw save(u8 index, const Secret& secret);

  NvmJournal& journal_;
};

}  // namespace karta::os
