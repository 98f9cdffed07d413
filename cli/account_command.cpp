// karta account: log-in accounts with one-time codes, made at a service counter: enrol, show, remove.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/file.h"
#include "base/random.h"
#include "cli/citizen_argument.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/operator.h"
#include "identity/login/accounts.h"
#include "identity/login/qr_code.h"
#include "identity/login/totp.h"
#include "identity/services/key.h"
#include "issuing/centre_config.h"

namespace karta::cli {
namespace {

using identity::Account;
using identity::Accounts;
using identity::CitizenId;

struct Arguments {
  std::string centre;
  std::string citizen;
  std::string login;
  std::string secret_file;
  std::string mail;
  std::string qr;
  std::string issuer = "karta";
  std::string why;
  bool json = false;
};

/// The registry brings the schema up to date; accounts have a connection of their own.
struct Opened {
  SystemClock clock;
  SystemRandom random;
  std::optional<identity::Registry> registry;
  std::optional<service::Database> database;
  std::optional<identity::LoginSecret> secret;
  std::optional<Accounts> accounts;
};

Result<std::unique_ptr<Opened>> open_accounts(const Arguments& given) {
  const issuing::CentreConfig config = TRY(issuing::load_centre_config(given.centre));
  auto out = std::make_unique<Opened>();
  const SecretBytes secret = TRY(identity::read_secret_file(given.secret_file));
  out->secret.emplace(TRY(identity::LoginSecret::create(secret)));
  out->registry.emplace(TRY(identity::Registry::open(config.database, out->clock, out->random)));
  out->database.emplace(TRY(service::Database::open(config.database)));
  out->accounts.emplace(*out->database, *out->secret, out->clock, out->random);
  return out;
}

/// How the citizen's app learns the secret: a picture on the terminal, in a file, or the text for a script.
Status hand_over(const Arguments& given, const SecretBytes& uri) {
  if (!given.qr.empty()) {
    const SecretBytes picture = TRY(identity::qr_as_svg(uri));
    TRY(write_new_file(given.qr, picture.expose_secret(), 0600));
    say("the QR code for the app is in \"" + given.qr + "\"; whoever has it has the account");
    return {};
  }
  if (isatty(STDOUT_FILENO) == 0) {
    print(uri.expose_secret_text());
    return {};
  }
  const SecretBytes picture = TRY(identity::qr_for_terminal(uri));
  print(picture.expose_secret_text());
  say("scan it with the app now: it is not shown again");
  return {};
}

Result<int> run_enrol(const Arguments& given) {
  const std::string login = TRY(identity::parse_login(given.login));
  std::optional<std::string> mail;
  if (!given.mail.empty()) mail = TRY(identity::parse_mail_address(given.mail));
  if (mail && !given.qr.empty()) return fail(ErrorKind::usage, "\"--qr\" is for an app; codes by mail need none");
  const auto opened = TRY(open_accounts(given));
  const CitizenId citizen = TRY(citizen_of(*opened->registry, given.citizen));
  const SecretBytes secret = TRY(opened->accounts->enrol(citizen, login, mail, {operator_name(), given.why}));
  const SecretBytes uri = mail ? SecretBytes() : identity::totp_uri(secret, given.issuer, login);
  if (given.json) {
    Json document = json_document("karta.account.enrol/1");
    document["citizen"] = identity::format_id(citizen);
    document["login"] = login;
    document["kind"] = identity::name_of(mail ? identity::AccountKind::mail : identity::AccountKind::app);
    if (!mail) document["otpauth"] = std::string(uri.expose_secret_text());
    print_json(document);
    return 0;
  }
  say("\"" + login + "\" can log in with one-time codes" + (mail ? " sent by mail" : " of an app"));
  if (!mail) TRY(hand_over(given, uri));
  return 0;
}

Result<int> run_show(const Arguments& given) {
  const auto opened = TRY(open_accounts(given));
  const CitizenId citizen = TRY(citizen_of(*opened->registry, given.citizen));
  const std::optional<Account> account = TRY(opened->accounts->of(citizen));
  if (!account) {
    return fail(ErrorKind::not_found, "this citizen has no log-in account", "karta account enrol makes one");
  }
  if (given.json) {
    Json document = json_document("karta.account.show/1");
    document["citizen"] = identity::format_id(citizen);
    document["login"] = account->login;
    document["kind"] = identity::name_of(account->kind);
    document["created"] = format_time(account->created);
    document["created_by"] = account->created_by;
    print_json(document);
    return 0;
  }
  print(account->login + "  " + std::string(identity::name_of(account->kind)) + "  since " +
        format_time(account->created) + " by " + account->created_by);
  return 0;
}

Result<int> run_remove(const Arguments& given) {
  const auto opened = TRY(open_accounts(given));
  const CitizenId citizen = TRY(citizen_of(*opened->registry, given.citizen));
  if (!TRY(opened->accounts->remove(citizen, {operator_name(), given.why}))) {
    return fail(ErrorKind::not_found, "this citizen has no log-in account");
  }
  if (given.json) {
    Json document = json_document("karta.account.remove/1");
    document["citizen"] = identity::format_id(citizen);
    print_json(document);
    return 0;
  }
  say("the account is removed, and the log-ins made with it have ended");
  return 0;
}

}  // namespace

void add_account(CLI::App& app, Run& chosen) {
  CLI::App& noun = *app.add_subcommand("account", "Log-in with one-time codes, for people without a reader");
  noun.require_subcommand(1);
  const auto verb = [&](const char* name, const char* words, Result<int> (*run)(const Arguments&)) {
    auto given = std::make_shared<Arguments>();
    CLI::App* const command = noun.add_subcommand(name, words);
    command->add_option("citizen", given->citizen, "SNILS or id")->required();
    command->add_option("--secret-file", given->secret_file, "\"secret_file\" of [login] in identity.toml")
        ->required()
        ->check(CLI::ExistingFile);
    command->add_flag("--json", given->json, "for scripts");
    add_centre_option(*command, given->centre);
    on_call(*command, chosen, [given, run] { return run(*given); });
    return std::pair(command, given);
  };
  {
    const auto [command, given] = verb("enrol", "Make an account, or a new one in its place", run_enrol);
    command->add_option("--login", given->login, "name the citizen will log in with")->required();
    command->add_option("--mail", given->mail, "send codes there; otherwise an app makes them (TOTP)");
    command->add_option("--qr", given->qr, "write the QR code for the app into this file, SVG");
    command->add_option("--issuer", given->issuer, "what the app shows beside the name")->capture_default_str();
    command->add_option("--why", given->why, "for the citizen's events");
    command->footer(
        "Example: karta account enrol \"112-233-445 95\" --login sample --secret-file login.secret --why \"seen "
        "passport\"");
  }
  verb("show", "A citizen's account, without its secret", run_show);
  {
    const auto [command, given] = verb("remove", "End a citizen's account", run_remove);
    command->add_option("--why", given->why, "for the citizen's events");
  }
}

}  // namespace karta::cli
