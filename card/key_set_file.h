// KeySetFile: symmetric keys at rest: a key set, a master key or a half-done agreement, under a passphrase.
//
// PEM around what PKCS #8 (RFC 5958) uses for private keys: PBES2 with PBKDF2-HMAC-SHA-256 and AES-256-CBC, over a DER
// SEQUENCE. A wrong passphrase and a damaged file cannot be told apart.
#pragma once

#include <map>
#include <string>

#include "card/domain_keys.h"
#include "card/scp03.h"
#include "card/transaction_keys.h"

namespace karta::card {

/// The issuer's master key for diversify(): 32 octets.
inline constexpr std::size_t kMasterKeyOctets = 32;

/// "KARTA ENCRYPTED MASTER KEY". `iterations` of PBKDF2, as for private keys.
Result<std::string> seal_master_key(const SecretBytes& key, const SecretBytes& passphrase, std::uint32_t iterations,
                                    RandomSource& random);
/// Fails with `wrong_pin`, `malformed`.
Result<SecretBytes> open_master_key(std::string_view pem, const SecretBytes& passphrase);

/// "KARTA ENCRYPTED KEY SET": a domain's keys with its name and the card's serial number.
struct DomainKeyFile {
  Bytes aid, serial;
  Scp03KeySet keys;
};
Result<std::string> seal_domain_keys(const DomainKeyFile& file, const SecretBytes& passphrase, std::uint32_t iterations,
                                     RandomSource& random);
Result<DomainKeyFile> open_domain_keys(std::string_view pem, const SecretBytes& passphrase);

/// "KARTA ENCRYPTED TRANSACTION MASTERS": master keys of ledgers by application ("transit", "health", a department's).
using TransactionMasters = std::map<std::string, LedgerMasters, std::less<>>;
Result<std::string> seal_transaction_masters(const TransactionMasters& masters, const SecretBytes& passphrase,
                                             std::uint32_t iterations, RandomSource& random);
Result<TransactionMasters> open_transaction_masters(std::string_view pem, const SecretBytes& passphrase);
/// Fresh ones of every kind.
LedgerMasters generate_ledger_masters(std::size_t key_octets, RandomSource& random);

/// "KARTA ENCRYPTED DOMAIN OFFER": the department's half until the receipt comes.
Result<std::string> seal_domain_offer(const DomainOffer& offer, const SecretBytes& passphrase, std::uint32_t iterations,
                                      RandomSource& random);
Result<DomainOffer> open_domain_offer(std::string_view pem, const SecretBytes& passphrase);

}  // namespace karta::card
