#include "card/transaction_keys.h"

#include <algorithm>

#include "base/be32.h"

namespace karta::card {
namespace {

constexpr std::uint8_t kDiversify[] = {'K', 'T', 'X', 'D'}, kEncrypt[] = {'K', 'T', 'X', 'E'},
                       kChecksum[] = {'K', 'T', 'X', 'M'}, kSettle[] = {'K', 'T', 'X', 'S'};
// What a checksum under K_mac is for.
constexpr std::uint8_t kOfOpen = 0x01, kOfCommit = 0x02, kOfReceipt = 0x03, kOfRatification = 0x04;
constexpr StatusWord kSwVerificationFailed{0x6300};

std::uint8_t octet(LedgerKey kind) { return static_cast<std::uint8_t>(kind); }

tl::unexpected<Error> out_of_order() {
  return fail(ErrorKind::internal, "the transaction's keys are asked out of order");
}

tl::unexpected<Error> no_master(LedgerKey kind) {
  return fail(ErrorKind::not_found, "this terminal has no " + std::string(name_of(kind)) + " key",
              "its security module or key file is for other work");
}

tl::unexpected<Error> stranger() {
  return fail(ErrorKind::card_insecure, "the card does not have the key of its ledger",
              "a card of another operator, or a copy: take nothing off it and let nobody pass");
}

tl::unexpected<Error> false_receipt() {
  return fail(ErrorKind::card_insecure, "the receipt is not the card's",
              "somebody stands between card and terminal: do not let the holder pass, the commit stays pending");
}

}  // namespace

std::string_view name_of(LedgerKey kind) {
  constexpr std::string_view kNames[] = {"debit", "credit", "settlement"};
  return kNames[static_cast<std::size_t>(kind) - 1];
}

SecretBytes ledger_kdf(const SecretBytes& key, ByteView input) {
  SecretBytes out(key.size());
  const MutableByteView octets = out.expose_secret_mutable();
  for (std::uint8_t block = 1; (block - 1u) * crypto::kAesBlock < octets.size(); ++block) {
    crypto::AesBlock part = crypto::aes_cmac(key, {ByteView(&block, 1), input});
    const std::size_t at = (block - 1u) * crypto::kAesBlock;
    std::copy_n(part.begin(), std::min(part.size(), octets.size() - at), octets.begin() + static_cast<long>(at));
    wipe(part);
  }
  return out;
}

Bytes ledger_diversification(LedgerKey kind, ByteView serial) {
  return concat({kDiversify, Bytes{octet(kind)}, serial});
}

SecretBytes diversify_ledger_key(const SecretBytes& master, LedgerKey kind, ByteView serial) {
  return ledger_kdf(master, ledger_diversification(kind, serial));
}

Bytes settlement_code(const SecretBytes& settlement_key, LedgerKey kind, ByteView serial, std::uint32_t sequence,
                      ByteView counters, ByteView entry) {
  Bytes number;
  append_be32(number, sequence);
  const std::uint8_t which = octet(kind);
  const auto code = crypto::aes_cmac(settlement_key, {kSettle, ByteView(&which, 1), serial, number, counters, entry});
  return to_bytes(ByteView(code).first(kSettlementCodeOctets));
}

// LedgerCryptogram -------------------------------------------------------------------------------

LedgerCryptogram::LedgerCryptogram(SecretBytes key, LedgerKey kind, ByteView serial, Bytes nonce)
    : key_(std::move(key)), nonce_(std::move(nonce)), serial_(to_bytes(serial)), kind_(kind) {}

Bytes LedgerCryptogram::checksum(std::uint8_t step, std::initializer_list<ByteView> parts) const {
  Bytes message{step};
  for (const ByteView part : parts) append(message, part);
  const auto mac = crypto::aes_cmac(mac_key_, {message});
  return to_bytes(ByteView(mac).first(kTransactionMacOctets));
}

Result<Bytes> LedgerCryptogram::check(const LedgerShape& shape, ByteView answer) {
  if (key_.empty()) return out_of_order();
  const SecretBytes key = std::move(key_);
  constexpr std::size_t kAround = kTransactionNonceOctets + kTransactionMacOctets;
  if (answer.size() <= kAround || (answer.size() - kAround) % crypto::kAesBlock != 0) {
    return fail(ErrorKind::card_unresponsive, "an answer to OPEN of " + std::to_string(answer.size()) + " octets");
  }
  const ByteView card_nonce = answer.first(kTransactionNonceOctets), mac = answer.last(kTransactionMacOctets);
  const ByteView cryptogram = answer.subspan(kTransactionNonceOctets, answer.size() - kAround);
  base_ = concat({Bytes{octet(kind_)}, nonce_, card_nonce, serial_});
  mac_key_ = ledger_kdf(key, concat({kChecksum, base_}));
  if (!equal_constant_time(checksum(kOfOpen, {base_, cryptogram}), mac)) {
    mac_key_ = SecretBytes();
    return stranger();
  }
  const SecretBytes encryption_key = ledger_kdf(key, concat({kEncrypt, base_}));
  Bytes plain = crypto::aes_cbc_decrypt(encryption_key, {}, cryptogram);
  plain.resize(TRY(crypto::unpadded_iso9797(plain)));
  shape_ = shape;
  card_mac_ = to_bytes(mac);
  return plain;
}

Result<Bytes> LedgerCryptogram::authorise(ByteView counters_and_entry) {
  if (mac_key_.empty() || !terminal_mac_.empty()) return out_of_order();
  if (counters_and_entry.size() != shape_.counter_octets() + shape_.entry_octets) {
    return fail(ErrorKind::usage, "counters and entry of another length than the ledger's");
  }
  terminal_mac_ = checksum(kOfCommit, {card_mac_, counters_and_entry});
  return terminal_mac_;
}

Result<Bytes> LedgerCryptogram::confirm(ByteView answer) {
  if (mac_key_.empty() || terminal_mac_.empty()) return out_of_order();
  if (answer.size() != kCommitAnswerOctets) {
    return fail(ErrorKind::card_unresponsive, "an answer to COMMIT of " + std::to_string(answer.size()) + " octets");
  }
  const ByteView receipt = answer.last(kTransactionMacOctets);
  const bool good = equal_constant_time(
      checksum(kOfReceipt, {terminal_mac_, answer.first(answer.size() - kTransactionMacOctets)}), receipt);
  Bytes ratification = good ? checksum(kOfRatification, {receipt}) : Bytes();
  mac_key_ = SecretBytes();
  if (!good) return false_receipt();
  return ratification;
}

// DerivingTransactionKeys ------------------------------------------------------------------------

Result<Bytes> DerivingTransactionKeys::prepare(LedgerKey kind, ByteView serial) {
  session_.reset();
  SecretBytes key = TRY(derive(kind, serial));
  session_ = std::make_unique<LedgerCryptogram>(std::move(key), kind, serial, random_.bytes(kTransactionNonceOctets));
  return session_->nonce();
}

Result<Bytes> DerivingTransactionKeys::check(const LedgerShape& shape, ByteView answer) {
  if (!session_) return out_of_order();
  auto plain = session_->check(shape, answer);
  if (!plain) session_.reset();
  return plain;
}

Result<Bytes> DerivingTransactionKeys::authorise(ByteView counters_and_entry) {
  if (!session_) return out_of_order();
  return session_->authorise(counters_and_entry);
}

Result<Bytes> DerivingTransactionKeys::confirm(ByteView answer) {
  if (!session_) return out_of_order();
  auto ratification = session_->confirm(answer);
  session_.reset();
  return ratification;
}

Result<Bytes> TransactionKeys::settlement_code(LedgerKey, ByteView, std::uint32_t, ByteView, ByteView) {
  return fail(ErrorKind::unsupported, "these are no back office's keys");
}

Result<Bytes> DerivingTransactionKeys::settlement_code(LedgerKey kind, ByteView serial, std::uint32_t sequence,
                                                       ByteView counters, ByteView entry) {
  session_.reset();
  const SecretBytes key = TRY(derive(LedgerKey::settlement, serial));
  return karta::card::settlement_code(key, kind, serial, sequence, counters, entry);
}

Result<SecretBytes> MasterTransactionKeys::derive(LedgerKey kind, ByteView serial) {
  const auto master = masters_.find(kind);
  if (master == masters_.end()) return no_master(kind);
  return diversify_ledger_key(master->second, kind, serial);
}

// SamTransactionKeys -----------------------------------------------------------------------------

// 80 52 kind file serial
Result<Bytes> SamTransactionKeys::prepare(LedgerKey kind, ByteView serial) {
  const auto file = files_.find(kind);
  if (file == files_.end()) return no_master(kind);
  Bytes nonce = TRY(module_.run(
      {0x80, 0x52, octet(kind), static_cast<std::uint8_t>(file->second & 0xFF), to_bytes(serial), kShortResponse},
      "begin a transaction in the security module"));
  if (nonce.size() != kTransactionNonceOctets) {
    return fail(ErrorKind::card_unresponsive, "the security module's nonce is not 16 octets");
  }
  return nonce;
}

// 80 54 counters entry-octets answer
Result<Bytes> SamTransactionKeys::check(const LedgerShape& shape, ByteView answer) {
  const ResponseApdu response =
      TRY(module_.transmit({0x80, 0x54, static_cast<std::uint8_t>(shape.counters),
                            static_cast<std::uint8_t>(shape.entry_octets), to_bytes(answer), kShortResponse}));
  if (response.status == kSwVerificationFailed) return stranger();
  if (!response.status.ok()) return fail(error_of(response.status, "have the security module check the card"));
  return response.data;
}

// 80 56 00 00 counters entry
Result<Bytes> SamTransactionKeys::authorise(ByteView counters_and_entry) {
  return module_.run({0x80, 0x56, 0x00, 0x00, to_bytes(counters_and_entry), kShortResponse},
                     "have the security module authorise the commit");
}

// 80 5A 03 file kind serial sequence counters entry
Result<Bytes> SamTransactionKeys::settlement_code(LedgerKey kind, ByteView serial, std::uint32_t sequence,
                                                  ByteView counters, ByteView entry) {
  const auto file = files_.find(LedgerKey::settlement);
  if (file == files_.end()) return no_master(LedgerKey::settlement);
  Bytes data{octet(kind)};
  append(data, serial);
  append_be32(data, sequence);
  append(data, counters);
  append(data, entry);
  Bytes code = TRY(module_.run({0x80, 0x5A, octet(LedgerKey::settlement),
                                static_cast<std::uint8_t>(file->second & 0xFF), std::move(data), kShortResponse},
                               "have the security module compute a settlement code"));
  if (code.size() != kSettlementCodeOctets) {
    return fail(ErrorKind::card_unresponsive, "the security module's settlement code is not 8 octets");
  }
  return code;
}

// 80 58 00 00 answer
Result<Bytes> SamTransactionKeys::confirm(ByteView answer) {
  const ResponseApdu response = TRY(module_.transmit({0x80, 0x58, 0x00, 0x00, to_bytes(answer), kShortResponse}));
  if (response.status == kSwVerificationFailed) return false_receipt();
  if (!response.status.ok()) return fail(error_of(response.status, "have the security module check the receipt"));
  return response.data;
}

}  // namespace karta::card
