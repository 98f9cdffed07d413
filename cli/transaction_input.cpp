#include "cli/transaction_input.h"

#include <CLI/CLI.hpp>

#include "base/file.h"
#include "card/hsm_transaction_keys.h"
#include "card/key_set_file.h"
#include "card/security_module.h"
#include "cli/card_session.h"
#include "cli/secret_input.h"
#include "crypto/pkcs11_key.h"

namespace karta::cli {
namespace {

constexpr std::size_t kMostFile = 64 * 1024;

}  // namespace

void add_transaction_options(CLI::App& command, TransactionInput& input) {
  auto* const module =
      command.add_option("--sam", input.module_reader, "reader with the security module: name or number");
  auto* const masters = command.add_option("--masters", input.masters, "sealed file of masters (tests, small centres)");
  auto* const hsm = command.add_option("--hsm", input.hsm, "PKCS #11 URI of the token that holds the masters");
  module->excludes(masters)->excludes(hsm);
  masters->excludes(hsm);
  command
      .add_option("--keys-fd", input.descriptor,
                  "read the module's or token's PIN, or the file's passphrase, from this file descriptor, one line")
      ->type_name("N");
}

Result<OpenedTransactionKeys> open_transaction_keys(const TransactionInput& input, std::string_view application,
                                                    RandomSource& random) {
  OpenedTransactionKeys opened;
  const auto secret_input = make_secret_input(input.descriptor, "");
  if (!input.module_reader.empty()) {
    opened.module = TRY(connect_card(input.module_reader));
    opened.channel = std::make_unique<card::PlainChannel>(*opened.module);
    const SecretBytes pin = TRY(secret_input->ask({"The security module.", "its PIN (6 to 8 digits)", "", false}));
    opened.keys = TRY(card::open_security_module(*opened.channel, application, pin));
    return opened;
  }
  if (!input.hsm.empty()) {
    const crypto::Pkcs11Uri uri = TRY(crypto::Pkcs11Uri::parse(input.hsm));
    const SecretBytes pin = TRY(secret_input->ask({"The token that holds the masters.", "its PIN", "", false}));
    opened.keys = TRY(card::HsmTransactionKeys::open(uri, application, pin, random));
    return opened;
  }
  if (input.masters.empty()) {
    return fail(ErrorKind::usage, "no transaction keys are named", "--sam READER, --hsm URI or --masters FILE");
  }
  const Bytes pem = TRY(read_file(input.masters, kMostFile));
  const SecretBytes passphrase = TRY(secret_input->ask({"The file of masters.", "its passphrase", "", false}));
  card::TransactionMasters all = TRY(card::open_transaction_masters(as_text(pem), passphrase));
  const auto found = all.find(application);
  if (found == all.end()) {
    return fail(ErrorKind::not_found,
                "\"" + input.masters + "\" holds no masters of \"" + std::string(application) + "\"");
  }
  opened.keys = std::make_unique<card::MasterTransactionKeys>(std::move(found->second), random);
  return opened;
}

}  // namespace karta::cli
