// TransactionInput: where a terminal's transaction keys come from: a security module in a second reader, an HSM, or the
// centre's sealed file; and how its secret is read.
#pragma once

#include <memory>
#include <string>

#include "base/random.h"
#include "card/reader.h"
#include "card/transaction_keys.h"
#include "cli/program.h"

namespace karta::cli {

struct TransactionInput {
  std::string module_reader;  ///< --sam
  std::string masters;        ///< --masters: a file of "KARTA ENCRYPTED TRANSACTION MASTERS"
  std::string hsm;            ///< --hsm: a PKCS #11 URI of the token
  int descriptor = -1;        ///< --keys-fd: module's PIN, token's PIN or passphrase
};
void add_transaction_options(CLI::App& command, TransactionInput& input);

/// Keys for `application`'s ledgers, unlocked, with what they stand on.
struct OpenedTransactionKeys {
  std::unique_ptr<card::CardConnection> module;
  std::unique_ptr<card::Channel> channel;
  std::unique_ptr<card::TransactionKeys> keys;
};
Result<OpenedTransactionKeys> open_transaction_keys(const TransactionInput& input, std::string_view application,
                                                    RandomSource& random);

}  // namespace karta::cli
