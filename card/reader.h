// Readers and the cards in them, whatever they are made of: PC/SC, a simulator in the same process, a recording.
//
// A ReaderList names readers and connects to the card in one. A CardConnection is a powered card: command octets in,
// response octets out, transactions that keep other programs away. None of them knows what the octets mean.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace karta::card {

class CardConnection {
 public:
  virtual ~CardConnection() = default;

  /// Sends one command APDU and returns the whole response APDU, status word included (at least two octets).
  /// Fails: `card_removed`, `card_unresponsive` (no answer in time, or none one can read), `card_busy`, `no_pcscd`.
  virtual Result<Bytes> transmit(ByteView command) = 0;

  /// The same for a command with a secret in it; those that record must not. By default transmit().
  virtual Result<Bytes> transmit_sensitive(ByteView command) { return transmit(command); }

  /// Answer to reset; valid until the connection is reset or goes.
  virtual ByteView atr() const = 0;

  /// What the reader's PIN pad takes upon itself; nothing where it has none. The reader is asked once, not the card.
  struct PinPad {
    bool verify = false;  ///< a PIN to be presented
    bool modify = false;  ///< an old and a new one
  };
  virtual PinPad pin_pad() { return {}; }
  /// Has the holder type at the reader: `structure` as verify_structure() or change_structure() of pin_pad.h make it.
  /// Returns the status word, the card's or the pad's own. Waits as long as people need. Fails with `unsupported`
  /// where the reader has no pad for it, `cancelled`, and as transmit() does.
  enum class PadEntry : std::uint8_t { verify, modify };
  virtual Result<Bytes> enter_pin(PadEntry entry, ByteView structure) {
    (void)entry, (void)structure;
    return fail(ErrorKind::unsupported, "this reader has no PIN pad");
  }

  /// Warm reset: selections and verified PINs are gone.
  virtual Status reset() = 0;

  /// Begin and end exclusive use among all programs. Calls nest; only the outermost pair counts.
  /// begin() reconnects by itself where another program has reset the card: look at session() afterwards.
  virtual Status begin() = 0;
  virtual void end() = 0;

  /// Some connections keep the outermost transaction a moment longer for the next one (PcscOptions::keep_transaction).
  /// This ends it now; within a transaction it does nothing.
  virtual void let_go() {}

  /// Number of the transaction under way, never the same twice on one connection; 0: none. While it stays the same,
  /// nobody else has had the card.
  virtual std::uint64_t transaction() const = 0;

  /// Changes whenever the card may have lost its selections and verified PINs (reset, by whomever).
  virtual unsigned session() const = 0;

  /// For messages; aliases this object.
  virtual std::string_view reader_name() const = 0;
};

/// Exclusive use of a card for the life of this object.
class Transaction {
 public:
  static Result<Transaction> begin(CardConnection& connection);
  Transaction(Transaction&& other) noexcept : connection_(other.connection_) { other.connection_ = nullptr; }
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

 private:
  explicit Transaction(CardConnection& connection) : connection_(&connection) {}
  CardConnection* connection_;
};

struct ReaderInfo {
  std::string name;
  bool card_present = false;
  bool mute = false;       ///< a card is in, but does not answer to reset
  bool exclusive = false;  ///< another program holds the card for itself
  bool in_use = false;     ///< another program shares the card
  Bytes atr;               ///< empty where there is no answering card
};

class ReaderList {
 public:
  virtual ~ReaderList() = default;

  /// All readers, in the system's order. No reader is no error: an empty list.
  virtual Result<std::vector<ReaderInfo>> list() = 0;

  /// The card in the reader called `name`. Fails: `no_reader`, `no_card`, `card_busy`, `card_unresponsive`.
  virtual Result<std::unique_ptr<CardConnection>> connect(std::string_view name) = 0;
};

/// The reader meant by `wanted`: a name, part of one, or a number from 0. Where a part fits several, the only one of
/// them with a card. Empty: the only reader with a card in it. Fails with `no_reader`, `no_card` or `usage` (several
/// fit: the message names them).
Result<std::string> choose_reader(const std::vector<ReaderInfo>& readers, std::string_view wanted);

}  // namespace karta::card
