// The cryptography of ledgers (docs/transactions.md), the same on the card that keeps one and in the security module
// that works for its terminal: keys derived from keys, checksums of eight octets, and the session between commands.
//
//   KDF(k; x) = AES-CMAC(k; 01 || x), and for a key of 256 bits || AES-CMAC(k; 02 || x)
#pragma once

#include "firmware-sim/os/hal.h"
#include "firmware-sim/os/status_word.h"
#include "firmware-sim/os/symmetric_keys.h"

namespace karta::os {

constexpr std::size_t kLedgerSerialBytes = 8;
constexpr std::size_t kLedgerNonceBytes = 16;
constexpr std::size_t kLedgerMacBytes = 8;
constexpr std::size_t kLedgerCodeBytes = 8;  // settlement code
constexpr std::size_t kCounterBytes = 4;
constexpr u8 kMaxCounters = 8;
constexpr u8 kMinEntryBytes = 8;
constexpr u8 kMaxEntryBytes = 40;

// What a key of a ledger is for; also who opens it.
enum class LedgerKind : u8 { debit = 1, credit = 2, settlement = 3 };

// First octet of what is authenticated under K_mac.
enum class LedgerStep : u8 { opening = 1, order = 2, receipt = 3, ratification = 4 };

// kind || nonce of the terminal || nonce of the card || serial: what the keys of a session are bound to.
constexpr std::size_t kLedgerBaseBytes = 1 + 2 * kLedgerNonceBytes + kLedgerSerialBytes;
void write_ledger_base(u8 kind, ByteView nonce_terminal, ByteView nonce_card, ByteView serial,
                       u8 (&base)[kLedgerBaseBytes]);

// K of the ledger `serial`, as long as the master.
Sw derive_ledger_key(Hal& hal, ByteView master, u8 kind, ByteView serial, SymmetricKey& out);
// K_enc and K_mac of a session, each as long as `key`.
Sw derive_session_keys(Hal& hal, ByteView key, const u8 (&base)[kLedgerBaseBytes], ByteSpan key_enc, ByteSpan key_mac);
// First eight octets of AES-CMAC(key; step || first || second).
Sw ledger_mac(Hal& hal, ByteView key, LedgerStep step, ByteView first, ByteView second, u8 (&out)[kLedgerMacBytes]);
// First eight octets of AES-CMAC(key; "KTXS" || kind || serial || `rest`): sequence, counters, entry.
Sw settlement_code(Hal& hal, ByteView key, u8 kind, ByteView serial, ByteView sequence, ByteView counters_and_entry,
                   ByteSpan out);

// Between the commands of a transaction. `step` says what has been done; whatever is not the command that goes on from
// there ends it. A card plays one side in one session.
struct LedgerSession {
  enum class Step : u8 {
    none,
    opened,      // ledger: OPEN
    committed,   // ledger: COMMIT
    prepared,    // security module: PREPARE
    checked,     // security module: CHECK
    authorised,  // security module: AUTHORISE
  };
  Step step = Step::none;
  u8 kind = 0;
  u8 ledger_slot = 0;  // ledger
  u8 key_bytes = 0;
  u8 key[kMaxAesKeyBytes] = {};        // K_mac; of a prepared session K
  u8 nonce[kLedgerNonceBytes] = {};    // prepared: the terminal's
  u8 serial[kLedgerSerialBytes] = {};  // prepared
  u8 order_bytes = 0;                  // checked: counters and entry
  // What the next checksum is over: the opening's MAC, then MAC_T (security module) or the receipt (ledger).
  u8 last[kLedgerMacBytes] = {};

  ~LedgerSession() { end(); }
  void end();
  ByteSpan key_span() { return {key, key_bytes}; }
  ByteView key_view() const { return {key, key_bytes}; }
  // True for the instruction (class 80) that goes on from here.
  bool continues_with(u8 instruction) const;
};

constexpr u8 kInsCommit = 0x34;
constexpr u8 kInsRatify = 0x36;
constexpr u8 kInsCheck = 0x54;
constexpr u8 kInsAuthorise = 0x56;
constexpr u8 kInsConfirm = 0x58;

}  // namespace karta::os
