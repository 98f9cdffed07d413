// What the card believes about terminals: the country-verifying authorities it knows, at most two of a terminal type,
// and the date it can be sure of (BSI TR-03110-3 section 2.5). Both are durable and change inside transactions only.
//
// An anchor past its date stays: it verifies link certificates, nothing else; that is judged by the date at each use,
// so that a date that moves enables and disables anchors in the same write.
#pragma once

#include "firmware-sim/os/cv_certificate.h"
#include "firmware-sim/os/nvm_journal.h"

namespace karta::os {

// A public key with what its certificate says about its holder.
struct CertifiedKey {
  TerminalType type = TerminalType::none;
  CertificateRole role = CertificateRole::terminal;
  Curve curve = Curve::p256;
  u8 algorithm = 0;  // with which it signs: last arc of TA-ECDSA-SHA-...
  u8 holder_bytes = 0;
  u8 holder[kMaxHolderBytes] = {};
  u64 rights = 0;         // of an imported key: those of the chain so far
  u16 sector_rights = 0;  // the same, of its sector
  u8 expires[kDateBytes] = {};
  u8 point[kMaxCertifiedPointBytes] = {};

  ByteView reference() const { return {holder, holder_bytes}; }
  ByteView public_point() const { return {point, point_bytes(curve)}; }
};

class TrustAnchors {
 public:
  static constexpr u8 kPerType = 2;
  static constexpr std::size_t kStorePages = 2;  // what store() and set_date() touch together

  explicit TrustAnchors(NvmJournal& journal) : journal_(journal) {}

  // Anchor `age` of a type, 0 the newest. 6A88 when there is none.
  Sw load(TerminalType type, u8 age, CertifiedKey& out);
  // By reference. 6A88 when there is none.
  Sw find(TerminalType type, ByteView holder, CertifiedKey& out);
  // True when any type has an anchor of that name.
  bool knows(ByteView holder);
  // Inside a transaction: takes the place of the older one where the type has two.
  Sw store(const CertifiedKey& anchor);

  // The card's date; 000000 while it knows none.
  Sw date(ByteSpan out);
  // Inside a transaction.
  Sw set_date(ByteView date);

  // Anchors and date of another epoch are as good as not there: wiping a card counts it up in the root page.
  u16 epoch = 0;

 private:
  struct Place {
    bool taken = false;
    u16 order = 0;
  };
  Sw place(TerminalType type, u8 index, Place& out);
  Sw load_at(TerminalType type, u8 index, CertifiedKey& out);

  NvmJournal& journal_;
};

}  // namespace karta::os
