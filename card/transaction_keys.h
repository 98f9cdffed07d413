// TransactionKeys: the terminal's half of a transaction's cryptography, wherever its master keys lie: a security module
// (SAM) in a second reader, an HSM behind PKCS #11, a sealed file.
//
// docs/transactions.md. One session at a time: prepare() begins it and ends one before, confirm() or a failure ends it.
// What leaves the keys' place:
//   SAM    nothing but nonces and checksums; masters and card keys stay inside
//   HSM    the key of the one ledger it is asked for (CKM_AES_CMAC makes it), into this process; the master never
//   file   the masters themselves are in this process once the file is open: for tests and small centres
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/random.h"
#include "base/secret.h"
#include "card/channel.h"
#include "crypto/aes.h"

namespace karta::card {

/// Which of a ledger's keys; the value is the octet derivations and commands carry.
enum class LedgerKey : std::uint8_t { debit = 0x01, credit = 0x02, settlement = 0x03 };
/// "debit", "credit", "settlement"
std::string_view name_of(LedgerKey kind);

/// How many counters a ledger has, and how long its entries are.
struct LedgerShape {
  std::size_t counters = 0;
  std::size_t entry_octets = 0;
  std::size_t counter_octets() const { return counters * 4; }
  friend bool operator==(const LedgerShape&, const LedgerShape&) = default;
};

inline constexpr std::size_t kLedgerSerialOctets = 8, kTransactionNonceOctets = 16, kTransactionMacOctets = 8,
                             kSettlementCodeOctets = 8;
/// COMMIT's answer: sequence, settlement code, receipt.
inline constexpr std::size_t kCommitAnswerOctets = 4 + kSettlementCodeOctets + kTransactionMacOctets;

/// AES-CMAC(key; 01 || input), for a key of 32 octets with AES-CMAC(key; 02 || input) behind it.
SecretBytes ledger_kdf(const SecretBytes& key, ByteView input);
/// The key of one ledger: KDF(master; "KTXD" || kind || serial), as long as the master (16 or 32 octets).
SecretBytes diversify_ledger_key(const SecretBytes& master, LedgerKey kind, ByteView serial);
/// What that derivation is over: "KTXD" || kind || serial.
Bytes ledger_diversification(LedgerKey kind, ByteView serial);
/// First eight octets of CMAC(settlement key; "KTXS" || kind || serial || sequence || new counters || new entry).
Bytes settlement_code(const SecretBytes& settlement_key, LedgerKey kind, ByteView serial, std::uint32_t sequence,
                      ByteView counters, ByteView entry);

class TransactionKeys {
 public:
  virtual ~TransactionKeys() = default;

  /// The nonce for OPEN. Fails with `not_found` where there is no master for `kind`.
  virtual Result<Bytes> prepare(LedgerKey kind, ByteView serial) = 0;
  /// OPEN's answer: nonce (16) || C || MAC (8). Returns the plain of C without its padding. Fails with `card_insecure`
  /// on a wrong checksum: a card without the key, or somebody in between.
  virtual Result<Bytes> check(const LedgerShape& shape, ByteView answer) = 0;
  /// The checksum for COMMIT; once a session.
  virtual Result<Bytes> authorise(ByteView counters_and_entry) = 0;
  /// COMMIT's answer. Returns the checksum for RATIFY. Fails with `card_insecure` on a wrong receipt.
  virtual Result<Bytes> confirm(ByteView answer) = 0;

  /// The back office's: the settlement code of a commit of `kind`, as the card made it of the sequence and the octets
  /// that stood on it afterwards. Needs no session and ends one. Fails with `not_found` where there is no settlement
  /// master, `unsupported` where these keys are not a back office's.
  virtual Result<Bytes> settlement_code(LedgerKey kind, ByteView serial, std::uint32_t sequence, ByteView counters,
                                        ByteView entry);
};

/// The session's cryptography over a ledger's key that is at hand. One row of the table above does not use it: the SAM.
class LedgerCryptogram {
 public:
  /// `key` of the ledger with `serial`; `nonce` is the terminal's.
  LedgerCryptogram(SecretBytes key, LedgerKey kind, ByteView serial, Bytes nonce);
  LedgerCryptogram(LedgerCryptogram&&) noexcept = default;
  LedgerCryptogram& operator=(LedgerCryptogram&&) noexcept = default;

  const Bytes& nonce() const { return nonce_; }
  Result<Bytes> check(const LedgerShape& shape, ByteView answer);
  Result<Bytes> authorise(ByteView counters_and_entry);
  Result<Bytes> confirm(ByteView answer);

 private:
  Bytes checksum(std::uint8_t step, std::initializer_list<ByteView> parts) const;

  SecretBytes key_, mac_key_;
  Bytes base_, nonce_, serial_;
  LedgerShape shape_;
  Bytes card_mac_, terminal_mac_;
  LedgerKey kind_;
};

/// Those that derive a ledger's key and compute in this process.
class DerivingTransactionKeys : public TransactionKeys {
 public:
  explicit DerivingTransactionKeys(RandomSource& random) : random_(random) {}
  Result<Bytes> prepare(LedgerKey kind, ByteView serial) override;
  Result<Bytes> check(const LedgerShape& shape, ByteView answer) override;
  Result<Bytes> authorise(ByteView counters_and_entry) override;
  Result<Bytes> confirm(ByteView answer) override;
  Result<Bytes> settlement_code(LedgerKey kind, ByteView serial, std::uint32_t sequence, ByteView counters,
                                ByteView entry) override;

 private:
  virtual Result<SecretBytes> derive(LedgerKey kind, ByteView serial) = 0;

  RandomSource& random_;
  std::unique_ptr<LedgerCryptogram> session_;
};

/// Masters of one application, each 16 or 32 octets.
using LedgerMasters = std::map<LedgerKey, SecretBytes>;

/// Masters in this process.
class MasterTransactionKeys final : public DerivingTransactionKeys {
 public:
  MasterTransactionKeys(LedgerMasters masters, RandomSource& random)
      : DerivingTransactionKeys(random), masters_(std::move(masters)) {}

 private:
  Result<SecretBytes> derive(LedgerKey kind, ByteView serial) override;
  LedgerMasters masters_;
};

/// A security module behind a channel of its own, unlocked (card/security_module.h); its commands are those of
/// docs/transactions.md.
class SamTransactionKeys final : public TransactionKeys {
 public:
  /// `module` must outlive it; the DF of the masters is selected. `files` names the master file for each kind.
  SamTransactionKeys(Channel& module, std::map<LedgerKey, std::uint16_t> files)
      : module_(module), files_(std::move(files)) {}
  Result<Bytes> prepare(LedgerKey kind, ByteView serial) override;
  Result<Bytes> check(const LedgerShape& shape, ByteView answer) override;
  Result<Bytes> authorise(ByteView counters_and_entry) override;
  Result<Bytes> confirm(ByteView answer) override;
  Result<Bytes> settlement_code(LedgerKey kind, ByteView serial, std::uint32_t sequence, ByteView counters,
                                ByteView entry) override;

 private:
  Channel& module_;
  std::map<LedgerKey, std::uint16_t> files_;
};

}  // namespace karta::card
