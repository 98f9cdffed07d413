// Key sets of SCP03: those of the card manager and those of each domain, with their sequence counters.
//
// An owner is kNoSlot for the issuer or the slot of a domain's DF. A domain is a DF with a page of its own: there its
// key sets lie, where no command reads. The issuer's have a logical page of their own. One page holds two sets, so that
// every change is one page and therefore whole or not at all.
#pragma once

#include "firmware-sim/os/files.h"
#include "firmware-sim/os/hal.h"

namespace karta::os {

constexpr u8 kIssuer = kNoSlot;
constexpr u16 kIssuerPage = 24;
constexpr std::size_t kKeysInSet = 3;  // ENC, MAC, DEK
constexpr u32 kSequenceEnd = 0xFFFFFF;

struct KeySet {
  u8 version = 0;  // 01 to 7F; 0: there is none
  u8 key_bytes = 0;
  bool initial = false;  // a blank card's: everybody knows it
  u32 sequence = 0;      // INITIALIZE UPDATEs so far
  u8 keys[kKeysInSet][kMaxAesKeyBytes] = {};

  ~KeySet() {
    for (auto& key : keys) wipe(key);
  }
  ByteView enc() const { return {keys[0], key_bytes}; }
  ByteView mac() const { return {keys[1], key_bytes}; }
  ByteView dek() const { return {keys[2], key_bytes}; }
};

class KeySets {
 public:
  static constexpr u8 kPerOwner = 2;
  static constexpr std::size_t kMaxNumberBytes = 10;

  KeySets(NvmJournal& journal, Files& files) : journal_(journal), files_(files) {}

  // Inside a transaction with room for a page: the issuer's page with the first set, 01, of a blank card.
  Sw format_issuer();
  bool has_issuer() const { return journal_.exists(kIssuerPage); }
  // Inside a transaction: the page of a domain just created, without keys.
  Sw format_domain(File& df);

  // Place `index`, 0 or 1.
  Sw load(u8 owner, u8 index, KeySet& out);
  // Inside a transaction with room for a page.
  Sw store(u8 owner, u8 index, const KeySet& set);
  // The set of this version, or with version 0 the first there is. 6A88 when there is none.
  Sw find(u8 owner, u8 version, KeySet& out, u8& index);
  // Issuer number (IIN, object 0) and card number (CIN, object 1), up to ten octets; empty while not stored.
  Sw load_number(u8 object, u8 (&out)[kMaxNumberBytes], std::size_t& length);
  Sw store_number(u8 object, ByteView value);

  // The owner of a file: the domain at or above it, else the issuer.
  Sw owner_of(u8 slot, u8& owner);
  static bool is_domain(const File& file) { return file.is_df() && file.pages != 0; }

 private:
  Sw page_of(u8 owner, u16& page);

  NvmJournal& journal_;
  Files& files_;
};

}  // namespace karta::os
