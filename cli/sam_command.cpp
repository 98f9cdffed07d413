// karta sam: security modules: cards that hold master keys and compute a terminal's side of transactions.
#include <CLI/CLI.hpp>

#include "card/security_module.h"
#include "cli/card_session.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/secret_input.h"
#include "issuing/centre.h"

namespace karta::cli {
namespace {

struct Arguments {
  std::string folder, reader, role;
  SecretOptions passphrase;
  int pin_descriptor = -1;
};

Result<const card::ModuleRole*> role_of(const std::string& name) {
  if (const card::ModuleRole* const role = card::find_module_role(name)) return role;
  std::string names;
  for (const card::ModuleRole& role : card::module_roles()) {
    names += (names.empty() ? "" : ", ") + std::string(role.name);
  }
  return fail(ErrorKind::usage, "\"" + name + "\" is no work for a security module", "one of: " + names);
}

Result<int> run_make(const Arguments& given) {
  const card::ModuleRole& role = *TRY(role_of(given.role));
  const SystemClock clock;
  SystemRandom random;
  const auto centre = TRY(issuing::Centre::open(given.folder, clock, random));
  const auto input = make_secret_input(given.passphrase.descriptor, given.passphrase.program);
  const SecretBytes passphrase =
      TRY(input->ask({"To take the masters out of the centre:", "passphrase of the issuing centre", "", false}));
  const card::TransactionMasters masters = TRY(centre.unlock_transaction_masters(passphrase));
  const SecretBytes card_master = TRY(centre.unlock_card_master(passphrase));
  const auto pin_input = make_secret_input(given.pin_descriptor, "");
  const SecretBytes pin =
      TRY(pin_input->ask({"The module's PIN opens it after power-on.", "PIN (6 to 8 digits)", "", true}));

  card::PcscOptions options;
  options.exclusive = true;
  const auto connection = TRY(connect_card(given.reader, options));
  const auto alone = TRY(card::Transaction::begin(*connection));
  card::PlainChannel plain(*connection);
  TRY(card::check_module_blank(plain));
  const card::CardManagerProfile manager;
  card::IssuerChannelRequest request;
  request.profile = &manager;
  request.master = &card_master;
  request.take_blank = true;
  const auto issuer = TRY(card::open_issuer_channel(plain, request, random));
  TRY(card::make_security_module(*issuer, role, masters, pin));
  say("card " + to_hex_upper(issuer->greeting().serial) + " is a security module now: " + std::string(role.words));
  return 0;
}

}  // namespace

void add_sam(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("sam", "Security modules: cards that hold a terminal's master keys");
  noun.require_subcommand(0, 1);
  auto given = std::make_shared<Arguments>();
  CLI::App& make = *noun.add_subcommand("make", "Make the blank card in the reader a security module");
  make.add_option("--role", given->role, "gate, ticket-office, pharmacy, clinic, settlement, issuing")->required();
  add_reader_option(make, given->reader);
  add_centre_option(make, given->folder);
  add_passphrase_options(make, given->passphrase);
  make.add_option("--pin-fd", given->pin_descriptor, "read the module's PIN from this file descriptor, one line")
      ->type_name("N");
  on_call(make, chosen, [given] { return run_make(*given); });
}

}  // namespace karta::cli
